//! What is written in OpenAI's form reads back the same: requests, replies, streams.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{
    CacheControl, ChatReply, ChatRequest, Choice, Citation, Effort, Issuer, MediaSource, Message, Part,
    Reasoning, ResponseFormat, Role, Sampling, Signature, StopReason, StreamEvent, Tool, ToolChoice,
    ToolKind, Usage,
};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai::{
    ChunkDecoder, ChunkEncoder, Extensions, StreamPlan, StreamShape, decode_chat, decode_reply, encode_chat,
    encode_reply,
};
use tollgate_dialect::sse::Framer;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{EncodeOptions, EventDecoder, EventEncoder, Losses, ReplyFacts, Transducer};

/// Text with everything that JSON escapes, and characters of every length.
fn text() -> impl Strategy<Value = String> {
    "[ -~\u{0}-\u{1f}\"\\\\äß\u{2028}\u{1f600}]{1,12}"
}

/// A word without what separates things elsewhere.
fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,10}"
}

/// An id as OpenAI gives them; others are replaced.
fn chat_id() -> impl Strategy<Value = String> {
    word().prop_map(|word| format!("chatcmpl-{word}"))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        finite().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    vec((text(), any_json()), 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()),
        (-200..200_i32).prop_map(|tenths| f64::from(tenths) / 10.0),
    ]
}

fn mark() -> impl Strategy<Value = Option<CacheControl>> {
    option::of(
        option::of(prop_oneof![Just("5m".to_owned()), Just("1h".to_owned())])
            .prop_map(|ttl| CacheControl { ttl }),
    )
}

fn embedded(media_type: &'static str) -> impl Strategy<Value = MediaSource> {
    "[A-Za-z0-9+/]{4,16}"
        .prop_map(move |data| MediaSource::Base64 { media_type: media_type.to_owned(), data })
}

fn address() -> impl Strategy<Value = MediaSource> {
    word().prop_map(|word| MediaSource::Url(format!("https://{word}.example/{word}")))
}

fn text_part() -> impl Strategy<Value = Part> {
    (text(), mark()).prop_map(|(text, cache_control)| Part::Text {
        text,
        cache_control,
        citations: Vec::new(),
    })
}

fn image_part() -> impl Strategy<Value = Part> {
    (prop_oneof![address(), embedded("image/png")], option::of(word()), mark())
        .prop_map(|(source, detail, cache_control)| Part::Image { source, detail, cache_control })
}

fn file_part() -> impl Strategy<Value = Part> {
    let by_id = word().prop_map(|id| MediaSource::FileId(format!("file-{id}")));
    (prop_oneof![address(), embedded("application/pdf"), by_id], option::of(text()), mark()).prop_map(
        |(source, filename, cache_control)| Part::File {
            source,
            filename,
            context: None,
            citations: false,
            cache_control,
        },
    )
}

fn audio_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        embedded("audio/wav").prop_map(|source| Part::Audio {
            source,
            format: "wav".to_owned(),
            transcript: None
        }),
        embedded("audio/mpeg").prop_map(|source| Part::Audio {
            source,
            format: "mp3".to_owned(),
            transcript: None
        }),
    ]
}

fn signature() -> impl Strategy<Value = Signature> {
    const ISSUERS: [Issuer; 4] = [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi, Issuer::Amazon];
    (proptest::sample::select(&ISSUERS[..]), text()).prop_map(|(issuer, text)| Signature::new(issuer, text))
}

fn reasoning_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        (text(), option::of(signature())).prop_map(|(text, signature)| Part::Reasoning { text, signature }),
        signature().prop_map(|data| Part::RedactedReasoning { data }),
    ]
}

