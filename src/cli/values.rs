//! Values that flags take.

use std::net::IpAddr;

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
}
