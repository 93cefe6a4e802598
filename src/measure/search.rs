//! What to send ahead: the set and the order that render earliest.
//!
//! Pure over a closure that loads a page with a plan, and deterministic where the closure is. A
//! plan is sought on some profiles and then tried on others, because the best of many is partly
//! lucky (the winner's curse). Sending nothing is always among the plans, and no plan is chosen
//! that hurts on a profile it was sought on.
//!
//! Read on in `descent` (how it is sought).

mod descent;

use std::ops::ControlFlow;
use std::time::Duration;

use descent::Descent;

use super::sample::Band;
use super::timeline::Metric;

/// Resources that are considered: so many of the first.
pub const CANDIDATES_MAX: usize = 64;
/// Loads for one page, unless said otherwise.
pub const EVALUATIONS_MAX: usize = 2_000;

/// What must not become worse.
const GUARDED: [Metric; 3] = [Metric::FirstRender, Metric::LargestContent, Metric::Load];

/// Something that might be sent ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Path and query.
    pub url: String,
    /// Bytes of its body.
    pub bytes: u64,
    /// The candidate that names it, as an index; `None`: the document does.
    pub behind: Option<usize>,
}

/// A link with a seed, on which plans are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// How it is reported.
    pub name: String,
    /// Its round-trip time, for the [`Band`].
    pub round_trip: Duration,
    /// Whether it has no say in the choice: the plan that was found is tried on it at the end.
    pub is_held_out: bool,
}

/// What a load came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The first render: what is minimised.
    pub first_render: Duration,
    /// The largest content.
    pub largest_content: Duration,
    /// The load.
    pub load: Duration,
    /// Bytes that were pushed in vain.
    pub bytes_wasted: u64,
}

/// How far the search is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Loads so far.
    pub evaluations: usize,
    /// Loads at most, those on held-out profiles aside.
    pub evaluations_max: usize,
    /// First render of the best plan so far relative to sending nothing: 1 or less.
    pub ratio: f64,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What to send, in this order, as indices of candidates; empty: nothing.
    pub order: Vec<usize>,
    /// The plan on the profiles that it was sought on, in their order.
    pub training: Vec<Trial>,
    /// The plan on the others: what may be expected of it.
    pub held_out: Vec<Trial>,
    /// Profiles on which the page does not load even if nothing is sent: they were left out.
    pub left_out: Vec<usize>,
    /// Loads that it took.
    pub evaluations: usize,
    /// Why it ended.
    pub end: End,
}

/// A plan beside sending nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Index of the profile.
    pub profile: usize,
    /// Round-trip time of the profile.
    pub round_trip: Duration,
    /// Sending nothing.
    pub none: Outcome,
    /// The plan; `None`: the page did not load.
    pub plan: Option<Outcome>,
}

/// Where a plan hurts, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Harm {
    /// Index of the profile.
    pub profile: usize,
    /// What became worse.
    pub metric: Metric,
    /// By how much, always beyond the [`Band`]; `None`: the page did not load.
    pub by: Option<Duration>,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// No small change of the plan is better.
    Converged,
    /// All loads were spent.
    Spent,
    /// It was told to stop.
    Interrupted,
}

