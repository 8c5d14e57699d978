//! Values, paths, words, merging and grants: what is read is what was meant.

use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_netrules::{Form, Rule};
use swathe_policy::grants::{Question, in_force, needed, select};
use swathe_policy::merge::{Layer, access_at, merge};
use swathe_policy::paths::{Asker, Verdict, expand, judge};
use swathe_policy::value::{duration, size};
use swathe_policy::words::{Network, network, parse, written};
use swathe_policy::{
    Access, Declared, Environment, Grants, Intent, Limits, Loader, Manifest, Policy, Source,
    SourceText, State, load,
};

fn environment() -> Environment {
    Environment::usual("/home/user", "/home/user/project")
}

fn declared(intent: Intent) -> Declared {
    Declared { intent, reason: None, source: Source::Default }
}

fn dir(path: &str, access: Access) -> Intent {
    Intent::FilesDir { path: PathBuf::from(path), access }
}

fn policy(intents: impl IntoIterator<Item = Intent>) -> Policy {
    Policy { intents: intents.into_iter().map(declared).collect(), ..Policy::default() }
}

fn intents(policy: &Policy) -> Vec<Intent> {
    policy.intents.iter().map(|declared| declared.intent.clone()).collect()
}

/// Profiles by name.
struct Texts(Vec<(&'static str, String)>);

impl Loader for Texts {
    fn load(&self, name: &OsStr) -> Result<SourceText, String> {
        let text = self.0.iter().find(|(known, _)| OsStr::new(known) == name);
        let (name, text) = text.ok_or("not there")?;
        Ok(SourceText::file(*name, text.clone()))
    }
}

fn manifest(text: &str) -> Manifest {
    let source = Arc::new(SourceText::file("m.toml", text));
    Manifest::read(&source, &environment()).expect("a good manifest")
}

const APP: &str = "[app]\nid = \"org.example.App\"\ncommand = [\"app\"]\n";

fn asking(rows: &[&str]) -> Manifest {
    let intent = |row: &&str| format!("[[intent]]\n{row}\nreason = \"because\"\n");
    manifest(&(APP.to_owned() + &rows.iter().map(intent).collect::<String>()))
}

/// Sizes and durations mean what they say, and what overflows or is out of order is refused.
#[test]
fn values() {
    let sizes =
        [("1", Some(1)), ("1K", Some(1024)), ("512M", Some(512 << 20)), ("1G", Some(1 << 30))];
    let bad =
        ["", "0", "K", "1k", "-1", "+1", "1.5G", "1 G", "１", "8388608T", "9223372036854775808"];
    for (text, value) in sizes.into_iter().chain(bad.map(|text| (text, None))) {
        assert_eq!(size(text).ok(), value, "{text}");
    }
    let times = [("1s", Some(1)), ("10m", Some(600)), ("1h30m", Some(5400)), ("2d", Some(172_800))];
    let bad = ["", "1", "m", "1m1m", "1m1h", "1h 30m", "0s", "9999999999999999999d", "1é", "-1s"];
    for (text, value) in times.into_iter().chain(bad.map(|text| (text, None))) {
        assert_eq!(duration(text).ok(), value, "{text}");
    }
}

/// `~` and known variables are replaced at the beginning of a path, and nothing else is.
#[test]
fn expansion() {
    let mut env = environment();
    env.runtime = Some("/run/user/7".into());
    let good = [
        ("~", "/home/user"),
        ("~/a//b/./c/", "/home/user/a/b/c"),
        ("$HOME/a", "/home/user/a"),
        ("${XDG_DATA_HOME}/a", "/home/user/.local/share/a"),
        ("$XDG_RUNTIME_DIR", "/run/user/7"),
        ("/a/$$HOME", "/a/$HOME"),
        ("/~/x", "/~/x"),
        ("///", "/"),
    ];
    for (text, path) in good {
        assert_eq!(expand(OsStr::new(text), &env, false), Ok(PathBuf::from(path)), "{text}");
    }
    let path = expand(&OsString::from_vec(b"x\xff".to_vec()), &env, true);
    let expected = OsString::from_vec(b"/home/user/project/x\xff".to_vec());
    assert_eq!(path, Ok(PathBuf::from(expected)));
}

/// Credentials are named to the user, and never given to an app; nobody writes profiles and grants.
#[test]
fn verdicts() {
    let env = environment();
    let of = |path: &str, write, asker| judge(Path::new(path), write, asker, &env);
    for path in ["/home/user/.ssh", "/home/user/.aws/x", "/home/user/.config", "/etc/shadow"] {
        assert!(matches!(of(path, false, Asker::User), Verdict::Warn(_)), "{path}");
        assert!(matches!(of(path, false, Asker::Manifest), Verdict::Refuse(_)), "{path}");
    }
    assert_eq!(of("/home/user/.config/swathe", false, Asker::User), Verdict::Fine);
    for path in ["/home/user/.config/swathe", "/home/user/.local", "/usr", "/opt"] {
        assert!(matches!(of(path, true, Asker::User), Verdict::Refuse(_)), "{path}");
    }
    for path in ["/home/user/pages", "/mnt/disk", "/home/user/.cargo/registry"] {
        assert_eq!(of(path, true, Asker::Manifest), Verdict::Fine, "{path}");
    }
}

/// Profiles extend each other: bases first, each once, and what a profile says beats its bases.
#[test]
fn extending() {
    let base = "[[intent]]\nuse = \"files.dir\"\npath = \"/srv/a\"\naccess = \"rw\"\n\
                [[intent]]\nuse = \"net.all\"\n[limits]\nmemory = \"1G\"\ntime = 5\n";
    let middle = "extends = [\"base\"]\n[limits]\nmemory = \"2G\"\n";
    let top = "extends = [\"base\", \"middle\"]\ncommand = [\"x\", \"\"]\n\
               [[intent]]\nuse = \"files.dir\"\npath = \"/srv/a\"\n[[intent]]\nuse = \"net.none\"\n";
    let texts = Texts(vec![
        ("base", base.to_owned()),
        ("middle", middle.to_owned()),
        ("top", top.to_owned()),
    ]);
    let loaded = load(&texts, &["top".into()], &environment(), &["gpu".into()]).expect("loaded");
    let expected = [dir("/srv/a", Access::ReadOnly), Intent::NetNone, Intent::Gpu];
    assert_eq!(intents(&loaded.policy), expected);
    let limits = Limits { memory: Some(2 << 30), time: Some(5), ..Limits::default() };
    assert_eq!(loaded.policy.limits, limits);
    assert_eq!(loaded.policy.command, ["x", ""]);
    let source = &loaded.policy.intents[0].source;
    assert_eq!(*source, Source::File { path: "top".into(), line: 4, column: 7 });
    assert_eq!(loaded.files, ["base", "middle", "top"].map(PathBuf::from));
}

/// The user's words beat a profile's, and a profile's beat an app's: no app sees what its user
/// hides, writes what its user shows read-only, or raises a limit.
#[test]
fn layers() {
    let app = Policy {
        limits: Limits { memory: Some(100), processes: Some(9), ..Limits::default() },
        ..policy([
            dir("/home/user/a/deep", Access::ReadWrite),
            dir("/home/user/b", Access::ReadWrite),
            dir("/home/user/c", Access::ReadWrite),
            dir("/home/user/b/deep", Access::ReadWrite),
            Intent::NetAll,
        ])
    };
    let user = Policy {
        limits: Limits { memory: Some(50), processes: Some(20), ..Limits::default() },
        ..policy([
            Intent::FilesHide("/home/user/a".into()),
            dir("/home/user", Access::ReadWrite),
            dir("/home/user/b", Access::ReadOnly),
            Intent::NetNone,
        ])
    };
    let line = policy([Intent::NetLoopback]);
    let all = [(Layer::CommandLine, line), (Layer::User, user), (Layer::App, app)];
    let merged = merge(&all);
    assert_eq!(
        intents(&merged),
        [
            dir("/home/user/c", Access::ReadWrite),
            dir("/home/user/b/deep", Access::ReadOnly),
            Intent::FilesHide("/home/user/a".into()),
            dir("/home/user", Access::ReadWrite),
            dir("/home/user/b", Access::ReadOnly),
            Intent::NetLoopback,
        ]
    );
    assert_eq!(merged.limits.memory, Some(50));
    assert_eq!(merged.limits.processes, Some(9));
}

fn reach(text: &str) -> Intent {
    Intent::NetReach(Rule::parse(text, Form::Allow).expect(text))
}

fn deny(text: &str) -> Intent {
    Intent::NetDeny(Rule::parse(text, Form::Deny).expect(text))
}

/// Rules of all layers add up, denials stay, and a later layer that wants less gets less.
#[test]
fn rules_of_layers() {
    let github = || reach("github.com:443");
    let listen = || Intent::NetListen("8080".parse().expect("a port"));
    type Row = (Vec<Intent>, Vec<Intent>, Vec<Intent>);
    let rows: [Row; 14] = [
        (vec![github()], vec![reach("b.example")], vec![github(), reach("b.example")]),
        (vec![deny("github.com")], vec![github()], vec![deny("github.com"), github()]),
        (vec![github()], vec![Intent::NetNone], vec![Intent::NetNone]),
        (vec![github(), listen()], vec![Intent::NetLoopback], vec![Intent::NetLoopback]),
        (vec![Intent::NetNone], vec![github()], vec![github()]),
        (vec![Intent::NetLoopback], vec![github()], vec![Intent::NetLoopback, github()]),
        (
            vec![Intent::NetLoopback, Intent::NetAsk, listen()],
            vec![],
            vec![Intent::NetLoopback, Intent::NetAsk, listen()],
        ),
        (vec![Intent::NetNone, github()], vec![], vec![Intent::NetNone]),
        (vec![Intent::NetAll], vec![github()], vec![Intent::NetAll, github()]),
        (vec![Intent::NetAll, Intent::NetPasta], vec![], vec![Intent::NetPasta]),
        (vec![Intent::NetPasta, Intent::NetLoopback], vec![], vec![Intent::NetLoopback]),
        (vec![Intent::NetPasta], vec![Intent::NetAll], vec![Intent::NetAll]),
        (vec![Intent::NetPasta], vec![Intent::NetNone], vec![Intent::NetNone]),
        (
            vec![github(), deny("a.example")],
            vec![Intent::NetNone],
            vec![deny("a.example"), Intent::NetNone],
        ),
    ];
    for (earlier, later, expected) in rows {
        for (first, second) in [
            (Layer::App, Layer::User),
            (Layer::User, Layer::User),
            (Layer::User, Layer::CommandLine),
        ] {
            let merged =
                merge(&[(first, policy(earlier.clone())), (second, policy(later.clone()))]);
            assert_eq!(intents(&merged), expected, "{earlier:?} {later:?}");
        }
    }
}

/// A rule of a manifest needs a grant, whatever it is about; one that covers it is enough, and
/// what denies needs none. What leads to this machine and to private networks says so.
#[test]
fn rules_of_an_app() {
    let env = environment();
    let declares = |rules: &str| asking(&[&format!("use = \"net.host\"\nto = [{rules}]")]);
    let first = asking(&[
        "use = \"net.host\"\nto = [\"*.example.com:*\", \"localhost:5432\"]",
        "use = \"net.cidr\"\nto = \"10.0.0.0/8\"",
        "use = \"net.deny\"\nto = \"ads.example.com\"",
        "use = \"net.listen\"\nport = [8080, \"0.0.0.0:81:80\"]",
        "use = \"net.ask\"",
    ]);
    let mut grants = Grants::none("org.example.App");
    let asked = needed(&first, &grants, &env);
    let found: Vec<(&str, bool)> =
        asked.iter().map(|question| (question.key.as_str(), question.danger.is_some())).collect();
    let expected = [
        ("net.host=*.example.com:*", false),
        ("net.host=localhost:5432", true),
        ("net.cidr=10.0.0.0/8:80,443", true),
        ("net.listen=127.0.0.1:8080:8080", false),
        ("net.listen=0.0.0.0:81:80", true),
        ("net.ask", false),
    ];
    assert_eq!(found, expected);
    assert_eq!(intents(&in_force(&first, &grants)), [deny("ads.example.com")]);
    grants.apply(&[("net.host=*.example.com:*".to_owned(), true)], 1);
    let narrower = declares("\"a.example.com:443\", \"*.b.example.com\"");
    assert!(needed(&narrower, &grants, &env).is_empty());
    grants.record_use(&[reach("a.example.com:443")], 2);
    assert!(grants.unused().is_empty());
    let other = declares("\"example.com:443\", \"a.example.com:443/udp\", \"a.example.net\"");
    assert_eq!(needed(&other, &grants, &env).len(), 3);
    // What was refused itself is not allowed by what is broader.
    grants.apply(&[("net.host=a.example.com:443".to_owned(), false)], 3);
    assert_eq!(intents(&in_force(&narrower, &grants)), [reach("*.b.example.com")]);
    let selected = select(&asked, OsStr::new("net.listen=8080"), &env);
    assert_eq!(selected, Ok(vec!["net.listen=127.0.0.1:8080:8080".to_owned()]));
}

/// Options about the network are lists of the same rules.
#[test]
fn network_options() {
    let all = |texts: &[&str]| -> Vec<OsString> { texts.iter().map(OsString::from).collect() };
    let (net, deny_, publish) = (
        all(&["github.com:443,8443,*.npmjs.org", "ask,10.0.0.0/8:1-5,7/udp", "loopback"]),
        all(&["ads.example,10.9.0.0/16"]),
        all(&["8080:3000"]),
    );
    let words = Network { net: &net, deny: &deny_, publish: &publish };
    let (declared, warnings) = network(words).expect("good words");
    assert!(warnings.is_empty());
    let found: Vec<Intent> = declared.iter().map(|declared| declared.intent.clone()).collect();
    let expected = [
        reach("github.com:443,8443"),
        reach("*.npmjs.org"),
        Intent::NetAsk,
        reach("10.0.0.0/8:1-5,7/udp"),
        Intent::NetLoopback,
        deny("ads.example"),
        deny("10.9.0.0/16"),
        Intent::NetListen("127.0.0.1:8080:3000".parse().expect("a port")),
    ];
    assert_eq!(found, expected);
    assert_eq!(declared[3].source, Source::CommandLine("--net ask,10.0.0.0/8:1-5,7/udp".into()));
    let (_, warnings) =
        network(Network { net: &all(&["*.com,169.254.169.254:80"]), ..Network::default() })
            .expect("good words");
    assert_eq!(warnings.len(), 2);
}

/// In force is what a manifest declares and a grant allows; what only takes away needs none.
#[test]
fn handshake() {
    let env = environment();
    let first = asking(&[
        "use = \"files.dir\"\npath = \"~/pages\"\naccess = \"rw\"",
        "use = \"ssh-agent\"",
        "use = \"net.none\"",
        "use = \"env\"\npass = [\"LANG\", \"LANG\"]\nset = { A = \"b\" }",
    ]);
    let mut grants = Grants::none("org.example.App");
    let keys = |questions: &[Question]| -> Vec<String> {
        questions.iter().map(|question| question.key.clone()).collect()
    };
    let asked = needed(&first, &grants, &env);
    assert_eq!(keys(&asked), ["files.dir=/home/user/pages:rw", "ssh-agent", "env=LANG"]);
    assert!(asked[1].danger.is_some());
    let nothing = [Intent::NetNone, Intent::EnvSet("A".into(), "b".into())];
    assert_eq!(intents(&in_force(&first, &grants)), nothing);
    grants.apply(&[(asked[0].key.clone(), true), (asked[1].key.clone(), false)], 7);
    grants.apply(&[(asked[2].key.clone(), true)], 8);
    assert!(needed(&first, &grants, &env).is_empty());
    let force = in_force(&first, &grants);
    assert_eq!(intents(&force)[0], dir("/home/user/pages", Access::ReadWrite));
    assert!(!intents(&force).contains(&Intent::SshAgent));

    // What is new is asked for, and nothing else; less than before is not new.
    let second = asking(&["use = \"files.dir\"\npath = \"~/pages\"", "use = \"gpu\""]);
    assert_eq!(keys(&needed(&second, &grants, &env)), ["gpu"]);
    let reader = dir("/home/user/pages", Access::ReadOnly);
    assert_eq!(intents(&in_force(&second, &grants)), vec![reader.clone()]);

    grants.record_use([&reader, &Intent::SshAgent], 9);
    assert_eq!(grants.unused(), ["env=LANG"]);
    let source = Arc::new(SourceText::file("g.toml", grants.text().expect("a text")));
    assert_eq!(Grants::read(&source, "org.example.App"), Ok(grants.clone()));
    assert!(Grants::read(&source, "org.example.Other").is_err());
    // Grants of another app are none of this one's.
    let other = Grants { app: "org.example.Other".into(), ..grants };
    assert!(in_force(&first, &other).intents.is_empty());
}

/// A user names intents by key, by word, or as behind `--allow`.
#[test]
fn selecting() {
    let env = environment();
    let manifest = asking(&["use = \"files.dir\"\npath = \"~/a\"", "use = \"kvm\""]);
    let questions = manifest.questions(&env);
    for word in ["files.dir", "files.dir=~/a", "files.dir=/home/user/a:ro"] {
        let selected = select(&questions, OsStr::new(word), &env);
        assert_eq!(selected, Ok(vec!["files.dir=/home/user/a:ro".to_owned()]), "{word}");
    }
    for word in ["gpu", "files.dir=~/b", "files", ""] {
        assert!(select(&questions, OsStr::new(word), &env).is_err(), "{word}");
    }
}

/// Files beyond the bounds are refused before anything is made of them.
#[test]
fn bounds() {
    let many = "[[intent]]\nuse = \"gpu\"\n".repeat(1001);
    let long = format!("command = [\"{}\"]\n", "x".repeat((64 << 10) + 1));
    let huge = "#".repeat((1 << 20) + 1);
    let wide = format!("x = {}1{}", "[".repeat(5000), "]".repeat(5000));
    for text in [many, long, huge, wide] {
        let texts = Texts(vec![("p", text)]);
        assert!(load(&texts, &["p".into()], &environment(), &[]).is_err());
    }
    let many = "[[intent]]\nuse = \"gpu\"\n".repeat(1000);
    assert!(load(&Texts(vec![("p", many)]), &["p".into()], &environment(), &[]).is_ok());
}

fn any_access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::ReadOnly), Just(Access::ReadWrite)]
}

