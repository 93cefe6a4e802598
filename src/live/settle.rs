//! When events have settled into a batch worth acting on: a function of what was heard, of what
//! the disk looked like, and of time. Opens nothing and reads no clock; `watch` does both.
//!
//! Events are hints. A path is settled when nobody is likely to be in the middle of saving it, and
//! a batch when all of its paths are, so that what is saved together is told together. No path
//! waits longer than [`Limits::wait_max`], whatever happens.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Paths remembered as restless.
const RESTLESS_MAX: usize = 256;

/// How long to wait, and for how much.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After the last event of a file that the kernel called whole.
    pub quiet: Duration,
    /// Between two looks at a file that nobody called whole, both of which must find the same.
    pub stable: Duration,
    /// For a file that went to come back: many editors remove what they save.
    pub absent: Duration,
    /// After the last event, once [`Self::storm_paths`] were heard of: a checkout or a build takes
    /// its breath between two files.
    pub storm_quiet: Duration,
    /// Paths that make a storm.
    pub storm_paths: usize,
    /// Longest wait of a path, from its first event.
    pub wait_max: Duration,
    /// Paths held. Of more than that, all count as changed.
    pub paths_max: usize,
}

/// What was heard of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// It was closed by a writer, or renamed to this name: it is whole.
    Whole,
    /// It was written to, and the writer has yet to close it.
    Open,
    /// It was created or removed: whatever was heard of it before was of another file.
    Replaced,
    /// Something happened to it that leaves what was heard before as it is.
    Touched,
}

/// What a look at a path found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Absent,
    /// A directory, or anything else that is not written to.
    Standing,
    /// A regular file.
    File {
        /// In bytes.
        length: u64,
        /// By the file system.
        modified: SystemTime,
    },
}

/// Paths that settled together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Each once.
    pub paths: BTreeSet<PathBuf>,
    /// Whether anything may have changed: events were lost, or there were too many.
    pub rescan: bool,
}

/// Gathers hints until they settle.
///
/// ```text
///        heard                  all have settled
///   .  --------> pending ------------------------------> batch
///                 |   ^ |                                  ^
///                 +---+ | waited long enough, unsettled    |
///                 heard +--------> restless ---------------+
///                                  (holds up no other until it settles)
/// ```
#[derive(Debug)]
pub struct Settle {
    limits: Limits,
    pending: BTreeMap<PathBuf, Pending>,
    rescan: bool,
    /// The first event of the path that has waited longest.
    first: Option<Instant>,
    /// The last event of any.
    last: Option<Instant>,
    due: Option<Instant>,
    /// Paths that had to be told while somebody still wrote to them, as to a log.
    restless: HashSet<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    first: Instant,
    last: Instant,
    hint: Hint,
    /// What the last look found, and since when.
    seen: Option<(Look, Instant)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(20),
            stable: Duration::from_millis(30),
            absent: Duration::from_millis(100),
            storm_quiet: Duration::from_millis(90),
            storm_paths: 3,
            wait_max: Duration::from_millis(500),
            paths_max: 20_000,
        }
    }
}

impl Batch {
    /// Adds what settled later. Of more than `paths_max` paths, all count as changed.
    pub fn merge(&mut self, later: Self, paths_max: usize) {
        self.rescan |= later.rescan;
        self.paths.extend(later.paths);
        if self.paths.len() > paths_max {
            self.paths.clear();
            self.rescan = true;
        }
    }
}

