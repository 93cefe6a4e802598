//! The window that is modelled, and what of a page depends on it: media queries, and which of
//! several images is fetched.
//!
//! One window for all loads: 1366 x 768 CSS pixels, one device pixel each, light, with a mouse.

use crate::site::links::css::{Applies, media_applies};

/// Width of the window in CSS pixels.
pub const WIDTH: f64 = 1366.0;

/// Height of the window in CSS pixels.
pub const HEIGHT: f64 = 768.0;

/// CSS pixels in an `em`, where no style is known.
const EM: f64 = 16.0;

/// Most candidates that are read of one `srcset`.
const CANDIDATES_MAX: usize = 100;

/// Whether a media query list (Media Queries 4) matches the window. A feature that is not known
/// does not match.
pub(super) fn matches(list: &str) -> bool {
    match media_applies(list) {
        Applies::Always => true,
        Applies::Never => false,
        Applies::Depends => list.split(',').any(query_matches),
    }
}

fn query_matches(query: &str) -> bool {
    let query = query.trim().to_ascii_lowercase();
    let mut rest = query.as_str();
    let negated = match rest.strip_prefix("not ") {
        Some(after) => {
            rest = after.trim_start();
            true
        }
        None => false,
    };
    rest = rest.strip_prefix("only ").map_or(rest, str::trim_start);
    let conditions = match rest.split_once(" and ") {
        Some(("screen" | "all", conditions)) => conditions,
        _ if rest.starts_with('(') => rest,
        _ => return media_applies(&query) == Applies::Always,
    };
    let all = || conditions.split(" and ").all(condition_matches);
    let holds = conditions
        .split(" or ")
        .any(|condition| condition.starts_with('(') && condition_matches(condition));
    let holds = if conditions.contains(" or ") {
        holds
    } else {
        all()
    };
    holds != negated
}

/// Judges `(feature: value)`, `(feature)` and `(width >= value)`.
fn condition_matches(condition: &str) -> bool {
    let condition = condition.trim();
    if let Some(negated) = condition.strip_prefix("not ") {
        return !condition_matches(negated);
    }
    let inner = condition
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let Some(inner) = inner else { return false };
    if let Some((feature, value)) = inner.split_once(':') {
        return feature_matches(feature.trim(), value.trim());
    }
    if inner.contains(['<', '>', '=']) {
        return range_matches(inner);
    }
    matches!(
        inner.trim(),
        "width" | "height" | "color" | "hover" | "any-hover" | "pointer"
    )
}

fn feature_matches(feature: &str, value: &str) -> bool {
    let at_least = |actual: f64| length(value).is_some_and(|bound| actual >= bound);
    let at_most = |actual: f64| length(value).is_some_and(|bound| actual <= bound);
    let dots = || resolution(value);
    match feature {
        "min-width" | "min-device-width" => at_least(WIDTH),
        "max-width" | "max-device-width" => at_most(WIDTH),
        "min-height" | "min-device-height" => at_least(HEIGHT),
        "max-height" | "max-device-height" => at_most(HEIGHT),
        "width" => at_least(WIDTH) && at_most(WIDTH),
        "height" => at_least(HEIGHT) && at_most(HEIGHT),
        "orientation" => value == "landscape",
        "min-resolution" | "-webkit-min-device-pixel-ratio" => {
            dots().is_some_and(|bound| bound <= 1.0)
        }
        "max-resolution" | "-webkit-max-device-pixel-ratio" => {
            dots().is_some_and(|bound| bound >= 1.0)
        }
        "prefers-color-scheme" => value == "light",
        "prefers-reduced-motion" | "prefers-contrast" | "prefers-reduced-transparency" => {
            value == "no-preference"
        }
        "hover" | "any-hover" => value == "hover",
        "pointer" | "any-pointer" => value == "fine",
        "forced-colors" | "inverted-colors" => value == "none",
        "scripting" => value == "enabled",
        "display-mode" => value == "browser",
        _ => false,
    }
}

/// `width >= 600px`, `600px <= width`, `400px <= width < 800px`.
fn range_matches(text: &str) -> bool {
    let spaced = text.replace("<=", " ≤ ").replace(">=", " ≥ ");
    let spaced = spaced
        .replace('<', " < ")
        .replace('>', " > ")
        .replace('=', " = ");
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let value = |word: &str| match word {
        "width" => Some(WIDTH),
        "height" => Some(HEIGHT),
        word => length(word),
    };
    let holds = |triple: &[&str]| {
        let (Some(left), Some(right)) = (value(triple[0]), value(triple[2])) else {
            return false;
        };
        match triple[1] {
            "<" => left < right,
            "≤" => left <= right,
            ">" => left > right,
            "≥" => left >= right,
            _ => (left - right).abs() < f64::EPSILON,
        }
    };
    match words.len() {
        3 => holds(&words),
        5 => holds(&words[..3]) && holds(&words[2..]),
        _ => false,
    }
}

/// Reads a length in CSS pixels.
fn length(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic() || c == '%');
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let number: f64 = number.parse().ok()?;
    let unit = match unit {
        "px" => 1.0,
        "em" | "rem" => EM,
        "vw" => WIDTH / 100.0,
        "vh" => HEIGHT / 100.0,
        "pt" => 4.0 / 3.0,
        "cm" => 96.0 / 2.54,
        "in" => 96.0,
        "" if number <= 0.0 => 1.0,
        _ => return None,
    };
    Some(number * unit)
}

