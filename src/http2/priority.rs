//! Whose turn is first: RFC 9218 priorities, and what stands in for them.
//!
//! A class is eight times the urgency, and what the urgency leaves open on top: the opening of a
//! page (its head, and its first content), then what blocks rendering, then the rest of the page,
//! then fonts, which draw no text that has not come, then what can wait for it.

use http::header::{HeaderMap, HeaderName};

use super::schedule::{Class, Turn};
use crate::answer::Rank;
use crate::site::graph::Need;

/// RFC 9218 section 5.
const PRIORITY: HeaderName = HeaderName::from_static("priority");
/// Fetch, section 2.2.5, and its like.
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// Urgency of a document, a style sheet, a script or a font where the client does not say.
const URGENCY_DOCUMENT: u8 = 0;
/// Urgency of anything else (RFC 9218 section 4.1).
const URGENCY_DEFAULT: u8 = 3;
/// Urgency of an image: after all that renders text.
const URGENCY_IMAGE: u8 = 5;
/// The lowest urgency (RFC 9218 section 4.1).
const URGENCY_LOWEST: u8 = 7;

const OPENING: u8 = 0;
const BLOCKING: u8 = 1;
const REST: u8 = 2;
const FONT: u8 = 3;
const LATER: u8 = 4;
/// Classes of one urgency.
const STEPS: u8 = 8;

/// A priority field value (RFC 9218 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Priority {
    urgency: u8,
    incremental: bool,
}

impl Priority {
    /// Reads a priority field value; what is malformed leaves the defaults (RFC 9218 section 4).
    pub(super) fn read(field: &str) -> Self {
        let mut priority = Self {
            urgency: URGENCY_DEFAULT,
            incremental: false,
        };
        for member in field.split(',') {
            let member = member.split(';').next().unwrap_or_default().trim();
            match member.split_once('=') {
                Some(("u", value)) => {
                    if let Ok(urgency @ 0..=URGENCY_LOWEST) = value.parse() {
                        priority.urgency = urgency;
                    }
                }
                Some(("i", value)) => priority.incremental = value == "?1",
                None if member == "i" => priority.incremental = true,
                _ => {}
            }
        }
        priority
    }
}

/// Returns the turn of a response that was asked for.
pub(super) fn asked(headers: &HeaderMap, rank: Rank) -> Turn {
    match headers.get(PRIORITY).and_then(|field| field.to_str().ok()) {
        Some(field) => of_priority(Priority::read(field), rank),
        None => of_rank(rank_of(headers, rank)),
    }
}

/// Returns the turn of a response whose client has said how urgent it is.
pub(super) fn of_priority(priority: Priority, rank: Rank) -> Turn {
    let class = |step| Class(priority.urgency * STEPS + step);
    match rank {
        Rank::Document { opening_length } if opening_length > 0 => Turn {
            class: class(OPENING),
            incremental: priority.incremental,
            switch: Some((opening_length as u64, class(REST))),
        },
        Rank::Document { .. } => Turn {
            class: class(OPENING),
            incremental: priority.incremental,
            switch: None,
        },
        Rank::Blocking | Rank::Font | Rank::Deferred | Rank::Image | Rank::Other => Turn {
            class: class(match rank {
                Rank::Font => FONT,
                Rank::Deferred => LATER,
                _ => BLOCKING,
            }),
            incremental: priority.incremental,
            switch: None,
        },
    }
}

fn of_rank(rank: Rank) -> Turn {
    let (urgency, incremental) = match rank {
        Rank::Document { .. } | Rank::Blocking | Rank::Font | Rank::Deferred => {
            (URGENCY_DOCUMENT, false)
        }
        Rank::Image => (URGENCY_IMAGE, true),
        Rank::Other => (URGENCY_DEFAULT, false),
    };
    of_priority(
        Priority {
            urgency,
            incremental,
        },
        rank,
    )
}

/// A client that says nothing of priority may still say what the bytes are for
/// (Fetch, section 2.2.5): a style sheet asked for by a script is not blocking. Of scripts only
/// modules are asked for with CORS as a rule, and they are deferred.
fn rank_of(headers: &HeaderMap, rank: Rank) -> Rank {
    let value = |name: HeaderName| headers.get(name).map(http::HeaderValue::as_bytes);
    match value(SEC_FETCH_DEST) {
        Some(b"script") if value(SEC_FETCH_MODE) == Some(b"cors") => Rank::Deferred,
        Some(b"style" | b"script") => Rank::Blocking,
        Some(b"font") => Rank::Font,
        Some(b"image") => Rank::Image,
        Some(b"empty" | b"audio" | b"video" | b"track" | b"manifest") => Rank::Other,
        _ => rank,
    }
}

/// Returns the turn of a promised response of a page whose own turn is `page`.
pub(super) fn promised(page: Turn, need: Need) -> Turn {
    let base = page.class.0 / STEPS * STEPS;
    let (class, incremental) = match need {
        Need::RenderBlocking => (base + BLOCKING, false),
        Need::Font => (base + FONT, false),
        Need::ParserBlocking | Need::Deferred | Need::Preloaded => (base + LATER, false),
        Need::Async | Need::Other => (base.max(URGENCY_DEFAULT * STEPS) + BLOCKING, false),
        Need::Image => (base.max(URGENCY_IMAGE * STEPS) + BLOCKING, true),
    };
    Turn {
        class: Class(class),
        incremental,
        switch: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: &str, urgency: u8, incremental: bool) {
        assert_eq!(
            Priority::read(field),
            Priority {
                urgency,
                incremental
            },
            "{field}"
        );
    }

    #[test]
    fn a_field_is_read_as_far_as_it_makes_sense() {
        check("u=1, i", 1, true);
        check("i,u=0", 0, true);
        check("u=5", 5, false);
        check("u=9, i=?0", 3, false);
        check("i=?1;x=2 , u=2", 2, true);
        check("", 3, false);
        check("u=-1,,=", 3, false);
    }

    #[test]
    fn opening_then_blocking_then_page_then_images() {
        let page = of_rank(Rank::Document {
            opening_length: 100,
        });
        let style = promised(page, Need::RenderBlocking);
        let font = promised(page, Need::Font);
        let rest = page.switch.unwrap().1;
        let deferred = promised(page, Need::Deferred);
        let image = promised(page, Need::Image);
        let order = [
            page.class,
            style.class,
            rest,
            font.class,
            deferred.class,
            image.class,
        ];
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
        assert_eq!(of_rank(Rank::Blocking).class, style.class);
        assert_eq!(of_rank(Rank::Image).class, image.class);
    }
}
