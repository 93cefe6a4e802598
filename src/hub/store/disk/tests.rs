//! Events on a disk that crashes, fails, fills up and rots.

mod simulated;

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::simulated::Simulated;
use super::*;
use crate::hub::{After, PageMax, Read, Reader, Topics};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const ALL: PageMax = PageMax {
    events: usize::MAX,
    bytes: usize::MAX,
};

fn open(disk: &Simulated, limits: Limits) -> Writer<Simulated> {
    Writer::open(disk.clone(), 7, limits, NOW, 2000).unwrap()
}

fn publish(
    writer: &mut Writer<Simulated>,
    group: Vec<Publication>,
) -> Vec<Result<Published, PublishError>> {
    let (jobs, answers): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|publication| {
            let (answer, answered) = oneshot::channel();
            let at = Instant::now();
            let job = Job {
                publication,
                at,
                answer,
            };
            (job, answered)
        })
        .unzip();
    writer.commit(jobs);
    let answer = |mut answer: oneshot::Receiver<_>| answer.try_recv().unwrap();
    answers.into_iter().map(answer).collect()
}

fn say(writer: &mut Writer<Simulated>, topic: &str, data: &str) -> Result<u64, PublishError> {
    let group = vec![Publication::new(topic, data.to_owned())];
    let answer = publish(writer, group).remove(0);
    answer.map(|published| published.id.offset)
}

/// What a reader finds: offsets and data, and whether it was told of a gap.
fn found(hub: &Arc<Hub>, topics: Topics, after: u64) -> (bool, Vec<(u64, String)>) {
    let after = After::Id(EventId {
        epoch: hub.cursor().epoch,
        offset: after,
    });
    let topics = topics.seeing_private(Arc::new(|_| true));
    let mut reader = Reader::new(Arc::clone(hub), Arc::new(topics), after);
    let (mut gap, mut found) = (false, Vec::new());
    loop {
        match reader.read_now(ALL) {
            Read::Events(events) => {
                found.extend((events.iter()).map(|e| (e.id.offset, e.data.to_string())));
            }
            Read::Gap(_) => gap = true,
            Read::Nothing => return (gap, found),
            Read::TooSlow => panic!("too slow"),
        }
    }
}

/// Readers are told of what was dropped for its age, however often the server starts in between.
#[test]
fn what_is_too_old_at_a_start_is_missed_aloud_ever_after() {
    let second = std::time::Duration::from_secs(1);
    let limits = Limits {
        age_max: second,
        ..Limits::default()
    };
    let disk = Simulated::default();
    let start = |now| Writer::open(disk.clone(), 7, limits, now, 2000).unwrap();
    // Zero is no time.
    let (published, time_ms) = (NOW + second, 1000);
    let mut writer = start(published);
    for number in 0..10 {
        let old = Publication {
            time_ms,
            ..Publication::new("a", number.to_string().repeat(500))
        };
        publish(&mut writer, vec![old]).remove(0).unwrap();
    }
    drop(writer);
    for restart in 0..3 {
        let mut writer = start(published + 2 * second);
        assert!(found(&writer.hub, Topics::named(["a"]), 1).0, "{restart}");
        drop(writer);
        writer = start(published + 2 * second);
        say(&mut writer, "b", "new").unwrap();
    }
}

#[test]
fn everything_of_an_event_survives() {
    let disk = Simulated::default();
    let publication = Publication {
        topics: vec!["a".to_owned(), "https://example.com/ü".to_owned()],
        kind: "price".to_owned(),
        data: "\0\r\n\u{feff}€".repeat(1000),
        retry: Some(std::time::Duration::from_millis(1500)),
        publisher_id: Some("urn:x".to_owned()),
        idempotency_key: Some("k".to_owned()),
        is_private: true,
        time_ms: 1_700_000_000_123,
    };
    let mut writer = open(&disk, Limits::default());
    let first = publish(&mut writer, vec![publication.clone()])
        .remove(0)
        .unwrap();
    drop(writer);
    let mut writer = open(&disk, Limits::default());
    let hub = Arc::clone(&writer.hub);
    assert_eq!(hub.cursor().to_string(), "7.1");
    assert_eq!(hub.after("urn:x"), After::Id(first.id));
    let events = hub.with_log(|log| log.kept_in(0..9));
    let expected = Event::new(first.id, publication.clone());
    assert_eq!(events.len(), 1);
    assert_eq!(format!("{:?}", events[0]), format!("{expected:?}"));
    // Its key is known as well.
    let again = publish(&mut writer, vec![publication]).remove(0).unwrap();
    assert_eq!((again.id, again.is_repeated), (first.id, true));
}

