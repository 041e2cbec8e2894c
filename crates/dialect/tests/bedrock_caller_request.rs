//! Converse requests of callers, read into the conversation model and written for Bedrock again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use std::path::Path;
use tollgate_dialect::bedrock::{decode_request, encode_chat};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Effort, Issuer, MediaSource, Message, Native, Part, Reasoning, ResponseFormat,
    Role, Signature, ToolChoice,
};
use tollgate_dialect::wire::{Dialect, EncodeOptions};

fn decode(body: Value) -> ChatRequest {
    decode_request(body.to_string().as_bytes()).unwrap()
}

fn content(blocks: Value) -> Vec<Message> {
    decode(json!({"messages": [{"role": "user", "content": blocks}]})).messages
}

/// One block of a user, as the one part that it is.
fn part(block: Value) -> Part {
    let mut messages = content(json!([block]));
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].parts.len(), 1, "{messages:?}");
    messages.remove(0).parts.remove(0)
}

fn file(source: MediaSource, name: &str) -> Part {
    Part::File {
        source,
        filename: Some(name.to_owned()),
        context: None,
        citations: false,
        cache_control: None,
    }
}

fn base64(media_type: &str, data: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

fn there_and_back(body: &Value, model: &str) -> Value {
    let mut request = decode_request(body.to_string().as_bytes()).unwrap();
    request.model = model.to_owned();
    let options = EncodeOptions {
        native_structured_output: true,
        reasoning_by_level: true,
        ..EncodeOptions::default()
    };
    let outbound = encode_chat(&request, &options).unwrap();
    assert!(outbound.lost.is_empty(), "{:?}", outbound.lost);
    serde_json::from_slice(&outbound.body).unwrap()
}

#[test]
fn what_a_caller_says_comes_out_again_whole() {
    for (name, model) in [
        ("own_everything", "us.anthropic.claude-sonnet-4-6"),
        ("own_agent", "anthropic.claude-opus-4-6-v1"),
        ("own_nova", "us.amazon.nova-2-lite-v1:0"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/bedrock/{name}.json"));
        let body: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(there_and_back(&body, model), body, "{name}");
    }
}

#[test]
fn a_place_in_s3_keeps_its_format_without_an_extension() {
    let s3 = |format: &str| json!({"format": format, "source": {"s3Location": {"uri": "s3://bucket/key"}}});
    let mut document = s3("docx");
    document["name"] = json!("A");
    let content = json!([{"text": "hi"}, {"image": s3("gif")}, {"document": document}, {"audio": s3("mp3")}]);
    let body = json!({"messages": [{"role": "user", "content": content}]});
    assert_eq!(there_and_back(&body, "amazon.nova-lite-v1:0"), body);
}

#[test]
fn blocks_become_parts() {
    let check = |block: Value, expect: Part| assert_eq!(part(block.clone()), expect, "{block}");
    check(json!({"text": "hi", "image": null}), Part::text("hi"));
    let image = |source| Part::Image { source, detail: None, cache_control: None };
    check(
        json!({"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}),
        image(base64("image/jpeg", "aGk=")),
    );
    check(
        json!({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k.png"}}}}),
        image(MediaSource::Url("s3://b/k.png".to_owned())),
    );
    check(
        json!({"document": {"format": "pdf", "name": "A", "source": {"bytes": "aGk="}}}),
        file(base64("application/pdf", "aGk="), "A"),
    );
    check(
        json!({"document": {"format": "txt", "name": "A", "source": {"text": "words"}}}),
        file(MediaSource::Text("words".to_owned()), "A"),
    );
    check(
        json!({"document": {"format": "md", "name": "A", "source": {"text": "hi"}}}),
        file(base64("text/markdown", "aGk="), "A"),
    );
    check(
        json!({"document": {"name": "A", "source": {"content": [{"text": "a"}, {"text": "b"}]}}}),
        file(MediaSource::Text("a\nb".to_owned()), "A"),
    );
    let cited = json!({"format": "pdf", "name": "A", "source": {"bytes": "aGk="}, "context": "c", "citations": {"enabled": true}});
    check(
        json!({"document": cited}),
        Part::File {
            source: base64("application/pdf", "aGk="),
            filename: Some("A".to_owned()),
            context: Some("c".to_owned()),
            citations: true,
            cache_control: None,
        },
    );
    check(
        json!({"video": {"format": "three_gp", "source": {"bytes": "aGk="}}}),
        Part::File {
            source: base64("video/3gpp", "aGk="),
            filename: None,
            context: None,
            citations: false,
            cache_control: None,
        },
    );
    check(
        json!({"audio": {"format": "wav", "source": {"bytes": "aGk="}}}),
        Part::Audio { source: base64("audio/wav", "aGk="), format: "wav".to_owned(), transcript: None },
    );
    check(json!({"guardContent": {"text": {"text": "judge me"}}}), Part::text("judge me"));
    check(
        json!({"searchResult": {"source": "kb", "title": "T", "content": [{"text": "a"}, {"text": "b"}]}}),
        Part::File {
            source: MediaSource::Text("a\nb".to_owned()),
            filename: Some("T".to_owned()),
            context: Some("kb".to_owned()),
            citations: false,
            cache_control: None,
        },
    );
    let other = json!({"tomorrow": {"x": 1}});
    check(other.clone(), Part::Native(Native { dialect: Dialect::Bedrock, value: other }));
    let film = json!({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/k"}}}});
    check(film.clone(), Part::Native(Native { dialect: Dialect::Bedrock, value: film }));
}

#[test]
fn reasoning_has_its_issuers_signature() {
    let message = |block: Value| {
        let body = json!({"messages": [
            {"role": "user", "content": [{"text": "hi"}]},
            {"role": "assistant", "content": [{"reasoningContent": block}]},
        ]});
        decode(body).messages.remove(1).parts.remove(0)
    };
    let reasoning = |signature| Part::Reasoning { text: "so".to_owned(), signature };
    let check = |block: Value, expect: Part| assert_eq!(message(block.clone()), expect, "{block}");
    check(json!({"reasoningText": {"text": "so"}}), reasoning(None));
    check(
        json!({"reasoningText": {"text": "so", "signature": "EqQB"}}),
        reasoning(Some(Signature::new(Issuer::Anthropic, "EqQB"))),
    );
    check(
        json!({"reasoningText": {"text": "so", "signature": "tollgate.openai.rs_1.x"}}),
        reasoning(Some(Signature::new(Issuer::OpenAi, "rs_1.x"))),
    );
    check(
        json!({"redactedContent": "EqQB"}),
        Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "EqQB") },
    );
}

#[test]
fn cache_points_mark_the_part_before_them() {
    let mark = |ttl: Option<&str>| Some(CacheControl { ttl: ttl.map(str::to_owned) });
    let body = json!({
        "system": [{"text": "be brief"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [
            {"toolResult": {"toolUseId": "t", "content": [{"text": "rain"}]}},
            {"cachePoint": {"type": "default"}},
            {"text": "go on"},
            {"cachePoint": {"type": "default", "ttl": "5m"}},
            {"cachePoint": {"type": "default"}},
        ]}],
        "toolConfig": {"tools": [
            {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}},
            {"cachePoint": {"type": "default"}},
        ]},
    });
    let request = decode(body);
    let marked = |text: &str, cache_control| Part::Text {
        text: text.to_owned(),
        cache_control,
        citations: Vec::new(),
    };
    assert_eq!(request.messages[0].parts, [marked("be brief", mark(Some("1h")))]);
    assert_eq!(request.messages[1].role, Role::Tool);
    assert!(
        matches!(&request.messages[1].parts[..], [Part::ToolResult { cache_control, .. }] if *cache_control == mark(None))
    );
    let second = json!({"cachePoint": {"type": "default"}});
    assert_eq!(
        request.messages[2].parts,
        [
            marked("go on", mark(Some("5m"))),
            Part::Native(Native { dialect: Dialect::Bedrock, value: second })
        ]
    );
    assert_eq!(request.tools[0].cache_control, mark(None));
}

#[test]
fn results_of_tools_are_messages_of_their_own() {
    let messages = content(json!([
        {"toolResult": {"toolUseId": "a", "content": [{"json": {"deg": 3}}], "status": "success"}},
        {"toolResult": {"toolUseId": "b", "content": [{"image": {"format": "png", "source": {"bytes": "aGk="}}}], "status": "error"}},
        {"text": "well?"},
    ]));
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Tool, Role::User]);
    assert_eq!(
        messages[0].parts,
        [
            Part::ToolResult {
                call_id: "a".to_owned(),
                content: vec![Part::text(r#"{"deg":3}"#)],
                is_error: false,
                cache_control: None,
            },
            Part::ToolResult {
                call_id: "b".to_owned(),
                content: vec![Part::Image {
                    source: base64("image/png", "aGk="),
                    detail: None,
                    cache_control: None
                }],
                is_error: true,
                cache_control: None,
            },
        ]
    );
}

#[test]
fn a_call_gets_the_signature_that_travelled_before_it() {
    let data = "dG9sbGdhdGUuZ29vZ2xlLlNJRw=="; // tollgate.google.SIG
    let body = json!({"messages": [
        {"role": "user", "content": [{"text": "hi"}]},
        {"role": "assistant", "content": [
            {"reasoningContent": {"redactedContent": data}},
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
        ]},
    ]});
    assert_eq!(
        decode(body).messages[1].parts,
        [Part::ToolCall {
            id: "t".to_owned(),
            name: "f".to_owned(),
            arguments: r#"{"a":1}"#.to_owned(),
            is_custom: false,
            signature: Some(Signature::new(Issuer::Google, "SIG")),
        }]
    );
}

#[test]
fn tools_of_amazons_own_are_no_business_of_the_callers() {
    let request = decode(json!({
        "messages": [
            {"role": "user", "content": [{"text": "hi"}]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
                {"toolResult": {"toolUseId": "t", "content": [{"json": {}}], "type": "nova_grounding_result"}},
                {"text": "so"},
            ]},
        ],
        "toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}, {"systemTool": {"name": "nova_code_interpreter"}}]},
    }));
    assert!(matches!(request.messages[1].parts[..], [Part::Native(_), Part::Native(_), Part::Text { .. }]));
    assert_eq!(request.extra["web_search_options"], json!({}));
    assert_eq!(
        request.native["toolConfig.tools"],
        json!([{"systemTool": {"name": "nova_code_interpreter"}}])
    );
    assert!(request.tools.is_empty());
}

#[test]
fn settings_fill_the_fields_that_they_mean() {
    let request = decode(json!({
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.25, "stopSequences": ["x"], "new": 1},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {}}, "strict": true}}],
            "toolChoice": {"tool": {"name": "f"}},
        },
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"team": "a"},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{\"type\":\"object\"}", "name": "n"}}}},
    }));
    assert_eq!(request.dialect, Dialect::Bedrock);
    let sampling = &request.sampling;
    assert_eq!((sampling.max_tokens, sampling.temperature, sampling.top_p), (Some(9), Some(0.5), Some(0.25)));
    assert_eq!(sampling.stop, ["x"]);
    assert_eq!(request.tool_choice, Some(ToolChoice::Function("f".to_owned())));
    assert_eq!(request.tools[0].strict, Some(true));
    assert_eq!(request.extra["service_tier"], "flex");
    assert!(
        matches!(&request.response_format, Some(ResponseFormat::JsonSchema { name, schema, .. }) if name == "n" && *schema == json!({"type": "object"}))
    );
    let names: Vec<&str> = request.native.keys().map(String::as_str).collect();
    assert_eq!(names, ["inferenceConfig", "requestMetadata", "guardrailConfig"]);
    assert_eq!(request.native["inferenceConfig"], json!({"new": 1}));
}

