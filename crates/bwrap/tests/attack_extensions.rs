//! Attacks on what bubblewrap does not have: masks, descriptors, limits, explanations.
//!
//! Only the binary under test is run.

use std::fs::File;
use swathe_testkit::{Bwrap, Side, Who, data, notice, usr};

/// Makes two tests of each function: as root and as an ordinary user.
macro_rules! ours {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            fn with(who: swathe_testkit::Who) {
                let built = option_env!("CARGO_BIN_EXE_bwrap");
                if let Some(b) = super::Bwrap::find(super::Side::Ours, who, built) {
                    super::$name(&b);
                }
            }
            #[test]
            fn root() {
                with(super::Who::Root);
            }
            #[test]
            fn user() {
                with(super::Who::User);
            }
        }
    )*};
}

/// A path that is masked and does not exist yet does not come into being on the host: either the
/// command cannot make it, or there is no command.
fn masked_before_it_exists(b: &Bwrap) {
    let temp = b.temp();
    let dir = temp.dir("w");
    let words = format!("{} --bind {dir} /w --mask /w/.envrc sh -c", usr());
    b.run(&words).arg("echo evil > /w/.envrc; mkdir /w/.envrc; mv /w /v; true").go();
    let found = temp.list("w");
    assert!(found.is_empty(), "on the host: {found:?}");
    // The control: without the mask it can.
    b.run(&format!("{} --bind {dir} /w touch /w/.envrc", usr())).exits(0);
    assert_eq!(temp.list("w"), [".envrc"]);
}

/// A path below what another sandbox has put where nothing was stays masked when that one ends.
fn masked_below_anothers_placeholder(b: &Bwrap) {
    for option in ["--mask", "--mask-dir"] {
        let temp = b.temp();
        temp.dir("w");
        let words =
            format!("\"$BWRAP\" {} --unshare-pid --bind $T/w /w {option} /w/a/b sh -c", usr());
        // The first ends when the second is up, and the second waits for that.
        let script = format!(
            "set -e; cd $T; mkfifo up end go; \
             {words} 'echo >&3; read x' 3>up <>end & first=$!; read x <up; \
             {words} 'echo >&3; read x; mkdir -p /w/a; echo evil >/w/a/b' 3>up <>go & second=$!; \
             read x <up; exec 5<>go; echo >end; wait $first; sleep 0.3; echo >&5; wait $second || true"
        );
        let outcome = b.script(&script).env("T", temp.path()).exits(0);
        let found = temp.list("w");
        assert!(found.is_empty(), "{option} left {found:?}: {outcome}");
    }
}

/// A directory above a masked file cannot be moved away to make another file of that name.
fn masked_below_a_moved_directory(b: &Bwrap) {
    let temp = b.temp();
    temp.dir("w/a/b");
    temp.file("w/a/b/secret", "secret");
    let words = format!("{} --bind {} /w --mask /w/a/b/secret sh -c", usr(), temp.at("w"));
    let text = "cat /w/a/b/secret; mv /w/a /w/x && mkdir -p /w/a/b && echo evil > /w/a/b/secret;
        mv /w/a/b /w/a/x && mkdir /w/a/b && echo evil > /w/a/b/secret; true";
    let outcome = b.run(&words).arg(text).go();
    assert!(!outcome.text().contains("secret"), "{outcome}");
    assert_eq!(temp.read("w/a/b/secret").as_deref(), Some("secret"), "{outcome}");
}

/// What a mask covers cannot be read, linked, removed or changed; nothing of the mask is left on
/// the host.
fn masks_hold(b: &Bwrap) {
    if b.is_root() {
        notice("masks are no boundary for real root, who can unmount them");
        return;
    }
    for options in ["", "--unshare-user --uid 0", "--assume-kernel 5.4"] {
        let temp = b.temp();
        temp.file("file", "secret");
        temp.dir("dir");
        temp.file("dir/inner", "secret");
        let words = format!(
            "{} {options} --proc /proc --bind {} /w --mask /w/file --mask /w/dir sh -c",
            usr(),
            temp.path().display()
        );
        let text = "cat /w/file /w/dir/inner; ln /w/file /w/copy; cp -r /w/dir /w/copy; \
            rm -rf /w/file /w/dir; chmod 777 /w/file /w/dir; mv /w/dir /w/x; umount /w/file; \
            unshare -Um umount /w/file; unshare -Urm sh -c 'umount /w/dir; cat /w/dir/inner'; \
            ls /w/dir; echo evil > /w/file; touch /w/dir/evil; true";
        let outcome = b.run(&words).arg(text).exits(0);
        assert!(!outcome.text().contains("secret"), "{outcome}");
        assert_eq!(temp.read("file").as_deref(), Some("secret"));
        assert_eq!(temp.list("dir"), ["inner"]);
        assert_eq!((temp.mode_of("file"), temp.mode_of("dir")), (Some(0o644), Some(0o755)));
    }
}