/// Seeks what to send ahead.
///
/// The plan minimises the geometric mean, over the profiles that are not held out, of the first
/// render relative to sending nothing. Plans within half a percent are equal, and the one of fewer
/// bytes wins. One that is worse than sending nothing in the mean, or that hurts on any of these
/// profiles (see [`Trial::harm`]), is not chosen.
///
/// - `candidates`: in the order in which the page evaluates them; those from [`CANDIDATES_MAX`] on
///   are left alone.
/// - `starts`: plans that are tried before others, as indices of candidates: nothing is found that
///   is worse than they are, unless they hurt.
/// - `evaluations_max`: loads at most; held-out profiles take two each besides.
/// - `evaluate`: loads the page with a plan (indices of candidates, in order) on a profile (its
///   index); `None`: it did not load.
/// - `progress`: is told after each plan, and may stop the search; the best so far is then
///   returned.
pub fn search(
    candidates: &[Candidate],
    profiles: &[Profile],
    starts: &[Vec<usize>],
    evaluations_max: usize,
    mut evaluate: impl FnMut(&[usize], usize) -> Option<Outcome>,
    mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Found {
    let mut left_out = Vec::new();
    let mut training = Vec::new();
    let mut evaluations = 0;
    for (index, profile) in profiles.iter().enumerate() {
        if profile.is_held_out {
            continue;
        }
        evaluations += 1;
        match evaluate(&[], index) {
            Some(none) => training.push(Trial::of_nothing(index, profile, none)),
            None => left_out.push(index),
        }
    }
    let candidates = &candidates[..candidates.len().min(CANDIDATES_MAX)];
    let mut descent = Descent::new(
        candidates,
        training,
        evaluations,
        evaluations_max,
        &mut evaluate,
        &mut progress,
    );
    let end = descent.run(starts);
    let (order, training, mut evaluations) = descent.into_best();
    let mut held_out = Vec::new();
    for (index, profile) in profiles.iter().enumerate() {
        if !profile.is_held_out || end == End::Interrupted {
            continue;
        }
        evaluations += 1;
        let Some(none) = evaluate(&[], index) else {
            left_out.push(index);
            continue;
        };
        let mut trial = Trial::of_nothing(index, profile, none);
        if !order.is_empty() {
            evaluations += 1;
            trial.plan = evaluate(&order, index);
        }
        held_out.push(trial);
    }
    left_out.sort_unstable();
    Found {
        order,
        training,
        held_out,
        left_out,
        evaluations,
        end,
    }
}

impl Found {
    /// Returns where the plan hurts, on the profiles that it was sought on and on the others. Empty
    /// does not say that it helps: see [`ratio`].
    pub fn harm(&self) -> impl Iterator<Item = Harm> {
        let trials = self.training.iter().chain(&self.held_out);
        trials.flat_map(Trial::harm)
    }

    /// Returns whether the plan may be recommended without a word: it sends something, was tried to
    /// the end, hurts nowhere, and is no slower in the mean where it was not sought.
    pub fn is_recommended(&self) -> bool {
        !self.order.is_empty()
            && self.end != End::Interrupted
            && self.harm().next().is_none()
            && ratio(&self.held_out) <= 1.0
    }
}

/// Returns the geometric mean of the first renders relative to sending nothing: below 1 if the plan
/// is faster, 1 if there are no trials; infinite if a page did not load.
pub fn ratio(trials: &[Trial]) -> f64 {
    mean_ratio(trials, Metric::FirstRender)
}

fn mean_ratio(trials: &[Trial], metric: Metric) -> f64 {
    let Ok(count) = u32::try_from(trials.len().max(1)) else {
        return 1.0;
    };
    let logs: f64 = trials
        .iter()
        .map(|trial| {
            let none = trial.none.milliseconds(metric);
            let plan = trial
                .plan
                .map_or(f64::INFINITY, |plan| plan.milliseconds(metric));
            (plan / none).ln()
        })
        .sum();
    (logs / f64::from(count)).exp()
}

impl Trial {
    fn of_nothing(profile: usize, facts: &Profile, none: Outcome) -> Self {
        Self {
            profile,
            round_trip: facts.round_trip,
            none,
            plan: Some(none),
        }
    }

    /// Returns what became worse beyond the [`Band`]: first render, largest content or load.
    pub fn harm(&self) -> impl Iterator<Item = Harm> + use<> {
        let trial = *self;
        GUARDED.into_iter().filter_map(move |metric| {
            let harm = |by| Harm {
                profile: trial.profile,
                metric,
                by,
            };
            let Some(plan) = trial.plan else {
                return (metric == Metric::Load).then(|| harm(None));
            };
            let none = trial.none.of(metric);
            let by = plan.of(metric).saturating_sub(none);
            let band = Band::new(none.as_secs_f64() * 1e3, trial.round_trip);
            (by.as_secs_f64() * 1e3 > band.width()).then(|| harm(Some(by)))
        })
    }
}

impl Outcome {
    fn of(&self, metric: Metric) -> Duration {
        match metric {
            Metric::LargestContent => self.largest_content,
            Metric::Load => self.load,
            _ => self.first_render,
        }
    }

    /// At least a microsecond, so that it can be divided by.
    fn milliseconds(&self, metric: Metric) -> f64 {
        (self.of(metric).as_secs_f64() * 1e3).max(1e-3)
    }
}

#[cfg(test)]
mod tests;
