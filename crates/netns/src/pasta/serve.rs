//! What becomes pasta: one thread, which joins the user namespace that owns the sandbox's network and
//! executes it there.

use crate::serve::settings;
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getegid, geteuid, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, setsid,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_no_new_privs};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::process::Command;
use swathe_helper::serve::{is_own, join_owner, open_proc};
use swathe_sys::process::{self, Caps};

/// Where pasta finds the network namespace, and where it says that it is ready.
const NETNS: &str = "/proc/self/fd/0";
const READY: &str = "/proc/self/fd/1";

/// `CAP_NET_ADMIN`, for the device and its addresses, and `CAP_SYS_ADMIN`, to enter the network and to
/// give the root directory up.
const KEPT: [u32; 2] = [12, 21];

/// What it is told always. No port of the host leads inside and none of the sandbox's loopback
/// interface outside; no address stands for the host; it answers for no configuration, since it has
/// made it.
const WORDS: &[&str] = &[
    "--foreground",
    "--quiet",
    "--config-net",
    "--netns-only",
    "--netns",
    NETNS,
    "--no-netns-quit",
    "--pid",
    READY,
    "--no-map-gw",
    "--no-dhcp",
    "--no-dhcpv6",
    "--no-ra",
    "-t",
    "none",
    "-u",
    "none",
    "-T",
    "none",
    "-U",
    "none",
];

/// What could not be done.
type Failed = (&'static str, Errno);

fn at(step: &'static str) -> impl Fn(Errno) -> Failed {
    move |errno| (step, errno)
}

/// Becomes pasta. Returns only when it cannot: the exit status, after a line on standard error.
///
/// To be called before the process has a second thread, or anything of value in its memory. The
/// words after the first are the number of the process that started this, the path of pasta and,
/// where the host's resolver is to answer inside, the address for that; standard input is the
/// network namespace.
#[must_use]
pub fn serve() -> u8 {
    let mut words = std::env::args_os().skip(2);
    let client = words.next().and_then(|word| word.to_str()?.parse().ok());
    let (Some(client), Some(pasta)) = (client, words.next()) else { return 1 };
    let (step, error) = match prepare(client) {
        Ok(()) => ("execute it", execute(pasta, words.next())),
        Err((step, errno)) => (step, errno.into()),
    };
    // Whoever wanted to know has gone.
    drop(writeln!(std::io::stderr(), "cannot {step}: {error}"));
    1
}

/// Everything before pasta's own code runs.
fn prepare(client: u32) -> Result<(), Failed> {
    process::close_range(3, u32::MAX, false).map_err(at("close descriptors"))?;
    let netns = std::io::stdin();
    let netns = rustix::io::fcntl_dupfd_cloexec(netns.as_fd(), 3)
        .map_err(at("find the sandbox's network namespace"))?;
    isolate().map_err(at("cut itself off from its surroundings"))?;
    let proc = open_proc().map_err(at("open /proc"))?;
    // Root's request for the host's own network would be granted otherwise.
    let join = at("join the user namespace that owns the sandbox's network");
    if is_own(&netns, &proc, "net").map_err(&join)? || !join_owner(&netns, &proc).map_err(&join)? {
        return Err(join(Errno::INVAL));
    }
    for map in ["uid_map", "gid_map"] {
        settings::mapped(&proc, map).map_err(at("learn its ids in the sandbox"))?;
    }
    allow_ping(&netns, &proc);
    keep_caps().map_err(at("give up its capabilities"))?;
    // Joining has cleared it, executing does not.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(at("end with its client"))?;
    if parent_id() != client { Err(at("find its client")(Errno::SRCH)) } else { Ok(()) }
}

/// Nothing looks into this process, and it and pasta write no files and leave no cores.
fn isolate() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Away from the keys of the terminal. It fails for the leader of a session, which is away.
    let _ = setsid();
    process::umask(0o077);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    [Resource::Core, Resource::Fsize].into_iter().try_for_each(|limit| setrlimit(limit, none))
}

/// Lets the sandbox's group use ping, which works without only where the kernel's defaults allow it.
fn allow_ping(netns: &OwnedFd, proc: &OwnedFd) {
    let inside = || {
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        settings::allow_ping(proc)
    };
    // A thread: pasta is to stay on the host's network, to which this process cannot return.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, inside);
        drop(thread.map(|thread| thread.join()));
    });
}

/// Keeps the capabilities that pasta needs, also over executing, and no others.
fn keep_caps() -> Result<(), Errno> {
    let others = (0..64).filter(|cap| !KEPT.contains(cap));
    for cap in others.take_while(|cap| process::knows_capability(*cap)) {
        process::drop_bounding(cap)?;
    }
    let kept = KEPT.iter().fold(0, |set, cap| set | 1 << cap);
    process::set_caps(Caps { effective: kept, permitted: kept, inheritable: kept })?;
    KEPT.into_iter().try_for_each(process::raise_ambient)
}

/// Executes pasta. Returns only when that fails.
fn execute(pasta: OsString, forward: Option<OsString>) -> std::io::Error {
    let mut command = Command::new(pasta);
    command.args(WORDS);
    // Who it is already: as root it would become another, who may do nothing here.
    let ids = format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
    command.arg("--runas").arg(ids);
    if let Some(address) = forward {
        command.arg("--dns-forward").arg(address);
    }
    command.env_clear().exec()
}
