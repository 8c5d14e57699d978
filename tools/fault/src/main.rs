//! `fault`: see `fault --help`.

use std::io::{self, Write};
use std::process::ExitCode;

use swathe_fault::args::{self, Options};
use swathe_fault::launch::Setting;
use swathe_fault::report::Report;
use swathe_fault::{inject, kill, load, probe, random, statusfd};

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|w| w.to_string_lossy().into_owned()).collect();
    if let Some(status) = probe::run(&words) {
        return ExitCode::from(u8::try_from(status).unwrap_or(1));
    }
    match args::parse(&words) {
        Ok(Some(options)) => match run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => complain(&error.to_string()),
        },
        Ok(None) => {
            let _ = io::stdout().write_all(args::HELP.as_bytes());
            ExitCode::from(2)
        }
        Err(message) => complain(&message),
    }
}

/// The tool could not do its work: status 2, unlike 1 for bad outcomes.
fn complain(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "fault: {message}");
    ExitCode::from(2)
}

/// Runs the modes. Whether everything passed.
fn run(options: &Options) -> io::Result<bool> {
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
        return Err(io::Error::other("only x86_64 Linux is supported"));
    }
    let setting = Setting::new(options.bwrap.clone())?;
    let mut report = Report::new(options.show, options.verbose);
    if let Some(why) = &options.skipped {
        report.line(why);
    }
    report.line(&format!("launcher {}", setting.bwrap.display()));
    type Mode = fn(&Options, &Setting, &mut Report) -> io::Result<()>;
    let modes: [(&str, Mode); 7] = [
        ("inject", inject::run),
        ("stall", inject::run_stall),
        ("kill", kill::run),
        ("random-kill", random::run),
        ("thread", random::run_thread),
        ("status-fd", statusfd::run),
        ("load", load::run),
    ];
    let mut known = false;
    for (name, mode) in modes {
        if options.mode == name || options.mode == "all" {
            known = true;
            report.line(&format!("mode {name}"));
            mode(options, &setting, &mut report)?;
        }
    }
    if !known {
        return Err(io::Error::other(format!("unknown mode {}", options.mode)));
    }
    Ok(report.finish())
}
