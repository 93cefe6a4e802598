//! Request target to what stands there.
//!
//! ```text
//! a rule of _redirects that ends with !
//! the file; a directory's index.html, /docs/ for /docs if it has one; /about.html for /about;
//! /docs/ for /docs
//! another rule of _redirects
//! --listing, for a directory        --spa, for a navigation
//! /404.html
//! ```
//!
//! All that a route was decided by is in the snapshot, or is named, so that it can be looked up.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::policy::Policy;
use super::{Options, injected};
use crate::site::rules::redirects::To;
use crate::site::{Asset, BadPath, Entry, Listing, Site, SiteUrl, UrlPath};

/// The page for paths that are not there.
pub const NOT_FOUND_PAGE: &str = "/404.html";

/// What stands at a target.
#[derive(Debug)]
pub enum Route<'a> {
    /// A file.
    File(&'a Arc<Asset>),
    /// A file in the place of one that is not there, by a rule.
    Instead(StatusCode, &'a Arc<Asset>),
    /// The page of an application that knows by itself what to show.
    Application(&'a Arc<Asset>),
    /// Somewhere else: a directory without its slash, query kept, or what a rule says.
    Redirect(StatusCode, HeaderValue),
    /// A directory without a page.
    Listing(&'a Arc<Listing>),
    /// Not a path.
    Malformed,
    /// Nothing; with the site's own page for that, if it has one.
    NotFound(Option<&'a Arc<Asset>>),
    /// What the snapshot does not know yet.
    Unknown(Wanted),
}

impl<'a> Route<'a> {
    /// Returns the file that is sent as what is there; `None` if something else is answered.
    pub fn served(&self) -> Option<&'a Arc<Asset>> {
        match self {
            Self::File(asset) | Self::Application(asset) | Self::Instead(StatusCode::OK, asset) => {
                Some(asset)
            }
            _ => None,
        }
    }
}

/// What has to be looked up to tell what stands at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// What is at a path.
    Entry(UrlPath),
    /// What a directory holds.
    Listing(UrlPath),
}

/// What of a request decides where it leads.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The target.
    pub uri: &'a Uri,
    /// Whether the answer will be shown by itself.
    shown: Shown<'a>,
    /// What the server was told.
    policy: &'static Policy,
    /// What was looked up for it so far; `None` if that is all that it takes.
    looked_up: Option<&'a [UrlPath]>,
}

#[derive(Debug, Clone, Copy)]
enum Shown<'a> {
    /// It is known that it is.
    Yes,
    /// The request says it.
    Says(&'a Parts, Options),
}

impl<'a> Asked<'a> {
    /// Returns what a request asks for.
    pub fn by(request: &'a Parts, options: Options) -> Self {
        Self {
            uri: &request.uri,
            shown: Shown::Says(request, options),
            policy: options.policy,
            looked_up: None,
        }
    }

    /// Returns what is shown at a URL of this site.
    pub fn shown(uri: &'a Uri, options: Options) -> Self {
        Self {
            uri,
            shown: Shown::Yes,
            policy: options.policy,
            looked_up: None,
        }
    }

    /// Returns whether an application would answer if nothing else did, and this were a navigation:
    /// whatever has the name of a file is a file, or missing.
    pub fn may_be_application(&self) -> bool {
        let path = || UrlPath::parse(self.uri.path());
        self.policy.spa.is_some() && path().is_ok_and(|path| !path.name().contains('.'))
    }

    /// Returns what is at a path that something else leads to; `None` if that has to be looked up:
    /// what a snapshot has of it may be older than what was looked up for the request.
    fn led_to<'s>(&self, site: &'s Site, path: &UrlPath) -> Option<&'s Entry> {
        let is_looked_up = self.looked_up.is_none_or(|paths| paths.contains(path));
        site.entry(path.as_str()).filter(|_| is_looked_up)
    }

    /// Returns whether the answer is to be a page: never a script's business, nor what has the name
    /// of a file.
    fn is_navigation(&self, path: &UrlPath) -> bool {
        if path.name().contains('.') {
            return false;
        }
        match self.shown {
            Shown::Yes => true,
            Shown::Says(request, options) => may_be_navigation(request, options),
        }
    }
}

/// Returns what stands at a target, as far as the snapshot knows.
pub fn route<'a>(site: &'a Site, asked: Asked<'_>) -> Route<'a> {
    let raw = asked.uri.path();
    let redirects = site.redirects();
    // A target that needs no decoding is its own key.
    if redirects.none_is_forced()
        && !needs_decoding(raw)
        && let Some(Entry::File(asset)) = site.entry(raw)
    {
        return Route::File(asset);
    }
    let path = match UrlPath::parse(raw) {
        Ok(path) => path,
        Err(BadPath::Malformed) => return Route::Malformed,
        Err(BadPath::Hidden) => return not_found(site),
    };
    let query = asked.uri.query();
    if let Some(to) = redirects.forced(&path, query) {
        return lead(site, to, asked);
    }
    match site.entry(path.as_str()) {
        Some(Entry::Directory) if site.found(&path).is_none() => return with_slash(asked.uri),
        Some(_) => {}
        // A path that was never asked of the disk is not in the snapshot.
        None => return Route::Unknown(Wanted::Entry(path)),
    }
    if let Some(asset) = site.found(&path) {
        return Route::File(asset);
    }
    if let Some(to) = redirects.lead(&path, query) {
        return lead(site, to, asked);
    }
    if asked.policy.listing && path.is_directory() {
        match site.listing(&path) {
            None => return Route::Unknown(Wanted::Listing(path)),
            Some(Some(listing)) => return Route::Listing(listing),
            Some(None) => {}
        }
    }
    if let Some(application) = asked
        .policy
        .spa
        .as_ref()
        .filter(|_| asked.is_navigation(&path))
    {
        return match asked.led_to(site, application) {
            None => Route::Unknown(Wanted::Entry(application.clone())),
            Some(Entry::File(asset)) => Route::Application(asset),
            Some(_) => not_found(site),
        };
    }
    not_found(site)
}

