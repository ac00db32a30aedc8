//! Layers of values laid over one another, with what each value owes to which layer.
//!
//! The values are those that [`super::merge_values`] gives. A layer of another shape wins as any other does, and that is remembered: it is
//! often a mistake, and sometimes meant (a list in place of a mapping), so it is told to whoever looks at the values and forbidden
//! by a schema alone.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::context::{Layer, Origin};
use super::path::ValuePath;

/// The merged values with the origin of each leaf: of a text, number, truth value, null, list or empty mapping.
#[derive(Clone, PartialEq)]
pub struct Layered {
    values: Map<String, Value>,
    layers: Vec<Origin>,
    leaves: BTreeMap<ValuePath, usize>,
    deleted: BTreeMap<ValuePath, usize>,
    clashes: Vec<Clash>,
}

/// A layer that put a mapping in the place of something else, or something else in the place of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// Where.
    pub path: ValuePath,
    /// Who wrote what was there.
    pub below: Origin,
    /// Who replaced it.
    pub above: Origin,
    /// Whether what was there is the mapping.
    pub replaces_mapping: bool,
}

/// Lays `layers`, weakest first, over the defaults of a bundle.
pub fn layer_values<'a>(defaults: &Map<String, Value>, layers: impl IntoIterator<Item = &'a Layer>) -> Layered {
    let mut layered = Layered {
        values: defaults.clone(),
        layers: vec![Origin::Bundle],
        leaves: BTreeMap::new(),
        deleted: BTreeMap::new(),
        clashes: Vec::new(),
    };
    let mut path = ValuePath::default();
    mark_leaves(defaults, &mut path, &mut layered.leaves);
    for layer in layers {
        layered.layers.push(layer.origin.clone());
        let mut values = std::mem::take(&mut layered.values);
        layered.lay(&mut values, &layer.values, &mut path);
        layered.values = values;
    }
    layered
}

fn mark_leaves(values: &Map<String, Value>, path: &mut ValuePath, leaves: &mut BTreeMap<ValuePath, usize>) {
    for (name, value) in values {
        path.0.push(name.clone());
        match value {
            Value::Object(entries) if !entries.is_empty() => mark_leaves(entries, path, leaves),
            _ => {
                leaves.insert(path.clone(), 0);
            }
        }
        path.0.pop();
    }
}

impl Layered {
    /// The merged values.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The merged values, without their origins.
    pub fn into_values(self) -> Map<String, Value> {
        self.values
    }

    /// Every leaf with who wrote it, sorted by path.
    pub fn leaves(&self) -> impl Iterator<Item = (&ValuePath, &Origin)> {
        self.leaves.iter().map(|(path, layer)| (path, &self.layers[*layer]))
    }

    /// What a null has taken away, with who wrote the null.
    pub fn deleted(&self) -> impl Iterator<Item = (&ValuePath, &Origin)> {
        self.deleted.iter().map(|(path, layer)| (path, &self.layers[*layer]))
    }

    /// Layers of another shape than what they were laid over.
    pub fn clashes(&self) -> &[Clash] {
        &self.clashes
    }

    /// The value at a path through mappings.
    pub fn get(&self, path: &ValuePath) -> Option<&Value> {
        let (first, rest) = path.0.split_first()?;
        rest.iter()
            .try_fold(self.values.get(first)?, |value, name| value.as_object()?.get(name))
    }

    /// Who wrote what is at a path: of a mapping, the strongest layer that wrote in it; of something inside a list, the list's; of
    /// what is not there, who took it away.
    pub fn origin(&self, path: &ValuePath) -> Option<&Origin> {
        let below = self.below(path).map(|(_, layer)| *layer).max();
        let around = || {
            (0..path.0.len()).rev().find_map(|length| {
                let prefix = ValuePath(path.0[..length].to_vec());
                self.leaves.get(&prefix).copied()
            })
        };
        let deleted = || {
            (1..=path.0.len())
                .rev()
                .find_map(|length| self.deleted.get(&ValuePath(path.0[..length].to_vec())).copied())
        };
        below.or_else(deleted).or_else(around).map(|layer| &self.layers[layer])
    }

    fn below<'a>(&'a self, path: &'a ValuePath) -> impl Iterator<Item = (&'a ValuePath, &'a usize)> {
        self.leaves.range(path..).take_while(|(leaf, _)| path.is_prefix_of(leaf))
    }

    fn lay(&mut self, base: &mut Map<String, Value>, over: &Map<String, Value>, path: &mut ValuePath) {
        let layer = self.layers.len() - 1;
        for (name, value) in over {
            path.0.push(name.clone());
            match value {
                Value::Null => {
                    if base.remove(name).is_some() {
                        self.forget(path);
                        self.deleted.insert(path.clone(), layer);
                    }
                }
                Value::Object(patch) => self.lay_mapping(base, name, patch, path),
                leaf => {
                    if matches!(base.get(name), Some(Value::Object(_))) {
                        self.clash(path, true);
                    }
                    self.forget(path);
                    base.insert(name.clone(), leaf.clone());
                    self.leaves.insert(path.clone(), layer);
                }
            }
            path.0.pop();
        }
    }

    fn lay_mapping(&mut self, base: &mut Map<String, Value>, name: &str, patch: &Map<String, Value>, path: &mut ValuePath) {
        let layer = self.layers.len() - 1;
        let mut entries = match base.remove(name) {
            Some(Value::Object(entries)) => entries,
            // Null is how a bundle's own defaults leave a place for either.
            None | Some(Value::Null) => {
                self.forget(path);
                Map::new()
            }
            Some(_) => {
                self.clash(path, false);
                self.forget(path);
                Map::new()
            }
        };
        // An empty mapping is a leaf; filled, it is none.
        let was_empty = self.leaves.remove(path);
        self.deleted.remove(path);
        self.lay(&mut entries, patch, path);
        if entries.is_empty() {
            self.leaves.insert(path.clone(), was_empty.unwrap_or(layer));
        }
        base.insert(name.to_owned(), Value::Object(entries));
    }

    /// What was known of a path and everything below it holds no longer.
    fn forget(&mut self, path: &ValuePath) {
        for known in [&mut self.leaves, &mut self.deleted] {
            let stale: Vec<_> = known
                .range(path..)
                .map(|(known, _)| known)
                .take_while(|known| path.is_prefix_of(known))
                .cloned()
                .collect();
            for path in stale {
                known.remove(&path);
            }
        }
    }

    fn clash(&mut self, path: &ValuePath, replaces_mapping: bool) {
        let below = self.origin(path).cloned().unwrap_or(Origin::Bundle);
        self.clashes.push(Clash {
            path: path.clone(),
            below,
            above: self.layers[self.layers.len() - 1].clone(),
            replaces_mapping,
        });
    }
}

/// Values may hold secrets, so only their paths are shown.
impl fmt::Debug for Layered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.leaves()).finish()
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (new, old) = match self.replaces_mapping {
            true => ("a value that is no mapping", "the mapping"),
            false => ("a mapping", "the value that is no mapping"),
        };
        let Self { path, below, above, .. } = self;
        write!(formatter, "values.{path}: {new} from {above} replaces {old} from {below}")
    }
}

#[cfg(test)]
mod tests;
