//! From the command line to the exit status.

use crate::hints;
use crate::report::{FAILURE, Reporter};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use swathe_exec::launch::{self, Outcome};
use swathe_host::{files, machine};
use swathe_plan::check::{self, Caller};
use swathe_plan::docs;
use swathe_plan::model::UserNamespace;
use swathe_plan::parse::{self, Labels, MAX_ARGS_BYTES, Request, Warning};
use swathe_sys::{Errno, entry, process, rustix};

/// Runs the program; returns its exit status.
pub fn main() -> i32 {
    let args = entry::args();
    let mut words = args.iter().map(|a| a.to_bytes());
    let program = words.next().unwrap_or(b"bwrap").to_vec();
    let words: Vec<&[u8]> = words.collect();
    let mut reporter = Reporter::default();
    if words == [&b"--version"[..]] {
        return version();
    }
    if let Err(failure) = launch::secure() {
        return reporter.failure(&swathe_plan::Plan::default(), &failure, false);
    }
    let parsed = match parse::parse(&words, &mut read_args) {
        Ok(parsed) => parsed,
        Err(error) => {
            if let Some(status) = refuse_labels(&mut reporter, &error.labels, &error.warnings) {
                return status;
            }
            error.warnings.iter().for_each(|warning| reporter.warning(warning));
            return reporter.parse_error(&error, &words);
        }
    };
    if let Request::Run(plan) = &parsed.request {
        reporter.follow(plan);
    }
    if let Some(status) = refuse_labels(&mut reporter, &parsed.labels, &parsed.warnings) {
        return status;
    }
    for warning in &parsed.warnings {
        reporter.warning(warning);
    }
    let plan = match parsed.request {
        Request::Help => return print(docs::help(&String::from_utf8_lossy(&program)).as_bytes()),
        Request::Version => return version(),
        Request::Usage => {
            reporter.raw(docs::help(&String::from_utf8_lossy(&program)).as_bytes());
            return FAILURE;
        }
        Request::Run(plan) => plan,
    };
    reporter.follow(&plan);
    let (uid, gid) = process::start_ids();
    let caps = match launch::initial_caps(uid) {
        Ok(caps) => caps,
        Err(failure) => return reporter.failure(&plan, &failure, false),
    };
    let tries = uid == 0 && plan.namespaces.user == UserNamespace::Try;
    let user_namespaces = tries && user_namespaces_allowed();
    let caller = Caller { uid, gid, user_namespaces };
    if let Err(text) = check::check(&plan, caller) {
        return reporter.rule(text);
    }
    let env: Vec<&[u8]> = entry::env().iter().map(|e| e.to_bytes()).collect();
    match launch::launch(&plan, caller, caps, &env) {
        Outcome::Exited(code) => {
            // What loaders end with when a library is missing.
            if code == 127
                && let Some(hint) = hints::missing_library(&plan)
            {
                reporter.explanation(&hint);
            }
            code
        }
        Outcome::Unsaid { code, failure } => {
            reporter.failure(&plan, &failure, true);
            code
        }
        Outcome::Failed { failure, inside } => {
            // A process that became the sandbox cannot look at the host, and may be filtered.
            reporter.failure(&plan, &failure, !inside)
        }
    }
}

/// Refuses SELinux labels that cannot be used, as if nothing came after the first of them; returns
/// the exit status then.
fn refuse_labels(reporter: &mut Reporter, labels: &Labels, warnings: &[Warning]) -> Option<i32> {
    let text = labels.given.iter().find_map(|label| match machine::check_label(label) {
        Ok(()) => None,
        Err(None) => Some("labeling not supported on this system".to_owned()),
        Err(Some(e)) => Some(format!("invalid label {}: {e}", label.escape_ascii())),
    })?;
    warnings.iter().take(labels.warnings).for_each(|warning| reporter.warning(warning));
    reporter.level(labels.level_prefix);
    Some(reporter.rule(&text))
}

fn version() -> i32 {
    print(concat!("bubblewrap 0.13.1\nswathe ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
}

/// Writes to standard output; a reader that has gone is a failure.
fn print(text: &[u8]) -> i32 {
    match crate::report::write_all(1, text) {
        Ok(()) => 0,
        Err(_) => FAILURE,
    }
}

/// Reads the words of `--args` and closes the descriptor.
fn read_args(number: i32) -> Result<Vec<u8>, String> {
    let text = |e: Errno| swathe_exec::report::error_text(e.raw_os_error());
    let fd = process::adopt_fd(number).map_err(text)?;
    let mut data = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match rustix::io::read(&fd, &mut buffer) {
            Ok(0) => return Ok(data),
            Ok(n) => data.extend_from_slice(&buffer[..n]),
            Err(Errno::INTR) => {}
            Err(e) => return Err(text(e)),
        }
        if data.len() > MAX_ARGS_BYTES {
            return Err("too much data".to_owned());
        }
    }
}

/// Whether root may make a user namespace where it is only wished for: the kernel has them and the
/// administrator has not switched them off.
fn user_namespaces_allowed() -> bool {
    let read = |path: &str| files::read(path.as_bytes(), 64).unwrap_or_default();
    // Any other error than this one will show when it is tried.
    rustix::fs::stat(c"/proc/self/ns/user").err() != Some(Errno::NOENT)
        && !read("/sys/module/user_namespace/parameters/enable").starts_with(b"N")
        && read("/proc/sys/user/max_user_namespaces") != b"0\n"
}
