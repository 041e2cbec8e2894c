//! What goes out to Cohere: bodies of `/v2/chat`, member for member.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::cohere::{CHAT_PATH, encode_chat};
use tollgate_dialect::conversation::{ChatRequest, Part, Role};
use tollgate_dialect::openai::decode_chat;
use tollgate_dialect::wire::{EncodeError, EncodeOptions, Outbound};

/// A request of an OpenAI caller with these members beside a model and, unless they are given, messages.
fn request(members: Value) -> ChatRequest {
    let mut body = json!({"model": "command-a-03-2025", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    decode_chat(body.to_string().as_bytes()).unwrap()
}

fn encode(request: &ChatRequest) -> Outbound {
    encode_chat(request, &EncodeOptions::default()).unwrap()
}

fn body(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

fn lost(outbound: &Outbound) -> Vec<&str> {
    outbound.lost.names().collect()
}

/// The members that come out for those that went in, beside model, messages and stream.
fn check(members: Value, expect: Value) {
    let mut written = body(&encode(&request(members.clone())));
    for name in ["model", "messages", "stream"] {
        written.as_object_mut().unwrap().shift_remove(name);
    }
    assert_eq!(written, expect, "{members}");
}

/// The messages that come out, and what was lost of them.
fn check_messages(messages: Value, expect: Value, expect_lost: &[&str]) {
    let outbound = encode(&request(json!({"messages": messages})));
    assert_eq!(body(&outbound)["messages"], expect, "{messages}");
    assert_eq!(lost(&outbound), expect_lost, "{messages}");
}

fn refused(members: Value, drop_unsupported: bool) -> EncodeError {
    let options = EncodeOptions { drop_unsupported, ..EncodeOptions::default() };
    encode_chat(&request(members), &options).unwrap_err()
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {
        "type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}}})
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
}

fn file(name: &str, text: &str) -> Value {
    let data = format!("data:text/plain;base64,{text}");
    json!({"type": "file", "file": {"filename": name, "file_data": data}})
}

#[test]
fn the_smallest_request_is_model_messages_and_stream() {
    let outbound = encode(&request(json!({})));
    assert_eq!(outbound.path, CHAT_PATH);
    let expect = json!({"model": "command-a-03-2025", "messages": [{"role": "user", "content": "hi"}], "stream": false});
    assert_eq!(body(&outbound), expect);
    assert_eq!(outbound.reading.model, "command-a-03-2025");
    assert!(outbound.lost.is_empty());
    assert_eq!(body(&encode(&request(json!({"stream": true}))))["stream"], true);
}

#[test]
fn parameters_have_cohere_s_names_and_bounds() {
    check(json!({"max_tokens": 5}), json!({"max_tokens": 5}));
    check(json!({"max_completion_tokens": 6}), json!({"max_tokens": 6}));
    check(json!({"temperature": 0.0, "seed": 7}), json!({"temperature": 0.0, "seed": 7}));
    check(json!({"top_p": 0.5}), json!({"p": 0.5}));
    check(json!({"top_p": 1}), json!({"p": 0.99}));
    check(json!({"top_p": 0}), json!({"p": 0.01}));
    check(json!({"top_k": 40}), json!({"k": 40}));
    check(json!({"top_k": 5_000}), json!({"k": 500}));
    check(json!({"stop": "a"}), json!({"stop_sequences": ["a"]}));
    check(json!({"stop": ["a", "", "b"]}), json!({"stop_sequences": ["a", "b"]}));
    check(
        json!({"frequency_penalty": 0.5, "presence_penalty": 1}),
        json!({"frequency_penalty": 0.5, "presence_penalty": 1.0}),
    );
    check(json!({"logprobs": true}), json!({"logprobs": true}));
    check(json!({"user": "u", "metadata": {"a": "b"}, "store": true}), json!({}));
    check(json!({"n": 1, "parallel_tool_calls": true, "modalities": ["text"]}), json!({}));
    check(json!({"safety_mode": "STRICT", "priority": 2}), json!({"safety_mode": "STRICT", "priority": 2}));
}

#[test]
fn reasoning_is_a_budget_of_tokens() {
    check(json!({"reasoning_effort": "none"}), json!({"thinking": {"type": "disabled"}}));
    check(json!({"reasoning_effort": "low"}), json!({"thinking": {"type": "enabled", "token_budget": 1024}}));
    check(
        json!({"reasoning_effort": "medium"}),
        json!({"thinking": {"type": "enabled", "token_budget": 2048}}),
    );
    check(
        json!({"reasoning_effort": "high"}),
        json!({"thinking": {"type": "enabled", "token_budget": 4096}}),
    );
    check(json!({"reasoning_effort": "xhigh"}), json!({"thinking": {"type": "enabled"}}));
    check(
        json!({"thinking": {"type": "enabled", "budget_tokens": 300}}),
        json!({"thinking": {"type": "enabled", "token_budget": 300}}),
    );
    check(json!({"thinking": {"type": "disabled"}}), json!({"thinking": {"type": "disabled"}}));
}

#[test]
fn what_has_no_word_here_is_refused_by_name_or_dropped_and_told() {
    let all = json!({"n": 2, "top_logprobs": 3, "logit_bias": {"5": 1}, "verbosity": "low", "tools": [tool("f"), tool("g")],
        "parallel_tool_calls": false});
    let params = ["logit_bias", "top_logprobs", "n", "parallel_tool_calls", "verbosity"].map(str::to_owned);
    assert_eq!(refused(all.clone(), false), EncodeError::Unsupported { params: params.to_vec() });
    let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let outbound = encode_chat(&request(all.clone()), &options).unwrap();
    assert_eq!(lost(&outbound), params);
    let allowed = EncodeOptions { allowed_params: params.to_vec(), ..EncodeOptions::default() };
    assert!(encode_chat(&request(all), &allowed).unwrap().lost.is_empty());
}

#[test]
fn values_out_of_bounds_name_their_parameter() {
    let check = |members: Value, param: &str| {
        let EncodeError::Invalid { param: found, .. } = refused(members.clone(), false) else {
            panic!("{members} is not invalid")
        };
        assert_eq!(found, param, "{members}");
        let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
        let outbound = encode_chat(&request(members), &options).unwrap();
        assert_eq!(lost(&outbound), [param]);
    };
    check(json!({"frequency_penalty": 1.5}), "frequency_penalty");
    check(json!({"presence_penalty": -0.1}), "presence_penalty");
    check(json!({"seed": -1}), "seed");
    check(json!({"stop": ["1", "2", "3", "4", "5", "6"]}), "stop");
}

#[test]
fn a_tier_is_told_as_lost_and_never_refused() {
    let outbound = encode(&request(json!({"service_tier": "flex"})));
    assert_eq!(lost(&outbound), ["service_tier"]);
    assert!(encode(&request(json!({"service_tier": "auto"}))).lost.is_empty());
}

#[test]
fn messages_keep_their_roles_and_places() {
    check_messages(
        json!([
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "system", "content": "now be brief"},
            {"role": "user", "content": "d", "name": "ann"},
        ]),
        json!([
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "system", "content": "now be brief"},
            {"role": "user", "content": "d"},
        ]),
        &["name"],
    );
}

#[test]
fn empty_messages_are_left_out() {
    check_messages(
        json!([{"role": "system", "content": ""}, {"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]),
        json!([{"role": "user", "content": "a"}]),
        &[],
    );
    let error = refused(json!({"messages": [{"role": "user", "content": ""}]}), true);
    assert!(matches!(error, EncodeError::Invalid { param, .. } if param == "messages"));
}

#[test]
fn pictures_are_addresses_or_data() {
    check_messages(
        json!([{"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "file", "file": {"filename": "p", "file_data": "data:image/png;base64,BBBB"}},
        ]}]),
        json!([{"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}},
        ]}]),
        &[],
    );
}

#[test]
fn what_the_models_cannot_take_in_names_its_place() {
    let check = |part: Value, param: &str| {
        let error = refused(json!({"messages": [{"role": "user", "content": [part]}]}), true);
        let EncodeError::Invalid { param: found, .. } = error else { panic!("{part} is not invalid") };
        assert_eq!(found, param);
    };
    check(
        json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        "messages[0].content[0].input_audio",
    );
    check(
        json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}),
        "messages[0].content[0].file",
    );
    check(json!({"type": "file", "file": {"file_id": "file-1"}}), "messages[0].content[0].file");
}

#[test]
fn files_of_text_become_documents() {
    let messages = json!([{"role": "user", "content": [
        file("tall.txt", "dGFsbA=="), {"type": "text", "text": "who?"}, file("", "c2hvcnQ="),
    ]}]);
    let written = body(&encode(&request(json!({"messages": messages}))));
    assert_eq!(written["messages"], json!([{"role": "user", "content": "who?"}]));
    assert_eq!(written["documents"], json!([{"data": {"title": "tall.txt", "text": "tall"}}, "short"]));
    // Nobody asked for citations, which Cohere would give.
    assert_eq!(written["citation_options"], json!({"mode": "OFF"}));

    let mut cited = request(json!({"messages": messages}));
    if let Some(Part::File { citations, .. }) = cited.messages[0].parts.first_mut() {
        *citations = true;
    }
    assert_eq!(body(&encode(&cited)).get("citation_options"), None);
}

#[test]
fn a_message_of_documents_alone_is_not_empty() {
    let written =
        body(&encode(&request(json!({"messages": [{"role": "user", "content": [file("a", "dGFsbA==")]}]}))));
    assert_eq!(written["messages"], json!([{"role": "user", "content": "."}]));
}

#[test]
fn documents_are_text_where_the_answer_must_be_json() {
    let messages = json!([{"role": "user", "content": [file("tall.txt", "dGFsbA=="), {"type": "text", "text": "who?"}]}]);
    let written =
        body(&encode(&request(json!({"messages": messages, "response_format": {"type": "json_object"}}))));
    assert_eq!(written.get("documents"), None);
    assert_eq!(written["messages"][0]["content"][0]["text"], "tall.txt\ntall");
}

#[test]
fn documents_written_beside_openai_s_members_are_added() {
    let members = json!({"documents": [{"data": {"text": "x"}}], "citation_options": {"mode": "FAST"},
        "messages": [{"role": "user", "content": [file("", "dGFsbA=="), {"type": "text", "text": "who?"}]}]});
    let written = body(&encode(&request(members)));
    assert_eq!(written["documents"], json!(["tall", {"data": {"text": "x"}}]));
    assert_eq!(written["citation_options"], json!({"mode": "FAST"}));
}

#[test]
fn words_before_calls_are_the_plan_and_results_stand_behind_them() {
    check_messages(
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "I will look.", "tool_calls": [call("a", "{\"q\":1}"), call("b", "")]},
            {"role": "tool", "tool_call_id": "b", "content": "B"},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "2"}]},
            {"role": "user", "content": "and?"},
        ]),
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [call("a", "{\"q\":1}"), call("b", "{}")]},
            {"role": "tool", "tool_call_id": "b", "content": "B"},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "2"}]},
            {"role": "user", "content": "and?"},
        ]),
        &[],
    );
}

