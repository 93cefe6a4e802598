//! Checks of the map: what `src/lib.rs` and the house say of the code is true.
//!
//! Each complaint names the place and says what to do. The floors and doors are tables: a change of
//! the design changes them first.

use std::fs;
use std::path::{Path, PathBuf};

/// Which floors the modules of a floor may name, besides their own.
const FLOORS: &str = "
    main         -> cli serve measure plan certificate hash publish terminal
    cli -> serve measure live plan certificate publish door access_log answer site tls terminal
    serve -> live http1 http2 door access_log metrics answer hub site tls web_socket terminal
    live         -> door answer hub site terminal
    measure      -> http2 door access_log metrics answer hub site tls web_socket terminal
    plan         -> answer site terminal
    certificate  -> tls terminal
    hash         -> answer
    publish      -> tls
    http2        -> door access_log metrics answer hub site web_socket
    http1        -> door access_log metrics answer hub site web_socket
    door         -> access_log metrics answer hub site tls web_socket
    answer       -> hub site
    access_log   ->
    metrics      ->
    hub          -> web_socket
    site         ->
    tls          ->
    web_socket   ->
    terminal     ->
";

/// What of the outside is named in few places, and the modules that may.
const DOORS: &str = "
    h2               -> http2 measure publish
    httparse         -> serve::small_http
    hyper            -> http1
    hyper_util       -> http1
    fast_qr          -> serve
    listenfd         -> serve::service_manager
    sd_notify        -> serve::service_manager
    jsonwebtoken     -> answer::channels::keys
    open             -> live::browser
    rcgen            -> tls
    redis            -> hub::store
    rustls_pemfile   -> tls
    urlpattern       -> answer::channels::url_pattern
    x509_parser      -> tls
    std::env         -> cli
    notify           -> live::watch
    ignore           -> live::ignored
    std::fs          -> site::load tls cli door live::watch measure::report hub::store
    tokio::fs        -> site::load tls cli
    cap_std          -> site::load tls cli
    socket2          -> serve
    tokio::net       -> serve measure::remote publish
    tokio::process   -> live::build
    tokio::signal    -> serve live::keys measure
";

const LINE_COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 800;
const TREE_BYTES_MAX: u64 = 1 << 20;

/// A source file of the program.
struct Source {
    /// From the root of the repository.
    name: String,
    /// `site::links::css`; `main` and `lib` for the roots.
    module: String,
    text: String,
    /// The text without unit tests, comments and what is in quotes.
    code: String,
}

impl Source {
    fn floor(&self) -> &str {
        self.module.split("::").next().unwrap_or_default()
    }

    /// Tells the files of a module's tests.
    fn is_test(&self) -> bool {
        self.module.split("::").any(|name| name == "tests")
    }

    fn complaint(&self, code_offset: usize, what: &str) -> String {
        let line = self.code[..code_offset].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.name)
    }
}

