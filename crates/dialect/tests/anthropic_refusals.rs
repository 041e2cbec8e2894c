//! What the Anthropic encoder refuses, by name and place, and what parameters its tables hold.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use tollgate_dialect::anthropic::{CAPABILITIES, NATIVE_PARAMS, encode_chat};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Effort, Issuer, MediaSource, Message, Part, Reasoning, ResponseFormat, Role,
    Sampling, Signature, Tool, ToolChoice,
};
use tollgate_dialect::openai::CHAT_PARAMS;
use tollgate_dialect::wire::{EncodeError, EncodeOptions, Support, support};

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn asked() -> ChatRequest {
    saying(vec![Part::text("Hello")])
}

fn saying(parts: Vec<Part>) -> ChatRequest {
    conversing(vec![message(Role::User, parts)])
}

fn conversing(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() }
}

fn sampled(sampling: Sampling) -> ChatRequest {
    ChatRequest { sampling, ..asked() }
}

fn with_extra(members: Value) -> ChatRequest {
    ChatRequest { extra: members.as_object().unwrap().clone(), ..asked() }
}

fn call(id: &str, arguments: &str) -> Part {
    let arguments = arguments.to_owned();
    Part::ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments, is_custom: false, signature: None }
}

fn result(id: &str) -> Part {
    let content = vec![Part::text("1")];
    Part::ToolResult { call_id: id.to_owned(), content, is_error: false, cache_control: None }
}

fn base64(media_type: &str, data: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

fn image(source: MediaSource) -> Part {
    Part::Image { source, detail: None, cache_control: None }
}

fn file(source: MediaSource) -> Part {
    Part::File { source, filename: None, context: None, citations: false, cache_control: None }
}

fn tool(parameters: Option<Value>, cache_control: Option<CacheControl>) -> Tool {
    Tool { name: "f".to_owned(), parameters, cache_control, ..Tool::default() }
}

fn dropping() -> EncodeOptions {
    EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() }
}

/// The place that the refusal names; empty if the request was written.
fn refused_at(request: &ChatRequest, options: &EncodeOptions) -> String {
    match encode_chat(request, options) {
        Err(EncodeError::Invalid { param, message }) => {
            assert!(!message.is_empty(), "{param} says nothing");
            param
        }
        Err(EncodeError::Unsupported { params }) => format!("unsupported {}", params.join(" ")),
        Ok(_) => String::new(),
    }
}

/// Refused at the place, whether or not parameters may be dropped: content and its order are no parameters.
fn check_always(request: &ChatRequest, expect: &str) {
    assert_eq!(refused_at(request, &EncodeOptions::default()), expect);
    assert_eq!(refused_at(request, &dropping()), expect);
}

/// Refused at the place unless parameters may be dropped.
fn check_unless_dropped(request: &ChatRequest, expect: &str) {
    assert_eq!(refused_at(request, &EncodeOptions::default()), expect);
    assert_eq!(refused_at(request, &dropping()), "", "{expect}");
}

#[test]
fn all_unsupported_parameters_are_named_at_once() {
    let sampling = Sampling {
        seed: Some(7),
        n: Some(2),
        logprobs: Some(true),
        top_logprobs: Some(3),
        logit_bias: Some(Map::from_iter([("1".to_owned(), json!(2))])),
        presence_penalty: Some(0.4),
        frequency_penalty: Some(-0.4),
        ..Sampling::default()
    };
    let extra = json!({
        "audio": {"voice": "x"}, "prediction": {"type": "content"}, "verbosity": "low",
        "modalities": ["text", "audio"], "service_tier": "flex", "unheard_of": 1, "store": true, "metadata": {}
    });
    let request = ChatRequest { sampling, ..with_extra(extra) };
    let expect = "unsupported seed n logprobs top_logprobs logit_bias presence_penalty frequency_penalty audio \
                  prediction verbosity modalities unheard_of";
    check_unless_dropped(&request, expect);
    let refused = refused_at(&request, &EncodeOptions::default());
    let refuses = CAPABILITIES.iter().filter(|(_, support)| *support == Support::Refuses);
    assert!(refuses.clone().count() > 0);
    for (name, _) in refuses {
        assert!(refused.split(' ').any(|word| word == *name), "{name}");
    }
}

