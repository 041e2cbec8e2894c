//! Requests written in OpenAI's form; legacy completions and embeddings read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Citation, EmbeddingInput, MediaSource, Message, Native, Part, Reasoning, Role,
};
use tollgate_dialect::openai::{
    CAPABILITIES, CHAT_PARAMS, Extensions, decode_chat, decode_completions, decode_embeddings, encode_chat,
    encode_embedding_request,
};
use tollgate_dialect::wire::{Dialect, EncodeError, EncodeOptions};

/// A body of these members on top of a model and one user message.
fn with(members: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn decode(body: &Value) -> ChatRequest {
    decode_chat(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn encode(request: &ChatRequest, extensions: Extensions) -> Value {
    let outbound = encode_chat(request, extensions, &EncodeOptions::default()).unwrap();
    assert_eq!(outbound.path, "/chat/completions");
    serde_json::from_slice(&outbound.body).unwrap()
}

#[test]
fn what_openai_does_not_publish_is_left_out_for_openai() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}},
            {"role": "assistant", "content": "y", "reasoning_content": "r",
                "thinking_blocks": [{"type": "thinking", "thinking": "r", "signature": "s"}],
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "provider_specific_fields": {"thought_signature": "s"}}]},
            {"role": "tool", "tool_call_id": "c", "name": "f", "content": "z", "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    });
    let request = decode(&body);
    let plain = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "y",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "z"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "reasoning_effort": "medium",
    });
    assert_eq!(encode(&request, Extensions::Omit), plain);
    let kept = encode(&request, Extensions::Include);
    assert_eq!(decode(&kept), request, "and with extensions nothing is lost");
}

#[test]
fn a_parameter_that_openai_lacks_is_refused_or_dropped_as_asked() {
    let request = decode(&with(json!({"top_k": 5})));
    let options = EncodeOptions::default();
    let refusal = encode_chat(&request, Extensions::Omit, &options).unwrap_err();
    assert_eq!(refusal, EncodeError::Unsupported { params: vec!["top_k".to_owned()] });
    let options = EncodeOptions { drop_unsupported: true, ..options };
    let outbound = encode_chat(&request, Extensions::Omit, &options).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&outbound.body).unwrap(), with(json!({})));
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), ["top_k"]);
    let options = EncodeOptions { allowed_params: vec!["top_k".to_owned()], ..EncodeOptions::default() };
    assert!(encode_chat(&request, Extensions::Omit, &options).unwrap().lost.is_empty(), "it is added later");
}

#[test]
fn a_budget_of_reasoning_becomes_the_nearest_effort() {
    let effort = |budget: u64| {
        let request = ChatRequest { reasoning: Some(Reasoning::Budget(budget)), ..decode(&with(json!({}))) };
        encode(&request, Extensions::Omit)["reasoning_effort"].clone()
    };
    assert_eq!(
        [effort(0), effort(1024), effort(1025), effort(2048), effort(2049)],
        ["low", "low", "medium", "medium", "high"]
    );
    let disabled = ChatRequest { reasoning: Some(Reasoning::Disabled), ..decode(&with(json!({}))) };
    assert_eq!(encode(&disabled, Extensions::Omit), with(json!({})));
}

#[test]
fn a_part_without_a_form_in_its_message_is_refused_where_it_stands() {
    let check = |role: Role, part: Part, param: &str| {
        let messages = vec![Message { role, parts: vec![Part::text("x"), part], name: None }];
        let request = ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() };
        let error = encode_chat(&request, Extensions::Omit, &EncodeOptions::default()).unwrap_err();
        assert!(matches!(&error, EncodeError::Invalid { param: place, .. } if place == param), "{error}");
    };
    let url = || MediaSource::Url("https://x/y".to_owned());
    check(
        Role::User,
        Part::Audio { source: url(), format: "wav".to_owned(), transcript: None },
        "messages[0].content[1]",
    );
    check(
        Role::User,
        Part::File { source: url(), filename: None, context: None, citations: false, cache_control: None },
        "messages[0].content[1]",
    );
    let by_id =
        Part::Image { source: MediaSource::FileId("f".to_owned()), detail: None, cache_control: None };
    check(Role::User, by_id, "messages[0].content[1]");
    check(Role::User, Part::Reasoning { text: String::new(), signature: None }, "messages[0].content[1]");
    let result =
        Part::ToolResult { call_id: "c".into(), content: vec![], is_error: false, cache_control: None };
    check(Role::Assistant, result, "messages[0].content[1]");
    check(Role::Tool, Part::text("x"), "messages[0].content[0]");
}

