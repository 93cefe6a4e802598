//! Every flag, by each of the three ways, and what is said of mistakes.

use std::collections::HashMap;
use std::path::Path;

use clap::CommandFactory as _;

use super::*;
use crate::cli::Arguments;

/// Returns the arguments as they are completed, joined by spaces.
fn completed(line: &str, variables: &[(&str, &str)], file: &str) -> anyhow::Result<String> {
    let words = complete_with(line, variables, file)?.arguments;
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
    Ok(words.join(" "))
}

fn complete_with(line: &str, variables: &[(&str, &str)], file: &str) -> anyhow::Result<Completed> {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("settings.toml");
    std::fs::write(&path, file).unwrap();
    let mut variables: HashMap<String, OsString> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
        .collect();
    variables.insert("FORERUN_CONFIG".to_owned(), path.clone().into());
    let words = line.split_whitespace().map(OsString::from).collect();
    complete(Arguments::command(), words, |name| {
        variables.get(name).cloned()
    })
    .map_err(|error| anyhow::anyhow!(format!("{error:#}").replace(path.to_str().unwrap(), "FILE")))
}

#[track_caller]
fn check(line: &str, variables: &[(&str, &str)], file: &str, expected: &str) {
    assert_eq!(
        completed(line, variables, file).unwrap(),
        expected,
        "{line}"
    );
}

#[track_caller]
fn check_mistake(variables: &[(&str, &str)], file: &str, expected: &str) {
    let said = completed("forerun", variables, file).unwrap_err();
    assert_eq!(said.to_string(), expected);
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let file = "port = 1\nmemory = \"1G\"\nexplain = true\n[dev]\nopen = true\nport = 4";
    check(
        "forerun",
        &[],
        file,
        "forerun --port=1 --memory=1G --explain",
    );
    let port = [("FORERUN_PORT", "2")];
    check(
        "forerun",
        &port,
        file,
        "forerun --port=2 --memory=1G --explain",
    );
    check(
        "forerun serve --port 3",
        &port,
        file,
        "forerun serve --port 3 --memory=1G --explain",
    );
    check("forerun dev", &[], file, "forerun dev --port=4 --open");
    check("forerun dev", &port, file, "forerun dev --port=2 --open");
    check("forerun plan /", &port, file, "forerun plan /");
}

#[test]
fn switches_can_be_turned_off_and_lists_are_replaced() {
    let file = "[dev]\nopen = true\nhost = true\nignore = ['a', 'b c']\nsite = 'public'";
    let all = "forerun dev --host --open --ignore=a --ignore=b c -- public";
    check("forerun dev", &[], file, all);
    check(
        "forerun dev x --ignore d",
        &[("FORERUN_OPEN", "no"), ("FORERUN_HOST", "::1")],
        file,
        "forerun dev x --ignore d --host=::1",
    );
    check(
        "forerun dev --host",
        &[("FORERUN_IGNORE", "e\nf"), ("FORERUN_OPEN", "")],
        file,
        "forerun dev --host --ignore=e --ignore=f --open -- public",
    );
    check(
        "forerun dev --",
        &[],
        file,
        "forerun dev --host --open --ignore=a --ignore=b c -- public",
    );
}

#[test]
fn what_excludes_another_setting_goes_by_precedence() {
    let file = "[plan]\njson = true";
    check(
        "forerun plan --as html",
        &[],
        file,
        "forerun plan --as html",
    );
    check(
        "forerun plan",
        &[("FORERUN_AS", "html")],
        file,
        "forerun plan --as=html",
    );
    check("forerun plan", &[], file, "forerun plan --json");
}

/// TOML 1.0, Integer.
#[test]
fn numbers_are_what_they_are_however_they_are_written() {
    for number in ["0x2345", "9_029", "+9029", "0o21505", "0b10001101000101"] {
        check(
            "forerun",
            &[],
            &format!("port = {number}"),
            "forerun --port=9029",
        );
    }
}

#[test]
fn help_and_mistakes_are_left_to_clap() {
    for line in [
        "forerun --help",
        "forerun dev -h",
        "forerun help dev",
        "forerun --no-such",
    ] {
        check(line, &[], "nonsense = 1", line);
    }
}