fn call_part() -> impl Strategy<Value = Part> {
    (word(), word(), "[ -~]{0,20}", any::<bool>(), option::of(signature())).prop_map(
        |(id, name, arguments, is_custom, signature)| Part::ToolCall {
            id,
            name,
            arguments,
            is_custom,
            signature,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let named = |role, parts, name| Message { role, parts, name };
    let operator =
        (prop_oneof![Just(Role::System), Just(Role::Developer)], vec(text_part(), 1..3), option::of(text()))
            .prop_map(move |(role, parts, name)| named(role, parts, name));
    let said = prop_oneof![text_part(), image_part(), audio_part(), file_part()];
    let user =
        (vec(said, 1..4), option::of(text())).prop_map(move |(parts, name)| named(Role::User, parts, name));
    let spoken = prop_oneof![text_part(), text().prop_map(Part::Refusal)];
    let assistant =
        (vec(reasoning_part(), 0..3), vec(spoken, 0..3), vec(call_part(), 0..3), option::of(text()))
            .prop_map(move |(thoughts, spoken, calls, name)| {
                named(Role::Assistant, [thoughts, spoken, calls].concat(), name)
            });
    let content = vec(prop_oneof![text_part(), image_part(), file_part()], 0..3);
    let tool = (word(), content, mark(), option::of(text())).prop_map(
        move |(call_id, content, cache_control, name)| {
            named(
                Role::Tool,
                vec![Part::ToolResult { call_id, content, is_error: false, cache_control }],
                name,
            )
        },
    );
    prop_oneof![operator, user, assistant, tool]
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let bias = vec(("[0-9]{1,5}", -100..=100_i64), 0..3).prop_map(|biases| {
        biases.into_iter().map(|(token, bias)| (token, Value::from(bias))).collect::<Map<String, Value>>()
    });
    (
        (option::of(finite()), option::of(finite()), option::of(any::<u64>()), option::of(any::<u64>())),
        (vec(text(), 0..3), option::of(any::<i64>()), option::of(finite()), option::of(finite())),
        (option::of(any::<u64>()), option::of(any::<bool>()), option::of(any::<u64>()), option::of(bias)),
    )
        .prop_map(|(first, second, third)| Sampling {
            temperature: first.0,
            top_p: first.1,
            top_k: first.2,
            max_tokens: first.3,
            stop: second.0,
            seed: second.1,
            presence_penalty: second.2,
            frequency_penalty: second.3,
            n: third.0,
            logprobs: third.1,
            top_logprobs: third.2,
            logit_bias: third.3,
        })
}

fn tool() -> impl Strategy<Value = Tool> {
    (word(), option::of(text()), option::of(any_object()), option::of(any::<bool>()), mark()).prop_map(
        |(name, description, parameters, strict, cache_control)| Tool {
            name,
            description,
            parameters,
            strict,
            cache_control,
            kind: ToolKind::Function,
            namespace: None,
        },
    )
}

fn custom_tool() -> impl Strategy<Value = Tool> {
    (word(), option::of(text()), option::of(any_object()), mark()).prop_map(
        |(name, description, format, cache_control)| Tool {
            name,
            description,
            cache_control,
            kind: ToolKind::Custom { format },
            ..Tool::default()
        },
    )
}

fn tool_choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        word().prop_map(ToolChoice::Function),
    ]
}

fn response_format() -> impl Strategy<Value = ResponseFormat> {
    prop_oneof![
        Just(ResponseFormat::Text),
        Just(ResponseFormat::JsonObject),
        (word(), option::of(text()), any_object(), option::of(any::<bool>())).prop_map(
            |(name, description, schema, strict)| ResponseFormat::JsonSchema {
                name,
                description,
                schema,
                strict
            }
        ),
    ]
}

fn reasoning() -> impl Strategy<Value = Reasoning> {
    const EFFORTS: [Effort; 7] = [
        Effort::None,
        Effort::Minimal,
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::XHigh,
        Effort::Max,
    ];
    prop_oneof![
        proptest::sample::select(&EFFORTS[..]).prop_map(Reasoning::Effort),
        any::<u64>().prop_map(Reasoning::Budget),
        Just(Reasoning::Disabled),
        Just(Reasoning::Adaptive),
    ]
}

