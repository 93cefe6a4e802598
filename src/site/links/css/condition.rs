//! Conditions: which media queries and feature queries every client meets, and which none.
//!
//! Knows nothing of any client in particular: what two clients may answer differently depends.

use cssparser::{ParseError, Parser, Token};

/// Whether what stands under a condition applies to a page on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// To every client.
    Always,
    /// To none (`print`).
    Never,
    /// To some: the width, the resolution or the colour scheme decides.
    Depends,
}

impl Applies {
    fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Depends => Self::Depends,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Always, Self::Always) => Self::Always,
            _ => Self::Depends,
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

/// Judges a media query list (Media Queries 4) as a client with a screen answers it.
pub fn media_applies(list: &str) -> Applies {
    if list.trim().is_empty() {
        return Applies::Always;
    }
    list.split(',')
        .map(media_query_applies)
        .fold(Applies::Never, Applies::or)
}

/// One query: `[not | only]? type [and condition]*`, or a condition alone.
fn media_query_applies(query: &str) -> Applies {
    let mut words = query.split_ascii_whitespace().peekable();
    let negated = words.next_if(|word| word.eq_ignore_ascii_case("not"));
    let only = words.next_if(|word| word.eq_ignore_ascii_case("only"));
    let Some(first) = words.next() else {
        return Applies::Depends;
    };
    let plain = first
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !plain || (negated.is_some() && only.is_some()) {
        return Applies::Depends;
    }
    let known = ["all", "screen"]
        .iter()
        .any(|name| first.eq_ignore_ascii_case(name));
    let mut applies = if known {
        Applies::Always
    } else {
        Applies::Never
    };
    if words.next().is_some() {
        applies = applies.and(Applies::Depends);
    }
    if negated.is_some() {
        applies.not()
    } else {
        applies
    }
}

/// Features that every client with HTTP/2 push or early hints has: property and value, or any
/// value. All are older than both (Chromium 66, Firefox 63, Safari 11).
const FEATURES: &[(&str, &[&str])] = &[
    (
        "display",
        &["grid", "flex", "inline-grid", "inline-flex", "flow-root"],
    ),
    ("position", &["sticky"]),
    ("font-variation-settings", &[]),
    ("font-feature-settings", &[]),
    ("object-fit", &["cover", "contain"]),
];

/// Judges a feature query (CSS Conditional 3, section 6).
pub(super) fn supports_applies(query: &str) -> Applies {
    let mut parser = Parser::new(query);
    parser
        .parse_entirely(supports_condition)
        .unwrap_or(Applies::Depends)
}

fn supports_condition(input: &mut Parser<'_>) -> Result<Applies, ParseError<()>> {
    if input
        .try_parse(|input| input.expect_ident_matching("not"))
        .is_ok()
    {
        return Ok(supports_operand(input)?.not());
    }
    let mut applies = supports_operand(input)?;
    loop {
        if input
            .try_parse(|input| input.expect_ident_matching("and"))
            .is_ok()
        {
            applies = applies.and(supports_operand(input)?);
        } else if input
            .try_parse(|input| input.expect_ident_matching("or"))
            .is_ok()
        {
            applies = applies.or(supports_operand(input)?);
        } else {
            return Ok(applies);
        }
    }
}

fn supports_operand(input: &mut Parser<'_>) -> Result<Applies, ParseError<()>> {
    match input.next()? {
        Token::ParenthesisBlock => input.parse_nested_block(|input| {
            Ok(input
                .try_parse(supports_feature)
                .or_else(|_| input.try_parse(supports_condition))
                .unwrap_or_else(|_: ParseError<()>| {
                    while input.next().is_ok() {}
                    Applies::Depends
                }))
        }),
        Token::Function(_) => Ok(Applies::Depends),
        _ => Err(ParseError::unexpected_token()),
    }
}

fn supports_feature(input: &mut Parser<'_>) -> Result<Applies, ParseError<()>> {
    let name = input.expect_ident_cloned()?.to_ascii_lowercase();
    input.expect_colon()?;
    input.skip_whitespace();
    let start = input.position();
    while input.next().is_ok() {}
    let value = input.slice_from(start).trim().to_ascii_lowercase();
    let known = name.starts_with("--")
        || FEATURES.iter().any(|(property, values)| {
            *property == name && (values.is_empty() || values.contains(&value.as_str()))
        });
    Ok(if known {
        Applies::Always
    } else {
        Applies::Depends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_queries_are_judged_for_a_screen() {
        for (query, expected) in [
            ("", Applies::Always),
            ("all", Applies::Always),
            ("screen", Applies::Always),
            (" Only Screen ", Applies::Always),
            ("print", Applies::Never),
            ("print, screen", Applies::Always),
            ("print, speech", Applies::Never),
            ("not print", Applies::Always),
            ("not all", Applies::Never),
            ("print and (min-width: 1px)", Applies::Never),
            ("not print and (min-width: 1px)", Applies::Always),
            ("screen and (min-width: 1px)", Applies::Depends),
            ("(prefers-color-scheme: dark)", Applies::Depends),
            ("not (hover)", Applies::Depends),
            ("print, (min-width: 1px)", Applies::Depends),
            ("handheld", Applies::Never),
            (",", Applies::Depends),
        ] {
            assert_eq!(media_applies(query), expected, "{query:?}");
        }
    }

    #[test]
    fn feature_queries_hold_for_all_or_depend() {
        for (query, expected) in [
            ("(display: grid)", Applies::Always),
            ("(font-variation-settings: normal)", Applies::Always),
            ("(--css: variables)", Applies::Always),
            ("not (display:grid)", Applies::Never),
            ("(display: grid) and (position: sticky)", Applies::Always),
            (
                "((display: grid) or (animation-timeline: auto))",
                Applies::Always,
            ),
            ("(animation-timeline: auto)", Applies::Depends),
            ("selector(:has(a))", Applies::Depends),
            ("(display: masonry)", Applies::Depends),
            ("", Applies::Depends),
            ("(((", Applies::Depends),
        ] {
            assert_eq!(supports_applies(query), expected, "{query:?}");
        }
    }
}
