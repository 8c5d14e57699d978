//! Limits that others set: of a user namespace (`--user-limit`), of a cgroup (`--cgroup`).

use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use swathe_testkit::{Bwrap, Outcome, data, notice, ours};

/// The words that a namespace's limits are tested with: all of its kinds are new.
const ALL_NEW: &str = "--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts \
                       --unshare-cgroup --proc /proc";

/// Each namespace can be made as often as the limit says beside the sandbox's own, and once more it
/// cannot; the control is the same without the limit.
fn namespaces_are_counted(b: &Bwrap) {
    for kind in ["mnt", "uts", "ipc", "net", "pid", "cgroup", "user"] {
        let flag = match kind {
            "mnt" => "--mount",
            "pid" => "--pid",
            "user" => "--user --map-root-user",
            kind => &format!("--{kind}"),
        };
        let nest = |times: usize| vec![format!("unshare --fork {flag}"); times].join(" ");
        // What is made by one process after the other ends with it; nested ones last together.
        for allowed in [0, 1, 2] {
            for (times, works) in [(allowed, true), (allowed + 1, false)] {
                let limit = format!("--user-limit max_{kind}_namespaces {allowed}");
                let words = format!("--ro-bind / / {ALL_NEW} {limit} --cap-add ALL");
                let outcome = b.run(&format!("{words} {} true", nest(times))).go();
                let fine = outcome.ended.shell() == 0;
                assert_eq!(fine, works, "{kind}, {allowed} allowed, {times} made: {outcome}");
                if !works {
                    assert!(outcome.errors().contains("No space left"), "{outcome}");
                }
            }
        }
        b.run(&format!("--ro-bind / / {ALL_NEW} --cap-add ALL {} true", nest(4))).exits(0);
    }
}

/// The limit cannot be raised inside, with all capabilities and as root of the namespace, nor by a
/// user namespace made there.
fn limits_cannot_be_raised(b: &Bwrap) {
    let words = format!(
        "--ro-bind / / {ALL_NEW} --uid 0 --gid 0 --cap-add ALL --user-limit max_mnt_namespaces 0 \
         --user-limit max_user_namespaces 3"
    );
    let text = "mount -o remount,rw,bind /proc/sys 2>&-
        for n in mnt user; do echo 1000 > /proc/sys/user/max_${n}_namespaces; done 2>&-
        unshare --mount true 2>&- && echo made
        unshare --user --map-root-user sh -c \
            'echo 1000 > /proc/sys/user/max_mnt_namespaces; unshare --mount true' 2>&- && echo made
        unshare --user true && echo control";
    let outcome = b.run(&words).sh(text).go();
    assert_eq!(outcome.text(), "control", "{outcome}");
}

/// inotify is limited for the sandbox alone: it fails there, and the same user outside goes on.
fn watches_are_limited(b: &Bwrap) {
    let Some(python) = python() else { return };
    let script = "import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
made = 0
for i in range(20):
    fd = c.inotify_init()
    if fd < 0: break
    made += 1
print(made)";
    let words =
        format!("--ro-bind / / --user-limit max_inotify_instances 5 --unshare-user {python} -c");
    assert_eq!(b.run(&words).arg(script).prints(), "5");
    let words = format!("--ro-bind / / {python} -c");
    assert_eq!(b.run(&words).arg(script).prints(), "20");
}

fn python() -> Option<&'static str> {
    let path = "/usr/bin/python3";
    if !Path::new(path).exists() {
        notice("no python3: inotify's limits are not tested");
        return None;
    }
    Some(path)
}

