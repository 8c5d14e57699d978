//! A run without namespaces, where a person allows that by name: Landlock and the filter alone.
//!
//! The program sees the host's file tree and can reach in it what Landlock allows. What namespaces
//! and mounts would have done is not done, and is said before the run.

use crate::out::{Failure, note, shown};
use crate::wanted::Wanted;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use swathe::plan::filter::{self, FilterOptions};
use swathe::plan::model::{self, BindSource, EnvOp, FileOp, Plan};
use swathe::plan::tables;
use swathe_host::layers::{Layers, Usable};

/// The layers' name in `--allow-degraded`.
pub const NAMESPACES: &str = "namespaces";

/// The hidden command that confines itself and becomes the program.
const CONFINE: &str = "__confine";

/// What the program finds of the system, beside what its plan shows.
const READ: [&str; 4] = ["/etc", "/proc", "/sys/devices/system/cpu", "/run/systemd/resolve"];
/// Devices that every program may use.
const DEVICES: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx"];

/// What is not enforced then.
const LOST: [&str; 7] = [
    "the names of all files and processes of the machine are visible",
    "what others may read below /etc is readable",
    "protected paths in writable directories, such as .git/hooks, are writable",
    "sockets of other programs that are files, such as a session bus, can be connected to",
    "shared memory, message queues and the host's name are shared",
    "memory and processes are limited for each process and for the user",
    "processes that the program leaves behind live on, confined as it was",
];

/// The most that a confined run is described with.
const MAX_TEXT: u64 = 16 << 20;

/// Whether a run has to do without namespaces.
///
/// # Errors
/// It would, and nobody allowed it.
pub fn needed(layers: &Layers, allowed: &[String]) -> Result<bool, Failure> {
    let allowed = allowed.iter().any(|name| name == NAMESPACES);
    match &layers.user_namespaces {
        Usable::Yes => Ok(false),
        Usable::Unsure(_) => Ok(allowed),
        Usable::No(_) if allowed => Ok(true),
        Usable::No(why) => {
            let failure = Failure::new(format!("no sandbox can be made on this machine: {why}"))
                .hint("swathe doctor says how to change that");
            Err(failure.hint(format!(
                "--allow-degraded {NAMESPACES} runs with Landlock and the filter alone"
            )))
        }
    }
}

/// Runs a program so. Returns its exit status.
pub fn run(wanted: &Wanted, layers: &Layers) -> Result<u8, Failure> {
    if layers.landlock < 3 {
        return Err(Failure::new("without namespaces Landlock is needed (ABI 3, Linux 6.2)"));
    }
    if let Some(placed) = wanted.sandbox.levels.iter().find(|placed| placed.access.is_some()) {
        let text = format!("{} has an access that needs namespaces", placed.path.display());
        return Err(Failure::new(text).hint("leave the access out, or use ro or rw"));
    }
    if wanted.sandbox.network.is_some() {
        return Err(Failure::new("rules over hosts need namespaces")
            .hint("leave --net, --publish and the intents net.* out, or --allow net.all"));
    }
    if wanted.sandbox.bridged {
        let text = "the network by pasta needs namespaces";
        return Err(Failure::new(text).hint(
            "leave --net-way pasta, or way = \"pasta\", out: net.all is the host's network then",
        ));
    }
    note("without namespaces; not enforced are:");
    for lost in LOST {
        note(&format!("- {lost}"));
    }
    let private = Private::new()?;
    let mut plan = wanted.sandbox.plan.clone();
    for name in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR"] {
        let value = private.0.as_os_str().as_bytes().to_vec();
        plan.env.push(EnvOp::Set { name: name.into(), value });
    }
    let text = describe(&plan, wanted, &private.0);
    let program = std::env::current_exe().map_err(|e| failed("find swathe itself", &e))?;
    let (reader, mut writer) = std::io::pipe().map_err(|e| failed("make a pipe", &e))?;
    let mut command = Command::new(program);
    command.arg(CONFINE);
    let mapping = command_fds::FdMapping { parent_fd: reader.into(), child_fd: DESCRIPTION };
    command_fds::CommandFdExt::fd_mappings(&mut command, vec![mapping])
        .map_err(|_| Failure::new("cannot pass a descriptor on"))?;
    let mut child = command.spawn().map_err(|e| failed("start swathe again", &e))?;
    drop(command);
    writer.write_all(&text).map_err(|e| failed("describe the run", &e))?;
    drop(writer);
    let status = child.wait().map_err(|e| failed("wait for the program", &e))?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot {what}: {error}"))
}

