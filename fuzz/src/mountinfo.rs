//! The mount table: any text first, then a table of the kernel's own form made from the data.

use crate::support::Source;
use swathe_exec::files::mountinfo::{Entry, beneath, parse};

/// The table's bound must hold for whatever is in it, and what the kernel escapes must come back.
pub fn run(data: &[u8]) {
    let table = parse(data);
    assert!(table.len() <= data.len());
    for entry in &table {
        let found = beneath(&table, &entry.point).unwrap_or_default();
        assert!(!found.is_empty() && found[0].point == entry.point);
        assert!(found.len() <= 2 * table.len());
    }
    own_table(&mut Source::new(data));
}

struct Mount {
    parent: usize,
    point: Vec<u8>,
    options: Vec<usize>,
}

const OPTIONS: [(&str, u64); 9] = [
    ("rw", 0),
    ("ro", 1),
    ("nosuid", 2),
    ("nodev", 4),
    ("noexec", 8),
    ("nosymfollow", 256),
    ("noatime", 1024),
    ("nodiratime", 2048),
    ("relatime", 1 << 21),
];

fn own_table(s: &mut Source<'_>) {
    let mut mounts = Vec::new();
    while !s.is_empty() && mounts.len() < 40 {
        let parent = s.below(mounts.len().max(1));
        let mut point = s.path();
        point.insert(0, b'/');
        mounts.push(Mount { parent, point, options: s.list(4, |s| s.below(OPTIONS.len())) });
    }
    let text: Vec<u8> = mounts.iter().enumerate().flat_map(|(i, m)| line(i, m)).collect();
    let table = parse(&text);
    assert_eq!(table.len(), mounts.len());
    for (entry, mount) in table.iter().zip(&mounts) {
        assert_eq!(entry.point, mount.point);
        let flags = mount.options.iter().fold(0, |all, &o| all | OPTIONS[o].1);
        assert_eq!(entry.flags, flags);
    }
    search(&table, &mounts);
}

/// What lies beneath a point, by following parents upwards instead of children downwards.
fn search(table: &[Entry], mounts: &[Mount]) {
    for mount in mounts {
        let top = mounts.iter().rposition(|m| m.point == mount.point).unwrap_or_default();
        let below = |mut i: usize| {
            // The first mount is its own parent, as the root of everything is.
            while i != top && i != 0 {
                i = mounts[i].parent;
            }
            i == top
        };
        let mut want: Vec<&[u8]> =
            (0..mounts.len()).filter(|&i| below(i)).map(|i| mounts[i].point.as_slice()).collect();
        let found = beneath(table, &mount.point).unwrap_or_default();
        let mut got: Vec<&[u8]> = found.iter().map(|e| e.point.as_slice()).collect();
        assert_eq!(got.first().copied(), Some(mount.point.as_slice()));
        want.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, want);
    }
}

fn line(index: usize, mount: &Mount) -> Vec<u8> {
    let mut out = format!("{} {} 0:5 / ", 100 + index, 100 + mount.parent).into_bytes();
    for &b in &mount.point {
        match b {
            b' ' | b'\t' | b'\n' | b'\\' => out.extend(format!("\\{b:03o}").bytes()),
            _ => out.push(b),
        }
    }
    let options: Vec<&str> = mount.options.iter().map(|&o| OPTIONS[o].0).collect();
    out.extend(format!(" {} shared:1 - tmpfs tmpfs rw\n", options.join(",")).bytes());
    out
}
