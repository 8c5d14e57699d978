//! `swathe diff`: what a workspace changes, the most dangerous first.

use super::pager::Out;
use super::{Target, Which, json, listed, marks, path_of, stat, text, tool};
use crate::cow;
use crate::out::{Failure, Printer};
use std::collections::{HashMap, HashSet};
use std::io::IsTerminal as _;
use swathe_workspace::diff::DiffOptions;
use swathe_workspace::{Change, ChangeKind, Changeset, FileKind, Meta, Workspace};

/// Options of `swathe diff`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Only a line for each changed path, and how many lines change
    #[arg(long, conflicts_with_all = ["name_only", "json", "tool"])]
    stat: bool,
    /// Only the changed paths
    #[arg(long, conflicts_with_all = ["json", "tool"])]
    name_only: bool,
    /// With --name-only: paths as they are, each ended by a NUL
    #[arg(short = 'z', requires = "name_only")]
    null: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "tool")]
    json: bool,
    /// Show both sides of each file with this tool of git difftool, by default git's diff.tool
    #[arg(long, value_name = "TOOL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    tool: Option<String>,
    /// Lines around each hunk
    #[arg(short = 'U', long, value_name = "LINES", default_value_t = 3)]
    unified: usize,
    /// Do not start a pager
    #[arg(long)]
    no_pager: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let target = arguments.which.target(super::Newest::WithChanges)?;
    let workspace = target.find()?;
    let set = target.scan(&workspace)?;
    let chosen = target.chosen(&workspace, &set)?;
    if arguments.json {
        let mut out = Printer::stdout();
        out.line(&json::document(&workspace, &set, &chosen)?);
        out.finish()?;
        return Ok(0);
    }
    if set.live {
        crate::out::note("a run writes to the workspace now: what is shown may change");
    }
    if arguments.name_only {
        names(&workspace, &set, &listed(&set, &chosen), arguments.null)?;
        return Ok(0);
    }
    if set.changes.is_empty() {
        crate::out::say(&format!("the workspace {} changes nothing", target.name));
        return Ok(0);
    }
    if arguments.stat {
        let mut out = Printer::stdout();
        stat::print(&mut out, &workspace, &set, &chosen);
        out.finish()?;
    } else if let Some(tool) = &arguments.tool {
        tool::show(tool, &target, &workspace, &set, &chosen)?;
    } else {
        patches(arguments, &target, &workspace, &set, &chosen)?;
    }
    Ok(0)
}

fn names(
    workspace: &Workspace,
    set: &Changeset,
    chosen: &[usize],
    null: bool,
) -> Result<(), Failure> {
    let mut out = Out::open(false);
    for change in chosen.iter().filter_map(|index| set.changes.get(*index)) {
        let mut name = path_of(workspace, change);
        if null {
            name.push(0);
        } else {
            name = text::name(&name).into_bytes();
            name.push(b'\n');
        }
        if out.write(&name)? {
            break;
        }
    }
    out.finish()
}

/// Everything, as patches of git. To a file or pipe contents go as they are, so that the text can be
/// applied; a terminal gets nothing that it would obey.
fn patches(
    arguments: &Arguments,
    target: &Target,
    workspace: &Workspace,
    set: &Changeset,
    chosen: &[usize],
) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal();
    let options = DiffOptions { context: arguments.unified.min(1 << 20), visible: terminal };
    let mut out = Out::open(!arguments.no_pager);
    let paint = Paint::new(terminal);
    let short = listed(set, chosen);
    if out.write(first(target, workspace, set, &short, &paint).as_bytes())? {
        return out.finish();
    }
    let stuck = if terminal { HashSet::new() } else { stuck(workspace, set, chosen) };
    let mut renames = renames(set, chosen);
    renames.retain(|index, _| !stuck.contains(index));
    let gone: HashSet<usize> = renames.values().copied().collect();
    // A patch deletes every file of a directory by itself.
    let all = if terminal { &short } else { chosen };
    for index in all.iter().filter(|index| !gone.contains(index)) {
        let Some(change) = set.changes.get(*index) else { continue };
        let from = renames.get(index).and_then(|from| set.changes.get(*from));
        let mut text = match one(workspace, change, from, &options, &paint) {
            // The run that goes on has removed it since it was listed.
            Err(failure) if set.live => format!("# {}\n", failure.message).into_bytes(),
            text => text?,
        };
        if stuck.contains(index) {
            let lines = text.split_inclusive(|byte| *byte == b'\n');
            text = lines.flat_map(|line| [b"# ", line].concat()).collect();
        }
        if out.write(&text)? {
            break;
        }
    }
    out.finish()
}

/// What has no place in a patch, for what is there on the host is more than a patch takes away: who
/// applied it would be left with half of it. It is shown as a remark.
fn stuck(workspace: &Workspace, set: &Changeset, chosen: &[usize]) -> HashSet<usize> {
    let all: HashSet<usize> = chosen.iter().copied().collect();
    let is_dir = |meta: Option<Meta>| meta.is_some_and(|meta| meta.kind == FileKind::Directory);
    let mut stuck = HashSet::new();
    for (top, change) in set.changes.iter().enumerate() {
        if change.kind != ChangeKind::Replaced {
            continue;
        }
        if is_dir(change.old) {
            // With its last file a directory goes, but not one that was empty before.
            let rest = set.changes.iter().enumerate().skip(top + 1);
            let mut below = rest.take_while(|(_, c)| c.part_of == Some(top));
            let stays = below.any(|(index, c)| {
                let next = set.changes.get(index + 1).map(|next| next.path.0.as_slice());
                let inside = next.and_then(|next| next.strip_prefix(c.path.0.as_slice()));
                let full = inside.is_some_and(|rest| rest.starts_with(b"/"));
                if is_dir(c.old) { !full } else { !is_taken_away(workspace, c) }
            });
            stuck.extend(stays.then_some(top));
        } else if !all.contains(&top) || !is_taken_away(workspace, change) {
            stuck.extend(set.below(change.root, &change.path.0));
        }
    }
    stuck
}

