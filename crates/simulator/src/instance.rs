//! An example of a JSON schema, made the same way each time.
//!
//! Owns: reading the parts of JSON Schema (and of Google's dialect of it) that providers support. Leaves to others:
//! where a schema comes from.
//!
//! **Invariant:** the example has every property that the schema lists, and its depth is at most [`DEPTH_MAX`].

use serde_json::{Map, Value, json};

/// Deepest example; a recursive schema ends there with null.
const DEPTH_MAX: usize = 16;
/// Most items in a list of an example.
const ITEMS_MAX: u64 = 8;

/// An example of the schema, in which free text says `said` once cut short.
pub(crate) fn instance(schema: &Value, said: &str) -> Value {
    let said: String = said.chars().take(40).collect();
    Maker { root: schema, said: if said.is_empty() { "example".to_owned() } else { said } }.make(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    said: String,
}

impl Maker<'_> {
    fn make(&self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").or_else(|| schema.get("ref")).and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.make(target, depth + 1));
        }
        if let Some(fixed) = schema.get("const").or_else(|| schema.get("enum").and_then(|words| words.get(0)))
        {
            return fixed.clone();
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema.get(choice).and_then(|choices| choices.get(0)) {
                return self.make(first, depth + 1);
            }
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
            kind => kind.and_then(Value::as_str),
        };
        match kind.map(str::to_ascii_lowercase).as_deref() {
            Some("string") => self.text(schema),
            Some("integer") => json!(number(schema, "minimum").unwrap_or(1.0).ceil() as i64),
            Some("number") => json!(number(schema, "minimum").unwrap_or(1.5)),
            Some("boolean") => json!(true),
            Some("null") => Value::Null,
            Some("array") => self.list(schema, depth),
            Some(_) => self.object(schema, depth),
            None if schema.get("properties").is_some() => self.object(schema, depth),
            None => json!(self.said),
        }
    }

    fn text(&self, schema: &Value) -> Value {
        let format = schema.get("format").and_then(Value::as_str);
        json!(match format {
            Some("date") => "2026-01-31",
            Some("time") => "12:00:00Z",
            Some("date-time") => "2026-01-31T12:00:00Z",
            Some("email") => "toll@example.com",
            Some("uri" | "url") => "https://example.com/",
            Some("uuid") => "00000000-0000-4000-8000-000000000000",
            _ => self.said.as_str(),
        })
    }

    fn list(&self, schema: &Value, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, ITEMS_MAX);
        let item = schema.get("items").map_or_else(|| json!(self.said), |items| self.make(items, depth + 1));
        Value::Array((0..least).map(|_| item.clone()).collect())
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Value::Object(Map::new());
        };
        let made = properties.iter().map(|(name, schema)| (name.clone(), self.make(schema, depth + 1)));
        Value::Object(made.collect())
    }
}

fn number(schema: &Value, key: &str) -> Option<f64> {
    schema.get(key).and_then(Value::as_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, expect: Value) {
        assert_eq!(instance(&schema, "hello"), expect, "{schema}");
    }

    #[test]
    fn an_example_fits_its_schema() {
        check(json!({"type": "string"}), json!("hello"));
        check(json!({"type": ["integer", "null"], "minimum": 7}), json!(7));
        check(json!({"enum": ["a", "b"]}), json!("a"));
        check(json!({"anyOf": [{"type": "null"}, {"type": "string"}]}), Value::Null);
        check(json!({"type": "ARRAY", "items": {"type": "BOOLEAN"}, "minItems": 2}), json!([true, true]));
        check(
            json!({"type": "object", "properties": {"city": {"type": "string"}, "at": {"type": "string", "format": "date"}}}),
            json!({"city": "hello", "at": "2026-01-31"}),
        );
        check(
            json!({"$defs": {"n": {"type": "number"}}, "properties": {"x": {"$ref": "#/$defs/n"}}}),
            json!({"x": 1.5}),
        );
        check(json!({"type": "object"}), json!({}));
    }

    #[test]
    fn a_schema_that_contains_itself_comes_to_an_end() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        let mut depth = 0;
        let made = instance(&schema, "x");
        let mut at = &made;
        while let Some(next) = at.get("next") {
            at = next;
            depth += 1;
        }
        assert!(depth > 2 && depth <= DEPTH_MAX, "{depth}");
    }
}
