//! The files of a configuration, read and merged into one tree.
//!
//! Owns: `include`, the order of merging, cycles and missing files. Leaves to others: syntax (yaml), reading a file (the
//! caller's closure).
//!
//! **Invariant:** a file is read once; a list of an included file extends the list of the file before it, a map is
//! merged key by key, and the included value wins.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::report::{Collector, printable};
use crate::yaml::{Budget, Data, Entry, FILES_MAX, Node, Place, parse};

/// Reads one file.
pub(crate) type Reader<'a> = &'a mut dyn FnMut(&Path) -> io::Result<String>;

/// A file that waits to be read.
struct Pending {
    path: PathBuf,
    /// The `include` entry that names it; `None` for the first file.
    named_at: Option<Place>,
    /// The files that led here.
    ancestors: Rc<Vec<PathBuf>>,
}

/// Reads `entry` and everything that it includes. `None` if nothing usable was read; the reason is then in `found`.
pub(crate) fn read_all(entry: &Path, read: Reader<'_>, found: &mut Collector) -> Option<Node> {
    let mut budget = Budget::default();
    let mut merged: Option<Node> = None;
    let mut pending =
        VecDeque::from([Pending { path: entry.into(), named_at: None, ancestors: Rc::default() }]);
    while let Some(next) = pending.pop_front() {
        let path = normalized(&next.path);
        if next.ancestors.contains(&path) {
            report(&next, found, "a file that includes itself");
            continue;
        }
        if found.files().iter().any(|known| normalized(known) == path) {
            continue;
        }
        if found.files().len() >= FILES_MAX {
            report(&next, found, &format!("more than {FILES_MAX} files"));
            return merged;
        }
        let Some(node) = read_one(&next, &mut *read, &mut budget, found) else { continue };
        let mut ancestors = next.ancestors.to_vec();
        ancestors.push(path);
        pending.extend(includes(&node, &next.path, &Rc::new(ancestors), found));
        merged = Some(match merged {
            None => node,
            Some(first) => merge(first, &node, found),
        });
    }
    merged
}

fn read_one(next: &Pending, read: Reader<'_>, budget: &mut Budget, found: &mut Collector) -> Option<Node> {
    let text = match read(&next.path) {
        Ok(text) => text,
        Err(error) => {
            report(next, found, &format!("cannot be read: {}", error.kind()));
            return None;
        }
    };
    let file = found.add_file(next.path.clone());
    let start = Place { file, line: 1, column: 1 };
    match parse(&text, file, budget) {
        Ok(Some(node)) if matches!(node.data, Data::Map(_)) => Some(node),
        Ok(Some(node)) if !node.is_null() => {
            found.error(node.place, "", "a configuration is a map of sections such as model_list");
            None
        }
        Ok(_) => {
            found.error(start, "", "the file is empty");
            None
        }
        Err(error) => {
            found.error(error.place, "", error.message);
            None
        }
    }
}

/// Says what is wrong with a file that could not be taken, where it is named.
fn report(next: &Pending, found: &mut Collector, message: &str) {
    let name = printable(&next.path.to_string_lossy());
    match next.named_at {
        Some(place) => found.error(place, "include", format!("{name}: {message}")),
        None => {
            let file = found.add_file(next.path.clone());
            found.error(Place { file, line: 0, column: 0 }, "", message);
        }
    }
}

fn includes(node: &Node, path: &Path, ancestors: &Rc<Vec<PathBuf>>, found: &mut Collector) -> Vec<Pending> {
    let Some(list) = node.get("include").filter(|list| !list.is_null()) else { return Vec::new() };
    let Data::List(items) = &list.data else {
        found.error(list.place, "include", "wants a list of files");
        return Vec::new();
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let pending = items.iter().filter_map(|item| match item.text() {
        Some(name) => {
            let (named_at, ancestors) = (Some(item.place), ancestors.clone());
            Some(Pending { path: folder.join(name), named_at, ancestors })
        }
        None => {
            found.error(item.place, "include", "wants the name of a file");
            None
        }
    });
    pending.collect()
}

/// `path` without `.` and `..`, by its names alone: nothing is looked up.
fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn merge(first: Node, included: &Node, found: &mut Collector) -> Node {
    let (Data::Map(mine), Data::Map(theirs)) = (&first.data, &included.data) else { return first };
    let mut entries = mine.to_vec();
    let index: HashMap<Rc<str>, usize> =
        mine.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
    for entry in theirs.iter().filter(|entry| &*entry.key != "include") {
        let Some(known) = index.get(&entry.key).and_then(|at| entries.get_mut(*at)) else {
            entries.push(entry.clone());
            continue;
        };
        known.value = merge_value(known, entry, found);
    }
    Node { place: first.place, data: Data::Map(entries.into()) }
}

fn merge_value(known: &Entry, entry: &Entry, found: &mut Collector) -> Node {
    match (&known.value.data, &entry.value.data) {
        (Data::List(mine), Data::List(theirs)) => {
            let items: Rc<[Node]> = mine.iter().chain(theirs.iter()).cloned().collect();
            Node { place: known.value.place, data: Data::List(items) }
        }
        (Data::Map(mine), Data::Map(theirs)) => {
            let mut entries: Vec<Entry> = mine.to_vec();
            let index: HashMap<Rc<str>, usize> =
                mine.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
            for theirs in theirs.iter() {
                match index.get(&theirs.key).and_then(|at| entries.get_mut(*at)) {
                    None => entries.push(theirs.clone()),
                    Some(mine) => {
                        overridden(&format!("{}.{}", known.key, theirs.key), mine.place, theirs.place, found);
                        *mine = theirs.clone();
                    }
                }
            }
            Node { place: known.value.place, data: Data::Map(entries.into()) }
        }
        _ if known.value.is_null() => entry.value.clone(),
        _ => {
            overridden(&known.key, known.place, entry.place, found);
            entry.value.clone()
        }
    }
}

fn overridden(key: &str, earlier: Place, later: Place, found: &mut Collector) {
    let file = printable(&found.file(earlier).to_string_lossy());
    let message = format!("takes the place of the value in {file}:{}", earlier.line);
    found.warning(later, &printable(key), message);
}
