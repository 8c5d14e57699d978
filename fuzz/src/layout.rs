//! What the set-up expects at its destinations, compared with a tree in memory.
//!
//! Where a destination is thought to be missing ("fresh"), the set-up creates it at once, with the
//! parents that are thought to be missing too, instead of looking first. A wrong guess may cost a
//! system call, nothing else: the outcome has to be that of the careful way, whatever links lie
//! there.

use crate::support::{NOWHERE, Source};
use crate::tree::{Place, Tree};
use swathe_exec::layout::targets;
use swathe_plan::model::{
    Access, BindSource, BoxPath, Bytes, FileOp, HostPath, OverlayUpper, StandIn, Step,
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
        17 => {
            let directory = s.pick(&[true, false]);
            let stand_in = if directory { StandIn::Directory } else { StandIn::Unreadable };
            FileOp::Mask { dest, stand_in }
        }
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

/// The components that say something.
fn names(path: &[u8]) -> Vec<&[u8]> {
    path.split(|&b| b == b'/').filter(|c| !c.is_empty() && *c != b".").collect()
}

/// Carries the operations out by both ways; compares after each.
pub fn run(data: &[u8]) {
    let mut s = Source::new(data);
    let mut careful = host_tree(&mut s);
    let (steps, sources) = operations(&mut s, &careful);
    let mut short = careful.clone();
    let targets = targets(&steps, own_root(&steps));
    assert_eq!(targets.len(), steps.len());
    for (i, (step, target)) in steps.iter().zip(&targets).enumerate() {
        let path = target.path.to_bytes();
        assert_eq!(names(path), names(&step.op.dest().0), "another path");
        assert!(!path.is_empty() && !path.starts_with(b"/"), "{target:?}");
        assert_eq!(target.parent_mode & !0o755, 0);
        for pair in target.parents.windows(2) {
            assert!(names(pair[1].to_bytes()).starts_with(&names(pair[0].to_bytes())));
        }
        assert!(target.fresh || target.parents.is_empty(), "{target:?}");
        if target.fresh {
            // The short way takes each name as it is.
            assert!(names(path).iter().all(|name| *name != b".."), "{target:?}");
            let parents = target.parents.iter().map(|p| p.to_bytes());
            assert!(
                parents.into_iter().all(|p| path.strip_prefix(p).is_some_and(|r| r[0] == b'/'))
            );
        }
        let slow = careful.execute(&step.op, sources[i]);
        let fast = short.execute_short(&step.op, sources[i], target);
        let ops = || steps[..=i].iter().map(|s| &s.op).collect::<Vec<_>>();
        assert_eq!((slow, fast), (Ok(()), Ok(())), "step {i}\n{:?}\n{target:?}", ops());
        assert!(short.is_same(&careful), "step {i}\n{:?}\n{target:?}", ops());
    }
}
