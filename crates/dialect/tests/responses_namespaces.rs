//! Tools in namespaces: declared flat to every other wire, and called by the names that the caller knows.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, ChatRequest, Choice, Namespace, Part, StopReason, StreamEvent, ToolChoice, ToolKind,
};
use tollgate_dialect::openai::Extensions;
use tollgate_dialect::responses::{Echo, StreamEncoder, decode_request, encode_chat, encode_reply};
use tollgate_dialect::wire::{EncodeOptions, EventEncoder, Losses, Outbound, ReplyFacts};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, openai};

/// What an agent offers the newest models: nothing among its tools, two namespaces in the input.
fn agent(model: &str) -> Value {
    json!({
        "model": model,
        "input": [
            {"type": "additional_tools", "id": "at_own", "role": "developer", "tools": [
                {"type": "namespace", "name": "functions", "tools": [
                    {"type": "custom", "name": "exec", "description": "Runs JavaScript.",
                        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
                    {"type": "function", "name": "wait", "strict": false, "parameters": {"type": "object"}},
                ]},
                {"type": "namespace", "name": "agents", "description": "Tools for sub-agents.", "tools": [
                    {"type": "function", "name": "wait", "description": "Waits.", "parameters": {"type": "object"}},
                    {"type": "function", "name": "spawn", "description": "Begins one.", "parameters": {"type": "object"}},
                ]},
            ]},
            {"type": "message", "id": "msg_own", "role": "user", "content": "go"},
            {"type": "message", "id": "msg_own2", "role": "assistant", "phase": "commentary", "content": [
                {"type": "output_text", "text": "I look."}]},
            {"type": "custom_tool_call", "id": "ctc_own", "status": "completed", "call_id": "c1",
                "namespace": "functions", "name": "exec", "input": "text(1)"},
            {"type": "custom_tool_call_output", "id": "ctco_own", "call_id": "c1", "output": "1"},
            {"type": "function_call", "id": "fc_own", "call_id": "c2", "namespace": "agents", "name": "wait",
                "arguments": "{}"},
            {"type": "function_call_output", "id": "fco_own", "call_id": "c2", "output": "done"},
        ],
        "tool_choice": "auto",
        "client_metadata": {"turn_id": "t"},
    })
}

fn decoded(body: &Value) -> ChatRequest {
    decode_request(body.to_string().as_bytes()).unwrap()
}

fn lenient() -> EncodeOptions {
    EncodeOptions { drop_unsupported: true, default_max_tokens: Some(64), ..EncodeOptions::default() }
}

fn body_of(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

/// A string at each of a list's members.
fn names(tools: &Value, path: &str) -> Vec<String> {
    let items = tools.as_array().unwrap().iter();
    items.map(|item| item.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned()).collect()
}

#[test]
fn tools_of_namespaces_are_tools_wherever_they_stand() {
    let mut body = agent("m");
    body["tools"] = json!([
        {"type": "function", "name": "spawn", "parameters": {}},
        {"type": "namespace", "name": "more", "description": "", "tools": [{"type": "function", "name": "list.all"}]},
        {"type": "tool_search", "execution": "client", "description": "Finds tools.", "parameters": {}},
    ]);
    let request = decoded(&body);
    let found: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(found, ["spawn", "list_all", "exec", "functions__wait", "agents__wait", "agents__spawn"]);
    let spaces: Vec<Option<(&str, &str)>> = request
        .tools
        .iter()
        .map(|tool| tool.namespace.as_deref().map(|space| (space.name.as_str(), space.tool.as_str())))
        .collect();
    assert_eq!(
        spaces,
        [
            None,
            Some(("more", "list.all")),
            Some(("functions", "exec")),
            Some(("functions", "wait")),
            Some(("agents", "wait")),
            Some(("agents", "spawn"))
        ]
    );
    assert!(matches!(&request.tools[2].kind, ToolKind::Custom { format: Some(_) }));
    assert_eq!(request.tools[4].description.as_deref(), Some("Tools for sub-agents.\n\nWaits."));
    assert_eq!(request.tools[5].description.as_deref(), Some("Begins one."));
    assert_eq!(names(&request.extra["tools"], "/type"), ["tool_search"]);
    let calls: Vec<(&str, bool)> = request
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::ToolCall { name, is_custom, .. } => Some((name.as_str(), *is_custom)),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("exec", true), ("agents__wait", false)]);
}

