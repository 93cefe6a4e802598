//! A message to many: each form of its frame is made once, when first needed, and shared.
//!
//! Knows nothing of who they are; [`super::Session::deflate`] tells which form each takes.

use std::sync::OnceLock;

use super::Frame;
use super::deflate::{self, Deflate};
use super::frame::Opcode;

/// A message to many.
#[derive(Debug)]
pub struct Broadcast {
    opcode: Opcode,
    plain: Frame,
    /// None within: it would not be shorter.
    deflated: OnceLock<Option<Frame>>,
}

impl Broadcast {
    /// Returns a text message.
    pub fn text(text: &str) -> Self {
        Self::new(Opcode::Text, Frame::text(text))
    }

    /// Returns a binary message.
    pub fn binary(bytes: &[u8]) -> Self {
        Self::new(Opcode::Binary, Frame::binary(bytes))
    }

    /// Returns its frame for a peer with whom this was agreed. To be compressed is a matter of the
    /// message, so one that gains nothing is sent plainly to all.
    pub fn frame(&self, agreed: Option<Deflate>) -> &Frame {
        let Some(agreed) = agreed else {
            return &self.plain;
        };
        let payload = self.plain.payload();
        if payload.len() > agreed.message_bytes_max() {
            return &self.plain;
        }
        let deflated = self.deflated.get_or_init(|| {
            let payload = deflate::deflate(payload)?;
            Some(Frame::compressed(self.opcode, &payload))
        });
        deflated.as_ref().unwrap_or(&self.plain)
    }

    const fn new(opcode: Opcode, plain: Frame) -> Self {
        Self {
            opcode,
            plain,
            deflated: OnceLock::new(),
        }
    }
}
