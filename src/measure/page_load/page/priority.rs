//! How urgent current Chromium says each request is, as RFC 9218 writes it in `priority`.
//!
//! Blink gives each request one of five priorities (`ResourceFetcher::ComputeLoadPriority`), which
//! the network stack sends as urgency 0 to 4; what can be used in part is incremental
//! (`ShouldLoadIncremental`).
//!
//! | request | urgency | incremental |
//! | --- | --- | --- |
//! | document, frame | 0 | yes |
//! | style sheet, font of a style sheet | 0 | no |
//! | blocking script, module, preloaded script or font | 1 | no |
//! | preloaded `fetch` | 1 | yes |
//! | script or style sheet that the scanner finds after the first image | 2 | no |
//! | one of the first five images that are not small | 2 | yes |
//! | async or deferred script | 3 | no |
//! | other images | 3 | yes |
//! | style sheet whose media do not match | 4 | no |
//!
//! `fetchpriority=high` makes it at most 1, `low` 3 (of a style sheet that blocks: 1). That images
//! in the window are raised after layout is left out: no layout is modelled.

use crate::measure::timeline::Kind;
use crate::site::links::html::FetchPriority;

/// Images that are raised.
const RAISED_IMAGES: u32 = 5;

/// Largest area of an image that is small, in square CSS pixels.
const SMALL_IMAGE_AREA: u64 = 10_000;

/// What was seen of a page so far, as far as it decides over what follows.
#[derive(Debug, Default)]
pub(super) struct Priorities {
    has_image: bool,
    raised: u32,
}

/// How a request comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Named in the document, where parser and scanner see it.
    InDocument,
    /// Named elsewhere.
    Elsewhere,
    /// `preload`, in the document or in a header.
    Preload,
    /// Needed whenever it comes: async and deferred scripts.
    Deferred,
    /// Of no use to this window.
    Idle,
}

impl Priorities {
    /// Returns the urgency of a request, 0 to 7, and whether it is incremental.
    pub(super) fn of(
        &mut self,
        kind: Kind,
        manner: Manner,
        hint: FetchPriority,
        size: (Option<u32>, Option<u32>),
    ) -> (u8, bool) {
        let incremental = !matches!(kind, Kind::Style | Kind::Script | Kind::Module | Kind::Font);
        let is_late = manner == Manner::InDocument && self.has_image;
        self.has_image |= kind == Kind::Image && manner != Manner::Preload;
        let urgency = match (kind, manner) {
            (_, Manner::Idle) => 4,
            (Kind::Script, Manner::Deferred) | (Kind::Image | Kind::Media, _) => 3,
            (Kind::Script | Kind::Style, _) if is_late => 2,
            (Kind::Script | Kind::Module, _) | (Kind::Font | Kind::Other, Manner::Preload) => 1,
            (Kind::Document | Kind::Style | Kind::Font | Kind::Other, _) => 0,
        };
        let urgency = match hint {
            FetchPriority::High => urgency.min(1),
            FetchPriority::Low if kind == Kind::Style && urgency == 0 => 1,
            FetchPriority::Low => urgency.max(3),
            FetchPriority::Auto => urgency,
        };
        if kind == Kind::Image && manner == Manner::InDocument && self.is_raised(size) {
            let raised = if hint == FetchPriority::Auto {
                2
            } else {
                urgency
            };
            return (urgency.min(raised), incremental);
        }
        (urgency, incremental)
    }

    fn is_raised(&mut self, size: (Option<u32>, Option<u32>)) -> bool {
        let is_small = match size {
            (Some(width), Some(height)) => u64::from(width) * u64::from(height) <= SMALL_IMAGE_AREA,
            (width, height) => width == Some(0) || height == Some(0),
        };
        let is_raised = !is_small && self.raised < RAISED_IMAGES;
        self.raised += u32::from(is_raised);
        is_raised
    }
}
