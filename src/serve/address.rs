//! A port for each site, the same every time.
//!
//! What a browser keeps (storage, service workers, permissions) belongs to an origin: two sites on
//! one port would find each other's. Links in the author's history keep working, too.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf, absolute};

/// The first of the ports that sites are given. They lie above what services register, and below
/// what systems hand out to clients (from 32768 on Linux, from 49152 elsewhere).
const PORT_FIRST: u16 = 20_000;
/// How many there are.
const PORTS: u16 = 10_000;

/// Returns the port of the site in a directory, however the directory is named.
pub fn port(site: &Path) -> u16 {
    port_of_place(&place(site))
}

/// Returns where a path leads, without links as far as it exists: a site may have to be built
/// first.
pub fn place(path: &Path) -> PathBuf {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    let canonical = path.ancestors().find_map(|existing| {
        let missing = path.strip_prefix(existing).ok()?.components();
        let existing = existing.canonicalize().ok()?;
        Some(existing.components().chain(missing).collect())
    });
    canonical.unwrap_or(path)
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

    #[test]
    fn a_site_that_has_to_be_built_has_its_port_already() {
        let scratch = tempfile::tempdir().unwrap();
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(scratch.path(), &link).unwrap();
        let before = port(&link.join("to/public/"));
        std::fs::create_dir_all(scratch.path().join("to/public")).unwrap();
        assert_eq!(port(&link.join("to/public")), before);
        assert_eq!(port(&scratch.path().join("to/public")), before);
        // No slash is added: it would move every site.
        let canonical = scratch.path().canonicalize().unwrap();
        assert_eq!(place(&link).as_os_str(), canonical.as_os_str());
    }

    proptest! {
        #[test]
        fn every_port_is_one_that_may_be_had(path in ".*") {
            let port = port(Path::new(&path));
            prop_assert!((20_000..=29_999).contains(&port));
        }
    }
}
