//! What Cohere's callers may ask, and that it goes out again to Cohere as it came.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::cohere::{decode_request, encode_chat};
use tollgate_dialect::conversation::{
    ChatRequest, MediaSource, Message, Part, Reasoning, ResponseFormat, Role, ToolChoice,
};
use tollgate_dialect::wire::{Dialect, EncodeOptions};

fn with(members: Value) -> Value {
    let mut body = json!({"model": "command-a-03-2025", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn decode(body: &Value) -> ChatRequest {
    decode_request(body.to_string().as_bytes()).unwrap()
}

fn file(words: &str, filename: Option<&str>, citations: bool) -> Part {
    Part::File {
        source: MediaSource::Text(words.to_owned()),
        filename: filename.map(str::to_owned),
        context: None,
        citations,
        cache_control: None,
    }
}

#[test]
fn every_parameter_has_its_field() {
    let request = decode(&with(json!({
        "stream": true, "max_tokens": 5, "temperature": 0.3, "p": 0.9, "k": 20, "seed": 3, "stop_sequences": ["x"],
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "logprobs": true, "safety_mode": "STRICT", "priority": 4,
        "thinking": {"type": "enabled", "token_budget": 100}, "tool_choice": "REQUIRED",
    })));
    let sampling = &request.sampling;
    assert!(request.stream);
    assert_eq!((sampling.max_tokens, sampling.temperature, sampling.top_p), (Some(5), Some(0.3), Some(0.9)));
    assert_eq!((sampling.top_k, sampling.seed, sampling.logprobs), (Some(20), Some(3), Some(true)));
    assert_eq!((sampling.frequency_penalty, sampling.presence_penalty), (Some(0.1), Some(0.2)));
    assert_eq!(sampling.stop, ["x"]);
    assert_eq!(request.reasoning, Some(Reasoning::Budget(100)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.dialect, Dialect::Cohere);
    assert_eq!(Value::Object(request.native), json!({"safety_mode": "STRICT", "priority": 4}));
    assert!(request.extra.is_empty());
}

#[test]
fn null_is_the_same_as_absent() {
    let nulls = with(json!({
        "stream": null, "tools": null, "documents": null, "citation_options": null, "response_format": null,
        "safety_mode": null, "max_tokens": null, "stop_sequences": null, "temperature": null, "seed": null,
        "frequency_penalty": null, "presence_penalty": null, "k": null, "p": null, "logprobs": null,
        "tool_choice": null, "thinking": null, "priority": null, "strict_tools": null,
        "messages": [{"role": "user", "content": "hi"},
            {"role": "assistant", "content": "a", "tool_calls": null, "tool_plan": null, "citations": null}],
    }));
    let bare =
        with(json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}]}));
    assert_eq!(decode(&nulls), decode(&bare));
}

#[test]
fn documents_stand_before_the_words_of_the_last_question() {
    let request = decode(&with(json!({
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "second"}]},
        ],
        "documents": ["tall", {"data": {"title": "T", "text": "short"}, "id": "d2"}, {"data": {"snippet": "s", "title": "U"}}],
    })));
    assert_eq!(request.messages.len(), 4);
    let json_text = "{\"snippet\":\"s\",\"title\":\"U\"}";
    assert_eq!(
        request.messages[3].parts,
        [
            file("tall", None, true),
            file("short", Some("T"), true),
            file(json_text, Some("U"), true),
            Part::text("second")
        ]
    );
    assert_eq!(Value::Object(request.native), json!({"documents.id": [null, "d2", null]}));
}

#[test]
fn citations_are_wanted_unless_switched_off() {
    let check = |options: Value, is_cited: bool, kept: Value| {
        let request = decode(&with(json!({"documents": ["x"], "citation_options": options})));
        assert_eq!(request.messages[0].parts[0], file("x", None, is_cited), "{options}");
        assert_eq!(Value::Object(request.native), kept, "{options}");
    };
    check(json!(null), true, json!({}));
    check(json!({"mode": "ENABLED"}), true, json!({}));
    check(json!({"mode": "OFF"}), false, json!({}));
    check(json!({"mode": "DISABLED"}), false, json!({}));
    check(json!({"mode": "FAST"}), true, json!({"citation_options": {"mode": "FAST"}}));
    let request = decode(&with(json!({"citation_options": {"mode": "OFF"}})));
    assert_eq!(Value::Object(request.native), json!({"citation_options": {"mode": "OFF"}}));
}

