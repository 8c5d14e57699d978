//! Decisions that a user made when asked during a run, to hold from then on.
//!
//! Each belongs to what the run was of, and holds in no other: an app, the profiles of the run, or,
//! where there is neither, the program and the directory it was started in.

use crate::diagnostic::{Diagnostic, SourceText};
use crate::network;
use crate::paths::{Asker, Environment, Verdict, judge};
use crate::profile::LONGEST_FILE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use swathe_netrules::Form;
use swathe_record::ask::rules::{Rule, Rules, Want, directory_of, is_plain};
use swathe_record::ask::table::Advice;
use swathe_record::bytes::Bytes;
use swathe_record::question::Question;

/// What a run is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Subject {
    /// An app, by its id.
    App(String),
    /// Profiles, by their names, or their paths where they were named by one; in the order of the
    /// command line.
    Profiles(Vec<Bytes>),
    /// A program, by its path, started in a directory.
    Program {
        /// Its path, links not followed.
        path: Bytes,
        /// The working directory, links followed.
        cwd: Bytes,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(id) => write!(f, "app {id}"),
            Self::Profiles(names) => {
                let names: Vec<String> = names.iter().map(Bytes::to_string).collect();
                write!(f, "profile {}", names.join(", "))
            }
            Self::Program { path, cwd } => write!(f, "{path} in {cwd}"),
        }
    }
}

/// What a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// In which runs it holds.
    pub subject: Subject,
    /// Of what.
    pub object: Bytes,
    /// Whether it holds for all below it, too.
    pub directory: bool,
    /// What is wanted of it.
    pub want: Want,
}

impl About {
    /// A short name, the same as long as nothing of it changes. Two may share one, if hardly ever.
    #[must_use]
    pub fn id(&self) -> String {
        let text = format!("{:?}", self);
        // FNV-1a, of which 40 bits are shown.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{:010x}", hash >> 24)
    }
}

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Yes or no.
    pub allow: bool,
    /// When, in seconds since 1970.
    pub when: u64,
}

/// All standing decisions of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing(pub BTreeMap<About, Decided>);

/// Most decisions that are kept.
const MOST: usize = 5000;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "decision")]
    decisions: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    want: Want,
    object: Bytes,
    directory: bool,
    allow: bool,
    when: u64,
    subject: Subject,
}

impl Standing {
    /// Reads what [`Standing::text`] wrote.
    ///
    /// # Errors
    /// The text is none of these, or decides twice about the same.
    pub fn read(source: &Arc<SourceText>) -> Result<Self, Vec<Diagnostic>> {
        let file: File = crate::profile::decode(source, "decisions")?;
        let mut standing = Self::default();
        for Entry { want, object, directory, allow, when, subject } in file.decisions {
            // What no answer could have decided was not written by one.
            let path = is_plain(&object.0);
            let fits = if want.is_of_files() { path || !directory } else { !directory };
            let about = About { subject, object, directory, want };
            let text = about.object.to_string();
            if !fits || standing.0.insert(about, Decided { allow, when }).is_some() {
                let what = if fits { "two decisions about" } else { "no decision can be about" };
                let error = Diagnostic::error(format!("{what} {}", crate::intent::quoted(&text)));
                return Err(vec![error.at(source, 0..0, "")]);
            }
        }
        Ok(standing)
    }

    /// The decisions as the text of a file.
    ///
    /// # Errors
    /// There are more than fit into a file that is read again.
    pub fn text(&self) -> Result<String, String> {
        let entry = |(about, decided): (&About, &Decided)| Entry {
            want: about.want,
            object: about.object.clone(),
            directory: about.directory,
            allow: decided.allow,
            when: decided.when,
            subject: about.subject.clone(),
        };
        let decisions = self.0.iter().map(entry).collect();
        let text = toml::to_string(&File { decisions }).map_err(|error| error.to_string())?;
        if text.len() > LONGEST_FILE || self.0.len() > MOST {
            return Err("more decisions than are kept".to_owned());
        }
        Ok(text)
    }

