//! Values that flags take.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::HeaderValue;

use crate::serve::Exposure;
use crate::site::UrlPath;

/// Reads the name of a host, as requests will name it.
pub(super) fn host(text: &str) -> Result<String, String> {
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    url::Host::parse(text)
        .map(|host| host.to_string())
        .map_err(|_| "write a name alone, such as laptop.example: no https://, no port".to_owned())
}

/// Reads a number of bytes: `300`, `64K`, `4M`, `1G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
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

/// Reads a length of time: `200ms`, `1.5s`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let seconds = match text.strip_suffix("ms") {
        Some(number) => number.parse::<f64>().map(|number| number / 1000.0),
        None => text.strip_suffix('s').unwrap_or("?").parse(),
    };
    seconds
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "write a time with its unit, such as 200ms or 1.5s".to_owned())
}

/// Reads a length of time that is not nothing.
pub(super) fn time_that_passes(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    (!time.is_zero())
        .then_some(time)
        .ok_or_else(|| "write a time above 0".to_owned())
}

/// Reads a number from 1 on.
pub(super) fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "write a whole number from 1 on".to_owned())
}

/// Reads an address with its port; a port alone is one of this machine.
pub(super) fn admin(text: &str) -> Result<SocketAddr, String> {
    let local = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let address = text.parse().ok().or_else(|| text.parse().ok().map(local));
    address.ok_or_else(|| "write a port, or an address such as 192.168.1.20:9100".to_owned())
}

/// Reads an address to listen on: `*` is every one.
pub(super) fn exposure(text: &str) -> Result<Exposure, String> {
    if text == "*" {
        return Ok(Exposure::Everywhere);
    }
    match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => Ok(Exposure::Everywhere),
        Ok(address) => Ok(Exposure::Address(address)),
        Err(_) => Err(
            "it takes an address such as 192.168.1.20, or nothing for every address (a site to \
             serve goes before --host)"
                .to_owned(),
        ),
    }
}

/// Reads an origin, as requests will name it, or `*` for any.
pub(super) fn origin(text: &str) -> Result<HeaderValue, String> {
    let url = url::Url::parse(text).ok();
    let origin = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let origin = origin.map(|url| url.origin().ascii_serialization());
    let origin = match text {
        "*" => Some("*".to_owned()),
        _ => origin.filter(|origin| origin == text.trim_end_matches('/')),
    };
    origin
        .and_then(|origin| HeaderValue::try_from(origin).ok())
        .ok_or_else(|| "it takes an origin such as https://app.example (no path), or *".to_owned())
}

/// Reads the path of a file in a site, with or without its first slash.
pub(super) fn file_of_site(text: &str) -> Result<UrlPath, String> {
    let path = UrlPath::parse(&format!("/{}", text.trim_start_matches('/'))).ok();
    path.filter(|path| !path.is_directory())
        .ok_or_else(|| "write a file of the site, such as /index.html".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_their_unit() {
        assert_eq!(bytes("300"), Ok(300));
        assert_eq!(bytes("64K"), Ok(65_536));
        assert_eq!(bytes("2m"), Ok(2 << 20));
        assert!(bytes("999999999999G").is_err());
        assert!(bytes("-1").is_err());
    }

    #[test]
    fn an_address_for_operators_is_of_this_machine_unless_it_is_written() {
        assert_eq!(admin("9100"), Ok("127.0.0.1:9100".parse().unwrap()));
        assert_eq!(admin("[::]:9100"), Ok("[::]:9100".parse().unwrap()));
        assert!(admin("localhost").is_err() && admin("70000").is_err());
    }
}
