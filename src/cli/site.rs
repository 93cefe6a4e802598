//! Arguments that say which site is read, and how.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::bytes;
use super::{AHEAD, LIMITS, SERVING};
use crate::site::SiteOptions;
use crate::site::plan::Push;

#[derive(Debug, Args)]
pub(super) struct SiteArguments {
    /// Serve symbolic links that lead out of the site
    ///
    /// Example: forerun /usr/share/doc/python3/html --follow-symlinks
    #[arg(long, help_heading = SERVING)]
    follow_symlinks: bool,

    /// What is worth sending ahead
    ///
    /// Example: forerun --push all
    #[arg(long, value_enum, default_value_t, help_heading = AHEAD)]
    push: PushArgument,

    /// Largest file held in memory; larger ones are streamed from disk
    ///
    /// Example: forerun --memory-file 256K
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = bytes,
          help_heading = LIMITS)]
    memory_file: u64,

    /// All files held in memory
    ///
    /// Example: forerun --memory 1G
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = bytes,
          help_heading = LIMITS)]
    memory: u64,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum PushArgument {
    /// What blocks the first render, and what hides behind it
    #[default]
    Critical,
    /// Everything that every client fetches
    All,
    /// Nothing
    None,
}

/// Turns arguments into options.
pub(super) fn site(root: PathBuf, arguments: &SiteArguments) -> SiteOptions {
    SiteOptions {
        root,
        follow_symlinks: arguments.follow_symlinks,
        memory_file_bytes_max: arguments.memory_file,
        memory_bytes_max: arguments.memory,
        push: match arguments.push {
            PushArgument::Critical => Push::Critical,
            PushArgument::All => Push::All,
            PushArgument::None => Push::None,
        },
        frozen: false,
    }
}
