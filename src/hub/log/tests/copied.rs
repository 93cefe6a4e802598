//! A log that is a copy of another, and comes behind: what is dropped before it was copied is
//! missed aloud, too.

use super::*;

/// Copies the next events, as far as they are kept; and what was lost, if any are not.
fn copy(source: &Log, copied: &mut Log, now: Instant, events: usize) {
    let next = copied.last + 1;
    let kept = source.kept_in(next..u64::MAX);
    let through = if kept.len() > events {
        kept[events - 1].id.offset
    } else {
        source.last
    };
    let kept = &kept[..kept.len().min(events)];
    if kept.len() as u64 != through + 1 - next {
        let losses = Losses {
            last: 0,
            ..source.losses()
        };
        copied.lose_as(losses);
    }
    for event in kept {
        copied.insert(now, Arc::clone(event));
    }
    copied.restore(Losses {
        last: through,
        ..Losses::default()
    });
}

proptest! {
    /// However far the copy is behind, and whatever is dropped meanwhile, here or there.
    #[test]
    fn every_event_of_a_copy_is_read_once_or_missed_aloud(
        steps in proptest::collection::vec(step(), 0..160),
        events_max in 0..12_usize,
        bytes_max in 0..8000_usize,
        empty_channels_max in 0..4_usize,
    ) {
        let age_max = Duration::from_mins(1);
        let limits = Limits {
            events_max, bytes_max, age_max, empty_channels_max, ..Limits::default()
        };
        let mut source = Log::new(EPOCH, limits);
        let mut copied = Log::new(EPOCH, limits);
        let mut now = Instant::now();
        let mut readers = Reader::all();
        let mut published = Vec::new();
        for step in steps {
            match step {
                Step::Publish { bytes, topics, is_private } => {
                    let event = Arc::new(made(&source, bytes, topics, is_private));
                    published.push(Arc::clone(&event));
                    source.insert(now, event);
                }
                Step::Pass { seconds } => now += Duration::from_secs(seconds),
                Step::Begin { from, .. } => {
                    source.trim(now);
                    copy(&source, &mut copied, now, 1 + usize::try_from(from).unwrap());
                }
                Step::Read { reader, events } => {
                    copied.trim(now);
                    readers[reader].read(&copied, events);
                }
            }
        }
        while copied.last < source.last {
            copy(&source, &mut copied, now, 3);
        }
        for reader in &mut readers {
            reader.read_all(&copied);
            reader.check(&published);
        }
    }
}
