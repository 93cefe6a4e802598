//! What flags are set to where the command line does not say: the environment, then a file.
//!
//! One table drives all three, and it is clap's own: whatever flag a command has, `--max-age`, can
//! be given as `FORERUN_MAX_AGE` and as `max-age` in the section of that command. What neither the
//! command line nor the environment sets is appended to the arguments, so that clap reads it, knows
//! what goes together, and says what does not. Read on in [`file`]; [`origin`] tells whoever typed
//! nothing of what is wrong where it is set.

mod file;
mod origin;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::OsString;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, value_parser};

use self::file::{File, Value};
pub(super) use self::origin::Completed;
use self::origin::Origin;

/// The file that is read from the current directory unless another is named.
pub(super) const FILE: &str = "forerun.toml";
/// The command that is meant where none is named.
const DEFAULT_COMMAND: &str = "serve";
/// The flag that names the file, which the file cannot set.
const CONFIG: &str = "config";

/// The flag whose value may be a password, which is not repeated.
const SECRET: &str = "auth";

/// Returns the arguments, and behind them what the environment and the file add.
///
/// # Errors
/// A file cannot be read or says what no command understands; a variable has a value that its flag
/// does not take.
pub(super) fn complete(
    mut definition: Command,
    mut arguments: Vec<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> anyhow::Result<Completed> {
    definition.build();
    let Some(given) = Given::read(&definition, &arguments) else {
        // Help, or a mistake: clap says which.
        return Ok(Completed::typed(arguments));
    };
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let named = given
        .config
        .clone()
        .or_else(|| variable(&variable_name(CONFIG)).map(PathBuf::from));
    let file = File::read(named.as_deref())?;
    file.check(&definition)?;

    let command = given.definition(&definition);
    let section = given.command.as_deref().unwrap_or(DEFAULT_COMMAND);
    let mut explicit: BTreeSet<&str> = given.ids.iter().map(String::as_str).collect();
    let mut added = Vec::new();
    let free = |arg: &Arg, explicit: &BTreeSet<&str>| {
        !explicit.contains(arg.get_id().as_str()) && !is_contradicted(command, arg, explicit)
    };
    for arg in settable(command).filter(|arg| free(arg, &explicit)) {
        let name = variable_name(&key(arg));
        if let Some(value) = variable(&name) {
            let words = words(arg, &Value::of_variable(arg, &value));
            let mistake = |expected: String| {
                if is_secret(arg) {
                    return anyhow::anyhow!("{name}: {expected}");
                }
                anyhow::anyhow!("{name}={}: {expected}", value.to_string_lossy())
            };
            let words = words.map_err(mistake)?;
            check(&definition, given.command.as_deref(), &words).map_err(mistake)?;
            added.push((arg, words, name));
        }
    }
    explicit.extend(added.iter().map(|(arg, ..)| arg.get_id().as_str()));
    for arg in settable(command).filter(|arg| free(arg, &explicit)) {
        if let Some((words, place)) = file.words(section, arg)? {
            added.push((arg, words, place));
        }
    }
    append(&mut arguments, &added);
    let origins = added.into_iter().filter_map(Origin::of).collect();
    Ok(Completed {
        arguments,
        settings: file.path().map(Path::to_owned),
        definition,
        command: given.command,
        origins,
    })
}

/// Returns what is to be said of variables that set nothing, but whose name is that of one that
/// would, but for a slip. Others may be anybody's.
pub(super) fn mistyped(
    mut definition: Command,
    variables: impl Iterator<Item = OsString>,
) -> Vec<String> {
    /// Letters of a name in which somebody may slip twice.
    const LONG_MIN: usize = 8;
    // What all have in common says nothing of which is meant.
    let prefix = variable_name("");
    definition.build();
    let commands: Vec<_> = sections(&definition)
        .map(|command| format!("{}_", command.get_name().to_ascii_uppercase()))
        .collect();
    let keys = sections(&definition).flat_map(|command| settable(command).map(key));
    let known: BTreeSet<_> = keys
        .chain([CONFIG.to_owned()])
        .map(|key| variable_name(&key)[prefix.len()..].to_owned())
        .collect();
    let names = variables.filter_map(|name| name.into_string().ok());
    let mut said: Vec<_> = names
        .filter_map(|name| {
            let rest = name.strip_prefix(&prefix)?;
            // The file has sections, the environment has not.
            let behind = |command: &String| rest.strip_prefix(command.as_str());
            let mut behind = commands.iter().filter_map(behind);
            if let Some(key) = behind.find(|key| known.contains(*key)) {
                return Some(format!("{name} sets nothing: {prefix}{key} would"));
            }
            let slips = |known: &&String| strsim::damerau_levenshtein(rest, known);
            let near = known.iter().min_by_key(slips)?;
            let most = if rest.len() < LONG_MIN { 1 } else { 2 };
            if !(1..=most).contains(&slips(&near)) {
                return None;
            }
            Some(format!("{name} sets nothing: did you mean {prefix}{near}?"))
        })
        .collect();
    said.sort();
    said
}

/// An argument that nobody typed, and where it is set.
type Added<'a> = (&'a Arg, Words, String);

