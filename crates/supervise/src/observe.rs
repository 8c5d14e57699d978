//! What a call is going to come to, for records and questions. Nothing is decided here: the call
//! goes on, and what is mounted decides.

use crate::process::{Caller, path_of};
use crate::trap::{At, CWD, Call, open_how, writes};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Layer, Outcome};
use swathe_sys::rustix::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use swathe_sys::rustix::fs::{
    Access, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, accessat, fstat,
    fstatvfs, openat2,
};
use swathe_sys::rustix::net::SocketType;
use swathe_sys::rustix::net::sockopt::socket_type;
use swathe_sys::{Errno, notify};

/// What an observer remembers to have said already, and of how many processes it knows the program.
const MAX_REMEMBERED: usize = 1 << 20;
const MAX_PROGRAMS: usize = 1 << 14;
/// Of how many a descriptor is kept.
const MAX_CALLERS: usize = 64;
/// Longest address that a socket can have.
const MAX_ADDRESS: usize = 128;

/// What was seen of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it does.
    pub action: Action,
    /// To what, as an event names it.
    pub object: Bytes,
    /// The other name.
    pub to: Option<Bytes>,
    /// What it will most likely come to.
    pub outcome: Outcome,
    /// Who is behind that.
    pub layer: Layer,
    /// Whether it is a directory, here or on the host.
    pub directory: bool,
}

/// Where the connections of a sandbox lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// To whatever the host reaches.
    #[default]
    Host,
    /// Nowhere: there is a loopback interface at most.
    Nowhere,
    /// To somebody who decides by the name of the host, and tells what was decided. Also those to
    /// the loopback interface, at these ports (the first and the last of each range).
    Elsewhere(Vec<(u16, u16)>),
}

/// Looks at the calls of one sandbox.
#[derive(Debug)]
pub struct Observer {
    /// Its root directory: without privileges no process gets another.
    root: OwnedFd,
    /// Where connections lead.
    network: Network,
    /// Whether a call is looked at each time, not only when it is new.
    always: bool,
    said: HashSet<u64>,
    programs: HashMap<u32, Bytes>,
    /// Processes that have called before, with their directories of procfs open.
    callers: HashMap<u32, Caller>,
}

/// A path of a call, in bytes of ours.
struct Named {
    whole: PathBuf,
    follow: bool,
}

impl Observer {
    /// For a sandbox with this root.
    #[must_use]
    pub fn new(root: OwnedFd, network: Network, always: bool) -> Self {
        Self {
            root,
            network,
            always,
            said: HashSet::new(),
            programs: HashMap::new(),
            callers: HashMap::new(),
        }
    }

