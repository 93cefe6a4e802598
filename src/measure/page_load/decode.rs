//! Encoded bytes to what they mean, as they come (RFC 9110 section 8.4), within a bound.
//!
//! Pure. What a codec gives back after each piece is what a browser could read by then.

use std::fmt;
use std::io::{self, Write};

use brotli::DecompressorWriter;
use bytes::Bytes;
use flate2::write::{GzDecoder, ZlibDecoder};

/// Bytes that a codec works with besides its window.
const BUFFER: usize = 4096;

/// The largest window that browsers take, as a power of two (RFC 9659).
const ZSTD_WINDOW_MAX: u32 = 23;

/// The decoder of one body.
pub(super) enum Decoder {
    /// The body is not encoded.
    Identity,
    /// RFC 7932.
    Brotli(Box<DecompressorWriter<Sink>>),
    /// RFC 1952.
    Gzip(Box<GzDecoder<Sink>>),
    /// RFC 1950.
    Deflate(Box<ZlibDecoder<Sink>>),
    /// RFC 8878.
    Zstandard(Box<zstd::stream::write::Decoder<'static, Sink>>),
}

/// Where decoded bytes gather until they are taken.
#[derive(Debug, Default)]
pub(super) struct Sink {
    bytes: Vec<u8>,
    room: u64,
}

impl Decoder {
    /// Returns the decoder for a `Content-Encoding`, of at most so many bytes.
    ///
    /// # Errors
    /// Nobody asked for that encoding; the error says so.
    pub(super) fn new(encoding: &str, bytes_max: u64) -> Result<Self, String> {
        let sink = Sink {
            bytes: Vec::new(),
            room: bytes_max,
        };
        Ok(match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "br" => Self::Brotli(Box::new(DecompressorWriter::new(sink, BUFFER))),
            "gzip" | "x-gzip" => Self::Gzip(Box::new(GzDecoder::new(sink))),
            "deflate" => Self::Deflate(Box::new(ZlibDecoder::new(sink))),
            "zstd" => Self::Zstandard(Box::new(zstandard(sink).map_err(|why| why.to_string())?)),
            other => return Err(format!("is encoded ({other}) as nobody has asked for")),
        })
    }

    /// Decodes the next piece, and returns all that follows from it.
    ///
    /// # Errors
    /// It is no such encoding, or too much; the error says which.
    pub(super) fn decode(&mut self, piece: &Bytes) -> Result<Bytes, String> {
        match self {
            Self::Identity => return Ok(piece.clone()),
            Self::Brotli(decoder) => decoder.write_all(piece),
            Self::Gzip(decoder) => decoder.write_all(piece),
            Self::Deflate(decoder) => decoder.write_all(piece),
            Self::Zstandard(decoder) => decoder.write_all(piece),
        }
        .and_then(|()| self.flush())
        .map_err(|error| format!("cannot be decoded: {error}"))?;
        Ok(self.take())
    }

    /// Returns what is left when the body has ended.
    ///
    /// # Errors
    /// It has ended too early.
    pub(super) fn finish(&mut self) -> Result<Bytes, String> {
        match self {
            Self::Identity => Ok(()),
            Self::Brotli(decoder) => decoder.close(),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
            // It has given all that it has: what is cut off shows in what it says.
            Self::Zstandard(decoder) => decoder.flush(),
        }
        .map_err(|error| format!("cannot be decoded: {error}"))?;
        Ok(self.take())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Identity => Ok(()),
            Self::Brotli(decoder) => decoder.flush(),
            Self::Gzip(decoder) => decoder.flush(),
            Self::Deflate(decoder) => decoder.flush(),
            Self::Zstandard(decoder) => decoder.flush(),
        }
    }

    fn take(&mut self) -> Bytes {
        let sink = match self {
            Self::Identity => return Bytes::new(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Zstandard(decoder) => decoder.get_mut(),
        };
        std::mem::take(&mut sink.bytes).into()
    }
}

fn zstandard(sink: Sink) -> io::Result<zstd::stream::write::Decoder<'static, Sink>> {
    let mut decoder = zstd::stream::write::Decoder::new(sink)?;
    decoder.window_log_max(ZSTD_WINDOW_MAX)?;
    Ok(decoder)
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "Identity",
            Self::Brotli(_) => "Brotli",
            Self::Gzip(_) => "Gzip",
            Self::Deflate(_) => "Deflate",
            Self::Zstandard(_) => "Zstandard",
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        if length > self.room {
            return Err(io::Error::other("it becomes too large"));
        }
        self.room -= length;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::encodings::{Coding, Level, codec};

    fn text() -> Vec<u8> {
        let lines = (0..4000_u32).map(|line| format!("<p>{}\n", line.wrapping_mul(2_654_435_769)));
        lines.collect::<Vec<_>>().concat().into_bytes()
    }

    #[test]
    fn what_was_encoded_comes_back_in_pieces() {
        let text = text();
        let (zlib, level) = (Vec::new(), flate2::Compression::best());
        let mut zlib = flate2::write::ZlibEncoder::new(zlib, level);
        zlib.write_all(&text).unwrap();
        let ours = Coding::ALL.map(|coding| {
            let encoded = codec::encode(&text, coding, Level::Best).unwrap();
            (coding.name(), encoded)
        });
        let others = [("deflate", zlib.finish().unwrap().into())];
        for (name, encoded) in ours.into_iter().chain(others) {
            let mut decoder = Decoder::new(name, 1 << 20).unwrap();
            let mut told = Vec::new();
            let mut early = 0;
            for (index, piece) in encoded.chunks(1000).enumerate() {
                told.extend(decoder.decode(&Bytes::copy_from_slice(piece)).unwrap());
                if index == encoded.len() / 2000 {
                    early = told.len();
                }
            }
            told.extend(decoder.finish().unwrap());
            assert!(told == text, "{name}");
            // A browser reads what has come, and does not wait for the rest; zstd's blocks are
            // as long as this text.
            assert!(name == "zstd" || early > text.len() / 4, "{name}: {early}");
        }
    }

    #[test]
    fn a_small_body_may_not_become_a_large_one() {
        let bomb = vec![b' '; 10 << 20];
        for coding in Coding::ALL {
            let encoded = codec::encode(&bomb, coding, Level::Fast).unwrap();
            assert!(encoded.len() < 20_000, "{coding:?}");
            let mut decoder = Decoder::new(coding.name(), 1 << 20).unwrap();
            let error = decoder.decode(&encoded).unwrap_err();
            assert!(error.contains("too large"), "{coding:?}: {error}");
        }
    }

    #[test]
    fn what_is_no_encoding_or_another_is_refused() {
        for name in ["br", "gzip", "deflate", "zstd"] {
            let mut decoder = Decoder::new(name, 1 << 20).unwrap();
            let nonsense = Bytes::from_static(b"<!doctype html><p>not encoded at all");
            let told = decoder.decode(&nonsense).and_then(|_| decoder.finish());
            assert!(told.is_err(), "{name}");
        }
        assert!(Decoder::new("compress", 1).is_err());
        assert!(Decoder::new("gzip, br", 1).is_err());
        let mut decoder = Decoder::new("Identity", 1).unwrap();
        let piece = Bytes::from_static(b"more than one byte");
        assert_eq!(decoder.decode(&piece).unwrap(), piece);
    }
}
