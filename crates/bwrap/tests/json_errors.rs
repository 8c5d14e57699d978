//! Errors for programs: `--json-errors` and `--quiet-errors`.

use std::io::Read as _;
use swathe_testkit::{Bwrap, ours, pipe};

/// What a failing run says on the descriptor, and on standard error.
fn said(b: &Bwrap, words: &str) -> (String, String) {
    let (mut read, write) = pipe();
    let outcome = b.run(&format!("--json-errors 9 {words}")).fd(9, write).exits(1);
    let mut text = String::new();
    read.read_to_string(&mut text).expect("JSON is text");
    (text, outcome.errors())
}

/// One object on one line: what failed, what asked for it, the kernel's error, why, and what to do.
fn a_failed_step(b: &Bwrap) {
    let (json, errors) = said(b, "--tmpfs / --ro-bind /nonexistent /x true");
    assert_eq!(
        json,
        "{\"message\":\"Can't find source path /nonexistent: No such file or directory\",\
         \"step\":\"Source\",\"option\":\"--ro-bind\",\"argument\":5,\
         \"words\":[\"--ro-bind\",\"/nonexistent\",\"/x\"],\
         \"errno\":2,\"error\":\"No such file or directory\",\
         \"cause\":\"/ exists, but nothing of that name in it\",\
         \"fix\":\"the -try form of the option leaves out what does not exist\"}\n"
    );
    assert!(errors.starts_with("bwrap: Can't find source path /nonexistent: No such"), "{errors}");
}

/// The command line itself, its combinations, and the command.
fn the_other_errors(b: &Bwrap) {
    for (words, start) in [
        ("--bogus", "{\"message\":\"Unknown option --bogus\",\"step\":\"parse\""),
        (
            "--ro-bind / / --hostname x true",
            "{\"message\":\"Specifying --hostname requires --unshare-uts\",\"step\":\"check\"",
        ),
        (
            "--ro-bind / / /nonexistent",
            "{\"message\":\"execvp /nonexistent: No such file or directory\",\"step\":\"Exec\",\
             \"errno\":2",
        ),
    ] {
        let (json, errors) = said(b, words);
        assert!(json.starts_with(start) && json.ends_with("}\n"), "{words}: {json}");
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        assert!(errors.starts_with("bwrap: "), "{errors}");
    }
}

/// Quotes, control bytes and what is no UTF-8 keep the line one valid line.
fn strange_bytes(b: &Bwrap) {
    let (mut read, write) = pipe();
    let name = std::ffi::OsString::from("/n\"\\\n\u{1b}[31m");
    let run = b.run("--json-errors 9 --ro-bind").arg(name).words("/x true").fd(9, write);
    run.exits(1);
    let mut text = String::new();
    read.read_to_string(&mut text).expect("JSON is text");
    assert!(text.contains(r#""words":["--ro-bind","/n\"\\\u000a\u001b[31m","/x"]"#), "{text}");
    assert_eq!(text.matches('\n').count(), 1, "{text}");
}

/// A command that runs is no error, whatever it ends with.
fn nothing_without_an_error(b: &Bwrap) {
    let (mut read, write) = pipe();
    b.run("--ro-bind / / --json-errors 9").sh("exit 3").fd(9, write).exits(3);
    let mut text = String::new();
    read.read_to_string(&mut text).expect("text");
    assert_eq!(text, "");
}

/// With --quiet-errors only the descriptor hears of it; what is wrong with the words is written.
fn quiet(b: &Bwrap) {
    let (json, errors) = said(b, "--quiet-errors --ro-bind / / /nonexistent");
    assert!(json.contains("\"step\":\"Exec\""), "{json}");
    assert_eq!(errors, "");
    let (json, errors) = said(b, "--quiet-errors --bogus");
    assert!(json.contains("Unknown option --bogus"), "{json}");
    assert!(errors.contains("Unknown option --bogus"), "{errors}");
    b.run("--quiet-errors --ro-bind / / true").fails("--quiet-errors requires --json-errors");
}

ours! {
    a_failed_step,
    the_other_errors,
    strange_bytes,
    nothing_without_an_error,
    quiet,
}
