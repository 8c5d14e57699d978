//! The handshake of an app's manifest and its user's grants: in force is only what both say.

use crate::describe::{danger, describe};
use crate::diagnostic::{Diagnostic, SourceText};
use crate::intent::quoted;
use crate::model::{Access, Declared, Intent, Policy, State};
use crate::network::{self, Takes};
use crate::paths::{Asker, Environment};
use crate::profile::{App, LONGEST_FILE, app_id, read};
use crate::words::{parse, written};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::Arc;

/// What an app intends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The app.
    pub app: App,
    /// What it asks for; all with a reason.
    pub policy: Policy,
    /// What is dangerous about it.
    pub warnings: Vec<Diagnostic>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// All that is wrong with it, and all that no app ever gets.
    pub fn read(source: &Arc<SourceText>, env: &Environment) -> Result<Self, Vec<Diagnostic>> {
        let document = read(source, Asker::Manifest, env)?;
        let missing = || vec![Diagnostic::error("the manifest has no table `[app]`")];
        let app = document.app.ok_or_else(missing)?;
        Ok(Self { app, policy: document.policy, warnings: document.warnings })
    }

    /// What its user decides about, each once, in the order of the manifest. An intent that only
    /// takes away, or touches nothing but the sandbox's own, needs no decision.
    pub fn questions(&self, env: &Environment) -> Vec<Question> {
        let mut seen = BTreeSet::new();
        let mut result = Vec::new();
        for declared in self.policy.intents.iter().filter(|declared| !free(&declared.intent)) {
            let key = written(&declared.intent);
            if seen.insert(key.clone()) {
                result.push(Question {
                    key,
                    intent: declared.intent.clone(),
                    what: describe(&declared.intent),
                    reason: declared.reason.clone().unwrap_or_default(),
                    danger: danger(&declared.intent, env),
                });
            }
        }
        result
    }
}

/// Whether an intent is in force without being granted.
fn free(intent: &Intent) -> bool {
    matches!(
        intent,
        Intent::NetNone
            | Intent::NetLoopback
            | Intent::NetDeny(_)
            | Intent::FilesHide(_)
            | Intent::FilesHideGlob(_)
            | Intent::State(State::Ephemeral)
            | Intent::EnvSet(..)
    )
}

/// Something that a user decides. Texts are the manifest's, as they are: who shows them escapes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The intent as a word of the command line; the same for the same intent, always.
    pub key: String,
    /// The intent.
    pub intent: Intent,
    /// What it allows, in words.
    pub what: String,
    /// Why, in the words of the app's author.
    pub reason: String,
    /// Why it is dangerous.
    pub danger: Option<String>,
}

/// What a user decided about an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// The app's id.
    pub app: String,
    /// Decisions by the intent's key.
    pub decisions: BTreeMap<String, Decision>,
}

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Yes or no.
    pub allowed: bool,
    /// When, in seconds since 1970.
    pub when: u64,
    /// When the intent was last in use.
    pub last_used: Option<u64>,
    /// In how many runs the intent was in use.
    pub uses: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app: String,
    #[serde(default, rename = "grant")]
    grants: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    intent: String,
    allowed: bool,
    when: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used: Option<u64>,
    #[serde(default)]
    uses: u64,
}

/// Most decisions that are kept about an app.
const MOST_DECISIONS: usize = 10_000;

impl Grants {
    /// No decision about an app.
    pub fn none(app: impl Into<String>) -> Self {
        Self { app: app.into(), decisions: BTreeMap::new() }
    }

    /// Reads what [`Grants::text`] wrote.
    ///
    /// # Errors
    /// The text is none of these, is about another app, or decides twice about one intent.
    pub fn read(source: &Arc<SourceText>, app: &str) -> Result<Self, Vec<Diagnostic>> {
        let file: File = crate::profile::decode(source, "grants")?;
        let wrong = |message: String| vec![Diagnostic::error(message).at(source, 0..0, "")];
        if file.app != app {
            return Err(wrong(format!("these are the grants of {}", quoted(&file.app))));
        }
        let mut grants = Self::none(app);
        for Entry { intent, allowed, when, last_used, uses } in file.grants {
            let decision = Decision { allowed, when, last_used, uses };
            if grants.decisions.insert(intent.clone(), decision).is_some() {
                return Err(wrong(format!("two decisions about {}", quoted(&intent))));
            }
        }
        Ok(grants)
    }

    /// The grants as the text of a file.
    ///
    /// # Errors
    /// There are more than fit into a file that is read again.
    pub fn text(&self) -> Result<String, String> {
        let entry = |(intent, decision): (&String, &Decision)| Entry {
            intent: intent.clone(),
            allowed: decision.allowed,
            when: decision.when,
            last_used: decision.last_used,
            uses: decision.uses,
        };
        let grants = self.decisions.iter().map(entry).collect();
        let file = File { app: self.app.clone(), grants };
        let text = toml::to_string(&file).map_err(|error| error.to_string())?;
        if text.len() > LONGEST_FILE || self.decisions.len() > MOST_DECISIONS {
            return Err("more grants than are kept".to_owned());
        }
        Ok(text)
    }

    /// What was decided about an intent. Who may write may read: a manifest that asks for less than
    /// before asks for nothing new. Where there is a decision about just this intent it holds.
    pub fn decision(&self, intent: &Intent) -> Option<bool> {
        if let Some(decision) = self.decisions.get(&written(intent)) {
            return Some(decision.allowed);
        }
        self.broader(intent).map(|_| true)
    }