/// Nothing of a mask stays on the host, however the sandbox ends: while the command waits for
/// others, by SIGKILL of the launcher, with processes that outlive the command.
fn masks_leave_nothing(b: &Bwrap) {
    let sleepers = "for i in 1 2 3 4 5 6; do sleep 20 & done";
    let ways = [
        ("--unshare-pid", "true", ""),
        ("--unshare-pid --end-with-command", sleepers, ""),
        ("--unshare-pid --die-with-parent", sleepers, "kill -KILL $launcher;"),
        ("--unshare-pid --die-with-parent --info-fd 3", sleepers, "kill -KILL $launcher;"),
        ("", "(setsid sleep 1 &)", ""),
        ("", "kill -KILL $PPID; sleep 1", ""),
    ];
    for (options, command, after) in ways {
        let temp = b.temp();
        temp.dir("w");
        let wait = if after.is_empty() { "" } else { "wait" };
        let script = format!(
            "mkfifo $T/up; \"$BWRAP\" {usr} --dev /dev --bind $T/w /w --mask /w/.envrc \
                --mask /w/a/b {options} sh -c 'ls -A /w >&4; exec 4>&-; {command}; {wait}' \
                3> /dev/null 4> $T/up & launcher=$!
            cat $T/up; {after} wait $launcher
            n=0; while [ -n \"$(ls -A $T/w)\" ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done
            ls -A $T/w",
            usr = usr()
        );
        let outcome = b.script(&script).env("T", temp.path()).go();
        // In the sandbox the masks are there: the control. Afterwards nothing is.
        assert_eq!(outcome.text(), ".envrc\na", "{options} {command}: {outcome}");
    }
}

/// A masked path whose parent is a link is masked where the link leads, and the command starts.
fn masked_through_a_link(b: &Bwrap) {
    let temp = b.temp();
    temp.dir("w/real");
    temp.file("w/real/secret", "secret");
    temp.link("real", "w/link");
    let words = format!("{} --bind {} /w --mask /w/link/secret sh -c", usr(), temp.at("w"));
    let outcome = b.run(&words).arg("echo started; cat /w/link/secret /w/real/secret; true").go();
    assert_eq!(outcome.text(), "started", "{outcome}");
}

/// Where descriptors are so few that sources cannot all be opened first, what is mounted is still
/// what was asked for, or nothing is.
fn sources_with_few_descriptors(b: &Bwrap) {
    let temp = b.temp();
    temp.dir("relative");
    temp.file("relative/here", "");
    let binds: String = (0..200).map(|n| format!(" --ro-bind /etc/passwd /t/{n}")).collect();
    for (options, command, expected) in [
        ("--ro-bind / /host", "ls -d /host/etc /host/t 2>&-; true", "/host/etc"),
        ("--ro-bind relative /r", "ls /r", "here"),
        (
            "--overlay-src /etc --overlay-src /usr --ro-overlay /o --ro-bind relative /r",
            "ls /r",
            "here",
        ),
    ] {
        for limit in [4096, 160] {
            let script = format!(
                "ulimit -n {limit}; \"$BWRAP\" {}{binds} {options} sh -c '{command}'",
                usr()
            );
            let outcome = b.script(&script).cwd(temp.path()).go();
            let refused = limit < 4096 && outcome.errors().contains("Too many open files");
            assert!(refused || outcome.text() == expected, "{limit} {options}: {outcome}");
        }
    }
}

/// A filter that makes system call `number` fail with `errno`, in native byte order.
fn failing_call(number: u32, errno: u32) -> Vec<u8> {
    let instruction = |code: u16, jump_false: u8, value: u32| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([0, jump_false]);
        bytes.extend(value.to_ne_bytes());
        bytes
    };
    [
        instruction(0x20, 0, 0),                // load the call's number
        instruction(0x15, 1, number),           // is it that one?
        instruction(0x06, 0, 0x5_0000 | errno), // SECCOMP_RET_ERRNO
        instruction(0x06, 0, 0x7fff_0000),      // SECCOMP_RET_ALLOW
    ]
    .concat()
}

const CLOSE_RANGE: u32 = 436;
const ENOSYS: u32 = 38;

