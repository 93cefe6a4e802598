//! Follows the frames of one direction of a connection, as far as h2 does not tell.
//!
//! h2 hides what decides what may be sent ahead: whether the peer takes pushes, how much its
//! connection window holds, which promises have really been written, which the peer refused, and
//! PRIORITY_UPDATE. All stand in frame headers and a few bytes behind them (RFC 9113 section 4.1),
//! so a tap of the plaintext tells. It never changes a byte and never fails: what is malformed is
//! h2's to refuse.

use std::ops::ControlFlow;

/// Bytes of a frame header (RFC 9113 section 4.1).
const HEADER_LENGTH: usize = 9;
/// Bytes of a payload kept for reading: a SETTINGS of 42 entries, a PRIORITY_UPDATE of 252 bytes.
const PAYLOAD_KEPT_MAX: usize = 256;
/// Bytes of a block that is nothing but a status: what h2 writes of its table's size, and a literal
/// of three digits.
const BARE_MAX: usize = 13;
/// The client connection preface (RFC 9113 section 3.4).
const PREFACE_LENGTH: usize = 24;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PUSH_PROMISE: u8 = 0x5;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const PRIORITY_UPDATE: u8 = 0x10;

const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const SETTINGS_ENABLE_PUSH: u16 = 0x2;
const REFUSED_STREAM: u32 = 0x7;

/// What a frame told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// Payload bytes of DATA, which count against the connection window.
    Data(u32),
    /// A HEADERS, as far as it is one frame.
    Headers,
    /// The same, and an answer that is nothing but its status. All of ours have a date, so it is
    /// h2's own: it answers a header that is too large, and does not tell.
    Bare,
    /// `SETTINGS_ENABLE_PUSH` (RFC 9113 section 6.5.2).
    EnablePush(bool),
    /// A WINDOW_UPDATE of the connection.
    ConnectionWindow(u32),
    /// A PUSH_PROMISE with this promised stream id was seen whole.
    Promised(u32),
    /// The peer has reset a stream that it had opened.
    Reset,
    /// The peer has refused this promised stream unread (RST_STREAM with REFUSED_STREAM).
    Refused(u32),
    /// The peer wants no further streams (RFC 9113 section 6.8).
    GoAway,
    /// A PRIORITY_UPDATE: stream id and priority field value (RFC 9218 section 7.1).
    Priority(u32, String),
}

/// A reader of frames that are cut anywhere.
#[derive(Debug)]
pub(super) struct Frames {
    is_server: bool,
    skip: usize,
    header: [u8; HEADER_LENGTH],
    header_have: usize,
    payload: Vec<u8>,
    payload_left: usize,
}

impl Frames {
    /// Follows what a client sends: the preface, then frames.
    pub(super) fn of_client() -> Self {
        Self {
            is_server: false,
            skip: PREFACE_LENGTH,
            ..Self::of_server()
        }
    }

    /// Follows what a server sends: frames from the first byte.
    pub(super) fn of_server() -> Self {
        Self {
            is_server: true,
            skip: 0,
            header: [0; HEADER_LENGTH],
            header_have: 0,
            payload: Vec::new(),
            payload_left: 0,
        }
    }

    /// Reads on, and tells `told` of every frame that matters and is now complete.
    pub(super) fn read(&mut self, bytes: &[u8], mut told: impl FnMut(Told)) {
        self.read_until(bytes, |frame| {
            told(frame);
            ControlFlow::Continue(())
        });
    }

