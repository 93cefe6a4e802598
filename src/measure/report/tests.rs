//! Reports of findings made up by hand: their words, their shape, and what hostile names do to
//! them.

mod fixture;
mod markup;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::measure::findings::{Findings, Visit};
use crate::measure::sample::{Comparison, Verdict};
use crate::terminal::Style;

use super::{COLUMNS_MAX, Pages, check, html, picture, save, write_har, write_json, write_table};
use super::{effect, headline, sentence};
use markup::{attributes, check_balanced};

const HOSTILE: &str =
    "/\"'><script>alert(1)</script></style><img src=x onerror=alert(2)>\u{1b}[2J\u{202e}";

#[track_caller]
fn sentences(findings: &Findings) -> String {
    let groups = effect::groups(findings);
    let said: Vec<_> = groups.iter().map(sentence::of_page).collect();
    broken(&said.join("\n"))
}

/// Breaks sentences where they pause, so that they fit the page.
fn broken(sentence: &str) -> String {
    sentence.replace("; ", ";\n  ")
}

fn table(findings: &Findings, pages: Pages) -> String {
    let mut out = Vec::new();
    write_table(&mut out, findings, pages, Style::plain()).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Value {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn failed() -> Findings {
    let mut findings = fixture::one();
    for row in &mut findings.cells[0].rows {
        row.timeline.failure = Some("it redirects without end".to_owned());
    }
    findings
}

fn noisy() -> Findings {
    let mut findings = fixture::one();
    let comparison = Comparison {
        pairs: 31,
        band: 30.0,
        p: 0.01,
        difference: 11.0,
        low: -20.0,
        high: 45.0,
        verdict: Verdict::TooNoisy,
    };
    findings.cells[0].control = Some(comparison);
    for row in &mut findings.cells[0].rows[1..] {
        row.gain = Some(comparison);
    }
    findings
}

fn hostile() -> Findings {
    let mut findings = fixture::three();
    findings.subject = HOSTILE.to_owned();
    findings.client = HOSTILE.to_owned();
    findings.notes = vec![HOSTILE.to_owned()];
    for cell in &mut findings.cells {
        cell.page += HOSTILE;
        cell.link.name += HOSTILE;
        for row in &mut cell.rows[1..] {
            row.delivery += HOSTILE;
            row.timeline.url += HOSTILE;
            for exchange in &mut row.timeline.exchanges {
                exchange.url += HOSTILE;
                exchange.end = crate::measure::timeline::End::Failed(HOSTILE.to_owned());
            }
        }
        cell.rows[3].timeline.failure = Some(HOSTILE.to_owned());
    }
    findings
}

/// A site of many pages, made once.
static MANY: LazyLock<Findings> = LazyLock::new(|| {
    let pages: Vec<(String, u64, usize)> = (0..60)
        .map(|index| (format!("/p/{index}/"), 4_000 + 900 * index, 24))
        .collect();
    let pages: Vec<_> = pages
        .iter()
        .map(|(p, html, n)| (p.as_str(), *html, *n))
        .collect();
    let links = [
        fixture::link("fibre", 8, 100_000_000),
        fixture::link("slow-4g", 150, 1_638_400),
        fixture::link("3g", 300, 700_000),
        fixture::link("satellite", 600, 20_000_000),
    ];
    fixture::findings(&pages, &links)
});

#[test]
fn a_page_is_said_in_one_sentence_and_what_hurts_first() {
    assert_eq!(
        sentences(&fixture::one()),
        "hints and push render / 13 % earlier on slow-4g (1,129 -> 979 ms), link 10 %"
    );
    insta::assert_snapshot!(sentences(&fixture::three()), @"
    push all renders / 23 % later on slow-4g (1,129 -> 1,392 ms);
      19 % on satellite;
      but hints and push render it 13 % earlier on slow-4g (1,129 -> 979 ms), link 10 %;
      nothing on fibre
    push all renders /guide/ 53 % later on slow-4g (1,298 -> 1,985 ms);
      16 % on satellite;
      but link, hints and push render it 16 % earlier on satellite (3,743 -> 3,143 ms);
      12 % on slow-4g;
      nothing on fibre
    push all renders /reference/ 119 % later on slow-4g (1,659 -> 3,636 ms);
      15 % on fibre, 15 % on satellite;
      but link, hints and push render it 14 % earlier on satellite (4,350 -> 3,750 ms);
      9 % on slow-4g
    ");
    insta::assert_snapshot!(broken(&headline(&fixture::three())), @"
    push all renders 3 of 3 pages later on slow-4g, most of all /reference/ by 119 %;
      link, hints and push render pages 14 % earlier on satellite (median of 3)
    ");
    insta::assert_snapshot!(broken(&headline(&MANY)), @"
    push all renders 60 of 60 pages later on 3g, most of all /p/11/ by 168 %;
      link, hints and push render pages 12 % earlier on 3g (median of 60)
    ");
}

#[test]
fn a_sentence_claims_no_more_than_the_numbers() {
    assert_eq!(
        sentences(&noisy()),
        "too noisy to tell whether sending ahead changes when / renders"
    );
    assert_eq!(
        sentences(&failed()),
        "the page did not load: it redirects without end"
    );
    let mut same = fixture::one();
    for row in &mut same.cells[0].rows[1..] {
        row.gain.as_mut().unwrap().verdict = Verdict::NoDifference;
    }
    assert_eq!(
        sentences(&same),
        "nothing that is sent ahead changes when / renders"
    );
    same.cells[0].rows.truncate(1);
    insta::assert_snapshot!(sentences(&same), @"
    / loaded;
      nothing was sent ahead to compare with
    ");
    insta::assert_snapshot!(headline(&Findings::default()), @"nothing was measured");
}

#[test]
fn one_page_has_its_table() {
    insta::assert_snapshot!(table(&fixture::one(), Pages::IfFew), @"
    site/  chromium-103, simulated links, 1 page, 1 link

    /
    hints and push render / 13 % earlier on slow-4g (1,129 -> 979 ms), link 10 %
                    first  largest   Speed
             TTFB  render  content  Index*   load     bytes   pushed  wasted  saved   gain
    slow-4g  150 ms, 1.6 Mbit/s; no plan renders before 881 ms
      none    577   1,129    1,557   1,338  1,628  125.6 kB
      link    577   1,022    1,267   1,148  1,338  125.6 kB                           +10 %
      hints   577     979    1,225   1,106  1,296  125.6 kB                           +13 %
      push    577     979    1,225   1,106  1,296  125.6 kB  89.4 kB              6   +13 %

    milliseconds, medians; gain: first render against none, + is earlier; saved: requests; *
    modelled
    ");
}

#[test]
fn intervals_and_the_control_stand_beside_gains() {
    insta::assert_snapshot!(table(&noisy(), Pages::IfFew), @"
    site/  chromium-103, simulated links, 1 page, 1 link

    /
    too noisy to tell whether sending ahead changes when / renders
                    first  largest   Speed
             TTFB  render  content  Index*   load     bytes   pushed  wasted  saved   gain
    slow-4g  150 ms, 1.6 Mbit/s; no plan renders before 881 ms; none against itself +1 % (-2..4)
      none    577   1,129    1,557   1,338  1,628  125.6 kB
      link    577   1,022    1,267   1,148  1,338  125.6 kB                           +1 % (-2..4) ?
      hints   577     979    1,225   1,106  1,296  125.6 kB                           +1 % (-2..4) ?
      push    577     979    1,225   1,106  1,296  125.6 kB  89.4 kB              6   +1 % (-2..4) ?

    milliseconds, medians; gain: first render against none, + is earlier; saved: requests; *
    modelled; (..): 95 % interval
    ");
}

#[test]
fn many_pages_have_a_summary_and_no_tables() {
    insta::assert_snapshot!(table(&MANY, Pages::IfFew), @"
    site/  chromium-103, simulated links, 60 pages, 4 links
    push all renders 60 of 60 pages later on 3g, most of all /p/11/ by 168 %; link, hints and push
    render pages 12 % earlier on 3g (median of 60)

                   p10  median     p90  earlier  later  best page      worst page
    fibre  8 ms, 100 Mbit/s
      link        +1 %    +3 %    +5 %        0      0  +5 % /p/29/    +1 % /p/5/
      hints       +1 %    +3 %    +5 %        0      0  +5 % /p/0/     +1 % /p/25/
      push        +1 %    +3 %    +5 %        0      0  +5 % /p/0/     +1 % /p/25/
      push all   -18 %   -14 %   -14 %        0     60  -14 % /p/57/   -18 % /p/11/
    slow-4g  150 ms, 1.6 Mbit/s
      link        +9 %   +11 %   +12 %       60      0  +12 % /p/29/   +7 % /p/0/
      hints      +11 %   +12 %   +13 %       60      0  +16 % /p/0/    +11 % /p/25/
      push       +11 %   +12 %   +13 %       60      0  +16 % /p/0/    +11 % /p/25/
      push all  -140 %  -129 %  -119 %        0     60  -117 % /p/59/  -142 % /p/11/
    3g  300 ms, 700 kbit/s
      link       +11 %   +12 %   +13 %       60      0  +13 % /p/11/   +9 % /p/0/
      hints      +11 %   +12 %   +15 %       60      0  +16 % /p/5/    +11 % /p/59/
      push       +11 %   +12 %   +16 %       60      0  +19 % /p/0/    +11 % /p/59/
      push all  -167 %  -155 %  -141 %        0     60  -138 % /p/59/  -168 % /p/11/
    satellite  600 ms, 20 Mbit/s
      link      +0.3 %  +0.6 %   +16 %       28      0  +16 % /p/29/   +0.3 % /p/5/
      hints     +0.3 %  +0.6 %   +16 %       28      0  +16 % /p/0/    +0.3 % /p/25/
      push      +0.3 %  +0.6 %   +16 %       28      0  +16 % /p/0/    +0.3 % /p/25/
      push all   -40 %   -32 %   -18 %        0     60  -18 % /p/44/   -40 % /p/11/

    --page /p/0/ shows one page, --html draws them

    milliseconds, medians; gain: first render against none, + is earlier; saved: requests; *
    modelled
    ");
    assert!(table(&MANY, Pages::All).contains("\n/p/59/\n"));
}

#[test]
fn a_table_fits_a_terminal() {
    for findings in [&fixture::three(), &*MANY, &noisy()] {
        let text = table(findings, Pages::All);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(COLUMNS_MAX), "{widest:?} columns:\n{text}");
    }
}

#[test]
fn visits_are_told_apart() {
    let mut findings = fixture::one();
    let mut again = findings.cells[0].clone();
    again.visit = Visit::Repeat;
    findings.cells.push(again);
    assert!(table(&findings, Pages::IfFew).contains("\n/  repeat visit\n"));
    assert!(html(&findings).contains("<small>repeat visit</small>"));
}

#[test]
fn what_was_interrupted_failed_or_left_out_is_said_everywhere() {
    let mut findings = failed();
    findings.interrupted = true;
    findings.notes = vec!["3 resources of other origins were left out".to_owned()];
    for text in [table(&findings, Pages::IfFew), html(&findings)] {
        assert!(text.contains(super::INTERRUPTED), "{text}");
        assert!(text.contains("3 resources of other origins were left out"));
        assert!(text.contains("the page did not load: it redirects without end"));
    }
}

#[test]
fn json_has_everything_with_its_unit() {
    let document = parsed(|out| write_json(out, &fixture::three()));
    assert_eq!(document["cells"].as_array().unwrap().len(), 9);
    let cell = &document["cells"][1];
    assert_eq!(cell["link"]["round_trip_ms"], 150.0);
    assert_eq!(cell["link"]["down_bits_per_second"], 1_638_400);
    let push = &cell["deliveries"][3];
    assert_eq!(push["delivery"], "push");
    let without = cell["deliveries"][0]["first_render_ms"]["p50"]
        .as_f64()
        .unwrap();
    let with = push["first_render_ms"]["p50"].as_f64().unwrap();
    let gain = &push["first_render_gain"];
    assert!((gain["difference_ms"].as_f64().unwrap() - (without - with)).abs() < 1e-6);
    assert_eq!(gain["verdict"], "faster");
    assert!(cell["deliveries"][0]["first_render_gain"].is_null());
    let exchange = &push["timeline"]["exchanges"][1];
    assert_eq!(
        (&exchange["way"], &exchange["asked_ms"]),
        (&"pushed".into(), &Value::Null)
    );
    assert!(exchange["pieces_ms_bytes"][0][1].as_u64().unwrap() > 0);
    assert_eq!(document["spreads"][0]["pages"], 3);
}

/// Checks the required fields of HTTP Archive 1.2, and that phases add up.
#[test]
fn an_http_archive_is_complete() {
    let mut findings = fixture::three();
    findings.cells[0].rows[1].timeline.exchanges[2].url += "?v=1&w=a%20b#top";
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
    let document = parsed(|out| write_har(out, &findings, start));
    let log = &document["log"];
    assert_eq!(log["version"], "1.2");
    assert!(log["creator"]["name"].is_string() && log["creator"]["version"].is_string());
    let pages = log["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 9 * 5);
    let mut ids = std::collections::BTreeSet::new();
    for page in pages {
        assert_eq!(page["startedDateTime"], "1970-01-01T00:00:01.500000Z");
        assert!(page["title"].is_string() && page["pageTimings"]["onLoad"].is_number());
        assert!(ids.insert(page["id"].as_str().unwrap()), "ids are unique");
    }
    let entries = log["entries"].as_array().unwrap();
    for entry in entries {
        assert!(ids.contains(entry["pageref"].as_str().unwrap()));
        let (request, response) = (&entry["request"], &entry["response"]);
        for part in [request, response] {
            for (field, is_right) in [
                ("httpVersion", part["httpVersion"].is_string()),
                ("cookies", part["cookies"].is_array()),
                ("headers", part["headers"].is_array()),
                ("headersSize", part["headersSize"].is_number()),
                ("bodySize", part["bodySize"].is_number()),
            ] {
                assert!(is_right, "{field}: {entry}");
            }
        }
        assert!(request["url"].is_string() && request["queryString"].is_array());
        assert!(response["status"].is_number() && response["content"]["mimeType"].is_string());
        assert!(response["redirectURL"].is_string() && entry["cache"].is_object());
        let timings = &entry["timings"];
        let phases = ["blocked", "send", "wait", "receive"].map(|p| timings[p].as_f64().unwrap());
        let sum: f64 = phases.iter().sum();
        assert!(phases.iter().all(|phase| *phase >= 0.0), "{entry}");
        assert!(
            (entry["time"].as_f64().unwrap() - sum).abs() < 1e-6,
            "{entry}"
        );
    }
    let query = |entry: &&Value| entry["request"]["queryString"][1]["value"] == "a b";
    let with_query = entries.iter().find(query).expect("the query is split");
    assert!(!with_query["request"]["url"].as_str().unwrap().contains('#'));
}

#[test]
fn a_report_is_one_document_that_loads_nothing() {
    for findings in [
        fixture::one(),
        fixture::three(),
        noisy(),
        failed(),
        Findings::default(),
        hostile(),
    ] {
        let document = html(&findings);
        check_balanced(&document);
        for (name, value) in attributes(&document) {
            let is_inside = match name.as_str() {
                "src" | "srcset" | "poster" | "data" | "action" | "formaction" => false,
                "href" => value.starts_with("#p"),
                name => !name.starts_with("on"),
            };
            assert!(is_inside, "{name}={value}");
        }
        for place in document
            .match_indices("url(")
            .map(|(at, _)| &document[at + 4..])
        {
            let is_inside = place.starts_with("data:font/woff2;base64,") || place.starts_with('#');
            assert!(is_inside, "url({}", &place[..40]);
        }
        assert!(!document.contains("@import"));
    }
}

#[test]
fn hostile_names_stay_names() {
    let findings = hostile();
    let document = html(&findings);
    assert_eq!(document.matches("<script").count(), 1);
    assert!(!document.contains("<img"));
    assert!(document.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let text = table(&findings, Pages::All);
    for text in [&document, &text] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }
    let drawn = picture(&findings.cells[1], &findings.cells[1].rows[2].delivery).unwrap();
    check_balanced(&drawn);
    assert!(!drawn.contains("<script"));
}

#[test]
fn a_report_draws_without_its_script_and_lets_no_other_run() {
    let document = html(&fixture::three());
    let (drawn, script) = document.split_once("<script>").unwrap();
    // A picture for each page, link and delivery, before the script.
    assert_eq!(drawn.matches("<figure class=\"load\">").count(), 3 * 3 * 5);
    assert!(drawn.matches(" checked>").count() == 3 + 3 * 3);
    assert!(!drawn.contains("display:none") || !drawn.contains("hidden><svg"));
    let script = script.split_once("</script>").unwrap().0;
    let allowed = format!("script-src 'sha256-{}'", html::digest(script));
    assert!(document.contains(&allowed));
    assert!(document.contains("default-src 'none'"));
}

#[test]
fn the_digest_is_the_one_that_browsers_compute() {
    // FIPS 180-4, the digest of "abc".
    let known = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    assert_eq!(html::digest("abc"), known);
}

#[test]
fn a_report_of_many_pages_stays_small_and_draws_what_says_most() {
    let document = html(&MANY);
    check_balanced(&document);
    assert!(document.len() < 2_000_000, "{} bytes", document.len());
    for why in [
        "the largest gain",
        "the largest loss",
        "the page in the middle",
    ] {
        assert!(document.contains(why), "{why}");
    }
    assert!(document.contains("pages are counted and not drawn"));
    // What the table links to is there, or is no link.
    let links = attributes(&document)
        .into_iter()
        .filter(|(name, _)| name == "href");
    for (_, target) in links {
        let id = format!("id=\"{}\"", target.trim_start_matches('#'));
        assert!(document.contains(&id), "{target}");
    }
}

#[test]
fn the_same_findings_make_the_same_bytes() {
    let (first, second) = (fixture::three(), fixture::three());
    assert_eq!(html(&first), html(&second));
    assert_eq!(
        parsed(|o| write_json(o, &first)),
        parsed(|o| write_json(o, &second))
    );
}

#[test]
fn a_picture_is_a_file_of_its_own() {
    let findings = fixture::three();
    let drawn = picture(&findings.cells[1], "push").unwrap();
    check_balanced(&drawn);
    assert!(drawn.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    assert!(drawn.contains("class=\"idle\"") && drawn.contains("class=\"ghost\""));
    assert!(picture(&findings.cells[1], "no such delivery").is_none());
}

#[test]
fn a_report_that_cannot_be_written_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    check(&path).unwrap();
    assert!(!path.exists(), "a check leaves nothing behind");
    save(&path, |file| {
        file.write_all(html(&fixture::one()).as_bytes())
    })
    .unwrap();
    check(&path).unwrap();
    let saved = std::fs::read_to_string(&path).unwrap();
    assert_eq!(saved, html(&fixture::one()));
    for error in [
        check(folder.path()).unwrap_err(),
        check(&folder.path().join("no/such.html")).unwrap_err(),
        save(folder.path(), |_| Ok(())).unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("cannot write `"), "{error}");
    }
}