#[test]
fn a_mistake_is_named_with_its_line() {
    check_mistake(
        &[],
        "\nprot = 1",
        "FILE:2: there is no setting `prot` in [serve]: did you mean `port`?",
    );
    check_mistake(
        &[],
        "open = true",
        "FILE:1: there is no setting `open` in [serve]: it is one of [dev]",
    );
    check_mistake(
        &[],
        "zzzz = 1",
        "FILE:1: there is no setting `zzzz` in [serve]: `forerun serve --help` lists them, \
         without the dashes",
    );
    check_mistake(
        &[],
        "[sreve]\nport = 1",
        "FILE:1: there is no section [sreve]: did you mean [serve]?",
    );
    check_mistake(
        &[],
        "port = 1\n[serve]\nport = 2",
        "FILE:3: `port` is set in line 1 already: keys above the sections are those of [serve]",
    );
    check_mistake(
        &[],
        "config = 'x'",
        "FILE:1: there is no setting `config` in [serve]: `forerun serve --help` lists them, \
         without the dashes",
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_what_is_expected() {
    let expect = |file: &str, expected: &str| {
        let said = completed("forerun", &[], file).unwrap_err().to_string();
        assert_eq!(said, format!("FILE:1: `{file}`: {expected}"));
    };
    expect("port = 'many'", "expected a whole number");
    expect("port = 70000", "70000 is not in 0..=65535");
    expect("port = true", "expected text or a number");
    expect("port = [1]", "expected text or a number");
    expect("explain = 1", "expected true or false");
    expect("push = 'most'", "expected one of critical, all, none");
    expect("push = 1979-05-27", "expected one of critical, all, none");
    expect(
        "memory = '3X'",
        "write a number of bytes, such as 65536, 64K, 4M or 1G",
    );
    let origin = "it takes an origin such as https://app.example (no path), or *";
    expect("cors = 'a'", origin);
    expect("cors = ['*', 'https://a.example/b']", origin);
    expect(
        "host = 'public'",
        "it takes an address such as 192.168.1.20, or nothing for every address (a site to serve \
         goes before --host)",
    );
    expect(
        "spa = 'a/'",
        "write a file of the site, such as /index.html",
    );
    check_mistake(
        &[("FORERUN_CORS", "a")],
        "",
        &format!("FORERUN_CORS=a: {origin}"),
    );
    check_mistake(
        &[("FORERUN_PORT", "x")],
        "",
        "FORERUN_PORT=x: expected a whole number",
    );
    check_mistake(
        &[("FORERUN_EXPLAIN", "maybe")],
        "",
        "FORERUN_EXPLAIN=maybe: expected true or \
         false",
    );
    assert!(
        completed("forerun", &[], "port 1")
            .unwrap_err()
            .to_string()
            .starts_with("FILE:1: ")
    );
}

#[test]
fn what_may_be_a_password_is_never_repeated() {
    let said = |variables: &[_], file: &str| {
        let said = completed("forerun", variables, file).unwrap_err();
        let said = said.to_string();
        assert!(
            said.contains("is a password") && !said.contains("secret"),
            "{said}"
        );
        said
    };
    let file = said(&[], "\nauth = ['ada:secret']");
    assert!(
        file.starts_with("FILE:2: `auth`: what follows `ada:`"),
        "{file}"
    );
    let variable = said(&[("FORERUN_AUTH", "ada:secret")], "");
    assert!(
        variable.starts_with("FORERUN_AUTH: what follows `ada:`"),
        "{variable}"
    );
}

/// What is wrong with several settings, or with what one names, is seen when all are known.
#[test]
fn what_is_wrong_with_a_setting_is_said_with_its_place() {
    let said = |line: &str, variables: &[(&str, &str)], file: &str| {
        let completed = complete_with(line, variables, file).unwrap();
        let error = crate::cli::read_completed(&completed).unwrap_err();
        let path = regex::Regex::new(r"\S*settings\.toml").unwrap();
        path.replace_all(&format!("{error:#}"), "FILE").into_owned()
    };
    let missing = "no/such: cannot read `no/such`: No such file or directory (os error 2)";
    assert_eq!(
        said("forerun", &[], "port = 1\nauth-file = 'no/such'"),
        format!("FILE:2: --auth-file {missing}")
    );
    assert_eq!(
        said("forerun dev", &[("FORERUN_AUTH_FILE", "no/such")], ""),
        format!("FORERUN_AUTH_FILE: --auth-file {missing}")
    );
    assert_eq!(
        said("forerun --auth-file no/such", &[], "auth = []"),
        format!("--auth-file {missing}")
    );
    // Not of the port, which is as good as any.
    let lacking = said("forerun", &[], "port = 1\ncertificate = 'a.pem'");
    let tips: Vec<_> = lacking
        .lines()
        .filter(|line| line.contains("tip:"))
        .collect();
    assert_eq!(tips, ["  tip: --certificate is set in FILE:2"]);
}

/// Whichever way it is named.
#[test]
fn the_file_is_not_in_the_site() {
    let site = tempfile::tempdir().unwrap();
    let (root, file) = (site.path().display(), site.path().join("live.toml"));
    std::fs::write(&file, "listing = true").unwrap();
    for command in ["serve", "dev"] {
        let flag = format!("forerun {command} {root} --config {}", file.display());
        let variable = format!("forerun {command} {root}");
        for line in [flag, variable] {
            let words = line.split_whitespace().map(OsString::from).collect();
            let named = |name: &str| (name == "FORERUN_CONFIG").then(|| file.clone().into());
            let completed = complete(Arguments::command(), words, named).unwrap();
            let error = crate::cli::read_completed(&completed).unwrap_err();
            let said = format!("the settings in {}: this is inside", file.display());
            assert!(format!("{error:#}").starts_with(&said), "{error:#}");
        }
    }
}

#[test]
fn a_file_that_is_named_must_exist() {
    let line = ["forerun", "--config", "no/such.toml"].map(OsString::from);
    let said = complete(Arguments::command(), line.into(), |_| None).unwrap_err();
    assert!(format!("{said:#}").starts_with("cannot read the settings in no/such.toml: "));
    assert!(
        File::read(None)
            .unwrap()
            .words(DEFAULT_COMMAND, &Arg::new("x"))
            .unwrap()
            .is_none()
    );
    assert!(File::parse(Path::new("x"), "").is_ok());
}

/// Returns a value that an argument takes, as text.
fn sample(arg: &Arg) -> String {
    const SAMPLES: [&str; 17] = [
        "7",
        "64K",
        "1",
        "10ms",
        "1s",
        "localhost",
        "text",
        "fibre",
        "first",
        "300s",
        "127.0.0.1",
        "127.0.0.1:0",
        "https://localhost",
        "/a",
        "*.css=no-store",
        "stock/*=latest",
        "ada:$2y$05$c4WoMPo3SXsafkva.HHa6u6sKulLFIKfduk6JUyh.QHa6neGeFVmG",
    ];
    if let Some(possible) = arg.get_possible_values().first() {
        return possible.get_name().to_owned();
    }
    let mut alone = arg.clone().required(false);
    alone = if arg.is_positional() {
        alone
    } else {
        alone.long("x")
    };
    let takes = |sample: &&&str| {
        let alone = without_relations(&alone);
        let line = [OsString::from("x"), format!("--x={sample}").into()];
        Command::new("x")
            .arg(alone)
            .try_get_matches_from(line)
            .is_ok()
    };
    let found = SAMPLES.iter().find(takes);
    let found = found.unwrap_or_else(|| panic!("add a value of --{} to SAMPLES", key(arg)));
    (*found).to_owned()
}

/// Returns an argument that can stand alone.
fn without_relations(arg: &Arg) -> Arg {
    Arg::new("x")
        .long("x")
        .num_args(arg.get_num_args().unwrap_or_default())
        .value_parser(arg.get_value_parser().clone())
}

/// Whoever adds a flag need do nothing for it to be set by all three ways; this fails if they must.
#[test]
fn every_flag_of_every_command_can_be_set_by_all_three_ways() {
    let mut definition = Arguments::command();
    definition.build();
    let mut flags = 0;
    for command in sections(&definition) {
        let name = command.get_name();
        for arg in settable(command) {
            let (key, is_switch) = (key(arg), !takes_values(arg));
            let value = if is_switch {
                "true".to_owned()
            } else {
                sample(arg)
            };
            let expected = match (arg.is_positional(), is_switch) {
                (true, _) => format!("forerun {name} -- {value}"),
                (false, true) => format!("forerun {name} --{key}"),
                (false, false) => format!("forerun {name} --{key}={value}"),
            };
            let line = format!("forerun {name}");
            check(&line, &[(&variable_name(&key), &value)], "", &expected);
            let quoted = if is_switch {
                value
            } else {
                format!("'{value}'")
            };
            check(
                &line,
                &[],
                &format!("[{name}]\n{key} = {quoted}"),
                &expected,
            );
            // What was completed is what the command line would have said.
            check(&expected, &[(&variable_name(&key), "0")], "", &expected);
            flags += 1;
        }
    }
    assert!(flags > 40, "{flags}");
}

#[test]
fn a_variable_that_sets_nothing_is_named_with_the_one_that_does() {
    let names = [
        "FORERUN_PROT",
        "FORERUN_PORT",
        "FORERUN_CONFIG",
        "FORERUN_OPEN",
        "FORERUN_ZZZZ",
        "FORERUN_MAX_STREAM",
        "FORERUN_DEV_RUN",
        "FORERUN_BIN",
        "FORERUN_SHOTS",
        "PATH",
        "FORERUNNER",
    ];
    let names = names.into_iter().map(OsString::from);
    assert_eq!(
        mistyped(Arguments::command(), names),
        [
            "FORERUN_DEV_RUN sets nothing: FORERUN_RUN would",
            "FORERUN_MAX_STREAM sets nothing: did you mean FORERUN_MAX_STREAMS?",
            "FORERUN_PROT sets nothing: did you mean FORERUN_PORT?",
        ]
    );
}
