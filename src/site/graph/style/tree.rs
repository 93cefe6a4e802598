//! The outline with the ways that selectors go: to the parent and to the siblings before.
//!
//! Knows nothing of style sheets.

use crate::site::links::html::{Element, Outline};

/// The elements of a page, parents before children.
pub(super) struct Tree<'p> {
    pub(super) nodes: Vec<Node<'p>>,
    /// There are more elements than these: which children come last is not known.
    pub(super) truncated: bool,
}

/// One element.
pub(super) struct Node<'p> {
    pub(super) element: &'p Element,
    pub(super) parent: Option<usize>,
    /// The sibling before.
    pub(super) previous: Option<usize>,
    /// Place among the parent's children, from 1.
    pub(super) place: i32,
    /// How many children it has.
    pub(super) children: i32,
    last_child: Option<usize>,
}

impl<'p> Tree<'p> {
    pub(super) fn new(outline: &'p Outline) -> Self {
        let mut nodes: Vec<Node<'p>> = Vec::with_capacity(outline.elements.len());
        for (index, element) in outline.elements.iter().enumerate() {
            let parent = element
                .parent
                .and_then(|parent| usize::try_from(parent).ok());
            let mut node = Node {
                element,
                parent: parent.filter(|parent| *parent < index),
                previous: None,
                place: 1,
                children: 0,
                last_child: None,
            };
            if let Some(parent) = node.parent {
                let parent = &mut nodes[parent];
                parent.children += 1;
                node.place = parent.children;
                node.previous = parent.last_child.replace(index);
            }
            nodes.push(node);
        }
        Self {
            nodes,
            truncated: outline.truncated,
        }
    }

    pub(super) fn ancestors(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.nodes[node].parent, |node| self.nodes[*node].parent)
    }

    pub(super) fn previous_siblings(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.nodes[node].previous, |node| self.nodes[*node].previous)
    }
}
