//! Arguments of `forerun measure`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use url::Url;

use super::SiteArguments;
use crate::measure::delivery::{Delivery, Way};
use crate::measure::findings::Visit;
use crate::measure::link::LinkOptions;
use crate::measure::page_load::Client;
use crate::measure::{MeasureOptions, Output, Search, Subject};
use crate::site::plan::Overrides;

const LOADING: &str = "What is loaded";
const NETWORK: &str = "Over what";
const REPORT: &str = "Report";

/// Links that are measured unless told otherwise.
const LINKS: [&str; 3] = ["fibre", "4g", "slow-4g"];

#[derive(Debug, Args)]
pub(super) struct MeasureArguments {
    /// A directory, measured on simulated links; or an https URL, measured over the real network
    #[arg(value_name = "SITE|URL", default_value = "site")]
    subject: String,

    /// A page, as a path of the site or a pattern; may be given more than once [default: all]
    ///
    /// Example: forerun measure --page / --page '/docs/**'
    #[arg(long, value_name = "GLOB", help_heading = LOADING)]
    page: Vec<String>,

    /// How what a page needs is sent: none, link, hints, push, push-all, or a push.toml; may be
    /// given more than once [default: those five]
    ///
    /// `none` is always among them: it is what the others are compared with.
    /// Example: forerun measure --delivery push --delivery mine/push.toml
    #[arg(long, value_name = "DELIVERY", help_heading = LOADING)]
    delivery: Vec<String>,

    /// What the client holds already; may be given more than once
    ///
    /// Example: forerun measure --visit repeat --visit changed
    #[arg(long, value_enum, value_name = "VISIT", default_value = "first", help_heading = LOADING)]
    visit: Vec<VisitArgument>,

    /// The browser whose loading is simulated
    ///
    /// Example: forerun measure --client current
    #[arg(long, value_enum, default_value_t, help_heading = LOADING)]
    client: ClientArgument,

    /// A link: fibre, cable, 4g, slow-4g, 3g, satellite, or a description; may be given more than
    /// once [default: fibre, 4g, slow-4g]
    ///
    /// Example: forerun measure --link 3g --link rtt=80ms,down=5M,up=1M,loss=1%,queue=64k
    #[arg(long, value_name = "LINK", help_heading = NETWORK)]
    link: Vec<LinkOptions>,

