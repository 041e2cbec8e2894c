//! Gemini's replies: generated content, plain and streamed, embeddings, token counts, models.
//!
//! Owns: their shapes and headers. Leaves to others: the answer itself (`compose`).
//!
//! **Invariant:** a stream's parts put together are the plain reply's. Every event of a stream carries one token; the
//! last carries the reason to stop too.

use super::{THOUGHT, details, get, text};
use crate::ask::{Ask, pieces, tokens_of};
use crate::behaviour::Finish;
use crate::compose::{Composed, Counts};
use crate::openai::embedding::vector;
use crate::reply::{Event, Making, Role};
use crate::signature;
use serde_json::{Map, Value, json};

/// The stop word of a refused prompt.
const BLOCKED: &str = "blocked";
/// An image of one pixel, as base64.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGMwTpsJAAICATNWh+JUAAAAAElFTkSuQmCC";

/// The API's word for why an answer ended.
fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered => "SAFETY",
    }
}

/// The counts as the API reports them: `candidatesTokenCount` leaves out the thoughts.
fn usage(ask: &Ask, composed: &Composed, counts: &Counts) -> Value {
    let candidates = counts.completion.saturating_sub(counts.reasoning);
    let tool_prompt = composed.extras.tool_prompt;
    let mut usage = json!({
        "promptTokenCount": counts.prompt,
        "candidatesTokenCount": candidates,
        "totalTokenCount": counts.prompt + counts.completion + tool_prompt.unwrap_or(0),
        "promptTokensDetails": details::modalities(counts.prompt, &ask.attached),
    });
    let Some(fields) = usage.as_object_mut() else { return usage };
    if counts.cached > 0 {
        fields.insert("cachedContentTokenCount".to_owned(), json!(counts.cached));
        fields.insert("cacheTokensDetails".to_owned(), details::modalities(counts.cached, &[]));
    }
    if counts.reasoning > 0 {
        fields.insert("thoughtsTokenCount".to_owned(), json!(counts.reasoning));
    }
    if let Some(tokens) = tool_prompt {
        fields.insert("toolUsePromptTokenCount".to_owned(), json!(tokens));
        fields.insert("toolUsePromptTokensDetails".to_owned(), details::modalities(tokens, &[]));
    }
    if composed.image && candidates >= details::IMAGE_TOKENS {
        let text = candidates - details::IMAGE_TOKENS;
        let details = json!([
            {"modality": "TEXT", "tokenCount": text},
            {"modality": "IMAGE", "tokenCount": details::IMAGE_TOKENS},
        ]);
        fields.insert("candidatesTokensDetails".to_owned(), details);
    }
    usage
}

/// The parts of an answer, whole.
fn parts(ask: &Ask, making: &mut Making<'_>) -> Vec<Value> {
    let composed = making.composed;
    let mut parts = Vec::new();
    if let Some(reasoning) = &composed.reasoning {
        parts.push(json!({"text": reasoning, "thought": true}));
    }
    if !composed.text.is_empty() {
        parts.push(json!({"text": composed.text}));
    }
    if composed.image {
        parts.push(json!({"inlineData": {"mimeType": "image/png", "data": PNG}}));
    }
    for call in &composed.calls {
        parts.push(json!({"functionCall": {"name": call.name, "args": call.arguments}}));
    }
    // The signature of the thoughts stands on the first part after them; Gemini 3 signs its first call in any case.
    let signs_calls = ask.model.starts_with("gemini-3") && !composed.calls.is_empty();
    let signed = |part: &&mut Value| match composed.reasoning {
        Some(_) => part.get("thought").is_none(),
        None => signs_calls && part.get("functionCall").is_some(),
    };
    if let Some(part) = parts.iter_mut().find(signed).and_then(Value::as_object_mut) {
        part.insert("thoughtSignature".to_owned(), json!(signature::sign(THOUGHT, making.ids)));
    }
    parts
}

/// The word for why an answer ended.
fn word<'a>(making: &Making<'a>) -> &'a str {
    let own = making.composed.extras.stop_word.as_deref();
    own.unwrap_or(finish_reason(making.finish()))
}

/// Whether the prompt is refused: the reply then has no candidate.
fn is_blocked(composed: &Composed) -> bool {
    composed.extras.stop_word.as_deref() == Some(BLOCKED)
}

