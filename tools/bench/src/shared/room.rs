//! What the benchmarks of whole jobs share: commands of an ordinary user, their times, medians.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Who runs the jobs, and where.
pub struct User {
    /// The user's number; only root can become another.
    pub id: u32,
    /// What holds `home` and `run`.
    pub room: PathBuf,
    /// The engine of `swathe`.
    pub engine: PathBuf,
    /// Variables besides.
    pub env: Vec<(&'static str, PathBuf)>,
}

impl User {
    /// A command of the user's, with an environment of its own.
    pub fn command<W: AsRef<str>>(&self, words: &[W], cwd: &Path) -> Command {
        let mut command = Command::new(words.first().map_or("true", AsRef::as_ref));
        command.args(words.iter().skip(1).map(AsRef::as_ref)).current_dir(cwd).env_clear();
        command
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.room.join("home"))
            .env("XDG_RUNTIME_DIR", self.room.join("run"))
            .env("SWATHE_BWRAP", &self.engine)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0) {
            command.uid(self.id).gid(self.id);
        }
        command
    }
}

/// Runs a command, which has to succeed: the seconds that it took, and what it said.
pub fn timed(command: &mut Command) -> io::Result<(f64, String)> {
    let start = Instant::now();
    let output = command.output()?;
    let seconds = start.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{command:?}: {}: {said}", output.status)));
    }
    Ok((seconds, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Writes to standard output.
pub fn say(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

/// The middle one; NaN of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Writes the units of a build of 60, and the Makefile for them.
pub fn build_of_60(project: &Path) -> io::Result<()> {
    let make = "all: $(patsubst %.c,%.o,$(wildcard *.c))\n\t@ar rc all.a *.o\n\
                clean:\n\t@rm -f *.o all.a\n%.o: %.c\n\t@gcc -O1 -c $< -o $@\n";
    std::fs::write(project.join("Makefile"), make)?;
    for number in 0..60 {
        let text = format!(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
             int f{number}(const char *s) {{ return printf(\"%zu\\n\", strlen(s)); }}\n"
        );
        std::fs::write(project.join(format!("u{number}.c")), text)?;
    }
    Ok(())
}

/// What every benchmark of jobs is told.
pub struct Told {
    pub swathe: PathBuf,
    pub bwrap: PathBuf,
    pub rounds: usize,
    pub user: u32,
}

/// Reads `--name value` pairs. `own` takes what only this benchmark knows; none: it does not, or the
/// value is wrong.
pub fn told(
    mut words: impl Iterator<Item = String>,
    rounds: usize,
    mut own: impl FnMut(&str, &str) -> Option<()>,
) -> io::Result<Told> {
    let (swathe, bwrap) = (PathBuf::new(), PathBuf::new());
    let mut told = Told { swathe, bwrap, rounds, user: 1000 };
    while let Some(word) = words.next() {
        let wrong = || io::Error::other(format!("{word}: a value is missing or wrong"));
        let value = words.next().ok_or_else(wrong)?;
        match word.as_str() {
            "--swathe" => told.swathe = value.into(),
            "--bwrap" => told.bwrap = value.into(),
            "--rounds" => told.rounds = value.parse().map_err(|_| wrong())?,
            "--user" => told.user = value.parse().map_err(|_| wrong())?,
            name => own(name, &value).ok_or_else(wrong)?,
        }
    }
    if told.swathe.as_os_str().is_empty() || told.bwrap.as_os_str().is_empty() {
        return Err(io::Error::other("--swathe and --bwrap are needed"));
    }
    Ok(told)
}

/// Takes a value where it is one.
pub fn set<T: std::str::FromStr>(into: &mut T, value: &str) -> Option<()> {
    *into = value.parse().ok()?;
    Some(())
}

/// The exit status: 0, or 2 with the reason.
pub fn ended(name: &str, help: &str, done: io::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::stderr().write_all(format!("{name}: {error}\n{help}").as_bytes());
            ExitCode::from(2)
        }
    }
}
