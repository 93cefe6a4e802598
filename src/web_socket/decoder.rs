//! Bytes to messages: the reading half of RFC 6455, for bytes that arrive in any pieces.
//!
//! Knows neither time nor sockets, and answers nothing; [`super::session`] does. Between messages
//! it holds no memory besides itself.
//!
//! ```text
//!            header                     payload, unmasked as it comes
//!   ──▶ at a frame ──▶ in a frame ──▶ control: told at once, even amid a message
//!           ▲              └────────▶ data: gathered ──last fragment──▶ inflated? ──▶ message
//!           └──────────────────────────────┘
//! ```

use bytes::Bytes;

use super::close::Close;
use super::frame::{HEADER_BYTES_MAX, Header, Opcode};
use super::mask::{self, Key};
use super::utf8::Gathered;
use super::{Error, Message, Role, deflate};

/// Bytes that are set aside because a header promises them: of more, as many as have come.
const TRUSTED_BYTES_MAX: usize = 4 * 1024;
/// Bytes of text that are unmasked at once, where they stay in the nearest cache.
const UNMASKED_BYTES: usize = 1024;
/// Fragments of one message that carry nothing.
pub const EMPTY_FRAGMENTS_MAX: u8 = 100;

/// What a peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A whole message.
    Message(Message),
    /// To be answered with a pong of the same payload, of at most 125 bytes.
    Ping(Bytes),
    /// Answers a ping, or nothing.
    Pong(Bytes),
    /// The last word, with its code if there is one.
    Close(Option<Close>),
}

/// Reads what one peer sends.
#[derive(Debug)]
pub struct Decoder {
    from: Role,
    message_bytes_max: usize,
    inflates: bool,
    /// The begun header of the next frame, at the front.
    header: [u8; HEADER_BYTES_MAX],
    header_held: u8,
    frame: Option<InFrame>,
    /// Payload of the control frame that is being read.
    control: Vec<u8>,
    message: Option<InMessage>,
}

/// The frame that is being read.
#[derive(Debug, Clone, Copy)]
struct InFrame {
    header: Header,
    /// Payload bytes to come.
    left: usize,
}

/// The message that is being read.
#[derive(Debug)]
struct InMessage {
    is_text: bool,
    payload: Payload,
    empty_fragments: u8,
}

#[derive(Debug)]
enum Payload {
    /// Text, which is judged as it comes.
    Text(Gathered),
    Binary(Vec<u8>),
    /// Either, compressed.
    Compressed(Vec<u8>),
}

impl Payload {
    fn new(header: &Header) -> Self {
        if header.is_compressed {
            Self::Compressed(Vec::new())
        } else if header.opcode == Opcode::Text {
            Self::Text(Gathered::default())
        } else {
            Self::Binary(Vec::new())
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Compressed(bytes) => bytes.len(),
        }
    }

    const fn room(&self) -> usize {
        match self {
            Self::Text(text) => text.room(),
            Self::Binary(bytes) | Self::Compressed(bytes) => bytes.capacity(),
        }
    }

    /// Takes a piece, with its mask off; `promised` bytes are to come with it.
    fn push(&mut self, piece: &[u8], key: Option<Key>, promised: usize) -> Result<(), Error> {
        let text = match self {
            Self::Text(text) => text,
            Self::Binary(bytes) | Self::Compressed(bytes) => {
                gather(bytes, piece, key, promised);
                return Ok(());
            }
        };
        text.reserve(promised);
        let Some(mut key) = key else {
            return text.push(piece).map_err(|_| Error::Text);
        };
        let mut room = [0; UNMASKED_BYTES];
        for part in piece.chunks(UNMASKED_BYTES) {
            let unmasked = &mut room[..part.len()];
            unmasked.copy_from_slice(part);
            mask::apply(key, unmasked);
            text.push(unmasked).map_err(|_| Error::Text)?;
            key = mask::after(key, part.len());
        }
        Ok(())
    }
}

fn gather(bytes: &mut Vec<u8>, piece: &[u8], key: Option<Key>, promised: usize) {
    bytes.reserve(promised);
    let start = bytes.len();
    bytes.extend_from_slice(piece);
    if let Some(key) = key {
        mask::apply(key, &mut bytes[start..]);
    }
}

impl Decoder {
    /// Returns a reader of what `from` sends: messages of up to so many bytes, compressed ones if
    /// that was agreed on.
    pub fn new(from: Role, message_bytes_max: usize, inflates: bool) -> Self {
        Self {
            from,
            message_bytes_max,
            inflates,
            header: [0; HEADER_BYTES_MAX],
            header_held: 0,
            frame: None,
            control: Vec::new(),
            message: None,
        }
    }