fn blocked(ask: &Ask, making: &mut Making<'_>) -> Value {
    let counts = Counts { completion: 0, reasoning: 0, ..making.composed.counts };
    let usage = making.usage(usage(ask, making.composed, &counts));
    let id = making.ids.next("", 22);
    let mut reply = envelope(Value::Null, usage, &ask.model, &id);
    if let Some(fields) = reply.as_object_mut() {
        fields.shift_remove("candidates");
        let feedback = json!({
            "blockReason": "PROHIBITED_CONTENT",
            "safetyRatings": [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true}],
        });
        fields.insert("promptFeedback".to_owned(), feedback);
    }
    reply
}

/// A plain reply.
pub(crate) fn content(ask: &Ask, making: &mut Making<'_>) -> Value {
    if is_blocked(making.composed) {
        return blocked(ask, making);
    }
    let parts = parts(ask, making);
    let word = word(making);
    let beside = details::beside(ask, making.composed, &making.composed.text, true);
    let candidates: Vec<Value> =
        (0..ask.choices).map(|index| candidate(index, &parts, Some(word), &beside)).collect();
    let usage = making.usage(usage(ask, making.composed, &making.composed.counts));
    let id = making.ids.next("", 22);
    envelope(json!(candidates), usage, &ask.model, &id)
}

