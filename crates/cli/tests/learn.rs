//! `swathe learn`: the profile of a run lets the same run go well, and nothing more.

mod common;

use common::{LOOK, Place, SECRET, no_secret};
use swathe_testkit::Outcome;

fn learn(place: &Place, options: &str, text: &str) -> Outcome {
    place.swathe("learn --no-pty").words(options).arg("--").sh(text).go()
}

const WORK: &str = "cat ~/data/one ~/data/two file && echo more >>file && mkdir -p ~/.cache/new && \
     echo x >~/.cache/new/x && echo y >~/.cache/old/y && rm ~/.cache/old/x && echo z >/tmp/z && \
     cat ~/.gitconfig /etc/os-release >/dev/null";

/// Data, a cache that is there, and a file.
fn prepare(place: &Place) {
    place.host(
        "mkdir -p ~/data ~/.cache/old ~/other; echo 1 >~/data/one; echo 2 >~/data/two; echo o >~/other/o; \
         echo x >~/.cache/old/x; echo file >file",
    );
}

/// A run leaves nothing but its profile, which lets it run again, for real, and no more.
fn profile(place: &Place) {
    prepare(place);
    let before = place.host("find .. -type f | grep -v swathe | sort | xargs cat");
    let ran = learn(place, "--name work", WORK);
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    assert_eq!(place.host("find .. -type f | grep -v swathe | sort | xargs cat"), before);
    let text = place.host("cat ~/.config/swathe/profiles/work.toml");
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "[[intent]]",
            "use = \"files.cwd\"",
            "access = \"rw\"",
            "[[intent]]",
            "use = \"files.dir\"",
            "path = \"~/.cache/old\"",
            "access = \"rw\"",
            "[[intent]]",
            "use = \"files.dir\"",
            "path = \"~/data\"",
            "access = \"ro\"",
        ],
        "{text}"
    );
    place.inside("--profile work", &WORK.replace(" && mkdir", " || exit 1; mkdir")).exits(0);
    assert_eq!(place.host("cat file; ls ~/.cache/old; test ! -e ~/.cache/new"), "file\nmore\ny");
    let more =
        place.inside("--profile work", &format!("cat ~/other/o; echo x >~/data/new; {LOOK}")).go();
    no_secret(&more);
    assert!(!more.text().contains("o\n"), "{more}");
    place.host("test ! -e ~/data/new");
}

/// Where there is no repository, what keeps one from being made is left to the user.
fn a_new_repository(place: &Place) {
    if !common::installed("git") {
        return;
    }
    place.host("mkdir ../fresh");
    let ran = place.host_run("cd ../fresh && $SWATHE learn --no-pty --name new -- git init -q .");
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    let text = place.host("cat ~/.config/swathe/profiles/new.toml");
    for name in ["git-hooks", "git-config"] {
        assert!(text.contains(&format!("# unprotect = [\"{name}\"]")), "{text}");
    }
}

/// Each line is needed: without one of them the run fails.
fn minimal(place: &Place) {
    prepare(place);
    learn(place, "-o ../p.toml", WORK);
    let text = place.host("cat ../p.toml");
    let (head, rest) = text.split_once("[[intent]]").expect("lines");
    let tables: Vec<&str> = rest.split("[[intent]]").collect();
    assert_eq!(tables.len(), 3);
    for left_out in 0..=tables.len() {
        place.host("echo x >~/.cache/old/x");
        let kept = tables.iter().enumerate().filter(|(at, _)| *at != left_out);
        let text: String = kept.map(|(_, table)| format!("[[intent]]{table}")).collect();
        place.dir.file("less.toml", &(head.to_owned() + &text));
        let ran = place.inside("--profile ../less.toml", &format!("set -e; {WORK}")).go();
        assert_eq!(ran.ended.shell() == 0, left_out == tables.len(), "{left_out}: {ran}\n{text}");
    }
}

