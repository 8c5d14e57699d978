//! What is recorded of a run: what it touched, what it was denied, and by which layer.

mod common;

use common::{Place, installed};

/// The events of an audit file, as the lines that hold all of these texts.
fn lines(place: &Place, texts: &[&str]) -> usize {
    let found = place.host("cat ../audit");
    found.lines().filter(|line| texts.iter().all(|text| line.contains(text))).count()
}

/// Denials by mounts, with the program, and what it may do.
fn denials(place: &Place) {
    place.host("echo secret >../home/notes; echo one >file");
    let audit = place.dir.at("audit");
    let text = "cat ~/notes; echo x >file; cat file /etc/passwd >/dev/null; cat /nowhere; \
                mkdir new; rm file; exit 0";
    place.inside(&format!("--audit {audit}"), text).exits(0);
    let home = place.home("");
    let project = place.project("");
    let object = |path: String| format!("\"object\":\"{path}\"");
    for (what, texts) in [
        (
            "hidden",
            vec![object(format!("{home}/notes")), "\"denied\":2".into(), "\"mount\"".into()],
        ),
        ("read-only", vec![object(format!("{project}/file")), "\"denied\":30".into()]),
        ("read", vec![object(format!("{project}/file")), "\"read\"".into(), "\"allowed\"".into()]),
        (
            "made",
            vec![object(format!("{project}/new")), "\"create\"".into(), "\"denied\":30".into()],
        ),
        ("removed", vec![object(format!("{project}/file")), "\"remove\"".into()]),
        ("nowhere", vec![object("/nowhere".into()), "\"denied\":2".into(), "\"other\"".into()]),
        ("run", vec!["\"execute\"".into(), "/bin/cat\"".into(), "\"allowed\"".into()]),
    ] {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(lines(place, &texts) > 0, "{what}: {texts:?}:\n{}", place.host("cat ../audit"));
    }
    assert!(lines(place, &["/cat\"", "notes"]) > 0, "who did it is said");
}

/// What a level refuses is one line, also where nothing else is recorded; what it lets pass, where
/// something is.
fn levels(place: &Place) {
    let (denied, allowed) = ("{\"denied\":13}", "\"allowed\"");
    for (options, counts) in
        [("", [(denied, 1), (allowed, 0)]), ("--record", [(denied, 1), (allowed, 1)])]
    {
        place.host("rm -rf ../home/.local/state/swathe/runs; echo one >file");
        let options = format!("{options} --allow files.cwd=append");
        let ran = place.inside(&options, "echo x >>file; echo x >file").go();
        assert_ne!(ran.ended.shell(), 0);
        assert!(ran.errors().contains("swathe why"), "{ran}");
        let kept = place.host("cat ../home/.local/state/swathe/runs/*/events.jsonl");
        for (outcome, count) in counts {
            let of = format!("\"outcome\":{outcome},\"layer\":\"level\"");
            assert_eq!(kept.matches(&of).count(), count, "{options} {outcome}: {kept}");
        }
    }
}

/// Where the supervisor does what no level is about, it is recorded as if the kernel had done it.
fn around_levels(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.host("mkdir in; echo one >file; echo two >gone; echo three >old");
    let audit = place.dir.at("audit");
    let text = "echo x >new; echo x >>file; rm gone; mv old name; \
                python3 -c \"import os; os.truncate(\\\"file\\\", 1)\"; echo x >in/kept";
    let options = format!("--audit {audit} -w --allow files.dir={}:no-delete", place.project("in"));
    place.inside(&options, text).exits(0);
    let project = place.project("");
    for (name, action) in [
        ("new", "create"),
        ("file", "write"),
        ("gone", "remove"),
        ("old", "rename"),
        ("file", "truncate"),
    ] {
        let object = format!("\"object\":\"{project}/{name}\"");
        let found = lines(place, &[&object, &format!("\"{action}\""), "\"allowed\""]);
        assert_eq!(found, 1, "{action} {name}:\n{}", place.host("cat ../audit"));
    }
    let kept = format!("\"object\":\"{project}/in/kept\"");
    assert_eq!(lines(place, &[&kept, "\"level\""]), 1, "{}", place.host("cat ../audit"));
}

