//! Searches over the real server on simulated links, on pages whose best plan is known; and what
//! becomes of plans that should not be kept.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::found::{OnLink, Sent};
use super::seeker::Place;
use super::*;
use crate::measure::delivery::Delivery;
use crate::measure::findings::Visit;
use crate::measure::link::LinkOptions;
use crate::measure::page_load::LoadOptions;
use crate::measure::search::{End, Outcome};
use crate::measure::stage::{Run, Stage};
use crate::site::plan::Overrides;

/// Two pages: one whose style sheet imports another and that shows a large picture, and one that
/// needs nothing.
fn site() -> (TempDir, SiteOptions) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    write(
        "index.html",
        b"<!doctype html><link rel=stylesheet href=/a.css><p>Text</p><img src=/large.png>",
    );
    write("alone.html", b"<!doctype html><p>Text");
    write("a.css", b"@import '/b.css'; p { color: red }");
    write("b.css", b"p { margin: 0 }");
    // Nothing that could be compressed.
    let noise: Vec<_> = (0..300_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
        .collect();
    write("large.png", &noise);
    let site = SiteOptions::new(folder.path());
    (folder, site)
}

fn slow() -> LinkOptions {
    LinkOptions::profile("slow-4g").unwrap()
}

/// Conditions without what is held out by default, which takes long.
fn conditions(links: &[LinkOptions]) -> Conditions {
    Conditions {
        places: links
            .iter()
            .map(|link| Place::new(link.clone(), false))
            .chain([Place::new(LinkOptions::profile("cable").unwrap(), true)])
            .collect(),
        client: LoadOptions::default(),
        think: Duration::ZERO,
    }
}

fn seek(site: &SiteOptions, conditions: &Conditions, page: &str) -> Best {
    let seeker = Seeker::open(site, conditions).unwrap();
    seeker.seek(UrlPath::parse(page).unwrap(), &|| ControlFlow::Continue(()))
}

fn urls(plan: &[Sent]) -> Vec<&str> {
    plan.iter().map(|sent| sent.url.as_str()).collect()
}

#[test]
fn a_style_sheet_that_another_imports_is_pushed_and_a_large_picture_is_not() {
    let (_folder, site) = site();
    let conditions = conditions(&[slow()]);
    let best = seek(&site, &conditions, "/");
    let mut pushed = urls(&best.plan);
    pushed.sort_unstable();
    assert_eq!(pushed, ["/a.css", "/b.css"]);
    assert_eq!((best.candidates, best.end), (3, End::Converged));
    for link in &best.links {
        let found = link.found.unwrap();
        // The hidden level and the one that the document names: two round trips.
        let least = found.first_render + link.round_trip * 19 / 10;
        assert!(link.none.first_render > least, "{link:?}");
        assert!(link.bound.unwrap() <= found.first_render, "{link:?}");
        assert_eq!(link.harm().count(), 0);
    }
    assert_eq!(best.verdict(&conditions.places), Verdict::OwnAsGood);
}

#[test]
fn where_nothing_helps_nothing_is_pushed() {
    let (_folder, site) = site();
    let conditions = conditions(&[LinkOptions::instant()]);
    for page in ["/alone.html", "/"] {
        let best = seek(&site, &conditions, page);
        assert_eq!(urls(&best.plan), Vec::<&str>::new());
        assert_eq!(best.verdict(&conditions.places), Verdict::OwnAsGood);
    }
}

#[test]
fn what_is_saved_attains_what_was_promised() {
    let (folder, site) = site();
    let conditions = conditions(&[slow()]);
    let best = seek(&site, &conditions, "/");
    let path = folder.path().join("push.toml");
    let mut file = PushFile::open(&path).unwrap();
    file.put(&best.page, &best.plan);
    file.write("slow-4g").unwrap();
    let overrides = Overrides::parse(&fs::read_to_string(&path).unwrap()).unwrap();
    let load = |delivery: &Delivery| {
        let stage = Stage::open(&site).unwrap();
        let run = Run {
            page: &best.page,
            delivery,
            visit: Visit::First,
            link: &slow(),
            client: conditions.client,
            think: Duration::ZERO,
        };
        stage.load(&run).unwrap().marks.first_render
    };
    let promised = best.links[0].found.unwrap().first_render;
    assert_eq!(load(&Delivery::plan("saved", overrides)), promised);
    // And as `serve` reads it, in the site.
    let pushed = &Delivery::all()[3];
    assert_eq!((pushed.name.as_str(), load(pushed)), ("push", promised));
    // A plan that is there has no say in what is sought, nor in what it is compared with.
    fs::write(&path, "[\"/\"]\npush = [\"/large.png\"]\n").unwrap();
    let again = seek(&site, &conditions, "/");
    assert_eq!((&again.plan, &again.own), (&best.plan, &best.own));
}

