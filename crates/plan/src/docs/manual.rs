//! The manual page, as man(7) macros for groff and mandoc.

use super::usage_of;
use crate::options::{Repeat, Section, Spec, TABLE};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// The page without what is generated: lines `@OPTIONS@` and `@DIFFERENCES@` stand for that.
const PAGE: &str = include_str!("bwrap.1.in");

/// The manual page bwrap(1). `differences` is the text of `docs/known-differences.md`, whose table
/// becomes a section; rows that it does not have are not missed.
pub fn manual(differences: &str) -> String {
    let mut out = String::new();
    for line in PAGE.lines() {
        match line {
            "@OPTIONS@" => options(&mut out),
            "@DIFFERENCES@" => rows(&mut out, differences),
            line => {
                out.push_str(&line.replace("@VERSION@", env!("CARGO_PKG_VERSION")));
                out.push('\n');
            }
        }
    }
    folded(&out)
}

/// The page with its text broken into lines of at most 80 bytes. Where groff breaks the lines that
/// it prints does not depend on it; examples and requests stay as they are.
fn folded(page: &str) -> String {
    const WIDTH: usize = 80;
    let mut out = String::new();
    let mut example = false;
    for line in page.lines() {
        example = (example || line == ".EX") && line != ".EE";
        if example || line.starts_with('.') {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let mut column = 0;
        for word in line.split(' ') {
            let fits = column + 1 + word.len() <= WIDTH || word.starts_with(['.', '\'']);
            if column > 0 && fits {
                out.push(' ');
                column += 1;
            } else if column > 0 {
                out.push('\n');
                column = 0;
            }
            out.push_str(word);
            column += word.len();
        }
        out.push('\n');
    }
    out
}

fn options(out: &mut String) {
    for section in Section::ALL {
        out.push_str(&format!(".SS {}\n", escaped(section.title())));
        for spec in TABLE.iter().filter(|spec| spec.section == section) {
            entry(out, spec);
        }
    }
}

fn entry(out: &mut String, spec: &Spec) {
    let usage = escaped(&usage_of(spec));
    let (name, arguments) = usage.split_once(' ').unwrap_or((&usage, ""));
    out.push_str(&format!(".TP\n\\fB{name}\\fR"));
    for argument in arguments.split(' ').filter(|a| !a.is_empty()) {
        out.push_str(&format!(" \\fI{argument}\\fR"));
    }
    out.push('\n');
    let mut help = spec.help.to_owned();
    if let Some(first) = help.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentences(out, &format!("{help}."));
    sentences(out, spec.manual);
    match spec.repeat {
        Repeat::Once => sentences(out, "It may be given only once."),
        Repeat::Modifier => sentences(out, "It applies to the next operation, which must use it."),
        _ => {}
    }
}

/// Text as input lines that end with sentences, so that groff spaces and breaks them well.
fn sentences(out: &mut String, text: &str) {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(". ").map_or(rest.len(), |at| at + 1);
        out.push_str(&escaped_line(&rest[..end]));
        out.push('\n');
        rest = rest[end..].trim_start();
    }
}

fn escaped_line(line: &str) -> String {
    let text = escaped(line);
    // A point or an apostrophe at the start of a line would be a macro.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Text with what roff would take for its own made literal.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '…' => out.push_str("..."),
            c => out.push(c),
        }
    }
    out
}

/// The rows of a Markdown table of three columns: a name in backquotes, ours, the original's.
fn rows(out: &mut String, table: &str) {
    for line in table.lines() {
        let Some(row) = line.strip_prefix("| `").and_then(|l| l.trim_end().strip_suffix('|'))
        else {
            continue;
        };
        let mut cells = row.split(" | ");
        let (Some(name), Some(ours), Some(original)) = (cells.next(), cells.next(), cells.next())
        else {
            continue;
        };
        out.push_str(&format!(".TP\n\\fB{}\\fR\n", escaped(name.trim_end_matches('`'))));
        for (who, what) in [("Here", ours), ("bubblewrap", original)] {
            out.push_str(&format!("{who}: {}.\n", code(what.trim())));
        }
    }
}

/// Markdown's `code` as bold.
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(i, part)| match i % 2 {
            0 => escaped(part),
            _ => format!("\\fB{}\\fR", escaped(part)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing of a table or a help text can act as a roff request or escape.
    #[test]
    fn text_is_literal() {
        let mut out = String::new();
        sentences(&mut out, "One \\n 'x'. .so /etc/passwd");
        assert_eq!(out, "One \\en \\(aqx\\(aq.\n\\&.so /etc/passwd\n");
        assert_eq!(code("a `--b` c"), "a \\fB\\-\\-b\\fR c");
    }

    /// Rows become entries; everything else of the document is left out.
    #[test]
    fn differences_are_listed() {
        let text = "# T\n\n| Id | Ours | x |\n|---|---|---|\n| `a-b` | `x` is | that |\n\nend\n";
        let mut out = String::new();
        rows(&mut out, text);
        assert_eq!(out, ".TP\n\\fBa\\-b\\fR\nHere: \\fBx\\fR is.\nbubblewrap: that.\n");
    }

    /// Folding changes neither words nor examples, and no line starts with what was a word.
    #[test]
    fn folding_keeps_the_words() {
        let long = "word ".repeat(30) + ".git end";
        let page = format!(".EX\n{}\n.EE\n{long}\n", "e ".repeat(60));
        let out = folded(&page);
        assert!(out.starts_with(&format!(".EX\n{}\n.EE\n", "e ".repeat(60))));
        let text = out.split(".EE\n").nth(1).expect("the text");
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), long);
        assert!(text.lines().all(|l| l.len() <= 85 && !l.starts_with('.')), "{text}");
    }

    /// No marker is left in the page.
    #[test]
    fn the_page_is_whole() {
        let page = manual("");
        assert!(!page.contains('@'), "a marker is left");
        assert!(page.starts_with(".\\\""));
    }
}
