//! What a directory holds, as far as it is served, and the texts that were made of that.

use std::sync::OnceLock;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderValue;

use super::UrlPath;

/// Entries of a directory that are listed.
pub const ENTRIES_MAX: usize = 5_000;

/// What a directory holds.
#[derive(Debug)]
pub struct Listing {
    /// The directory, with its slash.
    pub path: UrlPath,
    /// Sorted by name. What is hidden or cannot be served is left out.
    pub entries: Vec<Listed>,
    /// There are more than [`ENTRIES_MAX`]: some are left out.
    pub is_cut: bool,
    texts: [OnceLock<Text>; FORMS],
}

/// A file or directory in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is: with a slash at its end if it is a directory.
    pub path: UrlPath,
    /// Bytes; `None` for a directory.
    pub length: Option<u64>,
    /// When it was last modified.
    pub modified: SystemTime,
}

/// How a listing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// In which language.
    pub syntax: Syntax,
    /// In which order. Directories stand before files either way.
    pub key: Key,
    /// Whether the order is turned round.
    pub is_descending: bool,
}

/// In which language a listing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// A page.
    Html,
    /// For programs.
    Json,
}

/// By what a listing is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Names, without regard to case.
    Name,
    /// Lengths.
    Size,
    /// Times of modification.
    Time,
}

/// There are so many forms.
const FORMS: usize = 12;

/// A listing in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What is sent, shared by all answers.
    pub bytes: Bytes,
    /// Names the bytes: an entity tag.
    pub tag: HeaderValue,
}

impl Form {
    fn number(self) -> usize {
        (self.syntax as usize * 3 + self.key as usize) * 2 + usize::from(self.is_descending)
    }
}

impl Listing {
    /// Returns what a directory holds.
    pub fn new(path: UrlPath, entries: Vec<Listed>, is_cut: bool) -> Self {
        Self {
            path,
            entries,
            is_cut,
            texts: Default::default(),
        }
    }

    /// Returns the listing in a form, if it was written in that.
    pub fn text(&self, form: Form) -> Option<&Text> {
        self.texts[form.number()].get()
    }

    /// Returns the listing in a form; it is written once, however many ask at once.
    pub fn text_or(&self, form: Form, write: impl FnOnce() -> Text) -> &Text {
        self.texts[form.number()].get_or_init(write)
    }

    /// Returns whether another holds the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.path == other.path && self.is_cut == other.is_cut && self.entries == other.entries
    }

    /// Returns how many bytes it takes, about, with all its texts.
    pub(super) fn bytes(&self) -> usize {
        let names = self.entries.iter().map(|entry| entry.path.as_str().len());
        let texts = self.texts.iter().filter_map(OnceLock::get);
        self.entries.len() * size_of::<Listed>()
            + names.sum::<usize>()
            + texts.map(|text| text.bytes.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_place() {
        let mut numbers: Vec<_> = [Syntax::Html, Syntax::Json]
            .into_iter()
            .flat_map(|syntax| [Key::Name, Key::Size, Key::Time].map(|key| (syntax, key)))
            .flat_map(|(syntax, key)| {
                [false, true].map(|is_descending| Form {
                    syntax,
                    key,
                    is_descending,
                })
            })
            .map(Form::number)
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..FORMS).collect::<Vec<_>>());
    }
}
