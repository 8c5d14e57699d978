//! Why something was denied, and what would allow it.

use super::fix::Fix;
use super::group::Group;
use super::{Finding, Host, Run, changes, errno, hosts, number};
use crate::model::{Access, Intent};
use crate::paths::{Asker, Environment, Verdict, judge};
use crate::resolve::{Kind, OF_GIT, PROTECTIONS, ProtectedBase as Base};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use swathe_plan::filter::{ALL, Switch, When};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer};

/// Why, in one sentence without a full stop.
pub fn cause(event: &Event, object: &Bytes) -> String {
    let errno = number(event).unwrap_or(0);
    let text = match (event.layer, errno) {
        (Layer::Mount, errno::EROFS) => format!("{object} can only be read in the sandbox"),
        (Layer::Mount, errno::EACCES) => format!("{object} is hidden in the sandbox"),
        (Layer::Mount, _) => format!("{object} is not visible in the sandbox"),
        (Layer::Landlock, _) if object.0.starts_with(b"unix:@") => {
            "sockets by name of programs outside are out of reach".to_owned()
        }
        (Layer::Landlock, _) => format!("Landlock's rules do not allow it at {object}"),
        (Layer::Filter, _) => format!("the filter of system calls refuses {object}"),
        // The reason is a sentence of its own.
        (Layer::Network | Layer::Other, _) if event.reason.is_some() => {
            let reason = Bytes(event.reason.clone().unwrap_or_default().into_bytes());
            let by = if event.layer == Layer::Other { "not the sandbox: " } else { "" };
            return format!("{by}{reason}");
        }
        (Layer::Network, _) if object.0.is_empty() => {
            "names of hosts lead nowhere: the sandbox has no network".to_owned()
        }
        (Layer::Network, _) => {
            format!("{} cannot be reached: the sandbox has no network", hosts::shown(object))
        }
        (Layer::Limit, _) => format!("a limit of the run is reached at {object}"),
        (Layer::Level, errno::EDQUOT) => "the trash is full".to_owned(),
        (Layer::Level, _) => format!("the access that {object} was given does not include it"),
        (Layer::User, _) => {
            let object = hosts::shown(object);
            format!("{object} was asked about, and the answer was no, or there was none")
        }
        (Layer::Other, errno::EBUSY) if is_mount(event) => {
            format!("{object} is shown, hidden or protected by itself in the sandbox")
        }
        (Layer::Other, _) => {
            format!("not the sandbox: the file's own owner and mode forbid it at {object}")
        }
    };
    match &event.reason {
        Some(reason) => format!("{text} ({})", Bytes(reason.clone().into_bytes())),
        None => text,
    }
}

/// Whether what begins a mount of the sandbox was to be removed or renamed.
fn is_mount(event: &Event) -> bool {
    number(event) == Some(errno::EBUSY) && matches!(event.action, Action::Remove | Action::Rename)
}

/// Why nothing can allow it.
pub fn never(
    event: &Event,
    group: &Group<'_>,
    env: &Environment,
    host: &dyn Host,
) -> Option<String> {
    let text = group.object.to_string();
    match event.layer {
        Layer::Other if is_mount(event) => {
            let lifted = path_of(&group.object).and_then(|path| protection(path, env, host));
            let why = "what was named itself can only be removed or renamed where the directory \
                that holds it is named in its place";
            lifted.is_none().then(|| why.to_owned())
        }
        Layer::Other => Some("no option changes that".to_owned()),
        Layer::Network if event.rule.is_none() && event.reason.is_some() => Some(
            "no rule allows it: a rule that denies has to be taken out, and what is said to a host \
             has to be meant for it"
                .to_owned(),
        ),
        Layer::User if event.rule.is_some() => None,
        Layer::Mount if number(event) == Some(errno::EACCES) => {
            Some("what hides it (`files.hide`) would have to be taken out".to_owned())
        }
        Layer::Filter => (switch(&text).is_none()).then(|| {
            let why = ALL.iter().find(|rule| rule.calls.contains(&text.as_str()));
            let why = why.map_or("", |rule| rule.why);
            format!("no sandbox allows it: {why}").trim_end_matches([':', ' ']).to_owned()
        }),
        _ if text.starts_with("unix:@") => {
            Some("sockets by name are reached by no program inside".to_owned())
        }
        _ => match path_of(&group.object) {
            Some(path) if named(path).is_some() => None,
            Some(path) if DESKTOP.iter().any(|part| text.contains(part)) => {
                let _ = path;
                Some("needs the session bus/desktop proxy, which this version lacks".to_owned())
            }
            Some(path) => match judge(path, changes(group.last.action), Asker::User, env) {
                Verdict::Refuse(why) => Some(why),
                _ if std::str::from_utf8(path.as_os_str().as_bytes()).is_err() => {
                    Some("its name is not UTF-8: name a directory above it".to_owned())
                }
                _ => None,
            },
            None => None,
        },
    }
}

