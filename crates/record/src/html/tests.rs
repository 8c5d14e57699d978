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
        rule: None,
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
    let events =
        [event(b"/home/u/.ssh/id", Outcome::Denied(2)), event(b"/home/u/a", Outcome::Allowed), far];
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
