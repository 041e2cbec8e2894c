//! What holds for every request, reply and stream of the Responses API.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{
    ChatReply, ChatRequest, Choice, Citation, Effort, Issuer, MediaSource, Message, Part, Reasoning,
    ResponseFormat, Role, Sampling, Signature, StopReason, StreamEvent, Tool, ToolChoice, ToolKind, Usage,
};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::responses::{
    Echo, StreamDecoder, StreamEncoder, decode_reply, decode_request, encode_chat, encode_reply,
};
use tollgate_dialect::sse::Framer;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{
    Dialect, EncodeOptions, EventDecoder, EventEncoder, Losses, Reading, ReplyFacts, Transducer,
};

fn text() -> impl Strategy<Value = String> {
    "[ -~\u{0}-\u{1f}\"\\\\äß\u{2028}\u{1f600}]{1,12}"
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,10}"
}

fn signature() -> impl Strategy<Value = Signature> {
    const ISSUERS: [Issuer; 4] = [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi, Issuer::Amazon];
    (proptest::sample::select(&ISSUERS[..]), text()).prop_map(|(issuer, text)| Signature::new(issuer, text))
}

fn own_signature() -> impl Strategy<Value = Signature> {
    (word(), word()).prop_map(|(id, content)| Signature::new(Issuer::OpenAi, format!("rs_{id}.{content}")))
}

fn picture() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        "[A-Za-z0-9+/]{4,16}"
            .prop_map(|data| MediaSource::Base64 { media_type: "image/png".to_owned(), data }),
        word().prop_map(|word| MediaSource::Url(format!("https://{word}.example/{word}"))),
        word().prop_map(MediaSource::FileId),
    ]
}

fn image_part() -> impl Strategy<Value = Part> {
    (picture(), option::of(word())).prop_map(|(source, detail)| Part::Image {
        source,
        detail,
        cache_control: None,
    })
}

fn file_part() -> impl Strategy<Value = Part> {
    let pdf = "[A-Za-z0-9+/]{4,16}"
        .prop_map(|data| MediaSource::Base64 { media_type: "application/pdf".to_owned(), data });
    (pdf, word()).prop_map(|(source, name)| Part::File {
        source,
        filename: Some(name),
        context: None,
        citations: false,
        cache_control: None,
    })
}

fn citation() -> impl Strategy<Value = Citation> {
    let url = (0..9_u64, 0..9_u64, word()).prop_map(|(start, length, url)| Citation {
        span: Some((start, start + length)),
        url: Some(url.clone()),
        title: Some(url),
        ..Citation::default()
    });
    let file = (word(), 0..9_u64).prop_map(|(id, index)| Citation {
        source_id: Some(id.clone()),
        title: Some(id),
        document: Some(index),
        ..Citation::default()
    });
    prop_oneof![url, file]
}

fn answer_text() -> impl Strategy<Value = Part> {
    (text(), vec(citation(), 0..3)).prop_map(|(text, citations)| Part::Text {
        text,
        cache_control: None,
        citations,
    })
}

fn call_part(signature: impl Strategy<Value = Option<Signature>>) -> impl Strategy<Value = Part> {
    (word(), word(), "[ -~]{1,20}", any::<bool>(), signature).prop_map(
        |(id, name, arguments, is_custom, signature)| Part::ToolCall {
            id,
            name,
            arguments,
            is_custom,
            signature,
        },
    )
}

/// A turn of the assistant that ends with calls and their results, as messages.
fn loop_turn() -> impl Strategy<Value = Vec<Message>> {
    let thought = (text(), own_signature())
        .prop_map(|(text, signature)| Part::Reasoning { text, signature: Some(signature) });
    let spoken = vec(prop_oneof![answer_text(), text().prop_map(Part::Refusal)], 0..3);
    let content = prop_oneof![
        text().prop_map(|text| vec![Part::text(text)]),
        vec(prop_oneof![text().prop_map(Part::text), image_part(), file_part()], 1..3),
    ];
    let calls = vec((call_part(Just(None)), content), 1..3);
    (option::of(thought), spoken, calls).prop_map(|(thought, spoken, calls)| {
        let (calls, contents): (Vec<Part>, Vec<Vec<Part>>) = calls.into_iter().unzip();
        // Ids are the caller's own affair, but two calls never share one.
        let calls: Vec<Part> =
            calls.into_iter().enumerate().map(|(index, call)| renamed(call, index)).collect();
        let results = calls.iter().zip(contents).filter_map(|(call, content)| match call {
            Part::ToolCall { id, .. } => {
                Some(Part::ToolResult { call_id: id.clone(), content, is_error: false, cache_control: None })
            }
            _ => None,
        });
        let results = results.collect();
        let parts = thought.into_iter().chain(spoken).chain(calls).collect();
        vec![message(Role::Assistant, parts), message(Role::Tool, results)]
    })
}

