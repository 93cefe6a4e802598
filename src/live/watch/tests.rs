//! Real saves in a real directory, heard from the real system. Nothing sleeps to see what comes:
//! every save is followed by one of a file that is known to be told, and what was told until then
//! is all that was.

use std::fs;
use std::future::Future;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::time::SystemTime;

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::*;
use crate::site::{SiteOptions, SiteRoot, UrlPath, What};

/// For whatever must come.
const DEADLINE: Duration = Duration::from_secs(30);

/// A save that took longer than this was interrupted by the machine, and may be told in two parts.
const AT_ONCE: Duration = Duration::from_millis(18);

/// The same by the file system's clock, which goes on every 4 ms.
const AT_ONCE_MODIFIED: Duration = Duration::from_millis(14);

/// A site that is watched, with a directory beside it.
struct Stage {
    _scratch: TempDir,
    root: PathBuf,
    outside: PathBuf,
    site: SiteRoot,
    batches: Batches,
    watch: Watch,
    bells: usize,
}

impl Stage {
    fn new(poll: Poll) -> Self {
        Self::with(poll, Path::to_owned)
    }

    fn with(poll: Poll, named: impl FnOnce(&Path) -> PathBuf) -> Self {
        let scratch = TempDir::new().unwrap();
        let base = scratch.path().canonicalize().unwrap();
        let (root, outside) = (base.join("site"), base.join("outside"));
        fs::create_dir_all(root.join("docs")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(
            root.join("index.html"),
            "<link rel=stylesheet href=a.css>old",
        )
        .unwrap();
        fs::write(root.join("a.css"), "old").unwrap();
        fs::write(root.join("docs/d.css"), "old").unwrap();
        fs::write(root.join("bell"), "").unwrap();
        let root = named(&root);
        let site = SiteRoot::open(SiteOptions::new(&root)).unwrap();
        site.note_changes();
        let options = WatchOptions {
            root: root.clone(),
            ignore: Vec::new(),
            poll,
        };
        let (watch, batches) = Watch::start(&options).unwrap();
        let stage = Self {
            _scratch: scratch,
            root,
            outside,
            site,
            batches,
            watch,
            bells: 0,
        };
        for asked in ["/", "/a.css", "/docs/d.css", "/bell", "/new.html"] {
            stage.ask(asked);
        }
        stage
    }

    fn ask(&self, path: &str) {
        let path = UrlPath::parse(path).unwrap();
        // As the server asks, but for the graph, which has tests of its own.
        drop(futures_util::FutureExt::now_or_never(
            self.site.prepare(&path),
        ));
        self.site.prepare_blocking(&path);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.file(name), content).unwrap();
    }

    async fn news(&mut self) -> News {
        let news = timeout(DEADLINE, self.batches.next()).await;
        news.expect("there is news in time")
            .expect("the watch goes on")
    }

    /// Waits for news, and returns what of it really changed, if it does.
    async fn changes(&mut self) -> Vec<String> {
        match self.news().await {
            News::Notice(notice) => vec![format!("{notice:?}")],
            News::Batch(batch) => {
                let changes = if batch.rescan {
                    self.site.refresh_all()
                } else {
                    let paths = batch.paths.iter();
                    let paths: Vec<_> = paths.filter_map(|it| self.site.url_path_of(it)).collect();
                    self.site.refresh(&paths)
                };
                let sign = |what| match what {
                    What::Added => '+',
                    What::Modified => '~',
                    What::Removed => '-',
                };
                let files = changes.changed.iter();
                files
                    .map(|change| format!("{}{}", sign(change.what), change.path))
                    .collect()
            }
        }
    }

    /// Collects everything told until `wanted` changes are, and then until a bell is heard: a line
    /// for each batch with real changes.
    async fn told(&mut self, wanted: usize) -> Vec<String> {
        let mut told = Vec::new();
        let mut count = 0;
        while count < wanted {
            let changes = self.changes().await;
            count += changes.len();
            if !changes.is_empty() {
                told.push(changes.join(" "));
            }
        }
        self.bells += 1;
        self.write("bell", &"ding ".repeat(self.bells));
        loop {
            let mut changes = self.changes().await;
            let rung = changes.iter().position(|change| change == "~/bell");
            if let Some(index) = rung {
                changes.remove(index);
            }
            if !changes.is_empty() {
                told.push(changes.join(" "));
            }
            if rung.is_some() {
                return told;
            }
        }
    }
}