#[test]
fn what_is_left_out_is_noted_under_the_same_names() {
    let sampling = Sampling {
        seed: Some(7),
        temperature: Some(1.5),
        stop: vec!["\n".to_owned()],
        ..Sampling::default()
    };
    let extra = json!({"verbosity": "low", "service_tier": "flex", "store": true, "unheard_of": null});
    let request = ChatRequest { user: Some("ann@example.org".to_owned()), sampling, ..with_extra(extra) };
    let lost = encode_chat(&request, &dropping()).unwrap().lost;
    let names: Vec<&str> = lost.names().collect();
    assert_eq!(names, ["seed", "verbosity", "store", "service_tier", "stop", "temperature", "user"]);
}

#[test]
fn parameters_that_the_operator_allows_are_neither_refused_nor_lost() {
    let options = EncodeOptions {
        allowed_params: vec!["seed".to_owned(), "verbosity".to_owned()],
        ..EncodeOptions::default()
    };
    let sampling = Sampling { seed: Some(7), ..Sampling::default() };
    let request = ChatRequest { sampling, ..with_extra(json!({"verbosity": "low"})) };
    assert!(encode_chat(&request, &options).unwrap().lost.is_empty());
}

#[test]
fn tools_of_other_wires_are_refused_and_never_sent() {
    let foreign = with_extra(json!({"tools": [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "custom", "custom": {"name": "shell"}}
    ]}));
    check_unless_dropped(&foreign, "unsupported tools");
    let body = encode_chat(&foreign, &dropping()).unwrap().body;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["tools"], json!([{"type": "web_search_20250305", "name": "web_search"}]));
    check_unless_dropped(
        &with_extra(json!({"tool_choice": {"type": "allowed_tools"}})),
        "unsupported tool_choice",
    );
}

#[test]
fn the_table_holds_every_parameter_of_openais_once() {
    let mut names: Vec<&str> = CAPABILITIES.iter().map(|(name, _)| *name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for param in CHAT_PARAMS.iter().chain(&["thinking", "top_k"]) {
        assert!(names.contains(param), "{param}");
    }
}

#[test]
fn what_the_table_ignores_is_left_out_and_told_and_own_members_go_out() {
    for (name, _) in CAPABILITIES.iter().filter(|(_, support)| *support == Support::Ignores) {
        let outbound = encode_chat(&with_extra(json!({*name: "x"})), &EncodeOptions::default()).unwrap();
        assert_eq!(outbound.body, encode_chat(&asked(), &EncodeOptions::default()).unwrap().body, "{name}");
        let expect: &[&str] = if *name == "stream_options" { &[] } else { &[*name] };
        assert_eq!(outbound.lost.names().collect::<Vec<_>>(), expect);
        let allowing = EncodeOptions { allowed_params: vec![(*name).to_owned()], ..EncodeOptions::default() };
        let outbound = encode_chat(&with_extra(json!({*name: "x"})), &allowing).unwrap();
        assert!(outbound.lost.is_empty(), "{name}");
    }
    for name in NATIVE_PARAMS {
        let request = with_extra(json!({*name: {"x": 1}}));
        let body = encode_chat(&request, &EncodeOptions::default()).unwrap().body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body.get(name), Some(&json!({"x": 1})), "{name}");
    }
    assert_eq!(support(CAPABILITIES, "unheard_of"), Support::Refuses);
}

#[test]
fn sampling_out_of_range_is_named() {
    let temperature = |value| sampled(Sampling { temperature: Some(value), ..Sampling::default() });
    let top_p = |value| sampled(Sampling { top_p: Some(value), ..Sampling::default() });
    let stop = |text: &str| {
        sampled(Sampling { stop: vec!["END".to_owned(), text.to_owned()], ..Sampling::default() })
    };
    check_unless_dropped(&temperature(1.01), "temperature");
    check_unless_dropped(&temperature(-0.1), "temperature");
    check_unless_dropped(&temperature(1.0), "");
    check_unless_dropped(&top_p(1.5), "top_p");
    check_unless_dropped(&top_p(0.0), "");
    check_unless_dropped(&stop("\n"), "stop[1]");
    check_unless_dropped(&stop(""), "stop[1]");
    check_unless_dropped(&stop("x"), "");
}

#[test]
fn of_temperature_and_top_p_newer_models_get_one() {
    let check = |model: &str,
                 (temperature, top_p): (f64, f64),
                 options: &EncodeOptions,
                 expect: Value,
                 lost: &[&str]| {
        let sampling = Sampling { temperature: Some(temperature), top_p: Some(top_p), ..Sampling::default() };
        let request = ChatRequest { model: model.to_owned(), ..sampled(sampling) };
        let outbound = encode_chat(&request, options).unwrap();
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        assert_eq!(json!([body["temperature"], body["top_p"]]), expect, "{model}");
        assert_eq!(outbound.lost.names().collect::<Vec<_>>(), lost, "{model}");
    };
    let dropping = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let plain = EncodeOptions::default();
    check("claude-sonnet-4-5", (1.0, 0.95), &plain, json!([null, 0.95]), &[]);
    check("claude-sonnet-4-5", (0.5, 1.0), &plain, json!([0.5, null]), &[]);
    check("claude-sonnet-4-5", (0.5, 0.95), &dropping, json!([0.5, null]), &["top_p"]);
    check("claude-sonnet-4-5", (0.5, 0.95), &plain, json!([0.5, 0.95]), &[]);
    check("claude-3-5-haiku-20241022", (0.5, 0.95), &dropping, json!([0.5, 0.95]), &[]);
}

