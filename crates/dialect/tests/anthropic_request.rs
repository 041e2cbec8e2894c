//! Chat requests as Anthropic's Messages bodies: one golden file per shape.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use std::path::Path;
use tollgate_dialect::anthropic::{ANSWER_TOOL, encode_chat};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Effort, Issuer, MediaSource, Message, Part, Reasoning, ResponseFormat, Role,
    Sampling, Signature, Tool, ToolChoice,
};
use tollgate_dialect::wire::{EncodeOptions, Outbound};

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn said(role: Role, text: &str) -> Message {
    message(role, vec![Part::text(text)])
}

fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "claude-sonnet-4-5".to_owned(), messages, ..ChatRequest::default() }
}

fn asked() -> ChatRequest {
    request(vec![said(Role::User, "Hello")])
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Part::ToolCall { id, name, arguments, is_custom: false, signature: None }
}

fn result(call_id: &str, content: Vec<Part>) -> Message {
    let call_id = call_id.to_owned();
    message(Role::Tool, vec![Part::ToolResult { call_id, content, is_error: false, cache_control: None }])
}

fn base64(media_type: &str, data: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

fn image(source: MediaSource) -> Part {
    Part::Image { source, detail: Some("high".to_owned()), cache_control: None }
}

fn file(source: MediaSource, filename: Option<&str>) -> Part {
    Part::File {
        source,
        filename: filename.map(str::to_owned),
        context: None,
        citations: false,
        cache_control: None,
    }
}

fn tool(name: &str, parameters: Option<Value>) -> Tool {
    let description = Some(format!("Does {name}"));
    Tool { name: name.to_owned(), description, parameters, ..Tool::default() }
}

fn weather() -> Tool {
    tool("weather", Some(json!({"properties": {"city": {"type": "string"}}, "required": ["city"]})))
}

fn person() -> ResponseFormat {
    ResponseFormat::JsonSchema {
        name: "person".to_owned(),
        description: Some("Someone".to_owned()),
        schema: json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}}),
        strict: Some(true),
    }
}

fn extra(members: Value) -> Map<String, Value> {
    members.as_object().unwrap().clone()
}

fn mark(ttl: Option<&str>) -> Option<CacheControl> {
    Some(CacheControl { ttl: ttl.map(str::to_owned) })
}

fn native() -> EncodeOptions {
    EncodeOptions { native_structured_output: true, ..EncodeOptions::default() }
}

fn by_level() -> EncodeOptions {
    EncodeOptions { reasoning_by_level: true, ..EncodeOptions::default() }
}

fn dropping() -> EncodeOptions {
    EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() }
}

/// The body must be the golden file's JSON, member for member and in its order.
fn check(name: &str, request: &ChatRequest, options: &EncodeOptions) -> Outbound {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/anthropic/{name}.json"));
    let outbound = encode_chat(request, options).unwrap();
    let body: Value = serde_json::from_slice(&outbound.body).unwrap();
    let golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap_or_default()).unwrap_or_default();
    assert_eq!(body.to_string(), golden.to_string(), "{name}: wrote\n{body:#}");
    assert_eq!(outbound.path, "/v1/messages");
    assert_eq!(outbound.headers.first(), Some(&("anthropic-version", "2023-06-01".to_owned())));
    outbound
}

fn beta(outbound: &Outbound) -> Option<&str> {
    outbound.headers.iter().find(|(name, _)| *name == "anthropic-beta").map(|(_, value)| value.as_str())
}

#[test]
fn a_plain_question_is_a_string_with_the_default_limit() {
    let outbound = check("plain", &asked(), &EncodeOptions::default());
    assert_eq!((outbound.headers.len(), outbound.reading.answer_tool), (1, None));
}

#[test]
fn instructions_from_anywhere_become_the_system_text_in_order() {
    let messages = vec![
        said(Role::System, "Be brief."),
        said(Role::User, "Hello"),
        said(Role::Developer, "Answer in French."),
        said(Role::System, "  \n"),
        said(Role::User, "Well?"),
    ];
    check("system_lifted", &request(messages), &EncodeOptions::default());
}

