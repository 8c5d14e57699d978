//! What a running sandbox may reach beyond its plan: files that are shown and hidden while it runs,
//! by `swathe grant`, `swathe revoke` and answers to questions.

use crate::control::{self, Reply, Request};
use crate::out::{Failure, shown};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swathe_mounter::{Access as Shown, Id, Mounter};
use swathe_policy::paths::{Asker, Verdict, judge};
use swathe_policy::resolve::{PROTECTIONS, ProtectedBase};
use swathe_policy::{Access, Environment, Intent, words};
use swathe_record::ask::Want;
use swathe_record::question::Question;

/// How many changes one run may have.
const MAX_CHANGES: usize = 10_000;

/// The changes of one sandbox.
#[derive(Debug)]
pub struct Live {
    state: Mutex<State>,
    env: Environment,
}

#[derive(Debug)]
struct State {
    engine: u32,
    /// Directories that the plan shows at their own place.
    planned: Vec<PathBuf>,
    mounter: Option<Mounter>,
    changes: Vec<Change>,
}

/// What was changed, and how it is taken back: in the order of the list from its end.
#[derive(Debug)]
struct Change {
    path: PathBuf,
    access: Access,
    mounts: Vec<Id>,
}

impl Live {
    /// Of the sandbox of this engine. Nothing is started before something is to be changed.
    pub fn new(engine: u32, planned: Vec<PathBuf>, env: Environment) -> Arc<Self> {
        let state = State { engine, planned, mounter: None, changes: Vec::new() };
        let state = Mutex::new(state);
        Arc::new(Self { state, env })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes requests at this socket, on a thread that ends with this process.
    pub fn listen(self: &Arc<Self>, listener: UnixListener) -> Result<(), Failure> {
        let live = Arc::clone(self);
        let serve = move || {
            // Without it, nothing can be changed any more, and whoever wants to is told.
            let _ = control::serve(&listener, |request| live.request(&request));
        };
        let thread = std::thread::Builder::new().name("control".into()).spawn(serve);
        thread.map(drop).map_err(|e| Failure::new(format!("cannot listen for grants: {e}")))
    }

    fn request(&self, request: &Request) -> Reply {
        let done = match request {
            Request::Grant(text) => self.grant(text),
            Request::Revoke(text) => self.revoke(text),
        };
        match done {
            Ok(note) => Reply::Done(note),
            Err(failure) => failure.into(),
        }
    }

    fn intent(&self, text: &str) -> Result<Intent, Failure> {
        words::parse(OsStr::new(text), &self.env)
            .map_err(|found| Failure::new(shown(&found.message)))
    }

    fn grant(&self, text: &str) -> Result<Option<String>, Failure> {
        match self.intent(text)? {
            Intent::FilesDir { path, access: access @ (Access::ReadOnly | Access::ReadWrite) } => {
                self.show(&path, &path, access)
            }
            Intent::FilesHide(path) => self.hide(&path),
            _ => {
                Err(Failure::new(format!("{} cannot be granted to what runs already", shown(text)))
                    .hint("files.dir=PATH, files.dir=PATH:rw and files.hide=PATH can")
                    .hint("for the rest, start it again with --allow"))
            }
        }
    }

    fn revoke(&self, text: &str) -> Result<Option<String>, Failure> {
        let (path, hides) = match self.intent(text)? {
            Intent::FilesDir { path, .. } => (path, false),
            Intent::FilesHide(path) => (path, true),
            _ => {
                let text = format!("{} cannot be revoked from what runs already", shown(text));
                return Err(Failure::new(text).hint("swathe kill ends it"));
            }
        };
        let mut state = self.lock();
        let fits =
            |change: &Change| change.path == path && (change.access == Access::Hide) == hides;
        let found = state.changes.iter().rposition(fits);
        match found {
            Some(at) => {
                let change = state.changes.remove(at);
                for id in change.mounts.into_iter().rev() {
                    state.mounter()?.undo(id).map_err(|e| changing(&e))?;
                }
                Ok(Some("what is open already stays open".to_owned()))
            }
            None if hides => Err(Failure::new(format!("{} was not hidden", path.display()))),
            None => {
                drop(state);
                // It was in the plan, or in what was shown above it.
                self.hide(&path)
            }
        }
    }

    /// Shows a file or directory of the host.
    fn show(&self, host: &Path, path: &Path, access: Access) -> Result<Option<String>, Failure> {
        let write = access == Access::ReadWrite;
        if let Verdict::Refuse(why) = judge(host, write, Asker::User, &self.env) {
            return Err(Failure::new(format!("{} cannot be shown: {why}", host.display())));
        }
        let real = host
            .canonicalize()
            .map_err(|e| Failure::new(format!("cannot show {}: {e}", host.display())))?;
        if let Verdict::Refuse(why) = judge(&real, write, Asker::User, &self.env) {
            return Err(Failure::new(format!("{} cannot be shown: {why}", real.display())));
        }
        if write && real.is_dir() {
            return self.open(&real, path);
        }
        let mut state = self.lock();
        let mut mounts = Vec::new();
        let how = if write { Shown::ReadWrite } else { Shown::ReadOnly };
        let first = match state.mounter()?.show(&real, path, how) {
            // A link on the way, inside: what is behind it is at its own place.
            Err(_) if real != path => state.mounter()?.show(&real, &real, how),
            other => other,
        };
        mounts.push(first.map_err(|e| changing(&e))?);
        state.keep(Change { path: path.to_owned(), access, mounts })?;
        Ok(None)
    }

    /// Makes a directory writable: what is protected in it is read-only before that.
    fn open(&self, real: &Path, path: &Path) -> Result<Option<String>, Failure> {
        let mut state = self.lock();
        let mut mounts = Vec::new();
        let done = state.opened(real, path, &self.env, &mut mounts);
        if let Err(failure) = done {
            // Half of it is not what was granted.
            for id in mounts.into_iter().rev() {
                let _ = state.mounter()?.undo(id);
            }
            return Err(failure);
        }
        state.keep(Change { path: path.to_owned(), access: Access::ReadWrite, mounts })?;
        let text = "protected names that do not exist yet, such as .git/hooks, can be made there";
        Ok(Some(text.to_owned()))
    }

    fn hide(&self, path: &Path) -> Result<Option<String>, Failure> {
        let mut state = self.lock();
        let id = state.mounter()?.hide(path).map_err(|e| changing(&e))?;
        state.keep(Change { path: path.to_owned(), access: Access::Hide, mounts: vec![id] })?;
        Ok(Some("what is open already stays open".to_owned()))
    }

    /// Shows what a question was about, since it was answered with yes.
    ///
    /// # Errors
    /// It cannot be had: the call then fails as before.
    pub fn allow(&self, question: &Question, read_only: bool) -> Result<(), Failure> {
        let object = question.object.0.strip_prefix(b"unix:").unwrap_or(&question.object.0);
        let path = Path::new(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(object));
        if !path.is_absolute() {
            return Err(Failure::new(format!("{} is no file", question.object)));
        }
        let names = matches!(
            question.action,
            swathe_record::event::Action::Create
                | swathe_record::event::Action::Remove
                | swathe_record::event::Action::Rename
        );
        let writes = matches!(Want::of(question.action), Want::Write | Want::Remove);
        let (path, access) = match path.parent() {
            _ if read_only || !writes => (path, Access::ReadOnly),
            // Names are made and removed in the directory.
            Some(parent) if names => (parent, Access::ReadWrite),
            _ => (path, Access::ReadWrite),
        };
        // It was asked about what is there: what leads elsewhere by now is something else.
        if path.canonicalize().ok().as_deref() != Some(path) {
            return Err(Failure::new(format!("{} leads elsewhere by now", question.object)));
        }
        self.show(path, path, access).map(drop)
    }
}

impl State {
    /// The helper, started when it is needed first.
    fn mounter(&mut self) -> Result<&mut Mounter, Failure> {
        if self.mounter.is_none() {
            self.mounter = Some(start(self.engine)?);
        }
        self.mounter.as_mut().ok_or_else(|| Failure::new("no helper for mounts"))
    }

