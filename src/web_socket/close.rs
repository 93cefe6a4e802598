//! How a conversation is closed: codes and reasons (RFC 6455 sections 5.5.1 and 7.4).
//!
//! Knows nothing of frames around them. Read on in [`super::session`].

use std::fmt;

use super::Error;
use super::frame::CONTROL_BYTES_MAX;

/// Bytes of a reason that fit beside the code.
pub const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Why a conversation is closed, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// All is said.
    pub const NORMAL: Self = Self(1000);
    /// The server shuts down, or the page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// A frame was malformed, or out of place.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of message that is not taken here, such as binary where text is spoken.
    pub const UNSUPPORTED: Self = Self(1003);
    /// A message is not what its kind says: text that is not UTF-8.
    pub const INVALID: Self = Self(1007);
    /// A message that may not be sent.
    pub const POLICY: Self = Self(1008);
    /// A message over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// The server failed.
    pub const INTERNAL: Self = Self(1011);
    /// The server is restarted.
    pub const RESTART: Self = Self(1012);
    /// The reader is too slow, or too many are here: try later, or elsewhere.
    pub const TRY_LATER: Self = Self(1013);

    /// Returns a code of an application's own: 3000 to 4999.
    pub const fn of_application(number: u16) -> Option<Self> {
        match number {
            3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// Returns the code of a number that may stand in a frame: one that IANA has registered, or an
    /// application's own. 1005, 1006 and 1015 tell what was never sent; 1004 is nobody's.
    pub const fn received(number: u16) -> Option<Self> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// Returns the number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    code: CloseCode,
    reason: String,
}

impl Close {
    /// Returns a code with its reason, of which as many whole characters are told as fit.
    pub fn new(code: CloseCode, reason: &str) -> Self {
        let fits = reason.floor_char_boundary(REASON_BYTES_MAX);
        Self {
            code,
            reason: reason[..fits].to_owned(),
        }
    }

    /// Returns the code.
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// Returns the reason, for people; may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Reads the payload of a close frame; an empty one gives no code.
    ///
    /// # Errors
    /// Half a code, a code that may not be sent, or a reason that is not UTF-8.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, Error> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(Error::HalfCloseCode)
            };
        };
        let number = u16::from_be_bytes(*code);
        let code = CloseCode::received(number).ok_or(Error::CloseCode(number))?;
        let reason = std::str::from_utf8(reason).map_err(|_| Error::CloseReason)?;
        Ok(Some(Self::new(code, reason)))
    }

    /// Returns the payload of a close frame.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = self.code.0.to_be_bytes().to_vec();
        payload.extend_from_slice(self.reason.as_bytes());
        payload
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => self.code.fmt(f),
            reason => write!(f, "{} ({})", self.code, reason.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_may_be_sent() {
        let legal = |number: &u16| CloseCode::received(*number).is_some();
        let legal: Vec<u16> = (0..3000).filter(legal).collect();
        let named = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
        ];
        assert_eq!(legal, named);
        assert_eq!(
            (3000..=u16::MAX)
                .filter(|n| CloseCode::received(*n).is_some())
                .count(),
            2000
        );
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let close = Close::new(CloseCode::NORMAL, &"ä".repeat(100));
        assert_eq!(close.reason(), "ä".repeat(61));
        assert_eq!(Close::read(&close.payload()), Ok(Some(close)));
    }
}