#[test]
fn cache_marks_stay_on_their_blocks() {
    let marked = |text: &str, ttl| Part::Text {
        text: text.to_owned(),
        cache_control: mark(ttl),
        citations: Vec::new(),
    };
    let mut request = request(vec![
        message(Role::System, vec![marked("Long rules.", None)]),
        message(
            Role::User,
            vec![
                marked("Long text.", Some("1h")),
                Part::Image {
                    source: base64("image/jpg", "aW1n"),
                    detail: None,
                    cache_control: mark(Some("5m")),
                },
            ],
        ),
    ]);
    request.tools = vec![Tool { cache_control: mark(None), ..weather() }];
    check("cache_marks", &request, &EncodeOptions::default());
}

#[test]
fn turns_merge_alternate_and_lose_blank_text() {
    let messages = vec![
        said(Role::Assistant, "I spoke first."),
        said(Role::User, ""),
        said(Role::Assistant, "And again."),
        said(Role::Assistant, "  "),
        said(Role::User, "One"),
        said(Role::Assistant, "\n"),
        message(Role::User, vec![Part::text(" "), Part::text("Two")]),
        message(Role::Assistant, vec![Part::text("Prefill:"), Part::text("{ \n"), Part::text(" ")]),
    ];
    check("turns", &request(messages), &EncodeOptions::default());
}

#[test]
fn only_instructions_get_a_placeholder_question() {
    check("system_only", &request(vec![said(Role::System, "Greet.")]), &EncodeOptions::default());
}

#[test]
fn parallel_calls_are_answered_in_one_turn_with_results_first() {
    let mut request = request(vec![
        said(Role::User, "Weather in Oslo and Rome?"),
        message(
            Role::Assistant,
            vec![
                Part::text("Looking."),
                call("call.1", "weather", "{\"city\": \"Oslo\"}"),
                call("call_1", "weather", ""),
            ],
        ),
        result("call_1", vec![Part::text("Sun")]),
        message(
            Role::Tool,
            vec![Part::ToolResult {
                call_id: "call.1".to_owned(),
                content: vec![Part::text("No such city"), image(base64("image/png", "aW1n"))],
                is_error: true,
                cache_control: mark(None),
            }],
        ),
        said(Role::User, "And?"),
    ]);
    request.tools = vec![weather(), tool("now", None)];
    check("parallel_tools", &request, &EncodeOptions::default());
}

#[test]
fn results_that_say_nothing_have_no_content() {
    let mut request = request(vec![
        said(Role::User, "Go"),
        message(Role::Assistant, vec![call("a", "now", "null")]),
        result("a", vec![Part::text("")]),
    ]);
    request.tools = vec![tool("now", None)];
    check("empty_result", &request, &EncodeOptions::default());
}

#[test]
fn past_calls_without_tools_declare_and_forbid_them() {
    let history = vec![
        said(Role::User, "Go"),
        message(
            Role::Assistant,
            vec![call("a", "now", "{}"), call("b", "now", "{}"), call("c", "then", "{}")],
        ),
        result("a", vec![Part::text("1")]),
        result("b", vec![Part::text("2")]),
        result("c", vec![Part::text("3")]),
    ];
    check("tools_declared", &request(history), &EncodeOptions::default());
}

#[test]
fn pictures_and_documents_come_as_bytes_addresses_and_ids() {
    let messages = vec![message(
        Role::User,
        vec![
            image(base64("IMAGE/PNG; x=y", "aW1n")),
            image(MediaSource::Url("https://example.org/a.webp".to_owned())),
            image(MediaSource::FileId("file_1".to_owned())),
            file(base64("application/pdf", "cGRm"), Some("report.pdf")),
            file(MediaSource::Url("HTTPS://example.org/a.pdf".to_owned()), None),
            file(MediaSource::FileId("file_2".to_owned()), Some("")),
            file(base64("text/plain; charset=utf-8", "Z3LDvG4="), Some("note.txt")),
            file(base64("image/gif", "Z2lm"), Some("a.gif")),
        ],
    )];
    let outbound = check("media", &request(messages), &EncodeOptions::default());
    assert_eq!(beta(&outbound), Some("files-api-2025-04-14"));
}

