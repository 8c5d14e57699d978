//! The tool's own command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::{profile, sys};

/// The errors that `inject` makes calls fail with.
pub const ERRNOS: [(&str, i32); 6] = [
    ("EPERM", libc::EPERM),
    ("ENOMEM", libc::ENOMEM),
    ("EINTR", libc::EINTR),
    ("EINVAL", libc::EINVAL),
    ("EMFILE", libc::EMFILE),
    ("ENOSPC", libc::ENOSPC),
];

/// What `--help` prints.
pub const HELP: &str = "\
usage: fault MODE [OPTION...]

Disturbs launches of a bubblewrap-compatible launcher and judges what becomes of them.

modes:
  inject            each system call fails once, with each of six errors
  stall             a process is held at each call that follows its first fork
  kill              launcher, init or caller is killed at each system call
  random-kill [N]   N launches (default 400), launcher or caller killed at a random moment
  thread            the thread that spawned the launcher ends, its process does not
  status-fd         broken descriptors for the documents, few descriptors
  load              many launches at once and in a row
  all               all of them

options:
  --bwrap PATH      the launcher under test; default: $SWATHE_TEST_BWRAP, or the bwrap
                    beside this program
  --profile NAME    min, std, hostnet, agent or flatpak; repeatable; default: all five
  --as WHO          root, user or both (default: both as root, user otherwise)
  --user UID        the ordinary user's id (default: 54321)
  -j N              workers (default: twice the number of processors)
  --sample N        only N of the faults or kills, chosen by the seed
  --seed N          default: from the clock; printed
  --at ROLE:INDEX   only this call, as printed by a bad case
  --errno NAME      only this error
  --victim NAME     only launcher, init, caller or self
  --hold MS         kill: hold the process this long before the kill (default: 0)
  --after US        random-kill: always this many microseconds after the start
  --count N         load: launches in a row (default: 2000)
  --at-once N       load: launches at once (default: 1000)
  --timeout SECONDS limit of one launch (default: 10)
  --show N          bad cases shown in full (default: 40)
  -v                show good cases too
";

/// What the command line asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The mode's name.
    pub mode: String,
    /// The launcher under test.
    pub bwrap: PathBuf,
    /// Names of profiles.
    pub profiles: Vec<String>,
    /// Ids of the users that launch.
    pub users: Vec<u32>,
    /// Why root launches nothing, if so.
    pub skipped: Option<String>,
    /// Number of workers.
    pub jobs: usize,
    /// How many of the possible disturbances to make.
    pub sample: Option<usize>,
    /// Seed of all choices.
    pub seed: u64,
    /// Only this call.
    pub at: Option<(String, u32)>,
    /// Only this error.
    pub errno: Option<String>,
    /// Only this victim.
    pub victim: Option<String>,
    /// How long a process is held before a kill.
    pub hold: Duration,
    /// Moment of the random kills, in microseconds, instead of a random one.
    pub after: Option<u64>,
    /// Number of random kills.
    pub kills: usize,
    /// Launches in a row.
    pub count: usize,
    /// Launches at once.
    pub at_once: usize,
    /// Limit of one launch.
    pub timeout: Duration,
    /// Bad cases shown in full.
    pub show: u64,
    /// Show good cases too.
    pub verbose: bool,
}

impl Options {
    /// Whether the options allow this call.
    pub fn wants(&self, role: &str, index: u32) -> bool {
        self.at.as_ref().is_none_or(|(r, i)| r == role && *i == index)
    }

    /// Whether the options allow this victim.
    pub fn wants_victim(&self, name: &str) -> bool {
        self.victim.as_deref().is_none_or(|v| v == name)
    }
}

/// The launcher beside the tool's own program, or beside the test's.
fn default_bwrap() -> PathBuf {
    if let Some(path) = std::env::var_os("SWATHE_TEST_BWRAP") {
        return path.into();
    }
    let exe = std::env::current_exe().unwrap_or_default();
    let beside = exe.ancestors().skip(1).take(2).map(|dir| dir.join("bwrap"));
    beside.into_iter().find(|p| p.is_file()).unwrap_or_else(|| "bwrap".into())
}

fn number<T: std::str::FromStr>(option: &str, value: Option<&String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{option} needs a value"))?;
    value.parse().map_err(|_| format!("{option}: not a number: {value}"))
}

