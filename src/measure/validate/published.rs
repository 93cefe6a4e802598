//! What others measured or printed: V0 (Lantern's unit tests), V1 (rules of thumb) and V5 (the
//! formula printed with them).

use super::scene::{Conditions, Scene, bytes, filled, page};
use super::{CLIENT_DELAY_MS, Finding, milliseconds, signed};
use crate::measure::delivery::Delivery;

const KIB: usize = 1024;
/// The published script.
const SCRIPT_BYTES: usize = 10 * KIB;
/// Above this share of the load a gain is one.
const THRESHOLD: f64 = 0.02;
/// Rows of which the sign has to be right, and in how many of those.
const SIGNS_MIN: usize = 17;
/// Root mean square error of the published gains, in milliseconds.
const ERROR_MAX: f64 = 60.0;

/// A published link: name, round trip in milliseconds and kilobits per second, as measured there.
const INDIA_3G: (&str, u64, f64) = ("3G", 209, 1360.0);
const INDIA_2G: (&str, u64, f64) = ("2G", 1420, 113.0);

/// Kilobytes of HTML, then the times without and with push: 3G and 2G on new connections, 3G and 2G
/// on used ones.
const MEASURED: [(usize, [(f64, f64); 4]); 5] = [
    (
        5,
        [
            (1231.0, 1097.0),
            (7240.0, 6721.0),
            (746.0, 462.0),
            (3876.0, 2691.0),
        ],
    ),
    (
        20,
        [
            (1233.0, 1175.0),
            (7760.0, 7781.0),
            (1378.0, 1161.0),
            (3884.0, 3763.0),
        ],
    ),
    (
        40,
        [
            (1344.0, 1349.0),
            (9136.0, 9164.0),
            (3319.0, 3237.0),
            (5143.0, 5166.0),
        ],
    ),
    (
        80,
        [
            (1532.0, 1537.0),
            (11813.0, 11832.0),
            (5885.0, 5891.0),
            (7899.0, 7910.0),
        ],
    ),
    (
        200,
        [
            (2120.0, 2134.0),
            (19930.0, 19953.0),
            (14142.0, 14150.0),
            (16226.0, 16228.0),
        ],
    ),
];

/// V0. Lantern's vectors at a round trip of 100 ms, TLS included.
pub(super) fn lantern() -> anyhow::Result<Vec<Finding>> {
    let files = [
        ("/0.bin", 0),
        ("/7.bin", 7_300),
        ("/30.bin", 30_000),
        ("/50.bin", 50_000),
    ];
    let mut files: Vec<_> = files
        .map(|(path, length)| (path, bytes(length)))
        .into_iter()
        .collect();
    files.push(("/10m.bin", bytes(10_000_000)));
    let scene = Scene::new(page(0, "", ""), files)?;
    let cold = |flight: Option<u32>, kilobits: Option<f64>| {
        let mut on = Conditions::cold(100, kilobits.unwrap_or(1.0), 0);
        on.link.down = on.link.down.filter(|_| kilobits.is_some());
        on.link.first_flight_segments = flight.or(on.link.first_flight_segments);
        on
    };
    let cases = [
        ("nothing", "/0.bin", cold(None, None), 300.0),
        ("7,300 B", "/7.bin", cold(None, None), 300.0),
        ("50,000 B", "/50.bin", cold(None, None), 500.0),
        (
            "50,000 B, 40 segments first",
            "/50.bin",
            cold(Some(40), None),
            300.0,
        ),
        (
            "10 MB at 8 Mbit/s",
            "/10m.bin",
            cold(None, Some(8000.0)),
            10_500.0,
        ),
    ];
    let mut findings = Vec::new();
    for (what, path, on, expected) in cases {
        let loaded = scene.load_file(path, &on)?;
        let what = format!("Lantern, {what}");
        findings.push(Finding::times("V0", what, expected, loaded.load, 100.0));
    }
    Ok(findings)
}

