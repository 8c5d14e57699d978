//! `swathe trash`: what is chosen, asked and refused, and where things are kept.

mod common;

use common::Place;

const RUN: &str = "$SWATHE run --allow files.cwd=trash --";

fn selects(place: &Place) {
    place.host(&format!(
        "echo 1 >a; {RUN} rm a; echo 22 >a; {RUN} rm a; mkdir d; echo 3 >d/b; {RUN} rm d/b"
    ));
    let list = |words: &str| place.swathe(&format!("trash list {words}")).prints();
    assert_eq!(list("").lines().count(), 4);
    assert_eq!(list("d").lines().count(), 2);
    assert_eq!(list(&place.project("a")).lines().count(), 3);
    assert_eq!(list("none"), "nothing is there");
    assert_eq!(list("--run none"), "nothing is there");
    // The newest at a path, or one by its id.
    let text = list("a");
    let id = text.lines().nth(2).and_then(|line| line.split(' ').next()).expect("an id");
    place.swathe(&format!("trash restore a {id} --to .")).exits(1);
    assert_eq!(place.host("cat a"), "22");
    place.swathe(&format!("trash restore {id} --to old")).exits(0);
    assert_eq!(place.host("cat old"), "1");
    let run = list("d").lines().nth(1).and_then(|l| l.split_whitespace().nth(3)).map(str::to_owned);
    place.host("rm old a; rmdir d");
    let ran = place.swathe("trash restore d/b").exits(1);
    assert!(ran.errors().contains("--parents"), "{ran}");
    place.swathe(&format!("trash restore --parents --run {} d/b", run.expect("a run"))).exits(0);
    assert_eq!(place.host("cat d/b"), "3");
}

/// A word that means nothing is said before anything is restored.
fn restores_all_or_says(place: &Place) {
    place.host(&format!("echo 1 >a; {RUN} rm a"));
    let ran = place.swathe("trash restore a none").exits(1);
    assert!(ran.errors().contains("/none"), "{ran}");
    place.host("test ! -e a");
    place.swathe("trash restore a").exits(0);
}

fn empties(place: &Place) {
    place.host(&format!("echo 1 >a; echo 2 >b; mkdir d; echo 3 >d/c; {RUN} rm -r a b d"));
    let ran = place.swathe("trash empty --all").exits(1);
    assert!(ran.errors().contains("--yes destroys without asking"), "{ran}");
    place.swathe("trash empty").exits(2);
    assert_eq!(
        place.swathe("trash empty --older-than 1h --yes").prints(),
        "destroyed 0 things, 0B"
    );
    assert_eq!(place.swathe("trash empty --yes a").prints(), "destroyed 1 thing, 2B");
    assert_eq!(place.swathe("trash empty --yes d").prints(), "destroyed 2 things, 2B");
    assert_eq!(place.swathe("trash list --json").prints().matches("\"id\"").count(), 1);
    assert_eq!(place.swathe("trash empty --older-than 0s --yes").prints(), "destroyed 1 thing, 2B");
    place.swathe("trash empty --older-than -1d --yes").exits(2);
    place.swathe("trash limits --size 1X").exits(2);
    assert_eq!(
        place.swathe("trash limits --size 2G --entries 9").prints(),
        "each trash holds at most 2.0G and 9 things"
    );
    assert_eq!(place.swathe("trash limits").prints(), "each trash holds at most 2.0G and 9 things");
}

/// The supervisor is killed in the middle: each file is where it was, or in the trash, as a whole; and
/// what is restored is all of it.
fn killed(place: &Place) {
    let text = format!(
        "mkdir t n; for i in $(seq 300); do echo old $i >t/$i; echo new $i >n/$i; done; \
        {RUN} sh -c 'cd n; for i in *; do mv -f $i ../t/; done; rm -rf ../t' 2>/dev/null & \
        sleep $DELAY; kill -9 $!; wait $! 2>/dev/null; \
        until $SWATHE ps | grep -q 'no sandbox'; do sleep 0.02; done; \
        find t n $HOME/.local/share/swathe/trash/files -type f -exec cat {{}} + | sort -u | wc -l; \
        $SWATHE trash restore t >/dev/null 2>&1; cat t/* n/* 2>/dev/null | grep -c new; \
        rm -rf t n; $SWATHE trash empty --all --yes >/dev/null"
    );
    for delay in ["0.05", "0.1", "0.15", "0.2", "0.3", "0.4", "0.8", "1.6", "2.4"] {
        let ran = place.outside(&text).env("DELAY", delay).go();
        assert_eq!(ran.text().trim(), "600\n300", "{delay}: {ran}");
    }
}

