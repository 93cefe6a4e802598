//! Whatever is written arrives, exactly, whatever the link and however it is read.

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;

fn options() -> impl Strategy<Value = LinkOptions> {
    let rate = || prop::option::of(20_000_u64..200_000_000);
    let buffer = (any::<bool>(), 1_usize..100_000);
    let queue = prop::option::of(prop_oneof![Just(0_usize), 1_usize..200_000]);
    let flight = prop::option::of(1_u32..40);
    let loss = prop_oneof![Just(0.0), 0.0..0.3];
    (
        0_u64..700_000,
        rate(),
        rate(),
        loss,
        queue,
        flight,
        buffer,
        any::<u64>(),
    )
        .prop_map(
            |(round_trip_us, down, up, loss, queue_bytes, first_flight_segments, buffer, seed)| {
                let (is_whole, bytes) = buffer;
                LinkOptions {
                    round_trip: Duration::from_micros(round_trip_us),
                    down,
                    up,
                    loss,
                    queue_bytes,
                    first_flight_segments,
                    send_buffer: if is_whole {
                        SendBuffer::Whole(bytes)
                    } else {
                        SendBuffer::NotSentLowat(bytes)
                    },
                    seed,
                    ..LinkOptions::default()
                }
            },
        )
}

/// Bytes to write, and how many at a time; pauses in between; bytes to read at a time.
fn direction() -> impl Strategy<Value = (Vec<(usize, u64)>, usize)> {
    let writes = prop::collection::vec((0_usize..9_000, 0_u64..300), 0..12);
    (writes, 1_usize..20_000)
}

async fn write(mut end: impl AsyncWrite + Unpin, writes: &[(usize, u64)]) -> Vec<u8> {
    let mut sent = Vec::new();
    for &(length, pause_ms) in writes {
        let start = sent.len();
        sent.extend(&told_apart(start + length)[start..]);
        end.write_all(&sent[start..]).await.unwrap();
        sleep(milliseconds(pause_ms)).await;
    }
    end.shutdown().await.unwrap();
    sent
}

async fn read(mut end: impl AsyncRead + Unpin, at_a_time: usize) -> Vec<u8> {
    let mut received = Vec::new();
    let mut buffer = vec![0; at_a_time];
    loop {
        let length = end.read(&mut buffer).await.unwrap();
        if length == 0 {
            return received;
        }
        received.extend(&buffer[..length]);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(
        options in options(),
        (down, down_reads) in direction(),
        (up, up_reads) in direction(),
    ) {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (server, client) = link(&options);
            let (server_in, server_out) = tokio::io::split(server);
            let (client_in, client_out) = tokio::io::split(client);
            let all = async {
                tokio::join!(
                    write(server_out, &down),
                    read(client_in, down_reads),
                    write(client_out, &up),
                    read(server_in, up_reads),
                )
            };
            let (sent_down, got_down, sent_up, got_up) =
                tokio::time::timeout(Duration::from_hours(24), all).await.expect("it is stuck");
            assert!(sent_down == got_down && sent_up == got_up);
        });
    }
}
