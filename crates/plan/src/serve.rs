//! What is said over the socket of `--serve` (docs/serve.md): messages of fixed size, and the text
//! of a command to run. Nothing here does I/O; both sides use it.

use crate::model::Bytes;
use alloc::vec::Vec;

/// The version of the protocol. Both sides have to speak the same one.
pub const VERSION: u32 = 1;

/// Bytes of an encoded [`Request`].
pub const REQUEST_SIZE: usize = 48;

/// Bytes of an encoded [`Reply`].
pub const REPLY_SIZE: usize = 16;

/// The most bytes that working directory, arguments and environment of a command may have in all,
/// the NUL after each counted.
pub const MAX_TEXT: usize = 2 << 20;

/// The most arguments of a command, its name counted.
pub const MAX_ARGUMENTS: u32 = 1 << 17;

/// The most changes of the environment.
pub const MAX_VARIABLES: u32 = 4096;

/// The most descriptors that a command can get beside its standard streams.
pub const MAX_KEPT: usize = 16;

/// The highest number that such a descriptor can have in the command; the lowest is 3.
pub const MAX_NUMBER: u8 = 255;

/// Descriptors that come with [`Request::Run`] at the least: the text, and the standard streams.
pub const MIN_DESCRIPTORS: usize = 4;

/// Descriptors that come with a request at the most.
pub const MAX_DESCRIPTORS: usize = MIN_DESCRIPTORS + MAX_KEPT;

/// The highest signal number.
pub const MAX_SIGNAL: u32 = 64;

/// The user id that stands for all users that a user namespace does not map. Nobody can be told by
/// it.
pub const OVERFLOW_UID: u32 = 65534;

/// The numbers that a command's further descriptors have in it, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    count: u8,
    numbers: [u8; MAX_KEPT],
}

impl Numbers {
    /// These numbers; `None` when there are too many, one comes twice, or one is out of range.
    pub fn new(numbers: &[u8]) -> Option<Self> {
        let mut all = Self { count: u8::try_from(numbers.len()).ok()?, ..Self::default() };
        all.numbers.get_mut(..numbers.len())?.copy_from_slice(numbers);
        let fine = |(i, number): (usize, &u8)| *number >= 3 && !numbers[..i].contains(number);
        numbers.iter().enumerate().all(fine).then_some(all)
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[u8] {
        self.numbers.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// A command to run. Its words are in a file that comes as the first descriptor: see [`text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Standard input becomes the controlling terminal of the command's session.
    pub terminal: bool,
    /// How many words the command has, at least 1.
    pub arguments: u32,
    /// How many changes of the environment follow.
    pub variables: u32,
    /// Bytes of the text.
    pub len: u32,
    /// The numbers of further descriptors.
    pub kept: Numbers,
}

impl Run {
    /// How many descriptors come with the message.
    pub fn descriptors(&self) -> usize {
        MIN_DESCRIPTORS + self.kept.as_slice().len()
    }
}

/// What is said to the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Run a command: the first message of a connection.
    Run(Run),
    /// Send a signal to the connection's command.
    Signal {
        /// Its number, 1 to [`MAX_SIGNAL`].
        number: u32,
        /// To the whole process group of the command.
        group: bool,
    },
    /// End all processes of the sandbox.
    Stop,
}

/// Steps of starting a command in a running sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // `text` says what each is
pub enum Step {
    Request,
    Process,
    Descriptors,
    Session,
    Terminal,
    Label,
    Capabilities,
    Directory,
    Landlock,
    Limits,
    Filters,
    Command,
}

const STEPS: [Step; 12] = [
    Step::Request,
    Step::Process,
    Step::Descriptors,
    Step::Session,
    Step::Terminal,
    Step::Label,
    Step::Capabilities,
    Step::Directory,
    Step::Landlock,
    Step::Limits,
    Step::Filters,
    Step::Command,
];

impl Step {
    /// What failed, for a person: to be followed by the error.
    pub fn text(self) -> &'static str {
        match self {
            Self::Request => "the sandbox does not understand the request",
            Self::Process => "cannot make a process in the sandbox",
            Self::Descriptors => "cannot place the command's descriptors",
            Self::Session => "cannot start a session",
            Self::Terminal => "standard input cannot become the controlling terminal",
            Self::Label => "cannot set the SELinux label",
            Self::Capabilities => "cannot set the capabilities",
            Self::Directory => "cannot enter the working directory",
            Self::Landlock => "cannot enter a Landlock domain",
            Self::Limits => "cannot set a resource limit",
            Self::Filters => "cannot load a seccomp filter",
            Self::Command => "cannot execute the command",
        }
    }
}

