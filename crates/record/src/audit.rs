//! Events as lines of JSON in a file, written by a thread of their own: who has an event never
//! waits for a disk.

use crate::event::Event;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Events that may wait for the disk; more are counted and left out.
const QUEUE: usize = 16 << 10;
/// How long an event may lie in the queue. Who has one does not wake the thread that writes: that
/// would cost more than the event.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the end of a run waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest line that is read.
pub const MAX_LINE: usize = 64 << 10;

/// A line that says how many events were left out before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub lost: u64,
}

/// One line of a file of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// An event.
    Event(Box<Event>),
    /// Events are missing here.
    Lost(Lost),
}

/// Writes events to a file. Dropped, it waits a moment for what is not written yet.
#[derive(Debug)]
pub struct Writer {
    queue: Option<SyncSender<Event>>,
    lost: Arc<AtomicU64>,
    /// Dropped, it ends the thread.
    stop: Option<Sender<()>>,
    done: Receiver<()>,
}

impl Writer {
    /// Appends to a file, made with mode 0600. Beyond `limit` bytes it is renamed to `PATH.1`, which
    /// is replaced, and begun anew: never more than twice the limit is kept. What is no regular file
    /// (a pipe, a terminal) is not limited.
    ///
    /// # Errors
    /// It cannot be opened, or no thread can be started.
    pub fn open(path: &Path, limit: u64) -> std::io::Result<Self> {
        let file = Output::open(path.to_owned(), limit)?;
        let (queue, events) = sync_channel(QUEUE);
        let (stop, stopped) = channel();
        let (end, done) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let missing = Arc::clone(&lost);
        std::thread::Builder::new().name("audit".into()).spawn(move || {
            write(file, &events, &stopped, &missing);
            drop(end);
        })?;
        Ok(Self { queue: Some(queue), lost, stop: Some(stop), done })
    }

    /// Writes an event some time. Never waits: where there is no room, it is counted as lost.
    pub fn event(&self, event: Event) {
        let sent = self.queue.as_ref().is_some_and(|queue| queue.try_send(event).is_ok());
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        (self.queue, self.stop) = (None, None);
        // Ends when the thread has: it sends nothing.
        let _ = self.done.recv_timeout(PATIENCE);
    }
}

fn write(mut file: Output, events: &Receiver<Event>, stopped: &Receiver<()>, lost: &AtomicU64) {
    loop {
        let ended = stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected);
        while let Ok(event) = events.try_recv() {
            let missing = lost.swap(0, Ordering::Relaxed);
            if missing > 0 {
                file.line(&Line::Lost(Lost { lost: missing }), missing, lost);
            }
            file.line(&Line::Event(Box::new(event)), 1, lost);
        }
        file.flush(lost);
        if ended {
            break;
        }
    }
    let missing = lost.swap(0, Ordering::Relaxed);
    if missing > 0 {
        file.line(&Line::Lost(Lost { lost: missing }), missing, lost);
    }
    file.flush(lost);
}

struct Output {
    file: File,
    path: PathBuf,
    limit: Option<u64>,
    size: u64,
    buffer: Vec<u8>,
    /// Events in the buffer.
    waiting: u64,
}

impl Output {
    fn open(path: PathBuf, limit: u64) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&path)?;
        let found = file.metadata()?;
        let limit = found.is_file().then_some(limit);
        let size = found.len();
        let mut output = Self { file, path, limit, size, buffer: Vec::new(), waiting: 0 };
        if limit.is_some() && size > 0 {
            output.end_line()?;
        }
        Ok(output)
    }

    /// A file that ends in the middle of a line, since a disk was full or a machine stopped.
    fn end_line(&mut self) -> std::io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let mut last = [0];
        let found = File::open(&self.path)?.read_at(&mut last, self.size - 1)?;
        if found == 1 && last != *b"\n" {
            self.file.write_all(b"\n")?;
            self.size += 1;
        }
        Ok(())
    }

    /// Adds a line that stands for this many events. What cannot be written is lost as a whole: of
    /// a line that was cut off nothing can be taken back.
    fn line(&mut self, line: &Line, events: u64, lost: &AtomicU64) {
        let before = self.buffer.len();
        self.waiting += events;
        if serde_json::to_writer(&mut self.buffer, line).is_err() {
            self.buffer.truncate(before);
            return;
        }
        self.buffer.push(b'\n');
        if self.buffer.len() >= 32 << 10 {
            self.flush(lost);
        }
    }

    fn flush(&mut self, lost: &AtomicU64) {
        if !self.buffer.is_empty() && self.write_out().is_err() {
            lost.fetch_add(self.waiting, Ordering::Relaxed);
            (self.waiting, self.buffer) = (0, Vec::new());
        }
    }

    fn write_out(&mut self) -> std::io::Result<()> {
        if let Some(limit) = self.limit
            && self.size + self.buffer.len() as u64 > limit
            && self.size > 0
        {
            self.turn()?;
        }
        self.file.write_all(&self.buffer)?;
        self.size += self.buffer.len() as u64;
        (self.waiting, self.buffer) = (0, Vec::new());
        Ok(())
    }

    fn turn(&mut self) -> std::io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        std::fs::rename(&self.path, old)?;
        let mut options = OpenOptions::new();
        self.file = options.append(true).create_new(true).mode(0o600).open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

/// Reads a file of events, bounded in lines and in their length. What is no event is left out and
/// counted.
///
/// # Errors
/// The file cannot be read.
pub fn read(from: impl Read, most: usize) -> std::io::Result<Recorded> {
    let mut from = BufReader::new(from);
    let mut recorded = Recorded::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = (&mut from).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(recorded);
        }
        if length > MAX_LINE {
            recorded.bad += 1;
            skip_line(&mut from)?;
            continue;
        }
        if recorded.events.len() >= most {
            recorded.lost += 1;
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Event(event)) => recorded.events.push(*event),
            Ok(Line::Lost(Lost { lost })) => recorded.lost = recorded.lost.saturating_add(lost),
            Err(_) => recorded.bad += 1,
        }
    }
}

fn skip_line(from: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let part = from.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        let end = part.iter().position(|&b| b == b'\n');
        let used = end.map_or(part.len(), |at| at + 1);
        from.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The events, in their order.
    pub events: Vec<Event>,
    /// Events that are missing.
    pub lost: u64,
    /// Lines that are no events.
    pub bad: u64,
}

/// Events in a line each, as [`read`] reads them.
///
/// # Errors
/// Those of the writer.
pub fn print(events: &[Event], to: impl Write) -> std::io::Result<()> {
    let mut to = BufWriter::new(to);
    for event in events {
        serde_json::to_writer(&mut to, event)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}
