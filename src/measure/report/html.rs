//! The report as one page of HTML: nothing outside it is loaded, and everything is drawn before a
//! script runs.
//!
//! Names and URLs come from the site that was measured, so all of them are escaped; a policy in the
//! page lets no other script run even so. Read on in [`overview`] (the site), [`page`] (one page)
//! and [`curves`].

mod curves;
mod overview;
mod page;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::measure::findings::{Findings, Visit};

use super::effect::{self, Group};
use super::svg::escape;
use super::{picture, sentence, words};

/// Pages that are drawn: the largest gain, the largest loss, the middle, and what lies between.
const PAGES_DRAWN_MAX: usize = 6;
/// Bytes that the drawn pages take together, unless the first alone takes more.
const DRAWN_BYTES_MAX: usize = 1_500_000;
/// Tabs beside each other: links of a page, or deliveries of a link.
const TABS_MAX: usize = 12;

const STYLE: &str = include_str!("html/report.css");
const SCRIPT: &str = include_str!("html/report.js");
/// The type of this house, under the SIL Open Font License: family, weight, file.
const FONTS: [(&str, u16, &[u8]); 3] = [
    (
        "Besley",
        700,
        include_bytes!("../../../site/fonts/besley-heading.woff2"),
    ),
    (
        "Barlow",
        400,
        include_bytes!("../../../site/fonts/barlow-400.woff2"),
    ),
    (
        "Barlow",
        600,
        include_bytes!("../../../site/fonts/barlow-600.woff2"),
    ),
];

/// Returns findings as one page of HTML.
pub fn html(findings: &Findings) -> String {
    let groups = effect::groups(findings);
    let mut out = String::new();
    head(&mut out, &findings.subject, "what sending ahead is worth");
    title(&mut out, findings, &groups);
    let (sections, drawn) = pages(&groups);
    overview::write(&mut out, findings, &groups, &drawn);
    out.push_str(&sections);
    notes(&mut out, findings, groups.len() - drawn.len());
    put!(
        out,
        "</main><div id=\"tip\" role=\"status\" hidden></div><script>{SCRIPT}</script></body>\
         </html>\n"
    );
    out
}

fn head(out: &mut String, subject: &str, what: &str) {
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; font-src data:; script-src 'sha256-{}'",
        digest(SCRIPT)
    );
    put!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\">\
         <title>{}: {}</title><style>",
        escape(subject),
        escape(what)
    );
    for (family, weight, font) in FONTS {
        put!(
            out,
            "@font-face{{font-family:{family};font-weight:{weight};\
             src:url(data:font/woff2;base64,{}) format(\"woff2\")}}",
            STANDARD.encode(font)
        );
    }
    put!(out, "\n{}{}{STYLE}", picture::COLOURS, picture::STYLE);
    // Which pane shows is decided by the boxes before it, so that it needs no script.
    for tab in 1..=TABS_MAX {
        put!(
            out,
            ".tabs>input:nth-of-type({tab}):checked~.pane:nth-of-type({tab}){{display:block}}"
        );
    }
    put!(
        out,
        "</style></head><body><svg class=\"defs\" aria-hidden=\"true\"><defs>{}</defs></svg>",
        picture::PATTERN
    );
}

/// Returns the SHA-256 of a script as a policy names it (Content Security Policy Level 3, section
/// 2.3.1).
pub(super) fn digest(script: &str) -> String {
    use rustls::SupportedCipherSuite::Tls13;
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    match TLS13_AES_128_GCM_SHA256 {
        Tls13(suite) => STANDARD.encode(suite.common.hash_provider.hash(script.as_bytes())),
        // The constant is a suite of TLS 1.3; without a digest the page's script would not run.
        rustls::SupportedCipherSuite::Tls12(_) => String::new(),
    }
}

/// Returns a page that shows something else in the same frame: markup, which is trusted.
pub(super) fn frame(subject: &str, what: &str, body: &str) -> String {
    let mut out = String::new();
    head(&mut out, subject, what);
    banner(&mut out, subject);
    put!(out, "{body}</main></body></html>\n");
    out
}

fn banner(out: &mut String, subject: &str) {
    put!(
        out,
        "<header class=\"head\"><p class=\"mark\">{MARK}forerun measure</p>\
         <p class=\"subject\">{}</p></header><main>",
        escape(subject)
    );
}

