//! Pages while their site is being edited: each carries a script that hears of changes.
//!
//! # Why no edit is lost, and none is answered twice
//!
//! An injected page says which event it was served after: its cursor. The cursor is read before the
//! snapshot is, and a change is swapped in before it is published, so the page is at least as new
//! as its cursor: whatever it lacks is told after that.
//!
//! The cursor is part of the page's bytes, so it is part of its entity tag. Tags are equal only if
//! nothing was published in between: then, and only then, there is a 304, and the copy that it
//! keeps has the cursor that a new one would have. A 304 for an older cursor would lose nothing
//! either, but it would tell the page of changes that it knows; one that reloads for them would get
//! the same 304 again, without end.
//!
//! A client that comes back after the log has forgotten its cursor, or to another run of the
//! program, compares versions instead. The version names the page's bytes and those of everything
//! that it was found to need, whether sent ahead or not. It is the tag of the page as a script
//! fetches it, which is not injected:
//!
//! ```text
//! fetched       "<version>.<digest>"
//! injected      "live-<version>.<digest>~<cursor>~<script>"    data-page="<version>.<digest>"
//! compressed    the same with a suffix (see [`crate::site::encodings`])
//! not there     "missing-<version>", injected as above
//! ```
//!
//! No tag of a page that is served without this looks like an injected one, so none is kept when
//! the editing is over. The digest stands where [`Digest::read`](crate::site::digest::Digest::read)
//! finds it in all of them.
//!
//! Read on in `policy` (a page's own policy, opened for the script).

mod policy;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{self, HeaderMap};

use super::Body;
use super::encoding::Accepted;
use super::representation::Representation;
use crate::hub::EventId;
use crate::site::encodings::{self, Coding, Level, codec};
use crate::site::{Asset, ContentHash, Kind, Page, UrlPath, insert};

/// What a page that is served while its site is edited is told.
#[derive(Debug, Clone, Copy)]
pub struct LivePage {
    /// Everything up to this event is in the page: it was read before the snapshot was.
    pub cursor: EventId,
    /// Names the bytes of the script.
    pub script: ContentHash,
    /// The event before the one that told of the problem that stands, if one does: a page that is
    /// opened now hears of it.
    pub problem: Option<EventId>,
    /// Whether what pages write to their consoles is wanted.
    pub console: bool,
}

/// A document with the script in it.
#[derive(Debug)]
pub(super) struct Injected {
    pub(super) document: Bytes,
    pub(super) tag: HeaderValue,
    /// By how many bytes everything after the prefix has moved.
    pub(super) added: usize,
}

/// Largest document that is compressed after the injection, in bytes: that is done anew for every
/// answer, between others.
const ENCODED_BYTES_MAX: usize = 256 * 1024;

impl Injected {
    /// Returns the form of the document that a request likes best, if it is encoded at all.
    pub(super) fn form(&self, accepted: Accepted, is_negotiated: bool) -> Representation {
        let is_encoded = is_negotiated && self.document.len() <= ENCODED_BYTES_MAX;
        let coding = accepted.preferred().next().filter(|_| is_encoded);
        let encoded = coding.and_then(|coding| {
            let bytes = codec::encode(&self.document, coding, Level::Fast)?;
            Some(Representation {
                coding: Some(coding),
                tag: encodings::tag(&self.tag, coding.suffix(Level::Fast)),
                body: Body::Memory(bytes),
            })
        });
        encoded.unwrap_or_else(|| Representation {
            coding: None,
            tag: self.tag.clone(),
            body: Body::Memory(self.document.clone()),
        })
    }

    /// Returns whether a tag, quotes included, names a form of the document that a request takes.
    pub(super) fn is_current(&self, tag: &[u8], accepted: Accepted) -> bool {
        let encoded = |coding: Coding| {
            let own = encodings::tag(&self.tag, coding.suffix(Level::Fast));
            accepted.takes(coding) && own.as_bytes() == tag
        };
        self.tag.as_bytes() == tag || Coding::ALL.into_iter().any(encoded)
    }
}

/// How the tag of an injected page begins.
const TAG_START: &[u8] = b"\"live-";

/// Shown where a site has no page of its own for what is not there. It is HTML so that it can tell
/// when the file has come.
const NOT_FOUND: &[u8] = b"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n\
    <meta name=viewport content=\"width=device-width\">\n\
    <meta name=color-scheme content=\"light dark\">\n\
    <title>404: no such file</title>\n\
    <style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 20vh auto; \
    padding: 0 1.5rem }</style>\n\
    <h1>404</h1>\n\
    <p>This site has no such file. This page becomes it as soon as it is there.\n";

/// Returns whether the answer will be shown as a document: by what the client says that it is for,
/// or, where it does not, by what it takes.
pub(super) fn is_shown(headers: &HeaderMap) -> bool {
    let field = |name| headers.get(name).map(HeaderValue::as_bytes);
    match field("sec-fetch-dest") {
        Some(destination) => matches!(destination, b"document" | b"iframe" | b"frame"),
        None => takes_html(headers),
    }
}

/// Returns whether a request says that it takes HTML, and not only because it takes anything.
pub(super) fn takes_html(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|accept| {
        let ranges = accept.as_bytes().split(|&byte| byte == b',');
        ranges
            .filter_map(|range| range.split(|&byte| byte == b';').next())
            .any(|range| range.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    })
}

