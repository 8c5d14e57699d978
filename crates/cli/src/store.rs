//! Where profiles lie.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use swathe_policy::{Environment, Loader, SourceText};

/// Finds profiles.
pub struct Profiles(PathBuf);

impl Profiles {
    /// The directories for this user.
    pub fn new(env: &Environment) -> Self {
        Self(env.config.join("swathe/profiles"))
    }
}

impl Loader for Profiles {
    fn load(&self, name: &OsStr) -> Result<SourceText, String> {
        let path = if name.to_string_lossy().contains('/') {
            Path::new(name).to_owned()
        } else {
            self.0.join(name)
        };
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        Ok(SourceText::file(path, text))
    }
}
