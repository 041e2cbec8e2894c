//! Reads the chunks of OpenAI and of those who imitate it as events.
//!
//! Owns the providers' liberties: calls without a number or with one number for all, reasoning under three names,
//! usage in odd places, errors in the place of a chunk, no `[DONE]`.
//! **Invariant:** the events keep the promises of [`StreamEvent`]: one start, first; calls numbered from 0 without gaps.

use crate::conversation::{Issuer, Part, Signature, StreamEvent};
use crate::openai::reply::{
    Said, read_annotations, read_content, read_detail, read_image, read_reasoning, stop_reason,
    stop_sequence, stop_with,
};
use crate::openai::{error, usage::read_usage};
use crate::sse::Frame;
use crate::wire::{EventDecoder, ReplyFault};
use serde_json::{Map, Value};

/// Most answers in one stream: OpenAI's limit for `n`.
const ANSWERS_MAX: u64 = 128;

/// Most tool calls in one answer: OpenAI's limit for `tools` (128), with room for one tool called several times.
const CALLS_MAX: usize = 1_024;

/// Reads one provider's chunks.
#[derive(Debug, Default)]
pub struct ChunkDecoder {
    has_started: bool,
    end_mark_was_read: bool,
    answers: Vec<Answer>,
    service_tier: Option<String>,
}

/// One answer while it streams.
#[derive(Debug, Default)]
struct Answer {
    has_spoken: bool,
    is_finished: bool,
    calls: Vec<Call>,
    /// Readable reasoning has come since the last signature.
    thinks_aloud: bool,
}

/// A tool call that has begun; its place in the list is its number.
#[derive(Debug)]
struct Call {
    provider_index: Option<u64>,
    id: String,
}

impl ChunkDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    fn answer(&mut self, choice: u64) -> Result<&mut Answer, ReplyFault> {
        let fault = ReplyFault::Malformed("a chunk numbers its choice beyond every limit");
        if choice >= ANSWERS_MAX {
            return Err(fault);
        }
        let position = usize::try_from(choice).map_err(|_| fault.clone())?;
        if self.answers.len() <= position {
            self.answers.resize_with(position + 1, Answer::default);
        }
        self.answers.get_mut(position).ok_or(fault)
    }

    fn start(&mut self, chunk: &Map<String, Value>, out: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let text = |name: &str| chunk.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        out.push(StreamEvent::Start { id: text("id"), model: text("model") });
    }

    /// Every chunk repeats the tier.
    fn read_service_tier(&mut self, chunk: &Map<String, Value>, out: &mut Vec<StreamEvent>) {
        let tier = chunk.get("service_tier").and_then(Value::as_str);
        if let Some(tier) = tier.filter(|tier| self.service_tier.as_deref() != Some(tier)) {
            self.service_tier = Some(tier.to_owned());
            out.push(StreamEvent::ServiceTier(tier.to_owned()));
        }
    }

    fn read_choice(&mut self, choice: Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let Value::Object(mut members) = choice else {
            return Err(ReplyFault::Malformed("a choice of a chunk is not an object"));
        };
        let choice = members.get("index").and_then(Value::as_u64).unwrap_or(0);
        let answer = self.answer(choice)?;
        answer.has_spoken = true;
        if let Some(Value::Object(delta)) = members.remove("delta") {
            answer.read_delta(choice, delta, out)?;
        }
        if let Some(logprobs) = members.remove("logprobs").filter(|logprobs| !logprobs.is_null()) {
            out.push(StreamEvent::Logprobs { choice, logprobs });
        }
        let reason = members.get("finish_reason").and_then(Value::as_str).filter(|word| !word.is_empty());
        if let Some(word) = reason
            && !std::mem::replace(&mut answer.is_finished, true)
        {
            let stop_sequence = stop_sequence(&members);
            let stop = stop_with(stop_reason(word), stop_sequence.as_deref());
            out.push(StreamEvent::Finish { choice, stop, stop_sequence });
        }
        Ok(())
    }
}

