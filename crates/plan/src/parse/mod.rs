//! bwrap's command line → [`Plan`].
//!
//! Parsing validates each word where it stands, so that an error names the option and the value.
//! What only the whole command line can tell is checked in [`crate::check`].

mod apply;
mod suggest;
mod values;

use crate::model::{Bytes, FdNumber, HostPath, Origin, Plan};
use crate::options::{self, Opt, Repeat, Spec};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use suggest::{missing, suggestion};
use values::fd_number;

/// The most words in all, `--args` included. bubblewrap's limit is 9,000; callers hit it.
pub const MAX_WORDS: usize = 1 << 20;

/// The most bytes that one `--args` descriptor may yield.
pub const MAX_ARGS_BYTES: usize = 64 << 20;

/// A command line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, in bubblewrap's words where it has any; without the program's name.
    pub message: Bytes,
    /// The option that is wrong, where it is one.
    pub origin: Option<Origin>,
    /// More on the cause and the fix; may be empty.
    pub hint: String,
    /// Whether `--level-prefix` came before it.
    pub level_prefix: bool,
    /// Where errors were to be written as JSON, if that came before it.
    pub json_errors_fd: Option<FdNumber>,
    /// Labels that were asked for before it: a system that has none refuses those first.
    pub labels: Labels,
    /// Remarks on what came before it, in order.
    pub warnings: Vec<Warning>,
}

/// A remark on a command line that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The text.
    pub message: String,
    /// Whether `--level-prefix` came before it.
    pub level_prefix: bool,
}

/// The SELinux labels asked for. Whether there can be any is not for the parser to know, but a
/// refusal counts from the place of the first: nothing that comes after it is said any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// All of them, in order.
    pub given: Vec<Bytes>,
    /// Whether `--level-prefix` came before the first.
    pub level_prefix: bool,
    /// How many remarks concern what came before the first.
    pub warnings: usize,
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The help text.
    Help,
    /// The version.
    Version,
    /// No command was given: the help text on standard error, exit status 1.
    Usage,
    /// A sandbox.
    Run(Box<Plan>),
}

/// The result of parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What is asked for.
    pub request: Request,
    /// Remarks, in order.
    pub warnings: Vec<Warning>,
    /// Labels that were asked for.
    pub labels: Labels,
}

/// Reads a descriptor named by `--args` to its end, at most [`MAX_ARGS_BYTES`], and closes it.
/// The error is the kernel's text.
pub type ReadArgs<'a> = dyn FnMut(FdNumber) -> Result<Bytes, String> + 'a;

/// Parses a command line without its first word (the program's name).
///
/// # Errors
/// The first thing that is wrong, in the order of the words.
pub fn parse(words: &[&[u8]], read_args: &mut ReadArgs<'_>) -> Result<Parsed, ParseError> {
    let mut parser = Parser { total: words.len(), ..Parser::default() };
    let rest = match parser.words(words, None, Some(read_args)) {
        Ok(rest) => rest,
        Err(fault) => return Err(parser.error(fault)),
    };
    if let Some(request) = parser.early.take() {
        return Ok(parser.parsed(request));
    }
    if !parser.layers.is_empty() {
        return Err(parser.error(Fault::new(LONE_OVERLAY_SRC)));
    }
    if rest.is_empty() && parser.plan.lifecycle.serve.is_none() {
        return Ok(parser.parsed(Request::Usage));
    }
    parser.plan.command = rest.iter().map(|w| w.to_vec()).collect();
    let plan = core::mem::take(&mut parser.plan);
    Ok(parser.parsed(Request::Run(Box::new(plan))))
}

const LONE_OVERLAY_SRC: &str = "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay";

/// An error before its place is known.
struct Fault {
    message: Bytes,
    hint: String,
}

impl Fault {
    fn new(message: impl Into<Bytes>) -> Self {
        Self { message: message.into(), hint: String::new() }
    }

