//! Arguments of `forerun measure`.
//!
//! Of pages, and of links for both; read on in [`events`].

mod events;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use url::Url;

use self::events::EventArguments;
use super::Command;
use super::site::{SiteArguments, site};
use super::values::time;
use crate::measure::delivery::{Delivery, Way};
use crate::measure::events::EventOptions;
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

/// What can be compared of a server that is not ours: pushes refused and hints ignored, hints
/// heeded, pushes taken too.
const DELIVERIES_OF_OTHERS: [&str; 3] = ["none", "hints", "push"];

#[derive(Debug, Args)]
pub(super) struct MeasureArguments {
    /// A directory, measured on simulated links; or an https URL, measured over the real network
    #[arg(value_name = "SITE|URL", default_value = "site")]
    subject: String,

    /// A page, as a path of the site or a pattern; may be given more than once [default: all]
    ///
    /// `*` stands for anything but a slash, `**` for anything. Of a URL, pages are named one by one
    /// [default: the URL itself].
    /// Example: forerun measure --page / --page '/docs/**'
    #[arg(long, value_name = "GLOB", help_heading = LOADING)]
    page: Vec<String>,

    /// How what a page needs is sent: none, link, hints, push, push-all, or a push.toml; may be
    /// given more than once [default: those five]
    ///
    /// `none` is always among them: it is what the others are compared with. A URL's server sends
    /// what it likes: none refuses pushes and ignores hints, hints heeds them, push takes both.
    /// Example: forerun measure --delivery push --delivery mine/push.toml
    #[arg(long, value_name = "DELIVERY", help_heading = LOADING)]
    delivery: Vec<String>,

    /// What the client holds already; may be given more than once
    ///
    /// Between two visits a day passes, so that what is held has to be validated.
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
    /// By default what Chromium 103 was measured to take on a desktop machine; a telephone takes
    /// more. Example: forerun measure --client-delay 70ms
    #[arg(long, value_name = "TIME", default_value = "14ms", value_parser = time,
          help_heading = NETWORK)]
    client_delay: Duration,

    /// How long a page may take to load before it is given up
    ///
    /// On a simulated link that time is simulated too. Example: --timeout 30s
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = time,
          help_heading = NETWORK)]
    timeout: Duration,

    /// Trust this certificate authority too (PEM), for a URL
    ///
    /// Example: forerun measure URL --authority certs/authority.pem
    #[arg(long, value_name = "FILE", help_heading = NETWORK)]
    authority: Vec<PathBuf>,

    /// Simulate every load so often where once would do, and fail if one differs from the first
    ///
    /// For whoever doubts that runs repeat, and to see how fast they are.
    /// Example: forerun measure --page / --link slow-4g --repeat 100
    #[arg(long, value_name = "TIMES", default_value_t = 1, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true,
          help_heading = LOADING)]
    repeat: u32,

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
    /// Example: forerun measure --json | jq .headline
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

    /// Draw the waterfall of the first page and link: the last delivery, over none
    ///
    /// Example: forerun measure --page / --link 4g --delivery push --svg push.svg
    #[arg(long, value_name = "FILE", help_heading = REPORT)]
    svg: Option<PathBuf>,

    /// Print how well the simulation agrees with published measurements, and measure nothing
    ///
    /// Example: forerun measure --validate
    #[arg(long, conflicts_with_all = ["search", "page", "delivery"], help_heading = REPORT)]
    validate: bool,

    #[command(flatten)]
    event_arguments: EventArguments,

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

/// Turns arguments into what they ask for.
pub(super) fn command(arguments: MeasureArguments) -> anyhow::Result<Command> {
    if arguments.event_arguments.events {
        return Ok(Command::MeasureEvents(Box::new(EventOptions {
            links: links(&arguments.link)?,
            poll_every: arguments.event_arguments.poll_every,
            json: arguments.json,
            html: arguments.html,
            svg: arguments.svg,
        })));
    }
    Ok(Command::Measure(Box::new(measure(arguments)?)))
}

