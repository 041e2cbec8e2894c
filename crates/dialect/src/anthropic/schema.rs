//! JSON Schema in the subset that Anthropic holds answers and strict tools to.
//!
//! Keywords outside of the subset are refused by the API, so they move into the description, where the model still
//! reads them. The subset is that of the transformation in Anthropic's own SDKs ("structured outputs" guide).

use super::members::object;
use serde_json::{Map, Value};

/// Keywords that stay as they are.
const KEPT: [&str; 8] =
    ["$ref", "type", "enum", "const", "title", "description", "required", "additionalProperties"];
/// Keywords whose value is a map of schemas.
const MAPS: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keywords about the schema itself, of no use to the model.
const ABOUT: [&str; 4] = ["$schema", "$id", "$comment", "strict"];
/// Formats of a string that are enforced.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The schema in the enforced subset: objects closed, `oneOf` as `anyOf`, other constraints as words.
pub(crate) fn enforced(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    if let Some(reference) = schema.get("$ref") {
        return Value::Object(reference_with_definitions(reference, schema));
    }
    let mut kept = Map::new();
    let mut told = Vec::new();
    for (keyword, value) in schema {
        match keyword.as_str() {
            name if KEPT.contains(&name) => insert(&mut kept, name, value.clone()),
            name if MAPS.contains(&name) => insert(&mut kept, name, enforced_map(value)),
            "items" => insert(&mut kept, "items", enforced(value)),
            "anyOf" | "oneOf" => insert(&mut kept, "anyOf", enforced_list(value)),
            "allOf" => insert(&mut kept, "allOf", enforced_list(value)),
            "format" if FORMATS.iter().any(|format| value == format) => {
                insert(&mut kept, "format", value.clone());
            }
            "minItems" if matches!(value.as_u64(), Some(0 | 1)) => {
                insert(&mut kept, "minItems", value.clone());
            }
            name if ABOUT.contains(&name) => {}
            name => told.push(format!("{name}: {value}")),
        }
    }
    if is_object_schema(&kept) {
        insert(&mut kept, "additionalProperties", Value::Bool(false));
    }
    tell(&mut kept, &told);
    Value::Object(kept)
}

/// A schema that only points elsewhere; the API wants nothing beside `$ref` but the definitions.
fn reference_with_definitions(reference: &Value, schema: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = object([("$ref", reference.clone())]);
    for name in ["$defs", "definitions"] {
        if let Some(definitions) = schema.get(name) {
            insert(&mut kept, name, enforced_map(definitions));
        }
    }
    kept
}

fn enforced_map(schemas: &Value) -> Value {
    match schemas {
        Value::Object(schemas) => {
            Value::Object(schemas.iter().map(|(name, schema)| (name.clone(), enforced(schema))).collect())
        }
        other => other.clone(),
    }
}

fn enforced_list(schemas: &Value) -> Value {
    match schemas {
        Value::Array(schemas) => Value::Array(schemas.iter().map(enforced).collect()),
        other => other.clone(),
    }
}

/// Appends constraints to the description.
fn tell(schema: &mut Map<String, Value>, constraints: &[String]) {
    if constraints.is_empty() {
        return;
    }
    let constraints = format!("Constraints: {}.", constraints.join(", "));
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(description) => format!("{description}\n{constraints}"),
        None => constraints,
    };
    insert(schema, "description", description.into());
}

fn is_object_schema(schema: &Map<String, Value>) -> bool {
    let is_object = |kind: &Value| kind == "object";
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_object),
        Some(kind) => is_object(kind),
        None => schema.contains_key("properties"),
    }
}

fn insert(schema: &mut Map<String, Value>, keyword: &str, value: Value) {
    schema.insert(keyword.to_owned(), value);
}

/// A tool's input schema, whose root the API wants to be of type `object`; `None` is a function without arguments.
///
/// # Errors
/// The reason, when the root is something else.
pub(crate) fn rooted_in_object(schema: Option<&Value>) -> Result<Map<String, Value>, &'static str> {
    let no_properties = || ("properties", Value::Object(Map::new()));
    match schema {
        None | Some(Value::Null) => Ok(object([("type", "object".into()), no_properties()])),
        Some(Value::Object(schema)) => {
            let mut rooted = schema.clone();
            match schema.get("type") {
                Some(kind) if kind == "object" => {}
                None => insert(&mut rooted, "type", "object".into()),
                Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "object") => {
                    insert(&mut rooted, "type", "object".into());
                }
                Some(_) => return Err("must be a schema of type object"),
            }
            Ok(rooted)
        }
        Some(_) => Err("must be a JSON Schema object"),
    }
}