/// Addresses, with what stands in the way.
fn addresses(place: &Place) {
    if !installed("python3") {
        return;
    }
    let audit = place.dir.at("audit");
    place.dir.file(
        "project/net.py",
        "import socket\n\
         for f, a in [(socket.AF_INET, ('192.0.2.1', 80)), (socket.AF_INET, ('127.0.0.1', 9)),\n\
                      (socket.AF_UNIX, '/run/nothing.sock'), (socket.AF_UNIX, '\\0abstract')]:\n\
         \x20   try: socket.socket(f).connect(a)\n\
         \x20   except OSError as e: print(a, e)\n\
         for f, a in [(socket.AF_INET, ('192.0.2.1', 80)), (socket.AF_INET6, ('::1', 9))]:\n\
         \x20   try: socket.socket(f, socket.SOCK_DGRAM).connect(a)\n\
         \x20   except OSError as e: print(a, e)\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.bind(('127.0.0.1', 5353)); s.sendto(b'x', ('127.0.0.1', 53))\n",
    );
    place.inside(&format!("--audit {audit}"), "python3 net.py").exits(0);
    assert_eq!(lines(place, &["tcp:192.0.2.1:80", "\"denied\":101", "\"network\""]), 1);
    assert_eq!(lines(place, &["tcp:127.0.0.1:9", "\"allowed\""]), 1);
    assert_eq!(lines(place, &["udp:192.0.2.1:80", "\"denied\":101", "\"network\""]), 1);
    assert_eq!(lines(place, &["udp:[::1]:9", "\"allowed\""]), 1);
    assert_eq!(lines(place, &["udp:127.0.0.1:5353", "\"bind\"", "\"allowed\""]), 1);
    assert_eq!(lines(place, &["udp:127.0.0.1:53\"", "\"connect\"", "\"allowed\""]), 1);
    assert_eq!(lines(place, &["unix:/run/nothing.sock", "\"denied\":2"]), 1);
    assert_eq!(lines(place, &["unix:@abstract"]), 1);
}

/// A limit that the run ran into is the last thing that is said of it.
fn limits(place: &Place) {
    place.dir.file("project/short.toml", "[limits]\ntime = \"1s\"\n");
    let audit = place.dir.at("audit");
    let options = format!("--audit {audit} --profile ./short.toml");
    assert_eq!(place.inside(&options, "sleep 60").go().ended.shell(), 137);
    let last = place.host("tail -n 1 ../audit");
    assert!(
        last.contains("\"exceed\",\"object\":\"time\"") && last.contains("\"limit\""),
        "{last}"
    );
}

/// Only the newest runs are kept, and none is readable by others.
fn kept(place: &Place) {
    for _ in 0..23 {
        place.inside("--record", ":").exits(0);
    }
    let runs = place.host("ls ../home/.local/state/swathe/runs | wc -l");
    assert_eq!(runs.trim(), "20");
    assert_eq!(place.host("find ../home/.local/state/swathe -perm /077"), "");
}

/// Names with every byte stay one line, and no byte of them steers a terminal.
fn names(place: &Place) {
    let audit = place.dir.at("audit");
    let text = "for i in 1 2 10 27 31 127 133 233 255; do \
                cat \"$(printf \"/x\\\\$(printf %o $i)y\")\" 2>/dev/null; done; :";
    place.inside(&format!("--audit {audit}"), text).exits(0);
    let bytes = std::fs::read(&audit).expect("an audit file");
    assert!(bytes.iter().all(|&b| b == b'\n' || (b >= b' ' && b != 127)));
    for name in ["/x\\\\x01y", "/x\\\\x0ay", "/x\\\\x1by", "/x\\\\x7fy", "/x\\\\xffy"] {
        assert!(lines(place, &[name]) > 0, "{name}");
    }
}

