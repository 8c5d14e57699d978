//! The parser on command lines that nobody meant.

mod support;

use proptest::prelude::*;
use support::{Source, without_origins};
use swathe_plan::model::Bytes;
use swathe_plan::options;
use swathe_plan::parse::{Request, parse};
use swathe_plan::render::render;

fn check(words: &[Bytes], file: &[u8]) -> Result<(), TestCaseError> {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    match parse(&words, &mut |_| Ok(file.to_vec())) {
        Err(error) => {
            prop_assert!(!error.message.is_empty());
            if let Some(origin) = error.origin.filter(|o| o.args_fd.is_none()) {
                let at = origin.index as usize - 1;
                prop_assert_eq!(words[at], options::spec(origin.opt).name.as_bytes());
            }
        }
        Ok(parsed) => {
            if let Request::Run(plan) = parsed.request {
                prop_assert!(
                    words.ends_with(&plan.command.iter().map(Vec::as_slice).collect::<Vec<_>>())
                );
                let again = render(&plan);
                let again: Vec<&[u8]> = again.iter().map(Vec::as_slice).collect();
                let again = parse(&again, &mut |_| Err(String::new()));
                prop_assert_eq!(
                    again.map(|p| match p.request {
                        Request::Run(plan) => Some(without_origins(*plan)),
                        _ => None,
                    }),
                    Ok(Some(without_origins(*plan)))
                );
            }
        }
    }
    Ok(())
}

proptest! {
    /// Any bytes in any words: a plan or an error that names a word, never a panic. What is
    /// accepted is rendered and parsed to the same plan.
    #[test]
    fn any_words(words in prop::collection::vec(prop::collection::vec(1..=255u8, 0..20), 0..12),
                 file in prop::collection::vec(any::<u8>(), 0..60)) {
        check(&words, &file)?;
    }

    /// The same for lines that are mostly made of options.
    #[test]
    fn likely_words(data in prop::collection::vec(any::<u8>(), 0..300),
                    file in prop::collection::vec(any::<u8>(), 0..200)) {
        let words = support::command_line(&mut Source::new(&data));
        let file = support::command_line(&mut Source::new(&file)).join(&0);
        check(&words, &file)?;
    }
}
