//! One page on one kind of visit over one link: its deliveries side by side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::bound::{self, Terms};
use super::delivery::{Delivery, Way};
use super::findings::{Cell, LinkFacts, Row, Visit};
use super::link::LinkOptions;
use super::page_load::{Cache, LoadOptions};
use super::remote::Remote;
use super::sample::{Band, Comparison, Looks, Sampling, Side, Summary, holm};
use super::stage::{Run, Stage};
use super::stop::Stop;
use super::timeline::{Metric, Timeline, Totals};
use crate::site::UrlPath;

/// Segments of a handshake's flight, by which it opens the congestion window.
const HANDSHAKE_SEGMENTS: f64 = 3.0;

/// First loads of a page that fail before it is given up.
const FAILURES_SIMULATED: usize = 3;
const FAILURES_REAL: usize = 1;

/// Time between two visits: short lifetimes are over, so that validators are used; long ones are
/// not.
pub(super) const BETWEEN_VISITS: Duration = Duration::from_hours(24);

/// What loads pages.
pub(super) enum Rig {
    /// Over simulated links.
    Simulated {
        /// The site.
        stage: Box<Stage>,
        /// How long the server takes to make a page.
        think: Duration,
    },
    /// Over the real network.
    Real {
        /// The server.
        remote: Remote,
        /// Round-trip time to it.
        round_trip: Duration,
    },
}

/// What a cell is about.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) page: Page,
    pub(super) visit: Visit,
}

/// A page and what lies between it and the client.
#[derive(Debug, Clone)]
pub(super) enum Page {
    Simulated(UrlPath, LinkOptions),
    Real(Url),
}

/// What all cells have in common.
pub(super) struct Plan<'a> {
    pub(super) deliveries: &'a [Delivery],
    pub(super) client: &'a LoadOptions,
    pub(super) looks: Arc<Looks>,
    /// How often everything is loaded where once would do.
    pub(super) repeat: usize,
    /// Whether anybody will look at single exchanges.
    pub(super) keeps_exchanges: bool,
    /// What there is when it is set is what is found.
    pub(super) stop: &'a Stop,
    /// Told of loads that are done, and of more to come than was thought.
    pub(super) progress: &'a dyn Fn(Progress),
}

/// What is told of a measurement under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Another load is done.
    Loaded,
    /// So many loads are added to those that were expected.
    More(usize),
}

/// One load, and what is left of it.
#[derive(Debug, Clone)]
struct Loaded {
    /// Without exchanges if nobody will look at them.
    timeline: Timeline,
    totals: Totals,
}

/// The loads of one cell, as they come.
struct Loads<'a> {
    rig: &'a Rig,
    place: &'a Place,
    plan: &'a Plan<'a>,
    /// By delivery: what was loaded so far.
    loaded: Vec<Vec<Arc<Loaded>>>,
    /// By delivery: `load` of pairs in milliseconds, `none` first.
    load_pairs: Vec<Vec<(f64, f64)>>,
    /// Loads of `none` that repeat exactly, by seed.
    repeated: BTreeMap<u64, Arc<Loaded>>,
    /// Bytes of the document and of what else blocks rendering, as `none` loaded them.
    blocking_bytes: Option<(u64, u64)>,
    /// What a client that was there before holds, over the real network.
    held: Option<Cache>,
}

impl Place {
    /// Returns whether every load of it is like the first.
    pub(super) fn repeats_exactly(&self) -> bool {
        matches!(&self.page, Page::Simulated(_, link) if link.loss == 0.0)
    }

    /// Returns how many loads it takes at least.
    pub(super) fn loads_min(&self, deliveries: usize, repeat: usize, looks: &Looks) -> usize {
        if self.repeats_exactly() {
            return deliveries * repeat;
        }
        let pairs = looks.sizes().first().copied().unwrap_or_default();
        // Each delivery with its `none`, and `none` with itself.
        2 * pairs * deliveries
    }

    fn name(&self) -> String {
        match &self.page {
            Page::Simulated(page, _) => page.to_string(),
            Page::Real(url) => url.to_string(),
        }
    }

    fn link(&self, rig: &Rig) -> LinkFacts {
        match &self.page {
            Page::Simulated(_, link) => LinkFacts {
                name: link.name.clone(),
                round_trip: link.round_trip,
                down: link.down,
            },
            Page::Real(_) => LinkFacts {
                name: "the network".to_owned(),
                round_trip: match rig {
                    Rig::Real { round_trip, .. } => *round_trip,
                    Rig::Simulated { .. } => Duration::ZERO,
                },
                down: None,
            },
        }
    }
}

