//! Launches per second with several at once.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::launch::Command;

/// How many launches run at once.
pub const AT_ONCE: usize = 8;

/// Keeps `AT_ONCE` launches of `command` running for `slice`; returns completed ones per second.
///
/// # Errors
/// When a launch cannot be started or does not end with status 0.
pub fn measure(command: &Command, slice: Duration) -> io::Result<f64> {
    let done = AtomicU64::new(0);
    let start = Instant::now();
    let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let work = || {
            while start.elapsed() < slice {
                match command.time()? {
                    (_, 0) => done.fetch_add(1, Ordering::Relaxed),
                    (_, status) => return Err(io::Error::other(format!("status {status:#x}"))),
                };
            }
            Ok(())
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let join = |t: std::thread::ScopedJoinHandle<'_, io::Result<()>>| {
            t.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        };
        threads.into_iter().map(join).collect()
    });
    let elapsed = start.elapsed().as_secs_f64();
    results.into_iter().collect::<io::Result<()>>()?;
    Ok(done.into_inner() as f64 / elapsed)
}
