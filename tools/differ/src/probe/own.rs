//! What the process holds: arguments, environment, descriptors, limits, signals, working directory.

use crate::Report;
use std::ffi::CStr;
use swathe_differ::{PROC_FD, escape, os};

/// Reports everything of this module.
pub fn report(out: &mut Report, args: &[&[u8]]) {
    for arg in args.iter().take(2) {
        out.bytes("argv", arg);
    }
    environment(out);
    descriptors(out);
    limits(out);
    signals(out);
    directory(out);
    terminal(out);
    // SAFETY: umask takes and returns integers; the old value is not needed afterwards.
    out.add("umask", &format!("{:03o}", unsafe { libc::umask(0) }));
}

fn environment(out: &mut Report) {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: environ is the process's own null-terminated list of C strings, never changed here.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            out.bytes("env", CStr::from_ptr(*at).to_bytes());
            at = at.add(1);
        }
    }
}

fn descriptors(out: &mut Report) {
    for fd in 0..1024 {
        // SAFETY: plain integers.
        let (flags, close) =
            unsafe { (libc::fcntl(fd, libc::F_GETFL), libc::fcntl(fd, libc::F_GETFD)) };
        if flags < 0 {
            continue;
        }
        let target = os::readlink_at(PROC_FD, format!("self/fd/{fd}").as_bytes())
            .unwrap_or_else(|e| e.to_string().into_bytes());
        // SAFETY: plain integers.
        let offset = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
        // The report's own offset and those of the output files depend on nothing of interest.
        let offset = if offset < 0 || matches!(fd, 1 | 2) { 0 } else { offset };
        out.add("fd", &format!("{fd} {flags:o} {close} {offset} {}", escape::line(&target)));
    }
}

fn limits(out: &mut Report) {
    for resource in 0..16 {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the structure is valid for the result.
        unsafe { libc::getrlimit(resource as _, &raw mut limit) };
        out.add("rlimit", &format!("{resource} {} {}", limit.rlim_cur, limit.rlim_max));
    }
}

fn signals(out: &mut Report) {
    let status = os::slurp_at(PROC_FD, "self/status").unwrap_or_default();
    for line in String::from_utf8_lossy(&status).lines() {
        let key = line.split(':').next().unwrap_or_default();
        match key {
            "SigPnd" | "ShdPnd" | "SigBlk" | "SigIgn" | "SigCgt" => out.add("signal", line),
            "CapInh" | "CapPrm" | "CapEff" | "CapBnd" | "CapAmb" => out.add("cap", line),
            "NoNewPrivs" | "Seccomp" | "Seccomp_filters" => out.add("filter", line),
            "Uid" | "Gid" | "Groups" => out.add("id", line),
            "Umask" | "Name" | "Threads" | "CoreDumping" | "THP_enabled" => {
                out.add("status", line);
            }
            _ => {}
        }
    }
}

fn directory(out: &mut Report) {
    let mut buffer = [0u8; 4096];
    // SAFETY: the raw call writes at most the buffer's length. The libc wrapper of some C
    // libraries hides the "(unreachable)" form, which matters here.
    let n = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    let n = usize::try_from(n).unwrap_or(0);
    out.bytes("cwd", buffer[..n].strip_suffix(b"\0").unwrap_or(&buffer[..n]));
}

fn terminal(out: &mut Report) {
    for fd in 0..3 {
        // SAFETY: plain integers.
        let (tty, owner) = unsafe { (libc::isatty(fd), libc::tcgetsid(fd)) };
        out.add(
            "tty",
            &format!("{fd} isatty={tty} session={}", if owner > 0 { "some" } else { "none" }),
        );
    }
    let answer = os::open_at(libc::AT_FDCWD, b"/dev/tty", libc::O_RDWR | libc::O_NOCTTY)
        .map_or_else(|e| e.to_string(), |_| "opens".into());
    out.add("tty", &format!("/dev/tty {answer}"));
}