impl EventDecoder for ChunkDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let data = frame.data.trim_ascii();
        if self.end_mark_was_read || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.end_mark_was_read = true;
            return Ok(());
        }
        let Ok(Value::Object(mut chunk)) = serde_json::from_slice(data) else {
            return Err(ReplyFault::Malformed("a chunk is not a JSON object"));
        };
        let choices = chunk.remove("choices");
        let chunk_is_error = frame.event == Some("error");
        if chunk_is_error || !matches!(choices, Some(Value::Array(_))) {
            let value = Value::Object(chunk.clone());
            if let Some(error) = error::in_place_of_answer(&value) {
                return Err(ReplyFault::Error(error));
            }
            if chunk_is_error {
                return Err(ReplyFault::Error(error::decode_error(200, data)));
            }
        }
        // Groq's name for usage in a stream stands beside OpenAI's.
        let usage = chunk.get("usage").and_then(read_usage);
        let usage = usage.or_else(|| read_usage(chunk.get("x_groq")?.get("usage")?));
        let choices = if let Some(Value::Array(choices)) = choices { choices } else { Vec::new() };
        // Azure's first chunk has neither id nor choices, only the verdict on the prompt.
        let has_id = chunk.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
        if has_id || !choices.is_empty() || usage.is_some() {
            self.start(&chunk, out);
        }
        if self.has_started {
            self.read_service_tier(&chunk, out);
        }
        for choice in choices {
            self.read_choice(choice, out)?;
        }
        out.extend(usage.map(StreamEvent::Usage));
        Ok(())
    }

    /// `[DONE]` was read, or every answer that began has its finish reason (some providers end there).
    fn is_complete(&self) -> bool {
        let mut spoken = self.answers.iter().filter(|answer| answer.has_spoken).peekable();
        self.end_mark_was_read || (spoken.peek().is_some() && spoken.all(|answer| answer.is_finished))
    }
}

impl Answer {
    fn read_delta(
        &mut self,
        choice: u64,
        mut delta: Map<String, Value>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), ReplyFault> {
        if let Some(thought) = read_reasoning(&mut delta) {
            self.think(choice, thought, out);
        }
        if let Some(Value::Array(blocks)) = delta.remove("thinking_blocks") {
            blocks.iter().for_each(|block| self.read_block(choice, block, out));
        } else if let Some(Value::Array(details)) = delta.remove("reasoning_details") {
            details.iter().for_each(|detail| self.read_detail(choice, detail, out));
        }
        for said in delta.remove("content").map(read_content).unwrap_or_default() {
            match said {
                Said::Text(delta) => out.push(StreamEvent::Text { choice, delta }),
                Said::Thought(thought) => self.think(choice, thought, out),
            }
        }
        if let Some(Value::String(delta)) = delta.remove("refusal")
            && !delta.is_empty()
        {
            out.push(StreamEvent::Refusal { choice, delta });
        }
        self.read_media(choice, &delta, out);
        if let Some(Value::Object(function)) = delta.remove("function_call") {
            let mut call = Map::new();
            call.insert("index".to_owned(), Value::from(0));
            call.insert("function".to_owned(), Value::Object(function));
            self.read_call(choice, &call, out)?;
        }
        if let Some(Value::Array(calls)) = delta.remove("tool_calls") {
            for call in &calls {
                let call = call.as_object().ok_or(ReplyFault::Malformed("a tool call is not an object"))?;
                self.read_call(choice, call, out)?;
            }
        }
        Ok(())
    }

    /// Sources of the text, what is said aloud, pictures (LiteLLM's and OpenRouter's `images`).
    fn read_media(&self, choice: u64, delta: &Map<String, Value>, out: &mut Vec<StreamEvent>) {
        let citations = delta.get("annotations").map(read_annotations).unwrap_or_default().into_iter();
        out.extend(citations.map(|citation| StreamEvent::Citation { choice, citation: Box::new(citation) }));
        if let Some(audio) = delta.get("audio").and_then(Value::as_object) {
            let text = |name: &str| audio.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (id, data, transcript) = (text("id"), text("data"), text("transcript"));
            // The last piece says how long the sound is kept and nothing else.
            if !(id.is_empty() && data.is_empty() && transcript.is_empty()) {
                out.push(StreamEvent::Audio { choice, id, data, transcript });
            }
        }
        let images = delta.get("images").and_then(Value::as_array).into_iter().flatten();
        out.extend(images.filter_map(read_image).map(|source| StreamEvent::Image { choice, source }));
    }