#[test]
fn several_tool_results_in_one_message_become_a_message_each() {
    let result = |id: &str| Part::ToolResult {
        call_id: id.to_owned(),
        content: vec![Part::text(id)],
        is_error: false,
        cache_control: None,
    };
    let messages = vec![Message { role: Role::Tool, parts: vec![result("a"), result("b")], name: None }];
    let request = ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() };
    let expect = json!([
        {"role": "tool", "tool_call_id": "a", "content": "a"}, {"role": "tool", "tool_call_id": "b", "content": "b"},
    ]);
    assert_eq!(encode(&request, Extensions::Omit)["messages"], expect);
}

#[test]
fn a_legacy_completion_is_a_chat_of_one_message() {
    let decode = |members: Value| {
        let mut body = json!({"model": "m"});
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        decode_completions(body.to_string().as_bytes())
    };
    for prompt in [json!("hi"), json!(["hi"])] {
        assert_eq!(decode(json!({"prompt": prompt})), decode_chat(with(json!({})).to_string().as_bytes()));
    }
    let request = decode(json!({
        "prompt": "hi", "max_tokens": 5, "logprobs": 3, "stop": ["a"], "stream": true, "temperature": 0.7,
        "stream_options": {"include_usage": true}, "user": "u", "n": 2, "seed": 1,
        "echo": false, "suffix": "", "best_of": 1,
    }))
    .unwrap();
    assert_eq!(request.sampling.max_tokens, Some(5));
    assert_eq!((request.sampling.logprobs, request.sampling.top_logprobs), (Some(true), Some(3)));
    assert_eq!((request.sampling.n, request.sampling.temperature), (Some(2), Some(0.7)));
    assert!(request.stream && request.include_usage);
    assert!(request.extra.is_empty(), "what asks for nothing is not passed on");
    let request = decode(json!({"prompt": "hi", "echo": true, "suffix": "!", "best_of": 3})).unwrap();
    assert_eq!(Value::Object(request.extra), json!({"echo": true, "suffix": "!", "best_of": 3}));
    let check = |members: Value, param: &str, message: &str| {
        let error = decode(members).unwrap_err();
        assert_eq!((error.param.as_str(), error.message.as_str()), (param, message));
    };
    let tokens = "is made of token ids, which this model cannot take; send text";
    check(json!({"prompt": [1, 2]}), "prompt", tokens);
    check(json!({"prompt": [[1, 2]]}), "prompt", tokens);
    let several = "has several prompts, but this model takes one at a time; send a request for each";
    check(json!({"prompt": ["a", "b"]}), "prompt", several);
    check(json!({"prompt": []}), "prompt", "must not be an empty list");
    check(json!({"prompt": {}}), "prompt", "must be a string or a list of strings, not an object");
    check(json!({}), "prompt", "Missing required parameter: 'prompt'.");
    check(json!({"prompt": "x", "echo": "yes"}), "echo", "must be a boolean, not a string");
    check(json!({"prompt": "x", "model": null}), "model", "Missing required parameter: 'model'.");
}

