//! URL patterns (the URL Pattern Standard), as draft-dunglas-mercure-08 has them: case-sensitive,
//! with the hub's URL as the base of what is relative.
//!
//! Read by a crate that follows the standard's tests; the expressions that it makes are run by an
//! engine that reads a topic once, and are compiled within a bound, on first use.

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};
use url::Url;
use urlpattern::regexp::RegExp;
use urlpattern::{RegexSyntax, UrlPatternInit, UrlPatternMatchInput, UrlPatternOptions};

/// Bytes of a compiled expression; a pattern has one for each of a URL's eight parts at most.
const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// A pattern.
#[derive(Clone)]
pub struct UrlPattern {
    text: String,
    hub: Arc<Url>,
    pattern: Arc<urlpattern::UrlPattern<Expression>>,
}

impl UrlPattern {
    /// Reads a pattern. `hub` is the URL of the hub.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str, hub: &Arc<Url>) -> Result<Self, String> {
        check_brackets(text)?;
        let base = Some(hub.as_ref().clone());
        let read = || -> Result<_, urlpattern::Error> {
            let init = UrlPatternInit::parse_constructor_string::<Expression>(text, base)?;
            let options = UrlPatternOptions {
                ignore_case: false,
                regex_syntax: RegexSyntax::Rust,
            };
            let pattern =
                urlpattern::UrlPattern::<Expression>::parse(init.clone(), options.clone())?;
            // An expression of the sender's own may be none, or too large: that is known only once
            // it is compiled, which is put off for all others.
            if pattern.has_regexp_groups() {
                urlpattern::UrlPattern::<Compiled>::parse(init, options)?;
            }
            Ok(pattern)
        };
        let pattern = read().map_err(|error| error.to_string())?;
        Ok(Self {
            text: text.to_owned(),
            hub: Arc::clone(hub),
            pattern: Arc::new(pattern),
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether a topic is a URL, alone or as seen from the hub, that it matches.
    pub fn matches(&self, topic: &str) -> bool {
        let Ok(url) = self.hub.join(topic) else {
            return false;
        };
        let matches = self.pattern.test(UrlPatternMatchInput::Url(url));
        matches.unwrap_or(false)
    }
}

/// Checks that square brackets come in pairs, with nothing between them that parts a URL, except
/// around the address of a host. The crate counts them in the host alone, and loses count of others
/// (urlpattern 0.6.0).
fn check_brackets(text: &str) -> Result<(), String> {
    const PARTS: [char; 10] = [':', '/', '?', '#', '@', '(', ')', '{', '}', '['];
    let host = ["https://[", "http://["]
        .iter()
        .find_map(|start| text.strip_prefix(start));
    let is_address = |letter: char| letter.is_ascii_hexdigit() || ":.".contains(letter);
    let mut rest = match host {
        Some(host) => host
            .trim_start_matches(is_address)
            .strip_prefix(']')
            .ok_or("the address of its host is no IPv6 address in brackets")?,
        None => text,
    };
    while let Some(start) = rest.find(['[', ']']) {
        let inner = rest[start..]
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'));
        let (_, after) = inner
            .filter(|(inner, _)| !inner.contains(PARTS))
            .ok_or("its brackets do not pair: write `[` as %5B and `]` as %5D")?;
        rest = after;
    }
    Ok(())
}

impl fmt::Debug for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UrlPattern").field(&self.text).finish()
    }
}

/// An expression that is compiled on first use: most parts of most patterns need none.
struct Expression {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

/// An expression that is compiled at once.
struct Compiled(Regex);

fn compile(pattern: &str) -> Result<Regex, ()> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|_| ())
}

fn captures<'a>(regex: &Regex, text: &'a str) -> Option<Vec<Option<&'a str>>> {
    let captures = regex.captures(text)?;
    let groups = captures.iter().skip(1);
    Some(groups.map(|group| group.map(|m| m.as_str())).collect())
}

