//! Loads a page with plans, on links to seek on and on others to check.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use super::found::{Best, OnLink, Sent};
use crate::measure::cell;
use crate::measure::delivery::Delivery;
use crate::measure::findings::Visit;
use crate::measure::link::LinkOptions;
use crate::measure::page_load::LoadOptions;
use crate::measure::search::{Candidate, EVALUATIONS_MAX, End, Outcome, Profile, Trial, search};
use crate::measure::stage::{Run, Stage};
use crate::measure::timeline::Timeline;
use crate::site::graph::Target;
use crate::site::plan::{Item, Overrides, Skip};
use crate::site::{SiteOptions, SiteUrl, UrlPath};

/// Links that a plan is checked on after it was found on others.
const HELD_OUT: [&str; 4] = [
    "cable",
    "3g",
    "satellite",
    "rtt=150ms,down=1.6M,up=750k,loss=1%",
];
/// Loads of which the median counts where packets are lost, while a plan is sought.
const SEEDS_SOUGHT: u64 = 7;
/// The same where it is checked: one look of a sampled measurement.
const SEEDS_CHECKED: u64 = 31;

/// A link, and the losses on it: one for each seed.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// How it is reported.
    pub(super) name: String,
    pub(super) is_held_out: bool,
    link: LinkOptions,
    seeds: Range<u64>,
}

/// What all workers load with.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    pub(super) places: Vec<Place>,
    pub(super) client: LoadOptions,
    /// How long the server takes to make a page.
    pub(super) think: Duration,
}

/// A worker's own site, and what it loads with.
pub(super) struct Seeker<'a> {
    stage: Stage,
    conditions: &'a Conditions,
}

/// The loads of one page.
struct Loads<'a> {
    seeker: &'a Seeker<'a>,
    page: &'a UrlPath,
    count: Cell<usize>,
    /// Why the page did not load, the first time that it did not.
    failure: RefCell<Option<String>>,
    /// Told after each load; says whether to go on.
    loaded: &'a dyn Fn() -> ControlFlow<()>,
}

/// What may be sent ahead with a page, as its plan has it.
struct Pushable {
    urls: Vec<SiteUrl>,
    candidates: Vec<Candidate>,
    /// What `serve` sends by itself, as indices.
    own: Vec<usize>,
}

impl Place {
    /// Returns a place; where packets are lost, with as many losses as it takes.
    pub(super) fn new(link: LinkOptions, is_held_out: bool) -> Self {
        let seeds = match (link.loss > 0.0, is_held_out) {
            (false, _) => 0..1,
            (true, false) => 0..SEEDS_SOUGHT,
            (true, true) => 0..SEEDS_CHECKED,
        };
        Self {
            name: link.name.clone(),
            is_held_out,
            link,
            seeds,
        }
    }

    /// Returns the same link with losses that were not seen while seeking.
    fn with_other_losses(&self) -> Self {
        Self {
            name: format!("{}, other losses", self.name),
            is_held_out: true,
            link: self.link.clone(),
            seeds: SEEDS_SOUGHT..SEEDS_SOUGHT + SEEDS_CHECKED,
        }
    }

    fn loads(&self) -> usize {
        usize::try_from(self.seeds.end - self.seeds.start).unwrap_or(usize::MAX)
    }

    fn profile(&self) -> Profile {
        Profile {
            name: self.name.clone(),
            round_trip: self.link.round_trip,
            is_held_out: self.is_held_out,
        }
    }
}

impl Conditions {
    /// Returns conditions with the links to seek on, and others held out: links, and losses.
    ///
    /// # Errors
    /// None that is known: a link that is held out may have no such name.
    pub(super) fn new(
        links: &[LinkOptions],
        client: LoadOptions,
        think: Duration,
    ) -> anyhow::Result<Self> {
        let sought = links.iter().map(|link| Place::new(link.clone(), false));
        let mut places: Vec<_> = sought.collect();
        let lossy = places.iter().filter(|place| place.link.loss > 0.0);
        places.extend(lossy.map(Place::with_other_losses).collect::<Vec<_>>());
        for name in HELD_OUT {
            let link: LinkOptions = name.parse()?;
            if links.iter().all(|sought| sought.name != link.name) {
                places.push(Place::new(link, true));
            }
        }
        Ok(Self {
            places,
            client,
            think,
        })
    }

