//! What a hub does in a second, printed. To be run by hand, with optimisation:
//! `cargo test --release --lib hub::tests::measured -- --ignored --nocapture --test-threads=1`.

#![expect(clippy::print_stdout, reason = "it is what they are for")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::time::SystemTime;

use super::*;
use crate::hub::feed::{Feed, Way};
use crate::hub::store::Store;

const FEEDS: usize = 1000;

/// What this thread has had of a processor: others may want it as well.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// Polls a feed whenever it is woken, as a connection does, until it has told so many events.
async fn follow(mut feed: Feed, events: usize) {
    let mut told = 0;
    while told < events {
        let piece = poll_fn(|cx| feed.poll_next(cx)).await.unwrap();
        let lines = piece.split(|&byte| byte == b'\n');
        told += lines.filter(|line| line.starts_with(b"data:")).count();
    }
}

#[test]
#[ignore = "a measurement"]
fn deliveries_of_a_core() {
    const EVENTS: usize = 2000;
    for burst in [1, 10] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        let hub = Arc::new(Hub::new(1, Limits::CHANNELS));
        let topics = Arc::new(Topics::named(["ticker"]));
        let took = runtime.block_on(local.run_until(async {
            let feeds = (0..FEEDS).map(|_| {
                let reader = Reader::new(Arc::clone(&hub), Arc::clone(&topics), After::Now);
                tokio::task::spawn_local(follow(Feed::of(reader, Way::EventStream), EVENTS))
            });
            let feeds: Vec<_> = feeds.collect();
            let start = processor_seconds();
            let publisher = tokio::task::spawn_local(async move {
                for number in 0..EVENTS {
                    if number % burst == 0 {
                        // All feeds have their turn.
                        tokio::task::yield_now().await;
                    }
                    hub.add(Publication::new("ticker", "{\"price\":42}".to_owned()));
                }
            });
            publisher.await.unwrap();
            for feed in feeds {
                feed.await.unwrap();
            }
            processor_seconds() - start
        }));
        println!(
            "{FEEDS} feeds, {burst} at a time: {:.0} deliveries/s on one core",
            (EVENTS * FEEDS) as f64 / took
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn publications_that_a_disk_keeps() {
    let directory = tempfile::tempdir_in(".").unwrap();
    for publishers in [1, 16, 256, 1024] {
        let place = directory.path().join(publishers.to_string());
        let store = Store::disk(&place, 1, Limits::CHANNELS, SystemTime::now()).unwrap();
        let store = Arc::new(store);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (count, took) = runtime.block_on(async {
            let start = Instant::now();
            let until = start + std::time::Duration::from_secs(3);
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..publishers {
                let store = Arc::clone(&store);
                tasks.spawn(async move {
                    let mut count = 0;
                    while Instant::now() < until {
                        let publication = Publication::new("a", "x".repeat(200));
                        store.publish(publication).await.unwrap();
                        count += 1;
                    }
                    count
                });
            }
            let count: usize = tasks.join_all().await.into_iter().sum();
            (count, start.elapsed())
        });
        println!(
            "{publishers} publishers: {:.0} durable publishes/s",
            count as f64 / took.as_secs_f64()
        );
    }
    let mut file = std::fs::File::create(directory.path().join("raw")).unwrap();
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed().as_secs() < 3 {
        std::io::Write::write_all(&mut file, &[1; 300]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    println!(
        "beside: {:.0} flushes/s one after another",
        f64::from(count) / start.elapsed().as_secs_f64()
    );
}
