//! OpenAI replies: the bytes that the caller gets, and what providers' bodies become.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Embedding, EmbeddingReply, Issuer, MediaSource, Native, Part, Signature,
    StopReason, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::openai::{
    VectorForm, decode_embedding_reply, decode_reply, encode_completion, encode_embeddings, encode_reply,
    read_usage,
};
use tollgate_dialect::wire::{Dialect, Losses, ReplyFacts, ReplyFault};

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "smart".to_owned(),
        created: 1_700_000_000,
        fallback_id: "made-up".to_owned(),
        ..ReplyFacts::default()
    }
}

fn reply(parts: Vec<Part>, stop: Option<StopReason>) -> ChatReply {
    ChatReply {
        id: "chatcmpl-1".to_owned(),
        model: "provider-model".to_owned(),
        choices: vec![Choice { index: 0, parts, stop, stop_sequence: None, logprobs: None }],
        usage: Usage { input_tokens: 12, output_tokens: 5, ..Usage::default() },
        ..ChatReply::default()
    }
}

fn thought(text: &str, signature: Option<&str>) -> Part {
    Part::Reasoning {
        text: text.to_owned(),
        signature: signature.map(|text| Signature::new(Issuer::Anthropic, text)),
    }
}

fn call(id: &str, name: &str, arguments: &str, signature: Option<&str>) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        is_custom: false,
        signature: signature.map(|text| Signature::new(Issuer::Google, text)),
    }
}

/// The choice that these parts give.
fn written_choice(parts: Vec<Part>, stop: Option<StopReason>) -> Value {
    let bytes = encode_reply(&reply(parts, stop), &facts(), &mut Losses::default());
    serde_json::from_slice::<Value>(&bytes).unwrap()["choices"][0].clone()
}

