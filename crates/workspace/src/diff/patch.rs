//! A change in the form of git's patches.
//!
//! What such a patch cannot say stands before the header it belongs to, in lines that begin with `#`:
//! those who apply a patch skip them.

use super::text::Texts;
use super::{Content, DiffOptions, Stat};
use crate::change::{Change, ChangeKind};
use crate::meta::{FileKind, Meta};
use std::io::{self, Write};

/// What one side has of a path.
pub(super) type Sides<'a> = (Option<&'a Content>, Option<&'a Content>);

/// Writes a change. `from`: the deletion that makes a rename of it.
pub(super) fn write(
    change: &Change,
    from: Option<&Change>,
    (old, new): Sides<'_>,
    options: &DiffOptions,
    out: &mut dyn Write,
) -> io::Result<Stat> {
    let path = change.path.0.as_slice();
    notes(change, from, out)?;
    if let (Some(from), Some(is)) = (from, change.new) {
        rename(from, path, &is, out)?;
        return Ok(Stat::default());
    }
    let text = |content: Option<&Content>| match content {
        None => Some(Vec::new()),
        Some(content) => content.text.clone(),
    };
    let texts = text(old).zip(text(new)).map(|(old, new)| Texts { old, new });
    if texts.is_none() {
        binary(path, (old, new), out)?;
    }
    match change.kind {
        ChangeKind::Modified => modified(change, texts.as_ref(), options, out)?,
        _ if texts.is_none() => {}
        _ => {
            let (old, new) = (text(old), text(new));
            if let Some((mode, old)) = change.old.and_then(|meta| mode(&meta)).zip(old) {
                let line = format!("deleted file mode {mode}");
                let texts = Texts { old, new: Vec::new() };
                block((path, path), &[line], (true, false), &texts, options, out)?;
            }
            if let Some((mode, new)) = change.new.and_then(|meta| mode(&meta)).zip(new) {
                let line = format!("new file mode {mode}");
                let texts = Texts { old: Vec::new(), new };
                block((path, path), &[line], (false, true), &texts, options, out)?;
            }
        }
    }
    Ok(texts.map_or(Stat { binary: true, ..Stat::default() }, |texts| texts.stat()))
}

/// A mode as git knows it; none of what it does not keep.
fn mode(meta: &Meta) -> Option<&'static str> {
    match meta.kind {
        FileKind::File if meta.mode & 0o100 != 0 => Some("100755"),
        FileKind::File => Some("100644"),
        FileKind::Symlink => Some("120000"),
        FileKind::Directory | FileKind::Fifo | FileKind::Socket | FileKind::Device => None,
    }
}

/// The lines of a mode that differs for git.
fn modes(old: &Meta, new: &Meta) -> Vec<String> {
    match mode(old).zip(mode(new)) {
        Some((old, new)) if old != new => {
            vec![format!("old mode {old}"), format!("new mode {new}")]
        }
        _ => Vec::new(),
    }
}

fn modified(
    change: &Change,
    texts: Option<&Texts>,
    options: &DiffOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let lines = change.old.zip(change.new).map_or(Vec::new(), |(old, new)| modes(&old, &new));
    let same = Texts { old: Vec::new(), new: Vec::new() };
    let texts = texts.unwrap_or(&same);
    if lines.is_empty() && texts.old == texts.new {
        return Ok(());
    }
    block((&change.path.0, &change.path.0), &lines, (true, true), texts, options, out)
}

fn rename(from: &Change, path: &[u8], is: &Meta, out: &mut dyn Write) -> io::Result<()> {
    let was = from.path.0.as_slice();
    writeln!(out, "diff --git {} {}", quoted("a/", was), quoted("b/", path))?;
    for line in from.old.map_or(Vec::new(), |old| modes(&old, is)) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "similarity index 100%")?;
    writeln!(out, "rename from {}\nrename to {}", quoted("", was), quoted("", path))
}

/// Header and hunks of one file. `there`: which sides have it.
fn block(
    (old, new): (&[u8], &[u8]),
    lines: &[String],
    there: (bool, bool),
    texts: &Texts,
    options: &DiffOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (old, new) = (quoted("a/", old), quoted("b/", new));
    writeln!(out, "diff --git {old} {new}")?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    let hunks = texts.hunks(options.context);
    if !hunks.is_empty() {
        for (sign, name, there) in [("---", old, there.0), ("+++", new, there.1)] {
            // Without the tab some programs take the name to end at its first space.
            let end = if there && name.contains(' ') { "\t" } else { "" };
            writeln!(out, "{sign} {}{end}", if there { name.as_str() } else { "/dev/null" })?;
        }
    }
    for hunk in &hunks {
        hunk.write(options.visible, out)?;
    }
    Ok(())
}

