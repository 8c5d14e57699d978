//! Binds: sources, destinations, flags, and what is below a source.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use swathe_testkit::{Bwrap, TempDir, contract, data, usr};

/// A directory with one of everything: `d/in`, `f`, links to them, dangling and looping links, a
/// fifo, a socket and `private/y`, whose directory only its owner can search.
fn zoo(b: &Bwrap) -> TempDir {
    let temp = b.temp();
    temp.dir("d");
    temp.file("d/in", "inside\n");
    temp.file("f", "content\n");
    temp.link("f", "lf");
    temp.link("d", "ld");
    temp.link("nowhere", "dangling");
    temp.link("loop", "loop");
    drop(UnixListener::bind(temp.at("socket")).expect("a socket"));
    b.script(&format!("mkfifo {}", temp.at("fifo"))).exits(0);
    temp
}

const BINDS: [&str; 6] = ["bind", "ro-bind", "dev-bind", "bind-try", "ro-bind-try", "dev-bind-try"];

/// A source is found on the host, its symlinks followed, relative to the working directory of
/// the caller; whatever kind of file it is.
fn sources(b: &Bwrap) {
    let temp = zoo(b);
    let base = temp.path().file_name().expect("a name").to_string_lossy().into_owned();
    for option in BINDS {
        for (source, kind) in [
            ("d", "directory"),
            ("ld", "directory"),
            ("f", "regular file"),
            ("lf", "regular file"),
            ("fifo", "fifo"),
            ("socket", "socket"),
        ] {
            for path in [temp.at(source), source.to_owned(), format!("../{base}/{source}")] {
                let run = b.run(&format!("{} --{option} {path} /q stat -c %F /q", usr()));
                assert_eq!(run.cwd(temp.path()).prints(), kind);
            }
        }
    }
}

/// A source that cannot be found is an error with the kernel's reason; the -try forms accept
/// only that it does not exist.
fn missing_sources(b: &Bwrap) {
    let temp = zoo(b);
    for option in BINDS {
        let missing = [
            ("nowhere", "No such file or directory"),
            ("dangling", "No such file or directory"),
            ("f/x", "Not a directory"),
            ("loop", "Too many levels of symbolic links"),
        ];
        for (source, reason) in missing {
            let path = temp.at(source);
            let run = b.run(&format!("{} --{option} {path} /q ls /", usr()));
            if option.ends_with("-try") && reason.starts_with("No such") {
                let listing = run.prints();
                assert!(!listing.lines().any(|name| name == "q"), "{listing}");
            } else {
                run.fails(&format!("Can't find source path {path}: {reason}"));
            }
        }
    }
}

/// What the caller may not look up is an error also for the -try forms.
fn unsearchable_sources(b: &Bwrap) {
    // A user's own directories are no obstacle: in the user namespace all capabilities hold.
    if b.is_root() || b.root_script("true").is_none() {
        return;
    }
    let temp = TempDir::new(0);
    temp.dir("private");
    temp.file("private/y", "");
    temp.mode("private", 0o700);
    for option in BINDS {
        let path = temp.at("private/y");
        b.run(&format!("{} --{option} {path} /q true", usr()))
            .fails(&format!("Can't find source path {path}: Permission denied"));
    }
}

/// A directory goes on a directory and a file on anything else; a mismatch is an error.
fn destination_kinds(b: &Bwrap) {
    let temp = zoo(b);
    for option in ["bind", "ro-bind", "dev-bind"] {
        let bind = |source: &str, dest: &str| {
            b.run(&format!("--bind / / --{option} {} {} true", temp.at(source), temp.at(dest)))
        };
        bind("d", "f").fails(&format!("Destination is not a directory {}", temp.at("f")));
        bind("d", "socket").fails(&format!("Destination is not a directory {}", temp.at("socket")));
        bind("f", "d").fails(&format!("Destination is not a file {}", temp.at("d")));
        bind("socket", "d").fails(&format!("Destination is not a file {}", temp.at("d")));
        for (source, dest) in
            [("f", "socket"), ("f", "fifo"), ("socket", "f"), ("fifo", "f"), ("d", "d"), ("f", "f")]
        {
            bind(source, dest).exits(0);
        }
    }
    b.run(&format!("--bind / / --bind {}/ {} true", temp.at("f"), temp.at("f")))
        .fails(&format!("Can't find source path {}/: Not a directory", temp.at("f")));
    b.run(&format!("--bind / / --bind {0}/ {0}/ true", temp.at("d"))).exits(0);
}