/// Descriptors are closed whatever their numbers, also where close_range(2) does not exist and the
/// limit of descriptors was lowered after they had been opened.
fn descriptors_above_the_limit(b: &Bwrap) {
    let binds = "--dev-bind / / --unshare-pid --proc /proc --close-fds";
    for options in ["", "--rlimit nofile 24"] {
        for shell in ["", "ulimit -n 24;"] {
            for wrapper in ["--dev-bind / / --seccomp 9", "--dev-bind / /"] {
                let script = format!(
                    "\"$BWRAP\" {wrapper} sh -c '{shell} exec \"$BWRAP\" {binds} {options} \
                    \"$PROBE\" fd'"
                );
                let filter = data(failing_call(CLOSE_RANGE, ENOSYS));
                let outcome = b
                    .script(&script)
                    .env("BWRAP", &b.path)
                    .fd(9, filter)
                    .fd(30, data(""))
                    .fd(700, data(""))
                    .exits(0);
                let left: Vec<i32> =
                    (3..4096).filter(|fd| !outcome.all(&format!("fd.{fd}")).is_empty()).collect();
                assert!(left.is_empty(), "{left:?} {outcome}");
            }
        }
    }
    // The control: without the option they are passed on.
    let outcome = b.run("--dev-bind / / --proc /proc").arg(swathe_testkit::probe()).arg("fd");
    assert_eq!(outcome.fd(30, data("")).exits(0).all("fd.30").len(), 1);
}

/// A limit of descriptors for the command is not one for our own last steps.
fn few_descriptors(b: &Bwrap) {
    for options in ["--close-fds", "--scope-signals", "--unshare-pid --close-fds --scope-signals"] {
        let words = format!("--ro-bind / / {options} --rlimit nofile 4 sh -c");
        let outcome = b.run(&words).arg("ulimit -n").go();
        if outcome.errors().contains("Landlock") && !outcome.errors().contains("Too many") {
            notice("this kernel has no Landlock scopes: they are not tried with few descriptors");
            continue;
        }
        assert_eq!(outcome.text(), "4", "{outcome}");
    }
}

/// A descriptor that is both to be kept and named by another option is passed on, or refused.
fn kept_and_named(b: &Bwrap) {
    for option in ["--sync-fd", "--json-status-fd", "--block-fd"] {
        let words =
            format!("--ro-bind / / --proc /proc --unshare-pid --close-fds --keep-fd 9 {option} 9");
        let outcome = b.run(&words).arg(swathe_testkit::probe()).arg("fd").fd(9, data("")).go();
        let refused = outcome.message().contains("--keep-fd");
        assert!(refused || outcome.all("fd.9").len() == 1, "{outcome}");
    }
}

/// More mounts than the usual limit of descriptors work, as they do with bubblewrap.
fn many_mounts(b: &Bwrap) {
    let binds: String = (0..1200).map(|n| format!(" --ro-bind /etc/passwd /t/{n}")).collect();
    let script = format!(
        "ulimit -Sn 1024; \"$BWRAP\" {}{binds} --tmpfs /tmp --dev /dev --bind-data 9 /x sh -c \
        'ulimit -n; set -- /t/*; echo $#'",
        usr()
    );
    assert_eq!(b.script(&script).fd(9, data("x")).prints(), "1024\n1200");
}

/// The default limits of tmpfs hold for the sandbox's root, whatever the kernel.
fn default_limits_of_tmpfs(b: &Bwrap) {
    for kernel in ["6.18", "5.8", "5.4"] {
        let words = format!(
            "--assume-kernel {kernel} {} --default-tmpfs-size 65536 --default-tmpfs-inodes 30 \
            --tmpfs /tmp --dev /dev sh -c",
            usr()
        );
        let text = "for d in / /tmp /dev; do head -c 200000 /dev/zero > $d/f; wc -c < $d/f; \
            rm -f $d/f; n=0; while mkdir $d/d$n && [ $n -lt 50 ]; do n=$((n+1)); done; \
            [ $n -lt 31 ] && echo few; done";
        let outcome = b.run(&words).arg(text).go();
        assert_eq!(outcome.text(), ["65536", "few"].repeat(3).join("\n"), "{kernel}: {outcome}");
    }
}

/// Bytes from files that others wrote reach the terminal escaped in explanations.
fn explanations_are_printable(b: &Bwrap) {
    let temp = b.temp();
    temp.file("script", "#!/no\x1b]0;evil\x07/x\n");
    temp.mode("script", 0o755);
    temp.file("bad\x1b]0;evil\x07", "#!/nowhere\n");
    temp.mode("bad\x1b]0;evil\x07", 0o755);
    temp.link("no\x1b[31mwhere", "link");
    let dir = temp.path().display();
    let words = format!("{} --bind {dir} /w", usr());
    for name in ["script", "bad\x1b]0;evil\x07", "no\x1b]0;evil\x07"] {
        let outcome = b.run(&words).arg(format!("/w/{name}")).exits(1);
        let errors = outcome.errors();
        let hints: Vec<&str> = errors.lines().skip(1).collect();
        assert!(!hints.is_empty(), "{outcome}");
        assert!(hints.iter().all(|h| !h.contains(|c: char| c.is_control())), "{outcome}");
    }
    let outcome = b.run(&format!("--ro-bind {dir}/link /x true")).exits(1);
    let errors = outcome.errors();
    assert!(errors.lines().skip(1).all(|h| !h.contains('\x1b')), "{outcome}");
}

