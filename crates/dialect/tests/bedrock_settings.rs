//! Tools, their choice, reasoning and sampling of a Converse request.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod bedrock_support;

use bedrock_support::settings::*;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatRequest, Effort, Message, Part, Reasoning, ResponseFormat, Role, Sampling, Tool, ToolChoice,
};
use tollgate_dialect::wire::{Dialect, EncodeOptions};

const CLAUDE: &str = OLD_CLAUDE;
const NOVA: &str = "us.amazon.nova-2-lite-v1:0";
const OLD_NOVA: &str = "amazon.nova-pro-v1:0";
const MISTRAL: &str = "mistral.mistral-large-2402-v1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";
const GPT: &str = "openai.gpt-oss-120b-1:0";
const COMMAND: &str = "cohere.command-r-v1:0";
const PROFILE: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2";

fn tool(name: &str) -> Tool {
    Tool { name: name.to_owned(), ..Tool::default() }
}

fn spec(name: &str) -> Value {
    json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}})
}

fn with_tools(model: &str, choice: Option<ToolChoice>) -> ChatRequest {
    ChatRequest { tools: vec![tool("f"), tool("g")], tool_choice: choice, ..request(model) }
}

#[test]
fn a_choice_goes_out_as_far_as_the_family_has_it() {
    let tools = || json!([spec("f"), spec("g")]);
    let config = |choice: Value| json!({"toolConfig": {"tools": tools(), "toolChoice": choice}});
    let plain = || json!({"toolConfig": {"tools": tools()}});
    let named = || Some(ToolChoice::Function("g".to_owned()));
    for model in [CLAUDE, NOVA, PROFILE] {
        check(&with_tools(model, None), &EncodeOptions::default(), plain(), &[]);
        check(
            &with_tools(model, Some(ToolChoice::Auto)),
            &EncodeOptions::default(),
            config(json!({"auto": {}})),
            &[],
        );
        check(
            &with_tools(model, Some(ToolChoice::Required)),
            &EncodeOptions::default(),
            config(json!({"any": {}})),
            &[],
        );
        check(
            &with_tools(model, named()),
            &EncodeOptions::default(),
            config(json!({"tool": {"name": "g"}})),
            &[],
        );
    }
    check(
        &with_tools(MISTRAL, named()),
        &EncodeOptions::default(),
        json!({"toolConfig": {"tools": [spec("g")], "toolChoice": {"any": {}}}}),
        &[],
    );
    for model in [LLAMA, COMMAND, GPT] {
        check(&with_tools(model, Some(ToolChoice::Auto)), &EncodeOptions::default(), plain(), &[]);
        for choice in [Some(ToolChoice::Required), named()] {
            assert_eq!(
                refused(&with_tools(model, choice.clone()), &EncodeOptions::default()),
                ["tool_choice"]
            );
            check(&with_tools(model, choice), &dropping(), plain(), &["tool_choice"]);
        }
    }
}

#[test]
fn a_choice_among_some_declares_those_alone() {
    let some = |mode: &str, tools: Value| ChatRequest {
        extra: extra(
            "tool_choice",
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}),
        ),
        ..with_tools(CLAUDE, None)
    };
    let only = |choice: Value| json!({"toolConfig": {"tools": [spec("g")], "toolChoice": choice}});
    let chat = json!([{"type": "function", "function": {"name": "g"}}]);
    check(&some("required", chat.clone()), &EncodeOptions::default(), only(json!({"any": {}})), &["tools"]);
    let responses = json!([{"type": "function", "name": "g"}]);
    check(&some("auto", responses), &EncodeOptions::default(), only(json!({"auto": {}})), &["tools"]);
    assert_eq!(refused(&some("sometimes", chat), &EncodeOptions::default()), ["tool_choice"]);
}

#[test]
fn no_tools_are_declared_where_none_may_be_called() {
    for model in [CLAUDE, LLAMA] {
        check(&with_tools(model, Some(ToolChoice::None)), &EncodeOptions::default(), json!({}), &[]);
    }
}

fn in_a_loop(model: &str, tools: Vec<Tool>, choice: Option<ToolChoice>) -> ChatRequest {
    let call = Part::ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: String::new(),
        is_custom: false,
        signature: None,
    };
    let result = Part::ToolResult {
        call_id: "c".to_owned(),
        content: vec![Part::text("r")],
        is_error: false,
        cache_control: None,
    };
    let mut request = ChatRequest { tools, tool_choice: choice, ..request(model) };
    request.messages.push(Message { role: Role::Assistant, parts: vec![call], name: None });
    request.messages.push(Message { role: Role::Tool, parts: vec![result], name: None });
    request
}

