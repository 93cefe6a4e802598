//! The configuration file: TOML, a section for each command, `serve`'s keys also above them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, bail};
use clap::builder::{BoolishValueParser, TypedValueParser as _};
use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    DEFAULT_COMMAND, FILE, Words, check, is_secret, key, nearest, sections, settable, takes_many,
    takes_values, words,
};

/// What a flag is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Given or not.
    Switch(bool),
    /// A value.
    One(OsString),
    /// Values of a flag that may be given more than once.
    Many(Vec<OsString>),
    /// What no flag takes.
    Other,
}

impl Value {
    /// Reads an environment variable. Several values stand on lines of their own.
    pub(super) fn of_variable(arg: &Arg, value: &OsStr) -> Self {
        let switch = || {
            let parser = BoolishValueParser::new();
            let read = parser.parse_ref(&Command::new(""), None, value);
            read.map_or(Self::Other, Self::Switch)
        };
        if !takes_values(arg) {
            return switch();
        }
        if arg
            .get_num_args()
            .is_some_and(|count| count.min_values() == 0)
            && let found @ Self::Switch(_) = switch()
        {
            return found;
        }
        match value.to_str() {
            Some(text) if takes_many(arg) => Self::Many(text.lines().map(Into::into).collect()),
            _ => Self::One(value.to_owned()),
        }
    }

    fn of_file(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::Boolean(on) => Self::Switch(*on),
            DeValue::Array(values) => {
                let texts = values.iter().map(|value| text(value.get_ref()));
                texts.collect::<Option<_>>().map_or(Self::Other, Self::Many)
            }
            other => text(other).map_or(Self::Other, Self::One),
        }
    }
}

fn text(value: &DeValue<'_>) -> Option<OsString> {
    match value {
        DeValue::String(text) => Some(text.as_ref().into()),
        DeValue::Integer(number) => {
            let number = i128::from_str_radix(number.as_str(), number.radix()).ok()?;
            Some(number.to_string().into())
        }
        DeValue::Float(number) => Some(number.as_str().into()),
        _ => None,
    }
}

/// A key of the file, and where it stands.
#[derive(Debug)]
struct Setting {
    /// The section, if it stands in one.
    section: Option<String>,
    key: String,
    line: usize,
    value: Value,
    /// The value as it is written.
    written: String,
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct File {
    path: PathBuf,
    settings: Vec<Setting>,
    /// Sections and their lines.
    sections: Vec<(String, usize)>,
}

impl File {
    /// Reads the file that is named, or else the one in the current directory, if there is one.
    pub(super) fn read(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = named.unwrap_or(Path::new(FILE));
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(error)
                .with_context(|| format!("cannot read the settings in {}", path.display())),
        }
    }

    /// Returns the file that was read, if one was.
    pub(super) fn path(&self) -> Option<&Path> {
        (self.path != Path::new("")).then_some(&self.path)
    }

    /// Reads the text of a file.
    pub(super) fn parse(path: &Path, text: &str) -> anyhow::Result<Self> {
        let line = |at: usize| 1 + text[..at.min(text.len())].matches('\n').count();
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            anyhow::anyhow!("{}:{}: {}", path.display(), line(at), error.message())
        })?;
        let mut file = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let setting = |section: Option<&str>, key: &Spanned<_>, value: &Spanned<DeValue<'_>>| {
            let key: &Spanned<std::borrow::Cow<'_, str>> = key;
            Setting {
                section: section.map(ToOwned::to_owned),
                key: key.get_ref().to_string(),
                line: line(key.span().start),
                value: Value::of_file(value.get_ref()),
                written: text[value.span()].to_owned(),
            }
        };
        for (key, value) in table.get_ref() {
            let Some(section) = value.get_ref().as_table() else {
                file.settings.push(setting(None, key, value));
                continue;
            };
            let name: &str = key.get_ref();
            file.sections
                .push((name.to_owned(), line(key.span().start)));
            let inside = section.iter();
            file.settings
                .extend(inside.map(|(key, value)| setting(Some(name), key, value)));
        }
        Ok(file)
    }

    /// Checks every key, whatever command is run: a mistake is found when it is made.
    pub(super) fn check(&self, definition: &Command) -> anyhow::Result<()> {
        for (name, line) in &self.sections {
            if !sections(definition).any(|section| section.get_name() == name) {
                let known = sections(definition).map(Command::get_name);
                let hint = nearest(name, known).map_or_else(
                    || {
                        let known: Vec<_> = sections(definition).map(Command::get_name).collect();
                        format!("there are {}", known.join(", "))
                    },
                    |near| format!("did you mean [{near}]?"),
                );
                bail!(
                    "{}:{line}: there is no section [{name}]: {hint}",
                    self.path.display()
                );
            }
        }
        for setting in &self.settings {
            self.check_setting(definition, setting)
                .map_err(|said| anyhow::anyhow!("{}: {said}", self.place(setting)))?;
        }
        Ok(())
    }

    fn check_setting(&self, definition: &Command, setting: &Setting) -> Result<(), String> {
        let name = setting.section.as_deref().unwrap_or(DEFAULT_COMMAND);
        let Some(command) = definition.find_subcommand(name) else {
            return Err(format!("there is no section [{name}]"));
        };
        let key_of = |arg: &Arg| key(arg) == setting.key;
        let Some(arg) = settable(command).find(|arg| key_of(arg)) else {
            return Err(unknown(definition, command, &setting.key));
        };
        if setting.section.is_some()
            && name == DEFAULT_COMMAND
            && let Some(above) = self.find(None, &setting.key)
        {
            return Err(format!(
                "`{}` is set in line {} already: keys above the sections are those of [{name}]",
                setting.key, above.line
            ));
        }
        let checked =
            words(arg, &setting.value).and_then(|words| check(definition, Some(name), &words));
        checked.map_err(|expected| {
            if is_secret(arg) {
                return format!("`{}`: {expected}", setting.key);
            }
            format!("`{} = {}`: {expected}", setting.key, setting.written)
        })
    }

    fn place(&self, setting: &Setting) -> String {
        format!("{}:{}", self.path.display(), setting.line)
    }

    fn find(&self, section: Option<&str>, key: &str) -> Option<&Setting> {
        self.settings
            .iter()
            .find(|setting| setting.section.as_deref() == section && setting.key == key)
    }

    /// Returns what the file says of an argument of a command, and where: `FILE:LINE`.
    pub(super) fn words(
        &self,
        section: &str,
        arg: &Arg,
    ) -> anyhow::Result<Option<(Words, String)>> {
        let key = key(arg);
        let flat = || (section == DEFAULT_COMMAND).then(|| self.find(None, &key));
        let found = self.find(Some(section), &key).or_else(|| flat().flatten());
        let Some(setting) = found else {
            return Ok(None);
        };
        let words = words(arg, &setting.value).map_err(anyhow::Error::msg)?;
        Ok(Some((words, self.place(setting))))
    }
}

/// Says that a section has no such key, and which one may be meant.
fn unknown(definition: &Command, command: &Command, wanted: &str) -> String {
    let name = command.get_name();
    let has = |command: &&Command| settable(command).any(|arg| key(arg) == wanted);
    let hint = if let Some(other) = sections(definition).find(has) {
        format!("it is one of [{}]", other.get_name())
    } else {
        let known: Vec<_> = settable(command).map(key).collect();
        match nearest(wanted, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`forerun {name} --help` lists them, without the dashes"),
        }
    };
    format!("there is no setting `{wanted}` in [{name}]: {hint}")
}