fn candidate(index: usize, parts: &[Value], finish: Option<&str>, beside: &[(&'static str, Value)]) -> Value {
    let mut candidate = Map::new();
    candidate.insert("content".to_owned(), json!({"parts": parts, "role": "model"}));
    if let Some(finish) = finish {
        candidate.insert("finishReason".to_owned(), json!(finish));
    }
    candidate.insert("index".to_owned(), json!(index));
    candidate.extend(beside.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(candidate)
}

fn envelope(candidates: Value, usage: Option<Value>, model: &str, id: &str) -> Value {
    let mut reply = Map::new();
    reply.insert("candidates".to_owned(), candidates);
    if let Some(usage) = usage {
        reply.insert("usageMetadata".to_owned(), usage);
    }
    reply.insert("modelVersion".to_owned(), json!(model));
    reply.insert("responseId".to_owned(), json!(id));
    Value::Object(reply)
}

/// A stream, as values; [`framed`] writes them.
pub(crate) fn chunks(ask: &Ask, making: &mut Making<'_>) -> Vec<(Role, Value)> {
    if is_blocked(making.composed) {
        return vec![(Role::Closing, blocked(ask, making))];
    }
    let id = making.ids.next("", 22);
    let total = making.composed.counts;
    let mut steps: Vec<Value> = Vec::new();
    for part in parts(ask, making) {
        let Some(whole) = part.get("text").and_then(Value::as_str) else {
            steps.push(part);
            continue;
        };
        for (index, piece) in pieces(whole).into_iter().enumerate() {
            let mut step = json!({"text": piece});
            let signature = part.get("thoughtSignature").filter(|_| index == 0);
            for (key, value) in [("thought", part.get("thought")), ("thoughtSignature", signature)] {
                if let (Some(fields), Some(value)) = (step.as_object_mut(), value) {
                    fields.insert(key.to_owned(), value.clone());
                }
            }
            steps.push(step);
        }
    }
    if steps.is_empty() {
        steps.push(json!({"text": ""}));
    }
    let last = steps.len() - 1;
    let chunk = |(at, step): (usize, &Value)| {
        let ends = at == last;
        // What has come out so far; the last chunk has the whole.
        let so_far = (at as u64 + 1).min(total.completion);
        let counts = Counts { completion: so_far, reasoning: so_far.min(total.reasoning), ..total };
        let usage = making.usage(usage(ask, making.composed, if ends { &total } else { &counts }));
        let finish = ends.then(|| word(making));
        let said = step.get("text").and_then(Value::as_str).filter(|_| step.get("thought").is_none());
        let beside = details::beside(ask, making.composed, said.unwrap_or_default(), ends);
        let candidates: Vec<Value> = (0..ask.choices)
            .map(|index| candidate(index, std::slice::from_ref(step), finish, &beside))
            .collect();
        (Role::Content, envelope(json!(candidates), usage, &ask.model, &id))
    };
    steps.iter().enumerate().map(chunk).collect()
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `alt=sse`
    Events,
    /// Without it: one JSON array, item by item.
    Array,
}

/// Writes a stream.
pub(crate) fn framed(chunks: &[(Role, Value)], framing: Framing) -> Vec<Event> {
    let mut events: Vec<Event> = chunks
        .iter()
        .enumerate()
        .map(|(index, (role, chunk))| {
            let text = match framing {
                // Google ends lines with CR LF.
                Framing::Events => format!("data: {chunk}\r\n\r\n"),
                Framing::Array if index == 0 => format!("[{chunk}"),
                Framing::Array => format!("\n,\r\n{chunk}"),
            };
            Event { bytes: text.into(), role: *role }
        })
        .collect();
    if framing == Framing::Array {
        events.push(Event { bytes: "\n]".into(), role: Role::End });
    }
    events
}

/// The error event of a stream that fails after it began.
pub(crate) fn error_event(body: &Value, framing: Framing) -> Event {
    let text = match framing {
        Framing::Events => format!("data: {body}\r\n\r\n"),
        Framing::Array => format!("\n,\r\n{body}\n]"),
    };
    Event { bytes: text.into(), role: Role::Closing }
}

/// A stream's chunk without the reason to stop, as a stream ends that is cut.
pub(crate) fn without_finish(mut chunk: Value) -> Value {
    for candidate in chunk.get_mut("candidates").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = candidate.as_object_mut() {
            fields.shift_remove("finishReason");
        }
    }
    chunk
}

/// The reply to a request to count tokens.
pub(crate) fn token_count(tokens: u64) -> Value {
    json!({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})
}

/// The dimensions of Google's embedding models (embeddings guide); few for others, to keep replies small.
fn embedding_of(request: &Value, model: &str) -> (Value, u64) {
    let words: String = get(request, "content")
        .map(|content| super::items(content, "parts").iter().map(|part| text(part, "text")).collect())
        .unwrap_or_default();
    let asked =
        get(request, "outputDimensionality").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let usual = if model.contains("embedding-0") { 3_072 } else { 64 };
    (json!({"values": vector(&words, asked.unwrap_or(usual))}), tokens_of(&words))
}

/// One embedding.
pub(crate) fn embedding(request: &Value, model: &str) -> Value {
    let (embedding, tokens) = embedding_of(request, model);
    json!({"embedding": embedding, "usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}})
}

/// Several embeddings.
pub(crate) fn embeddings(body: &Value, model: &str) -> Value {
    let made: Vec<(Value, u64)> =
        super::items(body, "requests").iter().map(|request| embedding_of(request, model)).collect();
    let tokens: u64 = made.iter().map(|(_, tokens)| tokens).sum();
    let embeddings: Vec<Value> = made.into_iter().map(|(embedding, _)| embedding).collect();
    json!({"embeddings": embeddings, "usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}})
}

/// The list of models.
pub(crate) fn models(models: &[String]) -> Value {
    json!({"models": models.iter().map(|model| one_model(model)).collect::<Vec<_>>()})
}

/// One model.
pub(crate) fn one_model(model: &str) -> Value {
    json!({
        "name": format!("models/{model}"),
        "version": "001",
        "displayName": model,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Tool;
    use crate::behaviour::{Answer, Behaviour, TokenCounts};
    use crate::compose::{Ids, compose};
    use crate::extras::Extras;

    fn asked() -> Ask {
        let schema = json!({"type": "OBJECT", "properties": {"q": {"type": "STRING"}}});
        Ask {
            last_user: "hi".to_owned(),
            parallel: true,
            choices: 1,
            tools: vec![Tool { name: "f".to_owned(), schema }],
            model: "g".to_owned(),
            ..Ask::default()
        }
    }

    fn made(behaviour: &Behaviour) -> (Value, Vec<Value>) {
        made_of(&asked(), behaviour)
    }

    fn made_of(ask: &Ask, behaviour: &Behaviour) -> (Value, Vec<Value>) {
        let composed = compose(ask, behaviour);
        let mut ids = Ids::new(1);
        let mut making = Making { composed: &composed, ids: &mut ids, created: 0, usage_fault: None };
        let plain = content(ask, &mut making);
        (plain, chunks(ask, &mut making).into_iter().map(|(_, chunk)| chunk).collect())
    }

    fn joined(chunks: &[Value], thought: bool) -> String {
        let parts = chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]);
        parts
            .filter(|part| (part["thought"] == true) == thought)
            .filter_map(|part| part["text"].as_str())
            .collect()
    }

    #[test]
    fn a_stream_put_together_is_the_plain_reply() {
        let (plain, chunks) = made(&Behaviour::new().reasoning("because"));
        let parts = &plain["candidates"][0]["content"]["parts"];
        assert_eq!((parts[0]["text"].as_str(), parts[0]["thought"].as_bool()), (Some("because"), Some(true)));
        assert!(parts[1]["thoughtSignature"].is_string());
        assert_eq!(joined(&chunks, false), parts[1]["text"].as_str().unwrap());
        assert_eq!(joined(&chunks, true), "because");
        let last = chunks.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert_eq!(last["usageMetadata"], plain["usageMetadata"]);
        assert!(
            chunks[..chunks.len() - 1]
                .iter()
                .all(|chunk| chunk["candidates"][0].get("finishReason").is_none())
        );
    }

    #[test]
    fn calls_come_whole_and_have_no_id() {
        let (plain, chunks) = made(&Behaviour::new().answer(Answer::CallTools(2)));
        assert_eq!(chunks.len(), 2);
        let call = &chunks[1]["candidates"][0]["content"]["parts"][0];
        assert_eq!(*call, json!({"functionCall": {"name": "f", "args": {"q": "hi"}}}));
        assert_eq!(plain["candidates"][0]["finishReason"], "STOP");
    }

    #[test]
    fn thoughts_are_counted_apart() {
        let tokens = TokenCounts {
            completion: Some(10),
            reasoning: Some(4),
            prompt: Some(5),
            cached: Some(2),
            ..TokenCounts::default()
        };
        let (plain, _) = made(&Behaviour::new().tokens(tokens));
        let usage = &plain["usageMetadata"];
        assert_eq!((&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]), (&json!(6), &json!(4)));
        assert_eq!((&usage["totalTokenCount"], &usage["cachedContentTokenCount"]), (&json!(15), &json!(2)));
    }

    #[test]
    fn without_alt_sse_a_stream_is_one_json_array() {
        let chunks = [(Role::Content, json!({"a": 1})), (Role::Content, json!({"a": 2}))];
        let text = |framing| -> String {
            let events = framed(&chunks, framing);
            events.iter().map(|event| String::from_utf8(event.bytes.to_vec()).unwrap()).collect()
        };
        assert_eq!(
            serde_json::from_str::<Value>(&text(Framing::Array)).unwrap(),
            json!([{"a": 1}, {"a": 2}])
        );
        assert_eq!(text(Framing::Events), "data: {\"a\":1}\r\n\r\ndata: {\"a\":2}\r\n\r\n");
    }

    #[test]
    fn images_sources_and_probabilities_come_on_demand() {
        let ask = Ask { searches: true, logprobs: Some(2), ..asked() };
        let extras = Extras { image: true, tool_prompt: Some(7), ..Extras::default() };
        let behaviour = Behaviour { hosted_tools: true, ..Behaviour::new().extras(extras) };
        let (plain, chunks) = made_of(&ask, &behaviour);
        let candidate = &plain["candidates"][0];
        assert_eq!(candidate["content"]["parts"][1]["inlineData"]["mimeType"], "image/png");
        assert_eq!(candidate["groundingMetadata"]["groundingChunks"][0]["web"]["title"], "Page 1");
        assert!(
            candidate["logprobsResult"]["chosenCandidates"].is_array()
                && candidate["avgLogprobs"].is_number()
        );
        assert_eq!(plain["usageMetadata"]["toolUsePromptTokenCount"], 7);
        let last = &chunks.last().unwrap()["candidates"][0];
        assert!(
            last["groundingMetadata"].is_object()
                && chunks[0]["candidates"][0].get("groundingMetadata").is_none()
        );
        assert_eq!(chunks[0]["candidates"][0]["logprobsResult"]["chosenCandidates"][0]["token"], "Hell");
    }

    #[test]
    fn any_reason_to_stop_comes_on_demand_and_a_refused_prompt_has_no_candidate() {
        let stop = |word: &str| {
            let extras = Extras { stop_word: Some(word.to_owned()), ..Extras::default() };
            made(&Behaviour::new().extras(extras))
        };
        let (plain, chunks) = stop("RECITATION");
        assert_eq!(plain["candidates"][0]["finishReason"], "RECITATION");
        assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], "RECITATION");
        let (plain, chunks) = stop(BLOCKED);
        assert_eq!(plain["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
        assert!(plain.get("candidates").is_none());
        assert_eq!(chunks.len(), 1);
    }

    #[test]
    fn gemini_3_signs_its_first_call() {
        let ask = Ask { model: "gemini-3-pro-preview".to_owned(), ..asked() };
        let (plain, _) = made_of(&ask, &Behaviour::new().answer(Answer::CallTools(2)));
        let parts = plain["candidates"][0]["content"]["parts"].as_array().unwrap();
        let signed: Vec<bool> = parts.iter().map(|part| part.get("thoughtSignature").is_some()).collect();
        assert_eq!(signed, [true, false]);
    }
}
