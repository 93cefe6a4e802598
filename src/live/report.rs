//! The lines that a person reads in the terminal while editing.
//!
//! Pure: events in, text out, a line without its end for each. What comes from a page is a
//! stranger's text: it is made harmless here, and short. Knows nothing of when a line is due.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::terminal::Style;

/// Names said of one change; the others are counted.
const NAMES_MAX: usize = 2;
/// Characters of a name.
const NAME_CHARACTERS_MAX: usize = 80;
/// Characters of what a page's console says.
const CONSOLE_CHARACTERS_MAX: usize = 500;
/// Lines of a problem's text.
const PROBLEM_LINES_MAX: usize = 12;
/// Characters of a line of a problem's text.
const PROBLEM_CHARACTERS_MAX: usize = 200;

/// Why the site is not what its author wrote: shown in the terminal and over the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What failed, in a few words.
    pub title: String,
    /// What is known of it; lines.
    pub text: String,
}

/// What became of a change in the open tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// No open tab uses what changed.
    Nowhere,
    /// Tabs were told, and have not said that they painted.
    Told {
        /// How many.
        tabs: usize,
    },
    /// Tabs have painted what changed.
    Painted {
        /// How many.
        tabs: usize,
        /// How long the slowest took, from hearing of it.
        slowest: Duration,
    },
}

/// What a page said on its console.
#[derive(Debug, Clone, Copy)]
pub struct Console<'a> {
    /// The page, as host and path.
    pub page: &'a str,
    /// `error`, `uncaught` and the like.
    pub level: &'a str,
    /// What was said.
    pub text: &'a str,
    /// Where: file, line and column; may be empty.
    pub source: &'a str,
}

/// Returns the line of a change: what changed, as paths of the site, and who saw it.
pub fn change(style: Style, paths: &[&str], seen: Seen) -> String {
    line(style, &names(style, paths), seen, "no open tab uses it")
}

/// Returns the line that says who was loaded again because somebody asked for it.
pub fn reload(style: Style, seen: Seen) -> String {
    line(style, &style.strong("reload"), seen, "no tab is open")
}

fn line(style: Style, what: &str, seen: Seen, nowhere: &str) -> String {
    let arrow = style.faint("->");
    let tabs = |count: usize| match count {
        1 => "1 tab".to_owned(),
        _ => format!("{count} tabs"),
    };
    match seen {
        Seen::Nowhere | Seen::Told { tabs: 0 } | Seen::Painted { tabs: 0, .. } => {
            format!("{what} {arrow} {}", style.faint(nowhere))
        }
        Seen::Told { tabs: count } => {
            let said = style.warning("not painted yet");
            format!("{what} {arrow} {}, {said}", tabs(count))
        }
        Seen::Painted {
            tabs: count,
            slowest,
        } => {
            let said = style.success(&format!("painted in {} ms", slowest.as_millis()));
            format!("{what} {arrow} {}, {said}", tabs(count))
        }
    }
}

/// Returns the lines of a problem, indented below its title.
pub fn problem(style: Style, problem: &Problem) -> String {
    let mut said = problem_title(style, problem);
    let lines: Vec<_> = problem.text.lines().collect();
    let first = lines.len().saturating_sub(PROBLEM_LINES_MAX);
    if first > 0 {
        let _ = write!(said, "\n    {}", style.faint(&format!("({first} lines)")));
    }
    for line in &lines[first..] {
        let _ = write!(said, "\n    {}", aligned(line, PROBLEM_CHARACTERS_MAX));
    }
    said
}

/// Returns the line of a problem whose text has been shown already.
pub fn problem_title(style: Style, problem: &Problem) -> String {
    style.failure(&harmless(&problem.title, PROBLEM_CHARACTERS_MAX))
}

/// Returns the line that says that a problem is gone.
pub fn mended(style: Style, problem: &Problem) -> String {
    let title = harmless(&problem.title, PROBLEM_CHARACTERS_MAX);
    let was = style.faint(&format!("({title})"));
    format!("{} {was}", style.success("mended"))
}

