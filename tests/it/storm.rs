//! Many who come back at once, as when a link was cut: nothing is lost, nothing comes twice, and
//! nobody else waits for all of them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use forerun::answer::channels::{ChannelOptions, Prefix};
use forerun::door::channels::rates::Rate;
use forerun::door::channels::{Channels, Setting};
use forerun::hub::store::Store;
use forerun::hub::{Hub, Limits, Publication};
use forerun::metrics::{Count, Heard};
use http::Request;

use crate::client::Ask;
use crate::tap::{Frame, Sender};
use crate::world::{Connection, World};

const CHANNEL: &str = "news";
/// As many as a client opens before it knows the server's limit.
const STREAMS: usize = 100;

fn world() -> (World, Arc<Hub>) {
    let options = ChannelOptions {
        anonymous: vec![Prefix::parse(CHANNEL).unwrap()],
        ..ChannelOptions::default()
    };
    let store = Arc::new(Store::memory(7, Limits::CHANNELS));
    let hub = Arc::clone(store.hub());
    let world = World::new("");
    let (channels, _) = Channels::new(Setting {
        store,
        options,
        is_demo: false,
        rate: Rate {
            events: 1000,
            bytes: 1 << 20,
        },
        metrics: world.shared_metrics(),
        now: || SystemTime::UNIX_EPOCH + Duration::from_hours(500_000),
    });
    (world.channels(Arc::new(channels)), hub)
}

/// Says the next number of all, from 1.
fn say_next(hub: &Hub) {
    let number = hub.cursor().offset + 1;
    hub.add(Publication::new(CHANNEL, number.to_string()));
}

/// Returns the numbers that were heard on each stream, in the order of the requests.
fn heard(connection: &Connection, before: &str) -> Vec<Vec<u64>> {
    let mut said = vec![Vec::new(); STREAMS];
    for frame in connection.frames.all() {
        if frame.sender == Sender::Server && frame.kind == Frame::DATA {
            said[frame.stream as usize / 2].extend_from_slice(&frame.payload);
        }
    }
    let numbers = said.iter().map(|said| {
        let text = std::str::from_utf8(said).unwrap();
        let after = text.split(before).skip(1);
        after.map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_digit());
            rest[..end.unwrap()].parse().unwrap()
        })
    });
    numbers.map(Iterator::collect).collect()
}

#[tokio::test(start_paused = true)]
async fn all_who_come_back_at_once_have_what_they_missed_once_and_in_order() {
    const CONNECTIONS: usize = 3;
    const MISSED_MAX: u64 = 150;
    const MEANWHILE: u64 = 40;
    for (accept, before) in [
        ("text/event-stream", "\ndata: "),
        ("application/x-ndjson", "\"message\":\""),
    ] {
        let (mut world, hub) = world();
        for _ in 0..MISSED_MAX {
            say_next(&hub);
        }
        let mut cursors = Vec::new();
        for connection in 0..CONNECTIONS {
            world.reconnect().await;
            for stream in 0..STREAMS {
                // Some have missed all of it, some a little, some nothing.
                let cursor = (7 * (connection * STREAMS + stream) as u64) % (MISSED_MAX + 1);
                let id = format!("7.{cursor}");
                let ask = Ask::get("/channels/news").header("accept", accept);
                world.start(ask.header("last-event-id", &id)).await;
                cursors.push(cursor);
            }
            // It goes on meanwhile.
            let hub = Arc::clone(&hub);
            world.spawn(async move {
                for _ in 0..MEANWHILE {
                    say_next(&hub);
                    tokio::task::yield_now().await;
                }
            });
        }
        world.rest_ms(1).await;
        let last = hub.cursor().offset;
        assert_eq!(last, MISSED_MAX + MEANWHILE * CONNECTIONS as u64);
        let connections = world.connections().iter();
        let heard: Vec<_> = connections.flat_map(|one| heard(one, before)).collect();
        assert_eq!(heard.len(), cursors.len());
        for (cursor, heard) in cursors.iter().zip(heard) {
            let missed: Vec<_> = (cursor + 1..=last).collect();
            assert_eq!(heard, missed, "{accept} after {cursor}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_one_thing_does_not_wait_for_a_client_that_asks_for_a_hundred() {
    let (mut world, _) = world();
    let stream = world.greet("h2").await.stream;
    let shaking = h2::client::Builder::new().handshake::<_, Bytes>(stream);
    let (mut sender, connection) = world.wait(shaking).await;
    world.spawn(async move {
        let _ = connection.await;
    });
    world.reconnect().await;
    for _ in 0..STREAMS {
        let ask = Ask::get("/channels/news").header("accept", "text/event-stream");
        world.start(ask).await;
    }
    let request = Request::get("https://localhost/channels/news")
        .header("accept", "application/json")
        .body(())
        .unwrap();
    let metrics = world.shared_metrics();
    let opened = move || metrics.total(Count::Subscribed(Heard::EventStream));
    let opened_before = Rc::new(Cell::new(None));
    let noted = Rc::clone(&opened_before);
    world.spawn(async move {
        let (response, _) = sender.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        noted.set(Some(opened()));
    });
    world.rest_ms(1).await;
    let opened_before = opened_before.get().unwrap();
    assert!(opened_before < STREAMS as u64 / 2, "{opened_before}");
    let opened = world.metrics().total(Count::Subscribed(Heard::EventStream));
    assert_eq!(opened, STREAMS as u64);
}
