//! Style rules against a page's outline: which URLs and which faces are fetched.
//!
//! A pure function of parsed sheets and an [`Outline`]. It never says that something is fetched
//! when a browser may not fetch it; what depends on the client is told apart. Read on in [`page`]
//! (the walk over the elements), [`tree`], [`matching`], [`cascade`], [`variables`] and [`fonts`].

mod cascade;
mod fonts;
mod found;
mod layers;
mod matching;
mod page;
mod tree;
mod variables;

use crate::site::links::css::{RuleUrl, StyleSheet};
use crate::site::links::html::Outline;

/// What of a sheet a page uses: indices into the sheet's lists, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Indices of [`StyleSheet::faces`] that every client fetches.
    pub faces: Vec<usize>,
    /// (index of the rule, index of the URL in it) that every client fetches.
    pub urls: Vec<(usize, usize)>,
    /// Faces that some clients fetch: a condition decides, or a selector that needs the client.
    pub perhaps_faces: Vec<usize>,
    /// URLs that some clients fetch.
    pub perhaps_urls: Vec<(usize, usize)>,
}

/// What a page uses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageUse {
    /// Of each sheet, in the order given.
    pub sheets: Vec<Used>,
    /// URLs of `style` attributes that are fetched, in document order, each once;
    /// [`RuleUrl::depends_on_client`] tells those that only some clients fetch.
    pub attributes: Vec<RuleUrl>,
}

/// A sheet as it takes part in the cascade of a page.
#[derive(Debug, Clone, Copy)]
pub struct Cascaded<'p> {
    /// The sheet.
    pub sheet: &'p StyleSheet,
    /// Whether it depends on the client if the sheet applies: its `media`, or that of an import on
    /// the way to it.
    pub depends_on_client: bool,
    /// The cascade layer that it is imported into, if any; layers in layers with dots.
    pub layer: Option<&'p str>,
}

impl<'p> From<&'p StyleSheet> for Cascaded<'p> {
    fn from(sheet: &'p StyleSheet) -> Self {
        Self {
            sheet,
            depends_on_client: false,
            layer: None,
        }
    }
}

/// Returns, for each sheet of a page in cascade order (an imported sheet before the one that
/// imports it), which faces and URLs the page uses. Takes sheets as they are, or as [`Cascaded`].
pub fn used<'p, S: Into<Cascaded<'p>> + Copy>(sheets: &[S], outline: &'p Outline) -> Vec<Used> {
    used_by_page(sheets, outline).sheets
}

/// Returns what a page uses of its sheets, in cascade order, and of its `style` attributes.
pub fn used_by_page<'p, S: Into<Cascaded<'p>> + Copy>(
    sheets: &[S],
    outline: &'p Outline,
) -> PageUse {
    let sheets: Vec<_> = sheets.iter().map(|sheet| (*sheet).into()).collect();
    page::used(&sheets, outline)
}

#[cfg(test)]
mod tests;
