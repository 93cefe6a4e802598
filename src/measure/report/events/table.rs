//! Events on a terminal: a sentence, and a table of the ways on each link.

use std::io;

use crate::measure::events::{EventFindings, Heard};
use crate::measure::findings::LinkFacts;
use crate::measure::report::table::{Lines, link_line, wrapped};
use crate::measure::report::words::ms;
use crate::terminal::Style;

use super::{bytes, requests, round_trips, sentence};

/// Writes findings for people.
///
/// # Errors
///
/// Whatever writing fails with.
pub fn write_table(
    out: &mut impl io::Write,
    found: &EventFindings,
    style: Style,
) -> io::Result<()> {
    let facts = super::facts(found).join(", ");
    writeln!(out, "{}  {}", style.strong("channels"), style.faint(&facts))?;
    wrapped(out, &sentence::headline(found), str::to_owned)?;
    wrapped(out, &sentence::waiting(found), str::to_owned)?;
    writeln!(out)?;
    let header = [
        "",
        "delay:\nmedian",
        "\np95",
        "round\ntrips",
        "an event:\nrequests",
        "\ndown",
        "\nup",
        "an idle minute:\nrequests",
        "\ndown",
        "\nup",
    ];
    let mut lines = Lines::new(header, "");
    for cell in &found.cells {
        lines.heading(link_line(style, &cell.link, &[]));
        for heard in &cell.ways {
            lines.row(row(found, &cell.link, heard));
        }
    }
    lines.write(out, style)?;
    writeln!(out)?;
    wrapped(out, &super::legend(found), |line| style.faint(line))
}

fn row(found: &EventFindings, link: &LinkFacts, heard: &Heard) -> Vec<String> {
    let (event, idle) = (heard.per_event(), found.per_idle_minute(heard));
    let median = heard.delay_ms(50.0);
    vec![
        format!("  {}", heard.way.name()),
        ms(median),
        ms(heard.delay_ms(95.0)),
        round_trips(median, link.round_trip).unwrap_or_default(),
        requests(event.requests),
        bytes(event.down),
        bytes(event.up),
        requests(idle.requests),
        bytes(idle.down),
        bytes(idle.up),
    ]
}
