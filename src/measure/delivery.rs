//! How what a page needs is sent, as `--delivery` names it.

use std::fmt;

use crate::answer::Deliver;
use crate::site::plan::Overrides;

/// One way to send what a page needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How it is sent ahead.
    pub way: Way,
    /// What is sent ahead.
    pub ahead: Ahead,
    /// Names it in the report.
    pub name: String,
}

/// How something is sent ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Not at all.
    None,
    /// In the `Link` of the response.
    Link,
    /// In a 103 and the `Link` of the response.
    Hints,
    /// Pushed.
    Push,
}

/// What is sent ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ahead {
    /// What `--push critical` does, or the `push.toml` of the site.
    Critical,
    /// What `--push all` does.
    All,
    /// What another `push.toml` says.
    Plan(Overrides),
}

impl Delivery {
    /// Returns the delivery that every other is compared with.
    pub fn none() -> Self {
        Self::new("none", Way::None, Ahead::Critical)
    }

    /// Returns those that need no file, `none` first.
    pub fn all() -> [Self; 5] {
        [
            Self::none(),
            Self::new("link", Way::Link, Ahead::Critical),
            Self::new("hints", Way::Hints, Ahead::Critical),
            Self::new("push", Way::Push, Ahead::Critical),
            Self::new("push all", Way::Push, Ahead::All),
        ]
    }

    /// Returns the delivery that pushes what a plan says.
    pub fn plan(name: &str, plan: Overrides) -> Self {
        Self::new(name, Way::Push, Ahead::Plan(plan))
    }

    /// Returns what a server does for it.
    pub fn deliver(&self) -> Deliver {
        match self.way {
            Way::None => Deliver::None,
            Way::Link => Deliver::Link,
            Way::Hints => Deliver::Hints,
            Way::Push => Deliver::Push,
        }
    }

    fn new(name: &str, way: Way, ahead: Ahead) -> Self {
        Self {
            way,
            ahead,
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
