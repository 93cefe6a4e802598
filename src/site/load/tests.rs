//! The disk as it is: odd files, links that lead anywhere, edits at any time.

mod pages;
mod refresh;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use tempfile::TempDir;
use tokio::time::advance;

use super::super::Slot;
use super::super::freshness::CHECK_INTERVAL_MS;
use super::loader::{GraphOf, IfMissing};
use super::*;

/// While it is there, permissions hold for this thread and those that it starts, even if it is
/// root's.
struct Restricted {
    before: CapabilitySets,
}

impl Restricted {
    fn new() -> Self {
        let before = capabilities(None).unwrap();
        let mut sets = before;
        sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, sets).unwrap();
        Self { before }
    }
}

impl Drop for Restricted {
    fn drop(&mut self) {
        set_capabilities(None, self.before).unwrap();
    }
}

/// A directory that is served, with another beside it that is not.
pub(super) struct Directory {
    _scratch: TempDir,
    outside: PathBuf,
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let scratch = TempDir::new().unwrap();
        let base = scratch.path().canonicalize().unwrap();
        let (path, outside) = (base.join("site"), base.join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(outside.join("secret.txt"), "secret").unwrap();
        let directory = Self {
            _scratch: scratch,
            outside,
            path,
        };
        for (name, content) in files {
            directory.write(name, content);
        }
        directory
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.path.join(name)).unwrap();
    }

    pub(super) fn options(&self) -> SiteOptions {
        SiteOptions::new(&self.path)
    }

    fn root(&self) -> SiteRoot {
        open(self.options())
    }
}

pub(super) fn open(options: SiteOptions) -> SiteRoot {
    open_with(options, pages::lines)
}

fn open_with(options: SiteOptions, graph: GraphOf) -> SiteRoot {
    SiteRoot {
        loader: Arc::new(Loader::open(options, graph).unwrap()),
    }
}

pub(super) fn path(text: &str) -> UrlPath {
    UrlPath::parse(text).unwrap()
}

/// What a path is found to be: the text of a file, or a word in brackets.
async fn get(root: &SiteRoot, target: &str) -> String {
    let site = root.prepare(&path(target)).await;
    match site
        .entry(path(target).as_str())
        .expect("prepare gives an entry")
    {
        Entry::File(asset) => match &asset.content {
            Some(content) => String::from_utf8(content.to_vec()).unwrap(),
            None => "(streamed)".to_owned(),
        },
        Entry::Directory => "(directory)".to_owned(),
        Entry::Missing => "(missing)".to_owned(),
    }
}

/// Time enough for the next look to look at the disk.
pub(super) async fn interval() {
    advance(Duration::from_millis(CHECK_INTERVAL_MS)).await;
}

#[tokio::test(start_paused = true)]
async fn files_directories_and_nothing() {
    let directory = Directory::new(&[
        ("index.html", "home"),
        ("docs/index.html", "docs"),
        ("docs/a b%/ä.css", "css"),
        ("empty/a", ""),
        (".git/config", "hidden"),
        (".well-known/x", "known"),
        ("strange/index.html/a", "a"),
    ]);
    let root = directory.root();
    for (target, expected) in [
        ("/", "home"),
        ("/index.html", "home"),
        ("/docs", "(directory)"),
        ("/docs/", "docs"),
        ("/docs/a%20b%25/%C3%A4.css", "css"),
        ("/empty/a", ""),
        ("/empty", "(directory)"),
        ("/empty/", "(missing)"),
        ("/index.html/", "(missing)"),
        ("/index.html/a", "(missing)"),
        ("/nothing", "(missing)"),
        ("/nothing/at/all/", "(missing)"),
        ("/.well-known/x", "known"),
        ("/.well-known", "(directory)"),
        ("/strange/", "(missing)"),
        ("/strange/index.html", "(directory)"),
        (&format!("/{}", "n".repeat(300)), "(missing)"),
        (&format!("/{}", "n/".repeat(2000)), "(missing)"),
    ] {
        assert_eq!(get(&root, target).await, expected, "{target}");
    }
    let site = root.snapshot();
    let (file, index) = (site.asset("/docs/index.html"), site.asset("/docs/"));
    assert!(Arc::ptr_eq(file.unwrap(), index.unwrap()));
    assert_eq!(index.unwrap().path.as_str(), "/docs/index.html");
    assert_eq!(index.unwrap().media_type, "text/html; charset=utf-8");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_regular_file_is_missing_and_holds_nobody() {
    let directory = Directory::new(&[("a", "a")]);
    let fifo = directory.path.join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.path.join("socket")).unwrap();
    directory.link("/dev/null", "null");
    directory.link("/dev/tty", "tty");
    directory.link(&fifo, "to-fifo");
    for follow_symlinks in [false, true] {
        let root = open(SiteOptions {
            follow_symlinks,
            ..directory.options()
        });
        for target in [
            "/fifo", "/socket", "/null", "/tty", "/to-fifo", "/fifo/", "/null/x",
        ] {
            assert_eq!(get(&root, target).await, "(missing)", "{target}");
        }
        assert_eq!(get(&root, "/a").await, "a");
    }
}

