//! What the options of `run`, `shell`, `explain`, `check` and `session start` ask for.

use crate::out::{Failure, note, shown};
use crate::store::Profiles;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use swathe_policy::diagnostic;
use swathe_policy::merge::{self, Layer};
use swathe_policy::resolve::{self, Host, PROTECTIONS, Request, Sandbox};
use swathe_policy::{Access, Declared, Environment, Intent, Policy, Source};

/// What a sandbox may reach.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Options {
    /// Make the current directory writable
    #[arg(short, long)]
    pub write: bool,
    /// Use a profile, by its name or, with a slash, its path; can be repeated
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Vec<OsString>,
    /// Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME
    #[arg(short, long, value_name = "INTENT")]
    pub allow: Vec<OsString>,
    /// Let a protected path be written to, by its name (such as git-hooks), or all
    #[arg(long, value_name = "NAME")]
    pub unprotect: Vec<String>,
    /// Run although this layer cannot be enforced here (such as landlock)
    #[arg(long, value_name = "LAYER")]
    pub allow_degraded: Vec<String>,
    /// Use the caller's terminal as plain standard streams, without one of its own
    #[arg(long)]
    pub no_pty: bool,
}

impl Options {
    /// The same as words of a command line.
    pub fn words(&self) -> Vec<OsString> {
        // Each field is named: a new one is not to be forgotten here.
        let Self { write, profile, allow, unprotect, allow_degraded, no_pty } = self;
        let mut words: Vec<OsString> = Vec::new();
        words.extend(write.then(|| "--write".into()));
        words.extend(no_pty.then(|| "--no-pty".into()));
        let unprotect: Vec<OsString> = unprotect.iter().map(OsString::from).collect();
        let degraded: Vec<OsString> = allow_degraded.iter().map(OsString::from).collect();
        for (name, values) in [
            ("--profile", profile),
            ("--allow", allow),
            ("--unprotect", &unprotect),
            ("--allow-degraded", &degraded),
        ] {
            for value in values {
                // As one word: a value may begin with a dash.
                let mut word = OsString::from(name);
                word.push("=");
                word.push(value);
                words.push(word);
            }
        }
        words
    }
}

/// A sandbox that is worked out, and what it was worked out from.
#[derive(Debug)]
pub struct Wanted {
    /// The plan.
    pub sandbox: Sandbox,
    /// What may be reached.
    pub policy: Policy,
}

/// Works the sandbox out.
pub fn resolve(options: &Options, command: &[OsString], id: &str) -> Result<Wanted, Failure> {
    let host = crate::host::probe()?;
    let policy = policy(options, &host)?;
    let mut command = command.to_vec();
    if command.is_empty() {
        command = policy.command.iter().map(OsString::from).collect();
    }
    let terminal =
        !options.no_pty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let request =
        Request { command, terminal, degraded: options.allow_degraded.clone(), id: id.to_owned() };
    let sandbox =
        resolve::resolve(&policy, &request, &host, &crate::host::HostFiles).map_err(|refusal| {
            let failure = Failure::new(shown(&refusal.to_string()));
            refusal.hints.iter().fold(failure, |failure, hint| failure.hint(hint.as_str()))
        })?;
    Ok(Wanted { sandbox, policy })
}

/// The defaults, the profiles, and the words, as one.
fn policy(options: &Options, host: &Host) -> Result<Policy, Failure> {
    let defaults = Policy {
        intents: vec![Declared {
            intent: Intent::FilesCwd(Access::ReadOnly),
            reason: None,
            source: Source::Default,
        }],
        ..Policy::default()
    };
    let env = environment(host);
    let loaded = swathe_policy::load(&Profiles::new(&env), &options.profile, &env, &options.allow)
        .map_err(|found| refused(&found))?;
    for warning in &loaded.warnings {
        note(&warning.message);
    }
    let mut words = Policy::default();
    if options.write {
        let source = Source::CommandLine("-w".to_owned());
        let intent = Intent::FilesCwd(Access::ReadWrite);
        words.intents.push(Declared { intent, reason: None, source });
    }
    for name in &options.unprotect {
        known_protection(name)?;
        words.unprotect.push(name.clone());
    }
    Ok(merge::merge(&[
        (Layer::Default, defaults),
        (Layer::User, loaded.policy),
        (Layer::CommandLine, words),
    ]))
}

fn known_protection(name: &str) -> Result<(), Failure> {
    if name == "all" || PROTECTIONS.iter().any(|known| known.name == name) {
        return Ok(());
    }
    let known: Vec<&str> = PROTECTIONS.iter().map(|known| known.name).collect();
    Err(Failure::new(format!("--unprotect {}: no protection has that name", shown(name)))
        .hint(format!("there are: {}, all", known.join(", "))))
}

/// What is wrong with profiles or words, drawn.
pub fn refused(found: &[diagnostic::Diagnostic]) -> Failure {
    let mut failure = Failure::new("a profile or option cannot be used");
    failure.drawn = Some(diagnostic::render_all(found));
    failure
}

/// What paths in profiles are made of.
pub fn environment(host: &Host) -> Environment {
    let place = |name: &str, usual: &str| {
        let named = host.var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        named.unwrap_or_else(|| host.home.join(usual))
    };
    Environment {
        home: host.home.clone(),
        config: place("XDG_CONFIG_HOME", ".config"),
        data: place("XDG_DATA_HOME", ".local/share"),
        cache: place("XDG_CACHE_HOME", ".cache"),
        state: place("XDG_STATE_HOME", ".local/state"),
        runtime: host.var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute()),
        cwd: host.cwd.clone(),
    }
}
