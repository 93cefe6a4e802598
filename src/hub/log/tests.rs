//! A log that is written, trimmed and read.

mod copied;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::seek::Seek;
use super::*;
use crate::hub::event::{EVENT_OVERHEAD_BYTES, Publication};
use crate::hub::topics::Topics;

const EPOCH: u64 = 7;
const PAGE: PageMax = PageMax {
    events: 9,
    bytes: 1 << 20,
};

fn id(offset: u64) -> EventId {
    EventId {
        epoch: EPOCH,
        offset,
    }
}

fn log(events_max: usize) -> Log {
    let limits = Limits {
        events_max,
        ..Limits::default()
    };
    Log::new(EPOCH, limits)
}

fn publish(log: &mut Log, at: Instant, topics: &[&str], data: &str) -> EventId {
    let publication = Publication {
        topics: topics.iter().copied().map(str::to_owned).collect(),
        ..Publication::new("", data.to_owned())
    };
    add(log, at, publication)
}

fn add(log: &mut Log, at: Instant, publication: Publication) -> EventId {
    let event = Event::new(log.next_id(), publication);
    let id = event.id;
    log.insert(at, Arc::new(event));
    id
}

/// Tells all reads until there is nothing, in a line.
fn told(log: &Log, after: EventId, topics: &Topics) -> String {
    told_from(log, Place::after(after), topics, Slow::CatchUp, PAGE)
}

fn read(log: &Log, place: &mut Place, topics: &Topics, max: PageMax) -> Read {
    let mut want = Want {
        topics,
        slowness: None,
        until: u64::MAX,
        max,
    };
    log.read(place, &mut want)
}

fn told_from(log: &Log, place: Place, topics: &Topics, slow: Slow, max: PageMax) -> String {
    told_by(log, place, topics, SlowTest::new(move |_| slow), max)
}

fn told_by(log: &Log, mut place: Place, topics: &Topics, policy: SlowTest, max: PageMax) -> String {
    let mut slowness = Slowness::new(policy, 0);
    let mut told = Vec::new();
    for _ in 0..100 {
        let mut want = Want {
            topics,
            slowness: Some(&mut slowness),
            until: u64::MAX,
            max,
        };
        match log.read(&mut place, &mut want) {
            Read::Events(events) => {
                assert!(events.len() <= max.events, "a page");
                if let Some(passed) = slowness.passed_over(id(events[0].id.offset - 1)) {
                    let GapReason::Latest { events } = passed.reason else {
                        panic!("{passed:?}");
                    };
                    let Gap {
                        requested,
                        resumed_after,
                        ..
                    } = passed;
                    told.push(format!("({events} in {requested}..{resumed_after})"));
                }
                told.extend(events.iter().map(|event| event.data.to_string()));
            }
            Read::Nothing if place.at == log.cursor() => break,
            Read::Nothing => {}
            Read::Gap(gap) => {
                told.push(format!(
                    "gap ({}), on from {}:",
                    gap.reason.as_str(),
                    gap.resumed_after
                ));
            }
            Read::TooSlow => {
                told.push("too slow".to_owned());
                break;
            }
        }
    }
    told.join(" ")
}

fn named(names: &[&str]) -> Topics {
    Topics::named(names.iter().copied())
}

#[test]
fn a_reader_goes_on_where_it_was_or_is_told_that_it_cannot() {
    let mut log = log(2);
    let now = Instant::now();
    assert_eq!(log.cursor(), id(0));
    assert_eq!(told(&log, id(0), &Topics::all()), "");
    for data in ["a", "b", "c"] {
        publish(&mut log, now, &["t"], data);
    }
    let other = |epoch, offset| EventId { epoch, offset };
    for (after, expected) in [
        (id(0), "gap (expired), on from 7.1: b c"),
        (id(1), "b c"),
        (id(2), "c"),
        (id(3), ""),
        (id(4), "gap (unknown), on from 7.1: b c"),
        (other(6, 2), "gap (epoch), on from 7.1: b c"),
        (other(8, 2), "gap (epoch), on from 7.1: b c"),
        (EventId::UNKNOWN, "gap (unknown), on from 7.1: b c"),
    ] {
        for topics in [Topics::all(), named(&["t"]), named(&["s", "t", "u"])] {
            assert_eq!(told(&log, after, &topics), expected, "after {after}");
        }
    }
    // No cursor is known to a log by accident, whatever its epoch.
    let unlucky = Log::new(EventId::UNKNOWN.epoch, Limits::default());
    let read = told(&unlucky, EventId::UNKNOWN, &Topics::all());
    assert_eq!(read, "gap (unknown), on from 0.0:");
}

