//! What a measurement found: for each page, visit, link and delivery the numbers, the difference to
//! sending nothing ahead, and one load to look at.
//!
//! Plain data: the root of `measure` fills it in, `report` puts it into words and pictures.

use std::fmt;
use std::time::Duration;

use super::sample::{Comparison, Summary};
use super::timeline::{Metric, Timeline, Totals};

/// Everything that a measurement found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// What was measured: a directory or a URL.
    pub subject: String,
    /// The client that was simulated, as `--client` names it.
    pub client: String,
    /// Whether the loads ran on simulated links; else over the real network.
    pub simulated: bool,
    /// Server think time before each document.
    pub think: Duration,
    /// Client delay from bytes arriving to a request leaving.
    pub client_delay: Duration,
    /// One for each page, visit and link, in that order.
    pub cells: Vec<Cell>,
    /// What was left out or went wrong, in sentences.
    pub notes: Vec<String>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// One page on one kind of visit over one link.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Path of the page, or its URL.
    pub page: String,
    /// What the client holds already.
    pub visit: Visit,
    /// The link.
    pub link: LinkFacts,
    /// One for each delivery; `none` first.
    pub rows: Vec<Row>,
    /// The other half of an A/A comparison: `none` against `none`. Absent where runs repeat
    /// exactly.
    pub control: Option<Comparison>,
    /// First render of the fastest plan that the formulas allow (F11), if known.
    pub bound: Option<Duration>,
}

/// A link as a report names and draws it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkFacts {
    /// `slow-4g`, or the text that described it.
    pub name: String,
    /// Round-trip time.
    pub round_trip: Duration,
    /// Bits per second towards the client; `None` if not limited, or not known.
    pub down: Option<u64>,
}

/// What one delivery came to.
#[derive(Debug, Clone)]
pub struct Row {
    /// `none`, `link`, `hints`, `push`, `push all` or the name of a plan.
    pub delivery: String,
    /// Each metric in milliseconds, in the order of [`Metric::ALL`].
    pub metrics: [Summary; 5],
    /// Sums of the load that is shown.
    pub totals: Totals,
    /// First render against `none`, in milliseconds, positive if it renders earlier; `None` for
    /// `none` itself.
    pub gain: Option<Comparison>,
    /// The same for [`Metric::Load`].
    pub load_gain: Option<Comparison>,
    /// The median load.
    pub timeline: Timeline,
}

/// What a client holds when it visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Visit {
    /// Nothing.
    First,
    /// Everything, with validators.
    Repeat,
    /// Everything, and one file has changed since.
    Changed,
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first visit",
            Self::Repeat => "repeat visit",
            Self::Changed => "repeat visit, one file changed",
        })
    }
}

impl Row {
    /// Returns the median of a metric in milliseconds.
    pub fn median(&self, metric: Metric) -> f64 {
        self.metrics[metric as usize].p50
    }
}
