//! `swathe why`, on runs that failed: it names the cause, and what it advises lets them succeed.

mod common;

use common::{Place, installed};

/// The advice that comes first, as words for a shell.
fn advised(place: &Place) -> String {
    let text = place.swathe("why").prints();
    let line = text.lines().find(|line| line.trim().starts_with("to allow it"));
    let line = line.and_then(|line| line.split_once(": swathe run ")).map(|(_, words)| words);
    line.unwrap_or_else(|| panic!("no advice: {text}")).to_owned()
}

/// It fails; what is said has this in it; and with what is advised it succeeds.
#[track_caller]
fn followed(place: &Place, options: &str, command: &str, says: &[&str]) {
    let run = |more: &str| {
        place.host_run(&format!("$SWATHE run --record {options} {more} -- sh -c '{command}'"))
    };
    let ran = run("");
    assert_ne!(ran.ended.shell(), 0, "{ran}");
    assert!(ran.errors().contains("swathe why says what and why"), "{ran}");
    let text = place.swathe("why").prints();
    // What is wrapped is one line.
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    says.iter().for_each(|says| assert!(flat.contains(says), "{says}: {text}"));
    let advice = advised(place);
    // Of two words about the same directory the stricter would hold.
    let options = if text.contains("in place of the access") { "" } else { options };
    let again = place.host_run(&format!("$SWATHE run {options} {advice} -- sh -c '{command}'"));
    assert_eq!(again.ended.shell(), 0, "{advice}: {again}");
}

fn advice_works(place: &Place) {
    place.host("mkdir -p ../home/data \"../home/a b\"; echo x >../home/data/f; echo y >\"../home/a b/g'\"; echo z >f");
    let home = place.home("");
    followed(
        place,
        "",
        "cat ~/data/f",
        &[
            &format!("1. {home}/data/f is not visible"),
            "layer: mount, error: ENOENT",
            "/cat (process",
        ],
    );
    followed(place, "", "echo x >f", &["can only be read", "EROFS", "in the working directory"]);
    followed(place, "", "mkdir new", &["can only be read"]);
    followed(place, "", "rm f", &["to remove it"]);
    place.host("echo z >f");
    followed(place, "", "cat ~/.ssh/id_ed25519", &["SSH keys", "DANGEROUS: it holds keys"]);
    followed(place, "-a files.cwd=no-delete", "rm f", &["layer: level", "EACCES"]);
    assert!(place.swathe("trash list").prints().contains("/project/f"));
    place.host("echo z >f");
    followed(place, "-a files.cwd=append", "echo over >f", &["layer: level"]);
    place.host("git init -q . 2>/dev/null || mkdir -p .git/hooks");
    followed(
        place,
        "-w",
        "echo x >.git/hooks/pre-push",
        &["--unprotect git-hooks", "DANGEROUS: what it writes there"],
    );
    followed(place, "", "cat \"$HOME/a b/g\"*", &[]);
    elsewhere(place);
}

/// What is not shown, by links of the host, to be written to, and to be made.
fn elsewhere(place: &Place) {
    place.host("ln -s ../home/data ../home/link; mkdir -p fresh");
    followed(place, "", "cat ~/link/f", &["/home/data/f is not visible"]);
    followed(place, "", "echo x >>~/data/f", &["/home/data/f is not visible", "/home/data/f:rw"]);
    followed(place, "", "echo x >~/data/new", &["/home/data/new is not visible"]);
    if installed("git") {
        place.host("mkdir ../home/fresh");
        let options = format!("-a files.dir={}:rw", place.home("fresh"));
        let words = &["--unprotect git-hooks,git-config", "DANGEROUS"];
        followed(place, &options, "git init -q ~/fresh", words);
    }
    let nested = format!("-w -a files.dir={}:append", place.project("fresh"));
    place.host("echo x >fresh/log");
    place.inside(&nested, "echo y >fresh/log").go();
    let text = place.swathe("why").prints();
    assert!(text.contains(&format!("{}:trash", place.project("fresh"))), "{text}");
}

/// What the level has nothing to do with is no denial; what is hidden in so many words is one.
fn not_the_level(place: &Place) {
    place.host("mkdir -p d/e; echo x >secret");
    for (level, command) in [("trash", "rm nofile"), ("trash", "rmdir d"), ("append", "rm nofile")]
    {
        let ran = place.inside(&format!("-a files.cwd={level}"), command).go();
        assert!(ran.ended.shell() != 0 && !ran.errors().contains("swathe why"), "{ran}");
        let text = place.swathe("why").prints();
        assert!(!text.contains("layer:"), "{level} {command}: {text}");
    }
    // On an open file, too.
    place.host("echo long >long");
    place.inside("-a files.cwd=no-delete", "truncate -s 2 long").go();
    let text = place.swathe("why").prints();
    assert!(text.contains("/long was given does not include it"), "{text}");
    for hidden in ["secret", "s*t"] {
        let options = format!("--record -a files.hide={}", place.project(hidden));
        let ran = place.inside(&options, "cat secret").go();
        assert!(ran.errors().contains("swathe why"), "{ran}");
        let text = place.swathe("why").prints();
        assert!(text.contains("secret is hidden in the sandbox"), "{hidden}: {text}");
    }
    place.host("chmod 0 secret");
    if place.host("id -u") != "0" {
        place.inside("--record", "cat secret").go();
        let text = place.swathe("why").prints();
        assert!(text.contains("own owner and mode"), "{text}");
    }
}

fn network(place: &Place) {
    if !installed("python3") {
        return;
    }
    place
        .dir
        .file("project/net.py", "import socket\nsocket.socket().connect(('192.0.2.1', 443))\n");
    place.inside("--record", "python3 net.py").exits(1);
    let text = place.swathe("why").prints();
    assert!(text.contains("layer: network, error: ENETUNREACH"), "{text}");
    assert!(text.contains("to allow it: swathe run --net 192.0.2.1:443"), "{text}");
    assert!(text.contains("reach a web server") && text.contains("DANGEROUS"), "{text}");
}

/// As data: the same, with what a profile would say.
fn json(place: &Place) {
    place.host("mkdir ../home/data; echo x >../home/data/f");
    place.inside("--record", "cat ~/data/f; exit 4").exits(4);
    let text = place.swathe("why --json").prints();
    for part in
        ["\"status\": 4", "\"layer\": \"mount\"", "\"error\": \"ENOENT\"", "\"likely\": true"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("[[intent]]\\nuse = \\\"files.dir\\\""), "{text}");
    let list = place.swathe("why --list").prints();
    let id = list.split_whitespace().next().expect("a run");
    assert_eq!(place.swathe(&format!("why --json {id}")).prints(), text);
    let ran = place.swathe("why no-such-run").exits(1);
    assert!(ran.errors().contains("no record of a run no-such-run"), "{ran}");
}

/// Nothing was denied, nothing was recorded, and a record that somebody damaged.
fn little(place: &Place) {
    let ran = place.swathe("why").exits(1);
    assert!(ran.errors().contains("--record"), "{ran}");
    place.inside("--record", ":").exits(0);
    assert!(place.swathe("why").prints().contains("ended with status 0"));
    place.host(
        "for f in ../home/.local/state/swathe/runs/*/events.jsonl; do \
        printf 'no event\\n{\"lost\":7}\\n\\033[31m\\n' >>$f; done",
    );
    let text = place.swathe("why").prints();
    assert!(text.contains("9 events are missing from the record"), "{text}");
}

both!(advice_works, not_the_level, network, json, little);
