//! One run of a program, with everything about it under control, and its outcome.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::binary::{Bwrap, Who, is_root, probe, user};

/// The descriptor at which the nanny gets its end of the control socket.
const CONTROL: RawFd = 900;

/// A run that is being prepared. By default it has no input, `/` as working directory, and only
/// `PATH`, `HOME=/`, `LC_ALL=C` and `PROBE` (the probe's path) as environment; no descriptor above
/// 2; it fails the test when it lasts 20 seconds, or when processes of it are left 5 seconds later.
#[derive(Debug)]
pub struct Run {
    program: OsString,
    words: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: OsString,
    stdin: Option<OwnedFd>,
    fds: Vec<(RawFd, OwnedFd)>,
    uid: u32,
    timeout: Duration,
    grace: Duration,
    may_leave: bool,
    through: Vec<OsString>,
}

impl Run {
    pub(crate) fn new(b: &Bwrap, program: &Path) -> Self {
        let env = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into()),
            ("HOME", "/".into()),
            ("LC_ALL", "C".into()),
            ("PROBE", probe().into_os_string()),
        ];
        Self {
            program: program.into(),
            words: Vec::new(),
            env: env.map(|(name, value)| (name.into(), value)).into(),
            cwd: "/".into(),
            stdin: None,
            fds: Vec::new(),
            uid: if b.who == Who::User && is_root() { user() } else { 0 },
            timeout: Duration::from_secs(20),
            // Only what does not end is waited for so long.
            grace: Duration::from_secs(20),
            may_leave: false,
            through: Vec::new(),
        }
    }

    /// Appends words, split at white space.
    #[must_use]
    pub fn words(mut self, words: &str) -> Self {
        self.words.extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// Appends one word as it is.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().into());
        self
    }

    /// Appends several words as they are.
    #[must_use]
    pub fn args<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Appends `sh -c TEXT`.
    #[must_use]
    pub fn sh(self, text: &str) -> Self {
        self.words("sh -c").arg(text)
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(known, _)| known != name.as_ref());
        self.env.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Empties the environment.
    #[must_use]
    pub fn no_env(mut self) -> Self {
        self.env.clear();
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, path: impl AsRef<OsStr>) -> Self {
        self.cwd = path.as_ref().into();
        self
    }

    /// Sets the standard input.
    #[must_use]
    pub fn stdin(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdin = Some(fd.into());
        self
    }

    /// Gives the program a descriptor of this number, which may be 0 to 2 as well.
    #[must_use]
    pub fn fd(mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push((number, fd.into()));
        self
    }

    /// Lets it take so long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Allows processes to be left behind; they are killed after `grace`, and counted.
    #[must_use]
    pub fn may_leave(mut self, grace: Duration) -> Self {
        (self.may_leave, self.grace) = (true, grace);
        self
    }

    /// Starts all of it by a command that executes its last words, as whoever runs the test: one
    /// that enters namespaces, for instance.
    #[must_use]
    pub fn through<W: AsRef<OsStr>>(
        mut self,
        program: &str,
        words: impl IntoIterator<Item = W>,
    ) -> Self {
        self.through = vec![program.into()];
        self.through.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Starts it, to be waited for later.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Running {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let nanny = OsString::from(env!("SWATHE_NANNY"));
        let mut start = self.through.iter().chain([&nanny]);
        let mut command = Command::new(start.next().unwrap_or(&nanny));
        command.args(start).arg(CONTROL.to_string());
        command.arg(self.timeout.as_millis().to_string());
        command.arg(self.grace.as_millis().to_string());
        command.arg(self.uid.to_string()).arg("--").arg(&self.program).args(&self.words);
        command.env_clear().envs(self.env).current_dir(self.cwd);
        command.stdin(self.stdin.map_or_else(Stdio::null, Stdio::from));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut fds = self.fds;
        fds.push((CONTROL, theirs.into()));
        // SAFETY: `place` makes system calls on numbers only, and allocates nothing.
        unsafe {
            command.pre_exec(move || place(&fds));
        }
        let mut child = command.spawn().expect("start the nanny");
        drop(command);
        let stdout = drain(child.stdout.take().expect("piped"));
        let stderr = drain(child.stderr.take().expect("piped"));
        let mut control = BufReader::new(ours);
        let mut line = String::new();
        control.read_line(&mut line).expect("read from the nanny");
        let pid = line.trim().strip_prefix("pid ").and_then(|pid| pid.parse().ok());
        let line = format!("{} {:?}", self.program.display(), self.words);
        let may_leave = self.may_leave;
        let pid = pid.unwrap_or_else(|| panic!("the nanny could not start {line}"));
        Running { pid, child, control, stdout, stderr, line, may_leave }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started, takes too long, or leaves processes behind.
    #[track_caller]
    pub fn go(self) -> Outcome {
        self.start().wait()
    }

    /// Runs it to its end, which must be this exit status.
    ///
    /// # Panics
    ///
    /// As [`Self::go`], or when the status differs.
    #[track_caller]
    pub fn exits(self, status: i32) -> Outcome {
        let outcome = self.go();
        assert_eq!(outcome.ended, Ended::Exit(status), "{outcome}");
        outcome
    }

    /// Runs it to its end, which must be status 0; what it printed, without the last newline.
    ///
    /// # Panics
    ///
    /// As [`Self::go`], or when the status differs.
    #[track_caller]
    pub fn prints(self) -> String {
        self.exits(0).text()
    }

    /// Runs it to its end, which must be status 1 with nothing printed but messages, of which the
    /// first line is `bwrap: ` and this text.
    ///
    /// # Panics
    ///
    /// As [`Self::go`], or when the status or the message differs.
    #[track_caller]
    pub fn fails(self, message: &str) -> Outcome {
        let outcome = self.exits(1);
        let expected = format!("bwrap: {message}");
        assert_eq!(outcome.message(), expected, "{outcome}");
        assert!(outcome.out.is_empty(), "{outcome}");
        outcome
    }
}

/// In the child, before exec: only the given descriptors stay open, each at its number.
fn place(fds: &[(RawFd, OwnedFd)]) -> std::io::Result<()> {
    let check = |result: i32| match result {
        -1 => Err(std::io::Error::last_os_error()),
        result => Ok(result),
    };
    // Sources may sit at numbers that are wanted: first all of them move out of the way.
    let mut moved = [0; 16];
    assert!(fds.len() <= moved.len());
    // SAFETY: the descriptors in `fds` are open; the others are only marked for closing.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        for (slot, (_, fd)) in moved.iter_mut().zip(fds) {
            *slot = check(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, CONTROL + 1))?;
        }
        for (from, (to, _)) in moved.iter().zip(fds) {
            check(libc::dup2(*from, *to))?;
        }
    }
    Ok(())
}

