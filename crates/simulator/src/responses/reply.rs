//! The response object: its items, its status, the settings that it repeats.
//!
//! Owns: [`Made`] and the shapes in it. Leaves to others: the answer itself (`compose`), items of hosted tools
//! (`hosted`), the stream (`events`).
//!
//! **Invariant:** a response repeats every setting that it was asked with, defaults filled in.

use super::{Asking, hosted, seal, store};
use crate::ask::{flag_at, items_at, pieces, text_at};
use crate::behaviour::Finish;
use crate::compose::{Call, Composed, Counts};
use crate::reply::Making;
use serde_json::{Map, Value, json};

/// The log probability of every token.
const LOGPROB: f64 = -0.125;

/// A response that was made: its settings, its items, its counts.
#[derive(Debug)]
pub(super) struct Made {
    object: Map<String, Value>,
    pub(super) items: Vec<Value>,
    pub(super) usage: Value,
    pub(super) first_usage: Value,
    finish: Finish,
    /// Log probabilities of the tokens of a text are told.
    pub(super) logprobs: Option<u64>,
    /// Deltas are padded.
    pub(super) obfuscates: bool,
    pub(super) background: bool,
}

impl Made {
    /// Makes a response.
    pub(super) fn new(asking: Asking<'_>, making: &mut Making<'_>) -> Made {
        let body = asking.body;
        let id = making.ids.hex("resp_", 48);
        let counts = usage(&making.composed.counts);
        let obfuscates = body.pointer("/stream_options/include_obfuscation").and_then(Value::as_bool);
        Made {
            object: settings(asking, &id, making.created),
            items: items(asking, making),
            first_usage: making.first_usage(&counts).unwrap_or_default(),
            usage: making.usage(counts).unwrap_or_default(),
            finish: making.finish(),
            logprobs: includes(body, "message.output_text.logprobs")
                .then(|| crate::ask::number_at(body, "top_logprobs").unwrap_or(0)),
            obfuscates: obfuscates.unwrap_or(true),
            background: flag_at(body, "background"),
        }
    }

    fn with(&self, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
        let mut object = self.object.clone();
        for (name, value) in fields {
            object.insert(name.to_owned(), value);
        }
        Value::Object(object)
    }

    /// The response as it is before its first token; `usage` where a fault wants some.
    pub(super) fn begun(&self, status: &str, usage: &Value) -> Value {
        let mut object = self.with([("usage", usage.clone())]);
        let usage = usage.clone();
        store::unfinished(&mut object, status);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("usage".to_owned(), usage);
        }
        object
    }

    /// The response in the queue of those in the background.
    pub(super) fn queued(&self) -> Value {
        self.begun("queued", &Value::Null)
    }

    /// The response at its end.
    pub(super) fn finished(&self) -> Value {
        let reason = match self.finish {
            Finish::Length => json!({"reason": "max_output_tokens"}),
            Finish::Filtered => json!({"reason": "content_filter"}),
            Finish::Stop | Finish::StopSequence | Finish::Tools => Value::Null,
        };
        let status = if reason.is_null() { "completed" } else { "incomplete" };
        let created = self.object.get("created_at").cloned().unwrap_or_default();
        self.with([
            ("status", json!(status)),
            ("completed_at", if reason.is_null() { created } else { Value::Null }),
            ("incomplete_details", reason),
            ("output", Value::Array(self.items.clone())),
            ("usage", self.usage.clone()),
        ])
    }

    /// The response when it failed.
    pub(super) fn failed(&self) -> Value {
        let message = "The server had an error while processing your request. Sorry about that!";
        self.with([
            ("status", json!("failed")),
            ("error", json!({"code": "server_error", "message": message})),
        ])
    }
}

/// Whether the body asks for something more in the output.
pub(super) fn includes(body: &Value, what: &str) -> bool {
    items_at(body, "include").iter().any(|included| included == what)
}

