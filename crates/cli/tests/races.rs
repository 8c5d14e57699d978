//! A hostile thread changes paths and descriptors while the supervisor decides about them.
//!
//! `SWATHE_RACES` is the number of rounds of each race; the default keeps a test run short.

mod common;

use common::asker::ask;
use common::{Place, installed};

/// Kind, whether a file of the victim's directory can win it without a level.
const RACES: &[&str] = &[
    "memory-write",
    "link-write",
    "memory-truncate",
    "link-truncate",
    "memory-opencut",
    "link-opencut",
    "memory-unlink",
    "memory-move",
    "memory-replace",
    "fd-cut",
    "fd-flags",
    "gone-cut",
    "gone-flags",
];

fn rounds() -> u32 {
    std::env::var("SWATHE_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000)
}

/// So many rounds, in runs of at most so many, which end in the time that one has.
fn parts(mut rounds: u32, most: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let part = rounds.min(most);
        rounds -= part;
        (part > 0).then_some(part)
    })
}

fn race(place: &Place) -> Option<()> {
    if !installed("cc") {
        return None;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/race.c");
    let text = std::fs::read_to_string(source).expect("the program's text");
    place.dir.file("project/race.c", text);
    place.host("cc -O2 -pthread -w -o race race.c");
    Some(())
}

/// Runs all races; which of them changed the victim.
fn lost(place: &Place, options: &str, kinds: &[&str], rounds: u32) -> Vec<String> {
    let mut lost = Vec::new();
    for kind in kinds {
        place.host("rm -rf in; mkdir in; echo old >in/victim");
        let text = format!(
            "echo own >~/own; ./race {kind} $PWD/in/victim ~/own {rounds}; echo more >>in/victim",
        );
        let ran = place.inside(options, &text).go();
        assert_eq!(ran.ended.shell(), 0, "{kind}: {ran}");
        // Otherwise nothing was raced for.
        assert_ne!(ran.text().trim(), "0", "{kind}: nothing got through to its own file: {ran}");
        let now = place.host("head -c 9 in/victim 2>&1 || :; ls in | tr -d '\\n'");
        if now != "old\nmore\nvictim" {
            lost.push(format!("{kind}: {now}"));
        }
    }
    lost
}

fn append(place: &Place) {
    if race(place).is_none() {
        return;
    }
    let options = format!("--allow files.dir={}:append", place.project("in"));
    place.host("mkdir in");
    assert_eq!(lost(place, &options, RACES, rounds()), Vec::<String>::new());
}

fn no_delete(place: &Place) {
    if race(place).is_none() {
        return;
    }
    let options = format!("--allow files.dir={}:no-delete", place.project("in"));
    place.host("mkdir in");
    let kinds: Vec<&str> = RACES
        .iter()
        .copied()
        .filter(|k| !k.ends_with("-write") && !k.ends_with("-flags"))
        .collect();
    assert_eq!(lost(place, &options, &kinds, rounds()), Vec::<String>::new());
}

/// Whatever is removed or replaced in between, nothing of what was ever made is lost.
fn trash(place: &Place) {
    if race(place).is_none() {
        return;
    }
    place.host("mkdir in");
    let options = format!("--allow files.dir={}:trash", place.project("in"));
    for kind in ["memory-unlink", "memory-move", "memory-replace"] {
        // Each is kept, and has to be found and removed again.
        for part in parts(rounds(), 20_000) {
            place.host("rm -rf in/*; $SWATHE trash empty --all --yes");
            let text = format!("NUMBERED=1 ./race {kind} $PWD/in/victim $PWD/in/own {part}");
            let ran = place.inside(&options, &text).go();
            assert_eq!(ran.ended.shell(), 0, "{kind}: {ran}");
            let text = ran.text();
            let made: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
            assert!(made.len() == 2 && made[0] > 10 && made[1] > 10, "{kind}: {ran}");
            let kept = place.host(
                "(cat in/* || :; find $HOME/.local/share/swathe/trash/files -type f \
                 -exec cat {} +) | grep number | sort -u | wc -l",
            );
            assert_eq!(kept.trim(), made[1].to_string(), "{kind}: {ran}");
        }
    }
}

/// What is hidden stays unread, by name and by glob, while calls are watched that lead to it or not.
fn hide(place: &Place) {
    if race(place).is_none() {
        return;
    }
    let hidden = ["files.hide=PROJECT/in/victim", "files.hide=PROJECT/**/vic*"];
    for hidden in hidden.map(|words| words.replace("PROJECT", &place.project(""))) {
        let options = format!("-w --record --allow {}", hidden.replace("//", "/"));
        place.host("rm -rf in; mkdir in; echo old >in/victim");
        for kind in ["memory-look", "link-look"] {
            for rounds in parts(rounds(), 200_000) {
                let text = format!("echo own >~/own; ./race {kind} $PWD/in/victim ~/own {rounds}");
                let ran = place.inside(&options, &text).go();
                assert_eq!(ran.ended.shell(), 0, "{kind}: {ran}");
                assert!(!ran.text().contains("seen") && ran.text() != "0", "{kind}: {ran}");
            }
        }
        assert_eq!(place.host("cat in/victim"), "old");
    }
    // Where nothing is hidden, both are read.
    let text = "echo own >~/own; ./race memory-look $PWD/in/victim ~/own 20000";
    let ran = place.inside("-w", text).go();
    assert!(ran.text().contains("seen"), "{ran}");
}

/// In how many runs both sides of a race are met.
const MOST_RUNS: u32 = 50;

/// A yes to one file opens no other, whatever the path is by the time of the answer.
fn asks(place: &Place) {
    if race(place).is_none() {
        return;
    }
    for (term, rounds) in [("run", rounds()), ("once", rounds().min(300))] {
        for kind in ["memory-look", "link-look"] {
            place.host("rm -rf ../home/a; mkdir ../home/a; echo old >../home/a/victim; echo own >../home/own");
            // A link has to be where the host sees it, too.
            let (options, own) = match kind {
                "link-look" => ("-w", "$PWD/own"),
                _ => ("", "~/own"),
            };
            let text = format!("echo own >own; ./race {kind} ~/a/victim {own} {rounds}");
            // Who was refused a few times is not asked about for a while: it can take some runs.
            let raced = (0..MOST_RUNS).any(|_| {
                let (ran, asked) = ask(place, options, &text, |object, _| {
                    let yes = object.ends_with("/own");
                    Some(format!("\"allow\":{yes},\"term\":\"{term}\""))
                });
                assert_eq!(ran.ended.shell(), 0, "{kind}: {ran}");
                assert!(!ran.text().contains("seen"), "{kind} {term}: {ran}");
                ran.text() != "0" && asked.iter().any(|one| one.ends_with("/victim"))
            });
            assert!(raced, "{kind} {term}: nothing was raced for");
        }
    }
}

/// The races are ones: without a level each of them is lost at once.
fn control(place: &Place) {
    if race(place).is_none() {
        return;
    }
    place.host("mkdir in");
    let options = format!("--allow files.dir={}:rw", place.project("in"));
    let kinds = ["memory-write", "link-write", "memory-truncate", "memory-unlink", "fd-cut"];
    // Nothing is decided in between: it takes more rounds to be in the middle of one.
    let found = lost(place, &options, &kinds, 60_000);
    assert_eq!(found.len(), kinds.len(), "{found:?}");
}

both!(append, no_delete, trash, hide, asks, control);
