//! Workspaces in bad places: in use, gone, of others, half committed, on full disks, over mounts; and
//! choosing on a terminal.

mod common;

use common::Place;
use common::screen::Screen;
use swathe_testkit::notice;

/// The one directory of workspaces below which the test's own lies.
const STORE: &str = "$HOME/.local/state/swathe/workspaces";

/// Makes files of root's the user's.
const OWN: &str = "own() { test -z \"$AS\" || chown $($AS id -u):$($AS id -g) \"$@\"; };";

/// File by file and hunk by hunk, on a terminal.
fn interactively(place: &Place) {
    place.host("seq 1 40 >text; echo 1 >other; echo 1 >third");
    place
        .inside(
            "--cow",
            "sed -i -e 's/^3$/three/' -e 's/^20$/twenty/' -e 's/^38$/thirty-eight/' text; echo 2 >other; \
             echo 2 >third; printf '#!/bin/sh\\n' >tool; chmod +x tool; printf 'x\\033[2Jy\\n' >draws",
        )
        .exits(0);
    let mut screen = Screen::start(place, "\"$SWATHE\" commit --interactive; echo ended $?");
    // The marked one comes first.
    screen.expect("can be executed").expect("(1/7) commit this").send("n\n");
    screen.expect("x\\x1b[2Jy").expect("commit this").send("d\n");
    screen.expect("other").expect("commit this").send("y\n");
    screen.expect("+three").expect("commit this").send("y\n");
    screen.expect("+twenty").expect("commit this").send("?\n");
    screen.expect("leave it in the workspace").expect("commit this").send("n\n");
    screen.expect("+thirty-eight").expect("commit this").send("l\n");
    screen.expect("1/3   M text").expect("commit this").send("y\n");
    screen.expect("third").expect("commit this").send("c\n");
    screen.expect("ended 0");
    let (_, seen) = screen.end();
    assert!(!seen.contains("\x1b[2J"), "{seen:?}");
    let text = place.host("grep -n '[a-z]' text; cat other third; test ! -e tool; test ! -e draws");
    assert_eq!(text, "3:three\n38:thirty-eight\n2\n1");
    // What was not chosen is still there, and only that.
    let diff = place.swathe("diff text").prints();
    assert!(diff.contains("+twenty") && !diff.contains("+three"), "{diff}");
    let mut screen = Screen::start(place, "\"$SWATHE\" commit -i; echo ended $?");
    screen.expect("commit this").send("q\n");
    screen.expect("nothing was committed").expect("ended 1");
    screen.end();
    let refused = place.swathe("commit --interactive").exits(1);
    assert!(refused.errors().contains("needs a terminal"), "{refused}");
}

/// The last answer to a question counts, and what nobody is asked about is no way back.
fn another_answer(place: &Place) {
    place.host("echo 1 >a; echo 1 >b; echo 1 >c");
    place.inside("--cow", "echo 2 >a; echo 2 >b; echo 2 >c; mkdir n; chmod 0 n").exits(0);
    place.host("echo host >a; echo host >b");
    let mut screen = Screen::start(place, "\"$SWATHE\" commit --interactive; echo ended $?");
    let root = place.host("id -u") == "0";
    if !root {
        // Its user cannot look into it.
        screen.expect("never committed").expect("commit this").send("b\n");
    }
    screen.expect("b/a").expect("commit this").send("o\n");
    screen.expect("b/b").expect("commit this").send("o\n");
    screen.expect("b/c").expect("commit this").send("b\n");
    screen.expect("b/b").expect("commit this").send("b\n");
    screen.expect("b/a").expect("commit this").send("n\n");
    screen.expect("b/b").expect("commit this").send("m\n");
    screen.expect("cannot be merged").expect("b/c").expect("commit this").send("y\n");
    if root {
        screen.expect("new directory").expect("commit this").send("n\n");
    }
    screen.expect("committed 1 change").expect("ended 0");
    screen.end();
    assert_eq!(place.host("cat a b c"), "host\nhost\n2");
}

