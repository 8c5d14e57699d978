//! A minimal /dev.

use crate::failure::{At, Failure, Result, Stage};
use crate::files::build::Builder;
use crate::files::mounts::{Attrs, Mounter, NewFs, Tree, leave_open, to_name};
use crate::files::root::Attach;
use crate::files::sources::{Node, Source};
use crate::files::tmpfs_options;
use crate::prepare::Terminal;
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::ffi::CStr;
use swathe_plan::model::Access;
use swathe_sys::mount::attr;
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{self, CWD, FileType, Mode, OFlags, makedev};

/// Nodes with the device numbers that they must have (Documentation/admin-guide/devices.txt).
const NODES: [(&CStr, &CStr, u32, u32); 6] = [
    (c"null", c"/dev/null", 1, 3),
    (c"zero", c"/dev/zero", 1, 5),
    (c"full", c"/dev/full", 1, 7),
    (c"random", c"/dev/random", 1, 8),
    (c"urandom", c"/dev/urandom", 1, 9),
    (c"tty", c"/dev/tty", 5, 0),
];

/// The names, for messages.
pub const NODE_NAMES: [&str; 7] = ["null", "zero", "full", "random", "urandom", "tty", "console"];

const LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
    (c"/proc/self/fd", c"fd"),
    (c"/proc/kcore", c"core"),
    (c"pts/ptmx", c"ptmx"),
];

/// The names, for messages.
pub const LINK_NAMES: [&str; 6] = ["stdin", "stdout", "stderr", "fd", "core", "ptmx"];

/// Opens the host's device nodes, each checked to be the device that its name promises: a planted
/// /dev/null must not become a window to something else.
pub(super) fn open_nodes(mounter: &Mounter, tty: Option<&Terminal>) -> Result<Vec<Node>> {
    let mut nodes = Vec::with_capacity(NODES.len() + 1);
    for (i, &(name, path, major, minor)) in NODES.iter().enumerate() {
        let tree = open_node(mounter, path, makedev(major, minor));
        nodes.push((name, tree.map_err(|f| f.about(i as u32))?));
    }
    if let Some(tty) = tty {
        // Writable by the sandbox in any case, through standard output: a name for it gives away
        // nothing and makes ttyname(3) work.
        let about = |f: Failure| f.about(NODES.len() as u32);
        let tree = open_node(mounter, &tty.path, tty.identity.2).map_err(about)?;
        let stat = fs::fstat(tree.fd()).at(Stage::DevNode).map_err(about)?;
        if crate::prepare::identity(&stat) != tty.identity {
            return Err(about(Failure::found(Stage::DevNodeKind)));
        }
        nodes.push((c"console", tree));
    }
    Ok(nodes)
}

fn open_node(mounter: &Mounter, path: &CStr, number: u64) -> Result<Tree> {
    let tree = mounter.tree(CWD, path, Attrs::of(Access::Device)).at(Stage::DevNode)?;
    let stat = fs::fstat(tree.fd()).at(Stage::DevNode)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::CharacterDevice || stat.st_rdev != number {
        return Err(Failure::found(Stage::DevNodeKind));
    }
    Ok(tree)
}

impl Builder<'_> {
    pub(super) fn dev(&mut self, index: usize) -> Result<()> {
        let Source::Nodes(nodes) = self.sources.source(index) else {
            return Err(Failure::found(Stage::DevNode));
        };
        let options = tmpfs_options(self.prepared, 0o755, None, None);
        let attrs = attr::NOSUID | attr::NODEV;
        let dev = self.new_fs(index, c"tmpfs", &options, attrs, Stage::Tmpfs)?;
        for (i, (name, tree)) in nodes.into_iter().enumerate() {
            self.attach_node(&dev, name, tree).map_err(|f| f.about(i as u32))?;
        }
        for (i, (target, name)) in LINKS.iter().enumerate() {
            fs::symlinkat(*target, &dev, *name)
                .at(Stage::DevLink)
                .map_err(|f| f.about(i as u32))?;
        }
        for (i, name) in [c"shm", c"pts"].into_iter().enumerate() {
            fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))
                .at(Stage::DevDir)
                .map_err(|f| f.about(i as u32))?;
        }
        self.devpts(&dev)
    }

    fn attach_node(&mut self, dev: &OwnedFd, name: &CStr, tree: Tree) -> Result<()> {
        fs::mknodat(dev, name, FileType::RegularFile, Mode::from_raw_mode(0o444), 0)
            .at(Stage::DevNode)?;
        match tree {
            Tree::Detached(fd) => {
                to_name(fd.as_fd(), dev.as_fd(), name).at(Stage::DevNode)?;
                leave_open(fd);
                Ok(())
            }
            tree @ Tree::Source(..) => {
                let place = Attach::Open(open_path(dev.as_fd(), name).at(Stage::DevNode)?);
                self.mounter.attach(tree, &mut self.root, place, Stage::DevNode)
            }
        }
    }

    fn devpts(&mut self, dev: &OwnedFd) -> Result<()> {
        let text = |s: &CStr| s.to_owned();
        let options = [(c"ptmxmode", text(c"0666")), (c"mode", text(c"620"))];
        let new = NewFs { kind: c"devpts", options: &options, attrs: attr::NOSUID | attr::NOEXEC };
        if self.mounter.kernel.mount_fds {
            // No path to resolve: the tmpfs is ours, and nothing but this can be called that.
            let mount = self.mounter.detached(&new).at(Stage::DevPts)?;
            to_name(mount.as_fd(), dev.as_fd(), c"pts").at(Stage::DevPts)?;
            leave_open(mount);
            return Ok(());
        }
        let at = open_path(dev.as_fd(), c"pts").at(Stage::DevPts)?;
        self.mounter.attach_new(&new, &mut self.root, Attach::Open(at), Stage::DevPts).map(drop)
    }
}

fn open_path(dir: BorrowedFd<'_>, name: &CStr) -> core::result::Result<OwnedFd, swathe_sys::Errno> {
    fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
