//! The floor's mount work: detached trees, one attribute call each, one move each.

use core::ffi::CStr;
use core::mem::size_of;

use crate::sys::{at, close, must, p, raw};
use crate::words::{Kind, Op, Plan};

const OPEN_TREE_CLONE: usize = 1;
const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
const AT_RECURSIVE: usize = 0x8000;
const AT_EMPTY_PATH: usize = libc::AT_EMPTY_PATH as usize;
const CLOEXEC: usize = libc::O_CLOEXEC as usize;
const FSCONFIG_SET_STRING: usize = 1;
const FSCONFIG_CMD_CREATE: usize = 6;
const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;
const DEVICES: [&CStr; 6] =
    [c"/dev/null", c"/dev/zero", c"/dev/full", c"/dev/random", c"/dev/urandom", c"/dev/tty"];
const LINKS: [(&CStr, &[u8]); 5] = [
    (c"/proc/self/fd/0", b"stdin"),
    (c"/proc/self/fd/1", b"stdout"),
    (c"/proc/self/fd/2", b"stderr"),
    (c"/proc/self/fd", b"fd"),
    (c"/proc/kcore", b"core"),
];

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

fn setattr(dir: usize, path: &CStr, flags: usize, set: u64) {
    let attr = MountAttr { set, clear: 0, propagation: 0, userns: 0 };
    let a = [dir, p(path), flags, &raw const attr as usize, size_of::<MountAttr>(), 0];
    must(c"mount_setattr", libc::SYS_mount_setattr, a);
}

fn attributes(kind: Kind) -> u64 {
    match kind {
        Kind::Ro => RDONLY | NOSUID | NODEV,
        Kind::Rw => NOSUID | NODEV,
        _ => 0,
    }
}

/// Copies the mounts at `src` and sets the copy's attributes while nobody can reach it.
fn tree(op: &Op) -> usize {
    let fd = must(
        op.src,
        libc::SYS_open_tree,
        [at(libc::AT_FDCWD), p(op.src), OPEN_TREE_CLONE | AT_RECURSIVE | CLOEXEC, 0, 0, 0],
    );
    let set = attributes(op.kind);
    if set != 0 {
        setattr(fd, c"", AT_EMPTY_PATH | AT_RECURSIVE, set);
    }
    fd
}

/// A new file system of type `name` with up to two options, as a detached mount.
fn new_fs(name: &CStr, set: u64, options: &[(&CStr, &CStr)]) -> usize {
    let fs = must(name, libc::SYS_fsopen, [p(name), 1, 0, 0, 0, 0]);
    for (key, value) in options {
        must(key, libc::SYS_fsconfig, [fs, FSCONFIG_SET_STRING, p(key), p(value), 0, 0]);
    }
    must(name, libc::SYS_fsconfig, [fs, FSCONFIG_CMD_CREATE, 0, 0, 0, 0]);
    let mount = must(name, libc::SYS_fsmount, [fs, 1, set as usize, 0, 0, 0]);
    close(fs);
    mount
}

fn attach(mount: usize, root: usize, dest: &CStr) {
    must(dest, libc::SYS_move_mount, [mount, p(c""), root, p(dest), MOVE_MOUNT_F_EMPTY_PATH, 0]);
    close(mount);
}

/// Runs `make`; when a parent directory is missing, makes the parents and runs it again.
fn with_parents(root: usize, path: &CStr, make: impl Fn() -> Result<usize, i32>) -> Option<usize> {
    match make() {
        Ok(v) => Some(v),
        Err(libc::ENOENT) => {
            let bytes = path.to_bytes();
            let mut buf = [0u8; 4096];
            for (i, b) in bytes.iter().enumerate().take(buf.len() - 1) {
                if *b == b'/' {
                    let _ = raw(libc::SYS_mkdirat, [root, buf.as_ptr() as usize, 0o755, 0, 0, 0]);
                }
                buf[i] = *b;
            }
            make().ok()
        }
        Err(_) => None,
    }
}

