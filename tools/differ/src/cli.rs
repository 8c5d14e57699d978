//! The command: options, where the programs are, workers, and the summary.

use crate::worker::{Share, base, contain, work};
use crate::world::{Setup, enter};
use crate::{allowed, os};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;

const HELP: &str = "\
usage: differ [OPTIONS]

Runs random argument vectors on two bwrap-compatible programs and compares what payload, host and
caller see. Exit status: 0 no difference, 1 differences, 2 the comparison itself failed.

  --count N       number of vectors (default 2000)
  --from N        the number of the first vector (default 0): a run in pieces
  --seed S        seed of the run (default: from the clock; it is printed)
  --only K        only vector number K; with --dump both outcomes in full
  --as WHO        root, user or both (default: both when started as root)
  -j N            processes at a time (default 2)
  --refusals      also print why valid vectors were refused, for tuning the generator
  --no-shrink     print failing vectors as they are
  --look-past T   leave lines that contain T out of the comparison (repeatable), to see what is
                  behind a difference that is known
  --list-allowed  print the differences that are meant, with reasons
  --world         then `-- COMMAND`: run a command in the world that vectors run in (the programs
                  are /opt/differ/oracle and /opt/differ/ours), for trying things by hand

Programs: BWRAP_ORACLE or .oracle/usr/bin/bwrap above the working directory; SWATHE_TEST_BWRAP or
`bwrap` beside this program; SWATHE_DIFFER_PROBE or a static `differ-probe` beside this program.
";

/// Parsed options.
struct Options {
    count: u64,
    from: u64,
    seed: u64,
    only: Option<u64>,
    who: Option<bool>,
    jobs: usize,
    shrink: bool,
    dump: bool,
    refusals: bool,
    look_past: Vec<String>,
    world: Option<Vec<OsString>>,
    worker: Option<(u64, u64, PathBuf)>,
}

/// Writes to standard output; a reader that went away is no reason to fail.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

/// Writes to standard error, likewise.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "differ: {text}");
}

/// Whether launches of `setup` are an ordinary user's.
pub fn is_plain(setup: &Setup) -> bool {
    setup.plain || !is_root()
}

fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::getuid() == 0 }
}

/// Runs the command.
pub fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => match run(&options) {
            Ok(code) => ExitCode::from(code),
            Err(e) => {
                complain(&e.to_string());
                ExitCode::from(2)
            }
        },
        Ok(None) => ExitCode::SUCCESS,
        Err(e) => {
            complain(&e);
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Option<Options>, String> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut out = Options {
        count: 2000,
        from: 0,
        seed: clock.map_or(1, |d| u64::from(d.subsec_nanos()) ^ d.as_secs()),
        only: None,
        who: None,
        jobs: 2,
        shrink: true,
        dump: false,
        refusals: false,
        look_past: vec![],
        world: None,
        worker: None,
    };
    while let Some(arg) = args.next() {
        let name = arg.to_string_lossy().into_owned();
        let mut number = || -> Result<u64, String> {
            let value = args.next().and_then(|v| v.into_string().ok()?.parse().ok());
            value.ok_or_else(|| format!("{name} needs a number"))
        };
        match name.as_str() {
            "--help" => {
                say(HELP);
                return Ok(None);
            }
            "--list-allowed" => {
                for rule in &allowed::RULES {
                    say(&format!("({}) {}\n    because {}\n", rule.letter, rule.what, rule.why));
                }
                return Ok(None);
            }
            "--count" => out.count = number()?,
            "--from" => out.from = number()?,
            "--seed" => out.seed = number()?,
            "--only" => out.only = Some(number()?),
            "-j" => out.jobs = number()?.max(1) as usize,
            "--no-shrink" => out.shrink = false,
            "--look-past" => {
                let text = args.next().and_then(|t| t.into_string().ok());
                out.look_past.push(text.ok_or("--look-past needs a text")?);
            }
            "--refusals" => out.refusals = true,
            "--dump" => out.dump = true,
            "--as" => match args.next().as_deref().and_then(|w| w.to_str()) {
                Some("root") => out.who = Some(false),
                Some("user") => out.who = Some(true),
                Some("both") => out.who = None,
                _ => return Err("--as needs root, user or both".into()),
            },
            "--world" => out.world = Some(vec![]),
            "--" if out.world.is_some() => out.world = Some(args.by_ref().collect()),
            "--worker" => {
                let (shard, shards) = (number()?, number()?);
                let base = args.next().ok_or("--worker needs a directory")?;
                out.worker = Some((shard, shards, base.into()));
            }
            _ => return Err(format!("unknown option {name}; try --help")),
        }
    }
    Ok(Some(out))
}

