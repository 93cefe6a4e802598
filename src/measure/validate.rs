//! How well the simulation agrees with what others measured, and with what formulas say must be.
//!
//! Each case loads made-up pages with the real server, the real loader and the simulated link, as
//! every measurement does; nothing is tuned for a case. The formulas are those of [`bound`]; the
//! measurements those of Bergan, Pelchat and Buettner ("Rules of Thumb for HTTP/2 Push", 2016) and
//! of the unit tests of Lighthouse's simulator, Lantern. Where the server by design does not do
//! what a case assumes, the case says so.
//!
//! [`bound`]: super::bound

mod chance;
mod order;
mod published;
mod scene;
mod waiting;

use std::io::{self, Write as _};

use anyhow::bail;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::terminal::Style;

/// Milliseconds from bytes arriving to the request that they lead to leaving, in every case but V5,
/// which is without by definition. Chosen before any case was run: the published measurements are
/// of a Moto G, for which a simulator of another make fitted their differences best with 70 ms, and
/// about as well with 40 to 120.
pub const CLIENT_DELAY_MS: u64 = 70;

/// What one line of the table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Names the case; several findings may belong to one.
    pub case: &'static str,
    /// What is compared.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
    /// By how much it is off.
    pub error: String,
    /// By how much it may be.
    pub tolerance: String,
    /// Whether it is within; `None` if another line judges.
    pub holds: Option<bool>,
    /// What has to be known to read it.
    pub note: &'static str,
}

/// How thoroughly what is left to chance is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Loads of each page on a link that loses packets.
    pub lossy_loads: usize,
    /// Comparisons of a page with itself.
    pub comparisons: u32,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            lossy_loads: 600,
            comparisons: 400,
        }
    }
}

/// Prints how every case comes out.
///
/// # Errors
/// A case misses, or cannot be run.
pub fn run() -> anyhow::Result<()> {
    let findings = findings(Effort::default())?;
    let mut out = io::stdout().lock();
    write(&mut out, &findings, Style::of_stdout())?;
    out.flush()?;
    let mut missed: Vec<_> = findings
        .iter()
        .filter(|finding| finding.holds == Some(false))
        .map(|finding| finding.case)
        .collect();
    missed.dedup();
    if !missed.is_empty() {
        bail!("the simulation misses {}", missed.join(", "));
    }
    Ok(())
}

/// Runs every case, in the order of their names.
///
/// # Errors
/// A page of a case does not load.
pub fn findings(effort: Effort) -> anyhow::Result<Vec<Finding>> {
    let mut findings = published::lantern()?;
    findings.extend(published::rules_of_thumb()?);
    findings.extend(published::formula()?);
    findings.extend(waiting::chains()?);
    findings.extend(order::misordered()?);
    findings.extend(order::interleaved()?);
    findings.extend(waiting::thinking()?);
    findings.extend(order::held()?);
    findings.extend(chance::harder_links(effort)?);
    findings.extend(waiting::bloated()?);
    findings.extend(order::large()?);
    findings.extend(chance::same(effort)?);
    Ok(findings)
}

/// Writes findings as a table, then what has to be known to read it.
fn write(out: &mut impl io::Write, findings: &[Finding], style: Style) -> io::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    let titles = ["", "what", "expected", "got", "error", "tolerance", ""];
    table.set_header(titles.map(|title| style.faint(title)));
    for column in 2..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut before = "";
    for finding in findings {
        let verdict = match finding.holds {
            Some(true) => "holds".to_owned(),
            Some(false) => style.warning("misses"),
            None => String::new(),
        };
        let case = if finding.case == before {
            ""
        } else {
            finding.case
        };
        before = finding.case;
        let (expected, got) = (&finding.expected, &finding.got);
        let (error, tolerance) = (&finding.error, &finding.tolerance);
        let words = [&finding.what, expected, got, error, tolerance, &verdict];
        let cells = std::iter::once(Cell::new(case)).chain(words.map(Cell::new));
        table.add_row(cells);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    let mut said = Vec::new();
    for finding in findings {
        if !finding.note.is_empty() && !said.contains(&finding.note) {
            said.push(finding.note);
            writeln!(out, "{}: {}", finding.case, finding.note)?;
        }
    }
    writeln!(
        out,
        "client delay {CLIENT_DELAY_MS} ms, chosen before any case was run (V5: none); rates are \
         of what arrives of a body"
    )
}

impl Finding {
    /// Compares times in milliseconds.
    fn times(case: &'static str, what: String, expected: f64, got: f64, tolerance: f64) -> Self {
        Self {
            case,
            what,
            expected: milliseconds(expected),
            got: milliseconds(got),
            error: signed(got - expected, " ms"),
            tolerance: format!("±{tolerance:.0} ms"),
            holds: Some((got - expected).abs() <= tolerance),
            note: "",
        }
    }

    /// Compares times in milliseconds, which may differ by a share of what is expected.
    fn shares(case: &'static str, what: String, expected: f64, got: f64, percent: f64) -> Self {
        let error = (got / expected - 1.0) * 100.0;
        Self {
            error: signed(error, " %"),
            tolerance: format!("±{percent} %"),
            holds: Some(error.abs() <= percent),
            ..Self::times(case, what, expected, got, 0.0)
        }
    }

    /// Says what has to be known to read it.
    fn noted(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }
}

fn milliseconds(milliseconds: f64) -> String {
    format!("{milliseconds:.0} ms")
}

fn signed(number: f64, unit: &str) -> String {
    // No sign before a zero.
    let number = (number * 10.0).round() / 10.0 + 0.0;
    format!("{number:+.1}{unit}")
}
