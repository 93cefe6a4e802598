//! Paths and URLs of the site, in the one form in which they cannot leave its root.
//!
//! Knows nothing of the disk. Read on in `load`.

use std::borrow::Borrow;
use std::sync::Arc;

/// The path of a URL of this site, percent-decoded: absolute, UTF-8, without empty or dot segments,
/// NUL, backslashes or hidden names. `/` alone and a trailing slash name directories.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UrlPath(Arc<str>);

/// Why a request target is not a [`UrlPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not a path that any file could have: answered 400.
    #[error("malformed path")]
    Malformed,
    /// A well-formed path that is never served, such as a dotfile: answered 404.
    #[error("path is not served")]
    Hidden,
}

impl UrlPath {
    /// Returns the decoded path, starting with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for UrlPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A URL of this site as a browser asks for it: path and query, percent-encoded as the URL
/// Standard serialises them, beside the decoded path that names the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteUrl {
    target: Arc<str>,
    path: UrlPath,
}

impl SiteUrl {
    /// Returns path and query as they stand in `:path`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the decoded path, without the query.
    pub fn path(&self) -> &UrlPath {
        &self.path
    }
}