/// V1. A page with a script in its head, which is pushed or not: the published gains.
pub(super) fn rules_of_thumb() -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let (mut squares, mut signs) = (0.0, 0);
    for (kilobytes, times) in MEASURED {
        let scene = with_script(kilobytes * KIB)?;
        let links = [
            (INDIA_3G, false),
            (INDIA_2G, false),
            (INDIA_3G, true),
            (INDIA_2G, true),
        ];
        for (((name, round_trip, rate), is_warm), (none, push)) in links.into_iter().zip(times) {
            let on = if is_warm {
                Conditions::warm(round_trip, rate, CLIENT_DELAY_MS)
            } else {
                Conditions::cold(round_trip, rate, CLIENT_DELAY_MS)
            };
            let [own_none, own_push] = loads(&scene, &on)?;
            let (expected, got) = (none - push, own_none - own_push);
            let is_right = (expected / none >= THRESHOLD) == (got / own_none >= THRESHOLD);
            squares += (got - expected).powi(2);
            signs += usize::from(is_right);
            let connection = if is_warm { "warm" } else { "cold" };
            findings.push(Finding {
                tolerance: if is_right { "sign right" } else { "sign wrong" }.to_owned(),
                holds: None,
                ..Finding::times(
                    "V1",
                    format!("gain, {kilobytes} KB of HTML, {name}, {connection}"),
                    expected,
                    got,
                    0.0,
                )
            });
        }
    }
    let rows = findings.len();
    let rmse = (squares / f64::from(u32::try_from(rows)?)).sqrt();
    let summary = |what: &str, expected: String, got: String, holds: bool| Finding {
        case: "V1",
        what: what.to_owned(),
        expected,
        got,
        error: String::new(),
        tolerance: String::new(),
        holds: Some(holds),
        note: "",
    };
    findings.push(summary(
        "signs, from 2 % of the load",
        format!("{SIGNS_MIN} of {rows}"),
        format!("{signs} of {rows}"),
        signs >= SIGNS_MIN,
    ));
    findings.push(summary(
        "RMSE of the gains",
        format!("at most {}", milliseconds(ERROR_MAX)),
        milliseconds(rmse),
        rmse <= ERROR_MAX,
    ));
    Ok(findings)
}

/// V5. What was printed with the measurements, from F2 and F3, on a used connection and with no
/// client delay.
pub(super) fn formula() -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for ((name, round_trip, rate), kilobytes, percent) in [
        (INDIA_2G, 5, 29.5),
        (INDIA_3G, 5, 37.6),
        (INDIA_3G, 20, 18.9),
    ] {
        let scene = with_script(kilobytes * KIB)?;
        let on = Conditions::warm(round_trip, rate, 0);
        let [none, push] = loads(&scene, &on)?;
        let got = (1.0 - push / none) * 100.0;
        findings.push(Finding {
            case: "V5",
            what: format!("{kilobytes} KB of HTML, {name} (F2, F3)"),
            expected: format!("{percent} %"),
            got: format!("{got:.1} %"),
            error: signed(got - percent, ""),
            tolerance: "±0.5".to_owned(),
            holds: Some((got - percent).abs() <= 0.5),
            note: "F2 lets the request leave with the first byte of the document, and knows no \
                   headers; here the first packet tells of the script, which takes 100 ms on 2G. \
                   Measured there: 30.6 %",
        });
    }
    Ok(findings)
}

fn with_script(html: usize) -> anyhow::Result<Scene> {
    let html = page(html, "<script src=/app.js></script>", "");
    Scene::new(html, vec![("/app.js", filled("", SCRIPT_BYTES))])
}

/// Returns the loads of a page without and with push.
fn loads(scene: &Scene, on: &Conditions) -> anyhow::Result<[f64; 2]> {
    let [none, _, _, push, _] = Delivery::all();
    Ok([scene.load(&none, on)?.load, scene.load(&push, on)?.load])
}
