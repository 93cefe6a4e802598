//! A `push.toml` that plans are written into: what else it says stays as it was.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::found::Sent;
use crate::measure::report;
use crate::site::UrlPath;
use crate::site::plan::Overrides;

/// A file with plans, in memory.
#[derive(Debug)]
pub(super) struct PushFile {
    path: PathBuf,
    document: DocumentMut,
    /// There is such a file already.
    pub(super) is_there: bool,
    is_changed: bool,
}

impl PushFile {
    /// Reads what there is, so that a file that could not be written is told before a search.
    ///
    /// # Errors
    /// The file is no `push.toml`, or there is no directory for it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let text = report::read_if_there(path)?;
        let named = || format!("cannot add plans to `{}`", path.display());
        if let Some(text) = &text {
            Overrides::parse(text)
                .map_err(anyhow::Error::msg)
                .with_context(named)?;
        }
        let folder = path.parent().filter(|parent| parent.as_os_str() != "");
        if folder.is_some_and(|folder| !folder.is_dir()) {
            let error = anyhow::anyhow!("there is no such directory");
            return Err(error.context(format!("cannot write `{}`", path.display())));
        }
        Ok(Self {
            path: path.to_owned(),
            is_there: text.is_some(),
            document: text.unwrap_or_default().parse().with_context(named)?,
            is_changed: false,
        })
    }

    /// Returns how it is named.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns how many pages it has plans of.
    pub(super) fn pages(&self) -> usize {
        self.document.len()
    }

    /// Sets the plan of a page; returns whether it had another.
    pub(super) fn put(&mut self, page: &UrlPath, plan: &[Sent]) -> bool {
        let key = key(page);
        // A page that is named by its file as well would keep that plan.
        let others = self.keys(page).into_iter().filter(|name| *name != key);
        let mut is_replaced = false;
        for other in others.collect::<Vec<_>>() {
            is_replaced |= self.document.remove(&other).is_some();
        }
        self.is_changed = true;
        let push = Item::Value(Value::Array(array(plan)));
        if let Some(item) = self.document.get_mut(&key) {
            item["push"] = push;
            return true;
        }
        let mut table = Table::new();
        table.insert("push", push);
        self.document.insert(&key, Item::Table(table));
        is_replaced
    }

    /// Takes out the plan of a page; returns whether there was one.
    pub(super) fn remove(&mut self, page: &UrlPath) -> bool {
        let keys = self.keys(page);
        for key in &keys {
            self.document.remove(key);
        }
        self.is_changed |= !keys.is_empty();
        !keys.is_empty()
    }

    /// Writes it, if a plan has changed; returns whether it was written.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, found_on: &str) -> anyhow::Result<bool> {
        if !self.is_changed {
            return Ok(false);
        }
        let text = self.text(found_on);
        report::save(&self.path, |file| file.write_all(text.as_bytes()))?;
        Ok(true)
    }

    fn text(&self, found_on: &str) -> String {
        let text = self.document.to_string();
        if self.is_there {
            return text;
        }
        // TOML takes no control characters in comments.
        let found_on: String = found_on.chars().filter(|c| !c.is_control()).collect();
        format!(
            "# Found by forerun measure --search on {found_on}\n\n{}",
            text.trim_start()
        )
    }

    /// Returns the names under which it has plans of a page: its file, or its directory.
    fn keys(&self, page: &UrlPath) -> Vec<String> {
        let is_page = |key: &str| {
            UrlPath::parse(key)
                .is_ok_and(|named| named == *page || named.directory().as_ref() == Some(page))
        };
        let keys = self.document.iter().map(|(key, _)| key);
        keys.filter(|key| is_page(key)).map(str::to_owned).collect()
    }
}

/// Returns a page as the file names it: as people write it, if it is read back like that.
fn key(page: &UrlPath) -> String {
    match UrlPath::parse(page.as_str()) {
        Ok(read) if read == *page => page.to_string(),
        _ => page.to_target(),
    }
}

