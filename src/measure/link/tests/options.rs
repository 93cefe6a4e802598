//! What a link is like, as text.

use proptest::prelude::*;

use super::*;

#[test]
fn a_link_has_a_name_or_parts() {
    let slow = parsed("slow-4g");
    assert_eq!(slow, LinkOptions::profile("slow-4g").unwrap());
    assert_eq!(slow.round_trip, milliseconds(150));
    assert_eq!((slow.down, slow.up), (Some(1_638_400), Some(750_000)));

    let parts = parsed("rtt=150ms, down=1.6M, up=750k, loss=1%, queue=64k");
    assert_eq!(parts.round_trip, milliseconds(150));
    assert_eq!((parts.down, parts.up), (Some(1_600_000), Some(750_000)));
    assert_eq!(parts.loss.to_bits(), 0.01_f64.to_bits());
    assert_eq!(parts.queue_bytes, Some(64_000));
    assert_eq!(parts.first_flight_segments, Some(10));

    let both = parsed("cable,loss=0.5%,buffer=435k");
    assert_eq!(both.down, Some(5_000_000));
    assert_eq!(both.loss.to_bits(), 0.005_f64.to_bits());
    assert_eq!(both.send_buffer, SendBuffer::Whole(435_000));

    assert_eq!(parsed("rtt=0.6s,down=1Gbit/s").down, Some(1_000_000_000));
    assert_eq!(parsed("down=unlimited,flight=unlimited").down, None);
}

#[test]
fn a_link_says_what_it_is() {
    for name in ["fibre", "cable", "4g", "slow-4g", "3g", "satellite"] {
        assert_eq!(parsed(name).to_string(), name);
        assert_eq!(parsed(name).name, name);
    }
    let text = "rtt=150ms,down=1.6M,up=750k,loss=1%,queue=64k";
    assert_eq!(parsed(text).to_string(), text);
    assert_eq!(parsed(text).name, text);
    assert_eq!(parsed("3g,up=1G,rtt=1s").to_string(), "3g,rtt=1000ms,up=1G");
    let instant = LinkOptions::instant().to_string();
    assert_eq!(instant, "queue=0,flight=unlimited,unsent=1.048576M");
    assert_eq!(LinkOptions::default().to_string(), "rtt=0ms");
}

fn wrong(text: &str) -> String {
    text.parse::<LinkOptions>().unwrap_err().to_string()
}

#[test]
fn errors_name_the_part_and_its_fix() {
    let said = |text: &str, error: &str| assert_eq!(wrong(text), error);
    said(
        "slow4g",
        "no link is called `slow4g`: did you mean `slow-4g`? There are fibre, cable, 4g, slow-4g, \
         3g, satellite, or say rtt=150ms,down=1.6M,up=750k,loss=1%,queue=64k",
    );
    said(
        "rtt=100ms,down=0",
        "`down=0`: nothing would ever arrive at 0 bit/s: give a rate above 0, such as 1.6M, or \
         unlimited",
    );
    said(
        "rtt=100",
        "`rtt=100`: give a time of at most 60 s, such as rtt=150ms or rtt=0.6s",
    );
    said(
        "3g,lag=3s",
        "`lag=3s` says nothing of a link: give rtt=, down=, up=, loss=, queue=, flight=, unsent= \
         or buffer=",
    );
    said(
        "up=5Mb",
        "`up=5Mb`: give bits per second, at most 1000G, such as 750k, 1.6M, 1G or unlimited",
    );
    said(
        "loss=60%",
        "`loss=60%`: give a share of packets of at most 50 %, such as 1% or 0.01",
    );
    said(
        "queue=-1",
        "`queue=-1`: give bytes, at most 1000M, such as 64k; 0 for a sender that waits",
    );
    said(
        "buffer=0",
        "`buffer=0`: give bytes above 0, at most 1000M, such as 16k or 435k",
    );
    said(
        "flight=0",
        "`flight=0`: give a number of segments from 1 to 10000, such as 10, or unlimited",
    );
    for text in [
        "rtt=1ms,",
        "loss=nan",
        "loss=-1",
        "rtt=-1ms",
        "rtt=1e9s",
        "down=.5M",
        "down=99999999G",
        "",
    ] {
        wrong(text);
    }
}

#[test]
fn the_name_that_was_meant_is_guessed() {
    for (said, meant) in [
        ("Fiber", "fibre"),
        ("3G", "3g"),
        ("slow 4g", "slow-4g"),
        ("x", "4g"),
    ] {
        let Err(LinkError::Name { nearest, .. }) = said.parse::<LinkOptions>() else {
            panic!("{said} is a link");
        };
        assert_eq!(nearest, meant);
    }
}

#[test]
fn a_connection_takes_a_round_trip_and_two_packets() {
    let time = parsed("rtt=100ms,down=320k,up=32k").handshake_time();
    assert_eq!(time, milliseconds(100 + 1 + 10));
}

proptest! {
    #[test]
    fn what_a_link_says_reads_back(
        name in prop::option::of(prop::sample::select(vec!["fibre", "3g", "my own"])),
        round_trip_ns in 0_u64..60_000_000_000,
        down in prop::option::of(1_u64..=1_000_000_000_000),
        up in prop::option::of(1_u64..=1_000_000_000_000),
        loss in 0.0..=0.5,
        queue_bytes in 0_usize..=1_000_000_000,
        first_flight_segments in prop::option::of(1_u32..=10_000),
        is_whole in any::<bool>(),
        buffer in 1_usize..=1_000_000_000,
    ) {
        let options = LinkOptions {
            name: name.unwrap_or_default().to_owned(),
            round_trip: Duration::from_nanos(round_trip_ns),
            down,
            up,
            loss,
            queue_bytes: Some(queue_bytes),
            first_flight_segments,
            send_buffer: if is_whole {
                SendBuffer::Whole(buffer)
            } else {
                SendBuffer::NotSentLowat(buffer)
            },
            seed: 0,
        };
        let read = parsed(&options.to_string());
        prop_assert_eq!(LinkOptions { name: read.name.clone(), ..options }, read);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[a-z0-9=,.%kM -]{0,40}|\\PC{0,20}") {
        if let Ok(options) = text.parse::<LinkOptions>() {
            prop_assert_eq!(parsed(&options.to_string()), options);
        }
    }
}
