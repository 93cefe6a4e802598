//! Bytes of output to lines, within bounds, and the end of all that was said.
//!
//! Pure. Knows nothing of who writes.

use std::collections::VecDeque;

/// Bytes of a line; a longer one is broken.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// Bytes at the end of the output that are kept.
const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Lines that are to be shown, and the end of those that were.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line that has not ended.
    begun: Vec<u8>,
    ready: VecDeque<String>,
    tail: VecDeque<u8>,
}

impl Lines {
    /// Takes output as it comes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let mut rest = piece;
            while !rest.is_empty() {
                let room = LINE_BYTES_MAX - self.begun.len();
                let (fits, more) = rest.split_at(rest.len().min(room));
                self.begun.extend_from_slice(fits);
                rest = more;
                if fits.ends_with(b"\n") || self.begun.len() == LINE_BYTES_MAX {
                    self.finish();
                }
            }
        }
        self.tail.extend(bytes);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..surplus);
    }

    /// Takes what has been begun for a line.
    pub(super) fn finish(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.begun);
        let text = text.trim_end_matches(['\n', '\r']);
        // A line that was written over itself, as progress is, is what it became at last.
        let last = text.rsplit('\r').next().unwrap_or_default();
        self.ready.push_back(last.to_owned());
        self.begun.clear();
    }

    /// Returns the next line, without its end.
    pub(super) fn pop(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    /// Returns the end of all output, from the beginning of a line if one begins there.
    pub(super) fn tail(&self) -> String {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let is_cut = bytes.len() == TAIL_BYTES_MAX;
        let end_of_first = bytes.iter().position(|&byte| byte == b'\n');
        let first = match end_of_first {
            Some(end) if is_cut && end + 1 < bytes.len() => end + 1,
            _ => 0,
        };
        String::from_utf8_lossy(&bytes[first..])
            .trim_end()
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<String> {
        lines.finish();
        std::iter::from_fn(|| lines.pop()).collect()
    }

    #[test]
    fn lines_are_told_however_they_arrive() {
        let mut lines = Lines::default();
        lines.push(b"on");
        assert_eq!(lines.pop(), None);
        lines.push(b"e\r\ntwo\n\n10 %\r20 %");
        assert_eq!(all(&mut lines), ["one", "two", "", "20 %"]);
        assert_eq!(lines.tail(), "one\r\ntwo\n\n10 %\r20 %");
    }

    #[test]
    fn the_tail_is_the_last_whole_lines() {
        let mut lines = Lines::default();
        for number in 0..10_000 {
            lines.push(format!("line {number}\n").as_bytes());
            lines.pop();
        }
        assert!(lines.tail().starts_with("line 9"));
        assert!(lines.tail().ends_with("\nline 9999"));
        assert!(lines.tail().len() > TAIL_BYTES_MAX - 20);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_grows(
            pieces in prop::collection::vec("[a-z\n\u{e9}]{0,3000}", 0..8),
        ) {
            let whole = pieces.concat();
            let mut lines = Lines::default();
            for piece in &pieces {
                lines.push(piece.as_bytes());
                prop_assert!(lines.begun.len() < LINE_BYTES_MAX);
                prop_assert!(lines.tail.len() <= TAIL_BYTES_MAX);
            }
            let told = all(&mut lines);
            prop_assert!(told.iter().all(|line| line.len() <= LINE_BYTES_MAX + 6));
            // Broken lines may break a letter too.
            let ascii = |text: &str| text.replace(|letter: char| !letter.is_ascii_lowercase(), "");
            prop_assert_eq!(ascii(&told.concat()), ascii(&whole));
        }
    }
}