#[test]
fn past_calls_keep_their_tools_declared_and_forbidden() {
    let declared = json!({"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}});
    let forbidden = json!({"tool_choice": {"type": "none"}});
    check(
        &in_a_loop(CLAUDE, Vec::new(), None),
        &EncodeOptions::default(),
        json!({"toolConfig": {"tools": [declared]}, "additionalModelRequestFields": forbidden}),
        &[],
    );
    check(
        &in_a_loop(LLAMA, Vec::new(), None),
        &EncodeOptions::default(),
        json!({"toolConfig": {"tools": [declared]}}),
        &[],
    );
    check(
        &in_a_loop(CLAUDE, vec![tool("f")], Some(ToolChoice::None)),
        &EncodeOptions::default(),
        json!({"toolConfig": {"tools": [spec("f")]}, "additionalModelRequestFields": forbidden}),
        &[],
    );
    let told = in_a_loop(LLAMA, vec![tool("f")], Some(ToolChoice::None));
    assert_eq!(refused(&told, &EncodeOptions::default()), ["tool_choice"]);
    check(&told, &dropping(), json!({"toolConfig": {"tools": [spec("f")]}}), &["tool_choice"]);
}

#[test]
fn one_call_at_a_time_is_claudes_own_word() {
    let single =
        |model: &str, choice| ChatRequest { parallel_tool_calls: Some(false), ..with_tools(model, choice) };
    let alone = json!({
        "toolConfig": {"tools": [spec("f"), spec("g")]},
        "additionalModelRequestFields": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}},
    });
    for choice in [None, Some(ToolChoice::Auto)] {
        check(&single(CLAUDE, choice), &EncodeOptions::default(), alone.clone(), &[]);
    }
    // Converse refuses a kind of choice in both places.
    for (asked, written) in [
        (ToolChoice::Required, json!({"any": {}})),
        (ToolChoice::Function("f".to_owned()), json!({"tool": {"name": "f"}})),
    ] {
        let beside = json!({
            "toolConfig": {"tools": [spec("f"), spec("g")], "toolChoice": written},
            "additionalModelRequestFields": {"tool_choice": {"disable_parallel_tool_use": true}},
        });
        check(&single(CLAUDE, Some(asked)), &EncodeOptions::default(), beside, &[]);
    }
    assert_eq!(refused(&single(NOVA, None), &EncodeOptions::default()), ["parallel_tool_calls"]);
    let parallel = ChatRequest { parallel_tool_calls: Some(true), ..with_tools(NOVA, None) };
    check(
        &parallel,
        &EncodeOptions::default(),
        json!({"toolConfig": {"tools": [spec("f"), spec("g")]}}),
        &[],
    );
}

fn json_schema() -> Option<ResponseFormat> {
    Some(ResponseFormat::JsonSchema {
        name: "n".to_owned(),
        description: Some("d".to_owned()),
        schema: json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}),
        strict: Some(true),
    })
}

#[test]
fn a_schema_is_native_where_the_model_has_it() {
    let schema = |model: &str| {
        let asked = ChatRequest { response_format: json_schema(), ..request(model) };
        let (body, lost, outbound) = sent(&asked, &by_level());
        assert!(lost.is_empty() && outbound.reading.answer_tool.is_none());
        let format = &body["outputConfig"]["textFormat"];
        assert_eq!(format["type"], "json_schema");
        let definition = &format["structure"]["jsonSchema"];
        assert_eq!((&definition["name"], &definition["description"]), (&json!("n"), &json!("d")));
        serde_json::from_str::<Value>(definition["schema"].as_str().unwrap()).unwrap()
    };
    let enforced = json!({
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "Constraints: minimum: 1."}},
        "additionalProperties": false,
    });
    assert_eq!(schema(CLAUDE), enforced);
    assert_eq!(
        schema("qwen.qwen3-32b-v1:0"),
        json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}})
    );
}

