//! Whatever a policy asks for, its plan keeps what every run has.

#[allow(dead_code)] // a part of it is used here
mod learn;

use learn::{Made, World};
use proptest::prelude::*;
use swathe_plan::Plan;
use swathe_plan::filter::{Arch, Data, interpret};
use swathe_plan::model::{CapOp, UserNamespace};
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
        6 => prop::sample::select(vec![
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
        ..Request::default()
    };
    resolve(&policy, &request, &host, &world.files)
}

/// What the filters of a plan say to a call.
fn said(sandbox: &Sandbox, call: &str) -> Option<u32> {
    let arch = Arch::native()?;
    let number = arch.number(call)?;
    let data = Data { number, arch: arch.audit(), address: 0, args: [0; 6] };
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
