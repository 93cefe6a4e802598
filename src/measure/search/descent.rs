//! How a plan is sought: prefixes of the evaluation order, greedy growth along the graph, then a
//! variable neighbourhood descent (Hansen and Mladenovic 2001) from the best of them.
//!
//! Prefixes are the plans that Bergan and others call optimal where the first flight is the limit;
//! growth finds what is hidden behind little; the descent drops what is of no use, and puts the
//! rest in order. Growth goes on for a while without gain: of six style sheets, five gain nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::{Candidate, End, Metric, Outcome, Progress, Trial, mean_ratio};

/// Plans whose mean first renders differ by less, relative to sending nothing, are equal.
const QUANTUM: f64 = 0.005;
/// Candidates that growth tries at each step: the first that nothing left out hides.
const FRONTIER_MAX: usize = 12;
/// Steps that growth goes without gain.
const PATIENCE: usize = 8;

/// How good a plan is: the less the better, each field deciding where those above are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// It is worse than sending nothing, in the mean or on any profile beyond the band.
    is_harmful: bool,
    /// The mean first render in quanta.
    first_render: u64,
    /// Bytes that are sent.
    bytes: u64,
    /// The mean load in quanta.
    load: u64,
    /// The mean first render itself: the bits of a positive number are in its order.
    ratio: u64,
}

/// A plan that was tried.
#[derive(Debug, Clone)]
struct Plan {
    score: Score,
    order: Vec<usize>,
    trials: Vec<Trial>,
}

/// The search in progress.
pub(super) struct Descent<'a> {
    candidates: &'a [Candidate],
    evaluations: usize,
    evaluations_max: usize,
    evaluate: &'a mut dyn FnMut(&[usize], usize) -> Option<Outcome>,
    progress: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
    none: Vec<Trial>,
    seen: BTreeMap<Vec<usize>, Score>,
    /// Candidates that some plan renders later without.
    useful: BTreeSet<usize>,
    best: Plan,
}

impl<'a> Descent<'a> {
    /// - `none`: each profile, with sending nothing.
    pub(super) fn new(
        candidates: &'a [Candidate],
        none: Vec<Trial>,
        evaluations: usize,
        evaluations_max: usize,
        evaluate: &'a mut dyn FnMut(&[usize], usize) -> Option<Outcome>,
        progress: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Self {
        let best = Plan {
            score: Score::of(&none, 0),
            order: Vec::new(),
            trials: none.clone(),
        };
        Self {
            candidates,
            evaluations,
            evaluations_max,
            evaluate,
            progress,
            seen: BTreeMap::from([(Vec::new(), best.score)]),
            none,
            useful: BTreeSet::new(),
            best,
        }
    }

    pub(super) fn run(&mut self) -> End {
        if self.none.is_empty() {
            return End::Converged;
        }
        let end = self.prefixes().and_then(|()| self.grow());
        match end.and_then(|()| self.descend()) {
            Ok(()) => End::Converged,
            Err(end) => end,
        }
    }

    /// Returns the best plan, its trials, and the loads that it took.
    pub(super) fn into_best(self) -> (Vec<usize>, Vec<Trial>, usize) {
        (self.best.order, self.best.trials, self.evaluations)
    }

    fn prefixes(&mut self) -> Result<(), End> {
        let order: Vec<_> = (0..self.candidates.len()).collect();
        for length in 1..=order.len() {
            if self.is_half_spent() {
                break;
            }
            self.score(&order[..length])?;
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), End> {
        let mut order = Vec::new();
        let mut reached = self.score(&order)?;
        let mut stale = 0;
        while stale < PATIENCE && !self.is_half_spent() {
            let mut next = None;
            let shorter = self.score(&order)?;
            for candidate in self.frontier(&order) {
                let longer = with(&order, order.len(), candidate);
                let score = self.score(&longer)?;
                if score.first_render < shorter.first_render {
                    self.useful.insert(candidate);
                }
                // What is equal but for bytes is taken in the order of the page.
                if next.as_ref().is_none_or(|(best, _)| score.render() < *best) {
                    next = Some((score.render(), longer));
                }
            }
            let Some((_, longer)) = next else { break };
            order = longer;
            let score = self.score(&order)?;
            stale += 1;
            if score < reached {
                reached = score;
                stale = 0;
            }
        }
        Ok(())
    }

    /// Returns the first candidates that are not in a plan and not hidden behind one that is not.
    fn frontier(&self, order: &[usize]) -> Vec<usize> {
        let is_known = |behind: usize| behind >= self.candidates.len() || order.contains(&behind);
        (0..self.candidates.len())
            .filter(|candidate| !order.contains(candidate))
            .filter(|&candidate| self.candidates[candidate].behind.is_none_or(is_known))
            .take(FRONTIER_MAX)
            .collect()
    }

    fn descend(&mut self) -> Result<(), End> {
        loop {
            let (order, score) = (self.best.order.clone(), self.best.score);
            for at in 0..order.len() {
                if self.score(&without(&order, at))?.first_render > score.first_render {
                    self.useful.insert(order[at]);
                }
            }
            let useful: Vec<_> = self.useful.iter().copied().collect();
            let near = neighbours(&order, self.candidates.len());
            for neighbour in near.chain(exchanges_for_two(&order, &useful)) {
                if self.best.score < score || self.score(&neighbour)? < score {
                    break;
                }
            }
            if self.best.score == score {
                return Ok(());
            }
        }
    }

    fn is_half_spent(&self) -> bool {
        self.evaluations > self.evaluations_max / 2
    }

    /// Tries a plan, unless it was tried already.
    fn score(&mut self, order: &[usize]) -> Result<Score, End> {
        if let Some(score) = self.seen.get(order) {
            return Ok(*score);
        }
        if self.evaluations + self.none.len() > self.evaluations_max {
            return Err(End::Spent);
        }
        let mut trials = self.none.clone();
        for trial in &mut trials {
            trial.plan = (self.evaluate)(order, trial.profile);
        }
        self.evaluations += trials.len();
        let bytes = order.iter().map(|&index| self.candidates[index].bytes);
        let score = Score::of(&trials, bytes.fold(0, u64::saturating_add));
        self.seen.insert(order.to_vec(), score);
        if score < self.best.score {
            self.best = Plan {
                score,
                order: order.to_vec(),
                trials,
            };
        }
        let progress = Progress {
            evaluations: self.evaluations,
            evaluations_max: self.evaluations_max,
            ratio: mean_ratio(&self.best.trials, Metric::FirstRender),
        };
        match (self.progress)(&progress) {
            ControlFlow::Continue(()) => Ok(score),
            ControlFlow::Break(()) => Err(End::Interrupted),
        }
    }
}

impl Score {
    fn of(trials: &[Trial], bytes: u64) -> Self {
        let ratio = mean_ratio(trials, Metric::FirstRender);
        Self {
            is_harmful: ratio > 1.0 || trials.iter().any(|trial| trial.harm().next().is_some()),
            first_render: quanta(ratio),
            bytes,
            load: quanta(mean_ratio(trials, Metric::Load)),
            ratio: ratio.to_bits(),
        }
    }

    fn render(self) -> (bool, u64) {
        (self.is_harmful, self.first_render)
    }
}

fn quanta(ratio: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ratio is positive, and the cast saturates where a page does not load"
    )]
    let quanta = (ratio / QUANTUM).round() as u64;
    quanta
}

