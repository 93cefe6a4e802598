//! What a directory holds, as a page or as JSON.
//!
//! The page needs no script: it is sorted by links. Names are anyone's: each is escaped, and kept
//! from turning the text around it.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use super::conditional::{self, Validators, Verdict};
use super::{Answer, Body, Moment, Options, Rank, author, encoding, entity_tag, plain, route};
use crate::site::listing::{ENTRIES_MAX, Form, Key, Listed, Listing, Syntax, Text};
use crate::site::{ContentHash, Site, UrlPath};

const DATE: &[FormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
const MACHINE_DATE: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Nothing in a listing is anything but what is written below.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action \
     'none'; frame-ancestors 'self'",
);

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8883; --faint: #767676; --link: #0b57d0 }
@media (prefers-color-scheme: dark) { :root { --faint: #9a9a9a; --link: #8ab4f8 } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere }
a { color: var(--link); text-decoration: none }
a:hover, a:focus-visible { text-decoration: underline }
table { width: 100%; border-collapse: collapse }
th, td { padding: .375rem .5rem; border-bottom: 1px solid var(--line); text-align: left }
th { font-weight: 500; white-space: nowrap }
td:first-child { overflow-wrap: anywhere }
th:nth-child(n+2), td:nth-child(n+2) { text-align: right; white-space: nowrap; \
font-variant-numeric: tabular-nums }
td:nth-child(n+2), p { color: var(--faint) }
tbody tr:hover { background: var(--line) }
@media (max-width: 30rem) { th:nth-child(3), td:nth-child(3) { display: none } }
";

#[derive(Serialize)]
struct Document<'a> {
    path: &'a str,
    /// Whether all entries are there.
    complete: bool,
    entries: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    modified: String,
}

/// Answers with what a directory holds.
pub(super) fn answer(
    request: &Parts,
    site: &Site,
    listing: &Listing,
    options: Options,
    moment: &Moment,
) -> Answer {
    let form = form(request);
    // Whoever looked it up has written it.
    let Text { bytes, tag } = listing.text_or(form, || render(listing, form)).clone();
    let media_type = match form.syntax {
        Syntax::Json => "application/json",
        Syntax::Html => "text/html; charset=utf-8",
    };
    let validators = Validators {
        is_current: |held: &[u8]| held == tag.as_bytes(),
        weak: false,
        modified: None,
    };
    let status = match conditional::evaluate(&request.headers, &validators) {
        Verdict::Proceed => StatusCode::OK,
        Verdict::NotModified(_) => StatusCode::NOT_MODIFIED,
        Verdict::Failed => StatusCode::PRECONDITION_FAILED,
    };
    let mut answer = plain(status, moment);
    let headers = answer.head.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if status == StatusCode::OK {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CONTENT_LENGTH, bytes.len().into());
        answer.body = Body::Memory(bytes);
        answer.rank = Rank::Document { opening_length: 0 };
    } else if status == StatusCode::NOT_MODIFIED {
        headers.remove(header::CONTENT_LENGTH);
    }
    let path = route::decoded(request.uri.path());
    author(
        request,
        site,
        path.as_deref(),
        options,
        answer.head.headers_mut(),
    );
    if request.method == Method::HEAD {
        answer.body = Body::Empty;
    }
    answer
}

/// Returns the form of a listing that a request asks for.
pub fn form(request: &Parts) -> Form {
    let mut form = Form {
        syntax: if wants_json(&request.headers) {
            Syntax::Json
        } else {
            Syntax::Html
        },
        key: Key::Name,
        is_descending: false,
    };
    for part in request.uri.query().unwrap_or_default().split('&') {
        match part {
            "sort=name" => form.key = Key::Name,
            "sort=size" => form.key = Key::Size,
            "sort=time" => form.key = Key::Time,
            "order=desc" => form.is_descending = true,
            "order=asc" => form.is_descending = false,
            _ => {}
        }
    }
    form
}

/// Writes a listing in a form. Takes long where there are many entries.
pub fn render(listing: &Listing, form: Form) -> Text {
    let entries = sorted(&listing.entries, form);
    let text = match form.syntax {
        Syntax::Json => json(listing, &entries),
        Syntax::Html => html(listing, &entries, form),
    };
    Text {
        tag: entity_tag(&format!("\"{}\"", ContentHash::of(text.as_bytes()))),
        bytes: Bytes::from(text),
    }
}