/// Sockets of the desktop.
const DESKTOP: [&str; 5] = ["/wayland-", ".X11-unix", "/pulse/", "/pipewire-", "/bus"];

/// What would allow it, the best first.
pub fn fixes(run: &Run, group: &Group<'_>, env: &Environment, host: &dyn Host) -> Vec<Fix> {
    let event = group.last;
    if never(event, group, env, host).is_some() {
        return Vec::new();
    }
    match event.layer {
        Layer::Network if run.online => Vec::new(),
        Layer::Network => hosts::fixes(run, event),
        Layer::User if event.rule.is_some() => hosts::fixes(run, event),
        Layer::Filter => {
            let intent = switch(&group.object.to_string());
            intent.map(Fix::Intent).into_iter().collect()
        }
        Layer::Limit => limit_of(number(event).unwrap_or(0)).into_iter().collect(),
        Layer::Level if number(event) == Some(errno::EDQUOT) => {
            vec![
                Fix::Command("swathe trash limits --size 64G --entries 4000000"),
                Fix::Command("swathe trash empty --all"),
            ]
        }
        Layer::Level => levels(group, env, host),
        Layer::Other => path_of(&group.object)
            .filter(|_| is_mount(event))
            .and_then(|path| protection(path, env, host))
            .map(Fix::Unprotect)
            .into_iter()
            .collect(),
        Layer::Mount | Layer::Landlock | Layer::User => files(group, env, host),
    }
}

/// The intent that opens a system call.
fn switch(call: &str) -> Option<Intent> {
    let rules = ALL.iter().filter(|rule| rule.calls.contains(&call));
    rules
        .filter_map(|rule| match rule.when {
            When::Without(switch) => Some(match switch {
                Switch::NestedSandbox => Intent::NestedSandbox,
                Switch::Ptrace => Intent::Ptrace,
                Switch::Bits32 => Intent::Bits32,
                Switch::Inet => Intent::NetLoopback,
            }),
            _ => None,
        })
        .next()
}

/// The path of what was denied; none for addresses that have none, and calls.
fn path_of(object: &Bytes) -> Option<&Path> {
    let bytes = object.0.strip_prefix(b"unix:").unwrap_or(&object.0);
    bytes.starts_with(b"/").then(|| Path::new(std::ffi::OsStr::from_bytes(bytes)))
}

/// Intents that have a word of their own for a path.
fn named(path: &Path) -> Option<Intent> {
    let text = path.to_str()?;
    let device = path.strip_prefix("/dev").ok().and_then(Path::to_str);
    if let Some(device) = device {
        let starts = |names: &[&str]| names.iter().any(|name| device.starts_with(name));
        return match device {
            _ if starts(&["dri", "nvidia", "kfd"]) => Some(Intent::Gpu),
            "kvm" => Some(Intent::Kvm),
            _ if starts(&["video", "media"]) => Some(Intent::Camera),
            _ if starts(&["bus/usb"]) => Some(Intent::Usb),
            _ if starts(&["input/js", "hidraw"]) => Some(Intent::Gamepad),
            _ => None,
        };
    }
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    match () {
        () if has(&["S.gpg-agent.ssh", "keyring/ssh", "/agent.", "ssh-agent"]) => {
            Some(Intent::SshAgent)
        }
        () if has(&["S.gpg-agent"]) => Some(Intent::GpgAgent),
        () if has(&["cups.sock"]) => Some(Intent::Print),
        () if has(&["/.fonts", "/.local/share/fonts", "/.config/fontconfig"]) => {
            Some(Intent::Fonts)
        }
        () if has(&["/.themes", "/.icons", "/.local/share/icons"]) => Some(Intent::Themes),
        () => None,
    }
}

