//! What went wrong, small enough to cross a pipe from a process that can no longer print.

use swathe_sys::Errno;

/// Steps of a set-up. The numbers never leave one run.
#[repr(u16)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the texts in `report` say what each is
pub enum Stage {
    NoNewPrivs,
    Credentials,
    FileCapabilities,
    OpenProc,
    Descriptor,
    SeccompData,
    SeccompBlob,
    JoinUser,
    JoinPid,
    BelowPid,
    JoinNet,
    Channel,
    Clone,
    CallerGone,
    WriteInfo,
    Map,
    MapTool,
    UidMap,
    SetGroups,
    GidMap,
    SwitchIds,
    Loopback,
    Hostname,
    Source,
    SourceRace,
    Slave,
    RootTmpfs,
    Scratch,
    Parents,
    Create,
    NotDirectory,
    NotFile,
    SymlinkDest,
    OpenDest,
    Bind,
    BindRoot,
    RemountReadOnly,
    Proc,
    ProcCover,
    Tmpfs,
    DevNode,
    DevNodeKind,
    DevLink,
    DevDir,
    DevPts,
    DevConsole,
    Mqueue,
    OverlaySource,
    OverlayWork,
    Overlay,
    OverlayOverlap,
    CopyData,
    DataFile,
    SymlinkMake,
    SymlinkTarget,
    SymlinkNotLink,
    Chmod,
    Mask,
    Pin,
    Pivot,
    UnmountOld,
    OldRootLeft,
    JoinUserAfter,
    UserLimit,
    PidMax,
    PidMaxKernel,
    CgroupKind,
    Cgroup,
    UnshareUser,
    UserNotDisabled,
    Bounding,
    Capabilities,
    Ambient,
    Chdir,
    Setsid,
    Terminal,
    Label,
    FileLabel,
    LockOpen,
    Lock,
    Fork,
    Rlimit,
    LandlockKernel,
    LandlockPath,
    Landlock,
    CloseFds,
    Seccomp,
    ListenerSocket,
    Listener,
    ListenerSend,
    ListenerProbe,
    Exec,
    DeathSignal,
    Dumpable,
    Wait,
    Died,
    Block,
    ServeSocket,
    Serve,
    Request,
}

impl Stage {
    /// The last one; all numbers up to it are stages.
    const LAST: u16 = Self::Request as u16;

    fn from_number(number: u16) -> Option<Self> {
        if number > Self::LAST {
            return None;
        }
        // A table would repeat the list; the variants are numbered without gaps from 0, so that
        // searching them is the safe spelling of a transmute.
        STAGES.iter().copied().find(|s| *s as u16 == number)
    }
}

macro_rules! stages {
    ($($name:ident)*) => { const STAGES: &[Stage] = &[$(Stage::$name),*]; };
}

stages! {
    NoNewPrivs Credentials FileCapabilities OpenProc Descriptor SeccompData SeccompBlob JoinUser
    JoinPid BelowPid JoinNet Channel Clone CallerGone WriteInfo Map MapTool UidMap SetGroups GidMap
    SwitchIds Loopback Hostname Source SourceRace Slave RootTmpfs Scratch Parents Create
    NotDirectory NotFile SymlinkDest OpenDest Bind BindRoot RemountReadOnly Proc ProcCover Tmpfs
    DevNode DevNodeKind DevLink DevDir DevPts DevConsole Mqueue OverlaySource OverlayWork Overlay
    OverlayOverlap CopyData DataFile SymlinkMake SymlinkTarget SymlinkNotLink Chmod Mask Pin Pivot
    UnmountOld OldRootLeft JoinUserAfter UserLimit PidMax PidMaxKernel CgroupKind Cgroup UnshareUser UserNotDisabled Bounding Capabilities Ambient
    Chdir Setsid Terminal Label FileLabel LockOpen Lock Fork Rlimit LandlockKernel LandlockPath
    Landlock CloseFds Seccomp ListenerSocket Listener ListenerSend ListenerProbe Exec DeathSignal Dumpable Wait Died Block ServeSocket
    Serve Request
}

