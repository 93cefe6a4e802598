//! Live reload: what `forerun dev` does besides serving.
//!
//! Read on in [`watch`] (the door to the system's events), [`settle`] (when a batch is worth acting
//! on), [`ignored`] (names that nobody waits for), [`maker`] (the command that makes the site),
//! [`keys`] (what is pressed in the terminal) and [`report`] (what is said there).

pub mod browser;
pub mod build;
pub mod ignored;
pub mod keys;
pub mod maker;
pub mod report;
pub mod settle;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answer::live::{Heard, Told};
use crate::door::Service;
use crate::hub::{self, EventId, Hub};
use crate::site::{Change, Changes, ContentHash, Kind, UrlPath, What};
use crate::terminal::Style;
use crate::{answer, door};
use keys::{Key, Keys};
use maker::Maker;
use report::{Console, Problem, Seen};
use settle::Batch;
use watch::{Batches, News, Notice, Poll, Watch, WatchOptions};

/// What `forerun dev` was told besides what `forerun serve` is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveOptions {
    /// Whether to open the site in a browser.
    pub open: bool,
    /// Whether to look at the files every now and then, in place of being told by the system.
    pub poll: bool,
    /// What is not watched: globs as in a `.gitignore`.
    pub ignored: Vec<String>,
    /// Whether errors of pages are shown in the terminal.
    pub console: bool,
    /// The command that makes the site.
    pub run: Option<String>,
    /// Where changes run that command again.
    pub watched: Vec<PathBuf>,
    /// Names by which the site may be asked for, besides those of this machine.
    pub allowed_hosts: Vec<String>,
}

/// How long a change waits for tabs to say that they have painted it.
const PAINT_WAIT_MAX: Duration = Duration::from_millis(1500);
/// How long it waits for further tabs once one has, at least: what took one tab long takes others
/// longer, for they take turns.
const PAINT_WAIT_MORE: Duration = Duration::from_millis(250);
/// Lines said of pages that cannot follow edits.
const BLOCKED_MAX: usize = 256;
/// Changes named to pages one by one; of more they hear only that all may have changed.
const CHANGES_NAMED_MAX: usize = 200;

/// Returns live reload for the doors, and what pages will tell. `epoch` must differ from that of
/// every run before.
pub fn open(options: &LiveOptions, epoch: u64) -> (door::live::Live, mpsc::Receiver<Heard>) {
    let script = Bytes::from_static(include_bytes!("live/client.js"));
    let pages = answer::live::Live {
        hub: Arc::new(Hub::new(epoch, hub::Limits::default())),
        script_hash: ContentHash::of(&script).to_string(),
        script,
    };
    let (live, heard) = door::live::Live::new(pages, options.console);
    (live.answering_to(options.allowed_hosts.clone()), heard)
}

/// Returns who makes the site, if a command does. Its sources are watched from now on.
///
/// # Errors
/// A source cannot be watched.
pub async fn maker(options: &LiveOptions) -> anyhow::Result<Option<Maker>> {
    match &options.run {
        Some(command) => Ok(Some(Maker::of(options, command).await?)),
        None => Ok(None),
    }
}

/// Makes the site for the first time, as well as it goes, and prints what is said meanwhile.
pub async fn make(maker: &mut Maker) {
    let style = Style::of_stdout();
    say(&report::running(style, &maker.command()));
    maker.first(|line| say(&report::output(style, line))).await;
}

