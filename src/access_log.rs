//! One line per answer, in the Common Log Format, with what was sent ahead behind it.
//!
//! The doors fill an [`Entry`] and hand it over when its last byte is on its way; a thread that
//! `serve` owns writes the lines. Knows nothing of how an answer came about.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::SystemTime;

use http::{Method, StatusCode, Version};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

/// Lines that may wait for the writer; more are counted and dropped, so that a slow terminal never
/// slows an answer.
pub const LINES_WAITING_MAX: usize = 4096;

/// Where lines go.
#[derive(Debug, Clone)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To the thread that writes them.
    On(Lines),
}

/// The way to the thread that writes lines.
#[derive(Debug, Clone)]
pub struct Lines {
    /// `None` ends the thread.
    waiting: SyncSender<Option<Entry>>,
    dropped: Arc<AtomicU64>,
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Common Log Format, with what was sent ahead behind it.
    Common,
    /// A JSON object, always with the same keys.
    Json,
}

impl AccessLog {
    /// Returns whether entries are wanted at all.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }

    /// Returns a log to the thread at the other end of a channel; `None` is to end that thread.
    pub fn to(waiting: SyncSender<Option<Entry>>) -> Self {
        Self::On(Lines {
            waiting,
            dropped: Arc::default(),
        })
    }

    /// Hands an entry to the writer, or drops it if too many wait.
    pub fn write(&self, entry: Entry) {
        if let Self::On(lines) = self
            && let Err(TrySendError::Full(_)) = lines.waiting.try_send(Some(entry))
        {
            let dropped = 1 + lines.dropped.fetch_add(1, Ordering::Relaxed);
            // A warning for each would drown what is left of the log.
            if dropped.is_power_of_two() {
                tracing::warn!("{dropped} log lines dropped: {LINES_WAITING_MAX} are waiting");
            }
        }
    }

    /// Returns how many lines were dropped.
    pub fn dropped(&self) -> u64 {
        match self {
            Self::Off => 0,
            Self::On(lines) => lines.dropped.load(Ordering::Relaxed),
        }
    }

    /// Ends the writer once it has written what waits, however many doors could still hand it more.
    pub fn end(&self) {
        if let Self::On(lines) = self {
            // A writer that is that far behind is not waited for.
            let _ = lines.waiting.try_send(None);
        }
    }
}

/// What the log says of one answer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who asked.
    pub peer: IpAddr,
    /// As whom the peer has signed in, if it has.
    pub user: Option<String>,
    /// When.
    pub time: SystemTime,
    /// How it was answered: asked for, or promised.
    pub way: Way,
    /// Path and query.
    pub target: String,
    /// The protocol's version.
    pub version: Version,
    /// The status.
    pub status: StatusCode,
    /// Bytes of the body handed to the transport.
    pub bytes: u64,
    /// Targets promised with it, in order.
    pub promised: Vec<String>,
    /// How many links were hinted with it.
    pub hinted: usize,
}

/// Why a response was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The peer asked, with this method.
    Asked(Method),
    /// It was promised.
    Pushed,
    /// What the peer sent could not be read as a request.
    Unread,
}

impl Entry {
    /// Returns the line, without its end.
    pub fn line(&self, format: Format) -> String {
        match format {
            Format::Common => self.to_string(),
            Format::Json => self.object().to_string(),
        }
    }

    fn object(&self) -> serde_json::Value {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        // It fails for years that no clock shows.
        let time = OffsetDateTime::from(self.time)
            .format(&format)
            .unwrap_or_default();
        json!({
            "time": time,
            "client": self.peer.to_string(),
            "user": self.user,
            "method": match &self.way {
                Way::Asked(method) => method.as_str(),
                Way::Pushed => "GET",
                Way::Unread => "-",
            },
            "target": self.target,
            "protocol": format!("{:?}", self.version),
            "status": self.status.as_u16(),
            "bytes": self.bytes,
            "pushed": self.way == Way::Pushed,
            "promised": self.promised,
            "hinted": self.hinted,
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format =
            format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        let time = OffsetDateTime::from(self.time)
            .format(&format)
            .map_err(|_| fmt::Error)?;
        let method = match &self.way {
            Way::Asked(method) => method.as_str(),
            Way::Pushed => "PUSH",
            Way::Unread => "-",
        };
        write!(f, "{} - ", self.peer)?;
        match &self.user {
            Some(user) => write_field(f, user, |c| c.is_control() || c.is_whitespace())?,
            None => f.write_char('-')?,
        }
        write!(f, " [{time}] \"{method} ")?;
        write_field(f, &self.target, char::is_control)?;
        write!(
            f,
            " {:?}\" {} {}",
            self.version,
            self.status.as_u16(),
            self.bytes
        )?;
        if !self.promised.is_empty() {
            write!(f, " pushed={}", self.promised.join(","))?;
        }
        if self.hinted > 0 {
            write!(f, " hinted={}", self.hinted)?;
        }
        Ok(())
    }
}

/// Writes a text with what a log reader would trip over escaped.
fn write_field(f: &mut fmt::Formatter<'_>, text: &str, is_odd: fn(char) -> bool) -> fmt::Result {
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            c if is_odd(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(f, "\\x{byte:02x}")?;
                }
            }
            c => f.write_char(c)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn entry() -> Entry {
        Entry {
            peer: [127, 0, 0, 1].into(),
            user: None,
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_050),
            way: Way::Asked(Method::GET),
            target: "/a\"b\u{7}".into(),
            version: Version::HTTP_2,
            status: StatusCode::OK,
            bytes: 120,
            promised: vec!["/a.css".into(), "/b.js?v=1".into()],
            hinted: 0,
        }
    }

    #[test]
    fn a_line_is_common_log_format_with_what_was_pushed() {
        assert_eq!(
            entry().line(Format::Common),
            "127.0.0.1 - - [09/Sep/2001:01:46:40 +0000] \"GET /a\\\"b\\x07 HTTP/2.0\" 200 120 \
             pushed=/a.css,/b.js?v=1"
        );
        let user = Some("ada\u{3000}l\"".to_owned());
        assert!(
            Entry { user, ..entry() }
                .to_string()
                .starts_with("127.0.0.1 - ada\\xe3\\x80\\x80l\\\" [09/")
        );
    }

    #[test]
    fn a_line_is_an_object_with_the_same_keys_always() {
        assert_eq!(
            entry().line(Format::Json),
            "{\"bytes\":120,\"client\":\"127.0.0.1\",\"hinted\":0,\"method\":\"GET\",\
             \"promised\":[\"/a.css\",\"/b.js?v=1\"],\"protocol\":\"HTTP/2.0\",\"pushed\":false,\
             \"status\":200,\"target\":\"/a\\\"b\\u0007\",\"time\":\"2001-09-09T01:46:40.050Z\",\
             \"user\":null}"
        );
        let mut pushed = entry();
        pushed.way = Way::Pushed;
        pushed.promised.clear();
        let keys = |line: &str| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            object
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            keys(&pushed.line(Format::Json)),
            keys(&entry().line(Format::Json))
        );
    }

    #[test]
    fn lines_that_nobody_takes_are_counted() {
        let (lines, waiting) = std::sync::mpsc::sync_channel(2);
        let log = AccessLog::to(lines);
        for _ in 0..5 {
            log.write(entry());
        }
        assert_eq!((log.dropped(), waiting.try_iter().count()), (3, 2));
    }
}