#[test]
fn elsewhere_a_tool_stands_in_for_the_form_of_the_answer() {
    let asked = |model: &str, tools: Vec<Tool>, format| ChatRequest {
        response_format: format,
        tools,
        ..request(model)
    };
    let check = |model: &str, tools: Vec<Tool>, count: usize, choice: Value| {
        let (body, _, outbound) = sent(&asked(model, tools, json_schema()), &EncodeOptions::default());
        let config = &body["toolConfig"];
        assert_eq!(outbound.reading.answer_tool.as_deref(), Some("json_tool_call"));
        assert_eq!(config["tools"].as_array().unwrap().len(), count, "{model}");
        assert_eq!(config["toolChoice"], choice, "{model}");
    };
    check(CLAUDE, Vec::new(), 1, json!({"tool": {"name": "json_tool_call"}}));
    check(CLAUDE, vec![tool("f")], 2, json!({"any": {}}));
    check(MISTRAL, Vec::new(), 1, json!({"any": {}}));
    check(LLAMA, Vec::new(), 1, Value::Null);
    let (body, _, _) = sent(&asked(CLAUDE, Vec::new(), Some(ResponseFormat::JsonObject)), &by_level());
    assert_eq!(
        body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["additionalProperties"],
        json!(true)
    );
    let (_, _, taken) =
        sent(&asked(CLAUDE, vec![tool("json_tool_call")], json_schema()), &EncodeOptions::default());
    assert_eq!(taken.reading.answer_tool.as_deref(), Some("json_tool_call_"));
    let text = asked(CLAUDE, Vec::new(), Some(ResponseFormat::Text));
    assert_eq!(sent(&text, &by_level()).0, json!({}));
}

#[test]
fn strict_tools_are_for_callers_who_know_the_model() {
    let strict = Tool { strict: Some(true), ..tool("f") };
    let asked = |dialect| ChatRequest { tools: vec![strict.clone()], dialect, ..request(CLAUDE) };
    check(&asked(Dialect::OpenAi), &by_level(), json!({"toolConfig": {"tools": [spec("f")]}}), &["strict"]);
    let mut expect = spec("f");
    expect["toolSpec"]["strict"] = json!(true);
    check(&asked(Dialect::Bedrock), &by_level(), json!({"toolConfig": {"tools": [expect]}}), &[]);
}

#[test]
fn tools_without_an_object_for_arguments_are_refused() {
    let bad = Tool { parameters: Some(json!({"type": "array"})), ..tool("f") };
    let asked = ChatRequest { tools: vec![tool("g"), bad], ..request(CLAUDE) };
    assert_eq!(invalid(&asked, &EncodeOptions::default()), "tools[1].function.parameters");
}

#[test]
fn web_search_is_amazons_where_the_model_has_it() {
    let asked = |model: &str| ChatRequest {
        extra: extra("web_search_options", json!({"search_context_size": "low"})),
        ..request(model)
    };
    let search = json!({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}});
    check(&asked(NOVA), &EncodeOptions::default(), search, &[]);
    assert_eq!(refused(&asked(CLAUDE), &EncodeOptions::default()), ["web_search_options"]);
    check(&asked(CLAUDE), &dropping(), json!({}), &["web_search_options"]);
}

fn reasoning(model: &str, reasoning: Reasoning, max_tokens: Option<u64>) -> ChatRequest {
    let sampling = Sampling { max_tokens, ..Sampling::default() };
    ChatRequest { reasoning: Some(reasoning), sampling, ..request(model) }
}

#[test]
fn claude_thinks_by_a_budget_or_by_level() {
    let thinking = |value: Value| json!({"additionalModelRequestFields": {"thinking": value}});
    let budget = |tokens: u64| thinking(json!({"type": "enabled", "budget_tokens": tokens}));
    let old = EncodeOptions::default();
    check(&reasoning(CLAUDE, Reasoning::Effort(Effort::High), None), &old, budget(4096), &[]);
    check(&reasoning(CLAUDE, Reasoning::Budget(5000), None), &old, budget(5000), &[]);
    check(&reasoning(CLAUDE, Reasoning::Adaptive, None), &old, budget(2048), &[]);
    check(&reasoning(PROFILE, Reasoning::Adaptive, None), &old, budget(2048), &[]);
    check(&reasoning(CLAUDE, Reasoning::Effort(Effort::None), None), &old, json!({}), &[]);
    check(&reasoning(CLAUDE, Reasoning::Disabled, None), &old, thinking(json!({"type": "disabled"})), &[]);
    let mut limited = budget(1500);
    limited["inferenceConfig"] = json!({"maxTokens": 3000});
    check(&reasoning(CLAUDE, Reasoning::Effort(Effort::High), Some(3000)), &old, limited.clone(), &[]);
    check(
        &reasoning(CLAUDE, Reasoning::Budget(4000), Some(3000)),
        &dropping(),
        limited,
        &["thinking.budget_tokens"],
    );

    let level = |word: &str| json!({"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": word}}});
    check(&reasoning(CLAUDE, Reasoning::Effort(Effort::Max), None), &by_level(), level("max"), &[]);
    check(&reasoning(CLAUDE, Reasoning::Budget(3000), None), &by_level(), level("medium"), &[]);
    check(
        &reasoning(CLAUDE, Reasoning::Adaptive, None),
        &by_level(),
        thinking(json!({"type": "adaptive"})),
        &[],
    );
    check(
        &reasoning(CLAUDE, Reasoning::Effort(Effort::None), None),
        &by_level(),
        thinking(json!({"type": "disabled"})),
        &[],
    );
    let shown = ChatRequest { show_reasoning: Some(false), ..reasoning(CLAUDE, Reasoning::Adaptive, None) };
    check(&shown, &by_level(), thinking(json!({"type": "adaptive", "display": "omitted"})), &[]);
}

