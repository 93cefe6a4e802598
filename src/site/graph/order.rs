//! One place for each subresource: the best of the ways to it, then the order a browser needs them
//! in.

use super::{Need, Subresource};

/// A subresource while the walk goes on: `behind` is an index into the list of all, `depth` is not
/// set.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) subresource: Subresource,
    /// When it was discovered where it is now, as a number that only grows.
    pub(super) discovery: usize,
}

impl Found {
    /// Keeps the better of two ways to the same resource: one without an obstacle, then the more
    /// urgent.
    pub(super) fn merge(&mut self, new: Self) {
        let known = &self.subresource;
        let is_sooner = new.subresource.need < known.need;
        match (known.obstacle.is_some(), new.subresource.obstacle.is_some()) {
            (false, true) => {}
            (true, false) => *self = new,
            _ => {
                // What the document names itself is discovered there, whatever else names it too.
                let is_discovered_here = match (known.behind, new.subresource.behind) {
                    (Some(_), None) => true,
                    (Some(_), Some(_)) => is_sooner,
                    (None, _) => false,
                };
                let place = if is_discovered_here {
                    new.place()
                } else {
                    self.place()
                };
                if is_sooner {
                    *self = new;
                }
                self.put(&place);
            }
        }
    }

    fn place(&self) -> Place {
        Place {
            behind: self.subresource.behind,
            offset: self.subresource.offset,
            in_head: self.subresource.in_head,
            discovery: self.discovery,
        }
    }

    fn put(&mut self, place: &Place) {
        self.subresource.behind = place.behind;
        self.subresource.offset = place.offset;
        self.subresource.in_head = place.in_head;
        self.discovery = place.discovery;
    }
}

/// Where a subresource is discovered.
struct Place {
    behind: Option<usize>,
    offset: usize,
    in_head: bool,
    discovery: usize,
}

/// Orders by need, then in document order, with what hides after what it hides behind; turns
/// `behind` into indices of the new order and sets `depth`.
pub(super) fn in_order(found: Vec<Found>) -> Vec<Subresource> {
    let mut by_discovery: Vec<usize> = (0..found.len()).collect();
    by_discovery.sort_by_key(|at| found[*at].discovery);
    let mut hidden: Vec<Vec<usize>> = vec![Vec::new(); found.len()];
    let mut roots = Vec::new();
    for at in by_discovery {
        match found[at].subresource.behind {
            Some(behind) => hidden[behind].push(at),
            None => roots.push(at),
        }
    }
    roots.sort_by_key(|at| found[*at].subresource.offset);
    // A stack of (index, need of the file it hides behind, depth), taken from the end.
    let mut waiting: Vec<(usize, Need, u8)> = roots
        .into_iter()
        .rev()
        .map(|at| (at, Need::RenderBlocking, 1))
        .collect();
    let mut order = Vec::with_capacity(found.len());
    while let Some((at, least, depth)) = waiting.pop() {
        let need = found[at].subresource.need.max(least);
        order.push((at, need, depth));
        let next = hidden[at].iter().rev();
        waiting.extend(next.map(|at| (*at, need, depth.saturating_add(1))));
    }
    order.sort_by_key(|(_, need, _)| *need);
    let mut position = vec![0; found.len()];
    for (new, (at, _, _)) in order.iter().enumerate() {
        position[*at] = new;
    }
    let mut found: Vec<Option<Subresource>> = found
        .into_iter()
        .map(|found| Some(found.subresource))
        .collect();
    order
        .into_iter()
        .filter_map(|(at, need, depth)| {
            let subresource = found[at].take()?;
            Some(Subresource {
                behind: subresource.behind.map(|behind| position[behind]),
                need,
                depth,
                ..subresource
            })
        })
        .collect()
}
