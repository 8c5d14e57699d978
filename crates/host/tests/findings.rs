//! Findings on recorded machines.

use std::path::PathBuf;
use swathe_host::facts::{Facts, Outcome};
use swathe_host::findings::{
    APPARMOR, DELEGATE, Finding, MODULES, SYSCTL, Severity, findings, worst,
};
use swathe_host::layers::{Layers, Usable, capabilities};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

fn recorded(name: &str) -> Facts {
    let path = directory().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).expect("a recording");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn all() -> Vec<(String, Facts)> {
    let names = std::fs::read_dir(directory())
        .expect("recordings")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"));
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), recorded(&name))).collect()
}

/// Everything but what is well, as `severity id`.
fn bad(facts: &Facts) -> Vec<String> {
    let text = |finding: &Finding| {
        let severity = match finding.severity {
            Severity::Ok => return None,
            Severity::Info => "info",
            Severity::Degrades => "degrades",
            Severity::Blocks => "blocks",
        };
        Some(format!("{severity} {}", finding.id))
    };
    findings(facts).iter().filter_map(text).collect()
}

fn finding(facts: &Facts, id: &str) -> Finding {
    let found = findings(facts).into_iter().find(|finding| finding.id == id);
    found.unwrap_or_else(|| panic!("no finding {id}"))
}

/// Each recorded machine gets exactly the findings that its state asks for, the worst first.
#[test]
fn each_machine_gets_its_findings() {
    let expected: [(&str, &[&str]); 10] = [
        ("alpine-3.22", &["degrades overlay", "degrades cgroup", "info newuidmap", "info network"]),
        (
            "centos-7",
            &[
                "blocks sandbox",
                "blocks user-namespace-parameter",
                "blocks user-max-user-namespaces",
                "degrades landlock",
                "degrades seccomp-notify",
                "degrades cgroup",
                "info kernel-calls",
                "info tiocsti",
                "info selinux",
            ],
        ),
        ("debian-12", &["degrades landlock-scopes", "degrades cgroup", "info tiocsti"]),
        (
            "debian-12-closed",
            &[
                "blocks sandbox",
                "blocks unprivileged-userns-clone",
                "degrades landlock-scopes",
                "degrades cgroup",
                "info tiocsti",
            ],
        ),
        ("debian-13-desktop", &[]),
        (
            "docker",
            &[
                "blocks sandbox",
                "blocks container",
                "degrades landlock-scopes",
                "degrades refused-calls",
                "degrades cgroup",
                "info procfs",
                "info kernel-calls",
                "info root",
                "info newuidmap",
            ],
        ),
        ("rhel-9", &["degrades landlock", "degrades cgroup", "info tiocsti", "info selinux"]),
        (
            "rhel-9-stig",
            &[
                "blocks sandbox",
                "blocks user-max-user-namespaces",
                "degrades landlock",
                "degrades cgroup",
                "info tiocsti",
                "info selinux",
            ],
        ),
        (
            "ubuntu-24.04",
            &["blocks sandbox", "blocks apparmor", "degrades landlock-scopes", "degrades cgroup"],
        ),
        ("ubuntu-24.04-listed", &["degrades landlock-scopes", "degrades cgroup"]),
    ];
    let names: Vec<String> = all().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected.map(|(name, _)| name), "a recording without expectations");
    for (name, expected) in expected {
        assert_eq!(bad(&recorded(name)), expected, "{name}");
    }
}

/// What a network by host name is made of: what was tried and worked, and why not better.
#[test]
fn ways_of_a_network() {
    let mut facts = recorded("debian-12");
    let what = |facts: &Facts| {
        let found = finding(facts, "network");
        (found.severity, found.what, found.why)
    };
    assert!(what(&facts).1.starts_with("network by host name: nft"));
    facts.network.redirect = Outcome::Failed("no such rules".to_owned());
    let (severity, text, why) = what(&facts);
    assert!(
        severity == Severity::Info && text.contains(": routes") && why.contains("no such rules")
    );
    facts.network.routes = Outcome::Failed("no such route".to_owned());
    let (severity, text, why) = what(&facts);
    assert!(severity == Severity::Degrades && text.contains(": explicit proxy only"));
    assert!(why.contains("no such route"));
    facts.network.routes = Outcome::Untried;
    assert!(findings(&facts).iter().all(|finding| finding.id != "network"));
}

