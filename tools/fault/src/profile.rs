//! The five built-in sandboxes that every mode launches.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::sys;

/// Names of the built-in profiles, in the order in which they are run.
pub const NAMES: [&str; 5] = ["min", "std", "hostnet", "agent", "flatpak"];

/// Descriptor of the probe's program file; the payload is `/proc/self/fd/20`.
pub const PROBE_FD: RawFd = 20;
/// Descriptor of the information document in the `flatpak` profile.
pub const INFO_FD: RawFd = 24;
/// Descriptor of the status document in the `flatpak` profile.
pub const STATUS_FD: RawFd = 25;

/// What stands behind a descriptor that a launch is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// A file with this content, at its start.
    Bytes(Vec<u8>),
    /// An empty file that is read back after the launch.
    Capture,
    /// `/dev/null`, open for reading only.
    Null,
    /// `/dev/full`: each write fails with ENOSPC.
    Full,
    /// A pipe without a reader.
    BrokenPipe,
    /// A full pipe whose reader never reads; a write fails with EAGAIN.
    FullPipe,
    /// A full pipe whose reader never reads; a write blocks.
    BlockingPipe,
    /// The probe's program file.
    Probe,
}

/// A sandbox to launch: words of the command line, and descriptors that they name.
#[derive(Clone, Debug)]
pub struct Profile {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// The launcher's words before `--`.
    pub words: Vec<Vec<u8>>,
    /// Descriptors by number, beyond 0 to 2 and the probe.
    pub fds: Vec<(RawFd, Feed)>,
    /// Directories inside the sandbox whose entries the probe lists, separated by `:`.
    pub walk: &'static str,
}

/// Splits at white space.
fn words(text: &str) -> Vec<Vec<u8>> {
    text.split_whitespace().map(|w| w.as_bytes().to_vec()).collect()
}

/// The merged /usr that `std` shows, without the choice of namespaces.
const STD_TREE: &str = "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/sbin /sbin \
    --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp";

/// Builds one profile. `tree` is the directory that [`make_tree`] filled.
///
/// # Errors
/// `InvalidInput` for an unknown name.
pub fn build(name: &str, tree: &Path) -> io::Result<Profile> {
    let plain = |name, text: &str, walk| Profile { name, words: words(text), fds: vec![], walk };
    Ok(match name {
        "min" => plain("min", "--ro-bind / /", ""),
        "std" => plain("std", &format!("--unshare-all {STD_TREE}"), "/:/dev:/tmp"),
        "hostnet" => {
            plain("hostnet", &format!("--unshare-all --share-net {STD_TREE}"), "/:/dev:/tmp")
        }
        "agent" => agent(tree),
        "flatpak" => flatpak(tree),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "unknown profile")),
    })
}

/// A coding agent's sandbox: the host read-only, a writable workspace with ten read-only files.
fn agent(tree: &Path) -> Profile {
    let mut list = words("--ro-bind / / --dev /dev --proc /proc --unshare-pid --new-session");
    let workspace = tree.join("workspace");
    let path = |p: &Path| p.as_os_str().as_bytes().to_vec();
    list.extend([b"--bind".to_vec(), path(&workspace), path(&workspace)]);
    for n in 0..10 {
        let file = workspace.join(format!("keep{n}"));
        list.extend([b"--ro-bind".to_vec(), path(&file), path(&file)]);
    }
    list.extend([b"--chdir".to_vec(), path(&workspace)]);
    Profile { name: "agent", words: list, fds: vec![], walk: "/dev" }
}

