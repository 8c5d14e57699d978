//! Questions on the caller's terminal, one at a time.
//!
//! The thread that asks has the terminal to itself while a question is open: the engine, which prints
//! what the program prints and reads what is typed, is stopped meanwhile. What was typed before is
//! thrown away.

use super::draw;
use super::keys::{Act, Choice, Keys, May, NO};
use super::pause::{Held, Pause};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, Termios, tcflush,
    tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swathe_record::ask::{Counter, Notice, Prompt};
use swathe_record::question::{Answer, Term};

/// How often an open question is looked after.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const LONG: Duration = Duration::from_secs(3600);

/// The controlling terminal.
#[derive(Debug)]
pub struct Terminal {
    file: File,
}

impl Terminal {
    /// Opens it.
    ///
    /// # Errors
    /// There is none.
    pub fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        tcgetattr(&file)?;
        Ok(Self { file })
    }

    fn width(&self) -> usize {
        let columns = tcgetwinsize(&self.file).map_or(0, |size| usize::from(size.ws_col));
        if columns < 40 { 79 } else { columns.min(100) - 1 }
    }

    /// Whether it is this job's at the moment: who is in the background neither prints nor reads.
    fn is_ours(&self) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|group| group == getpgrp())
    }

    fn show(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())
    }

    /// The next bytes, where some were typed until the next tick.
    fn typed(&self) -> io::Result<Vec<u8>> {
        let mut waits = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut waits, Some(&TICK)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        let mut buffer = [0; 64];
        match rustix::io::read(&self.file, &mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => Ok(buffer.get(..n).unwrap_or_default().to_vec()),
            Err(Errno::INTR | Errno::AGAIN) => Ok(Vec::new()),
            Err(e) => Err(e.into()),
        }
    }
}

/// The terminal in the mode for single keys; as it was when dropped.
struct Mode<'t> {
    terminal: &'t Terminal,
    before: Termios,
}

impl<'t> Mode<'t> {
    /// Throws away what was typed before.
    fn new(terminal: &'t Terminal) -> io::Result<Self> {
        let before = tcgetattr(&terminal.file)?;
        let mut modes = before.clone();
        modes.local_modes -=
            LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        // Lines end as they are drawn.
        modes.output_modes -= OutputModes::OPOST;
        modes.input_modes -= InputModes::ICRNL | InputModes::INLCR | InputModes::IXON;
        modes.special_codes[rustix::termios::SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[rustix::termios::SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal.file, OptionalActions::Flush, &modes)?;
        let mode = Self { terminal, before };
        tcflush(&terminal.file, QueueSelector::IFlush)?;
        Ok(mode)
    }
}

impl Drop for Mode<'_> {
    fn drop(&mut self) {
        // Nobody can be told when the terminal has gone.
        let _ = tcsetattr(&self.terminal.file, OptionalActions::Now, &self.before);
    }
}

/// How a question ended.
enum End {
    Answered(Answer),
    /// Refused, and the program is to be interrupted.
    Interrupted(Answer),
    /// It need not be answered any more.
    Withdrawn,
    /// The terminal is another job's now: it is asked again when it is ours.
    Lost,
    /// Nothing is asked any more.
    Closed,
}

/// Asks on the terminal.
pub struct Asking {
    /// The terminal.
    pub terminal: Terminal,
    /// The asker's side of the desk.
    pub counter: Counter,
    /// Holds the engine.
    pub pause: Arc<Pause>,
    /// In which runs an answer for always holds, in words.
    pub holds: String,
}

impl Asking {
    /// Asks until the desk is closed. Where the terminal fails all is refused from then on.
    pub fn run(mut self) {
        let mut waiting = VecDeque::new();
        // However it ends, the counter is dropped, and nobody waits for an answer.
        while let Ok(true) = self.turn(&mut waiting) {}
    }