/// Turns arguments into options.
fn measure(arguments: MeasureArguments) -> anyhow::Result<MeasureOptions> {
    let client = match arguments.client {
        ClientArgument::Chromium103 => Client::Chromium103,
        ClientArgument::Current => Client::Current,
    };
    let mut visits: Vec<_> = arguments.visit.iter().copied().map(visit).collect();
    visits.sort_unstable();
    visits.dedup();
    if arguments.search && !client.takes_pushes() {
        bail!("--search looks for what to push, and this client refuses it; drop --client");
    }
    let subject = subject(&arguments)?;
    Ok(MeasureOptions {
        deliveries: deliveries(&arguments.delivery, client, &subject)?,
        subject,
        visits,
        client,
        client_delay: arguments.client_delay,
        timeout: arguments.timeout,
        repeat: arguments.repeat as usize,
        search: arguments.search.then_some(Search {
            save: arguments.save,
        }),
        validate: arguments.validate,
        output: Output {
            json: arguments.json,
            har: arguments.har,
            html: arguments.html,
            svg: arguments.svg,
        },
    })
}

fn subject(arguments: &MeasureArguments) -> anyhow::Result<Subject> {
    let text = &arguments.subject;
    if let Some((scheme, _)) = text.split_once("://") {
        if scheme != "https" {
            bail!(
                "{text}: only https is measured, since browsers speak HTTP/2 over TLS alone; \
                 write https://"
            );
        }
        return urls(arguments);
    }
    if !Path::new(text).exists() {
        bail!("there is no directory `{text}`: name one that is there, or a URL with its https://");
    }
    if !arguments.authority.is_empty() {
        bail!("--authority is for a URL: on simulated links certificates are trusted");
    }
    Ok(Subject::Site {
        site: site(PathBuf::from(text), &arguments.site_arguments),
        pages: arguments.page.clone(),
        links: links(&arguments.link)?,
        think: arguments.think,
    })
}

/// Returns the links that are named, each once; without names, those that are measured usually.
fn links(named: &[LinkOptions]) -> anyhow::Result<Vec<LinkOptions>> {
    Ok(match named {
        [] => LINKS
            .iter()
            .map(|link| link.parse())
            .collect::<Result<_, _>>()?,
        named => each_once(named),
    })
}

/// Returns what is measured of another server, of which little can be chosen.
fn urls(arguments: &MeasureArguments) -> anyhow::Result<Subject> {
    if !arguments.link.is_empty() || !arguments.think.is_zero() || arguments.repeat > 1 {
        bail!(
            "--link, --think and --repeat are for a directory: a URL is measured over the real \
             network"
        );
    }
    if arguments.search {
        bail!("--search is for a directory: what another server pushes is not ours to choose");
    }
    if arguments.visit.contains(&VisitArgument::Changed) {
        bail!("--visit changed is for a directory: nothing of another server can be changed");
    }
    let text = &arguments.subject;
    let url = Url::parse(text).with_context(|| format!("{text} is no URL"))?;
    let mut urls = vec![url.clone()];
    if !arguments.page.is_empty() {
        let join = |page: &String| {
            if page.contains('*') {
                bail!("--page {page}: patterns are for a directory; name each page of a URL");
            }
            let joined = url.join(page).with_context(|| format!("--page {page}"))?;
            if joined.origin() != url.origin() {
                bail!("--page {page} is not on {text}: measure it on its own");
            }
            Ok(joined)
        };
        let joined: Vec<_> = arguments.page.iter().map(join).collect::<Result<_, _>>()?;
        urls = each_once(&joined);
    }
    Ok(Subject::Urls {
        urls,
        authorities: arguments.authority.clone(),
    })
}

fn each_once<T: PartialEq + Clone>(all: &[T]) -> Vec<T> {
    let mut once = Vec::with_capacity(all.len());
    for one in all {
        if !once.contains(one) {
            once.push(one.clone());
        }
    }
    once
}

