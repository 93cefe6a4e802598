//! A WebSocket whose peer takes its time, and meanwhile asks for more.

use std::sync::Arc;
use std::time::Duration;

use forerun::hub::store::Store;
use forerun::hub::{Hub, Limits, Publication};
use forerun::web_socket::{Socket, Transport};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::channels::{RATE, hear, say, tunnels, upgraded, world_on};
use crate::world::World;

/// Events of which a stream's window holds some dozens.
const EVENT_BYTES: usize = 2000;

fn world(limits: Limits) -> (World, Arc<Hub>) {
    let store = Arc::new(Store::memory(7, limits));
    let hub = Arc::clone(store.hub());
    (world_on(&store, RATE), hub)
}

fn publish(hub: &Hub, topic: &str) {
    hub.add(Publication::new(topic, "x".repeat(EVENT_BYTES)));
}

fn offset(told: &Value) -> u64 {
    let cursor = told["cursor"].as_str().unwrap();
    cursor.strip_prefix("7.").unwrap().parse().unwrap()
}

/// Hears until an event, and tells of each the offset; of all else what it is, with its cursor.
async fn hear_through<T: Transport>(
    world: &World,
    socket: &mut Socket<T>,
    last: u64,
) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let told = hear(world, socket).await;
        match told["event"].as_str().unwrap() {
            "message" => {
                heard.push(offset(&told).to_string());
                if offset(&told) == last {
                    return heard;
                }
            }
            "subscribed" => heard.push(format!("subscribed {}", offset(&told))),
            other => heard.push(other.to_owned()),
        }
    }
}

fn offsets(offsets: impl IntoIterator<Item = u64>) -> Vec<String> {
    offsets
        .into_iter()
        .map(|offset| offset.to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_more_is_not_told_again_what_is_missing() {
    let (mut world, hub) = world(Limits {
        events_max: 100,
        ..Limits::CHANNELS
    });
    let target = "/channels/demo/a,demo/b";
    let mut socket = tunnels(&mut world, &[target]).await.remove(0);
    hear(&world, &mut socket).await;
    // Of one channel all is kept, and of the other what comes much later is missing.
    for topic in ["demo/a"; 100].into_iter().chain(["demo/b"; 200]) {
        publish(&hub, topic);
    }
    assert_eq!(hear(&world, &mut socket).await["event"], "hub-gap");
    assert_eq!(offset(&hear(&world, &mut socket).await), 1);
    say(&mut socket, &json!({"subscribe": "demo/c"}));
    let mut heard = hear_through(&world, &mut socket, 300).await;
    // Whoever is cut after the answer goes on from it, and loses nothing.
    let answered = (heard.iter()).position(|told| told.starts_with("subscribed"));
    let answered = answered.unwrap();
    assert!(heard.len() - answered > 30, "amid what it is behind");
    assert_eq!(
        heard.remove(answered),
        format!("subscribed {}", answered + 1)
    );
    assert_eq!(heard, offsets((2..=100).chain(201..=300)));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_more_from_further_on_hears_nothing_before_or_twice() {
    let (mut world, hub) = world(Limits::CHANNELS);
    let mut socket = tunnels(&mut world, &["/channels/demo/a"]).await.remove(0);
    hear(&world, &mut socket).await;
    for topic in ["demo/a", "demo/b"].repeat(150) {
        publish(&hub, topic);
    }
    assert_eq!(offset(&hear(&world, &mut socket).await), 1);
    say(
        &mut socket,
        &json!({"subscribe": "demo/b", "after": "7.250"}),
    );
    // What is asked after that is done after that.
    say(&mut socket, &json!({"subscribe": "demo/c", "after": "7.0"}));
    publish(&hub, "demo/c");
    publish(&hub, "demo/b");
    let mut heard = hear_through(&world, &mut socket, 302).await;
    let answers: Vec<String> = heard.extract_if(.., |told| told.contains(' ')).collect();
    assert_eq!(answers.len(), 2);
    let mut heard: Vec<u64> = heard.iter().map(|told| told.parse().unwrap()).collect();
    heard.sort_unstable();
    let expected = (3..=300).filter(|offset| offset % 2 == 1 || *offset > 250);
    assert_eq!(heard, expected.chain([301, 302]).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_more_is_answered_at_once_though_nothing_else_is_said() {
    let (mut world, hub) = world(Limits::CHANNELS);
    let mut socket = upgraded(&mut world, "/channels/demo/a", "").await;
    hear(&world, &mut socket).await;
    // The socket is not woken for these, so it has not come past them.
    for _ in 0..20 {
        publish(&hub, "demo/b");
    }
    let asked = Instant::now();
    say(
        &mut socket,
        &json!({"subscribe": "demo/b", "after": "7.15"}),
    );
    let mut heard = hear_through(&world, &mut socket, 20).await;
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(heard.remove(0).starts_with("subscribed"));
    assert_eq!(heard, offsets(16..=20));
}
