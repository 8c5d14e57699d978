//! Both sides of a change in the tool that the user has chosen for git.

use super::{Target, listed, path_of, text};
use crate::out::{Failure, shown};
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use swathe_workspace::{Change, Changeset, FileKind, Meta, Workspace};

/// The longest file that is copied for a tool, in bytes.
const LONGEST: u64 = 256 << 20;

/// The longest name of a copy without its side, in bytes.
const LONGEST_NAME: usize = 200;

/// A directory of copies, removed at the end: a tool never sees the workspace itself, which it could
/// write to.
struct Copies(PathBuf);

impl Copies {
    fn new() -> Result<Self, Failure> {
        let name = format!("swathe-diff-{}", std::process::id());
        let path = crate::rundir::directory()?.join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|e| {
            Failure::new(format!("cannot make {}: {e}", shown(&path.to_string_lossy())))
        })?;
        Ok(Self(path))
    }

    /// A file with one side, by a name that says which it is.
    fn put(&self, side: &str, name: &[u8], bytes: &[u8]) -> Result<PathBuf, Failure> {
        let base = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        // A tool may show the name on a terminal, and takes one with a dash for an option.
        let plain: String = String::from_utf8_lossy(base)
            .chars()
            .map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' })
            .collect();
        // By its end a tool knows what it is; the front of a long one has no room beside the side.
        let cut =
            plain.char_indices().map(|(at, _)| at).find(|at| plain.len() - at <= LONGEST_NAME);
        let plain = plain.get(cut.unwrap_or(0)..).unwrap_or_default();
        let directory = self.0.join(side);
        let path = directory.join(format!("{side}_{plain}"));
        drop(fs::DirBuilder::new().mode(0o700).create(&directory));
        fs::write(&path, bytes).map_err(|e| {
            Failure::new(format!("cannot write {}: {e}", shown(&path.to_string_lossy())))
        })?;
        Ok(path)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Shows the files among the chosen changes, one after the other.
///
/// # Errors
/// There is no such tool, or a side cannot be read.
pub fn show(
    tool: &str,
    target: &Target,
    workspace: &Workspace,
    set: &Changeset,
    chosen: &[usize],
) -> Result<(), Failure> {
    let command = Tool::find(tool, &target.env.cwd)?;
    let copies = Copies::new()?;
    let files = listed(set, chosen);
    let files: Vec<&Change> = files
        .iter()
        .filter_map(|index| set.changes.get(*index))
        .filter(|change| is_file(change))
        .collect();
    if files.is_empty() {
        return Err(Failure::new("no file of the workspace has contents to compare")
            .hint(format!("swathe diff --stat {} lists what it changes", target.name)));
    }
    for change in files {
        let name = path_of(workspace, change);
        let Some(root) = workspace.about().roots.get(change.root) else { continue };
        let (host, upper) = (root.path.as_path(), root.upper());
        let old = copies.put("host", &name, &read(host, change, change.old)?)?;
        let new = copies.put("workspace", &name, &read(&upper, change, change.new)?)?;
        command.run(&old, &new, &name)?;
    }
    Ok(())
}

/// One side of a change, empty where there is none: beneath its directory, through no link.
fn read(root: &Path, change: &Change, side: Option<Meta>) -> Result<Vec<u8>, Failure> {
    if side.is_none_or(|meta| meta.kind != FileKind::File) {
        return Ok(Vec::new());
    }
    let failed = |e: std::io::Error| {
        Failure::new(format!("cannot read {}: {e}", text::name(&change.path.0)))
    };
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    let root = open(root, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let file = openat2(&root, change.path.as_path(), flags, Mode::empty(), beneath);
    let mut bytes = Vec::new();
    let file = std::fs::File::from(file.map_err(|e| failed(e.into()))?);
    file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn is_file(change: &Change) -> bool {
    let file = |meta: Option<Meta>| meta.is_some_and(|meta| meta.kind == FileKind::File);
    file(change.old) || file(change.new)
}

/// A tool by its name in git's configuration.
struct Tool {
    name: String,
    /// A command for the shell, with `$LOCAL` and `$REMOTE`; none where the name is a program.
    command: Option<String>,
}

impl Tool {
    fn find(name: &str, cwd: &Path) -> Result<Self, Failure> {
        let name = match name {
            "" => configured("diff.tool", cwd).ok_or_else(|| {
                Failure::new("git has no diff.tool")
                    .hint("git config --global diff.tool NAME names one; or: --tool=NAME")
            })?,
            name => name.to_owned(),
        };
        let command = configured(&format!("difftool.{name}.cmd"), cwd);
        let path = configured(&format!("difftool.{name}.path"), cwd);
        Ok(Self { name: path.unwrap_or(name), command })
    }

    fn run(&self, old: &Path, new: &Path, name: &[u8]) -> Result<(), Failure> {
        let mut command = match &self.command {
            Some(text) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(text);
                shell
            }
            None => {
                let mut tool = Command::new(&self.name);
                tool.args(usual(&self.name)).arg(old).arg(new);
                tool
            }
        };
        command.env("LOCAL", old).env("REMOTE", new);
        command.env("MERGED", OsStr::from_bytes(name)).env("BASE", OsStr::from_bytes(name));
        // How it ends says whether there is a difference, or nothing.
        command.status().map(drop).map_err(|e| {
            let shown_name = shown(&self.name);
            Failure::new(format!("cannot start {shown_name} for {}: {e}", text::name(name)))
                .hint(format!("git config difftool.{shown_name}.cmd says how it is started"))
        })
    }
}

/// What a known tool has to be told so that it compares.
fn usual(name: &str) -> &'static [&'static str] {
    match name.rsplit('/').next().unwrap_or(name) {
        "vim" | "nvim" | "gvim" => &["-d"],
        "vimdiff" | "nvimdiff" => &[],
        "code" => &["--wait", "--diff"],
        _ => &[],
    }
}

/// A value of the user's own configuration of git. That of a repository counts for nothing: a
/// program that was run may have written it.
fn configured(key: &str, cwd: &Path) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["config", "--global", "--get", key]).current_dir(cwd);
    let output = git.stdin(std::process::Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim_end_matches('\n').to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
