//! Moments of a page, and how much of it is drawn when: modelled, since nothing is laid out.
//!
//! - **First render**: nothing blocks rendering and the parser has passed the first text, control
//!   or drawing of the body that is not hidden; or an image that it has passed has come.
//! - **Largest content**: the first image with `fetchpriority=high`, else the first with
//!   `elementtiming`, else the largest of those that say their size and cover more than 50,000
//!   square pixels, else, if no image says its size, the first. Without one it is the first render
//!   and the fonts of its text; text waits for a font for 3 seconds.
//! - **Progress**: text counts 150 square pixels for each byte that is not white space, an image
//!   what its `width` and `height` say, else 300 x 150, never more than the window. In document
//!   order as much counts as fills the window; the rest is taken to be below it. Text is drawn when
//!   the parser has passed it, nothing blocks rendering and its fonts are there; an image when the
//!   first two hold and it has come.

use std::time::Duration;

use super::{Page, viewport};
use crate::measure::page_load::wants::PageMarks;
use crate::site::links::html::{FetchPriority, Link, TEXT_BLOCK_BYTES};

/// How long text waits for its font (CSS Fonts 4, section 4.9, "block period").
const FONT_BLOCK: Duration = Duration::from_secs(3);

/// Area of a byte of text, in square CSS pixels: 16 pixels high letters are about 8 wide, on lines
/// of 19.
const TEXT_AREA: f64 = 150.0;

/// Size of an image that does not say its own, in CSS pixels (CSS 2, section 10.3.2).
const DEFAULT_SIZE: (u32, u32) = (300, 150);

/// An image that covers no more is not the page's hero, in square CSS pixels.
const HERO_AREA_MIN: f64 = 50_000.0;

/// What is noted while a page loads.
#[derive(Default)]
pub(super) struct Record {
    /// Where the first content ends.
    pub(super) content: Option<usize>,
    pub(super) load: Option<Duration>,
    /// How far the document is painted, from when on.
    painted: Vec<(Duration, usize)>,
    images: Vec<Image>,
}

/// An image that the parser has passed.
struct Image {
    resource: usize,
    end: usize,
    area: f64,
    is_sized: bool,
    rank: Rank,
}

/// What speaks for an image as the page's hero, strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Urgent,
    Timed,
    Plain,
}

impl Record {
    pub(super) fn image(&mut self, resource: Option<usize>, end: usize, link: &Link) {
        let Some(resource) = resource else { return };
        let (width, height) = match link.size {
            (Some(width), Some(height)) => (width, height),
            _ => DEFAULT_SIZE,
        };
        let area = f64::from(width) * f64::from(height);
        self.images.push(Image {
            resource,
            end,
            area: area.min(viewport::WIDTH * viewport::HEIGHT),
            is_sized: matches!(link.size, (Some(_), Some(_))),
            rank: if link.fetch_priority == FetchPriority::High {
                Rank::Urgent
            } else if link.is_timed {
                Rank::Timed
            } else {
                Rank::Plain
            },
        });
    }

    /// Returns when the document was painted as far as a position.
    fn painted(&self, position: usize) -> Option<Duration> {
        let at = self.painted.partition_point(|(_, until)| *until < position);
        self.painted.get(at).map(|(moment, _)| *moment)
    }

    fn hero(&self) -> Option<&Image> {
        if let Some(marked) = self.images.iter().min_by_key(|image| image.rank)
            && marked.rank != Rank::Plain
        {
            return Some(marked);
        }
        if !self.images.iter().any(|image| image.is_sized) {
            return self.images.first();
        }
        let sized = self.images.iter().filter(|image| image.is_sized);
        let large = sized.filter(|image| image.area > HERO_AREA_MIN);
        // Of images of one size the first.
        large.rev().max_by(|a, b| a.area.total_cmp(&b.area))
    }
}

