//! Which load is next, and when enough is known.

use std::sync::Arc;
use std::time::Duration;

use super::{Band, Comparison, Looks, Summary, Verdict, count};

/// An interval that reaches so far to each side, as a fraction of the median of `none`, needs no
/// more pairs.
const HALF_WIDTH: f64 = 0.01;

/// One of the two loads of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nothing is sent ahead.
    None,
    /// What is compared with it.
    Other,
}

/// Pairs of loads until the difference is known.
///
/// ```text
///            push (ABBA)          push, to the number of a look
///   sampling ----------> sampling ----------------------------> clear, or the last look: done
///      ^                                                                |
///      +------------------------ neither clear nor the last ------------+
/// ```
#[derive(Debug, Clone)]
pub struct Sampling {
    looks: Arc<Looks>,
    round_trip: Duration,
    /// Comparisons among which this one is judged.
    plans: usize,
    pairs: Vec<(f64, f64)>,
    failed: usize,
    is_clear: bool,
}

impl Sampling {
    /// Starts without any pair.
    ///
    /// - `round_trip`: of the link, for the [`Band`].
    /// - `plans`: how many comparisons [`holm`](super::holm) will judge together: none of them
    ///   stops on a claim that would be taken back.
    pub fn new(looks: Arc<Looks>, round_trip: Duration, plans: usize) -> Self {
        Self {
            looks,
            round_trip,
            plans: plans.max(1),
            pairs: Vec::new(),
            failed: 0,
            is_clear: false,
        }
    }

    /// Returns the order of the next pair: ABBA, so that what drifts slowly, such as a network that
    /// gets busier, harms both alike.
    pub fn next_pair(&self) -> [Side; 2] {
        if (self.pairs.len() + self.failed).is_multiple_of(2) {
            [Side::None, Side::Other]
        } else {
            [Side::Other, Side::None]
        }
    }

    /// Takes a pair of loads, in milliseconds. A load that failed is a number that is not finite.
    pub fn push(&mut self, none: f64, other: f64) {
        if !(none - other).is_finite() {
            self.failed += 1;
            return;
        }
        self.pairs.push((none, other));
        if self.looks.sizes().contains(&self.pairs.len()) {
            self.is_clear |= self.says_enough(&self.comparison());
        }
    }

    /// Returns whether no more pairs are needed, or the last look is reached. Failed pairs count as
    /// tries, so that it ends.
    pub fn is_done(&self) -> bool {
        self.is_clear || self.pairs.len() + self.failed >= self.pairs_max()
    }

    /// Returns the comparison of the pairs there are. Between looks it is that of an interrupted
    /// sampling.
    pub fn comparison(&self) -> Comparison {
        let band = Band::new(self.none().p50, self.round_trip);
        Comparison::paired(&self.pairs, band, &self.looks)
    }

    /// Returns the pairs: `none` first.
    pub fn pairs(&self) -> &[(f64, f64)] {
        &self.pairs
    }

    /// Returns how many pairs failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Returns how many pairs there will be at most.
    pub fn pairs_max(&self) -> usize {
        self.looks.sizes().last().copied().unwrap_or_default()
    }

    /// Returns the loads of `none`.
    pub fn none(&self) -> Summary {
        Summary::of(&self.pairs.iter().map(|pair| pair.0).collect::<Vec<_>>())
    }

    /// Returns the loads of what is compared with it.
    pub fn other(&self) -> Summary {
        Summary::of(&self.pairs.iter().map(|pair| pair.1).collect::<Vec<_>>())
    }

    fn says_enough(&self, comparison: &Comparison) -> bool {
        let error = 1.0 - self.looks.confidence();
        let is_told = match comparison.verdict {
            Verdict::Faster | Verdict::Slower => comparison.p * count(self.plans) <= error,
            Verdict::NoDifference => true,
            Verdict::TooNoisy => false,
        };
        let half_width = (comparison.high - comparison.low) / 2.0;
        is_told || half_width < HALF_WIDTH * self.none().p50
    }
}