/// Devices and sockets can be mounted on and be mounted.
fn devices_as_destinations(b: &Bwrap) {
    let temp = zoo(b);
    let words = format!("--dev-bind / / --ro-bind {} /dev/zero cat /dev/zero", temp.at("f"));
    assert_eq!(b.run(&words).prints(), "content");
    let words = format!("--bind / / --dev-bind /dev/null {0} cat {0}", temp.at("f"));
    assert_eq!(b.run(&words).prints(), "");
}

/// A destination that is a symlink is refused, dangling or not, whatever would be mounted.
fn symlink_destinations(b: &Bwrap) {
    let temp = zoo(b);
    for link in ["lf", "ld", "dangling", "loop"] {
        let dest = temp.at(link);
        let source = temp.at(if link == "ld" { "d" } else { "f" });
        for words in [
            format!("--bind {source} {dest}"),
            format!("--ro-bind {source} {dest}"),
            format!("--dev-bind {source} {dest}"),
            format!("--tmpfs {dest}"),
            format!("--proc {dest}"),
            format!("--dev {dest}"),
            format!("--mqueue {dest}"),
            format!("--bind-fd 0 {dest}"),
            format!("--ro-bind-fd 0 {dest}"),
            format!("--bind-data 0 {dest}"),
            format!("--ro-bind-data 0 {dest}"),
            format!("--remount-ro {dest}"),
            format!("--overlay-src /usr --tmp-overlay {dest}"),
        ] {
            b.run(&format!("--bind / / {words} true"))
                .fails(&format!("Can't mount on symlink destination {dest}"));
        }
    }
}

/// Symlinks among the parents of a destination are followed, inside the new root: also relative
/// and absolute ones that mean something else on the host.
fn symlinked_parents(b: &Bwrap) {
    let temp = zoo(b);
    let content = temp.at("f");
    let base = format!(
        "{} --dir /real/deep --symlink real /rel --symlink /real /abs --symlink ../real /real/up",
        usr()
    );
    for parent in ["/rel", "/abs", "/rel/up", "/abs/up/up/deep/.."] {
        let words = format!("{base} --ro-bind {content} {parent}/new cat /real/new");
        assert_eq!(b.run(&words).prints(), "content");
        let words = format!(
            "{base} --file 0 {parent}/file --dir {parent}/dir --symlink x {parent}/link \
            --tmpfs {parent}/tmp --perms 0700 --dir {parent}/a/b/c --chmod 0500 {parent}/a \
            --bind-data 9 {parent}/data ls /real"
        );
        assert_eq!(
            b.run(&words).fd(9, data("")).prints(),
            "a\ndata\ndeep\ndir\nfile\nlink\ntmp\nup"
        );
    }
    // The way out of the root leads to the root.
    let words =
        format!("{base} --symlink ../../../../.. /out --ro-bind {content} /out/new cat /new");
    assert_eq!(b.run(&words).prints(), "content");
    let words = format!(
        "{base} --symlink /var/run /run2 --dir /run --dir /var --symlink ../run /var/run \
            --ro-bind {content} /var/run/x cat /run/x"
    );
    assert_eq!(b.run(&words).prints(), "content");
}

/// Parents that are not directories, or links to nowhere, are errors.
fn bad_parents(b: &Bwrap) {
    let temp = zoo(b);
    for (parent, reason) in [
        ("f", "Not a directory"),
        ("dangling", "No such file or directory"),
        ("loop", "Too many levels of symbolic links"),
    ] {
        let dest = format!("{}/x", temp.at(parent));
        for words in [
            format!("--bind / {dest}"),
            format!("--tmpfs {dest}"),
            format!("--dir {dest}"),
            format!("--symlink a {dest}"),
            format!("--file 0 {dest}"),
        ] {
            b.run(&format!("--bind / / {words} true"))
                .fails(&format!("Can't mkdir parents for {dest}: {reason}"));
        }
    }
}

