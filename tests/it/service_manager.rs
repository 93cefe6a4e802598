//! What systemd is told by the program itself: one start and one end of the real thing.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longer than any start or end on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

#[test]
fn systemd_is_told_when_the_server_is_ready_and_when_it_ends() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("site")).unwrap();
    let path = home.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = || {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let mut server = Command::new(env!("CARGO_BIN_EXE_forerun"))
        .args(["serve", "--port", "0"])
        .current_dir(home.path())
        .env("XDG_DATA_HOME", home.path())
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(told(), "READY=1\n");
    let mut first = String::new();
    let mut out = BufReader::new(server.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    assert!(first.starts_with("forerun serves"), "{first}");
    let process = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(told(), "STOPPING=1\n");
    assert!(server.wait().unwrap().success());
}
