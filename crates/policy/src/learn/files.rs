//! Paths that a run used or was denied: what is shown anyway, what a line is needed for, and what is
//! left to a person.

use super::lines::{self, Use};
use super::services::{is_service, socket_path};
use super::touch::{Touch, Touched, extend};
use super::{Class, Evidence, Grade, Learned, Place};
use crate::model::{Access, Intent};
use crate::paths::{Asker, Verdict, judge};
use crate::resolve::files::broad;
use crate::resolve::{Kind, OF_GIT, PROTECTIONS, ProtectedBase};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;

/// Changes of a directory's names.
const NAMES: [Action; 4] = [Action::Create, Action::Remove, Action::Rename, Action::Bind];
/// Changes of a file.
const CONTENTS: [Action; 3] = [Action::Write, Action::Truncate, Action::Metadata];
/// What is more than a look at attributes.
const READS: [Action; 3] = [Action::Read, Action::Execute, Action::Connect];

/// The most that is read of git's settings.
const MAX_CONFIG: usize = 256 << 10;

/// Why a path gets no line in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// In words.
    pub why: String,
    /// Whether a person can have it by a line.
    pub possible: bool,
}

/// A path that gets no line in force.
#[derive(Debug, Clone)]
pub struct Left {
    pub class: Class,
    pub access: Access,
    pub refused: Option<Refused>,
    pub evidence: Evidence,
}

/// What was found out about a run's paths.
pub struct Found<'t, 'p> {
    pub place: &'p Place<'p>,
    touched: &'t Touched,
    /// Directories that programs listed.
    listed: BTreeSet<&'t Path>,
    /// Names of what was used that lead to it through links which no run sees.
    names: BTreeMap<&'t Path, Vec<&'t Path>>,
    /// What lines are needed for.
    pub uses: Vec<Use<'t>>,
    /// What was left to a person.
    pub left: BTreeMap<PathBuf, Left>,
    /// Access to the working directory, more than reading.
    pub cwd: Option<(Access, Evidence)>,
    /// The same, where it was denied.
    pub cwd_denied: Option<(Access, Evidence)>,
    /// Protected paths that were changed.
    pub protected: BTreeMap<&'static str, Evidence>,
}

/// Adds lines for paths.
pub fn add(touched: &Touched, place: &Place<'_>, learned: &mut Learned) {
    let listed = touched.used.iter().filter(|(_, touch)| touch.did(&[Action::Read]));
    let mut found = Found {
        place,
        touched,
        listed: listed.map(|(path, _)| path.as_path()).collect(),
        names: BTreeMap::new(),
        uses: Vec::new(),
        left: BTreeMap::new(),
        cwd: None,
        cwd_denied: None,
        protected: BTreeMap::new(),
    };
    let sockets: Vec<(PathBuf, &Touch)> = touched
        .reached
        .iter()
        .filter_map(|(object, touch)| Some((socket_path(object)?, touch)))
        .collect();
    for (name, object) in &touched.names {
        if found.is_of_links(name) {
            found.names.entry(object).or_default().push(name);
        }
    }
    for (path, touch) in &touched.used {
        found.used(path, touch);
    }
    for (path, touch) in &sockets {
        found.socket(path, touch);
    }
    for (path, touch) in &touched.denied {
        found.denied(path, touch);
    }
    lines::add(found, learned);
}

/// The least access that permits what was done.
fn access(touch: &Touch, strict: bool) -> Access {
    let least = |action: &Action| match action {
        Action::Stat | Action::Read | Action::Execute | Action::Connect => Access::ReadOnly,
        Action::Call | Action::Exceed => Access::ReadOnly,
        _ if !strict => Access::ReadWrite,
        Action::Create | Action::Bind | Action::Metadata => Access::Append,
        Action::Write => Access::NoDelete,
        Action::Remove | Action::Rename | Action::Truncate => Access::ReadWrite,
    };
    touch.actions.iter().map(least).max().unwrap_or(Access::ReadOnly)
}