#[test]
fn one_call_at_a_time_is_read_from_claudes_own_choice() {
    let check = |choice: Value, own: Value, expect: Option<ToolChoice>, is_parallel: Option<bool>| {
        let mut config = json!({"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]});
        if !choice.is_null() {
            config["toolChoice"] = choice;
        }
        let request = decode(json!({
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "toolConfig": config,
            "additionalModelRequestFields": {"tool_choice": own},
        }));
        assert_eq!((request.tool_choice, request.parallel_tool_calls), (expect, is_parallel), "{own}");
    };
    let single = json!({"disable_parallel_tool_use": true});
    check(json!({"any": {}}), single.clone(), Some(ToolChoice::Required), Some(false));
    check(Value::Null, single, None, Some(false));
    let both = json!({"type": "auto", "disable_parallel_tool_use": true});
    check(Value::Null, both, Some(ToolChoice::Auto), Some(false));
    check(json!({"any": {}}), json!({"name": "f"}), Some(ToolChoice::Required), None);
}

#[test]
fn a_models_own_parameters_are_understood() {
    let check = |fields: Value, expect: Option<Reasoning>, top_k: Option<u64>, left: Value| {
        let request = decode(json!({
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "additionalModelRequestFields": fields,
        }));
        assert_eq!(request.reasoning, expect, "{fields}");
        assert_eq!(request.sampling.top_k, top_k, "{fields}");
        let found = request.native.get("additionalModelRequestFields").cloned().unwrap_or(json!({}));
        assert_eq!(found, left, "{fields}");
    };
    check(
        json!({"thinking": {"type": "enabled", "budget_tokens": 2000}, "anthropic_beta": ["b"]}),
        Some(Reasoning::Budget(2000)),
        None,
        json!({"anthropic_beta": ["b"]}),
    );
    check(json!({"reasoning_config": {"type": "disabled"}}), Some(Reasoning::Disabled), None, json!({}));
    check(
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        Some(Reasoning::Effort(Effort::High)),
        None,
        json!({}),
    );
    let between = json!({"thinking": {"type": "enabled", "budget_tokens": 2000, "tomorrow": 1}});
    check(between.clone(), None, None, between);
    check(
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}, "inferenceConfig": {"topK": 3}}),
        Some(Reasoning::Effort(Effort::Low)),
        Some(3),
        json!({}),
    );
    check(json!({"reasoning_effort": "medium"}), Some(Reasoning::Effort(Effort::Medium)), None, json!({}));
    check(json!({"top_k": 4, "x": {"y": 1}}), None, Some(4), json!({"x": {"y": 1}}));
    check(json!({"k": 5}), None, Some(5), json!({}));
}

