//! Amazon Bedrock's runtime: Converse, invoked models, counted tokens.
//!
//! Owns: its routes, what a conversation asks for, the service's sentences. Leaves to others: who may call (`aws`), the
//! rules of a body (`shapes`, `check`, `turns`), replies (`reply`), bodies of a maker's own (`invoke`, `embedding`).
//!
//! **Invariant:** a conversation that `check` lets through is one that botocore's service model has.

pub(crate) mod cache;
mod check;
mod embedding;
mod invoke;
pub(crate) mod model;
mod pattern;
mod reply;
mod shapes;
mod turns;

use crate::ask::{Ask, PromptCount, Thinking, Tool, ToolChoice, items_at, text_at};
use crate::aws::{self, eventstream};
use crate::clouds::Op;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::extras::{Document, DocumentKind};
use crate::names;
use crate::reply::{Event, Making, Reply};
use crate::server::Shared;
use crate::surface::{Operation, Route, Surface, percent_decode};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

/// Bedrock's runtime.
#[derive(Debug)]
pub(crate) struct Bedrock;

impl Wire for Bedrock {
    fn surface(&self) -> Surface {
        Surface::Bedrock
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let (model, action) = path.strip_prefix("/model/")?.split_once('/')?;
        let operation = match action {
            "converse" => Operation::Cloud(Op::Converse),
            "converse-stream" => Operation::Cloud(Op::ConverseStream),
            "invoke" => Operation::Cloud(Op::InvokeModel),
            "invoke-with-response-stream" => Operation::Cloud(Op::InvokeModelStream),
            "count-tokens" => Operation::CountTokens,
            _ => return None,
        };
        Some((operation, Some(percent_decode(model))))
    }

    fn owns(&self, path: &str) -> bool {
        path.starts_with("/model/")
    }

    fn credential(&self, headers: &HeaderMap) -> Option<String> {
        aws::credential(headers)
    }

    /// A behaviour may be spelt behind a maker's name: `us.anthropic.sim-tools`.
    fn model(&self, _shared: &Shared, route: &Route, _body: &Value) -> String {
        let id = route.subject.clone().unwrap_or_default();
        let spelt = id.find(&format!(".{}", names::PREFIX)).and_then(|at| id.get(at + 1..));
        spelt.map_or_else(|| id.clone(), str::to_owned)
    }