/// What differs where one side is no text.
fn binary(path: &[u8], (old, new): Sides<'_>, out: &mut dyn Write) -> io::Result<()> {
    let shown = |content: &Content| match (&content.text, &content.hash) {
        (Some(text), _) => format!("{} bytes of text", text.len()),
        (None, Some(hash)) => format!("{} bytes, sha256 {hash}", content.meta.size),
        (None, None) => format!("{} bytes, not read", content.meta.size),
    };
    // These lines come first: right behind a header the next one would be taken for a part of it.
    for (sign, content) in [("old", old), ("new", new)] {
        if let Some(content) = content {
            writeln!(out, "# {}: {sign} content: {}", quoted("", path), shown(content))?;
        }
    }
    let name = |prefix, content: Option<&Content>| match content {
        Some(_) => quoted(prefix, path),
        None => "/dev/null".to_owned(),
    };
    writeln!(out, "Binary files {} and {} differ", name("a/", old), name("b/", new))
}

/// What happened to the path that the header cannot say.
fn notes(change: &Change, from: Option<&Change>, out: &mut dyn Write) -> io::Result<()> {
    let path = if change.path.0.is_empty() { b"." } else { change.path.0.as_slice() };
    let name = quoted("", path);
    let mut note = |text: String| writeln!(out, "# {name}: {text}");
    let old = from.map_or(change.old, |from| from.old);
    let usual = |meta: &Meta| match meta.kind {
        FileKind::File => matches!(meta.mode, 0o644 | 0o755),
        kind => kind == FileKind::Symlink,
    };
    match (change.kind, old, change.new) {
        (ChangeKind::Added, Some(old), Some(new)) if old.mode != new.mode => {
            note(format!("mode {:04o} is now {:04o}", old.mode, new.mode))?;
        }
        (ChangeKind::Added, None, Some(new)) if !usual(&new) => {
            note(format!("new {}", shown(&new)))?;
        }
        (ChangeKind::Deleted, Some(old), _) if mode(&old).is_none() => {
            note(format!("deleted {}", shown(&old)))?;
        }
        (ChangeKind::Replaced, Some(old), Some(new)) => {
            note(format!("{} replaced by {}", shown(&old), shown(&new)))?;
        }
        (ChangeKind::Modified, Some(old), Some(new)) => {
            if change.parts.mode {
                note(format!("mode {:04o} is now {:04o}", old.mode, new.mode))?;
            }
            if change.parts.owner {
                let (a, b) = ((old.uid, old.gid), (new.uid, new.gid));
                note(format!("owner {}:{} is now {}:{}", a.0, a.1, b.0, b.1))?;
            }
            if change.parts.xattrs {
                note("attributes differ".to_owned())?;
            }
            if change.parts.links {
                note("one file with another change, under several names".to_owned())?;
            }
            if change.parts.is_touch() {
                note("only the time of last change differs".to_owned())?;
            }
        }
        _ => {}
    }
    if let Some(from) = change.renamed_from.as_ref().filter(|_| from.is_none()) {
        note(format!("same content as the deleted {}", quoted("", &from.0)))?;
    }
    if let Some(to) = &change.renamed_to {
        note(format!("same content as the new {}", quoted("", &to.0)))?;
    }
    Ok(())
}

fn shown(meta: &Meta) -> String {
    let kind = match meta.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => return "symlink".to_owned(),
        FileKind::Fifo => "named pipe",
        FileKind::Socket => "socket",
        FileKind::Device => "device",
    };
    format!("{kind} {:04o}", meta.mode)
}

/// A name as git writes it: in quotes, and what is not plain ASCII as C does, where a reader would
/// take it for something else.
pub(super) fn quoted(prefix: &str, path: &[u8]) -> String {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let ends = path.first() == Some(&b' ') || path.last() == Some(&b' ');
    let needs = ends || !path.iter().all(|byte| plain(*byte));
    let mut text = String::from(if needs { "\"" } else { "" });
    text.push_str(prefix);
    for &byte in path {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            _ if plain(byte) => text.push(char::from(byte)),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            0x0b => text.push_str("\\v"),
            0x0c => text.push_str("\\f"),
            b'\r' => text.push_str("\\r"),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    if needs {
        text.push('"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `git diff` writes names.
    #[test]
    fn names() {
        assert_eq!(quoted("a/", b"plain name.rs"), "a/plain name.rs");
        assert_eq!(quoted("a/", b"a\tb\x1b\r\n"), "\"a/a\\tb\\033\\r\\n\"");
        assert_eq!(quoted("", b"q\"b\\"), "\"q\\\"b\\\\\"");
        assert_eq!(quoted("b/", "é\u{202e}".as_bytes()), "\"b/\\303\\251\\342\\200\\256\"");
        assert_eq!(quoted("b/", b" x"), "\"b/ x\"");
    }
}
