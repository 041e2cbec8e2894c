//! What goes out in this dialect comes back the same: requests, answers and streams, whatever they say.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, ChatRequest, Choice, Effort, Issuer, MediaSource, Message, Native, Part, Reasoning,
    ResponseFormat, Role, Sampling, Signature, StopReason, StreamEvent, Tool, ToolChoice, Usage,
};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::gemini::{
    Host, StreamDecoder, StreamEncoder, decode_reply, decode_request, encode_chat_for, encode_reply,
};
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{Dialect, EncodeOptions, EventEncoder, Losses, Reading, ReplyFacts, Transducer};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{1,8}", "\\PC{1,6}"]
}

fn signature() -> impl Strategy<Value = Signature> {
    let issuer = prop_oneof![Just(Issuer::Google), Just(Issuer::Anthropic), Just(Issuer::OpenAi)];
    (issuer, "[A-Za-z0-9]{4}{1,3}").prop_map(|(issuer, text)| Signature::new(issuer, text))
}

fn arguments() -> impl Strategy<Value = String> {
    prop::collection::btree_map("[a-z]{1,4}", text(), 0..3).prop_map(|map| json!(map).to_string())
}

fn native() -> Part {
    let value = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
    Part::Native(Native { dialect: Dialect::Gemini, value })
}

fn bytes(media_type: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: "QUJD".to_owned() }
}

fn media() -> impl Strategy<Value = Part> {
    let file =
        |source| Part::File { source, filename: None, context: None, citations: false, cache_control: None };
    let image = |source| Part::Image { source, detail: None, cache_control: None };
    prop_oneof![
        Just(image(bytes("image/png"))),
        Just(image(MediaSource::Url("https://example.com/a.webp".to_owned()))),
        Just(file(bytes("application/pdf"))),
        Just(file(MediaSource::Url("https://example.com/watch?v=1".to_owned()))),
        text().prop_map(move |text| file(MediaSource::Text(text))),
        Just(Part::Audio { source: bytes("audio/mp3"), format: "mp3".to_owned(), transcript: None }),
    ]
}

/// One turn: the person's words, or the model's and the results of its calls.
#[derive(Debug, Clone)]
enum Turn {
    User(Vec<Part>),
    Model { parts: Vec<Part>, calls: Vec<(String, String, String, bool)> },
}

fn turn() -> impl Strategy<Value = Turn> {
    let said = prop_oneof![3 => text().prop_map(Part::text), 1 => media()];
    let spoken = prop_oneof![
        text().prop_map(Part::text),
        Just(native()),
        (text(), "[A-Za-z0-9]{4}").prop_map(|(text, own)| Part::Reasoning {
            text,
            signature: Some(Signature::new(Issuer::Google, own)),
        }),
    ];
    let call = ("[a-z]{1,5}", arguments(), text(), any::<bool>());
    prop_oneof![
        prop::collection::vec(said, 1..3).prop_map(Turn::User),
        (prop::collection::vec(spoken, 1..4), prop::collection::vec(call, 0..3))
            .prop_map(|(parts, calls)| Turn::Model { parts, calls }),
    ]
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

/// A conversation that this dialect can say: the person first, then in turns.
fn messages(turns: Vec<Turn>) -> Vec<Message> {
    let mut messages =
        vec![message(Role::System, vec![Part::text("s")]), message(Role::User, vec![Part::text("q")])];
    for (number, turn) in turns.into_iter().enumerate() {
        let is_users = messages.last().is_some_and(|last| last.role == Role::User);
        match turn {
            Turn::User(parts) if !is_users => messages.push(message(Role::User, parts)),
            Turn::Model { mut parts, calls } if is_users => {
                let mut results = Vec::new();
                for (place, (name, arguments, text, is_error)) in calls.into_iter().enumerate() {
                    let id = format!("call_{number}_{place}");
                    let content = vec![Part::text(format!("r {text}"))];
                    results.push(Part::ToolResult {
                        call_id: id.clone(),
                        content,
                        is_error,
                        cache_control: None,
                    });
                    parts.push(Part::ToolCall { id, name, arguments, is_custom: false, signature: None });
                }
                messages.push(message(Role::Assistant, parts));
                if !results.is_empty() {
                    messages.push(message(Role::Tool, results));
                }
                messages.push(message(Role::User, vec![Part::text("next")]));
            }
            _ => {}
        }
    }
    messages
}

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "enum": ["Rome", "Oslo"]},
            "days": {"type": ["integer", "null"], "minimum": 1},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "any": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        },
        "required": ["city"],
    })
}

