//! A line for each change.

use super::{listed, marks, path_of, text};
use crate::out::{Printer, Style};
use swathe_workspace::{Change, ChangeKind, Changeset, FileKind, Workspace};

/// Prints changes and their sum, the most dangerous first.
pub fn print(out: &mut Printer, workspace: &Workspace, set: &Changeset, chosen: &[usize]) {
    let (mut added, mut removed) = (0, 0);
    for change in listed(set, chosen).iter().filter_map(|index| set.changes.get(*index)) {
        // A file that has gone meanwhile has no lines.
        let stat = workspace.stat(change).unwrap_or_default();
        added += stat.added;
        removed += stat.removed;
        let size = || text::size(change.new.or(change.old).map_or(0, |meta| meta.size));
        let amount = match (stat.binary, stat.added, stat.removed) {
            (true, ..) => size(),
            (false, 0, 0) => String::new(),
            (false, plus, 0) => format!("+{plus}"),
            (false, 0, minus) => format!("-{minus}"),
            (false, plus, minus) => format!("+{plus} -{minus}"),
        };
        let dangerous = marks::is_dangerous(change);
        let (mark, style) = if dangerous { ("!", Style::Red) } else { (" ", Style::Dim) };
        let name = text::name(&path_of(workspace, change));
        out.styled(style, &format!("{mark} {} ", letter(change)));
        let mut notes: Vec<String> = Vec::new();
        notes.extend(change.conflict.map(|why| format!("conflict: {}", marks::conflict(why))));
        notes.extend(what(change));
        notes.extend((!change.marks.is_empty()).then(|| marks::line(change)));
        let notes = notes.join("; ");
        let row = format!("{name:50} {amount:>12}");
        out.plain(if notes.is_empty() { row.trim_end() } else { &row });
        if !notes.is_empty() {
            out.styled(style, &format!("  {notes}"));
        }
        out.plain("\n");
    }
    for oddity in &set.oddities {
        let name = text::name(&oddity.path.0);
        out.styled(Style::Yellow, &format!("? {name}: {}", crate::out::shown(&oddity.text)));
        out.plain("\n");
    }
    out.line(&sum(set, chosen, added, removed));
}

/// How many there are of each kind.
fn sum(set: &Changeset, chosen: &[usize], added: usize, removed: usize) -> String {
    let changes = || chosen.iter().filter_map(|index| set.changes.get(*index));
    let of = |kind: ChangeKind| changes().filter(|change| change.kind == kind).count();
    let files = chosen.len();
    let mut text = format!(
        "{files} {}: {} added, {} changed, {} deleted, {} replaced; +{added} -{removed} lines",
        if files == 1 { "file" } else { "files" },
        of(ChangeKind::Added),
        of(ChangeKind::Modified),
        of(ChangeKind::Deleted),
        of(ChangeKind::Replaced),
    );
    let dangerous = changes().filter(|change| marks::is_dangerous(change)).count();
    let conflicts = changes().filter(|change| change.conflict.is_some()).count();
    if dangerous > 0 {
        text.push_str(&format!("; {dangerous} to look at (!)"));
    }
    if conflicts > 0 {
        text.push_str(&format!("; {conflicts} in conflict with the host"));
    }
    text
}

/// What happened, as one letter.
pub fn letter(change: &Change) -> char {
    match change.kind {
        ChangeKind::Added => 'A',
        ChangeKind::Modified => 'M',
        ChangeKind::Deleted => 'D',
        ChangeKind::Replaced => 'T',
    }
}

/// What happened beside the content.
pub fn what(change: &Change) -> Option<String> {
    let mut notes: Vec<String> = Vec::new();
    if let (Some(old), Some(new)) = (&change.old, &change.new) {
        if change.kind == ChangeKind::Replaced {
            notes.push(format!("{} is now {}", kind(old.kind), kind(new.kind)));
        }
        if change.parts.mode {
            notes.push(format!("mode {:o} is now {:o}", old.mode, new.mode));
        }
        if change.parts.owner {
            notes.push(format!("owner {}:{} is now {}:{}", old.uid, old.gid, new.uid, new.gid));
        }
    }
    if change.parts.xattrs {
        notes.push("attributes differ".to_owned());
    }
    if change.parts.is_touch() {
        notes.push("only its time".to_owned());
    }
    if let Some(target) = &change.target {
        notes.push(format!("-> {}", text::name(&target.0)));
    }
    if let Some(from) = &change.renamed_from {
        notes.push(format!("was {}", text::name(&from.0)));
    }
    if let Some(to) = &change.renamed_to {
        notes.push(format!("is now {}", text::name(&to.0)));
    }
    (!notes.is_empty()).then(|| notes.join(", "))
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "a file",
        FileKind::Directory => "a directory",
        FileKind::Symlink => "a link",
        FileKind::Fifo => "a pipe",
        FileKind::Socket => "a socket",
        FileKind::Device => "a device",
    }
}
