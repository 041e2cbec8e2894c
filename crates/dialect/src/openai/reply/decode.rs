//! Reads whole answers of OpenAI and of those who imitate it.
//!
//! **Invariant:** the parts of an answer are in one order: reasoning, text, refusal, sound, pictures, tool calls; the
//! form itself keeps no other.

use super::{stop_reason, stop_sequence, stop_with};
use crate::conversation::{ChatReply, Choice, Citation, Issuer, MediaSource, Part, Signature};
use crate::openai::{error, usage::read_usage};
use crate::wire::ReplyFault;
use serde_json::{Map, Value};

/// Reads a `chat.completion` body that came with a status of success.
///
/// # Errors
/// [`ReplyFault::Error`] when the body is an error in the place of an answer; [`ReplyFault::Malformed`] when it is no
/// answer at all.
pub fn decode_reply(body: &[u8]) -> Result<ChatReply, ReplyFault> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else {
        return Err(ReplyFault::Malformed("the body is not a JSON object"));
    };
    let Some(Value::Array(choices)) = members.remove("choices") else {
        return Err(error::in_place_of_answer(&Value::Object(members))
            .map_or(ReplyFault::Malformed("there are no choices"), ReplyFault::Error));
    };
    if choices.is_empty() {
        return Err(ReplyFault::Malformed("the list of choices is empty"));
    }
    let choices = choices.into_iter().enumerate();
    Ok(ChatReply {
        id: text(&mut members, "id").unwrap_or_default(),
        model: text(&mut members, "model").unwrap_or_default(),
        created: members.get("created").and_then(Value::as_u64),
        choices: choices.map(|(position, choice)| read_choice(position, choice)).collect::<Result<_, _>>()?,
        usage: members.get("usage").and_then(read_usage).unwrap_or_default(),
        system_fingerprint: text(&mut members, "system_fingerprint"),
        service_tier: text(&mut members, "service_tier"),
    })
}

/// Takes a string member out; anything else there counts as nothing, since nothing depends on it.
fn text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn filled_text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    text(members, name).filter(|text| !text.is_empty())
}

fn read_choice(position: usize, value: Value) -> Result<Choice, ReplyFault> {
    let Value::Object(mut choice) = value else {
        return Err(ReplyFault::Malformed("a choice is not an object"));
    };
    let Some(Value::Object(message)) = choice.remove("message") else {
        return Err(ReplyFault::Malformed("a choice has no message"));
    };
    let stop_sequence = stop_sequence(&choice);
    let stop = filled_text(&mut choice, "finish_reason").map(|word| stop_reason(&word));
    Ok(Choice {
        stop: stop.map(|stop| stop_with(stop, stop_sequence.as_deref())),
        stop_sequence,
        index: choice.get("index").and_then(Value::as_u64).unwrap_or(position as u64),
        parts: read_message(message)?,
        logprobs: choice.remove("logprobs").filter(|logprobs| !logprobs.is_null()),
    })
}

fn read_message(mut message: Map<String, Value>) -> Result<Vec<Part>, ReplyFault> {
    let mut parts = Vec::new();
    let readable = read_reasoning(&mut message);
    if let Some(Value::Array(blocks)) = message.remove("thinking_blocks") {
        parts.extend(blocks.into_iter().filter_map(read_block));
    }
    if parts.is_empty() {
        let details = message.get("reasoning_details").and_then(Value::as_array).into_iter().flatten();
        parts.extend(details.filter_map(read_detail));
    }
    let has_readable_block = parts.iter().any(|part| matches!(part, Part::Reasoning { .. }));
    if let Some(text) = readable.filter(|_| !has_readable_block) {
        parts.insert(0, Part::Reasoning { text, signature: None });
    }
    let mut citations = message.get("annotations").map(read_annotations).unwrap_or_default();
    for said in message.remove("content").map(read_content).unwrap_or_default() {
        parts.push(match said {
            Said::Text(text) => {
                Part::Text { text, cache_control: None, citations: std::mem::take(&mut citations) }
            }
            Said::Thought(text) => Part::Reasoning { text, signature: None },
        });
    }
    parts.extend(filled_text(&mut message, "refusal").map(Part::Refusal));
    parts.extend(message.get("audio").and_then(read_audio));
    if let Some(Value::Array(images)) = message.remove("images") {
        let pictures = images.iter().filter_map(read_image);
        parts.extend(pictures.map(|source| Part::Image { source, detail: None, cache_control: None }));
    }
    if let Some(Value::Object(mut call)) = message.remove("function_call") {
        parts.push(read_function("call_function_0".to_owned(), &mut call, None)?);
    }
    if let Some(Value::Array(calls)) = message.remove("tool_calls") {
        for call in calls {
            parts.push(read_tool_call(call)?);
        }
    }
    Ok(parts)
}

/// The readable reasoning under the names of the field: DeepSeek's and LiteLLM's `reasoning_content`, and the
/// `reasoning` of Groq, OpenRouter and newer vLLM.
pub(in crate::openai) fn read_reasoning(message: &mut Map<String, Value>) -> Option<String> {
    filled_text(message, "reasoning_content").or_else(|| filled_text(message, "reasoning"))
}

/// One thing that a content says.
pub(in crate::openai) enum Said {
    /// To the caller.
    Text(String),
    /// To itself.
    Thought(String),
}

