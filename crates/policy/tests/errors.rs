//! What is said about bad profiles, manifests and words, to the letter. `SWATHE_BLESS=1` writes the
//! expected texts anew, to be read before they are kept.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_policy::diagnostic::{Diagnostic, render_all};
use swathe_policy::{Environment, Loader, Manifest, SourceText, load};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

fn environment() -> Environment {
    Environment::usual("/home/user", "/home/user/project")
}

/// Names are those of `bad/named`, paths those of `bad/profile`.
struct Texts;

impl Loader for Texts {
    fn load(&self, name: &OsStr) -> Result<SourceText, String> {
        let name = name.to_string_lossy();
        let (path, shown) = match name.strip_prefix("./") {
            Some(name) => (directory().join("profile").join(name), name.to_owned()),
            None => (directory().join(format!("named/{name}.toml")), format!("named/{name}.toml")),
        };
        let text = std::fs::read_to_string(path).map_err(|_| format!("no profile `{name}`"))?;
        Ok(SourceText::file(shown, text))
    }
}

/// Each text of a directory is refused with what stands beside it.
fn compare(kind: &str, check: impl Fn(&str) -> Result<(), Vec<Diagnostic>>) {
    let directory = directory().join(kind);
    let bless = std::env::var_os("SWATHE_BLESS").is_some();
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&directory).expect(kind) {
        let path = entry.expect(kind).path();
        if path.extension() != Some(OsStr::new("toml")) {
            continue;
        }
        let name = path.file_name().expect(kind).to_string_lossy().into_owned();
        let found = check(&name).expect_err(&name);
        let text = render_all(&found) + "\n";
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'),
            "{name} draws"
        );
        let expected = path.with_extension("txt");
        if bless {
            std::fs::write(&expected, &text).expect(&name);
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != text {
            wrong.push(format!("{name}:\n{text}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 5, "{kind} holds texts");
}

/// Every bad profile is refused with file, line, column, caret and what to do, and nothing of it
/// reaches the terminal but printable characters.
#[test]
fn profiles() {
    compare("profile", |name| {
        load(&Texts, &[OsString::from(format!("./{name}"))], &environment(), &[]).map(drop)
    });
}

/// Every bad manifest is refused likewise, those among them that want what no app gets.
#[test]
fn manifests() {
    compare("manifest", |name| {
        let text = std::fs::read_to_string(directory().join("manifest").join(name)).expect(name);
        Manifest::read(&Arc::new(SourceText::file(name, text)), &environment()).map(drop)
    });
}

/// Options about the network are refused at the very rule that is wrong.
#[test]
fn network_words() {
    let all = |texts: &[&str]| -> Vec<OsString> { texts.iter().map(OsString::from).collect() };
    let net = all(&["a.example:443,https://b.example,c.example", "a..b", "*.example:80,x"]);
    let deny = all(&["ads.example,1.2.3", "a.example:443/http"]);
    let publish = all(&["80:0", "8080/udp", "::1:80"]);
    let words = swathe_policy::words::Network { net: &net, deny: &deny, publish: &publish };
    let mut found = swathe_policy::words::network(words).expect_err("bad words");
    let net = all(&["none,a.example"]);
    let words = swathe_policy::words::Network { net: &net, ..Default::default() };
    found.extend(swathe_policy::words::network(words).expect_err("a contradiction"));
    same("network.txt", &(render_all(&found) + "\n"));
}

/// Each bad word of the command line is refused, all at once.
#[test]
fn words() {
    let words = [
        "gpuu",
        "gpu=1",
        "files.dir",
        "files.dir=",
        "files.dir=/x:rx",
        "files.dir=/a:b:rw ",
        "files.dir=../x",
        "files.dir=~:ro",
        "files.hide=/",
        "state",
        "env",
        "env=",
        "env==x",
        "display.x11",
        "net.host",
        "net.host=",
        "net.host=https://example.org",
        "net.host=example.org:0",
        "net.host=10.0.0.1:80",
        "net.host=0x7f.1:80",
        "net.host=localhost",
        "net.host=localhost:*",
        "net.cidr=example.org",
        "net.cidr=10.0.0.1/8",
        "net.cidr=2001:db8::1",
        "net.deny=*.",
        "net.listen=0",
        "net.listen=localhost:80",
        "net.ask=example.org",
        "files.cwd=rx",
        "",
        "\u{1b}[2J",
        "files.dir=/home/user/.config/swathe:rw",
    ];
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let found = load(&Texts, &[], &environment(), &words).expect_err("bad words");
    assert_eq!(found.len(), words.len());
    same("words.txt", &(render_all(&found) + "\n"));
}

/// A text is that of the file.
fn same(name: &str, text: &str) {
    let expected = directory().join(name);
    if std::env::var_os("SWATHE_BLESS").is_some() {
        std::fs::write(&expected, text).expect("written");
    }
    let expected = std::fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(text, expected);
}
