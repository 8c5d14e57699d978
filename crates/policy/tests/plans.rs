//! Whatever a policy asks for, its plan keeps what every run has.

#[allow(dead_code)] // a part of it is used here
mod learn;

use learn::{Made, World};
use proptest::prelude::*;
use swathe_netrules::{Form, Rule, What, fixed};
use swathe_plan::Plan;
use swathe_plan::filter::{Arch, Data, interpret};
use swathe_plan::model::{CapOp, FileOp, UserNamespace};
use swathe_plan::tables::ALL_CAPABILITIES;
use swathe_policy::merge::{Layer, merge};
use swathe_policy::resolve::{Host, Layers, Refusal, Request, Sandbox, default_limits, resolve};
use swathe_policy::{Access, Declared, Intent, Policy, Source, State};

const ALLOW: u32 = 0x7fff_0000;

/// Calls that no intent allows.
const NEVER: &[&str] = &["bpf", "kexec_load", "init_module", "add_key", "io_uring_setup", "swapon"];

fn any_access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![
        Access::Hide,
        Access::Ask,
        Access::ReadOnly,
        Access::Append,
        Access::NoDelete,
        Access::Trash,
        Access::ReadWrite,
    ])
}

fn any_intent() -> impl Strategy<Value = Intent> {
    let path = || {
        prop::sample::select(vec![
            "/home/user/project",
            "/home/user/project/src",
            "/home/user/data",
            "/home/user/data/log",
            "/opt/tool",
        ])
    };
    prop_oneof![
        2 => any_access().prop_map(Intent::FilesCwd),
        1 => any_access().prop_map(Intent::FilesArgs),
        4 => (path(), any_access())
            .prop_map(|(path, access)| Intent::FilesDir { path: path.into(), access }),
        1 => path().prop_map(|path| Intent::FilesHide(path.into())),
        1 => path().prop_map(|path| Intent::FilesHideGlob(format!("{path}/**/*.key").into())),
        1 => prop::sample::select(vec![State::Persist, State::Ephemeral, State::Overlay])
            .prop_map(Intent::State),
        1 => "[A-Z]{1,8}".prop_map(Intent::EnvPass),
        3 => prop::sample::select(
            ["github.com:443", "*.example", "localhost:5432", "10.0.0.0/8", "*"].to_vec()
        )
        .prop_map(reach),
        1 => prop::sample::select(vec!["github.com", "10.9.0.0/16"]).prop_map(deny),
        1 => prop::sample::select(vec!["8080", "8080:3000", "0.0.0.0:81"]).prop_map(listen),
        6 => prop::sample::select(vec![
            Intent::NetAsk,
            Intent::NetNone,
            Intent::NetLoopback,
            Intent::NetAll,
            Intent::Tty,
            Intent::Gpu,
            Intent::Camera,
            Intent::Usb,
            Intent::Gamepad,
            Intent::Fonts,
            Intent::Themes,
            Intent::SshAgent,
            Intent::GpgAgent,
            Intent::Print,
            Intent::Ptrace,
            Intent::NestedSandbox,
            Intent::Kvm,
            Intent::Bits32,
        ]),
    ]
}

fn reach(text: &str) -> Intent {
    Intent::NetReach(Rule::parse(text, Form::Allow).expect(text))
}

fn deny(text: &str) -> Intent {
    Intent::NetDeny(Rule::parse(text, Form::Deny).expect(text))
}

fn listen(text: &str) -> Intent {
    Intent::NetListen(text.parse().expect(text))
}

/// Options of a request that are not part of the policy.
#[derive(Debug, Clone)]
struct Odd {
    terminal: bool,
    landlock: bool,
    throwaway: bool,
}

fn any_odd() -> impl Strategy<Value = Odd> {
    (any::<bool>(), prop::bool::weighted(0.9), prop::bool::weighted(0.1))
        .prop_map(|(terminal, landlock, throwaway)| Odd { terminal, landlock, throwaway })
}

/// The sandbox of a run with these intents, if it can be had.
fn sandbox(intents: Vec<Intent>, odd: &Odd) -> Result<Sandbox, Refusal> {
    with_bridge(intents, odd, None)
}

/// The same, with a network that is to be brought in.
fn with_bridge(intents: Vec<Intent>, odd: &Odd, bridge: Option<&str>) -> Result<Sandbox, Refusal> {
    let files = Made::new(&[
        "/usr/bin/true",
        "/home/user/project/src/",
        "/home/user/data/log/a",
        "/opt/tool/bin/",
    ]);
    let world = World::new(files, "/home/user/project");
    let declared = |intent| Declared { intent, reason: None, source: Source::Default };
    let user = Policy { intents: intents.into_iter().map(declared).collect(), ..Policy::default() };
    let defaults = Policy { limits: default_limits(1 << 32), ..Policy::default() };
    let policy = merge(&[(Layer::Default, defaults), (Layer::User, user)]);
    let host = Host {
        uid: 1000,
        gid: 1000,
        user: "user".into(),
        home: world.env.home.clone(),
        cwd: world.env.cwd.clone(),
        env: Vec::new(),
        memory: 1 << 32,
        places: world.env.clone(),
        deciding: Vec::new(),
        state: None,
        stores: Vec::new(),
        layers: Layers { landlock_scopes: odd.landlock, pid_max: true },
    };
    let request = Request {
        command: vec!["/usr/bin/true".into(), "src".into()],
        terminal: odd.terminal,
        degraded: vec!["landlock".to_owned()],
        throwaway: odd.throwaway,
        bridge: bridge.map(Into::into),
        ..Request::default()
    };
    resolve(&policy, &request, &host, &world.files)
}

