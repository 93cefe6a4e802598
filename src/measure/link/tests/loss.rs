//! What is lost comes all the same, later.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_overflowing_queue_is_recovered_from() {
    // Half the window fills the link if the queue holds as much as the link does, 125 kB; with
    // less, Reno's way back is long.
    for (queue, least) in [("20k", 0.6), ("64k", 0.7), ("150k", 0.8)] {
        let options = parsed(&format!("rtt=100ms,down=10M,up=10M,queue={queue}"));
        let transfer = transfer(&options, 20_000_000).await;
        let share = 16.0 / transfer.took.as_secs_f64();
        println!(
            "queue of {queue}: {} packets lost, {:.1} % of the rate",
            transfer.dropped,
            share * 100.0
        );
        assert!(
            transfer.dropped > 0,
            "the queue of {queue} never overflowed"
        );
        assert!(
            share >= least,
            "{share} of the rate with a queue of {queue}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_loses_the_same_packets() {
    let mut options = parsed("4g,loss=2%");
    options.seed = 7;
    let first = transfer(&options, 600_000).await;
    let second = transfer(&options, 600_000).await;
    assert_eq!(first.delivered, second.delivered);
    assert!(first.dropped > 0);
    options.seed = 8;
    let other = transfer(&options, 600_000).await;
    assert_ne!(first.delivered, other.delivered);
}

#[tokio::test(start_paused = true)]
async fn about_as_much_is_lost_as_was_said() {
    let options = parsed("rtt=20ms,down=10M,up=10M,loss=2%");
    let lost = transfer(&options, 30_000_000).await.dropped;
    // Of 20,548 packets and what was sent again: 420 on average, within five deviations.
    assert!((320..=520).contains(&lost), "{lost} packets");
}

/// The square root law of Mathis et al. (1997): a window of about sqrt(3 / (2 p)) segments. Delayed
/// acknowledgements do not slow its growth, as bytes are counted.
#[tokio::test(start_paused = true)]
async fn loss_costs_what_the_square_root_law_says() {
    for loss in [0.005_f64, 0.02] {
        let mut options = parsed("rtt=100ms,down=100M,up=100M");
        options.loss = loss;
        let took = transfer(&options, 10_000_000).await.took.as_secs_f64();
        let window = (1.5 / loss).sqrt() * 1_460.0;
        let law = 10_000_000.0 / (window / 0.1);
        println!("loss of {loss}: {took:.1} s, by the law {law:.1} s");
        assert!(
            (0.75..1.25).contains(&(took / law)),
            "{took} s, not {law} s"
        );
    }
}

/// A segment lost alone, with enough behind it, costs a round trip; the last one a timeout.
#[tokio::test(start_paused = true)]
async fn a_repair_takes_a_round_trip_or_a_timeout() {
    let clean = transfer(&parsed("rtt=100ms"), FIRST_FLIGHT_BYTES).await;
    let (mut repaired, mut timed_out) = (0, 0);
    for seed in 0..200 {
        let mut options = parsed("rtt=100ms,loss=3%");
        options.seed = seed;
        let transfer = transfer(&options, FIRST_FLIGHT_BYTES).await;
        if transfer.dropped == 1 {
            match transfer.took.abs_diff(clean.took).as_millis() {
                // Lost on the way there, found by what came behind it.
                100 => repaired += 1,
                // The last one: 100 ms smoothed, and at least 200 ms of variance.
                200..=400 => timed_out += 1,
                other => panic!("{other} ms for a segment, seed {seed}"),
            }
        }
    }
    assert!(
        repaired > 5 * timed_out,
        "{repaired} repaired, {timed_out} timed out"
    );
    assert!(timed_out > 0);
}

#[tokio::test(start_paused = true)]
async fn half_of_everything_lost_is_slow_not_stuck() {
    for seed in 0..20 {
        let mut options = parsed("rtt=30ms,down=5M,up=1M,loss=50%");
        options.seed = seed;
        transfer(&options, 30_000).await;
    }
}
