//! Names that nobody waits for: what editors leave beside a file while they save it, what
//! `.gitignore` names, what `--ignore` adds.
//!
//! Only the `ignore` crate opens files here. Knows nothing of events; `watch` asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The directory whose name may begin with a dot, at the root only.
const WELL_KNOWN: &str = ".well-known";

/// The file that names what is ignored.
pub const GITIGNORE: &str = ".gitignore";

/// Directories above the root that are searched for a `.gitignore`.
const PARENTS_MAX: usize = 16;

/// What is ignored below a root.
#[derive(Debug)]
pub struct Ignored {
    root: PathBuf,
    /// Given by hand: overrules the rest.
    given: Gitignore,
    /// Of directories above the root, innermost first.
    above: Vec<Gitignore>,
    /// Of directories below the root, and of the root.
    below: BTreeMap<PathBuf, Gitignore>,
}

/// Whether a path is taken for a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// It is one.
    Directory,
    /// It is something else, or gone.
    File,
}

impl Ignored {
    /// Reads what is ignored below a root: `globs` are lines of a `.gitignore`, and overrule every
    /// file of that name (`!dist/` brings back what one ignores).
    ///
    /// # Errors
    /// A glob is malformed.
    pub fn new(root: &Path, globs: &[String]) -> anyhow::Result<Self> {
        let mut builder = GitignoreBuilder::new(root);
        for glob in globs {
            builder
                .add_line(None, glob)
                .with_context(|| format!("cannot ignore `{glob}`"))?;
        }
        let given = builder.build().context("cannot ignore all of these")?;
        let mut ignored = Self {
            root: root.to_owned(),
            given,
            above: Vec::new(),
            below: BTreeMap::new(),
        };
        ignored.above = ignored.read_above();
        ignored.read(root);
        Ok(ignored)
    }

    /// Reads the `.gitignore` of a directory, if there is one. A line that is malformed counts for
    /// nothing, as with git.
    pub fn read(&mut self, directory: &Path) {
        match read(directory) {
            Some(found) => self.below.insert(directory.to_owned(), found),
            None => self.below.remove(directory),
        };
    }

    /// Returns whether a path below the root, or a directory that it lies in, is ignored.
    pub fn is_ignored(&self, path: &Path, taken_as: As) -> bool {
        let Ok(relative) = path.strip_prefix(&self.root) else {
            return true;
        };
        let mut inner = self.root.clone();
        let mut names = relative.components().peekable();
        while let Some(name) = names.next() {
            let is_first = inner == self.root;
            inner.push(name);
            let is_directory = names.peek().is_some() || taken_as == As::Directory;
            let name = name.as_os_str().to_string_lossy();
            let is_hidden = name.starts_with('.') && !(is_first && name == WELL_KNOWN);
            if is_directory && is_hidden || !is_directory && is_temporary(&name) {
                return true;
            }
            if self.is_named(&inner, is_directory) {
                return true;
            }
        }
        false
    }

