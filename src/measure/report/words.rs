//! Numbers as people read them, and names that come from outside made safe to print.

use std::time::Duration;

use crate::measure::findings::LinkFacts;

/// Returns a duration in milliseconds.
pub(in crate::measure) fn milliseconds(duration: Duration) -> f64 {
    real(duration.as_nanos()) / 1e6
}

/// Returns a count as a real number; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "what is drawn or printed has far fewer digits"
)]
pub(in crate::measure) fn real(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

/// Writes milliseconds without their unit: `4.2`, `962`, `1,412`.
pub(in crate::measure) fn ms(value: f64) -> String {
    // What would round to 10 has no need of a decimal.
    if value.abs() < 9.95 {
        format!("{value:.1}")
    } else {
        thousands(&format!("{value:.0}"))
    }
}

/// Writes a count: `12`, `1,412`.
pub(in crate::measure) fn count(value: usize) -> String {
    thousands(&value.to_string())
}

/// Writes a part of a hundred without its sign: `31 %`, `0.4 %`.
pub(in crate::measure) fn percent(value: f64) -> String {
    let value = value.abs();
    if value < 0.05 {
        "0 %".to_owned()
    } else if value < 0.95 {
        format!("{value:.1} %")
    } else {
        format!("{} %", thousands(&format!("{value:.0}")))
    }
}

/// Writes a gain in parts of a hundred, with `+` if it is one: `+31 %`, `-4 %`, `0 %`.
pub(in crate::measure) fn signed_percent(value: f64) -> String {
    let text = percent(value);
    match text.as_str() {
        "0 %" => text,
        _ if value < 0.0 => format!("-{text}"),
        _ => format!("+{text}"),
    }
}

/// Writes a number of bytes: `812 B`, `14.2 kB`, `1.3 MB`.
pub(in crate::measure) fn bytes(bytes: u64) -> String {
    let value = real(bytes);
    // Where rounding would say `1000.0 kB`, the next unit says it better.
    if bytes < 1_000 {
        format!("{bytes} B")
    } else if value < 999_950.0 {
        format!("{:.1} kB", value / 1e3)
    } else {
        format!("{:.1} MB", value / 1e6)
    }
}

/// Writes a link's round-trip time and rate: `150 ms, 1.6 Mbit/s`.
pub(in crate::measure) fn link(link: &LinkFacts) -> String {
    let round_trip = format!("{} ms", ms(milliseconds(link.round_trip)).replace(".0", ""));
    match link.down {
        Some(down) => format!("{round_trip}, {}", rate(down)),
        None => round_trip,
    }
}

fn rate(bits: u64) -> String {
    let (value, unit) = match bits {
        0..1_000 => (real(bits), "bit/s"),
        1_000..1_000_000 => (real(bits) / 1e3, "kbit/s"),
        1_000_000..1_000_000_000 => (real(bits) / 1e6, "Mbit/s"),
        _ => (real(bits) / 1e9, "Gbit/s"),
    };
    let value = format!("{value:.1}");
    format!("{} {unit}", value.strip_suffix(".0").unwrap_or(&value))
}

/// Returns a name that came from outside without what would move a cursor or turn the text around:
/// control characters, and the marks of direction (Unicode Standard Annex 9).
pub(in crate::measure) fn plain(text: &str) -> String {
    let is_hostile = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let safe = |letter| {
        if is_hostile(letter) {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().map(safe).collect()
}

/// Returns a name of at most `letters_max` letters; of a longer one the end, which tells files
/// apart.
pub(in crate::measure) fn short(text: &str, letters_max: usize) -> String {
    let text = plain(text);
    let letters = text.chars().count();
    if letters <= letters_max {
        return text;
    }
    let end = text.chars().skip(letters + 1 - letters_max);
    std::iter::once('\u{2026}').chain(end).collect()
}

/// Returns a URL as seen from a document: its path where both are of one origin, else without the
/// scheme.
pub(in crate::measure) fn seen_from(document: &str, url: &str) -> String {
    let origin = |url: &str| {
        let host = url.find("://").map(|at| at + "://".len())?;
        let path = url[host..].find('/').map_or(url.len(), |at| host + at);
        Some(path)
    };
    let here = origin(document).map(|end| &document[..end]);
    let there = origin(url).map(|end| &url[..end]);
    let seen = match url.split_once("://") {
        _ if here.is_some() && here == there => &url[here.map_or(0, str::len)..],
        Some((_, rest)) => rest,
        None => url,
    };
    plain(if seen.is_empty() { "/" } else { seen })
}

/// Puts commas between thousands.
fn thousands(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        let said: Vec<_> = [0.0, 4.25, 9.96, 962.4, 1411.6, -1_234_567.0]
            .map(ms)
            .into();
        assert_eq!(said, ["0.0", "4.2", "10", "962", "1,412", "-1,234,567"]);
        let said: Vec<_> = [0.01, 0.4, 31.2, -4.0, 1200.0].map(signed_percent).into();
        assert_eq!(said, ["0 %", "+0.4 %", "+31 %", "-4 %", "+1,200 %"]);
        let said: Vec<_> = [812, 14_249, 999_960].map(bytes).into();
        assert_eq!(said, ["812 B", "14.2 kB", "1.0 MB"]);
        let facts = LinkFacts {
            name: String::new(),
            round_trip: Duration::from_millis(150),
            down: Some(1_638_400),
        };
        assert_eq!(link(&facts), "150 ms, 1.6 Mbit/s");
    }

    #[test]
    fn names_from_outside_cannot_move_the_cursor() {
        assert_eq!(plain("/a\x1b[2Jb\u{202e}c"), "/a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(short("/assets/css/main.css", 9), "\u{2026}main.css");
    }

    #[test]
    fn a_url_is_seen_from_its_document() {
        let seen = |url| seen_from("https://a.test:8443/x/", url);
        assert_eq!(seen("https://a.test:8443/b.css?c"), "/b.css?c");
        assert_eq!(seen("https://a.test/b.css"), "a.test/b.css");
        assert_eq!(seen("https://a.test:8443"), "/");
        assert_eq!(seen("data:,"), "data:,");
    }
}