/// What is watched fails and succeeds as before.
fn unchanged(place: &Place) {
    place.repository();
    let text = "cat file; cat missing; echo x >file; ls -la . >/dev/null; git status --porcelain; \
                (cd / && ls | sort | head -3); cat ~/none; test -e /etc/shadow; echo $?; sh -c 'exit 3'";
    let [plain, watched] = ["", "--record"].map(|options| place.inside(options, text).go());
    assert_eq!(plain.text(), watched.text());
    assert_eq!(plain.ended.shell(), watched.ended.shell());
}

/// What was found out a moment ago is not said of what has taken its place since: of another
/// working directory, of a directory of the same name.
fn changing(place: &Place) {
    place.host("mkdir -p a/f b; echo x >b/f");
    let audit = place.dir.at("audit");
    let text = "cd a; test -e f; test -e g; cd ../b; test -e f; test -e g; cd ..; \
                mkdir d; echo x >d/x; mv d e; mkdir d; echo x >d/y; test -e d/x; test -e d/y; \
                rm -r d; test -e d/z; ln -s e d; test -e e/y; :";
    place.inside(&format!("-w --audit {audit}"), text).exits(0);
    let project = place.project("");
    for (name, action, outcome) in [
        ("a/f", "stat", "\"allowed\""),
        ("b/f", "stat", "\"allowed\""),
        ("a/g", "stat", "{\"denied\":2}"),
        ("b/g", "stat", "{\"denied\":2}"),
        ("d/x", "create", "\"allowed\""),
        ("d/x", "stat", "{\"denied\":2}"),
        ("d/y", "stat", "\"allowed\""),
        ("d/z", "stat", "{\"denied\":2}"),
        ("e/y", "stat", "{\"denied\":2}"),
    ] {
        let texts = [
            format!("\"object\":\"{project}/{name}\""),
            format!("\"action\":\"{action}\""),
            format!("\"outcome\":{outcome}"),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(lines(place, &texts), 1, "{texts:?}:\n{}", place.host("cat ../audit"));
    }
}

/// The working directory is renamed, and a link on the way to what is reached by another one.
fn renamed(place: &Place) {
    place.host(
        "mkdir d v1 v2; echo 1 >d/a; echo 1 >v1/f; echo 2 >v2/f; ln -s v1 current; ln -s current app",
    );
    let audit = place.dir.at("audit");
    let text = "cat app/f; ln -s v2 new; mv -T new current; test -e app/f; \
                cd d; test -e a; mv ../d ../e; echo x >b";
    place.inside(&format!("-w --audit {audit}"), text).exits(0);
    let project = place.project("");
    for (name, action) in [("v1/f", "read"), ("v2/f", "stat"), ("d/a", "stat"), ("e/b", "create")] {
        let object = format!("\"object\":\"{project}/{name}\"");
        let action = format!("\"action\":\"{action}\"");
        let texts = [&object, &action, "\"outcome\":\"allowed\""];
        assert_eq!(lines(place, &texts), 1, "{texts:?}:\n{}", place.host("cat ../audit"));
    }
}

/// A descriptor, or another thread, changes the working directory as chdir does.
fn threads(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.dir.file(
        "project/threads.py",
        "import os, threading\n\
         def there(name):\n\
         \x20   try: os.stat(name)\n\
         \x20   except OSError: pass\n\
         os.mkdir('one'); os.mkdir('two'); there('x')\n\
         one = os.open('one', os.O_RDONLY); two = os.open('two', os.O_RDONLY)\n\
         os.fchdir(one); there('x')\n\
         def other(): os.fchdir(two); there('y')\n\
         thread = threading.Thread(target=other); thread.start(); thread.join()\n\
         there('x')\n",
    );
    let audit = place.dir.at("audit");
    place.inside(&format!("-w --audit {audit}"), "python3 threads.py").exits(0);
    let project = place.project("");
    for name in ["x", "one/x", "two/y", "two/x"] {
        let object = format!("\"object\":\"{project}/{name}\"");
        assert_eq!(lines(place, &[&object, "\"stat\""]), 1, "{}", place.host("cat ../audit"));
    }
}

both!(
    changing,
    renamed,
    denials,
    threads,
    levels,
    around_levels,
    addresses,
    limits,
    kept,
    names,
    unchanged
);
