//! The text of a profile, which may extend a good one, itself, and one that is made of the same
//! bytes; and the lines of the text as words behind `--allow`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use swathe_policy::diagnostic::{Diagnostic, Severity};
use swathe_policy::merge::{Layer, merge};
use swathe_policy::paths::{Asker, Verdict, judge};
use swathe_policy::profile::MOST_ERRORS;
use swathe_policy::words::{parse, written};
use swathe_policy::{Access, Environment, Intent, Loader, Policy, SourceText, load};

/// Where the texts are read.
pub fn environment() -> Environment {
    Environment::usual("/home/user", "/home/user/project")
}

struct Texts<'t>(&'t str);

impl Loader for Texts<'_> {
    fn load(&self, name: &OsStr) -> Result<SourceText, String> {
        match name.as_bytes() {
            b"a" | b"b" => Ok(SourceText::file(name, self.0)),
            b"good" => Ok(SourceText::file(name, "[[intent]]\nuse = \"gpu\"\n")),
            _ => Err("none".to_owned()),
        }
    }
}

/// Findings draw nothing but printable characters, and are not without end.
pub fn printable(found: &[Diagnostic]) {
    assert!(!found.is_empty() && found.len() <= MOST_ERRORS + 1);
    for one in found {
        let text = one.render();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.len() < 64 << 10);
        if let Some((line, column)) = one.position() {
            assert!(line > 0 && column > 0);
        }
    }
}

/// What a policy asks for is nothing that is refused to who asks.
pub fn allowed(policy: &Policy, asker: Asker) {
    for declared in &policy.intents {
        if let Intent::FilesDir { path, access } = &declared.intent {
            assert!(path.is_absolute());
            let verdict = judge(path, *access != Access::ReadOnly, asker, &environment());
            assert!(!matches!(verdict, Verdict::Refuse(_)), "{path:?} {verdict:?}");
        }
        let word = written(&declared.intent);
        let again = parse(OsStr::new(&word), &environment());
        assert_eq!(again.as_ref(), Ok(&declared.intent), "{word:?}");
    }
}

/// Either findings that can be shown, or a policy that holds nothing refused, stays itself when it
/// is merged, and can be written as words.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match load(&Texts(&text), &["a".into()], &environment(), &[]) {
        Err(found) => printable(&found),
        Ok(loaded) => {
            allowed(&loaded.policy, Asker::User);
            assert!(loaded.warnings.iter().all(|w| w.severity == Severity::Warning));
            let again = merge(&[(Layer::User, loaded.policy.clone())]);
            assert_eq!(again, loaded.policy);
        }
    }
    let lines = data.split(|b| *b == b'\n').take(16);
    let words: Vec<OsString> = lines.map(|line| OsStr::from_bytes(line).to_owned()).collect();
    match load(&Texts(""), &[], &environment(), &words) {
        // Each word has a finding of its own.
        Err(found) => found.iter().for_each(|one| printable(std::slice::from_ref(one))),
        Ok(loaded) => {
            for declared in &loaded.policy.intents {
                assert!(!written(&declared.intent).is_empty());
            }
        }
    }
}