/// What cannot be: names that are none, numbers that do not fit, no namespace to set it in.
fn user_limits_are_checked(b: &Bwrap) {
    let base = "--ro-bind / / --unshare-user";
    let cases = [
        ("max_foo 1", "--user-limit: unknown name max_foo"),
        ("../kernel/hostname 1", "--user-limit: unknown name ../kernel/hostname"),
        ("max_mnt_namespaces -1", "--user-limit: invalid number -1"),
        ("max_mnt_namespaces 2147483647", "--user-limit: invalid number 2147483647"),
        ("max_mnt_namespaces x", "--user-limit: invalid number x"),
        (
            "max_user_namespaces 1 --disable-userns",
            "--user-limit max_user_namespaces is not compatible with --disable-userns",
        ),
        (
            "max_mnt_namespaces 1 --uid-range 1 100000 1",
            "--user-limit is not compatible with --uid-range, --gid-range and --userns-block-fd",
        ),
    ];
    for (words, message) in cases {
        b.run(&format!("{base} --user-limit {words} true")).fails(message);
    }
    b.run(&format!("{base} --user-limit max_mnt_namespaces 2147483646 true")).exits(0);
    if b.is_root() {
        b.run("--ro-bind / / --user-limit max_mnt_namespaces 1 true")
            .fails("--user-limit requires --unshare-user");
    }
}

/// With a limit the ids, capabilities and name of the namespace's owner are the same as without.
fn limits_change_nothing_else(b: &Bwrap) {
    for options in ["", "--uid 5 --gid 6", "--cap-add CAP_NET_ADMIN", "--dev /dev"] {
        let words = format!("--ro-bind / / --proc /proc --unshare-user {options}");
        let probe = swathe_testkit::probe();
        let run = |limit: &str| {
            let words = format!("{words} {limit} {} uid gid cap nnp", probe.display());
            b.run(&words).prints()
        };
        assert_eq!(run("--user-limit max_inotify_watches 7"), run(""), "{options}");
    }
}

/// A cgroup of its own, removed at the end; none, with the reason, where that is not possible.
struct Group(PathBuf);

impl Group {
    fn make(b: &Bwrap) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut roots = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| point.to_owned())
        });
        let Some(root) = roots.next() else {
            notice("no cgroup v2 is mounted: --cgroup is not tested");
            return None;
        };
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = Path::new(&root).join(format!("swathe-test-{}-{count}", std::process::id()));
        if let Err(error) = std::fs::create_dir(&path) {
            notice(&format!("no cgroup can be made in {root} ({error}): --cgroup is not tested"));
            return None;
        }
        // Whoever moves a process needs the right to write to where it was, to where it goes, and to
        // what both are in.
        let group = Self(path);
        for below in ["from", "to"] {
            std::fs::create_dir(group.0.join(below)).expect("a cgroup in a cgroup");
        }
        for below in ["", "from", "to"] {
            for file in ["", "cgroup.procs"] {
                let _ = chown(group.0.join(below).join(file), Some(b.uid()), None);
            }
        }
        Some(group)
    }

    fn open(&self) -> File {
        File::open(self.0.join("to")).expect("open the cgroup")
    }

    /// Runs bwrap, as the user, in the one cgroup with the other one as descriptor 9.
    fn run(&self, b: &Bwrap, words: &str) -> Option<Outcome> {
        let text = format!("echo $$ > $G/from/cgroup.procs && $AS $BWRAP {words} 9< $G/to");
        Some(b.root_script(&text)?.env("G", &self.0).go())
    }

    fn name(&self) -> String {
        self.0.file_name().expect("a name").to_string_lossy().into_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for below in ["from", "to", ""] {
            let _ = std::fs::remove_dir(self.0.join(below));
        }
    }
}

/// The command, pid 1 and what they start are in the cgroup from their first moment; the launcher is
/// not. A new cgroup namespace starts there.
fn the_sandbox_starts_in_its_cgroup(b: &Bwrap) {
    let Some(group) = Group::make(b) else { return };
    let line = |text: &str| text.lines().find(|l| l.starts_with("0::")).map(str::to_owned);
    let name = format!("0::/{}/to", group.name());
    for options in ["", "--unshare-pid", "--unshare-pid --as-pid-1", "--info-fd 2"] {
        let words = format!("--ro-bind / / --proc /proc {options} --cgroup 9");
        let text = "sh -c 'cat /proc/self/cgroup /proc/1/cgroup; sh -c \"cat /proc/self/cgroup\"'";
        let Some(outcome) = group.run(b, &format!("{words} {text}")) else { return };
        let seen = outcome.text();
        let own = seen.lines().filter(|l| l.starts_with("0::")).filter(|l| l.ends_with(&name[3..]));
        let expected = if options.contains("pid") { 3 } else { 2 };
        assert_eq!(own.count(), expected, "{options}: {outcome}");
        let Some(outcome) = group.run(b, &format!("{words} --unshare-cgroup {text}")) else {
            return;
        };
        assert_eq!(line(&outcome.text()).as_deref(), Some("0::/"), "{options}: {outcome}");
    }
}

