//! Changes on a copy: run, look, commit, undo, discard, as a user does it.

#[path = "../common/mod.rs"]
mod common;
mod places;
mod shown;

use common::{Place, installed, no_secret};
use serde_json::Value;
use swathe_testkit::Outcome;

/// What `swathe diff` says for programs.
fn json(place: &Place, words: &str) -> Value {
    let text = place.swathe(&format!("diff --json {words}")).prints();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The changed paths, in the order in which they are shown.
fn paths(place: &Place, words: &str) -> Vec<String> {
    let text = place.swathe(&format!("diff --name-only {words}")).prints();
    text.lines().map(str::to_owned).collect()
}

/// How many workspaces there are.
fn count(place: &Place) -> usize {
    let text = place.swathe("workspace list --json").prints();
    let list: Value = serde_json::from_str(&text).expect("JSON");
    list.as_array().expect("a list").len()
}

/// The workspace that a run says it kept its changes in.
#[track_caller]
fn kept(ran: &Outcome) -> String {
    let errors = ran.errors();
    let name =
        errors.lines().find_map(|line| line.split_once("kept in workspace ")?.1.split(';').next());
    name.unwrap_or_else(|| panic!("nothing was kept: {ran}")).to_owned()
}

/// A run's changes are its own until they are committed; undo takes them back.
fn run_diff_commit_undo(place: &Place) {
    place.host("printf 'one\ntwo\n' >file; echo old >gone; mkdir d; echo x >d/x");
    let before = place.tree();
    let ran = place
        .inside("--cow", "echo three >>file; rm gone; rm -r d; mkdir new; echo y >new/y; cat file")
        .exits(0);
    assert_eq!(ran.text(), "one\ntwo\nthree");
    assert_eq!(place.tree(), before, "the host has changed");
    let name = kept(&ran);
    assert!(ran.errors().contains(&format!("swathe diff {name}")), "{ran}");
    let diff = place.swathe("diff").prints();
    assert!(diff.contains("+three") && diff.contains("--- a/gone"), "{diff}");
    assert_eq!(paths(place, ""), ["d", "file", "gone", "new", "new/y"]);
    let would = place.swathe("commit --dry-run").prints();
    assert!(would.contains("new/y"), "{would}");
    assert_eq!(place.tree(), before, "a dry run has changed the host");
    place.swathe("commit").exits(0);
    assert_eq!(place.host("cat file new/y; ls"), "one\ntwo\nthree\ny\nfile\nnew");
    place.swathe("commit --undo").exits(0);
    assert_eq!(place.tree(), before);
    assert_eq!(place.host("cat file gone d/x"), "one\ntwo\nold\nx");
}

/// The newest workspace is meant where none is named, however quickly one was made after the other.
fn the_newest(place: &Place) {
    for number in 0..6 {
        place.inside("--cow", &format!("echo 1 >f{number}")).exits(0);
        assert_eq!(paths(place, ""), [format!("f{number}")]);
    }
    let list = place.swathe("workspace list --json").prints();
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let found = list.as_array().expect("a list").iter().map(|workspace| {
        let name = workspace["name"].as_str().expect("a name");
        paths(place, name).concat()
    });
    assert_eq!(found.collect::<String>(), "f0f1f2f3f4f5");
}

/// Nothing changed: nothing is kept and nothing is said.
fn nothing_changed(place: &Place) {
    let ran = place.inside("--cow", "echo x >x; rm x; true").exits(0);
    assert_eq!(ran.errors(), "");
    assert_eq!(count(place), 0);
    let failed = place.swathe("diff").exits(1);
    assert!(failed.errors().contains("swathe run --cow"), "{failed}");
}

/// `rm -rf` of everything, then discard.
fn everything_removed(place: &Place) {
    place.repository();
    place.host("mkdir -p a/b/c; echo 1 >a/b/c/f; ln -s a link");
    let before = place.tree();
    let ran = place.inside("--cow", "rm -rf ./* .git; ls -A | wc -l").exits(0);
    assert_eq!(ran.text(), "0");
    assert_eq!(place.tree(), before);
    let would = place.swathe("discard --dry-run").prints();
    assert!(would.contains("a"), "{would}");
    assert_eq!(count(place), 1);
    place.swathe("discard").exits(0);
    assert_eq!(count(place), 0);
    assert_eq!(place.tree(), before);
    place.host("git status --porcelain | grep -v -e '?? a/' -e '?? link' && exit 1; exit 0");
}

/// A named workspace over several runs, seen by the later ones.
fn named(place: &Place) {
    place.host("echo 1 >file");
    let name = "--cow --workspace work";
    let ran = place.inside(name, "echo 2 >>file").exits(0);
    assert_eq!(kept(&ran), "work");
    assert_eq!(place.inside(name, "echo 3 >>file; cat file").prints(), "1\n2\n3");
    // Without its name the word alone is enough: it knows its directories.
    assert_eq!(place.inside("--workspace work", "cat file").prints(), "1\n2\n3");
    assert_eq!(place.host("cat file"), "1");
    place.swathe("commit work").exits(0);
    assert_eq!(place.host("cat file"), "1\n2\n3");
    assert_eq!(place.inside(name, "cat file").prints(), "1\n2\n3");
    let bad = place.inside("--cow --workspace ../x", "true").exits(1);
    assert!(bad.errors().contains("no name for a workspace"), "{bad}");
    let long = place.inside(&format!("--cow --workspace {}", "n".repeat(65)), "true").exits(1);
    assert!(long.errors().contains("at most 64"), "{long}");
}

/// What the host changed below a run is never overwritten; both sides are told.
fn conflicts(place: &Place) {
    place.host("echo 1 >both; echo 1 >mine; echo 1 >theirs; echo 1 >removed; echo 1 >kept");
    place
        .inside(
            "--cow",
            "echo inside >both; echo inside >mine; rm removed; echo inside >kept; echo i >new",
        )
        .exits(0);
    place.host(
        "echo outside >both; echo outside >theirs; echo outside >removed; rm kept; echo o >new",
    );
    let refused = place.swathe("commit").exits(1);
    for name in ["both", "removed", "kept", "new"] {
        assert!(refused.errors().contains(name), "{name} is no conflict: {refused}");
    }
    assert!(!refused.errors().contains("theirs"), "{refused}");
    assert_eq!(place.host("cat both theirs removed new"), "outside\noutside\noutside\no");
    assert!(refused.errors().contains("--skip-conflicts"), "{refused}");
    place.host("test ! -e kept; test $(cat mine) = 1");
    // By name the rest can be had.
    place.swathe("commit mine").exits(0);
    assert_eq!(place.host("cat mine"), "inside");
    place.swathe("discard").exits(0);
    assert_eq!(place.host("cat both"), "outside");
}

/// What is left for a conflict is not counted, nor said to go.
fn conflicts_below(place: &Place) {
    place.host("mkdir d; echo 1 >d/1; echo 1 >a; echo 1 >b");
    place.inside("--cow", "rm -r d; echo 2 >a; echo 2 >b").exits(0);
    place.host("echo 2 >d/2");
    let would = place.swathe("commit --dry-run --skip-conflicts").prints();
    assert!(would.contains("would commit 2 changes") && !would.contains("D d"), "{would}");
    let refused = place.swathe("commit d/1").exits(1);
    assert!(refused.errors().contains("d: the host changed something in it"), "{refused}");
    let done = place.swathe("commit --merge --skip-conflicts").exits(0);
    assert!(done.errors().contains("committed 2 changes"), "{done}");
    assert!(!done.errors().contains("with it go"), "{done}");
    assert_eq!(place.host("cat a b d/1 d/2"), "2\n2\n1\n2");
}

/// A rename of which one half is in conflict stays as a whole, unless the other is named alone.
fn renamed_in_conflict(place: &Place) {
    place.host("echo text >a; chmod 644 a; echo 1 >c");
    place.inside("--cow", "mv a b; echo 2 >c").exits(0);
    place.host("chmod 600 a");
    let done = place.swathe("commit --skip-conflicts --yes").exits(1);
    assert!(done.errors().contains("committed 1 change "), "{done}");
    assert!(done.errors().contains("b: the other half of its rename was left"), "{done}");
    assert_eq!(place.host("ls"), "a\nc");
    place.swathe("commit b --yes").exits(0);
    assert_eq!(place.host("ls"), "a\nb\nc");
}

/// What is never committed is an exit status of 1, whether the rest was or there is none.
fn refused(place: &Place) {
    place.inside("--cow", "mkdir d; chmod 0 d; echo 1 >f").exits(0);
    if place.swathe.is_root() {
        // It can look into everything.
        place.swathe("commit").exits(0);
        return;
    }
    let done = place.swathe("commit --yes").exits(1);
    assert!(done.errors().contains("committed 1 change "), "{done}");
    let done = place.swathe("commit --yes").exits(1);
    assert!(done.errors().contains("committed nothing of workspace"), "{done}");
    place.host("chmod -R u+rwx $HOME/.local/state/swathe");
}

/// A dry run says what cannot be taken back.
fn beyond_undo(place: &Place) {
    place.host("truncate -s 1100M large; echo 1 >f");
    place.inside("--cow --workspace w", "rm large").exits(0);
    let would = place.swathe("commit w --dry-run").exits(0);
    assert!(would.errors().contains("it could not be undone"), "{would}");
    assert!(!would.errors().contains("last commit"), "{would}");
    place.inside("--cow --workspace w", "echo 2 >f").exits(0);
    place.swathe("commit w f").exits(0);
    let would = place.swathe("commit w --dry-run").exits(0);
    assert!(would.errors().contains("the last commit could not be undone any more"), "{would}");
}

/// Changes of both sides in different places of a text come together when asked for.
fn merged(place: &Place) {
    place.host("seq 1 30 >text; chmod 644 text; cp -p text m");
    place.inside("--cow", "sed -i s/^3$/three/ text; chmod 664 m").exits(0);
    place.host("sed -i s/^28$/twenty-eight/ text; chmod 600 text m");
    place.swathe("commit").exits(1);
    // Both changed the mode: nobody but a person says which it is.
    let refused = place.swathe("commit --merge --yes").exits(1);
    assert!(refused.errors().contains("m: the host changed it, too"), "{refused}");
    assert_eq!(place.host("stat -c %a text m"), "600\n600");
    place.swathe("discard m").exits(0);
    // The wider mode of the run's version is not the merge's: nobody is asked about it.
    place.swathe("commit --merge").exits(0);
    let text = place.host("cat text");
    assert!(text.contains("three") && text.contains("twenty-eight"), "{text}");
    assert_eq!(place.host("stat -c %a text"), "600");
}

/// A directory becomes a file, a file a directory, a link something else.
fn retyped(place: &Place) {
    place.host("mkdir -p d/e; echo 1 >d/e/f; echo 1 >f; ln -s f l; mkdir full; echo 1 >full/a");
    place
        .inside(
            "--cow",
            "rm -r d; echo was >d; rm f; mkdir f; echo 2 >f/g; rm l; echo l >l; \
             rm -r full; mkdir full; echo b >full/b",
        )
        .exits(0);
    place.swathe("commit --yes").exits(0);
    assert_eq!(place.host("cat d f/g l full/b; ls full; test ! -L l"), "was\n2\nl\nb\nb");
    place.swathe("commit --undo").exits(0);
    assert_eq!(place.host("cat d/e/f f full/a; ls full; readlink l"), "1\n1\n1\na\nf");
}

/// `sed -i` over a tree.
fn sed_over_a_tree(place: &Place) {
    place.host(
        "for i in $(seq 1 50); do mkdir -p s/$((i % 7)); echo old $i >s/$((i % 7))/$i.txt; done",
    );
    let before = place.host("cat s/*/*");
    place.inside("--cow", "find . -name '*.txt' -exec sed -i s/old/new/ {} +").exits(0);
    assert_eq!(place.host("cat s/*/*"), before);
    assert_eq!(paths(place, "").len(), 50);
    let stat = place.swathe("diff --stat").prints();
    assert!(stat.contains("50 files"), "{stat}");
    place.swathe("commit").exits(0);
    assert_eq!(place.host("cat s/*/*"), before.replace("old", "new"));
}

/// Only what is below the named paths is shown, committed, discarded.
fn selected(place: &Place) {
    place.host("mkdir a b; echo 1 >a/x; echo 1 >b/x; echo 1 >top");
    place
        .inside("--cow", "echo 2 >a/x; mkdir -p a/n/m; echo n >a/n/m/f; echo 2 >b/x; echo 2 >top")
        .exits(0);
    assert_eq!(paths(place, "b top"), ["b/x", "top"]);
    // A new file brings its new directories.
    place.swathe("commit a/n/m/f").exits(0);
    assert_eq!(place.host("cat a/n/m/f a/x"), "n\n1");
    assert_eq!(paths(place, ""), ["a/x", "b/x", "top"]);
    place.swathe("discard b").exits(0);
    assert_eq!(paths(place, ""), ["a/x", "top"]);
    assert_eq!(place.swathe("diff --name-only x/nothing").exits(1).text(), "");
    // By another name of the directory, as a shell has it that went there through a link.
    place.host("ln -s project ../link; ln -s . here");
    let link = place.dir.at("link");
    assert_eq!(paths(place, &format!("{link}/a/x")), ["a/x"]);
    assert_eq!(paths(place, &link), ["a/x", "top"]);
    // A link in it is meant itself, and not what it leads to.
    assert_eq!(place.swathe("discard here").exits(1).text(), "");
    place.swathe("commit").exits(0);
    assert_eq!(place.host("cat a/x b/x top"), "2\n1\n2");
    place.swathe("diff").exits(1);
}

both!(
    run_diff_commit_undo,
    the_newest,
    nothing_changed,
    everything_removed,
    named,
    conflicts,
    conflicts_below,
    renamed_in_conflict,
    refused,
    beyond_undo,
    merged,
    retyped,
    sed_over_a_tree,
    selected,
);
