//! `@font-face`: which file a face comes from, and for which text it is fetched.
//!
//! Knows nothing of who uses the face.

use cssparser::{
    AtRuleParser, CowRcStr, DeclarationParser, ParseError, Parser, ParserState,
    QualifiedRuleParser, RuleBodyItemParser, RuleBodyParser, Token, UnicodeRange,
    match_ignore_ascii_case,
};

use super::Face;
use super::declaration::{absolute_weight, is_fetched, width_keyword};

type Parsed<T> = Result<T, ParseError<()>>;

/// Reads the block of a `@font-face` rule; `None` if it lacks what every face needs.
pub(super) fn parse(input: &mut Parser<'_>) -> Option<Face> {
    let mut descriptors = Descriptors::default();
    for _ in RuleBodyParser::new(input, &mut descriptors) {}
    let sources = descriptors.sources?;
    let first = sources
        .iter()
        .find(|source| !matches!(source, Source::Skipped));
    let url = match first {
        Some(Source::Taken(url)) => Some(url),
        _ => None,
    };
    let current_url = sources.iter().find_map(|source| match source {
        Source::Taken(url) | Source::Depends(Some(url)) => Some(url),
        Source::Skipped | Source::Depends(None) => None,
    });
    let fetched = |url: Option<&String>| url.filter(|url| is_fetched(url)).cloned();
    Some(Face {
        family: descriptors.family?,
        url: fetched(url),
        current_url: fetched(current_url),
        weight: descriptors.weight.unwrap_or((400, 400)),
        width: descriptors.width.unwrap_or((100, 100)),
        italic: descriptors.italic,
        unicode_range: descriptors.unicode_range,
        condition: None,
    })
}

#[derive(Default)]
struct Descriptors {
    family: Option<String>,
    sources: Option<Vec<Source>>,
    weight: Option<(u16, u16)>,
    width: Option<(u16, u16)>,
    italic: bool,
    unicode_range: Vec<(u32, u32)>,
}

impl<'i> DeclarationParser<'i> for Descriptors {
    type Declaration = ();
    type Error = ();

    fn parse_value(
        &mut self,
        name: CowRcStr<'i>,
        input: &mut Parser<'i>,
        _start: &ParserState,
    ) -> Parsed<()> {
        match_ignore_ascii_case! { &name,
            "font-family" => self.family = Some(input.parse_entirely(family)?),
            "src" => self.sources = Some(sources(input)?),
            "font-weight" => self.weight = Some(input.parse_entirely(|input| {
                range(input, weight)
            })?),
            "font-stretch" | "font-width" => self.width = Some(input.parse_entirely(|input| {
                range(input, width)
            })?),
            "font-style" => {
                self.italic = !input.expect_ident()?.eq_ignore_ascii_case("normal");
                while input.next().is_ok() {}
            },
            "unicode-range" => self.unicode_range = input.parse_comma_separated(|input| {
                let range = UnicodeRange::parse(input)?;
                Ok((range.start, range.end))
            })?,
            _ => return Err(ParseError::unexpected_token()),
        }
        Ok(())
    }
}

impl AtRuleParser<'_> for Descriptors {
    type Prelude = ();
    type AtRule = ();
    type Error = ();
}

impl QualifiedRuleParser<'_> for Descriptors {
    type Prelude = ();
    type QualifiedRule = ();
    type Error = ();
}

impl RuleBodyItemParser<'_, (), ()> for Descriptors {
    fn parse_declarations(&self) -> bool {
        true
    }

    fn parse_qualified(&self) -> bool {
        false
    }
}

fn family(input: &mut Parser<'_>) -> Parsed<String> {
    if let Ok(name) = input.try_parse(Parser::expect_string_cloned) {
        return Ok(name.to_string());
    }
    let mut name = input.expect_ident()?.to_string();
    while let Ok(word) = input.try_parse(Parser::expect_ident_cloned) {
        name.push(' ');
        name.push_str(&word);
    }
    Ok(name)
}

/// Reads one value or two, lowest and highest.
fn range(
    input: &mut Parser<'_>,
    one: impl Fn(&mut Parser<'_>) -> Parsed<u16>,
) -> Parsed<(u16, u16)> {
    let first = one(input)?;
    let second = if input.is_exhausted() {
        first
    } else {
        one(input)?
    };
    Ok((first.min(second), first.max(second)))
}

fn weight(input: &mut Parser<'_>) -> Parsed<u16> {
    let weight = match input.next()? {
        Token::Number { value, .. } => absolute_weight(*value),
        Token::Ident(word) => match_ignore_ascii_case! { word,
            "normal" => Some(400),
            "bold" => Some(700),
            _ => None,
        },
        _ => None,
    };
    weight.ok_or_else(ParseError::unexpected_token)
}

fn width(input: &mut Parser<'_>) -> Parsed<u16> {
    let width = match input.next()? {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked"
        )]
        Token::Percentage { unit_value, .. } => (0.0..=10.0)
            .contains(unit_value)
            .then(|| (unit_value * 100.0) as u16),
        Token::Ident(word) => width_keyword(word),
        _ => None,
    };
    width.ok_or_else(ParseError::unexpected_token)
}

/// What a client makes of one source.
enum Source {
    /// Every client fetches it.
    Taken(String),
    /// No current browser takes the format.
    Skipped,
    /// Some clients take it, some go on to the next one. With the URL that current ones take.
    Depends(Option<String>),
}

