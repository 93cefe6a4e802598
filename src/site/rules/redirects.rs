//! `_redirects`: where a path leads instead, by a redirect or silently.
//!
//! ```text
//! /old/*  /new/:splat                     301, as at Netlify (Cloudflare Pages: 302)
//! /shop id=:id  /product/:id  302         if the query has an `id`
//! /app/*  /app/index.html  200            answered with another file
//! /en/*  /en/404.html  404                answered with another file, as missing
//! /x  https://example.com/x  308!         even if there is a file `/x`
//! ```
//!
//! The first rule that matches counts, and it counts where no file stands, unless it ends with `!`
//! (Netlify; at Cloudflare Pages every rule does). A slash at the end of a path matters to neither
//! side. The query is passed on, unless the rule looks at it or the destination has its own.
//! A rule that leads to what it leads from is passed over.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use http::{HeaderValue, StatusCode};
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::pattern::{Captures, Loosely, Pattern, Put, SPLAT, Template, bare};
use super::{DYNAMIC_RULES_MAX, Index, RULES_MAX, at, lines};
use crate::site::{SiteUrl, UrlPath};

/// Parts of a query that a rule looks at, and that are looked at in a request.
const QUERY_PARTS_MAX: usize = 64;

/// The rules of a `_redirects`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redirects {
    rules: Vec<Redirect>,
    /// All of them, by paths without a slash at their end.
    all: Index,
    /// Those that count even where a file stands.
    forced: Index,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Redirect {
    from: Pattern,
    query: Vec<(String, Wanted)>,
    to: Destination,
    status: StatusCode,
    is_forced: bool,
}

/// What a part of a query has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// Anything, which gets a name.
    Any(String),
    /// This.
    Only(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Destination {
    /// A path of this site, percent-encoded, with what follows it.
    Here {
        path: Template,
        query: Option<Template>,
        fragment: Option<Template>,
    },
    /// `https://host`, and the rest.
    Elsewhere {
        origin: String,
        path: Template,
        query: Option<Template>,
        fragment: Option<Template>,
    },
}

/// A key and its value, decoded.
type Part = (String, String);

/// What a rule leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// The client is sent elsewhere.
    Redirect(StatusCode, HeaderValue),
    /// Another file answers, with a status; `None` if what was matched makes no path.
    File(StatusCode, Option<UrlPath>),
}

impl Redirects {
    /// Reads the text of a `_redirects`.
    ///
    /// # Errors
    /// A sentence that names the line, what is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut redirects = Self::default();
        for line in lines(text) {
            let (number, line) = line?;
            let rule = Redirect::parse(line).map_err(|wrong| at(number, wrong))?;
            let (only, number) = (rule.from.only().map(bare), redirects.rules.len());
            redirects.all.add(only, number);
            if rule.is_forced {
                redirects.forced.add(only, number);
            }
            redirects.rules.push(rule);
            let dynamic = redirects.all.dynamic.len();
            if redirects.rules.len() > RULES_MAX || dynamic > DYNAMIC_RULES_MAX {
                let most = format!("{RULES_MAX} rules, {DYNAMIC_RULES_MAX} of them with *");
                return Err(at(number, format!("more than {most} or a placeholder")));
            }
        }
        Ok(redirects)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns whether there are none that count where a file stands.
    pub fn none_is_forced(&self) -> bool {
        self.forced.is_empty()
    }

    /// Returns where a path leads even if a file stands there: if the first rule for it says so.
    pub fn forced(&self, path: &UrlPath, query: Option<&str>) -> Option<To> {
        let (number, to) = self.first(&self.forced, path, query)?;
        // Another may stand before it.
        let (first, _) = self.first(&self.all, path, query)?;
        (first == number).then_some(to)
    }

    /// Returns whether a rule answers at a URL even if a file stands there: a client that asks for
    /// it does not get that file.
    pub fn displace(&self, url: &SiteUrl) -> bool {
        self.forced(url.path(), url.query()).is_some()
    }

    /// Returns where the first rule for a path leads, if there is one.
    pub fn lead(&self, path: &UrlPath, query: Option<&str>) -> Option<To> {
        let (_, to) = self.first(&self.all, path, query)?;
        Some(to)
    }

    fn first(&self, index: &Index, path: &UrlPath, query: Option<&str>) -> Option<(usize, To)> {
        if index.is_empty() {
            return None;
        }
        let loosely = Loosely::new(path.as_str());
        let parts = OnceCell::new();
        index.of(loosely.bare()).find_map(|number| {
            let rule = &self.rules[number];
            let mut captures = rule.from.matches_loosely(&loosely)?;
            if !rule.query.is_empty() {
                let parts = parts.get_or_init(|| parts_of(query.unwrap_or_default()));
                if !rule.matches_query(parts, &mut captures) {
                    return None;
                }
            }
            Some((number, rule.to(path, query, &captures)?))
        })
    }
}

