//! One test case: the argument vector with its descriptors, and the state of the caller.

use crate::escape;

/// A word of the argument vector.
#[derive(Clone, Debug)]
pub enum Word {
    /// These bytes.
    Lit(Vec<u8>),
    /// The decimal number of the item's descriptor with this index.
    Fd(usize),
}

/// A namespace prepared by the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// A user namespace that the caller owns.
    User,
    /// A user namespace below [`Prepared::User`].
    UserBelow,
    /// A pid namespace of the caller's user namespace (only usable with privileges there).
    Pid,
    /// A pid namespace owned by [`Prepared::User`].
    PidBelow,
}

/// What a descriptor of the launch is.
#[derive(Clone, Debug)]
pub enum FdSpec {
    /// A memory file with this content.
    Data(Vec<u8>),
    /// The reading end of a pipe that holds this and has no writer left.
    Pipe(Vec<u8>),
    /// A memory file whose content after the run is compared, under this label.
    Collect(&'static str),
    /// An open file: path and `open(2)` flags.
    Path(Vec<u8>, i32),
    /// A prepared namespace.
    Ns(Prepared),
    /// A number that is not open.
    Closed,
}

/// One option with its arguments, the unit that the shrinker removes.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// The words, the first one usually an option.
    pub words: Vec<Word>,
    /// The descriptors that [`Word::Fd`] refers to.
    pub fds: Vec<FdSpec>,
    /// Neighbours with the same number other than 0 travel in one `--args` file.
    pub group: u8,
}

impl Item {
    /// An item of plain words.
    pub fn new<T: AsRef<[u8]>>(words: &[T]) -> Self {
        Self {
            words: words.iter().map(|w| Word::Lit(w.as_ref().to_vec())).collect(),
            ..Self::default()
        }
    }

    /// `option FD rest…`, where the descriptor is `spec`.
    pub fn with_fd<T: AsRef<[u8]>>(option: &str, spec: FdSpec, rest: &[T]) -> Self {
        let mut words = vec![Word::Lit(option.into()), Word::Fd(0)];
        words.extend(rest.iter().map(|w| Word::Lit(w.as_ref().to_vec())));
        Self { words, fds: vec![spec], group: 0 }
    }

    /// The first word, for naming a class of differences.
    pub fn name(&self) -> String {
        match self.words.first() {
            Some(Word::Lit(w)) => escape::line(w),
            _ => "fd".into(),
        }
    }
}

/// Which process group and session the launcher starts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The worker's.
    Same,
    /// Leader of a new process group.
    Group,
    /// Leader of a new session, without a terminal.
    Own,
    /// Leader of a new session whose terminal is standard output (when that is one).
    Terminal,
}

/// Standard input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// `/dev/null`.
    Null,
    /// A pipe at its end (input), or a memory file (output).
    Plain,
    /// Not open.
    Closed,
    /// A pseudo-terminal (output only).
    Terminal,
}

/// The state that the launcher inherits.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Working directory.
    pub cwd: Vec<u8>,
    /// Environment, as `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// File mode mask.
    pub umask: u32,
    /// Resource, soft and hard limit.
    pub limits: Vec<(i32, u64)>,
    /// Signals ignored.
    pub ignored: Vec<i32>,
    /// Signals blocked.
    pub blocked: Vec<i32>,
    /// Process group and session.
    pub session: Session,
    /// Standard input.
    pub stdin: Standard,
    /// Standard output.
    pub stdout: Standard,
    /// Further inherited descriptors, numbered from 100.
    pub extra: Vec<FdSpec>,
}

impl Default for Caller {
    fn default() -> Self {
        let env: [&[u8]; 4] = [b"PATH=/usr/bin:/bin", b"HOME=/home/u", b"LANG=C", b"OLDPWD=/old"];
        Self {
            cwd: b"/".to_vec(),
            env: env.iter().map(|e| e.to_vec()).collect(),
            umask: 0o022,
            limits: vec![],
            ignored: vec![],
            blocked: vec![],
            session: Session::Same,
            stdin: Standard::Null,
            stdout: Standard::Plain,
            extra: vec![],
        }
    }
}

/// The whole test case.
#[derive(Clone, Debug, Default)]
pub struct Vector {
    /// The state of the caller.
    pub caller: Caller,
    /// Options in order.
    pub items: Vec<Item>,
    /// Whether `--` stands before the command.
    pub dashes: bool,
    /// The command words, possibly none.
    pub command: Vec<Vec<u8>>,
    /// Whether it was made to be refused (for the statistics only).
    pub erroneous: bool,
}

/// A vector as the kernel gets it.
pub struct Rendered {
    /// Words after `argv[0]`.
    pub argv: Vec<Vec<u8>>,
    /// Descriptor numbers and what they are.
    pub fds: Vec<(i32, FdSpec)>,
}

