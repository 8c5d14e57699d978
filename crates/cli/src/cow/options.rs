//! Options of copy-on-write.

use crate::out::{Failure, shown};
use std::ffi::OsString;
use std::path::PathBuf;
use swathe_policy::intent::{Context, directory};
use swathe_policy::paths::Asker;
use swathe_policy::value::{number, size};
use swathe_policy::{Access, Declared, Environment, Intent, Source};
use swathe_workspace::Limits;

/// What goes to a workspace instead of the host.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct CowOptions {
    /// Keep changes below a directory, the current one by default, apart in a workspace, for
    /// swathe diff and swathe commit; can be repeated
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "."
    )]
    pub cow: Vec<OsString>,
    /// Keep the changes in this workspace, over several runs
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// End the run when the changes hold more than this, such as 2G; looked at twice a second
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["cow_discard", "cow_copy"])]
    pub cow_size: Option<String>,
    /// End the run when the changes are more than this many files; looked at twice a second
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["cow_discard", "cow_copy"])]
    pub cow_files: Option<String>,
    /// Work on a copy of the whole directory where an overlay cannot be used
    #[arg(long, conflicts_with = "cow_discard")]
    pub cow_copy: bool,
    /// Throw the changes away at the end of the run; until then they are kept in memory
    #[arg(long, conflicts_with = "workspace")]
    pub cow_discard: bool,
}

impl CowOptions {
    /// The same as words of a command line, for a run that leaves nothing behind.
    pub fn words(&self) -> Vec<OsString> {
        // Each field is named: a new one is not to be forgotten here.
        let Self { cow, workspace: _, cow_size: _, cow_files: _, cow_copy: _, cow_discard: _ } =
            self;
        let mut words: Vec<OsString> = Vec::new();
        for path in cow {
            let mut word = OsString::from("--cow=");
            word.push(path);
            words.push(word);
        }
        words.push("--cow-discard".into());
        words
    }

    /// The directories as intents.
    ///
    /// # Errors
    /// A path cannot be asked for.
    pub fn intents(&self, env: &Environment) -> Result<Vec<Declared>, Failure> {
        let mut all = Vec::new();
        for path in &self.cow {
            all.push(intent(path, env)?);
        }
        if let Some(name) = self.workspace.as_ref().filter(|_| all.is_empty()) {
            // It knows its directories.
            let source = Source::CommandLine(format!("--workspace {name}"));
            all.extend(super::roots_of(env, name)?.into_iter().map(|path| Declared {
                intent: at(path, env),
                reason: None,
                source: source.clone(),
            }));
        }
        Ok(all)
    }

    /// The limits.
    ///
    /// # Errors
    /// A word is none.
    pub fn limits(&self) -> Result<Limits, Failure> {
        let read = |option: &str, text: &Option<String>, parse: fn(&str) -> Option<u64>| {
            let Some(text) = text else { return Ok(None) };
            parse(text).filter(|number| *number > 0).map(Some).ok_or_else(|| {
                Failure::new(format!("{option} {}: not a limit", shown(text)))
                    .hint("write a number above 0; a size may end with K, M, G or T")
            })
        };
        Ok(Limits {
            bytes: read("--cow-size", &self.cow_size, |text| size(text).ok())?,
            inodes: read("--cow-files", &self.cow_files, number)?,
        })
    }
}

/// The current directory by whatever name is the current directory: it is asked for once. But the
/// home directory is only ever meant by its name.
fn at(path: PathBuf, env: &Environment) -> Intent {
    match path.canonicalize() {
        Ok(real) if real == env.cwd && real != env.home => Intent::FilesCwd(Access::CopyOnWrite),
        _ => Intent::FilesDir { path, access: Access::CopyOnWrite },
    }
}

fn intent(path: &OsString, env: &Environment) -> Result<Declared, Failure> {
    let words = format!("--cow={}", path.to_string_lossy());
    let source = Source::CommandLine(words.clone());
    if path == "." {
        let source = Source::CommandLine("--cow".to_owned());
        let intent = Intent::FilesCwd(Access::CopyOnWrite);
        return Ok(Declared { intent, reason: None, source });
    }
    let context = Context { env, asker: Asker::User, relative: true };
    match directory(path, Access::CopyOnWrite, context) {
        Ok((Intent::FilesDir { path, .. }, warning)) => {
            let intent = at(path, env);
            if let Some(warning) = warning {
                crate::out::note(&warning);
            }
            Ok(Declared { intent, reason: None, source })
        }
        Ok((intent, _)) => Ok(Declared { intent, reason: None, source }),
        Err(complaint) => {
            let failure = Failure::new(format!("{}: {}", shown(&words), shown(&complaint.message)));
            Err(match complaint.help {
                Some(help) => failure.hint(shown(&help)),
                None => failure,
            })
        }
    }
}
