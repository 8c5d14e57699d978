//! A served sandbox and a client for it, for tests: it says also what no sound client would.

#![allow(dead_code)] // each test file uses a part

use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use swathe_plan::serve::{self, Numbers, REPLY_SIZE, Reply, Request};
use swathe_testkit::{Bwrap, Outcome, Run, Running, TempDir, notice, pipe};

/// How long a reply is waited for, in milliseconds: a bound for what never comes.
const PATIENCE: i32 = 15_000;

/// The lines of a text.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
}

/// The interpreter, or none after a notice.
pub fn python() -> Option<&'static str> {
    let path = "/usr/bin/python3";
    if !Path::new(path).exists() {
        notice("no python3: a client inside the sandbox is not tried");
        return None;
    }
    Some(path)
}

/// A file in memory.
pub fn memory(bytes: &[u8]) -> File {
    swathe_testkit::data(bytes).into()
}

fn socket() -> OwnedFd {
    // SAFETY: numbers only; the new descriptor belongs to nobody else.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        assert!(fd >= 0, "socket: {}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}

/// A socket of the right kind that does not listen.
pub fn unheard() -> OwnedFd {
    socket()
}

fn address(path: &Path) -> libc::sockaddr_un {
    use std::os::unix::ffi::OsStrExt as _;
    // SAFETY: all zeros is a valid address structure.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as _;
    let bytes = path.as_os_str().as_bytes();
    assert!(bytes.len() < address.sun_path.len());
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as _;
    }
    address
}

const LEN: libc::socklen_t = size_of::<libc::sockaddr_un>() as libc::socklen_t;

fn listen(path: &Path, uid: u32) -> OwnedFd {
    let socket = socket();
    let address = address(path);
    // SAFETY: the address is of the length given.
    unsafe {
        let done = libc::bind(socket.as_raw_fd(), (&raw const address).cast(), LEN);
        assert_eq!(done, 0, "bind: {}", std::io::Error::last_os_error());
        assert_eq!(libc::listen(socket.as_raw_fd(), 128), 0);
    }
    std::os::unix::fs::chown(path, Some(uid), None).expect("give the socket away");
    socket
}

/// A sandbox that serves.
pub struct Session {
    running: Running,
    path: PathBuf,
    uid: u32,
    _temp: Option<TempDir>,
}

impl Session {
    /// One without a command.
    pub fn serve(b: &Bwrap, words: &str) -> Self {
        Self::start(b, words, "", None)
    }

    /// One with a command.
    pub fn start(b: &Bwrap, words: &str, command: &str, last: Option<&str>) -> Self {
        let temp = b.temp();
        let session = Self::start_at(b, words, command, last, &temp);
        Self { _temp: Some(temp), ..session }
    }

    /// The same, with more about its run.
    pub fn start_with(
        b: &Bwrap,
        words: &str,
        command: &str,
        more: impl FnOnce(Run) -> Run,
    ) -> Self {
        let temp = b.temp();
        let path = temp.path().join("socket");
        let listener = listen(&path, b.uid());
        let run = b.run(words).words("--serve 9").words(command).fd(9, listener);
        Self { running: more(run).start(), path, uid: b.uid(), _temp: Some(temp) }
    }

    /// The same, with its socket in this directory.
    pub fn start_at(
        b: &Bwrap,
        words: &str,
        command: &str,
        last: Option<&str>,
        temp: &TempDir,
    ) -> Self {
        let path = temp.path().join("socket");
        let listener = listen(&path, b.uid());
        let run = b.run(words).words("--serve 9").words(command).args(last).fd(9, listener);
        Self { running: run.start(), path, uid: b.uid(), _temp: None }
    }

    /// Where its socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection of the sandbox's user.
    #[track_caller]
    pub fn connect(&self) -> Client {
        self.connect_as(self.uid)
    }

    /// A connection of this user, whom the file's permissions do not keep off.
    #[track_caller]
    pub fn connect_as(&self, uid: u32) -> Client {
        let address = address(&self.path);
        std::os::unix::fs::chown(&self.path, Some(uid), None).expect("give the socket away");
        // The kernel notes who connects; only this thread becomes that user for it.
        let made = std::thread::spawn(move || {
            let socket = socket();
            // SAFETY: numbers, and an address of the length given.
            unsafe {
                if libc::geteuid() != uid {
                    assert_eq!(libc::syscall(libc::SYS_setresuid, uid, uid, uid), 0);
                }
                let done = libc::connect(socket.as_raw_fd(), (&raw const address).cast(), LEN);
                assert_eq!(done, 0, "connect: {}", std::io::Error::last_os_error());
            }
            Client(socket)
        });
        made.join().expect("a connection")
    }

    /// Runs a command to its end; its status and its output.
    #[track_caller]
    pub fn run(&self, argv: &[&str]) -> (i32, String) {
        let (out, write) = pipe();
        let null = File::open("/dev/null").expect("open");
        let errors = File::options().write(true).open("/dev/null").expect("open");
        let client = self.connect();
        client.ask(argv, &[], "", false, &[], &[&null, &write, &errors]);
        drop(write);
        let code = client.ends();
        (code, std::io::read_to_string(out).expect("text"))
    }

    /// The sandbox's first process, by its number outside.
    pub fn pid_1(&self) -> i32 {
        let path = format!("/proc/{0}/task/{0}/children", self.running.pid);
        let text = std::fs::read_to_string(path).expect("a launcher");
        text.trim().parse().expect("one child")
    }

