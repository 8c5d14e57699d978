//! `swathe workspace`: what is kept, and where.

use super::{Which, stat, text};
use crate::cow;
use crate::out::{Failure, Printer, Style, shown};
use crate::rundir;
use serde_json::{Value, json};
use swathe_policy::Environment;
use swathe_workspace::{ErrorKind, GcOptions, State, Workspace};

/// Options of `swathe workspace`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List workspaces
    List(List),
    /// Say what a workspace holds, where it lies, and what of it to look at first
    Show(Show),
    /// Remove workspaces with all changes in them, and what was saved to undo commits
    Rm(Rm),
    /// Remove what nobody needs: empty workspaces of runs that have ended, old copies for undo,
    /// leftovers
    Gc(Gc),
}

#[derive(clap::Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Show {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Rm {
    /// The workspaces
    #[arg(required = true, value_name = "WORKSPACE")]
    names: Vec<String>,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(clap::Args)]
struct Gc {
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::List(list) => self::list(list),
        Command::Show(show) => self::show(show),
        Command::Rm(rm) => self::rm(rm),
        Command::Gc(gc) => self::gc(gc),
    }
}

/// What is said of one workspace.
struct Row {
    name: String,
    workspace: Result<Workspace, String>,
    state: State,
    in_use: Option<String>,
}

impl Row {
    fn state(&self) -> (&'static str, Option<String>) {
        match &self.workspace {
            Err(why) => ("broken", Some(why.clone())),
            Ok(_) if self.in_use.is_some() => ("in use", None),
            Ok(_) => match &self.state {
                State::Idle => ("", None),
                State::InUse => ("in use", None),
                State::HalfDone => ("half done", None),
                State::Broken(why) => ("broken", Some(why.clone())),
            },
        }
    }

    fn json(&self) -> Value {
        let (state, why) = self.state();
        let Ok(workspace) = &self.workspace else {
            return json!({ "name": self.name, "state": state, "why": why, "roots": [] });
        };
        let about = workspace.about();
        let usage = workspace.usage().unwrap_or_default();
        json!({
            "name": self.name,
            "state": if state.is_empty() { "idle" } else { state },
            "why": why,
            "in_use": self.in_use,
            "named": about.named,
            "run": about.run,
            "created": about.created,
            "roots": about.roots.iter().map(|root| root.path.to_string()).collect::<Vec<_>>(),
            "areas": about.roots.iter().map(|root| root.area.to_string()).collect::<Vec<_>>(),
            "can_rename": about.roots.iter().all(|root| root.can_rename),
            "bytes": usage.bytes,
            "files": usage.inodes,
            "saved": usage.saved,
        })
    }
}

fn rows(env: &Environment) -> Result<Vec<Row>, Failure> {
    let store = cow::store(env)?;
    let running = rundir::running()?;
    let mut names = cow::names(env);
    names.sort();
    let row = |name: String| {
        let user = running.iter().find(|state| state.workspace.as_deref() == Some(&name));
        let in_use = user.map(|state| state.id.clone());
        let workspace = match store.find(&name) {
            // It was removed at this moment.
            Err(error) if error.kind == ErrorKind::Gone => return None,
            other => other.map_err(|error| error.text),
        };
        let state = workspace.as_ref().map_or(State::Idle, Workspace::state);
        if matches!((&workspace, &state), (Ok(found), State::Broken(_)) if !found.is_there()) {
            return None;
        }
        Some(Row { workspace, state, in_use, name })
    };
    let mut rows: Vec<Row> = names.into_iter().filter_map(row).collect();
    rows.sort_by_key(|row| row.workspace.as_ref().map(Workspace::made).unwrap_or_default());
    Ok(rows)
}

fn list(list: &List) -> Result<u8, Failure> {
    let env = crate::store::environment()?;
    let rows = rows(&env)?;
    let mut out = Printer::stdout();
    if list.json {
        let all: Vec<Value> = rows.iter().map(Row::json).collect();
        let text = serde_json::to_string_pretty(&all).map_err(|e| Failure::new(e.to_string()))?;
        out.line(&text);
    } else if rows.is_empty() {
        out.line("there are no workspaces: swathe run --cow -- CMD makes one");
    } else {
        let head = format!(
            "{:24} {:>10} {:>8} {:>8}  {}",
            "WORKSPACE", "SIZE", "FILES", "AGE", "DIRECTORY"
        );
        out.styled(Style::Bold, &head).plain("\n");
        for row in &rows {
            line(&mut out, row);
        }
    }
    out.finish()?;
    Ok(0)
}

