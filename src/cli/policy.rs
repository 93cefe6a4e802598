//! What is said of all answers, from arguments.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use http::HeaderValue;

use super::site::not_served;
use super::values::{file_of_site, origin};
use super::{ANSWERS, SERVING};
use crate::answer::Policy;
use crate::answer::authorization::{User, Users};
use crate::answer::policy::{CacheRule, Cors, Secure};
use crate::site::UrlPath;

/// Largest file of users, in bytes.
const USERS_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct PolicyArguments {
    /// Answer navigations that lead to nothing with one page, for applications that route by
    /// themselves
    ///
    /// Only what a browser shows, and whose name has no dot: a script or an image that is missing
    /// stays missing. Example: forerun dist --spa
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true,
          default_missing_value = "/index.html", value_parser = file_of_site,
          help_heading = ANSWERS)]
    spa: Option<UrlPath>,

    /// Show what directories hold that have no index.html
    ///
    /// As a page, or as JSON for `Accept: application/json`; hidden files never.
    /// Example: forerun ~/Downloads --listing
    #[arg(long, help_heading = ANSWERS)]
    listing: bool,

    /// Say how long files are fresh; may be given more than once, and the last that matches counts
    ///
    /// A pattern without a slash matches names in any directory.
    /// Example: forerun --cache '*.woff2=public, max-age=31536000' --cache 'api/**=no-store'
    #[arg(long, value_name = "GLOB=VALUE", value_parser = CacheRule::parse,
          help_heading = ANSWERS)]
    cache: Vec<CacheRule>,

    /// Let scripts, and fonts, of another origin read answers (*: of any); may be given more than
    /// once
    ///
    /// An origin is a scheme and a host, as in `https://app.example`. With --auth, scripts of one
    /// that is named may use what the browser has signed in with.
    /// Example: forerun fonts --cors '*'
    #[arg(long, value_name = "ORIGIN", value_parser = origin, help_heading = ANSWERS)]
    cors: Vec<HeaderValue>,

    /// Send what keeps pages from being framed, and from leaking where their visitors come from
    ///
    /// The fields are printed at the start; a line in _headers overrides each. With a certificate
    /// of your own, browsers are told to come back with TLS only. Example: forerun --secure
    #[arg(long, help_heading = ANSWERS)]
    secure: bool,

    /// Ask for a name and a password, of which this is the hash; may be given more than once
    ///
    /// `forerun hash NAME` makes one, and so does `htpasswd -nB NAME`; other hashes, and
    /// passwords, are refused. No cache that others share may keep an answer then: `public`,
    /// `s-maxage` and fields for such caches are left out, whatever --cache and _headers say.
    /// Example: forerun --auth "$(forerun hash ada)"
    #[arg(long, value_name = "NAME:HASH", value_parser = User::parse, help_heading = ANSWERS)]
    auth: Vec<User>,

    /// Ask for a name and a password that this file has, a line NAME:HASH for each
    ///
    /// Example: forerun --auth-file users
    #[arg(long, value_name = "FILE", help_heading = ANSWERS)]
    auth_file: Option<PathBuf>,

    /// Listen on this port too, without TLS, and send everyone to the other
    ///
    /// Example: forerun --host --port 443 --http-port 80
    #[arg(long, value_name = "PORT", help_heading = SERVING)]
    pub(super) http_port: Option<u16>,
}

/// Reads the policy of a server of `site`.
///
/// There is one for a process, so it lasts as long.
pub(super) fn policy(
    arguments: PolicyArguments,
    site: &Path,
    has_own_certificate: bool,
) -> anyhow::Result<&'static Policy> {
    if let Some(file) = &arguments.spa
        && site.is_dir()
        && !site.join(file.relative()).is_file()
    {
        bail!(
            "--spa={file}: there is no such file in {}; it is named from there, as in \
             --spa=/index.html",
            site.display()
        );
    }
    let mut users = arguments.auth;
    if let Some(file) = &arguments.auth_file {
        let read = not_served(file, site).and_then(|()| users_of(file));
        users.extend(read.with_context(|| format!("--auth-file {}", file.display()))?);
    }
    let users = if users.is_empty() {
        None
    } else {
        Some(Users::new(users, key()?).map_err(|wrong| anyhow!("--auth: {wrong}"))?)
    };
    Ok(Box::leak(Box::new(Policy {
        cache: arguments.cache,
        cors: cors(arguments.cors),
        secure: match (arguments.secure, has_own_certificate) {
            (false, _) => Secure::Off,
            (true, false) => Secure::On,
            (true, true) => Secure::Strict,
        },
        users,
        spa: arguments.spa,
        listing: arguments.listing,
    })))
}

fn cors(origins: Vec<HeaderValue>) -> Cors {
    if origins.iter().any(|origin| origin == "*") {
        Cors::Any
    } else if origins.is_empty() {
        Cors::Own
    } else {
        Cors::These(origins)
    }
}

fn users_of(file: &Path) -> anyhow::Result<Vec<User>> {
    let name = file.display();
    let length = std::fs::metadata(file)
        .with_context(|| format!("cannot read `{name}`"))?
        .len();
    if length > USERS_BYTES_MAX {
        bail!("`{name}` is larger than {USERS_BYTES_MAX} bytes");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    let lines = text.lines().enumerate();
    let users: Vec<_> = lines
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            User::parse(line.trim())
                .map_err(|wrong| anyhow!("`{name}`, line {}: {wrong}", index + 1))
        })
        .collect::<anyhow::Result<_>>()?;
    if users.is_empty() {
        // Nobody asked for a site that everyone may read.
        bail!("`{name}` has no users: write a line NAME:HASH for each");
    }
    Ok(users)
}

/// Returns random bytes.
fn key() -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random
        .fill(&mut key)
        .map_err(|_| anyhow!("the system gives no random bytes"))?;
    Ok(key)
}
