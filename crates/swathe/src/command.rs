//! The builder.

use crate::child::{Child, Held};
use crate::engine::Engine;
use crate::error::{Error, io};
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::fs::{MemfdFlags, SealFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
pub use std::process::Stdio;
pub use swathe_plan::model::FileRights;
use swathe_plan::model::{
    Access, Allowance, BindSource, BoxPath, CgroupNamespace, EnvOp, FdNumber, FileOp, HostPath,
    Listener, Origin, Plan, Step, UserNamespace,
};
use swathe_plan::options::Opt;
use swathe_plan::render;

/// Descriptors of ours in the engine's process start here; the caller's own keep their numbers
/// below.
const FIRST_FD: FdNumber = 200;

/// A sandbox to be started, and the program in it.
///
/// Nothing of the host is visible but what is named. File operations apply in the order given.
/// Inherited descriptors above 2 are closed, and the sandbox ends with the calling process.
#[derive(Debug)]
pub struct Command {
    plan: Plan,
    engine: Option<Engine>,
    fds: Vec<(FdNumber, OwnedFd)>,
    stdio: [Option<Stdio>; 3],
    nul: Option<Vec<u8>>,
    held: bool,
}

impl Command {
    /// The program, looked up inside the sandbox.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut plan = Plan::default();
        plan.lifecycle.die_with_parent = true;
        plan.lifecycle.close_fds = true;
        plan.env.push(EnvOp::Clear);
        Self::from_plan(plan).arg(program)
    }

    /// A sandbox described by a plan. Its descriptors are those given to [`Self::fd`].
    #[must_use]
    pub fn from_plan(plan: Plan) -> Self {
        Self {
            plan,
            engine: None,
            fds: Vec::new(),
            stdio: [None, None, None],
            nul: None,
            held: false,
        }
    }

    /// The plan as it stands.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Uses this engine instead of looking for one.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Appends an argument.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        let word = self.bytes(word.as_ref());
        self.plan.command.push(word);
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<W: AsRef<OsStr>>(self, words: impl IntoIterator<Item = W>) -> Self {
        words.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable. The environment starts empty.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let (name, value) = (self.bytes(name.as_ref()), self.bytes(value.as_ref()));
        self.plan.env.push(EnvOp::Set { name, value });
        self
    }

    /// Starts the program in this directory of the sandbox.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.plan.chdir = Some(BoxPath(self.bytes(dir.as_ref().as_os_str())));
        self
    }

    /// New namespaces of every kind: no network, no other process, no shared memory.
    #[must_use]
    pub fn unshare_all(mut self) -> Self {
        let ns = &mut self.plan.namespaces;
        ns.user = UserNamespace::New;
        (ns.ipc, ns.pid, ns.net, ns.uts) = (true, true, true, true);
        ns.cgroup = CgroupNamespace::Try;
        self
    }

    /// Keeps the caller's network.
    #[must_use]
    pub fn share_net(mut self) -> Self {
        self.plan.namespaces.net = false;
        self
    }

    /// Shows the host's `source` at `dest`, read-only, with everything mounted below.
    #[must_use]
    pub fn ro_bind(self, source: impl AsRef<Path>, dest: impl AsRef<Path>) -> Self {
        self.bind_as(source.as_ref(), dest.as_ref(), Access::ReadOnly, Opt::RoBind)
    }

    /// Shows the host's `source` at `dest`, writable.
    #[must_use]
    pub fn bind(self, source: impl AsRef<Path>, dest: impl AsRef<Path>) -> Self {
        self.bind_as(source.as_ref(), dest.as_ref(), Access::ReadWrite, Opt::Bind)
    }

    fn bind_as(mut self, source: &Path, dest: &Path, access: Access, opt: Opt) -> Self {
        let path = HostPath(self.bytes(source.as_os_str()));
        let source = BindSource::Path { path, optional: false };
        let dest = self.path(dest);
        self.step(FileOp::Bind { source, dest, access }, opt)
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(mut self, target: impl AsRef<Path>, dest: impl AsRef<Path>) -> Self {
        let target = self.bytes(target.as_ref().as_os_str());
        let dest = self.path(dest.as_ref());
        self.step(FileOp::Symlink { target, dest }, Opt::Symlink)
    }

    /// A procfs, which shows the sandbox's processes.
    #[must_use]
    pub fn proc(mut self, dest: impl AsRef<Path>) -> Self {
        let dest = self.path(dest.as_ref());
        self.step(FileOp::Proc { dest }, Opt::Proc)
    }

    /// A minimal `/dev`.
    #[must_use]
    pub fn dev(mut self, dest: impl AsRef<Path>) -> Self {
        let dest = self.path(dest.as_ref());
        self.step(FileOp::Dev { dest }, Opt::Dev)
    }

    /// An empty temporary file system of at most `size` bytes.
    #[must_use]
    pub fn tmpfs(mut self, dest: impl AsRef<Path>, size: Option<u64>) -> Self {
        let dest = self.path(dest.as_ref());
        self.step(FileOp::Tmpfs { dest, perms: None, size, inodes: None }, Opt::Tmpfs)
    }

    /// A read-only file with these contents.
    ///
    /// # Errors
    /// No memory file can be made.
    pub fn data(mut self, dest: impl AsRef<Path>, data: &[u8]) -> Result<Self, Error> {
        let number = self.data_fd(data)?;
        let dest = self.path(dest.as_ref());
        let op = FileOp::BindData { fd: number, dest, perms: Some(0o444), read_only: true };
        Ok(self.step(op, Opt::RoBindData))
    }

    /// Gives the engine a descriptor of this number, for options of the plan that name it.
    #[must_use]
    pub fn fd(mut self, number: FdNumber, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push((number, fd.into()));
        self
    }

    /// Gives the engine a descriptor of this number from which `data` can be read.
    ///
    /// # Errors
    /// No memory file can be made.
    pub fn data_at(self, number: FdNumber, data: &[u8]) -> Result<Self, Error> {
        let file = memory_file(data)?;
        Ok(self.fd(number, file))
    }

    /// Gives the engine a descriptor from which `data` can be read; returns its number.
    ///
    /// # Errors
    /// No memory file can be made.
    pub fn data_fd(&mut self, data: &[u8]) -> Result<FdNumber, Error> {
        let number = self.free_number();
        self.fds.push((number, memory_file(data)?));
        Ok(number)
    }

    /// Lets further commands be run in the sandbox over this listening socket
    /// ([`serve::listen`](crate::serve::listen)).
    #[must_use]
    pub fn serve(mut self, listener: OwnedFd) -> Self {
        let number = self.free_number();
        self.plan.lifecycle.serve = Some(number);
        self.fd(number, listener)
    }

    /// Starts the sandbox in the control group (version 2) of this directory.
    #[must_use]
    pub fn cgroup(mut self, directory: OwnedFd) -> Self {
        let number = self.free_number();
        self.plan.namespaces.start_cgroup = Some(number);
        self.fd(number, directory)
    }

    /// Loads a seccomp program, after all others, and sends its listener over this connected UNIX
    /// socket (stream or seqpacket). Whoever receives it has to answer a test call before the
    /// program is started: see bwrap(1).
    ///
    /// # Errors
    /// No memory file can be made.
    pub fn seccomp_listener(mut self, filter: &[u8], socket: OwnedFd) -> Result<Self, Error> {
        let filter = self.data_fd(filter)?;
        let number = self.free_number();
        self.plan.listener = Some(Listener { filter, socket: number });
        Ok(self.fd(number, socket))
    }

    /// Takes rights on files away by Landlock, but where [`Self::landlock_allow`] gives them. Several
    /// calls add up. Where one of them cannot be enforced, the sandbox does not start.
    #[must_use]
    pub fn landlock_handle(mut self, rights: FileRights) -> Self {
        self.plan.handled_rights |= rights;
        self
    }

    /// Gives rights that were taken away on a file, or on a directory and all below. The path is
    /// looked up inside the sandbox, and must be there.
    #[must_use]
    pub fn landlock_allow(mut self, rights: FileRights, path: impl AsRef<Path>) -> Self {
        let path = self.path(path.as_ref());
        self.plan.allowances.push(Allowance { rights, path });
        self
    }

    /// Keeps a descriptor open as long as the sandbox runs, out of its reach.
    #[must_use]
    pub fn hold(mut self, fd: OwnedFd) -> Self {
        let number = self.free_number();
        self.plan.lifecycle.sync_fds.push(number);
        self.fd(number, fd)
    }

    /// Keeps the program from starting until [`Child::release`], so that the sandbox's namespaces
    /// can be opened before ([`Child::mount_namespace`]).
    #[must_use]
    pub fn hold_start(mut self) -> Self {
        self.held = true;
        self
    }

    /// Standard input of the program; inherited by default.
    #[must_use]
    pub fn stdin(self, stdio: impl Into<Stdio>) -> Self {
        self.stdio(0, stdio.into())
    }

    /// Standard output of the program; inherited by default.
    #[must_use]
    pub fn stdout(self, stdio: impl Into<Stdio>) -> Self {
        self.stdio(1, stdio.into())
    }

    /// Standard error of the program and of the set-up; inherited by default.
    #[must_use]
    pub fn stderr(self, stdio: impl Into<Stdio>) -> Self {
        self.stdio(2, stdio.into())
    }

    fn stdio(mut self, number: usize, stdio: Stdio) -> Self {
        self.stdio[number] = Some(stdio);
        self
    }

    /// Starts it. The set-up may still fail: [`Child::wait`] and [`Child::events`] tell.
    ///
    /// # Errors
    /// The engine cannot be found or started; a word holds a NUL.
    pub fn spawn(self) -> Result<Child, Error> {
        self.start(false)
    }

    /// As [`Self::spawn`], in a process group of its own, which no key of a terminal reaches: for a
    /// sandbox that outlives this process.
    ///
    /// # Errors
    /// As [`Self::spawn`].
    pub fn spawn_apart(self) -> Result<Child, Error> {
        self.start(true)
    }

    fn start(mut self, apart: bool) -> Result<Child, Error> {
        if let Some(word) = self.nul.take() {
            return Err(Error::Nul(word));
        }
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::find()?,
        };
        let (errors, theirs) = std::io::pipe().map_err(io("make a pipe"))?;
        let number = self.free_number();
        self.fds.push((number, theirs.into()));
        self.plan.json_errors_fd = Some(number);
        // Whoever uses this library says it in words of its own.
        self.plan.quiet_errors = true;
        let held = if self.held { Some(self.hold_back()?) } else { None };
        let command = std::mem::take(&mut self.plan.command);
        let words = render::render(&self.plan);
        let mut args = words.join(&0);
        args.push(0);
        let number = self.free_number();
        self.fds.push((number, memory_file(&args)?));
        let mut process = std::process::Command::new(engine.path());
        process.arg("--args").arg(number.to_string());
        if !command.is_empty() {
            process.arg("--").args(command.iter().map(|word| OsStr::from_bytes(word)));
        }
        if apart {
            std::os::unix::process::CommandExt::process_group(&mut process, 0);
        }
        let [stdin, stdout, stderr] = self.stdio;
        stdin.map(|s| process.stdin(s));
        stdout.map(|s| process.stdout(s));
        stderr.map(|s| process.stderr(s));
        let highest = self.fds.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        if limit.is_some_and(|limit| u64::try_from(highest).is_ok_and(|highest| highest >= limit)) {
            let text = format!("descriptor {highest} is over the limit (ulimit -n)");
            return Err(Error::Io("pass descriptors on", std::io::Error::other(text)));
        }
        let mappings = self
            .fds
            .into_iter()
            .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd })
            .collect();
        process.fd_mappings(mappings).map_err(|_| {
            let twice = std::io::Error::other("a descriptor number is used twice");
            Error::Io("pass descriptors on", twice)
        })?;
        let child = process.spawn().map_err(io("start bwrap"))?;
        // It holds copies of what the child got, of which one is the pipe's other end.
        drop(process);
        Ok(Child::new(child, errors, held, self.plan))
    }

    /// The pipes of [`Self::hold_start`].
    fn hold_back(&mut self) -> Result<Held, Error> {
        let (info, theirs) = std::io::pipe().map_err(io("make a pipe"))?;
        let number = self.free_number();
        self.plan.lifecycle.info_fd = Some(number);
        self.fds.push((number, theirs.into()));
        let (theirs, gate) = std::io::pipe().map_err(io("make a pipe"))?;
        // The least that a pipe can have is a page, which one byte fills: so it shows whether the
        // byte was read.
        rustix::pipe::fcntl_setpipe_size(&gate, 1).map_err(io("make a small pipe"))?;
        let number = self.free_number();
        self.plan.lifecycle.block_fd = Some(number);
        self.fds.push((number, theirs.into()));
        Ok(Held::new(info, gate))
    }

    fn free_number(&self) -> FdNumber {
        self.fds.iter().map(|(number, _)| number + 1).max().unwrap_or(0).max(FIRST_FD)
    }

    fn step(mut self, op: FileOp, opt: Opt) -> Self {
        let index = self.plan.steps.len() as u32 + 1;
        self.plan.steps.push(Step { op, origin: Origin { opt, index, args_fd: None } });
        self
    }

    fn path(&mut self, path: &Path) -> BoxPath {
        BoxPath(self.bytes(path.as_os_str()))
    }

    /// A word; one with a NUL is an error at the start.
    fn bytes(&mut self, word: &OsStr) -> Vec<u8> {
        let bytes = word.as_bytes().to_vec();
        if bytes.contains(&0) {
            self.nul.get_or_insert_with(|| bytes.clone());
        }
        bytes
    }
}

/// A sealed file in memory: nobody can change what the engine reads.
fn memory_file(data: &[u8]) -> Result<OwnedFd, Error> {
    let fd = rustix::fs::memfd_create("swathe", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(io("make a file in memory"))?;
    let mut file = File::from(fd);
    file.write_all(data).and_then(|()| file.rewind()).map_err(io("fill a file in memory"))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(file.as_fd(), seals).map_err(io("seal a file in memory"))?;
    Ok(file.into())
}