#[test]
fn a_plain_answer_is_written_byte_for_byte_so() {
    let bytes = encode_reply(
        &reply(vec![Part::text("Hello \"you\"\n")], Some(StopReason::Stop)),
        &facts(),
        &mut Losses::default(),
    );
    let expect = concat!(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"smart","choices":[{"index":0,"#,
        r#""message":{"role":"assistant","content":"Hello \"you\"\n"},"finish_reason":"stop"}],"#,
        r#""usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"#,
        r#""prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"#,
        r#""completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}"#,
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expect);
}

#[test]
fn the_providers_id_time_and_fingerprint_go_through_and_missing_ones_are_made_up() {
    let mut reply = reply(vec![Part::text("x")], None);
    reply.created = Some(5);
    reply.system_fingerprint = Some("fp".to_owned());
    reply.service_tier = Some("default".to_owned());
    let written: Value =
        serde_json::from_slice(&encode_reply(&reply, &facts(), &mut Losses::default())).unwrap();
    assert_eq!(
        [&written["id"], &written["created"], &written["system_fingerprint"], &written["service_tier"]],
        [&json!("chatcmpl-1"), &json!(5), &json!("fp"), &json!("default")]
    );
    reply.id = String::new();
    reply.created = None;
    let written: Value =
        serde_json::from_slice(&encode_reply(&reply, &facts(), &mut Losses::default())).unwrap();
    assert_eq!([&written["id"], &written["created"]], [&json!("chatcmpl-made-up"), &json!(1_700_000_000)]);
}

#[test]
fn every_part_has_its_place_in_the_message() {
    let check = |parts: Vec<Part>, message: Value| {
        assert_eq!(written_choice(parts, None)["message"], message);
    };
    check(vec![], json!({"role": "assistant", "content": ""}));
    check(vec![Part::text("a"), Part::text("b")], json!({"role": "assistant", "content": "ab"}));
    check(
        vec![Part::Refusal("no".to_owned())],
        json!({"role": "assistant", "content": null, "refusal": "no"}),
    );
    check(
        vec![thought("r", None), Part::text("a")],
        json!({"role": "assistant", "content": "a", "reasoning_content": "r"}),
    );
    check(
        vec![
            thought("r", Some("s")),
            Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "d") },
            Part::text("a"),
        ],
        json!({
            "role": "assistant", "content": "a", "reasoning_content": "r",
            "thinking_blocks": [
                {"type": "thinking", "thinking": "r", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
            ],
        }),
    );
    check(
        vec![call("c1", "f", "{\"a\": 1}", None), call("c2", "g", "", Some("sig"))],
        json!({
            "role": "assistant", "content": null,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""},
                    "provider_specific_fields": {"thought_signature": "sig"}},
            ],
        }),
    );
    let source = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "iVBO".to_owned() };
    check(
        vec![Part::text("here"), Part::Image { source, detail: None, cache_control: None }],
        json!({
            "role": "assistant", "content": "here",
            "images": [{"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}],
        }),
    );
}

#[test]
fn every_end_has_its_word() {
    let check = |stop: Option<StopReason>, word: &str| {
        assert_eq!(written_choice(vec![Part::text("x")], stop)["finish_reason"], word);
    };
    check(None, "stop");
    check(Some(StopReason::Stop), "stop");
    check(Some(StopReason::Length), "length");
    check(Some(StopReason::ToolCalls), "tool_calls");
    check(Some(StopReason::ContentFilter), "content_filter");
    let unsaid = written_choice(vec![call("c", "f", "{}", None)], None);
    assert_eq!(unsaid["finish_reason"], "tool_calls", "an answer that calls ends so, even unsaid");
}

#[test]
fn usage_is_written_with_litellms_names_where_there_is_something_to_say() {
    let usage = Usage {
        input_tokens: 100,
        cached_tokens: 40,
        cache_write_tokens: 20,
        cache_write_1h_tokens: 10,
        input_audio_tokens: 3,
        input_image_tokens: 4,
        output_tokens: 50,
        reasoning_tokens: 30,
        output_audio_tokens: 5,
        output_image_tokens: 6,
        web_search_requests: 2,
        ..Usage::default()
    };
    let reply = ChatReply { usage, ..reply(vec![], None) };
    let written: Value =
        serde_json::from_slice(&encode_reply(&reply, &facts(), &mut Losses::default())).unwrap();
    let expect = json!({
        "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": {
            "cached_tokens": 40, "audio_tokens": 3, "image_tokens": 4, "cache_creation_tokens": 30,
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        },
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5, "image_tokens": 6},
        "cache_creation_input_tokens": 30, "cache_read_input_tokens": 40,
        "server_tool_use": {"web_search_requests": 2},
    });
    assert_eq!(written["usage"], expect);
    assert_eq!(read_usage(&expect), Some(usage));
}