impl fmt::Display for Redirects {
    /// Writes them so that they can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

impl Redirect {
    fn parse(line: &str) -> Result<Self, String> {
        let words = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'));
        let mut words = words.peekable();
        let from = Pattern::parse(words.next().unwrap_or_default())?;
        let mut query = Vec::new();
        while let Some(word) = words.next_if(|word| !is_destination(word) && word.contains('=')) {
            if query.len() == QUERY_PARTS_MAX {
                return Err(format!("more than {QUERY_PARTS_MAX} parts of a query"));
            }
            query.push(wanted(word)?);
        }
        let to = words
            .next()
            .ok_or("it leads nowhere: write `/from /to 301`")?;
        let (status, is_forced) = match words.next() {
            None => (StatusCode::MOVED_PERMANENTLY, false),
            Some(word) => status(word)?,
        };
        if let Some(word) = words.next() {
            return Err(condition(word));
        }
        let names = from.names().map(str::to_owned);
        let names: Vec<String> = names
            .chain(query.iter().filter_map(|(_, wanted)| match wanted {
                Wanted::Any(name) => Some(name.clone()),
                Wanted::Only(_) => None,
            }))
            .collect();
        if let Some(twice) = names
            .iter()
            .enumerate()
            .find(|(i, name)| names[..*i].contains(name))
        {
            return Err(format!("two things are called :{}", twice.1));
        }
        let to = Destination::parse(to, &names)?;
        if matches!(to, Destination::Elsewhere { .. }) && !status.is_redirection() {
            return Err(format!(
                "{} from another host is a proxy's work, which forerun does not do: write 302 to \
                 send the client there",
                status.as_u16()
            ));
        }
        Ok(Self {
            from,
            query,
            to,
            status,
            is_forced,
        })
    }

    /// Returns whether a query has what the rule wants, and captures it.
    fn matches_query<'a>(&'a self, parts: &[Part], captures: &mut Captures<'a>) -> bool {
        self.query.iter().all(|(key, wanted)| {
            let Some((_, value)) = parts.iter().find(|(known, _)| known == key) else {
                return false;
            };
            match wanted {
                Wanted::Any(name) => captures.0.push((name, Cow::Owned(value.clone()))),
                Wanted::Only(only) => return only == value,
            }
            true
        })
    }

    fn to(&self, path: &UrlPath, query: Option<&str>, captures: &Captures<'_>) -> Option<To> {
        if !self.status.is_redirection() {
            return Some(To::File(self.status, self.to.file(captures)));
        }
        let location = self
            .to
            .location(query.filter(|_| self.query.is_empty()), captures);
        if self.to.is_here() && self.leads_back(&location, path) {
            return None;
        }
        // A text too odd to be a field leads nowhere.
        Some(To::Redirect(
            self.status,
            HeaderValue::try_from(location).ok()?,
        ))
    }

    /// Returns whether a location is the path that was asked for, give or take a slash at its end,
    /// with a query for which the rule counts again: whoever follows it gets nowhere.
    fn leads_back(&self, location: &str, path: &UrlPath) -> bool {
        let (target, _) = split(location, '#');
        let (target, query) = split(target, '?');
        UrlPath::parse(target).is_ok_and(|to| bare(to.as_str()) == bare(path.as_str()))
            && self.matches_query(
                &parts_of(query.unwrap_or_default()),
                &mut Captures::default(),
            )
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.from)?;
        for (key, wanted) in &self.query {
            let encoded = |text| utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
            match wanted {
                Wanted::Any(name) => write!(f, " {}=:{name}", encoded(key))?,
                Wanted::Only(value) => write!(f, " {}={}", encoded(key), encoded(value))?,
            }
        }
        let force = if self.is_forced { "!" } else { "" };
        write!(f, " {} {}{force}", self.to, self.status.as_u16())
    }
}

impl Destination {
    fn parse(text: &str, names: &[String]) -> Result<Self, String> {
        let (rest, fragment) = split(text, '#');
        let (rest, query) = split(rest, '?');
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let template = |text| Template::parse(text, &names);
        // Clients take bytes that are no URL's in different ways.
        if !text.is_ascii() || text.contains(|letter: char| "\\\"<>^`{|}".contains(letter)) {
            return Err(format!(
                "`{text}`: percent-encode what is no letter of a URL"
            ));
        }
        let (query, fragment) = (query.map(template), fragment.map(template));
        if rest.starts_with('/') {
            if rest.starts_with("//") {
                return Err(format!(
                    "`{text}` leads to another host: begin with https://"
                ));
            }
            let path = template(rest);
            if path.is_fixed() && UrlPath::parse(rest).is_err() {
                return Err(format!("`{text}` is no path that can be served"));
            }
            return Ok(Self::Here {
                path,
                query,
                fragment,
            });
        }
        let start = rest.find("://").map(|at| at + 3);
        let (Some(start), "http" | "https") = (start, rest.split(':').next().unwrap_or_default())
        else {
            return Err(format!("`{text}` must start with / or https://"));
        };
        let end = rest[start..].find('/').map_or(rest.len(), |at| start + at);
        let (origin, path) = rest.split_at(end);
        let host = url::Url::parse(origin)
            .ok()
            .filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
        if host.is_none() || !template(origin).is_fixed() {
            return Err(format!(
                "`{text}`: write a host, and no placeholder before the first /"
            ));
        }
        let (origin, path) = (
            origin.to_owned(),
            template(if path.is_empty() { "/" } else { path }),
        );
        Ok(Self::Elsewhere {
            origin,
            path,
            query,
            fragment,
        })
    }

