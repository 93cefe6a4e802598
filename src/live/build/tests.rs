//! Real shells: what they say, how they end, and that nothing of them stays.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

use super::*;

/// How long anything may take before a test has failed.
const DEADLINE: Duration = Duration::from_secs(20);

async fn next(build: &mut Build) -> Happened {
    let next = tokio::time::timeout(DEADLINE, build.next()).await;
    next.expect("something happens in time")
}

/// Returns what a build tells up to its outcome, and that.
async fn told(build: &mut Build) -> (Vec<String>, Happened) {
    let mut lines = Vec::new();
    loop {
        match next(build).await {
            Happened::Line(line) => lines.push(line),
            outcome => return (lines, outcome),
        }
    }
}

fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Makes a pipe with a name.
fn fifo(directory: &TempDir, name: &str) -> PathBuf {
    let path = directory.path().join(name);
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    path
}

/// Makes a pipe that processes hold while they live.
fn held(directory: &TempDir) -> Receiver {
    OpenOptions::new()
        .open_receiver(fifo(directory, "held"))
        .unwrap()
}

/// Waits until every process that holds a pipe is gone.
async fn gone(mut held: Receiver) {
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, held.read_to_end(&mut bytes)).await;
    ended.expect("they end in time").unwrap();
}

/// Opens a pipe for writing that nobody may read yet.
fn writer(path: PathBuf) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

#[tokio::test]
async fn a_build_tells_both_its_streams_in_order_and_its_success() {
    let directory = scratch();
    let mut build = Build::new("echo one; echo two >&2; pwd; printf end", directory.path());
    build.start();
    let (lines, outcome) = told(&mut build).await;
    let here = directory.path().canonicalize().unwrap();
    assert_eq!(lines, ["one", "two", here.to_str().unwrap(), "end"]);
    assert_eq!(outcome, Happened::Made);
}

#[tokio::test]
async fn a_failure_is_named_with_the_end_of_its_output() {
    let mut build = Build::new("seq 100000; printf '\\033[31mbroken\\033[0m'; exit 3", ".");
    build.start();
    let (lines, outcome) = told(&mut build).await;
    assert_eq!(lines.len(), 100_001);
    let Happened::Failed(Problem { title, text }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(title.ends_with("failed with status 3"), "{title}");
    assert!(text.ends_with("99999\n100000\nbroken"), "{text}");
    assert!(text.len() <= 4096);

    let mut build = Build::new("kill -9 $$", ".");
    build.start();
    let (_, outcome) = told(&mut build).await;
    assert!(format!("{outcome:?}").contains("`kill -9 $$` was ended by signal 9"));
}

#[tokio::test]
async fn what_cannot_be_run_is_a_failure() {
    let mut build = Build::new("true", Path::new("no/such/directory"));
    build.start();
    let (_, outcome) = told(&mut build).await;
    assert!(format!("{outcome:?}").contains("cannot be run"));
    let mut build = Build::new("no-such-command-at-all", ".");
    build.start();
    let (lines, outcome) = told(&mut build).await;
    assert!(lines[0].contains("not found"), "{lines:?}");
    assert!(format!("{outcome:?}").contains("status 127"));
}

#[tokio::test]
async fn lines_are_told_as_they_come() {
    let directory = scratch();
    let mut go = writer(fifo(&directory, "go"));
    let mut build = Build::new("echo waiting; cat go; echo done", directory.path());
    build.start();
    assert_eq!(next(&mut build).await, Happened::Line("waiting".into()));
    go.write_all(b"gone\n").unwrap();
    assert_eq!(next(&mut build).await, Happened::Line("gone".into()));
    drop(go);
    let (lines, outcome) = told(&mut build).await;
    assert_eq!((lines.join(" "), outcome), ("done".into(), Happened::Made));
}

#[tokio::test]
async fn a_newer_change_ends_the_whole_group_and_starts_afresh() {
    let directory = scratch();
    let held = held(&directory);
    // The first run holds the pipe, in a child of a child; the second finds its mark.
    let command = "test -e again && { echo second; exit; }
        touch again; exec 9>held; (sleep 1000 & wait) & echo first; wait";
    let mut build = Build::new(command, directory.path());
    build.start();
    assert_eq!(next(&mut build).await, Happened::Line("first".into()));
    build.start();
    build.start();
    let (lines, outcome) = told(&mut build).await;
    assert_eq!(
        (lines.join(" "), outcome),
        ("second".into(), Happened::Made)
    );
    gone(held).await;
    let more = tokio::time::timeout(Duration::ZERO, build.next()).await;
    assert!(more.is_err(), "once is enough: {more:?}");
}

#[tokio::test]
async fn who_does_not_end_when_asked_is_killed() {
    let directory = scratch();
    let command = "test -e again && { echo second; exit; }
        touch again; trap '' TERM; echo first; while :; do sleep 1000; yes; done";
    let mut build = Build::new(command, directory.path());
    build.end_wait_max = Duration::from_millis(20);
    build.start();
    assert_eq!(next(&mut build).await, Happened::Line("first".into()));
    build.start();
    let (lines, outcome) = told(&mut build).await;
    assert_eq!(
        (lines.join(" "), outcome),
        ("second".into(), Happened::Made)
    );
}

#[tokio::test]
async fn what_works_on_in_the_background_is_heard_and_ends_with_the_build() {
    let directory = scratch();
    let mut go = writer(fifo(&directory, "go"));
    let held = held(&directory);
    let command = "exec 9>held; (cat go; exec sleep 1000) & echo begun";
    let mut build = Build::new(command, directory.path());
    build.start();
    let (lines, outcome) = told(&mut build).await;
    assert_eq!((lines.join(" "), outcome), ("begun".into(), Happened::Made));
    go.write_all(b"still there\n").unwrap();
    assert_eq!(next(&mut build).await, Happened::Line("still there".into()));
    tokio::time::timeout(DEADLINE, build.stop()).await.unwrap();
    gone(held).await;
}

#[tokio::test]
async fn nothing_stays_of_a_build_that_is_dropped_or_stopped() {
    for is_dropped in [true, false] {
        let directory = scratch();
        let held = held(&directory);
        let command = "exec 9>held; sleep 1000 & echo ready; wait";
        let mut build = Build::new(command, directory.path());
        build.start();
        assert_eq!(next(&mut build).await, Happened::Line("ready".into()));
        if is_dropped {
            drop(build);
        } else {
            tokio::time::timeout(DEADLINE, build.stop()).await.unwrap();
        }
        gone(held).await;
    }
}

#[tokio::test]
async fn output_without_end_is_late_all_the_same() {
    let mut build = Build::new("trap '' TERM; yes", ".");
    build.end_wait_max = Duration::from_millis(20);
    build.start();
    assert_eq!(next(&mut build).await, Happened::Line("y".into()));
    tokio::time::timeout(DEADLINE, build.stop()).await.unwrap();
}
