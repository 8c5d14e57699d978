//! Whether a profile permits what a run needs.

use super::{Grade, Need, Shown};
use crate::model::{Intent, Policy};

/// Whether a sandbox made from a policy permits it.
#[must_use]
pub fn covers(shown: &Shown, policy: &Policy, need: &Need) -> bool {
    match need {
        Need::Plain(Intent::NetReach(rule)) => policy.intents.iter().any(
            |declared| matches!(&declared.intent, Intent::NetReach(known) if known.covers(rule)),
        ),
        Need::Plain(intent) => policy.intents.iter().any(|declared| declared.intent == *intent),
        Need::Path { path, access } => match shown.at(path) {
            Some(Grade::Host(shown)) => shown >= *access,
            _ => false,
        },
    }
}