/// Some parts of a file do not bring along what is marked of the whole.
fn parts_and_modes(place: &Place) {
    place.host("seq 1 40 >text; chmod 644 text");
    let edit = "sed -i -e s/^3$/three/ -e s/^38$/last/ text; chmod 755 text";
    place.inside("--cow", edit).exits(0);
    let mut screen = Screen::start(place, "\"$SWATHE\" commit -i; echo ended $?");
    screen.expect("can be executed").expect("goes with all parts").expect("commit this");
    screen.send("n\n");
    screen.expect("+last").expect("commit this").send("y\n");
    screen.expect("ended 0");
    screen.end();
    assert_eq!(place.host("stat -c %a text; grep [a-z] text"), "644\nlast");
    assert!(place.swathe("diff --stat").prints().contains("can be executed"));
}

/// A terminal is asked about what is dangerous, and a plain line break is no yes.
fn asked_about_the_dangerous(place: &Place) {
    place.inside("--cow", "printf '#!/bin/sh\\n' >tool; chmod +x tool; echo 1 >plain").exits(0);
    let mut screen = Screen::start(place, "\"$SWATHE\" commit; echo ended $?");
    screen.expect("tool: can be executed").expect("Commit them, too?").send("\n");
    screen.expect("nothing was committed").expect("ended 1");
    screen.end();
    place.host("test ! -e tool; test ! -e plain");
    let mut screen = Screen::start(place, "\"$SWATHE\" commit; echo ended $?");
    screen.expect("Commit them, too?").send("y\n");
    screen.expect("committed 2 changes").expect("ended 0");
    screen.end();
    place.host("test -x tool; test -e plain");
}

/// A run uses its workspace alone; who has it is told.
fn in_use(place: &Place) {
    let text = "\"$SWATHE\" run --cow --workspace w -- sh -c 'echo x >x; echo up; cat' <../pipe >../out & \
        exec 3>../pipe; while ! grep -q up ../out; do sleep 0.02; done; \
        \"$SWATHE\" run --cow --workspace w -- true; echo second $?; \
        \"$SWATHE\" commit w; echo commit $?; \"$SWATHE\" workspace rm w; echo rm $?; \
        \"$SWATHE\" workspace list; exec 3>&-; wait; \"$SWATHE\" commit w; echo commit $?";
    let ran = place.outside(&format!("mkfifo ../pipe; {text}")).exits(0);
    let said = ran.text();
    for line in ["second 1", "commit 1", "rm 1", "commit 0"] {
        assert!(said.contains(line), "{ran}");
    }
    assert!(said.contains("in use by sh-"), "{ran}");
    assert_eq!(ran.errors().matches("is in use by the run sh-").count(), 3, "{ran}");
    assert!(ran.errors().contains("swathe kill sh-"), "{ran}");
    assert_eq!(place.host("cat x"), "x");
}

/// What is not there, or not ours, is an error that says what to do.
fn gone_and_foreign(place: &Place) {
    let failed = place.swathe("diff nosuch").exits(1);
    assert!(failed.errors().contains("swathe workspace list"), "{failed}");
    for words in ["commit", "discard", "diff", "workspace show"] {
        let failed = place.swathe(words).exits(1);
        assert!(failed.errors().contains("swathe run --cow"), "{words}: {failed}");
    }
    let failed = place.swathe("commit --undo").exits(1);
    assert!(failed.errors().contains("no commit"), "{failed}");
    // The directory is gone, or another one has its name.
    place.host("mkdir d; echo 1 >d/f");
    let d = place.project("d");
    place.inside(&format!("--cow={d} --workspace w"), &format!("echo 2 >{d}/f")).exits(0);
    place.host("mv d e");
    for words in ["commit w", "diff w"] {
        let failed = place.swathe(words).exits(1);
        assert!(failed.errors().contains("put the directory back"), "{words}: {failed}");
    }
    place.host("mkdir d; echo other >d/f");
    for words in ["commit w", "diff w", &format!("run --cow={d} --workspace w -- true")] {
        let failed = place.swathe(words).exits(1);
        assert!(failed.errors().contains("another directory"), "{words}: {failed}");
    }
    assert_eq!(place.host("cat d/f"), "other");
    place.host("rm -r d; mv e d");
    place.swathe("commit w").exits(0);
    assert_eq!(place.host("cat d/f"), "2");
    // It can be removed whatever became of its directory, and a discard leaves it as it is.
    place.inside(&format!("--cow={d} --workspace v"), &format!("echo 3 >{d}/f")).exits(0);
    place.host("rm -r d");
    for make in ["true", "mkdir d"] {
        place.host(make);
        let failed = place.swathe("discard v").exits(1);
        assert!(failed.errors().contains("workspace rm v removes"), "{make}: {failed}");
    }
    place.swathe("workspace rm v").exits(0);
    place.host(&format!("test ! -e {STORE}/v"));
    // A store that others can write to.
    place.inside("--cow", "echo 1 >x").exits(0);
    place.host(&format!("chmod 777 {STORE}"));
    let failed = place.swathe("commit").exits(1);
    assert!(failed.errors().contains("others can write to"), "{failed}");
    place.host(&format!("chmod 700 {STORE}"));
    place.swathe("commit").exits(0);
}