fn run(options: &Options) -> io::Result<u8> {
    if let Some((shard, shards, base)) = &options.worker {
        return worker(options, *shard, *shards, base);
    }
    if let Some(command) = &options.world {
        return world(options, command);
    }
    if !is_root() {
        say("started as an ordinary user: the half of the vectors that needs root is skipped\n");
    }
    setup(options, Path::new("/"))?;
    say(&format!(
        "seed {} ({} vectors)\n",
        options.seed,
        options.only.map_or(options.count, |_| 1)
    ));
    conduct(options)
}

/// Finds the programs.
fn setup(options: &Options, base: &Path) -> io::Result<Setup> {
    let missing = |what: &str| io::Error::other(format!("{what} not found; see --help"));
    let exe = std::env::current_exe()?;
    let beside = exe.parent().unwrap_or(Path::new("/"));
    let exists = |p: PathBuf| p.is_file().then_some(p);
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let here = std::env::current_dir()?;
    let oracle = named("BWRAP_ORACLE")
        .or_else(|| here.ancestors().find_map(|d| exists(d.join(".oracle/usr/bin/bwrap"))))
        .ok_or_else(|| missing("the oracle"))?;
    let target = beside.parent().unwrap_or(beside);
    let musl = "x86_64-unknown-linux-musl";
    let ours = named("SWATHE_TEST_BWRAP")
        .or_else(|| exists(beside.join("bwrap")))
        .or_else(|| exists(target.join("release/bwrap")))
        .or_else(|| exists(target.join("debug/bwrap")))
        .ok_or_else(|| missing("the program under test"))?;
    let profile = beside.file_name().unwrap_or_default();
    let probe = named("SWATHE_DIFFER_PROBE")
        .into_iter()
        .chain([beside.join("differ-probe"), target.join(musl).join(profile).join("differ-probe")])
        .find(|p| is_static(p))
        .ok_or_else(|| {
            missing("a static differ-probe (build with --target x86_64-unknown-linux-musl)")
        })?;
    let plain = options.who.unwrap_or(true);
    let absolute = |p: PathBuf| std::path::absolute(p);
    Ok(Setup { oracle: absolute(oracle)?, ours: absolute(ours)?, probe, plain, base: base.into() })
}

/// Whether the 64-bit ELF file asks for no interpreter.
fn is_static(path: &Path) -> bool {
    let Ok(data) = std::fs::read(path) else {
        return false;
    };
    let word = |at: usize, n: usize| -> Option<usize> {
        let bytes = data.get(at..at + n)?;
        Some(bytes.iter().rev().fold(0, |sum, b| (sum << 8) | usize::from(*b)))
    };
    let check = || -> Option<bool> {
        let (start, size, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
        for i in 0..count {
            if word(start + i * size, 4)? == 3 {
                return Some(false); // PT_INTERP
            }
        }
        Some(data.starts_with(b"\x7fELF"))
    };
    check().unwrap_or(false)
}

fn worker(options: &Options, shard: u64, shards: u64, base: &Path) -> io::Result<u8> {
    let setup = setup(options, base)?;
    let numbers = match options.only {
        Some(k) => vec![k],
        // Whose a number is does not depend on where a run starts.
        None => (options.from..options.from.saturating_add(options.count))
            .filter(|number| number % shards.max(1) == shard)
            .collect(),
    };
    let share = Share {
        setup,
        seed: options.seed,
        numbers,
        dump: options.dump,
        shrink: options.shrink,
        look_past: options.look_past.clone(),
    };
    contain(|| work(&share)).map(|code| code as u8)
}

/// A directory that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let path = base();
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Mounts were made in namespaces that are gone: the directory is empty.
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn world(options: &Options, command: &[OsString]) -> io::Result<u8> {
    let scratch = Scratch::new()?;
    let setup = setup(options, &scratch.0)?;
    let code = contain(|| {
        let Some((program, rest)) = command.split_first() else {
            complain("--world needs `-- COMMAND`");
            return 2;
        };
        if let Err(e) = enter(&setup) {
            complain(&format!("the world cannot be built: {e}"));
            return 2;
        }
        let status = Command::new(program).args(rest).status();
        status.map_or_else(
            |e| {
                complain(&e.to_string());
                127
            },
            |s| s.code().unwrap_or(101),
        )
    })?;
    Ok(code as u8)
}

/// What came back from the workers.
#[derive(Default)]
struct Total {
    ran: u64,
    refused: u64,
    erroneous: u64,
    different: u64,
    unstable: u64,
    done: u64,
    faults: Vec<String>,
    allowed: BTreeMap<String, u64>,
    classes: BTreeMap<String, u64>,
    refusals: BTreeMap<String, u64>,
}

/// Starts workers, at most `jobs` at a time, and adds up.
fn conduct(options: &Options) -> io::Result<u8> {
    let scratch = Scratch::new()?;
    let identities: Vec<&str> = match (is_root(), options.who) {
        (false, _) | (true, Some(true)) => vec!["user"],
        (true, Some(false)) => vec!["root"],
        (true, None) => vec!["root", "user"],
    };
    let mut tasks = vec![];
    let per = if options.only.is_some() { 1 } else { (options.jobs / identities.len()).max(1) };
    for part in 0..per {
        for (index, identity) in identities.iter().enumerate() {
            // Even numbers are root's, odd ones the user's, so that a number says whose it is.
            let owner = options.only.map(|k| (k as usize) % identities.len());
            if owner.is_none_or(|o| o == index) {
                let shard = part * identities.len() + index;
                tasks.push((shard, per * identities.len(), (*identity).to_string()));
            }
        }
    }
    let (send, receive) = mpsc::channel();
    let mut total = Total::default();
    let mut waiting = tasks.into_iter();
    let mut running = 0;
    loop {
        while running < options.jobs {
            let Some((shard, shards, identity)) = waiting.next() else {
                break;
            };
            start(options, shard, shards, &identity, &scratch.0, send.clone())?;
            running += 1;
        }
        if running == 0 {
            break;
        }
        match receive.recv() {
            Ok(Some(text)) => total.take(&text),
            _ => running -= 1,
        }
    }
    if options.refusals {
        for (line, count) in &total.refusals {
            say(&format!("refused {count:5} × {line}\n"));
        }
    }
    Ok(total.finish())
}

/// Starts one worker and a thread that forwards its records, then `None`.
fn start(
    options: &Options,
    shard: usize,
    shards: usize,
    identity: &str,
    base: &Path,
    send: mpsc::Sender<Option<String>>,
) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--seed", &options.seed.to_string(), "--count", &options.count.to_string()]);
    command.args(["--from", &options.from.to_string(), "--as", identity]);
    if let Some(k) = options.only {
        command.args(["--only", &k.to_string()]);
    }
    if options.dump {
        command.arg("--dump");
    }
    for text in &options.look_past {
        command.args(["--look-past", text]);
    }
    if !options.shrink {
        command.arg("--no-shrink");
    }
    command.args(["--worker", &shard.to_string(), &shards.to_string()]).arg(base);
    // SAFETY: one system call between fork and exec; a worker must not outlive this process.
    unsafe {
        command.pre_exec(|| os::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64).map(|_| ()));
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take();
    // The death signal is tied to this, the main, thread, which outlives the workers.
    std::thread::spawn(move || {
        for record in stdout.into_iter().flat_map(|s| BufReader::new(s).split(0x1e)).flatten() {
            let _ = send.send(Some(String::from_utf8_lossy(&record).into_owned()));
        }
        match child.wait() {
            Ok(status) if status.success() => {}
            other => drop(send.send(Some(format!("fault\na worker ended early: {other:?}")))),
        }
        let _ = send.send(None);
    });
    Ok(())
}

