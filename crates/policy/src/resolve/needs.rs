//! What the program needs to start, where the rest of the plan does not show it already.

use super::build::Build;
use super::{Kind, Needs, Refusal, files, tools};
use crate::model::Source;
use crate::paths::{Asker, Verdict, judge};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::model::BoxPath;

/// How deep interpreters may be nested; the kernel allows five.
const DEPTH: usize = 5;

/// Directories that loaders search, beside those a program names.
const LIBRARIES: [&str; 6] =
    ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/lib/x86_64-linux-gnu"];

/// Shows what the program needs; returns its file.
pub(super) fn add(build: &mut Build<'_>) -> Result<Option<PathBuf>, Refusal> {
    directory(build);
    active_environments(build);
    let Some(word) = build.request.command.first().cloned() else { return Ok(None) };
    let Some(path) = find(build, &word) else { return Err(missing(build, &word)) };
    can_start(build, &path)?;
    program(build, &path, 0);
    Ok(build.files.real(&path))
}

/// Where the program starts: in the working directory where that is visible, else at home.
fn directory(build: &mut Build<'_>) {
    let cwd = &build.host.cwd;
    let start = if build.is_visible(cwd) { cwd } else { &build.host.home };
    build.plan.chdir = Some(BoxPath(start.as_os_str().as_bytes().to_vec()));
}

