//! What happened in a sandbox, as one page for a browser: it loads nothing, and nothing that a
//! program wrote into a name becomes part of its structure.

mod tree;

use crate::bytes::Bytes;
use crate::event::{Action, Event, Layer, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Rows of a table.
const MAX_ROWS: usize = 200;
/// Bars of the timeline.
const BARS: usize = 60;
/// Programs that one cell names.
const MAX_NAMED: usize = 3;
/// Programs that are told apart for one object.
const MAX_PROGRAMS: usize = 64;

const STYLE: &str = include_str!("html/report.css");
const SCRIPT: &str = include_str!("html/report.js");
/// The only script that a browser may run on the page, by its hash.
const SCRIPT_HASH: &str = "nlloWaIfEtNoJwYOGsSjH61uOHqdUEmBcaw/fSdfHr0=";

/// What was done with one object, and by whom.
#[derive(Debug, Clone, Default)]
struct Uses {
    actions: BTreeSet<Action>,
    denied: BTreeMap<(Action, Layer), i32>,
    programs: BTreeMap<Bytes, u64>,
    events: u64,
}

impl Uses {
    fn add(&mut self, event: &Event, action: Action) {
        self.events += 1;
        match event.outcome {
            Outcome::Allowed | Outcome::Kept => {
                self.actions.insert(action);
            }
            Outcome::Denied(errno) => {
                self.denied.insert((action, event.layer), errno);
            }
        }
        if self.programs.len() < MAX_PROGRAMS || self.programs.contains_key(&event.program) {
            *self.programs.entry(event.program.clone()).or_default() += 1;
        }
    }

    /// Whether the sandbox denied something: what is nowhere, or forbidden by a file's own mode, is
    /// none of its doing.
    fn is_denied(&self) -> bool {
        self.denied.keys().any(|(_, layer)| *layer != Layer::Other)
    }
}

/// A page about these events. `lost`: how many more there were.
#[must_use]
pub fn report(title: &str, events: &[Event], lost: u64) -> String {
    let mut objects: BTreeMap<&Bytes, Uses> = BTreeMap::new();
    let mut programs: BTreeMap<&Bytes, Uses> = BTreeMap::new();
    for event in events {
        objects.entry(&event.object).or_default().add(event, event.action);
        programs.entry(&event.program).or_default().add(event, event.action);
        // Of other actions it is another name of the object.
        let moves = matches!(event.action, Action::Rename | Action::Create);
        if let Some(to) = event.to.as_ref().filter(|_| moves) {
            objects.entry(to).or_default().add(event, Action::Rename);
        }
    }
    let mut page = head(title);
    summary(&mut page, events, lost, &objects, programs.len());
    timeline(&mut page, events);
    denied(&mut page, &objects);
    network(&mut page, &objects);
    program_table(&mut page, &programs);
    tree::add(&mut page, &objects);
    page.push_str("<script>");
    page.push_str(SCRIPT);
    page.push_str("</script>\n</body>\n</html>\n");
    page
}

fn head(title: &str) -> String {
    let title = escape(&Bytes::from(title));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>swathe: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>What <code>{title}</code> touched</h1>\n"
    )
}

fn summary(
    page: &mut String,
    events: &[Event],
    lost: u64,
    objects: &BTreeMap<&Bytes, Uses>,
    programs: usize,
) {
    let denied = objects.values().filter(|uses| uses.is_denied()).count();
    let changed = [Action::Write, Action::Create, Action::Remove, Action::Rename, Action::Truncate];
    let paths = |uses: &(&&Bytes, &Uses)| uses.0.0.starts_with(b"/");
    let changed = objects
        .iter()
        .filter(paths)
        .filter(|(_, uses)| changed.iter().any(|action| uses.actions.contains(action)))
        .count();
    let reached = objects.keys().filter(|object| is_address(object)).count();
    page.push_str("<div class=\"tiles\">");
    let tiles = [
        (programs, "programs", false),
        (objects.len() - reached, "paths and calls", false),
        (changed, "paths changed", false),
        (reached, "addresses", false),
        (denied, "objects denied", denied > 0),
    ];
    for (number, what, bad) in tiles {
        let class = if bad { "tile bad" } else { "tile" };
        push(page, format_args!("<div class=\"{class}\"><b>{number}</b><span>{what}</span></div>"));
    }
    page.push_str("</div>\n");
    let count = events.len();
    push(page, format_args!("<p class=\"dim\">{count} events; one that repeats is recorded once."));
    if lost > 0 {
        push(page, format_args!(" <strong class=\"deny\">{lost} more are missing.</strong>"));
    }
    page.push_str("</p>\n");
}

