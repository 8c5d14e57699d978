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

/// `count` elements of `list`, chosen by `seed` and by each element's `key`, in their order.
///
/// The choice of one element does not depend on which others there are, but for the last ones: two
/// launches may differ by a call, and the sample must not change altogether for that.
pub fn sample<T>(list: Vec<T>, count: usize, seed: u64, key: impl Fn(&T) -> String) -> Vec<T> {
    let rank = |item: &T| {
        let mix = |state, byte: u8| Rng::new(state ^ u64::from(byte)).bits();
        key(item).bytes().fold(Rng::new(seed).bits(), mix)
    };
    let mut ranked: Vec<(u64, usize, T)> =
        list.into_iter().enumerate().map(|(place, item)| (rank(&item), place, item)).collect();
    ranked.sort_by_key(|(rank, place, _)| (*rank, *place));
    ranked.truncate(count);
    ranked.sort_by_key(|(_, place, _)| *place);
    ranked.into_iter().map(|(_, _, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::sample;

    /// A sample has the wanted size, keeps the order, and depends on the seed alone.
    #[test]
    fn samples_are_exact_and_repeatable() {
        let all: Vec<u32> = (0..1000).collect();
        let pick = |list: &[u32], count, seed| sample(list.to_vec(), count, seed, u32::to_string);
        let first = pick(&all, 50, 7);
        assert_eq!(first.len(), 50);
        assert!(first.is_sorted());
        assert_eq!(first, pick(&all, 50, 7));
        assert_ne!(first, pick(&all, 50, 8));
        assert_eq!(pick(&all, 5000, 7), all);
    }

    /// One element more or less changes the sample by one element at most.
    #[test]
    fn samples_are_stable() {
        let all: Vec<u32> = (0..1000).collect();
        let first = sample(all.clone(), 50, 7, u32::to_string);
        let second = sample(all[1..].to_vec(), 50, 7, u32::to_string);
        assert!(second.iter().filter(|n| !first.contains(n)).count() <= 1);
    }
}