/// What the filters of a plan say to a call.
fn said(sandbox: &Sandbox, call: &str) -> Option<u32> {
    called(sandbox, call, [0; 6])
}

fn called(sandbox: &Sandbox, call: &str, args: [u64; 6]) -> Option<u32> {
    let arch = Arch::native()?;
    let number = arch.number(call)?;
    let data = Data { number, arch: arch.audit(), address: 0, args };
    let program = |fd: &swathe_plan::model::Given<_>| {
        sandbox.data.iter().find(|data| data.fd == fd.value).map(|data| &data.bytes)
    };
    let answers = sandbox.plan.filters.iter().map(|fd| interpret(program(fd)?, &data).ok());
    // The strictest of several counts: it is the smallest number.
    answers.collect::<Option<Vec<u32>>>()?.into_iter().min()
}

/// What is missing of what every plan has.
fn missing(sandbox: &Sandbox, odd: &Odd) -> Vec<&'static str> {
    let Plan { namespaces, lifecycle, .. } = &sandbox.plan;
    let plan = &sandbox.plan;
    [
        ("a filter", !plan.filters.is_empty()),
        ("a filter that allows to read", said(sandbox, "read") == Some(ALLOW)),
        ("no dangerous call", NEVER.iter().all(|call| said(sandbox, call) != Some(ALLOW))),
        // With ranges, they would come before `no_new_privs`; without, that is the first step.
        ("no_new_privs", plan.uid_ranges.is_empty() && plan.gid_ranges.is_empty()),
        ("a user namespace", namespaces.user == UserNamespace::New),
        ("namespaces", namespaces.pid && namespaces.ipc && namespaces.uts),
        ("no capability", plan.caps == [CapOp::Drop(ALL_CAPABILITIES)]),
        ("signals inside", plan.scope_signals == odd.landlock),
        ("abstract sockets inside", plan.scope_abstract_sockets == odd.landlock),
        ("an end with the launcher", lifecycle.die_with_parent),
        ("an end with the command", lifecycle.end_with_command),
        ("closed descriptors", lifecycle.close_fds),
        ("a bound of processes", namespaces.pid_max.is_some()),
        ("no core files", plan.limits.iter().any(|limit| limit.soft == Some(0))),
        ("a boundary", !plan.not_a_security_boundary && plan.assume_kernel.is_none()),
    ]
    .into_iter()
    .filter_map(|(what, there)| (!there).then_some(what))
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A plan always has a filter, and the rest of what no policy can do without.
    #[test]
    fn kept(intents in prop::collection::vec(any_intent(), 0..8), odd in any_odd()) {
        if let Ok(sandbox) = sandbox(intents, &odd) {
            prop_assert_eq!(missing(&sandbox, &odd), Vec::<&str>::new());
        }
    }

    /// The same for each intent alone, so that most of them are not refused for another's sake.
    #[test]
    fn kept_alone(intent in any_intent(), odd in any_odd()) {
        if let Ok(sandbox) = sandbox(vec![intent], &odd) {
            prop_assert_eq!(missing(&sandbox, &odd), Vec::<&str>::new());
        }
    }
}

/// Most intents alone can be had: the tests above are about something.
#[test]
fn not_empty() {
    let odd = Odd { terminal: false, landlock: true, throwaway: false };
    for intent in [
        Intent::NestedSandbox,
        Intent::Ptrace,
        Intent::Bits32,
        Intent::NetAll,
        Intent::Tty,
        Intent::FilesCwd(Access::Trash),
        Intent::FilesHideGlob("/home/user/project/**/x".into()),
    ] {
        let refused = sandbox(vec![intent], &odd).map(drop).err();
        assert_eq!(refused, None);
    }
}

/// The contents of a made file.
fn made<'s>(sandbox: &'s Sandbox, path: &str) -> Option<&'s str> {
    let fd = sandbox.plan.steps.iter().find_map(|step| match &step.op {
        FileOp::File { fd, dest, .. } if dest.0 == path.as_bytes() => Some(*fd),
        _ => None,
    })?;
    let data = sandbox.data.iter().find(|data| data.fd == fd)?;
    std::str::from_utf8(&data.bytes).ok()
}

