//! `swathe commit`: brings changes of a workspace to the host, and takes that back.

use super::interactive::{self, Choice};
use super::{Newest, Target, Which, listed, marks, path_of, stat, text};
use crate::cow;
use crate::out::{Failure, say};
use crate::prompt::Terminal;
use std::collections::{BTreeSet, HashSet};
use swathe_workspace::diff::Merge;
use swathe_workspace::{
    Change, Changeset, CommitOptions, Committed, Conflict, Held, Left, Mark, Selection, Take, Why,
    Workspace,
};

/// The most paths that are listed in a message.
const LISTED: usize = 20;

/// Options of `swathe commit`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Choose on the terminal, file by file and hunk by hunk
    #[arg(short, long, conflicts_with_all = ["undo", "resume"])]
    interactive: bool,
    /// Only say what would be done
    #[arg(short = 'n', long, conflicts_with_all = ["undo", "resume"])]
    dry_run: bool,
    /// Merge texts that the host changed, too, in other places
    #[arg(long, conflicts_with_all = ["undo", "resume"])]
    merge: bool,
    /// Commit what is in no conflict with the host, and leave the rest in the workspace
    #[arg(long, conflicts_with_all = ["undo", "resume"])]
    skip_conflicts: bool,
    /// Commit also what is marked as dangerous, without being asked
    #[arg(short, long, conflicts_with_all = ["undo", "resume"])]
    yes: bool,
    /// Take the last commit back: the changes are in the workspace again
    #[arg(long, conflicts_with = "resume")]
    undo: bool,
    /// Only end what was interrupted
    #[arg(long)]
    resume: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let wanted = if arguments.undo { Newest::WithSaved } else { Newest::WithChanges };
    let target = arguments.which.target(wanted)?;
    let held = target.hold()?;
    if arguments.undo {
        return undo(&target, &held);
    }
    let resumed = target.resume(&held)?;
    if arguments.resume {
        if !resumed {
            say(&format!("nothing of workspace {} was interrupted", target.name));
        }
        return Ok(0);
    }
    let set = target.scan_held(&held)?;
    if set.changes.is_empty() {
        say(&format!("the workspace {} changes nothing", target.name));
        return Ok(0);
    }
    let chosen = target.chosen(&held, &set)?;
    let mut plan = Plan::new(&held, &set);
    if arguments.interactive {
        match interactive::choose(&target, &held, &set, &chosen)? {
            Some(choice) => plan.take_choice(choice),
            None => return Err(Failure::new("stopped: nothing was committed")),
        }
    } else {
        plan.take_all(&chosen, arguments.merge);
        plan.refuse_conflicts(&target, arguments)?;
        if !arguments.yes && !arguments.dry_run {
            plan.confirm(&target, &set)?;
        }
    }
    let settled = plan.selection.settled(&set);
    let mut added = plan.selection.complete(&set);
    added.retain(|index| settled.binary_search(index).is_ok());
    if !added.is_empty() && !arguments.dry_run {
        let names = names(&held, &set, &added);
        say(&format!("with it go the directories that it needs: {names}"));
    }
    carry_out(&target, &held, &set, &plan, arguments.dry_run)
}

/// What is to be committed, and what stands in the way.
struct Plan<'s> {
    workspace: &'s Workspace,
    set: &'s Changeset,
    selection: Selection,
    conflicts: Vec<usize>,
    refused: Vec<usize>,
    merged: usize,
    /// What is merged and keeps the host's permission bits.
    host_modes: HashSet<usize>,
}

impl<'s> Plan<'s> {
    fn new(workspace: &'s Workspace, set: &'s Changeset) -> Self {
        let selection = Selection::new();
        Self {
            workspace,
            set,
            selection,
            conflicts: Vec::new(),
            refused: Vec::new(),
            merged: 0,
            host_modes: HashSet::new(),
        }
    }

    fn take_all(&mut self, chosen: &[usize], merge: bool) {
        let all: HashSet<usize> = chosen.iter().copied().collect();
        let mut tops = BTreeSet::new();
        for &index in chosen {
            let Some(change) = self.set.changes.get(index) else { continue };
            let top = change.part_of.and_then(|top| Some((top, self.set.changes.get(top)?)));
            if change.is_refused() {
                self.refused.push(index);
            } else if let Some((top, _)) = top.filter(|(_, above)| !above.is_clean()) {
                // It stays with the directory that it would go with.
                tops.extend((!all.contains(&top)).then_some(top));
                self.conflicts.extend(change.conflict.map(|_| index));
            } else if change.conflict.is_none() {
                self.selection.take(index, Take::Whole);
                continue;
            } else {
                let merged = if merge { merged(self.workspace, change) } else { None };
                if let Some(merge) = merged {
                    let host = change.old.map(|old| old.mode);
                    self.host_modes.extend((merge.mode == host).then_some(index));
                    self.selection.take_despite(index, Take::Content(merge.content));
                    self.merged += 1;
                    continue;
                }
                self.conflicts.push(index);
            }
            self.selection.pass_over(index);
        }
        for top in tops {
            let refused = self.set.changes.get(top).is_some_and(Change::is_refused);
            if refused { &mut self.refused } else { &mut self.conflicts }.push(top);
        }
    }