/// Measures a cell.
///
/// # Errors
/// Nothing can be loaded at all; a page that does not load is a finding.
pub(super) fn measure(rig: &Rig, place: &Place, plan: &Plan<'_>) -> anyhow::Result<Cell> {
    let mut loads = Loads {
        rig,
        place,
        plan,
        loaded: vec![Vec::new(); plan.deliveries.len()],
        load_pairs: vec![Vec::new(); plan.deliveries.len()],
        repeated: BTreeMap::new(),
        blocking_bytes: None,
        held: None,
    };
    let mut cell = Cell {
        page: place.name(),
        visit: place.visit,
        link: place.link(rig),
        rows: Vec::new(),
        control: None,
        bound: None,
    };
    if place.repeats_exactly() {
        loads.once_each()?;
        cell.bound = loads.bound();
        cell.rows = loads.exact_rows();
    } else {
        let (mut samplings, control) = loads.sample()?;
        // An interval that nobody corrected would be read as if there were no other.
        holm(&mut samplings, plan.looks.confidence());
        cell.bound = loads.bound();
        cell.rows = loads.sampled_rows(&samplings);
        cell.control = Some(control);
    }
    Ok(cell)
}

impl Loads<'_> {
    fn once_each(&mut self) -> anyhow::Result<()> {
        for delivery in 0..self.plan.deliveries.len() {
            let mut first = None;
            for time in 0..self.plan.repeat {
                if self.plan.stop.is_set() {
                    return Ok(());
                }
                let timeline = self.load(delivery, 0)?;
                if first
                    .as_ref()
                    .is_some_and(|first| Some(first) != timeline.as_ref())
                {
                    let (page, delivery) = (self.place.name(), &self.plan.deliveries[delivery]);
                    anyhow::bail!(
                        "load {} of {page} with {delivery} differs from the first: a simulation \
                         must repeat, so please report this",
                        time + 1
                    );
                }
                first = first.or(timeline);
            }
        }
        Ok(())
    }

    /// Loads pairs of `none` and another, in turns, until each difference is known.
    fn sample(&mut self) -> anyhow::Result<(Vec<Comparison>, Comparison)> {
        let others = self.plan.deliveries.len() - 1;
        let sampling = || {
            let round_trip = self.place.link(self.rig).round_trip;
            Sampling::new(Arc::clone(&self.plan.looks), round_trip, others)
        };
        // The last is `none` against itself.
        let mut samplings: Vec<_> = (0..=others).map(|_| sampling()).collect();
        let mut goes_on = true;
        while goes_on {
            goes_on = false;
            for (index, sampling) in samplings.iter_mut().enumerate() {
                let other = if index == others { 0 } else { index + 1 };
                let is_over = self.fails(0) || self.fails(other) || self.plan.stop.is_set();
                if !is_over && !sampling.is_done() {
                    goes_on = true;
                    self.pair(sampling, other)?;
                    self.expect_more(sampling);
                }
            }
        }
        let mut comparisons: Vec<_> = samplings.iter().map(Sampling::comparison).collect();
        let control = comparisons.pop().unwrap_or_else(|| sampling().comparison());
        Ok((comparisons, control))
    }

    /// Returns whether a page need not be loaded again with a delivery: it never does.
    fn fails(&self, delivery: usize) -> bool {
        let tries = match self.place.page {
            Page::Simulated(..) => FAILURES_SIMULATED,
            // What takes its whole time is not tried for hours.
            Page::Real(_) => FAILURES_REAL,
        };
        let first = self.loaded[delivery].get(..tries);
        first.is_some_and(|first| first.iter().all(|it| it.timeline.failure.is_some()))
    }

    /// Tells how many loads a sampling takes that is not done after a look.
    fn expect_more(&self, sampling: &Sampling) {
        let sizes = self.plan.looks.sizes();
        let tries = sampling.pairs().len() + sampling.failed();
        let look = sizes.iter().position(|&size| size == tries);
        let next = look.and_then(|look| sizes.get(look + 1));
        if let Some(next) = next.filter(|_| !sampling.is_done()) {
            (self.plan.progress)(Progress::More(2 * (next - tries)));
        }
    }

    fn pair(&mut self, sampling: &mut Sampling, other: usize) -> anyhow::Result<()> {
        let pair = (sampling.pairs().len() + sampling.failed()) as u64;
        let (mut none, mut with) = (None, None);
        for side in sampling.next_pair() {
            match side {
                Side::None => none = self.load(0, 2 * pair)?,
                Side::Other if self.fails(0) => {}
                Side::Other => with = self.load(other, 2 * pair + 1)?,
            }
        }
        // It was stopped between the two, or the first says all.
        let (Some(none), Some(with)) = (none, with) else {
            return Ok(());
        };
        let ms = |timeline: &Timeline, metric: Metric| match timeline.failure {
            None => milliseconds(metric.of(&timeline.marks)),
            Some(_) => f64::NAN,
        };
        let of = |metric| (ms(&none, metric), ms(&with, metric));
        let (first_renders, loads) = (of(Metric::FirstRender), of(Metric::Load));
        sampling.push(first_renders.0, first_renders.1);
        if (loads.0 - loads.1).is_finite() {
            self.load_pairs[other].push(loads);
        }
        Ok(())
    }

    /// Loads once; nothing comes of it if it was stopped.
    fn load(&mut self, delivery: usize, seed: u64) -> anyhow::Result<Option<Timeline>> {
        let sampled = !self.place.repeats_exactly();
        let known = self.repeated.get(&seed);
        if let Some(known) = known.filter(|_| delivery == 0 && sampled).cloned() {
            let timeline = known.timeline.clone();
            self.loaded[0].push(known);
            (self.plan.progress)(Progress::Loaded);
            return Ok(Some(timeline));
        }
        let timeline = match &self.place.page {
            Page::Simulated(page, link) => Some(self.simulate(page, link, delivery, seed)?),
            Page::Real(url) => self.fetch(url, delivery),
        };
        let Some(timeline) = timeline else {
            return Ok(None);
        };
        if delivery == 0 && self.blocking_bytes.is_none() {
            self.blocking_bytes = blocking_bytes(&timeline);
        }
        let loaded = Arc::new(Loaded {
            totals: timeline.totals(),
            timeline: self.kept(timeline.clone()),
        });
        if delivery == 0 && sampled && matches!(self.place.page, Page::Simulated(..)) {
            self.repeated.insert(seed, Arc::clone(&loaded));
        }
        // Of equal loads one is enough.
        if sampled || self.loaded[delivery].is_empty() {
            self.loaded[delivery].push(loaded);
        }
        (self.plan.progress)(Progress::Loaded);
        Ok(Some(timeline))
    }

    fn kept(&self, mut timeline: Timeline) -> Timeline {
        if !self.plan.keeps_exchanges {
            timeline.exchanges = Vec::new();
            timeline.arrivals = Vec::new();
            timeline.progress = Vec::new();
        }
        timeline
    }

    fn simulate(
        &self,
        page: &UrlPath,
        link: &LinkOptions,
        delivery: usize,
        seed: u64,
    ) -> anyhow::Result<Timeline> {
        let Rig::Simulated { stage, think } = self.rig else {
            anyhow::bail!("a page of a directory needs a simulated link");
        };
        let link = LinkOptions {
            seed: link.seed.wrapping_add(seed),
            ..link.clone()
        };
        stage.load(&Run {
            page,
            delivery: &self.plan.deliveries[delivery],
            visit: self.place.visit,
            link: &link,
            client: *self.plan.client,
            think: *think,
        })
    }

    /// Loads over the real network.
    fn fetch(&mut self, url: &Url, delivery: usize) -> Option<Timeline> {
        let Rig::Real { remote, .. } = self.rig else {
            return None;
        };
        let way = self.plan.deliveries[delivery].way;
        let options = LoadOptions {
            refuses_pushes: way != Way::Push,
            ignores_hints: !matches!(way, Way::Push | Way::Hints),
            ..*self.plan.client
        };
        let mut cache = Cache::default();
        if self.place.visit != Visit::First {
            if self.held.is_none() {
                remote.load(url, &mut cache, &options, self.plan.stop)?;
                cache.pass(BETWEEN_VISITS);
                self.held = Some(cache);
            }
            cache = self.held.clone().unwrap_or_default();
        }
        remote.load(url, &mut cache, &options, self.plan.stop)
    }

    /// Returns the earliest first render that any plan could attain (F11): the head of the document
    /// and all that blocks rendering, in one flight after another.
    fn bound(&self) -> Option<Duration> {
        let (Rig::Simulated { stage, think }, Page::Simulated(page, link)) =
            (self.rig, &self.place.page)
        else {
            return None;
        };
        if self.place.visit != Visit::First {
            return None;
        }
        // Where packets are lost, some handshakes are late by chance.
        let connected = self.loaded[0]
            .iter()
            .filter(|loaded| loaded.timeline.failure.is_none())
            .map(|loaded| loaded.timeline.marks.connected)
            .min()?;
        let (document, others) = self.blocking_bytes?;
        Grounds {
            stage,
            page,
            link,
            setup: connected,
            think: *think,
            client_delay: self.plan.client.client_delay,
            document,
            blocking: others,
        }
        .earliest()
    }

    fn exact_rows(self) -> Vec<Row> {
        let round_trip = self.place.link(self.rig).round_trip;
        let mut none: Option<[f64; 2]> = None;
        let mut rows = Vec::new();
        for (delivery, loaded) in self.plan.deliveries.iter().zip(self.loaded) {
            let Some(timeline) = loaded.first().map(|loaded| &loaded.timeline) else {
                break;
            };
            let found = [Metric::FirstRender, Metric::Load]
                .map(|metric| milliseconds(metric.of(&timeline.marks)));
            let failed = timeline.failure.is_some();
            let gain = |index: usize| {
                let none = none.filter(|_| !failed)?[index];
                Some(Comparison::exact(
                    none,
                    found[index],
                    Band::new(none, round_trip),
                ))
            };
            let (first, load) = (gain(0), gain(1));
            if rows.is_empty() && !failed {
                none = Some(found);
            }
            rows.push(row(delivery, loaded, first, load));
        }
        rows
    }

    fn sampled_rows(self, gains: &[Comparison]) -> Vec<Row> {
        let round_trip = self.place.link(self.rig).round_trip;
        let looks = Arc::clone(&self.plan.looks);
        let deliveries = self.plan.deliveries.iter().enumerate();
        deliveries
            .zip(self.loaded)
            .filter(|(_, loaded)| !loaded.is_empty())
            .map(|((index, delivery), loaded)| {
                let gain = index.checked_sub(1).map(|index| gains[index]);
                let load_gain = gain.map(|_| {
                    let pairs = &self.load_pairs[index];
                    let none: Vec<_> = pairs.iter().map(|pair| pair.0).collect();
                    let band = Band::new(Summary::of(&none).p50, round_trip);
                    Comparison::paired(pairs, band, &looks)
                });
                row(delivery, loaded, gain, load_gain)
            })
            .collect()
    }
}