/// Reads the command line. `Ok(None)` asks for the help text.
///
/// # Errors
/// A message for the first word that is wrong.
pub fn parse(words: &[String]) -> Result<Option<Options>, String> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut options = Options {
        mode: String::new(),
        bwrap: default_bwrap(),
        profiles: vec![],
        users: vec![],
        skipped: None,
        // A tracer and its tracee take turns: one worker does not fill a processor.
        jobs: 2 * std::thread::available_parallelism().map_or(1, usize::from),
        sample: None,
        seed: clock.map_or(1, |d| u64::from(d.subsec_nanos())),
        at: None,
        errno: None,
        victim: None,
        hold: Duration::ZERO,
        after: None,
        kills: 400,
        count: 2000,
        at_once: 1000,
        timeout: Duration::from_secs(10),
        show: 40,
        verbose: false,
    };
    let (mut who, mut user) = (None, 54321);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut text = || rest.next().cloned().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--bwrap" => options.bwrap = text()?.into(),
            "--profile" => options.profiles.push(text()?),
            "--as" => who = Some(text()?),
            "--user" => user = number(word, rest.next())?,
            "-j" => options.jobs = number(word, rest.next())?,
            "--sample" => options.sample = Some(number(word, rest.next())?),
            "--seed" => options.seed = number(word, rest.next())?,
            "--at" => options.at = Some(parse_at(&text()?)?),
            "--errno" => options.errno = Some(text()?),
            "--victim" => options.victim = Some(text()?),
            "--hold" => options.hold = Duration::from_millis(number(word, rest.next())?),
            "--after" => options.after = Some(number(word, rest.next())?),
            "--count" => options.count = number(word, rest.next())?,
            "--at-once" => options.at_once = number(word, rest.next())?,
            "--timeout" => options.timeout = Duration::from_secs(number(word, rest.next())?),
            "--show" => options.show = number(word, rest.next())?,
            "-v" => options.verbose = true,
            other if other.starts_with('-') => return Err(format!("unknown option {other}")),
            mode if options.mode.is_empty() => options.mode = mode.to_owned(),
            count if options.mode == "random-kill" => {
                options.kills = number("random-kill", Some(&count.to_owned()))?;
            }
            other => return Err(format!("unexpected word {other}")),
        }
    }
    if options.mode.is_empty() {
        return Ok(None);
    }
    settle(&mut options, who.as_deref(), user)?;
    Ok(Some(options))
}

/// Fills in what depends on several options, and refuses names that do not exist.
fn settle(options: &mut Options, who: Option<&str>, user: u32) -> Result<(), String> {
    if options.profiles.is_empty() {
        options.profiles = profile::NAMES.map(str::to_owned).to_vec();
    }
    if let Some(name) = options.profiles.iter().find(|p| !profile::NAMES.contains(&p.as_str())) {
        return Err(format!("unknown profile {name}"));
    }
    if let Some(name) = &options.errno
        && !ERRNOS.iter().any(|(n, _)| n == name)
    {
        return Err(format!("unknown error {name}"));
    }
    if let Some(name) = &options.victim
        && !["launcher", "init", "caller", "self"].contains(&name.as_str())
    {
        return Err(format!("unknown victim {name}"));
    }
    let own = sys::euid();
    options.users = match (who, own) {
        (None | Some("both"), 0) => vec![0, user],
        (Some("root"), 0) => vec![0],
        (Some("user"), 0) => vec![user],
        (Some("root"), _) => return Err("--as root: not started as root".to_owned()),
        (None | Some("both" | "user"), own) => {
            options.skipped = Some(format!(
                "the launches as root are skipped: started as user {own}, who cannot become root"
            ));
            vec![own]
        }
        (Some(other), _) => return Err(format!("--as {other}: not root, user or both")),
    };
    if options.users.len() == 2 && user == 0 {
        return Err("--user 0 is no ordinary user".to_owned());
    }
    Ok(())
}

fn parse_at(text: &str) -> Result<(String, u32), String> {
    let wrong = || format!("--at {text}: not ROLE:INDEX");
    let (role, index) = text.split_once(':').ok_or_else(wrong)?;
    Ok((role.to_owned(), index.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// A reproducer line, as printed, is accepted and narrows the run to one call.
    #[test]
    fn reproducers_parse() {
        let line = "inject --profile std --as user --user 54321 --at L.1:7 --errno ENOMEM";
        let options = parse(&words(line)).expect("valid").expect("no help");
        assert_eq!(options.profiles, ["std"]);
        assert!(options.wants("L.1", 7));
        assert!(!options.wants("L.1", 8) && !options.wants("L", 7));
        assert_eq!(options.errno.as_deref(), Some("ENOMEM"));
    }

    /// Wrong words are refused and do not widen a run.
    #[test]
    fn wrong_words_are_refused() {
        for line in ["inject --profile nope", "inject --errno EWHAT", "inject --at L", "kill -j x"]
        {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
}
