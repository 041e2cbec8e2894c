//! Callers of one dialect before providers of another: their requests, and the answers of the stand-in.
//!
//! A plain proxy cannot stand there, so nginx carries the provider's own dialect from a caller who speaks it: the
//! ratio is what the translation of request, answer and every event costs on top of carrying the same answer.
//!
//! **Invariant**: the answer of a wire says the same words in the same number of events, whoever asked for it.

use super::upstream::chunk;

/// Text events of a streamed answer: enough that their cost, not the request's, is what is seen.
pub(crate) const EVENTS: usize = 100;
/// The stand-in's model of this length in OpenAI's chat.
const CHAT_STREAM: &str = "pace-0-100";
const PROMPT: &str = "Answer in a hundred words, please.";

/// A dialect as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses; callers only.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Google's Gemini.
    Gemini,
}

/// A caller's wire before a provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// What the caller speaks.
    pub(crate) caller: Wire,
    /// What the provider speaks.
    pub(crate) provider: Wire,
}

/// The pairs that are measured: the ones that the agents and client libraries make.
pub(crate) const PAIRS: &[Pair] = &[
    Pair { caller: Wire::Chat, provider: Wire::Messages },
    Pair { caller: Wire::Chat, provider: Wire::Gemini },
    Pair { caller: Wire::Messages, provider: Wire::Chat },
    Pair { caller: Wire::Messages, provider: Wire::Gemini },
    Pair { caller: Wire::Responses, provider: Wire::Messages },
    Pair { caller: Wire::Gemini, provider: Wire::Chat },
];

impl Pair {
    /// The words for tables.
    pub(crate) fn title(self) -> String {
        format!("{} to {}", self.caller.name(), self.provider.name())
    }

    /// The model group of the gateway that has this provider.
    pub(crate) fn group(self) -> &'static str {
        self.provider.group()
    }
}

impl Wire {
    /// The name for tables.
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "OpenAI chat",
            Self::Responses => "Responses",
            Self::Messages => "Anthropic",
            Self::Gemini => "Gemini",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "crossed-chat",
            Self::Messages => "crossed-messages",
            Self::Gemini => "crossed-gemini",
        }
    }

    /// Path and body of a request for a model.
    pub(crate) fn request(self, model: &str, stream: bool) -> (String, String) {
        let streams = if stream { ",\"stream\":true" } else { "" };
        let turn = format!("{{\"role\":\"user\",\"content\":\"{PROMPT}\"}}");
        match self {
            Self::Chat => (
                "/v1/chat/completions".to_owned(),
                format!("{{\"model\":\"{model}\"{streams},\"max_tokens\":200,\"messages\":[{turn}]}}"),
            ),
            Self::Responses => (
                "/v1/responses".to_owned(),
                format!(
                    "{{\"model\":\"{model}\"{streams},\"max_output_tokens\":200,\"store\":false,\"input\":[{turn}]}}"
                ),
            ),
            Self::Messages => (
                "/v1/messages".to_owned(),
                format!("{{\"model\":\"{model}\"{streams},\"max_tokens\":200,\"messages\":[{turn}]}}"),
            ),
            Self::Gemini => {
                let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let body = format!(
                    "{{\"contents\":[{{\"role\":\"user\",\"parts\":[{{\"text\":\"{PROMPT}\"}}]}}],\
                     \"generationConfig\":{{\"maxOutputTokens\":200}}}}"
                );
                (format!("/v1beta/models/{model}:{method}"), body)
            }
        }
    }

    /// The model that a caller without a gateway names to the stand-in.
    pub(crate) fn own_model(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => CHAT_STREAM,
            Self::Messages => "claude-bench",
            Self::Gemini => "gemini-bench",
        }
    }

    /// The wire of a request to the stand-in, and whether it wants a stream; none for OpenAI's.
    pub(crate) fn of_request(request: &[u8], streams: bool) -> Option<(Self, bool)> {
        let line = request.get(..memchr::memchr(b'\r', request)?)?;
        let has = |part: &[u8]| memchr::memmem::find(line, part).is_some();
        if has(b"/v1/messages") {
            Some((Self::Messages, streams))
        } else if has(b":streamGenerateContent") {
            Some((Self::Gemini, true))
        } else if has(b":generateContent") {
            Some((Self::Gemini, false))
        } else {
            None
        }
    }

    /// The stand-in's answer as the writes that it is sent in; OpenAI's is the stand-in's own.
    pub(crate) fn answer(self, stream: bool) -> Vec<Vec<u8>> {
        match (self, stream) {
            (Self::Messages, false) => vec![whole(&message(&"word ".repeat(EVENTS)))],
            (Self::Gemini, false) => vec![whole(&candidate(&"word ".repeat(EVENTS), true))],
            (Self::Messages, true) => streamed(message_events()),
            (Self::Gemini, true) => streamed(
                (1..=EVENTS).map(|number| format!("data: {}\r\n\r\n", candidate(" word", number == EVENTS))),
            ),
            (Self::Chat | Self::Responses, _) => Vec::new(),
        }
    }
}

