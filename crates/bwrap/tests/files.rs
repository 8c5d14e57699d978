//! Operations that make things: directories, files, links, modes, tmpfs.

use std::io::Write as _;
use swathe_testkit::{Bwrap, contract, data, pipe, usr};

/// The programs of the host, and a script to run in it.
fn sees(b: &Bwrap, options: &str, script: &str) -> String {
    b.run(&format!("{} {options}", usr())).sh(script).prints()
}

/// --dir makes a directory of mode 0755, or of --perms exactly; one that is there keeps its mode.
fn dir(b: &Bwrap) {
    let words = "--dir /d --perms 1777 --dir /s --perms 0 --dir /z --perms 0711 --dir /x";
    assert_eq!(sees(b, words, "stat -c %a /d /s /z /x"), "755\n1777\n0\n711");
    let words = "--perms 0700 --dir /d --dir /d --perms 0755 --dir /d";
    assert_eq!(sees(b, words, "stat -c %a /d"), "700");
    let temp = b.temp();
    temp.file("f", "");
    temp.dir("d");
    for (name, target) in [("lf", "f"), ("ld", "d"), ("dangling", "nowhere")] {
        temp.link(target, name);
        b.run(&format!("--bind / / --dir {} true", temp.at(name)))
            .fails(&format!("Destination is not a directory {}", temp.at(name)));
    }
    b.run(&format!("--bind / / --dir {} true", temp.at("f")))
        .fails(&format!("Destination is not a directory {}", temp.at("f")));
    assert_eq!(temp.list(""), ["d", "dangling", "f", "ld", "lf"]);
    assert_eq!(sees(b, "--dir / --dir /.. --dir .", "stat -c %F /"), "directory");
}

/// Parents are 0755, less the bits of group and others that --perms denies them.
fn parents(b: &Bwrap) {
    for (perms, parent) in
        [("0700", 700), ("0711", 755), ("0750", 750), ("0755", 755), ("1777", 755), ("0000", 700)]
    {
        for operation in ["dir", "tmpfs", "file 9", "bind-data 9", "ro-bind-data 9"] {
            let words =
                format!("{} --perms {perms} --{operation} /a/b/c stat -c %a /a /a/b", usr());
            let seen = b.run(&words).fd(9, data("")).prints();
            assert_eq!(seen, format!("{parent}\n{parent}"), "{words}");
        }
    }
    for operation in ["dir", "tmpfs", "file 9"] {
        let words = format!("{} --{operation} /a/b/c stat -c %a /a /a/b", usr());
        assert_eq!(b.run(&words).fd(9, data("")).prints(), "755\n755", "{words}");
    }
    let private = [
        "bind-data 9",
        "ro-bind-data 9",
        "symlink x",
        "proc",
        "dev",
        "bind /usr",
        "ro-bind /usr",
        "dev-bind /usr",
        "bind-fd 9",
        "overlay-src /usr --tmp-overlay",
    ];
    for operation in private {
        let words = format!("{} --{operation} /a/b/c stat -c %a /a /a/b", usr());
        let file = std::fs::File::open("/usr").expect("a directory");
        let fd = if operation.starts_with("bind-fd") { file.into() } else { data("") };
        assert_eq!(b.run(&words).fd(9, fd).prints(), "700\n700", "{words}");
    }
    // Parents that exist are not touched.
    let words = "--perms 0711 --dir /a --perms 0700 --tmpfs /a/b --symlink x /a/c";
    assert_eq!(sees(b, words, "stat -c %a /a"), "711");
}

/// --file copies what the descriptor holds, to mode 0666 or --perms; the umask has no say.
fn file(b: &Bwrap) {
    let big: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let script = "stat -c %a,%s /f /g; cksum < /g; cat /f";
    let words = format!("{} --file 8 /f --perms 1754 --file 9 /g", usr());
    let sum = {
        let temp = b.temp();
        b.script(&format!("cksum < {}", temp.file("big", &big))).prints()
    };
    let seen = b.run(&words).sh(script).fd(8, data("small")).fd(9, data(&big)).prints();
    assert_eq!(seen, format!("666,5\n1754,3000000\n{sum}\nsmall"));
    let (read, mut write) = pipe();
    let writer = std::thread::spawn(move || {
        let _ = write.write_all(&big);
    });
    let seen = b.run(&format!("{} --file 9 /f", usr())).sh("cksum < /f").fd(9, read).prints();
    assert_eq!(seen, sum);
    writer.join().expect("the writer");
}

