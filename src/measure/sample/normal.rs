//! The standard normal distribution.

use std::f64::consts::TAU;

/// Where the fraction takes over from the series.
const SERIES_MAX: f64 = 3.0;
/// Terms of the fraction; from [`SERIES_MAX`] on, all that the number holds.
const FRACTION_TERMS: u32 = 80;

/// Returns the density at `z`.
pub(super) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / TAU.sqrt()
}

/// Returns the probability beyond `z` (Abramowitz and Stegun 1964, 26.2.11 and 26.2.14).
pub(super) fn tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - tail(-z);
    }
    if z < SERIES_MAX {
        let mut term = z;
        let mut sum = z;
        let mut odd = 3.0;
        while term > sum * f64::EPSILON {
            term *= z * z / odd;
            sum += term;
            odd += 2.0;
        }
        return 0.5 - density(z) * sum;
    }
    let fraction = (1..=FRACTION_TERMS)
        .rev()
        .fold(z, |below, term| z + f64::from(term) / below);
    density(z) / fraction
}

/// Returns the `z` beyond which the probability is `tail`, to the last digits; at least 0.
pub(super) fn beyond(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if tail(middle) > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_tables() {
        // Abramowitz and Stegun, table 26.1 and 26.2.
        for (z, expected) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931),
            (1.959_963_984_540, 0.025),
            (2.999_999, 0.001_349_902_464),
            (3.000_001, 0.001_349_893_600),
            (5.0, 2.866_515_719e-7),
        ] {
            let error = (tail(z) / expected - 1.0).abs();
            assert!(error < 1e-8, "{z}: {} is not {expected}", tail(z));
        }
        assert!((tail(-1.0) - 0.841_344_746_069).abs() < 1e-12);
        assert!((beyond(0.025) - 1.959_963_984_540).abs() < 1e-10);
    }
}
