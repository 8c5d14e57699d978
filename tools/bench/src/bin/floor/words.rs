//! The subset of bwrap's options the floor understands: what the measured profiles use.

use std::ffi::CStr;

use crate::sys::{self, die, raw};

/// One file-system operation.
#[derive(Clone, Copy)]
pub struct Op {
    /// What to do.
    pub kind: Kind,
    /// Source path, or symlink target; empty where the operation has none.
    pub src: &'static CStr,
    /// Destination without its leading slashes; `.` for the root.
    pub dest: &'static CStr,
    /// Descriptor with a file's content, where the operation takes one.
    pub fd: usize,
}

/// Kinds of operation; the binds first, so that `is_bind` is one comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Kind {
    /// `--ro-bind`
    Ro,
    /// `--bind`
    Rw,
    /// `--dev-bind`
    Dev,
    /// `--symlink`
    Symlink,
    /// `--proc`
    Proc,
    /// `--dev`
    DevFs,
    /// `--tmpfs`
    Tmpfs,
    /// `--dir`
    Dir,
    /// `--file`
    File,
    /// `--ro-bind-data`
    RoData,
}

/// What one command line asks for.
pub struct Plan {
    /// The operations in order.
    pub ops: Vec<Op>,
    /// `CLONE_NEW*` flags asked for.
    pub namespaces: i32,
    /// Run the payload as pid 1.
    pub as_pid_1: bool,
    /// Start a session.
    pub new_session: bool,
    /// Working directory.
    pub chdir: Option<&'static CStr>,
    /// Descriptor with the filter program.
    pub seccomp: Option<usize>,
    /// First word of the command among the program's own arguments.
    pub command: usize,
    /// The caller's ids.
    pub ids: (u32, u32),
}

impl Plan {
    /// Whether a `/dev` was asked for: its devpts needs uid 0 in a first user namespace.
    pub fn devpts(&self) -> bool {
        self.ops.iter().any(|op| op.kind == Kind::DevFs)
    }
}

/// Parses `words` (the program's arguments, name first).
pub fn parse(words: &[&'static CStr]) -> Plan {
    let ids = (id(libc::SYS_getuid), id(libc::SYS_getgid));
    let mut plan = Plan {
        ops: Vec::with_capacity(words.len()),
        namespaces: libc::CLONE_NEWUSER | libc::CLONE_NEWNS,
        as_pid_1: false,
        new_session: false,
        chdir: None,
        seccomp: None,
        command: 0,
        ids,
    };
    plan.command = 1 + options(&mut plan, &words[1..]);
    if plan.command >= words.len() {
        die(c"no command", 0);
    }
    plan
}

fn id(nr: libc::c_long) -> u32 {
    raw(nr, [0; 6]).unwrap_or(0) as u32
}

/// Reads options from `words`; returns the index of the first word that is none.
fn options(plan: &mut Plan, words: &[&'static CStr]) -> usize {
    let mut i = 0;
    while let Some(word) = words.get(i) {
        let name = word.to_bytes();
        if name == b"--" {
            return i + 1;
        }
        if !name.starts_with(b"-") {
            return i;
        }
        i += 1 + option(plan, name, &words[i + 1..]);
    }
    i
}

/// Applies one option; returns how many of the `rest` words it took.
fn option(plan: &mut Plan, name: &[u8], rest: &[&'static CStr]) -> usize {
    use libc::{CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUTS};
    let arg = |i: usize| *rest.get(i).unwrap_or_else(|| die(c"missing argument", 0));
    let all = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    match name {
        b"--unshare-all" => plan.namespaces |= all,
        b"--share-net" => plan.namespaces &= !CLONE_NEWNET,
        b"--unshare-user" | b"--die-with-parent" => {}
        b"--unshare-pid" => plan.namespaces |= CLONE_NEWPID,
        b"--unshare-net" => plan.namespaces |= CLONE_NEWNET,
        b"--unshare-ipc" => plan.namespaces |= CLONE_NEWIPC,
        b"--unshare-uts" => plan.namespaces |= CLONE_NEWUTS,
        b"--unshare-cgroup" => plan.namespaces |= CLONE_NEWCGROUP,
        b"--as-pid-1" => plan.as_pid_1 = true,
        b"--new-session" => plan.new_session = true,
        b"--chdir" => {
            plan.chdir = Some(arg(0));
            return 1;
        }
        b"--seccomp" => {
            plan.seccomp = Some(number(arg(0)));
            return 1;
        }
        b"--args" => {
            let words = file_words(number(arg(0)));
            options(plan, &words);
            return 1;
        }
        b"--proc" | b"--dev" | b"--tmpfs" | b"--dir" => {
            let kind = match name {
                b"--proc" => Kind::Proc,
                b"--dev" => Kind::DevFs,
                b"--tmpfs" => Kind::Tmpfs,
                _ => Kind::Dir,
            };
            plan.ops.push(Op { kind, src: c"", dest: relative(arg(0)), fd: 0 });
            return 1;
        }
        b"--file" | b"--ro-bind-data" => {
            let kind = if name == b"--file" { Kind::File } else { Kind::RoData };
            plan.ops.push(Op { kind, src: c"", dest: relative(arg(1)), fd: number(arg(0)) });
            return 2;
        }
        b"--ro-bind" | b"--bind" | b"--dev-bind" | b"--symlink" => {
            let kind = match name {
                b"--ro-bind" => Kind::Ro,
                b"--bind" => Kind::Rw,
                b"--dev-bind" => Kind::Dev,
                _ => Kind::Symlink,
            };
            plan.ops.push(Op { kind, src: arg(0), dest: relative(arg(1)), fd: 0 });
            return 2;
        }
        _ => die(c"unknown option", 0),
    }
    0
}

/// Reads the NUL-separated words behind `fd` (at most 1 MiB) into memory that is never freed.
fn file_words(fd: usize) -> Vec<&'static CStr> {
    let buf = Box::leak(vec![0u8; 1 << 20].into_boxed_slice());
    let mut len = 0;
    while let Ok(n) =
        raw(libc::SYS_read, [fd, buf[len..].as_mut_ptr() as usize, buf.len() - 1 - len, 0, 0, 0])
    {
        if n == 0 {
            break;
        }
        len += n;
    }
    sys::close(fd);
    let mut words = Vec::with_capacity(4096);
    let mut rest: &'static [u8] = &buf[..len];
    while let Ok(word) = CStr::from_bytes_until_nul(rest) {
        words.push(word);
        rest = &rest[word.count_bytes() + 1..];
    }
    words
}

fn number(word: &CStr) -> usize {
    word.to_bytes().iter().fold(0, |n, d| n * 10 + usize::from(d.wrapping_sub(b'0')))
}

/// Drops leading slashes; `.` when nothing is left.
fn relative(path: &'static CStr) -> &'static CStr {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().take_while(|b| **b == b'/').count();
    match CStr::from_bytes_with_nul(&bytes[start..]) {
        Ok(rest) if !rest.is_empty() => rest,
        _ => c".",
    }
}
