//! The binaries that tests run, and as whom.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use crate::run::Run;
use crate::temp::TempDir;

/// Which implementation a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The binary of this workspace, or the one that `SWATHE_TEST_BWRAP` names.
    Ours,
    /// Bubblewrap 0.13.1.
    Original,
}

/// Which user runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Real root, with the capabilities that the tests were started with.
    Root,
    /// A user without privileges, and without an entry in the user database.
    User,
}

/// A binary and the user that runs it.
#[derive(Clone, Debug)]
pub struct Bwrap {
    /// The program, an absolute path that the user can execute.
    pub path: PathBuf,
    /// Who runs it.
    pub who: Who,
    /// Which implementation it is.
    pub side: Side,
}

impl Bwrap {
    /// The binary of `side` to be run as `who`, or none after a notice that says what is left out.
    ///
    /// `built` is the path that cargo gives to integration tests of the package with the binary.
    ///
    /// # Panics
    ///
    /// When the binary under test does not exist: a test that silently runs nothing proves nothing.
    #[must_use]
    pub fn find(side: Side, who: Who, built: Option<&str>) -> Option<Self> {
        if who == Who::Root && !is_root() {
            notice("not started as root: the half of the tests that runs as root is left out");
            return None;
        }
        let ours = under_test(built);
        let path = match side {
            Side::Ours => ours,
            Side::Original => match original() {
                Some(path) if path == ours => {
                    notice("the binary under test is the original itself: it runs once");
                    return None;
                }
                Some(path) => path,
                None => {
                    notice(
                        "no bubblewrap to compare with: run scripts/get-oracle, or set \
                         BWRAP_ORACLE; the tests do not prove themselves against it",
                    );
                    return None;
                }
            },
        };
        assert!(path.exists(), "no binary at {}", path.display());
        let side = if Some(&path) == original().as_ref() { Side::Original } else { side };
        Some(Self { path: reachable(&path), who, side })
    }

    /// Prepares a run with the given words, split at white space.
    #[must_use]
    pub fn run(&self, words: &str) -> Run {
        Run::new(self, &self.path).words(words)
    }

    /// Prepares a run of `sh -c` as the same user, in which `$BWRAP` is the binary and `$PROBE` the
    /// probe.
    #[must_use]
    pub fn script(&self, text: &str) -> Run {
        Run::new(self, Path::new("/bin/sh")).arg("-c").arg(text).env("BWRAP", &self.path)
    }

    /// Like [`Self::script`], but root runs the script, in mount and network namespaces of its own
    /// with private mounts. `$AS` is what turns a command into one of the user's, empty for root.
    /// None, with a notice, when the tests do not run as root.
    #[must_use]
    pub fn root_script(&self, text: &str) -> Option<Run> {
        if !is_root() {
            notice("not started as root: tests that mount file systems on the host are left out");
            return None;
        }
        let uid = user();
        let drop = format!("setpriv --reuid={uid} --regid={uid} --clear-groups");
        let root = Self { who: Who::Root, ..self.clone() };
        let run = Run::new(&root, Path::new("/usr/bin/unshare"))
            .words("--mount --propagation private /bin/sh -c")
            .arg(text)
            .env("BWRAP", &self.path)
            .env("AS", if self.who == Who::User { &drop } else { "" });
        Some(run)
    }

    /// An empty directory that belongs to the user and that everybody can search.
    #[must_use]
    pub fn temp(&self) -> TempDir {
        TempDir::new(self.uid())
    }

    /// The user's number on the host.
    #[must_use]
    pub fn uid(&self) -> u32 {
        if self.who == Who::Root { 0 } else { user() }
    }

    /// Whether root runs it.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.who == Who::Root
    }
}

/// The words that bind the programs of the host read-only: `/usr`, and `/bin`, `/lib` and the like
/// as the host has them.
#[must_use]
pub fn usr() -> &'static str {
    static WORDS: OnceLock<String> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut words = "--ro-bind /usr /usr".to_owned();
        for name in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
            if let Ok(target) = std::fs::read_link(name) {
                words += &format!(" --symlink {} {name}", target.display());
            } else if Path::new(name).exists() {
                words += &format!(" --ro-bind {name} {name}");
            }
        }
        words
    })
}

/// The static program that prints what a payload sees; its own head describes the output.
#[must_use]
pub fn probe() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| reachable(Path::new(env!("SWATHE_PROBE")))).clone()
}

/// The static program that makes system calls by number; its own head describes them.
#[must_use]
pub fn caller() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| reachable(Path::new(env!("SWATHE_CALLER")))).clone()
}

/// The binary under test: `SWATHE_TEST_BWRAP`, else `built`, else `bwrap` in the directory of the
/// running test's build profile.
///
/// # Panics
///
/// When the running test's own path is unknown.
#[must_use]
pub fn under_test(built: Option<&str>) -> PathBuf {
    if let Some(path) = std::env::var_os("SWATHE_TEST_BWRAP") {
        return PathBuf::from(path).canonicalize().expect("SWATHE_TEST_BWRAP names a file");
    }
    if let Some(path) = built {
        return PathBuf::from(path);
    }
    // target/<profile>/deps/<test>
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("cargo's layout").join("bwrap")
}

/// Bubblewrap 0.13.1, when there is one.
fn original() -> Option<PathBuf> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.oracle/usr/bin/bwrap");
    let path = std::env::var_os("BWRAP_ORACLE").map_or_else(own, PathBuf::from);
    path.canonicalize().ok()
}

/// Prints one line to standard error, once per process and past the capture of test output.
pub fn notice(text: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if said.insert(text.to_owned()) {
        let _ = writeln!(std::io::stderr(), "notice: {text}");
    }
}

pub(crate) fn is_root() -> bool {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The ordinary user: made up when root runs the tests, else whoever does.
pub(crate) fn user() -> u32 {
    if !is_root() {
        // SAFETY: the call takes nothing and cannot fail.
        return unsafe { libc::geteuid() };
    }
    let chosen = std::env::var("SWATHE_TEST_UID").ok().and_then(|uid| uid.parse().ok());
    chosen.unwrap_or(54321)
}

/// `path`, or a copy of it where every user can run it, when a directory above it is private.
fn reachable(path: &Path) -> PathBuf {
    let public =
        |path: &Path| path.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    if path.ancestors().all(public) {
        return path.to_owned();
    }
    static COPIES: Mutex<Vec<(PathBuf, TempDir)>> = Mutex::new(Vec::new());
    let mut copies = COPIES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let name = path.file_name().expect("a program has a name");
    if let Some((_, dir)) = copies.iter().find(|(from, _)| from == path) {
        return dir.path().join(name);
    }
    let dir = TempDir::new(0);
    let copy = dir.path().join(name);
    std::fs::copy(path, &copy).expect("copy a program for the ordinary user");
    copies.push((path.to_owned(), dir));
    copy
}
