//! A sandbox whose mounts can be changed, and that answers questions.
#![allow(dead_code)] // each test file uses a part

use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recv, sendmsg, socketpair,
};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};
use swathe::plan::Plan;
use swathe::plan::model::CapOp;
use swathe::{Child, Command, Engine};
use swathe_mounter::{Access, Error, Id, Mounter, Step};
use swathe_testkit::{Bwrap, Side, Who, reachable};

/// Runs a test as a user: in a thread of its own, which alone becomes that user.
pub fn as_user(who: Who, test: fn(&Bwrap)) {
    let engine = crate::common::engine();
    let engine = engine.display().to_string();
    let Some(b) = Bwrap::find(Side::Ours, who, Some(&engine)) else { return };
    let thread = std::thread::spawn(move || {
        let uid = b.uid();
        // SAFETY: numbers only. The kernel keeps ids for each thread; the C library's calls, which
        // change those of all, are not used.
        unsafe {
            if libc::geteuid() != uid {
                let none = std::ptr::null::<libc::gid_t>();
                assert_eq!(libc::syscall(libc::SYS_setgroups, 0, none), 0);
                assert_eq!(libc::syscall(libc::SYS_setresgid, uid, uid, uid), 0);
                assert_eq!(libc::syscall(libc::SYS_setresuid, uid, uid, uid), 0);
            }
        }
        test(&b);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Makes two tests of each function: as root and as an ordinary user.
#[macro_export]
macro_rules! as_each_user {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn root() {
                $crate::mounting::as_user(swathe_testkit::Who::Root, super::$name);
            }

            #[test]
            fn user() {
                $crate::mounting::as_user(swathe_testkit::Who::User, super::$name);
            }
        }
    )*};
}

/// The program that is the helper.
pub fn program() -> PathBuf {
    reachable(Path::new(env!("CARGO_BIN_EXE_swathe")))
}

/// A sandbox with the system's programs, an empty `/tmp`, and a shell that runs what it is told.
pub struct Shell {
    pub child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// One with more, and with another plan. `held`: what is done before the shell starts.
    pub fn start(
        b: &Bwrap,
        more: impl FnOnce(Command) -> Command,
        edit: impl FnOnce(&mut Plan),
        held: impl FnOnce(&mut Child),
    ) -> Self {
        let command = Command::new("/bin/sh").unshare_all().ro_bind("/usr", "/usr");
        let command = command.proc("/proc").dev("/dev").tmpfs("/tmp", None);
        let command = ["bin", "lib", "lib64", "sbin"].iter().fold(command, |command, name| {
            let path = PathBuf::from("/").join(name);
            match std::fs::read_link(&path) {
                Ok(target) => command.symlink(target, path),
                Err(_) if path.exists() => command.ro_bind(&path, &path),
                Err(_) => command,
            }
        });
        let command = more(command).env("PATH", "/usr/bin:/bin");
        let mut plan = command.plan().clone();
        plan.caps.push(CapOp::Drop(u64::MAX));
        edit(&mut plan);
        let command = Command::from_plan(plan).engine(Engine::at(&b.path).expect("our bwrap"));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.hold_start().spawn().expect("spawn");
        held(&mut child);
        child.release().expect("release");
        assert!(child.is_set_up(Duration::from_secs(20)).expect("wait"));
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut shell = Self { child, input, output };
        assert_eq!(shell.ask("echo up"), "up");
        shell
    }

    /// Runs commands of the shell inside; what they print, errors too.
    #[track_caller]
    pub fn ask(&mut self, text: &str) -> String {
        self.tell(text);
        self.hear()
    }

    /// Lets the shell inside run commands, without waiting.
    pub fn tell(&mut self, text: &str) {
        writeln!(self.input, "{{ {text}\n}} 2>&1; printf '\\n=end=\\n'").expect("it listens");
    }

    /// What the commands printed that it was told.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).expect("it speaks"), 0, "{said}");
            if line == "=end=\n" {
                return said.trim_end().to_owned();
            }
            said += &line;
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A [`Shell`] in a sandbox whose mounts can be changed.
pub struct Sandbox {
    pub mounter: Mounter,
    shell: Shell,
    namespace: OwnedFd,
}

impl std::ops::Deref for Sandbox {
    type Target = Shell;

