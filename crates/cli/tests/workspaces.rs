//! Changes on a copy: run, look, commit, undo, discard, as a user does it.

mod common;

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

/// A session writes to its workspace as long as it runs; nobody commits meanwhile.
fn sessions(place: &Place) {
    let text = "echo 1 >file; \"$SWATHE\" session start --cow --workspace s box; \
        trap '\"$SWATHE\" session stop box' EXIT; \
        \"$SWATHE\" run --session box -- sh -c 'echo 2 >>file'; \
        \"$SWATHE\" run --session box -- cat file; \
        for words in 'commit s' 'discard s' 'workspace rm s' 'run --cow --workspace s -- true'; do \
            if said=$(\"$SWATHE\" $words 2>&1); then echo \"$words went through\"; fi; \
            case $said in *'session box'*) ;; *) echo \"$words does not say who uses it: $said\";; esac; \
        done; \"$SWATHE\" diff s 2>&1 | grep -e ^+2 -e now";
    let ran = place.outside(&format!("set -e; {text}")).exits(0);
    let said =
        "1\n2\nswathe: note: a run writes to the workspace now: what is shown may change\n+2";
    assert_eq!(ran.text(), said, "{ran}");
    assert!(ran.errors().contains("1 change kept in workspace s"), "{ran}");
    assert_eq!(place.host("cat file"), "1");
    place.swathe("commit s").exits(0);
    assert_eq!(place.host("cat file"), "1\n2");
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

/// Git works inside: commits, branches, worktrees; after the commit the repository is whole.
fn git(place: &Place) {
    place.repository();
    place
        .inside(
            "--cow",
            "set -e; echo two >>file; git commit -qam two; git worktree add -q -b side wt; \
             cd wt; echo side >s; git add s; git commit -qm side; git -C .. merge -q side; git status --porcelain",
        )
        .exits(0);
    assert_eq!(place.host("git log --format=%s"), "one");
    place.swathe("commit --yes").exits(0);
    assert_eq!(place.host("git log --format=%s --no-merges | sort"), "one\nside\ntwo");
    place.host("git fsck --strict 2>&1; git status --porcelain; git -C wt status --porcelain");
    assert_eq!(place.host("cat s wt/s"), "side\nside");
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

/// An install that runs a hostile script: what it planted is shown first, and a commit without a
/// word about it is refused.
fn hostile_install(place: &Place) {
    place.repository();
    let script = "mkdir -p node_modules/left-pad; echo 'module.exports = 1' >node_modules/left-pad/index.js; \
        printf '#!/bin/sh\ntouch /tmp/pwned\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; \
        git config core.fsmonitor 'touch /tmp/pwned'; echo 'export PATH=/evil' >.envrc; \
        ln -s /etc/passwd innocent; ln -s ../../../../.. up; echo '{}' >package-lock.json; cp /bin/true tool; chmod 755 tool";
    place.host("echo '{}' >package.json");
    place.outside("echo \"$1\" >install.sh").arg("sh").arg(script).exits(0);
    place.inside("--cow", "sh install.sh").exits(0);
    let shown = paths(place, "");
    let at = |name: &str| {
        shown.iter().position(|path| path == name).unwrap_or_else(|| panic!("{name}: {shown:?}"))
    };
    let harmless = at("package-lock.json");
    for name in [".git/hooks/pre-commit", ".git/config", ".envrc", "innocent", "up", "tool"] {
        assert!(at(name) < harmless, "{name} is not shown first: {shown:?}");
    }
    let stat = place.swathe("diff --stat").prints();
    let first = stat.lines().find(|line| line.contains("pre-commit")).expect("listed");
    assert!(first.contains('!'), "not marked: {stat}");
    let refused = place.swathe("commit").exits(1);
    assert!(refused.errors().contains("pre-commit"), "{refused}");
    assert!(refused.errors().contains("--yes"), "{refused}");
    place.host("test ! -e .git/hooks/pre-commit; test ! -e node_modules");
    place.swathe("commit node_modules package-lock.json").exits(0);
    place.host(
        "test -e node_modules/left-pad/index.js; test ! -e .git/hooks/pre-commit; test ! -e .envrc",
    );
    place.swathe("discard").exits(0);
    place.host("git status --porcelain >/dev/null; test ! -e /tmp/pwned");
}

/// A repository without `.git` runs what its configuration names as soon as somebody is in it.
fn bare_repository(place: &Place) {
    if !installed("git") {
        return;
    }
    let script = "git init -q --bare data; git -C data config core.bare false; git -C data config core.worktree ..; \
        git -C data config core.fsmonitor 'touch $HOME/pwned;:'; rm -rf data/hooks; echo 1 >plain";
    place.inside("--cow --workspace w", script).exits(0);
    let stat = place.swathe("diff w --stat").prints();
    let line = stat.lines().find(|line| line.contains("data/config")).expect("listed");
    assert!(line.starts_with("! A"), "not marked: {stat}");
    let refused = place.swathe("commit w").exits(1);
    assert!(refused.errors().contains("data/config"), "{refused}");
    place.host("test ! -e data; test ! -e plain");
    // With a part of it in the project already the rest is marked, too.
    place.swathe("commit w data/description plain").exits(0);
    place.swathe("commit w data/refs").exits(1);
}

/// What the program made unreadable is refused, and nothing else is held up by it.
fn unreadable(place: &Place) {
    place.host("mkdir d; echo 1 >d/f; echo 1 >x");
    let script = "echo 2 >x; rm -r d; mkdir d; chmod 0 d";
    place.inside("--cow --workspace w", script).exits(0);
    place.swathe("diff w").exits(0);
    if place.host("id -u") != "0" {
        let stat = place.swathe("diff w --stat").prints();
        let line = stat.lines().find(|line| line.starts_with("! M d "));
        assert!(line.is_some_and(|line| line.contains("cannot be read")), "{stat}");
        place.swathe("commit --yes w").exits(1);
        assert_eq!(place.host("cat x d/f"), "2\n1");
    }
    place.swathe("discard w d").exits(0);
    assert!(!place.swathe("diff w --stat").prints().contains(" d "));
    assert_eq!(place.host("cat d/f"), "1");
    place.inside("--cow --workspace w", "cat d/f").exits(0);
}

/// Names and contents with escape codes and line breaks do not reach the terminal's rules.
fn nothing_draws(place: &Place) {
    place
        .inside(
            "--cow",
            "printf 'x\\033[2J\\n' >\"$(printf 'a\\033[31m\\nb')\"; printf '\\033]0;title\\007' >c",
        )
        .exits(0);
    for words in ["diff --stat", "workspace show", "commit --dry-run", "diff --name-only"] {
        let said = place.swathe(words).go();
        assert!(!said.out.contains(&0x1b) && !said.err.contains(&0x1b), "{words}: {said}");
    }
    let names = place.swathe("diff --name-only -z").go();
    assert!(names.out.ends_with(b"\0"), "{names}");
    assert_eq!(paths(place, "").len(), 2);
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

/// The document for programs.
fn for_programs(place: &Place) {
    place.host("echo 1 >f; echo bye >gone");
    place.inside("--cow", "echo 2 >>f; rm gone; printf 'a\\0b' >bin; ln -s f l; printf '#!/bin/sh\\n' >x; chmod +x x; echo q >\"$(printf 'n\\377')\"").exits(0);
    let found = json(place, "");
    assert_eq!(found["version"], 1);
    assert_eq!(found["roots"][0], place.project(""));
    let changes = found["changes"].as_array().expect("changes");
    let of = |path: &str| {
        changes.iter().find(|c| c["path"] == path).unwrap_or_else(|| panic!("{path}: {found:#}"))
    };
    assert_eq!(of("f")["kind"], "modified");
    assert_eq!(of("gone")["kind"], "deleted");
    assert_eq!(of("bin")["kind"], "added");
    assert_eq!(of("l")["new"]["kind"], "symlink");
    assert_eq!(of("l")["target"], "f");
    assert_eq!(of("f")["new"]["size"], 4);
    assert_eq!((&of("x")["marks"][0], &of("x")["dangerous"]), (&"executable".into(), &true.into()));
    assert_eq!((&of("f")["marks"], &of("f")["dangerous"]), (&Value::Array(vec![]), &false.into()));
    // What is not UTF-8 is told exactly.
    assert_eq!(of("n\\xff")["kind"], "added");
    let list: Value =
        serde_json::from_str(&place.swathe("workspace list --json").prints()).expect("JSON");
    assert_eq!(list[0]["roots"][0], place.project(""));
    assert_eq!(list[0]["in_use"], Value::Null);
}

/// Two directories in one workspace, of which one is named from elsewhere.
fn two_directories(place: &Place) {
    place.host("mkdir ../other; echo 1 >../other/o; echo 1 >p");
    let other = place.dir.at("other");
    place
        .inside(&format!("--cow --cow={other}"), &format!("echo 2 >p; echo 2 >{other}/o"))
        .exits(0);
    assert_eq!(place.host("cat p ../other/o"), "1\n1");
    let diff = place.swathe("diff").prints();
    assert!(diff.contains(&format!("# in {other}\ndiff --git a/o b/o\n")), "{diff}");
    place.swathe("commit").exits(0);
    assert_eq!(place.host("cat p ../other/o"), "2\n2");
    place.host("echo 3 >../other/o");
    let left = place.swathe("commit --undo").exits(1);
    assert!(left.errors().contains(&format!("stays as it is: {other}/o: ")), "{left}");
    assert_eq!(place.host("cat p ../other/o"), "1\n3");
}

/// The home directory by name: its keys are not seen, and nothing of it changes.
fn home(place: &Place) {
    let look = format!("{} echo x >$HOME/made; cat $HOME/.gitconfig | head -n 1", common::LOOK);
    let refused = place.swathe("run --cow -- true").cwd(place.home("")).exits(1);
    assert!(refused.errors().contains("--cow=~"), "{refused}");
    let ran = place.inside("--cow=~", &look).go();
    no_secret(&ran);
    assert!(ran.text().contains("[user]"), "{ran}");
    place.host("test ! -e $HOME/made");
    let name = kept(&ran);
    place.swathe(&format!("commit {name}")).exits(0);
    assert_eq!(place.host("cat $HOME/made"), "x");
    // It lies outside of the home directory, and of the test's.
    place.swathe(&format!("workspace rm {name}")).exits(0);
}

/// Started in the home directory, and in a directory below it: that is changed on the copy, too.
fn below_home(place: &Place) {
    place.host("mkdir $HOME/proj; echo 1 >$HOME/proj/f; echo 1 >$HOME/notes");
    for (directory, script) in [
        ("", "pwd; echo 2 >made; echo 2 >proj/f; cat proj/f"),
        ("proj", "pwd; echo 2 >../made; echo 2 >f; cat f"),
    ] {
        let home = place.home(directory);
        let ran = place.inside("--cow=~", script).cwd(home.clone()).exits(0);
        assert_eq!(ran.text(), format!("{home}\n2"), "{ran}");
        assert!(!ran.errors().contains("is not shown"), "{ran}");
        place.host("test $(cat $HOME/proj/f) = 1; test ! -e $HOME/made");
        let name = kept(&ran);
        let shown = place.swathe(&format!("diff --name-only {name}")).prints();
        assert_eq!(shown, "made\nproj/f", "{ran}");
        place.swathe(&format!("workspace rm {name}")).exits(0);
    }
    // What was asked for in words stays as it was asked for.
    let home = place.home("");
    let words = format!("--cow=~ --allow files.dir={home}/proj:ro");
    let notes = format!("{home}/notes");
    let ran = place
        .inside(
            &words,
            "echo 2 >>$1; cat $1; if (echo 3 >$HOME/proj/f) 2>/dev/null; then echo hole; fi",
        )
        .arg("sh")
        .arg(&notes)
        .exits(0);
    assert_eq!(ran.text(), "1\n2", "{ran}");
    place.swathe(&format!("workspace rm {}", kept(&ran))).exits(0);
    let refused = place.swathe("run --cow -- true").cwd(home).exits(1);
    assert!(refused.errors().contains("--cow=~ in the place of --cow"), "{refused}");
}

/// Limits on what may be changed end the run.
fn limits(place: &Place) {
    let loop_ = "i=0; while :; do i=$((i+1)); echo x >f$i; done";
    let ran = place.inside("--cow --cow-files 50", loop_).go();
    assert!(ran.errors().contains("files, and --cow-files allows 50;"), "{ran}");
    assert_eq!(ran.ended.shell(), 137, "{ran}");
    place.swathe("discard").exits(0);
    let ran = place
        .inside("--cow --cow-size 1M", "while :; do head -c 100000 /dev/zero >>big; done")
        .go();
    assert!(ran.errors().contains("MiB, and --cow-size allows 1.0 MiB;"), "{ran}");
    assert!(ran.errors().contains("the workspace sh-"), "{ran}");
    place.swathe("discard").exits(0);
    // Limits that a workspace was made with are not passed over in silence.
    place.inside("--cow --workspace small --cow-files 50", "echo x >x").exits(0);
    for words in ["session start --workspace small box", "run --workspace small --cow-copy -- true"]
    {
        let refused = place.swathe(words).exits(1);
        assert!(refused.errors().contains("small was made with limits"), "{refused}");
    }
    place.inside("--workspace small", "cat x").exits(0);
    place.swathe("workspace rm small").exits(0);
    place.inside("--cow --cow-size 100M --cow-files 100", "echo x >x").exits(0);
    let refused = place.inside("--cow --cow-size lots", "true").exits(1);
    assert!(refused.errors().contains("--cow-size lots"), "{refused}");
}

/// Changes that are thrown away leave nothing.
fn thrown_away(place: &Place) {
    place.host("echo 1 >f");
    assert_eq!(place.inside("--cow --cow-discard", "echo 2 >f; cat f").prints(), "2");
    assert_eq!(place.host("cat f"), "1");
    assert_eq!(count(place), 0);
}

/// The words of profiles.
fn profiles(place: &Place) {
    place
        .host("echo 1 >f; printf '[[intent]]\nuse = \"files.cwd\"\naccess = \"cow\"\n' >../p.toml");
    let profile = place.dir.at("p.toml");
    place.inside(&format!("--profile {profile}"), "echo 2 >f").exits(0);
    assert_eq!(place.host("cat f"), "1");
    assert_eq!(paths(place, ""), ["f"]);
    let shown = place.swathe("explain --cow -- true").prints();
    assert!(shown.contains("copy"), "{shown}");
    assert_eq!(count(place), 1, "explain has made a workspace");
}

/// A copy of the whole in the place of an overlay.
fn by_copying(place: &Place) {
    place.host("echo 1 >f; echo 1 >gone; mkdir d; echo 1 >d/x; ln -s f l");
    let name = "--cow --cow-copy --workspace c";
    let ran = place.inside(name, "echo 2 >f; rm gone; rm -r d; echo new >n; readlink l").exits(0);
    assert_eq!(ran.text(), "f");
    assert_eq!(place.host("cat f gone d/x"), "1\n1\n1");
    assert_eq!(paths(place, ""), ["d", "f", "gone", "n"]);
    assert_eq!(place.inside(name, "cat f n; ls").prints(), "2\nnew\nf\nl\nn");
    place.swathe("commit").exits(0);
    assert_eq!(place.host("cat f n; ls"), "2\nnew\nf\nl\nn");
    // Holes stay holes: this one would take 300 MiB.
    place.host("truncate -s 300M sparse; echo end >>sparse; chmod 755 .; mkdir kept");
    let look = "test $(du -k sparse | cut -f 1) -lt 1000; tail -c 4 sparse; wc -c <sparse";
    let ran = place.inside("--cow --cow-copy", &format!("{look}; chmod 711 . kept")).exits(0);
    assert_eq!(ran.text(), "end\n314572804", "{ran}");
    // Nothing that only a directory has is lost, the outermost one among them.
    assert_eq!(paths(place, ""), [".", "kept"]);
    place.swathe("discard").exits(0);
    if installed("python3") {
        let set = |value: &str| {
            format!("python3 -c 'import os; os.setxattr(\"kept\", \"user.{value}\", b\"1\")'")
        };
        place.host(&set("host"));
        place.inside("--cow --cow-copy", &set("program")).exits(0);
        let said = place.swathe("diff --stat").prints();
        assert!(said.contains("kept") && said.contains("attributes differ"), "{said}");
        place.swathe("discard").exits(0);
        // What the host has stays where something else of the directory was changed.
        place.inside("--cow --cow-copy", "chmod 700 kept").exits(0);
        let said = place.swathe("diff --stat").prints();
        assert!(!said.contains("attributes"), "{said}");
    }
}

/// A tool of the user's shows both sides.
fn difftool(place: &Place) {
    place.host("echo 1 >f");
    place.inside("--cow", "echo 2 >f").exits(0);
    place.host("git config --global diff.tool mine; git config --global difftool.mine.cmd 'echo tool; cat \"$LOCAL\" \"$REMOTE\"'");
    assert_eq!(place.swathe("diff --tool").prints(), "tool\n1\n2");
    let long = "n".repeat(250);
    place.inside("--cow", &format!("echo long >{long}.c")).exits(0);
    assert_eq!(place.swathe(&format!("diff --tool {long}.c")).prints(), "tool\nlong");
    place.swathe("discard").exits(0);
    assert_eq!(place.swathe("diff --tool=other").env("PATH", "/nowhere").exits(1).text(), "");
}

/// The patch that is printed is one that `patch` takes.
fn patches(place: &Place) {
    if !installed("patch") {
        return;
    }
    place.host("mkdir d; seq 1 40 >d/text; printf 'no newline' >n; echo gone >gone; seq 1 9 >'of two words'");
    place.host("cp -r . ../copy");
    place.inside("--cow", "sed -i -e 3d -e 's/^30$/thirty/' d/text; printf 'more\nstill none' >n; rm gone; echo new >d/new; echo 10 >>'of two words'; echo 1 >'two more'").exits(0);
    let _ = place.host("\"$SWATHE\" diff >../patch; cd ../copy; patch -p1 <../patch");
    place.swathe("commit").exits(0);
    place.host("diff -r . ../copy");
}

/// Every change to every kind of file under names of every sort, printed, is what `git apply` makes
/// of it, but for what is no text.
fn patches_of_git(place: &Place) {
    let names = r#"names() { for n in plain 'two words' 'tab	in it' 'line
break' 'quo"te' 'back\slash' é "$(printf '\377')" 'trailing ' ' leading' -dash 'a b' '#'; do printf '%s\0' "$n"; done; }"#;
    let kinds = "text none empty exec link";
    let ops = "keep delete edit mode clear link dir file rename remode";
    let each = |text: &str| {
        format!(
            "{names}\nfor op in {ops}; do for kind in {kinds}; do mkdir -p $op/$kind; cd $op/$kind; \
             names | while IFS= read -r -d '' n; do {text}\ndone; cd ../..; done; done"
        )
    };
    // `read -d` is one of bash.
    let bash = |text: &str| format!("cat >../script <<'END'\nset -e\n{text}\nEND\nbash ../script");
    place.host(&bash(&each(
        r#"case $kind in
            text) seq 1 30 >"./$n"; echo "$op $n" >>"./$n";;
            none) printf 'of %s' "$op $n" >"./$n";;
            empty) : >"./$n";;
            exec) printf '#!/bin/sh\n# %s\n' "$op $n" >"./$n"; chmod 755 "./$n";;
            link) ln -s "to $n" "./$n";;
        esac"#,
    )));
    place.host("mkdir gone same; seq 9 >gone/a; seq 8 >gone/b; printf 'a\\0b' >binary; printf 'a\\0b' >moved; printf 'a\\0c' >bits; printf 'x\\0' >bye; chmod 700 same; chmod 600 bits; cp -a . ../copy");
    let script = each(
        r#"case $op in
            delete) rm "./$n";;
            edit) if [ -L "./$n" ]; then ln -sfn "other $n" "./$n"; else echo more >>"./$n"; fi;;
            mode) [ -L "./$n" ] || if [ -x "./$n" ]; then chmod 644 "./$n"; else chmod 755 "./$n"; fi;;
            remode) [ -L "./$n" ] || { chmod 755 "./$n"; printf 'all new' >"./$n"; };;
            clear) [ -L "./$n" ] || : >"./$n";;
            link) rm "./$n"; ln -s ../anew "./$n";;
            dir) rm "./$n"; mkdir "./$n"; echo in >"./$n/$n"; : >"./$n/empty";;
            file) rm "./$n"; printf 'a file\nof two lines' >"./$n";;
            rename) mv "./$n" "./$n to"; [ -L "./$n to" ] || chmod 755 "./$n to";;
        esac
        if [ "$op" = keep ]; then echo new >"./$n n"; : >"./$n e"; ln -s -- "$n" "./$n l"; mkdir -p "./$n d"; cp "./$n n" "./$n d/$n"; chmod 755 "./$n d/$n"; fi"#,
    ) + "\nrm -r gone; echo now a file >gone; rm -r same; mkdir same; printf 'b\\0a' >binary; mv moved elsewhere; chmod 755 bits; rm bye; mkfifo pipe; mkdir void";
    place.outside(&format!("cat >../inside <<'END'\nset -e\n{script}\nEND")).exits(0);
    let text = place.dir.at("inside");
    place.inside(&format!("--cow --allow files.dir={text}"), &format!("bash {text}")).exits(0);
    place.host("\"$SWATHE\" diff >../patch");
    let said = place.host("cd ../copy; git apply --check ../patch && git apply ../patch; grep -a -c '^rename from' ../patch");
    assert_eq!(said, "40");
    place.swathe("commit --yes").exits(0);
    let looked = |dir: &str| {
        place.host(&format!(
            "cd {dir}; find . -type l -printf '%p %l\\0' | sort -z | tr '\\0' '@'; \
             find . -type f -perm -100 -print0 | sort -z | tr '\\0' '@'; \
             find . -type f ! -name binary ! -name bye -print0 | sort -z | xargs -0 sha256sum"
        ))
    };
    let (host, copy) = (looked("."), looked("../copy"));
    assert!(host.lines().count() > 400, "{host}");
    assert_eq!(host, copy);
    // What it cannot carry is said.
    let patch = place.host("cat -v ../patch");
    for line in [
        "Binary files a/binary and b/binary differ",
        "Binary files a/bye and /dev/null differ",
        "# bits: mode 0600 is now 0755",
        "# pipe: new named pipe 0644",
        "# void: new directory 0755",
    ] {
        assert!(patch.lines().any(|is| is == line), "{line}: {patch}");
    }
}