fn drain(mut pipe: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// A run that has been started. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Running {
    /// The process id of the program.
    pub pid: i32,
    child: Child,
    control: BufReader<UnixStream>,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    line: String,
    may_leave: bool,
}

impl Running {
    /// Sends a signal to the program, not to its children.
    pub fn kill(&self, signal: i32) {
        // SAFETY: takes numbers only; the nanny reaps the program no sooner than it reports so.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it takes too long, has changed the host's mounts, or leaves processes behind that
    /// [`Run::may_leave`] did not allow.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let mut lines = (&mut self.control).lines().map_while(Result::ok);
        let ended = lines.next().unwrap_or_default();
        let left = lines.next().unwrap_or_default();
        let mounts = lines.next().unwrap_or_default();
        let _ = self.child.wait();
        let number = |text: &str| text.split(' ').nth(1).and_then(|word| word.parse().ok());
        let outcome = Outcome {
            ended: match (ended.split(' ').next(), number(&ended)) {
                (Some("exit"), Some(status)) => Ended::Exit(status),
                (Some("signal"), Some(signal)) => Ended::Signal(signal),
                _ => Ended::TimedOut,
            },
            left: number(&left).unwrap_or(-1),
            out: self.stdout.join().unwrap_or_default(),
            err: self.stderr.join().unwrap_or_default(),
            line: self.line,
        };
        assert_ne!(outcome.ended, Ended::TimedOut, "{outcome}");
        assert!(self.may_leave || outcome.left == 0, "processes left behind: {outcome}");
        assert_eq!(number(&mounts), Some(0), "the host's mounts have changed: {outcome}");
        outcome
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited, with this status.
    Exit(i32),
    /// A signal of this number killed it.
    Signal(i32),
    /// It took too long and was killed.
    TimedOut,
}

impl Ended {
    /// The status that a shell would report: the exit status, or 128 and the signal.
    #[must_use]
    pub fn shell(self) -> i32 {
        match self {
            Self::Exit(status) => status,
            Self::Signal(signal) => 128 + signal,
            Self::TimedOut => -1,
        }
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// How many of its processes were left and had to be killed.
    pub left: i32,
    /// What it wrote to standard output.
    pub out: Vec<u8>,
    /// What it wrote to standard error.
    pub err: Vec<u8>,
    line: String,
}

impl Outcome {
    /// Standard output as text, without the last newline.
    #[must_use]
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.out);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }

    /// The first line of standard error.
    #[must_use]
    pub fn message(&self) -> String {
        self.errors().lines().next().unwrap_or_default().to_owned()
    }

    /// The values of a key of the probe's report.
    #[must_use]
    pub fn all(&self, key: &str) -> Vec<String> {
        let prefix = format!("{key} ");
        let text = self.text();
        text.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// The one value of a key of the probe's report.
    ///
    /// # Panics
    ///
    /// When there is none, or more than one.
    #[must_use]
    #[track_caller]
    pub fn one(&self, key: &str) -> String {
        let mut values = self.all(key);
        assert_eq!(values.len(), 1, "key {key} of {self}");
        values.remove(0)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let out = String::from_utf8_lossy(&self.out);
        let Self { ended, left, line, .. } = self;
        write!(f, "{line}: {ended:?}, {left} left\nstdout: {out}\nstderr: {}", self.errors())
    }
}

/// A file without a name that holds these bytes, to be read from its start.
///
/// # Panics
///
/// When there is no memory for it.
#[must_use]
pub fn data(bytes: impl AsRef<[u8]>) -> OwnedFd {
    // SAFETY: a name with its end; the new descriptor belongs to nobody else.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"swathe-test".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
        File::from_raw_fd(fd)
    };
    file.write_all(bytes.as_ref()).expect("fill a memory file");
    file.rewind().expect("rewind a memory file");
    file.into()
}

/// A new pipe: where to read, where to write.
///
/// # Panics
///
/// When there is no descriptor left.
#[must_use]
pub fn pipe() -> (File, File) {
    let (read, write) = std::io::pipe().expect("a pipe");
    (OwnedFd::from(read).into(), OwnedFd::from(write).into())
}