/// What is not visible, or not writable.
fn files(group: &Group<'_>, env: &Environment, host: &dyn Host) -> Vec<Fix> {
    let Some(path) = path_of(&group.object) else { return Vec::new() };
    if let Some(intent) = named(path) {
        return vec![Fix::Intent(intent)];
    }
    // By a link of the host: shown by that name, the link is there, too.
    let action = group.last.action;
    let one = !group.many && !matches!(action, Action::Rename | Action::Create);
    let path = group.last.to.as_ref().filter(|_| one).and_then(path_of).unwrap_or(path);
    let write = changes(action);
    if write && let Some(names) = protection(path, env, host) {
        return vec![Fix::Unprotect(names)];
    }
    let access = if write { Access::ReadWrite } else { Access::ReadOnly };
    // The working directory is shown anyway, where that is possible.
    if write && path.starts_with(&env.cwd) && env.cwd != env.home {
        return vec![
            Fix::Intent(Intent::FilesCwd(Access::ReadWrite)),
            Fix::Intent(Intent::FilesCwd(Access::Trash)),
        ];
    }
    if let Some(repository) = repository(path, host)
        && !matches!(judge(repository, write, Asker::User, env), Verdict::Refuse(_))
    {
        return vec![Fix::Intent(Intent::FilesDir { path: repository.to_owned(), access })];
    }
    let contents = matches!(action, Action::Write | Action::Truncate) && !group.many;
    let file = contents && host.kind(path).is_some_and(|kind| kind != Kind::Directory);
    let allowed = || !matches!(judge(path, true, Asker::User, env), Verdict::Refuse(_));
    let alone = Fix::Intent(Intent::FilesDir { path: path.to_owned(), access });
    let alone = (file && allowed()).then_some(alone);
    // Programs that save by renaming need its directory.
    let around =
        directory(path, group.many, access, env, host).filter(|fix| Some(fix) != alone.as_ref());
    alone.into_iter().chain(around).collect()
}

/// The directory of the repository of git that a path is in, of which no part is of use by itself:
/// that of a linked worktree lies elsewhere, and submodules have theirs in it.
fn repository<'p>(path: &'p Path, host: &dyn Host) -> Option<&'p Path> {
    let is = |directory: &&Path| {
        directory.file_name().is_some_and(|name| name == ".git")
            && host.kind(&directory.join("HEAD")) == Some(Kind::File)
            && host.kind(&directory.join("objects")) == Some(Kind::Directory)
    };
    path.ancestors().filter(is).last()
}

/// The narrowest path that can be asked for: the file itself where it is only read; what holds it
/// where it has to be made, replaced or removed.
fn directory(
    path: &Path,
    many: bool,
    access: Access,
    env: &Environment,
    host: &dyn Host,
) -> Option<Fix> {
    let fits = |path: &Path| {
        !matches!(judge(path, access != Access::ReadOnly, Asker::User, env), Verdict::Refuse(_))
            && !is_private(path, env)
    };
    let intent = |path: PathBuf| Intent::FilesDir { path, access };
    let there = host.kind(path);
    if many || there.is_some() && (access == Access::ReadOnly || there == Some(Kind::Directory)) {
        return fits(path).then(|| Fix::Intent(intent(path.to_owned())));
    }
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let near = above.iter().find(|path| host.kind(path).is_some())?;
    if fits(near) {
        return Some(Fix::Intent(intent(near.to_path_buf())));
    }
    // The file alone, where its directory is too much.
    if there.is_some() {
        return fits(path).then(|| Fix::Intent(intent(path.to_owned())));
    }
    // A directory of its own, where one has to be made. What is made right in such a place, with a
    // name that is none of a file, mostly is one.
    let named = path.file_name().is_some_and(|name| !name.as_bytes().contains(&b'.'));
    let own = Some(path).filter(|_| named && access != Access::ReadOnly && **near != env.home);
    let ways = above.iter().rev().copied().chain(own);
    let below = ways.into_iter().find(|path| path.starts_with(near) && path != near)?;
    fits(below).then(|| Fix::Make(intent(below.to_path_buf())))
}

/// What an access that is finer than writable or not left out.
fn levels(group: &Group<'_>, env: &Environment, host: &dyn Host) -> Vec<Fix> {
    let Some(path) = path_of(&group.object) else { return Vec::new() };
    let names = matches!(group.last.action, Action::Remove | Action::Rename);
    // What keeps most of what the access was given for comes first.
    let accesses = [if names { Access::Trash } else { Access::NoDelete }, Access::ReadWrite];
    // The most specific path wins: a change of what lies above it changes nothing.
    let place = group.last.rule.as_deref().map(Path::new);
    let intent = |access| {
        if place.is_none_or(|place| place == env.cwd)
            && path.starts_with(&env.cwd)
            && env.cwd != env.home
        {
            return Some(Fix::Intent(Intent::FilesCwd(access)));
        }
        if let Some(place) = place {
            return directory(place, true, access, env, host);
        }
        let parent = if group.many { Some(path) } else { path.parent() };
        directory(parent?, true, access, env, host)
    };
    let truncates = matches!(group.last.action, Action::Truncate | Action::Write);
    let accesses = if truncates { [Access::Trash, Access::ReadWrite] } else { accesses };
    accesses.into_iter().filter_map(intent).collect()
}