#[test]
fn a_budget_that_claude_cannot_take_is_refused() {
    let old = EncodeOptions::default();
    assert_eq!(invalid(&reasoning(CLAUDE, Reasoning::Budget(5), None), &old), "thinking.budget_tokens");
    assert_eq!(invalid(&reasoning(CLAUDE, Reasoning::Budget(4000), Some(3000)), &old), "max_tokens");
    assert_eq!(invalid(&reasoning(CLAUDE, Reasoning::Effort(Effort::Low), Some(100)), &old), "max_tokens");
    check(
        &reasoning(CLAUDE, Reasoning::Effort(Effort::Low), Some(100)),
        &dropping(),
        json!({"inferenceConfig": {"maxTokens": 100}}),
        &["reasoning_effort"],
    );
}

#[test]
fn a_loop_that_began_without_thinking_goes_on_without() {
    let mut asked = in_a_loop(CLAUDE, vec![tool("f")], None);
    asked.reasoning = Some(Reasoning::Effort(Effort::High));
    check(
        &asked,
        &EncodeOptions::default(),
        json!({"toolConfig": {"tools": [spec("f")]}}),
        &["reasoning_effort"],
    );
}

#[test]
fn other_makers_reason_in_their_own_words() {
    let fields = |value: Value| json!({"additionalModelRequestFields": value});
    let nova =
        |word: &str| fields(json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}));
    let plain = EncodeOptions::default();
    check(&reasoning(NOVA, Reasoning::Effort(Effort::High), None), &plain, nova("high"), &[]);
    check(&reasoning(NOVA, Reasoning::Effort(Effort::Max), None), &plain, nova("high"), &[]);
    check(&reasoning(NOVA, Reasoning::Budget(1000), None), &plain, nova("low"), &[]);
    let mut limited = nova("medium");
    limited["inferenceConfig"] = json!({"maxTokens": 50});
    check(
        &reasoning(NOVA, Reasoning::Effort(Effort::High), Some(50)),
        &plain,
        limited,
        &["reasoning_effort"],
    );
    check(
        &reasoning(GPT, Reasoning::Effort(Effort::XHigh), None),
        &plain,
        fields(json!({"reasoning_effort": "high"})),
        &[],
    );
    for model in [OLD_NOVA, LLAMA, COMMAND] {
        let asked = reasoning(model, Reasoning::Effort(Effort::Low), None);
        assert_eq!(refused(&asked, &plain), ["reasoning_effort"], "{model}");
        check(&asked, &dropping(), json!({}), &["reasoning_effort"]);
        check(&reasoning(model, Reasoning::Disabled, None), &plain, json!({}), &[]);
    }
}

#[test]
fn a_forced_tool_and_thinking_rule_each_other_out_for_claude() {
    let forced = |model: &str| ChatRequest {
        reasoning: Some(Reasoning::Effort(Effort::Low)),
        ..with_tools(model, Some(ToolChoice::Required))
    };
    assert_eq!(invalid(&forced(CLAUDE), &EncodeOptions::default()), "tool_choice");
    let (body, lost, _) = sent(&forced(CLAUDE), &dropping());
    assert!(body["toolConfig"].get("toolChoice").is_none());
    assert_eq!(lost, ["tool_choice"]);
    assert_eq!(
        sent(&forced(NOVA), &EncodeOptions::default()).0["toolConfig"]["toolChoice"],
        json!({"any": {}})
    );
    let never = EncodeOptions { rejects_forced_tools: true, ..EncodeOptions::default() };
    let answering = ChatRequest { response_format: json_schema(), ..request(CLAUDE) };
    assert!(sent(&answering, &never).0["toolConfig"].get("toolChoice").is_none());
}

