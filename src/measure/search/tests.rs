//! Pages whose best plan is known.

use super::*;
use crate::measure::bound::{FIRST_FLIGHT, Level, Terms};

fn profile(name: &str, round_trip_ms: u64) -> Profile {
    Profile {
        name: name.to_owned(),
        round_trip: Duration::from_millis(round_trip_ms),
        is_held_out: false,
    }
}

fn held_out(name: &str, round_trip_ms: u64) -> Profile {
    Profile {
        is_held_out: true,
        ..profile(name, round_trip_ms)
    }
}

/// `(bytes, behind)` of each.
fn candidates(facts: &[(u64, Option<usize>)]) -> Vec<Candidate> {
    facts
        .iter()
        .enumerate()
        .map(|(index, &(bytes, behind))| Candidate {
            url: format!("/{index}"),
            bytes,
            behind,
        })
        .collect()
}

fn all_at(seconds: f64) -> Outcome {
    let at = Duration::from_secs_f64(seconds);
    Outcome {
        first_render: at,
        largest_content: at,
        load: at,
        bytes_wasted: 0,
    }
}

fn run(
    candidates: &[Candidate],
    profiles: &[Profile],
    evaluate: impl FnMut(&[usize], usize) -> Option<Outcome>,
) -> Found {
    let go_on = |_: &Progress| ControlFlow::Continue(());
    search(candidates, profiles, &[], EVALUATIONS_MAX, evaluate, go_on)
}

fn slow_4g() -> Terms {
    Terms {
        round_trip: 0.150,
        rate: 1_638_400.0 / 8.0,
        window: FIRST_FLIGHT,
        setup: 0.300,
        think: 0.0,
        client_delay: 0.0,
        html: 2_000.0,
        critical: 0.0,
    }
}

/// F5: a style sheet that imports another, which names a font; and images of which the first render
/// knows nothing.
#[test]
fn a_hidden_chain_is_found_and_nothing_else() {
    let page = candidates(&[
        (3_000, None),
        (60_000, None),
        (4_000, Some(0)),
        (80_000, None),
        (20_000, Some(2)),
    ]);
    let found = run(&page, &[profile("slow-4g", 150)], |order, _| {
        let terms = slow_4g();
        let ahead = |of: usize| -> f64 {
            let sent = order.iter().take_while(|&&index| index != of);
            sent.map(|&index| f64::from(u32::try_from(page[index].bytes).unwrap()))
                .sum()
        };
        let levels: Vec<_> = [0, 2, 4]
            .into_iter()
            .filter(|index| order.contains(index))
            .map(|index| Level {
                client_delay: 0.0,
                // What else is pushed is in the way.
                queued: ahead(index),
            })
            .collect();
        Some(all_at(1.4 - terms.chain_gain(&levels)))
    });
    assert_eq!(found.order, [0, 2, 4]);
    assert_eq!(found.end, End::Converged);
    assert!(found.is_recommended());
}

/// Each of several style sheets blocks rendering: all but one are worth nothing.
#[test]
fn a_gain_that_needs_several_at_once_is_found() {
    let page = candidates(&[
        (9_000, None),
        (1_000, None),
        (9_000, None),
        (1_000, None),
        (9_000, None),
        (1_000, None),
        (9_000, None),
    ]);
    let needed = [1, 3, 5];
    let found = run(&page, &[profile("slow-4g", 150)], |order, _| {
        let is_all = needed.iter().all(|index| order.contains(index));
        Some(all_at(if is_all { 0.8 } else { 1.0 }))
    });
    let mut set = found.order.clone();
    set.sort_unstable();
    assert_eq!(set, needed);
}

