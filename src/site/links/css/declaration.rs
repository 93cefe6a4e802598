//! Declarations: the values of the properties that decide which URLs and faces are used.
//!
//! Knows nothing of selectors or rules. Grammar is checked where authors lean on it (a value that
//! no browser takes must not hide the one before it); elsewhere it is read leniently.

mod font;
mod image;

use cssparser::{ParseError, Parser, Token, match_ignore_ascii_case};

pub(super) use font::{absolute_weight, width_keyword};
use font::{families, font, has_font_width, is_normal_width, style, weight};
use image::image_urls;
pub(super) use image::is_fetched;

use super::{CUSTOM_VALUE_BYTES_MAX, Declaration, Property, RuleUrl, Value};

type Parsed<T> = Result<T, ParseError<()>>;

/// What the name of a declaration stands for.
enum Named {
    /// One property. Whether its URLs are fetched depends on the client if the client may not know
    /// the property.
    Longhand(Property),
    /// The same, by a name that not every client knows.
    Uncertain(Property),
    Font,
    FontWidth,
    /// `border`: resets the image.
    Border,
    All,
}

fn named(name: &str) -> Option<Named> {
    use Named::{Longhand, Uncertain};
    if name.starts_with("--") {
        return Some(Longhand(Property::Custom(name.into())));
    }
    Some(match_ignore_ascii_case! { name,
        "font-family" => Longhand(Property::Family),
        "font-weight" => Longhand(Property::Weight),
        "font-style" => Longhand(Property::Style),
        "font" => Named::Font,
        "font-stretch" | "font-width" => Named::FontWidth,
        "content" => Longhand(Property::Content),
        "display" => Longhand(Property::Display),
        "content-visibility" => Longhand(Property::ContentVisibility),
        "background" | "background-image" => Longhand(Property::Background),
        "border" => Named::Border,
        "border-image" | "border-image-source" | "-webkit-border-image"
            => Longhand(Property::BorderImage),
        "list-style" | "list-style-image" => Longhand(Property::ListStyle),
        "-webkit-mask" | "-webkit-mask-image" => Longhand(Property::Mask),
        // Chromium knows it since 120 only, Firefox since 53.
        "mask" | "mask-image" => Uncertain(Property::Mask),
        "cursor" => Longhand(Property::Cursor),
        "filter" | "-webkit-filter" | "backdrop-filter" | "-webkit-backdrop-filter" | "clip-path"
            | "-webkit-clip-path" | "shape-outside" | "-webkit-mask-box-image" | "mask-border"
            | "marker" | "marker-start" | "marker-mid" | "marker-end" | "fill" | "stroke"
            => Uncertain(Property::Effect),
        "all" => Named::All,
        _ => return None,
    })
}

/// The properties that the shorthand `all` sets.
const ALL: &[Property] = &[
    Property::Family,
    Property::Weight,
    Property::Style,
    Property::Content,
    Property::Display,
    Property::ContentVisibility,
    Property::Background,
    Property::BorderImage,
    Property::ListStyle,
    Property::Mask,
    Property::Cursor,
];

/// Returns whether declarations of that name are kept.
pub(super) fn is_tracked(name: &str) -> bool {
    named(name).is_some()
}

/// The declarations of one block, as they are read.
#[derive(Default)]
pub(super) struct Block {
    pub(super) declarations: Vec<Declaration>,
    pub(super) urls: Vec<RuleUrl>,
    pub(super) stretches: bool,
}

impl Block {
    /// Reads one declaration. What is invalid or decides nothing is left out.
    pub(super) fn declare(&mut self, name: &str, text: &str, important: bool) {
        match named(name) {
            None => {}
            Some(Named::Longhand(property)) => self.set(name, property, text, important, false),
            Some(Named::Uncertain(property)) => self.set(name, property, text, important, true),
            Some(Named::Font) => {
                self.stretches |= has_font_width(text);
                for property in [Property::Family, Property::Weight, Property::Style] {
                    if let Some(value) = font_declared(&property, text) {
                        self.push(property, value, important, self.urls.len());
                    }
                }
            }
            Some(Named::FontWidth) => self.stretches |= !is_normal_width(text),
            Some(Named::Border) => {
                self.push(
                    Property::BorderImage,
                    Value::Images,
                    important,
                    self.urls.len(),
                );
            }
            Some(Named::All) => {
                let Some(value) = keyword(text) else { return };
                for property in ALL {
                    self.push(property.clone(), value.clone(), important, self.urls.len());
                }
            }
        }
    }

    fn set(&mut self, name: &str, property: Property, text: &str, important: bool, perhaps: bool) {
        let first_url = self.urls.len();
        let custom = matches!(property, Property::Custom(_));
        let substituted = is_substituted(text);
        if has_urls(&property) {
            // A custom property takes any value; others are dropped if theirs is invalid.
            let found = match image_urls(text) {
                Ok(found) => found,
                Err(_) if custom => Vec::new(),
                Err(_) => return,
            };
            let name = name.to_ascii_lowercase();
            self.urls
                .extend(found.into_iter().map(|(url, depends)| RuleUrl {
                    url,
                    property: name.clone(),
                    depends_on_client: depends || perhaps || substituted || custom,
                }));
        }
        let has_url = self.urls.len() > first_url;
        let value = match property {
            Property::Custom(_) => custom_value(text).or(has_url.then_some(Value::Unknown)),
            Property::Family | Property::Weight | Property::Style | Property::Content
                if substituted =>
            {
                Some(Value::Variable(text.into()))
            }
            _ if substituted => Some(Value::Unknown),
            _ => value(&property, text),
        };
        match value {
            Some(value) => self.push(property, value, important, first_url),
            None => self.urls.truncate(first_url),
        }
    }

