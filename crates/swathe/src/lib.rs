//! Start sandboxes: a builder shaped like [`std::process::Command`].
//!
//! ```no_run
//! use swathe::{Command, Event};
//!
//! let mut child = Command::new("/usr/bin/id")
//!     .arg("-u")
//!     .unshare_all()
//!     .ro_bind("/usr", "/usr")
//!     .symlink("usr/lib", "/lib")
//!     .symlink("usr/lib64", "/lib64")
//!     .spawn()?;
//! let status = child.wait()?;
//! assert!(status.success());
//! for event in child.events() {
//!     if let Event::Failed(error) = event {
//!         eprintln!("not started: {}", error.message);
//!     }
//! }
//! # Ok::<(), swathe::Error>(())
//! ```
//!
//! The library never clones its own process into a sandbox: it spawns the small static `bwrap`
//! beside it. Cloning a large or threaded process is slow and unsound, and where a system grants
//! user namespaces by path (AppArmor), the grant belongs to that path.
#![forbid(unsafe_code)]

mod child;
mod command;
mod engine;
mod error;
pub mod serve;

pub use child::{Child, Event, ExitStatus};
pub use command::{Command, FileRights, Stdio};
pub use engine::Engine;
pub use error::{Error, SetupError};
pub use swathe_plan as plan;