    fn check_credential(&self, shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
        aws::admit(shared, asked)
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        let id = asked.route.subject.as_deref().unwrap_or_default();
        if !model::is_id(id) {
            return Err(ApiError::bad_request("The provided model identifier is invalid."));
        }
        match operation {
            Operation::Cloud(Op::Converse) => check::check("Converse", &asked.json, id),
            Operation::Cloud(Op::ConverseStream) => check::check("ConverseStream", &asked.json, id),
            Operation::CountTokens => count_check(&asked.json, id),
            _ => invoke::check(&asked.json, id, operation == Operation::Cloud(Op::InvokeModelStream)),
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let id = asked.route.subject.as_deref().unwrap_or_default();
        match asked.route.operation {
            Some(Operation::Cloud(Op::Converse)) => read(&asked.json, &asked.model, false),
            Some(Operation::Cloud(Op::ConverseStream)) => read(&asked.json, &asked.model, true),
            Some(Operation::CountTokens) => Ask::default(),
            _ => invoke::read(&asked.json, id),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        Ok(match turn.operation() {
            Operation::Cloud(Op::Converse) => Reply::json(&reply::message(turn.body(), making)),
            Operation::Cloud(Op::ConverseStream) => stream(reply::events(turn.body(), making)),
            Operation::CountTokens => {
                Reply::json(&json!({"inputTokens": count(turn.body(), &turn.asked.model)}))
            }
            operation => {
                let streams = operation == Operation::Cloud(Op::InvokeModelStream);
                invoke::reply(turn, streams, making)
            }
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let kind = match trouble {
            Trouble::NotJson { .. } => Some("SerializationException"),
            Trouble::NoRoute { .. } | Trouble::WrongMethod { .. } => Some("UnknownOperationException"),
            _ => None,
        };
        ApiError { kind, ..ApiError::new(trouble.status(), sentence(trouble)) }
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        json!({"message": error.message})
    }

    fn error_reply(&self, _asked: &Asked, error: &ApiError, request_id: &str) -> Option<Reply> {
        let kind = aws::kind(Surface::Bedrock, error);
        let kind = format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        let body = self.error_body(error, request_id);
        Some(aws::error_reply(Reply::json(&body).header("x-amzn-errortype", kind), error, request_id))
    }

    fn error_event(&self, error: &ApiError) -> Event {
        let kind = match error.status {
            400 => "validationException",
            408 => "modelTimeoutException",
            429 => "throttlingException",
            424 => "modelStreamErrorException",
            503 => "serviceUnavailableException",
            _ => "internalServerException",
        };
        let mut payload = json!({"message": error.message});
        if error.status == 424
            && let Some(fields) = payload.as_object_mut()
        {
            fields.insert("originalStatusCode".to_owned(), json!(500));
            fields.insert("originalMessage".to_owned(), json!("Internal server error"));
        }
        eventstream::exception(kind, &payload)
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        aws::headers(reply, request_id)
    }
}

/// A stream of frames.
fn stream(events: Vec<Event>) -> Reply {
    Reply { content_type: eventstream::CONTENT_TYPE, headers: Vec::new(), ..Reply::events(events) }
}

fn sentence(trouble: Trouble<'_>) -> String {
    let text = match trouble {
        Trouble::ContextWindow { .. } => "Input is too long for requested model.",
        Trouble::ContentPolicy => "This request has been blocked by our content filters.",
        Trouble::Quota => "Too many tokens per day, please wait before trying again.",
        Trouble::RateLimited => "Too many requests, please wait before trying again.",
        Trouble::Status { code, .. } => match code {
            403 => "You don't have access to the model with the specified model ID.",
            404 => "Could not resolve the foundation model from the provided model identifier.",
            408 => "Model has timed out in processing the request. Try your request again.",
            424 => "The model returned the following errors: Internal server error",
            429 => "Too many requests, please wait before trying again.",
            503 => "Bedrock is unable to process your request.",
            500.. => "The system encountered an unexpected error during processing. Try your request again.",
            _ => "The provided request is not valid",
        },
        other => return other.sentence(),
    };
    text.to_owned()
}

/// The limit on tokens of a conversation.
fn max_tokens(body: &Value) -> Option<u64> {
    body.pointer("/inferenceConfig/maxTokens").and_then(Value::as_u64)
}

/// Reads what a conversation asks for.
fn read(body: &Value, model: &str, stream: bool) -> Ask {
    let mut count = PromptCount { tokens: 3 };
    let mut ask = Ask { model: model.to_owned(), choices: 1, parallel: true, stream, ..Ask::default() };
    for block in items_at(body, "system") {
        count.text(text_at(block, "text"));
    }
    for message in items_at(body, "messages") {
        count.message();
        let (said, result) = content(items_at(message, "content"), &mut count);
        if text_at(message, "role") == "user" {
            (ask.last_user, ask.tool_result, ask.begun) = (said, result, None);
        } else {
            (ask.tool_result, ask.begun) = (None, Some(said));
        }
    }
    let none = Value::Null;
    let config = body.get("toolConfig").unwrap_or(&none);
    for spec in items_at(config, "tools").iter().filter_map(|tool| tool.get("toolSpec")) {
        count.json(spec);
        let schema = spec.pointer("/inputSchema/json").cloned().unwrap_or_default();
        ask.tools.push(Tool { name: text_at(spec, "name").to_owned(), schema });
    }
    ask.prompt_tokens = count.tokens;
    ask.documents = documents(body);
    let choice = config.get("toolChoice").unwrap_or(&none);
    ask.tool_choice = match (choice.get("any"), choice.get("tool")) {
        (Some(_), _) => ToolChoice::Any,
        (_, Some(tool)) => ToolChoice::Named(text_at(tool, "name").to_owned()),
        _ => own_choice(body),
    };
    let single = body.pointer("/additionalModelRequestFields/tool_choice/disable_parallel_tool_use");
    ask.parallel = single != Some(&Value::Bool(true));
    ask.max_tokens = max_tokens(body);
    let inference = body.get("inferenceConfig").unwrap_or(&none);
    let stops = items_at(inference, "stopSequences").iter().filter_map(Value::as_str);
    ask.stop = stops.map(str::to_owned).collect();
    let schema = body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema").and_then(Value::as_str);
    ask.schema = schema.and_then(|text| serde_json::from_str(text).ok());
    let additional = body.get("additionalModelRequestFields").unwrap_or(&none);
    let thinking =
        ["thinking", "reasoning_config", "reasoningConfig"].iter().find_map(|name| additional.get(name));
    let thinking = thinking.map(|thinking| text_at(thinking, "type"));
    ask.thinking =
        if matches!(thinking, Some("enabled" | "adaptive")) { Thinking::Shown } else { Thinking::Off };
    ask
}

/// The choice among a Claude model's own parameters.
fn own_choice(body: &Value) -> ToolChoice {
    let choice = body.pointer("/additionalModelRequestFields/tool_choice").unwrap_or(&Value::Null);
    match text_at(choice, "type") {
        "any" => ToolChoice::Any,
        "tool" => ToolChoice::Named(text_at(choice, "name").to_owned()),
        _ => ToolChoice::Free,
    }
}

/// The documents and search results that the answer is to cite.
fn documents(body: &Value) -> Vec<Document> {
    let blocks = items_at(body, "messages").iter().flat_map(|message| items_at(message, "content"));
    let cites = |block: &&Value| block.pointer("/citations/enabled") == Some(&Value::Bool(true));
    let results = blocks.clone().filter_map(|block| block.get("searchResult")).filter(cites);
    let documents = blocks.filter_map(|block| block.get("document")).filter(cites).enumerate();
    let document = |(index, document): (usize, &Value)| {
        let source = document.get("source").unwrap_or(&Value::Null);
        let (text, kind) =
            match (source.get("text").and_then(Value::as_str), items_at(source, "content").first()) {
                (Some(text), _) => (text, DocumentKind::Text),
                (None, Some(first)) => (text_at(first, "text"), DocumentKind::Blocks),
                (None, None) => ("The first page.", DocumentKind::Pages),
            };
        Document::new(index, Some(text_at(document, "name")), text, kind)
    };
    let result = |(index, result): (usize, &Value)| {
        let text =
            items_at(result, "content").first().map(|block| text_at(block, "text")).unwrap_or_default();
        let kind = DocumentKind::SearchResult(text_at(result, "source").to_owned());
        Document::new(index, Some(text_at(result, "title")), text, kind)
    };
    documents.map(document).chain(results.enumerate().map(result)).collect()
}

/// The text of blocks, and that of the tool results among them.
fn content(blocks: &[Value], count: &mut PromptCount) -> (String, Option<String>) {
    let mut said = String::new();
    let mut result: Option<String> = None;
    for (kind, value) in blocks.iter().filter_map(Value::as_object).flatten() {
        match kind.as_str() {
            "text" => {
                let text = value.as_str().unwrap_or_default();
                count.text(text);
                said.push_str(text);
            }
            "toolResult" => {
                let blocks = items_at(value, "content");
                let (inner, _) = content(blocks, count);
                let result = result.get_or_insert_default();
                result.push_str(&inner);
                // Of documents, those of words are read; an attachment's tokens are counted already.
                for text in blocks.iter().filter_map(|block| block.pointer("/document/source/text")?.as_str())
                {
                    result.push_str(text);
                }
            }
            "json" => {
                count.json(value);
                said.push_str(&value.to_string());
            }
            "toolUse" => count.json(value),
            "reasoningContent" => {
                count.text(value.pointer("/reasoningText/text").and_then(Value::as_str).unwrap_or_default());
            }
            "cachePoint" => {}
            _ => count.attachment(),
        }
    }
    (said, result)
}

fn count_check(body: &Value, id: &str) -> Result<(), ApiError> {
    shapes::check("CountTokens", body)?;
    if let Some(inner) = body.pointer("/input/converse") {
        return check::check("Converse", inner, id);
    }
    match invoked(body) {
        Some(inner) => invoke::check(&inner, id, false),
        None => Err(ApiError::bad_request("The value at input.invokeModel.body is not valid JSON.")),
    }
}

/// The body of an invocation whose tokens are to be counted.
fn invoked(body: &Value) -> Option<Value> {
    let bytes =
        body.pointer("/input/invokeModel/body").and_then(Value::as_str).and_then(crate::base64::decode)?;
    serde_json::from_slice(&bytes).ok()
}

fn count(body: &Value, model: &str) -> u64 {
    match body.pointer("/input/converse") {
        Some(inner) => read(inner, model, false).prompt_tokens,
        None => invoked(body).map_or(0, |inner| invoke::read(&inner, model).prompt_tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_read_for_what_it_asks() {
        let body = json!({
            "system": [{"text": "abcd"}, {"cachePoint": {"type": "default"}}],
            "messages": [
                {"role": "user", "content": [{"text": "weather"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [
                    {"text": "rain"},
                    {"document": {"format": "txt", "name": "d", "source": {"text": "fall"}}},
                ]}}]},
            ],
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}],
                "toolChoice": {"tool": {"name": "f"}},
            },
            "inferenceConfig": {"maxTokens": 9, "stopSequences": ["x"]},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        });
        let ask = read(&body, "m", true);
        assert_eq!(
            (ask.tool_result.as_deref(), ask.max_tokens, ask.stream),
            (Some("rainfall"), Some(9), true)
        );
        assert_eq!(ask.tool_choice, ToolChoice::Named("f".to_owned()));
        assert_eq!((ask.thinking, ask.tools.len(), ask.stop.len()), (Thinking::Shown, 1, 1));
        let own = json!({"additionalModelRequestFields": {"tool_choice": {"type": "tool", "name": "g", "disable_parallel_tool_use": true}}});
        let ask = read(&own, "m", true);
        assert_eq!((ask.tool_choice, ask.parallel), (ToolChoice::Named("g".to_owned()), false));
    }

    #[test]
    fn a_behaviour_may_be_spelt_behind_the_makers_name() {
        for (id, model) in [
            ("anthropic.sim-tools-2", "sim-tools-2"),
            ("us.anthropic.sim-error-429", "sim-error-429"),
            ("anthropic.claude-v2:1", "anthropic.claude-v2:1"),
        ] {
            let route = Route {
                surface: Surface::Bedrock,
                operation: None,
                deployment: None,
                subject: Some(id.to_owned()),
            };
            assert_eq!(Bedrock.model(&Shared::default(), &route, &Value::Null), model);
        }
    }
}
