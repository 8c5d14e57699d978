//! bwrap's command line → [`Plan`].
//!
//! Parsing validates each word where it stands, so that an error names the option and the value.
//! What only the whole command line can tell is checked in [`crate::check`].

use crate::model::{
    Access, BindSource, BoxPath, Bytes, CapOp, CgroupNamespace, EnvOp, FdNumber, FileOp, Given,
    HostPath, IdRange, KernelVersion, Limit, Origin, OverlayUpper, Plan, Step, UserLimit,
    UserNamespace,
};
use crate::options::{self, Opt, Repeat, Spec};
use crate::tables;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

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
    pub labels: Vec<Bytes>,
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
        return Ok(Parsed { request, warnings: parser.warnings });
    }
    if !parser.layers.is_empty() {
        return Err(parser.error(Fault::new(LONE_OVERLAY_SRC)));
    }
    if rest.is_empty() && parser.plan.lifecycle.serve.is_none() {
        return Ok(Parsed { request: Request::Usage, warnings: parser.warnings });
    }
    parser.plan.command = rest.iter().map(|w| w.to_vec()).collect();
    Ok(Parsed { request: Request::Run(Box::new(parser.plan)), warnings: parser.warnings })
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
            labels: self.plan.exec_label.iter().chain(&self.plan.file_label).cloned().collect(),
        }
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

    fn namespace_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<bool, Fault> {
        let ns = &mut self.plan.namespaces;
        let user_try = |user: &mut UserNamespace| {
            if *user == UserNamespace::Implied {
                *user = UserNamespace::Try;
            }
        };
        let cgroup_try = |cgroup: &mut CgroupNamespace| {
            if *cgroup == CgroupNamespace::Keep {
                *cgroup = CgroupNamespace::Try;
            }
        };
        match opt {
            Opt::UnshareAll => {
                user_try(&mut ns.user);
                cgroup_try(&mut ns.cgroup);
                (ns.ipc, ns.pid, ns.uts, ns.net) = (true, true, true, true);
            }
            Opt::ShareNet => ns.net = false,
            Opt::UnshareUser => ns.user = UserNamespace::New,
            Opt::UnshareUserTry => user_try(&mut ns.user),
            Opt::UnshareIpc => ns.ipc = true,
            Opt::UnsharePid => ns.pid = true,
            Opt::UnshareNet => ns.net = true,
            Opt::UnshareUts => ns.uts = true,
            Opt::UnshareCgroup => ns.cgroup = CgroupNamespace::New,
            Opt::UnshareCgroupTry => cgroup_try(&mut ns.cgroup),
            Opt::Userns => ns.join_user = Some(fd_number(values[0])?),
            Opt::Userns2 => ns.join_user_after = Some(fd_number(values[0])?),
            Opt::Pidns => ns.join_pid = Some(fd_number(values[0])?),
            Opt::Netns => ns.join_net = Some(fd_number(values[0])?),
            Opt::DisableUserns => ns.disable_user = true,
            Opt::AssertUsernsDisabled => ns.assert_user_disabled = true,
            Opt::Uid => self.plan.uid = Some(id(values[0], "Invalid uid: ")?),
            Opt::Gid => self.plan.gid = Some(id(values[0], "Invalid gid: ")?),
            Opt::UidRange => self.plan.uid_ranges.push(id_range(values)?),
            Opt::GidRange => self.plan.gid_ranges.push(id_range(values)?),
            Opt::Hostname => self.plan.hostname = Some(values[0].to_vec()),
            Opt::UserLimit => ns.user_limits.push(user_limit(values[0], values[1])?),
            Opt::Cgroup => ns.start_cgroup = Some(fd_number(values[0])?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn file_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<bool, Fault> {
        let dest = |at: usize| BoxPath(values[at].to_vec());
        let op = match opt {
            Opt::Bind => bind(values, Access::ReadWrite, false),
            Opt::BindTry => bind(values, Access::ReadWrite, true),
            Opt::DevBind => bind(values, Access::Device, false),
            Opt::DevBindTry => bind(values, Access::Device, true),
            Opt::RoBind => bind(values, Access::ReadOnly, false),
            Opt::RoBindTry => bind(values, Access::ReadOnly, true),
            Opt::BindFd | Opt::RoBindFd => FileOp::Bind {
                source: BindSource::Fd(fd_number(values[0])?),
                dest: dest(1),
                access: if opt == Opt::BindFd { Access::ReadWrite } else { Access::ReadOnly },
            },
            Opt::RemountRo => FileOp::RemountReadOnly { dest: dest(0) },
            Opt::Overlay | Opt::TmpOverlay | Opt::RoOverlay => self.overlay(opt, values)?,
            Opt::Proc => FileOp::Proc { dest: dest(0) },
            Opt::Dev => FileOp::Dev { dest: dest(0) },
            Opt::Tmpfs => FileOp::Tmpfs {
                dest: dest(0),
                perms: self.perms.take(),
                size: self.size.take(),
                inodes: self.inodes.take(),
            },
            Opt::Mqueue => FileOp::Mqueue { dest: dest(0) },
            Opt::Dir => FileOp::Dir { dest: dest(0), perms: self.perms.take() },
            Opt::File => {
                FileOp::File { fd: fd_number(values[0])?, dest: dest(1), perms: self.perms.take() }
            }
            Opt::BindData | Opt::RoBindData => FileOp::BindData {
                fd: fd_number(values[0])?,
                dest: dest(1),
                perms: self.perms.take(),
                read_only: opt == Opt::RoBindData,
            },
            Opt::Symlink => FileOp::Symlink { target: values[0].to_vec(), dest: dest(1) },
            Opt::Chmod => FileOp::Chmod { mode: octal(values[0], "--chmod")?, path: dest(1) },
            Opt::Mask => FileOp::Mask { dest: dest(0) },
            Opt::OverlaySrc => {
                self.layers.push(HostPath(values[0].to_vec()));
                return Ok(true);
            }
            Opt::Perms => {
                self.perms = Some(octal(values[0], "--perms")?);
                return Ok(true);
            }
            Opt::Size => {
                self.size = Some(bytes(values[0], "--size")?);
                return Ok(true);
            }
            Opt::Inodes => {
                self.inodes = Some(positive(values[0], "--inodes")?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if let Some(origin) = self.at {
            self.plan.steps.push(Step { op, origin });
        }
        Ok(true)
    }

    fn overlay(&mut self, opt: Opt, values: &[&[u8]]) -> Result<FileOp, Fault> {
        let (least, text) = if opt == Opt::RoOverlay { (2, "two") } else { (1, "one") };
        if self.layers.len() < least {
            let name = options::spec(opt).name;
            return Err(Fault::new(format!("{name} requires at least {text} --overlay-src")));
        }
        let layers = core::mem::take(&mut self.layers);
        let (upper, dest) = match opt {
            Opt::Overlay => (
                OverlayUpper::Host {
                    upper: HostPath(values[0].to_vec()),
                    work: HostPath(values[1].to_vec()),
                },
                values[2],
            ),
            Opt::TmpOverlay => (OverlayUpper::Tmp, values[0]),
            _ => (OverlayUpper::None, values[0]),
        };
        Ok(FileOp::Overlay { layers, upper, dest: BoxPath(dest.to_vec()) })
    }

    fn lifecycle_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<bool, Fault> {
        let life = &mut self.plan.lifecycle;
        match opt {
            Opt::LockFile => life.lock_files.push(BoxPath(values[0].to_vec())),
            Opt::SyncFd => life.sync_fds.push(fd_number(values[0])?),
            Opt::BlockFd => life.block_fd = Some(fd_number(values[0])?),
            Opt::UsernsBlockFd => life.userns_block_fd = Some(fd_number(values[0])?),
            Opt::InfoFd => life.info_fd = Some(fd_number(values[0])?),
            Opt::JsonStatusFd => life.json_status_fd = Some(fd_number(values[0])?),
            Opt::NewSession => life.new_session = true,
            Opt::DieWithParent => life.die_with_parent = true,
            Opt::AsPid1 => life.as_pid_1 = true,
            Opt::ForwardSignals => life.forward_signals = true,
            Opt::Pty => life.pty = true,
            Opt::EndWithCommand => life.end_with_command = true,
            Opt::CloseFds => life.close_fds = true,
            Opt::Serve => life.serve = Some(fd_number(values[0])?),
            Opt::KeepFd => life.keep_fds.push(fd_number(values[0])?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<(), Fault> {
        let plan = &mut self.plan;
        match opt {
            Opt::Help => self.early = Some(Request::Help),
            Opt::Version => self.early = Some(Request::Version),
            Opt::Argv0 => plan.argv0 = Some(values[0].to_vec()),
            Opt::LevelPrefix => plan.level_prefix = true,
            Opt::Chdir => plan.chdir = Some(BoxPath(values[0].to_vec())),
            Opt::Clearenv => plan.env.push(EnvOp::Clear),
            Opt::Setenv => plan.env.push(EnvOp::Set {
                name: env_name(values[0], "setenv failed")?,
                value: values[1].to_vec(),
            }),
            Opt::Unsetenv => {
                plan.env.push(EnvOp::Unset { name: env_name(values[0], "unsetenv failed")? });
            }
            Opt::CapAdd => plan.caps.push(CapOp::Add(capability(values[0])?)),
            Opt::CapDrop => plan.caps.push(CapOp::Drop(capability(values[0])?)),
            Opt::Seccomp | Opt::AddSeccompFd => self.filter(opt, values[0])?,
            Opt::ExecLabel => plan.exec_label = Some(values[0].to_vec()),
            Opt::FileLabel => plan.file_label = Some(values[0].to_vec()),
            Opt::ScopeSignals => plan.scope_signals = true,
            Opt::ScopeAbstractSockets => plan.scope_abstract_sockets = true,
            Opt::Rlimit => plan.limits.push(limit(values[0], values[1])?),
            Opt::DefaultTmpfsSize => {
                plan.default_tmpfs_size = Some(bytes(values[0], "--default-tmpfs-size")?);
            }
            Opt::DefaultTmpfsInodes => {
                plan.default_tmpfs_inodes = Some(positive(values[0], "--default-tmpfs-inodes")?);
            }
            Opt::JsonErrors => plan.json_errors_fd = Some(fd_number(values[0])?),
            Opt::AssumeKernel => plan.assume_kernel = Some(kernel_version(values[0])?),
            Opt::NotASecurityBoundary => plan.not_a_security_boundary = true,
            _ => {}
        }
        Ok(())
    }

    fn filter(&mut self, opt: Opt, word: &[u8]) -> Result<(), Fault> {
        let other = if opt == Opt::Seccomp { Opt::AddSeccompFd } else { Opt::Seccomp };
        if self.plan.filters.iter().any(|f| f.origin.opt == other) {
            return Err(Fault::new(format!(
                "{} cannot be combined with {}",
                options::spec(opt).name,
                options::spec(other).name
            )));
        }
        let value = fd_number(word)?;
        if opt == Opt::Seccomp {
            self.plan.filters.clear();
        }
        if let Some(origin) = self.at {
            self.plan.filters.push(Given { value, origin });
        }
        Ok(())
    }
}

fn bind(values: &[&[u8]], access: Access, optional: bool) -> FileOp {
    let source = BindSource::Path { path: HostPath(values[0].to_vec()), optional };
    FileOp::Bind { source, dest: BoxPath(values[1].to_vec()), access }
}

/// The text for an option whose arguments are missing, as bubblewrap words it.
fn missing(spec: &Spec) -> Fault {
    let count = match (spec.opt, spec.arguments.len()) {
        (Opt::OverlaySrc, _) => return Fault::new(LONE_OVERLAY_SRC),
        (Opt::Argv0 | Opt::Chdir | Opt::RemountRo, _) => "one argument",
        (_, 1) => "an argument",
        (_, 2) => "two arguments",
        _ => "three arguments",
    };
    // bubblewrap names --bind-fd for both.
    let name = if spec.opt == Opt::RoBindFd { "--bind-fd" } else { spec.name };
    let names: Vec<_> = spec.arguments.iter().map(|a| a.name).collect();
    Fault::new(format!("{name} takes {count}")).hint(format!(
        "usage: {} {}",
        spec.name,
        names.join(" ")
    ))
}

/// What may have been meant by an unknown word.
fn suggestion(word: &[u8]) -> String {
    let name = word.split(|&b| b == b'=').next().unwrap_or(word);
    if name.len() < word.len() && options::find(name).is_some() {
        let name = String::from_utf8_lossy(name);
        return format!("the value is a word of its own: {name} VALUE");
    }
    let near = options::TABLE
        .iter()
        .map(|spec| (distance(spec.name.as_bytes(), name), spec.name))
        .min()
        .filter(|&(d, _)| d <= 2);
    match near {
        Some((_, near)) => format!("did you mean {near}?"),
        None => "bwrap --help lists the options; a command that starts with - goes after --".into(),
    }
}

/// Levenshtein's distance, for words of an option's length; longer ones are far from everything.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if b.len() > 40 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

fn fd_number(word: &[u8]) -> Result<FdNumber, Fault> {
    tables::decimal(word).and_then(|n| FdNumber::try_from(n).ok()).ok_or_else(|| {
        Fault::value("Invalid fd: ", word)
            .hint("a descriptor is a decimal number, of one that the caller leaves open for bwrap")
    })
}

fn id(word: &[u8], text: &str) -> Result<u32, Fault> {
    // bubblewrap's bound.
    let number = tables::decimal(word).and_then(|n| i32::try_from(n).ok());
    number.map(i32::cast_unsigned).ok_or_else(|| {
        Fault::value(text, word).hint("an id is a decimal number of at most 2147483647")
    })
}

fn id_range(values: &[&[u8]]) -> Result<IdRange, Fault> {
    let (inside, outside) = (id(values[0], "Invalid id: ")?, id(values[1], "Invalid id: ")?);
    let count = id(values[2], "Invalid count: ")?;
    let fits = |start: u32| u64::from(start) + u64::from(count) <= 1 << 31;
    if count == 0 || !fits(inside) || !fits(outside) {
        return Err(Fault::value("Invalid count: ", values[2])
            .hint("a range holds at least one id and ends below 2147483648"));
    }
    Ok(IdRange { inside, outside, count })
}

fn user_limit(name: &[u8], value: &[u8]) -> Result<UserLimit, Fault> {
    let kind = tables::user_limit(name).ok_or_else(|| {
        Fault::value("--user-limit: unknown name ", name)
            .hint(format!("known are: {}", tables::USER_LIMITS.join(", ")))
    })?;
    let count = tables::decimal(value).and_then(|n| u32::try_from(n).ok());
    let count = count.filter(|&n| n <= tables::MAX_USER_LIMIT).ok_or_else(|| {
        Fault::value("--user-limit: invalid number ", value)
            .hint(format!("a limit is a decimal number of at most {}", tables::MAX_USER_LIMIT))
    })?;
    Ok(UserLimit { kind, count })
}

fn octal(word: &[u8], name: &str) -> Result<u32, Fault> {
    tables::number(word, 8).and_then(|n| u32::try_from(n).ok()).filter(|&n| n <= 0o7777).ok_or_else(
        || {
            Fault::new(format!("{name} takes an octal argument <= 07777"))
                .hint(format!("it was given \"{}\"", word.escape_ascii()))
        },
    )
}

/// A size in bytes of a tmpfs: at least 1 and at most what fits a file offset.
fn bytes(word: &[u8], name: &str) -> Result<u64, Fault> {
    let size = tables::c_number(word).filter(|&n| n > 0).ok_or_else(|| {
        Fault::new(format!("{name} takes a non-zero number of bytes"))
            .hint(format!("it was given \"{}\"", word.escape_ascii()))
    })?;
    if size > i64::MAX as u64 {
        return Err(Fault::new(format!("{name} (for tmpfs) is limited to {}", i64::MAX)));
    }
    Ok(size)
}

fn positive(word: &[u8], name: &str) -> Result<u64, Fault> {
    tables::decimal(word).filter(|&n| n > 0 && n <= i64::MAX as u64).ok_or_else(|| {
        Fault::new(format!("{name} takes a positive number"))
            .hint(format!("it was given \"{}\"", word.escape_ascii()))
    })
}

fn env_name(word: &[u8], text: &str) -> Result<Bytes, Fault> {
    if word.is_empty() || word.contains(&b'=') {
        return Err(Fault::new(text)
            .hint(format!("\"{}\" is no name of an environment variable", word.escape_ascii())));
    }
    Ok(word.to_vec())
}

fn capability(word: &[u8]) -> Result<u64, Fault> {
    tables::capability(word).ok_or_else(|| {
        Fault::value("unknown cap: ", word).hint(
            "a capability is ALL, a name such as CAP_NET_ADMIN (capabilities(7)), or a number",
        )
    })
}

fn limit(name: &[u8], value: &[u8]) -> Result<Limit, Fault> {
    let resource = tables::resource(name).ok_or_else(|| {
        Fault::value("--rlimit: unknown resource ", name)
            .hint(format!("known are: {}", tables::RESOURCES.join(", ")))
    })?;
    let mut parts = value.splitn(2, |&b| b == b':');
    let parse = |word: &[u8]| {
        if word == b"unlimited" {
            return Ok(None);
        }
        tables::decimal(word).filter(|&n| n != u64::MAX).map(Some).ok_or_else(|| {
            Fault::value("--rlimit: invalid value ", value)
                .hint("a value is SOFT or SOFT:HARD, each a number or \"unlimited\"")
        })
    };
    let soft = parse(parts.next().unwrap_or_default())?;
    let hard = parts.next().map_or(Ok(soft), parse)?;
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err(Fault::value("--rlimit: the soft limit is above the hard one: ", value));
    }
    Ok(Limit { resource, soft, hard })
}

fn kernel_version(word: &[u8]) -> Result<KernelVersion, Fault> {
    let mut parts = word.splitn(2, |&b| b == b'.');
    let mut part = || {
        let n = tables::decimal(parts.next().unwrap_or_default())?;
        u32::try_from(n).ok()
    };
    match (part(), part()) {
        (Some(major), Some(minor)) => Ok(KernelVersion { major, minor }),
        _ => Err(Fault::value("Invalid kernel version: ", word).hint("such as 5.4")),
    }
}
