//! Policy → plan: what a run's sandbox is made of.
//!
//! Pure: the host is asked through [`Files`], and everything else about it is in [`Host`].

mod build;
mod copied;
mod devices;
mod environ;
mod etc;
pub(crate) mod files;
pub mod globs;
mod home;
mod levels;
mod limits;
mod needs;
mod network;
mod protect;
mod system;
mod tools;

pub use build::{Data, Note, Sandbox};
pub use copied::{Copied, CopyRoot, Place, roots as copy_roots};
pub use globs::Lasting;
pub use levels::Placed;
pub use limits::defaults as default_limits;
pub use network::{MOST_PUBLISHED, MOST_RULES, Network};
pub use protect::{Base as ProtectedBase, OF_GIT, PROTECTIONS, Protection};

use crate::model::{Access, Intent, Policy, Source};
use crate::paths::Environment;
use build::Build;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use swathe_netrules::fixed;
use swathe_plan::filter::{self, FilterOptions};
use swathe_plan::model::{BoxPath, CapOp, CgroupNamespace, Given, Origin, UserNamespace};
use swathe_plan::options::Opt;

/// What a path of the host is, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A regular file.
    File,
    /// A socket, device or FIFO.
    Other,
}

/// What a program file needs to start: a script its interpreter, an ELF file its loader and
/// libraries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The interpreter of a script, or the loader.
    pub interpreter: Option<PathBuf>,
    /// Names of libraries.
    pub libraries: Vec<String>,
    /// Directories that the file itself names for them.
    pub search: Vec<PathBuf>,
}

/// The host's files, as far as a plan depends on them.
pub trait Files {
    /// What is there, links not followed; `None` when nothing is, or it cannot be seen, or it stands
    /// in for something that another sandbox must not make.
    fn kind(&self, path: &Path) -> Option<Kind>;
    /// The text of a symbolic link.
    fn link(&self, path: &Path) -> Option<PathBuf>;
    /// The path without links; `None` when it leads nowhere.
    fn real(&self, path: &Path) -> Option<PathBuf>;
    /// The start of a file, at most `most` bytes.
    fn read(&self, path: &Path, most: usize) -> Option<Vec<u8>>;
    /// The names in a directory, at most `most`, in any order.
    fn list(&self, path: &Path, most: usize) -> Vec<OsString>;
    /// The names of directories in a directory, not of links to some; at most `most`, in any order.
    fn directories(&self, path: &Path, most: usize) -> Vec<OsString>;
    /// Whether this user may execute the file.
    fn executable(&self, path: &Path) -> bool;
    /// What a program needs.
    fn needs(&self, path: &Path) -> Option<Needs>;
}

/// Who runs where.
#[derive(Debug, Clone)]
pub struct Host {
    /// The caller's user id.
    pub uid: u32,
    /// The caller's group id.
    pub gid: u32,
    /// The user's name; made up where there is no account.
    pub user: String,
    /// The user's home directory, without links.
    pub home: PathBuf,
    /// The working directory, without links.
    pub cwd: PathBuf,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// Bytes of memory of the machine.
    pub memory: u64,
    /// What paths of the user's are made of; its home is [`Self::home`].
    pub places: Environment,
    /// Files that decide what the next run may do: never writable in this one.
    pub deciding: Vec<PathBuf>,
    /// Directories in which workspaces are kept: never visible, wherever they lie.
    pub stores: Vec<PathBuf>,
    /// The directory of the app's own files; none where the run is not one of an app.
    pub state: Option<PathBuf>,
    /// What the kernel can enforce.
    pub layers: Layers,
}

impl Host {
    /// A variable of the environment.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsString> {
        self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

/// Layers that not every kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// Landlock can keep signals and abstract sockets inside (ABI 6, Linux 6.12).
    pub landlock_scopes: bool,
    /// A pid namespace can bound its process ids (Linux 6.14).
    pub pid_max: bool,
}

/// What a person asked for beside the policy.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Whether the sandbox gets a terminal of its own.
    pub terminal: bool,
    /// What may be missing of the layers, by name.
    pub degraded: Vec<String>,
    /// The run's id, which the program sees as `SWATHE_RUN`.
    pub id: String,
    /// Whether the program sees the user's home and working directory as they are, but for
    /// credentials, and what it writes there is gone with the run.
    pub throwaway: bool,
    /// Where the changes below directories of access `cow` go: one for each that
    /// [`copy_roots`] names.
    pub copies: Vec<Copied>,
    /// That the host's network, where it is wanted whole, comes into a network namespace of the
    /// sandbox's own, with this `/etc/resolv.conf`.
    pub bridge: Option<Vec<u8>>,
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// Who asked for it.
    pub source: Source,
    /// What to do.
    pub hints: Vec<String>,
}