/// What the sandbox says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The command's process is about to execute it. The sender of this message, as the kernel
    /// tells it (`SCM_CREDENTIALS`), is that process. It may come again: the last sender counts.
    Started,
    /// The command was not run. Also after [`Self::Started`], when it could not be executed.
    Failed {
        /// The step.
        step: Step,
        /// The kernel's error.
        errno: i32,
    },
    /// It has ended with this status: 128 and the signal, if one ended it.
    Exited(i32),
    /// A signal of this number has stopped it.
    Stopped(i32),
}

fn words<const N: usize>(words: [u32; N], out: &mut [u8]) {
    for (place, word) in out.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(4 * at..4 * at + 4)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

impl Request {
    /// The message.
    pub fn encode(self) -> [u8; REQUEST_SIZE] {
        let mut out = [0; REQUEST_SIZE];
        match self {
            Self::Run(run) => {
                let kept = u32::from(run.kept.count);
                let flags = u32::from(run.terminal);
                words([VERSION, 1, flags, run.arguments, run.variables, run.len, kept], &mut out);
                out[32..].copy_from_slice(&run.kept.numbers);
            }
            Self::Signal { number, group } => {
                words([VERSION, 2, u32::from(group), number], &mut out);
            }
            Self::Stop => words([VERSION, 3], &mut out),
        }
        out
    }

    /// The request in `bytes`; `None` when it is none, or breaks a bound.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let at = |i: usize| word(bytes, i);
        if bytes.len() != REQUEST_SIZE || at(0)? != VERSION {
            return None;
        }
        let flag = match at(2)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let request = match at(1)? {
            1 => {
                let numbers = bytes.get(32..)?.get(..usize::try_from(at(6)?).ok()?)?;
                let (arguments, variables, len) = (at(3)?, at(4)?, at(5)?);
                let fits = (1..=MAX_ARGUMENTS).contains(&arguments)
                    && variables <= MAX_VARIABLES
                    && len as usize <= MAX_TEXT;
                let run =
                    Run { terminal: flag, arguments, variables, len, kept: Numbers::new(numbers)? };
                fits.then_some(Self::Run(run))?
            }
            2 => {
                let number = Some(at(3)?).filter(|n| (1..=MAX_SIGNAL).contains(n))?;
                Self::Signal { number, group: flag }
            }
            3 => Self::Stop,
            _ => return None,
        };
        // What has no meaning is 0, so that it can get one.
        (request.encode() == bytes).then_some(request)
    }
}

impl Reply {
    /// The message.
    pub fn encode(self) -> [u8; REPLY_SIZE] {
        let mut out = [0; REPLY_SIZE];
        let rest = match self {
            Self::Started => [1, 0, 0],
            Self::Failed { step, errno } => [2, step as u32, errno.cast_unsigned()],
            Self::Exited(code) => [3, code.cast_unsigned(), 0],
            Self::Stopped(signal) => [4, signal.cast_unsigned(), 0],
        };
        words([VERSION, rest[0], rest[1], rest[2]], &mut out);
        out
    }

    /// The reply in `bytes`; `None` when it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let at = |i: usize| word(bytes, i);
        if bytes.len() != REPLY_SIZE || at(0)? != VERSION {
            return None;
        }
        let reply = match at(1)? {
            1 => Self::Started,
            2 => {
                let step = *STEPS.get(usize::try_from(at(2)?).ok()?)?;
                Self::Failed { step, errno: at(3)?.cast_signed() }
            }
            3 => Self::Exited(at(2)?.cast_signed()),
            4 => Self::Stopped(at(2)?.cast_signed()),
            _ => return None,
        };
        (reply.encode() == bytes).then_some(reply)
    }
}

