//! The plan that `swathe` gives: this program in the engine's place writes it down.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::launch::Command;
use crate::run::eprint_line;

/// The variable that makes this program a recorder; its value is the directory to write to.
pub const RECORD: &str = "SWATHE_BENCH_RECORD";

/// Where the words are, and the number they are read from.
const WORDS: &str = "words";
const WORDS_FD: i32 = 900;
/// Where the command is.
const COMMAND: &str = "command";

/// Options that only swathe has a use for, and whether they take a value.
const OWN: [(&[u8], bool); 5] = [
    (b"--quiet-errors", false),
    (b"--json-errors", true),
    (b"--serve", true),
    (b"--sync-fd", true),
    (b"--cgroup", true),
];

/// What the engine does in a run that is recorded: it writes its words and data to `into`.
pub fn record(into: &Path) -> ExitCode {
    match write(into) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint_line(&format!("cannot record what swathe asks for: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn write(into: &Path) -> io::Result<()> {
    let words: Vec<_> = std::env::args_os().collect();
    let number = words.get(2).filter(|_| words.get(1).is_some_and(|w| w == "--args"));
    let number = number.and_then(|n| n.to_str()).ok_or(io::Error::other("--args is not first"))?;
    // The command stands after `--`, outside the file.
    let command = words.get(4..).unwrap_or_default();
    let command: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
    fs::write(into.join(COMMAND), command.join(&0))?;
    let given = fs::read(format!("/proc/self/fd/{number}"))?;
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let name = entry.file_name();
        let is_data = fs::read_link(entry.path())
            .is_ok_and(|link| link.as_os_str().as_bytes().starts_with(b"/memfd:swathe"));
        if is_data && name != number {
            fs::write(into.join(&name), fs::read(entry.path())?)?;
        }
    }
    fs::write(into.join(WORDS), plain(&given))
}

/// The words without those that only swathe has a use for. Directories that it has opened are named
/// by their paths, which are those where they are shown.
fn plain(words: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut words = words.split_inclusive(|b| *b == 0);
    while let Some(word) = words.next() {
        let text = word.strip_suffix(&[0]).unwrap_or(word);
        match OWN.iter().find(|(own, _)| *own == text) {
            Some((_, true)) => _ = words.next(),
            Some((_, false)) => {}
            None if text == b"--bind-fd" || text == b"--ro-bind-fd" => {
                let option: &[u8] = if text == b"--bind-fd" { b"--bind\0" } else { b"--ro-bind\0" };
                let place = words.nth(1).unwrap_or_default();
                [option, place, place].iter().for_each(|part| kept.extend_from_slice(part));
            }
            None => kept.extend_from_slice(word),
        }
    }
    kept
}

/// The recorded launch with `bwrap` itself.
pub fn bare(bwrap: &Path, recorded: &Path) -> io::Result<Command> {
    let c = |path: PathBuf| CString::new(path.into_os_string().into_vec()).unwrap_or_default();
    let mut files = vec![(c(recorded.join(WORDS)), WORDS_FD)];
    for entry in fs::read_dir(recorded)? {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().and_then(|n| n.parse().ok()) {
            files.push((c(recorded.join(&name)), number));
        }
    }
    let mut words = vec![c"--args".to_owned(), CString::new(WORDS_FD.to_string())?, c"--".into()];
    for word in fs::read(recorded.join(COMMAND))?.split(|b| *b == 0) {
        words.push(CString::new(word)?);
    }
    Ok(Command::new(c(bwrap.to_owned()), words, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options of swathe's own go with their values; all else stays as it is.
    #[test]
    fn keeps_the_plan() {
        let given = b"--quiet-errors\0--json-errors\x007\0--dir\0/a\0--serve\x009\0--proc\0/proc\0";
        assert_eq!(plain(given), b"--dir\0/a\0--proc\0/proc\0");
        let given = b"--ro-bind-fd\x00300\0/a\0--bind-fd\x00301\0/b\0";
        assert_eq!(plain(given), b"--ro-bind\0/a\0/a\0--bind\0/b\0/b\0");
    }
}
