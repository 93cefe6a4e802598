//! Whose bytes leave first (RFC 9218), counted on the wire of a simulated link.

use std::fmt::Write as _;
use std::time::Duration;

use forerun::measure::link::LinkOptions;
use tokio::time::Instant;

use crate::client::{Ask, Reading};
use crate::tap::Frame;
use crate::transcript::bodies;
use crate::world::{World, slow};

const PRIORITY_UPDATE: u8 = 0x10;
/// What an important answer may have to wait for.
const WAIT_BYTES_MAX: u64 = 48 * 1024;

fn images(count: usize, bytes: usize) -> String {
    (0..count).fold(String::new(), |mut fixture, index| {
        writeln!(fixture, "//- /{index}.png size={bytes}").unwrap();
        fixture
    })
}

fn ask(target: &str, priority: &str) -> Ask {
    Ask::get(target).header("priority", priority)
}

impl World {
    /// Tells whose bodies' bytes passed, as runs in the order of the wire.
    fn runs(&self) -> Vec<(String, usize)> {
        let connection = self.newest();
        bodies(&connection.frames.all(), &connection.streams)
    }

    /// Returns the order in which bodies were complete.
    fn ends(&self) -> Vec<String> {
        let mut ends: Vec<String> = Vec::new();
        for (target, _) in self.runs() {
            ends.retain(|earlier| *earlier != target);
            ends.push(target);
        }
        ends
    }

