//! The world that launches happen in: a private root file system, so that nothing a vector does
//! can reach the machine, and every path is the same for both programs.

use crate::{PLAIN_ID, os};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// What the world is made from.
pub struct Setup {
    /// The reference program.
    pub oracle: PathBuf,
    /// The program under test.
    pub ours: PathBuf,
    /// The static payload.
    pub probe: PathBuf,
    /// Run as an ordinary user (only meaningful when started as root).
    pub plain: bool,
    /// An empty directory of the machine to build on.
    pub base: PathBuf,
}

/// What a finished world knows of itself.
pub struct World {
    /// Directories whose content belongs to the machine.
    pub foreign: Vec<PathBuf>,
    /// `major:minor` of the machine's file systems: not listed by the payload.
    pub skip: Vec<String>,
    /// Whether pseudo-terminals can be made.
    pub terminals: bool,
}

const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

/// Says which step failed.
fn step<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|e| io::Error::new(e.kind(), format!("{what}: {e}")))
}

/// Builds the world around this process, which must be pid 1 of its own pid namespace with mount
/// privileges, and enters it. Ends with the identity that launches shall have.
pub fn enter(setup: &Setup) -> io::Result<World> {
    let root = setup.base.as_path();
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    let tmpfs =
        |p: &Path, data: &str| os::mount("tmpfs", p.as_os_str().as_bytes(), "tmpfs", 0, data);
    step("private mounts", os::mount("", b"/", "", libc::MS_REC | libc::MS_PRIVATE, ""))?;
    step("root", tmpfs(root, "mode=0755"))?;
    let mut foreign = vec![];
    for path in ["/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin"] {
        step(path, borrow(Path::new(path), root, &mut foreign))?;
    }
    for program in [&setup.oracle, &setup.ours] {
        if let Some(tree) = own_tree(program) {
            step("program tree", borrow(&tree, root, &mut foreign))?;
        }
    }
    let skip = foreign
        .iter()
        .filter_map(|p| fs::metadata(p).ok())
        .map(|d| format!("{}:{}", libc::major(d.dev()), libc::minor(d.dev())));
    let skip = skip.collect();
    fs::create_dir_all(at("/opt/differ"))?;
    for (from, to) in [(&setup.oracle, "oracle"), (&setup.ours, "ours"), (&setup.probe, "probe")] {
        let to = at("/opt/differ").join(to);
        step(&format!("copy {}", from.display()), fs::copy(from, &to).map(|_| ()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    step("devices", devices(root))?;
    fs::create_dir(at("/proc"))?;
    let proc = at("/proc");
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    step("proc", os::mount("proc", proc.as_os_str().as_bytes(), "proc", flags, ""))?;
    step("pivot", os::pivot_into(root.as_os_str().as_bytes()))?;
    let terminals = terminals();
    let root_started = fs::metadata("/proc/self")?.uid() == 0;
    let owner =
        if root_started && setup.plain { PLAIN_ID } else { fs::metadata("/proc/self")?.uid() };
    step("files", files(owner))?;
    step("mounts", submounts(owner))?;
    if root_started && setup.plain {
        step("drop", drop_to(PLAIN_ID))?;
    } else if !root_started {
        step("drop", forget_capabilities())?;
    }
    Ok(World { foreign, skip, terminals })
}

/// Shows a path of the machine, read-only, at the same place below `root`.
fn borrow(path: &Path, root: &Path, foreign: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(data) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let target = root.join(path.strip_prefix("/").unwrap_or(path));
    if fs::symlink_metadata(&target).is_ok() {
        return Ok(());
    }
    if data.is_symlink() {
        return symlink(fs::read_link(path)?, target);
    }
    fs::create_dir_all(&target)?;
    let source = path.to_string_lossy();
    let bytes = target.as_os_str().as_bytes();
    os::mount(&source, bytes, "", libc::MS_BIND | libc::MS_REC, "")?;
    os::mount_setattr(bytes, RDONLY, 0, true)?;
    foreign.push(path.to_path_buf());
    Ok(())
}

/// The directory that a program brought along with its libraries, when it lies in one:
/// `DIR/usr/bin/NAME`.
fn own_tree(program: &Path) -> Option<PathBuf> {
    let bin = program.parent()?;
    let tree = bin.parent()?.parent()?;
    (bin.ends_with("usr/bin") && tree != Path::new("/")).then(|| tree.to_path_buf())
}

fn devices(root: &Path) -> io::Result<()> {
    let dev = root.join("dev");
    fs::create_dir(&dev)?;
    os::mount("tmpfs", dev.as_os_str().as_bytes(), "tmpfs", libc::MS_NOSUID, "mode=0755")?;
    let nodes = [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ];
    for (name, major, minor) in nodes {
        let target = dev.join(name);
        // Own nodes where that is possible: what root's vectors do to them must not reach the
        // machine. An ordinary user has to borrow the machine's, and cannot change those.
        let path = os::cstr(target.as_os_str().as_bytes())?;
        let mode = libc::S_IFCHR | 0o666;
        // SAFETY: a valid C string and integers.
        if unsafe { libc::mknod(path.as_ptr(), mode, libc::makedev(major, minor)) } == 0 {
            fs::set_permissions(&target, fs::Permissions::from_mode(0o666))?;
            continue;
        }
        fs::write(&target, "")?;
        os::mount(&format!("/dev/{name}"), target.as_os_str().as_bytes(), "", libc::MS_BIND, "")?;
    }
    fs::create_dir(dev.join("shm"))?;
    fs::create_dir(dev.join("pts"))?;
    symlink("pts/ptmx", dev.join("ptmx"))?;
    symlink("/proc/self/fd", dev.join("fd"))
}

/// Mounts an own devpts; a user without root in their namespace cannot.
fn terminals() -> bool {
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
    os::mount("devpts", b"/dev/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=0620").is_ok()
}

/// Names that a parser of mount tables, of overlay options or of text gets wrong.
pub const ODD: [&[u8]; 9] = [
    b"new\nline",
    b"back\\slash",
    b"com,ma",
    b"co:lon",
    b"tab\there",
    b"sp ace",
    b"\xff\xfe",
    b"quo\"te'",
    b"oct\\040al",
];

/// Files of the world. Contents differ, so that a listing says which file was mounted.
fn files(owner: u32) -> io::Result<()> {
    let dir = |path: &str, mode: u32, uid: u32| -> io::Result<()> {
        fs::create_dir_all(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        chown(path, Some(uid), Some(uid))
    };
    let file = |path: &str, mode: u32, uid: u32| -> io::Result<()> {
        fs::write(path, format!("content of {path}\n"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        chown(path, Some(uid), Some(uid))
    };
    let system = fs::metadata("/")?.uid();
    for path in [
        "/etc",
        "/run",
        "/var",
        "/var/lib",
        "/sys",
        "/opt/closed",
        "/opt/closed/open",
        "/home",
        "/mnt",
    ] {
        dir(path, 0o755, system)?;
    }
    dir("/tmp", 0o1777, system)?;
    symlink("../run", "/var/run")?;
    symlink("/tmp", "/var/tmp")?;
    for name in ["passwd", "hosts", "resolv.conf"] {
        file(&format!("/etc/{name}"), 0o644, system)?;
    }
    symlink("../run/localtime", "/etc/localtime")?;
    file("/opt/closed/open/f", 0o644, system)?;
    fs::set_permissions("/opt/closed", fs::Permissions::from_mode(0o711))?;
    for path in [
        "/home/u",
        "/h",
        "/h/src",
        "/h/src/d1",
        "/h/src/d1/sub",
        "/h/src/d1/sub/deep",
        "/h/src/d2",
        "/h/rw",
        "/h/rw/in",
        "/h/up",
        "/h/work",
        "/h/low",
        "/h/odd",
    ] {
        dir(path, 0o755, owner)?;
    }
    for path in [
        "/h/src/a",
        "/h/src/b",
        "/h/src/d1/f1",
        "/h/src/d1/sub/f2",
        "/h/src/d1/sub/deep/f3",
        "/h/src/d2/f1",
        "/h/src/d2/only",
        "/h/rw/w",
        "/h/low/l",
        "/h/up/u",
        "/home/u/note",
    ] {
        file(path, 0o644, owner)?;
    }
    file("/h/src/exec", 0o755, owner)?;
    file("/h/src/ro", 0o400, owner)?;
    fs::write("/h/src/empty", "")?;
    chown("/h/src/empty", Some(owner), Some(owner))?;
    for (target, link) in [
        ("a", "/h/src/lnk-file"),
        ("d1", "/h/src/lnk-dir"),
        ("/h/src/d1", "/h/src/lnk-abs"),
        ("nowhere", "/h/src/lnk-dangling"),
        ("lnk-loop", "/h/src/lnk-loop"),
        ("/oldroot/h/low", "/h/rw/old-dir"),
        ("/oldroot/h/low/new", "/h/rw/old-new"),
        ("../low/made", "/h/rw/up-new"),
        ("in", "/h/rw/in-link"),
        ("/h/rw/in", "/h/rw/in-abs"),
    ] {
        symlink(target, link)?;
        std::os::unix::fs::lchown(link, Some(owner), Some(owner))?;
    }
    let pipe = os::cstr(b"/h/src/fifo")?;
    // SAFETY: a valid C string.
    os::check(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }.into())?;
    chown("/h/src/fifo", Some(owner), Some(owner))?;
    drop(std::os::unix::net::UnixListener::bind("/h/src/sock")?);
    chown("/h/src/sock", Some(owner), Some(owner))?;
    for name in ODD {
        let path = Path::new("/h/odd").join(OsStr::from_bytes(name));
        fs::create_dir(&path)?;
        fs::write(path.join("inside"), name)?;
        for p in [&path, &path.join("inside")] {
            chown(p, Some(owner), Some(owner))?;
        }
    }
    for (path, mode) in
        [("/h/noperm", 0), ("/h/group", 0o2775), ("/h/sticky", 0o1777), ("/h/0711", 0o711)]
    {
        dir(path, mode, owner)?;
    }
    Ok(())
}

/// A tree of mounts with every attribute that a bind must keep.
fn submounts(owner: u32) -> io::Result<()> {
    fs::create_dir("/m")?;
    let kinds: [(&str, u64); 12] = [
        ("/m/plain", 0),
        ("/m/ro", RDONLY),
        ("/m/noexec", NOEXEC),
        ("/m/nosym", NOSYMFOLLOW),
        ("/m/noatime", NOATIME),
        ("/m/strict", STRICTATIME),
        ("/m/nodir", NODIRATIME),
        ("/m/plain/nest", NOSUID),
        ("/m/plain/nest/deep", RDONLY | NODEV | NOEXEC),
        ("/m/unbindable", 0),
        ("/m/private", 0),
        ("/m/peer", NOSUID | NODEV),
    ];
    for (path, _) in kinds {
        fs::create_dir(path)?;
        os::mount("tmpfs", path.as_bytes(), "tmpfs", 0, "mode=0755,size=1m")?;
        fs::write(format!("{path}/f"), format!("in mount {path}\n"))?;
        for p in [path.to_string(), format!("{path}/f")] {
            chown(p, Some(owner), Some(owner))?;
        }
    }
    fs::write("/m/one-file", "under the mount\n")?;
    os::mount("/etc/hosts", b"/m/one-file", "", libc::MS_BIND, "")?;
    fs::create_dir("/m/slave")?;
    for (path, attributes) in kinds {
        os::mount_setattr(path.as_bytes(), attributes, 0, false)?;
    }
    os::mount("", b"/", "", libc::MS_REC | libc::MS_SHARED, "")?;
    os::mount("/m/peer", b"/m/slave", "", libc::MS_BIND, "")?;
    os::mount("", b"/m/slave", "", libc::MS_SLAVE, "")?;
    os::mount("", b"/m/private", "", libc::MS_PRIVATE, "")?;
    os::mount("", b"/m/unbindable", "", libc::MS_UNBINDABLE, "")
}

/// Becomes the ordinary user `id`, for good.
fn drop_to(id: u32) -> io::Result<()> {
    // SAFETY: integers, and an empty list of groups.
    unsafe {
        os::check(libc::setgroups(0, std::ptr::null()).into())?;
        os::check(libc::setresgid(id, id, id).into())?;
        os::check(libc::setresuid(id, id, id).into())?;
    }
    // The change made this process's own /proc files root's; launches need the id maps of theirs.
    os::prctl(libc::PR_SET_DUMPABLE, 1).map(|_| ())
}

/// Gives up the privileges of the user namespace that the mounts were made in.
fn forget_capabilities() -> io::Result<()> {
    let header = [0x2008_0522u32, 0];
    let data = [0u32; 6];
    // SAFETY: version 3 of the call reads a header of 8 and sets of 24 bytes.
    os::check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) } as i64)?;
    os::prctl(libc::PR_SET_DUMPABLE, 1).map(|_| ())
}
