//! `forerun measure` as a whole: a site in, a report out; what repeats, and what goes wrong.

use std::time::Duration;

use forerun::measure::delivery::Delivery;
use forerun::measure::findings::Visit;
use forerun::measure::link::LinkOptions;
use forerun::measure::page_load::Client;
use forerun::measure::{MeasureOptions, Output, Subject, write_report};
use forerun::site::SiteOptions;
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::lay_out;

/// Pages with everything that could come in another order: files that are missing, a frame, an
/// import, a font.
const SITE: &str = "
    //- /index.html
    <!doctype html><title>one</title>
    <link rel=stylesheet href=/a.css><link rel=stylesheet href=/missing.css>
    <script src=/missing.js></script><script src=/a.js></script>
    <h1>one</h1><img src=/missing.png><img src=/b.png><iframe src=/two/></iframe>
    <img src=https://elsewhere.example/c.png>
    //- /two/index.html
    <!doctype html><title>two</title><link rel=stylesheet href=/b.css><p>two
    //- /a.css size=20000
    @import '/b.css'; @font-face { font-family: F; src: url(/f.woff2) } h1 { font-family: F }
    //- /b.css
    p { color: green }
    //- /a.js size=9000
    let a
    //- /b.png size=30000
    //- /f.woff2 size=12000
";

/// A measurement of a site, few of everything.
struct Measure {
    directory: TempDir,
    options: MeasureOptions,
}

impl Measure {
    fn of(fixture: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("site");
        lay_out(&root, fixture);
        let options = MeasureOptions {
            subject: Subject::Site {
                site: SiteOptions::new(root),
                pages: Vec::new(),
                links: vec![link("slow-4g")],
                think: Duration::ZERO,
            },
            deliveries: Vec::from(Delivery::all()),
            visits: vec![Visit::First],
            client: Client::Chromium103,
            client_delay: Duration::from_millis(10),
            timeout: Duration::from_mins(2),
            repeat: 1,
            search: None,
            validate: false,
            output: Output::default(),
        };
        Self { directory, options }
    }

