//! Who asks: what requests tell of files that a page uses and that no link in it names, such as
//! what a script fetches. Asked while a site is edited, so that those pages follow such files too.

use http::request::Parts;
use http::{Method, Uri, header};

use super::route::{self, Asked, Route};
use super::{Options, injected};
use crate::site::{Kind, Site, UrlPath};

/// A file was asked for by something of its own site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Who asked.
    pub by: User,
    /// The file; there may be none.
    pub path: UrlPath,
}

/// Who asks for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// A page, by the path at which it was opened.
    Page(UrlPath),
    /// A style sheet or a script: on behalf of whoever uses that.
    Part(UrlPath),
}

/// Returns what a request tells of who uses a file; `None` if its `Referer` names nobody of this
/// origin, or it leads elsewhere: to a page that is shown by itself, or one that may be later.
pub(super) fn used(request: &Parts, site: &Site, options: Options) -> Option<Use> {
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    let is_ahead = request.headers.contains_key("sec-purpose");
    if !is_read || is_ahead || injected::is_shown(&request.headers) {
        return None;
    }
    let referrer = referrer(request)?;
    let by = UrlPath::parse(referrer.path()).ok()?;
    let path = UrlPath::parse(request.uri.path()).ok()?.file();
    let by = match route::route(site, Asked::shown(&referrer, options)) {
        Route::File(asset) if matches!(asset.kind, Kind::StyleSheet | Kind::Script) => {
            User::Part(by)
        }
        _ => User::Page(by),
    };
    Some(Use { by, path })
}

/// Returns the URL of this origin that a request comes from (RFC 9110 section 10.1.3).
pub(super) fn referrer(request: &Parts) -> Option<Uri> {
    let referrer = request.headers.get(header::REFERER)?.to_str().ok()?;
    let referrer: Uri = referrer.parse().ok()?;
    let host = request
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| request.headers.get(header::HOST)?.to_str().ok())?;
    let is_own = referrer.scheme_str() == Some("https")
        && referrer
            .authority()
            .is_some_and(|authority| authority.as_str() == host);
    is_own.then_some(referrer)
}