#[test]
fn a_model_that_refuses_sampling_says_so_before_it_is_asked() {
    let sampling =
        Sampling { temperature: Some(0.2), top_p: Some(0.5), top_k: Some(4), ..Sampling::default() };
    let options = EncodeOptions { rejects_sampling: true, ..EncodeOptions::default() };
    assert_eq!(refused_at(&sampled(sampling), &options), "unsupported temperature top_p top_k");
}

#[test]
fn what_thinking_forbids_is_named() {
    let thinking = |reasoning, sampling| ChatRequest { reasoning: Some(reasoning), ..sampled(sampling) };
    let low = || Reasoning::Effort(Effort::Low);
    let none = Sampling::default;
    let check =
        |reasoning, sampling, expect: &str| check_unless_dropped(&thinking(reasoning, sampling), expect);
    check(low(), Sampling { temperature: Some(0.9), ..none() }, "temperature");
    check(low(), Sampling { temperature: Some(1.0), ..none() }, "");
    check(low(), Sampling { top_p: Some(0.94), ..none() }, "top_p");
    check(low(), Sampling { top_p: Some(0.95), ..none() }, "");
    check(low(), Sampling { top_k: Some(1), ..none() }, "top_k");
    check(low(), Sampling { max_tokens: Some(1_024), ..none() }, "max_tokens");
    check(low(), Sampling { max_tokens: Some(1_025), ..none() }, "");
    check(Reasoning::Budget(1_023), none(), "thinking.budget_tokens");
    check(Reasoning::Budget(2_000), Sampling { max_tokens: Some(2_000), ..none() }, "max_tokens");
    check(Reasoning::Budget(2_000), Sampling { max_tokens: Some(2_001), ..none() }, "");
    let forced = |tool_choice| ChatRequest {
        tools: vec![tool(None, None)],
        tool_choice: Some(tool_choice),
        ..thinking(low(), none())
    };
    check_unless_dropped(&forced(ToolChoice::Required), "tool_choice");
    check_unless_dropped(&forced(ToolChoice::Function("f".to_owned())), "tool_choice");
    check_unless_dropped(&forced(ToolChoice::Auto), "");
    check_unless_dropped(&forced(ToolChoice::None), "");
}

#[test]
fn content_that_the_wire_does_not_have_is_named_by_its_place() {
    let audio =
        || Part::Audio { source: base64("audio/wav", "d2F2"), format: "wav".to_owned(), transcript: None };
    let said = || Part::text("x");
    check_always(&saying(vec![said(), audio()]), "messages[0].content[1].input_audio");
    check_always(&saying(vec![image(base64("image/tiff", "dA=="))]), "messages[0].content[0].image_url");
    for url in ["http://example.org/a.png", "file:///etc/passwd", "data:image/png;base64,aW1n", "", "é"] {
        check_always(
            &saying(vec![image(MediaSource::Url(url.to_owned()))]),
            "messages[0].content[0].image_url",
        );
    }
    check_always(&saying(vec![file(base64("application/zip", "eg=="))]), "messages[0].content[0].file");
    check_always(&saying(vec![file(base64("text/plain", "!"))]), "messages[0].content[0].file");
    check_always(&saying(vec![file(base64("text/plain", "/w=="))]), "messages[0].content[0].file");
    let hour = Some(CacheControl { ttl: Some("2h".to_owned()) });
    let marked = Part::Text { text: "x".to_owned(), cache_control: hour.clone(), citations: Vec::new() };
    check_always(&saying(vec![marked]), "messages[0].content[0].cache_control.ttl");
    let request = ChatRequest { tools: vec![tool(None, hour)], ..asked() };
    check_always(&request, "tools[0].cache_control.ttl");
}

