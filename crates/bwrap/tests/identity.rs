//! Who the payload is: namespaces, user and group ids, capabilities.

use std::fs::File;
use swathe_testkit::{Bwrap, Outcome, contract, data, notice};

/// The probe's report from a sandbox that shows the host's `/`.
fn probe(b: &Bwrap, options: &str) -> Outcome {
    let probe = swathe_testkit::probe();
    b.run(&format!("--ro-bind / / --proc /proc {options} {}", probe.display())).exits(0)
}

fn namespace(name: &str) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(format!("/proc/self/ns/{name}")).expect("a namespace file");
    found.ino().to_string()
}

const NAMES: [&str; 7] = ["user", "ipc", "pid", "net", "uts", "cgroup", "mnt"];

/// Asserts which namespaces are new; the mount namespace always is.
fn unshares(b: &Bwrap, options: &str, expected: &[&str]) {
    let seen = probe(b, options);
    for name in NAMES {
        // Without privileges none of the others is possible without a user namespace.
        let implied = name == "mnt" || name == "user" && !b.is_root();
        let is_new = seen.one(&format!("ns.{name}")) != namespace(name);
        assert_eq!(is_new, implied || expected.contains(&name), "{options}: {name}");
    }
    assert_eq!(seen.one("ns.time"), namespace("time"));
}

/// Each --unshare option makes that namespace and no other; without any, an ordinary user gets a
/// user namespace, and root does not.
fn namespaces(b: &Bwrap) {
    unshares(b, "", &[]);
    for name in ["user", "ipc", "pid", "net", "uts", "cgroup"] {
        unshares(b, &format!("--unshare-{name}"), &[name]);
    }
    unshares(b, "--unshare-user-try", &["user"]);
    unshares(b, "--unshare-cgroup-try", &["cgroup"]);
    unshares(b, "--unshare-all", &NAMES);
    unshares(b, "--unshare-all --share-net", &["user", "ipc", "pid", "uts", "cgroup"]);
    unshares(b, "--unshare-ipc --unshare-uts", &["ipc", "uts"]);
}

/// The maps have one line each; ids outside are the caller's, inside the wanted ones. setgroups is
/// denied, so that a negative group permission cannot be shed.
fn id_maps(b: &Bwrap) {
    let own = b.uid();
    let cases = [
        ("--unshare-user", own, own),
        ("--unshare-user --uid 0 --gid 0", 0, 0),
        ("--unshare-user --uid 1000", 1000, own),
        ("--unshare-user --gid 7", own, 7),
        ("--unshare-user --uid 2147483647 --gid 2147483647", 2_147_483_647, 2_147_483_647),
    ];
    for (options, uid, gid) in cases {
        let seen = probe(b, options);
        assert_eq!(seen.one("uid"), format!("{uid} {uid} {uid}"));
        assert_eq!(seen.one("gid"), format!("{gid} {gid} {gid}"));
        assert_eq!(seen.one("uid_map"), format!("{uid} {own} 1"));
        assert_eq!(seen.one("gid_map"), format!("{gid} {own} 1"));
        assert_eq!(seen.one("setgroups"), "deny");
    }
}

/// Ids work with --dev too, which needs two namespaces: the payload sees its ids, and the second
/// map leads to the root of the first. No capability remains.
fn id_maps_with_dev(b: &Bwrap) {
    for (options, uid, gid) in [("--uid 5 --gid 6", 5, 6), ("--uid 5 --gid 0", 5, 0)] {
        let seen = probe(b, &format!("--dev /dev --unshare-user {options}"));
        assert_eq!(seen.one("uid"), format!("{uid} {uid} {uid}"));
        assert_eq!(seen.one("gid"), format!("{gid} {gid} {gid}"));
        assert_eq!(seen.one("uid_map"), format!("{uid} 0 1"));
        assert_eq!(seen.one("gid_map"), format!("{gid} 0 1"));
        assert_eq!(seen.one("setgroups"), "deny");
        assert_eq!(seen.one("cap.effective"), "0000000000000000");
    }
}