impl<'t> Found<'t, '_> {
    fn used(&mut self, path: &Path, touch: &'t Touch) {
        if is_service(path, self.place) {
            return;
        }
        let level = access(touch, self.place.strict);
        if path.starts_with(&self.place.env.cwd) && self.cwd_is_shown() {
            if level > Access::ReadOnly {
                self.changed_below_cwd(path, touch, level);
            }
            return;
        }
        if let Some(top) = self.topmost_made(path) {
            if level > Access::ReadOnly
                && let Some(parent) = top.parent()
            {
                self.names_changed(parent.to_owned(), path, touch, level);
            }
            return;
        }
        if *path == self.place.env.home && touch.did(&[Action::Read]) {
            // Files that are opened from there are not told apart while recording.
            let why =
                "it is the whole home directory, and what was read from there is not recorded";
            let refused = Refused { why: why.to_owned(), possible: false };
            self.leave(path, Access::ReadOnly, refused, touch, Class::Withheld);
            return;
        }
        let mut seen = touch.did(&READS);
        if touch.did(&NAMES) {
            let Some(parent) = path.parent() else { return };
            self.names_changed(parent.to_owned(), path, touch, level);
            // A file that is mounted by itself cannot be replaced: the program makes its own.
            if seen && self.permitted(parent, level).is_err() {
                self.begins_anew(path, parent, touch);
                seen = false;
            }
        }
        if seen || touch.did(&CONTENTS) && !touch.did(&NAMES) || self.only_looked_at(path, touch) {
            let names = self.names.get(path).cloned().unwrap_or_default();
            for name in &names {
                // Shown by this name, what it leads to is shown as well.
                self.uses.push(Use::by(name, level, path, touch));
            }
            if names.is_empty() || self.touched.direct.contains(path) {
                self.wanted(path, touch, level);
            }
        }
    }

    /// Whether a name leads somewhere else through links of the user's that no run sees, and can be
    /// asked for.
    fn is_of_links(&self, name: &Path) -> bool {
        let shown = name.starts_with(&self.place.env.cwd) && self.cwd_is_shown();
        name.starts_with(&self.place.env.home)
            && !shown
            && self.topmost_made(name).is_none()
            && !is_service(name, self.place)
            && self.needs_line(name, Access::ReadOnly)
            && self.permitted(name, Access::ReadOnly).is_ok()
    }

    /// Whether a line about a directory serves for a path below: not where a name of it leads out
    /// of the directory.
    pub fn holds(&self, above: &Path, path: &Path) -> bool {
        if !self.touched.names.contains_key(path) {
            return true;
        }
        let files = self.place.files;
        match (files.real(above), files.real(path)) {
            (Some(above), Some(path)) => path.starts_with(above),
            _ => true,
        }
    }

    /// Whether the attributes of one file were asked for, and not those of all in its directory.
    fn only_looked_at(&self, path: &Path, touch: &Touch) -> bool {
        touch.actions.iter().all(|action| *action == Action::Stat)
            && self.place.files.kind(path) == Some(Kind::File)
            && path.parent().is_some_and(|parent| !self.listed.contains(parent))
    }

    fn socket(&mut self, path: &Path, touch: &'t Touch) {
        // Who binds makes a name.
        if touch.did(&[Action::Bind]) {
            return self.used(path, touch);
        }
        // Read-only is enough to connect.
        if !is_service(path, self.place)
            && self.topmost_made(path).is_none()
            && self.place.files.kind(path) == Some(Kind::Other)
            && self.needs_line(path, Access::ReadOnly)
        {
            self.want(path.to_owned(), Access::ReadOnly, path.to_owned(), touch);
        }
    }

    /// Whether the working directory is shown without being asked for.
    fn cwd_is_shown(&self) -> bool {
        matches!(self.place.base.at(&self.place.env.cwd), Some(Grade::Host(_)))
    }

    fn topmost_made(&self, path: &Path) -> Option<PathBuf> {
        let above: Vec<&Path> = path.ancestors().collect();
        above.into_iter().rev().find(|p| self.touched.made.contains(*p)).map(Path::to_owned)
    }

    fn changed_below_cwd(&mut self, path: &Path, touch: &Touch, level: Access) {
        let object = Bytes::from(path);
        let protections = self.protections(path);
        if !protections.is_empty() {
            for name in protections {
                extend(self.protected.entry(name).or_default(), &object, touch);
            }
            return;
        }
        let (most, evidence) = self.cwd.get_or_insert((level, Evidence::default()));
        *most = level.max(*most);
        extend(evidence, &object, touch);
    }

    /// The protections that a change below the working directory would run into.
    fn protections(&self, path: &Path) -> Vec<&'static str> {
        let env = self.place.env;
        let Ok(below) = path.strip_prefix(&env.cwd) else { return Vec::new() };
        let was_there = |path: &Path| self.place.files.kind(path).is_some();
        let found = PROTECTIONS.iter().find(|protection| {
            protection.paths.iter().any(|name| match protection.base {
                ProtectedBase::Home => path.starts_with(env.home.join(name)),
                ProtectedBase::Writable if name.starts_with(".git/") => {
                    // In each repository that was there.
                    below.ancestors().any(|above| {
                        let root = env.cwd.join(above);
                        path.starts_with(root.join(name)) && was_there(&root.join(".git"))
                    })
                }
                ProtectedBase::Writable => below.starts_with(name),
            })
        });
        // The repository of the working directory, which is not there yet, cannot be made.
        let new = || below.starts_with(".git") && !was_there(&env.cwd.join(".git"));
        match found {
            Some(protection) => vec![protection.name],
            None if new() => OF_GIT.to_vec(),
            None => Vec::new(),
        }
    }

    /// Names in a directory were changed.
    fn names_changed(&mut self, parent: PathBuf, path: &Path, touch: &'t Touch, level: Access) {
        let there = self.place.files.kind(&parent) == Some(Kind::Directory);
        let home = parent.starts_with(&self.place.env.home);
        match self.place.base.at(&parent) {
            Some(Grade::Private) | Some(Grade::Frame) if !home && !self.was_given(&parent) => {}
            Some(Grade::Private | Grade::Frame) | None => {
                let permitted = self.permitted(&parent, level);
                match permitted {
                    Ok(()) if there => self.want(parent, level, path.to_owned(), touch),
                    // The empty home takes it, and forgets it.
                    _ if home && self.is_in_empty_home(&parent) => {}
                    Err(mut refused) if there => {
                        if let Some(own) = self.made_below(&parent, path).filter(|_| home) {
                            let own = Bytes::from(own.as_path());
                            refused.why += &format!(
                                "; a run begins without it: after `mkdir -p {own}`, a line for that \
                                 would do"
                            );
                        }
                        let path = if home { parent.as_path() } else { path };
                        self.leave(path, level, refused, touch, Class::Withheld)
                    }
                    _ => {}
                }
            }
            Some(Grade::Host(shown)) if shown < level => {
                self.cannot_write(path, level, touch, Class::Withheld);
            }
            Some(_) => {}
        }
    }

    /// The directory right in another one that was made, with something in it.
    fn made_below(&self, parent: &Path, path: &Path) -> Option<PathBuf> {
        let own = parent.join(path.strip_prefix(parent).ok()?.components().next()?);
        let made = &self.touched.made;
        let below = made.range(own.clone()..).take_while(|path| path.starts_with(&own));
        (made.contains(&own) && below.count() > 1).then_some(own)
    }

    /// Whether a directory that is in the home now is there in an empty one as well: a program that
    /// makes it does so again.
    fn is_in_empty_home(&self, directory: &Path) -> bool {
        let makes = |touch: &Touch| touch.did(&[Action::Create]);
        directory == self.place.env.home
            || self.place.files.kind(directory).is_none()
            || self.touched.used.get(directory).is_some_and(makes)
    }

    /// A file of the home directory that was there was read, and replaced or removed.
    fn begins_anew(&mut self, path: &Path, parent: &Path, touch: &Touch) {
        let was_there = self.place.files.kind(path) == Some(Kind::File);
        if was_there && path.starts_with(&self.place.env.home) && self.is_in_empty_home(parent) {
            let why = "it was there and was read, and a run begins without it: a file that is \
                shown by itself cannot be replaced or removed";
            let refused = Refused { why: why.to_owned(), possible: false };
            self.leave(path, Access::ReadOnly, refused, touch, Class::Withheld);
        }
    }

    /// A file or directory was used as it is.
    fn wanted(&mut self, path: &Path, touch: &'t Touch, level: Access) {
        match self.place.base.at(path) {
            Some(Grade::Host(shown)) if shown < level => {
                self.cannot_write(path, level, touch, Class::Withheld);
            }
            _ if is_of_git(path, self.place) => self.settings(path, touch),
            _ if !self.needs_line(path, level) => {}
            _ => self.want(path.to_owned(), level, path.to_owned(), touch),
        }
    }

    /// Git's own settings were read. A run has some made from the name and the address in them.
    fn settings(&mut self, path: &Path, touch: &Touch) {
        if self.place.files.read(path, MAX_CONFIG).is_some_and(|text| !is_identity(&text)) {
            let why = "a run has a file of its own there, with nothing but the name and the \
                address of this one; the rest can hold credentials, and names programs to run";
            let refused = Refused { why: why.to_owned(), possible: true };
            self.leave(path, Access::ReadOnly, refused, touch, Class::Withheld);
        }
    }

    /// Whether a file of the host is not seen by a run without intents.
    fn needs_line(&self, path: &Path, level: Access) -> bool {
        let env = self.place.env;
        let home = path.starts_with(&env.home);
        if is_of_git(path, self.place) {
            return false;
        }
        match self.place.base.at(path) {
            Some(Grade::Host(shown)) => shown < level,
            Some(Grade::Made | Grade::Kernel | Grade::Frame) => false,
            Some(Grade::Private) if !home && !self.was_given(path) => false,
            Some(Grade::Private | Grade::Covered) | None => {
                path != env.home && self.place.files.kind(path).is_some()
            }
        }
    }

    /// Whether a directory was shown while recording that no run sees otherwise.
    fn was_given(&self, path: &Path) -> bool {
        self.place.given.iter().any(|intent| match intent {
            Intent::FilesDir { path: given, .. } => path.starts_with(given),
            _ => false,
        })
    }

    fn want(&mut self, path: PathBuf, access: Access, object: PathBuf, touch: &'t Touch) {
        let path = self.app_directory(&path, access).unwrap_or(path);
        match self.permitted(&path, access) {
            Ok(()) => self.uses.push(Use { want: path, access, object, touch }),
            Err(refused) => {
                let above = path.parent().filter(|_| !is_writable_text(&path));
                match above.filter(|above| self.permitted(above, access).is_ok()) {
                    Some(above) => {
                        self.uses.push(Use { want: above.to_owned(), access, object, touch });
                    }
                    None => self.leave(&path, access, refused, touch, Class::Withheld),
                }
            }
        }
    }

    /// The directory that one program has for itself: `~/.cache/NAME` and the like.
    fn app_directory(&self, path: &Path, access: Access) -> Option<PathBuf> {
        let env = self.place.env;
        let bases = [&env.cache, &env.config, &env.data, &env.state];
        let base = bases.into_iter().filter(|base| path.starts_with(base));
        let base = base.max_by_key(|base| base.components().count())?;
        let own = base.join(path.strip_prefix(base).ok()?.components().next()?);
        let directory = self.place.files.kind(&own) == Some(Kind::Directory);
        (directory && self.permitted(&own, access).is_ok()).then_some(own)
    }

    /// Whether a path may get a line in force.
    pub fn permitted(&self, path: &Path, access: Access) -> Result<(), Refused> {
        permitted(path, access, self.place)
    }

    fn cannot_write(&mut self, path: &Path, level: Access, touch: &Touch, class: Class) {
        let why = "it belongs to the system, or to a tool, and is only ever shown".to_owned();
        self.leave(path, level, Refused { why, possible: false }, touch, class);
    }

    fn leave(
        &mut self,
        path: &Path,
        access: Access,
        refused: Refused,
        touch: &Touch,
        class: Class,
    ) {
        let refused = Some(refused);
        self.leave_as(path, Left { class, access, refused, evidence: Evidence::default() }, touch);
    }

    fn leave_as(&mut self, path: &Path, new: Left, touch: &Touch) {
        let access = new.access;
        let left = self.left.entry(path.to_owned()).or_insert(new);
        left.access = left.access.max(access);
        extend(&mut left.evidence, &Bytes::from(path), touch);
    }

    /// Something that the sandbox kept from the run, which went on.
    fn denied(&mut self, path: &Path, touch: &Touch) {
        let kernel = ["/proc", "/sys", "/dev"].iter().any(|tree| path.starts_with(tree));
        let looked_at = touch.actions.iter().all(|action| *action == Action::Stat);
        if kernel || looked_at || is_service(path, self.place) {
            return;
        }
        let level = access(touch, self.place.strict);
        if path.starts_with(&self.place.env.cwd) && self.cwd_is_shown() {
            if level > Access::ReadOnly && self.protections(path).is_empty() {
                let (most, evidence) = self.cwd_denied.get_or_insert((level, Evidence::default()));
                *most = level.max(*most);
                extend(evidence, &Bytes::from(path), touch);
            }
            return;
        }
        let path = match path.parent().filter(|_| touch.did(&NAMES)) {
            Some(parent) => parent,
            None => path,
        };
        // What is shown as it is, or made, no line changes.
        let system = matches!(self.place.base.at(path), Some(Grade::Host(_)));
        if system || !self.needs_line(path, level) {
            return;
        }
        let class = Class::Tolerated;
        let refused = self.permitted(path, level).err();
        self.leave_as(
            path,
            Left { class, access: level, refused, evidence: Evidence::default() },
            touch,
        );
    }
}

