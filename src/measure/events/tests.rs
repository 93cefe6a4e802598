//! Tests of what is measured of events: the numbers obey arithmetic, and repeat.

use std::time::Duration;

use super::*;
use crate::measure::report::words::{milliseconds, real};

fn options(links: &[&str], poll_every: Duration) -> EventOptions {
    EventOptions {
        links: links.iter().map(|link| link.parse().unwrap()).collect(),
        poll_every,
        json: false,
        html: None,
        svg: None,
    }
}

fn found(links: &[&str], poll_every_ms: u64) -> EventFindings {
    findings(&options(links, Duration::from_millis(poll_every_ms))).unwrap()
}

fn heard(cell: &EventCell, way: Way) -> &Heard {
    cell.ways.iter().find(|heard| heard.way == way).unwrap()
}

#[track_caller]
fn check_near(what: &str, got: f64, expected: f64, tolerance: f64) {
    let is_near = (got - expected).abs() <= tolerance;
    assert!(
        is_near,
        "{what}: {got} instead of {expected} +- {tolerance}"
    );
}

/// Streams tell in half a round trip and what a packet takes to leave, every time; a long poll at
/// best so, and at worst a request and its answer later.
#[test]
fn what_is_told_takes_half_a_round_trip() {
    let links = ["rtt=80ms", "rtt=200ms,down=1M,up=1M", "4g"];
    for (cell, link) in found(&links, 5000).cells.iter().zip(links) {
        let half = milliseconds(cell.link.round_trip) / 2.0;
        // 40 bytes of headers, and of TLS and HTTP less than 300 with the data.
        let rate = cell.link.down.map_or(f64::INFINITY, real);
        let leaving = |bytes: f64| bytes * 8.0 / rate * 1000.0;
        for way in [Way::EventStream, Way::WebSocket] {
            let heard = heard(cell, way);
            let (least, most) = (heard.delay_ms(0.0), heard.delay_ms(100.0));
            let middle = half + leaving(300.0);
            let tolerance = leaving(200.0) + 1e-6;
            check_near(&format!("{link}: {way:?}"), least, middle, tolerance);
            // Two that are close share a packet or wait for one.
            check_near(
                &format!("{link}: {way:?}"),
                most,
                middle,
                2.0 * tolerance + leaving(340.0),
            );
        }
        let long = heard(cell, Way::LongPoll);
        check_near(
            link,
            long.delay_ms(50.0),
            half + leaving(400.0),
            leaving(400.0) + 1.0,
        );
        // Published just after an answer left: that goes, a request comes, its answer goes.
        let most = long.delay_ms(100.0);
        let worst = 3.0 * half + leaving(2000.0) + 3.0;
        assert!(
            most > 1.5 * half && most <= worst,
            "{link}: {most} of {worst}"
        );
    }
}

/// A poll comes on average half its interval after an event has, and reaches the server half a
/// round trip before its answer arrives: the way there is not part of the delay, as the poll is
/// under way already.
#[test]
fn a_poll_takes_half_its_interval_and_half_a_round_trip() {
    for every in [1000, 5000, 20_000] {
        let found = found(&["rtt=100ms"], every);
        let poll = heard(&found.cells[0], Way::Poll);
        // The mean of a hundred draws from an interval lies within three standard errors of its
        // middle: 3 / sqrt(12 x 100) of the interval, 0.087.
        assert_eq!(poll.idle.requests, 3_600_000 / every);
        let every = real(every);
        check_near("mean", poll.mean_ms(), every / 2.0 + 50.0, every * 0.087);
        let (least, most) = (poll.delay_ms(0.0), poll.delay_ms(100.0));
        assert!(least >= 50.0 && most <= every + 53.0, "{least} to {most}");
        check_near("polls", real(poll.busy.requests), 300_000.0 / every, 1.0);
    }
}

/// One request answers a long poll, and one a minute is answered with nothing; a stream and a
/// conversation were asked for once.
#[test]
fn requests_are_counted() {
    let found = found(&["fibre"], 5000);
    let cell = &found.cells[0];
    let requests = |way| {
        let heard = heard(cell, way);
        [heard.opening, heard.busy, heard.idle].map(|cost| cost.requests)
    };
    assert_eq!(requests(Way::Poll), [1, 60, 720]);
    let [opening, busy, idle] = requests(Way::LongPoll);
    assert_eq!(opening, 2);
    assert!(
        (90..=100).contains(&busy) && (59..=60).contains(&idle),
        "{busy}, {idle}"
    );
    assert_eq!(requests(Way::EventStream), [1, 0, 0]);
    assert_eq!(requests(Way::WebSocket), [1, 0, 0]);
}

/// What a way is told holds its data; a record of TLS 1.3 adds 22 bytes and a frame of HTTP/2 nine
/// (RFC 8446 section 5.2, RFC 9113 section 4.1).
#[test]
fn bytes_are_what_the_protocols_say() {
    let found = found(&["fibre"], 5000);
    let cell = &found.cells[0];
    let frame = 22 + 9;
    // `id: 7.1`, `data: ` and a hundred bytes, and ends of lines; ids of two digits are longer.
    let block = |digits: u64| "id: 7.\ndata: \n\n".len() as u64 + digits + 100;
    let stream = heard(cell, Way::EventStream);
    let events = 9 * (block(1) + frame) + 90 * (block(2) + frame) + block(3) + frame;
    // No two are so far apart that the stream would have to say that it stands.
    assert_eq!(stream.busy.down, events);
    assert_eq!(stream.busy.up, 0);
    // Which it does every fifteen seconds.
    assert_eq!(
        stream.idle.down,
        240 * (frame + "id: 7.100\n\n".len() as u64)
    );
    assert_eq!(stream.idle.up, 0);
    // A ping of two bytes every thirty seconds, its masked answer of six.
    let socket = heard(cell, Way::WebSocket);
    let pings = socket.idle.down / (frame + 2);
    assert_eq!(socket.idle.down, pings * (frame + 2));
    assert_eq!(socket.idle.up, pings * (frame + 6));
    assert!((119..=120).contains(&pings), "{pings}");
}

#[test]
fn runs_repeat_to_the_byte_on_links_that_lose() {
    let options = options(&["slow-4g,loss=2%", "rtt=0ms"], Duration::from_secs(5));
    let (one, two) = (findings(&options).unwrap(), findings(&options).unwrap());
    assert_eq!(one, two);
    let lossy = heard(&one.cells[0], Way::EventStream);
    assert!(lossy.delay_ms(100.0) > 150.0, "nothing was lost");
}

#[test]
fn a_link_on_which_a_ping_is_never_answered_in_time_is_refused() {
    let refused = findings(&options(&["rtt=30s"], Duration::from_secs(5))).unwrap_err();
    assert!(refused.to_string().contains("shorter rtt"), "{refused}");
}
