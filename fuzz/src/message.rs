//! What the processes of a launch tell the launcher, and the text made of it: the first bytes are
//! the message, the rest makes the plan that it is about.

use crate::support::{Source, plan};
use swathe_exec::failure::{MESSAGE_SIZE, Message};
use swathe_exec::report;

/// A message that is understood says the same when it is encoded again; a failure has a text.
pub fn run(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(MESSAGE_SIZE));
    let Some(message) = Message::decode(head) else { return };
    assert_eq!(head.len(), MESSAGE_SIZE);
    assert_eq!(Message::decode(&message.encode()), Some(message));
    if let Message::Failed(failure) = message {
        assert_eq!(message.encode().as_slice(), head);
        let plan = plan(&mut Source::new(rest));
        assert!(!report::message(&plan, &failure).is_empty());
        if let Some(step) = report::step(&plan, &failure) {
            assert_eq!(report::words(&plan, &failure).map(|w| w.is_empty()), Some(false));
            assert_eq!(Some(step), failure.op.and_then(|op| plan.steps.get(op as usize)));
        }
    }
}