/// Puts flags before a `--`, behind which everything is a value, and values behind it.
fn append(arguments: &mut Vec<OsString>, added: &[Added<'_>]) {
    let (values, flags): (Vec<_>, Vec<_>) = added.iter().partition(|(arg, ..)| arg.is_positional());
    let end = arguments.iter().position(|word| word == "--");
    let at = end.unwrap_or(arguments.len());
    let flags = flags.into_iter().flat_map(|(_, words, _)| words.0.clone());
    arguments.splice(at..at, flags);
    if end.is_none() && !values.is_empty() {
        arguments.push("--".into());
    }
    arguments.extend(values.into_iter().flat_map(|(_, words, _)| words.0.clone()));
}

/// What the command line says, as far as precedence goes.
struct Given {
    /// The command, if it is named.
    command: Option<String>,
    /// The arguments that are given.
    ids: Vec<String>,
    config: Option<PathBuf>,
}

impl Given {
    /// Reads a command line that may lack what the environment or the file says; `None` if it is a
    /// mistake or asks for help.
    fn read(definition: &Command, arguments: &[OsString]) -> Option<Self> {
        let mut matches = outline(definition).try_get_matches_from(arguments).ok()?;
        let subcommand = matches.remove_subcommand();
        let command = subcommand.as_ref().map(|(name, _)| name.clone());
        let matches = subcommand.map_or(matches, |(_, matches)| matches);
        let mut given = Self {
            command,
            ids: Vec::new(),
            config: None,
        };
        let command = given.definition(definition);
        if !is_configurable(command) {
            return None;
        }
        let is_given = |arg: &&Arg| {
            matches.value_source(arg.get_id().as_str())
                == Some(clap::parser::ValueSource::CommandLine)
        };
        let mut ids = Vec::new();
        for arg in command.get_arguments().filter(is_given) {
            if is_help(arg) {
                return None;
            }
            ids.push(arg.get_id().to_string());
        }
        let config = matches.try_get_one::<OsString>(CONFIG).ok().flatten();
        given.config = config.map(PathBuf::from);
        given.ids = ids;
        Some(given)
    }

    fn definition<'a>(&self, definition: &'a Command) -> &'a Command {
        let named = self.command.as_ref();
        named
            .and_then(|name| definition.find_subcommand(name))
            .unwrap_or(definition)
    }
}

/// Returns a command that takes the same words and asks nothing of their sense.
fn outline(definition: &Command) -> Command {
    let args = definition.get_arguments().map(|arg| {
        let mut plain = Arg::new(arg.get_id().clone())
            .allow_hyphen_values(arg.is_allow_hyphen_values_set())
            .require_equals(arg.is_require_equals_set());
        if let Some(long) = arg.get_long() {
            plain = plain.long(long.to_owned());
        }
        if let Some(short) = arg.get_short() {
            plain = plain.short(short);
        }
        for alias in arg.get_all_aliases().unwrap_or_default() {
            plain = plain.alias(alias.to_owned());
        }
        if takes_values(arg) {
            let values = arg.get_num_args().unwrap_or_default();
            // One that could be repeated would leave nothing to the next.
            let is_one = arg.is_positional() && values.max_values() == 1;
            plain
                .num_args(values)
                .value_parser(value_parser!(OsString))
                .action(if is_one {
                    ArgAction::Set
                } else {
                    ArgAction::Append
                })
        } else {
            plain.action(ArgAction::Count)
        }
    });
    Command::new(definition.get_name().to_owned())
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .args_conflicts_with_subcommands(definition.is_args_conflicts_with_subcommands_set())
        .args(args)
        .subcommands(definition.get_subcommands().map(outline))
}

/// Returns whether a command does what can be set, rather than print what is known.
fn is_configurable(command: &Command) -> bool {
    const PRINTERS: [&str; 4] = ["completions", "help", "limits", "man"];
    !PRINTERS.contains(&command.get_name())
}

/// Returns the arguments that may be set elsewhere than on the command line.
fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    // Behind one that has to be given, a value could be taken for that one.
    let all_optional = !command.get_positionals().any(Arg::is_required_set);
    let is_settable = move |arg: &&Arg| {
        let is_optional_value = arg.is_positional() && all_optional;
        (arg.get_long().is_some() || is_optional_value) && !is_help(arg) && arg.get_id() != CONFIG
    };
    command.get_arguments().filter(is_settable)
}

fn is_help(arg: &Arg) -> bool {
    matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    )
}

fn is_secret(arg: &Arg) -> bool {
    arg.get_long() == Some(SECRET)
}

