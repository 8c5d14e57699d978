//! What comes from `--args`: the data's parts are separated by two bytes 0xFF. The first holds the
//! words of the command line, each further one is what the next `--args` descriptor yields; when
//! there are no more, reading fails.
//!
//! A command line that is accepted must mean the same as the one in which the words of the files
//! stand in the place of `--args`, up to the word that ends each file.

use crate::argv::{check, words};
use crate::support::without_origins;
use swathe_plan::options;
use swathe_plan::parse::{Request, parse};

/// Parses a command line and its files; compares with the flat command line.
pub fn run(data: &[u8]) {
    let mut parts = split(data).into_iter();
    let line = words(parts.next().unwrap_or_default());
    let files: Vec<&[u8]> = parts.collect();
    let mut left = files.iter();
    let result = parse(&line, &mut |fd| {
        assert!(fd >= 0);
        left.next().map(|f| f.to_vec()).ok_or_else(|| "no more".to_owned())
    });
    if let Ok(parsed) = &result
        && let Request::Run(plan) = &parsed.request
    {
        let flat = flatten(&line, &files);
        let again = parse(&flat, &mut |_| panic!("no --args is left in {flat:?}"));
        let again = again.unwrap_or_else(|e| panic!("{e:?}\nof {flat:?}"));
        assert_eq!(again.warnings, parsed.warnings);
        match again.request {
            Request::Run(again) => {
                assert_eq!(without_origins(*again), without_origins(*plan.clone()));
            }
            other => panic!("{other:?}"),
        }
    }
    check(&line, result);
}

fn split(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(2).position(|w| w == [0xff, 0xff]) {
        parts.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    parts
}

/// How many of the words are options and their arguments; the rest is no option's.
fn options_end(words: &[&[u8]]) -> usize {
    let mut at = 0;
    while let Some(spec) = words.get(at).and_then(|w| options::find(w)) {
        at += 1 + spec.arguments.len();
    }
    at.min(words.len())
}

/// The command line with the files' words in place of `--args`.
fn flatten<'w>(line: &[&'w [u8]], files: &[&'w [u8]]) -> Vec<&'w [u8]> {
    let mut flat = Vec::new();
    let mut files = files.iter();
    let end = options_end(line);
    let mut at = 0;
    while at < end {
        if line[at] == b"--args" {
            let file = files.next().copied().unwrap_or_default();
            let file = file.strip_suffix(b"\0").unwrap_or(file);
            let own = if file.is_empty() { Vec::new() } else { words(file) };
            flat.extend(&own[..options_end(&own)]);
            at += 2;
            continue;
        }
        let count = 1 + options::find(line[at]).map_or(0, |s| s.arguments.len());
        flat.extend(&line[at..at + count]);
        at += count;
    }
    flat.extend(&line[end..]);
    flat
}
