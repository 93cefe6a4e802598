//! Values of the font properties: families, weight, style and the shorthand.
//!
//! Knows nothing of which faces there are.

use cssparser::{ParseError, Parser, Token, match_ignore_ascii_case};

use super::super::{Family, FontWeight, Value};
use super::{Parsed, is_hack, keyword};

/// Families of one list that are kept.
const FAMILIES_MAX: usize = 64;

/// Reads a `font-family` list.
pub(super) fn families(input: &mut Parser<'_>) -> Parsed<Vec<Family>> {
    let mut list = input.parse_comma_separated(|input| {
        if let Ok(name) = input.try_parse(Parser::expect_string_cloned) {
            return Ok(Family::Named(name.to_lowercase()));
        }
        let mut name = input.expect_ident()?.to_lowercase();
        let mut words = 1;
        while let Ok(word) = input.try_parse(Parser::expect_ident_cloned) {
            name.push(' ');
            name.push_str(&word.to_lowercase());
            words += 1;
        }
        if name.chars().any(is_hack) {
            return Err(ParseError::unexpected_token());
        }
        Ok(if words == 1 && is_generic(&name) {
            Family::Generic
        } else {
            Family::Named(name)
        })
    })?;
    // No text gets that far down the list.
    list.truncate(FAMILIES_MAX);
    Ok(list)
}

fn is_generic(name: &str) -> bool {
    matches!(
        name,
        "serif"
            | "sans-serif"
            | "monospace"
            | "cursive"
            | "fantasy"
            | "system-ui"
            | "ui-serif"
            | "ui-sans-serif"
            | "ui-monospace"
            | "ui-rounded"
            | "math"
            | "emoji"
            | "fangsong"
            | "-apple-system"
            | "blinkmacsystemfont"
            | "-webkit-body"
    )
}

pub(super) fn weight(text: &str) -> Option<Value> {
    let text = text.trim();
    Some(match_ignore_ascii_case! { text,
        "normal" => Value::Weight(FontWeight::Absolute(400)),
        "bold" => Value::Weight(FontWeight::Absolute(700)),
        "bolder" => Value::Weight(FontWeight::Bolder),
        "lighter" => Value::Weight(FontWeight::Lighter),
        _ => {
            let mut input = Parser::new(text);
            let number = input.parse_entirely(|input| match *input.next()? {
                Token::Number { value, .. } => Ok(Value::Weight(FontWeight::Absolute(
                    absolute_weight(value).ok_or_else(ParseError::<()>::unexpected_token)?,
                ))),
                Token::Function(_) => Ok(Value::Unknown),
                _ => Err(ParseError::unexpected_token()),
            });
            return number.ok();
        },
    })
}

/// Returns the weight that a number stands for, if it is one (CSS Fonts 4, section 2.2).
pub(in super::super) fn absolute_weight(number: f32) -> Option<u16> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    (1.0..=1000.0)
        .contains(&number)
        .then(|| number.round() as u16)
}

pub(super) fn style(text: &str) -> Option<Value> {
    let mut input = Parser::new(text);
    let word = input.expect_ident_cloned().ok()?;
    let italic = match_ignore_ascii_case! { &word,
        "normal" => false,
        "italic" | "oblique" => true,
        _ => return None,
    };
    let _angle = input.try_parse(|input| match *input.next()? {
        Token::Dimension { .. } | Token::Function(_) if italic => Ok(()),
        _ => Err(ParseError::<()>::unexpected_token()),
    });
    input.is_exhausted().then_some(Value::Italic(italic))
}

/// What the shorthand `font` sets.
pub(super) struct Font {
    /// `None` for the fonts of the system's own controls.
    pub(super) families: Option<Vec<Family>>,
    pub(super) weight: FontWeight,
    pub(super) italic: bool,
}

/// Reads the shorthand `font` (CSS Fonts 4, section 3.7).
pub(super) fn font(text: &str) -> Parsed<Font> {
    let mut font = Font {
        families: None,
        weight: FontWeight::Absolute(400),
        italic: false,
    };
    let system = text.trim();
    match_ignore_ascii_case! { system,
        "caption" | "icon" | "menu" | "message-box" | "small-caption" | "status-bar"
            => return Ok(font),
        _ => {},
    }
    let mut parser = Parser::new(text);
    parser.parse_entirely(|input| {
        while !font_size(input, &mut font)? {}
        if input.try_parse(|input| input.expect_delim('/')).is_ok() {
            match input.next()? {
                Token::Ident(_)
                | Token::Number { .. }
                | Token::Percentage { .. }
                | Token::Dimension { .. }
                | Token::Function(_) => {}
                _ => return Err(ParseError::unexpected_token()),
            }
        }
        font.families = Some(families(input)?);
        Ok(())
    })?;
    Ok(font)
}

