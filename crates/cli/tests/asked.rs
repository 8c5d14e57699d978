//! Questions while a program runs, answered by a program; what is granted becomes visible, at once
//! and to all of the sandbox, and what is refused stays as it was.

mod common;

use common::Place;
use common::asker::ask;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

const YES: &str = r#""allow":true,"term":"run""#;
const ONCE: &str = r#""allow":true,"term":"once""#;
const NO: &str = r#""allow":false,"term":"once""#;

/// A hidden file is shown when the answer is yes, and only that; the file beside it is not.
fn reads(place: &Place) {
    place.host("echo hello >../home/notes; echo secret >../home/other");
    let text = "cat ~/notes; cat ~/other; ls ~; stat -c %s ~/notes";
    let (ran, asked) = ask(place, "", text, |object, _| {
        Some(if object.ends_with("/notes") { YES } else { NO }.to_owned())
    });
    let notes = format!("read {}", place.home("notes"));
    assert!(asked.contains(&notes), "{asked:?}: {ran}");
    assert_eq!(ran.text(), "hello\nnotes\n6", "{ran}");
}

/// A path is asked about from where the working directory is, also when that was just renamed.
fn renamed(place: &Place) {
    place.host("echo hello >../home/notes; mkdir d deep; echo x >d/x");
    let text = "cd d; test -e x; mv ../d ../deep/e; read line <../../../home/notes; echo $line";
    let (ran, asked) = ask(place, "-w", text, |_, _| Some(YES.to_owned()));
    assert_eq!(asked, [format!("read {}", place.home("notes"))], "{ran}");
    assert_eq!(ran.text(), "hello", "{ran}");
}

