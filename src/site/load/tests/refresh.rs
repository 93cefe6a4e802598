//! What really changed, for those who ask at once and those who asked before.

use super::*;

/// `(changed, pages)` as one line each: `+/a.css ~/b.css -/c.css | / /docs/`.
fn said(changes: &Changes) -> String {
    let files = changes.changed.iter().map(|change| {
        let sign = match change.what {
            What::Added => '+',
            What::Modified => '~',
            What::Removed => '-',
        };
        format!("{sign}{} ", change.path)
    });
    let pages = changes.pages.iter().map(|page| format!(" {page}"));
    format!(
        "{}|{}",
        files.collect::<Vec<_>>().concat(),
        pages.collect::<Vec<_>>().concat()
    )
}

fn refresh(root: &SiteRoot, targets: &[&str]) -> String {
    let paths: Vec<_> = targets.iter().map(|target| path(target)).collect();
    said(&root.refresh(&paths))
}

async fn two_pages() -> (Directory, SiteRoot) {
    let directory = Directory::new(&[
        ("index.html", "/a.css\n/later.js"),
        ("docs/index.html", "/docs/d.css\n/a.css"),
        ("other.html", "/docs/d.css"),
        ("a.css", "/b.woff2"),
        ("b.woff2", "1"),
        ("docs/d.css", "d"),
        ("unasked.txt", "x"),
    ]);
    let root = directory.root();
    root.note_changes();
    for page in ["/", "/docs/", "/other.html"] {
        root.prepare(&path(page)).await;
    }
    (directory, root)
}

#[tokio::test(start_paused = true)]
async fn a_refresh_looks_at_once_and_names_the_pages_concerned() {
    let (directory, root) = two_pages().await;
    let before = root.snapshot();
    assert_eq!(refresh(&root, &["/a.css", "/", "/unasked.txt"]), "|");
    directory.write("b.woff2", "2");
    assert_eq!(refresh(&root, &["/b.woff2"]), "~/b.woff2 | / /docs/");
    assert_eq!(refresh(&root, &["/b.woff2"]), "|");
    let asset = |site: &Site| site.asset("/b.woff2").unwrap().content.clone();
    assert_eq!(asset(&before).as_deref(), Some(&b"1"[..]));
    assert_eq!(asset(&root.snapshot()).as_deref(), Some(&b"2"[..]));

    directory.write("other.html", "/docs/d.css\n");
    directory.write("docs/d.css", "dd");
    assert_eq!(
        refresh(&root, &["/docs/d.css", "/other.html"]),
        "~/docs/d.css ~/other.html | /docs/ /other.html"
    );
    // A file that was linked to and not there; and one that goes.
    directory.write("later.js", "");
    assert_eq!(refresh(&root, &["/later.js"]), "+/later.js | /");
    fs::remove_file(directory.path.join("docs/index.html")).unwrap();
    assert_eq!(
        refresh(&root, &["/docs/index.html"]),
        "-/docs/index.html | /docs/"
    );
    directory.write("docs/index.html", "back");
    assert_eq!(
        refresh(&root, &["/docs/index.html"]),
        "+/docs/index.html | /docs/"
    );
}

#[tokio::test(start_paused = true)]
async fn what_keeps_its_bytes_is_silent() {
    let (directory, root) = two_pages().await;
    let file = directory.path.join("a.css");
    directory.write("a.css", "/b.woff2");
    assert_eq!(refresh(&root, &["/a.css"]), "|");
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(refresh(&root, &["/a.css"]), "|");
    fs::rename(&file, directory.path.join("away")).unwrap();
    fs::rename(directory.path.join("away"), &file).unwrap();
    assert_eq!(refresh(&root, &["/a.css"]), "|");
    assert_eq!(said(&root.refresh_all()), "|");
}

/// A request that comes between a save and its event finds the change first; those who asked
/// before must still learn of it, once.
#[tokio::test(start_paused = true)]
async fn what_a_request_finds_first_is_told_all_the_same() {
    let (directory, root) = two_pages().await;
    directory.write("a.css", "/b.woff2\n");
    directory.write("later.js", "now");
    interval().await;
    root.prepare(&path("/")).await;
    assert_eq!(
        refresh(&root, &["/a.css", "/later.js"]),
        "~/a.css +/later.js | / /docs/"
    );
    assert_eq!(said(&root.refresh_all()), "|");
    // There and back between two refreshes is no change.
    directory.write("a.css", "other");
    interval().await;
    root.prepare(&path("/")).await;
    directory.write("a.css", "/b.woff2\n");
    assert_eq!(refresh(&root, &["/a.css"]), "|");
}

