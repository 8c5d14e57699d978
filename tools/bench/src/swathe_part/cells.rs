//! What is timed and counted: the command lines, the files they need, and the rounds.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Instant;

use swathe::serve::{Request, Session};

use super::{Part, record};
use crate::host;
use crate::launch::{self, Command, Options};
use crate::run::try_once;
use crate::stats::Rng;
use crate::trace;

/// Where programs are looked up, and what the environment says.
const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// The session that commands enter.
const SESSION: &str = "bench";
/// Files of the tree that is searched: directories, and files in each.
const TREE: (usize, usize) = (200, 100);

/// A small unit for the compiler, with headers as real ones have.
const UNIT: &str = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
    int main(int argc, char **argv) {\n    char *s = strdup(argv[argc - 1]);\n    \
    printf(\"%zu\\n\", strlen(s));\n    free(s);\n    return 0;\n}\n";

/// Jobs: name, the program that has to be there, words, whether the directory is written to.
const JOBS: [(&str, &str, &[&str], bool); 3] = [
    ("git", "git", &["git", "status", "--short"], false),
    ("find", "find", &["sh", "-c", "find . -type f | wc -l"], false),
    ("cc", "gcc", &["gcc", "-O1", "-c", "unit.c", "-o", "unit.o"], true),
];

/// One thing that is timed.
struct Cell {
    name: String,
    work: Work,
}

enum Work {
    Spawn(Command),
    Enter(Session, PathBuf),
}

impl Work {
    /// Wall time in µs, and whether it went well.
    fn time(&self) -> io::Result<(f64, bool)> {
        match self {
            Work::Spawn(command) => command.time().map(|(us, status)| (us, status == 0)),
            Work::Enter(session, program) => {
                let start = Instant::now();
                let running = session.run(&Request::new([program])).map_err(io::Error::other)?;
                let status = running.wait().map_err(io::Error::other)?;
                Ok((start.elapsed().as_nanos() as f64 / 1000.0, status.success()))
            }
        }
    }
}

/// Ends the session when the measuring is over, however that came.
struct Stop(Command);

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = self.0.spawn(Options::default()).and_then(launch::wait_bounded);
    }
}

