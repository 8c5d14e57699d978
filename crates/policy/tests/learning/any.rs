//! Whatever a run did.

use super::merging::merged;
use super::*;
use proptest::prelude::*;

fn any_action() -> impl Strategy<Value = Action> {
    use Action::{
        Bind, Call, Connect, Create, Execute, Metadata, Read, Remove, Rename, Stat, Truncate, Write,
    };
    prop::sample::select(vec![
        Stat, Read, Write, Create, Remove, Rename, Truncate, Metadata, Execute, Connect, Bind, Call,
    ])
}

fn any_path() -> impl Strategy<Value = String> {
    let start = prop::sample::select(vec![
        "/home/user",
        "/home/user/project",
        "/home/user/.cache",
        "/home/user/.config",
        "/home/user/.local/share",
        "/home/user/.ssh",
        "/home/user/.cargo",
        "/home",
        "/srv",
        "/mnt/disk",
        "/tmp",
        "/run/user/1000",
        "/usr/lib",
        "/etc",
        "/dev",
        "/proc",
        "",
        "/home/user/.local/state/swathe",
        "/var/lib",
        "/opt/tool",
    ]);
    let name = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "d", ".git", "hooks", "config", "gh", "credentials", ".npmrc"])
            .prop_map(str::to_owned),
        1 => "[a$\"\\\\*?\u{202e}\n é~-]{1,4}",
    ];
    (start, prop::collection::vec(name, 0..4)).prop_map(|(start, names)| {
        let path = names.iter().fold(start.to_owned(), |path, name| format!("{path}/{name}"));
        if path.is_empty() { "/".to_owned() } else { path }
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let object = prop_oneof![
        12 => any_path(),
        1 => any_path().prop_map(|path| format!("unix:{path}")),
        1 => prop::sample::select(vec!["tcp:1.2.3.4:5", "tcp:[::1]:80", "udp:9.9.9.9:53", "tcp:x", "unix:", "unix:@x", "ptrace", "mount"])
            .prop_map(str::to_owned),
    ];
    let outcome = prop_oneof![
        5 => Just((Outcome::Allowed, Layer::Other)),
        1 => Just((Outcome::Denied(2), Layer::Other)),
        1 => Just((Outcome::Denied(2), Layer::Mount)),
        1 => Just((Outcome::Denied(101), Layer::Network)),
        1 => Just((Outcome::Kept, Layer::Level)),
    ];
    (any_action(), object, prop::option::weighted(0.2, any_path()), outcome).prop_map(
        |(action, object, to, (outcome, layer))| Event {
            to: to.filter(|_| action == Action::Rename).map(|to| to.as_str().into()),
            outcome,
            layer,
            ..event(action, &object)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever a run did: its profile is read, permits all that is needed, has no line that
    /// nothing needs, and none for what a person has to decide.
    #[test]
    fn every_profile_is_enough_and_no_more(
        events in prop::collection::vec(any_event(), 0..40),
        there in prop::collection::vec((any_path(), any::<bool>()), 0..40),
        strict: bool,
    ) {
        let mut world = world(&[]);
        for (path, file) in there {
            let kind = if file { Kind::File } else { Kind::Directory };
            if !world.files.0.contains_key(Path::new(&path)) {
                world.files.put(Path::new(&path), kind);
            }
        }
        for event in &events {
            let path = event.object.as_path();
            if path.is_absolute() && event.pid % 2 == 1 && !world.files.0.contains_key(path) && event.action == Action::Read {
                world.files.put(path, Kind::File);
            }
        }
        world.strict = strict;
        let learned = world.learn(&events);
        let policy = world.check(&learned);
        never(&world, &policy);
        prop_assert_eq!(&learned, &world.learn(&events));
        // A path of the user's that was read is in no way forgotten: it is needed, made by the run,
        // shown anyway, or said in a comment.
        let text = world.text(&learned);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        // Added to nothing, or to itself, it is the same.
        let merged = merged(&world, "", &events);
        let kept: Vec<Intent> = world.read(&merged.text).intents.into_iter().map(|d| d.intent).collect();
        let own: Vec<Intent> = policy.intents.into_iter().map(|d| d.intent).collect();
        prop_assert_eq!(kept, own);
    }
}
