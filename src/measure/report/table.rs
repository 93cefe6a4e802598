//! Findings on a terminal: a sentence and a table for each page; for a site of many pages how their
//! gains spread.
//!
//! At most [`COLUMNS_MAX`] columns wide for names of usual length; painted where somebody looks.

use std::io;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::measure::findings::{self, Findings, Row};
use crate::measure::sample::Verdict;
use crate::measure::timeline::Metric;
use crate::terminal::Style;

use super::effect::{self, Effect, Group, Spread};
use super::sentence;
use super::words::{bytes, count, link, milliseconds, ms, plain, short, signed_percent};

/// Columns that a table may take: a hundred, quoted with an indent.
pub const COLUMNS_MAX: usize = 96;
/// Pages up to which each has its table, unless pages were chosen.
pub const PAGES_SHOWN_MAX: usize = 5;

/// Letters of a delivery's name, with the two columns it is indented.
const NAME_LETTERS_MAX: usize = 12;
/// Letters of a page's name in the summary of a site.
const PAGE_LETTERS_MAX: usize = 22;

/// Which pages have a table of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// All, if there are few: at most [`PAGES_SHOWN_MAX`].
    IfFew,
    /// All: they were chosen by name.
    All,
}

/// Writes findings for people.
///
/// # Errors
///
/// Whatever writing fails with.
pub fn write_table(
    out: &mut impl io::Write,
    findings: &Findings,
    pages: Pages,
    style: Style,
) -> io::Result<()> {
    let groups = effect::groups(findings);
    head(out, findings, &groups, style)?;
    if groups.len() > 1 {
        summary(out, findings, style)?;
    }
    if pages == Pages::All || groups.len() <= PAGES_SHOWN_MAX {
        for group in &groups {
            page(out, findings, group, style)?;
        }
    } else {
        let example = plain(groups[0].page);
        let hint = format!("--page {example} shows one page, --html draws them");
        writeln!(out, "\n{}", style.faint(&hint))?;
    }
    foot(out, findings, style)
}

