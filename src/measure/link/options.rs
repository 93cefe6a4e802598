//! What a link is like: profiles by name, and `rtt=150ms,down=1.6M,up=750k,loss=1%,queue=64k`.
//!
//! Knows nothing of what happens on a link. Read on in `wire`, `sender` and `receiver`, which do
//! what is said here.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::wire::serialisation;
use super::{FIRST_FLIGHT_BYTES, HEADER_BYTES, SEGMENT_BYTES};

/// No round trip is longer: farther than that is a mistake.
const ROUND_TRIP_MAX: Duration = Duration::from_mins(1);
/// No rate is higher: a terabit per second.
const RATE_MAX: u64 = 1_000_000_000_000;
/// No buffer or queue is larger.
const BUFFER_BYTES_MAX: u64 = 1 << 30;
/// Above it nothing would ever arrive.
const LOSS_MAX: f64 = 0.5;
/// The first flight is at most this long.
const FIRST_FLIGHT_SEGMENTS_MAX: u32 = 10_000;
/// What `forerun serve` asks of Linux with `TCP_NOTSENT_LOWAT`.
const UNSENT_BYTES: usize = 16 * 1024;
/// What stands for "no limit".
const UNLIMITED: &str = "unlimited";

/// Named links: name, round trip in milliseconds, bits per second down and up. None loses packets.
const PROFILES: [(&str, u64, u64, u64); 6] = [
    // Ours: a gigabit-class line as a page of one server sees it.
    ("fibre", 10, 100_000_000, 100_000_000),
    // WebPageTest, `connectivity.ini`: "Cable (5/1 Mbps 28ms RTT)".
    ("cable", 28, 5_000_000, 1_000_000),
    // WebPageTest, `connectivity.ini`: "4G (9 Mbps 170ms RTT)".
    ("4g", 170, 9_000_000, 9_000_000),
    // Lighthouse, `core/config/constants.js`: `mobileSlow4G`, 1.6 x 1024 kbit/s; up as for DevTools
    // throttling, 750 kbit/s.
    ("slow-4g", 150, 1_638_400, 750_000),
    // WebPageTest, `connectivity.ini`: "3G (1.6 Mbps/768 Kbps 300ms RTT)".
    ("3g", 300, 1_600_000, 768_000),
    // Ours: RFC 2488 section 2 puts a round trip over a geostationary satellite at 558 ms at most;
    // with access and ground that is 600.
    ("satellite", 600, 10_000_000, 2_000_000),
];

/// What a link is like.
///
/// As text it is a profile's name, or a list of `rtt=` (`ms`, `s`), `down=`, `up=` (bits per
/// second: `k`, `M`, `G`, or `unlimited`), `loss=` (`1%` or `0.01`), `queue=` (bytes: `k`, `M`),
/// `flight=` (segments, or `unlimited`) and `unsent=` or `buffer=` (bytes), or a name and what
/// differs from it: `slow-4g,loss=1%`. What is not said does not limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkOptions {
    /// What it is called; the text that described it, if it has no name of its own.
    pub name: String,
    /// Time from one end to the other and back, without that spent in queues and leaving.
    pub round_trip: Duration,
    /// Bits per second from the server to the client, headers included; `None`: no limit.
    pub down: Option<u64>,
    /// Bits per second from the client to the server; `None`: no limit.
    pub up: Option<u64>,
    /// Probability that a packet is lost, in either direction: from 0 to 0.5.
    pub loss: f64,
    /// Bytes that wait for the bottleneck before more are lost, in each direction; `Some(0)`: the
    /// sender itself sits at the bottleneck and waits for it, so that nothing queues or is lost;
    /// `None`: 100 packets of 1500 bytes, or what fills the link for a round trip if that is more.
    pub queue_bytes: Option<usize>,
    /// Segments that may be under way at first (RFC 6928: 10); `None`: no limit, ever.
    pub first_flight_segments: Option<u32>,
    /// What each sender's kernel takes.
    pub send_buffer: SendBuffer,
    /// Where chance starts: the same seed loses the same packets. Not part of the text.
    pub seed: u64,
}

/// How much a sender takes beyond what it may send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendBuffer {
    /// Bytes that were never sent, as `TCP_NOTSENT_LOWAT` bounds them.
    NotSentLowat(usize),
    /// Bytes that were not acknowledged, as `SO_SNDBUF` bounds them.
    Whole(usize),
}

/// Why a text describes no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A name that no profile has.
    #[error(
        "no link is called `{name}`: did you mean `{nearest}`? There are {}, or say \
         rtt=150ms,down=1.6M,up=750k,loss=1%,queue=64k",
        names()
    )]
    Name {
        /// The name.
        name: String,
        /// The profile whose name is most like it.
        nearest: &'static str,
    },
    /// A part that is not of the form `key=value` with a key that is known.
    #[error(
        "`{part}` says nothing of a link: give rtt=, down=, up=, loss=, queue=, flight=, unsent= \
         or buffer="
    )]
    Key {
        /// The part.
        part: String,
    },
    /// A part whose value cannot be.
    #[error("`{part}`: {fix}")]
    Value {
        /// The part.
        part: String,
        /// What it should be.
        fix: &'static str,
    },
}

