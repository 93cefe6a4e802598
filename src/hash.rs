//! The root of `forerun hash`: a password in, what `--auth` takes out.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, anyhow, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::answer::authorization::User;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1024;

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
        write!(out, "{words}")?;
        out.flush()?;
        let hidden = Hidden::new()?;
        let answer = line();
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

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(PASSWORD_BYTES_MAX + 1)
        .read_line(&mut line)
        .context("cannot read the password")?;
    if line.len() as u64 > PASSWORD_BYTES_MAX {
        bail!("a password has at most {PASSWORD_BYTES_MAX} bytes");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed, until it is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> anyhow::Result<Self> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes -= LocalModes::ECHO;
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