    /// Reads on, from the front of `input`, which is shortened by what was read. Returns what the
    /// peer said next; `None`: `input` is empty, and there is more to come.
    ///
    /// # Errors
    /// The peer broke a rule. Nothing can be read after that.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Received>, Error> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.read_header(input)? {
                    Some(header) => self.enter(header)?,
                    None => return Ok(None),
                },
            };
            let Some(done) = self.read_payload(frame, input)? else {
                return Ok(None);
            };
            self.frame = None;
            let received = match done.opcode {
                Opcode::Ping => Some(Received::Ping(std::mem::take(&mut self.control).into())),
                Opcode::Pong => Some(Received::Pong(std::mem::take(&mut self.control).into())),
                Opcode::Close => Some(Received::Close(Close::read(&self.control)?)),
                Opcode::Continuation | Opcode::Text | Opcode::Binary => self.end_fragment(done)?,
            };
            if received.is_some() {
                return Ok(received);
            }
        }
    }

    /// Returns how much there is of a message that was begun, and whose end is still to come.
    pub fn gathered(&self) -> Option<usize> {
        self.message.as_ref().map(|message| message.payload.len())
    }

    /// Returns how many bytes of memory it holds besides itself.
    pub fn room(&self) -> usize {
        let message = self.message.as_ref().map(|message| message.payload.room());
        message.unwrap_or(0) + self.control.capacity()
    }

    /// Gives up the memory of what was begun, when nothing more will be read.
    pub fn forget(&mut self) {
        self.message = None;
        self.control = Vec::new();
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Error> {
        let held = usize::from(self.header_held);
        let more = input.len().min(HEADER_BYTES_MAX - held);
        self.header[held..held + more].copy_from_slice(&input[..more]);
        let Some((header, length)) = Header::read(&self.header[..held + more], self.from)? else {
            // Fourteen bytes are always a header, so all of the input is in there.
            self.header_held += u8::try_from(more).unwrap_or(u8::MAX);
            *input = &[];
            return Ok(None);
        };
        *input = &input[length - held..];
        self.header_held = 0;
        Ok(Some(header))
    }

    /// Judges a header by what came before it.
    fn enter(&mut self, header: Header) -> Result<InFrame, Error> {
        if header.is_compressed && !self.inflates {
            return Err(Error::ReservedBit);
        }
        let begun = match (header.opcode, &self.message) {
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Error::Interleaved),
            (Opcode::Continuation, None) => return Err(Error::NothingToContinue),
            (Opcode::Continuation, Some(message)) => message.payload.len(),
            _ => 0,
        };
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if !header.opcode.is_control() && length > self.message_bytes_max - begun {
            return Err(Error::TooBig(self.message_bytes_max));
        }
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.message = Some(InMessage {
                is_text: header.opcode == Opcode::Text,
                payload: Payload::new(&header),
                empty_fragments: 0,
            });
        }
        let frame = InFrame {
            header,
            left: length,
        };
        self.frame = Some(frame);
        Ok(frame)
    }

    /// Takes what there is of a frame's payload. Returns the frame's header at its end.
    fn read_payload(
        &mut self,
        InFrame { header, left }: InFrame,
        input: &mut &[u8],
    ) -> Result<Option<Header>, Error> {
        let (piece, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        let promised = left.min(TRUSTED_BYTES_MAX.max(piece.len()));
        match &mut self.message {
            Some(message) if !header.opcode.is_control() => {
                message.payload.push(piece, header.key, promised)?;
            }
            _ => gather(&mut self.control, piece, header.key, promised),
        }
        if piece.len() == left {
            return Ok(Some(header));
        }
        let key = header.key.map(|key| mask::after(key, piece.len()));
        self.frame = Some(InFrame {
            header: Header { key, ..header },
            left: left - piece.len(),
        });
        Ok(None)
    }

    fn end_fragment(&mut self, frame: Header) -> Result<Option<Received>, Error> {
        let Some(mut message) = self.message.take() else {
            return Ok(None);
        };
        if !frame.is_last {
            if frame.length == 0 {
                message.empty_fragments += 1;
                if message.empty_fragments > EMPTY_FRAGMENTS_MAX {
                    return Err(Error::EmptyFragments);
                }
            }
            self.message = Some(message);
            return Ok(None);
        }
        let whole = match message.payload {
            Payload::Text(text) => Message::Text(text.finish().map_err(|_| Error::Text)?),
            Payload::Binary(bytes) => Message::Binary(bytes.into()),
            Payload::Compressed(bytes) => {
                let bytes = deflate::inflate(&bytes, self.message_bytes_max)?;
                if message.is_text {
                    Message::Text(String::from_utf8(bytes).map_err(|_| Error::Text)?)
                } else {
                    Message::Binary(bytes.into())
                }
            }
        };
        Ok(Some(Received::Message(whole)))
    }
}