fn renamed(mut call: Part, index: usize) -> Part {
    if let Part::ToolCall { id, .. } = &mut call {
        id.push_str(&index.to_string());
    }
    call
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn user() -> impl Strategy<Value = Message> {
    vec(prop_oneof![text().prop_map(Part::text), image_part(), file_part()], 1..4)
        .prop_map(|parts| message(Role::User, parts))
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let system = option::of(text().prop_map(|text| message(Role::System, vec![Part::text(text)])));
    let developer = option::of(text().prop_map(|text| message(Role::Developer, vec![Part::text(text)])));
    (system, user(), developer, vec((loop_turn(), user()), 0..3)).prop_map(
        |(system, first, developer, turns)| {
            let turns = turns.into_iter().flat_map(|(turn, user)| turn.into_iter().chain([user]));
            system.into_iter().chain([first]).chain(developer).chain(turns).collect()
        },
    )
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let schema = word().prop_map(|name| json!({"type": "object", "properties": {name: {"type": "string"}}}));
    let grammar =
        text().prop_map(|text| json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": text}}));
    let kind = prop_oneof![
        Just(ToolKind::Function),
        option::of(grammar).prop_map(|format| ToolKind::Custom { format })
    ];
    let tool = (word(), option::of(text()), option::of(schema), option::of(any::<bool>()), kind).prop_map(
        |(name, description, parameters, strict, kind)| match kind {
            ToolKind::Function => Tool { name, description, parameters, strict, ..Tool::default() },
            kind => Tool { name, description, kind, ..Tool::default() },
        },
    );
    vec(tool, 1..4)
}

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    (option::of(word()), option::of(word()), any::<bool>()).prop_map(|(tier, key, searches)| {
        let mut extra = Map::new();
        if let Some(tier) = tier {
            extra.insert("service_tier".to_owned(), json!(tier));
        }
        if let Some(key) = key {
            extra.insert("metadata".to_owned(), json!({key: "v"}));
        }
        if searches {
            extra.insert("web_search_options".to_owned(), json!({"search_context_size": "low"}));
        }
        extra
    })
}

fn request() -> impl Strategy<Value = ChatRequest> {
    let choice = option::of(prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::Required),
        word().prop_map(ToolChoice::Function),
    ]);
    let sampling = (option::of(0..20_u64), option::of(16..999_u64), option::of(1..5_u64)).prop_map(
        |(tenths, max_tokens, top_logprobs)| Sampling {
            temperature: tenths.map(|tenths| tenths as f64 / 10.0),
            max_tokens,
            top_logprobs,
            logprobs: top_logprobs.map(|_| true),
            ..Sampling::default()
        },
    );
    let effort = proptest::sample::select(&[Effort::None, Effort::Low, Effort::High, Effort::Max][..]);
    let format =
        (word(), option::of(text()), option::of(any::<bool>())).prop_map(|(name, description, strict)| {
            ResponseFormat::JsonSchema { name, description, schema: json!({"type": "object"}), strict }
        });
    (
        (word(), messages(), tools(), choice, option::of(any::<bool>())),
        (sampling, option::of(effort), option::of(format), any::<bool>(), option::of(text()), extra()),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(|(said, shaped, (shows, stores))| {
            let mut native = Map::new();
            native.insert("store".to_owned(), json!(stores));
            ChatRequest {
                model: said.0,
                messages: said.1,
                tools: said.2,
                tool_choice: said.3,
                parallel_tool_calls: said.4,
                sampling: shaped.0,
                reasoning: shaped.1.map(Reasoning::Effort),
                response_format: shaped.2,
                stream: shaped.3,
                include_usage: shaped.3,
                user: shaped.4,
                extra: shaped.5,
                dialect: Dialect::Responses,
                native,
                show_reasoning: shows.then_some(true),
            }
        })
}

