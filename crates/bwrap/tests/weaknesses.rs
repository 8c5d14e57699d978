//! Published weaknesses of sandbox launchers, each tried from the outside or the inside.

use std::fs::File;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use swathe_testkit::{Bwrap, Ended, TempDir, Terminal, contract, notice, pipe, usr};

/// A directory that will be bound writable, with a link in it to where the old root used to be
/// while the sandbox is set up, and a victim elsewhere.
fn planted(b: &Bwrap, link: &str) -> (TempDir, TempDir) {
    let (shared, victim) = (b.temp(), b.temp());
    victim.file("file", "untouched");
    victim.mode("file", 0o640);
    victim.dir("dir");
    victim.mode("dir", 0o750);
    let target = link.replace("VICTIM", &victim.path().display().to_string());
    shared.link(&target, "link");
    (shared, victim)
}

#[track_caller]
fn untouched(victim: &TempDir) {
    assert_eq!(victim.list(""), ["dir", "file"]);
    assert_eq!(victim.list("dir"), [""; 0]);
    assert_eq!(victim.read("file").as_deref(), Some("untouched"));
    assert_eq!(victim.mode_of("file"), Some(0o640));
    assert_eq!(victim.mode_of("dir"), Some(0o750));
}

/// CVE-2026-87766: links planted below a writable bind, to the place of the old root, make nothing
/// and change nothing on the host, whichever operation meets them, as destination or as parent.
fn links_to_the_old_root(b: &Bwrap) {
    let links = [
        "/oldroot/VICTIM/dir",
        "/oldroot/VICTIM/file",
        "/oldroot/VICTIM/new",
        "/../oldroot/VICTIM/dir",
        "../../../../../oldroot/VICTIM/dir",
        "/proc/1/root/VICTIM/dir",
        "/newroot/../oldroot/VICTIM/dir",
        "/oldroot/VICTIM",
    ];
    let operations = [
        "--dir",
        "--file 9",
        "--chmod 0777",
        "--tmpfs",
        "--symlink x",
        "--ro-bind /dev/null",
        "--bind /usr",
        "--bind-data 9",
        "--ro-bind-data 9",
        "--dev",
        "--proc",
        "--mqueue",
        "--remount-ro",
    ];
    for link in links {
        for operation in operations {
            for below in ["", "/x/y"] {
                let (shared, victim) = planted(b, link);
                let words = format!(
                    "{} --bind {} /q {operation} /q/link{below} true",
                    usr(),
                    shared.path().display()
                );
                let outcome = b.run(&words).fd(9, swathe_testkit::data("evil")).go();
                untouched(&victim);
                assert!(matches!(outcome.ended, Ended::Exit(_)), "{outcome}");
            }
        }
    }
}

/// The same through a descriptor's link in the old root's procfs.
fn links_to_descriptors(b: &Bwrap) {
    for fd in [3, 4, 5, 6, 7, 8, 9] {
        for operation in ["--dir", "--file 9", "--chmod 0777", "--tmpfs", "--symlink x"] {
            for root in ["/oldroot", ""] {
                let (shared, victim) = planted(b, &format!("{root}/proc/self/fd/{fd}"));
                let words = format!(
                    "{} --proc /proc --bind {} /q {operation} /q/link/new true",
                    usr(),
                    shared.path().display()
                );
                let open = || File::open(victim.path()).expect("open");
                b.run(&words).fd(7, open()).fd(8, open()).fd(9, open()).go();
                untouched(&victim);
            }
        }
    }
}

/// A dangling relative link below a writable bind is not followed to make its target.
fn dangling_links(b: &Bwrap) {
    for operation in ["--ro-bind /dev/null", "--file 9", "--bind-data 9", "--dir", "--tmpfs"] {
        let shared = b.temp();
        shared.link("created", "link");
        let words =
            format!("{} --bind {} /q {operation} /q/link true", usr(), shared.path().display());
        b.run(&words).fd(9, swathe_testkit::data("evil")).exits(1);
        assert_eq!(shared.list(""), ["link"]);
    }
}

