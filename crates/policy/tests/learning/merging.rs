//! What a run adds to a profile that there is.

use super::*;

pub fn merged(world: &World, text: &str, events: &[Event]) -> swathe_policy::learn::Merged {
    let source = Arc::new(SourceText::file("p.toml", text));
    let learned = world.learn(events);
    let merged = merge(&source, &world.read(text).intents, &learned, &world.env);
    let merged = merged.unwrap_or_else(|found| panic!("{}", found[0]));
    if merged.forbidden.is_empty() {
        let told = world.permits(&world.read(&merged.text), &learned.needs);
        assert!(!told.contains(&false), "{}", merged.text);
    }
    let again = Arc::new(SourceText::file("p.toml", merged.text.clone()));
    let more = merge(&again, &world.read(&merged.text).intents, &learned, &world.env);
    assert_eq!(more.map(|more| more.changes), Ok(Vec::new()), "{}", merged.text);
    merged
}

/// What a profile lacks is added, levels are raised where they stand, and nothing else is touched.
#[test]
fn merging() {
    let world = world(&["/home/user/d/a", "/home/user/d/b", "/home/user/e/a"]);
    let events = [
        event(Action::Create, "/home/user/project/x"),
        event(Action::Read, "/home/user/d/a"),
        event(Action::Write, "/home/user/e/a"),
    ];
    let old = "# mine\n[limits]\nmemory = \"1G\"   # much\n\n[[intent]] # cwd\nuse = \"files.cwd\" # no access\n\n\
               [[intent]]\npath = '~/d'\nuse = \"files.dir\"\n[[intent]]\nuse = \"files.dir\"\naccess = 'ro' # e\n\
               path = \"$HOME/e/a\"";
    let result = merged(&world, old, &events);
    assert_eq!(result.changes.len(), 2, "{:?}", result.changes);
    assert!(result.changes.iter().all(|change| matches!(change, Change::Widened(..))));
    let new = old
        .replace("use = \"files.cwd\" #", "use = \"files.cwd\"\naccess = \"rw\" #")
        .replace("'ro' # e", "\"rw\" # e");
    assert_eq!(result.text, new);
    let diff = result.diff(old);
    assert!(diff.contains("\n-access = 'ro' # e\n+access = \"rw\" # e\n"), "{diff}");
    // Only what is new.
    let result = merged(&world, "[[intent]]\nuse = \"files.cwd\"\naccess = \"rw\"", &events);
    assert!(result.text.starts_with("[[intent]]\nuse = \"files.cwd\"\naccess = \"rw\"\n\n# tool"));
    assert_eq!(result.changes.len(), 2);
    let diff = result.diff("[[intent]]\nuse = \"files.cwd\"\naccess = \"rw\"");
    assert!(!diff.contains("\n-["), "{diff}");
}

/// The deepest line that is about a path says what it may have.
#[test]
fn merging_by_the_deepest_line() {
    let world = world(&["/home/user/d/e/a", "/home/user/d/f/b"]);
    let events =
        [event(Action::Write, "/home/user/d/e/a"), event(Action::Read, "/home/user/d/f/b")];
    let line = |path: &str, access: &str| {
        format!("[[intent]]\nuse = \"files.dir\"\npath = \"{path}\"\naccess = \"{access}\"\n")
    };
    let old = line("~/d", "ro") + &line("~/d/e", "rw");
    assert_eq!(merged(&world, &old, &events).changes, []);
    let old = line("~/d", "rw") + &line("~/d/e", "ro");
    let result = merged(&world, &old, &events);
    assert!(
        matches!(&result.changes[..], [Change::Added(Intent::FilesDir { path, .. })] if path.ends_with("e/a"))
    );
}

/// Lists in one line, empty ones, and profiles with nothing.
#[test]
fn merging_into_all_forms() {
    let world = world(&["/home/user/d/a"]);
    let events =
        [event(Action::Create, "/home/user/project/x"), event(Action::Read, "/home/user/d/a")];
    for old in [
        "",
        "# nothing",
        "intent = []",
        "intent = [ # none\n]\n",
        "intent = [{ use = \"gpu\" }]",
        "intent = [\n  { use = \"gpu\" }, # gpu\n]\ncommand = [\"x\"]\n",
        "intent = [{ use = \"files.cwd\" }, { use = \"tty\" },]",
        "[[intent]]\nuse = \"gpu\"\n[limits]\ntime = 5\n",
    ] {
        let result = merged(&world, old, &events);
        assert_eq!(result.changes.len(), 2, "{old:?}: {:?}", result.changes);
        let intents = world.read(&result.text).intents;
        assert!(intents.iter().any(|d| d.intent == Intent::FilesCwd(Access::ReadWrite)));
    }
}

/// What the profile forbids in so many words it goes on to forbid, and that is said.
#[test]
fn merging_never_lifts_a_ban() {
    let world = world(&["/home/user/d/a", "/home/user/d/b"]);
    let events = [event(Action::Read, "/home/user/d/a"), event(Action::Write, "/home/user/d/b")];
    for old in [
        "[[intent]]\nuse = \"files.hide\"\npath = \"~/d\"\n",
        "[[intent]]\nuse = \"files.hide\"\npath = \"~/d*\"\n",
        "[[intent]]\nuse = \"files.dir\"\npath = \"~/d\"\naccess = \"ask\"\n",
    ] {
        let result = merged(&world, old, &events);
        assert_eq!(result.text, old);
        assert_eq!(result.forbidden.len(), 2, "{:?}", result.forbidden);
    }
    let events = [event(Action::Connect, "tcp:github.com:443")];
    let none = "[[intent]]\nuse = \"net.none\" # never\n";
    let result = merged(&world, none, &events);
    assert_eq!(result.text, none);
    assert_eq!(result.forbidden, ["github.com:443, by net.none"]);
}

/// A host that a rule of the profile covers needs no line, another one does.
#[test]
fn merging_hosts() {
    let world = world(&[]);
    let events = ["tcp:github.com:443", "tcp:registry.npmjs.org:443", "tcp:npmjs.org:443"]
        .map(|object| event(Action::Connect, object));
    let old = "[[intent]]\nuse = \"net.host\"\nto = [\"github.com\", \"*.npmjs.org\"]\n";
    let result = merged(&world, old, &events);
    assert_eq!(result.changes, [Change::Added(reach("npmjs.org:443"))]);
    assert!(result.text.starts_with(old), "{}", result.text);
    assert_eq!(merged(&world, &result.text, &events).changes, []);
}
