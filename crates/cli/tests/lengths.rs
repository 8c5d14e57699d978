//! What must not become shorter does not, by whatever call; and everything else does.

mod common;

use common::{Place, installed, tried};

fn ways_around(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.host("yes old | head -1250 >a; ln -s a link");
    place.dir.file("project/cuts.py", include_str!("common/cuts.py"));
    // Most of them win where there is no level: they are attacks.
    let control = place.inside("-w", "python3 cuts.py").prints();
    let number = |nth| control.split(' ').nth(nth).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    assert!(number(2) * 2 > number(0) && number(0) > 70, "{control}");
    for name in ["open-0-a", "open-3-link", "truncate-link", "ftruncate", "through-0-/dev/fd/%d"] {
        assert!(control.split(' ').any(|word| word == name), "{name} does not attack: {control}");
    }
    let options = ["no-delete", "append"].map(|level| format!("--allow files.cwd={level}"));
    let outer = format!("-w --allow files.dir={}:no-delete", place.project("in"));
    place.host("rm -f hard a; yes old | head -1250 >a; mkdir in; cp a in; cp -P link in");
    for options in options {
        let ran = place.inside(&options, "python3 cuts.py").prints();
        assert!(ran.ends_with("won 0"), "{options}: {ran}");
    }
    let ran = place.inside(&outer, "cd in && python3 ../cuts.py").prints();
    assert!(ran.ends_with("won 0"), "{ran}");
    assert_eq!(place.host("cat a in/a | sort -u; cat a in/a | wc -l"), "old\n2500");
}

/// Elsewhere everything is made shorter as without a level.
fn elsewhere(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.host("mkdir in free; echo old >in/f; echo free >free/f; echo old >../out");
    let options = format!(
        "--allow files.dir={}:no-delete --allow files.dir={}",
        place.project("in"),
        place.project("free:rw")
    );
    place.dir.file(
        "project/cut.py",
        "import os, sys\nos.close(os.open(sys.argv[1], int(sys.argv[2]) | os.O_TRUNC))\n",
    );
    let cut = |path: &str, by: &str| format!("python3 cut.py {path} {by}");
    for by in ["0", "1", "2", "3"] {
        let text = ["free/f", "/tmp/f"]
            .map(|path| format!("echo free >{path} && {} && ! test -s {path}", cut(path, by)));
        tried(place, &options, &[(&text[0], true), (&text[1], true), (&cut("in/f", by), false)]);
    }
    tried(
        place,
        &options,
        &[
            ("echo free >free/f && truncate -s 2 free/f && test $(stat -c %s free/f) = 2", true),
            ("echo x >~/f && truncate -s 0 ~/f && ! test -s ~/f", true),
            ("truncate -s 0 /usr/bin/env", false),
            ("echo 500 >/proc/self/oom_score_adj && echo x >/dev/null", true),
            ("truncate -s 0 in/f", false),
        ],
    );
    // What came from outside by a descriptor goes on where it is.
    place.dir.file(
        "project/stream.py",
        "import os\nfor by in (lambda: os.truncate('/proc/self/fd/1', 0), \
         lambda: os.open('/dev/stdout', os.O_TRUNC), \
         lambda: os.open('/dev/stdout', os.O_WRONLY | os.O_TRUNC)):\n\
         \x20   try: by()\n    except OSError: pass\n",
    );
    let inner = "python3 stream.py; echo new";
    place.outside(&format!("$SWATHE run {options} -- sh -c '{inner}' >>../out")).exits(0);
    assert_eq!(place.host("cat ../out; cat in/f"), "old\nnew\nold");
}

both!(ways_around, elsewhere);
