//! Which pages use a file, by what was really asked for: what no graph can know.
//!
//! For a page that says where its requests come from it is never too little. It may be too much:
//! what a page used once counts until the page itself changes. Knows nothing of requests.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::answer::requested::{Use, User};
use crate::site::UrlPath;

/// Pages and parts of pages that are remembered; those that asked for something last.
const USERS_MAX: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not 0");
/// Files of each that are remembered; those asked for last.
const USED_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not 0");

/// Who has asked for what.
#[derive(Debug)]
pub(super) struct Uses {
    users: LruCache<UrlPath, Used>,
}

#[derive(Debug)]
struct Used {
    is_page: bool,
    paths: LruCache<UrlPath, ()>,
}

impl Default for Uses {
    fn default() -> Self {
        Self {
            users: LruCache::new(USERS_MAX),
        }
    }
}

impl Uses {
    /// Notes that somebody has asked for a file.
    pub(super) fn note(&mut self, Use { by, path }: Use) {
        let (by, is_page) = match by {
            User::Page(by) => (by, true),
            User::Part(by) => (by, false),
        };
        let empty = || Used {
            is_page,
            paths: LruCache::new(USED_MAX),
        };
        let used = self.users.get_or_insert_mut(by, empty);
        used.is_page = is_page;
        used.paths.put(path, ());
    }

    /// Returns the pages that use any of some files, themselves or by what they use.
    pub(super) fn pages(&self, files: &[&UrlPath]) -> BTreeSet<UrlPath> {
        let mut wanted: HashSet<&UrlPath> = files.iter().copied().collect();
        let mut pages = BTreeSet::new();
        loop {
            let known = wanted.len();
            for (user, used) in &self.users {
                // A part that is wanted already needs no second look.
                let is_new = used.is_page || !wanted.contains(user);
                if is_new && wanted.iter().any(|&path| used.paths.contains(path)) {
                    if used.is_page {
                        pages.insert(user.clone());
                    } else {
                        wanted.insert(user);
                    }
                }
            }
            if wanted.len() == known {
                return pages;
            }
        }
    }

    /// Forgets what pages have used that are changed themselves: all that show them will ask anew.
    pub(super) fn forget(&mut self, files: &[&UrlPath]) {
        for &file in files {
            for user in file.directory().iter().chain([file]) {
                if self.users.peek(user).is_some_and(|used| used.is_page) {
                    self.users.pop(user);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> UrlPath {
        UrlPath::parse(text).unwrap()
    }

    fn page(by: &str, file: &str) -> Use {
        let (by, path) = (User::Page(path(by)), path(file));
        Use { by, path }
    }

    fn part(by: &str, file: &str) -> Use {
        let (by, path) = (User::Part(path(by)), path(file));
        Use { by, path }
    }

    #[track_caller]
    fn check(uses: &Uses, file: &str, expected: &[&str]) {
        let pages = uses.pages(&[&path(file)]);
        let pages: Vec<_> = pages.iter().map(UrlPath::as_str).collect();
        assert_eq!(pages, expected, "{file}");
    }

    #[test]
    fn a_file_is_used_by_pages_and_through_parts_of_them() {
        let mut uses = Uses::default();
        for noted in [
            page("/", "/a.js"),
            part("/a.js", "/b.js"),
            part("/b.js", "/a.js"),
            part("/b.js", "/data.json"),
            page("/other", "/data.json"),
            // What a page fetches is not what it uses in turn.
            page("/reader", "/other"),
        ] {
            uses.note(noted);
        }
        check(&uses, "/data.json", &["/", "/other"]);
        check(&uses, "/b.js", &["/"]);
        check(&uses, "/other", &["/reader"]);
        check(&uses, "/none", &[]);
    }

    #[test]
    fn a_page_that_changes_begins_anew() {
        let mut uses = Uses::default();
        uses.note(page("/docs/", "/a.json"));
        uses.note(part("/a.js", "/a.json"));
        uses.note(page("/x.html", "/a.js"));
        uses.forget(&[&path("/docs/index.html"), &path("/a.js")]);
        check(&uses, "/a.json", &["/x.html"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut uses = Uses::default();
        for index in 0..2 * USERS_MAX.get() {
            uses.note(page(&format!("/{index}"), "/a"));
        }
        assert_eq!(uses.pages(&[&path("/a")]).len(), USERS_MAX.get());
        for index in 0..2 * USED_MAX.get() {
            uses.note(page("/one", &format!("/{index}")));
        }
        check(&uses, "/0", &[]);
        let last = format!("/{}", 2 * USED_MAX.get() - 1);
        check(&uses, &last, &["/one"]);
    }
}