/// Follows the edits of a site until `q` is pressed: swaps the snapshot, then tells the pages.
///
/// # Errors
/// The site cannot be watched.
pub async fn follow(
    options: &LiveOptions,
    mut maker: Option<Maker>,
    service: &Arc<Service>,
    mut heard: mpsc::Receiver<Heard>,
    url: &str,
) -> anyhow::Result<()> {
    let mut editor = Editor::new(service);
    let root = service.site.directory().to_owned();
    let (_watch, mut batches) = start_watch(options, root).await?;
    // What changed before the watch began is told now.
    let rescan = true;
    editor
        .changed(Batch {
            paths: BTreeSet::new(),
            rescan,
        })
        .await;
    if let Some(problem) = maker.as_ref().and_then(Maker::failed) {
        editor.set(Cause::Build, Some(problem.clone()));
    }
    let mut keys = Keys::of_stdin().context("cannot hear keys")?;
    if options.open {
        editor.open(url).await;
    }
    loop {
        tokio::select! {
            Some(news) = batches.next() => editor.hear(news).await,
            happened = next_of(&mut maker) => editor.built(happened),
            Some(heard) = heard.recv() => editor.heard(&heard),
            () = editor.patience() => editor.report(),
            key = keys.next() => match key {
                Key::Help => say(&keys::help(editor.style)),
                Key::Open => editor.open(url).await,
                Key::Reload => editor.reload(),
                Key::Quit => break,
            },
        }
    }
    if let Some(maker) = maker {
        maker.stop().await;
    }
    Ok(())
}

async fn start_watch(options: &LiveOptions, root: PathBuf) -> anyhow::Result<(Watch, Batches)> {
    let options = WatchOptions {
        root,
        ignore: options.ignored.clone(),
        poll: if options.poll {
            Poll::Every(watch::POLL_EVERY)
        } else {
            Poll::Native
        },
    };
    tokio::task::spawn_blocking(move || Watch::start(&options)).await?
}

async fn next_of(maker: &mut Option<Maker>) -> build::Happened {
    match maker {
        Some(maker) => maker.next().await,
        None => std::future::pending().await,
    }
}

/// Prints lines for whoever edits. A terminal that is gone is no reason to stop.
fn say(lines: &str) {
    let _ = writeln!(io::stdout(), "{lines}");
}

/// What keeps the site from being what its author wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Build,
    Root,
    Instructions,
    Unreadable,
}

/// What one person edits, and what the open tabs make of it.
struct Editor<'a> {
    service: &'a Arc<Service>,
    style: Style,
    problems: BTreeMap<Cause, Problem>,
    shown: Option<Problem>,
    pending: Option<Pending>,
    /// What was said of pages that cannot follow edits: each once.
    blocked: BTreeSet<String>,
}

/// A change whose line waits for the tabs.
struct Pending {
    id: EventId,
    /// Empty if it was no change, but the wish to load all tabs again.
    paths: Vec<String>,
    painted: Vec<Duration>,
    until: Instant,
}

#[derive(Serialize)]
struct Announcement<'a> {
    changed: Vec<Named<'a>>,
    pages: BTreeSet<&'a str>,
    all: bool,
}

#[derive(Serialize)]
struct Named<'a> {
    url: &'a str,
    kind: &'static str,
    what: &'static str,
}

impl<'a> Named<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            url: change.path.as_str(),
            kind: match change.kind {
                Kind::Page => "page",
                Kind::StyleSheet => "style",
                Kind::Script => "script",
                Kind::Font => "font",
                Kind::Image => "image",
                Kind::Other => "other",
            },
            what: match change.what {
                What::Added => "added",
                What::Modified => "modified",
                What::Removed => "removed",
            },
        }
    }
}

impl<'a> Editor<'a> {
    fn new(service: &'a Arc<Service>) -> Self {
        service.site.note_changes();
        Self {
            service,
            style: Style::of_stdout(),
            problems: BTreeMap::new(),
            shown: None,
            pending: None,
            blocked: BTreeSet::new(),
        }
    }

    fn live(&self) -> Option<&door::live::Live> {
        self.service.live.as_ref()
    }

    fn publish(&self, kind: &str, data: String) -> Option<EventId> {
        Some(self.live()?.pages.hub.publish(kind, data))
    }

    async fn hear(&mut self, news: News) {
        match news {
            News::Batch(batch) => self.changed(batch).await,
            News::Notice(Notice::Polling { reason, every }) => {
                let said = format!("{reason}; looking every {} ms instead", every.as_millis());
                say(&self.style.warning(&said));
            }
            News::Notice(Notice::RootGone) => {
                let root = self.service.site.directory().display().to_string();
                let title = format!("{root} is gone");
                let text = "The last good state is served until it is back.".to_owned();
                self.set(Cause::Root, Some(Problem { title, text }));
            }
            News::Notice(Notice::RootBack) => self.set(Cause::Root, None),
        }
    }

