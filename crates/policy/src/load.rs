//! Profiles by name, what they extend, and words of the command line, as one policy.

use crate::diagnostic::{Diagnostic, Place, SourceText};
use crate::intent::quoted;
use crate::merge::{Layer, merge};
use crate::model::Policy;
use crate::paths::{Asker, Environment};
use crate::profile::{Document, read};
use crate::words;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Finds profiles.
pub trait Loader {
    /// The text of a profile. A word with a slash is a path that the user named; others are names,
    /// which are searched.
    ///
    /// # Errors
    /// What is shown to the user: not found, and where it was searched, or not readable. One line,
    /// lower case.
    fn load(&self, name: &OsStr) -> Result<SourceText, String>;
}

/// A policy, and what is dangerous about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// What was asked for.
    pub policy: Policy,
    /// What is allowed and dangerous.
    pub warnings: Vec<Diagnostic>,
    /// The files it was read from. A run that could write to one would decide about the next run.
    pub files: Vec<PathBuf>,
}

/// How deep profiles may extend each other.
pub const DEEPEST: usize = 16;
/// How many profiles one run may be made of.
pub const MOST_FILES: usize = 64;

/// The user's policy: profiles by name or path, the later counting more, then the words behind
/// `--allow`. Without either it is empty: the defaults are not part of it.
///
/// # Errors
/// All that is wrong with the first file that cannot be read, or with the words.
pub fn load(
    loader: &dyn Loader,
    profiles: &[OsString],
    env: &Environment,
    allow: &[OsString],
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut chain = Chain { loader, env, open: Vec::new(), done: Vec::new(), read: Vec::new() };
    for name in profiles {
        chain.follow(name, None)?;
    }
    let mut warnings = Vec::new();
    let mut policies = Vec::new();
    let mut files = Vec::new();
    for document in chain.read {
        warnings.extend(document.warnings);
        files.extend(document.source.path.clone());
        policies.push((Layer::User, document.policy));
    }
    let (intents, dangers) = words::read(allow, env)?;
    warnings.extend(dangers);
    policies.push((Layer::CommandLine, Policy { intents, ..Policy::default() }));
    Ok(Loaded { policy: merge(&policies), warnings, files })
}

/// One text and all that it extends, as [`load`] does it, for a file that is checked and not run.
///
/// # Errors
/// As for [`load`].
pub fn check(
    loader: &dyn Loader,
    name: &OsStr,
    env: &Environment,
) -> Result<Loaded, Vec<Diagnostic>> {
    load(loader, &[name.to_owned()], env, &[])
}

/// Where a profile names another.
type Named = Option<(Arc<SourceText>, Range<usize>)>;

struct Chain<'c> {
    loader: &'c dyn Loader,
    env: &'c Environment,
    /// Profiles that are being read, and where each names the next.
    open: Vec<(OsString, Named)>,
    done: Vec<OsString>,
    read: Vec<Document>,
}

impl Chain<'_> {
    /// Reads a profile after all that it extends. Each is read once.
    fn follow(&mut self, name: &OsStr, from: Named) -> Result<(), Vec<Diagnostic>> {
        if let Some(start) = self.open.iter().position(|(open, _)| open == name) {
            return Err(vec![self.circle(start, name, from)]);
        }
        if self.done.iter().any(|done| done == name) {
            return Ok(());
        }
        let place = from.as_ref().map(|(source, span)| Place {
            source: Arc::clone(source),
            span: span.clone(),
            label: String::new(),
        });
        let failed = |message: String| {
            let error = Diagnostic::error(message);
            vec![Diagnostic { places: place.clone().into_iter().collect(), ..error }]
        };
        if self.open.len() >= DEEPEST {
            return Err(failed(format!("profiles extend each other more than {DEEPEST} deep")));
        }
        if self.open.len() + self.done.len() >= MOST_FILES {
            return Err(failed(format!("more than {MOST_FILES} profiles")));
        }
        let source = self.loader.load(name).map_err(failed)?;
        let source = Arc::new(source);
        let document = read(&source, Asker::User, self.env)?;
        self.open.push((name.to_owned(), from));
        for (base, span) in &document.extends {
            self.follow(OsStr::new(base), Some((Arc::clone(&source), span.clone())))?;
        }
        self.open.pop();
        self.done.push(name.to_owned());
        self.read.push(document);
        Ok(())
    }

    fn circle(&self, start: usize, name: &OsStr, from: Named) -> Diagnostic {
        let mut names: Vec<String> =
            self.open[start..].iter().map(|(name, _)| name.to_string_lossy().into()).collect();
        names.push(name.to_string_lossy().into());
        let chain = names.join(" -> ");
        let mut error =
            Diagnostic::error(format!("profiles extend each other in a circle: {chain}"));
        if let Some((source, span)) = from {
            error = error.at(&source, span, format!("extends {} again", quoted(&names[0])));
        }
        for (open, from) in &self.open[start + 1..] {
            if let Some((source, span)) = from {
                let label = format!("extends {}", quoted(&open.to_string_lossy()));
                error = error.at(source, span.clone(), label);
            }
        }
        error.help("take one of them out of `extends`")
    }
}
