//! What was found of events: for each link and way the delays, and what it costs.
//!
//! Plain data: the root fills it in, `report::events` puts it into words and pictures.

use std::time::Duration;

use crate::measure::findings::LinkFacts;
use crate::measure::link::LinkOptions;
use crate::measure::report::words::{milliseconds, real};
use crate::measure::sample::percentile;

/// Everything that was found of events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventFindings {
    /// Time from one poll to the next.
    pub poll_every: Duration,
    /// How long a long poll asks to wait.
    pub wait: Duration,
    /// How many events were published.
    pub events: usize,
    /// Bytes of the data of each.
    pub data_bytes: usize,
    /// How long they were published for.
    pub busy: Duration,
    /// How long nothing was, after that.
    pub idle: Duration,
    /// One for each link.
    pub cells: Vec<EventCell>,
}

/// One link.
#[derive(Debug, Clone, PartialEq)]
pub struct EventCell {
    /// The link.
    pub link: LinkFacts,
    /// One for each way, in the order of [`Way::ALL`].
    pub ways: Vec<Heard>,
}

/// A way to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Asks again and again.
    Poll,
    /// Asks, and is answered when there is something.
    LongPoll,
    /// Is told, by Server-Sent Events.
    EventStream,
    /// Is told, and may speak.
    WebSocket,
}

/// One channel heard in one way over one link.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The way.
    pub way: Way,
    /// From each event being published to its last byte arriving, in the order of the events.
    pub delays: Vec<Duration>,
    /// Until the listener would have missed nothing: TLS, settings, the first request.
    pub opening: Cost,
    /// From then until the last event was heard.
    pub busy: Cost,
    /// While nothing happened.
    pub idle: Cost,
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Requests.
    pub requests: u64,
    /// Bytes to the client, with TLS, without the headers of TCP and IP.
    pub down: u64,
    /// Bytes to the server, likewise.
    pub up: u64,
}

/// What was sent, divided: each event's or each minute's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Requests.
    pub requests: f64,
    /// Bytes to the client.
    pub down: f64,
    /// Bytes to the server.
    pub up: f64,
}

impl Way {
    /// All, in the order of the ladder.
    pub const ALL: [Self; 4] = [
        Self::Poll,
        Self::LongPoll,
        Self::EventStream,
        Self::WebSocket,
    ];

    /// Returns what it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poll => "polling",
            Self::LongPoll => "long polling",
            Self::EventStream => "SSE",
            Self::WebSocket => "WebSocket",
        }
    }
}

impl EventFindings {
    /// Returns what a minute costs in which nothing happens.
    pub fn per_idle_minute(&self, heard: &Heard) -> Share {
        heard.idle.divided(self.idle.as_secs_f64() / 60.0)
    }
}

impl Heard {
    /// Returns the delay in milliseconds that so many parts of a hundred of the events do not
    /// exceed.
    pub fn delay_ms(&self, percent: f64) -> f64 {
        let mut delays: Vec<_> = self.delays.iter().copied().map(milliseconds).collect();
        delays.sort_by(f64::total_cmp);
        percentile(&delays, percent)
    }

    /// Returns the mean delay in milliseconds.
    pub fn mean_ms(&self) -> f64 {
        let sum: Duration = self.delays.iter().sum();
        milliseconds(sum) / real(self.delays.len().max(1))
    }

    /// Returns what an event costs, with what is sent between events.
    pub fn per_event(&self) -> Share {
        self.busy.divided(real(self.delays.len().max(1)))
    }
}

impl Cost {
    fn divided(self, by: f64) -> Share {
        Share {
            requests: real(self.requests) / by,
            down: real(self.down) / by,
            up: real(self.up) / by,
        }
    }
}

impl From<&LinkOptions> for LinkFacts {
    fn from(link: &LinkOptions) -> Self {
        Self {
            name: link.name.clone(),
            round_trip: link.round_trip,
            down: link.down,
        }
    }
}
