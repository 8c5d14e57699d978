//! Requests and replies: one message of a `SOCK_SEQPACKET` pair each, the next request only after
//! the reply.

use rustix::io::Errno;

/// The longest path, in bytes, as in the kernel without its NUL.
pub const MAX_PATH: usize = 4095;

/// The most mounts that one helper keeps at a time.
pub const MAX_MOUNTS: usize = 4096;

/// The most components that are created for one mount.
pub const MAX_CREATED: usize = 64;

/// Bytes before the paths of a request.
const HEAD: usize = 16;

/// The longest request in bytes.
pub const MAX_REQUEST: usize = HEAD + 2 * MAX_PATH;

/// Bytes of a reply.
pub const REPLY: usize = 16;

/// What may be done with what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading and executing.
    ReadOnly,
    /// Writing too.
    ReadWrite,
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Shows an object of the host. With it comes a descriptor of the object that is meant.
    Show {
        /// Where it is on the host.
        host: &'a [u8],
        /// Where it appears.
        path: &'a [u8],
        /// What may be done with it.
        access: Access,
    },
    /// Makes the mount whose root is at a path writable. With it comes a descriptor of the object
    /// that is meant.
    Thaw {
        /// The path.
        path: &'a [u8],
    },
    /// Covers a path with something unreadable.
    Hide {
        /// The path.
        path: &'a [u8],
    },
    /// Covers a path, once, if it is of the object of which a descriptor comes with it.
    Cover {
        /// The path.
        path: &'a [u8],
    },
    /// Takes a mount of this number away.
    Undo {
        /// The number.
        id: u64,
    },
}

/// The step of a request, or of the helper's start, that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The request makes no sense to the helper.
    Request = 1,
    /// Cutting itself off from its surroundings.
    Isolate,
    /// Finding and joining the user namespace of the sandbox.
    JoinUser,
    /// Copying the host's mounts.
    CopyMounts,
    /// Making what stands in for hidden paths.
    StandIn,
    /// Giving up capabilities.
    Capabilities,
    /// Giving up system calls.
    Filter,
    /// Opening the object on the host.
    HostPath,
    /// The object at the host's path is another than the one that was judged.
    HostChanged,
    /// Copying the tree.
    CopyTree,
    /// Entering the mounts of the sandbox.
    EnterMounts,
    /// Finding the place in the sandbox.
    Place,
    /// The place is something that cannot be covered by the object: a link, procfs, a directory by
    /// a file or a file by a directory.
    Kind,
    /// Creating the place in the sandbox.
    Create,
    /// The place would have to be created in a file system of the host.
    CreateOnHost,
    /// Attaching the mount.
    Attach,
    /// The path led elsewhere each time after the mount had been attached.
    Moved,
    /// Too many mounts.
    TooMany,
    /// There is no mount of this number.
    NoSuchMount,
    /// A later mount lies on this one or below it.
    Covered,
    /// Taking the mount away.
    Detach,
    /// No read-only mount of the object begins at the path.
    NoMount,
    /// Changing whether the mount can be written to.
    Thaw,
}

const STEPS: [Step; 23] = [
    Step::Request,
    Step::Isolate,
    Step::JoinUser,
    Step::CopyMounts,
    Step::StandIn,
    Step::Capabilities,
    Step::Filter,
    Step::HostPath,
    Step::HostChanged,
    Step::CopyTree,
    Step::EnterMounts,
    Step::Place,
    Step::Kind,
    Step::Create,
    Step::CreateOnHost,
    Step::Attach,
    Step::Moved,
    Step::TooMany,
    Step::NoSuchMount,
    Step::Covered,
    Step::Detach,
    Step::NoMount,
    Step::Thaw,
];

/// A step that failed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The step.
    pub step: Step,
    /// The error, where a system call failed.
    pub errno: Option<Errno>,
}

impl Refusal {
    /// Something that was found, without an error of the system.
    pub fn found(step: Step) -> Self {
        Self { step, errno: None }
    }
}

/// `map_err(at(step))`.
pub fn at(step: Step) -> impl Fn(Errno) -> Refusal {
    move |errno| Refusal { step, errno: Some(errno) }
}

/// A reply: the number of a mount (0 where there is none), or what failed.
pub type Reply = Result<u64, Refusal>;

impl<'a> Request<'a> {
    /// The message; `None` if a path is too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let (op, access, id, host, path) = match *self {
            Self::Show { host, path, access } => (1, access, 0, host, path),
            Self::Hide { path } => (2, Access::ReadOnly, 0, &[][..], path),
            Self::Undo { id } => (3, Access::ReadOnly, id, &[][..], &[][..]),
            Self::Thaw { path } => (4, Access::ReadOnly, 0, &[][..], path),
            Self::Cover { path } => (5, Access::ReadOnly, 0, &[][..], path),
        };
        let length = |text: &[u8]| u16::try_from(text.len()).ok().filter(|_| fits(text));
        let mut message = vec![op, u8::from(access == Access::ReadWrite), 0, 0];
        message.extend(length(host)?.to_ne_bytes());
        message.extend(length(path)?.to_ne_bytes());
        message.extend(id.to_ne_bytes());
        message.extend(host);
        message.extend(path);
        Some(message)
    }

    /// What a message says; `None` if it is no request. The paths are absolute and have no
    /// component `..`.
    pub fn decode(message: &'a [u8]) -> Option<Self> {
        let (head, paths) = message.split_at_checked(HEAD)?;
        let [op, access, 0, 0, h0, h1, p0, p1, id @ ..] = head else { return None };
        let host = usize::from(u16::from_ne_bytes([*h0, *h1]));
        let length = usize::from(u16::from_ne_bytes([*p0, *p1]));
        let id = u64::from_ne_bytes(id.try_into().ok()?);
        let (host, path) = paths.split_at_checked(host)?;
        if path.len() != length {
            return None;
        }
        let show =
            |access| (is_path(host) && is_place(path)).then_some(Self::Show { host, path, access });
        match (op, access, id, host, path) {
            (1, 0, 0, ..) => show(Access::ReadOnly),
            (1, 1, 0, ..) => show(Access::ReadWrite),
            (2, 0, 0, [], _) if is_place(path) => Some(Self::Hide { path }),
            (3, 0, _, [], []) => Some(Self::Undo { id }),
            (4, 0, 0, [], _) if is_place(path) => Some(Self::Thaw { path }),
            (5, 0, 0, [], _) if is_place(path) => Some(Self::Cover { path }),
            _ => None,
        }
    }
}