/// Returns the earliest first render that any plan could attain (F11).
///
/// - `none`: a load without help.
pub(super) fn attainable(
    stage: &Stage,
    page: &UrlPath,
    link: &LinkOptions,
    none: &Timeline,
    think: Duration,
    client_delay: Duration,
) -> Option<Duration> {
    let (document, blocking) = blocking_bytes(none)?;
    let setup = none.marks.connected;
    Grounds {
        stage,
        page,
        link,
        setup,
        think,
        client_delay,
        document,
        blocking,
    }
    .earliest()
}

/// What bounds a first render.
struct Grounds<'a> {
    stage: &'a Stage,
    page: &'a UrlPath,
    link: &'a LinkOptions,
    setup: Duration,
    think: Duration,
    client_delay: Duration,
    /// Bytes of the document.
    document: u64,
    /// Bytes of what else blocks rendering.
    blocking: u64,
}

impl Grounds<'_> {
    /// The opening of the document and all that blocks rendering, in one flight after another.
    fn earliest(&self) -> Option<Duration> {
        let bytes = |bytes: u64| u32::try_from(bytes).map_or(f64::INFINITY, f64::from);
        let rate = self.link.down.map_or(f64::INFINITY, |bits| bytes(bits / 8));
        let opening = self.stage.opening_length(self.page, self.document);
        let terms = Terms {
            round_trip: self.link.round_trip.as_secs_f64(),
            rate,
            // The handshake has opened the window by the segments that it took.
            window: bound::FIRST_FLIGHT + HANDSHAKE_SEGMENTS * bound::SEGMENT,
            setup: self.setup.as_secs_f64(),
            think: self.think.as_secs_f64(),
            client_delay: self.client_delay.as_secs_f64(),
            html: bytes(opening),
            critical: bytes(self.blocking),
        };
        terms.first_render_bound()
    }
}

