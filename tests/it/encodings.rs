//! Encoded forms of files (RFC 9110 sections 8.4 and 12.5.3), at both doors.
//!
//! What is compressed in the background is there after a rest: no time passes while it is made.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use forerun::answer::live;
use forerun::door::live::Live;
use forerun::hub::{Hub, Limits};

use crate::client::Ask;
use crate::doors::{self, Told};
use crate::world::World;

const SITE: &str = "
    //- /index.html size=20000
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css size=0
    //- /small.css size=1023
    b { color: red }
    //- /photo.png size=20000
    //- /noise.txt size=20000
    //- /404.html size=0
    //- /large.txt size=0
";

const BROWSER: (&str, &str) = ("accept-encoding", "gzip, deflate, br, zstd");

/// Text as people write it, of about so many bytes.
fn text(bytes: usize) -> String {
    let lines = (0..).map(|line: u64| {
        let word = blake(line);
        format!(
            ".item-{line} {{ color: #{word}; margin: {}px }}\n",
            line % 17
        )
    });
    let mut text = String::new();
    for line in lines {
        if text.len() + line.len() > bytes {
            return text;
        }
        text.push_str(&line);
    }
    unreachable!("there is always another line")
}

fn blake(line: u64) -> String {
    format!("{:06x}", line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
}

fn world() -> World {
    let world = World::new(SITE).site(|site| site.memory_file_bytes_max = 100_000);
    let page = "<!doctype html><link rel=stylesheet href=/a.css><p>Hello\n".to_owned();
    world.write("/index.html", &(page + &text(8_000)));
    world.write("/a.css", &text(9_000));
    world.write(
        "/404.html",
        &format!("<!doctype html><p>Gone{}", text(3_000)),
    );
    world.write("/large.txt", &text(200_000));
    world
}

fn decode(told: &Told) -> Vec<u8> {
    let mut decoded = Vec::new();
    let body = &told.body[..];
    let read = match told.header("content-encoding").as_str() {
        "" => return body.to_vec(),
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut decoded),
        "zstd" => zstd::Decoder::new(body).unwrap().read_to_end(&mut decoded),
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut decoded),
        other => panic!("nobody asked for {other}"),
    };
    read.unwrap();
    decoded
}

