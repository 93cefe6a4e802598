//! The root of `forerun measure`: pages x visits x links x deliveries x samples -> report.
//!
//! ```text
//! measure  -> a worker a core, each with a site of its own (simulated), or one (real network)
//!          -> cell: one page, visit and link -> rows: its deliveries, sampled
//!          -> stage (server, link, loader) or remote (socket, loader) -> Timeline
//!          -> Findings -> report
//! ```
//!
//! Events are measured apart, on the same links: [`events`].
//!
//! Read on in [`link`] (the simulated network), [`page_load`] (what a browser does), [`sample`]
//! (numbers to verdict), [`search`] (the best plan), [`timeline`] and [`findings`] (what is
//! recorded), [`report`] (words and pictures).

mod best;
pub mod bound;
mod cell;
pub mod delivery;
pub mod events;
pub mod findings;
pub mod link;
mod notes;
pub mod page_load;
mod remote;
pub mod report;
pub mod sample;
pub mod search;
mod stage;
mod stop;
pub mod timeline;
pub mod validate;
mod work;

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use url::Url;

use self::delivery::Delivery;
use self::findings::{Findings, Visit};
use self::link::LinkOptions;
use self::page_load::{Client, Limits, LoadOptions};
use self::report::Pages;
use self::stop::Stop;
use self::work::Work;
use crate::site::SiteOptions;
use crate::terminal::Style;

/// What `forerun measure` was told.
#[derive(Debug, Clone)]
pub struct MeasureOptions {
    /// What is measured.
    pub subject: Subject,
    /// How what a page needs is sent: `none` first.
    pub deliveries: Vec<Delivery>,
    /// What the client holds.
    pub visits: Vec<Visit>,
    /// The client.
    pub client: Client,
    /// From bytes arriving to a request leaving.
    pub client_delay: Duration,
    /// How long a page may take to load.
    pub timeout: Duration,
    /// How often every load is simulated where once would do; it is an error if one differs.
    pub repeat: usize,
    /// Whether the best plan is looked for.
    pub search: Option<Search>,
    /// Whether the simulation is compared with published measurements, and nothing else.
    pub validate: bool,
    /// Where the report goes.
    pub output: Output,
}

/// What becomes of the best plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The file that it is written to.
    pub save: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Pages of a directory, on simulated links.
    Site {
        /// The directory.
        site: SiteOptions,
        /// Patterns of pages; empty means all.
        pages: Vec<String>,
        /// The links.
        links: Vec<LinkOptions>,
        /// How long the server takes to make each page.
        think: Duration,
    },
    /// Pages of any HTTP/2 server, over the real network.
    Urls {
        /// The pages.
        urls: Vec<Url>,
        /// Certificates of authorities besides the system's, in PEM.
        authorities: Vec<PathBuf>,
    },
}

/// Where the report goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// JSON on standard output, in place of tables.
    pub json: bool,
    /// An HTTP archive.
    pub har: Option<PathBuf>,
    /// A page with pictures.
    pub html: Option<PathBuf>,
    /// One picture: the first page and link, with the last delivery over none.
    pub svg: Option<PathBuf>,
}

impl MeasureOptions {
    /// Returns how pages are loaded.
    fn load_options(&self) -> LoadOptions {
        LoadOptions {
            client: self.client,
            client_delay: self.client_delay,
            limits: Limits {
                duration: self.timeout,
                ..Limits::default()
            },
            ..LoadOptions::default()
        }
    }
}

impl Output {
    /// Returns whether anything shows single exchanges.
    fn draws_exchanges(&self) -> bool {
        self.json || self.har.is_some() || self.html.is_some() || self.svg.is_some()
    }
}

