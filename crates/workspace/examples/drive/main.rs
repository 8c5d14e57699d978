//! What the tests of the crate run as another user: sequences of changes in a real overlay, faults at
//! every system call, and measurements. See the modules.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test program: a panic is its verdict

mod busy;
mod cases;
mod dump;
mod faults;
mod hostile;
mod measure;
mod model;
mod ops;
mod random;
mod removed;
mod undone;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

fn main() {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let texts: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["apply", ops, root] => ops::apply_file(Path::new(ops), Path::new(root)),
        ["model", bwrap, dir, first, count] => {
            model::run(
                Path::new(bwrap),
                Path::new(dir),
                first.parse().unwrap(),
                count.parse().unwrap(),
            );
        }
        ["faults", dir, other, step] => {
            faults::run(Path::new(dir), Path::new(other), step.parse().unwrap());
        }
        ["cases", dir] => cases::run(Path::new(dir)),
        ["hostile", dir] => hostile::run(Path::new(dir)),
        ["measure", bwrap, dir, other, files] => {
            let (bwrap, dir, other) = (Path::new(bwrap), Path::new(dir), Path::new(other));
            measure::run(bwrap, dir, other, files.parse().unwrap());
        }
        _ => panic!("unknown words {texts:?}"),
    }
}

/// Says something to who started the program.
fn say(text: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{text}").unwrap();
}
