//! Something for each of a few nodes.

use crate::names::NodeName;

/// A value for each node, in the order of their names. Most traces have to do with one node or two, of which a tree would
/// set aside room for eleven; those that watch all have them in their order, so that each comes last.
#[derive(Debug, Clone)]
pub(super) struct ByNode<T>(Vec<(NodeName, T)>);

impl<T> Default for ByNode<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByNode<T> {
    pub(super) fn get(&self, node: &NodeName) -> Option<&T> {
        self.place(node).ok().map(|place| &self.0[place].1)
    }

    pub(super) fn get_mut(&mut self, node: &NodeName) -> Option<&mut T> {
        self.place(node).ok().map(|place| &mut self.0[place].1)
    }

    /// The node's value, which is this if it has none yet.
    pub(super) fn get_or_insert_with(&mut self, node: &NodeName, value: impl FnOnce() -> T) -> &mut T {
        let place = self.place(node).unwrap_or_else(|place| {
            if self.0.len() < FEW {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, (node.clone(), value()));
            place
        });
        &mut self.0[place].1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeName, &T)> {
        self.0.iter().map(|(node, value)| (node, value))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.0.iter().map(|(node, _)| node)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    fn place(&self, node: &NodeName) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(node))
    }
}

/// Up to here there is no room to spare.
const FEW: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_one_value_and_they_are_in_order() {
        let mut values = ByNode::default();
        for name in ["c", "a", "b", "a", "e", "d", "c"] {
            *values.get_or_insert_with(&name.into(), || 0) += 1;
        }
        let all: Vec<_> = values.iter().map(|(node, value)| (node.as_str(), *value)).collect();
        assert_eq!(all, [("a", 2), ("b", 1), ("c", 2), ("d", 1), ("e", 1)]);
        assert_eq!(values.get(&"f".into()), None);
    }
}
