//! The root of `forerun plan`: what would be sent ahead with each page, in order, and why the rest
//! would not.
//!
//! Read on in [`export`] for what other servers are given.

mod export;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::bail;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::site::graph::{Need, Target};
use crate::site::plan::{Item, Plan};
use crate::site::{Entry, Site, SiteOptions, SiteRoot, UrlPath};
use crate::terminal::Style;

/// How the verdict on what is not sent begins.
const NOT_SENT: &str = "no: ";
/// Columns of a table that no terminal bounds.
const PRINTED_WIDTH: u16 = 120;

/// What `forerun plan` was told.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// The site.
    pub site: SiteOptions,
    /// Pages, as paths of the site; empty means all.
    pub pages: Vec<String>,
    /// How it is printed.
    pub format: Format,
}

/// How plans are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// `_headers` of Netlify and Cloudflare Pages.
    Headers,
    /// `<link>` tags.
    Html,
    /// nginx directives.
    Nginx,
}

/// A page with its plan, in the snapshot that it comes from.
struct Planned {
    page: UrlPath,
    site: Arc<Site>,
}

impl Planned {
    fn plan(&self) -> Option<&Plan> {
        self.site.page(self.page.as_str()).map(|page| &page.plan)
    }
}

/// Prints the plans.
///
/// # Errors
/// The site or a page is not there, or standard output fails.
pub fn run(options: &PlanOptions) -> anyhow::Result<()> {
    let planned = plans(options)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    match options.format {
        Format::Table => tables(&mut out, &planned)?,
        Format::Json => json(&mut out, &planned)?,
        Format::Headers | Format::Html | Format::Nginx => {
            for planned in &planned {
                if let Some(plan) = planned.plan() {
                    export::write(&mut out, options.format, &planned.page, plan)?;
                }
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn plans(options: &PlanOptions) -> anyhow::Result<Vec<Planned>> {
    let root = SiteRoot::open(options.site.clone())?;
    let pages = if options.pages.is_empty() {
        root.pages()?
    } else {
        options
            .pages
            .iter()
            .map(|page| UrlPath::parse(page).map_err(|error| anyhow::anyhow!("{page}: {error}")))
            .collect::<anyhow::Result<_>>()?
    };
    let mut planned = Vec::with_capacity(pages.len());
    for page in pages {
        let site = root.prepare_blocking(&page);
        let page = match site.entry(page.as_str()) {
            Some(Entry::File(_)) if site.page(page.as_str()).is_some() => page,
            // `/about` is `about.html`.
            Some(Entry::Directory | Entry::Missing)
                if let Some(found) = site.found(&page)
                    && site.page(found.path.as_str()).is_some() =>
            {
                found.path.clone()
            }
            Some(Entry::File(_)) => bail!("{} is not an HTML page", page.as_str()),
            Some(Entry::Directory) => {
                bail!("{0} is a directory; its page is {0}/", page.as_str())
            }
            Some(Entry::Missing) | None => bail!(
                "{} is not in {}; a page is named by its path on the site",
                page.as_str(),
                options.site.root.display()
            ),
        };
        planned.push(Planned { page, site });
    }
    Ok(planned)
}

fn tables(out: &mut impl io::Write, planned: &[Planned]) -> io::Result<()> {
    let style = Style::of_stdout();
    for (index, planned) in planned.iter().enumerate() {
        let Some(plan) = planned.plan() else { continue };
        if index > 0 {
            writeln!(out)?;
        }
        let (count, bytes) = sent(plan);
        let page = style.strong(planned.page.as_str());
        writeln!(out, "{page}  {count} sent ahead, {}", size(bytes))?;
        if plan.items.is_empty() {
            continue;
        }
        // What is not sent stands last, and steps back.
        let mut faint = false;
        for (index, line) in table(plan).lines().enumerate() {
            let line = line.trim_end();
            faint |= line.contains(NOT_SENT);
            if faint || index == 0 {
                writeln!(out, "{}", style.faint(line))?;
            } else {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}

fn table(plan: &Plan) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "",
            "what",
            "as",
            "bytes",
            "why the page needs it",
            "sent ahead",
        ]);
    if !io::stdout().is_terminal() {
        table.set_width(PRINTED_WIDTH);
    }
    let (ahead, rest): (Vec<_>, Vec<_>) = plan.items.iter().partition(|item| item.skip.is_none());
    for (index, item) in ahead.iter().enumerate() {
        table.add_row(row(plan, item, &(index + 1).to_string()));
    }
    for item in rest {
        table.add_row(row(plan, item, ""));
    }
    table
}

fn row(plan: &Plan, item: &Item, number: &str) -> [Cell; 6] {
    let subresource = &item.subresource;
    let verdict = item
        .skip
        .map_or_else(|| "yes".to_owned(), |skip| format!("{NOT_SENT}{skip}"));
    [
        Cell::new(number).set_alignment(CellAlignment::Right),
        Cell::new(subresource.target.as_str()),
        Cell::new(subresource.destination.as_str()),
        Cell::new(item.file.map_or(String::new(), |file| size(file.length)))
            .set_alignment(CellAlignment::Right),
        Cell::new(why(plan, item)),
        Cell::new(verdict),
    ]
}

/// Says why a page needs an item, and what it hides behind.
fn why(plan: &Plan, item: &Item) -> String {
    let need = need(item.subresource.need);
    match item
        .subresource
        .behind
        .and_then(|index| plan.items.get(index))
    {
        Some(parent) => format!("{need}; behind {}", parent.subresource.target.as_str()),
        None => need.to_owned(),
    }
}

fn need(need: Need) -> &'static str {
    match need {
        Need::RenderBlocking => "blocks rendering",
        Need::Font => "text waits for it",
        Need::ParserBlocking => "the parser waits for it",
        Need::Deferred => "runs once parsed",
        Need::Preloaded => "preloaded by the page",
        Need::Async => "runs whenever it comes",
        Need::Image => "image",
        Need::Other => "other",
    }
}

fn sent(plan: &Plan) -> (usize, u64) {
    plan.sent().fold((0, 0), |(count, bytes), (.., file)| {
        (count + 1, bytes + file.length)
    })
}

/// Writes a number of bytes as people read it: `812 B`, `14.2 kB`, `1.3 MB`.
fn size(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes * 10 + unit / 2) / unit;
    let decimal = |tenths: u64, name: &str| format!("{}.{} {name}", tenths / 10, tenths % 10);
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => decimal(tenths(1_000), "kB"),
        _ => decimal(tenths(1_000_000), "MB"),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    pages: Vec<PageReport<'a>>,
}

#[derive(Serialize)]
struct PageReport<'a> {
    page: &'a str,
    sent: Vec<ItemReport<'a>>,
    bytes: u64,
    skipped: Vec<ItemReport<'a>>,
}

#[derive(Serialize)]
struct ItemReport<'a> {
    url: &'a str,
    r#as: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    need: &'static str,
    depth: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<&'a str>,
    same_origin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    skip: Option<String>,
}

