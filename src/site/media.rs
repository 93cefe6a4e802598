//! File names to media types.

use http::HeaderValue;

use super::Kind;

/// Where `mime_guess` is out of date, or guesses what no site means.
const CORRECTIONS: &[(&str, &str)] = &[
    // RFC 9239: one type for all of JavaScript.
    ("mjs", "text/javascript"),
    ("cjs", "text/javascript"),
    // RFC 8081.
    ("woff", "font/woff"),
    ("otf", "font/otf"),
    ("ttc", "font/collection"),
    // Source maps (ECMA-426) are JSON.
    ("map", "application/json"),
    // TypeScript, which nobody streams to a television.
    ("ts", "text/plain"),
    ("tsx", "text/plain"),
    // Compressed, and nothing here says so in a header.
    ("svgz", "application/gzip"),
];

/// Sent where nothing is known: browsers offer to save it.
const UNKNOWN: &str = "application/octet-stream";

/// What is known of a file's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    /// All of them.
    Whole(&'a [u8]),
    /// Those that it begins with.
    Opening(&'a [u8]),
}

impl Known<'_> {
    fn is_utf8(self) -> bool {
        match self {
            Self::Whole(bytes) => std::str::from_utf8(bytes).is_ok(),
            // A character may be cut at the end.
            Self::Opening(bytes) => std::str::from_utf8(bytes)
                .err()
                .is_none_or(|error| error.error_len().is_none()),
        }
    }
}

/// Returns the `Content-Type` of a file called `name`, and what it is to the link graph.
///
/// Text is UTF-8 unless its content says otherwise: then the charset is left to the document, since
/// one in the header would overrule what it declares (HTML, section 13.2.3.2).
pub(super) fn media_type(name: &str, known: Known<'_>) -> (HeaderValue, Kind) {
    let essence = essence(name);
    let kind = kind(essence);
    let value = if essence.starts_with("text/") && known.is_utf8() {
        HeaderValue::try_from(format!("{essence}; charset=utf-8"))
    } else {
        HeaderValue::try_from(essence)
    };
    (value.unwrap_or(HeaderValue::from_static(UNKNOWN)), kind)
}

/// Returns whether the `Content-Type` of a file called `name` depends on its bytes.
pub(super) fn is_text(name: &str) -> bool {
    essence(name).starts_with("text/")
}

/// Returns whether a file called `name` is an HTML document.
pub(super) fn is_page(name: &str) -> bool {
    kind(essence(name)) == Kind::Page
}

fn essence(name: &str) -> &'static str {
    let Some((_, extension)) = name.rsplit_once('.') else {
        return UNKNOWN;
    };
    let corrected = CORRECTIONS
        .iter()
        .find(|(known, _)| extension.eq_ignore_ascii_case(known));
    match corrected {
        Some((_, essence)) => essence,
        None => mime_guess::from_ext(extension)
            .first_raw()
            .unwrap_or(UNKNOWN),
    }
}

fn kind(essence: &str) -> Kind {
    match essence {
        "text/html" => Kind::Page,
        "text/css" => Kind::StyleSheet,
        "text/javascript" => Kind::Script,
        _ if essence.starts_with("font/") => Kind::Font,
        _ if essence.starts_with("image/") => Kind::Image,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str, expected_kind: Kind) {
        let (value, kind) = media_type(name, Known::Opening(b""));
        assert_eq!(
            (value.to_str().unwrap(), kind),
            (expected, expected_kind),
            "{name}"
        );
    }

    #[test]
    fn names_give_types() {
        check("index.html", "text/html; charset=utf-8", Kind::Page);
        check("INDEX.HTM", "text/html; charset=utf-8", Kind::Page);
        check("a.min.css", "text/css; charset=utf-8", Kind::StyleSheet);
        check("a.js", "text/javascript; charset=utf-8", Kind::Script);
        check("a.mjs", "text/javascript; charset=utf-8", Kind::Script);
        check("a.MJS", "text/javascript; charset=utf-8", Kind::Script);
        check("a.woff2", "font/woff2", Kind::Font);
        check("a.woff", "font/woff", Kind::Font);
        check("a.ttf", "font/ttf", Kind::Font);
        check("a.otf", "font/otf", Kind::Font);
        check("a.svg", "image/svg+xml", Kind::Image);
        check("a.avif", "image/avif", Kind::Image);
        check("a.webp", "image/webp", Kind::Image);
        check("favicon.ico", "image/x-icon", Kind::Image);
        check("a.json", "application/json", Kind::Other);
        check("a.js.map", "application/json", Kind::Other);
        check("a.webmanifest", "application/manifest+json", Kind::Other);
        check("a.wasm", "application/wasm", Kind::Other);
        check("a.txt", "text/plain; charset=utf-8", Kind::Other);
        check("a.xhtml", "application/xhtml+xml", Kind::Other);
        check("a.pdf", "application/pdf", Kind::Other);
        check("a.tar.gz", "application/gzip", Kind::Other);
        check("LICENSE", UNKNOWN, Kind::Other);
        check("html", UNKNOWN, Kind::Other);
        check("a.unheard-of", UNKNOWN, Kind::Other);
        check("a.", UNKNOWN, Kind::Other);
    }

    #[test]
    fn text_in_another_encoding_names_its_own_charset() {
        let charset = |content: &[u8]| media_type("a.html", Known::Whole(content)).0;
        assert_eq!(charset(b"gr\xc3\xbcn"), "text/html; charset=utf-8");
        assert_eq!(charset(b"<meta charset=iso-8859-1>gr\xfcn"), "text/html");
        assert_eq!(charset(b"gr\xc3"), "text/html");
    }

    #[test]
    fn what_text_begins_with_may_end_within_a_letter() {
        let charset = |opening: &[u8]| media_type("a.html", Known::Opening(opening)).0;
        for cut in ["\u{fc}", "\u{20ac}", "\u{1f600}"] {
            for length in 0..=cut.len() {
                let opening = &cut.as_bytes()[..length];
                assert_eq!(charset(opening), "text/html; charset=utf-8", "{opening:?}");
            }
        }
        assert_eq!(charset(b"gr\xfcn"), "text/html");
        // A letter of Latin 1 that begins one of UTF-8, which does not go on.
        assert_eq!(charset(b"\xc3 "), "text/html");
    }
}
