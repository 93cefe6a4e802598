//! Declarations: the values of the properties that decide which URLs and faces are used.
//!
//! Knows nothing of selectors or rules. Grammar is checked where authors lean on it (a value that
//! no browser takes must not hide the one before it); elsewhere it is read leniently.

use cssparser::{ParseError, Parser, Token, match_ignore_ascii_case};

use super::{CUSTOM_VALUE_BYTES_MAX, Declaration, Family, FontWeight, Property, RuleUrl, Value};

/// Families of one list that are kept.
const FAMILIES_MAX: usize = 64;

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

/// Reads a `font-family` list.
fn families(input: &mut Parser<'_>) -> Parsed<Vec<Family>> {
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

fn weight(text: &str) -> Option<Value> {
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
pub(super) fn absolute_weight(number: f32) -> Option<u16> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    (1.0..=1000.0)
        .contains(&number)
        .then(|| number.round() as u16)
}

fn style(text: &str) -> Option<Value> {
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
struct Font {
    /// `None` for the fonts of the system's own controls.
    families: Option<Vec<Family>>,
    weight: FontWeight,
    italic: bool,
}

/// Reads the shorthand `font` (CSS Fonts 4, section 3.7).
fn font(text: &str) -> Parsed<Font> {
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
pub(super) fn width_keyword(word: &str) -> Option<u16> {
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

fn has_font_width(text: &str) -> bool {
    text.split_ascii_whitespace()
        .take_while(|word| !word.ends_with(','))
        .any(|word| width_keyword(word).is_some_and(|width| width != 100))
}

fn is_normal_width(text: &str) -> bool {
    width_keyword(text.trim()) == Some(100) || text.trim() == "100%" || keyword(text).is_some()
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

/// Returns the URLs in a value that takes images, each with whether the client decides on it.
fn image_urls(text: &str) -> Parsed<Vec<(String, bool)>> {
    let mut found = Vec::new();
    Parser::new(text).parse_entirely(|input| collect_urls(input, Within::Value, &mut found))?;
    found.retain(|(url, _)| is_fetched(url));
    Ok(found)
}

/// Where in a value a URL stands.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// Where it is fetched if the declaration is used.
    Value,
    /// Among candidates.
    Candidates,
    /// Among candidates, where strings are URLs too.
    ImageSet,
}

fn collect_urls(
    input: &mut Parser<'_>,
    within: Within,
    found: &mut Vec<(String, bool)>,
) -> Parsed<()> {
    while let Ok(token) = input.next() {
        match token.clone() {
            Token::UnquotedUrl(url) => found.push((url.to_string(), within != Within::Value)),
            Token::QuotedString(url) if within == Within::ImageSet => {
                found.push((url.to_string(), true));
            }
            Token::Function(name) => {
                let next = match_ignore_ascii_case! { &name,
                    "url" | "src" => {
                        let url = input.parse_nested_block(|input| {
                            let url = input.expect_string_cloned()?;
                            while input.next().is_ok() {}
                            Ok::<_, ParseError<()>>(url)
                        });
                        if let Ok(url) = url {
                            let known = name.eq_ignore_ascii_case("url");
                            found.push((url.to_string(), within != Within::Value || !known));
                        }
                        continue;
                    },
                    // The type of a candidate: a string that is no URL.
                    "type" if within == Within::ImageSet => continue,
                    "image-set" | "-webkit-image-set" => Within::ImageSet,
                    "cross-fade" | "-webkit-cross-fade" | "image" | "-moz-image-rect" | "paint"
                        | "element" | "var" | "env" => Within::Candidates,
                    _ => within,
                };
                input.parse_nested_block(|input| collect_urls(input, next, found))?;
            }
            Token::Ident(word) if word.chars().any(is_hack) => {
                return Err(ParseError::unexpected_token());
            }
            token if token.is_parse_error() => return Err(ParseError::unexpected_token()),
            _ => {}
        }
    }
    Ok(())
}

/// Returns whether a character comes of `\9` or `\0`, by which authors wrote declarations for old
/// Internet Explorers only.
fn is_hack(character: char) -> bool {
    character.is_control() || character == '\u{FFFD}'
}

/// Returns whether a URL is fetched over the network at all.
pub(super) fn is_fetched(url: &str) -> bool {
    let url = url.trim();
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    !url.is_empty()
        && !url.starts_with('#')
        && !["data", "blob", "about", "javascript"]
            .iter()
            .any(|other| scheme.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Family {
        Family::Named(name.to_owned())
    }

    fn urls(name: &str, text: &str) -> Vec<(String, bool)> {
        let mut block = Block::default();
        block.declare(name, text, false);
        block
            .urls
            .into_iter()
            .map(|url| (url.url, url.depends_on_client))
            .collect()
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

    #[test]
    fn urls_are_found_where_they_are_fetched() {
        let sure = |url: &str| (url.to_owned(), false);
        let perhaps = |url: &str| (url.to_owned(), true);
        for (name, text, expected) in [
            (
                "background",
                "#fff url(a.png) no-repeat",
                vec![sure("a.png")],
            ),
            (
                "BACKGROUND-IMAGE",
                "url('a'), url(\"b\")",
                vec![sure("a"), sure("b")],
            ),
            ("background", "url(data:image/png;base64,AA)", vec![]),
            ("background", "url(#a)", vec![]),
            ("background", "url()", vec![]),
            ("background", "url(a b)", vec![]),
            ("background", "url(ie.png)\\9", vec![]),
            (
                "background",
                "linear-gradient(red, blue), url(a)",
                vec![sure("a")],
            ),
            (
                "background",
                "image-set('a' 1x, url(b) 2x)",
                vec![perhaps("a"), perhaps("b")],
            ),
            (
                "background",
                "image-set('a' type('image/avif'))",
                vec![perhaps("a")],
            ),
            (
                "background",
                "-webkit-cross-fade(url(a), url(b), 50%)",
                vec![perhaps("a"), perhaps("b")],
            ),
            ("background", "url(a) var(--b)", vec![perhaps("a")]),
            ("mask", "url(a)", vec![perhaps("a")]),
            ("-webkit-mask-image", "url(a)", vec![sure("a")]),
            ("filter", "url(a.svg#b)", vec![perhaps("a.svg#b")]),
            ("cursor", "url(a.cur), auto", vec![sure("a.cur")]),
            ("--image", "url('a')", vec![perhaps("a")]),
            ("color", "url(a)", vec![]),
            ("content", "url(a) / 'text'", vec![sure("a")]),
        ] {
            assert_eq!(urls(name, text), expected, "{name}: {text}");
        }
    }

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
