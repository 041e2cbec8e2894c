//! Ollama's replies: chats and completions whole and in lines, embeddings, models.
//!
//! Owns: their shapes. Leaves to others: the answer itself (`compose`).
//!
//! **Invariant:** the lines of a stream put together are the whole reply's thinking, text and calls; the last line
//! alone has `done`, and with it the counts.

use crate::ask::{flag_at, number_at, pieces, text_at};
use crate::behaviour::Finish;
use crate::compose::Call;
use crate::limits::timestamp;
use crate::openai::embedding;
use crate::reply::{Content, Event, Making, Reply, Role};
use crate::surface::Operation;
use serde_json::{Map, Value, json};

/// The log probability of every token.
const LOGPROB: f64 = -0.125;
/// What every duration is, in nanoseconds.
const DURATION_NS: u64 = 1_000_000;

/// A line of a stream.
pub(super) fn line(role: Role, value: &Value) -> Event {
    Event { bytes: format!("{value}\n").into(), role }
}

/// A reply of lines.
pub(super) fn lines(events: Vec<Event>) -> Reply {
    Reply {
        content_type: "application/x-ndjson",
        headers: Vec::new(),
        content: Content::Events(events),
        status: 200,
    }
}

fn head(body: &Value, making: &Making<'_>) -> Map<String, Value> {
    Map::from_iter([
        ("model".to_owned(), json!(text_at(body, "model"))),
        ("created_at".to_owned(), json!(timestamp(making.created))),
    ])
}

/// A whole reply or a line with these members.
fn framed(body: &Value, members: Map<String, Value>, making: &Making<'_>) -> Map<String, Value> {
    let mut frame = head(body, making);
    frame.extend(members);
    frame
}

/// What the model says, in the members that the operation has for it.
fn said(operation: Operation, text: &str, thinking: Option<&str>, calls: Vec<Value>) -> Map<String, Value> {
    let thinking = thinking.map(|thinking| ("thinking".to_owned(), json!(thinking)));
    if operation == Operation::Completion {
        return std::iter::once(("response".to_owned(), json!(text))).chain(thinking).collect();
    }
    let mut message =
        Map::from_iter([("role".to_owned(), json!("assistant")), ("content".to_owned(), json!(text))]);
    message.extend(thinking);
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Map::from_iter([("message".to_owned(), Value::Object(message))])
}

fn tool_call(index: usize, call: &Call, making: &mut Making<'_>) -> Value {
    let id = making.ids.next("call_", 8);
    json!({"id": id, "function": {"index": index, "name": call.name, "arguments": call.arguments}})
}

fn calls(making: &mut Making<'_>) -> Vec<Value> {
    let composed = making.composed;
    composed.calls.iter().enumerate().map(|(index, call)| tool_call(index, call, making)).collect()
}

fn logprobs(body: &Value, text: &str) -> Option<(String, Value)> {
    let top = number_at(body, "top_logprobs").unwrap_or(0);
    let token = |piece: &str| {
        let one = json!({"token": piece, "logprob": LOGPROB, "bytes": piece.as_bytes()});
        let mut token = one.clone();
        if let (Some(fields), true) = (token.as_object_mut(), top > 0) {
            fields.insert("top_logprobs".to_owned(), (0..top).map(|_| one.clone()).collect());
        }
        token
    };
    let all: Value = pieces(text).into_iter().map(token).collect();
    flag_at(body, "logprobs").then(|| ("logprobs".to_owned(), all))
}

/// The last members of a reply: why it ended, and the counts.
fn ending(body: &Value, operation: Operation, making: &Making<'_>) -> Map<String, Value> {
    let empty = match operation {
        Operation::Chat => body.get("messages").and_then(Value::as_array).is_none_or(Vec::is_empty),
        _ => text_at(body, "prompt").is_empty(),
    };
    let word = match making.finish() {
        _ if empty => "load",
        Finish::Length => "length",
        Finish::Stop | Finish::StopSequence | Finish::Tools | Finish::Filtered => "stop",
    };
    let mut end = Map::from_iter([
        ("done".to_owned(), json!(true)),
        ("done_reason".to_owned(), json!(making.word(word))),
    ]);
    if empty {
        return end;
    }
    if operation == Operation::Completion {
        end.insert("context".to_owned(), json!([1, 2, 3]));
    }
    for name in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
        end.insert(name.to_owned(), json!(DURATION_NS));
    }
    if let Some(Value::Object(counts)) = making.usage(counts(making)) {
        end.extend(counts);
    }
    end
}