fn settings() -> impl Strategy<Value = ChatRequest> {
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        Just(ToolChoice::Function("f".to_owned()))
    ];
    let schema = ResponseFormat::JsonSchema {
        name: "response".to_owned(),
        description: None,
        schema: parameters(),
        strict: None,
    };
    let format = prop_oneof![Just(ResponseFormat::JsonObject), Just(schema)];
    let reasoning = prop_oneof![
        Just(Reasoning::Adaptive),
        Just(Reasoning::Disabled),
        (1..9_999u64).prop_map(Reasoning::Budget)
    ];
    let sampling = (
        prop::option::of(0..200u32),
        prop::option::of(1..99u64),
        prop::option::of(any::<i32>()),
        prop::collection::vec("[a-z]{1,3}", 0..5),
        any::<bool>(),
    )
        .prop_map(|(temperature, top_k, seed, stop, logprobs)| Sampling {
            temperature: temperature.map(|hundredths| f64::from(hundredths) / 100.0),
            top_k,
            seed: seed.map(i64::from),
            stop,
            max_tokens: top_k,
            n: Some(1),
            logprobs: logprobs.then_some(true),
            top_logprobs: logprobs.then_some(3),
            ..Sampling::default()
        });
    (
        prop::option::of(choice),
        prop::option::of(format),
        prop::option::of(reasoning),
        any::<bool>(),
        sampling,
        any::<bool>(),
    )
        .prop_map(|(tool_choice, response_format, reasoning, shown, sampling, searches)| {
            let tool = Tool {
                name: "f".to_owned(),
                description: Some("d".to_owned()),
                parameters: Some(parameters()),
                ..Tool::default()
            };
            let mut request = ChatRequest {
                dialect: Dialect::Gemini,
                include_usage: true,
                show_reasoning: reasoning.is_some().then_some(shown),
                tools: vec![tool],
                tool_choice,
                response_format,
                reasoning,
                sampling,
                ..ChatRequest::default()
            };
            if searches {
                request.extra.insert("web_search_options".to_owned(), json!({}));
                request.extra.insert("tools".to_owned(), json!([{"codeExecution": {}}]));
                request.extra.insert("service_tier".to_owned(), json!("flex"));
                request.native.insert("labels".to_owned(), json!({"a": "b"}));
                request.native.insert("cachedContent".to_owned(), json!("cachedContents/1"));
                let media = json!("MEDIA_RESOLUTION_LOW");
                request.native.insert("generationConfig.mediaResolution".to_owned(), media);
                let place = json!({"languageCode": "de"});
                request.native.insert("toolConfig.retrievalConfig".to_owned(), place);
            }
            request
        })
}

fn there_and_back(request: &ChatRequest, host: Host) -> (ChatRequest, Vec<String>) {
    let named = ChatRequest { model: "m".to_owned(), ..request.clone() };
    let out = encode_chat_for(host, &named, &EncodeOptions::default()).unwrap();
    (decode_request(&out.body).unwrap(), out.lost.names().map(str::to_owned).collect())
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_went_out(turns in prop::collection::vec(turn(), 0..6), settings in settings()) {
        let request = ChatRequest { messages: messages(turns), ..settings };
        for host in [Host::AiStudio, Host::Vertex] {
            let (back, lost) = there_and_back(&request, host);
            prop_assert_eq!(&back, &request);
            prop_assert_eq!(lost.len(), 0, "{:?}", lost);
        }
    }
}

#[test]
fn a_level_comes_back_from_a_model_that_thinks_by_level() {
    for effort in [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High] {
        let request = ChatRequest {
            model: "gemini-3-flash".to_owned(),
            messages: vec![message(Role::User, vec![Part::text("x")])],
            reasoning: Some(Reasoning::Effort(effort)),
            ..ChatRequest::default()
        };
        let options = EncodeOptions { reasoning_by_level: true, ..EncodeOptions::default() };
        let out = encode_chat_for(Host::AiStudio, &request, &options).unwrap();
        assert_eq!(decode_request(&out.body).unwrap().reasoning, request.reasoning);
    }
}