    /// Returns the names of the links to seek on, or of those held out.
    pub(super) fn names(&self, is_held_out: bool) -> Vec<&str> {
        let of = self.places.iter();
        of.filter(|place| place.is_held_out == is_held_out)
            .map(|place| place.name.as_str())
            .collect()
    }

    /// Returns the loads that a page may take while its plan is sought, and after.
    pub(super) fn loads_max(&self) -> usize {
        let checks = self.places.iter().map(|place| 3 * place.loads());
        EVALUATIONS_MAX + checks.sum::<usize>()
    }

    /// Returns how often a plan may be tried: the loads are bounded, however many a trial takes.
    fn evaluations_max(&self) -> usize {
        let sought = || self.places.iter().filter(|place| !place.is_held_out);
        let loads = sought().map(Place::loads).sum::<usize>().max(1);
        EVALUATIONS_MAX * sought().count() / loads
    }
}

impl<'a> Seeker<'a> {
    /// Opens a site; its `push.toml` has no say.
    ///
    /// # Errors
    /// The directory cannot be served.
    pub(super) fn open(site: &SiteOptions, conditions: &'a Conditions) -> anyhow::Result<Self> {
        let stage = Stage::open(site)?;
        let root = stage.site(&Delivery::none());
        root.put_overrides(Overrides::default());
        Ok(Self { stage, conditions })
    }

    /// Seeks the best plan of a page.
    ///
    /// - `loaded`: told after each load; says whether to go on.
    pub(super) fn seek(&self, page: UrlPath, loaded: &dyn Fn() -> ControlFlow<()>) -> Best {
        let pushable = self.pushable(&page);
        let loads = Loads {
            seeker: self,
            page: &page,
            count: Cell::new(0),
            failure: RefCell::default(),
            loaded,
        };
        let places = &self.conditions.places;
        let profiles: Vec<_> = places.iter().map(Place::profile).collect();
        let found = search(
            &pushable.candidates,
            &profiles,
            std::slice::from_ref(&pushable.own),
            self.conditions.evaluations_max(),
            |order, profile| loads.outcome(&pushable.plan(&page, order), &places[profile]),
            |_| loaded(),
        );
        let own = Delivery::plan("own", Overrides::default());
        let on_link = |trial: &Trial| loads.on_link(trial, &own);
        let trials = found.training.iter().chain(&found.held_out);
        let links = match found.end {
            End::Interrupted => found.training.iter().map(OnLink::unfinished).collect(),
            End::Converged | End::Spent => trials.map(on_link).collect(),
        };
        Best {
            plan: pushable.sent(&found.order),
            own: pushable.sent(&pushable.own),
            candidates: pushable.urls.len(),
            links,
            loads: loads.count.get(),
            end: found.end,
            failure: loads.failure.into_inner(),
            page,
        }
    }

    fn pushable(&self, page: &UrlPath) -> Pushable {
        let site = self.stage.site(&Delivery::none()).prepare_blocking(page);
        let items = site
            .page(page.as_str())
            .map_or(&[][..], |page| &page.plan.items);
        let mut places = BTreeMap::new();
        let mut pushable = Pushable {
            urls: Vec::new(),
            candidates: Vec::new(),
            own: Vec::new(),
        };
        for (index, item) in items.iter().enumerate() {
            let Some((url, bytes)) = of_item(item) else {
                continue;
            };
            let place = pushable.urls.len();
            places.insert(index, place);
            let behind = item.subresource.behind;
            pushable.urls.push(url.clone());
            pushable.candidates.push(Candidate {
                url: url.target().to_owned(),
                bytes,
                behind: behind.and_then(|index| places.get(&index).copied()),
            });
            if item.skip.is_none() {
                pushable.own.push(place);
            }
        }
        pushable
    }
}

