//! URLs in values that take images.

use cssparser::{ParseError, Parser, Token, match_ignore_ascii_case};

use super::{Parsed, is_hack};

/// Returns the URLs in a value that takes images, each with whether the client decides on it.
pub(super) fn image_urls(text: &str) -> Parsed<Vec<(String, bool)>> {
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

/// Returns whether a URL is fetched over the network at all.
pub(in super::super) fn is_fetched(url: &str) -> bool {
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
    use super::super::Block;

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
}
