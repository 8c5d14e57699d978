//! Protected paths inside a writable directory: what a sandboxed program does to them must not make
//! the user's own programs run anything, now or later.
//!
//! Each case is an attack and what its victim does afterwards on the host. Control: the same attack
//! outside a sandbox succeeds, so that a case which proves nothing is found.

mod common;

use common::Place;
use common::attacks::{Case, Control::Works, GIT, LINKED, OTHERS, PRELUDE};
use swathe_testkit::Who;

fn prelude(place: &Place) -> String {
    format!("PWNED='{}'; {PRELUDE}\n", place.dir.at("pwned"))
}

/// One case on one machine: what went wrong, if anything.
fn attempt(who: Who, case: &Case, sandboxed: bool) -> Option<String> {
    let place = Place::new(who)?;
    let text = |script: &str| format!("{}{script}", prelude(&place));
    place.outside(&format!("set -e\n{}", text(case.setup))).exits(0);
    let attack = text(case.attack);
    let ran = if sandboxed { place.inside("-w", &attack) } else { place.outside(&attack) };
    let ran = ran.go();
    if sandboxed && ran.errors().contains("swathe: ") && !ran.errors().contains("swathe: note") {
        return Some(format!("{}: did not run: {ran}", case.name));
    }
    let victim = place.outside(&text(case.victim)).go();
    let pwned = place.dir.path().join("pwned").exists();
    let expected = !sandboxed && case.control == Works;
    let left = place.host("find . -perm 1000 -o -name .git -size 0 -type f");
    if sandboxed && !left.is_empty() {
        return Some(format!("{}: left on the host: {left}", case.name));
    }
    let side = if sandboxed { "OPEN" } else { "control" };
    (pwned != expected).then(|| format!("{}: {side}\nattack: {ran}\nvictim: {victim}", case.name))
}

fn all(who: Who, cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        wrong.extend(attempt(who, case, false));
        wrong.extend(attempt(who, case, true));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n----\n"));
}

macro_rules! matrix {
    ($($name:ident: $cases:expr),* $(,)?) => {$(
        mod $name {
            /// As root.
            #[test]
            fn root() {
                super::all(swathe_testkit::Who::Root, $cases);
            }

            /// As an ordinary user.
            #[test]
            fn user() {
                super::all(swathe_testkit::Who::User, $cases);
            }
        }
    )*};
}

matrix! {
    git: super::GIT,
    linked: super::LINKED,
    others: super::OTHERS,
}