#[test]
fn a_quiet_channel_knows_no_gap_of_a_busy_one() {
    let mut log = log(2);
    let now = Instant::now();
    publish(&mut log, now, &["quiet"], "q1");
    for number in 2..=6 {
        publish(&mut log, now, &["busy"], &format!("b{number}"));
    }
    publish(&mut log, now, &["quiet"], "q7");
    assert_eq!(told(&log, id(0), &named(&["quiet"])), "q1 q7");
    assert_eq!(told(&log, id(1), &named(&["quiet"])), "q7");
    assert_eq!(
        told(&log, id(0), &named(&["busy"])),
        "gap (expired), on from 7.4: b5 b6"
    );
    assert_eq!(told(&log, id(4), &named(&["busy"])), "b5 b6");
    // Who reads both is told, and loses nothing that is kept.
    assert_eq!(
        told(&log, id(0), &named(&["quiet", "busy"])),
        "gap (expired), on from 7.0: q1 b5 b6 q7"
    );
    let quiet = Topics::named(["x"]).matching(Arc::new(|topic| topic.starts_with("qu")));
    assert_eq!(told(&log, id(0), &quiet), "q1 q7");
    // A channel on which nothing was ever said has lost nothing.
    assert_eq!(told(&log, id(0), &named(&["silent"])), "");
}

#[test]
fn whoever_does_not_mind_what_is_gone_is_told_of_what_is_lost_later() {
    let now = Instant::now();
    let one = PageMax { events: 1, ..PAGE };
    for topics in [
        named(&["a"]),
        named(&["a", "b"]),
        Topics::named(["b"]).matching(Arc::new(|topic| topic == "a")),
        Topics::all(),
    ] {
        for start in [None, Some(Seek::time(0)), Some(Seek::latest())] {
            let mut log = log(4);
            for topic in ["a"; 3].into_iter().chain(["busy"; 9]) {
                publish(&mut log, now, &[topic], "x");
            }
            // Of another channel more is gone already than of this one is lost below.
            let mut place = start.map_or(log.earliest(), |seek| sought(&log, seek, &topics));
            if start.is_some_and(|seek| matches!(seek, Seek::Latest { .. })) {
                place.at = id(0);
            }
            assert!(matches!(
                read(&log, &mut place, &topics, one),
                Read::Events(_)
            ));
            assert_eq!(place.at, id(1));
            // What was read is no loss.
            for _ in 0..2 {
                publish(&mut log, now, &["a"], "x");
            }
            assert!(matches!(
                read(&log, &mut place, &topics, one),
                Read::Events(_)
            ));
            assert_eq!(place.at, id(2));
            for _ in 0..2 {
                publish(&mut log, now, &["a"], "x");
            }
            let Read::Gap(gap) = read(&log, &mut place, &topics, one) else {
                panic!("silently, by {topics:?}");
            };
            assert_eq!((gap.requested, gap.reason), (id(2), GapReason::Expired));
            let again = read(&log, &mut place, &topics, one);
            assert!(matches!(again, Read::Events(_)), "told once");
        }
    }
}

#[test]
fn what_is_known_to_be_lost_is_not_lost_again() {
    let now = Instant::now();
    let mut log = log(2);
    for topic in ["a", "a", "a", "b"] {
        publish(&mut log, now, &[topic], "x");
    }
    let numbered = log.lost.clone();
    let known = log.losses();
    log.lose_as(known.clone());
    log.lose_all_through(0);
    assert_eq!(log.lost, numbered);
    let mut more = known;
    more.channels[0].1.public = 9;
    log.lose_as(more);
    assert_eq!(log.lost.len(), 1);
    assert_ne!(log.lost, numbered);
    // What is lost out of order is told as well, to whoever has not had it; however many there are.
    let mut drops = Drops::default();
    for number in 1..100 {
        let dropped = Dropped::all_through(1000 - number);
        drops.note_all(number, dropped);
    }
    for told in 0..99 {
        assert!(drops.since(told).public > 999 - told - 1);
    }
    assert_eq!(drops.since(98).latest(), 901);
    assert_eq!(drops.since(99).latest(), 0);
}

