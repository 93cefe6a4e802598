//! Arguments of `forerun serve`, most of which `forerun dev` takes too.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use super::certificate::{authority_directory, host_name};
use super::channels::{ChannelArguments, Trial, channels};
use super::site::{SiteArguments, not_served, site};
use super::values::{admin, bytes, count, exposure, time_that_passes};
use super::{AHEAD, CERTIFICATE, LIMITS, SERVING, log_to_stderr, policy};
use crate::access_log::Format;
use crate::answer::{Deliver, Options};
use crate::door::limits::Limits;
use crate::serve::{Certificate, Exposure, Port, ServeOptions};

/// The site that shows what forerun does, where it is served from.
const BUILT_IN: &str = "site";
/// What that site has, and no other of its name.
const BUILT_IN_MARK: &str = ".forerun-built-in";

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The port to listen on; if it is taken, the next free one (0: any)
    ///
    /// Example: forerun --port 9000
    #[arg(long, default_value_t = 8443, help_heading = SERVING)]
    port: u16,

    #[command(flatten)]
    serving: ServingArguments,
}

#[derive(Debug, Args)]
pub(super) struct ServingArguments {
    /// The directory to serve
    #[arg(default_value = BUILT_IN)]
    pub(super) site: PathBuf,

    /// Fail if the port is taken
    ///
    /// Example: forerun --port 443 --strict-port
    #[arg(long, help_heading = SERVING)]
    strict_port: bool,

    /// Let other machines connect, on every address or on this one
    ///
    /// Without it only this machine can connect. Example: forerun --host 192.168.1.20
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "*",
          value_parser = exposure, help_heading = SERVING)]
    host: Option<Exposure>,

    /// Print a line for each answer: Common Log Format and what was pushed with it, or JSON
    ///
    /// Example: forerun --log | tee access.log
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1,
          default_missing_value = "common", help_heading = SERVING)]
    log: Option<LogArgument>,

    /// Answer operators here, in plain HTTP: /metrics for Prometheus, and /healthz
    ///
    /// A port alone is one of this machine. Example: forerun --admin 9100
    #[arg(long, value_name = "ADDRESS", value_parser = admin, help_heading = SERVING)]
    admin: Option<SocketAddr>,

    #[command(flatten)]
    site_arguments: SiteArguments,

    #[command(flatten)]
    policy: policy::PolicyArguments,

    #[command(flatten)]
    channels: ChannelArguments,

    /// How it is sent
    ///
    /// Example: forerun --deliver hints
    #[arg(long, value_enum, default_value_t, help_heading = AHEAD)]
    deliver: DeliverArgument,

    /// Say in a Server-Timing header what was sent ahead, and why the rest was not
    ///
    /// Example: forerun --explain, then look at a page's timing in the developer tools
    #[arg(long, help_heading = AHEAD)]
    explain: bool,

    /// A certificate chain in PEM, leaf first, in place of the minted one
    ///
    /// It is read anew when it changes, or on SIGHUP.
    /// Example: forerun --certificate fullchain.pem --key privkey.pem
    #[arg(long, value_name = "FILE", requires = "key", help_heading = CERTIFICATE)]
    certificate: Option<PathBuf>,

    /// The certificate's private key in PEM
    ///
    /// Example: forerun --certificate fullchain.pem --key privkey.pem
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = CERTIFICATE)]
    key: Option<PathBuf>,

    #[command(flatten)]
    limits: LimitArguments,

    /// Print to standard error what is going on inside
    ///
    /// Example: forerun --debug 2> debug.log
    #[arg(long, help_heading = SERVING)]
    debug: bool,
}