/// Returns the line of what a page said on its console.
pub fn console(style: Style, said: Console<'_>) -> String {
    let page = harmless(said.page, NAME_CHARACTERS_MAX);
    let level = harmless(said.level, NAME_CHARACTERS_MAX);
    let level = match said.level {
        "warning" => style.warning(&level),
        _ => style.failure(&level),
    };
    let text = harmless(said.text.trim(), CONSOLE_CHARACTERS_MAX);
    let source = harmless(said.source.trim_start_matches('/'), NAME_CHARACTERS_MAX);
    let page = style.strong(&page);
    if source.is_empty() {
        return format!("{page}: {level}: {text}");
    }
    let source = style.faint(&format!("({source})"));
    format!("{page}: {level}: {text} {source}")
}

/// Returns the line that says that a command is run, and the site will be served after it.
pub fn running(style: Style, command: &str) -> String {
    format!("{} runs {command}", style.strong("forerun"))
}

/// Returns a line of a build's output. It comes from a command that the reader chose, and keeps
/// its colours.
pub fn output(style: Style, line: &str) -> String {
    let line = if style.is_painted() {
        format!("{line}\x1b[0m")
    } else {
        plain(line)
    };
    format!("  {} {line}", style.faint("|"))
}

/// Returns text without escape sequences and control characters, but for the ends of lines.
pub fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            // CSI: parameters, then one final character (ECMA-48 section 5.4).
            ('\x1b', Some('[')) => {
                rest.next();
                for inner in rest.by_ref() {
                    if ('@'..='~').contains(&inner) {
                        break;
                    }
                }
            }
            // OSC: a string up to BEL or ST (ECMA-48 section 5.6).
            ('\x1b', Some(']')) => {
                while let Some(inner) = rest.next() {
                    if inner == '\x07' || (inner == '\x1b' && rest.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            ('\x1b', Some(_)) => {
                rest.next();
            }
            ('\n', _) => kept.push('\n'),
            ('\t', _) => kept.push_str("    "),
            (character, _) if is_harmless(character) => kept.push(character),
            _ => {}
        }
    }
    kept
}

/// Joins the first names of a change.
fn names(style: Style, paths: &[&str]) -> String {
    let shown: Vec<_> = paths
        .iter()
        .take(NAMES_MAX)
        .map(|path| match path.trim_start_matches('/') {
            "" => style.strong("/"),
            name => style.strong(&harmless(name, NAME_CHARACTERS_MAX)),
        })
        .collect();
    let shown = shown.join(", ");
    match paths.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        others => format!("{shown} (+{others})"),
    }
}

/// Returns text as one line of at most so many characters, with nothing in it that steers a
/// terminal or hides in what is read.
fn harmless(text: &str, characters_max: usize) -> String {
    let mut was_blank = false;
    let is_kept = |character: &char| {
        let is_blank = character.is_whitespace();
        !(std::mem::replace(&mut was_blank, is_blank) && is_blank)
    };
    visible(text.chars().filter(is_kept), characters_max)
}

/// The same for a line in which things stand below each other: blanks are kept.
fn aligned(line: &str, characters_max: usize) -> String {
    visible(line.replace('\t', "    ").chars(), characters_max)
}

fn visible(characters: impl Iterator<Item = char>, characters_max: usize) -> String {
    let mut line = String::new();
    let mut written = 0;
    for character in characters {
        let written_here = match character {
            '\n' | '\u{2028}' | '\u{2029}' => "\u{21b5} ".to_owned(),
            _ if character.is_whitespace() => " ".to_owned(),
            _ if is_harmless(character) => character.to_string(),
            _ => character.escape_unicode().to_string(),
        };
        written += written_here.chars().count();
        if written > characters_max {
            line.push('\u{2026}');
            break;
        }
        line.push_str(&written_here);
    }
    line
}

