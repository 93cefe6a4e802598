//! The only reader of arguments and environment: text in, options out.

mod certificate;
mod channels;
mod config;
mod dev;
mod manual;
mod measure;
mod plan;
mod policy;
mod publish;
mod serve;
mod site;
mod unexpected;
mod values;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::certificate::CertificateOptions;
use crate::measure::MeasureOptions;
use crate::measure::events::EventOptions;
use crate::plan::PlanOptions;
use crate::publish::PublishOptions;
use crate::serve::{DevOptions, ServeOptions, limits};

const SERVING: &str = "Serving";
const AHEAD: &str = "Sending ahead";
const ANSWERS: &str = "Answers";
const CERTIFICATE: &str = "Certificate";
const LIMITS: &str = "Limits (`forerun limits` lists all)";
const CHANNELS: &str = "Channels";
const LIVE: &str = "Live reload";
const SETTINGS: &str = "Settings";
const EXAMPLES: &str = "Examples:\n  \
    forerun                         serve ./site at https://localhost:8443/\n  \
    forerun public --port 9000      serve ./public on another port\n  \
    forerun dev public --open       edit ./public and see every change at once\n  \
    forerun measure                 what is sending ahead worth for ./site, and where?\n  \
    forerun plan /docs/             what would be sent ahead with /docs/, and why\n  \
    forerun certificate             how to make browsers trust the local certificate";

/// What the program was told to do.
#[derive(Debug)]
pub enum Command {
    /// Serve a site.
    Serve(ServeOptions),
    /// Serve a site while it is edited.
    Dev(DevOptions),
    /// Load pages with and without help, and say the difference.
    Measure(Box<MeasureOptions>),
    /// Hear a channel in four ways, and say what each takes.
    MeasureEvents(Box<EventOptions>),
    /// Say what would be sent ahead.
    Plan(PlanOptions),
    /// Say something on a channel.
    Publish(PublishOptions),
    /// Hash the password of this user.
    Hash(String),
    /// Say where the local authority is, and how to trust it.
    Certificate(CertificateOptions),
    /// Print what is already known.
    Print(Vec<u8>),
}

impl Command {
    /// Returns the directory that anybody will read; `None` if none is served.
    fn site(&self) -> Option<&Path> {
        match self {
            Self::Serve(options) => Some(&options.site.root),
            Self::Dev(options) => Some(&options.serve.site.root),
            _ => None,
        }
    }
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
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", limits::help())
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommands>,
    /// Read settings from this file [default: forerun.toml, if there is one]
    ///
    /// Each flag is a key of its name: `port = 9000`, `explain = true`. A section sets what one
    /// command does, as in [dev]; what stands above the sections is for `serve`. The environment
    /// goes before the file (`FORERUN_PORT=9000`), and the command line before both.
    /// Example: forerun --config /etc/forerun.toml
    #[arg(long, value_name = "FILE", global = true, help_heading = SETTINGS)]
    config: Option<PathBuf>,
    #[command(flatten)]
    serve: serve::ServeArguments,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Serve a site [default]
    #[command(after_long_help = limits::help())]
    Serve(serve::ServeArguments),
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
    Dev(dev::DevArguments),
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
    Plan(plan::PlanArguments),
    /// Publish on a channel of a server that runs, and print the event's id
    #[command(after_help = "Examples:\n  \
        forerun publish demo/chat hello           say hello at https://localhost:8443\n  \
        date | forerun publish demo/chat          say what standard input says\n  \
        forerun publish news hello --url https://example.com")]
    Publish(publish::PublishArguments),
    /// Hash a password for --auth: it is asked for, or read from standard input
    ///
    /// Example: forerun hash ada >> users
    Hash(HashArguments),
    /// Show the local certificate authority, and the command that makes this system trust it
    Certificate(certificate::CertificateArguments),
    /// Print the limits: how much, which flag sets it, what who exceeds it sees
    Limits,
    /// Print what makes a shell complete the flags
    ///
    /// Example: forerun completions bash > ~/.local/share/bash-completion/completions/forerun
    Completions(manual::CompletionsArguments),
    /// Print the manual page, of the program or of a command
    ///
    /// Example: forerun man dev | man -l -
    Man(manual::ManArguments),
}

#[derive(Debug, Args)]
struct HashArguments {
    /// The user
    name: String,
}

