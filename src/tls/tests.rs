//! Certificates and keys of every kind, made anew for each test: no key is ever kept in git.

mod files;
mod handshake;
mod local;
mod reload;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::trust::{System, instructions};
use super::{Refresh, Source, Tls, TlsError, is_served, place};

/// The moment at which tests play: 2027-01-15 08:00 UTC.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(500_000)
}

fn days(days: u64) -> Duration {
    Duration::from_hours(days * 24)
}

/// An authority that is no local one, and what it signs.
struct Issued {
    root: String,
    intermediate: String,
    leaf: String,
    key: KeyPair,
}

/// Issues a leaf through an intermediate; `change` has the last word on the leaf.
fn issue(key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Issued {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_pem = params.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(params, root_key);

    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "intermediate");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let intermediate_key = KeyPair::generate().unwrap();
    let intermediate_pem = params.signed_by(&intermediate_key, &root).unwrap().pem();
    let intermediate = Issuer::new(params, intermediate_key);

    let names = ["a.example", "*.b.example", "192.0.2.1"];
    let mut params = CertificateParams::new(names.map(String::from)).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.not_before = (now() - days(1)).into();
    params.not_after = (now() + days(60)).into();
    change(&mut params);
    let leaf = params.signed_by(&key, &intermediate).unwrap().pem();
    Issued {
        root: root_pem,
        intermediate: intermediate_pem,
        leaf,
        key,
    }
}

fn issued() -> Issued {
    issue(KeyPair::generate().unwrap(), |_| ())
}

impl Issued {
    fn chain(&self) -> String {
        format!("{}{}", self.leaf, self.intermediate)
    }

    fn key(&self) -> String {
        self.key.serialize_pem()
    }
}

/// A directory with a certificate and a key in it.
struct Place {
    directory: TempDir,
}

impl Place {
    fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn with(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let place = Self::empty();
        place.put("cert.pem", certificate);
        place.put("key.pem", key);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file whole, as certbot does: another inode, so that no clock is too coarse.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let beside = self.path(".new");
        fs::write(&beside, content).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(beside, self.path(name)).unwrap();
    }

    fn source(&self) -> Source {
        Source::Files {
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
        }
    }

    fn open(&self) -> Result<Tls, TlsError> {
        Tls::open(self.source(), now())
    }

    fn local(&self, names: &[&str]) -> Source {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Source::Local {
            directory: self.path("certs"),
            names,
        }
    }

