//! Pages: what they need, made once, and anew when any of it differs.

use std::sync::{Mutex, mpsc};

use futures_util::future::join_all;

use super::*;
use crate::site::graph::{Destination, Graph, Need, Subresource, Target};
use crate::site::{Page, SiteUrl};

/// A double of the graph: every line of a file that begins with a slash is a path it needs.
pub(super) fn lines(site: &Site, url: &SiteUrl) -> Graph {
    let mut graph = Graph::default();
    let mut seen = vec![url.path().clone()];
    let mut next = 0;
    while next < seen.len() {
        let path = seen[next].clone();
        match site.entry(path.as_str()) {
            None => graph.unknown.push(path),
            Some(Entry::File(asset)) => {
                let text = String::from_utf8_lossy(asset.content.as_deref().unwrap_or_default());
                let paths = text.lines().filter_map(|line| UrlPath::parse(line).ok());
                let paths: Vec<_> = paths.filter(|path| !seen.contains(path)).collect();
                graph
                    .subresources
                    .extend(paths.iter().cloned().map(subresource));
                seen.extend(paths);
            }
            Some(_) => {}
        }
        next += 1;
    }
    graph
}

fn subresource(path: UrlPath) -> Subresource {
    Subresource {
        target: Target::Here(SiteUrl::from(path)),
        destination: Destination::Other,
        crossorigin: None,
        content_type: String::new(),
        media: String::new(),
        image_candidates: None,
        need: Need::Other,
        behind: None,
        depth: 1,
        offset: 0,
        in_head: true,
        obstacle: None,
    }
}

async fn page_of(root: &SiteRoot, target: &str) -> Arc<Page> {
    page(&*root.prepare(&path(target)).await, target)
}

#[track_caller]
fn page(site: &Site, target: &str) -> Arc<Page> {
    Arc::clone(site.page(target).expect("the page is known"))
}

