//! What was found for a page, for people: at most a hundred columns.

use std::io;

use super::found::{Best, OnLink, Sent, Verdict};
use super::seeker::{Conditions, Place};
use crate::measure::report::words::{bytes, count, milliseconds, ms, plain, short, signed_percent};
use crate::measure::search::{End, Harm, Outcome};
use crate::terminal::Style;

/// Letters of the name of a link.
const LINK_LETTERS_MAX: usize = 36;
/// Letters of the URL of something that is pushed.
const URL_LETTERS_MAX: usize = 72;
/// Letters of the name of a page, beside which it may say why it does not load.
const PAGE_LETTERS_MAX: usize = 96;
/// Letters of an error.
const FAILURE_LETTERS_MAX: usize = 90;

/// Says what is sought, and on what.
///
/// # Errors
/// Whatever writing fails with.
pub(super) fn head(
    out: &mut impl io::Write,
    subject: &str,
    conditions: &Conditions,
    style: Style,
) -> io::Result<()> {
    writeln!(
        out,
        "{}  {}",
        style.strong(&plain(subject)),
        style.faint(&format!(
            "{}, simulated links; first renders in milliseconds",
            conditions.client.client.name()
        ))
    )
}

/// Says what was found for a page.
///
/// # Errors
/// Whatever writing fails with.
pub(super) fn page(
    out: &mut impl io::Write,
    best: &Best,
    places: &[Place],
    style: Style,
) -> io::Result<()> {
    let verdict = best.verdict(places);
    let name = short(best.page.as_str(), PAGE_LETTERS_MAX);
    writeln!(out, "\n{}", style.strong(&name))?;
    if verdict == Verdict::Fails {
        let reason = best.failure.as_deref().unwrap_or("it never ends");
        let reason = short(reason, FAILURE_LETTERS_MAX);
        return writeln!(out, "  {}", style.failure(&format!("fails: {reason}")));
    }
    for line in sentence(best, places, verdict) {
        let line = match verdict {
            Verdict::Better | Verdict::Nothing => style.success(&line),
            Verdict::Hurts | Verdict::Lucky | Verdict::OwnBetter => style.warning(&line),
            Verdict::OwnAsGood | Verdict::Unfinished | Verdict::Fails => line,
        };
        writeln!(out, "  {line}")?;
    }
    plan(out, best, style)?;
    table(out, best, places, style)?;
    waste(out, best, places, style)?;
    harms(out, best, places, style)?;
    let end = match best.end {
        End::Converged => "no small change is better",
        End::Spent => "all loads were spent: there may be better",
        End::Interrupted => "stopped before its end: there may be better",
    };
    let loads = format!("  {} loads; {end}", count(best.loads));
    writeln!(out, "{}", style.faint(&loads))
}

/// Says what the plan is worth, and what to do with it.
fn sentence(best: &Best, places: &[Place], verdict: Verdict) -> Vec<String> {
    let on = |is_at: &dyn Fn(&OnLink) -> bool| {
        let link = best.links.iter().find(|link| is_at(link));
        link.map_or("another link", |link| &places[link.place].name)
    };
    let found = if best.plan.is_empty() {
        "push nothing: no push renders it earlier without harm".to_owned()
    } else {
        let sum = best.plan.iter().map(|sent| sent.bytes).sum();
        let (pushed, all) = (best.plan.len(), best.candidates);
        let gain = gains(best, |link| Some(link.none));
        format!(
            "push {pushed} of {all}, {}: {gain} than without",
            bytes(sum)
        )
    };
    let judged = match verdict {
        Verdict::Unfinished => {
            "stopped: the best so far; not recommended, and not saved".to_owned()
        }
        Verdict::Hurts => {
            let at = on(&|link| link.harm().next().is_some());
            format!("not recommended, and not saved: later on {at}")
        }
        Verdict::Lucky => {
            "not recommended, and not saved: no earlier on the links that were held out".to_owned()
        }
        Verdict::OwnAsGood if best.plan == best.own => {
            "that is serve's own plan: there is nothing to save".to_owned()
        }
        Verdict::OwnAsGood if best.plan.is_empty() => {
            "serve's own plan does no harm: there is nothing to save".to_owned()
        }
        Verdict::OwnAsGood => "serve's own plan is as good: there is nothing to save".to_owned(),
        Verdict::OwnBetter => {
            let at = on(&OnLink::is_own_better);
            format!("not saved: serve's own plan is earlier on {at}")
        }
        Verdict::Nothing => "that is better than serve's own plan".to_owned(),
        Verdict::Better => format!("{} than serve's own plan", gains(best, |link| link.own)),
        Verdict::Fails => String::new(),
    };
    vec![found, judged]
}

/// Says how much earlier a page renders than with another plan, over all links.
fn gains(best: &Best, other: impl Fn(&OnLink) -> Option<Outcome>) -> String {
    let gain = |link: &OnLink| {
        let other = milliseconds(other(link)?.first_render);
        let found = milliseconds(link.found?.first_render);
        Some((1.0 - found / other.max(1e-3)) * 100.0)
    };
    let gains: Vec<_> = best.links.iter().filter_map(gain).collect();
    let low = gains.iter().copied().fold(f64::INFINITY, f64::min);
    let high = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match (low.round(), high.round()) {
        (low, high) if !low.is_finite() || !high.is_finite() => "no earlier".to_owned(),
        (low, high) if high - low < 1.0 => format!("{low:.0} % earlier"),
        (low, high) if low < 0.0 => format!("from {:.0} % later to {high:.0} % earlier", -low),
        (low, high) => format!("{low:.0} to {high:.0} % earlier"),
    }
}

