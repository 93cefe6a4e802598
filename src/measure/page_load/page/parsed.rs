//! What was read before: documents by URL, style sheets and modules by their bytes. Shared by
//! loads, so that the thousandth load of a page reads nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::document::Item;
use super::styles::{Uses, for_window};
use crate::site::asset::ContentHash;
use crate::site::links::css::{self, StyleSheet};
use crate::site::links::module;

/// Most bytes that are kept, roughly. When they are exceeded all is forgotten.
const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is read from a text takes about as many times its length.
const READ_FACTOR: usize = 8;

/// Bytes that a kept result is counted for besides its text.
const ENTRY_BYTES: usize = 1024;

/// What was read before. Give the same one to every load of a measurement.
#[derive(Default)]
pub struct Parsed(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    bytes: usize,
    documents: HashMap<String, Arc<Known>>,
    sheets: HashMap<ContentHash, Arc<StyleSheet>>,
    modules: HashMap<ContentHash, Arc<[String]>>,
    uses: HashMap<ContentHash, Arc<Uses>>,
}

/// A document that has been read.
pub(super) struct Known {
    pub(super) text: Vec<u8>,
    pub(super) items: Vec<Arc<Item>>,
    /// How many of the items are known before the end of the document is.
    pub(super) before_end: usize,
    pub(super) text_bytes: Vec<u32>,
}

impl Parsed {
    pub(super) fn document(&self, url: &str) -> Option<Arc<Known>> {
        self.lock().documents.get(url).cloned()
    }

    pub(super) fn keep_document(&self, url: &str, known: &Arc<Known>) {
        let mut kept = self.lock();
        if let Some(before) = kept.documents.remove(url) {
            kept.bytes -= READ_FACTOR * before.text.len() + ENTRY_BYTES;
        }
        if kept.make_room(READ_FACTOR * known.text.len()) {
            kept.documents.insert(url.to_owned(), Arc::clone(known));
        }
    }

    pub(super) fn sheet(&self, hash: ContentHash, text: &[u8]) -> Arc<StyleSheet> {
        if let Some(sheet) = self.lock().sheets.get(&hash) {
            return Arc::clone(sheet);
        }
        let sheet = Arc::new(for_window(css::parse(&String::from_utf8_lossy(text))));
        let mut kept = self.lock();
        if kept.make_room(READ_FACTOR * text.len()) {
            kept.sheets.insert(hash, Arc::clone(&sheet));
        }
        sheet
    }

    /// Returns the specifiers that a module imports.
    pub(super) fn module(&self, hash: ContentHash, text: &[u8]) -> Arc<[String]> {
        if let Some(imports) = self.lock().modules.get(&hash) {
            return Arc::clone(imports);
        }
        let imports: Arc<[String]> = module::imports(&String::from_utf8_lossy(text)).into();
        let mut kept = self.lock();
        if kept.make_room(imports.iter().map(String::len).sum()) {
            kept.modules.insert(hash, Arc::clone(&imports));
        }
        imports
    }

    pub(super) fn uses(&self, key: ContentHash, find: impl FnOnce() -> Uses) -> Arc<Uses> {
        if let Some(uses) = self.lock().uses.get(&key) {
            return Arc::clone(uses);
        }
        let uses = Arc::new(find());
        let mut kept = self.lock();
        if kept.make_room(uses.bytes()) {
            kept.uses.insert(key, Arc::clone(&uses));
        }
        uses
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Counts another entry. Returns whether it may be kept.
    fn make_room(&mut self, bytes: usize) -> bool {
        let bytes = bytes + ENTRY_BYTES;
        if self.bytes + bytes > KEPT_BYTES_MAX {
            *self = Self::default();
        }
        let fits = bytes <= KEPT_BYTES_MAX;
        if fits {
            self.bytes += bytes;
        }
        fits
    }
}