/// Returns what of an item can be pushed to every client.
fn of_item(item: &Item) -> Option<(&SiteUrl, u64)> {
    match (&item.subresource.target, item.file, item.skip) {
        (_, _, Some(Skip::Obstacle(_) | Skip::NotEveryClient)) => None,
        (Target::Here(url), Some(file), _) => Some((url, file.length)),
        _ => None,
    }
}

impl Pushable {
    fn plan(&self, page: &UrlPath, order: &[usize]) -> Delivery {
        if order.is_empty() {
            return Delivery::none();
        }
        let push = order.iter().map(|&index| self.urls[index].clone());
        Delivery::plan("found", Overrides::of_page(page.clone(), push.collect()))
    }

    fn sent(&self, order: &[usize]) -> Vec<Sent> {
        let sent = |&index: &usize| Sent {
            url: self.candidates[index].url.clone(),
            bytes: self.candidates[index].bytes,
        };
        order.iter().map(sent).collect()
    }
}

impl Loads<'_> {
    /// Loads once for each seed of a place; returns the median of each metric.
    fn outcome(&self, delivery: &Delivery, place: &Place) -> Option<Outcome> {
        let seeds = place.seeds.clone();
        let outcomes = seeds.map(|seed| self.load(delivery, place, seed).map(|t| outcome(&t)));
        outcomes.collect::<Option<Vec<_>>>().map(|all| median(&all))
    }

    /// Adds to a trial what `serve` attains by itself, and what could be attained.
    fn on_link(&self, trial: &Trial, own: &Delivery) -> OnLink {
        let place = &self.seeker.conditions.places[trial.profile];
        let conditions = self.seeker.conditions;
        // What was lost on the way to the page would count as unavoidable.
        let lossless = Place::new(
            LinkOptions {
                loss: 0.0,
                ..place.link.clone()
            },
            place.is_held_out,
        );
        let none = self.load(&Delivery::none(), &lossless, 0);
        let bound = none.and_then(|none| {
            let delay = conditions.client.client_delay;
            let (stage, link) = (&self.seeker.stage, &place.link);
            cell::attainable(stage, self.page, link, &none, conditions.think, delay)
        });
        OnLink {
            place: trial.profile,
            round_trip: trial.round_trip,
            none: trial.none,
            own: self.outcome(own, place),
            found: trial.plan,
            bound,
        }
    }

    fn load(&self, delivery: &Delivery, place: &Place, seed: u64) -> Option<Timeline> {
        let link = LinkOptions {
            seed: place.link.seed.wrapping_add(seed),
            ..place.link.clone()
        };
        let loaded = self.seeker.stage.load(&Run {
            page: self.page,
            delivery,
            visit: Visit::First,
            link: &link,
            client: self.seeker.conditions.client,
            think: self.seeker.conditions.think,
        });
        self.count.set(self.count.get() + 1);
        // Whether to go on is asked again after the plan.
        let _ = (self.loaded)();
        let failure = match loaded {
            Ok(timeline) if timeline.failure.is_none() => return Some(timeline),
            Ok(timeline) => timeline.failure,
            Err(error) => Some(format!("{error:#}")),
        };
        let mut first = self.failure.borrow_mut();
        *first = first.take().or(failure);
        None
    }
}

fn outcome(timeline: &Timeline) -> Outcome {
    Outcome {
        first_render: timeline.marks.first_render,
        largest_content: timeline.marks.largest_content,
        load: timeline.marks.load,
        bytes_wasted: timeline.totals().bytes_wasted,
    }
}

/// Returns the median of each metric; of an even number the lower one.
fn median(outcomes: &[Outcome]) -> Outcome {
    fn of<T: Ord + Copy + Default>(outcomes: &[Outcome], metric: impl Fn(&Outcome) -> T) -> T {
        let mut values: Vec<_> = outcomes.iter().map(metric).collect();
        values.sort_unstable();
        let middle = values.len().saturating_sub(1) / 2;
        values.get(middle).copied().unwrap_or_default()
    }
    Outcome {
        first_render: of(outcomes, |outcome| outcome.first_render),
        largest_content: of(outcomes, |outcome| outcome.largest_content),
        load: of(outcomes, |outcome| outcome.load),
        bytes_wasted: of(outcomes, |outcome| outcome.bytes_wasted),
    }
}
