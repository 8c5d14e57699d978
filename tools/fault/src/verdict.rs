//! What became of a launch: the classes of outcomes, and how they are told apart.

use std::fmt;
use std::io;

use crate::launch::Output;
use crate::probe;
use crate::sys::Waited;
use crate::trace::Traced;

/// The outcome of one disturbed launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The payload ran in the same sandbox, and the launcher ended as in an undisturbed launch.
    Same,
    /// The payload did not run; the launcher said why and ended with a non-zero status.
    Refused,
    /// The payload ran in the same sandbox; afterwards the launcher reported a failure.
    Late,
    /// Nothing of the launch was left after a kill.
    Gone,
    /// The call was not reached this time: nothing was disturbed.
    Missed,
    /// The payload ran in another sandbox.
    FailOpen,
    /// The payload did not run, and the exit status says success.
    FalseSuccess,
    /// The payload ran in the same sandbox, but a document for the caller differs.
    Document,
    /// A failure without a word.
    Silent,
    /// The launcher died of a signal of its own making.
    Crash,
    /// A process of the launch outlived it.
    Orphan,
    /// The launch did not end within the time limit.
    Hang,
    /// A launch changed the mount table of its caller.
    MountLeak,
    /// The sandbox ended although its caller lives on.
    Lost,
    /// An undisturbed launch failed under load, or something grew.
    Load,
    /// The tool itself failed.
    Broken,
}

/// All classes, in the order in which they are reported.
pub const CLASSES: [Class; 16] = [
    Class::Same,
    Class::Refused,
    Class::Late,
    Class::Gone,
    Class::Missed,
    Class::FailOpen,
    Class::FalseSuccess,
    Class::Document,
    Class::Silent,
    Class::Crash,
    Class::Orphan,
    Class::Hang,
    Class::MountLeak,
    Class::Lost,
    Class::Load,
    Class::Broken,
];

impl Class {
    /// Whether this outcome makes the run fail.
    pub fn bad(self) -> bool {
        self > Class::Missed
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Same => "same sandbox",
            Class::Refused => "refused",
            Class::Late => "late failure",
            Class::Gone => "nobody left",
            Class::Missed => "not reached",
            Class::FailOpen => "FAIL-OPEN",
            Class::FalseSuccess => "FALSE SUCCESS",
            Class::Document => "DOCUMENT",
            Class::Silent => "SILENT",
            Class::Crash => "CRASH",
            Class::Orphan => "ORPHAN",
            Class::Hang => "HANG",
            Class::MountLeak => "MOUNT LEAK",
            Class::Lost => "LOST",
            Class::Load => "LOAD",
            Class::Broken => "TOOL BROKEN",
        })
    }
}

/// A class, and what a reader needs to know beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The class.
    pub class: Class,
    /// Differences, messages or survivors.
    pub detail: String,
}

impl Verdict {
    /// Bundles the two.
    pub fn new(class: Class, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into() }
    }

    /// The tool's own failure.
    pub fn broken(error: &io::Error) -> Self {
        Self::new(Class::Broken, error.to_string())
    }

    /// For the pipe between worker and parent.
    pub fn encode(&self) -> Vec<u8> {
        let number = CLASSES.iter().position(|c| *c == self.class).unwrap_or(CLASSES.len() - 1);
        let mut bytes = vec![u8::try_from(number).unwrap_or(u8::MAX)];
        bytes.extend(self.detail.as_bytes());
        bytes
    }

    /// The reverse of [`Verdict::encode`].
    pub fn decode(bytes: &[u8]) -> Self {
        let class = bytes.first().and_then(|n| CLASSES.get(usize::from(*n)));
        Self {
            class: class.copied().unwrap_or(Class::Broken),
            detail: String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()).into_owned(),
        }
    }
}

/// What the disturbed launches of one sandbox are compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The probe's report.
    pub report: String,
    /// The documents, numbers replaced.
    pub documents: String,
}

/// Documents with every number replaced by `N`.
pub fn plain_documents(output: &Output) -> String {
    let mut text = String::new();
    for (fd, document) in &output.documents {
        text.push_str(&format!("fd {fd}: "));
        let mut digits = false;
        for c in document.chars() {
            if c.is_ascii_digit() {
                if !digits {
                    text.push('N');
                }
                digits = true;
            } else {
                digits = false;
                text.push(c);
            }
        }
    }
    text
}

