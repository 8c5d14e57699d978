//! The `bwrap` that makes the sandboxes.

use crate::error::{Error, io};
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a package puts it.
const LIBEXEC: &str = "/usr/libexec/swathe/bwrap";

/// The most that `--version` is let to say.
const MAX_SAID: u64 = 256;

/// A `bwrap` of this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine(PathBuf);

impl Engine {
    /// Finds it: what `SWATHE_BWRAP` names, beside the running program, in
    /// `/usr/libexec/swathe`, on `PATH`. One on `PATH` is asked whether it is ours, since most
    /// systems have bubblewrap's there.
    ///
    /// # Errors
    /// None of these exists, or the one named by `SWATHE_BWRAP` does not.
    pub fn find() -> Result<Self, Error> {
        if let Some(named) = std::env::var_os("SWATHE_BWRAP").filter(|v| !v.is_empty()) {
            let path = PathBuf::from(named);
            return if is_program(&path) {
                Ok(Self(path))
            } else {
                Err(Error::NoEngine(vec![path]))
            };
        }
        let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("bwrap"));
        let mut looked: Vec<PathBuf> = beside.into_iter().collect();
        looked.push(PathBuf::from(LIBEXEC));
        if let Some(found) = looked.iter().find(|path| is_program(path)) {
            return Ok(Self(found.clone()));
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        for directory in std::env::split_paths(&path).filter(|d| d.is_absolute()) {
            let candidate = directory.join("bwrap");
            if is_program(&candidate) && is_ours(&candidate) {
                return Ok(Self(candidate));
            }
            looked.push(candidate);
        }
        Err(Error::NoEngine(looked))
    }

    /// This one; it is asked for its version.
    ///
    /// # Errors
    /// It is not ours.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let said = version(&path).map_err(io("ask bwrap for its version"))?;
        if says_ours(&said) { Ok(Self(path)) } else { Err(Error::WrongEngine(path, said)) }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0)
}

fn version(path: &Path) -> std::io::Result<String> {
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        out.take(MAX_SAID).read_to_string(&mut said)?;
    }
    child.wait()?;
    Ok(said)
}

fn is_ours(path: &Path) -> bool {
    version(path).is_ok_and(|said| says_ours(&said))
}

/// Its options must be those that this library knows.
fn says_ours(said: &str) -> bool {
    said.lines().nth(1) == Some(concat!("swathe ", env!("CARGO_PKG_VERSION")))
}
