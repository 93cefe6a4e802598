//! What the log says of each answer.

use forerun::metrics::Count;

use crate::client::{Ask, Reading};
use crate::world::{World, slow};

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css
    p { color: red }
    //- /large.png size=1000000
";

#[tokio::test(start_paused = true)]
async fn each_answer_is_a_line_and_pushes_are_told() {
    let mut world = World::new(SITE);
    let tag = world.get("/").await.header("etag").to_owned();
    world.get_with("/", &[("if-none-match", &tag)]).await;
    world.ask(Ask::method("HEAD", "/a.css")).await;
    world.ask(Ask::method("POST", "/?q=%22")).await;
    world.get("/nothing").await;
    insta::assert_snapshot!(world.log().join("\n"), @r#"
    "PUSH /a.css HTTP/2.0" 200 17
    "GET / HTTP/2.0" 200 57 pushed=/a.css
    "GET / HTTP/2.0" 304 0
    "HEAD /a.css HTTP/2.0" 200 0
    "POST /?q=%22 HTTP/2.0" 405 0
    "GET /nothing HTTP/2.0" 404 32
    "#);
}

#[tokio::test(start_paused = true)]
async fn hints_are_told() {
    let mut world = World::new(SITE)
        .client(|client| client.push = false)
        .server(|options| options.deliver = forerun::answer::Deliver::Hints);
    world.ask(Ask::navigate("/")).await;
    insta::assert_snapshot!(world.log().join("\n"), @r#""GET / HTTP/2.0" 200 57 hinted=1"#);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_those_that_left() {
    let mut world = World::new(SITE).link(slow(10, 25));
    world
        .ask(Ask::get("/large.png").reading(Reading::CancelAfter(100_000)))
        .await;
    world.rest_ms(1_000).await;
    let log = world.log();
    let bytes: u32 = log[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!((100_000..400_000).contains(&bytes), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_is_told_and_counted() {
    let mut world = World::new(SITE);
    world.say("nonsense\r\n\r\n").await;
    world
        .say(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)))
        .await;
    insta::assert_snapshot!(world.log().join("\n"), @r#"
    "- - HTTP/1.1" 400 0
    "- - HTTP/1.1" 431 0
    "#);
    for status in [400, 431] {
        let status = http::StatusCode::from_u16(status).unwrap();
        let answered = Count::Answered(http::Version::HTTP_11, status);
        assert_eq!(world.metrics().total(answered), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn http1_is_told_too() {
    let mut world = World::new(SITE);
    world
        .say("GET /a.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    insta::assert_snapshot!(world.log().join("\n"), @r#""GET /a.css HTTP/1.1" 200 17"#);
}