/// Whether it is a file of the user's settings of git, of which a run has one of its own.
fn is_of_git(path: &Path, place: &Place<'_>) -> bool {
    path == place.env.home.join(".gitconfig") || path == place.env.config.join("git/config")
}

/// Whether settings of git say who commits, and nothing else.
fn is_identity(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).lines().map(|line| line.trim().to_ascii_lowercase()).all(|line| {
        let key = line.split('=').next().unwrap_or_default().trim();
        matches!(key, "" | "[user]" | "name" | "email") || key.starts_with(['#', ';'])
    })
}

/// Whether a path can stand in a profile as it is.
fn is_writable_text(path: &Path) -> bool {
    path.to_str().is_some() && !path.as_os_str().as_bytes().iter().any(|b| b"*?".contains(b))
}

/// Whether a path may get a line in force.
pub fn permitted(path: &Path, access: Access, place: &Place<'_>) -> Result<(), Refused> {
    let refused = |why: &str, possible| Err(Refused { why: why.to_owned(), possible });
    if !is_writable_text(path) {
        return refused("its name cannot be written in a profile", false);
    }
    let real = place.files.real(path);
    for path in [Some(path), real.as_deref().filter(|real| *real != path)].into_iter().flatten() {
        match judge(path, access > Access::ReadOnly, Asker::User, place.env) {
            Verdict::Fine => {}
            Verdict::Warn(why) => return Err(Refused { why, possible: true }),
            Verdict::Refuse(why) => return Err(Refused { why, possible: false }),
        }
        if let Some(why) = broad(path, &place.env.home, place.uid) {
            return refused(why, true);
        }
    }
    Ok(())
}