/// Reads the arguments, the environment and the configuration file. A variable that is mistyped is
/// said on standard error.
///
/// # Errors
/// The arguments make no sense together; the message says what to do. (Clap itself answers
/// `--help` and misspelt flags, as an error whose exit code is its own.)
pub fn read() -> anyhow::Result<Command> {
    let variables = env::vars_os().map(|(name, _)| name);
    for mistake in config::mistyped(Arguments::command(), variables) {
        // It is no reason to stop that nobody can read it.
        let _ = writeln!(io::stderr(), "forerun: {mistake}");
    }
    let completed = config::complete(Arguments::command(), env::args_os().collect(), |name| {
        env::var_os(name)
    })?;
    read_completed(&completed)
}

fn read_completed(completed: &config::Completed) -> anyhow::Result<Command> {
    let words = completed.arguments.iter().cloned();
    let command = read_from(words).map_err(|error| completed.explain(error))?;
    if let (Some(settings), Some(site)) = (&completed.settings, command.site()) {
        site::not_served(settings, site)
            .with_context(|| format!("the settings in {}", settings.display()))?;
    }
    Ok(command)
}

fn read_from(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<Command> {
    let words: Vec<_> = words.into_iter().collect();
    let arguments = Arguments::try_parse_from(&words)
        .map_err(|error| unexpected::said_as_it_is(error, &words, Arguments::command()))
        .map_err(config::discreet)?;
    Ok(match arguments.command {
        None => Command::Serve(serve::serve(arguments.serve)?),
        Some(Subcommands::Serve(arguments)) => Command::Serve(serve::serve(arguments)?),
        Some(Subcommands::Dev(arguments)) => Command::Dev(dev::dev(arguments)?),
        Some(Subcommands::Measure(measuring)) => {
            log_to_stderr("forerun=error");
            measure::command(*measuring)?
        }
        Some(Subcommands::Hash(hash)) => Command::Hash(hash.name),
        Some(Subcommands::Publish(arguments)) => Command::Publish(publish::publish(arguments)?),
        Some(Subcommands::Plan(planning)) => Command::Plan(plan::plan(planning)?),
        Some(Subcommands::Certificate(arguments)) => {
            Command::Certificate(certificate::certificate(&arguments)?)
        }
        Some(Subcommands::Limits) => Command::Print(limits::table().into_bytes()),
        Some(Subcommands::Completions(arguments)) => {
            Command::Print(manual::completions(&arguments, Arguments::command()))
        }
        Some(Subcommands::Man(arguments)) => {
            Command::Print(manual::page(&arguments, Arguments::command())?)
        }
    })
}

fn log_to_stderr(level: &str) {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::new(level);
    // A second call (in tests) finds the first one's subscriber, which serves as well.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .try_init();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::live::LiveOptions;
    use crate::serve::{Exposure, Keep, Port, address};

    fn parse(line: &str) -> anyhow::Result<Command> {
        read_from(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_definition_of_arguments_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn limits_that_can_be_set_have_their_flag_and_default() {
        let definition = Arguments::command();
        let serve = definition.find_subcommand("serve").unwrap();
        let limits = limits::all();
        let flags: Vec<_> = limits.iter().filter_map(|limit| limit.flag).collect();
        for flag in &flags {
            let named = |arg: &&clap::Arg| arg.get_long().is_some_and(|long| flag.ends_with(long));
            assert!(serve.get_arguments().any(|arg| named(&arg)), "{flag}");
        }
        assert_eq!(flags.len(), 9, "{flags:?}");
        let unfolded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for asked in [["forerun", "--help", ""], ["forerun", "serve", "--help"]] {
            let asked = asked.into_iter().filter(|word| !word.is_empty());
            let help = Arguments::try_parse_from(asked).unwrap_err().to_string();
            for limit in &limits {
                let told = format!("{}: {}", limit.name, limit.default);
                assert!(unfolded(&help).contains(&told), "{told}");
            }
        }
        let Command::Serve(options) = parse("forerun").unwrap() else {
            panic!("serve is the default")
        };
        assert_eq!(options.limits, crate::door::limits::Limits::default());
        let site = crate::site::SiteOptions::new(PathBuf::new());
        assert_eq!(options.site.memory_bytes_max, site.memory_bytes_max);
        assert_eq!(
            options.site.memory_file_bytes_max,
            site.memory_file_bytes_max
        );
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
    fn what_is_secret_is_not_in_the_site() {
        let home = tempfile::tempdir().unwrap();
        let (site, file) = (home.path().join("public"), home.path().join("public/file"));
        std::fs::create_dir(&site).unwrap();
        std::fs::write(
            &file,
            "a secret of more than the 32 bytes that one has to have",
        )
        .unwrap();
        let (site, file) = (site.display(), file.display());
        for (named, flags) in [
            ("--key", format!("--certificate {file} --key {file}")),
            ("--auth-file", format!("--auth-file {file}")),
            (
                "--channel-key",
                format!("--channels --channel-key publisher:{file}"),
            ),
            ("--channels", format!("--channels={site}/events")),
        ] {
            for command in ["serve", "dev"] {
                let error = parse(&format!("forerun {command} {site} {flags}")).unwrap_err();
                let error = format!("{error:#}");
                assert!(error.starts_with(named), "{error}");
                assert!(error.contains("this is inside the site"), "{error}");
            }
        }
    }

    #[test]
    fn channels_are_there_for_who_asks_and_to_be_tried() {
        let channels = |line: &str| match parse(line).unwrap() {
            Command::Serve(options) => options.channels,
            Command::Dev(options) => options.serve.channels,
            other => panic!("{other:?}"),
        };
        let unsigned = |line: &str| {
            let settings = channels(line).unwrap();
            let prefixes = settings.options.unsigned.iter().map(ToString::to_string);
            (
                settings.keep,
                settings.is_demo,
                prefixes.collect::<Vec<_>>(),
            )
        };
        assert!(channels("forerun public").is_none());
        let demo = || vec!["demo/*".to_owned()];
        assert_eq!(unsigned("forerun"), (Keep::Memory, true, demo()));
        assert_eq!(
            unsigned("forerun public --demo"),
            (Keep::Memory, true, demo())
        );
        let kept = Keep::Disk("events".into());
        assert_eq!(
            unsigned("forerun public --channels=events"),
            (kept, false, vec![])
        );
        let shared = Keep::Redis("redis://h".to_owned());
        assert_eq!(
            unsigned("forerun public --redis redis://h"),
            (shared, false, vec![])
        );
        let all = vec!["*".to_owned()];
        assert_eq!(unsigned("forerun dev public"), (Keep::Memory, true, all));
        let open = channels("forerun public --channel-anonymous news/*").unwrap();
        assert_eq!(open.options.anonymous[0].to_string(), "news/*");
        let slow = channels("forerun public --channel-slow a/*=latest --channel-slow b=close");
        let slow = slow.unwrap().options.slow;
        assert_eq!(slow.of("a/x"), crate::hub::Slow::Latest);
        assert_ne!(slow.of("b"), slow.of("c"));
    }

    #[test]
    fn mistakes_are_answered_with_their_fix() {
        let said = |line: &str| format!("{:#}", parse(line).unwrap_err());
        assert!(said("forerun --host public").contains("goes before --host"));
        let password = said("forerun --auth ada:secret");
        assert!(password.contains("forerun hash NAME") && !password.contains("secret"));
        assert!(said("forerun plan public").contains("--site public"));
        assert!(said("forerun --certificate a.pem").contains("--key"));
        assert!(said("forerun --memory 3X").contains("64K"));
        assert!(said("forerun --channels=site/events").contains("inside the site"));
        assert!(said("forerun --channels --redis redis://h").contains("cannot be used with"));
        assert!(said("forerun --channel-key no/such").contains("cannot read"));
        assert!(said("forerun --channel-key Cargo.toml --channel-origin a").contains("origin"));
        assert!(said("forerun --channel-slow a=fast").contains("catch-up, latest or close"));
        let twice = "forerun --channel-slow a=close --channel-slow a=latest";
        assert!(said(twice).contains("two policies"));
        assert!(said("forerun publish a b --url http://h").contains("https://"));
        assert!(said("forerun dev --watch src").contains("--run"));
        assert!(said("forerun dev src/live --run make --watch src").contains("for ever"));
        assert!(said("forerun dev src/to/build --run make --watch src").contains("for ever"));
        assert!(said("forerun dev --run make --watch no/such").contains("no such directory"));
        assert!(said("forerun dev --allow-host https://a.example/").contains("name alone"));
        assert!(said("forerun dev --allow-host a.example:80").contains("name alone"));
    }
}
