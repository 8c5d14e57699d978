//! Random argument vectors that mostly work: a rough model of the sandbox says which destinations
//! make sense.

mod base;
mod caller;
mod errors;
mod files;
mod options;

use crate::rng::Rng;
use crate::vector::{Item, Vector};

/// What is known of the sandbox while its operations are being chosen. Paths are absolute and
/// plain. Only a guess: both programs judge.
#[derive(Default)]
pub(crate) struct Model {
    /// Directories in which files can be made.
    pub writable: Vec<String>,
    /// Directories that exist.
    pub dirs: Vec<String>,
    /// Files that exist.
    pub files: Vec<String>,
    /// Mount points.
    pub mounts: Vec<String>,
    /// Symbolic links to directories, with what they mean.
    pub links: Vec<(String, String)>,
}

/// Everything that choosing needs.
pub(crate) struct Gen {
    pub rng: Rng,
    pub model: Model,
    pub items: Vec<Item>,
    pub plain: bool,
    pub terminals: bool,
    pub pid: bool,
    pub ipc: bool,
    pub user: bool,
}

/// Vector `number` of the run with `seed`; `plain` for an ordinary user. `skip` goes to the probe.
pub fn generate(seed: u64, number: u64, plain: bool, terminals: bool, skip: &str) -> Vector {
    let mut g = Gen {
        rng: Rng::new(seed, number),
        model: Model::default(),
        items: vec![],
        plain,
        terminals,
        pid: false,
        ipc: false,
        user: false,
    };
    let erroneous = g.rng.chance(15);
    let spaces = options::namespaces(&mut g);
    base::choose(&mut g);
    let most = if erroneous { 4 } else { *g.rng.pick(&[2, 5, 9, 14]) };
    for _ in 0..g.rng.below(most + 1) {
        files::operation(&mut g);
    }
    let others = options::others(&mut g, &spaces);
    for item in spaces.into_iter().chain(others) {
        // File-system operations keep their order; everything else may stand anywhere.
        let at = g.rng.below(g.items.len() + 1);
        g.items.insert(at, item);
    }
    group(&mut g);
    let mut vector = Vector {
        caller: caller::choose(&mut g),
        command: command(&mut g, skip),
        dashes: g.rng.chance(40),
        items: std::mem::take(&mut g.items),
        erroneous,
    };
    if erroneous {
        errors::spoil(&mut g.rng, &mut vector);
    }
    vector
}

/// Packs a stretch of items into `--args` files.
fn group(g: &mut Gen) {
    if !g.rng.chance(20) || g.items.is_empty() {
        return;
    }
    let start = g.rng.below(g.items.len());
    let end = start + 1 + g.rng.below(g.items.len() - start);
    let middle = start + g.rng.below(end - start);
    let first = 1 + g.rng.below(4) as u8;
    for (index, item) in g.items[start..end].iter_mut().enumerate() {
        item.group = if start + index < middle { first } else { first + 1 };
    }
}

/// The payload with its way to end, rarely another command.
fn command(g: &mut Gen, skip: &str) -> Vec<Vec<u8>> {
    let end = match g.rng.below(20) {
        0..8 => "exit:0".to_string(),
        8..13 => format!("exit:{}", g.rng.below(256)),
        13..17 => {
            format!("signal:{}", g.rng.pick(&[1, 2, 3, 6, 9, 11, 13, 14, 15, 10, 24, 31, 34]))
        }
        _ => format!("orphan:{}", g.rng.below(100)),
    };
    let program: &str = match g.rng.below(100) {
        0 => "/opt/differ/missing",
        1 => "differ-probe-nowhere",
        2 => "/opt/differ",
        3 | 4 => "//opt/./differ/probe",
        _ => "/opt/differ/probe",
    };
    [program, &end, skip].iter().map(|w| w.as_bytes().to_vec()).collect()
}

impl Gen {
    pub fn push<T: AsRef<[u8]>>(&mut self, words: &[T]) {
        self.items.push(Item::new(words));
    }

    /// A name for a new file.
    pub fn name(&mut self) -> String {
        const NAMES: [&str; 12] = [
            "a",
            "b",
            "c",
            "x",
            "y",
            "dir",
            "file",
            ".hidden",
            "long-name_1",
            "sp ace",
            "z",
            "etc",
        ];
        const ODD: [&str; 8] =
            ["new\nline", "back\\slash", "com,ma", "co:lon", "tab\t", "ünï", "\"'", "%s%n"];
        let list: &[&str] = if self.rng.chance(12) { &ODD } else { &NAMES };
        (*self.rng.pick(list)).to_string()
    }