#[test]
fn imports_go_down_only() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        let floor = table(FLOORS)
            .into_iter()
            .find(|(floor, _)| *floor == source.floor());
        let Some((_, below)) = floor else {
            complaints.push(format!(
                "{}: the floor `{}` is new: give it a place in FLOORS, in tests/it/tidy.rs",
                source.name,
                source.floor()
            ));
            continue;
        };
        for (offset, named) in floors_named(source) {
            if named != source.floor() && !below.contains(&named.as_str()) {
                complaints.push(source.complaint(
                    offset,
                    &format!(
                        "`{}` names `{named}`, which is not below it: take what is needed as an \
                         argument, or move it down",
                        source.module
                    ),
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_outside_is_named_at_the_doors_only() {
    let mut complaints = Vec::new();
    for source in sources() {
        if source.is_test() {
            continue;
        }
        for (outside, doors) in table(DOORS) {
            let is_door = |door: &str| {
                let inner = source.module.strip_prefix(door);
                inner.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            if doors.iter().any(|door| is_door(door)) {
                continue;
            }
            for offset in outside_named(&source.code, outside) {
                complaints.push(source.complaint(
                    offset,
                    &format!(
                        "`{outside}` is named by {} only: ask there",
                        doors.join(", ")
                    ),
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut complaints = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            complaints.push(format!(
                "{}: begin with `//!`: what it is for, what it must not know, where to read next",
                source.name
            ));
        }
        if source.name.ends_with("/mod.rs") {
            complaints.push(format!(
                "{}: call it after its folder, beside it",
                source.name
            ));
        }
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX && !source.is_test() {
            complaints.push(format!(
                "{}: {lines} lines: split it by meaning into files of at most {FILE_LINES_MAX}",
                source.name
            ));
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_map_names_every_floor() {
    let sources = sources();
    let root = sources
        .iter()
        .find(|source| source.module == "lib")
        .unwrap();
    let is_map = |line: &&str| line.starts_with("//!");
    let map: Vec<_> = root.text.lines().take_while(is_map).collect();
    let map = map.join(
        "
",
    );
    let mut complaints = Vec::new();
    for line in root.code.lines() {
        let Some((_, name)) = line.split_once("mod ") else {
            continue;
        };
        let name = name.trim_end_matches(';');
        if words(&map, name).is_empty() {
            complaints.push(format!(
                "src/lib.rs: the map at the top does not name `{name}`: say what it is for there"
            ));
        }
    }
    for (floor, _) in table(FLOORS) {
        let is_drawn = map.lines().any(|line| words(line, floor).contains(&4));
        let has_module = sources.iter().any(|source| source.module == floor);
        if is_drawn && !has_module {
            complaints.push(format!(
                "src/lib.rs: the map shows `{floor}`, which does not exist"
            ));
        }
    }
    assert_none(&complaints);
}

#[test]
fn nothing_of_a_peers_ends_the_process() {
    let mut complaints = Vec::new();
    for source in sources() {
        if source.is_test() {
            continue;
        }
        for call in [
            ".unwrap()",
            "panic!",
            "todo!",
            "unimplemented!",
            "process::exit",
        ] {
            if call == "process::exit" && source.floor() == "main" {
                continue;
            }
            for (offset, _) in source.code.match_indices(call) {
                complaints.push(source.complaint(
                    offset,
                    &format!(
                        "`{call}` outside tests: return the error, or `expect` with the reason why \
                         it cannot happen"
                    ),
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn lines_fit_the_page() {
    let mut complaints = Vec::new();
    for (name, text) in tree().iter().filter(|(name, _)| is_rust(name)) {
        for (index, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX {
                complaints.push(format!(
                    "{name}:{}: {columns} columns: break the line at {LINE_COLUMNS_MAX}",
                    index + 1
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_repository_stands_alone() {
    // In two halves, so that this file does not complain of itself.
    let elsewhere = [
        ("/work", "/"),
        ("/root", "/"),
        ("../", "shared"),
        ("/tmp", "/h/"),
    ];
    let mut complaints = Vec::new();
    for (name, text) in tree() {
        for (index, line) in text.lines().enumerate() {
            for (first, second) in elsewhere {
                let path = format!("{first}{second}");
                if line.contains(&path) {
                    complaints.push(format!(
                        "{name}:{}: `{path}` exists on one machine only: name no place outside \
                         the repository",
                        index + 1
                    ));
                }
            }
            if name.ends_with("package-lock.json") && line.contains("\"resolved\"") {
                complaints.push(format!(
                    "{name}:{}: a lock file names a host: set omit-lockfile-registry-resolved",
                    index + 1
                ));
            }
        }
    }
    assert_none(&complaints);
}

/// Reads a table: a name, and the names beside it.
fn table(text: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = text.lines().filter_map(|line| line.split_once("->"));
    rows.map(|(name, names)| (name.trim(), names.split_whitespace().collect()))
        .collect()
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Returns the floors that a file's code names, with the place.
fn floors_named(source: &Source) -> Vec<(usize, String)> {
    let up = "super::".repeat(source.module.split("::").count());
    let roots = if source.module == "main" {
        vec!["forerun::"]
    } else {
        vec!["crate::", &up]
    };
    roots
        .into_iter()
        .flat_map(|root| named_under(&source.code, root))
        .collect()
}

/// Returns where code names a crate, or a module of one.
fn outside_named(code: &str, outside: &str) -> Vec<usize> {
    let Some((root, module)) = outside.split_once("::") else {
        let imports = [format!("use {outside};"), format!("use {outside} as")];
        let imports = imports.iter().flat_map(|import| words(code, import));
        return words(code, &format!("{outside}::"))
            .into_iter()
            .chain(imports)
            .collect();
    };
    let named = named_under(code, &format!("{root}::")).into_iter();
    named
        .filter(|(_, name)| name == module)
        .map(|(offset, _)| offset)
        .collect()
}

/// Returns the names that code takes from under a root such as `crate::`, with the place.
fn named_under(code: &str, root: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for offset in words(code, root) {
        let path = &code[offset + root.len()..];
        if let Some(group) = path.strip_prefix('{') {
            named.extend(heads(group).into_iter().map(|name| (offset, name)));
        } else {
            named.push((offset, word(path)));
        }
    }
    named.retain(|(_, name)| !name.is_empty());
    named
}

/// Returns the first word of each path in a group, up to the brace that closes it.
fn heads(group: &str) -> Vec<String> {
    let mut heads = vec![word(group.trim_start())];
    let mut depth = 0;
    for (offset, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(group[offset + 1..].trim_start())),
            _ => {}
        }
    }
    heads
}

fn is_rust(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|&letter| letter.is_alphanumeric() || letter == '_')
        .collect()
}

/// Returns where a name begins as a word of its own, not as the tail of a longer one or a path.
fn words(text: &str, name: &str) -> Vec<usize> {
    let begins = |offset: usize| {
        let before = text[..offset].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_' && letter != ':')
    };
    let ends = |offset: usize| {
        let after = text[offset + name.len()..].chars().next();
        name.ends_with(':') || after.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_')
    };
    let found = text.match_indices(name).map(|(offset, _)| offset);
    found
        .filter(|&offset| begins(offset) && ends(offset))
        .collect()
}

/// Returns the program's source files.
fn sources() -> Vec<Source> {
    let source = |(name, text): (String, String)| {
        let module = name
            .strip_prefix("src/")?
            .strip_suffix(".rs")?
            .replace('/', "::");
        Some(Source {
            module,
            code: without_tests(&code_alone(&text)),
            text,
            name,
        })
    };
    let sources: Vec<Source> = tree().into_iter().filter_map(source).collect();
    assert!(sources.len() > 2, "the source files are in src/");
    sources
}

/// Returns the text files of the repository that a person wrote: names and contents.
fn tree() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let is_built = ["target", "node_modules", ".git", "certs"].map(Into::into);
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !is_built.contains(&name) {
                folders.push(entry.path());
            } else if kind.is_file() && entry.metadata().unwrap().len() < TREE_BYTES_MAX {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    let read = |file: &PathBuf| {
        let name = file.strip_prefix(root).unwrap().to_str()?.to_owned();
        Some((name, fs::read_to_string(file).ok()?))
    };
    files.iter().filter_map(read).collect()
}

/// Blanks out each item for tests alone; lines keep their numbers. Takes code alone.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let Some(start) = code.find(MARK) else {
        return code.to_owned();
    };
    let mut depth = 0;
    let ends = |(_, letter): &(usize, char)| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0 && matches!(letter, '}' | ';')
    };
    let end = code[start..]
        .char_indices()
        .find(ends)
        .map_or(code.len(), |(at, _)| start + at + 1);
    let lines = "\n".repeat(code[start..end].matches('\n').count());
    format!("{}{lines}{}", &code[..start], without_tests(&code[end..]))
}

/// Blanks out comments and what is in quotes; lines keep their numbers.
fn code_alone(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = opaque_bytes(rest, code.chars().next_back());
        if length == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            code.extend(
                rest[..length]
                    .chars()
                    .map(|letter| if letter == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[length..];
        }
    }
    code
}

/// Returns the length of the comment or literal that text begins with; 0: it begins with code.
fn opaque_bytes(text: &str, before: Option<char>) -> usize {
    let until = |start: usize, end: &str| {
        text[start..]
            .find(end)
            .map_or(text.len(), |found| start + found + end.len())
    };
    let in_name = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let hashes = text[1.min(text.len())..]
        .chars()
        .take_while(|&letter| letter == '#')
        .count();
    if text.starts_with("//") {
        until(0, "\n") - usize::from(text.contains('\n'))
    } else if text.starts_with("/*") {
        until(2, "*/")
    } else if text.starts_with('r') && !in_name && text[1 + hashes..].starts_with('"') {
        until(2 + hashes, &format!("\"{}", "#".repeat(hashes)))
    } else if text.starts_with('"') {
        quoted_bytes(text, '"')
    } else if text.starts_with("'\\") || (text.starts_with('\'') && is_one_letter(text)) {
        quoted_bytes(text, '\'')
    } else {
        0
    }
}

/// Tells `'a'` from the lifetime `'a`.
fn is_one_letter(text: &str) -> bool {
    text.chars().nth(2) == Some('\'')
}

fn quoted_bytes(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

#[test]
fn code_is_told_from_words_about_it() {
    let text = "a // crate::b\nc(\"crate::d \\\" e\", 'f', '\\'') r#\"crate::g\"# 'h: /* i\n */ j";
    let code: Vec<String> = code_alone(text)
        .lines()
        .map(|line| line.split(' ').filter(|w| !w.is_empty()).collect())
        .collect();
    assert_eq!(code, ["a", "c(,,)'h:", "j"]);
}

#[test]
fn names_are_found_in_groups_and_alone() {
    let code = "use std::{collections::BTreeMap, fs::{self, File}}; a::std::env; std::io::Read";
    assert_eq!(outside_named(code, "std::fs"), [4]);
    assert!(outside_named(code, "std::env").is_empty());
    assert_eq!(
        outside_named("use h2; http_h2::x; fn f(_: h2::Reason)", "h2").len(),
        2
    );
}

#[test]
fn tests_are_left_out_and_what_follows_them_is_not() {
    let code = "a\n#[cfg(test)]\nuse b;\n#[cfg(test)]\nmod c {\n fn d() {}\n}\ne";
    assert_eq!(without_tests(code), "a\n\n\n\n\n\n\ne");
}
