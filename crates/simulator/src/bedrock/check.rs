//! The rules of Converse that relate members to each other and to the model.
//!
//! Owns: content of messages, documents, cache points, tools, the model's own parameters. Leaves to others: members and
//! their types (`shapes`), the order of turns (`turns`).
//!
//! **Invariant:** the body has passed the shapes; of several faults the first is reported, in the service's sentences.

use super::model::{Features, features, maker};
use super::{shapes, turns};
use crate::anthropic;
use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Most images and documents of one request (Converse reference).
const IMAGES_MAX: usize = 20;
const DOCUMENTS_MAX: usize = 5;
/// Most marks of the prompt cache in one request (prompt caching guide).
const CACHE_POINTS_MAX: usize = 4;

/// Checks a request for a conversation.
pub(super) fn check(operation: &str, body: &Value, model: &str) -> Result<(), ApiError> {
    shapes::check(operation, body)?;
    let features = features(model);
    let messages = items_at(body, "messages");
    for (index, message) in messages.iter().enumerate() {
        content(
            items_at(message, "content"),
            &format!("messages.{index}.content"),
            text_at(message, "role"),
        )?;
    }
    counted(messages)?;
    system(body, features)?;
    supported(body, features)?;
    cache_points(body, features)?;
    tools(body, features)?;
    inference(body, features, model)?;
    turns::check(body, model)?;
    if matches!(maker(model).0, "anthropic" | "") { parameters(body, model) } else { Ok(()) }
}

fn refuse(message: impl Into<String>) -> Result<(), ApiError> {
    Err(ApiError::bad_request(message))
}

fn unsupported(field: &str) -> Result<(), ApiError> {
    refuse(format!("This model doesn't support the {field} field. Remove {field} and try again."))
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// What a block of this name may not be in a message of the other role.
const OF_ASSISTANT: [&str; 3] = ["toolUse", "reasoningContent", "citationsContent"];
const OF_USER: [&str; 6] = ["toolResult", "image", "document", "video", "audio", "searchResult"];

fn content(blocks: &[Value], place: &str, role: &str) -> Result<(), ApiError> {
    for (index, block) in blocks.iter().enumerate() {
        let Some((kind, value)) = block.as_object().and_then(|block| block.iter().next()) else { continue };
        let wrong_role = (role == "user" && OF_ASSISTANT.contains(&kind.as_str()))
            || (role == "assistant" && OF_USER.contains(&kind.as_str()));
        if wrong_role {
            return refuse(format!(
                "The {kind} block at {place}.{index} is not allowed in a message with the {role} role. Remove it and try \
                 again."
            ));
        }
        match kind.as_str() {
            "text" if is_blank(value.as_str().unwrap_or_default()) => {
                return refuse(format!(
                    "The text field in the ContentBlock object at {place}.{index} is blank. Add text to the text field, \
                     and try again."
                ));
            }
            "document" => document(value, &format!("{place}.{index}.document"))?,
            "image" => image(value, &format!("{place}.{index}.image"))?,
            "toolResult" => tool_result(value, &format!("{place}.{index}.toolResult"))?,
            "toolUse" if !value.get("input").is_some_and(Value::is_object) => {
                return refuse(format!(
                    "The format of the value at {place}.{index}.toolUse.input is invalid. Provide a json object for the \
                     field and try again."
                ));
            }
            _ => {}
        }
    }
    let documents = blocks.iter().any(|block| block.get("document").is_some());
    if documents && role == "user" && !blocks.iter().any(|block| block.get("text").is_some()) {
        return refuse(
            "Your messages contain a document without a text block. Add a text block to the message and try again.",
        );
    }
    Ok(())
}

/// The first bytes of each format of images.
fn is_of_format(format: &str, bytes: &[u8]) -> bool {
    match format {
        "png" => bytes.starts_with(b"\x89PNG"),
        "jpeg" => bytes.starts_with(b"\xff\xd8\xff"),
        "gif" => bytes.starts_with(b"GIF8"),
        _ => bytes.starts_with(b"RIFF"),
    }
}

fn image(image: &Value, place: &str) -> Result<(), ApiError> {
    let Some(bytes) = image.pointer("/source/bytes").and_then(Value::as_str).and_then(crate::base64::decode)
    else {
        return Ok(());
    };
    let format = text_at(image, "format");
    if is_of_format(format, &bytes) {
        return Ok(());
    }
    // What is none of the known formats is left to the model, which this is not.
    let other = ["png", "jpeg", "gif", "webp"].into_iter().find(|format| is_of_format(format, &bytes));
    match other {
        Some(other) => refuse(format!(
            "The model returned the following errors: {place}.source.bytes: The image was specified using the \
             image/{format} media type, but the image appears to be a image/{other} image"
        )),
        None => Ok(()),
    }
}

fn document(document: &Value, place: &str) -> Result<(), ApiError> {
    let name = text_at(document, "name");
    let good = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || "-()[]".contains(c);
    let doubled = name.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_whitespace));
    if !name.chars().all(good) || doubled {
        return refuse(
            "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, \
             parentheses, and square brackets. The name can't contain more than one consecutive whitespace character.",
        );
    }
    let bytes = document.pointer("/source/bytes").and_then(Value::as_str).and_then(crate::base64::decode);
    let pdf = text_at(document, "format") == "pdf";
    if pdf && bytes.is_some_and(|bytes| !bytes.starts_with(b"%PDF")) {
        return refuse(format!(
            "The model returned the following errors: {place}.source.bytes: The PDF specified was not valid."
        ));
    }
    Ok(())
}

