//! WebSocket (RFC 6455): a conversation of messages over one stream of bytes, whoever carries it.
//!
//! Knows nothing of channels, and of HTTP only the opening. Bytes in, messages out, and shared
//! frames back: [`handshake`] opens, [`Decoder`] reads, [`Session`] adds pongs, closing and time
//! without a socket or a clock, [`Socket`] puts it on a [`Transport`], and [`echo`] is the smallest
//! conversation. Read on in [`session`].
//!
//! # Why a codec of our own
//!
//! A frame has to be encoded and compressed once for all who hear it, an idle peer has to cost next
//! to nothing, and HTTP/2 hands over and takes owned bytes under flow control, not a socket. Of the
//! kept crates, tokio-websockets (0.13) and tokio-tungstenite (0.30) keep a read buffer for each
//! connection (8 and 128 KiB), write each frame's header for each connection anew, and know no
//! compression; yawc (0.5) compresses, per connection and in streams of its own, and brings its own
//! HTTP stack. Each wants to own an `AsyncRead + AsyncWrite`, so that over HTTP/2 bytes would be
//! copied both ways. What remains is small, and tungstenite checks it, in tests alone.

pub mod broadcast;
pub mod close;
pub mod decoder;
pub mod deflate;
pub mod echo;
pub mod error;
mod frame;
pub mod handshake;
mod header_list;
mod mask;
pub mod session;
pub mod socket;
mod utf8;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::broadcast::Broadcast;
pub use self::close::{Close, CloseCode};
pub use self::decoder::{Decoder, Received};
pub use self::deflate::Deflate;
pub use self::error::Error;
pub use self::frame::Frame;
pub use self::session::{End, NotSent, Options, Session};
pub use self::socket::{Io, Socket, Transport};

/// Bytes of one message, unless a handler wants more or fewer: there is no greatest.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Who sends: a client masks what it sends, a server does not (RFC 6455 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Asks for the conversation.
    Client,
    /// Is asked.
    Server,
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Anything.
    Binary(Bytes),
}

impl Message {
    /// Returns its payload.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}
