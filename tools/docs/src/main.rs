//! `docs`: writes the manual page and the completions; with `--check` only compares.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let check = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            say("usage: docs [--check]\n");
            return ExitCode::from(2);
        }
    };
    let root = swathe_docs::root();
    let result = if check { compare(&root) } else { write(&root) };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            say(&format!("docs: {}: {e}\n", root.display()));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard error; a reader that went away is no reason to fail.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Whether all files are current; names those that are not.
fn compare(root: &Path) -> std::io::Result<bool> {
    let stale = swathe_docs::stale(root)?;
    for file in &stale {
        say(&format!("docs: {} is not current: run \"cargo run -p swathe-docs\"\n", file.path));
    }
    Ok(stale.is_empty())
}

/// Writes the files that are not current.
fn write(root: &Path) -> std::io::Result<bool> {
    for file in swathe_docs::stale(root)? {
        let path = root.join(&file.path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(&path, &file.text)?;
        say(&format!("docs: wrote {}\n", file.path));
    }
    Ok(true)
}
