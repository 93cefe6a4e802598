//! Numbers to verdict: medians, paired differences with their intervals, and what may be said of
//! them.

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
