//! Arguments of `forerun plan`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::site::{SiteArguments, site};
use super::{SERVING, log_to_stderr};
use crate::plan::{Format, PlanOptions};

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// Pages, as paths of the site [default: every page]
    #[arg(value_name = "PAGE")]
    pages: Vec<String>,

    /// The directory of the site
    ///
    /// Example: forerun plan /docs/ --site public
    #[arg(long, default_value = "site", help_heading = SERVING)]
    site: PathBuf,

    #[command(flatten)]
    site_arguments: SiteArguments,

    /// Print JSON
    ///
    /// Example: forerun plan --json | jq '.pages[].bytes'
    #[arg(long, conflicts_with = "export", help_heading = "Output")]
    json: bool,

    /// Print what another server needs to send the same ahead
    ///
    /// Example: forerun plan --as headers > public/_headers
    #[arg(
        long = "as",
        value_enum,
        value_name = "FORMAT",
        id = "export",
        help_heading = "Output"
    )]
    export: Option<ExportArgument>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExportArgument {
    /// Link lines of a _headers file (Netlify, Cloudflare Pages)
    Headers,
    /// <link> tags for each page's head
    Html,
    /// Link directives for nginx
    Nginx,
}

/// Turns arguments into options.
pub(super) fn plan(arguments: PlanArguments) -> anyhow::Result<PlanOptions> {
    log_to_stderr("forerun=warn");
    if let Some(page) = arguments.pages.iter().find(|page| !page.starts_with('/')) {
        bail!(
            "a page is named by its path on the site, such as /docs/; for a site in \"{page}\" use \
             --site {page}"
        );
    }
    Ok(PlanOptions {
        site: site(arguments.site, &arguments.site_arguments),
        pages: arguments.pages,
        format: match (arguments.json, arguments.export) {
            (true, _) => Format::Json,
            (false, None) => Format::Table,
            (false, Some(ExportArgument::Headers)) => Format::Headers,
            (false, Some(ExportArgument::Html)) => Format::Html,
            (false, Some(ExportArgument::Nginx)) => Format::Nginx,
        },
    })
}
