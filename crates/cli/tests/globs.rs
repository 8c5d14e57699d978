//! Globs of `files.hide` hold for what appears while a sandbox runs, whoever makes it.

mod common;

use common::{Place, installed};

/// Runs a program in the background that waits for a name, while the host does something; what it
/// said.
fn meanwhile(place: &Place, options: &str, inside: &str, host: &str) -> String {
    place.host(&format!(
        "rm -f ../up ../go; mkfifo ../up ../go; exec 8<>../up 9<>../go; \
         \"$SWATHE\" run {options} -- sh -c '{inside}' 1>../said 2>&1 7>&- <../go & \
         {host}; wait; cat ../said"
    ))
}

/// What a program says until it cannot read a file any more: it is hidden soon, and for good.
const UNTIL_HIDDEN: &str = "echo up; read x; n=0; \
    until ! cat $f >/dev/null 2>&1 && test -e $f; do n=$((n + 1)); test $n -lt 3000 || exit 9; done; \
    cat $f 2>/dev/null; ls -l $f | cut -c1-10; echo hidden";

/// Files that the host makes, replaces and moves to a matching name.
fn by_the_host(place: &Place) {
    place.host("mkdir -p a/b; echo SECRET >a/first.key");
    for (name, host) in [
        ("made", "echo SECRET >a/b/new.key"),
        ("renamed", "echo SECRET >../x; mv ../x a/b/new.key"),
        ("linked", "echo SECRET >../x; ln ../x a/b/new.key"),
        ("replaced", "echo old >a/b/new.key; sleep 0.2; echo SECRET >a/y; mv a/y a/b/new.key"),
        ("directory", "mkdir ../d; echo SECRET >../d/new.key; mv ../d a/b/d"),
        ("deep", "mkdir -p a/b/c/d/e; echo SECRET >a/b/c/d/e/new.key"),
    ] {
        let file = match name {
            "directory" => "a/b/d/new.key",
            "deep" => "a/b/c/d/e/new.key",
            _ => "a/b/new.key",
        };
        for write in ["", "-w "] {
            let options = format!("{write}--allow \"files.hide=$PWD/**/*.key\"");
            let inside = format!("f={file}; {UNTIL_HIDDEN}");
            let host =
                format!("until grep -q up ../said; do sleep 0.01; done; {host}; echo go >&9");
            let said = meanwhile(place, &options, &inside, &host);
            assert!(said.contains("hidden") && !said.contains("SECRET"), "{name} {write}: {said}");
            assert_eq!(place.host(&format!("cat {file}")), "SECRET", "{name}: the host has it");
            place.host("rm -rf a/b ../d ../x; mkdir a/b");
        }
    }
}

/// What the program itself makes is hidden, too; and what it does with directories does not uncover
/// what is.
fn by_the_program(place: &Place) {
    place.host("mkdir a; echo SECRET >a/first.key");
    let options = format!("-w --allow files.hide={}/**/*.key", place.project(""));
    let text = "echo mine >own.key; mkdir b; echo mine >b/own.key; \
        until ! cat own.key >/dev/null 2>&1 && ! cat b/own.key >/dev/null 2>&1; do :; done; \
        mv b c; mv c d; cat d/own.key a/first.key; mv a/first.key f; rm a/first.key; \
        ln a/first.key g; cp a/first.key h; mkdir e; mv d e; cat e/d/own.key a/first.key; ls a e";
    let ran = place.inside(&options, text).go();
    assert_eq!(ran.text(), "a:\nfirst.key\n\ne:\nd", "{ran}");
    assert_eq!(place.host("cat a/first.key own.key e/d/own.key"), "SECRET\nmine\nmine");
}

