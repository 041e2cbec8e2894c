//! The shapes of Bedrock's requests, and the check of a body against them.
//!
//! Owns: reading `shapes.json`, which `scripts/bedrock_shapes.py` writes from botocore's service model; what breaks a
//! shape and the service's sentence for it. Leaves to others: rules that relate members (`check`, `turns`).
//!
//! **Invariant:** a member that the service model does not have is refused, wherever it stands; free documents (a tool's
//! schema and input, additional request fields) may hold anything.

use super::pattern;
use crate::error::ApiError;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Deepest body that is looked into; the model itself is no deeper than 12.
const DEPTH_MAX: usize = 32;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // The file is part of the program; a test reads every shape of it.
    let table: Value = serde_json::from_str(include_str!("shapes.json")).unwrap_or_default();
    Table::read(&table)
});

#[derive(Debug, Default)]
struct Table {
    operations: HashMap<String, String>,
    shapes: HashMap<String, Shape>,
}

#[derive(Debug)]
struct Shape {
    kind: Kind,
    min: Option<f64>,
    max: Option<f64>,
    words: Vec<String>,
    pattern: Option<String>,
}

#[derive(Debug)]
enum Kind {
    /// Members by name, and which of them must be there.
    Structure(HashMap<String, String>, Vec<String>),
    /// Just one of these members.
    Union(HashMap<String, String>),
    List(String),
    Map(String, String),
    Text,
    Integer,
    Float,
    Boolean,
    Blob,
    Document,
}

impl Table {
    fn read(table: &Value) -> Table {
        let texts = |value: &Value| -> HashMap<String, String> {
            let pairs = value.as_object().into_iter().flatten();
            pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        };
        let none = Value::Null;
        let part = |name: &str| table.get(name).unwrap_or(&none);
        let shapes = part("shapes").as_object().into_iter().flatten();
        Table {
            operations: texts(part("operations")),
            shapes: shapes.map(|(name, shape)| (name.clone(), Shape::read(shape, &texts))).collect(),
        }
    }
}