/// Files that the user makes below a bind belong to the user outside, whatever the id inside.
fn ids_outside(b: &Bwrap) {
    let temp = b.temp();
    b.run(&format!("--bind / / --unshare-user --uid 77 touch {}", temp.at("f"))).exits(0);
    let owner = b.script(&format!("stat -c %u {}", temp.at("f"))).prints();
    assert_eq!(owner, b.uid().to_string());
}

/// Supplementary groups are kept: those that the map does not hold are the overflow group.
fn supplementary_groups(b: &Bwrap) {
    let Some(run) = b.root_script(
        "setpriv --reuid=4321 --regid=4321 --groups=4322,4323 $BWRAP --ro-bind / / $PROBE groups gid
         setpriv --reuid=4321 --regid=4321 --groups=4321 $BWRAP --ro-bind / / $PROBE groups") else {
        return;
    };
    let outcome = run.exits(0);
    assert_eq!(outcome.all("groups"), ["65534 65534", "4321"]);
}

/// Capabilities of an ordinary user: none at all, unless --cap-add gives some of the user
/// namespace; then they survive exec.
fn capabilities_of_a_user(b: &Bwrap) {
    if b.is_root() {
        return;
    }
    let all = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").expect("a number");
    let all = (2_u64 << all.trim().parse::<u32>().expect("a number")) - 1;
    let cases = [
        ("", 0),
        ("--unshare-user --uid 0", 0),
        ("--cap-drop ALL", 0),
        ("--cap-add CAP_NET_ADMIN", 1 << 12),
        ("--cap-add cap_chown --cap-add 5", 1 | 1 << 5),
        ("--cap-add ALL", all),
        ("--cap-add ALL --cap-drop CAP_KILL", all & !(1 << 5)),
        ("--cap-drop ALL --cap-add CAP_KILL", 1 << 5),
        ("--cap-add CAP_KILL --cap-drop ALL", 0),
        ("--cap-add ALL --unshare-user --uid 0 --dev /dev", all),
    ];
    for (options, expected) in cases {
        let seen = probe(b, options);
        for set in ["effective", "permitted", "inheritable", "bounding", "ambient"] {
            assert_eq!(
                seen.one(&format!("cap.{set}")),
                format!("{expected:016x}"),
                "{options} {set}"
            );
        }
    }
}

/// Root keeps its capabilities, less what --cap-drop takes; the bounding set is not touched
/// without a user namespace.
fn capabilities_of_root(b: &Bwrap) {
    if !b.is_root() {
        return;
    }
    let own = b.script("exec $PROBE cap").exits(0);
    let bounding = own.one("cap.bounding");
    let own = u64::from_str_radix(&own.one("cap.effective"), 16).expect("a number");
    for (options, expected) in [
        ("", own),
        ("--cap-drop CAP_KILL", own & !(1 << 5)),
        ("--cap-drop ALL", 0),
        ("--cap-drop ALL --cap-add CAP_KILL", 1 << 5),
        ("--cap-drop CAP_KILL --cap-add CAP_KILL", own),
    ] {
        let seen = probe(b, options);
        assert_eq!(seen.one("cap.effective"), format!("{expected:016x}"), "{options}");
        assert_eq!(seen.one("cap.permitted"), format!("{expected:016x}"), "{options}");
        assert_eq!(seen.one("cap.bounding"), bounding, "{options}");
    }
}

/// No new privileges, always.
fn no_new_privileges(b: &Bwrap) {
    for options in ["", "--unshare-all", "--cap-add ALL", "--not-a-security-boundary"] {
        assert_eq!(probe(b, options).one("nnp"), "1", "{options}");
    }
}

