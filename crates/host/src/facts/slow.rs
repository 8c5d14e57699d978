//! Questions that take longer: directories that have to be searched, and trials.

use super::probe::{real_path, text};
use super::{Facts, Helper, Ids, Network, Overlay, trial};
use crate::files;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use swathe_sys::rustix;
use swathe_sys::rustix::fs::{Access, AtFlags, CWD, accessat};

/// Where helpers of the system lie when `PATH` does not say so.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most files of `/etc/apparmor.d` that are looked into.
const MAX_PROFILES: usize = 4096;

impl Facts {
    /// Everything: what [`Facts::probe_quick`] finds, and what takes some tens of milliseconds.
    /// `bwrap` is run a few times to find out whether it can make a sandbox. What takes more than
    /// that, [`Network::redirect`] and [`Network::routes`], is left to the caller.
    pub fn probe(bwrap: Option<&Path>) -> Self {
        let mut facts = Self::probe_quick(bwrap);
        facts.system = system();
        facts.ids = ids(facts.caller.uid);
        if facts.kernel.overlay != Overlay::Loaded && has_overlay_module(&facts.kernel.release) {
            facts.kernel.overlay = Overlay::Module;
        }
        let path = bwrap.map(real_path);
        if facts.security.apparmor_restricts_userns.is_some() {
            let path = path.as_deref();
            facts.security.apparmor_profile =
                path.and_then(|path| profile_for(path, Path::new("/etc/apparmor.d")));
        }
        facts.network = network();
        if let (Some(program), Some(known)) = (bwrap, facts.bwrap.as_mut()) {
            known.version = trial::version(program);
            known.trial = Some(trial::run(program));
        }
        facts
    }
}

/// A program of the system, by `PATH` and the usual places.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let all = [own.as_os_str(), OsStr::new(SYSTEM_PATH)];
    let dirs = all.iter().flat_map(|path| std::env::split_paths(path));
    dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|path| {
        files::is_file(path.as_os_str().as_bytes())
            && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
    })
}

fn system() -> Option<String> {
    let release = text("/etc/os-release").or_else(|| text("/usr/lib/os-release"))?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}

fn ids(uid: u32) -> Ids {
    let name = text("/etc/passwd").and_then(|users| user_name(&users, uid));
    let count =
        |path: &str| text(path).map_or(0, |ranges| count_ranges(&ranges, name.as_deref(), uid));
    Ids {
        newuidmap: find("newuidmap").map(|path| helper(&path)),
        newgidmap: find("newgidmap").map(|path| helper(&path)),
        subuids: count("/etc/subuid"),
        subgids: count("/etc/subgid"),
    }
}

fn helper(path: &Path) -> Helper {
    const SET_USER_ID: u32 = 0o4000;
    let mode = path.metadata().map_or(0, |found| found.permissions().mode());
    let mut none: [u8; 0] = [];
    // An empty buffer asks for the size: whether the attribute is there.
    let caps = rustix::fs::getxattr(path, c"security.capability", &mut none).is_ok();
    let privileged = mode & SET_USER_ID != 0 || caps;
    Helper { path: path.to_string_lossy().into_owned(), privileged }
}

/// The name of a user in the text of passwd(5).
fn user_name(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == uid).then(|| name.to_owned())
    })
}

/// How many ids the text of subuid(5) gives to a user.
fn count_ranges(ranges: &str, name: Option<&str>, uid: u32) -> u64 {
    let number = uid.to_string();
    let count = |line: &str| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let owned = owner == number || Some(owner) == name;
        fields.nth(1).filter(|_| owned)?.trim().parse::<u64>().ok()
    };
    ranges.lines().filter_map(count).fold(0, u64::saturating_add)
}

/// Whether modules.dep(5) of this kernel names the overlay module.
fn has_overlay_module(release: &str) -> bool {
    let listed = |dir: &str| {
        let path = format!("{dir}/modules/{release}/modules.dep");
        let bytes = files::read(path.as_bytes(), 8 << 20).unwrap_or_default();
        bytes.split(|&b| b == b'\n').any(|line| {
            let module = line.split(|&b| b == b':').next().unwrap_or_default();
            let name = module.rsplit(|&b| b == b'/').next().unwrap_or_default();
            name.starts_with(b"overlay.ko")
        })
    };
    listed("/lib") || listed("/usr/lib")
}

fn network() -> Network {
    let access = Access::READ_OK | Access::WRITE_OK;
    Network {
        tun: accessat(CWD, c"/dev/net/tun", access, AtFlags::EACCESS).is_ok(),
        ..Network::default()
    }
}

/// The file in `dir` with an AppArmor profile that names `program` and allows user namespaces.
/// Profiles that match it by a pattern are not found: the trial tells.
fn profile_for(program: &str, dir: &Path) -> Option<String> {
    let entries = std::fs::read_dir(dir).ok()?;
    let mut paths: Vec<PathBuf> =
        entries.take(MAX_PROFILES).filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    let allows = |path: &PathBuf| {
        let switched_off =
            path.file_name().is_some_and(|name| dir.join("disable").join(name).exists());
        let bytes = files::read(path.as_os_str().as_bytes(), 256 << 10).unwrap_or_default();
        !switched_off && profile_allows(&String::from_utf8_lossy(&bytes), program)
    };
    paths.iter().find(|path| allows(path)).map(|path| path.to_string_lossy().into_owned())
}

/// Whether the text of a profile names `program` at its head and has a rule that allows `userns`.
fn profile_allows(profile: &str, program: &str) -> bool {
    let lines = || profile.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let names = |line: &str| {
        let quoted = format!("\"{program}\"");
        line.contains('{') && line.split_whitespace().any(|word| word == program || word == quoted)
    };
    let rule = |line: &str| {
        let mut words = line.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        matches!(
            (words.next(), words.next()),
            (Some("userns"), _) | (Some("allow"), Some("userns"))
        )
    };
    lines().any(names) && lines().any(rule)
}

#[cfg(test)]
mod tests {
    use super::{count_ranges, profile_allows, user_name};

    /// Ranges count for the user's name and its number, for nobody else, and bad lines for nobody.
    #[test]
    fn ranges_belong_to_one_user() {
        let users = "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbad\n";
        assert_eq!(user_name(users, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(users, 7), None);
        let ranges = "ann:100000:65536\n1000:200000:10\nbob:1:99\nann:x\nann:1:-3\n::\n";
        assert_eq!(count_ranges(ranges, Some("ann"), 1000), 65546);
        assert_eq!(count_ranges(ranges, None, 7), 0);
    }

    /// A profile counts when it names exactly this path and has the rule, not when either stands in
    /// a comment or the path is another's beginning.
    #[test]
    fn profiles_name_one_path() {
        let ours = include_str!("../../../../packaging/apparmor/bwrap-swathe");
        let ours = ours.replace("@BINARY@", "/usr/bin/bwrap");
        assert!(profile_allows(&ours, "/usr/bin/bwrap"));
        assert!(!profile_allows(&ours, "/usr/bin/bwr"));
        assert!(!profile_allows(&ours, "/usr/bin/bwrap-other"));
        assert!(profile_allows("profile p \"/a\" {\n allow userns create,\n}", "/a"));
        assert!(!profile_allows("profile p /a {\n # userns,\n}", "/a"));
        assert!(!profile_allows("# profile p /a {\nprofile q /b {\n userns,\n}", "/a"));
        assert!(!profile_allows("profile p /a {\n deny userns,\n}", "/a"));
    }
}
