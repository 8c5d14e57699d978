//! What the options of `run`, `shell`, `explain`, `check` and `session start` ask for.

use crate::cow;
use crate::host::HostFiles;
use crate::net::{self, Bridge, Resolver};
use crate::out::{Failure, note, shown};
use crate::prompt;
use crate::store::{self, Apps, Profiles};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use swathe_host::layers::{Delegation, Quick};
use swathe_plan::Plan;
use swathe_policy::diagnostic;
use swathe_policy::grants;
use swathe_policy::merge::{self, Layer};
use swathe_policy::resolve::{self, PROTECTIONS, Request, Sandbox};
use swathe_policy::words;
use swathe_policy::{Access, Declared, Environment, Intent, Policy, Source, State};

/// What a sandbox may reach.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Options {
    /// Make the current directory writable
    #[arg(short, long)]
    pub write: bool,
    #[command(flatten)]
    pub cow: cow::CowOptions,
    /// Use a profile, by its name or, with a slash, its path; can be repeated
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Vec<OsString>,
    /// Run an app that swathe app add knows: what its manifest declares and you granted
    #[arg(long, value_name = "ID")]
    pub app: Option<String>,
    /// Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME
    #[arg(short, long, value_name = "INTENT")]
    pub allow: Vec<OsString>,
    /// Reach these hosts and no others, such as github.com:443,*.npmjs.org,10.0.0.0/8:5432; or
    /// none, loopback, all, ask
    #[arg(long, value_name = "RULE,...")]
    pub net: Vec<OsString>,
    /// Never reach these hosts, whatever allows them
    #[arg(long, value_name = "RULE,...")]
    pub net_deny: Vec<OsString>,
    /// Let others connect to a port of the sandbox, by one of this machine's
    #[arg(long, value_name = "[ADDR:]PORT[:PORT]")]
    pub publish: Vec<OsString>,
    /// Go through this proxy: http://HOST:PORT or socks5://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub net_proxy: Option<String>,
    /// How connections are brought out, if not by the best that the machine has: nft, routes or
    /// proxy; or, for --net all, pasta in place of sharing the host's network
    #[arg(long, value_name = "WAY")]
    pub net_way: Option<String>,
    /// Let protected paths be written to, by their names (such as git-hooks,git-config), or all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub unprotect: Vec<String>,
    /// Run although this layer cannot be enforced here: landlock, namespaces, network
    #[arg(long, value_name = "LAYER")]
    pub allow_degraded: Vec<String>,
    /// Watch what the program touches, for swathe why
    #[arg(long)]
    pub record: bool,
    /// Append every decision about the program to this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    pub audit: Option<OsString>,
    /// Who is asked about what was not granted.
    #[command(flatten)]
    pub ask: crate::ask::Options,
    /// Whether writes are gone with the run: for learning.
    #[arg(skip)]
    pub throwaway: bool,
    /// Use the caller's terminal as plain standard streams, without one of its own
    #[arg(long)]
    pub no_pty: bool,
}

impl Options {
    /// The same as words of a command line.
    pub fn words(&self) -> Vec<OsString> {
        // Each field is named: a new one is not to be forgotten here.
        let Self {
            write,
            cow,
            profile,
            app,
            allow,
            net,
            net_deny,
            publish,
            net_proxy,
            net_way,
            unprotect,
            allow_degraded,
            record,
            audit,
            // The terminal or descriptor of this process is nobody else's.
            ask: _,
            // No word: it is only ever set from inside.
            throwaway: _,
            no_pty,
        } = self;
        let mut words: Vec<OsString> = cow.words();
        words.extend(write.then(|| "--write".into()));
        words.extend(no_pty.then(|| "--no-pty".into()));
        words.extend(record.then(|| "--record".into()));
        let audit: Vec<OsString> = audit.iter().cloned().collect();
        let proxy: Vec<OsString> = net_proxy.iter().map(OsString::from).collect();
        let way: Vec<OsString> = net_way.iter().map(OsString::from).collect();
        let app: Vec<OsString> = app.iter().map(OsString::from).collect();
        let unprotect: Vec<OsString> = unprotect.iter().map(OsString::from).collect();
        let degraded: Vec<OsString> = allow_degraded.iter().map(OsString::from).collect();
        for (name, values) in [
            ("--profile", profile),
            ("--app", &app),
            ("--allow", allow),
            ("--net", net),
            ("--net-deny", net_deny),
            ("--publish", publish),
            ("--net-proxy", &proxy),
            ("--net-way", &way),
            ("--unprotect", &unprotect),
            ("--allow-degraded", &degraded),
            ("--audit", &audit),
        ] {
            for value in values {
                // As one word: a value may begin with a dash.
                let mut word = OsString::from(name);
                word.push("=");
                word.push(value);
                words.push(word);
            }
        }
        words
    }

