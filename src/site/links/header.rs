//! `Link` field to links (RFC 8288): what is written by hand to be fetched ahead.

use crate::site::SiteUrl;
use crate::site::graph::{self, Destination, Target};
use crate::site::links::html::Crossorigin;

/// Links of one field that are read.
const LINKS_MAX: usize = 256;

/// One link of a `Link` field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderLink {
    /// The target as it is written.
    pub target: String,
    /// All of it as it is written.
    pub text: String,
    /// Names in lower case, and values without quotes; the first of a name counts.
    parameters: Vec<(String, String)>,
}

/// A link to something of this site that is to be fetched ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AheadLink {
    /// What.
    pub url: SiteUrl,
    /// What it is for, if it says so.
    pub destination: Option<Destination>,
    /// How it is requested.
    pub crossorigin: Option<Crossorigin>,
    /// `type`, or empty.
    pub content_type: String,
    /// `media`, or empty.
    pub media: String,
    /// `imagesrcset` and `imagesizes`.
    pub image_candidates: Option<(String, String)>,
}

impl HeaderLink {
    /// Returns a parameter's value; empty if it has none.
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn has_relation(&self, relation: &str) -> bool {
        let relations = self.parameter("rel").unwrap_or_default();
        relations
            .split_ascii_whitespace()
            .any(|known| known.eq_ignore_ascii_case(relation))
    }

    /// Returns what it has fetched ahead with a page; `None` if it does not ask for that
    /// (`preload`, `modulepreload`), forbids pushes (`nopush`), or leads to another origin.
    pub fn ahead(&self, page: &SiteUrl) -> Option<AheadLink> {
        let is_module = self.has_relation("modulepreload");
        if !is_module && !self.has_relation("preload") || self.parameter("nopush").is_some() {
            return None;
        }
        // `//host/` is another origin, and no path of a site.
        let as_written = SiteUrl::parse(&self.target).ok();
        let url = as_written.or_else(|| self.resolved(page))?;
        let text = |name| self.parameter(name).unwrap_or_default().to_owned();
        let crossorigin = self.parameter("crossorigin").map(|value| {
            if value.eq_ignore_ascii_case("use-credentials") {
                Crossorigin::UseCredentials
            } else {
                Crossorigin::Anonymous
            }
        });
        let candidates = Some((text("imagesrcset"), text("imagesizes")));
        Some(AheadLink {
            url,
            destination: if is_module {
                Some(Destination::Module)
            } else {
                self.parameter("as").and_then(destination)
            },
            crossorigin,
            content_type: text("type"),
            media: text("media"),
            image_candidates: candidates.filter(|(set, _)| !set.is_empty()),
        })
    }

    /// Returns the target as a client resolves it (RFC 8288 section 3).
    fn resolved(&self, page: &SiteUrl) -> Option<SiteUrl> {
        match graph::target(page, &self.target)? {
            Target::Here(url) => Some(url),
            Target::Elsewhere(_) => None,
        }
    }
}

/// Reads a field's value; `None` if it is malformed.
pub fn parse(value: &str) -> Option<Vec<HeaderLink>> {
    let mut links = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() && links.len() < LINKS_MAX {
        let start = rest;
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let mut link = HeaderLink {
            target: target.trim().to_owned(),
            ..HeaderLink::default()
        };
        rest = after.trim_start();
        while let Some(after) = rest.strip_prefix(';') {
            rest = parameter(after.trim_start(), &mut link)?.trim_start();
        }
        start[..start.len() - rest.len()]
            .trim_end()
            .clone_into(&mut link.text);
        links.push(link);
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => {}
            None => return None,
        }
    }
    (!links.is_empty()).then_some(links)
}

/// Reads a parameter, and returns what follows it.
fn parameter<'a>(text: &'a str, link: &mut HeaderLink) -> Option<&'a str> {
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.trim().to_ascii_lowercase();
    let (value, rest) = match rest.strip_prefix('=').map(str::trim_start) {
        None => (String::new(), rest),
        Some(quoted) if quoted.starts_with('"') => unquoted(&quoted[1..])?,
        Some(token) => {
            let end = token.find([';', ',']).unwrap_or(token.len());
            (token[..end].trim_end().to_owned(), &token[end..])
        }
    };
    if !name.is_empty() && link.parameter(&name).is_none() {
        link.parameters.push((name, value));
    }
    Some(rest)
}

/// Reads to the quote that closes a value (RFC 9110 section 5.6.4).
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

fn destination(name: &str) -> Option<Destination> {
    Some(match name.to_ascii_lowercase().as_str() {
        "style" => Destination::Style,
        "script" => Destination::Script,
        "font" => Destination::Font,
        "image" => Destination::Image,
        "manifest" => Destination::Manifest,
        "video" | "audio" | "track" => Destination::Media,
        "fetch" | "document" => Destination::Other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_are_read_in_lists_and_with_quotes() {
        let links = parse(
            "</a.css>; rel=preload; as=style, </b,c.js>;rel=\"modulepreload x\" , \
             </d.woff2>; Rel=preload; as=font; crossorigin; type=\"font/woff2\", \
             </e>; rel=preconnect, <//host/f>; rel=preload, </g.js>; rel=preload; nopush, \
             <h.js>; rel=preload, <../i.js?v#x>; rel=preload, <https://host/j>; rel=preload, \
             <.hid/k>; rel=preload, <data:,m>; rel=preload",
        )
        .unwrap();
        let page = SiteUrl::parse("/docs/?q").unwrap();
        let ahead: Vec<_> = links.iter().filter_map(|link| link.ahead(&page)).collect();
        let told: Vec<_> = ahead
            .iter()
            .map(|link| {
                (
                    link.url.target(),
                    link.destination,
                    link.crossorigin.is_some(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("/a.css", Some(Destination::Style), false),
                ("/b,c.js", Some(Destination::Module), false),
                ("/d.woff2", Some(Destination::Font), true),
                ("/docs/h.js", None, false),
                ("/i.js?v", None, false),
            ]
        );
        assert_eq!(ahead[2].content_type, "font/woff2");
    }

    #[test]
    fn what_is_no_link_is_refused() {
        for text in [
            "",
            "/a",
            "</a",
            "</a>; b=\"",
            "</a> </b>",
            "</a>; rel=x y <",
        ] {
            let read = parse(text);
            assert!(read.is_none() || text.contains("x y"), "{text}: {read:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[<>;,=\"\\\\a/.:? ]{0,24}") {
            let page = SiteUrl::parse("/a/a").unwrap();
            let _ = parse(&text).map(|links| links.iter().filter_map(|it| it.ahead(&page)).count());
        }
    }
}
