//! JSON Schema as Google takes it: its own OpenAPI subset (`Schema`), or JSON Schema tidied to the keywords that it
//! reads (`parametersJsonSchema`, `responseJsonSchema`).
//!
//! Owns the translation. Leaves the choice of field to the caller of each. **Invariant:** what comes out as a subset
//! has only members of Google's `Schema`; the work is bounded whatever the references do.
//!
//! Keywords that neither form has (`not`, `if`, `multipleOf`, `patternProperties`, ...) only guide the model less when
//! they are missing: they are left out of the subset and passed on in JSON Schema, where Google ignores them.

use serde_json::{Map, Value, json};

/// Most nodes in one translated schema; references that multiply beyond are left as references.
const NODES_MAX: usize = 4_096;

/// Deepest nesting that is translated.
const DEPTH_MAX: usize = 48;

/// Members of Google's `Schema` that mean the same in JSON Schema and hold a whole number.
const COUNTS: &[&str] = &["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// Formats that Google's `Schema` takes, by type; it refuses others.
const FORMATS: &[(&str, &[&str])] =
    &[("STRING", &["date-time", "enum"]), ("NUMBER", &["float", "double"]), ("INTEGER", &["int32", "int64"])];

/// A function's parameters in the form in which they are sent.
#[derive(Debug, PartialEq)]
pub(super) enum Parameters {
    /// The function takes none; Google wants the member left out then.
    Absent,
    /// Google's `Schema`.
    Subset(Value),
    /// JSON Schema.
    JsonSchema(Value),
}

/// Translates a function's parameters.
pub(super) fn parameters(schema: &Value) -> Parameters {
    let normal = normalise(schema);
    if takes_nothing(&normal) {
        return Parameters::Absent;
    }
    let mut translation = Translation { root: &normal, nodes_left: NODES_MAX, open_refs: Vec::new() };
    match translation.node(&normal, DEPTH_MAX) {
        Some(subset) if subset.get("type").is_some_and(|kind| kind == "OBJECT") => {
            Parameters::Subset(Value::Object(subset))
        }
        _ => Parameters::JsonSchema(normal),
    }
}

/// An object without properties, closed or silent about others; also no schema at all.
fn takes_nothing(schema: &Value) -> bool {
    let Value::Object(node) = schema else { return true };
    let is_object = node.get("type").is_none_or(|kind| kind == "object");
    let has_properties =
        node.get("properties").and_then(Value::as_object).is_some_and(|held| !held.is_empty());
    let is_open =
        node.get("additionalProperties").is_some_and(|rest| *rest == json!(true) || rest.is_object());
    let is_composed =
        ["$ref", "anyOf", "oneOf", "allOf", "patternProperties"].iter().any(|word| node.contains_key(*word));
    is_object && !has_properties && !is_open && !is_composed
}

/// Tidies JSON Schema: `definitions` to `$defs`, `const` to `enum`, `nullable` to a type, `allOf` into its node, and
/// keywords beside a `$ref` away from it, since Google refuses them there.
pub(super) fn normalise(schema: &Value) -> Value {
    Normaliser { root: schema, nodes_left: NODES_MAX }.node(schema, DEPTH_MAX)
}

/// One tidying. Beyond its bounds a node passes as it is.
struct Normaliser<'a> {
    root: &'a Value,
    nodes_left: usize,
}

impl<'a> Normaliser<'a> {
    fn node(&mut self, schema: &'a Value, depth: usize) -> Value {
        let (Value::Object(node), Some(depth)) = (schema, depth.checked_sub(1)) else {
            return schema.clone();
        };
        let Some(nodes_left) = self.nodes_left.checked_sub(1) else { return schema.clone() };
        self.nodes_left = nodes_left;
        let mut normal = Map::with_capacity(node.len());
        for (word, value) in node {
            if let Some((word, value)) = self.keyword(word, value, depth) {
                normal.insert(word, value);
            }
        }
        if let Some(parts) = node.get("allOf").and_then(Value::as_array) {
            self.merge_all(&mut normal, parts, depth);
        }
        if node.get("nullable") == Some(&Value::Bool(true)) {
            allow_null(&mut normal);
        }
        Value::Object(apart_from_reference(normal))
    }

    fn keyword(&mut self, word: &str, value: &'a Value, depth: usize) -> Option<(String, Value)> {
        Some(match word {
            "$schema" | "$comment" | "nullable" | "allOf" => return None,
            "properties" | "patternProperties" => (word.to_owned(), self.map(value, depth)),
            "$defs" | "definitions" => ("$defs".to_owned(), self.map(value, depth)),
            "items" | "prefixItems" | "anyOf" | "oneOf" | "additionalProperties" | "not" => {
                (word.to_owned(), self.children(value, depth))
            }
            "const" => ("enum".to_owned(), json!([value])),
            "$ref" => (word.to_owned(), normal_reference(value)),
            _ => (word.to_owned(), value.clone()),
        })
    }