fn head(
    out: &mut impl io::Write,
    findings: &Findings,
    groups: &[Group<'_>],
    style: Style,
) -> io::Result<()> {
    let facts = super::facts(findings);
    writeln!(
        out,
        "{}  {}",
        style.strong(&plain(&findings.subject)),
        style.faint(&facts.join(", "))
    )?;
    if findings.interrupted {
        writeln!(out, "{}", style.warning(super::INTERRUPTED))?;
    }
    if groups.len() > 1 || groups.is_empty() {
        wrapped(out, &sentence::headline(findings), str::to_owned)?;
    }
    Ok(())
}

/// Writes how gains spread over the pages of a site.
fn summary(out: &mut impl io::Write, findings: &Findings, style: Style) -> io::Result<()> {
    let Some(visit) = effect::first_visit(findings) else {
        return Ok(());
    };
    let spreads = effect::spreads(findings, visit);
    if spreads.iter().all(|spread| spread.effects.len() < 2) {
        return Ok(());
    }
    let header = [
        "",
        "p10",
        "median",
        "p90",
        "earlier",
        "later",
        "best page",
        "worst page",
    ];
    let mut lines = Lines::new(header, "");
    let mut link_before = None;
    for spread in &spreads {
        if link_before != Some(spread.link) {
            link_before = Some(spread.link);
            lines.heading(link_line(style, spread.link, &[]));
        }
        lines.row(summary_row(spread));
    }
    writeln!(out)?;
    lines.write(out, style)
}

fn summary_row(spread: &Spread<'_>) -> Vec<String> {
    let extreme = |place: Option<&(&str, Effect)>| {
        place.map_or(String::new(), |(page, effect)| {
            let gain = signed_percent(effect.percent);
            format!("{gain} {}", short(page, PAGE_LETTERS_MAX))
        })
    };
    vec![
        name(spread.delivery),
        signed_percent(spread.quantile(0.1)),
        signed_percent(spread.quantile(0.5)),
        signed_percent(spread.quantile(0.9)),
        count(spread.with(Verdict::Faster)),
        count(spread.with(Verdict::Slower)),
        extreme(spread.effects.last()),
        extreme(spread.effects.first()),
    ]
}

/// Writes the sentence and the table of a page.
fn page(
    out: &mut impl io::Write,
    findings: &Findings,
    group: &Group<'_>,
    style: Style,
) -> io::Result<()> {
    writeln!(out)?;
    let visit = if effect::groups(findings)
        .iter()
        .all(|g| g.visit == group.visit)
    {
        String::new()
    } else {
        format!("  {}", style.faint(&group.visit.to_string()))
    };
    writeln!(out, "{}{visit}", style.strong(&plain(group.page)))?;
    wrapped(out, &sentence::of_page(group), str::to_owned)?;
    let header = [
        "",
        "\nTTFB",
        "first\nrender",
        "largest\ncontent",
        "Speed\nIndex*",
        "\nload",
        "\nbytes",
        "\npushed",
        "\nwasted",
        "\nsaved",
    ];
    let mut lines = Lines::new(header, "gain");
    for cell in &group.cells {
        lines.heading(link_line(style, &cell.link, &link_notes(cell)));
        for row in &cell.rows {
            match &row.timeline.failure {
                Some(reason) => {
                    let failed = format!("  {}  {}", name(&row.delivery).trim(), plain(reason));
                    lines.heading(style.failure(&failed));
                }
                None => lines.painted_row(page_row(row), gain(style, cell, row)),
            }
        }
    }
    lines.write(out, style)
}

/// Names what there is to say of a page and link besides deliveries.
fn link_notes(cell: &findings::Cell) -> Vec<String> {
    let bound = cell
        .bound
        .map(|bound| format!("no plan renders before {} ms", ms(milliseconds(bound))));
    bound.into_iter().chain(control_words(cell)).collect()
}

/// Says what `none` against itself came to, where that was measured: how much of a gain may be
/// chance.
pub(super) fn control_words(cell: &findings::Cell) -> Option<String> {
    let control = cell.control.as_ref()?;
    let without = effect::baseline(cell)?.median(Metric::FirstRender);
    let percent = |ms: f64| ms / without * 100.0;
    let between = (percent(control.low), percent(control.high));
    (without > 0.0).then(|| {
        let difference = signed_percent(percent(control.difference));
        format!("none against itself {difference} {}", interval(between))
    })
}

/// Names a link, with notes beside it where they fit, else below.
pub(super) fn link_line(style: Style, facts: &findings::LinkFacts, notes: &[String]) -> String {
    let name = plain(&facts.name);
    let mut line = link(facts);
    let mut columns = name.chars().count() + 2 + line.chars().count();
    for note in notes {
        let more = note.chars().count() + 2;
        if columns + more > COLUMNS_MAX {
            put!(line, ";\n  {note}");
            columns = more;
        } else {
            put!(line, "; {note}");
            columns += more;
        }
    }
    // Paint ends with its line.
    let painted: Vec<_> = line.lines().map(|line| style.faint(line)).collect();
    format!("{name}  {}", painted.join("\n"))
}

fn name(delivery: &str) -> String {
    format!("  {}", short(delivery, NAME_LETTERS_MAX))
}

fn page_row(row: &Row) -> Vec<String> {
    let totals = &row.totals;
    let or_nothing = |count: u64, text: String| if count == 0 { String::new() } else { text };
    let mut cells = vec![name(&row.delivery)];
    cells.extend(Metric::ALL.map(|metric| ms(row.median(metric))));
    cells.push(bytes(totals.bytes));
    cells.push(or_nothing(totals.bytes_pushed, bytes(totals.bytes_pushed)));
    cells.push(or_nothing(totals.bytes_wasted, bytes(totals.bytes_wasted)));
    let saved = totals.requests_saved;
    cells.push(if saved == 0 {
        String::new()
    } else {
        count(saved)
    });
    cells
}

fn gain(style: Style, cell: &findings::Cell, row: &Row) -> String {
    let Some(effect) = effect::effect(cell, row) else {
        return String::new();
    };
    let text = gain_words(&effect);
    match effect.verdict {
        Verdict::Faster => style.success(&text),
        Verdict::Slower => style.failure(&text),
        Verdict::NoDifference => style.faint(&text),
        Verdict::TooNoisy => style.warning(&text),
    }
}

/// Writes a gain with its interval, and a question mark where nothing may be said.
pub(super) fn gain_words(effect: &Effect) -> String {
    let mut text = signed_percent(effect.percent);
    if let Some(between) = effect.interval {
        put!(text, " {}", interval(between));
    }
    if effect.verdict == Verdict::TooNoisy {
        text += " ?";
    }
    text
}

/// Writes an interval of parts of a hundred without their sign: `(28..34)`.
fn interval((low, high): (f64, f64)) -> String {
    let number = |value| {
        signed_percent(value)
            .trim_start_matches('+')
            .replace(" %", "")
    };
    format!("({}..{})", number(low), number(high))
}

/// Writes what the numbers are, and what was left out.
fn foot(out: &mut impl io::Write, findings: &Findings, style: Style) -> io::Result<()> {
    if !findings.cells.is_empty() {
        let mut words = "milliseconds, medians; gain: first render against none, + is earlier; \
                         saved: requests; * modelled"
            .to_owned();
        if findings.cells.iter().any(|cell| cell.control.is_some()) {
            words += "; (..): 95 % interval";
        }
        writeln!(out)?;
        wrapped(out, &words, |line| style.faint(line))?;
    }
    for note in &findings.notes {
        wrapped(out, &format!("note: {}", plain(note)), |line| {
            style.warning(line)
        })?;
    }
    Ok(())
}

/// Writes a sentence in lines of at most [`COLUMNS_MAX`].
pub(super) fn wrapped(
    out: &mut impl io::Write,
    sentence: &str,
    paint: impl Fn(&str) -> String,
) -> io::Result<()> {
    let mut line = String::new();
    for word in sentence.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > COLUMNS_MAX {
            writeln!(out, "{}", paint(&line))?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    writeln!(out, "{}", paint(&line))
}

/// A table with headings between its rows, and a last column that may be painted.
pub(super) struct Lines {
    table: Table,
    /// Each heading with the row that it stands before.
    headings: Vec<(usize, String)>,
    /// What ends each row.
    ends: Vec<String>,
    /// The header of what ends each row.
    end_header: &'static str,
}

impl Lines {
    pub(super) fn new<const COLUMNS: usize>(
        header: [&str; COLUMNS],
        end_header: &'static str,
    ) -> Self {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(
                header
                    .iter()
                    .enumerate()
                    .map(|(index, name)| Cell::new(name).set_alignment(alignment(index, name))),
            );
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((u16::from(index > 0), 1));
        }
        Self {
            table,
            headings: Vec::new(),
            ends: Vec::new(),
            end_header,
        }
    }

    pub(super) fn heading(&mut self, text: String) {
        self.headings.push((self.ends.len(), text));
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.painted_row(cells, String::new());
    }

    fn painted_row(&mut self, cells: Vec<String>, end: String) {
        let cells = cells.into_iter().enumerate();
        self.table.add_row(cells.map(|(index, text)| {
            let is_text = index == 0 || text.contains('/');
            let side = if is_text {
                CellAlignment::Left
            } else {
                CellAlignment::Right
            };
            Cell::new(text).set_alignment(side)
        }));
        self.ends.push(end);
    }

    pub(super) fn write(self, out: &mut impl io::Write, style: Style) -> io::Result<()> {
        let lines: Vec<String> = self.table.lines().collect();
        let header = lines.len() - self.ends.len();
        let mut headings = self.headings.into_iter().peekable();
        let mut heading_before = |out: &mut dyn io::Write, row: usize| -> io::Result<()> {
            while let Some((_, text)) = headings.next_if(|(before, _)| *before == row) {
                writeln!(out, "{text}")?;
            }
            Ok(())
        };
        for (index, line) in lines[..header].iter().enumerate() {
            let is_last = index + 1 == header;
            let line = format!("{line}  {}", if is_last { self.end_header } else { "" });
            writeln!(out, "{}", style.faint(line.trim_end()))?;
        }
        for (row, (line, end)) in lines[header..].iter().zip(&self.ends).enumerate() {
            heading_before(out, row)?;
            let line = format!("{line}  {end}");
            writeln!(out, "{}", line.trim_end())?;
        }
        heading_before(out, self.ends.len())
    }
}

fn alignment(index: usize, name: &str) -> CellAlignment {
    if index == 0 || name.contains("page") {
        CellAlignment::Left
    } else {
        CellAlignment::Right
    }
}