#[test]
fn usage_is_read_under_every_providers_names() {
    let check = |value: Value, expect: Usage| assert_eq!(read_usage(&value), Some(expect), "{value}");
    let plain = Usage { input_tokens: 12, output_tokens: 5, ..Usage::default() };
    let cached = Usage { cached_tokens: 4, ..plain };
    check(json!({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}), plain);
    check(json!({"prompt_tokens": 12.0, "completion_tokens": 5.0}), plain);
    check(
        json!({"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": null, "completion_tokens_details": null}),
        plain,
    );
    // OpenAI, DeepSeek, Moonshot, LiteLLM in front of Anthropic.
    check(
        json!({"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}),
        cached,
    );
    check(
        json!({"prompt_tokens": 12, "completion_tokens": 5, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 8}),
        cached,
    );
    check(json!({"prompt_tokens": 12, "completion_tokens": 5, "cached_tokens": 4}), cached);
    check(
        json!({"prompt_tokens": 12, "completion_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3}),
        Usage { cache_write_tokens: 3, ..cached },
    );
    check(
        json!({"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}),
        Usage { cache_write_tokens: 3, ..cached },
    );
    // OpenAI counts reasoning inside the answer, xAI beside it.
    let details = json!({"reasoning_tokens": 3});
    check(
        json!({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17, "completion_tokens_details": details}),
        Usage { reasoning_tokens: 3, ..plain },
    );
    check(
        json!({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 20, "completion_tokens_details": details}),
        Usage { reasoning_tokens: 3, output_tokens: 8, ..plain },
    );
    // Embeddings have no answer.
    check(json!({"prompt_tokens": 12, "total_tokens": 12}), Usage { input_tokens: 12, ..Usage::default() });
    for nothing in [json!(null), json!({}), json!([]), json!("12"), json!({"prompt_tokens": null})] {
        assert_eq!(read_usage(&nothing), None, "{nothing}");
    }
}

#[test]
fn a_part_of_a_total_is_never_more_than_the_total() {
    let usage = read_usage(&json!({
        "prompt_tokens": 10, "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 99, "cache_creation_tokens": 99, "audio_tokens": 99, "image_tokens": 99},
        "completion_tokens_details": {"reasoning_tokens": 99, "audio_tokens": 99, "image_tokens": 99},
    }))
    .unwrap();
    assert_eq!((usage.cached_tokens, usage.cache_write_tokens), (10, 0));
    assert_eq!((usage.input_audio_tokens, usage.input_image_tokens), (10, 10));
    assert_eq!((usage.reasoning_tokens, usage.output_audio_tokens, usage.output_image_tokens), (5, 5, 5));
}

#[test]
fn a_text_completion_has_the_text_and_nothing_else_of_the_answer() {
    let logprobs = json!({"content": [
        {"token": "Hé", "logprob": -0.5, "bytes": [72], "top_logprobs": [{"token": "Hé", "logprob": -0.5}, {"token": "Ho", "logprob": -1.5}]},
        {"token": "y", "logprob": -0.25, "top_logprobs": []},
    ]});
    let mut reply = reply(
        vec![thought("r", None), Part::text("Héy"), call("c", "f", "", None)],
        Some(StopReason::ToolCalls),
    );
    reply.choices[0].logprobs = Some(logprobs);
    let written: Value = serde_json::from_slice(&encode_completion(&reply, &facts())).unwrap();
    assert_eq!(written["object"], "text_completion");
    let expect = json!([{
        "text": "Héy", "index": 0, "finish_reason": "stop",
        "logprobs": {
            "tokens": ["Hé", "y"], "token_logprobs": [-0.5, -0.25],
            "top_logprobs": [{"Hé": -0.5, "Ho": -1.5}, {}], "text_offset": [0, 2],
        },
    }]);
    assert_eq!(written["choices"], expect);
    reply.choices[0].logprobs = None;
    reply.choices[0].stop = Some(StopReason::Length);
    let written: Value = serde_json::from_slice(&encode_completion(&reply, &facts())).unwrap();
    assert_eq!(
        written["choices"],
        json!([{"text": "Héy", "index": 0, "logprobs": null, "finish_reason": "length"}])
    );
}

#[test]
fn vectors_are_written_as_numbers_or_as_base64() {
    let reply = EmbeddingReply {
        model: "e".to_owned(),
        data: vec![Embedding(vec![0.1, -1.0, 0.0]), Embedding(vec![1e-8])],
        usage: Usage { input_tokens: 8, ..Usage::default() },
    };
    let numbers = String::from_utf8(encode_embeddings(&reply, VectorForm::Numbers, &facts())).unwrap();
    let expect = concat!(
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-1.0,0.0]},"#,
        r#"{"object":"embedding","index":1,"embedding":[1e-8]}],"model":"smart","#,
        r#""usage":{"prompt_tokens":8,"total_tokens":8}}"#,
    );
    assert_eq!(numbers, expect);
    let encoded: Value =
        serde_json::from_slice(&encode_embeddings(&reply, VectorForm::Base64, &facts())).unwrap();
    // struct.pack('<3f', .1, -1, 0) and struct.pack('<f', 1e-8), in base64.
    assert_eq!(encoded["data"][0]["embedding"], "zczMPQAAgL8AAAAA");
    assert_eq!(encoded["data"][1]["embedding"], "d8wrMg==");
    let read = decode_embedding_reply(numbers.as_bytes()).unwrap();
    assert_eq!(read, EmbeddingReply { model: "smart".to_owned(), ..reply });
}

#[test]
fn vectors_are_read_in_the_order_of_their_index_and_nothing_else_is_a_vector() {
    let body = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}],"model":"e"}"#;
    let read = decode_embedding_reply(body).unwrap();
    assert_eq!(read.data, [Embedding(vec![1.0]), Embedding(vec![2.0])]);
    for body in [
        "",
        "{}",
        "[]",
        r#"{"data":{}}"#,
        r#"{"data":[{"embedding":"AAAA"}]}"#,
        r#"{"data":[{"embedding":[null]}]}"#,
    ] {
        assert!(matches!(decode_embedding_reply(body.as_bytes()), Err(ReplyFault::Malformed(_))), "{body}");
    }
    let error = decode_embedding_reply(br#"{"error":{"message":"slow","code":429}}"#);
    assert!(matches!(error, Err(ReplyFault::Error(error)) if error.class == FailureClass::RateLimit));
}

#[test]
fn an_openai_reply_is_read_whole() {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_1", "service_tier": "default",
        "choices": [
            {"index": 0, "finish_reason": "tool_calls", "logprobs": null,
             "message": {"role": "assistant", "content": null, "refusal": null, "annotations": [],
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}},
            {"index": 1, "finish_reason": "stop", "logprobs": {"content": []},
             "message": {"role": "assistant", "content": "hi", "refusal": null}},
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
    });
    let expect = ChatReply {
        id: "chatcmpl-1".to_owned(),
        model: "gpt-4o-2024-08-06".to_owned(),
        created: Some(1_700_000_000),
        choices: vec![
            Choice {
                index: 0,
                parts: vec![call("call_1", "f", "{\"a\":1}", None)],
                stop: Some(StopReason::ToolCalls),
                logprobs: None,
                stop_sequence: None,
            },
            Choice {
                index: 1,
                parts: vec![Part::text("hi")],
                stop: Some(StopReason::Stop),
                logprobs: Some(json!({"content": []})),
                stop_sequence: None,
            },
        ],
        usage: Usage { input_tokens: 12, output_tokens: 5, ..Usage::default() },
        system_fingerprint: Some("fp_1".to_owned()),
        service_tier: Some("default".to_owned()),
    };
    assert_eq!(decode_reply(body.to_string().as_bytes()), Ok(expect));
}

#[test]
fn the_liberties_of_compatible_providers_are_understood() {
    let check = |message: Value, expect: &[Part]| {
        let body = json!({"choices": [{"message": message}]});
        assert_eq!(decode_reply(body.to_string().as_bytes()).unwrap().choices[0].parts, expect, "{message}");
    };
    // DeepSeek; Groq, OpenRouter and vLLM.
    check(json!({"content": "a", "reasoning_content": "r"}), &[thought("r", None), Part::text("a")]);
    check(json!({"content": "a", "reasoning": "r"}), &[thought("r", None), Part::text("a")]);
    // Mistral's reasoning models.
    check(
        json!({"content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "r"}, {"type": "text", "text": "s"}]},
            {"type": "text", "text": "a"},
        ]}),
        &[thought("rs", None), Part::text("a")],
    );
    // The older form of a call; arguments as an object; a call without an id.
    check(
        json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}}),
        &[call("call_function_0", "f", "{}", None)],
    );
    check(
        json!({"tool_calls": [{"function": {"name": "f", "arguments": {"b": 1, "a": 2}}}]}),
        &[call("", "f", "{\"b\":1,\"a\":2}", None)],
    );
    check(json!({"tool_calls": [{"id": "c", "function": {"name": "f"}}]}), &[call("c", "f", "", None)]);
    check(json!({"content": ""}), &[]);
}

