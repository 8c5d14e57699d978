//! Workers: processes of one thread each, which adopt the orphans of their launches.
//!
//! A worker is a process and not a thread because three things that it needs belong to a process:
//! adopting orphans, waiting for any child, and a mount namespace of its own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Duration;

use crate::sys::{self, Pid, SharedCounter};

/// Period at which a waiting worker looks at its deadlines.
const TICK: Duration = Duration::from_millis(5);

/// Runs jobs 0 to `count` - 1 on `workers` processes; `sink` gets each job's number and result in
/// the order in which they end.
///
/// # Errors
/// When a worker cannot be set up, or ends before all jobs are done.
pub fn run(
    count: usize,
    workers: usize,
    work: &dyn Fn(usize) -> Vec<u8>,
    mut sink: impl FnMut(usize, Vec<u8>),
) -> io::Result<()> {
    let counter = SharedCounter::new()?;
    let mut readers = Vec::new();
    let mut pids: Vec<Pid> = Vec::new();
    for _ in 0..workers.clamp(1, count.max(1)) {
        let (reader, writer) = sys::pipe(0)?;
        let pid = sys::fork()?;
        if pid == 0 {
            drop(readers);
            drop(reader);
            sys::exit_now(match worker(count, counter, work, writer) {
                Ok(()) => 0,
                Err(error) => {
                    let _ = writeln!(io::stderr(), "fault: worker: {error}");
                    1
                }
            });
        }
        pids.push(pid);
        readers.push(reader);
    }
    // Threads start only now: no fork follows until they have ended.
    let (sender, receiver) = mpsc::channel();
    let mut done = 0;
    std::thread::scope(|scope| {
        for reader in readers {
            let sender = sender.clone();
            scope.spawn(move || {
                let mut file = File::from(reader);
                while let Ok(result) = receive(&mut file) {
                    if sender.send(result).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (job, result) in receiver {
            done += 1;
            sink(job, result);
        }
    });
    for _ in &pids {
        let _ = sys::wait_any(true);
    }
    if done == count {
        return Ok(());
    }
    Err(io::Error::other(format!("a worker ended early: {done} of {count} jobs done")))
}

/// One worker's life.
fn worker(
    count: usize,
    counter: SharedCounter,
    work: &dyn Fn(usize) -> Vec<u8>,
    results: OwnedFd,
) -> io::Result<()> {
    sys::prctl(libc::PR_SET_PDEATHSIG, u64::try_from(libc::SIGKILL).unwrap_or(9))?;
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1)?;
    if sys::euid() == 0 {
        sys::own_shared_mounts()?;
    }
    sys::start_tick(TICK)?;
    let mut results = File::from(results);
    loop {
        let job = counter.next();
        if job >= count {
            return Ok(());
        }
        let result = work(job);
        let mut message = Vec::with_capacity(result.len() + 16);
        message.extend((job as u64).to_ne_bytes());
        message.extend((result.len() as u64).to_ne_bytes());
        message.extend(result);
        results.write_all(&message)?;
    }
}

/// Reads one result.
fn receive(file: &mut File) -> io::Result<(usize, Vec<u8>)> {
    let mut number = || -> io::Result<usize> {
        let mut bytes = [0; 8];
        file.read_exact(&mut bytes)?;
        usize::try_from(u64::from_ne_bytes(bytes)).map_err(io::Error::other)
    };
    let (job, length) = (number()?, number()?);
    let mut result = vec![0; length];
    file.read_exact(&mut result)?;
    Ok((job, result))
}