impl LinkOptions {
    /// Returns every link that has a name, from fast to slow.
    pub fn profiles() -> impl Iterator<Item = Self> {
        PROFILES
            .into_iter()
            .map(|(name, round_trip_ms, down, up)| Self {
                name: name.to_owned(),
                round_trip: Duration::from_millis(round_trip_ms),
                down: Some(down),
                up: Some(up),
                ..Self::default()
            })
    }

    /// Returns the link of a name.
    pub fn profile(name: &str) -> Option<Self> {
        Self::profiles().find(|profile| profile.name == name)
    }

    /// Returns a link that does nothing but carry: no delay, no limit.
    pub fn instant() -> Self {
        Self {
            name: "instant".to_owned(),
            first_flight_segments: None,
            queue_bytes: Some(0),
            send_buffer: SendBuffer::NotSentLowat(1 << 20),
            ..Self::default()
        }
    }

    /// Returns the time from asking for a connection to having it: a SYN, and the answer to it.
    pub fn handshake_time(&self) -> Duration {
        self.round_trip
            + serialisation(HEADER_BYTES, self.up)
            + serialisation(HEADER_BYTES, self.down)
    }

    /// Takes in what one part of a text says.
    fn change(&mut self, part: &str) -> Result<(), LinkError> {
        let Some((key, value)) = part.split_once('=') else {
            return Err(LinkError::Key {
                part: part.to_owned(),
            });
        };
        let (key, value) = (key.trim(), value.trim());
        let wrong = |fix| LinkError::Value {
            part: part.to_owned(),
            fix,
        };
        match key {
            "rtt" => self.round_trip = round_trip(value).map_err(wrong)?,
            "down" => self.down = rate(value).map_err(wrong)?,
            "up" => self.up = rate(value).map_err(wrong)?,
            "loss" => self.loss = loss(value).map_err(wrong)?,
            "queue" => self.queue_bytes = Some(bytes(value).map_err(wrong)?),
            "flight" => self.first_flight_segments = flight(value).map_err(wrong)?,
            "unsent" => self.send_buffer = SendBuffer::NotSentLowat(buffer(value).map_err(wrong)?),
            "buffer" => self.send_buffer = SendBuffer::Whole(buffer(value).map_err(wrong)?),
            _ => {
                return Err(LinkError::Key {
                    part: part.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Says in what a link differs from another.
    fn differences(&self, base: &Self) -> Vec<String> {
        let mut parts = Vec::new();
        let rate = |rate: Option<u64>| rate.map_or_else(|| UNLIMITED.to_owned(), shortened);
        if self.round_trip != base.round_trip {
            let nanoseconds = u64::try_from(self.round_trip.as_nanos()).unwrap_or(u64::MAX);
            parts.push(format!("rtt={}ms", decimal(nanoseconds, 6)));
        }
        if self.down != base.down {
            parts.push(format!("down={}", rate(self.down)));
        }
        if self.up != base.up {
            parts.push(format!("up={}", rate(self.up)));
        }
        if self.loss.to_bits() != base.loss.to_bits() {
            parts.push(format!("loss={}", percent(self.loss)));
        }
        if let Some(bytes) = self.queue_bytes
            && self.queue_bytes != base.queue_bytes
        {
            parts.push(format!("queue={}", shortened(bytes as u64)));
        }
        if self.first_flight_segments != base.first_flight_segments {
            let segments = self.first_flight_segments;
            let segments = segments.map_or_else(|| UNLIMITED.to_owned(), |some| some.to_string());
            parts.push(format!("flight={segments}"));
        }
        if self.send_buffer != base.send_buffer {
            parts.push(match self.send_buffer {
                SendBuffer::NotSentLowat(bytes) => format!("unsent={}", shortened(bytes as u64)),
                SendBuffer::Whole(bytes) => format!("buffer={}", shortened(bytes as u64)),
            });
        }
        parts
    }
}

impl Default for LinkOptions {
    /// Returns a path that does not limit, between hosts as they are; what texts start from.
    fn default() -> Self {
        let segments = u32::try_from(FIRST_FLIGHT_BYTES / SEGMENT_BYTES);
        Self {
            name: String::new(),
            round_trip: Duration::ZERO,
            down: None,
            up: None,
            loss: 0.0,
            queue_bytes: None,
            first_flight_segments: segments.ok(),
            send_buffer: SendBuffer::NotSentLowat(UNSENT_BYTES),
            seed: 0,
        }
    }
}

impl FromStr for LinkOptions {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let mut parts = text.split(',').map(str::trim).peekable();
        let mut options = Self::default();
        if let Some(name) = parts.next_if(|part| !part.contains('=')) {
            options = Self::profile(name).ok_or_else(|| LinkError::Name {
                name: name.to_owned(),
                nearest: nearest(name),
            })?;
        }
        for part in parts {
            options.change(part)?;
        }
        options.name = options.to_string();
        Ok(options)
    }
}

impl fmt::Display for LinkOptions {
    /// Writes what reads back as the same link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.split(',').next().unwrap_or_default();
        let profile = Self::profile(name);
        let mut parts = self.differences(profile.as_ref().unwrap_or(&Self::default()));
        if profile.is_some() {
            parts.insert(0, name.to_owned());
        } else if parts.is_empty() {
            parts.push("rtt=0ms".to_owned());
        }
        f.write_str(&parts.join(","))
    }
}

fn names() -> String {
    PROFILES.map(|(name, ..)| name).join(", ")
}

fn round_trip(text: &str) -> Result<Duration, &'static str> {
    const FIX: &str = "give a time of at most 60 s, such as rtt=150ms or rtt=0.6s";
    let nanoseconds = if let Some(number) = text.strip_suffix("ms") {
        scaled(number, 6)
    } else {
        text.strip_suffix('s').and_then(|number| scaled(number, 9))
    };
    let time = nanoseconds.map(Duration::from_nanos);
    time.filter(|&time| time <= ROUND_TRIP_MAX).ok_or(FIX)
}

fn rate(text: &str) -> Result<Option<u64>, &'static str> {
    if text == UNLIMITED {
        return Ok(None);
    }
    let number = ["bit/s", "bps"]
        .into_iter()
        .find_map(|unit| text.strip_suffix(unit));
    match counted(number.unwrap_or(text)) {
        Some(0) => Err(
            "nothing would ever arrive at 0 bit/s: give a rate above 0, such as 1.6M, or unlimited",
        ),
        Some(rate) if rate <= RATE_MAX => Ok(Some(rate)),
        _ => Err("give bits per second, at most 1000G, such as 750k, 1.6M, 1G or unlimited"),
    }
}

fn loss(text: &str) -> Result<f64, &'static str> {
    let loss = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse().map(|percent: f64| percent / 100.0),
        None => text.parse(),
    };
    let is_known = |loss: &f64| (0.0..=LOSS_MAX).contains(loss);
    loss.ok()
        .filter(is_known)
        .ok_or("give a share of packets of at most 50 %, such as 1% or 0.01")
}

