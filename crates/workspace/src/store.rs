//! The store of workspaces: made, found, listed, locked.

use crate::about::{About, Limits, Root, VERSION, born_and_mount};
use crate::area;
use crate::dir::{Dir, bytes};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::meta::Meta;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use swathe_record::bytes::Bytes;

/// The longest name of a workspace, in bytes.
pub const LONGEST_ID: usize = 64;

/// The most directories that one workspace covers.
pub const MOST_ROOTS: usize = 64;

/// A directory that holds workspaces, one directory each.
#[derive(Debug)]
pub struct Store {
    dir: Dir,
    path: PathBuf,
}

/// A workspace to make.
#[derive(Debug, Clone)]
pub struct New<'a> {
    /// Its name: letters, digits, `.`, `_` and `-`, not beginning with a dot.
    pub id: &'a str,
    /// Whether its user chose the name.
    pub named: bool,
    /// The run that makes it.
    pub run: &'a str,
    /// The directories, none inside another.
    pub roots: Vec<NewRoot>,
    /// Bounds on what is written.
    pub limits: Limits,
}

/// A directory of the host that gets an upper directory.
#[derive(Debug, Clone)]
pub struct NewRoot {
    /// Absolute path.
    pub path: PathBuf,
    /// Directories in which what is written may lie, best first. The first from which files can be
    /// renamed into the root is taken, else the store itself. They must exist and be the user's.
    pub candidates: Vec<PathBuf>,
}

/// What a workspace is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing: it can be looked at and committed.
    Idle,
    /// A run or a commit holds it.
    InUse,
    /// A commit, an undo or a discard was interrupted.
    HalfDone,
    /// It cannot be used; why.
    Broken(String),
}

/// A workspace in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// What is written of it; none when it is broken.
    pub about: Option<About>,
    /// What it is doing.
    pub state: State,
}

/// A workspace that can be looked at.
#[derive(Debug)]
pub struct Workspace {
    pub(crate) dir: Dir,
    pub(crate) path: PathBuf,
    pub(crate) about: About,
}

/// A workspace that nobody else uses while this lives.
#[derive(Debug)]
pub struct Held {
    pub(crate) workspace: Workspace,
    lock: OwnedFd,
}

impl std::ops::Deref for Held {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

/// Whether the name can be one of a workspace.
#[must_use]
pub fn is_id(id: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !id.is_empty() && id.len() <= LONGEST_ID && !id.starts_with('.') && id.bytes().all(fits)
}

/// Refuses directories that others own or can write to.
pub(crate) fn check_ours(dir: &Dir, path: &Path) -> Result<()> {
    let meta = dir.meta().step("look at", bytes(path))?;
    let shown = Bytes::from(path);
    let why = if meta.uid != rustix::process::geteuid().as_raw() {
        format!("{shown} belongs to user {}", meta.uid)
    } else if meta.mode & 0o022 != 0 {
        format!("others can write to {shown} (mode {:o})", meta.mode)
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::NotOurs, why)
        .fix("use a directory of your own that only you can write to"))
}