impl Page {
    /// Notes that everything that the parser has passed is painted. Called when nothing blocks
    /// that.
    pub(super) fn paint(&mut self, now: Duration) {
        let painted = &mut self.marks.painted;
        match painted.last_mut() {
            Some((_, until)) if *until >= self.position => {}
            Some((moment, until)) if *moment == now => *until = self.position,
            _ => painted.push((now, self.position)),
        }
    }

    /// Returns the moments of the page; what has not come is 0.
    pub fn marks(&self) -> PageMarks {
        let load = self.marks.load;
        let text = self.marks.content.and_then(|end| self.marks.painted(end));
        let images = self
            .marks
            .images
            .iter()
            .filter_map(|image| self.drawn(image));
        let first_render = text.into_iter().chain(images).min().or(load);
        let largest = match self.marks.hero() {
            Some(hero) if self.has_failed(hero) => self.text_drawn(first_render),
            Some(hero) => self.drawn(hero).or(load),
            None => self.text_drawn(first_render),
        };
        let largest = largest.zip(first_render).map(|(a, b)| a.max(b));
        PageMarks {
            first_render: first_render.unwrap_or_default(),
            largest_content: largest.unwrap_or_default(),
            load: load.unwrap_or_default(),
        }
    }

    /// Returns which fraction of the page is drawn from when on, 0 to 1, rising. Empty until the
    /// document has ended.
    pub fn progress(&self) -> Vec<(Duration, f64)> {
        let mut drawn: Vec<(Duration, f64)> = Vec::new();
        let mut room = viewport::WIDTH * viewport::HEIGHT;
        for (area, moment) in self.contents() {
            let area = area.min(room);
            room -= area;
            if let Some(moment) = moment.filter(|_| area > 0.0) {
                drawn.push((moment, area));
            }
        }
        let total: f64 = drawn.iter().map(|(_, area)| area).sum();
        drawn.sort_by_key(|(moment, _)| *moment);
        let mut progress: Vec<(Duration, f64)> = Vec::new();
        let mut sum = 0.0;
        for (moment, area) in drawn {
            sum += area;
            match progress.last_mut() {
                Some((last, fraction)) if *last == moment => *fraction = sum / total,
                _ => progress.push((moment, sum / total)),
            }
        }
        if let Some((_, fraction)) = progress.last_mut() {
            *fraction = 1.0;
        }
        progress
    }

    /// Areas of the page's contents in document order, and when they are drawn.
    fn contents(&self) -> Vec<(f64, Option<Duration>)> {
        let blocks = self.document.text_bytes().iter().enumerate();
        let blocks = blocks
            .filter(|(_, bytes)| **bytes > 0)
            .map(|(block, bytes)| {
                let end = ((block + 1) * TEXT_BLOCK_BYTES).min(self.document.received());
                let moment = self.text_drawn(self.marks.painted(end));
                (end, f64::from(*bytes) * TEXT_AREA, moment)
            });
        let images = self.marks.images.iter();
        let images = images.filter(|image| !self.has_failed(image));
        let images = images.map(|image| (image.end, image.area, self.drawn(image)));
        let mut contents: Vec<_> = blocks.chain(images).collect();
        contents.sort_by_key(|(end, _, _)| *end);
        let contents = contents.into_iter();
        contents.map(|(_, area, moment)| (area, moment)).collect()
    }

    fn has_failed(&self, image: &Image) -> bool {
        let resource = &self.resources[image.resource];
        resource.ended.is_some() && !resource.is_usable()
    }

    fn drawn(&self, image: &Image) -> Option<Duration> {
        let resource = &self.resources[image.resource];
        let come = resource.ended.filter(|_| resource.is_usable())?;
        Some(come.max(self.marks.painted(image.end)?))
    }

    /// Returns when text is drawn that was painted then, if its fonts were there.
    fn text_drawn(&self, painted: Option<Duration>) -> Option<Duration> {
        let fonts = self.fonts.iter().map(|(font, since)| {
            let until = *since + FONT_BLOCK;
            let come = self.resources[*font].ended;
            come.map_or(until, |come| come.min(until))
        });
        fonts.chain(painted).max().filter(|_| painted.is_some())
    }
}
