//! argv is the plan's wire format: what is rendered is parsed back to the same plan.

mod support;

use proptest::prelude::*;
use support::{Source, without_origins};
use swathe_plan::Plan;
use swathe_plan::model::Bytes;
use swathe_plan::parse::{ParseError, Request, parse};
use swathe_plan::render::{operation, render};

fn reparse(words: &[Bytes]) -> Result<Plan, ParseError> {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let parsed = parse(&words, &mut |_| Err("none".to_owned()))?;
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    match parsed.request {
        Request::Run(plan) => Ok(*plan),
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// `parse(render(plan))` is the plan, but for the positions of words.
    #[test]
    fn a_rendered_plan_is_parsed_back(data in prop::collection::vec(any::<u8>(), 0..600)) {
        let plan = support::plan(&mut Source::new(&data));
        let again = reparse(&render(&plan));
        prop_assert_eq!(again.map(without_origins), Ok(plan));
    }

    /// The positions that the parser notes are those of the words that it read: the words from
    /// there on are those of the option, in the order of the operations.
    #[test]
    fn origins_point_at_their_words(data in prop::collection::vec(any::<u8>(), 0..400)) {
        let plan = support::plan(&mut Source::new(&data));
        let words = render(&plan);
        let again = reparse(&words).expect("a rendered plan");
        let mut last = 0;
        for step in &again.steps {
            let at = step.origin.index as usize - 1;
            let spec = swathe_plan::options::spec(step.origin.opt);
            prop_assert_eq!(words[at].as_slice(), spec.name.as_bytes());
            prop_assert_eq!(step.origin.args_fd, None);
            prop_assert!(at >= last);
            last = at;
            // The option itself and its arguments end the operation's own words.
            let own = operation(&step.op);
            prop_assert!(own.ends_with(&words[at..=at + spec.arguments.len()]));
        }
    }

    /// The options of a rendered plan mean the same when they come from `--args`.
    #[test]
    fn a_file_of_words_means_the_same(data in prop::collection::vec(any::<u8>(), 0..600)) {
        let plan = support::plan(&mut Source::new(&data));
        let mut words = render(&plan);
        let command = words.split_off(words.len() - plan.command.len() - 1);
        let mut file = words.join(&0);
        // A file of one empty word and an empty file look the same; there is no such option.
        if !words.is_empty() {
            file.push(0);
        }
        let outer: Vec<&[u8]> =
            [&b"--args"[..], b"7"].into_iter().chain(command.iter().map(Vec::as_slice)).collect();
        let mut asked = Vec::new();
        let parsed = parse(&outer, &mut |fd| {
            asked.push(fd);
            Ok(file.clone())
        });
        prop_assert_eq!(asked, [7]);
        match parsed.map(|p| p.request) {
            Ok(Request::Run(again)) => {
                prop_assert!(again.steps.iter().all(|s| s.origin.args_fd == Some(7)));
                prop_assert_eq!(without_origins(*again), plan);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
