//! `Link` header fields (RFC 8288) to preloads (HTML, section 4.6.7.11).
//!
//! Pure. What a client makes of a preload (its `media`, its `type`, its candidates) is the page's
//! to say.

use http::header::{self, HeaderMap};
use url::Url;

use crate::measure::timeline::Kind;
use crate::site::links::html::Crossorigin;

/// Links that are read of one response; what follows is ignored.
const LINKS_MAX: usize = 256;

/// What a `Link` names to be fetched early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preload {
    /// Absolute.
    pub url: Url,
    /// What `as` says it is for; [`Kind::Module`] for `rel=modulepreload`.
    pub kind: Kind,
    /// How it is requested; always something for a module.
    pub crossorigin: Option<Crossorigin>,
    /// `type`, or empty.
    pub content_type: String,
    /// `media`, or empty.
    pub media: String,
    /// `imagesrcset`, or empty.
    pub image_source_set: String,
    /// `imagesizes`, or empty.
    pub image_sizes: String,
    /// `fetchpriority`, or empty.
    pub fetch_priority: String,
}

/// Returns what the `Link` fields of a response say to preload, in order. Relative URLs are against
/// `base`, the URL of the response.
pub fn preloads(headers: &HeaderMap, base: &Url) -> Vec<Preload> {
    let mut preloads = Vec::new();
    let mut links_left = LINKS_MAX;
    for field in headers.get_all(header::LINK) {
        let field = String::from_utf8_lossy(field.as_bytes());
        for link in links(&field).take(links_left) {
            links_left -= 1;
            preloads.extend(preloads_of(&link, base));
        }
    }
    preloads
}

fn preloads_of(link: &Link<'_>, base: &Url) -> Vec<Preload> {
    let Ok(url) = base.join(link.target.trim()) else {
        return Vec::new();
    };
    // A link from elsewhere says nothing of this page (RFC 8288 section 3.2).
    let context = link.param("anchor").map(|anchor| base.join(anchor));
    if context.is_some_and(|context| context.as_ref() != Ok(base)) {
        return Vec::new();
    }
    let relations = link.param("rel").unwrap_or_default();
    let kinds = relations.split_ascii_whitespace().filter_map(|relation| {
        let destination = link.param("as").unwrap_or_default().to_ascii_lowercase();
        match relation.to_ascii_lowercase().as_str() {
            "preload" => kind(&destination),
            "modulepreload" => {
                matches!(destination.as_str(), "" | "script").then_some(Kind::Module)
            }
            _ => None,
        }
    });
    let preload = |kind| Preload {
        url: url.clone(),
        kind,
        crossorigin: crossorigin(link.param("crossorigin"), kind),
        content_type: link.owned("type"),
        media: link.owned("media"),
        image_source_set: link.owned("imagesrcset"),
        image_sizes: link.owned("imagesizes"),
        fetch_priority: link.owned("fetchpriority"),
    };
    kinds.map(preload).collect()
}

/// Returns what an `as` is for; `None` if no client preloads it. Without `as` nothing is fetched.
fn kind(destination: &str) -> Option<Kind> {
    Some(match destination {
        "style" => Kind::Style,
        "script" => Kind::Script,
        "font" => Kind::Font,
        "image" => Kind::Image,
        "audio" | "track" | "video" => Kind::Media,
        "fetch" => Kind::Other,
        _ => return None,
    })
}

fn crossorigin(value: Option<&str>, kind: Kind) -> Option<Crossorigin> {
    match value {
        Some(value) if value.eq_ignore_ascii_case("use-credentials") => {
            Some(Crossorigin::UseCredentials)
        }
        Some(_) => Some(Crossorigin::Anonymous),
        None => (kind == Kind::Module).then_some(Crossorigin::Anonymous),
    }
}

/// One link-value.
#[derive(Debug, PartialEq, Eq)]
struct Link<'a> {
    target: &'a str,
    /// Names in lower case; values without quotes.
    params: Vec<(String, String)>,
}

impl Link<'_> {
    /// Returns the first parameter of a name: those after it are ignored (RFC 8288 section 3.3).
    fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        let found = params.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn owned(&self, name: &str) -> String {
        self.param(name).unwrap_or_default().to_owned()
    }
}

/// Reads a field value as RFC 8288 appendix B.2 does; stops where it is malformed.
fn links(field: &str) -> impl Iterator<Item = Link<'_>> {
    let mut rest = field;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let params;
        (params, rest) = parameters(after);
        Some(Link { target, params })
    })
}