/// --file goes over an existing file, also below a bind, but never through a symlink.
fn file_on_something(b: &Bwrap) {
    let temp = b.temp();
    temp.file("old", "a longer content");
    temp.mode("old", 0o640);
    temp.dir("d");
    temp.link("old", "link");
    temp.link("nowhere", "dangling");
    let file = |name: &str| {
        b.run(&format!("--bind / / --file 9 {} true", temp.at(name))).fd(9, data("new"))
    };
    file("old").exits(0);
    assert_eq!(temp.read("old").as_deref(), Some("new"));
    // A file that is there keeps its mode.
    assert_eq!(temp.mode_of("old"), Some(0o640));
    file("fresh").exits(0);
    assert_eq!(temp.mode_of("fresh"), Some(0o666));
    file("d").fails(&format!("Can't create file {}: Is a directory", temp.at("d")));
    for link in ["link", "dangling"] {
        let reason = "Too many levels of symbolic links";
        file(link).fails(&format!("Can't create file {}: {reason}", temp.at(link)));
    }
    assert_eq!(temp.list(""), ["d", "dangling", "fresh", "link", "old"]);
    b.run(&format!("--bind / / --file 987 {} true", temp.at("x")))
        .fails(&format!("Can't write data to file {}: Bad file descriptor", temp.at("x")));
    b.run("--ro-bind / / --file 9 /usr/x true")
        .fd(9, data(""))
        .fails("Can't create file /usr/x: Read-only file system");
}

/// --bind-data and --ro-bind-data mount a copy of mode 0600 or --perms over the destination; the
/// host's file is not touched, and the copy is nowhere else to be seen.
fn bind_data(b: &Bwrap) {
    let temp = b.temp();
    temp.file("old", "old");
    for (option, writable) in [("bind-data", true), ("ro-bind-data", false)] {
        let old = temp.at("old");
        let words = format!(
            "{} --perms 0755 --dir /q --bind {} /q --{option} 9 /q/old --perms 0444 --{option} 8 \
                /a/new",
            usr(),
            temp.path().display()
        );
        let script = "stat -c %a /q/old /a/new; cat /q/old /a/new; echo x > /q/old; ls -A /";
        let outcome = b.run(&words).sh(script).fd(9, data("new")).fd(8, data("-er")).go();
        let text = outcome.text();
        assert!(text.starts_with("600\n444\nnew-er"), "{outcome}");
        assert_eq!(outcome.err.is_empty(), writable, "{outcome}");
        assert!(!text.contains("tmp") && !text.contains("bind"), "{outcome}");
        assert_eq!(temp.read("old").as_deref(), Some("old"));
        let words = format!("--bind / / --{option} 9 {} true", temp.path().display());
        b.run(&words)
            .fd(9, data(""))
            .fails(&format!("Destination is not a file {}", temp.path().display()));
        b.run(&format!("--bind / / --{option} 987 {old} true"))
            .fails(&format!("Can't write data to file {old}: Bad file descriptor"));
        // The destination is looked at before the data.
        let root = std::fs::File::open("/").expect("a descriptor that yields no data");
        b.run(&format!("--bind / / --{option} 9 {} true", temp.path().display()))
            .fd(9, root)
            .fails(&format!("Destination is not a file {}", temp.path().display()));
    }
}

/// --symlink makes a link with any target; one with the same target may be there already.
fn symlink(b: &Bwrap) {
    let words =
        "--symlink ../x/y /a/b --symlink ../x/y /a/b --symlink /usr /u --symlink nowhere /n";
    assert_eq!(sees(b, words, "readlink /a/b /u /n; test -d /u/bin"), "../x/y\n/usr\nnowhere");
    let temp = b.temp();
    temp.file("f", "");
    temp.dir("d");
    temp.link("f", "link");
    let link = |target: &str, name: &str| {
        b.run(&format!("--bind / / --symlink {target} {} true", temp.at(name)))
    };
    link("f", "link").exits(0);
    link("g", "link")
        .fails(&format!("Can't make symlink at {}: existing destination is f", temp.at("link")));
    // Also where other links lead there, and something was made below it.
    b.run("--dir /run --symlink run /v --symlink ../n /v/a/l --dir /run/n/x --tmpfs /v/a/l/y")
        .words("--symlink other /v/a/../a/l true")
        .fails("Can't make symlink at /v/a/../a/l: existing destination is ../n");
    for name in ["f", "d"] {
        let reason = "destination exists and is not a symlink";
        link("x", name).fails(&format!("Can't make symlink at {}: {reason}", temp.at(name)));
    }
}