/// Workspaces of another user are not touched.
fn of_another_user(place: &Place) {
    let text = format!(
        "{OWN} set -e; echo 1 >f; own f; $AS \"$SWATHE\" run --cow --workspace w -- sh -c 'echo 2 >f'; \
         chown -R 12345 {STORE}/w; for words in 'diff w' 'commit w' 'workspace list'; do $AS \"$SWATHE\" $words || true; done; cat f"
    );
    let Some(run) = place.root(&text) else { return };
    let ran = run.exits(0);
    assert!(
        ran.errors().contains("belongs to user 12345") || ran.errors().contains("ermission denied"),
        "{ran}"
    );
    assert!(ran.text().ends_with('1'), "{ran}");
    assert!(ran.text().contains("broken"), "{ran}");
}

/// A commit that was killed goes on by itself, or is taken back, as its user likes.
fn half_committed(place: &Place) {
    let make =
        "mkdir n; i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo new >n/$i; echo new >o$i; done";
    let old = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo old >o$i; done";
    let mut ends = [0; 2];
    for round in 0..8 {
        place.host(&format!("rm -rf n; {old}"));
        place.inside("--cow --workspace w", make).exits(0);
        // At another moment each time, from when its journal is there.
        let state = place.host_run(&format!(
            "\"$SWATHE\" commit w 2>/dev/null & p=$!; while kill -0 $p 2>/dev/null && ! test -e {STORE}/w/journal; do :; done; \
             sleep 0.00{round}; kill -9 $p; wait $p 2>/dev/null; \"$SWATHE\" workspace list"
        ));
        let half = state.text().contains("half done");
        let undo = half && round % 2 == 0;
        if undo {
            place.swathe("commit --undo w").exits(0);
            ends[0] += 1;
        } else {
            let done = place.swathe("commit w").exits(0);
            assert!(!half || done.errors().contains("had been interrupted"), "{done}");
            ends[1] += usize::from(half);
        }
        let count = place.host("cat o* | sort | uniq -c | tr -s ' '; ls n 2>/dev/null | wc -l");
        let wanted = if undo { "200 old\n0" } else { "200 new\n200" };
        assert_eq!(count.trim(), wanted, "round {round}");
        place.swathe("workspace rm w").exits(0);
        assert_eq!(
            place.host("ls -A . | grep -v '^o[0-9]*$' | grep -v '^n$' | wc -l"),
            "0",
            "leftovers"
        );
    }
    if ends.contains(&0) {
        notice(&format!("of the killed commits {} were taken back, {} went on", ends[0], ends[1]));
    }
}

/// No run writes to what a commit that was interrupted would bring to the host unseen.
fn no_run_in_half_a_commit(place: &Place) {
    place.inside("--cow --workspace w", "echo seen >f").exits(0);
    place.host(&format!(": >{STORE}/w/journal"));
    let refused = place.inside("--workspace w", "echo unseen >f; echo it ran").exits(1);
    assert!(refused.errors().contains("swathe commit --resume w"), "{refused}");
    assert_eq!(refused.text(), "");
    place.host(&format!("rm {STORE}/w/journal"));
    assert_eq!(place.inside("--workspace w", "cat f").prints(), "seen");
}

