//! A small seeded generator: a run with the same seed makes the same choices.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts at `seed`; any value will do.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.bits() % bound).unwrap_or(0)
    }
}

/// `count` elements of `list`, chosen by `seed`, in their order.
pub fn sample<T>(list: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    let mut rng = Rng::new(seed);
    let mut left = list.len();
    let mut wanted = count.min(left);
    list.into_iter()
        .filter(|_| {
            let take = rng.below(left) < wanted;
            left -= 1;
            wanted -= usize::from(take);
            take
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::sample;

    /// A sample has the wanted size, keeps the order, and depends on the seed alone.
    #[test]
    fn samples_are_exact_and_repeatable() {
        let all: Vec<u32> = (0..1000).collect();
        let first = sample(all.clone(), 50, 7);
        assert_eq!(first.len(), 50);
        assert!(first.is_sorted());
        assert_eq!(first, sample(all.clone(), 50, 7));
        assert_ne!(first, sample(all.clone(), 50, 8));
        assert_eq!(sample(all.clone(), 5000, 7), all);
    }
}