fn line(out: &mut Printer, row: &Row) {
    let (state, why) = row.state();
    let Ok(workspace) = &row.workspace else {
        out.line(&format!("{:24} {state}: {}", row.name, shown(&why.unwrap_or_default())));
        return;
    };
    let about = workspace.about();
    let usage = workspace.usage().unwrap_or_default();
    let roots: Vec<String> = about.roots.iter().map(|root| text::name(&root.path.0)).collect();
    let note = match (&row.in_use, state) {
        (Some(run), _) => format!("  (in use by {run})"),
        (None, "") => String::new(),
        (None, state) => format!("  ({state})"),
    };
    let size = text::size(usage.bytes);
    let age = age(about.created);
    let roots = roots.join(", ");
    out.line(&format!("{:24} {size:>10} {:>8} {age:>8}  {roots}{note}", row.name, usage.inodes));
}

fn age(created: u64) -> String {
    let seconds = crate::store::now().saturating_sub(created);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn show(show: &Show) -> Result<u8, Failure> {
    let target = show.which.target(super::Newest::WithChanges)?;
    let workspace = target.find()?;
    let row = rows(&target.env)?.into_iter().find(|row| row.name == target.name);
    let set = target.scan(&workspace)?;
    let chosen = target.chosen(&workspace, &set)?;
    let mut out = Printer::stdout();
    if show.json {
        let mut document = row.map(|row| row.json()).unwrap_or_default();
        document["changes"] = json!(set.changes.len());
        let dangerous = set.changes.iter().filter(|change| super::marks::is_dangerous(change));
        document["dangerous"] = json!(dangerous.count());
        let text = serde_json::to_string_pretty(&document);
        out.line(&text.map_err(|e| Failure::new(e.to_string()))?);
        out.finish()?;
        return Ok(0);
    }
    let about = workspace.about();
    out.styled(Style::Bold, &format!("workspace {}", about.id)).plain("\n");
    for root in &about.roots {
        let how = if root.can_rename { "a commit renames" } else { "a commit copies" };
        let (path, area) = (text::name(&root.path.0), text::name(&root.area.0));
        out.line(&format!("  changes of {path} lie in {area}: {how}"));
    }
    let usage = workspace.usage().map_err(|error| cow::failed(&error))?;
    let saved = match usage.saved {
        0 => String::new(),
        bytes => format!(", {} saved for undo", text::size(bytes)),
    };
    out.line(&format!(
        "  made {} ago by {}; {}{saved}",
        age(about.created),
        shown(&about.run),
        text::size(usage.bytes)
    ));
    if let Some(run) = row.and_then(|row| row.in_use) {
        out.line(&format!("  in use by {}", shown(&run)));
    }
    stat::print(&mut out, &workspace, &set, &chosen);
    out.finish()?;
    Ok(0)
}

fn rm(rm: &Rm) -> Result<u8, Failure> {
    let env = crate::store::environment()?;
    let store = cow::store(&env)?;
    for name in &rm.names {
        let workspace = store.find(name).map_err(|error| cow::failed(&error))?;
        let usage = workspace.usage().unwrap_or_default();
        let held = workspace.hold().map_err(|error| cow::failed_on(name, &error))?;
        let saved = usage.saved > 0;
        let given_up = held.gives_up().map_err(|error| cow::failed_on(name, &error))?;
        if !rm.dry_run {
            cow::remove(&store, held)?;
        }
        let verb = if rm.dry_run { "would remove" } else { "removed" };
        let undo = if saved { ", and what was saved to undo its last commit" } else { "" };
        crate::out::say(&format!(
            "{verb} workspace {name} with {} changed files{undo}",
            usage.inodes
        ));
        if let Some(given_up) = given_up {
            let verb = if rm.dry_run { "would be" } else { "was" };
            crate::out::say(&format!("with it {verb} given up {}", shown(&given_up)));
        }
    }
    Ok(0)
}

/// How long copies for an undo are kept by a collection, in seconds: two weeks.
const SAVED: u64 = 14 * 86_400;

fn gc(gc: &Gc) -> Result<u8, Failure> {
    let env = crate::store::environment()?;
    let store = cow::store(&env)?;
    let options = GcOptions { saved_older: Some(SAVED), unnamed_older: None, dry_run: gc.dry_run };
    let stores = cow::stores(&env);
    let collected = store.gc(&options).map_err(|error| cow::failed(&error))?;
    if !gc.dry_run {
        cow::tidy(&stores);
    }
    let mut out = Printer::stdout();
    if gc.json {
        let text = serde_json::to_string_pretty(&collected);
        out.line(&text.map_err(|e| Failure::new(e.to_string()))?);
        out.finish()?;
        return Ok(0);
    }
    let would = if gc.dry_run { "would be " } else { "" };
    for name in &collected.removed {
        out.line(&format!("{name}: {would}removed"));
    }
    for name in &collected.tidied {
        out.line(&format!("{name}: what nobody needs {would}removed"));
    }
    for name in &collected.half_done {
        out.line(&format!("{name}: interrupted; swathe commit --resume {name} ends it"));
    }
    if collected.removed.is_empty() && collected.tidied.is_empty() {
        out.line("nothing to remove");
    }
    out.finish()?;
    Ok(0)
}