/// --hostname names the new UTS namespace; too long a name is an error.
fn hostname(b: &Bwrap) {
    assert_eq!(
        probe(b, "--unshare-uts --hostname swathe.example").one("hostname"),
        "swathe.example"
    );
    assert_eq!(
        b.run("--ro-bind / / --unshare-uts --hostname").arg("").words("uname -n").prints(),
        ""
    );
    let long = "x".repeat(65);
    b.run(&format!("--ro-bind / / --unshare-uts --hostname {long} true"))
        .fails(&format!("Can't set hostname to {long}: Invalid argument"));
}

/// A new network namespace has a loopback interface that is up, with its address, and nothing else.
fn loopback(b: &Bwrap) {
    let script = "cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/net/fib_trie | grep -c \
        '127.0.0.1$';
        cat /sys/class/net/lo/flags 2>&-; grep -c . /proc/net/route";
    let seen = b.run("--ro-bind / / --unshare-net --proc /proc").sh(script).go().text();
    let lines: Vec<&str> = seen.lines().map(str::trim).collect();
    assert!(lines.contains(&"lo"), "{seen}");
    assert!(lines.contains(&"2"), "{seen}");
}

/// --disable-userns: no further user namespace can be made, with any set of ids and capabilities.
fn disable_userns(b: &Bwrap) {
    for options in
        ["", "--uid 5", "--dev /dev", "--uid 5 --dev /dev --cap-add ALL", "--cap-add ALL"]
    {
        let words = format!("--ro-bind / / --proc /proc --unshare-user --disable-userns {options}");
        let outcome = b.run(&format!("{words} unshare --user true")).exits(1);
        assert!(outcome.errors().contains("No space left on device"), "{outcome}");
        b.run(&format!("{words} --assert-userns-disabled true")).exits(0);
    }
    let seen = probe(b, "--unshare-user --disable-userns");
    assert_eq!(seen.one("uid_map"), format!("{0} {0} 1", b.uid()));
}

/// --assert-userns-disabled refuses to run where a user namespace can be made.
fn assert_userns_disabled(b: &Bwrap) {
    let message = "creation of new user namespaces was not disabled as requested";
    b.run("--ro-bind / / --assert-userns-disabled true").fails(message);
    b.run("--ro-bind / / --unshare-user --assert-userns-disabled true").fails(message);
}

/// A sandbox inside one with --disable-userns fails with a message that names the limit.
fn nested_in_disabled(b: &Bwrap) {
    let path = b.path.display();
    b.run(&format!(
        "--ro-bind / / --proc /proc --unshare-user --disable-userns {path} \
        --unshare-user --ro-bind / / true"
    ))
    .fails(
        "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces \
            exceeded (ENOSPC)",
    );
}

/// Joining namespaces by descriptor: a bad one is an error, and nothing is left waiting.
fn bad_namespace_descriptors(b: &Bwrap) {
    b.run("--ro-bind / / --userns 9 true")
        .fails("Joining specified user namespace failed: Bad file descriptor");
    b.run("--ro-bind / / --userns 9 true").fd(9, data("")).fails(
        "Joining the specified user namespace failed, it might not be a descendant of the \
            current user namespace.",
    );
    let own = File::open("/proc/self/ns/user").expect("a namespace file");
    b.run("--ro-bind / / --userns 9 true").fd(9, own).exits(1);
    for (option, text) in
        [("userns2", "Setting userns2 failed: "), ("pidns", "Setting pidns failed: ")]
    {
        for reason in ["Bad file descriptor", "Invalid argument"] {
            let mut run = b.run(&format!("--ro-bind / / --{option} 9 true"));
            if reason.starts_with("Inv") {
                run = run.fd(9, data(""));
            }
            let outcome = run.may_leave(std::time::Duration::from_millis(1000)).exits(1);
            assert_eq!(outcome.message(), format!("bwrap: {text}{reason}"));
            if option == "userns2" {
                b.original_differs("waiting-child", || assert_eq!(outcome.left, 0, "{outcome}"));
            } else {
                assert_eq!(outcome.left, 0, "{outcome}");
            }
        }
    }
}

