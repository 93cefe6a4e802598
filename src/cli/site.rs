//! Arguments that say which site is read, and how.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::values::bytes;
use super::{AHEAD, LIMITS, SERVING};
use crate::site::plan::Push;
use crate::site::{SiteOptions, UrlPath};

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

/// Checks that a file or a directory, which need not be there yet, is not served. The site is not
/// searched for links that lead out of it, to what `--follow-symlinks` would serve.
///
/// # Errors
/// It is.
pub(super) fn not_served(path: &Path, site: &Path) -> anyhow::Result<()> {
    let Ok(site) = site.canonicalize() else {
        return Ok(());
    };
    let absolute = std::path::absolute(path)?;
    // Links may lead into the site, and out of it.
    let is_served = |above: &Path| {
        let above = above
            .canonicalize()
            .ok()?
            .join(absolute.strip_prefix(above).ok()?);
        let below = above.strip_prefix(&site).ok()?.to_str()?;
        Some(UrlPath::decoded(&format!("/{below}")).is_ok())
    };
    if absolute
        .ancestors()
        .any(|above| is_served(above) == Some(true))
    {
        bail!("this is inside the site, where everybody could read it; keep it elsewhere");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_may_read_is_not_in_the_site() {
        let home = tempfile::tempdir().unwrap();
        let site = home.path().join("public");
        std::fs::create_dir_all(site.join("keys")).unwrap();
        std::fs::write(home.path().join("key.pem"), "").unwrap();
        std::fs::write(site.join("keys/key.pem"), "").unwrap();
        std::os::unix::fs::symlink("../key.pem", site.join("linked.pem")).unwrap();
        std::os::unix::fs::symlink("public/keys/key.pem", home.path().join("in.pem")).unwrap();
        let is_refused = |path: &str| not_served(&home.path().join(path), &site).is_err();
        for inside in [
            "public/keys/key.pem",
            "public/keys/../keys/key.pem",
            "public/none/key.pem",
            "public/.well-known/key.pem",
            "public/linked.pem",
            "in.pem",
            "public",
        ] {
            assert!(is_refused(inside), "{inside}");
        }
        for outside in [
            "key.pem",
            "public/../key.pem",
            "none/key.pem",
            "public/.keys/key.pem",
            "public/forerun.toml",
        ] {
            assert!(!is_refused(outside), "{outside}");
        }
        let elsewhere = home.path().join("none");
        assert!(not_served(&elsewhere.join("key.pem"), &elsewhere).is_ok());
    }
}