impl Refusal {
    fn new(message: impl Into<String>, source: &Source) -> Self {
        Self { message: message.into(), source: source.clone(), hints: Vec::new() }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Default => write!(f, "{}", self.message),
            Source::CommandLine(words) => write!(f, "{words}: {}", self.message),
            Source::File { path, line, column } => {
                write!(f, "{}:{line}:{column}: {}", path.display(), self.message)
            }
        }
    }
}

/// The layer's name in `--allow-degraded`.
pub const LANDLOCK: &str = "landlock";

/// Makes the plan of a run.
///
/// # Errors
/// The policy asks for what cannot be had here, or for what is never given.
pub fn resolve(
    policy: &Policy,
    request: &Request,
    host: &Host,
    files: &dyn Files,
) -> Result<Sandbox, Refusal> {
    let mut build = Build::new(policy, request, host, files);
    namespaces(&mut build);
    network::add(&mut build)?;
    system::add(&mut build);
    devices::add(&mut build);
    etc::add(&mut build);
    system::home(&mut build)?;
    tools::add(&mut build);
    devices::session(&mut build);
    files::add(&mut build)?;
    home::add(&mut build);
    let program = needs::add(&mut build)?;
    files::hidden(&mut build)?;
    copied::stores(&mut build);
    levels::add(&mut build)?;
    limits::add(&mut build)?;
    environ::add(&mut build);
    layers(&mut build)?;
    build.finish(program)
}

fn namespaces(build: &mut Build<'_>) {
    let nested = build.wants(&Intent::NestedSandbox);
    let shared_network =
        network::reach(build) == network::Reach::Host && build.request.bridge.is_none();
    let plan = &mut build.plan;
    let ns = &mut plan.namespaces;
    ns.user = UserNamespace::New;
    (ns.ipc, ns.pid, ns.uts) = (true, true, true);
    ns.cgroup = CgroupNamespace::Try;
    ns.net = !shared_network;
    ns.disable_user = !nested;
    plan.hostname = Some(fixed::HOST_NAME.into());
    plan.caps = vec![CapOp::Drop(swathe_plan::tables::ALL_CAPABILITIES)];
    let life = &mut plan.lifecycle;
    life.die_with_parent = true;
    life.close_fds = true;
    life.end_with_command = true;
}

/// The layers beyond namespaces.
fn layers(build: &mut Build<'_>) -> Result<(), Refusal> {
    filter(build)?;
    let terminal = build.request.terminal && !build.wants(&Intent::Tty);
    build.plan.lifecycle.pty = terminal;
    // Without a terminal of its own nothing but a session of its own keeps the program from the
    // caller's terminal; with the intent that terminal is what it shall have.
    build.plan.lifecycle.new_session = !terminal && !build.wants(&Intent::Tty);
    build.plan.lifecycle.forward_signals = true;
    if build.host.layers.landlock_scopes {
        build.plan.scope_signals = true;
        build.plan.scope_abstract_sockets = true;
        return Ok(());
    }
    if build.request.degraded.iter().any(|name| name == LANDLOCK) {
        build.note(
            "Landlock is not enforced: /proc/1 and, with net.all, abstract sockets can be reached",
        );
        return Ok(());
    }
    Err(Refusal::new("this kernel has no Landlock scopes (Linux 6.12, ABI 6)", &Source::Default)
        .hint("swathe doctor says whether it can be switched on")
        .hint(format!("--allow-degraded {LANDLOCK} runs without: /proc/1 is then readable inside")))
}

/// The system calls that the program can make.
fn filter(build: &mut Build<'_>) -> Result<(), Refusal> {
    let options = FilterOptions {
        nested_sandbox: build.wants(&Intent::NestedSandbox),
        ptrace: build.wants(&Intent::Ptrace),
        bits32: build.wants(&Intent::Bits32),
        // Not even the loopback of the sandbox's own.
        inet: network::reach(build) != network::Reach::None,
        ..FilterOptions::default()
    };
    let program = filter::base(&options).map_err(|e| {
        Refusal::new(format!("no filter of system calls can be made: {e}"), &Source::Default)
    })?;
    let fd = build.data_fd(program);
    let origin = Origin { opt: Opt::AddSeccompFd, index: 0, args_fd: None };
    build.plan.filters.push(Given { value: fd, origin });
    Ok(())
}

/// Where a path of the sandbox is.
fn boxed(path: &Path) -> BoxPath {
    use std::os::unix::ffi::OsStrExt as _;
    BoxPath(path.as_os_str().as_bytes().to_vec())
}

/// Whether an access writes.
fn writes(access: Access) -> bool {
    access >= Access::Append
}