/// No profile comes of a run that fails, and its status is passed on.
fn failures(place: &Place) {
    let ran = learn(place, "-o ../p.toml", "cat ~/nowhere; exit 7");
    assert_eq!(ran.ended.shell(), 7, "{ran}");
    assert!(ran.errors().contains("no profile is written"), "{ran}");
    place.host("test ! -e ../p.toml");
    // One that is meant.
    let ran = learn(place, "-o ../p.toml --expect 7", "exit 7");
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    place.host("test -e ../p.toml");
}

/// Nothing is overwritten, and that is said before the run.
fn nothing_is_overwritten(place: &Place) {
    place.host("echo mine >../p.toml; mkdir -p ~/.config/swathe/profiles; echo >~/.config/swathe/profiles/sh.toml");
    for options in ["-o ../p.toml", "-o ../q.toml --html ../p.toml", "", "--name sh"] {
        let ran = learn(place, options, "echo RAN");
        assert_eq!(ran.ended.shell(), 1, "{options}: {ran}");
        assert!(ran.errors().contains("is not overwritten"), "{options}: {ran}");
        assert!(!ran.text().contains("RAN"), "{options}: {ran}");
    }
    assert_eq!(place.host("cat ../p.toml; test ! -e ../q.toml"), "mine");
    // The built-in ones stay what they are.
    let ran = place.swathe("learn -- python /dev/null").go();
    assert!(ran.errors().contains("--name NAME"), "{ran}");
}

/// What a profile lacks is shown, and added only when that is asked for.
fn merging(place: &Place) {
    prepare(place);
    let old = "# by hand\n[[intent]]\nuse = \"files.cwd\" # the project\n\n[limits]\ntime = 100\n";
    place.dir.file("p.toml", old);
    let ran = learn(place, "--merge ../p.toml", WORK);
    assert_eq!(ran.ended.shell(), 1, "{ran}");
    assert!(ran.text().contains("+access = \"rw\" # the project\n"), "{ran}");
    assert!(ran.errors().contains("--yes"), "{ran}");
    assert_eq!(place.host("cat ../p.toml"), old.trim_end());
    let ran = learn(place, "--merge ../p.toml --yes", WORK);
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    let new = place.host("cat ../p.toml");
    let kept = old.replace("\" # the", "\"\naccess = \"rw\" # the");
    assert!(new.starts_with(&kept), "{new}");
    let ran = learn(place, "--merge ../p.toml --yes", WORK);
    assert!(ran.errors().contains("allows all"), "{ran}");
    assert_eq!(place.host("cat ../p.toml"), new);
    place.inside("--profile ../p.toml", WORK).exits(0);
}

/// What a profile or `--allow` names as a file is not written to while watching, and its level can
/// be raised.
fn files_of_a_profile(place: &Place) {
    place.host("mkdir ../home/d ../out; echo old | tee ../home/d/f ../out/f >file");
    let dir = "\n[[intent]]\nuse = \"files.dir\"\npath = ";
    let old = format!("{dir}\"~/d/f\"\n{dir}\"{}\"\naccess = \"rw\"\n", place.home(".history"));
    place.host("echo old >../home/.history");
    place.dir.file("p.toml", &old);
    let text = "echo new >>~/d/f && echo new >>~/.history";
    let ran = learn(place, "--merge ../p.toml --yes", text);
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    assert_eq!(place.host("cat ../home/d/f ../home/.history"), "old\nold", "{ran}");
    place.inside("--profile ../p.toml", text).exits(0);
    assert_eq!(place.host("cat ../home/d/f ../home/.history"), "old\nnew\nold\nnew");
    // One that is in no directory whose changes are thrown away can only be read.
    let out = place.project("").replace("/project", "/out");
    let options = format!("-o ../q.toml --allow files.dir={}/f:rw", out.trim_end_matches('/'));
    let text = format!("cat {out}/f; echo new >>{out}/f").replace("//", "/");
    assert_ne!(learn(place, &options, &text).ended.shell(), 0);
    assert_eq!(place.host("cat ../out/f"), "old");
}