    fn opened(
        &mut self,
        real: &Path,
        path: &Path,
        env: &Environment,
        mounts: &mut Vec<Id>,
    ) -> Result<(), Failure> {
        // A mount of the plan begins there; otherwise one is made.
        let planned = self.planned.iter().any(|planned| planned == real) && path == real;
        if !planned {
            let shown = self.mounter()?.show(real, path, Shown::ReadOnly);
            mounts.push(shown.map_err(|e| changing(&e))?);
        }
        for name in protected(real, env) {
            let inside = path.join(name.strip_prefix(real).unwrap_or(&name));
            let kept = self.mounter()?.show(&name, &inside, Shown::ReadOnly);
            mounts.push(kept.map_err(|e| changing(&e))?);
        }
        let thawed = self.mounter()?.thaw(real, path);
        mounts.push(thawed.map_err(|e| changing(&e))?);
        Ok(())
    }

    fn keep(&mut self, change: Change) -> Result<(), Failure> {
        if self.changes.len() >= MAX_CHANGES {
            for id in change.mounts.into_iter().rev() {
                let _ = self.mounter()?.undo(id);
            }
            return Err(Failure::new(format!("more than {MAX_CHANGES} changes of one run")));
        }
        self.changes.push(change);
        Ok(())
    }
}

fn changing(error: &swathe_mounter::Error) -> Failure {
    Failure::new(shown(&error.to_string()))
}

fn start(engine: u32) -> Result<Mounter, Failure> {
    let cannot = |e: &dyn std::fmt::Display| {
        Failure::new(format!("cannot change what the sandbox sees: {e}"))
    };
    let namespace =
        mounts_of(engine).ok_or_else(|| cannot(&"none of its processes can be looked at"))?;
    let pid = i32::try_from(engine).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| cannot(&"it has ended"))?;
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| cannot(&e))?;
    let program = std::env::current_exe().map_err(|e| cannot(&e))?;
    Mounter::start(&program, namespace.as_fd(), ended.as_fd()).map_err(|e| cannot(&e))
}

/// How many processes are looked at for one that lets itself be looked at: pid 1 does not.
const MAX_PROCESSES: usize = 10_000;

/// The mount namespace of the sandbox of this engine: that of a process below it which has another
/// than the engine's.
fn mounts_of(engine: u32) -> Option<File> {
    let own = std::fs::metadata("/proc/self/ns/mnt").ok()?.ino();
    let mut left = std::collections::VecDeque::from([engine]);
    for _ in 0..MAX_PROCESSES {
        let pid = left.pop_front()?;
        let found = File::open(format!("/proc/{pid}/ns/mnt")).ok();
        let other = |file: &File| file.metadata().is_ok_and(|found| found.ino() != own);
        if let Some(file) = found.filter(other) {
            return Some(file);
        }
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        left.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    None
}

/// Protected paths that exist below a directory.
fn protected(directory: &Path, env: &Environment) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for protection in PROTECTIONS {
        let base = match protection.base {
            ProtectedBase::Writable => directory,
            ProtectedBase::Home => &env.home,
        };
        for path in protection.paths {
            let path = base.join(path.trim_end_matches('/'));
            let real = path.canonicalize().ok().filter(|real| *real == path);
            found.extend(real.filter(|real| real.starts_with(directory) && real != directory));
        }
    }
    found
}