#[test]
fn sampling_stays_in_range() {
    let with = |model: &str, sampling| ChatRequest { sampling, ..request(model) };
    let sampling = |temperature, top_p, top_k| Sampling { temperature, top_p, top_k, ..Sampling::default() };
    let inference = |value: Value| json!({"inferenceConfig": value});
    let plain = EncodeOptions::default();
    check(
        &with(LLAMA, sampling(Some(0.5), Some(1.0), None)),
        &plain,
        inference(json!({"temperature": 0.5, "topP": 1.0})),
        &[],
    );
    // Claude's newer models take one of the two; a default says nothing.
    let one = |temperature, top_p, expect: Value, lost: &[&str]| {
        let asked = with("anthropic.claude-sonnet-4-6", sampling(Some(temperature), Some(top_p), None));
        check(&asked, &dropping(), inference(expect), lost);
    };
    one(1.0, 0.95, json!({"topP": 0.95}), &[]);
    one(0.5, 1.0, json!({"temperature": 0.5}), &[]);
    one(0.5, 0.95, json!({"temperature": 0.5}), &["top_p"]);
    let hot = with(NOVA, sampling(Some(1.5), None, None));
    assert_eq!(invalid(&hot, &plain), "temperature");
    check(&hot, &dropping(), inference(json!({"temperature": 1.0})), &["temperature"]);
    let steered = with(CLAUDE, sampling(Some(0.5), Some(1.0), Some(3)));
    let rejecting = EncodeOptions { rejects_sampling: true, ..EncodeOptions::default() };
    assert_eq!(refused(&steered, &rejecting), ["temperature", "top_k"]);
    let thinking = ChatRequest { reasoning: Some(Reasoning::Budget(2000)), ..steered };
    assert_eq!(invalid(&thinking, &plain), "temperature");
    let (body, lost, _) = sent(&thinking, &dropping());
    assert_eq!(body["inferenceConfig"], json!({"topP": 1.0}));
    assert_eq!(lost, ["temperature", "top_k"]);
}

#[test]
fn top_k_has_a_name_at_every_maker_that_has_it() {
    let asked = |model: &str| ChatRequest {
        sampling: Sampling { top_k: Some(7), ..Sampling::default() },
        ..request(model)
    };
    for (model, fields) in [
        (CLAUDE, json!({"top_k": 7})),
        (PROFILE, json!({"top_k": 7})),
        (MISTRAL, json!({"top_k": 7})),
        (OLD_NOVA, json!({"inferenceConfig": {"topK": 7}})),
        (COMMAND, json!({"k": 7})),
    ] {
        check(&asked(model), &EncodeOptions::default(), json!({"additionalModelRequestFields": fields}), &[]);
    }
    assert_eq!(refused(&asked(LLAMA), &EncodeOptions::default()), ["top_k"]);
}

#[test]
fn stop_texts_go_out_and_claude_tells_which_one_hit() {
    let asked = |model: &str, stop: &[&str]| ChatRequest {
        sampling: Sampling {
            stop: stop.iter().map(|text| (*text).to_owned()).collect(),
            ..Sampling::default()
        },
        ..request(model)
    };
    check(
        &asked(CLAUDE, &["a", "b"]),
        &EncodeOptions::default(),
        json!({
            "inferenceConfig": {"stopSequences": ["a", "b"]},
            "additionalModelResponseFieldPaths": ["/stop_sequence"],
        }),
        &[],
    );
    check(
        &asked(LLAMA, &["\n"]),
        &EncodeOptions::default(),
        json!({"inferenceConfig": {"stopSequences": ["\n"]}}),
        &[],
    );
    assert_eq!(invalid(&asked(CLAUDE, &["a", "\n"]), &EncodeOptions::default()), "stop[1]");
    let (body, lost, _) = sent(&asked(CLAUDE, &["a", "\n"]), &dropping());
    assert_eq!(body["inferenceConfig"]["stopSequences"], json!(["a"]));
    assert_eq!(lost, ["stop"]);
}
