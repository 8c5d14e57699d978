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

/// Counts calls that waited already when the one before was answered.
#[derive(Debug, Default)]
pub struct Turns {
    seen: u32,
    waited: u32,
    crowded: bool,
}

impl Turns {
    /// A call is there, so long after the last was answered. Whether that has changed how the two
    /// sides are best woken: on one processor, or not.
    pub fn next(&mut self, after: Duration) -> Option<bool> {
        self.seen += 1;
        self.waited += u32::from(after < AT_ONCE);
        if self.seen < ROUND {
            return None;
        }
        let crowded = self.waited >= CROWD;
        let changed = crowded != self.crowded;
        *self = Self { crowded, ..Self::default() };
        changed.then_some(!crowded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowds() {
        let mut turns = Turns::default();
        let mut calls = |number, after| {
            (0..number).filter_map(|_| turns.next(Duration::from_nanos(after))).collect::<Vec<_>>()
        };
        assert_eq!(calls(200, 9000), Vec::<bool>::new());
        assert_eq!(calls(200, 500), [false]);
        assert_eq!(calls(200, 500), Vec::<bool>::new());
        assert_eq!(calls(200, 9000), [true]);
    }
}