/// Reads the parameters of a link-value, and returns what follows them.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut params = Vec::new();
    let mut rest = blank_skipped(text);
    while let Some(after) = rest.strip_prefix(';') {
        let after = blank_skipped(after);
        let end = after.find(['=', ';', ',', ' ', '\t']);
        let (name, after) = after.split_at(end.unwrap_or(after.len()));
        let after = blank_skipped(after);
        let (value, after) = match after.strip_prefix('=').map(blank_skipped) {
            Some(quoted) if quoted.starts_with('"') => unquoted(&quoted[1..]),
            Some(token) => {
                let end = token.find([';', ',']).unwrap_or(token.len());
                (token[..end].trim_end().to_owned(), &token[end..])
            }
            None => (String::new(), after),
        };
        if !name.is_empty() {
            params.push((name.to_ascii_lowercase(), value));
        }
        // What stands between a value and the next separator belongs to nothing.
        let end = after.find([';', ',']).unwrap_or(after.len());
        rest = &after[end..];
    }
    (params, rest)
}

/// Reads a quoted-string after its first quote (RFC 9110 section 5.6.4), and returns what follows.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((offset, character)) = characters.next() {
        match character {
            '"' => return (value, &text[offset + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

fn blank_skipped(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn read(fields: &[&str]) -> String {
        let base = Url::parse("https://localhost/shop/").unwrap();
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::LINK, field.parse().unwrap());
        }
        let mut lines = String::new();
        for preload in preloads(&headers, &base) {
            write!(lines, "{} {:?}", preload.url, preload.kind).unwrap();
            if let Some(crossorigin) = preload.crossorigin {
                write!(lines, " {crossorigin:?}").unwrap();
            }
            for value in [
                preload.content_type,
                preload.media,
                preload.image_source_set,
                preload.image_sizes,
                preload.fetch_priority,
            ] {
                if !value.is_empty() {
                    write!(lines, " [{value}]").unwrap();
                }
            }
            lines.push('\n');
        }
        lines
    }

    #[test]
    fn a_link_is_read_with_all_it_says() {
        insta::assert_snapshot!(read(&[
            "</a.css>; rel=preload; as=style, <b.js>;rel=\"preload\" ; AS=Script;crossorigin",
            "<f.woff2>; rel=preload; as=font; crossorigin=anonymous; type=\"font/woff2\"",
            "<m.js>; rel=modulepreload, <n.js>; rel=modulepreload; crossorigin=use-credentials",
            "<h.png>; rel=preload; as=image; imagesrcset=\"h.png 1x, h2.png 2x\"; \
             imagesizes=50vw; fetchpriority=high; media=\"(min-width: 9em)\"",
        ]), @"
        https://localhost/a.css Style
        https://localhost/shop/b.js Script Anonymous
        https://localhost/shop/f.woff2 Font Anonymous [font/woff2]
        https://localhost/shop/m.js Module Anonymous
        https://localhost/shop/n.js Module UseCredentials
        https://localhost/shop/h.png Image [(min-width: 9em)] [h.png 1x, h2.png 2x] [50vw] [high]
        ");
    }

    #[test]
    fn commas_semicolons_and_quotes_stand_where_they_may() {
        insta::assert_snapshot!(read(&[
            "<a,b;c.css>; rel=preload; title=\"x, <no>; \\\" y\"; as=style,,, <d.css> ;rel = \
             \"next preload prefetch\"; as=style",
        ]), @"
        https://localhost/shop/a,b;c.css Style
        https://localhost/shop/d.css Style
        ");
    }

    #[test]
    fn what_is_no_preload_is_not_one() {
        insta::assert_snapshot!(read(&[
            "<a.css>; rel=stylesheet, <b.css>; rel=preload, <c.css>; as=style",
            "<d.css>; rel=prefetch; rel=preload; as=style",
            "<e.css>; rel=preload; as=style; anchor=\"/elsewhere\"",
            "<w.js>; rel=preload; as=worker, <http://[>; rel=preload; as=style",
            "<o.css>; rel=modulepreload; as=style",
            "nonsense, </f.css>; rel=preload; as=style",
            "</unfinished.css",
        ]), @"");
    }

    #[test]
    fn links_without_end_are_cut() {
        let many = "<a>;rel=preload;as=style,".repeat(LINKS_MAX);
        assert_eq!(read(&[&many, &many]).lines().count(), LINKS_MAX);
    }

    proptest! {
        #[test]
        fn any_field_is_read_to_its_end(field in "[<>;,=\"\\\\ a-z\t]{0,60}") {
            let _ = links(&field).count();
        }
    }
}
