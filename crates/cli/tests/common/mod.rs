//! What the tests of the `swathe` command share: the program with its engine, run as root or as an
//! ordinary user, in a project directory beside a home directory that holds secrets.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `SWATHE_TEST_SWATHE` | the `swathe` under test instead of the workspace's own |
//! | `SWATHE_TEST_BWRAP` | its engine instead of the workspace's own |
#![allow(dead_code, unused_imports)] // each test file uses a part

pub mod asker;
pub mod attacks;
pub mod screen;
pub mod world;

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use swathe_testkit::{Bwrap, Outcome, Run, Side, TempDir, Who, notice, reachable, under_test};

/// How long a run may take: machines that build at the same time are slow.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A word that is in every planted secret, and nowhere else.
pub const SECRET: &str = "PLANTED-SECRET";

/// The secrets of a home directory: their paths and contents.
const SECRETS: &[(&str, &str)] = &[
    (".ssh/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nPLANTED-SECRET\n"),
    (".aws/credentials", "[default]\naws_secret_access_key = PLANTED-SECRET\n"),
    (".netrc", "machine example.org login me password PLANTED-SECRET\n"),
    (".npmrc", "//registry.npmjs.org/:_authToken=PLANTED-SECRET\n"),
    (".config/gh/hosts.yml", "github.com:\n    oauth_token: PLANTED-SECRET\n"),
    (".cargo/credentials.toml", "[registry]\ntoken = \"PLANTED-SECRET\"\n"),
    (".git-credentials", "https://me:PLANTED-SECRET@example.org\n"),
    (".bash_history", "export TOKEN=PLANTED-SECRET\n"),
];

