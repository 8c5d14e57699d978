//! One launch: its descriptors, its processes, and what it wrote.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use crate::profile::{Feed, PROBE_FD, Profile};
use crate::sys::{self, ExecPlan, Pid};

/// Descriptor to which a [`Payload::Gate`] writes.
const GATE_FD: RawFd = 40;

/// What the sandbox is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Describe the sandbox on standard output and end with status 0.
    Probe,
    /// Write `ready` to standard output and sleep until killed.
    Sleep,
    /// Write a byte to what this descriptor of ours stands for, and wait until it reads end-of-file on standard input.
    Gate(RawFd),
    /// End at once with status 0.
    True,
}

/// What every launch of a run has in common.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The launcher under test.
    pub bwrap: PathBuf,
    /// The file whose program is the payload: this tool itself.
    pub probe: PathBuf,
    /// The host's namespaces, for the probe to compare with.
    pub host: String,
}

impl Setting {
    /// Names the launcher under test and finds out the rest.
    ///
    /// # Errors
    /// When the launcher or the tool's own program cannot be found.
    pub fn new(bwrap: PathBuf) -> io::Result<Self> {
        let bwrap = std::fs::canonicalize(&bwrap)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", bwrap.display())))?;
        let probe = std::env::current_exe()?;
        Ok(Self { bwrap, probe, host: crate::probe::host_namespaces() })
    }
}

/// The process that spawns a launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spawner {
    /// The worker itself.
    Worker,
    /// A process in a session of its own, which then waits for the launcher.
    Caller,
    /// A thread of such a process, which ends this long after the fork. The process lives on.
    Thread(Duration),
}

/// One launch to be made.
pub struct Launch<'a> {
    /// Launcher and probe.
    pub setting: &'a Setting,
    /// The sandbox.
    pub profile: &'a Profile,
    /// Words put before the profile's.
    pub extra: &'a [&'a str],
    /// What runs inside.
    pub payload: Payload,
    /// The ordinary user to become, or `None` to stay who we are.
    pub user: Option<u32>,
    /// Limit of open files.
    pub nofile: Option<u64>,
    /// Who spawns the launcher.
    pub by: Spawner,
    /// Standard input; `/dev/null` when absent.
    pub stdin: Option<RawFd>,
}

/// A launch under way. Its launcher waits before its exec until [`Running::go`].
pub struct Running {
    /// The launcher.
    pub launcher: Pid,
    /// The process that spawned it, when it is not the worker.
    pub caller: Option<Pid>,
    stdout: File,
    stderr: File,
    captures: Vec<(RawFd, File)>,
    gate: Option<OwnedFd>,
    /// Ends of pipes that must stay open while the launch runs.
    _held: Vec<OwnedFd>,
}

/// What a launch wrote.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Standard output: the probe's report.
    pub stdout: String,
    /// Standard error: the launcher's messages.
    pub stderr: String,
    /// Captured documents by descriptor.
    pub documents: Vec<(RawFd, String)>,
}

/// A pipe that takes no more bytes: (reading end, writing end).
fn full_pipe(blocking: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = sys::pipe(libc::O_NONBLOCK)?;
    let mut file = File::from(writer);
    while file.write(&[0; 4096]).is_ok() {}
    while file.write(&[0; 1]).is_ok() {}
    let writer = OwnedFd::from(file);
    if blocking {
        sys::set_blocking(&writer)?;
    }
    Ok((reader, writer))
}

/// Opens what stands behind one descriptor. The second value must live as long as the launch.
fn open_feed(feed: &Feed, setting: &Setting) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    Ok(match feed {
        Feed::Bytes(content) => (sys::memfd(content)?.into(), None),
        Feed::Capture => (sys::memfd(b"")?.into(), None),
        Feed::Null => (File::open("/dev/null")?.into(), None),
        Feed::Full => (OpenOptions::new().write(true).open("/dev/full")?.into(), None),
        Feed::Probe => (File::open(&setting.probe)?.into(), None),
        Feed::BrokenPipe => (sys::pipe(0)?.1, None),
        Feed::FullPipe | Feed::BlockingPipe => {
            let (reader, writer) = full_pipe(*feed == Feed::BlockingPipe)?;
            (writer, Some(reader))
        }
    })
}