/// A desktop runtime's sandbox: sixty binds, links, directories, data by descriptors, a filter,
/// its words in an `--args` file, both documents and a sync descriptor.
fn flatpak(tree: &Path) -> Profile {
    let mut list = words(&format!(
        "--unshare-user --unshare-pid --unshare-ipc {STD_TREE} --dir /app --dir /run --dir /etc"
    ));
    for n in 0..60 {
        let kind: &[u8] = if n % 3 == 0 { b"--bind" } else { b"--ro-bind" };
        let source = tree.join(format!("src/d{n}")).as_os_str().as_bytes().to_vec();
        list.extend([kind.to_vec(), source, format!("/app/d{n}").into_bytes()]);
    }
    for n in 0..40 {
        list.extend(words(&format!("--symlink ../app/d{n} /etc/l{n}")));
    }
    for n in 0..30 {
        list.extend(words(&format!("--perms 0700 --dir /run/r{n}")));
    }
    list.extend(words(
        "--perms 0640 --file 22 /etc/file --ro-bind-data 23 /etc/data --chmod 0750 /run \
         --remount-ro /app/d0 --setenv SANDBOX yes --unsetenv LANG --cap-drop ALL --seccomp 26",
    ));
    list.extend(words(&format!("--info-fd {INFO_FD} --json-status-fd {STATUS_FD} --sync-fd 27")));
    let mut args = list.join(&0u8);
    args.push(0);
    Profile {
        name: "flatpak",
        words: words("--args 21"),
        fds: vec![
            (21, Feed::Bytes(args)),
            (22, Feed::Bytes(b"file content\n".to_vec())),
            (23, Feed::Bytes(b"data content\n".to_vec())),
            (INFO_FD, Feed::Capture),
            (STATUS_FD, Feed::Capture),
            (26, Feed::Bytes(filter())),
            (27, Feed::Null),
        ],
        walk: "/:/dev:/tmp:/app:/etc:/run:/app/d0",
    }
}

/// A filter that answers EPERM to add_key(2), which the probe asks for, and allows the rest.
///
/// It looks at the call number alone: the tracer replaces the number of a call it fails by -1, and
/// a filter that killed on odd numbers would mask the fault.
fn filter() -> Vec<u8> {
    let add_key = u32::try_from(libc::SYS_add_key).unwrap_or(u32::MAX);
    let program: [(u16, u8, u8, u32); 4] = [
        (0x20, 0, 0, 0),               // load the call's number
        (0x15, 0, 1, add_key),         // equal: fall through, else skip one
        (0x06, 0, 0, 0x0005_0000 | 1), // return ERRNO | EPERM
        (0x06, 0, 0, 0x7fff_0000),     // return ALLOW
    ];
    program
        .iter()
        .flat_map(|&(code, jt, jf, k)| {
            let [c0, c1] = code.to_ne_bytes();
            let [k0, k1, k2, k3] = k.to_ne_bytes();
            [c0, c1, jt, jf, k0, k1, k2, k3]
        })
        .collect()
}

/// Fills `base/USER` with the files that the profiles bind, owned by `user`, and returns it.
///
/// # Errors
/// Those of making directories and files, and of changing their owner.
pub fn make_tree(base: &Path, user: u32) -> io::Result<PathBuf> {
    let tree = base.join(format!("u{user}"));
    let workspace = tree.join("workspace");
    let mut made = vec![tree.clone(), workspace.clone(), tree.join("src")];
    made.extend((0..60).map(|n| tree.join(format!("src/d{n}"))));
    for dir in &made {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    let keep = (0..10).map(|n| workspace.join(format!("keep{n}")));
    for file in keep.chain([tree.join("src/d0/inner")]) {
        fs::write(&file, b"kept\n")?;
        made.push(file);
    }
    if user != sys::euid() {
        for path in &made {
            sys::lchown(&CString::new(path.as_os_str().as_bytes())?, user)?;
        }
    }
    Ok(tree)
}

/// Every path below `root` with its mode and length, sorted: equal before and after a run when no
/// launch left anything behind.
///
/// # Errors
/// Those of reading directories.
pub fn snapshot(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let length = if meta.is_file() { meta.len() } else { 0 };
            let path = entry.path();
            found.push(format!("{} {:o} {length}", path.display(), meta.permissions().mode()));
            if meta.is_dir() {
                todo.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