type Save = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A way to save, what is told of it, and how long it takes on purpose.
struct Style {
    name: &'static str,
    expected: &'static str,
    takes: Duration,
    save: Save,
}

macro_rules! style {
    ($name:literal, $expected:literal, |$stage:ident| $save:expr) => {
        style!($name, $expected, 0, |$stage| $save)
    };
    ($name:literal, $expected:literal, $takes_ms:literal, |$stage:ident| $save:expr) => {
        Style {
            name: $name,
            expected: $expected,
            takes: Duration::from_millis($takes_ms),
            save: |$stage| {
                Box::pin(async move {
                    $save;
                })
            },
        }
    };
}

fn styles() -> Vec<Style> {
    vec![
        style!("truncate and write", "~/a.css", |stage| stage
            .write("a.css", "new")),
        style!("in two parts", "~/a.css", 60, |stage| {
            let mut file = fs::File::create(stage.file("a.css")).unwrap();
            file.write_all(b"half").unwrap();
            tokio::time::sleep(Duration::from_millis(60)).await;
            file.write_all(b" and half").unwrap();
        }),
        style!("another file, renamed", "~/a.css", |stage| {
            stage.write("a.css.1234", "new");
            fs::rename(stage.file("a.css.1234"), stage.file("a.css")).unwrap();
        }),
        style!("sed -i", "~/a.css", |stage| {
            stage.write("sedAb3x9Z", "new");
            fs::rename(stage.file("sedAb3x9Z"), stage.file("a.css")).unwrap();
        }),
        style!("a backup first", "~/index.html", |stage| {
            fs::rename(stage.file("index.html"), stage.file("index.html~")).unwrap();
            stage.write("index.html", "new");
            fs::remove_file(stage.file("index.html~")).unwrap();
        }),
        style!("moved in from outside", "~/a.css", |stage| {
            fs::write(stage.outside.join("a.css"), "new").unwrap();
            fs::rename(stage.outside.join("a.css"), stage.file("a.css")).unwrap();
        }),
        style!("a directory swapped", "~/docs/d.css", |stage| {
            fs::create_dir(stage.file("next")).unwrap();
            stage.write("next/d.css", "new");
            fs::rename(stage.file("docs"), stage.file("last")).unwrap();
            fs::rename(stage.file("next"), stage.file("docs")).unwrap();
        }),
        style!("touch", "", |stage| {
            let file = fs::File::options().append(true).open(stage.file("a.css"));
            file.unwrap().set_modified(SystemTime::now()).unwrap();
        }),
        style!("chmod", "", |stage| {
            fs::set_permissions(stage.file("a.css"), fs::Permissions::from_mode(0o640)).unwrap();
        }),
        style!("the same bytes", "", |stage| stage.write("a.css", "old")),
        style!("delete", "-/a.css", |stage| fs::remove_file(
            stage.file("a.css")
        )
        .unwrap()),
        style!("delete and write", "~/a.css", |stage| {
            fs::remove_file(stage.file("a.css")).unwrap();
            stage.write("a.css", "new");
        }),
        style!("a new file", "+/new.html", |stage| stage
            .write("new.html", "new")),
        style!("vim", "~/index.html", |stage| {
            stage.write("4913", "");
            fs::remove_file(stage.file("4913")).unwrap();
            fs::rename(stage.file("index.html"), stage.file("index.html~")).unwrap();
            stage.write("index.html", "new");
            fs::remove_file(stage.file("index.html~")).unwrap();
        }),
    ]
}

async fn check(style: Style, poll: Poll) {
    let mut stage = Stage::new(poll);
    let begun = Instant::now();
    (style.save)(&stage).await;
    // A walk cannot tell a writer's pause from its end.
    let is_heard_whole = poll == Poll::Native || style.takes.is_zero();
    let is_at_once = is_heard_whole && begun.elapsed() < style.takes + AT_ONCE;
    let told = stage.told(style.expected.split_whitespace().count()).await;
    if is_at_once || style.expected.is_empty() {
        let expected: &[&str] = match style.expected {
            "" => &[],
            expected => &[expected],
        };
        assert_eq!(told, expected, "{}", style.name);
    } else {
        assert!(!told.is_empty(), "{}", style.name);
    }
}