/// One block of an answer: its parts, and the events of a stream of it.
fn block(first_call: u64) -> impl Strategy<Value = (Vec<Part>, Vec<StreamEvent>)> {
    let choice = 0;
    let thought = (text(), signature()).prop_map(move |(text, signature)| {
        let events = vec![
            StreamEvent::Reasoning { choice, delta: text.clone() },
            StreamEvent::ReasoningSignature { choice, signature: signature.clone() },
        ];
        (vec![Part::Reasoning { text, signature: Some(signature) }], events)
    });
    let sealed = text().prop_map(move |text| {
        let data = Signature::new(Issuer::Anthropic, text);
        let events = vec![StreamEvent::RedactedReasoning { choice, data: data.clone() }];
        (vec![Part::RedactedReasoning { data }], events)
    });
    let refusal = text().prop_map(move |text| {
        (vec![Part::Refusal(text.clone())], vec![StreamEvent::Refusal { choice, delta: text }])
    });
    let call = call_part(option::of(signature())).prop_map(move |part| {
        let Part::ToolCall { id, name, arguments, is_custom, signature } = part.clone() else {
            return (Vec::new(), Vec::new());
        };
        let index = first_call;
        let start = StreamEvent::ToolCallStart { choice, index, id, name, is_custom, signature };
        (vec![part], vec![start, StreamEvent::ToolCallArguments { choice, index, delta: arguments }])
    });
    prop_oneof![thought, sealed, spoken(), refusal, call]
}

fn spoken() -> impl Strategy<Value = (Vec<Part>, Vec<StreamEvent>)> {
    let choice = 0;
    (vec(text(), 1..4), vec(citation(), 0..3)).prop_map(move |(deltas, citations)| {
        let text = deltas.concat();
        let mut events: Vec<StreamEvent> =
            deltas.into_iter().map(|delta| StreamEvent::Text { choice, delta }).collect();
        let cited = citations.iter().cloned().map(Box::new);
        events.extend(cited.map(|citation| StreamEvent::Citation { choice, citation }));
        (vec![Part::Text { text, cache_control: None, citations }], events)
    })
}

/// Whether two blocks in a row are one in a stream.
fn would_merge(before: &[Part], after: &[Part]) -> bool {
    let is_text = |part: Option<&Part>| matches!(part, Some(Part::Text { .. }));
    let is_refusal = |part: Option<&Part>| matches!(part, Some(Part::Refusal(_)));
    (is_text(before.last()) && is_text(after.first()))
        || (is_refusal(before.last()) && is_refusal(after.first()))
}

fn stop() -> impl Strategy<Value = StopReason> {
    prop_oneof![Just(StopReason::Stop), Just(StopReason::Length), Just(StopReason::ContentFilter)]
}

/// A whole answer, and a stream of it.
fn answer() -> impl Strategy<Value = (ChatReply, Vec<StreamEvent>)> {
    let blocks = (block(0), block(1), block(2), block(3));
    (word(), blocks, 0..5_usize, stop(), (0..99_u64, 0..99_u64), option::of(word())).prop_map(
        |(id, blocks, count, stop, (input, output), tier)| {
            let (mut parts, mut events) = (Vec::new(), Vec::new());
            let id = format!("resp_{id}");
            events.push(StreamEvent::Start { id: id.clone(), model: "m".to_owned() });
            for (more, told) in [blocks.0, blocks.1, blocks.2, blocks.3].into_iter().take(count) {
                if !would_merge(&parts, &more) {
                    events.extend(told.into_iter().map(|event| placed(event, chars(&parts))));
                    parts.extend(more);
                }
            }
            let calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
            let stop = if calls && stop == StopReason::Stop { StopReason::ToolCalls } else { stop };
            let usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
            let tier = tier.unwrap_or_else(|| "default".to_owned());
            events.push(StreamEvent::ServiceTier(tier.clone()));
            events.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
            events.push(StreamEvent::Usage(usage));
            let choice = Choice { parts, stop: Some(stop), ..Choice::default() };
            let reply = ChatReply {
                id,
                model: "m".to_owned(),
                created: Some(7),
                choices: vec![choice],
                usage,
                service_tier: Some(tier),
                ..ChatReply::default()
            };
            (reply, reply_calls(events))
        },
    )
}

/// Characters of text.
fn chars(parts: &[Part]) -> u64 {
    let texts = parts.iter().map(|part| match part {
        Part::Text { text, .. } => text.chars().count() as u64,
        _ => 0,
    });
    texts.sum()
}

/// The sources of a stream count from the beginning of all text.
fn placed(mut event: StreamEvent, before: u64) -> StreamEvent {
    if let StreamEvent::Citation { citation, .. } = &mut event {
        citation.span = citation.span.map(|(start, end)| (start + before, end + before));
    }
    event
}