#[tokio::test(start_paused = true)]
async fn links_lead_where_they_may() {
    let directory = Directory::new(&[("a", "a"), ("d/b", "b"), ("d/index.html", "index")]);
    let (inside, outside) = (&directory.path, &directory.outside);
    directory.link("a", "to-a");
    directory.link("d", "to-d");
    directory.link("../a", "d/up");
    directory.link(inside.join("a"), "absolute");
    directory.link(inside.join("d"), "absolute-d");
    directory.link("../site/d/b", "out-and-in");
    directory.link(inside, "to-root");
    directory.link(outside.join("secret.txt"), "out");
    directory.link("../outside/secret.txt", "dotted-out");
    directory.link(outside, "to-outside");
    directory.link("to-outside/secret.txt", "by-way-of-outside");
    directory.link("nowhere", "dangling");
    directory.link("circle", "circle");
    symlink(inside.join("a"), outside.join("back")).unwrap();
    directory.link(outside.join("back"), "there-and-back");

    let safe = directory.root();
    let following = open(SiteOptions {
        follow_symlinks: true,
        ..directory.options()
    });
    for (target, expected, expected_following) in [
        ("/to-a", "a", "a"),
        ("/to-d", "(directory)", "(directory)"),
        ("/to-d/", "index", "index"),
        ("/to-d/b", "b", "b"),
        ("/d/up", "a", "a"),
        ("/absolute", "a", "a"),
        ("/absolute-d/", "index", "index"),
        ("/absolute-d/b", "b", "b"),
        ("/out-and-in", "b", "b"),
        ("/to-root", "(directory)", "(directory)"),
        ("/to-root/a", "a", "a"),
        ("/there-and-back", "a", "a"),
        ("/out", "(missing)", "secret"),
        ("/dotted-out", "(missing)", "secret"),
        ("/to-outside", "(missing)", "(directory)"),
        ("/to-outside/secret.txt", "(missing)", "secret"),
        ("/by-way-of-outside", "(missing)", "secret"),
        ("/dangling", "(missing)", "(missing)"),
        ("/circle", "(missing)", "(missing)"),
    ] {
        assert_eq!(get(&safe, target).await, expected, "{target}");
        assert_eq!(
            get(&following, target).await,
            expected_following,
            "{target}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_disk_is_looked_at_once_an_interval() {
    let directory = Directory::new(&[("a.txt", "old"), ("404.html", "sorry")]);
    let root = directory.root();
    assert!(root.ready("/a.txt").is_none());
    assert_eq!(get(&root, "/a.txt").await, "old");
    assert!(root.ready("/a.txt").is_some());

    directory.write("a.txt", "new");
    advance(Duration::from_millis(CHECK_INTERVAL_MS - 1)).await;
    assert_eq!(get(&root, "/a.txt").await, "old");
    advance(Duration::from_millis(1)).await;
    assert!(root.ready("/a.txt").is_none());
    assert_eq!(get(&root, "/a.txt").await, "new");

    directory.write("a.txt", "");
    interval().await;
    assert_eq!(get(&root, "/a.txt").await, "");
    fs::remove_file(directory.path.join("a.txt")).unwrap();
    interval().await;
    assert_eq!(get(&root, "/a.txt").await, "(missing)");
    assert!(root.ready("/a.txt").is_some());
    fs::create_dir(directory.path.join("a.txt")).unwrap();
    interval().await;
    assert_eq!(get(&root, "/a.txt").await, "(directory)");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_only_touched_keeps_its_validator() {
    let directory = Directory::new(&[("a.txt", "same")]);
    let root = directory.root();
    let before = Arc::clone(root.prepare(&path("/a.txt")).await.asset("/a.txt").unwrap());
    let renamed = directory.path.join("b.txt");
    fs::write(&renamed, "same").unwrap();
    let file = File::open(&renamed).unwrap();
    file.set_modified(before.modified + Duration::from_secs(100))
        .unwrap();
    fs::rename(&renamed, directory.path.join("a.txt")).unwrap();
    interval().await;
    let after = Arc::clone(root.prepare(&path("/a.txt")).await.asset("/a.txt").unwrap());
    assert_eq!(before.content_hash, after.content_hash);
    assert_eq!(after.modified, before.modified + Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn times_that_no_http_date_can_name_are_bent() {
    let directory = Directory::new(&[("a.txt", "a")]);
    let file = File::open(directory.path.join("a.txt")).unwrap();
    let century = Duration::from_hours(876_000);
    file.set_modified(std::time::SystemTime::UNIX_EPOCH - century)
        .unwrap();
    let site = directory.root().prepare(&path("/a.txt")).await;
    assert_eq!(
        site.asset("/a.txt").unwrap().modified,
        std::time::SystemTime::UNIX_EPOCH
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_never_there_is_not_kept() {
    let directory = Directory::new(&[("404.html", "sorry")]);
    let root = directory.root();
    let site = root.prepare(&path("/nothing/")).await;
    assert!(matches!(site.entry("/nothing/"), Some(Entry::Missing)));
    assert_eq!(
        site.asset("/404.html").unwrap().content.as_deref(),
        Some(&b"sorry"[..])
    );
    assert!(root.snapshot().entry("/nothing/").is_none());
    assert!(root.ready("/nothing/").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_root_that_is_replaced_is_noticed() {
    let directory = Directory::new(&[("a", "old"), ("b", "only old")]);
    let newer = directory.outside.join("newer");
    fs::create_dir(&newer).unwrap();
    fs::write(newer.join("a"), "new").unwrap();
    let link = directory.outside.join("current");
    symlink(&directory.path, &link).unwrap();
    let roots = [directory.root(), open(SiteOptions::new(&link))];
    for root in &roots {
        assert_eq!(get(root, "/a").await, "old");
        assert_eq!(get(root, "/b").await, "only old");
    }
    // One is moved away and another moved into its place; the other is a link that is moved on.
    fs::remove_file(&link).unwrap();
    symlink(&newer, &link).unwrap();
    interval().await;
    assert_eq!(get(&roots[1], "/a").await, "new");
    assert_eq!(get(&roots[1], "/b").await, "(missing)");

    fs::rename(&directory.path, directory.outside.join("old")).unwrap();
    interval().await;
    assert_eq!(get(&roots[0], "/a").await, "old");
    fs::rename(&newer, &directory.path).unwrap();
    interval().await;
    assert_eq!(get(&roots[0], "/a").await, "new");
    assert_eq!(get(&roots[0], "/b").await, "(missing)");
}

#[test]
fn a_bad_root_is_refused_with_the_fix() {
    let directory = Directory::new(&[("file", "")]);
    let message = |name: &str| {
        let options = SiteOptions::new(directory.path.join(name));
        let error = SiteRoot::open(options).unwrap_err().to_string();
        error.replace(&directory.path.display().to_string(), "")
    };
    assert_eq!(
        message("nowhere"),
        "there is no directory `/nowhere`: create it, or name another, as in `forerun serve public`"
    );
    assert_eq!(
        message("file"),
        "`/file` is not a directory: name the directory that it lies in"
    );
    fs::write(directory.path.join("push.toml"), b"\xff").unwrap();
    assert!(
        message("").starts_with("cannot use `/push.toml`: it is not text"),
        "{}",
        message("")
    );
}

/// Two edits within one step of the file system's clock look like one from outside.
#[tokio::test(start_paused = true)]
async fn a_file_that_was_just_edited_is_read_again() {
    let directory = Directory::new(&[("a.txt", "new")]);
    let root = directory.root();
    for (recent, expected) in [(true, "new"), (false, "old")] {
        let Found::File(identity) = root.loader.disk.stat(&path("/a.txt")).unwrap() else {
            panic!("it is there");
        };
        let asset = Asset::read(path("/a.txt"), "old".into(), identity, recent);
        let slot = Slot::new(Entry::File(Arc::new(asset)), root.loader.now_ms());
        root.loader.install(&path("/a.txt"), Arc::new(slot));
        assert_eq!(get(&root, "/a.txt").await, "old");
        interval().await;
        assert_eq!(get(&root, "/a.txt").await, expected);
    }
}

#[test]
fn a_file_is_read_once_at_a_time() {
    let directory = Directory::new(&[]);
    let root = directory.root();
    for round in 0..20 {
        directory.write(&round.to_string(), &"x".repeat(100_000));
        let target = path(&format!("/{round}"));
        let start = std::sync::Barrier::new(8);
        let look = || {
            start.wait();
            root.loader.check(&target, IfMissing::Forget)
        };
        let slots: Vec<_> = std::thread::scope(|scope| {
            let threads = [0; 8].map(|_| scope.spawn(look));
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(slots.iter().all(|slot| Arc::ptr_eq(slot, &slots[0])));
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_missing() {
    use std::os::unix::fs::PermissionsExt;
    let _restricted = Restricted::new();
    let directory = Directory::new(&[("a", "a"), ("d/b", "b")]);
    fs::set_permissions(directory.path.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
    let root = directory.root();
    assert_eq!(get(&root, "/a").await, "(missing)");
    fs::set_permissions(directory.path.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(get(&root, "/a").await, "a");
}

#[test]
fn a_sidecar_that_may_not_be_read_is_tried_once() {
    use std::os::unix::fs::PermissionsExt;
    let _restricted = Restricted::new();
    let directory = Directory::new(&[("a.css", "0123456789"), ("a.css.br", "0")]);
    let sidecar = directory.path.join("a.css.br");
    fs::set_permissions(&sidecar, fs::Permissions::from_mode(0o000)).unwrap();
    let loader = directory.root().loader;
    let Ok(Found::File(asset)) = loader.disk.read(&path("/a.css"), 100) else {
        panic!("the original may be read");
    };
    assert!(!loader.has_its_sidecars(&asset), "nobody has tried");
    loader.find_sidecars(&asset);
    assert!(loader.has_its_sidecars(&asset));
    // Another one may be read.
    fs::remove_file(&sidecar).unwrap();
    directory.write("a.css.br", "1");
    assert!(!loader.has_its_sidecars(&asset));
}

#[tokio::test(start_paused = true)]
async fn large_files_are_streamed_while_they_are_what_they_were() {
    let directory = Directory::new(&[("large", "0123456789a"), ("small", "0123456789")]);
    let root = open(SiteOptions {
        memory_file_bytes_max: 10,
        ..directory.options()
    });
    assert_eq!(get(&root, "/small").await, "0123456789");
    assert_eq!(get(&root, "/large").await, "(streamed)");
    let site = root.snapshot();
    let old = site.asset("/large").unwrap();
    assert_eq!((old.length, old.weak), (11, true));
    assert!(matches!(old.links(), crate::site::Links::None));
    root.reader(old).unwrap();

    directory.write("large", "abcdefghijk");
    assert_eq!(root.reader(old).unwrap_err().kind(), CHANGED);
    // Whoever is told so prepares it again, and need not wait for the next interval.
    let site = root.prepare(&path("/large")).await;
    let new = site.asset("/large").unwrap();
    assert_ne!(new.content_hash, old.content_hash);
    root.reader(new).unwrap();
    fs::remove_file(directory.path.join("large")).unwrap();
    assert_eq!(root.reader(new).unwrap_err().kind(), CHANGED);
    assert_eq!(get(&root, "/large").await, "(missing)");
}

#[tokio::test(start_paused = true)]
async fn an_open_file_tells_what_became_of_its_bytes() {
    let directory = Directory::new(&[("large", "0123456789a")]);
    let root = open(SiteOptions {
        memory_file_bytes_max: 10,
        ..directory.options()
    });
    let on_disk = directory.path.join("large");
    // However coarse the clock of the file system is.
    let date = |seconds| {
        let file = File::options().write(true).open(&on_disk).unwrap();
        let modified = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(modified).unwrap();
    };
    date(1);
    let site = root.prepare(&path("/large")).await;
    let file = root.reader(site.asset("/large").unwrap()).unwrap();
    assert_eq!(file.since_opened().unwrap(), Since::Same);
    fs::set_permissions(&on_disk, fs::metadata(&on_disk).unwrap().permissions()).unwrap();
    fs::hard_link(&on_disk, directory.path.join("another name")).unwrap();
    assert_eq!(file.since_opened().unwrap(), Since::Same);
    for (content, since) in [
        ("0123456789abc", Since::Grown),
        ("abcdefghijk", Since::Other),
        ("0123", Since::Other),
    ] {
        directory.write("large", content);
        date(2);
        assert_eq!(file.since_opened().unwrap(), since, "{content}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_may_have_grown_by_the_time_that_it_is_opened() {
    let directory = Directory::new(&[("log", "0123456789a")]);
    let root = open(SiteOptions {
        memory_file_bytes_max: 10,
        ..directory.options()
    });
    let site = root.prepare(&path("/log")).await;
    let described = site.asset("/log").unwrap();
    root.reader_of_log(described).unwrap();
    directory.write("log", "0123456789a and more");
    assert_eq!(root.reader(described).unwrap_err().kind(), CHANGED);
    root.reader_of_log(described).unwrap();

    // One that nobody is writing has a strong tag, and that names these bytes alone.
    let mut strong = described.unread();
    strong.weak = false;
    assert_eq!(root.reader_of_log(&strong).unwrap_err().kind(), CHANGED);
    directory.write("log", "0123");
    assert_eq!(root.reader_of_log(described).unwrap_err().kind(), CHANGED);
    directory.write("newer", "0123456789a and more");
    fs::rename(directory.path.join("newer"), directory.path.join("log")).unwrap();
    assert_eq!(root.reader_of_log(described).unwrap_err().kind(), CHANGED);
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_what_is_asked_for_comes_back() {
    let directory = Directory::new(&[("a", "0123456789"), ("b", "0123456789"), ("c", "012345678")]);
    let root = open(SiteOptions {
        memory_bytes_max: 20,
        ..directory.options()
    });
    for target in ["/a", "/b", "/c"] {
        assert_ne!(get(&root, target).await, "(streamed)");
    }
    let site = root.snapshot();
    let held = ["/a", "/b", "/c"].map(|name| site.asset(name).unwrap().content.is_some());
    assert_eq!(held.iter().filter(|held| **held).count(), 2);
    let evicted = ["/a", "/b", "/c"][held.iter().position(|held| !held).unwrap()];
    let old = Arc::clone(site.asset(evicted).unwrap());
    root.reader(&old).unwrap();
    interval().await;
    let site = root.prepare(&path(evicted)).await;
    let new = site.asset(evicted).unwrap();
    assert!(new.content.is_some());
    assert_eq!((new.content_hash, new.weak), (old.content_hash, false));

    // Larger than everything together: streamed, and nothing else has to go for it.
    directory.write("d", &"d".repeat(21));
    assert_eq!(get(&root, "/d").await, "(streamed)");
}

#[test]
fn a_root_that_cannot_be_searched_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let _restricted = Restricted::new();
    let directory = Directory::new(&[("index.html", "home")]);
    let mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&directory.path, mode).unwrap();
    };
    mode(0o000);
    let opened = SiteRoot::open(directory.options());
    // Who may pass may serve what is asked for by name.
    mode(0o100);
    assert!(SiteRoot::open(directory.options()).is_ok());
    mode(0o700);
    let said = opened.map(drop).map_err(|error| error.to_string());
    assert!(said.is_err_and(|said| said.starts_with("cannot read the directory `")));
}