/// Returns the plans that are one small change away: those that are shorter first, then those in
/// another order, those with something else in it, and those that are longer.
fn neighbours(order: &[usize], candidates: usize) -> impl Iterator<Item = Vec<usize>> {
    let length = order.len();
    let outside = move || (0..candidates).filter(|candidate| !order.contains(candidate));
    let drops = (0..length).map(|at| without(order, at));
    let moves = (0..length).flat_map(move |from| {
        (0..length)
            .filter(move |&to| to != from)
            .map(move |to| with(&without(order, from), to, order[from]))
    });
    let swaps = (0..length).flat_map(move |a| {
        // Those next to each other are moves.
        (a + 2..length).map(move |b| {
            let mut swapped = order.to_vec();
            swapped.swap(a, b);
            swapped
        })
    });
    let exchanges = (0..length).flat_map(move |at| {
        outside().map(move |candidate| {
            let mut exchanged = order.to_vec();
            exchanged[at] = candidate;
            exchanged
        })
    });
    let inserts = outside()
        .flat_map(move |candidate| (0..=length).rev().map(move |at| with(order, at, candidate)));
    drops
        .chain(moves)
        .chain(swaps)
        .chain(exchanges)
        .chain(inserts)
}

/// Returns the plans with two candidates instead of one or two: what fills a first flight better.
/// Of those that have shown a use only, or there would be too many.
fn exchanges_for_two(order: &[usize], useful: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let outside = move || useful.iter().filter(|candidate| !order.contains(candidate));
    let places = (0..order.len()).flat_map(|at| (at..order.len()).map(move |other| (at, other)));
    places.flat_map(move |(at, other)| {
        let pairs = outside().flat_map(move |first| outside().map(move |second| (first, second)));
        pairs
            .filter(|(first, second)| first != second)
            .map(move |(first, second)| {
                let mut exchanged = order.to_vec();
                exchanged[at] = *first;
                if other > at {
                    exchanged.remove(other);
                }
                exchanged.push(*second);
                exchanged
            })
    })
}

fn without(order: &[usize], at: usize) -> Vec<usize> {
    let mut shorter = order.to_vec();
    shorter.remove(at);
    shorter
}

fn with(order: &[usize], at: usize, candidate: usize) -> Vec<usize> {
    let mut longer = order.to_vec();
    longer.insert(at, candidate);
    longer
}
