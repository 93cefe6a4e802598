//! Request target to what stands there.

use std::sync::Arc;

use http::{HeaderValue, Uri};

use crate::site::{Asset, BadPath, Entry, Site, SiteUrl, UrlPath};

/// The page for paths that are not there.
pub const NOT_FOUND_PAGE: &str = "/404.html";

/// What stands at a target.
#[derive(Debug)]
pub enum Route<'a> {
    /// A file.
    File(&'a Arc<Asset>),
    /// A directory without its slash: where it really is, query kept.
    Redirect(HeaderValue),
    /// Not a path.
    Malformed,
    /// Nothing; with the site's own page for that, if it has one.
    NotFound(Option<&'a Arc<Asset>>),
}

/// Returns what stands at a target, as far as the snapshot knows.
pub fn route<'a>(site: &'a Site, uri: &Uri) -> Route<'a> {
    let not_found = || match site.entry(NOT_FOUND_PAGE) {
        Some(Entry::File(page)) => Route::NotFound(Some(page)),
        _ => Route::NotFound(None),
    };
    let raw = uri.path();
    // A target that needs no decoding is its own key.
    let entry = if needs_decoding(raw) {
        match UrlPath::parse(raw) {
            Ok(path) => site.entry(path.as_str()),
            Err(BadPath::Malformed) => return Route::Malformed,
            Err(BadPath::Hidden) => return not_found(),
        }
    } else {
        site.entry(raw)
    };
    match entry {
        Some(Entry::File(asset)) => Route::File(asset),
        Some(Entry::Directory) => {
            let query = uri
                .query()
                .map(|query| format!("?{query}"))
                .unwrap_or_default();
            HeaderValue::try_from(format!("{raw}/{query}"))
                .map_or(Route::Malformed, Route::Redirect)
        }
        Some(Entry::Missing) => not_found(),
        // A path that was never asked of the disk is not in the snapshot; a malformed one never is.
        None => match UrlPath::parse(raw) {
            Err(BadPath::Malformed) => Route::Malformed,
            _ => not_found(),
        },
    }
}

/// Returns the file behind a URL of this site.
pub fn asset<'a>(site: &'a Site, url: &SiteUrl) -> Option<&'a Arc<Asset>> {
    match site.entry(url.path().as_str()) {
        Some(Entry::File(asset)) => Some(asset),
        _ => None,
    }
}

/// Returns whether a raw path may differ from the decoded path that it names.
pub fn needs_decoding(raw: &str) -> bool {
    raw.contains('%')
}
