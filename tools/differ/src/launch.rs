//! Runs one program on one vector in a process with the caller's state, and collects what came out.

use crate::vector::{Caller, FdSpec, Prepared, Session, Standard, Vector};
use crate::{PROC_FD, REPORT_FD, os};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// How long a launch may take before it counts as hanging.
const PATIENCE_MS: i32 = 3_000;
/// How long the processes of a sandbox may outlive the launcher before they count as left behind.
const TEARDOWN: Duration = Duration::from_millis(1500);

/// Namespaces made once per worker.
pub struct Namespaces {
    /// What is open, by kind. Kinds that this machine refuses are missing.
    pub fds: Vec<(Prepared, OwnedFd)>,
    /// Processes that keep them alive.
    pub holders: Vec<i32>,
}

/// How a launcher ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exit status.
    Exit(i32),
    /// Killed by this signal.
    Signal(i32),
    /// Had to be killed.
    Hang,
}

/// Everything that came out of a launch, not normalised.
pub struct Raw {
    /// How the launcher ended.
    pub ended: Ended,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// The payload's report; empty when it did not run.
    pub report: Vec<u8>,
    /// Documents by label.
    pub documents: Vec<(&'static str, Vec<u8>)>,
    /// Processes still there after the launcher and a while.
    pub survivors: usize,
}

/// Descriptors of a launch: the number in the child, and the parent's copy.
struct Plumbing {
    ends: Vec<(i32, OwnedFd)>,
    collect: Vec<(&'static str, OwnedFd)>,
    stdout: Option<OwnedFd>,
    stderr: OwnedFd,
    report: OwnedFd,
    terminal: Option<OwnedFd>,
}

/// Lowest number of the parent's copies, above every number that the child uses.
const ABOVE: i32 = 300;

impl Plumbing {
    fn new(vector: &Vector, fds: &[(i32, FdSpec)], ns: &Namespaces) -> io::Result<Self> {
        let high = |fd: OwnedFd| os::dup_above(fd.as_raw_fd(), ABOVE);
        let report = os::memfd("report", b"")?;
        let stderr = os::memfd("stderr", b"")?;
        let mut out = Self {
            ends: vec![],
            collect: vec![],
            stdout: None,
            terminal: None,
            stderr: high(stderr.try_clone()?)?,
            report: high(report.try_clone()?)?,
        };
        out.ends.push((REPORT_FD, high(report)?));
        out.ends.push((2, high(stderr)?));
        let proc = os::open_at(libc::AT_FDCWD, b"/proc", libc::O_PATH | libc::O_DIRECTORY)?;
        out.ends.push((PROC_FD, high(proc)?));
        match vector.caller.stdin {
            Standard::Closed => {}
            Standard::Plain => out.ends.push((0, high(os::pipe()?.0)?)),
            _ => out.ends.push((0, high(File::open("/dev/null")?.into())?)),
        }
        out.standard_output(vector.caller.stdout)?;
        for (number, spec) in fds {
            let fd = match spec {
                FdSpec::Data(data) => os::memfd("data", data)?,
                FdSpec::Pipe(data) => {
                    let (read, write) = os::pipe()?;
                    os::write_all(write.as_raw_fd(), data)?;
                    read
                }
                FdSpec::Collect(label) => {
                    let fd = os::memfd("document", b"")?;
                    out.collect.push((label, high(fd.try_clone()?)?));
                    fd
                }
                FdSpec::Path(path, flags) => os::open_at(libc::AT_FDCWD, path, *flags)?,
                FdSpec::Ns(kind) => match ns.fds.iter().find(|(k, _)| k == kind) {
                    Some((_, fd)) => fd.try_clone()?,
                    None => continue,
                },
                FdSpec::Closed => continue,
            };
            out.ends.push((*number, high(fd)?));
        }
        Ok(out)
    }

    fn standard_output(&mut self, kind: Standard) -> io::Result<()> {
        let end: OwnedFd = match kind {
            Standard::Closed => return Ok(()),
            Standard::Null => File::options().write(true).open("/dev/null")?.into(),
            Standard::Terminal => {
                let (master, slave) = terminal()?;
                self.terminal = Some(os::dup_above(master.as_raw_fd(), ABOVE)?);
                slave
            }
            Standard::Plain => {
                let fd = os::memfd("stdout", b"")?;
                self.stdout = Some(os::dup_above(fd.as_raw_fd(), ABOVE)?);
                fd
            }
        };
        self.ends.push((1, os::dup_above(end.as_raw_fd(), ABOVE)?));
        Ok(())
    }
}

/// A new pseudo-terminal: master, slave.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let master = os::open_at(libc::AT_FDCWD, b"/dev/ptmx", flags)?;
    let mut number = 0i32;
    let unlock = 0i32;
    // SAFETY: both requests take a pointer to an integer.
    unsafe {
        os::check(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock).into())?;
        os::check(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number).into())?;
    }
    let slave = os::open_at(libc::AT_FDCWD, format!("/dev/pts/{number}").as_bytes(), flags)?;
    Ok((master, slave))
}