/// Tells characters that show themselves from those that act: controls, and what turns the
/// direction of writing (Unicode Standard Annex 9, section 2) or has no width.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style::plain();

    fn painted(tabs: usize, ms: u64) -> Seen {
        Seen::Painted {
            tabs,
            slowest: Duration::from_millis(ms),
        }
    }

    #[test]
    fn a_change_is_one_line() {
        let lines = [
            change(PLAIN, &["/style.css"], painted(3, 38)),
            change(
                PLAIN,
                &["/index.html", "/about.html", "/a", "/b", "/c"],
                painted(1, 120),
            ),
            change(PLAIN, &["/", "/docs/"], Seen::Told { tabs: 2 }),
            change(PLAIN, &["/x.css"], Seen::Nowhere),
            change(PLAIN, &["/x.css"], painted(0, 1)),
            change(PLAIN, &["/a\x1b[2Jb\nc.css"], Seen::Nowhere),
            reload(PLAIN, painted(2, 210)),
            reload(PLAIN, Seen::Nowhere),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        style.css -> 3 tabs, painted in 38 ms
        index.html, about.html (+3) -> 1 tab, painted in 120 ms
        /, docs/ -> 2 tabs, not painted yet
        x.css -> no open tab uses it
        x.css -> no open tab uses it
        a\u{1b}[2Jb↵ c.css -> no open tab uses it
        reload -> 2 tabs, painted in 210 ms
        reload -> no tab is open
        ");
    }

    #[test]
    fn a_page_cannot_steer_the_terminal() {
        let say = |text, source| {
            console(
                PLAIN,
                Console {
                    page: "localhost/page",
                    level: "error",
                    text,
                    source,
                },
            )
        };
        let lines = [
            say("text", "/app.js:3:7"),
            say("no source", ""),
            say("TypeError: x\n    at f (app.js:1:2)\r\n\tat g", "/app.js"),
            say(
                "\x1b]0;title\x07\u{9b}2J\u{202e}desrever\u{200b}",
                "\x1b[1m",
            ),
            say("  \n ", "/a"),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        localhost/page: error: text (app.js:3:7)
        localhost/page: error: no source
        localhost/page: error: TypeError: x↵ at f (app.js:1:2) at g (app.js)
        localhost/page: error: \u{1b}]0;title\u{7}\u{9b}2J\u{202e}desrever\u{200b} (\u{1b}[1m)
        localhost/page: error:  (a)
        ");
        let long = say(&"\x1b".repeat(100_000), "");
        assert!(long.chars().count() < CONSOLE_CHARACTERS_MAX + 40);
        assert!(long.ends_with('\u{2026}'));
    }

    #[test]
    fn a_problem_is_said_with_its_text_and_taken_back() {
        let text: Vec<_> = (1..=14).map(|line| format!("line {line}\x07")).collect();
        let failed = Problem {
            title: "`make` failed with status 2".to_owned(),
            text: text.join("\n"),
        };
        insta::assert_snapshot!(problem(PLAIN, &failed), @r"
        `make` failed with status 2
            (2 lines)
            line 3\u{7}
            line 4\u{7}
            line 5\u{7}
            line 6\u{7}
            line 7\u{7}
            line 8\u{7}
            line 9\u{7}
            line 10\u{7}
            line 11\u{7}
            line 12\u{7}
            line 13\u{7}
            line 14\u{7}
        ");
        insta::assert_snapshot!(mended(PLAIN, &failed), @"mended (`make` failed with status 2)");
    }

    #[test]
    fn a_problem_keeps_what_points_at_something_below_it() {
        let failed = Problem {
            title: "push.toml cannot be used".to_owned(),
            text: "line 2\n  |\n2 | push = [\n  |         ^\n\tunclosed\u{a0} array".to_owned(),
        };
        insta::assert_snapshot!(problem(PLAIN, &failed), @r"
        push.toml cannot be used
            line 2
              |
            2 | push = [
              |         ^
                unclosed  array
        ");
    }

    #[test]
    fn output_keeps_its_words_without_what_paints_them() {
        let text = "\x1b[31mred\x1b[0m \x1b]8;;x\x1b\\link\x1b]8;;\x07 \x1bM\ttab\r\nnext\x1b[";
        assert_eq!(plain(text), "red link     tab\nnext");
        assert_eq!(output(PLAIN, "\x1b[1msass\x1b[0m 3"), "  | sass 3");
    }
}
