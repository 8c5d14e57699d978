//! What the options of `run`, `shell`, `explain`, `check` and `session start` ask for.

use crate::out::Failure;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use swathe_policy::resolve::{self, Request, Sandbox};
use swathe_policy::{Access, Declared, Intent, Policy, Source};

/// What a sandbox may reach.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Options {
    /// Make the current directory writable
    #[arg(short, long)]
    pub write: bool,
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

/// A sandbox that is worked out, and what it was worked out from.
pub struct Wanted {
    /// What may be reached.
    pub policy: Policy,
    /// The plan.
    pub sandbox: Sandbox,
}

/// Works the sandbox out.
pub fn resolve(options: &Options, command: &[OsString], id: &str) -> Result<Wanted, Failure> {
    let policy = policy(options)?;
    let host = crate::host::probe()?;
    let terminal =
        !options.no_pty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let request = Request {
        command: command.to_vec(),
        terminal,
        degraded: options.allow_degraded.clone(),
        id: id.to_owned(),
    };
    let sandbox =
        resolve::resolve(&policy, &request, &host, &crate::host::HostFiles).map_err(|refusal| {
            let failure = Failure::new(crate::out::shown(&refusal.to_string()));
            refusal.hints.iter().fold(failure, |failure, hint| failure.hint(hint.as_str()))
        })?;
    Ok(Wanted { policy, sandbox })
}

fn policy(options: &Options) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    let (access, source) = if options.write {
        (Access::ReadWrite, Source::CommandLine("-w".to_owned()))
    } else {
        (Access::ReadOnly, Source::Default)
    };
    policy.intents.push(Declared { intent: Intent::FilesCwd(access), reason: None, source });
    for name in &options.unprotect {
        let known: Vec<&str> = resolve::PROTECTED.iter().map(|(known, _)| *known).collect();
        if name != "all" && !known.contains(&name.as_str()) {
            return Err(Failure::new(format!(
                "--unprotect {}: no protection has that name",
                crate::out::shown(name)
            ))
            .hint(format!("there are: {}, all", known.join(", "))));
        }
        policy.unprotect.push(name.clone());
    }
    Ok(policy)
}