fn timeline(page: &mut String, events: &[Event]) {
    let times = || events.iter().map(|event| event.time);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return };
    let length = (last - first).max(1);
    let mut bars = [(0u64, 0u64); BARS];
    for event in events {
        let at = u128::from(event.time - first) * (BARS as u128 - 1) / u128::from(length);
        let Some(bar) = usize::try_from(at).ok().and_then(|at| bars.get_mut(at)) else { continue };
        let bad = matches!(event.outcome, Outcome::Denied(_)) && event.layer != Layer::Other;
        if bad { bar.1 += 1 } else { bar.0 += 1 }
    }
    let most = bars.iter().map(|(good, bad)| good + bad).max().unwrap_or(1).max(1);
    page.push_str("<h2>When</h2>\n<svg viewBox=\"0 0 600 60\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"events over time\">");
    for (at, (good, bad)) in bars.iter().enumerate() {
        if good + bad == 0 {
            continue;
        }
        let height = |count: u64| (count * 56).div_ceil(most);
        let (good_height, bad_height) = (height(*good), height(*bad));
        let x = at * 10 + 1;
        push(page, format_args!("<g><title>{good} went on, {bad} denied</title>"));
        let y = 60u64.saturating_sub(good_height);
        if *good > 0 {
            push(
                page,
                format_args!(
                    "<rect class=\"ok\" x=\"{x}\" y=\"{y}\" width=\"8\" height=\"{good_height}\"/>"
                ),
            );
        }
        if *bad > 0 {
            let y = y.saturating_sub(bad_height);
            push(
                page,
                format_args!(
                    "<rect class=\"bad\" x=\"{x}\" y=\"{y}\" width=\"8\" height=\"{bad_height}\"/>"
                ),
            );
        }
        page.push_str("</g>");
    }
    let seconds = format!("{}.{:03} s", length / 1_000_000, length / 1000 % 1000);
    push(
        page,
        format_args!(
            "</svg>\n<div class=\"axis\"><span>0 s</span><span>new events over time</span><span>{seconds}</span></div>\n"
        ),
    );
}

fn denied(page: &mut String, objects: &BTreeMap<&Bytes, Uses>) {
    let mut rows: Vec<(&&Bytes, &Uses)> =
        objects.iter().filter(|(_, uses)| uses.is_denied()).collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|(object, uses)| (std::cmp::Reverse(uses.events), object.to_owned()));
    page.push_str("<h2>Denied by the sandbox</h2>\n<table><thead><tr><th>What</th><th>Wanted</th><th>By which layer</th><th>Program</th></tr></thead><tbody>\n");
    let count = rows.len();
    for (object, uses) in rows.into_iter().take(MAX_ROWS) {
        let by_sandbox = || uses.denied.keys().filter(|(_, layer)| *layer != Layer::Other);
        let wanted: BTreeSet<&str> = by_sandbox().map(|(action, _)| verb(*action)).collect();
        let layers: BTreeSet<&str> = by_sandbox().map(|(_, layer)| layer_name(*layer)).collect();
        let wanted = wanted.into_iter().collect::<Vec<_>>().join(", ");
        let layers = layers.into_iter().collect::<Vec<_>>().join(", ");
        push(
            page,
            format_args!(
                "<tr><td class=\"obj\"><bdi>{}</bdi></td><td data-t=\"wanted\"><span class=\"mark deny\">denied</span>{wanted}</td><td data-t=\"by\">{layers}</td><td data-t=\"program\">{}</td></tr>\n",
                escape(object),
                named(uses)
            ),
        );
    }
    end_table(page, count, 4);
}

