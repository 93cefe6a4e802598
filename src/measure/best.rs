//! The root of `forerun measure --search`: the best plan of each page, where it was sought and
//! where it was not.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use serde::Serialize;

use super::delivery::Delivery;
use super::findings::Visit;
use super::link::LinkOptions;
use super::page_load::LoadOptions;
use super::search::{
    self, Candidate, EVALUATIONS_MAX, End, Found, Outcome, Profile, Trial, search, to_push_toml,
};
use super::stage::{Run, Stage};
use super::{MeasureOptions, Search, Subject, report, work};
use crate::site::graph::Target;
use crate::site::plan::{Item, Overrides, Skip};
use crate::site::{SiteUrl, UrlPath};
use crate::terminal::Style;

/// Links that a plan is tried on after it was found on others.
const HELD_OUT: [&str; 4] = [
    "cable",
    "3g",
    "satellite",
    "rtt=150ms,down=1.6M,up=750k,loss=1%",
];

/// What was found for one page.
struct Best {
    page: UrlPath,
    candidates: Vec<SiteUrl>,
    found: Found,
}

/// Looks for the best plan of every page that was chosen, says what it found, and saves it.
///
/// # Errors
/// The site or a page is not there, or the plan cannot be written.
pub(super) fn run(
    options: &MeasureOptions,
    wanted: &Search,
    stopped: &AtomicBool,
) -> anyhow::Result<()> {
    let Subject::Site {
        site,
        pages,
        links,
        think,
    } = &options.subject
    else {
        bail!("--search is for a directory: what another server pushes is not ours to choose");
    };
    let pages = work::chosen(site, pages)?;
    let seeker = Seeker {
        stage: Stage::open(site)?,
        links: every_link(links)?,
        client: LoadOptions {
            client_delay: options.client_delay,
            client: options.client,
            ..LoadOptions::default()
        },
        think: *think,
    };
    let bar = super::bar(pages.len() * EVALUATIONS_MAX);
    let mut best = Vec::with_capacity(pages.len());
    for (index, page) in pages.into_iter().enumerate() {
        let from = (index * EVALUATIONS_MAX) as u64;
        best.push(seeker.seek(page, &|progress: &search::Progress| {
            bar.set_position(from + progress.evaluations as u64);
            if stopped.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }));
        if stopped.load(Ordering::Relaxed) {
            break;
        }
    }
    bar.finish_and_clear();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if options.output.json {
        serde_json::to_writer_pretty(&mut out, &json(&best, &seeker.links))?;
        writeln!(out)?;
    } else {
        for best in &best {
            say(&mut out, best, &seeker.links)?;
        }
    }
    out.flush()?;
    match &wanted.save {
        Some(path) => {
            let text = saved(&best, &seeker.links)?;
            report::save(path, |file| file.write_all(text.as_bytes()))
        }
        None => Ok(()),
    }
}

/// Loads pages with plans.
struct Seeker {
    stage: Stage,
    /// Those that plans are sought on, then those held out.
    links: Vec<(LinkOptions, bool)>,
    client: LoadOptions,
    think: Duration,
}

impl Seeker {
    fn seek(&self, page: UrlPath, progress: &dyn Fn(&search::Progress) -> ControlFlow<()>) -> Best {
        let (urls, candidates) = self.candidates(&page);
        let profiles: Vec<_> = self
            .links
            .iter()
            .map(|(link, is_held_out)| Profile {
                name: link.name.clone(),
                round_trip: link.round_trip,
                is_held_out: *is_held_out,
            })
            .collect();
        let evaluate = |order: &[usize], profile: usize| {
            let push = order.iter().map(|&index| urls[index].clone()).collect();
            self.load(&page, push, &self.links[profile].0)
        };
        let found = search(&candidates, &profiles, EVALUATIONS_MAX, evaluate, progress);
        Best {
            candidates: urls,
            found,
            page,
        }
    }

    /// Returns what of a page could be pushed, in the order in which the page needs it.
    fn candidates(&self, page: &UrlPath) -> (Vec<SiteUrl>, Vec<Candidate>) {
        let site = self.stage.site(&Delivery::none()).prepare_blocking(page);
        let items = site
            .page(page.as_str())
            .map_or(&[][..], |page| &page.plan.items);
        let mut places = BTreeMap::new();
        let (mut urls, mut candidates) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let Some((url, bytes)) = pushable(item) else {
                continue;
            };
            places.insert(index, candidates.len());
            let behind = item
                .subresource
                .behind
                .and_then(|index| places.get(&index).copied());
            urls.push(url.clone());
            candidates.push(Candidate {
                url: url.target().to_owned(),
                bytes,
                behind,
            });
        }
        (urls, candidates)
    }

    fn load(&self, page: &UrlPath, push: Vec<SiteUrl>, link: &LinkOptions) -> Option<Outcome> {
        let delivery = if push.is_empty() {
            Delivery::none()
        } else {
            Delivery::plan("found", Overrides::of_page(page.clone(), push))
        };
        let loaded = self.stage.load(&Run {
            page,
            delivery: &delivery,
            visit: Visit::First,
            link,
            client: self.client,
            think: self.think,
        });
        let timeline = loaded.ok().filter(|timeline| timeline.failure.is_none())?;
        Some(Outcome {
            first_render: timeline.marks.first_render,
            largest_content: timeline.marks.largest_content,
            load: timeline.marks.load,
            bytes_wasted: timeline.totals().bytes_wasted,
        })
    }
}

