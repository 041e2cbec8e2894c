//! Messages and deltas in OpenAI's shape, for the providers that borrow it.
//!
//! Owns: the pieces of a chat that these providers have in common. Leaves to others: what stands around them, and the
//! members in which a provider differs (its own module).
//!
//! **Invariant:** the deltas put together are the plain message.

use crate::ask::{Ask, pieces, tokens_of};
use crate::behaviour::Finish;
use crate::compose::{Call, Counts};
use crate::reply::{Making, Role};
use serde_json::{Map, Value, json};

/// How a provider shows reasoning and text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// The members of a message, or of a delta, that carry reasoning.
    pub(crate) thought: fn(&str) -> Value,
    /// Those that carry text.
    pub(crate) said: fn(&str) -> Value,
    /// Those that carry both at once.
    pub(crate) both: fn(&str, &str) -> Value,
}

/// One event of a stream: the delta of one choice.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) role: Role,
    pub(crate) index: usize,
    pub(crate) delta: Value,
    /// Tokens of the answer up to here, over all choices.
    pub(crate) tokens: u64,
}

/// OpenAI's word for why an answer ended.
pub(crate) fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

/// The three counts.
pub(crate) fn usage(counts: &Counts) -> Value {
    json!({
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
    })
}

fn tool_call(call: &Call, making: &mut Making<'_>) -> Value {
    json!({
        "id": making.ids.next("call_", 24),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.to_string()},
    })
}

/// The message of a plain reply.
pub(crate) fn message(manner: Manner, making: &mut Making<'_>) -> Value {
    let composed = making.composed;
    let mut message = Map::from_iter([("role".to_owned(), json!("assistant"))]);
    let members = match &composed.reasoning {
        Some(reasoning) => (manner.both)(reasoning, &composed.text),
        None if composed.text.is_empty() && !composed.calls.is_empty() => json!({"content": null}),
        None => (manner.said)(&composed.text),
    };
    message.extend(members.as_object().cloned().unwrap_or_default());
    if !composed.calls.is_empty() {
        let calls: Vec<Value> = composed.calls.iter().map(|call| tool_call(call, making)).collect();
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(message)
}

/// The choices of a plain reply.
pub(crate) fn choices(ask: &Ask, manner: Manner, making: &mut Making<'_>) -> Value {
    let word = making.word(finish_word(making.finish()));
    let choice =
        |index: usize| json!({"index": index, "message": message(manner, making), "finish_reason": word});
    (0..ask.choices).map(choice).collect()
}

/// The steps of a stream up to the reasons to stop.
pub(crate) fn steps(ask: &Ask, manner: Manner, making: &mut Making<'_>) -> Vec<Step> {
    let composed = making.composed;
    let mut steps = Vec::new();
    let mut tokens = 0;
    for index in 0..ask.choices {
        let mut push = |role, delta, worth| {
            tokens += worth;
            steps.push(Step { role, index, delta, tokens });
        };
        push(Role::Opening, json!({"role": "assistant", "content": ""}), 0);
        for piece in composed.reasoning.as_deref().map(pieces).unwrap_or_default() {
            push(Role::Content, (manner.thought)(piece), 1);
        }
        for piece in pieces(&composed.text) {
            push(Role::Content, (manner.said)(piece), 1);
        }
        for (position, call) in composed.calls.iter().enumerate() {
            let mut opening = tool_call(call, making);
            if let Some(fields) = opening.as_object_mut() {
                fields.insert("index".to_owned(), json!(position));
                fields.insert("function".to_owned(), json!({"name": call.name, "arguments": ""}));
            }
            push(Role::Opening, json!({"tool_calls": [opening]}), tokens_of(&call.name));
            for piece in pieces(&call.arguments.to_string()) {
                let delta = json!({"index": position, "function": {"arguments": piece}});
                push(Role::Content, json!({"tool_calls": [delta]}), 1);
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::{Answer, Behaviour};
    use crate::compose::{Ids, compose};

    const MANNER: Manner = Manner {
        thought: |text| json!({"reasoning": text}),
        said: |text| json!({"content": text}),
        both: |thought, text| json!({"reasoning": thought, "content": text}),
    };

    #[test]
    fn deltas_put_together_are_the_message() {
        let body = json!({"messages": [{"role": "user", "content": "hi"}],
            "tools": [{"function": {"name": "f", "parameters": {"properties": {"x": {"type": "string"}}}}}]});
        let ask = crate::openai::read_chat(&body, "m");
        for behaviour in [
            Behaviour::new().reasoning("a thought of some length").text("and what is said"),
            Behaviour::new().answer(Answer::CallTools(2)),
        ] {
            let composed = compose(&ask, &behaviour);
            let mut making =
                Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None };
            let message = message(MANNER, &mut making);
            let steps = steps(&ask, MANNER, &mut making);
            let joined = |pointer: &str| -> String {
                steps.iter().filter_map(|step| step.delta.pointer(pointer).and_then(Value::as_str)).collect()
            };
            assert_eq!(joined("/reasoning"), message["reasoning"].as_str().unwrap_or(""));
            assert_eq!(joined("/content"), message["content"].as_str().unwrap_or(""));
            let arguments = message["tool_calls"].as_array().into_iter().flatten();
            let arguments: String =
                arguments.filter_map(|call| call["function"]["arguments"].as_str()).collect();
            assert_eq!(joined("/tool_calls/0/function/arguments"), arguments);
            assert_eq!(steps.last().unwrap().tokens, composed.counts.completion);
        }
    }
}