    /// How a network by rules is set up; the program is told by its environment where it has to know.
    ///
    /// # Errors
    /// There is no such proxy, or it cannot be tried what the machine can do.
    pub fn network(&self, plan: &mut Plan) -> Result<crate::net::Options, Failure> {
        let upstream = self.net_proxy.as_deref().map(crate::net::upstream).transpose()?;
        let mut options = crate::net::Options { way: self.net_way.clone(), upstream };
        crate::net::tell(&mut options, &self.allow_degraded, plan)?;
        Ok(options)
    }
}

/// A sandbox that is worked out, and what it was worked out from.
#[derive(Debug)]
pub struct Wanted {
    /// The plan.
    pub sandbox: Sandbox,
    /// A cgroup that can be divided, and the machine's memory.
    pub group: Option<(Delegation, u64)>,
    /// The app whose intents are in force.
    pub app: Option<App>,
    /// Where the user's files are.
    pub places: Environment,
    /// The network: `none`, `loopback`, `rules` or `all`.
    pub network: &'static str,
    /// Whether 32-bit programs run.
    pub bits32: bool,
    /// Where the host's network comes into one of the sandbox's own: how names are resolved there,
    /// and who asked for it.
    bridge: Option<(Resolver, Source)>,
    /// Where changes go that the host does not see.
    pub workspace: Option<cow::Workspace>,
}

impl Wanted {
    /// What brings the host's network in, where that is wanted.
    ///
    /// # Errors
    /// It is not installed, or cannot work here for this user.
    pub fn bridge(&self) -> Result<Option<Bridge>, Failure> {
        let Some((resolver, source)) = &self.bridge else { return Ok(None) };
        let asked = crate::explain::source_text(source);
        let made = Bridge::new(resolver);
        made.map(Some).map_err(|failure| failure.hint(format!("asked for by {asked}")))
    }
}

/// An app that is run.
#[derive(Debug)]
pub struct App {
    id: String,
    intents: Vec<Intent>,
    env: Environment,
}

impl App {
    /// Remembers that its intents were in force.
    pub fn record_use(&self) -> Result<(), Failure> {
        let apps = Apps::new(&self.env);
        apps.change(&self.id, |grants| grants.record_use(&self.intents, store::now()))?;
        Ok(())
    }
}

/// Whether a person is asked about what an app declares and nobody decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// On the terminal, before the run.
    Yes,
    /// Never: what was not granted is not in force.
    No,
}

