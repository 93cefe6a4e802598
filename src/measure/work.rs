//! Which cells there are, and who measures them.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, bail};
use globset::GlobBuilder;
use indicatif::ProgressBar;

use super::cell::{self, Page, Place, Plan, Progress, Rig};
use super::findings::Cell;
use super::link::LinkOptions;
use super::remote::Remote;
use super::sample::Looks;
use super::stage::Stage;
use super::stop::Stop;
use super::{MeasureOptions, Subject};
use crate::site::{SiteOptions, SiteRoot, UrlPath};

/// Threads that simulate: each holds the site in memory.
const WORKERS_MAX: usize = 8;

/// Everything that is to be measured, in the order in which it is reported.
pub(super) struct Work<'a> {
    options: &'a MeasureOptions,
    places: Vec<Place>,
    looks: Arc<Looks>,
}

impl<'a> Work<'a> {
    /// Lists the cells.
    ///
    /// # Errors
    /// The site or a page is not there.
    pub(super) fn of(options: &'a MeasureOptions) -> anyhow::Result<Self> {
        let places = match &options.subject {
            Subject::Site {
                site, pages, links, ..
            } => {
                let pages = chosen(site, pages)?;
                every(&pages, options, |page| {
                    let on = |link: &LinkOptions| Page::Simulated(page.clone(), link.clone());
                    links.iter().map(on).collect()
                })
            }
            Subject::Urls { urls, .. } => every(urls, options, |url| vec![Page::Real(url.clone())]),
        };
        Ok(Self {
            options,
            places,
            looks: Arc::default(),
        })
    }

    /// Returns how many loads it takes at least.
    pub(super) fn loads_min(&self) -> usize {
        let deliveries = self.options.deliveries.len();
        let loads = |place: &Place| place.loads_min(deliveries, self.options.repeat, &self.looks);
        self.places.iter().map(loads).sum()
    }

    /// Measures until all is done, or until told to stop: then there is what was found until then.
    ///
    /// # Errors
    /// Nothing can be loaded at all.
    pub(super) fn measure(&self, stop: &Stop, bar: &ProgressBar) -> anyhow::Result<Vec<Cell>> {
        let next = AtomicUsize::new(0);
        let cells: Mutex<Vec<Option<Cell>>> = Mutex::new(vec![None; self.places.len()]);
        let places: Vec<_> = self.places.iter().enumerate().collect();
        let shares: Vec<_> = places.chunks(self.share()).collect();
        let work = || -> anyhow::Result<()> {
            let rig = self.rig(stop)?;
            while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                for &(index, place) in *share {
                    if stop.is_set() {
                        return Ok(());
                    }
                    let cell = self.cell(&rig, place, stop, bar)?;
                    cells.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(cell);
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers()).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| match worker.join() {
                    Ok(done) => done,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
        let cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(cells.into_iter().flatten().collect())
    }

    fn cell(
        &self,
        rig: &Rig,
        place: &Place,
        stop: &Stop,
        bar: &ProgressBar,
    ) -> anyhow::Result<Cell> {
        let plan = Plan {
            deliveries: &self.options.deliveries,
            client: &self.options.load_options(),
            looks: Arc::clone(&self.looks),
            repeat: self.options.repeat,
            keeps_exchanges: self.options.output.draws_exchanges(),
            stop,
            progress: &|progress| match progress {
                Progress::Loaded => bar.inc(1),
                Progress::More(loads) => bar.inc_length(loads as u64),
            },
        };
        cell::measure(rig, place, &plan)
    }

    fn rig(&self, stop: &Stop) -> anyhow::Result<Rig> {
        Ok(match &self.options.subject {
            Subject::Site { site, think, .. } => Rig::Simulated {
                stage: Box::new(Stage::open(site)?),
                think: *think,
            },
            Subject::Urls { urls, authorities } => {
                let remote = Remote::open(authorities)?;
                let round_trip = urls.first().map(|url| remote.check(url, stop));
                Rig::Real {
                    remote,
                    round_trip: round_trip.transpose()?.unwrap_or_default(),
                }
            }
        })
    }

    /// Returns how many places in a row one worker takes: all of a page, which it then reads once;
    /// but each alone where pages are few.
    fn share(&self) -> usize {
        let of_page = match &self.options.subject {
            Subject::Site { links, .. } => links.len() * self.options.visits.len(),
            Subject::Urls { .. } => 1,
        };
        if self.places.len() < 4 * of_page * self.workers() {
            return 1;
        }
        of_page.max(1)
    }

    /// Simulations take no notice of each other. Over the real network they would.
    fn workers(&self) -> usize {
        match self.options.subject {
            Subject::Site { .. } => thread::available_parallelism()
                .map_or(1, usize::from)
                .min(WORKERS_MAX)
                .min(self.places.len())
                .max(1),
            Subject::Urls { .. } => 1,
        }
    }
}

/// Returns the places of pages: each on every kind of visit, over every link.
fn every<P>(
    pages: &[P],
    options: &MeasureOptions,
    on_links: impl Fn(&P) -> Vec<Page>,
) -> Vec<Place> {
    let mut places = Vec::new();
    for page in pages {
        for &visit in &options.visits {
            let of_visit = |page| Place { page, visit };
            places.extend(on_links(page).into_iter().map(of_visit));
        }
    }
    places
}

/// Returns the pages of a site that patterns choose; all without patterns.
pub(super) fn chosen(site: &SiteOptions, patterns: &[String]) -> anyhow::Result<Vec<UrlPath>> {
    let root = SiteRoot::open(site.clone())?;
    let all: Vec<_> = root.pages()?.into_iter().map(shown).collect();
    if all.is_empty() {
        bail!("there is no HTML page in {}", site.root.display());
    }
    if patterns.is_empty() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .with_context(|| format!("--page {pattern} is no pattern"))?
            .compile_matcher();
        let found: Vec<_> = all
            .iter()
            .filter(|page| glob.is_match(page.as_str()) || glob.is_match(page.file().as_str()))
            .collect();
        if found.is_empty() {
            bail!(
                "--page {pattern} is no page of {}; pages are named by their paths, such as {}",
                site.root.display(),
                all[0]
            );
        }
        chosen.extend(found.into_iter().cloned());
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// Returns the path by which people ask for a page: its directory, for an index.
fn shown(page: UrlPath) -> UrlPath {
    page.directory().unwrap_or(page)
}
