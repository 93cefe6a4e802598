//! What Redis keeps, and how much of its time and memory it takes.

use super::*;

/// One of 100 channels, with names of so many bytes and some.
fn on_many(data: &str, bytes: usize) -> Publication {
    let mut publication = said(data);
    let alternates = (1..100).map(|number| format!("{number}{}", "x".repeat(bytes)));
    publication.topics.extend(alternates);
    publication
}

#[tokio::test]
async fn redis_keeps_within_every_bound() {
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let cost = said("12345678").cost();
    let publish = async |limits: Limits, count: usize| {
        let node = server.node(5, limits).await;
        for number in 0..count {
            let topic = ["a", "b"][number % 2];
            let publication = Publication::new(topic, "12345678".to_owned());
            node.publish(publication).await.unwrap();
        }
        server.kept().await
    };
    let unbounded = Limits::CHANNELS;
    assert_eq!(publish(unbounded, 40).await, 40);
    let bytes_max = 15 * cost;
    assert_eq!(
        publish(
            Limits {
                bytes_max,
                ..unbounded
            },
            2
        )
        .await,
        30
    );
    let events_max = 12;
    assert_eq!(
        publish(
            Limits {
                events_max,
                ..unbounded
            },
            2
        )
        .await,
        24
    );
    let all_bytes_max = 20 * cost + cost / 2;
    assert_eq!(
        publish(
            Limits {
                all_bytes_max,
                ..unbounded
            },
            1
        )
        .await,
        20
    );
    let all_events_max = 9;
    assert_eq!(
        publish(
            Limits {
                all_events_max,
                ..unbounded
            },
            1
        )
        .await,
        9
    );
    // By its own clock: for which three of them are as old as can be.
    server.age(3).await;
    assert_eq!(publish(unbounded, 1).await, 9 - 3 + 1);
}

/// One large event for which more small ones have to go than one call of the script drops.
#[tokio::test]
async fn room_is_made_for_an_event_as_large_as_all() {
    const SMALL: usize = 1000;
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let limits = Limits {
        bytes_max: SMALL * said("x").cost(),
        ..Limits::CHANNELS
    };
    let node = server.node(5, limits).await;
    for _ in 0..SMALL {
        node.publish(said("x")).await.unwrap();
    }
    assert_eq!(server.kept().await, SMALL);
    let overhead = said("").cost();
    let large = "x".repeat(limits.bytes_max - overhead);
    node.publish(said(&large)).await.unwrap();
    assert_eq!(server.kept().await, 1);
    for node in [node, server.node(6, limits).await] {
        let told = next(&mut reader(&node, After::Id(id(5, 500))), 2).await;
        assert_eq!(told, ["gap: expired".to_owned(), large.clone()]);
    }
}

/// What the alternates of an event cost is bounded as well: three calls of the script drop them.
#[tokio::test]
async fn others_have_their_turn_while_events_on_many_channels_go() {
    const SMALL: usize = 25;
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let small = on_many("x", 1);
    let limits = Limits {
        bytes_max: SMALL * small.cost(),
        ..Limits::CHANNELS
    };
    let node = server.node(5, limits).await;
    for _ in 0..SMALL {
        node.publish(small.clone()).await.unwrap();
    }
    let before = server.said("commandstats", "cmdstat_llen:calls=").await;
    let overhead = said("").cost();
    let large = "x".repeat(limits.bytes_max - overhead);
    node.publish(said(&large)).await.unwrap();
    assert_eq!(server.kept().await, 1);
    // It is asked once for each event that goes, and once more by each call.
    let after = server.said("commandstats", "cmdstat_llen:calls=").await;
    assert_eq!(after - before, SMALL + 3);
}

/// Of many channels with long names: what is known of an event is as large as the event.
#[tokio::test]
async fn redis_looks_at_no_more_than_a_page_has_room_for() {
    const EVENTS: usize = 300;
    let Some(mut server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    for _ in 0..EVENTS {
        node.publish(on_many("x", 1000)).await.unwrap();
    }
    drop(node);
    // The peak is forgotten.
    server.restart(|_| {}).await;
    let before = server.said("memory", "used_memory_peak:").await;
    let node = server.channels_node(6).await;
    assert_eq!(node.hub().cursor(), id(5, EVENTS as u64));
    let grown = server.said("memory", "used_memory_peak:").await - before;
    assert!(grown < 16 << 20, "by {grown} bytes");
}

/// Redis cuts off whom it has to answer too much at once.
#[tokio::test]
async fn large_events_are_read_in_pages_of_bounded_size() {
    const EVENTS: usize = 16;
    let limit = ["--client-output-buffer-limit", "normal", "6mb", "6mb", "0"];
    let arguments = [QUICK, &limit].concat();
    let Some(server) = Server::start(&arguments).await else {
        return;
    };
    let large = "x".repeat(1 << 20);
    let node = server.channels_node(5).await;
    for _ in 0..EVENTS {
        node.publish(said(&large)).await.unwrap();
    }
    // One that is larger than any page comes alone.
    node.publish(said(&"x".repeat(5 << 20))).await.unwrap();
    let later = server.channels_node(6).await;
    let all = next(&mut reader(&later, After::Earliest), EVENTS + 1).await;
    let bytes: Vec<_> = all.iter().map(String::len).collect();
    assert_eq!(bytes, [vec![1 << 20; EVENTS], vec![5 << 20]].concat());
}

#[tokio::test]
async fn a_full_redis_is_said_to_be_full() {
    let arguments = [QUICK, &["--maxmemory", "8mb"]].concat();
    let Some(server) = Server::start(&arguments).await else {
        return;
    };
    let node = server.channels_node(5).await;
    let filling = async {
        loop {
            if let Err(error) = node.publish(said(&"x".repeat(1 << 20))).await {
                return error;
            }
        }
    };
    let error = timeout(WAIT_MAX, filling).await.unwrap();
    assert!(matches!(error, PublishError::Full(_)), "{error:?}");
    let kept = server.kept().await;
    assert!(kept > 0);
    assert_eq!(
        node.hub().cursor().offset,
        kept as u64,
        "nothing was half done"
    );
}