/// Returns the bytes of a document and of what else blocks rendering.
fn blocking_bytes(timeline: &Timeline) -> Option<(u64, u64)> {
    let (document, others) = timeline.exchanges.split_first()?;
    let blocking = others.iter().filter(|exchange| exchange.blocks_render);
    Some((
        document.bytes,
        blocking.map(|exchange| exchange.bytes).sum(),
    ))
}

/// Sums up the loads of a delivery; shows the one whose first render is the median.
fn row(
    delivery: &Delivery,
    mut loaded: Vec<Arc<Loaded>>,
    gain: Option<Comparison>,
    load_gain: Option<Comparison>,
) -> Row {
    let failed = |loaded: &Arc<Loaded>| loaded.timeline.failure.is_some();
    loaded.sort_by_key(|loaded| (failed(loaded), loaded.timeline.marks.first_render));
    let whole = loaded.partition_point(|loaded| !failed(loaded));
    let metrics = Metric::ALL.map(|metric| {
        let of = |loaded: &Arc<Loaded>| milliseconds(metric.of(&loaded.timeline.marks));
        Summary::of(&loaded[..whole].iter().map(of).collect::<Vec<_>>())
    });
    let Loaded { timeline, totals } =
        Arc::unwrap_or_clone(loaded.swap_remove(whole.saturating_sub(1) / 2));
    Row {
        delivery: delivery.name.clone(),
        metrics,
        totals,
        gain,
        load_gain,
        timeline,
    }
}

/// Returns a time in milliseconds.
fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
