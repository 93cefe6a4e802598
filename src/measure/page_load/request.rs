//! Requests as a browser makes them: which headers a navigation and each kind of subresource carry
//! (Fetch, sections 2.2.5 and 4.6; Fetch Metadata), and what a client says of itself on HTTP/2.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri, Version};
use url::Url;

use super::Client;
use super::LoadOptions;
use super::cache::Stored;
use super::wants::Want;
use crate::measure::timeline::Kind;
use crate::site::links::html::Crossorigin;

/// `SETTINGS_INITIAL_WINDOW_SIZE` of Chromium.
const STREAM_WINDOW: u32 = 6 << 20;
/// The connection's window of Chromium.
const CONNECTION_WINDOW: u32 = 15 << 20;
/// `SETTINGS_HEADER_TABLE_SIZE` of Chromium.
const HEADER_TABLE: u32 = 64 << 10;
/// Pushed streams at once, of Chromium.
const PUSHES_AT_ONCE: u32 = 1000;
/// Requests at once before the server has said how many it takes, of Chromium.
const REQUESTS_FIRST: usize = 100;

const ACCEPT_DOCUMENT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
                               image/webp,image/apng,*/*;q=0.8";
const ACCEPT_IMAGE: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";

/// Returns the settings with which a client greets.
pub(in crate::measure) fn greeting(options: &LoadOptions) -> h2::client::Builder {
    let takes_pushes = options.client.takes_pushes() && !options.refuses_pushes;
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(takes_pushes)
        .header_table_size(HEADER_TABLE)
        .initial_max_send_streams(REQUESTS_FIRST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(options.limits.head_bytes);
    if takes_pushes {
        builder.max_concurrent_streams(PUSHES_AT_ONCE);
    }
    builder
}

/// Returns the request for a want, conditional if something is `stored`. `referrer` is the document
/// that wants it, none for a navigation. `None` if the URL cannot be asked for.
pub(super) fn request(
    client: Client,
    want: &Want,
    referrer: Option<&Url>,
    stored: Option<&Stored>,
) -> Option<Request<()>> {
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::builder()
        .scheme(want.url.scheme())
        .authority(want.url.authority())
        .path_and_query(&want.url[url::Position::BeforePath..url::Position::AfterQuery])
        .build()
        .ok()?;
    let headers = request.headers_mut();
    let navigates = want.kind == Kind::Document;
    if navigates {
        put(headers, "upgrade-insecure-requests", "1");
    }
    put(headers, "user-agent", client.user_agent());
    put(headers, "accept", accept(want.kind));
    put(
        headers,
        "sec-fetch-site",
        if navigates { "none" } else { "same-origin" },
    );
    put(headers, "sec-fetch-mode", mode(want));
    if navigates {
        put(headers, "sec-fetch-user", "?1");
    }
    put(headers, "sec-fetch-dest", destination(want.kind));
    put(headers, "accept-encoding", client.encodings());
    put(headers, "accept-language", "en");
    if let Some(referrer) = referrer {
        add(
            headers,
            header::REFERER,
            &referrer[..url::Position::AfterQuery],
        );
        if want.crossorigin.is_some() {
            add(
                headers,
                header::ORIGIN,
                &referrer.origin().ascii_serialization(),
            );
        }
    }
    if client == Client::Current {
        add(
            headers,
            HeaderName::from_static("priority"),
            &priority(want),
        );
    }
    if let Some((name, value)) = stored.and_then(Stored::condition) {
        headers.insert(name, value.clone());
    }
    Some(request)
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// Adds a header unless it is empty, or is none.
fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Some(value) = HeaderValue::from_str(value)
        .ok()
        .filter(|value| !value.is_empty())
    {
        headers.insert(name, value);
    }
}

fn accept(kind: Kind) -> &'static str {
    match kind {
        Kind::Document => ACCEPT_DOCUMENT,
        Kind::Style => "text/css,*/*;q=0.1",
        Kind::Image => ACCEPT_IMAGE,
        _ => "*/*",
    }
}

fn mode(want: &Want) -> &'static str {
    match (want.kind, want.crossorigin) {
        (Kind::Document, _) => "navigate",
        (_, Some(Crossorigin::Anonymous | Crossorigin::UseCredentials)) => "cors",
        (_, None) => "no-cors",
    }
}

fn destination(kind: Kind) -> &'static str {
    match kind {
        Kind::Document => "document",
        Kind::Style => "style",
        Kind::Script | Kind::Module => "script",
        Kind::Font => "font",
        Kind::Image => "image",
        Kind::Media => "video",
        Kind::Other => "empty",
    }
}

/// Returns a `priority` field value without what is the default (RFC 9218 section 4).
fn priority(want: &Want) -> String {
    let urgency = want.urgency.min(7);
    let urgency = (urgency != 3).then(|| format!("u={urgency}"));
    let incremental = want.incremental.then(|| "i".to_owned());
    let members: Vec<_> = urgency.into_iter().chain(incremental).collect();
    members.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::cache::{Cache, Held};
    use super::super::wants::WantId;
    use super::*;

    fn want(kind: Kind, crossorigin: Option<Crossorigin>) -> Want {
        Want {
            id: WantId(1),
            url: Url::parse("https://localhost/a?b=c#d").unwrap(),
            kind,
            crossorigin,
            initiator: None,
            blocks_render: false,
            urgency: 2,
            incremental: true,
            preload: false,
        }
    }

    fn lines(request: &Request<()>) -> String {
        let mut lines = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            let value = value.to_str().unwrap();
            writeln!(lines, "{name}: {}", value.replace("q=0.9,", "q=0.9,\n  ")).unwrap();
        }
        lines
    }

    #[test]
    fn a_navigation_says_that_it_is_one() {
        let mut cache = Cache::default();
        let want = want(Kind::Document, None);
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"1\""));
        cache.store(&want.url, 200, &headers, &[]);
        let Held::Stale(stored) = cache.find(&want.url) else {
            panic!("a tag alone is to be validated");
        };
        let request = request(Client::Chromium103, &want, None, Some(&stored)).unwrap();
        insta::assert_snapshot!(lines(&request), @r#"
        GET https://localhost/a?b=c
        upgrade-insecure-requests: 1
        user-agent: forerun-measure (Chromium 103)
        accept: text/html,application/xhtml+xml,application/xml;q=0.9,
          image/avif,image/webp,image/apng,*/*;q=0.8
        sec-fetch-site: none
        sec-fetch-mode: navigate
        sec-fetch-user: ?1
        sec-fetch-dest: document
        accept-encoding: gzip, deflate, br
        accept-language: en
        if-none-match: "1"
        "#);
    }

    #[test]
    fn a_subresource_says_what_it_is_for() {
        let page = Url::parse("https://localhost/page#top").unwrap();
        let font = want(Kind::Font, Some(Crossorigin::Anonymous));
        let request = request(Client::Current, &font, Some(&page), None).unwrap();
        insta::assert_snapshot!(lines(&request), @"
        GET https://localhost/a?b=c
        user-agent: forerun-measure
        accept: */*
        sec-fetch-site: same-origin
        sec-fetch-mode: cors
        sec-fetch-dest: font
        accept-encoding: gzip, deflate, br, zstd
        accept-language: en
        referer: https://localhost/page
        origin: https://localhost
        priority: u=2, i
        ");
    }

    #[test]
    fn defaults_of_priority_are_not_said() {
        let mut want = want(Kind::Image, None);
        want.urgency = 3;
        assert_eq!(priority(&want), "i");
        want.incremental = false;
        assert_eq!(priority(&want), "");
    }
}