/// What was used by the name of a link is shown by that name.
fn names_of_links(place: &Place) {
    place.host(
        "cd; mkdir dotfiles dotfiles/editor .config/tool; echo rc | tee dotfiles/rc dotfiles/editor/a \
         dotfiles/editor/b dotfiles/conf >/dev/null; ln -s dotfiles/rc .rc; \
         ln -s ../dotfiles/editor .config/editor; ln -s ../../dotfiles/conf .config/tool/conf; \
         echo own >.config/tool/own",
    );
    let text =
        "cat ~/.rc ~/.config/editor/a ~/.config/editor/b ~/.config/tool/conf ~/.config/tool/own";
    let ran = learn(place, "-o ../p.toml", text);
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    let ran = place.inside("--profile ../p.toml", text).go();
    assert_eq!(ran.text(), "rc\nrc\nrc\nrc\nown", "{ran}{}", place.host("cat ../p.toml"));
}

/// Credentials are covered while watching, and what wanted them is a comment.
fn credentials(place: &Place) {
    let ran = learn(place, "-o ../p.toml", &format!("{LOOK} cat ~/.ssh/id_ed25519; exit 0"));
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    no_secret(&ran);
    let text = place.host("cat ../p.toml");
    assert!(!text.contains(SECRET));
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
    assert!(text.contains("# path = \"~/.ssh/id_ed25519\"\n"), "{text}");
    assert!(text.contains("careful: it holds keys, tokens or passwords"), "{text}");
    // With the comments taken away the profile is a good one, though dangerous.
    place.swathe("profile check ../p.toml").exits(0);
}

/// A file of events that a run with `--audit` wrote, and the report of it.
fn from_a_file(place: &Place) {
    prepare(place);
    let text = "cat ~/data/one; echo x >file; cat '/tmp/<script>alert(1)</script>' 2>/dev/null; \
                echo '<b>' >'<img src=x onerror=alert(2)>'";
    place.inside("-w --allow files.dir=~/data:rw --audit ../audit", text).exits(0);
    let ran = place.swathe("learn --from ../audit --html ../report.html").go();
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    let out = ran.text();
    assert!(out.contains("\nuse = \"files.cwd\"\naccess = \"rw\"\n"), "{out}");
    assert!(out.contains("\npath = \"~/data/one\"\naccess = \"ro\""), "{out}");
    let report = place.host("cat ../report.html");
    assert!(report.contains("&lt;img src=x onerror=alert(2)&gt;"), "{report}");
    assert_eq!(report.matches("<script>").count(), 1);
    assert!(!report.contains("<img"));
    place.host("echo >../empty");
    let ran = place.swathe("learn --from ../empty").go();
    assert!(ran.errors().contains("holds no events"), "{ran}");
}

/// A network is given while watching, where that is asked for, and then is a line.
fn addresses(place: &Place) {
    if !common::installed("python3") {
        return;
    }
    place.dir.file(
        "project/net.py",
        "import socket,sys\nfor a in sys.argv[1:]:\n s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n s.connect((a, 9))\n",
    );
    let run = |options: &str| {
        let words = format!("learn --no-pty {options} -- python3 net.py 192.0.2.1");
        place.swathe(&words).go()
    };
    let ran = run("--no-net -o ../p.toml");
    assert_ne!(ran.ended.shell(), 0, "{ran}");
    assert!(ran.errors().contains("--net HOST:PORT lets it"), "{ran}");
    if place.host_run("python3 net.py 192.0.2.1").ended.shell() != 0 {
        swathe_testkit::notice("this machine has no route: learning net.all is left out");
        return;
    }
    let ran = run("-o ../p.toml --allow net.all");
    assert_eq!(ran.ended.shell(), 0, "{ran}");
    let text = place.host("cat ../p.toml");
    assert!(text.contains("\nuse = \"net.all\"") && text.contains("192.0.2.1:9"), "{text}");
}

both!(
    files_of_a_profile,
    names_of_links,
    a_new_repository,
    profile,
    minimal,
    failures,
    nothing_is_overwritten,
    merging,
    credentials,
    from_a_file,
    addresses
);
