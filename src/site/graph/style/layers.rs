//! Cascade layers: their order over all sheets of a page (CSS Cascading 5, section 6.4).
//!
//! Knows only names.

use std::collections::HashMap;

use super::Cascaded;

/// Layers within layers that are told apart.
const DEPTH_MAX: usize = 16;

/// The layers of a page, by rank.
pub(super) struct Layers {
    /// The first node stands for what is in no layer.
    nodes: Vec<Node>,
    ranks: Vec<u32>,
}

#[derive(Default)]
struct Node {
    by_name: HashMap<String, usize>,
    children: Vec<usize>,
}

impl Layers {
    pub(super) fn new(sheets: &[Cascaded<'_>]) -> Self {
        let mut layers = Self {
            nodes: vec![Node::default()],
            ranks: Vec::new(),
        };
        // Names that stand before imports come before those of the imported sheets, which precede
        // theirs in the list.
        for (number, cascaded) in sheets.iter().enumerate() {
            let sheet = cascaded.sheet;
            for name in &sheet.layers[..sheet.leading_layers.min(sheet.layers.len())] {
                layers.add(cascaded, number, Some(name));
            }
        }
        for (number, cascaded) in sheets.iter().enumerate() {
            layers.add(cascaded, number, None);
            for name in &cascaded.sheet.layers {
                layers.add(cascaded, number, Some(name));
            }
        }
        layers.ranks = vec![0; layers.nodes.len()];
        let mut next = 0;
        layers.rank(0, &mut next);
        layers
    }

    /// Returns the rank of what stands in a layer of a sheet; of normal declarations, the higher
    /// wins.
    pub(super) fn rank_of(&self, sheet: &Cascaded<'_>, number: usize, name: Option<&str>) -> u32 {
        let node = segments(sheet, number, name).try_fold(0, |node, segment| {
            self.nodes[node].by_name.get(&segment).copied()
        });
        self.ranks[node.unwrap_or(0)]
    }

    /// Returns the highest rank: that of what stands in no layer.
    pub(super) fn unlayered(&self) -> u32 {
        self.ranks[0]
    }

    fn add(&mut self, sheet: &Cascaded<'_>, number: usize, name: Option<&str>) {
        let mut node = 0;
        for segment in segments(sheet, number, name) {
            let next = self.nodes.len();
            let child = *self.nodes[node].by_name.entry(segment).or_insert(next);
            if child == next {
                self.nodes[node].children.push(child);
                self.nodes.push(Node::default());
            }
            node = child;
        }
    }

    /// Numbers a layer after the layers in it.
    fn rank(&mut self, node: usize, next: &mut u32) {
        for child in std::mem::take(&mut self.nodes[node].children) {
            self.rank(child, next);
        }
        self.ranks[node] = *next;
        *next += 1;
    }
}

/// Returns the names from the outermost layer inwards. Anonymous ones are told apart by sheet.
fn segments<'s>(
    sheet: &Cascaded<'s>,
    number: usize,
    name: Option<&'s str>,
) -> impl Iterator<Item = String> {
    let imported = sheet.layer.into_iter().flat_map(|name| name.split('.'));
    let own = name.into_iter().flat_map(|name| name.split('.'));
    let own = own.map(move |segment| {
        if segment.starts_with('(') {
            format!("{segment}{number}")
        } else {
            segment.to_owned()
        }
    });
    imported.map(str::to_owned).chain(own).take(DEPTH_MAX)
}
