//! The program on a terminal: it hears keys, and leaves the terminal as it found it.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How long anything may take before a test has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Returns the two ends of a new terminal: who types, and what they type on.
fn terminal() -> (OwnedFd, OwnedFd) {
    let hands = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&hands).unwrap();
    unlockpt(&hands).unwrap();
    let name = ptsname(&hands, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    (hands, terminal)
}

/// Waits for a line that the program prints.
async fn said(lines: &mut Lines<BufReader<ChildStdout>>, part: &str) {
    let saying = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(part) {
                return;
            }
        }
        panic!("it has ended without saying `{part}`");
    };
    tokio::time::timeout(DEADLINE, saying).await.expect(part);
}

async fn ended(mut child: Child) -> Option<i32> {
    let ended = tokio::time::timeout(DEADLINE, child.wait()).await;
    ended.expect("it ends in time").unwrap().code()
}

#[tokio::test]
async fn however_it_ends_the_terminal_is_put_back() {
    let scratch = tempfile::tempdir().unwrap();
    let site = scratch.path().join("site");
    std::fs::create_dir(&site).unwrap();
    for signal in [Some(Signal::TERM), Some(Signal::INT), None] {
        let (hands, terminal) = terminal();
        let modes = || tcgetattr(&terminal).unwrap().local_modes;
        let found = modes();
        assert!(found.contains(LocalModes::ICANON | LocalModes::ECHO));
        let mut child = Command::new(env!("CARGO_BIN_EXE_forerun"))
            .args(["dev", "site", "--port", "0"])
            .current_dir(scratch.path())
            .env("XDG_DATA_HOME", scratch.path().join("data"))
            .stdin(Stdio::from(terminal.try_clone().unwrap()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        said(&mut lines, "press h for help").await;
        rustix::io::write(&hands, b"h").unwrap();
        said(&mut lines, "h help").await;
        assert!(!modes().intersects(LocalModes::ICANON | LocalModes::ECHO));
        match signal {
            Some(signal) => {
                let id = i32::try_from(child.id().unwrap()).unwrap();
                kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
            }
            None => drop(rustix::io::write(&hands, b"q").unwrap()),
        }
        assert_eq!(ended(child).await, Some(0), "{signal:?}");
        assert_eq!(modes(), found, "{signal:?}");
    }
}

/// Reads what the program says until it waits for an answer.
async fn asked(said: &mut ChildStderr) {
    let asking = async {
        let mut heard = Vec::new();
        while !heard.ends_with(b": ") {
            heard.push(said.read_u8().await.expect("it asks"));
        }
    };
    tokio::time::timeout(DEADLINE, asking)
        .await
        .expect("it asks in time");
}

#[tokio::test]
async fn however_a_password_is_asked_for_the_terminal_is_put_back() {
    for (typed, again, code) in [
        (&b"\x03"[..], None, Some(1)),
        (b"open\x03", None, Some(1)),
        (
            b"open sesamee\x7f\r",
            Some(&b"no\x15open sesame\n"[..]),
            Some(0),
        ),
        (b"open\r", Some(b"shut\r"), Some(1)),
        (b"open\r", Some(b"\x04"), Some(1)),
    ] {
        let (hands, terminal) = terminal();
        let modes = || tcgetattr(&terminal).unwrap().local_modes;
        let found = modes();
        let mut child = Command::new(env!("CARGO_BIN_EXE_forerun"))
            .args(["hash", "ada"])
            .stdin(Stdio::from(terminal.try_clone().unwrap()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut heard = child.stderr.take().unwrap();
        for keys in [Some(typed), again].into_iter().flatten() {
            asked(&mut heard).await;
            assert!(
                !modes().contains(LocalModes::ECHO),
                "nobody sees what is typed"
            );
            rustix::io::write(&hands, keys).unwrap();
        }
        let mut out = child.stdout.take().unwrap();
        assert_eq!(ended(child).await, code, "{typed:?}");
        assert_eq!(modes(), found, "{typed:?}");
        let mut printed = String::new();
        out.read_to_string(&mut printed).await.unwrap();
        assert_eq!(
            printed.starts_with("ada:$argon2"),
            code == Some(0),
            "{printed}"
        );
    }
}
