//! What only the whole command line can tell: which options need or exclude each other.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::model::{
    BindSource, CapOp, EnvOp, FdNumber, FileOp, MAX_STAND_IN, Plan, StandIn, Step, UserNamespace,
};
use crate::serve::OVERFLOW_UID;
use crate::tables;

/// What the checks need to know of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Its real user id.
    pub uid: u32,
    /// Its real group id.
    pub gid: u32,
    /// Whether an optional user namespace can be made; asked only when root wants to try.
    pub user_namespaces: bool,
}

/// Whether a new user namespace is made for this plan.
pub fn makes_user_namespace(plan: &Plan, caller: Caller) -> bool {
    match plan.namespaces.user {
        UserNamespace::New => true,
        _ if caller.uid != 0 && plan.namespaces.join_user.is_none() => true,
        UserNamespace::Try => caller.user_namespaces,
        UserNamespace::Implied => false,
    }
}

/// Whether ids are mapped by newuidmap(1).
pub fn has_ranges(plan: &Plan) -> bool {
    !plan.uid_ranges.is_empty() || !plan.gid_ranges.is_empty()
}

/// Descriptors that options name for bwrap's own use: the command does not get them.
pub fn named_descriptors(plan: &Plan) -> Vec<FdNumber> {
    let (ns, life) = (&plan.namespaces, &plan.lifecycle);
    let single = [
        ns.join_user,
        ns.join_user_after,
        ns.join_pid,
        ns.join_net,
        ns.start_cgroup,
        life.block_fd,
        life.userns_block_fd,
        life.info_fd,
        life.json_status_fd,
        life.serve,
        plan.json_errors_fd,
        plan.listener.map(|l| l.filter),
        plan.listener.map(|l| l.socket),
    ];
    let files = plan.steps.iter().filter_map(|step| match step.op {
        FileOp::Bind { source: BindSource::Fd(fd), .. }
        | FileOp::File { fd, .. }
        | FileOp::BindData { fd, .. } => Some(fd),
        _ => None,
    });
    let filters = plan.filters.iter().map(|f| f.value);
    let sync = life.sync_fds.iter().copied().filter(|_| !life.as_pid_1);
    single.into_iter().flatten().chain(files).chain(filters).chain(sync).collect()
}

/// Checks the combination of options. The order of the checks is bubblewrap's.
///
/// # Errors
/// The text of the first rule that is broken.
pub fn check(plan: &Plan, caller: Caller) -> Result<(), &'static str> {
    let ns = &plan.namespaces;
    let life = &plan.lifecycle;
    let explicit = ns.user == UserNamespace::New;
    let user = makes_user_namespace(plan, caller) || ns.join_user.is_some();
    let rules = [
        (life.userns_block_fd.is_some() && !explicit, "--userns-block-fd requires --unshare-user"),
        (
            life.userns_block_fd.is_some() && life.info_fd.is_none(),
            "--userns-block-fd requires --info-fd",
        ),
        (ns.join_user.is_some() && explicit, "--userns is not compatible with --unshare-user"),
        (
            ns.join_user.is_some() && ns.user == UserNamespace::Try,
            "--userns is not compatible with --unshare-user-try",
        ),
        (ns.disable_user && !explicit, "--disable-userns requires --unshare-user"),
        (
            ns.disable_user && life.userns_block_fd.is_some(),
            "--disable-userns is not compatible with --userns-block-fd",
        ),
        (
            !user && plan.uid.is_some_and(|uid| uid != caller.uid),
            "Specifying --uid requires --unshare-user or --userns",
        ),
        (
            !user && plan.gid.is_some_and(|gid| gid != caller.gid),
            "Specifying --gid requires --unshare-user or --userns",
        ),
        (
            plan.quiet_errors && plan.json_errors_fd.is_none(),
            "--quiet-errors requires --json-errors",
        ),
        (plan.hostname.is_some() && !ns.uts, "Specifying --hostname requires --unshare-uts"),
        (life.as_pid_1 && !ns.pid, "Specifying --as-pid-1 requires --unshare-pid"),
        (
            life.as_pid_1 && !life.lock_files.is_empty(),
            "Specifying --as-pid-1 and --lock-file is not permitted",
        ),
        (plan.steps.iter().any(has_long_text), "--mask-text takes a text of at most 63 bytes"),
        (ns.net && ns.join_net.is_some(), "--netns is not compatible with --unshare-net"),
        (life.end_with_command && !ns.pid, "Specifying --end-with-command requires --unshare-pid"),
        (
            has_ranges(plan) && !makes_user_namespace(plan, caller),
            "--uid-range and --gid-range require --unshare-user",
        ),
        (
            has_ranges(plan) && life.userns_block_fd.is_some(),
            "--uid-range and --gid-range are not compatible with --userns-block-fd",
        ),
        (!life.keep_fds.is_empty() && !life.close_fds, "--keep-fd requires --close-fds"),
        (
            life.keep_fds.iter().any(|fd| named_descriptors(plan).contains(fd)),
            "--keep-fd is not compatible with another option for the same descriptor",
        ),
        (
            has_ranges(plan) && ns.disable_user,
            "--uid-range and --gid-range are not compatible with --disable-userns",
        ),
        (life.serve.is_some() && !ns.pid, "Specifying --serve requires --unshare-pid"),
        (
            life.as_pid_1 && life.serve.is_some(),
            "Specifying --as-pid-1 and --serve is not permitted",
        ),
        (
            life.serve.is_some() && !life.lock_files.is_empty(),
            "--serve is not compatible with --lock-file",
        ),
        (
            life.serve.is_some() && plan.uid.unwrap_or(caller.uid) == OVERFLOW_UID,
            "--serve is not possible as uid 65534, which stands for all unknown users",
        ),
        (plan.command.is_empty() && life.pty, "--pty requires a command"),
        (plan.command.is_empty() && life.end_with_command, "--end-with-command requires a command"),
        (
            !ns.user_limits.is_empty() && !makes_user_namespace(plan, caller),
            "--user-limit requires --unshare-user",
        ),
        (
            !ns.user_limits.is_empty() && (has_ranges(plan) || life.userns_block_fd.is_some()),
            "--user-limit is not compatible with --uid-range, --gid-range and --userns-block-fd",
        ),
        (ns.pid_max.is_some() && !ns.pid, "--pid-max requires --unshare-pid"),
        (
            ns.pid_max.is_some() && !makes_user_namespace(plan, caller),
            "--pid-max requires --unshare-user",
        ),
        (
            ns.disable_user && limits_user_namespaces(plan),
            "--user-limit max_user_namespaces is not compatible with --disable-userns",
        ),
        (
            life.as_pid_1 && plan.steps.iter().any(|s| matches!(s.op, FileOp::Mask { .. })),
            "Specifying --as-pid-1 and --mask is not permitted",
        ),
        (
            !plan.allowances.is_empty() && plan.handled_rights.is_empty(),
            "--landlock-allow requires --landlock-handle",
        ),
        (
            plan.allowances.iter().any(|a| !plan.handled_rights.contains(a.rights)),
            "--landlock-allow gives a right that no --landlock-handle names",
        ),
        (
            shares_listener_socket(plan),
            "--seccomp-listener is not compatible with another option for the same descriptor",
        ),
    ];
    match rules.iter().find(|(broken, _)| *broken) {
        Some((_, text)) => Err(text),
        None => Ok(()),
    }
}