/// The command can neither hold up its launcher nor make it use much memory, by what it puts in its
/// own place before it ends as loaders do when a library is missing.
fn explanations_of_a_liar(b: &Bwrap) {
    let tricks = [
        "rm /w/tool; mkfifo /w/tool",
        "rm /w/tool; ln -s /dev/tty /w/tool",
        "rm /w/tool; mkdir /w/tool",
        "cp /usr/bin/env /w/t; truncate -s 400M /w/t; mv /w/t /w/tool",
    ];
    for trick in tricks {
        let temp = b.temp();
        temp.file("tool", format!("#!/bin/sh\n{trick}; exit 127\n"));
        temp.mode("tool", 0o755);
        let script =
            format!("ulimit -v 200000; \"$BWRAP\" {} --bind $T /w /w/tool; echo $?", usr());
        let outcome = b.script(&script).env("T", temp.path()).exits(0);
        assert_eq!(outcome.text(), "127", "{trick}: {outcome}");
    }
}

/// What is pinned keeps its name, a link too; what stands in for a missing path can be read inside
/// and outside, is gone afterwards, and cannot be written to.
fn pins_and_stand_ins(b: &Bwrap) {
    let temp = b.temp();
    temp.dir("w/d");
    temp.file("w/d/f", "old");
    temp.link("d", "w/l");
    let words = format!(
        "{} --unshare-user --bind {} /w --pin /w/l --pin /w/d --pin /w/d/f --mask-dir /w/new/x \
         --mask-text # /w/text --mask-text . /w/d/text sh -c",
        usr(),
        temp.at("w")
    );
    let text = "cd /w; rm l; mv l m; ln -s e n && mv -T n l; mv d e; mv d/f d/g; rm d/f; echo x >d/f.new; \
        mv d/f.new d/f; rmdir new; mkdir new/x; touch new/y; echo x >text; rm text; \
        echo new >d/f; readlink l; cat d/f text d/text; ls -A new";
    let outcome = b.run(&words).arg(text).go();
    assert_eq!(outcome.text(), "d\nnew\n#\n.", "{outcome}");
    assert_eq!(temp.list("w"), ["d", "l", "n"], "{outcome}");
    assert_eq!(temp.read("w/d/f").as_deref(), Some("new\n"), "{outcome}");
    assert_eq!(temp.read("w/l/f").as_deref(), Some("new\n"), "{outcome}");
    let long = "x".repeat(64);
    b.run(&format!("{} --mask-text {long} /w true", usr()))
        .fails("--mask-text takes a text of at most 63 bytes");
    b.run(&format!("{} --pin /nothing true", usr()))
        .fails("Can't pin /nothing: No such file or directory");
}

/// A layer of an overlay that is named by a descriptor is what the descriptor stands for, or there is
/// no sandbox: also when its name leads elsewhere by then.
fn overlay_of_a_descriptor(b: &Bwrap) {
    let temp = b.temp();
    for name in ["low", "up", "work", "elsewhere"] {
        temp.dir(name);
    }
    temp.file("low/f", "low\n");
    temp.file("elsewhere/f", "elsewhere\n");
    let words = format!(
        "{} --overlay-src /proc/self/fd/9 --overlay {} {} /w sh -c",
        usr(),
        temp.at("up"),
        temp.at("work")
    );
    let open = || File::open(temp.path().join("low")).expect("a directory");
    let text = "cat /w/f; echo new >/w/f; cat /w/f";
    assert_eq!(b.run(&words).arg(text).fd(9, open()).prints(), "low\nnew");
    assert_eq!(temp.read("low/f").as_deref(), Some("low\n"));
    assert_eq!(temp.read("up/f").as_deref(), Some("new\n"));
    // Replaced by a link after it was opened.
    let given = open();
    std::fs::rename(temp.path().join("low"), temp.path().join("moved")).expect("moved");
    temp.link("elsewhere", "low");
    let moved = b.run(&words).arg("cat /w/f").fd(9, given).go();
    assert!(!moved.text().contains("elsewhere"), "{moved}");
    b.run(&words)
        .arg("true")
        .fails("Can't find source path /proc/self/fd/9: No such file or directory");
}

ours! {
    overlay_of_a_descriptor,
    pins_and_stand_ins,
    masked_before_it_exists,
    masked_below_a_moved_directory,
    masked_below_anothers_placeholder,
    masks_hold,
    masks_leave_nothing,
    masked_through_a_link,
    sources_with_few_descriptors,
    descriptors_above_the_limit,
    few_descriptors,
    kept_and_named,
    many_mounts,
    default_limits_of_tmpfs,
    explanations_are_printable,
    explanations_of_a_liar,
}