    /// Those that hold in a run.
    #[must_use]
    pub fn rules(&self, subject: &Subject) -> Rules {
        let own = self.0.iter().filter(|(about, _)| about.subject == *subject);
        let rule = |(about, decided): (&About, &Decided)| Rule {
            want: about.want,
            object: about.object.clone(),
            directory: about.directory,
            allow: decided.allow,
        };
        Rules::new(own.map(rule).collect())
    }

    /// Adds what was decided in a run.
    pub fn keep(&mut self, subject: &Subject, rules: &[Rule], now: u64) {
        for rule in rules.iter().cloned() {
            let Rule { want, object, directory, allow } = rule;
            let about = About { subject: subject.clone(), object, directory, want };
            self.0.insert(about, Decided { allow, when: now });
        }
    }
}

/// What is to be said about a question before it is asked. Nobody may allow what no profile may ask
/// for; a directory is offered where showing it is not dangerous.
#[must_use]
pub fn advice(question: &Question, env: &Environment) -> Advice {
    let want = Want::of(question.action);
    let object = question.object.as_path();
    if want.is_of_files() {
        let write = matches!(want, Want::Write | Want::Remove);
        let verdict = judge(object, write, Asker::User, env);
        let directory = directory_of(question)
            .is_some_and(|dir| judge(dir.as_path(), write, Asker::User, env) == Verdict::Fine);
        return match verdict {
            Verdict::Fine => Advice { never: false, directory, danger: None },
            Verdict::Warn(why) => Advice { never: false, directory, danger: Some(why) },
            Verdict::Refuse(_) => Advice { never: true, ..Advice::default() },
        };
    }
    Advice { danger: endpoint(&question.object, env), ..Advice::default() }
}