/// Reads a resolution in device pixels for each CSS pixel.
fn resolution(text: &str) -> Option<f64> {
    let parse = |number: &str| number.trim().parse::<f64>().ok();
    if let Some(dots) = text.strip_suffix("dppx") {
        parse(dots)
    } else if let Some(dots) = text.strip_suffix("dpi") {
        parse(dots).map(|dots| dots / 96.0)
    } else {
        parse(text.trim_end_matches('x'))
    }
}

/// Returns the URL that is fetched for a `srcset` and its `sizes`, with `src` as one candidate more
/// (HTML, section 4.8.4.3): the smallest that is sharp enough, else the largest.
pub(super) fn choose<'l>(srcset: &'l str, sizes: &str, src: Option<&'l str>) -> Option<&'l str> {
    let width = sizes_width(sizes);
    let mut candidates = candidates(srcset, width);
    let has_plain = candidates
        .iter()
        .any(|(_, density)| (density - 1.0).abs() < f64::EPSILON);
    let has_widths = srcset.split([',', ' ']).any(|word| word.ends_with('w'));
    if let Some(src) = src.filter(|_| !has_plain && !has_widths) {
        candidates.push((src, 1.0));
    }
    let sharp = candidates.iter().filter(|(_, density)| *density >= 1.0);
    let sharpest = candidates.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    sharp
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .or(sharpest)
        .map(|(url, _)| *url)
}

/// Reads a `srcset`: URLs and their densities.
fn candidates(srcset: &str, width: f64) -> Vec<(&str, f64)> {
    let mut found = Vec::new();
    let mut rest = srcset;
    while found.len() < CANDIDATES_MAX {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        if rest.is_empty() {
            break;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (url, after) = rest.split_at(end);
        if url.ends_with(',') {
            found.push((url.trim_end_matches(','), 1.0));
            rest = after;
            continue;
        }
        let (descriptors, after) = after.split_once(',').unwrap_or((after, ""));
        rest = after;
        let mut density = Some(1.0);
        for word in descriptors.split_ascii_whitespace() {
            density =
                match word.split_at(word.len() - word.chars().last().map_or(0, char::len_utf8)) {
                    (number, "x") => number.parse().ok(),
                    (number, "w") => number.parse().ok().map(|pixels: f64| pixels / width),
                    (_, "h") => density,
                    _ => None,
                };
        }
        if let Some(density) = density.filter(|density| *density >= 0.0) {
            found.push((url, density));
        }
    }
    found
}

/// Returns the width of an image by `sizes`, in CSS pixels; that of the window if it says nothing
/// that is understood.
fn sizes_width(sizes: &str) -> f64 {
    let fits = sizes.split(',').find_map(|size| {
        let size = size.trim();
        let (condition, value) = match size.rfind(')') {
            Some(end) if size.starts_with('(') => (&size[..=end], &size[end + 1..]),
            _ => ("", size),
        };
        if !condition.is_empty() && !query_matches(condition) {
            return None;
        }
        length(&value.trim().to_ascii_lowercase())
    });
    fits.filter(|width| *width > 0.0).unwrap_or(WIDTH)
}

/// Whether the client shows images of a type (`source type`).
pub(super) fn is_shown_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.is_empty()
        || [
            "apng", "avif", "bmp", "gif", "jpeg", "png", "svg+xml", "webp", "x-icon",
        ]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(&format!("image/{known}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_answered_for_the_window() {
        for (query, expected) in [
            ("", true),
            ("print", false),
            ("(min-width: 768px)", true),
            ("(min-width: 1367px)", false),
            ("screen and (max-width: 600px)", false),
            (
                "only screen and (min-width: 40em) and (orientation: landscape)",
                true,
            ),
            ("(max-width: 600px), (min-width: 1000px)", true),
            ("not screen and (max-width: 600px)", true),
            ("(400px <= width < 1366px)", false),
            ("(width >= 600px)", true),
            ("(prefers-color-scheme: dark)", false),
            ("(prefers-color-scheme: light)", true),
            ("(min-resolution: 2dppx)", false),
            ("(-webkit-min-device-pixel-ratio: 1.5)", false),
            ("(hover) or (width < 1px)", true),
            ("(not-a-feature: 1)", false),
            ("((", false),
        ] {
            assert_eq!(matches(query), expected, "{query}");
        }
    }

    #[test]
    fn the_smallest_image_that_is_sharp_is_chosen() {
        for (srcset, sizes, src, expected) in [
            ("b.png 2x", "", Some("a.png"), Some("a.png")),
            ("a.png, b.png 2x", "", None, Some("a.png")),
            (
                "s.png 400w, m.png 800w, l.png 1600w",
                "",
                Some("x.png"),
                Some("l.png"),
            ),
            (
                "s.png 400w, m.png 800w",
                "(min-width: 1000px) 50vw, 100vw",
                None,
                Some("m.png"),
            ),
            (
                "s.png 400w, m.png 800w",
                "(max-width: 600px) 100vw, 400px",
                None,
                Some("s.png"),
            ),
            ("s.png 400w,m.png 800w", "", None, Some("m.png")),
            (
                "data:image/png;base64,AA 1x, b.png 2x",
                "",
                None,
                Some("data:image/png;base64,AA"),
            ),
            ("a.png -1x", "", None, None),
            (",,", "", Some("a.png"), Some("a.png")),
        ] {
            assert_eq!(choose(srcset, sizes, src), expected, "{srcset} | {sizes}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", sizes in "[()<>=:a-z0-9 ,%-]{0,40}") {
            matches(&text);
            matches(&sizes);
            choose(&text, &sizes, None);
        }
    }
}