    /// Opens the local authority in the directory, which must succeed.
    #[track_caller]
    fn open_local(&self, names: &[&str], now: SystemTime) -> Tls {
        Tls::open(self.local(names), now).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Spells a message without the directory's own name.
    fn spell(&self, message: &impl ToString) -> String {
        message
            .to_string()
            .replace(&format!("{}/", self.directory.path().display()), "")
    }

    fn warnings(&self, tls: &Tls) -> String {
        self.spell(&tls.warnings(now()).join("\n"))
    }
}

/// Names an outcome, with the error's text.
fn outcome(place: &Place, refresh: Refresh) -> String {
    match refresh {
        Refresh::Unchanged => "unchanged".to_owned(),
        Refresh::Reloaded => "reloaded".to_owned(),
        Refresh::Kept(error) => format!("kept: {}", place.spell(&error)),
    }
}

#[test]
fn the_authority_is_never_kept_in_the_served_directory() {
    #[track_caller]
    fn check(certs: Option<&str>, site: &str, data_home: &str, expected: &str) {
        let place = place(certs.map(Path::new), Path::new(site), Path::new(data_home));
        let place = place.map_or_else(|error| error.to_string(), |path| path.display().to_string());
        assert_eq!(place, expected);
    }
    check(Some("/a/certs"), "/a/site", "/h/.local/share", "/a/certs");
    check(
        None,
        "/a/site",
        "/h/.local/share",
        "/h/.local/share/forerun",
    );
    check(
        Some("/a/certs"),
        "/a",
        "/h/.local/share",
        "/h/.local/share/forerun",
    );
    check(
        Some("/a/certs"),
        "/a/certs",
        "/h/.local/share",
        "/h/.local/share/forerun",
    );
    check(
        Some("/a/certs-2"),
        "/a/certs",
        "/h/.local/share",
        "/a/certs-2",
    );
    // A hidden directory is never served.
    check(None, "/h", "/h/.local/share", "/h/.local/share/forerun");
    check(
        None,
        "/h",
        "/h/share",
        "the keys of the local certificate would lie in `/h/share/forerun`, inside the served \
         directory `/h`: make a directory `certs` outside of it, or set XDG_DATA_HOME",
    );
    assert!(is_served(Path::new("/a/key.pem"), Path::new("/a")));
    assert!(!is_served(Path::new("/a/.keys/key.pem"), Path::new("/a")));
    assert!(!is_served(Path::new("/b/key.pem"), Path::new("/a")));
}

#[test]
fn the_system_is_told_by_its_release_file() {
    #[track_caller]
    fn check(text: &str, expected: System) {
        assert_eq!(System::detect(Some(text)), expected);
    }
    check(
        "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n",
        System::Debian,
    );
    check("ID=ubuntu\nID_LIKE=debian\n", System::Debian);
    check("ID_LIKE=\"ubuntu debian\"\nID=linuxmint\n", System::Debian);
    check("ID='alpine'\n", System::Debian);
    check("VARIANT_ID=workstation\nID=fedora\n", System::Fedora);
    check(
        "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
        System::Fedora,
    );
    check("ID=arch\n", System::Fedora);
    check("ID=nixos\n", System::Other);
    check("", System::Other);
    assert_eq!(System::detect(None), System::Other);
}

#[test]
fn debian_is_told_the_exact_commands() {
    insta::assert_snapshot!(
        instructions(Path::new("/home/o'neil/my certs/authority.pem"), System::Debian), @"
        This system (curl, wget, GNOME Web; not Chromium and Firefox):
            sudo cp '/home/o'\\''neil/my certs/authority.pem' \
        /usr/local/share/ca-certificates/forerun-96d664.crt
            sudo update-ca-certificates

        Chromium, Chrome (certutil is in libnss3-tools):
            ls -d ~/.pki/nssdb ~/.local/share/pki/nssdb 2>/dev/null | grep -q . ||
              { mkdir -p ~/.pki/nssdb && certutil -N --empty-password -d sql:$HOME/.pki/nssdb; \
        }
            find ~/.pki ~/.local/share/pki ~/snap/chromium/current/.pki -name cert9.db \
        2>/dev/null |
              while read -r db; do db=\"sql:$(dirname \"$db\")\"
                certutil -D -d \"$db\" -n forerun-96d664 2>/dev/null
                certutil -A -d \"$db\" -n forerun-96d664 -t C,, -i '/home/o'\\''neil/my \
        certs/authority.pem'; done

        Firefox, every profile (end it first):
            find ~/.mozilla/firefox ~/.config/mozilla/firefox ~/snap/firefox/common/.mozilla \
        -name cert9.db 2>/dev/null |
              while read -r db; do db=\"sql:$(dirname \"$db\")\"
                certutil -D -d \"$db\" -n forerun-96d664 2>/dev/null
                certutil -A -d \"$db\" -n forerun-96d664 -t C,, -i '/home/o'\\''neil/my \
        certs/authority.pem'; done

        One request, trusting for nothing else:
            curl --cacert '/home/o'\\''neil/my certs/authority.pem' https://localhost:8443/

        To take it back:
            sudo rm /usr/local/share/ca-certificates/forerun-96d664.crt && sudo \
        update-ca-certificates --fresh
            find ~/.pki ~/.local/share/pki ~/.mozilla ~/.config/mozilla ~/snap/firefox \
        ~/snap/chromium/current/.pki -name cert9.db 2>/dev/null | while read -r db; do certutil \
        -D -d \"sql:$(dirname \"$db\")\" -n forerun-96d664; done
        ");
}

#[test]
fn every_system_is_told_its_own_command() {
    #[track_caller]
    fn check(system: System, commands: &[&str]) {
        let text = instructions(Path::new("/a b/authority.pem"), system);
        for command in commands {
            assert!(text.contains(command), "no `{command}` in\n{text}");
        }
    }
    let curl = "curl --cacert '/a b/authority.pem' https://localhost:8443/";
    check(
        System::Debian,
        &["sudo update-ca-certificates\n", "libnss3-tools", curl],
    );
    check(
        System::Fedora,
        &[
            "sudo trust anchor --store '/a b/authority.pem'",
            "nss-tools",
            curl,
        ],
    );
    check(
        System::MacOs,
        &[
            "sudo security add-trusted-cert -d -r trustRoot -p ssl",
            curl,
        ],
    );
    check(
        System::Other,
        &["trust anchor", "update-ca-certificates", curl],
    );
    check(
        System::Windows,
        &[
            "certutil -addstore -user Root \"/a b/authority.pem\"",
            "curl --cacert \"/a b/authority.pem\" https://localhost:8443/",
        ],
    );
}