#[test]
fn a_key_that_comes_twice_in_one_group_is_kept_once_or_not_at_all() {
    let disk = Simulated::default();
    let mut writer = open(&disk, Limits::default());
    let keyed = |data: &str| Publication {
        idempotency_key: Some("k".to_owned()),
        ..Publication::new("a", data.to_owned())
    };
    disk.room(Some(0));
    let answers = publish(&mut writer, vec![keyed("1"), keyed("2")]);
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    disk.room(None);
    let other = Publication::new("a", "3".to_owned());
    let answers = publish(&mut writer, vec![keyed("1"), other, keyed("2")]);
    let ids: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().id.offset)
        .collect();
    assert_eq!(ids, [1, 2, 1]);
    let (_, events) = found(&writer.hub, Topics::all(), 0);
    assert_eq!(events, [(1, "1".to_owned()), (2, "3".to_owned())]);
}

#[test]
fn a_full_disk_is_an_error_until_there_is_room() {
    for room in 0..400 {
        let disk = Simulated::default();
        let mut writer = open(&disk, Limits::default());
        assert_eq!(say(&mut writer, "a", "kept"), Ok(1));
        disk.room(Some(room));
        let mut last = 1;
        while let Ok(offset) = say(&mut writer, "a", "more") {
            last = offset;
        }
        assert_eq!(
            writer.hub.cursor().offset,
            last,
            "told as far as it was kept"
        );
        assert!(say(&mut writer, "a", "more").is_err());
        let before = found(&writer.hub, Topics::all(), 0);
        assert_eq!(before.1.len() as u64, last);
        // Nothing of what failed is there after a restart, nor after there was room again.
        assert_eq!(
            found(
                &open(&disk.crash(|_| 0), Limits::default()).hub,
                Topics::all(),
                0
            ),
            before
        );
        disk.room(None);
        assert_eq!(say(&mut writer, "a", "again"), Ok(last + 1));
        let after = found(&writer.hub, Topics::all(), 0);
        assert_eq!(
            found(&open(&disk, Limits::default()).hub, Topics::all(), 0),
            after
        );
    }
}

#[test]
fn any_failing_step_is_an_error_of_its_group_alone() {
    for step in 1..60 {
        let disk = Simulated::default();
        let mut writer = open(&disk, Limits::default());
        disk.fail_at(&[step]);
        let mut expected = Vec::new();
        for number in 0..12 {
            let data = format!("{number} {}", "x".repeat(300));
            if let Ok(offset) = say(&mut writer, "a", &data) {
                expected.push((offset, data));
            }
        }
        assert!(expected.len() >= 11, "step {step}");
        let offsets: Vec<_> = expected.iter().map(|(offset, _)| *offset).collect();
        assert!(
            offsets.iter().copied().eq(1..=expected.len() as u64),
            "no holes"
        );
        disk.fail_at(&[]);
        let (gap, events) = found(&open(&disk, Limits::default()).hub, Topics::all(), 0);
        assert!(!gap && events == expected, "step {step}: {events:?}");
    }
}

