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
        if let Some(to) = &event.to {
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
            Action::Execute | Action::Connect | Action::Call => "run",
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
        Action::Stat => "look at",
        Action::Read => "read",
        Action::Write => "write",
        Action::Create => "create",
        Action::Remove => "remove",
        Action::Rename => "rename",
        Action::Truncate => "shorten",
        Action::Metadata => "change mode",
        Action::Execute => "run",
        Action::Connect => "connect",
        Action::Bind => "listen",
        Action::Call => "call",
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
        Layer::Other => "the file's own mode",
    }
}

fn is_address(object: &Bytes) -> bool {
    [&b"unix:"[..], b"tcp:", b"udp:"].iter().any(|kind| object.0.starts_with(kind))
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(object: &[u8], outcome: Outcome) -> Event {
        Event {
            time: 7,
            pid: 1,
            program: "/usr/bin/tool".into(),
            action: Action::Read,
            object: Bytes(object.to_vec()),
            to: None,
            outcome,
            layer: Layer::Mount,
            reason: None,
        }
    }

    /// The tags of a page, without those that end one; every one that has to be ended is.
    fn tags(page: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut open: Vec<String> = Vec::new();
        let mut rest = page;
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            let end = rest.find('>').expect("a tag ends");
            let tag = rest[..end].to_owned();
            rest = &rest[end + 1..];
            let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or_default();
            if tag.starts_with('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "{tag}");
            } else if !tag.ends_with('/') && !["!doctype", "meta", "input"].contains(&name) {
                open.push(name.to_owned());
                if ["style", "script"].contains(&name) {
                    rest = &rest[rest.find(&format!("</{name}>")).expect("an end")..];
                }
            }
            if !tag.starts_with('/') {
                found.push(tag);
            }
        }
        assert_eq!(open, [""; 0]);
        found
    }

    /// Names of every kind are text, and the page's own elements are the only ones.
    #[test]
    fn hostile_names() {
        let plain = tags(&report("x", &[event(b"/a/name", Outcome::Allowed)], 0));
        for bad in [
            "<script>alert(1)</script>",
            "</bdi></summary><img src=x onerror=alert(1)>",
            "\"onmouseover=\"alert(1)",
            "'><b>",
            "&lt;b&gt;&#x3c;",
            "</title><script>",
            "</style>",
            "</script>",
            "-->",
            "\u{202e}cod.exe\u{2066}",
            "\x00\x1b[31m\n\r\t",
            "\u{feff}\u{200b}",
        ] {
            let object = format!("/a/{bad}").into_bytes();
            let mut named = event(&object, Outcome::Allowed);
            named.program = bad.into();
            let page = report(bad, &[named], 0);
            assert_eq!(tags(&page).len(), plain.len(), "{bad:?}");
            assert_eq!(page.matches("<script>").count(), 1, "{bad:?}");
            let steers = |c: char| {
                c != '\n' && c.is_control()
                    || matches!(c, '\u{200b}'..='\u{202e}' | '\u{2066}' | '\u{feff}')
            };
            assert_eq!(page.chars().find(|c| steers(*c)), None, "{bad:?}");
        }
    }

    proptest! {
        /// Any bytes give a page of which every element is one of ours.
        #[test]
        fn any_events(objects in prop::collection::vec((any::<Vec<u8>>(), any::<bool>(), 0u64..9), 0..20)) {
            let events: Vec<Event> = objects.into_iter().map(|(object, denied, time)| {
                let path = [&b"/"[..], &object].concat();
                let outcome = if denied { Outcome::Denied(2) } else { Outcome::Allowed };
                Event { time, ..event(if denied { &object } else { &path }, outcome) }
            }).collect();
            let known = [
                "!doctype", "html", "head", "meta", "title", "style", "body", "h1", "h2", "code", "div", "b", "span",
                "p", "strong", "svg", "g", "rect", "table", "thead", "tbody", "tr", "th", "td", "bdi", "ul", "li",
                "details", "summary", "input", "button", "script",
            ];
            for tag in tags(&report("any", &events, 3)) {
                prop_assert!(known.contains(&tag.split(' ').next().unwrap_or_default()), "{}", tag);
            }
        }
    }

    /// What was denied is said in a word, and by which layer; how much there was, too.
    #[test]
    fn what_it_says() {
        let mut far = event(b"tcp:192.0.2.1:80", Outcome::Denied(101));
        (far.layer, far.action) = (Layer::Network, Action::Connect);
        let events = [
            event(b"/home/u/.ssh/id", Outcome::Denied(2)),
            event(b"/home/u/a", Outcome::Allowed),
            far,
        ];
        let page = report("git status", &events, 4);
        for text in [
            "git status",
            "denied</span>read",
            "mount: not shown",
            "192.0.2.1:80",
            "4 more are missing",
            ">tool<",
        ] {
            assert!(page.contains(text), "{text}\n{page}");
        }
        tags(&page);
    }

    /// Very many and very deep paths stay a page that can be opened.
    #[test]
    fn bounded() {
        let mut events: Vec<Event> = (0..50_000)
            .map(|n| event(format!("/d{}/f{n}", n % 400).as_bytes(), Outcome::Allowed))
            .collect();
        events.push(event("/x".repeat(2000).as_bytes(), Outcome::Denied(13)));
        for n in 0..2000 {
            events.push(event(format!("{}/{n}", "/y".repeat(n)).as_bytes(), Outcome::Allowed));
        }
        let page = report("many", &events, 0);
        assert!(page.len() < 12 << 20, "{}", page.len());
        assert!(page.matches("<li>").count() < 21_000 && page.contains(" more</div>"));
        tags(&page);
        tags(&report("none", &[], 0));
    }

    /// Browsers run the script of the page, and only it: its hash is the one that is allowed.
    #[test]
    fn the_script_is_allowed() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut sum = Command::new("sha256sum");
        let sum = sum.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut sum = sum.spawn().expect("sha256sum, of coreutils");
        let mut input = sum.stdin.take().expect("a pipe");
        input.write_all(SCRIPT.as_bytes()).expect("written");
        drop(input);
        let text = sum.wait_with_output().expect("a sum").stdout;
        let hex = |at: usize| {
            u8::from_str_radix(std::str::from_utf8(&text[at * 2..][..2]).expect("digits"), 16)
        };
        let bytes: Vec<u8> = (0..32).map(|at| hex(at).expect("digits")).collect();
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut base64 = String::new();
        for group in bytes.chunks(3) {
            let byte = |at: usize| u32::from(*group.get(at).unwrap_or(&0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for place in 0..=group.len() {
                let index = usize::try_from(bits >> (18 - 6 * place) & 63).expect("small");
                base64.push(char::from(alphabet[index]));
            }
        }
        assert_eq!(base64 + "=", SCRIPT_HASH);
    }
}
