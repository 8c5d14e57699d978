//! The state in which the launcher is started.

// The type of resource numbers differs between C libraries.
#![allow(clippy::unnecessary_cast)]

use super::Gen;
use crate::vector::{Caller, FdSpec, Session, Standard};

pub(super) fn choose(g: &mut Gen) -> Caller {
    let mut out = Caller::default();
    if g.rng.chance(40) {
        return out;
    }
    if g.rng.chance(50) {
        let list = [
            "/h/src/d1",
            "/tmp",
            "/home/u",
            "/h/src",
            "/usr",
            "/m/plain/nest",
            "/opt/differ",
            "/h/rw/in",
        ];
        out.cwd = g.rng.pick(&list).as_bytes().to_vec();
    }
    match g.rng.below(10) {
        0 => out.env.clear(),
        1 => out.env.extend([
            b"ODD=\xff\n".to_vec(),
            b"EMPTY=".to_vec(),
            b"A=1".to_vec(),
            b"A=2".to_vec(),
        ]),
        2 => out.env.extend([b"PWD=/elsewhere".to_vec(), b"NOEQUALS".to_vec()]),
        3 => out.env.retain(|e| !e.starts_with(b"HOME=")),
        4 => out.env.extend([b"HOME=/tmp".to_vec(), b"=x=y".to_vec()]),
        5 => out.env.retain(|e| !e.starts_with(b"PATH=")),
        _ => {}
    }
    if g.rng.chance(40) {
        out.umask = *g.rng.pick(&[0, 0o077, 0o027, 0o777, 0o002]);
    }
    if g.rng.chance(25) {
        let choices = [
            (libc::RLIMIT_CORE as i32, 0),
            (libc::RLIMIT_NOFILE as i32, 512),
            (libc::RLIMIT_STACK as i32, 1 << 20),
            (libc::RLIMIT_FSIZE as i32, 1 << 22),
        ];
        out.limits.push(*g.rng.pick(&choices));
    }
    if g.rng.chance(25) {
        out.ignored = g
            .rng
            .pick(&[
                vec![libc::SIGPIPE],
                vec![libc::SIGHUP, libc::SIGINT],
                vec![libc::SIGCHLD],
                vec![libc::SIGTERM, libc::SIGUSR1],
            ])
            .clone();
    }
    if g.rng.chance(25) {
        out.blocked = g
            .rng
            .pick(&[
                vec![libc::SIGCHLD],
                vec![libc::SIGUSR1, libc::SIGTERM],
                vec![libc::SIGINT],
                vec![libc::SIGALRM, libc::SIGCHLD, 40],
            ])
            .clone();
    }
    if g.rng.chance(30) {
        out.session = *g.rng.pick(&[Session::Group, Session::Own]);
    }
    if g.rng.chance(30) {
        out.stdin = *g.rng.pick(&[Standard::Plain, Standard::Closed]);
    }
    match g.rng.below(12) {
        0 => out.stdout = Standard::Null,
        1 => out.stdout = Standard::Closed,
        2 | 3 if g.terminals => {
            out.stdout = Standard::Terminal;
            out.session = *g.rng.pick(&[Session::Terminal, Session::Own, Session::Same]);
        }
        _ => {}
    }
    for _ in 0..g.rng.below(3) {
        out.extra.push(match g.rng.below(4) {
            0 => FdSpec::Data(b"inherited".to_vec()),
            1 => FdSpec::Pipe(b"inherited".to_vec()),
            2 => FdSpec::Path(b"/h/src".to_vec(), libc::O_RDONLY | libc::O_DIRECTORY),
            _ => FdSpec::Path(b"/h/src/a".to_vec(), libc::O_RDWR),
        });
    }
    out
}
