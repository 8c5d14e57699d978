//! Attacks on the sandbox's first process, from the command.

use std::fs::File;
use swathe_testkit::{Bwrap, Side, contract, notice, pipe, usr};

/// How often a race is run.
const TRIES: usize = 40;

/// A directory that was given by descriptor belongs to the host's mount namespace: whoever reached
/// that descriptor could walk up from it, out of the sandbox. Pid 1, which others may look into when
/// somebody has asked for its number, has lost it before the command takes its first step.
fn descriptors_of_the_host(b: &Bwrap) {
    let temp = b.temp();
    let place = temp.dir("given");
    for document in ["--info-fd", "--json-status-fd"] {
        for _ in 0..TRIES {
            let (_read, write) = pipe();
            let words = format!(
                "--unshare-pid --proc /proc --ro-bind {0} {0} {document} 7 --bind-fd 8 /given {0} pid1",
                swathe_testkit::probe().display()
            );
            let given = File::open(&place).expect("open");
            let outcome = b.run(&words).fd(7, write).fd(8, given).exits(0);
            for fd in 0..64 {
                let seen = outcome.all(&format!("pid1.fd.{fd}"));
                assert!(!seen.contains(&place), "{outcome}");
            }
        }
    }
}

/// A caller without standard streams does not make pid 1 hold something of ours at their numbers
/// that leads anywhere.
fn closed_streams(b: &Bwrap) {
    if b.side == Side::Original {
        notice("the original keeps the host's /proc open where a standard stream was closed");
        return;
    }
    let script = format!(
        "\"$BWRAP\" {} --unshare-pid --proc /proc --info-fd 7 sh -c \
        'ls /proc/1/fd/0/ /proc/1/fd/0/1; readlink /proc/1/fd/0' <&-",
        usr()
    );
    let (_read, write) = pipe();
    let outcome = b.script(&script).fd(7, write).go();
    assert!(!outcome.text().lines().any(|line| line == "/proc"), "{outcome}");
    assert!(!outcome.text().contains("cmdline"), "{outcome}");
}

/// Nobody asked for pid 1's number: then nothing of it can be opened, by an ordinary user or root of
/// a user namespace, with and without capabilities.
fn nothing_of_pid_1_is_open(b: &Bwrap) {
    for options in ["", "--uid 0 --gid 0", "--cap-add ALL", "--cap-add ALL --uid 0"] {
        let words = format!("{} --unshare-user --unshare-pid --proc /proc {options} sh -c", usr());
        // Opening is not enough: some files ask for permission only when they are read.
        let text = "for p in 1 self; do
            for f in environ auxv syscall; do
                x=$(tr -d '\\0' < /proc/$p/$f 2>&1) && [ -n \"$x\" ] && echo $p $f; done
            for f in exe fd/0 root cwd ns/mnt; do
                x=$(readlink /proc/$p/$f) && echo $p $f; done
            x=$(ls /proc/$p/root/usr) && echo $p root/usr
            done; true";
        let outcome = b.run(&words).arg(text).exits(0);
        let seen = outcome.text();
        assert!(
            seen.contains("self auxv")
                && seen.contains("self exe")
                && seen.contains("self root/usr"),
            "control: {outcome}"
        );
        if b.side == Side::Ours {
            assert!(!seen.lines().any(|line| line.starts_with("1 ")), "{outcome}");
        } else {
            notice("the original's pid 1 can be looked into");
        }
    }
}

/// With pid 1's number asked for, its owner's program still cannot be changed by the command, its
/// memory cannot be read, and its descriptors cannot be had.
fn pid_1_of_a_document(b: &Bwrap) {
    if b.side == Side::Original || b.is_root() {
        notice("pid 1 with a document: root looks into any process, and the original's can be");
        return;
    }
    for options in ["", "--cap-add ALL", "--uid 0 --gid 0"] {
        document(b, options);
    }
}

fn document(b: &Bwrap, options: &str) {
    let temp = b.temp();
    let script = format!(
        "cp \"$BWRAP\" $T/copy && chmod 755 $T/copy && \"$T/copy\" {} --unshare-pid --proc /proc \
        {options} --info-fd 7 sh -c 'chmod 6777 /proc/1/exe; for f in mem environ fd/0 root/usr; do \
        (exec 3< /proc/1/$f) && echo open $f; done; true'",
        usr()
    );
    let (_read, write) = pipe();
    let outcome = b.script(&script).env("T", temp.path()).fd(7, write).exits(0);
    assert_eq!(temp.mode_of("copy"), Some(0o755), "{outcome}");
    assert_eq!(outcome.text(), "", "{outcome}");
}

/// The caller's environment, cleared for the command, is not in pid 1's either.
fn secrets_of_the_caller(b: &Bwrap) {
    let words = format!(
        "{} --clearenv --setenv PATH /usr/bin --unshare-pid --proc /proc --info-fd 7 sh -c",
        usr()
    );
    let (_read, write) = pipe();
    let text = "tr '\\0' '\\n' < /proc/1/environ; tr '\\0' '\\n' < /proc/1/cmdline; true";
    let outcome = b.run(&words).arg(text).env("SECRET", "hunter2").fd(7, write).exits(0);
    if b.side == Side::Ours {
        assert!(!outcome.text().contains("hunter2"), "{outcome}");
        assert!(!outcome.text().contains("--clearenv"), "{outcome}");
    } else if !b.is_root() {
        assert!(outcome.text().contains("hunter2"), "the control: {outcome}");
    }
}

/// While a sandbox is set up beside another one, in its user and pid namespace, the process that
/// does so still has the host's root. A neighbour that has all capabilities there cannot reach it.
fn a_neighbour_with_capabilities(b: &Bwrap) {
    if b.side == Side::Original {
        notice("the original can be taken over by a neighbour while it joins");
        return;
    }
    let temp = b.temp();
    temp.file("marker", "");
    let script = format!(
        "\"$BWRAP\" {usr} --unshare-user --unshare-pid --proc /proc --cap-add ALL \
            --info-fd 9 sh -c 'echo ok >&8; exec 8>&-
            while :; do for p in /proc/[0-9]*; do
                if [ -e $p/root/$0/marker ]; then echo reached $p; exit; fi; done; done' $T \
            9>&8 & first=$!
        read x <&7; read x n <&7; n=${{n%,}}; while [ \"$x\" != ok ]; do read x <&7; done
        exec 5< /proc/$n/ns/user 6< /proc/$n/ns/pid
        # The control: whoever is outside reaches it.
        [ -e /proc/$$/root/$T/marker ] && echo control
        n=0; while [ $n -lt 60 ]; do n=$((n+1))
            \"$BWRAP\" {usr} --userns 5 --pidns 6 true; done
        kill -KILL $first; wait",
        usr = usr()
    );
    let (read, write) = pipe();
    let outcome = b
        .script(&script)
        .env("T", temp.path())
        .fd(7, read)
        .fd(8, write)
        .may_leave(std::time::Duration::from_secs(1))
        .go();
    assert_eq!(outcome.text(), "control", "{outcome}");
}

contract! {
    a_neighbour_with_capabilities,
    descriptors_of_the_host,
    closed_streams,
    nothing_of_pid_1_is_open,
    pid_1_of_a_document,
    secrets_of_the_caller,
}