/// Makes a mistake not repeat what may be a password.
pub(super) fn discreet(mut error: clap::Error) -> clap::Error {
    let flag = format!("--{SECRET} ");
    if let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg)
        && arg.starts_with(&flag)
    {
        let hidden = ContextValue::String("...".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    error
}

fn takes_values(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// Returns what the file calls an argument.
fn key(arg: &Arg) -> String {
    let name = arg.get_long().unwrap_or_else(|| arg.get_id().as_str());
    name.replace('_', "-")
}

/// Returns what the environment calls an argument.
fn variable_name(key: &str) -> String {
    format!("FORERUN_{}", key.replace('-', "_").to_ascii_uppercase())
}

/// Returns whether what was given explicitly goes before this argument, as one excludes the other.
fn is_contradicted(command: &Command, arg: &Arg, explicit: &BTreeSet<&str>) -> bool {
    let given = command
        .get_arguments()
        .filter(|other| explicit.contains(other.get_id().as_str()));
    let excludes = |one: &Arg, other: &Arg| {
        let mut excluded = command.get_arg_conflicts_with(one).into_iter();
        excluded.any(|arg| arg.get_id() == other.get_id())
    };
    given
        .into_iter()
        .any(|other| excludes(arg, other) || excludes(other, arg))
}

/// Arguments as they stand on a command line.
#[derive(Debug, Clone, Default)]
struct Words(Vec<OsString>);

/// Returns a setting as it would stand on a command line; nothing if it says that a switch is off.
///
/// # Errors
/// It is of the wrong kind; the error is what is expected.
fn words(arg: &Arg, value: &Value) -> Result<Words, String> {
    let flag = arg.get_long().map(|long| format!("--{long}"));
    if !takes_values(arg) {
        return match (value, flag) {
            (Value::Switch(true), Some(flag)) => Ok(Words(vec![flag.into()])),
            (Value::Switch(false), _) => Ok(Words::default()),
            _ => Err("expected true or false".to_owned()),
        };
    }
    let word = |value: &OsString| match &flag {
        Some(flag) => {
            let mut word = OsString::from(format!("{flag}="));
            word.push(value);
            word
        }
        None => value.clone(),
    };
    let is_optional = arg
        .get_num_args()
        .is_some_and(|count| count.min_values() == 0);
    match (value, flag.as_ref()) {
        (Value::Switch(true), Some(flag)) if is_optional => Ok(Words(vec![flag.into()])),
        (Value::Switch(false), _) if is_optional => Ok(Words::default()),
        (Value::One(value), _) => Ok(Words(vec![word(value)])),
        (Value::Many(values), _) if takes_many(arg) => Ok(Words(values.iter().map(word).collect())),
        _ => Err(expected(arg)),
    }
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
        || arg
            .get_num_args()
            .is_some_and(|count| count.max_values() > 1)
}

/// Says what kind of value an argument takes.
fn expected(arg: &Arg) -> String {
    let possible = arg.get_possible_values();
    let names: Vec<_> = possible
        .iter()
        .map(clap::builder::PossibleValue::get_name)
        .collect();
    match (names.is_empty(), takes_many(arg)) {
        (false, _) => format!("expected one of {}", names.join(", ")),
        (true, true) => "expected text, or a list of texts".to_owned(),
        (true, false) => "expected text or a number".to_owned(),
    }
}

/// Has clap read a setting alone, and returns what it expects instead. Whether it goes together
/// with others is seen when all are known.
fn check(definition: &Command, command: Option<&str>, words: &Words) -> Result<(), String> {
    let mut line: Vec<OsString> = vec![definition.get_name().into()];
    line.extend(command.map(OsString::from));
    let is_flag = words
        .0
        .first()
        .is_none_or(|word| word.as_encoded_bytes().starts_with(b"--"));
    if !is_flag {
        line.push("--".into());
    }
    line.extend(words.0.iter().cloned());
    let Err(error) = definition.clone().try_get_matches_from(line) else {
        return Ok(());
    };
    match error.kind() {
        ErrorKind::InvalidValue => Err(match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
                format!("expected one of {}", valid.join(", "))
            }
            _ => "expected a value".to_owned(),
        }),
        ErrorKind::ValueValidation => Err(error.source().map_or_else(
            || "no such value is known".to_owned(),
            |reason| match reason.downcast_ref::<ParseIntError>() {
                Some(_) => "expected a whole number".to_owned(),
                None => reason.to_string(),
            },
        )),
        ErrorKind::InvalidUtf8 => Err("expected text".to_owned()),
        ErrorKind::TooFewValues | ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
            Err("expected another number of values".to_owned())
        }
        _ => Ok(()),
    }
}

/// Returns the name that is most like another, if one is.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.7;
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// Returns the commands that the file has a section for.
fn sections(definition: &Command) -> impl Iterator<Item = &Command> {
    definition
        .get_subcommands()
        .filter(|command| is_configurable(command))
}

#[cfg(test)]
mod tests;