#[test]
fn every_word_for_an_end_is_understood() {
    let check = |word: Value, expect: Option<StopReason>| {
        let body = json!({"choices": [{"message": {}, "finish_reason": word}]});
        assert_eq!(decode_reply(body.to_string().as_bytes()).unwrap().choices[0].stop, expect, "{word}");
    };
    for word in ["stop", "eos", "end_turn", "COMPLETE", "something_new"] {
        check(json!(word), Some(StopReason::Stop));
    }
    check(json!("stop_sequence"), Some(StopReason::StopSequence));
    check(json!("refusal"), Some(StopReason::Refusal));
    check(json!("recitation"), Some(StopReason::Recitation));
    check(json!("pause_turn"), Some(StopReason::Pause));
    for word in ["model_length", "model_context_window_exceeded"] {
        check(json!(word), Some(StopReason::ContextWindow));
    }
    for word in ["length", "max_tokens", "MAX_TOKENS"] {
        check(json!(word), Some(StopReason::Length));
    }
    for word in ["tool_calls", "function_call", "tool_use", "TOOL_CALL"] {
        check(json!(word), Some(StopReason::ToolCalls));
    }
    for word in ["content_filter", "safety", "sensitive"] {
        check(json!(word), Some(StopReason::ContentFilter));
    }
    check(json!(null), None);
    check(json!(""), None);
}

