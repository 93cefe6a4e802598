//! What a reader looks at in one go: on a large log, with many templates, nobody holds up others.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::hub::log::SCANNED_MAX;

const EVENTS: usize = 100_000;
const TEMPLATES: usize = 16;
/// Events are looked at to be read, and channels for what they lost.
const LOOKS: usize = 2;

/// Topics that match nothing but `rare`, by many templates, and how often these are asked.
fn topics() -> (Topics, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let is_matched = move |topic: &str, template: usize| {
        counter.fetch_add(1, Ordering::Relaxed);
        template == TEMPLATES - 1 && topic == "rare"
    };
    let test = move |topic: &str| (0..TEMPLATES).any(|template| is_matched(topic, template));
    (Topics::named([""; 0]).matching(Arc::new(test)), asked)
}

/// Returns how many turns something takes, and checks that templates are not asked too often in
/// any of them.
fn turns<T>(asked: &AtomicUsize, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> (T, usize) {
    let mut cx = Context::from_waker(Waker::noop());
    for turns in 1.. {
        asked.store(0, Ordering::Relaxed);
        let polled = poll(&mut cx);
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked <= LOOKS * SCANNED_MAX * TEMPLATES, "{asked} at once");
        if let Poll::Ready(done) = polled {
            return (done, turns);
        }
    }
    unreachable!("turns do not end")
}

fn hub(limits: Limits, topic: impl Fn(usize) -> String) -> Arc<Hub> {
    let hub = Arc::new(Hub::new(1, limits));
    for number in 0..EVENTS {
        hub.add(Publication {
            time_ms: number as u64,
            ..Publication::new(&topic(number), String::new())
        });
    }
    hub
}

#[test]
fn the_last_event_is_looked_for_a_part_at_a_time() {
    let topic = |number: usize| if number == 0 { "rare" } else { "often" }.to_owned();
    let hub = hub(Limits::CHANNELS, topic);
    let (patterns, asked) = topics();
    let named = Topics::named(["a", "often"]);
    for (topics, after, expected) in [
        (&patterns, After::Latest, 0),
        (&patterns, After::Time(EVENTS as u64 - 1), EVENTS - 1),
        (&named, After::Latest, EVENTS - 1),
    ] {
        let mut seeking = Box::pin(hub.seek(after, topics));
        let (found, turns) = turns(&asked, |cx| seeking.as_mut().poll(cx));
        let After::At(place) = found else {
            panic!("{found:?}");
        };
        assert_eq!(place.at.offset, expected as u64);
        let is_short = expected > 0 && after == After::Latest;
        assert_eq!(
            turns,
            if is_short {
                1
            } else {
                1 + EVENTS / SCANNED_MAX
            }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_passed_over_is_passed_over_a_part_at_a_time() {
    let topic = |number: usize| {
        if number + 1 == EVENTS {
            "rare"
        } else {
            "often"
        }
        .to_owned()
    };
    let hub = hub(Limits::CHANNELS, topic);
    let (topics, asked) = topics();
    let topics = Arc::new(topics);
    let reader = || Reader::new(Arc::clone(&hub), Arc::clone(&topics), After::Earliest);
    let mut one = reader();
    let (read, count) = turns(&asked, |cx| one.poll_read(cx, PAGE));
    assert!(matches!(read, Some(Read::Events(events)) if events.len() == 1));
    assert_eq!(count, 1 + EVENTS / SCANNED_MAX);
    let mut one = reader();
    let mut gathering = Box::pin(poll::gather(&mut one, poll::ANSWER_MAX));
    let (gathered, count) = turns(&asked, |cx| gathering.as_mut().poll(cx));
    assert_eq!(gathered.events.len(), 1);
    assert_eq!(count, 1 + EVENTS / SCANNED_MAX);
    // A stream that ends tells what there is before it does.
    let mut feed = feed::Feed::of(reader(), feed::Way::Raw);
    feed.close();
    let (piece, _) = turns(&asked, |cx| feed.poll_next(cx));
    assert_eq!(piece.unwrap(), "\n", "the event that is far behind");
}

#[test]
fn what_was_lost_is_looked_for_a_part_at_a_time() {
    const CHANNELS: usize = EVENTS / 10;
    // Each channel keeps one event, and has lost others.
    let limits = Limits {
        events_max: 1,
        ..Limits::CHANNELS
    };
    let hub = hub(limits, |number| (number % CHANNELS).to_string());
    let (topics, asked) = topics();
    let topics = Arc::new(topics);
    let start = After::Id(EventId {
        epoch: 1,
        offset: 1,
    });
    let reader = || Reader::new(Arc::clone(&hub), Arc::clone(&topics), start);
    let to_the_end = |reader: &mut Reader, turns_min: usize| {
        let (read, turns) = turns(&asked, |cx| reader.poll_now(cx, None, PAGE));
        assert!(turns >= turns_min, "{turns}");
        read
    };
    // Nothing that it wants is lost.
    let mut one = reader();
    let turns_min = 2 * (CHANNELS / SCANNED_MAX);
    assert!(matches!(to_the_end(&mut one, turns_min), Read::Nothing));
    assert_eq!(one.cursor(), hub.cursor());
    // Something is, of a channel that comes last, and while it is looked for.
    let mut other = reader();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(other.poll_now(&mut cx, None, PAGE).is_pending());
    for _ in 0..2 {
        hub.add(Publication::new("rare", String::new()));
    }
    let read = to_the_end(&mut other, CHANNELS / SCANNED_MAX);
    assert!(matches!(read, Read::Gap(gap) if gap.reason == GapReason::Expired));
    assert!(matches!(to_the_end(&mut other, 1), Read::Events(events) if events.len() == 1));
}