#[test]
fn signed_reasoning_goes_back_and_unsigned_reasoning_stays_here() {
    let reasoning = |signature: Option<&str>| Part::Reasoning {
        text: "Hm.".to_owned(),
        signature: signature.map(|text| Signature::new(Issuer::Anthropic, text)),
    };
    let messages = vec![
        said(Role::User, "Think"),
        message(
            Role::Assistant,
            vec![
                reasoning(Some("sig")),
                reasoning(None),
                reasoning(Some("")),
                Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "opaque") },
                Part::Refusal("I would rather not.".to_owned()),
            ],
        ),
        said(Role::User, "Go on"),
    ];
    check("reasoning_history", &request(messages), &EncodeOptions::default());
}

#[test]
fn sampling_goes_out_under_the_wires_names() {
    let request = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.9),
            top_k: Some(40),
            max_tokens: Some(100),
            stop: vec!["END".to_owned(), "\n\nHuman:".to_owned()],
            n: Some(1),
            logprobs: Some(false),
            presence_penalty: Some(0.0),
            ..Sampling::default()
        },
        user: Some("user-7".to_owned()),
        stream: true,
        include_usage: true,
        extra: extra(json!({"store": true, "stream_options": {"include_usage": true}, "seed": null,
                            "modalities": ["text"], "service_tier": "default", "metadata": {"team": "a"}})),
        ..asked()
    };
    check("sampling", &request, &EncodeOptions::default());
}

#[test]
fn what_may_be_dropped_is_left_out_or_brought_into_range() {
    let request = ChatRequest {
        sampling: Sampling {
            temperature: Some(1.7),
            stop: vec![" ".to_owned()],
            seed: Some(7),
            n: Some(2),
            logprobs: Some(true),
            top_logprobs: Some(3),
            presence_penalty: Some(0.4),
            frequency_penalty: Some(0.4),
            logit_bias: Some(extra(json!({"1": 2}))),
            ..Sampling::default()
        },
        user: Some("ann@example.org".to_owned()),
        extra: extra(json!({"audio": {"voice": "x"}, "service_tier": "flex", "unheard_of": 1})),
        ..asked()
    };
    check("dropped", &request, &dropping());
}

#[test]
fn a_model_that_refuses_sampling_gets_none() {
    let sampling = Sampling { temperature: Some(1.0), top_p: Some(1.0), ..Sampling::default() };
    let options = EncodeOptions { rejects_sampling: true, ..EncodeOptions::default() };
    check("plain", &ChatRequest { sampling, ..asked() }, &options);
    let sampling = Sampling { temperature: Some(0.2), top_k: Some(4), ..Sampling::default() };
    let options = EncodeOptions { rejects_sampling: true, ..dropping() };
    check("plain", &ChatRequest { sampling, ..asked() }, &options);
}

#[test]
fn tool_choices_have_their_words() {
    let with = |tool_choice, parallel_tool_calls| ChatRequest {
        tools: vec![weather()],
        tool_choice,
        parallel_tool_calls,
        ..asked()
    };
    let choice_of = |request: &ChatRequest| {
        let body = encode_chat(request, &EncodeOptions::default()).unwrap().body;
        serde_json::from_slice::<Value>(&body).unwrap().get("tool_choice").cloned().unwrap_or_default()
    };
    let check = |choice, parallel, expect: Value| assert_eq!(choice_of(&with(choice, parallel)), expect);
    check(None, None, Value::Null);
    check(None, Some(true), Value::Null);
    check(None, Some(false), json!({"type": "auto", "disable_parallel_tool_use": true}));
    check(Some(ToolChoice::Auto), None, json!({"type": "auto"}));
    check(Some(ToolChoice::None), Some(false), json!({"type": "none"}));
    check(Some(ToolChoice::Required), None, json!({"type": "any"}));
    check(Some(ToolChoice::Required), Some(false), json!({"type": "any", "disable_parallel_tool_use": true}));
    let weather = || Some(ToolChoice::Function("weather".to_owned()));
    check(weather(), Some(true), json!({"type": "tool", "name": "weather"}));
    let no_tools = ChatRequest { tools: Vec::new(), ..with(Some(ToolChoice::Required), Some(false)) };
    assert_eq!(choice_of(&no_tools), Value::Null);
}

