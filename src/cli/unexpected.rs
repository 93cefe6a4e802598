//! A word too many, said as what it is.

use std::ffi::OsString;

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Letters of a command's name in which somebody may slip: with two, `public` were `publish`.
const SLIPS_MAX: usize = 1;

/// Makes of a mistake in some words, the program's name first, one that says which word was not
/// expected. To clap any word behind a site is a command, since commands stand alone.
pub(super) fn said_as_it_is(
    error: clap::Error,
    words: &[OsString],
    mut definition: Command,
) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let is_conflict = error.kind() == ErrorKind::ArgumentConflict;
    // Only then has it the command `help`.
    definition.build();
    if !is_conflict || definition.find_subcommand(word).is_some() {
        return error;
    }
    let mut said = clap::Error::new(ErrorKind::UnknownArgument).with_cmd(&definition);
    said.insert(ContextKind::InvalidArg, ContextValue::String(word.clone()));
    if let Some(tip) = tip(word, words, &definition) {
        let tips = vec![StyledStr::from(tip)];
        said.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    let usage = ContextValue::StyledStr(definition.render_usage());
    said.insert(ContextKind::Usage, usage);
    said
}

/// Returns what was probably meant.
fn tip(word: &str, words: &[OsString], definition: &Command) -> Option<String> {
    let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
    let at = words.iter().position(|it| *it == word)?;
    let before = words.get(at.checked_sub(1)?)?;
    let takes_it = |name| {
        let mut flags = definition.get_arguments();
        flags.any(|flag| flag.get_long() == Some(name) && flag.is_require_equals_set())
    };
    if before.strip_prefix("--").is_some_and(takes_it) {
        return Some(format!("a value of {before} is given as '{before}={word}'"));
    }
    let first = words.get(1)?;
    let slips = |command: &&Command| strsim::damerau_levenshtein(first, command.get_name());
    let near = definition.get_subcommands().min_by_key(slips)?;
    (slips(&near) <= SLIPS_MAX).then(|| format!("a similar command exists: '{}'", near.get_name()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::Parser as _;

    use super::super::Arguments;
    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        let error = Arguments::try_parse_from(&words).unwrap_err();
        let error = said_as_it_is(error, &words, Arguments::command());
        let said = error.to_string();
        let lines = said.lines().map(str::trim);
        let told = lines.filter(|line| line.contains("error:") || line.contains("tip:"));
        told.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_word_too_many_is_told_with_what_was_meant() {
        let unexpected = |word: &str| format!("error: unexpected argument '{word}' found");
        assert_eq!(said("forerun public extra"), unexpected("extra"));
        assert_eq!(
            said("forerun public --spa app.html"),
            unexpected("app.html") + "; tip: a value of --spa is given as '--spa=app.html'"
        );
        assert_eq!(
            said("forerun sevre public"),
            unexpected("public") + "; tip: a similar command exists: 'serve'"
        );
        for command in ["plan", "help"] {
            assert_eq!(
                said(&format!("forerun public {command}")),
                format!("error: the subcommand '{command}' cannot be used with '[SITE]'")
            );
        }
    }
}