/// Returns what has to be looked up before a request can be answered, after some paths were.
pub fn wanted<'a>(site: &Site, asked: Asked<'a>, looked_up: &'a [UrlPath]) -> Option<Wanted> {
    let asked = Asked {
        looked_up: Some(looked_up),
        ..asked
    };
    match route(site, asked) {
        Route::Unknown(wanted) => Some(wanted),
        _ => None,
    }
}

/// Returns whether all that the route of a request was decided by was looked up for the path that
/// it names.
pub fn is_direct(site: &Site, asked: Asked<'_>) -> bool {
    let policy = asked.policy;
    if site.redirects().is_empty() && policy.spa.is_none() && !policy.listing {
        return true;
    }
    matches!(
        route(site, asked),
        Route::File(_) | Route::Redirect(..) | Route::Malformed
    )
}

/// Returns whether a client is sent elsewhere whatever stands at its target, so that nobody has to
/// look. All else may have changed since somebody did.
pub fn is_sent_elsewhere(site: &Site, asked: Asked<'_>) -> bool {
    let redirects = site.redirects();
    if redirects.none_is_forced() {
        return false;
    }
    let forced = |path| redirects.forced(&path, asked.uri.query());
    let to = UrlPath::parse(asked.uri.path()).ok().and_then(forced);
    matches!(to, Some(To::Redirect(..)))
}

/// Returns the file behind a URL of this site.
pub fn asset<'a>(site: &'a Site, url: &SiteUrl) -> Option<&'a Arc<Asset>> {
    match site.entry(url.path().as_str()) {
        Some(Entry::File(asset)) => Some(asset),
        _ => None,
    }
}

/// Returns whether a rule answers for a URL that a page links to, with another file or by sending
/// the client elsewhere. Of what is there only the very file counts, which the page's plan was made
/// with: whether another answers for the name depends on who asked for it before.
pub fn is_answered_by_a_rule(site: &Site, url: &SiteUrl) -> bool {
    let (redirects, path) = (site.redirects(), url.path());
    let to = match asset(site, url) {
        Some(_) => redirects.forced(path, url.query()),
        None => redirects.lead(path, url.query()),
    };
    matches!(
        to,
        Some(To::Redirect(..) | To::File(StatusCode::OK, Some(_)))
    )
}

/// Returns the decoded path of a target.
pub fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    if !needs_decoding(raw) {
        return Some(Cow::Borrowed(raw));
    }
    let path = UrlPath::parse(raw).ok()?;
    Some(Cow::Owned(path.as_str().to_owned()))
}

/// Returns whether a raw path may differ from the decoded path that it names.
pub fn needs_decoding(raw: &str) -> bool {
    raw.contains('%')
}

/// Returns whether a request says that it is a navigation (Fetch Metadata, section 2.3).
pub(super) fn is_navigation(request: &Parts) -> bool {
    let mode = request.headers.get("sec-fetch-mode");
    mode.is_some_and(|mode| mode == "navigate")
}

/// Returns whether a request is one, as far as can be told of a client that does not say. The
/// script of an open page asks for that page again while it is edited.
fn may_be_navigation(request: &Parts, options: Options) -> bool {
    let says = request.headers.contains_key("sec-fetch-mode");
    let is_checked = options.live.is_some() && request.method == Method::HEAD;
    is_navigation(request) || (!says || is_checked) && injected::takes_html(&request.headers)
}

fn not_found(site: &Site) -> Route<'_> {
    match site.entry(NOT_FOUND_PAGE) {
        Some(Entry::File(page)) => Route::NotFound(Some(page)),
        _ => Route::NotFound(None),
    }
}

/// Sends a directory's visitor to where its page is. The path has been read, so it begins with one
/// slash alone, and stays on this host. What is not ASCII is percent-encoded.
fn with_slash<'a>(uri: &Uri) -> Route<'a> {
    let query = uri.query();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}/{query}", uri.path());
    let target = utf8_percent_encode(&target, CONTROLS).to_string();
    HeaderValue::try_from(target).map_or(Route::Malformed, |location| {
        Route::Redirect(StatusCode::PERMANENT_REDIRECT, location)
    })
}

/// Goes where a rule leads.
fn lead<'a>(site: &'a Site, to: To, asked: Asked<'_>) -> Route<'a> {
    let (status, path) = match to {
        To::Redirect(status, location) => return Route::Redirect(status, location),
        To::File(status, Some(path)) => (status, path),
        To::File(_, None) => (StatusCode::NOT_FOUND, UrlPath::not_found()),
    };
    let path = match asked.led_to(site, &path) {
        Some(Entry::Directory) if site.found(&path).is_none() => path.with_slash(),
        _ => path,
    };
    match asked.led_to(site, &path) {
        None => Route::Unknown(Wanted::Entry(path)),
        Some(_) => match site.found(&path) {
            Some(asset) => Route::Instead(status, asset),
            None => not_found(site),
        },
    }
}