    fn deref(&self) -> &Shell {
        &self.shell
    }
}

impl std::ops::DerefMut for Sandbox {
    fn deref_mut(&mut self) -> &mut Shell {
        &mut self.shell
    }
}

impl Sandbox {
    /// One without anything else.
    pub fn new(b: &Bwrap) -> Self {
        Self::with(b, |command| command, |_| ())
    }

    /// One with more, and with another plan.
    pub fn with(
        b: &Bwrap,
        more: impl FnOnce(Command) -> Command,
        edit: impl FnOnce(&mut Plan),
    ) -> Self {
        let mut namespace = None;
        let held = |child: &mut Child| {
            namespace = child.mount_namespace().expect("its namespace");
        };
        let shell = Shell::start(b, more, edit, held);
        let namespace = namespace.expect("it runs");
        let pidfd = shell.child.pidfd().expect("a pidfd");
        let mounter = Mounter::start(&program(), namespace.as_fd(), pidfd);
        let mounter = mounter.unwrap_or_else(|e| panic!("{e}"));
        Self { mounter, shell, namespace }
    }

    /// The number of one of its processes.
    pub fn pid(&self) -> u32 {
        let own = std::fs::File::from(self.namespace.try_clone().expect("a descriptor"));
        let own = own.metadata().expect("of a namespace").ino();
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let inside = |pid: &u32| {
            std::fs::metadata(format!("/proc/{pid}/ns/mnt")).is_ok_and(|m| m.ino() == own)
        };
        pids.into_iter().find(inside).expect("a process inside")
    }

    /// Shows something, which must work.
    #[track_caller]
    pub fn show(&mut self, host: impl AsRef<Path>, path: &str, access: Access) -> Id {
        let shown = self.mounter.show(host.as_ref(), Path::new(path), access);
        shown.unwrap_or_else(|e| panic!("{e}"))
    }

    /// Hides something, which must work.
    #[track_caller]
    pub fn hide(&mut self, path: &str) -> Id {
        self.mounter.hide(Path::new(path)).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Takes a mount away, which must work.
    #[track_caller]
    pub fn undo(&mut self, id: Id) {
        self.mounter.undo(id).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A helper without a client.
pub struct Helper {
    pub child: std::process::Child,
    pub socket: Option<OwnedFd>,
    pub client: Option<OwnedFd>,
    pub sandbox: Option<OwnedFd>,
}

impl Helper {
    /// Starts one for this mount namespace.
    pub fn start(namespace: BorrowedFd<'_>) -> Self {
        use command_fds::{CommandFdExt as _, FdMapping};
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (socket, theirs) = pair.expect("sockets");
        let namespace = namespace.try_clone_to_owned().expect("a descriptor");
        let [client, sandbox] = [(), ()].map(|()| std::io::pipe().expect("a pipe"));
        let fds = [theirs, namespace, client.0.into(), sandbox.0.into()];
        let fds = fds.into_iter().zip(3..);
        let mut command = std::process::Command::new(program());
        let mappings = fds.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
        command.arg(swathe_mounter::COMMAND).fd_mappings(mappings.collect()).expect("numbers");
        let child = command.spawn().expect("spawn");
        let (client, sandbox) = (Some(client.1.into()), Some(sandbox.1.into()));
        Self { child, socket: Some(socket), client, sandbox }
    }

    /// Sends a message with so many descriptors.
    pub fn send(&mut self, message: &[u8], fds: usize) {
        let socket = self.socket.as_ref().expect("open");
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = vec![socket.as_fd(); fds];
        assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(&fds)));
        let parts = [std::io::IoSlice::new(message)];
        sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL).expect("send");
    }

    /// Its exit status, if it ends soon.
    pub fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The next message; none at the end.
    pub fn hear(&mut self) -> Option<Vec<u8>> {
        let mut message = vec![0; 64];
        let socket = self.socket.as_ref().expect("open");
        let (_, n) = recv(socket, &mut message[..], RecvFlags::empty()).expect("receive");
        message.truncate(n);
        Some(message).filter(|message| !message.is_empty())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The step that a refusal names.
#[track_caller]
pub fn step<T: std::fmt::Debug>(result: Result<T, Error>) -> (Step, i32) {
    match result {
        Err(Error::Refused { step, errno, .. }) => (step, errno.map_or(0, |e| e.raw_os_error())),
        other => panic!("no refusal: {other:?}"),
    }
}

/// The mounts of this process.
pub fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table")
}
