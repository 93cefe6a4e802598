//! One line per answer, in the Common Log Format, with what was sent ahead behind it.
//!
//! The doors fill an [`Entry`] and hand it over when its last byte is on its way; a thread that
//! `serve` owns writes the lines. Knows nothing of how an answer came about.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::SystemTime;

use http::{Method, StatusCode, Version};
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
    /// To the thread that writes them; `None` ends it.
    On(SyncSender<Option<Entry>>),
}

impl AccessLog {
    /// Returns whether entries are wanted at all.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }

    /// Hands an entry to the writer, or drops it if too many wait.
    pub fn write(&self, entry: Entry) {
        if let Self::On(lines) = self
            && let Err(TrySendError::Full(_)) = lines.try_send(Some(entry))
        {
            tracing::warn!("a log line was dropped: {LINES_WAITING_MAX} are waiting");
        }
    }

    /// Ends the writer once it has written what waits, however many doors could still hand it more.
    pub fn end(&self) {
        if let Self::On(lines) = self {
            // A writer that is that far behind is not waited for.
            let _ = lines.try_send(None);
        }
    }
}

/// What the log says of one answer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who asked.
    pub peer: IpAddr,
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
        };
        write!(f, "{} - - [{time}] \"{method} ", self.peer)?;
        // A target is printable ASCII but for what a log reader would trip over.
        for character in self.target.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                c if c.is_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_is_common_log_format_with_what_was_pushed() {
        let entry = Entry {
            peer: [127, 0, 0, 1].into(),
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            way: Way::Asked(Method::GET),
            target: "/a\"b".into(),
            version: Version::HTTP_2,
            status: StatusCode::OK,
            bytes: 120,
            promised: vec!["/a.css".into(), "/b.js?v=1".into()],
            hinted: 0,
        };
        assert_eq!(
            entry.to_string(),
            "127.0.0.1 - - [09/Sep/2001:01:46:40 +0000] \"GET /a\\\"b HTTP/2.0\" 200 120 \
             pushed=/a.css,/b.js?v=1"
        );
    }
}
