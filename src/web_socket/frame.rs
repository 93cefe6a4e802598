//! Frames (RFC 6455 section 5.2): their header, read and written, and whole ones to be shared.
//!
//! Knows nothing of what came before a frame; [`super::decoder`] does.
//!
//! ```text
//!   FIN RSV1 0 0 opcode:4 │ MASK length:7 │ length:16 or :64, if 126 or 127 │ key:32, if masked
//! ```

use bytes::Bytes;

use super::close::Close;
use super::mask::{self, Key};
use super::{Error, Role};

/// Payload bytes of a control frame.
pub(super) const CONTROL_BYTES_MAX: usize = 125;
/// Bytes of a frame's header.
pub(super) const HEADER_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn read(nibble: u8) -> Result<Self, Error> {
        Ok(match nibble {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => return Err(Error::Opcode(other)),
        })
    }

    /// Tells close, ping and pong from pieces of messages.
    pub(super) const fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The frame is the last of its message.
    pub(super) is_last: bool,
    /// The message that it begins is compressed (RFC 7692 section 6).
    pub(super) is_compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) key: Option<Key>,
    /// Bytes of payload that follow.
    pub(super) length: u64,
}

impl Header {
    /// Reads a header that a peer sent, and how many bytes it takes; `None`: there is more to come.
    /// What is wrong is told at the byte that is.
    ///
    /// # Errors
    /// It could not be right, whatever follows.
    pub(super) fn read(bytes: &[u8], from: Role) -> Result<Option<(Self, usize)>, Error> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        if first & RESERVED != 0 {
            return Err(Error::ReservedBit);
        }
        let (is_last, is_compressed) = (first & FIN != 0, first & COMPRESSED != 0);
        let opcode = Opcode::read(first & 0x0f)?;
        if opcode.is_control() && !is_last {
            return Err(Error::ControlFragmented);
        }
        if is_compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Error::ReservedBit);
        }
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        match (from, second & MASKED != 0) {
            (Role::Client, false) => return Err(Error::NotMasked),
            (Role::Server, true) => return Err(Error::Masked),
            _ => {}
        }
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(Error::ControlTooLong);
        }
        let Some((length, rest)) = read_length(short, rest)? else {
            return Ok(None);
        };
        let (key, rest) = match (from, rest.split_first_chunk()) {
            (Role::Server, _) => (None, rest),
            (Role::Client, Some((key, rest))) => (Some(*key), rest),
            (Role::Client, None) => return Ok(None),
        };
        let header = Self {
            is_last,
            is_compressed,
            opcode,
            key,
            length,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Writes it, in its shortest form.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let last = if self.is_last { FIN } else { 0 };
        let compressed = if self.is_compressed { COMPRESSED } else { 0 };
        let masked = if self.key.is_some() { MASKED } else { 0 };
        to.push(last | compressed | self.opcode as u8);
        match (u8::try_from(self.length), u16::try_from(self.length)) {
            (Ok(length), _) if length < LENGTH_16 => to.push(masked | length),
            (_, Ok(length)) => {
                to.push(masked | LENGTH_16);
                to.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                to.push(masked | LENGTH_64);
                to.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.key {
            to.extend_from_slice(&key);
        }
    }
}

/// Reads a length, and returns what follows it.
fn read_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Error> {
    let (length, least, rest) = match short {
        LENGTH_64 => match rest.split_first_chunk() {
            Some((long, rest)) => (u64::from_be_bytes(*long), u64::from(u16::MAX) + 1, rest),
            // The first byte alone may tell that it cannot be right.
            None if rest.first().is_some_and(|first| first >> 7 == 1) => {
                return Err(Error::NegativeLength);
            }
            None => return Ok(None),
        },
        LENGTH_16 => match rest.split_first_chunk() {
            Some((long, rest)) => (u64::from(u16::from_be_bytes(*long)), LENGTH_16.into(), rest),
            None => return Ok(None),
        },
        short => (short.into(), 0, rest),
    };
    if length >> 63 == 1 {
        return Err(Error::NegativeLength);
    }
    if length < least {
        return Err(Error::LongLength);
    }
    Ok(Some((length, rest)))
}

/// A whole frame of a server, as it goes on the wire: made once, shared by all who are sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Returns the frame of a text message.
    pub fn text(text: &str) -> Self {
        Self::whole(Opcode::Text, false, text.as_bytes())
    }

    /// Returns the frame of a binary message.
    pub fn binary(bytes: &[u8]) -> Self {
        Self::whole(Opcode::Binary, false, bytes)
    }

    /// Returns the frame of a message whose payload has been compressed.
    pub(super) fn compressed(opcode: Opcode, payload: &[u8]) -> Self {
        Self::whole(opcode, true, payload)
    }

    /// Returns a ping.
    pub(super) fn ping(payload: &[u8]) -> Self {
        Self::whole(Opcode::Ping, false, payload)
    }

    /// Returns the answer to a ping.
    pub(super) fn pong(payload: &[u8]) -> Self {
        Self::whole(Opcode::Pong, false, payload)
    }

    /// Returns the frame that closes.
    pub(super) fn close(close: Option<&Close>) -> Self {
        let payload = close.map(Close::payload).unwrap_or_default();
        Self::whole(Opcode::Close, false, &payload)
    }

    fn whole(opcode: Opcode, is_compressed: bool, payload: &[u8]) -> Self {
        let length = payload.len() as u64;
        let header = Header {
            is_last: true,
            is_compressed,
            opcode,
            key: None,
            length,
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
        header.write(&mut bytes);
        bytes.extend_from_slice(payload);
        Self(bytes.into())
    }

    /// Returns its bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Returns its payload.
    pub(super) fn payload(&self) -> &[u8] {
        match Header::read(&self.0, Role::Server) {
            Ok(Some((_, start))) => &self.0[start..],
            Ok(None) | Err(_) => &[],
        }
    }

    /// Returns it as a client sends it.
    pub(super) fn masked(&self, key: Key) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX + self.0.len());
        if let Ok(Some((header, start))) = Header::read(&self.0, Role::Server) {
            Header {
                key: Some(key),
                ..header
            }
            .write(&mut bytes);
            let payload = bytes.len();
            bytes.extend_from_slice(&self.0[start..]);
            mask::apply(key, &mut bytes[payload..]);
        }
        Self(bytes.into())
    }
}
