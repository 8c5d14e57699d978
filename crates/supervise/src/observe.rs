//! What a call is going to come to, for records and questions. Nothing is decided here: the call
//! goes on, and what is mounted decides.

use crate::process::{Caller, path_of};
use crate::trap::{At, Call, open_how, writes};
use crate::walk::{Found, Walk};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Layer, Outcome};
use swathe_sys::Errno;
use swathe_sys::rustix::fd::AsRawFd as _;
use swathe_sys::rustix::fs::{
    Access, AtFlags, CWD, FileType, StatVfsMountFlags, accessat, fstatvfs,
};

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

/// Longest address that a socket can have.
const MAX_ADDRESS: usize = 128;

/// Looks at a call. None: it is about no path and no address, or they cannot be read.
#[must_use]
pub fn look(caller: &Caller, call: Call, offline: bool) -> Option<Seen> {
    match call {
        Call::Open(at, flags, _) => opened(caller, at, flags),
        Call::Open2(at, how, size) if size >= 24 => {
            let mut bytes = [0; 24];
            caller.bytes(how, &mut bytes).ok()?;
            let (flags, _, _) = open_how(&bytes)?;
            opened(caller, at, flags)
        }
        Call::Unlink(at, _) => path(caller, At { follow: false, ..at }, Action::Remove),
        Call::Rename(from, to, _) | Call::Link(from, to) => {
            let to = path(caller, to, Action::Create)?;
            let seen = path(caller, from, Action::Rename)?;
            let worse = if seen.outcome == Outcome::Allowed { to.clone() } else { seen.clone() };
            let (outcome, layer) = (worse.outcome, worse.layer);
            Some(Seen { to: Some(to.object), outcome, layer, ..seen })
        }
        Call::Truncate(at, _) => path(caller, at, Action::Truncate),
        Call::Stat(at) => path(caller, at, Action::Stat),
        Call::Metadata(at) => path(caller, at, Action::Metadata),
        Call::Make(at) => path(caller, at, Action::Create),
        Call::Execute(at) => path(caller, at, Action::Execute),
        Call::Connect(_, address, length) => {
            socket(caller, address, length, Action::Connect, offline)
        }
        Call::Bind(_, address, length) => socket(caller, address, length, Action::Bind, false),
        _ => None,
    }
}

fn opened(caller: &Caller, at: At, flags: u32) -> Option<Seen> {
    let action = if writes(flags) { Action::Write } else { Action::Read };
    let mut seen = path(caller, at, action)?;
    let create = flags & 0o100 != 0;
    if create && seen.outcome == Outcome::Denied(Errno::NOENT.raw_os_error()) {
        // There is nothing of that name: it will be made, if its directory can be written to.
        seen = path(caller, at, Action::Create)?;
    }
    Some(seen)
}

/// A path, as the sandbox shows it.
fn path(caller: &Caller, at: At, action: Action) -> Option<Seen> {
    let text = caller.path(at.path).ok()?;
    if text.is_empty() {
        return None;
    }
    let found = Walk::new(caller).ok()?.find(at.dir, &text, at.follow);
    let (object, outcome, directory) = match &found {
        Ok(found) => {
            let directory = found.object.as_ref().is_some_and(|o| o.kind == FileType::Directory);
            (place(found), judge(found, action), directory)
        }
        Err(errno) => (lexical(caller, at.dir, &text)?, Err(*errno), false),
    };
    let host = matches!(outcome, Err(Errno::NOENT | Errno::NOTDIR))
        .then(|| std::fs::symlink_metadata(&object).ok())
        .flatten();
    let layer = match outcome {
        Err(Errno::NOENT | Errno::NOTDIR) if host.is_some() => Layer::Mount,
        Err(Errno::ROFS) => Layer::Mount,
        _ => Layer::Other,
    };
    let outcome = match outcome {
        Ok(()) => Outcome::Allowed,
        Err(errno) => Outcome::Denied(errno.raw_os_error()),
    };
    let directory = directory || host.is_some_and(|found| found.is_dir());
    Some(Seen { action, object: Bytes::from(object), to: None, outcome, layer, directory })
}

/// Where a path has led.
fn place(found: &Found) -> PathBuf {
    let dir = path_of(&found.dir).unwrap_or_default();
    let dir = PathBuf::from(OsStr::from_bytes(&dir));
    match found.name.to_bytes() {
        b"." => dir,
        name => dir.join(OsStr::from_bytes(name)),
    }
}

