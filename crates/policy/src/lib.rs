//! Profiles, intents and grants, and what follows from them. Nothing here does I/O: texts come in,
//! and a plan comes out.
#![forbid(unsafe_code)]

pub mod model;
pub mod resolve;

pub use model::{Access, Declared, Intent, Limits, Policy, Source};
