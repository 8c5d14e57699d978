//! What a run is of, by which decisions for always are found again.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use swathe_policy::Environment;
use swathe_policy::standing::Subject;
use swathe_record::bytes::Bytes;

/// That of a run of an app, of profiles, or of a program.
#[must_use]
pub fn of(
    app: Option<&str>,
    profiles: &[OsString],
    command: &[OsString],
    env: &Environment,
) -> Subject {
    if let Some(id) = app {
        return Subject::App(id.to_owned());
    }
    if !profiles.is_empty() {
        let name = |word: &OsString| {
            // A name is the same everywhere; a path is not.
            let path = word.as_bytes().contains(&b'/').then(|| env.cwd.join(word));
            path.map_or_else(
                || Bytes(word.clone().into_vec()),
                |path| Bytes::from(path.canonicalize().unwrap_or(path)),
            )
        };
        return Subject::Profiles(profiles.iter().map(name).collect());
    }
    let word = command.first().map(OsString::as_os_str).unwrap_or_default();
    let cwd = env.cwd.canonicalize().unwrap_or_else(|_| env.cwd.clone());
    Subject::Program { path: Bytes::from(program(word, &cwd)), cwd: Bytes::from(cwd) }
}

/// The path of a program, links not followed: many programs are one file under several names.
fn program(word: &OsStr, cwd: &Path) -> PathBuf {
    if word.as_bytes().contains(&b'/') {
        return cwd.join(word);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(word))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| PathBuf::from(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let env = Environment::usual("/home/u", "/tmp");
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let shown = |app, profiles: &[&str], command: &[&str]| {
            of(app, &words(profiles), &words(command), &env).to_string()
        };
        assert_eq!(shown(Some("a.b"), &["agent"], &["sh"]), "app a.b");
        assert_eq!(
            shown(None, &["agent", "./nonexistent.toml"], &["sh"]),
            "profile agent, /tmp/./nonexistent.toml"
        );
        assert!(shown(None, &[], &["sh", "-c", "x"]).ends_with("/sh in /tmp"));
        assert_eq!(shown(None, &[], &["./tool"]), "/tmp/./tool in /tmp");
        assert_eq!(shown(None, &[], &["nonexistent-tool"]), "nonexistent-tool in /tmp");
    }
}