/// What fits into the first flight gains, in the order in which it is sent.
#[test]
fn the_first_flight_is_packed_as_well_as_can_be() {
    let mut worst: f64 = 1.0;
    for seed in 0..40_u64 {
        let digit = |index: u64, span: u64| (seed * 7_919 + index * 104_729 + 13) % 9_973 % span;
        let facts: Vec<_> = (0..7)
            .map(|index| (1_000 + 100 * digit(index, 70), None))
            .collect();
        let page = candidates(&facts);
        let render = |order: &[usize]| {
            let mut left = 12_600;
            let mut seconds = 2.0;
            for &index in order {
                if page[index].bytes > left {
                    break;
                }
                left -= page[index].bytes;
                let index = u64::try_from(index).unwrap();
                let gain = u32::try_from(20 + digit(index + 50, 200)).unwrap();
                seconds -= f64::from(gain) / 1e3;
            }
            seconds
        };
        let found = run(&page, &[profile("slow-4g", 150)], |order, _| {
            Some(all_at(render(order)))
        });
        let best = (0..1_usize << 7)
            .map(|set| {
                let order: Vec<_> = (0..7).filter(|index| set >> index & 1 == 1).collect();
                let bytes: u64 = order.iter().map(|&index| page[index].bytes).sum();
                if bytes > 12_600 { 2.0 } else { render(&order) }
            })
            .fold(2.0, f64::min);
        worst = worst.max(render(&found.order) / best);
    }
    assert!(worst < 1.01, "{worst} of the best that all subsets give");
}

/// F8: whatever is sent first delays the rest.
#[test]
fn what_is_urgent_is_sent_before_what_is_large() {
    let page = candidates(&[(300_000, None), (5_000, None)]);
    let found = run(&page, &[profile("slow-4g", 150)], |order, _| {
        let terms = slow_4g();
        let place = |index| order.iter().position(|&other| other == index);
        let style = match (place(1), place(0)) {
            (Some(style), Some(image)) if image < style => 1.2 + terms.waste_loss(300e3),
            (Some(_), _) => 1.0,
            (None, Some(_)) => 1.2 + terms.waste_loss(300e3),
            (None, None) => 1.2,
        };
        // The image is part of the first render as well.
        let image = if place(0).is_some() { 2.0 } else { 2.4 };
        Some(all_at(f64::max(style, image)))
    });
    assert_eq!(found.order, [1, 0]);
}

#[test]
fn where_every_push_hurts_nothing_is_pushed() {
    let page = candidates(&[(10_000, None), (10_000, Some(0)), (10_000, None)]);
    let found = run(
        &page,
        &[profile("slow-4g", 150), held_out("cable", 20)],
        |order, _| {
            Some(all_at(
                1.0 + 0.1 * f64::from(u8::try_from(order.len()).unwrap()),
            ))
        },
    );
    assert!(found.order.is_empty() && !found.is_recommended());
    assert_eq!(ratio(&found.training).to_bits(), 1.0_f64.to_bits());
    assert_eq!(found.harm().count(), 0);
    assert_eq!(found.held_out.len(), 1);
}

#[test]
fn a_gain_here_does_not_pay_for_harm_there() {
    let page = candidates(&[(10_000, None), (1_000, None)]);
    let profiles = [profile("slow-4g", 150), profile("cable", 20)];
    // The first gains a third on one link and costs a tenth on the other.
    let found = run(&page, &profiles, |order, profile| {
        let mut seconds = 1.0;
        if order.contains(&0) {
            seconds += [-0.33, 0.1][profile];
        }
        if order.contains(&1) {
            seconds -= 0.05;
        }
        Some(all_at(seconds))
    });
    assert_eq!(found.order, [1]);
    // Nor does an earlier first render for a later load.
    let found = run(&page, &profiles, |order, _| {
        Some(Outcome {
            load: Duration::from_millis(if order.contains(&0) { 1_200 } else { 1_000 }),
            ..all_at(if order.is_empty() { 1.0 } else { 0.9 })
        })
    });
    assert_eq!(found.order, [1]);
}

#[test]
fn harm_on_a_link_that_was_held_out_is_told() {
    let page = candidates(&[(10_000, None)]);
    let profiles = [
        profile("slow-4g", 150),
        held_out("cable", 20),
        held_out("3g", 200),
    ];
    let mut tried = Vec::new();
    let found = run(&page, &profiles, |order, profile| {
        tried.push((profile, order.to_vec()));
        match (order.is_empty(), profile) {
            (true, _) => Some(all_at(1.0)),
            (false, 0) => Some(all_at(0.5)),
            (false, 1) => Some(all_at(1.05)),
            (false, _) => None,
        }
    });
    assert_eq!(found.order, [0]);
    assert!(!found.is_recommended());
    let harm: Vec<_> = found
        .harm()
        .map(|harm| (harm.profile, harm.metric, harm.by))
        .collect();
    let by = Some(Duration::from_millis(50));
    assert_eq!(
        harm,
        [
            (1, Metric::FirstRender, by),
            (1, Metric::LargestContent, by),
            (1, Metric::Load, by),
            (2, Metric::Load, None)
        ]
    );
    // Slightly slower where it was not sought: no harm, and still nothing to recommend.
    let lucky = run(&page, &profiles[..2], |order, profile| {
        let seconds = [0.5, 1.01][profile];
        Some(all_at(if order.is_empty() { 1.0 } else { seconds }))
    });
    assert_eq!(lucky.harm().count(), 0);
    assert!(!lucky.is_recommended());
    assert!(ratio(&found.training) < 0.51);
    assert!(ratio(&found.held_out[..1]) > 1.04);
    let first_held_out = tried.iter().position(|(profile, _)| *profile > 0).unwrap();
    assert_eq!(
        tried.len() - first_held_out,
        4,
        "held out to the end: {tried:?}"
    );
}