impl Shape {
    fn read(shape: &Value, texts: &impl Fn(&Value) -> HashMap<String, String>) -> Shape {
        let none = Value::Null;
        let part = |name: &str| shape.get(name).unwrap_or(&none);
        let text = |name: &str| part(name).as_str().unwrap_or_default().to_owned();
        let list = |name: &str| -> Vec<String> {
            let words = part(name).as_array().into_iter().flatten();
            words.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let kind = match text("type").as_str() {
            "structure" => Kind::Structure(texts(part("members")), list("required")),
            "union" => Kind::Union(texts(part("members"))),
            "list" => Kind::List(text("of")),
            "map" => Kind::Map(text("key"), text("of")),
            "integer" | "long" => Kind::Integer,
            "float" | "double" => Kind::Float,
            "boolean" => Kind::Boolean,
            "blob" => Kind::Blob,
            "document" => Kind::Document,
            _ => Kind::Text,
        };
        Shape {
            kind,
            min: part("min").as_f64(),
            max: part("max").as_f64(),
            words: list("enum"),
            pattern: part("pattern").as_str().map(str::to_owned),
        }
    }
}

/// Checks the body of an operation.
pub(super) fn check(operation: &str, body: &Value) -> Result<(), ApiError> {
    let Some(name) = TABLE.operations.get(operation) else { return Ok(()) };
    let mut checker = Checker { path: Vec::new(), constraints: Vec::new() };
    checker.value(name, body)?;
    if checker.constraints.is_empty() {
        return Ok(());
    }
    // The service reports broken constraints together.
    let count = checker.constraints.len();
    let plural = if count == 1 { "" } else { "s" };
    let all = checker.constraints.join("; ");
    Err(ApiError::bad_request(format!("{count} validation error{plural} detected: {all}")))
}

struct Checker {
    path: Vec<String>,
    constraints: Vec<String>,
}

/// A body that cannot be read into its shape at all.
fn unreadable(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(message).kind("SerializationException")
}

/// The kind of a JSON value as the service's parser names it.
fn token(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

impl Checker {
    fn value(&mut self, name: &str, value: &Value) -> Result<(), ApiError> {
        let Some(shape) = TABLE.shapes.get(name) else { return Ok(()) };
        if self.path.len() > DEPTH_MAX {
            return Err(unreadable("The body is nested too deeply"));
        }
        match &shape.kind {
            Kind::Document => Ok(()),
            Kind::Structure(members, required) => self.structure(object(value)?, members, required),
            Kind::Union(members) => self.union(object(value)?, members),
            Kind::List(of) => {
                let Some(items) = value.as_array() else {
                    return Err(unreadable("Expected list or null"));
                };
                self.length(shape, items.len(), value);
                items.iter().enumerate().try_for_each(|(index, item)| {
                    self.within(vec![(index + 1).to_string(), "member".to_owned()], |checker| {
                        checker.value(of, item)
                    })
                })
            }
            Kind::Map(key, of) => {
                let map = object(value)?;
                self.length(shape, map.len(), value);
                map.iter().try_for_each(|(name, value)| {
                    self.within(vec![name.clone(), "key".to_owned()], |checker| {
                        checker.value(key, &Value::String(name.clone()))
                    })?;
                    self.within(vec![name.clone(), "value".to_owned()], |checker| checker.value(of, value))
                })
            }
            _ => self.simple(shape, value),
        }
    }

    fn within(
        &mut self,
        steps: Vec<String>,
        check: impl FnOnce(&mut Checker) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let depth = self.path.len();
        self.path.extend(steps);
        let checked = check(self);
        self.path.truncate(depth);
        checked
    }

    fn structure(
        &mut self,
        given: &Map<String, Value>,
        members: &HashMap<String, String>,
        required: &[String],
    ) -> Result<(), ApiError> {
        self.known(given, members)?;
        for name in required {
            if given.get(name).is_none_or(Value::is_null) {
                let place = self.place(Some(name));
                self.constraints.push(format!(
                    "Value null at '{place}' failed to satisfy constraint: Member must not be null"
                ));
            }
        }
        self.members(given, members)
    }

    fn union(
        &mut self,
        given: &Map<String, Value>,
        members: &HashMap<String, String>,
    ) -> Result<(), ApiError> {
        self.known(given, members)?;
        if given.values().filter(|value| !value.is_null()).count() != 1 {
            let place = self.place(None);
            self.constraints.push(format!(
                "Value at '{place}' failed to satisfy constraint: Exactly one member must be set"
            ));
            return Ok(());
        }
        self.members(given, members)
    }

    fn known(&self, given: &Map<String, Value>, members: &HashMap<String, String>) -> Result<(), ApiError> {
        let Some(unknown) = given.keys().find(|name| !members.contains_key(*name)) else { return Ok(()) };
        let mut place = String::from("#");
        for step in self.path.iter().filter(|step| *step != "member") {
            // The service counts members of lists from 1 in constraints and from 0 here.
            let step = step
                .parse::<usize>()
                .map_or_else(|_| step.clone(), |number| number.saturating_sub(1).to_string());
            let _ = write!(place, "/{step}");
        }
        Err(ApiError::bad_request(format!(
            "Malformed input request: {place}: extraneous key [{unknown}] is not permitted, please reformat your input \
             and try again."
        )))
    }

    fn members(
        &mut self,
        given: &Map<String, Value>,
        members: &HashMap<String, String>,
    ) -> Result<(), ApiError> {
        for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            if let Some(shape) = members.get(name) {
                self.within(vec![name.clone()], |checker| checker.value(shape, value))?;
            }
        }
        Ok(())
    }

    fn simple(&mut self, shape: &Shape, value: &Value) -> Result<(), ApiError> {
        match (&shape.kind, value) {
            (Kind::Text, Value::String(text)) => self.text(shape, text),
            (Kind::Blob, Value::String(text)) => {
                let Some(length) = crate::base64::decoded_len(text) else {
                    return Err(unreadable("Unable to decode base64 value"));
                };
                self.length(shape, length, &Value::String("<bytes>".to_owned()));
            }
            (Kind::Boolean, Value::Bool(_)) => {}
            (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.range(shape, value);
            }
            (Kind::Float, Value::Number(_)) => self.range(shape, value),
            (kind, value) => {
                let wanted = match kind {
                    Kind::Integer => "Integer",
                    Kind::Float => "Float",
                    Kind::Boolean => "Boolean",
                    Kind::Blob => "a Blob",
                    _ => "String",
                };
                return Err(unreadable(format!("{} can not be converted to {wanted}", token(value))));
            }
        }
        Ok(())
    }

    fn text(&mut self, shape: &Shape, text: &str) {
        let value = Value::String(text.to_owned());
        if !shape.words.is_empty() && !shape.words.iter().any(|word| word == text) {
            let words = shape.words.join(", ");
            self.broken(&value, &format!("Member must satisfy enum value set: [{words}]"));
        }
        self.length(shape, text.chars().count(), &value);
        if let Some(wanted) = shape.pattern.as_deref().filter(|wanted| !pattern::fits(wanted, text)) {
            self.broken(&value, &format!("Member must satisfy regular expression pattern: {wanted}"));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
    fn length(&mut self, shape: &Shape, length: usize, value: &Value) {
        let length = length as f64;
        if let Some(min) = shape.min.filter(|min| length < *min) {
            self.broken(value, &format!("Member must have length greater than or equal to {min}"));
        }
        if let Some(max) = shape.max.filter(|max| length > *max) {
            self.broken(value, &format!("Member must have length less than or equal to {max}"));
        }
    }

    fn range(&mut self, shape: &Shape, value: &Value) {
        let number = value.as_f64().unwrap_or_default();
        if let Some(min) = shape.min.filter(|min| number < *min) {
            self.broken(value, &format!("Member must have value greater than or equal to {min}"));
        }
        if let Some(max) = shape.max.filter(|max| number > *max) {
            self.broken(value, &format!("Member must have value less than or equal to {max}"));
        }
    }

    fn broken(&mut self, value: &Value, constraint: &str) {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let place = self.place(None);
        self.constraints
            .push(format!("Value '{shown}' at '{place}' failed to satisfy constraint: {constraint}"));
    }

    fn place(&self, member: Option<&str>) -> String {
        let steps = self.path.iter().map(String::as_str).chain(member);
        steps.collect::<Vec<_>>().join(".")
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, ApiError> {
    value.as_object().ok_or_else(|| match value {
        Value::Array(_) => unreadable("Start of list found where not expected"),
        other => unreadable(format!("Expected a structure and found {}", token(other))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: &Value, kind: Option<&str>, words: &str) {
        let error = check("Converse", body).unwrap_err();
        assert_eq!((error.status, error.kind), (400, kind), "{body}");
        assert!(error.message.contains(words), "{body}: {}", error.message);
    }

    #[test]
    fn every_shape_and_pattern_of_the_table_is_understood() {
        assert_eq!(TABLE.operations.len(), 3);
        assert!(TABLE.shapes.len() > 100);
        for (name, shape) in &TABLE.shapes {
            let used: Vec<&String> = match &shape.kind {
                Kind::Structure(members, _) | Kind::Union(members) => members.values().collect(),
                Kind::List(of) => vec![of],
                Kind::Map(key, of) => vec![key, of],
                _ => Vec::new(),
            };
            assert!(used.iter().all(|used| TABLE.shapes.contains_key(*used)), "{name}");
            assert!(shape.pattern.as_deref().is_none_or(pattern::is_known), "{name}: {:?}", shape.pattern);
        }
    }

    #[test]
    fn a_body_of_the_service_model_is_taken() {
        let body = json!({
            "messages": [{"role": "user", "content": [
                {"text": "hi"},
                {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
            ]}],
            "system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
            "inferenceConfig": {"maxTokens": 5, "temperature": 1, "topP": 0.5, "stopSequences": ["x"]},
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"any": ["thing"]}}}}],
                "toolChoice": {"auto": {}},
            },
            "additionalModelRequestFields": {"whatever": 1},
            "requestMetadata": {"team": "a b"},
        });
        assert_eq!(check("Converse", &body), Ok(()));
    }

    #[test]
    fn what_breaks_a_constraint_is_said_with_its_place() {
        refused(
            &json!({"messages": [{"role": "model", "content": []}]}),
            None,
            "1 validation error detected: Value 'model' at 'messages.1.member.role' failed to satisfy constraint: \
             Member must satisfy enum value set: [user, assistant",
        );
        refused(
            &json!({"messages": [{"role": "user"}]}),
            None,
            "Value null at 'messages.1.member.content' failed to satisfy constraint: Member must not be null",
        );
        refused(
            &json!({"inferenceConfig": {"temperature": 1.5, "maxTokens": 0}}),
            None,
            "2 validation errors detected: Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: \
             Member must have value less than or equal to 1; Value '0' at 'inferenceConfig.maxTokens'",
        );
        refused(
            &json!({"toolConfig": {"tools": [{"toolSpec": {"name": "a b", "inputSchema": {"json": {}}}}]}}),
            None,
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
        );
        refused(
            &json!({"messages": [{"role": "user", "content": [{"text": "a", "cachePoint": {"type": "default"}}]}]}),
            None,
            "Value at 'messages.1.member.content.1.member' failed to satisfy constraint: Exactly one member must be set",
        );
        refused(&json!({"toolConfig": {"tools": []}}), None, "length greater than or equal to 1");
    }

    #[test]
    fn unknown_members_and_wrong_kinds_are_refused() {
        refused(
            &json!({"max_tokens": 1}),
            None,
            "Malformed input request: #: extraneous key [max_tokens] is not permitted",
        );
        refused(
            &json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            None,
            "#/messages/0/content/0: extraneous key [type]",
        );
        let kind = Some("SerializationException");
        refused(&json!({"messages": {}}), kind, "Expected list");
        refused(&json!({"messages": ["x"]}), kind, "Expected a structure and found STRING_VALUE");
        refused(
            &json!({"inferenceConfig": {"maxTokens": "5"}}),
            kind,
            "STRING_VALUE can not be converted to Integer",
        );
        refused(&json!({"inferenceConfig": {"maxTokens": 1.5}}), kind, "NUMBER_VALUE");
        let image = json!({"image": {"format": "png", "source": {"bytes": "no base64!"}}});
        refused(&json!({"messages": [{"role": "user", "content": [image]}]}), kind, "base64");
    }
}
