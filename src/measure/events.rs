//! The root of `forerun measure --events`: one channel, heard in four ways on the same links.
//!
//! ```text
//! events -> each link and way: scene (the real server, a link, whoever publishes; a paused clock)
//!        -> listen (a client that polls, waits, streams or speaks) -> Record -> numbers
//!        -> EventFindings -> report
//! ```
//!
//! A scene first gets its listener going, then publishes for some minutes at instants that are the
//! same in all scenes, then is idle for some more. What is said of a channel's words is `hub`'s and
//! `web_socket`'s business; here bytes and moments are counted. Read on in [`found`] (what the
//! numbers are), then `scene`.

pub mod found;
mod listen;
mod scene;
mod schedule;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

pub use self::found::{Cost, EventCell, EventFindings, Heard, Way};
use self::scene::Scene;
use super::link::LinkOptions;
use super::report;
use super::stage::Stage;
use crate::terminal::Style;
use crate::web_socket::session::PONG_WAIT_MAX;

/// The least time between two polls that is measured: below it nobody polls.
pub const POLL_EVERY_MIN: Duration = Duration::from_millis(100);
/// The most: as long as a long poll waits, and well below what ends an idle connection.
pub const POLL_EVERY_MAX: Duration = Duration::from_mins(1);
/// How long a long poll asks to wait.
pub const WAIT: Duration = Duration::from_mins(1);

/// What `forerun measure --events` was told.
#[derive(Debug, Clone)]
pub struct EventOptions {
    /// The links.
    pub links: Vec<LinkOptions>,
    /// Time from one poll to the next: [`POLL_EVERY_MIN`] to [`POLL_EVERY_MAX`].
    pub poll_every: Duration,
    /// Whether JSON is printed in place of a table.
    pub json: bool,
    /// A page with the picture and the numbers.
    pub html: Option<PathBuf>,
    /// The picture.
    pub svg: Option<PathBuf>,
}

/// Measures, and reports.
///
/// # Errors
/// The report cannot be written, or an event did not arrive.
pub fn run(options: &EventOptions) -> anyhow::Result<()> {
    for path in [&options.html, &options.svg].into_iter().flatten() {
        report::check(path)?;
    }
    let mut out = BufWriter::new(io::stdout().lock());
    write_report(options, &mut out)?;
    Ok(out.flush()?)
}

/// Measures, and writes what [`run`] prints into `out`.
///
/// # Errors
/// As [`run`].
pub fn write_report(options: &EventOptions, mut out: &mut dyn io::Write) -> anyhow::Result<()> {
    let found = findings(options)?;
    if let Some(path) = &options.html {
        report::save(path, |file| {
            file.write_all(report::events::html(&found).as_bytes())
        })?;
    }
    if let Some(path) = &options.svg {
        report::save(path, |file| {
            file.write_all(report::events::picture(&found).as_bytes())
        })?;
    }
    if options.json {
        report::events::write_json(&mut out, &found)?;
    } else {
        report::events::write_table(&mut out, &found, Style::of_stdout())?;
    }
    Ok(())
}

/// Measures every way on every link.
///
/// # Errors
/// A link is too long, an event did not arrive, or the system has no room for a site of nothing.
pub fn findings(options: &EventOptions) -> anyhow::Result<EventFindings> {
    let too_long = |link: &&LinkOptions| link.round_trip >= PONG_WAIT_MAX;
    if let Some(link) = options.links.iter().find(too_long) {
        bail!(
            "{}: a WebSocket's ping is answered within {} s or its peer is given up; give a \
             shorter rtt",
            link.name,
            PONG_WAIT_MAX.as_secs()
        );
    }
    let stage = Stage::of_files(&[])?;
    let cell = |link: &LinkOptions| {
        let scene = Scene {
            stage: &stage,
            link,
            poll_every: options.poll_every,
        };
        let ways = Way::ALL.into_iter().map(|way| scene.heard(way));
        Ok(EventCell {
            link: link.into(),
            ways: ways.collect::<anyhow::Result<_>>()?,
        })
    };
    Ok(EventFindings {
        poll_every: options.poll_every,
        wait: WAIT,
        events: schedule::EVENTS,
        data_bytes: schedule::DATA_BYTES,
        busy: schedule::BUSY,
        idle: schedule::IDLE,
        cells: options
            .links
            .iter()
            .map(cell)
            .collect::<anyhow::Result<_>>()?,
    })
}
