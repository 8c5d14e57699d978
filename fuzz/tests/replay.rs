//! Replays the seeds with the stable toolchain: whatever a fuzz target once found stays found.

use std::path::Path;
use swathe_fuzz::TARGETS;

/// Every target has seeds, and its body holds for each of them. One test, since a target may use
/// what belongs to the whole process.
#[test]
fn every_seed_of_every_target() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, run) in TARGETS {
        let files = std::fs::read_dir(seeds.join(name)).expect(name);
        let mut files: Vec<_> = files.map(|f| f.expect(name).path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no seeds");
        for file in files {
            let data = std::fs::read(&file).expect(name);
            if std::panic::catch_unwind(|| run(&data)).is_err() {
                panic!("{name} fails for {}", file.display());
            }
        }
    }
}

/// Each body holds for nothing, and for bytes that mean nothing.
#[test]
fn trivial_data() {
    for (name, run) in TARGETS {
        if name == "diagnostics" {
            // It redirects standard error, which the other test may be writing to.
            continue;
        }
        for data in [&b""[..], b"\0", b"\xff", &[0; 100], &[0xff; 100]] {
            run(data);
        }
    }
}

/// The list of targets, the programs for cargo-fuzz and the directories of seeds are the same.
#[test]
fn targets_are_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |dir: &str| {
        let mut names: Vec<String> = std::fs::read_dir(root.join(dir))
            .expect(dir)
            .map(|f| f.expect(dir).path().file_stem().expect(dir).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut own: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    own.sort();
    assert_eq!(names("fuzz_targets"), own);
    assert_eq!(names("seeds"), own);
}