    fn with(mut self, change: impl FnOnce(&mut MeasureOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn over(mut self, names: &[&str]) -> Self {
        let Subject::Site { links, .. } = &mut self.options.subject else {
            unreachable!("it is a site");
        };
        *links = names.iter().map(|name| link(name)).collect();
        self
    }

    /// Returns what is printed, and the error at the end of it.
    fn run(&self) -> (String, Option<String>) {
        let mut out = Vec::new();
        let error = write_report(&self.options, &mut out).err();
        let root = self.directory.path().to_str().unwrap();
        let text = String::from_utf8(out).unwrap().replace(root, "");
        (
            text,
            error.map(|error| format!("{error:#}").replace(root, "")),
        )
    }

    fn json(mut self) -> Value {
        self.options.output.json = true;
        let (text, error) = self.run();
        assert_eq!(error, None);
        serde_json::from_str(&text).unwrap()
    }
}

fn link(name: &str) -> LinkOptions {
    name.parse().unwrap()
}

/// Checks that a measurement prints the same bytes twice, as a table and as JSON.
#[track_caller]
fn repeats(measure: &Measure) {
    for json in [false, true] {
        let mut options = measure.options.clone();
        options.output.json = json;
        let run = || {
            let mut out = Vec::new();
            write_report(&options, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (first, second) = (run(), run());
        let lines = first.lines().zip(second.lines());
        let differs = lines.enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(differs, None, "first line that differs");
        assert!(first == second && first.len() > 500, "{first}");
    }
}

#[test]
fn simulations_of_several_workers_repeat_to_the_byte() {
    repeats(&Measure::of(SITE).over(&["fibre", "slow-4g", "3g"]));
}

#[test]
fn repeat_visits_repeat_to_the_byte() {
    let visits = vec![Visit::First, Visit::Repeat, Visit::Changed];
    repeats(&Measure::of(SITE).with(|options| options.visits = visits));
}

#[test]
fn lost_packets_are_the_same_in_every_run() {
    let fewer = |options: &mut MeasureOptions| {
        options
            .deliveries
            .retain(|delivery| ["none", "push"].contains(&delivery.name.as_str()));
    };
    repeats(
        &Measure::of(SITE)
            .with(fewer)
            .over(&["rtt=20ms,down=5M,up=1M,loss=2%"]),
    );
}

#[test]
fn every_load_of_a_simulation_is_like_the_first() {
    let (text, error) = Measure::of(SITE).with(|options| options.repeat = 5).run();
    assert_eq!(error, None, "{text}");
}

#[test]
fn on_a_repeat_visit_what_is_held_is_validated() {
    let json = Measure::of(
        "
        //- /index.html
        <!doctype html><title>t</title><link rel=stylesheet href=/a.css><p>text
        //- /a.css size=9000
        p { color: green }
        ",
    )
    .with(|options| options.visits = vec![Visit::Repeat, Visit::Changed])
    .json();
    let ways = |visit: usize, delivery: usize| {
        let exchanges = &json["cells"][visit]["deliveries"][delivery]["timeline"]["exchanges"];
        let exchanges = exchanges.as_array().unwrap().iter();
        let way = |exchange: &Value| format!("{} {}", exchange["way"], exchange["status"]);
        exchanges.map(way).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(ways(0, 0), r#""validated" 304, "validated" 304"#);
    // The tag of a document names what it needs too.
    assert_eq!(ways(1, 0), r#""asked" 200, "asked" 200"#);
}

#[test]
fn a_reader_is_told_what_the_numbers_leave_out() {
    let json = Measure::of(SITE).json();
    let notes: Vec<_> = json["notes"].as_array().unwrap().iter().collect();
    let says = |words: &str| {
        let found = notes
            .iter()
            .any(|note| note.as_str().unwrap().contains(words));
        assert!(found, "{words}: {notes:?}");
    };
    says("no CPU cost is simulated");
    says("/: 1 resource of other origins left out");
}

/// Checks how a measurement that cannot be ends.
#[track_caller]
fn fails(measure: &Measure, why: &str) {
    let (text, error) = measure.run();
    let error = error.unwrap_or_else(|| panic!("it did not fail:\n{text}"));
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_site_without_pages_is_no_measurement() {
    let nothing = Measure::of("//- /a.css\nb {}");
    fails(&nothing, "there is no HTML page in /site");
    fails(&nothing.with(|options| options.repeat = 2), "no HTML page");
    let choose = |options: &mut MeasureOptions| {
        if let Subject::Site { pages, .. } = &mut options.subject {
            *pages = vec!["/three/".to_owned()];
        }
    };
    fails(
        &Measure::of(SITE).with(choose),
        "--page /three/ is no page of /site",
    );
}

#[test]
fn a_page_that_takes_too_long_is_given_up_and_said() {
    let measure = Measure::of(SITE)
        .over(&["rtt=600ms,down=100,up=100"])
        .with(|options| options.timeout = Duration::from_secs(30));
    let (text, error) = measure.run();
    let failure = "the page had not loaded after 30 s: given up";
    assert!(text.contains(failure), "{text}");
    assert_eq!(
        error,
        Some(format!("/ did not load: {failure}; and 1 more did not"))
    );
}

#[test]
fn what_is_no_html_is_still_a_page() {
    for document in [
        "",
        "\u{0}\u{1}\u{fffd}",
        "<",
        "<!--",
        "<p <p <p",
        "<table><a><svg><style>",
    ] {
        let measure = Measure::of(&format!("//- /index.html\n{document}"));
        let (text, error) = measure.run();
        assert_eq!(error, None, "{document:?}: {text}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_loaded() {
    let measure = Measure::of(SITE).with(|options| {
        options.output.html = Some("no/such/report.html".into());
        // It would take hours.
        options.repeat = usize::MAX >> 16;
    });
    let error = forerun::measure::run(&measure.options).unwrap_err();
    assert!(
        format!("{error:#}").starts_with("cannot write `no/such/report.html`"),
        "{error:#}"
    );
}
