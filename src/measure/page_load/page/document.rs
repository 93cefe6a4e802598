//! The document as it arrives: what a client comes upon, each thing once its last byte is there.
//!
//! A document that was read before (by URL) is compared with what arrives and not read again; one
//! that was not is read incrementally. Both tell the same things after the same bytes.

use std::sync::Arc;

use super::parsed::{Known, Parsed};
use super::{DOCUMENT_BYTES_MAX, viewport};
use crate::site::asset::ContentHash;
use crate::site::links::css::StyleSheet;
use crate::site::links::html::{Document, Link, LinkKind, Parser, PictureRole, StepKind};

/// Least distance between checkpoints, in bytes.
const CHECKPOINT_BYTES: usize = 1024;

/// From here on a checkpoint comes a quarter further than the one before it, in bytes.
const CHECKPOINTS_EVEN_UNTIL: usize = 8 * 1024;

/// Something that a client comes upon.
#[derive(Debug)]
pub(super) struct Item {
    /// With this many bytes of the document it is known.
    pub(super) end: usize,
    pub(super) what: What,
}

/// What a client comes upon. Of several images it is the one that the window takes.
#[derive(Debug)]
pub(super) enum What {
    Link(Box<Link>),
    /// `<style>` as it applies to the window.
    Style(Box<Link>, Arc<StyleSheet>),
    InlineScript,
    Base(String),
    ImportMap(String),
    Content,
}

/// A place where it is looked at what the style sheets make of the document so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) position: usize,
    /// Names the bytes before it.
    pub(super) hash: ContentHash,
}

/// The text of a document, as far as it has come.
pub(super) struct Incoming {
    received: usize,
    is_ended: bool,
    is_cut: bool,
    hasher: blake3::Hasher,
    next_checkpoint: usize,
    checkpoints: Vec<Checkpoint>,
    source: Source,
}

enum Source {
    Known(Arc<Known>),
    Reading(Box<Reading>),
}

/// A document that is read for the first time.
#[derive(Default)]
struct Reading {
    text: Vec<u8>,
    parser: Parser,
    steps: usize,
    builder: Builder,
}

impl Incoming {
    pub(super) fn new(known: Option<Arc<Known>>) -> Self {
        Self {
            received: 0,
            is_ended: false,
            is_cut: false,
            hasher: blake3::Hasher::new(),
            next_checkpoint: CHECKPOINT_BYTES,
            checkpoints: Vec::new(),
            source: match known {
                Some(known) => Source::Known(known),
                None => Source::Reading(Box::default()),
            },
        }
    }

    /// Takes what has arrived. What exceeds [`DOCUMENT_BYTES_MAX`] is not looked at.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let room = DOCUMENT_BYTES_MAX - self.received;
        self.is_cut |= bytes.len() > room;
        let bytes = &bytes[..bytes.len().min(room)];
        self.note_checkpoints(bytes);
        let is_as_known = match &self.source {
            Source::Known(known) => known.text[self.received..].starts_with(bytes),
            Source::Reading(_) => true,
        };
        if !is_as_known {
            self.read_again();
        }
        if let Source::Reading(reading) = &mut self.source {
            reading.write(bytes);
        }
        self.received += bytes.len();
    }

    /// Notes that nothing more comes, and keeps what was read for the next load of the URL.
    pub(super) fn end(&mut self, url: &str, parsed: &Parsed) {
        if self.is_ended {
            return;
        }
        self.is_ended = true;
        self.checkpoints.push(Checkpoint {
            position: self.received,
            hash: hash(&self.hasher),
        });
        if matches!(&self.source, Source::Known(known) if known.text.len() != self.received) {
            self.read_again();
        }
        if let Source::Reading(reading) = &mut self.source {
            let known = Arc::new(std::mem::take(&mut **reading).finish());
            parsed.keep_document(url, &known);
            self.source = Source::Known(known);
        }
    }

    /// Returns the thing with this number, if it has come.
    pub(super) fn item(&self, number: usize) -> Option<Arc<Item>> {
        let (items, certain) = match &self.source {
            Source::Known(known) => (&known.items, known.before_end),
            Source::Reading(reading) => (&reading.builder.items, usize::MAX),
        };
        let item = items.get(number)?;
        let has_come = item.end <= self.received && (number < certain || self.is_ended);
        has_come.then(|| Arc::clone(item))
    }

    /// Returns the last checkpoint that is not behind a position.
    pub(super) fn checkpoint(&self, position: usize) -> Option<Checkpoint> {
        let after = self
            .checkpoints
            .partition_point(|point| point.position <= position);
        after.checked_sub(1).map(|at| self.checkpoints[at])
    }

    /// Returns the first bytes of what has arrived.
    pub(super) fn before(&self, position: usize) -> &[u8] {
        let text = match &self.source {
            Source::Known(known) => &known.text,
            Source::Reading(reading) => &reading.text,
        };
        text.get(..position.min(self.received)).unwrap_or_default()
    }

    /// Bytes of text in each block of the document; known at its end.
    pub(super) fn text_bytes(&self) -> &[u32] {
        match &self.source {
            Source::Known(known) if self.is_ended => &known.text_bytes,
            _ => &[],
        }
    }

    pub(super) fn received(&self) -> usize {
        self.received
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn note_checkpoints(&mut self, bytes: &[u8]) {
        let (mut at, end) = (self.received, self.received + bytes.len());
        while self.next_checkpoint <= end {
            let next = self.next_checkpoint;
            self.hasher
                .update(&bytes[at - self.received..next - self.received]);
            self.checkpoints.push(Checkpoint {
                position: next,
                hash: hash(&self.hasher),
            });
            at = next;
            self.next_checkpoint += if next < CHECKPOINTS_EVEN_UNTIL {
                CHECKPOINT_BYTES
            } else {
                next / 4
            };
        }
        self.hasher.update(&bytes[at - self.received..]);
    }

    /// What arrives differs from what was known.
    fn read_again(&mut self) {
        let mut reading = Box::<Reading>::default();
        reading.write(self.before(self.received));
        self.source = Source::Reading(reading);
    }
}

