//! OpenAI's replies: chat and legacy completions, plain and streamed, models.
//!
//! Owns: their shapes and headers. Leaves to others: the answer itself (`compose`), Azure's additions (`azure`).
//!
//! **Invariant:** a stream's pieces put together are the plain reply's text and arguments.

use crate::ask::{Ask, pieces};
use crate::behaviour::Finish;
use crate::compose::{Call, Counts};
use crate::reply::{Event, Making, Reply, Role};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A fingerprint, as the API sends one.
const FINGERPRINT: &str = "fp_70119a7e00";
/// The log probability of every token.
const LOGPROB: f64 = -0.125;

/// The API's word for why an answer ended.
pub(crate) fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

/// The counts as the API reports them.
pub(crate) fn usage(counts: &Counts) -> Value {
    json!({
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// What of the request the shape of the reply depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) logprobs: bool,
    pub(crate) top_logprobs: u64,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(ask: &'a Ask, body: &Value) -> Wanted<'a> {
        Wanted {
            ask,
            logprobs: crate::ask::flag_at(body, "logprobs"),
            top_logprobs: crate::ask::number_at(body, "top_logprobs").unwrap_or(0),
        }
    }

    fn logprobs(&self, text: &str) -> Value {
        if !self.logprobs {
            return Value::Null;
        }
        let token = |piece: &str| {
            let one = json!({"token": piece, "logprob": LOGPROB, "bytes": piece.as_bytes()});
            let mut token = one.clone();
            let top: Vec<Value> = (0..self.top_logprobs).map(|_| one.clone()).collect();
            if let Some(fields) = token.as_object_mut() {
                fields.insert("top_logprobs".to_owned(), Value::Array(top));
            }
            token
        };
        json!({"content": pieces(text).into_iter().map(token).collect::<Vec<_>>(), "refusal": null})
    }
}

/// A chat's plain reply.
pub(crate) fn chat(wanted: Wanted<'_>, making: &mut Making<'_>) -> Value {
    let composed = making.composed;
    let mut choices = Vec::new();
    for index in 0..wanted.ask.choices {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        let silent = composed.text.is_empty() && !composed.calls.is_empty();
        message.insert("content".to_owned(), if silent { Value::Null } else { json!(composed.text) });
        if let Some(reasoning) = &composed.reasoning {
            message.insert("reasoning_content".to_owned(), json!(reasoning));
        }
        if !composed.calls.is_empty() {
            let calls: Vec<Value> = composed.calls.iter().map(|call| tool_call(call, making)).collect();
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        message.insert("refusal".to_owned(), Value::Null);
        message.insert("annotations".to_owned(), json!([]));
        choices.push(json!({
            "index": index,
            "message": message,
            "logprobs": wanted.logprobs(&composed.text),
            "finish_reason": finish_word(making.finish()),
        }));
    }
    let mut reply = json!({
        "id": making.ids.next("chatcmpl-", 29),
        "object": "chat.completion",
        "created": making.created,
        "model": wanted.ask.model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    });
    add_usage(&mut reply, making);
    reply
}

fn add_usage(reply: &mut Value, making: &Making<'_>) {
    if let (Some(fields), Some(usage)) = (reply.as_object_mut(), making.usage(usage(&making.composed.counts)))
    {
        fields.insert("usage".to_owned(), usage);
    }
}

fn tool_call(call: &Call, making: &mut Making<'_>) -> Value {
    json!({
        "id": making.ids.next("call_", 24),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.to_string()},
    })
}

/// A chat's stream, without what Azure adds.
pub(crate) fn chat_events(wanted: Wanted<'_>, making: &mut Making<'_>) -> Vec<Event> {
    let mut frames =
        Frames::new(wanted, making.ids.next("chatcmpl-", 29), making.created, "chat.completion.chunk");
    let composed = making.composed;
    for index in 0..wanted.ask.choices {
        frames.delta(Role::Opening, index, &json!({"role": "assistant", "content": "", "refusal": null}));
        for piece in composed.reasoning.as_deref().map(pieces).unwrap_or_default() {
            frames.delta(Role::Content, index, &json!({"reasoning_content": piece}));
        }
        for piece in pieces(&composed.text) {
            let choice = choice(index, &json!({"content": piece}), &wanted.logprobs(piece), None);
            frames.push(Role::Content, &json!([choice]), None);
        }
        for (position, call) in composed.calls.iter().enumerate() {
            let id = making.ids.next("call_", 24);
            let function = json!({"name": call.name, "arguments": ""});
            let opening = json!({"index": position, "id": id, "type": "function", "function": function});
            frames.delta(Role::Opening, index, &json!({"tool_calls": [opening]}));
            for piece in pieces(&call.arguments.to_string()) {
                let delta = json!({"tool_calls": [{"index": position, "function": {"arguments": piece}}]});
                frames.delta(Role::Content, index, &delta);
            }
        }
    }
    for index in 0..wanted.ask.choices {
        let choice = choice(index, &json!({}), &Value::Null, Some(finish_word(making.finish())));
        frames.push(Role::Closing, &json!([choice]), None);
    }
    frames.end(making)
}

fn choice(index: usize, delta: &Value, logprobs: &Value, finish: Option<&str>) -> Value {
    json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish})
}

/// The frames of a stream, being written.
struct Frames<'a> {
    wanted: Wanted<'a>,
    id: String,
    created: u64,
    object: &'static str,
    events: Vec<Event>,
}

