//! A command line: the data's words are separated by NUL. The bytes behind `--args` are always the
//! same here; the target `args` is about them.

use crate::support::without_origins;
use swathe_plan::Plan;
use swathe_plan::model::Bytes;
use swathe_plan::options;
use swathe_plan::parse::{ParseError, Parsed, Request, parse};
use swathe_plan::render::render;

/// What is read from every `--args` descriptor.
const FILE: &[u8] = b"--dir\0/from-file\0--setenv\0A\0b\0";

/// The words of a buffer.
pub fn words(data: &[u8]) -> Vec<&[u8]> {
    data.split(|&b| b == 0).collect()
}

/// Parses words; checks what holds for every result.
pub fn run(data: &[u8]) {
    let words = words(data);
    check(&words, parse(&words, &mut |_| Ok(FILE.to_vec())));
}

/// What holds for every result of parsing `words`.
pub fn check(words: &[&[u8]], result: Result<Parsed, ParseError>) {
    match result {
        Err(error) => {
            assert!(!error.message.is_empty());
            if let Some(origin) = error.origin.filter(|o| o.args_fd.is_none()) {
                let name = options::spec(origin.opt).name.as_bytes();
                assert_eq!(words[origin.index as usize - 1], name);
            }
        }
        Ok(parsed) => {
            if let Request::Run(plan) = parsed.request {
                accepted(words, &plan);
            }
        }
    }
}

/// A plan holds nothing that the set-up could not use, and is rendered and parsed to itself.
fn accepted(words: &[&[u8]], plan: &Plan) {
    let command: Vec<&[u8]> = plan.command.iter().map(Vec::as_slice).collect();
    assert!(!command.is_empty() && words.ends_with(&command));
    for step in &plan.steps {
        let dest = &step.op.dest().0;
        assert!(!dest.is_empty() && !dest.contains(&0));
        if step.origin.args_fd.is_none() {
            let name = options::spec(step.origin.opt).name.as_bytes();
            assert_eq!(words[step.origin.index as usize - 1], name);
        }
    }
    round_trip(plan);
}

/// Renders a plan, parses the words and compares.
pub fn round_trip(plan: &Plan) {
    let rendered: Vec<Bytes> = render(plan);
    let words: Vec<&[u8]> = rendered.iter().map(Vec::as_slice).collect();
    let again = parse(&words, &mut |_| Err("no --args is rendered".to_owned()));
    let again = again.unwrap_or_else(|e| panic!("{e:?}\nof {words:?}"));
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    match again.request {
        Request::Run(again) => {
            assert_eq!(without_origins(*again), without_origins(plan.clone()));
        }
        other => panic!("{other:?}\nof {words:?}"),
    }
}