#[test]
fn a_body_in_googles_own_words_goes_out_again_member_for_member() {
    let body = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "q", "partMetadata": {"a": 1}},
                {"inlineData": {"mimeType": "video/mp4", "data": "QUJD", "displayName": "film"}, "videoMetadata": {"fps": 2.0}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "https://www.youtube.com/watch?v=x"}},
                {"inlineData": {"mimeType": "image/png", "data": "QUJE"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
            ]},
            {"role": "model", "parts": [
                {"text": "t", "thought": true, "thoughtSignature": "QQ=="},
                {"text": "a", "thoughtSignature": "Qg=="},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                {"functionCall": {"id": "c", "name": "f", "args": {"x": 1.5}}, "thoughtSignature": "Qw=="},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c", "name": "f", "response": {"result": "r"}, "willContinue": true}},
            ]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "f", "response": {"type": "STRING"}, "behavior": "NON_BLOCKING"}]},
            {"googleMaps": {}},
            {"googleSearch": {"excludeDomains": ["example.com"]}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"imageConfig": {"aspectRatio": "1:1"}, "responseModalities": ["TEXT", "IMAGE"]},
        "serviceTier": "priority",
        "store": false,
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    });
    let request = decode_request(body.to_string().as_bytes()).unwrap();
    let named = ChatRequest { model: "m".to_owned(), ..request };
    let out = encode_chat_for(Host::AiStudio, &named, &EncodeOptions::default()).unwrap();
    assert_eq!(out.lost.names().count(), 0);
    assert_eq!(serde_json::from_slice::<Value>(&out.body).unwrap(), body);
}

#[test]
fn what_belongs_to_googles_callers_alone_is_lost_by_name_elsewhere() {
    let body = json!({
        "contents": [{"parts": [{"text": "q"}]}],
        "safetySettings": [{"category": "c"}],
        "labels": {"a": "b"},
    });
    let mut request = decode_request(body.to_string().as_bytes()).unwrap();
    request.model = "m".to_owned();
    request.dialect = Dialect::Bedrock;
    let out = encode_chat_for(Host::AiStudio, &request, &EncodeOptions::default()).unwrap();
    assert_eq!(out.lost.names().collect::<Vec<_>>(), ["safetySettings", "labels"]);
    assert_eq!(out.body, br#"{"contents":[{"role":"user","parts":[{"text":"q"}]}]}"#);
}

fn answered_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => text().prop_map(Part::text),
        1 => (text(), signature()).prop_map(|(text, own)| Part::Reasoning { text, signature: Some(own) }),
        1 => signature().prop_map(|data| Part::RedactedReasoning { data }),
        2 => ("[a-z]{1,4}", arguments(), prop::option::of("[A-Za-z0-9]{4}")).prop_map(|(name, arguments, own)| {
            Part::ToolCall {
                id: format!("id_{name}"),
                name,
                arguments,
                is_custom: false,
                signature: own.map(|own| Signature::new(Issuer::Google, own)),
            }
        }),
        1 => Just(Part::Image { source: bytes("image/png"), detail: None, cache_control: None }),
        1 => Just(native()),
    ]
}

/// Two texts in a row are one to Google.
fn apart(parts: Vec<Part>) -> Vec<Part> {
    let mut apart: Vec<Part> = Vec::new();
    for part in parts {
        let is_text = |part: &Part| matches!(part, Part::Text { .. });
        if !(is_text(&part) && apart.last().is_some_and(is_text)) {
            apart.push(part);
        }
    }
    apart
}

fn counts() -> impl Strategy<Value = Usage> {
    (0..500u64, 0..500u64, 0..500u64, 0..500u64, 0..100u64, 0..100u64).prop_map(
        |(prompt, cached, tools, reasoning, images, sounds)| Usage {
            input_tokens: prompt + cached + tools + images + sounds,
            cached_tokens: cached,
            tool_prompt_tokens: tools,
            input_image_tokens: images,
            input_audio_tokens: sounds,
            output_tokens: prompt + reasoning + images,
            reasoning_tokens: reasoning,
            output_image_tokens: images,
            ..Usage::default()
        },
    )
}

