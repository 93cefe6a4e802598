//! How a plan is sought: prefixes of the evaluation order, greedy growth along the graph, then a
//! variable neighbourhood descent (Hansen and Mladenovic 2001) from the best of them.
//!
//! Prefixes are the plans that Bergan and others call optimal where the first flight is the limit;
//! growth finds what is hidden behind little; the descent drops what is of no use, and puts the
//! rest in order. Growth goes on for a while without gain: of six style sheets, five gain nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::{Candidate, End, Metric, Outcome, Progress, Trial, mean_ratio};

/// Plans whose mean first renders differ by less, relative to sending nothing, are equal.
const QUANTUM: f64 = 0.005;
/// Candidates that growth tries at each step: the first that nothing left out hides.
const FRONTIER_MAX: usize = 12;
/// Steps that growth goes without gain.
const PATIENCE: usize = 3;
/// Plans up to this length are tried in every order that one move makes; in longer ones, things
/// move by one place, to the front or to the end.
const MOVED_ANYWHERE_MAX: usize = 6;
/// Candidates, the most useful ones, of which two take the place of one.
const EXCHANGED_MAX: usize = 8;

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
    /// Candidates that matter: some plan renders at another time without.
    live: BTreeSet<usize>,
    /// Those of them without which some plan renders later, and by how much at most, in quanta.
    useful: BTreeMap<usize, u64>,
    best: Plan,
    /// Some candidates were never tried.
    is_cut_short: bool,
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
            live: BTreeSet::new(),
            useful: BTreeMap::new(),
            best,
            is_cut_short: false,
        }
    }

    pub(super) fn run(&mut self, starts: &[Vec<usize>]) -> End {
        if self.none.is_empty() {
            return End::Converged;
        }
        match self.seek(starts) {
            Ok(()) if self.is_cut_short => End::Spent,
            Ok(()) => End::Converged,
            Err(end) => end,
        }
    }

    fn seek(&mut self, starts: &[Vec<usize>]) -> Result<(), End> {
        let is_known = |order: &&Vec<usize>| {
            let mut indices = order.iter();
            indices.all(|&index| index < self.candidates.len())
        };
        for start in starts.iter().filter(is_known).cloned().collect::<Vec<_>>() {
            self.score(&start)?;
        }
        self.prefixes()?;
        self.thin()?;
        self.grow()?;
        self.descend()
    }

    /// Returns the best plan, its trials, and the loads that it took.
    pub(super) fn into_best(self) -> (Vec<usize>, Vec<Trial>, usize) {
        (self.best.order, self.best.trials, self.evaluations)
    }

    fn prefixes(&mut self) -> Result<(), End> {
        let order: Vec<_> = (0..self.candidates.len()).collect();
        for length in 1..=order.len() {
            if self.is_half_spent() {
                self.is_cut_short = true;
                break;
            }
            self.pair(&order[..length - 1], &order[..length], length - 1)?;
        }
        Ok(())
    }

    /// Drops at once whatever of the best plan changes nothing if it alone is dropped.
    fn thin(&mut self) -> Result<(), End> {
        let order = self.best.order.clone();
        let mut needed = Vec::new();
        for at in 0..order.len() {
            let (shorter, whole) = self.pair(&without(&order, at), &order, order[at])?;
            if whole.render() < shorter.render() {
                needed.push(order[at]);
            }
        }
        self.score(&needed).map(drop)
    }

    /// Tries two plans of which one has a candidate more, and notes whether that one matters.
    fn pair(
        &mut self,
        shorter: &[usize],
        longer: &[usize],
        candidate: usize,
    ) -> Result<(Score, Score), End> {
        let (shorter, longer) = (self.score(shorter)?, self.score(longer)?);
        let change = f64::from_bits(shorter.ratio) - f64::from_bits(longer.ratio);
        if change >= QUANTUM {
            let most = self.useful.entry(candidate).or_default();
            *most = quanta(change).max(*most);
        }
        if change.abs() >= QUANTUM {
            self.live.insert(candidate);
        }
        Ok((shorter, longer))
    }

    fn grow(&mut self) -> Result<(), End> {
        let mut order = Vec::new();
        let mut reached = self.score(&order)?;
        let mut stale = 0;
        while stale < PATIENCE && !self.is_half_spent() {
            let mut next = None;
            for candidate in self.frontier(&order) {
                let longer = with(&order, order.len(), candidate);
                let (_, score) = self.pair(&order, &longer, candidate)?;
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

    /// Returns the first candidates that are not in a plan and not hidden behind one that is not;
    /// after the first step, of those that matter or that hide behind the plan.
    fn frontier(&self, order: &[usize]) -> Vec<usize> {
        let matters = |&candidate: &usize| {
            order.is_empty()
                || self.live.contains(&candidate)
                || self.candidates[candidate]
                    .behind
                    .is_some_and(|behind| order.contains(&behind))
        };
        let is_known = |behind: usize| order.contains(&behind) || !self.live.contains(&behind);
        (0..self.candidates.len())
            .filter(|candidate| !order.contains(candidate) && matters(candidate))
            .filter(|&candidate| self.candidates[candidate].behind.is_none_or(is_known))
            .take(FRONTIER_MAX)
            .collect()
    }

    fn descend(&mut self) -> Result<(), End> {
        loop {
            let (order, score) = (self.best.order.clone(), self.best.score);
            for at in 0..order.len() {
                self.pair(&without(&order, at), &order, order[at])?;
            }
            let useful: Vec<_> = self.useful.keys().copied().collect();
            let most_useful = self.most_useful();
            let near = neighbours(&order, &useful);
            for neighbour in near.chain(exchanges_for_two(&order, &most_useful)) {
                if self.best.score.is_clearly_below(score)
                    || self.score(&neighbour)?.is_clearly_below(score)
                {
                    break;
                }
            }
            if !self.best.score.is_clearly_below(score) {
                return Ok(());
            }
        }
    }

    fn most_useful(&self) -> Vec<usize> {
        let mut by_use: Vec<_> = self.useful.iter().collect();
        by_use.sort_by_key(|&(_, most)| Reverse(most));
        let most = by_use.into_iter().map(|(candidate, _)| *candidate);
        most.take(EXCHANGED_MAX).collect()
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

    /// Compares all but what is below a quantum: steps that small would never end.
    fn is_clearly_below(self, other: Self) -> bool {
        let clear = |score: Self| (score.render(), score.bytes, score.load);
        clear(self) < clear(other)
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
/// another order, those with something else in it, and those that are longer. Only what is
/// useful comes in.
fn neighbours(order: &[usize], useful: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let length = order.len();
    let outside = move || {
        let useful = useful.iter().copied();
        useful.filter(|candidate| !order.contains(candidate))
    };
    let drops = (0..length).map(|at| without(order, at));
    let is_tried = move |from: usize, to: usize| {
        length <= MOVED_ANYWHERE_MAX || to == from + 1 || to == 0 || to + 1 == length
    };
    let moves = (0..length).flat_map(move |from| {
        (0..length)
            .filter(move |&to| to != from && is_tried(from, to))
            .map(move |to| with(&without(order, from), to, order[from]))
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
    drops.chain(moves).chain(exchanges).chain(inserts)
}

/// Returns the plans with two candidates instead of one or two: what fills a first flight better.
/// Of few, or there would be too many.
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
