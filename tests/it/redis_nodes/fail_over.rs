//! What nodes make of a Redis that was away, or has lost something.

use super::*;

/// Another node has begun an epoch, as if Redis had lost something; this one has not looked yet.
#[tokio::test]
async fn a_cursor_of_a_new_epoch_is_good_at_once() {
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    node.publish(said("1")).await.unwrap();
    let mut commands = server.commands().await.unwrap();
    () = commands.hset("{test}:log", "epoch", 9).await.unwrap();
    // What nobody has been told is not waited for.
    for (wanted, is_known) in [(id(9, 1), true), (id(9, 7), false)] {
        node.reach(After::Id(wanted)).await;
        assert_eq!(node.hub().cursor(), id(9, 1));
        let read = reader(&node, After::Id(wanted)).read_now(PAGE);
        assert_eq!(matches!(read, Read::Nothing), is_known, "{read:?}");
    }
}

#[tokio::test]
async fn a_redis_that_goes_and_comes_back_has_lost_nothing() {
    let Some(mut server) = Server::start(DURABLE).await else {
        return;
    };
    let (node, warnings) = Store::redis(&server.options(), 5, Limits::CHANNELS)
        .await
        .unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let mut reading = reader(&node, After::Now);
    for data in ["1", "2"] {
        node.publish(said(data)).await.unwrap();
    }
    server.kill();
    for _ in 0..2 {
        let refused = timeout(WAIT_MAX, node.publish(said("never"))).await;
        match refused.unwrap().unwrap_err() {
            // Nothing of it is kept, or whoever published is told that it may be.
            PublishError::Unavailable(_) | PublishError::Unknown(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let refused = node.publish(said("never")).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot keep the event now: Redis cannot be reached; try again"
    );
    // Who was here before reads on what is known.
    assert_eq!(next(&mut reading, 2).await, ["1", "2"]);
    assert_eq!(
        next(&mut reader(&node, After::Earliest), 2).await,
        ["1", "2"]
    );
    server.come_back().await;
    let later = server.channels_node(9).await;
    later.publish(said("3")).await.unwrap();
    // The node that was there before goes on by itself.
    assert_eq!(next(&mut reading, 1).await, ["3"]);
    insist(&node, "4").await;
    assert_eq!(next(&mut reading, 1).await, ["4"]);
    assert_eq!(node.hub().cursor(), id(5, 4));
}

#[tokio::test]
async fn a_fail_over_that_loses_begins_a_new_epoch() {
    let Some(mut server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    node.publish(said("1")).await.unwrap();
    let mut reading = reader(&node, After::Earliest);
    assert_eq!(next(&mut reading, 1).await, ["1"]);
    let kept = server.back_up().await;
    for data in ["2", "3"] {
        insist(&node, data).await;
    }
    assert_eq!(next(&mut reading, 2).await, ["2", "3"]);
    // What was there before the two: as a replica has it that was behind.
    server.restore(&kept).await;
    let told = next(&mut reading, 2).await;
    let gap = format!("gap: {}", GapReason::Epoch.as_str());
    assert_eq!(told, [gap, "1".to_owned()]);
    assert!(node.hub().cursor().epoch > 5);
}

/// The second time what is left has the older epoch, of which there are other cursors.
#[tokio::test]
async fn a_backup_that_is_restored_twice_begins_two_epochs() {
    let Some(mut server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    node.publish(said("1")).await.unwrap();
    let backup = server.back_up().await;
    for data in ["2", "3"] {
        insist(&node, data).await;
    }
    assert_eq!(node.hub().cursor(), id(5, 3));
    let mut epoch = 5;
    let mut reading = reader(&node, After::Now);
    for _ in 0..2 {
        server.restore(&backup).await;
        assert_eq!(next(&mut reading, 2).await, ["gap: epoch", "1"]);
        let begun = node.hub().cursor().epoch;
        assert!(begun > epoch, "{begun} after {epoch}");
        epoch = begun;
    }
    // In the places of those that were lost.
    for data in ["4", "5", "6"] {
        insist(&node, data).await;
    }
    let told = next(&mut reader(&node, After::Id(id(5, 3))), 5).await;
    assert_eq!(told, ["gap: epoch", "1", "4", "5", "6"]);
}

/// It takes several pages to read: in between, nobody sees a part of it.
#[tokio::test]
async fn a_new_epoch_is_seen_whole() {
    const EVENTS: usize = 2500;
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let node = Arc::new(server.channels_node(5).await);
    let publishing = (0..EVENTS).map(|number| {
        let node = Arc::clone(&node);
        tokio::spawn(async move { node.publish(said(&number.to_string())).await.unwrap() })
    });
    for task in publishing.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut reading = reader(&node, After::Now);
    let mut commands = server.commands().await.unwrap();
    () = commands.hset("{test}:log", "epoch", 9).await.unwrap();
    // It is woken when anything changes.
    let gap = timeout(WAIT_MAX, reading.read(PAGE)).await.unwrap();
    let Some(Read::Gap(gap)) = gap else {
        panic!("{gap:?}");
    };
    assert_eq!(gap.reason, GapReason::Epoch);
    assert_eq!(node.hub().cursor(), id(9, EVENTS as u64));
    assert_eq!(next(&mut reading, EVENTS).await.len(), EVENTS);
    assert_eq!(insist(&node, "new").await.id, id(9, EVENTS as u64 + 1));
}

/// Another history of the same length: only the numbers of events tell.
#[tokio::test]
async fn another_event_in_the_place_of_the_last_begins_a_new_epoch() {
    let Some(mut server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    node.publish(said("old")).await.unwrap();
    let mut reading = reader(&node, After::Now);
    server.kill();
    // As the epoch was, but nothing else: what a replica has that only knew the beginning.
    let other = Server::start_in(tempfile::tempdir().unwrap(), QUICK)
        .await
        .unwrap();
    other
        .channels_node(5)
        .await
        .publish(said("new"))
        .await
        .unwrap();
    copy(other.directory.path(), server.directory.path());
    server.come_back().await;
    let told = next(&mut reading, 2).await;
    assert_eq!(told, ["gap: epoch", "new"]);
}

/// Redis as it should not be: it throws away what it likes.
#[tokio::test]
async fn what_others_take_out_of_redis_is_missed_aloud() {
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    let mut reading = reader(&node, After::Now);
    for data in ["1", "2"] {
        node.publish(said(data)).await.unwrap();
    }
    assert_eq!(next(&mut reading, 2).await, ["1", "2"]);
    let mut commands = server.commands().await.unwrap();
    () = commands.del("{test}:events").await.unwrap();
    // What is answered now is not taken for lost as well.
    let published = node.publish(said("3")).await.unwrap();
    assert!(published.id.epoch > 5);
    assert_eq!(next(&mut reading, 1).await, ["gap: epoch"]);
    assert_eq!(next(&mut reading, 1).await, ["3"]);
    let later = server.channels_node(9).await;
    assert_eq!(later.hub().cursor(), node.hub().cursor());
    let told = next(&mut reader(&later, After::Id(id(published.id.epoch, 0))), 2).await;
    assert_eq!(told, ["gap: expired", "3"]);
}

/// As after a fail-over to one that is too small.
#[tokio::test]
async fn an_epoch_begins_even_where_there_is_no_room() {
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    node.publish(said("1")).await.unwrap();
    let mut reading = reader(&node, After::Now);
    let mut commands = server.commands().await.unwrap();
    let mut full = redis::cmd("CONFIG");
    full.arg("SET").arg("maxmemory").arg("1");
    () = full.query_async(&mut commands).await.unwrap();
    // What takes something away may put something there.
    let go_back = "redis.call('HDEL', KEYS[1], 'epoch') redis.call('HSET', KEYS[1], 'epoch', 4)";
    let go_back = Script::new(go_back);
    () = (go_back.key("{test}:log").invoke_async(&mut commands))
        .await
        .unwrap();
    assert_eq!(next(&mut reading, 2).await, ["gap: epoch", "1"]);
    let error = node.publish(said("2")).await.unwrap_err();
    assert!(matches!(error, PublishError::Full(_)), "{error:?}");
}
