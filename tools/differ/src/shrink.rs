//! Makes a failing vector small: removes one option or one oddity of the caller at a time while a
//! difference under one of the same labels remains.

use crate::vector::{Caller, Vector};

/// Most runs spent on one vector.
const MOST: usize = 150;

/// The smallest vector found for which `fails` holds; `vector` itself must fail.
pub fn shrink(vector: &Vector, mut fails: impl FnMut(&Vector) -> bool) -> Vector {
    let mut best = vector.clone();
    let mut runs = 0;
    let mut attempt = |best: &mut Vector, candidate: Vector| -> bool {
        if runs >= MOST {
            return false;
        }
        runs += 1;
        let better = fails(&candidate);
        if better {
            *best = candidate;
        }
        better
    };
    loop {
        let before = best.items.len();
        // Halves first, then single options from the last one on.
        for chunk in [best.items.len() / 2, best.items.len() / 4, 1] {
            let mut end = best.items.len();
            while chunk > 0 && end >= chunk {
                let mut candidate = best.clone();
                candidate.items.drain(end - chunk..end);
                attempt(&mut best, candidate);
                end -= chunk;
            }
        }
        if best.items.len() == before {
            break;
        }
    }
    for change in caller_changes() {
        let mut candidate = best.clone();
        change(&mut candidate.caller);
        attempt(&mut best, candidate);
    }
    let mut candidate = best.clone();
    candidate.items.iter_mut().for_each(|i| i.group = 0);
    attempt(&mut best, candidate);
    let mut candidate = best.clone();
    candidate.dashes = false;
    attempt(&mut best, candidate);
    best
}

/// Ways to make the caller ordinary again.
fn caller_changes() -> [fn(&mut Caller); 9] {
    [
        |c| c.cwd = Caller::default().cwd,
        |c| c.env = Caller::default().env,
        |c| c.umask = Caller::default().umask,
        |c| c.limits.clear(),
        |c| c.ignored.clear(),
        |c| c.blocked.clear(),
        |c| c.session = Caller::default().session,
        |c| (c.stdin, c.stdout) = (Caller::default().stdin, Caller::default().stdout),
        |c| c.extra.clear(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Item;

    /// Proves that only the options which matter are left.
    #[test]
    fn keeps_what_the_difference_needs() {
        let names = ["--a", "--b", "--c", "--d", "--e", "--f"];
        let items = names.iter().map(|n| Item::new(&[n])).collect();
        let vector = Vector { items, ..Vector::default() };
        let has = |v: &Vector, name: &str| v.items.iter().any(|i| i.name() == name);
        let small = shrink(&vector, |v| has(v, "--b") && has(v, "--e"));
        let left: Vec<String> = small.items.iter().map(Item::name).collect();
        assert_eq!(left, ["--b", "--e"]);
    }
}
