//! The user's files: the working directory, and what was asked for by name.

use super::build::Build;
use super::{Kind, Refusal, copied, globs, levels, protect, writes};
use crate::model::{Access, Declared, Intent, Source};
use crate::paths::{Asker, Verdict, judge_access};
use std::path::{Path, PathBuf};
use swathe_plan::model::{self as plan, FileOp, StandIn};
use swathe_plan::options::Opt;

/// Never shown as a whole, and not the working directory of a run: too much is below them.
const BROAD: &[&str] = &[
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/media",
    "/mnt",
    "/proc",
    "/root",
    "/run",
    "/run/user",
    "/srv",
    "/sys",
    "/tmp",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/tmp",
];

/// As many links as the kernel follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Below the home directory: programs keep credentials right there.
const PRIVATE: &[&str] = &[
    ".aws",
    ".azure",
    ".cache",
    ".config",
    ".docker",
    ".gcloud",
    ".gnupg",
    ".kube",
    ".local",
    ".local/share",
    ".local/state",
    ".mozilla",
    ".password-store",
    ".ssh",
    ".thunderbird",
];

/// Why a path cannot be had: with all its links followed, it may be another than the one that was
/// judged by its name.
fn refused(build: &Build<'_>, path: &Path, access: Access, declared: &Declared) -> Option<String> {
    // Only manifests give reasons.
    let asker = if declared.reason.is_some() { Asker::Manifest } else { Asker::User };
    match judge_access(path, access, asker, &build.host.places) {
        Verdict::Refuse(why) => Some(why),
        Verdict::Fine | Verdict::Warn(_) => None,
    }
}

/// Why a path is never shown as a whole.
pub(super) fn too_broad(path: &Path, host: &super::Host) -> Option<&'static str> {
    broad(path, &host.home, host.uid)
}

/// The same for a user's home directory and number.
pub(crate) fn broad(path: &Path, home: &Path, uid: u32) -> Option<&'static str> {
    let runtime = PathBuf::from(format!("/run/user/{uid}"));
    if home.starts_with(path) {
        return Some("it is, or holds, the home directory");
    }
    if BROAD.iter().any(|broad| Path::new(broad) == path) || runtime == path {
        return Some("it holds what belongs to the system and to other programs");
    }
    if PRIVATE.iter().any(|name| home.join(name) == path) {
        return Some("programs keep credentials there");
    }
    None
}

/// One directory or file to show, and how.
pub(super) struct Shown {
    pub path: PathBuf,
    pub access: Access,
    pub source: Source,
}

/// What is shown, from the outermost to the innermost.
pub(super) fn all(build: &mut Build<'_>) -> Result<Vec<Shown>, Refusal> {
    let mut shown: Vec<Shown> = Vec::new();
    let policy = build.policy;
    for declared in &policy.intents {
        match &declared.intent {
            Intent::FilesCwd(access) => shown.extend(cwd(build, *access, declared)?),
            Intent::FilesArgs(access) => arguments(build, *access, declared, &mut shown),
            Intent::FilesDir { path, access } => shown.push(named(build, path, *access, declared)?),
            _ => {}
        }
    }
    // What is below another comes after it, so that the most specific path wins; of the same path
    // the strictest, which is the first of the accesses.
    // What was asked for in words counts, not what is there for want of them.
    let asked: Vec<PathBuf> = shown
        .iter()
        .filter(|entry| entry.source != Source::Default)
        .map(|entry| entry.path.clone())
        .collect();
    shown.retain(|entry| entry.source != Source::Default || !asked.contains(&entry.path));
    shown.sort_by(|a, b| (&a.path, a.access).cmp(&(&b.path, b.access)));
    shown.dedup_by(|later, first| later.path == first.path);
    on_the_copy(&mut shown);
    Ok(shown)
}

/// What is shown for want of words is no hole in a directory that is changed on a copy: there, the
/// program may write to it.
fn on_the_copy(shown: &mut [Shown]) {
    for at in 1..shown.len() {
        let (outer, rest) = shown.split_at_mut(at);
        let Some(entry) = rest.first_mut().filter(|entry| entry.source == Source::Default) else {
            continue;
        };
        let above = outer.iter().rfind(|outer| entry.path.starts_with(&outer.path));
        if entry.access == Access::ReadOnly
            && above.is_some_and(|above| above.access == Access::CopyOnWrite)
        {
            entry.access = Access::CopyOnWrite;
        }
    }
}

