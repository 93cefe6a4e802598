//! UTF-8 that arrives in pieces, refused at the first byte that no continuation can mend.
//!
//! RFC 6455 section 8.1 asks for failure; failing early spares the reading of the rest. Read on in
//! [`super::decoder`].

/// A text that is gathered from pieces.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    text: String,
    /// The begun character, at the front.
    begun: [u8; 4],
    held: u8,
}

/// No text in UTF-8 begins so, or ends so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid;

impl Gathered {
    /// Returns how many bytes there are.
    pub(super) const fn len(&self) -> usize {
        self.text.len() + self.held as usize
    }

    /// Returns how many bytes there is room for.
    pub(super) const fn room(&self) -> usize {
        self.text.capacity()
    }

    /// Makes room for more.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.held > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            let held = usize::from(self.held);
            // Four bytes are a character or none, so a fifth is never asked for.
            self.begun[held] = byte;
            match std::str::from_utf8(&self.begun[..=held]) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.held = 0;
                }
                Err(error) if error.error_len().is_none() => self.held += 1,
                Err(_) => return Err(Invalid),
            }
        }
        let error = match std::str::from_utf8(piece) {
            Ok(text) => {
                self.text.push_str(text);
                return Ok(());
            }
            Err(error) => error,
        };
        let (valid, begun) = piece.split_at(error.valid_up_to());
        if error.error_len().is_some() {
            return Err(Invalid);
        }
        self.text
            .push_str(std::str::from_utf8(valid).map_err(|_| Invalid)?);
        self.begun[..begun.len()].copy_from_slice(begun);
        self.held = u8::try_from(begun.len()).map_err(|_| Invalid)?;
        Ok(())
    }

    /// Returns the whole text.
    pub(super) fn finish(self) -> Result<String, Invalid> {
        if self.held == 0 {
            Ok(self.text)
        } else {
            Err(Invalid)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gathers a text byte by byte; returns where it was refused.
    fn refused_at(bytes: &[u8]) -> Option<usize> {
        let mut gathered = Gathered::default();
        let pieces = bytes.chunks(1);
        pieces
            .map(|byte| gathered.push(byte))
            .position(|told| told.is_err())
    }

    #[test]
    fn a_text_is_refused_at_the_byte_that_spoils_it() {
        for (bytes, expected) in [
            (&b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"[..], None),
            // A begun character may yet be finished.
            (b"\xf4\x8f\xbf", None),
            (b"\xed\xa0\x80", Some(1)),
            (b"\xf4\x90\x80\x80", Some(1)),
            (b"\xc0\xaf", Some(0)),
            (b"\xe0\x80\xaf", Some(1)),
            (b"a\x80", Some(1)),
            (b"\xfe", Some(0)),
            (b"\xe2\x82a", Some(2)),
        ] {
            assert_eq!(refused_at(bytes), expected, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_in_pieces_is_judged_as_the_whole(
            text in ".{0,20}",
            spoilt in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cuts in prop::collection::vec(1_usize..5, 1..40),
        ) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = spoilt
                && !bytes.is_empty()
            {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let (mut gathered, mut rest, mut refused) = (Gathered::default(), &bytes[..], false);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() || refused {
                    break;
                }
                let (piece, others) = rest.split_at((*cut).min(rest.len()));
                refused = gathered.push(piece).is_err();
                rest = others;
            }
            let whole = String::from_utf8(bytes.clone());
            let is_hopeless = |error: &std::string::FromUtf8Error| {
                error.utf8_error().error_len().is_some()
            };
            prop_assert_eq!(refused, whole.as_ref().is_err_and(is_hopeless));
            if !refused {
                prop_assert_eq!(gathered.len(), bytes.len());
                prop_assert_eq!(gathered.finish(), whole.map_err(|_| Invalid));
            }
        }
    }
}
