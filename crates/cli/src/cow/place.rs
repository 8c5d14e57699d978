//! Where the changes of a workspace lie, and what forbids an overlay.

use crate::out::{Failure, shown};
use rustix::fs::{Mode, OFlags, XattrFlags};
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The largest mount table that is read.
const MAX_MOUNTS: u64 = 16 << 20;

/// File systems that cannot hold the changes of an overlay, by their numbers in statfs(2).
const NO_UPPER: [(u64, &str); 6] = [
    (0x794c_7630, "an overlay itself"),
    (0x6969, "NFS"),
    (0x6573_5546, "FUSE"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
];

/// A directory for workspaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory: the user's alone.
    pub directory: PathBuf,
    /// Whether it is on the file system of the changed directory, so that a commit can rename.
    pub renames: bool,
}

/// The user's usual directory of workspaces, made or not.
pub fn usual(state: &Path) -> PathBuf {
    state.join("swathe/workspaces")
}

/// The directories in which workspaces of this user may be: of each file system that is mounted.
/// None of them needs to exist.
pub fn candidates(root: &Path, state: &Path) -> Vec<PathBuf> {
    let hidden = hidden();
    let mut found = vec![usual(state)];
    // The outermost first: there it is least in the way.
    let above: Vec<&Path> = root.ancestors().skip(1).collect();
    let above = above.into_iter().rev().filter(|path| path.parent().is_some());
    found.extend(above.map(|path| path.join(&hidden)));
    found.extend(["/var/tmp", "/tmp"].map(|path| Path::new(path).join(&hidden)));
    found
}

/// The name of a directory of workspaces outside of the state directory.
fn hidden() -> String {
    format!(".swathe-{}", rustix::process::getuid().as_raw())
}

/// Removes those of these directories that only workspaces were in, if they are empty.
pub fn tidy<'p>(directories: impl Iterator<Item = &'p Path>) {
    let hidden = hidden();
    for path in directories.filter(|path| path.file_name().is_some_and(|name| *name == *hidden)) {
        // Another workspace may be in it.
        drop(std::fs::remove_dir(path));
    }
}

/// Says where the kernel will not let a program write: an overlay copies a file up with its owner,
/// and a sandbox knows one user and one group.
pub fn note_foreign(root: &Path) {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let foreign = std::fs::metadata(root).is_ok_and(|m| m.uid() != uid || m.gid() != gid);
    if foreign {
        crate::out::note(&format!(
            "{} is another user's or group's: files that are cannot be written to on a copy \
             (--cow-copy makes them yours)",
            root.to_string_lossy()
        ));
    }
}

/// Chooses where the changes of a directory go: on its own file system if the user can write there
/// outside of it, so that a commit can rename, and where overlay mounts can keep their marks.
///
/// # Errors
/// There is no such place.
pub fn choose(root: &Path, state: &Path) -> Result<Place, Failure> {
    let device = std::fs::metadata(root).map(|m| m.dev()).map_err(|e| {
        Failure::new(format!("cannot look at {}: {e}", shown(&root.to_string_lossy())))
    })?;
    let candidates = candidates(root, state);
    let mut why = String::new();
    for same in [true, false] {
        for directory in candidates.iter().filter(|path| !path.starts_with(root)) {
            let Some(there) = device_of(directory) else { continue };
            if (there == device) != same {
                continue;
            }
            match usable(directory) {
                Ok(()) => return Ok(Place { directory: directory.clone(), renames: same }),
                Err(text) => why = text,
            }
        }
    }
    let root = shown(&root.to_string_lossy());
    Err(Failure::new(format!("there is no place to keep changes of {root}: {why}"))
        .hint("set XDG_STATE_HOME to a directory on ext4, xfs, btrfs or tmpfs")
        .hint("--cow-copy works on a copy of the directory instead"))
}

/// The device that a directory is on, or will be on once it is made.
fn device_of(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|path| std::fs::symlink_metadata(path).ok()).map(|m| m.dev())
}

/// Makes a directory for workspaces, and tries what overlay mounts need.
fn usable(directory: &Path) -> Result<(), String> {
    let name = shown(&directory.to_string_lossy());
    let parent = directory.parent().unwrap_or(directory);
    if !directory.exists() && !trusted(parent) {
        return Err(format!("others could replace {name}"));
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(directory.ends_with("swathe/workspaces")).mode(0o700);
    let existed = directory.exists();
    match builder.create(directory) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("cannot make {name}: {e}"));
        }
        _ => {}
    }
    let uid = rustix::process::getuid().as_raw();
    let own = std::fs::symlink_metadata(directory)
        .is_ok_and(|m| m.is_dir() && m.uid() == uid && m.mode() & 0o077 == 0);
    let tried = if own { try_upper(directory) } else { Err("not this user's alone".to_owned()) };
    tried.map_err(|why| {
        if !existed {
            drop(std::fs::remove_dir(directory));
        }
        format!("{name}: {why}")
    })
}