    fn take_choice(&mut self, choice: Choice) {
        for (index, take) in choice.taken {
            let conflict = self.set.changes.get(index).is_some_and(|c| c.conflict.is_some());
            if conflict {
                self.selection.take_despite(index, take);
            } else {
                self.selection.take(index, take);
            }
        }
    }

    /// Nothing is committed where the host changed something, too, unless the person says how.
    fn refuse_conflicts(&self, target: &Target, arguments: &Arguments) -> Result<(), Failure> {
        if !self.refused.is_empty() {
            let list = self.lines(&self.refused, marks::line);
            say(&format!("{} of the changes are never committed:", self.refused.len()));
            list.iter().for_each(|line| say(line));
        }
        if self.conflicts.is_empty() || arguments.skip_conflicts {
            return Ok(());
        }
        let name = &target.name;
        let mut failure = Failure::new(format!(
            "{} of the changes of workspace {name} are in conflict with the host; nothing was committed",
            self.conflicts.len()
        ));
        for line in self.lines(&self.conflicts, sides) {
            failure = failure.hint(line);
        }
        // What is mounted there is in the way of every choice.
        let conflict = |index: &usize| self.set.changes.get(*index)?.conflict;
        let mut conflicts = self.conflicts.iter().map(conflict);
        if conflicts.all(|conflict| conflict == Some(Conflict::Mounted)) {
            return Err(failure
                .hint("unmount what is mounted there, then repeat")
                .hint(format!("swathe commit {name} --skip-conflicts commits the rest")));
        }
        if !arguments.merge {
            failure = failure.hint(format!("swathe commit {name} --merge merges texts"));
        }
        Err(failure
            .hint(format!(
                "swathe commit {name} --skip-conflicts commits the rest, --interactive chooses"
            ))
            .hint(format!("swathe discard {name} PATH gives the workspace's version up")))
    }

    /// A line for each of some changes, not too many.
    fn lines(&self, indices: &[usize], why: impl Fn(&Change) -> String) -> Vec<String> {
        let changes = indices.iter().filter_map(|index| self.set.changes.get(*index));
        let mut lines: Vec<String> = changes
            .take(LISTED)
            .map(|change| {
                let name = text::name(&path_of(self.workspace, change));
                format!("  {name}: {}", why(change))
            })
            .collect();
        if indices.len() > LISTED {
            lines.push(format!("  and {} more", indices.len() - LISTED));
        }
        lines
    }

    /// Asks about what is marked as dangerous.
    fn confirm(&self, target: &Target, set: &Changeset) -> Result<(), Failure> {
        let dangerous = |index: &usize| {
            let of_mode = [Mark::Executable, Mark::ModeWider, Mark::SetId];
            let counts = |mark: &Mark| {
                let stays = self.host_modes.contains(index) && of_mode.contains(mark);
                marks::is_asked_about(*mark) && !stays
            };
            set.changes.get(*index).is_some_and(|change| change.marks.iter().any(counts))
        };
        let mut found: Vec<usize> =
            self.selection.settled(set).into_iter().filter(dangerous).collect();
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|index| (super::rank(set, *index), *index));
        let lines = self.lines(&found, marks::line);
        let (count, name) = (found.len(), &target.name);
        let head = format!("{count} of the changes of workspace {name} should be looked at:");
        let Ok(mut terminal) = Terminal::open() else {
            let failure = Failure::new(format!("{head} nothing was committed"));
            let failure = lines.into_iter().fold(failure, Failure::hint);
            return Err(failure.hint(format!("swathe diff {name} shows them first")).hint(
                format!("swathe commit {name} --yes commits them, too; --interactive chooses"),
            ));
        };
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let question = format!("{head}\r\n{lines}Commit them, too? y = yes, n = no [n]: ");
        match terminal.ask(&question) {
            Ok(Some(answer)) if matches!(answer.as_str(), "y" | "yes") => Ok(()),
            _ => Err(Failure::new("stopped: nothing was committed").hint(format!(
                "swathe diff {name} shows the changes, swathe commit {name} --interactive chooses"
            ))),
        }
    }
}

/// Both sides of a conflict.
fn sides(change: &Change) -> String {
    let why = change.conflict.map(marks::conflict).unwrap_or_default();
    let here = match change.kind {
        swathe_workspace::ChangeKind::Deleted => "deleted",
        swathe_workspace::ChangeKind::Added => "made",
        _ => "changed",
    };
    format!("{why}; the run {here} it")
}

