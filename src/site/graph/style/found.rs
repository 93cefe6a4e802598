//! What was found so far on a page: what every client fetches, and what only some do.

use std::collections::BTreeSet;

use super::cascade::{Candidate, Source};
use super::fonts::{FaceId, Fetched};
use super::matching::Truth;
use super::{PageUse, Used};
use crate::site::links::css::RuleUrl;

/// URLs of `style` attributes that are kept for one page.
const ATTRIBUTE_URLS_MAX: usize = 1_000;

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) faces: BTreeSet<FaceId>,
    perhaps_faces: BTreeSet<FaceId>,
    /// Sheet, then rule and URL in it.
    urls: BTreeSet<(usize, usize, usize)>,
    perhaps_urls: BTreeSet<(usize, usize, usize)>,
    attributes: Vec<RuleUrl>,
}

impl Found {
    /// Notes the URLs of declarations of one property that may win.
    pub(super) fn urls(&mut self, candidates: &[Candidate<'_>], shown: Truth) {
        let certain = match candidates {
            [only] => only.truth == Truth::Yes && shown == Truth::Yes,
            _ => false,
        };
        for candidate in candidates {
            let urls = candidate.declaration.urls.clone();
            match candidate.source {
                Source::Rule(sheet, rule, all) => {
                    for number in urls {
                        let depends = all.get(number).is_none_or(|url| url.depends_on_client);
                        if certain && !depends {
                            self.urls.insert((sheet, rule, number));
                        } else {
                            self.perhaps_urls.insert((sheet, rule, number));
                        }
                    }
                }
                Source::Attribute(all) => {
                    for url in all.get(urls).unwrap_or_default() {
                        self.attribute(url, !certain);
                    }
                }
            }
        }
    }

    fn attribute(&mut self, url: &RuleUrl, depends: bool) {
        let depends_on_client = depends || url.depends_on_client;
        let known = self
            .attributes
            .iter()
            .position(|known| known.url == url.url);
        if let Some(known) = known {
            self.attributes[known].depends_on_client &= depends_on_client;
        } else if self.attributes.len() < ATTRIBUTE_URLS_MAX {
            self.attributes.push(RuleUrl {
                depends_on_client,
                ..url.clone()
            });
        }
    }

    /// Notes faces that only some clients fetch.
    pub(super) fn perhaps_faces<'f>(&mut self, all: impl IntoIterator<Item = &'f Fetched>) {
        for fetched in all {
            match fetched {
                Fetched::Face(face) => drop(self.perhaps_faces.insert(*face)),
                Fetched::Perhaps(faces) => self.perhaps_faces.extend(faces),
            }
        }
    }

    /// Sorts what was found by sheet. With `doubt`, nothing is certain.
    pub(super) fn into_use(mut self, sheets: usize, doubt: bool) -> PageUse {
        if doubt {
            self.perhaps_faces.append(&mut self.faces);
            self.perhaps_urls.append(&mut self.urls);
            for url in &mut self.attributes {
                url.depends_on_client = true;
            }
        }
        let mut page = PageUse {
            sheets: vec![Used::default(); sheets],
            attributes: self.attributes,
        };
        for (sheet, face) in self.perhaps_faces.difference(&self.faces) {
            page.sheets[*sheet].perhaps_faces.push(*face);
        }
        for (sheet, face) in &self.faces {
            page.sheets[*sheet].faces.push(*face);
        }
        for (sheet, rule, url) in self.perhaps_urls.difference(&self.urls) {
            page.sheets[*sheet].perhaps_urls.push((*rule, *url));
        }
        for (sheet, rule, url) in &self.urls {
            page.sheets[*sheet].urls.push((*rule, *url));
        }
        page
    }
}