/// Why a command cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// There is no command.
    Nothing,
    /// A word holds a NUL, or a variable has no name.
    Word,
    /// It breaks a bound.
    TooMuch,
}

/// The text of a command, and the message that goes with it: working directory (empty: that of the
/// sandbox's first command), arguments, and changes of the environment, each `NAME=value` or, to
/// unset it, `NAME`; after each a NUL.
///
/// # Errors
/// What is wrong with it.
pub fn text(
    directory: &[u8],
    arguments: &[&[u8]],
    variables: &[&[u8]],
    terminal: bool,
    kept: Numbers,
) -> Result<(Run, Bytes), Invalid> {
    if arguments.first().is_none_or(|name| name.is_empty()) {
        return Err(Invalid::Nothing);
    }
    let all = || core::iter::once(&directory).chain(arguments).chain(variables);
    let len = all().fold(0_usize, |sum, word| sum.saturating_add(word.len()).saturating_add(1));
    let count = |list: &[&[u8]]| u32::try_from(list.len()).unwrap_or(u32::MAX);
    if len > MAX_TEXT || count(arguments) > MAX_ARGUMENTS || count(variables) > MAX_VARIABLES {
        return Err(Invalid::TooMuch);
    }
    if all().any(|word| word.contains(&0)) || variables.iter().any(|entry| name(entry).is_empty()) {
        return Err(Invalid::Word);
    }
    let mut text = Vec::with_capacity(len);
    for word in all() {
        text.extend_from_slice(word);
        text.push(0);
    }
    let run = Run {
        terminal,
        arguments: count(arguments),
        variables: count(variables),
        len: len as u32,
        kept,
    };
    Ok((run, text))
}

/// The words of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'t> {
    /// Where it starts; empty: where the sandbox's first command did.
    pub directory: &'t [u8],
    /// Its words, at least one, of which the first is not empty.
    pub arguments: Vec<&'t [u8]>,
    /// Changes of the environment: `NAME=value`, or `NAME` to unset it.
    pub variables: Vec<&'t [u8]>,
}

impl<'t> Words<'t> {
    /// The words in a text; `None` when it is not what the message says.
    pub fn parse(run: &Run, text: &'t [u8]) -> Option<Self> {
        if text.len() != run.len as usize {
            return None;
        }
        let mut words = text.strip_suffix(b"\0")?.split(|&b| b == 0);
        let directory = words.next()?;
        let arguments: Vec<_> = words.by_ref().take(run.arguments as usize).collect();
        let variables: Vec<_> = words.by_ref().take(run.variables as usize).collect();
        let complete = arguments.len() == run.arguments as usize
            && variables.len() == run.variables as usize
            && words.next().is_none();
        let sound = arguments.first().is_some_and(|name| !name.is_empty())
            && variables.iter().all(|entry| !name(entry).is_empty());
        (complete && sound).then_some(Self { directory, arguments, variables })
    }

    /// The environment of the command: that of the sandbox's first one with these changes, in
    /// order.
    pub fn environment<'e>(&self, first: impl Iterator<Item = &'e [u8]>) -> Vec<&'e [u8]>
    where
        't: 'e,
    {
        let mut env: Vec<&'e [u8]> = first.collect();
        for &entry in &self.variables {
            let known = env.iter().position(|old| name(old) == name(entry));
            match (known, entry.contains(&b'=')) {
                (Some(at), true) => env[at] = entry,
                (None, true) => env.push(entry),
                (Some(at), false) => drop(env.remove(at)),
                (None, false) => {}
            }
        }
        env
    }
}