    /// How long the server takes to make each page
    ///
    /// Files take none; what is generated does, and hints gain just that. Example: --think 200ms
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = time,
          help_heading = NETWORK)]
    think: Duration,

    /// From bytes arriving to the request that they lead to leaving the browser
    ///
    /// Example: forerun measure --client-delay 70ms
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = time,
          help_heading = NETWORK)]
    client_delay: Duration,

    /// Trust this certificate authority too (PEM), for a URL
    ///
    /// Example: forerun measure URL --authority certs/authority.pem
    #[arg(long, value_name = "FILE", help_heading = NETWORK)]
    authority: Vec<PathBuf>,

    /// Find what to push, and in which order, for the earliest first render
    ///
    /// It is found on some links and checked on others. Example: forerun measure --page / --search
    #[arg(long, help_heading = REPORT)]
    search: bool,

    /// Write the plan that was found, for `serve` to read
    ///
    /// Example: forerun measure --search --save site/push.toml
    #[arg(long, value_name = "FILE", requires = "search", help_heading = REPORT)]
    save: Option<PathBuf>,

    /// Print JSON
    ///
    /// Example: forerun measure --json | jq '.cells[].rows[].metrics'
    #[arg(long, help_heading = REPORT)]
    json: bool,

    /// Write an HTTP archive, for developer tools and waterfall viewers
    ///
    /// Example: forerun measure --har measured.har
    #[arg(long, value_name = "FILE", help_heading = REPORT)]
    har: Option<PathBuf>,

    /// Write a page with waterfalls and curves, which needs nothing beside itself
    ///
    /// Example: forerun measure --html report.html
    #[arg(long, value_name = "FILE", help_heading = REPORT)]
    html: Option<PathBuf>,

    /// Print how well the simulation agrees with published measurements, and measure nothing
    ///
    /// Example: forerun measure --validate
    #[arg(long, conflicts_with_all = ["search", "page", "delivery"], help_heading = REPORT)]
    validate: bool,

    #[command(flatten)]
    site_arguments: SiteArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VisitArgument {
    /// Nothing
    First,
    /// Everything, with validators
    Repeat,
    /// Everything, and one file has changed since
    Changed,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ClientArgument {
    /// Takes pushes and never cancels them
    #[default]
    #[value(name = "chromium-103")]
    Chromium103,
    /// Refuses pushes, heeds hints, and says which answers are urgent
    Current,
}

/// Turns arguments into options.
pub(super) fn measure(arguments: MeasureArguments) -> anyhow::Result<MeasureOptions> {
    let client = match arguments.client {
        ClientArgument::Chromium103 => Client::Chromium103,
        ClientArgument::Current => Client::Current,
    };
    let mut visits: Vec<_> = arguments.visit.iter().copied().map(visit).collect();
    visits.sort_unstable();
    visits.dedup();
    Ok(MeasureOptions {
        deliveries: deliveries(&arguments.delivery, client)?,
        subject: subject(&arguments)?,
        visits,
        client,
        client_delay: arguments.client_delay,
        search: arguments.search.then_some(Search {
            save: arguments.save,
        }),
        validate: arguments.validate,
        output: Output {
            json: arguments.json,
            har: arguments.har,
            html: arguments.html,
        },
    })
}

fn subject(arguments: &MeasureArguments) -> anyhow::Result<Subject> {
    let text = &arguments.subject;
    let Some((scheme, _)) = text.split_once("://") else {
        let links = match &arguments.link[..] {
            [] => LINKS
                .iter()
                .map(|link| link.parse())
                .collect::<Result<_, _>>()?,
            links => links.to_vec(),
        };
        return Ok(Subject::Site {
            site: super::site(PathBuf::from(text), &arguments.site_arguments),
            pages: arguments.page.clone(),
            links,
            think: arguments.think,
        });
    };
    if scheme != "https" {
        bail!("{text}: only https is measured, since HTTP/2 is spoken over TLS");
    }
    if !arguments.link.is_empty() || !arguments.think.is_zero() {
        bail!("--link and --think are for a directory: a URL is measured over the real network");
    }
    if arguments.search {
        bail!("--search is for a directory: what another server pushes is not ours to choose");
    }
    let url = Url::parse(text).with_context(|| format!("{text} is no URL"))?;
    let mut urls = vec![url.clone()];
    if !arguments.page.is_empty() {
        let join = |page: &String| url.join(page).with_context(|| format!("--page {page}"));
        urls = arguments.page.iter().map(join).collect::<Result<_, _>>()?;
    }
    Ok(Subject::Urls {
        urls,
        authorities: arguments.authority.clone(),
    })
}

/// Returns the deliveries that are named, `none` first and each once; without names, all that the
/// client takes.
fn deliveries(names: &[String], client: Client) -> anyhow::Result<Vec<Delivery>> {
    let known = Delivery::all();
    if names.is_empty() {
        let mut all = Vec::from(known);
        all.retain(|delivery| client.takes_pushes() || delivery.way != Way::Push);
        return Ok(all);
    }
    let mut chosen = vec![Delivery::none()];
    for name in names {
        let delivery = match known
            .iter()
            .find(|known| known.name == name.replace('-', " "))
        {
            Some(known) => known.clone(),
            None => plan(name)?,
        };
        if delivery.way == Way::Push && !client.takes_pushes() {
            bail!("--delivery {name}: this client refuses pushes; use --client chromium-103");
        }
        if !chosen.contains(&delivery) {
            chosen.push(delivery);
        }
    }
    Ok(chosen)
}

fn plan(name: &str) -> anyhow::Result<Delivery> {
    let is_file = Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "toml");
    if !is_file {
        bail!("--delivery takes none, link, hints, push, push-all or a push.toml, not \"{name}\"");
    }
    let text = fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?;
    let plan = Overrides::parse(&text).map_err(|reason| anyhow::anyhow!("{name}: {reason}"))?;
    Ok(Delivery::plan(name, plan))
}

fn visit(argument: VisitArgument) -> Visit {
    match argument {
        VisitArgument::First => Visit::First,
        VisitArgument::Repeat => Visit::Repeat,
        VisitArgument::Changed => Visit::Changed,
    }
}

/// Reads a length of time: `200ms`, `1.5s`.
fn time(text: &str) -> Result<Duration, String> {
    let seconds = match text.strip_suffix("ms") {
        Some(number) => number.parse::<f64>().map(|number| number / 1000.0),
        None => text.strip_suffix('s').unwrap_or("?").parse(),
    };
    seconds
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "write a time with its unit, such as 200ms or 1.5s".to_owned())
}