/// What a patch cannot make room for is no part of it: the rest can be applied.
fn patches_without_room(place: &Place) {
    place.host(
        "mkdir -p bin hollow/deep; printf 'a\\0b' >bin/a; echo 1 >bin/t; echo 1 >hollow/t; \
         printf 'a\\0b' >file; echo 1 >plain; echo 1 >text; mkfifo pipe; cp -r . ../copy",
    );
    let script = "rm -r bin hollow file text pipe; echo now >pipe; echo now >bin; echo now >hollow; mkdir file text; \
        echo in >file/in; echo in >text/in; echo 2 >plain";
    place.inside("--cow", script).exits(0);
    let text = place.host(
        "\"$SWATHE\" diff >../patch; cd ../copy; git apply ../patch; cat plain text/in; \
         ls bin hollow file; grep -c '^# +' ../patch",
    );
    assert_eq!(text, "2\nin\nfile\n\nbin:\na\n\nhollow:\ndeep\n8");
    // What is named alone has no room either.
    place.host("\"$SWATHE\" diff text/in >../patch; grep '^# +in' ../patch; rm -r ../copy");
}

both!(
    run_diff_commit_undo,
    the_newest,
    nothing_changed,
    everything_removed,
    named,
    sessions,
    conflicts,
    conflicts_below,
    renamed_in_conflict,
    refused,
    beyond_undo,
    merged,
    retyped,
    git,
    sed_over_a_tree,
    hostile_install,
    bare_repository,
    unreadable,
    nothing_draws,
    selected,
    for_programs,
    two_directories,
    home,
    below_home,
    limits,
    thrown_away,
    profiles,
    by_copying,
    difftool,
    patches,
    patches_of_git,
    patches_without_room,
);