/// Secrets of the environment.
pub const TOKENS: &[&str] =
    &["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "NPM_TOKEN", "SECRET_VALUE"];

/// What a program says that could read one of the secrets. Its output must not hold [`SECRET`].
pub const LOOK: &str = "cat $HOME/.ssh/* $HOME/.aws/* $HOME/.netrc $HOME/.npmrc \
    $HOME/.config/gh/* $HOME/.cargo/credentials.toml $HOME/.git-credentials 2>/dev/null; env; \
    tr '\\0' '\\n' </proc/1/environ 2>/dev/null; ls $HOME/.ssh 2>/dev/null && echo PLANTED-''SECRET;";

/// A user's machine: a home directory with secrets, and a project beside it.
pub struct Place {
    /// The swathe program and its user.
    pub swathe: Bwrap,
    /// The engine.
    pub engine: PathBuf,
    /// What holds `home`, `project` and `runtime`.
    pub dir: TempDir,
    agent: UnixListener,
}

impl Place {
    /// One for this user; none, after a notice, where tests cannot run as that user.
    pub fn new(who: Who) -> Option<Self> {
        let engine = Bwrap::find(Side::Ours, who, Some(&engine().display().to_string()))?;
        let named = std::env::var_os("SWATHE_TEST_SWATHE").map(PathBuf::from);
        let path = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_swathe")));
        assert!(path.exists(), "no program at {}", path.display());
        let swathe = Bwrap { path: reachable(&path), who, side: Side::Ours };
        let dir = swathe.temp();
        for (name, text) in SECRETS {
            let path = Path::new("home").join(name);
            dir.dir(&path.parent().expect("below home").display().to_string());
            dir.file(&path.display().to_string(), text);
            dir.mode(&path.display().to_string(), 0o600);
        }
        dir.file("home/.gitconfig", "[user]\n\tname = Ada\n\temail = ada@example.org\n");
        dir.dir("project");
        dir.dir("runtime");
        dir.mode("runtime", 0o700);
        let agent = UnixListener::bind(dir.at("runtime/agent.sock")).expect("an agent's socket");
        dir.mode("runtime/agent.sock", 0o777);
        Some(Self { swathe, engine: engine.path, dir, agent })
    }

    /// The absolute path of something in the project.
    pub fn project(&self, name: &str) -> String {
        if name.is_empty() { self.dir.at("project") } else { self.dir.at("project/") + name }
    }

    /// The absolute path of something in the home directory.
    pub fn home(&self, name: &str) -> String {
        if name.is_empty() { self.dir.at("home") } else { self.dir.at("home/") + name }
    }

    /// Anything, with the user's environment, in the project.
    fn with_environment(&self, run: Run) -> Run {
        let mut run = run
            .env("HOME", self.home(""))
            .env("XDG_RUNTIME_DIR", self.dir.at("runtime"))
            .env("SSH_AUTH_SOCK", self.dir.at("runtime/agent.sock"))
            .env("SWATHE_BWRAP", &self.engine)
            .env("SWATHE", &self.swathe.path)
            .env("TERM", "xterm")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .cwd(self.project(""))
            .timeout(TIMEOUT);
        for name in TOKENS {
            run = run.env(name, SECRET);
        }
        run
    }

    /// `swathe` with these words, split at white space.
    pub fn swathe(&self, words: &str) -> Run {
        self.with_environment(self.swathe.run(words))
    }

    /// `swathe run OPTIONS -- sh -c TEXT`.
    pub fn inside(&self, options: &str, text: &str) -> Run {
        self.swathe("run").words(options).arg("--").sh(text)
    }

    /// `sh -c TEXT` on the host, in the project, as the user; `$SWATHE` is the program.
    pub fn outside(&self, text: &str) -> Run {
        self.with_environment(self.swathe.script(text))
    }

    /// As [`Self::outside`], and it must succeed; what it printed.
    #[track_caller]
    pub fn host(&self, text: &str) -> String {
        self.outside(&format!("set -e; {text}")).prints()
    }

    /// As [`Self::outside`], and it may fail.
    #[track_caller]
    pub fn host_run(&self, text: &str) -> Outcome {
        self.outside(text).go()
    }

    /// As [`Self::outside`], but root runs it in a mount namespace of its own; `$AS` makes a
    /// command one of the user's.
    pub fn root(&self, text: &str) -> Option<Run> {
        Some(self.with_environment(self.swathe.root_script(text)?))
    }

    /// A repository with one commit, in the project.
    pub fn repository(&self) {
        self.host(
            "git init -q -b main . && echo one >file && git add file && git commit -q -m one",
        );
    }

    /// All names below the project, sorted, one a line.
    pub fn tree(&self) -> String {
        self.host("find . -not -path './.git/objects/*' | LC_ALL=C sort")
    }
}

/// Nothing of a run's output is a secret.
#[track_caller]
pub fn no_secret(outcome: &Outcome) {
    let text = outcome.text() + &outcome.errors();
    assert!(!text.contains(SECRET), "a secret was read: {outcome}");
}

/// The engine under test. Cargo builds it only when its own package is tested, so the first test
/// that needs one that is not there has it built.
pub fn engine() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if std::env::var_os("SWATHE_TEST_BWRAP").is_some() {
            return under_test(None);
        }
        let path = Path::new(env!("CARGO_BIN_EXE_swathe")).with_file_name("bwrap");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--offline", "-p", "swathe-cli", "-p", "swathe-bwrap"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let done = cargo.current_dir(root).status();
        assert!(done.is_ok_and(|status| status.success()), "{cargo:?}");
        path
    })
    .clone()
}

/// Whether a program is installed; where not, what that leaves out is printed.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .into_iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .any(|directory| directory.join(program).is_file());
    if !found {
        notice(&format!("{program} is not installed: what tests of it prove is left out"));
    }
    found
}

/// Makes two tests of each named function over a [`Place`]: as root and as an ordinary user.
#[macro_export]
macro_rules! both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn root() {
                if let Some(place) = $crate::common::Place::new(swathe_testkit::Who::Root) {
                    super::$name(&place);
                }
            }

            #[test]
            fn user() {
                if let Some(place) = $crate::common::Place::new(swathe_testkit::Who::User) {
                    super::$name(&place);
                }
            }
        }
    )*};
}

/// Runs words of a shell each, in one sandbox, and compares which of them went well.
pub fn tried(place: &Place, options: &str, cases: &[(&str, bool)]) {
    let mut text = String::new();
    for (words, _) in cases {
        // A new shell each: what `exec` opens shall not last.
        text += &format!("if (sh -c '{words}') >/dev/null 2>&1; then echo yes; else echo no; fi\n");
    }
    let found = place.inside(options, &text).prints();
    let found: Vec<&str> = found.lines().collect();
    assert_eq!(found.len(), cases.len(), "{found:?}");
    for ((words, expected), found) in cases.iter().zip(found) {
        assert_eq!(found == "yes", *expected, "{options}: {words}");
    }
}
