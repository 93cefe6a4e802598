//! Figures of others: Lighthouse's TCP simulator, and a published case of a bloated buffer.

use super::*;

/// Asks for bytes on a new or a used connection; returns the time from wanting the connection.
async fn exchange(options: &LinkOptions, is_new: bool, bytes: usize) -> Duration {
    let (mut server, mut client) = link(options);
    let meter = server.outgoing();
    let start = Instant::now();
    let request = [0; 100];
    let serving = async {
        server.read_exact(&mut [0; 100]).await.unwrap();
        server.write_all(&vec![b'x'; bytes]).await.unwrap();
    };
    let asking = async {
        client.write_all(&request).await.unwrap();
        client.read_exact(&mut vec![0; bytes]).await.unwrap();
    };
    tokio::join!(serving, asking);
    let &(last, _) = meter.delivered().steps().last().unwrap();
    let handshake = if is_new {
        options.handshake_time()
    } else {
        Duration::ZERO
    };
    handshake + (last - start)
}

/// Lantern's vectors at a round trip of 100 ms (`TCPConnection.test.js`), without the round trip
/// that TLS takes there. Its rates are of payload alone, so the headers are added to ours.
#[tokio::test(start_paused = true)]
async fn lanterns_figures_are_met_within_a_round_trip() {
    let unlimited = "rtt=100ms";
    let cases = [
        ("7,300 B", unlimited, true, 7_300, 200),
        ("50,000 B", unlimited, true, 50_000, 400),
        (
            "50,000 B, 40 segments first",
            "rtt=100ms,flight=40",
            true,
            50_000,
            200,
        ),
        ("30,000 B, used connection", unlimited, false, 30_000, 200),
        (
            "10 MB at 8 Mbit/s",
            "rtt=100ms,down=8219178,up=8219178",
            true,
            10_000_000,
            10_400,
        ),
    ];
    for (name, options, is_new, bytes, expected_ms) in cases {
        let got = exchange(&parsed(options), is_new, bytes).await;
        println!("V0 {name}: expected {expected_ms} ms, got {got:.3?}");
        let off = got.abs_diff(milliseconds(expected_ms));
        assert!(
            off <= milliseconds(100),
            "{name}: {got:?}, not {expected_ms} ms"
        );
    }
}

/// Keeps a buffer full of images for a while, then writes a style sheet of 1000 bytes. Returns how
/// late it arrives, and the bytes that had been written and had not arrived when it was wanted.
async fn lateness(options: &LinkOptions) -> (Duration, u64) {
    let (mut server, mut client) = link(options);
    let meter = server.outgoing();
    let wanted = Instant::now() + Duration::from_secs(20);
    let serving = async {
        let image = [0; 1_400];
        let mut written = 0;
        while Instant::now() < wanted {
            let room = tokio::time::timeout_at(wanted, server.write(&image)).await;
            written += room.map_or(0, |length| length.unwrap() as u64);
        }
        let ahead = written - meter.delivered().bytes_at(Instant::now());
        server.write_all(&[1; 1_000]).await.unwrap();
        server.shutdown().await.unwrap();
        ahead
    };
    let mut sink = Vec::new();
    let (ahead, read) = tokio::join!(serving, client.read_to_end(&mut sink));
    read.unwrap();
    let &(last, _) = server.outgoing().delivered().steps().last().unwrap();
    (last - wanted, ahead)
}

/// Bergan, Pelchat and Buettner, "Rules of Thumb for HTTP/2 Push": a style sheet behind a kernel
/// buffer of 435 KB waits for 12 round trips, 2.5 s, on a link of 1360 kbit/s and 209 ms.
#[tokio::test(start_paused = true)]
async fn a_late_style_sheet_waits_for_what_is_buffered_ahead_of_it() {
    let link = "rtt=209ms,down=1.36M,up=1.36M";
    let (bloated, bloated_ahead) = lateness(&parsed(&format!("{link},buffer=435k"))).await;
    let (bounded, bounded_ahead) = lateness(&parsed(link)).await;
    println!("V12 behind {bloated_ahead} B: {bloated:?}; behind {bounded_ahead} B: {bounded:?}");
    let seconds = bloated.as_secs_f64();
    assert!(
        (2.25..2.75).contains(&seconds),
        "expected 2.5 s, got {seconds}"
    );
    // F10: what is ahead, at the rate of payload.
    let rate = 1_360_000.0 / 8.0 * 1_460.0 / 1_500.0;
    let ahead = f64::from(u32::try_from(bloated_ahead - bounded_ahead).unwrap());
    let expected = ahead / rate;
    let got = bloated.as_secs_f64() - bounded.as_secs_f64();
    assert!(
        (got / expected - 1.0).abs() < 0.1,
        "expected {expected} s, got {got} s"
    );
}