fn any_path() -> impl Strategy<Value = PathBuf> {
    // Few names, so that paths lie within each other.
    proptest::collection::vec(prop_oneof![8 => "[ab]", 1 => "[c$: ~]{1,3}"], 1..4)
        .prop_map(|parts| PathBuf::from("/srv").join(parts.join("/")))
}

fn any_file() -> impl Strategy<Value = Intent> {
    prop_oneof![
        4 => (any_path(), any_access())
            .prop_map(|(path, access)| Intent::FilesDir { path, access }),
        1 => any_path().prop_map(Intent::FilesHide),
        1 => any_intent(),
    ]
}

fn any_intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        any_access().prop_map(Intent::FilesCwd),
        any_access().prop_map(Intent::FilesArgs),
        (any_path(), any_access()).prop_map(|(path, access)| Intent::FilesDir { path, access }),
        any_path().prop_map(Intent::FilesHide),
        Just(Intent::State(State::Persist)),
        Just(Intent::NetNone),
        Just(Intent::NetAll),
        Just(Intent::NetPasta),
        any_network(),
        "[A-Z]{1,3}".prop_map(Intent::EnvPass),
        ("[A-Z]{1,3}", "[a-z= :]{0,3}").prop_map(|(name, value)| Intent::EnvSet(name, value)),
        Just(Intent::Kvm),
    ]
}

