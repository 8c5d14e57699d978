//! Trying it: sandboxes that are really made. What a setting says is a guess; this is the answer.

use super::{Outcome, Trial};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use swathe_sys::rustix::fs::{MemfdFlags, memfd_create};

/// How long one trial may take, in seconds. It takes some milliseconds.
pub const TRIAL_SECONDS: u64 = 10;

/// The most that is read of what a trial said, in bytes.
const MOST: u64 = 4096;

/// What one run of the program said.
struct Said {
    success: bool,
    out: String,
    err: String,
}

/// Runs the program without input and with an empty environment.
fn say<'a>(program: &Path, words: impl IntoIterator<Item = &'a OsStr>) -> Result<Said, String> {
    let memory = || {
        memfd_create(c"trial", MemfdFlags::CLOEXEC)
            .map(File::from)
            .and_then(|file| Ok((file.try_clone().map_err(|_| swathe_sys::Errno::MFILE)?, file)))
            .map_err(|e| format!("cannot make a file in memory: {e}"))
    };
    // Files rather than pipes: whoever holds them open cannot keep us waiting.
    let ((out, mut out_file), (err, mut err_file)) = (memory()?, memory()?);
    let mut command = Command::new(program);
    command.args(words).env_clear().env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child =
        command.spawn().map_err(|e| format!("cannot start {}: {e}", program.display()))?;
    let deadline = Instant::now() + Duration::from_secs(TRIAL_SECONDS);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => {
                // Whether it has just ended is no matter: it took too long.
                drop(child.kill());
                drop(child.wait());
                return Err(match other {
                    Err(e) => format!("cannot wait for {}: {e}", program.display()),
                    _ => format!("not done after {TRIAL_SECONDS} seconds"),
                });
            }
        }
    };
    Ok(Said {
        success: status.success(),
        out: contents(&mut out_file),
        err: contents(&mut err_file),
    })
}

fn contents(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.take(MOST).read_to_end(&mut bytes));
    drop(read);
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// A sandbox of these words around `command`.
fn make(program: &Path, words: &str, command: &[&OsStr]) -> Outcome {
    let words = words.split_whitespace().map(OsStr::new);
    let all = words.chain([OsStr::new("--")]).chain(command.iter().copied());
    match say(program, all) {
        Ok(said) if said.success => Outcome::Made,
        Ok(said) => {
            let line = said.err.lines().next().unwrap_or("it failed without a word");
            Outcome::Failed(line.to_owned())
        }
        Err(text) => Outcome::Failed(text),
    }
}

/// Makes one sandbox for each question. The command in them is the program itself, so that nothing
/// else has to be there.
pub(super) fn run(program: &Path) -> Trial {
    let absolute = program.canonicalize();
    let program = absolute.as_deref().unwrap_or(program);
    let command = [program.as_os_str(), OsStr::new("--version")];
    let make = |words: &str| make(program, &format!("--unshare-user {words}"), &command);
    let user = make("--ro-bind / /");
    if user.made() == Some(false) {
        // The rest needs it, and would only say the same.
        return Trial { namespaces: user.clone(), user, ..Trial::default() };
    }
    Trial {
        user,
        namespaces: make(
            "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --die-with-parent --ro-bind / /",
        ),
        procfs: make("--unshare-pid --ro-bind / / --proc /proc"),
        overlay: make("--ro-bind / / --overlay-src /usr --tmp-overlay /usr"),
    }
}

/// What `--version` says, on one line.
pub(super) fn version(program: &Path) -> Option<String> {
    let said = say(program, [OsStr::new("--version")]).ok()?;
    let lines: Vec<&str> = said.out.lines().map(str::trim).take(3).collect();
    Some(lines.join(", ")).filter(|text| said.success && !text.is_empty())
}