fn plan(out: &mut impl io::Write, best: &Best, style: Style) -> io::Result<()> {
    let is_own = |sent: &Sent| best.own.contains(sent);
    for (index, sent) in best.plan.iter().enumerate() {
        let url = short(&sent.url, URL_LETTERS_MAX);
        let number = format!("{:>5}", index + 1);
        let size = style.faint(&bytes(sent.bytes));
        let new = if is_own(sent) {
            String::new()
        } else {
            style.success("  new")
        };
        writeln!(out, "{}  {url}  {size}{new}", style.faint(&number))?;
    }
    let left_out: Vec<_> = best
        .own
        .iter()
        .filter(|sent| !best.plan.contains(sent))
        .collect();
    if !left_out.is_empty() {
        let sum = left_out.iter().map(|sent| sent.bytes).sum();
        let text = format!(
            "       serve's own plan sends {} more, {}",
            count(left_out.len()),
            bytes(sum)
        );
        writeln!(out, "{}", style.faint(&text))?;
    }
    Ok(())
}

fn table(out: &mut impl io::Write, best: &Best, places: &[Place], style: Style) -> io::Result<()> {
    let mut group_before = None;
    for link in &best.links {
        let place = &places[link.place];
        let group = if place.is_held_out {
            "held out"
        } else {
            "sought on"
        };
        if group_before.is_none() {
            let heading = format!(
                "  {group:<LINK_LETTERS_MAX$}   {:>7} {:>15} {:>15} {:>7}",
                "none", "serve's own", "found", "bound"
            );
            writeln!(out, "{}", style.faint(&heading))?;
        } else if group_before != Some(group) {
            writeln!(out, "  {}", style.faint(group))?;
        }
        group_before = Some(group);
        let name = short(&place.name, LINK_LETTERS_MAX);
        let none = ms(milliseconds(link.none.first_render));
        let own = match (link.own, best.end) {
            (None, End::Interrupted) => format!("{:>15}", "not tried"),
            (own, _) => plan_cell(link, own, style),
        };
        let found = plan_cell(link, link.found, style);
        let row = format!("    {name:<LINK_LETTERS_MAX$} {none:>7} {own} {found}");
        let bound = link.bound.map(|at| format!("{:>7}", ms(milliseconds(at))));
        match bound {
            Some(bound) => writeln!(out, "{row} {}", style.faint(&bound))?,
            None => writeln!(out, "{row}")?,
        }
    }
    Ok(())
}

/// Writes the first render of a plan with its gain, which steps back if it is within the band.
fn plan_cell(link: &OnLink, plan: Option<Outcome>, style: Style) -> String {
    let Some(plan) = plan else {
        return style.failure(&format!("{:>15}", "fails"));
    };
    let (gain, is_clear) = link.gain(plan);
    let at = ms(milliseconds(plan.first_render));
    let percent = format!("{:>7}", signed_percent(gain));
    let percent = match (is_clear, gain > 0.0) {
        (false, _) => style.faint(&percent),
        (true, true) => style.success(&percent),
        (true, false) => style.failure(&percent),
    };
    format!("{at:>7} {percent}")
}

/// Says which plan pushes in vain, where it does most.
fn waste(out: &mut impl io::Write, best: &Best, places: &[Place], style: Style) -> io::Result<()> {
    let mut say = |who: &str, of: &dyn Fn(&OnLink) -> Option<Outcome>| {
        let wasted = |link: &OnLink| of(link).map_or(0, |outcome| outcome.bytes_wasted);
        let Some(most) = best.links.iter().rev().max_by_key(|link| wasted(link)) else {
            return Ok(());
        };
        if wasted(most) == 0 {
            return Ok(());
        }
        let (size, at) = (bytes(wasted(most)), &places[most.place].name);
        let text = format!("  {who} pushes up to {size} in vain (on {at})");
        writeln!(out, "{}", style.warning(&text))
    };
    say("serve's own plan", &|link| link.own)?;
    say("what was found", &|link| link.found)
}

/// Says where a plan hurts: a line for each link.
fn harms(out: &mut impl io::Write, best: &Best, places: &[Place], style: Style) -> io::Result<()> {
    let mut say = |who: &str, link: &OnLink, harms: Vec<Harm>| {
        let what = |harm: &Harm| match harm.by {
            Some(by) => format!("{} {} ms later", harm.metric, ms(milliseconds(by))),
            None => "the page does not load".to_owned(),
        };
        let what: Vec<_> = harms.iter().map(what).collect();
        if what.is_empty() {
            return Ok(());
        }
        let at = short(&places[link.place].name, LINK_LETTERS_MAX);
        writeln!(out, "  {}", style.failure(&format!("{who} hurts on {at}:")))?;
        writeln!(out, "    {}", style.failure(&what.join(", ")))
    };
    for link in &best.links {
        say("it", link, link.harm().collect())?;
    }
    if best.end == End::Interrupted {
        return Ok(());
    }
    for link in &best.links {
        say("serve's own plan", link, link.own_harm().collect())?;
    }
    Ok(())
}