/// Whatever is wrong comes with something to do, a reason of one line, and a reference unless it is
/// only worth knowing.
#[test]
fn whatever_is_wrong_can_be_mended() {
    for (name, facts) in all() {
        for found in findings(&facts) {
            assert!(!found.what.is_empty() && !found.what.contains('\n'), "{name}: {found:?}");
            if found.severity == Severity::Ok {
                assert_eq!((&found.fix, &found.reference), (&None, &None), "{name}: {found:?}");
                continue;
            }
            assert!(!found.why.is_empty() && !found.why.contains('\n'), "{name}: {found:?}");
            // The result of the trial is mended by mending its causes.
            if found.severity > Severity::Info && found.id != "sandbox" {
                assert!(found.fix.is_some(), "{name}: {found:?}");
            }
        }
    }
}

/// The drop-ins that are printed are those of packaging/: a sysctl finding shows its paragraph,
/// switched on, and the command sets the same value; the profile names the bwrap that is used.
#[test]
fn drop_ins_are_the_packaged_files() {
    let fix = finding(&recorded("rhel-9-stig"), "user-max-user-namespaces").fix.expect("a fix");
    assert_eq!(fix.temporary.as_deref(), Some("sudo sysctl -w user.max_user_namespaces=15000"));
    let file = fix.permanent.expect("a file");
    assert_eq!(file.path, "/etc/sysctl.d/60-swathe.conf");
    assert!(file.contents.ends_with("\nuser.max_user_namespaces = 15000\n"), "{}", file.contents);
    for line in file.contents.lines() {
        assert!(SYSCTL.contains(line), "{line}");
    }

    let fix = finding(&recorded("debian-12-closed"), "unprivileged-userns-clone").fix;
    let file = fix.and_then(|fix| fix.permanent).expect("a file");
    assert!(SYSCTL.contains(&file.contents), "{}", file.contents);
    assert!(file.contents.ends_with("\n-kernel.unprivileged_userns_clone = 1\n"));

    let fix = finding(&recorded("ubuntu-24.04"), "apparmor").fix;
    let file = fix.and_then(|fix| fix.permanent).expect("a file");
    assert_eq!(file.path, "/etc/apparmor.d/bwrap-swathe");
    assert_eq!(file.contents, APPARMOR.replace("@BINARY@", "/usr/local/bin/bwrap"));
    assert_eq!(APPARMOR.matches("@BINARY@").count(), 1);

    let fix = finding(&recorded("alpine-3.22"), "overlay").fix;
    assert_eq!(fix.and_then(|fix| fix.permanent).expect("a file").contents, MODULES);

    let mut facts = recorded("debian-12");
    facts.cgroup.user_controllers = vec!["pids".to_owned()];
    let fix = finding(&facts, "cgroup").fix;
    assert_eq!(fix.and_then(|fix| fix.permanent).expect("a file").contents, DELEGATE);
}

/// A path that AppArmor would read as a pattern, or that ends the line, is written so that it names
/// no more than itself.
#[test]
fn profiles_name_odd_paths_literally() {
    let mut facts = recorded("ubuntu-24.04");
    let path = "/opt/a b/*{\"\\}\n/bwrap";
    if let Some(bwrap) = facts.bwrap.as_mut() {
        bwrap.path = path.to_owned();
    }
    let fix = finding(&facts, "apparmor").fix;
    let contents = fix.and_then(|fix| fix.permanent).expect("a file").contents;
    let head = contents.lines().find(|line| line.starts_with("profile ")).expect("a head");
    let expected = r#"profile bwrap-swathe "/opt/a b/\*\{\"\\\}?/bwrap" flags=(unconfined) {"#;
    assert_eq!(head, expected);
}

/// A restriction that did not keep the trial from succeeding blocks nothing: what was seen beats
/// what was inferred.
#[test]
fn a_trial_beats_what_was_inferred() {
    for (name, mut facts) in all() {
        let made = recorded("debian-13-desktop").bwrap;
        facts.bwrap = made;
        let found = findings(&facts);
        assert!(worst(&found) < Severity::Blocks, "{name}: {:?}", bad(&facts));
        assert_eq!(capabilities(&facts).user_namespaces, Usable::Yes, "{name}");
    }
    let mut facts = recorded("debian-13-desktop");
    facts.bwrap = recorded("docker").bwrap;
    assert_eq!(bad(&facts), ["blocks sandbox"]);
    assert!(finding(&facts, "sandbox").fix.is_some(), "without a known cause there is advice");
    assert!(!capabilities(&facts).user_namespaces.likely());
}