#[tokio::test]
async fn every_way_to_save_is_told_once_and_for_what_it_is() {
    for style in styles() {
        check(style, Poll::Native).await;
    }
}

#[tokio::test]
async fn polling_tells_the_same() {
    for style in styles() {
        check(style, Poll::Every(Duration::from_millis(50))).await;
    }
}

#[tokio::test]
async fn forty_files_in_400_ms_are_told_once() {
    let mut stage = Stage::new(Poll::Native);
    let names: Vec<_> = (0..40).map(|index| format!("f{index:02}.css")).collect();
    for name in &names {
        stage.ask(&format!("/{name}"));
    }
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let (begun, mut last, mut stalls) = (Instant::now(), Instant::now(), 0);
    for name in &names {
        pace.tick().await;
        stage.write(name, "new");
        stalls += usize::from(last.elapsed() >= AT_ONCE);
        last = Instant::now();
    }
    let longest = Duration::from_millis(480);
    let told = stage.told(40).await;
    assert_eq!(told.join(" ").split(' ').count(), 40);
    if stalls == 0 && begun.elapsed() < longest {
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

fn git(directory: &Path, arguments: &str) {
    let config = "-c user.name=n -c user.email=e -c commit.gpgsign=false -c gc.auto=0";
    let words = config.split(' ').chain(arguments.split(' '));
    let mut command = Command::new("git");
    command.current_dir(directory).args(words);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    assert!(command.status().unwrap().success(), "git {arguments}");
}

#[tokio::test]
async fn a_checkout_of_a_thousand_files_is_told_once() {
    let mut stage = Stage::new(Poll::Native);
    let write_all = |content: &str| {
        for index in 0..1000 {
            fs::create_dir_all(stage.file(&format!("d{}", index % 10))).unwrap();
            stage.write(&format!("d{}/f{index}.css", index % 10), content);
        }
    };
    git(&stage.root, "init -q -b main");
    write_all("old");
    git(&stage.root, "add -A");
    git(&stage.root, "commit -qm old");
    git(&stage.root, "checkout -qb other");
    write_all("new");
    git(&stage.root, "commit -qam new");
    for index in 0..1000 {
        stage.ask(&format!("/d{}/f{index}.css", index % 10));
    }
    assert!(stage.told(0).await.is_empty());
    let begun = Instant::now();
    git(&stage.root, "checkout -q main");
    let halves = begun.elapsed().as_millis() / 450;
    let told = stage.told(1000).await;
    assert_eq!(told.join(" ").split(' ').count(), 1000);
    let modified = |path: PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let files = (0..1000).map(|index| stage.file(&format!("d{}/f{index}.css", index % 10)));
    let mut times: Vec<_> = files.map(modified).collect();
    times.sort();
    let is_stall =
        |pair: &[SystemTime]| pair[1].duration_since(pair[0]).unwrap() >= AT_ONCE_MODIFIED;
    let stalls = times.windows(2).filter(|pair| is_stall(pair)).count();
    let batches = told.len();
    assert!(batches as u128 <= 1 + halves + stalls as u128, "{batches}");
}

#[tokio::test]
async fn reading_is_no_event() {
    let mut stage = Stage::new(Poll::Native);
    for _ in 0..20_000 {
        fs::read(stage.file("a.css")).unwrap();
    }
    stage.write("bell", "now");
    let News::Batch(batch) = stage.news().await else {
        panic!("nothing else is said");
    };
    assert_eq!(batch.paths, [stage.file("bell")].into());
    assert!(!batch.rescan);
}

#[tokio::test]
async fn what_lies_deep_in_new_directories_is_heard_of() {
    let mut stage = Stage::new(Poll::Native);
    stage.ask("/1/2/3/a.css");
    fs::create_dir_all(stage.file("1/2/3")).unwrap();
    stage.write("1/2/3/a.css", "1");
    assert_eq!(stage.told(1).await, ["+/1/2/3/a.css"]);
    stage.write("1/2/3/a.css", "2");
    assert_eq!(stage.told(1).await, ["~/1/2/3/a.css"]);
    // Also after they were moved.
    stage.ask("/4/2/3/a.css");
    fs::rename(stage.file("1"), stage.file("4")).unwrap();
    assert_eq!(stage.told(2).await.join(" "), "-/1/2/3/a.css +/4/2/3/a.css");
    stage.write("4/2/3/a.css", "3");
    assert_eq!(stage.told(1).await, ["~/4/2/3/a.css"]);
}

#[tokio::test]
async fn what_git_ignores_is_not_heard_of_until_it_is_not_ignored() {
    let mut stage = Stage::new(Poll::Native);
    stage.ask("/build/a.css");
    stage.write(".gitignore", "build/\n");
    assert!(stage.told(0).await.is_empty());
    fs::create_dir(stage.file("build")).unwrap();
    stage.write("build/a.css", "1");
    assert!(stage.told(0).await.is_empty());
    stage.write(".gitignore", "");
    assert!(stage.told(1).await.join(" ").contains("/build/a.css"));
    stage.write("build/a.css", "2");
    assert_eq!(stage.told(1).await, ["~/build/a.css"]);
}

#[tokio::test]
async fn a_root_that_goes_and_comes_back_is_noticed() {
    for poll in [Poll::Native, Poll::Every(Duration::from_millis(50))] {
        let mut stage = Stage::new(poll);
        fs::rename(&stage.root, stage.outside.join("away")).unwrap();
        assert_eq!(stage.news().await, News::Notice(Notice::RootGone));
        fs::create_dir(&stage.root).unwrap();
        stage.write("a.css", "built anew");
        assert_eq!(stage.news().await, News::Notice(Notice::RootBack));
        let mut changes = Vec::new();
        while !changes.contains(&"~/a.css".to_owned()) {
            changes.extend(stage.changes().await);
        }
        stage.write("a.css", "and saved");
        assert_eq!(stage.changes().await, ["~/a.css"]);
    }
}

#[tokio::test]
async fn a_root_may_be_a_link_that_is_moved_on() {
    let link_of = |root: &Path| {
        let link = root.parent().unwrap().join("current");
        symlink(root, &link).unwrap();
        link
    };
    let mut stage = Stage::with(Poll::Native, link_of);
    stage.write("a.css", "new");
    assert_eq!(stage.told(1).await, ["~/a.css"]);
    let next = stage.outside.join("next");
    fs::create_dir(&next).unwrap();
    for name in ["index.html", "bell", "a.css"] {
        fs::copy(stage.file(name), next.join(name)).unwrap();
    }
    symlink(&next, stage.outside.join("current")).unwrap();
    fs::rename(stage.outside.join("current"), &stage.root).unwrap();
    assert_eq!(stage.news().await, News::Notice(Notice::RootBack));
    assert_eq!(stage.told(1).await, ["-/docs/d.css"]);
    stage.write("a.css", "newer");
    assert_eq!(stage.told(1).await, ["~/a.css"]);
}

#[tokio::test]
async fn a_limit_that_is_reached_is_said_aloud_and_polled_round() {
    let mut stage = Stage::new(Poll::Native);
    let doorbell = stage.watch.mailbox.lock().doorbell.clone().unwrap();
    for _ in 0..3 {
        doorbell.send(events::Heard::LimitReached).unwrap();
    }
    let News::Notice(Notice::Polling { reason, every }) = stage.news().await else {
        panic!("it is said first");
    };
    assert!(
        reason.contains("sudo sysctl fs.inotify.max_user_watches="),
        "{reason}"
    );
    assert_eq!(every, POLL_EVERY);
    stage.write("a.css", "new");
    assert_eq!(stage.told(1).await, ["~/a.css"]);
}

#[tokio::test]
async fn a_watch_ends_when_it_is_dropped() {
    let mut stage = Stage::new(Poll::Native);
    stage.write("a.css", "new");
    drop(stage.watch);
    let ended = async { while stage.batches.next().await.is_some() {} };
    timeout(DEADLINE, ended).await.unwrap();
}

#[test]
fn a_root_that_is_not_there_is_refused() {
    let directory = TempDir::new().unwrap();
    let options = WatchOptions {
        root: directory.path().join("nowhere"),
        ignore: Vec::new(),
        poll: Poll::Native,
    };
    let error = Watch::start(&options).unwrap_err().to_string();
    assert!(error.starts_with("cannot watch `"), "{error}");
}
