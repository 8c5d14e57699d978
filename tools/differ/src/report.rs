//! From what a launch left to lines that can be compared: numbers that vary are named or dropped.

use crate::escape;
use crate::launch::{Ended, Namespaces, Raw};
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;

/// Normalised lines by label. The order of lines within a label has no meaning, except for the
/// labels of [`ORDERED`].
pub type Outcome = BTreeMap<&'static str, Vec<String>>;

/// Labels whose lines are compared in order.
pub const ORDERED: [&str; 3] = ["stderr-first", "stderr-rest", "stdout"];

/// What the world looks like to the worker, to tell the host's objects from the sandbox's.
pub struct Facts {
    devices: BTreeMap<String, String>,
    namespaces: BTreeMap<String, String>,
}

impl Facts {
    /// Reads the worker's own mount table and namespaces.
    pub fn read(ns: &Namespaces) -> Self {
        let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        let table = String::from_utf8_lossy(&table).into_owned();
        let mut devices = BTreeMap::new();
        for line in table.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let [_, _, device, _, point, ..] = words[..] {
                devices.entry(device.into()).or_insert_with(|| point.into());
            }
        }
        let mut namespaces = BTreeMap::new();
        let link = |path: &str| {
            std::fs::read_link(path).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default()
        };
        for kind in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
            namespaces.insert(link(&format!("/proc/self/ns/{kind}")), "caller's".into());
        }
        for (kind, fd) in &ns.fds {
            namespaces
                .insert(link(&format!("/proc/self/fd/{}", fd.as_raw_fd())), format!("{kind:?}"));
        }
        Self { devices, namespaces }
    }

    fn device<'a>(&'a self, number: &str) -> &'a str {
        self.devices.get(number).map_or("fresh", |d| d)
    }

    fn namespace(&self, link: &str) -> String {
        self.namespaces.get(link).cloned().unwrap_or_else(|| "new".into())
    }
}

/// The label and text of each report line.
fn lines(raw: &Raw) -> Vec<(String, String)> {
    String::from_utf8_lossy(&raw.report)
        .lines()
        .filter_map(|l| l.split_once('\t'))
        .map(|(label, text)| (label.into(), text.into()))
        .collect()
}

/// The payload's labels that are taken over as they are.
const PLAIN: [&str; 22] = [
    "argv",
    "env",
    "rlimit",
    "signal",
    "cap",
    "filter",
    "id",
    "status",
    "cwd",
    "tty",
    "umask",
    "relation",
    "attr",
    "nested",
    "init",
    "init-cmdline",
    "procs",
    "lock",
    "uts",
    "net",
    "exe",
    "end",
];

/// Normalises `raw`; `host` are the changes found in the world.
pub fn normalise(raw: &Raw, host: Vec<String>, facts: &Facts) -> Outcome {
    let mut out = Outcome::new();
    let report = lines(raw);
    out.insert(
        "exit",
        vec![match &raw.ended {
            Ended::Exit(code) => format!("exit {code}"),
            Ended::Signal(number) => format!("signal {number}"),
            Ended::Hang => "hang".into(),
        }],
    );
    let stderr = String::from_utf8_lossy(&raw.stderr).into_owned();
    let mut stderr = stderr.lines().map(|l| escape::line(l.as_bytes()));
    out.insert("stderr-first", stderr.next().into_iter().collect());
    out.insert("stderr-rest", stderr.collect());
    out.insert("stdout", String::from_utf8_lossy(&raw.stdout).lines().map(String::from).collect());
    out.insert("host", host);
    out.insert("ran", vec![format!("payload ran: {}", !raw.report.is_empty())]);
    if raw.survivors > 0 {
        out.insert("survivors", vec![format!("{}", raw.survivors)]);
    }
    let known = known_numbers(&report);
    for (label, document) in &raw.documents {
        let text = String::from_utf8_lossy(document).into_owned();
        out.insert(label, text.lines().map(|l| name_numbers(l, &known)).collect());
    }
    out.insert("mount", mounts(&report, facts));
    let ns: BTreeMap<String, String> = report
        .iter()
        .filter(|(l, _)| l == "ns")
        .filter_map(|(_, t)| t.split_once(' ').map(|(k, v)| (k.into(), v.into())))
        .collect();
    for (label, text) in &report {
        let (label, text): (&'static str, String) = match label.as_str() {
            "tree" => ("tree", tree_line(text, facts)),
            "fd" => ("fd", without_inode(text)),
            "init-fd" => ("init-fd", without_inode(text)),
            "ns" => {
                let (kind, link) = text.split_once(' ').unwrap_or((text, ""));
                ("ns", format!("{kind} {}", facts.namespace(link)))
            }
            "init-link" => ("init-link", init_link(text, &ns, facts)),
            other => match PLAIN.iter().find(|p| **p == other) {
                Some(label) => (label, text.clone()),
                None => continue,
            },
        };
        out.entry(label).or_default().push(text);
    }
    if ns.get("net").is_some_and(|link| facts.namespace(link) == "caller's") {
        // The machine's own interfaces: they change while the run goes on.
        out.insert("net", vec!["the caller's".into()]);
    }
    for (label, list) in &mut out {
        if !ORDERED.contains(label) {
            list.sort();
        }
    }
    out
}