/// A user who may not move a process there gets no sandbox.
fn a_cgroup_of_others(b: &Bwrap) {
    let Some(group) = Group::make(b) else { return };
    for below in ["", "to"] {
        let _ = chown(group.0.join(below).join("cgroup.procs"), Some(0), None);
    }
    let Some(outcome) = group.run(b, "--ro-bind / / --cgroup 9 echo ran") else { return };
    if b.is_root() {
        assert_eq!(outcome.text(), "ran", "the control: {outcome}");
    } else {
        let message = "bwrap: Can't start a process in the cgroup: Permission denied";
        assert_eq!((outcome.message().as_str(), outcome.text().as_str()), (message, ""));
    }
}

/// What is no directory of cgroup v2, a kernel that cannot, and a cgroup that is gone are refused.
fn bad_cgroups(b: &Bwrap) {
    let words = "--ro-bind / / --cgroup 9 true";
    b.run(words).fails("Can't use fd 9: Bad file descriptor");
    b.run(words).fd(9, data("")).fails("fd 9 is no directory of a cgroup v2 file system");
    b.run(words)
        .fd(9, File::open("/").expect("open"))
        .fails("fd 9 is no directory of a cgroup v2 file system");
    let Some(group) = Group::make(b) else { return };
    b.run(&format!("--assume-kernel 5.4 {words}"))
        .fd(9, group.open())
        .fails("Can't start a process in the cgroup: Function not implemented");
    let open = group.open();
    drop(group);
    let outcome = b.run(words).fd(9, open).exits(1);
    assert!(
        outcome.message().starts_with("bwrap: Can't start a process in the cgroup: "),
        "{outcome}"
    );
}

/// Processes are bounded for everybody, root included, and the host's own bound stays what it is.
/// Only ids from 300 on are used again, so that 20 of them can be had after the first 299.
fn process_ids_are_bounded(b: &Bwrap) {
    let host = std::fs::read_to_string("/proc/sys/kernel/pid_max").expect("pid_max");
    let words =
        "--unshare-user --unshare-pid --end-with-command --ro-bind / / --dev /dev --proc /proc";
    let script =
        "i=0; while [ $i -lt 400 ]; do sleep 1000 & i=$((i+1)); done; echo all; kill -9 -1";
    let bounded = b.run(&format!("{words} --pid-max 320 sh -c")).arg(script).go();
    if bounded.errors().contains("needs Linux 6.14") {
        notice("--pid-max is not tested: this kernel has one bound for the whole machine");
        return;
    }
    assert!(bounded.errors().contains("fork"), "{bounded}");
    assert!(!bounded.text().contains("all"), "{bounded}");
    // The control.
    let free = b.run(&format!("{words} sh -c")).arg(script).go();
    assert!(free.text().contains("all"), "{free}");
    let after = std::fs::read_to_string("/proc/sys/kernel/pid_max").expect("pid_max");
    assert_eq!(host, after);
}

/// What cannot be bounded is refused, before anything runs.
fn bounds_of_process_ids(b: &Bwrap) {
    let words = "--unshare-user --unshare-pid --ro-bind / /";
    for bad in ["300", "4194305", "-1", "", "0x200", "99999999999999999999"] {
        b.run(words)
            .args(["--pid-max", bad, "true"])
            .fails(&format!("--pid-max: invalid number {bad}"));
    }
    b.run("--unshare-user --ro-bind / / --pid-max 400 true")
        .fails("--pid-max requires --unshare-pid");
    b.run(&format!("{words} --assume-kernel 6.13 --pid-max 400 true"))
        .fails("--pid-max needs Linux 6.14: pid_max is the whole machine's before");
}

ours! {
    namespaces_are_counted,
    limits_cannot_be_raised,
    watches_are_limited,
    user_limits_are_checked,
    limits_change_nothing_else,
    the_sandbox_starts_in_its_cgroup,
    a_cgroup_of_others,
    bad_cgroups,
    process_ids_are_bounded,
    bounds_of_process_ids,
}