/// --chmod sets the mode of what is there, never through a symlink.
fn chmod(b: &Bwrap) {
    let words = "--dir /d --file 0 /f --chmod 0700 /d --chmod 7777 /f --tmpfs /t --chmod 1777 /t";
    assert_eq!(sees(b, words, "stat -c %a /d /f /t"), "700\n7777\n1777");
    let temp = b.temp();
    temp.file("f", "");
    temp.link("f", "link");
    temp.link("nowhere", "dangling");
    let chmod = |name: &str| b.run(&format!("--bind / / --chmod 0600 {} true", temp.at(name)));
    chmod("f").exits(0);
    assert_eq!(temp.mode_of("f"), Some(0o600));
    temp.mode("f", 0o644);
    for link in ["link", "dangling"] {
        let reason = "Operation not supported";
        chmod(link).fails(&format!("Can't chmod 0600 {}: {reason}", temp.at(link)));
    }
    assert_eq!(temp.mode_of("f"), Some(0o644));
    chmod("none").fails(&format!("Can't open {}: No such file or directory", temp.at("none")));
    chmod("f/x").fails(&format!("Can't open {}: Not a directory", temp.at("f/x")));
    if !b.is_root() && std::path::Path::new("/usr").exists() {
        b.run("--bind / / --chmod 0755 /usr true")
            .fails("Can't chmod 0755 /usr: Operation not permitted");
    }
}

/// --tmpfs mounts an empty tmpfs of mode 0755 or --perms, owned by the user, nosuid and nodev; of
/// --size bytes when asked.
fn tmpfs(b: &Bwrap) {
    let words = "--proc /proc --tmpfs /t --perms 1777 --size 8192 --tmpfs /s";
    let script = "stat -c %a,%u /t /s; grep -e ' /t ' -e ' /s ' /proc/self/mountinfo; echo > /s/a;
        head -c 9000 /usr/bin/env > /s/b || echo full";
    let seen = b.run(&format!("{} {words}", usr())).sh(script).go();
    let (text, uid) = (seen.text(), b.uid());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], [format!("755,{uid}"), format!("1777,{uid}")], "{seen}");
    for line in &lines[2..4] {
        assert!(line.contains("nosuid,nodev") && line.contains(" - tmpfs tmpfs "), "{seen}");
    }
    assert!(lines[3].contains("size=8k"), "{seen}");
    assert_eq!(lines.last(), Some(&"full"), "{seen}");
}

/// A --tmpfs over the root covers all that was there.
fn tmpfs_over_the_root(b: &Bwrap) {
    b.run("--ro-bind / / --tmpfs / /bin/true").fails("execvp /bin/true: No such file or directory");
    let words = format!("--ro-bind / / --tmpfs / {} ls /", usr());
    assert!(!b.run(&words).prints().contains("etc"));
}

/// The root that nothing was bound on is a tmpfs that the user may write, mode 0755.
fn the_bare_root(b: &Bwrap) {
    let script = "touch /x; stat -c %a,%u /; grep ' / / ' /proc/self/mountinfo; grep -c newroot \
        /proc/self/mountinfo; ls -A / | tr '\\n' ' '";
    let seen = sees(b, "--proc /proc", script);
    assert!(seen.starts_with(&format!("755,{}", b.uid())), "{seen}");
    assert!(!seen.contains("oldroot"), "{seen}");
}

/// --mqueue mounts a message queue file system, which an ordinary user may only with an IPC
/// namespace of its own.
fn mqueue(b: &Bwrap) {
    let words = "--proc /proc --unshare-ipc --mqueue /q";
    let seen = sees(b, words, "grep -c -F ' - mqueue mqueue ' /proc/self/mountinfo");
    assert_eq!(seen, "1");
    if !b.is_root() {
        b.run(&format!("{} --mqueue /q true", usr()))
            .fails("Can't mount mqueue on /q: Operation not permitted");
    }
    b.original_differs("mqueue-again", || {
        sees(b, "--unshare-ipc --mqueue /q --mqueue /q", "true");
    });
}

contract! {
    dir,
    parents,
    file,
    file_on_something,
    bind_data,
    symlink,
    chmod,
    tmpfs,
    tmpfs_over_the_root,
    the_bare_root,
    mqueue,
}
