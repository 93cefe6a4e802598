//! What is hinted to a client that takes no pushes: one 103, and the same links in the 200.

use forerun::answer::Deliver;

use crate::client::{Ask, Response};
use crate::fixture::style_sheets;
use crate::world::World;

/// A page whose style sheet hides a font and an import.
const HIDDEN: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css>
    <script type=module src=/m.js></script><h1>Hello</h1><img src=/i.png>
    //- /a.css
    @import 'b.css';
    @font-face { font-family: F; src: url(f.woff2) format('woff2') }
    h1 { font-family: F }
    //- /b.css
    h1 { color: red }
    //- /m.js
    import './n.js';
    //- /n.js
    1
    //- /f.woff2 size=1000
    //- /i.png size=1000
";

fn world(deliver: Deliver) -> World {
    World::new(HIDDEN)
        .client(|client| client.push = false)
        .server(|options| options.deliver = deliver)
}

fn links(response: &Response) -> Vec<&str> {
    let links = response.answer().headers.get_all("link").iter();
    links.map(|link| link.to_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_navigation_is_hinted_before_its_answer_and_with_it() {
    let mut world = world(Deliver::Hints);
    let page = world.ask(Ask::navigate("/")).await;
    insta::assert_snapshot!(world.transcript(), @"
        > GET /
        < 103
            link: </a.css>; rel=preload; as=style
            link: </b.css>; rel=preload; as=style
            link: </f.woff2>; rel=preload; as=font; crossorigin
            link: </m.js>; rel=modulepreload
            link: </n.js>; rel=modulepreload
        < 200 / text/html 119 B
    ");
    assert_eq!(page.hints.len(), 1);
    let early: Vec<_> = page.hints[0].get_all("link").iter().collect();
    assert_eq!(
        early,
        page.answer()
            .headers
            .get_all("link")
            .iter()
            .collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn hidden_files_are_hinted_in_the_answer_by_default() {
    let mut world = world(Deliver::Auto);
    let page = world.ask(Ask::navigate("/")).await;
    // The answer is ready at once: a 103 would tell nothing sooner.
    assert_eq!(page.hints.len(), 0);
    insta::assert_debug_snapshot!(links(&page), @r#"
        [
            "</a.css>; rel=preload; as=style",
            "</b.css>; rel=preload; as=style",
            "</f.woff2>; rel=preload; as=font; crossorigin",
            "</n.js>; rel=modulepreload",
        ]
    "#);
}

#[tokio::test(start_paused = true)]
async fn only_navigations_are_hinted() {
    let mut world = world(Deliver::Hints);
    for mode in ["cors", "no-cors", "same-origin"] {
        let page = world.get_with("/", &[("sec-fetch-mode", mode)]).await;
        assert_eq!((page.hints.len(), links(&page).len()), (0, 0), "{mode}");
    }
    // A program that says nothing of itself takes no 103, which few expect.
    assert_eq!(world.get("/").await.hints.len(), 0);
    let asset = world.ask(Ask::navigate("/a.css")).await;
    assert_eq!((asset.hints.len(), links(&asset).len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn hints_are_declined_as_pushes_are() {
    let mut world = world(Deliver::Hints);
    for (name, value) in [
        ("save-data", "on"),
        ("sec-purpose", "prefetch"),
        ("accept-push-policy", "none"),
    ] {
        let page = world.ask(Ask::navigate("/").header(name, value)).await;
        assert_eq!(
            (page.hints.len(), links(&page).len()),
            (0, 0),
            "{name}: {value}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hinted_with_what_is_no_page() {
    let mut world = world(Deliver::Hints);
    let tag = world
        .ask(Ask::navigate("/"))
        .await
        .header("etag")
        .to_owned();
    for (ask, status) in [
        (Ask::navigate("/").header("if-none-match", &tag), 304),
        (Ask::navigate("/nothing"), 404),
    ] {
        let page = world.ask(ask).await;
        assert_eq!(
            (page.status(), page.hints.len(), links(&page).len()),
            (status, 0, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_font_is_hinted_as_it_will_be_fetched() {
    let mut world = world(Deliver::Hints);
    let page = world.ask(Ask::navigate("/")).await;
    let font = links(&page)
        .into_iter()
        .find(|link| link.starts_with("</f.woff2>"))
        .unwrap();
    assert!(font.contains("rel=preload"), "{font}");
    assert!(font.contains("as=font"), "{font}");
    assert!(font.contains("crossorigin"), "{font}");
}

#[tokio::test(start_paused = true)]
async fn at_most_ten_links_are_hinted() {
    let mut world = World::new(&style_sheets(20, 100))
        .client(|client| client.push = false)
        .server(|options| options.deliver = Deliver::Hints);
    let page = world.ask(Ask::navigate("/")).await;
    assert_eq!(links(&page).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn hinted_files_may_be_stored() {
    let mut world = world(Deliver::Hints);
    let page = world.ask(Ask::navigate("/")).await;
    let targets: Vec<String> = links(&page)
        .iter()
        .map(|link| link[1..link.find('>').unwrap()].to_owned())
        .collect();
    assert!(!targets.is_empty());
    for target in targets {
        let stored = world.get(&target).await.header("cache-control").to_owned();
        assert!(
            stored.contains("max-age=") && !stored.contains("no-"),
            "{target}: {stored}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_way_of_delivering_keeps_to_itself() {
    for (deliver, push, expected) in [
        (Deliver::Auto, true, (true, 0, false)),
        (Deliver::Auto, false, (false, 0, true)),
        (Deliver::Push, true, (true, 0, false)),
        (Deliver::Push, false, (false, 0, false)),
        (Deliver::Hints, true, (false, 1, true)),
        (Deliver::Hints, false, (false, 1, true)),
        (Deliver::Link, true, (false, 0, true)),
        (Deliver::Link, false, (false, 0, true)),
        (Deliver::None, true, (false, 0, false)),
        (Deliver::None, false, (false, 0, false)),
    ] {
        let mut world = world(deliver).client(|client| client.push = push);
        let page = world.ask(Ask::navigate("/")).await;
        let seen = (
            !page.promises.is_empty(),
            page.hints.len(),
            !links(&page).is_empty(),
        );
        assert_eq!(
            seen, expected,
            "{deliver:?} to a client whose ENABLE_PUSH is {push}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_ahead_is_explained_on_demand() {
    let mut world = World::new(HIDDEN).server(|options| options.explain = true);
    let page = world.get("/").await;
    let explained = page.header("server-timing").replace(", ", "\n");
    insta::assert_snapshot!(explained, @r#"
        push;desc="/a.css"
        push;desc="/b.css"
        push;desc="/f.woff2"
        push;desc="/m.js"
        push;desc="/n.js"
        skip;desc="/i.png: not critical"
    "#);
    let mut world = World::new(HIDDEN);
    assert_eq!(world.get("/").await.header("server-timing"), "");
}
