//! How words look: coloured where somebody looks, plain where something reads.

use std::io::{self, IsTerminal as _};

/// Whether output is painted, decided once.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    painted: bool,
}

impl Style {
    /// Returns the style of standard output: painted on a terminal.
    pub fn of_stdout() -> Self {
        Self {
            painted: io::stdout().is_terminal(),
        }
    }

    /// Returns the style of what no person looks at.
    pub const fn plain() -> Self {
        Self { painted: false }
    }

    /// Returns the style of a terminal, whatever standard output is.
    #[cfg(test)]
    pub const fn painted() -> Self {
        Self { painted: true }
    }

    /// Returns whether output is painted, as a terminal shows it.
    pub const fn is_painted(self) -> bool {
        self.painted
    }

    /// What a line is about.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What can be passed over.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What can be clicked.
    pub fn link(self, text: &str) -> String {
        self.paint("36;4", text)
    }

    /// What should not be overlooked.
    pub fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What went well.
    pub fn success(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What went wrong.
    pub fn failure(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.painted {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
