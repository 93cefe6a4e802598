//! What readers of channels may rely on, whatever keeps the events: one table of scenarios, run
//! over every store.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use forerun::hub::store::{PublishError, Store};
use forerun::hub::{After, EventId, Limits, PageMax, Publication, Read, Reader, Slow, Topics};

use crate::places::{EPOCH, Place};

const PAGE: PageMax = PageMax {
    events: 1000,
    bytes: 1 << 20,
};

fn said(topic: &str, data: impl Into<String>) -> Publication {
    Publication::new(topic, data.into())
}

fn reader(store: &Store, topics: Topics, after: After) -> Reader {
    Reader::new(Arc::clone(store.hub()), Arc::new(topics), after)
}

fn at(epoch: u64, offset: u64) -> After {
    After::Id(EventId { epoch, offset })
}

/// Everything that a reader finds without waiting: gaps in words, and what events say.
fn found(mut reader: Reader) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        match reader.read_now(PAGE) {
            Read::Events(events) => found.extend(events.iter().map(|event| event.data.to_string())),
            Read::Gap(gap) => found.push(format!("gap: {}", gap.reason.as_str())),
            Read::Nothing => return found,
            Read::TooSlow => found.push("too slow".to_owned()),
        }
    }
}

#[tokio::test]
async fn what_is_answered_is_in_one_order_for_all() {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 25;
    for place in Place::all().await {
        let store = Arc::new(place.open(Limits::CHANNELS).await);
        let total = PUBLISHERS * EACH;
        // Readers come at every stage of it.
        let readers: Vec<_> = (0..16)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut reader = reader(&store, Topics::named(["a"]), After::Earliest);
                    while store.hub().cursor().offset < number * 10 {
                        reader.read(PAGE).await;
                    }
                    let mut reader = self::reader(&store, Topics::named(["a"]), After::Earliest);
                    let mut seen = Vec::new();
                    while seen.len() < total {
                        match reader.read(PAGE).await {
                            Some(Read::Events(events)) => seen.extend(
                                events
                                    .iter()
                                    .map(|event| (event.id, event.data.to_string())),
                            ),
                            other => panic!("{other:?}"),
                        }
                    }
                    seen
                })
            })
            .collect();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut answered = Vec::new();
                    for number in 0..EACH {
                        let data = format!("{publisher} {number}");
                        let id = store.publish(said("a", data.clone())).await.unwrap().id;
                        // What was answered can be read.
                        assert!(store.hub().cursor() >= id);
                        answered.push((id, data));
                    }
                    answered
                })
            })
            .collect();
        let mut expected = Vec::new();
        for publisher in publishers {
            expected.extend(publisher.await.unwrap());
        }
        expected.sort();
        for reader in readers {
            assert_eq!(reader.await.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn a_reader_that_missed_any_number_has_them_all() {
    const EVENTS: u64 = 100_000;
    for place in Place::all().await {
        let store = Arc::new(place.open(Limits::CHANNELS).await);
        let mut publishing = tokio::task::JoinSet::new();
        for first in (1..=EVENTS).step_by(1000) {
            let store = Arc::clone(&store);
            publishing.spawn(async move {
                for _ in first..first + 1000 {
                    store.publish(said("a", "x")).await.unwrap();
                }
            });
        }
        publishing.join_all().await;
        for missed in [0, 1, 1000, EVENTS] {
            let after = at(EPOCH, EVENTS - missed);
            for topics in [
                Topics::named(["a"]),
                Topics::named(["a", "b"]),
                Topics::all(),
            ] {
                let found = found(reader(&store, topics, after));
                assert_eq!(found.len() as u64, missed);
                assert!(found.iter().all(|data| data == "x"));
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_that_leads_nowhere_is_a_gap() {
    let limits = Limits {
        events_max: 2,
        ..Limits::CHANNELS
    };
    for place in Place::all().await {
        let store = place.open(limits).await;
        store.publish(said("quiet", "q")).await.unwrap();
        for data in ["1", "2", "3"] {
            store.publish(said("a", data)).await.unwrap();
        }
        let last = store.hub().cursor();
        let mut first = Some(store);
        for _ in 0..2 {
            let store = match first.take() {
                Some(store) => store,
                None => place.open(limits).await,
            };
            if store.hub().cursor() != last {
                // What is only in memory is gone, and its cursors with it.
                assert!(!place.keeps());
                let nothing = found(reader(&store, Topics::named(["a"]), After::Id(last)));
                assert_eq!(nothing, ["gap: unknown"]);
                continue;
            }
            for (after, expected) in [
                (at(EPOCH, 0), &["gap: expired", "2", "3"][..]),
                (at(EPOCH, 1), &["gap: expired", "2", "3"]),
                (at(EPOCH, 2), &["2", "3"]),
                (at(EPOCH, 4), &[]),
                (at(EPOCH, 5), &["gap: unknown", "2", "3"]),
                (at(EPOCH + 1, 3), &["gap: epoch", "2", "3"]),
                (store.hub().after("urn:nobody"), &["gap: unknown", "2", "3"]),
                (store.hub().after("earliest"), &["2", "3"]),
                (After::Now, &[]),
                (After::Latest, &["3"]),
            ] {
                let found = found(reader(&store, Topics::named(["a"]), after));
                assert_eq!(found, expected, "{after:?}");
            }
            let quiet = found(reader(&store, Topics::named(["quiet"]), at(EPOCH, 0)));
            assert_eq!(quiet, ["q"], "a busy channel's loss is not its own");
        }
    }
}

/// Whichever bound is reached first drops the oldest, in every store alike: who was there and who
/// comes after a restart read the same, and miss the same.
#[tokio::test]
async fn every_bound_drops_the_same() {
    let cost = said("quiet", "12345").cost();
    let none = Limits::CHANNELS;
    let bounds = [
        none,
        Limits {
            events_max: 3,
            ..none
        },
        Limits {
            bytes_max: 3 * cost,
            ..none
        },
        Limits {
            all_events_max: 5,
            ..none
        },
        Limits {
            all_bytes_max: 5 * cost + cost / 2,
            ..none
        },
        // Which channels have lost something is remembered of two alone.
        Limits {
            events_max: 1,
            empty_channels_max: 2,
            ..none
        },
    ];
    for limits in bounds {
        let mut expected = None;
        for place in Place::all().await {
            let mut store = place.open(limits).await;
            let large = "x".repeat(cost);
            for (topic, data) in [
                ("quiet", "12345"),
                ("a", "a1"),
                ("a", "a2"),
                ("b", "b1"),
                ("a", "a3"),
                ("a", &large),
                ("a", "a4"),
                ("b", "b2"),
            ] {
                store.publish(said(topic, data)).await.unwrap();
            }
            for _ in 0..2 {
                let mut told = Vec::new();
                for topics in [&["quiet"][..], &["a"], &["b"], &["new"], &["quiet", "b"]] {
                    for offset in [0, 1, 2, 5, 8] {
                        let topics = Topics::named(topics.iter().copied());
                        told.push(found(reader(&store, topics, at(EPOCH, offset))));
                    }
                }
                for offset in [0, 3, 8] {
                    told.push(found(reader(&store, Topics::all(), at(EPOCH, offset))));
                }
                let expected = expected.get_or_insert_with(|| told.clone());
                assert_eq!(*expected, told, "{limits:?}");
                if !place.keeps() {
                    break;
                }
                drop(store);
                store = place.open(limits).await;
            }
        }
    }
}

#[tokio::test]
async fn texts_of_any_kind_come_back_as_they_were() {
    let texts = [
        String::new(),
        "\0\r\n\r\n: \u{feff}\u{2028}".to_owned(),
        "x".repeat(1 << 20),
    ];
    for place in Place::all().await {
        let store = place.open(Limits::CHANNELS).await;
        for text in &texts {
            store.publish(said("a", text.clone())).await.unwrap();
        }
        assert_eq!(
            found(reader(&store, Topics::named(["a"]), After::Earliest)),
            texts
        );
        let too_large = store.publish(said("a", "x".repeat(65 << 20))).await;
        assert!(matches!(too_large, Err(PublishError::TooLarge { .. })));
        for bad in [said("", "x"), said("a\n", "x"), Publication::default()] {
            assert!(matches!(
                store.publish(bad).await,
                Err(PublishError::Bad(_))
            ));
        }
        assert_eq!(store.hub().cursor().offset, texts.len() as u64);
        if place.keeps() {
            drop(store);
            let store = place.open(Limits::CHANNELS).await;
            assert_eq!(
                found(reader(&store, Topics::named(["a"]), After::Earliest)),
                texts
            );
        }
    }
}

#[tokio::test]
async fn repetitions_and_ids_of_publishers_are_known() {
    for place in Place::all().await {
        let mut store = place.open(Limits::CHANNELS).await;
        let keyed = |data: &str| Publication {
            idempotency_key: Some("k".to_owned()),
            publisher_id: Some("urn:x".to_owned()),
            ..said("a", data)
        };
        let first = store.publish(keyed("1")).await.unwrap();
        let twice = Publication {
            publisher_id: Some("urn:x".to_owned()),
            ..said("a", "2")
        };
        store.publish(twice).await.unwrap();
        for _ in 0..2 {
            let again = store.publish(keyed("3")).await.unwrap();
            assert_eq!((again.id, again.is_repeated), (first.id, true));
            assert_eq!(
                store.hub().after("urn:x"),
                After::Id(first.id),
                "the earliest"
            );
            let found = found(reader(
                &store,
                Topics::named(["a"]),
                store.hub().after("urn:x"),
            ));
            assert_eq!(found, ["2"]);
            if place.keeps() {
                drop(store);
                store = place.open(Limits::CHANNELS).await;
            }
        }
    }
}

#[tokio::test]
async fn private_events_are_read_and_missed_by_those_alone_who_may() {
    let limits = Limits {
        events_max: 2,
        ..Limits::CHANNELS
    };
    for place in Place::all().await {
        let mut store = place.open(limits).await;
        for (data, is_private) in [("p1", true), ("p2", true), ("3", false)] {
            let publication = Publication {
                is_private,
                ..said("a", data)
            };
            store.publish(publication).await.unwrap();
        }
        for _ in 0..2 {
            let named = || Topics::named(["a"]);
            let may = |name: &'static str| named().seeing_private(Arc::new(move |t| t == name));
            let from = |topics, offset| found(reader(&store, topics, at(EPOCH, offset)));
            for topics in [named(), Topics::all(), may("b")] {
                assert_eq!(from(topics, 0), ["3"]);
            }
            assert_eq!(from(may("a"), 0), ["gap: expired", "p2", "3"]);
            assert_eq!(from(may("a"), 1), ["p2", "3"]);
            if place.keeps() {
                drop(store);
                store = place.open(limits).await;
            }
        }
    }
}

#[tokio::test]
async fn slow_readers_are_served_as_they_chose() {
    for place in Place::all().await {
        let store = place.open(Limits::CHANNELS).await;
        let slow = |slow| reader(&store, Topics::named(["a", "b"]), After::Now).when_slow(slow);
        let all = slow(Slow::CatchUp);
        let latest = slow(Slow::Latest);
        let mut close = slow(Slow::Close { behind_max: 3 });
        for (topic, data) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a3")] {
            store.publish(said(topic, data)).await.unwrap();
        }
        assert_eq!(found(all), ["a1", "b1", "a2", "a3"]);
        assert_eq!(found(latest), ["b1", "a3"]);
        assert!(matches!(close.read_now(PAGE), Read::TooSlow));
    }
}

#[tokio::test]
async fn a_directory_has_one_program() {
    let place = tempfile::tempdir().unwrap();
    let open = || Store::disk(place.path(), EPOCH, Limits::CHANNELS, SystemTime::now());
    let first = open().unwrap();
    let refused = open().unwrap_err().to_string();
    assert!(refused.contains("another forerun"), "{refused}");
    drop(first);
    open().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Store::disk(file.path(), EPOCH, Limits::CHANNELS, SystemTime::now());
    assert!(refused.is_err());
}

const DIRECTORY: &str = "FORERUN_TEST_DIRECTORY";

/// Publishes without end, and says what was answered: the program that is killed.
#[tokio::test]
#[ignore = "it is run by the test below"]
async fn publisher() {
    let directory = std::env::var(DIRECTORY).unwrap();
    let store = Store::disk(
        directory.as_ref(),
        EPOCH,
        Limits::CHANNELS,
        SystemTime::now(),
    );
    let store = Arc::new(store.unwrap());
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..8 {
        let store = Arc::clone(&store);
        publishers.spawn(async move {
            for number in 0.. {
                let data = format!("{publisher}/{number}/{}", "x".repeat(number % 500));
                let published = store.publish(said("a", data.clone())).await.unwrap();
                #[expect(clippy::print_stdout, reason = "the parent reads it")]
                {
                    println!("answered {} {data}", published.id.offset);
                }
            }
        });
    }
    publishers.join_all().await;
}

/// `kill -9` at no particular instant, again and again: the kernel keeps what was written, so this
/// shows that answers come after writing; that they come after flushing is shown on a simulated
/// disk.
#[test]
fn a_program_that_is_killed_has_kept_what_it_answered() {
    let place = tempfile::tempdir().unwrap();
    let mut answered: Vec<(u64, String)> = Vec::new();
    for lines in [1, 50, 7, 200, 33] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stores::publisher", "--ignored", "--nocapture"])
            .env(DIRECTORY, place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut heard = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut hear = |line: Option<std::io::Result<String>>| {
            let line = line?.ok()?;
            if let Some((_, said)) = line.split_once("answered ")
                && let Some((offset, data)) = said.split_once(' ')
            {
                answered.push((offset.parse().ok()?, data.to_owned()));
            }
            Some(())
        };
        for _ in 0..lines + 10 {
            hear(heard.next()).expect("it publishes without end");
        }
        child.kill().unwrap();
        // What it said before it was killed counts; a line that was cut was not heard.
        let rest: Vec<_> = heard.collect();
        let whole = rest.len().saturating_sub(1);
        for line in rest.into_iter().take(whole) {
            hear(Some(line));
        }
        child.wait().unwrap();
        let store = Store::disk(place.path(), 99, Limits::CHANNELS, SystemTime::now()).unwrap();
        assert_eq!(store.hub().cursor().epoch, EPOCH);
        let found = found(reader(&store, Topics::all(), After::Earliest));
        for (offset, data) in &answered {
            let index = usize::try_from(*offset).unwrap() - 1;
            assert_eq!(found.get(index), Some(data), "{offset} is lost");
        }
    }
    assert!(answered.len() > 250);
}