    /// Asks for something, and returns the bytes of other bodies that left the server between the
    /// moment the request reached it and the first of the answer's body.
    async fn waits_for(&mut self, late: Ask, link: &LinkOptions) -> u64 {
        // What had left when the request came arrives until a round trip after it was made; the
        // rest of a frame comes at the link's rate.
        let cut = Instant::now() + link.round_trip;
        let stream = self.ask(late).await.stream;
        let frames = self.frames();
        let bodies = frames.iter().filter(|frame| frame.kind == Frame::DATA);
        let before = bodies.take_while(|frame| frame.stream != stream);
        let since_cut = |frame: &Frame| {
            let milliseconds = frame.at.saturating_duration_since(cut).as_millis();
            // Of each packet of 1500 bytes, 1460 are payload.
            let arrived = u64::try_from(milliseconds).unwrap() * link.down.unwrap() / 8_000;
            let arrived = arrived * 1460 / 1500;
            arrived.min(frame.payload.len() as u64)
        };
        before.map(since_cut).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn a_style_sheet_asked_for_amid_images_waits_for_little() {
    for (urgency, delay_ms) in [("u=5, i", 25), ("u=5", 25), ("u=5, i", 100), ("u=3", 25)] {
        let link = slow(10, delay_ms);
        let fixture = images(5, 600_000) + "//- /late.css size=20000\n";
        let mut world = World::new(&fixture).link(link.clone());
        let mut pending = Vec::new();
        for index in 0..5 {
            pending.push(world.start(ask(&format!("/{index}.png"), urgency)).await);
        }
        world.rest_ms(1_000).await;
        let waited = world.waits_for(ask("/late.css", "u=0"), &link).await;
        assert!(
            waited <= WAIT_BYTES_MAX,
            "{waited} bytes behind images of priority {urgency}"
        );
        for image in pending {
            assert_eq!(world.wait(image).await.answer().body.len(), 600_000);
        }
    }
}

/// Chromium 103 sends no `priority`: what is asked for tells.
#[tokio::test(start_paused = true)]
async fn a_style_sheet_is_more_urgent_than_images_by_its_kind() {
    let fixture = images(5, 600_000) + "//- /late.css size=20000\n";
    let mut world = World::new(&fixture).link(slow(10, 25));
    for index in 0..5 {
        let image = Ask::get(&format!("/{index}.png")).header("sec-fetch-dest", "image");
        drop(world.start(image).await);
    }
    world.rest_ms(1_000).await;
    let late = Ask::get("/late.css").header("sec-fetch-dest", "style");
    let waited = world.waits_for(late, &slow(10, 25)).await;
    assert!(waited <= WAIT_BYTES_MAX, "{waited} bytes");
}

#[tokio::test(start_paused = true)]
async fn what_shares_no_turns_is_sent_one_after_another() {
    let mut world = World::new(&images(4, 100_000)).link(slow(10, 25));
    world.warm(&["/0.png", "/1.png", "/2.png", "/3.png"]).await;
    let asks: Vec<_> = (0..4)
        .map(|index| ask(&format!("/{index}.png"), "u=3"))
        .collect();
    world.together(asks).await;
    let whole = |index| (format!("/{index}.png"), 100_000);
    assert_eq!(world.runs(), (0..4).map(whole).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_incremental_shares() {
    let mut world = World::new(&images(4, 200_000)).link(slow(10, 25));
    world.warm(&["/0.png", "/1.png", "/2.png", "/3.png"]).await;
    let asks: Vec<_> = (0..4)
        .map(|index| ask(&format!("/{index}.png"), "u=3, i"))
        .collect();
    world.together(asks).await;
    let runs = world.runs();
    // After the same time each has had about the same.
    let mut had = [0; 4];
    for (target, bytes) in &runs {
        had[target[1..2].parse::<usize>().unwrap()] += bytes;
        let (least, most) = (had.iter().min().unwrap(), had.iter().max().unwrap());
        assert!(most - least <= 3 * 16_384, "{had:?}");
    }
    assert!(runs.len() >= 40, "{} runs", runs.len());
}

#[tokio::test(start_paused = true)]
async fn lower_urgency_numbers_go_first() {
    let mut world = World::new(&images(4, 100_000)).link(slow(10, 25));
    world.warm(&["/0.png", "/1.png", "/2.png", "/3.png"]).await;
    let priorities = ["u=7", "u=4, i", "u=1", "u=4"];
    let numbered = priorities.iter().enumerate();
    let asks: Vec<_> = numbered
        .map(|(index, priority)| ask(&format!("/{index}.png"), priority))
        .collect();
    world.together(asks).await;
    let ends = world.ends();
    assert_eq!((ends[0].as_str(), ends[3].as_str()), ("/2.png", "/0.png"));
}

#[tokio::test(start_paused = true)]
async fn a_client_may_change_its_mind() {
    let fixture = images(2, 400_000);
    let mut world = World::new(&fixture).link(slow(10, 25));
    let first = world.start(ask("/0.png", "u=3")).await;
    let second = world.start(ask("/1.png", "u=3")).await;
    world.rest_ms(150).await;
    let connection = world.connection().await;
    let mut payload = connection.streams.of("/1.png").to_be_bytes().to_vec();
    payload.extend(b"u=1");
    connection
        .frames
        .inject(&Frame::bytes(PRIORITY_UPDATE, 0, 0, &payload));
    world.wait(first).await;
    world.wait(second).await;
    assert_eq!(world.ends(), ["/1.png", "/0.png"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_blocks_nobody() {
    let fixture = images(2, 400_000) + "//- /a.css size=100000\n";
    let mut world = World::new(&fixture)
        .link(slow(10, 25))
        .client(|client| client.stream_window = 65_535);
    let stalled = world
        .start(ask("/a.css", "u=0").reading(Reading::Nothing))
        .await;
    world.rest_ms(10).await;
    let start = Instant::now();
    world
        .together([ask("/0.png", "u=5, i"), ask("/1.png", "u=5, i")])
        .await;
    // 800,000 bytes at 1,250,000 a second, and what the stalled one took.
    assert!(
        start.elapsed() < Duration::from_millis(1_200),
        "{:?}",
        start.elapsed()
    );
    stalled.abort();
}

#[tokio::test(start_paused = true)]
async fn a_connection_window_that_is_full_holds_images_not_the_style_sheet() {
    let fixture = images(3, 300_000) + "//- /late.css size=20000\n";
    let mut world = World::new(&fixture)
        .link(slow(10, 25))
        .client(|client| client.connection_window = 65_535);
    for index in 0..3 {
        drop(world.start(ask(&format!("/{index}.png"), "u=5, i")).await);
    }
    world.rest_ms(400).await;
    let waited = world
        .waits_for(ask("/late.css", "u=0"), &slow(10, 25))
        .await;
    assert!(waited <= WAIT_BYTES_MAX, "{waited} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_style_sheet_does_not_wait_for_a_hundred_images() {
    let fixture = images(120, 40_000) + "//- /late.css size=20000\n";
    let mut world = World::new(&fixture).link(slow(10, 25));
    world.warm(&["/late.css"]).await;
    world.reconnect().await;
    for index in 0..120 {
        drop(world.start(ask(&format!("/{index}.png"), "u=5, i")).await);
    }
    world.rest_ms(300).await;
    let waited = world
        .waits_for(ask("/late.css", "u=0"), &slow(10, 25))
        .await;
    assert!(waited <= WAIT_BYTES_MAX, "{waited} bytes");
}

/// A `Link` names fonts before the page is read that names the style sheet.
#[tokio::test(start_paused = true)]
async fn a_style_sheet_comes_before_small_fonts_that_were_asked_for_in_the_same_flight() {
    let fixture = "
        //- /0.woff2 size=14000
        //- /1.woff2 size=14000
        //- /a.css size=12000
    ";
    let asks = [
        ("/0.woff2", "font"),
        ("/1.woff2", "font"),
        ("/a.css", "style"),
    ];
    let mut world = World::new(fixture).link(slow(10, 25));
    world.warm(&asks.map(|(target, _)| target)).await;
    let asks = asks.map(|(target, dest)| Ask::get(target).header("sec-fetch-dest", dest));
    world.together(Vec::from(asks)).await;
    assert_eq!(world.ends(), ["/a.css", "/0.woff2", "/1.woff2"]);
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_answers_come_in_the_order_of_their_requests() {
    let targets: Vec<_> = (0..900).map(|index| format!("/{index}.png")).collect();
    let mut world = World::new(&images(900, 4_000)).link(slow(100, 5));
    world
        .warm(&targets.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let asks: Vec<_> = targets.iter().map(|target| ask(target, "u=3")).collect();
    for answer in world.together(asks).await {
        assert_eq!(answer.answer().body.len(), 4_000);
    }
    assert_eq!(world.ends(), targets);
}

#[tokio::test(start_paused = true)]
async fn what_blocks_rendering_comes_between_a_pages_head_and_the_rest() {
    let fixture = "
        //- /index.html size=200000
        <!doctype html><html><head><link rel=stylesheet href=/a.css><script src=/b.js></script>
        </head><body><p>text</p><img src=/i.png>
        //- /a.css size=40000
        @font-face{font-family:f;src:url(/f.woff2)}body{font-family:f}
        //- /b.js size=30000
        //- /f.woff2 size=20000
        //- /i.png size=100000
    ";
    let mut world = World::new(fixture)
        .link(slow(10, 25))
        .site(|site| site.push = forerun::site::plan::Push::All);
    world.ask(Ask::navigate("/")).await;
    let runs = world.runs();
    let order: Vec<_> = runs.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(
        order,
        ["/", "/a.css", "/b.js", "/", "/f.woff2", "/i.png"],
        "{runs:?}"
    );
    assert!(runs[0].1 < 2_000, "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_cancelled_cost_nothing_more() {
    let mut world = World::new(&images(3, 2_000_000)).link(slow(10, 25));
    world
        .ask(ask("/0.png", "u=1").reading(Reading::CancelAfter(100_000)))
        .await;
    let start = Instant::now();
    world
        .ask(ask("/1.png", "u=1").reading(Reading::CancelAfter(100_000)))
        .await;
    assert!(
        start.elapsed() < Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );
}