#[test]
fn an_effort_beside_a_budget_is_another_thing() {
    let request = decode(json!({
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        "outputConfig": {"effort": "low"},
    }));
    assert_eq!(request.reasoning, Some(Reasoning::Budget(2000)));
    assert_eq!(request.native["outputConfig"], json!({"effort": "low"}));
}

#[test]
fn wrong_members_are_named_with_their_places() {
    let check = |body: Value, place: &str| {
        let error = decode_request(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.param, place, "{body}: {error}");
    };
    let user = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    check(json!([]), "request_body");
    check(json!({}), "messages");
    check(json!({"messages": []}), "messages");
    check(json!({"messages": [{"role": "user"}]}), "messages[0].content");
    check(json!({"messages": [{"role": "tool", "content": []}]}), "messages[0].role");
    check(json!({"messages": [{"role": "user", "content": "hi"}]}), "messages[0].content");
    check(user(json!("hi")), "messages[0].content[0]");
    check(user(json!({})), "messages[0].content[0]");
    check(user(json!({"text": "a", "image": {}})), "messages[0].content[0]");
    check(user(json!({"text": 1})), "messages[0].content[0].text");
    check(user(json!({"image": {"source": {"bytes": ""}}})), "messages[0].content[0].image.format");
    check(
        user(json!({"image": {"format": "bmp", "source": {"bytes": ""}}})),
        "messages[0].content[0].image.format",
    );
    check(user(json!({"image": {"format": "png"}})), "messages[0].content[0].image.source");
    check(user(json!({"image": {"format": "png", "source": {}}})), "messages[0].content[0].image.source");
    check(
        user(json!({"document": {"format": "pdf", "source": {"bytes": ""}}})),
        "messages[0].content[0].document.name",
    );
    check(
        user(json!({"document": {"format": "exe", "name": "a", "source": {"bytes": ""}}})),
        "messages[0].content[0].document.format",
    );
    check(
        user(json!({"toolResult": {"toolUseId": "a", "content": [{"text": 1}]}})),
        "messages[0].content[0].toolResult.content[0].text",
    );
    check(
        user(json!({"toolResult": {"toolUseId": "a", "content": [], "status": "bad"}})),
        "messages[0].content[0].toolResult.status",
    );
    check(user(json!({"reasoningContent": {}})), "messages[0].content[0].reasoningContent");
    check(user(json!({"cachePoint": {"type": "x"}})), "messages[0].content[0].cachePoint.type");
    check(
        user(json!({"cachePoint": {"type": "default", "ttl": "2h"}})),
        "messages[0].content[0].cachePoint.ttl",
    );
    check(user(json!({"toolUse": {"toolUseId": "a", "name": "f"}})), "messages[0].content[0].toolUse.input");
    let with = |name: &str, value: Value| {
        let mut body = user(json!({"text": "hi"}));
        body[name] = value;
        body
    };
    check(with("inferenceConfig", json!({"maxTokens": -1})), "inferenceConfig.maxTokens");
    check(with("inferenceConfig", json!({"temperature": "1"})), "inferenceConfig.temperature");
    check(with("inferenceConfig", json!({"stopSequences": ["a", 1]})), "inferenceConfig.stopSequences[1]");
    check(with("toolConfig", json!({})), "toolConfig.tools");
    check(
        with("toolConfig", json!({"tools": [{"toolSpec": {"name": "f"}}]})),
        "toolConfig.tools[0].toolSpec.inputSchema",
    );
    check(with("toolConfig", json!({"tools": [], "toolChoice": {"never": {}}})), "toolConfig.toolChoice");
    check(with("additionalModelRequestFields", json!([])), "additionalModelRequestFields");
    check(with("outputConfig", json!({"effort": "huge"})), "outputConfig.effort");
    check(
        with(
            "outputConfig",
            json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "no"}}}}),
        ),
        "outputConfig.textFormat.structure.jsonSchema.schema",
    );
    check(with("serviceTier", json!({})), "serviceTier.type");
    check(with("system", json!("be brief")), "system");
}
