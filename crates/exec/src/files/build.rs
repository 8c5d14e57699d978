//! The operations, one by one.

use crate::failure::{At, Failure, Result, Stage};
use crate::files::mounts::{Attrs, Mounter, NewFs, Tree};
use crate::files::root::Attach;
use crate::files::root::{PointKind, Root, kind_of, read_link};
use crate::files::sources::{Source, Sources};
use crate::files::tmpfs_options;
use crate::layout::default_perms;
use crate::prepare::Prepared;
use alloc::ffi::CString;
use alloc::format;
use alloc::vec;
use core::ffi::CStr;
use swathe_plan::model::{Access, FileOp};
use swathe_sys::Errno;
use swathe_sys::mount::attr;
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{self, Access as FsAccess, AtFlags, FileType, Mode, OFlags};
use swathe_sys::rustix::io::{fcntl_dupfd_cloexec, read, write};

/// Executes operations on the sandbox's tree.
pub(crate) struct Builder<'p> {
    pub mounter: &'p Mounter,
    pub prepared: &'p Prepared<'p>,
    pub root: Root,
    pub scratch: Option<OwnedFd>,
    pub sources: Sources,
    pub overlays: u32,
}

impl Builder<'_> {
    /// Executes operation `index` of the plan.
    pub fn step(&mut self, index: usize) -> Result<()> {
        let prepared = self.prepared;
        let step = &prepared.plan.steps[index];
        let target = &prepared.targets[index];
        match &step.op {
            FileOp::Bind { .. } | FileOp::Overlay { .. } => self.host_tree(index, &step.op),
            FileOp::RemountReadOnly { .. } => {
                let fd = match self.root.open_dest(target, Stage::Create) {
                    // bubblewrap makes the directories above, which matters to "..", and to what it
                    // says of a file that is taken for one.
                    Err(f) if matches!(f.error(), Some(Errno::NOENT | Errno::NOTDIR)) => {
                        self.root.parent(target)?;
                        self.root.open_dest(target, Stage::Create)?
                    }
                    other => other?,
                };
                self.mounter.read_only(fd.as_fd()).at(Stage::RemountReadOnly)
            }
            FileOp::Proc { .. } => self.proc(index),
            FileOp::Dev { .. } => self.dev(index),
            FileOp::Tmpfs { perms, size, inodes, .. } => {
                let options = tmpfs_options(prepared, perms.unwrap_or(0o755), *size, *inodes);
                let attrs = attr::NOSUID | attr::NODEV;
                self.new_fs(index, c"tmpfs", &options, attrs, Stage::Tmpfs).map(drop)
            }
            FileOp::Mqueue { .. } => self.new_fs(index, c"mqueue", &[], 0, Stage::Mqueue).map(drop),
            FileOp::Dir { .. } => self.dir(index, default_perms(&step.op).unwrap_or(0o755)),
            FileOp::File { fd, .. } => {
                self.file(index, *fd, default_perms(&step.op).unwrap_or(0o666))
            }
            FileOp::BindData { fd, read_only, .. } => {
                self.bind_data(index, *fd, default_perms(&step.op).unwrap_or(0o600), *read_only)
            }
            FileOp::Symlink { .. } => self.symlink(index),
            FileOp::Chmod { mode, .. } => self.chmod(index, *mode),
            FileOp::Mask { stand_in, .. } => self.mask(index, stand_in),
            FileOp::Pin { .. } => self.pin_name(index),
        }
    }

    fn host_tree(&mut self, index: usize, op: &FileOp) -> Result<()> {
        match (self.sources.source(index), op) {
            (Source::Tree(tree), _) => self.attach_tree(index, tree, Stage::Bind),
            (Source::Layers(fds), FileOp::Overlay { layers, upper, .. }) => {
                self.overlay(index, layers.len(), upper, fds)
            }
            _ => Ok(()),
        }
    }

    /// Attaches a tree on the destination, which becomes what the tree's root is.
    fn attach_tree(&mut self, index: usize, tree: Tree, stage: Stage) -> Result<()> {
        let target = &self.prepared.targets[index];
        let kind = match kind_of(tree.fd()).at(Stage::Source)? {
            FileType::Directory => PointKind::Directory,
            _ => PointKind::File,
        };
        let place = self.root.point(target, kind)?;
        self.mounter.attach(tree, &mut self.root, place, stage)
    }

    pub(super) fn new_fs(
        &mut self,
        index: usize,
        kind: &CStr,
        options: &[(&CStr, CString)],
        attrs: u64,
        stage: Stage,
    ) -> Result<OwnedFd> {
        let target = &self.prepared.targets[index];
        let place = self.root.point(target, PointKind::Directory)?;
        let new = NewFs { kind, options, attrs };
        self.mounter.attach_new(&new, &mut self.root, place, stage)
    }

    fn proc(&mut self, index: usize) -> Result<()> {
        let attrs = attr::NOSUID | attr::NODEV | attr::NOEXEC;
        let fd = match self.sources.take(index) {
            None => self.new_fs(index, c"proc", &[], attrs, Stage::Proc)?,
            Some(tree) => {
                let fd = fcntl_dupfd_cloexec(tree.fd(), 3).at(Stage::Proc)?;
                self.attach_tree(index, tree, Stage::Proc)?;
                fd
            }
        };
        self.cover_proc(fd.as_fd())
    }

    /// Parts of procfs through which a privileged process could change the system. An ordinary user
    /// cannot write there; they are covered where one can.
    fn cover_proc(&mut self, proc: BorrowedFd<'_>) -> Result<()> {
        for (i, name) in [c"sys", c"sysrq-trigger", c"irq", c"bus"].into_iter().enumerate() {
            let cover = |e: core::result::Result<_, Errno>| {
                e.at(Stage::ProcCover).map_err(|f: Failure| f.about(i as u32))
            };
            match fs::accessat(proc, name, FsAccess::WRITE_OK, AtFlags::empty()) {
                Err(Errno::ACCESS | Errno::NOENT | Errno::ROFS) => continue,
                other => cover(other)?,
            }
            let tree = self.mounter.tree(proc, name, Attrs::of(Access::ReadOnly));
            let tree = tree.at(Stage::ProcCover).map_err(|f| f.about(i as u32))?;
            let at = fs::openat(proc, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .at(Stage::ProcCover)?;
            self.mounter.attach(tree, &mut self.root, Attach::Open(at), Stage::ProcCover)?;
        }
        Ok(())
    }

    fn dir(&mut self, index: usize, perms: u32) -> Result<()> {
        let target = &self.prepared.targets[index];
        if target.path.as_c_str() == c"." {
            return Ok(());
        }
        let (dir, name) = self.root.parent(target)?;
        let dir = self.root.dir(&dir);
        match fs::mkdirat(dir, &name, Mode::from_raw_mode(perms)) {
            Err(Errno::EXIST) => {
                match fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW).at(Stage::Create) {
                    Ok(s) if FileType::from_raw_mode(s.st_mode) == FileType::Directory => Ok(()),
                    Ok(_) => Err(Failure::found(Stage::NotDirectory)),
                    Err(e) => Err(e),
                }
            }
            // A directory of a read-only file system that is there already is fine.
            Err(Errno::ROFS) => match self.root.open_dest(target, Stage::Create) {
                Ok(fd) if kind_of(fd.as_fd()).at(Stage::Create)? == FileType::Directory => Ok(()),
                _ => Err(Errno::ROFS).at(Stage::Create),
            },
            other => other.at(Stage::Create),
        }
    }

    fn file(&mut self, index: usize, fd: i32, perms: u32) -> Result<()> {
        let target = &self.prepared.targets[index];
        let (dir, name) = self.root.parent(target)?;
        let dir = self.root.dir(&dir);
        // NONBLOCK: a FIFO that lies there must not hold us.
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::TRUNC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC;
        let file = fs::openat(dir, &name, flags, Mode::from_raw_mode(perms)).at(Stage::DataFile)?;
        copy(fd, &file)
    }

    fn bind_data(&mut self, index: usize, fd: i32, perms: u32, read_only: bool) -> Result<()> {
        let access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
        let Some(scratch) = &self.scratch else {
            return Err(Failure::found(Stage::Scratch));
        };
        let name = CString::new(format!("data-{index}")).unwrap_or_default();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file =
            fs::openat(scratch, &name, flags, Mode::from_raw_mode(perms)).at(Stage::Scratch)?;
        // The destination comes first: it is refused before anything is read.
        let place = self.root.point(&self.prepared.targets[index], PointKind::File)?;
        copy(fd, &file)?;
        let tree = self.mounter.tree(scratch.as_fd(), &name, Attrs::of(access)).at(Stage::Bind)?;
        self.mounter.attach(tree, &mut self.root, place, Stage::Bind)?;
        // What is mounted has no other name then. Not sooner: a file without a name cannot be
        // attached.
        let Some(scratch) = &self.scratch else { return Ok(()) };
        fs::unlinkat(scratch, &name, AtFlags::empty()).at(Stage::Scratch)
    }

    fn symlink(&mut self, index: usize) -> Result<()> {
        let prepared = self.prepared;
        let target = &prepared.targets[index];
        let text = &prepared.sources[index];
        let (dir, name) = self.root.parent(target)?;
        let dir = self.root.dir(&dir);
        let made = fs::symlinkat(text, dir, &name);
        match made {
            Ok(()) => Ok(()),
            Err(e @ (Errno::EXIST | Errno::ROFS)) => match read_link(dir, &name) {
                Ok(old) if old == *text => Ok(()),
                Ok(_) => Err(Failure::found(Stage::SymlinkTarget)),
                Err(Errno::INVAL) => Err(Failure::found(Stage::SymlinkNotLink)),
                Err(_) => Err(e).at(Stage::SymlinkMake),
            },
            Err(e) => Err(e).at(Stage::SymlinkMake),
        }
    }

    fn chmod(&mut self, index: usize, mode: u32) -> Result<()> {
        let target = &self.prepared.targets[index];
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.root.open(&target.path, flags).at(Stage::OpenDest)?;
        if kind_of(fd.as_fd()).at(Stage::OpenDest)? == FileType::Symlink {
            return Err(Errno::OPNOTSUPP).at(Stage::Chmod);
        }
        // fchmod refuses O_PATH, and fchmodat2 is of Linux 6.6: the descriptor's own path in
        // procfs leads to exactly this inode.
        let path = crate::files::mounts::fd_path(fd.as_fd());
        fs::chmodat(self.mounter.proc_fd(), &path, Mode::from_raw_mode(mode), AtFlags::empty())
            .at(Stage::Chmod)
    }
}

/// Copies what a descriptor yields to a file.
fn copy(from: i32, to: &OwnedFd) -> Result<()> {
    let from = swathe_sys::process::borrow_fd(from).at(Stage::CopyData)?;
    let mut buffer = vec![0; 32 << 10];
    loop {
        let n = match read(from, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e).at(Stage::CopyData),
        };
        let mut rest = &buffer[..n];
        while !rest.is_empty() {
            match write(to, rest) {
                Ok(n) => rest = &rest[n..],
                Err(Errno::INTR) => {}
                Err(e) => return Err(e).at(Stage::CopyData),
            }
        }
    }
}
