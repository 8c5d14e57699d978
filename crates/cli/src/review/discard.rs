//! `swathe discard`: gives changes of a workspace up.

use super::{Newest, Which, listed, path_of, stat, text};
use crate::cow;
use crate::out::{Failure, Printer, say};
use swathe_workspace::{ErrorKind, Selection, Take};

/// Options of `swathe discard`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let target = arguments.which.target(Newest::WithChanges)?;
    let name = &target.name;
    let held = target.hold()?;
    target.resume(&held).map_err(|failure| match held.gives_up() {
        Ok(Some(_)) => failure.hint(remove_it(name)),
        _ => failure,
    })?;
    if !target.is_narrowed() && !arguments.dry_run {
        let count = held.usage().map(|usage| usage.inodes).unwrap_or_default();
        let kept = held.saved().is_ok_and(|saved| saved.is_some());
        // With the copies for an undo the workspace stays.
        if held.about().named || kept {
            held.discard_all().map_err(|error| match error.kind {
                ErrorKind::Gone => cow::failed(&error).hint(remove_it(name)),
                _ => cow::failed_on(name, &error),
            })?;
        } else {
            cow::remove(&target.store, held)?;
        }
        say(&format!("discarded all changes of workspace {name} ({count} files)"));
        return Ok(0);
    }
    let set = target.scan_held(&held)?;
    let chosen = target.chosen(&held, &set)?;
    let mut selection = Selection::new();
    chosen.iter().for_each(|index| selection.take(*index, Take::Whole));
    if arguments.dry_run {
        let mut out = Printer::stdout();
        for change in listed(&set, &chosen).iter().filter_map(|index| set.changes.get(*index)) {
            let path = text::name(&path_of(&held, change));
            out.line(&format!("  {} {path}", stat::letter(change)));
        }
        out.line(&format!("would discard {} changes of workspace {name}", chosen.len()));
        out.finish()?;
        return Ok(0);
    }
    held.discard(&set, &selection, false).map_err(|error| cow::failed_on(name, &error))?;
    say(&format!("discarded {} changes of workspace {name}", chosen.len()));
    let empty = !held.may_hold_changes();
    let kept = held.saved().is_ok_and(|saved| saved.is_some());
    if empty && !kept && !held.about().named {
        cow::remove(&target.store, held)?;
    }
    Ok(0)
}

fn remove_it(name: &str) -> String {
    format!("swathe workspace rm {name} removes the workspace all the same")
}
