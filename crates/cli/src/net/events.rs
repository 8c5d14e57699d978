//! What the helper decided, as events.

use super::who::Asker;
use std::collections::HashSet;
use swathe_net::protocol::Decision;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

const ECONNREFUSED: i32 = 111;
/// Hosts and ports that are remembered.
const MAX_KNOWN: usize = 4096;

/// What was decided about already.
#[derive(Debug, Default)]
pub struct Known(HashSet<String>);

impl Known {
    /// Whether nothing was decided about it yet, as far as is remembered.
    pub fn is_new(&mut self, object: &str) -> bool {
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        !self.0.contains(object) && self.0.insert(object.to_owned())
    }
}

/// Whether one event of it is enough: programs look names up time and again.
pub fn is_said_once(decision: &Decision) -> bool {
    decision.object.starts_with("dns:") && decision.allowed && decision.reason.is_none()
}

/// The event of a decision about what this process wanted.
pub fn event(decision: &Decision, Asker { pid, program }: Asker) -> Event {
    let denied = Outcome::Denied(ECONNREFUSED);
    let (outcome, layer) = match (decision.allowed, decision.asked) {
        // The host does not answer, or there is none.
        (true, _) if decision.reason.is_some() => (denied, Layer::Other),
        (true, true) => (Outcome::Allowed, Layer::User),
        (true, false) => (Outcome::Allowed, Layer::Network),
        (false, true) => (denied, Layer::User),
        (false, false) => (denied, Layer::Network),
    };
    Event {
        time: decision.time,
        pid,
        program,
        action: Action::Connect,
        object: Bytes::from(decision.object.as_str()),
        to: decision.address.map(|address| Bytes::from(address.to_string().as_str())),
        outcome,
        layer,
        reason: decision.reason.clone(),
        rule: decision.fix.clone(),
    }
}
