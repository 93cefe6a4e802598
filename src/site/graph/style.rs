//! Style rules against a page's outline: which URLs and which faces can be fetched.
//!
//! A pure function of parsed sheets and an [`Outline`].

use crate::site::links::css::StyleSheet;
use crate::site::links::html::Outline;

/// What of a sheet a page uses: indices into the sheet's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Indices of [`StyleSheet::faces`].
    pub faces: Vec<usize>,
    /// (index of the rule, index of the URL in it).
    pub urls: Vec<(usize, usize)>,
}

/// Returns, for each sheet of a page in cascade order, which faces and URLs the page uses.
pub fn used(_sheets: &[&StyleSheet], _outline: &Outline) -> Vec<Used> {
    Vec::new()
}