#[test]
fn a_channel_that_is_forgotten_shares_what_was_lost() {
    let now = Instant::now();
    let limits = Limits {
        age_max: Duration::from_secs(10),
        empty_channels_max: 2,
        ..Limits::default()
    };
    let mut log = Log::new(EPOCH, limits);
    for name in ["a", "b", "c", "d"] {
        publish(&mut log, now, &[name], name);
    }
    let later = now + Duration::from_secs(11);
    publish(&mut log, later, &["e"], "e");
    // The third that became empty made the log forget the two that lost something first.
    assert_eq!(log.empty_channels, 2);
    assert_eq!(log.channels.len(), 3);
    assert_eq!(
        told(&log, id(1), &named(&["a"])),
        "gap (expired), on from 7.5:"
    );
    assert_eq!(told(&log, id(2), &named(&["a"])), "", "shared with b");
    assert_eq!(
        told(&log, id(2), &named(&["c"])),
        "gap (expired), on from 7.5:"
    );
    assert_eq!(told(&log, id(4), &named(&["d"])), "");
    // It comes back with what it may have lost.
    publish(&mut log, later, &["a"], "a6");
    assert_eq!(
        told(&log, id(1), &named(&["a"])),
        "gap (expired), on from 7.5: a6"
    );
    assert_eq!(log.empty_channels, 2);
}

#[test]
fn an_event_on_several_channels_comes_once_and_is_missed_on_each() {
    let mut log = log(2);
    let now = Instant::now();
    publish(&mut log, now, &["a", "b", "a"], "ab");
    publish(&mut log, now, &["b"], "b");
    assert_eq!(told(&log, id(0), &named(&["a", "b"])), "ab b");
    assert_eq!(told(&log, id(0), &named(&["b"])), "ab b");
    // It is its canonical channel that drops it.
    for data in ["b4", "b5"] {
        publish(&mut log, now, &["b"], data);
    }
    assert_eq!(
        told(&log, id(1), &named(&["b"])),
        "gap (expired), on from 7.2: b4 b5"
    );
    assert_eq!(told(&log, id(0), &named(&["a"])), "ab");
    for data in ["a6", "a7"] {
        publish(&mut log, now, &["a"], data);
    }
    assert_eq!(
        told(&log, id(0), &named(&["a"])),
        "gap (expired), on from 7.4: a6 a7"
    );
    assert_eq!(
        log.bytes,
        log.kept
            .values()
            .map(|kept| kept.event.cost())
            .sum::<usize>()
    );
}

#[test]
fn private_events_are_read_and_missed_by_those_alone_who_may() {
    let mut log = log(2);
    let now = Instant::now();
    let private = |topics: &[&str], data: &str| Publication {
        is_private: true,
        topics: topics.iter().copied().map(str::to_owned).collect(),
        ..Publication::new("", data.to_owned())
    };
    let may = |name: &'static str| -> Topics {
        named(&["t"]).seeing_private(Arc::new(move |topic| topic == name))
    };
    let slow = Slow::CatchUp;
    add(&mut log, now, private(&["t"], "p1"));
    publish(&mut log, now, &["t"], "2");
    assert_eq!(told(&log, id(0), &named(&["t"])), "2");
    assert_eq!(told(&log, id(0), &Topics::all()), "2");
    assert_eq!(told(&log, id(0), &may("t")), "p1 2");
    assert_eq!(told(&log, id(0), &may("u")), "2");
    // A page that has nothing for a reader is passed over.
    let one = PageMax {
        events: 1,
        bytes: 0,
    };
    assert_eq!(
        told_from(&log, Place::after(id(0)), &named(&["t"]), slow, one),
        "2"
    );
    // Its loss is nobody else's business.
    publish(&mut log, now, &["t"], "3");
    assert_eq!(told(&log, id(0), &named(&["t"])), "2 3");
    assert_eq!(told(&log, id(0), &Topics::all()), "2 3");
    assert_eq!(
        told(&log, id(0), &may("t")),
        "gap (expired), on from 7.1: 2 3"
    );
    assert_eq!(told(&log, id(0), &may("u")), "2 3");
    // An alternate widens who may read it.
    add(&mut log, now, private(&["t", "u"], "p4"));
    assert_eq!(told(&log, id(3), &may("u")), "p4");
    assert_eq!(told(&log, id(3), &may("v")), "");
    let latest = sought(&log, Seek::latest(), &named(&["t"]));
    assert_eq!(latest.at, id(2), "the last that may be read");
    assert_eq!(
        told_from(&log, id_place(2), &named(&["t"]), Slow::Latest, PAGE),
        "3"
    );
}