#[test]
fn what_came_between_calls_and_results_goes_behind_them() {
    check_messages(
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "tool_calls": [call("a", "{}")]},
            {"role": "user", "content": "hurry"},
            {"role": "tool", "tool_call_id": "a", "content": "A"},
        ]),
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": [call("a", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": "A"},
            {"role": "user", "content": "hurry"},
        ]),
        &[],
    );
}

#[test]
fn pictures_of_a_result_are_shown_behind_all_results() {
    check_messages(
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "tool_calls": [call("a", "{}"), call("b", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": [
                {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}]},
            {"role": "tool", "tool_call_id": "b", "content": "B"},
        ]),
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": [call("a", "{}"), call("b", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": "The result is shown in the next message."},
            {"role": "tool", "tool_call_id": "b", "content": "B"},
            {"role": "user", "content": [
                {"type": "text", "text": "Result of the tool call a:"},
                {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
            ]},
        ]),
        &[],
    );
}

#[test]
fn calls_and_results_that_do_not_match_name_their_message() {
    let check = |messages: Value, expect: &str| {
        let EncodeError::Invalid { param, .. } = refused(json!({"messages": messages}), true) else {
            panic!("{messages} is not invalid")
        };
        assert_eq!(param, expect);
    };
    let asked = json!({"role": "assistant", "content": null, "tool_calls": [call("a", "{}")]});
    check(json!([asked]), "messages[0].tool_calls");
    check(json!([asked, {"role": "assistant", "content": "x"}]), "messages[0].tool_calls");
    check(json!([asked, {"role": "tool", "tool_call_id": "z", "content": "Z"}]), "messages[1].tool_call_id");
}

