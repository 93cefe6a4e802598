//! A hub that is published to and waited for.

mod measured;
mod turns;

use std::future::poll_fn;

use super::*;

const PAGE: PageMax = PageMax {
    events: 9,
    bytes: 1 << 20,
};

fn reader(hub: &Arc<Hub>, after: After) -> Reader {
    Reader::new(Arc::clone(hub), Arc::new(Topics::all()), after)
}

fn named(hub: &Arc<Hub>, names: &[&str], after: After) -> Reader {
    let topics = Topics::named(names.iter().copied());
    Reader::new(Arc::clone(hub), Arc::new(topics), after)
}

fn waiting(hub: &Hub) -> usize {
    let state = hub.state();
    let named = state.waiting.values().map(HashMap::len);
    named.sum::<usize>() + state.waiting_for_any.len()
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_woken_by_an_event_or_the_end() {
    let hub = Arc::new(Hub::new(1, Limits::default()));
    let mut late = reader(&hub, After::Now);
    let mut reader = reader(&hub, After::Now);
    let (read, id) = tokio::join!(reader.read(PAGE), async {
        hub.publish("said", "hello".to_owned())
    });
    let Some(Read::Events(events)) = read else {
        panic!("{read:?}");
    };
    assert_eq!((events.len(), events[0].id), (1, id));
    let (read, ()) = tokio::join!(reader.read(PAGE), async { hub.close() });
    assert!(read.is_none());
    // What was kept is not lost by closing.
    assert!(matches!(late.read(PAGE).await, Some(Read::Events(_))));
    assert!(late.read(PAGE).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_missed_aloud_even_if_nothing_is_published() {
    let limits = Limits::default();
    let hub = Arc::new(Hub::new(1, limits));
    let mut reader = reader(&hub, After::Now);
    let id = hub.publish("said", String::new());
    tokio::time::advance(2 * limits.age_max).await;
    let Read::Gap(gap) = reader.read_now(PAGE) else {
        panic!("no gap");
    };
    assert_eq!((gap.resumed_after, gap.reason), (id, GapReason::Expired));
    assert!(matches!(reader.read_now(PAGE), Read::Nothing));
}

#[test]
fn waiting_leaves_nothing_behind() {
    let hub = Arc::new(Hub::new(1, Limits::default()));
    let mut cx = Context::from_waker(Waker::noop());
    let mut readers: Vec<_> = (0..100)
        .map(|number| match number % 2 {
            0 => reader(&hub, After::Now),
            _ => named(&hub, &["a", "b"], After::Now),
        })
        .collect();
    for _ in 0..3 {
        for reader in &mut readers {
            assert!(reader.poll_read(&mut cx, PAGE).is_pending());
        }
    }
    assert_eq!(waiting(&hub), 50 + 2 * 50);
    readers.truncate(10);
    assert_eq!(waiting(&hub), 5 + 2 * 5);
    hub.add(Publication::new("a", String::new()));
    assert_eq!(waiting(&hub), 5);
    drop(readers);
    assert_eq!(waiting(&hub), 0);
    assert!(hub.state().waiting.is_empty());
}

#[test]
fn only_those_who_wait_for_a_channel_are_woken() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let hub = Arc::new(Hub::new(1, Limits::default()));
    let pattern = Topics::named(["d"]).matching(Arc::new(|topic| topic.starts_with("c/")));
    let mut readers = [
        named(&hub, &["a"], After::Now),
        named(&hub, &["a", "b"], After::Now),
        Reader::new(Arc::clone(&hub), Arc::new(pattern), After::Now),
    ];
    let mut woken_by = |topics: &[&str]| {
        let woken = [(); 3].map(|()| Arc::new(Woken::default()));
        for (reader, woken) in readers.iter_mut().zip(&woken) {
            let waker = Waker::from(Arc::clone(woken));
            while reader
                .poll_read(&mut Context::from_waker(&waker), PAGE)
                .is_ready()
            {}
        }
        hub.add(Publication {
            topics: topics.iter().copied().map(str::to_owned).collect(),
            ..Publication::default()
        });
        // Those with patterns are asked, whatever it is.
        woken.map(|woken| woken.0.load(Ordering::Relaxed) > 0)
    };
    assert_eq!(woken_by(&["a"]), [true, true, true]);
    assert_eq!(woken_by(&["b"]), [false, true, true]);
    assert_eq!(woken_by(&["x", "b"]), [false, true, true]);
    assert_eq!(woken_by(&["x"]), [false, false, true]);
}

/// Publishing on two threads and reading on others, as fast as they can.
#[test]
fn nothing_is_lost_between_reading_and_waiting() {
    const EVENTS: usize = 1_000;
    let hub = Arc::new(Hub::new(1, Limits::CHANNELS));
    let everything = || reader(&hub, After::Now);
    let some = || named(&hub, &["a", "c"], After::Now);
    let readers: Vec<_> = [everything(), everything(), some(), some()]
        .into_iter()
        .map(|mut reader| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let (mut seen, mut last) = (0, 0);
                    while let Some(Read::Events(events)) = reader.read(PAGE).await {
                        for event in events {
                            assert!(event.id.offset > last, "order");
                            last = event.id.offset;
                            seen += 1;
                        }
                    }
                    seen
                })
            })
        })
        .collect();
    std::thread::scope(|scope| {
        for topic in ["a", "b"] {
            let hub = &hub;
            scope.spawn(move || {
                for _ in 0..EVENTS {
                    hub.add(Publication::new(topic, String::new()));
                }
            });
        }
    });
    hub.close();
    let seen: Vec<_> = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .collect();
    assert_eq!(seen, [2 * EVENTS, 2 * EVENTS, EVENTS, EVENTS]);
}

