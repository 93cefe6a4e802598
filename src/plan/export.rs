//! The same plans for sites that another server serves.

use std::fmt::Write as _;
use std::io;

use super::Format;
use crate::answer::preload::{self, HINTS_MAX};
use crate::site::graph::{Destination, Subresource};
use crate::site::links::html::Crossorigin;
use crate::site::plan::Plan;
use crate::site::{SiteUrl, UrlPath};

/// Writes a page's plan in a format of another server's; nothing if nothing is sent ahead.
pub(super) fn write(
    out: &mut impl io::Write,
    format: Format,
    page: &UrlPath,
    plan: &Plan,
) -> io::Result<()> {
    // What hides behind another file first: it gains a round trip wherever the page is served from.
    let (hidden, visible): (Vec<_>, Vec<_>) = plan
        .sent()
        .map(|(sub, url, _)| (sub, url))
        // What its author wrote stays as it is.
        .partition(|(sub, _)| sub.depth > 1 && !plan.is_linked);
    let all: Vec<_> = hidden
        .iter()
        .chain(&visible)
        .copied()
        .take(HINTS_MAX)
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    // A directory's page may be asked for by either name.
    let mut targets = vec![page.to_target()];
    if page.is_directory() {
        targets.push(page.file().to_target());
    } else if format == Format::Headers {
        targets.extend(page.shorter().map(|shorter| shorter.to_target()));
    }
    match format {
        Format::Headers => targets
            .iter()
            .try_for_each(|target| headers(out, target, &all)),
        Format::Nginx => targets
            .iter()
            .try_for_each(|target| nginx(out, target, &all)),
        // A tag in the head gains nothing over the tag that the page has there already.
        Format::Html => html(out, &targets[0], &hidden),
        Format::Table | Format::Json => Ok(()),
    }
}

type Links<'a> = [(&'a Subresource, &'a SiteUrl)];

fn headers(out: &mut impl io::Write, page: &str, links: &Links<'_>) -> io::Result<()> {
    writeln!(out, "{page}")?;
    for (subresource, url) in links {
        writeln!(out, "  Link: {}", preload::link(subresource, url))?;
    }
    writeln!(out)
}

fn nginx(out: &mut impl io::Write, page: &str, links: &Links<'_>) -> io::Result<()> {
    writeln!(out, "location = \"{}\" {{", page.replace(['"', '\\'], ""))?;
    for (subresource, url) in links {
        // A dollar sign would begin a variable, and nginx has no way to write one.
        let link = preload::link(subresource, url)
            .replace('\'', "%27")
            .replace('$', "%24");
        writeln!(out, "    add_header Link '{link}';")?;
    }
    writeln!(out, "}}\n")
}

fn html(out: &mut impl io::Write, page: &str, links: &Links<'_>) -> io::Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    writeln!(out, "<!-- {page} -->")?;
    links
        .iter()
        .try_for_each(|(subresource, url)| writeln!(out, "{}", tag(subresource, url)))?;
    writeln!(out)
}

fn tag(subresource: &Subresource, url: &SiteUrl) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;");
    let mut tag = if subresource.destination == Destination::Module {
        "<link rel=\"modulepreload\"".to_owned()
    } else {
        format!(
            "<link rel=\"preload\" as=\"{}\"",
            subresource.destination.as_str()
        )
    };
    let mut attribute = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string never fails.
            let _ = write!(tag, " {name}=\"{}\"", escaped(value));
        }
    };
    attribute("href", url.target());
    attribute("type", &subresource.content_type);
    attribute("media", &subresource.media);
    if let Some((candidates, sizes)) = &subresource.image_candidates {
        attribute("imagesrcset", candidates);
        attribute("imagesizes", sizes);
    }
    tag += match subresource.crossorigin {
        Some(Crossorigin::UseCredentials) => " crossorigin=\"use-credentials\">",
        Some(Crossorigin::Anonymous) => " crossorigin>",
        None if subresource.destination == Destination::Font => " crossorigin>",
        None => ">",
    };
    tag
}