    /// A path that can be made: one to three new components below a writable directory.
    pub fn new_path(&mut self) -> String {
        let fallback = "/tmp".to_string();
        let mut path = if self.model.writable.is_empty() {
            fallback
        } else {
            self.rng.pick(&self.model.writable).clone()
        };
        if self.rng.chance(20) && !self.model.links.is_empty() {
            path = self.rng.pick(&self.model.links).0.clone();
        }
        for _ in 0..1 + usize::from(self.rng.chance(35)) + usize::from(self.rng.chance(15)) {
            path = format!("{}/{}", path.trim_end_matches('/'), self.name());
        }
        path
    }

    /// A directory to mount on: mostly new, else one that exists.
    pub fn dir_dest(&mut self) -> String {
        let dirs: Vec<String> =
            self.model.dirs.iter().filter(|d| !d.starts_with("/opt")).cloned().collect();
        let new = self.rng.chance(60) && !self.model.writable.is_empty();
        if dirs.is_empty() || new { self.new_path() } else { self.rng.pick(&dirs).clone() }
    }

    /// A file to mount on or to make.
    pub fn file_dest(&mut self) -> String {
        let new = self.rng.chance(60) && !self.model.writable.is_empty();
        let files = &self.model.files;
        if files.is_empty() || new { self.new_path() } else { self.rng.pick(files).clone() }
    }

    /// Another spelling of a path that means the same.
    pub fn spell(&mut self, path: &str) -> String {
        if !self.rng.chance(25) {
            return path.to_string();
        }
        let inner = path.find('/').map_or(0, |_| path.rfind('/').unwrap_or(0));
        match self.rng.below(8) {
            0 => format!("{path}/"),
            1 => format!("/{path}"),
            2 => format!("{}/.{}", &path[..inner], &path[inner..]),
            3 => format!("{}//{}", &path[..inner], &path[inner..]),
            4 => path.trim_start_matches('/').to_string(),
            5 => format!("{path}/."),
            6 => format!("/tmp/..{path}"),
            _ => format!("/..{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::generate;

    /// Proves that seed and number make a vector, so that a failure can be looked at again.
    #[test]
    fn vectors_are_reproducible() {
        for number in 0..50 {
            let once = generate(3, number, true, false, "1:2").display();
            assert_eq!(once, generate(3, number, true, false, "1:2").display());
        }
    }

    /// Proves that every option of the contract that a machine without SELinux has is generated.
    #[test]
    fn every_option_is_generated() {
        let mut missing: Vec<&str> = OPTIONS.to_vec();
        for number in 0..6000 {
            let vector = generate(1, number, number % 2 == 1, true, "1:2");
            let plain = vector.items.iter().flat_map(|i| &i.words);
            for word in plain {
                if let crate::vector::Word::Lit(bytes) = word {
                    missing.retain(|o| o.as_bytes() != bytes);
                }
            }
            if vector.items.iter().any(|i| i.group != 0) {
                missing.retain(|o| *o != "--args");
            }
        }
        assert!(missing.is_empty(), "never generated: {missing:?}");
    }

    const OPTIONS: [&str; 71] = [
        "--args",
        "--argv0",
        "--level-prefix",
        "--unshare-all",
        "--share-net",
        "--unshare-user",
        "--unshare-user-try",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup",
        "--unshare-cgroup-try",
        "--userns",
        "--userns2",
        "--pidns",
        "--disable-userns",
        "--assert-userns-disabled",
        "--uid",
        "--gid",
        "--hostname",
        "--chdir",
        "--setenv",
        "--unsetenv",
        "--clearenv",
        "--lock-file",
        "--sync-fd",
        "--bind",
        "--bind-try",
        "--dev-bind",
        "--dev-bind-try",
        "--ro-bind",
        "--ro-bind-try",
        "--bind-fd",
        "--ro-bind-fd",
        "--remount-ro",
        "--overlay-src",
        "--overlay",
        "--tmp-overlay",
        "--ro-overlay",
        "--exec-label",
        "--file-label",
        "--proc",
        "--dev",
        "--tmpfs",
        "--mqueue",
        "--dir",
        "--file",
        "--bind-data",
        "--ro-bind-data",
        "--symlink",
        "--chmod",
        "--perms",
        "--size",
        "--seccomp",
        "--add-seccomp-fd",
        "--block-fd",
        "--userns-block-fd",
        "--info-fd",
        "--json-status-fd",
        "--new-session",
        "--die-with-parent",
        "--as-pid-1",
        "--cap-add",
        "--cap-drop",
        "--not-a-security-boundary",
        "--help",
        "--version",
        "--bind=x",
        "-h",
        "-",
    ];
}
