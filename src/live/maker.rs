//! Who makes the site: a command, run before the site is served and again when a source changes.
//!
//! The sources are watched from before the first run, so that no edit is missed while it lasts.
//! Nothing here prints. Read on in [`build`](super::build) (the command) and
//! [`watch`](super::watch).

use std::future::pending;

use futures_util::future::select_all;

use super::LiveOptions;
use super::build::{Build, Happened};
use super::report::Problem;
use super::watch::{Batches, News, Watch};

/// A command that makes the site, and the directories that it reads.
#[derive(Debug)]
pub struct Maker {
    build: Build,
    sources: Vec<(Watch, Batches)>,
    failed: Option<Problem>,
}

impl Maker {
    /// Watches the sources. Nothing is run yet.
    ///
    /// # Errors
    /// A source cannot be watched.
    pub(super) async fn of(options: &LiveOptions, command: &str) -> anyhow::Result<Self> {
        let mut sources = Vec::new();
        for directory in &options.watched {
            sources.push(super::start_watch(options, directory.clone()).await?);
        }
        let (build, failed) = (Build::new(command, "."), None);
        Ok(Self {
            build,
            sources,
            failed,
        })
    }

    /// Returns the command, as it is named to a person.
    pub(super) fn command(&self) -> String {
        self.build.name()
    }

    /// Runs the command for the first time, until it has made the site or failed; each line that it
    /// says is shown as it comes. What changes meanwhile waits: the site is served first.
    pub(super) async fn first(&mut self, show: impl Fn(&str)) {
        self.build.start();
        loop {
            match self.build.next().await {
                Happened::Line(line) => show(&line),
                Happened::Made => return,
                Happened::Failed(problem) => {
                    self.failed = Some(problem);
                    return;
                }
            }
        }
    }

    /// Returns why the first run failed, if it did.
    pub fn failed(&self) -> Option<&Problem> {
        self.failed.as_ref()
    }

    /// Waits for what happens next. When a source has changed, the command is run again.
    ///
    /// The future may be dropped at any time: nothing is lost.
    pub(super) async fn next(&mut self) -> Happened {
        loop {
            tokio::select! {
                () = any_change(&mut self.sources) => self.build.start(),
                happened = self.build.next() => return happened,
            }
        }
    }

    /// Ends what runs, in good time.
    pub async fn stop(self) {
        self.build.stop().await;
    }
}

/// Waits for a change below any of the directories that the command reads.
async fn any_change(sources: &mut [(Watch, Batches)]) {
    if sources.is_empty() {
        return pending().await;
    }
    loop {
        let waits = sources
            .iter_mut()
            .map(|(_, batches)| Box::pin(batches.next()));
        match select_all(waits).await.0 {
            Some(News::Batch(_)) => return,
            Some(News::Notice(_)) => {}
            None => return pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::Mutex;
    use std::time::Duration;

    /// How long anything may take before a test has failed.
    const DEADLINE: Duration = Duration::from_secs(20);

    async fn maker(command: &str, watched: &Path) -> Maker {
        let options = LiveOptions {
            watched: vec![watched.to_owned()],
            ..LiveOptions::default()
        };
        Maker::of(&options, command).await.unwrap()
    }

    async fn next(maker: &mut Maker) -> Happened {
        let next = tokio::time::timeout(DEADLINE, maker.next()).await;
        next.expect("something happens in time")
    }

    /// Runs the command for the first time, and returns what it says.
    async fn first(maker: &mut Maker, mut on_line: impl FnMut(&str) + Send) -> Vec<String> {
        let lines = Mutex::new((Vec::new(), &mut on_line));
        let show = |line: &str| {
            let mut lines = lines.lock().unwrap();
            lines.0.push(line.to_owned());
            (lines.1)(line);
        };
        let first = tokio::time::timeout(DEADLINE, maker.first(show)).await;
        first.expect("it ends in time");
        lines.into_inner().unwrap().0
    }

    #[tokio::test]
    async fn a_source_that_changes_during_the_first_run_causes_a_second() {
        let scratch = tempfile::tempdir().unwrap();
        let sources = scratch.path().join("sources");
        std::fs::create_dir(&sources).unwrap();
        let go = scratch.path().join("go");
        let made = std::process::Command::new("mkfifo").arg(&go).status();
        assert!(made.unwrap().success());
        let mut pipe = File::options().read(true).write(true).open(&go).unwrap();
        let command = format!(
            "echo begun; head -n 1 {}; cat {}/*",
            go.display(),
            sources.display()
        );
        let mut maker = maker(&command, &sources).await;
        std::fs::write(sources.join("a"), "one\n").unwrap();
        // Only once its line is shown does the command get what it waits for.
        let lines = first(&mut maker, |line| {
            if line == "begun" {
                std::fs::write(sources.join("a"), "two\n").unwrap();
                pipe.write_all(b"gone\n").unwrap();
            }
        });
        assert_eq!(lines.await, ["begun", "gone", "two"]);
        assert_eq!(maker.failed(), None);
        assert_eq!(next(&mut maker).await, Happened::Line("begun".into()));
        tokio::time::timeout(DEADLINE, maker.stop()).await.unwrap();
    }

    #[tokio::test]
    async fn a_first_run_that_fails_is_remembered_and_mended() {
        let scratch = tempfile::tempdir().unwrap();
        let command = format!("cat {}/a", scratch.path().display());
        let mut maker = maker(&command, scratch.path()).await;
        assert_eq!(first(&mut maker, |_| ()).await.len(), 1);
        let title = &maker.failed().unwrap().title;
        assert!(title.ends_with("failed with status 1"), "{title}");
        std::fs::write(scratch.path().join("a"), "there\n").unwrap();
        assert_eq!(next(&mut maker).await, Happened::Line("there".into()));
        assert_eq!(next(&mut maker).await, Happened::Made);
    }
}