    /// OpenRouter's details repeat the text that came as `reasoning`.
    fn read_detail(&mut self, choice: u64, detail: &Value, out: &mut Vec<StreamEvent>) {
        match read_detail(detail) {
            Some(Part::RedactedReasoning { data }) => {
                out.push(StreamEvent::RedactedReasoning { choice, data });
            }
            Some(Part::Reasoning { text, signature }) => {
                if !self.thinks_aloud {
                    self.think(choice, text, out);
                }
                if let Some(signature) = signature {
                    self.thinks_aloud = false;
                    out.push(StreamEvent::ReasoningSignature { choice, signature });
                }
            }
            _ => {}
        }
    }

    fn think(&mut self, choice: u64, delta: String, out: &mut Vec<StreamEvent>) {
        if !delta.is_empty() {
            self.thinks_aloud = true;
            out.push(StreamEvent::Reasoning { choice, delta });
        }
    }

    /// A block repeats the text that came as `reasoning_content`; only where none came is its text news.
    fn read_block(&mut self, choice: u64, block: &Value, out: &mut Vec<StreamEvent>) {
        let text = |name: &str| {
            block.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        if let Some(data) = text("data") {
            let data = Signature::read(&data, Issuer::Anthropic);
            out.push(StreamEvent::RedactedReasoning { choice, data });
            return;
        }
        if let Some(delta) = text("thinking").filter(|_| !self.thinks_aloud) {
            self.think(choice, delta, out);
        }
        if let Some(signature) = text("signature") {
            self.thinks_aloud = false;
            let signature = Signature::read(&signature, Issuer::Anthropic);
            out.push(StreamEvent::ReasoningSignature { choice, signature });
        }
    }

    fn read_call(
        &mut self,
        choice: u64,
        call: &Map<String, Value>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), ReplyFault> {
        let text = |object: Option<&Value>, name: &str| {
            object.and_then(|object| object.get(name)?.as_str()).unwrap_or_default().to_owned()
        };
        let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
        // A custom tool's call is the same in other words.
        let is_custom = call.get("custom").is_some_and(Value::is_object);
        let (called, said) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        let name = text(call.get(called), "name");
        let provider_index = call.get("index").and_then(Value::as_u64);
        let index = match self.position(provider_index, id, &name) {
            Some(position) => position as u64,
            None if self.calls.len() >= CALLS_MAX => {
                return Err(ReplyFault::Malformed("an answer calls more tools than any limit allows"));
            }
            None if name.is_empty() => {
                return Err(ReplyFault::Malformed("a tool call names no function"));
            }
            None => {
                let index = self.calls.len() as u64;
                self.calls.push(Call { provider_index, id: id.to_owned() });
                let signature = text(call.get("provider_specific_fields"), "thought_signature");
                let signature = Some(signature)
                    .filter(|signature| !signature.is_empty())
                    .map(|signature| Signature::read(&signature, Issuer::Google));
                out.push(StreamEvent::ToolCallStart {
                    choice,
                    index,
                    id: id.to_owned(),
                    name,
                    is_custom,
                    signature,
                });
                index
            }
        };
        let delta = match call.get(called).and_then(|called| called.get(said)) {
            Some(Value::String(delta)) => delta.clone(),
            // Some servers give whole arguments as an object; its text is what the model meant.
            Some(value @ Value::Object(_)) => value.to_string(),
            _ => String::new(),
        };
        if !delta.is_empty() {
            out.push(StreamEvent::ToolCallArguments { choice, index, delta });
        }
        Ok(())
    }

    /// Which call a piece belongs to; `None` when it begins a new one.
    ///
    /// OpenAI numbers its calls. Some providers leave the number out, and Gemini's compatible surface gives every
    /// call the number 0: there a new id with a name begins a new call.
    fn position(&self, provider_index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let position = match provider_index {
            Some(index) => self.calls.iter().rposition(|call| call.provider_index == Some(index)),
            None if id.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().rposition(|call| call.id == id),
        }?;
        let is_another =
            !id.is_empty() && !name.is_empty() && self.calls.get(position).is_some_and(|call| call.id != id);
        (!is_another).then_some(position)
    }
}