    /// Returns whether the rules name a path itself: the innermost file that says anything decides.
    fn is_named(&self, path: &Path, is_directory: bool) -> bool {
        let of_directories = path
            .ancestors()
            .skip(1)
            .take_while(|directory| directory.starts_with(&self.root))
            .filter_map(|directory| self.below.get(directory));
        let rules = std::iter::once(&self.given)
            .chain(of_directories)
            .chain(&self.above);
        for rule in rules {
            match rule.matched(path, is_directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }

    /// Reads the `.gitignore` of the directories above the root, as far as its repository goes. If
    /// they ignore the root itself, as they do the output of a build, they have no say in it.
    fn read_above(&self) -> Vec<Gitignore> {
        let is_repository = |directory: &Path| directory.join(".git").exists();
        if is_repository(&self.root) {
            return Vec::new();
        }
        let mut above = Vec::new();
        for directory in self.root.ancestors().skip(1).take(PARENTS_MAX) {
            above.extend(read(directory));
            if is_repository(directory) {
                let is_ignored = |rule: &Gitignore| {
                    rule.matched_path_or_any_parents(&self.root, true)
                        .is_ignore()
                };
                if above.iter().any(is_ignored) {
                    above.clear();
                }
                return above;
            }
        }
        // No repository, no rules from outside.
        Vec::new()
    }
}

fn read(directory: &Path) -> Option<Gitignore> {
    let file = directory.join(GITIGNORE);
    if !file.is_file() {
        return None;
    }
    let (rules, _malformed) = Gitignore::new(file);
    (!rules.is_empty()).then_some(rules)
}

/// Returns whether a file's name is one that an editor or a tool gives to what it has not finished.
/// A name without an extension is no reason: `CNAME` and `_headers` have none.
fn is_temporary(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    // vim, Helix, anything, macOS, Kate.
    let is_known = matches!(
        extension,
        "swp" | "swx" | "swo" | "bck" | "tmp" | "DS_Store" | "kate-swp"
    );
    is_known
        // Emacs and many others; what vim tries whether it may create files; the lock and the copy
        // of Emacs.
        || name.ends_with('~')
        || name == "4913"
        || name.starts_with(".#")
        || name.starts_with('#') && name.ends_with('#') && name.len() > 1
        // GNOME, JetBrains, macOS.
        || name.starts_with(".goutputstream")
        || ["jb_old___", "jb_tmp___", "jb_bak___"].iter().any(|tail| name.ends_with(tail))
        || extension.starts_with("sb-")
        || is_of_sed(name)
}

/// Tells `sedAb3x9Z` from `sedentary`: by the capital or digit that six letters drawn from 62 have,
/// all but once in two hundred. The one is heard of, and found to be nobody's.
fn is_of_sed(name: &str) -> bool {
    name.strip_prefix("sed").is_some_and(|drawn| {
        drawn.len() == 6
            && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !drawn.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn ignored(root: &Path, globs: &[&str]) -> Ignored {
        let globs: Vec<_> = globs.iter().map(ToString::to_string).collect();
        Ignored::new(root, &globs).unwrap()
    }

    #[test]
    fn temporary_names_are_ignored_and_extensionless_ones_are_not() {
        let ignored = ignored(Path::new("/site"), &[]);
        let is_ignored =
            |name: &str| ignored.is_ignored(&Path::new("/site/d").join(name), As::File);
        for name in [
            "index.html~",
            ".index.html.swp",
            ".index.html.swx",
            "a.bck",
            "a.css.tmp",
            ".DS_Store",
            "4913",
            ".goutputstream-X1Y2Z3",
            "a.html___jb_tmp___",
            "a.html___jb_old___",
            "a.html___jb_bak___",
            "a.html.sb-1a2b3c-XyZ",
            ".#index.html",
            "#index.html#",
            ".index.html.kate-swp",
            "sedAb3x9Z",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in [
            "CNAME",
            "_headers",
            "index.html",
            "sedentary",
            "sed",
            "sediment.css",
            "4913.html",
            "a.tmpl",
            "#",
            "#1.html",
            "~user",
            "swp",
            "LICENSE",
            ".gitignore",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
    }

    #[test]
    fn hidden_directories_are_ignored() {
        let ignored = ignored(Path::new("/site"), &[]);
        let is_ignored = |path: &str| ignored.is_ignored(Path::new(path), As::File);
        assert!(is_ignored("/site/.git/index") && is_ignored("/site/a/.cache/b"));
        assert!(ignored.is_ignored(Path::new("/site/.git"), As::Directory));
        assert!(!is_ignored("/site/.well-known/x") && is_ignored("/site/a/.well-known/x"));
        assert!(!is_ignored("/site") && is_ignored("/elsewhere/a"));
    }

    /// A repository with a site in it.
    fn repository() -> (TempDir, PathBuf) {
        let scratch = TempDir::new().unwrap();
        let root = scratch.path().join("site");
        fs::create_dir_all(scratch.path().join(".git")).unwrap();
        fs::create_dir_all(root.join("docs")).unwrap();
        fs::write(
            scratch.path().join(GITIGNORE),
            "node_modules/\n/site/*.map\n",
        )
        .unwrap();
        fs::write(root.join(GITIGNORE), "*.log\n/build/\n").unwrap();
        fs::write(root.join("docs/.gitignore"), "!keep.log\n").unwrap();
        (scratch, root)
    }

    #[test]
    fn gitignore_is_respected_at_every_level() {
        let (_scratch, root) = repository();
        let mut ignored = ignored(&root, &["/drafts/", "*.psd"]);
        ignored.read(&root.join("docs"));
        let is_ignored = |path: &str| ignored.is_ignored(&root.join(path), As::File);
        for path in [
            "a.log",
            "docs/a.log",
            "build/a.css",
            "node_modules/x/a.js",
            "docs/node_modules/a",
            "a.map",
            "drafts/a.html",
            "docs/b.psd",
        ] {
            assert!(is_ignored(path), "{path}");
        }
        for path in [
            "docs/keep.log",
            "docs/build/a.css",
            "docs/a.map",
            "docs/drafts/a",
            "build",
        ] {
            assert!(!is_ignored(path), "{path}");
        }
        assert!(ignored.is_ignored(&root.join("build"), As::Directory));
        // It is read again when it changes.
        fs::write(root.join(GITIGNORE), "").unwrap();
        ignored.read(&root);
        assert!(!ignored.is_ignored(&root.join("a.log"), As::File));
    }

    #[test]
    fn what_is_given_overrules_the_files() {
        let (_scratch, root) = repository();
        let ignored = ignored(&root, &["!/build/", "!*.log"]);
        assert!(!ignored.is_ignored(&root.join("build/a.log"), As::File));
    }

    #[test]
    fn the_output_of_a_build_is_a_site_though_git_ignores_it() {
        let (scratch, root) = repository();
        fs::write(scratch.path().join(GITIGNORE), "/site\n*.css\n").unwrap();
        assert!(!ignored(&root, &[]).is_ignored(&root.join("a.css"), As::File));
        // Files of the same name outside any repository are somebody else's.
        fs::write(scratch.path().join(GITIGNORE), "*.css\n").unwrap();
        assert!(ignored(&root, &[]).is_ignored(&root.join("a.css"), As::File));
        fs::remove_dir(scratch.path().join(".git")).unwrap();
        assert!(!ignored(&root, &[]).is_ignored(&root.join("a.css"), As::File));
    }

    #[test]
    fn a_malformed_glob_is_refused_by_name() {
        let error = Ignored::new(Path::new("/site"), &["a{".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "cannot ignore `a{`");
    }
}