/// Works the sandbox out.
pub fn resolve(
    options: &Options,
    command: &[OsString],
    id: &str,
    ask: Ask,
    keep: cow::Keep,
) -> Result<Wanted, Failure> {
    let layers = Quick::probe();
    let mut host = crate::host::probe(&layers)?;
    let env = host.places.clone();
    let app = match &options.app {
        Some(id) => Some(app_policy(id, &env, ask)?),
        None => None,
    };
    let loaded = swathe_policy::load(&Profiles::new(&env), &options.profile, &env, &options.allow)
        .map_err(|found| refused(&found))?;
    for warning in &loaded.warnings {
        note(&warning.message);
    }
    // Those that come with the program have no file.
    host.deciding = loaded.files.into_iter().filter(|path| path.is_file()).collect();
    let mut policy = policy(options, loaded.policy, app.clone(), &host)?;
    let keeps = |declared: &Declared| {
        matches!(declared.intent, Intent::State(State::Persist | State::Overlay))
    };
    if let Some(id) = options.app.as_ref().filter(|_| policy.intents.iter().any(keeps)) {
        let path = Apps::new(&env).state(id)?;
        host.state = Some(path.canonicalize().unwrap_or(path));
    }
    // An app's words come after its own; a profile's are only there for want of others.
    let mut words = command.to_vec();
    if options.app.is_some() || words.is_empty() {
        words.splice(0..0, policy.command.iter().map(OsString::from));
    }
    let command = words;
    // A misspelt option must not become the program's name, and what follows it its words.
    if let Some(word) = command.first().filter(|word| word.as_bytes().starts_with(b"-")) {
        let word = shown(&word.to_string_lossy());
        let mut failure = Failure::new(format!("there is no option {word}"))
            .hint(format!("for a program of that name: ./{word}, or its path"));
        failure.code = crate::out::USAGE;
        return Err(failure);
    }
    let terminal =
        !options.no_pty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut request = Request {
        command,
        terminal,
        degraded: options.allow_degraded.clone(),
        id: id.to_owned(),
        throwaway: options.throwaway,
        copies: Vec::new(),
        bridge: None,
    };
    let by_option = options.net_way.as_deref() == Some(net::PASTA);
    let mut wants_pasta = policy.intents.iter().filter(|one| one.intent == Intent::NetPasta);
    let bridged_by = match by_option {
        true => Some(Source::CommandLine(format!("--net-way {}", net::PASTA))),
        false => wants_pasta.next().map(|declared| declared.source.clone()),
    };
    let bridged = bridged_by.is_some();
    let resolver = bridged.then(Resolver::of_host);
    request.bridge = resolver.as_ref().map(|resolver| resolver.text.clone().into_bytes());
    let files = HostFiles::default();
    let roots = resolve::copy_roots(&policy, &request, &host, &files).map_err(unresolved)?;
    let workspace = cow::prepare(&options.cow, &roots, id, &env, keep)?;
    host.stores = cow::stores(&env);
    if let Some(workspace) = &workspace {
        request.copies = workspace.copies();
    }
    let sandbox = resolve::resolve(&policy, &request, &host, &files).map_err(unresolved)?;
    let sandbox = match trash_seen(&sandbox)? {
        seen if seen.is_empty() => sandbox,
        seen => {
            policy.intents.extend(seen);
            resolve::resolve(&policy, &request, &host, &files).map_err(unresolved)?
        }
    };
    if by_option && !sandbox.bridged {
        return Err(Failure::new("--net-way pasta is for net.all without rules").hint(
            "--net all asks for it; --net-deny, --publish and rules over hosts take it away",
        ));
    }
    for_rules(options, &sandbox)?;
    no_records(&sandbox)?;
    no_homes(&sandbox)?;
    let places = env.clone();
    let wants = |intent: &Intent| policy.intents.iter().any(|declared| declared.intent == *intent);
    let network = match &sandbox.network {
        Some(_) => "rules",
        None if sandbox.bridged => "all",
        None if !sandbox.plan.namespaces.net => "all",
        None if wants(&Intent::NetNone) => "none",
        None => "loopback",
    };
    let bits32 = wants(&Intent::Bits32);
    let app = options.app.clone().zip(app).map(|(id, policy)| App {
        id,
        intents: policy.intents.into_iter().map(|declared| declared.intent).collect(),
        env,
    });
    let group = layers.cgroup.map(|delegation| (delegation, host.memory));
    let bridge = resolver.zip(bridged_by);
    Ok(Wanted { sandbox, group, app, places, network, bits32, bridge, workspace })
}

/// Options about how rules are kept do nothing for a network that is shared, of which they say nothing.
fn for_rules(options: &Options, sandbox: &Sandbox) -> Result<(), Failure> {
    let way = options.net_way.as_deref().filter(|way| *way != net::PASTA);
    way.map_or(Ok(()), |way| net::way(way).map(drop))?;
    let shares = !sandbox.plan.namespaces.net || sandbox.bridged;
    let way = way.filter(|way| *way != net::AUTO).map(|way| format!("--net-way {way}"));
    let proxy = options.net_proxy.is_some().then(|| "--net-proxy".to_owned());
    match way.or(proxy).filter(|_| shares) {
        None => Ok(()),
        Some(option) => {
            let text = format!("{option} is for rules over hosts, and the whole network has none");
            Err(Failure::new(text).hint("--net '*:*' reaches every host by rules"))
        }
    }
}

fn unresolved(refusal: resolve::Refusal) -> Failure {
    let failure = Failure::new(shown(&refusal.to_string()));
    refusal.hints.iter().fold(failure, |failure, hint| failure.hint(hint.as_str()))
}

/// What was removed by earlier runs is not visible in this one, also where it is kept below a
/// directory that is shown.
fn trash_seen(sandbox: &Sandbox) -> Result<Vec<Declared>, Failure> {
    let places = crate::trash::places(&sandbox.home)?;
    let is_seen = |place: &PathBuf| {
        place.is_dir() && sandbox.shown.iter().any(|shown| place.starts_with(shown))
    };
    let hidden = places.into_iter().filter(is_seen).map(|place| Declared {
        intent: Intent::FilesHide(place),
        reason: None,
        source: Source::Default,
    });
    Ok(hidden.collect())
}

