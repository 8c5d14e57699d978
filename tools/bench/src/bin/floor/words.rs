//! The subset of bwrap's options the floor understands: what the measured profiles use.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::mem::MaybeUninit;

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
    pub ops: &'static [Op],
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
    /// First word of the command, counted from the first word `parse` did not take: 0, or -1 (all
    /// ones) when it had to take that word to see that it is no option.
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

/// Memory that starts as untouched zero pages and is handed out once.
#[repr(transparent)]
struct Room<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: the program parses in one thread before it starts any other process.
unsafe impl<T> Sync for Room<T> {}

/// At most this many operations.
const OPS: usize = 4096;
static OPERATIONS: Room<[Op; OPS]> = Room(UnsafeCell::new(MaybeUninit::uninit()));
static WORDS: Room<[u8; 1 << 20]> = Room(UnsafeCell::new(MaybeUninit::zeroed()));

/// Where the next word comes from.
type Next<'a> = &'a mut dyn FnMut() -> Option<&'static CStr>;

/// Parses the words that `next` yields (the program's own name not among them).
pub fn parse(next: Next<'_>) -> Plan {
    let ids = (id(libc::SYS_getuid), id(libc::SYS_getgid));
    let mut plan = Plan {
        ops: &[],
        namespaces: libc::CLONE_NEWUSER | libc::CLONE_NEWNS,
        as_pid_1: false,
        new_session: false,
        chdir: None,
        seccomp: None,
        command: 0,
        ids,
    };
    if options(&mut plan, next) {
        plan.command = usize::MAX;
    }
    plan
}

/// Adds an operation.
fn push(plan: &mut Plan, op: Op) {
    let n = plan.ops.len();
    if n == OPS {
        die(c"too many operations", 0);
    }
    let start = OPERATIONS.0.get().cast::<Op>();
    // SAFETY: slot n is inside the array and no reference covers it yet; after the write the first
    // n + 1 slots are initialised, and slots are never written twice.
    unsafe {
        start.add(n).write(op);
        plan.ops = core::slice::from_raw_parts(start, n + 1);
    }
}

fn id(nr: libc::c_long) -> u32 {
    raw(nr, [0; 6]).unwrap_or(0) as u32
}

/// Reads options; true when the last word taken is no option but the command's first.
fn options(plan: &mut Plan, next: Next<'_>) -> bool {
    while let Some(word) = next() {
        let name = word.to_bytes();
        if name == b"--" {
            return false;
        }
        if !name.starts_with(b"-") {
            return true;
        }
        option(plan, name, next);
    }
    false
}

/// Applies one option, whose arguments are the next words.
fn option(plan: &mut Plan, name: &[u8], next: Next<'_>) {
    use libc::{CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUTS};
    let mut arg = || next().unwrap_or_else(|| die(c"missing argument", 0));
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
            plan.chdir = Some(arg());
        }
        b"--seccomp" => {
            plan.seccomp = Some(number(arg()));
        }
        b"--args" => {
            let mut rest = file_bytes(number(arg()));
            options(plan, &mut || {
                let word = CStr::from_bytes_until_nul(rest).ok()?;
                rest = &rest[word.count_bytes() + 1..];
                Some(word)
            });
        }
        b"--proc" | b"--dev" | b"--tmpfs" | b"--dir" => {
            let kind = match name {
                b"--proc" => Kind::Proc,
                b"--dev" => Kind::DevFs,
                b"--tmpfs" => Kind::Tmpfs,
                _ => Kind::Dir,
            };
            push(plan, Op { kind, src: c"", dest: relative(arg()), fd: 0 });
        }
        b"--file" | b"--ro-bind-data" => {
            let kind = if name == b"--file" { Kind::File } else { Kind::RoData };
            push(plan, Op { kind, src: c"", fd: number(arg()), dest: relative(arg()) });
        }
        b"--ro-bind" | b"--bind" | b"--dev-bind" | b"--symlink" => {
            let kind = match name {
                b"--ro-bind" => Kind::Ro,
                b"--bind" => Kind::Rw,
                b"--dev-bind" => Kind::Dev,
                _ => Kind::Symlink,
            };
            push(plan, Op { kind, src: arg(), dest: relative(arg()), fd: 0 });
        }
        _ => die(c"unknown option", 0),
    }
}

/// Reads the file behind `fd`, at most 1 MiB; can be done once.
fn file_bytes(fd: usize) -> &'static [u8] {
    // SAFETY: zeroed bytes are initialised; the one `--args` of a launch makes the only reference.
    let buf = unsafe { (*WORDS.0.get()).assume_init_mut() };
    let mut len = 0;
    while let Ok(n) =
        raw(libc::SYS_read, [fd, buf[len..].as_mut_ptr() as usize, buf.len() - len, 0, 0, 0])
    {
        if n == 0 {
            break;
        }
        len += n;
    }
    sys::close(fd);
    &buf[..len]
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
