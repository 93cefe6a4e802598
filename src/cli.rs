//! The only reader of arguments and environment: text in, options out.

mod measure;

use std::env;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::answer::{Deliver, Options};
use crate::certificate::CertificateOptions;
use crate::live::LiveOptions;
use crate::measure::MeasureOptions;
use crate::plan::{Format, PlanOptions};
use crate::serve::{Certificate, DevOptions, Exposure, Port, ServeOptions, address};
use crate::site::SiteOptions;
use crate::site::plan::Push;
use crate::tls;

const SERVING: &str = "Serving";
const AHEAD: &str = "Sending ahead";
const CERTIFICATE: &str = "Certificate";
const LIMITS: &str = "Limits";
const LIVE: &str = "Live reload";

/// What the program was told to do.
#[derive(Debug)]
pub enum Command {
    /// Serve a site.
    Serve(ServeOptions),
    /// Serve a site while it is edited.
    Dev(DevOptions),
    /// Load pages with and without help, and say the difference.
    Measure(Box<MeasureOptions>),
    /// Say what would be sent ahead.
    Plan(PlanOptions),
    /// Say where the local authority is, and how to trust it.
    Certificate(CertificateOptions),
}

/// A static file server that sends what a page needs before the page asks for it.
///
/// forerun serves a directory over TLS HTTP/2. It reads the HTML, CSS and modules of the site,
/// works out what each page needs, and sends that ahead: pushed to clients that take pushes, hinted
/// (103 Early Hints, Link) to today's browsers.
#[derive(Debug, Parser)]
#[command(
    name = "forerun",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_help_heading = "Commands",
    after_help = "Examples:\n  \
        forerun                         serve ./site at https://localhost:8443/\n  \
        forerun public --port 9000      serve ./public on another port\n  \
        forerun dev public --open       edit ./public and see every change at once\n  \
        forerun measure                 what is sending ahead worth for ./site, and where?\n  \
        forerun plan /docs/             what would be sent ahead with /docs/, and why\n  \
        forerun certificate             how to make browsers trust the local certificate"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Serve a site [default]
    Serve(ServeArguments),
    /// Serve a site while you edit it: open tabs follow the files
    ///
    /// It serves like `serve`, and keeps every open tab true to the disk: a style sheet or an image
    /// is swapped in place, a page is reloaded where it was scrolled to, and tabs that do not use
    /// what changed are left alone.
    #[command(after_help = "Examples:\n  \
        forerun dev                               edit ./site\n  \
        forerun dev public --open                 edit ./public, and open it in a browser\n  \
        forerun dev public --host                 try it on a telephone: scan the code\n  \
        forerun dev public --run 'sass scss:public/css' --watch scss")]
    Dev(DevArguments),
    /// Load pages with and without push, and say what it is worth
    ///
    /// The pages of a directory are loaded over simulated links by a simulated browser, from the
    /// real server: real TLS, real HTTP/2, the clock alone is not. Runs repeat to the byte. A URL
    /// is loaded over the real network.
    // Each delivery says what is pushed, and virtual time knows no disk.
    #[command(mut_arg("push", |arg| arg.hide(true)), mut_arg("memory_file", |arg| arg.hide(true)))]
    #[command(after_help = "Examples:\n  \
        forerun measure                              every page of ./site\n  \
        forerun measure public --page / --link 3g    one page on one link\n  \
        forerun measure public --html report.html    with waterfalls to look at\n  \
        forerun measure https://example.com/         any HTTP/2 server, as it is")]
    Measure(Box<measure::MeasureArguments>),
    /// Show what would be sent ahead with each page, and why the rest would not
    Plan(PlanArguments),
    /// Show the local certificate authority, and the command that makes this system trust it
    Certificate(CertificateArguments),
}

#[derive(Debug, Args)]
struct SiteArguments {
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

#[derive(Debug, Args)]
struct ServeArguments {
    /// The port to listen on; if it is taken, the next free one (0: any)
    ///
    /// Example: forerun --port 9000
    #[arg(long, default_value_t = 8443, help_heading = SERVING)]
    port: u16,

    #[command(flatten)]
    serving: ServingArguments,
}

#[derive(Debug, Args)]
struct DevArguments {
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

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
struct ServingArguments {
    /// The directory to serve
    #[arg(default_value = "site")]
    site: PathBuf,

