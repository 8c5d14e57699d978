//! What a running sandbox may reach beyond its plan: files that are shown and hidden while it runs,
//! by `swathe grant`, `swathe revoke` and answers to questions.

mod helper;
mod protect;

use crate::control::{self, Reply, Request};
use crate::globs::{self, Globs};
use crate::net::Controls;
use crate::out::{Failure, shown};
pub use helper::namespace;
use protect::{Holder, Name, Protection};
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swathe_mounter::{Access as Shown, Error, Id, Mounter, Step};
use swathe_policy::paths::{Asker, Verdict, judge};
use swathe_policy::{Access, Environment, Intent, words};
use swathe_record::ask::Want;
use swathe_record::question::Question;

/// How many changes one run may have.
const MAX_CHANGES: usize = 10_000;

/// The changes of one sandbox.
#[derive(Debug)]
pub struct Live {
    state: Mutex<State>,
    /// Taken before the state, where both are.
    globs: Mutex<Option<Globs>>,
    env: Environment,
    network: Mutex<Option<Controls>>,
}

/// What came of covering something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// It is hidden.
    Done,
    /// It is not what the sandbox shows at this path, or was not at that moment.
    Elsewhere,
}

#[derive(Debug)]
struct State {
    engine: u32,
    /// The sandbox's mounts; none: looked for when they are needed.
    namespace: Option<OwnedFd>,
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
    /// Whether the first mount is what shows the path.
    own: bool,
    /// The question whose call alone it is for.
    once: Option<u64>,
    /// Whether that call is over.
    spent: bool,
    /// Keeps names from being made in it.
    holder: Option<Holder>,
}

impl Change {
    fn new(path: &Path, access: Access, mounts: Vec<Id>, own: bool) -> Self {
        Self { path: path.to_owned(), access, mounts, own, once: None, spent: false, holder: None }
    }
}

impl Live {
    /// Of the sandbox of this engine, and with these mounts if they are known. Nothing is started
    /// before something is to be changed.
    pub fn new(
        engine: u32,
        namespace: Option<OwnedFd>,
        planned: Vec<PathBuf>,
        env: Environment,
    ) -> Arc<Self> {
        let changes = Vec::new();
        let state = State { engine, namespace, planned, mounter: None, changes };
        let (globs, network) = (Mutex::new(None), Mutex::new(None));
        Arc::new(Self { state: Mutex::new(state), globs, network, env })
    }