impl Store {
    /// Opens the store at an absolute path, and makes it with mode 0700 if it is not there. The
    /// directory above must exist.
    ///
    /// # Errors
    /// It cannot be made or opened, or is not the caller's alone.
    pub fn open(path: &Path) -> Result<Self> {
        match rustix::fs::mkdir(path, 0o700.into()) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::system("make", bytes(path), errno)),
        }
        let dir = Dir::open(path).step("open", bytes(path))?;
        check_ours(&dir, path)?;
        Ok(Self { dir, path: path.to_owned() })
    }

    /// Makes a workspace, held by the caller, with an empty upper directory for each root. The next
    /// step is [`Held::snapshot`], then the run.
    ///
    /// # Errors
    /// The name is taken or none, a root cannot be opened or is inside another, or no directory can
    /// hold what is written.
    pub fn create(&self, new: &New<'_>) -> Result<Held> {
        let unusable = |text: String| Error::new(ErrorKind::Unusable, text);
        if !is_id(new.id) {
            let text = format!("{:?} is no name for a workspace", new.id);
            return Err(unusable(text).fix(format!(
                "use letters, digits, '.', '_' and '-', at most {LONGEST_ID}, no '.' in front"
            )));
        }
        if new.roots.is_empty() || new.roots.len() > MOST_ROOTS {
            return Err(unusable(format!("a workspace covers 1 to {MOST_ROOTS} directories")));
        }
        let roots = opened(&new.roots)?;
        let path = self.path.join(new.id);
        let id = new.id.as_bytes();
        let taken = || {
            unusable(format!("there is a workspace {} already", new.id))
                .fix(format!("choose another name, or remove it: swathe workspace rm {}", new.id))
        };
        if self.dir.stat(id).step("look at", bytes(&path))?.is_some() {
            return Err(taken());
        }
        // It has its name once it is locked and says what it is.
        let part = crate::remove::hidden()?;
        self.dir.mkdir(&part, 0o700).step("make", bytes(&path))?;
        let made = self.fill(new, &roots, &path, &part);
        // Never over another one: that is not empty.
        let rename = || rustix::fs::renameat(&self.dir, part.as_slice(), &self.dir, id);
        let named = made.and_then(|held| match rename() {
            Ok(()) => Ok(held),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => Err(taken()),
            Err(errno) => Err(Error::system("make", bytes(&path), errno)),
        });
        if named.is_err() {
            let _ = crate::remove::tree(&self.dir, &part);
        }
        let held = named?;
        let roots = &held.about.roots;
        for (number, root) in roots.iter().enumerate() {
            if let Err(error) = area::make(root) {
                for made in roots.get(..number).unwrap_or_default() {
                    let _ = area::remove(made);
                }
                let _ = crate::remove::away(&self.dir, id);
                return Err(error);
            }
        }
        Ok(held)
    }

    /// Makes the directory of a workspace but for its areas. `part`: its name until it is whole.
    fn fill(&self, new: &New<'_>, roots: &[Dir], path: &Path, part: &[u8]) -> Result<Held> {
        let dir = self.dir.at(part).step("open", bytes(path))?;
        let lock = dir.file(b"lock", OFlags::RDWR | OFlags::CREATE, 0o600);
        let lock = lock.step("make the lock of", bytes(path))?;
        take(&lock, path)?;
        let mut about = About {
            version: VERSION,
            id: new.id.to_owned(),
            named: new.named,
            run: new.run.to_owned(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            roots: Vec::new(),
            limits: new.limits,
        };
        // Written first, so that what is made elsewhere is known from the beginning.
        for (number, (root, wanted)) in roots.iter().zip(&new.roots).enumerate() {
            let (base, can_rename) = area::choose(root, roots, wanted, &dir, path)?;
            let own = base == *path;
            let name = if own { format!("r{number}") } else { area::name(new.id, number) };
            let meta = root.meta().step("look at", bytes(&wanted.path))?;
            let (born, _) = born_and_mount(root).step("look at", bytes(&wanted.path))?;
            about.roots.push(Root {
                path: Bytes::from(wanted.path.as_path()),
                dev: meta.dev,
                ino: meta.ino,
                born,
                area: Bytes::from(base.join(name)),
                can_rename,
            });
        }
        about.write(&dir, path)?;
        Ok(Held { workspace: Workspace { dir, path: path.to_owned(), about }, lock })
    }

    /// Opens a workspace by its name, to look at it. [`Workspace::hold`] locks it.
    ///
    /// # Errors
    /// There is none, it is another user's, or damaged.
    pub fn find(&self, id: &str) -> Result<Workspace> {
        if !is_id(id) {
            return Err(gone(id));
        }
        let path = self.path.join(id);
        let dir = match self.dir.at(id.as_bytes()) {
            Err(Errno::NOENT) => return Err(gone(id)),
            other => other.step("open", bytes(&path))?,
        };
        match check_ours(&dir, &path).and_then(|()| About::read(&dir, &path)) {
            Ok(about) => Ok(Workspace { dir, path, about }),
            // It was removed at this moment.
            Err(_) if !is_at(&dir, &path) => Err(gone(id)),
            Err(error) => Err(error),
        }
    }

    /// All workspaces, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        for name in self.dir.list().step("list", bytes(&self.path))? {
            let Some(id) = String::from_utf8(name).ok().filter(|id| is_id(id)) else { continue };
            all.push(match self.find(&id) {
                Ok(workspace) => {
                    let state = workspace.state();
                    if matches!(state, State::Broken(_)) && !workspace.is_there() {
                        continue;
                    }
                    Listed { id, about: Some(workspace.about), state }
                }
                Err(error) if error.kind == ErrorKind::Gone => continue,
                Err(error) => Listed { id, about: None, state: State::Broken(error.text) },
            });
        }
        Ok(all)
    }

    pub(crate) fn parts(&self) -> (&Dir, &Path) {
        (&self.dir, &self.path)
    }
}

