//! Made files of the private home.

use super::build::Build;
use std::path::Path;

/// The largest configuration of git that is read.
const MAX_CONFIG: usize = 256 << 10;

pub(super) fn add(build: &mut Build<'_>) {
    let home = build.host.home.clone();
    if let Some(text) = identity(build) {
        made(build, &home.join(".gitconfig"), text);
    }
    // Placeholders of protected paths are no files of the work tree: `git status` shall not list
    // them, nor `git add .` fail on them.
    let names: Vec<String> = build
        .masked
        .iter()
        .filter_map(|path| Some(format!("{}\n", path.file_name()?.to_str()?)))
        .collect();
    if !names.is_empty() {
        made(build, &home.join(".config/git/ignore"), names.concat());
    }
}

/// Where the user's own file is visible, there is nothing to make.
fn made(build: &mut Build<'_>, path: &Path, text: String) {
    if !build.is_visible(path) && !build.visible.iter().any(|shown| shown.starts_with(path)) {
        build.file(path, text, 0o644);
    }
}

/// Who commits, and nothing else of git's configuration: the rest can hold credentials and names
/// programs to run.
fn identity(build: &Build<'_>) -> Option<String> {
    let home = &build.host.home;
    let mut found: [Option<String>; 2] = [None, None];
    for path in [home.join(".config/git/config"), home.join(".gitconfig")] {
        let Some(text) = build.files.read(&path, MAX_CONFIG) else { continue };
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut in_user = false;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                let name = section.trim_end_matches(']').trim();
                in_user = name.eq_ignore_ascii_case("user");
            } else if in_user && let Some((key, value)) = line.split_once('=') {
                let at = match key.trim().to_ascii_lowercase().as_str() {
                    "name" => 0,
                    "email" => 1,
                    _ => continue,
                };
                found[at] = Some(plain(value));
            }
        }
    }
    let line = |key: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("\t{key} = \"{value}\"\n")).unwrap_or_default()
    };
    let [name, email] = &found;
    (name.is_some() || email.is_some())
        .then(|| format!("[user]\n{}{}", line("name", name), line("email", email)))
}

/// A value without what could end it: quotes, escapes and comments of the source are left out.
fn plain(value: &str) -> String {
    let value = value.trim().trim_matches('"');
    value.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(256).collect()
}