/// Runs a search over all pages, and returns what is said.
fn said(site: &SiteOptions, conditions: &Conditions) -> String {
    let pages = work::chosen(site, &[]).unwrap();
    let mut out = Vec::new();
    Hunt {
        site,
        pages: &pages,
        conditions,
        stopped: &AtomicBool::new(false),
        bar: &ProgressBar::hidden(),
    }
    .run(|best, _| words::page(&mut out, best, &conditions.places, Style::plain()))
    .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_search_says_the_same_twice() {
    let (folder, site) = site();
    fs::copy(
        folder.path().join("index.html"),
        folder.path().join("x.html"),
    )
    .unwrap();
    let lossy = LinkOptions {
        loss: 0.02,
        ..slow()
    };
    let conditions = conditions(&[lossy]);
    let first = said(&site, &conditions);
    let pages: Vec<_> = first.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(pages, ["/", "/alone.html", "/x.html"]);
    assert_eq!(first, said(&site, &conditions));
    let widest = first.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{first}");
}

#[test]
fn a_search_that_is_stopped_is_not_saved() {
    let (_folder, site) = site();
    let conditions = conditions(&[slow()]);
    let loads = Cell::new(0);
    let seeker = Seeker::open(&site, &conditions).unwrap();
    let best = seeker.seek(UrlPath::parse("/").unwrap(), &|| {
        loads.set(loads.get() + 1);
        if loads.get() < 4 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    assert_eq!(best.end, End::Interrupted);
    assert!(!best.plan.is_empty());
    check_kept(&[best], "", "push.toml is not written", &["not saved: /"]);
}

fn at(first_render_ms: u64) -> Outcome {
    let time = Duration::from_millis(first_render_ms);
    Outcome {
        first_render: time,
        largest_content: time,
        load: time,
        bytes_wasted: 0,
    }
}

/// A page with first renders of nothing, of serve's own plan and of what was found: where it was
/// sought, and where it was held out.
fn page(name: &str, sought: [u64; 3], held_out: [u64; 3]) -> Best {
    let sent = |url: &str| Sent {
        url: url.to_owned(),
        bytes: 10_000,
    };
    let link = |place, [none, own, found]: [u64; 3]| OnLink {
        place,
        round_trip: Duration::from_millis(100),
        none: at(none),
        own: Some(at(own)),
        found: Some(at(found)),
        bound: None,
    };
    Best {
        page: UrlPath::parse(name).unwrap(),
        plan: vec![sent("/a.css")],
        own: vec![sent("/a.css"), sent("/b.woff2")],
        candidates: 4,
        links: vec![link(0, sought), link(1, held_out)],
        loads: 100,
        end: End::Converged,
        failure: None,
    }
}

/// Checks what becomes of a file, and the lines that say so.
#[track_caller]
fn check_kept(best: &[Best], before: &str, first: &str, others: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("push.toml");
    if !before.is_empty() {
        fs::write(&path, before).unwrap();
    }
    let file = PushFile::open(&path).unwrap();
    let said = keep(file, best, &conditions(&[slow()])).unwrap();
    let said = said.replace(&format!("{}/", folder.path().display()), "");
    let mut lines = said.lines();
    assert!(lines.next().unwrap().starts_with(first), "{said}");
    assert_eq!(lines.collect::<Vec<_>>(), others, "{said}");
    check_written(&path, before, first);
}

#[track_caller]
fn check_written(path: &Path, before: &str, first: &str) {
    let after = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(after != before, first.starts_with("saved"), "{after}");
}

#[test]
fn only_what_is_better_than_the_own_plan_is_saved() {
    let better = page("/better.html", [1000, 900, 700], [500, 450, 400]);
    let as_good = page("/as-good.html", [1000, 710, 700], [500, 405, 400]);
    let hurts = page("/hurts.html", [1000, 900, 700], [500, 450, 560]);
    let lucky = page("/lucky.html", [1000, 900, 700], [500, 500, 510]);
    let own_better = page("/own-better.html", [1000, 900, 700], [500, 400, 460]);
    let nothing = Best {
        plan: Vec::new(),
        ..page("/nothing.html", [1000, 1200, 1000], [500, 500, 500])
    };
    let places = conditions(&[slow()]).places;
    let all = [better, as_good, hurts, lucky, own_better, nothing];
    let verdicts: Vec<_> = all.iter().map(|best| best.verdict(&places)).collect();
    let expected = [
        Verdict::Better,
        Verdict::OwnAsGood,
        Verdict::Hurts,
        Verdict::Lucky,
        Verdict::OwnBetter,
        Verdict::Nothing,
    ];
    assert_eq!(verdicts, expected);
    check_kept(
        &all,
        "[\"/as-good.html\"]\npush = []\n[\"/hurts.html\"]\npush = []\n[\"/x.html\"]\npush = []\n",
        "saved in push.toml: /better.html, /nothing.html",
        &[
            "taken out, since serve's own plan is as good: /as-good.html",
            "not saved: /hurts.html, /lucky.html, /own-better.html",
            "other plans in the file stay as they were: 2",
        ],
    );
    let none = "push.toml is not written: nothing is better than serve's own plans";
    check_kept(&all[2..3], "", none, &["not saved: /hurts.html"]);
}

#[test]
fn harm_is_said_and_never_recommended() {
    let places = conditions(&[slow()]).places;
    let mut out = Vec::new();
    let best = page("/", [1000, 1100, 700], [500, 450, 560]);
    words::page(&mut out, &best, &places, Style::plain()).unwrap();
    let said = String::from_utf8(out).unwrap();
    insta::assert_snapshot!(said, @r"

    /
      push 1 of 4, 10.0 kB: from 12 % later to 30 % earlier than without
      not recommended, and not saved: later on cable
        1  /a.css  10.0 kB
           serve's own plan sends 1 more, 10.0 kB
      sought on                                 none     serve's own           found   bound
        slow-4g                                1,000   1,100   -10 %     700   +30 %
      held out
        cable                                    500     450   +10 %     560   -12 %
      it hurts on cable:
        first render 60 ms later, largest content 60 ms later, load 60 ms later
      serve's own plan hurts on slow-4g:
        first render 100 ms later, largest content 100 ms later, load 100 ms later
      100 loads; no small change is better
    ");
}
