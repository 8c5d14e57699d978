//! Which hosts a program may reach: names, addresses, ports, and the rules over them.
//!
//! Pure: nothing is looked up, opened or read. Profiles and the command line make [`Rules`] of
//! text; the helper that holds a sandbox's connections asks them about every name that is looked
//! up and about every address that is dialled. Both have names and addresses in one canonical
//! form, whatever way they were written.
#![forbid(unsafe_code)]

pub mod address;
pub mod fixed;
pub mod name;
pub mod ports;
pub mod publish;
pub mod rule;
pub mod rules;

pub use address::{Cidr, Class};
pub use name::{Name, Pattern};
pub use ports::Ports;
pub use publish::Publish;
pub use rule::{Form, Protocol, Rule, RuleError, What};
pub use rules::{Cause, Reason, Rules, Subject, Verdict};
