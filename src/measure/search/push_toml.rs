//! Plans as a file that `serve` reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

#[derive(Serialize)]
struct Page<'a> {
    push: &'a [String],
}

/// Returns the text of a `push.toml`, which
/// [`Overrides::parse`](crate::site::plan::Overrides::parse) reads.
///
/// - `pages`: what is sent ahead with each page, in order; with an empty list, nothing is.
/// - `found_on`: what the plans were found on (links, held-out links), for a comment.
///
/// # Errors
/// None that is known: the writer of TOML may fail in general.
pub fn to_push_toml(
    pages: &BTreeMap<String, Vec<String>>,
    found_on: &str,
) -> Result<String, toml::ser::Error> {
    let mut text = String::from("# Found by forerun measure --search\n");
    for line in found_on.lines() {
        // TOML takes no control characters in comments.
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "# {}", line.trim());
    }
    for (page, push) in pages {
        text.push('\n');
        text.push_str(&toml::to_string_pretty(&BTreeMap::from([(
            page,
            Page { push },
        )]))?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::UrlPath;
    use crate::site::plan::Overrides;

    #[test]
    fn what_is_written_is_read_back() {
        let urls = ["/a.css?v=\"2\"", "/b'ild%20.png", "/schrift-é.woff2"];
        let pages = BTreeMap::from([
            ("/".to_owned(), urls.map(str::to_owned).to_vec()),
            ("/docs/a\"b.html".to_owned(), vec!["/a.css".to_owned()]),
            ("/none/".to_owned(), Vec::new()),
        ]);
        let text = to_push_toml(&pages, "slow-4g, 3g\nheld out: cable\u{7}").unwrap();
        let overrides = Overrides::parse(&text).unwrap();
        for (page, push) in &pages {
            let paths = overrides.paths(&UrlPath::parse(page).unwrap());
            let expected: Vec<_> = push
                .iter()
                .map(|url| UrlPath::parse(url.split('?').next().unwrap()).unwrap())
                .collect();
            assert_eq!(paths, expected, "{page} in\n{text}");
        }
        let again = to_push_toml(&pages, "slow-4g, 3g\nheld out: cable").unwrap();
        assert_eq!(text, again);
    }

    #[test]
    fn the_file_is_read_by_people() {
        let pages = BTreeMap::from([
            (
                "/".to_owned(),
                vec!["/style.css".to_owned(), "/font.woff2".to_owned()],
            ),
            ("/about.html".to_owned(), Vec::new()),
        ]);
        let text = to_push_toml(&pages, "slow-4g; held out: 3g, cable").unwrap();
        insta::assert_snapshot!(text, @r#"
        # Found by forerun measure --search
        # slow-4g; held out: 3g, cable

        ["/"]
        push = [
            "/style.css",
            "/font.woff2",
        ]

        ["/about.html"]
        push = []
        "#);
    }
}
