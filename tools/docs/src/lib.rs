//! The files of the repository that are made from the option table and the table of the filter.
#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};
use swathe_plan::docs;
use swathe_plan::filter;

/// Where the list of differences is, below the root of the repository.
pub const DIFFERENCES: &str = "docs/known-differences.md";

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Its path, below the root of the repository.
    pub path: &'static str,
    /// What it has to hold.
    pub text: String,
}

/// The root of this repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All generated files. `root` is that of the repository, from which the differences are read.
///
/// # Errors
/// When the list of differences cannot be read.
pub fn all(root: &Path) -> io::Result<Vec<Generated>> {
    let differences = std::fs::read_to_string(root.join(DIFFERENCES))?;
    Ok(vec![
        Generated { path: "man/bwrap.1", text: docs::manual(&differences) },
        Generated { path: "completions/bwrap.bash", text: docs::bash() },
        Generated { path: "completions/_bwrap", text: docs::zsh() },
        Generated { path: "completions/bwrap.fish", text: docs::fish() },
        Generated { path: "docs/filter.md", text: filter::docs::page() },
    ])
}

/// The generated files that are missing, or hold something else.
///
/// # Errors
/// When the list of differences cannot be read.
pub fn stale(root: &Path) -> io::Result<Vec<Generated>> {
    let current = |file: &Generated| {
        std::fs::read_to_string(root.join(file.path)).is_ok_and(|text| text == file.text)
    };
    Ok(all(root)?.into_iter().filter(|file| !current(file)).collect())
}