/// Reads `src`: the first source that a client takes is the only one that it fetches.
fn sources(input: &mut Parser<'_>) -> Parsed<Vec<Source>> {
    if input.is_exhausted() {
        return Err(ParseError::unexpected_token());
    }
    input.parse_comma_separated(|input| {
        let source = source(input);
        while input.next().is_ok() {}
        Ok::<_, ParseError<()>>(source.unwrap_or(Source::Depends(None)))
    })
}

fn source(input: &mut Parser<'_>) -> Parsed<Source> {
    let url = input.expect_url()?;
    if input.is_exhausted() {
        return Ok(by_extension(&url));
    }
    input.expect_function_matching("format")?;
    // Unquoted, as a keyword, clients take it since 2022 only.
    let (format, quoted) = input.parse_nested_block(|input| {
        let string = input.try_parse(Parser::expect_string_cloned);
        match string {
            Ok(format) => Ok((format, true)),
            Err(_) => Ok((input.expect_ident_cloned()?, false)),
        }
    })?;
    let taken = match_ignore_ascii_case! { &format,
        "woff2" | "woff" | "truetype" | "opentype" | "woff2-variations" | "woff-variations"
            | "truetype-variations" | "opentype-variations" => true,
        "embedded-opentype" | "svg" if quoted => return Ok(Source::Skipped),
        _ => false,
    };
    // `tech()`, which older clients do not know, may follow.
    Ok(if taken && quoted && input.is_exhausted() {
        Source::Taken(url.to_string())
    } else {
        Source::Depends(Some(url.to_string()).filter(|_| taken))
    })
}

fn by_extension(url: &str) -> Source {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match_ignore_ascii_case! { extension,
        "woff2" | "woff" | "ttf" | "otf" => Source::Taken(url.to_owned()),
        "eot" => Source::Skipped,
        _ => Source::Depends(Some(url.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_of(src: &str) -> Option<String> {
        let text = format!("font-family: F; {src}");
        parse(&mut Parser::new(&text)).and_then(|face| face.url)
    }

    #[test]
    fn the_first_source_that_every_client_takes_is_fetched() {
        for (src, expected) in [
            (
                "src: url(a.woff2) format('woff2'), url(a.woff) format('woff')",
                Some("a.woff2"),
            ),
            (
                "src: url(x.eot); src: url(x.eot?#iefix) format('embedded-opentype'), \
                 url(x.woff2) format('woff2')",
                Some("x.woff2"),
            ),
            ("src: url('a.ttf?v=1#x')", Some("a.ttf?v=1#x")),
            (
                "src: url(a.svg#f) format('svg'), url(a.ttf) format(\"truetype\")",
                Some("a.ttf"),
            ),
            (
                "src: url(v.woff2) format('woff2-variations')",
                Some("v.woff2"),
            ),
            ("src: local('X'), url(a.woff2) format('woff2')", None),
            (
                "src: url(a.woff2) format('woff2'), local('X')",
                Some("a.woff2"),
            ),
            ("src: url(a.woff2) format(woff2)", None),
            ("src: url(a.woff2) format('woff2') tech(variations)", None),
            (
                "src: url(data:font/woff2;base64,AA) format('woff2'), url(a.woff)",
                None,
            ),
            ("src: url(a.eot)", None),
            ("src: url(a.bin)", None),
            ("src: url(a.woff2) format('woff2'); src: ", Some("a.woff2")),
        ] {
            assert_eq!(source_of(src).as_deref(), expected, "{src}");
        }
    }

    #[test]
    fn a_current_client_without_the_local_font_takes_the_first_it_knows() {
        for (src, expected) in [
            ("local('X'), url(a.woff2) format('woff2')", Some("a.woff2")),
            ("url(a.woff2) format(woff2), url(a.woff)", Some("a.woff2")),
            ("url(a.otc) format(collection), url(a.ttf)", Some("a.ttf")),
            ("url(a.eot), url(a.svg) format(svg)", None),
            (
                "url(v.woff2) format('woff2') tech(variations)",
                Some("v.woff2"),
            ),
            ("local(X), url(data:font/woff2;base64,AA)", None),
        ] {
            let text = format!("font-family: F; src: {src}");
            let face = parse(&mut Parser::new(&text));
            let url = face.and_then(|face| face.current_url);
            assert_eq!(url.as_deref(), expected, "{src}");
        }
    }

    #[test]
    fn descriptors_say_for_which_text_a_face_is_fetched() {
        let text = "font-family: 'My Font'; src: url(a.woff2); font-weight: 100 900; \
                    font-style: oblique 10deg; font-stretch: 75% 125%; \
                    unicode-range: U+0025-00FF, u+4??, U+1F600";
        let face = parse(&mut Parser::new(text)).unwrap();
        assert_eq!(face.family, "My Font");
        assert_eq!(face.weight, (100, 900));
        assert_eq!(face.width, (75, 125));
        assert!(face.italic);
        assert_eq!(
            face.unicode_range,
            [(0x25, 0xFF), (0x400, 0x4FF), (0x1F600, 0x1F600)]
        );
    }

    #[test]
    fn a_face_needs_a_family_and_a_source() {
        for text in [
            "src: url(a.woff2)",
            "font-family: F",
            "",
            "font-family: 1; src: url(a.ttf)",
        ] {
            assert!(parse(&mut Parser::new(text)).is_none(), "{text}");
        }
    }
}
