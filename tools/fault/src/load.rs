//! Mode `load`: many launches at once, and very many in a row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::launch::{Launch, Payload, Setting};
use crate::pool;
use crate::report::Report;
use crate::survey::{self, Sandbox};
use crate::sys::{self, Waited};
use crate::trace::GRACE;
use crate::untraced;
use crate::verdict::{Class, Verdict};

/// How long all launches at once may take together.
const AT_ONCE_LIMIT: Duration = Duration::from_secs(180);

/// How long the kernel gets to take apart what the last launches left behind.
const SETTLE: Duration = Duration::from_secs(30);

/// Runs the mode.
///
/// # Errors
/// Those of making files and workers.
pub fn run(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
    let scratch = survey::Scratch::new()?;
    let sandboxes = survey::sandboxes(options, &scratch)?;
    at_once(options, setting, &sandboxes, report)?;
    in_a_row(options, setting, &sandboxes, report)
}

/// Launches that all run at the same moment, profile by profile.
fn at_once(
    options: &Options,
    setting: &Setting,
    sandboxes: &[Sandbox],
    report: &mut Report,
) -> io::Result<()> {
    let work = |job: usize| -> Vec<u8> {
        let Some(sandbox) = sandboxes.get(job) else { return Vec::new() };
        crowd(options, setting, sandbox).unwrap_or_else(|e| Verdict::broken(&e)).encode()
    };
    // One crowd at a time: a second one would only compete for the limits of the first.
    pool::run(sandboxes.len(), 1, &work, |job, bytes| {
        if let Some(sandbox) = sandboxes.get(job) {
            let label = format!("{}, {} launches at once", sandbox.label(), options.at_once);
            let again = format!(
                "fault load {} --at-once {} --count 0",
                sandbox.selector(),
                options.at_once
            );
            report.verdict(&label, &again, &Verdict::decode(&bytes));
        }
    })
}

/// Starts all launches, waits until every payload runs, then lets them all end.
fn crowd(options: &Options, setting: &Setting, sandbox: &Sandbox) -> io::Result<Verdict> {
    sys::raise_file_limit();
    let (stdin, end) = sys::pipe(0)?;
    let (ready, ready_writer) = sys::pipe(libc::O_NONBLOCK)?;
    let mut crowd = Vec::new();
    for _ in 0..options.at_once {
        let mut launch: Launch<'_> =
            sandbox.launch(setting, Payload::Gate(ready_writer.as_raw_fd()));
        launch.stdin = Some(stdin.as_raw_fd());
        let mut running = launch.spawn()?;
        running.go()?;
        crowd.push(running);
    }
    let mut ready = File::from(ready);
    let start = Instant::now();
    let mut inside = 0;
    let mut buffer = [0; 4096];
    while inside < options.at_once && start.elapsed() < AT_ONCE_LIMIT {
        match ready.read(&mut buffer) {
            Ok(n) => inside += n,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    drop(end);
    let ended = untraced::wait_all(AT_ONCE_LIMIT)?;
    if !ended.survivors.is_empty() {
        return Ok(Verdict::new(Class::Orphan, ended.survivors.join("\n")));
    }
    let mut bad = Vec::new();
    for running in &mut crowd {
        let how = ended.waited.get(&running.launcher).copied();
        if how != Some(Waited::Exited(0)) {
            bad.push(format!("{how:?} {}", running.output()?.stderr.trim()));
        }
    }
    if inside < options.at_once || !bad.is_empty() {
        bad.truncate(5);
        let wanted = options.at_once;
        let text = format!("{inside} of {wanted} payloads ran\n{}", bad.join("\n"));
        return Ok(Verdict::new(Class::Load, text));
    }
    Ok(Verdict::new(Class::Gone, ""))
}

/// What could grow with the number of launches.
fn measure() -> BTreeMap<&'static str, u64> {
    let mut found = BTreeMap::new();
    let mut namespaces = BTreeSet::new();
    let mut processes = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().first().is_some_and(u8::is_ascii_digit) {
            processes += 1;
            let links = fs::read_dir(entry.path().join("ns")).into_iter().flatten().flatten();
            namespaces.extend(links.filter_map(|l| fs::read_link(l.path()).ok()));
        }
    }
    found.insert("processes", processes);
    found.insert("namespaces held by processes", namespaces.len() as u64);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.insert("mounts of the caller", mounts.lines().count() as u64);
    // Kernel objects: what a leaked mount or namespace leaves when no process shows it.
    let slabs = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    for name in ["mnt_cache", "net_namespace", "pid_namespace", "user_namespace"] {
        let line = slabs.lines().find(|l| l.split(' ').next() == Some(name));
        let used = line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok());
        if let Some(used) = used {
            found.insert(name, used);
        }
    }
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = memory.lines().find(|l| l.starts_with("SUnreclaim:"));
    if let Some(kib) = line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()) {
        found.insert("kernel memory, KiB", kib);
    }
    found
}