fn tool_result(result: &Value, place: &str) -> Result<(), ApiError> {
    for (index, block) in items_at(result, "content").iter().enumerate() {
        let place = format!("{place}.content.{index}");
        if block.get("json").is_some_and(|json| !json.is_object()) {
            return refuse(format!(
                "The format of the value at {place}.json is invalid. Provide a json object for the field and try again."
            ));
        }
        if let Some(value) = block.get("document") {
            document(value, &place)?;
        }
        if let Some(value) = block.get("image") {
            image(value, &place)?;
        }
    }
    Ok(())
}

fn counted(messages: &[Value]) -> Result<(), ApiError> {
    let blocks = || messages.iter().flat_map(|message| items_at(message, "content"));
    let count = |kind: &str| blocks().filter(|block| block.get(kind).is_some()).count();
    if count("image") > IMAGES_MAX {
        return refuse(format!("The number of images exceeds the limit of {IMAGES_MAX}."));
    }
    if count("document") > DOCUMENTS_MAX {
        return refuse(format!("The number of documents exceeds the limit of {DOCUMENTS_MAX}."));
    }
    let mut names = HashSet::new();
    match blocks()
        .filter_map(|block| block.get("document"))
        .find(|document| !names.insert(text_at(document, "name")))
    {
        Some(_) => {
            refuse("Duplicate document names are not allowed. Provide unique document names and try again.")
        }
        None => Ok(()),
    }
}

fn system(body: &Value, features: Features) -> Result<(), ApiError> {
    let blocks = items_at(body, "system");
    if !blocks.is_empty() && !features.system {
        return refuse(
            "This model doesn't support system messages. Try again without a system message or use a model that supports system messages.",
        );
    }
    match blocks.iter().position(|block| block.get("text").and_then(Value::as_str).is_some_and(is_blank)) {
        Some(index) => refuse(format!(
            "The text field in the SystemContentBlock object at system.{index} is blank. Add text to the text field, and \
             try again."
        )),
        None => Ok(()),
    }
}

fn supported(body: &Value, features: Features) -> Result<(), ApiError> {
    for (index, message) in items_at(body, "messages").iter().enumerate() {
        for (at, block) in items_at(message, "content").iter().enumerate() {
            for (kind, taken) in [("image", features.images), ("document", features.documents)] {
                if !taken && block.get(kind).is_some() {
                    return unsupported(&format!("messages.{index}.content.{at}.{kind}"));
                }
            }
        }
    }
    Ok(())
}