fn network(page: &mut String, objects: &BTreeMap<&Bytes, Uses>) {
    let rows: Vec<(&&Bytes, &Uses)> =
        objects.iter().filter(|(object, _)| is_address(object)).collect();
    if rows.is_empty() {
        return;
    }
    page.push_str("<h2>Network and sockets</h2>\n<table><thead><tr><th>Address</th><th>What</th><th>Program</th></tr></thead><tbody>\n");
    let count = rows.len();
    for (object, uses) in rows.into_iter().take(MAX_ROWS) {
        push(
            page,
            format_args!(
                "<tr><td class=\"obj\"><bdi>{}</bdi></td><td data-t=\"what\">{}</td><td data-t=\"program\">{}</td></tr>\n",
                escape(object),
                marks(uses),
                named(uses)
            ),
        );
    }
    end_table(page, count, 3);
}

fn program_table(page: &mut String, programs: &BTreeMap<&Bytes, Uses>) {
    if programs.is_empty() {
        return;
    }
    let mut rows: Vec<(&&Bytes, &Uses)> = programs.iter().collect();
    rows.sort_by_key(|(program, uses)| (std::cmp::Reverse(uses.events), program.to_owned()));
    page.push_str("<h2>Programs</h2>\n<table><thead><tr><th>Program</th><th class=\"num\">Events</th><th>What it did</th></tr></thead><tbody>\n");
    let count = rows.len();
    for (program, uses) in rows.into_iter().take(MAX_ROWS) {
        let name = if program.0.is_empty() { "(unknown)".to_owned() } else { escape(program) };
        push(
            page,
            format_args!(
                "<tr><td class=\"obj\"><bdi>{name}</bdi></td><td class=\"num\" data-t=\"events\">{}</td><td>{}</td></tr>\n",
                uses.events,
                marks(uses)
            ),
        );
    }
    end_table(page, count, 3);
}

fn end_table(page: &mut String, count: usize, columns: usize) {
    if count > MAX_ROWS {
        let more = count - MAX_ROWS;
        push(
            page,
            format_args!("<tr><td colspan=\"{columns}\" class=\"dim\">and {more} more</td></tr>\n"),
        );
    }
    page.push_str("</tbody></table>\n");
}

/// What was done, in words that have a colour, too.
fn marks(uses: &Uses) -> String {
    let mut text = String::new();
    for action in &uses.actions {
        let class = match action {
            Action::Read => "read",
            Action::Write | Action::Truncate | Action::Metadata => "write",
            Action::Create | Action::Remove | Action::Rename | Action::Bind => "make",
            Action::Execute | Action::Connect | Action::Call | Action::Exceed => "run",
            Action::Stat => continue,
        };
        push(&mut text, format_args!("<span class=\"mark {class}\">{}</span>", verb(*action)));
    }
    if uses.is_denied() {
        text.push_str("<span class=\"mark deny\">denied</span>");
    } else if uses.actions.is_empty() && !uses.denied.is_empty() {
        text.push_str("<span class=\"mark look\">failed</span>");
    } else if text.is_empty() {
        text.push_str("<span class=\"mark look\">looked at</span>");
    }
    text
}

/// The programs, most events first.
fn named(uses: &Uses) -> String {
    let mut all: Vec<(&Bytes, &u64)> = uses.programs.iter().collect();
    all.sort_by_key(|(program, count)| (std::cmp::Reverse(**count), program.to_owned()));
    let more = all.len().saturating_sub(MAX_NAMED);
    let names: Vec<String> = all
        .iter()
        .take(MAX_NAMED)
        .map(|(program, _)| {
            let name = program.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
            format!("<bdi>{}</bdi>", escape(&Bytes(name.to_vec())))
        })
        .collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Connect => "connect",
        Action::Bind => "listen",
        other => other.verb(),
    }
}

fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::Mount => "mount: not shown, or read-only",
        Layer::Landlock => "Landlock",
        Layer::Filter => "system call filter",
        Layer::Network => "network",
        Layer::Limit => "limit",
        Layer::Level => "access level",
        Layer::User => "you",
        Layer::Other => "the file's own mode, or the host",
    }
}

fn is_address(object: &Bytes) -> bool {
    [&b"unix:"[..], b"tcp:", b"udp:", b"dns:", b"echo:", b"listen:"]
        .iter()
        .any(|kind| object.0.starts_with(kind))
}

/// Text that is nothing but text, also within quotes.
fn escape(bytes: &Bytes) -> String {
    let mut text = String::new();
    for c in bytes.to_string().chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            // They are not seen, and names could look alike.
            '\u{ad}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {
                push(&mut text, format_args!("\\u{{{:x}}}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text
}

/// Writing to a string does not fail.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests;