/// `dev=8:1` becomes the host mount point of that device, or `fresh`. A directory's access bits
/// on the same line tell whether it is writable.
fn tree_line(text: &str, facts: &Facts) -> String {
    let Some((before, rest)) = text.split_once(" dev=") else {
        return text.into();
    };
    let (device, after) = rest.split_once(' ').unwrap_or((rest, ""));
    format!("{before} dev={} {after}", facts.device(device))
}

/// `pipe:[123]` becomes `pipe`, and so on.
fn without_inode(text: &str) -> String {
    text.split_once(":[").map_or(text, |(before, _)| before).into()
}

fn init_link(text: &str, payload: &BTreeMap<String, String>, facts: &Facts) -> String {
    let (name, target) = text.split_once(' ').unwrap_or((text, ""));
    if target.starts_with("/opt/differ/o") {
        return format!("{name} the launcher");
    }
    match name.strip_prefix("ns/") {
        None => text.into(),
        Some(kind) if payload.get(kind).is_some_and(|own| own == target) => {
            format!("{name} the payload's")
        }
        Some(_) if target.contains(":[") => format!("{name} {}", facts.namespace(target)),
        Some(_) => text.into(),
    }
}

/// Numbers that documents may name: pids in the world's view and namespace inodes.
fn known_numbers(report: &[(String, String)]) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for (label, text) in report {
        if label == "ns" {
            if let Some((kind, inode)) = text.trim_end_matches(']').split_once(' ')
                && kind != "pid_for_children"
                && let Some((_, inode)) = inode.split_once('[')
            {
                known.insert(inode.into(), format!("<payload's {kind}>"));
            }
        } else if label == "raw" {
            let words: Vec<&str> = text.split(' ').collect();
            if let [who, pid, ..] = words[..] {
                // An init that is the payload itself is named as the init.
                known.insert(pid.into(), format!("<{who}>"));
            }
        }
    }
    known
}

/// A document's line with numbers named; exit codes stay.
fn name_numbers(line: &str, known: &BTreeMap<String, String>) -> String {
    if line.contains("exit-code") {
        return line.into();
    }
    let mut out = String::new();
    let mut digits = String::new();
    for c in line.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            out.push_str(known.get(&digits).map_or("<number>", |n| n));
            digits.clear();
        }
        if c != '\n' {
            out.push(c);
        }
    }
    out
}

/// The mount table by path: for each mount point the stack of mounts from the lowest, each with
/// file system type, root, flags, propagation, source and options.
fn mounts(report: &[(String, String)], facts: &Facts) -> Vec<String> {
    let table: Vec<Vec<&str>> = report
        .iter()
        .filter(|(l, _)| l == "mountinfo")
        .map(|(_, t)| t.split(' ').collect::<Vec<_>>())
        .filter(|w| w.len() >= 9)
        .collect();
    let by_id: BTreeMap<&str, &Vec<&str>> = table.iter().map(|w| (w[0], w)).collect();
    let level = |words: &Vec<&str>| {
        let (mut at, mut level) = (words, 0);
        while let Some(parent) = by_id.get(at[1])
            && parent[4] == words[4]
            && level < 50
        {
            level += 1;
            at = parent;
        }
        level
    };
    table.iter().map(|w| mount_line(w, level(w), facts)).collect()
}

fn mount_line(words: &[&str], level: usize, facts: &Facts) -> String {
    let (device, root, point) = (facts.device(words[2]), words[3], words[4]);
    let separator = words.iter().position(|w| *w == "-").unwrap_or(words.len());
    let mut flags: Vec<&str> = words[5].split(',').collect();
    flags.sort_unstable();
    let propagation: Vec<&str> =
        words[6..separator].iter().map(|o| o.split(':').next().unwrap_or(o)).collect();
    let tail = &words[(separator + 1).min(words.len())..];
    let kind = tail.first().copied().unwrap_or("?");
    let mut options: Vec<&str> = tail.get(2).copied().unwrap_or("").split(',').collect();
    if kind == "overlay" {
        // Where the layers were found while mounting is nobody's business afterwards.
        options.retain(|o| !o.contains("dir"));
        options.retain(|o| !o.starts_with("uuid"));
    }
    options.sort_unstable();
    // Where in a file system of its own making a program put things means nothing to the payload.
    let root = if device == "fresh" { "*" } else { root };
    format!(
        "{point} #{level} {kind} of={device} root={root} flags={} propagation={} source={} options={}",
        flags.join(","),
        propagation.join(","),
        tail.get(1).unwrap_or(&"?"),
        options.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that documents are compared by what their numbers mean, and exit codes by value.
    #[test]
    fn document_numbers_are_named() {
        let known = BTreeMap::from([("17".to_string(), "<init>".to_string())]);
        assert_eq!(name_numbers("{ \"child-pid\": 17 }", &known), "{ \"child-pid\": <init> }");
        assert_eq!(name_numbers("{ \"x\": 18 }", &known), "{ \"x\": <number> }");
        assert_eq!(name_numbers("{ \"exit-code\": 17 }", &known), "{ \"exit-code\": 17 }");
    }
}