impl Reading {
    fn write(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        self.parser.write(bytes);
        let (builder, steps) = (&mut self.builder, &mut self.steps);
        self.parser.so_far(|document| builder.read(document, steps));
    }

    fn finish(mut self) -> Known {
        let before_end = self.builder.items.len();
        let document = self.parser.finish();
        self.builder.read(&document, &mut self.steps);
        Known {
            text: self.text,
            items: self.builder.items,
            before_end,
            text_bytes: document.text_bytes,
        }
    }
}

/// Steps of a document to what the window makes of them.
#[derive(Default)]
struct Builder {
    items: Vec<Arc<Item>>,
    /// `source`s whose `img` has not come.
    sources: Vec<Link>,
}

impl Builder {
    fn read(&mut self, document: &Document, seen: &mut usize) {
        for step in &document.steps[*seen..] {
            let what = match step.kind {
                StepKind::Link(index) => self.link(&document.links[index]),
                StepKind::InlineScript => Some(What::InlineScript),
                StepKind::Base => document.base.clone().map(What::Base),
                StepKind::ImportMap => document.import_map.clone().map(What::ImportMap),
                StepKind::Content => Some(What::Content),
            };
            let end = step.end;
            self.items
                .extend(what.map(|what| Arc::new(Item { end, what })));
        }
        *seen = document.steps.len();
    }

    fn link(&mut self, link: &Link) -> Option<What> {
        if let LinkKind::InlineStyle(sheet) = &link.kind {
            let sheet = Arc::new(super::styles::for_window(StyleSheet::clone(sheet)));
            return Some(What::Style(Box::new(link.clone()), sheet));
        }
        let number = link.picture.map(|(_, number)| number);
        self.sources
            .retain(|source| source.picture.map(|(_, number)| number) == number);
        if link
            .picture
            .is_some_and(|(role, _)| role == PictureRole::Source)
        {
            self.sources.push(link.clone());
            return None;
        }
        let mut chosen = link.clone();
        let fits = |source: &&Link| {
            viewport::matches(&source.media) && viewport::is_shown_type(&source.content_type)
        };
        let source = number.and_then(|_| self.sources.iter().find(fits));
        choose(&mut chosen, source.unwrap_or(link), source.is_some());
        Some(What::Link(Box::new(chosen)))
    }
}

/// Puts the URL that the window takes into a link.
fn choose(link: &mut Link, from: &Link, is_source: bool) {
    let Some((srcset, sizes)) = &from.image_candidates else {
        return;
    };
    let is_preload = matches!(link.kind, LinkKind::Preload(_));
    // A link without `src` has the first candidate in its place.
    let src = Some(link.url.as_str()).filter(|_| !is_source && !is_preload);
    if let Some(url) = viewport::choose(srcset, sizes, src) {
        link.url = url.to_owned();
    }
}

fn hash(hasher: &blake3::Hasher) -> ContentHash {
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    ContentHash(half)
}