#[test]
fn an_assistant_thinks_speaks_plans_and_calls() {
    let request = decode(&with(json!({"messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "well"}],
            "tool_plan": "I will look.",
            "tool_calls": [{"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            "citations": [
                {"start": 0, "end": 4, "text": "well", "sources": [{"type": "document", "id": "doc:0"}], "content_index": 1},
                {"start": 2, "end": 6, "text": "will", "sources": [{"type": "tool", "id": "t:0"}], "type": "PLAN"},
            ]},
        {"role": "tool", "tool_call_id": "f_1", "content": [
            {"type": "document", "document": {"data": {"temperature": 20}, "id": "r1"}},
            {"type": "text", "text": "done"},
        ]},
    ]})));
    let [_, said, answered] = request.messages.as_slice() else { panic!("three messages") };
    let [
        Part::Reasoning { text: thought, .. },
        Part::Text { text: well, citations: first, .. },
        Part::Text { text: plan, citations: second, .. },
        Part::ToolCall { id, name, arguments, .. },
    ] = said.parts.as_slice()
    else {
        panic!("{:?}", said.parts)
    };
    assert_eq!((thought.as_str(), well.as_str(), plan.as_str()), ("hm", "well", "I will look."));
    assert_eq!((id.as_str(), name.as_str(), arguments.as_str()), ("f_1", "f", "{}"));
    assert_eq!((first[0].span, first[0].document), (Some((0, 4)), Some(0)));
    assert_eq!((second[0].span, second[0].source_id.as_deref()), (Some((2, 6)), Some("t:0")));
    let Part::ToolResult { call_id, content, .. } = &answered.parts[0] else { panic!("a result") };
    assert_eq!((answered.role, call_id.as_str()), (Role::Tool, "f_1"));
    assert_eq!(content[..], [file("{\"temperature\":20}", None, true), Part::text("done")]);
    assert_eq!(Value::Object(request.native), json!({"tool.documents.id": ["r1"]}));
}

#[test]
fn the_form_of_the_answer_may_have_a_schema_under_two_names() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let check = |format: Value, expect: ResponseFormat| {
        assert_eq!(decode(&with(json!({"response_format": format}))).response_format, Some(expect));
    };
    check(json!({"type": "text"}), ResponseFormat::Text);
    check(json!({"type": "json_object"}), ResponseFormat::JsonObject);
    check(json!({"type": "json_object", "json_schema": null}), ResponseFormat::JsonObject);
    for name in ["json_schema", "schema"] {
        let expect = ResponseFormat::JsonSchema {
            name: "response".to_owned(),
            description: None,
            schema: schema.clone(),
            strict: None,
        };
        check(json!({"type": "json_object", name: schema}), expect);
    }
}

#[test]
fn strict_tools_are_each_strict() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let strict = |members: Value| decode(&with(members)).tools[0].strict;
    assert_eq!(strict(json!({"tools": [tool], "strict_tools": true})), Some(true));
    assert_eq!(strict(json!({"strict_tools": false, "tools": [tool]})), None);
}