/// What a run did in a copy is not lost where there is no room to bring it into its workspace.
fn copies_on_full_disks(place: &Place) {
    let text = "set -e; mkdir small; mount -t tmpfs -o nr_inodes=60,mode=777 none small; mkdir -p small/p/a/b; \
        cd small/p; echo 1 >a/b/f; own . a a/b a/b/f; export XDG_STATE_HOME=$(dirname $PWD)/state; \
        if $AS \"$SWATHE\" run --cow --cow-copy -- sh -c 'echo precious >a/b/new; while echo x >x$i; do i=x$i; done 2>/dev/null; true'; \
        then echo all was kept; fi; $AS \"$SWATHE\" workspace gc; grep -rl precious ../state; cd ../..; umount small";
    let Some(run) = place.root(&format!("{OWN} {text}")) else { return };
    let ran = run.exits(0);
    assert!(ran.text().starts_with("nothing to remove\n"), "{ran}");
    assert!(ran.text().ends_with("/copy/a/b/new"), "{ran}");
    assert!(ran.errors().contains("is still in"), "{ran}");
    assert!(ran.errors().contains("swathe workspace rm sh-"), "{ran}");
}

/// A full disk: a run fails as on any full disk, and a commit that does not fit changes nothing.
fn full_disks(place: &Place) {
    let text = "set -e; mkdir -p small; mount -t tmpfs -o size=2m,mode=777 none small; mkdir small/p; cd small/p; \
        head -c 100000 /dev/zero >old; own .. . old; \
        S=$(dirname $PWD)/state; ! XDG_STATE_HOME=$S $AS \"$SWATHE\" run --cow -- sh -c 'head -c 5000000 /dev/zero >big' || exit 1; \
        XDG_STATE_HOME=$S $AS \"$SWATHE\" discard; ls; \
        $AS \"$SWATHE\" run --cow --workspace c -- sh -c 'head -c 5000000 /dev/zero >big; echo y >old'; \
        if $AS \"$SWATHE\" commit c; then echo it fitted; fi; ls; wc -c <old; \
        mount -o remount,size=20m ..; $AS \"$SWATHE\" commit c; ls; wc -c <big; cd ../..; umount small";
    let Some(run) = place.root(&format!("{OWN} {text}")) else { return };
    let ran = run.go();
    assert_eq!(ran.text(), "old\nold\n100000\nbig\nold\n5000000", "{ran}");
    assert!(ran.errors().contains("another file system: a commit copies them"), "{ran}");
    assert!(ran.errors().contains("No space left"), "{ran}");
    assert!(ran.errors().contains("free some space"), "{ran}");
}

/// Mounts below: refused by name, and a copy shows them read-only.
fn mounts_below(place: &Place) {
    let text = "set -e; mkdir -p d/m; echo 1 >d/f; own d d/m d/f; mount -t tmpfs none d/m; echo m >d/m/x; cd d; \
        if $AS \"$SWATHE\" run --cow -- true; then echo it ran; fi; \
        $AS \"$SWATHE\" run --cow --cow-copy -- sh -c 'cat m/x; echo 2 >f; ! echo 2 >m/x'; \
        $AS \"$SWATHE\" commit; cat f m/x; cd ..; umount d/m";
    let Some(run) = place.root(&format!("{OWN} {text}")) else { return };
    let ran = run.exits(0);
    assert_eq!(ran.text(), "m\n2\nm", "{ran}");
    assert!(ran.errors().contains("/d/m is mounted below it"), "{ran}");
    assert!(ran.errors().contains("--cow-copy"), "{ran}");
}

/// What is mounted later over a path of the changes is in the way: what does not help is not advised.
fn mounted_later(place: &Place) {
    let text = "set -e; mkdir -p later/d; own later later/d; cd later; \
        $AS \"$SWATHE\" run --cow -- sh -c 'rm -r d; echo 1 >f'; mount -t tmpfs none d; \
        if $AS \"$SWATHE\" commit; then echo it went; fi; $AS \"$SWATHE\" commit --skip-conflicts; \
        cat f; umount d";
    let Some(run) = place.root(&format!("{OWN} {text}")) else { return };
    let ran = run.exits(0);
    assert_eq!(ran.text(), "1", "{ran}");
    assert!(ran.errors().contains("unmount what is mounted there"), "{ran}");
    assert!(!ran.errors().contains("--merge"), "{ran}");
    assert!(!ran.errors().contains("--interactive"), "{ran}");
}

