//! What is written down of calls.

use super::Supervisor;
use crate::observe::Seen;
use crate::perform::Noted;
use crate::process::Caller;
use crate::trap::Call;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

/// What a call came to.
pub(super) struct Said {
    /// Where it is known already.
    program: Option<Bytes>,
    action: Action,
    object: Bytes,
    to: Option<Bytes>,
    outcome: Outcome,
    layer: Layer,
    rule: Option<String>,
}

impl Said {
    /// Of what was seen.
    pub(super) fn of(seen: Seen, program: Bytes) -> Self {
        let Seen { action, object, to, outcome, layer, directory: _ } = seen;
        Self { program: Some(program), action, object, to, outcome, layer, rule: None }
    }
}

impl Supervisor {
    pub(super) fn note(&mut self, caller: &Caller, call: Call, noted: Noted) {
        let action = match call {
            Call::Open(..) | Call::Open2(..) | Call::SetFlags(..) => Action::Write,
            Call::Unlink(..) => Action::Remove,
            Call::Rename(..) => Action::Rename,
            Call::Link(..) => Action::Create,
            _ => Action::Truncate,
        };
        let place = noted.place.as_ref().map(|place| place.display().to_string());
        let layer = if noted.is_by_level() { Layer::Level } else { Layer::Other };
        self.event(
            caller,
            Said {
                action,
                object: Bytes::from(noted.path),
                to: noted.to.map(Bytes::from),
                outcome: noted.outcome,
                layer,
                rule: place.filter(|_| layer == Layer::Level),
                program: None,
            },
        );
    }

    pub(super) fn event(&mut self, caller: &Caller, said: Said) {
        let Some(sink) = &mut self.config.sink else { return };
        let program = match (said.program, &mut self.observer) {
            (Some(program), _) => program,
            (None, Some(observer)) => observer.program(caller.pid),
            (None, None) => caller.program(),
        };
        sink(Event {
            time: swathe_record::event::now(),
            pid: caller.pid,
            program,
            action: said.action,
            object: said.object,
            to: said.to,
            outcome: said.outcome,
            layer: said.layer,
            reason: None,
            rule: said.rule,
        });
    }
}