/// A directory that is searchable but not readable works as a parent, also someone else's.
fn searchable_parents(b: &Bwrap) {
    let temp = b.temp();
    temp.dir("closed/d");
    temp.file("closed/f", "content\n");
    temp.mode("closed", 0o711);
    if b.root_script("true").is_some() {
        std::os::unix::fs::chown(temp.path().join("closed"), Some(12345), Some(12345))
            .expect("chown");
    }
    let (dir, file) = (temp.at("closed/d"), temp.at("closed/f"));
    let words = format!(
        "--bind / / --tmpfs {dir} --ro-bind /dev/null {file} --ro-bind /usr {dir}/usr stat -c %F \
            {file} {dir}/usr"
    );
    assert_eq!(b.run(&words).prints(), "character special file\ndirectory");
}

/// Missing parents are made with mode 0700, a missing directory with 0755, a missing file 0444.
fn missing_destinations(b: &Bwrap) {
    let temp = zoo(b);
    let words = format!("{} --bind {} /a/b/c --bind {} /a/f", usr(), temp.at("d"), temp.at("f"));
    let seen = b.run(&words).sh("stat -c %a /a /a/b /a/b/c; cat /a/b/c/in /a/f").prints();
    assert_eq!(seen, "700\n700\n755\ninside\ncontent");
    // The placeholders are seen below a writable bind.
    temp.dir("host");
    let host = temp.at("host");
    b.run(&format!(
        "--bind / / --bind {} {host}/x/file --bind {} {host}/y/dir true",
        temp.at("f"),
        temp.at("d")
    ))
    .exits(0);
    assert_eq!(temp.mode_of("host/x"), Some(0o700));
    assert_eq!(temp.mode_of("host/x/file"), Some(0o444));
    assert_eq!(temp.mode_of("host/y/dir"), Some(0o755));
    assert_eq!(temp.read("host/x/file").as_deref(), Some(""));
}

/// The caller's umask has no part in the modes of what is made.
fn umask_does_not_matter(b: &Bwrap) {
    let text = format!(
        "umask 077; exec $BWRAP {} --dir /a/b --file 0 /f --bind-data 9 /g sh -c 'umask; stat -c \
            %a /a /a/b /f /g'",
        usr()
    );
    assert_eq!(b.script(&text).fd(9, data("")).prints(), "0077\n755\n755\n666\n600");
}

/// Relative destinations, `..`, `//` and trailing slashes name places below the new root.
fn odd_destinations(b: &Bwrap) {
    let temp = zoo(b);
    let (file, dir) = (temp.at("f"), temp.at("d"));
    for dest in ["x", "/x", "//x", "./x", "/../../x", "/a/../x", "/x/"] {
        let words = format!("{} --dir /a --bind {file} {dest} cat /x", usr());
        assert_eq!(b.run(&words).prints(), "content", "{dest}");
        let words = format!("{} --dir /a --bind {dir} {dest} cat /x/in", usr());
        assert_eq!(b.run(&words).prints(), "inside", "{dest}");
    }
}

/// --bind leaves a source writable, --ro-bind does not, and writes reach the host.
fn writable_or_not(b: &Bwrap) {
    let temp = zoo(b);
    let dir = temp.at("d");
    b.run(&format!("{} --bind {dir} /q sh -c", usr())).arg("echo new > /q/in").exits(0);
    assert_eq!(temp.read("d/in").as_deref(), Some("new\n"));
    for option in ["ro-bind", "ro-bind-try"] {
        b.run(&format!("{} --{option} {dir} /q sh -c", usr())).arg("echo no > /q/in").exits(2);
    }
    assert_eq!(temp.read("d/in").as_deref(), Some("new\n"));
}