    fn push(&mut self, property: Property, value: Value, important: bool, first_url: usize) {
        self.declarations.push(Declaration {
            property,
            important,
            value,
            urls: first_url..self.urls.len(),
        });
    }
}

fn has_urls(property: &Property) -> bool {
    match property {
        Property::Family
        | Property::Weight
        | Property::Style
        | Property::Display
        | Property::ContentVisibility => false,
        Property::Content
        | Property::Background
        | Property::BorderImage
        | Property::ListStyle
        | Property::Mask
        | Property::Cursor
        | Property::Effect
        | Property::Custom(_) => true,
    }
}

/// Returns whether a value has to be substituted before it can be read.
pub(crate) fn is_substituted(text: &str) -> bool {
    text.as_bytes()
        .windows(4)
        .any(|window| window.eq_ignore_ascii_case(b"var(") || window.eq_ignore_ascii_case(b"env("))
}

/// Reads the value of a property that holds no `var()`; `None` if it is invalid.
pub(crate) fn value(property: &Property, text: &str) -> Option<Value> {
    if let Some(value) = keyword(text) {
        return Some(value);
    }
    let mut input = Parser::new(text);
    let input = &mut input;
    match property {
        Property::Family => input.parse_entirely(families).ok().map(Value::Families),
        Property::Weight => weight(text),
        Property::Style => style(text),
        Property::Content => content(input).ok(),
        Property::Display => {
            let first = input.expect_ident().ok()?;
            Some(Value::Shown(!first.eq_ignore_ascii_case("none")))
        }
        Property::ContentVisibility => {
            let first = input.expect_ident().ok()?;
            Some(if first.eq_ignore_ascii_case("visible") {
                Value::Shown(true)
            } else {
                Value::Unknown
            })
        }
        Property::Custom(_) => Some(Value::Text(text.into())),
        _ => Some(Value::Images),
    }
}

/// Reads what the shorthand `font` without `var()` sets a property to; `None` if it is invalid.
pub(crate) fn font_value(property: &Property, text: &str) -> Option<Value> {
    if let Some(value) = keyword(text) {
        return Some(value);
    }
    let font = font(text).ok()?;
    Some(match property {
        Property::Family => font.families.map_or(Value::Unknown, Value::Families),
        Property::Weight => Value::Weight(font.weight),
        _ => Value::Italic(font.italic),
    })
}

fn font_declared(property: &Property, text: &str) -> Option<Value> {
    if is_substituted(text) {
        return Some(Value::FontVariable(text.into()));
    }
    font_value(property, text)
}

/// The keywords that every property takes (CSS Cascading 5, section 7.3).
fn keyword(text: &str) -> Option<Value> {
    let text = text.trim();
    Some(match_ignore_ascii_case! { text,
        "inherit" => Value::Inherit,
        "initial" => Value::Initial,
        "unset" => Value::Unset,
        "revert" => Value::Revert,
        "revert-layer" => Value::Unknown,
        _ => return None,
    })
}

/// Keeps a custom property's value, unless no property that is kept could make use of it.
fn custom_value(text: &str) -> Option<Value> {
    if text.len() > CUSTOM_VALUE_BYTES_MAX {
        return Some(Value::Unknown);
    }
    match Parser::new(text).next() {
        Ok(
            Token::Dimension { .. }
            | Token::Percentage { .. }
            | Token::Hash(_)
            | Token::IDHash(_)
            | Token::UnquotedUrl(_),
        )
        | Err(_) => None,
        Ok(_) => Some(keyword(text).unwrap_or_else(|| Value::Text(text.into()))),
    }
}

/// Reads a value of `content`.
fn content(input: &mut Parser<'_>) -> Parsed<Value> {
    let mut text = String::new();
    if let Ok(word) = input.try_parse(Parser::expect_ident_cloned) {
        match_ignore_ascii_case! { &word,
            "none" | "normal" => {
                input.expect_exhausted()?;
                return Ok(Value::NoContent);
            },
            "open-quote" | "close-quote" | "no-open-quote" | "no-close-quote" => {},
            _ => return Err(ParseError::unexpected_token()),
        }
    }
    while let Ok(token) = input.next() {
        match token {
            Token::QuotedString(string) => text.push_str(string),
            // What follows is read aloud instead.
            Token::Delim('/') => while input.next().is_ok() {},
            Token::Ident(_) | Token::Function(_) | Token::UnquotedUrl(_) => {}
            _ => return Err(ParseError::unexpected_token()),
        }
    }
    Ok(Value::Content(text))
}

/// Returns whether a character comes of `\9` or `\0`, by which authors wrote declarations for old
/// Internet Explorers only.
fn is_hack(character: char) -> bool {
    character.is_control() || character == '\u{FFFD}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_text_as_far_as_the_sheet_tells() {
        for (text, expected) in [
            ("none", Some(Value::NoContent)),
            ("normal", Some(Value::NoContent)),
            ("'a' 'b'", Some(Value::Content("ab".to_owned()))),
            ("'\\f105'", Some(Value::Content("\u{f105}".to_owned()))),
            ("''", Some(Value::Content(String::new()))),
            ("attr(title) '!'", Some(Value::Content("!".to_owned()))),
            ("'a' / 'spoken'", Some(Value::Content("a".to_owned()))),
            ("12px", None),
            ("rubbish", None),
        ] {
            assert_eq!(value(&Property::Content, text), expected, "{text:?}");
        }
    }
}