    /// Fail if the port is taken
    ///
    /// Example: forerun --port 443 --strict-port
    #[arg(long, help_heading = SERVING)]
    strict_port: bool,

    /// Let other machines connect, on every address or on this one
    ///
    /// Without it only this machine can connect. Example: forerun --host 192.168.1.20
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "*",
          help_heading = SERVING)]
    host: Option<String>,

    /// Print a line for each answer: Common Log Format, and what was pushed with it
    ///
    /// Example: forerun --log | tee access.log
    #[arg(long, help_heading = SERVING)]
    log: bool,

    #[command(flatten)]
    site_arguments: SiteArguments,

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

    /// Print to standard error what is going on inside
    ///
    /// Example: forerun --debug 2> debug.log
    #[arg(long, help_heading = SERVING)]
    debug: bool,
}

#[derive(Debug, Args)]
struct PlanArguments {
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

#[derive(Debug, Args)]
struct CertificateArguments {
    /// The site, as for `serve`: the authority never lives inside it
    #[arg(default_value = "site")]
    site: PathBuf,
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExportArgument {
    /// Link lines of a _headers file (Netlify, Cloudflare Pages)
    Headers,
    /// <link> tags for each page's head
    Html,
    /// Link directives for nginx
    Nginx,
}

/// Reads the arguments and the environment.
///
/// # Errors
/// The arguments make no sense together; the message says what to do. (Clap itself answers
/// `--help` and misspelt flags, as an error whose exit code is its own.)
pub fn read() -> anyhow::Result<Command> {
    read_from(env::args_os())
}

fn read_from(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Command> {
    let arguments = Arguments::try_parse_from(arguments)?;
    Ok(match arguments.command {
        None => Command::Serve(serve(arguments.serve)?),
        Some(Subcommands::Serve(arguments)) => Command::Serve(serve(arguments)?),
        Some(Subcommands::Dev(arguments)) => Command::Dev(dev(arguments)?),
        Some(Subcommands::Measure(measuring)) => {
            log_to_stderr("forerun=error");
            Command::Measure(Box::new(measure::measure(*measuring)?))
        }
        Some(Subcommands::Plan(planning)) => Command::Plan(plan(planning)?),
        Some(Subcommands::Certificate(certificate)) => Command::Certificate(CertificateOptions {
            directory: authority_directory(&certificate.site)?,
            names: host_name()
                .into_iter()
                .chain(Exposure::Everywhere.names())
                .collect(),
            system: system(),
        }),
    })
}

fn serve(arguments: ServeArguments) -> anyhow::Result<ServeOptions> {
    serving(arguments.serving, arguments.port)
}

fn dev(arguments: DevArguments) -> anyhow::Result<DevOptions> {
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
        serve: serving(arguments.serving, port)?,
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

fn serving(arguments: ServingArguments, port: u16) -> anyhow::Result<ServeOptions> {
    log_to_stderr(if arguments.debug {
        "forerun=debug"
    } else {
        "forerun=info"
    });
    let certificate = match (arguments.certificate, arguments.key) {
        (Some(certificate), Some(key)) => Certificate::Files { certificate, key },
        _ => Certificate::Local {
            directory: authority_directory(&arguments.site)?,
            host_name: host_name(),
        },
    };
    let exposure = match arguments.host.as_deref() {
        None => Exposure::Loopback,
        Some("*") => Exposure::Everywhere,
        Some(address) => match address.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => Exposure::Everywhere,
            Ok(address) => Exposure::Address(address),
            Err(_) => bail!(
                "--host takes an address such as 192.168.1.20, or nothing for every address; \
                 \"{address}\" is neither (a site to serve goes before --host)"
            ),
        },
    };
    Ok(ServeOptions {
        site: site(arguments.site, &arguments.site_arguments),
        certificate,
        exposure,
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
        },
        log: arguments.log,
    })
}

fn plan(arguments: PlanArguments) -> anyhow::Result<PlanOptions> {
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

fn site(root: PathBuf, arguments: &SiteArguments) -> SiteOptions {
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

/// Reads the name of a host, as requests will name it.
fn host(text: &str) -> Result<String, String> {
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    url::Host::parse(text)
        .map(|host| host.to_string())
        .map_err(|_| "write a name alone, such as laptop.example: no https://, no port".to_owned())
}

/// Reads a number of bytes: `300`, `64K`, `4M`, `1G`.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => match text.strip_suffix(['G', 'g']) {
                Some(digits) => (digits, 1 << 30),
                None => (text, 1),
            },
        },
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(factor))
        .ok_or_else(|| "write a number of bytes, such as 65536, 64K, 4M or 1G".to_owned())
}