fn bytes(text: &str) -> Result<usize, &'static str> {
    const FIX: &str = "give bytes, at most 1000M, such as 64k; 0 for a sender that waits";
    let number = counted(text.strip_suffix('B').unwrap_or(text));
    let bytes = number
        .filter(|&bytes| bytes <= BUFFER_BYTES_MAX)
        .ok_or(FIX)?;
    usize::try_from(bytes).map_err(|_| FIX)
}

fn buffer(text: &str) -> Result<usize, &'static str> {
    const FIX: &str = "give bytes above 0, at most 1000M, such as 16k or 435k";
    bytes(text).ok().filter(|&bytes| bytes > 0).ok_or(FIX)
}

fn flight(text: &str) -> Result<Option<u32>, &'static str> {
    if text == UNLIMITED {
        return Ok(None);
    }
    let segments = text.parse().ok();
    let is_known = |segments: &u32| (1..=FIRST_FLIGHT_SEGMENTS_MAX).contains(segments);
    segments
        .filter(is_known)
        .map(Some)
        .ok_or("give a number of segments from 1 to 10000, such as 10, or unlimited")
}

/// Reads a whole number, which `k`, `M` or `G` may multiply.
fn counted(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = match text.chars().next_back()? {
        'k' | 'K' => 3,
        'M' => 6,
        'G' => 9,
        _ => return scaled(text, 0),
    };
    scaled(&text[..text.len() - 1], digits)
}

/// Reads a decimal times a power of ten, exactly; what is finer than 1 is cut off.
fn scaled(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let fraction = format!("{fraction:0<digits$}");
    format!("{whole}{}", &fraction[..digits]).parse().ok()
}

/// Writes a number divided by a power of ten, exactly.
fn decimal(number: u64, digits: usize) -> String {
    let padded = format!("{number:0>width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// Writes a number as [`counted`] reads it.
fn shortened(number: u64) -> String {
    match number {
        1_000_000_000.. => decimal(number, 9) + "G",
        1_000_000.. => decimal(number, 6) + "M",
        1_000.. => decimal(number, 3) + "k",
        _ => number.to_string(),
    }
}

/// Writes a share so that [`loss`] reads the same number.
fn percent(share: f64) -> String {
    let percent = format!("{}%", (share * 1e8).round() / 1e6);
    if loss(&percent) == Ok(share) {
        percent
    } else {
        share.to_string()
    }
}

/// Returns the profile whose name takes the fewest changes of a letter.
fn nearest(name: &str) -> &'static str {
    let name: Vec<char> = name.to_lowercase().chars().take(32).collect();
    PROFILES
        .map(|(profile, ..)| profile)
        .into_iter()
        .min_by_key(|profile| distance(&name, profile))
        .unwrap_or_default()
}

/// Counts the letters to insert, delete or replace (Levenshtein).
fn distance(one: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=one.len()).collect();
    for (index, letter) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, &own) in one.iter().enumerate() {
            let replaced = diagonal + usize::from(own != letter);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[one.len()]
}
