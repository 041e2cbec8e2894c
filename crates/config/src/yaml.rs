//! YAML text to a tree that remembers where everything was written.
//!
//! Owns: syntax, anchors, merge keys, duplicate keys and the limits on size, depth and expansion. Leaves to others:
//! what a scalar means (scalar), which keys exist (keys), reading files (the caller).
//!
//! **Invariant:** the work is bounded by [`Budget`]: an alias costs what it expands to before it is expanded.
//! **Invariant:** no message repeats a scalar of the text, so that no message can repeat a secret.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

/// Bytes of one file at most.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Files of one configuration at most.
pub const FILES_MAX: usize = 64;
/// Nesting of lists and maps at most, aliases expanded.
pub const DEPTH_MAX: usize = 64;
/// Nodes of all files at most, aliases expanded.
pub const NODES_MAX: usize = 200_000;
/// Bytes of all scalars and keys at most, aliases expanded.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// Where something was written: the number of the file, line and column from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value with its place. Cloning shares the children.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Rc<[Node]>),
    Map(Rc<[Entry]>),
    /// A reference to a variable that is not set; the error is reported where the reference was found.
    Unset,
}

/// A scalar as written; what it means depends on the type that its key wants.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Rc<str>,
    /// Written without quotes, so that `yes`, `~` and `0x10` have YAML's meanings.
    pub(crate) is_plain: bool,
    /// Came from a variable of the environment.
    pub(crate) is_from_environment: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Rc<str>,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// The value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|e| &*e.key == key).map(|e| &e.value),
            Data::Scalar(_) | Data::List(_) | Data::Unset => None,
        }
    }
}

/// Why a text is not a configuration, and where.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// What all files of one configuration may still cost.
#[derive(Debug)]
pub(crate) struct Budget {
    nodes: usize,
    text_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: NODES_MAX, text_bytes: TEXT_BYTES_MAX }
    }
}

/// What a finished subtree costs when it is used once more.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    text_bytes: usize,
    depth: usize,
}

impl Weight {
    fn add(&mut self, child: Weight) {
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.text_bytes = self.text_bytes.saturating_add(child.text_bytes);
        self.depth = self.depth.max(child.depth + 1);
    }
}

/// Parses one file. `None` is a file without a value.
pub(crate) fn parse(text: &str, file: usize, budget: &mut Budget) -> Result<Option<Node>, SyntaxError> {
    let start = Place { file, line: 1, column: 1 };
    if text.len() > FILE_BYTES_MAX {
        return Err(SyntaxError { place: start, message: format!("larger than {FILE_BYTES_MAX} bytes") });
    }
    // PyYAML takes a byte order mark at the start of a file, as editors on Windows write it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = Tree { budget, stack: Vec::new(), anchors: HashMap::new(), root: None, documents: 0 };
    for event in Parser::new(StrInput::new(text)) {
        let (event, span) = event.map_err(|error| syntax_error(&error, text, file))?;
        tree.take(event, place(span, file))?;
    }
    Ok(tree.root)
}