/// Sorts entries: directories before files, then by the key, then by name.
fn sorted(entries: &[Listed], form: Form) -> Vec<&Listed> {
    let mut entries: Vec<_> = entries
        .iter()
        .map(|entry| (name(entry).to_lowercase(), entry))
        .collect();
    entries.sort_by(|(name, one), (other_name, other)| {
        let by_key = match form.key {
            Key::Name => Ordering::Equal,
            Key::Size => one.length.cmp(&other.length),
            Key::Time => one.modified.cmp(&other.modified),
        };
        let by_key = by_key.then_with(|| name.cmp(other_name));
        let by_key = if form.is_descending {
            by_key.reverse()
        } else {
            by_key
        };
        let is_file = |entry: &Listed| entry.length.is_some();
        is_file(one).cmp(&is_file(other)).then(by_key)
    });
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// Returns the link that sorts by a key, and the other way if it does already.
fn heading(form: Form, by: Key, title: &str) -> String {
    let (key, first) = match by {
        Key::Name => ("name", "asc"),
        Key::Size => ("size", "desc"),
        Key::Time => ("time", "desc"),
    };
    if form.key != by {
        return format!("<th scope=col><a href=\"?sort={key}&amp;order={first}\">{title}</a>");
    }
    let (next, arrow, said) = if form.is_descending {
        ("asc", "\u{2193}", "descending")
    } else {
        ("desc", "\u{2191}", "ascending")
    };
    format!(
        "<th scope=col aria-sort={said}><a href=\"?sort={key}&amp;order={next}\">{title} \
         <span aria-hidden=true>{arrow}</span></a>"
    )
}

fn html(listing: &Listing, entries: &[&Listed], form: Form) -> String {
    let title = escaped(listing.path.as_str());
    let mut page = format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width\">\n\
         <meta name=robots content=noindex>\n\
         <link rel=icon href=\"data:,\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{}</h1>\n<table>\n<thead><tr>{}{}{}\n\
         <tbody>\n",
        breadcrumbs(&listing.path),
        heading(form, Key::Name, "Name"),
        heading(form, Key::Size, "Size"),
        heading(form, Key::Time, "Modified (UTC)"),
    );
    for entry in entries {
        let slash = if entry.length.is_none() { "/" } else { "" };
        // Writing to a string never fails.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{}\"><bdi>{}</bdi>{slash}</a><td>{}<td>\
             <time datetime=\"{}\">{}</time>",
            escaped(&entry.path.to_target()),
            escaped(name(entry)),
            entry.length.map_or_else(|| "\u{2013}".to_owned(), size),
            date(entry.modified, MACHINE_DATE),
            date(entry.modified, DATE),
        );
    }
    page.push_str("</table>\n");
    if listing.is_cut {
        let _ = writeln!(
            page,
            "<p>This directory holds more than the {ENTRIES_MAX} entries that are listed."
        );
    } else if entries.is_empty() {
        page.push_str("<p>This directory is empty.\n");
    }
    page
}

/// Returns each directory on the way to this one, as a link.
fn breadcrumbs(path: &UrlPath) -> String {
    let mut above: Vec<_> = std::iter::successors(path.parent(), UrlPath::parent).collect();
    above.reverse();
    let mut crumbs = String::new();
    for directory in &above {
        let name = if directory.name().is_empty() {
            "home"
        } else {
            directory.name()
        };
        let _ = write!(
            crumbs,
            "<a href=\"{}\"><bdi>{}</bdi></a> / ",
            escaped(&directory.to_target()),
            escaped(name)
        );
    }
    let name = if path.name().is_empty() {
        "home"
    } else {
        path.name()
    };
    let _ = write!(crumbs, "<bdi>{}</bdi>", escaped(name));
    crumbs
}

fn json(listing: &Listing, entries: &[&Listed]) -> String {
    let document = Document {
        path: listing.path.as_str(),
        complete: !listing.is_cut,
        entries: entries
            .iter()
            .map(|entry| Entry {
                name: name(entry),
                kind: if entry.length.is_some() {
                    "file"
                } else {
                    "directory"
                },
                url: entry.path.to_target(),
                size: entry.length,
                modified: date(entry.modified, MACHINE_DATE),
            })
            .collect(),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

fn name(entry: &Listed) -> &str {
    entry.path.name()
}

/// Returns whether a request would rather have JSON than HTML.
fn wants_json(headers: &HeaderMap) -> bool {
    let quality = |wanted: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(','))
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
                let weight = parts.find_map(|part| encoding::weight_in(part.as_bytes()));
                let quality = weight.map_or(Some(encoding::QUALITY_MAX), encoding::quality);
                quality.filter(|_| is_it)
            })
            .max()
            .unwrap_or(0)
    };
    let json = quality("application/json");
    json > 0 && json > quality("text/html")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What turns the direction of text would show `gpj.exe` as `exe.jpg`.
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                escaped.push('\u{fffd}');
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Writes a number of bytes with three digits, in steps of a thousand.
fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut rest = bytes as f64;
    for unit in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        rest /= 1000.0;
        if rest < 999.5 || unit == "EB" {
            let digits = usize::from(rest < 9.95);
            return format!("{rest:.digits$} {unit}");
        }
    }
    format!("{bytes} B")
}

fn date(time: SystemTime, format: &[FormatItem<'_>]) -> String {
    OffsetDateTime::from(time)
        .format(format)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_950, "10 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[track_caller]
    fn check(accept: &str, is_json: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(wants_json(&headers), is_json, "{accept}");
    }

    #[test]
    fn json_is_sent_to_those_who_ask_for_it() {
        check("application/json", true);
        check("application/json, text/plain, */*", true);
        check("text/html, application/json", false);
        check("text/html;q=0.5, application/json;q=0.8", true);
        check("application/json;q=0", false);
        check("application/json;Q=0.1, text/html;q=0.5", false);
        check("text/html; Q=0.1, application/json;q=0.5", true);
        check("application/json;q=nonsense", false);
        check("*/*", false);
        check("text/html,application/xhtml+xml,*/*;q=0.8", false);
    }
}