    /// Swaps the snapshot, then tells the pages, then learns what they need now.
    async fn changed(&mut self, batch: Batch) {
        let site = Arc::clone(&self.service.site);
        let refreshed = tokio::task::spawn_blocking(move || {
            if batch.rescan {
                return site.refresh_all();
            }
            let paths: Vec<_> = batch
                .paths
                .iter()
                .filter_map(|p| site.url_path_of(p))
                .collect();
            site.refresh(&paths)
        });
        let Ok(changes) = refreshed.await else { return };
        self.set(Cause::Instructions, unusable(&changes.instructions.bad));
        self.set(Cause::Unreadable, unreadable(&changes));
        if changes.changed.is_empty() {
            // Another header or redirect is seen in any page, or in none: only a look tells.
            if changes.instructions.answers_differ {
                self.reload();
            }
            return;
        }
        let paths = changes.changed.iter().map(|it| it.path.to_string());
        let paths = paths.collect();
        self.tell("change", self.announcement(&changes), paths);
        let site = Arc::clone(&self.service.site);
        // Only a panic there, which has been reported, is an error.
        let _ = tokio::task::spawn_blocking(move || site.remake(&changes.pages)).await;
    }

    /// Returns what pages are told of changes.
    fn announcement(&self, changes: &Changes) -> String {
        // Another header or redirect is seen in any page as well.
        let is_many = changes.changed.len() > CHANGES_NAMED_MAX;
        let all = is_many || changes.instructions.answers_differ;
        let mut announcement = Announcement {
            changed: Vec::new(),
            pages: BTreeSet::new(),
            all,
        };
        let used_by;
        if !all {
            let paths: Vec<_> = changes.changed.iter().map(|change| &change.path).collect();
            used_by = self.live().map(|live| live.pages_that_use(&paths));
            let pages = changes.pages.iter().chain(used_by.iter().flatten());
            announcement.pages = pages.map(UrlPath::as_str).collect();
            announcement.changed = changes.changed.iter().map(Named::of).collect();
        }
        serde_json::to_string(&announcement).unwrap_or_else(|_| "{\"all\":true}".to_owned())
    }

    fn built(&mut self, happened: build::Happened) {
        match happened {
            build::Happened::Line(line) => say(&report::output(self.style, &line)),
            build::Happened::Made => self.set(Cause::Build, None),
            build::Happened::Failed(problem) => self.set(Cause::Build, Some(problem)),
        }
    }

    /// Notes a problem, or that there is none any more, and shows the gravest that stands.
    fn set(&mut self, cause: Cause, problem: Option<Problem>) {
        match problem {
            Some(problem) => self.problems.insert(cause, problem),
            None => self.problems.remove(&cause),
        };
        let gravest = self.problems.values().next().cloned();
        if gravest == self.shown {
            return;
        }
        let before = self.live().map(|live| live.pages.hub.cursor());
        if let Some(problem) = &gravest {
            // A build has shown its output as it came.
            let said = if self.problems.contains_key(&Cause::Build) {
                report::problem_title(self.style, problem)
            } else {
                report::problem(self.style, problem)
            };
            say(&said);
            if let Ok(data) = serde_json::to_string(problem) {
                self.publish("problem", data);
            }
        } else {
            if let Some(problem) = &self.shown {
                say(&report::mended(self.style, problem));
            }
            self.publish("mended", "{}".to_owned());
        }
        if let Some(live) = self.live() {
            live.set_problem(gravest.as_ref().and(before));
        }
        self.shown = gravest;
    }