/// What an interrupted removal left, what somebody else made, and what is no entry at all.
fn damaged(place: &Place) {
    place.host(&format!("echo 1 >a; echo 2 >b; {RUN} rm a b"));
    let ran = place.host(
        "cd $HOME/.local/share/swathe/trash; i=$(ls info | head -1); rm files/${i%.json}; \
        echo '{' >info/0000000000001.json; echo x >files/0000000000001; \
        ln -s /etc/passwd info/0000000000002.json; mkdir info/0000000000003.json; \
        echo x >'info/../files/stray'; touch info/notes.txt; $SWATHE trash list | wc -l",
    );
    assert_eq!(ran, "2");
    place.swathe("trash restore b").exits(0);
    place.swathe("trash restore a").exits(1);
    let base = "$HOME/.local/share/swathe/trash";
    // Not before it is certain that nothing is on its way.
    assert_eq!(place.host(&format!("ls {base}/info | wc -l")), "5");
    // One that others can change is not used.
    place.host(&format!("chmod 777 {base}"));
    let ran = place.outside(&format!("{RUN} true")).exits(1);
    assert!(ran.errors().contains("is not a directory of this user alone"), "{ran}");
    let ran = place.swathe("trash list").exits(1);
    assert!(ran.errors().contains("is not a directory of this user alone"), "{ran}");
}

/// `ext` is a file system of its own in the test's directory.
fn mounted(place: &Place, owner: &str, text: &str) -> Option<String> {
    let run = place.root(&format!(
        "set -e; cd ..; mkdir ext; mount -t tmpfs -o mode=755,{owner} none ext; cd ext; \
        RUN='$AS $SWATHE run --allow files.cwd=trash --'; {text}"
    ))?;
    Some(run.prints())
}

/// On another file system things are renamed to a trash of its own there, which no later run sees.
fn other_file_system(place: &Place) {
    let uid = place.swathe.uid();
    let Some(text) = mounted(
        place,
        &format!("uid={uid}"),
        "$AS mkdir -p p/q; $AS sh -c 'echo secret >p/a; ls -i p/a | cut -d\" \" -f1 >p/ino'; cd p; \
        eval $RUN rm a; ls -i ../.swathe-trash-*/files | cut -d' ' -f1 | diff - ino && echo renamed; \
        cd ..; $AS $SWATHE trash list --json | grep -c ext/.swathe-trash; \
        $AS $SWATHE run -- sh -c 'ls .swathe-trash* 2>&1; cat .swathe-trash*/files/* 2>&1' | \
            grep -c secret || true; \
        eval $RUN sh -c \"'rm -rf .swathe-trash* p/ino'\" 2>/dev/null || true; \
        $AS $SWATHE trash restore p/a; cat p/a; \
        mount --bind $HOME /mnt; umount -l .; cd ..; $AS $SWATHE trash list 2>&1 | grep -c 'No such'",
    ) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    let restored = format!("restored {}", place.dir.at("ext/p/a"));
    assert_eq!(lines, ["renamed", "1", "0", &restored, "secret", "1"]);
}

/// Where no directory of the file system is out of the program's sight, things are copied.
fn copies(place: &Place) {
    let uid = place.swathe.uid();
    let Some(text) = mounted(
        place,
        &format!("uid={uid}"),
        "$AS sh -c 'echo one >a; chmod 640 a; touch -d @1000000000 a; ln -s a l; mkfifo f; \
            setfattr -n user.k -v v a || true; echo n >n; echo old >o; mkdir e'; \
        eval $RUN sh -c \"'rm -r a l f e; mv n o'\"; ls -A | grep -v '^\\.[a-z]\\|HEAD' ; \
        ls -A | grep -c swathe || true; \
        $AS $SWATHE trash restore a l f e; stat -c '%a %Y %U' a; cat a; readlink l; test -p f; \
        test -d e; $AS $SWATHE trash restore o --to o.old; cat o.old",
    ) else {
        return;
    };
    let name = if place.swathe.is_root() { "root".to_owned() } else { user_name(uid) };
    let at = |name: &str| format!("restored {}", place.dir.at(&format!("ext/{name}")));
    let mode = format!("640 1000000000 {name}");
    let expected =
        ["o", "0", &at("a"), &at("l"), &at("f"), &at("e"), &mode, "one", "a", &at("o.old"), "old"];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    user.and_then(|line| line.split(':').next()).unwrap_or("UNKNOWN").to_owned()
}

/// No room on the disk of the trash: what cannot be copied is not removed.
fn disk_full(place: &Place) {
    let uid = place.swathe.uid();
    let Some(text) = mounted(
        place,
        &format!("uid={uid}"),
        "$AS mkdir -p $HOME/.local/share/swathe/trash; $AS chmod 700 $HOME/.local/share/swathe/trash; \
        mount -t tmpfs -o size=64k,mode=700,uid=$($AS id -u) none $HOME/.local/share/swathe/trash; \
        $AS sh -c 'head -c 200000 /dev/zero >a; head -c 200000 /dev/zero >b; echo n >n'; \
        eval $RUN sh -c \"'rm a; mv n b'\" 2>&1 | grep -c 'No space left'; stat -c %s a b n; \
        find $HOME/.local/share/swathe/trash/files $HOME/.local/share/swathe/trash/info -type f",
    ) else {
        return;
    };
    assert_eq!(text, "2\n200000\n200000\n2");
}

both!(
    restores_all_or_says,
    selects,
    empties,
    killed,
    damaged,
    other_file_system,
    copies,
    disk_full
);
