//! `swathe explain`: what a sandbox would see, and what enforces it.

mod network;
mod shell;

use crate::cow::Keep;
use crate::out::{Failure, Printer, Style, shown};
use crate::wanted::{self, Ask, Options};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use swathe::plan::model::{Access, BindSource, FileOp, StandIn};
use swathe::plan::{render, tables};
use swathe_policy::Source;
use swathe_policy::describe::access_name;
use swathe_policy::resolve::Sandbox;

/// Options of `swathe explain`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// How it is shown
    #[arg(long, value_enum, default_value = "tree")]
    format: Format,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    /// The program and its arguments; a shell if left out
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Forms of an explanation.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Tree,
    /// The words of a bwrap command.
    Bwrap,
    /// For programs.
    Json,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let shell = [OsString::from("/bin/sh")];
    let command: &[OsString] =
        if arguments.command.is_empty() { &shell } else { &arguments.command };
    let wanted = wanted::resolve(&arguments.options, command, "explain", Ask::No, Keep::No)?;
    let mut out = Printer::stdout();
    match arguments.format {
        _ if arguments.json => json_document(&mut out, &wanted.sandbox)?,
        Format::Json => json_document(&mut out, &wanted.sandbox)?,
        Format::Tree => tree(&mut out, &wanted.sandbox, wanted.group.is_some()),
        Format::Bwrap => shell::print(&mut out, &wanted.sandbox),
    }
    out.finish()?;
    Ok(0)
}

/// Who asked for something, in words.
pub fn source_text(source: &Source) -> String {
    match source {
        Source::Default => "the defaults".to_owned(),
        Source::CommandLine(words) => shown(words),
        Source::File { path, line, .. } => {
            format!("{}:{line}", shown(&path.display().to_string()))
        }
    }
}

fn text(bytes: &[u8]) -> String {
    shown(&String::from_utf8_lossy(bytes))
}

/// What an operation shows, and how.
fn describe(op: &FileOp) -> (&'static str, String) {
    match op {
        FileOp::Bind { source, dest, access } => {
            let level = match access {
                Access::ReadOnly => "read",
                Access::ReadWrite => "write",
                Access::Device => "device",
            };
            let from = match source {
                BindSource::Path { path, .. } if path.0 != dest.0 => {
                    format!(" (the host's {})", text(&path.0))
                }
                _ => String::new(),
            };
            (level, format!("{}{from}", text(&dest.0)))
        }
        FileOp::Symlink { target, dest } => {
            ("link", format!("{} -> {}", text(&dest.0), text(target)))
        }
        FileOp::Mask { dest, stand_in } => match stand_in {
            StandIn::Unreadable => ("hidden", text(&dest.0)),
            _ => ("kept", format!("{} (cannot be made)", text(&dest.0))),
        },
        FileOp::Pin { dest } => ("kept", format!("{} (cannot be replaced)", text(&dest.0))),
        FileOp::Tmpfs { dest, .. } => ("empty", text(&dest.0)),
        FileOp::Proc { dest } => ("own", format!("{} (processes of the sandbox)", text(&dest.0))),
        FileOp::Dev { dest } => {
            ("own", format!("{} (null, zero, random, tty, shm)", text(&dest.0)))
        }
        FileOp::File { dest, .. } | FileOp::BindData { dest, .. } => ("made", text(&dest.0)),
        FileOp::Dir { dest, .. } => ("made", text(&dest.0)),
        FileOp::RemountReadOnly { dest } => ("read", format!("{} (from here on)", text(&dest.0))),
        FileOp::Overlay { dest, .. } => {
            ("copy", format!("{} (changes are kept apart)", text(&dest.0)))
        }
        FileOp::Mqueue { dest } => ("own", text(&dest.0)),
        FileOp::Chmod { path, mode } => ("mode", format!("{} {mode:o}", text(&path.0))),
    }
}