fn id_place(offset: u64) -> Place {
    Place::after(id(offset))
}

#[test]
fn age_and_size_drop_the_oldest() {
    let now = Instant::now();
    let mut log = Log::new(
        EPOCH,
        Limits {
            events_max: 9,
            bytes_max: 1003 + 2 * EVENT_OVERHEAD_BYTES,
            age_max: Duration::from_secs(10),
            ..Limits::default()
        },
    );
    let dropped = |log: &mut Log, seconds, length: usize| {
        let at = now + Duration::from_secs(seconds);
        publish(log, at, &["t"], &"x".repeat(length));
        log.dropped.all().latest()
    };
    assert_eq!(dropped(&mut log, 0, 500), 0);
    assert_eq!(dropped(&mut log, 1, 500), 0);
    assert_eq!(dropped(&mut log, 2, 1), 1, "too many bytes");
    assert_eq!(dropped(&mut log, 12, 1), 2, "too old");
    assert_eq!(dropped(&mut log, 12, 9000), 5, "larger than the log");
    assert_eq!(log.bytes, 0);
    assert_eq!(told(&log, id(5), &named(&["t"])), "");
    assert_eq!(
        told(&log, id(4), &named(&["t"])),
        "gap (expired), on from 7.5:"
    );
}

#[test]
fn all_channels_together_are_bounded() {
    let now = Instant::now();
    let limits = Limits {
        all_events_max: 3,
        ..Limits::default()
    };
    let mut log = Log::new(EPOCH, limits);
    for name in ["a", "b", "c", "d"] {
        publish(&mut log, now, &[name], name);
    }
    assert_eq!(
        told(&log, id(0), &named(&["a"])),
        "gap (expired), on from 7.4:"
    );
    assert_eq!(told(&log, id(0), &named(&["b", "d"])), "b d");
}

#[test]
fn a_reader_chooses_where_to_begin() {
    let mut log = log(3);
    let now = Instant::now();
    for (time_ms, topic) in [
        (1000, "a"),
        (2000, "a"),
        (3000, "b"),
        (4000, "a"),
        (5000, "a"),
    ] {
        add(
            &mut log,
            now,
            Publication {
                time_ms,
                ..Publication::new(topic, time_ms.to_string())
            },
        );
    }
    let from = |place| told_from(&log, place, &named(&["a"]), Slow::CatchUp, PAGE);
    assert_eq!(from(log.earliest()), "2000 4000 5000", "no gap");
    let since = |time_ms| sought(&log, Seek::time(time_ms), &named(&["a"]));
    assert_eq!(from(since(2001)), "4000 5000");
    assert_eq!(from(since(0)), "2000 4000 5000", "no gap");
    assert_eq!(from(since(9000)), "");
    let latest = |topics| sought(&log, Seek::latest(), &topics);
    assert_eq!(from(latest(named(&["a"]))), "5000");
    assert_eq!(latest(named(&["b"])).at, id(2));
    assert_eq!(latest(named(&["a", "b"])).at, id(4));
    assert_eq!(latest(named(&["c"])).at, id(5));
    let b = Topics::named(["x"]).matching(Arc::new(|topic| topic == "b"));
    assert_eq!(latest(b).at, id(2));
}

