//! Diagnostics: words quoted for a shell, and errors as JSON.
//!
//! The reporter writes to standard error, which is a file in memory meanwhile;
//! `SWATHE_FUZZ_STDERR=1` leaves it alone, to see what a panic in between says. One at a time: it
//! belongs to the whole process.

use crate::argv::words;
use crate::report::Reporter;
use crate::support::{Source, plan};
use swathe_exec::failure::{MESSAGE_SIZE, Message};
use swathe_plan::model::Bytes;
use swathe_plan::parse::parse;
use swathe_sys::process::borrow_fd;
use swathe_sys::rustix::fd::{AsRawFd, OwnedFd};
use swathe_sys::rustix::fs::{MemfdFlags, memfd_create};
use swathe_sys::rustix::io::{fcntl_dupfd_cloexec, pread};
use swathe_sys::rustix::stdio::dup2_stderr;

/// What the reporter wrote to standard error and as JSON.
struct Written {
    text: Bytes,
    json: Bytes,
}

/// Quotes words; reports a command line or a failure.
pub fn run(data: &[u8]) {
    let own: Vec<Bytes> = words(data).into_iter().map(<[u8]>::to_vec).collect();
    let quoted = crate::hints::shell_words(&own);
    assert!(quoted.bytes().all(|b| (b' '..=b'~').contains(&b)), "{quoted:?}");
    assert_eq!(unquoted(quoted.as_bytes()), own, "{quoted}");
    let mut s = Source::new(data);
    match s.below(4) {
        0 => failure(s),
        _ => command_line(s.rest()),
    }
}

fn command_line(data: &[u8]) {
    let written = record(|json_fd| {
        let number = json_fd.to_string();
        let mut line: Vec<&[u8]> = vec![b"--json-errors", number.as_bytes()];
        line.extend(words(data));
        match parse(&line, &mut |_| Ok(b"--dir\0/a\0--bind".to_vec())) {
            // Another descriptor may have been named later.
            Err(e) if e.json_errors_fd == Some(json_fd) => {
                let mut reporter = Reporter::default();
                assert_eq!(reporter.parse_error(&e, &line), 1);
                Some(e.message)
            }
            _ => None,
        }
    });
    if let Some((message, written)) = written {
        check(&written, &message, false);
    }
}

fn failure(mut s: Source<'_>) {
    let explain = s.flag();
    let head: Bytes = (0..MESSAGE_SIZE - 4).map(|_| s.byte()).collect();
    // Most values of the first word are no message.
    let Some(Message::Failed(failure)) =
        Message::decode(&[&3u32.to_ne_bytes()[..], &head].concat())
    else {
        return;
    };
    let mut plan = plan(&mut s);
    let written = record(|json_fd| {
        plan.json_errors_fd = Some(json_fd);
        let mut reporter = Reporter::default();
        reporter.follow(&plan);
        assert_eq!(reporter.failure(&plan, &failure, explain), 1);
        Some(Bytes::new())
    });
    if let Some((_, written)) = written {
        check(&written, b"", plan.quiet_errors);
    }
}

/// Runs with standard error and a descriptor for JSON going to memory; nothing when `run` says so.
fn record(run: impl FnOnce(i32) -> Option<Bytes>) -> Option<(Bytes, Written)> {
    let memory = || memfd_create(c"diagnostics", MemfdFlags::CLOEXEC).expect("memory");
    let (text, json) = (memory(), memory());
    let keep = std::env::var_os("SWATHE_FUZZ_STDERR").is_some();
    let old = fcntl_dupfd_cloexec(borrow_fd(2).expect("standard error"), 3);
    let old = old.expect("standard error");
    if !keep {
        dup2_stderr(&text).expect("standard error");
    }
    let said = run(json.as_raw_fd());
    dup2_stderr(&old).expect("standard error");
    let read = |fd: OwnedFd| {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match pread(&fd, &mut buffer, all.len() as u64).expect("memory") {
                0 => return all,
                n => all.extend_from_slice(&buffer[..n]),
            }
        }
    };
    let written = Written { text: read(text), json: read(json) };
    if keep {
        return None;
    }
    Some((said?, written))
}

fn check(written: &Written, message: &[u8], quiet: bool) {
    let plain = written.text.strip_prefix(b"<3>").unwrap_or(&written.text);
    if quiet {
        assert!(plain.is_empty(), "{:?}", written.text.escape_ascii().to_string());
    } else {
        assert!(
            plain.starts_with(&[b"bwrap: ", message].concat()),
            "{:?}",
            written.text.escape_ascii().to_string()
        );
        assert!(plain.ends_with(b"\n"));
    }
    let text = std::str::from_utf8(&written.json).expect("JSON is UTF-8");
    assert_eq!(text.find('\n'), Some(text.len() - 1), "one line: {text:?}");
    assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
    let value: serde_json::Value =
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let said = value["message"].as_str().expect("a message");
    assert!(!said.is_empty());
    if !message.is_empty() {
        assert_eq!(said, String::from_utf8_lossy(message));
    }
    if let Some(words) = value.get("words") {
        assert!(words.as_array().is_some_and(|w| !w.is_empty()), "{text}");
        assert!(value["argument"].is_u64() && value["option"].is_string(), "{text}");
    }
}

/// Words as bash reads them: plain, in single quotes, or in `$'…'` with escapes.
fn unquoted(text: &[u8]) -> Vec<Bytes> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let (word, after) = if let Some(inner) = rest.strip_prefix(b"$'") {
            escaped(inner)
        } else if let Some(inner) = rest.strip_prefix(b"'") {
            let end = inner.iter().position(|&b| b == b'\'').expect("a closing quote");
            (inner[..end].to_vec(), &inner[end + 1..])
        } else {
            let end = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
            assert!(
                end > 0 && rest[..end].iter().all(|b| !b"'\"\\$`;&|<>()*?[]{}~#!\t\n".contains(b))
            );
            (rest[..end].to_vec(), &rest[end..])
        };
        all.push(word);
        match after.split_first() {
            None => return all,
            Some((b' ', after)) => rest = after,
            Some(_) => panic!("no blank between words: {:?}", text.escape_ascii().to_string()),
        }
    }
}

fn escaped(mut rest: &[u8]) -> (Bytes, &[u8]) {
    let mut word = Vec::new();
    loop {
        let (&first, after) = rest.split_first().expect("a closing quote");
        rest = after;
        match first {
            b'\'' => return (word, rest),
            b'\\' => {
                let (&kind, after) = rest.split_first().expect("an escape");
                rest = after;
                word.push(match kind {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'\\' | b'\'' | b'"' => kind,
                    b'x' => {
                        let hex = std::str::from_utf8(&rest[..2]).expect("hexadecimal digits");
                        rest = &rest[2..];
                        u8::from_str_radix(hex, 16).expect("hexadecimal digits")
                    }
                    other => panic!("no escape of bash: {other}"),
                });
            }
            b => word.push(b),
        }
    }
}