fn pushable(item: &Item) -> Option<(&SiteUrl, u64)> {
    match (&item.subresource.target, item.file, item.skip) {
        (_, _, Some(Skip::Obstacle(_))) => None,
        (Target::Here(url), Some(file), _) => Some((url, file.length)),
        _ => None,
    }
}

/// Returns the links to seek on, and those held out: others than those.
fn every_link(links: &[LinkOptions]) -> anyhow::Result<Vec<(LinkOptions, bool)>> {
    let mut every: Vec<_> = links.iter().map(|link| (link.clone(), false)).collect();
    for name in HELD_OUT {
        let link: LinkOptions = name.parse()?;
        if links.iter().all(|sought| sought.name != link.name) {
            every.push((link, true));
        }
    }
    Ok(every)
}

/// Says what was found for a page.
fn say(out: &mut impl io::Write, best: &Best, links: &[(LinkOptions, bool)]) -> io::Result<()> {
    let style = Style::of_stdout();
    let Best {
        page,
        candidates,
        found,
    } = best;
    let page = style.strong(page.as_str());
    let end = match found.end {
        End::Converged => "no small change is better",
        End::Spent => "all loads were spent",
        End::Interrupted => "stopped before its end",
    };
    let loads = style.faint(&format!("{} loads, {end}", found.evaluations));
    if found.order.is_empty() {
        return writeln!(out, "{page}  nothing: no push renders it earlier  {loads}");
    }
    let (count, all) = (found.order.len(), candidates.len());
    writeln!(out, "{page}  push {count} of {all}  {loads}")?;
    for (index, &candidate) in found.order.iter().enumerate() {
        writeln!(
            out,
            "  {:>2}  {}",
            index + 1,
            candidates[candidate].target()
        )?;
    }
    for (trials, what) in [
        (&found.training, "sought on"),
        (&found.held_out, "held out"),
    ] {
        for trial in trials {
            let name = &links[trial.profile].0.name;
            writeln!(out, "  {what}  {name}: first render {}", change(trial))?;
        }
    }
    for harm in found.harm() {
        let name = &links[harm.profile].0.name;
        let text = match harm.by {
            Some(by) => format!(
                "  hurts on {name}: {} {} ms later",
                harm.metric,
                by.as_millis()
            ),
            None => format!("  hurts on {name}: the page does not load"),
        };
        writeln!(out, "{}", style.failure(&text))?;
    }
    if !found.is_recommended() {
        writeln!(out, "{}", style.warning("  not recommended, and not saved"))?;
    }
    Ok(())
}

fn change(trial: &Trial) -> String {
    let none = trial.none.first_render;
    let Some(plan) = trial.plan else {
        return "fails".to_owned();
    };
    let plan = plan.first_render;
    let percent = (1.0 - plan.as_secs_f64() / none.as_secs_f64().max(1e-9)) * 100.0;
    format!(
        "{} -> {} ms ({percent:.0} % earlier)",
        none.as_millis(),
        plan.as_millis()
    )
}

/// Returns the plans that hurt nowhere, for `push.toml`.
fn saved(best: &[Best], links: &[(LinkOptions, bool)]) -> anyhow::Result<String> {
    let plans = best
        .iter()
        .filter(|best| best.found.order.is_empty() || best.found.is_recommended())
        .map(|best| {
            let urls = best
                .found
                .order
                .iter()
                .map(|&index| best.candidates[index].target());
            (best.page.to_string(), urls.map(str::to_owned).collect())
        });
    let names = |is_held_out: bool| {
        let of = links
            .iter()
            .filter(|(_, held_out)| *held_out == is_held_out);
        of.map(|(link, _)| link.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found_on = format!("on {}\nheld out: {}", names(false), names(true));
    Ok(to_push_toml(&plans.collect(), &found_on)?)
}

#[derive(Serialize)]
struct PageJson<'a> {
    page: &'a str,
    push: Vec<&'a str>,
    loads: usize,
    recommended: bool,
    sought_on: Vec<TrialJson<'a>>,
    held_out: Vec<TrialJson<'a>>,
}

#[derive(Serialize)]
struct TrialJson<'a> {
    link: &'a str,
    none_first_render_ms: f64,
    first_render_ms: Option<f64>,
}

fn json<'a>(best: &'a [Best], links: &'a [(LinkOptions, bool)]) -> Vec<PageJson<'a>> {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let trial = |trial: &Trial| TrialJson {
        link: &links[trial.profile].0.name,
        none_first_render_ms: milliseconds(trial.none.first_render),
        first_render_ms: trial.plan.map(|plan| milliseconds(plan.first_render)),
    };
    best.iter()
        .map(|best| PageJson {
            page: best.page.as_str(),
            push: best
                .found
                .order
                .iter()
                .map(|&index| best.candidates[index].target())
                .collect(),
            loads: best.found.evaluations,
            recommended: best.found.is_recommended(),
            sought_on: best.found.training.iter().map(trial).collect(),
            held_out: best.found.held_out.iter().map(trial).collect(),
        })
        .collect()
}