#[tokio::test(start_paused = true)]
async fn a_page_comes_with_all_that_it_needs() {
    let directory = Directory::new(&[
        ("docs/index.html", "<p>\n/a.css\n/missing.js\n/docs\n/docs/"),
        ("a.css", "/b.css"),
        ("b.css", "/c.woff2\n/a.css"),
        ("c.woff2", "font"),
    ]);
    let root = directory.root();
    let site = root.prepare(&path("/docs/")).await;
    assert!(Arc::ptr_eq(
        &page(&site, "/docs/"),
        &page(&site, "/docs/index.html")
    ));
    for target in ["/a.css", "/b.css", "/c.woff2"] {
        assert!(site.asset(target).is_some(), "{target}");
    }
    assert!(matches!(site.entry("/missing.js"), Some(Entry::Missing)));
    assert!(matches!(site.entry("/docs"), Some(Entry::Directory)));
    assert!(root.ready("/docs/").is_some() && root.ready("/docs/index.html").is_some());

    interval().await;
    assert!(root.ready("/docs/").is_none());
    let again = root.prepare(&path("/docs/")).await;
    assert!(Arc::ptr_eq(&page(&site, "/docs/"), &page(&again, "/docs/")));
    assert!(root.ready("/docs/").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_page_is_made_anew_when_anything_it_needs_differs() {
    let directory = Directory::new(&[
        ("index.html", "/a.css\n/later.js"),
        ("a.css", "/b.woff2"),
        ("b.woff2", "1"),
        ("other.txt", "1"),
    ]);
    let root = directory.root();
    let mut before = page_of(&root, "/").await;
    let remove = |name: &str| fs::remove_file(directory.path.join(name)).unwrap();
    let changes: [(&str, &dyn Fn()); 5] = [
        ("edited", &|| directory.write("b.woff2", "2")),
        ("appeared", &|| directory.write("later.js", "")),
        ("disappeared", &|| remove("later.js")),
        ("the page", &|| {
            directory.write("index.html", "/a.css\n/later.js\n");
        }),
        ("behind another", &|| directory.write("a.css", "/c.woff2")),
    ];
    for (name, change) in changes {
        change();
        interval().await;
        let after = page_of(&root, "/").await;
        assert!(!Arc::ptr_eq(&before, &after), "{name}");
        before = after;
    }
    // What it does not need may change as it likes.
    get(&root, "/other.txt").await;
    directory.write("other.txt", "2");
    directory.write("b.woff2", "3");
    interval().await;
    assert_eq!(get(&root, "/other.txt").await, "2");
    assert!(Arc::ptr_eq(&before, &page_of(&root, "/").await));
}

/// A page and what is promised with it come from one snapshot: once a file is known to differ, no
/// snapshot is ready with a plan made from the old one.
#[tokio::test(start_paused = true)]
async fn an_edit_that_another_request_finds_unsettles_the_page() {
    let directory = Directory::new(&[("index.html", "/a.css"), ("a.css", "old")]);
    let root = directory.root();
    let before = page_of(&root, "/").await;
    advance(Duration::from_millis(CHECK_INTERVAL_MS / 2)).await;
    directory.write("a.css", "new");
    root.loader.expire(root.snapshot().asset("/a.css").unwrap());
    assert!(root.ready("/").is_some());
    assert_eq!(get(&root, "/a.css").await, "new");
    assert!(root.ready("/").is_none());
    let after = page_of(&root, "/").await;
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(root.ready("/").is_some());
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_together_share_one_reading() {
    let directory = Directory::new(&[("a.txt", "a"), ("b.html", "/a.txt")]);
    let root = directory.root();
    let target = path("/b.html");
    let sites = join_all((0..100).map(|_| root.prepare(&target))).await;
    let first = sites[0].asset("/b.html").unwrap();
    for site in &sites {
        assert!(Arc::ptr_eq(site.asset("/b.html").unwrap(), first));
        assert!(Arc::ptr_eq(
            &page(site, "/b.html"),
            &page(&sites[0], "/b.html")
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_needs_more_than_fits_is_still_made() {
    let files: Vec<_> = (0..20)
        .map(|index| (format!("{index}.css"), "x".repeat(10)))
        .collect();
    let directory = Directory::new(&[]);
    let mut text = String::new();
    for (name, content) in &files {
        directory.write(name, content);
        text = text + "/" + name + "\n";
    }
    directory.write("19.css", "/z.woff2");
    directory.write("index.html", &text);
    let memory_bytes_max = text.len() as u64 + 25;
    let root = open(SiteOptions {
        memory_bytes_max,
        ..directory.options()
    });
    let before = page_of(&root, "/").await;
    assert!(
        before
            .dependencies
            .iter()
            .any(|it| it.path.as_str() == "/z.woff2")
    );
    // Style sheets that had to go meanwhile are read again for the next one.
    directory.write("0.css", "y");
    interval().await;
    let after = page_of(&root, "/").await;
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(
        after
            .dependencies
            .iter()
            .any(|it| it.path.as_str() == "/z.woff2")
    );
}

/// What lets the graph of the next test begin and end.
static GATE: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>> = Mutex::new(None);

fn slow(_site: &Site, _url: &SiteUrl) -> Graph {
    if let Some((begun, end)) = GATE.lock().unwrap().take() {
        begun.send(()).unwrap();
        end.recv().unwrap();
    }
    Graph::default()
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_takes_long_is_finished_for_those_who_ask_later() {
    let directory = Directory::new(&[("index.html", "home")]);
    let root = Arc::new(open_with(directory.options(), slow));
    let (begun, has_begun) = mpsc::channel();
    let (end, until_end) = mpsc::channel();
    *GATE.lock().unwrap() = Some((begun, until_end));

    let answer = tokio::spawn({
        let root = Arc::clone(&root);
        async move { root.prepare(&path("/")).await }
    });
    spawn_blocking(move || has_begun.recv().unwrap())
        .await
        .unwrap();
    advance(GRAPH_WAIT).await;
    let site = answer.await.unwrap();
    assert!(site.asset("/").is_some() && site.page("/").is_none());
    // Whoever comes later waits no more.
    assert!(root.prepare(&path("/")).await.page("/").is_none());

    let mut boarding = root.loader.flights.board(&path("/index.html")).unwrap();
    assert!(boarding.worker.is_none());
    end.send(()).unwrap();
    boarding.landed.changed().await.unwrap_err();
    assert!(root.snapshot().page("/").is_some());
    assert!(root.prepare(&path("/")).await.page("/").is_some());
}

#[tokio::test(start_paused = true)]
async fn push_toml_is_read_again_and_makes_pages_anew() {
    let directory = Directory::new(&[("index.html", "home")]);
    let root = directory.root();
    let before = page_of(&root, "/").await;
    directory.write("push.toml", "# nothing yet\n");
    interval().await;
    let after = page_of(&root, "/").await;
    assert!(!Arc::ptr_eq(&before, &after));
    // One that cannot be used changes nothing.
    fs::write(directory.path.join("push.toml"), b"\xff").unwrap();
    interval().await;
    assert!(Arc::ptr_eq(&after, &page_of(&root, "/").await));
}
