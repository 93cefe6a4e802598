//! What is published when: the same for every way, link and run.

use std::time::Duration;

/// Events that are published.
pub(super) const EVENTS: usize = 100;
/// Bytes of the data of each.
pub(super) const DATA_BYTES: usize = 100;
/// How long events are published for.
pub(super) const BUSY: Duration = Duration::from_mins(5);
/// How long nothing is, after that: enough for what happens once a minute to show its mean.
pub(super) const IDLE: Duration = Duration::from_hours(1);

/// Returns when events are published, since the first could be: as if each had drawn its instant,
/// so that some come close behind others. Whole milliseconds, as the clock has no others.
pub(super) fn instants() -> Vec<Duration> {
    let mut state = 6_u64;
    let span = u64::try_from(BUSY.as_millis()).unwrap_or(u64::MAX);
    let mut instants: Vec<_> = (0..EVENTS)
        .map(|_| Duration::from_millis(split_mix(&mut state) % span))
        .collect();
    instants.sort_unstable();
    instants
}

/// Returns what an event says: its number.
pub(super) fn data(number: usize) -> String {
    format!("{number:0DATA_BYTES$}")
}

/// Returns the number of the event that says so.
pub(super) fn number(data: &str) -> Option<usize> {
    data.parse().ok().filter(|_| data.len() == DATA_BYTES)
}

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_spread_over_the_time_in_order_and_some_are_close() {
        let instants = instants();
        assert_eq!(instants.len(), EVENTS);
        assert!(instants.is_sorted() && instants[EVENTS - 1] < BUSY);
        let gaps = instants.windows(2).map(|two| two[1].abs_diff(two[0]));
        assert!(gaps.clone().min().unwrap() < Duration::from_millis(100));
        assert!(gaps.max().unwrap() > Duration::from_secs(8));
        for half in [&instants[..EVENTS / 2], &instants[EVENTS / 2..]] {
            assert!(half.len() == EVENTS / 2);
        }
        let middle = instants[EVENTS / 2];
        assert!(middle > BUSY.mul_f64(0.4) && middle < BUSY.mul_f64(0.6));
    }

    #[test]
    fn an_event_says_which_it_is() {
        assert_eq!(data(42).len(), DATA_BYTES);
        assert_eq!(number(&data(42)), Some(42));
        assert_eq!(number("42"), None);
    }
}