impl Total {
    fn take(&mut self, record: &str) {
        let (kind, body) = record.split_once('\n').unwrap_or((record, ""));
        match kind {
            "tick" => {
                self.done += 50;
                if self.done.is_multiple_of(1000) {
                    say(&format!(
                        "{} vectors, {} classes of differences\n",
                        self.done,
                        self.classes.len()
                    ));
                }
            }
            "dump" => say(body),
            "diff" => {
                let (class, text) = body.split_once('\n').unwrap_or((body, ""));
                let count = self.classes.entry(class.into()).or_default();
                *count += 1;
                if *count == 1 {
                    say(&format!("\nDIFFERENCE {class}\n{text}"));
                }
            }
            "sum" => {
                let mut lines = body.lines();
                let mut numbers =
                    lines.next().unwrap_or("").split(' ').map(|n| n.parse().unwrap_or(0));
                let mut next = || numbers.next().unwrap_or(0);
                self.ran += next();
                self.refused += next();
                self.erroneous += next();
                self.different += next();
                self.unstable += next();
                for pair in lines.next().unwrap_or("").split(' ').filter(|p| !p.is_empty()) {
                    let (letter, count) = pair.split_once('=').unwrap_or((pair, "0"));
                    *self.allowed.entry(letter.into()).or_default() += count.parse().unwrap_or(0);
                }
                for line in lines {
                    let line = line.split(" /").next().unwrap_or(line);
                    *self.refusals.entry(line.into()).or_default() += 1;
                }
            }
            _ => self.faults.push(body.into()),
        }
    }

    fn finish(&self) -> u8 {
        say(&format!(
            "\n{} vectors: payload ran in {}, refused in {} ({} made to be refused); {} differ, \
             {} differ only sometimes\n",
            self.ran + self.refused,
            self.ran,
            self.refused,
            self.erroneous,
            self.different,
            self.unstable
        ));
        for (letter, count) in &self.allowed {
            say(&format!("allowed ({letter}): {count}\n"));
        }
        for (class, count) in &self.classes {
            say(&format!("{count:6} × {class}\n"));
        }
        for fault in &self.faults {
            complain(fault);
        }
        match () {
            () if !self.faults.is_empty() => 2,
            () if self.different > 0 => 1,
            () => 0,
        }
    }
}
