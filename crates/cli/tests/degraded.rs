//! Runs without namespaces: refused, unless a person allows it by name; then Landlock and the filter
//! still hold.

mod common;

use common::{LOOK, Place, SECRET, no_secret};
use swathe_testkit::{Outcome, Who};

/// On a machine that makes no user namespaces: one whose limit of them is 0.
fn without_namespaces(place: &Place, words: &str, text: &str) -> Outcome {
    let script = format!(
        "unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"' x \
         \"$SWATHE\" run {words} -- sh -c '{text}'"
    );
    place.host_run(&script)
}

const ALLOWED: &str = "--allow-degraded namespaces";

fn each(test: fn(&Place)) {
    for who in [Who::Root, Who::User] {
        if let Some(place) = Place::new(who) {
            test(&place);
        }
    }
}

/// Nothing runs by default; the message says why, and what would help.
#[test]
fn it_is_refused() {
    each(|place| {
        let outcome = without_namespaces(place, "", "echo ran");
        assert_eq!(outcome.text(), "", "{outcome}");
        let errors = outcome.errors();
        assert!(errors.contains("user.max_user_namespaces is 0"), "{outcome}");
        assert!(errors.contains("swathe doctor"), "{outcome}");
        assert!(errors.contains(ALLOWED), "{outcome}");
        // A degraded layer that is another one allows nothing.
        let outcome = without_namespaces(place, "--allow-degraded landlock", "echo ran");
        assert_eq!(outcome.text(), "", "{outcome}");
    });
}

/// With the word it runs, says what is not enforced, and passes the exit status on.
#[test]
fn it_runs_and_says_what_is_lost() {
    each(|place| {
        let outcome = without_namespaces(place, ALLOWED, "pwd; exit 7");
        assert_eq!(outcome.text().trim(), place.project(""), "{outcome}");
        assert!(outcome.errors().contains("not enforced are:"), "{outcome}");
        assert!(outcome.errors().contains("protected paths"), "{outcome}");
        assert_eq!(outcome.ended.shell(), 7, "{outcome}");
    });
}

/// No secret can be read, by its path or in the environment; the directory is read-only without -w.
#[test]
fn landlock_holds() {
    each(|place| {
        place.dir.file("project/file", "one\n");
        let outcome = without_namespaces(place, ALLOWED, LOOK);
        no_secret(&outcome);
        let control = place.host_run(LOOK);
        assert!(control.text().contains(SECRET), "{control}");
        let text = "cat file; echo two >file; echo x >new; ls $HOME/..";
        let outcome = without_namespaces(place, ALLOWED, text);
        assert_eq!(outcome.text(), "one", "{outcome}");
        assert_eq!(place.host("cat file; ls"), "one\nfile");
        let outcome = without_namespaces(place, &format!("-w {ALLOWED}"), "echo two >file");
        assert_eq!(outcome.ended.shell(), 0, "{outcome}");
        assert_eq!(place.host("cat file"), "two");
    });
}

/// No socket of the network, no signal to processes outside, no new namespace; a directory of the
/// run's own that can be written to, and is gone afterwards.
#[test]
fn the_other_layers_hold() {
    each(|place| {
        let text = "exec 3<>/dev/tcp/127.0.0.1/1";
        let run = format!("bash -c \"{text}\"");
        let outcome = without_namespaces(place, ALLOWED, &run);
        assert!(!outcome.errors().contains("refused"), "{outcome}");
        assert!(outcome.ended.shell() != 0, "{outcome}");
        let outcome = without_namespaces(place, ALLOWED, "kill -0 $PPID || echo kept");
        assert_eq!(outcome.text(), "kept", "{outcome}");
        let outcome = without_namespaces(place, ALLOWED, "unshare -U true || echo kept");
        assert_eq!(outcome.text(), "kept", "{outcome}");
        let outcome = without_namespaces(place, ALLOWED, "echo x >$TMPDIR/x; cat $HOME/x");
        assert_eq!(outcome.text(), "x", "{outcome}");
        assert_eq!(place.host("find $XDG_RUNTIME_DIR -name \"degraded*\""), "");
    });
}
