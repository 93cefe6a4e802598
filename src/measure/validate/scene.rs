//! Made-up pages on a simulated link, and how they load: what the cases have in common.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;

use crate::measure::delivery::Delivery;
use crate::measure::findings::Visit;
use crate::measure::link::LinkOptions;
use crate::measure::page_load::LoadOptions;
use crate::measure::stage::{Run, Stage};
use crate::measure::timeline::{Kind, Timeline};
use crate::site::plan::Overrides;
use crate::site::{SiteUrl, UrlPath};

/// Where the page of a scene is; without its slash it redirects to itself, which makes the
/// connection a used one.
const PAGE: &str = "/page/";

/// Bytes on the link for a byte of a large body: packets of 1500 that carry 1460, full TLS records,
/// and frame headers. Rates that were measured are of what arrived.
const OVERHEAD: f64 = (1500.0 / 1460.0) * (1.0 + (22.0 + 9.0) / 16_384.0);

/// A site of one page, or two.
pub(super) struct Scene {
    stage: Stage,
}

/// How a page is loaded.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    pub(super) link: LinkOptions,
    /// Whether the connection has been used: a redirect leads to the page, and times count from
    /// the request for it.
    pub(super) is_warm: bool,
    pub(super) client_delay: Duration,
    pub(super) think: Duration,
}

/// What came of a load: moments in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) first_render: f64,
    pub(super) speed_index: f64,
    pub(super) load: f64,
    pub(super) timeline: Timeline,
}

impl Scene {
    /// Returns a site of a page and other files, by path.
    pub(super) fn new(html: String, files: Vec<(&str, String)>) -> anyhow::Result<Self> {
        let page = ("/page/index.html", html);
        let all = std::iter::once(page).chain(files);
        let files = all.map(|(path, text)| Ok((UrlPath::parse(path)?, Bytes::from(text))));
        let files = files.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            stage: Stage::of_files(&files)?,
        })
    }

    /// Loads the page.
    pub(super) fn load(&self, delivery: &Delivery, on: &Conditions) -> anyhow::Result<Loaded> {
        let page = UrlPath::parse(if on.is_warm { "/page" } else { PAGE })?;
        on.loaded(self.stage.load(&on.run(&page, delivery))?)
    }

    /// Loads the page after another, whose files the client then holds.
    pub(super) fn load_after(
        &self,
        before: &str,
        delivery: &Delivery,
        on: &Conditions,
    ) -> anyhow::Result<Loaded> {
        let (before, page) = (UrlPath::parse(before)?, UrlPath::parse("/page")?);
        on.loaded(self.stage.load_after(&before, &on.run(&page, delivery))?)
    }

    /// Loads a file as if it were a page.
    pub(super) fn load_file(&self, path: &str, on: &Conditions) -> anyhow::Result<Loaded> {
        let path = UrlPath::parse(path)?;
        on.loaded(self.stage.load(&on.run(&path, &Delivery::none()))?)
    }
}

impl Conditions {
    /// Returns a used connection whose window never limits, over a link whose bottleneck the server
    /// sits at: what the formulas assume.
    pub(super) fn warm(round_trip_ms: u64, kilobits: f64, client_delay_ms: u64) -> Self {
        let mut on = Self::cold(round_trip_ms, kilobits, client_delay_ms);
        on.link.first_flight_segments = None;
        on.link.queue_bytes = Some(0);
        on.is_warm = true;
        on
    }

    /// Returns a new connection.
    pub(super) fn cold(round_trip_ms: u64, kilobits: f64, client_delay_ms: u64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate lies far below 2^52 bits per second"
        )]
        let down = (kilobits * 1000.0 * OVERHEAD).round() as u64;
        Self {
            link: LinkOptions {
                round_trip: Duration::from_millis(round_trip_ms),
                down: Some(down),
                ..LinkOptions::default()
            },
            is_warm: false,
            client_delay: Duration::from_millis(client_delay_ms),
            think: Duration::ZERO,
        }
    }

    fn run<'a>(&'a self, page: &'a UrlPath, delivery: &'a Delivery) -> Run<'a> {
        Run {
            page,
            delivery,
            visit: Visit::First,
            link: &self.link,
            client: LoadOptions {
                client_delay: self.client_delay,
                ..LoadOptions::default()
            },
            think: self.think,
        }
    }

    fn loaded(&self, timeline: Timeline) -> anyhow::Result<Loaded> {
        if let Some(failure) = &timeline.failure {
            bail!("a page of a case did not load: {failure}");
        }
        let mut exchanges = timeline.exchanges.iter();
        let document = exchanges.rfind(|exchange| exchange.kind == Kind::Document);
        let asked = document.and_then(|document| document.asked);
        let start = asked.filter(|_| self.is_warm).unwrap_or_default();
        let since = |moment: Duration| moment.saturating_sub(start).as_secs_f64() * 1e3;
        let marks = &timeline.marks;
        Ok(Loaded {
            first_render: since(marks.first_render),
            speed_index: since(marks.speed_index),
            load: since(marks.load),
            timeline,
        })
    }
}

/// Returns the delivery that pushes these, in this order.
pub(super) fn pushing(urls: &[&str]) -> anyhow::Result<Delivery> {
    let urls = urls.iter().map(|url| SiteUrl::parse(url));
    let urls = urls.collect::<Result<Vec<_>, _>>()?;
    let plan = Overrides::of_page(UrlPath::parse(PAGE)?, urls);
    Ok(Delivery::plan("push", plan))
}

/// Returns an HTML document of a length: what its head and its body hold, then text.
pub(super) fn page(length: usize, head: &str, body: &str) -> String {
    let mut html =
        format!("<!doctype html><html><head><title>t</title>{head}</head><body><p>Text.</p>{body}");
    let end = "</body></html>";
    while html.len() + end.len() + 60 < length {
        let line = html.len();
        let _ = writeln!(html, "<p>What is said in line {line:08} of it.</p>");
    }
    let rest = length.saturating_sub(html.len() + end.len());
    html.extend(std::iter::repeat_n('\n', rest));
    html + end
}

/// Returns a script or a style sheet of a length, which begins with `text`.
pub(super) fn filled(text: &str, length: usize) -> String {
    let rest = length.saturating_sub(text.len() + 4);
    format!("{text}/*{}*/", "-".repeat(rest))
}

/// Returns anything of a length.
pub(super) fn bytes(length: usize) -> String {
    "x".repeat(length)
}