/// Whether a patch can delete what the host has.
fn is_taken_away(workspace: &Workspace, change: &Change) -> bool {
    match change.old.map(|old| old.kind) {
        None | Some(FileKind::Symlink) => true,
        Some(FileKind::File) => workspace.stat(change).is_ok_and(|stat| !stat.binary),
        Some(_) => false,
    }
}

/// Of new files that are deleted ones under another name: the deletions, where both are chosen.
fn renames(set: &Changeset, chosen: &[usize]) -> HashMap<usize, usize> {
    let changes = || chosen.iter().filter_map(|index| Some((*index, set.changes.get(*index)?)));
    let deleted: HashMap<(usize, &[u8]), usize> = changes()
        .filter(|(_, change)| change.renamed_to.is_some())
        .map(|(index, change)| ((change.root, change.path.0.as_slice()), index))
        .collect();
    let half = |change: &Change| {
        let from = change.renamed_from.as_ref()?;
        deleted.get(&(change.root, from.0.as_slice())).copied()
    };
    changes().filter_map(|(index, change)| Some((index, half(change)?))).collect()
}

/// The list of what to look at first.
fn first(
    target: &Target,
    workspace: &Workspace,
    set: &Changeset,
    chosen: &[usize],
    paint: &Paint,
) -> String {
    let changes = || chosen.iter().filter_map(|index| set.changes.get(*index));
    let dangerous: Vec<&Change> = changes().filter(|change| marks::is_dangerous(change)).collect();
    let conflicts = changes().filter(|change| change.conflict.is_some());
    let mut text = String::new();
    if !dangerous.is_empty() {
        let head = format!("workspace {}: {} to look at first", target.name, dangerous.len());
        text.push_str(&format!("{}\n", paint.bad(&head)));
        for change in &dangerous {
            let name = text::name(&path_of(workspace, change));
            text.push_str(&format!("  {} {name}: {}\n", paint.bad("!"), marks::line(change)));
        }
    }
    for change in conflicts {
        let name = text::name(&path_of(workspace, change));
        let why = change.conflict.map(marks::conflict).unwrap_or_default();
        text.push_str(&format!("  {} {name}: {why}\n", paint.bad("conflict:")));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// One change: what to look at, and the difference. `from`: the deletion that makes a rename of it.
///
/// # Errors
/// A side cannot be read.
pub fn one(
    workspace: &Workspace,
    change: &Change,
    from: Option<&Change>,
    options: &DiffOptions,
    paint: &Paint,
) -> Result<Vec<u8>, Failure> {
    let mut diff = Vec::new();
    let written = match from {
        Some(from) => workspace.diff_renamed(from, change, options, &mut diff),
        None => workspace.diff(change, options, &mut diff),
    };
    written.map_err(|error| cow::failed(&error))?;
    let mut out = Vec::with_capacity(diff.len());
    let roots = &workspace.about().roots;
    if let (2.., Some(root)) = (roots.len(), roots.get(change.root)) {
        let line = format!("# in {}\n", text::name(&root.path.0));
        paint.line(line.as_bytes(), false, &mut out);
    }
    // Before the header: there, those who apply a patch skip it.
    for change in from.into_iter().chain([change]).filter(|change| !change.marks.is_empty()) {
        let name = text::name(&path_of(workspace, change));
        let marks = format!("! {name}: {}", marks::line(change));
        out.extend(format!("{}\n", paint.bad(&marks)).into_bytes());
    }
    let mut body = false;
    for line in diff.split_inclusive(|byte| *byte == b'\n') {
        body = line.starts_with(b"@@") || body && !line.starts_with(b"diff ");
        paint.line(line, body, &mut out);
    }
    Ok(out)
}

/// Colours of a terminal.
pub struct Paint(bool);

impl Paint {
    /// Colours where the text goes to a terminal and nobody has asked for none.
    pub fn new(terminal: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self(terminal && !plain)
    }

    /// What a person shall not overlook.
    pub fn bad(&self, text: &str) -> String {
        if self.0 { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line of a unified diff.
    pub fn line(&self, line: &[u8], body: bool, out: &mut Vec<u8>) {
        let code: &[u8] = match line.first() {
            _ if !self.0 => b"",
            Some(b'+') if body => b"\x1b[32m",
            Some(b'-') if body => b"\x1b[31m",
            Some(b'@') => b"\x1b[36m",
            _ if !body => b"\x1b[1m",
            _ => b"",
        };
        let (text, end) = match line.split_last() {
            Some((b'\n', text)) => (text, &b"\n"[..]),
            _ => (line, &b""[..]),
        };
        out.extend_from_slice(code);
        out.extend_from_slice(text);
        if !code.is_empty() {
            out.extend_from_slice(b"\x1b[0m");
        }
        out.extend_from_slice(end);
    }
}