fn fits(path: &[u8]) -> bool {
    path.len() <= MAX_PATH && !path.contains(&0)
}

/// Whether it is an absolute path of sane length without `..`.
pub fn is_path(path: &[u8]) -> bool {
    fits(path) && path.first() == Some(&b'/') && components(path).all(|name| name != b"..")
}

/// The same, and not the root.
pub fn is_place(path: &[u8]) -> bool {
    is_path(path) && components(path).next().is_some()
}

/// The names of a path.
pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// The message of a reply.
pub fn encode_reply(reply: Reply) -> [u8; REPLY] {
    let (step, errno, id) = match reply {
        Ok(id) => (0, 0, id),
        Err(Refusal { step, errno }) => (step as u8, errno.map_or(0, Errno::raw_os_error), 0),
    };
    let mut message = [0; REPLY];
    let parts = [u32::from(step).to_ne_bytes(), errno.to_ne_bytes()];
    for (to, from) in message.iter_mut().zip(parts.iter().flatten().chain(&id.to_ne_bytes())) {
        *to = *from;
    }
    message
}

/// What a message says; `None` if it is no reply.
pub fn decode_reply(message: &[u8]) -> Option<Reply> {
    let (step, rest) = message.split_first_chunk::<4>()?;
    let (errno, id) = rest.split_first_chunk::<4>()?;
    let id = u64::from_ne_bytes(id.try_into().ok()?);
    let (step, errno) = (u32::from_ne_bytes(*step), i32::from_ne_bytes(*errno));
    if step == 0 {
        return (errno == 0).then_some(Ok(id));
    }
    let step = *STEPS.iter().find(|known| u32::from(**known as u8) == step)?;
    let errno = match errno {
        0 => None,
        1..4096 => Some(Errno::from_raw_os_error(errno)),
        _ => return None,
    };
    Some(Err(Refusal { step, errno }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: [Request<'static>; 6] = [
        Request::Show { host: b"/a/b", path: b"/c", access: Access::ReadOnly },
        Request::Show { host: b"/", path: b"/\xff\n", access: Access::ReadWrite },
        Request::Hide { path: b"//x/./y/" },
        Request::Cover { path: b"/x" },
        Request::Thaw { path: b"/x/y" },
        Request::Undo { id: u64::MAX },
    ];

    /// What is encoded is decoded as it was.
    #[test]
    fn there_and_back() {
        for request in REQUESTS {
            let message = request.encode().expect("short");
            assert_eq!(Request::decode(&message), Some(request));
        }
        let replies = STEPS.iter().flat_map(|&step| {
            [Err(Refusal { step, errno: Some(Errno::LOOP) }), Err(Refusal::found(step))]
        });
        for reply in replies.chain([Ok(0), Ok(u64::MAX)]) {
            assert_eq!(decode_reply(&encode_reply(reply)), Some(reply));
        }
    }

    /// Messages that are too short, too long, or changed in a byte are refused or mean something
    /// else, but never break anything; no path with `..` or a NUL, and none that is relative, passes.
    #[test]
    fn other_messages() {
        for request in REQUESTS {
            let message = request.encode().expect("short");
            for end in 0..message.len() {
                assert_eq!(Request::decode(&message[..end]), None);
            }
            assert_eq!(Request::decode(&[&message[..], b"x"].concat()), None);
            for i in 0..message.len() {
                for byte in 0..=255 {
                    let mut other = message.clone();
                    other[i] = byte;
                    if let Some(found) = Request::decode(&other) {
                        assert_eq!(found.encode().expect("short"), other);
                    }
                }
            }
        }
        for path in [&b"a"[..], b"", b"/", b"/..", b"/a/../b", b"/a\0b", b"/.", &[b'/'; 4096]] {
            assert!(!is_place(path));
        }
        for end in 0..REPLY {
            assert_eq!(decode_reply(&[0; REPLY][..end]), None);
        }
        assert_eq!(decode_reply(&[255; REPLY]), None);
        assert_eq!(decode_reply(&[0; REPLY + 1]), None);
    }

    /// A path that is too long makes no message.
    #[test]
    fn long_paths() {
        let long = [b'/'; MAX_PATH + 1];
        assert_eq!(Request::Hide { path: &long }.encode(), None);
        assert!(Request::Hide { path: &long[1..] }.encode().is_some());
    }
}