fn opened(roots: &[NewRoot]) -> Result<Vec<Dir>> {
    let mut all = Vec::new();
    for (at, root) in roots.iter().enumerate() {
        if !root.path.is_absolute() {
            let text = format!("{} is not an absolute path", Bytes::from(root.path.as_path()));
            return Err(Error::new(ErrorKind::Unusable, text));
        }
        let inside = |other: &NewRoot| root.path.starts_with(&other.path);
        if let Some((_, other)) =
            roots.iter().enumerate().find(|(n, other)| *n != at && inside(other))
        {
            let (inner, outer) =
                (Bytes::from(root.path.as_path()), Bytes::from(other.path.as_path()));
            let text = format!("{inner} is inside {outer}, which the workspace covers already");
            return Err(Error::new(ErrorKind::Unusable, text).fix("name only one of them"));
        }
        all.push(Dir::open(&root.path).step("open", bytes(&root.path))?);
    }
    Ok(all)
}

fn gone(id: &str) -> Error {
    Error::new(ErrorKind::Gone, format!("there is no workspace {id:?}"))
        .fix("swathe workspace list shows what there is")
}

/// Whether a directory is the one at a path.
fn is_at(dir: &Dir, path: &Path) -> bool {
    let key = |dir: Dir| dir.meta().map(|meta| (meta.dev, meta.ino)).ok();
    let there = Dir::open(path).ok().and_then(key);
    there.is_some() && there == dir.meta().map(|meta| (meta.dev, meta.ino)).ok()
}

/// Opens the lock of a workspace. Only who makes the workspace makes it: in one that is just being
/// removed a new one would be another lock.
pub(crate) fn open_lock(dir: &Dir) -> Result<OwnedFd, Errno> {
    dir.file(b"lock", OFlags::RDWR, 0)
}

/// Whether somebody holds a lock. Those who ask do not get in each other's way.
pub(crate) fn is_held(lock: &OwnedFd) -> Result<bool, Errno> {
    match flock(lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn take(lock: &OwnedFd, path: &Path) -> Result<()> {
    let mut taken = flock(lock, FlockOperation::NonBlockingLockExclusive);
    // Who only asks for the state holds the lock for a moment.
    for _ in 0..10 {
        if taken != Err(Errno::WOULDBLOCK) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        taken = flock(lock, FlockOperation::NonBlockingLockExclusive);
    }
    match taken {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => {
            let text = format!("the workspace {} is in use", Bytes::from(path));
            Err(Error::new(ErrorKind::InUse, text)
                .fix("wait until its run has ended, or end it: swathe ps shows it"))
        }
        Err(errno) => Err(Error::system("lock", bytes(path), errno)),
    }
}

impl Workspace {
    /// What is written of it.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its directory in the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When it was made, to compare it with others: seconds since 1970, and the time of its lock,
    /// for several can be made in one second.
    #[must_use]
    pub fn made(&self) -> (u64, (i64, u32)) {
        // Nobody writes to a lock.
        let lock = self.dir.stat(b"lock").ok().flatten();
        (self.about.created, lock.map_or((0, 0), |meta| meta.mtime))
    }

    /// Locks it for a run or a change.
    ///
    /// # Errors
    /// Somebody else holds it, or it was removed meanwhile.
    pub fn hold(self) -> Result<Held> {
        let lock = match open_lock(&self.dir) {
            Err(Errno::NOENT) if !self.is_there() => return Err(gone(&self.about.id)),
            other => other.step("open the lock of", bytes(&self.path))?,
        };
        take(&lock, &self.path)?;
        let own = rustix::fs::fstat(&lock).map(|stat| Meta::of(&stat).ino);
        let named = self.dir.stat(b"lock").step("look at the lock of", bytes(&self.path))?;
        if !self.is_there() || own.ok() != named.map(|meta| meta.ino) {
            return Err(gone(&self.about.id));
        }
        Ok(Held { workspace: self, lock })
    }

    /// Whether the store has it: it can be removed at any moment by who holds it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        is_at(&self.dir, &self.path)
    }

    /// What it is doing now.
    #[must_use]
    pub fn state(&self) -> State {
        let held = open_lock(&self.dir).and_then(|lock| is_held(&lock));
        match held.step("look at the lock of", bytes(&self.path)) {
            Err(error) => State::Broken(error.text),
            Ok(true) => State::InUse,
            Ok(false) if crate::journal::is_open(&self.dir) => State::HalfDone,
            Ok(false) => State::Idle,
        }
    }
}

impl Held {
    /// The lock. It holds as long as any copy of the descriptor is open, so that a sandbox that
    /// inherits it keeps the workspace in use for as long as it lives.
    #[must_use]
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}
