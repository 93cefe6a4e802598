//! What is waited for: chains of resources (V6), think time (V9), a bloated send buffer (V12).

use std::time::Duration;

use super::scene::{Conditions, Scene, filled, page, pushing};
use super::{CLIENT_DELAY_MS, Finding, milliseconds, signed};
use crate::measure::bound::{SEGMENT, Terms};
use crate::measure::delivery::Delivery;
use crate::measure::link::SendBuffer;

const ROUND_TRIPS_MS: [u32; 6] = [10, 50, 100, 200, 300, 400];
pub(super) const DEPTH_MAX: u32 = 4;
const CHAIN_KILOBITS: f64 = 10_000.0;

/// V6. A chain of style sheets, each imported by the one before, all pushed: F5.
pub(super) fn chains() -> anyhow::Result<Vec<Finding>> {
    let [none, _, _, push, _] = Delivery::all();
    let mut findings = Vec::new();
    for depth in 1..=DEPTH_MAX {
        let scene = chain(depth)?;
        let mut points = Vec::new();
        for round_trip in ROUND_TRIPS_MS {
            let on = Conditions::warm(u64::from(round_trip), CHAIN_KILOBITS, CLIENT_DELAY_MS);
            let gain = scene.load(&none, &on)?.first_render - scene.load(&push, &on)?.first_render;
            points.push((f64::from(round_trip), gain));
        }
        let (slope, determination) = line(&points);
        let expected = f64::from(depth);
        findings.push(Finding {
            case: "V6",
            what: format!("chain of {depth}: gain by round trip (F5)"),
            expected: format!("{depth} ms/ms"),
            got: format!("{slope:.3} ms/ms"),
            error: signed((slope / expected - 1.0) * 100.0, " %"),
            tolerance: "±5 %, R² 0.99".to_owned(),
            holds: Some((slope / expected - 1.0).abs() <= 0.05 && determination > 0.99),
            note: "",
        });
    }
    Ok(findings)
}

/// Returns a page with a chain of style sheets.
pub(super) fn chain(depth: u32) -> anyhow::Result<Scene> {
    let sheets = (1..=depth).map(|level| {
        let import = format!("@import \"/{}.css\";", level + 1);
        let import = if level < depth { import } else { String::new() };
        (format!("/{level}.css"), filled(&import, 10 * 1024))
    });
    let sheets: Vec<_> = sheets.collect();
    let files = sheets
        .iter()
        .map(|(path, text)| (path.as_str(), text.clone()));
    let html = page(5 * 1024, "<link rel=stylesheet href=/1.css>", "");
    Scene::new(html, files.collect())
}

/// Returns the slope of the line of least squares, and its coefficient of determination.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.iter().fold(0.0, |count, _| count + 1.0);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points
            .iter()
            .map(|point| of(point.0 - x, point.1 - y))
            .sum()
    };
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    (xy / xx, xy * xy / (xx * yy))
}

/// V9. A small page that takes time to make: F9.
pub(super) fn thinking() -> anyhow::Result<Vec<Finding>> {
    const KILOBITS: f64 = 1360.0;
    const ROUND_TRIP_MS: u64 = 209;
    let html = page(1024, "<link rel=stylesheet href=/a.css>", "");
    let critical = 10 * 1024;
    let scene = Scene::new(html, vec![("/a.css", filled("", critical))])?;
    let [none, link, hints, push, _] = Delivery::all();
    let rate = KILOBITS * 125.0;
    let tolerance = SEGMENT / rate * 1e3 + 5.0;
    let mut findings = Vec::new();
    for think in [0, 50, 200, 500] {
        let mut on = Conditions::warm(ROUND_TRIP_MS, KILOBITS, CLIENT_DELAY_MS);
        on.think = Duration::from_millis(think);
        let terms = Terms {
            round_trip: 0.209,
            rate,
            window: f64::INFINITY,
            setup: 0.0,
            think: on.think.as_secs_f64(),
            client_delay: on.client_delay.as_secs_f64(),
            html: 1024.0,
            critical: f64::from(u32::try_from(critical)?),
        };
        let without = scene.load(&none, &on)?.first_render;
        for (delivery, what, expected) in [
            (&link, "Link", 0.0),
            (&hints, "103 (F9)", terms.hints_gain()),
            (&push, "push (F4)", terms.push_gain(0.0)),
        ] {
            let got = without - scene.load(delivery, &on)?.first_render;
            let what = format!("gain, think time {think} ms: {what}");
            findings.push(
                Finding::times("V9", what, expected * 1e3, got, tolerance).noted(
                    "this server promises with the response, so that think time adds nothing to \
                     what a push gains: F4, where F9 would push meanwhile",
                ),
            );
        }
    }
    Ok(findings)
}

/// V12. A style sheet that is asked for while an image of 2 MB is sent, behind a send buffer of
/// 435 KB and behind one that is bounded: F10.
pub(super) fn bloated() -> anyhow::Result<Vec<Finding>> {
    const BUFFER_BYTES: usize = 435_000;
    const KILOBITS: f64 = 1360.0;
    let html = page(
        5 * 1024,
        "<link rel=stylesheet href=/early.css>",
        "<img src=/large.png>",
    );
    let files = vec![
        ("/early.css", filled("@import \"/late.css\";", 1024)),
        ("/late.css", filled("", 1024)),
        ("/large.png", super::scene::bytes(2_000_000)),
    ];
    let scene = Scene::new(html, files)?;
    // It fills the buffer before the style sheet is asked for.
    let delivery = pushing(&["/early.css", "/large.png"])?;
    let mut on = Conditions::warm(209, KILOBITS, CLIENT_DELAY_MS);
    let bounded = scene.load(&delivery, &on)?.first_render;
    on.link.send_buffer = SendBuffer::Whole(BUFFER_BYTES);
    let bloated = scene.load(&delivery, &on)?.first_render;
    // What is on its way is so in both. Behind a full buffer waits what the server would give it at
    // once, up to 64 KiB: half of that in the middle.
    let rate = KILOBITS * 125.0;
    let queued = 435_000.0 + 32_768.0 - rate * 0.209 - 16_384.0;
    let expected = queued / rate * 1e3;
    let what = format!(
        "late style sheet: {} with 16 KiB, {} with 435 KB (F10)",
        milliseconds(bounded),
        milliseconds(bloated)
    );
    let got = bloated - bounded;
    let finding = Finding::shares("V12", what, expected, got, 10.0);
    Ok(vec![finding.noted(
        "half a batch of the server's own waits behind the full buffer",
    )])
}
