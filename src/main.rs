//! The program: flags in, exit code out.

use std::io::{self, Write as _};
use std::process::ExitCode;

use forerun::cli::{self, Command};

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