/// Runs `program` (as `argv[0] = "bwrap"`) on `vector`.
pub fn launch(program: &str, vector: &Vector, ns: &Namespaces) -> io::Result<Raw> {
    let rendered = vector.render();
    let plumbing = Plumbing::new(vector, &rendered.fds, ns)?;
    let program = os::cstr(program.as_bytes())?;
    let mut argv = vec![os::cstr(b"bwrap")?];
    for word in &rendered.argv {
        argv.push(os::cstr(word)?);
    }
    let env = vector.caller.env.iter().map(|e| os::cstr(e)).collect::<io::Result<Vec<_>>>()?;
    let cwd = os::cstr(&vector.caller.cwd)?;
    let Some(pid) = os::fork()? else {
        become_program(&program, &argv, &env, &cwd, &vector.caller, &plumbing.ends);
    };
    let Plumbing { ends, collect, stdout, stderr, report, terminal } = plumbing;
    drop(ends);
    let ended = wait_for(pid)?;
    let survivors = settle(&ns.holders);
    let content = |fd: &OwnedFd| -> io::Result<Vec<u8>> {
        os::rewind(fd.as_raw_fd())?;
        os::read_all(fd.as_raw_fd())
    };
    let mut out = match (&stdout, &terminal) {
        (Some(fd), _) => content(fd)?,
        (None, Some(master)) => drain(master.as_raw_fd()),
        (None, None) => vec![],
    };
    if terminal.is_some() {
        out.retain(|b| *b != b'\r');
    }
    let documents = collect.iter().map(|(l, fd)| Ok((*l, content(fd)?)));
    Ok(Raw {
        ended,
        stderr: content(&stderr)?,
        stdout: out,
        report: content(&report)?,
        documents: documents.collect::<io::Result<_>>()?,
        survivors,
    })
}

/// What the other side of a terminal wrote and is still there.
fn drain(master: RawFd) -> Vec<u8> {
    let mut out = vec![];
    let mut buffer = [0u8; 4096];
    while os::readable(master, 0) {
        // SAFETY: the buffer is valid for writes of its own length.
        let n = unsafe { libc::read(master, buffer.as_mut_ptr().cast(), buffer.len()) };
        if n <= 0 {
            break;
        }
        out.extend_from_slice(&buffer[..n as usize]);
    }
    out
}

/// The child's half: takes on the caller's state and executes. Allocates nothing but two lists.
fn become_program(
    program: &CString,
    argv: &[CString],
    env: &[CString],
    cwd: &CString,
    caller: &Caller,
    ends: &[(i32, OwnedFd)],
) -> ! {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: a forked child of a single-threaded process; every pointer refers to memory that
    // lives until execve, and all numbers above ABOVE are close-on-exec.
    unsafe {
        match caller.session {
            Session::Same => {}
            Session::Group => drop(libc::setpgid(0, 0)),
            Session::Own | Session::Terminal => drop(libc::setsid()),
        }
        for fd in 0..ABOVE {
            libc::close(fd);
        }
        for (number, fd) in ends {
            if libc::dup2(fd.as_raw_fd(), *number) < 0 {
                os::exit_now(96);
            }
        }
        if caller.session == Session::Terminal {
            libc::ioctl(1, libc::TIOCSCTTY, 0);
        }
        for (resource, value) in &caller.limits {
            let limit = libc::rlimit { rlim_cur: *value as _, rlim_max: *value as _ };
            libc::setrlimit(*resource as _, &raw const limit);
        }
        libc::umask(caller.umask);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        for signal in &caller.ignored {
            libc::signal(*signal, libc::SIG_IGN);
        }
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        for signal in &caller.blocked {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        if libc::chdir(cwd.as_ptr()) < 0 {
            os::exit_now(95);
        }
        libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr());
    }
    os::exit_now(94)
}

/// Waits for the launcher, killing it when it hangs.
fn wait_for(pid: i32) -> io::Result<Ended> {
    let fd = os::pidfd(pid)?;
    let hang = !os::readable(fd.as_raw_fd(), PATIENCE_MS);
    if hang {
        os::kill(pid);
    }
    let status = os::wait(pid, false)?.map_or(0, |(_, status)| status);
    Ok(match () {
        () if hang => Ended::Hang,
        () if libc::WIFSIGNALED(status) => Ended::Signal(libc::WTERMSIG(status)),
        () => Ended::Exit(libc::WEXITSTATUS(status)),
    })
}

/// Waits until only this process and `holders` are left in the pid namespace; kills and counts the
/// rest when that takes too long.
fn settle(holders: &[i32]) -> usize {
    let start = Instant::now();
    loop {
        while let Ok(Some(_)) = os::wait(-1, true) {}
        let rest = others(holders);
        // Twice: a process that forks and ends while the list is read can hide its child.
        if rest.is_empty() && others(holders).is_empty() {
            return 0;
        }
        if start.elapsed() > TEARDOWN {
            for pid in &rest {
                os::kill(*pid);
            }
            let patience = Instant::now();
            while !others(holders).is_empty() && patience.elapsed() < TEARDOWN {
                while let Ok(Some(_)) = os::wait(-1, true) {}
                std::thread::sleep(Duration::from_millis(1));
            }
            return rest.len();
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Every process of the world's pid namespace but this one and `holders`.
fn others(holders: &[i32]) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != 1 && !holders.contains(pid))
        .collect()
}