/// Why an address is dangerous.
fn endpoint(object: &Bytes, env: &Environment) -> Option<String> {
    let text = object.to_string();
    if let Some(path) = text.strip_prefix("unix:") {
        if path.starts_with('@') {
            return Some("it is a service outside the sandbox".to_owned());
        }
        return match judge(Path::new(path), true, Asker::User, env) {
            Verdict::Fine => Some("it is a service outside the sandbox".to_owned()),
            Verdict::Warn(why) | Verdict::Refuse(why) => Some(why),
        };
    }
    let (kind, rest) = text.split_once(':')?;
    let (host, port) = rest.rsplit_once(':')?;
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let host = match address.map(|address| address.to_canonical()) {
        Ok(address) if address.is_loopback() => "localhost".to_owned(),
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    };
    // As dangerous as a rule for it.
    let rule = format!("{host}:{port}/{kind}");
    let rule = swathe_netrules::Rule::parse(&rule, Form::Allow).ok()?;
    network::danger(&rule).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use swathe_record::event::Action;

    fn rule(want: Want, object: &[u8], directory: bool, allow: bool) -> Rule {
        Rule { want, object: Bytes(object.to_vec()), directory, allow }
    }

    fn program() -> Subject {
        let path = Bytes(b"/usr/bin/\xff\n".to_vec());
        Subject::Program { path, cwd: "/home/u/\u{202e}p".into() }
    }

    fn source(text: &str) -> Arc<SourceText> {
        Arc::new(SourceText::file("asked.toml", text))
    }

    /// What is written is read again, whatever bytes are in it, and each run gets its own.
    #[test]
    fn written_and_read() {
        let subjects = [
            program(),
            Subject::App("org.example.A".to_owned()),
            Subject::Profiles(vec!["agent".into(), "/h/p.toml".into()]),
        ];
        let mut standing = Standing::default();
        for (number, subject) in subjects.iter().enumerate() {
            let object = format!("/h/\u{1b}{number}").into_bytes();
            let connect = rule(Want::Connect, b"unix:/run/\xfe", false, false);
            standing.keep(subject, &[rule(Want::Read, &object, true, true), connect], 7);
        }
        let text = standing.text().expect("text");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert_eq!(Standing::read(&source(&text)).expect("reads"), standing);
        let rules = standing.rules(&subjects[1]);
        assert_eq!(rules.all().len(), 2);
        assert_eq!(rules.decide(Want::Read, &"/h/\u{1b}1/x".into()), Some(true));
        assert_eq!(rules.decide(Want::Read, &"/h/\u{1b}0/x".into()), None);
        let other = Subject::Profiles(vec!["/h/p.toml".into(), "agent".into()]);
        assert_eq!(standing.rules(&other), Rules::default());
        let ids: std::collections::BTreeSet<String> =
            standing.0.keys().map(|about| about.id()).collect();
        assert_eq!(ids.len(), 6);
        // A later decision about the same takes the place of the earlier.
        standing.keep(&subjects[1], &[rule(Want::Read, b"/h/\x1b1", true, false)], 8);
        assert_eq!(standing.0.len(), 6);
        assert_eq!(
            standing.rules(&subjects[1]).decide(Want::Read, &"/h/\u{1b}1".into()),
            Some(false)
        );
    }

    /// What is wrong in the file is an error, not a decision.
    #[test]
    fn wrong_files() {
        let good = "[[decision]]\nwant = \"read\"\nobject = \"/h\"\ndirectory = true\n\
            allow = true\nwhen = 1\nsubject = { app = \"a.b\" }\n";
        assert_eq!(Standing::read(&source(good)).expect("reads").0.len(), 1);
        let bad = [
            format!("{good}{good}"),
            good.replace("\"/h\"", "\"/\""),
            good.replace("\"/h\"", "\"/h/../x\""),
            good.replace("\"/h\"", "\"/h\\\\n\""),
            good.replace("\"read\"", "\"connect\""),
            good.replace("\"read\"", "\"all\""),
            good.replace("allow = true\n", ""),
            good.replace("allow = true", "allow = \"true\""),
            good.replace("when = 1", "when = 1\nterm = 2"),
            good.replace("{ app = \"a.b\" }", "{ all = true }"),
            good.replace("{ app = \"a.b\" }", "{ app = \"a.b\", profiles = [] }"),
            "x".repeat(LONGEST_FILE + 1),
        ];
        for text in bad {
            let short: String = text.chars().take(200).collect();
            assert!(Standing::read(&source(&text)).is_err(), "{short}");
        }
    }

    #[test]
    fn bounds() {
        let mut standing = Standing::default();
        for number in 0..=MOST {
            let object = format!("/h/{number}");
            standing.keep(&program(), &[rule(Want::Run, object.as_bytes(), false, true)], 1);
        }
        assert!(standing.text().is_err());
        standing.0.pop_first();
        let text = standing.text().expect("fits");
        assert_eq!(Standing::read(&source(&text)).expect("reads").0.len(), MOST);
    }

    /// What no profile may ask for is never asked, and what is dangerous to show as a whole is not
    /// offered.
    #[test]
    fn advised() {
        let env = Environment::usual("/home/u", "/home/u/p");
        let said = |action, object: &str| {
            let object = object.into();
            let question =
                Question { id: 1, pid: 1, command: vec![], action, object, directory: false };
            let advice = advice(&question, &env);
            (advice.never, advice.directory, advice.danger.is_some())
        };
        assert_eq!(said(Action::Read, "/home/u/data/x"), (false, true, false));
        assert_eq!(said(Action::Read, "/home/u/.netrc"), (false, false, true));
        assert_eq!(said(Action::Read, "/home/u/notes"), (false, false, false));
        assert_eq!(said(Action::Read, "/home/u/.ssh/config"), (false, false, true));
        assert_eq!(said(Action::Write, "/etc/hosts"), (true, false, false));
        assert_eq!(said(Action::Remove, "/home/u/.local/share/swathe/x"), (true, false, false));
        assert!(said(Action::Create, "/home/u/.config/swathe/profiles/x.toml").0);
        assert_eq!(said(Action::Read, "/home/u"), (true, false, false));
        assert_eq!(said(Action::Connect, "unix:/run/docker.sock"), (false, false, true));
        assert_eq!(said(Action::Connect, "tcp:127.0.0.1:80"), (false, false, true));
        assert_eq!(said(Action::Connect, "tcp:[::ffff:10.0.0.1]:80"), (false, false, true));
        assert_eq!(said(Action::Connect, "tcp:169.254.169.254:80"), (false, false, true));
        assert_eq!(said(Action::Connect, "tcp:93.184.216.34:443"), (false, false, false));
        assert_eq!(said(Action::Connect, "tcp:github.com:443"), (false, false, false));
    }
}
