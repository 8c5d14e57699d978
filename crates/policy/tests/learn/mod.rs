//! A made-up host to learn on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_policy::learn::{Learned, Need, Place, Shown, covers, learn, profile};
use swathe_policy::merge::{Layer, merge};
use swathe_policy::paths::Asker;
use swathe_policy::profile::read;
use swathe_policy::resolve::{Files, Host, Kind, Layers, Needs, Request, Sandbox, resolve};
use swathe_policy::{Access, Declared, Environment, Intent, Policy, Source, SourceText};
use swathe_record::event::Event;

/// Files by their paths.
#[derive(Debug, Clone, Default)]
pub struct Made(pub BTreeMap<PathBuf, (Kind, Vec<u8>)>);

impl Made {
    /// The directories that every host has, and these paths. A path that ends with a slash is a
    /// directory.
    pub fn new(paths: &[&str]) -> Self {
        let mut made = Self::default();
        for path in ["/usr/bin/", "/usr/lib/", "/etc/", "/tmp/", "/run/", "/home/user/project/"] {
            made.add(path);
        }
        paths.iter().for_each(|path| made.add(path));
        made
    }

    pub fn add(&mut self, path: &str) {
        let kind = if path.ends_with('/') { Kind::Directory } else { Kind::File };
        self.put(Path::new(path.trim_end_matches('/')), kind);
    }

    pub fn put(&mut self, path: &Path, kind: Kind) {
        for above in path.ancestors().skip(1) {
            self.0.entry(above.to_owned()).or_insert((Kind::Directory, Vec::new()));
        }
        self.0.entry(path.to_owned()).or_insert((kind, Vec::new()));
    }
}

impl Files for Made {
    fn kind(&self, path: &Path) -> Option<Kind> {
        self.0.get(path).map(|(kind, _)| *kind)
    }
    fn link(&self, _: &Path) -> Option<PathBuf> {
        None
    }
    fn real(&self, path: &Path) -> Option<PathBuf> {
        self.0.contains_key(path).then(|| path.to_owned())
    }
    fn read(&self, path: &Path, most: usize) -> Option<Vec<u8>> {
        self.0.get(path).map(|(_, text)| text[..text.len().min(most)].to_vec())
    }
    fn list(&self, path: &Path, most: usize) -> Vec<OsString> {
        let below = self.0.keys().filter(|p| p.parent() == Some(path));
        below.filter_map(|p| p.file_name().map(Into::into)).take(most).collect()
    }
    fn directories(&self, path: &Path, most: usize) -> Vec<OsString> {
        let names = self.list(path, usize::MAX).into_iter();
        names.filter(|n| self.kind(&path.join(n)) == Some(Kind::Directory)).take(most).collect()
    }
    fn executable(&self, _: &Path) -> bool {
        true
    }
    fn needs(&self, _: &Path) -> Option<Needs> {
        None
    }
}

/// Where everything is learned.
pub struct World {
    pub files: Made,
    pub env: Environment,
    pub vars: Vec<(OsString, OsString)>,
    pub given: Vec<Intent>,
    pub strict: bool,
}

impl World {
    pub fn new(files: Made, cwd: &str) -> Self {
        let mut env = Environment::usual("/home/user", cwd);
        env.runtime = Some("/run/user/1000".into());
        Self { files, env, vars: Vec::new(), given: Vec::new(), strict: false }
    }

    /// The sandbox of a run with these intents of the user's.
    pub fn sandbox(&self, user: Policy) -> (Sandbox, Policy) {
        let cwd = Intent::FilesCwd(Access::ReadOnly);
        let intents = vec![Declared { intent: cwd, reason: None, source: Source::Default }];
        let defaults = Policy { intents, ..Policy::default() };
        let policy = merge(&[(Layer::Default, defaults), (Layer::User, user)]);
        let host = Host {
            uid: 1000,
            gid: 1000,
            user: "user".into(),
            home: self.env.home.clone(),
            cwd: self.env.cwd.clone(),
            env: self.vars.clone(),
            memory: 1 << 32,
            places: self.env.clone(),
            deciding: Vec::new(),
            state: None,
            stores: Vec::new(),
            layers: Layers { landlock_scopes: true, pid_max: true },
        };
        let sandbox = resolve(&policy, &Request::default(), &host, &self.files)
            .unwrap_or_else(|refusal| panic!("{refusal}"));
        (sandbox, policy)
    }

    pub fn learn(&self, events: &[Event]) -> Learned {
        let base = Shown::of(&self.sandbox(Policy::default()).0);
        let place = Place {
            env: &self.env,
            uid: 1000,
            base: &base,
            vars: &self.vars,
            given: &self.given,
            strict: self.strict,
            files: &self.files,
        };
        learn(events, &place)
    }

    pub fn text(&self, learned: &Learned) -> String {
        profile(learned, &["Learned by swathe from: a test".to_owned()], &self.env)
    }

    pub fn read(&self, text: &str) -> Policy {
        let source = Arc::new(SourceText::file("learned.toml", text));
        let document = read(&source, Asker::User, &self.env)
            .unwrap_or_else(|found| panic!("{}\n{text}", found[0]));
        assert_eq!(document.warnings, [], "{text}");
        document.policy
    }

    /// Whether a policy permits something.
    pub fn permits(&self, policy: &Policy, needs: &[Need]) -> Vec<bool> {
        let (sandbox, policy) = self.sandbox(policy.clone());
        let shown = Shown::of(&sandbox);
        needs.iter().map(|need| covers(&shown, &policy, need)).collect()
    }

    /// The profile permits all that is needed, and without any of its lines it does not.
    pub fn check(&self, learned: &Learned) -> Policy {
        let text = self.text(learned);
        let policy = self.read(&text);
        let told = self.permits(&policy, &learned.needs);
        let missing = learned.needs.iter().zip(told).find(|(_, good)| !good);
        assert_eq!(missing, None, "{text}");
        for at in 0..policy.intents.len() {
            let mut less = policy.clone();
            let gone = less.intents.remove(at).intent;
            if self.given.contains(&gone) {
                continue;
            }
            let told = self.permits(&less, &learned.needs);
            assert!(told.contains(&false), "nothing needs {gone:?}:\n{text}");
        }
        policy
    }
}