/// Where the hidden command reads what to do.
const DESCRIPTION: i32 = 100;

/// A directory of the run's own, removed with all that is in it.
struct Private(PathBuf);

impl Private {
    fn new() -> Result<Self, Failure> {
        let path = crate::rundir::directory()?.join(format!("degraded-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|e| failed("make a directory for the run", &e))?;
        Ok(Self(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // What cannot be removed is the user's to look at.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Records of a kind and a value, each ended by NUL.
fn describe(plan: &Plan, wanted: &Wanted, private: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let mut put = |kind: u8, value: &[u8]| {
        text.push(kind);
        text.extend_from_slice(value);
        text.push(0);
    };
    for step in &plan.steps {
        let FileOp::Bind { source: BindSource::Path { path, .. }, access, .. } = &step.op else {
            continue;
        };
        let kind = if *access == model::Access::ReadOnly { b'r' } else { b'w' };
        put(kind, &path.0);
    }
    put(b'w', private.as_os_str().as_bytes());
    READ.iter().for_each(|path| put(b'r', path.as_bytes()));
    DEVICES.iter().for_each(|path| put(b'w', path.as_bytes()));
    if !plan.namespaces.net {
        put(b'n', b"");
    }
    for op in &plan.env {
        if let EnvOp::Set { name, value } = op {
            put(b'e', &[name.as_slice(), b"=", value].concat());
        }
    }
    for limit in &plan.limits {
        let value = limit.soft.map_or_else(|| "unlimited".to_owned(), |soft| soft.to_string());
        put(b'l', format!("{}={value}", limit.resource).as_bytes());
    }
    if plan.namespaces.net {
        // There is no network namespace: no socket leads anywhere but to the user's own files.
        let options = FilterOptions {
            nested_sandbox: true,
            ptrace: true,
            bits32: true,
            inet: false,
            ..FilterOptions::default()
        };
        if let Ok(filter) = filter::base(&options) {
            put(b'f', hex(&filter).as_bytes());
        }
    }
    let filters = plan.filters.iter().filter_map(|given| {
        wanted.sandbox.data.iter().find(|data| data.fd == given.value).map(|data| &data.bytes)
    });
    for filter in filters {
        put(b'f', hex(filter).as_bytes());
    }
    if let Some(directory) = &plan.chdir {
        put(b'd', &directory.0);
    }
    plan.command.iter().for_each(|word| put(b'c', word));
    text
}

/// Becomes the program, if this process was started for that.
pub fn hidden() -> Option<Result<u8, Failure>> {
    let first = std::env::args_os().nth(1)?;
    (first == CONFINE).then(|| Err(confine()))
}

/// What a description says.
#[derive(Default)]
struct Description {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    network: bool,
    env: Vec<(OsString, OsString)>,
    limits: Vec<(u32, Option<u64>)>,
    filters: Vec<Vec<u8>>,
    directory: PathBuf,
    command: Vec<OsString>,
}

fn description() -> Result<Description, Failure> {
    let bad = || Failure::new("a description of a run that cannot be read");
    let fd =
        swathe_sys::process::adopt_fd(DESCRIPTION).map_err(|e| failed("read what to run", &e))?;
    let mut text = Vec::new();
    let read = std::fs::File::from(fd).take(MAX_TEXT).read_to_end(&mut text);
    read.map_err(|e| failed("read what to run", &e))?;
    let mut found = Description::default();
    for record in text.split(|byte| *byte == 0) {
        let Some((kind, value)) = record.split_first() else { continue };
        let path = || PathBuf::from(OsStr::from_bytes(value));
        let word = || OsString::from_vec(value.to_vec());
        let plain = || std::str::from_utf8(value).map_err(|_| bad());
        match kind {
            b'r' => found.read.push(path()),
            b'w' => found.write.push(path()),
            b'n' => found.network = true,
            b'd' => found.directory = path(),
            b'c' => found.command.push(word()),
            b'e' => {
                let at = value.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
                let (name, rest) = value.split_at(at);
                let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
                found.env.push((text(name), text(&rest[1..])));
            }
            b'l' => {
                let (name, value) = plain()?.split_once('=').ok_or_else(bad)?;
                found.limits.push((name.parse().map_err(|_| bad())?, value.parse().ok()));
            }
            b'f' => found.filters.push(bytes(plain()?).ok_or_else(bad)?),
            _ => return Err(bad()),
        }
    }
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pair = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}

/// Returns only what failed. Nothing runs then.
fn confine() -> Failure {
    match description().and_then(|description| become_program(&description)) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn become_program(run: &Description) -> Result<std::convert::Infallible, Failure> {
    let cannot = |what: &'static str| move |e: rustix::io::Errno| failed(what, &e);
    // It ends with swathe. Whether swathe has ended meanwhile, the pipe has told.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(cannot("end with swathe"))?;
    rustix::thread::set_no_new_privs(true).map_err(cannot("give up new privileges"))?;
    for (number, value) in &run.limits {
        let limit = Rlimit { current: *value, maximum: *value };
        let resource = resource(*number)
            .ok_or_else(|| Failure::new(format!("there is no resource {number}")))?;
        setrlimit(resource, limit).map_err(cannot("set a limit"))?;
    }
    let (program, words) =
        run.command.split_first().ok_or_else(|| Failure::new("there is no program to run"))?;
    let mut command = Command::new(program);
    command.args(words).env_clear().current_dir(&run.directory);
    command.envs(run.env.iter().map(|(name, value)| (name, value)));
    swathe_sys::process::close_range(3, u32::MAX, true)
        .map_err(|e| failed("keep descriptors back", &e))?;
    restrict(run)?;
    for filter in &run.filters {
        let program = swathe_sys::seccomp::parse(filter)
            .ok_or_else(|| Failure::new("the filter is malformed"))?;
        swathe_sys::seccomp::load(&program).map_err(|e| failed("load the filter", &e))?;
    }
    let error = command.exec();
    Err(failed(&format!("execute {}", shown(&program.to_string_lossy())), &error))
}

fn resource(number: u32) -> Option<Resource> {
    let name = tables::RESOURCES.get(usize::try_from(number).ok()?)?;
    Some(match *name {
        "nproc" => Resource::Nproc,
        "data" => Resource::Data,
        "core" => Resource::Core,
        "nofile" => Resource::Nofile,
        _ => return None,
    })
}

/// The Landlock domain: everything that this kernel's Landlock knows is handled, and what is named is
/// allowed.
fn restrict(run: &Description) -> Result<(), Failure> {
    let abi = ABI::V6;
    let wrong = |e: landlock::RulesetError| failed("enter a Landlock domain", &e);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .map_err(wrong)?
        .scope(Scope::from_all(abi))
        .map_err(wrong)?;
    if !run.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi)).map_err(wrong)?;
    }
    let mut ruleset = ruleset.create().map_err(wrong)?;
    for (paths, access) in
        [(&run.read, AccessFs::from_read(abi)), (&run.write, AccessFs::from_all(abi))]
    {
        for path in paths {
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
            // What is not there needs no rule.
            let Ok(fd) = rustix::fs::open(path, flags, rustix::fs::Mode::empty()) else {
                continue;
            };
            let stat = rustix::fs::fstat(&fd).map_err(|e| failed("look at a path", &e))?;
            let directory = rustix::fs::FileType::from_raw_mode(stat.st_mode)
                == rustix::fs::FileType::Directory;
            // Rights on entries mean nothing for a file.
            let access = if directory { access } else { access & AccessFs::from_file(abi) };
            ruleset = ruleset.add_rule(PathBeneath::new(fd, access)).map_err(wrong)?;
        }
    }
    let status = ruleset.restrict_self().map_err(wrong)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(Failure::new("Landlock is not enforced on this machine"));
    }
    Ok(())
}