/// Publish racing subscribe, step by step, in every order: each event comes once, or was there
/// before.
#[test]
fn publishing_and_subscribing_interleave_in_any_order() {
    #[derive(Clone, Copy)]
    enum Step {
        Publish,
        Poll,
    }
    for order in 0..64_u32 {
        let hub = Arc::new(Hub::new(1, Limits::default()));
        let mut published = 0;
        let mut reader = None;
        let mut seen = Vec::new();
        for bit in 0..6 {
            let step = if order & (1 << bit) == 0 {
                Step::Publish
            } else {
                Step::Poll
            };
            match step {
                Step::Publish => {
                    hub.add(Publication::new("a", String::new()));
                    published += 1;
                }
                Step::Poll => {
                    let (start, reader) =
                        reader.get_or_insert_with(|| (published, named(&hub, &["a"], After::Now)));
                    let mut cx = Context::from_waker(Waker::noop());
                    if let Poll::Ready(Some(Read::Events(events))) = reader.poll_read(&mut cx, PAGE)
                    {
                        seen.extend(events.iter().map(|event| event.id.offset));
                    }
                    let expected: Vec<_> = (*start + 1..=published).collect();
                    assert_eq!(seen, expected, "order {order:06b}");
                }
            }
        }
    }
}

#[test]
fn a_repetition_answers_with_the_first_and_stores_nothing() {
    let hub = Arc::new(Hub::new(1, Limits::default()));
    let keyed = |key: &str| Publication {
        idempotency_key: Some(key.to_owned()),
        ..Publication::new("a", "once".to_owned())
    };
    let first = hub.add(keyed("k"));
    assert!(!first.is_repeated);
    hub.add(keyed("other"));
    let again = hub.add(keyed("k"));
    assert_eq!((again.id, again.is_repeated), (first.id, true));
    assert_eq!(hub.cursor().offset, 2);
}

