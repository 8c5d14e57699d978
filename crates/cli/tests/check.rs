//! `swathe check`: what it says of the default sandbox, and that it can say otherwise.

mod common;

use common::{Place, SECRET};
use serde_json::Value;
use std::collections::BTreeMap;
use swathe_testkit::{Ended, Outcome};

/// Probes that are open in the default sandbox, whether only for root, and why. One that is closed
/// some day makes the tests fail, so that it is taken off the list.
const KNOWN: &[(&str, bool, &str)] = &[];

/// What a check says, by probe: verdict, and the state outside.
struct Said {
    status: Ended,
    probes: BTreeMap<String, (String, String)>,
    outcome: Outcome,
}

impl Said {
    fn with(&self, verdict: &str) -> Vec<&str> {
        let found = self.probes.iter().filter(|(_, (said, _))| said == verdict);
        found.map(|(id, _)| id.as_str()).collect()
    }
}

#[track_caller]
fn check(place: &Place, options: &str) -> Said {
    place.dir.dir("tmp");
    let outcome =
        place.swathe("check --json").words(options).env("TMPDIR", place.dir.at("tmp")).go();
    let document: Value = serde_json::from_slice(&outcome.out)
        .unwrap_or_else(|e| panic!("no JSON ({e}) of {outcome}"));
    let probes = document["probes"].as_array().expect("probes").iter().map(|probe| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let told = (text(&probe["verdict"]), text(&probe["outside"]["state"]));
        (text(&probe["id"]), told)
    });
    let count = document["probes"].as_array().map_or(0, Vec::len);
    let probes: BTreeMap<_, _> = probes.collect();
    assert_eq!(probes.len(), count, "two probes have one name");
    Said { status: outcome.ended, probes, outcome }
}

fn known(place: &Place) -> Vec<&'static str> {
    let of = KNOWN.iter().filter(|(_, root, _)| !root || place.swathe.is_root());
    of.map(|(id, ..)| *id).collect()
}

/// Nothing is open but what is known, in all classes; and the control says that there was something
/// to contain, secrets of this home directory among it.
#[track_caller]
fn contained(place: &Place, options: &str) {
    let said = check(place, options);
    assert_eq!(said.with("open"), known(place), "{}", said.outcome);
    assert_eq!(said.with("unclear"), [""; 0], "{}", said.outcome);
    let status = if known(place).is_empty() { 0 } else { 1 };
    assert_eq!(said.status, Ended::Exit(status), "{}", said.outcome);
    assert!(said.with("contained").len() >= 100, "{}", said.outcome);
    for id in [
        "home-ssh",
        "home-cloud",
        "home-tokens",
        "home-history",
        "env-canary",
        "env-secrets",
        "canary-read",
        "canary-create",
        "fd-directory",
        "fd-reopen",
        "process-environ",
        "process-signal",
        "group-signal",
        "socket-canary",
        "socket-agents",
        "net-loopback",
        "abstract-connect",
        "hook-make",
        "git-rename",
        "setid-chmod",
        "io-uring",
        "namespace-unshare",
        "processes",
    ] {
        let told = said.probes.get(id).unwrap_or_else(|| panic!("no probe {id}"));
        assert_eq!((told.0.as_str(), told.1.as_str()), ("contained", "open"), "{id}");
    }
    // No finding quotes what it found.
    assert!(!said.outcome.text().contains(SECRET), "{}", said.outcome);
}

fn the_default_sandbox_contains(place: &Place) {
    contained(place, "");
}

fn a_writable_directory_contains(place: &Place) {
    contained(place, "-w");
}

/// Each of these options opens what it is about, and the check says so: it can fail.
fn options_that_open_are_seen(place: &Place) {
    let opened: [(&str, &[&str]); 5] = [
        ("--allow net.all", &["net-loopback", "net-connections", "abstract-list"]),
        ("--allow nested-sandbox", &["namespace-unshare", "namespace-clone", "namespace-clone3"]),
        (
            "-w --unprotect all",
            &["hook-make", "hook-link", "git-config", "envrc", "editor-make", "git-rename"],
        ),
        ("--allow ptrace", &["ptrace-child", "vm-read"]),
        ("--allow env=GITHUB_TOKEN", &["env-secrets"]),
    ];
    for (options, ids) in opened {
        let said = check(place, options);
        assert_eq!(said.status, Ended::Exit(1), "{options}: {}", said.outcome);
        let open = said.with("open");
        for id in ids {
            assert!(open.contains(id), "{options}: {id} is not open: {}", said.outcome);
        }
        let more = open.iter().filter(|id| !known(place).contains(id)).count();
        assert!(more >= ids.len(), "{options}: {}", said.outcome);
    }
    // Shown on purpose, and so open.
    let said = check(place, &format!("--allow files.dir={}:ro", place.home(".ssh")));
    assert!(said.with("open").contains(&"home-ssh"), "{}", said.outcome);
}

/// A check leaves nothing in the project, in the home directory or where it planted.
fn nothing_is_left(place: &Place) {
    let list = "find . ../home ../tmp ../runtime | LC_ALL=C sort; cat ../home/.ssh/* file";
    place.dir.dir("tmp");
    place.dir.dir("runtime/swathe");
    place.dir.mode("runtime/swathe", 0o700);
    place.repository();
    let before = place.host(list);
    check(place, "-w");
    check(place, "-w --unprotect all");
    assert_eq!(place.host(list), before);
}

/// The table fits on 80 columns and has no colours when nobody looks, also with everything said.
fn the_table_is_readable(place: &Place) {
    for options in ["", "--verbose"] {
        let outcome = place.swathe("check").words(options).go();
        let text = outcome.text();
        assert!(text.contains("\nescape\n") && text.contains(" contained, "), "{outcome}");
        assert!(!text.contains('\x1b'), "{outcome}");
        let long = text.lines().find(|line| line.chars().count() > 80 && !line.contains('/'));
        assert_eq!(long, None, "{outcome}");
    }
}

/// A check that cannot be made has a status of its own, and says why.
fn what_cannot_be_checked_is_no_verdict(place: &Place) {
    let outcome = place.swathe("check --profile ./missing.toml").go();
    assert_eq!(outcome.ended, Ended::Exit(2), "{outcome}");
    assert!(outcome.errors().contains("missing.toml"), "{outcome}");
    let outcome = place.swathe("check").env("SWATHE_BWRAP", "/bin/false").go();
    assert_eq!(outcome.ended, Ended::Exit(2), "{outcome}");
    assert!(outcome.errors().contains("no probe could be run"), "{outcome}");
}

both! {
    the_default_sandbox_contains,
    a_writable_directory_contains,
    options_that_open_are_seen,
    nothing_is_left,
    the_table_is_readable,
    what_cannot_be_checked_is_no_verdict,
}