/// Returns the deliveries that are named, `none` first and each once; without names, all that there
/// are for the subject and the client.
fn deliveries(
    names: &[String],
    client: Client,
    subject: &Subject,
) -> anyhow::Result<Vec<Delivery>> {
    let mut known = Vec::from(Delivery::all());
    let is_ours = matches!(subject, Subject::Site { .. });
    if !is_ours {
        known.retain(|delivery| DELIVERIES_OF_OTHERS.contains(&delivery.name.as_str()));
    }
    if names.is_empty() {
        known.retain(|delivery| client.takes_pushes() || delivery.way != Way::Push);
        return Ok(known);
    }
    let mut chosen = vec![Delivery::none()];
    for name in names {
        let spaced = name.replace('-', " ");
        let delivery = match known.iter().find(|known| known.name == spaced) {
            Some(known) => known.clone(),
            None if is_ours => plan(name)?,
            None => bail!(
                "--delivery takes none, hints or push for a URL, not \"{name}\": what another \
                 server sends is taken or not"
            ),
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::read_from;

    fn parse(line: &str) -> anyhow::Result<MeasureOptions> {
        match read_from(line.split_whitespace().map(OsString::from))? {
            Command::Measure(options) => Ok(*options),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn names(options: &MeasureOptions) -> String {
        let names = options.deliveries.iter().map(ToString::to_string);
        names.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn every_page_is_measured_in_every_way_unless_told() {
        let options = parse("forerun measure src").unwrap();
        assert_eq!(names(&options), "none, link, hints, push, push all");
        assert_eq!(options.visits, [Visit::First]);
        assert_eq!(options.client, Client::Chromium103);
        assert_eq!(options.client_delay, Duration::from_millis(14));
        assert_eq!(options.timeout, Duration::from_mins(2));
        assert_eq!((options.repeat, options.validate), (1, false));
        assert_eq!(options.output, Output::default());
        assert_eq!(options.search, None);
        let Subject::Site {
            site,
            pages,
            links,
            think,
        } = options.subject
        else {
            panic!("src is a directory");
        };
        let links: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
        assert_eq!(links, LINKS);
        assert_eq!(site.root, Path::new("src"));
        assert!(pages.is_empty() && think.is_zero());
    }

    #[test]
    fn what_is_named_is_measured_once_each_and_none_first() {
        let options = parse(
            "forerun measure src --delivery push-all --delivery none --delivery push-all \
             --link 3g --link slow-4g,loss=1% --link 3g \
             --visit repeat --visit first --visit repeat \
             --think 1.5s --client-delay 0ms --repeat 3",
        )
        .unwrap();
        assert_eq!(names(&options), "none, push all");
        assert_eq!(options.visits, [Visit::First, Visit::Repeat]);
        assert_eq!((options.repeat, options.client_delay), (3, Duration::ZERO));
        let Subject::Site { links, think, .. } = options.subject else {
            panic!("src is a directory");
        };
        assert_eq!(links.len(), 2);
        assert_eq!(think, Duration::from_millis(1500));
    }

    #[test]
    fn todays_client_is_pushed_nothing() {
        let options = parse("forerun measure src --client current").unwrap();
        assert_eq!(names(&options), "none, link, hints");
    }

    #[test]
    fn of_a_url_is_compared_what_a_client_can_choose() {
        let options = parse("forerun measure https://host.example/a/ --page b --page /c").unwrap();
        assert_eq!(names(&options), "none, hints, push");
        let Subject::Urls { urls, .. } = options.subject else {
            panic!("it is a URL");
        };
        let urls: Vec<_> = urls.iter().map(Url::as_str).collect();
        assert_eq!(urls, ["https://host.example/a/b", "https://host.example/c"]);
    }

    #[test]
    fn mistakes_are_answered_with_their_fix() {
        let said = |line: &str| format!("{:#}", parse(line).unwrap_err());
        assert!(said("forerun measure no/such").contains("no directory `no/such`"));
        assert!(said("forerun measure localhost:8443").contains("https://"));
        assert!(said("forerun measure http://host.example/").contains("write https://"));
        assert!(said("forerun measure https://").contains("is no URL"));
        assert!(said("forerun measure src --link slow4g").contains("did you mean `slow-4g`"));
        assert!(said("forerun measure src --link down=0").contains("nothing would ever arrive"));
        assert!(said("forerun measure src --delivery psh").contains("push-all"));
        assert!(said("forerun measure src --delivery no.toml").contains("cannot read no.toml"));
        assert!(said("forerun measure src --visit again").contains("[possible values: first, "));
        assert!(said("forerun measure src --think 200").contains("200ms"));
        assert!(said("forerun measure src --save push.toml").contains("--search"));
        assert!(said("forerun measure src --authority a.pem").contains("for a URL"));
        assert!(said("forerun measure src --repeat 0").contains("1.."));
        let current = "forerun measure src --client current";
        assert!(said(&format!("{current} --delivery push")).contains("chromium-103"));
        assert!(said(&format!("{current} --search")).contains("refuses"));
        let url = "forerun measure https://host.example/";
        assert!(said(&format!("{url} --link 3g")).contains("for a directory"));
        assert!(said(&format!("{url} --search")).contains("for a directory"));
        assert!(said(&format!("{url} --visit changed")).contains("for a directory"));
        assert!(said(&format!("{url} --delivery link")).contains("none, hints or push"));
        assert!(said(&format!("{url} --page /a/**")).contains("name each page"));
        assert!(said(&format!("{url} --page //other.example/")).contains("on its own"));
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(time("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1500)));
        for wrong in ["", "5", "s", "-1s", "infs", "NaNms", "1e30s", "1m"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
