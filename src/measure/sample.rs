//! Numbers to verdict: medians, paired differences with their intervals, and what may be said of
//! them.
//!
//! Pure; knows of milliseconds, and of nothing that yields them. A load that failed may come as a
//! number that is not finite: it is left out here, so that no report ever has to print one.
//!
//! Read on in [`Sampling`] (when to stop), [`Looks`] (what looking more than once costs) and
//! `signed_rank` (the one test and the one estimate that all of it rests on).

mod looks;
mod normal;
mod sampling;
mod signed_rank;

use std::time::Duration;

pub use looks::{LOOKS, Looks};
pub use sampling::{Sampling, Side};
use signed_rank::Null;

/// The confidence of every interval, unless said otherwise.
pub const CONFIDENCE: f64 = 0.95;

/// Numbers of one delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Summary {
    /// How many.
    pub count: usize,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
}

/// How two deliveries differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Pairs that were compared.
    pub pairs: usize,
    /// The Hodges-Lehmann estimate of the paired difference, in the unit of the numbers.
    pub difference: f64,
    /// The interval around it that holds the truth in 95 % of cases, corrected for looks.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Half of the band within which a difference is none, in the unit of the numbers: see
    /// [`Band`].
    pub band: f64,
    /// How probable so clear a difference would be if there were none beyond the band (two-sided,
    /// corrected for looks): what [`holm`] judges.
    pub p: f64,
    /// What may be said.
    pub verdict: Verdict,
}

/// What may be said of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Faster by more than the band.
    Faster,
    /// Slower by more than the band.
    Slower,
    /// The interval lies within the band.
    NoDifference,
    /// The interval is too wide to tell.
    TooNoisy,
}

/// The differences that are called none: from minus to plus the larger of
///
/// - [`Band::FRACTION`] of the median of `none`: what Bergan, Pelchat and Buettner ("Rules of Thumb
///   for HTTP/2 Push", 2016) call noise;
/// - [`Band::ROUND_TRIPS`] of the link: whatever is sent ahead saves by the round trip.
///
/// The larger, because a claim should withstand both doubts. A first render takes three round trips
/// or more, so that the second never hides a difference beyond 8.4 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band(f64);

impl Summary {
    /// Returns the summary of numbers in any order; those that are not finite are not counted.
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted: Vec<f64> = numbers.iter().copied().filter(|n| n.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self {
            count: sorted.len(),
            p50: percentile(&sorted, 50.0),
            p90: percentile(&sorted, 90.0),
        }
    }
}

/// Returns a percentile of sorted numbers, interpolated between the two nearest (type 7 of Hyndman
/// and Fan 1996); 0 if there are none.
///
/// - `percent`: from 0 (the least) to 100 (the greatest).
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = count(last) * percent.clamp(0.0, 100.0) / 100.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place lies between 0 and the last index"
    )]
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

impl Band {
    /// Fraction of the median of `none`.
    pub const FRACTION: f64 = 0.03;
    /// Round trips of the link.
    pub const ROUND_TRIPS: f64 = 0.25;

    /// Returns the band around `none`.
    ///
    /// - `none`: its median, in milliseconds.
    pub fn new(none: f64, round_trip: Duration) -> Self {
        let fraction = if none.is_finite() {
            Self::FRACTION * none.abs()
        } else {
            0.0
        };
        Self(fraction.max(Self::ROUND_TRIPS * round_trip.as_secs_f64() * 1e3))
    }

    /// Returns how far it reaches to each side, in milliseconds.
    pub fn width(self) -> f64 {
        self.0
    }

    fn verdict(self, low: f64, high: f64) -> Verdict {
        match self.0 {
            band if low > band => Verdict::Faster,
            band if high < -band => Verdict::Slower,
            band if low >= -band && high <= band => Verdict::NoDifference,
            _ => Verdict::TooNoisy,
        }
    }
}

impl Comparison {
    /// Compares two loads that would repeat exactly: the interval has no width.
    ///
    /// - `none`, `other`: in milliseconds; the difference is positive if `other` is faster.
    pub fn exact(none: f64, other: f64, band: Band) -> Self {
        let difference = none - other;
        if !difference.is_finite() {
            return Self::unknown(band);
        }
        let verdict = band.verdict(difference, difference);
        let is_claim = matches!(verdict, Verdict::Faster | Verdict::Slower);
        Self {
            pairs: 1,
            difference,
            low: difference,
            high: difference,
            band: band.width(),
            p: if is_claim { 0.0 } else { 1.0 },
            verdict,
        }
    }

    /// Compares pairs of loads that ran side by side, each `none` first.
    ///
    /// The difference is the median of the Walsh averages (Hodges and Lehmann 1963), the interval
    /// the differences that the Wilcoxon signed-rank test would not reject at [`Looks::level`]. The
    /// averages are held: half the square of the number of pairs. With too few pairs for any
    /// interval at that level, it is the widest there is, and the verdict is
    /// [`Verdict::TooNoisy`]. Pairs with a number that is not finite are left out.
    pub fn paired(pairs: &[(f64, f64)], band: Band, looks: &Looks) -> Self {
        let differences: Vec<f64> = pairs
            .iter()
            .map(|(none, other)| none - other)
            .filter(|difference| difference.is_finite())
            .collect();
        let other_null;
        let null = if let Some(null) = looks.null(differences.len()) {
            null
        } else {
            other_null = Null::new(differences.len());
            &other_null
        };
        let Some(estimate) = signed_rank::estimate(&differences, null, looks.level()) else {
            return Self::unknown(band);
        };
        let above = signed_rank::p_above(&differences, band.width(), null);
        let mirrored: Vec<f64> = differences.iter().map(|difference| -difference).collect();
        let below = signed_rank::p_above(&mirrored, band.width(), null);
        let verdict = if estimate.is_confident {
            band.verdict(estimate.low, estimate.high)
        } else {
            Verdict::TooNoisy
        };
        Self {
            pairs: differences.len(),
            difference: estimate.median,
            low: estimate.low,
            high: estimate.high,
            band: band.width(),
            p: looks.corrected((2.0 * above.min(below)).min(1.0)),
            verdict,
        }
    }

    /// What may be said of nothing.
    fn unknown(band: Band) -> Self {
        Self {
            pairs: 0,
            difference: 0.0,
            low: 0.0,
            high: 0.0,
            band: band.width(),
            p: 1.0,
            verdict: Verdict::TooNoisy,
        }
    }
}

/// Takes back the claims among several comparisons that chance alone might make (Holm 1979): the
/// probability of a single false [`Verdict::Faster`] or [`Verdict::Slower`] stays below one minus
/// the confidence, however many plans were tried. The intervals stay those of each comparison
/// alone.
pub fn holm<'a>(comparisons: impl IntoIterator<Item = &'a mut Comparison>, confidence: f64) {
    let mut comparisons: Vec<_> = comparisons.into_iter().collect();
    comparisons.sort_by(|a, b| a.p.total_cmp(&b.p));
    let hypotheses = comparisons.len();
    let mut is_rejected = true;
    for (index, comparison) in comparisons.into_iter().enumerate() {
        is_rejected &= comparison.p * count(hypotheses - index) <= 1.0 - confidence;
        if !is_rejected && matches!(comparison.verdict, Verdict::Faster | Verdict::Slower) {
            comparison.verdict = Verdict::TooNoisy;
        }
    }
}

/// Returns a count as a number that can be reckoned with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of samples stay far below 2^52"
)]
fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
