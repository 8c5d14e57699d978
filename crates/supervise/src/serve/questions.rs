//! Calls that wait for an answer of the user.

use super::events::Said;
use super::returning::Returning;
use super::{MAX_PARKED, Parked, Supervisor};
use crate::observe::Seen;
use crate::process::Caller;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Layer, Outcome};
use swathe_record::question::Question;
use swathe_sys::notify::{self, Notification};

impl Supervisor {
    /// Writes down what was seen, or asks about it; whether the call has to wait. What was asked
    /// about is written down with its answer.
    pub(super) fn ask_about(
        &mut self,
        caller: &Caller,
        program: Bytes,
        seen: Seen,
        notification: &Notification,
    ) -> bool {
        let asked = self.is_asked_about(&seen) && self.ask(caller, &seen);
        if asked {
            let parked = Parked { notification: *notification, seen, program };
            self.parked.insert(self.questions, parked);
        } else {
            self.event(caller, Said::of(seen, program));
        }
        asked
    }

    fn is_asked_about(&self, seen: &Seen) -> bool {
        let hidden = seen.layer == Layer::Mount && seen.outcome != Outcome::Allowed;
        let path = seen.object.0.strip_prefix(b"unix:").unwrap_or(&seen.object.0);
        let path = Path::new(OsStr::from_bytes(path));
        let asks = &self.config.asks;
        hidden
            && self.parked.len() < MAX_PARKED
            && (asks.is_empty() || asks.iter().any(|asked| path.starts_with(asked)))
    }

    /// Whether the question will be answered.
    fn ask(&mut self, caller: &Caller, seen: &Seen) -> bool {
        let Some(ask) = &mut self.config.ask else { return false };
        self.questions += 1;
        ask(Question {
            id: self.questions,
            pid: caller.pid,
            command: caller.command(),
            action: seen.action,
            object: seen.object.clone(),
            directory: seen.directory,
        })
    }

    /// What came of a question.
    fn answered(&mut self, parked: Parked, allowed: bool) {
        let Parked { notification, seen, program } = parked;
        let outcome = if allowed { Outcome::Allowed } else { seen.outcome };
        let seen = Seen { outcome, layer: Layer::User, ..seen };
        self.event(&Caller::new(notification.pid), Said::of(seen, program));
    }

    /// Nobody answers any more.
    pub(super) fn unanswered(&mut self) {
        let parked: Vec<Parked> = self.parked.drain().map(|(_, parked)| parked).collect();
        parked.into_iter().for_each(|parked| self.answered(parked, false));
    }

    /// Questions of processes that have ended, or were interrupted, are no questions any more.
    pub(super) fn withdraw(&mut self) {
        let listener = &self.listener;
        let over = |parked: &Parked| !notify::is_waiting(listener, parked.notification.id);
        let gone = self.parked.iter().filter(|(_, parked)| over(parked)).map(|(id, _)| *id);
        for id in gone.collect::<Vec<_>>() {
            if let Some(parked) = self.parked.remove(&id) {
                self.answered(parked, false);
            }
            if let Some(withdrawn) = &mut self.config.withdrawn {
                withdrawn(id);
            }
        }
    }

    pub(super) fn go_on(&mut self, question: u64, allowed: bool, once: bool) {
        let parked = self.parked.remove(&question);
        let call = parked.as_ref().map(|parked| Returning::new(question, &parked.notification));
        let went = parked.is_some_and(|parked| {
            let went = notify::proceed(&self.listener, parked.notification.id).is_ok();
            self.answered(parked, allowed && went);
            went
        });
        match call.filter(|_| went) {
            Some(call) if once => self.returning.push(call),
            // Its process was ended or interrupted meanwhile.
            None if once => self.tell_returned(question),
            _ => {}
        }
    }

    /// Tells of calls that are over.
    pub(super) fn returned(&mut self, is_over: impl Fn(&Returning) -> bool) {
        let over: Vec<u64> =
            self.returning.extract_if(.., |call| is_over(call)).map(|c| c.question).collect();
        over.into_iter().for_each(|question| self.tell_returned(question));
    }

    pub(super) fn tell_returned(&mut self, question: u64) {
        if let Some(returned) = &mut self.config.returned
            && returned(question)
        {
            self.taking_back += 1;
            self.taken_since = Instant::now();
        }
    }
}