#[test]
fn equal_ids_of_calls_are_told_apart() {
    check_messages(
        json!([
            {"role": "assistant", "content": null, "tool_calls": [call("a", "{}"), call("a", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "a", "content": "2"},
        ]),
        json!([
            {"role": "assistant", "tool_calls": [call("a", "{}"), call("a_2", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "a_2", "content": "2"},
        ]),
        &[],
    );
}

#[test]
fn unsigned_thoughts_go_back_and_other_makers_do_not() {
    check_messages(
        json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "reasoning_content": "hm"},
            {"role": "assistant", "content": "c", "thinking_blocks": [{"type": "thinking", "thinking": "x", "signature": "s"}]},
        ]),
        json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
        ]),
        &["reasoning"],
    );
}

#[test]
fn tools_are_functions_with_parameters() {
    let bare = json!({"type": "function", "function": {"name": "now"}});
    check(
        json!({"tools": [tool("f"), bare]}),
        json!({"tools": [tool("f"), {"type": "function", "function": {
            "name": "now", "parameters": {"type": "object", "properties": {}}}}]}),
    );
    let EncodeError::Invalid { param, .. } = refused(
        json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]}),
        true,
    ) else {
        panic!("no parameters are a text")
    };
    assert_eq!(param, "tools[0].function.parameters");
}

