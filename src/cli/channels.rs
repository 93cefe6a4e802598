//! Arguments about channels.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::CHANNELS;
use super::site::not_served;
use crate::answer::channels::{ChannelOptions, Keys, Origins, Prefix, SlowRule, SlowRules};
use crate::serve::{ChannelSettings, Keep};

/// Largest file of keys, in bytes.
const KEYS_BYTES_MAX: u64 = 1024 * 1024;
/// The channels of the built-in site.
const DEMO: &str = "demo/*";

#[derive(Debug, Args)]
pub(super) struct ChannelArguments {
    /// Have channels at /channels/NAME: publish once, and be heard by polling, long polling,
    /// Server-Sent Events and WebSocket
    ///
    /// Events are kept in memory, or in a directory that outlives the server; Mercure's clients
    /// find them at /.well-known/mercure. Example: forerun --channels=/var/lib/forerun
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true,
          default_missing_value = "", help_heading = CHANNELS)]
    channels: Option<String>,

    /// Keep the events of channels in Redis, shared by all servers that name it
    ///
    /// As in `redis://10.0.0.5:6379`, of Redis 7 or Valkey. `rediss:` is over TLS: its certificate
    /// is vouched for by the system's authorities, or by those in the PEM file that
    /// `SSL_CERT_FILE` names in the environment. Example: forerun --redis "$REDIS"
    #[arg(long, value_name = "URL", conflicts_with = "channels", help_heading = CHANNELS)]
    redis: Option<String>,

    /// Let everybody hear this channel, or all that begin so; may be given more than once
    ///
    /// Example: forerun --channels --channel-anonymous 'news/*'
    #[arg(long, value_name = "PREFIX", value_parser = Prefix::parse, help_heading = CHANNELS)]
    channel_anonymous: Vec<Prefix>,

    /// What a slow subscriber of this channel, or of all that begin so, gets of what has gathered:
    /// catch-up, latest or close; may be given more than once
    ///
    /// catch-up sends all of it, as without the flag; latest sends the last event of each channel,
    /// and says how many came before; close ends the stream where more than 1000 have gathered, and
    /// says from where on to come again. A poll gets all. The longest prefix counts.
    /// Example: forerun --channels --channel-slow 'stock/*=latest'
    #[arg(long, value_name = "PREFIX=POLICY", value_parser = SlowRule::parse,
          help_heading = CHANNELS)]
    channel_slow: Vec<SlowRule>,

    /// Let pages of another origin hear and publish (*: of any); may be given more than once
    ///
    /// An origin is a scheme and a host, as in `https://app.example`.
    /// Example: forerun --channels --channel-origin '*'
    #[arg(long, value_name = "ORIGIN", help_heading = CHANNELS)]
    channel_origin: Vec<String>,

    /// A file with what tokens are signed with: a secret, a public key (PEM) or a set of them
    /// (JWKS); may be given more than once
    ///
    /// For both who publishes and who hears, unless `publisher:` or `subscriber:` is put before it.
    /// Example: forerun --channels --channel-key publisher:secret.txt
    #[arg(long, value_name = "[ROLE:]FILE", help_heading = CHANNELS)]
    channel_key: Vec<String>,

    /// Have channels to try, without a key: demo/* for whoever is on this machine, and /echo, a
    /// WebSocket that says everything back
    ///
    /// So it is for the site that comes with forerun, and no other. Example: forerun public --demo
    #[arg(long, help_heading = CHANNELS)]
    demo: bool,
}

/// What may be tried without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// Only what is asked for.
    Asked,
    /// The demonstration's channels.
    Demo,
    /// All channels: whoever edits a site tries its own.
    All,
}

/// Turns arguments into options: `None` if there are no channels.
pub(super) fn channels(
    arguments: ChannelArguments,
    site: &Path,
    trial: Trial,
) -> anyhow::Result<Option<ChannelSettings>> {
    let is_asked = arguments.channels.is_some()
        || arguments.redis.is_some()
        || !arguments.channel_key.is_empty()
        || !arguments.channel_anonymous.is_empty()
        || !arguments.channel_slow.is_empty()
        || !arguments.channel_origin.is_empty();
    let is_demo = arguments.demo || trial != Trial::Asked;
    if !is_asked && !is_demo {
        return Ok(None);
    }
    let keep = match (arguments.redis, arguments.channels.as_deref()) {
        (Some(url), _) => Keep::Redis(url),
        (None, None | Some("")) => Keep::Memory,
        (None, Some(directory)) => {
            not_served(Path::new(directory), site)
                .with_context(|| format!("--channels={directory}"))?;
            Keep::Disk(directory.into())
        }
    };
    let origins = Origins::parse(&arguments.channel_origin);
    let slow = SlowRules::new(arguments.channel_slow);
    let mut options = ChannelOptions {
        anonymous: arguments.channel_anonymous,
        unsigned: Vec::new(),
        slow: slow.map_err(|wrong| anyhow!("--channel-slow: {wrong}"))?,
        origins: origins.map_err(|wrong| anyhow!("--channel-origin: {wrong}"))?,
        ..ChannelOptions::default()
    };
    let tried = match trial {
        Trial::All => Some("*"),
        Trial::Demo => Some(DEMO),
        Trial::Asked => arguments.demo.then_some(DEMO),
    };
    if let Some(tried) = tried {
        let tried = Prefix::parse(tried).map_err(|wrong| anyhow!(wrong))?;
        options.anonymous.push(tried.clone());
        options.unsigned.push(tried);
    }
    for text in &arguments.channel_key {
        add_keys(&mut options, text, site).with_context(|| format!("--channel-key {text}"))?;
    }
    Ok(Some(ChannelSettings {
        keep,
        options,
        is_demo,
    }))
}

fn add_keys(options: &mut ChannelOptions, text: &str, site: &Path) -> anyhow::Result<()> {
    let (publishes, hears, file) = match text.split_once(':') {
        Some(("publisher", file)) => (true, false, file),
        Some(("subscriber", file)) => (false, true, file),
        _ => (true, true, text),
    };
    let keys = keys(Path::new(file))?;
    if keys.has_secret() {
        not_served(Path::new(file), site)?;
    }
    let roles = [
        (publishes, &mut options.publishers),
        (hears, &mut options.subscribers),
    ];
    for (_, role) in roles.into_iter().filter(|(is_meant, _)| *is_meant) {
        let both = std::mem::take(role).and(keys.clone());
        *role = both.map_err(|wrong| anyhow!(wrong))?;
    }
    Ok(())
}

fn keys(file: &Path) -> anyhow::Result<Keys> {
    let name = file.display();
    let length = std::fs::metadata(file)
        .with_context(|| format!("cannot read `{name}`"))?
        .len();
    if length > KEYS_BYTES_MAX {
        bail!("`{name}` is larger than {KEYS_BYTES_MAX} bytes");
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{name}`"))?;
    let text = bytes.trim_ascii();
    let keys = if text.starts_with(b"-----") || text.starts_with(b"{") {
        Keys::read(text)
    } else {
        Keys::secret(text)
    };
    keys.map_err(|wrong| anyhow!("`{name}`: {wrong}"))
}
