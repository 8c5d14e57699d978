//! The files of the repository that are made from the option table, the table of the filter, and the
//! description of swathe's command line.
#![forbid(unsafe_code)]

use clap_complete::Shell;
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
    pub path: String,
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
    let mut files: Vec<Generated> = [
        ("man/bwrap.1", docs::manual(&differences)),
        ("completions/bwrap.bash", docs::bash()),
        ("completions/_bwrap", docs::zsh()),
        ("completions/bwrap.fish", docs::fish()),
        ("docs/filter.md", filter::docs::page()),
        ("completions/swathe.bash", completions(Shell::Bash)),
        ("completions/_swathe", completions(Shell::Zsh)),
        ("completions/swathe.fish", completions(Shell::Fish)),
    ]
    .into_iter()
    .map(|(path, text)| Generated { path: path.to_owned(), text })
    .collect();
    let mut command = swathe_cli::command();
    command.build();
    manuals(&command, "swathe", &mut files)?;
    Ok(files)
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut swathe_cli::command(), "swathe", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The page of a command and of all below it: swathe(1), swathe-run(1), swathe-app-add(1) …
fn manuals(command: &clap::Command, name: &str, files: &mut Vec<Generated>) -> io::Result<()> {
    let mut text = Vec::new();
    let page = command.clone().bin_name(name.replace('-', " "));
    clap_mangen::Man::new(page).title(name).date("").render(&mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    files.push(Generated { path: format!("man/{name}.1"), text });
    for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        manuals(below, &format!("{name}-{}", below.get_name()), files)?;
    }
    Ok(())
}

/// The generated files that are missing, or hold something else.
///
/// # Errors
/// When the list of differences cannot be read.
pub fn stale(root: &Path) -> io::Result<Vec<Generated>> {
    let current = |file: &Generated| {
        std::fs::read_to_string(root.join(&file.path)).is_ok_and(|text| text == file.text)
    };
    Ok(all(root)?.into_iter().filter(|file| !current(file)).collect())
}