    /// Of a sandbox with a network by rules, which can be changed, too.
    pub fn set_network(&self, controls: Controls) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(controls);
    }

    fn network(&self) -> Result<Controls, Failure> {
        let network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        network.clone().ok_or_else(|| {
            Failure::new("it has no network by rules")
                .hint("start it again with --net HOST, and more can be granted while it runs")
        })
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

    /// Hides what matches these globs, from now on until `ended` is readable. What was found up to
    /// now is hidden when this returns. `end` is called where that cannot be kept any longer.
    ///
    /// # Errors
    /// It cannot be kept at all.
    pub fn keep_hidden(
        self: &Arc<Self>,
        globs: Globs,
        ended: OwnedFd,
        end: impl FnOnce(Failure) + Send + 'static,
    ) -> Result<(), Failure> {
        let events = globs.events()?;
        *self.globs() = Some(globs);
        self.follow()?;
        let live = Arc::clone(self);
        let follow = move || match globs::follow(&live, &events, &ended) {
            Ok(()) => {}
            Err(failure) => end(failure),
        };
        let thread = std::thread::Builder::new().name("globs".into()).spawn(follow);
        thread.map(drop).map_err(|e| Failure::new(format!("cannot watch for new files: {e}")))
    }

    fn globs(&self) -> MutexGuard<'_, Option<Globs>> {
        self.globs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hides what has appeared.
    pub fn follow(&self) -> Result<(), Failure> {
        self.globs().as_mut().map_or(Ok(()), |globs| globs.follow(self))
    }

    /// Covers what is at a path, if it is this object; without one, whatever it is.
    pub fn cover(&self, object: Option<BorrowedFd<'_>>, path: &Path) -> Result<Cover, Failure> {
        let mut state = self.lock();
        let mounter = state.mounter()?;
        let covered = match object {
            Some(object) => mounter.cover(object, path),
            None => mounter.hide(path).map(drop),
        };
        match covered {
            Ok(()) => Ok(Cover::Done),
            Err(Error::Refused {
                step: Step::Place | Step::HostChanged | Step::Kind | Step::Moved,
                ..
            }) => Ok(Cover::Elsewhere),
            Err(error) => Err(changing(&error)),
        }
    }

    fn request(&self, request: &Request) -> Reply {
        let done = match request {
            Request::Grant(text) => self.grant(text),
            Request::Revoke(text) => self.revoke(text),
            Request::Network => {
                return match self.network().and_then(|network| network.view()) {
                    Ok(view) => Reply::Network(Box::new(view)),
                    Err(failure) => failure.into(),
                };
            }
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
                self.show(&path, &path, access, None)
            }
            Intent::FilesHide(path) => self.hide(&path),
            Intent::NetReach(rule) => self.network()?.allow(&rule).map(|()| None),
            Intent::NetDeny(rule) => self.network()?.deny(&rule).map(|()| None),
            Intent::NetListen(publish) => self.network()?.publish(&publish).map(|()| None),
            _ => Err(Failure::new(format!(
                "{} cannot be granted to what runs already",
                shown(text)
            ))
            .hint("files.dir=PATH, files.dir=PATH:rw, files.hide=PATH and rules of the network can")
            .hint("for the rest, start it again with --allow")),
        }
    }

    fn revoke(&self, text: &str) -> Result<Option<String>, Failure> {
        let (path, hides) = match self.intent(text)? {
            Intent::FilesDir { path, .. } => (path, false),
            Intent::FilesHide(path) => (path, true),
            Intent::NetReach(rule) => return self.network()?.revoke(&rule),
            Intent::NetDeny(rule) => return self.network()?.deny_no_more(&rule).map(|()| None),
            Intent::NetListen(publish) => {
                return match self.network()?.unpublish(&publish)? {
                    true => Ok(None),
                    false => Err(Failure::new(format!("{publish} was not published"))),
                };
            }
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
                state.take_back(change)?;
                state.sweep()?;
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

    /// Shows a file or directory of the host; `once`: for the call of this question alone.
    fn show(
        &self,
        host: &Path,
        path: &Path,
        access: Access,
        once: Option<u64>,
    ) -> Result<Option<String>, Failure> {
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
        let globs = self.globs().as_ref().map(|globs| globs.hides(&real));
        if globs == Some(true) {
            let text = format!("{} cannot be shown: a glob hides it", real.display());
            return Err(Failure::new(text).hint("swathe explain says which one"));
        }
        // Where it is on the host is where it is looked for what is to be hidden.
        let path = if globs.is_some() { &real } else { path };
        let mut change = if write && real.is_dir() {
            self.open(&real, path)?
        } else {
            self.mount(&real, path, access)?
        };
        change.once = once;
        // Before anybody can take it back, and before what it was asked for goes on.
        let hidden = self.hide_below(&real);
        let mut state = self.lock();
        match hidden {
            Ok(()) => state.keep(change)?,
            // What may be visible in it is not to be.
            Err(_) => state.take_back(change)?,
        }
        hidden.map(|()| None)
    }

    /// What matches a glob in what was just shown.
    fn hide_below(&self, root: &Path) -> Result<(), Failure> {
        match self.globs().as_mut() {
            Some(globs) => globs.add(root).and_then(|()| globs.follow(self)),
            None => Ok(()),
        }
    }

    fn mount(&self, real: &Path, path: &Path, access: Access) -> Result<Change, Failure> {
        let write = access == Access::ReadWrite;
        let mut state = self.lock();
        let mut mounts = Vec::new();
        let how = if write { Shown::ReadWrite } else { Shown::ReadOnly };
        let first = match state.mounter()?.show(real, path, how) {
            // A link on the way, inside: what is behind it is at its own place.
            Err(_) if real != path => state.mounter()?.show(real, real, how),
            other => other,
        };
        mounts.push(first.map_err(|e| changing(&e))?);
        Ok(Change::new(path, access, mounts, true))
    }

    /// Makes a directory writable: what is protected in it is read-only before that.
    fn open(&self, real: &Path, path: &Path) -> Result<Change, Failure> {
        let mut state = self.lock();
        let mut mounts = Vec::new();
        let holder = match state.opened(real, path, &mut mounts) {
            Ok(holder) => holder,
            Err(failure) => {
                // Half of it is not what was granted.
                for id in mounts.into_iter().rev() {
                    let _ = state.mounter()?.undo(id);
                }
                return Err(failure);
            }
        };
        let own = !state.is_planned(real, path);
        Ok(Change { holder, ..Change::new(path, Access::ReadWrite, mounts, own) })
    }

    fn hide(&self, path: &Path) -> Result<Option<String>, Failure> {
        let mut state = self.lock();
        let id = state.mounter()?.hide(path).map_err(|e| changing(&e))?;
        state.keep(Change::new(path, Access::Hide, vec![id], false))?;
        Ok(Some("what is open already stays open".to_owned()))
    }

    /// Shows what a question was about, since it was answered with yes; `once`: until
    /// [`Self::returned`].
    ///
    /// # Errors
    /// It cannot be had: the call then fails as before.
    pub fn allow(&self, question: &Question, read_only: bool, once: bool) -> Result<(), Failure> {
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
        self.show(path, path, access, once.then_some(question.id)).map(drop)
    }

    /// The call that a question was about is over: what was shown for it alone is not any more.
    ///
    /// # Errors
    /// It cannot be taken back.
    pub fn returned(&self, question: u64) -> Result<(), Failure> {
        let mut state = self.lock();
        for change in &mut state.changes {
            change.spent |= change.once == Some(question);
        }
        state.sweep()
    }
}

impl State {
    /// The helper, started when it is needed first.
    fn mounter(&mut self) -> Result<&mut Mounter, Failure> {
        if self.mounter.is_none() {
            self.mounter = Some(helper::start(self.engine, self.namespace.as_ref())?);
        }
        self.mounter.as_mut().ok_or_else(|| Failure::new("no helper for mounts"))
    }

    /// Whether the plan shows it as a mount.
    fn is_planned(&self, real: &Path, path: &Path) -> bool {
        self.planned.iter().any(|planned| planned == real) && path == real
    }

    /// Takes a change back. Where something is hidden in what was shown, it is hidden as a whole:
    /// whoever has a directory of it open would see what is under the covers.
    fn take_back(&mut self, change: Change) -> Result<(), Failure> {
        // Its placeholders go when nothing can be made in their place any more.
        let _holder = change.holder;
        let shown = change.mounts.first().copied().filter(|_| change.own);
        for id in change.mounts.into_iter().rev() {
            match self.mounter()?.undo(id) {
                Ok(()) | Err(Error::Refused { step: Step::NoSuchMount, .. }) => {}
                Err(Error::Refused { step: Step::Covered, .. }) if Some(id) == shown => {
                    self.mounter()?.hide(&change.path).map_err(|e| changing(&e))?;
                }
                Err(Error::Refused { step: Step::Covered, .. }) => {}
                Err(error) => return Err(changing(&error)),
            }
        }
        Ok(())
    }

    /// Takes back what is not needed any more, but for what a later change lies on.
    fn sweep(&mut self) -> Result<(), Failure> {
        for at in (0..self.changes.len()).rev() {
            let Some((change, later)) = self.changes.get(at..).and_then(<[_]>::split_first) else {
                continue;
            };
            if change.spent && !later.iter().any(|later| later.path.starts_with(&change.path)) {
                let change = self.changes.remove(at);
                self.take_back(change)?;
            }
        }
        Ok(())
    }

    fn opened(
        &mut self,
        real: &Path,
        path: &Path,
        mounts: &mut Vec<Id>,
    ) -> Result<Option<Holder>, Failure> {
        // A mount of the plan begins there; otherwise one is made.
        if !self.is_planned(real, path) {
            let shown = self.mounter()?.show(real, path, Shown::ReadOnly);
            mounts.push(shown.map_err(|e| changing(&e))?);
        }
        let Protection { names, holder } = protect::of(real)?;
        let mut pinned = Vec::new();
        for Name { path: name, is_pin } in names {
            let inside = path.join(name.strip_prefix(real).unwrap_or(&name));
            let kept = self.mounter()?.show(&name, &inside, Shown::ReadOnly);
            mounts.push(kept.map_err(|e| changing(&e))?);
            pinned.extend(is_pin.then_some((name, inside)));
        }
        // Only now can anything be written: what is protected is so already.
        for (name, inside) in pinned.iter().map(|(name, inside)| (name.as_path(), inside.as_path()))
        {
            let thawed = self.mounter()?.thaw(name, inside);
            mounts.push(thawed.map_err(|e| changing(&e))?);
        }
        let thawed = self.mounter()?.thaw(real, path);
        mounts.push(thawed.map_err(|e| changing(&e))?);
        Ok(holder)
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
