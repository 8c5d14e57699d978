//! Whether calls come one after the other, or from several processes at once.
//!
//! Where each side waits for the other, waking it on the same processor saves most of what a call
//! costs. Where several processes call, it would have them all run on one processor while another
//! has nothing to do.

use std::time::Duration;

/// Of so many calls it is counted how many waited already.
const ROUND: u32 = 64;
/// So many of them are a crowd.
const CROWD: u32 = 6;
/// A call that is there sooner after the last was answered has waited: to sleep and to be woken takes
/// longer.
const AT_ONCE: Duration = Duration::from_micros(2);

/// Counts calls that waited already when the one before, of another thread, was answered. The same
/// thread can have called again while what it had done was written down.
#[derive(Debug, Default)]
pub struct Turns {
    last: u32,
    seen: u32,
    waited: u32,
    crowded: bool,
}

impl Turns {
    /// A call of this thread is there, so long after the last was answered. Whether that has changed
    /// how the two sides are best woken: on one processor, or not.
    pub fn next(&mut self, after: Duration, thread: u32) -> Option<bool> {
        self.seen += 1;
        self.waited += u32::from(after < AT_ONCE && thread != self.last);
        self.last = thread;
        if self.seen < ROUND {
            return None;
        }
        let crowded = self.waited >= CROWD;
        let changed = crowded != self.crowded;
        *self = Self { crowded, last: thread, ..Self::default() };
        changed.then_some(!crowded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowds() {
        let mut turns = Turns::default();
        let mut calls = |number: u32, after, threads: u32| {
            let call = |n| turns.next(Duration::from_nanos(after), n % threads);
            (0..number).filter_map(call).collect::<Vec<_>>()
        };
        assert_eq!(calls(200, 9000, 2), Vec::<bool>::new());
        assert_eq!(calls(200, 500, 1), Vec::<bool>::new());
        assert_eq!(calls(200, 500, 2), [false]);
        assert_eq!(calls(200, 500, 2), Vec::<bool>::new());
        assert_eq!(calls(200, 9000, 2), [true]);
    }
}
