//! `swathe trash`: what programs removed or replaced in directories of the access level `trash`.

use crate::out::{Failure, Printer, Style, shown, things};
use crate::profile::print_json;
use crate::store;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use swathe_record::bytes::Bytes;
use swathe_trash::{Error, Filter, Id, Kept, Kind, Limits, Listing, Store, Target};

/// Options of `swathe trash`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List what is in the trash, the newest first
    List(List),
    /// Put things back where they were
    Restore(Restore),
    /// Destroy what is in the trash
    Empty(Empty),
    /// Show or set how much each trash may hold
    Limits(SetLimits),
}

#[derive(clap::Args)]
struct List {
    /// What was removed at this path, or below it
    path: Option<PathBuf>,
    /// What this run removed
    #[arg(long)]
    run: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Restore {
    /// Put it there instead; into it if it is a directory
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Make directories that are missing
    #[arg(long)]
    parents: bool,
    /// What this run removed
    #[arg(long)]
    run: Option<String>,
    /// Ids, or paths: what was removed there last, a directory with all that went with it
    #[arg(required = true, value_name = "ID|PATH")]
    what: Vec<PathBuf>,
}

#[derive(clap::Args)]
struct Empty {
    /// Everything
    #[arg(long, required_unless_present_any = ["older_than", "run", "what"])]
    all: bool,
    /// Only what was removed longer ago, such as 30d, 12h, 15m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older_than: Option<u64>,
    /// Only what this run removed
    #[arg(long)]
    run: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Only these: ids, or paths with all that was removed below
    #[arg(value_name = "ID|PATH")]
    what: Vec<PathBuf>,
}

#[derive(clap::Args)]
struct SetLimits {
    /// The most that one may hold, in bytes or with K, M, G or T
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<u64>,
    /// The most things
    #[arg(long, value_name = "COUNT")]
    entries: Option<u64>,
}

/// Where the user's trash is.
pub fn base(home: &Path) -> PathBuf {
    crate::wanted::places(home, Path::new("/")).data.join("swathe/trash")
}

/// All directories that hold trash: never visible in a sandbox.
///
/// # Errors
/// The trash cannot be read.
pub fn places(home: &Path) -> Result<Vec<PathBuf>, Failure> {
    match Store::existing(&base(home)).map_err(|e| failed(&e))? {
        None => Ok(Vec::new()),
        Some(store) => store.places().map_err(|e| failed(&e)),
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let store = Store::open(&base(&store::environment()?.home)).map_err(|e| failed(&e))?;
    match &arguments.command {
        Command::List(arguments) => list(&store, arguments),
        Command::Restore(arguments) => restore(&store, arguments),
        Command::Empty(arguments) => empty(&store, arguments),
        Command::Limits(arguments) => limits(&store, arguments),
    }
}

fn failed(error: &Error) -> Failure {
    Failure::new(error.to_string())
}

/// Looks, and says what cannot be looked at.
fn look(store: &Store, filter: &Filter<'_>) -> Result<Vec<Kept>, Failure> {
    let Listing { kept, missing } = store.list(filter).map_err(|e| failed(&e))?;
    missing.iter().for_each(|error| crate::out::note(&error.to_string()));
    Ok(kept)
}

fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn list(store: &Store, arguments: &List) -> Result<u8, Failure> {
    let mut kept = Vec::new();
    let paths = arguments.path.as_deref().map(recorded).transpose()?;
    for path in paths.map_or(vec![None], |paths| paths.into_iter().map(Some).collect()) {
        let run = arguments.run.as_deref();
        kept = look(store, &Filter { run, path: path.as_deref(), ..Filter::default() })?;
        if !kept.is_empty() {
            break;
        }
    }
    if arguments.json {
        print_json(&json!({ "trash": kept.iter().map(as_json).collect::<Vec<_>>() }))?;
        return Ok(0);
    }
    let mut out = Printer::stdout();
    if kept.is_empty() {
        out.line("nothing is there");
    } else {
        let head = format!("{:13}  {:>8}  {:>7}  {:20}  {}", "ID", "AGE", "SIZE", "RUN", "PATH");
        out.styled(Style::Bold, &head).plain("\n");
    }
    let now = micros();
    for one in &kept {
        let size = match one.entry.kind {
            Kind::File => human(one.entry.size),
            Kind::Directory => "dir".to_owned(),
            Kind::Link => "link".to_owned(),
            _ => "special".to_owned(),
        };
        let age = age(now.saturating_sub(one.id.time()) / 1_000_000);
        let replaced = if one.entry.replaced { "  (replaced)" } else { "" };
        let (run, path) = (shown(&one.entry.run), &one.entry.path);
        out.line(&format!("{}  {age:>8}  {size:>7}  {run:20}  {path}{replaced}", one.id));
    }
    out.finish()?;
    Ok(0)
}

fn as_json(kept: &Kept) -> Value {
    let entry = &kept.entry;
    json!({
        "id": kept.id.to_string(),
        "time": kept.id.time(),
        "path": entry.path,
        "run": entry.run,
        "program": entry.program,
        "kind": entry.kind,
        "replaced": entry.replaced,
        "size": entry.size,
        "mode": format!("{:04o}", entry.mode),
        "modified": entry.modified.0,
        "kept_in": Bytes::from(kept.place.as_path()),
    })
}

/// What one word of the user means: a path, and what was removed at it or below; or one thing.
struct Meant {
    path: PathBuf,
    found: Vec<Kept>,
    by_id: bool,
}

fn meant(store: &Store, word: &Path, run: Option<&str>) -> Result<Meant, Failure> {
    if let Some(id) = word.to_str().and_then(Id::parse) {
        let filter = Filter { id: Some(id), run, ..Filter::default() };
        let found = look(store, &filter)?;
        if let Some(path) = found.first().map(|one| one.entry.path.as_path().to_owned()) {
            return Ok(Meant { path, found, by_id: true });
        }
    }
    for path in recorded(word)? {
        let filter = Filter { path: Some(&path), run, ..Filter::default() };
        let found = look(store, &filter)?;
        if !found.is_empty() {
            return Ok(Meant { path, found, by_id: false });
        }
    }
    let text = format!("nothing in the trash was at {}", Bytes::from(absolute(word)?));
    Err(Failure::new(text).hint("swathe trash list shows what is there"))
}

fn restore(store: &Store, arguments: &Restore) -> Result<u8, Failure> {
    let (mut out, mut bad) = (Printer::stdout(), Vec::new());
    // A word that means nothing is said before anything is restored.
    let run = arguments.run.as_deref();
    let all = arguments.what.iter().map(|word| meant(store, word, run));
    for Meant { path, found, by_id } in all.collect::<Result<Vec<_>, _>>()? {
        let chosen = if by_id { found } else { swathe_trash::tree(&found, &path) };
        let to = arguments.to.as_deref().map(|to| place(to, &path)).transpose()?;
        let errors = match &chosen[..] {
            [one] if one.entry.path.as_path() == path => {
                let target = Target {
                    path: to.as_deref().unwrap_or(&path),
                    follow: to.is_some(),
                    parents: arguments.parents,
                };
                store.restore(one, &target).err().into_iter().collect()
            }
            [] => vec![only_replaced(&path)],
            tree => store.restore_tree(tree, to.as_deref().map(|to| (path.as_path(), to))),
        };
        let at = Bytes::from(to.as_deref().unwrap_or(&path));
        match (chosen.len().saturating_sub(errors.len()), chosen.len()) {
            (1, 1) => drop(out.line(&format!("restored {at}"))),
            (0, _) => {}
            (done, _) => drop(out.line(&format!("restored {at}: {}", things(done)))),
        }
        bad.extend(errors);
    }
    out.finish()?;
    if bad.is_empty() { Ok(0) } else { Err(not_restored(&bad)) }
}

fn only_replaced(path: &Path) -> Error {
    let cause = "things below it were replaced, none was removed".to_owned();
    Error { step: "restore", path: path.to_owned(), cause, errno: None }
}

/// All errors as one.
fn not_restored(errors: &[Error]) -> Failure {
    let text: Vec<String> = errors.iter().take(20).map(ToString::to_string).collect();
    let mut failure = Failure::new(text.join("\nswathe: "));
    if let Some(more) = errors.len().checked_sub(20).filter(|more| *more > 0) {
        failure = failure.hint(format!("and {more} more"));
    }
    let has = |errno| errors.iter().any(|error| error.errno == Some(errno));
    if has(rustix::io::Errno::EXIST) || has(rustix::io::Errno::LOOP) {
        failure = failure.hint("--to PATH names another place; nothing is overwritten");
    }
    if has(rustix::io::Errno::NOENT) {
        failure = failure.hint("--parents makes the directories that are missing");
    }
    failure
}

/// Where `--to` puts what was at `path`.
fn place(to: &Path, path: &Path) -> Result<PathBuf, Failure> {
    let to = absolute(to)?;
    Ok(if to.is_dir() { to.join(path.file_name().unwrap_or(OsStr::new("restored"))) } else { to })
}

fn empty(store: &Store, arguments: &Empty) -> Result<u8, Failure> {
    let now = micros();
    let before =
        arguments.older_than.map(|seconds| now.saturating_sub(seconds.saturating_mul(1_000_000)));
    let filter = Filter { run: arguments.run.as_deref(), before, ..Filter::default() };
    let mut chosen = look(store, &filter)?;
    if !arguments.what.is_empty() {
        let mut named = Vec::new();
        for word in &arguments.what {
            named.extend(meant(store, word, arguments.run.as_deref())?.found);
        }
        chosen.retain(|one| named.contains(one));
    }
    let size = chosen.iter().fold(0_u64, |all, one| all.saturating_add(one.entry.size));
    let what = format!("{}, {}", things(chosen.len()), human(size));
    if !chosen.is_empty() && !arguments.yes && !confirmed(&what)? {
        return Ok(1);
    }
    store.destroy(&chosen).map_err(|e| failed(&e))?;
    store.tidy(now, arguments.all).map_err(|e| failed(&e))?;
    Printer::stdout().line(&format!("destroyed {what}")).finish()?;
    Ok(0)
}

fn confirmed(what: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let text = format!("{what} would be destroyed, and nobody can be asked");
        return Err(Failure::new(text).hint("--yes destroys without asking"));
    }
    crate::out::ask(&format!("destroy {what}? [y/N] "));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|e| Failure::new(format!("cannot read the answer: {e}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

fn limits(store: &Store, arguments: &SetLimits) -> Result<u8, Failure> {
    let old = store.limits().map_err(|e| failed(&e))?;
    let new = Limits {
        bytes: arguments.size.unwrap_or(old.bytes),
        entries: arguments.entries.unwrap_or(old.entries),
    };
    if new != old {
        store.set_limits(&new).map_err(|e| failed(&e))?;
    }
    let text = format!("each trash holds at most {} and {} things", human(new.bytes), new.entries);
    Printer::stdout().line(&text).finish()?;
    Ok(0)
}

/// Paths that a word can have been recorded as: as it stands, whatever a program has put in the way
/// since; then without links.
fn recorded(word: &Path) -> Result<Vec<PathBuf>, Failure> {
    let real = absolute(word)?;
    let plain = std::path::absolute(word).ok().filter(|path| {
        path != &real && !path.components().any(|part| part == Component::ParentDir)
    });
    Ok(plain.into_iter().chain([real]).collect())
}

/// The path without links: what is there of it without links, and nothing of the rest but names.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let cannot = |why: &str| {
        Failure::new(format!("{} is no path of something removed: {why}", Bytes::from(path)))
    };
    let whole = std::path::absolute(path).map_err(|e| cannot(&e.to_string()))?;
    let mut rest = Vec::new();
    let mut at = whole.as_path();
    // The last name itself may be a link: it is not followed.
    while let (Some(above), Some(part)) = (at.parent(), at.components().next_back()) {
        if part == Component::ParentDir {
            return Err(cannot("nothing is at what stands before `..`"));
        }
        rest.push(part);
        at = above;
        if let Ok(real) = at.canonicalize() {
            return Ok(rest.iter().rev().fold(real, |path, part| path.join(part)));
        }
    }
    Ok(whole)
}

/// A size as `du -h` writes it.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "K", "M", "G", "T", "P"];
    let (mut value, mut unit) = (bytes, 0);
    let mut rest = 0;
    while value >= 1024 && unit + 1 < UNITS.len() {
        rest = (value % 1024) * 10 / 1024;
        value /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit > 0 && value < 10 { format!("{value}.{rest}{name}") } else { format!("{value}{name}") }
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn with_unit(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let unit = units.iter().find(|(name, _)| text.ends_with(*name));
    let (digits, factor) = unit
        .map_or((text, 1), |(name, factor)| (text.strip_suffix(*name).unwrap_or(text), *factor));
    let fine = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| fine)?.checked_mul(factor)
}

fn duration(text: &str) -> Result<u64, String> {
    const UNITS: [(char, u64); 5] =
        [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
    with_unit(text, &UNITS).ok_or_else(|| "a number with s, m, h, d or w".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(char, u64); 4] =
        [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30), ('T', 1 << 40)];
    with_unit(text, &UNITS).ok_or_else(|| "a number, with or without K, M, G or T".to_owned())
}
