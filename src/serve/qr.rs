//! A URL as a picture that a telephone reads.
//!
//! Pure. Two modules stand above each other in a character, in black on white whatever the colours
//! of the terminal.

use std::fmt::Write as _;

use fast_qr::{ECL, QRBuilder};

/// Light modules around the symbol (ISO/IEC 18004 section 6.3.8).
const QUIET: usize = 4;
/// Black on white, of the 256 colours that no theme changes.
const PAINT: &str = "\x1b[38;5;16;48;5;231m";
const PLAIN: &str = "\x1b[0m";

/// Returns the lines of a QR code of a text, each painted, with its end; `None` if it is too long
/// for one.
pub fn painted(text: &str) -> Option<String> {
    let mut lines = String::new();
    for line in half_blocks(text)? {
        let _ = writeln!(lines, "  {PAINT}{line}{PLAIN}");
    }
    Some(lines)
}

/// Returns a QR code, two rows of modules to a line.
fn half_blocks(text: &str) -> Option<Vec<String>> {
    // A screen is not a torn label: the least redundancy makes the smallest picture.
    let code = QRBuilder::new(text).ecl(ECL::L).build().ok()?;
    let is_dark = |row: usize, column: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|&at| at < code.size);
        match (inside(row), inside(column)) {
            (Some(row), Some(column)) => code[row][column].value(),
            _ => false,
        }
    };
    let side = code.size + 2 * QUIET;
    let line = |row: usize| {
        let pair = |column| match (is_dark(row, column), is_dark(row + 1, column)) {
            (true, true) => '\u{2588}',
            (true, false) => '\u{2580}',
            (false, true) => '\u{2584}',
            (false, false) => ' ',
        };
        (0..side).map(pair).collect()
    };
    Some((0..side).step_by(2).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_fits_a_small_picture_with_a_quiet_zone() {
        let lines = half_blocks("https://192.168.1.20:24242/").unwrap();
        let framed: Vec<_> = lines.iter().map(|line| format!("|{line}|")).collect();
        insta::assert_snapshot!(framed.join("\n"), @"
        |                                 |
        |                                 |
        |    █▀▀▀▀▀█ ▄▀ ▄████▀ █▀▀▀▀▀█    |
        |    █ ███ █ ▀███▀  ▄█ █ ███ █    |
        |    █ ▀▀▀ █ █▄ ▄ ▀▄█  █ ▀▀▀ █    |
        |    ▀▀▀▀▀▀▀ █▄▀ █ ▀ ▀ ▀▀▀▀▀▀▀    |
        |    ██▄▀ ▄▀█  █▄▀█▄▀▀ ██▀ ▀▀▄    |
        |    ▄  ▀█ ▀█▄▀▀▄▄██▄ ▄ ▄█  ▀▀    |
        |    ▀   ▄▄▀▄▀ ▄▀▀██▀▄ █▀ █▄▀█    |
        |    ▀▄▄███▀█ ██▀▀█  ███▀█ ▀▄▀    |
        |    ▀▀ ▀  ▀▀▄ ▄▄ ▄▀ █▀▀▀██▀ ▄    |
        |    █▀▀▀▀▀█ ▀█ ▄█▀▀██ ▀ ██▄▀█    |
        |    █ ███ █ ▄█▀▀ █▄ ▀█▀███▄▀     |
        |    █ ▀▀▀ █ ▄█▄▄▀█▄ ▄▄▄▀▀▄▀ ▀    |
        |    ▀▀▀▀▀▀▀ ▀▀▀  ▀▀ ▀  ▀   ▀▀    |
        |                                 |
        |                                 |
        ");
    }

    #[test]
    fn it_is_painted_as_a_telephone_needs_it() {
        let painted = painted("https://192.168.1.20:24242/").unwrap();
        let is_painted =
            |line: &str| line.starts_with("  \x1b[38;5;16;48;5;231m") && line.ends_with("\x1b[0m");
        assert!(painted.lines().all(is_painted));
    }

    #[test]
    fn what_is_too_long_has_no_picture() {
        assert_eq!(painted(&"a".repeat(5000)), None);
    }
}