/// Members that no field has, under names that no field has.
fn extra() -> impl Strategy<Value = Map<String, Value>> {
    vec((word(), any_json()), 0..3)
        .prop_map(|members| members.into_iter().map(|(name, value)| (format!("x_{name}"), value)).collect())
}

fn request() -> impl Strategy<Value = ChatRequest> {
    (
        (
            word(),
            vec(message(), 1..5),
            vec(prop_oneof![tool(), custom_tool()], 0..3),
            option::of(tool_choice()),
            option::of(any::<bool>()),
        ),
        (sampling(), option::of(response_format()), option::of(reasoning())),
        (any::<bool>(), any::<bool>(), option::of(text()), extra()),
    )
        .prop_map(|(said, shaped, rest)| ChatRequest {
            model: said.0,
            messages: said.1,
            tools: said.2,
            tool_choice: said.3,
            parallel_tool_calls: said.4,
            sampling: shaped.0,
            response_format: shaped.1,
            reasoning: shaped.2,
            stream: rest.0,
            include_usage: rest.1,
            user: rest.2,
            extra: rest.3,
            ..ChatRequest::default()
        })
}

fn usage() -> impl Strategy<Value = Usage> {
    (vec(0..1_000_u64, 8), 1..1_000_u64, 0..5_u64).prop_map(|(counts, answer, web_search_requests)| {
        let [cached, write, write_1h, audio_in, image_in, reasoning, audio_out, image_out] = counts[..]
        else {
            return Usage::default();
        };
        Usage {
            input_tokens: cached + write + write_1h + audio_in + image_in,
            cached_tokens: cached,
            cache_write_tokens: write,
            cache_write_1h_tokens: write_1h,
            input_audio_tokens: audio_in,
            input_image_tokens: image_in,
            output_tokens: reasoning + audio_out + image_out + answer,
            reasoning_tokens: reasoning,
            output_audio_tokens: audio_out,
            output_image_tokens: image_out,
            web_search_requests,
            ..Usage::default()
        }
    })
}

fn stop_reason() -> impl Strategy<Value = StopReason> {
    prop_oneof![
        Just(StopReason::Stop),
        Just(StopReason::Length),
        Just(StopReason::ToolCalls),
        Just(StopReason::ContentFilter),
    ]
}