fn any_network() -> impl Strategy<Value = Intent> {
    let host = prop_oneof![
        Just("*"),
        Just("a.example"),
        Just("*.example"),
        Just("localhost"),
        Just("10.0.0.0/8"),
        Just("[2001:db8::]/32"),
    ];
    (host, "[1-9][0-9]{0,3}", prop_oneof![Just(""), Just("/udp"), Just("/any")], 0..4).prop_map(
        |(host, port, protocol, kind)| {
            let rule = |form| Rule::parse(&format!("{host}:{port}{protocol}"), form);
            match kind {
                0 => Intent::NetDeny(rule(Form::Deny).expect("a rule")),
                1 => Intent::NetListen(port.parse().expect("a port")),
                2 => Intent::NetAsk,
                _ => Intent::NetReach(rule(Form::Allow).expect("a rule")),
            }
        },
    )
}

proptest! {
    /// What an intent is written as is read as the same intent, so the key of a grant means one
    /// thing.
    #[test]
    fn written_and_read(intent in any_intent()) {
        let word = written(&intent);
        prop_assert_eq!(parse(OsStr::new(&word), &environment()).ok(), Some(intent), "{}", word);
    }

    /// The most specific path wins, and on a tie the stricter: compared with a slow reading of the
    /// rule.
    #[test]
    fn most_specific(all in proptest::collection::vec(any_file(), 0..12), path in any_path()) {
        let list: Vec<Declared> = all.into_iter().map(declared).collect();
        let mut expected = None;
        for ancestor in path.ancestors() {
            let here = list.iter().filter_map(|declared| match &declared.intent {
                Intent::FilesDir { path, access } if path == ancestor => Some(*access),
                Intent::FilesHide(path) if path == ancestor => Some(Access::Hide),
                _ => None,
            });
            expected = here.min();
            if expected.is_some() {
                break;
            }
        }
        prop_assert_eq!(access_at(&list, &path).map(|(access, _)| access), expected);
    }

    /// Merging once more changes nothing, and no layer of an app gives more than without it where
    /// the user has an opinion.
    #[test]
    fn merging(
        app in proptest::collection::vec(any_file(), 0..12),
        user in proptest::collection::vec(any_file(), 0..12),
        path in any_path(),
    ) {
        let (app, user) = (policy(app), policy(user));
        let merged = merge(&[(Layer::User, user.clone()), (Layer::App, app)]);
        prop_assert_eq!(&merge(&[(Layer::User, merged.clone())]), &merged);
        let alone = access_at(&user.intents, &path).map(|(access, _)| access);
        let both = access_at(&merged.intents, &path).map(|(access, _)| access);
        if let Some(alone) = alone {
            prop_assert!(both <= Some(alone), "{:?} {:?}", alone, both);
        }
    }

    /// In force is never more than declared and granted, whatever was answered.
    #[test]
    fn never_more(answers in proptest::collection::vec(("[a-z.]{1,9}", any::<bool>()), 0..5), yes in any::<[bool; 3]>()) {
        let manifest = asking(&["use = \"kvm\"", "use = \"usb\"", "use = \"tty\""]);
        let mut grants = Grants::none("org.example.App");
        grants.apply(&answers, 1);
        let words = ["kvm", "usb", "tty"];
        let chosen: Vec<_> = words.iter().zip(yes).map(|(w, yes)| ((*w).to_owned(), yes)).collect();
        grants.apply(&chosen, 2);
        let force = in_force(&manifest, &grants);
        let got: BTreeSet<String> = force.intents.iter().map(|d| written(&d.intent)).collect();
        let expected = chosen.iter().filter(|(_, yes)| *yes).map(|(word, _)| word.clone()).collect();
        prop_assert_eq!(got, expected);
    }

    /// No text makes the reader fail in another way than by findings that draw nothing.
    #[test]
    fn any_text(text in "(extends|\\[\\[intent\\]\\]\n|use|path|access|=|\"[a-z~/*.$\\\\u{1b}]{0,9}\"|\n|\\[|\\]|[0-9]|\\PC|\t|\r|\u{1b}){0,60}") {
        let loaded = load(&Texts(vec![("p", text)]), &["p".into()], &environment(), &[]);
        for found in loaded.err().unwrap_or_default() {
            prop_assert!(found.render().chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