    /// Records answers.
    pub fn apply(&mut self, answers: &[(String, bool)], now: u64) {
        for (key, allowed) in answers {
            let old = self.decisions.get(key);
            let (last_used, uses) = old.map_or((None, 0), |old| (old.last_used, old.uses));
            let decision = Decision { allowed: *allowed, when: now, last_used, uses };
            self.decisions.insert(key.clone(), decision);
        }
    }

    /// Records that a run made use of intents. What was not granted by a decision is passed over.
    pub fn record_use<'i>(&mut self, used: impl IntoIterator<Item = &'i Intent>, now: u64) {
        let mut keys = BTreeSet::new();
        for intent in used {
            let own = Some(written(intent)).filter(|key| self.allows(key));
            keys.extend(own.or_else(|| self.broader(intent)));
        }
        for key in keys {
            if let Some(decision) = self.decisions.get_mut(&key) {
                decision.uses = decision.uses.saturating_add(1);
                decision.last_used = Some(now);
            }
        }
    }

    fn allows(&self, key: &str) -> bool {
        self.decisions.get(key).is_some_and(|decision| decision.allowed)
    }

    /// The key of a grant that allows all that the intent does, and more.
    fn broader(&self, intent: &Intent) -> Option<String> {
        if let Some(key) = wider(intent).map(|wider| written(&wider)) {
            return Some(key).filter(|key| self.allows(key));
        }
        let Intent::NetReach(rule) = intent else { return None };
        let covers = |key: &String| {
            let (_, text) = key.split_once('=').filter(|(word, _)| NET_WORDS.contains(word))?;
            match network::reach(text, Takes::Both, Asker::User).ok()? {
                (Intent::NetReach(granted), _) => granted.covers(rule).then_some(()),
                _ => None,
            }
        };
        let allowed = self.decisions.iter().filter(|(_, decision)| decision.allowed);
        allowed.map(|(key, _)| key).find(|key| covers(key).is_some()).cloned()
    }

    /// Keys of grants that were never made use of.
    pub fn unused(&self) -> Vec<&str> {
        let unused = self.decisions.iter().filter(|(_, d)| d.allowed && d.uses == 0);
        unused.map(|(key, _)| key.as_str()).collect()
    }
}

/// Words whose values are rules that allow.
const NET_WORDS: [&str; 2] = ["net.host", "net.cidr"];

/// The intent that allows all that this one does, and more, whatever else was granted.
fn wider(intent: &Intent) -> Option<Intent> {
    match intent {
        Intent::FilesDir { path, access: Access::ReadOnly } => {
            Some(Intent::FilesDir { path: path.clone(), access: Access::ReadWrite })
        }
        Intent::NetPasta => Some(Intent::NetAll),
        Intent::FilesCwd(Access::ReadOnly) => Some(Intent::FilesCwd(Access::ReadWrite)),
        Intent::FilesArgs(Access::ReadOnly) => Some(Intent::FilesArgs(Access::ReadWrite)),
        _ => None,
    }
}

/// What has to be asked before the app runs: what its manifest declares and nothing was decided
/// about.
pub fn needed(manifest: &Manifest, grants: &Grants, env: &Environment) -> Vec<Question> {
    let decided: BTreeSet<String> = manifest
        .policy
        .intents
        .iter()
        .filter(|declared| grants.decision(&declared.intent).is_some())
        .map(|declared| written(&declared.intent))
        .collect();
    let mut questions = manifest.questions(env);
    questions.retain(|question| !decided.contains(&question.key));
    questions
}

/// What the app may do: what it declares and its user granted. Its limits hold as it declares them;
/// they only lower what holds without it (see [`merge`](crate::merge::merge)).
pub fn in_force(manifest: &Manifest, grants: &Grants) -> Policy {
    let granted = |declared: &&Declared| {
        free(&declared.intent) || grants.decision(&declared.intent) == Some(true)
    };
    let about_it = manifest.app.id == grants.app;
    let intents = manifest.policy.intents.iter().filter(granted).filter(|_| about_it);
    Policy { intents: intents.cloned().collect(), ..manifest.policy.clone() }
}

/// Keys of a manifest's intents that a user means by a word: an intent as behind `--allow`, or the
/// name of a word for all intents that use it.
///
/// # Errors
/// The manifest declares nothing like it.
pub fn select(
    questions: &[Question],
    word: &OsStr,
    env: &Environment,
) -> Result<Vec<String>, String> {
    let text = word.to_string_lossy();
    let exact = |key: &str| questions.iter().find(|question| question.key == key);
    if let Some(question) = exact(&text) {
        return Ok(vec![question.key.clone()]);
    }
    let named = questions.iter().filter(|q| q.key.split('=').next() == Some(&*text));
    let named: Vec<String> = named.map(|question| question.key.clone()).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let parsed = parse(word, env).ok().map(|intent| written(&intent));
    match parsed.as_deref().and_then(exact) {
        Some(question) => Ok(vec![question.key.clone()]),
        None => Err(format!("the manifest does not ask for {}", quoted(&text))),
    }
}

/// Whether a text can be the id of an app.
pub fn valid_id(id: &str) -> bool {
    app_id(id)
}