/// The same, with the level that was asked for where a mount is only its lower half.
fn described(sandbox: &Sandbox, op: &FileOp) -> (&'static str, String) {
    let (level, what) = describe(op);
    let dest = Path::new(OsStr::from_bytes(&op.dest().0));
    let placed = sandbox.levels.iter().find(|placed| placed.path == dest);
    match placed.and_then(|placed| placed.access) {
        Some(access) if matches!(op, FileOp::Bind { .. }) => (access_name(access), what),
        _ => (level, what),
    }
}

/// What no step of the plan shows: paths that are asked about, and what is hidden when it appears.
fn beside(sandbox: &Sandbox) -> impl Iterator<Item = (&'static str, String)> {
    let asks = sandbox.asks.iter().map(|path| {
        let path = shown(&path.to_string_lossy());
        ("ask", format!("{path} (hidden until somebody says yes)"))
    });
    let globs = sandbox.lasting.iter().map(|glob| {
        let glob = shown(&glob.glob.to_string_lossy());
        ("hidden", format!("{glob} (all that match, also later)"))
    });
    asks.chain(globs)
}

fn tree(out: &mut Printer, sandbox: &Sandbox, group: bool) {
    out.styled(Style::Bold, "files").plain("\n");
    let mut rows: Vec<(&str, String, String)> = Vec::new();
    for (step, source) in sandbox.plan.steps.iter().zip(&sandbox.sources) {
        let (level, what) = described(sandbox, &step.op);
        // The small files of /etc are listed together.
        if what.starts_with("/etc/") && *source == Source::Default {
            continue;
        }
        let from = match source {
            Source::Default => String::new(),
            source => format!("  ({})", source_text(source)),
        };
        rows.push((level, what, from));
    }
    rows.extend(beside(sandbox).map(|(level, what)| (level, what, String::new())));
    for (level, what, from) in rows {
        let style = match level {
            "write" | "append" | "no-delete" | "trash" => Style::Yellow,
            "device" => Style::Red,
            _ => Style::Dim,
        };
        out.plain("  ").styled(style, &format!("{level:10}")).plain(&what).line(&from);
    }
    let etc = sandbox.plan.steps.iter().filter(|s| s.op.dest().0.starts_with(b"/etc/")).count();
    out.plain("  ").styled(Style::Dim, "read      ");
    out.line(&format!("/etc ({etc} entries: users, hosts, certificates, loader, zone, fonts)"));
    if let Some(rules) = &sandbox.network {
        network::tree(out, rules);
    }
    layers(out, sandbox);
    limits(out, sandbox, group);
    if let Some(program) = &sandbox.program {
        out.styled(Style::Bold, "program").plain("\n");
        out.line(&format!("  {}", shown(&program.display().to_string())));
    }
    for note in &sandbox.notes {
        out.paragraph(0, &format!("note: {}", shown(&note.0)));
    }
}

fn layers(out: &mut Printer, sandbox: &Sandbox) {
    let plan = &sandbox.plan;
    out.styled(Style::Bold, "layers").plain("\n");
    let network = match (&sandbox.network, plan.namespaces.net) {
        (Some(_), _) => "one of its own, of which the rules above let connections out",
        (None, true) if sandbox.bridged => {
            "one of its own, into which pasta brings the host's, without its loopback"
        }
        (None, true) => "none but a loopback of its own",
        (None, false) => "the host's",
    };
    let nested = if plan.namespaces.disable_user { "none can be made" } else { "allowed" };
    let landlock = match (plan.scope_signals, sandbox.levels.is_empty()) {
        (true, true) => "signals and abstract sockets stay inside",
        (true, false) => {
            "signals and abstract sockets stay inside; what a level forbids; a supervisor does the rest"
        }
        (false, _) => "not enforced",
    };
    let terminal = match (plan.lifecycle.pty, plan.lifecycle.new_session) {
        (true, _) => "one of its own",
        (false, true) => "none",
        (false, false) => "the caller's",
    };
    let filter = match plan.filters.len() {
        0 => "none",
        _ => "refuses dangerous system calls",
    };
    for (name, value) in [
        ("processes", "a pid namespace of its own; all end with the command"),
        ("network", network),
        ("namespaces", nested),
        ("capabilities", "none"),
        ("filter", filter),
        ("landlock", landlock),
        ("terminal", terminal),
    ] {
        out.line(&format!("  {name:14}{value}"));
    }
    let names: Vec<String> = plan
        .env
        .iter()
        .filter_map(|op| match op {
            swathe::plan::model::EnvOp::Set { name, .. } => Some(text(name)),
            _ => None,
        })
        .collect();
    out.styled(Style::Bold, "environment").plain("\n");
    out.paragraph(2, &names.join(" "));
}