#[test]
fn parts_in_a_message_of_the_wrong_role_are_named() {
    let second = |role, part| conversing(vec![message(Role::User, Vec::new()), message(role, vec![part])]);
    let check = |role, part| check_always(&second(role, part), "messages[1].content[0]");
    let picture = || image(MediaSource::FileId("f".to_owned()));
    let thought = || Part::Reasoning { text: "x".to_owned(), signature: None };
    check(Role::System, picture());
    check(Role::Developer, call("a", "{}"));
    check(Role::User, call("a", "{}"));
    check(Role::User, thought());
    check(Role::User, Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "x") });
    check(Role::Tool, Part::text("x"));
    check(Role::Assistant, picture());
    check(Role::Assistant, result("a"));
}

#[test]
fn calls_and_results_must_pair() {
    let user = || message(Role::User, vec![Part::text("x")]);
    let calls = |ids: &[&str]| message(Role::Assistant, ids.iter().map(|id| call(id, "{}")).collect());
    let results = |ids: &[&str]| message(Role::Tool, ids.iter().map(|id| result(id)).collect());
    let check = |messages: Vec<Message>, expect: &str| check_always(&conversing(messages), expect);
    check(vec![user(), calls(&["a", "b"]), results(&["b"]), results(&["a"])], "");
    check(vec![user(), calls(&["a"]), user(), results(&["a"])], "");
    check(vec![user(), results(&["a"])], "messages[1].tool_call_id");
    check(vec![user(), calls(&["a"]), results(&["b"])], "messages[2].tool_call_id");
    check(vec![user(), calls(&["a"]), results(&["a", "a"])], "messages[2].tool_call_id");
    check(vec![user(), calls(&["a"])], "messages[1].tool_calls");
    check(vec![user(), calls(&["a", "b"]), results(&["a"])], "messages[1].tool_calls");
    check(vec![user(), calls(&["a"]), user(), calls(&["b"]), results(&["a", "b"])], "messages[1].tool_calls");
    check(Vec::new(), "messages");
}

#[test]
fn arguments_must_be_an_object() {
    let with = |arguments: &str| {
        let messages = vec![
            message(Role::User, vec![Part::text("x")]),
            message(Role::Assistant, vec![Part::text("y"), call("a", arguments)]),
            message(Role::Tool, vec![result("a")]),
        ];
        conversing(messages)
    };
    let place = "messages[1].content[1].function.arguments";
    for arguments in ["", "  ", "{}", "null", "{\"a\": {\"b\": [1]}}"] {
        check_always(&with(arguments), "");
    }
    for arguments in ["{", "[]", "1", "\"x\"", "{\"a\": NaN}", "{} {}", &"[".repeat(100_000)] {
        check_always(&with(arguments), place);
    }
}

#[test]
fn schemas_must_be_objects() {
    let tools = |parameters| ChatRequest { tools: vec![tool(Some(parameters), None)], ..asked() };
    check_always(&tools(json!({"type": "string"})), "tools[0].function.parameters");
    check_always(&tools(json!([])), "tools[0].function.parameters");
    check_always(&tools(json!(null)), "");
    let format = |schema| ChatRequest {
        response_format: Some(ResponseFormat::JsonSchema {
            name: "n".to_owned(),
            description: None,
            schema,
            strict: None,
        }),
        ..asked()
    };
    let place = "response_format.json_schema.schema";
    let native = EncodeOptions { native_structured_output: true, ..EncodeOptions::default() };
    check_always(&format(json!({"type": "array"})), place);
    check_always(&format(json!("x")), place);
    assert_eq!(refused_at(&format(json!({"type": "array"})), &native), "");
    assert_eq!(refused_at(&format(json!("x")), &native), place);
}

#[test]
fn end_users_go_out_unless_they_identify_a_person() {
    let user_of = |user: Option<&str>, metadata: Value| {
        let request =
            ChatRequest { user: user.map(str::to_owned), ..with_extra(json!({"metadata": metadata})) };
        let body = encode_chat(&request, &EncodeOptions::default()).unwrap().body;
        serde_json::from_slice::<Value>(&body).unwrap().get("metadata").cloned().unwrap_or_default()
    };
    let check = |user, metadata, expect: Value| assert_eq!(user_of(user, metadata), expect, "{user:?}");
    check(Some("u-1"), json!({}), json!({"user_id": "u-1"}));
    check(Some("u-1"), json!({"user_id": "u-2", "tags": ["a"]}), json!({"user_id": "u-2"}));
    check(Some("u-1"), json!({"user_id": "ann@example.org"}), json!({"user_id": "u-1"}));
    check(Some("+1 555 010 9999"), json!({}), Value::Null);
    check(Some(""), json!({"user_id": 7}), Value::Null);
    check(None, json!({"tags": ["a"]}), Value::Null);
}