    fn map(&mut self, schemas: &'a Value, depth: usize) -> Value {
        match schemas {
            Value::Object(map) => {
                map.iter().map(|(name, child)| (name.clone(), self.node(child, depth))).collect()
            }
            other => other.clone(),
        }
    }

    fn children(&mut self, value: &'a Value, depth: usize) -> Value {
        match value {
            Value::Array(children) => children.iter().map(|child| self.node(child, depth)).collect(),
            other => self.node(other, depth),
        }
    }

    /// Takes the parts of an `allOf` into their node. A reference among several parts is followed, since a node holds
    /// only one; a lone one stays a reference.
    fn merge_all(&mut self, node: &mut Map<String, Value>, parts: &'a [Value], depth: usize) {
        let is_lone = parts.len() == 1 && !node.contains_key("properties");
        for part in parts {
            let target =
                part.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
            let target = target.filter(|_| !is_lone).and_then(|pointer| self.root.pointer(pointer));
            let part = self.node(target.unwrap_or(part), depth);
            merge(node, part);
        }
    }
}

fn normal_reference(reference: &Value) -> Value {
    match reference.as_str().and_then(|text| text.strip_prefix("#/definitions/")) {
        Some(name) => json!(format!("#/$defs/{name}")),
        None => reference.clone(),
    }
}

/// Takes one part of an `allOf` into the node that holds it: properties and required names add up, for the rest the
/// node's own word stays.
fn merge(node: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (word, value) in part {
        match (node.get_mut(&word), value) {
            (Some(Value::Object(own)), Value::Object(added)) if word == "properties" || word == "$defs" => {
                for (name, schema) in added {
                    own.entry(name).or_insert(schema);
                }
            }
            (Some(Value::Array(own)), Value::Array(added)) if word == "required" => {
                for name in added {
                    if !own.contains(&name) {
                        own.push(name);
                    }
                }
            }
            (Some(_), _) => {}
            (None, value) => {
                node.insert(word, value);
            }
        }
    }
}

/// OpenAPI's `nullable` in the words of JSON Schema.
fn allow_null(node: &mut Map<String, Value>) {
    match node.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&json!("null")) => types.push(json!("null")),
        Some(kind @ Value::String(_)) => *kind = json!([kind.clone(), "null"]),
        _ => {}
    }
    if let Some(Value::Array(options)) = node.get_mut("anyOf") {
        options.push(json!({ "type": "null" }));
    }
    if let Some(Value::Array(values)) = node.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// Google refuses keywords beside a `$ref` other than those that begin with `$`: the reference moves into an `anyOf` of
/// one, where the description and the rest may stay beside it.
fn apart_from_reference(mut node: Map<String, Value>) -> Map<String, Value> {
    let has_others = node.keys().any(|word| !word.starts_with('$'));
    if !has_others || !node.contains_key("$ref") {
        return node;
    }
    let Some(reference) = node.shift_remove("$ref") else { return node };
    node.entry("anyOf").or_insert_with(|| json!([{ "$ref": reference }]));
    node
}

/// One translation into the subset. `None` of any of its functions means: the subset cannot say this.
struct Translation<'a> {
    root: &'a Value,
    nodes_left: usize,
    open_refs: Vec<&'a str>,
}

impl<'a> Translation<'a> {
    fn node(&mut self, schema: &'a Value, depth: usize) -> Option<Map<String, Value>> {
        let node = schema.as_object()?;
        let depth = depth.checked_sub(1)?;
        self.nodes_left = self.nodes_left.checked_sub(1)?;
        if let Some(reference) = node.get("$ref") {
            return self.reference(reference.as_str()?, depth);
        }
        if let Some(options) = node.get("anyOf").or_else(|| node.get("oneOf")) {
            return self.union(node, options.as_array()?, depth);
        }
        let (kind, is_nullable) = kind_of(node)?;
        let mut subset = Map::new();
        subset.insert("type".to_owned(), json!(kind));
        write_notes(node, &mut subset);
        write_limits(node, kind, &mut subset);
        match kind {
            "OBJECT" => self.object(node, &mut subset, depth)?,
            "ARRAY" => {
                let items = self.node(node.get("items")?, depth)?;
                subset.insert("items".to_owned(), Value::Object(items));
            }
            _ => {}
        }
        let has_null_value = write_values(node, kind, &mut subset)?;
        if is_nullable || has_null_value {
            subset.insert("nullable".to_owned(), json!(true));
        }
        Some(subset)
    }

    fn reference(&mut self, reference: &'a str, depth: usize) -> Option<Map<String, Value>> {
        if self.open_refs.contains(&reference) {
            return None;
        }
        let target = self.root.pointer(reference.strip_prefix('#')?)?;
        self.open_refs.push(reference);
        let subset = self.node(target, depth);
        self.open_refs.pop();
        subset
    }

