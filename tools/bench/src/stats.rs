//! Order statistics over small samples.

/// A sample's median and 99th percentile, in the sample's own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dist {
    /// Median; the mean of the two middle values when the count is even.
    pub median: f64,
    /// Nearest-rank 99th percentile.
    pub p99: f64,
}

/// Describes a sample; `None` when it is empty.
pub fn dist(values: &[f64]) -> Option<Dist> {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    let (lo, hi) = (v.get(v.len().checked_sub(1)? / 2)?, v.get(v.len() / 2)?);
    let rank = ((v.len() as f64 * 0.99).ceil() as usize).clamp(1, v.len());
    Some(Dist { median: (lo + hi) / 2.0, p99: *v.get(rank - 1)? })
}

/// The median of the ratios `a[i] / b[i]`: both were measured in the same round, so what slowed
/// the machine down in that round slowed both. `None` unless the samples pair up.
pub fn paired(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let ratios: Vec<f64> = a.iter().zip(b).filter(|(_, b)| **b > 0.0).map(|(a, b)| a / b).collect();
    dist(&ratios).map(|d| d.median)
}

/// The median of the differences `a[i] - b[i]`, paired as in [`paired`].
pub fn paired_difference(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    dist(&differences).map(|d| d.median)
}

/// How much steeper a cost grows in its upper part than in its lower part, from three points
/// (size, cost) in order of size: 1 is linear; a quadratic cost over 0, 300, 1000 gives 4.3.
///
/// A lower part flatter than `least` per unit counts as `least`: growth that small is noise, and
/// dividing by noise proves nothing.
pub fn bend(points: [(f64, f64); 3], least: f64) -> f64 {
    let slope = |a: (f64, f64), b: (f64, f64)| (b.1 - a.1) / (b.0 - a.0);
    slope(points[1], points[2]) / slope(points[0], points[1]).max(least)
}

/// A small generator for shuffling (xorshift64*); not for secrets.
pub struct Rng(u64);

impl Rng {
    /// Starts from `seed`; any value works.
    pub fn new(seed: u64) -> Self {
        Rng(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, (self.next() >> 33) as usize % (i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The median of odd and even counts and the nearest-rank percentile are the textbook's.
    #[test]
    fn describes_samples() {
        assert_eq!(dist(&[]), None);
        assert_eq!(dist(&[3.0, 1.0, 2.0]), Some(Dist { median: 2.0, p99: 3.0 }));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(dist(&hundred), Some(Dist { median: 50.5, p99: 99.0 }));
    }

    /// A ratio is taken per round, so a slow round that hits both programs does not move it.
    #[test]
    fn pairs_rounds() {
        assert_eq!(paired(&[1.0, 100.0, 2.0], &[2.0, 200.0, 4.0]), Some(0.5));
        assert_eq!(paired(&[1.0], &[1.0, 2.0]), None);
    }

    /// Linear growth bends by 1, quadratic growth by more than the limit used for the gate.
    #[test]
    fn tells_linear_from_quadratic() {
        let at = |f: fn(f64) -> f64| [0.0, 300.0, 1000.0].map(|n| (n, f(n)));
        assert!((bend(at(|n| 7.0 + 3.0 * n), 0.01) - 1.0).abs() < 1e-9);
        assert!(bend(at(|n| n * n), 0.01) > 4.0);
        assert!(bend([(0.0, 5.0), (300.0, 4.0), (1000.0, 6.0)], 0.1) < 1.0);
    }

    /// Shuffling keeps every element and does not always give the same order.
    #[test]
    fn shuffles() {
        let mut rng = Rng::new(7);
        let mut orders = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let mut v = [1, 2, 3];
            rng.shuffle(&mut v);
            assert_eq!(v.iter().sum::<i32>(), 6);
            orders.insert(v);
        }
        assert_eq!(orders.len(), 6);
    }
}
