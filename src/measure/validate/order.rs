//! In which order what is pushed leaves: waste ahead of what is critical (V7), in the midst of the
//! document (V8), what is held (V10), and too much (V13).

use std::fmt::Write as _;

use super::scene::{Conditions, Scene, bytes, filled, page, pushing};
use super::{CLIENT_DELAY_MS, Finding, milliseconds, signed};
use crate::measure::bound::{SEGMENT, Terms};
use crate::measure::delivery::Delivery;

const KILOBITS: f64 = 1360.0;
const RATE: f64 = KILOBITS * 125.0;

fn on() -> Conditions {
    Conditions::warm(209, KILOBITS, CLIENT_DELAY_MS)
}

fn terms(html: f64, critical: f64) -> Terms {
    Terms {
        round_trip: 0.209,
        rate: RATE,
        window: f64::INFINITY,
        setup: 0.0,
        think: 0.0,
        client_delay: on().client_delay.as_secs_f64(),
        html,
        critical,
    }
}

/// V7. 300 KB pushed ahead of what the first render waits for: F8.
pub(super) fn misordered() -> anyhow::Result<Vec<Finding>> {
    let (html, critical, waste) = (5 * 1024, 10 * 1024, 300 * 1024);
    let head = "<link rel=stylesheet href=/print.css media=print><link rel=stylesheet href=/a.css>";
    let files = vec![
        ("/a.css", filled("", critical)),
        ("/print.css", filled("", waste)),
        ("/large.png", bytes(waste)),
    ];
    let scene = Scene::new(page(html, head, "<img src=/large.png>"), files)?;
    let on = on();
    let push = |urls: &[&str]| scene.load(&pushing(urls)?, &on);
    let none = scene.load(&Delivery::none(), &on)?;
    let alone = push(&["/a.css"])?;
    let (ahead, behind) = (
        push(&["/print.css", "/a.css"])?,
        push(&["/a.css", "/print.css"])?,
    );
    let (image_ahead, image_behind) = (
        push(&["/large.png", "/a.css"])?,
        push(&["/a.css", "/large.png"])?,
    );
    let terms = terms(5.0 * 1024.0, 10.0 * 1024.0);
    let waste = 300.0 * 1024.0;
    let findings = [
        Finding::shares(
            "V7",
            "300 KB for print ahead: against no push (F8)".to_owned(),
            terms.waste_loss(waste) * 1e3,
            ahead.first_render - none.first_render,
            5.0,
        ),
        Finding::shares(
            "V7",
            "300 KB for print ahead: against critical alone (F8)".to_owned(),
            terms.misorder_loss(waste) * 1e3,
            ahead.first_render - alone.first_render,
            5.0,
        ),
        Finding::shares(
            "V7",
            "300 KB for print ahead: load".to_owned(),
            behind.load,
            ahead.load,
            2.0,
        ),
        Finding::times(
            "V7",
            "300 KB of image ahead: against behind (F10)".to_owned(),
            0.0,
            image_ahead.first_render - image_behind.first_render,
            SEGMENT / RATE * 1e3 + 5.0,
        ),
    ];
    let why = "this server sends what blocks rendering before images, however a plan orders them; \
                all style sheets are as urgent, and are sent in the order of the plan";
    Ok(findings.map(|finding| finding.noted(why)).into())
}

/// V8. A style sheet pushed in the midst of a large document: F7.
pub(super) fn interleaved() -> anyhow::Result<Vec<Finding>> {
    let head = "<link rel=stylesheet href=/a.css>";
    let critical = 10 * 1024;
    let [_, _, _, push, _] = Delivery::all();
    let mut findings = Vec::new();
    for kilobytes in [100, 150, 200, 230] {
        let html = page(kilobytes * 1024, head, "");
        let head_length = html.find("<body>").unwrap_or_default();
        let scene = Scene::new(html, vec![("/a.css", filled("", critical))])?;
        let number = |count: usize| u32::try_from(count).map(f64::from);
        let terms = terms(number(kilobytes * 1024)?, number(critical)?);
        let got = terms.with_push() * 1e3 - scene.load(&push, &on())?.first_render;
        findings.push(
            Finding::shares(
                "V8",
                format!("{kilobytes} KB of HTML: against push after it (F7)"),
                terms.interleave_gain(number(head_length)?) * 1e3,
                got,
                5.0,
            )
            .noted(
                "this server never pushes after a document what blocks its rendering: what that \
                 would take is F3",
            ),
        );
    }
    Ok(findings)
}

