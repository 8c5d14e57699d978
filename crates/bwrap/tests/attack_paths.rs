//! Attacks by links that somebody planted where a destination runs through.

use swathe_testkit::{Bwrap, TempDir, contract, data, usr};

/// What the operations under attack would make, each below the directory given.
fn operations(below: &str) -> Vec<String> {
    [
        "--dir D/x",
        "--dir D/y/z",
        "--file 9 D/f",
        "--file 9 D/g/f",
        "--symlink a D/s",
        "--ro-bind /usr D/b",
        "--ro-bind /dev/null D/n",
        "--bind-data 9 D/d",
        "--tmpfs D/t",
        "--dev D/v",
    ]
    .iter()
    .map(|text| text.replace('D', below))
    .collect()
}

/// The kernels whose ways are tried: only ours knows the option.
fn kernels(b: &Bwrap) -> &'static [&'static str] {
    match b.side {
        swathe_testkit::Side::Ours => &["", "--assume-kernel 5.8", "--assume-kernel 5.4"],
        swathe_testkit::Side::Original => &[""],
    }
}

#[track_caller]
fn is_empty(dir: &TempDir, name: &str, what: &str) {
    assert_eq!(dir.list(name), [""; 0], "made on the host by {what}");
}

/// A tmpfs is mounted below a planted link, whose target exists in the sandbox under the name that
/// it has on the host. What is made in the tmpfs is made there, not on the host, although the
/// tmpfs is the sandbox's own.
fn a_tmpfs_below_a_link(b: &Bwrap) {
    for kernel in kernels(b) {
        for operation in operations("/m/link/t") {
            let temp = b.temp();
            temp.dir("shared");
            let victim = temp.dir("victim/t");
            temp.link(&temp.at("victim"), "shared/link");
            let words = format!(
                "{kernel} {} --dir {victim} --bind {} /m --tmpfs /m/link/t {operation} ls {victim}",
                usr(),
                temp.at("shared")
            );
            let outcome = b.run(&words).fd(9, data("evil")).go();
            is_empty(&temp, "victim/t", &operation);
            // The control: where the start succeeds the operation did its work, elsewhere.
            assert!(outcome.text().is_empty() || outcome.text().len() == 1, "{outcome}");
        }
    }
}

/// A directory of the sandbox's own is covered by a bind mount that was named through a link of the
/// sandbox's own: what is known of the directory holds no more.
fn a_bind_mount_under_another_name(b: &Bwrap) {
    for kernel in kernels(b) {
        for root in ["", "/oldroot"] {
            for operation in operations("/b/c/d") {
                let temp = b.temp();
                temp.dir("shared");
                temp.dir("victim");
                temp.link(&format!("{root}{}", temp.at("victim")), "shared/d");
                let words = format!(
                    "{kernel} {} --dir /b/c/d --symlink b /l --bind {} /l/c {operation} true",
                    usr(),
                    temp.at("shared")
                );
                b.run(&words).fd(9, data("evil")).go();
                is_empty(&temp, "victim", &operation);
            }
        }
    }
}

/// Links to what procfs leads to by magic (the launcher's root, working directory and descriptors)
/// are not followed, as a parent or as part of a destination's own name.
fn magic_links(b: &Bwrap) {
    for kernel in kernels(b) {
        for magic in ["/proc/self/root", "/proc/self/cwd", "/proc/1/root", "/proc/thread-self/root"]
        {
            let temp = b.temp();
            temp.dir("shared");
            let victim = temp.dir("victim");
            temp.link(&format!("{magic}{victim}"), "shared/link");
            for below in ["/m/link".to_owned(), format!("{magic}{victim}")] {
                let all = operations(&below).join(" ");
                let single = operations(&below);
                for operation in single.iter().map(String::as_str).chain([all.as_str()]) {
                    let words = format!(
                        "{kernel} {} --unshare-pid --proc /proc --bind {} /m {operation} true",
                        usr(),
                        temp.at("shared")
                    );
                    b.run(&words).fd(9, data("evil")).cwd("/").go();
                    is_empty(&temp, "victim", operation);
                }
            }
        }
    }
}

/// A mode is not changed through a read-only bind mount, whoever owns the file.
fn modes_below_read_only(b: &Bwrap) {
    let temp = b.temp();
    let file = temp.file("f", "");
    let dir = temp.path().display();
    for kernel in kernels(b) {
        for binds in ["--ro-bind / /".to_owned(), format!("--bind / / --ro-bind {dir} {dir}")] {
            b.run(&format!("{kernel} {binds} --chmod 0777 {file} true")).exits(1);
            assert_eq!(temp.mode_of("f"), Some(0o644));
        }
        // The control: through a writable one it is.
        b.run(&format!("{kernel} --bind / / --chmod 0600 {file} true")).exits(0);
        assert_eq!(temp.mode_of("f"), Some(0o600));
        temp.mode("f", 0o644);
    }
}

contract! {
    a_tmpfs_below_a_link,
    a_bind_mount_under_another_name,
    magic_links,
    modes_below_read_only,
}
