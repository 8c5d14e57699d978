//! One process of a run: builds a world, then runs its share of the vectors on both programs.

use crate::compare::{Verdict, compare};
use crate::generate::generate;
use crate::launch::{Namespaces, launch};
use crate::report::{Facts, Outcome, normalise};
use crate::shrink::shrink;
use crate::snapshot::Snapshot;
use crate::vector::{Prepared, Vector};
use crate::world::{Setup, World, enter};
use crate::{escape, os};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

/// Differences that are shrunk by one worker; those after it are only counted by their labels.
const SHRUNK: usize = 80;

/// A worker's share.
pub struct Share {
    /// Where and with what.
    pub setup: Setup,
    /// Seed of the run.
    pub seed: u64,
    /// Numbers of the vectors.
    pub numbers: Vec<u64>,
    /// Whether to print both outcomes in full.
    pub dump: bool,
    /// Texts whose lines are left out of comparisons.
    pub look_past: Vec<String>,
    /// Whether to shrink.
    pub shrink: bool,
}

/// Forks into new pid and mount namespaces (and a user namespace when not root), calls `inside`
/// there as pid 1 and returns its exit status.
pub fn contain(inside: impl FnOnce() -> i32) -> io::Result<i32> {
    // SAFETY: no arguments.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let mut flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    if uid != 0 {
        flags |= libc::CLONE_NEWUSER;
    }
    os::unshare(flags)?;
    if uid != 0 {
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let Some(pid) = os::fork()? else {
        let _ = os::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64);
        os::exit_now(inside());
    };
    let status = os::wait(pid, false)?.map_or(0, |(_, s)| s);
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 101 })
}

/// Everything that one launch needs and changes.
pub struct Bench {
    world: World,
    namespaces: Namespaces,
    facts: Facts,
    pristine: Snapshot,
    mounts: String,
    look_past: Vec<String>,
}

/// The mount table of the launches' caller.
fn own_mounts() -> io::Result<String> {
    std::fs::read("/proc/self/mountinfo").map(|t| String::from_utf8_lossy(&t).into_owned())
}

impl Bench {
    /// Enters the world of `setup`.
    pub fn new(setup: &Setup, look_past: &[String]) -> io::Result<Self> {
        let world = enter(setup)?;
        let namespaces = prepare_namespaces();
        let facts = Facts::read(&namespaces);
        let pristine = Snapshot::take(&world.foreign);
        let mounts = own_mounts()?;
        Ok(Self { world, namespaces, facts, pristine, mounts, look_past: look_past.to_vec() })
    }

    /// Whether pseudo-terminals can be made here.
    pub fn terminals(&self) -> bool {
        self.world.terminals
    }

    /// Devices that the payload shall not list.
    pub fn skip(&self) -> String {
        self.world.skip.join(",")
    }

    fn run(&self, program: &str, vector: &Vector) -> io::Result<Outcome> {
        let raw = launch(program, vector, &self.namespaces)?;
        let leaked = self.leaked_mounts()?;
        let after = Snapshot::take(&self.world.foreign);
        let mut changes = self.pristine.changes(&after);
        if !changes.is_empty() {
            self.restore(&after)?;
        }
        changes.extend(leaked);
        Ok(normalise(&raw, changes, &self.facts))
    }

