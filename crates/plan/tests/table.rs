//! What the option table promises holds for every option in it.

use swathe_plan::docs;
use swathe_plan::options::{Kind, Opt, Repeat, Spec, TABLE};
use swathe_plan::parse::{ParseError, Parsed, parse};

fn run(words: &[&[u8]]) -> Result<Parsed, ParseError> {
    parse(words, &mut |_| Ok(Vec::new()))
}

/// Words with which an option is accepted.
fn good(spec: &Spec) -> Vec<&'static [u8]> {
    let value: fn(Opt, usize, Kind) -> &'static [u8] = |opt, at, kind| match (opt, at, kind) {
        (Opt::CapAdd | Opt::CapDrop, ..) => b"CAP_CHOWN",
        (Opt::Rlimit, 0, _) => b"nofile",
        (Opt::Rlimit, ..) => b"1:2",
        (Opt::UserLimit, 0, _) => b"max_inotify_watches",
        (Opt::AssumeKernel, ..) => b"5.4",
        (Opt::PidMax, ..) => b"4096",
        (Opt::LandlockHandle | Opt::LandlockAllow, 0, _) => b"read-file,refer",
        (_, _, Kind::Fd | Kind::Number) => b"7",
        (_, _, Kind::HostPath | Kind::BoxPath) => b"/a",
        (_, _, Kind::Text) => b"text",
    };
    let arguments = spec.arguments.iter().enumerate();
    std::iter::once(spec.name.as_bytes())
        .chain(arguments.map(|(at, a)| value(spec.opt, at, a.kind)))
        .collect()
}

/// What has to come before and after an option for the line to be complete.
fn line(spec: &Spec, words: &[&'static [u8]]) -> Vec<&'static [u8]> {
    let before: &[&[u8]] = match spec.opt {
        Opt::Overlay | Opt::TmpOverlay | Opt::RoOverlay => {
            &[b"--overlay-src", b"/l", b"--overlay-src", b"/m"]
        }
        _ => &[],
    };
    let after: &[&[u8]] = match spec.opt {
        Opt::Perms | Opt::Size | Opt::Inodes => &[b"--tmpfs", b"/t"],
        Opt::OverlaySrc => &[b"--tmp-overlay", b"/t"],
        _ => &[],
    };
    [before, words, after, &[b"--", b"true"]].concat()
}

/// Every option is accepted with plausible arguments: the other tests here do not fail for
/// another reason than the one they name.
#[test]
fn every_option_can_be_used() {
    for spec in TABLE {
        let words = line(spec, &good(spec));
        let parsed = run(&words).unwrap_or_else(|e| panic!("{}: {e:?}", spec.name));
        assert!(parsed.warnings.is_empty(), "{}", spec.name);
    }
}

/// Each argument that is missing at the end of the words is an error that names the option.
#[test]
fn missing_arguments_are_errors() {
    for spec in TABLE {
        let words = good(spec);
        for count in 1..words.len() {
            let error = run(&words[..count]).expect_err(spec.name);
            let origin = error.origin.unwrap_or_else(|| panic!("{}: no origin", spec.name));
            assert_eq!((origin.opt, origin.index), (spec.opt, 1), "{}", spec.name);
            assert!(error.hint.contains(spec.name) || spec.opt == Opt::OverlaySrc, "{error:?}");
        }
    }
}

/// An empty word where a path belongs is refused, whichever of the paths it is.
#[test]
fn empty_paths_are_errors() {
    for spec in TABLE {
        for (at, argument) in spec.arguments.iter().enumerate() {
            if !matches!(argument.kind, Kind::HostPath | Kind::BoxPath) {
                continue;
            }
            let mut words = good(spec);
            words[at + 1] = b"";
            let error = run(&line(spec, &words)).expect_err(spec.name);
            let text = String::from_utf8_lossy(&error.message).into_owned();
            assert!(text.contains("empty path"), "{}: {text}", spec.name);
        }
    }
}

/// What is no number is refused where a number belongs, and so is what does not fit.
#[test]
fn numbers_are_checked() {
    for spec in TABLE {
        for (at, argument) in spec.arguments.iter().enumerate() {
            if !matches!(argument.kind, Kind::Fd | Kind::Number) {
                continue;
            }
            let bad: [&[u8]; 9] = [
                b"",
                b"-1",
                b"+1",
                b" 1",
                b"1 ",
                b"x",
                b"1x",
                b"18446744073709551616",
                b"9223372036854775808",
            ];
            for value in bad {
                let mut words = good(spec);
                words[at + 1] = value;
                assert!(run(&line(spec, &words)).is_err(), "{} {value:?}", spec.name);
            }
        }
    }
}

/// A second use of an option does what the table says.
#[test]
fn repetition_is_as_the_table_says() {
    for spec in TABLE {
        let once = good(spec);
        let twice = line(spec, &[once.clone(), once.clone()].concat());
        // A second overlay needs layers of its own.
        if matches!(spec.opt, Opt::Overlay | Opt::TmpOverlay | Opt::RoOverlay) {
            continue;
        }
        let result = run(&twice);
        match spec.repeat {
            Repeat::Flag | Repeat::Each => {
                assert!(result.is_ok_and(|p| p.warnings.is_empty()), "{}", spec.name);
            }
            Repeat::Last => {
                let warnings = result.expect(spec.name).warnings;
                assert_eq!(warnings.len(), 1, "{}", spec.name);
                let text = format!("Only the last {} option will take effect", spec.name);
                assert_eq!(warnings[0].message, text);
            }
            Repeat::Once | Repeat::Modifier => assert!(result.is_err(), "{}", spec.name),
        }
    }
}

/// A value joined to its option by "=" and a shortened name are unknown options.
#[test]
fn only_exact_names() {
    for spec in TABLE {
        let joined = format!("{}=/a", spec.name);
        let shorter = &spec.name[..spec.name.len() - 1];
        for word in [joined.as_str(), shorter, &spec.name[1..], &spec.name.to_uppercase()] {
            if word == "--" || TABLE.iter().any(|s| s.name == word) {
                continue;
            }
            let error = run(&[word.as_bytes(), b"/a", b"/a", b"/a", b"true"]).expect_err(word);
            let text = String::from_utf8_lossy(&error.message).into_owned();
            assert_eq!(text, format!("Unknown option {word}"));
        }
    }
}

/// The help names every option with its arguments, once, and says something about it.
#[test]
fn the_help_names_every_option() {
    let help = docs::help("bwrap");
    for spec in TABLE {
        let usage: Vec<&str> =
            std::iter::once(spec.name).chain(spec.arguments.iter().map(|a| a.name)).collect();
        let usage = format!("    {}", usage.join(" "));
        let lines = help.lines().filter(|l| {
            l.strip_prefix(&usage).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        assert_eq!(lines.count(), 1, "{usage}");
        assert!(!spec.help.is_empty() && help.contains(spec.help), "{}", spec.name);
    }
}