    /// False when all is over.
    fn turn(&mut self, waiting: &mut VecDeque<Prompt>) -> io::Result<bool> {
        let patience = if waiting.is_empty() { LONG } else { Duration::ZERO };
        if !self.hear(waiting, patience) {
            return Ok(false);
        }
        if waiting.is_empty() {
            return Ok(true);
        }
        if !self.terminal.is_ours() {
            std::thread::sleep(Duration::from_millis(100));
            return Ok(true);
        }
        let held = self.pause.hold()?;
        let mode = Mode::new(&self.terminal)?;
        let end = self.ask(waiting, &held)?;
        let interrupt = matches!(end, End::Interrupted(_));
        match end {
            End::Answered(answer) | End::Interrupted(answer) => {
                waiting.pop_front();
                self.answer(&answer)?;
            }
            End::Withdrawn | End::Lost => {}
            End::Closed => return Ok(false),
        }
        // The terminal is as the engine knows it before that goes on.
        drop(mode);
        drop(held);
        if interrupt {
            self.pause.interrupt();
        }
        Ok(true)
    }

    /// Takes what there is to be told; false when all is over.
    fn hear(&self, waiting: &mut VecDeque<Prompt>, patience: Duration) -> bool {
        let mut patience = patience;
        while let Some(notice) = self.counter.next(patience) {
            match notice {
                Notice::Show(prompt) => waiting.push_back(prompt),
                Notice::Withdrawn(id) => waiting.retain(|prompt| prompt.question.id != id),
                Notice::Closed => return false,
            }
            patience = Duration::ZERO;
        }
        true
    }

    /// Asks the first of those that wait.
    fn ask(&self, waiting: &mut VecDeque<Prompt>, held: &Held) -> io::Result<End> {
        let Some(prompt) = waiting.front().cloned() else { return Ok(End::Withdrawn) };
        let (width, start) = (self.terminal.width(), Instant::now());
        let may =
            May { directory: prompt.directory.is_some(), read_only: draw::may_narrow(&prompt) };
        self.terminal.show(&draw::question(&prompt, width))?;
        let mut keys = Keys::new(start.elapsed(), may);
        self.terminal.show(&draw::line(&prompt, &keys, width))?;
        loop {
            for byte in self.terminal.typed()? {
                match keys.key(byte, start.elapsed()) {
                    Act::Nothing => continue,
                    Act::Draw => {}
                    Act::Help => self.terminal.show(&draw::help(&prompt, &self.holds, width))?,
                    Act::NoAnswer => {
                        self.terminal.show("\r\n  no answer: type one letter, then Enter\r\n")?;
                    }
                    Act::Answer(choice) => {
                        let answer = answer(&prompt, &keys, choice);
                        return Ok(End::Answered(answer));
                    }
                    Act::Interrupt => return Ok(End::Interrupted(answer(&prompt, &keys, NO))),
                }
                self.terminal.show(&draw::line(&prompt, &keys, width))?;
            }
            if !self.hear(waiting, Duration::ZERO) {
                self.terminal.show("\r\n  the sandbox has ended\r\n")?;
                return Ok(End::Closed);
            }
            if waiting.front().is_none_or(|first| first.question.id != prompt.question.id) {
                self.terminal.show("\r\n  no longer asked\r\n")?;
                return Ok(End::Withdrawn);
            }
            if !self.terminal.is_ours() || held.renew()? {
                // Somebody has continued the job, and may have printed over the question.
                return Ok(End::Lost);
            }
        }
    }

    fn answer(&self, answer: &Answer) -> io::Result<()> {
        let said = match self.counter.answer(answer) {
            Ok(()) => outcome(answer),
            Err(_) => "too late: it is no longer asked",
        };
        self.terminal.show(&format!("\r\x1b[K  {said}\r\n"))
    }
}

fn outcome(answer: &Answer) -> &'static str {
    match (answer.allow, answer.term) {
        (true, Term::Once) => "allowed once",
        (true, Term::Run) => "allowed for this run",
        (true, Term::Always) => "allowed from now on",
        (false, Term::Once) => "refused",
        (false, Term::Run) => "refused for this run",
        (false, Term::Always) => "refused from now on",
    }
}

fn answer(prompt: &Prompt, keys: &Keys, choice: Choice) -> Answer {
    Answer {
        id: prompt.question.id,
        allow: choice.allow,
        term: choice.term,
        directory: keys.directory,
        read_only: keys.read_only && choice.allow,
    }
}