/// V10. Everything that is pushed is held: F8.
pub(super) fn held() -> anyhow::Result<Vec<Finding>> {
    let head = "<link rel=stylesheet href=/a.css><script src=/a.js></script>";
    let body = "<img src=/a.png>";
    let html = page(5 * 1024, head, body);
    let files = vec![
        ("/before/index.html", page(6 * 1024, head, body)),
        ("/a.css", filled("", 30 * 1024)),
        ("/a.js", filled("", 30 * 1024)),
        ("/a.png", bytes(100 * 1024)),
    ];
    let scene = Scene::new(html, files)?;
    let [none, _, _, _, push_all] = Delivery::all();
    let on = on();
    let none = scene.load_after("/before/", &none, &on)?;
    let push = scene.load_after("/before/", &push_all, &on)?;
    let expected = terms(5.0 * 1024.0, 0.0).misorder_loss(60.0 * 1024.0) * 1e3;
    let got = push.first_render - none.first_render;
    let pushed = push.timeline.totals();
    Ok(vec![Finding {
        tolerance: "not faster".to_owned(),
        holds: Some(got >= 0.0 && push.load >= none.load && pushed.bytes_wasted > 0),
        ..Finding::times(
            "V10",
            format!(
                "{} KB pushed that is held: against none (F8)",
                pushed.bytes_wasted / 1024
            ),
            expected,
            got,
            0.0,
        )
        .noted(
            "this server pushes nothing that the page's validator says is held, so the page is a \
             new one, whose files the client holds from another",
        )
    }])
}

/// V13. A large page: pushing as much as fills the link, and pushing everything.
pub(super) fn large() -> anyhow::Result<Vec<Finding>> {
    let mut head = String::new();
    let mut body = String::new();
    let mut files = Vec::new();
    for index in 0..210 {
        let (path, text) = match index {
            0..10 => {
                let _ = write!(head, "<link rel=stylesheet href=/{index}.css>");
                (format!("/{index}.css"), filled("", 8 * 1024))
            }
            10..30 => {
                let _ = write!(head, "<script defer src=/{index}.js></script>");
                (format!("/{index}.js"), filled("", 15 * 1024))
            }
            _ => {
                let _ = write!(body, "<img src=/{index}.png width=60 height=60>");
                (format!("/{index}.png"), bytes(9 * 1024))
            }
        };
        files.push((path, text));
    }
    let html = page(60 * 1024, &head, &body);
    let named = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.clone()));
    let scene = Scene::new(html, named.collect())?;
    let [none, _, _, _, push_all] = Delivery::all();
    let on = on();
    // 35 KB: the rate times the round trip.
    let some = pushing(&["/0.css", "/1.css", "/2.css", "/3.css"])?;
    let none = scene.load(&none, &on)?.speed_index;
    let gain = |speed_index: f64| (1.0 - speed_index / none) * 100.0;
    let some = gain(scene.load(&some, &on)?.speed_index);
    let all = gain(scene.load(&push_all, &on)?.speed_index);
    let finding = |what: &str, expected: &str, got: f64, holds: bool| Finding {
        case: "V13",
        what: format!("210 files, SpeedIndex {}: {what}", milliseconds(none)),
        expected: expected.to_owned(),
        got: signed(got, " %"),
        error: String::new(),
        tolerance: "±3 %".to_owned(),
        holds: Some(holds),
        note: "",
    };
    Ok(vec![
        finding("push of 32 KB", "0 %", some, some.abs() <= 3.0),
        finding("push all", "-30 %, or 0", all, all <= 3.0),
    ])
}