/// Calls count from 0 without gaps.
fn reply_calls(events: Vec<StreamEvent>) -> Vec<StreamEvent> {
    let mut count = 0;
    let renumbered = events.into_iter().map(|mut event| {
        match &mut event {
            StreamEvent::ToolCallStart { index, .. } => {
                *index = count;
                count += 1;
            }
            StreamEvent::ToolCallArguments { index, .. } => *index = count.saturating_sub(1),
            _ => {}
        }
        event
    });
    renumbered.collect()
}

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "m".to_owned(),
        created: 7,
        fallback_id: "u".to_owned(),
        ..ReplyFacts::default()
    }
}

fn write_stream(events: &[StreamEvent]) -> (Vec<u8>, Bytes) {
    let mut encoder = StreamEncoder::new(facts(), Echo::default());
    let mut out = Vec::new();
    encoder.encode(events, &mut out);
    encoder.finish(&mut out);
    (out, encoder.final_response().unwrap().clone())
}

/// Reads a stream that comes in the given pieces.
fn read_stream<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<StreamEvent> {
    let (mut framer, mut decoder, mut events) = (Framer::new(), StreamDecoder::new(), Vec::new());
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = framer.next_frame().unwrap() {
            decoder.read(&frame, &mut events).unwrap();
        }
    }
    assert!(decoder.is_complete());
    events
}

/// The arguments of calls come at their end where they take turns; what is said does not change.
fn gathered(events: &[StreamEvent]) -> Vec<StreamEvent> {
    let mut gathered: Vec<StreamEvent> = Vec::new();
    for event in events {
        match (gathered.last_mut(), event) {
            (Some(StreamEvent::Text { delta, .. }), StreamEvent::Text { delta: more, .. })
            | (Some(StreamEvent::Refusal { delta, .. }), StreamEvent::Refusal { delta: more, .. }) => {
                delta.push_str(more);
            }
            _ => gathered.push(event.clone()),
        }
    }
    gathered
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_that_is_written_reads_back_the_same(request in request()) {
        let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
        prop_assert!(outbound.lost.is_empty(), "{:?}", outbound.lost);
        prop_assert_eq!(decode_request(&outbound.body), Ok(request));
    }

    #[test]
    fn a_reply_that_is_written_reads_back_the_same((reply, _) in answer()) {
        let mut losses = Losses::default();
        let bytes = encode_reply(&reply, &facts(), &Echo::default(), &mut losses);
        prop_assert!(losses.is_empty());
        prop_assert_eq!(decode_reply(&bytes, &Reading::default()), Ok(reply));
    }

    #[test]
    fn the_last_event_of_a_stream_carries_what_a_plain_reply_is((reply, events) in answer()) {
        let plain = encode_reply(&reply, &facts(), &Echo::default(), &mut Losses::default());
        let (_, streamed) = write_stream(&events);
        prop_assert_eq!(String::from_utf8(streamed.to_vec()).unwrap(), String::from_utf8(plain).unwrap());
    }

    #[test]
    fn a_stream_that_is_written_reads_back_the_same((_, events) in answer()) {
        let (bytes, _) = write_stream(&events);
        prop_assert_eq!(gathered(&read_stream([&bytes[..]])), gathered(&events));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..200), word in text()) {
        let _ = (decode_request(&bytes), decode_reply(&bytes, &Reading::default()));
        let item = json!({"type": word, "role": word, "content": [word], "id": word});
        let body = json!({"model": "m", "input": [item], "output": [item], "tools": [item], "text": item});
        let body = body.to_string();
        let _ = (decode_request(body.as_bytes()), decode_reply(body.as_bytes(), &Reading::default()));
        let encoder = StreamEncoder::new(facts(), Echo::default());
        let mut translator = Translator::new(Framing::events(), StreamDecoder::new(), encoder);
        let mut out = Vec::new();
        let _ = translator.push(Bytes::from(format!("data: {body}\n\n")), &mut out);
        let _ = translator.push(Bytes::from(bytes), &mut out);
        let _ = translator.finish(&mut out);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_gives_the_same_events_for_every_cut((_, events) in answer()) {
        let (bytes, _) = write_stream(&events);
        let whole = read_stream([&bytes[..]]);
        for cut in (0..=bytes.len()).step_by(3) {
            let (head, tail) = bytes.split_at(cut);
            prop_assert_eq!(&read_stream([head, tail]), &whole, "cut at {}", cut);
        }
        prop_assert_eq!(read_stream(bytes.chunks(1)), whole);
    }
}
