//! What a plan's sandbox shows, asked of random plans over the files in `fixture`, which hold links
//! of every kind: absolute, upwards, in a circle, to nowhere.

use crate::layout::operation;
use crate::support::{NOWHERE, Source};
use swathe_host::view::{Seen, View};
use swathe_plan::Plan;
use swathe_plan::model::{BindSource, Bytes, FileOp, HostPath, Step};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixture");

/// The same operation with its sources in the fixture.
fn moved(mut op: FileOp, s: &mut Source<'_>) -> FileOp {
    let below = |path: &mut HostPath| {
        path.0 = [FIXTURE.as_bytes(), b"/", &path.0].concat();
    };
    match &mut op {
        // Some stay where they are: mostly nowhere.
        FileOp::Bind { source: BindSource::Path { path, .. }, .. } if s.byte() < 250 => below(path),
        FileOp::Overlay { layers, .. } => layers.iter_mut().for_each(below),
        _ => {}
    }
    op
}

/// Looks at paths; checks that what is said to be there is there.
pub fn run(data: &[u8]) {
    let mut s = Source::new(data);
    let paths: Vec<Bytes> = s.list(6, crate::layout::path);
    let mut plan = Plan::default();
    while !s.is_empty() && plan.steps.len() < 16 {
        let op = operation(&mut s);
        plan.steps.push(Step { op: moved(op, &mut s), origin: NOWHERE });
    }
    let view = View::new(&plan);
    for path in &paths {
        let seen = view.look(path);
        match &seen {
            Seen::Host(file) => {
                let kind = std::fs::symlink_metadata(to_path(file)).map(|m| m.is_symlink());
                assert!(matches!(kind, Ok(false)), "{file:?} of {path:?}\n{plan:#?}");
            }
            Seen::Missing(missing) => {
                assert!(missing.starts_with(b"/"), "{missing:?}");
            }
            Seen::Made => {}
        }
        let detour: Bytes = [b"/.//", path.as_slice()].concat();
        assert_eq!(view.look(&detour), seen);
        if let Some(file) = view.look_fixed(path) {
            assert_eq!(seen, Seen::Host(file));
        }
        let _ = view.link(path);
        if let Some(at) = view.covering(path) {
            assert!(view.covers(at, path));
        }
    }
}

fn to_path(bytes: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(bytes))
}
