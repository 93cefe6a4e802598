//! What a page names and nobody fetches.

/// Something that is not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The absolute URL.
    pub url: String,
    /// Why.
    pub reason: Reason,
}

/// Why something is not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is on another origin.
    OtherOrigin,
    /// `loading=lazy`.
    Lazy,
    /// Audio, video or text tracks.
    Media,
    /// An icon or a manifest.
    Late,
}