#[test]
fn embedding_requests_are_read_and_written_in_every_form_of_input() {
    let decode =
        |input: Value| decode_embeddings(json!({"model": "e", "input": input}).to_string().as_bytes());
    let text = |text: &str| EmbeddingInput::Text(text.to_owned());
    let check = |input: Value, expect: &[EmbeddingInput]| {
        let request = decode(input).unwrap();
        assert_eq!(request.input, expect);
        assert_eq!(decode_embeddings(&encode_embedding_request(&request)), Ok(request));
    };
    check(json!("a"), &[text("a")]);
    check(json!(["a", "b"]), &[text("a"), text("b")]);
    check(json!([1, 2]), &[EmbeddingInput::Tokens(vec![1, 2])]);
    check(json!([[1], [2, 3]]), &[EmbeddingInput::Tokens(vec![1]), EmbeddingInput::Tokens(vec![2, 3])]);
    let full = json!({"model": "e", "input": ["a"], "dimensions": 256, "encoding_format": "base64", "user": "u", "input_type": "query"});
    let request = decode_embeddings(full.to_string().as_bytes()).unwrap();
    assert_eq!((request.dimensions, request.base64, request.user.as_deref()), (Some(256), true, Some("u")));
    assert_eq!(serde_json::from_slice::<Value>(&encode_embedding_request(&request)).unwrap(), full);
    let refuse = |body: Value, param: &str, message: &str| {
        let error = decode_embeddings(body.to_string().as_bytes()).unwrap_err();
        assert_eq!((error.param.as_str(), error.message.as_str()), (param, message));
    };
    refuse(json!({"input": "a"}), "model", "Missing required parameter: 'model'.");
    refuse(json!({"model": "e"}), "input", "Missing required parameter: 'input'.");
    refuse(json!({"model": "e", "input": []}), "input", "must not be an empty list");
    refuse(json!({"model": "e", "input": [[]]}), "input[0]", "must not be an empty list");
    refuse(
        json!({"model": "e", "input": 5}),
        "input",
        "must be a string or a list of strings or of token ids, not an integer",
    );
    refuse(
        json!({"model": "e", "input": ["a", 1]}),
        "input[1]",
        "must be a string or a list of token ids, not an integer",
    );
    refuse(
        json!({"model": "e", "input": [1.5]}),
        "input[0]",
        "must be an integer of at least 0, not a decimal number",
    );
    refuse(
        json!({"model": "e", "input": "a", "encoding_format": "int8"}),
        "encoding_format",
        "must be one of 'float', 'base64', not 'int8'",
    );
    refuse(
        json!({"model": "e", "input": "a", "dimensions": "256"}),
        "dimensions",
        "must be an integer of at least 0, not a string",
    );
}

/// What is written for OpenAI, and what is lost.
fn written(request: &ChatRequest) -> (Value, Vec<String>) {
    let outbound = encode_chat(request, Extensions::Omit, &EncodeOptions::default()).unwrap();
    let lost = outbound.lost.names().map(str::to_owned).collect();
    (serde_json::from_slice(&outbound.body).unwrap(), lost)
}

fn chat(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

#[test]
fn pictures_of_tools_answers_follow_in_a_message_of_the_user() {
    let picture = || Part::Image {
        source: MediaSource::Base64 { media_type: "image/png".to_owned(), data: "iVBO".to_owned() },
        detail: None,
        cache_control: None,
    };
    let result = |id: &str, content: Vec<Part>| {
        let (call_id, is_error, cache_control) = (id.to_owned(), false, None);
        Part::ToolResult { call_id, content, is_error, cache_control }
    };
    let request = chat(vec![
        message(
            Role::Tool,
            vec![result("a", vec![Part::text("seen"), picture()]), result("b", vec![picture()])],
        ),
        message(Role::Tool, vec![result("c", vec![Part::text("plain")])]),
        message(Role::User, vec![Part::text("and?")]),
    ]);
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}});
    let named = |id: &str| json!({"type": "text", "text": format!("Result of the tool call {id}:")});
    let expect = json!([
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "tool", "tool_call_id": "b", "content": "The result is shown in the next message."},
        {"role": "tool", "tool_call_id": "c", "content": "plain"},
        {"role": "user", "content": [named("a"), image, named("b"), image]},
        {"role": "user", "content": "and?"},
    ]);
    assert_eq!(written(&request), (json!({"model": "m", "messages": expect}), vec![]));
}

#[test]
fn documents_of_words_in_a_tools_answer_are_its_text() {
    let document = |title: Option<&str>, words: &str| Part::File {
        source: MediaSource::Text(words.to_owned()),
        filename: title.map(str::to_owned),
        context: None,
        citations: true,
        cache_control: None,
    };
    let result = |id: &str, content: Vec<Part>| {
        let (call_id, is_error, cache_control) = (id.to_owned(), false, None);
        Part::ToolResult { call_id, content, is_error, cache_control }
    };
    let one = result("a", vec![document(Some("Tower"), "tall")]);
    let two = result("b", vec![Part::text("seen:"), document(None, "old")]);
    let expect = json!([
        {"role": "tool", "tool_call_id": "a", "content": "Tower\ntall"},
        {"role": "tool", "tool_call_id": "b", "content": [
            {"type": "text", "text": "seen:"}, {"type": "text", "text": "old"}]},
    ]);
    let written = written(&chat(vec![message(Role::Tool, vec![one, two])]));
    assert_eq!(written, (json!({"model": "m", "messages": expect}), vec!["citations".to_owned()]));
}