/// A thread moves the directory all the time: the file is hidden all the same.
fn moved_all_the_time(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.host("mkdir -p a");
    place.dir.file(
        "project/move.py",
        "import os, sys, threading\n\
         stop = False\n\
         def move():\n\
         \x20   while not stop:\n\
         \x20       os.rename('a', 'b'); os.rename('b', 'a')\n\
         d = os.open('a', os.O_RDONLY | os.O_DIRECTORY)\n\
         threading.Thread(target=move, daemon=True).start()\n\
         print('up', flush=True)\n\
         sys.stdin.readline()\n\
         def read():\n\
         \x20   try: return os.read(os.open('new.key', os.O_RDONLY, dir_fd=d), 99)\n\
         \x20   except OSError: return b''\n\
         for n in range(10**6):\n\
         \x20   if not read(): break\n\
         print('hidden' if not any(read() for n in range(1000)) else 'seen', n < 10**6 - 1)\n\
         stop = True\n",
    );
    let options = "-w --allow \"files.hide=$PWD/**/*.key\"";
    let host = "until grep -q up ../said; do sleep 0.01; done; \
        until echo SECRET >a/new.key || echo SECRET >b/new.key; do :; done 2>/dev/null; echo go >&9";
    let said = meanwhile(place, options, "python3 move.py", host);
    assert!(said.contains("hidden True") || said.contains("moved all the time"), "{said}");
}

/// What is granted while it runs is looked through, and what matches is not granted.
fn granted(place: &Place) {
    place.host(
        "mkdir -p ../home/data/in; echo SECRET >../home/data/in/a.key; echo seen >../home/data/b",
    );
    let options = "--allow \"files.hide=$HOME/**/*.key\"";
    let inside = "echo up; read x; cat ~/data/in/a.key ~/data/b; echo next; read x; \
                  cat ~/data/b ~/data/in/a.key";
    let host = "until grep -q up ../said; do sleep 0.01; done; \
        run=$(\"$SWATHE\" ps | awk 'END { print $1 }'); \"$SWATHE\" grant $run files.dir=$HOME/data; \
        ! \"$SWATHE\" grant $run files.dir=$HOME/data/in/a.key; echo go >&9; \
        until grep -q next ../said; do sleep 0.01; done; \
        \"$SWATHE\" revoke $run files.dir=$HOME/data; echo go >&9";
    let said = meanwhile(place, options, inside, host);
    assert!(said.contains("seen") && said.contains("next"), "{said}");
    assert!(!said.contains("SECRET"), "{said}");
    assert_eq!(said.matches("seen").count(), 1, "{said}");
}

/// Sessions are looked after by a process that ends with them.
fn in_a_session(place: &Place) {
    place.host("mkdir a");
    let text = "\
        \"$SWATHE\" session start -w --allow \"files.hide=$PWD/**/*.key\" s; \
        echo SECRET >a/new.key; \
        \"$SWATHE\" run --session s -- sh -c 'echo mine >a/own.key; \
            until ! cat a/new.key >/dev/null 2>&1 && ! cat a/own.key >/dev/null 2>&1; do :; done; \
            mv a b; cat b/new.key b/own.key' 2>/dev/null || echo hidden; \
        \"$SWATHE\" session stop s; cat b/new.key b/own.key";
    let ran = place.outside(text).go();
    assert_eq!(ran.text(), "hidden\nSECRET\nmine", "{ran}");
    assert_eq!(ran.left, 0, "{ran}");
}

/// A glob that cannot be kept is an error, not silence: at the start, and later.
fn refused(place: &Place) {
    if !installed("unshare") {
        return;
    }
    place.host("mkdir -p a/b/c");
    let run = "\"$SWATHE\" run -w --allow \"files.hide=$PWD/**/*.key\" --";
    let limited = |most: u32, command: &str| {
        let text = format!("echo {most} >/proc/sys/user/max_inotify_watches; {run} {command}");
        place.outside(&format!("unshare --user --map-root-user sh -c '{text}'")).go()
    };
    let ran = limited(1000, "echo ran");
    if ran.text() != "ran" {
        swathe_testkit::notice("no sandbox in a user namespace here: the limit is not tried");
        return;
    }
    let ran = limited(3, "echo ran");
    assert!(ran.text().is_empty() && ran.ended.shell() == 1, "{ran}");
    assert!(ran.errors().contains("too many directories watched"), "{ran}");
    let ran =
        limited(20, "sh -c \"mkdir 1 2 3 4 5 6 7 8 9 d e f g h i j k l m n; sleep 60; echo ran\"");
    assert!(ran.text().is_empty() && ran.ended.shell() == 137, "{ran}");
    assert!(ran.errors().contains("too many directories watched"), "{ran}");
}

both!(by_the_host, by_the_program, moved_all_the_time, granted, in_a_session, refused);
