//! A client that writes HTTP/2 frames by hand: what no well-behaved client would say.

use std::time::Duration;

use forerun::measure::link::End;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::tap::{Frame, Record, Tap, Unit as _};
use crate::world::World;

/// The client connection preface (RFC 9113 section 3.4), without its SETTINGS.
pub(crate) const PREFACE: &[u8] = Frame::PREFACE;
/// `GET /` of `https://localhost`, as HPACK has it without tables.
pub(crate) const GET: &[u8] = b"\x82\x84\x87\x01\x09localhost";
/// `GET /large.png` of `https://localhost`.
pub(crate) const GET_LARGE: &[u8] = b"\x82\x87\x04\x0a/large.png\x01\x09localhost";
/// `POST /` of `https://localhost`.
pub(crate) const POST: &[u8] = b"\x83\x84\x87\x01\x09localhost";

pub(crate) const PRIORITY: u8 = 2;
pub(crate) const CONTINUATION: u8 = 9;

/// The flags of a request that is one frame: `END_STREAM` and `END_HEADERS`.
pub(crate) const WHOLE: u8 = 5;
/// The flag `END_HEADERS`.
pub(crate) const HEADED: u8 = 4;

/// Error codes (RFC 9113 section 7).
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A connection that says what it is told to.
pub(crate) struct Raw {
    stream: TlsStream<Tap<End, Record>>,
    server: JoinHandle<()>,
    unread: Vec<u8>,
    is_closed: bool,
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Heard {
    /// Returns the error code of a RST_STREAM or a GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == Frame::GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

impl Raw {
    /// Shakes hands, and says nothing yet.
    pub(crate) async fn silent(world: &mut World) -> Self {
        let greeted = world.greet("h2").await;
        Self {
            stream: greeted.stream,
            server: greeted.server,
            unread: Vec::new(),
            is_closed: false,
        }
    }

    /// Opens a connection with settings: pairs of identifier and value.
    pub(crate) async fn open(world: &mut World, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::silent(world).await;
        let mut payload = Vec::new();
        for (identifier, value) in settings {
            payload.extend(identifier.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let settings = Frame::bytes(Frame::SETTINGS, 0, 0, &payload);
        raw.say(world, &[PREFACE, &settings].concat()).await;
        raw.say(world, &Frame::bytes(Frame::SETTINGS, 1, 0, &[]))
            .await;
        raw
    }

    /// Says bytes, as far as the server takes them.
    pub(crate) async fn say(&mut self, world: &World, bytes: &[u8]) {
        let saying = async {
            // The server may have closed before all is said.
            let _ = self.stream.write_all(bytes).await;
            let _ = self.stream.flush().await;
        };
        world.wait(saying).await;
    }

    /// Returns the frames that have come when nothing comes for a while, or the server has closed.
    pub(crate) async fn hear(&mut self, world: &World, quiet: Duration) -> Vec<Heard> {
        let hearing = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read) = timeout(quiet, self.stream.read(&mut buffer)).await {
                match read {
                    Ok(0) | Err(_) => {
                        self.is_closed = true;
                        break;
                    }
                    Ok(length) => self.unread.extend(&buffer[..length]),
                }
            }
        };
        world.wait(hearing).await;
        self.frames()
    }

    /// Returns what comes within a second of virtual time.
    pub(crate) async fn answer(&mut self, world: &World) -> Vec<Heard> {
        // Longer than an unwanted body is waited for.
        self.hear(world, Duration::from_millis(1_500)).await
    }

    /// Returns whether the server has closed, as far as was heard.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns whether the server is done with this connection.
    pub(crate) fn is_over(&self) -> bool {
        self.server.is_finished()
    }

    fn frames(&mut self) -> Vec<Heard> {
        let mut frames = Vec::new();
        while let Some(head) = self.unread.get(..Frame::HEAD_BYTES) {
            let length = head.len() + Frame::payload_bytes(head);
            if self.unread.len() < length {
                break;
            }
            let rest = self.unread.split_off(length);
            let frame = std::mem::replace(&mut self.unread, rest);
            frames.push(Heard {
                kind: frame[3],
                flags: frame[4],
                stream: u32::from_be_bytes(frame[5..9].try_into().unwrap()) & 0x7fff_ffff,
                payload: frame[Frame::HEAD_BYTES..].to_vec(),
            });
        }
        frames
    }
}

/// Returns a request for a stream.
pub(crate) fn request(stream: u32, block: &[u8]) -> Vec<u8> {
    Frame::bytes(Frame::HEADERS, WHOLE, stream, block)
}

/// Returns a header field as a literal that is not indexed.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.extend(length(text.len()));
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// Returns the length of a string that is not Huffman coded (RFC 7541 section 5.1).
fn length(mut length: usize) -> Vec<u8> {
    const PREFIX: usize = 127;
    if length < PREFIX {
        return vec![u8::try_from(length).unwrap()];
    }
    let mut bytes = vec![127];
    length -= PREFIX;
    while length >= 128 {
        bytes.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes
}

/// Returns the one frame of a kind on a stream.
#[track_caller]
pub(crate) fn one(frames: &[Heard], kind: u8, stream: u32) -> &Heard {
    let mut of_kind = frames
        .iter()
        .filter(|frame| frame.kind == kind && frame.stream == stream);
    match (of_kind.next(), of_kind.next()) {
        (Some(frame), None) => frame,
        (first, _) => panic!(
            "{} frames of kind {kind} on stream {stream} in {frames:?}",
            if first.is_some() { "several" } else { "no" }
        ),
    }
}

/// Returns the status of the answer on a stream, read from HPACK as `h2` writes it.
pub(crate) fn status(frames: &[Heard], stream: u32) -> Option<u16> {
    let head = frames
        .iter()
        .find(|frame| frame.kind == Frame::HEADERS && frame.stream == stream)?;
    match head.payload[..] {
        // Indexed in the static table (RFC 7541 appendix A).
        [index @ 0x88..=0x8e, ..] => {
            Some([200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)])
        }
        // A literal whose name is `:status`, three digits long.
        [0x48 | 0x08, 0x03, ref digits @ ..] => {
            std::str::from_utf8(digits.get(..3)?).ok()?.parse().ok()
        }
        // The same, Huffman coded: `4` to `9` take six bits, `0` to `2` five.
        [0x48 | 0x08, 0x82, first, second, ..] => huffman([first, second, 0xff]),
        [0x48 | 0x08, 0x83, first, second, third, ..] => huffman([first, second, third]),
        // In the dynamic table: said before.
        _ => None,
    }
}

fn huffman([first, second, third]: [u8; 3]) -> Option<u16> {
    let mut bits = u32::from_be_bytes([first, second, third, 0xff]);
    let mut number = 0;
    for _ in 0..3 {
        let (digit, length) = match bits >> 27 {
            short @ 0..=2 => (short, 5),
            _ => match bits >> 26 {
                long @ 0x19..=0x1f => (long - 0x19 + 3, 6),
                _ => return None,
            },
        };
        number = number * 10 + digit;
        bits = bits << length | ((1 << length) - 1);
    }
    u16::try_from(number).ok()
}