/// Reads one word before the family; returns whether it was the size.
fn font_size(input: &mut Parser<'_>, font: &mut Font) -> Parsed<bool> {
    match input.next()?.clone() {
        Token::Dimension { .. } | Token::Percentage { .. } | Token::Function(_) => Ok(true),
        Token::Number { value, .. } => match absolute_weight(value) {
            Some(weight) => {
                font.weight = FontWeight::Absolute(weight);
                Ok(false)
            }
            None if value == 0.0 => Ok(true),
            None => Err(ParseError::unexpected_token()),
        },
        Token::Ident(word) => {
            match_ignore_ascii_case! { &word,
                "italic" => font.italic = true,
                "oblique" => {
                    font.italic = true;
                    let _angle = input.try_parse(|input| match input.next()? {
                        Token::Dimension { unit, .. } if is_angle(unit) => Ok(()),
                        _ => Err(ParseError::<()>::unexpected_token()),
                    });
                },
                "bold" => font.weight = FontWeight::Absolute(700),
                "bolder" => font.weight = FontWeight::Bolder,
                "lighter" => font.weight = FontWeight::Lighter,
                "normal" | "small-caps" => {},
                "xx-small" | "x-small" | "small" | "medium" | "large" | "x-large" | "xx-large"
                    | "xxx-large" | "smaller" | "larger" | "math" => return Ok(true),
                _ => {
                    width_keyword(&word).ok_or_else(ParseError::<()>::unexpected_token)?;
                },
            }
            Ok(false)
        }
        _ => Err(ParseError::unexpected_token()),
    }
}

fn is_angle(unit: &str) -> bool {
    ["deg", "grad", "rad", "turn"]
        .iter()
        .any(|angle| unit.eq_ignore_ascii_case(angle))
}

/// Returns the width that a keyword stands for, in percent (CSS Fonts 4, section 2.3).
pub(in super::super) fn width_keyword(word: &str) -> Option<u16> {
    Some(match_ignore_ascii_case! { word,
        "ultra-condensed" => 50,
        "extra-condensed" => 62,
        "condensed" => 75,
        "semi-condensed" => 87,
        "normal" => 100,
        "semi-expanded" => 112,
        "expanded" => 125,
        "extra-expanded" => 150,
        "ultra-expanded" => 200,
        _ => return None,
    })
}

pub(super) fn has_font_width(text: &str) -> bool {
    text.split_ascii_whitespace()
        .take_while(|word| !word.ends_with(','))
        .any(|word| width_keyword(word).is_some_and(|width| width != 100))
}

pub(super) fn is_normal_width(text: &str) -> bool {
    width_keyword(text.trim()) == Some(100) || text.trim() == "100%" || keyword(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::super::{Property, font_value, value};
    use super::*;

    fn named(name: &str) -> Family {
        Family::Named(name.to_owned())
    }

    #[test]
    fn family_lists_tell_names_from_generics() {
        for (text, expected) in [
            (
                "\"Open Sans\", serif",
                Some(vec![named("open sans"), Family::Generic]),
            ),
            ("Open  Sans", Some(vec![named("open sans")])),
            ("'serif'", Some(vec![named("serif")])),
            ("Arial,", None),
            ("Arial 12", None),
            ("12px", None),
            ("Arial\\9", None),
        ] {
            let expected = expected.map(Value::Families);
            assert_eq!(value(&Property::Family, text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_font_shorthand_sets_family_weight_and_style() {
        for (text, families, weight, italic) in [
            (
                "italic bold 12px/1.5 A B, serif",
                vec![named("a b"), Family::Generic],
                700,
                true,
            ),
            ("300 1rem X", vec![named("x")], 300, false),
            ("normal 900 1em/1 'FA'", vec![named("fa")], 900, false),
            ("0/0 a", vec![named("a")], 400, false),
            (
                "oblique 10deg condensed large x",
                vec![named("x")],
                400,
                true,
            ),
            ("calc(1px + 2px) x", vec![named("x")], 400, false),
        ] {
            let read = |property| font_value(&property, text);
            assert_eq!(
                read(Property::Family),
                Some(Value::Families(families)),
                "{text:?}"
            );
            let weight = Value::Weight(FontWeight::Absolute(weight));
            assert_eq!(read(Property::Weight), Some(weight), "{text:?}");
            assert_eq!(
                read(Property::Style),
                Some(Value::Italic(italic)),
                "{text:?}"
            );
        }
        assert_eq!(
            font_value(&Property::Family, "caption"),
            Some(Value::Unknown)
        );
        assert_eq!(font_value(&Property::Family, "12px"), None);
        assert_eq!(font_value(&Property::Family, "bold x"), None);
    }

    #[test]
    fn weights_are_numbers_or_words() {
        for (text, expected) in [
            ("normal", Some(FontWeight::Absolute(400))),
            ("BOLD", Some(FontWeight::Absolute(700))),
            ("bolder", Some(FontWeight::Bolder)),
            ("350", Some(FontWeight::Absolute(350))),
            ("0", None),
            ("1001", None),
            ("heavy", None),
            ("400 700", None),
        ] {
            assert_eq!(
                value(&Property::Weight, text),
                expected.map(Value::Weight),
                "{text:?}"
            );
        }
    }
}