impl Settle {
    /// Returns one that has heard of nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: BTreeMap::new(),
            rescan: false,
            first: None,
            last: None,
            due: None,
            restless: HashSet::new(),
        }
    }

    /// Notes what was heard of a path.
    pub fn heard(&mut self, now: Instant, path: PathBuf, hint: Hint) {
        let is_restless = hint != Hint::Whole && self.restless.contains(&path);
        if let Some(pending) = self.pending.get_mut(&path) {
            pending.hear(now, hint);
        } else if self.pending.len() < self.limits.paths_max {
            self.pending.insert(path, Pending::new(now, hint));
        } else {
            self.pending.clear();
            self.rescan = true;
        }
        if is_restless {
            // More of the same: no reason for anybody else to wait.
            let first = *self.first.get_or_insert(now);
            self.due.get_or_insert(first + self.limits.wait_max);
        } else {
            self.disturbed(now);
        }
    }

    /// Notes that events were lost: anything may have changed.
    pub fn lost(&mut self, now: Instant) {
        self.rescan = true;
        self.disturbed(now);
    }

    /// Forgets all that was heard.
    pub fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Returns when to call [`Self::take`]; `None` while nothing is pending.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns the batch that has settled by now, if it has, after a look at each of its paths.
    /// If not, [`Self::due`] says when to ask again.
    pub fn take(&mut self, now: Instant, look: impl Fn(&Path) -> Look) -> Option<Batch> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let mut due = self.storm_until().unwrap_or(now);
        let mut unsettled = BTreeSet::new();
        let mut is_any_settled = self.rescan;
        for (path, pending) in &mut self.pending {
            let wait_until = pending.first + self.limits.wait_max;
            let settles = pending.settles(now, look(path), &self.limits);
            if settles.is_some_and(|at| at <= now) {
                is_any_settled = true;
                self.restless.remove(path);
            } else if wait_until <= now {
                is_any_settled = true;
                if self.restless.len() < RESTLESS_MAX {
                    self.restless.insert(path.clone());
                }
            } else if !self.restless.contains(path) {
                due = due.max(settles.unwrap_or(wait_until).min(wait_until));
                unsettled.insert(path.clone());
            }
        }
        let patience = self.first.map_or(now, |first| first + self.limits.wait_max);
        if !is_any_settled && unsettled.is_empty() {
            // Nothing but what never settles.
            due = patience;
        }
        if due.min(patience) > now {
            self.due = Some(due.min(patience));
            return None;
        }
        Some(self.batch(now, &unsettled))
    }

    /// Takes all but what is being written to and may still wait.
    fn batch(&mut self, now: Instant, unsettled: &BTreeSet<PathBuf>) -> Batch {
        let pending = std::mem::take(&mut self.pending);
        let (left, taken): (BTreeMap<_, _>, BTreeMap<_, _>) = pending
            .into_iter()
            .partition(|(path, _)| unsettled.contains(path));
        self.first = left.values().map(|pending| pending.first).min();
        self.last = left.values().map(|pending| pending.last).max();
        self.due = self.first.map(|_| now + self.limits.quiet);
        self.pending = left;
        Batch {
            paths: taken.into_keys().collect(),
            rescan: std::mem::take(&mut self.rescan),
        }
    }

    fn disturbed(&mut self, now: Instant) {
        let first = *self.first.get_or_insert(now);
        self.last = Some(now);
        let quiet = now + self.limits.quiet;
        let due = self.storm_until().map_or(quiet, |storm| storm.max(quiet));
        self.due = Some(due.min(first + self.limits.wait_max));
    }

    /// Returns how long a storm keeps everybody waiting, if there is one.
    fn storm_until(&self) -> Option<Instant> {
        let is_storm = self.rescan || self.pending.len() >= self.limits.storm_paths;
        let last = self.last.filter(|_| is_storm)?;
        Some(last + self.limits.storm_quiet)
    }
}

impl Pending {
    fn new(now: Instant, hint: Hint) -> Self {
        Self {
            first: now,
            last: now,
            hint,
            seen: None,
        }
    }

    fn hear(&mut self, now: Instant, hint: Hint) {
        self.last = now;
        if hint != Hint::Touched {
            self.hint = hint;
        }
    }

