//! Arguments of `forerun certificate`, and what the machine says that certificates need.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::certificate::CertificateOptions;
use crate::serve::Exposure;
use crate::tls;

#[derive(Debug, Args)]
pub(super) struct CertificateArguments {
    /// The site, as for `serve`: the authority never lives inside it
    #[arg(default_value = "site")]
    site: PathBuf,
}

/// Turns arguments into options.
pub(super) fn certificate(arguments: &CertificateArguments) -> anyhow::Result<CertificateOptions> {
    Ok(CertificateOptions {
        directory: authority_directory(&arguments.site)?,
        names: host_name()
            .into_iter()
            .chain(Exposure::Everywhere.names())
            .collect(),
        system: system(),
    })
}

/// Returns where the local authority lives: `./certs` if it lies outside the site, else the user's
/// data directory.
pub(super) fn authority_directory(site: &Path) -> anyhow::Result<PathBuf> {
    let certs = Path::new("certs");
    let data_home = env::var_os("XDG_DATA_HOME")
        .filter(|home| Path::new(home).is_absolute())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/share")))
        .context(
            "neither XDG_DATA_HOME nor HOME says where the certificate authority is: set one",
        )?;
    Ok(tls::place(
        certs.is_dir().then_some(certs),
        site,
        &data_home,
    )?)
}

pub(super) fn host_name() -> Option<String> {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    (!name.is_empty() && name != "localhost" && name != "(none)").then_some(name)
}

fn system() -> tls::trust::System {
    tls::trust::System::detect(std::fs::read_to_string("/etc/os-release").ok().as_deref())
}