impl Part<'_> {
    /// The files of this part, as the user's who is measured.
    pub(super) fn files(&self) -> io::Result<()> {
        let recorder = self.fixture.program(&std::env::current_exe()?, "recorder")?;
        debug_assert!(recorder.exists());
        for name in ["home", "run", "recorded", "recorded-write", "cc", "tree-many"] {
            let path = self.fixture.path(name);
            fs::DirBuilder::new().mode(0o700).create(&path)?;
            self.own(&path)?;
        }
        for i in 0..TREE.0 {
            let dir = self.fixture.path("tree-many").join(i.to_string());
            fs::create_dir(&dir)?;
            (0..TREE.1).try_for_each(|j| fs::write(dir.join(j.to_string()), b""))?;
        }
        fs::write(self.fixture.path("cc/unit.c"), UNIT)
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        self.user.map_or(Ok(()), |user| chown(path, Some(user), Some(user)))
    }

    /// A copy of the workspace's repository; why there is none otherwise.
    fn repository(&self) -> Result<PathBuf, String> {
        let none = |why: String| Err(format!("skipped: {why}"));
        let Some(workspace) = &self.workspace else { return none("no workspace".into()) };
        let Some(git) = find("git") else { return none("git is missing".into()) };
        let path = self.fixture.path("repository");
        let mut clone = std::process::Command::new(git);
        clone.args(["-c", "safe.directory=*", "clone", "-q", "--no-hardlinks"]);
        clone.arg(workspace).arg(&path);
        match clone.output() {
            Ok(out) if out.status.success() => {}
            Ok(out) => {
                return none(String::from_utf8_lossy(&out.stderr).replace(['\n', '\t'], " "));
            }
            Err(e) => return none(e.to_string()),
        }
        self.own_all(&path).map_or_else(|e| none(e.to_string()), |()| Ok(path))
    }

    fn own_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() && !path.is_symlink() {
            fs::read_dir(path)?.try_for_each(|entry| self.own_all(&entry?.path()))?;
        }
        if path.is_symlink() { Ok(()) } else { self.own(path) }
    }

    /// `words` in the directory `dir`, with `engine` for swathe and more of the environment.
    fn command(&self, words: &[&str], dir: &Path, engine: &Path, more: Option<String>) -> Command {
        let program = match words.first() {
            Some(&"swathe") => self.swathe.clone(),
            Some(name) => find(name).unwrap_or_else(|| name.into()),
            None => PathBuf::new(),
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let env = [
            format!("PATH={}", PATH.join(":")),
            format!("HOME={}", text(&self.fixture.path("home"))),
            format!("XDG_RUNTIME_DIR={}", text(&self.fixture.path("run"))),
            format!("SWATHE_BWRAP={}", text(engine)),
        ];
        let env = env.into_iter().chain(more).map(|v| c(v.as_bytes())).collect();
        let rest = words.iter().skip(1).map(|w| c(w.as_bytes())).collect();
        Command::new(c(program.as_os_str().as_bytes()), rest, Vec::new())
            .within(c(dir.as_os_str().as_bytes()), env)
    }

    fn usual(&self, words: &[&str], dir: &Path) -> Command {
        self.command(words, dir, &self.bwrap, None)
    }

    /// `words` of swathe as a launch of bwrap itself.
    fn bare(&self, words: &[&str], dir: &Path, into: &str) -> io::Result<Command> {
        let into = self.fixture.path(into);
        let recorder = self.fixture.path("recorder");
        let more = format!("{}={}", record::RECORD, into.to_string_lossy());
        let command = self.command(words, dir, &recorder, Some(more));
        launch::wait_bounded(command.spawn(Options::default())?)?;
        let env = vec![c(format!("PATH={}", PATH.join(":")).as_bytes())];
        Ok(record::bare(&self.bwrap, &into)?.within(c(dir.as_os_str().as_bytes()), env))
    }

    /// Measures as the user, in a process of its own; results are lines of text.
    pub(super) fn work(&self, out: &mut dyn Write) -> io::Result<()> {
        let repository = self.repository();
        // The payload of the other rows, where the sandbox sees it: a program that is slow to start
        // would hide what is measured.
        let payload = self.fixture.path("work/strue");
        fs::copy(self.fixture.path("strue"), &payload)?;
        fs::set_permissions(&payload, fs::Permissions::from_mode(0o755))?;
        let log = self.fixture.path("errors-swathe");
        let log_file = fs::File::create(&log)?;
        if let Some(user) = self.user {
            host::drop_to(user)?;
        }
        host::silence()?;
        host::end_after(1800);
        let work = self.fixture.path("work");
        let mut cells = Vec::new();
        let mut failed: BTreeSet<String> = BTreeSet::new();
        let mut add = |name: &str, command: io::Result<Command>| {
            let tried = command.and_then(|command| {
                try_once(&command, log_file.as_raw_fd(), &log).map(|()| command)
            });
            match tried {
                Ok(command) => {
                    cells.push(Cell { name: name.to_owned(), work: Work::Spawn(command) });
                    Ok(())
                }
                Err(e) => writeln!(out, "fail\t{name}\t{e}"),
            }
        };
        let program = payload.to_string_lossy().into_owned();
        let run = ["swathe", "run", "--", &program];
        let write = ["swathe", "run", "-w", "--", "true"];
        add("plain", Ok(self.usual(&[&program], &work)))?;
        add("run", Ok(self.usual(&run, &work)))?;
        add("bare", self.bare(&run, &work, "recorded"))?;
        let in_repository = |f: &dyn Fn(&Path) -> io::Result<Command>| match &repository {
            Ok(path) => f(path),
            Err(why) => Err(io::Error::other(why.clone())),
        };
        add("run-write", in_repository(&|path| Ok(self.usual(&write, path))))?;
        add("bare-write", in_repository(&|path| self.bare(&write, path, "recorded-write")))?;
        for (name, program, words, writes) in JOBS {
            let missing = || io::Error::other(format!("skipped: {program} is missing"));
            let dir = match name {
                "git" => repository.clone().map_err(io::Error::other),
                "find" => Ok(self.fixture.path("tree-many")),
                _ => Ok(self.fixture.path("cc")),
            };
            let dir = dir.and_then(|dir| find(program).map(|_| dir).ok_or_else(missing));
            let mut inside = vec!["swathe", "run"];
            inside.extend(writes.then_some("-w").into_iter().chain(["--"]).chain(words.to_vec()));
            let of = |words: &[&str]| match &dir {
                Ok(dir) => Ok(self.usual(words, dir)),
                Err(e) => Err(io::Error::other(e.to_string())),
            };
            add(&format!("{name}-plain"), of(words))?;
            add(&format!("{name}-swathe"), of(&inside))?;
        }
        let start = self.usual(&["swathe", "session", "start", SESSION], &work);
        let _stop = Stop(self.usual(&["swathe", "session", "stop", SESSION], &work));
        match try_once(&start, log_file.as_raw_fd(), &log) {
            Ok(()) => {
                let enter = ["swathe", "run", "--session", SESSION, "--", &program];
                add("entered-command", Ok(self.usual(&enter, &work)))?;
                let socket = self.fixture.path(&format!("run/swathe/{SESSION}.sock"));
                match Session::connect(&socket) {
                    Ok(session) => cells.push(Cell {
                        name: "entered".to_owned(),
                        work: Work::Enter(session, payload),
                    }),
                    Err(e) => writeln!(out, "fail\tentered\t{e}")?,
                }
            }
            Err(e) => {
                for name in ["entered", "entered-command"] {
                    writeln!(out, "fail\t{name}\t{e}")?;
                }
            }
        }
        self.times(&cells, &mut failed, out)?;
        let of = |wanted: &str| cells.iter().find(|cell| cell.name == wanted);
        count("calls", of("run"), out)?;
        count("calls-write", of("run-write"), out)
    }

    /// The rounds. A cell that fails once has no figures: its pairs would no longer be pairs.
    fn times(
        &self,
        cells: &[Cell],
        failed: &mut BTreeSet<String>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut order: Vec<&Cell> = cells.iter().collect();
        let mut rng = Rng::new(self.args.seed);
        let mut values: Vec<(&str, f64)> = Vec::new();
        for round in 0..self.args.warm + self.args.rounds {
            rng.shuffle(&mut order);
            for cell in &order {
                match cell.work.time() {
                    Ok((us, true)) if round >= self.args.warm => values.push((&cell.name, us)),
                    Ok((_, true)) => {}
                    Ok((_, false)) => {
                        failed.insert(cell.name.clone());
                    }
                    Err(e) => {
                        failed.insert(cell.name.clone());
                        writeln!(out, "fail\t{}\t{e}", cell.name)?;
                    }
                }
                if self.args.gap > 0 {
                    std::thread::sleep(std::time::Duration::from_micros(self.args.gap));
                }
            }
        }
        for name in failed.iter() {
            writeln!(out, "fail\t{name}\tdid not end with status 0 in every round")?;
        }
        for (name, us) in values.iter().filter(|(name, _)| !failed.contains(*name)) {
            writeln!(out, "value\t{name}\t{us}")?;
        }
        Ok(())
    }
}

/// System calls of swathe before the engine, and processes of the launch; three launches each.
fn count(name: &str, cell: Option<&Cell>, out: &mut dyn Write) -> io::Result<()> {
    let Some(Cell { work: Work::Spawn(command), .. }) = cell else {
        return writeln!(out, "fail\t{name}\tskipped: the command did not run");
    };
    for _ in 0..3 {
        match trace::count(command, 2) {
            Ok(t) if t.status == 0 => {
                writeln!(out, "value\t{name}\t{}", t.before)?;
                if name == "calls" {
                    writeln!(out, "value\tprocesses\t{}", t.processes)?;
                }
            }
            Ok(t) => writeln!(out, "fail\t{name}\ttraced: status {:#x}", t.status)?,
            Err(e) => writeln!(out, "fail\t{name}\ttraced: {e}")?,
        }
    }
    Ok(())
}

/// Where a program is.
fn find(name: &str) -> Option<PathBuf> {
    PATH.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

fn c(bytes: &[u8]) -> CString {
    CString::new(bytes.split(|b| *b == 0).next().unwrap_or_default()).unwrap_or_default()
}
