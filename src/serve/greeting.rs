//! What a person reads when the server is up.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use tokio::time::Instant;

use super::listen::{Bound, Exposure};
use super::{Certificate, ServeOptions, channels, qr};
use crate::answer::Deliver;
use crate::live::LiveOptions;
use crate::site::plan::Push;
use crate::terminal::Style;
use crate::tls::Tls;

/// Prints the start-up lines, and returns the site's URL.
///
/// # Errors
/// Standard output fails in another way than by being closed.
pub(super) fn print(
    options: &ServeOptions,
    edited: Option<&LiveOptions>,
    bound: &Bound,
    plain_port: Option<u16>,
    tls: &Tls,
    started: Instant,
) -> io::Result<String> {
    let style = Style::of_stdout();
    let url = format!("https://{}:{}/", host(&options.exposure, tls), bound.port);
    let mut out = io::stdout().lock();
    let written = write(&mut out, style, &url, options, bound, tls, started).and_then(|()| {
        policy(&mut out, style, options, &url, plain_port)?;
        if let Some(edited) = edited {
            for warning in not_named(options, &edited.allowed_hosts, tls) {
                writeln!(out, "  {}", style.warning(&warning))?;
            }
            let keys = if io::stdin().is_terminal() {
                "; press h for help"
            } else {
                ""
            };
            let said = format!("a saved file updates the tabs that use it{keys}");
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
    let mut addresses = options.exposure.reachable();
    // A request by a name that the certificate does not have is answered 421.
    addresses.retain(|address| tls.covers(&address.to_string()));
    urls(out, style, url, &addresses, bound.port)?;
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
    if !tls.covers(&host(&options.exposure, tls)) {
        let names = tls
            .describe()
            .map_or_else(Vec::new, |certificates| certificates.leaf.names);
        let said = format!(
            "the certificate is for {}: by other names nothing is answered",
            names.join(", ")
        );
        writeln!(out, "  {}", style.warning(&said))?;
    }
    for warning in tls.warnings(SystemTime::now()) {
        writeln!(out, "  {}", style.warning(&warning))?;
    }
    Ok(())
}

/// Writes what was asked for besides: who has to sign in, and what is sent with every answer.
fn policy(
    out: &mut impl io::Write,
    style: Style,
    options: &ServeOptions,
    url: &str,
    plain_port: Option<u16>,
) -> io::Result<()> {
    let policy = options.answer.policy;
    let mut line = |name: &str, said: &str| writeln!(out, "  {} {said}", style.faint(name));
    if let Some(port) = plain_port {
        line(
            "http  ",
            &format!("port {port} sends to https, and does nothing else"),
        )?;
    }
    if let Some(settings) = &options.channels {
        line("events", &channels::said(settings, url))?;
    }
    if policy.users.is_some() {
        line("auth  ", "who has no name and password reads nothing")?;
    }
    if policy.listing {
        line(
            "list  ",
            "directories without an index.html show what they hold",
        )?;
    }
    for (name, value) in policy.secure.fields() {
        line(
            "secure",
            &format!("{name}: {}", value.to_str().unwrap_or_default()),
        )?;
    }
    Ok(())
}

/// Writes the site's URL and those of its addresses, one of them with its code.
fn urls(
    out: &mut impl io::Write,
    style: Style,
    url: &str,
    addresses: &[IpAddr],
    port: u16,
) -> io::Result<()> {
    let by_address = |address| format!("https://{}/", SocketAddr::new(address, port));
    let scanned = scanned(addresses).map(by_address);
    let others = addresses.iter().map(|&address| by_address(address));
    let others = others.filter(|other| other != url);
    for url in std::iter::once(url.to_owned()).chain(others) {
        writeln!(out, "  {}", style.link(&url))?;
        // A telephone has no keyboard worth the name.
        if style.is_painted()
            && scanned.as_ref() == Some(&url)
            && let Some(code) = qr::painted(&url)
        {
            writeln!(out, "{code}")?;
        }
    }
    Ok(())
}

/// Returns the address that a telephone is shown: one, for a code takes most of a screen. Every
/// network has the first kind.
fn scanned(addresses: &[IpAddr]) -> Option<IpAddr> {
    let others = addresses.iter().filter(|address| !address.is_loopback());
    others.copied().min_by_key(IpAddr::is_ipv6)
}

/// Returns what is to be said of allowed hosts that a certificate of the user's own does not name.
/// Whoever mints one says it of those that may not be in it.
fn not_named(options: &ServeOptions, allowed: &[String], tls: &Tls) -> Vec<String> {
    let Certificate::Files { certificate, .. } = &options.certificate else {
        return Vec::new();
    };
    let strangers = allowed.iter().filter(|host| !tls.covers(host));
    let file = certificate.display();
    strangers
        .map(|host| format!("`{file}` is not issued for `{host}`: browsers will warn there"))
        .collect()
}

/// Returns the host by which the site is asked for: one that the certificate names, if it leads
/// here.
fn host(exposure: &Exposure, tls: &Tls) -> String {
    let only = match *exposure {
        Exposure::Address(it) if !it.is_unspecified() && !it.is_loopback() => Some(it.to_string()),
        _ => None,
    };
    // A minted certificate names this machine, which does not listen on its other addresses then.
    let is_elsewhere =
        |name: &str| only.is_some() && (tls.authority().is_some() || is_local_name(name));
    let named = || {
        let names = tls.describe()?.leaf.names;
        // What an asterisk stands for is not known here.
        let mut usable = names.into_iter().filter(|name| !name.contains('*'));
        usable.find(|name| !is_elsewhere(name))
    };
    let usual = only.clone().unwrap_or_else(|| "localhost".to_owned());
    let host = if tls.covers(&usual) {
        usual
    } else {
        named().unwrap_or(usual)
    };
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host,
    }
}

/// Returns whether a name is that of whatever machine asks (RFC 6761 section 6.3).
fn is_local_name(name: &str) -> bool {
    let address: Option<IpAddr> = name.parse().ok();
    address.is_some_and(|address| address.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
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
        _ if exposure.is_local() => "this machine only; --host lets others in".to_owned(),
        Exposure::Address(address) if !address.is_unspecified() => {
            format!("everyone who reaches {address}")
        }
        _ => "everyone who reaches this machine".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Source;

    #[track_caller]
    fn check(style: Style, url: &str, addresses: &[&str], codes: &[&str]) {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let mut out = Vec::new();
        urls(&mut out, style, url, &addresses, 8443).unwrap();
        let out = String::from_utf8(out).unwrap();
        let urls = out.matches("https://").count();
        let mut named: Vec<_> = addresses
            .iter()
            .map(|&address| format!("https://{}/", SocketAddr::new(address, 8443)))
            .chain([url.to_owned()])
            .collect();
        named.sort_unstable();
        named.dedup();
        assert!(named.iter().all(|url| out.contains(url)), "{out}");
        assert_eq!(urls, named.len(), "each once: {out}");
        let drawn = codes.iter().map(|url| qr::painted(url).unwrap());
        assert!(drawn.into_iter().all(|code| out.contains(&code)), "{out}");
        let is_code = |line: &&str| line.starts_with("  \x1b[38;5;16;48;5;231m");
        let lines: usize = codes
            .iter()
            .map(|url| qr::painted(url).unwrap().lines().count())
            .sum();
        assert_eq!(out.lines().filter(is_code).count(), lines, "{out}");
    }

    #[test]
    fn each_url_is_said_once_and_one_is_drawn() {
        let (painted, plain) = (Style::painted(), Style::plain());
        let local = "https://localhost:8443/";
        let lan = "https://192.168.1.20:8443/";
        check(painted, local, &[], &[]);
        check(
            painted,
            local,
            &["fd00::2", "192.168.1.20", "10.0.0.2"],
            &[lan],
        );
        check(painted, local, &["fd00::2"], &["https://[fd00::2]:8443/"]);
        check(painted, lan, &["192.168.1.20"], &[lan]);
        check(plain, lan, &["192.168.1.20", "fd00::2"], &[]);
    }

    /// Returns the host that is said for a certificate of these names, and whether it is answered.
    fn said(names: &[&str], exposure: &Exposure) -> (String, bool) {
        let home = tempfile::tempdir().unwrap();
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| home.path().join(name));
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let issued = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(&certificate, issued.cert.pem()).unwrap();
        std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
        let tls = Tls::open(Source::Files { certificate, key }, SystemTime::now()).unwrap();
        let host = host(exposure, &tls);
        let is_answered = tls.covers(&host);
        (host, is_answered)
    }

    #[test]
    fn the_url_is_one_that_the_certificate_names() {
        let local = Exposure::Loopback;
        let at = |address: &str| Exposure::Address(address.parse().unwrap());
        for (names, exposure, expected) in [
            (
                &["a.example", "localhost"][..],
                local.clone(),
                ("localhost", true),
            ),
            (
                &["*.b.example", "a.example"],
                local.clone(),
                ("a.example", true),
            ),
            (&["*.b.example"], local, ("localhost", false)),
            (&["fd00::2"], at("fd00::2"), ("[fd00::2]", true)),
            (&["a.example"], at("192.0.2.1"), ("a.example", true)),
            (
                &["localhost", "127.0.0.1", "a.localhost"],
                at("192.0.2.1"),
                ("192.0.2.1", false),
            ),
        ] {
            let (host, is_answered) = said(names, &exposure);
            assert_eq!((&*host, is_answered), expected, "{names:?}");
        }
    }

    #[test]
    fn this_machine_alone_is_no_place_for_a_telephone() {
        check(
            Style::painted(),
            "https://localhost:8443/",
            &["127.0.0.1"],
            &[],
        );
        let local = access(&Exposure::Loopback);
        for address in ["127.0.0.1", "::1"] {
            assert_eq!(access(&Exposure::Address(address.parse().unwrap())), local);
        }
    }
}
