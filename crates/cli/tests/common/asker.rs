//! A program that answers questions.

use super::Place;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use swathe_testkit::Outcome;

/// Runs a program and answers each question by this: its object and action, and the answer's fields
/// but the id. Returns the questions, too.
pub fn ask(
    place: &Place,
    options: &str,
    text: &str,
    answer: impl Fn(&str, &str) -> Option<String>,
) -> (Outcome, Vec<String>) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let words = format!("--ask-fd 7 {options}");
    let running = place.inside(&words, text).fd(7, OwnedFd::from(theirs)).start();
    let mut to = ours.try_clone().expect("a copy");
    let mut asked = Vec::new();
    for line in BufReader::new(ours).lines() {
        let Ok(line) = line else { break };
        let Some(question) = line.strip_prefix("{\"question\":") else { continue };
        let field = |name: &str| {
            let start = question.split(&format!("\"{name}\":")).nth(1).expect(name);
            start.split([',', '}']).next().expect(name).trim_matches('"').to_owned()
        };
        let (object, action) = (field("object"), field("action"));
        asked.push(format!("{action} {object}"));
        let Some(answer) = answer(&object, &action) else { continue };
        let line = format!("{{\"answer\":{{\"id\":{},{answer}}}}}\n", field("id"));
        if to.write_all(line.as_bytes()).is_err() {
            break;
        }
    }
    (running.wait(), asked)
}
