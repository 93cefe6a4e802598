//! What was found, for programs.
//!
//! ```text
//! { subject, client, think_ms, client_delay_ms, interrupted,
//!   sought_on: [link], held_out: [link],
//!   pages: [
//!     { page, verdict, for_push_toml, push: [ { url, bytes } ] in order, own: the same for what
//!       serve sends by itself, candidates, loads, end: "converged" | "spent" | "interrupted",
//!       failure,
//!       links: [
//!         { link, held_out, round_trip_ms, bound_ms,
//!           none, own, found: { first_render_ms, largest_content_ms, load_ms, bytes_wasted },
//!           found_hurts, own_hurts: [ { metric, later_ms: null if the page does not load } ] } ]
//!     } ] }
//! ```

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::found::{Best, OnLink, Sent};
use super::seeker::{Conditions, Place};
use crate::measure::search::{End, Harm, Outcome};

#[derive(Serialize)]
struct Document<'a> {
    subject: &'a str,
    client: &'static str,
    think_ms: f64,
    client_delay_ms: f64,
    interrupted: bool,
    sought_on: Vec<&'a str>,
    held_out: Vec<&'a str>,
    pages: Vec<PageJson<'a>>,
}

#[derive(Serialize)]
struct PageJson<'a> {
    page: &'a str,
    verdict: &'static str,
    for_push_toml: bool,
    push: Vec<SentJson<'a>>,
    own: Vec<SentJson<'a>>,
    candidates: usize,
    loads: usize,
    end: &'static str,
    failure: Option<&'a str>,
    links: Vec<LinkJson<'a>>,
}

#[derive(Serialize)]
struct SentJson<'a> {
    url: &'a str,
    bytes: u64,
}

#[derive(Serialize)]
struct LinkJson<'a> {
    link: &'a str,
    held_out: bool,
    round_trip_ms: f64,
    bound_ms: Option<f64>,
    none: OutcomeJson,
    own: Option<OutcomeJson>,
    found: Option<OutcomeJson>,
    found_hurts: Vec<HarmJson>,
    own_hurts: Vec<HarmJson>,
}

#[derive(Serialize)]
struct OutcomeJson {
    first_render_ms: f64,
    largest_content_ms: f64,
    load_ms: f64,
    bytes_wasted: u64,
}

#[derive(Serialize)]
struct HarmJson {
    metric: String,
    later_ms: Option<f64>,
}

/// Writes what was found; the module says in which shape.
///
/// # Errors
/// Whatever writing fails with.
pub(super) fn write(
    out: &mut impl io::Write,
    subject: &str,
    best: &[Best],
    conditions: &Conditions,
    interrupted: bool,
) -> io::Result<()> {
    let places = &conditions.places;
    let document = Document {
        subject,
        client: conditions.client.client.name(),
        think_ms: ms(conditions.think),
        client_delay_ms: ms(conditions.client.client_delay),
        interrupted,
        sought_on: conditions.names(false),
        held_out: conditions.names(true),
        pages: best.iter().map(|best| page(best, places)).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn page<'a>(best: &'a Best, places: &'a [Place]) -> PageJson<'a> {
    let verdict = best.verdict(places);
    PageJson {
        page: best.page.as_str(),
        verdict: verdict.name(),
        for_push_toml: verdict.is_for_push_toml(),
        push: best.plan.iter().map(sent).collect(),
        own: best.own.iter().map(sent).collect(),
        candidates: best.candidates,
        loads: best.loads,
        end: match best.end {
            End::Converged => "converged",
            End::Spent => "spent",
            End::Interrupted => "interrupted",
        },
        failure: best.failure.as_deref(),
        links: best
            .links
            .iter()
            .map(|on| LinkJson {
                // Of a search that was stopped it is not known.
                own_hurts: match best.end {
                    End::Interrupted => Vec::new(),
                    End::Converged | End::Spent => on.own_harm().map(|it| harm(&it)).collect(),
                },
                ..link(on, places)
            })
            .collect(),
    }
}

fn sent(sent: &Sent) -> SentJson<'_> {
    SentJson {
        url: &sent.url,
        bytes: sent.bytes,
    }
}

fn link<'a>(on: &OnLink, places: &'a [Place]) -> LinkJson<'a> {
    LinkJson {
        link: &places[on.place].name,
        held_out: places[on.place].is_held_out,
        round_trip_ms: ms(on.round_trip),
        bound_ms: on.bound.map(ms),
        none: outcome(on.none),
        own: on.own.map(outcome),
        found: on.found.map(outcome),
        found_hurts: on.harm().map(|it| harm(&it)).collect(),
        own_hurts: Vec::new(),
    }
}

fn outcome(outcome: Outcome) -> OutcomeJson {
    OutcomeJson {
        first_render_ms: ms(outcome.first_render),
        largest_content_ms: ms(outcome.largest_content),
        load_ms: ms(outcome.load),
        bytes_wasted: outcome.bytes_wasted,
    }
}

fn harm(harm: &Harm) -> HarmJson {
    HarmJson {
        metric: harm.metric.to_string(),
        later_ms: harm.by.map(ms),
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