impl Vector {
    /// Assigns descriptor numbers (from 20, extra ones from 100) and packs `--args` groups.
    pub fn render(&self) -> Rendered {
        let mut next = 20;
        let mut out = Rendered { argv: vec![], fds: vec![] };
        let mut at = 0;
        while at < self.items.len() {
            let group = self.items[at].group;
            let mut words = vec![];
            let mut end = at;
            while end < self.items.len() && self.items[end].group == group {
                let item = &self.items[end];
                for word in &item.words {
                    words.push(match word {
                        Word::Lit(bytes) => bytes.clone(),
                        Word::Fd(index) => (next + *index as i32).to_string().into_bytes(),
                    });
                }
                for spec in &item.fds {
                    out.fds.push((next, spec.clone()));
                    next += 1;
                }
                end += 1;
            }
            if group == 0 {
                out.argv.append(&mut words);
            } else {
                let mut data = words.join(&0);
                if group % 2 == 1 {
                    data.push(0); // the trailing NUL is optional
                }
                out.argv.extend([b"--args".to_vec(), next.to_string().into_bytes()]);
                out.fds.push((next, FdSpec::Data(data)));
                next += 1;
            }
            at = end;
        }
        if self.dashes {
            out.argv.push(b"--".to_vec());
        }
        out.argv.extend(self.command.iter().cloned());
        out.fds.extend(self.caller.extra.iter().cloned().zip(100..).map(|(s, n)| (n, s)));
        out
    }

    /// The vector as a command for bash, with the caller's state where it is not the usual one.
    pub fn display(&self) -> String {
        let rendered = self.render();
        let usual = Self::default();
        let (c, u) = (&self.caller, &usual.caller);
        let mut out = String::new();
        let mut note = |changed: bool, text: String| {
            if changed {
                out.push_str(&format!("# {text}\n"));
            }
        };
        note(c.cwd != u.cwd, format!("cd {}", escape::shell(&c.cwd)));
        let env: Vec<String> = c.env.iter().map(|e| escape::shell(e)).collect();
        note(c.env != u.env, format!("environment: {}", env.join(" ")));
        note(c.umask != u.umask, format!("umask {:03o}", c.umask));
        note(!c.limits.is_empty(), format!("limits (resource, value): {:?}", c.limits));
        note(!c.ignored.is_empty(), format!("ignored signals: {:?}", c.ignored));
        note(!c.blocked.is_empty(), format!("blocked signals: {:?}", c.blocked));
        note(c.session != u.session, format!("session: {:?}", c.session));
        note(c.stdin != u.stdin, format!("stdin: {:?}", c.stdin));
        note(c.stdout != u.stdout, format!("stdout: {:?}", c.stdout));
        out.push_str("bwrap");
        for word in &rendered.argv {
            out.push(' ');
            out.push_str(&escape::shell(word));
        }
        for (number, spec) in &rendered.fds {
            out.push_str(&match spec {
                FdSpec::Data(d) | FdSpec::Pipe(d) => {
                    format!(" {number}< <(printf %b {})", escape::shell(printf(d).as_bytes()))
                }
                FdSpec::Collect(label) => format!(" {number}>/tmp/{label}"),
                FdSpec::Path(path, flags) if flags & libc::O_PATH != 0 => {
                    format!(" {number}<{} `# O_PATH`", escape::shell(path))
                }
                FdSpec::Path(path, _) => format!(" {number}<{}", escape::shell(path)),
                FdSpec::Ns(kind) => format!(" {number}</prepared/{kind:?}"),
                FdSpec::Closed => format!(" {number}<&-"),
            });
        }
        out
    }
}

/// Bytes as the argument of `printf %b`; of long ones the beginning, and how many there are.
fn printf(data: &[u8]) -> String {
    if data.len() > 256 {
        return format!("{}... {} bytes in all", printf(&data[..32]), data.len());
    }
    data.iter().fold(String::new(), |mut out, &b| {
        if b.is_ascii_graphic() && b != b'\\' || b == b' ' {
            out.push(b as char);
        } else {
            out.push_str(&format!("\\x{b:02x}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that `--args` groups become one descriptor each and that numbers match the words.
    #[test]
    fn rendering_numbers_descriptors_and_packs_groups() {
        let mut first = Item::with_fd("--file", FdSpec::Data(b"x".to_vec()), &["/f"]);
        first.group = 1;
        let mut second = Item::new(&["--dir", "/d"]);
        second.group = 1;
        let vector = Vector {
            items: vec![first, second, Item::new(&["--unshare-pid"])],
            command: vec![b"/p".to_vec()],
            ..Vector::default()
        };
        let out = vector.render();
        let argv: Vec<String> = out.argv.iter().map(|w| escape::line(w)).collect();
        assert_eq!(argv, ["--args", "21", "--unshare-pid", "/p"]);
        assert_eq!(out.fds[0].0, 20);
        let FdSpec::Data(data) = &out.fds[1].1 else { panic!("no args file") };
        assert_eq!(data, b"--file\x0020\0/f\0--dir\0/d\0");
    }
}