fn make_dir(root: usize, path: &CStr) {
    if path != c"." {
        with_parents(root, path, || raw(libc::SYS_mkdirat, [root, p(path), 0o755, 0, 0, 0]));
    }
}

fn make_file(root: usize, path: &CStr) -> Option<usize> {
    let flags = (libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    with_parents(root, path, || raw(libc::SYS_openat, [root, p(path), flags, 0o644, 0, 0]))
}

fn is_dir(fd: usize) -> bool {
    let mut st = core::mem::MaybeUninit::<libc::stat>::zeroed();
    let r = raw(libc::SYS_newfstatat, [fd, p(c""), st.as_mut_ptr() as usize, AT_EMPTY_PATH, 0, 0]);
    // SAFETY: `stat` is plain data and was zeroed, so it is initialised whatever the call did.
    let st = unsafe { st.assume_init() };
    r.is_err() || st.st_mode & libc::S_IFMT == libc::S_IFDIR
}

fn bind(root: usize, mount: usize, dest: &CStr) {
    if is_dir(mount) {
        make_dir(root, dest);
    } else if let Some(fd) = make_file(root, dest) {
        close(fd);
    }
    attach(mount, root, dest);
}

fn dev(root: usize, dest: &CStr) {
    let mut buf = [0u8; 512];
    make_dir(root, dest);
    attach(new_fs(c"tmpfs", NOSUID, &[(c"mode", c"0755")]), root, dest);
    for node in DEVICES {
        let path = join(&mut buf, dest, &node.to_bytes()[5..]);
        if let Some(fd) = make_file(root, path) {
            close(fd);
        }
        let mount = must(
            node,
            libc::SYS_open_tree,
            [at(libc::AT_FDCWD), p(node), OPEN_TREE_CLONE | CLOEXEC, 0, 0, 0],
        );
        attach(mount, root, path);
    }
    for (target, name) in LINKS {
        let _ = raw(libc::SYS_symlinkat, [p(target), root, p(join(&mut buf, dest, name)), 0, 0, 0]);
    }
    make_dir(root, join(&mut buf, dest, b"shm"));
    let _ =
        raw(libc::SYS_symlinkat, [p(c"pts/ptmx"), root, p(join(&mut buf, dest, b"ptmx")), 0, 0, 0]);
    let pts = join(&mut buf, dest, b"pts");
    make_dir(root, pts);
    attach(
        new_fs(c"devpts", NOSUID | NOEXEC, &[(c"ptmxmode", c"0666"), (c"mode", c"620")]),
        root,
        pts,
    );
}

/// `dir/name` in `buf`; both are short here.
fn join<'a>(buf: &'a mut [u8; 512], dir: &CStr, name: &[u8]) -> &'a CStr {
    let dir = dir.to_bytes();
    let end = dir.len() + 1 + name.len();
    buf[..dir.len()].copy_from_slice(dir);
    buf[dir.len()] = b'/';
    buf[dir.len() + 1..end].copy_from_slice(name);
    buf[end] = 0;
    CStr::from_bytes_with_nul(&buf[..=end]).unwrap_or(c"")
}

/// Copies what is behind `op.fd` into a new file; `--ro-bind-data` then covers it read-only.
fn data(root: usize, op: &Op) {
    let Some(file) = make_file(root, op.dest) else { return };
    let mut buf = [0u8; 8192];
    while let Ok(n) = raw(libc::SYS_read, [op.fd, buf.as_mut_ptr() as usize, buf.len(), 0, 0, 0]) {
        if n == 0 {
            break;
        }
        must(op.dest, libc::SYS_write, [file, buf.as_ptr() as usize, n, 0, 0, 0]);
    }
    close(file);
    if op.kind == Kind::RoData {
        let mount = must(
            op.dest,
            libc::SYS_open_tree,
            [root, p(op.dest), OPEN_TREE_CLONE | CLOEXEC, 0, 0, 0],
        );
        setattr(mount, c"", AT_EMPTY_PATH, RDONLY | NOSUID | NODEV);
        attach(mount, root, op.dest);
    }
}

