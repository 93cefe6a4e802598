//! How a person makes a system trust the local authority: text to read and copy, nothing is run.
//!
//! Pure: knows neither the disk nor the system it runs on.

use std::fmt::Write;
use std::path::Path;

/// A system, as far as its stores of trusted authorities go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Debian, Ubuntu, Alpine and their kin: `update-ca-certificates`.
    Debian,
    /// Fedora, Red Hat, SUSE, Arch and their kin: `trust`, of p11-kit.
    Fedora,
    /// macOS: keychains.
    MacOs,
    /// Windows: certificate stores.
    Windows,
    /// Anything else.
    Other,
}

impl System {
    /// Tells the system from the text of `/etc/os-release`; without one, from what the program was
    /// compiled for.
    pub fn detect(os_release_text: Option<&str>) -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        if cfg!(windows) {
            return Self::Windows;
        }
        let Some(text) = os_release_text else {
            return Self::Other;
        };
        // ID comes before the kin that ID_LIKE names, wherever they stand (os-release(5)).
        let value = |key: &str| {
            let line = text
                .lines()
                .rev()
                .find_map(|line| line.trim().strip_prefix(key));
            line.unwrap_or_default()
                .trim_matches(['"', '\''])
                .to_ascii_lowercase()
        };
        let names = [value("ID="), value("ID_LIKE=")].join(" ");
        let system = |name| match name {
            "debian" | "ubuntu" | "alpine" => Some(Self::Debian),
            "fedora" | "rhel" | "centos" | "suse" | "opensuse" | "arch" => Some(Self::Fedora),
            _ => None,
        };
        names
            .split_whitespace()
            .find_map(system)
            .unwrap_or(Self::Other)
    }
}

/// Returns what to type to have the authority at a path trusted, and how to take that back.
///
/// The path should be absolute: who copies a command may stand elsewhere.
pub fn instructions(authority: &Path, system: System) -> String {
    let mut text = String::new();
    let name = store_name(authority);
    let file = shell_word(authority);
    let mut section = |title: &str, commands: &[String]| {
        let _ = writeln!(text, "{title}");
        for command in commands {
            let _ = writeln!(text, "    {command}");
        }
        text.push('\n');
    };
    let (title, commands) = system_wide(&name, authority, system);
    section(title, &commands);
    if matches!(system, System::Debian | System::Fedora | System::Other) {
        let tools = match system {
            System::Fedora => "nss-tools",
            _ => "libnss3-tools",
        };
        section(
            &format!("Chromium, Chrome (certutil is in {tools}):"),
            &chromium(&name, &file),
        );
        section(
            "Firefox, every profile (end it first):",
            &firefox(&name, &file),
        );
    }
    section(
        "One request, trusting for nothing else:",
        &[format!(
            "curl --cacert {} https://localhost:8443/",
            word(authority, system)
        )],
    );
    section("To take it back:", &take_back(&name, authority, system));
    text.truncate(text.trim_end().len());
    text
}

/// Returns whom the store of the system serves, and how the authority gets there.
fn system_wide(name: &str, authority: &Path, system: System) -> (&'static str, Vec<String>) {
    let file = shell_word(authority);
    let copy = format!("sudo cp {file} /usr/local/share/ca-certificates/{name}.crt");
    let update = "sudo update-ca-certificates".to_owned();
    let anchor = format!("sudo trust anchor --store {file}");
    match system {
        System::Debian => (
            "This system (curl, wget, GNOME Web; not Chromium and Firefox):",
            vec![copy, update],
        ),
        System::Fedora => ("This system (curl, wget, Chromium, Firefox):", vec![anchor]),
        System::MacOs => (
            "This system (Safari, Chrome; Firefox when it starts anew):",
            vec![format!(
                "sudo security add-trusted-cert -d -r trustRoot -p ssl \
                 -k /Library/Keychains/System.keychain {file}"
            )],
        ),
        System::Windows => (
            "This user (Edge, Chrome; Firefox when it starts anew):",
            vec![format!(
                "certutil -addstore -user Root {}",
                word(authority, system)
            )],
        ),
        System::Other => (
            "This system: see its manual for adding an authority, most often one of",
            vec![anchor, format!("{copy} && {update}")],
        ),
    }
}

/// Chromium keeps what it trusts in `~/.pki`, newer ones in `~/.local/share/pki` if the former is
/// not there; one that never ran has neither.
fn chromium(name: &str, file: &str) -> Vec<String> {
    let mut commands = vec![
        "ls -d ~/.pki/nssdb ~/.local/share/pki/nssdb 2>/dev/null | grep -q . ||".to_owned(),
        "  { mkdir -p ~/.pki/nssdb && certutil -N --empty-password -d sql:$HOME/.pki/nssdb; }"
            .into(),
    ];
    commands.extend(nss(
        "~/.pki ~/.local/share/pki ~/snap/chromium/current/.pki",
        name,
        file,
    ));
    commands
}

fn firefox(name: &str, file: &str) -> Vec<String> {
    let places = "~/.mozilla/firefox ~/.config/mozilla/firefox ~/snap/firefox/common/.mozilla";
    nss(places, name, file).into()
}

/// Adds an authority to every NSS store below some places. A store refuses another certificate
/// under a name that it has, such as that of the authority before.
fn nss(places: &str, name: &str, file: &str) -> [String; 4] {
    [
        format!("find {places} -name cert9.db 2>/dev/null |"),
        "  while read -r db; do db=\"sql:$(dirname \"$db\")\"".to_owned(),
        format!("    certutil -D -d \"$db\" -n {name} 2>/dev/null"),
        format!("    certutil -A -d \"$db\" -n {name} -t C,, -i {file}; done"),
    ]
}

fn take_back(name: &str, authority: &Path, system: System) -> Vec<String> {
    let file = shell_word(authority);
    let debian = format!(
        "sudo rm /usr/local/share/ca-certificates/{name}.crt && sudo update-ca-certificates --fresh"
    );
    let fedora = format!("sudo trust anchor --remove {file}");
    let nss = format!(
        "find ~/.pki ~/.local/share/pki ~/.mozilla ~/.config/mozilla ~/snap/firefox \
         ~/snap/chromium/current/.pki -name cert9.db 2>/dev/null | while read -r db; do \
         certutil -D -d \"sql:$(dirname \"$db\")\" -n {name}; done"
    );
    match system {
        System::Debian => vec![debian, nss],
        System::Fedora => vec![fedora, nss],
        System::Other => vec![fedora, debian, nss],
        System::MacOs => vec![format!("sudo security remove-trusted-cert -d {file}")],
        System::Windows => vec![
            "powershell -Command \"Get-ChildItem Cert:\\CurrentUser\\Root | Where-Object Subject \
             -like '*forerun local authority*' | Remove-Item\""
                .to_owned(),
        ],
    }
}

/// Names the authority in a store: the same for the same path, so that a renewed one takes the old
/// one's place, and another for the authority of another checkout.
fn store_name(authority: &Path) -> String {
    let hash = blake3::hash(authority.as_os_str().as_encoded_bytes());
    format!("forerun-{}", &hash.to_hex()[..6])
}

/// Quotes a path as one word of a POSIX shell, never an option.
pub(super) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if text.starts_with('-') {
        format!("./{text}")
    } else {
        text.into_owned()
    };
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+,:@%=".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes a path for the shell of a system; a quotation mark cannot stand in a Windows path.
fn word(path: &Path, system: System) -> String {
    match system {
        System::Windows => format!("\"{}\"", path.display()),
        System::Debian | System::Fedora | System::MacOs | System::Other => shell_word(path),
    }
}
