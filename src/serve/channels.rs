//! Channels of a server: where events are kept, and what is said of that at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::answer::channels::{CHANNELS, ChannelOptions, MERCURE};
use crate::door::channels::rates::Rate;
use crate::door::channels::{Channels, ECHO, Setting};
use crate::door::limits::Limits as Allowed;
use crate::hub::store::Store;
use crate::hub::store::redis::RedisOptions;
use crate::hub::{Limits, Publication};
use crate::metrics::Metrics;

/// The name before all keys in Redis: servers with one Redis share their channels.
const REDIS_NAME: &str = "forerun";

/// Channels, as they were asked for.
#[derive(Debug, Clone)]
pub struct ChannelSettings {
    /// Where events are kept.
    pub keep: Keep,
    /// Who may hear and publish.
    pub options: ChannelOptions,
    /// Whether everything is said back at [`ECHO`].
    pub is_demo: bool,
}

/// Where events are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// In memory: they are gone when the server is.
    Memory,
    /// In this directory.
    Disk(PathBuf),
    /// In this Redis, for all servers that have it.
    Redis(String),
}

/// Opens channels, and returns the events that tell who hears what.
///
/// # Errors
/// What was kept cannot be read, or nothing can be.
pub(super) async fn open(
    settings: &ChannelSettings,
    allowed: &Allowed,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Arc<Channels>, mpsc::Receiver<Publication>)> {
    let (limits, epoch) = (Limits::CHANNELS, super::epoch());
    let store = match &settings.keep {
        Keep::Memory => Store::memory(epoch, limits),
        Keep::Disk(directory) => Store::disk(directory, epoch, limits, SystemTime::now())?,
        Keep::Redis(url) => {
            let options = RedisOptions {
                url: url.clone(),
                name: REDIS_NAME.to_owned(),
            };
            let opened = Store::redis(&options, epoch, limits).await;
            let (store, warnings) = opened.context("cannot use what --redis names")?;
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            store
        }
    };
    let (channels, told) = Channels::new(Setting {
        store: Arc::new(store),
        options: settings.options.clone(),
        is_demo: settings.is_demo,
        rate: Rate {
            events: allowed.publishes_per_address,
            bytes: allowed.published_bytes_per_address,
        },
        metrics: Arc::clone(metrics),
        now: SystemTime::now,
    });
    Ok((Arc::new(channels), told))
}

/// Says which files nobody can ask for, as channels have their addresses.
pub(super) fn warn_of_hidden_files(settings: &ChannelSettings, site: &Path) {
    let echo = settings.is_demo.then_some(ECHO);
    for address in [CHANNELS, MERCURE].into_iter().chain(echo) {
        let file = site.join(address.trim_start_matches('/'));
        if file.exists() {
            let file = file.display();
            tracing::warn!("`{file}` is not served: {address} is where channels are");
        }
    }
}

/// Returns what a person reads of channels at the start.
pub(super) fn said(settings: &ChannelSettings, url: &str) -> String {
    let kept = match &settings.keep {
        Keep::Memory => "in memory".to_owned(),
        Keep::Disk(directory) => format!("in {}", directory.display()),
        // Not the URL: it may hold a password.
        Keep::Redis(_) => "in Redis".to_owned(),
    };
    let options = &settings.options;
    let who = match (options.publishers.is_empty(), options.unsigned.first()) {
        (true, None) => "nobody can publish: --channel-key names what tokens are signed with",
        (true, Some(_)) => "what is said without a token comes from this machine",
        (false, _) => "publishing takes a token",
    };
    format!("{url}channels/NAME, kept {kept}; {who}")
}
