//! What comes with the program: profiles, and the reference.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_policy::paths::Asker;
use swathe_policy::profile::read;
use swathe_policy::schema::{reference, schema};
use swathe_policy::vocabulary::{LIMITS, WORDS};
use swathe_policy::words::parse;
use swathe_policy::{Environment, Loader, SourceText, load};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn environment() -> Environment {
    Environment::usual("/home/user", "/home/user/project")
}

struct Shipped;

impl Loader for Shipped {
    fn load(&self, name: &OsStr) -> Result<SourceText, String> {
        let path = root().join("profiles").join(name).with_extension("toml");
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        Ok(SourceText::file(path, text))
    }
}

/// Every profile that is shipped can be used, without a warning, and says why for each intent.
#[test]
fn profiles() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("profiles")).expect("profiles") {
        let path = entry.expect("profiles").path();
        let name = OsString::from(path.file_stem().expect("a name"));
        let loaded = load(&Shipped, &[name], &environment(), &[])
            .unwrap_or_else(|found| panic!("{}", found[0]));
        assert_eq!(loaded.warnings, [], "{}", path.display());
        let silent = loaded.policy.intents.iter().find(|declared| declared.reason.is_none());
        assert_eq!(silent, None, "{}", path.display());
        count += 1;
    }
    assert!(count >= 4);
}

/// The tables of the reference are those of the vocabulary. `SWATHE_BLESS=1` writes them anew.
#[test]
fn documentation() {
    let path = root().join("docs/profiles.md");
    let text = std::fs::read_to_string(&path).expect("docs/profiles.md");
    let (start, end) = ("<!-- tables: begin -->\n\n", "\n<!-- tables: end -->");
    let from = text.find(start).expect("a beginning") + start.len();
    let to = text.find(end).expect("an end");
    if std::env::var_os("SWATHE_BLESS").is_some() {
        std::fs::write(&path, [&text[..from], &reference(), &text[to..]].concat())
            .expect("written");
        return;
    }
    assert_eq!(&text[from..to], reference());
}

/// Each example of the reference is read without an error.
#[test]
fn examples() {
    let text = std::fs::read_to_string(root().join("docs/profiles.md")).expect("docs/profiles.md");
    let mut count = 0;
    for block in text.split("```toml\n").skip(1) {
        let block = block.split("```").next().expect("an end");
        let manifest = swathe_policy::profile::is_manifest(block);
        let asker = if manifest { Asker::Manifest } else { Asker::User };
        let source = Arc::new(SourceText::file("example.toml", block));
        read(&source, asker, &environment()).unwrap_or_else(|found| panic!("{}", found[0]));
        count += 1;
    }
    assert!(count >= 2);
}

/// Each word that is not refused for a missing layer means something, as the table shows it, in a
/// profile and on the command line; the others are refused in both with that reason.
#[test]
fn vocabulary() {
    let values = [("path", "\"/srv/x\""), ("access", "\"rw\""), ("mode", "\"persist\"")];
    let values = values.into_iter().chain([("pass", "[\"A\"]"), ("set", "{ B = \"c\" }")]);
    let values = values.chain([("to", "\"10.0.0.0/8\""), ("port", "8080"), ("way", "\"pasta\"")]);
    let values: Vec<(&str, &str)> = values.collect();
    for word in WORDS {
        let names = word.name == "net.host";
        let value = |name: &str| match name {
            "to" if names => Some(&("to", "[\"*.example\"]")),
            name => values.iter().find(|(known, _)| *known == name),
        };
        let keys: String = word
            .keys
            .iter()
            .map(|key| format!("{} = {}\n", key.name, value(key.name).expect(key.name).1))
            .collect();
        let text = format!("[[intent]]\nuse = \"{}\"\n{keys}", word.name);
        let source = Arc::new(SourceText::file("p", text));
        let found = read(&source, Asker::User, &environment());
        let samples =
            [("PATH", "/srv/x"), ("RULE", "a.example"), ("BLOCK", "10.0.0.0/8"), ("PORT", "8080")];
        let short = word.short.split(", ").map(|form| {
            samples.iter().fold(form.to_owned(), |form, (name, value)| form.replace(name, value))
        });
        let parsed: Vec<_> = short.map(|form| parse(OsStr::new(&form), &environment())).collect();
        match word.later {
            None => {
                let document = found.unwrap_or_else(|found| panic!("{}", found[0]));
                assert_eq!(
                    document.policy.intents.len(),
                    word.keys.len().clamp(1, 2).min(if word.name == "env" { 2 } else { 1 },)
                );
                assert!(parsed.iter().all(Result::is_ok), "{}", word.name);
            }
            Some(reason) => {
                let message = &found.expect_err(word.name)[0].message;
                assert!(message.ends_with(reason), "{message}");
                assert!(parsed.iter().all(Result::is_err), "{}", word.name);
            }
        }
    }
    let names: BTreeSet<&str> = WORDS.iter().map(|word| word.name).collect();
    assert_eq!(names.len(), WORDS.len());
}

/// The schema names just the words, keys and limits that are taken.
#[test]
fn json_schema() {
    for asker in [Asker::User, Asker::Manifest] {
        let schema = schema(asker);
        let intents = schema["properties"]["intent"]["items"]["oneOf"].as_array().expect("a list");
        let names: Vec<&str> =
            intents.iter().filter_map(|i| i["properties"]["use"]["const"].as_str()).collect();
        let words = WORDS.iter().filter(|word| word.later.is_none());
        assert_eq!(names, words.map(|word| word.name).collect::<Vec<_>>());
        let limits = schema["properties"]["limits"]["properties"].as_object().expect("a table");
        assert_eq!(limits.len(), LIMITS.len());
        assert_eq!(schema["additionalProperties"], false);
        let reasons = intents.iter().all(|i| {
            let required = i["required"].as_array().expect("a list");
            required.iter().any(|key| key == "reason") == (asker == Asker::Manifest)
        });
        assert!(reasons);
    }
}