fn sought(log: &Log, mut seek: Seek, topics: &Topics) -> Place {
    log.seek(&mut seek, topics).unwrap()
}

#[test]
fn who_is_slow_gets_the_last_of_each_channel_and_is_told_how_many_came_before() {
    let mut log = log(2);
    let now = Instant::now();
    for (topic, data) in [
        ("a", "a1"),
        ("b", "b2"),
        ("a", "a3"),
        ("a", "a4"),
        ("b", "b5"),
    ] {
        publish(&mut log, now, &[topic], data);
    }
    let both = [
        named(&["a", "b"]),
        Topics::all(),
        named(&["a"]).matching(Arc::new(|topic| topic == "b")),
    ];
    for topics in &both {
        let latest = |after| told_from(&log, id_place(after), topics, Slow::Latest, PAGE);
        assert_eq!(latest(1), "(2 in 7.1..7.3) a4 b5");
        assert_eq!(latest(3), "a4 b5", "nothing is passed over");
        assert_eq!(latest(4), "b5");
        assert_eq!(latest(5), "");
        // What is gone is told, and what is passed over of the rest.
        let gone = "gap (expired), on from 7.1: (2 in 7.1..7.3) a4 b5";
        assert_eq!(latest(0), gone);
        let unknown = "gap (unknown), on from 7.1: (2 in 7.1..7.3) a4 b5";
        assert_eq!(latest(6), unknown);
    }
}

#[test]
fn what_is_passed_over_is_told_where_it_was() {
    let mut log = log(9);
    let now = Instant::now();
    for topic in ["b", "a", "a", "b", "a", "a", "b"] {
        let data = format!("{topic}{}", log.next_id().offset);
        publish(&mut log, now, &[topic], &data);
    }
    let policy = SlowTest::new(|topic| match topic {
        "a" => Slow::Latest,
        _ => Slow::CatchUp,
    });
    for topics in [named(&["a", "b"]), Topics::all()] {
        let told = told_by(&log, id_place(0), &topics, policy.clone(), PAGE);
        assert_eq!(told, "b1 (2 in 7.1..7.3) b4 (1 in 7.4..7.5) a6 b7");
    }
}

#[test]
fn what_is_passed_over_is_heard_later_by_nobody_in_vain() {
    let mut log = log(9);
    let now = Instant::now();
    let private = |data: &str| Publication {
        is_private: true,
        ..Publication::new("a", data.to_owned())
    };
    publish(&mut log, now, &["a", "x"], "1");
    publish(&mut log, now, &["a"], "2");
    add(&mut log, now, private("p3"));
    let from = |place, topics: &Topics| told_from(&log, place, topics, Slow::Latest, PAGE);
    let start = id_place(0);
    assert_eq!(from(start, &named(&["a"])), "(1 in 7.0..7.1) 2");
    assert_eq!(from(start, &Topics::all()), "(1 in 7.0..7.1) 2");
    let may = named(&["a"]).seeing_private(Arc::new(|topic| topic == "a"));
    assert_eq!(from(start, &may), "(2 in 7.0..7.2) p3");
    // Whoever hears it by its alternate topic alone is sent nothing later.
    assert_eq!(from(start, &named(&["x"])), "1");
}

