//! The program: flags in, exit code out.

use std::io::{self, Write as _};
use std::process::ExitCode;

use forerun::cli::{self, Command};

/// Gives back what a peak has taken: with glibc's allocator, two thousand connections that fetched
/// a page and left keep 70 kB each for good.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The allocator's settings. h2 reserves 24 kB for a connection and touches 8 of it, so a block
/// that others have dirtied would cost three times as much: what is freed goes back to the system
/// at once, except for what each thread keeps for the next records and buffers.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "jemalloc reads a `const char *` by this name: it is one, as the array ends with 0 \
              and lives for ever, and nothing else has the name"
)]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &[u8; 80] =
    b"dirty_decay_ms:0,muzzy_decay_ms:0,cache_oblivious:false,tcache_nslots_large:200\0";

fn main() -> ExitCode {
    let outcome = cli::read().and_then(|command| match command {
        Command::Serve(options) => forerun::serve::run(&options),
        Command::Dev(options) => forerun::serve::dev(&options),
        Command::Measure(options) => forerun::measure::run(&options),
        Command::Publish(options) => forerun::publish::run(&options),
        Command::MeasureEvents(options) => forerun::measure::events::run(&options),
        Command::Hash(name) => forerun::hash::run(&name),
        Command::Plan(options) => forerun::plan::run(&options),
        Command::Certificate(options) => forerun::certificate::run(&options),
        Command::Print(text) => Ok(io::stdout().write_all(&text)?),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// The one printer of errors. A reader that has seen enough is no error.
fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        let _ = error.print();
        return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    }) {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr(), "forerun: {error:#}");
    ExitCode::FAILURE
}
