//! Answers where no file is sent: elsewhere, nowhere, or not to this client.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::encoding::Accepted;
use super::file::{vary, vary_by_encoding};
use super::representation::Representations;
use super::{Answer, Body, LivePage, Moment, Options, author, entity_tag, injected, plain, route};
use crate::site::{Asset, Kind, Site};

/// Answers with where else to ask.
pub(super) fn redirect(status: StatusCode, location: HeaderValue, moment: &Moment) -> Answer {
    let mut answer = plain(status, moment);
    let headers = answer.head.headers_mut();
    headers.insert(header::LOCATION, location);
    // Directories come and go while a site is written; a stored redirect would outlive them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// Seconds after which who could not sign in is to try again.
const RETRY_AFTER: &str = "2";

/// Answers 401.
pub(super) fn sign_in(request: &Parts, moment: &Moment) -> Answer {
    let text = "401: sign in to read this site\n";
    let asked = (
        header::WWW_AUTHENTICATE,
        "Basic realm=\"forerun\", charset=\"UTF-8\"",
    );
    told(StatusCode::UNAUTHORIZED, text, asked, request, moment)
}

/// Answers 503 to who could not sign in, since too many do (RFC 9110 section 15.6.4).
pub(super) fn busy(request: &Parts, moment: &Moment) -> Answer {
    let text = "503: too many sign in; try again\n";
    let later = (header::RETRY_AFTER, RETRY_AFTER);
    told(
        StatusCode::SERVICE_UNAVAILABLE,
        text,
        later,
        request,
        moment,
    )
}

/// Answers with a line of text that nobody keeps, and a field.
fn told(
    status: StatusCode,
    text: &'static str,
    field: (header::HeaderName, &'static str),
    request: &Parts,
    moment: &Moment,
) -> Answer {
    let mut answer = plain(status, moment);
    if request.method != Method::HEAD {
        answer.body = Body::Memory(Bytes::from_static(text.as_bytes()));
    }
    let headers = answer.head.headers_mut();
    for (name, value) in [
        field,
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_LENGTH, text.len().into());
    answer
}

/// Answers 404 with the site's own page, or with a line of text.
pub(super) fn not_found(
    request: &Parts,
    site: &Site,
    page: Option<&Arc<Asset>>,
    options: Options,
    moment: &Moment,
) -> Answer {
    const TEXT: &str = "404: this site has no such file\n";
    let mut answer = plain(StatusCode::NOT_FOUND, moment);
    answer.body = page.map_or(Body::Memory(Bytes::from_static(TEXT.as_bytes())), Body::of);
    let media_type = page.map_or(HeaderValue::from_static("text/plain; charset=utf-8"), |p| {
        p.media_type.clone()
    });
    let headers = answer.head.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_LENGTH, answer.body.length().into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let accepted = Accepted::read(&request.headers);
    if let Some(page) = page {
        let forms = Representations::new(page, None, options, accepted);
        // Who takes no form of it is told as well that there is nothing.
        if let Some(form) = forms.select() {
            form.describe(headers);
            headers.remove(header::ETAG);
            answer.body = form.body;
        }
        answer.unencoded.extend(forms.wanted());
    }
    let path = route::decoded(request.uri.path());
    author(request, site, path.as_deref(), options, headers);
    if let Some(live) = options.live {
        await_file(request, page.map(Arc::as_ref), live, accepted, &mut answer);
    }
    if let Some(page) = page {
        vary_by_encoding(answer.head.headers_mut(), page);
    }
    answer
}

/// Makes a 404 one that is told when the file comes: it has a version to compare, and it is a page
/// wherever one is shown.
fn await_file(
    request: &Parts,
    page: Option<&Asset>,
    live: LivePage,
    accepted: Accepted,
    answer: &mut Answer,
) {
    let headers = answer.head.headers_mut();
    vary(headers, Kind::Page, Some(live));
    let version = injected::missing_version(page);
    headers.insert(header::ETAG, entity_tag(&format!("\"{version}\"")));
    let injected = injected::not_found(page, live).filter(|_| injected::is_shown(&request.headers));
    if let Some(injected) = injected {
        if page.is_none() {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, html);
        }
        let form = injected.form(accepted, page.is_some_and(Asset::is_negotiated));
        headers.remove(header::CONTENT_ENCODING);
        form.describe(headers);
        answer.body = form.body;
        answer.unencoded.clear();
    }
}
