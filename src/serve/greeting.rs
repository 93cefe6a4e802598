//! What a person reads when the server is up.

use std::io::{self, Write as _};
use std::time::SystemTime;

use tokio::time::Instant;

use super::listen::{Bound, Exposure};
use super::{Certificate, ServeOptions, qr};
use crate::answer::Deliver;
use crate::site::plan::Push;
use crate::terminal::Style;
use crate::tls::Tls;

/// Prints the start-up lines, and returns the site's URL.
///
/// # Errors
/// Standard output fails in another way than by being closed.
pub(super) fn print(
    options: &ServeOptions,
    edited: bool,
    bound: &Bound,
    tls: &Tls,
    started: Instant,
) -> io::Result<String> {
    let style = Style::of_stdout();
    let url = format!("https://{}:{}/", host(options), bound.port);
    let mut out = io::stdout().lock();
    let written = write(&mut out, style, &url, options, bound, tls, started).and_then(|()| {
        if edited {
            let said = "a saved file updates the tabs that use it; press h for help";
            writeln!(out, "  {} {said}", style.faint("edit  "))?;
        }
        out.flush()
    });
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(url),
    }
}

fn write(
    out: &mut impl io::Write,
    style: Style,
    url: &str,
    options: &ServeOptions,
    bound: &Bound,
    tls: &Tls,
    started: Instant,
) -> io::Result<()> {
    writeln!(
        out,
        "{} serves {} (ready in {} ms)",
        style.strong("forerun"),
        options.site.root.display(),
        started.elapsed().as_millis()
    )?;
    writeln!(out, "  {}", style.link(url))?;
    for address in options.exposure.reachable() {
        let url = format!(
            "https://{}/",
            std::net::SocketAddr::new(address, bound.port)
        );
        writeln!(out, "  {}", style.link(&url))?;
        // A telephone has no keyboard worth the name.
        if style.is_painted()
            && let Some(code) = qr::painted(&url)
        {
            writeln!(out, "{code}")?;
        }
    }
    if let Some(taken) = bound.taken {
        let said = format!("port {taken} is taken, so this is {}", bound.port);
        writeln!(out, "  {}", style.warning(&said))?;
    }
    writeln!(out, "  {} {}", style.faint("trust "), trust(options, tls))?;
    writeln!(out, "  {} {}", style.faint("ahead "), ahead(options))?;
    writeln!(
        out,
        "  {} {}",
        style.faint("access"),
        access(&options.exposure)
    )?;
    for warning in tls.warnings(SystemTime::now()) {
        writeln!(out, "  {}", style.warning(&warning))?;
    }
    Ok(())
}

fn host(options: &ServeOptions) -> String {
    match options.exposure {
        Exposure::Address(address) if !address.is_unspecified() && !address.is_loopback() => {
            match address {
                std::net::IpAddr::V4(address) => address.to_string(),
                std::net::IpAddr::V6(address) => format!("[{address}]"),
            }
        }
        _ => "localhost".to_owned(),
    }
}

fn trust(options: &ServeOptions, tls: &Tls) -> String {
    match (&options.certificate, tls.authority()) {
        (Certificate::Local { .. }, Some(authority)) => format!(
            "signed by {}; `forerun certificate` says how to trust it",
            authority.display()
        ),
        (Certificate::Files { certificate, .. }, _) => format!("{}", certificate.display()),
        (Certificate::Local { directory, .. }, None) => format!("{}", directory.display()),
    }
}

fn ahead(options: &ServeOptions) -> &'static str {
    match (options.answer.deliver, options.site.push) {
        (Deliver::None, _) | (_, Push::None) => "nothing is sent ahead",
        (Deliver::Auto, Push::Critical) => {
            "what a page needs first is pushed to clients that take pushes; browsers get hints"
        }
        (Deliver::Auto, Push::All) => {
            "all that a page needs is pushed to clients that take pushes; browsers get hints"
        }
        (Deliver::Push, _) => "pushed to clients that take pushes; nothing to others",
        (Deliver::Hints, _) => "hinted in a 103 and the 200; nothing is pushed",
        (Deliver::Link, _) => "named in Link; nothing is pushed",
    }
}

fn access(exposure: &Exposure) -> String {
    match exposure {
        Exposure::Loopback => "this machine only; --host lets others in".to_owned(),
        Exposure::Everywhere => "everyone who reaches this machine".to_owned(),
        Exposure::Address(address) => format!("everyone who reaches {address}"),
    }
}
