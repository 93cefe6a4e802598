//! What chance makes of a page on links that lose packets: how a gain grows with loss and delay
//! (V11), and that a page does not differ from itself (V15).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::scene::{Conditions, Loaded, Scene, bytes, filled, page, pushing};
use super::{CLIENT_DELAY_MS, Effort, Finding, milliseconds, waiting};
use crate::measure::delivery::Delivery;
use crate::measure::sample::{Looks, Sampling, Summary, Verdict};

const KILOBITS: f64 = 10_000.0;
/// Loads of which two different pools hardly differ by chance.
const POOL_MIN: usize = 400;

/// V11. A gain grows with the delay of a link, and with its loss.
pub(super) fn harder_links(effort: Effort) -> anyhow::Result<Vec<Finding>> {
    let chain = waiting::chain(waiting::DEPTH_MAX)?;
    let flat = page_of_several()?;
    let loads = effort.lossy_loads / 5;
    let [none, _, _, _, push_all] = Delivery::all();
    let gain = |scene: &Scene, round_trip: u64, loss: f64| -> anyhow::Result<f64> {
        let on = lossy(round_trip, loss);
        let seeds = if loss > 0.0 { 0..loads } else { 0..1 };
        let median = |delivery: &Delivery| -> anyhow::Result<f64> {
            let all = many(scene, delivery, &on, seeds.clone(), |loaded| loaded.load)?;
            Ok(Summary::of(&all).p50)
        };
        Ok(median(&none)? - median(&push_all)?)
    };
    let (near, far) = (gain(&chain, 20, 0.0)?, gain(&chain, 100, 0.0)?);
    let lost = gain(&chain, 100, 0.02)?;
    let (flat_near, flat_far) = (gain(&flat, 20, 0.0)?, gain(&flat, 100, 0.0)?);
    let finding = |what: &str, less: f64, more: f64| Finding {
        expected: format!("above {}", milliseconds(less)),
        tolerance: "direction".to_owned(),
        holds: Some(more > less),
        note: "the first page tried was the flat one, which does not confirm it: on a new \
               connection what is pushed waits for the window, and only the client delay is saved \
               (F6). The chain was chosen after that",
        ..Finding::times("V11", what.to_owned(), less, more, 0.0)
    };
    let flat = Finding {
        holds: None,
        ..finding("gain, flat page: 100 ms against 20 ms", flat_near, flat_far)
    };
    Ok(vec![
        finding("gain, chain of 4: 100 ms against 20 ms", near, far),
        flat,
        finding("gain, chain of 4: 2 % loss against none", far, lost),
    ])
}

/// V15. A page against itself, and against itself with something pushed into idle time that nobody
/// wants: rarely a difference.
pub(super) fn same(effort: Effort) -> anyhow::Result<Vec<Finding>> {
    let scene = page_of_several()?;
    let on = lossy(100, 0.02);
    let loads = effort.lossy_loads;
    let first_renders = |delivery: &Delivery, seeds: Range<usize>| {
        many(&scene, delivery, &on, seeds, |loaded| loaded.first_render)
    };
    let none = first_renders(&Delivery::none(), 0..loads)?;
    let unused = first_renders(&pushing(&["/unused.png"])?, loads..2 * loads)?;
    let finding = |what: &str, other: &[f64]| {
        let comparisons = effort.comparisons;
        let (excluded, claims) = differences(&none, other, comparisons, on.link.round_trip);
        let count = f64::from(comparisons);
        let percent = |number: f64| number / count * 100.0;
        // What so many draws of one in twenty exceed once in a hundred times.
        let most = 0.05 * count + 2.33 * (count * 0.05 * 0.95).sqrt();
        Finding {
            case: "V15",
            what: format!(
                "{what}: intervals without 0 ({:.1} % claims)",
                percent(f64::from(claims))
            ),
            expected: "at most 5 %".to_owned(),
            got: format!("{:.1} %", percent(f64::from(excluded))),
            error: String::new(),
            tolerance: format!("{:.1} %", percent(most)),
            holds: Some(f64::from(excluded) <= most),
            note: "2 % loss; samplings draw pairs from loads that each have a seed of their own",
        }
    };
    let mut findings = vec![finding("none against none", &none)];
    if loads >= POOL_MIN {
        findings.push(finding("unused push", &unused));
    }
    Ok(findings)
}

/// Samples two deliveries so often; returns how many intervals are without 0, and how many make a
/// claim.
fn differences(none: &[f64], other: &[f64], comparisons: u32, round_trip: Duration) -> (u32, u32) {
    let looks = Arc::<Looks>::default();
    let mut turns = Turns(1);
    let (mut excluded, mut claims) = (0, 0);
    for _ in 0..comparisons {
        let mut sampling = Sampling::new(Arc::clone(&looks), round_trip, 1);
        while !sampling.is_done() {
            sampling.push(turns.draw(none), turns.draw(other));
        }
        let found = sampling.comparison();
        excluded += u32::from(found.low > 0.0 || found.high < 0.0);
        claims += u32::from(matches!(found.verdict, Verdict::Faster | Verdict::Slower));
    }
    (excluded, claims)
}

fn page_of_several() -> anyhow::Result<Scene> {
    let head = "<link rel=stylesheet href=/a.css><script src=/a.js></script>";
    let body = "<img src=/a.png><img src=/b.png><script defer src=/b.js></script>";
    let files = vec![
        ("/a.css", filled("@import \"/b.css\";", 10 * 1024)),
        ("/b.css", filled("", 5 * 1024)),
        ("/a.js", filled("", 15 * 1024)),
        ("/b.js", filled("", 15 * 1024)),
        ("/a.png", bytes(20 * 1024)),
        ("/b.png", bytes(20 * 1024)),
        ("/unused.png", bytes(2 * 1024)),
    ];
    Scene::new(page(10 * 1024, head, body), files)
}

fn lossy(round_trip: u64, loss: f64) -> Conditions {
    let mut on = Conditions::cold(round_trip, KILOBITS, CLIENT_DELAY_MS);
    on.link.loss = loss;
    on
}

/// Returns a moment of many loads, each with a seed of its own.
fn many(
    scene: &Scene,
    delivery: &Delivery,
    on: &Conditions,
    seeds: Range<usize>,
    moment: fn(&Loaded) -> f64,
) -> anyhow::Result<Vec<f64>> {
    seeds
        .map(|seed| {
            let mut on = on.clone();
            on.link.seed = seed as u64;
            Ok(moment(&scene.load(delivery, &on)?))
        })
        .collect()
}

/// Draws that are the same each time: a linear congruential generator (Knuth, MMIX).
struct Turns(u64);

impl Turns {
    fn draw(&mut self, from: &[f64]) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let length = from.len() as u64;
        let place = usize::try_from((self.0 >> 33) % length.max(1)).unwrap_or_default();
        from.get(place).copied().unwrap_or(f64::NAN)
    }
}