    /// Sends the launcher a signal.
    pub fn kill(&self, signal: i32) {
        self.running.kill(signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(self) -> Outcome {
        self.running.wait()
    }

    /// Stops it; bwrap ends with this status.
    #[track_caller]
    pub fn stop(self, status: i32) {
        let client = self.connect();
        client.send(Request::Stop);
        assert_eq!(client.reply(), None);
        let outcome = self.wait();
        assert_eq!(outcome.ended, swathe_testkit::Ended::Exit(status), "{outcome}");
    }
}

/// One connection.
pub struct Client(OwnedFd);

impl Client {
    /// The message and the text for a command.
    #[track_caller]
    pub fn text(
        argv: &[&str],
        env: &[&str],
        cwd: &str,
        terminal: bool,
        numbers: &[u8],
    ) -> (serve::Run, Vec<u8>) {
        let bytes = |words: &[&str]| words.iter().map(|w| w.as_bytes().to_vec()).collect();
        let (argv, env): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (bytes(argv), bytes(env));
        let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let env: Vec<&[u8]> = env.iter().map(Vec::as_slice).collect();
        let numbers = Numbers::new(numbers).expect("good numbers");
        serve::text(cwd.as_bytes(), &argv, &env, terminal, numbers).expect("a good command")
    }

    /// Asks for a command.
    #[track_caller]
    pub fn ask(
        &self,
        argv: &[&str],
        env: &[&str],
        cwd: &str,
        terminal: bool,
        numbers: &[u8],
        fds: &[&File],
    ) {
        let (run, text) = Self::text(argv, env, cwd, terminal, numbers);
        let file = memory(&text);
        let fds: Vec<&File> = std::iter::once(&file).chain(fds.iter().copied()).collect();
        self.send_raw(&Request::Run(run).encode(), &fds);
    }

    /// Asks for a command without input and output.
    #[track_caller]
    pub fn ask_plain(&self, argv: &[&str], env: &[&str], cwd: &str) {
        let null = File::options().read(true).write(true).open("/dev/null").expect("open");
        self.ask(argv, env, cwd, false, &[], &[&null, &null, &null]);
    }

    /// The same, where it may not be possible.
    pub fn try_ask(&self, argv: &[&str]) {
        let null = File::open("/dev/null").expect("open");
        let (run, text) = Self::text(argv, &[], "", false, &[]);
        let file = memory(&text);
        let _ = self.try_send(&Request::Run(run).encode(), &[&file, &null, &null, &null]);
    }

    /// Sends a message without descriptors; one that cannot be sent any more is not.
    pub fn send(&self, request: Request) {
        let _ = self.try_send(&request.encode(), &[]);
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send_raw(&self, bytes: &[u8], fds: &[&File]) {
        if let Err(error) = self.try_send(bytes, fds) {
            // Dropped before: for who says nothing, that is right.
            assert!(
                matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)),
                "send: {error}"
            );
        }
    }

    fn try_send(&self, bytes: &[u8], fds: &[&File]) -> std::io::Result<()> {
        let numbers: Vec<i32> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let size = size_of_val(&numbers[..]);
        let mut part =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // SAFETY: the header describes buffers that live over the call, of the sizes given; the
        // control buffer has room for one message with all numbers.
        unsafe {
            let mut control = vec![0_u64; libc::CMSG_SPACE(size as u32) as usize / 8 + 1];
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = &raw mut part;
            header.msg_iovlen = 1;
            if size > 0 {
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = libc::CMSG_SPACE(size as u32) as _;
                let message = libc::CMSG_FIRSTHDR(&raw const header);
                (*message).cmsg_level = libc::SOL_SOCKET;
                (*message).cmsg_type = libc::SCM_RIGHTS;
                (*message).cmsg_len = libc::CMSG_LEN(size as u32) as _;
                let to = libc::CMSG_DATA(message);
                std::ptr::copy_nonoverlapping(numbers.as_ptr().cast(), to, size);
            }
            match libc::sendmsg(self.0.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            }
        }
    }

    fn is_ready(&self, patience: i32) -> bool {
        let mut polled = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid structure.
        unsafe { libc::poll(&raw mut polled, 1, patience) > 0 }
    }

    /// Whether nothing is said for a moment.
    pub fn is_silent(&self) -> bool {
        !self.is_ready(200)
    }

    /// The next reply; none when the connection was closed.
    #[track_caller]
    pub fn reply(&self) -> Option<Reply> {
        assert!(self.is_ready(PATIENCE), "no reply");
        let mut bytes = [0_u8; REPLY_SIZE + 1];
        // SAFETY: the buffer is of the size given.
        let n =
            unsafe { libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        match usize::try_from(n) {
            Ok(0) | Err(_) => None,
            Ok(n) => Some(Reply::decode(&bytes[..n]).expect("a reply")),
        }
    }

    /// Waits for the end of the command, which must have been started.
    #[track_caller]
    pub fn ends(&self) -> i32 {
        loop {
            match self.reply() {
                Some(Reply::Started | Reply::Stopped(_)) => {}
                Some(Reply::Exited(code)) => {
                    assert_eq!(self.reply(), None, "after the end");
                    return code;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Why a command was not run.
#[track_caller]
pub fn failure(client: &Client) -> (serve::Step, i32) {
    loop {
        match client.reply() {
            Some(Reply::Started) => {}
            Some(Reply::Failed { step, errno }) => return (step, errno),
            other => panic!("{other:?}"),
        }
    }
}
