//! What the program says of itself in the forms that shells and `man` read.

use anyhow::bail;
use clap::{Args, Command};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// The command [default: the program]
    command: Option<String>,
}

/// Returns what a shell is to read.
pub(super) fn completions(arguments: &CompletionsArguments, mut definition: Command) -> Vec<u8> {
    let name = definition.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut definition, name, &mut script);
    script
}

/// Returns a manual page, in roff.
///
/// # Errors
/// There is no such command.
pub(super) fn page(arguments: &ManArguments, mut definition: Command) -> anyhow::Result<Vec<u8>> {
    definition.build();
    let described = match &arguments.command {
        None => definition,
        Some(name) => match definition.find_subcommand(name) {
            Some(command) => command.clone(),
            None => bail!("there is no command `{name}`; `forerun --help` lists them"),
        },
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(described).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, ValueEnum as _};

    use super::*;
    use crate::cli::Arguments;

    #[test]
    fn every_shell_completes_every_command_and_its_flags() {
        for &shell in Shell::value_variants() {
            let arguments = CompletionsArguments { shell };
            let script = completions(&arguments, Arguments::command());
            let script = String::from_utf8(script).unwrap();
            for word in [
                "forerun",
                "measure",
                "strict-port",
                "allow-host",
                "completions",
            ] {
                assert!(script.contains(word), "{word} in {shell}");
            }
        }
    }

    #[test]
    fn every_command_has_its_page() {
        let page = |command: Option<&str>| {
            let command = command.map(ToOwned::to_owned);
            let page = page(&ManArguments { command }, Arguments::command());
            page.map(|page| String::from_utf8(page).unwrap())
        };
        assert!(page(None).unwrap().contains(".TH forerun 1"));
        let dev = page(Some("dev")).unwrap();
        assert!(
            dev.contains(".TH forerun-dev 1") && dev.contains("no\\-console"),
            "{dev}"
        );
        assert!(page(Some("no")).unwrap_err().to_string().contains("`no`"));
    }
}