pub(super) fn add(build: &mut Build<'_>) -> Result<(), Refusal> {
    let shown = all(build)?;
    for entry in &shown {
        if entry.access == Access::Ask {
            build.asks.push(entry.path.clone());
            continue;
        }
        if build.request.throwaway && entry.access != Access::Hide {
            thrown_away(build, entry);
            continue;
        }
        match entry.access {
            Access::Hide | Access::Ask => continue,
            Access::CopyOnWrite => {
                copied::add(build, entry, &shown)?;
                continue;
            }
            Access::ReadOnly => {
                build.bind(&entry.path, &entry.path, plan::Access::ReadOnly, &entry.source);
            }
            Access::ReadWrite => {
                build.bind(&entry.path, &entry.path, plan::Access::ReadWrite, &entry.source);
            }
            access @ (Access::Append | Access::NoDelete | Access::Trash) => {
                let (path, source) = (entry.path.clone(), entry.source.clone());
                build.asked_levels.push(levels::Asked { path, access, source });
                build.bind(&entry.path, &entry.path, plan::Access::ReadWrite, &entry.source);
            }
        }
        build.visible.push(entry.path.clone());
        build.shown.push(entry.path.clone());
        if writes(entry.access) && build.files.kind(&entry.path) == Some(Kind::Directory) {
            build.writable.push(entry.path.clone());
        }
    }
    // What is changed on a copy is looked at before it counts; what is thrown away never does.
    let throwaway = build.request.throwaway;
    let kept =
        |entry: &&Shown| writes(entry.access) && entry.access != Access::CopyOnWrite && !throwaway;
    for entry in shown.iter().filter(kept) {
        protect::add(build, &entry.path, &shown_below(&shown, &entry.path), &entry.source)?;
    }
    deciding(build);
    links(build);
    Ok(())
}

/// What is thrown away afterwards: nothing that is written reaches the host. A file in a directory
/// of the kind is seen there; one elsewhere has none that could be thrown away, and is only read.
fn thrown_away(build: &mut Build<'_>, entry: &Shown) {
    match build.files.kind(&entry.path) {
        Some(Kind::Directory) => build.overlay(&entry.path, &entry.source),
        Some(Kind::File) if build.is_visible(&entry.path) => {}
        _ => build.bind(&entry.path, &entry.path, plan::Access::ReadOnly, &entry.source),
    }
    build.visible.push(entry.path.clone());
    build.shown.push(entry.path.clone());
}

/// What was named by links of the host is there by that name, too.
fn links(build: &mut Build<'_>) {
    let policy = build.policy;
    for declared in &policy.intents {
        let Intent::FilesDir { path, access } = &declared.intent else { continue };
        if matches!(access, Access::Hide | Access::Ask) {
            continue;
        }
        lead(build, path);
    }
}

/// Makes the links on the way along a path that are not there: one in a directory that is shown is,
/// and leads where it does on the host.
pub(super) fn lead(build: &mut Build<'_>, path: &Path) {
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some((link, real)) = first_link(build, &at) else { break };
        let Some(parent) = link.parent() else { break };
        let target = if build.is_visible(parent) {
            let Some(target) = build.files.link(&link) else { break };
            from(parent, &target)
        } else {
            if !build.links.contains(&link) {
                build.symlink(&real, &link);
            }
            real
        };
        // Without a slash at the end, which would lead on through another link.
        let rest = at.strip_prefix(&link).ok().filter(|rest| !rest.as_os_str().is_empty());
        at = rest.map_or_else(|| target.clone(), |rest| target.join(rest));
    }
}

/// Where a link in this directory, which is reached through none, leads to.
fn from(directory: &Path, target: &Path) -> PathBuf {
    let mut from = directory.to_owned();
    let mut rest = target;
    while let Ok(below) = rest.strip_prefix("..") {
        from.pop();
        rest = below;
    }
    from.join(rest)
}

/// The first component of a path that is a link, and where it leads.
fn first_link(build: &Build<'_>, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let above: Vec<&Path> = path.ancestors().collect();
    let link = above.into_iter().rev().find(|at| build.files.kind(at) == Some(Kind::Link))?;
    Some((link.to_owned(), build.files.real(link)?))
}