/// Cache points, with the tokens' lists that they stand in.
fn cache_points(body: &Value, features: Features) -> Result<(), ApiError> {
    let messages = items_at(body, "messages").iter().map(|message| items_at(message, "content"));
    let tools = body.pointer("/toolConfig/tools").and_then(Value::as_array).map(Vec::as_slice);
    let lists: Vec<&[Value]> = tools.into_iter().chain([items_at(body, "system")]).chain(messages).collect();
    let marks = lists.iter().flat_map(|list| list.iter()).filter_map(|block| block.get("cachePoint"));
    let ttls: Vec<&str> = marks.map(|mark| mark.get("ttl").and_then(Value::as_str).unwrap_or("5m")).collect();
    if ttls.is_empty() {
        return Ok(());
    }
    if !features.cache {
        return Err(ApiError::new(
            403,
            "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for \
             more information.",
        ));
    }
    if ttls.len() > CACHE_POINTS_MAX {
        return refuse(format!(
            "The model returned the following errors: A maximum of {CACHE_POINTS_MAX} blocks with cache_control may be \
             provided. Found {}.",
            ttls.len()
        ));
    }
    if ttls.windows(2).any(|pair| pair == ["5m", "1h"]) {
        return refuse(
            "The model returned the following errors: a ttl='1h' cache_control block must not come after a ttl='5m' \
             cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.",
        );
    }
    let leads = |list: &&[Value]| list.first().is_some_and(|block| block.get("cachePoint").is_some());
    if lists.iter().any(leads) {
        return refuse(
            "The cachePoint block cannot be the first block: there is no content before it to cache. Add content \
             before the cachePoint and try again.",
        );
    }
    Ok(())
}

fn tools(body: &Value, features: Features) -> Result<(), ApiError> {
    let Some(config) = body.get("toolConfig").filter(|config| !config.is_null()) else { return Ok(()) };
    if !features.tools {
        return refuse("This model doesn't support tool use.");
    }
    let mut names = HashSet::new();
    for (index, tool) in items_at(config, "tools").iter().enumerate() {
        let Some(spec) = tool.get("toolSpec") else {
            names.extend(tool.get("systemTool").map(|tool| text_at(tool, "name")));
            continue;
        };
        let place = format!("toolConfig.tools.{index}.toolSpec");
        let schema = spec.pointer("/inputSchema/json").unwrap_or(&Value::Null);
        if !schema.is_object() {
            return refuse(format!(
                "The value at {place}.inputSchema.json must be a json object. Provide a json object for the field and \
                 try again."
            ));
        }
        if text_at(schema, "type") != "object" {
            return refuse(format!(
                "The value at {place}.inputSchema.json.type must be one of the following: object."
            ));
        }
        if !names.insert(text_at(spec, "name")) {
            return refuse(format!(
                "The tool configuration contains duplicate tool names: {}. Provide unique names and try again.",
                text_at(spec, "name")
            ));
        }
    }
    if names.is_empty() {
        return refuse("The toolConfig.tools field must hold at least one tool beside cache points.");
    }
    let choice = config.get("toolChoice").unwrap_or(&Value::Null);
    for kind in ["any", "tool"] {
        if choice.get(kind).is_some() && !features.forced_tools {
            return unsupported(&format!("toolConfig.toolChoice.{kind}"));
        }
    }
    match choice.get("tool").map(|tool| text_at(tool, "name")).filter(|name| !names.contains(name)) {
        Some(name) => refuse(format!(
            "The toolConfig.toolChoice.tool.name {name} doesn't match any tool in toolConfig.tools."
        )),
        None => Ok(()),
    }
}