#[test]
fn a_link_on_which_the_page_never_loads_is_left_out() {
    let page = candidates(&[(10_000, None)]);
    let profiles = [
        profile("dead", 150),
        profile("cable", 20),
        held_out("dead", 1),
    ];
    let found = run(&page, &profiles, |order, profile| {
        (profile == 1).then(|| all_at(if order.is_empty() { 1.0 } else { 0.5 }))
    });
    assert_eq!(
        (found.left_out.as_slice(), found.order.as_slice()),
        (&[0, 2][..], &[0][..])
    );
    let nothing = run(&page, &profiles[..1], |_, _| None);
    assert!(nothing.order.is_empty() && nothing.training.is_empty());
    assert_eq!(ratio(&nothing.training).to_bits(), 1.0_f64.to_bits());
}

/// Outcomes that mean nothing: a plan is chosen for its luck, and still never for its harm.
#[test]
fn luck_never_chooses_what_is_worse_than_nothing() {
    let page = candidates(&[(1_000, None); 12]);
    let profiles = [
        profile("slow-4g", 150),
        profile("cable", 20),
        profile("3g", 200),
    ];
    for seed in 0..8_usize {
        let lottery = |order: &[usize], profile: usize| {
            let hash = order.iter().fold(seed * 31 + profile, |hash, index| {
                (hash * 1_000_003 + index * 7_919 + 1) % 1_000_000_007
            });
            let hash = if order.is_empty() { 500 } else { hash % 1_000 };
            let at = 1.0 + f64::from(u32::try_from(hash).unwrap()) / 1e3;
            (hash > 9).then(|| all_at(at))
        };
        let mut evaluations = 0;
        let found = run(&page, &profiles, |order, profile| {
            evaluations += 1;
            lottery(order, profile)
        });
        assert_eq!(found.evaluations, evaluations);
        assert!(evaluations <= EVALUATIONS_MAX);
        assert_eq!(found.harm().count(), 0);
        assert!(ratio(&found.training) <= 1.0);
        let again = run(&page, &profiles, lottery);
        assert_eq!(found, again);
    }
}

#[test]
fn a_search_keeps_to_its_loads_and_stops_when_told() {
    let page = candidates(&[(1_000, None); 200]);
    let profiles = [profile("slow-4g", 150), held_out("cable", 20)];
    let evaluate = |order: &[usize], _| {
        assert!(order.iter().all(|&index| index < CANDIDATES_MAX));
        let gain = f64::from(u32::try_from(order.len()).unwrap()) / 100.0;
        Some(all_at(1.0 - gain))
    };
    let mut told = 0;
    let spent = search(&page, &profiles, &[], 50, evaluate, |progress| {
        told += 1;
        assert!(progress.evaluations <= 50 && progress.ratio <= 1.0);
        ControlFlow::Continue(())
    });
    assert_eq!((spent.end, spent.evaluations, told), (End::Spent, 52, 49));
    let stopped = search(&page, &profiles, &[], 50, evaluate, |progress| {
        if progress.evaluations > 10 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!((stopped.end, stopped.order.len()), (End::Interrupted, 10));
    assert!(stopped.held_out.is_empty() && !stopped.is_recommended());
    let no_budget = search(&page, &profiles, &[], 0, evaluate, |_| {
        ControlFlow::Continue(())
    });
    assert_eq!((no_budget.order.len(), no_budget.end), (0, End::Spent));
}
