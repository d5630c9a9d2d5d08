//! Whether two measurements differ, said so that the noise of a machine widens an interval and is not taken for a finding. By ranks only: no
//! outlier counts for more than that it is one.

/// How one series differs from another that was measured in turn with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The median of the differences of each turn.
    pub median: f64,
    /// Where that median lies, with 99 % confidence.
    pub between: (f64, f64),
    /// How probable it is that two series of one kind differ so much in their ranks, by Mann and Whitney.
    pub by_chance: f64,
}

impl Difference {
    /// Of `one` from `other`, of which each has a value of every turn.
    pub fn of(one: &[f64], other: &[f64]) -> Difference {
        let mut differences: Vec<f64> = one.iter().zip(other).map(|(one, other)| one - other).collect();
        differences.sort_unstable_by(f64::total_cmp);
        let count = differences.len();
        // the signs of so many differences: the ranks between which the median lies, whatever their distribution
        let reach = 2.576 * (count as f64).sqrt() / 2.0;
        let rank = |at: f64| differences[(at.max(0.0) as usize).min(count - 1)];
        let half = count as f64 / 2.0;
        Difference {
            median: (differences[(count - 1) / 2] + differences[count / 2]) / 2.0,
            between: (rank((half - reach).floor()), rank((half + reach).ceil())),
            by_chance: by_chance(one, other),
        }
    }

    /// Whether it is one: the interval is on one side of zero, and the ranks are not those of chance, as often as it was looked.
    pub fn is_one(&self, looks: usize) -> bool {
        (self.between.0 > 0.0 || self.between.1 < 0.0) && self.by_chance < 0.01 / looks as f64
    }
}

/// The test of Mann and Whitney, two-sided, by the normal approximation with ties.
fn by_chance(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        one.iter().map(|value| (*value, true)).chain(other.iter().map(|value| (*value, false))).collect();
    all.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    let (mut ranks, mut ties, mut from) = (0.0, 0.0, 0);
    while from < all.len() {
        let same = all[from..].iter().take_while(|(value, _)| *value == all[from].0).count();
        let rank = from as f64 + (same as f64 + 1.0) / 2.0;
        ranks += rank * all[from..from + same].iter().filter(|(_, is_one)| *is_one).count() as f64;
        ties += (same as f64).powi(3) - same as f64;
        from += same;
    }
    let (m, n, count) = (one.len() as f64, other.len() as f64, all.len() as f64);
    let u = ranks - m * (m + 1.0) / 2.0;
    let variance = m * n / 12.0 * (count + 1.0 - ties / (count * (count - 1.0)));
    if variance == 0.0 { 1.0 } else { 2.0 * above((u - m * n / 2.0).abs() / variance.sqrt()) }
}

/// How much of the normal distribution is above: Abramowitz and Stegun, 26.2.17, to 7.5e-8.
fn above(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let factors = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = factors.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}

#[cfg(test)]
#[allow(dead_code, unused_imports)] // run by tests/it/passwords.rs: a benchmark has no harness of its own
mod tests {
    use super::*;

    /// Numbers between 0 and 1, mostly small: as times are.
    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as f64 / (1u64 << 31) as f64).powi(4)
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn two_of_one_kind_are_hardly_ever_said_to_differ() {
        let found =
            (0..500).filter(|seed| Difference::of(&noise(2 * seed + 1, 200), &noise(2 * seed + 2, 200)).is_one(1));
        // one in a hundred is what is claimed, and both tests must agree
        assert!(found.count() <= 10);
    }

    #[test]
    fn a_small_shift_is_found_in_much_noise_and_the_interval_has_it() {
        let (one, other) = (noise(1, 5000), noise(2, 5000));
        let shifted: Vec<f64> = one.iter().map(|value| value + 0.03).collect();
        let difference = Difference::of(&shifted, &other);
        assert!(difference.is_one(10) && difference.between.0 < 0.03 && difference.between.1 > 0.01, "{difference:?}");
        // the more noise and the fewer turns, the wider the interval: and then it is none
        let wide = Difference::of(&shifted[..30], &other[..30]);
        assert!(
            !wide.is_one(1) && wide.between.1 - wide.between.0 > 5.0 * (difference.between.1 - difference.between.0),
            "{wide:?}"
        );
    }

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Mann and Whitney's own example has no ties: U = 1 of 5 and 5; the exact probability is 0.016, the approximation's 0.016
        let (one, other) = ([1.0, 2.0, 3.0, 4.0, 6.0], [5.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((by_chance(&one, &other) - 0.0163).abs() < 0.001, "{}", by_chance(&one, &other));
        assert_eq!(by_chance(&[1.0; 5], &[1.0; 5]), 1.0);
        assert!((above(1.96) - 0.025).abs() < 1e-4 && (above(0.0) - 0.5).abs() < 1e-7);
    }
}