#[test]
fn wrong_values_name_their_place() {
    let check = |members: Value, param: &str| {
        let error = decode_request(with(members).to_string().as_bytes()).unwrap_err();
        assert_eq!(error.param, param, "{}", error.message);
    };
    check(json!({"model": ""}), "model");
    check(json!({"model": 5}), "model");
    check(json!({"messages": null}), "messages");
    check(json!({"messages": []}), "messages");
    check(json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role");
    check(json!({"messages": [{"role": "user"}]}), "messages[0].content");
    check(
        json!({"messages": [{"role": "user", "content": [{"type": "video"}]}]}),
        "messages[0].content[0].type",
    );
    check(json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].tool_call_id");
    check(
        json!({"messages": [{"role": "tool", "tool_call_id": "a", "content": [{"type": "document", "document": {}}]}]}),
        "messages[0].content[0].document.data",
    );
    check(
        json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}),
        "messages[0].tool_calls[0].function",
    );
    check(json!({"documents": [5]}), "documents[0]");
    check(json!({"max_tokens": -1}), "max_tokens");
    check(json!({"p": "1"}), "p");
    check(json!({"stop_sequences": "x"}), "stop_sequences");
    check(json!({"tool_choice": "auto"}), "tool_choice");
    check(json!({"thinking": {"type": "maybe"}}), "thinking.type");
    check(json!({"response_format": {"type": "xml"}}), "response_format.type");
    check(json!({"tools": [{"type": "code"}]}), "tools[0].type");
    check(json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].function.name");
    assert_eq!(decode_request(b"[]").unwrap_err().param, "request_body");
    assert_eq!(decode_request(b"{\"messages\": []}").unwrap_err().param, "model");
}

/// A body that goes to Cohere again as it came.
fn check_again(members: Value) {
    let asked = with(members);
    let request = decode(&asked);
    let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
    let written: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!(written, asked);
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(decode(&written), request);
}

#[test]
fn a_request_goes_to_cohere_as_it_came() {
    check_again(json!({}));
    check_again(
        json!({"stream": true, "max_tokens": 9, "p": 0.5, "k": 3, "seed": 1, "stop_sequences": ["a"],
        "temperature": 0.5, "frequency_penalty": 0.5, "presence_penalty": 0.5, "logprobs": false, "safety_mode": "OFF",
        "priority": 9, "thinking": {"type": "enabled"}, "of_tomorrow": {"a": [1]}}),
    );
    check_again(
        json!({"documents": ["a", {"data": {"title": "T", "text": "b"}, "id": "x"}, {"data": {"n": 1}}],
        "citation_options": {"mode": "ACCURATE"}}),
    );
    check_again(
        json!({"documents": [{"data": {"text": "b"}, "id": "x"}], "citation_options": {"mode": "OFF"}}),
    );
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    check_again(json!({"tools": [tool], "tool_choice": "REQUIRED", "strict_tools": true}));
    check_again(json!({"response_format": {"type": "json_object", "json_schema": {"type": "object"}}}));
    check_again(json!({"messages": [
        {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": [{"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "high"}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "tool_plan": "plan",
            "citations": [{"start": 0, "end": 4, "text": "plan", "sources": [{"type": "document", "id": "d"},
                {"type": "tool", "id": "t"}], "type": "PLAN"}],
            "tool_calls": [{"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "f_1", "content": [
            {"type": "document", "document": {"data": {"temperature": 20}, "id": "r1"}},
            {"type": "document", "document": {"data": {"text": "x"}}}]},
        {"role": "assistant", "content": "It is 20.", "citations": [{"start": 6, "end": 8, "text": "20",
            "sources": [{"type": "tool", "id": "r1", "tool_output": {"temperature": 20}}], "content_index": 0,
            "type": "TEXT_CONTENT"}]},
        {"role": "user", "content": "thanks"},
    ]}));
}

#[test]
fn signed_thoughts_of_other_makers_are_read_again() {
    let request = decode(&with(json!({"messages": [
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "tollgate.google.abc"},
            {"type": "thinking", "thinking": "", "data": "opaque"}],
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
                "signature": "tollgate.google.xyz"}]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]})));
    let Message { parts, .. } = &request.messages[0];
    let texts: Vec<String> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Reasoning { signature, .. } | Part::ToolCall { signature, .. } => signature.clone(),
            Part::RedactedReasoning { data } => Some(data.clone()),
            _ => None,
        })
        .map(|signature| format!("{:?} {}", signature.issuer, signature.text))
        .collect();
    assert_eq!(texts, ["Google abc", "Anthropic opaque", "Google xyz"]);
    let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), ["reasoning"]);
}