#[test]
fn a_success_that_is_none_is_a_fault() {
    let malformed = [
        "",
        "null",
        "[]",
        "\"text\"",
        "<html></html>",
        "{",
        "{}",
        r#"{"choices":null}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[1]}"#,
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"message":null}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[1]}}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"id":"c"}]}}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"arguments":""}}]}}]}"#,
    ];
    for body in malformed {
        let fault = decode_reply(body.as_bytes()).unwrap_err();
        assert!(matches!(fault, ReplyFault::Malformed(_)), "{body}: {fault:?}");
    }
    let check = |body: &str, class: FailureClass, status: u16| match decode_reply(body.as_bytes()) {
        Err(ReplyFault::Error(error)) => assert_eq!((error.class, error.status), (class, status), "{body}"),
        other => panic!("{body}: {other:?}"),
    };
    check(r#"{"error":{"message":"slow down","code":429}}"#, FailureClass::RateLimit, 429);
    check(r#"{"error":{"message":"x","type":"overloaded_error"}}"#, FailureClass::Overloaded, 529);
    check(
        r#"{"object":"error","message":"maximum context length","code":400}"#,
        FailureClass::ContextWindow,
        400,
    );
    check(r#"{"error":"broken"}"#, FailureClass::Server, 500);
}

/// The message that these parts give, and what of them is lost.
fn written_message(parts: Vec<Part>, facts: &ReplyFacts) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let bytes = encode_reply(&reply(parts, None), facts, &mut losses);
    let message = serde_json::from_slice::<Value>(&bytes).unwrap()["choices"][0]["message"].clone();
    (message, losses.names().map(str::to_owned).collect())
}

#[test]
fn sources_stand_where_they_belong_in_the_whole_content() {
    let from = |url: &str, span| Citation { url: Some(url.to_owned()), span, ..Citation::default() };
    let cited = |text: &str, citations| Part::Text { text: text.to_owned(), cache_control: None, citations };
    let parts = vec![
        cited("gr\u{fc}n ", vec![from("https://a", None)]),
        cited("und blau", vec![from("https://b", Some((4, 8)))]),
    ];
    let (message, lost) = written_message(parts, &facts());
    let annotation = |url: &str, start: u64, end: u64| json!({"type": "url_citation", "url_citation": {"start_index": start, "end_index": end, "title": "", "url": url}});
    assert_eq!(message["content"], "gr\u{fc}n und blau");
    assert_eq!(
        message["annotations"],
        json!([annotation("https://a", 0, 5), annotation("https://b", 9, 13)])
    );
    assert_eq!(lost, Vec::<String>::new());
    let page = Citation { document: Some(0), quote: Some("q".to_owned()), ..Citation::default() };
    let (message, lost) = written_message(vec![cited("x", vec![page])], &facts());
    assert_eq!((message.get("annotations"), lost), (None, vec!["citations".to_owned()]));
}

#[test]
fn a_custom_tools_call_is_written_as_one_also_where_a_function_stood_in_for_it() {
    let facts = ReplyFacts { custom_tools: vec!["shell".to_owned()], ..facts() };
    let custom = |input: &str, is_custom| Part::ToolCall {
        id: "c".to_owned(),
        name: "shell".to_owned(),
        arguments: input.to_owned(),
        is_custom,
        signature: None,
    };
    let parts =
        vec![custom("{\"input\":\"ls \\\"a\\\"\"}", false), custom("ls", true), call("d", "f", "{}", None)];
    let (message, _) = written_message(parts, &facts);
    let expect = json!([
        {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls \"a\""}},
        {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        {"id": "d", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]);
    assert_eq!(message["tool_calls"], expect);
}

#[test]
fn a_sound_is_written_with_its_words_and_what_has_no_form_is_named() {
    let source = MediaSource::Base64 { media_type: "audio/wav".to_owned(), data: "UklG".to_owned() };
    let sound =
        Part::Audio { source: source.clone(), format: "wav".to_owned(), transcript: Some("hi".to_owned()) };
    let (message, lost) = written_message(vec![sound.clone()], &facts());
    let audio =
        json!({"id": "audio_made-up", "data": "UklG", "expires_at": 1_700_000_000, "transcript": "hi"});
    assert_eq!((&message["audio"], &message["content"]), (&audio, &Value::Null));
    assert_eq!(lost, Vec::<String>::new());
    let parts = vec![
        sound.clone(),
        sound,
        Part::Native(Native { dialect: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) }),
        Part::File { source, filename: None, context: None, citations: false, cache_control: None },
    ];
    assert_eq!(written_message(parts, &facts()).1, ["audio", "server_tool_use", "files"]);
}

#[test]
fn which_stop_text_came_is_told() {
    let mut reply = reply(vec![Part::text("x")], Some(StopReason::StopSequence));
    reply.choices[0].stop_sequence = Some("END".to_owned());
    let bytes = encode_reply(&reply, &facts(), &mut Losses::default());
    let choice = serde_json::from_slice::<Value>(&bytes).unwrap()["choices"][0].clone();
    assert_eq!(
        (&choice["finish_reason"], &choice["provider_specific_fields"]),
        (&json!("stop"), &json!({"stop_sequence": "END"}))
    );
    let read = |choice: Value| {
        let body = json!({"choices": [choice]});
        let choice = decode_reply(body.to_string().as_bytes()).unwrap().choices.remove(0);
        (choice.stop, choice.stop_sequence)
    };
    let expect = (Some(StopReason::StopSequence), Some("END".to_owned()));
    assert_eq!(read(choice), expect);
    let of_vllm =
        |reason: Value| json!({"message": {"content": "x"}, "finish_reason": "stop", "stop_reason": reason});
    assert_eq!(read(of_vllm(json!("END"))), expect);
    assert_eq!(read(of_vllm(json!(151_645))), (Some(StopReason::Stop), None), "a token's number is no text");
}

#[test]
fn openrouters_details_are_the_reasoning() {
    let body = json!({"choices": [{"message": {
        "content": "x", "reasoning": "because", "reasoning_details": [
            {"type": "reasoning.text", "text": "because", "signature": "s"},
            {"type": "reasoning.encrypted", "data": "d"}, {"type": "reasoning.summary", "summary": "in short"}],
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a", "title": "A", "content": "words",
            "start_index": 0, "end_index": 1}}, {"type": "file", "file": {}}],
    }}]});
    let citation = Citation {
        span: Some((0, 1)),
        title: Some("A".to_owned()),
        url: Some("https://a".to_owned()),
        quote: Some("words".to_owned()),
        ..Citation::default()
    };
    let expect = [
        thought("because", Some("s")),
        Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "d") },
        thought("in short", None),
        Part::Text { text: "x".to_owned(), cache_control: None, citations: vec![citation] },
    ];
    assert_eq!(decode_reply(body.to_string().as_bytes()).unwrap().choices[0].parts, expect);
}