    /// The program that a process runs, as the sandbox names it.
    pub fn program(&mut self, pid: u32) -> Bytes {
        if let Some(program) = self.programs.get(&pid) {
            return program.clone();
        }
        let program = match self.callers.get(&pid) {
            Some(caller) => caller.program(),
            None => Caller::new(pid).program(),
        };
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.clear();
        }
        self.programs.insert(pid, program.clone());
        program
    }

    /// The process is about to run another program.
    pub fn forget(&mut self, pid: u32) {
        self.programs.remove(&pid);
    }

    /// Looks at a call. None: it is about no path and no address, they cannot be read, or the same
    /// was seen before.
    pub fn look(&mut self, pid: u32, call: Call) -> Option<Seen> {
        let known = self.callers.remove(&pid);
        // The number can have become that of another process: of the one before, nothing is found.
        let again = known.and_then(|caller| Some((named(&caller, call)?, caller)));
        let (named, caller) = match again {
            Some(found) => found,
            None => {
                let caller = Caller::new(pid);
                (named(&caller, call)?, caller)
            }
        };
        let seen = self.looked(&caller, call, named);
        if self.callers.len() >= MAX_CALLERS {
            self.callers.clear();
        }
        self.callers.insert(pid, caller);
        seen
    }

    fn looked(
        &mut self,
        caller: &Caller,
        call: Call,
        (action, names): (Action, Vec<Named>),
    ) -> Option<Seen> {
        let program = self.program(caller.pid);
        let mut hasher = DefaultHasher::new();
        let address = match call {
            Call::Connect(fd, address, length) | Call::Bind(fd, address, length) => {
                Some((bytes_of(caller, address, length)?, protocol(caller, fd)))
            }
            _ => None,
        };
        (&program, action, &address).hash(&mut hasher);
        names.iter().for_each(|name| (&name.whole, name.follow).hash(&mut hasher));
        if self.said.len() >= MAX_REMEMBERED {
            self.said.clear();
        }
        if !self.said.insert(hasher.finish()) && !self.always {
            return None;
        }
        if let Some((address, protocol)) = address {
            return self.socket(caller, &address, protocol, action);
        }
        let mut names = names.into_iter();
        let first = names.next()?;
        let seen = match action {
            // There is nothing of that name: it will be made, if its directory can be written to.
            Action::Write | Action::Truncate if is_create(caller, call) => {
                let missing = Outcome::Denied(Errno::NOENT.raw_os_error());
                let seen = self.seen(&first, action);
                if seen.outcome == missing { self.seen(&first, Action::Create) } else { seen }
            }
            action => self.seen(&first, action),
        };
        let Some(second) = names.next() else { return Some(seen) };
        let to = self.seen(&second, Action::Create);
        let worse = if seen.outcome == Outcome::Allowed { &to } else { &seen };
        let (outcome, layer) = (worse.outcome, worse.layer);
        Some(Seen { to: Some(to.object), outcome, layer, ..seen })
    }

    /// A path, as the sandbox shows it. The object is opened in the sandbox's root; that is to be
    /// told, not to be decided on.
    fn seen(&self, Named { whole, follow }: &Named, action: Action) -> Seen {
        // What a process sees of itself there, nobody else does.
        let (object, outcome, directory) = if whole.starts_with("/proc") {
            (whole.clone(), Ok(()), false)
        } else {
            self.outcome(whole, *follow, action)
        };
        // A link inside leads where the program likes: what it wants is what is there on the host.
        let real = matches!(outcome, Err(Errno::NOENT | Errno::NOTDIR))
            .then(|| std::fs::canonicalize(&object).ok())
            .flatten();
        let host = real.as_ref().and_then(|real| std::fs::symlink_metadata(real).ok());
        let object = real.unwrap_or(object);
        let mount = outcome == Err(Errno::ROFS) || host.is_some();
        let layer = if mount { Layer::Mount } else { Layer::Other };
        let outcome = match outcome {
            Ok(()) => Outcome::Allowed,
            Err(errno) => Outcome::Denied(errno.raw_os_error()),
        };
        let directory = directory || host.is_some_and(|found| found.is_dir());
        Seen { action, object: object.into(), to: None, outcome, layer, directory }
    }

    /// The path with its links followed, what the call will come to, whether it is a directory.
    fn outcome(&self, whole: &Path, follow: bool, action: Action) -> (PathBuf, Judged, bool) {
        let name = matches!(action, Action::Create | Action::Remove | Action::Rename);
        let parent = || whole.parent().unwrap_or(whole);
        let directory = || {
            let (fd, kind) = self.find(parent(), true)?;
            judge(&fd, kind, action)
        };
        match self.find(whole, follow) {
            Ok((fd, kind)) => {
                let object = path_of(&fd).map(|path| PathBuf::from(OsStr::from_bytes(&path)));
                let outcome = if name { directory() } else { judge(&fd, kind, action) };
                let object = object.unwrap_or_else(|_| whole.to_owned());
                (object, outcome, kind == FileType::Directory)
            }
            Err(Errno::NOENT) if action == Action::Create => (whole.to_owned(), directory(), false),
            Err(errno) => (whole.to_owned(), Err(errno), false),
        }
    }

    fn find(&self, whole: &Path, follow: bool) -> Result<(OwnedFd, FileType), Errno> {
        let way = OFlags::PATH | OFlags::CLOEXEC;
        let way = if follow { way } else { way | OFlags::NOFOLLOW };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let fd = openat2(&self.root, whole.as_os_str().as_bytes(), way, Mode::empty(), inside)?;
        let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        Ok((fd, kind))
    }

    /// An address, and whether it can be reached as far as the file system and the interfaces tell.
    fn socket(
        &self,
        caller: &Caller,
        bytes: &[u8],
        protocol: &str,
        action: Action,
    ) -> Option<Seen> {
        let (family, rest) = bytes.split_first_chunk::<2>()?;
        let ip = |address: std::net::IpAddr, port: [u8; 2]| {
            let port = u16::from_be_bytes(port);
            let object = format!("{protocol}:{}", std::net::SocketAddr::new(address, port));
            let local = address.is_loopback() || address.is_unspecified();
            let outcome = match &self.network {
                Network::Elsewhere(ports) if action == Action::Connect => {
                    let told = ports.iter().any(|(first, last)| (*first..=*last).contains(&port));
                    if !local || told {
                        return None;
                    }
                    Outcome::Allowed
                }
                Network::Nowhere if !local && action == Action::Connect => {
                    Outcome::Denied(Errno::NETUNREACH.raw_os_error())
                }
                _ => Outcome::Allowed,
            };
            let (object, layer) = (Bytes(object.into_bytes()), Layer::Network);
            Some(Seen { action, object, to: None, outcome, layer, directory: false })
        };
        match i32::from(u16::from_ne_bytes(*family)) {
            UNIX => self.unix(caller, rest, action),
            INET => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                ip(std::net::Ipv4Addr::from(*rest.first_chunk::<4>()?).into(), *port)
            }
            INET6 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let address = rest.get(4..)?.first_chunk::<16>()?;
                ip(std::net::Ipv6Addr::from(*address).into(), *port)
            }
            _ => None,
        }
    }

    fn unix(&self, caller: &Caller, name: &[u8], action: Action) -> Option<Seen> {
        let prefixed = |text: &[u8]| Bytes([b"unix:", text].concat());
        if let Some(name) = name.strip_prefix(b"\0") {
            let object = prefixed(&[b"@", name].concat());
            let (outcome, layer) = (Outcome::Allowed, Layer::Other);
            return Some(Seen { action, object, to: None, outcome, layer, directory: false });
        }
        let text = name.split(|&b| b == 0).next().filter(|text| !text.is_empty())?;
        let whole = lexical(caller, CWD, text)?;
        let wanted = if action == Action::Bind { Action::Create } else { Action::Stat };
        let seen = self.seen(&Named { whole, follow: true }, wanted);
        Some(Seen { action, object: prefixed(&seen.object.0), ..seen })
    }
}