impl RegExp for Expression {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _: &str, _: bool) -> Result<Self, ()> {
        Ok(Self {
            text: pattern.to_owned(),
            compiled: OnceLock::new(),
        })
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        let compiled = self.compiled.get_or_init(|| compile(&self.text).ok());
        captures(compiled.as_ref()?, text)
    }

    fn pattern_string(&self) -> &str {
        &self.text
    }
}

impl RegExp for Compiled {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _: &str, _: bool) -> Result<Self, ()> {
        compile(pattern).map(Self)
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        captures(&self.0, text)
    }

    fn pattern_string(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hub() -> Arc<Url> {
        Arc::new(Url::parse("https://example.com/.well-known/mercure").unwrap())
    }

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let parsed = UrlPattern::parse(pattern, &hub()).unwrap();
        for topic in matching {
            assert!(parsed.matches(topic), "{pattern} {topic}");
        }
        for topic in other {
            assert!(!parsed.matches(topic), "{pattern} {topic}");
        }
    }

    /// draft-dunglas-mercure-08, URL Pattern.
    #[test]
    fn topics_are_urls_as_seen_from_the_hub() {
        check(
            "https://example.com/books/:id",
            &[
                "https://example.com/books/1",
                "HTTPS://EXAMPLE.com/books/1",
                "/books/1",
                "https://example.com/books/1?x=1",
            ],
            &[
                "https://example.com/Books/1",
                "https://example.com/books/1/2",
                "https://example.com/books/",
                "https://example.org/books/1",
                "http://example.com/books/1",
                "1",
                "http://[",
            ],
        );
        check(
            "/.well-known/mercure/subscriptions/:match_type/:match/:subscriber",
            &["/.well-known/mercure/subscriptions/exact/a%2Fb/urn%3Auuid%3A1"],
            &["/.well-known/mercure/subscriptions"],
        );
        check(
            "https://example.com/feed/:type(news|alerts)",
            &["https://example.com/feed/news"],
            &[
                "https://example.com/feed/other",
                "https://example.com/feed/newsx",
            ],
        );
        check(
            "https://example.com/items{/:tail}?",
            &["https://example.com/items", "https://example.com/items/1"],
            &["https://example.com/items/1/2"],
        );
        check(
            "https://example.com/a/*",
            &["https://example.com/a/b/c"],
            &["https://example.com/b"],
        );
        check(
            "https://*.example.com/x",
            &["https://a.example.com/x"],
            &["https://example.org/x"],
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "https://example.com/(",
            "https://example.com/:",
            "https://example.com/{a",
            "https://example.com/:id(",
            "https://example.com/:a/:a",
            "https://example.com/(a{9999}{9999})",
            "https://example.com/(?<x>a)",
            // What made the crate subtract one from nought.
            "https://]",
            "https://(\u{e9}])",
            "https://a[b:c]",
            "[://x]",
            "https://[::1",
            // Counted repetitions of all letters there are.
            "https://example.com/(\\w{500})",
        ] {
            assert!(UrlPattern::parse(text, &hub()).is_err(), "{text}");
        }
    }

    /// What a backtracking engine would not come back from (draft-08, URL Pattern).
    #[test]
    fn no_pattern_takes_long() {
        let pattern = UrlPattern::parse("https://example.com/(a*a*a*a*a*a*a*a*)b", &hub());
        let topic = format!("https://example.com/{}", "a".repeat(900));
        assert!(!pattern.unwrap().matches(&topic));
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(
            text in "(https://[a-z.*:]{0,8})?[/a-z:*(){}?+\\\\.é\\[\\]#|0-9]{0,30}",
            topic in "(https?://)?[a-zé/.?#%0-9:\\[\\]]{0,30}",
        ) {
            if let Ok(pattern) = UrlPattern::parse(&text, &hub()) {
                pattern.matches(&topic);
            }
        }

        #[test]
        fn any_text_at_all(text in any::<String>(), topic in any::<String>()) {
            if let Ok(pattern) = UrlPattern::parse(&text, &hub()) {
                pattern.matches(&topic);
            }
        }
    }
}
