//! Sites for tests, as text: `//- /path` before each file's content, with `size=BYTES` after the
//! path to fill it up to a length, always with the same bytes. White space that all lines begin
//! with is taken away, and so are empty lines.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// When all files of a fixture were written, since 1970: the same for every test, as
/// `Last-Modified` is Huffman coded, so that its length depends on its digits.
const WRITTEN: Duration = Duration::from_hours(490_000);

/// Returns a page with so many style sheets of a size.
pub(crate) fn style_sheets(count: usize, bytes: usize) -> String {
    let mut fixture = "//- /index.html\n<!doctype html>\n".to_owned();
    for index in 0..count {
        writeln!(fixture, "<link rel=stylesheet href=/{index}.css>").unwrap();
    }
    for index in 0..count {
        writeln!(
            fixture,
            "//- /{index}.css size={bytes}\nb {{ top: {index} }}"
        )
        .unwrap();
    }
    fixture
}

/// Writes a fixture's files into a new directory.
pub(crate) fn lay_out(root: &Path, fixture: &str) {
    fs::create_dir(root).unwrap();
    for section in dedent(fixture).split("//- /").skip(1) {
        let (head, content) = section.split_once('\n').unwrap_or((section, ""));
        let mut words = head.split_whitespace();
        let path = words.next().expect("a path follows //-");
        let mut content = content.as_bytes().to_vec();
        for option in words {
            match option.split_once('=') {
                Some(("size", bytes)) => fill(&mut content, path, bytes.parse().unwrap()),
                _ => panic!("no such option in a fixture: {option}"),
            }
        }
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::File::open(&file)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH + WRITTEN)
            .unwrap();
    }
}

/// Takes away the white space that all lines begin with.
fn dedent(text: &str) -> String {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let margin = lines()
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let dedented: Vec<_> = lines().map(|line| &line[margin..]).collect();
    dedented.join(
        "
",
    ) + "
"
}

/// Fills text up with white space, and anything else with noise that its path decides.
fn fill(content: &mut Vec<u8>, path: &str, length: usize) {
    assert!(content.len() <= length, "{path} is longer than its size");
    let is_text = [".html", ".css", ".js"]
        .iter()
        .any(|ending| path.ends_with(ending));
    let mut noise = path
        .bytes()
        .fold(1_u64, |noise, byte| noise * 31 + u64::from(byte));
    while content.len() < length {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let blank = if content.len() % 100 == 99 {
            b'\n'
        } else {
            b' '
        };
        content.push(if is_text {
            blank
        } else {
            noise.to_be_bytes()[0]
        });
    }
}
