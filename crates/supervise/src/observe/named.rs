//! The paths of a call, as wholes by their text.

use super::processes::Process;
use crate::trap::{At, Call, open_how, writes};
use swathe_record::event::Action;

const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;

/// A path of a call, in bytes of ours.
#[derive(Debug, Hash)]
pub struct Named {
    /// From the root; without `.`, `..` and empty names.
    pub whole: Vec<u8>,
    /// Whether a link that is the last component is followed.
    pub follow: bool,
}

/// None, one or two.
pub type Names = [Option<Named>; 2];

/// What a call does to its first path.
#[derive(Debug, Clone, Copy)]
pub struct Deed {
    /// What it does if something is there.
    pub action: Action,
    /// Whether it makes a file if nothing is.
    pub creates: bool,
}

/// What a call does, and its paths. None: none is looked at, or they cannot be read.
pub fn named(process: &mut Process, call: Call) -> Option<(Deed, Names)> {
    let deed = |action| Deed { action, creates: false };
    let (deed, paths) = match call {
        Call::Open(at, flags, _) => (opens(flags), [Some(at), None]),
        Call::Open2(at, how, size) => (opens(flags_of(process, how, size)?), [Some(at), None]),
        Call::Unlink(at, _) => (deed(Action::Remove), [Some(At { follow: false, ..at }), None]),
        Call::Rename(from, to, _) | Call::Link(from, to) => {
            (deed(Action::Rename), [Some(from), Some(to)])
        }
        Call::Truncate(at, _) => (deed(Action::Truncate), [Some(at), None]),
        Call::Stat(at) | Call::Enter(at) => (deed(Action::Stat), [Some(at), None]),
        Call::Metadata(at) => (deed(Action::Metadata), [Some(at), None]),
        Call::Make(at) => (deed(Action::Create), [Some(at), None]),
        Call::Execute(at) => (deed(Action::Execute), [Some(at), None]),
        Call::Connect(..) => (deed(Action::Connect), [None, None]),
        Call::Bind(..) => (deed(Action::Bind), [None, None]),
        _ => return None,
    };
    let mut names = [None, None];
    for (name, at) in names.iter_mut().zip(paths).filter_map(|(name, at)| Some((name, at?))) {
        let text = process.caller.path(at.path).ok().filter(|text| !text.is_empty())?;
        *name = Some(Named { whole: whole(process, at.dir, &text)?, follow: at.follow });
    }
    Some((deed, names))
}

fn opens(flags: u32) -> Deed {
    let action = match flags {
        flags if flags & O_TRUNC != 0 => Action::Truncate,
        flags if writes(flags) => Action::Write,
        _ => Action::Read,
    };
    Deed { action, creates: action != Action::Read && flags & O_CREAT != 0 }
}

fn flags_of(process: &Process, how: u64, size: u64) -> Option<u32> {
    let mut bytes = [0; 24];
    process.caller.bytes(how, &mut bytes).ok().filter(|()| size >= 24)?;
    open_how(&bytes).map(|(flags, ..)| flags)
}

/// A path as a whole, by its text: `..` goes up by one name.
pub fn whole(process: &mut Process, dir: i32, text: &[u8]) -> Option<Vec<u8>> {
    let start = match text {
        [b'/', ..] => None,
        _ => Some(process.place(dir)?),
    };
    Some(joined(start.as_deref().unwrap_or_default(), text))
}

fn joined(start: &[u8], text: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(start.len() + text.len() + 1);
    // The root is the only path that ends with a slash.
    whole.extend_from_slice(start.strip_suffix(b"/").unwrap_or(start));
    for name in text.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => whole.truncate(whole.iter().rposition(|&b| b == b'/').unwrap_or_default()),
            name => {
                whole.push(b'/');
                whole.extend_from_slice(name);
            }
        }
    }
    if whole.is_empty() {
        whole.push(b'/');
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (start, text, whole) in [
            ("/a/b", "c", "/a/b/c"),
            ("/a/b", "./c//d/", "/a/b/c/d"),
            ("/a/b", "../../..", "/"),
            ("/a/b", ".", "/a/b"),
            ("/", "c", "/c"),
            ("", "/c/../d", "/d"),
            ("", "/", "/"),
        ] {
            let found = joined(start.as_bytes(), text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), whole, "{start} {text}");
        }
    }
}
