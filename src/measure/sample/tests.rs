//! What may be said of numbers, and how often it is wrong.

use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock};

use super::*;

static DEFAULT_LOOKS: LazyLock<Arc<Looks>> = LazyLock::new(|| Arc::new(Looks::default()));

/// What the numbers of a test are drawn from.
type Shape = fn(&mut Random) -> f64;

/// Numbers that repeat (splitmix64).
struct Random(u64);

impl Random {
    /// Strictly between 0 and 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from((z ^ (z >> 31)) >> 32).unwrap();
        (f64::from(high) + 0.5) / f64::from(u32::MAX)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    /// A page load: mostly near 1,000 ms, sometimes a lost packet later.
    fn lossy(&mut self) -> f64 {
        let late = if self.uniform() < 0.2 { 300.0 } else { 0.0 };
        1_000.0 + 40.0 * self.normal() + late - 200.0 * self.uniform().ln()
    }
}

fn comparison(low: f64, high: f64, p: f64, verdict: Verdict) -> Comparison {
    Comparison {
        pairs: 31,
        difference: f64::midpoint(low, high),
        low,
        high,
        band: 30.0,
        p,
        verdict,
    }
}

#[test]
fn a_summary_leaves_out_what_failed() {
    let summary = Summary::of(&[40.0, f64::NAN, 10.0, 30.0, f64::INFINITY, 20.0]);
    assert_eq!((summary.count, summary.p50), (4, 25.0));
    assert!((summary.p90 - 37.0).abs() < 1e-9);
    assert_eq!(Summary::of(&[f64::NAN]), Summary::default());
    assert_eq!(percentile(&[5.0], 99.0).to_bits(), 5.0_f64.to_bits());
}

#[test]
fn a_verdict_needs_the_whole_interval_beyond_the_band() {
    let band = Band::new(1_000.0, Duration::from_millis(100));
    assert!((band.width() - 30.0).abs() < 1e-9);
    assert_eq!(band.verdict(31.0, 90.0), Verdict::Faster);
    assert_eq!(band.verdict(20.0, 90.0), Verdict::TooNoisy);
    assert_eq!(band.verdict(-30.0, 30.0), Verdict::NoDifference);
    assert_eq!(band.verdict(-90.0, -31.0), Verdict::Slower);
    let long = Band::new(1_000.0, Duration::from_millis(600));
    assert!((long.width() - 150.0).abs() < 1e-9);
}

#[test]
fn one_load_is_enough_where_loads_repeat() {
    let band = Band::new(1_412.0, Duration::from_millis(150));
    let push = Comparison::exact(1_412.0, 962.0, band);
    assert_eq!((push.pairs, push.low, push.high), (1, 450.0, 450.0));
    assert_eq!((push.verdict, push.p), (Verdict::Faster, 0.0));
    let same = Comparison::exact(1_412.0, 1_420.0, band);
    assert_eq!((same.verdict, same.p), (Verdict::NoDifference, 1.0));
}

#[test]
fn nothing_that_is_not_a_number_comes_out() {
    let band = Band::new(f64::NAN, Duration::ZERO);
    let awkward: [&[(f64, f64)]; 6] = [
        &[],
        &[(f64::NAN, 1.0)],
        &[(1.0, f64::INFINITY), (2.0, 1.0)],
        &[(f64::MAX, f64::MIN), (3.0, 1.0)],
        &[(0.0, 0.0); 31],
        &[(1e300, -1e300); 7],
    ];
    let mut found: Vec<_> = awkward
        .iter()
        .map(|pairs| Comparison::paired(pairs, band, &DEFAULT_LOOKS))
        .collect();
    found.push(Comparison::exact(f64::NAN, 1.0, band));
    holm(&mut found, CONFIDENCE);
    for comparison in found {
        let Comparison {
            difference,
            low,
            high,
            band,
            p,
            ..
        } = comparison;
        for number in [difference, low, high, band, p] {
            assert!(number.is_finite(), "{comparison:?}");
        }
        assert!((0.0..=1.0).contains(&p), "{comparison:?}");
    }
}

#[test]
fn too_few_pairs_prove_nothing() {
    let band = Band::new(0.0, Duration::ZERO);
    let few = Comparison::paired(&[(1_000.0, 500.0); 5], band, &DEFAULT_LOOKS);
    assert_eq!((few.verdict, few.difference), (Verdict::TooNoisy, 500.0));
    let enough = Comparison::paired(&[(1_000.0, 500.0); 7], band, &DEFAULT_LOOKS);
    assert_eq!(enough.verdict, Verdict::Faster);
    assert!(enough.p <= 0.05, "{enough:?}");
}