    fn is_here(&self) -> bool {
        matches!(self, Self::Here { .. })
    }

    /// Returns the file that answers.
    fn file(&self, captures: &Captures<'_>) -> Option<UrlPath> {
        let Self::Here { path, .. } = self else {
            return None;
        };
        let encoded = one_slash(path.fill(captures, Put::Path));
        UrlPath::parse(&encoded).ok()
    }

    /// Returns what `Location` says. Whatever was matched, it stays on the host that the rule
    /// names: what begins with two slashes would name another.
    fn location(&self, passed_on: Option<&str>, captures: &Captures<'_>) -> String {
        let (mut location, path, query, fragment) = match self {
            Self::Here {
                path,
                query,
                fragment,
            } => (String::new(), path, query, fragment),
            Self::Elsewhere {
                origin,
                path,
                query,
                fragment,
            } => (origin.clone(), path, query, fragment),
        };
        location += &one_slash(path.fill(captures, Put::Path));
        let own = query.as_ref().map(|query| query.fill(captures, Put::Query));
        let query = own
            .as_deref()
            .or(passed_on)
            .filter(|query| !query.is_empty());
        for (mark, part) in [
            ('?', query),
            (
                '#',
                fragment
                    .as_ref()
                    .map(|it| it.fill(captures, Put::Query))
                    .as_deref(),
            ),
        ] {
            if let Some(part) = part {
                location.push(mark);
                location.push_str(part);
            }
        }
        location
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, path, query, fragment) = match self {
            Self::Here {
                path,
                query,
                fragment,
            } => ("", path, query, fragment),
            Self::Elsewhere {
                origin,
                path,
                query,
                fragment,
            } => (origin.as_str(), path, query, fragment),
        };
        write!(f, "{origin}{path}")?;
        query.iter().try_for_each(|query| write!(f, "?{query}"))?;
        fragment
            .iter()
            .try_for_each(|fragment| write!(f, "#{fragment}"))
    }
}

fn is_destination(word: &str) -> bool {
    word.starts_with('/') || word.starts_with("http://") || word.starts_with("https://")
}

/// Reads `id=:id` or `id=5`.
fn wanted(word: &str) -> Result<(String, Wanted), String> {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    let is_condition = ["country", "language", "role", "cookie"]
        .iter()
        .any(|known| key.eq_ignore_ascii_case(known) && !value.starts_with(':'));
    if is_condition {
        return Err(condition(word));
    }
    let wanted = match value.strip_prefix(':') {
        Some(SPLAT) => return Err("`:splat` is what the * stands for: choose another name".into()),
        Some(name) if !name.is_empty() => Wanted::Any(name.to_owned()),
        _ => Wanted::Only(decoded(value).into_owned()),
    };
    if let Wanted::Any(name) = &wanted
        && Template::parse(&format!(":{name}"), &[name]).is_fixed()
    {
        return Err(format!(
            "`:{name}` is no name: begin with a letter, then a to z, 0 to 9 and _"
        ));
    }
    Ok((decoded(key).into_owned(), wanted))
}

fn status(word: &str) -> Result<(StatusCode, bool), String> {
    let (number, is_forced) = match word.strip_suffix('!') {
        Some(number) => (number, true),
        None => (word, false),
    };
    let status = match number {
        "200" => StatusCode::OK,
        "301" => StatusCode::MOVED_PERMANENTLY,
        "302" => StatusCode::FOUND,
        "303" => StatusCode::SEE_OTHER,
        "307" => StatusCode::TEMPORARY_REDIRECT,
        "308" => StatusCode::PERMANENT_REDIRECT,
        "404" => StatusCode::NOT_FOUND,
        _ if word.contains('=') => return Err(condition(word)),
        _ => {
            return Err(format!(
                "`{word}` is no status that a rule can have: 200, 301, 302, 303, 307, 308 or 404"
            ));
        }
    };
    Ok((status, is_forced))
}

fn condition(word: &str) -> String {
    format!(
        "`{word}`: conditions (Country, Language, Role, Cookie) and further options are not \
         supported: remove it, or the rule"
    )
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Returns the parts of a query, decoded as forms are.
fn parts_of(query: &str) -> Vec<Part> {
    let parts = query
        .split('&')
        .take(QUERY_PARTS_MAX)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(key).into_owned(), decoded(value).into_owned())
        })
        .collect()
}

fn decoded(text: &str) -> Cow<'_, str> {
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// Returns a path that begins with one slash alone.
fn one_slash(path: String) -> String {
    let rest = path.trim_start_matches('/');
    if path.len() - rest.len() == 1 {
        path
    } else {
        format!("/{rest}")
    }
}

#[cfg(test)]
mod tests;