/// As execvp(3): a name without a slash is looked up in PATH.
fn find(build: &Build<'_>, word: &OsStr) -> Option<PathBuf> {
    if word.as_bytes().contains(&b'/') {
        let path = build.host.cwd.join(word);
        return build.files.real(&path).is_some().then_some(path);
    }
    let usual = OsStr::new("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    let path = build.host.var("PATH").map_or(usual, |path| path.as_os_str());
    let mut directories: Vec<PathBuf> = std::env::split_paths(path).collect();
    directories.extend(std::env::split_paths(usual));
    directories.into_iter().filter(|d| d.is_absolute()).map(|d| d.join(word)).find(|candidate| {
        let real = build.files.real(candidate);
        real.is_some_and(|real| {
            build.files.kind(&real) == Some(Kind::File) && build.files.executable(&real)
        })
    })
}

fn missing(build: &Build<'_>, word: &OsStr) -> Refusal {
    let shown = word.to_string_lossy();
    let refusal = Refusal::new(format!("there is no program {shown:?}"), &Source::Default);
    let here = build.host.cwd.join(word);
    if !word.as_bytes().contains(&b'/') && build.files.executable(&here) {
        return refusal.hint(format!("for the one in this directory: ./{shown}"));
    }
    refusal.hint(if word.as_bytes().contains(&b'/') {
        "the path leads nowhere on this machine"
    } else {
        "it is in no directory of PATH on this machine"
    })
}

/// What the kernel would say after the set-up, said before and in more words.
fn can_start(build: &Build<'_>, path: &Path) -> Result<(), Refusal> {
    let real = build.files.real(path).unwrap_or_else(|| path.to_owned());
    let shown = path.display();
    let refused = |text: String| Refusal::new(text, &Source::Default);
    match build.files.kind(&real) {
        Some(Kind::File) => {}
        Some(Kind::Directory) => return Err(refused(format!("{shown} is a directory"))),
        _ => return Err(refused(format!("{shown} is no file"))),
    }
    if !build.files.executable(&real) {
        return Err(refused(format!("{shown} cannot be executed: permission denied"))
            .hint(format!("where it is a program: chmod +x {shown}")));
    }
    let mut file = real;
    for _ in 0..DEPTH {
        let interpreter = build.files.needs(&file).and_then(|needs| needs.interpreter);
        let Some(interpreter) = interpreter.filter(|path| path.is_absolute()) else { break };
        let named = interpreter.display();
        file = build.files.real(&interpreter).ok_or_else(|| {
            refused(format!("{shown} needs {named} to start, which does not exist on this machine"))
                .hint("it is named by the first line of a script, or is the loader of a program")
        })?;
        if !build.files.executable(&file) {
            return Err(refused(format!("{shown} needs {named} to start, which is no program")));
        }
    }
    Ok(())
}

fn program(build: &mut Build<'_>, path: &Path, depth: usize) {
    let Some(real) = build.files.real(path) else { return };
    if depth > DEPTH {
        return;
    }
    let needs = build.files.needs(&real);
    if depth > 0 && !is_code(build, &real, needs.as_ref()) {
        return;
    }
    environment(build, path);
    if !build.is_visible(&real) {
        // Only the file: what lies beside it is nobody's business.
        build.show(&real, &Source::Default);
    }
    if real != path && !build.is_reachable(path) {
        build.symlink(&real, path);
        build.visible.push(path.to_owned());
    } else if real != path
        && let Some(beside) = path.parent().and_then(|parent| build.files.real(parent))
    {
        // A link in a directory that is shown can lead on through others that are not.
        files::lead(build, &beside.join(path.file_name().unwrap_or_default()));
    }
    let Some(needs) = needs else { return };
    if let Some(interpreter) = needs.interpreter
        && interpreter.is_absolute()
    {
        program(build, &interpreter, depth + 1);
    }
    let beside = real.parent().map(Path::to_owned).unwrap_or_default();
    let search: Vec<PathBuf> = needs
        .search
        .iter()
        .map(|directory| origin(directory, &beside))
        .chain(build.host.var("LD_LIBRARY_PATH").into_iter().flat_map(std::env::split_paths))
        .collect();
    for name in &needs.libraries {
        let usual = LIBRARIES.iter().map(PathBuf::from);
        let found = search.iter().cloned().chain(usual).map(|d| d.join(name));
        let found = found.filter_map(|path| Some((build.files.real(&path)?, path))).next();
        if let Some((real, path)) = found
            && !build.is_visible(&real)
            // A script is no library.
            && build.files.read(&real, 4).is_some_and(|start| start == b"\x7fELF")
            && is_code(build, &real, build.files.needs(&real).as_ref())
        {
            library(build, &real, &path, depth);
        }
    }
}

/// A library beside the program may need others from there.
fn library(build: &mut Build<'_>, real: &Path, path: &Path, depth: usize) {
    build.show(real, &Source::Default);
    if real != path && !build.is_reachable(path) {
        build.symlink(real, path);
        build.visible.push(path.to_owned());
    }
    program(build, real, depth + 1);
}

/// Whether a file that only a program names may be shown: whoever wrote the program can name any
/// file, and would read it as a library or an interpreter.
fn is_code(build: &Build<'_>, real: &Path, needs: Option<&Needs>) -> bool {
    build.is_visible(real)
        || needs.is_some() && build.files.kind(real) == Some(Kind::File) && is_harmless(build, real)
}

/// Whether nothing is known against a path that nobody asked for by name.
fn is_harmless(build: &Build<'_>, real: &Path) -> bool {
    judge(real, false, Asker::User, &build.host.places) == Verdict::Fine
}

fn origin(directory: &Path, beside: &Path) -> PathBuf {
    for name in ["$ORIGIN", "${ORIGIN}"] {
        if let Ok(rest) = directory.strip_prefix(name) {
            return beside.join(rest);
        }
    }
    directory.to_owned()
}

/// Python venvs that the caller has activated.
fn active_environments(build: &mut Build<'_>) {
    let path = build.host.var("PATH").cloned().unwrap_or_default();
    for directory in std::env::split_paths(&path).filter(|d| d.is_absolute()) {
        if !build.is_visible(&directory) {
            environment(build, &directory.join("python"));
        }
    }
}

/// A program of a Python venv needs the whole of it, and the Python that it was made from.
fn environment(build: &mut Build<'_>, path: &Path) {
    const MAX: usize = 4096;
    let Some(root) = path.parent().and_then(Path::parent) else { return };
    let Some(text) = build.files.read(&root.join("pyvenv.cfg"), MAX) else { return };
    tools::show_path(build, root);
    let text = String::from_utf8_lossy(&text).into_owned();
    let home = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "home").then(|| PathBuf::from(value.trim()))
    });
    // The directory of its programs; the library is beside it.
    if let Some(prefix) = home.as_deref().filter(|p| p.is_absolute()).and_then(Path::parent)
        && is_python(build, prefix)
    {
        tools::show_path(build, prefix);
    }
}

/// Whether a Python is installed there. The file that says so comes with the project, whose author
/// may name any directory; another venv, which holds more than a Python, is none.
fn is_python(build: &Build<'_>, prefix: &Path) -> bool {
    const MAX: usize = 4096;
    let Some(real) = build.files.real(prefix) else { return false };
    let python = |name: &OsString| name.as_bytes().starts_with(b"python");
    build.is_visible(&real)
        || is_harmless(build, &real)
            && build.files.kind(&real.join("pyvenv.cfg")).is_none()
            && build.files.list(&real.join("bin"), MAX).iter().any(python)
            && build.files.directories(&real.join("lib"), MAX).iter().any(python)
}
