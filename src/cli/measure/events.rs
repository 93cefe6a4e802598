//! Arguments of `forerun measure --events`.

use std::time::Duration;

use clap::Args;

use crate::cli::values::time;
use crate::measure::events::{POLL_EVERY_MAX, POLL_EVERY_MIN};

const EVENTS: &str = "Events";

/// What says how pages are loaded, and nothing of events.
const OF_PAGES: [&str; 17] = [
    "subject",
    "page",
    "delivery",
    "visit",
    "client",
    "think",
    "client_delay",
    "timeout",
    "authority",
    "repeat",
    "search",
    "har",
    "validate",
    "follow_symlinks",
    "push",
    "memory_file",
    "memory",
];

#[derive(Debug, Args)]
pub(super) struct EventArguments {
    /// Measure channels instead of pages: polling, long polling, SSE and WebSocket, on each link
    ///
    /// From published to arrived, and the bytes and requests that an event takes, and a minute in
    /// which there is none. The links are simulated. With --json, --html and --svg as for pages.
    /// Example: forerun measure --events --link 4g --svg events.svg
    #[arg(long, conflicts_with_all = OF_PAGES, help_heading = EVENTS)]
    pub(super) events: bool,

    /// From one poll to the next
    ///
    /// From 100ms to 60s. Example: forerun measure --events --poll-every 1s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = poll_every,
          requires = "events", help_heading = EVENTS)]
    pub(super) poll_every: Duration,
}

/// Reads a time between two polls.
fn poll_every(text: &str) -> Result<Duration, String> {
    let every = time(text)?;
    let is_measured = (POLL_EVERY_MIN..=POLL_EVERY_MAX).contains(&every);
    let fix = || "write a time from 100ms to 60s".to_owned();
    is_measured.then_some(every).ok_or_else(fix)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::measure::LINKS;
    use crate::cli::{Command, read_from};

    #[test]
    fn events_are_measured_on_links_and_nothing_else_is_asked_for() {
        let parse = |line: &str| read_from(line.split_whitespace().map(OsString::from));
        let Command::MeasureEvents(options) = parse("forerun measure --events").unwrap() else {
            panic!("it is events");
        };
        let links: Vec<_> = options
            .links
            .iter()
            .map(|link| link.name.as_str())
            .collect();
        assert_eq!(links, LINKS);
        assert_eq!(options.poll_every, Duration::from_secs(5));
        assert!(!options.json && options.html.is_none() && options.svg.is_none());
        let line = "forerun measure --events --link 3g --link 3g --poll-every 250ms --json";
        let Command::MeasureEvents(options) = parse(line).unwrap() else {
            panic!("it is events");
        };
        assert_eq!((options.links.len(), options.json), (1, true));
        assert_eq!(options.poll_every, Duration::from_millis(250));

        let said = |line: &str| format!("{:#}", parse(line).unwrap_err());
        for other in [
            "src",
            "--page /",
            "--delivery push",
            "--visit repeat",
            "--client current",
            "--think 1s",
            "--client-delay 1ms",
            "--timeout 1s",
            "--repeat 2",
            "--search",
            "--authority a.pem",
            "--har a.har",
            "--validate",
            "--push all",
            "--memory 1G",
            "--memory-file 1M",
            "--follow-symlinks",
        ] {
            let said = said(&format!("forerun measure --events {other}"));
            assert!(
                said.contains("--events") && said.contains("cannot be used with"),
                "{said}"
            );
        }
        assert!(said("forerun measure --poll-every 1s").contains("--events"));
        for wrong in ["1", "99ms", "61s", "0s"] {
            let said = said(&format!("forerun measure --events --poll-every {wrong}"));
            assert!(said.contains("write a time"), "{said}");
        }
    }
}
