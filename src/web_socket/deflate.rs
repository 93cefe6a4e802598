//! permessage-deflate (RFC 7692), each message compressed alone.
//!
//! It is agreed on only with both sides' `no_context_takeover`, so an idle peer costs no window,
//! and one compressed frame serves all: whatever window a peer has asked for, a message that is no
//! longer than it cannot refer back beyond it. Longer ones go to such a peer as they are.
//! [`super::handshake`] asks for the agreement, [`super::Broadcast`] holds the frames.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use http::{HeaderMap, header};

use super::Error;
use super::header_list::{Element, elements};

/// The extension's name.
const NAME: &str = "permessage-deflate";
/// What a message ends with when its compressor is flushed, and what is not sent (section 7.2.1).
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];
/// A final block of nothing: where it is one, all before it was whole.
const FINAL: [u8; 5] = [1, 0, 0, 0xff, 0xff];
/// The largest window, in bits: 32 KiB.
const WINDOW_BITS_MAX: u8 = 15;
/// Payloads below this are sent as they are: they would hardly shrink.
pub const DEFLATE_BYTES_MIN: usize = 128;
/// Room for what is inflated, when nothing is known of it yet.
const INFLATED_STEP: usize = 4 * 1024;

/// What was agreed on with one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// The window that the peer sets aside, in bits: 8 to 15; `None`: it did not say, so 15.
    window_bits: Option<u8>,
}

impl Deflate {
    /// Takes the first offer that can be kept, of those that a client makes (section 5).
    pub(super) fn choose(headers: &HeaderMap) -> Option<Self> {
        let fields = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
        let fields = fields.filter_map(|field| field.to_str().ok());
        fields
            .flat_map(elements)
            .find_map(|offer| Self::accept(&offer))
    }

    fn accept(offer: &Element<'_>) -> Option<Self> {
        if !offer.name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let (mut window_bits, mut seen) = (None, Vec::new());
        for (name, value) in &offer.parameters {
            // An offer with what is unknown, repeated or malformed is declined (section 7.1).
            if seen.contains(name) {
                return None;
            }
            seen.push(*name);
            match (*name, value.as_deref()) {
                // Any window of the peer's compressor fits in the largest.
                (
                    "server_no_context_takeover"
                    | "client_no_context_takeover"
                    | "client_max_window_bits",
                    None,
                ) => {}
                ("client_max_window_bits", Some(bits)) => {
                    window(bits)?;
                }
                ("server_max_window_bits", Some(bits)) => window_bits = Some(window(bits)?),
                _ => return None,
            }
        }
        Some(Self { window_bits })
    }

    /// Returns the answer to the offer that was taken. It binds the client to
    /// `client_no_context_takeover` whether it offered that or not (section 7.1.1.2).
    pub(super) fn answer(self) -> String {
        let window = match self.window_bits {
            Some(bits) => format!("; server_max_window_bits={bits}"),
            None => String::new(),
        };
        format!("{NAME}; server_no_context_takeover; client_no_context_takeover{window}")
    }

    /// Returns how long a message may be and be sent compressed.
    pub(super) fn message_bytes_max(self) -> usize {
        match self.window_bits {
            Some(bits) if bits < WINDOW_BITS_MAX => 1 << bits,
            _ => usize::MAX,
        }
    }
}

/// Reads the size of a window: 8 to 15, without leading zeros (section 7.1.2).
fn window(bits: &str) -> Option<u8> {
    let number = bits.parse().ok()?;
    let is_plain = !bits.starts_with(['0', '+']);
    (is_plain && (8..=WINDOW_BITS_MAX).contains(&number)).then_some(number)
}

/// Returns a payload compressed (section 7.2.1), if that makes it shorter.
pub(super) fn deflate(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() < DEFLATE_BYTES_MIN {
        return None;
    }
    let mut compress = Compress::new(Compression::default(), false);
    // A flush writes a few bytes more than it keeps.
    let mut deflated = Vec::with_capacity(payload.len() + FLUSHED.len());
    let told = compress.compress_vec(payload, &mut deflated, FlushCompress::Sync);
    let is_whole = told.is_ok() && compress.total_in() == payload.len() as u64;
    // Where it did not fit, it is no shorter.
    if !is_whole || deflated.len() == deflated.capacity() || !deflated.ends_with(&FLUSHED) {
        return None;
    }
    deflated.truncate(deflated.len() - FLUSHED.len());
    deflated.shrink_to_fit();
    (deflated.len() < payload.len()).then_some(deflated)
}

/// Returns what a compressed payload stands for (section 7.2.2).
///
/// # Errors
/// It is no compressed payload, or what it stands for is over `bytes_max`.
pub(super) fn inflate(payload: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    let mut decompress = Decompress::new(false);
    let mut inflated = Vec::new();
    let mut has_ended = false;
    for mut piece in [payload, &FLUSHED, &FINAL] {
        while !piece.is_empty() || inflated.len() == inflated.capacity() {
            if inflated.len() == inflated.capacity() {
                // One byte more than allowed tells that there is one.
                let most = bytes_max.saturating_add(1) - inflated.len();
                let step = inflated.len().max(payload.len()).max(INFLATED_STEP);
                inflated.reserve_exact(step.min(most));
            }
            let before = (decompress.total_in(), inflated.len());
            let flush = FlushDecompress::None;
            let told = decompress.decompress_vec(piece, &mut inflated, flush);
            let status = told.map_err(|_| Error::Deflate)?;
            let taken = decompress.total_in() - before.0;
            if inflated.len() > bytes_max {
                return Err(Error::TooBig(bytes_max));
            }
            if taken == 0 && inflated.len() == before.1 && !piece.is_empty() {
                return Err(Error::Deflate);
            }
            piece = piece
                .get(usize::try_from(taken).unwrap_or(usize::MAX)..)
                .unwrap_or_default();
            // A final block ends a stream; what follows is another (section 7.2.3.4).
            has_ended = status == Status::StreamEnd;
            if has_ended {
                decompress.reset(false);
            }
        }
    }
    // Cut short, it would have taken the last block for a part of what is missing.
    if has_ended {
        Ok(inflated)
    } else {
        Err(Error::Deflate)
    }
}