/// Whether nobody else can rename what is in a directory: it is the user's or root's, and who else
/// may write to it is kept from that by the sticky bit.
fn trusted(directory: &Path) -> bool {
    let uid = rustix::process::getuid().as_raw();
    std::fs::symlink_metadata(directory).map_or(true, |m| {
        let shared = m.mode() & 0o022 != 0 && m.mode() & 0o1000 == 0;
        m.is_dir() && (m.uid() == uid || m.uid() == 0) && !shared
    })
}

/// Whether a directory can hold the changes of an overlay.
fn try_upper(directory: &Path) -> Result<(), String> {
    let found = rustix::fs::statfs(directory).map_err(|e| e.to_string())?;
    let kind = u64::try_from(found.f_type).unwrap_or(0) & 0xffff_ffff;
    if let Some((_, name)) = NO_UPPER.iter().find(|(number, _)| *number == kind) {
        return Err(format!(
            "its file system is {name}, which cannot hold the changes of an overlay"
        ));
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(directory, flags, Mode::empty()).map_err(|e| e.to_string())?;
    let name = "user.swathe.try";
    rustix::fs::fsetxattr(&fd, name, b"y", XattrFlags::empty())
        .map_err(|e| format!("its file system takes no user attributes ({e})"))?;
    let _ = rustix::fs::fremovexattr(&fd, name);
    Ok(())
}

/// What forbids an overlay over a directory, and what can be done.
///
/// # Errors
/// Something does.
pub fn overlay_works(root: &Path) -> Result<(), Failure> {
    let name = shown(&root.to_string_lossy());
    let copy = "--cow-copy works on a copy of the directory instead";
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if version(&release) < (5, 11) {
        let text = format!("{name} cannot be changed on a copy: overlay mounts need Linux 5.11");
        return Err(Failure::new(text).hint(copy));
    }
    let below = mounts_below(root);
    if let Some(first) = below.first() {
        let at = shown(&first.to_string_lossy());
        let more = match below.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        return Err(Failure::new(format!(
            "{name} cannot be changed on a copy: {at}{more} is mounted below it, and the kernel \
             lays no overlay over mounts"
        ))
        .hint("name directories that hold no mounts, or the mounted one itself: --cow=PATH")
        .hint(copy));
    }
    Ok(())
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Where something is mounted below a directory, sorted.
pub fn mounts_below(root: &Path) -> Vec<PathBuf> {
    let mut table = Vec::new();
    let read = std::fs::File::open("/proc/self/mountinfo")
        .and_then(|file| file.take(MAX_MOUNTS).read_to_end(&mut table));
    if read.is_err() {
        return Vec::new();
    }
    let mut found: Vec<PathBuf> = points(&table);
    found.retain(|path| path != root && path.starts_with(root));
    found.sort();
    found.dedup();
    found
}

/// The mount points of proc_pid_mountinfo(5).
fn points(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescaped).collect()
}

/// Text in which space, tab, newline and backslash are octal.
fn unescaped(text: &[u8]) -> PathBuf {
    let (mut plain, mut rest) = (Vec::new(), text);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.get(..3).and_then(|three| std::str::from_utf8(three).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) if byte == b'\\' => {
                plain.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => plain.push(byte),
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mount points are read with their escapes.
    #[test]
    fn reads_mount_points() {
        let table =
            b"22 1 0:1 / /a\\040b rw - ext4 x rw\n23 22 0:2 / /a\\040b/c\\134d rw - tmpfs t rw\n";
        assert_eq!(points(table), [PathBuf::from("/a b"), PathBuf::from("/a b/c\\d")]);
        assert_eq!(version("6.18.44-x"), (6, 18));
        assert!(version("5.4") < (5, 11));
    }

    /// Changes of a directory go to the user's state directory on the same file system, and never
    /// into the directory itself.
    #[test]
    fn chooses_beside_the_directory() {
        let base = std::env::temp_dir().canonicalize().expect("a directory");
        let base = base.join(format!("swathe-place-{}", std::process::id()));
        let (root, state) = (base.join("root"), base.join("state"));
        std::fs::create_dir_all(&root).expect("directories");
        let place = choose(&root, &state).expect("a place");
        assert_eq!(place, Place { directory: usual(&state), renames: true });
        let inside = choose(&root, &root.join("state")).expect("a place");
        assert!(!inside.directory.starts_with(&root), "{inside:?}");
        std::fs::remove_dir_all(&base).expect("removed");
        drop(std::fs::remove_dir(inside.directory));
    }

    /// What somebody else could replace is no place.
    #[test]
    fn a_shared_directory_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = std::env::temp_dir().join(format!("swathe-shared-{}", std::process::id()));
        std::fs::create_dir(&dir).expect("directory");
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&dir, mode(0o777)).expect("mode");
        assert!(!trusted(&dir));
        assert!(usable(&dir.join(".swathe-x")).is_err());
        std::fs::set_permissions(&dir, mode(0o1777)).expect("mode");
        assert!(trusted(&dir));
        std::fs::remove_dir(&dir).expect("removed");
    }
}