    /// Reads on like [`Self::read`], until `told` breaks off behind a frame. Returns how many bytes
    /// were read.
    pub(super) fn read_until(
        &mut self,
        bytes: &[u8],
        mut told: impl FnMut(Told) -> ControlFlow<()>,
    ) -> usize {
        let all = bytes.len();
        let skipped = self.skip.min(all);
        self.skip -= skipped;
        let mut bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            if self.header_have < HEADER_LENGTH {
                let take = (HEADER_LENGTH - self.header_have).min(bytes.len());
                self.header[self.header_have..self.header_have + take]
                    .copy_from_slice(&bytes[..take]);
                self.header_have += take;
                bytes = &bytes[take..];
                if self.header_have < HEADER_LENGTH {
                    break;
                }
                let [a, b, c, ..] = self.header;
                self.payload_left = u32::from_be_bytes([0, a, b, c]) as usize;
            }
            let take = self.payload_left.min(bytes.len());
            if self.is_kept() {
                let keep = take.min(PAYLOAD_KEPT_MAX - self.payload.len());
                self.payload.extend_from_slice(&bytes[..keep]);
            }
            self.payload_left -= take;
            bytes = &bytes[take..];
            if self.payload_left == 0 {
                let mut breaks_off = false;
                self.tell(&mut |frame| breaks_off |= told(frame).is_break());
                self.header_have = 0;
                self.payload.clear();
                if breaks_off {
                    break;
                }
            }
        }
        all - bytes.len()
    }

    fn kind(&self) -> u8 {
        self.header[3]
    }

    fn is_kept(&self) -> bool {
        match self.kind() {
            WINDOW_UPDATE => self.stream_id() == 0,
            RST_STREAM => self.stream_id().is_multiple_of(2),
            HEADERS => self.is_server && self.is_short_end(),
            kind => matches!(kind, SETTINGS | PUSH_PROMISE | PRIORITY_UPDATE),
        }
    }

    /// Returns whether a HEADERS ends its stream, in a few bytes.
    fn is_short_end(&self) -> bool {
        let [a, b, c, _, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        flags & END_STREAM != 0 && length <= BARE_MAX
    }

    fn stream_id(&self) -> u32 {
        number(&self.header[5..]) & 0x7fff_ffff
    }

    fn tell(&mut self, told: &mut impl FnMut(Told)) {
        let [a, b, c, kind, flags, ..] = self.header;
        match kind {
            DATA => told(Told::Data(u32::from_be_bytes([0, a, b, c]))),
            HEADERS if is_one_field(&self.payload) => told(Told::Bare),
            HEADERS => told(Told::Headers),
            SETTINGS if flags & ACK == 0 => {
                for entry in self.payload.as_chunks::<6>().0 {
                    if u16::from_be_bytes([entry[0], entry[1]]) == SETTINGS_ENABLE_PUSH {
                        told(Told::EnablePush(number(&entry[2..]) == 1));
                    }
                }
            }
            WINDOW_UPDATE if self.payload.len() == 4 => {
                told(Told::ConnectionWindow(number(&self.payload) & 0x7fff_ffff));
            }
            RST_STREAM if self.payload.len() == 4 && number(&self.payload) == REFUSED_STREAM => {
                told(Told::Refused(self.stream_id()));
            }
            RST_STREAM if !self.stream_id().is_multiple_of(2) => told(Told::Reset),
            GOAWAY => told(Told::GoAway),
            // h2 never pads a PUSH_PROMISE, so the promised id stands first (section 6.6).
            PUSH_PROMISE if self.payload.len() >= 4 => {
                told(Told::Promised(number(&self.payload) & 0x7fff_ffff));
            }
            PRIORITY_UPDATE if self.payload.len() >= 4 => {
                let id = number(&self.payload) & 0x7fff_ffff;
                if let Ok(value) = std::str::from_utf8(&self.payload[4..]) {
                    told(Told::Priority(id, value.to_owned()));
                }
            }
            _ => {}
        }
        // A connection that is idle holds no buffer.
        if self.payload.capacity() > 0 && self.payload_left == 0 {
            self.payload = Vec::new();
        }
    }
}

/// Returns whether a block holds one field, and its name is in a table (RFC 7541 section 6). Which
/// one it is, only who has decoded all blocks before can tell.
fn is_one_field(mut block: &[u8]) -> bool {
    // The size of the table comes first.
    while let Some(0x20..=0x3f) = block.first() {
        block = after_integer(block, 5);
    }
    match block.first() {
        Some(0x80..) => after_integer(block, 7).is_empty(),
        Some(0x41..=0x7e) => matches!(block, [_, length, value @ ..]
            if usize::from(length & 0x7f) == value.len()),
        _ => false,
    }
}

