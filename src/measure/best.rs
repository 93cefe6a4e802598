//! The root of `forerun measure --search`: the best plan of each page, where it was sought and
//! where it was not, beside what `serve` does by itself.
//!
//! Read on in `seeker` (what is loaded), `found` (what may be said of it), `words` and `json` (how
//! it is said), `push_file` (how it is kept), and in [`search`](super::search) (how it is sought).

mod found;
mod json;
mod push_file;
mod seeker;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::bail;
use indicatif::ProgressBar;

use self::found::{Best, Verdict};
use self::push_file::PushFile;
use self::seeker::{Conditions, Seeker};
use super::report::words::{count, plain};
use super::{MeasureOptions, Search, Subject, work};
use crate::site::{SiteOptions, UrlPath};
use crate::terminal::Style;

/// Threads that seek: each holds the site in memory.
const WORKERS_MAX: usize = 8;
/// Plans that were found and not yet said.
const WAITING_MAX: usize = 64;
/// Pages that are named where plans are written.
const NAMED_MAX: usize = 3;

/// Looks for the best plan of every page that was chosen, says what it found, and saves it.
///
/// # Errors
/// The site or a page is not there, the client takes no pushes, or the plans cannot be written; or
/// some page did not load, which is said once everything else is.
pub(super) fn run(
    options: &MeasureOptions,
    wanted: &Search,
    stopped: &AtomicBool,
) -> anyhow::Result<()> {
    let Subject::Site { site, pages, .. } = &options.subject else {
        bail!("--search is for a directory: what another server pushes is not ours to choose");
    };
    if !options.client.takes_pushes() {
        bail!("--search: this client refuses pushes; use --client chromium-103");
    }
    let file = wanted.save.as_deref().map(PushFile::open).transpose()?;
    let pages = work::chosen(site, pages)?;
    let conditions = conditions(options)?;
    let bar = super::bar(pages.len() * conditions.loads_max());
    let mut out = io::BufWriter::new(io::stdout().lock());
    let all = pages.len();
    let best = Hunt {
        site,
        pages: &pages,
        conditions: &conditions,
        stopped,
        bar: &bar,
    }
    .run(|best, is_first| {
        if options.output.json {
            return Ok(());
        }
        let style = Style::of_stdout();
        bar.suspend(|| {
            if is_first {
                words::head(&mut out, &subject(site), &conditions, style)?;
            }
            words::page(&mut out, best, &conditions.places, style)?;
            out.flush()
        })
    });
    bar.finish_and_clear();
    let best = best?;
    let interrupted = stopped.load(Ordering::Relaxed);
    if options.output.json {
        json::write(&mut out, &subject(site), &best, &conditions, interrupted)?;
    } else if best.len() < all {
        let left = count(all - best.len());
        writeln!(out, "\nstopped: the plans of {left} more were not sought")?;
    }
    if let Some(file) = file {
        let said = keep(file, &best, &conditions)?;
        if !options.output.json {
            writeln!(out, "\n{said}")?;
        }
    }
    out.flush()?;
    complain(&best, &conditions)
}

fn subject(site: &SiteOptions) -> String {
    plain(&site.root.display().to_string())
}

fn conditions(options: &MeasureOptions) -> anyhow::Result<Conditions> {
    let Subject::Site { links, think, .. } = &options.subject else {
        bail!("--search is for a directory");
    };
    Conditions::new(links, options.load_options(), *think)
}

/// What all workers have in common.
struct Hunt<'a> {
    site: &'a SiteOptions,
    pages: &'a [UrlPath],
    conditions: &'a Conditions,
    stopped: &'a AtomicBool,
    bar: &'a ProgressBar,
}