#[test]
fn strict_tools_are_held_to_the_enforced_schema_where_the_model_can() {
    let strict = Tool { strict: Some(true), ..weather() };
    let request = ChatRequest { tools: vec![strict], ..asked() };
    check("tool_strict", &request, &native());
    check("tool_lenient", &request, &EncodeOptions::default());
}

#[test]
fn a_schema_for_the_answer_is_native_where_the_model_can() {
    let request = ChatRequest { response_format: Some(person()), ..asked() };
    let outbound = check("format_native", &request, &native());
    assert_eq!(outbound.reading.answer_tool, None);
}

#[test]
fn elsewhere_a_tool_stands_in_for_the_answer() {
    let request = ChatRequest { response_format: Some(person()), ..asked() };
    let outbound = check("format_tool", &request, &EncodeOptions::default());
    assert_eq!(outbound.reading.answer_tool.as_deref(), Some(ANSWER_TOOL));
    let request = ChatRequest { response_format: Some(ResponseFormat::JsonObject), ..asked() };
    check("format_json_object", &request, &native());
    let request = ChatRequest { response_format: Some(ResponseFormat::Text), ..asked() };
    check("plain", &request, &native());
}

#[test]
fn beside_the_callers_tools_any_tool_may_come_but_one_must() {
    let request = ChatRequest {
        response_format: Some(person()),
        tools: vec![weather(), tool(ANSWER_TOOL, None)],
        ..asked()
    };
    let outbound = check("format_beside_tools", &request, &EncodeOptions::default());
    assert_eq!(outbound.reading.answer_tool.as_deref(), Some("json_tool_call_"));
}

#[test]
fn an_answer_tool_is_not_forced_on_a_model_that_thinks_or_refuses_it() {
    let request = ChatRequest {
        response_format: Some(person()),
        reasoning: Some(Reasoning::Effort(Effort::Low)),
        ..asked()
    };
    check("format_thinking", &request, &EncodeOptions::default());
    let request = ChatRequest { reasoning: None, ..request };
    let options = EncodeOptions { rejects_forced_tools: true, ..EncodeOptions::default() };
    check("format_unforced", &request, &options);
}

