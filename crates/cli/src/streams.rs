//! The standard streams that a program gets.
//!
//! A descriptor is more than what it was opened for: a file that is open for reading can be opened
//! again for writing through /proc/self/fd, and a directory leads to all that is below and above it.

use crate::out::{Failure, note};
use rustix::fs::{FileType, fstat};
use std::fs::File;
use std::io::{PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use swathe::Command;

/// Bytes that are relayed at a time.
const CHUNK: usize = 64 << 10;

/// Gives a command its streams: standard input from a file through a pipe, the others as they are.
pub fn give(command: Command) -> Result<Command, Failure> {
    Ok(match input()? {
        Some(pipe) => command.stdin(pipe),
        None => command,
    })
}

/// What a program gets in place of standard input; `None` where that itself does no harm.
///
/// # Errors
/// A standard stream is a directory.
pub fn input() -> Result<Option<PipeReader>, Failure> {
    for (number, fd) in [
        ("standard input", rustix::stdio::stdin()),
        ("standard output", rustix::stdio::stdout()),
        ("standard error", rustix::stdio::stderr()),
    ] {
        if kind(fd) == Some(FileType::Directory) {
            return Err(Failure::new(format!("{number} is a directory"))
                .hint("the program could reach everything below and above it"));
        }
    }
    match kind(rustix::stdio::stdin()) {
        Some(FileType::RegularFile | FileType::BlockDevice) => relay().map(Some),
        _ => Ok(None),
    }
}

fn kind(fd: BorrowedFd<'_>) -> Option<FileType> {
    // One that is closed is no way to anything.
    fstat(fd).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// A pipe that yields what standard input does.
fn relay() -> Result<PipeReader, Failure> {
    let failed = |e: std::io::Error| Failure::new(format!("cannot relay standard input: {e}"));
    let input = rustix::stdio::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let (reader, mut writer) = std::io::pipe().map_err(failed)?;
    std::thread::Builder::new()
        .name("standard input".to_owned())
        .spawn(move || {
            let mut input = File::from(input);
            let mut bytes = vec![0; CHUNK];
            loop {
                match input.read(&mut bytes) {
                    Ok(0) => return,
                    // The program reads no more.
                    Ok(n) if writer.write_all(&bytes[..n]).is_err() => return,
                    Ok(_) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return note(&format!("cannot read standard input: {e}")),
                }
            }
        })
        .map_err(failed)?;
    Ok(reader)
}