/// Upper bounds, and what keeps them.
fn limits(out: &mut Printer, sandbox: &Sandbox, group: bool) {
    out.styled(Style::Bold, "limits").plain("\n");
    let plan = &sandbox.plan;
    let of = |name: &str| {
        let resource = tables::resource(name.as_bytes());
        plan.limits.iter().find(|limit| Some(limit.resource) == resource)?.soft
    };
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let mut rows = Vec::new();
    if let Some(memory) = of("data") {
        rows.push((
            "memory",
            match group {
                true => format!("{} in all, by a control group", mib(memory)),
                false => format!(
                    "{} of data for each process: no control group is delegated",
                    mib(memory)
                ),
            },
        ));
    }
    if let Some(processes) = of("nproc") {
        let by = match (group, plan.namespaces.pid_max) {
            (true, _) => "a control group",
            (false, Some(_)) => "the ids of the pid namespace",
            (false, None) => "RLIMIT_NPROC, which does not bind root",
        };
        rows.push(("processes", format!("{processes}, by {by}")));
    }
    if let Some(size) = plan.default_tmpfs_size {
        rows.push(("each tmpfs", mib(size)));
    }
    if let Some(files) = plan.default_tmpfs_inodes {
        rows.push(("files in each", files.to_string()));
    }
    if let Some(time) = sandbox.limits.time {
        rows.push(("time", format!("{time} seconds")));
    }
    for (name, value) in rows {
        out.line(&format!("  {name:14}{value}"));
    }
}

/// A word as a shell reads it back.
pub fn quoted(word: &[u8]) -> String {
    let safe = |b: &u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(b);
    if !word.is_empty() && word.iter().all(safe) {
        return String::from_utf8_lossy(word).into_owned();
    }
    let printable = word.iter().all(|b| (b' '..0x7f).contains(b));
    if printable && !word.contains(&b'\'') {
        return format!("'{}'", String::from_utf8_lossy(word));
    }
    let escaped: String = word.escape_ascii().to_string();
    format!("$'{escaped}'")
}

fn json_document(out: &mut Printer, sandbox: &Sandbox) -> Result<(), Failure> {
    let files: Vec<_> = sandbox
        .plan
        .steps
        .iter()
        .zip(&sandbox.sources)
        .map(|(step, source)| {
            let (level, _) = described(sandbox, &step.op);
            json!({
                "path": String::from_utf8_lossy(&step.op.dest().0),
                "access": level,
                "words": render::operation(&step.op).iter()
                    .map(|w| String::from_utf8_lossy(w).into_owned()).collect::<Vec<_>>(),
                "source": source_text(source),
            })
        })
        .collect();
    let words: Vec<_> = render::render(&sandbox.plan)
        .iter()
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let document = json!({
        "files": files,
        "bwrap": words,
        "network": match (&sandbox.network, sandbox.plan.namespaces.net) {
            (Some(_), _) => "rules",
            (None, true) if sandbox.bridged => "pasta",
            (None, true) => "none",
            (None, false) => "host",
        },
        "rules": sandbox.network.as_ref().map(network::document),
        "writable": sandbox.writable,
        "asks": sandbox.asks,
        "hides": sandbox.lasting.iter().map(|glob| &glob.glob).collect::<Vec<_>>(),
        "program": sandbox.program,
        "notes": sandbox.notes.iter().map(|note| note.0.clone()).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&document).map_err(|e| Failure::new(e.to_string()))?;
    out.line(&text);
    Ok(())
}