fn citation() -> impl Strategy<Value = Citation> {
    (word(), text(), 0..9_u64, 0..9_u64).prop_map(|(url, title, start, length)| Citation {
        span: Some((start, start + length)),
        title: Some(title),
        url: Some(url),
        ..Citation::default()
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    let words = option::of((text(), vec(citation(), 0..3)).prop_map(|(text, citations)| Part::Text {
        text,
        cache_control: None,
        citations,
    }));
    let audio = option::of((embedded("audio/wav"), text()).prop_map(|(source, words)| Part::Audio {
        source,
        format: "wav".to_owned(),
        transcript: Some(words),
    }));
    let images = vec(
        prop_oneof![address(), embedded("image/png")].prop_map(|source| Part::Image {
            source,
            detail: None,
            cache_control: None,
        }),
        0..2,
    );
    (
        (vec(reasoning_part(), 0..3), words, option::of(text().prop_map(Part::Refusal)), audio, images),
        vec(call_part(), 0..3),
        (stop_reason(), option::of(text())),
        option::of(any_object()),
    )
        .prop_map(|((thoughts, words, refusal, audio, images), calls, (stop, sequence), logprobs)| {
            let said: Vec<Part> = words.into_iter().chain(refusal).chain(audio).collect();
            let stop_sequence = sequence.filter(|_| stop == StopReason::Stop);
            let stop = if stop_sequence.is_some() { StopReason::StopSequence } else { stop };
            Choice {
                index: 0,
                parts: [thoughts, said, images, calls].concat(),
                stop: Some(stop),
                stop_sequence,
                logprobs,
            }
        })
}

fn reply() -> impl Strategy<Value = ChatReply> {
    (chat_id(), word(), any::<u64>(), vec(choice(), 1..4), usage(), option::of(text()), option::of(word()))
        .prop_map(|(id, model, created, mut choices, usage, system_fingerprint, service_tier)| {
            for (index, choice) in choices.iter_mut().enumerate() {
                choice.index = index as u64;
            }
            ChatReply { id, model, created: Some(created), choices, usage, system_fingerprint, service_tier }
        })
}

/// One block of an answer as its events: what a provider's decoder may give in a row.
fn block(choice: u64) -> impl Strategy<Value = Vec<StreamEvent>> {
    let texts = vec(text(), 1..3).prop_map(move |deltas| {
        deltas.into_iter().map(|delta| StreamEvent::Text { choice, delta }).collect()
    });
    let logged = (text(), any_object()).prop_map(move |(delta, logprobs)| {
        vec![StreamEvent::Text { choice, delta }, StreamEvent::Logprobs { choice, logprobs }]
    });
    let refusal = text().prop_map(move |delta| vec![StreamEvent::Refusal { choice, delta }]);
    let thought = (vec(text(), 0..3), signature()).prop_map(move |(deltas, signature)| {
        let mut events: Vec<StreamEvent> =
            deltas.into_iter().map(|delta| StreamEvent::Reasoning { choice, delta }).collect();
        events.push(StreamEvent::ReasoningSignature { choice, signature });
        events
    });
    let sealed = signature().prop_map(move |data| vec![StreamEvent::RedactedReasoning { choice, data }]);
    let picture = prop_oneof![address(), embedded("image/png")]
        .prop_map(move |source| vec![StreamEvent::Image { choice, source }]);
    let sound = (word(), "[A-Za-z0-9+/]{0,8}", "[a-z]{0,8}")
        .prop_map(move |(id, data, transcript)| vec![StreamEvent::Audio { choice, id, data, transcript }]);
    prop_oneof![texts, logged, refusal, thought, sealed, picture, sound]
}

fn calls(choice: u64) -> impl Strategy<Value = Vec<StreamEvent>> {
    vec((word(), word(), any::<bool>(), option::of(signature()), vec(text(), 0..3)), 0..3).prop_map(
        move |calls| {
            let calls =
                calls.into_iter().enumerate().map(|(index, (id, name, is_custom, signature, deltas))| {
                    let index = index as u64;
                    let start = StreamEvent::ToolCallStart {
                        choice,
                        index,
                        id: format!("{id}-{index}"),
                        name,
                        is_custom,
                        signature,
                    };
                    let deltas = deltas.into_iter().map(move |delta| StreamEvent::ToolCallArguments {
                        choice,
                        index,
                        delta,
                    });
                    std::iter::once(start).chain(deltas).collect::<Vec<_>>()
                });
            calls.flatten().collect()
        },
    )
}

fn answer(choice: u64) -> impl Strategy<Value = Vec<StreamEvent>> {
    let end = (stop_reason(), option::of(text()));
    (vec(block(choice), 0..4), calls(choice), end).prop_map(move |(blocks, calls, (stop, sequence))| {
        let mut events = blocks.concat();
        events.extend(calls);
        let stop_sequence = sequence.filter(|_| stop == StopReason::Stop);
        let stop = if stop_sequence.is_some() { StopReason::StopSequence } else { stop };
        events.push(StreamEvent::Finish { choice, stop, stop_sequence });
        events
    })
}

/// A whole stream: one answer or two, one after the other, and the usage.
fn events() -> impl Strategy<Value = Vec<StreamEvent>> {
    let tier = option::of(word());
    (chat_id(), tier, answer(0), option::of(answer(1)), usage()).prop_map(
        |(id, tier, first, second, usage)| {
            let mut events = vec![StreamEvent::Start { id, model: "m".to_owned() }];
            events.extend(tier.map(StreamEvent::ServiceTier));
            events.extend(first);
            events.extend(second.into_iter().flatten());
            events.push(StreamEvent::Usage(usage));
            events
        },
    )
}

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "m".to_owned(),
        created: 1,
        fallback_id: "made-up".to_owned(),
        include_usage: true,
        ..ReplyFacts::default()
    }
}