/// Asks twice, with time enough between the two for whatever is made in the background.
async fn get_warm(world: &mut World, target: &str, headers: &[(&'static str, &str)]) -> Told {
    world.get_with(target, headers).await;
    world.rest_ms(1).await;
    doors::get(world, target, headers).await
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_the_encoding_that_it_likes_best() {
    let mut world = world();
    for target in ["/", "/a.css"] {
        let file = if target == "/" { "/index.html" } else { target };
        let content = std::fs::read(world.path(file)).unwrap();
        let mut tags = Vec::new();
        for (accepted, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, deflate, br", "br"),
            ("gzip, zstd", "zstd"),
            ("gzip", "gzip"),
            ("x-gzip", "gzip"),
            ("br;q=0.5, gzip;q=0.6", "gzip"),
            ("br;q=0, *", "zstd"),
            ("*", "br"),
            ("identity, gzip;q=0.5", ""),
            ("identity;q=0.5, gzip;q=0.5", "gzip"),
            ("deflate", ""),
            ("br;q=nonsense", ""),
            ("", ""),
        ] {
            let headers = [("accept-encoding", accepted)];
            let told = get_warm(&mut world, target, &headers).await;
            assert_eq!(told.status, 200, "{target} {accepted}");
            assert_eq!(
                told.header("content-encoding"),
                coding,
                "{target} {accepted}"
            );
            assert_eq!(
                told.header("vary"),
                "Accept-Encoding",
                "{target} {accepted}"
            );
            assert_eq!(told.header("content-length"), told.body.len().to_string());
            assert!(decode(&told) == content, "{target} {accepted}");
            assert!(coding.is_empty() || told.body.len() < content.len());
            let head = doors::ask(&mut world, "HEAD", target, &headers).await;
            assert_eq!(
                (head.status, &head.headers),
                (200, &told.headers),
                "{target} {accepted}"
            );
            tags.push((coding, told.header("etag")));
        }
        // A strong tag of its own for each (sirv-cli has one for all).
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 4, "{tags:?}");
        let mut names: Vec<_> = tags.iter().map(|(_, tag)| tag).collect();
        names.dedup();
        assert_eq!(names.len(), 4, "{tags:?}");
        assert!(names.iter().all(|tag| tag.starts_with('"')), "{tags:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_gets_the_file_as_it_is() {
    let mut world = world();
    get_warm(&mut world, "/a.css", &[BROWSER]).await;
    let told = doors::get(&mut world, "/a.css", &[]).await;
    assert_eq!(told.header("content-encoding"), "");
    assert_eq!(told.header("vary"), "Accept-Encoding");
    assert_eq!(told.body, std::fs::read(world.path("/a.css")).unwrap());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_encoding() {
    let mut world = world();
    let first = world.get_with("/a.css", &[BROWSER]).await;
    assert_eq!(
        (first.header("content-encoding"), first.header("vary")),
        ("", "Accept-Encoding")
    );
    world.rest_ms(1).await;
    let second = world.get_with("/a.css", &[BROWSER]).await;
    assert_eq!(second.header("content-encoding"), "br");
    assert!(
        second.header("etag").ends_with("-br11v1\""),
        "{}",
        second.header("etag")
    );
    assert!(second.answer().body.len() < first.answer().body.len() / 2);
}

#[tokio::test(start_paused = true)]
async fn who_refuses_the_file_as_it_is_waits_for_an_encoding() {
    let mut world = world();
    for (accepted, coding) in [
        ("br, identity;q=0", "br"),
        ("gzip, *;q=0", "gzip"),
        ("*, identity;q=0", "br"),
    ] {
        let told = doors::get(&mut world, "/a.css", &[("accept-encoding", accepted)]).await;
        assert_eq!(
            (told.status, told.header("content-encoding")),
            (200, coding.to_owned())
        );
        assert!(decode(&told) == std::fs::read(world.path("/a.css")).unwrap());
    }
    for (target, accepted, vary) in [
        ("/a.css", "identity;q=0", "Accept-Encoding"),
        ("/a.css", "*;q=0", "Accept-Encoding"),
        ("/a.css", "deflate, identity;q=0", "Accept-Encoding"),
        ("/photo.png", "br, identity;q=0", ""),
        ("/small.css", "br, *;q=0", ""),
    ] {
        let told = doors::get(&mut world, target, &[("accept-encoding", accepted)]).await;
        assert_eq!(
            (told.status, told.body.len()),
            (406, 0),
            "{target} {accepted}"
        );
        assert_eq!(told.header("vary"), vary, "{target} {accepted}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_gains_nothing_is_left_as_it_is() {
    let mut world = world();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        // Xorshift (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(20_000)
    .collect();
    std::fs::write(world.path("/noise.txt"), noise).unwrap();
    let pattern = [0x1f, 0x8b, 0x08].repeat(5_000);
    std::fs::write(world.path("/photo.png"), pattern).unwrap();
    for (target, vary) in [
        ("/small.css", ""),
        ("/photo.png", ""),
        ("/noise.txt", "Accept-Encoding"),
        ("/large.txt", "Accept-Encoding"),
    ] {
        let told = get_warm(&mut world, target, &[BROWSER]).await;
        assert_eq!(told.header("content-encoding"), "", "{target}");
        assert_eq!(told.header("vary"), vary, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_in_any_encoding_is_good() {
    let mut world = world();
    for target in ["/", "/a.css"] {
        let mut held = Vec::new();
        for accepted in ["", "br", "zstd", "gzip"] {
            let told = get_warm(&mut world, target, &[("accept-encoding", accepted)]).await;
            held.push((accepted, told.header("etag")));
        }
        for (coding, tag) in &held {
            for (name, value) in [
                ("if-none-match", tag.clone()),
                ("if-none-match", format!("W/{tag}")),
                ("if-none-match", format!("\"x\", {tag}")),
            ] {
                let told = doors::get(&mut world, target, &[BROWSER, (name, &value)]).await;
                assert_eq!(told.status, 304, "{target} {value}");
                assert_eq!(told.header("etag"), *tag, "{target} {value}");
                assert_eq!(told.header("vary"), "Accept-Encoding", "{target} {value}");
                assert_eq!(told.header("content-encoding"), "");
            }
            // Who does not take the encoding cannot mean a copy of his.
            let plain = doors::get(&mut world, target, &[("if-none-match", tag)]).await;
            let expected = if coding.is_empty() { 304 } else { 200 };
            assert_eq!(plain.status, expected, "{target} {coding}");
            let matched = doors::get(&mut world, target, &[BROWSER, ("if-match", tag)]).await;
            assert_eq!(matched.status, 200, "{target} {coding}");
        }
        let other = [BROWSER, ("if-none-match", "\"x-br11v1\"")];
        assert_eq!(doors::get(&mut world, target, &other).await.status, 200);
    }
}

/// A server that was just started has compressed nothing yet.
#[tokio::test(start_paused = true)]
async fn a_copy_outlives_the_encoding_it_was_made_of() {
    let mut first = world();
    let told = get_warm(&mut first, "/a.css", &[BROWSER]).await;
    let mut second = world();
    let fields = [BROWSER, ("if-none-match", &told.header("etag"))];
    let again = second.get_with("/a.css", &fields).await;
    assert_eq!(
        (again.status(), again.header("etag")),
        (304, told.header("etag").as_str())
    );
}

#[tokio::test(start_paused = true)]
async fn a_pages_digest_survives_its_encoding() {
    for accepted in ["br", "zstd", "gzip", "identity"] {
        let mut world = world();
        let told = get_warm(&mut world, "/", &[("accept-encoding", accepted)]).await;
        world.reconnect().await;
        let returning = Ask::navigate("/")
            .header("accept-encoding", accepted)
            .header("if-none-match", &told.header("etag"));
        let answer = world.ask(returning).await;
        assert_eq!(
            (answer.status(), answer.promises.len()),
            (304, 0),
            "{accepted}"
        );
        // It has changed since; what it needs has not.
        let page = std::fs::read_to_string(world.path("/index.html")).unwrap();
        world.write("/index.html", &page.replace("Hello", "Good evening"));
        world.rest_ms(1_100).await;
        world.reconnect().await;
        let returning = Ask::navigate("/")
            .header("accept-encoding", accepted)
            .header("if-none-match", &told.header("etag"));
        let answer = world.ask(returning).await;
        assert_eq!(answer.status(), 200, "{accepted}");
        assert_eq!(answer.promised(), Vec::<&str>::new(), "{accepted}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_promised_is_encoded_as_the_page_is() {
    let mut world = world();
    for accepted in ["gzip, deflate, br", "gzip", "identity"] {
        for _ in 0..2 {
            world.reconnect().await;
            world
                .ask(Ask::navigate("/").header("accept-encoding", accepted))
                .await;
            world.rest_ms(1).await;
        }
        world.reconnect().await;
        let page = world
            .ask(Ask::navigate("/").header("accept-encoding", accepted))
            .await;
        assert_eq!(page.promised(), ["/a.css"], "{accepted}");
        let promised = &page.promises[0];
        assert_eq!(promised.request.headers()["accept-encoding"], accepted);
        let answer = promised.answer.as_ref().unwrap().as_ref().unwrap();
        let asked = world
            .get_with("/a.css", &[("accept-encoding", accepted)])
            .await;
        assert_eq!(answer.headers, asked.answer().headers, "{accepted}");
        assert_eq!(answer.body, asked.answer().body, "{accepted}");
        assert_eq!(
            page.header("content-encoding"),
            answer.header("content-encoding")
        );
    }
}

/// What counts is what is sent.
#[tokio::test(start_paused = true)]
async fn more_fits_into_a_window_encoded() {
    let mut world = world().client(|client| client.connection_window = 65_535);
    world.write("/a.css", &text(80_000));
    let ask = || Ask::navigate("/").header("accept-encoding", "br");
    let first = world.ask(ask()).await;
    assert_eq!(first.promised(), Vec::<&str>::new());
    get_warm(&mut world, "/a.css", &[("accept-encoding", "br")]).await;
    world.reconnect().await;
    assert_eq!(world.ask(ask()).await.promised(), ["/a.css"]);
}

#[tokio::test(start_paused = true)]
async fn parts_are_of_the_file_as_it_is_unless_the_client_holds_another_form() {
    let mut world = world();
    let file = std::fs::read(world.path("/a.css")).unwrap();
    let encoded = get_warm(&mut world, "/a.css", &[BROWSER]).await;
    let plain = doors::get(&mut world, "/a.css", &[]).await;
    let range = ("range", "bytes=100-199");
    let part = doors::get(&mut world, "/a.css", &[BROWSER, range]).await;
    assert_eq!(
        (part.status, part.header("content-encoding")),
        (206, String::new())
    );
    assert!(part.body == file[100..200]);
    assert_eq!(part.header("etag"), plain.header("etag"));
    assert_eq!(part.header("vary"), "Accept-Encoding");

    let of = |told: &Told| told.header("etag");
    let go_on = [BROWSER, range, ("if-range", &of(&encoded))];
    let part = doors::get(&mut world, "/a.css", &go_on).await;
    assert_eq!(
        (part.status, part.header("content-encoding")),
        (206, "br".to_owned())
    );
    assert!(part.body == encoded.body[100..200]);
    assert_eq!(
        part.header("content-range"),
        format!("bytes 100-199/{}", encoded.body.len())
    );

    // It was begun before there was an encoding.
    let go_on = [BROWSER, range, ("if-range", &of(&plain))];
    let part = doors::get(&mut world, "/a.css", &go_on).await;
    assert!(part.status == 206 && part.body == file[100..200]);

    // All forms have one date, so it says nothing to who takes several.
    let date = plain.header("last-modified");
    let dated = doors::get(&mut world, "/a.css", &[BROWSER, range, ("if-range", &date)]).await;
    assert_eq!(
        (dated.status, dated.header("content-encoding")),
        (200, "br".to_owned())
    );

    let only = ("accept-encoding", "br, identity;q=0");
    let part = doors::get(&mut world, "/a.css", &[only, range]).await;
    assert!(part.status == 206 && part.body == encoded.body[100..200]);
}

/// RFC 9110 section 13.1.1.
#[tokio::test(start_paused = true)]
async fn what_if_match_names_is_the_form_that_is_sent() {
    let mut world = world();
    let file = std::fs::read(world.path("/a.css")).unwrap();
    let encoded = get_warm(&mut world, "/a.css", &[BROWSER]).await;
    let plain = doors::get(&mut world, "/a.css", &[]).await;
    let [encoded_tag, plain_tag] = [&encoded, &plain].map(|told| told.header("etag"));
    assert!(encoded_tag.ends_with("-br11v1\""), "{encoded_tag}");
    // The quick form that came before it, which is held no more.
    let gone = encoded_tag.replace("br11", "br5");
    let either = format!("{gone}, {encoded_tag}");
    let range = ("range", "bytes=100-199");
    for (named, coding, bytes) in [
        (encoded_tag.as_str(), "br", &encoded.body),
        (&plain_tag, "", &file),
        (&either, "br", &encoded.body),
    ] {
        let named = ("if-match", named);
        let whole = doors::get(&mut world, "/a.css", &[BROWSER, named]).await;
        assert_eq!(
            (whole.status, whole.header("content-encoding")),
            (200, coding.into())
        );
        assert!(whole.body == *bytes, "{named:?}");
        let part = doors::get(&mut world, "/a.css", &[BROWSER, range, named]).await;
        assert_eq!(
            (part.status, part.header("content-encoding")),
            (206, coding.into())
        );
        assert!(part.body == bytes[100..200], "{named:?}");
    }
    let any = [BROWSER, range, ("if-match", "*")];
    let part = doors::get(&mut world, "/a.css", &any).await;
    assert!(part.status == 206 && part.body == file[100..200]);
    for fields in [
        &[BROWSER, ("if-match", &gone)][..],
        &[BROWSER, ("if-match", &gone), range],
        &[
            BROWSER,
            ("if-match", &gone),
            range,
            ("if-range", &plain_tag),
        ],
        &[("accept-encoding", "gzip"), ("if-match", &encoded_tag)],
    ] {
        let told = doors::get(&mut world, "/a.css", fields).await;
        assert_eq!((told.status, told.body.len()), (412, 0), "{fields:?}");
    }
    // A part of a form other than what must be sent is no part of that.
    let other = [
        BROWSER,
        range,
        ("if-match", &encoded_tag),
        ("if-range", &plain_tag),
    ];
    let told = doors::get(&mut world, "/a.css", &other).await;
    assert!(told.status == 200 && told.body == encoded.body);
}

/// What `Content-Encoding` says is said of all bytes that are sent (RFC 9110 section 8.4), and what
/// stands between parts is not encoded.
#[tokio::test(start_paused = true)]
async fn several_ranges_of_an_encoded_form_are_answered_with_all_of_it() {
    let mut world = world();
    let encoded = get_warm(&mut world, "/a.css", &[BROWSER]).await;
    let several = ("range", "bytes=0-9,200-209");
    let of_it = ("if-range", &*encoded.header("etag"));
    let only = ("accept-encoding", "br, identity;q=0");
    for fields in [
        [BROWSER, several, of_it],
        [only, several, of_it],
        [only, several, only],
    ] {
        let told = doors::get(&mut world, "/a.css", &fields).await;
        assert_eq!(
            (told.status, told.header("content-encoding")),
            (200, "br".into())
        );
        assert_eq!(told.header("content-type"), "text/css; charset=utf-8");
        assert!(told.body == encoded.body);
    }
    let plain = doors::get(&mut world, "/a.css", &[BROWSER, several]).await;
    assert_eq!(
        (plain.status, plain.header("content-encoding")),
        (206, String::new())
    );
}

/// Lays a sidecar beside a file, modified so many seconds after it.
fn lay_beside(world: &World, path: &str, extension: &str, content: &[u8], later_s: i64) {
    let original = std::fs::metadata(world.path(path))
        .unwrap()
        .modified()
        .unwrap();
    let sidecar = world.path(&format!("{path}{extension}"));
    std::fs::write(&sidecar, content).unwrap();
    let by = Duration::from_secs(later_s.unsigned_abs());
    let modified: SystemTime = if later_s < 0 {
        original - by
    } else {
        original + by
    };
    let file = std::fs::File::options().write(true).open(&sidecar).unwrap();
    file.set_modified(modified).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_is_sent_as_it_lies_there() {
    let mut world = world();
    for target in ["/", "/a.css", "/large.txt", "/small.css"] {
        let file = if target == "/" { "/index.html" } else { target };
        for (extension, coding) in [(".br", "br"), (".zst", "zstd"), (".gz", "gzip")] {
            let content = format!("{coding} of {target}");
            lay_beside(&world, file, extension, content.as_bytes(), 0);
            let headers = [("accept-encoding", coding)];
            world.rest_ms(1_100).await;
            let told = doors::get(&mut world, target, &headers).await;
            assert_eq!(told.header("content-encoding"), coding, "{target}");
            assert_eq!(String::from_utf8(told.body.clone()).unwrap(), content);
            assert_eq!(told.header("vary"), "Accept-Encoding");
            let plain = doors::get(&mut world, target, &[]).await;
            assert_eq!(told.header("content-type"), plain.header("content-type"));
            assert_ne!(told.header("etag"), plain.header("etag"));
            let held = [BROWSER, ("if-none-match", &told.header("etag"))];
            let again = doors::get(&mut world, target, &held).await;
            assert_eq!(
                (again.status, again.header("etag")),
                (304, told.header("etag"))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_is_out_of_date_or_no_smaller_is_passed_over() {
    let mut world = world();
    let file = std::fs::read(world.path("/a.css")).unwrap();
    lay_beside(&world, "/a.css", ".br", b"old", -5);
    lay_beside(&world, "/a.css", ".gz", &file, 5);
    lay_beside(&world, "/a.css", ".zst", b"", 5);
    let told = get_warm(&mut world, "/a.css", &[BROWSER]).await;
    assert_eq!(told.header("content-encoding"), "br");
    assert!(decode(&told) == file);
    // It comes, it changes, it goes.
    let get = async |world: &mut World| {
        world.rest_ms(1_100).await;
        doors::get(world, "/a.css", &[BROWSER]).await
    };
    lay_beside(&world, "/a.css", ".br", b"first", 5);
    let first = get(&mut world).await;
    assert_eq!(first.body, b"first");
    lay_beside(&world, "/a.css", ".br", b"second", 6);
    let second = get(&mut world).await;
    assert_eq!(second.body, b"second");
    assert_ne!(first.header("etag"), second.header("etag"));
    std::fs::remove_file(world.path("/a.css.br")).unwrap();
    world.rest_ms(1_100).await;
    // The doors may differ now: an encoding is made while the first of them answers.
    let plain = world.get_with("/a.css", &[BROWSER]).await;
    assert!(plain.answer().body == file);
    let over_h1 = doors::ask_h1(&mut world, "GET", "/a.css", &[BROWSER]).await;
    assert!(decode(&over_h1) == file);
    let told = get_warm(&mut world, "/a.css", &[BROWSER]).await;
    assert!(told.header("content-encoding") == "br" && decode(&told) == file);
}

#[tokio::test(start_paused = true)]
async fn a_large_sidecar_is_streamed_and_may_change_before_it_is() {
    let mut world = world();
    let large = vec![b'z'; 150_000];
    lay_beside(&world, "/large.txt", ".br", &large, 0);
    let told = doors::get(&mut world, "/large.txt", &[BROWSER]).await;
    assert_eq!(told.header("content-encoding"), "br");
    assert!(told.body == large);
    // Within the second in which the old one is believed.
    lay_beside(&world, "/large.txt", ".br", &vec![b'y'; 140_000], 1);
    let told = world.get_with("/large.txt", &[BROWSER]).await;
    assert_eq!((told.status(), told.answer().body.len()), (200, 140_000));
}

#[tokio::test(start_paused = true)]
async fn encodings_are_made_anew_with_the_file_and_kept_without_a_change() {
    let mut world = world();
    let first = get_warm(&mut world, "/a.css", &[BROWSER]).await;
    world.write("/a.css", &text(12_000));
    world.rest_ms(1_100).await;
    let changed = get_warm(&mut world, "/a.css", &[BROWSER]).await;
    assert_eq!(changed.header("content-encoding"), "br");
    assert_ne!(changed.header("etag"), first.header("etag"));
    assert!(decode(&changed) == text(12_000).into_bytes());
    // Written again as it was: nothing is lost.
    world.write("/a.css", &text(12_000));
    world.rest_ms(1_100).await;
    let same = world.get_with("/a.css", &[BROWSER]).await;
    assert_eq!(same.header("content-encoding"), "br");
}

#[tokio::test(start_paused = true)]
async fn encodings_go_with_their_files_when_memory_is_short() {
    // Room for one file and its encodings.
    let mut world = world().site(|site| site.memory_bytes_max = 16_000);
    world.write("/b.css", &text(8_500));
    for target in ["/a.css", "/b.css", "/a.css", "/b.css"] {
        let told = get_warm(&mut world, target, &[BROWSER]).await;
        assert_eq!(told.status, 200, "{target}");
        assert!(
            decode(&told) == std::fs::read(world.path(target)).unwrap(),
            "{target}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_page_for_what_is_not_there_is_encoded_too() {
    let mut world = world();
    let told = get_warm(&mut world, "/nothing", &[BROWSER]).await;
    assert_eq!(
        (told.status, told.header("content-encoding")),
        (404, "br".to_owned())
    );
    assert_eq!(told.header("vary"), "Accept-Encoding");
    assert_eq!(told.header("content-length"), told.body.len().to_string());
    assert!(decode(&told).starts_with(b"<!doctype html><p>Gone"));
}

#[tokio::test(start_paused = true)]
async fn an_injected_page_is_compressed_afterwards() {
    let hub = std::sync::Arc::new(Hub::new(1, Limits::default()));
    let (live, _heard) = Live::new(
        live::Live {
            hub,
            script: Bytes::from_static(b"'use strict';"),
            script_hash: "abc".to_owned(),
        },
        false,
    );
    let mut world = world().live(live);
    let shown = ("sec-fetch-dest", "document");
    let plain = doors::get(&mut world, "/", &[shown]).await;
    assert!(String::from_utf8_lossy(&plain.body).contains("/.forerun/live.js"));
    for target in ["/", "/nothing"] {
        let plain = doors::get(&mut world, target, &[shown]).await;
        for coding in ["br", "zstd", "gzip"] {
            let accepted = ("accept-encoding", coding);
            let told = doors::get(&mut world, target, &[shown, accepted]).await;
            assert_eq!(told.header("content-encoding"), coding, "{target}");
            assert_eq!(told.header("content-length"), told.body.len().to_string());
            assert_eq!(decode(&told), plain.body, "{target} {coding}");
            assert_eq!(
                told.header("vary"),
                "Sec-Fetch-Dest, Accept, Accept-Encoding"
            );
            let head = doors::ask(&mut world, "HEAD", target, &[shown, accepted]).await;
            assert_eq!(head.headers, told.headers, "{target} {coding}");
        }
    }
    let told = doors::get(&mut world, "/", &[shown, BROWSER]).await;
    let held = [shown, BROWSER, ("if-none-match", &told.header("etag"))];
    let again = doors::get(&mut world, "/", &held).await;
    assert_eq!(
        (again.status, again.header("etag")),
        (304, told.header("etag"))
    );
    // A part of it would be of no use.
    let part = doors::get(&mut world, "/", &[shown, BROWSER, ("range", "bytes=0-9")]).await;
    assert_eq!(
        (part.status, part.header("accept-ranges")),
        (200, String::new())
    );
    assert_eq!(decode(&part), plain.body);
}