/// Reads a reply's content: a string, or the list of typed pieces that Mistral's reasoning models give
/// (`{"type": "thinking", "thinking": [{"type": "text", "text"}]}` beside `{"type": "text", "text"}`).
pub(in crate::openai) fn read_content(content: Value) -> Vec<Said> {
    match content {
        Value::String(text) if !text.is_empty() => vec![Said::Text(text)],
        Value::Array(pieces) => pieces.into_iter().filter_map(read_piece).collect(),
        _ => Vec::new(),
    }
}

fn read_piece(piece: Value) -> Option<Said> {
    let Value::Object(mut piece) = piece else { return None };
    match piece.remove("thinking") {
        Some(Value::String(thought)) => Some(Said::Thought(thought)),
        Some(Value::Array(thoughts)) => {
            let texts = thoughts.iter().filter_map(|thought| thought.get("text")?.as_str());
            Some(Said::Thought(texts.collect()))
        }
        _ => filled_text(&mut piece, "text").map(Said::Text),
    }
}

fn read_block(block: Value) -> Option<Part> {
    let Value::Object(mut block) = block else { return None };
    match block.get("type")?.as_str()? {
        "thinking" => Some(Part::Reasoning {
            text: text(&mut block, "thinking")?,
            signature: filled_text(&mut block, "signature")
                .map(|text| Signature::read(&text, Issuer::Anthropic)),
        }),
        "redacted_thinking" => Some(Part::RedactedReasoning {
            data: Signature::read(&text(&mut block, "data")?, Issuer::Anthropic),
        }),
        _ => None,
    }
}

/// One entry of OpenRouter's `reasoning_details`: a text with its signature, a summary, or encrypted data.
pub(in crate::openai) fn read_detail(detail: &Value) -> Option<Part> {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match detail.get("type")?.as_str()? {
        "reasoning.encrypted" => {
            Some(Part::RedactedReasoning { data: Signature::read(text("data")?, Issuer::Anthropic) })
        }
        _ => {
            let signature = text("signature").map(|text| Signature::read(text, Issuer::Anthropic));
            let readable = text("text").or_else(|| text("summary")).unwrap_or_default();
            (!readable.is_empty() || signature.is_some())
                .then(|| Part::Reasoning { text: readable.to_owned(), signature })
        }
    }
}

/// The sources of an answer's text. OpenAI knows one kind; others are nobody's that is known here.
pub(in crate::openai) fn read_annotations(annotations: &Value) -> Vec<Citation> {
    let annotations = annotations.as_array().into_iter().flatten();
    annotations.filter_map(|annotation| read_citation(annotation.get("url_citation")?)).collect()
}

fn read_citation(source: &Value) -> Option<Citation> {
    let text = |name: &str| {
        source.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let place = |name: &str| source.get(name).and_then(Value::as_u64);
    Some(Citation {
        span: place("start_index").zip(place("end_index")),
        title: text("title"),
        url: Some(text("url")?),
        // OpenRouter adds the words of the source.
        quote: text("content"),
        ..Citation::default()
    })
}

/// What an answer says aloud. The reply does not say the sound's format, which is the one that was asked for; `wav` stands
/// for it.
pub(in crate::openai) fn read_audio(audio: &Value) -> Option<Part> {
    let text = |name: &str| audio.get(name).and_then(Value::as_str).map(str::to_owned);
    let source = MediaSource::Base64 { media_type: "audio/wav".to_owned(), data: text("data")? };
    Some(Part::Audio { source, format: "wav".to_owned(), transcript: text("transcript") })
}

pub(in crate::openai) fn read_image(image: &Value) -> Option<MediaSource> {
    let url = image.get("image_url")?.get("url")?.as_str()?;
    let embedded = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    Some(match embedded {
        Some((media_type, data)) => {
            MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => MediaSource::Url(url.to_owned()),
    })
}

fn read_tool_call(call: Value) -> Result<Part, ReplyFault> {
    let Value::Object(mut call) = call else {
        return Err(ReplyFault::Malformed("a tool call is not an object"));
    };
    let id = text(&mut call, "id").unwrap_or_default();
    if let Some(Value::Object(mut custom)) = call.remove("custom") {
        let name = filled_text(&mut custom, "name")
            .ok_or(ReplyFault::Malformed("a tool call names no custom tool"))?;
        let arguments = text(&mut custom, "input").unwrap_or_default();
        return Ok(Part::ToolCall {
            id,
            name,
            arguments,
            is_custom: true,
            signature: thought_signature(&call),
        });
    }
    let Some(Value::Object(mut function)) = call.remove("function") else {
        return Err(ReplyFault::Malformed("a tool call names no function"));
    };
    read_function(id, &mut function, thought_signature(&call))
}

fn thought_signature(call: &Map<String, Value>) -> Option<Signature> {
    let signature = call.get("provider_specific_fields")?.get("thought_signature")?.as_str()?;
    Some(Signature::read(signature, Issuer::Google))
}

fn read_function(
    id: String,
    function: &mut Map<String, Value>,
    signature: Option<Signature>,
) -> Result<Part, ReplyFault> {
    let name = filled_text(function, "name").ok_or(ReplyFault::Malformed("a tool call names no function"))?;
    let arguments = match function.remove("arguments") {
        Some(Value::String(arguments)) => arguments,
        // Some servers give the arguments as an object; its text is what the model meant.
        Some(value @ Value::Object(_)) => value.to_string(),
        _ => String::new(),
    };
    Ok(Part::ToolCall { id, name, arguments, is_custom: false, signature })
}
