//! Looking at the numbers more than once, and what that costs.
//!
//! Whoever stops as soon as a difference seems clear is fooled more often than one in twenty times.
//! With the constant boundary of Pocock (Biometrika 64, 1977) every look uses the same, stricter
//! level, chosen such that any of them errs in one of twenty cases. Against O'Brien and Fleming's,
//! which all but forbids to stop early, it costs a little width at the last look; loads over a real
//! network are the dear thing here. The intervals are repeated confidence intervals (Jennison and
//! Turnbull, J. R. Statist. Soc. B 51, 1989): they hold at all looks together, so that it does not
//! matter why the sampling stopped.

use super::signed_rank::Null;
use super::{CONFIDENCE, count, normal};

/// Numbers of pairs at which [`Looks::default`] looks.
pub const LOOKS: [usize; 3] = [31, 61, 101];

/// Points of the grid on which densities are integrated (Simpson's rule): odd.
const GRID_POINTS: u32 = 97;
/// Beyond so many standard deviations, looks are added up instead of integrated.
const SCORE_MAX: f64 = 8.0;

/// When to look at the numbers, and the level of each look.
#[derive(Debug, Clone)]
pub struct Looks {
    sizes: Vec<usize>,
    confidence: f64,
    level: f64,
    nulls: Vec<Null>,
}

impl Default for Looks {
    fn default() -> Self {
        Self::new(&LOOKS, CONFIDENCE)
    }
}

impl Looks {
    /// Plans looks after so many pairs each, all of which together hold the truth with a
    /// confidence.
    ///
    /// - `sizes`: rising; for a single look, no correction is made.
    /// - `confidence`: 0.95, say; kept between 0.5 and 0.9999.
    pub fn new(sizes: &[usize], confidence: f64) -> Self {
        let confidence = confidence.clamp(0.5, 0.9999);
        let (mut low, mut high) = (0.0, SCORE_MAX);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if crossing(sizes, middle) > 1.0 - confidence {
                low = middle;
            } else {
                high = middle;
            }
        }
        Self {
            sizes: sizes.to_vec(),
            confidence,
            level: 2.0 * normal::tail(high),
            nulls: sizes.iter().map(|&size| Null::new(size)).collect(),
        }
    }

    /// Returns the numbers of pairs at which to look.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Returns the confidence of all looks together.
    pub fn confidence(&self) -> f64 {
        self.confidence
    }

    /// Returns the two-sided level of each look alone.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Returns the probability that any look shows a difference as improbable as `p` (two-sided)
    /// when there is none.
    pub(super) fn corrected(&self, p: f64) -> f64 {
        crossing(&self.sizes, normal::beyond(p / 2.0)).clamp(p, 1.0)
    }

    /// Returns the distribution of the signed ranks of so many pairs, if a look is taken there.
    pub(super) fn null(&self, pairs: usize) -> Option<&Null> {
        let look = self.sizes.iter().position(|&size| size == pairs)?;
        self.nulls.get(look)
    }
}

/// Returns the probability that the sum of standard normal numbers lies beyond `score` of its
/// standard deviations at any look: the recursion of Armitage and others (J. R. Statist. Soc. A
/// 132, 1969).
fn crossing(sizes: &[usize], score: f64) -> f64 {
    if score > SCORE_MAX || sizes.len() < 2 {
        return (count(sizes.len().max(1)) * 2.0 * normal::tail(score)).min(1.0);
    }
    // Sums that were inside the boundary at every look so far, with their probability.
    let mut inside = vec![(0.0, 1.0)];
    let mut seen = 0;
    for &size in sizes {
        let deviation = count(size.saturating_sub(seen).max(1)).sqrt();
        inside = simpson(score * count(size).sqrt())
            .map(|(sum, weight)| {
                let density: f64 = inside
                    .iter()
                    .map(|(from, mass)| mass * normal::density((sum - from) / deviation))
                    .sum();
                (sum, weight * density / deviation)
            })
            .collect();
        seen = size;
    }
    1.0 - inside.iter().map(|(_, mass)| mass).sum::<f64>()
}

/// Returns points from `-edge` to `edge` and their weights.
fn simpson(edge: f64) -> impl Iterator<Item = (f64, f64)> {
    let step = 2.0 * edge / f64::from(GRID_POINTS - 1);
    (0..GRID_POINTS).map(move |point| {
        let weight = match point {
            0 => 1.0,
            last if last == GRID_POINTS - 1 => 1.0,
            odd if odd % 2 == 1 => 4.0,
            _ => 2.0,
        };
        (f64::from(point) * step - edge, weight * step / 3.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pocock 1977, table 1; also Jennison and Turnbull 2000, table 2.1.
    #[test]
    fn the_constants_are_those_of_pocock() {
        for (looks, confidence, expected) in [
            (1, 0.95, 1.960),
            (2, 0.95, 2.178),
            (3, 0.95, 2.289),
            (5, 0.95, 2.413),
            (3, 0.99, 2.873),
        ] {
            let sizes: Vec<_> = (1..=looks).map(|look| look * 40).collect();
            let score = normal::beyond(Looks::new(&sizes, confidence).level() / 2.0);
            assert!((score - expected).abs() < 6e-4, "{looks} looks: {score}");
        }
    }

    #[test]
    fn a_look_is_corrected_to_the_confidence_it_was_planned_for() {
        let looks = Looks::default();
        assert!(looks.level() > 0.02 && looks.level() < 0.025);
        assert!((looks.corrected(looks.level()) - 0.05).abs() < 1e-6);
        for p in [1.0, 0.5, 1e-3, 1e-9, 1e-40, 0.0] {
            let corrected = looks.corrected(p);
            assert!(
                corrected >= p && corrected <= (3.0 * p).min(1.0) + 1e-12,
                "{p}: {corrected}"
            );
        }
    }
}