#[derive(Debug, Args)]
struct LimitArguments {
    /// Connections at once; more wait until one ends
    ///
    /// Example: forerun --max-connections 50000
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections,
          value_parser = count, help_heading = LIMITS)]
    max_connections: usize,

    /// Connections at once from one address (IPv6: one network of 64 bits); more are closed
    ///
    /// Example: forerun --max-connections-per-address 100
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections_per_address,
          value_parser = count, help_heading = LIMITS)]
    max_connections_per_address: usize,

    /// Requests that a client may have open at once on one connection
    ///
    /// Example: forerun --max-streams 100
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().streams,
          value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = LIMITS)]
    max_streams: u32,

    /// Bytes held for all clients that have not taken them; above, who holds too much is closed
    ///
    /// Too much is more than its share: all bytes by the number of connections, but never less
    /// than a slow link needs. Files in memory are held once for all, and do not count.
    ///
    /// Example: forerun --max-buffered 1G
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = bytes,
          help_heading = LIMITS)]
    max_buffered: u64,

    /// How long a connection is kept without a request
    ///
    /// Example: forerun --idle-timeout 60s
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = time_that_passes,
          help_heading = LIMITS)]
    idle_timeout: Duration,

    /// Events that one address (IPv6: one network of 64 bits) may publish in a second
    ///
    /// Example: forerun --channels --max-publishes 20
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().publishes_per_address,
          value_parser = clap::value_parser!(u32).range(1..), help_heading = LIMITS)]
    max_publishes: u32,

    /// Bytes of events that one address may publish in a second
    ///
    /// Example: forerun --channels --max-published 64K
    #[arg(long, value_name = "BYTES", default_value = "16M", value_parser = bytes,
          help_heading = LIMITS)]
    max_published: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogArgument {
    /// Common Log Format, and what was pushed
    Common,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum DeliverArgument {
    /// Pushed where pushes are taken, hinted to browsers, Link over HTTP/1.1
    #[default]
    Auto,
    /// Pushed where pushes are taken, else not at all
    Push,
    /// In a 103 and the Link of the 200
    Hints,
    /// In the Link of the 200
    Link,
    /// Not at all
    None,
}

/// Turns arguments into options.
pub(super) fn serve(arguments: ServeArguments) -> anyhow::Result<ServeOptions> {
    let trial = trial(&arguments.serving.site, Path::new(""));
    serving(arguments.serving, arguments.port, trial)
}

/// Returns what may be tried of a site, seen from a directory: whoever has a directory of their own
/// that is called as the built-in site is has not asked for its channels.
fn trial(site: &Path, from: &Path) -> Trial {
    let is_built_in = || from.join(site).join(BUILT_IN_MARK).is_file();
    if site.strip_prefix(".").unwrap_or(site) == Path::new(BUILT_IN) && is_built_in() {
        Trial::Demo
    } else {
        Trial::Asked
    }
}

/// Turns the arguments that `serve` and `dev` share into options.
pub(super) fn serving(
    arguments: ServingArguments,
    port: u16,
    trial: Trial,
) -> anyhow::Result<ServeOptions> {
    log_to_stderr(if arguments.debug {
        "forerun=debug"
    } else {
        "forerun=info"
    });
    let certificate = match (arguments.certificate, arguments.key) {
        (Some(certificate), Some(key)) => {
            not_served(&key, &arguments.site)
                .with_context(|| format!("--key {}", key.display()))?;
            Certificate::Files { certificate, key }
        }
        _ => Certificate::Local {
            directory: authority_directory(&arguments.site)
                .map_err(|error| anyhow!("{error:#}, or give --certificate and --key"))?,
            host_name: host_name(),
        },
    };
    let has_own_certificate = matches!(certificate, Certificate::Files { .. });
    let http_port = arguments.policy.http_port;
    let channels = channels(arguments.channels, &arguments.site, trial)?;
    let policy = policy::policy(arguments.policy, &arguments.site, has_own_certificate)?;
    Ok(ServeOptions {
        site: site(arguments.site, &arguments.site_arguments),
        certificate,
        exposure: arguments.host.unwrap_or(Exposure::Loopback),
        port: if arguments.strict_port {
            Port::Only(port)
        } else {
            Port::From(port)
        },
        answer: Options {
            deliver: match arguments.deliver {
                DeliverArgument::Auto => Deliver::Auto,
                DeliverArgument::Push => Deliver::Push,
                DeliverArgument::Hints => Deliver::Hints,
                DeliverArgument::Link => Deliver::Link,
                DeliverArgument::None => Deliver::None,
            },
            explain: arguments.explain,
            live: None,
            policy,
        },
        http_port,
        channels,
        log: arguments.log.map(|format| match format {
            LogArgument::Common => Format::Common,
            LogArgument::Json => Format::Json,
        }),
        limits: Limits {
            connections: arguments.limits.max_connections,
            connections_per_address: arguments.limits.max_connections_per_address,
            streams: arguments.limits.max_streams,
            idle: arguments.limits.idle_timeout,
            buffered_bytes: arguments.limits.max_buffered,
            publishes_per_address: arguments.limits.max_publishes,
            published_bytes_per_address: arguments.limits.max_published,
        },
        admin: arguments.admin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_built_in_site_is_one_to_try() {
        let here = tempfile::tempdir().unwrap();
        let tried = |site: &str| trial(Path::new(site), here.path());
        for site in ["site", "other"] {
            std::fs::create_dir(here.path().join(site)).unwrap();
            assert_eq!(
                tried(site),
                Trial::Asked,
                "{site}, a directory of the user's"
            );
            std::fs::write(here.path().join(site).join(BUILT_IN_MARK), "").unwrap();
        }
        assert_eq!(tried("site"), Trial::Demo);
        assert_eq!(tried("./site"), Trial::Demo);
        assert_eq!(tried("other"), Trial::Asked, "it was named");
        assert_eq!(tried("none"), Trial::Asked);
        // The one of this very program, as the tests of the flags have it.
        assert_eq!(trial(Path::new(BUILT_IN), Path::new("")), Trial::Demo);
    }
}
