//! Arguments of `forerun publish`.

use std::path::{Path, PathBuf};

use clap::Args;
use url::Url;

use super::certificate::authority_directory;
use crate::publish::PublishOptions;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";
/// The local authority's certificate, in its directory.
const AUTHORITY: &str = "authority.pem";

#[derive(Debug, Args)]
pub(super) struct PublishArguments {
    /// The channel
    name: String,

    /// What is said (-: what standard input says)
    #[arg(default_value = STANDARD_INPUT)]
    data: String,

    /// The server
    ///
    /// As in `https://example.com`. Example: forerun publish news hello --url "$SERVER"
    #[arg(long, default_value = "https://localhost:8443", value_parser = server)]
    url: Url,

    /// What proves that you may: better in the environment, as
    /// `FORERUN_TOKEN`, where nobody sees it
    ///
    /// Example: forerun publish news hello --token "$(cat token)"
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// The event's type
    ///
    /// Example: forerun publish news hello --type greeting
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,

    /// What you call the event
    ///
    /// Example: forerun publish news hello --id urn:greeting:1
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// A key by which the event is kept once, however often it is sent
    ///
    /// Example: forerun publish news hello --once "$(uuidgen)"
    #[arg(long, value_name = "KEY")]
    once: Option<String>,

    /// Only for those whose token says so
    ///
    /// Example: forerun publish news hello --private
    #[arg(long)]
    private: bool,

    /// Trust this certificate authority too (PEM), besides the system's and the local one
    ///
    /// Example: forerun publish news hello --authority certs/authority.pem
    #[arg(long, value_name = "FILE")]
    authority: Vec<PathBuf>,
}

/// Turns arguments into options.
pub(super) fn publish(arguments: PublishArguments) -> anyhow::Result<PublishOptions> {
    let local = authority_directory(Path::new("site"))?.join(AUTHORITY);
    let mut authorities = arguments.authority;
    authorities.extend(Some(local).filter(|local| local.is_file()));
    Ok(PublishOptions {
        url: arguments.url,
        channel: arguments.name,
        data: Some(arguments.data).filter(|data| data != STANDARD_INPUT),
        token: arguments.token,
        kind: arguments.r#type,
        id: arguments.id,
        key: arguments.once,
        is_private: arguments.private,
        authorities,
    })
}

fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| url.scheme() == "https" && url.has_host());
    url.ok_or_else(|| "write a URL such as https://example.com:8443".to_owned())
}