type Judged = Result<(), Errno>;

const UNIX: i32 = 1;
const INET: i32 = 2;
const INET6: i32 = 10;
const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;

/// The paths of a call, whole by their text, and what it does to the first.
fn named(caller: &Caller, call: Call) -> Option<(Action, Vec<Named>)> {
    let (action, paths) = match call {
        Call::Open(at, flags, _) => (opens(flags), vec![at]),
        Call::Open2(at, how, size) => (opens(flags_of(caller, how, size)?), vec![at]),
        Call::Unlink(at, _) => (Action::Remove, vec![At { follow: false, ..at }]),
        Call::Rename(from, to, _) | Call::Link(from, to) => (Action::Rename, vec![from, to]),
        Call::Truncate(at, _) => (Action::Truncate, vec![at]),
        Call::Stat(at) => (Action::Stat, vec![at]),
        Call::Metadata(at) => (Action::Metadata, vec![at]),
        Call::Make(at) => (Action::Create, vec![at]),
        Call::Execute(at) => (Action::Execute, vec![at]),
        Call::Connect(..) => (Action::Connect, Vec::new()),
        Call::Bind(..) => (Action::Bind, Vec::new()),
        _ => return None,
    };
    let named = |at: At| {
        let text = caller.path(at.path).ok().filter(|text| !text.is_empty())?;
        Some(Named { whole: lexical(caller, at.dir, &text)?, follow: at.follow })
    };
    Some((action, paths.into_iter().map(named).collect::<Option<_>>()?))
}

fn opens(flags: u32) -> Action {
    match flags {
        flags if flags & O_TRUNC != 0 => Action::Truncate,
        flags if writes(flags) => Action::Write,
        _ => Action::Read,
    }
}

fn flags_of(caller: &Caller, how: u64, size: u64) -> Option<u32> {
    let mut bytes = [0; 24];
    caller.bytes(how, &mut bytes).ok().filter(|()| size >= 24)?;
    open_how(&bytes).map(|(flags, ..)| flags)
}

fn is_create(caller: &Caller, call: Call) -> bool {
    let flags = match call {
        Call::Open(_, flags, _) => Some(flags),
        Call::Open2(_, how, size) => flags_of(caller, how, size),
        _ => None,
    };
    flags.is_some_and(|flags| flags & O_CREAT != 0)
}

fn bytes_of(caller: &Caller, address: u64, length: u32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?.min(MAX_ADDRESS)];
    caller.bytes(address, &mut bytes).ok()?;
    Some(bytes)
}

/// What a socket is called in an address. It is looked at as it is now; what cannot be looked at is
/// taken for the usual.
fn protocol(caller: &Caller, fd: i32) -> &'static str {
    let kind = || {
        let process = notify::open_thread(caller.pid)?;
        socket_type(notify::take_fd(process.as_fd(), fd)?)
    };
    if kind() == Ok(SocketType::DGRAM) { "udp" } else { "tcp" }
}

/// A path as a whole, by its text: `..` goes up by one name.
fn lexical(caller: &Caller, dir: i32, text: &[u8]) -> Option<PathBuf> {
    let text = Path::new(OsStr::from_bytes(text));
    let mut whole = if text.is_absolute() {
        PathBuf::from("/")
    } else {
        PathBuf::from(OsStr::from_bytes(&caller.place(dir)?))
    };
    for component in text.components() {
        match component {
            Component::ParentDir => {
                whole.pop();
            }
            Component::Normal(name) => whole.push(name),
            _ => {}
        }
    }
    Some(whole)
}

/// What the mount permits.
fn changeable(fd: &OwnedFd) -> Judged {
    match fstatvfs(fd) {
        Ok(fs) if fs.f_flag.contains(StatVfsMountFlags::RDONLY) => Err(Errno::ROFS),
        _ => Ok(()),
    }
}

/// What the kernel will say, by the mount and the mode.
fn judge(fd: &OwnedFd, kind: FileType, action: Action) -> Judged {
    let wanted = match action {
        Action::Create | Action::Remove | Action::Rename | Action::Write | Action::Truncate => {
            Access::WRITE_OK
        }
        Action::Read => Access::READ_OK,
        Action::Execute => Access::EXEC_OK,
        // Whose file it is decides about the rest.
        Action::Metadata => return changeable(fd),
        _ => return Ok(()),
    };
    let special = !matches!(kind, FileType::RegularFile | FileType::Directory);
    if wanted == Access::WRITE_OK && !special {
        changeable(fd)?;
    }
    if kind == FileType::Symlink {
        return Ok(());
    }
    let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
    accessat(swathe_sys::rustix::fs::CWD, own, wanted, AtFlags::EACCESS)
}
