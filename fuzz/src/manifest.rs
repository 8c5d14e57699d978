//! The text of a manifest and, behind a byte 0, that of its grants.

use crate::profile::{allowed, environment, printable};
use std::sync::Arc;
use swathe_policy::grants::{in_force, needed};
use swathe_policy::paths::Asker;
use swathe_policy::words::written;
use swathe_policy::{Grants, Manifest, SourceText};

/// Findings that can be shown; or a manifest that asks for nothing that no app gets, each intent
/// with a reason, of which nothing new is in force before somebody decides, and just that after.
pub fn run(data: &[u8]) {
    let split = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    let (text, rest) = data.split_at(split);
    let source = Arc::new(SourceText::file("m.toml", String::from_utf8_lossy(text)));
    let env = environment();
    let id = "org.example.App";
    let text = String::from_utf8_lossy(rest.get(1..).unwrap_or_default());
    let mut grants = match Grants::read(&Arc::new(SourceText::file("g.toml", text)), id) {
        Ok(grants) => {
            let text = grants.text().expect("what was read can be written");
            let again = Grants::read(&Arc::new(SourceText::file("g.toml", text)), id);
            assert_eq!(again.as_ref(), Ok(&grants));
            grants
        }
        Err(found) => {
            printable(&found);
            Grants::none(id)
        }
    };
    let manifest = match Manifest::read(&source, &env) {
        Ok(manifest) => manifest,
        Err(found) => return printable(&found),
    };
    allowed(&manifest.policy, Asker::Manifest);
    assert!(manifest.policy.intents.iter().all(|declared| declared.reason.is_some()));
    assert!(manifest.policy.unprotect.is_empty() && !manifest.app.command.is_empty());
    grants.app.clone_from(&manifest.app.id);
    let open = needed(&manifest, &grants, &env);
    let force = in_force(&manifest, &grants);
    for declared in &force.intents {
        assert!(manifest.policy.intents.contains(declared));
        assert!(open.iter().all(|question| question.intent != declared.intent));
    }
    let answers: Vec<(String, bool)> =
        open.iter().enumerate().map(|(at, q)| (q.key.clone(), at % 2 == 0)).collect();
    grants.apply(&answers, 1);
    assert!(needed(&manifest, &grants, &env).is_empty());
    let after = in_force(&manifest, &grants);
    for (key, yes) in answers {
        let there = after.intents.iter().any(|declared| written(&declared.intent) == key);
        assert_eq!(there, yes, "{key}");
    }
}