/// Measures, and reports.
///
/// # Errors
/// The site, a page or the server is not there, or the report cannot be written; or some page did
/// not load, which is said once everything is reported.
pub fn run(options: &MeasureOptions) -> anyhow::Result<()> {
    if options.validate {
        return validate::run();
    }
    let save = options
        .search
        .as_ref()
        .and_then(|search| search.save.as_ref());
    let Output { har, html, svg, .. } = &options.output;
    let files = [har.as_ref(), html.as_ref(), svg.as_ref(), save];
    for path in files.into_iter().flatten() {
        report::check(path)?;
    }
    let stop = Stop::on_interrupt()?;
    if let Some(search) = &options.search {
        return best::run(options, search, stop.flag());
    }
    let findings = findings(options, &stop)?;
    if findings.cells.is_empty() {
        bail!("stopped before anything was measured");
    }
    let mut out = BufWriter::new(io::stdout().lock());
    write(&findings, options, &mut out)?;
    out.flush()?;
    complain(&findings)
}

/// Measures, and writes what `run` prints into `out`.
///
/// # Errors
/// As [`run`].
pub fn write_report(options: &MeasureOptions, out: &mut dyn io::Write) -> anyhow::Result<()> {
    let findings = findings(options, &Stop::default())?;
    write(&findings, options, out)?;
    complain(&findings)
}

/// Measures until all is done, or until told to stop.
fn findings(options: &MeasureOptions, stop: &Stop) -> anyhow::Result<Findings> {
    let work = Work::of(options)?;
    let bar = bar(work.loads_min());
    let measured = work.measure(stop, &bar);
    bar.finish_and_clear();
    let mut cells = measured?;
    cells.retain(|cell| !cell.rows.is_empty());
    let (subject, think, simulated) = match &options.subject {
        Subject::Site { site, think, .. } => (site.root.display().to_string(), *think, true),
        Subject::Urls { urls, .. } => (
            urls[0].origin().ascii_serialization(),
            Duration::ZERO,
            false,
        ),
    };
    let mut findings = Findings {
        subject,
        client: options.client.name().to_owned(),
        simulated,
        think,
        client_delay: options.client_delay,
        cells,
        notes: Vec::new(),
        interrupted: stop.is_set(),
    };
    findings.notes = notes::of(&findings);
    Ok(findings)
}

/// Writes the report in every form that was asked for.
fn write(
    findings: &Findings,
    options: &MeasureOptions,
    mut out: &mut dyn io::Write,
) -> anyhow::Result<()> {
    let Output {
        json,
        har,
        html,
        svg,
    } = &options.output;
    if let Some(path) = html {
        report::save(path, |file| {
            file.write_all(report::html(findings).as_bytes())
        })?;
    }
    if let Some(path) = svg
        && let Some(cell) = findings.cells.first()
        && let Some(row) = cell.rows.last()
        && let Some(picture) = report::picture(cell, &row.delivery)
    {
        report::save(path, |file| file.write_all(picture.as_bytes()))?;
    }
    if let Some(path) = har {
        // A simulation has no day.
        let start = if findings.simulated {
            SystemTime::UNIX_EPOCH
        } else {
            SystemTime::now()
        };
        report::save(path, |mut file| {
            report::write_har(&mut file, findings, start)
        })?;
    }
    if *json {
        report::write_json(&mut out, findings)?;
    } else {
        let chosen = match &options.subject {
            Subject::Site { pages, .. } => !pages.is_empty(),
            Subject::Urls { .. } => true,
        };
        let pages = if chosen { Pages::All } else { Pages::IfFew };
        report::write_table(&mut out, findings, pages, Style::of_stdout())?;
    }
    Ok(())
}

/// Makes an error of pages that did not load even without help.
fn complain(findings: &Findings) -> anyhow::Result<()> {
    let failures = findings.cells.iter().filter_map(|cell| {
        let failure = cell
            .rows
            .iter()
            .find_map(|row| row.timeline.failure.as_ref())?;
        Some((&cell.page, failure))
    });
    let mut failures = failures.peekable();
    let Some(&(page, failure)) = failures.peek() else {
        return Ok(());
    };
    let mut pages: Vec<_> = failures.map(|(page, _)| page).collect();
    pages.dedup();
    match pages.len() - 1 {
        0 => bail!("{page} did not load: {failure}"),
        more => bail!("{page} did not load: {failure}; and {more} more did not"),
    }
}

/// Shows how long it still takes, where somebody looks.
fn bar(loads: usize) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} loads, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(loads as u64), target).with_style(style)
}