/// CVE-2024-42472, CVE-2026-34078: while the caller's directories change places all the time,
/// --bind-fd mounts the inode that it was given, or the launch fails.
fn swapped_directories(b: &Bwrap) {
    let temp = b.temp();
    temp.file("x", "");
    for (dir, content) in [("mine", "mine"), ("secret", "secret")] {
        temp.dir(dir);
        temp.file(&format!("{dir}/f"), content);
    }
    let path = |name: &str| std::ffi::CString::new(temp.at(name)).expect("no NUL");
    let (one, two, stop) = (path("mine"), path("secret"), AtomicBool::new(false));
    let fd = File::open(temp.at("mine")).expect("open");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // SAFETY: two C strings and numbers.
                unsafe {
                    libc::renameat2(
                        libc::AT_FDCWD,
                        one.as_ptr(),
                        libc::AT_FDCWD,
                        two.as_ptr(),
                        libc::RENAME_EXCHANGE,
                    )
                };
            }
        });
        let outcomes: Vec<_> = (0..60)
            .map(|_| {
                let words = format!("{} --bind-fd 9 /q cat /q/f", usr());
                b.run(&words).fd(9, fd.try_clone().expect("a descriptor")).go()
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            let good = outcome.ended == Ended::Exit(0) && outcome.text() == "mine"
                || outcome.ended == Ended::Exit(1) && outcome.out.is_empty();
            assert!(good, "{outcome}");
        }
    });
}

/// CVE-2017-5226: with --new-session nothing can be pushed into the caller's terminal.
fn terminal_injection(b: &Bwrap) {
    if b.is_root() {
        return; // Real root may push into any terminal.
    }
    let pushes = std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti");
    if pushes.is_ok_and(|text| text.trim() == "0") {
        notice("the kernel lets nobody push into terminals: --new-session is not what prevents it");
    } else {
        let terminal = Terminal::open(b);
        let text = "setsid -c \"$BWRAP\" --dev-bind / / \"$PROBE\" tiocsti";
        let outcome = b.script(text).fd(0, terminal.inner()).exits(0);
        assert_eq!(outcome.one("tiocsti.plain"), "pushed", "the control: {outcome}");
    }
    for options in
        ["--new-session", "--new-session --unshare-pid", "--new-session --unshare-pid --as-pid-1"]
    {
        let terminal = Terminal::open(b);
        let text = format!("setsid -c \"$BWRAP\" --dev-bind / / {options} \"$PROBE\" tiocsti");
        let outcome = b.script(&text).fd(0, terminal.inner()).exits(0);
        assert_eq!(outcome.one("tiocsti.plain"), "refused", "{outcome}");
        assert_eq!(outcome.one("tiocsti.high"), "refused", "{outcome}");
    }
}

/// CVE-2019-8308: the launcher's program cannot be written through /proc/1/exe.
fn writing_our_program(b: &Bwrap) {
    let temp = b.temp();
    let script = format!(
        "cp \"$BWRAP\" $T/copy && cksum < $T/copy && \"$T/copy\" {} \
        --unshare-pid --proc /proc --dev /dev sh -c '
        (echo evil > /proc/1/exe) 2> /dev/null && echo written; (echo evil >> /proc/1/exe) 2> \
        /dev/null && echo written;
        (echo evil > /proc/$PPID/exe) 2> /dev/null && echo written'; cksum < $T/copy",
        usr()
    );
    let outcome = b.script(&script).env("T", temp.path()).go();
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{outcome}");
}

/// Nor can its mode be changed that way, by the user whose file it is. (Real root may look into any
/// process.)
fn changing_the_mode_of_our_program(b: &Bwrap) {
    if b.is_root() {
        return;
    }
    b.original_differs("launcher-mode", || {
        let temp = b.temp();
        let script = format!(
            "cp \"$BWRAP\" $T/copy && chmod 755 $T/copy && \"$T/copy\" {} \
            --unshare-pid --proc /proc --dev /dev \
            chmod 6777 /proc/1/exe; true",
            usr()
        );
        b.script(&script).env("T", temp.path()).exits(0);
        assert_eq!(temp.mode_of("copy"), Some(0o755));
    });
}

/// What the host mounts later below a bind arrives below a writable one, as a slave's mounts do;
/// below a read-only one it must not, since it would be writable there.
fn later_mounts(b: &Bwrap) {
    for option in ["bind", "dev-bind", "ro-bind"] {
        let temp = b.temp();
        temp.dir("host/m");
        temp.mode("host/m", 0o777);
        let text = format!(
            "mount --make-rshared / && cd $T && mkfifo go ready && chmod 666 go ready
            $AS \"$BWRAP\" {} --proc /proc --{option} $T/host /q sh -c 'exec 3<&0; echo > \
            /dev/fd/4; read x; touch /q/m/new 2>&- && echo written; grep -c /q/m \
            /proc/self/mountinfo' \
                < go 4> ready &
            exec 5> go; read x < ready
            mount -t tmpfs -o mode=777 later $T/host/m
            echo >&5; wait",
            usr()
        );
        let text = text.replace("exec 3<&0; echo > /dev/fd/4;", "echo >&4;");
        let Some(run) = b.root_script(&text) else { return };
        let outcome = run.env("T", temp.path()).go();
        if option == "ro-bind" {
            b.original_differs("private-read-only", || {
                assert_eq!(outcome.text(), "0", "{outcome}")
            });
        } else {
            assert_eq!(outcome.text(), "written\n1", "{outcome}");
        }
    }
}

