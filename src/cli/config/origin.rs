//! Where settings come from that nobody typed, for whoever has to mend one.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Added, Words};

/// A command line to which the environment and the file have been added.
#[derive(Debug)]
pub(in crate::cli) struct Completed {
    /// The words, the program's name first.
    pub(in crate::cli) arguments: Vec<OsString>,
    /// The file that was read, if one was.
    pub(in crate::cli) settings: Option<PathBuf>,
    pub(super) definition: Command,
    pub(super) command: Option<String>,
    pub(super) origins: Vec<Origin>,
}

/// A flag that nobody typed.
#[derive(Debug)]
pub(super) struct Origin {
    flag: String,
    words: Words,
    /// `FORERUN_PORT`, or a file and its line.
    place: String,
}

impl Origin {
    /// Returns where a flag comes from; `None` for a value, which has no name to be told by.
    pub(super) fn of((arg, words, place): Added<'_>) -> Option<Self> {
        let flag = format!("--{}", arg.get_long()?);
        Some(Self { flag, words, place })
    }

    fn is_named_in(&self, text: &str) -> bool {
        let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        text.match_indices(&self.flag).any(|(at, _)| {
            let behind = text.as_bytes().get(at + self.flag.len());
            !behind.copied().is_some_and(is_of_a_name)
        })
    }
}

impl Completed {
    /// Returns a command line to which nothing has been added.
    pub(super) fn typed(arguments: Vec<OsString>) -> Self {
        Self {
            arguments,
            settings: None,
            definition: Command::new(""),
            command: None,
            origins: Vec::new(),
        }
    }

    /// Says in a mistake where the flags are set that it is about.
    pub(in crate::cli) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<clap::Error>() {
            Ok(error) => self.explain_usage(error).into(),
            Err(error) => {
                let text = format!("{error:#}");
                let named = self.origins.iter().filter(|it| it.is_named_in(&text));
                let places: Vec<_> = named.map(|it| it.place.as_str()).collect();
                if places.is_empty() {
                    return error;
                }
                anyhow!("{}: {text}", places.join(", "))
            }
        }
    }

    fn explain_usage(&self, mut error: clap::Error) -> clap::Error {
        let named = |origin: &&Origin| {
            let kinds = [ContextKind::InvalidArg, ContextKind::PriorArg];
            let mut told = kinds.into_iter().filter_map(|kind| error.get(kind));
            told.any(|value| origin.is_named_in(&value.to_string())) || self.lacks(origin, &error)
        };
        let tip = |origin: &Origin| {
            StyledStr::from(format!("{} is set in {}", origin.flag, origin.place))
        };
        let tips: Vec<_> = self.origins.iter().filter(named).map(tip).collect();
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
        error
    }

    /// Returns whether this flag is one that another has to be given with, and is not.
    fn lacks(&self, origin: &Origin, error: &clap::Error) -> bool {
        if error.kind() != ErrorKind::MissingRequiredArgument {
            return false;
        }
        let program = OsString::from(self.definition.get_name());
        let alone = [Some(program), self.command.as_ref().map(OsString::from)];
        let alone = alone
            .into_iter()
            .flatten()
            .chain(origin.words.0.iter().cloned());
        let read = self.definition.clone().try_get_matches_from(alone);
        read.is_err_and(|alone| alone.kind() == error.kind())
    }
}
