//! The Wilcoxon signed-rank statistic: its distribution, the test, and the estimate that belongs to
//! it (Wilcoxon 1945; Hodges and Lehmann 1963).
//!
//! W is the sum of the ranks, by size, of the positive differences. If there is no difference, each
//! rank counts or not by the toss of a coin, so that its distribution is found by counting.

use super::{count, normal};

/// Up to so many pairs the distribution is counted; beyond, it is normal with a correction for
/// continuity.
const EXACT_PAIRS_MAX: usize = 128;

/// The distribution of W where nothing differs, without ties.
#[derive(Debug, Clone)]
pub(super) struct Null {
    pairs: usize,
    /// Probability of at most so much, if counted.
    at_most: Option<Vec<f64>>,
}

/// The difference that pairs show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    /// The median of the Walsh averages.
    pub(super) median: f64,
    /// The least difference that is not rejected.
    pub(super) low: f64,
    /// The greatest.
    pub(super) high: f64,
    /// Whether there are pairs enough for the level.
    pub(super) is_confident: bool,
}

impl Null {
    pub(super) fn new(pairs: usize) -> Self {
        let at_most = (pairs <= EXACT_PAIRS_MAX).then(|| {
            let ranks: Vec<usize> = (1..=pairs).collect();
            let mut sum = 0.0;
            let add = |mass: f64| {
                sum += mass;
                sum
            };
            mass(&ranks).into_iter().map(add).collect()
        });
        Self { pairs, at_most }
    }

    /// Returns the probability that W is at most `sum`.
    fn at_most(&self, sum: usize) -> f64 {
        if let Some(at_most) = &self.at_most {
            return at_most.get(sum).map_or(1.0, |probability| *probability);
        }
        let pairs = count(self.pairs);
        let mean = pairs * (pairs + 1.0) / 4.0;
        let deviation = (mean * (2.0 * pairs + 1.0) / 6.0).sqrt();
        normal::tail((mean - count(sum) - 0.5) / deviation)
    }