#[test]
fn custom_tools_and_their_calls_are_written() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "audio": {"id": "audio_1"},
                "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "y"},
        ],
        "tools": [{"type": "custom", "custom": {"name": "shell", "format": {"type": "text"}}}],
        "tool_choice": {"type": "custom", "custom": {"name": "shell"}},
    });
    assert_eq!(written(&decode(&body)), (body, vec![]));
}

#[test]
fn what_openai_has_no_form_for_is_named_as_lost() {
    let native =
        Part::Native(Native { dialect: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) });
    let cited = Part::Text {
        text: "x".to_owned(),
        cache_control: Some(CacheControl { ttl: None }),
        citations: vec![Citation::default()],
    };
    let picture =
        Part::Image { source: MediaSource::Url("https://x".to_owned()), detail: None, cache_control: None };
    let file = Part::File {
        source: MediaSource::FileId("f".to_owned()),
        filename: None,
        context: Some("c".to_owned()),
        citations: true,
        cache_control: None,
    };
    let failed =
        Part::ToolResult { call_id: "c".to_owned(), content: vec![], is_error: true, cache_control: None };
    let thought = Part::Reasoning { text: "r".to_owned(), signature: None };
    let mut request = chat(vec![
        message(Role::User, vec![native.clone()]),
        message(Role::User, vec![file]),
        message(Role::Assistant, vec![thought, native, cited, picture]),
        message(Role::Tool, vec![failed]),
    ]);
    request.dialect = Dialect::Anthropic;
    request.reasoning = Some(Reasoning::Disabled);
    request.native.insert("container".to_owned(), json!("c"));
    request.extra.insert("web_search_options".to_owned(), json!({"type": "web_search", "filters": {}}));
    let (body, lost) = written(&request);
    let expect = [
        "server_tool_use",
        "context",
        "citations",
        "images",
        "cache_control",
        "reasoning",
        "is_error",
        "web_search_options",
        "thinking",
        "container",
    ];
    assert_eq!(lost, expect);
    assert_eq!(body["messages"][0]["content"], "", "a list must not be empty");
    assert_eq!(body["messages"][2], json!({"role": "assistant", "content": "x"}));
    assert_eq!(body["web_search_options"], json!({}));
}

#[test]
fn hosted_tools_of_another_dialect_are_refused_but_for_the_search() {
    let tools = |tools: Value| {
        let mut request = chat(vec![message(Role::User, vec![Part::text("x")])]);
        request.dialect = Dialect::Anthropic;
        request.extra.insert("tools".to_owned(), tools);
        encode_chat(&request, Extensions::Omit, &EncodeOptions::default())
    };
    let search = tools(json!([{"type": "web_search_20250305", "name": "web_search"}])).unwrap();
    let body: Value = serde_json::from_slice(&search.body).unwrap();
    assert_eq!((body.get("tools"), &body["web_search_options"]), (None, &json!({})));
    let refused = tools(json!([{"type": "bash_20250124", "name": "bash"}]));
    assert_eq!(refused, Err(EncodeError::Unsupported { params: vec!["tools".to_owned()] }));
}

#[test]
fn every_published_parameter_is_in_the_table_once() {
    let names: Vec<&str> = CAPABILITIES.iter().map(|(name, _)| *name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    for name in CHAT_PARAMS {
        assert!(names.contains(name), "{name}");
        assert!(tollgate_dialect::responses::CAPABILITIES.iter().any(|(listed, _)| listed == name), "{name}");
    }
}

#[test]
fn documents_of_words_are_texts_since_chat_reads_no_files_but_pdfs() {
    let document = Part::File {
        source: MediaSource::Text("The sky is blue.".to_owned()),
        filename: Some("sky".to_owned()),
        context: None,
        citations: true,
        cache_control: None,
    };
    let message = Message { role: Role::User, parts: vec![Part::text("Read"), document], name: None };
    let request = ChatRequest { model: "m".to_owned(), messages: vec![message], ..ChatRequest::default() };
    let outbound = encode_chat(&request, Extensions::Omit, &EncodeOptions::default()).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"type": "text", "text": "Read"}, {"type": "text", "text": "sky\nThe sky is blue."}])
    );
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), ["citations"]);
}
