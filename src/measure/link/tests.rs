//! What a link does, told by the clock: each figure follows from the rate, the distance and the
//! window.

#![expect(
    clippy::print_stdout,
    reason = "figures that are compared with those of others are shown"
)]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use super::wire::serialisation;
use super::*;

mod bytes;
mod loss;
mod options;
mod vectors;

fn parsed(text: &str) -> LinkOptions {
    text.parse().unwrap()
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What a transfer came to.
struct Transfer {
    /// Until the last byte could be read.
    took: Duration,
    dropped: u64,
    delivered: Vec<(Duration, u64)>,
}

/// Sends bytes from the server to the client, one write after another.
async fn transfer(options: &LinkOptions, bytes: usize) -> Transfer {
    let (mut server, mut client) = link(options);
    let start = Instant::now();
    let meter = server.outgoing();
    send(&mut server, &mut client, bytes).await;
    let steps = meter.delivered();
    let delivered: Vec<_> = steps
        .steps()
        .iter()
        .map(|&(at, n)| (at - start, n))
        .collect();
    let &(took, total) = delivered.last().unwrap();
    assert_eq!(total, bytes as u64);
    Transfer {
        took,
        dropped: meter.dropped(),
        delivered,
    }
}

/// Returns bytes of which no segment is like another nearby.
fn told_apart(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// Sends bytes from one end to the other, and checks that they are the same there.
async fn send(from: &mut End, to: &mut End, bytes: usize) {
    let sent = told_apart(bytes);
    let mut received = vec![0; bytes];
    let (written, read) = tokio::join!(from.write_all(&sent), to.read_exact(&mut received));
    written.unwrap();
    read.unwrap();
    assert!(sent == received, "the bytes have changed on the way");
}

#[tokio::test(start_paused = true)]
async fn slow_start_doubles_the_flight_each_round_trip() {
    let options = parsed("rtt=100ms,buffer=1M");
    for (segments, flights) in [(10, 1), (30, 2), (70, 3), (150, 4)] {
        let bytes = segments * SEGMENT_BYTES;
        let expected = milliseconds(100 * flights - 50);
        assert_eq!(transfer(&options, bytes).await.took, expected);
        let expected = expected + milliseconds(100);
        assert_eq!(transfer(&options, bytes + 1).await.took, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_at_the_rate() {
    for queue in ["0", "10M"] {
        let options = parsed(&format!("rtt=100ms,down=8M,flight=unlimited,queue={queue}"));
        let took = transfer(&options, 1_460_000).await.took;
        // A thousand packets of 1.5 ms, and their way.
        let expected = milliseconds(1_550);
        assert!(took.abs_diff(expected) <= milliseconds(5), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_named_link_is_filled() {
    for options in LinkOptions::profiles() {
        let rate = options.down.unwrap();
        let bytes = usize::try_from(rate / 8 * 20).unwrap().min(25_000_000);
        let took = transfer(&options, bytes).await.took;
        let share = serialisation(bytes as u64, options.down).as_secs_f64() / took.as_secs_f64();
        // 97.3 % is payload, and slow start takes its time.
        let name = &options.name;
        println!("{name}: {:.1} % of the rate over {took:?}", share * 100.0);
        assert!(
            (0.75..0.974).contains(&share),
            "{name}: {share} of the rate"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_flight_waits_in_the_queue_packet_by_packet() {
    let options = parsed("rtt=150ms,down=1.6M,up=750k");
    let transfer = transfer(&options, FIRST_FLIGHT_BYTES).await;
    let packet = Duration::from_micros(7_500);
    let expected: Vec<_> = (1..=10)
        .map(|index| {
            let bytes = u64::from(index) * SEGMENT_BYTES as u64;
            (milliseconds(75) + index * packet, bytes)
        })
        .collect();
    assert_eq!(transfer.delivered, expected);
}

#[tokio::test(start_paused = true)]
async fn a_thin_way_back_holds_up_the_way_there() {
    let wide = transfer(&parsed("rtt=100ms,down=10M,up=10M"), 1_000_000).await;
    let thin = transfer(&parsed("rtt=100ms,down=10M,up=10k"), 1_000_000).await;
    // An acknowledgement takes 32 ms for itself, and makes room for two segments, or four while the
    // window doubles: 1,000,000 bytes need at least 171.
    assert!(wide.took < milliseconds(1_700), "{:?}", wide.took);
    assert!(thin.took > milliseconds(5_000), "{:?}", thin.took);
}

#[tokio::test(start_paused = true)]
async fn a_lone_segment_is_acknowledged_after_a_while() {
    // The whole buffer is one segment, so that each write waits for the last one's acknowledgement:
    // at once for the first sixteen, then after 40 ms.
    let options = parsed("rtt=10ms,buffer=1000");
    let took = transfer(&options, 16 * 1_000).await.took;
    assert_eq!(took, milliseconds(16 * 10 - 5));
    let took = transfer(&options, 18 * 1_000).await.took;
    assert_eq!(took, milliseconds(18 * 10 - 5 + 40));
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_not_used_does_not_grow() {
    let (mut server, mut client) = link(&parsed("rtt=100ms"));
    for _ in 0..50 {
        send(&mut server, &mut client, SEGMENT_BYTES).await;
        sleep(milliseconds(150)).await;
    }
    let start = Instant::now();
    send(&mut server, &mut client, FIRST_FLIGHT_BYTES + 1).await;
    assert_eq!(start.elapsed().as_millis(), 150);
}

#[tokio::test(start_paused = true)]
async fn a_window_shrinks_in_a_long_rest() {
    for (rest_ms, expected_ms) in [(150, 50), (60_000, 250)] {
        let (mut server, mut client) = link(&parsed("rtt=100ms"));
        send(&mut server, &mut client, 400_000).await;
        sleep(milliseconds(rest_ms)).await;
        let start = Instant::now();
        send(&mut server, &mut client, 50_000).await;
        assert_eq!(
            start.elapsed().as_millis(),
            expected_ms,
            "after {rest_ms} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn writers_wait_until_half_of_their_room_is_free() {
    let (mut server, _client) = link(&parsed("rtt=200ms,down=8M,queue=0"));
    let bytes = vec![0; 1 << 20];
    assert_eq!(server.write(&bytes).await.unwrap(), 16 * 1024);
    assert_eq!(server.write(&bytes).await.unwrap(), SEGMENT_BYTES);
    let start = Instant::now();
    let more = server.write(&bytes).await.unwrap();
    assert!((8_192..10_000).contains(&more), "{more} bytes");
    // Six packets of 1.5 ms.
    let waited = start.elapsed();
    assert!(
        (milliseconds(7)..milliseconds(11)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_whole_buffer_holds_what_is_not_acknowledged() {
    let (mut server, mut client) = link(&parsed("rtt=200ms,down=8M,buffer=30k"));
    let bytes = vec![0; 1 << 20];
    assert_eq!(server.write(&bytes).await.unwrap(), 30_000);
    let start = Instant::now();
    let mut sink = Vec::new();
    let more = tokio::select! {
        more = server.write(&bytes) => more.unwrap(),
        read = client.read_to_end(&mut sink) => panic!("the end has come: {read:?}"),
    };
    // A third is acknowledged after a round trip and seven packets of 1.5 ms.
    assert_eq!(
        (more, start.elapsed().as_millis()),
        (7 * SEGMENT_BYTES, 211)
    );
}

#[tokio::test(start_paused = true)]
async fn an_instant_link_only_carries() {
    let (mut server, mut client) = link(&LinkOptions::instant());
    let start = Instant::now();
    send(&mut server, &mut client, 5_000_000).await;
    send(&mut client, &mut server, 5_000_000).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_gone_is_noticed() {
    let (mut server, mut client) = link(&parsed("rtt=200ms,down=8M,up=8M"));
    server.write_all(b"bye").await.unwrap();
    drop(server);
    let start = Instant::now();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"bye");
    assert_eq!(start.elapsed().as_millis(), 101);
    let error = client.write(b"?").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_says_no_more_still_hears() {
    let (mut server, mut client) = link(&parsed("rtt=200ms,loss=20%"));
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"hello");
    send(&mut server, &mut client, 100_000).await;
    assert!(client.write(b"?").await.is_err());
}

/// What makes a link cheap: what shares a millisecond costs one wake, at either end.
#[tokio::test(start_paused = true)]
async fn wakes_are_few() {
    for (options, most) in [("fibre", 300), ("slow-4g", 1_000)] {
        let (mut server, mut client) = link(&parsed(options));
        let mut both = pin!(send(&mut server, &mut client, 600_000));
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            both.as_mut().poll(context)
        })
        .await;
        assert!(polls <= most, "{polls} polls on {options}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_gives_up_loses_nothing() {
    let (mut server, mut client) = link(&parsed("rtt=100ms,down=1M,up=1M"));
    let mut received: Vec<u8> = Vec::new();
    let reading = async {
        let mut buffer = [0; 1_000];
        while received.len() < 30_000 {
            let read = tokio::time::timeout(milliseconds(3), client.read(&mut buffer));
            if let Ok(length) = read.await {
                received.extend(&buffer[..length.unwrap()]);
            }
        }
    };
    let sent = told_apart(30_000);
    let (written, ()) = tokio::join!(server.write_all(&sent), reading);
    written.unwrap();
    assert!(received == sent);
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_while_nobody_has_anything_to_say() {
    let (mut server, mut client) = link(&parsed("slow-4g"));
    send(&mut server, &mut client, 10_000).await;
    let mut polls = 0;
    let mut buffer = [0; 10];
    let mut idle = pin!(client.read(&mut buffer));
    let counted = poll_fn(|context| -> Poll<Result<usize>> {
        polls += 1;
        idle.as_mut().poll(context)
    });
    let waited = tokio::time::timeout(Duration::from_hours(1), counted).await;
    assert!(waited.is_err());
    // The first, one for the alarm of the last wait, and the end.
    assert!(polls <= 3, "{polls} polls in an hour of silence");
}
