//! Profiles, intents and grants, and what follows from them. Nothing here does I/O: texts come in,
//! and a plan comes out.
#![forbid(unsafe_code)]

pub mod describe;
pub mod diagnostic;
pub mod grants;
pub mod intent;
pub mod learn;
pub mod load;
pub mod merge;
pub mod model;
pub mod network;
pub mod paths;
pub mod profile;
pub mod resolve;
pub mod schema;
pub mod standing;
pub mod value;
pub mod vocabulary;
pub mod why;
pub mod words;

pub use diagnostic::{Diagnostic, SourceText};
pub use grants::{Grants, Manifest};
pub use load::{Loaded, Loader, load};
pub use model::{Access, Declared, Intent, Limits, Policy, Source, State};
pub use paths::Environment;
pub use standing::Standing;