/// The name in `NAME=value` or `NAME`.
fn name(entry: &[u8]) -> &[u8] {
    entry.split(|&b| b == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every step has its place in the list that numbers are looked up in, and a text.
    #[test]
    fn steps_are_listed() {
        for (at, step) in STEPS.into_iter().enumerate() {
            assert_eq!(step as usize, at);
            assert!(!step.text().is_empty());
            let reply = Reply::Failed { step, errno: 13 };
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
    }

    /// What can be said is understood; what is longer, shorter, of another version or out of bounds
    /// is not.
    #[test]
    fn messages_round_trip() {
        let kept = Numbers::new(&[3, 200, 9]).expect("good numbers");
        let (run, _) = text(b"/", &[b"a"], &[], true, kept).expect("a command");
        let requests = [
            Request::Run(run),
            Request::Signal { number: 64, group: true },
            Request::Signal { number: 1, group: false },
            Request::Stop,
        ];
        for request in requests {
            let bytes = request.encode();
            assert_eq!(Request::decode(&bytes), Some(request));
            assert_eq!(Request::decode(&bytes[1..]), None);
            assert_eq!(Request::decode(&[&bytes[..], b"\0"].concat()), None);
            for at in 0..8 {
                let mut changed = bytes;
                changed[at] ^= 0x40;
                assert_eq!(Request::decode(&changed), None, "{at}");
            }
        }
        for reply in [Reply::Started, Reply::Exited(137), Reply::Stopped(20)] {
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
        for number in [0, 65, u32::MAX] {
            let bytes = Request::Signal { number, group: false }.encode();
            assert_eq!(Request::decode(&bytes), None);
        }
        let over = Run { arguments: MAX_ARGUMENTS + 1, ..run };
        assert_eq!(Request::decode(&Request::Run(over).encode()), None);
        let over = Run { len: MAX_TEXT as u32 + 1, ..run };
        assert_eq!(Request::decode(&Request::Run(over).encode()), None);
        let none = Run { arguments: 0, ..run };
        assert_eq!(Request::decode(&Request::Run(none).encode()), None);
    }

    /// Numbers that are standard streams, double, or too many are refused.
    #[test]
    fn bad_numbers() {
        assert_eq!(Numbers::new(&[2]), None);
        assert_eq!(Numbers::new(&[3, 4, 3]), None);
        assert_eq!(Numbers::new(&[3; 17]), None);
        let most: Vec<u8> = (3..19).collect();
        assert!(Numbers::new(&most).is_some());
    }

    /// A text is read back as it was written; one with a word more or less is not read.
    #[test]
    fn texts_round_trip() {
        let kept = Numbers::default();
        let arguments: [&[u8]; 3] = [b"sh", b"", b"-c"];
        let variables: [&[u8]; 2] = [b"A=", b"B"];
        let (run, bytes) = text(b"", &arguments, &variables, false, kept).expect("a command");
        let words = Words::parse(&run, &bytes).expect("a text");
        assert_eq!((words.directory, &words.arguments[..]), (&b""[..], &arguments[..]));
        assert_eq!(words.variables, variables);
        for run in [Run { arguments: 2, ..run }, Run { variables: 1, ..run }] {
            assert_eq!(Words::parse(&run, &bytes), None);
        }
        let short = Run { len: run.len - 1, ..run };
        assert_eq!(Words::parse(&short, &bytes[..bytes.len() - 1]), None);
        assert_eq!(text(b"", &[], &[], false, kept), Err(Invalid::Nothing));
        assert_eq!(text(b"", &[b""], &[], false, kept), Err(Invalid::Nothing));
        assert_eq!(text(b"a\0b", &[b"a"], &[], false, kept), Err(Invalid::Word));
        assert_eq!(text(b"", &[b"a"], &[b"=x"], false, kept), Err(Invalid::Word));
        let large = vec![b'x'; MAX_TEXT];
        assert_eq!(text(b"", &[&large], &[], false, kept), Err(Invalid::TooMuch));
    }

    /// Variables are set, replaced in place and unset, in order.
    #[test]
    fn environments_change() {
        let kept = Numbers::default();
        let variables: [&[u8]; 5] = [b"A=2", b"B", b"C=3", b"AA=1", b"C"];
        let (run, bytes) = text(b"", &[b"x"], &variables, false, kept).expect("a command");
        let words = Words::parse(&run, &bytes).expect("a text");
        let first: [&[u8]; 4] = [b"A=1", b"AA=0", b"B=1", b"D=="];
        let env = words.environment(first.into_iter());
        assert_eq!(env, [&b"A=2"[..], b"AA=1", b"D=="]);
    }
}
