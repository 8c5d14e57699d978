//! Whoever answers for a filter with a listener (seccomp_unotify(2)), for tests.

#![allow(dead_code)] // each test file uses a part

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

/// The option of prctl(2) by which bwrap asks whether somebody listens.
pub const PROBE: u32 = 0x5357_4154;

const NOTIFY: u32 = 0x7fc0_0000;
const ALLOW: u32 = 0x7fff_0000;

/// How long is waited for what never comes, in milliseconds.
const PATIENCE: i32 = 15_000;

/// What is done about a trapped call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The call returns this.
    Value(i64),
    /// The call fails with this error.
    Error(i32),
    /// The call is made.
    GoOn,
    /// There is no answer, and the listener is closed.
    Close,
}

/// A call that was trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The thread that makes it.
    pub pid: u32,
    /// The number of the system call.
    pub number: i64,
    /// Its arguments.
    pub args: [u64; 6],
}

impl Call {
    /// Whether it is bwrap's test call.
    pub fn is_probe(&self) -> bool {
        self.number == libc::SYS_prctl && self.args == [PROBE.into(), 0, 0, 0, 0, self.args[5]]
    }
}

/// A program that traps these system calls and, if wanted, the test call; the rest is allowed.
pub fn trapping(calls: &[i64], probe: bool) -> Vec<u8> {
    let mut program = Vec::new();
    let mut put = |code: u16, jt: u8, jf: u8, k: u32| {
        program.extend(code.to_ne_bytes());
        program.extend([jt, jf]);
        program.extend(k.to_ne_bytes());
    };
    let small = |call: i64| u32::try_from(call).expect("a small number");
    put(0x20, 0, 0, 0);
    for &call in calls {
        put(0x15, 0, 1, small(call));
        put(0x06, 0, 0, NOTIFY);
    }
    if probe {
        // The low half of the first argument.
        let half = if cfg!(target_endian = "big") { 20 } else { 16 };
        put(0x15, 0, 3, small(libc::SYS_prctl));
        put(0x20, 0, 0, half);
        put(0x15, 0, 1, PROBE);
        put(0x06, 0, 0, NOTIFY);
    }
    put(0x06, 0, 0, ALLOW);
    program
}

/// The system calls that mkdir(1) may make.
pub fn mkdir() -> Vec<i64> {
    let mut calls = vec![libc::SYS_mkdirat];
    #[cfg(target_arch = "x86_64")]
    calls.push(libc::SYS_mkdir);
    calls
}

/// Two ends of a UNIX socket of this type.
pub fn pair(kind: i32) -> (OwnedFd, OwnedFd) {
    let mut fds = [0; 2];
    // SAFETY: there is room for two numbers; the new descriptors belong to nobody else.
    unsafe {
        let done = libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr());
        assert_eq!(done, 0, "socketpair: {}", std::io::Error::last_os_error());
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    }
}

/// What a supervisor has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many messages came, each with a listener.
    pub listeners: usize,
    /// What was trapped, in order.
    pub calls: Vec<Call>,
}

/// A supervisor at work.
pub struct Supervisor(JoinHandle<Seen>);

impl Supervisor {
    /// Receives listeners until the socket's other end is closed, and lets `answer` say how each
    /// call is to be answered. All in a thread of its own.
    pub fn start(
        socket: OwnedFd,
        mut answer: impl FnMut(&Call) -> Answer + Send + 'static,
    ) -> Self {
        Self(std::thread::spawn(move || {
            let mut seen = Seen::default();
            while let Some(listener) = receive(&socket) {
                seen.listeners += 1;
                while let Some(notice) = next(&listener) {
                    let call = call(&notice);
                    seen.calls.push(call);
                    match answer(&call) {
                        Answer::Close => break,
                        other => send(&listener, notice.id, other),
                    }
                }
            }
            seen
        }))
    }

    /// One that answers as it should: yes to the test call, and this to the others.
    pub fn good(socket: OwnedFd, others: Answer) -> Self {
        Self::start(socket, move |call| if call.is_probe() { Answer::Value(1) } else { others })
    }

    /// Waits for its end; what it has seen.
    #[track_caller]
    pub fn end(self) -> Seen {
        self.0.join().expect("a supervisor")
    }
}

fn call(notice: &libc::seccomp_notif) -> Call {
    Call { pid: notice.pid, number: notice.data.nr.into(), args: notice.data.args }
}

fn is_ready(fd: &OwnedFd, patience: i32) -> bool {
    let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid structure.
    unsafe { libc::poll(&raw mut polled, 1, patience) > 0 && polled.revents & libc::POLLIN != 0 }
}

/// The listener in the next message, which is one byte; none when the other end is closed.
fn receive(socket: &OwnedFd) -> Option<OwnedFd> {
    let mut bytes = [0_u8; 2];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; 8];
    // SAFETY: the header describes buffers that live over the call, of the sizes given; what the
    // kernel has written is read as the macros say.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let n = libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC);
        if n <= 0 {
            return None;
        }
        assert_eq!((n, header.msg_flags & libc::MSG_CTRUNC), (1, 0));
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        assert!(!message.is_null() && (*message).cmsg_type == libc::SCM_RIGHTS);
        assert_eq!((*message).cmsg_len as usize, libc::CMSG_LEN(4) as usize);
        let number = libc::CMSG_DATA(message).cast::<i32>().read_unaligned();
        Some(OwnedFd::from_raw_fd(number))
    }
}

/// The next trapped call; none when nobody is left under the filter.
fn next(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    while is_ready(listener, PATIENCE) {
        // SAFETY: zeros are a valid structure, and what the kernel wants; it is of the size that the
        // number of the request holds.
        unsafe {
            let mut notice: libc::seccomp_notif = std::mem::zeroed();
            let to = &raw mut notice;
            if libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, to) == 0 {
                return Some(notice);
            }
        }
    }
    None
}

fn send(listener: &OwnedFd, id: u64, answer: Answer) {
    let (val, error, flags) = match answer {
        Answer::Value(value) => (value, 0, 0),
        Answer::Error(error) => (0, -error, 0),
        _ => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
    };
    let mut response = libc::seccomp_notif_resp { id, val, error, flags };
    // SAFETY: a structure of the size that the number of the request holds. Whoever made the call
    // may have ended: then there is nobody to be answered.
    unsafe {
        let from = &raw mut response;
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, from);
    }
}

/// A descriptor of the kind that can be given to [`swathe_testkit::Run::fd`], and its other end.
pub fn stream() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    (theirs, ours.into())
}