    /// Alternatives. One beside null is itself, made nullable; of several the subset says nothing else in the node.
    fn union(
        &mut self,
        node: &'a Map<String, Value>,
        options: &'a [Value],
        depth: usize,
    ) -> Option<Map<String, Value>> {
        let is_null = |option: &&Value| option.get("type").is_some_and(|kind| kind == "null");
        let is_nullable = options.iter().any(|option| is_null(&option));
        let mut kept = Vec::with_capacity(options.len());
        for option in options.iter().filter(|option| !is_null(option)) {
            kept.push(self.node(option, depth)?);
        }
        let has_others =
            node.keys().any(|word| !matches!(word.as_str(), "anyOf" | "oneOf" | "title" | "$defs"));
        let is_single = kept.len() == 1;
        if is_single {
            let mut only = kept.pop()?;
            let is_plain = |word: &String| {
                matches!(word.as_str(), "anyOf" | "oneOf" | "title" | "description" | "default" | "$defs")
            };
            if !node.keys().all(is_plain) {
                return None;
            }
            write_notes(node, &mut only);
            if is_nullable {
                only.insert("nullable".to_owned(), json!(true));
            }
            return Some(only);
        }
        if kept.is_empty() || has_others {
            return None;
        }
        if is_nullable {
            for option in &mut kept {
                option.insert("nullable".to_owned(), json!(true));
            }
        }
        let mut subset = Map::new();
        subset.insert("anyOf".to_owned(), kept.into_iter().map(Value::Object).collect());
        Some(subset)
    }

    /// An object with named properties. Free-form ones and maps are beyond the subset.
    fn object(
        &mut self,
        node: &'a Map<String, Value>,
        subset: &mut Map<String, Value>,
        depth: usize,
    ) -> Option<()> {
        let properties = node.get("properties")?.as_object().filter(|held| !held.is_empty())?;
        if node.get("additionalProperties").is_some_and(Value::is_object) {
            return None;
        }
        let mut written = Map::with_capacity(properties.len());
        for (name, schema) in properties {
            written.insert(name.clone(), Value::Object(self.node(schema, depth)?));
        }
        subset.insert("properties".to_owned(), Value::Object(written));
        // Google refuses a required name that is no property.
        let required = node.get("required").and_then(Value::as_array).into_iter().flatten();
        let known = |name: &&Value| name.as_str().is_some_and(|name| properties.contains_key(name));
        let required: Vec<&Value> = required.filter(known).collect();
        if !required.is_empty() {
            subset.insert("required".to_owned(), json!(required));
        }
        Some(())
    }
}

/// The node's type in Google's word, and whether null is allowed beside it.
fn kind_of(node: &Map<String, Value>) -> Option<(&'static str, bool)> {
    match node.get("type") {
        Some(Value::String(kind)) => Some((google_kind(kind)?, false)),
        Some(Value::Array(kinds)) => {
            let mut others = kinds.iter().filter(|kind| *kind != "null");
            let kind = google_kind(others.next()?.as_str()?)?;
            others.next().is_none().then_some((kind, kinds.len() > 1))
        }
        Some(_) => None,
        None if node.contains_key("properties") => Some(("OBJECT", false)),
        None if node.contains_key("items") => Some(("ARRAY", false)),
        None if node.contains_key("enum") => Some(("STRING", false)),
        None => None,
    }
}

fn google_kind(kind: &str) -> Option<&'static str> {
    ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(kind))
}

fn write_notes(node: &Map<String, Value>, subset: &mut Map<String, Value>) {
    for word in ["title", "description"] {
        if let Some(note @ Value::String(_)) = node.get(word) {
            subset.insert(word.to_owned(), note.clone());
        }
    }
    if let Some(default) = node.get("default").filter(|default| !default.is_null()) {
        subset.insert("default".to_owned(), default.clone());
    }
}

fn write_limits(node: &Map<String, Value>, kind: &str, subset: &mut Map<String, Value>) {
    for word in COUNTS {
        if let Some(count) = node.get(*word).filter(|count| count.is_u64()) {
            subset.insert((*word).to_owned(), count.clone());
        }
    }
    for word in ["minimum", "maximum"] {
        if let Some(bound) = node.get(word).filter(|bound| bound.is_number()) {
            subset.insert(word.to_owned(), bound.clone());
        }
    }
    if let Some(pattern @ Value::String(_)) = node.get("pattern") {
        subset.insert("pattern".to_owned(), pattern.clone());
    }
    if let Some(format) = node.get("format").and_then(Value::as_str) {
        let is_known = FORMATS.iter().any(|(of, formats)| *of == kind && formats.contains(&format));
        if is_known {
            subset.insert("format".to_owned(), json!(format));
        }
    }
}

/// Writes `enum`, which holds text only, and tells whether null was among the values.
fn write_values(node: &Map<String, Value>, kind: &str, subset: &mut Map<String, Value>) -> Option<bool> {
    let Some(values) = node.get("enum") else { return Some(false) };
    let values = values.as_array()?;
    let texts: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    let is_text = |value: &&Value| value.as_str().is_some_and(|text| !text.is_empty());
    if kind != "STRING" || texts.is_empty() || !texts.iter().all(is_text) {
        return None;
    }
    let has_null = texts.len() < values.len();
    subset.insert("enum".to_owned(), json!(texts));
    Some(has_null)
}