/// A run sees nothing of the store, and cannot reach workspaces of others through it.
fn the_store_is_hidden(place: &Place) {
    place.inside("--cow --workspace w", "echo 1 >f").exits(0);
    let state = place.home(".local/state");
    place.host("mkdir -p $HOME/.local/state/other; echo seen >$HOME/.local/state/other/x");
    let ran = place
        .inside(
            &format!("--allow files.dir={state}"),
            &format!("cat {state}/other/x; ls -A {state}/swathe/workspaces"),
        )
        .go();
    assert_eq!(ran.text(), "seen", "{ran}");
    let ran =
        place.inside("--cow=~", &format!("ls -A {state}/swathe; echo x >{state}/swathe/y")).go();
    assert!(!ran.text().contains("workspaces"), "{ran}");
    place.host(&format!("test ! -e {state}/swathe/y"));
    // One of the home directory lies outside of it, and of the test's.
    place.host("\"$SWATHE\" workspace rm $(ls $HOME/.local/state/swathe/workspaces)");
}

/// On another file system than the state directory changes lie in a hidden directory of that file
/// system, so that a commit can rename; it goes with the last workspace.
fn on_another_file_system(place: &Place) {
    let text = "set -e; mkdir -p m; mount -t tmpfs -o mode=755 none m; mkdir m/p; own m m/p; cd m/p; \
        $AS sh -c 'echo 1 >f; \"$SWATHE\" run --cow -- sh -c \"echo 2 >f; rm -f ../.s*/*\"'; cat f; \
        $AS \"$SWATHE\" workspace show; $AS \"$SWATHE\" run --allow files.dir=$(dirname $PWD):rw -- sh -c 'ls -A ../.swathe*/ | wc -l'; \
        $AS \"$SWATHE\" commit; cat f; $AS \"$SWATHE\" commit --undo; $AS \"$SWATHE\" discard; ls -A ..; cd ../..; umount m";
    let Some(run) = place.root(&format!("{OWN} {text}")) else { return };
    let ran = run.exits(0);
    let said = ran.text();
    assert!(said.starts_with("1\nworkspace sh-"), "{ran}");
    assert!(said.contains("/m/.swathe-") && said.contains(": a commit renames"), "{ran}");
    assert!(said.ends_with("0\n2\np"), "{ran}");
}

/// Empty workspaces go; what is kept for an undo goes only with time.
fn collected(place: &Place) {
    place.inside("--cow", "echo 1 >f").exits(0);
    place.swathe("commit").exits(0);
    let would = place.swathe("workspace gc --dry-run").prints();
    assert!(would.contains("nothing to remove"), "{would}");
    place.swathe("commit --undo").exits(0);
    place.host("test ! -e f");
    place.swathe("discard").exits(0);
    // What the run has changed is the directory itself.
    place.host("chmod 755 .");
    place.inside("--cow", "chmod 711 .").exits(0);
    assert_eq!(place.swathe("workspace gc").prints(), "nothing to remove");
    assert_eq!(place.swathe("diff --name-only").prints(), ".");
    place.swathe("discard").exits(0);
    place.swathe("workspace gc").exits(0);
    assert_eq!(place.swathe("workspace list --json").prints(), "[]");
    assert_eq!(place.host(&format!("ls -A {STORE} | wc -l")), "0");
}

both!(
    interactively,
    another_answer,
    parts_and_modes,
    asked_about_the_dangerous,
    in_use,
    gone_and_foreign,
    of_another_user,
    half_committed,
    no_run_in_half_a_commit,
    full_disks,
    copies_on_full_disks,
    mounts_below,
    mounted_later,
    on_another_file_system,
    the_store_is_hidden,
    collected,
);
