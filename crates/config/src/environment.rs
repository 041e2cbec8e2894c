//! `os.environ/NAME` in the place of a scalar, and the section `environment_variables`.
//!
//! Owns: looking variables up and putting their values into the tree. Leaves to others: the environment itself (the
//! caller's closure), setting the process's variables (the binary).
//!
//! **Invariant:** after [`resolve`] no scalar of the tree is a reference; one that could not be followed is
//! [`Data::Unset`] and has been reported.

use std::collections::HashMap;
use std::rc::Rc;

use crate::keys;
use crate::report::{Collector, printable};
use crate::secret::Secret;
use crate::section::entries_of;
use crate::yaml::{Data, Entry, Node, Scalar};

/// What a reference begins with, in LiteLLM's files.
pub(crate) const PREFIX: &str = "os.environ/";

/// Looks a variable of the process up.
pub(crate) type ProcessEnvironment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables that a configuration sees: its own section first, then the process.
pub(crate) struct Environment<'a> {
    own: Vec<(String, Secret)>,
    /// Positions in `own` by name.
    index: HashMap<String, usize>,
    process: ProcessEnvironment<'a>,
}

impl<'a> Environment<'a> {
    /// `own` variables, and those of the process.
    pub(crate) fn new(own: &[(String, Secret)], process: ProcessEnvironment<'a>) -> Self {
        let index = own.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        Self { own: own.to_vec(), index, process }
    }

    /// The value of `name`, if it is set; it may be empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let own = self.index.get(name).and_then(|at| self.own.get(*at));
        own.map(|(_, value)| value.expose().to_owned()).or_else(|| (self.process)(name))
    }

    /// The first of `names` that is set and not empty.
    pub(crate) fn first_of(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name).filter(|value| !value.trim().is_empty()))
    }

    /// The section's variables, in the order of the file.
    pub(crate) fn into_own(self) -> Vec<(String, Secret)> {
        self.own
    }
}

/// Reads `environment_variables` and follows every reference in `root`.
pub(crate) fn resolve<'a>(
    root: &Node,
    process: ProcessEnvironment<'a>,
    found: &mut Collector,
) -> (Node, Environment<'a>) {
    let mut environment = Environment { own: Vec::new(), index: HashMap::new(), process };
    let section = root.get("environment_variables").map(entries_of).unwrap_or_default();
    for entry in section {
        // A variable may refer to one that is written above it. Unset ones are reported when the tree is followed.
        let value = match reference(&entry.value) {
            Some(name) => environment.get(name),
            None => entry.value.text().map(str::to_owned),
        };
        if let Some(value) = value {
            environment.index.insert(entry.key.to_string(), environment.own.len());
            environment.own.push((entry.key.to_string(), Secret::new(value)));
        }
    }
    let root = follow(root, "", &environment, found);
    (root, environment)
}

fn reference(node: &Node) -> Option<&str> {
    node.text()?.strip_prefix(PREFIX)
}

/// A tree with every reference followed; `path` is where it lies.
pub(crate) fn follow(node: &Node, path: &str, environment: &Environment<'_>, found: &mut Collector) -> Node {
    let data = match &node.data {
        Data::List(items) => {
            let item =
                |(index, item): (usize, &Node)| follow(item, &format!("{path}[{index}]"), environment, found);
            Data::List(items.iter().enumerate().map(item).collect())
        }
        Data::Map(entries) => {
            Data::Map(entries.iter().map(|e| follow_entry(e, path, environment, found)).collect())
        }
        Data::Scalar(_) => match reference(node) {
            Some(name) => variable(name, node, path, environment, found),
            None => return node.clone(),
        },
        Data::Unset => Data::Unset,
    };
    Node { place: node.place, data }
}

fn follow_entry(entry: &Entry, path: &str, environment: &Environment<'_>, found: &mut Collector) -> Entry {
    let name = printable(&entry.key);
    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
    Entry { value: follow(&entry.value, &path, environment, found), ..entry.clone() }
}

fn variable(
    name: &str,
    node: &Node,
    path: &str,
    environment: &Environment<'_>,
    found: &mut Collector,
) -> Data {
    if !is_variable_name(name) {
        // What follows the prefix may be a key that was pasted in the name's place.
        found.error(node.place, path, format!("{PREFIX} wants the name of a variable"));
        return Data::Unset;
    }
    match environment.get(name) {
        Some(value) => {
            Data::Scalar(Scalar { text: Rc::from(value), is_plain: false, is_from_environment: true })
        }
        None => {
            found.error(node.place, path, format!("the environment variable {name} is not set"));
            Data::Unset
        }
    }
}

/// Letters, digits and underscores, as every shell takes them.
fn is_variable_name(name: &str) -> bool {
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=keys::NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_name_byte)
}
