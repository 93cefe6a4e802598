//! What was found for a page, and what may be said of it: plain data and one decision.

use std::time::Duration;

use crate::measure::sample::Band;
use crate::measure::search::{End, Harm, Outcome, Trial, ratio};
use crate::site::UrlPath;

use super::seeker::Place;

/// What was found for one page.
#[derive(Debug, Clone)]
pub(super) struct Best {
    pub(super) page: UrlPath,
    /// What was found to send ahead, in order.
    pub(super) plan: Vec<Sent>,
    /// What `serve` sends ahead by itself, in order.
    pub(super) own: Vec<Sent>,
    /// How many resources could be sent.
    pub(super) candidates: usize,
    /// Those that it was sought on, then those held out; without those on which it never loads.
    pub(super) links: Vec<OnLink>,
    pub(super) loads: usize,
    pub(super) end: End,
    /// Why the page did not load, if once it did not.
    pub(super) failure: Option<String>,
}

/// Something that is sent ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    /// Path and query.
    pub(super) url: String,
    pub(super) bytes: u64,
}

/// Three plans on one link: nothing, that of `serve`, and what was found.
#[derive(Debug, Clone)]
pub(super) struct OnLink {
    /// Index of the place.
    pub(super) place: usize,
    pub(super) round_trip: Duration,
    pub(super) none: Outcome,
    /// `None`: the page did not load.
    pub(super) own: Option<Outcome>,
    /// `None`: the page did not load.
    pub(super) found: Option<Outcome>,
    /// The earliest first render that the formulas allow (F11), if known.
    pub(super) bound: Option<Duration>,
}

/// What may be said of the plan that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The page does not load.
    Fails,
    /// The search was stopped: it is the best so far.
    Unfinished,
    /// It makes something later, or keeps the page from loading.
    Hurts,
    /// It is no faster in the mean where it was not sought: it was chosen for its luck.
    Lucky,
    /// What `serve` does by itself is as good.
    OwnAsGood,
    /// What `serve` does by itself is better on some link.
    OwnBetter,
    /// To send nothing is better than what `serve` does by itself.
    Nothing,
    /// It is better than what `serve` does by itself.
    Better,
}

impl Verdict {
    /// Returns whether the plan should stand in `push.toml`.
    pub(super) fn is_for_push_toml(self) -> bool {
        matches!(self, Self::Nothing | Self::Better)
    }

    /// Names it for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fails => "does not load",
            Self::Unfinished => "unfinished",
            Self::Hurts => "hurts",
            Self::Lucky => "no faster where held out",
            Self::OwnAsGood => "own plan as good",
            Self::OwnBetter => "own plan better somewhere",
            Self::Nothing => "nothing is better",
            Self::Better => "better",
        }
    }
}

impl Best {
    /// Decides what may be said of the plan.
    pub(super) fn verdict(&self, places: &[Place]) -> Verdict {
        let is_held_out = |link: &&OnLink| places[link.place].is_held_out;
        let held_out: Vec<_> = self
            .links
            .iter()
            .filter(is_held_out)
            .map(|link| link.trial(link.found))
            .collect();
        if self.links.is_empty() {
            Verdict::Fails
        } else if self.end == End::Interrupted {
            Verdict::Unfinished
        } else if self.links.iter().any(|link| link.harm().next().is_some()) {
            Verdict::Hurts
        } else if ratio(&held_out) > 1.0 {
            Verdict::Lucky
        } else if self.links.iter().all(OnLink::is_own_as_good) {
            Verdict::OwnAsGood
        } else if self.plan.is_empty() {
            Verdict::Nothing
        } else if self.links.iter().any(OnLink::is_own_better) {
            Verdict::OwnBetter
        } else {
            Verdict::Better
        }
    }
}

impl OnLink {
    /// Returns what is known of a link when a search was stopped.
    pub(super) fn unfinished(trial: &Trial) -> Self {
        Self {
            place: trial.profile,
            round_trip: trial.round_trip,
            none: trial.none,
            own: None,
            found: trial.plan,
            bound: None,
        }
    }

    /// Returns where the plan that was found hurts.
    pub(super) fn harm(&self) -> impl Iterator<Item = Harm> + use<> {
        self.trial(self.found).harm()
    }

    /// Returns where the plan of `serve` hurts.
    pub(super) fn own_harm(&self) -> impl Iterator<Item = Harm> + use<> {
        self.trial(self.own).harm()
    }

    /// Returns the gain of a plan against nothing, as a part of a hundred, and whether it is beyond
    /// the band.
    pub(super) fn gain(&self, plan: Outcome) -> (f64, bool) {
        let (none, plan) = (ms(self.none.first_render), ms(plan.first_render));
        let gain = none - plan;
        let is_clear = gain.abs() > self.band();
        (gain / none.max(1e-3) * 100.0, is_clear)
    }

    fn trial(&self, plan: Option<Outcome>) -> Trial {
        Trial {
            profile: self.place,
            round_trip: self.round_trip,
            none: self.none,
            plan,
        }
    }

    fn band(&self) -> f64 {
        Band::new(ms(self.none.first_render), self.round_trip).width()
    }

    fn is_own_as_good(&self) -> bool {
        let (Some(own), Some(found)) = (self.own, self.found) else {
            return false;
        };
        ms(own.first_render) <= ms(found.first_render) + self.band()
            && own.bytes_wasted <= found.bytes_wasted
            && self.own_harm().next().is_none()
    }

    /// Returns whether the plan of `serve` is earlier beyond the band.
    pub(super) fn is_own_better(&self) -> bool {
        let (Some(own), Some(found)) = (self.own, self.found) else {
            return self.found.is_none();
        };
        ms(own.first_render) + self.band() < ms(found.first_render)
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