impl Hunt<'_> {
    /// Seeks until all is done, or until told to stop: then there is what was found until then.
    ///
    /// - `say`: is given each page in the order of the pages, and whether it is the first.
    fn run(&self, mut say: impl FnMut(&Best, bool) -> io::Result<()>) -> anyhow::Result<Vec<Best>> {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = sync_channel(WAITING_MAX);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers())
                .map(|_| {
                    let (sender, next) = (sender.clone(), &next);
                    scope.spawn(move || self.work(next, &sender))
                })
                .collect();
            drop(sender);
            let said = self.in_order(&receiver, &mut say);
            if said.is_err() {
                // Nobody listens any more.
                self.stopped.store(true, Ordering::Relaxed);
            }
            drop(receiver);
            for worker in workers {
                match worker.join() {
                    Ok(done) => done?,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(said?)
        })
    }

    fn work(&self, next: &AtomicUsize, done: &SyncSender<(usize, Best)>) -> anyhow::Result<()> {
        let seeker = Seeker::open(self.site, self.conditions)?;
        while !self.stopped.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(page) = self.pages.get(index) else {
                break;
            };
            let best = seeker.seek(page.clone(), &|| {
                self.bar.inc(1);
                self.go_on()
            });
            if done.send((index, best)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn go_on(&self) -> ControlFlow<()> {
        if self.stopped.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Gathers what is found as it comes, and has it said in the order of the pages.
    fn in_order(
        &self,
        found: &Receiver<(usize, Best)>,
        say: &mut impl FnMut(&Best, bool) -> io::Result<()>,
    ) -> io::Result<Vec<Best>> {
        let mut waiting = BTreeMap::new();
        let mut said: Vec<Best> = Vec::new();
        let (mut searches, mut loads) = (0, 0);
        for (index, best) in found {
            searches += 1;
            loads += best.loads;
            // A search that ends early leaves its loads, and tells what the others may take.
            let left = self.pages.len() - searches;
            self.bar
                .set_length((loads + left * loads / searches) as u64);
            waiting.insert(index, best);
            while let Some(best) = waiting.remove(&said.len()) {
                say(&best, said.is_empty())?;
                said.push(best);
            }
        }
        Ok(said)
    }

    fn workers(&self) -> usize {
        thread::available_parallelism()
            .map_or(1, usize::from)
            .min(WORKERS_MAX)
            .min(self.pages.len())
            .max(1)
    }
}

/// Puts the plans that are recommended into a file, and says what became of it.
fn keep(mut file: PushFile, best: &[Best], conditions: &Conditions) -> anyhow::Result<String> {
    let before = file.pages();
    let (mut put, mut replaced, mut removed, mut kept) = (Vec::new(), 0, Vec::new(), Vec::new());
    for best in best {
        match best.verdict(&conditions.places) {
            verdict if verdict.is_for_push_toml() => {
                replaced += usize::from(file.put(&best.page, &best.plan));
                put.push(&best.page);
            }
            Verdict::OwnAsGood => {
                if file.remove(&best.page) {
                    removed.push(&best.page);
                }
            }
            _ => kept.push(&best.page),
        }
    }
    let others = before.saturating_sub(replaced + removed.len());
    let is_written = file.write(&conditions.names(false).join(", "))?;
    let name = plain(&file.name());
    let mut said = if is_written {
        vec![format!("saved in {name}: {}", named(&put))]
    } else {
        vec![format!(
            "{name} is not written: nothing is better than serve's own plans"
        )]
    };
    if replaced > 0 {
        said.push(format!(
            "{} of them in place of the plans that were there",
            count(replaced)
        ));
    }
    if !removed.is_empty() {
        let pages = named(&removed);
        said.push(format!(
            "taken out, since serve's own plan is as good: {pages}"
        ));
    }
    if !kept.is_empty() {
        said.push(format!("not saved: {}", named(&kept)));
    }
    if is_written && others > 0 {
        said.push(format!(
            "other plans in the file stay as they were: {}",
            count(others)
        ));
    }
    Ok(said.join("\n"))
}

/// Names pages; of many the first.
fn named(pages: &[&UrlPath]) -> String {
    let names: Vec<_> = pages
        .iter()
        .take(NAMED_MAX)
        .map(|page| plain(page.as_str()))
        .collect();
    match pages.len().saturating_sub(NAMED_MAX) {
        0 if pages.is_empty() => "no page".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {} more", names.join(", "), count(more)),
    }
}

/// Makes an error of pages that do not load.
fn complain(best: &[Best], conditions: &Conditions) -> anyhow::Result<()> {
    let fails = |best: &&Best| best.verdict(&conditions.places) == Verdict::Fails;
    let mut failures = best.iter().filter(fails);
    let Some(first) = failures.next() else {
        return Ok(());
    };
    let reason = first.failure.as_deref().unwrap_or("it never ends");
    match failures.count() {
        0 => bail!("{} did not load: {reason}", first.page),
        more => bail!(
            "{} did not load: {reason}; and {more} more did not",
            first.page
        ),
    }
}