fn inference(body: &Value, features: Features, model: &str) -> Result<(), ApiError> {
    let stops = body.pointer("/inferenceConfig/stopSequences").and_then(Value::as_array);
    if stops.is_some_and(|stops| stops.len() > features.stop_sequences) {
        return refuse(format!(
            "The number of stop sequences exceeds the limit of {} for this model.",
            features.stop_sequences
        ));
    }
    if stops.is_some_and(|stops| stops.iter().any(|stop| stop.as_str().is_some_and(is_blank)))
        && maker(model).0 == "anthropic"
    {
        return refuse(
            "The model returned the following errors: stop_sequences: each stop sequence must contain non-whitespace",
        );
    }
    let name = "additionalModelRequestFields";
    if body.get(name).is_some_and(|value| !value.is_object() && !value.is_null()) {
        return refuse(format!(
            "The format of the value at {name} is invalid. Provide a json object for the field and try again."
        ));
    }
    for path in items_at(body, "additionalModelResponseFieldPaths").iter().filter_map(Value::as_str) {
        if !path.starts_with('/') {
            return refuse(format!(
                "The additionalModelResponseFieldPaths value {path} is not a JSON Pointer."
            ));
        }
    }
    schema(body)
}

/// The schema of a structured answer is JSON in a string.
fn schema(body: &Value) -> Result<(), ApiError> {
    let place = "outputConfig.textFormat.structure.jsonSchema.schema";
    let Some(text) =
        body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema").and_then(Value::as_str)
    else {
        return Ok(());
    };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => Ok(()),
        _ => refuse(format!("The value at {place} is not a valid JSON schema.")),
    }
}

/// The members that Converse itself fills in from `inferenceConfig`; they may not be given past it.
const RESERVED: [&str; 4] = ["max_tokens", "messages", "system", "tools"];
/// What a Claude model takes past Converse (Anthropic's parameters on Bedrock).
const ADDITIONAL: [&str; 10] = [
    "thinking",
    "top_k",
    "anthropic_beta",
    "tool_choice",
    "reasoning_config",
    "output_config",
    "temperature",
    "top_p",
    "metadata",
    "context_management",
];

/// Holds what a Claude model is asked for against Anthropic's own rules.
fn parameters(body: &Value, model: &str) -> Result<(), ApiError> {
    let given = body.get("additionalModelRequestFields").and_then(Value::as_object);
    let claude = maker(model).0 == "anthropic";
    let names = || given.into_iter().flat_map(Map::keys);
    let wrong = names().find(|name| RESERVED.contains(&name.as_str()));
    let wrong = wrong.or_else(|| names().find(|name| claude && !ADDITIONAL.contains(&name.as_str())));
    if let Some(name) = wrong {
        return refuse(format!(
            "The model returned the following errors: {name}: Extra inputs are not permitted"
        ));
    }
    let mut fields = Map::new();
    fields.insert("model".to_owned(), json!(maker(model).1));
    fields.insert("max_tokens".to_owned(), json!(super::max_tokens(body).unwrap_or(u64::from(u32::MAX))));
    for (ours, theirs) in [("temperature", "temperature"), ("topP", "top_p")] {
        if let Some(value) =
            body.get("inferenceConfig").and_then(|config| config.get(ours)).filter(|v| !v.is_null())
        {
            fields.insert(theirs.to_owned(), value.clone());
        }
    }
    let choice = body.pointer("/toolConfig/toolChoice").and_then(Value::as_object);
    if let Some(kind) = choice.and_then(|choice| choice.keys().next()) {
        if body.pointer("/additionalModelRequestFields/tool_choice/type").is_some() {
            return refuse(format!(
                "The additional field tool_choice/type conflicts with the existing field \
                 toolConfig.toolChoice.{kind}. Remove tool_choice/type and try again."
            ));
        }
        let kind = if kind == "tool" { "any" } else { kind };
        fields.insert("tool_choice".to_owned(), json!({"type": kind}));
    }
    for (name, value) in given.into_iter().flatten().filter(|(name, _)| *name != "anthropic_beta") {
        let name = if name == "reasoning_config" { "thinking" } else { name };
        match (fields.get_mut(name), value) {
            // What only the model knows of a choice stands beside Converse's own.
            (Some(Value::Object(ours)), Value::Object(more)) if name == "tool_choice" => {
                ours.extend(more.clone());
            }
            _ => {
                fields.insert(name.to_owned(), value.clone());
            }
        }
    }
    let checked = anthropic::check::check_parameters(&Value::Object(fields));
    checked.map_err(|error| {
        ApiError::bad_request(format!("The model returned the following errors: {}", error.message))
    })
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
