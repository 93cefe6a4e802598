//! What can be wrong with what a peer sends, and with which code each is answered.
//!
//! Every one ends the conversation: after it nothing that follows can be told apart any more (RFC
//! 6455 section 7.1.7). Read on in [`super::decoder`].

use super::close::CloseCode;

/// What was wrong with what a peer sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A bit that only an extension may set.
    #[error("a reserved bit is set")]
    ReservedBit,
    /// A frame of a kind that is not defined.
    #[error("opcode {0} is reserved")]
    Opcode(u8),
    /// A client masks, always.
    #[error("a client's frame is not masked")]
    NotMasked,
    /// A server never does.
    #[error("a server's frame is masked")]
    Masked,
    /// A length in more bytes than it takes.
    #[error("a length is not in its shortest form")]
    LongLength,
    /// A length of 2^63 or more.
    #[error("a length has its first bit set")]
    NegativeLength,
    /// Close, ping and pong carry up to 125 bytes.
    #[error("a control frame is over 125 bytes")]
    ControlTooLong,
    /// Close, ping and pong come in one frame.
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// A message begins within another.
    #[error("a message begins before the last one ended")]
    Interleaved,
    /// A continuation of nothing.
    #[error("a message is continued that has not begun")]
    NothingToContinue,
    /// Text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A message that does not decompress.
    #[error("a message does not decompress")]
    Deflate,
    /// A message over the limit, compressed or not.
    #[error("a message is over {0} bytes")]
    TooBig(usize),
    /// A close frame of one byte.
    #[error("a close code is cut")]
    HalfCloseCode,
    /// A close code that may not be sent.
    #[error("{0} is not a close code to be sent")]
    CloseCode(u16),
    /// A close reason that is not UTF-8.
    #[error("a close reason is not UTF-8")]
    CloseReason,
    /// Fragments without end that carry nothing.
    #[error("too many empty fragments")]
    EmptyFragments,
    /// Pings and pongs without end.
    #[error("too many control frames")]
    ControlFlood,
    /// A message that was begun and not gone on with.
    #[error("a message was begun and not continued in time")]
    Unfinished,
}

impl Error {
    /// Returns the code to answer with.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::ReservedBit
            | Self::Opcode(_)
            | Self::NotMasked
            | Self::Masked
            | Self::LongLength
            | Self::NegativeLength
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::Interleaved
            | Self::NothingToContinue
            | Self::HalfCloseCode
            | Self::CloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::Text | Self::CloseReason | Self::Deflate => CloseCode::INVALID,
            Self::TooBig(_) => CloseCode::TOO_BIG,
            Self::EmptyFragments | Self::ControlFlood | Self::Unfinished => CloseCode::POLICY,
        }
    }
}