fn place(span: Span, file: usize) -> Place {
    Place { file, line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn syntax_error(error: &ScanError, text: &str, file: usize) -> SyntaxError {
    let marker = error.marker();
    let place = Place { file, line: marker.line().max(1), column: marker.col() + 1 };
    let line = text.lines().nth(place.line - 1).unwrap_or("");
    let indentation = line.chars().take_while(|c| c.is_whitespace());
    if let Some(tab) = indentation.enumerate().find_map(|(column, c)| (c == '\t').then_some(column)) {
        let message = "a tab in the indentation: YAML allows spaces only".to_owned();
        return SyntaxError { place: Place { column: tab + 1, ..place }, message };
    }
    if line.contains('\u{feff}') {
        return SyntaxError { place, message: "a byte order mark inside the file".to_owned() };
    }
    SyntaxError { place, message: format!("not YAML: {}", error.info()) }
}

/// A list or map that is still open.
struct Frame {
    place: Place,
    anchor: usize,
    weight: Weight,
    open: Open,
}

enum Open {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    seen: HashMap<Rc<str>, Place>,
    merged: Vec<Node>,
    /// The key whose value comes next, and whether it is the merge key.
    key: Option<(Rc<str>, Place, bool)>,
}

struct Tree<'a> {
    budget: &'a mut Budget,
    stack: Vec<Frame>,
    /// Finished nodes by the number of their anchor.
    anchors: HashMap<usize, (Node, Weight)>,
    root: Option<Node>,
    documents: usize,
}

impl Tree<'_> {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return fail(place, "a second document: a configuration file holds one");
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = plainness(style, tag.as_deref(), place)?;
                let weight = Weight { nodes: 1, text_bytes: text.len(), depth: 0 };
                let scalar = Scalar { text: Rc::from(&*text), is_plain, is_from_environment: false };
                self.finish(Node { place, data: Data::Scalar(scalar) }, weight, anchor, place)
            }
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor).cloned() else {
                    return fail(place, "an alias inside the value that it names");
                };
                self.finish(node, weight, 0, place)
            }
            Event::SequenceStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", place)?;
                self.open(place, anchor, Open::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "map", place)?;
                self.open(place, anchor, Open::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, place: Place, anchor: usize, open: Open) -> Result<(), SyntaxError> {
        if self.stack.len() >= DEPTH_MAX {
            return fail(place, &format!("nested deeper than {DEPTH_MAX} levels"));
        }
        let weight = Weight { nodes: 1, text_bytes: 0, depth: 0 };
        self.stack.push(Frame { place, anchor, weight, open });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let data = match frame.open {
            Open::List(items) => Data::List(items.into()),
            Open::Map(map) => Data::Map(merge(map)?.into()),
        };
        // The children have paid when they were finished.
        self.pay(Weight { nodes: 1, text_bytes: 0, depth: 0 }, frame.place)?;
        self.place(Node { place: frame.place, data }, frame.weight, frame.anchor)
    }

    /// A scalar or an alias, written `at`: pays for it and puts it where it belongs.
    fn finish(&mut self, node: Node, weight: Weight, anchor: usize, at: Place) -> Result<(), SyntaxError> {
        self.pay(weight, at)?;
        if self.stack.len() + weight.depth > DEPTH_MAX {
            return fail(at, &format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.place(node, weight, anchor)
    }

    fn pay(&mut self, weight: Weight, at: Place) -> Result<(), SyntaxError> {
        let nodes = self.budget.nodes.checked_sub(weight.nodes);
        let text_bytes = self.budget.text_bytes.checked_sub(weight.text_bytes);
        let (Some(nodes), Some(text_bytes)) = (nodes, text_bytes) else {
            return fail(
                at,
                &format!("more than {NODES_MAX} values or {TEXT_BYTES_MAX} bytes, aliases counted"),
            );
        };
        (self.budget.nodes, self.budget.text_bytes) = (nodes, text_bytes);
        Ok(())
    }

    fn place(&mut self, node: Node, weight: Weight, anchor: usize) -> Result<(), SyntaxError> {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight.add(weight);
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map(map) => map.take(node)?,
        }
        Ok(())
    }
}

impl OpenMap {
    fn take(&mut self, node: Node) -> Result<(), SyntaxError> {
        let Some((key, place, is_merge)) = self.key.take() else {
            return self.take_key(&node);
        };
        if is_merge {
            self.merged.push(node);
        } else {
            self.entries.push(Entry { key, place, value: node });
        }
        Ok(())
    }

    fn take_key(&mut self, node: &Node) -> Result<(), SyntaxError> {
        let Data::Scalar(scalar) = &node.data else {
            return fail(node.place, "a list or map as a key: a key is a plain name");
        };
        let is_merge = scalar.is_plain && &*scalar.text == "<<";
        if !is_merge && let Some(first) = self.seen.insert(scalar.text.clone(), node.place) {
            let key = crate::report::printable(&scalar.text);
            return fail(
                node.place,
                &format!("the key {key} is written twice, first in line {}", first.line),
            );
        }
        self.key = Some((scalar.text.clone(), node.place, is_merge));
        Ok(())
    }
}

/// Adds the entries of the merge keys that the map does not write itself; the first of several wins.
fn merge(map: OpenMap) -> Result<Vec<Entry>, SyntaxError> {
    let OpenMap { mut entries, mut seen, merged, .. } = map;
    for node in merged {
        let sources = match &node.data {
            Data::List(items) => items.to_vec(),
            Data::Scalar(_) | Data::Map(_) | Data::Unset => vec![node],
        };
        for source in sources {
            let Data::Map(from) = &source.data else {
                return fail(source.place, "the merge key << takes a map or a list of maps");
            };
            for entry in from.iter() {
                if seen.insert(entry.key.clone(), entry.place).is_none() {
                    entries.push(entry.clone());
                }
            }
        }
    }
    Ok(entries)
}

fn fail<T>(place: Place, message: &str) -> Result<T, SyntaxError> {
    Err(SyntaxError { place, message: message.to_owned() })
}

/// Whether a scalar has YAML's plain meanings, from its style and tag.
fn plainness(style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Result<bool, SyntaxError> {
    let Some(tag) = tag else { return Ok(style == ScalarStyle::Plain) };
    match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") => Ok(false),
        (true, "int" | "float" | "bool" | "null") => Ok(true),
        (false, "") if tag.handle == "!" => Ok(false),
        _ => fail(place, "a tag that a configuration does not know"),
    }
}

fn collection_tag(tag: Option<&Tag>, own: &str, place: Place) -> Result<(), SyntaxError> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == own => Ok(()),
        Some(_) => fail(place, "a tag that a configuration does not know"),
    }
}