/// nosuid is added to every bind, nodev to all but the device binds.
fn flags_are_added(b: &Bwrap) {
    let temp = zoo(b);
    for (option, device, ro) in
        [("bind", false, false), ("ro-bind", false, true), ("dev-bind", true, false)]
    {
        let words = format!("{} --proc /proc --{option} {} /q grep -F", usr(), temp.at("d"));
        let line = b.run(&words).arg(" /q ").arg("/proc/self/mountinfo").prints();
        let flags: Vec<&str> = line.split(' ').nth(5).expect("flags").split(',').collect();
        assert!(flags.contains(&"nosuid"), "{option}: {line}");
        assert_eq!(flags.contains(&"nodev"), !device, "{option}: {line}");
        assert_eq!(flags.contains(&"ro"), ro, "{option}: {line}");
    }
}

/// A device in a plain bind cannot be opened, in a device bind it can.
fn devices_need_a_device_bind(b: &Bwrap) {
    b.run(&format!("{} --dev-bind /dev /dev sh -c", usr())).arg("echo > /dev/null").exits(0);
    b.run(&format!("{} --bind /dev /dev sh -c", usr())).arg("echo > /dev/null").exits(2);
    b.run(&format!("{} --bind-try /dev/null /n sh -c", usr())).arg("echo > /n").exits(2);
    b.run(&format!("{} --dev-bind-try /dev/null /n sh -c", usr())).arg("echo > /n").exits(0);
}

/// Whatever is mounted below a source comes with it, and read-only covers all of it; flags that
/// a submount has on the host are kept.
fn submounts(b: &Bwrap) {
    let temp = zoo(b);
    let text = format!(
        "cd {0} && mkdir m && mount -t tmpfs -o noexec,noatime,mode=777 x m && \
        mkdir m/n &&
        mount -t tmpfs -o nosymfollow,mode=777 y m/n && chmod 777 . &&
        for o in bind ro-bind dev-bind; do
            $AS $BWRAP {1} --proc /proc --$o {0} /q sh -c 'cut -d\" \" -f 5,6 \
            /proc/self/mountinfo | grep \"^/q/m\" | sort;
                for d in /q/m /q/m/n; do touch $d/x 2>&- && echo written; done'
            echo --
        done",
        temp.path().display(),
        usr()
    );
    let Some(run) = b.root_script(&text) else { return };
    let outcome = run.exits(0);
    let text = outcome.text();
    let parts: Vec<&str> = text.split("--").collect();
    assert_eq!(parts.len(), 4, "{outcome}");
    for (part, ro) in [(parts[0], false), (parts[1], true), (parts[2], false)] {
        let line = |prefix: &str| {
            part.lines().find(|line| line.starts_with(prefix)).unwrap_or_default().to_owned()
        };
        let (outer, inner) = (line("/q/m "), line("/q/m/n "));
        assert!(outer.contains("noexec") && outer.contains("noatime"), "{outcome}");
        assert!(inner.contains("nosymfollow"), "{outcome}");
        assert!(outer.contains("nosuid") && inner.contains("nosuid"), "{outcome}");
        assert_eq!(outer.contains(" ro,") && inner.contains(" ro,"), ro, "{outcome}");
        assert_eq!(part.matches("written").count(), if ro { 0 } else { 2 }, "{outcome}");
    }
}

/// The operations act in the order given: later ones cover earlier ones and see them.
fn order(b: &Bwrap) {
    let temp = zoo(b);
    let dir = temp.at("d");
    let words =
        format!("{} --bind {dir} /q --tmpfs /q --bind {dir} /q/again --dir /q/new ls /q", usr());
    assert_eq!(b.run(&words).prints(), "again\nnew");
    let words = format!("{} --dir /q/new --bind {dir} /q ls /q", usr());
    assert_eq!(b.run(&words).prints(), "in");
    // A source is looked up on the host, never in what was already set up.
    let words = format!("{} --tmpfs {dir} --bind {dir} /q ls /q", usr());
    assert_eq!(b.run(&words).prints(), "in");
    // A root bound late covers all.
    let words = format!("--tmpfs /q --dir /q/new --bind / / ls {dir}");
    assert_eq!(b.run(&words).prints(), "in");
}

