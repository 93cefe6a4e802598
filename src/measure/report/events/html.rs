//! Events as one page of HTML, with the picture and the numbers, and nothing outside it.

use std::time::Duration;

use crate::measure::events::{EventFindings, Heard};
use crate::measure::report::html::frame;
use crate::measure::report::svg::escape;
use crate::measure::report::words::{link, ms, plain};

use super::{bytes, legend, picture, requests, round_trips, sentence};

/// Returns findings as one page of HTML.
pub fn html(found: &EventFindings) -> String {
    let mut body = String::new();
    put!(
        body,
        "<div class=\"title\"><h1>{}</h1><p class=\"facts\">{}</p><p class=\"note lead\">{}</p>\
         </div><figure>{}</figure>",
        escape(&sentence::headline(found)),
        escape(&super::facts(found).join(" \u{b7} ")),
        escape(&sentence::waiting(found)),
        picture::drawing(found, "figure>svg{max-width:100%;height:auto}")
    );
    for cell in &found.cells {
        put!(
            body,
            "<h3>{} <small>{}</small></h3><div class=\"scroll\"><table><thead><tr><th></th>\
             <th>median</th><th>p95</th><th>round trips</th><th>requests an event</th>\
             <th>down</th><th>up</th><th>requests an idle minute</th><th>down</th><th>up</th></tr>\
             </thead><tbody>",
            escape(&plain(&cell.link.name)),
            escape(&link(&cell.link))
        );
        for heard in &cell.ways {
            row(&mut body, found, cell.link.round_trip, heard);
        }
        body.push_str("</tbody></table></div>");
    }
    put!(body, "<p class=\"note\">{}.</p>", escape(&legend(found)));
    frame("channels", "what it costs to hear events", &body)
}

fn row(body: &mut String, found: &EventFindings, round_trip: Duration, heard: &Heard) {
    let (event, idle) = (heard.per_event(), found.per_idle_minute(heard));
    let median = heard.delay_ms(50.0);
    put!(body, "<tr><th>{}</th>", heard.way.name());
    for text in [
        format!("{} ms", ms(median)),
        format!("{} ms", ms(heard.delay_ms(95.0))),
        round_trips(median, round_trip).unwrap_or_default(),
        requests(event.requests),
        bytes(event.down),
        bytes(event.up),
        requests(idle.requests),
        bytes(idle.down),
        bytes(idle.up),
    ] {
        put!(body, "<td>{text}</td>");
    }
    body.push_str("</tr>");
}
