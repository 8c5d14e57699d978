//! Attacks on the file tree from outside: what is left of the host, and what comes in later.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use swathe_testkit::{Bwrap, Side, contract, notice, pipe, probe, usr};

/// What somebody sees who joins the mount namespace: the names in its root, and how many mounts
/// there are. Joining goes to the topmost mount of the namespace's root, which is where an old root
/// would lie that was not unmounted.
fn joined(pid: i32) -> (BTreeSet<String>, usize) {
    let namespace = File::open(format!("/proc/{pid}/ns/mnt")).expect("the namespace");
    let table = || {
        // Looked up anew in the thread's own namespace, through the procfs of before.
        fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("the mount table")
    };
    let mounts = table().lines().count();
    std::thread::spawn(move || {
        // SAFETY: a thread of its own, with file-system attributes of its own; nothing else in the
        // process sees the change.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_FS), 0, "unshare");
            assert_eq!(libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS), 0, "setns");
        }
        let names = fs::read_dir("/").expect("the root").flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        (names, mounts)
    })
    .join()
    .expect("the view of the namespace")
}

/// Joining a sandbox's mount namespace shows the sandbox's root and nothing of the host's, in
/// whichever way that root was made.
fn the_root_from_outside(b: &Bwrap) {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        notice("not started as root: nobody joins mount namespaces");
        return;
    }
    let own = format!("{} --ro-bind {1} {1}", usr(), probe().display());
    let mut roots = vec![
        own.clone(),
        format!("{own} --dir /only-here"),
        format!("--tmpfs / {own} --dir /only-here"),
        format!("--ro-bind / / --tmpfs / {own}"),
        format!("--bind / / --tmpfs / --tmpfs / {own}"),
        format!("--ro-bind /usr / --tmpfs / {own}"),
        format!("--tmpfs /a --ro-bind /usr / --tmpfs / {own} --ro-bind-data 9 /data"),
        format!("--ro-bind / / --tmpfs / {own} --bind-data 9 /data"),
        format!("--ro-bind / / --overlay-src /usr --tmp-overlay /mnt --tmpfs / {own}"),
    ];
    if b.side == Side::Ours {
        roots.push(format!("--ro-bind / / --mask /etc/passwd --tmpfs / {own}"));
        for kernel in ["5.4", "5.8"] {
            roots.push(format!("--assume-kernel {kernel} {own} --bind-data 9 /data"));
            roots.push(format!("--assume-kernel {kernel} --ro-bind / / --tmpfs / {own}"));
        }
    }
    for root in roots {
        for pid in ["", "--unshare-pid"] {
            let (mut document, write) = pipe();
            let (input, hold) = pipe();
            let words =
                format!("{root} {pid} --json-status-fd 8 {} pid --sleep", probe().display());
            let running =
                b.run(&words).stdin(input).fd(8, write).fd(9, swathe_testkit::data("x")).start();
            let mut text = [0; 256];
            let count = document.read(&mut text).expect("the document");
            let text = String::from_utf8_lossy(&text[..count]).into_owned();
            let child: i32 = text
                .split(|c: char| !c.is_ascii_digit())
                .find(|word| !word.is_empty())
                .and_then(|word| word.parse().ok())
                .unwrap_or_else(|| panic!("no pid in {text:?}"));
            let child = settled(child);
            let inside: BTreeSet<String> = fs::read_dir(format!("/proc/{child}/root"))
                .expect("the sandbox's root")
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            let (seen, mounts) = joined(child);
            assert!(inside.contains("usr") && !inside.contains("etc"), "{root}: {inside:?}");
            assert_eq!(seen, inside, "{root}");
            assert!(mounts < 12, "{mounts} mounts: {root}");
            drop(hold);
            running.wait();
        }
    }
}

/// The process that is the command, once it is: the probe's program, as child or grandchild.
fn settled(first: i32) -> i32 {
    for _ in 0..1000 {
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let below: Vec<i32> =
            children.unwrap_or_default().split(' ').filter_map(|pid| pid.parse().ok()).collect();
        for pid in below.into_iter().chain([first]) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if name.starts_with("swathe-probe") {
                return pid;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("no command below {first}");
}

/// A mount that is not to be bound elsewhere does not escape a read-only root.
fn unbindable_mounts(b: &Bwrap) {
    let temp = b.temp();
    temp.dir("m");
    let text = format!(
        "mount -t tmpfs -o mode=777 x $T/m && mount --make-unbindable $T/m
        touch $T/m/control
        for words in '--ro-bind / /' '{} --ro-bind / /mnt'; do
            $AS \"$BWRAP\" $words sh -c \"touch $T/m/evil /mnt$T/m/evil 2>&1\" > $T/log; done
        ls $T/m",
        usr()
    );
    let Some(run) = b.root_script(&text) else { return };
    let outcome = run.env("T", temp.path()).go();
    assert_eq!(outcome.text(), "control", "{outcome}");
}

/// Something mounted over "/" by the caller is neither lost nor a way out: either the sandbox is
/// right or there is none.
fn something_over_the_root(b: &Bwrap) {
    for root in [
        "--ro-bind / /",
        "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64",
    ] {
        let text = format!(
            "mount -t tmpfs over / && $AS \"$BWRAP\" {root} sh -c 'for d in /..  /../..; do ls $d; done'"
        );
        let Some(run) = b.root_script(&text) else { return };
        let outcome = run.go();
        if root.starts_with("--ro-bind /usr") {
            assert!(!outcome.text().lines().any(|name| name == "etc"), "{outcome}");
        }
        let status = outcome.ended.shell();
        assert!(status == 0 || status == 1, "{outcome}");
    }
}

/// A mount that the host makes later never arrives where it could be written below a read-only
/// bind, also on older kernels.
fn later_mounts_on_older_kernels(b: &Bwrap) {
    if b.side == Side::Original {
        notice("the original lets later mounts arrive writable");
        return;
    }
    for kernel in ["5.8", "5.4", "6.18"] {
        for root in ["--ro-bind / /", "--bind / / --ro-bind $T $T"] {
            let temp = b.temp();
            temp.dir("m");
            let text = format!(
                "mount --make-rshared / && mkfifo $T/go $T/up && chmod 666 $T/go $T/up
                $AS \"$BWRAP\" --assume-kernel {kernel} {root} sh -c \
                    'echo >&4; read x; touch $T/m/evil 2>&-; ls $T/m' < $T/go 4> $T/up & \
                exec 5> $T/go; read x < $T/up; mount -t tmpfs -o mode=777 late $T/m && \
                touch $T/m/late; echo >&5; wait; ls $T/m"
            );
            let Some(run) = b.root_script(&text) else { return };
            let outcome = run.env("T", temp.path()).go();
            // The host sees its own; the sandbox nothing.
            assert_eq!(outcome.text(), "late", "{kernel} {root}: {outcome}");
        }
    }
}

contract! {
    the_root_from_outside,
    unbindable_mounts,
    something_over_the_root,
    later_mounts_on_older_kernels,
}
