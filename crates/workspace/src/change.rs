//! What a run changed, as data.

use crate::meta::{FileKind, Meta};
use serde::Serialize;
use swathe_record::bytes::Bytes;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is of the same kind as before; [`Parts`] says what differs.
    Modified,
    /// It is gone.
    Deleted,
    /// It is of another kind than before.
    Replaced,
}

/// Which parts of something modified differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Parts {
    /// Bytes of a file, target of a symlink.
    pub content: bool,
    /// Permission bits.
    pub mode: bool,
    /// Owner or group.
    pub owner: bool,
    /// Attributes or access control lists.
    pub xattrs: bool,
    /// Time of last change. Never true of directories, whose times change with their entries.
    pub mtime: bool,
    /// Nothing but that it is one file with another change, under several names.
    pub links: bool,
}

impl Parts {
    /// Whether nothing differs but the time of last change.
    #[must_use]
    pub fn is_touch(&self) -> bool {
        self.mtime && !(self.content || self.mode || self.owner || self.xattrs)
    }

    pub(crate) fn any(&self) -> bool {
        self.content || self.mode || self.owner || self.xattrs || self.mtime || self.links
    }
}

/// What a person should look at before it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// A protected path: what is there makes other programs run something.
    Protected,
    /// A hook of git, or its configuration, which can name programs.
    GitHook,
    /// It could be executed after a commit and could not before.
    Executable,
    /// Set-user-ID or set-group-ID on a file. A commit takes it away.
    SetId,
    /// Attributes that give rights (capabilities). A commit takes them away.
    Capabilities,
    /// A device. A commit refuses it.
    Device,
    /// Attributes of the overlay that no program's own writes leave. A commit refuses it.
    Crafted,
    /// A symlink whose target is absolute or leaves the workspace's directory.
    LinkOutside,
    /// Group or others get rights that they did not have.
    ModeWider,
    /// A name that begins with a dot, or is below one.
    Dotfile,
    /// The name has control characters, characters that turn text around, or is not UTF-8.
    OddName,
    /// The name differs from one beside it only by letter case.
    CaseTwin,
    /// A hard link to something that the workspace does not hold.
    LinkedElsewhere,
    /// A named pipe or a socket.
    Special,
    /// Its owner cannot read it, so that it could not be looked into. A commit refuses it.
    Unreadable,
    /// A directory deeper than is walked. A commit refuses it.
    TooDeep,
}

impl Mark {
    /// Whether a commit refuses what bears it.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Device | Self::Crafted | Self::Unreadable | Self::TooDeep)
    }
}

/// How the host's side differs from what it was when the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflict {
    /// The host changed it, too.
    Modified,
    /// The host deleted it.
    Deleted,
    /// The host made something there, too.
    Created,
    /// The host made something of another kind of it.
    Replaced,
    /// The host changed something below the directory that the program deleted or replaced.
    Below,
    /// A file system is mounted there on the host.
    Mounted,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which directory of the workspace: the index in [`crate::About::roots`].
    pub root: usize,
    /// Relative to that directory; empty for the directory itself.
    pub path: Bytes,
    /// What happened.
    pub kind: ChangeKind,
    /// What differs, of something modified.
    pub parts: Parts,
    /// The host's side now; none where nothing is there.
    pub old: Option<Meta>,
    /// The program's side; none where it deleted it. The mode is as the program set it.
    pub new: Option<Meta>,
    /// The target of a symlink on the host's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_target: Option<Bytes>,
    /// The target of a symlink on the program's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Bytes>,
    /// What to look at, most dangerous first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// Of a file below a deleted or replaced directory: the index of that change, with which it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<usize>,
    /// Of an added file with the content of a deleted one: where it was, in the same root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<Bytes>,
    /// Of a deleted file whose content is in an added one: where it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_to: Option<Bytes>,
    /// Of a file with several names in the workspace: the index of the change with its first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_to: Option<usize>,
    /// How the host differs from what the run began with. It is never overwritten unless a
    /// [`crate::Selection`] says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
}

impl Change {
    /// Whether a commit can take it as it is: nothing refused, no conflict.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.conflict.is_none() && !self.is_refused()
    }

    /// Whether a commit refuses it whatever is chosen.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.marks.iter().any(|mark| mark.is_refused())
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.new.is_some_and(|meta| meta.kind == FileKind::Directory)
    }
}

/// Something of the upper that is not a change, but that its user should know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Oddity {
    /// Which directory of the workspace.
    pub root: usize,
    /// Relative to that directory.
    pub path: Bytes,
    /// What it is, one line.
    pub text: String,
}

/// All that a workspace holds, in the order of the tree: a directory before what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changeset {
    /// The changes.
    pub changes: Vec<Change>,
    /// What else was found in the upper directories: whiteouts of nothing, trees too deep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<Oddity>,
    /// Whether a run was writing while it was looked at.
    pub live: bool,
}

impl Changeset {
    /// The change at a path.
    #[must_use]
    pub fn find(&self, root: usize, path: &[u8]) -> Option<usize> {
        self.changes.iter().position(|change| change.root == root && change.path.0 == path)
    }

    /// The changes at a path and below, by index; an empty path is all of the root.
    pub fn below<'a>(&'a self, root: usize, path: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let fits =
            move |change: &Change| change.root == root && is_at_or_below(&change.path.0, path);
        self.changes.iter().enumerate().filter(move |(_, c)| fits(c)).map(|(index, _)| index)
    }

    /// The index after the last change below one.
    pub(crate) fn end(&self, index: usize) -> usize {
        let Some(top) = self.changes.get(index) else { return index };
        let inside = |change: &Change| {
            change.root == top.root && is_at_or_below(&change.path.0, &top.path.0)
        };
        let rest = self.changes.get(index..).unwrap_or_default();
        index + rest.iter().take_while(|change| inside(change)).count()
    }
}

/// Whether a relative path is `above` or below it.
pub(crate) fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    above.is_empty()
        || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
