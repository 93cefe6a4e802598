//! Live reload: what `forerun dev` does besides serving.
//!
//! Read on in [`watch`] (the door to the system's events), [`settle`] (when a batch is worth acting
//! on), [`ignored`] (names that nobody waits for), [`build`] (the command that makes the site),
//! [`keys`] (what is pressed in the terminal) and [`report`] (what is said there).

pub mod browser;
pub mod build;
pub mod ignored;
pub mod keys;
pub mod report;
pub mod settle;
pub mod watch;

use std::path::PathBuf;

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