#[tokio::test(start_paused = true)]
async fn whoever_sees_404_learns_of_the_file_when_it_comes() {
    let (directory, root) = two_pages().await;
    root.prepare(&path("/new.html")).await;
    root.prepare(&path("/blog/")).await;
    assert_eq!(refresh(&root, &["/new.html"]), "|");
    directory.write("new.html", "new");
    directory.write("blog/index.html", "new");
    assert_eq!(
        refresh(&root, &["/new.html", "/blog"]),
        "+/blog/index.html +/new.html | /blog/ /new.html"
    );
    // Also if a request finds it first, and also if the page that they see is another.
    root.prepare(&path("/newer.html")).await;
    directory.write("newer.html", "new");
    root.prepare(&path("/newer.html")).await;
    assert_eq!(
        refresh(&root, &["/newer.html"]),
        "+/newer.html | /newer.html"
    );
    root.prepare(&path("/never/")).await;
    directory.write("404.html", "sorry");
    assert_eq!(
        refresh(&root, &["/404.html"]),
        "+/404.html | /404.html /never/"
    );
}

#[tokio::test(start_paused = true)]
async fn a_directory_stands_for_all_below() {
    let (directory, root) = two_pages().await;
    let docs = directory.path.join("docs");
    fs::rename(&docs, directory.path.join("old")).unwrap();
    directory.write("docs/d.css", "swapped");
    assert_eq!(
        refresh(&root, &["/docs"]),
        "~/docs/d.css -/docs/index.html | /docs/ /other.html"
    );
    fs::remove_dir_all(&docs).unwrap();
    fs::rename(directory.path.join("old"), &docs).unwrap();
    directory.write("a.css", "a");
    assert_eq!(
        refresh(&root, &["/"]),
        "~/a.css ~/docs/d.css +/docs/index.html | / /docs/ /other.html"
    );
    fs::remove_dir_all(&docs).unwrap();
    assert_eq!(
        refresh(&root, &["/docs"]),
        "-/docs/d.css -/docs/index.html | /docs/ /other.html"
    );
}

#[tokio::test(start_paused = true)]
async fn pages_made_anew_know_what_they_need_now() {
    let (directory, root) = two_pages().await;
    directory.write("a.css", "/new.css");
    directory.write("new.css", "1");
    let changes = root.refresh(&[path("/a.css"), path("/new.css")]);
    assert_eq!(said(&changes), "~/a.css | / /docs/");
    root.remake(&changes.pages);
    directory.write("new.css", "2");
    assert_eq!(refresh(&root, &["/new.css"]), "~/new.css | / /docs/");
}

#[tokio::test(start_paused = true)]
async fn a_root_that_is_away_keeps_its_last_good_state() {
    let (directory, root) = two_pages().await;
    fs::remove_dir_all(&directory.path).unwrap();
    assert_eq!(said(&root.refresh_all()), "|");
    interval().await;
    assert_eq!(get(&root, "/b.woff2").await, "1");
    directory.write("index.html", "/a.css\n/later.js");
    directory.write("a.css", "new");
    assert_eq!(
        said(&root.refresh_all()),
        "~/a.css -/b.woff2 -/docs/d.css -/docs/index.html -/other.html | / /docs/ /other.html"
    );
}

#[tokio::test(start_paused = true)]
async fn push_toml_says_when_it_is_bad_and_when_it_is_mended() {
    let (directory, root) = two_pages().await;
    let overrides = root.url_path_of(&directory.path.join("push.toml")).unwrap();
    let bad = || {
        let instructions = root.refresh(std::slice::from_ref(&overrides)).instructions;
        assert!(!instructions.answers_differ);
        !instructions.bad.is_empty()
    };
    assert!(!bad());
    directory.write("push.toml", "[[[");
    // A request may be the first to see it.
    interval().await;
    root.prepare(&path("/")).await;
    assert!(bad());
    assert!(!root.refresh(&[path("/a.css")]).instructions.bad.is_empty());
    fs::remove_file(directory.path.join("push.toml")).unwrap();
    let changes = root.refresh(std::slice::from_ref(&overrides));
    assert!(changes.instructions.differ && changes.instructions.bad.is_empty());
    assert_eq!(said(&changes), "| / /docs/ /other.html");
    fs::write(directory.path.join("push.toml"), b"\xff").unwrap();
    assert!(bad());
    fs::remove_file(directory.path.join("push.toml")).unwrap();
    assert!(!bad());
}

