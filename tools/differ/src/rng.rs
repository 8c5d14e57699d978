//! A small seeded generator, so that a vector depends on its seed and number only.

/// SplitMix64. Not for secrets.
pub struct Rng(u64);

impl Rng {
    /// The stream of vector `index` under `seed`; streams of different pairs are unrelated.
    pub fn new(seed: u64, index: u64) -> Self {
        let mut first = Self(seed ^ 0x5377_6174_6865_0001);
        let mixed = first.next() ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut second = Self(mixed);
        Self(second.next())
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; `n` must not be zero. The bias is below 2⁻⁵⁰ for the small `n` used.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True in `percent` of 100 calls.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    /// Proves that a vector can be made again from its seed and number, and that neighbours differ.
    #[test]
    fn streams_are_reproducible_and_distinct() {
        let (mut a, mut b, mut c) = (Rng::new(1, 7), Rng::new(1, 7), Rng::new(1, 8));
        let first: Vec<u64> = (0..8).map(|_| a.next()).collect();
        assert_eq!(first, (0..8).map(|_| b.next()).collect::<Vec<_>>());
        assert_ne!(first, (0..8).map(|_| c.next()).collect::<Vec<_>>());
    }
}