/// Both versions as one text, where they differ in different places only and not both in the mode.
pub fn merged(workspace: &Workspace, change: &Change) -> Option<Merge> {
    let merge = workspace.merge(change).ok()?;
    (!merge.conflicts && merge.mode.is_some()).then_some(merge)
}

fn carry_out(
    target: &Target,
    held: &Held,
    set: &Changeset,
    plan: &Plan<'_>,
    dry_run: bool,
) -> Result<u8, Failure> {
    let options = CommitOptions { dry_run, ..CommitOptions::default() };
    let name = &target.name;
    let done = held
        .commit(set, &plan.selection, &options)
        .map_err(|error| cow::failed_on(name, &error))?;
    if dry_run {
        would(held, set, &plan.selection, &done)?;
        return Ok(0);
    }
    let count = match done.changes {
        0 => "nothing".to_owned(),
        1 => "1 change".to_owned(),
        n => format!("{n} changes"),
    };
    let merged = if plan.merged > 0 { format!(", {} merged", plan.merged) } else { String::new() };
    let undo = if done.saved && done.changes > 0 {
        format!("; swathe commit --undo {name} takes them back")
    } else {
        String::new()
    };
    say(&format!("committed {count} of workspace {name}{merged}{undo}"));
    left(held, &done.left);
    if !plan.conflicts.is_empty() {
        say(&format!(
            "{} in conflict with the host are left in the workspace",
            plan.conflicts.len()
        ));
    }
    if !done.saved && done.changes > 0 {
        let size = text::size(done.old_bytes);
        say(&format!("it cannot be undone: the old versions take {size}, more than is kept"));
    }
    let all = done.changes > 0 && done.left.is_empty() && plan.refused.is_empty();
    Ok(u8::from(!all))
}

/// What was chosen and could not be committed.
pub fn left(workspace: &Workspace, left: &[Left]) {
    for left in left.iter().take(LISTED) {
        let why = match left.why {
            Why::Conflict(conflict) => marks::conflict(conflict),
            Why::Refused => "it is never committed",
            Why::Above => "its directory was left",
            Why::Half => "the other half of its rename was left",
            Why::Late => "the host changed it meanwhile",
        };
        let path = text::name(&super::full(workspace, left.root, &left.path.0));
        say(&format!("left in the workspace: {path}: {why}"));
    }
    if left.len() > LISTED {
        say(&format!("and {} more", left.len() - LISTED));
    }
}

/// What a commit would do.
fn would(
    workspace: &Workspace,
    set: &Changeset,
    selection: &Selection,
    done: &Committed,
) -> Result<(), Failure> {
    let mut out = crate::out::Printer::stdout();
    let mut chosen = selection.settled(set);
    chosen.sort_by_key(|index| (super::rank(set, *index), *index));
    for change in listed(set, &chosen).iter().filter_map(|index| set.changes.get(*index)) {
        let name = text::name(&path_of(workspace, change));
        let mark = if marks::is_dangerous(change) { '!' } else { ' ' };
        out.line(&format!("{mark} {} {name}", stat::letter(change)));
    }
    let (moved, copied, deleted) = (done.moved, done.copied, done.deleted);
    out.line(&format!(
        "would commit {} changes: {moved} by moving, {copied} by copying, {deleted} by deleting",
        done.changes
    ));
    out.finish()?;
    left(workspace, &done.left);
    if done.changes > 0 {
        if !done.saved {
            let size = text::size(done.old_bytes);
            say(&format!(
                "it could not be undone: the old versions take {size}, more than is kept"
            ));
        }
        if workspace.saved().is_ok_and(|saved| saved.is_some()) {
            say("with it the last commit could not be undone any more");
        }
    }
    Ok(())
}

fn names(workspace: &Workspace, set: &Changeset, indices: &[usize]) -> String {
    let changes = indices.iter().filter_map(|index| set.changes.get(*index));
    let names: Vec<String> =
        changes.take(5).map(|change| text::name(&path_of(workspace, change))).collect();
    let more = if indices.len() > 5 { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

fn undo(target: &Target, held: &Held) -> Result<u8, Failure> {
    if target.is_narrowed() {
        return Err(Failure::new("a commit is taken back as a whole, not by paths")
            .hint(format!("swathe commit --undo {} takes it back", target.name)));
    }
    let undone = held.undo().map_err(|error| cow::failed_on(&target.name, &error))?;
    let (name, steps) = (&target.name, undone.steps);
    say(&format!(
        "took the last commit of workspace {name} back ({steps} {}); its changes are in the workspace again",
        if steps == 1 { "step" } else { "steps" }
    ));
    for left in undone.left.iter().take(LISTED) {
        let path = text::name(&super::full(held, left.root, &left.path.0));
        say(&format!("stays as it is: {path}: the host changed it after the commit"));
    }
    if undone.left.len() > LISTED {
        say(&format!("and {} more", undone.left.len() - LISTED));
    }
    Ok(u8::from(!undone.left.is_empty()))
}
