//! A port for each site, the same every time.
//!
//! What a browser keeps (storage, service workers, permissions) belongs to an origin: two sites on
//! one port would find each other's. Links in the author's history keep working, too.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, absolute};

/// The first of the ports that sites are given. They lie above what services register, and below
/// what systems hand out to clients (from 32768 on Linux, from 49152 elsewhere).
const PORT_FIRST: u16 = 20_000;
/// How many there are.
const PORTS: u16 = 10_000;

/// Returns the port of the site in a directory, however the directory is named.
pub fn port(site: &Path) -> u16 {
    // A site that cannot be found will be said to be missing by whoever opens it.
    let place = site.canonicalize().or_else(|_| absolute(site));
    port_of_place(&place.unwrap_or_else(|_| site.to_owned()))
}

/// Returns the port of a canonical path. It is part of what users keep: changing it moves every
/// site.
fn port_of_place(place: &Path) -> u16 {
    let hash = blake3::hash(place.as_os_str().as_bytes());
    let number = hash.as_bytes().iter().fold(0, |rest, &byte| {
        (rest * 256 + u32::from(byte)) % u32::from(PORTS)
    });
    PORT_FIRST + u16::try_from(number).expect("a rest of PORTS fits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_site_keeps_its_port_for_ever() {
        let ports =
            ["/", "/home/ada/site", "/home/ada/blog"].map(|path| port_of_place(path.as_ref()));
        assert_eq!(ports, [25961, 24472, 20633]);
    }

    #[test]
    fn two_sites_have_two_ports_and_each_has_one() {
        let scratch = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| scratch.path().join(name));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&two).unwrap();
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(&one, &link).unwrap();
        assert_ne!(port(&one), port(&two));
        assert_eq!(port(&one), port(&link));
        assert_eq!(port(&one), port(&two.join("../one/.")));
    }

    proptest! {
        #[test]
        fn every_port_is_one_that_may_be_had(path in ".*") {
            let port = port(Path::new(&path));
            prop_assert!((20_000..=29_999).contains(&port));
        }
    }
}
