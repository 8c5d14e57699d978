//! The engine at rest while a question is on the terminal.
//!
//! During a run the engine has the caller's terminal: it copies what the program prints, and reads
//! what is typed. Stopped (SIGSTOP) it does neither; the program waits once its own terminal has
//! taken what fits, and the caller's is the asker's alone. Continued, it goes on where it was, and
//! passes SIGCONT on, at which programs that fill the screen draw it again.

use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long, and how often, it is waited for the engine to stop.
const TRIES: u32 = 2000;
const PAUSE: Duration = Duration::from_millis(1);

/// Whether the engine is stopped by us, and which process it is.
#[derive(Debug, Default)]
pub struct Pause(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    engine: Option<OwnedFd>,
    held: bool,
}

impl Pause {
    /// Which process is to be stopped, by its pidfd. It has to be a child.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn set_engine(&self, engine: BorrowedFd<'_>) -> io::Result<()> {
        self.lock().engine = Some(engine.try_clone_to_owned()?);
        Ok(())
    }

    /// Interrupts the program, as the key does.
    pub fn interrupt(&self) {
        if let Some(engine) = &self.lock().engine {
            // It may have ended.
            let _ = pidfd_send_signal(engine, Signal::INT);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what looks for an engine that has stopped with its program; not while it is stopped for a
    /// question.
    pub fn unless_held(&self, look: impl FnOnce()) {
        let state = self.lock();
        if !state.held {
            look();
        }
    }

    /// Stops the engine, and returns when it rests.
    ///
    /// # Errors
    /// It has ended, does not stop, or is not known yet.
    pub fn hold(self: &Arc<Self>) -> io::Result<Held> {
        let mut state = self.lock();
        let engine = state.engine.as_ref().ok_or_else(|| io::Error::other("nothing runs yet"))?;
        stop(engine)?;
        state.held = true;
        drop(state);
        Ok(Held(Arc::clone(self)))
    }
}

/// Stops a child; whoever else stopped it meanwhile does not matter.
fn stop(engine: &OwnedFd) -> io::Result<()> {
    pidfd_send_signal(engine, Signal::STOP)?;
    let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let options = options | WaitIdOptions::NOHANG;
    for _ in 0..TRIES {
        match waitid(WaitId::PidFd(engine.as_fd()), options) {
            Ok(Some(status)) if status.stopped() => {
                // It is taken: nobody else is to see it.
                let taken = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
                waitid(WaitId::PidFd(engine.as_fd()), taken)?;
                return Ok(());
            }
            Ok(Some(_)) => return Err(io::Error::other("the sandbox has ended")),
            Ok(None) | Err(Errno::INTR) => std::thread::sleep(PAUSE),
            Err(e) => return Err(e.into()),
        }
    }
    let _ = pidfd_send_signal(engine, Signal::CONT);
    Err(io::Error::other("the sandbox's terminal cannot be held"))
}

/// The engine is stopped as long as this exists.
#[derive(Debug)]
pub struct Held(Arc<Pause>);

impl Held {
    /// Stops it again where somebody has continued it, such as the caller's shell.
    ///
    /// # Errors
    /// It has ended, or does not stop.
    pub fn renew(&self) -> io::Result<bool> {
        let state = self.0.lock();
        let Some(engine) = &state.engine else { return Ok(false) };
        let options = WaitIdOptions::CONTINUED | WaitIdOptions::NOHANG;
        match waitid(WaitId::PidFd(engine.as_fd()), options) {
            Ok(Some(_)) => stop(engine).map(|()| true),
            Ok(None) | Err(Errno::INTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(engine) = state.engine.as_ref().filter(|_| state.held) {
            // It may have been killed.
            let _ = pidfd_send_signal(engine, Signal::CONT);
            // Its status is not for a later look.
            let options = WaitIdOptions::CONTINUED | WaitIdOptions::NOHANG;
            let _ = waitid(WaitId::PidFd(engine.as_fd()), options);
        }
        state.held = false;
    }
}