/// What the sandbox mounts does not arrive on the host.
fn mounts_stay_inside(b: &Bwrap) {
    let temp = b.temp();
    let text = format!(
        "mount --make-rshared / && $AS \"$BWRAP\" --bind / / --tmpfs {0} \
        --cap-add ALL sh -c 'mkdir {0}/x; mount -t tmpfs x {0}/x; true'
        grep -c {0} /proc/self/mountinfo",
        temp.path().display()
    );
    let Some(run) = b.root_script(&text) else { return };
    assert_eq!(run.go().text(), "0");
    assert_eq!(temp.list(""), [""; 0]);
}

/// When any operation fails, the payload does not run.
fn nothing_runs_after_a_failure(b: &Bwrap) {
    let temp = b.temp();
    let failures = [
        "--bind /nonexistent /x",
        "--tmpfs /etc/passwd",
        "--chdir /nonexistent",
        "--seccomp 987",
        "--chmod 0700 /nonexistent",
        "--userns 987",
        "--remount-ro /etc/passwd",
        "--file 987 /tmp/x",
        "--bind-fd 987 /tmp",
        "--overlay-src /nonexistent --tmp-overlay /tmp",
        "--unshare-uts --hostname a-host-name-with-more-letters-than-the-sixty-four-that-are-allowed-there",
    ];
    for options in failures {
        let words =
            format!("--bind / / --bind {0} {0} {options} touch {0}/ran", temp.path().display());
        let outcome = b.run(&words).may_leave(std::time::Duration::from_secs(1)).exits(1);
        assert!(outcome.message().starts_with("bwrap: "), "{outcome}");
        assert_eq!(temp.list(""), [""; 0], "{outcome}");
    }
}

/// That holds for a lock that cannot be had, too.
fn nothing_runs_without_the_lock(b: &Bwrap) {
    b.original_differs("lock-before-payload", || {
        let temp = b.temp();
        let words = format!("--bind / / --lock-file /nonexistent touch {}", temp.at("ran"));
        b.run(&words).may_leave(std::time::Duration::from_secs(1)).exits(1);
        assert_eq!(temp.list(""), [""; 0]);
    });
}

/// The old root is gone: no path leads out, neither by `..`, /proc nor a working directory.
fn the_old_root_is_gone(b: &Bwrap) {
    let secret = b.temp();
    let path = secret.file("secret", "secret");
    let words = format!("{} --unshare-pid --proc /proc --dev /dev sh -c", usr());
    let script = format!(
        "for p in '' /.. /../.. /oldroot /newroot/.. /proc/1/root /proc/self/root /proc/1/cwd \
            /proc/self/cwd /proc/2/root/..; do cat $p{path} 2> /dev/null; done; true"
    );
    let outcome = b.run(&words).arg(&script).cwd(secret.path()).exits(0);
    assert_eq!(outcome.text(), "");
    let left = b.run(&words).arg("cat /proc/self/mountinfo").prints();
    assert!(!left.contains("oldroot"), "{left}");
}

/// A directory descriptor of a namespace that was named in options does not stay open in pid 1.
fn the_sandbox_keeps_no_descriptor_of_the_host(b: &Bwrap) {
    let (mut read, write) = pipe();
    let words = "--bind / / --unshare-pid --proc /proc --sync-fd 8 sh -c";
    let running = b
        .run(words)
        .arg("exec 9>&-; exec 2>&-; sleep 0.2")
        .fd(9, write)
        .fd(8, swathe_testkit::data(""))
        .start();
    // Neither the monitor nor pid 1 holds the inherited pipe: it ends when the payload closes it.
    let mut rest = Vec::new();
    read.read_to_end(&mut rest).expect("end of file");
    let alive = std::path::Path::new(&format!("/proc/{}", running.pid)).exists();
    assert!(alive, "the end came only with the end of the sandbox");
    running.wait();
}

contract! {
    links_to_the_old_root,
    links_to_descriptors,
    dangling_links,
    swapped_directories,
    terminal_injection,
    writing_our_program,
    changing_the_mode_of_our_program,
    later_mounts,
    mounts_stay_inside,
    nothing_runs_after_a_failure,
    nothing_runs_without_the_lock,
    the_old_root_is_gone,
    the_sandbox_keeps_no_descriptor_of_the_host,
}
