//! What a person should look at, in words.

use swathe_workspace::{Change, Conflict, Mark};

/// The place of a mark among the others: the most dangerous is 0.
pub fn rank(mark: Mark) -> usize {
    mark as usize
}

/// What a mark says.
pub fn text(mark: Mark) -> &'static str {
    match mark {
        Mark::Protected => "protected path: makes other programs run something",
        Mark::GitHook => "hook or configuration of git: names programs to run",
        Mark::Executable => "can be executed",
        Mark::SetId => "set-user-ID or set-group-ID, which a commit takes away",
        Mark::Capabilities => "gives rights by attributes, which a commit takes away",
        Mark::Device => "a device: it is not committed",
        Mark::Crafted => "crafted marks of the overlay: it is not committed",
        Mark::LinkOutside => "a link that leads out of the directory",
        Mark::ModeWider => "others get rights that they did not have",
        Mark::Dotfile => "a hidden name",
        Mark::OddName => "a name with characters that do not show",
        Mark::CaseTwin => "a name that differs from another by case only",
        Mark::LinkedElsewhere => "another name of something outside",
        Mark::Special => "a pipe or socket",
        Mark::TooDeep => "too deep to be looked through: it is not committed",
        Mark::Unreadable => "it cannot be read: it is not committed",
    }
}

/// Whether a mark is one that a commit asks about: what bears it can do something by itself.
pub fn is_asked_about(mark: Mark) -> bool {
    match mark {
        Mark::Protected
        | Mark::GitHook
        | Mark::Executable
        | Mark::SetId
        | Mark::Capabilities
        | Mark::LinkOutside
        | Mark::ModeWider
        | Mark::CaseTwin
        | Mark::LinkedElsewhere => true,
        // What is refused is not committed, and the rest does nothing.
        Mark::Device
        | Mark::Crafted
        | Mark::Unreadable
        | Mark::TooDeep
        | Mark::Dotfile
        | Mark::OddName
        | Mark::Special => false,
    }
}

/// Whether a change is marked as dangerous.
pub fn is_dangerous(change: &Change) -> bool {
    change.marks.iter().any(|mark| is_asked_about(*mark) || mark.is_refused())
}

/// All marks of a change in one line; empty where there are none.
pub fn line(change: &Change) -> String {
    change.marks.iter().map(|mark| text(*mark)).collect::<Vec<_>>().join("; ")
}

/// What the host did to a path that the program changed, too.
pub fn conflict(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Modified => "the host changed it, too",
        Conflict::Deleted => "the host deleted it",
        Conflict::Created => "the host made something there, too",
        Conflict::Replaced => "the host made something else of it",
        Conflict::Below => "the host changed something in it",
        Conflict::Mounted => "a file system is mounted there",
    }
}
