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
use super::timeline::{Metric, Timeline};
use crate::site::UrlPath;

/// Segments of a handshake's flight, by which it opens the congestion window.
const HANDSHAKE_SEGMENTS: f64 = 3.0;

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
    Real(Remote),
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
    /// Asked between two loads; what there is then is what is found.
    pub(super) is_stopped: &'a dyn Fn() -> bool,
    /// Told after each load.
    pub(super) loaded: &'a dyn Fn(),
}

/// The loads of one cell, as they come.
struct Loads<'a> {
    rig: &'a Rig,
    place: &'a Place,
    plan: &'a Plan<'a>,
    /// By delivery: what was loaded so far.
    timelines: Vec<Vec<Timeline>>,
    /// Loads of `none` that repeat exactly, by seed.
    repeated: BTreeMap<u64, Timeline>,
}

impl Place {
    /// Returns whether every load of it is like the first.
    pub(super) fn repeats_exactly(&self) -> bool {
        matches!(&self.page, Page::Simulated(_, link) if link.loss == 0.0)
    }

    /// Returns how many loads it takes at least.
    pub(super) fn loads_min(&self, deliveries: usize, looks: &Looks) -> usize {
        if self.repeats_exactly() {
            return deliveries;
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

    fn link(&self) -> LinkFacts {
        match &self.page {
            Page::Simulated(_, link) => LinkFacts {
                name: link.name.clone(),
                round_trip: link.round_trip,
                down: link.down,
            },
            Page::Real(_) => LinkFacts {
                name: "the network".to_owned(),
                round_trip: Duration::ZERO,
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
        timelines: vec![Vec::new(); plan.deliveries.len()],
        repeated: BTreeMap::new(),
    };
    let mut cell = Cell {
        page: place.name(),
        visit: place.visit,
        link: place.link(),
        rows: Vec::new(),
        control: None,
        bound: None,
    };
    if place.repeats_exactly() {
        loads.once_each()?;
        cell.rows = loads.exact_rows();
    } else {
        let (mut samplings, control) = loads.sample()?;
        // An interval that nobody corrected would be read as if there were no other.
        holm(&mut samplings, plan.looks.confidence());
        cell.rows = loads.sampled_rows(&samplings);
        cell.control = Some(control);
    }
    cell.bound = bound(rig, place, plan, &cell.rows);
    Ok(cell)
}

/// Returns the earliest first render that any plan could attain (F11): the head of the document and
/// all that blocks rendering, in one flight after another.
fn bound(rig: &Rig, place: &Place, plan: &Plan<'_>, rows: &[Row]) -> Option<Duration> {
    let (Rig::Simulated { stage, think }, Page::Simulated(page, link)) = (rig, &place.page) else {
        return None;
    };
    let none = &rows
        .first()
        .filter(|_| place.visit == Visit::First)?
        .timeline;
    let (document, others) = none.exchanges.split_first()?;
    let blocking = others.iter().filter(|exchange| exchange.blocks_render);
    let bytes = |bytes: u64| u32::try_from(bytes).map_or(f64::INFINITY, f64::from);
    let terms = Terms {
        round_trip: link.round_trip.as_secs_f64(),
        rate: link.down.map_or(f64::INFINITY, |bits| bytes(bits / 8)),
        // The handshake has opened the window by the segments that it took.
        window: bound::FIRST_FLIGHT + HANDSHAKE_SEGMENTS * bound::SEGMENT,
        setup: none.marks.connected.as_secs_f64(),
        think: think.as_secs_f64(),
        client_delay: plan.client.client_delay.as_secs_f64(),
        html: bytes(document.bytes.min(stage.opening_length(page))),
        critical: bytes(blocking.map(|exchange| exchange.bytes).sum()),
    };
    terms.first_render_bound()
}

impl Loads<'_> {
    fn once_each(&mut self) -> anyhow::Result<()> {
        for delivery in 0..self.plan.deliveries.len() {
            if (self.plan.is_stopped)() {
                break;
            }
            self.load(delivery, 0)?;
        }
        Ok(())
    }

    /// Loads pairs of `none` and another, in turns, until each difference is known.
    fn sample(&mut self) -> anyhow::Result<(Vec<Comparison>, Comparison)> {
        let others = self.plan.deliveries.len() - 1;
        let sampling = || {
            let round_trip = self.place.link().round_trip;
            Sampling::new(Arc::clone(&self.plan.looks), round_trip, others)
        };
        // The last is `none` against itself.
        let mut samplings: Vec<_> = (0..=others).map(|_| sampling()).collect();
        while samplings.iter().any(|sampling| !sampling.is_done()) {
            for (index, sampling) in samplings.iter_mut().enumerate() {
                if sampling.is_done() {
                    continue;
                }
                if (self.plan.is_stopped)() {
                    break;
                }
                let other = if index == others { 0 } else { index + 1 };
                self.pair(sampling, other)?;
            }
            if (self.plan.is_stopped)() {
                break;
            }
        }
        let mut comparisons: Vec<_> = samplings.iter().map(Sampling::comparison).collect();
        let control = comparisons.pop().unwrap_or_else(|| sampling().comparison());
        Ok((comparisons, control))
    }

    fn pair(&mut self, sampling: &mut Sampling, other: usize) -> anyhow::Result<()> {
        let pair = (sampling.pairs().len() + sampling.failed()) as u64;
        let (mut none_ms, mut other_ms) = (f64::NAN, f64::NAN);
        for side in sampling.next_pair() {
            match side {
                Side::None => none_ms = self.load(0, 2 * pair)?,
                Side::Other => other_ms = self.load(other, 2 * pair + 1)?,
            }
        }
        sampling.push(none_ms, other_ms);
        Ok(())
    }

    /// Loads once; returns the first render in milliseconds, not a number if the load failed.
    fn load(&mut self, delivery: usize, seed: u64) -> anyhow::Result<f64> {
        let timeline = match &self.place.page {
            Page::Simulated(..) if delivery == 0 && self.repeated.contains_key(&seed) => {
                self.repeated[&seed].clone()
            }
            Page::Simulated(page, link) => {
                let timeline = self.simulate(page, link, delivery, seed)?;
                if delivery == 0 {
                    self.repeated.insert(seed, timeline.clone());
                }
                timeline
            }
            Page::Real(url) => self.fetch(url, delivery),
        };
        let first_render = match timeline.failure {
            None => milliseconds(timeline.marks.first_render),
            Some(_) => f64::NAN,
        };
        self.timelines[delivery].push(timeline);
        (self.plan.loaded)();
        Ok(first_render)
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

    fn fetch(&self, url: &Url, delivery: usize) -> Timeline {
        let Rig::Real(remote) = self.rig else {
            return Timeline::default();
        };
        let way = self.plan.deliveries[delivery].way;
        let options = LoadOptions {
            refuses_pushes: way != Way::Push,
            ignores_hints: !matches!(way, Way::Push | Way::Hints),
            ..*self.plan.client
        };
        let mut cache = Cache::default();
        if self.place.visit != Visit::First {
            remote.load(url, &mut cache, &options);
        }
        remote.load(url, &mut cache, &options)
    }

    fn exact_rows(self) -> Vec<Row> {
        let round_trip = self.place.link().round_trip;
        let mut none: Option<[f64; 2]> = None;
        let mut rows = Vec::new();
        for (delivery, timelines) in self.plan.deliveries.iter().zip(self.timelines) {
            let Some(timeline) = timelines.into_iter().next() else {
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
            rows.push(row(delivery, vec![timeline], first, load));
        }
        rows
    }

    fn sampled_rows(self, gains: &[Comparison]) -> Vec<Row> {
        let round_trip = self.place.link().round_trip;
        let loads = |timelines: &[Timeline]| -> Vec<f64> {
            let loaded = timelines
                .iter()
                .filter(|timeline| timeline.failure.is_none());
            loaded
                .map(|timeline| milliseconds(timeline.marks.load))
                .collect()
        };
        let none = loads(&self.timelines[0]);
        let band = Band::new(Summary::of(&none).p50, round_trip);
        let looks = Arc::clone(&self.plan.looks);
        let deliveries = self.plan.deliveries.iter().enumerate();
        deliveries
            .zip(self.timelines)
            .filter(|(_, timelines)| !timelines.is_empty())
            .map(|((index, delivery), timelines)| {
                let gain = index.checked_sub(1).map(|index| gains[index]);
                let load_gain = gain.map(|_| {
                    let others = loads(&timelines);
                    let pairs: Vec<_> = none.iter().copied().zip(others).collect();
                    Comparison::paired(&pairs, band, &looks)
                });
                row(delivery, timelines, gain, load_gain)
            })
            .collect()
    }
}

/// Sums up the loads of a delivery; shows the one whose first render is the median.
fn row(
    delivery: &Delivery,
    mut timelines: Vec<Timeline>,
    gain: Option<Comparison>,
    load_gain: Option<Comparison>,
) -> Row {
    timelines.sort_by_key(|timeline| (timeline.failure.is_some(), timeline.marks.first_render));
    let loaded = timelines.partition_point(|timeline| timeline.failure.is_none());
    let metrics = Metric::ALL.map(|metric| {
        let of = |timeline: &Timeline| milliseconds(metric.of(&timeline.marks));
        Summary::of(&timelines[..loaded].iter().map(of).collect::<Vec<_>>())
    });
    let timeline = timelines.swap_remove(loaded.saturating_sub(1) / 2);
    Row {
        delivery: delivery.name.clone(),
        metrics,
        totals: timeline.totals(),
        gain,
        load_gain,
        timeline,
    }
}

/// Returns a time in milliseconds.
fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