    /// Removes mounts that a launch left in its caller's mount namespace, and names them.
    fn leaked_mounts(&self) -> io::Result<Vec<String>> {
        let now = own_mounts()?;
        if now == self.mounts {
            return Ok(vec![]);
        }
        let mut lines = vec![];
        for line in now.lines().filter(|l| !self.mounts.lines().any(|m| m == *l)) {
            let point = line.split(' ').nth(4).unwrap_or("?");
            lines.push(format!("mounted in the caller's namespace: {point}"));
            let path = os::cstr(&escape::unoctal(point.as_bytes()))?;
            // SAFETY: a valid C string.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
        if own_mounts()? != self.mounts {
            return Err(io::Error::other(format!(
                "mounts stay in the caller's namespace: {lines:?}"
            )));
        }
        Ok(lines)
    }

    /// Puts the world back; a second time when something changed meanwhile.
    fn restore(&self, after: &Snapshot) -> io::Result<()> {
        self.pristine.restore(after)?;
        let mut again = vec![];
        for _ in 0..3 {
            let now = Snapshot::take(&self.world.foreign);
            again = self.pristine.changes(&now);
            if again.is_empty() {
                return Ok(());
            }
            self.pristine.restore(&now)?;
        }
        Err(io::Error::other(format!("the world cannot be restored: {again:?}")))
    }

    /// Runs `vector` on both programs: outcomes and verdict.
    pub fn both(&self, vector: &Vector) -> io::Result<(Outcome, Outcome, Verdict)> {
        let oracle = self.run("/opt/differ/oracle", vector)?;
        let ours = self.run("/opt/differ/ours", vector)?;
        let mut verdict = compare(&oracle, &ours, vector);
        verdict.look_past(&self.look_past);
        Ok((oracle, ours, verdict))
    }
}

impl Bench {
    /// Whether two more runs each differ under one of `labels`: what one program does differently
    /// from run to run is not a difference between the two.
    fn confirmed(&self, vector: &Vector, labels: &BTreeSet<&'static str>) -> io::Result<bool> {
        for _ in 0..2 {
            let (_, _, verdict) = self.both(vector)?;
            if verdict.labels().is_disjoint(labels) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a worker counts.
#[derive(Default)]
struct Counts {
    ran: u64,
    refused: u64,
    erroneous: u64,
    different: u64,
    unstable: u64,
    allowed: BTreeMap<&'static str, u64>,
    refusals: Vec<String>,
}

/// Runs the share, writing records that end with the byte 0x1e to standard output: `diff`,
/// `fault`, `tick` and finally `sum`. Returns the exit status.
pub fn work(share: &Share) -> i32 {
    let mut out = io::stdout().lock();
    let mut record = |text: String| {
        // A parent that has gone away cannot be told: the pid namespace ends with this process.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\x1e"));
        let _ = out.flush();
    };
    let bench = match Bench::new(&share.setup, &share.look_past) {
        Ok(bench) => bench,
        Err(e) => {
            record(format!("fault\nthe world cannot be built: {e}"));
            return 2;
        }
    };
    let mut counts = Counts::default();
    for number in &share.numbers {
        match one(share, &bench, *number, &mut counts) {
            Ok(Some(text)) => record(text),
            Ok(None) => {}
            Err(e) => {
                record(format!("fault\nvector {number}: {e}"));
                return 2;
            }
        }
        if (counts.ran + counts.refused) % 50 == 0 {
            record("tick\n50".into());
        }
    }
    let allowed: Vec<String> = counts.allowed.iter().map(|(l, n)| format!("{l}={n}")).collect();
    record(format!(
        "sum\n{} {} {} {} {}\n{}\n{}",
        counts.ran,
        counts.refused,
        counts.erroneous,
        counts.different,
        counts.unstable,
        allowed.join(" "),
        counts.refusals.join("\n")
    ));
    0
}

/// One vector: a `diff` record when the programs differ.
fn one(
    share: &Share,
    bench: &Bench,
    number: u64,
    counts: &mut Counts,
) -> io::Result<Option<String>> {
    let plain = crate::cli::is_plain(&share.setup);
    let vector = generate(share.seed, number, plain, bench.terminals(), &bench.skip());
    let start = std::time::Instant::now();
    let (oracle, ours, verdict) = bench.both(&vector)?;
    if start.elapsed().as_millis() > 400 {
        let what = if oracle.contains_key("survivors") { "survivors" } else { "slow" };
        counts.refusals.push(format!("{what}: number {number}"));
    }
    if oracle.contains_key("end") {
        counts.ran += 1;
    } else {
        counts.refused += 1;
        if !vector.erroneous {
            counts.refusals.extend(oracle.get("stderr-first").into_iter().flatten().cloned());
        }
    }
    if oracle.get("exit").is_some_and(|e| e == &["hang"]) {
        counts.refusals.push(format!("the oracle hangs on number {number}"));
    }
    counts.erroneous += u64::from(vector.erroneous);
    for letter in &verdict.allowed {
        *counts.allowed.entry(letter).or_default() += 1;
    }
    let mut text = String::new();
    if share.dump {
        text.push_str(&format!("{}\n", vector.display()));
        text.push_str(&dump("oracle", &oracle));
        text.push_str(&dump("ours", &ours));
    }
    if verdict.differences.is_empty() {
        return Ok((!text.is_empty()).then(|| format!("dump\n{text}")));
    }
    if !share.dump && !bench.confirmed(&vector, &verdict.labels())? {
        counts.unstable += 1;
        // What one of the two does differently from run to run is worth a look all the same.
        let class = verdict.class();
        return Ok(Some(format!("dump\nonly sometimes, number {number}: {class}\n")));
    }
    counts.different += 1;
    let identity = if plain { "an ordinary user" } else { "root" };
    let again = format!("# as {identity}, --seed {} --only {number}", share.seed);
    if !share.shrink || counts.different > SHRUNK as u64 {
        let class = verdict.class();
        let body = format!("{text}{again}\n{}\n{}", vector.display(), verdict.text(12));
        return Ok(Some(format!("diff\n{class}\n{body}")));
    }
    let labels = verdict.labels();
    let mut fault = None;
    let small = shrink(&vector, |candidate| match bench.confirmed(candidate, &labels) {
        Ok(same) => same,
        Err(e) => {
            fault = Some(e);
            false
        }
    });
    if let Some(e) = fault {
        return Err(e);
    }
    let (_, _, verdict) = bench.both(&small)?;
    if verdict.differences.is_empty() {
        // A race that showed three times in a row, and now no more.
        counts.different -= 1;
        counts.unstable += 1;
        return Ok((!text.is_empty()).then(|| format!("dump\n{text}")));
    }
    let class = verdict.class();
    let body = format!("{text}{again}\n{}\n{}", small.display(), verdict.text(12));
    Ok(Some(format!("diff\n{class}\n{body}")))
}

fn dump(who: &str, outcome: &Outcome) -> String {
    let mut text = format!("== {who}\n");
    for (label, lines) in outcome {
        for line in lines {
            text.push_str(&format!("{label}: {line}\n"));
        }
    }
    text
}

/// Makes the namespaces for --userns, --userns2 and --pidns. What the machine refuses is left out,
/// and then both programs get a closed descriptor.
fn prepare_namespaces() -> Namespaces {
    let mut out = Namespaces { fds: vec![], holders: vec![] };
    let (user, below) = match user_namespaces() {
        Ok(both) => both,
        Err(e) => {
            crate::cli::complain(&format!("no prepared namespaces: {e}"));
            return out;
        }
    };
    for (kind, inside) in [(Prepared::PidBelow, Some(&user)), (Prepared::Pid, None)] {
        if let Ok((fd, holder)) = pid_namespace(inside) {
            out.fds.push((kind, fd));
            out.holders.push(holder);
        }
    }
    out.fds.push((Prepared::User, user));
    out.fds.push((Prepared::UserBelow, below));
    out
}

/// Keeps namespace descriptors away from the numbers of a launch.
fn open_namespace(pid: i32, kind: &str) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/{kind}");
    let fd = os::open_at(libc::AT_FDCWD, path.as_bytes(), libc::O_RDONLY)?;
    os::dup_above(fd.as_raw_fd(), 400)
}

/// A user namespace with this process's own ids, and one below it.
fn user_namespaces() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: no arguments.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let (ask, answer) = (os::pipe()?, os::pipe()?);
    let Some(pid) = os::fork()? else {
        drop((ask.1, answer.0));
        // Each namespace's maps can be written by its own first process, for that process's ids.
        for _ in 0..2 {
            let made = os::unshare(libc::CLONE_NEWUSER)
                .and_then(|()| std::fs::write("/proc/self/setgroups", "deny"))
                .and_then(|()| std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")))
                .and_then(|()| std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")))
                .and_then(|()| os::write_all(answer.1.as_raw_fd(), b"x"));
            if made.is_err() || !os::readable(ask.0.as_raw_fd(), -1) {
                break;
            }
            let mut byte = [0u8];
            // SAFETY: room for the one byte.
            unsafe { libc::read(ask.0.as_raw_fd(), byte.as_mut_ptr().cast(), 1) };
        }
        os::exit_now(0);
    };
    drop((ask.0, answer.1));
    let next = || -> io::Result<OwnedFd> {
        if !os::readable(answer.0.as_raw_fd(), 5000) {
            return Err(io::Error::other("no answer"));
        }
        let mut byte = [0u8];
        // SAFETY: room for the one byte.
        if unsafe { libc::read(answer.0.as_raw_fd(), byte.as_mut_ptr().cast(), 1) } != 1 {
            return Err(io::Error::other("user namespaces are refused"));
        }
        let fd = open_namespace(pid, "user")?;
        os::write_all(ask.1.as_raw_fd(), b"x")?;
        Ok(fd)
    };
    let result = next().and_then(|first| Ok((first, next()?)));
    drop(ask.1);
    os::kill(pid);
    let _ = os::wait(pid, false);
    result
}

/// A pid namespace with a sleeping init, made inside the user namespace `user` when given.
fn pid_namespace(user: Option<&OwnedFd>) -> io::Result<(OwnedFd, i32)> {
    let (read, write) = os::pipe()?;
    let Some(middle) = os::fork()? else {
        // SAFETY: the descriptor is open; pause takes nothing.
        unsafe {
            if let Some(fd) = user
                && libc::setns(fd.as_raw_fd(), libc::CLONE_NEWUSER) < 0
            {
                os::exit_now(1);
            }
            if os::unshare(libc::CLONE_NEWPID).is_err() {
                os::exit_now(1);
            }
            match os::fork() {
                Ok(None) => {
                    // Orphans of the namespace come here: with this they vanish by themselves.
                    libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                    loop {
                        libc::pause();
                    }
                }
                Ok(Some(init)) => {
                    let _ = os::write_all(write.as_raw_fd(), init.to_string().as_bytes());
                    os::exit_now(0);
                }
                Err(_) => os::exit_now(1),
            }
        }
    };
    let _ = os::wait(middle, false);
    drop(write);
    if !os::readable(read.as_raw_fd(), 0) {
        return Err(io::Error::other("pid namespaces are refused"));
    }
    let mut text = [0u8; 16];
    // SAFETY: the buffer is valid for writes of its own length.
    let n = unsafe { libc::read(read.as_raw_fd(), text.as_mut_ptr().cast(), text.len()) };
    let text = escape::line(&text[..usize::try_from(n).unwrap_or(0)]);
    let pid = text.parse().map_err(|_| io::Error::other("pid namespaces are refused"))?;
    Ok((open_namespace(pid, "pid")?, pid))
}

/// Where a worker's private root is built: made by the parent, removed by it.
pub fn base() -> PathBuf {
    std::env::temp_dir().join(format!("swathe-differ-{}", std::process::id()))
}