#[test]
fn calls_find_their_tool_behind_instructions_too() {
    let mut body = agent("m");
    body["instructions"] = json!("be brief");
    // A tool that is no longer offered keeps its name.
    body["input"].as_array_mut().unwrap().extend([
        json!({"type": "function_call", "call_id": "c3", "namespace": "gone", "name": "a.b", "arguments": "{}"}),
        json!({"type": "function_call_output", "call_id": "c3", "output": "1"}),
    ]);
    let request = decoded(&body);
    let calls = request.messages.iter().flat_map(|message| &message.parts);
    let calls = calls.filter_map(|part| match part {
        Part::ToolCall { name, .. } => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(calls.collect::<Vec<_>>(), ["exec", "agents__wait", "a_b"]);
}

#[test]
fn a_choice_names_the_tool_by_its_own_name() {
    let check = |choice: Value, expect: Option<&str>| {
        let mut body = agent("m");
        body["tool_choice"] = choice;
        body["tools"] = json!([{"type": "function", "name": "spawn", "parameters": {}}]);
        let request = decoded(&body);
        let chosen = request.tool_choice.map(|choice| match choice {
            ToolChoice::Function(name) => name,
            other => format!("{other:?}"),
        });
        assert_eq!(chosen.as_deref(), expect);
        request.extra.get("tool_choice").cloned()
    };
    check(json!({"type": "custom", "name": "exec"}), Some("exec"));
    check(json!({"type": "function", "name": "wait"}), Some("functions__wait"));
    check(json!({"type": "function", "name": "spawn"}), Some("spawn"));
    let allowed =
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "wait"}]});
    let kept = check(allowed, None).unwrap();
    assert_eq!(kept["allowed_tools"]["tools"][0]["function"]["name"], "functions__wait");
}

#[test]
fn every_other_wire_has_them_flat() {
    let check = |outbound: Outbound, tools: &str, name: &str| {
        let body = body_of(&outbound);
        let expect = ["exec", "functions__wait", "agents__wait", "spawn"];
        assert_eq!(names(body.pointer(tools).unwrap(), name), expect, "{body}");
        let lost: Vec<&str> = outbound.lost.names().collect();
        assert!(!lost.contains(&"additional_tools") && !lost.contains(&"tools"), "{lost:?}");
        assert!(lost.contains(&"client_metadata") && lost.contains(&"phase"), "{lost:?}");
        let text = body.to_string();
        assert!(text.contains("text(1)") && !text.contains("namespace"), "{text}");
    };
    let request = |model: &str| decoded(&agent(model));
    let openai = |extensions| openai::encode_chat(&request("gpt-5"), extensions, &lenient()).unwrap();
    let own = body_of(&openai(Extensions::Omit));
    assert_eq!(own.pointer("/tools/0/custom/name"), Some(&json!("exec")));
    assert_eq!(own.pointer("/tools/2/function/name"), Some(&json!("agents__wait")));
    check(anthropic::encode_chat(&request("claude-sonnet-4-5"), &lenient()).unwrap(), "/tools", "/name");
    let gemini = gemini::encode_chat(&request("gemini-2.5-pro"), &lenient()).unwrap();
    check(gemini, "/tools/0/functionDeclarations", "/name");
    let converse = bedrock::encode_chat(&request("anthropic.claude-sonnet-4-5-v1:0"), &lenient()).unwrap();
    check(converse, "/toolConfig/tools", "/toolSpec/name");
    check(
        cohere::encode_chat(&request("command-a-03-2025"), &lenient()).unwrap(),
        "/tools",
        "/function/name",
    );
}

#[test]
fn hosted_tools_are_told_as_lost_where_nobody_runs_them() {
    let mut body = agent("llama");
    body["tools"] =
        json!([{"type": "tool_search", "execution": "client", "description": "d", "parameters": {}}]);
    let outbound = openai::encode_chat(&decoded(&body), Extensions::Include, &lenient()).unwrap();
    let lost: Vec<&str> = outbound.lost.names().collect();
    assert!(lost.contains(&"tools"), "{lost:?}");
    assert_eq!(body_of(&outbound)["tools"].as_array().unwrap().len(), 4);
}

#[test]
fn they_go_back_to_openai_in_their_namespaces() {
    let mut body = agent("gpt-5.6");
    body["input"][0]["tools"][1]["tools"].as_array_mut().unwrap().remove(0);
    body["input"].as_array_mut().unwrap().truncate(5);
    let request = decoded(&body);
    let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
    assert!(outbound.lost.is_empty(), "{:?}", outbound.lost);
    let written = body_of(&outbound);
    assert_eq!(names(&written["tools"], "/name"), ["functions", "agents"]);
    assert_eq!(names(&written["tools"][0]["tools"], "/name"), ["exec", "wait"]);
    assert_eq!(written["tools"][1]["tools"][0]["description"], "Begins one.");
    assert_eq!(written["input"][1]["phase"], "commentary");
    let call = json!({"type": "custom_tool_call", "call_id": "c1", "name": "exec", "input": "text(1)",
        "namespace": "functions"});
    assert_eq!(written["input"][2], call);
    let again = decoded(&written);
    assert_eq!(again.messages, request.messages);
    let spaces = |request: &ChatRequest| -> Vec<(String, String)> {
        let spaces = request.tools.iter().filter_map(|tool| tool.namespace.as_deref());
        spaces.map(|space| (space.name.clone(), space.tool.clone())).collect()
    };
    assert_eq!(spaces(&again), spaces(&request));
}