fn facts() -> ReplyFacts {
    ReplyFacts { client_model: "m".to_owned(), fallback_id: "fallback".to_owned(), ..ReplyFacts::default() }
}

proptest! {
    #[test]
    fn an_answer_comes_back_as_it_went_out(parts in prop::collection::vec(answered_part(), 1..6), usage in counts()) {
        let parts = apart(parts);
        let has_calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
        let stop = if has_calls { StopReason::ToolCalls } else { StopReason::Stop };
        let reply = ChatReply {
            id: "fallback".to_owned(),
            model: "m".to_owned(),
            choices: vec![Choice { parts, stop: Some(stop), ..Choice::default() }],
            usage,
            service_tier: Some("flex".to_owned()),
            ..ChatReply::default()
        };
        let mut lost = Losses::default();
        let body = encode_reply(&reply, &facts(), &mut lost);
        prop_assert!(lost.is_empty());
        prop_assert_eq!(decode_reply(&body, &Reading::default()).unwrap(), reply);
    }

    #[test]
    fn a_stream_comes_back_as_it_went_out_however_it_is_cut(
        parts in prop::collection::vec(answered_part(), 1..6),
        usage in counts(),
        cuts in prop::collection::vec(1usize..60, 1..12),
    ) {
        let events = events(&apart(parts), usage);
        let body = streamed(&events);
        let mut rest = body.as_slice();
        let mut collected = Collector::default();
        let mut translator = Translator::new(Framing::events(), StreamDecoder::new(&Reading::default()), &mut collected);
        let mut out = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*cut).min(rest.len()));
            translator.push(Bytes::copy_from_slice(head), &mut out).unwrap();
            rest = tail;
        }
        translator.finish(&mut out).unwrap();
        drop(translator);
        prop_assert_eq!(collected.0, events);
    }
}

/// Keeps the events.
#[derive(Debug, Default)]
struct Collector(Vec<StreamEvent>);

impl EventEncoder for &mut Collector {
    fn encode(&mut self, events: &[StreamEvent], _: &mut Vec<u8>) {
        self.0.extend_from_slice(events);
    }

    fn finish(&mut self, _: &mut Vec<u8>) {}

    fn fail(&mut self, _: &tollgate_dialect::wire::CallerError<'_>, _: &mut Vec<u8>) {}

    fn note_lost(&self, _: &ChatReply, _: &mut Losses) {}
}

fn streamed(events: &[StreamEvent]) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(facts(), false);
    let mut out = Vec::new();
    encoder.encode(events, &mut out);
    encoder.finish(&mut out);
    out
}

/// An answer as the events that this dialect's decoder gives for it.
fn events(parts: &[Part], usage: Usage) -> Vec<StreamEvent> {
    let mut events = vec![StreamEvent::Start { id: "fallback".to_owned(), model: "m".to_owned() }];
    let mut calls = 0;
    for part in parts {
        match part {
            Part::Text { text, .. } => events.push(StreamEvent::Text { choice: 0, delta: text.clone() }),
            Part::Reasoning { text, signature } => {
                events.push(StreamEvent::Reasoning { choice: 0, delta: text.clone() });
                let signature = signature.clone().unwrap();
                events.push(StreamEvent::ReasoningSignature { choice: 0, signature });
            }
            Part::RedactedReasoning { data } => {
                events.push(StreamEvent::RedactedReasoning { choice: 0, data: data.clone() });
            }
            Part::ToolCall { id, name, arguments, signature, .. } => {
                let (id, name, signature) = (id.clone(), name.clone(), signature.clone());
                events.push(StreamEvent::ToolCallStart {
                    choice: 0,
                    index: calls,
                    id,
                    name,
                    is_custom: false,
                    signature,
                });
                events.push(StreamEvent::ToolCallArguments {
                    choice: 0,
                    index: calls,
                    delta: arguments.clone(),
                });
                calls += 1;
            }
            Part::Image { source, .. } => {
                events.push(StreamEvent::Image { choice: 0, source: source.clone() });
            }
            Part::Native(native) => events.push(StreamEvent::Native { choice: 0, native: native.clone() }),
            other => panic!("{other:?}"),
        }
    }
    let stop = if calls > 0 { StopReason::ToolCalls } else { StopReason::Stop };
    events.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
    events.push(StreamEvent::Usage(usage));
    events
}