/// The first lines in which two texts differ: `-` expected, `+` found.
pub fn difference(expected: &str, found: &str) -> String {
    const SHOWN: usize = 6;
    let missing = expected.lines().filter(|l| !found.lines().any(|f| f == *l));
    let added = found.lines().filter(|l| !expected.lines().any(|e| e == *l));
    let lines: Vec<String> =
        missing.map(|l| format!("-{l}")).chain(added.map(|l| format!("+{l}"))).collect();
    if lines.is_empty() && expected != found {
        return "the same lines in another order".to_owned();
    }
    let more = lines.len().saturating_sub(SHOWN);
    let mut text = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&format!("\n... and {more} more lines"));
    }
    text
}

/// First line of the launcher's messages.
fn first_line(output: &Output) -> String {
    output.stderr.lines().next().unwrap_or_default().to_owned()
}

/// Judges a launch of the probe in which one call failed.
pub fn judge_fault(expected: &Expected, traced: &Traced, output: &Output) -> Verdict {
    let message = first_line(output);
    if traced.hang {
        return Verdict::new(Class::Hang, message);
    }
    if !traced.survivors.is_empty() {
        let who = traced.survivors.join(" ");
        return Verdict::new(Class::Orphan, format!("left: {who}; message: {message}"));
    }
    let ran = output.stdout.contains(probe::BEGIN);
    if ran && output.stdout != expected.report {
        return Verdict::new(Class::FailOpen, difference(&expected.report, &output.stdout));
    }
    if !traced.hit {
        return Verdict::new(Class::Missed, message);
    }
    match (ran, traced.launcher) {
        (_, None | Some(Waited::Stopped { .. })) => Verdict::new(Class::Hang, message),
        (_, Some(Waited::Signaled(signal))) => {
            Verdict::new(Class::Crash, format!("signal {signal}; message: {message}"))
        }
        (true, Some(Waited::Exited(0))) => {
            let documents = plain_documents(output);
            if documents == expected.documents {
                Verdict::new(Class::Same, message)
            } else if !message.is_empty() {
                // What could not be written was said on standard error.
                Verdict::new(Class::Late, message)
            } else {
                Verdict::new(Class::Document, difference(&expected.documents, &documents))
            }
        }
        (false, Some(Waited::Exited(0))) => Verdict::new(Class::FalseSuccess, message),
        (_, Some(Waited::Exited(status))) if message.is_empty() => {
            Verdict::new(Class::Silent, format!("exit status {status}, payload ran: {ran}"))
        }
        (true, Some(Waited::Exited(_))) => Verdict::new(Class::Late, message),
        (false, Some(Waited::Exited(_))) => Verdict::new(Class::Refused, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(exit: i32, report: &str, message: &str) -> Class {
        let expected = Expected { report: format!("{}x\n", probe::BEGIN), ..Expected::default() };
        let launcher = Some(Waited::Exited(exit));
        let traced = Traced { launcher, hit: true, ..Traced::default() };
        let output = Output {
            stdout: report.replace("REPORT", probe::BEGIN),
            stderr: message.to_owned(),
            documents: vec![],
        };
        judge_fault(&expected, &traced, &output).class
    }

    /// Every combination of exit status, report and message lands in its class.
    #[test]
    fn classes_of_faults() {
        assert_eq!(case(0, "REPORTx\n", ""), Class::Same);
        assert_eq!(case(1, "", "bwrap: no"), Class::Refused);
        assert_eq!(case(1, "REPORTx\n", "bwrap: wait"), Class::Late);
        assert_eq!(case(0, "REPORTy\n", ""), Class::FailOpen);
        assert_eq!(case(1, "REPORTy\n", "bwrap: no"), Class::FailOpen);
        assert_eq!(case(0, "", ""), Class::FalseSuccess);
        assert_eq!(case(1, "", ""), Class::Silent);
    }

    /// A survivor outweighs a clean refusal.
    #[test]
    fn survivors_are_orphans() {
        let traced = Traced {
            launcher: Some(Waited::Exited(1)),
            survivors: vec!["L.1".into()],
            hit: true,
            ..Traced::default()
        };
        let output = Output { stderr: "bwrap: no".into(), ..Output::default() };
        let class = judge_fault(&Expected::default(), &traced, &output).class;
        assert_eq!(class, Class::Orphan);
    }

    /// A verdict survives the pipe.
    #[test]
    fn verdicts_round_trip() {
        for class in CLASSES {
            let verdict = Verdict::new(class, "detail");
            assert_eq!(Verdict::decode(&verdict.encode()), verdict);
        }
    }

    /// A difference names both sides, and an order of lines counts.
    #[test]
    fn differences_are_shown() {
        assert_eq!(difference("a\nb\n", "a\nc\n"), "-b\n+c");
        assert_eq!(difference("a\nb\n", "b\na\n"), "the same lines in another order");
    }
}
