//! Parts of files, and preconditions (RFC 9110 sections 13 and 14), at both doors.

use std::time::{Duration, SystemTime};

use forerun::answer::range::RANGES_MAX;

use crate::client::Ask;
use crate::doors::{self, Told};
use crate::world::World;

const SITE: &str = "
    //- /index.html size=20000
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css
    b { color: red }
    //- /held.bin size=10000
    //- /large.bin size=300000
    //- /empty.bin size=0
    //- /one.bin size=1
";

const PAST: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

/// Files above this are streamed.
const HELD_MAX: u64 = 100_000;

fn world() -> World {
    World::new(SITE).site(|site| site.memory_file_bytes_max = HELD_MAX)
}

async fn get(world: &mut World, target: &str, range: &str) -> Told {
    doors::get(world, target, &[("range", range)]).await
}

#[tokio::test(start_paused = true)]
async fn a_range_is_answered_with_those_bytes() {
    let mut world = world();
    // Parts of what is sent in one frame are not offered, and are to be had all the same.
    for (target, length, offered) in [("/held.bin", 10_000, ""), ("/large.bin", 300_000, "bytes")] {
        let file = std::fs::read(world.path(target)).unwrap();
        let whole = doors::get(&mut world, target, &[]).await;
        assert_eq!(
            (whole.status, whole.header("accept-ranges")),
            (200, offered.into())
        );
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=0-499", 0, 499),
            ("bytes=500-999", 500, 999),
            ("bytes=9000-", 9000, length - 1),
            ("bytes=-500", length - 500, length - 1),
            ("bytes=-1", length - 1, length - 1),
            ("bytes=0-", 0, length - 1),
            ("bytes=-999999999", 0, length - 1),
            ("bytes=9999-99999999999999999999", 9999, length - 1),
            ("BYTES=1-1", 1, 1),
            // One of two can be had: that is one part.
            ("bytes=0-9,999999-", 0, 9),
        ] {
            let part = get(&mut world, target, range).await;
            assert_eq!(part.status, 206, "{target} {range}");
            assert!(part.body == file[first..=last], "{target} {range}");
            assert_eq!(
                part.header("content-range"),
                format!("bytes {first}-{last}/{length}")
            );
            assert_eq!(
                part.header("content-length"),
                (last - first + 1).to_string()
            );
            for name in [
                "etag",
                "last-modified",
                "cache-control",
                "content-type",
                "vary",
            ] {
                assert_eq!(
                    part.header(name),
                    whole.header(name),
                    "{target} {range}: {name}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_behind_the_end_is_416_and_says_where_that_is() {
    let mut world = world();
    for (target, range, length) in [
        ("/held.bin", "bytes=10000-", 10_000),
        ("/held.bin", "bytes=10000-10001", 10_000),
        ("/held.bin", "bytes=-0", 10_000),
        ("/held.bin", "bytes=20000-,30000-", 10_000),
        ("/large.bin", "bytes=300000-", 300_000),
        ("/one.bin", "bytes=1-", 1),
        ("/empty.bin", "bytes=0-", 0),
        ("/empty.bin", "bytes=0-0", 0),
    ] {
        let none = get(&mut world, target, range).await;
        assert_eq!(none.status, 416, "{target} {range}");
        assert_eq!(none.header("content-range"), format!("bytes */{length}"));
        assert_eq!(
            (none.body.len(), none.header("content-length")),
            (0, "0".into())
        );
        assert_eq!(
            (none.header("etag"), none.header("content-type")),
            Default::default()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_range_of_bytes_is_ignored() {
    let mut world = world();
    let whole = doors::get(&mut world, "/held.bin", &[]).await;
    // Invalid, by RFC 9110 section 14.1.1: last before first.
    for range in [
        "bytes=9-2",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1,9-2",
        "items=0-1",
        "0-1",
        "bytes=0-1-2",
        "bytes 0-1",
    ] {
        let told = get(&mut world, "/held.bin", range).await;
        assert_eq!(
            (told.status, told.header("content-range")),
            (200, String::new()),
            "{range}"
        );
        assert!(
            told.body == whole.body && told.headers == whole.headers,
            "{range}"
        );
    }
    let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
    assert_eq!(
        doors::get(&mut world, "/held.bin", &twice).await.status,
        200
    );
    let head = doors::ask(&mut world, "HEAD", "/held.bin", &[("range", "bytes=0-1")]).await;
    assert_eq!((head.status, head.headers), (200, whole.headers));
    assert_eq!(get(&mut world, "/nothing", "bytes=0-1").await.status, 404);
    // An empty file has a last part: all of it.
    let empty = get(&mut world, "/empty.bin", "bytes=-5").await;
    assert_eq!((empty.status, empty.body.len()), (200, 0));
}

/// Reads a multipart body as RFC 2046 section 5.1 says: the fields of each part, and its bytes.
fn parts(told: &Told) -> Vec<(String, Vec<u8>)> {
    let media_type = told.header("content-type");
    let boundary = media_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let (open, close) = (
        format!("--{boundary}\r\n"),
        format!("\r\n--{boundary}--\r\n"),
    );
    let find = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .position(|window| window == text.as_bytes())
    };
    assert!(told.body.starts_with(open.as_bytes()) && told.body.ends_with(close.as_bytes()));
    let mut rest = &told.body[open.len()..told.body.len() - close.len()];
    let mut parts = Vec::new();
    loop {
        let head_end = find(rest, "\r\n\r\n").unwrap();
        let head = String::from_utf8(rest[..head_end].to_vec()).unwrap();
        rest = &rest[head_end + 4..];
        let Some(next) = find(rest, &format!("\r\n{open}")) else {
            parts.push((head, rest.to_vec()));
            return parts;
        };
        parts.push((head, rest[..next].to_vec()));
        rest = &rest[next + 2 + open.len()..];
    }
}

#[tokio::test(start_paused = true)]
async fn several_ranges_are_sent_as_parts() {
    let mut world = world();
    for target in ["/held.bin", "/large.bin"] {
        let file = std::fs::read(world.path(target)).unwrap();
        let length = file.len();
        let told = get(&mut world, target, "bytes=5000-5999, 0-9,-10").await;
        assert_eq!(
            (told.status, told.header("content-range")),
            (206, String::new())
        );
        assert_eq!(told.header("content-length"), told.body.len().to_string());
        let parts = parts(&told);
        let expected = [(5000, 5999), (0, 9), (length - 10, length - 1)];
        assert_eq!(parts.len(), 3, "{target}");
        for ((head, bytes), (first, last)) in parts.iter().zip(expected) {
            assert_eq!(
                *head,
                format!(
                    "Content-Type: application/octet-stream\r\n\
                     Content-Range: bytes {first}-{last}/{length}"
                )
            );
            assert!(*bytes == file[first..=last], "{target} {first}");
        }
        // What overlaps is sent once.
        let joined = get(&mut world, target, "bytes=0-99,50-149").await;
        assert_eq!(
            joined.header("content-range"),
            format!("bytes 0-149/{length}")
        );
        assert!(joined.body == file[..150]);
    }
}

#[tokio::test(start_paused = true)]
async fn ranges_that_ask_for_too_much_get_the_whole() {
    let mut world = world();
    let many = |count: usize| {
        let ranges: Vec<_> = (0..count).map(|at| format!("{0}-{0}", at * 300)).collect();
        format!("bytes={}", ranges.join(","))
    };
    let most = get(&mut world, "/held.bin", &many(RANGES_MAX)).await;
    assert_eq!(parts(&most).len(), RANGES_MAX);
    for range in [
        many(RANGES_MAX + 1),
        // The attack on Apache of 2011: each range a little less than all.
        format!("bytes={}", "5-,".repeat(1300)),
        "bytes=0-4999,5200-9999".to_owned(),
    ] {
        let told = get(&mut world, "/held.bin", &range).await;
        assert_eq!((told.status, told.body.len()), (200, 10_000), "{range}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_goes_on_only_with_what_was_begun() {
    let mut world = world();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for target in ["/held.bin", "/large.bin"] {
        let file = std::fs::File::options()
            .write(true)
            .open(world.path(target))
            .unwrap();
        file.set_modified(old).unwrap();
        let whole = doors::get(&mut world, target, &[]).await;
        let (tag, date) = (whole.header("etag"), whole.header("last-modified"));
        // Just laid out, a file that is not held is only known by its times.
        let strong = if tag.starts_with("W/") { 200 } else { 206 };
        for (if_range, status) in [
            (tag.as_str(), strong),
            (date.as_str(), strong),
            (&format!("W/{}", tag.trim_start_matches("W/")), 200),
            ("\"other\"", 200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
            ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
            ("nonsense", 200),
            ("", 200),
            (&format!("{tag}, \"other\""), 200),
        ] {
            let fields = [("range", "bytes=1-2"), ("if-range", if_range)];
            let told = doors::get(&mut world, target, &fields).await;
            let length = if status == 206 { 2 } else { whole.body.len() };
            assert_eq!(
                (told.status, told.body.len()),
                (status, length),
                "{target} {if_range}"
            );
        }
        // Without a range it means nothing.
        let alone = [("if-range", "\"other\"")];
        assert_eq!(doors::get(&mut world, target, &alone).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn preconditions_are_evaluated_in_their_order() {
    let mut world = world();
    for target in ["/", "/a.css", "/held.bin"] {
        let whole = doors::get(&mut world, target, &[]).await;
        let (tag, date) = (whole.header("etag"), whole.header("last-modified"));
        let (tag, date, weak) = (tag.as_str(), date.as_str(), format!("W/{tag}"));
        let table: &[(&[(&'static str, &str)], u16)] = &[
            (&[("if-match", tag)], 200),
            (&[("if-match", "*")], 200),
            (&[("if-match", &weak)], 412),
            (&[("if-match", "\"other\"")], 412),
            (&[("if-match", "\"other\""), ("if-match", tag)], 200),
            (&[("if-unmodified-since", date)], 200),
            (&[("if-unmodified-since", FUTURE)], 200),
            (&[("if-unmodified-since", PAST)], 412),
            (&[("if-unmodified-since", "nonsense")], 200),
            (&[("if-match", tag), ("if-unmodified-since", PAST)], 200),
            (&[("if-match", "\"other\""), ("if-none-match", tag)], 412),
            (&[("if-match", tag), ("if-none-match", tag)], 304),
            (
                &[("if-unmodified-since", PAST), ("if-none-match", tag)],
                412,
            ),
            (
                &[
                    ("if-none-match", "\"other\""),
                    ("if-modified-since", FUTURE),
                ],
                200,
            ),
            (&[("if-none-match", tag), ("range", "bytes=0-1")], 304),
            (&[("if-modified-since", date), ("range", "bytes=0-1")], 304),
            (&[("if-match", "\"other\""), ("range", "bytes=0-1")], 412),
            (&[("if-match", tag), ("range", "bytes=0-1")], 206),
            (
                &[
                    ("if-match", tag),
                    ("if-range", "\"other\""),
                    ("range", "bytes=0-1"),
                ],
                200,
            ),
            (&[("if-match", tag), ("range", "bytes=99999-")], 416),
        ];
        for (fields, status) in table {
            let told = doors::get(&mut world, target, fields).await;
            assert_eq!(told.status, *status, "{target} {fields:?}");
            let head = doors::ask(&mut world, "HEAD", target, fields).await;
            let expected = if [206, 416].contains(status) {
                200
            } else {
                *status
            };
            assert_eq!(head.status, expected, "HEAD {target} {fields:?}");
            if [304, 412].contains(status) {
                assert!(told.body.is_empty(), "{target} {fields:?}");
            }
        }
    }
    // They are about what is there (RFC 9110 section 13.2.1).
    assert_eq!(
        doors::get(&mut world, "/nothing", &[("if-match", "*")])
            .await
            .status,
        404
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_page_brings_nothing_along() {
    let mut world = world();
    let whole = world.ask(Ask::navigate("/")).await;
    assert_eq!(whole.promised(), ["/a.css"]);
    world.reconnect().await;
    let part = world
        .ask(Ask::navigate("/").header("range", "bytes=0-99"))
        .await;
    assert_eq!(
        (part.status(), part.promises.len(), part.hints.len()),
        (206, 0, 0)
    );
    assert_eq!(part.header("link"), "");
    // It is no page that the peer holds, so the page comes with all it needs.
    assert_eq!(world.ask(Ask::navigate("/")).await.promised(), ["/a.css"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_shrinks_while_a_part_of_it_is_sent_is_reset() {
    let mut world = world().link(crate::world::slow(10, 25));
    let pending = world
        .start(Ask::get("/large.bin").header("range", "bytes=1000-299999"))
        .await;
    world.rest_ms(120).await;
    let file = std::fs::File::options()
        .write(true)
        .open(world.path("/large.bin"))
        .unwrap();
    file.set_len(100_000).unwrap();
    let response = world.wait(pending).await;
    assert!(response.answer.unwrap_err().is_reset());
}