/// Returns what stands behind an integer whose first byte has a prefix of so many bits (RFC 7541
/// section 5.1).
fn after_integer(bytes: &[u8], prefix: u32) -> &[u8] {
    let [first, rest @ ..] = bytes else {
        return &[];
    };
    if first.trailing_ones() < prefix {
        return rest;
    }
    let length = rest.iter().take_while(|&&byte| byte >= 0x80).count() + 1;
    rest.get(length..).unwrap_or_default()
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn read_in_pieces(frames: &mut Frames, bytes: &[u8], piece: usize) -> Vec<Told> {
        let mut all = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.read(piece, |told| all.push(told));
        }
        all
    }

    #[test]
    fn a_client_is_followed_however_its_bytes_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(
            SETTINGS,
            0,
            0,
            &[0, 3, 0, 0, 0, 100, 0, 2, 0, 0, 0, 0],
        ));
        bytes.extend(frame(SETTINGS, ACK, 0, &[]));
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0, 0xf0, 0, 0]));
        bytes.extend(frame(WINDOW_UPDATE, 0, 5, &[0, 1, 0, 0]));
        bytes.extend(frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x07u=1, i"));
        bytes.extend(frame(DATA, 0, 1, &[0; 300]));
        let expected = [
            Told::EnablePush(false),
            Told::ConnectionWindow(0x00f0_0000),
            Told::Priority(7, "u=1, i".into()),
            Told::Data(300),
        ];
        for piece in [1, 2, 7, 100, 10_000] {
            assert_eq!(
                read_in_pieces(&mut Frames::of_client(), &bytes, piece),
                expected,
                "in pieces of {piece} bytes"
            );
        }
    }

    #[test]
    fn an_answer_that_is_only_a_status_is_h2s() {
        let told = |mut frames: Frames, flags, block: &[u8]| {
            read_in_pieces(&mut frames, &frame(HEADERS, flags, 1, block), 3)
        };
        let bare: [&[u8]; 5] = [
            b"\x48\x03431",
            b"\x48\x83\x68\x20\xff",
            b"\xbe",
            b"\x20\xbe",
            b"\x20\x3f\xe1\x1f\x48\x03431",
        ];
        for block in bare {
            assert_eq!(
                told(Frames::of_server(), 5, block),
                [Told::Bare],
                "{block:?}"
            );
        }
        let more: [&[u8]; 6] = [
            b"\xbe\xbf",
            b"\x88\xc0\xbf\xbe",
            b"\x48\x03431\xbe",
            b"\x40\x01a\x01b",
            b"\x20",
            b"",
        ];
        for block in more {
            assert_eq!(
                told(Frames::of_server(), 5, block),
                [Told::Headers],
                "{block:?}"
            );
        }
        assert_eq!(told(Frames::of_server(), 4, b"\xbe"), [Told::Headers]);
        let mut requests = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        requests.extend(frame(HEADERS, 5, 1, b"\xbe"));
        assert_eq!(
            read_in_pieces(&mut Frames::of_client(), &requests, 3),
            [Told::Headers]
        );
    }

    #[test]
    fn reading_breaks_off_behind_a_frame_and_goes_on_there() {
        let bytes = [
            frame(SETTINGS, ACK, 0, &[]),
            frame(HEADERS, 5, 1, &[0x82, 0x84]),
            frame(HEADERS, 5, 3, &[0x82, 0x85]),
            frame(GOAWAY, 0, 0, &[0; 8]),
        ]
        .concat();
        for piece in [1, 10, 15, 24, 10_000] {
            let mut frames = Frames::of_server();
            let mut told = Vec::new();
            let mut ends = Vec::new();
            let mut at = 0;
            while at < bytes.len() {
                let piece = &bytes[at..bytes.len().min(at + piece)];
                let before = told.len();
                at += frames.read_until(piece, |frame| {
                    told.push(frame);
                    ControlFlow::Break(())
                });
                if told.len() > before {
                    ends.push(at);
                }
            }
            assert_eq!(told, [Told::Headers, Told::Headers, Told::GoAway]);
            assert_eq!(ends, [20, 31, 48], "in pieces of {piece} bytes");
        }
    }

    #[test]
    fn a_promise_counts_when_its_last_byte_has_passed() {
        let bytes = frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 14, 0x82, 0x84]);
        let mut frames = Frames::of_server();
        assert_eq!(
            read_in_pieces(&mut frames, &bytes[..bytes.len() - 1], 3),
            []
        );
        assert_eq!(
            read_in_pieces(&mut frames, &bytes[bytes.len() - 1..], 1),
            [Told::Promised(14)]
        );
    }
}