fn title(out: &mut String, findings: &Findings, groups: &[Group<'_>]) {
    banner(out, &findings.subject);
    put!(
        out,
        "<div class=\"title\"><h1>{}</h1>",
        sentence_html(&sentence::headline(findings))
    );
    put!(
        out,
        "<p class=\"facts\">{}</p>",
        escape(&super::facts(findings).join(" \u{b7} "))
    );
    if findings.interrupted {
        put!(
            out,
            "<p class=\"warning\">{}</p>",
            escape(super::INTERRUPTED)
        );
    }
    let is_alone = groups.len() == 1;
    if !is_alone {
        let visits = groups.iter().any(|group| group.visit != Visit::First);
        let said = if visits { " on a first visit" } else { "" };
        put!(
            out,
            "<p class=\"note\">Earlier and later are said of the first render{said}, against \
             sending nothing ahead.</p>"
        );
    }
    out.push_str("</div>");
}

/// The mark of this house: two rails, one question, three answers ahead of theirs.
const MARK: &str = "<svg viewBox=\"0 0 32 32\" width=\"30\" height=\"30\" fill=\"none\" \
     stroke=\"currentColor\" \
 stroke-width=\"2.5\" aria-hidden=\"true\"><path d=\"M2 7h28M2 25h28M5 7l7 18\"/><path \
 class=\"mark-ahead\" d=\"M12 25l7-18M16.5 25l7-18M21 25l7-18\"/></svg>";

/// Escapes a sentence, with an arrow for its `->`.
fn sentence_html(sentence: &str) -> String {
    escape(sentence)
        .replace(" -&gt; ", "\u{a0}\u{2192}\u{a0}")
        .replace(" %", "\u{a0}%")
        .replace(" ms", "\u{a0}ms")
}

/// Draws the pages that say most; returns them and their places.
fn pages(groups: &[Group<'_>]) -> (String, Vec<usize>) {
    let mut sections = String::new();
    let mut drawn = Vec::new();
    for (index, why) in chosen(groups) {
        let mut section = String::new();
        page::write(&mut section, &groups[index], index, why);
        // One page of very many resources must not hide the others, but the first is always drawn.
        if drawn.is_empty() || sections.len() + section.len() <= DRAWN_BYTES_MAX {
            sections.push_str(&section);
            drawn.push(index);
        }
    }
    (sections, drawn)
}

/// Chooses the pages that are drawn, each with the reason; all if they are few.
fn chosen(groups: &[Group<'_>]) -> Vec<(usize, &'static str)> {
    if groups.len() <= PAGES_DRAWN_MAX {
        return (0..groups.len()).map(|index| (index, "")).collect();
    }
    let gains = ranked(groups.iter().map(Group::best));
    let losses = ranked(groups.iter().map(Group::worst));
    let mut chosen: Vec<(usize, &'static str)> = Vec::new();
    let mut choose = |place: Option<&(usize, f64)>, why| {
        if let Some(&(index, _)) = place
            && chosen.iter().all(|(other, _)| *other != index)
        {
            chosen.push((index, why));
        }
    };
    choose(gains.first(), "the largest gain");
    choose(
        losses.last().filter(|(_, loss)| *loss < 0.0),
        "the largest loss",
    );
    choose(gains.get(gains.len() / 2), "the page in the middle");
    choose(
        gains.get(gains.len() / 10),
        "a tenth of the pages gains more",
    );
    choose(
        gains.get(gains.len() * 9 / 10),
        "a tenth of the pages gains less",
    );
    choose(gains.last(), "the smallest gain");
    if let (true, false) = (chosen.is_empty(), groups.is_empty()) {
        chosen.push((0, "the first page"));
    }
    chosen.truncate(PAGES_DRAWN_MAX);
    chosen
}

/// Returns the places of numbers, the largest first.
fn ranked(numbers: impl Iterator<Item = Option<f64>>) -> Vec<(usize, f64)> {
    let places = numbers.enumerate();
    let mut ranked: Vec<_> = places
        .filter_map(|(place, number)| Some((place, number?)))
        .collect();
    ranked.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    ranked
}

/// Says what the numbers are, what they leave out, and what was left out of them.
fn notes(out: &mut String, findings: &Findings, not_drawn: usize) {
    out.push_str("<section class=\"notes\"><h2>What to make of it</h2><ul>");
    let mut say = |text: &str| put!(out, "<li>{text}</li>");
    if findings.cells.is_empty() {
        say("Nothing was measured, so there is nothing to show.");
    }
    if findings.simulated {
        say("The links are simulated, the server, TLS and HTTP/2 are real.");
    } else {
        say("Measured over the real network: what was there besides is in the intervals.");
    }
    say(&format!(
        "The client is {}; from bytes arriving to a request leaving it takes {} ms.",
        escape(&findings.client),
        words::ms(words::milliseconds(findings.client_delay))
    ));
    say(
        "First render stands for First Contentful Paint: content of the body was reached, and \
         what blocks rendering is there. Largest content stands for Largest Contentful Paint.",
    );
    say(
        "SpeedIndex and what is drawn when are modelled from weights of resources, not seen on a \
         screen.",
    );
    say("What no plan renders before is a bound from formulas; no plan need reach it.");
    if not_drawn > 0 {
        say(&format!(
            "{} pages are counted and not drawn; each can be measured alone.",
            words::count(not_drawn)
        ));
    }
    for note in &findings.notes {
        say(&escape(note));
    }
    out.push_str("</ul></section>");
}

/// Returns the class that gives a delivery its colour, the same everywhere.
fn colour(delivery: &str) -> &'static str {
    match delivery {
        "none" => "d0",
        "link" => "d1",
        "hints" => "d2",
        "push" => "d3",
        "push all" => "d4",
        // Plans have any name; what matters is that a name keeps its colour.
        name => ["d5", "d6", "d7"][name.len() % 3],
    }
}
