//! Subscribers that are slow, served by the policy of each channel, in whichever way they hear it.

use std::sync::Arc;

use forerun::answer::channels::{SlowRule, SlowRules};
use forerun::hub::{BEHIND_MAX, Hub};
use forerun::web_socket::{CloseCode, End};
use serde_json::{Value, json};

use crate::channels::{PublishOn as _, RATE, SSE, ended, hear, said, say, tunnels, world_of};
use crate::client::Ask;
use crate::world::World;

fn world(rules: &[&str]) -> (World, Arc<Hub>) {
    let rules = rules.iter().map(|rule| SlowRule::parse(rule).unwrap());
    let rules = SlowRules::new(rules.collect()).unwrap();
    world_of(RATE, |options| options.slow = rules)
}

/// All that a stream of lines has said, but for when it was opened.
fn lines(world: &World, target: &str) -> Vec<Value> {
    let said = said(world, target);
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let is_told = |line: &Value| line["event"] != "open";
    lines.filter(is_told).collect()
}

/// What one thing that was told amounts to: what an event says, or what a gap is.
fn short(told: &Value) -> String {
    match told["event"].as_str() {
        Some("message") => told["message"].as_str().unwrap().to_owned(),
        _ => format!("{} {}", told["gap"], told["cursor"]),
    }
}

#[tokio::test(start_paused = true)]
async fn of_one_channel_all_is_told_and_of_another_the_last_whatever_the_way() {
    let (mut world, hub) = world(&["demo/price/*=latest"]);
    let target = "/channels/demo/price/x,demo/chat";
    let mut socket = tunnels(&mut world, &[target]).await.remove(0);
    hear(&world, &mut socket).await;
    world.reconnect().await;
    let in_lines = "/channels/demo/price/x,demo/chat/json";
    drop(world.start(in_lines).await);
    drop(world.start(Ask::get(target).headers(&[SSE])).await);
    world.rest_ms(1).await;
    // What is published in one go gathers for all.
    for (topic, number) in [
        ("demo/price/x", 1),
        ("demo/chat", 2),
        ("demo/price/x", 3),
        ("demo/price/x", 4),
        ("demo/chat", 5),
        ("demo/price/x", 6),
    ] {
        hub.publish_on(topic, number);
    }
    world.rest_ms(1).await;
    let gap = |requested, resumed_after, passed_over| {
        let gap = json!({
            "requested": requested,
            "resumed_after": resumed_after,
            "reason": "latest",
            "passed_over": passed_over,
        });
        format!("{gap} \"{resumed_after}\"")
    };
    let (first, second) = (gap("7.0", "7.1", 1), gap("7.2", "7.4", 2));
    let expected = [first.as_str(), "2", second.as_str(), "5", "6"];
    let told: Vec<_> = lines(&world, in_lines).iter().map(short).collect();
    assert_eq!(told, expected);
    for expected in expected {
        assert_eq!(short(&hear(&world, &mut socket).await), expected);
    }
    let heard = said(&world, target);
    assert!(
        heard.contains("event: hub-gap\ndata: {\"requested\":\"7.0\""),
        "{heard}"
    );
    let data = heard.lines().filter_map(|line| line.strip_prefix("data: "));
    let data: Vec<_> = data.filter(|data| !data.starts_with('{')).collect();
    assert_eq!(data, ["2", "5", "6"]);
    // A poll asks for all.
    let polled = world.ask("/channels/demo/price/x").await;
    let polled: Value = serde_json::from_str(polled.text()).unwrap();
    assert_eq!(polled["events"].as_array().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_to_a_web_socket_is_told_what_is_passed_over_once() {
    let (mut world, hub) = world(&["*=latest"]);
    for number in 1..=300 {
        hub.publish_on("demo/a", number);
    }
    let mut socket = tunnels(&mut world, &["/channels/demo/b"]).await.remove(0);
    hear(&world, &mut socket).await;
    say(
        &mut socket,
        &json!({"subscribe": "demo/a", "after": "7.100"}),
    );
    assert_eq!(hear(&world, &mut socket).await["cursor"], "7.100");
    let gap = hear(&world, &mut socket).await;
    assert_eq!(gap["gap"]["passed_over"], 199, "{gap}");
    assert_eq!(gap["cursor"], "7.299");
    assert_eq!(hear(&world, &mut socket).await["message"], "300");
    hub.publish_on("demo/a", 301);
    assert_eq!(hear(&world, &mut socket).await["message"], "301");
}

#[tokio::test(start_paused = true)]
async fn who_falls_too_far_behind_is_sent_away_with_the_cursor_and_loses_nothing() {
    for too_many in [0, 1] {
        let (mut world, hub) = world(&["demo/*=close"]);
        let target = "/channels/demo/a";
        let mut socket = tunnels(&mut world, &[target]).await.remove(0);
        hear(&world, &mut socket).await;
        world.reconnect().await;
        let events = world.start(Ask::get(target).headers(&[SSE])).await;
        let in_lines = "/channels/demo/a/json";
        let told_in_lines = world.start(in_lines).await;
        world.rest_ms(1).await;
        hub.publish_on("demo/a", 0);
        world.rest_ms(1).await;
        let gathered = u32::try_from(BEHIND_MAX + too_many).unwrap();
        for number in 1..=gathered {
            hub.publish_on("demo/a", number);
        }
        assert_eq!(hear(&world, &mut socket).await["message"], "0");
        if too_many == 0 {
            for number in 1..=gathered {
                assert_eq!(
                    hear(&world, &mut socket).await["message"],
                    number.to_string()
                );
            }
            assert!(!events.is_finished());
            continue;
        }
        let close = hear(&world, &mut socket).await;
        assert_eq!(
            (&close["event"], &close["cursor"]),
            (&json!("close"), &json!("7.1"))
        );
        let End::Closed(Some(close)) = ended(&world, &mut socket).await else {
            panic!("no farewell")
        };
        assert_eq!(close.code(), CloseCode::TRY_LATER);
        let answer = world.wait(events).await;
        let farewell = answer.text().trim_end().rsplit("\n\n").next().unwrap();
        assert!(farewell.starts_with("id: 7.1\nretry: "), "{farewell}");
        drop(world.wait(told_in_lines).await);
        let last = lines(&world, in_lines).pop().unwrap();
        assert_eq!(
            (&last["event"], &last["cursor"]),
            (&json!("close"), &json!("7.1"))
        );
        // Whoever comes again has all of it: what was there before is no delay.
        let again = Ask::get("/channels/demo/a?since=7.1").headers(&[SSE]);
        drop(world.start(again).await);
        world.rest_ms(100).await;
        let heard = said(&world, "/channels/demo/a?since=7.1");
        assert_eq!(heard.matches("data: ").count(), BEHIND_MAX + too_many);
    }
}
