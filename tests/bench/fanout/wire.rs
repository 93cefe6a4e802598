//! HTTP/2 by hand, as much as somebody needs who listens (RFC 9113): frames are looked at where
//! they lie, so that reading costs less than what is measured.

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// How `:status: 200` begins a header block: an index of the static table (RFC 7541 appendix A).
pub(crate) const STATUS_OK: u8 = 0x88;

const HEAD_BYTES: usize = 9;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS_ENABLE_PUSH: u16 = 2;
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;
/// The largest window (section 6.9.1): no measurement sends as much, so none is opened twice.
const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The connection's window before any WINDOW_UPDATE (section 6.9.2).
const WINDOW_INITIAL: u32 = 65_535;

/// Adds a frame.
pub(crate) fn frame(into: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("payloads here are short");
    into.extend(&length.to_be_bytes()[1..]);
    into.extend([kind, flags]);
    into.extend(stream.to_be_bytes());
    into.extend(payload);
}

/// Adds what a client says first. With `window_bytes` of 0, streams take nothing until it is opened
/// for them.
pub(crate) fn greet(into: &mut Vec<u8>, window_bytes: u32) {
    into.extend(PREFACE);
    let mut settings = Vec::new();
    for (name, value) in [
        (SETTINGS_ENABLE_PUSH, 0),
        (SETTINGS_INITIAL_WINDOW_SIZE, window_bytes),
    ] {
        settings.extend(name.to_be_bytes());
        settings.extend(value.to_be_bytes());
    }
    frame(into, SETTINGS, 0, 0, &settings);
    let more = WINDOW_MAX - WINDOW_INITIAL;
    frame(into, WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
}

/// The window of streams that are read.
pub(crate) const fn open_window() -> u32 {
    WINDOW_MAX
}

/// Returns a header block of literals that no table keeps (RFC 7541 section 6.2.2).
pub(crate) fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in pairs {
        block.push(0);
        for text in [name, value] {
            let length = u8::try_from(text.len()).expect("texts here are short");
            assert!(length < 127, "a longer text takes a longer number");
            block.push(length);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A frame of which a piece is seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    /// Bytes of its payload.
    length: usize,
    /// Of which have not been seen, this piece included.
    left: usize,
}

impl Head {
    /// Returns whether the piece is the first.
    pub(crate) fn begins(&self) -> bool {
        self.left == self.length
    }

    /// Returns whether the frame ends with the piece.
    pub(crate) fn ends_with(&self, piece: &[u8]) -> bool {
        self.left == piece.len()
    }
}

/// Tells frames from each other, however their bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; HEAD_BYTES],
    have: usize,
    left: usize,
}

impl Frames {
    /// Shows every piece of a payload in some bytes; of an empty payload, an empty piece.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut see: impl FnMut(Head, &[u8])) {
        while !bytes.is_empty() {
            if self.have < HEAD_BYTES {
                let (taken, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.have));
                self.head[self.have..][..taken.len()].copy_from_slice(taken);
                self.have += taken.len();
                bytes = rest;
                if self.have < HEAD_BYTES {
                    return;
                }
                self.left = self.length();
            }
            if self.left > 0 && bytes.is_empty() {
                return;
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(self.left));
            let [_, _, _, kind, flags, stream @ ..] = self.head;
            let head = Head {
                kind,
                flags,
                stream: u32::from_be_bytes(stream) & WINDOW_MAX,
                length: self.length(),
                left: self.left,
            };
            see(head, piece);
            self.left -= piece.len();
            bytes = rest;
            if self.left == 0 {
                self.have = 0;
            }
        }
    }

    fn length(&self) -> usize {
        let [a, b, c, ..] = self.head;
        u32::from_be_bytes([0, a, b, c]) as usize
    }
}
