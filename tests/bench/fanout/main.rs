//! What telling many costs: delays from publishing to hearing, beside who never reads and through a
//! storm of reconnects, and how many a core tells in a second. Over TLS and HTTP/2, on loopback.
//!
//! ```text
//! cargo bench --bench fanout [-- PART ...]      delay stalled storm throughput
//! ```
//!
//! It needs Linux and two cores: one for the server (`FORERUN_BIN`, else as built), one for all
//! who publish and listen, which is one thread here and has one clock. Have the machine idle, or be
//! root and set `REAL_TIME=1`, so that what else runs hardly disturbs; in real time a core that is
//! all used rests for a twentieth of each second, and longest delays show it. A delay is from
//! before the request is written until after its event was read, in the same process; what that
//! needs of its core is told too: near 100 % it is the client that is measured. Read on in `parts`.

#![expect(clippy::print_stdout, reason = "it is what it is for")]

mod board;
mod line;
mod neighbour;
mod parts;
mod publisher;
mod server;
mod storm;
mod trust;
mod wire;

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, bail};
use comfy_table::{Table, presets};
use tokio::task::LocalSet;

/// The core that publishes and listens.
const CORE: &str = "1";
/// Set once it runs there.
const PINNED: &str = "FORERUN_FANOUT_PINNED";

fn main() -> anyhow::Result<()> {
    // Cargo adds `--bench`.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    if let Some(unknown) = named.iter().find(|name| !parts::NAMES.contains(&&***name)) {
        bail!("no part `{unknown}`: there are {}", parts::NAMES.join(", "));
    }
    if std::env::var_os(PINNED).is_none() {
        let mut again = server::on(CORE, std::env::current_exe()?);
        let error = again.args(&named).env(PINNED, "1").exec();
        return Err(error).context("cannot run `taskset` or `chrt`, of util-linux");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(["", "median", "p99", "max", "server", "client", "besides"]);
    for name in parts::NAMES {
        if named.is_empty() || named.iter().any(|other| other == name) {
            let rows = LocalSet::new().block_on(&runtime, parts::run(name))?;
            table.add_rows(rows);
        }
    }
    println!("{table}");
    Ok(())
}