#[tokio::test(start_paused = true)]
async fn large_files_change_with_their_times_not_with_their_mode() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new(&[("large", "0123456789a")]);
    let root = open(SiteOptions {
        memory_file_bytes_max: 10,
        ..directory.options()
    });
    root.note_changes();
    get(&root, "/large").await;
    let file = directory.path.join("large");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(refresh(&root, &["/large"]), "|");
    directory.write("large", "0123456789ab");
    assert_eq!(refresh(&root, &["/large"]), "~/large |");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_any_more_stays_as_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let _restricted = Restricted::new();
    let (directory, root) = two_pages().await;
    let file = directory.path.join("a.css");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let changes = root.refresh(&[path("/a.css")]);
    assert_eq!(said(&changes), "|");
    assert_eq!(changes.unreadable[0].0, path("/a.css"));
    assert_eq!(get(&root, "/a.css").await, "/b.woff2");
    mode(0o600);
    assert!(root.refresh(&[path("/a.css")]).unreadable.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_looked_for_is_missing_for_a_second() {
    use std::os::unix::fs::PermissionsExt;
    let _restricted = Restricted::new();
    let directory = Directory::new(&[("closed/a.css", "a"), ("closed/docs/index.html", "docs")]);
    let mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(directory.path.join("closed"), mode).unwrap();
    };
    let root = directory.root();
    root.note_changes();
    assert_eq!(get(&root, "/closed/docs").await, "(directory)");
    mode(0o000);
    let asked = path("/closed/a.css");
    for _ in 0..3 {
        let loader = &root.loader;
        let slot = loader.check(&asked, IfMissing::Keep);
        assert!(matches!(slot.entry, Entry::Missing));
        assert!(slot.freshness.is_fresh(loader.now_ms()));
        advance(Duration::from_millis(CHECK_INTERVAL_MS)).await;
    }
    // What was there stays as it was.
    assert_eq!(get(&root, "/closed/docs").await, "(directory)");
    mode(0o700);
    assert_eq!(get(&root, "/closed/a.css").await, "a");
}

#[test]
fn files_have_paths() {
    let directory = Directory::new(&[]);
    let root = directory.root();
    let of = |name: &str| {
        let path = root.url_path_of(&directory.path.join(name));
        path.map(|path| path.to_string())
    };
    for (name, expected) in [
        ("", Some("/")),
        ("a b%.css", Some("/a b%.css")),
        ("docs", Some("/docs")),
        ("docs/index.html", Some("/docs/index.html")),
        ("push.toml", Some("/push.toml")),
        (".git/index", None),
        ("a/.env", None),
        (".well-known/x", Some("/.well-known/x")),
        ("a\\b", None),
        ("/elsewhere", None),
    ] {
        assert_eq!(of(name).as_deref(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_and_redirects_say_when_they_are_bad_and_when_they_are_mended() {
    let (directory, root) = two_pages().await;
    let of = |name: &str| root.url_path_of(&directory.path.join(name)).unwrap();
    // Whether answers differ, and what is bad.
    let news = |name: &str| {
        let instructions = root.refresh(&[of(name)]).instructions;
        let bad = instructions.bad.iter();
        let bad: Vec<_> = bad.map(|(file, why)| format!("{file}: {why}")).collect();
        (instructions.answers_differ, bad.join("\n"))
    };
    let (same, good) = ((false, String::new()), (true, String::new()));
    for (name, bad, mended) in [
        ("_headers", "/*\n  Date: now\n", "/*\n  X-A: 1\n"),
        ("_redirects", "/a /b 299\n", "/a /b 302\n"),
    ] {
        assert_eq!(news(name), same, "{name}");
        directory.write(name, bad);
        let (differ, why) = news(name);
        assert!(
            !differ && why.starts_with(&format!("{name}: line ")),
            "{why}"
        );
        directory.write(name, mended);
        assert_eq!(news(name), good, "{name}");
        assert_eq!(news(name), same, "{name} was told");
        fs::remove_file(directory.path.join(name)).unwrap();
        assert_eq!(news(name), good, "{name} is gone");
    }
    // One that is bad hides nothing of another.
    directory.write("_headers", "/*\n  Date: now\n");
    let (_, headers) = news("_headers");
    directory.write("_redirects", "/a /b 299\n");
    let (differ, both) = news("_redirects");
    assert!(
        !differ && both.starts_with(&format!("{headers}\n_redirects: ")),
        "{both}"
    );
    directory.write("_redirects", "/a /b 302\n");
    assert_eq!(news("_redirects"), (true, headers));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_is_warned_of_once() {
    let directory = Directory::new(&[]);
    let log = directory.outside.join("log");
    let subscriber = tracing_subscriber::fmt().with_writer(Arc::new(File::create(&log).unwrap()));
    let _subscribed = tracing::subscriber::set_default(subscriber.finish());
    let root = directory.root();
    let large = "#".repeat(2 << 20);
    for (content, warnings) in [(large.as_str(), 1), (&large, 1), ("", 1), (&large, 2)] {
        directory.write("_headers", content);
        interval().await;
        root.loader.refresh_author();
        let text = fs::read_to_string(&log).unwrap();
        let said = text.matches("_headers is not used").count();
        assert_eq!(said, warnings, "{text}");
    }
}
