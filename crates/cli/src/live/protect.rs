//! What is protected in a directory that becomes writable while the sandbox runs: the same as in one
//! that was writable from the start.

use crate::host::HostFiles;
use crate::out::{Failure, shown};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use swathe::plan::model::{
    Access, BindSource, BoxPath, FileOp, HostPath, Origin, Plan, StandIn, Step, UserNamespace,
};
use swathe::plan::options::Opt;
use swathe::{Child, Command};
use swathe_host::layers::Quick;
use swathe_policy::resolve::{Request, resolve};
use swathe_policy::{Access as Wanted, Declared, Intent, Policy, Source};

/// How long the placeholders may take.
const SET_UP: Duration = Duration::from_secs(20);

/// A protected name that exists, or has a placeholder.
#[derive(Debug)]
pub struct Name {
    /// Where it is on the host.
    pub path: PathBuf,
    /// Whether only the name is kept, and what is in it can be written to.
    pub is_pin: bool,
}

/// What is protected, the upper names first.
#[derive(Debug)]
pub struct Protection {
    /// The names.
    pub names: Vec<Name>,
    /// Keeps the placeholders.
    pub holder: Option<Holder>,
}

/// Keeps placeholders of names that do not exist on the host, until dropped or until this process
/// ends, however it does: an engine's sandbox in which nothing runs, and its janitor.
#[derive(Debug)]
pub struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        // It has ended already where that fails.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What is protected in a directory; what does not exist gets a placeholder.
///
/// # Errors
/// It is a part of something protected; a name is a link, which cannot be kept in a sandbox that
/// runs; or a placeholder cannot be made.
pub fn of(directory: &Path) -> Result<Protection, Failure> {
    let plan = plan_of(directory)?;
    let dest = |path: &BoxPath| PathBuf::from(OsStr::from_bytes(&path.0));
    let (mut names, mut missing) = (Vec::new(), Vec::new());
    for step in &plan.steps {
        let path = dest(step.op.dest());
        if path == directory || !path.starts_with(directory) {
            continue;
        }
        let is_pin = matches!(step.op, FileOp::Pin { .. });
        match &step.op {
            FileOp::Mask { stand_in: StandIn::Unreadable, .. } => continue,
            FileOp::Mask { .. } => missing.push(step.clone()),
            FileOp::Pin { .. } | FileOp::Bind { access: Access::ReadOnly, .. } => {}
            _ => continue,
        }
        if path.is_symlink() {
            let text = format!("{} is a protected link", shown(&path.to_string_lossy()));
            return Err(Failure::new(text)
                .hint("start the sandbox again with --allow: then it can be kept from changing"));
        }
        names.push(Name { path, is_pin });
    }
    names.sort_by(|a, b| a.path.cmp(&b.path));
    let holder = if missing.is_empty() { None } else { Some(hold(directory, missing)?) };
    // What the user cannot make either has none.
    names.retain(|name| name.path.exists());
    Ok(Protection { names, holder })
}

/// The plan of a run in which this directory is writable.
fn plan_of(directory: &Path) -> Result<Plan, Failure> {
    let host = crate::host::probe(&Quick::probe())?;
    let intent = Intent::FilesDir { path: directory.to_owned(), access: Wanted::ReadWrite };
    let intents = vec![Declared { intent, reason: None, source: Source::Default }];
    let policy = Policy { intents, ..Policy::default() };
    let degraded = vec![swathe_policy::resolve::LANDLOCK.to_owned()];
    let request = Request { degraded, ..Request::default() };
    let sandbox = resolve(&policy, &request, &host, &HostFiles::default()).map_err(|refusal| {
        let failure = Failure::new(shown(&refusal.to_string()));
        refusal.hints.iter().fold(failure, |failure, hint| failure.hint(hint.as_str()))
    })?;
    Ok(sandbox.plan)
}

/// Has the placeholders made.
fn hold(directory: &Path, missing: Vec<Step>) -> Result<Holder, Failure> {
    let failed = |e: &dyn std::fmt::Display| {
        let path = shown(&directory.to_string_lossy());
        Failure::new(format!("protected names in {path} cannot be kept from being made: {e}"))
    };
    let bytes = directory.as_os_str().as_bytes().to_vec();
    let source = BindSource::Path { path: HostPath(bytes.clone()), optional: false };
    let bind = FileOp::Bind { source, dest: BoxPath(bytes), access: Access::ReadWrite };
    let origin = Origin { opt: Opt::Bind, index: 0, args_fd: None };
    let mut plan = Plan::default();
    plan.steps.push(Step { op: bind, origin });
    plan.steps.extend(missing);
    let namespaces = &mut plan.namespaces;
    namespaces.user = UserNamespace::New;
    (namespaces.pid, namespaces.ipc, namespaces.net, namespaces.uts) = (true, true, true, true);
    let life = &mut plan.lifecycle;
    (life.die_with_parent, life.close_fds, life.new_session) = (true, true, true);
    let command = Command::from_plan(plan).serve(nobodys_socket().map_err(|e| failed(&e))?);
    let null = std::process::Stdio::null;
    let command = command.stdin(null()).stdout(null()).stderr(null()).hold_start();
    let mut holder = Holder(command.spawn().map_err(|e| failed(&e))?);
    holder.0.release().map_err(|e| failed(&e))?;
    match holder.0.is_set_up(SET_UP) {
        Ok(true) => Ok(holder),
        Ok(false) => Err(failed(&"the engine does not make them")),
        Err(e) => Err(failed(&e)),
    }
}

/// A socket on which nobody can ask for a command: it has no name any more.
fn nobodys_socket() -> Result<std::os::fd::OwnedFd, Failure> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("holder-{}-{number}.sock", std::process::id());
    let path = crate::rundir::directory()?.join(name);
    let listener = swathe::serve::listen(&path).map_err(|e| Failure::new(e.to_string()))?;
    std::fs::remove_file(&path).map_err(|e| Failure::new(e.to_string()))?;
    Ok(listener)
}