fn array(plan: &[Sent]) -> Array {
    let mut array: Array = plan.iter().map(|sent| sent.url.as_str()).collect();
    if plan.is_empty() {
        return array;
    }
    for value in array.iter_mut() {
        value.decor_mut().set_prefix("\n    ");
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str) -> UrlPath {
        UrlPath::parse(path).unwrap()
    }

    fn sent(urls: &[&str]) -> Vec<Sent> {
        let sent = |url: &&str| Sent {
            url: (*url).to_owned(),
            bytes: 1,
        };
        urls.iter().map(sent).collect()
    }

    fn paths(urls: &[&str]) -> Vec<UrlPath> {
        let path = |url: &&str| UrlPath::parse(url.split('?').next().unwrap()).unwrap();
        urls.iter().map(path).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push.toml");
        let pages: [(&str, &[&str]); 4] = [
            (
                "/",
                &["/a.css?v=\"2\"", "/b'ild%20.png", "/schrift-é.woff2"],
            ),
            ("/docs/a\"b.html", &["/a.css"]),
            ("/100%25.html", &["/a.css"]),
            ("/none/", &[]),
        ];
        let mut file = PushFile::open(&path).unwrap();
        for (name, urls) in pages {
            assert!(!file.put(&page(name), &sent(urls)));
        }
        assert!(file.write("slow-4g\u{7}\n3g").unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        let overrides = Overrides::parse(&text).unwrap();
        for (name, urls) in pages {
            assert_eq!(
                overrides.paths(&page(name)),
                paths(urls),
                "{name} in\n{text}"
            );
        }
        // What says the same is written the same.
        let mut again = PushFile::open(&path).unwrap();
        for (name, urls) in pages {
            assert!(again.put(&page(name), &sent(urls)));
        }
        again.write("other links").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn the_file_is_read_by_people() {
        let mut file = PushFile::open(Path::new("push.toml")).unwrap();
        file.put(&page("/"), &sent(&["/style.css", "/font.woff2"]));
        file.put(&page("/about.html"), &[]);
        insta::assert_snapshot!(file.text("slow-4g"), @r#"
        # Found by forerun measure --search on slow-4g

        ["/"]
        push = [
            "/style.css",
            "/font.woff2",
        ]

        ["/about.html"]
        push = []
        "#);
    }

    #[test]
    fn plans_of_other_pages_stay_with_their_comments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push.toml");
        let before = concat!(
            "# By hand.\n\n# The shop is special.\n",
            "[\"/shop.html\"]\npush = [\"/s.css\"] # one\n\n",
            "[\"/docs/index.html\"]\npush = []\n",
        );
        std::fs::write(&path, before).unwrap();
        let mut file = PushFile::open(&path).unwrap();
        assert!(file.is_there);
        assert!(!file.write("fibre").unwrap());
        assert!(file.put(&page("/docs/"), &sent(&["/d.css"])));
        assert!(!file.remove(&page("/nothing.html")));
        file.write("fibre").unwrap();
        insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @r#"
        # By hand.

        # The shop is special.
        ["/shop.html"]
        push = ["/s.css"] # one

        ["/docs/"]
        push = [
            "/d.css",
        ]
        "#);
        assert!(file.remove(&page("/docs/")) && file.remove(&page("/shop.html")));
        assert_eq!(file.pages(), 0);
    }

    #[test]
    fn what_is_no_push_toml_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push.toml");
        std::fs::write(&path, "[\"/\"]\npusch = []\n").unwrap();
        let error = format!("{:#}", PushFile::open(&path).unwrap_err());
        assert!(
            error.contains("cannot add plans to `") && error.contains("pusch"),
            "{error}"
        );
        let nowhere = folder.path().join("no/push.toml");
        let error = format!("{:#}", PushFile::open(&nowhere).unwrap_err());
        assert!(error.contains("no such directory"), "{error}");
    }
}
