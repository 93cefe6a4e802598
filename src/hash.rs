//! The root of `forerun hash`: a password in, what `--auth` takes out.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, anyhow, bail};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use crate::answer::authorization::User;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// What is said of a longer one.
const TOO_LONG: &str = "a password has at most 1024 bytes";

/// Reads a password and prints the user with its hash. The password is asked for at a terminal,
/// which does not show it; else it is the first line of standard input.
///
/// # Errors
/// There is no password, the name is none, or standard input or output fails.
pub fn run(name: &str) -> anyhow::Result<()> {
    if name.contains(':') {
        bail!("a user's name has no colon: what follows one is the password");
    }
    let password = if io::stdin().is_terminal() {
        asked(name)?
    } else {
        line()?
    };
    if password.is_empty() {
        bail!("an empty password keeps nobody out: type one, or write it to standard input");
    }
    let user = User::new(name, password.as_bytes()).map_err(|wrong| anyhow!(wrong))?;
    writeln!(io::stdout(), "{user}")?;
    Ok(())
}

fn asked(name: &str) -> anyhow::Result<String> {
    // Standard output may be a file, or another command's argument.
    let mut out = io::stderr();
    let ask = |out: &mut io::Stderr, words: &str| -> anyhow::Result<String> {
        let hidden = Hidden::new()?;
        write!(out, "{words}")?;
        out.flush()?;
        let answer = typed(io::stdin().lock());
        drop(hidden);
        writeln!(out)?;
        answer
    };
    let password = ask(&mut out, &format!("password for {name}: "))?;
    if ask(&mut out, "again: ")? != password {
        bail!("the two are not the same");
    }
    Ok(password)
}

/// Reads what somebody types until the end of the line. The terminal hands on every key, so that
/// the one that ends a program ends this too, with the terminal as it was.
fn typed(keys: impl BufRead) -> anyhow::Result<String> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const BACKSPACE: [u8; 2] = [0x08, 0x7f];
    const ERASE_LINE: u8 = 0x15;
    let mut line: Vec<u8> = Vec::new();
    for key in keys.bytes() {
        match key.context("cannot read the password")? {
            b'\r' | b'\n' | END => break,
            INTERRUPT => bail!("interrupted: nothing is hashed"),
            ERASE_LINE => line.clear(),
            key if BACKSPACE.contains(&key) => {
                // A letter may have several bytes, of which the first alone is no continuation.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            _ if line.len() as u64 >= PASSWORD_BYTES_MAX => bail!(TOO_LONG),
            key => line.push(key),
        }
    }
    String::from_utf8(line).context("the password is not UTF-8")
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(PASSWORD_BYTES_MAX + 1)
        .read_line(&mut line)
        .context("cannot read the password")?;
    if line.len() as u64 > PASSWORD_BYTES_MAX {
        bail!(TOO_LONG);
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that neither shows nor obeys what is typed, until it is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> anyhow::Result<Self> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        // Each key by itself, without waiting for another.
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing either.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_can_be_mended() {
        for (keys, expected) in [
            (&b"open sesame\r"[..], "open sesame"),
            (b"open\nrest", "open"),
            (b"opeb\x7fn\x04", "open"),
            ("o\u{e4}\u{1f600}\u{8}\u{8}p\r".as_bytes(), "op"),
            (b"\x7f\x7fa\r", "a"),
            (b"shut\x15open\r", "open"),
            (b"", ""),
        ] {
            assert_eq!(typed(keys).unwrap(), expected, "{keys:?}");
        }
        for (keys, said) in [
            (&b"open\x03"[..], "interrupted"),
            (&[b'a'; 1025], TOO_LONG),
            (b"\xff\r", "UTF-8"),
        ] {
            let error = typed(keys).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        assert!(TOO_LONG.contains(&PASSWORD_BYTES_MAX.to_string()));
    }
}
