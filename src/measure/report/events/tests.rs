//! Tests of what is said of events.

use std::time::Duration;

use crate::measure::events::{Cost, EventCell, EventFindings, Heard, Way};
use crate::measure::findings::LinkFacts;
use crate::terminal::Style;

use super::*;

/// Returns what could have been found on two links, one of them with a hostile name.
fn found() -> EventFindings {
    let cost = |requests, down, up| Cost { requests, down, up };
    let heard = |way, delays_ms: [u64; 4], busy, idle| Heard {
        way,
        delays: delays_ms.map(Duration::from_millis).into(),
        opening: cost(1, 900, 700),
        busy,
        idle,
    };
    let cell = |name: &str, round_trip_ms, polled: [u64; 4]| {
        let half = round_trip_ms / 2;
        let told = [half; 4];
        EventCell {
            link: LinkFacts {
                name: name.to_owned(),
                round_trip: Duration::from_millis(round_trip_ms),
                down: Some(9_000_000),
            },
            ways: vec![
                heard(Way::Poll, polled, cost(3, 1200, 400), cost(24, 2000, 1600)),
                heard(
                    Way::LongPoll,
                    [half, half, half, 3 * half],
                    cost(4, 1400, 300),
                    cost(2, 160, 140),
                ),
                heard(Way::EventStream, told, cost(0, 600, 0), cost(0, 336, 0)),
                heard(Way::WebSocket, told, cost(0, 960, 12), cost(0, 132, 148)),
            ],
        }
    };
    EventFindings {
        poll_every: Duration::from_millis(2500),
        wait: Duration::from_mins(1),
        events: 4,
        data_bytes: 100,
        busy: Duration::from_mins(1),
        idle: Duration::from_mins(2),
        cells: vec![
            cell("fibre", 10, [105, 905, 1505, 2405]),
            cell("\"<&\u{202e}>", 170, [1185, 1285, 1385, 2485]),
        ],
    }
}

#[test]
fn a_table_says_what_each_way_takes() {
    let mut out = Vec::new();
    write_table(&mut out, &found(), Style::plain()).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
    channels  4 events of 100 B, over a minute, then 2 minutes of nothing, simulated links
    half of all events arrive by long polling, SSE and WebSocket in 0.5 round trips; by polling
    every 2.5 s in 1.2 to 1.3 s
    an idle minute costs polling: 12 requests, 1.8 kB; long polling: 1 request, 150 B; SSE: 168 B;
    WebSocket: 140 B

                    delay:         round  an event:                an idle minute:
                    median    p95  trips   requests   down     up         requests    down     up
    fibre  10 ms, 9 Mbit/s
      polling        1,205  2,270    120        0.8  300 B  100 B               12  1.0 kB  800 B
      long polling     5.0     14    0.5        1.0  350 B   75 B              1.0    80 B   70 B
      SSE              5.0    5.0    0.5             150 B    0 B                    168 B    0 B
      WebSocket        5.0    5.0    0.5             240 B    3 B                     66 B   74 B
    "<&�>  170 ms, 9 Mbit/s
      polling        1,335  2,320    7.9        0.8  300 B  100 B               12  1.0 kB  800 B
      long polling      85    230    0.5        1.0  350 B   75 B              1.0    80 B   70 B
      SSE               85     85    0.5             150 B    0 B                    168 B    0 B
      WebSocket         85     85    0.5             240 B    3 B                     66 B   74 B

    delay: milliseconds from published to arrived, and in round trips; bytes with TLS, without the
    headers of TCP and IP; polling: every 2.5 s; long polling: waits 60 s; an event's part holds
    what is sent between events
    "#);
}

#[test]
fn programs_are_told_everything() {
    let mut out = Vec::new();
    write_json(&mut out, &found()).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["poll_every_ms"], 2500.0);
    assert_eq!(document["headline"], headline(&found()));
    let way = &document["links"][0]["ways"][1];
    assert_eq!(way["way"], "long polling");
    assert_eq!(
        way["delay_ms"]["all"],
        serde_json::json!([5.0, 5.0, 5.0, 15.0])
    );
    assert_eq!(way["delay_ms"]["mean"], 7.5);
    assert_eq!(
        way["idle"],
        serde_json::json!({"requests": 2, "bytes_down": 160, "bytes_up": 140})
    );
    assert_eq!(way["per_event"]["bytes_down"], 350.0);
    assert_eq!(way["per_idle_minute"]["requests"], 1.0);
}

#[test]
fn a_picture_has_a_stroke_for_each_event_in_its_place() {
    let svg = picture(&found());
    let strokes = svg.split(" faint\" d=\"").skip(1);
    let strokes: Vec<_> = strokes
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(strokes.len(), 8);
    assert!(
        strokes.iter().all(|path| path.matches('M').count() == 4),
        "{strokes:?}"
    );
    // 905 ms and 1,505 ms lie to the left and to the right of what the axis calls a second.
    let second = svg.split(">1 s</text>").next().unwrap();
    let second = second.rsplit("x=\"").next().unwrap();
    let second: f64 = second.split('"').next().unwrap().parse().unwrap();
    let x = |stroke: usize| -> f64 {
        let start = strokes[0].split('M').nth(stroke + 1).unwrap();
        start.split(' ').next().unwrap().parse::<f64>().unwrap() + 1.0
    };
    assert!(x(1) < second && second < x(2), "{} {second} {}", x(1), x(2));
}

#[test]
fn names_cannot_leave_their_place() {
    for text in [picture(&found()), html(&found())] {
        assert!(text.contains("&quot;&lt;&amp;\u{fffd}&gt;"));
        assert!(!text.contains("\"<&"));
    }
    let page = html(&found());
    assert!(page.contains("default-src 'none'") && page.ends_with("</html>\n"));
    assert_eq!(page.matches("<tr>").count(), 10);
}

#[test]
fn nothing_is_said_of_nothing() {
    let nothing = EventFindings {
        cells: Vec::new(),
        ..found()
    };
    assert_eq!(headline(&nothing), "nothing was measured");
    let mut out = Vec::new();
    write_table(&mut out, &nothing, Style::plain()).unwrap();
    assert!(picture(&nothing).ends_with("</svg>\n"));
}