/// --remount-ro makes one mount read-only, not what is mounted below it.
fn remount_ro(b: &Bwrap) {
    let temp = zoo(b);
    let words = format!("{} --tmpfs /t --bind {} /t/d --remount-ro /t", usr(), temp.at("d"));
    let text = "touch /t/x 2>&- && echo bad; touch /t/d/x && echo good";
    assert_eq!(b.run(&words).sh(text).go().text(), "good");
    b.run("--ro-bind / / --remount-ro /nonexistent true").exits(1);
    let below = format!("{}/.", temp.file("plain", ""));
    b.run(&format!("--bind / / --remount-ro {below} true"))
        .fails(&format!("Can't mkdir parents for {below}: Not a directory"));
    let message =
        b.run(&format!("--bind / / --remount-ro {} true", temp.at("d"))).exits(1).message();
    assert!(
        message.starts_with(&format!("bwrap: Can't remount readonly on {}: ", temp.at("d"))),
        "{message}"
    );
    assert!(message.ends_with(": Invalid argument"), "{message}");
}

/// --bind-fd mounts what the descriptor is, file or directory, also by O_PATH; and closes it.
fn bind_fd(b: &Bwrap) {
    let temp = zoo(b);
    let open = |name: &str| File::open(temp.at(name)).expect("open");
    for (option, ro) in [("bind-fd", false), ("ro-bind-fd", true)] {
        let words = format!("{} --proc /proc --{option} 8 /q --{option} 9 /f", usr());
        let text =
            "cat /q/in /f; ls /proc/self/fd | tr '\\n' ' '; touch /q/in 2>&- && echo written";
        let run = b.run(&words).sh(text).fd(8, open("d")).fd(9, open("f"));
        let expected =
            if ro { "inside\ncontent\n0 1 2 3 " } else { "inside\ncontent\n0 1 2 3 written" };
        assert_eq!(run.go().text(), expected);
    }
    b.run("--ro-bind / / --bind-fd 9 /tmp true")
        .fails("Can't find source path /proc/self/fd/9: No such file or directory");
    b.run(&format!("--bind / / --bind-fd 9 {} true", temp.at("f")))
        .fd(9, open("d"))
        .fails(&format!("Destination is not a directory {}", temp.at("f")));
}

/// A path of a descriptor's inode that now leads elsewhere is not what --bind-fd mounts: it is
/// the inode or an error.
fn bind_fd_after_a_swap(b: &Bwrap) {
    let temp = zoo(b);
    temp.dir("secret");
    temp.file("secret/in", "secret\n");
    for replace_by_link in [false, true] {
        temp.dir("victim");
        temp.file("victim/in", "mine\n");
        let fd = File::open(temp.at("victim")).expect("open");
        std::fs::rename(temp.at("victim"), temp.at("moved")).expect("rename");
        if replace_by_link {
            symlink("secret", temp.at("victim")).expect("symlink");
        } else {
            std::fs::rename(temp.at("secret"), temp.at("victim")).expect("rename");
        }
        let outcome = b.run(&format!("{} --bind-fd 9 /q cat /q/in", usr())).fd(9, fd).go();
        assert!(outcome.text() == "mine" || outcome.ended.shell() == 1, "{outcome}");
        assert!(!outcome.text().contains("secret"), "{outcome}");
        if replace_by_link {
            std::fs::remove_file(temp.at("victim")).expect("remove");
        } else {
            std::fs::rename(temp.at("victim"), temp.at("secret")).expect("rename");
        }
        std::fs::remove_dir_all(temp.at("moved")).expect("remove");
    }
}

contract! {
    sources,
    missing_sources,
    unsearchable_sources,
    destination_kinds,
    devices_as_destinations,
    symlink_destinations,
    symlinked_parents,
    bad_parents,
    searchable_parents,
    missing_destinations,
    umask_does_not_matter,
    odd_destinations,
    writable_or_not,
    flags_are_added,
    devices_need_a_device_bind,
    submounts,
    order,
    remount_ro,
    bind_fd,
    bind_fd_after_a_swap,
}
