//! Processes and what they hold: those outside, pid 1 above, descriptors, the terminal, privileges.

use crate::check::facts::Facts;
use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, any, closed, open, probe, reached, tried, words,
};
use rustix::process::{Pid, Signal, kill_current_process_group, kill_process};
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use swathe_sys::probe::{self as calls};

use Class::{Escape, Leak};
use Layer::{Landlock, Launcher, Namespace, Seccomp};

/// The highest descriptor that is looked at.
const MAX_FD: i32 = 1024;

pub const PROBES: &[Probe] = &[
    probe("fd-directory", Escape, Launcher, "use a directory that the caller left open", |f| {
        let found = inherited().find(|fd| leaked(f, *fd));
        match found {
            Some(fd) => open(format!("descriptor {fd}")),
            None => closed("not passed on"),
        }
    }),
    probe("fd-any", Leak, Launcher, "find any descriptor above 2", |_| {
        let count = inherited().filter(|fd| *fd > 2).count();
        // The pipe that the finding goes to, and what is held for a moment.
        if count > 1 { open(format!("{} of them", count - 1)) } else { closed("none") }
    }),
    probe("fd-reopen", Escape, Launcher, "reopen a read-only standard input to write", |f| {
        let file = OpenOptions::new().write(true).open("/proc/self/fd/0");
        tried(file.and_then(|mut file| {
            use std::io::Write as _;
            file.write_all(f.secret().as_bytes())
        }))
    })
    .seen("/input"),
    probe("terminal", Escape, Launcher, "open the caller's terminal", |_| {
        tried(OpenOptions::new().read(true).write(true).open("/dev/tty"))
    }),
    probe("terminal-push", Escape, Seccomp, "type into a terminal (TIOCSTI)", |_| {
        terminal(calls::TtyCall::Push)
    }),
    probe("terminal-push-wide", Escape, Seccomp, "… with a request of 64 bits", |_| {
        terminal(calls::TtyCall::PushWide)
    }),
    probe("terminal-paste", Escape, Seccomp, "paste into a console (TIOCLINUX)", |_| {
        terminal(calls::TtyCall::Linux)
    }),
    probe("session", Escape, Launcher, "be in the caller's session", |f| {
        let victim = swathe_sys::process::session_of(f.victim);
        match swathe_sys::process::session_of(0) {
            // The number of a session that began outside of the namespace.
            Ok(0) => open("it began outside"),
            Ok(own) if !f.inside && victim == Ok(own) => open("it is the caller's"),
            Ok(_) => closed("one of its own"),
            Err(e) => closed(words(e)),
        }
    }),
    probe("process-list", Leak, Namespace, "see processes outside in /proc", |f| {
        let path = format!("/proc/{}/cmdline", f.victim);
        match std::fs::read(path) {
            Ok(text) if text.windows(8).any(|w| w == b"__victim") => open("the planted one"),
            Ok(_) => closed("another process"),
            Err(e) => closed(words(e)),
        }
    }),
    probe("process-environ", Leak, Namespace, "read the environment of one outside", |f| {
        search(f, format!("/proc/{}/environ", f.victim))
    }),
    probe("process-trace", Escape, Namespace, "trace one outside", |f| {
        tried(calls::seize(f.victim))
    }),
    probe("process-memory", Leak, Namespace, "read the memory of one outside", |f| {
        memory(f.victim)
    }),
    probe("process-priority", Escape, Namespace, "slow one outside down", |f| {
        tried(rustix::process::setpriority_process(Pid::from_raw(f.victim), 1))
    }),
    probe("process-signal", Escape, Namespace, "signal one outside by its pid", |f| {
        let pid = Pid::from_raw(f.victim).ok_or(rustix::io::Errno::SRCH);
        tried(pid.and_then(|pid| kill_process(pid, Signal::USR2)))
    })
    .seen("/signal-12"),
    probe("above-environ", Leak, Landlock, "read the environment of pid 1", |f| {
        // Whatever it holds, it is not the program's.
        tried(File::open(format!("/proc/{}/environ", f.above)).and_then(|mut file| {
            use std::io::Read as _;
            file.read(&mut [0; 1])
        }))
    }),
    probe("above-arguments", Leak, Launcher, "read the arguments of pid 1", |f| {
        match std::fs::read(format!("/proc/{}/cmdline", f.above)) {
            Ok(text) if text.iter().all(|byte| *byte == 0) => closed("empty"),
            // What stands for it may have been made empty but for its name.
            Ok(text) if !text.contains(&b'/') => closed("nothing but a name"),
            Ok(_) => open("they can be read"),
            Err(e) => closed(words(e)),
        }
    }),
    probe("above-memory", Escape, Landlock, "open the memory of pid 1", |f| {
        tried(File::open(format!("/proc/{}/mem", f.above)))
    }),
    probe("above-maps", Leak, Landlock, "read the memory map of pid 1", |f| {
        tried(std::fs::read(format!("/proc/{}/maps", f.above)))
    }),
    probe("above-files", Escape, Landlock, "follow descriptors of pid 1", |f| {
        // Numbers alone are no use.
        let entries = std::fs::read_dir(format!("/proc/{}/fd", f.above));
        any(match entries {
            Ok(entries) => entries.flatten().map(|e| tried(std::fs::read_link(e.path()))).collect(),
            Err(e) => vec![closed(words(e))],
        })
    }),
    probe("above-program", Escape, Landlock, "open the program of pid 1", |f| {
        tried(File::open(format!("/proc/{}/exe", f.above)))
    }),
    probe("above-root", Escape, Landlock, "enter the root of pid 1", |f| {
        tried(std::fs::read_dir(format!("/proc/{}/root/", f.above)))
    }),
    probe("above-directory", Escape, Landlock, "enter the directory of pid 1", |f| {
        tried(std::fs::read_dir(format!("/proc/{}/cwd/", f.above)))
    }),
    probe("above-namespaces", Escape, Landlock, "open the namespaces of pid 1", |f| {
        tried(File::open(format!("/proc/{}/ns/mnt", f.above)))
    }),
    probe("above-trace", Escape, Landlock, "trace pid 1", |f| tried(calls::seize(f.above))),
    probe("above-read", Escape, Landlock, "read the memory of pid 1 by a call", |f| {
        memory(f.above)
    }),
    probe("above-descriptor", Escape, Landlock, "take a descriptor of pid 1", |f| {
        let pid = Pid::from_raw(f.above).ok_or(rustix::io::Errno::SRCH);
        tried(pid.and_then(|pid| {
            let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
            rustix::process::pidfd_getfd(pidfd, 0, rustix::process::PidfdGetfdFlags::empty())
        }))
    }),
    probe("new-privileges", Escape, Launcher, "gain privileges by set-user-ID programs", |_| {
        match rustix::thread::no_new_privs() {
            Ok(true) => closed("no_new_privs is set"),
            Ok(false) => open("no_new_privs is not set"),
            Err(e) => closed(words(e)),
        }
    }),
    probe("capabilities", Escape, Launcher, "hold capabilities", |_| {
        status(&["CapEff", "CapPrm", "CapAmb"], |value| value.trim_matches('0').is_empty())
    }),
    probe("capabilities-bound", Escape, Launcher, "gain capabilities by programs", |_| {
        status(&["CapBnd", "CapInh"], |value| value.trim_matches('0').is_empty())
    }),
    probe("filter", Escape, Seccomp, "run without a filter of system calls", |_| {
        status(&["Seccomp"], |value| value == "2")
    }),
];

