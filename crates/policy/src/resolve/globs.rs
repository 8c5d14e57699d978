//! Globs of paths that are hidden.

use super::build::Build;
use super::{Kind, Refusal, boxed};
use crate::model::Source;
use globset::{GlobBuilder, GlobMatcher};
use std::path::{Path, PathBuf};
use swathe_plan::model::{FileOp, StandIn};
use swathe_plan::options::Opt;

/// Files and directories that are looked at for one glob. A tree of this size takes half a second.
const MAX_SEEN: usize = 500_000;
/// Paths that one glob can hide; each is a mount.
const MAX_HIDDEN: usize = 1000;
/// Names of one directory.
const MAX_NAMES: usize = 100_000;

/// A glob that also holds for what appears while the sandbox runs: whoever runs it has to hide that.
#[derive(Debug, Clone)]
pub struct Lasting {
    /// As it was written.
    pub glob: PathBuf,
    /// What it matches, as whole paths.
    pub matcher: GlobMatcher,
    /// Above all that it can match.
    base: PathBuf,
    /// Components that a match can have at most; none: any number.
    depth: Option<usize>,
}

impl Lasting {
    /// Of a glob with an absolute path.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(glob: &Path) -> Result<Self, String> {
        let matcher = compile(glob)?;
        let through = glob.as_os_str().as_encoded_bytes().windows(2).any(|pair| pair == b"**");
        // Separators within braces only make it deeper than it is.
        let depth = (!through).then(|| glob.components().count());
        Ok(Self { glob: glob.to_owned(), matcher, base: base(glob), depth })
    }

    /// Whether something in a directory can match, or below it.
    #[must_use]
    pub fn reaches(&self, directory: &Path) -> bool {
        (directory.starts_with(&self.base) || self.base.starts_with(directory))
            && self.depth.is_none_or(|depth| directory.components().count() < depth)
    }
}

/// A glob as a pattern of whole paths: `*` and `?` stay within a name.
///
/// # Errors
/// Why it is none.
pub fn compile(glob: &Path) -> Result<GlobMatcher, String> {
    let text = glob.to_str().ok_or("it is not UTF-8")?;
    let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|e| e.kind().to_string())
}

/// The directory above the first name that is a pattern.
#[must_use]
pub fn base(glob: &Path) -> PathBuf {
    let plain = |component: &std::path::Component<'_>| {
        let name = component.as_os_str().as_encoded_bytes();
        !name.iter().any(|b| b"*?[{\\".contains(b))
    };
    glob.components().take_while(plain).collect()
}

/// Masks what matches of what is visible, and notes the glob for what is made later.
pub(super) fn hide(build: &mut Build<'_>, glob: &Path, source: &Source) -> Result<(), Refusal> {
    let lasting = Lasting::new(glob)
        .map_err(|why| Refusal::new(format!("{} is not a glob: {why}", glob.display()), source))?;
    let base = &lasting.base;
    let roots: Vec<PathBuf> = build
        .shown
        .iter()
        .filter_map(|shown| match (shown.starts_with(base), base.starts_with(shown)) {
            (true, _) => Some(shown.clone()),
            (_, true) => Some(base.clone()),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    let mut seen = 0;
    for root in roots {
        look(build, &lasting.matcher, root, &mut found, &mut seen);
        if seen > MAX_SEEN || found.len() > MAX_HIDDEN {
            let what = if seen > MAX_SEEN {
                "has too many files to look at"
            } else {
                "hides too many files"
            };
            let text = format!("the glob {} {what}", glob.display());
            return Err(Refusal::new(text, source).hint("name a directory that holds them"));
        }
    }
    build.lasting.push(lasting);
    for path in found {
        // Where a link leads, if it leads to something visible: the link itself tells nothing.
        let real = match build.files.kind(&path) {
            Some(Kind::Link) => match build.files.real(&path) {
                Some(real) if build.is_visible(&real) => real,
                _ => continue,
            },
            _ => path,
        };
        let op = FileOp::Mask { dest: boxed(&real), stand_in: StandIn::Unreadable };
        build.step(op, Opt::Mask, source);
    }
    Ok(())
}

/// What matches at or below a path, without following links. What is below a match is hidden by it.
fn look(
    build: &Build<'_>,
    matcher: &GlobMatcher,
    root: PathBuf,
    found: &mut Vec<PathBuf>,
    seen: &mut usize,
) {
    let mut left = vec![root];
    while let Some(path) = left.pop() {
        *seen += 1;
        if *seen > MAX_SEEN || found.len() > MAX_HIDDEN {
            return;
        }
        if matcher.is_match(&path) {
            found.push(path);
            continue;
        }
        if build.files.kind(&path) == Some(Kind::Directory) {
            let names = build.files.list(&path, MAX_NAMES);
            if names.len() == MAX_NAMES {
                // There may be more of them.
                *seen = MAX_SEEN;
            }
            left.extend(names.into_iter().map(|name| path.join(name)));
        }
    }
}
