//! Tools and the choice among them.

use crate::conversation::{Tool, ToolChoice, ToolKind};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::Value;

/// Reads `tools`, which are functions in OpenAI's form.
pub(super) fn read_tools(value: Value, at: &Place<'_>) -> Result<Vec<Tool>, RequestError> {
    let items = read::list(value, at)?.into_iter().enumerate();
    items.map(|(index, item)| read_tool(item, &at.item(index))).collect()
}

fn read_tool(value: Value, at: &Place<'_>) -> Result<Tool, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::take_string(&mut members, "type", at)?.unwrap_or_else(|| "function".to_owned());
    if kind != "function" {
        return Err(at.member("type").unknown_word(&kind, &["function"]));
    }
    let place = &at.member("function");
    let mut function = read::object(read::require(&mut members, "function", at)?, place)?;
    let name = read::filled_string(read::require(&mut function, "name", place)?, &place.member("name"))?;
    let parameters = read::take(&mut function, "parameters")
        .map(|schema| read::object(schema, &place.member("parameters")))
        .transpose()?;
    Ok(Tool {
        name,
        description: read::take_string(&mut function, "description", place)?,
        parameters: parameters.map(Value::Object),
        strict: None,
        cache_control: None,
        kind: ToolKind::Function,
        namespace: None,
    })
}

/// Reads `tool_choice`; the model chooses where it is absent.
pub(super) fn read_choice(value: Value, at: &Place<'_>) -> Result<ToolChoice, RequestError> {
    let word = read::string(value, at)?;
    match word.as_str() {
        "REQUIRED" => Ok(ToolChoice::Required),
        "NONE" => Ok(ToolChoice::None),
        _ => Err(at.unknown_word(&word, &["REQUIRED", "NONE"])),
    }
}