/// Which network each combination of intents comes to: namespace, rules, and what names of hosts
/// are looked up with.
#[test]
fn networks() {
    let odd = Odd { terminal: false, landlock: true, throwaway: false };
    let all = || Intent::NetAll;
    // Intents; whether the network is the sandbox's own; rules that allow and deny; whether
    // sockets of the internet can be made.
    type Row = (Vec<Intent>, bool, Option<(usize, usize)>, bool);
    let rows: [Row; 11] = [
        (vec![], true, None, true),
        (vec![Intent::NetLoopback], true, None, true),
        (vec![Intent::NetNone], true, None, false),
        (vec![all()], false, None, true),
        (vec![reach("github.com:443")], true, Some((1, 0)), true),
        (vec![reach("github.com:443"), deny("a.example")], true, Some((1, 1)), true),
        (vec![all(), deny("a.example")], true, Some((1, 1)), true),
        (vec![all(), reach("10.0.0.0/8")], true, Some((2, 0)), true),
        (vec![listen("8080")], true, Some((0, 0)), true),
        (vec![Intent::NetAsk], true, Some((0, 0)), true),
        (vec![deny("a.example")], true, None, true),
    ];
    for (intents, own, rules, inet) in rows {
        let sandbox = sandbox(intents.clone(), &odd).expect("can be had");
        assert_eq!(sandbox.plan.namespaces.net, own, "{intents:?}");
        let network = sandbox.network.as_ref();
        let counted = network.map(|n| (n.rules.allow.len(), n.rules.deny.len()));
        assert_eq!(counted, rules, "{intents:?}");
        let sources = network.map(|n| (n.allowed_by.len(), n.denied_by.len()));
        assert_eq!(sources, rules, "{intents:?}");
        let resolv = made(&sandbox, "/etc/resolv.conf");
        assert_eq!(resolv, rules.map(|_| fixed::RESOLV_CONF), "{intents:?}");
        let names = made(&sandbox, "/etc/nsswitch.conf").expect("made");
        let dns = rules.is_some() || !own;
        assert_eq!(names.contains("\nhosts: files dns\n"), dns, "{intents:?}");
        assert_eq!(made(&sandbox, "/etc/hosts"), Some(fixed::HOSTS), "{intents:?}");
        let family = 2; // AF_INET
        let call = called(&sandbox, "socket", [family, 1, 0, 0, 0, 0]).expect("an answer");
        assert_eq!(call == ALLOW, inet, "{intents:?}");
    }
    let whole = sandbox(vec![all(), deny("a.example")], &odd).expect("can be had");
    let network = whole.network.expect("rules");
    assert_eq!(network.rules.allow[0].what, What::Any);
    assert!(whole.notes.iter().any(|note| note.0.starts_with("net.all goes by rules")));
}

/// The whole network is brought in where that is asked for, and nothing less is.
#[test]
fn network_brought_in() {
    let odd = Odd { terminal: false, landlock: true, throwaway: false };
    let text = "nameserver 192.0.2.53\n";
    for (intents, whole) in [
        (vec![Intent::NetAll], true),
        (vec![], false),
        (vec![Intent::NetNone], false),
        (vec![Intent::NetAll, deny("a.example")], false),
        (vec![Intent::NetAll, listen("8080")], false),
        (vec![reach("a.example")], false),
    ] {
        let sandbox = with_bridge(intents.clone(), &odd, Some(text)).expect("can be had");
        assert_eq!(sandbox.bridged, whole, "{intents:?}");
        assert!(sandbox.plan.namespaces.net, "{intents:?}");
        let resolv = made(&sandbox, "/etc/resolv.conf");
        assert_eq!(resolv == Some(text), whole, "{intents:?}");
    }
    // A profile that wants it so gets nothing else: neither the host's own network nor rules.
    let wanted = with_bridge(vec![Intent::NetPasta], &odd, Some(text)).expect("can be had");
    assert!(wanted.bridged && wanted.plan.namespaces.net);
    assert_eq!(made(&wanted, "/etc/resolv.conf"), Some(text));
    let names = made(&wanted, "/etc/nsswitch.conf").expect("made");
    assert!(names.contains("\nhosts: files dns\n"), "{names}");
    assert!(sandbox(vec![Intent::NetPasta], &odd).is_err(), "nobody brings it in");
    for other in [deny("a.example"), listen("8080"), reach("a.example"), Intent::NetAsk] {
        let intents = vec![Intent::NetPasta, other];
        assert!(with_bridge(intents.clone(), &odd, Some(text)).is_err(), "{intents:?}");
    }
    let shared = sandbox(vec![Intent::NetAll], &odd).expect("can be had");
    assert!(!shared.bridged && !shared.plan.namespaces.net);
}

/// What cannot be published together, and more rules than are compared, are refused.
#[test]
fn network_bounds() {
    let odd = Odd { terminal: false, landlock: true, throwaway: false };
    for intents in [
        vec![listen("8080"), listen("8080:3000")],
        vec![listen("8080"), listen("0.0.0.0:8080")],
        (1..=257).map(|port| listen(&port.to_string())).collect(),
        (0..=4096).map(|n| reach(&format!("h{n}.example"))).collect(),
    ] {
        let refused = sandbox(intents, &odd).map(drop);
        assert!(refused.is_err());
    }
    assert!(sandbox(vec![listen("8080"), listen("[::1]:8080")], &odd).is_ok());
}