fn operation(root: usize, op: &Op, opened: Option<usize>) {
    match op.kind {
        Kind::Ro | Kind::Rw | Kind::Dev => bind(root, opened.unwrap_or_else(|| tree(op)), op.dest),
        Kind::Symlink => {
            with_parents(root, op.dest, || {
                raw(libc::SYS_symlinkat, [p(op.src), root, p(op.dest), 0, 0, 0])
            });
        }
        Kind::Dir => make_dir(root, op.dest),
        Kind::Tmpfs => {
            make_dir(root, op.dest);
            attach(new_fs(c"tmpfs", NOSUID | NODEV, &[(c"mode", c"0755")]), root, op.dest);
        }
        Kind::Proc => {
            make_dir(root, op.dest);
            attach(new_fs(c"proc", NOSUID | NODEV | NOEXEC, &[]), root, op.dest);
        }
        Kind::DevFs => dev(root, op.dest),
        Kind::File | Kind::RoData => data(root, op),
    }
}

/// Gives the process the file system the plan asks for.
pub fn set_up(plan: &Plan) {
    let _ = raw(libc::SYS_umask, [0; 6]);
    let Some(first) = plan.ops.first() else { return };
    let whole = first.dest == c"." && first.kind <= Kind::Dev && first.src == c"/";
    if whole {
        in_place(plan, first)
    } else {
        new_root(plan)
    }
    let _ = raw(libc::SYS_umask, [0o022, 0, 0, 0, 0, 0]);
}

/// Keeps the namespace's own copy of the host's tree: no second copy, no pivot, no umount.
fn in_place(plan: &Plan, first: &Op) {
    // Sources are opened before the tree changes under them.
    let mut opened = [usize::MAX; 64];
    for (slot, op) in opened.iter_mut().zip(&plan.ops[1..]) {
        if op.kind <= Kind::Dev {
            *slot = tree(op);
        }
    }
    setattr(at(libc::AT_FDCWD), c"/", AT_RECURSIVE, attributes(first.kind));
    if plan.ops.len() == 1 {
        return;
    }
    let root = open_root();
    for (i, op) in plan.ops[1..].iter().enumerate() {
        let fd = opened.get(i).copied().filter(|fd| *fd != usize::MAX);
        operation(root, op, fd);
    }
    close(root);
}

fn open_root() -> usize {
    let flags = (libc::O_PATH | libc::O_CLOEXEC) as usize;
    must(c"/", libc::SYS_openat, [at(libc::AT_FDCWD), p(c"/"), flags, 0, 0, 0])
}

/// Builds a detached root, fills it, puts it over the old one and leaves that.
fn new_root(plan: &Plan) {
    let root = new_fs(c"tmpfs", NOSUID | NODEV, &[(c"mode", c"0755")]);
    for op in plan.ops {
        operation(root, op, None);
    }
    let old = open_root();
    must(
        c"attach root",
        libc::SYS_move_mount,
        [root, p(c""), at(libc::AT_FDCWD), p(c"/"), MOVE_MOUNT_F_EMPTY_PATH, 0],
    );
    must(c"fchdir", libc::SYS_fchdir, [root, 0, 0, 0, 0, 0]);
    must(c"pivot_root", libc::SYS_pivot_root, [p(c"."), p(c"."), 0, 0, 0, 0]);
    must(c"fchdir", libc::SYS_fchdir, [old, 0, 0, 0, 0, 0]);
    must(c"umount", libc::SYS_umount2, [p(c"."), libc::MNT_DETACH as usize, 0, 0, 0, 0]);
    must(c"chdir", libc::SYS_chdir, [p(c"/"), 0, 0, 0, 0, 0]);
    close(old);
    close(root);
}