#[test]
fn a_choice_is_a_word_or_the_one_tool_that_is_declared() {
    let tools = json!([tool("f"), tool("g")]);
    let check_choice =
        |choice: Value, expect: Value| check(json!({"tools": tools, "tool_choice": choice}), expect);
    check_choice(json!("auto"), json!({"tools": tools}));
    check_choice(json!("none"), json!({"tools": tools, "tool_choice": "NONE"}));
    check_choice(json!("required"), json!({"tools": tools, "tool_choice": "REQUIRED"}));
    check_choice(
        json!({"type": "function", "function": {"name": "g"}}),
        json!({"tools": [tool("g")], "tool_choice": "REQUIRED"}),
    );
    let unknown = json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "h"}}});
    assert!(matches!(refused(unknown, true), EncodeError::Invalid { param, .. } if param == "tool_choice"));
}

#[test]
fn tools_are_strict_together_or_not_at_all() {
    let strict = |name: &str| {
        let mut tool = tool(name);
        tool["function"]["strict"] = json!(true);
        tool
    };
    let written = |tools: Value| {
        let outbound = encode(&request(json!({"tools": tools})));
        (body(&outbound).get("strict_tools").cloned(), lost(&outbound).join(","))
    };
    assert_eq!(written(json!([strict("f"), strict("g")])), (Some(json!(true)), String::new()));
    assert_eq!(written(json!([strict("f"), tool("g")])), (None, "strict".to_owned()));
    let free = json!({"type": "function", "function": {"name": "f", "strict": true}});
    assert_eq!(written(json!([free])), (None, "strict".to_owned()));
    assert_eq!(written(json!([tool("f")])), (None, String::new()));
}

#[test]
fn a_form_for_the_answer_is_cohere_s_own_without_tools() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    check(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}}),
        json!({"response_format": {"type": "json_object", "json_schema": schema}}),
    );
    check(
        json!({"response_format": {"type": "json_object"}}),
        json!({"response_format": {"type": "json_object"}}),
    );
    check(json!({"response_format": {"type": "text"}}), json!({}));
    // Tools that may not be called need not be there.
    check(
        json!({"response_format": {"type": "json_object"}, "tools": [tool("f")], "tool_choice": "none"}),
        json!({"response_format": {"type": "json_object"}}),
    );
}

#[test]
fn beside_tools_a_tool_stands_in_for_the_form() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let members = json!({"tools": [tool("f")],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let outbound = encode(&request(members));
    let written = body(&outbound);
    assert_eq!(outbound.reading.answer_tool.as_deref(), Some("json_tool_call"));
    assert_eq!(written["tool_choice"], "REQUIRED");
    assert_eq!(written["tools"][1]["function"]["name"], "json_tool_call");
    assert_eq!(written["tools"][1]["function"]["parameters"], schema);
    assert_eq!(written.get("response_format"), None);
}

#[test]
fn custom_tools_are_functions_of_one_text() {
    let members = json!({
        "tools": [{"type": "custom", "custom": {"name": "patch", "description": "Edits."}}],
        "messages": [
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "done"},
        ],
    });
    let written = body(&encode(&request(members)));
    assert_eq!(written["tools"][0]["function"]["parameters"]["required"], json!(["input"]));
    assert_eq!(written["messages"][0]["tool_calls"][0]["function"]["arguments"], "{\"input\":\"*** Begin\"}");
}

#[test]
fn what_only_another_dialect_has_is_named() {
    let mut request = request(json!({}));
    request.dialect = tollgate_dialect::wire::Dialect::Anthropic;
    request.native.insert("container".to_owned(), json!("c"));
    let outbound = encode(&request);
    assert_eq!(lost(&outbound), ["container"]);
    assert_eq!(body(&outbound).get("container"), None);
    assert_eq!(request.messages[0].role, Role::User);
}
