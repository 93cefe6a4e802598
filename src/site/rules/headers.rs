//! `_headers`: fields that answers for some paths carry.
//!
//! ```text
//! /assets/*                                  a path, with a splat or placeholders
//!   Cache-Control: public, max-age=3600      set in place of what the server would say
//!   Link: </a.css>; rel=preload; as=style    what is sent ahead with a page, in place of its graph
//!   ! Referrer-Policy                        taken away from what stands above
//! ```
//!
//! All rules that match count, from first to last; a field that two of them set, or one of them
//! twice, has both values, with a comma between. As at Cloudflare Pages, a value may name what the
//! path matched (`:splat`, percent-encoded, so that it stays one value), and `!` takes a field
//! away, but for what the server itself says in `Vary`; Netlify's `Basic-Auth` is an error. Read on
//! in [`super::super::plan`] for what `Link` does.

use std::fmt::Write as _;

use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};

use super::pattern::{Captures, Pattern, Put, Template};
use super::{DYNAMIC_RULES_MAX, Index, RULES_MAX, at, lines};
use crate::site::links::header::{self as link, HeaderLink};
use crate::site::{SiteUrl, UrlPath};

/// Fields of one rule.
const FIELDS_MAX: usize = 100;

/// What the server says of its own bytes, of the connection, and of where else to go: another value
/// would be a lie that clients act on.
const RESERVED: [HeaderName; 20] = [
    header::ACCEPT_RANGES,
    header::AGE,
    header::ALLOW,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::DATE,
    header::ETAG,
    header::HOST,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The rules of a `_headers`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderRules {
    rules: Vec<Rule>,
    index: Index,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    removed: Vec<HeaderName>,
    set: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    name: HeaderName,
    value: Template,
    /// The value, if it is the same for all paths.
    fixed: Option<HeaderValue>,
}

impl HeaderRules {
    /// Reads the text of a `_headers`.
    ///
    /// # Errors
    /// A sentence that names the line, what is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules: Vec<Rule> = Vec::new();
        let mut index = Index::default();
        for line in lines(text) {
            let (number, line) = line?;
            let said = line.trim();
            if is_path(said) {
                let pattern = Pattern::parse(said).map_err(|wrong| at(number, wrong))?;
                index.add(pattern.only(), rules.len());
                if rules.len() == RULES_MAX || index.dynamic.len() > DYNAMIC_RULES_MAX {
                    let most = format!("{RULES_MAX} rules, {DYNAMIC_RULES_MAX} of them with *");
                    return Err(at(number, format!("more than {most} or a placeholder")));
                }
                let (removed, set) = (Vec::new(), Vec::new());
                rules.push(Rule {
                    pattern,
                    removed,
                    set,
                });
                continue;
            }
            let rule = rules.last_mut().ok_or_else(|| {
                at(
                    number,
                    format!("`{said}` stands before any path, such as /*"),
                )
            })?;
            rule.read(said).map_err(|wrong| at(number, wrong))?;
        }
        Ok(Self { rules, index })
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Changes the header of an answer for a decoded path as the rules say.
    pub fn apply(&self, path: &str, headers: &mut HeaderMap) {
        let mut given: Vec<&HeaderName> = Vec::new();
        // What an answer depends on, it depends on, whatever the author says.
        let depends: Vec<_> = headers.get_all(header::VARY).iter().cloned().collect();
        for (rule, captures) in self.matching(path) {
            for name in &rule.removed {
                headers.remove(name);
                if *name == header::VARY {
                    headers.extend(depends.iter().map(|field| (header::VARY, field.clone())));
                }
            }
            for field in &rule.set {
                let Some(value) = field.value(&captures) else {
                    continue;
                };
                let name = &field.name;
                if given.contains(&name) || *name == header::VARY {
                    join(headers, name, value);
                } else {
                    headers.insert(name, value);
                    given.push(name);
                }
            }
        }
    }

    /// Returns the links that rules give for a page, which is known by any of some paths; `None` if
    /// there are none.
    pub fn links(&self, paths: &[UrlPath]) -> Option<Vec<HeaderLink>> {
        let of = |path: &UrlPath| {
            let mut links: Vec<HeaderLink> = Vec::new();
            for (rule, captures) in self.matching(path.as_str()) {
                if rule.removed.contains(&header::LINK) {
                    links.clear();
                }
                let fields = rule.set.iter().filter(|field| field.name == header::LINK);
                for field in fields {
                    let value = field.value.fill(&captures, Put::Link);
                    links.extend(link::parse(&value).unwrap_or_default());
                }
            }
            let page = SiteUrl::from(path.clone());
            links.retain(|link| link.ahead(&page).is_some());
            links
        };
        paths.iter().map(of).find(|links| !links.is_empty())
    }

    fn matching<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a Rule, Captures<'a>)> {
        self.index.of(path).filter_map(move |number| {
            let rule = &self.rules[number];
            Some((rule, rule.pattern.matches(path)?))
        })
    }
}

