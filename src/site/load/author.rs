//! The files by which an author speaks to the server: `push.toml`, `_headers` and `_redirects`.
//! They are read at the start and whenever they differ, and never served. A bad one changes
//! nothing: the last good one stays in force, and it is said.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::SiteError;
use super::disk::{Disk, Found};
use super::loader::{Loader, lock};
use super::refresh::Instructions;
use crate::site::plan::Overrides;
use crate::site::rules::{HeaderRules, Redirects};
use crate::site::{Site, UrlPath};

/// Largest of these files, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// Which of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    PushToml,
    Headers,
    Redirects,
}

const NAMES: [Name; 3] = [Name::PushToml, Name::Headers, Name::Redirects];

/// The files as they were last read.
#[derive(Debug)]
pub(super) struct AuthorFiles {
    files: [AuthorFile; 3],
    /// What [`Loader::author_news`] last told.
    told: Told,
}

/// One file as it was last read.
#[derive(Debug)]
struct AuthorFile {
    name: Name,
    text: Option<String>,
    /// What is wrong with it.
    fault: Option<String>,
    /// Whether that is that it could not be read.
    is_unreadable: bool,
}

/// What is in force.
#[derive(Debug, Clone)]
struct Told {
    overrides: Arc<Overrides>,
    headers: Arc<HeaderRules>,
    redirects: Arc<Redirects>,
}

/// What a file says.
enum Said {
    Overrides(Overrides),
    Headers(HeaderRules),
    Redirects(Redirects),
}

impl AuthorFiles {
    /// Reads the files for the first time, into a snapshot.
    pub(super) fn open(disk: &Disk, root: &Path, site: &mut Site) -> Result<Self, SiteError> {
        let mut open = |name: Name| {
            let bad = |reason| SiteError::Author {
                path: root.join(name.path().relative()),
                reason,
            };
            let text = name.read(disk).map_err(bad)?;
            name.parse(text.as_deref()).map_err(bad)?.put(site);
            Ok(AuthorFile {
                name,
                text,
                fault: None,
                is_unreadable: false,
            })
        };
        let files = [open(NAMES[0])?, open(NAMES[1])?, open(NAMES[2])?];
        Ok(Self {
            files,
            told: Told::of(site),
        })
    }
}

impl Loader {
    /// Returns what became of the author's files since this was last asked.
    pub(super) fn author_news(&self) -> Instructions {
        self.refresh_author();
        let mut author = lock(&self.author);
        let now = Told::of(&self.site.load());
        let before = std::mem::replace(&mut author.told, now.clone());
        let answers_differ = !Arc::ptr_eq(&now.headers, &before.headers)
            || !Arc::ptr_eq(&now.redirects, &before.redirects);
        let fault = |file: &AuthorFile| Some((file.name.to_string(), file.fault.clone()?));
        Instructions {
            differ: answers_differ || !Arc::ptr_eq(&now.overrides, &before.overrides),
            answers_differ,
            bad: author.files.iter().filter_map(fault).collect(),
        }
    }

    /// Replaces what `push.toml` says.
    pub(super) fn put_overrides(&self, overrides: Overrides) {
        self.derive(|site, _| site.put_overrides(Arc::new(overrides)));
    }

    /// Reads the files again, unless that was done less than an interval ago. A bad one is said
    /// once: by whoever asks for news, if anybody does.
    pub(super) fn refresh_author(&self) {
        if self.author_read.is_fresh(self.now_ms()) {
            return;
        }
        let mut author = lock(&self.author);
        let now_ms = self.now_ms();
        // Whoever had the lock before may have done it.
        if self.author_read.is_fresh(now_ms) {
            return;
        }
        for file in &mut author.files {
            self.refresh_file(file);
        }
        self.author_read.renew(now_ms);
    }

    fn refresh_file(&self, file: &mut AuthorFile) {
        let text = match file.name.read(&self.disk) {
            Ok(text) => text,
            // The text stays, so that the same one counts as known when it comes back.
            Err(reason) => {
                if file.fault.as_ref() != Some(&reason) {
                    self.warn_of(file.name, &reason);
                }
                (file.fault, file.is_unreadable) = (Some(reason), true);
                return;
            }
        };
        let was_unreadable = std::mem::take(&mut file.is_unreadable);
        if text == file.text && !was_unreadable {
            return;
        }
        match file.name.parse(text.as_deref()) {
            Ok(_) if text == file.text => file.fault = None,
            Ok(said) => {
                file.fault = None;
                self.derive(|site, _| said.put(site));
            }
            Err(reason) => {
                self.warn_of(file.name, &reason);
                file.fault = Some(reason);
            }
        }
        file.text = text;
    }

    fn warn_of(&self, name: Name, reason: &str) {
        if !lock(&self.notes).are_wanted() {
            tracing::warn!("{name} is not used, the last good one is: {reason}");
        }
    }
}

impl Name {
    fn path(self) -> UrlPath {
        match self {
            Self::PushToml => UrlPath::overrides(),
            Self::Headers => UrlPath::headers(),
            Self::Redirects => UrlPath::redirects(),
        }
    }

    fn read(self, disk: &Disk) -> Result<Option<String>, String> {
        let asset = match disk.read(&self.path(), BYTES_MAX) {
            Ok(Found::File(asset)) => asset,
            Ok(Found::Directory | Found::Missing) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let content = asset.content.ok_or_else(|| {
            format!("it is larger than {BYTES_MAX} bytes, or changes all the time")
        })?;
        let text = std::str::from_utf8(&content);
        let text = text.map_err(|error| format!("it is not text: {error}"))?;
        Ok(Some(text.to_owned()))
    }

    fn parse(self, text: Option<&str>) -> Result<Said, String> {
        let text = text.unwrap_or_default();
        Ok(match self {
            Self::PushToml => Said::Overrides(Overrides::parse(text)?),
            Self::Headers => Said::Headers(HeaderRules::parse(text)?),
            Self::Redirects => Said::Redirects(Redirects::parse(text)?),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().relative())
    }
}

impl Said {
    fn put(self, site: &mut Site) {
        match self {
            Self::Overrides(overrides) => site.put_overrides(Arc::new(overrides)),
            Self::Headers(headers) => site.put_headers(Arc::new(headers)),
            Self::Redirects(redirects) => site.put_redirects(Arc::new(redirects)),
        }
    }
}

impl Told {
    fn of(site: &Site) -> Self {
        Self {
            overrides: Arc::clone(&site.overrides),
            headers: Arc::clone(&site.headers),
            redirects: Arc::clone(&site.redirects),
        }
    }
}
