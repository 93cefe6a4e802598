//! The mask over what a client sends (RFC 6455 section 5.3).
//!
//! Masking is its own inverse. Read on in [`super::decoder`], which takes masks off.

/// What a frame's payload is masked with.
pub(super) type Key = [u8; 4];

/// Puts a mask on bytes, or takes it off; the first byte meets the first of the key.
pub(super) fn apply(key: Key, bytes: &mut [u8]) {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    // The compiler makes vector instructions of this.
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Returns the key for what follows the first `bytes` of a payload.
pub(super) fn after(mut key: Key, bytes: usize) -> Key {
    key.rotate_left(bytes % size_of::<Key>());
    key
}

/// Where a client's keys come from: numbers without a pattern (`SplitMix64`), repeatable from their
/// seed. A browser's must be unpredictable, as it is scripted by strangers (RFC 6455 section 10.3);
/// who seeds this speaks for nobody else.
#[derive(Debug, Clone)]
pub(super) struct Keys(pub(super) u64);

impl Keys {
    /// Returns the next key.
    pub(super) fn next(&mut self) -> Key {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mask_is_the_same_by_words_by_bytes_and_in_parts(
            key: Key,
            bytes in prop::collection::vec(any::<u8>(), 0..70),
            cut: prop::sample::Index,
        ) {
            let pairs = bytes.iter().zip(key.iter().cycle());
            let plainly: Vec<u8> = pairs.map(|(byte, key)| byte ^ key).collect();
            let mut whole = bytes.clone();
            apply(key, &mut whole);
            prop_assert_eq!(&whole, &plainly);

            let mut parts = bytes.clone();
            let cut = cut.index(bytes.len() + 1);
            let (first, second) = parts.split_at_mut(cut);
            apply(key, first);
            apply(after(key, cut), second);
            prop_assert_eq!(parts, plainly);
        }
    }

    #[test]
    fn keys_differ_and_repeat_from_their_seed() {
        let (mut one, mut same, mut other) = (Keys(1), Keys(1), Keys(2));
        let first = one.next();
        assert_eq!(first, same.next());
        assert_ne!(first, one.next());
        assert_ne!(first, other.next());
    }
}
