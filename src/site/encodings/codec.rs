//! Bytes to fewer bytes: the three codecs at their levels.
//!
//! Pure, and the same on every machine: an entity tag names what comes out by its input, coding,
//! level and version alone (see [`super`]).

use std::io::Write as _;

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Coding, Level};

/// Bytes that an encoded form has to save: what its own header fields take.
const SAVED_MIN: usize = 64;

/// The largest window of brotli, as a power of two: at its best level an encoder takes eight times
/// as much, 32 MB.
const BROTLI_WINDOW_MAX: i32 = 22;

/// Compresses some bytes; `None` if that does not save enough. Takes up to a few seconds for each
/// megabyte: call it on a blocking thread.
pub fn encode(content: &[u8], coding: Coding, level: Level) -> Option<Bytes> {
    let encoded = match coding {
        Coding::Brotli => brotli(content, level),
        Coding::Zstandard => zstandard(content, level),
        Coding::Gzip => gzip(content, level),
    };
    let encoded = encoded?;
    (encoded.len() + SAVED_MIN <= content.len()).then(|| encoded.into())
}

fn brotli(content: &[u8], level: Level) -> Option<Vec<u8>> {
    let parameters = BrotliEncoderParams {
        quality: match level {
            Level::Fast => 5,
            Level::Best => 11,
        },
        lgwin: window(content.len()),
        size_hint: content.len(),
        ..BrotliEncoderParams::default()
    };
    let mut encoded = Vec::new();
    // Writing to memory does not fail.
    brotli::BrotliCompress(&mut &*content, &mut encoded, &parameters).ok()?;
    Some(encoded)
}

/// Returns the smallest window that covers some bytes: a decoder reserves it.
fn window(length: usize) -> i32 {
    let bits = usize::BITS - length.leading_zeros();
    i32::try_from(bits).map_or(BROTLI_WINDOW_MAX, |bits| bits.clamp(16, BROTLI_WINDOW_MAX))
}

fn zstandard(content: &[u8], level: Level) -> Option<Vec<u8>> {
    // The window of level 19 is 8 MB at most, which is what browsers take (RFC 9659).
    let level = match level {
        Level::Fast => 3,
        Level::Best => 19,
    };
    zstd::bulk::compress(content, level).ok()
}

fn gzip(content: &[u8], level: Level) -> Option<Vec<u8>> {
    let level = match level {
        Level::Fast => Compression::new(6),
        Level::Best => Compression::best(),
    };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(content).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;
    use crate::site::ContentHash;

    fn decode(encoded: &[u8], coding: Coding) -> Vec<u8> {
        let mut decoded = Vec::new();
        let read = match coding {
            Coding::Brotli => brotli::Decompressor::new(encoded, 4096).read_to_end(&mut decoded),
            Coding::Zstandard => zstd::Decoder::new(encoded)
                .unwrap()
                .read_to_end(&mut decoded),
            Coding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut decoded),
        };
        read.unwrap();
        decoded
    }

    fn sample() -> Vec<u8> {
        let lines = (0..300).map(|index| format!(".class-{index} {{ margin: {}px }}\n", index % 7));
        lines.collect::<String>().into_bytes()
    }

    /// Tags say by version what came out. If this fails, a codec has changed what it makes: change
    /// the version in [`Coding::suffix`], then these.
    #[test]
    fn codecs_make_what_their_version_says() {
        let of = |coding, level| {
            let encoded = encode(&sample(), coding, level).unwrap();
            format!("{} {}", ContentHash::of(&encoded), encoded.len())
        };
        let made: Vec<_> = Coding::ALL
            .iter()
            .flat_map(|&coding| Level::ALL.map(|level| of(coding, level)))
            .collect();
        insta::assert_snapshot!(made.join("\n"), @r"
        Hq-aAp9HT8OXU2khpLUmFw 466
        etgLrtotdppbhwlW0Vlp3A 472
        wrUY91CLoa4HHN4EPu5hLg 535
        HHOdHkS2qfb1NXYYHcgPgg 520
        IkTi0gpb73IxHfpXCfbmIw 968
        x4rUloX5FiYrbWLP5XOU4Q 819
        ");
    }

    #[test]
    fn the_best_level_is_no_worse_than_the_fast_one() {
        for coding in Coding::ALL {
            let text = include_bytes!("../encodings.rs");
            let fast = encode(text, coding, Level::Fast).unwrap();
            let best = encode(text, coding, Level::Best).unwrap();
            let (fast, best) = (fast.len(), best.len());
            // Matches found otherwise may cost a byte more.
            assert!(best <= fast + fast / 100, "{coding:?}: {fast}, {best}");
        }
    }

    #[test]
    fn what_does_not_shrink_is_not_encoded() {
        let noise: Vec<u8> = (0..64_u32)
            .flat_map(|index| *blake3::hash(&index.to_le_bytes()).as_bytes())
            .collect();
        for coding in Coding::ALL {
            assert_eq!(encode(&noise, coding, Level::Fast), None, "{coding:?}");
            assert_eq!(encode(b"", coding, Level::Best), None, "{coding:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_encoded_is_what_was(content in "[a-f\n]{200,4000}", times in 1..4_usize) {
            let content = content.repeat(times).into_bytes();
            for coding in Coding::ALL {
                for level in Level::ALL {
                    if let Some(encoded) = encode(&content, coding, level) {
                        prop_assert_eq!(decode(&encoded, coding), &content[..]);
                    }
                }
            }
        }
    }
}
