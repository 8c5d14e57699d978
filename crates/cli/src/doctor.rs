//! `swathe doctor`: whether this machine can sandbox, what forbids it, and the fix.

pub mod network;

use crate::out::{Failure, Printer, Style, shown};
use serde::Serialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use swathe_host::facts::{FORMAT, Facts, MAX_RECORDING};
use swathe_host::findings::{Finding, Fix, Severity, enforceable, findings, worst};
use swathe_host::layers::{Layers, capabilities};

/// Exit status when a layer or a feature is missing. Not 1 and 2, which say that the command itself
/// failed or was used wrongly.
const DEGRADES: u8 = 3;
/// Exit status when no sandbox can be made.
const BLOCKS: u8 = 4;

/// Where the text of a finding begins, in columns.
const INDENT: usize = 10;

/// Options of `swathe doctor`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Judge what `swathe doctor --json` printed elsewhere ("-": standard input)
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
}

/// What `--json` prints. docs/doctor.md describes it.
#[derive(Serialize)]
struct Report<'a> {
    format: u32,
    verdict: Severity,
    findings: &'a [Finding],
    layers: &'a Layers,
    facts: &'a Facts,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let facts = match &arguments.facts {
        Some(path) => recorded(path)?,
        None => probe(),
    };
    let (found, layers) = (findings(&facts), capabilities(&facts));
    let verdict = worst(&found);
    let mut out = Printer::stdout();
    if arguments.json {
        let report =
            Report { format: FORMAT, verdict, findings: &found, layers: &layers, facts: &facts };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|e| Failure::new(format!("cannot write the findings as JSON: {e}")))?;
        out.line(&text);
    } else {
        heading(&mut out, &facts, &layers, verdict);
        for finding in &found {
            print(&mut out, finding);
        }
    }
    out.finish()?;
    Ok(match verdict {
        Severity::Ok | Severity::Info => 0,
        Severity::Degrades => DEGRADES,
        Severity::Blocks => BLOCKS,
    })
}

/// Asks this machine.
fn probe() -> Facts {
    let engine = swathe::Engine::find().ok();
    let mut facts = Facts::probe(engine.as_ref().map(swathe::Engine::path));
    let trial = facts.bwrap.as_ref().and_then(|bwrap| bwrap.trial.as_ref());
    let made = trial.is_some_and(|trial| trial.namespaces.made() == Some(true));
    if let Some(engine) = engine.filter(|_| made) {
        facts.network.pasta = network::attempt_pasta(engine.clone());
        network::attempt(engine, &mut facts.network);
    }
    facts
}

/// Reads facts: alone, or within all that `--json` printed.
fn recorded(path: &Path) -> Result<Facts, Failure> {
    let name = shown(&path.to_string_lossy());
    let failed =
        |e: &dyn std::fmt::Display| Failure::new(format!("cannot read facts from {name}: {e}"));
    let most = MAX_RECORDING as u64 + 1;
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut text))
    };
    read.map_err(|e| failed(&e))?;
    if text.len() > MAX_RECORDING {
        return Err(failed(&format!("it is longer than {MAX_RECORDING} bytes")));
    }
    let mut value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| failed(&e))?;
    if let Some(facts) = value.get_mut("facts") {
        value = facts.take();
    }
    let facts: Facts = serde_json::from_value(value).map_err(|e| failed(&shown(&e.to_string())))?;
    if facts.format != FORMAT {
        let text = format!("it is of format {}, and this program reads {FORMAT}", facts.format);
        return Err(failed(&text));
    }
    Ok(facts)
}

fn heading(out: &mut Printer, facts: &Facts, layers: &Layers, verdict: Severity) {
    let (style, text) = match verdict {
        Severity::Ok | Severity::Info => (Style::Green, "This machine can sandbox."),
        Severity::Degrades => (Style::Yellow, "This machine can sandbox, with something missing."),
        Severity::Blocks => (Style::Red, "This machine cannot sandbox."),
    };
    out.styled(style, text).plain("\n");
    let system = facts.system.as_deref().unwrap_or("unknown system");
    let kernel = &facts.kernel;
    let who = if facts.caller.uid == 0 { "root".to_owned() } else { facts.caller.uid.to_string() };
    let about = format!("{system}, Linux {} {}, as user {who}", kernel.release, kernel.machine);
    out.paragraph(0, &shown(&about));
    if let Some(bwrap) = &facts.bwrap {
        let version = bwrap.version.as_deref().unwrap_or("version unknown");
        out.paragraph(0, &shown(&format!("{} ({version})", bwrap.path)));
    }
    if verdict != Severity::Blocks {
        out.paragraph(0, &format!("Layers: {}", enforceable(layers).join(", ")));
    }
    out.line("");
}

fn print(out: &mut Printer, finding: &Finding) {
    let (style, word) = match finding.severity {
        Severity::Ok => (Style::Green, "ok"),
        Severity::Info => (Style::Dim, "info"),
        Severity::Degrades => (Style::Yellow, "degrades"),
        Severity::Blocks => (Style::Red, "blocks"),
    };
    out.styled(style, word).plain(&" ".repeat(INDENT - word.len()));
    hanging(out, &shown(&finding.what));
    if !finding.why.is_empty() {
        out.paragraph(INDENT, &shown(&finding.why));
    }
    if let Some(fix) = &finding.fix {
        print_fix(out, fix);
    }
    if let Some(reference) = &finding.reference
        && finding.severity > Severity::Ok
    {
        out.paragraph(INDENT, &format!("See {reference}."));
    }
    if finding.severity > Severity::Ok {
        out.line("");
    }
}

/// A paragraph whose first line has been begun.
fn hanging(out: &mut Printer, text: &str) {
    for (number, line) in wrap(text, out.width().saturating_sub(INDENT), "").iter().enumerate() {
        let indent = if number == 0 { 0 } else { INDENT };
        out.plain(&" ".repeat(indent)).line(line);
    }
}

fn print_fix(out: &mut Printer, fix: &Fix) {
    let indent = " ".repeat(INDENT);
    if let Some(command) = &fix.temporary {
        out.plain(&indent).line("For now:");
        print_command(out, command);
    }
    if let Some(file) = &fix.permanent {
        out.paragraph(INDENT, &format!("For good, in the file {}:", shown(&file.path)));
        for line in file.contents.lines() {
            out.plain(&indent).plain("  ").styled(Style::Bold, &shown(line)).plain("\n");
        }
        out.plain(&indent).line("and then:");
        print_command(out, &file.then);
    }
    if let Some(advice) = &fix.advice {
        out.paragraph(INDENT, &shown(advice));
    }
}

/// A command that can be pasted as it stands: lines that go on end in a backslash.
fn print_command(out: &mut Printer, command: &str) {
    let lines = wrap(&shown(command), out.width().saturating_sub(INDENT + 4), " \\");
    for (number, line) in lines.iter().enumerate() {
        let deeper = if number == 0 { INDENT + 2 } else { INDENT + 4 };
        out.plain(&" ".repeat(deeper)).styled(Style::Bold, line).plain("\n");
    }
}

/// Lines of at most `width` columns, `more` included, which ends each line but the last. A word
/// that is longer stands alone.
fn wrap(text: &str, width: usize, more: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = line.chars().count() + 1 + word.chars().count() + more.len();
        if !line.is_empty() && longer > width {
            lines.push(std::mem::take(&mut line) + more);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
