//! What happened in a sandbox and what is asked of its user, as data: events, questions, the audit file, and what is concluded from them.

#![forbid(unsafe_code)]

pub mod ask;
pub mod audit;
pub mod bytes;
pub mod event;
pub mod html;
pub mod question;