/// Returns where the local authority lives: `./certs` if it lies outside the site, else the user's
/// data directory.
fn authority_directory(site: &Path) -> anyhow::Result<PathBuf> {
    let certs = Path::new("certs");
    let data_home = env::var_os("XDG_DATA_HOME")
        .filter(|home| Path::new(home).is_absolute())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/share")))
        .context("neither XDG_DATA_HOME nor HOME says where to keep the certificate authority")?;
    Ok(tls::place(
        certs.is_dir().then_some(certs),
        site,
        &data_home,
    )?)
}

fn host_name() -> Option<String> {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    (!name.is_empty() && name != "localhost" && name != "(none)").then_some(name)
}

fn system() -> tls::trust::System {
    tls::trust::System::detect(std::fs::read_to_string("/etc/os-release").ok().as_deref())
}

fn log_to_stderr(level: &str) {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::new(level);
    // A second call (in tests) finds the first one's subscriber, which serves as well.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Command> {
        read_from(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_definition_of_arguments_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_and_takes_the_same_flags() {
        for line in [
            "forerun public --port 1 --host",
            "forerun serve public --port 1 --host",
        ] {
            let Command::Serve(options) = parse(line).unwrap() else {
                panic!("{line}")
            };
            assert_eq!(options.site.root, Path::new("public"));
            assert_eq!(options.port, Port::From(1));
            assert_eq!(options.exposure, Exposure::Everywhere);
        }
    }

    #[test]
    fn dev_takes_what_serve_takes_and_what_it_adds() {
        let line = "forerun dev public --port 1 --explain --open --poll --ignore *.map --ignore b/ \
                    --no-console --run make --watch src --allow-host Laptop.Example";
        let Command::Dev(options) = parse(line).unwrap() else {
            panic!("{line}")
        };
        assert_eq!(options.serve.site.root, Path::new("public"));
        assert_eq!(options.serve.port, Port::From(1));
        assert!(options.serve.answer.explain);
        let expected = LiveOptions {
            open: true,
            poll: true,
            ignored: vec!["*.map".into(), "b/".into()],
            console: false,
            run: Some("make".into()),
            watched: vec!["src".into()],
            allowed_hosts: vec!["laptop.example".into()],
        };
        assert_eq!(options.live, expected);
    }

    #[test]
    fn dev_gives_each_site_its_port_unless_told() {
        let port = |line: &str| match parse(line).unwrap() {
            Command::Dev(options) => options.serve.port,
            other => panic!("{other:?}"),
        };
        let stable = address::port(Path::new("src"));
        assert_eq!(port("forerun dev src"), Port::From(stable));
        assert_eq!(port("forerun dev src --strict-port"), Port::Only(stable));
        assert_ne!(port("forerun dev tests"), Port::From(stable));
        assert_eq!(port("forerun dev src --port 0"), Port::From(0));
    }

    #[test]
    fn mistakes_are_answered_with_their_fix() {
        let said = |line: &str| format!("{:#}", parse(line).unwrap_err());
        assert!(said("forerun --host public").contains("goes before --host"));
        assert!(said("forerun plan public").contains("--site public"));
        assert!(said("forerun --certificate a.pem").contains("--key"));
        assert!(said("forerun --memory 3X").contains("64K"));
        assert!(said("forerun dev --watch src").contains("--run"));
        assert!(said("forerun dev src/live --run make --watch src").contains("for ever"));
        assert!(said("forerun dev src/to/build --run make --watch src").contains("for ever"));
        assert!(said("forerun dev --run make --watch no/such").contains("no such directory"));
        assert!(said("forerun dev --allow-host https://a.example/").contains("name alone"));
        assert!(said("forerun dev --allow-host a.example:80").contains("name alone"));
    }

    #[test]
    fn bytes_are_read_with_their_unit() {
        assert_eq!(bytes("300"), Ok(300));
        assert_eq!(bytes("64K"), Ok(65_536));
        assert_eq!(bytes("2m"), Ok(2 << 20));
        assert!(bytes("999999999999G").is_err());
        assert!(bytes("-1").is_err());
    }
}
