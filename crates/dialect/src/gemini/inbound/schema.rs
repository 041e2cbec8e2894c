//! Google's `Schema` (a subset of OpenAPI's) as JSON Schema.
//!
//! Owns the translation of a caller's schemas; the way back is `gemini::schema`. **Invariant:** names of properties and
//! values are passed as they are, only keywords are translated.

use super::members;
use crate::gemini::params::camel_case;
use serde_json::{Map, Value, json};

/// Keywords that hold a whole number, which Google writes as text.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// A schema that is JSON Schema by the name of its member. Google takes its own words for types there too, and its
/// command-line agent writes them.
pub(super) fn read_json_schema(schema: Value) -> Value {
    let kind = schema.get("type").and_then(Value::as_str);
    let is_googles = kind.is_some_and(|kind| kind.starts_with(|letter: char| letter.is_ascii_uppercase()));
    if is_googles { to_json_schema(schema) } else { schema }
}

/// Translates a schema; what is no object passes as it is.
pub(super) fn to_json_schema(schema: Value) -> Value {
    let Value::Object(node) = schema else { return schema };
    let mut out = Map::with_capacity(node.len());
    let (mut is_nullable, mut order) = (false, None);
    for (name, value) in node.into_iter().filter(|(_, value)| !value.is_null()) {
        let keyword = if name.starts_with('$') { name } else { camel_case(&name) };
        match keyword.as_str() {
            "nullable" => is_nullable = value == Value::Bool(true),
            "propertyOrdering" => order = Some(value),
            "type" => out.extend(json_type(&value).map(|kind| (keyword, kind))),
            // It says no more than that there are values.
            "format" if value == "enum" => {}
            "properties" => {
                out.insert(keyword, translated_map(value));
            }
            "defs" | "$defs" => {
                out.insert("$defs".to_owned(), translated_map(value));
            }
            "ref" | "$ref" => {
                let target = value.as_str().map(|text| text.replacen("#/defs/", "#/$defs/", 1));
                out.insert("$ref".to_owned(), target.map_or(value, Value::String));
            }
            "items" | "additionalProperties" => {
                out.insert(keyword, to_json_schema(value));
            }
            "anyOf" => {
                let options = members::one_or_many(value).into_iter().map(to_json_schema);
                out.insert(keyword, options.collect());
            }
            "example" => {
                out.insert("examples".to_owned(), json!([value]));
            }
            count if COUNTS.contains(&count) => {
                out.insert(keyword, members::whole(&value).map_or(value, Value::from));
            }
            _ => {
                out.insert(keyword, value);
            }
        }
    }
    if let Some(order) = order {
        put_in_order(&mut out, &order);
    }
    if is_nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

fn translated_map(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().map(|(name, schema)| (name, to_json_schema(schema))).collect(),
        other => other,
    }
}

/// Google's word for a type, or several, in JSON Schema's; `None` for the word that says nothing.
fn json_type(kind: &Value) -> Option<Value> {
    match kind {
        Value::String(word) if word == "TYPE_UNSPECIFIED" => None,
        Value::String(word) => Some(json!(word.to_ascii_lowercase())),
        Value::Array(words) => Some(words.iter().filter_map(json_type).collect()),
        other => Some(other.clone()),
    }
}

/// Puts the properties in the order that the caller asks for; models write them in the order of the schema.
fn put_in_order(node: &mut Map<String, Value>, order: &Value) {
    let Some(Value::Object(properties)) = node.get_mut("properties") else { return };
    let mut ordered = Map::with_capacity(properties.len());
    for name in order.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some(schema) = properties.shift_remove(name) {
            ordered.insert(name.to_owned(), schema);
        }
    }
    ordered.append(properties);
    *properties = ordered;
}

/// OpenAPI's `nullable` in the words of JSON Schema.
fn allow_null(node: &mut Map<String, Value>) {
    if let Some(kind @ Value::String(_)) = node.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(options)) = node.get_mut("anyOf") {
        options.push(json!({ "type": "null" }));
    }
    if let Some(Value::Array(values)) = node.get_mut("enum") {
        values.push(Value::Null);
    }
}

/// Whether every object of a schema rules out further properties and demands those that it has: only then OpenAI holds
/// an answer to it.
pub(super) fn is_closed(schema: &Value) -> bool {
    let Value::Object(node) = schema else { return true };
    let inner = node.iter().all(|(name, value)| match name.as_str() {
        "properties" | "$defs" => value.as_object().is_none_or(|map| map.values().all(is_closed)),
        "items" => is_closed(value),
        "anyOf" => value.as_array().is_none_or(|options| options.iter().all(is_closed)),
        _ => true,
    });
    let Some(properties) = node.get("properties").and_then(Value::as_object) else {
        return inner && node.get("type").is_none_or(|kind| kind != "object");
    };
    let required = node.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_required = |name: &String| required.iter().any(|required| required == name.as_str());
    inner
        && node.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.keys().all(is_required)
}