fn counts(making: &Making<'_>) -> Value {
    let counts = &making.composed.counts;
    json!({"prompt_eval_count": counts.prompt, "eval_count": counts.completion})
}

/// A whole reply.
pub(super) fn whole(body: &Value, operation: Operation, making: &mut Making<'_>) -> Value {
    let composed = making.composed;
    let end = ending(body, operation, making);
    let loads = end.get("done_reason") == Some(&json!("load"));
    let (text, thinking, calls) = if loads {
        ("", None, Vec::new())
    } else {
        (composed.text.as_str(), composed.reasoning.as_deref(), calls(making))
    };
    let mut members = said(operation, text, thinking, calls);
    members.extend(end);
    members.extend(logprobs(body, text));
    Value::Object(framed(body, members, making))
}

/// The lines of a stream.
pub(super) fn events(body: &Value, operation: Operation, making: &mut Making<'_>) -> Vec<Event> {
    let composed = making.composed;
    let end = ending(body, operation, making);
    let mut events = Vec::new();
    let mut push = |role, mut members: Map<String, Value>, making: &Making<'_>| {
        members.entry("done").or_insert(json!(false));
        events.push(line(role, &Value::Object(framed(body, members, making))));
    };
    if end.get("done_reason") != Some(&json!("load")) {
        for piece in composed.reasoning.as_deref().map(pieces).unwrap_or_default() {
            push(Role::Content, said(operation, "", Some(piece), Vec::new()), making);
        }
        for piece in pieces(&composed.text) {
            let mut members = said(operation, piece, None, Vec::new());
            members.extend(logprobs(body, piece));
            push(Role::Content, members, making);
        }
        for call in calls(making) {
            push(Role::Content, said(operation, "", None, vec![call]), making);
        }
        if let Some(Value::Object(first)) = making.first_usage(&counts(making)) {
            let mut members = said(operation, "", None, Vec::new());
            members.extend(first);
            push(Role::Closing, members, making);
        }
    }
    let mut last = said(operation, "", None, Vec::new());
    last.extend(end);
    push(Role::End, last, making);
    events
}

/// The body of a request for embeddings as OpenAI has it.
pub(super) fn embed_input(body: &Value) -> Value {
    let input = body.get("input").or_else(|| body.get("prompt")).cloned().unwrap_or_else(|| json!([]));
    match number_at(body, "dimensions") {
        Some(dimensions) => json!({"input": input, "dimensions": dimensions}),
        None => json!({ "input": input }),
    }
}

/// The reply to a request for embeddings; `legacy`: of one prompt, on the older route.
pub(super) fn embeddings(body: &Value, legacy: bool, making: &Making<'_>) -> Value {
    let made = embedding::reply(&embed_input(body), "");
    let vectors = made.get("data").and_then(Value::as_array).into_iter().flatten();
    let mut vectors = vectors.filter_map(|one| one.get("embedding").cloned());
    if legacy {
        return json!({"embedding": vectors.next().unwrap_or_else(|| json!([]))});
    }
    let mut reply = json!({
        "model": text_at(body, "model"),
        "embeddings": vectors.collect::<Vec<_>>(),
        "total_duration": DURATION_NS,
        "load_duration": DURATION_NS,
    });
    let usage = making.usage(json!({"prompt_eval_count": making.composed.counts.prompt}));
    if let (Some(fields), Some(Value::Object(usage))) = (reply.as_object_mut(), usage) {
        fields.extend(usage);
    }
    reply
}

