//! Graph to plan: what of a page's needs is worth sending ahead, in which order, and why the rest
//! is not; and the digest that tells later what a client was given.
//!
//! A function of the snapshot and the server's options, never of a client.

use super::graph::Graph;
use super::{Site, UrlPath};

/// Which subresources are worth sending ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Push {
    /// What blocks the first render, and what hides behind it.
    #[default]
    Critical,
    /// Everything that every client fetches.
    All,
    /// Nothing.
    None,
}

/// What is sent ahead with a page.
#[derive(Debug, Default)]
pub struct Plan {}

/// The content of `push.toml`: pages whose plan is given by hand.
#[derive(Debug, Clone, Default)]
pub struct Overrides {}

impl Overrides {
    /// Reads the text of a `push.toml`.
    ///
    /// # Errors
    /// A sentence that names the line and what is wrong.
    pub fn parse(_text: &str) -> Result<Self, String> {
        Ok(Self::default())
    }

    /// Returns the paths of this site that the override of a page names; empty if there is none.
    pub fn paths(&self, _page: &UrlPath) -> Vec<UrlPath> {
        Vec::new()
    }
}

/// Returns the plan of a page. Everything that `graph` and `overrides` name must be in `site`.
pub fn plan(
    _site: &Site,
    _page: &UrlPath,
    _graph: &Graph,
    _overrides: &Overrides,
    _push: Push,
) -> Plan {
    Plan::default()
}
