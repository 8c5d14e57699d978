//! Asking a person, or a program in their place, while a program in a sandbox waits.
//!
//! The supervisor hands a [`Question`](crate::question::Question) to the [`Desk`] and is called back
//! with what was decided; it never waits. The other side of the desk, the [`Counter`], is served by
//! one asker: a terminal, or a program over [`lines`]. What is decided when, and what is remembered,
//! is a state machine without threads or clock ([`table`]).
//!
//! Nothing is allowed but by an answer to just this question or by a rule that an answer made: no
//! answer in time, too many questions, an asker that has gone, an answer that does not fit are all
//! refusals.

pub mod desk;
pub mod lines;
pub mod rules;
pub mod table;

pub use desk::{Counter, Desk, Notice};
pub use rules::{Rule, Rules, Want};
pub use table::{Bounds, Prompt, Reply, Why, Wrong};