    fn heard(&mut self, heard: &Heard) {
        let page = heard.page.as_deref().unwrap_or("a page");
        match &heard.told {
            Told::Painted { id, took } => {
                if let Some(pending) = self.pending.as_mut().filter(|pending| pending.id == *id) {
                    pending.painted.push(*took);
                    pending.until = Instant::now() + more(*took);
                }
            }
            Told::Console {
                level,
                text,
                source,
            } => {
                say(&report::console(
                    self.style,
                    Console {
                        page,
                        level,
                        text,
                        source,
                    },
                ));
            }
            Told::Blocked { text } => {
                let said = format!("{page} does not follow edits: {}", report::plain(text));
                if self.blocked.len() < BLOCKED_MAX && self.blocked.insert(said.clone()) {
                    say(&self.style.warning(&report::plain(&said)));
                }
            }
        }
    }

    /// Waits until the change that is pending has had its time.
    async fn patience(&self) {
        match &self.pending {
            Some(pending) => tokio::time::sleep_until(pending.until).await,
            None => std::future::pending().await,
        }
    }

    /// Prints the line of the change that is pending.
    fn report(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let paths: Vec<&str> = pending
            .paths
            .iter()
            .map(|path| path.trim_start_matches('/'))
            .collect();
        let seen = match pending.painted.iter().max() {
            Some(&slowest) => Seen::Painted {
                tabs: pending.painted.len(),
                slowest,
            },
            None => Seen::Nowhere,
        };
        say(&if paths.is_empty() {
            report::reload(self.style, seen)
        } else {
            report::change(self.style, &paths, seen)
        });
    }

    fn reload(&mut self) {
        self.tell("reload", "{}".to_owned(), Vec::new());
    }

    /// Publishes what pages answer by painting, and waits for them before it is said.
    fn tell(&mut self, kind: &str, data: String, paths: Vec<String>) {
        self.report();
        if let Some(id) = self.publish(kind, data) {
            self.pending = Some(Pending {
                id,
                paths,
                painted: Vec::new(),
                until: Instant::now() + PAINT_WAIT_MAX,
            });
        }
    }

    async fn open(&self, url: &str) {
        let address = url.to_owned();
        let opened = tokio::task::spawn_blocking(move || browser::open(&address)).await;
        if let Ok(Err(error)) = opened {
            let said = format!("cannot open a browser ({error}): open {url} in one");
            say(&self.style.warning(&said));
        }
    }
}

/// Returns how long to wait for the next tab after one that took this long.
fn more(took: Duration) -> Duration {
    took.clamp(PAINT_WAIT_MORE, PAINT_WAIT_MAX)
}

/// Names every file of the author's that is bad; why, and where, if there is another.
fn unusable(bad: &[(String, String)]) -> Option<Problem> {
    let text = match bad {
        [] => return None,
        [(_, why)] => why.clone(),
        _ => {
            let lines = bad.iter().map(|(file, why)| format!("{file}: {why}"));
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    let names: Vec<_> = bad.iter().map(|(file, _)| file.as_str()).collect();
    let title = format!("{} cannot be used", names.join(" and "));
    Some(Problem { title, text })
}

fn unreadable(changes: &Changes) -> Option<Problem> {
    let (path, why) = changes.unreadable.first()?;
    let title = format!("{path} cannot be read");
    let text = format!("{why}\nIts last good state is served until it can.");
    Some(Problem { title, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_cannot_be_used_is_named() {
        let bad = ["_headers", "_redirects"].map(|file| (file.to_owned(), "line 1: x".to_owned()));
        let of = |bad| unusable(bad).map(|it| format!("{}: {}", it.title, it.text));
        assert_eq!(of(&bad[..0]), None);
        assert_eq!(of(&bad[..1]).unwrap(), "_headers cannot be used: line 1: x");
        assert_eq!(
            of(&bad).unwrap(),
            "_headers and _redirects cannot be used: _headers: line 1: x\n_redirects: line 1: x"
        );
    }

    #[test]
    fn a_slow_tab_is_waited_for_longer_and_never_for_ever() {
        let waits = [1, 38, 400, 1_000_000].map(|ms| more(Duration::from_millis(ms)).as_millis());
        assert_eq!(waits, [250, 250, 400, 1500]);
    }
}
