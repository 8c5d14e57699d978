//! Which destinations the set-up takes for its own ("fresh"), compared with a tree on which the
//! operations are carried out carefully.
//!
//! A fresh destination is created and mounted on by its plain path, which follows links: were the
//! claim wrong, a planted link could divert it to the host. So it must be missing, and every
//! directory above it must be a plain one in a file system that nobody else writes to.

use crate::support::{NOWHERE, Source};
use crate::tree::{Place, Tree};
use swathe_exec::layout::targets;
use swathe_plan::model::{
    Access, BindSource, BoxPath, Bytes, FileOp, HostPath, OverlayUpper, Step,
};

const NAMES: [&[u8]; 3] = [b"a", b"b", b"c"];

/// A path of few names, so that operations meet.
pub fn path(s: &mut Source<'_>) -> Bytes {
    let shape = s.byte();
    let mut names: Vec<&[u8]> = (0..1 + shape % 4)
        .map(|_| match s.byte() {
            b @ 0..=239 => NAMES[usize::from(b) % NAMES.len()],
            240..=249 => b"..",
            _ => b".",
        })
        .collect();
    if shape >= 128 {
        names.insert(0, b"");
    }
    if (64..72).contains(&(shape & 127)) {
        names.push(b"");
    }
    let path = names.join(&b'/');
    if shape == 255 { b"/".to_vec() } else { path }
}

fn host_tree(s: &mut Source<'_>) -> Tree {
    let mut tree = Tree::new();
    for _ in 0..s.below(12) {
        let (parent, name) = (s.below(16), s.pick(&NAMES));
        match s.below(5) {
            0 | 1 => tree.host_directory(parent, name),
            2 => tree.host_file(parent, name),
            _ => tree.host_link(parent, name, &path(s)),
        }
    }
    tree
}

/// One operation.
pub fn operation(s: &mut Source<'_>) -> FileOp {
    let kind = s.below(20);
    let dest = BoxPath(path(s));
    let access = [Access::ReadWrite, Access::ReadOnly];
    match kind {
        0..=2 => {
            let source = BindSource::Path { path: HostPath(path(s)), optional: kind == 1 };
            FileOp::Bind { source, dest, access: s.pick(&access) }
        }
        3 | 4 => {
            let source = BindSource::Fd(s.byte().into());
            FileOp::Bind { source, dest, access: s.pick(&access) }
        }
        5..=7 => FileOp::Tmpfs { dest, perms: None, size: None, inodes: None },
        8..=10 => FileOp::Dir { dest, perms: None },
        11..=13 => FileOp::Symlink { target: path(s), dest },
        14 => FileOp::File { fd: 7, dest, perms: None },
        15 => FileOp::BindData { fd: 7, dest, perms: None, read_only: s.flag() },
        16 => {
            let upper = s.pick(&[true, false]);
            let upper = if upper { OverlayUpper::Tmp } else { OverlayUpper::None };
            let layers = vec![HostPath(b"/".to_vec()), HostPath(path(s))];
            FileOp::Overlay { layers, upper, dest }
        }
        17 => FileOp::Mask { dest },
        18 => match s.below(3) {
            0 => FileOp::Proc { dest },
            1 => FileOp::Mqueue { dest },
            _ => FileOp::Dev { dest },
        },
        _ if s.flag() => FileOp::RemountReadOnly { dest },
        _ => FileOp::Chmod { mode: 0o755, path: dest },
    }
}

/// Operations that succeed one after the other, and what they show of the host.
fn operations(s: &mut Source<'_>, host: &Tree) -> (Vec<Step>, Vec<Option<Place>>) {
    let (mut steps, mut sources) = (Vec::new(), Vec::new());
    let mut tree = host.clone();
    while !s.is_empty() && steps.len() < 16 {
        let op = operation(s);
        let Ok(source) = host.source(&op) else { continue };
        let before = tree.clone();
        if tree.execute(&op, source).is_err() {
            tree = before;
            continue;
        }
        steps.push(Step { op, origin: NOWHERE });
        sources.push(source);
    }
    (steps, sources)
}

/// Whether the root starts as an empty file system: unless the first operation covers it.
fn own_root(steps: &[Step]) -> bool {
    match steps.first().map(|s| &s.op) {
        Some(FileOp::Bind { source, dest, .. }) => {
            matches!(source, BindSource::Path { optional: true, .. })
                || dest.0.iter().any(|&b| b != b'/')
        }
        _ => true,
    }
}

/// Checks each claim just before the operation that it is about.
pub fn run(data: &[u8]) {
    let mut s = Source::new(data);
    let mut tree = host_tree(&mut s);
    let (steps, sources) = operations(&mut s, &tree);
    let targets = targets(&steps, own_root(&steps));
    assert_eq!(targets.len(), steps.len());
    for (i, (step, target)) in steps.iter().zip(&targets).enumerate() {
        let bytes = target.path.to_bytes();
        let plain = |path: &[u8]| {
            path.split(|&b| b == b'/')
                .filter(|c| !c.is_empty())
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        let dest = plain(&step.op.dest().0);
        let named = plain(bytes);
        assert!(named == dest || (dest.is_empty() && bytes == b"."), "another path: {target:?}");
        assert_eq!(target.parent_mode & !0o755, 0);
        if target.fresh {
            let made: Vec<Vec<u8>> = target.parents.iter().map(|p| p.to_bytes().to_vec()).collect();
            if let Err(wrong) = tree.is_fresh(bytes, &made) {
                let ops: Vec<_> = steps[..=i].iter().map(|s| &s.op).collect();
                panic!("step {i} is not fresh: {wrong}\n{ops:#?}\n{target:?}");
            }
        } else {
            assert!(target.parents.is_empty(), "{target:?}");
        }
        let done = tree.execute(&step.op, sources[i]);
        assert!(done.is_ok(), "the model contradicts itself at step {i}");
    }
}