    fn value(text: &str, value: &[u8]) -> Self {
        Self::new([text.as_bytes(), value].concat())
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

#[derive(Default)]
struct Parser {
    plan: Plan,
    warnings: Vec<Warning>,
    total: usize,
    at: Option<Origin>,
    perms: Option<u32>,
    size: Option<u64>,
    inodes: Option<u64>,
    layers: Vec<HostPath>,
    labels: Labels,
    seen: Vec<Opt>,
    early: Option<Request>,
}

impl Parser {
    fn error(&self, fault: Fault) -> ParseError {
        ParseError {
            message: fault.message,
            origin: self.at,
            hint: fault.hint,
            level_prefix: self.plan.level_prefix,
            json_errors_fd: self.plan.json_errors_fd,
            warnings: self.warnings.clone(),
            labels: self.labels.clone(),
        }
    }

    fn parsed(self, request: Request) -> Parsed {
        Parsed { request, warnings: self.warnings, labels: self.labels }
    }

    /// Parses options up to the first word that is none; returns the words from there on.
    fn words<'w>(
        &mut self,
        words: &'w [&'w [u8]],
        args_fd: Option<FdNumber>,
        mut read_args: Option<&mut ReadArgs<'_>>,
    ) -> Result<&'w [&'w [u8]], Fault> {
        if self.total > MAX_WORDS {
            return Err(Fault::new(format!("Exceeded maximum number of arguments {MAX_WORDS}")));
        }
        let mut i = 0;
        while let Some(word) = words.get(i) {
            if *word == b"--" {
                i += 1;
                break;
            }
            if word.first() != Some(&b'-') {
                break;
            }
            self.at = None;
            let Some(spec) = options::find(word) else {
                return Err(Fault::value("Unknown option ", word).hint(suggestion(word)));
            };
            let index = u32::try_from(i + 1).unwrap_or(u32::MAX);
            self.at = Some(Origin { opt: spec.opt, index, args_fd });
            let count = spec.arguments.len();
            let Some(values) = words.get(i + 1..=i + count) else {
                return Err(missing(spec));
            };
            if let Some(nul) = values.iter().find(|v| v.contains(&0)) {
                // Only a caller of the library can get here: argv has no NUL inside.
                return Err(Fault::value("NUL byte in argument ", nul));
            }
            if spec.opt == Opt::Args {
                let Some(read) = read_args.as_deref_mut() else {
                    return Err(Fault::new("--args not supported in arguments file"));
                };
                self.pending(Opt::Args)?;
                self.file(values[0], read)?;
            } else {
                self.option(spec, values)?;
            }
            if self.early.is_some() {
                return Ok(&[]);
            }
            i += 1 + count;
        }
        self.at = None;
        Ok(&words[i..])
    }

    /// The words behind `--args FD`. A command among them is not for this file to give: it and
    /// what follows is left out, as bubblewrap does.
    fn file(&mut self, fd: &[u8], read_args: &mut ReadArgs<'_>) -> Result<(), Fault> {
        let number = fd_number(fd)?;
        let data =
            read_args(number).map_err(|e| Fault::new(format!("Can't read --args data: {e}")))?;
        if data.len() > MAX_ARGS_BYTES {
            return Err(Fault::new(format!("--args data is larger than {MAX_ARGS_BYTES} bytes")));
        }
        let data = data.strip_suffix(b"\0").unwrap_or(&data);
        if data.is_empty() {
            return Ok(());
        }
        let words: Vec<&[u8]> = data.split(|&b| b == 0).collect();
        self.total += words.len();
        self.words(&words, Some(number), None)?;
        if self.early.is_some() {
            return Ok(());
        }
        // The next word after a file is an option of the command line.
        self.pending(Opt::Args)
    }

    /// An operation's modifiers must be used by the very next option.
    fn pending(&self, next: Opt) -> Result<(), Fault> {
        let is_modifier = options::spec(next).repeat == Repeat::Modifier;
        let takes_perms =
            matches!(next, Opt::Tmpfs | Opt::Dir | Opt::File | Opt::BindData | Opt::RoBindData);
        if self.perms.is_some() && !takes_perms && !is_modifier {
            return Err(Fault::new("--perms must be followed by an option that creates a file")
                .hint("--perms goes directly before --dir, --tmpfs, --file, --bind-data or --ro-bind-data"));
        }
        if self.size.is_some() && next != Opt::Tmpfs && !is_modifier {
            return Err(Fault::new("--size must be followed by --tmpfs"));
        }
        if self.inodes.is_some() && next != Opt::Tmpfs && !is_modifier {
            return Err(Fault::new("--inodes must be followed by --tmpfs"));
        }
        let takes_layers =
            matches!(next, Opt::OverlaySrc | Opt::Overlay | Opt::TmpOverlay | Opt::RoOverlay);
        if !self.layers.is_empty() && !takes_layers {
            return Err(Fault::new(LONE_OVERLAY_SRC));
        }
        Ok(())
    }

    fn repetition(&mut self, spec: &'static Spec) -> Result<(), Fault> {
        let again = self.seen.contains(&spec.opt);
        match spec.repeat {
            Repeat::Once if again => Err(Fault::new(format!("{} used multiple times", spec.name))),
            Repeat::Modifier
                if match spec.opt {
                    Opt::Perms => self.perms.is_some(),
                    Opt::Size => self.size.is_some(),
                    _ => self.inodes.is_some(),
                } =>
            {
                Err(Fault::new(format!("{} given twice for the same action", spec.name)))
            }
            Repeat::Last | Repeat::Once => {
                if again {
                    self.warnings.push(Warning {
                        message: format!("Only the last {} option will take effect", spec.name),
                        level_prefix: self.plan.level_prefix,
                    });
                } else {
                    self.seen.push(spec.opt);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn option(&mut self, spec: &'static Spec, values: &[&[u8]]) -> Result<(), Fault> {
        self.pending(spec.opt)?;
        self.repetition(spec)?;
        for (value, argument) in values.iter().zip(spec.arguments) {
            let path = matches!(argument.kind, options::Kind::HostPath | options::Kind::BoxPath);
            if value.is_empty() && (path || spec.opt == Opt::Symlink) {
                return Err(Fault::new(format!(
                    "{} does not take an empty path argument",
                    spec.name
                )));
            }
        }
        if self.namespace_option(spec.opt, values)?
            || self.file_option(spec.opt, values)?
            || self.lifecycle_option(spec.opt, values)?
        {
            return Ok(());
        }
        self.other_option(spec.opt, values)
    }
}