    /// Returns how many of the Walsh averages lie outside the interval on each side at a two-sided
    /// level.
    fn outside(&self, level: f64) -> usize {
        let (mut low, mut high) = (0, walsh_count(self.pairs) / 2);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.at_most(middle) <= level / 2.0 {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Returns the estimate for finite differences, with ties as they are (the interval then holds the
/// truth at least as often as the level says); `None` if there are none.
pub(super) fn estimate(differences: &[f64], null: &Null, level: f64) -> Option<Estimate> {
    let mut walsh = Vec::with_capacity(walsh_count(differences.len()));
    for (index, a) in differences.iter().enumerate() {
        walsh.extend(differences[index..].iter().map(|b| f64::midpoint(*a, *b)));
    }
    walsh.sort_unstable_by(f64::total_cmp);
    let last = walsh.len().checked_sub(1)?;
    let outside = null.outside(level);
    let edge = outside.saturating_sub(1);
    Some(Estimate {
        median: f64::midpoint(walsh[last / 2], walsh[last.div_ceil(2)]),
        low: walsh[edge],
        high: walsh[last - edge],
        is_confident: outside > 0,
    })
}

/// Returns how probable a W at least as large as that of these finite differences is if they lie
/// symmetrically around `shift`: small if they are larger.
///
/// Ties share the mean of their ranks; zeros take ranks and count for neither side (Pratt 1959).
/// The distribution is that of the ranks as they are.
pub(super) fn p_above(differences: &[f64], shift: f64, null: &Null) -> f64 {
    let mut shifted: Vec<f64> = differences
        .iter()
        .map(|difference| difference - shift)
        .collect();
    shifted.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the rank of all that are not zero: a mean of ranks may end in a half.
    let mut ranks = Vec::with_capacity(shifted.len());
    let mut above = 0;
    let mut seen = 0;
    let mut is_plain = true;
    for tied in shifted.chunk_by(|a, b| a.abs().total_cmp(&b.abs()).is_eq()) {
        let rank = 2 * seen + tied.len() + 1;
        seen += tied.len();
        is_plain &= tied.len() == 1 && tied[0] != 0.0;
        for value in tied.iter().filter(|value| **value != 0.0) {
            ranks.push(rank);
            above += if *value > 0.0 { rank } else { 0 };
        }
    }
    if is_plain && null.pairs == ranks.len() {
        return match (above / 2).checked_sub(1) {
            Some(less) => 1.0 - null.at_most(less),
            None => 1.0,
        };
    }
    tail(&ranks, above)
}

/// Returns the probability that the coins of doubled ranks come to at least `above`.
fn tail(ranks: &[usize], above: usize) -> f64 {
    if ranks.len() <= EXACT_PAIRS_MAX {
        return mass(ranks)[above..].iter().sum::<f64>().min(1.0);
    }
    let mean = count(ranks.iter().sum()) / 2.0;
    let squares: f64 = ranks.iter().map(|rank| count(*rank).powi(2)).sum();
    // One doubled: half a rank of continuity.
    normal::tail((count(above) - 1.0 - mean) / (squares / 4.0).sqrt())
}

/// Returns the probability of each sum of `ranks` that a coin each takes or leaves.
fn mass(ranks: &[usize]) -> Vec<f64> {
    let mut mass = vec![0.0; ranks.iter().sum::<usize>() + 1];
    mass[0] = 1.0;
    let mut reached = 0;
    for &rank in ranks {
        reached += rank;
        for sum in (0..=reached).rev() {
            let without = mass[sum];
            let with = if sum < rank { 0.0 } else { mass[sum - rank] };
            mass[sum] = f64::midpoint(without, with);
        }
    }
    mass
}

fn walsh_count(pairs: usize) -> usize {
    pairs * (pairs + 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hollander, Wolfe and Chicken 2014, table A.4, and `qsignrank` of R.
    #[test]
    fn the_distribution_is_that_of_the_tables() {
        let below = |pairs, sum| Null::new(pairs).at_most(sum);
        assert!((below(3, 0) - 0.125).abs() < 1e-12);
        assert!((below(5, 0) - 0.031_25).abs() < 1e-12);
        assert!((below(10, 8) - 0.0244).abs() < 5e-5);
        assert!((below(20, 52) - 0.0242).abs() < 5e-5);
        assert!((below(30, 137) - 0.0249).abs() < 5e-5);
        assert_eq!(below(3, 6).to_bits(), 1.0_f64.to_bits());
        assert_eq!(Null::new(5).outside(0.05), 0, "five pairs prove nothing");
        assert_eq!(Null::new(6).outside(0.05), 1);
        assert_eq!(Null::new(20).outside(0.05), 53);
    }

    #[test]
    fn counting_and_the_normal_curve_meet() {
        let counted = Null::new(EXACT_PAIRS_MAX);
        let curve = Null {
            pairs: EXACT_PAIRS_MAX,
            at_most: None,
        };
        for sum in [2_700, 3_300, 4_128, 5_000] {
            let (counted, curve) = (counted.at_most(sum), curve.at_most(sum));
            assert!((counted - curve).abs() < 2e-4, "{sum}: {counted}, {curve}");
        }
        assert!(counted.outside(0.05).abs_diff(curve.outside(0.05)) <= 3);
        assert!(Null::new(EXACT_PAIRS_MAX + 1).at_most.is_none());
    }

    /// The example of Hollander and Wolfe (depression scale, 9 patients): 0.46, V = 40, p = 0.0195.
    #[test]
    fn the_estimate_is_that_of_the_textbook() {
        let differences = [0.952, -0.147, 1.022, 0.43, 0.62, 0.59, 0.49, -0.08, 0.01];
        let null = Null::new(9);
        let estimate = estimate(&differences, &null, 0.05).unwrap();
        assert!((estimate.median - 0.46).abs() < 1e-9);
        assert!((estimate.low - 0.01).abs() < 1e-9, "{estimate:?}");
        assert!((estimate.high - 0.786).abs() < 1e-9, "{estimate:?}");
        assert!((p_above(&differences, 0.0, &null) - 0.019_531_25).abs() < 1e-9);
    }

    #[test]
    fn ties_share_their_ranks_and_zeros_count_for_neither() {
        let null = |differences: &[f64]| Null::new(differences.len());
        // Ranks 1.5, 1.5, 3: sums 0, 1.5, 1.5, 3, 3, 4.5, 4.5, 6; W = 4.5.
        let tied = [1.0, -1.0, 2.0];
        assert!((p_above(&tied, 0.0, &null(&tied)) - 3.0 / 8.0).abs() < 1e-12);
        // The zero takes rank 1 and is tossed by nobody: 2 and 3 remain.
        let zero = [0.0, 1.0, 2.0];
        assert!((p_above(&zero, 0.0, &null(&zero)) - 1.0 / 4.0).abs() < 1e-12);
        let zeros = [0.0; 7];
        assert!((p_above(&zeros, 0.0, &null(&zeros)) - 1.0).abs() < 1e-12);
        let same = estimate(&zeros, &null(&zeros), 0.05).unwrap();
        assert_eq!((same.low, same.median, same.high), (0.0, 0.0, 0.0));
        assert_eq!(estimate(&[], &null(&[]), 0.05), None);
    }
}