#[test]
fn only_what_is_wanted_and_may_be_read_counts_as_delay() {
    let mut log = Log::new(EPOCH, Limits::CHANNELS);
    let now = Instant::now();
    let private = Publication {
        is_private: true,
        ..Publication::new("a", "p".to_owned())
    };
    for _ in 0..2000 {
        publish(&mut log, now, &["other"], "o");
        add(&mut log, now, private.clone());
    }
    for _ in 0..3 {
        publish(&mut log, now, &["a"], "a");
    }
    let close = |behind_max| Slow::Close { behind_max };
    for topics in [
        named(&["a"]),
        named(&["a", "b"]),
        named(&["b"]).matching(Arc::new(|topic| topic == "a")),
    ] {
        let told = |slow| told_from(&log, id_place(0), &topics, slow, PAGE);
        assert_eq!(told(close(3)), "a a a");
        assert_eq!(told(close(2)), "too slow");
    }
    // What was read is no delay any more, and what was there before never was.
    let mut slowness = Slowness::new(SlowTest::new(move |_| close(2)), 4001);
    let mut place = id_place(4000);
    let mut step = |log: &Log| {
        let mut want = Want {
            topics: &named(&["a"]),
            slowness: Some(&mut slowness),
            until: u64::MAX,
            max: PageMax { events: 1, ..PAGE },
        };
        match log.read(&mut place, &mut want) {
            Read::Events(events) => events[0].id.offset,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(step(&log), 4001);
    for offset in 4002..4010 {
        assert_eq!(step(&log), offset, "never more than two behind");
        publish(&mut log, now, &["a"], "a");
    }
}

#[test]
fn a_large_log_is_read_in_pages() {
    let mut log = Log::new(EPOCH, Limits::CHANNELS);
    let now = Instant::now();
    for number in 0..10_000 {
        publish(
            &mut log,
            now,
            &[if number % 5000 == 0 { "rare" } else { "often" }],
            "x",
        );
    }
    // A pattern that selects little lets go of the log now and then.
    let rare = Topics::named(["x"]).matching(Arc::new(|topic| topic == "rare"));
    let mut place = id_place(0);
    let mut reads = 0;
    let mut seen = Vec::new();
    while place.at < log.cursor() {
        reads += 1;
        if let Read::Events(events) = read(&log, &mut place, &rare, PAGE) {
            seen.extend(events.iter().map(|event| event.id.offset));
        }
    }
    assert_eq!(seen, [1, 5001]);
    assert!((9..12).contains(&reads), "{reads}");
    let page = PageMax {
        events: 7,
        bytes: 3,
    };
    let mut place = id_place(0);
    for topics in [named(&["often"]), named(&["often", "rare"]), Topics::all()] {
        let Read::Events(events) = read(&log, &mut place, &topics, page) else {
            panic!("nothing");
        };
        assert_eq!(events.len(), 3, "as many bytes as a page has");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish {
        bytes: usize,
        topics: u8,
        is_private: bool,
    },
    Pass {
        seconds: u64,
    },
    /// 0: with all that is kept; 1: with the last; else at a share of the time until now.
    Begin {
        reader: usize,
        from: u64,
    },
    Read {
        reader: usize,
        events: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..400_usize, 1..16_u8, prop::bool::weighted(0.2))
            .prop_map(|(bytes, topics, is_private)| Step::Publish { bytes, topics, is_private }),
        1 => (0..20_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (0..READERS, 0..4_u64).prop_map(|(reader, from)| Step::Begin { reader, from }),
        3 => (0..READERS, 1..5_usize).prop_map(|(reader, events)| Step::Read { reader, events }),
    ]
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const READERS: usize = 6;

/// A reader, what it has seen, and what it knows that it has missed.
struct Reader {
    topics: Topics,
    place: Place,
    seen: Vec<u64>,
    /// What was gone when it was told so, or began.
    missed: BTreeSet<u64>,
}

impl Reader {
    fn all() -> [Self; READERS] {
        let odd = |topic: &str| topic == "b" || topic == "d";
        [
            Topics::all(),
            Topics::all().seeing_private(Arc::new(|_| true)),
            named(&["a"]),
            named(&["a"]).seeing_private(Arc::new(|topic| topic == "a")),
            named(&["b", "c"]).seeing_private(Arc::new(|topic| topic == "d")),
            named(&["c"]).matching(Arc::new(odd)),
        ]
        .map(|topics| Self {
            topics,
            place: id_place(0),
            seen: Vec::new(),
            missed: BTreeSet::new(),
        })
    }

    /// Begins anew, with all that is kept, or where it was sought.
    fn begin(&mut self, log: &Log, seek: Option<Seek>) {
        self.place = seek.map_or(log.earliest(), |seek| sought(log, seek, &self.topics));
        self.seen.clear();
        self.missed = (1..=self.place.at.offset).collect();
        self.miss(log);
    }

    /// Notes what is gone by now.
    fn miss(&mut self, log: &Log) {
        let offsets = self.place.at.offset + 1..=log.last;
        (self.missed).extend(offsets.filter(|offset| !log.kept.contains_key(offset)));
    }

    fn read(&mut self, log: &Log, events: usize) {
        let max = PageMax {
            events,
            bytes: 1000,
        };
        let before = self.place.at;
        match read(log, &mut self.place, &self.topics, max) {
            Read::Events(found) => {
                assert!(!found.is_empty() && found.len() <= events);
                for event in found {
                    assert!(event.id > before, "a repetition");
                    assert!(self.topics.selects(&event), "not wanted, or not allowed");
                    self.seen.push(event.id.offset);
                }
                assert!(self.seen.is_sorted_by(|a, b| a < b), "order");
            }
            Read::Nothing => assert_eq!(self.place.at, log.cursor()),
            Read::Gap(gap) => {
                assert_eq!(gap.reason, GapReason::Expired);
                assert!(gap.resumed_after >= before);
                self.place.at = before;
                self.miss(log);
                self.place.at = gap.resumed_after;
            }
            Read::TooSlow => panic!("too slow"),
        }
    }

    fn read_all(&mut self, log: &Log) {
        while self.place.at < log.cursor() {
            self.read(log, 3);
        }
        self.read(log, 3);
    }

    /// Checks that what it wanted of all that was published it has seen, or has missed aloud.
    fn check(&self, published: &[Arc<Event>]) {
        for event in published.iter().filter(|event| self.topics.selects(event)) {
            let offset = event.id.offset;
            let is_known = self.seen.contains(&offset) || self.missed.contains(&offset);
            assert!(is_known, "{offset} lost by {:?}", self.topics);
        }
    }
}

/// Returns the next event of a log: its topics are those whose bits are set.
fn made(log: &Log, bytes: usize, topics: u8, is_private: bool) -> Event {
    let names = NAMES.iter().enumerate();
    let topics = names.filter(|(bit, _)| topics & (1 << bit) != 0);
    let publication = Publication {
        topics: topics.map(|(_, name)| (*name).to_owned()).collect(),
        is_private,
        time_ms: log.last,
        ..Publication::new("", "x".repeat(bytes))
    };
    Event::new(log.next_id(), publication)
}

proptest! {
    /// Whatever is published, dropped and read: nothing is lost silently, nothing comes twice, and
    /// nobody learns what is not theirs.
    #[test]
    fn every_event_is_read_once_or_missed_aloud(
        steps in proptest::collection::vec(step(), 0..120),
        events_max in 0..12_usize,
        bytes_max in 0..8000_usize,
        empty_channels_max in 0..4_usize,
    ) {
        let age_max = Duration::from_mins(1);
        let limits = Limits {
            events_max, bytes_max, age_max, empty_channels_max, ..Limits::default()
        };
        let mut log = Log::new(EPOCH, limits);
        let mut now = Instant::now();
        let mut readers = Reader::all();
        let mut published = Vec::new();
        for step in steps {
            match step {
                Step::Publish { bytes, topics, is_private } => {
                    let event = Arc::new(made(&log, bytes, topics, is_private));
                    published.push(Arc::clone(&event));
                    log.insert(now, event);
                }
                Step::Pass { seconds } => now += Duration::from_secs(seconds),
                Step::Begin { reader, from } => {
                    log.trim(now);
                    let seek = match from {
                        0 => None,
                        1 => Some(Seek::latest()),
                        _ => Some(Seek::time(log.last / from)),
                    };
                    readers[reader].begin(&log, seek);
                }
                Step::Read { reader, events } => {
                    log.trim(now);
                    readers[reader].read(&log, events);
                }
            }
            let kept = log.kept.values();
            prop_assert_eq!(log.bytes, kept.map(|kept| kept.event.cost()).sum::<usize>());
            let empty = log.channels.values().filter(|channel| channel.events.is_empty());
            prop_assert_eq!(empty.count(), log.empty_channels);
            prop_assert!(log.empty_channels <= empty_channels_max);
        }
        for reader in &mut readers {
            reader.read_all(&log);
            reader.check(&published);
        }
    }
}