/// --userns, --userns2 and --pidns join namespaces made before; the descriptors named in options
/// do not reach the payload.
fn join_namespaces(b: &Bwrap) {
    let script = r#"
        cd "$T" && mkfifo ready1 ready2 end
        unshare --user --map-root-user --pid --fork sh -c '
            unshare --user --map-root-user sh -c "echo > ready1; read x < end" &
            echo > ready2; read x < end; wait' &
        read x < ready1; read x < ready2
        outer=$(pgrep -P $! ) inner=$(pgrep -P $(pgrep -P $!) unshare || pgrep -P $(pgrep -P $!))
        for pid in $(pgrep -P $outer) $inner; do inner=$pid; done
        "$BWRAP" --userns 5 --userns2 6 --pidns 4 --ro-bind / / --proc /proc "$PROBE" ns uid fd \
            4< /proc/$outer/ns/pid 5< /proc/$outer/ns/user 6< /proc/$inner/ns/user
        "$BWRAP" --userns 0 --ro-bind / / --proc /proc "$PROBE" ns.user < /proc/$outer/ns/user
        echo outer $(readlink /proc/$outer/ns/user)
        echo inner $(readlink /proc/$inner/ns/user)
        echo pid $(readlink /proc/$outer/ns/pid)
        : > end; wait
    "#;
    let temp = b.temp();
    let outcome = b.script(script).env("T", temp.path()).exits(0);
    let number = |text: String| text.split(['[', ']']).nth(1).unwrap_or_default().to_owned();
    let users = outcome.all("ns.user");
    let (outer, inner) = (number(outcome.one("outer")), number(outcome.one("inner")));
    assert_ne!(outer, inner, "{outcome}");
    assert_eq!(users, [inner, outer], "{outcome}");
    assert_eq!(outcome.one("ns.pid"), number(outcome.one("pid")), "{outcome}");
    assert_eq!(outcome.one("uid"), "0 0 0", "{outcome}");
    b.original_differs("namespace-descriptors", || {
        for fd in ["fd.4", "fd.5", "fd.6"] {
            assert_eq!(outcome.all(fd), [""; 0], "{outcome}");
        }
    });
}

/// A set-user-ID or file-capability installation refuses to run for those whom it would raise.
fn no_privileged_installation(b: &Bwrap) {
    for raise in ["chmod 4755", "setcap cap_sys_admin+ep"] {
        let script = format!(
            "cp $BWRAP $T/raised && PATH=$PATH:/sbin:/usr/sbin {raise} $T/raised && $AS \
                $T/raised --ro-bind / / true"
        );
        let temp = swathe_testkit::TempDir::new(0);
        let Some(run) = b.root_script(&script) else { return };
        let run = run.env("T", temp.path());
        let outcome = run.go();
        if outcome.errors().contains("setcap: ") && outcome.errors().contains("not found") {
            notice("no setcap: an installation with file capabilities is not checked");
        } else if b.is_root() {
            assert_eq!(outcome.ended.shell(), 0, "{outcome}");
        } else if raise.starts_with("chmod") {
            assert_eq!(outcome.ended.shell(), 1, "{outcome}");
            assert_eq!(outcome.message(), "bwrap: setuid use of bubblewrap is not supported");
        } else {
            assert_eq!(outcome.ended.shell(), 1, "{outcome}");
            let expected = "bwrap: Unexpected capabilities but not setuid, old file caps config?";
            assert_eq!(outcome.message(), expected);
        }
    }
}

contract! {
    namespaces,
    id_maps,
    id_maps_with_dev,
    ids_outside,
    supplementary_groups,
    capabilities_of_a_user,
    capabilities_of_root,
    no_new_privileges,
    hostname,
    loopback,
    disable_userns,
    assert_userns_disabled,
    nested_in_disabled,
    bad_namespace_descriptors,
    join_namespaces,
    no_privileged_installation,
}