/// What grew by more than noise: more than one unit for each ten launches.
///
/// Kernel memory is the exception: a leaked launch holds at least 8 KiB of it, a namespace of the
/// network far more, while caches move by tens of MiB on their own.
fn growth(before: &BTreeMap<&str, u64>, after: &BTreeMap<&str, u64>, launches: u64) -> Vec<String> {
    let allowed = |name: &str| match name {
        "kernel memory, KiB" => 65536 + launches * 4,
        "mounts of the caller" => 0,
        _ => 200 + launches / 10,
    };
    let pairs = before.iter().filter_map(|(name, b)| Some((name, *b, *after.get(name)?)));
    pairs
        .filter(|(name, b, a)| a.saturating_sub(*b) > allowed(name))
        .map(|(name, b, a)| format!("{name}: {b} before, {a} after"))
        .collect()
}

/// Launches one after the other on each worker, over all sandboxes in turn.
fn in_a_row(
    options: &Options,
    setting: &Setting,
    sandboxes: &[Sandbox],
    report: &mut Report,
) -> io::Result<()> {
    if sandboxes.is_empty() || options.count == 0 {
        return Ok(());
    }
    let before = measure();
    if !before.contains_key("mnt_cache") {
        report.line("kernel objects are not counted: /proc/slabinfo cannot be read");
    }
    let state = std::cell::RefCell::new((None, None));
    let sandbox_of = |job: usize| sandboxes.get(job % sandboxes.len());
    let work = |job: usize| -> Vec<u8> {
        let Some(sandbox) = sandbox_of(job) else { return Vec::new() };
        let verdict = one(setting, sandbox).unwrap_or_else(|e| Verdict::broken(&e));
        let (mounts, fds) = &mut *state.borrow_mut();
        let leak = survey::mount_leak(mounts);
        let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let first = *fds.get_or_insert(open);
        let text = format!("descriptors of the worker: {first} at first, {open} now");
        let fds = (open > first).then(|| Verdict::new(Class::Broken, text));
        leak.or(fds).unwrap_or(verdict).encode()
    };
    let start = Instant::now();
    pool::run(options.count, options.jobs, &work, |job, bytes| {
        if let Some(sandbox) = sandbox_of(job) {
            let label = format!("{}, launch {job} in a row", sandbox.label());
            let again = format!("fault load {} --at-once 0", sandbox.selector());
            report.verdict(&label, &again, &Verdict::decode(&bytes));
        }
    })?;
    let rate = options.count as f64 / start.elapsed().as_secs_f64();
    report.line(&format!("{} launches in a row, {rate:.0} per second", options.count));
    let launches = options.count as u64;
    let settled = Instant::now() + SETTLE;
    let mut grown = growth(&before, &measure(), launches);
    while !grown.is_empty() && Instant::now() < settled {
        std::thread::sleep(Duration::from_millis(500));
        grown = growth(&before, &measure(), launches);
    }
    for (name, after) in measure() {
        let b = before.get(name).copied().unwrap_or(0);
        report.line(&format!("    {name}: {b} before, {after} after"));
    }
    let class = if grown.is_empty() { Class::Gone } else { Class::Load };
    let again = format!("fault load --count {} --at-once 0", options.count);
    report.verdict("nothing grew", &again, &Verdict::new(class, grown.join("\n")));
    Ok(())
}

/// One launch that does nothing.
fn one(setting: &Setting, sandbox: &Sandbox) -> io::Result<Verdict> {
    let mut running = sandbox.launch(setting, Payload::True).spawn()?;
    running.go()?;
    let launcher = running.launcher;
    let ended = untraced::wait_all(GRACE * 4)?;
    if !ended.survivors.is_empty() {
        return Ok(Verdict::new(Class::Orphan, ended.survivors.join("\n")));
    }
    match ended.waited.get(&launcher) {
        Some(Waited::Exited(0)) => Ok(Verdict::new(Class::Gone, "")),
        how => {
            let stderr = running.output()?.stderr;
            Ok(Verdict::new(Class::Load, format!("{how:?} {}", stderr.trim())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leak of one object for each launch is reported, noise and fewer objects are not.
    #[test]
    fn growth_of_one_for_each_launch_is_found() {
        let before = BTreeMap::from([("mnt_cache", 500), ("processes", 90)]);
        let leak = BTreeMap::from([("mnt_cache", 2500), ("processes", 95)]);
        assert_eq!(growth(&before, &leak, 2000), ["mnt_cache: 500 before, 2500 after"]);
        let noise = BTreeMap::from([("mnt_cache", 620), ("processes", 40)]);
        assert!(growth(&before, &noise, 2000).is_empty());
    }

    /// One mount in the caller's namespace is one too many.
    #[test]
    fn any_mount_of_the_caller_is_found() {
        let before = BTreeMap::from([("mounts of the caller", 20)]);
        let after = BTreeMap::from([("mounts of the caller", 21)]);
        assert_eq!(growth(&before, &after, 100_000).len(), 1);
    }
}