fn details() -> Value {
    json!({
        "parent_model": "", "format": "gguf", "family": "simulated", "families": ["simulated"],
        "parameter_size": "7B", "quantization_level": "Q4_K_M",
    })
}

/// The list of models.
pub(super) fn models(names: &[String], created: u64) -> Value {
    let model = |name: &String| {
        json!({
            "name": name, "model": name, "modified_at": timestamp(created), "size": 4_000_000_000_u64,
            "digest": format!("{:064x}", embedding::hash(name)), "details": details(),
        })
    };
    json!({"models": names.iter().map(model).collect::<Vec<_>>()})
}

/// What there is to say of a model.
pub(super) fn model(name: &str, created: u64) -> Value {
    json!({
        "modelfile": format!("FROM {name}\n"),
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": details(),
        "model_info": {
            "general.architecture": "simulated", "general.parameter_count": 7_000_000_000_u64,
            "simulated.context_length": 131_072, "simulated.embedding_length": 64,
        },
        "capabilities": ["completion", "tools", "thinking", "vision"],
        "modified_at": timestamp(created),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::{Answer, Behaviour};
    use crate::compose::{Ids, compose};
    use crate::fault::UsageFault;

    fn made(extra: Value, behaviour: &Behaviour, fault: Option<UsageFault>) -> (Value, Vec<Value>) {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        let composed = compose(&super::super::read_chat(&body), behaviour);
        let mut making =
            Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: fault };
        let plain = whole(&body, Operation::Chat, &mut making);
        let lines = events(&body, Operation::Chat, &mut making);
        (plain, lines.iter().map(|line| serde_json::from_slice(&line.bytes).unwrap()).collect())
    }

    fn joined(lines: &[Value], pointer: &str) -> String {
        lines.iter().filter_map(|line| line.pointer(pointer).and_then(Value::as_str)).collect()
    }

    #[test]
    fn lines_say_what_the_whole_reply_says() {
        let (plain, lines) =
            made(json!({"think": true, "logprobs": true, "top_logprobs": 1}), &Behaviour::new(), None);
        assert_eq!(joined(&lines, "/message/thinking"), plain["message"]["thinking"]);
        assert_eq!(joined(&lines, "/message/content"), plain["message"]["content"]);
        let done: Vec<&Value> = lines.iter().filter(|line| line["done"] == true).collect();
        assert_eq!((done.len(), &done[0]["eval_count"]), (1, &plain["eval_count"]));
        assert_eq!(
            (&plain["done_reason"], &plain["created_at"]),
            (&json!("stop"), &json!("1970-01-01T00:00:00Z"))
        );
        assert_eq!(plain["logprobs"][0]["top_logprobs"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn calls_have_arguments_as_objects() {
        let tool =
            json!({"function": {"name": "f", "parameters": {"properties": {"x": {"type": "string"}}}}});
        let (plain, lines) =
            made(json!({"tools": [tool]}), &Behaviour::new().answer(Answer::CallTools(2)), None);
        assert_eq!(plain["message"]["tool_calls"][1]["function"]["arguments"], json!({"x": "hi"}));
        assert_eq!(lines.iter().filter(|line| line.pointer("/message/tool_calls/0").is_some()).count(), 2);
        assert_eq!(plain["done_reason"], "stop");
    }

    #[test]
    fn no_message_loads_the_model() {
        let (plain, lines) = made(json!({"messages": []}), &Behaviour::new(), None);
        assert_eq!((&plain["done_reason"], &plain["message"]["content"]), (&json!("load"), &json!("")));
        assert_eq!((lines.len(), plain.get("eval_count")), (1, None));
    }

    #[test]
    fn counts_can_go_missing_or_come_twice() {
        let counted = |fault| {
            let lines = made(json!({}), &Behaviour::new(), Some(fault)).1;
            lines.iter().filter(|line| line.get("eval_count").is_some()).count()
        };
        assert_eq!((counted(UsageFault::Missing), counted(UsageFault::Twice)), (0, 2));
    }
}