/// Without a trial the same causes are found, and without a bwrap that is what blocks.
#[test]
fn causes_are_found_without_a_trial() {
    for name in ["centos-7", "debian-12-closed", "docker", "rhel-9-stig", "ubuntu-24.04"] {
        let mut facts = recorded(name);
        let before: Vec<String> =
            bad(&facts).into_iter().filter(|text| text.starts_with("blocks")).collect();
        if let Some(bwrap) = facts.bwrap.as_mut() {
            bwrap.trial = None;
        }
        let mut after: Vec<String> =
            bad(&facts).into_iter().filter(|text| text.starts_with("blocks")).collect();
        // It comes last: it is a guess.
        after.rotate_right(1);
        assert_eq!(before, after, "{name}");
    }
    let mut facts = recorded("debian-13-desktop");
    facts.bwrap = None;
    assert_eq!(bad(&facts), ["blocks bwrap"]);
}

/// The layers that a resolver may count on.
#[test]
fn layers_follow_from_facts() {
    let layers = |name: &str| -> Layers { capabilities(&recorded(name)) };
    let desktop = layers("debian-13-desktop");
    assert!(desktop.landlock_scopes() && desktop.limits("memory") && !desktop.limits("cpuset"));
    assert_eq!(desktop.overlay, Usable::Yes);
    let ubuntu = layers("ubuntu-24.04");
    assert!(!ubuntu.user_namespaces.likely() && !ubuntu.landlock_scopes());
    assert_eq!(ubuntu.landlock, 4);
    let mut quick = recorded("ubuntu-24.04");
    quick.bwrap.as_mut().expect("a bwrap").trial = None;
    assert!(matches!(capabilities(&quick).user_namespaces, Usable::Unsure(_)));
    assert!(layers("rhel-9").cgroup.is_none() && layers("rhel-9").landlock == 0);
    let docker = layers("docker");
    assert!(!docker.procfs.likely() && docker.seccomp.likely());
    assert!(!layers("centos-7").notification.likely());
    assert!(!layers("alpine-3.22").overlay.likely());
    let mut masked = recorded("debian-13-desktop");
    masked.surroundings.masked_proc = vec!["/proc/kcore".to_owned(), "/proc/keys".to_owned()];
    masked.bwrap.as_mut().expect("a bwrap").trial = None;
    let Usable::No(reason) = capabilities(&masked).procfs else { panic!("a mask hides /proc") };
    assert_eq!(reason, "parts of /proc are hidden here (/proc/kcore and 1 more)");
}

/// Within another sandbox its maker is the cause that is named, and no command for the host's
/// settings is given, which would not help.
#[test]
fn nested_sandboxes_name_their_maker() {
    let mut facts = recorded("rhel-9-stig");
    facts.caller.first_user_namespace = false;
    let fix = finding(&facts, "user-max-user-namespaces").fix.expect("advice");
    assert_eq!((fix.temporary, fix.permanent), (None, None));
    facts.namespaces.limits.insert("user".to_owned(), 100);
    let bad = bad(&facts);
    assert_eq!(bad[..2], ["blocks sandbox", "blocks nested"]);
    facts.bwrap = recorded("rhel-9").bwrap;
    assert_eq!(finding(&facts, "nested").severity, Severity::Info);
}

/// Nothing in facts, however odd, makes judging them panic, and the packaged lines stay short
/// enough to be shown within 80 columns.
#[test]
fn odd_facts_are_judged() {
    let empty = Facts::default();
    assert_eq!(worst(&findings(&empty)), Severity::Blocks);
    let mut facts = recorded("docker");
    facts.kernel.release = "99999999999999999999.x\u{1b}[2J".to_owned();
    facts.namespaces.limits.insert("\n".to_owned(), 0);
    facts.system = Some(String::new());
    assert!(!findings(&facts).is_empty());
    for text in [SYSCTL, APPARMOR, MODULES, DELEGATE] {
        assert!(text.lines().all(|line| line.len() <= 68), "{text}");
    }
}