/// Whether the socket that the listener goes over would be closed, read or kept for something else.
fn shares_listener_socket(plan: &Plan) -> bool {
    let Some(listener) = plan.listener else { return false };
    let named = named_descriptors(plan);
    named.iter().filter(|&&fd| fd == listener.socket).count() > 1
        || plan.lifecycle.sync_fds.contains(&listener.socket)
}

fn limits_user_namespaces(plan: &Plan) -> bool {
    let kind = tables::user_limit(b"max_user_namespaces");
    plan.namespaces.user_limits.iter().any(|limit| Some(limit.kind) == kind)
}

/// The capabilities that the command gets, from those that it starts with (none for an ordinary
/// user, the caller's for root).
pub fn capabilities(plan: &Plan, initial: u64) -> u64 {
    plan.caps.iter().fold(initial, |set, op| match op {
        CapOp::Add(mask) => set | mask,
        CapOp::Drop(mask) => set & !mask,
    })
}

/// The capabilities that can be given: without a user namespace of its own, no sandbox can have
/// what its caller lacks.
pub fn grantable(plan: &Plan, caller: Caller, initial: u64) -> u64 {
    let own = makes_user_namespace(plan, caller) || plan.namespaces.join_user.is_some();
    let wanted = capabilities(plan, initial);
    if own { wanted } else { wanted & initial }
}

/// The environment of the command, without PWD, from that of the caller: `NAME=value` strings.
///
/// What is cleared or replaced is never copied: it shall not linger in the memory of a process that
/// the command can look at.
pub fn environment<'a>(plan: &'a Plan, caller: &[&'a [u8]]) -> Vec<Cow<'a, [u8]>> {
    let mut env: Vec<Cow<'a, [u8]>> = caller.iter().map(|&s| Cow::Borrowed(s)).collect();
    for op in &plan.env {
        match op {
            EnvOp::Clear => env.clear(),
            EnvOp::Unset { name } => env.retain(|entry| !is_named(entry, name)),
            EnvOp::Set { name, value } => {
                let entry = Cow::Owned([name.as_slice(), b"=", value].concat());
                match env.iter_mut().find(|entry| is_named(entry, name)) {
                    Some(old) => *old = entry,
                    None => env.push(entry),
                }
            }
        }
    }
    env
}

/// The value of a variable in an environment.
pub fn variable<'a>(env: &'a [Cow<'_, [u8]>], name: &str) -> Option<&'a [u8]> {
    let entry = env.iter().find(|entry| is_named(entry, name.as_bytes()))?;
    entry.get(name.len() + 1..)
}

fn is_named(entry: &[u8], name: &[u8]) -> bool {
    entry.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='))
}

/// Whether a step's stand-in would be mistaken for a file of somebody's.
fn has_long_text(step: &Step) -> bool {
    matches!(&step.op, FileOp::Mask { stand_in: StandIn::Text(text), .. } if text.len() > MAX_STAND_IN)
}
