//! What one run may reach, after profiles, grants and the command line were merged.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use swathe_netrules::{Publish, Rule};

/// Who asked for something. Messages and `explain` name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The defaults of every run.
    Default,
    /// Words of the command line, such as `--allow gpu`.
    CommandLine(String),
    /// A line of a profile or manifest.
    File {
        /// The file, as the user named it.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
    },
}

/// What may be done with files below a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Not visible.
    Hide,
    /// Not visible until somebody who is asked says so.
    Ask,
    /// Read.
    ReadOnly,
    /// Create and append.
    Append,
    /// Write and create, but not remove or rename.
    NoDelete,
    /// As `ReadWrite`, but what is removed or replaced is kept.
    Trash,
    /// As `ReadWrite`, on a copy.
    CopyOnWrite,
    /// Read and write.
    ReadWrite,
}

/// Where an app's own files live from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Kept in a directory of the app.
    Persist,
    /// Gone with the run.
    Ephemeral,
    /// Changes on top of what is there, gone with the run.
    Overlay,
}

/// One thing that a program may reach. Paths are absolute, with `~` and variables already replaced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Intent {
    /// The working directory.
    FilesCwd(Access),
    /// Files and directories named on the command line.
    FilesArgs(Access),
    /// A directory or file.
    FilesDir {
        /// Which.
        path: PathBuf,
        /// How.
        access: Access,
    },
    /// A path that is not visible, whether it exists or not.
    FilesHide(PathBuf),
    /// All paths that match this when the run starts: `*`, `?` and `[…]` within a name, `**` for
    /// any number of directories.
    FilesHideGlob(PathBuf),
    /// The app's own files.
    State(State),
    /// No network at all.
    NetNone,
    /// A loopback interface of its own.
    NetLoopback,
    /// The host's network, whole.
    NetAll,
    /// The same without this machine's own localhost: brought in by pasta.
    NetPasta,
    /// Hosts by name or address.
    NetReach(Rule),
    /// Hosts that are never reached, whatever allows them.
    NetDeny(Rule),
    /// Hosts that no rule names, after a question.
    NetAsk,
    /// A port that others can connect to.
    NetListen(Publish),
    /// An environment variable of the caller's.
    EnvPass(String),
    /// An environment variable with this value.
    EnvSet(String, String),
    /// The caller's terminal itself instead of one of its own.
    Tty,
    /// Graphics devices.
    Gpu,
    /// Cameras.
    Camera,
    /// USB devices.
    Usb,
    /// Game controllers.
    Gamepad,
    /// The user's fonts.
    Fonts,
    /// The user's themes and icons.
    Themes,
    /// The SSH agent: sign with the user's keys.
    SshAgent,
    /// The GnuPG agent: sign and decrypt with the user's keys.
    GpgAgent,
    /// The print service.
    Print,
    /// Trace processes of the sandbox.
    Ptrace,
    /// Make namespaces inside.
    NestedSandbox,
    /// Virtual machines.
    Kvm,
    /// 32-bit programs.
    Bits32,
}

/// An intent, why, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// What.
    pub intent: Intent,
    /// Why, in the words of the app's author.
    pub reason: Option<String>,
    /// Who asked.
    pub source: Source,
}

/// Upper bounds of what a run may use; `None` is the default, which depends on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Bytes of all temporary file systems, each.
    pub tmpfs: Option<u64>,
    /// Files of all temporary file systems, each.
    pub tmpfs_files: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Seconds until the run is ended.
    pub time: Option<u64>,
}

/// Everything about one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The app's id where the run is one of an app.
    pub app: Option<String>,
    /// What may be reached. Later entries count more where two are about the same thing.
    pub intents: Vec<Declared>,
    /// Upper bounds.
    pub limits: Limits,
    /// Protected paths that this run may write to, by their names in the list of protected paths.
    pub unprotect: Vec<String>,
    /// The command, where a profile or manifest names one.
    pub command: Vec<String>,
}
