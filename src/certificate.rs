//! The root of `forerun certificate`: shows the local authority, and how to trust it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::SystemTime;

use crate::tls::{Source, Tls, trust};

/// What `forerun certificate` was told.
#[derive(Debug)]
pub struct CertificateOptions {
    /// Where the authority lives.
    pub directory: PathBuf,
    /// Names and addresses by which others reach this machine.
    pub names: Vec<String>,
    /// The system whose commands are printed.
    pub system: trust::System,
}

/// Prints where the local authority is, what it vouches for, and the commands that make this system
/// trust it. Mints it if there is none yet; installs nothing.
///
/// # Errors
/// The authority can be neither read nor made.
pub fn run(options: &CertificateOptions) -> anyhow::Result<()> {
    let source = Source::Local {
        directory: options.directory.clone(),
        names: options.names.clone(),
    };
    let tls = Tls::open(source, SystemTime::now())?;
    let mut out = io::stdout().lock();
    if let Some(description) = tls.describe() {
        writeln!(out, "{description}")?;
    }
    for warning in tls.warnings(SystemTime::now()) {
        writeln!(out, "{warning}")?;
    }
    if let Some(authority) = tls.authority() {
        writeln!(out, "{}", trust::instructions(authority, options.system))?;
    }
    Ok(())
}
