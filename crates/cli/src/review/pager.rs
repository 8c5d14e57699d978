//! Text for a person through the pager they chose, or straight to standard output.

use crate::out::Failure;
use std::io::{IsTerminal as _, Write};
use std::process::{Child, Command, Stdio};

/// Where text goes.
pub enum Out {
    /// A pager.
    Pager(Child),
    /// Standard output.
    Plain(std::io::BufWriter<std::io::Stdout>),
}

impl Out {
    /// The pager where standard output is a terminal and there is one.
    pub fn open(paged: bool) -> Self {
        if paged
            && std::io::stdout().is_terminal()
            && let Some(child) = pager()
        {
            return Self::Pager(child);
        }
        Self::Plain(std::io::BufWriter::new(std::io::stdout()))
    }

    /// Writes; true when nobody reads any more.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let written = match self {
            Self::Pager(child) => child.stdin.as_mut().map_or(Ok(()), |pipe| pipe.write_all(bytes)),
            Self::Plain(out) => out.write_all(bytes),
        };
        gone(written)
    }

    /// Waits until the person has read it.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Pager(mut child) => {
                drop(child.stdin.take());
                // How it ended says nothing about us.
                drop(child.wait());
                Ok(())
            }
            Self::Plain(mut out) => gone(out.flush()).map(drop),
        }
    }
}

fn gone(written: std::io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(false),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(true),
        Err(e) => Err(Failure::new(format!("cannot write to standard output: {e}"))),
    }
}

/// Starts the pager; `None` where the user wants none, or it cannot be started.
fn pager() -> Option<Child> {
    let chosen = std::env::var_os("PAGER");
    let chosen = chosen.filter(|pager| pager.to_str().is_none_or(|text| !text.trim().is_empty()));
    let command = match &chosen {
        Some(pager) if pager == "cat" => return None,
        Some(pager) => pager.clone(),
        None => "less -R".into(),
    };
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // Colours as they are, and nothing to leave where all fits on the screen.
        shell.env("LESS", "FRX");
    }
    if chosen.is_none() && !installed("less") {
        return None;
    }
    shell.spawn().ok()
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
