//! What selects topics: one name, a URI template (draft-dunglas-mercure-07), a URL pattern
//! (draft-08), or all.
//!
//! The same for what somebody wants to hear and for what a token allows.

use std::sync::Arc;

use url::Url;

use super::template::Template;
use super::topic;
use super::url_pattern::UrlPattern;

/// A selector of topics.
#[derive(Debug, Clone)]
pub enum Selector {
    /// `*`: all topics.
    All,
    /// The topic that is this text, byte for byte.
    Exact(String),
    /// The topic that is this text, and those that it could be expanded to (RFC 6570).
    Template(Template),
    /// The topics that it matches as URLs.
    Pattern(UrlPattern),
}

/// Which kind of text selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, as it is: draft-08's `exact`.
    Exact,
    /// A name or a URI template: draft-07's selectors.
    Template,
    /// A URL pattern: draft-08's `urlpattern`.
    Pattern,
}

impl Selector {
    /// Reads a selector. `hub` is the URL of the hub: what is relative is seen from there.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(kind: Kind, text: &str, hub: &Arc<Url>) -> Result<Self, String> {
        topic::check_text(text).map_err(|refusal| refusal.text.into_owned())?;
        // Draft-08, Matcher Types: whatever the kind.
        if text == "*" {
            return Ok(Self::All);
        }
        Ok(match kind {
            Kind::Template if text.contains(['{', '}']) => {
                let template = Template::parse(text);
                Self::Template(
                    template.map_err(|why| format!("`{text}` is no URI template: {why}"))?,
                )
            }
            Kind::Exact | Kind::Template => Self::Exact(text.to_owned()),
            Kind::Pattern => {
                let pattern = UrlPattern::parse(text, hub);
                Self::Pattern(pattern.map_err(|why| format!("`{text}` is no URL pattern: {why}"))?)
            }
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        match self {
            Self::All => "*",
            Self::Exact(text) => text,
            Self::Template(template) => template.text(),
            Self::Pattern(pattern) => pattern.text(),
        }
    }

    /// Returns the one topic that it selects, if it is but one: such can be looked up.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::All | Self::Template(_) | Self::Pattern(_) => None,
        }
    }

    /// Returns whether it selects a topic.
    pub fn matches(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(text) => text == topic,
            // Draft-07, Topic Selectors: by comparing first.
            Self::Template(template) => template.text() == topic || template.matches(topic),
            Self::Pattern(pattern) => pattern.matches(topic),
        }
    }

    /// Returns whether it is the same as another, or selects its text as if that were a topic
    /// (draft-08, Payloads).
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Pattern(pattern), Self::Pattern(other)) if pattern.text() == other.text() => {
                true
            }
            _ => self.matches(other.text()),
        }
    }

    /// What all topics that it selects begin with, as far as that is known.
    pub(super) fn start(&self) -> &str {
        match self {
            Self::All | Self::Pattern(_) => "",
            Self::Exact(text) => text,
            Self::Template(template) => template.start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(kind: Kind, text: &str) -> Result<Selector, String> {
        let hub = Url::parse("https://example.com/.well-known/mercure").unwrap();
        Selector::parse(kind, text, &Arc::new(hub))
    }

    #[test]
    fn a_text_means_what_its_kind_says() {
        let (one, other) = ("https://example.com/b/1", "https://example.com/b/2");
        for (kind, text, matches_one, matches_itself) in [
            (Kind::Exact, "*", true, true),
            (Kind::Pattern, "*", true, true),
            (Kind::Exact, one, true, true),
            (Kind::Exact, other, false, true),
            (Kind::Exact, "https://example.com/b/{id}", false, true),
            (Kind::Template, "https://example.com/b/{id}", true, true),
            (Kind::Template, one, true, true),
            (Kind::Pattern, "https://example.com/b/:id", true, true),
            (Kind::Exact, "https://example.com/b/:id", false, true),
        ] {
            let selector = selector(kind, text).unwrap();
            assert_eq!(selector.matches(one), matches_one, "{kind:?} {text}");
            assert_eq!(selector.matches(text), matches_itself, "{kind:?} {text}");
            assert_eq!(selector.text(), text);
            assert!(selector.covers(&selector));
        }
        for (kind, text) in [
            (Kind::Exact, ""),
            (Kind::Exact, "a\u{85}"),
            (Kind::Template, "a{"),
            (Kind::Pattern, "https://example.com/("),
        ] {
            selector(kind, text).unwrap_err();
        }
    }
}
