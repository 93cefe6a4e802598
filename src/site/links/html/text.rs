//! The text of an element, as far as fonts ask: which characters it has.

/// The distinct characters of an element's text.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// One bit per ASCII character.
    ascii: u128,
    others: Vec<char>,
    compacted_length: usize,
}

/// Characters collected before the same ones are merged.
const TEXT_COMPACT_MIN: usize = 1_024;

impl Text {
    pub(super) fn add(&mut self, text: &str) {
        for character in text.chars() {
            if character.is_ascii() {
                self.ascii |= 1 << (character as u32);
            } else if !character.is_whitespace() {
                self.others.push(character);
            }
        }
        if self.others.len() > TEXT_COMPACT_MIN.max(2 * self.compacted_length) {
            self.others.sort_unstable();
            self.others.dedup();
            self.compacted_length = self.others.len();
        }
    }

    pub(super) fn finish(mut self) -> Vec<char> {
        let visible = (b'!'..=b'~').filter(|byte| self.ascii & (1 << byte) != 0);
        self.others.extend(visible.map(char::from));
        self.others.sort_unstable();
        self.others.dedup();
        self.others
    }
}