#[test]
fn levels_of_effort_are_budgets_or_levels() {
    let thinking = |reasoning: Reasoning, max_tokens: Option<u64>, options: &EncodeOptions| {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        let request = ChatRequest { reasoning: Some(reasoning), sampling, ..asked() };
        let body = encode_chat(&request, options).unwrap().body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let budget = body["thinking"]["budget_tokens"].as_u64();
        let kind = body["thinking"]["type"].as_str().unwrap_or_default().to_owned();
        let effort = body["output_config"]["effort"].as_str().unwrap_or_default().to_owned();
        (kind, budget, effort, body["max_tokens"].as_u64().unwrap())
    };
    let tokens = EncodeOptions::default();
    let budgets = |reasoning, max_tokens, expect: (&str, Option<u64>, u64)| {
        let (kind, budget, effort, limit) = thinking(reasoning, max_tokens, &tokens);
        assert_eq!((kind.as_str(), budget, limit, effort.as_str()), (expect.0, expect.1, expect.2, ""));
    };
    budgets(Reasoning::Effort(Effort::None), None, ("", None, 4_096));
    budgets(Reasoning::Effort(Effort::Minimal), None, ("enabled", Some(1_024), 5_120));
    budgets(Reasoning::Effort(Effort::Low), Some(2_000), ("enabled", Some(1_024), 2_000));
    budgets(Reasoning::Effort(Effort::Medium), None, ("enabled", Some(2_048), 6_144));
    budgets(Reasoning::Effort(Effort::High), Some(4_096), ("enabled", Some(2_048), 4_096));
    budgets(Reasoning::Effort(Effort::High), Some(1_025), ("enabled", Some(1_024), 1_025));
    budgets(Reasoning::Effort(Effort::XHigh), None, ("enabled", Some(8_192), 12_288));
    budgets(Reasoning::Effort(Effort::Max), None, ("enabled", Some(16_384), 20_480));
    budgets(Reasoning::Budget(5_000), Some(6_000), ("enabled", Some(5_000), 6_000));
    budgets(Reasoning::Budget(0), None, ("disabled", None, 4_096));
    budgets(Reasoning::Disabled, None, ("disabled", None, 4_096));

    let by_level = by_level();
    let levels = |reasoning, expect: (&str, &str)| {
        let (kind, budget, effort, limit) = thinking(reasoning, None, &by_level);
        assert_eq!((kind.as_str(), effort.as_str(), budget, limit), (expect.0, expect.1, None, 4_096));
    };
    levels(Reasoning::Effort(Effort::None), ("disabled", ""));
    levels(Reasoning::Effort(Effort::Minimal), ("adaptive", "low"));
    levels(Reasoning::Effort(Effort::Low), ("adaptive", "low"));
    levels(Reasoning::Effort(Effort::Medium), ("adaptive", "medium"));
    levels(Reasoning::Effort(Effort::High), ("adaptive", "high"));
    levels(Reasoning::Effort(Effort::XHigh), ("adaptive", "xhigh"));
    levels(Reasoning::Effort(Effort::Max), ("adaptive", "max"));
    levels(Reasoning::Budget(2_047), ("adaptive", "low"));
    levels(Reasoning::Budget(2_048), ("adaptive", "medium"));
    levels(Reasoning::Budget(32_000), ("adaptive", "high"));
    levels(Reasoning::Disabled, ("disabled", ""));
}

#[test]
fn the_catalogues_limit_stands_where_the_caller_names_none() {
    let limit = |options: &EncodeOptions, request: &ChatRequest| {
        let body = encode_chat(request, options).unwrap().body;
        serde_json::from_slice::<Value>(&body).unwrap()["max_tokens"].as_u64().unwrap()
    };
    let catalogued = EncodeOptions { default_max_tokens: Some(64_000), ..EncodeOptions::default() };
    let high = ChatRequest { reasoning: Some(Reasoning::Effort(Effort::High)), ..asked() };
    let native = ChatRequest {
        extra: extra(json!({"thinking": {"type": "enabled", "budget_tokens": 10_000}})),
        ..asked()
    };
    assert_eq!(limit(&catalogued, &asked()), 64_000);
    assert_eq!(limit(&catalogued, &high), 64_000);
    assert_eq!(limit(&EncodeOptions::default(), &high), 8_192);
    assert_eq!(limit(&EncodeOptions::default(), &native), 14_096);
}