/// Lets the script, and the stream that it opens, through the policies of an injected page: of its
/// 304 too, whose fields replace those of the copy that is kept (RFC 9111 section 3.2). One that
/// trusts scripts by nonce alone (`'strict-dynamic'`) goes on to refuse it.
pub(super) fn open_policies(headers: &mut HeaderMap) {
    let tag = headers.get(header::ETAG).map(HeaderValue::as_bytes);
    if tag.is_some_and(|tag| tag.starts_with(TAG_START)) {
        policy::open(headers);
    }
}

/// Returns a page of the site with the script in it; `None` if it is no page, is streamed, or has
/// no place for a script.
///
/// `at` is the path that it is shown at: a page that is shown at another's learns whose it is.
pub(super) fn page(
    asset: &Asset,
    page: Option<&Page>,
    live: LivePage,
    at: Option<&str>,
) -> Option<Injected> {
    let content = asset
        .content
        .as_ref()
        .filter(|_| asset.kind == Kind::Page)?;
    let is_own = at.is_none_or(|at| {
        let directory = asset.path.directory();
        at == asset.path.as_str() || directory.is_some_and(|directory| directory.as_str() == at)
    });
    let file = (!is_own).then_some(&asset.path);
    inject(content, &version(asset, page), live, file)
}

/// Returns the page for what is not there, with the script in it: the site's own, or ours.
pub(super) fn not_found(asset: Option<&Asset>, live: LivePage) -> Option<Injected> {
    let Some(asset) = asset else {
        return inject(NOT_FOUND, &missing_version(None), live, None);
    };
    let content = asset
        .content
        .as_ref()
        .filter(|_| asset.kind == Kind::Page)?;
    inject(content, &missing_version(Some(asset)), live, None)
}

/// Returns what keeps a page from following edits, in words that follow its name.
pub(super) fn obstacle(asset: &Asset, injected: Option<&Injected>) -> Option<&'static str> {
    if asset.kind != Kind::Page {
        return None;
    }
    let Some(content) = &asset.content else {
        return Some("is too large to be held in memory, so no script can be put into it");
    };
    let unfit = injected.is_none().then_some("has no place for a script");
    insert::obstacle(content).or(unfit)
}

/// Returns what names a page and everything that it needs: an entity tag without its quotes.
pub(super) fn version(asset: &Asset, page: Option<&Page>) -> String {
    let tag = match page {
        Some(page) => page.plan.digest.tag(page.version(asset.content_hash)),
        // Its graph takes long: until it is known, only its own bytes count.
        None => return asset.content_hash.to_string(),
    };
    tag.trim_matches('"').to_owned()
}

/// Returns what names the page for what is not there. It differs from that of the same page asked
/// for by its name, so that a page that comes back is a change.
pub(super) fn missing_version(asset: Option<&Asset>) -> String {
    let content = asset.map_or_else(|| ContentHash::of(NOT_FOUND), |asset| asset.content_hash);
    format!("missing-{content}")
}

fn inject(
    document: &[u8],
    version: &str,
    live: LivePage,
    file: Option<&UrlPath>,
) -> Option<Injected> {
    let LivePage { cursor, script, .. } = live;
    let problem = live
        .problem
        .map_or_else(String::new, |before| format!(" data-problem=\"{before}\""));
    let console = if live.console {
        ""
    } else {
        " data-console=\"off\""
    };
    let file = file.map_or_else(String::new, |file| {
        format!(" data-file=\"{}\"", file.to_target().replace('&', "&amp;"))
    });
    // Nothing else in it needs to be escaped: hashes are base64, a cursor is numbers.
    let snippet = format!(
        "<script src=\"/.forerun/live.js?v={script}\" data-cursor=\"{cursor}\" \
         data-page=\"{version}\"{file}{problem}{console}></script>"
    );
    // Whether a problem stands follows from the cursor, and the console from the process, which has
    // an epoch of its own.
    let tag = format!("\"live-{version}~{cursor}~{script}\"");
    Some(Injected {
        document: insert::insert(document, snippet.as_bytes())?,
        tag: HeaderValue::try_from(tag).ok()?,
        added: snippet.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &str)], shown: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        assert_eq!(is_shown(&headers), shown, "{fields:?}");
    }

    #[test]
    fn what_is_shown_is_told_from_what_is_fetched() {
        let html = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
        for destination in ["document", "iframe", "frame"] {
            check(&[("sec-fetch-dest", destination)], true);
        }
        for destination in ["empty", "script", "image", "embed", "object", ""] {
            check(&[("sec-fetch-dest", destination), ("accept", html)], false);
        }
        check(&[("accept", html)], true);
        check(
            &[("accept", "image/png"), ("accept", " TEXT/HTML ;q=1")],
            true,
        );
        check(&[("accept", "*/*")], false);
        check(&[("accept", "text/htmlx, text/*")], false);
        check(&[], false);
    }

    #[test]
    fn only_an_injected_page_has_its_policy_opened() {
        for (tag, expected) in [
            ("\"live-a.b~1.2~c\"", "connect-src 'self'"),
            ("\"live-missing-a~1.2~c\"", "connect-src 'self'"),
            ("\"a.b\"", "connect-src 'none'"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ETAG, tag.parse().unwrap());
            let policy = HeaderValue::from_static("connect-src 'none'");
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            open_policies(&mut headers);
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], expected, "{tag}");
        }
    }
}