impl<'a> Frames<'a> {
    fn new(wanted: Wanted<'a>, id: String, created: u64, object: &'static str) -> Frames<'a> {
        Frames { wanted, id, created, object, events: Vec::new() }
    }

    fn push(&mut self, role: Role, choices: &Value, usage: Option<Value>) {
        let mut frame = json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.wanted.ask.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        });
        if let (Some(fields), true) = (frame.as_object_mut(), self.wanted.ask.include_usage) {
            // Every chunk of such a stream has the field, null until the last.
            fields.insert("usage".to_owned(), usage.unwrap_or_default());
        }
        self.events.push(Event::data(role, &frame));
    }

    fn delta(&mut self, role: Role, index: usize, delta: &Value) {
        self.push(role, &json!([choice(index, delta, &Value::Null, None)]), None);
    }

    fn text(&mut self, role: Role, index: usize, text: &str, finish: Option<&str>) {
        let choice = json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish});
        self.push(role, &json!([choice]), None);
    }

    fn end(mut self, making: &Making<'_>) -> Vec<Event> {
        if self.wanted.ask.include_usage {
            let counts = usage(&making.composed.counts);
            if let Some(first) = making.first_usage(&counts) {
                self.push(Role::Closing, &json!([]), Some(first));
            }
            if let Some(counts) = making.usage(counts) {
                self.push(Role::Closing, &json!([]), Some(counts));
            }
        }
        self.events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), role: Role::End });
        self.events
    }
}

/// A legacy completion's plain reply.
pub(crate) fn completion(wanted: Wanted<'_>, making: &mut Making<'_>) -> Value {
    let word = finish_word(making.finish());
    let choice = |index: usize| json!({"index": index, "text": making.composed.text, "logprobs": null, "finish_reason": word});
    let choices: Vec<Value> = (0..wanted.ask.choices).map(choice).collect();
    let mut reply = json!({
        "id": making.ids.next("cmpl-", 29),
        "object": "text_completion",
        "created": making.created,
        "model": wanted.ask.model,
        "choices": choices,
        "system_fingerprint": FINGERPRINT,
    });
    add_usage(&mut reply, making);
    reply
}

/// A legacy completion's stream.
pub(crate) fn completion_events(wanted: Wanted<'_>, making: &mut Making<'_>) -> Vec<Event> {
    let mut frames = Frames::new(wanted, making.ids.next("cmpl-", 29), making.created, "text_completion");
    for index in 0..wanted.ask.choices {
        for piece in pieces(&making.composed.text) {
            frames.text(Role::Content, index, piece, None);
        }
        frames.text(Role::Closing, index, "", Some(finish_word(making.finish())));
    }
    frames.end(making)
}

/// The error event of a stream that fails after it began.
pub(crate) fn error_event(body: &Value) -> Event {
    Event::data(Role::Closing, body)
}

/// The list of models.
pub(crate) fn models(models: &[String]) -> Value {
    json!({"object": "list", "data": models.iter().map(|model| one_model(model)).collect::<Vec<_>>()})
}

/// One model.
pub(crate) fn one_model(model: &str) -> Value {
    // A fixed time: the list is the same on every start.
    json!({"id": model, "object": "model", "created": 1_677_610_602, "owned_by": "simulator"})
}