#[test]
fn a_tool_loop_without_thinking_blocks_goes_on_without_a_budget() {
    let thought =
        Part::Reasoning { text: "Hm.".to_owned(), signature: Some(Signature::new(Issuer::Anthropic, "s")) };
    let kind = |first: Option<Part>, later: Vec<Message>, options: &EncodeOptions| {
        let mut parts: Vec<Part> = first.into_iter().collect();
        parts.push(call("a", "weather", "{}"));
        let mut messages = vec![
            said(Role::User, "Go"),
            message(Role::Assistant, parts),
            result("a", vec![Part::text("1")]),
            message(Role::Assistant, vec![call("b", "weather", "{}")]),
            result("b", vec![Part::text("2")]),
        ];
        messages.extend(later);
        let reasoning = Some(Reasoning::Effort(Effort::Low));
        let request = ChatRequest { reasoning, tools: vec![weather()], ..request(messages) };
        let body: Value = serde_json::from_slice(&encode_chat(&request, options).unwrap().body).unwrap();
        body["thinking"]["type"].as_str().unwrap_or("none").to_owned()
    };
    let tokens = EncodeOptions::default();
    assert_eq!(kind(None, Vec::new(), &tokens), "none");
    assert_eq!(kind(Some(thought), Vec::new(), &tokens), "enabled");
    assert_eq!(kind(None, Vec::new(), &by_level()), "adaptive");
    let next = vec![said(Role::Assistant, "Done."), said(Role::User, "Next")];
    assert_eq!(kind(None, next, &tokens), "enabled");
}

#[test]
fn sampling_that_thinking_forbids_may_be_dropped() {
    let request = ChatRequest {
        reasoning: Some(Reasoning::Effort(Effort::High)),
        tools: vec![weather()],
        tool_choice: Some(ToolChoice::Required),
        sampling: Sampling {
            temperature: Some(0.3),
            top_p: Some(0.97),
            top_k: Some(5),
            max_tokens: Some(9_000),
            ..Sampling::default()
        },
        ..asked()
    };
    check("thinking_dropped", &request, &dropping());
}

#[test]
fn anthropics_own_members_pass_with_the_headers_that_they_need() {
    let request = ChatRequest {
        reasoning: Some(Reasoning::Effort(Effort::Medium)),
        response_format: Some(person()),
        user: Some("a".to_owned()),
        extra: extra(json!({
            "thinking": {"type": "adaptive", "display": "omitted"},
            "container": {"skills": [{"type": "anthropic", "skill_id": "pdf"}]},
            "context_management": {"edits": [{"type": "compact_20260112"}]},
            "mcp_servers": [{"type": "url", "name": "m", "url": "https://mcp.example.org"}],
            "output_config": {"effort": "max", "task_budget": {"type": "tokens", "total": 20_000}},
            "speed": "fast",
            "service_tier": "standard_only",
            "metadata": {"user_id": "b"},
            "inference_geo": null
        })),
        ..asked()
    };
    let options = EncodeOptions { native_structured_output: true, ..by_level() };
    let outbound = check("native_members", &request, &options);
    let expect = "context-management-2025-06-27,mcp-client-2025-11-20,fast-mode-2026-02-01,\
                  compact-2026-01-12,skills-2025-10-02,task-budgets-2026-03-13";
    assert_eq!(beta(&outbound), Some(expect));
}

#[test]
fn mcp_servers_that_configure_their_tools_speak_the_first_beta() {
    let server = json!({"type": "url", "name": "m", "url": "https://m.example.org",
                        "tool_configuration": {"enabled": true}});
    let request = ChatRequest { extra: extra(json!({"mcp_servers": [server]})), ..asked() };
    let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
    assert_eq!(beta(&outbound), Some("mcp-client-2025-04-04"));
}

#[test]
fn web_search_options_become_the_search_tool() {
    let options = json!({"web_search_options": {
        "search_context_size": "medium",
        "user_location": {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}
    }});
    check("web_search", &ChatRequest { extra: extra(options), ..asked() }, &EncodeOptions::default());
}

#[test]
fn the_providers_own_tools_stand_beside_functions() {
    let own = json!({
        "tools": [
            {"type": "web_search_20260209", "name": "web_search", "max_uses": 2},
            {"type": "computer_20251124", "name": "computer", "display_width_px": 800, "display_height_px": 600},
            {"type": "custom", "name": "g", "input_schema": {"type": "object"}}
        ],
        "web_search_options": {}
    });
    let request = ChatRequest { tools: vec![weather()], extra: extra(own), ..asked() };
    let outbound = check("hosted_tools", &request, &EncodeOptions::default());
    assert_eq!(beta(&outbound), Some("computer-use-2025-11-24"));
}