#[test]
fn a_tool_that_shares_its_name_goes_to_openai_by_the_one_that_was_made() {
    let written = body_of(&encode_chat(&decoded(&agent("gpt-5.6")), &EncodeOptions::default()).unwrap());
    assert_eq!(names(&written["tools"], "/name"), ["functions", "functions__wait", "agents__wait", "agents"]);
    let call = &written["input"][4];
    assert_eq!((&call["name"], call.get("namespace")), (&json!("agents__wait"), None));
}

#[test]
fn what_is_no_tool_of_a_namespace_is_refused_by_its_place() {
    let check = |space: Value, place: &str| {
        let body = json!({"model": "m", "input": [{"role": "user", "content": "x"},
            {"type": "additional_tools", "role": "developer", "tools": [space]}]});
        assert_eq!(decode_request(body.to_string().as_bytes()).unwrap_err().param, place);
    };
    check(json!({"type": "namespace", "tools": []}), "input[1].tools[0].name");
    check(json!({"type": "namespace", "name": "n"}), "input[1].tools[0].tools");
    check(
        json!({"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}),
        "input[1].tools[0].tools[0].type",
    );
    let bare = json!({"model": "m", "input": [{"type": "additional_tools", "role": "developer"}]});
    assert_eq!(decode_request(bare.to_string().as_bytes()).unwrap_err().param, "input[0].tools");
}

fn facts() -> ReplyFacts {
    let request = decoded(&agent("m"));
    let named = |tool: &tollgate_dialect::conversation::Tool| -> Option<(String, Namespace)> {
        Some((tool.name.clone(), tool.namespace.as_deref()?.clone()))
    };
    ReplyFacts {
        client_model: "m".to_owned(),
        fallback_id: "f".to_owned(),
        custom_tools: vec!["exec".to_owned()],
        namespaced_tools: request.tools.iter().filter_map(named).collect(),
        ..ReplyFacts::default()
    }
}

fn call(name: &str, arguments: &str) -> Part {
    Part::ToolCall {
        id: "c".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        is_custom: false,
        signature: None,
    }
}

/// The members of an item that say what is called.
fn said(item: &Value) -> Value {
    let input = item.get("input").or_else(|| item.get("arguments"));
    json!([item["type"], item["name"], item.get("namespace"), input])
}

const CALLS: [(&str, &str); 4] =
    [("exec", r#"{"input":"text(1)"}"#), ("agents__wait", "{}"), ("spawn", "{}"), ("plain", "{}")];

fn expected() -> Value {
    json!([
        ["custom_tool_call", "exec", "functions", "text(1)"],
        ["function_call", "wait", "agents", "{}"],
        ["function_call", "spawn", "agents", "{}"],
        ["function_call", "plain", null, "{}"],
    ])
}

#[test]
fn a_call_comes_back_in_its_namespace() {
    let parts = CALLS.iter().map(|(name, arguments)| call(name, arguments)).collect();
    let choices = vec![Choice { parts, stop: Some(StopReason::ToolCalls), ..Choice::default() }];
    let reply = ChatReply { choices, ..ChatReply::default() };
    let mut lost = Losses::default();
    let written = encode_reply(&reply, &facts(), &Echo::default(), &mut lost);
    let written: Value = serde_json::from_slice(&written).unwrap();
    let items: Vec<Value> = written["output"].as_array().unwrap().iter().map(said).collect();
    assert_eq!(json!(items), expected());
    assert!(lost.is_empty());
}

#[test]
fn a_streamed_call_comes_back_in_its_namespace() {
    let mut encoder = StreamEncoder::new(facts(), Echo::default());
    let mut out = Vec::new();
    for (index, (name, arguments)) in (0_u64..).zip(CALLS) {
        let (name, delta) = (name.to_owned(), arguments.to_owned());
        let start = StreamEvent::ToolCallStart {
            choice: 0,
            index,
            id: format!("c{index}"),
            name,
            is_custom: false,
            signature: None,
        };
        encoder.encode(&[start, StreamEvent::ToolCallArguments { choice: 0, index, delta }], &mut out);
    }
    encoder.finish(&mut out);
    let events: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let of = |kind: &str| -> Vec<Value> {
        let found = events.iter().filter(|event| event["type"] == kind);
        found.map(|event| said(&event["item"])).collect()
    };
    assert_eq!(json!(of("response.output_item.done")), expected());
    let begun: Vec<Value> = of("response.output_item.added").iter().map(|item| item[2].clone()).collect();
    assert_eq!(json!(begun), json!(["functions", "agents", "agents", null]));
    let last = events.last().unwrap();
    let items: Vec<Value> = last["response"]["output"].as_array().unwrap().iter().map(said).collect();
    assert_eq!(json!(items), expected());
}