#[test]
fn a_cursor_is_a_place_or_a_publishers_id() {
    let hub = Arc::new(Hub::new(1, Limits::default()));
    let called = |id: &str| Publication {
        publisher_id: Some(id.to_owned()),
        ..Publication::new("a", String::new())
    };
    hub.add(called("urn:x"));
    hub.add(called("urn:y"));
    hub.add(called("urn:x"));
    let place = |offset| After::Id(EventId { epoch: 1, offset });
    assert_eq!(hub.after("urn:x"), place(1), "the earliest");
    assert_eq!(hub.after("urn:y"), place(2));
    assert_eq!(hub.after("1.2"), place(2));
    assert_eq!(hub.after("earliest"), After::Earliest);
    for unknown in ["", "urn:z", "1.2.3", "\0"] {
        assert_eq!(
            hub.after(unknown),
            After::Id(EventId::UNKNOWN),
            "{unknown:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_lost_is_told_to_those_who_wait() {
    let hub = Arc::new(Hub::new(1, Limits::default()));
    hub.publish("said", String::new());
    let mut reader = reader(&hub, After::Now);
    let (read, ()) = tokio::join!(reader.read(PAGE), async {
        hub.renew(Hub::new(2, Limits::default()));
    });
    let Some(Read::Gap(gap)) = read else {
        panic!("{read:?}");
    };
    assert_eq!(gap.reason, GapReason::Epoch);
    let id = hub.publish("said", String::new());
    assert_eq!(id.to_string(), "2.1");
    let read = poll_fn(|cx| reader.poll_read(cx, PAGE)).await;
    assert!(matches!(read, Some(Read::Events(events)) if events[0].id == id));
}

/// Reads as soon as it is woken, before whoever wakes it does anything else.
struct Eager {
    reader: Mutex<Reader>,
    found: Mutex<Vec<String>>,
}

impl std::task::Wake for Eager {
    fn wake(self: Arc<Self>) {
        let mut reader = self.reader.lock().unwrap();
        let mut found = self.found.lock().unwrap();
        loop {
            match reader.read_now(PAGE) {
                Read::Events(events) => {
                    found.extend(events.iter().map(|event| event.data.to_string()));
                }
                Read::Gap(_) => found.push("gap".to_owned()),
                _ => return,
            }
        }
    }
}

#[test]
fn whoever_goes_on_with_other_topics_is_where_it_was() {
    let limits = Limits {
        events_max: 3,
        ..Limits::default()
    };
    let hub = Arc::new(Hub::new(1, limits));
    for topic in ["a", "b", "b", "b", "b", "b"] {
        hub.add(Publication::new(topic, "x".to_owned()));
    }
    // What is missing was told, or is not minded.
    let mut reader = named(&hub, &["a", "b"], After::Earliest);
    reader.select(Arc::new(Topics::named(["b", "c"])));
    assert!(matches!(reader.read_now(PAGE), Read::Events(events) if events.len() == 3));
    // What has gathered stays gathered, and who waited is woken for what it reads now.
    let close = Slow::Close { behind_max: 2 };
    let mut reader = named(&hub, &["a"], After::Now).when_slow(close);
    let waker = Waker::noop();
    let mut cx = Context::from_waker(waker);
    assert!(reader.poll_read(&mut cx, PAGE).is_pending());
    for _ in 0..3 {
        hub.add(Publication::new("a", "x".to_owned()));
    }
    reader.select(Arc::new(Topics::named(["a", "c"])));
    assert!(hub.state().waiting.is_empty());
    assert!(matches!(reader.read_now(PAGE), Read::TooSlow));
}

#[test]
fn whoever_is_woken_by_an_event_behind_a_hole_finds_the_hole() {
    let event = |offset: u64| {
        let id = EventId { epoch: 1, offset };
        let publication = Publication::new("a", offset.to_string());
        (Instant::now(), Arc::new(Event::new(id, publication)))
    };
    let losses = |through| {
        let mut lost = Losses::default();
        let public = log::channel::Dropped {
            public: through,
            ..log::channel::Dropped::default()
        };
        lost.channels.push(("a".into(), public));
        Some(lost)
    };
    let copied = [
        (
            losses(2),
            vec![event(1), event(3)],
            0,
            ["gap", "1", "3"].as_slice(),
        ),
        (None, vec![event(1), event(3)], 2, &["gap", "1", "3"]),
        (losses(3), vec![event(1)], 0, &["gap", "1"]),
        (losses(1), vec![event(2), event(3)], 0, &["gap", "2", "3"]),
    ];
    for (losses, events, unread_through, expected) in copied {
        let hub = Arc::new(Hub::new(1, Limits::default()));
        let waiting = Arc::new(Eager {
            reader: Mutex::new(named(&hub, &["a"], After::Now)),
            found: Mutex::default(),
        });
        let waker = Waker::from(Arc::clone(&waiting));
        let mut cx = Context::from_waker(&waker);
        let is_waiting = waiting.reader.lock().unwrap().poll_read(&mut cx, PAGE);
        assert!(is_waiting.is_pending());
        hub.take_on(Copied {
            losses,
            events,
            unread_through,
            through: 3,
        });
        assert_eq!(*waiting.found.lock().unwrap(), expected);
        assert_eq!(hub.cursor().offset, 3);
    }
}