#[test]
fn holm_takes_back_what_chance_may_claim() {
    let mut found = [
        comparison(40.0, 90.0, 0.03, Verdict::Faster),
        comparison(50.0, 90.0, 0.001, Verdict::Faster),
        comparison(-90.0, -40.0, 0.02, Verdict::Slower),
        comparison(-10.0, 10.0, 1.0, Verdict::NoDifference),
    ];
    holm(&mut found, CONFIDENCE);
    let verdicts = found.map(|comparison| comparison.verdict);
    // 0.001 x 4 passes, 0.02 x 3 does not, and nothing after it may.
    assert_eq!(
        verdicts,
        [
            Verdict::TooNoisy,
            Verdict::Faster,
            Verdict::TooNoisy,
            Verdict::NoDifference
        ]
    );
    let mut alone = [comparison(40.0, 90.0, 0.03, Verdict::Faster)];
    holm(&mut alone, CONFIDENCE);
    assert_eq!(alone[0].verdict, Verdict::Faster);
}

#[test]
fn pairs_run_abba() {
    let mut sampling = Sampling::new(DEFAULT_LOOKS.clone(), Duration::ZERO, 1);
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(sampling.next_pair());
        sampling.push(1.0, 2.0);
    }
    let (a, b) = (Side::None, Side::Other);
    assert_eq!(order, [a, b, b, a, a, b, b, a]);
}

#[test]
fn sampling_stops_at_a_look_and_only_there() {
    let run = |other: &dyn Fn(&mut Random) -> f64| {
        let mut random = Random(1);
        let mut sampling = Sampling::new(DEFAULT_LOOKS.clone(), Duration::from_millis(100), 1);
        while !sampling.is_done() {
            let none = 1_000.0 + 20.0 * random.normal();
            let other = other(&mut random);
            sampling.push(none, other);
        }
        (
            sampling.pairs().len(),
            sampling.failed(),
            sampling.comparison().verdict,
        )
    };
    let much_faster = run(&|random| 700.0 + 20.0 * random.normal());
    assert_eq!(much_faster, (31, 0, Verdict::Faster));
    let same = run(&|random| 1_000.0 + 20.0 * random.normal());
    assert_eq!(same, (31, 0, Verdict::NoDifference));
    let near_the_band = run(&|random| 1_030.0 + 200.0 * random.normal());
    assert_eq!(near_the_band, (101, 0, Verdict::TooNoisy));
    assert_eq!(run(&|_| f64::NAN), (0, 101, Verdict::TooNoisy));
}

/// V15: the interval of an A/A comparison holds 0 in 95 % of repeats, over the whole procedure,
/// with its looks, and under the most tempting rule there is: stop once 0 lies outside.
#[test]
fn an_aa_comparison_rarely_finds_anything() {
    const REPEATS: u32 = 400;
    // Three standard deviations of a share of 5 % among so many.
    let above = 0.05 + 3.0 * (0.05 * 0.95 / f64::from(REPEATS)).sqrt();
    let shapes: [(&str, Shape); 3] = [
        ("normal", Random::normal),
        ("lossy", Random::lossy),
        ("ties", |random| (4.0 * random.uniform()).floor()),
    ];
    for (shape, number) in shapes {
        let mut random = Random(7);
        let (mut false_claims, mut naive_claims) = (0, 0);
        for _ in 0..REPEATS {
            let differences: Vec<_> = (0..101)
                .map(|_| number(&mut random) - number(&mut random))
                .collect();
            let claims = |level| {
                LOOKS.iter().any(|&size| {
                    let null = DEFAULT_LOOKS.null(size).unwrap();
                    let found = signed_rank::estimate(&differences[..size], null, level).unwrap();
                    found.low > 0.0 || found.high < 0.0
                })
            };
            false_claims += u32::from(claims(DEFAULT_LOOKS.level()));
            if shape == "normal" {
                naive_claims += u32::from(claims(1.0 - CONFIDENCE));
            }
        }
        let rate = f64::from(false_claims) / f64::from(REPEATS);
        assert!(
            rate < above,
            "{shape}: {rate} of A/A comparisons find something"
        );
        if shape != "ties" {
            assert!(
                rate > 0.02,
                "{shape}: {rate}: the intervals are far too wide"
            );
        }
        if shape == "normal" {
            let naive_rate = f64::from(naive_claims) / f64::from(REPEATS);
            assert!(
                naive_rate > above,
                "{naive_rate}: the looks need no correction?"
            );
        }
    }
}

/// The same through [`Sampling`], which also stops because it has seen enough.
#[test]
fn stopping_early_does_not_fool() {
    const REPEATS: u32 = 400;
    let above = 0.05 + 3.0 * (0.05 * 0.95 / f64::from(REPEATS)).sqrt();
    let mut random = Random(3);
    let mut missed = 0;
    let mut stopped_early = 0;
    for _ in 0..REPEATS {
        let mut sampling = Sampling::new(DEFAULT_LOOKS.clone(), Duration::from_millis(40), 1);
        while !sampling.is_done() {
            sampling.push(random.lossy(), random.lossy() - 100.0);
        }
        let found = sampling.comparison();
        missed += u32::from(found.low > 100.0 || found.high < 100.0);
        stopped_early += u32::from(found.pairs < 101);
    }
    let rate = f64::from(missed) / f64::from(REPEATS);
    assert!(rate < above, "{rate} of intervals miss the truth");
    assert!(
        stopped_early > REPEATS / 10,
        "only {stopped_early} stop early"
    );
}