/// The headers that every reply of the API has.
pub(crate) fn headers(reply: Reply, request_id: &str, latency_ms: u128) -> Reply {
    reply
        .header("x-request-id", request_id)
        .header("openai-processing-ms", latency_ms.to_string())
        .header("openai-version", "2020-10-01")
        .header("openai-organization", "simulated")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::{Answer, Behaviour, TokenCounts};
    use crate::compose::{Ids, compose};
    use crate::fault::UsageFault;
    use crate::openai::read_chat;
    use crate::reply::Content;

    fn made(body: &Value, behaviour: &Behaviour, fault: Option<UsageFault>) -> (Value, Vec<Value>, String) {
        let ask = read_chat(body, "m");
        let composed = compose(&ask, behaviour);
        let wanted = Wanted::new(&ask, body);
        let mut ids = Ids::new(1);
        let mut making = Making { composed: &composed, ids: &mut ids, created: 5, usage_fault: fault };
        let plain = chat(wanted, &mut making);
        let Content::Events(events) = Reply::events(chat_events(wanted, &mut making)).content else {
            unreachable!()
        };
        let mut frames: Vec<String> = events
            .iter()
            .map(|event| String::from_utf8(event.bytes.to_vec()).unwrap())
            .map(|frame| frame.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap().to_owned())
            .collect();
        let end = frames.pop().unwrap();
        (plain, frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect(), end)
    }

    fn joined(frames: &[Value], pointer: &str) -> String {
        frames.iter().filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str)).collect()
    }

    fn asking(extra: Value) -> Value {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    #[test]
    fn a_stream_says_what_the_plain_reply_says() {
        let (plain, frames, end) = made(&asking(json!({})), &Behaviour::new().reasoning("because"), None);
        let text = plain["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(joined(&frames, "/choices/0/delta/content"), text);
        assert_eq!(joined(&frames, "/choices/0/delta/reasoning_content"), "because");
        assert_eq!(frames[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(frames.last().unwrap()["choices"][0]["finish_reason"], "stop");
        assert_eq!(end, "[DONE]");
        assert!(frames.iter().all(|frame| frame.get("usage").is_none()));
    }

    #[test]
    fn parallel_tool_calls_stream_by_index_with_whole_arguments() {
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}});
        let body = asking(json!({"tools": [tool]}));
        let (plain, frames, _) = made(&body, &Behaviour::new().answer(Answer::CallTools(2)), None);
        let calls = plain["choices"][0]["message"]["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), 2);
        assert_ne!(calls[0]["id"], calls[1]["id"]);
        assert_eq!(plain["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(plain["choices"][0]["message"]["content"], Value::Null);
        for index in [0, 1] {
            let deltas: Vec<&Value> = frames
                .iter()
                .filter_map(|frame| frame.pointer("/choices/0/delta/tool_calls/0"))
                .filter(|delta| delta["index"] == index)
                .collect();
            let arguments: String =
                deltas.iter().map(|delta| delta["function"]["arguments"].as_str().unwrap()).collect();
            assert_eq!(arguments, r#"{"q":"hi"}"#);
            assert!(deltas[0]["id"].as_str().unwrap().starts_with("call_"));
        }
    }

    #[test]
    fn usage_comes_in_a_last_chunk_without_choices_and_is_null_before() {
        let body = asking(json!({"stream": true, "stream_options": {"include_usage": true}}));
        let (plain, frames, _) = made(&body, &Behaviour::new(), None);
        let last = frames.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &plain["usage"]));
        assert!(
            frames[..frames.len() - 1]
                .iter()
                .all(|frame| frame["usage"] == Value::Null && frame.get("usage").is_some())
        );
        let (_, twice, _) = made(&body, &Behaviour::new(), Some(UsageFault::Twice));
        let counts: Vec<&Value> = twice.iter().filter(|frame| frame["choices"] == json!([])).collect();
        assert_eq!(counts.len(), 2);
        assert_eq!(counts[1]["usage"], plain["usage"]);
        let (_, none, _) = made(&body, &Behaviour::new(), Some(UsageFault::Missing));
        assert!(none.iter().all(|frame| frame["choices"] != json!([])));
    }

    #[test]
    fn cached_and_reasoning_tokens_are_told_apart() {
        let tokens = TokenCounts {
            prompt: Some(100),
            cached: Some(64),
            completion: Some(9),
            reasoning: Some(4),
            cache_written: None,
        };
        let (plain, _, _) = made(&asking(json!({})), &Behaviour::new().tokens(tokens), None);
        let usage = &plain["usage"];
        assert_eq!(usage["total_tokens"], 109);
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 64);
        assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 4);
    }

    #[test]
    fn several_choices_and_log_probabilities_are_given_when_asked_for() {
        let (plain, frames, _) = made(
            &asking(json!({"n": 2, "logprobs": true, "top_logprobs": 2})),
            &Behaviour::new().text("abcdefg"),
            None,
        );
        assert_eq!(plain["choices"].as_array().unwrap().len(), 2);
        let tokens = plain["choices"][1]["logprobs"]["content"].as_array().unwrap();
        assert_eq!(
            tokens.iter().map(|token| token["token"].as_str().unwrap()).collect::<Vec<_>>(),
            ["abcd", "efg"]
        );
        assert_eq!(tokens[0]["top_logprobs"].as_array().unwrap().len(), 2);
        let second: Vec<&Value> = frames.iter().filter(|frame| frame["choices"][0]["index"] == 1).collect();
        assert_eq!(second.len(), 1 + 2 + 1);
        assert_eq!(plain["usage"]["completion_tokens"], 4);
    }
}
