//! The audit file: nothing waits, nothing is cut, what is left out is said.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use swathe_record::audit::{MAX_LINE, Writer, read};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

/// A directory of its own, removed with what is in it.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("swathe-audit-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A pipe that somebody has open and nobody reads.
    fn pipe(&self) -> (PathBuf, std::fs::File) {
        let path = self.at("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|made| made.success()));
        let both = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("opens");
        (path, both)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn event(number: u64) -> Event {
    Event {
        time: number,
        pid: 1,
        program: "/bin/true".into(),
        action: Action::Read,
        object: Bytes(b"/a\n\xff".to_vec()),
        to: None,
        outcome: Outcome::Denied(2),
        layer: Layer::Mount,
        reason: None,
        rule: None,
    }
}

fn file(path: &Path) -> std::fs::File {
    std::fs::File::open(path).expect("a file")
}

/// What was written comes back, in order, and a second writer appends.
#[test]
fn comes_back() {
    let temp = Temp::new("back");
    let path = temp.at("audit");
    for start in [0, 1000] {
        let writer = Writer::open(&path, 1 << 30).expect("opens");
        (start..start + 1000).for_each(|i| writer.event(event(i)));
    }
    let found = read(file(&path), 1 << 20).expect("reads");
    assert_eq!(found.events, (0..2000).map(event).collect::<Vec<_>>());
    assert_eq!((found.lost, found.bad), (0, 0));
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// It turns over, whole lines each, and keeps no more than twice the limit.
#[test]
fn bounded() {
    let temp = Temp::new("bounded");
    let path = temp.at("audit");
    let writer = Writer::open(&path, 100_000).expect("opens");
    for i in 0..10_000 {
        writer.event(event(i));
        if i % 1000 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    drop(writer);
    let (new, old) = (read(file(&path), 1 << 20), read(file(&temp.at("audit.1")), 1 << 20));
    let (new, old) = (new.expect("reads"), old.expect("reads"));
    assert_eq!((new.bad, old.bad), (0, 0));
    assert_eq!(new.events.last(), Some(&event(9999)));
    for name in ["audit", "audit.1"] {
        let size = std::fs::metadata(temp.at(name)).expect("there").len();
        assert!(size <= 100_000 + (64 << 10), "{name}: {size}");
    }
}

/// A reader that does not read, or a full disk: who has events goes on, and ends.
#[test]
fn never_waits() {
    let temp = Temp::new("waits");
    let (pipe, both) = temp.pipe();
    for path in [pipe.as_path(), Path::new("/dev/full")] {
        let writer = Writer::open(path, 1 << 30).expect("opens");
        let start = Instant::now();
        (0..100_000).for_each(|i| writer.event(event(i)));
        drop(writer);
        // It gives up after two seconds; a minute is a hang.
        assert!(start.elapsed() < Duration::from_secs(60), "{}", path.display());
    }
    drop(both);
}

/// What does not fit is counted, and said before what comes next.
#[test]
fn says_what_is_lost() {
    let temp = Temp::new("lost");
    let (pipe, both) = temp.pipe();
    let writer = Writer::open(&pipe, 1 << 30).expect("opens");
    (0..100_000).for_each(|i| writer.event(event(i)));
    let reader = file(&pipe);
    let reader = std::thread::spawn(move || read(reader, 1 << 20).expect("reads"));
    drop(both);
    drop(writer);
    let found = reader.join().expect("ends");
    assert_eq!(found.bad, 0);
    assert!(found.lost > 0);
    assert_eq!(found.events.len() as u64 + found.lost, 100_000);
}

/// Lines of others, too long, cut off, not UTF-8: counted, and what follows is read.
#[test]
fn bad_lines() {
    let good = serde_json::to_string(&event(7)).expect("serializes");
    let mut text = b"{}\n\xff\n{\"time\":1\n".to_vec();
    text.extend(vec![b'x'; 3 * MAX_LINE]);
    text.extend(format!("\n{good}\n").into_bytes());
    text.extend(good.as_bytes().iter().take(20));
    let found = read(Cursor::new(text), 10).expect("reads");
    assert_eq!((found.events, found.bad), (vec![event(7)], 5));
}

/// A file that ends in the middle of a line is not continued there.
#[test]
fn cut_line() {
    let temp = Temp::new("cut");
    let path = temp.at("audit");
    std::fs::write(&path, "{\"time\":12").expect("written");
    let writer = Writer::open(&path, 1 << 30).expect("opens");
    writer.event(event(1));
    drop(writer);
    let found = read(file(&path), 10).expect("reads");
    assert_eq!((found.events, found.bad), (vec![event(1)], 1));
}