/// Where a path would lead that cannot be followed: by its text.
fn lexical(caller: &Caller, dir: i32, text: &[u8]) -> Option<PathBuf> {
    let text = Path::new(OsStr::from_bytes(text));
    let mut whole = if text.is_absolute() {
        PathBuf::from("/")
    } else {
        let start = path_of(&caller.start(dir).ok()?).ok()?;
        PathBuf::from(OsStr::from_bytes(&start))
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

/// What the kernel will say, by the mount and the mode.
fn judge(found: &Found, action: Action) -> Result<(), Errno> {
    let changes_directory = matches!(action, Action::Create | Action::Remove | Action::Rename);
    let object = match (&found.object, action) {
        (Some(_), Action::Create) => None,
        (None, Action::Create) => None,
        (None, _) => return Err(Errno::NOENT),
        (Some(object), _) => Some(object),
    };
    let (fd, wanted) = match (object, action) {
        _ if changes_directory => (&found.dir, Access::WRITE_OK),
        (Some(object), Action::Write | Action::Truncate) => (&object.fd, Access::WRITE_OK),
        (Some(object), Action::Read) => (&object.fd, Access::READ_OK),
        (Some(object), Action::Execute) => (&object.fd, Access::EXEC_OK),
        _ => return Ok(()),
    };
    let special =
        object.is_some_and(|o| !matches!(o.kind, FileType::RegularFile | FileType::Directory));
    if wanted == Access::WRITE_OK
        && !special
        && fstatvfs(fd).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY))
    {
        return Err(Errno::ROFS);
    }
    if object.is_some_and(|object| object.kind == FileType::Symlink) {
        return Ok(());
    }
    let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
    accessat(CWD, own, wanted, AtFlags::EACCESS)
}

/// An address, and whether it can be reached as far as the file system tells.
fn socket(
    caller: &Caller,
    address: u64,
    length: u32,
    action: Action,
    offline: bool,
) -> Option<Seen> {
    let length = usize::try_from(length).ok()?.min(MAX_ADDRESS);
    let mut bytes = [0; MAX_ADDRESS];
    let bytes = bytes.get_mut(..length)?;
    caller.bytes(address, bytes).ok()?;
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let family = i32::from(u16::from_ne_bytes(*family));
    let plain = |object: String, loopback: bool| {
        let unreachable = offline && !loopback;
        let denied = Outcome::Denied(Errno::NETUNREACH.raw_os_error());
        let outcome = if unreachable { denied } else { Outcome::Allowed };
        let layer = Layer::Network;
        let object = Bytes(object.into_bytes());
        Some(Seen { action, object, to: None, outcome, layer, directory: false })
    };
    match family {
        UNIX => unix(caller, rest, action),
        INET => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let address: [u8; 4] = *rest.first_chunk()?;
            let address = std::net::Ipv4Addr::from(address);
            let object = format!("tcp:{address}:{}", u16::from_be_bytes(*port));
            plain(object, address.is_loopback() || address.is_unspecified())
        }
        INET6 => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let address: [u8; 16] = *rest.get(4..)?.first_chunk()?;
            let address = std::net::Ipv6Addr::from(address);
            let object = format!("tcp:[{address}]:{}", u16::from_be_bytes(*port));
            plain(object, address.is_loopback() || address.is_unspecified())
        }
        _ => None,
    }
}

const UNIX: i32 = 1;
const INET: i32 = 2;
const INET6: i32 = 10;

fn unix(caller: &Caller, name: &[u8], action: Action) -> Option<Seen> {
    let prefixed = |text: &[u8]| {
        let mut object = b"unix:".to_vec();
        object.extend_from_slice(text);
        Bytes(object)
    };
    if let Some(name) = name.strip_prefix(b"\0") {
        let object = prefixed(&[b"@", name].concat());
        let (outcome, layer) = (Outcome::Allowed, Layer::Other);
        return Some(Seen { action, object, to: None, outcome, layer, directory: false });
    }
    let text = name.split(|&b| b == 0).next().filter(|text| !text.is_empty())?;
    let found = Walk::new(caller).ok()?.find(crate::trap::CWD, text, true);
    let missing = Err(Errno::NOENT);
    let (path, outcome) = match &found {
        Ok(found) if found.object.is_some() || action == Action::Bind => (place(found), Ok(())),
        Ok(found) => (place(found), missing),
        Err(errno) => (lexical(caller, crate::trap::CWD, text)?, Err(*errno)),
    };
    let hidden = outcome == missing && std::fs::symlink_metadata(&path).is_ok();
    let layer = if hidden { Layer::Mount } else { Layer::Other };
    let outcome = outcome.map_or_else(|e| Outcome::Denied(e.raw_os_error()), |()| Outcome::Allowed);
    let object = prefixed(path.as_os_str().as_bytes());
    Some(Seen { action, object, to: None, outcome, layer, directory: false })
}