/// Directories of the home that hold those of all programs: never asked for as a whole.
pub fn is_private(path: &Path, env: &Environment) -> bool {
    let own = [&env.config, &env.data, &env.cache, &env.state];
    own.iter().any(|own| own.as_path() == path)
        || [".local", ".config", ".cache"].iter().any(|name| env.home.join(name) == path)
        || env.home.starts_with(path)
}

/// The protections that keep a path from being written.
fn protection(path: &Path, env: &Environment, host: &dyn Host) -> Option<Vec<&'static str>> {
    let holds = |known: &&str| {
        let name = known.trim_end_matches('/');
        let parts: Vec<Component<'_>> = Path::new(name).components().collect();
        let whole: Vec<Component<'_>> = path.components().collect();
        whole.windows(parts.len()).any(|window| window == parts)
    };
    let found = PROTECTIONS.iter().find(|protection| match protection.base {
        Base::Writable => protection.paths.iter().any(holds),
        Base::Home => protection.paths.iter().any(|known| path.starts_with(env.home.join(known))),
    });
    let new = || {
        let mut above = path.ancestors().filter(|above| above.file_name() == Some(".git".as_ref()));
        above.any(|git| host.kind(git).is_none())
    };
    match found {
        Some(protection) => Some(vec![protection.name]),
        // Where there is no repository yet, what is protected in one keeps it from being made.
        None if new() => Some(OF_GIT.to_vec()),
        None => None,
    }
}

/// The limit behind an error.
fn limit_of(errno: i32) -> Option<Fix> {
    Some(match errno {
        errno::EMFILE | errno::ENFILE => Fix::Limit { name: "open-files", value: "65536" },
        errno::EAGAIN => Fix::Limit { name: "processes", value: "8192" },
        errno::ENOMEM => Fix::Limit { name: "memory", value: "8G" },
        errno::ENOSPC => Fix::Limit { name: "tmpfs", value: "8G" },
        errno::EDQUOT => Fix::Limit { name: "tmpfs-files", value: "4000000" },
        _ => return None,
    })
}

/// A limit that the run itself reports.
pub fn limit(name: &str) -> Option<Finding> {
    let (fix, purpose) = match name {
        "memory" => (limit_of(errno::ENOMEM), "use more memory"),
        "processes" => (limit_of(errno::EAGAIN), "start another process or thread"),
        "time" => (Some(Fix::Limit { name: "time", value: "12h" }), "run on"),
        "tmpfs" => (limit_of(errno::ENOSPC), "write to a temporary file system"),
        "tmpfs-files" => (limit_of(errno::EDQUOT), "make a file on a temporary file system"),
        "open-files" => (limit_of(errno::EMFILE), "open another file"),
        _ => return None,
    };
    let cause = format!("the run's limit of {name} was reached");
    Some(whole_run(Layer::Limit, purpose, cause, fix.into_iter().collect(), None, 110))
}

/// What only the exit status tells.
pub fn signal(run: &Run) -> Option<Finding> {
    const KILL: u8 = 128 + 9;
    const SYS: u8 = 128 + 31;
    match run.status? {
        SYS => Some(whole_run(
            Layer::Filter,
            "make a system call that the filter ends programs for",
            "it was ended by SIGSYS".to_owned(),
            vec![Fix::Intent(Intent::Bits32)],
            None,
            100,
        )),
        KILL if run.limits.is_empty() => Some(whole_run(
            Layer::Limit,
            "use more memory, if nobody else ended it",
            "it was ended by SIGKILL, as the kernel does where memory is short".to_owned(),
            limit_of(errno::ENOMEM).into_iter().collect(),
            None,
            60,
        )),
        _ => None,
    }
}

pub fn whole_run(
    layer: Layer,
    purpose: &str,
    cause: String,
    fixes: Vec<Fix>,
    never: Option<String>,
    weight: i32,
) -> Finding {
    Finding {
        action: Action::Call,
        object: Bytes::default(),
        layer,
        errno: None,
        error: None,
        count: 1,
        program: Bytes::default(),
        pid: 0,
        time: 0,
        purpose: purpose.to_owned(),
        cause,
        fixes,
        never,
        weight,
    }
}