/// What is written down of a question is its answer, and by whom; what was allowed is nothing that
/// `swathe why` tells.
fn answers_are_recorded(place: &Place) {
    place.host("echo hello >../home/notes; echo secret >../home/other");
    let text = "cat ~/notes; cat ~/other; cat ~/notes; exit 3";
    let (ran, _) = ask(place, "--audit ../audit", text, |object, _| {
        Some(if object.ends_with("/notes") { YES } else { NO }.to_owned())
    });
    assert!(ran.errors().contains("it was denied 1 thing"), "{ran}");
    let about = |name: &str| {
        place
            .host(&format!("grep '\"read\".*/{name}\"' ../audit | sed 's/.*,\"outcome\"/outcome/'"))
    };
    assert_eq!(about("notes"), r#"outcome:"allowed","layer":"user"}"#);
    assert_eq!(about("other"), r#"outcome:{"denied":2},"layer":"user"}"#);
    let why = place.swathe("why").prints();
    assert!(why.contains(&format!("{} was asked about", place.home("other"))), "{why}");
    assert!(!why.contains("notes was") && !why.contains("only what access levels"), "{why}");
}

/// What was shown for one call is not visible any more when that is over. What it has opened stays
/// open, and the next call is asked about again.
fn once(place: &Place) {
    place.host("echo hello >../home/notes; echo old >file");
    let text = "exec 3<~/notes; until test -z \"$(ls ~)\"; do :; done; cat <&3; cat ~/notes; \
        exec 4>>file; until ! test -w file; do :; done; echo more >&4; echo again >>file; \
        echo x >new; until ! test -w .; do :; done; echo y >>new; echo z >other; cat new";
    let asked = std::cell::RefCell::new(Vec::new());
    let (ran, _) = ask(place, "", text, |object, action| {
        let first = !asked.borrow().iter().any(|known| known == object);
        asked.borrow_mut().push(object.to_owned());
        let fine = first && !object.ends_with("/other") && action != "stat";
        Some(if fine { ONCE } else { NO }.to_owned())
    });
    let asked = asked.into_inner();
    for name in ["/notes", "/file", "/new"] {
        let times = asked.iter().filter(|object| object.ends_with(name)).count();
        assert!(times >= 2, "{name}: {asked:?}: {ran}");
    }
    assert_eq!(place.host("cat file new; ls"), "old\nmore\nx\nfile\nnew", "{asked:?}: {ran}");
    assert_eq!(ran.text(), "hello\nx", "{asked:?}: {ran}");
}

/// A read-only file becomes writable, and the host's file is what is written to.
fn writes(place: &Place) {
    place.host("echo one >file; echo one >other");
    let text = "echo two >>file; echo two >>other; cat file other";
    let (ran, asked) = ask(place, "", text, |object, action| {
        let fine = object.ends_with("/file") && action == "write";
        Some(if fine { YES } else { NO }.to_owned())
    });
    assert_eq!(ran.text(), "one\ntwo\none", "{asked:?}: {ran}");
    assert_eq!(place.host("cat file"), "one\ntwo");
}

/// The same of one that is not shown: the file, not what lies beside it. A new name is asked about
/// as one, also where its directory is not shown.
fn writes_elsewhere(place: &Place) {
    place.host("mkdir ../elsewhere; echo one >../elsewhere/f; echo one >../elsewhere/other");
    let text = "echo three >../elsewhere/new; mkdir ../elsewhere/dir; echo two >>../elsewhere/f; \
        echo two >../elsewhere/other; rm ../elsewhere/f; :";
    let (ran, asked) = ask(place, "", text, |object, _| {
        Some(if object.ends_with("/f") { YES } else { NO }.to_owned())
    });
    let elsewhere = place.project("").replace("/project", "/elsewhere");
    let elsewhere = elsewhere.trim_end_matches('/');
    for question in [
        format!("write {elsewhere}/f"),
        format!("truncate {elsewhere}/other"),
        format!("create {elsewhere}/new"),
        format!("create {elsewhere}/dir"),
    ] {
        assert!(asked.contains(&question), "{question}: {asked:?}: {ran}");
    }
    assert_eq!(place.host("cd ../elsewhere; ls; cat f other"), "f\nother\none\ntwo\none");
}

/// A call that comes when another is just over is asked about, and shown what it was granted.
fn once_again(place: &Place) {
    place.host("mkdir ../home/d; echo x >../home/d/x");
    let text = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ls ~/d || echo failed; done";
    let (ran, asked) = ask(place, "", text, |_, _| Some(ONCE.to_owned()));
    assert_eq!(ran.text(), ["x"; 12].join("\n"), "{ran}");
    assert!(asked.len() >= 12, "{asked:?}");
}

/// A question whose process has ended is none, also where others never stop calling.
fn withdrawn_among_others(place: &Place) {
    use std::io::BufRead as _;
    place.host("echo hello >../home/notes");
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let text = "timeout -s KILL 0.2 cat ~/notes; i=0; \
        until [ $i = 400 ]; do i=$((i + 1)); stat /usr >/dev/null; sleep 0.1; done";
    let running = place.inside("--ask-fd 7", text).fd(7, OwnedFd::from(theirs)).start();
    let lines = std::io::BufReader::new(ours).lines().map_while(Result::ok);
    let heard: Vec<String> = lines.take_while(|line| !line.starts_with("{\"withdrawn\"")).collect();
    running.kill(libc::SIGTERM);
    let ran = running.wait();
    // Otherwise it was heard when the run was over.
    assert_ne!(ran.ended.shell(), 0, "{heard:?} {ran}");
}

/// Yes to reading, where writing was asked for.
fn narrowed(place: &Place) {
    place.host("mkdir ../elsewhere; echo one >../elsewhere/f");
    let text = "cd /; echo two >>$OLDPWD/../elsewhere/f; cat $OLDPWD/../elsewhere/f";
    let (ran, asked) = ask(place, "", text, |_, _| Some(format!(r#"{YES},"read_only":true"#)));
    assert_eq!(ran.text(), "one", "{asked:?}: {ran}");
    assert_eq!(place.host("cat ../elsewhere/f"), "one");
}

/// New names need their directory; what is protected in it stays so.
fn makes(place: &Place) {
    place.repository();
    let text = "echo new >new; cat new; echo x >.git/hooks/post-commit; echo x >>.git/config; :";
    let (ran, asked) = ask(place, "", text, |object, _| {
        Some(if object.ends_with("/new") { YES } else { NO }.to_owned())
    });
    assert_eq!(ran.text(), "new", "{asked:?}: {ran}");
    assert_eq!(place.host("cat new; ls .git/hooks | grep -c '^post-commit$' || :"), "new\n0");
    assert!(!place.host("cat .git/config").contains("\nx"));
}

/// Refusals, silence until the time is over, an asker that goes, one that lies: all leave the program
/// as without asking, and it ends.
fn refused(place: &Place) {
    place.host("echo secret >../home/notes");
    let text = "cat ~/notes; echo rc $?";
    let (ran, _) = ask(place, "", text, |_, _| Some(NO.to_owned()));
    assert_eq!(ran.text(), "rc 1", "{ran}");
    let (ran, _) = ask(place, "--ask-timeout 1", text, |_, _| None);
    assert_eq!(ran.text(), "rc 1", "{ran}");
    for lie in
        [r#""allow":"yes","term":"once""#, r#""allow":true"#, r#""allow":true,"term":"for ever""#]
    {
        let (ran, _) = ask(place, "--ask-timeout 1", text, |_, _| Some(lie.to_owned()));
        assert_eq!(ran.text(), "rc 1", "{lie}: {ran}");
    }
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let running = place.inside("--ask-fd 7", text).fd(7, OwnedFd::from(theirs)).start();
    drop(ours);
    let ran = running.wait();
    assert_eq!(ran.text(), "rc 1", "{ran}");
}

/// A link of the program's own is no disguise: the question is about what it leads to.
fn links(place: &Place) {
    let text = "ln -s ../home/.ssh/id_ed25519 l; cat l; :";
    let (ran, asked) = ask(place, "-w", text, |object, _| {
        Some(if object.ends_with("/l") { YES } else { NO }.to_owned())
    });
    let key = format!("read {}", place.home(".ssh/id_ed25519"));
    assert!(asked.contains(&key), "{asked:?}: {ran}");
    common::no_secret(&ran);
    // Also where the host has nothing by the link's own name, and through one of a directory.
    let home = place.home("");
    let text = format!(
        "mkdir /tmp/in; ln -s {home}/.ssh/id_ed25519 /tmp/in/l; ln -s in /tmp/d; ln -s {home} /tmp/h; \
         cat /tmp/d/l; cat /tmp/h/.ssh/id_ed25519; :"
    );
    let (ran, asked) = ask(place, "", &text, |_, _| Some(NO.to_owned()));
    assert_eq!(asked.iter().filter(|question| **question == key).count(), 2, "{asked:?}: {ran}");
}

/// Nobody who could be asked: it does not start.
fn nobody(place: &Place) {
    let ran = place.inside("--ask", "echo ran").go();
    assert!(!ran.text().contains("ran") && ran.ended.shell() != 0, "{ran}");
    assert!(ran.errors().contains("--ask-fd"), "{ran}");
}

/// Grants and revocations while it runs, by another process.
fn granted(place: &Place) {
    place.host("echo hello >../home/notes; echo one >file");
    let text = "\
        \"$SWATHE\" run -- sh -c 'until cat ~/notes; do sleep 0.05; done; \
            until echo two >>file; do sleep 0.05; done; \
            while cat ~/notes; do sleep 0.05; done; echo gone' >../out 2>/dev/null & \
        until run=$(\"$SWATHE\" ps | awk 'END { if (NR > 1) print $1 }'); test -n \"$run\"; do sleep 0.05; done; \
        until \"$SWATHE\" grant $run files.dir=$HOME/notes; do sleep 0.05; done; \
        \"$SWATHE\" grant $run files.dir=$PWD/file:rw; \
        until grep -q two file; do sleep 0.05; done; \
        \"$SWATHE\" revoke $run files.dir=$HOME/notes; wait; tail -1 ../out; \
        \"$SWATHE\" grant $run files.dir=$HOME/notes || echo over";
    let ran = place.outside(text).go();
    assert!(ran.text().ends_with("gone\nover"), "{ran}");
    assert_eq!(place.host("cat file; head -1 ../out"), "one\ntwo\nhello");
}

/// In a directory that becomes writable meanwhile, protected names cannot be made, removed or
/// renamed away, and what stands in for them is gone with the run.
fn protected(place: &Place) {
    place.host("mkdir ../home/new ../home/repo; cd ../home/repo; git init -q .; echo a >file");
    let attack = "cd $d || exit; for n in .git .vscode .claude .idea; do mkdir -p $n; echo x >$n/x; done; \
        echo x >.envrc; echo x >.mcp.json; mkdir -p .git/hooks; echo x >.git/hooks/pre-commit; \
        echo x >>.git/config; mv .git .gone && mkdir -p .git/hooks && echo x >.git/hooks/pre-commit; \
        mv .envrc e; rm -rf .vscode .envrc; ln -s / .vscode; ln -sf / .envrc; echo fine >own; mkdir sub";
    let text = format!(
        "\"$SWATHE\" run -- sh -c 'echo up; until (echo x >~/new/w && echo x >~/repo/w); do sleep 0.05; done; \
            for d in ~/new ~/repo; do ({attack}); done' >../out 2>/dev/null & \
         until grep -q up ../out; do sleep 0.01; done 2>/dev/null; \
         run=$(\"$SWATHE\" ps | awk 'END {{ print $1 }}'); \
         \"$SWATHE\" grant $run files.dir=$HOME/new:rw files.dir=$HOME/repo:rw || exit 9; wait; \
         cd ../home; for n in $(seq 500); do \
            ls -A new repo | grep -qE 'rc$|json$|vscode|zed|idea|claude|codex|cursor|gemini|HEAD' || break; \
            sleep 0.01; done; \
         ls -A new repo; cat new/own repo/own; ls repo/.git/hooks | grep -v sample; \
         grep -c x= repo/.git/config || grep -x x repo/.git/config; git -C repo status --porcelain"
    );
    let ran = place.outside(&text).go();
    let left =
        "new:\nown\nsub\nw\n\nrepo:\n.git\nfile\nown\nsub\nw\nfine\nfine\n0\n?? file\n?? own\n?? w";
    assert_eq!(ran.text(), left, "{ran}");
}

/// A session takes them, too, before and while something runs in it, and what attends to it ends
/// with it.
fn session(place: &Place) {
    place.host("echo hello >../home/notes; echo one >file");
    let text = "\
        \"$SWATHE\" session start s; \"$SWATHE\" grant s files.dir=$HOME/notes; \
        \"$SWATHE\" run --session s -- cat \"$HOME/notes\"; \
        \"$SWATHE\" run --session s -- sh -c 'until echo two >>file; do sleep 0.05; done' 2>/dev/null & \
        \"$SWATHE\" grant s files.dir=$PWD/file:rw; wait; \
        \"$SWATHE\" revoke s files.dir=$HOME/notes; \"$SWATHE\" grant s files.hide=$PWD/file; \
        \"$SWATHE\" run --session s -- sh -c 'cat \"$HOME/notes\" file' 2>/dev/null || echo gone; \
        \"$SWATHE\" grant s files.dir=/ && echo bad; \"$SWATHE\" session stop s; \
        \"$SWATHE\" grant s files.dir=$HOME/notes || echo over";
    let ran = place.outside(text).go();
    assert_eq!(ran.text(), "hello\ngone\nover", "{ran}");
    assert_eq!(ran.left, 0, "{ran}");
    assert_eq!(place.host("cat file"), "one\ntwo");
}

/// What cannot be changed while it runs is refused, and what may never be shown.
fn not_granted(place: &Place) {
    let text = "\
        \"$SWATHE\" run -- sleep 100 & pid=$!; \
        until run=$(\"$SWATHE\" ps | awk 'END { if (NR > 1) print $1 }'); test -n \"$run\"; do sleep 0.05; done; \
        for i in net.all gpu files.dir=$HOME files.dir=/ files.dir=/nowhere files.dir=$PWD:append nonsense; do \
            \"$SWATHE\" grant $run $i 2>/dev/null && echo granted $i; done; \
        \"$SWATHE\" kill $run; wait $pid; echo done";
    let ran = place.outside(text).go();
    assert_eq!(ran.text(), "done", "{ran}");
}

both!(
    answers_are_recorded,
    renamed,
    once,
    links,
    reads,
    writes,
    writes_elsewhere,
    once_again,
    withdrawn_among_others,
    narrowed,
    makes,
    refused,
    nobody,
    granted,
    protected,
    session,
    not_granted
);