/// A failed step: of fixed size, without pointers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub stage: Stage,
    /// The kernel's error; 0 where the step found something wrong itself.
    pub errno: i32,
    /// Index of the operation in the plan, where the step is part of one.
    pub op: Option<u32>,
    /// Which of several things the step is about (such as which device node).
    pub detail: u32,
}

/// The result of a step.
pub type Result<T> = core::result::Result<T, Failure>;

impl Failure {
    /// A step that found something wrong itself.
    pub fn found(stage: Stage) -> Self {
        Self { stage, errno: 0, op: None, detail: 0 }
    }

    /// The kernel's error, if there is one.
    pub fn error(self) -> Option<Errno> {
        // rustix takes numbers of errors only.
        (1..4096).contains(&self.errno).then(|| Errno::from_raw_os_error(self.errno))
    }

    /// The same, for one of several things.
    #[must_use]
    pub fn about(self, detail: u32) -> Self {
        Self { detail, ..self }
    }

    /// The same, as part of an operation, unless it already names one.
    #[must_use]
    pub fn in_op(self, op: usize) -> Self {
        Self { op: self.op.or(u32::try_from(op).ok()), ..self }
    }
}

/// Names the step of a failed system call.
pub trait At<T> {
    /// Turns the error into a [`Failure`] of `stage`.
    ///
    /// # Errors
    /// The failure.
    fn at(self, stage: Stage) -> Result<T>;
}

impl<T> At<T> for core::result::Result<T, Errno> {
    fn at(self, stage: Stage) -> Result<T> {
        self.map_err(|e| Failure { stage, errno: e.raw_os_error(), op: None, detail: 0 })
    }
}

/// What the processes of a launch tell the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A step failed: nothing runs.
    Failed(Failure),
    /// The set-up is done; the sender executes the command next.
    Ready,
    /// The command was started, and ended with this exit status.
    Exited(i32),
    /// The command has been stopped by a signal.
    Stopped,
}

/// Size of an encoded [`Message`].
pub const MESSAGE_SIZE: usize = 20;

impl Message {
    /// The message as bytes.
    pub fn encode(self) -> [u8; MESSAGE_SIZE] {
        let words: [u32; 5] = match self {
            Self::Ready => [1, 0, 0, 0, 0],
            Self::Stopped => [4, 0, 0, 0, 0],
            Self::Exited(code) => [2, code.cast_unsigned(), 0, 0, 0],
            Self::Failed(f) => {
                let op = f.op.unwrap_or(u32::MAX);
                [3, f.stage as u32, f.errno.cast_unsigned(), op, f.detail]
            }
        };
        let mut out = [0; MESSAGE_SIZE];
        for (chunk, word) in out.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        out
    }

    /// The message in `bytes`; `None` when it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; MESSAGE_SIZE] = bytes.try_into().ok()?;
        let word = |i: usize| {
            u32::from_ne_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
        };
        match word(0) {
            1 => Some(Self::Ready),
            4 => Some(Self::Stopped),
            2 => Some(Self::Exited(word(1).cast_signed())),
            3 => Some(Self::Failed(Failure {
                stage: Stage::from_number(u16::try_from(word(1)).ok()?)?,
                errno: word(2).cast_signed(),
                op: Some(word(3)).filter(|&op| op != u32::MAX),
                detail: word(4),
            })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every stage survives the way over the channel.
    #[test]
    fn messages_round_trip() {
        assert_eq!(STAGES.len(), usize::from(Stage::LAST) + 1);
        for &stage in STAGES {
            for op in [None, Some(7)] {
                let failure = Failure { stage, errno: 13, op, detail: 3 };
                let message = Message::Failed(failure);
                assert_eq!(Message::decode(&message.encode()), Some(message));
            }
        }
        for message in [Message::Ready, Message::Stopped, Message::Exited(143), Message::Exited(0)]
        {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        assert_eq!(Message::decode(&[0; MESSAGE_SIZE]), None);
        assert_eq!(Message::decode(&[1]), None);
    }
}
