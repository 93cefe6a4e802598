//! Import maps: which URL a module's specifier stands for (HTML, section 8.1.6).
//!
//! Knows nothing of which files exist.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

/// A parsed import map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportMap {
    imports: SpecifierMap,
    scopes: BTreeMap<String, SpecifierMap>,
}

/// Normalised specifiers and where they lead; `None` blocks a specifier.
type SpecifierMap = BTreeMap<String, Option<Url>>;

impl ImportMap {
    /// Reads the text of a `<script type=importmap>` whose document has the base URL `base`; `None`
    /// where a browser reports an error and goes on without the map.
    pub fn parse(text: &str, base: &Url) -> Option<Self> {
        let Value::Object(top) = serde_json::from_str(text).ok()? else {
            return None;
        };
        let imports = match top.get("imports") {
            Some(imports) => specifier_map(imports.as_object()?, base),
            None => SpecifierMap::new(),
        };
        let mut scopes = BTreeMap::new();
        if let Some(written) = top.get("scopes") {
            for (prefix, imports) in written.as_object()? {
                let imports = imports.as_object()?;
                if let Ok(prefix) = base.join(prefix) {
                    scopes.insert(prefix.into(), specifier_map(imports, base));
                }
            }
        }
        Some(Self { imports, scopes })
    }

    /// Returns what a specifier means in the module at `importer`: "resolve a module specifier"
    /// (HTML, section 8.1.5.2). `None` where that throws: a bare specifier that nothing maps, or a
    /// blocked one.
    pub fn resolve(&self, specifier: &str, importer: &Url) -> Option<Url> {
        let url = url_like(specifier, importer);
        let normalised = url.as_ref().map_or(specifier, Url::as_str);
        // In descending order the longer of two prefixes comes first.
        let scopes = self.scopes.iter().rev().filter(|(prefix, _)| {
            importer.as_str() == prefix.as_str()
                || prefix.ends_with('/') && importer.as_str().starts_with(prefix.as_str())
        });
        for imports in scopes.map(|(_, imports)| imports).chain([&self.imports]) {
            match look_up(imports, normalised, url.as_ref()) {
                Match::Url(url) => return Some(url),
                Match::Blocked => return None,
                Match::None => {}
            }
        }
        url
    }
}

enum Match {
    Url(Url),
    Blocked,
    None,
}

/// "Resolve an imports match".
fn look_up(imports: &SpecifierMap, normalised: &str, url: Option<&Url>) -> Match {
    let blocked_or = |found: Option<Url>| found.map_or(Match::Blocked, Match::Url);
    if let Some(address) = imports.get(normalised) {
        return blocked_or(address.clone());
    }
    if url.is_some_and(|url| !is_special(url)) {
        return Match::None;
    }
    for (key, address) in imports.iter().rev() {
        if !key.ends_with('/') {
            continue;
        }
        if let Some(rest) = normalised.strip_prefix(key.as_str()) {
            // What climbs out of the prefix with `..` is blocked too.
            return blocked_or(address.as_ref().and_then(|address| {
                let url = address.join(rest).ok()?;
                url.as_str().starts_with(address.as_str()).then_some(url)
            }));
        }
    }
    Match::None
}

/// "Sort and normalize a module specifier map".
fn specifier_map(written: &Map<String, Value>, base: &Url) -> SpecifierMap {
    let mut imports = SpecifierMap::new();
    for (key, address) in written {
        if key.is_empty() {
            continue;
        }
        let normalised = url_like(key, base).map_or_else(|| key.clone(), String::from);
        let address = address
            .as_str()
            .and_then(|address| url_like(address, base))
            .filter(|address| !key.ends_with('/') || address.as_str().ends_with('/'));
        imports.insert(normalised, address);
    }
    imports
}

/// "Resolve a URL-like module specifier".
fn url_like(specifier: &str, base: &Url) -> Option<Url> {
    if ["/", "./", "../"]
        .iter()
        .any(|start| specifier.starts_with(start))
    {
        base.join(specifier).ok()
    } else {
        Url::parse(specifier).ok()
    }
}

