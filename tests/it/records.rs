//! TLS records fit the first flight: nothing of a record can be read before its last byte.

use std::time::Duration;

use forerun::measure::link::{FIRST_FLIGHT_BYTES, SEGMENT_BYTES};
use tokio::time::Instant;

use crate::client::Ask;
use crate::tap::{Frame, Record, Sender};
use crate::world::{World, slow};

/// A page of 20 KB whose head names what is pushed.
const PAGE: &str = "
    //- /index.html size=20000
    <!doctype html><html><head><link rel=stylesheet href=/a.css><script src=/b.js></script>
    </head><body>
    //- /a.css size=10000
    //- /b.js size=10000
";

/// Of a record: its head, the content type and the tag (RFC 8446 section 5.2).
const OVERHEAD_BYTES: usize = 5 + 1 + 16;

#[tokio::test(start_paused = true)]
async fn the_first_byte_of_a_page_comes_within_the_first_flight() {
    let mut world = World::new(PAGE).link(slow(1, 100));
    let connection = world.connection().await;
    let before = connection.from_server.delivered().bytes_at(Instant::now());
    let asked = Instant::now();
    let page = world.ask(Ask::navigate("/")).await;
    assert_eq!(page.promised(), ["/a.css", "/b.js"]);

    let connection = world.connection().await;
    let frames = connection.frames.all();
    let of_page = |frame: &&Frame| frame.stream == page.stream && frame.kind == Frame::DATA;
    let first = frames.iter().find(of_page).unwrap().at;
    let bytes = connection.from_server.delivered().bytes_at(first) - before;
    assert!(
        bytes <= FIRST_FLIGHT_BYTES as u64,
        "the first byte came after {bytes} bytes"
    );
    // A round trip, and a few segments at 125,000 bytes a second.
    let waited = first - asked;
    assert!(waited < Duration::from_millis(250), "{waited:?}");
}

fn sizes(world: &World, since: usize) -> Vec<usize> {
    let records = world.newest().records.all().split_off(since);
    let is_data = |record: &&Record| {
        record.sender == Sender::Server && record.kind == Record::APPLICATION_DATA
    };
    records
        .iter()
        .filter(is_data)
        .map(|record| record.length + 5)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn records_are_small_first_then_large_and_small_again_after_a_rest() {
    let fixture = "
        //- /large.png size=1000000
        //- /page.html size=30000
    ";
    let mut world = World::new(fixture).link(slow(50, 10));
    let before = world.connection().await.records.all().len();
    world.get("/large.png").await;
    let first = sizes(&world, before);
    let mut passed = 0;
    for &size in &first {
        if passed < 60_000 {
            assert!(
                size <= SEGMENT_BYTES,
                "a record of {size} bytes after {passed}"
            );
        }
        passed += size;
    }
    let large = first.iter().filter(|&&size| size > 15_000).count();
    assert!(large >= 40, "{large} large records in {first:?}");
    let wasted = passed - 1_000_000;
    assert!(wasted < 10_000, "{wasted} bytes beside the body");

    let before = world.connection().await.records.all().len();
    world.get("/page.html").await;
    assert!(
        sizes(&world, before)
            .iter()
            .any(|&size| size > SEGMENT_BYTES),
        "the window is open"
    );

    world.rest_ms(1_500).await;
    let before = world.connection().await.records.all().len();
    world.get("/page.html").await;
    let again = sizes(&world, before);
    assert!(again.iter().all(|&size| size <= SEGMENT_BYTES), "{again:?}");
    assert!(again.len() >= 30_000 / SEGMENT_BYTES);
}

#[tokio::test(start_paused = true)]
async fn small_answers_share_a_record() {
    let targets: Vec<_> = (0..20).map(|index| format!("/{index}.txt")).collect();
    let sections: Vec<_> = targets
        .iter()
        .map(|target| format!("//- {target} size=10"))
        .collect();
    let mut world = World::new(&sections.join("\n")).link(slow(10, 20));
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    world.warm(&targets).await;
    let before = world.reconnect().await.records.all().len();
    world.together(targets).await;
    let records = sizes(&world, before);
    let wasted = records.len() * OVERHEAD_BYTES;
    assert!(
        records.len() <= 6,
        "{} records, {wasted} bytes beside the frames",
        records.len()
    );
}