/// The groups of the gateway for these pairs, in LiteLLM's configuration format.
pub(crate) fn gateway_groups(upstream_port: u16) -> String {
    let base = format!("http://127.0.0.1:{upstream_port}");
    let row = |wire: Wire, model: &str, base: &str| {
        format!(
            "  - model_name: \"{}\"\n    litellm_params:\n      model: \"{model}\"\n      api_base: \"{base}\"\n      \
             api_key: \"sk-upstream\"\n      input_cost_per_token: 0.0000025\n      output_cost_per_token: 0.00001\n",
            wire.group()
        )
    };
    [
        row(Wire::Chat, &format!("openai/{CHAT_STREAM}"), &format!("{base}/v1")),
        row(Wire::Messages, "anthropic/claude-bench", &base),
        row(Wire::Gemini, "gemini/gemini-bench", &base),
    ]
    .concat()
}

fn message(text: &str) -> String {
    format!(
        "{{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-bench\",\
         \"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\
         \"usage\":{{\"input_tokens\":9,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\
         \"output_tokens\":{EVENTS},\"service_tier\":\"standard\"}}}}"
    )
}

fn candidate(text: &str, last: bool) -> String {
    let reason = if last { ",\"finishReason\":\"STOP\"" } else { "" };
    format!(
        "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}],\"role\":\"model\"}}{reason},\
         \"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":9,\"candidatesTokenCount\":{EVENTS},\
         \"totalTokenCount\":109}},\"modelVersion\":\"gemini-bench\",\"responseId\":\"bench\"}}"
    )
}

fn message_events() -> impl Iterator<Item = String> {
    let event = |name: &str, data: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{data}}}\n\n");
    let start = "\"message\":{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\
                 \"model\":\"claude-bench\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\
                 \"usage\":{\"input_tokens\":9,\"output_tokens\":1}}";
    let open = "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}";
    let word = "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}";
    let end = format!(
        "\"delta\":{{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{EVENTS}}}"
    );
    [event("message_start", start), event("content_block_start", open)]
        .into_iter()
        .chain((0..EVENTS).map(move |_| event("content_block_delta", word)))
        .chain([
            event("content_block_stop", "\"index\":0"),
            event("message_delta", &end),
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
        ])
}

fn whole(body: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + body).into_bytes()
}

/// Every event a chunk and a write of its own; the head goes with the first.
fn streamed(events: impl Iterator<Item = String>) -> Vec<Vec<u8>> {
    let mut head = Some(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_bench\r\n\
          transfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    );
    let mut writes: Vec<Vec<u8>> = events
        .map(|event| {
            let mut out = head.take().unwrap_or_default();
            chunk(&mut out, &event);
            out
        })
        .collect();
    writes.push(b"0\r\n\r\n".to_vec());
    writes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_json_and_name_their_model() {
        for wire in [Wire::Chat, Wire::Responses, Wire::Messages, Wire::Gemini] {
            for stream in [false, true] {
                let (path, body) = wire.request("some-model", stream);
                let body: serde_json::Value = serde_json::from_str(&body).unwrap();
                let named = body["model"] == "some-model" || path.contains("/some-model:");
                let streams = body["stream"] == true || path.contains(":stream");
                assert!(named && streams == stream, "{wire:?}: {path} {body}");
            }
        }
    }

    #[test]
    fn the_stand_in_knows_a_wire_by_its_path() {
        for wire in [Wire::Messages, Wire::Gemini] {
            for stream in [false, true] {
                let (path, _) = wire.request("m", stream);
                let head = format!("POST {path} HTTP/1.1\r\n");
                assert_eq!(Wire::of_request(head.as_bytes(), stream), Some((wire, stream)), "{head}");
            }
        }
        assert_eq!(Wire::of_request(b"POST /v1/chat/completions HTTP/1.1\r\n", true), None);
    }

    #[test]
    fn answers_are_json_with_every_word() {
        for wire in [Wire::Messages, Wire::Gemini] {
            let text = String::from_utf8(wire.answer(false).concat()).unwrap();
            let body = text.split("\r\n\r\n").nth(1).unwrap();
            serde_json::from_str::<serde_json::Value>(body).unwrap();
            assert_eq!(body.matches("word").count(), EVENTS);
            let stream = String::from_utf8(wire.answer(true).concat()).unwrap();
            assert_eq!(stream.matches(" word").count(), EVENTS);
            for line in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