/// Signals to the process group: to everybody whom they reach, and so after all others.
pub const LAST: &[Probe] =
    &[probe("group-signal", Escape, Layer::Launcher, "signal the caller's process group", |_| {
        tried(kill_current_process_group(Signal::USR1))
    })
    .seen("/signal-10")];

/// Descriptors that are open, but the one that lists them.
fn inherited() -> impl Iterator<Item = i32> {
    (0..MAX_FD).filter(|fd| swathe_sys::process::borrow_fd(*fd).is_ok())
}

fn leaked(facts: &Facts, fd: i32) -> bool {
    let Ok(fd) = swathe_sys::process::borrow_fd(fd) else { return false };
    rustix::fs::fstat(fd).is_ok_and(|stat| facts.leaked.contains(&(stat.st_dev, stat.st_ino)))
}

fn search(facts: &Facts, path: String) -> Finding {
    let path = PathBuf::from(path);
    match facts.is_in_file(&path) {
        Ok(true) => open("the planted secret"),
        Ok(false) => closed("another process"),
        Err(e) => closed(words(e)),
    }
}

/// EFAULT: the memory could be read.
fn memory(pid: i32) -> Finding {
    match calls::read_memory(pid) {
        Ok(()) | Err(rustix::io::Errno::FAULT) => open("let through"),
        Err(e) => closed(words(e)),
    }
}

/// An ioctl on a terminal of the probe's own, as its controlling one.
fn terminal(call: calls::TtyCall) -> Finding {
    use rustix::pty::OpenptFlags;
    let made = || -> Result<_, rustix::io::Errno> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
        rustix::process::setsid()?;
        swathe_sys::terminal::set_controlling(&slave)?;
        Ok((master, slave))
    };
    match made() {
        Ok((_master, slave)) => match calls::tty_call(std::os::fd::AsFd::as_fd(&slave), call) {
            // The kernel's own switch (dev.tty.legacy_tiocsti).
            Err(rustix::io::Errno::IO) => closed("switched off on this machine"),
            result => reached(result),
        },
        Err(e) => absent(format!("no terminal can be made: {}", words(e))),
    }
}

/// Fields of the process's status that must be as they should.
fn status(names: &[&str], good: fn(&str) -> bool) -> Finding {
    let text = match std::fs::read_to_string("/proc/self/status") {
        Ok(text) => text,
        Err(e) => return absent(words(e)),
    };
    any(names.iter().map(|name| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        match value.map(str::trim) {
            Some(value) if good(value) => closed(format!("{name} is {value}")),
            Some(value) => open(format!("{name} is {value}")),
            None => absent(format!("the kernel has no {name}")),
        }
    }))
}