/// Whether a URL has a scheme whose paths are hierarchical (URL, section 4.2).
fn is_special(url: &Url) -> bool {
    matches!(
        url.scheme(),
        "http" | "https" | "ws" | "wss" | "ftp" | "file"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAP: &str = r#"{
        "imports": {
            "vue": "/lib/vue.js",
            "lit/": "/lib/lit/",
            "lit/deep/": "/deep/",
            "lit/exact.js": "/exact.js",
            "blocked": null,
            "bad/": "/no-slash",
            "bare-address": "lib/x.js",
            "/app/old.js": "/app/new.js",
            "https://cdn.example/": "/cdn/",
            "": "/empty.js"
        },
        "scopes": {
            "/admin/": { "vue": "/admin/vue.js", "own": "/admin/own.js" },
            "/admin/old/": { "vue": "/admin/old/vue.js", "blocked": "/unblocked.js" },
            "/one.js": { "vue": "/one/vue.js" }
        }
    }"#;

    #[test]
    fn specifiers_resolve_as_html_says() {
        let base = Url::parse("https://site.invalid/page.html").unwrap();
        let map = ImportMap::parse(MAP, &base).unwrap();
        let cases = [
            ("/a.js", "vue", Some("/lib/vue.js")),
            ("/a.js", "vue/x.js", None),
            ("/a.js", "lit/x.js", Some("/lib/lit/x.js")),
            ("/a.js", "lit/", Some("/lib/lit/")),
            ("/a.js", "lit/deep/x.js", Some("/deep/x.js")),
            ("/a.js", "lit/exact.js", Some("/exact.js")),
            ("/a.js", "lit/../x.js", None),
            ("/a.js", "blocked", None),
            ("/a.js", "bad/x.js", None),
            ("/a.js", "bare-address", None),
            ("/a.js", "unknown", None),
            ("/a.js", "", None),
            ("/sub/a.js", "./b.js", Some("/sub/b.js")),
            ("/sub/a.js", "../b.js", Some("/b.js")),
            ("/sub/a.js", "/b.js?v=1", Some("/b.js?v=1")),
            ("/app/a.js", "./old.js", Some("/app/new.js")),
            ("/a.js", "https://cdn.example/x.js", Some("/cdn/x.js")),
            ("/admin/a.js", "vue", Some("/admin/vue.js")),
            ("/admin/a.js", "own", Some("/admin/own.js")),
            ("/admin/a.js", "lit/x.js", Some("/lib/lit/x.js")),
            ("/admin/old/a.js", "vue", Some("/admin/old/vue.js")),
            ("/admin/old/a.js", "own", Some("/admin/own.js")),
            ("/admin/old/a.js", "blocked", Some("/unblocked.js")),
            ("/one.js", "vue", Some("/one/vue.js")),
            ("/one.js.map", "vue", Some("/lib/vue.js")),
        ];
        for (importer, specifier, expected) in cases {
            let importer = base.join(importer).unwrap();
            let expected = expected.map(|path| base.join(path).unwrap());
            assert_eq!(
                map.resolve(specifier, &importer),
                expected,
                "{importer} {specifier}"
            );
        }
    }

    #[test]
    fn what_is_no_map_is_none() {
        let base = Url::parse("https://site.invalid/").unwrap();
        for text in [
            "",
            "[]",
            "{",
            r#"{"imports":[]}"#,
            r#"{"scopes":[]}"#,
            r#"{"scopes":{"/":1}}"#,
        ] {
            assert_eq!(ImportMap::parse(text, &base), None, "{text}");
        }
        for text in ["{}", r#"{"imports":{"a":1}}"#, r#"{"later":true}"#] {
            assert!(ImportMap::parse(text, &base).is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", key in "\\PC*", specifier in "\\PC*") {
            let base = Url::parse("https://site.invalid/").unwrap();
            let _ = ImportMap::parse(&text, &base);
            let map = serde_json::json!({ "imports": { key: "/a/" } }).to_string();
            let map = ImportMap::parse(&map, &base).unwrap();
            let _ = map.resolve(&specifier, &base);
        }
    }
}