impl std::fmt::Display for HeaderRules {
    /// Writes them so that they can be read again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for rule in &self.rules {
            writeln!(f, "{}", rule.pattern)?;
            rule.removed
                .iter()
                .try_for_each(|name| writeln!(f, "  ! {name}"))?;
            rule.set
                .iter()
                .try_for_each(|field| writeln!(f, "  {}: {}", field.name, field.value))?;
        }
        Ok(())
    }
}

impl Rule {
    /// Reads a line with a field.
    fn read(&mut self, line: &str) -> Result<(), String> {
        if self.set.len() + self.removed.len() == FIELDS_MAX {
            return Err(format!("more than {FIELDS_MAX} fields for one path"));
        }
        if let Some(name) = line.strip_prefix('!') {
            self.removed.push(field_name(name.trim())?);
            return Ok(());
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("`{line}` is neither a path nor `Name: value`"))?;
        let (written, value) = (name.trim(), value.trim());
        let name = field_name(written)?;
        if value.is_empty() {
            return Err(format!(
                "{written} has no value: to take the field away, write `! {written}`"
            ));
        }
        if HeaderValue::from_str(value).is_err() || !value.is_ascii() {
            return Err(format!(
                "the value of {name} has characters that no field may have"
            ));
        }
        if name == header::LINK && link::parse(value).is_none() {
            return Err(format!(
                "`{value}` is no link: write one as in `</a.css>; rel=preload; as=style`"
            ));
        }
        let names: Vec<_> = self.pattern.names().collect();
        let template = Template::parse(value, &names);
        let fixed = HeaderValue::from_str(value).ok();
        self.set.push(Field {
            name,
            fixed: fixed.filter(|_| template.is_fixed()),
            value: template,
        });
        Ok(())
    }
}

impl Field {
    /// Returns the value for a path that has some captures. They are percent-encoded, so there
    /// always is one.
    fn value(&self, captures: &Captures<'_>) -> Option<HeaderValue> {
        let put = if self.name == header::LINK {
            Put::Link
        } else {
            Put::Field
        };
        let fill = || HeaderValue::try_from(self.value.fill(captures, put)).ok();
        self.fixed.clone().or_else(fill)
    }
}

/// Returns whether a line is a path, or a URL: neither begins as a field does, so it counts for
/// nothing how far the line is indented.
fn is_path(line: &str) -> bool {
    let scheme = line.split_once("://").map(|(scheme, _)| scheme);
    line.starts_with('/')
        || scheme.is_some_and(|scheme| {
            !scheme.contains([':', '!']) && !scheme.contains(char::is_whitespace)
        })
}