/// Who can write to the records of running sandboxes has others killed, and who sees their sockets
/// enters them.
fn no_records(sandbox: &Sandbox) -> Result<(), Failure> {
    // Where there is no such directory yet, none is shown.
    let Ok(records) = crate::rundir::directory().map(|path| path.canonicalize().unwrap_or(path))
    else {
        return Ok(());
    };
    let found =
        sandbox.shown.iter().find(|path| path.starts_with(&records) || records.starts_with(path));
    match found {
        None => Ok(()),
        Some(path) => {
            let path = shown(&path.to_string_lossy());
            let text = format!("{path} cannot be shown: records of running sandboxes lie there");
            Err(Failure::new(text).hint("start in a directory of the project"))
        }
    }
}

/// Home directories are never shown as a whole, also those that are not `$HOME`.
fn no_homes(sandbox: &Sandbox) -> Result<(), Failure> {
    // Only of a system's account is "/" the home.
    let homes = crate::host::homes().into_iter().filter(|home| home.parent().is_some());
    let found =
        homes.filter(|home| *home != sandbox.home).find(|home| sandbox.shown.contains(home));
    match found {
        None => Ok(()),
        Some(home) => {
            let home = shown(&home.to_string_lossy());
            Err(Failure::new(format!("{home} cannot be shown as a whole: it is a home directory"))
                .hint("start in a directory of the project"))
        }
    }
}

/// What an app declares and its user granted.
fn app_policy(id: &str, env: &Environment, ask: Ask) -> Result<Policy, Failure> {
    let apps = Apps::new(env);
    let manifest = apps.manifest(id, env)?;
    let grants = match ask {
        Ask::Yes => prompt::decide(&apps, &manifest, env)?,
        Ask::No => apps.grants(id)?,
    };
    Ok(grants::in_force(&manifest, &grants))
}

/// The defaults, the app's, the profiles, and the words, as one.
fn policy(
    options: &Options,
    user: Policy,
    app: Option<Policy>,
    host: &resolve::Host,
) -> Result<Policy, Failure> {
    // An app sees no more than it declared, not even the working directory.
    let mut defaults = Policy { limits: resolve::default_limits(host.memory), ..Policy::default() };
    if app.is_none() {
        let intent = Intent::FilesCwd(Access::ReadOnly);
        defaults.intents.push(Declared { intent, reason: None, source: Source::Default });
    }
    let mut words = Policy::default();
    if options.write {
        let source = Source::CommandLine("-w".to_owned());
        let intent = Intent::FilesCwd(Access::ReadWrite);
        words.intents.push(Declared { intent, reason: None, source });
    }
    words.intents.extend(options.cow.intents(&host.places)?);
    words.intents.extend(network(options)?);
    for name in &options.unprotect {
        known_protection(name)?;
        words.unprotect.push(name.clone());
    }
    Ok(merge::merge(&[
        (Layer::Default, defaults),
        (Layer::App, app.unwrap_or_default()),
        (Layer::User, user),
        (Layer::CommandLine, words),
    ]))
}

/// What the options about the network ask for; what is dangerous about it is said.
pub fn network(options: &Options) -> Result<Vec<Declared>, Failure> {
    let Options { net, net_deny: deny, publish, .. } = options;
    let (intents, warnings) =
        words::network(words::Network { net, deny, publish }).map_err(|found| refused(&found))?;
    for warning in &warnings {
        note(&warning.message);
    }
    Ok(intents)
}

fn known_protection(name: &str) -> Result<(), Failure> {
    if name == "all" || PROTECTIONS.iter().any(|known| known.name == name) {
        return Ok(());
    }
    let known: Vec<&str> = PROTECTIONS.iter().map(|known| known.name).collect();
    Err(Failure::new(format!("--unprotect {}: no protection has that name", shown(name)))
        .hint(format!("there are: {}, all", known.join(", "))))
}

/// What is wrong with profiles or words, drawn.
pub fn refused(found: &[diagnostic::Diagnostic]) -> Failure {
    let mut failure = Failure::new("a profile or option cannot be used");
    failure.drawn = Some(diagnostic::render_all(found));
    failure
}
/// What paths in profiles are made of. Only what the specification of the base directories allows is
/// taken from the environment: absolute paths without `..`.
pub fn places(home: &Path, cwd: &Path) -> Environment {
    let named = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        let plain = path.is_absolute() && !path.components().any(|c| c == Component::ParentDir);
        plain.then_some(path)
    };
    let place = |name: &str, usual: &str| named(name).unwrap_or_else(|| home.join(usual));
    Environment {
        home: home.to_owned(),
        config: place("XDG_CONFIG_HOME", ".config"),
        data: place("XDG_DATA_HOME", ".local/share"),
        cache: place("XDG_CACHE_HOME", ".cache"),
        state: place("XDG_STATE_HOME", ".local/state"),
        runtime: named("XDG_RUNTIME_DIR"),
        cwd: cwd.to_owned(),
    }
}
