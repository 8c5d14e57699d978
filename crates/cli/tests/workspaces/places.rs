//! What is on a copy, and where: several directories, the home directory, sessions, profiles, limits.

use super::*;
use crate::both;

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

both!(two_directories, home, below_home, limits, thrown_away, profiles, by_copying, sessions, git,);