fn field_name(text: &str) -> Result<HeaderName, String> {
    if text.eq_ignore_ascii_case("basic-auth") {
        let other = "start forerun with --auth USER:HASH";
        return Err(format!(
            "Basic-Auth is not read from a file that is published: {other}"
        ));
    }
    let name = HeaderName::try_from(text)
        .map_err(|_| format!("`{text}` is no name of a field: write `Name: value`"))?;
    if RESERVED.contains(&name) {
        let mut said = format!("{text} is the server's own to say: remove the line");
        if name == header::LOCATION {
            let _ = write!(said, ", and write the redirect into _redirects");
        }
        return Err(said);
    }
    Ok(name)
}

/// Adds a value to what a field says already.
fn join(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    // Cookies have commas of their own (RFC 6265 section 3), and links are read one by one.
    if *name == header::SET_COOKIE || *name == header::LINK {
        headers.append(name, value);
        return;
    }
    match headers.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(value);
        }
        Entry::Occupied(mut known) => {
            // `insert` takes all the lines of a field away.
            let all = known.iter().chain([&value]);
            let all: Vec<_> = all.map(HeaderValue::as_bytes).collect();
            if let Ok(all) = HeaderValue::from_bytes(&all.join(&b", "[..])) {
                known.insert(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(rules: &str, path: &str, expected: &str) {
        let rules = HeaderRules::parse(rules).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("default"));
        headers.insert("vary", HeaderValue::from_static("accept"));
        rules.apply(path, &mut headers);
        let mut told: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .filter(|line| line != "cache-control: default" && line != "vary: accept")
            .collect();
        told.sort();
        assert_eq!(told.join(" | "), expected, "{path}");
    }

    #[test]
    fn all_rules_that_match_count() {
        let rules = "
            # comment
/*
  X-A: 1
  cache-control: one
/a/*
\tX-A:2
  X-A:  3
  Vary: Origin
  X-Path: </:splat>
/a/b
  ! X-A
  X-C: :splat http://c:80
/c
  ! Cache-Control
  Set-Cookie: a=1
  Set-Cookie: b=2
";
        check(rules, "/", "cache-control: one | x-a: 1");
        check(
            rules,
            "/a/x y",
            "cache-control: one | vary: accept, Origin | x-a: 1, 2, 3 | x-path: </x%20y>",
        );
        check(
            rules,
            "/a/b",
            "cache-control: one | vary: accept, Origin | x-c: :splat http://c:80 | x-path: </b>",
        );
        check(rules, "/c", "set-cookie: a=1 | set-cookie: b=2 | x-a: 1");
    }

    /// What a path holds is one value, however it is written.
    #[test]
    fn what_is_captured_adds_neither_parameters_nor_members() {
        let rules = "
/u/:n
  Set-Cookie: u=:n; Path=/
/l/*
  X-List: a, :splat
/p/:n
  Link: </:n.css>; rel=preload; as=:n
";
        check(
            rules,
            "/u/x;Domain=example.com",
            "set-cookie: u=x%3BDomain%3Dexample.com; Path=/",
        );
        check(rules, "/l/b,c=\"d/e", "x-list: a, b%2Cc%3D%22d/e");
        check(
            rules,
            "/p/a,b;c",
            "link: </a,b;c.css>; rel=preload; as=a%2Cb%3Bc",
        );
    }

    /// As at Netlify and Cloudflare Pages, how far a line is indented says nothing.
    #[test]
    fn a_path_is_one_however_far_it_is_indented() {
        let rules = "
  /*
X-A:https://a.example
\tX-L: </a>
  /b
  X-B: https://b.example";
        check(rules, "/", "x-a: https://a.example | x-l: </a>");
        check(
            rules,
            "/b",
            "x-a: https://a.example | x-b: https://b.example | x-l: </a>",
        );
    }

    #[test]
    fn what_an_answer_depends_on_stays() {
        check("/*\n  Vary: A\n/b\n  ! Vary\n  X-B: 1\n", "/b", "x-b: 1");
        check(
            "/*\n  Vary: A\n/b\n  ! Vary\n  Vary: B\n",
            "/b",
            "vary: accept, B",
        );
    }

    /// The server says some fields in more than one line.
    #[test]
    fn what_is_joined_is_joined_with_every_line() {
        let rules = HeaderRules::parse("/\n  Vary: A\n").unwrap();
        let mut headers = HeaderMap::new();
        headers.append("vary", HeaderValue::from_static("accept"));
        headers.append("vary", HeaderValue::from_static("origin"));
        rules.apply("/", &mut headers);
        let lines: Vec<_> = headers.get_all("vary").iter().collect();
        assert_eq!(lines, ["accept, origin, A"]);
    }

    #[test]
    fn rules_for_other_paths_cost_nothing() {
        let many: String = (0..RULES_MAX).fold(String::new(), |all, number| {
            all + &format!("/{number}\n  X-A: {number}\n")
        });
        let rules = HeaderRules::parse(&many).unwrap();
        assert_eq!(rules.index.of("/7").collect::<Vec<_>>(), [7]);
        check(&many, "/7", "x-a: 7");
        check(&many, "/x", "");
    }

    #[test]
    fn mistakes_name_their_line_and_the_fix() {
        for (rules, said) in [
            ("X-A: 1", "line 1: `X-A: 1` stands before any path"),
            ("/*\n  X-A", "line 2: `X-A` is neither a path nor"),
            ("/*\n  X A: 1", "line 2: `X A` is no name"),
            ("/*\n  :path: 1", "is no name"),
            (
                "/*\n  Content-Length: 1",
                "line 2: Content-Length is the server's own",
            ),
            (
                "/*\n\n  ! transfer-encoding",
                "line 3: transfer-encoding is the server's own",
            ),
            ("/*\n  Location: /b", "_redirects"),
            ("/*\n  Basic-Auth: a:b", "--auth USER:HASH"),
            (
                "/*\n  X-A: 1\n  Cache-Control:",
                "line 3: Cache-Control has no value: to take the field away, write \
                 `! Cache-Control`",
            ),
            ("/*\n  x-a: \t", "line 2: x-a has no value"),
            ("/*\n  Link: ", "line 2: Link has no value"),
            ("/*\n  Link: /a.css", "line 2: `/a.css` is no link"),
            ("/*\n  X-A: \u{e4}", "characters"),
            ("/*/*\n", "line 1: `/*/*` has more than one *"),
            ("https://a.example/*\n  X-A: 1", "other hosts"),
            (
                "/*\n  https://a.example/*",
                "line 2: `https://a.example/*` names a host",
            ),
            ("/*\n  X-A: 1\n  /b/*/*", "line 3: `/b/*/*` has more"),
            ("/*\n  a/b", "line 2: `a/b` is neither a path nor"),
        ] {
            let error = HeaderRules::parse(rules).unwrap_err();
            assert!(error.contains(said), "{rules:?}: {error}");
        }
        let long = format!("/*\n  X-A: {}", "a".repeat(super::super::LINE_BYTES_MAX));
        assert!(HeaderRules::parse(&long).unwrap_err().starts_with("line 2"));
        let many = "/a\n".repeat(RULES_MAX + 1);
        assert!(
            HeaderRules::parse(&many)
                .unwrap_err()
                .starts_with("line 10001")
        );
        let many = "/*\n".repeat(DYNAMIC_RULES_MAX + 1);
        assert!(
            HeaderRules::parse(&many)
                .unwrap_err()
                .starts_with("line 1001")
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "/*", "/a", ":b", "\n", "\n  ", "X-A: 1", "Link: </a.css>; rel=preload", "! X-A",
                ": ", "#", "Vary: Origin, :splat", "\r\n", "\u{feff}", "Content-Length: 1",
                "\u{e4}",
            ]), 0..16),
        ) {
            if let Ok(rules) = HeaderRules::parse(&pieces.concat()) {
                prop_assert_eq!(HeaderRules::parse(&rules.to_string()), Ok(rules));
            }
        }

        #[test]
        fn no_text_is_too_odd(text in "(?s).*") {
            let _ = HeaderRules::parse(&text);
        }
    }
}