/// Every object of the schema rules out further properties and demands those that it has: only then OpenAI holds an
/// answer to it. Anthropic and Cohere hold to any schema that they take, so that "strict" has no word there.
pub(crate) fn is_closed(schema: &Value) -> bool {
    let Value::Object(members) = schema else { return true };
    let inner = members.iter().all(|(name, value)| match name.as_str() {
        "properties" | "$defs" | "definitions" => {
            value.as_object().is_none_or(|schemas| schemas.values().all(is_closed))
        }
        "items" => is_closed(value),
        "anyOf" | "allOf" => value.as_array().is_none_or(|schemas| schemas.iter().all(is_closed)),
        _ => true,
    });
    let Some(properties) = members.get("properties").and_then(Value::as_object) else {
        return inner && members.get("type").is_none_or(|kind| kind != "object");
    };
    let required = members.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_required = |name: &String| required.iter().any(|required| required == name.as_str());
    let rules_out = members.get("additionalProperties") == Some(&Value::Bool(false));
    inner && rules_out && properties.keys().all(is_required)
}

#[cfg(test)]
mod tests {
    use super::{enforced, rooted_in_object};
    use serde_json::{Value, json};

    #[test]
    fn what_is_not_enforced_moves_into_the_description() {
        let check = |input: Value, expect: Value| assert_eq!(enforced(&input), expect, "{input}");
        check(
            json!({"type": "integer", "minimum": 1, "maximum": 9, "description": "Stars"}),
            json!({"type": "integer", "description": "Stars\nConstraints: minimum: 1, maximum: 9."}),
        );
        check(
            json!({"type": "string", "format": "card", "pattern": "^a$"}),
            json!({"type": "string", "description": "Constraints: format: \"card\", pattern: \"^a$\"."}),
        );
        check(json!({"type": "string", "format": "date"}), json!({"type": "string", "format": "date"}));
        check(
            json!({"type": "array", "items": {"type": "number", "multipleOf": 2}, "minItems": 1, "maxItems": 3}),
            json!({"type": "array", "items": {"type": "number", "description": "Constraints: multipleOf: 2."},
                   "minItems": 1, "description": "Constraints: maxItems: 3."}),
        );
        check(json!({"oneOf": [{"type": "null"}]}), json!({"anyOf": [{"type": "null"}]}));
        check(json!(true), json!(true));
    }

    #[test]
    fn every_object_is_closed_at_every_depth() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"a": {"type": ["object", "null"], "properties": {}, "additionalProperties": true}},
            "$defs": {"b": {"properties": {"minimum": {"type": "string"}}}},
            "required": ["a"]
        });
        assert_eq!(
            enforced(&schema),
            json!({
                "type": "object",
                "properties": {"a": {"type": ["object", "null"], "properties": {}, "additionalProperties": false}},
                "$defs": {"b": {"properties": {"minimum": {"type": "string"}}, "additionalProperties": false}},
                "required": ["a"],
                "additionalProperties": false
            })
        );
    }

    #[test]
    fn a_reference_keeps_its_definitions_and_nothing_else() {
        let schema = json!({"$ref": "#/$defs/n", "title": "N", "$defs": {"n": {"type": "object"}}});
        let expect =
            json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "additionalProperties": false}}});
        assert_eq!(enforced(&schema), expect);
    }

    #[test]
    fn the_root_of_a_tools_schema_is_an_object() {
        let check = |input: Option<Value>, expect: Option<Value>| {
            assert_eq!(rooted_in_object(input.as_ref()).ok().map(Value::Object), expect, "{input:?}");
        };
        check(None, Some(json!({"type": "object", "properties": {}})));
        check(Some(json!({})), Some(json!({"type": "object"})));
        check(Some(json!({"type": ["object", "null"]})), Some(json!({"type": "object"})));
        check(Some(json!({"type": "object", "x": 1})), Some(json!({"type": "object", "x": 1})));
        check(Some(json!({"type": "array"})), None);
        check(Some(json!([])), None);
    }
}