/// The counts as the API reports them.
fn usage(counts: &Counts) -> Value {
    json!({
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.cache_written},
        "output_tokens": counts.completion,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.completion,
    })
}

/// The settings that a response repeats, and those of its members that have no outcome yet.
fn settings(asking: Asking<'_>, id: &str, created: u64) -> Map<String, Value> {
    let body = asking.body;
    let given = |name: &str, default: Value| {
        body.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default)
    };
    let config = given("reasoning", json!({}));
    let summary = config.get("summary").or_else(|| config.get("generate_summary")).cloned();
    let background = flag_at(body, "background");
    let conversation = match body.get("conversation") {
        Some(Value::String(id)) => json!({"id": id}),
        other => other.cloned().unwrap_or_default(),
    };
    let object = json!({
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": background,
        "completed_at": null,
        "conversation": conversation,
        "error": null,
        "incomplete_details": null,
        "instructions": given("instructions", Value::Null),
        "max_output_tokens": given("max_output_tokens", Value::Null),
        "max_tool_calls": given("max_tool_calls", Value::Null),
        "metadata": given("metadata", json!({})),
        "model": asking.ask.model,
        "output": [],
        "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
        "previous_response_id": given("previous_response_id", Value::Null),
        "prompt": given("prompt", Value::Null),
        "prompt_cache_key": given("prompt_cache_key", Value::Null),
        "reasoning": {"effort": config.get("effort"), "summary": summary},
        "safety_identifier": given("safety_identifier", Value::Null),
        "service_tier": tier(body),
        "store": given("store", json!(true)),
        "temperature": given("temperature", json!(1.0)),
        "text": text_config(body),
        "tool_choice": given("tool_choice", json!("auto")),
        "tools": items_at(body, "tools").iter().map(tool).collect::<Vec<_>>(),
        "top_logprobs": given("top_logprobs", json!(0)),
        "top_p": given("top_p", json!(1.0)),
        "truncation": given("truncation", json!("disabled")),
        "usage": null,
        "user": given("user", Value::Null),
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The tier that served it: the one asked for, where that is one.
fn tier(body: &Value) -> &str {
    match text_at(body, "service_tier") {
        "" | "auto" => "default",
        "fast" => "priority",
        tier => tier,
    }
}

fn text_config(body: &Value) -> Value {
    let format = body.pointer("/text/format").cloned().unwrap_or_else(|| json!({"type": "text"}));
    let verbosity = body.pointer("/text/verbosity").cloned().unwrap_or_else(|| json!("medium"));
    json!({"format": format, "verbosity": verbosity})
}

/// A tool as a response repeats it: functions are strict unless they say otherwise.
fn tool(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if text_at(&tool, "type") == "function"
        && let Some(fields) = tool.as_object_mut()
    {
        for (name, default) in
            [("description", Value::Null), ("parameters", Value::Null), ("strict", json!(true))]
        {
            fields.entry(name).or_insert(default);
        }
    }
    tool
}

/// The items of the output, in their order.
fn items(asking: Asking<'_>, making: &mut Making<'_>) -> Vec<Value> {
    let composed = making.composed;
    let mut items: Vec<Value> = reasoning(asking, making).into_iter().collect();
    let mut status = "completed";
    if matches!(making.finish(), Finish::Length | Finish::Filtered) {
        status = "incomplete";
    }
    if composed.hosted_tools {
        items.extend(hosted::items(asking.body, asking.ask, making.ids));
    }
    let starved = status == "incomplete" && composed.text.is_empty();
    if (!composed.text.is_empty() || composed.calls.is_empty()) && !starved {
        items.push(message(asking.body, composed, &making.ids.hex("msg_", 48), status));
    }
    for call in &composed.calls {
        items.push(function_call(asking.body, call, making));
    }
    items
}

fn reasoning(asking: Asking<'_>, making: &mut Making<'_>) -> Option<Value> {
    let composed = making.composed;
    let shown = composed.reasoning.as_deref();
    let thinks = shown.is_some() || composed.counts.reasoning > 0;
    if !thinks {
        return None;
    }
    let id = making.ids.hex("rs_", 48);
    let text = shown.unwrap_or_default();
    let wants_summary = asking.ask.thinking == crate::ask::Thinking::Shown;
    let open = composed.open_reasoning;
    let summary = if wants_summary && !open && !text.is_empty() {
        json!([{"type": "summary_text", "text": text}])
    } else {
        json!([])
    };
    let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
    if let Some(fields) = item.as_object_mut() {
        if open {
            fields.insert("content".to_owned(), json!([{"type": "reasoning_text", "text": text}]));
        }
        if includes(asking.body, "reasoning.encrypted_content") {
            fields.insert("encrypted_content".to_owned(), json!(seal::seal(&id, text)));
        }
    }
    Some(item)
}

fn message(body: &Value, composed: &Composed, id: &str, status: &str) -> Value {
    let part = if composed.refused {
        json!({"type": "refusal", "refusal": composed.text})
    } else {
        let annotation = |cited: &crate::compose::Citation| {
            json!({
                "type": "url_citation",
                "start_index": cited.start,
                "end_index": cited.end,
                "url": cited.url,
                "title": cited.title,
            })
        };
        let annotations: Vec<Value> = composed.citations.iter().map(annotation).collect();
        let top = crate::ask::number_at(body, "top_logprobs").unwrap_or(0);
        let told = includes(body, "message.output_text.logprobs");
        let logprobs = if told { logprobs(&composed.text, top) } else { json!([]) };
        json!({"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": composed.text})
    };
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": [part]})
}

/// The log probabilities of a text's tokens.
pub(super) fn logprobs(text: &str, top: u64) -> Value {
    let token = |piece: &str| {
        let one = json!({"token": piece, "bytes": piece.as_bytes(), "logprob": LOGPROB});
        let mut token = one.clone();
        let top: Vec<Value> = (0..top).map(|_| one.clone()).collect();
        if let Some(fields) = token.as_object_mut() {
            fields.insert("top_logprobs".to_owned(), Value::Array(top));
        }
        token
    };
    pieces(text).into_iter().map(token).collect()
}

/// A call as the tool's declaration wants it: JSON or free text, with the namespace that the tool lies in.
fn function_call(body: &Value, call: &Call, making: &mut Making<'_>) -> Value {
    let call_id = making.ids.next("call_", 24);
    let declared = declared(body).into_iter().find(|(_, tool)| text_at(tool, "name") == call.name);
    let mut item = if declared.is_some_and(|(_, tool)| text_at(tool, "type") == "custom") {
        let input = call.arguments.get("input").and_then(Value::as_str).unwrap_or_default();
        json!({
            "id": making.ids.hex("ctc_", 48),
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": call_id,
            "input": input,
            "name": call.name,
        })
    } else {
        json!({
            "id": making.ids.hex("fc_", 48),
            "type": "function_call",
            "status": "completed",
            "arguments": call.arguments.to_string(),
            "call_id": call_id,
            "name": call.name,
        })
    };
    if let (Some((Some(namespace), _)), Some(item)) = (declared, item.as_object_mut()) {
        item.insert("namespace".to_owned(), json!(namespace));
    }
    item
}

/// Every tool that a request declares, among its tools or in an item of its input, with its namespace.
fn declared(body: &Value) -> Vec<(Option<&str>, &Value)> {
    let added = items_at(body, "input").iter().filter(|item| text_at(item, "type") == "additional_tools");
    let all = items_at(body, "tools").iter().chain(added.flat_map(|item| items_at(item, "tools")));
    let opened = all.flat_map(|tool| match text_at(tool, "type") {
        "namespace" => {
            let name = text_at(tool, "name");
            items_at(tool, "tools").iter().map(|tool| (Some(name), tool)).collect()
        }
        _ => vec![(None, tool)],
    });
    opened.collect()
}
