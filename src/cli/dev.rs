//! Arguments of `forerun dev`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::channels::Trial;
use super::serve::{ServingArguments, serving};
use super::values::host;
use super::{LIVE, SERVING};
use crate::live::LiveOptions;
use crate::serve::{DevOptions, address};

#[derive(Debug, Args)]
pub(super) struct DevArguments {
    /// The port to listen on; if it is taken, the next free one (0: any) [default: one of its own
    /// for each site]
    ///
    /// What a browser keeps for one site is never met by another, and addresses stay the same.
    /// Example: forerun dev --port 9000
    #[arg(long, help_heading = SERVING)]
    port: Option<u16>,

    #[command(flatten)]
    serving: ServingArguments,

    #[command(flatten)]
    live: LiveArguments,
}

#[derive(Debug, Args)]
struct LiveArguments {
    /// Open the site in the default browser
    ///
    /// Example: forerun dev --open
    #[arg(long, help_heading = LIVE)]
    open: bool,

    /// Look at the files every now and then, where the system does not tell of changes
    ///
    /// That is so on network drives and in some containers. Example: forerun dev /mnt/site --poll
    #[arg(long, help_heading = LIVE)]
    poll: bool,

    /// Leave files out, besides those in .gitignore; may be given more than once
    ///
    /// Example: forerun dev --ignore '*.map' --ignore drafts/
    #[arg(long, value_name = "GLOB", help_heading = LIVE)]
    ignore: Vec<String>,

    /// Do not show in the terminal what goes wrong in the pages
    ///
    /// Example: forerun dev --no-console
    #[arg(long, help_heading = LIVE)]
    no_console: bool,

    /// Run a command before serving, and again when what --watch names changes
    ///
    /// It is run by `sh` in the current directory; the first run is waited for. If it fails, the
    /// site stays as it is, and the pages say why.
    /// Example: forerun dev public --run 'sass scss:public/css' --watch scss
    #[arg(long, value_name = "COMMAND", help_heading = LIVE,
          value_parser = NonEmptyStringValueParser::new())]
    run: Option<String>,

    /// Where changes run the command again; may be given more than once
    ///
    /// Example: forerun dev public --run make --watch content --watch templates
    #[arg(long, value_name = "DIR", requires = "run", help_heading = LIVE)]
    watch: Vec<PathBuf>,

    /// Answer to this host name too; may be given more than once
    ///
    /// A page elsewhere may make its own name lead here, so other names are refused.
    /// Example: forerun dev --host --allow-host laptop.example
    #[arg(long, value_name = "NAME", value_parser = host, help_heading = LIVE)]
    allow_host: Vec<String>,
}

/// Turns arguments into options.
pub(super) fn dev(arguments: DevArguments) -> anyhow::Result<DevOptions> {
    let LiveArguments {
        open,
        poll,
        ignore,
        no_console,
        run,
        watch,
        allow_host,
    } = arguments.live;
    let site = &arguments.serving.site;
    for watched in &watch {
        let Ok(place) = watched.canonicalize() else {
            bail!("--watch {}: there is no such directory", watched.display());
        };
        if address::place(site).starts_with(place) {
            bail!(
                "--watch {0} holds the site, so what the command writes would run it for ever; \
                 watch the directory of its sources",
                watched.display()
            );
        }
    }
    let port = arguments.port.unwrap_or_else(|| address::port(site));
    Ok(DevOptions {
        serve: serving(arguments.serving, port, Trial::All)?,
        live: LiveOptions {
            open,
            poll,
            ignored: ignore,
            console: !no_console,
            run,
            watched: watch,
            allowed_hosts: allow_host,
        },
    })
}