/// Wherever the last file is cut, what comes before is whole; and an end that was not written is no
/// damage.
#[test]
fn a_tail_that_was_cut_at_any_byte_is_left_out() {
    let disk = Simulated::default();
    let mut writer = open(&disk, Limits::default());
    for data in ["one", "two"] {
        say(&mut writer, "a", data).unwrap();
    }
    let whole = disk.bytes();
    let group = ["three", "four"].map(|data| Publication::new("a", data.to_owned()));
    publish(&mut writer, group.into());
    let end = disk.bytes();
    for bytes in whole..=end {
        for zeros in [0, 100] {
            let disk = disk.crash(|_| 0);
            disk.damage(|file| {
                file.truncate(bytes);
                file.resize(bytes + zeros, 0);
            });
            let mut writer = open(&disk, Limits::default());
            let (gap, events) = found(&writer.hub, Topics::all(), 0);
            let count = if bytes == end { 4 } else { 2 };
            assert!(!gap && events.len() == count, "{bytes}: {events:?}");
            assert_eq!(say(&mut writer, "a", "next"), Ok(count as u64 + 1));
            assert_eq!(
                found(&open(&disk, Limits::default()).hub, Topics::all(), 0)
                    .1
                    .len(),
                count + 1
            );
        }
    }
}

#[test]
fn what_has_rotted_is_missed_aloud_and_no_offset_is_given_twice() {
    let disk = Simulated::default();
    let mut writer = open(&disk, Limits::default());
    let mut ends = vec![0];
    for data in ["one", "two", "three"] {
        say(&mut writer, "a", data).unwrap();
        ends.push(disk.bytes());
    }
    let flip = |at: usize| {
        let disk = disk.crash(|_| 0);
        disk.damage(|file| file[at] ^= 1);
        let hub = Arc::clone(&open(&disk, Limits::default()).hub);
        (
            found(&hub, Topics::all(), 0),
            found(&hub, Topics::all(), 3),
            hub.cursor().offset,
        )
    };
    for at in ends[1]..ends[2] {
        let ((gap, events), (later, _), last) = flip(at);
        assert!(
            gap && events.len() == 2 && !later && last == 3,
            "{at}: {events:?}"
        );
    }
    // The head of the file: nothing in it can be trusted.
    let ((gap, events), (later, _), last) = flip(20);
    assert!(gap && events.is_empty() && last > 3, "{events:?}");
    assert!(
        later,
        "whoever saw the third is told, for there may have been a fourth"
    );
}

#[test]
fn files_go_with_what_is_in_them_and_a_quiet_channel_holds_none() {
    let disk = Simulated::default();
    let limits = Limits {
        events_max: 10,
        ..Limits::default()
    };
    let mut writer = open(&disk, limits);
    say(&mut writer, "quiet", "kept").unwrap();
    let mut most = 0;
    for number in 0..1000 {
        say(&mut writer, "busy", &"x".repeat(100)).unwrap();
        if number % 100 == 50 {
            say(&mut writer, "quiet", "kept").unwrap();
        }
        most = most.max(disk.bytes());
    }
    // Ten events of each, in files that hold 2,000 bytes.
    assert!(most < 12_000, "{most} bytes");
    let expected = found(&writer.hub, Topics::all(), 0);
    let last = writer.hub.cursor();
    for _ in 0..3 {
        let hub = open(&disk, limits).hub;
        assert_eq!(hub.cursor(), last);
        assert_eq!(found(&hub, Topics::all(), 0), expected);
        // Losses are remembered, each channel's for itself.
        assert!(found(&hub, Topics::named(["busy"]), 900).0);
        assert!(!found(&hub, Topics::named(["quiet"]), 900).0);
        assert!(found(&hub, Topics::named(["quiet"]), 0).0);
        assert!(!found(&hub, Topics::named(["never"]), 0).0);
    }
}

/// What one life of the program said was kept, and what it may have kept besides.
#[derive(Default)]
struct Promises {
    kept: BTreeMap<u64, String>,
    tried: Vec<String>,
}

impl Promises {
    fn publish(&mut self, writer: &mut Writer<Simulated>, group: usize, number: &mut usize) {
        let texts: Vec<_> = (0..group)
            .map(|_| {
                *number += 1;
                format!("{number} {}", "x".repeat(*number * 37 % 300))
            })
            .collect();
        let publications = texts.iter().map(|text| Publication::new("a", text.clone()));
        let answers = publish(writer, publications.collect());
        for (answer, text) in answers.into_iter().zip(texts) {
            if let Ok(published) = answer {
                let before = self.kept.insert(published.id.offset, text.clone());
                assert_eq!(before, None, "an offset was given twice");
            }
            self.tried.push(text);
        }
    }