impl Launch<'_> {
    /// The launcher's whole command line.
    fn argv(&self) -> Vec<Vec<u8>> {
        let mut argv = vec![self.setting.bwrap.as_os_str().as_encoded_bytes().to_vec()];
        argv.extend(self.extra.iter().map(|w| w.as_bytes().to_vec()));
        argv.extend(self.profile.words.iter().cloned());
        let payload: Vec<String> = match &self.payload {
            Payload::Probe => {
                vec!["__probe".into(), self.setting.host.clone(), self.profile.walk.into()]
            }
            Payload::Sleep => vec!["__sleep".into()],
            Payload::Gate(_) => vec!["__gate".into(), GATE_FD.to_string()],
            Payload::True => vec!["__true".into()],
        };
        argv.push(b"--".to_vec());
        argv.push(format!("/proc/self/fd/{PROBE_FD}").into_bytes());
        argv.extend(payload.into_iter().map(String::into_bytes));
        argv
    }

    /// Forks the launcher (and its caller), which then waits for [`Running::go`].
    ///
    /// # Errors
    /// Those of opening the descriptors and of fork(2).
    pub fn spawn(&self) -> io::Result<Running> {
        let (stdout, stderr) = (sys::memfd(b"")?, sys::memfd(b"")?);
        let null = File::open("/dev/null")?;
        let mut opened = Vec::new();
        let mut held = Vec::new();
        let feeds = self.profile.fds.iter().cloned().chain([(PROBE_FD, Feed::Probe)]);
        for (number, feed) in feeds {
            let (fd, other) = open_feed(&feed, self.setting)?;
            held.extend(other);
            opened.push((number, feed, fd));
        }
        let mut fds = vec![
            (self.stdin.unwrap_or(null.as_raw_fd()), 0),
            (stdout.as_raw_fd(), 1),
            (stderr.as_raw_fd(), 2),
        ];
        fds.extend(opened.iter().map(|(number, _, fd)| (fd.as_raw_fd(), *number)));
        if let Payload::Gate(fd) = self.payload {
            fds.push((fd, GATE_FD));
        }
        let env = ["PATH=/usr/bin:/bin", "HOME=/", "LANG=C", "FAULT=launch"];
        let env: Vec<Vec<u8>> = env.iter().map(|w| w.as_bytes().to_vec()).collect();
        let plan = ExecPlan::new(&self.argv(), &env, b"/", fds, self.user, self.nofile)?;
        let (gate_reader, gate) = sys::pipe(0)?;
        let (launcher, caller) = match self.by {
            Spawner::Worker => (fork_launcher(&plan, &gate_reader)?, None),
            Spawner::Caller => by_caller(&plan, &gate_reader, None)?,
            Spawner::Thread(delay) => by_caller(&plan, &gate_reader, Some(delay))?,
        };
        let captures = opened
            .into_iter()
            .filter(|(_, feed, _)| *feed == Feed::Capture)
            .map(|(number, _, fd)| (number, File::from(fd)))
            .collect();
        Ok(Running { launcher, caller, stdout, stderr, captures, gate: Some(gate), _held: held })
    }
}

/// Forks a process that waits at the gate, then becomes the launcher.
///
/// It holds a writing end of the gate itself, so the gate opens by a byte and not by end-of-file.
fn fork_launcher(plan: &ExecPlan, gate_reader: &OwnedFd) -> io::Result<Pid> {
    let pid = sys::fork()?;
    if pid != 0 {
        return Ok(pid);
    }
    sys::wait_byte(gate_reader.as_raw_fd());
    plan.run()
}

/// Forks a caller in a session of its own, which forks the launcher, waits for it and ends. With
/// `thread` the fork is made by a second thread, which ends after that delay.
fn by_caller(
    plan: &ExecPlan,
    gate_reader: &OwnedFd,
    thread: Option<Duration>,
) -> io::Result<(Pid, Option<Pid>)> {
    let (report_reader, report) = sys::pipe(0)?;
    let caller = sys::fork()?;
    if caller == 0 {
        sys::setsid();
        drop(report_reader);
        let mut report = File::from(report);
        let mut spawn = || {
            let Ok(pid) = fork_launcher(plan, gate_reader) else { sys::exit_now(1) };
            let _ = report.write_all(&pid.to_ne_bytes());
            pid
        };
        let pid = match thread {
            None => spawn(),
            Some(delay) => std::thread::scope(|scope| {
                let handle = scope.spawn(|| {
                    let pid = spawn();
                    std::thread::sleep(delay);
                    pid
                });
                handle.join().unwrap_or_else(|_| sys::exit_now(1))
            }),
        };
        wait_and_end(pid);
    }
    drop(report);
    let mut bytes = [0; 4];
    File::from(report_reader).read_exact(&mut bytes)?;
    Ok((Pid::from_ne_bytes(bytes), Some(caller)))
}

/// The rest of a caller's life.
fn wait_and_end(launcher: Pid) -> ! {
    loop {
        match sys::wait_any(true) {
            Ok(Some((pid, _))) if pid == launcher => sys::exit_now(0),
            Err(e) if e.kind() != io::ErrorKind::Interrupted => sys::exit_now(1),
            _ => {}
        }
    }
}

impl Running {
    /// Lets the launcher exec.
    ///
    /// # Errors
    /// EPIPE when it is gone already.
    pub fn go(&mut self) -> io::Result<()> {
        match self.gate.take() {
            Some(gate) => File::from(gate).write_all(b"g"),
            None => Ok(()),
        }
    }

    /// Whether the payload has begun to run.
    pub fn payload_ran(&self) -> bool {
        self.stdout.metadata().is_ok_and(|m| m.len() > 0)
    }

    /// What was written so far.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn output(&mut self) -> io::Result<Output> {
        fn text(file: &mut File) -> io::Result<String> {
            let mut bytes = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        let mut documents = Vec::new();
        for (number, file) in &mut self.captures {
            documents.push((*number, text(file)?));
        }
        Ok(Output { stdout: text(&mut self.stdout)?, stderr: text(&mut self.stderr)?, documents })
    }
}