fn plan() -> StreamPlan {
    StreamPlan { facts: facts(), shape: StreamShape::Chat }
}

fn write_stream(events: &[StreamEvent]) -> Vec<u8> {
    let mut encoder = ChunkEncoder::new(plan());
    let mut out = Vec::new();
    encoder.encode(events, &mut out);
    encoder.finish(&mut out);
    out
}

/// Reads a stream that comes in the given pieces.
fn read_stream<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<StreamEvent> {
    let (mut framer, mut decoder, mut events) = (Framer::new(), ChunkDecoder::new(), Vec::new());
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = framer.next_frame().unwrap() {
            decoder.read(&frame, &mut events).unwrap();
        }
    }
    assert!(decoder.is_complete());
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_that_is_written_reads_back_the_same(request in request()) {
        let bytes = encode_chat(&request, Extensions::Include, &EncodeOptions::default()).unwrap().body;
        prop_assert_eq!(decode_chat(&bytes), Ok(request));
    }

    #[test]
    fn a_request_for_openai_itself_always_reads_back(request in request()) {
        let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
        if let Ok(outbound) = encode_chat(&request, Extensions::Omit, &options) {
            let bytes = outbound.body;
            let read = decode_chat(&bytes).unwrap();
            // What tools' messages cannot hold follows in messages of the user.
            let roles = |request: &ChatRequest, role| {
                request.messages.iter().filter(|message| message.role == role).count()
            };
            for role in [Role::System, Role::Developer, Role::Assistant, Role::Tool] {
                prop_assert_eq!(roles(&read, role), roles(&request, role));
            }
            prop_assert!(roles(&read, Role::User) >= roles(&request, Role::User));
            prop_assert_eq!(read.sampling, Sampling { top_k: None, ..request.sampling });
            let body = String::from_utf8(bytes).unwrap();
            for name in ["\"thinking\":", "\"thinking_blocks\":", "\"cache_control\":", "\"provider_specific_fields\":"] {
                prop_assert!(!body.contains(name), "{}", name);
            }
        }
    }

    #[test]
    fn a_reply_that_is_written_reads_back_the_same(reply in reply()) {
        let facts = ReplyFacts { client_model: reply.model.clone(), ..facts() };
        prop_assert_eq!(decode_reply(&encode_reply(&reply, &facts, &mut Losses::default())), Ok(reply));
    }

    #[test]
    fn a_stream_that_is_written_reads_back_the_same(events in events()) {
        let bytes = write_stream(&events);
        prop_assert_eq!(read_stream([&bytes[..]]), events);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..200), body in any_json()) {
        let _ = (decode_chat(&bytes), decode_reply(&bytes));
        let body = json!({"model": "m", "messages": [body], "tools": [body], "choices": [body]});
        let body = body.to_string();
        let _ = (decode_chat(body.as_bytes()), decode_reply(body.as_bytes()));
        let mut translator = Translator::new(Framing::events(), ChunkDecoder::new(), ChunkEncoder::new(plan()));
        let mut out = Vec::new();
        let _ = translator.push(Bytes::from(format!("data: {body}\n\n")), &mut out);
        let _ = translator.push(Bytes::from(bytes), &mut out);
        let _ = translator.finish(&mut out);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_gives_the_same_events_for_every_cut(events in events()) {
        let bytes = write_stream(&events);
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            prop_assert_eq!(&read_stream([head, tail]), &events, "cut at {}", cut);
        }
        prop_assert_eq!(read_stream(bytes.chunks(1)), events);
    }
}