    #[track_caller]
    fn check(&mut self, hub: &Arc<Hub>, limits: Limits) {
        let (_, found) = found(hub, Topics::named(["a"]), 0);
        let last = self.kept.last_key_value().map_or(0, |(&offset, _)| offset);
        let first = (last + 1).saturating_sub(limits.events_max as u64);
        let found: BTreeMap<_, _> = found.into_iter().collect();
        for (offset, text) in self.kept.range(first.max(1)..) {
            // More may have been found than was answered, and dropped what was.
            let dropped = found
                .first_key_value()
                .is_some_and(|(first, _)| first > offset)
                && found.len() == limits.events_max;
            assert!(
                dropped || found.get(offset) == Some(text),
                "{offset} is lost"
            );
        }
        for (offset, text) in &found {
            assert!(self.tried.contains(text), "{text} was never published");
            if *offset > last {
                self.kept.insert(*offset, text.clone());
            }
        }
    }
}

/// The power goes at each step of a life in which files are begun, merged and removed.
#[test]
fn a_crash_at_any_step_loses_nothing_that_was_answered() {
    let limits = Limits {
        events_max: 9,
        ..Limits::default()
    };
    let life = |writer: &mut Writer<Simulated>, promises: &mut Promises, number: &mut usize| {
        say(writer, "quiet", "kept").ok();
        for group in [1, 3, 1, 9, 2, 1, 1, 4, 1, 1, 1, 5, 1, 1, 7, 1, 1, 9, 1] {
            promises.publish(writer, group, number);
        }
    };
    let whole = Simulated::default();
    life(&mut open(&whole, limits), &mut Promises::default(), &mut 0);
    let steps = whole.steps();
    assert!(steps > 60, "{steps}");
    for stop in 1..=steps {
        for seed in 0..8_u64 {
            let disk = Simulated::default();
            let (mut promises, mut number) = (Promises::default(), 0);
            let mut writer = open(&disk, limits);
            disk.stop_after(stop);
            life(&mut writer, &mut promises, &mut number);
            let disk = disk.crash(chance(seed * 1000 + stop as u64));
            let mut writer = open(&disk, limits);
            promises.check(&writer.hub, limits);
            promises.publish(&mut writer, 2, &mut number);
            promises.check(&writer.hub, limits);
            promises.check(&open(&disk, limits).hub, limits);
        }
    }
}

/// Numbers below another, from a seed (splitmix64).
fn chance(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below.max(1) as u64).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Lives of any length with failing steps, each ended by a crash.
    #[test]
    fn nothing_that_was_answered_is_lost(
        lives in proptest::collection::vec(
            (
                proptest::collection::vec(1..6_usize, 0..20),
                proptest::collection::vec(1..80_usize, 0..4),
                prop::option::of(0..100_usize),
                any::<u64>(),
            ),
            1..5,
        ),
        events_max in 1..30_usize,
    ) {
        let limits = Limits { events_max, ..Limits::default() };
        let mut disk = Simulated::default();
        let (mut promises, mut number) = (Promises::default(), 0);
        for (groups, failing, stop, seed) in lives {
            let mut writer = open(&disk, limits);
            promises.check(&writer.hub, limits);
            disk.fail_at(&failing);
            if let Some(stop) = stop {
                disk.stop_after(stop);
            }
            for group in groups {
                promises.publish(&mut writer, group, &mut number);
            }
            disk = disk.crash(chance(seed));
        }
        promises.check(&open(&disk, limits).hub, limits);
    }

    /// Bytes of any kind are read, or said to be none.
    #[test]
    fn no_file_confuses_the_reader(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
        let disk = Simulated::default();
        say(&mut open(&disk, Limits::default()), "a", "kept").unwrap();
        disk.damage(|file| file.extend_from_slice(&garbage));
        let hub = open(&disk, Limits::default()).hub;
        prop_assert_eq!(found(&hub, Topics::all(), 0), (false, vec![(1, "kept".to_owned())]));
        disk.damage(|file| file.clone_from(&garbage));
        open(&disk, Limits::default());
    }
}