/// What was asked for by name below a path; it is not protected there.
fn shown_below(shown: &[Shown], path: &Path) -> Vec<PathBuf> {
    let below = shown.iter().filter(|s| s.path != path && s.path.starts_with(path));
    below.map(|s| s.path.clone()).collect()
}

/// The working directory, or nothing with a note where it is too much to show.
fn cwd(
    build: &mut Build<'_>,
    access: Access,
    declared: &Declared,
) -> Result<Option<Shown>, Refusal> {
    let path = build.host.cwd.clone();
    let source = declared.source.clone();
    let broad = too_broad(&path, build.host).map(str::to_owned);
    match broad.or_else(|| refused(build, &path, access, declared)) {
        None => Ok(Some(Shown { path, access, source })),
        Some(why) if writes(access) => {
            let text = format!("{} cannot be made writable as a whole: {why}", path.display());
            let refusal = Refusal::new(text, &source).hint("start in a directory of the project");
            let home = access == Access::CopyOnWrite && path == build.host.home;
            let words = "--cow=~ in the place of --cow keeps changes of the home directory apart";
            Err(if home { refusal.hint(words) } else { refusal })
        }
        // It is shown as a whole, with what was asked for by name.
        Some(_) if is_copied(build, &path) => Ok(None),
        Some(why) => {
            build.note(format!(
                "{} is not shown: {why}; the run starts in an empty home",
                path.display()
            ));
            Ok(None)
        }
    }
}

/// Whether a directory was named to be changed on a copy.
fn is_copied(build: &Build<'_>, directory: &Path) -> bool {
    build.policy.intents.iter().any(|declared| match &declared.intent {
        Intent::FilesDir { path, access: Access::CopyOnWrite } => {
            build.files.real(path).as_deref() == Some(directory)
        }
        _ => false,
    })
}

/// The words of the command that name something of the user's: only what exists is shown.
fn arguments(build: &Build<'_>, access: Access, declared: &Declared, shown: &mut Vec<Shown>) {
    for word in build.request.command.iter().skip(1) {
        let path = build.host.cwd.join(word);
        let Some(real) = build.files.real(&path) else { continue };
        if too_broad(&real, build.host).is_none()
            && refused(build, &real, access, declared).is_none()
            && !build.is_visible(&real)
        {
            shown.push(Shown { path: real, access, source: declared.source.clone() });
        }
    }
}

fn named(
    build: &Build<'_>,
    path: &Path,
    access: Access,
    declared: &Declared,
) -> Result<Shown, Refusal> {
    let source = &declared.source;
    let Some(real) = build.files.real(path) else {
        return Err(Refusal::new(format!("{} does not exist", path.display()), source)
            .hint(format!("mkdir {} makes it", path.display())));
    };
    match refused(build, &real, access, declared) {
        Some(why) => Err(Refusal::new(format!("{}: {why}", real.display()), source)
            .hint("name the directories that are needed")),
        None => Ok(Shown { path: real, access, source: source.clone() }),
    }
}

/// What decides about the next run is not writable in this one, wherever it lies.
fn deciding(build: &mut Build<'_>) {
    let host = build.host;
    for path in &host.deciding {
        let Some(real) = build.files.real(path) else { continue };
        if build.writable.iter().any(|root| real.starts_with(root)) {
            build.bind(&real, &real, plan::Access::ReadOnly, &Source::Default);
        }
    }
}

/// Paths that were asked to be hidden; after everything that could show them.
pub(super) fn hidden(build: &mut Build<'_>) -> Result<(), Refusal> {
    if build.request.throwaway {
        for path in crate::paths::secrets(&build.host.places) {
            // What is not there would be made on the host.
            if build.files.kind(&path).is_some() {
                let op = FileOp::Mask { dest: super::boxed(&path), stand_in: StandIn::Unreadable };
                build.step(op, Opt::Mask, &Source::Default);
            }
        }
    }
    let policy = build.policy;
    for declared in &policy.intents {
        let path = match &declared.intent {
            Intent::FilesHide(path) | Intent::FilesDir { path, access: Access::Hide } => path,
            Intent::FilesHideGlob(glob) => {
                globs::hide(build, glob, &declared.source)?;
                continue;
            }
            _ => continue,
        };
        let op = FileOp::Mask { dest: super::boxed(path), stand_in: StandIn::Unreadable };
        build.step(op, Opt::Mask, &declared.source);
    }
    Ok(())
}
