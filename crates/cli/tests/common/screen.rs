//! A program on a terminal, and who types.

use super::Place;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use swathe_testkit::{Outcome, Running, Terminal};

/// How long a program may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that has a terminal as its controlling one.
pub struct Screen {
    outer: File,
    running: Running,
    /// All that was printed.
    pub seen: String,
    /// How much of it was waited for.
    passed: usize,
}

impl Screen {
    /// Starts what `sh` on the host is told; `$SWATHE` is the program.
    pub fn start(place: &Place, text: &str) -> Self {
        let terminal = Terminal::open(&place.swathe);
        let quoted = text.replace('\'', r"'\''");
        let mut run =
            place.outside(&format!("stty cols 90 rows 33; exec setsid -w -c sh -c '{quoted}'"));
        for number in 0..3 {
            run = run.fd(number, terminal.inner());
        }
        let running = run.start();
        Self { outer: terminal.outer, running, seen: String::new(), passed: 0 }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.outer.write_all(text.as_bytes()).expect("type");
    }

    /// Waits until this was printed, after the last thing waited for.
    #[track_caller]
    pub fn expect(&mut self, needle: &str) -> &mut Self {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(at) = self.seen[self.passed..].find(needle) {
                self.passed += at + needle.len();
                return self;
            }
            if !read(&mut self.outer, &mut self.seen) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        panic!("{needle:?} was not printed, but {:?}", self.seen);
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.outer, size).expect("resize");
    }

    /// Waits for its end; the outcome and all that was printed.
    #[track_caller]
    pub fn end(self) -> (Outcome, String) {
        let Self { mut outer, running, mut seen, .. } = self;
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        // A program that still prints must not wait for us.
        let reader = std::thread::spawn(move || {
            loop {
                let last = told.load(Ordering::Relaxed);
                if !read(&mut outer, &mut seen) {
                    if last {
                        return seen;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let outcome = running.wait();
        ended.store(true, Ordering::Relaxed);
        (outcome, reader.join().expect("a reader"))
    }
}

/// Reads what is there; false when that is nothing.
fn read(outer: &mut File, seen: &mut String) -> bool {
    let mut buffer = [0; 4096];
    let count = outer.read(&mut buffer).unwrap_or(0);
    seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    count > 0
}
