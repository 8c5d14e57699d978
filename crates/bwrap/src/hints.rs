//! The second line of a diagnostic: what asked, why it failed, what would help.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;
use swathe_exec::failure::{Failure, Stage};
use swathe_exec::report;
use swathe_host::files::{self, Path};
use swathe_host::view::{Seen, View};
use swathe_host::{machine, needs};
use swathe_plan::Plan;
use swathe_plan::check::{environment, variable};
use swathe_plan::model::{BindSource, Bytes, FileOp, FileRights, Origin};
use swathe_plan::options;
use swathe_sys::{Errno, entry};

/// An explanation; each part may be empty.
#[derive(Debug, Default)]
pub struct Hint {
    /// Why it failed.
    pub cause: String,
    /// What would help.
    pub fix: String,
}

impl Hint {
    fn new(cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { cause: cause.into(), fix: fix.into() }
    }
}

/// Words as a shell would take them, with what is not printable escaped.
pub fn shell_words(words: &[Bytes]) -> String {
    let quote = |word: &Bytes| {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./=:,+@%".contains(b);
        if !word.is_empty() && word.iter().all(plain) {
            return String::from_utf8_lossy(word).into_owned();
        }
        if word.iter().all(|b| (0x20..0x7f).contains(b) && *b != b'\'') {
            return format!("'{}'", String::from_utf8_lossy(word));
        }
        format!("$'{}'", word.escape_ascii())
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Where the words that asked for something stand.
pub fn place(origin: &Origin) -> String {
    match origin.args_fd {
        Some(fd) => format!("word {} of --args {fd}", origin.index),
        None => format!("argument {}", origin.index),
    }
}

fn show(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}

/// Explains a failure from the plan and from what the host looks like.
pub fn explain(plan: &Plan, failure: &Failure) -> Hint {
    // An error that no rule below asks for stands for "none".
    let errno = failure.error().unwrap_or(Errno::CANCELED);
    let op = report::step(plan, failure).map(|s| &s.op);
    if let Some(hint) = closed_descriptor(plan, failure) {
        return hint;
    }
    match failure.stage {
        Stage::Source | Stage::OverlaySource | Stage::OverlayWork => source(op, errno),
        Stage::SourceRace => Hint::new(
            "the path of the descriptor leads to another file now: it was replaced meanwhile",
            "nothing was mounted; try again, or find out who replaces it",
        ),
        Stage::Chmod if errno == Errno::ROFS => Hint::new(
            "it lies below a read-only mount",
            "change the mode on the host, or bind it writable",
        ),
        Stage::Parents | Stage::Create | Stage::DataFile | Stage::SymlinkMake
            if errno == Errno::ROFS =>
        {
            read_only(plan, failure)
        }
        Stage::SymlinkDest => Hint::new(
            "mounting on a symbolic link would mount wherever it leads",
            "name the place that the link leads to",
        ),
        Stage::NotDirectory | Stage::NotFile => Hint::new(
            "a directory can only be mounted on a directory, a file only on a file",
            "choose another destination, or put --tmpfs on its parent first",
        ),
        Stage::RemountReadOnly if errno == Errno::INVAL => Hint::new(
            "nothing is mounted exactly there",
            "use --ro-bind PATH PATH to make a part of a mount read-only",
        ),
        Stage::Proc => proc(errno),
        Stage::Mqueue => Hint::new(
            "a message queue file system belongs to an IPC namespace",
            "add --unshare-ipc",
        ),
        Stage::SeccompBlob => Hint::new(
            "a filter is 1 to 4096 instructions of 8 bytes each, as seccomp_export_bpf writes it",
            "check that the descriptor is at the start of the data, and that nothing else was written to it",
        ),
        Stage::Seccomp if errno == Errno::INVAL => seccomp(),
        Stage::UidMap | Stage::GidMap if errno == Errno::OVERFLOW => Hint::new(
            "the ids of the user namespace were not mapped when the set-up was let go on",
            "write /proc/CHILD/uid_map and gid_map before --userns-block-fd is answered",
        ),
        Stage::Clone
        | Stage::UidMap
        | Stage::GidMap
        | Stage::UnshareUser
        | Stage::Loopback
        | Stage::Slave
        | Stage::RootTmpfs => namespaces(failure.stage, errno),
        Stage::Map | Stage::MapTool => Hint::new(
            "ranges of ids are mapped by newuidmap and newgidmap (package uidmap), which allow what /etc/subuid and /etc/subgid delegate",
            "install the package, and delegate the range to this user",
        ),
        Stage::Landlock | Stage::LandlockKernel | Stage::LandlockPath => {
            landlock(failure.stage, errno)
        }
        Stage::ListenerSocket | Stage::Listener | Stage::ListenerSend | Stage::ListenerProbe => {
            listener(failure.stage, errno)
        }
        Stage::UserNotDisabled => Hint::new(
            "user namespaces can still be made in the sandbox",
            "add --unshare-user --disable-userns",
        ),
        Stage::CallerGone => Hint::new("--die-with-parent was given and the caller has ended", ""),
        Stage::Chdir => Hint::new(
            "that directory is not in the sandbox",
            "bind it, or choose one that is there",
        ),
        Stage::Exec => exec(plan, errno),
        Stage::Overlay => Hint::new(
            "overlayfs refused; the kernel log (dmesg) may say why",
            "in a user namespace an upper directory must be on a file system with user.* extended attributes, such as ext4, xfs, btrfs, or tmpfs of Linux 6.6",
        ),
        _ => Hint::default(),
    }
}

fn source(op: Option<&FileOp>, errno: Errno) -> Hint {
    let path = match op {
        Some(FileOp::Bind { source: BindSource::Path { path, .. }, .. }) => &path.0,
        _ => return Hint::default(),
    };
    if errno != Errno::NOENT {
        return Hint::default();
    }
    if let Some(target) = files::read_link(path) {
        return Hint::new(format!("it is a link to {}, which does not exist", show(&target)), "");
    }
    let mut nearest = files::parent(path);
    while !files::exists(nearest) && nearest != b"/" {
        nearest = files::parent(nearest);
    }
    let cause = if path.starts_with(b"/") {
        format!("{} exists, but nothing of that name in it", show(nearest))
    } else {
        "it does not exist in the working directory of bwrap".to_owned()
    };
    Hint::new(cause, "the -try form of the option leaves out what does not exist")
}

fn read_only(plan: &Plan, failure: &Failure) -> Hint {
    let view = View::new(plan);
    let Some(step) = report::step(plan, failure) else { return Hint::default() };
    let dest = view.place(&step.op.dest().0);
    let index = failure.op.unwrap_or(0) as usize;
    let covering = plan.steps[..index.min(plan.steps.len())]
        .iter()
        .enumerate()
        .rev()
        .find(|(i, _)| view.covers(*i, &dest));
    match covering {
        Some((_, by)) => Hint::new(
            format!(
                "it does not exist in what {} ({}) shows, and that cannot be written",
                place(&by.origin),
                shell_words(&swathe_plan::render::operation(&by.op))
            ),
            "create it on the host first, or put --tmpfs on its parent before it",
        ),
        None => Hint::new("it lies below a read-only mount", "create it on the host first"),
    }
}

fn proc(errno: Errno) -> Hint {
    if !matches!(errno, Errno::PERM | Errno::ACCESS) {
        return Hint::default();
    }
    let place = machine::container()
        .map_or("here".to_owned(), |kind| format!("in this container ({kind})"));
    Hint::new(
        format!(
            "parts of /proc are covered {place}, and the kernel allows a new procfs only where nothing is hidden"
        ),
        "use --ro-bind /proc /proc, or start the container with --security-opt systempaths=unconfined",
    )
}

fn seccomp() -> Hint {
    if machine::has_seccomp() {
        Hint::new(
            "this kernel has seccomp filters: the program itself is malformed (an unknown instruction, a jump out of it, or no return at its end)",
            "export it again, for the architecture of this machine",
        )
    } else {
        Hint::new("this kernel has no seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER")
    }
}

fn landlock(stage: Stage, errno: Errno) -> Hint {
    match (stage, errno) {
        (Stage::LandlockPath, Errno::NOENT) => {
            Hint::new("nothing of that name is in the sandbox", "bind it, or leave the option out")
        }
        (Stage::LandlockPath, _) => Hint::new(
            "it is looked up with the rights of the command, and has to be a file with a path",
            "",
        ),
        (Stage::LandlockKernel, _) => Hint::new(
            "what cannot be enforced is not tried",
            "leave the right out, use a newer kernel, or enable Landlock (lsm=...,landlock)",
        ),
        (_, Errno::TOOBIG) => Hint::new("16 domains are nested already", "nest fewer sandboxes"),
        _ => Hint::new(
            "scopes need Linux 6.12 with Landlock enabled",
            "leave the option out, or enable Landlock (lsm=...,landlock)",
        ),
    }
}

fn listener(stage: Stage, errno: Errno) -> Hint {
    match (stage, errno) {
        (Stage::ListenerSocket, _) => Hint::new(
            "the listener is sent over it to whoever answers what the filter traps",
            "use one end of socketpair(2)",
        ),
        (Stage::Listener, Errno::BUSY) => Hint::new(
            "the kernel allows one listener for all filters of a process: another sandbox or a container around this one has it",
            "use one level of them with a listener only",
        ),
        (Stage::Listener, Errno::INVAL) => Hint::new(
            "the program is malformed, or the kernel is older than Linux 5.0",
            "export it again, for the architecture of this machine",
        ),
        (Stage::Listener, Errno::MFILE) => Hint::new(
            "the limit of descriptors leaves no room for the listener",
            "raise --rlimit nofile",
        ),
        (Stage::Listener, _) => {
            Hint::new("a filter loaded before, or one of a container, may forbid seccomp(2)", "")
        }
        (Stage::ListenerSend, _) => Hint::new(
            "whoever was to listen has closed its end, or a filter forbids sendmsg(2)",
            "keep the other end open and receive from it",
        ),
        (_, Errno::NOSYS) => Hint::new(
            "whoever was to listen has closed the listener, or never received it",
            "receive it, and answer until the sandbox has ended",
        ),
        _ => Hint::new(
            "the test call is prctl(0x53574154, 0, 0, 0, 0): the filter has to trap it (SECCOMP_RET_USER_NOTIF), and who listens to answer it with the value 1 and no error, not to let it go on",
            "",
        ),
    }
}

fn namespaces(stage: Stage, errno: Errno) -> Hint {
    if errno == Errno::NOSPC || errno == Errno::USERS {
        return Hint::new(
            "a limit of namespaces is reached: too many, or nested too deeply",
            "see /proc/sys/user/max_*_namespaces; user namespaces nest 32 deep at most",
        );
    }
    if !matches!(errno, Errno::PERM | Errno::ACCESS | Errno::INVAL) {
        return Hint::default();
    }
    match machine::user_namespace_obstacles().into_iter().next() {
        Some(found) => Hint::new(found.cause, found.fix),
        None if stage == Stage::Clone && errno == Errno::INVAL => {
            Hint::new("the kernel lacks one of the kinds of namespaces asked for", "")
        }
        None => Hint::new(
            "",
            "a security module or a surrounding sandbox may forbid it; see the kernel log",
        ),
    }
}

/// A descriptor that was closed before anything began.
fn closed_descriptor(plan: &Plan, failure: &Failure) -> Option<Hint> {
    let number = failure.detail.cast_signed();
    let stages = [
        Stage::Descriptor,
        Stage::JoinUser,
        Stage::JoinUserAfter,
        Stage::JoinPid,
        Stage::JoinNet,
        Stage::WriteInfo,
        Stage::SeccompData,
        Stage::CopyData,
        Stage::Source,
    ];
    let closed = swathe_sys::process::borrow_fd(number).is_err();
    let option = descriptor_option(plan, number)?;
    if !stages.contains(&failure.stage) || !closed {
        return None;
    }
    Some(Hint::new(
        format!("{option} names a descriptor that is not open"),
        "open it in the caller and let it be inherited (no close-on-exec)",
    ))
}

/// bubblewrap names the target of a link that stands in the way of another.
pub fn existing_link(plan: &Plan, failure: &Failure) -> Option<Bytes> {
    if failure.stage != Stage::SymlinkTarget {
        return None;
    }
    let index = failure.op? as usize;
    let dest = &plan.steps.get(index)?.op.dest().0;
    let mut before = plan.clone();
    before.steps.truncate(index);
    let target = View::new(&before).link(dest)?;
    Some([b"Can't make symlink at ", &dest[..], b": existing destination is ", &target].concat())
}

/// Explains a rule on combinations.
pub fn rule(text: &str) -> Hint {
    let fix = match text {
        t if t.contains("--hostname requires") => "add --unshare-uts",
        t if t.contains("--as-pid-1 requires") => "add --unshare-pid",
        t if t.contains("--end-with-command requires") => "add --unshare-pid",
        t if t.contains("--lock-file") => "leave out --as-pid-1: pid 1 has to hold the lock",
        t if t.contains("--disable-userns requires") => "add --unshare-user",
        t if t.contains("--uid requires") || t.contains("--gid requires") => "add --unshare-user",
        t if t.contains("requires --info-fd") => "add --info-fd: who writes the maps needs the pid",
        t if t.contains("requires --unshare-user") || t.contains("require --unshare-user") => {
            "add --unshare-user"
        }
        t if t.contains("not compatible") => "leave out one of the two",
        t if t.contains("--keep-fd requires") => "add --close-fds",
        t if t.contains("--landlock-allow") => "name the right in --landlock-handle, too",
        t if t.contains("labeling") => {
            "this kernel does not run SELinux: leave out --exec-label and --file-label"
        }
        _ => "",
    };
    Hint::new("", fix)
}

/// The option that names a descriptor.
fn descriptor_option(plan: &Plan, number: i32) -> Option<String> {
    let words = swathe_plan::render::render(plan);
    let text = number.to_string();
    let names = |at: usize, word: &Bytes| {
        let Some(spec) = options::find(word) else { return false };
        let values = words.iter().skip(at + 1);
        let mut pairs = spec.arguments.iter().zip(values);
        pairs.any(|(a, value)| a.kind == options::Kind::Fd && value == text.as_bytes())
    };
    let found = words.iter().enumerate().find(|(at, word)| names(*at, word));
    found.map(|(_, word)| format!("{} {number}", show(word)))
}

/// The files that the command may mean, as paths of the sandbox.
fn candidates(plan: &Plan) -> Vec<Path> {
    let name = plan.command.first().map_or(&[][..], Vec::as_slice);
    if name.contains(&b'/') {
        return alloc::vec![name.to_vec()];
    }
    let env = entry::env();
    let env: Vec<&[u8]> = env.iter().map(|e| e.to_bytes()).collect();
    let env = environment(plan, &env);
    let path = variable(&env, "PATH").unwrap_or(b"/bin:/usr/bin");
    path.split(|&b| b == b':').map(|dir| files::join(dir, name)).collect()
}

fn exec(plan: &Plan, errno: Errno) -> Hint {
    let name = show(plan.command.first().map_or(&[][..], Vec::as_slice));
    if name.is_empty() {
        return Hint::new("the command is an empty word", "");
    }
    let view = View::new(plan);
    let all = candidates(plan);
    let inside = all.iter().find_map(|p| match view.look(p) {
        Seen::Host(file) => Some((p, file)),
        _ => None,
    });
    let Some((path, file)) = inside else {
        return not_inside(&name, &all);
    };
    let taken = FileRights::EXECUTE | FileRights::READ_FILE;
    if errno == Errno::ACCESS && !(plan.handled_rights & taken).is_empty() {
        return Hint::new(
            format!("{} or its loader may lack a right that --landlock-handle takes", show(path)),
            "add --landlock-allow execute,read-file for the program, its loader and libraries",
        );
    }
    if errno == Errno::ACCESS {
        return Hint::new(
            format!("{} is no executable file for this user, or its mount is noexec", show(path)),
            "",
        );
    }
    let Some(needs) = needs::of(&file) else { return Hint::default() };
    let Some(interpreter) = needs.interpreter else { return Hint::default() };
    match view.look(&interpreter) {
        Seen::Missing(_) => {
            let what = if needs.libraries.is_empty() { "interpreter" } else { "loader" };
            let cause = format!(
                "{} is there, but its {what} {} is not in the sandbox",
                show(path),
                show(&interpreter)
            );
            Hint::new(cause, add(&interpreter))
        }
        _ => Hint::default(),
    }
}

fn not_inside(name: &str, all: &[Path]) -> Hint {
    match all.iter().find(|p| files::is_file(p)) {
        Some(host) => Hint::new(
            format!("{} exists on the host, but is not in the sandbox", show(host)),
            add(host),
        ),
        None => Hint::new(format!("there is no {name} on the host either"), ""),
    }
}

/// The options that would show a path of the host.
fn add(path: &[u8]) -> String {
    if !files::exists(path) {
        return "it does not exist on the host either".to_owned();
    }
    let Some(first) = files::components(path).next() else { return String::new() };
    let top = files::join(b"/", first);
    // Where /usr is merged, /bin, /lib and so on are links into it.
    if let Some(target) = files::read_link(&top) {
        return format!("add --ro-bind /usr /usr --symlink {} {}", show(&target), show(&top));
    }
    if top == b"/usr" {
        return "add --ro-bind /usr /usr".to_owned();
    }
    format!("add --ro-bind {0} {0}", show(path))
}

/// Explains a command that ended as loaders do when a library is missing (exit status 127).
pub fn missing_library(plan: &Plan) -> Option<Hint> {
    // A bound on what a strange file can make us read.
    const MOST: usize = 100;
    let view = View::new(plan);
    // Only files that the command cannot have changed: it has run, and this is outside its limits.
    let file = candidates(plan).iter().find_map(|p| view.look_fixed(p))?;
    let mut seen: Vec<String> = Vec::new();
    let mut left = alloc::vec![file];
    while let Some(file) = left.pop().filter(|_| seen.len() < MOST) {
        let Some(needs) = needs::of(&file) else { continue };
        let origin = String::from_utf8_lossy(files::parent(&file)).into_owned();
        let own = needs.search.iter().map(|d| d.replace("$ORIGIN", &origin));
        let dirs: Vec<String> =
            own.chain(needs::LIBRARY_DIRS.iter().map(|d| (*d).to_owned())).collect();
        for library in needs.libraries {
            if seen.contains(&library) {
                continue;
            }
            let at = |dir: &String| files::join(dir.as_bytes(), library.as_bytes());
            let inside = dirs.iter().find_map(|dir| match view.look(&at(dir)) {
                Seen::Host(found) => Some(found),
                _ => None,
            });
            match (inside, dirs.iter().map(at).find(|p| files::exists(p))) {
                (Some(_), _) => left.extend(dirs.iter().find_map(|dir| view.look_fixed(&at(dir)))),
                (None, Some(host)) => {
                    let cause = format!(
                        "{} needs the library {}, which the host has as {} and the sandbox does not",
                        show(&file),
                        show(library.as_bytes()),
                        show(&host)
                    );
                    return Some(Hint::new(cause, add(&host)));
                }
                (None, None) => {}
            }
            seen.push(library);
        }
    }
    None
}
