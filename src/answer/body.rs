//! What a response body is made of, and what it is to the order of sending.
//!
//! Plain data: a door turns it into bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::hub::{EventId, Hub};
use crate::site::Asset;

/// A response body.
#[derive(Debug, Clone)]
pub enum Body {
    /// None.
    Empty,
    /// Bytes in memory.
    Memory(Bytes),
    /// Bytes in memory, one piece after another.
    Pieces(Vec<Bytes>),
    /// A file that is streamed.
    Streamed(Streamed),
    /// Events as they happen.
    Feed {
        /// Where they are published.
        hub: Arc<Hub>,
        /// What the reader has seen; `None`: it wants what happens from now on.
        after: Option<EventId>,
    },
}

/// A body that a file has to be opened for.
#[derive(Debug, Clone)]
pub struct Streamed {
    /// The file.
    pub asset: Arc<Asset>,
    /// What is sent, in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a body that is streamed.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of the file.
    File(Range<u64>),
}

impl Body {
    /// Returns its length in bytes, as far as it has one.
    pub fn length(&self) -> u64 {
        let length = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(range) => range.end - range.start,
        };
        match self {
            Self::Empty | Self::Feed { .. } => 0,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Pieces(pieces) => pieces.iter().map(|bytes| bytes.len() as u64).sum(),
            Self::Streamed(streamed) => streamed.pieces.iter().map(length).sum(),
        }
    }

    pub(super) fn of(asset: &Arc<Asset>) -> Self {
        match &asset.content {
            Some(content) => Self::Memory(content.clone()),
            None => Self::Streamed(Streamed {
                asset: Arc::clone(asset),
                pieces: vec![Piece::File(0..asset.length)],
            }),
        }
    }
}

/// What a body is to the order of sending, where the client does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// A document: its opening first, the rest after what blocks rendering.
    Document {
        /// Bytes of it that a first render takes: the head and the first content.
        opening_length: usize,
    },
    /// Something that the first render may wait for.
    Blocking,
    /// A font: text waits for it.
    Font,
    /// A script that runs once the page is parsed.
    Deferred,
    /// An image.
    Image,
    /// Anything else.
    Other,
}

impl Rank {
    /// Returns the rank of a document that takes another number of bytes in an encoding.
    pub(super) fn scaled(self, length: u64, encoded_length: u64) -> Self {
        let Self::Document { opening_length } = self else {
            return self;
        };
        if length == encoded_length || length == 0 {
            return self;
        }
        let scaled = u128::from(encoded_length) * opening_length as u128;
        let scaled = scaled.div_ceil(u128::from(length));
        Self::Document {
            opening_length: usize::try_from(scaled).unwrap_or(opening_length),
        }
    }
}