fn json(out: &mut impl io::Write, planned: &[Planned]) -> io::Result<()> {
    let pages = planned
        .iter()
        .filter_map(|planned| {
            let plan = planned.plan()?;
            let (skipped, ahead): (Vec<_>, Vec<_>) =
                plan.items.iter().partition(|item| item.skip.is_some());
            Some(PageReport {
                page: planned.page.as_str(),
                sent: ahead.into_iter().map(|item| report(plan, item)).collect(),
                bytes: sent(plan).1,
                skipped: skipped.into_iter().map(|item| report(plan, item)).collect(),
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &Report { pages })?;
    writeln!(out)
}

fn report<'a>(plan: &'a Plan, item: &'a Item) -> ItemReport<'a> {
    let subresource = &item.subresource;
    ItemReport {
        url: subresource.target.as_str(),
        r#as: subresource.destination.as_str(),
        bytes: item.file.map(|file| file.length),
        need: need(subresource.need),
        depth: subresource.depth,
        behind: subresource
            .behind
            .and_then(|index| plan.items.get(index))
            .map(|parent| parent.subresource.target.as_str()),
        same_origin: matches!(subresource.target, Target::Here(_)),
        skip: item.skip.map(|skip| skip.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_as_it_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["blog", "docs"] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
        }
        for page in ["about.html", "blog.html", "docs/index.html", "docs.html"] {
            std::fs::write(root.path().join(page), "<!doctype html>").unwrap();
        }
        let named = |page: &str| {
            let planned = plans(&PlanOptions {
                site: SiteOptions::new(root.path().to_owned()),
                pages: vec![page.to_owned()],
                format: Format::Table,
            })?;
            assert!(planned.iter().all(|planned| planned.plan().is_some()));
            anyhow::Ok(planned[0].page.as_str().to_owned())
        };
        assert_eq!(named("/about").unwrap(), "/about.html");
        assert_eq!(named("/about.html").unwrap(), "/about.html");
        assert_eq!(named("/blog").unwrap(), "/blog.html");
        assert_eq!(named("/docs/").unwrap(), "/docs/");
        assert!(
            named("/docs")
                .unwrap_err()
                .to_string()
                .contains("its page is /docs/")
        );
        assert!(named("/none").is_err());
    }

    #[test]
    fn sizes_are_read_by_people() {
        assert_eq!(size(812), "812 B");
        assert_eq!(size(14_249), "14.2 kB");
        assert_eq!(size(999_960), "1000.0 kB");
        assert_eq!(size(1_340_000), "1.3 MB");
    }
}