    /// Returns when the path will have settled if it stays as a look finds it now; `None` if that
    /// takes an event.
    fn settles(&mut self, now: Instant, look: Look, limits: &Limits) -> Option<Instant> {
        match (look, self.hint) {
            (Look::Absent, _) => Some(self.last + limits.absent),
            // Whoever truncates a file is about to write to it, also one who closes it in between.
            (Look::File { length: 0, .. }, _) | (Look::File { .. }, Hint::Open) => None,
            (Look::Standing, _) | (Look::File { .. }, Hint::Whole) => {
                Some(self.last + limits.quiet)
            }
            (Look::File { .. }, Hint::Replaced | Hint::Touched) => {
                let since = match self.seen {
                    Some((seen, since)) if seen == look => since.max(self.last),
                    _ => now,
                };
                self.seen = Some((look, since));
                Some(since + limits.stable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Plays a recorded trace, a line for each event: when (ms), what, where and, if the event
    /// changed it, how long the file is now. Returns a line for each batch.
    fn play(trace: &str) -> String {
        play_with(Limits::default(), trace)
    }

    fn play_with(limits: Limits, trace: &str) -> String {
        let start = Instant::now();
        let mut settle = Settle::new(limits);
        let mut disk = HashMap::new();
        let mut batches = Vec::new();
        let mut events = trace
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| !words.is_empty())
            .peekable();
        for at in 0..10_000_u64 {
            let now = start + Duration::from_millis(at);
            while let Some(words) = events.next_if(|words| words[0].parse() == Ok(at)) {
                let path = PathBuf::from(words[2]);
                if let Some(length) = words.get(3).and_then(|length| length.parse().ok()) {
                    let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(at);
                    disk.insert(path.clone(), Look::File { length, modified });
                }
                let hint = match words[1] {
                    "lost" => {
                        settle.lost(now);
                        continue;
                    }
                    "folder" => {
                        disk.insert(path.clone(), Look::Standing);
                        Hint::Replaced
                    }
                    "remove" => {
                        disk.remove(&path);
                        Hint::Replaced
                    }
                    "create" => Hint::Replaced,
                    "modify" => Hint::Open,
                    "touch" => Hint::Touched,
                    "close" | "move" => Hint::Whole,
                    // A change that no event tells of.
                    "silent" => continue,
                    other => panic!("`{other}` is no event"),
                };
                settle.heard(now, path, hint);
            }
            let look = |path: &Path| disk.get(path).copied().unwrap_or(Look::Absent);
            if let Some(batch) = settle.take(now, look) {
                let paths = batch.paths.iter().map(|path| path.display().to_string());
                let paths = paths.collect::<Vec<_>>().join(" ");
                let rescan = if batch.rescan { "all " } else { "" };
                batches.push(format!("{at}: {rescan}{paths}").trim_end().to_owned());
            }
            assert!(
                settle.due().is_none_or(|due| due > now),
                "it will be asked again"
            );
        }
        assert!(events.next().is_none() && settle.due().is_none());
        batches.join("\n")
    }

    #[test]
    fn a_file_that_was_closed_is_told_after_a_moment() {
        assert_eq!(play("0 modify a 5\n1 close a"), "21: a");
        assert_eq!(play("0 move a 5"), "20: a");
        // Changes of mode and time neither hurry nor hold up.
        assert_eq!(
            play("0 modify a 5\n1 close a\n2 touch a\n15 touch a"),
            "35: a"
        );
    }

    #[test]
    fn a_file_that_is_open_waits_for_its_writer_but_not_for_ever() {
        assert_eq!(play("0 modify a 5\n300 modify a 9\n301 close a"), "321: a");
        assert_eq!(
            play("0 modify a 5\n300 modify a 9\n600 modify a 12\n700 close a"),
            "500: a\n720: a"
        );
    }

    #[test]
    fn an_empty_file_waits_for_its_content_but_not_for_ever() {
        assert_eq!(play("0 modify a 0\n300 modify a 9\n300 close a"), "320: a");
        assert_eq!(
            play("0 modify a 0\n1 close a\n300 modify a 9\n300 close a"),
            "320: a"
        );
        assert_eq!(play("0 create a 0\n1 close a"), "500: a");
        assert_eq!(play("0 create a 0\n600 close a 7"), "500: a\n620: a");
    }

    #[test]
    fn a_file_that_nobody_closes_waits_until_it_stays_as_it_is() {
        // A hard link, or a file system that tells of nothing but a difference.
        assert_eq!(play("0 create a 5"), "50: a");
        assert_eq!(
            play("0 touch a 5\n40 silent a 6\n70 silent a 7\n90 silent a 8"),
            "140: a"
        );
        let growing = (0..70)
            .map(|n| format!("{} touch a {n}\n", n * 10))
            .collect::<Vec<_>>()
            .concat();
        assert_eq!(play(&growing), "500: a\n1010: a");
    }

    #[test]
    fn a_file_that_goes_may_come_back() {
        assert_eq!(
            play("0 remove a\n60 create a 0\n61 modify a 5\n62 close a"),
            "82: a"
        );
        assert_eq!(play("0 remove a"), "100: a");
        // What was closed before it went says nothing of what came.
        assert_eq!(
            play("0 modify a 5\n1 close a\n5 remove a\n6 create a 0\n7 modify a 2\n200 close a 5"),
            "220: a"
        );
    }

    #[test]
    fn what_is_saved_together_is_told_together() {
        assert_eq!(play("0 close a 5\n15 close b 5"), "35: a b");
        assert_eq!(play("0 close a 5\n25 close b 5"), "20: a\n45: b");
        assert_eq!(
            play("0 close a.css 5\n5 modify a.html 1\n200 close a.html"),
            "220: a.css a.html"
        );
    }

    #[test]
    fn a_storm_is_one_batch() {
        let storm = |files: u64, apart: u64| -> String {
            let line = |n| format!("{0} modify f{n:04} 1\n{0} close f{n:04}\n", n * apart);
            (0..files).map(line).collect::<Vec<_>>().concat()
        };
        let batches = play(&storm(40, 10));
        assert_eq!(batches.lines().count(), 1, "{batches}");
        assert!(
            batches.starts_with("480: f0000") && batches.ends_with("f0039"),
            "{batches}"
        );
        // It takes its breath.
        let batches = play(&(storm(3, 1) + "80 close g 1\n160 close h 1"));
        assert_eq!(batches, "250: f0000 f0001 f0002 g h");
        // A thousand files in 250 ms, and one that goes on for ever.
        let at_once = (0..1000)
            .map(|n| format!("{0} close f{n:04} 1\n", n / 4))
            .collect::<Vec<_>>()
            .concat();
        assert_eq!(play(&at_once).lines().count(), 1);
        let batches = play(&storm(200, 10));
        let times: Vec<_> = batches.lines().map(|line| &line[..4]).collect();
        assert_eq!(times, ["500:", "990:", "1480", "1970", "2080"]);
    }

    #[test]
    fn what_is_being_written_when_patience_ends_is_left_for_the_next() {
        let storm = "0 close a 1\n0 close a2 1\n10 close b 1\n90 close c 1\n170 close d 1\n\
                     250 close e 1\n330 close e 1\n\
                     410 close f 1\n490 modify g 1\n530 close g 2";
        assert_eq!(play(storm), "500: a a2 b c d e f\n550: g");
    }

    #[test]
    fn a_log_in_the_site_holds_up_nobody_for_long() {
        let log = (0..300)
            .map(|n| format!("{} modify log {n}\n", n * 10))
            .collect::<Vec<_>>()
            .concat();
        let mut lines: Vec<_> = log.lines().map(str::to_owned).collect();
        lines.insert(151, "1503 close a 1".to_owned());
        let batches = play(&lines.join("\n"));
        assert!(batches.contains("\n1540: a log\n"), "{batches}");
        assert!(batches.lines().count() <= 9, "{batches}");
        // Once it is closed it is a file like any other.
        let batches = play("0 modify log 1\n600 close log 2\n700 modify log 3\n800 close log");
        assert_eq!(batches, "500: log\n620: log\n820: log");
    }

    #[test]
    fn lost_events_and_too_many_paths_mean_everything() {
        assert_eq!(play("0 close a 1\n1 lost -"), "91: all a");
        let limits = Limits {
            paths_max: 2,
            ..Limits::default()
        };
        let trace = "0 close a 1\n1 close b 1\n2 close c 1\n3 close d 1";
        assert_eq!(play_with(limits, trace), "93: all d");
        let mut batch = Batch::default();
        for names in [["a", "b"], ["b", "c"]] {
            let paths = names.map(PathBuf::from).into();
            batch.merge(
                Batch {
                    paths,
                    rescan: false,
                },
                2,
            );
        }
        assert!(batch.rescan && batch.paths.is_empty());
    }

    #[test]
    fn a_directory_settles_like_a_file_that_is_whole() {
        assert_eq!(play("0 folder d"), "20: d");
        // A swap: away, another in its place.
        assert_eq!(
            play("0 remove d\n1 folder old\n2 remove new\n3 folder d"),
            "102: d new old"
        );
    }

    #[test]
    fn what_was_cleared_is_never_told() {
        let mut settle = Settle::new(Limits::default());
        settle.heard(Instant::now(), "a".into(), Hint::Whole);
        settle.clear();
        assert_eq!(settle.due(), None);
    }
}
