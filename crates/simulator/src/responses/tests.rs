//! Responses that OpenAI takes and refuses, what they reply and stream, and what is kept.

use super::*;
use crate::behaviour::{Answer, Behaviour, TokenCounts};
use crate::compose::{Ids, compose};
use crate::reply::Content;

struct Bench {
    store: Store,
    owner: Owner,
    ids: Ids,
}

impl Bench {
    fn new() -> Bench {
        Bench { store: Store::default(), owner: Owner::default(), ids: Ids::new(1) }
    }

    fn verdict(&self, body: &Value) -> Result<(), ApiError> {
        let mut body = body.clone();
        spell_out(&mut body);
        check::check(&body, text_at(&body, "model"), &self.store, &self.owner)
    }

    fn refused(&self, extra: Value, param: &str, message: &str) {
        let body = asking(extra);
        let error = self.verdict(&body).expect_err(&body.to_string());
        let found = (error.param.as_deref().unwrap_or(""), error.message.as_str());
        assert!(found.0 == param && found.1.contains(message), "{body}: {found:?}");
    }

    fn taken(&self, extra: Value) {
        let body = asking(extra);
        assert_eq!(self.verdict(&body), Ok(()), "{body}");
    }

    fn made(&mut self, extra: Value, behaviour: &Behaviour, breaks: Option<Breaks>) -> Reply {
        let mut body = asking(extra);
        spell_out(&mut body);
        let seen = self.store.seen(&self.owner, &body);
        let ask = read(&body, &seen, text_at(&body, "model"));
        let composed = compose(&ask, behaviour);
        let mut making = Making { composed: &composed, ids: &mut self.ids, created: 5, usage_fault: None };
        let asking = Asking { store: &self.store, owner: &self.owner, body: &body, ask: &ask, breaks };
        create(asking, &mut making)
    }

    fn plain(&mut self, extra: Value, behaviour: &Behaviour) -> Value {
        let Content::Whole(bytes) = self.made(extra, behaviour, None).content else { unreachable!() };
        serde_json::from_slice(&bytes).unwrap()
    }

    fn streamed(&mut self, extra: Value, behaviour: &Behaviour, breaks: Option<Breaks>) -> Vec<Value> {
        let mut extra = extra;
        extra["stream"] = json!(true);
        let Content::Events(events) = self.made(extra, behaviour, breaks).content else { unreachable!() };
        let data = |event: &crate::reply::Event| {
            let text = String::from_utf8(event.bytes.to_vec()).unwrap();
            let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["type"], name);
            data
        };
        events.iter().map(data).collect()
    }
}

fn asking(extra: Value) -> Value {
    let mut body = json!({"model": "gpt-4.1", "input": "hi"});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn function() -> Value {
    json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}})
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "rain"})
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

#[test]
fn what_the_reference_allows_is_taken() {
    let bench = Bench::new();
    bench.taken(json!({}));
    bench.taken(json!({"instructions": null, "temperature": 0.5, "max_output_tokens": 16, "metadata": {"a": "b"},
        "truncation": "auto", "store": false, "service_tier": "flex", "include": ["message.output_text.logprobs"],
        "top_logprobs": 2, "prompt_cache_key": "k", "user": "u"}));
    bench.taken(json!({"input": [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_file", "filename": "x.pdf", "file_data": "data:application/pdf;base64,AAAA"},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        ]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]},
        call("a"), call("b"), output("b"),
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "sun"}]},
    ]}));
    bench.taken(json!({"tools": [function(), {"type": "web_search"}, {"type": "custom", "name": "c"},
        {"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "file_search", "vector_store_ids": ["v"]},
        {"type": "mcp", "server_label": "s", "server_url": "https://example.com"}, {"type": "image_generation"},
        {"type": "local_shell"}], "tool_choice": {"type": "function", "name": "f"}}));
    bench.taken(json!({"model": "o3", "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"]}));
}

#[test]
fn parameters_are_checked_for_names_types_and_ranges() {
    let bench = Bench::new();
    for (extra, param, message) in [
        (json!({"top_k": 1}), "top_k", "Unknown parameter: 'top_k'."),
        (json!({"messages": []}), "messages", "has moved to 'input'"),
        (json!({"max_tokens": 5}), "max_tokens", "has moved to 'max_output_tokens'"),
        (json!({"response_format": {}}), "response_format", "has moved to 'text.format'"),
        (json!({"max_output_tokens": 15}), "max_output_tokens", "Expected a value >= 16"),
        (json!({"temperature": 3}), "temperature", "Expected a value <= 2"),
        (json!({"input": 5}), "input", "Invalid type for 'input'"),
        (json!({"input": []}), "input", "must be provided"),
        (json!({"input": [{"role": "tool", "content": "x"}]}), "input[0].role", "Invalid value: 'tool'."),
        (json!({"input": [{"type": "text", "text": "x"}]}), "input[0].type", "Invalid value: 'text'."),
        (json!({"truncation": "on"}), "truncation", "Supported values are: 'auto' and 'disabled'."),
        (json!({"include": ["everything"]}), "include[0]", "Invalid value: 'everything'."),
        (
            json!({"text": {"format": {"type": "json_schema", "schema": {}}}}),
            "text.format.name",
            "Missing required",
        ),
        (json!({"stream_options": {}}), "stream_options", "only allowed when 'stream' is enabled"),
        (json!({"background": true, "store": false}), "background", "requires 'store'"),
        (json!({"previous_response_id": "r", "conversation": "c"}), "", "Mutually exclusive parameters"),
        (json!({"metadata": {"k": 1}}), "metadata.k", "expected a string"),
        (json!({"metadata": {"a".repeat(65): "v"}}), "metadata", "too long"),
        (json!({"reasoning": {"effort": "low"}}), "reasoning.effort", "not supported with this model"),
        (json!({"model": "o3", "temperature": 0.2}), "temperature", "not supported with this model"),
        (json!({"text": {"format": {"type": "json_object"}}}), "input", "the word 'json'"),
    ] {
        bench.refused(extra, param, message);
    }
}

#[test]
fn tools_and_their_choice_are_checked() {
    let bench = Bench::new();
    let nested = json!({"type": "function", "function": {"name": "f"}});
    let mut strict = function();
    strict["strict"] = json!(true);
    for (extra, param, message) in [
        (json!({"tools": [nested]}), "tools[0].name", "Missing required parameter: 'tools[0].name'."),
        (json!({"tools": [{"type": "function", "name": "a b"}]}), "tools[0].name", "does not match pattern"),
        (json!({"tools": [{"type": "browser"}]}), "tools[0].type", "Invalid value: 'browser'."),
        (json!({"tools": [strict]}), "tools[0].parameters", "Invalid schema for function 'f'"),
        (json!({"tools": [{"type": "mcp", "server_label": "s"}]}), "tools[0]", "server_url"),
        (json!({"tool_choice": "required"}), "tool_choice", "must be specified with 'tools'"),
        (
            json!({"tools": [function()], "tool_choice": {"type": "function", "name": "g"}}),
            "tool_choice",
            "not found",
        ),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}}}}),
            "text.format.schema",
            "Invalid schema for response_format 'n'",
        ),
    ] {
        bench.refused(extra, param, message);
    }
}

#[test]
fn items_go_with_one_another() {
    let bench = Bench::new();
    let user = json!({"role": "user", "content": "x"});
    let said = |kind: &str| json!({"role": "assistant", "content": [{"type": kind, "text": "x"}]});
    let reasoning = |id: &str, sealed: &str| json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": sealed});
    let sealed = seal::seal("rs_1", "why");
    for (input, param, message) in [
        (json!([user, call("a")]), "input", "No tool output found for function call a."),
        (json!([user, output("a")]), "input", "No tool call found for function call output with call_id a."),
        (json!([output("a"), call("a")]), "input", "No tool call found"),
        (
            json!([said("input_text")]),
            "input[0].content[0]",
            "Supported values are: 'output_text' and 'refusal'.",
        ),
        (
            json!([{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]),
            "input[0].content[0]",
            "'input_text'",
        ),
        (json!([reasoning("rs_1", &sealed)]), "input", "without its required following item"),
        (json!([reasoning("rs_1", &sealed), user]), "input", "without its required following item"),
        (json!([reasoning("rs_1", "signature"), said("output_text")]), "", "could not be verified"),
        (
            json!([{"type": "reasoning", "id": "rs_9", "summary": []}]),
            "input",
            "not found. Items are not persisted",
        ),
        (json!([{"type": "item_reference", "id": "msg_9"}]), "input", "Item with id 'msg_9' not found."),
        (
            json!([{"type": "function_call", "id": "call_1", "call_id": "a", "name": "f", "arguments": ""}, output("a")]),
            "input[0].id",
            "begins with 'fc'",
        ),
        (
            json!([{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]),
            "input[0].content[0].image_url",
            "Expected a valid URL",
        ),
        (
            json!([{"role": "user", "content": [{"type": "input_file", "filename": "f", "file_data": "AAAA"}]}]),
            "input[0].content[0].file_data",
            "data URL",
        ),
    ] {
        bench.refused(json!({"input": input}), param, message);
    }
    bench.taken(json!({"input": [user, reasoning("rs_1", &sealed), said("output_text"), user]}));
}

#[test]
fn a_plain_response_repeats_its_settings_and_counts() {
    let mut bench = Bench::new();
    let counts = TokenCounts { cached: Some(3), ..TokenCounts::default() };
    let reply = bench.plain(
        json!({"metadata": {"a": "b"}, "temperature": 0.5}),
        &Behaviour::new().text("yes").tokens(counts),
    );
    for (pointer, expect) in [
        ("/object", json!("response")),
        ("/status", json!("completed")),
        ("/metadata/a", json!("b")),
        ("/temperature", json!(0.5)),
        ("/tool_choice", json!("auto")),
        ("/text/format/type", json!("text")),
        ("/output/0/type", json!("message")),
        ("/output/0/content/0/text", json!("yes")),
        ("/usage/input_tokens_details/cached_tokens", json!(3)),
        ("/usage/output_tokens", json!(1)),
        ("/incomplete_details", Value::Null),
    ] {
        assert_eq!(reply.pointer(pointer), Some(&expect), "{pointer}");
    }
    assert!(reply["id"].as_str().unwrap().starts_with("resp_"));
}

#[test]
fn a_stream_builds_up_the_plain_response() {
    let mut bench = Bench::new();
    let events = bench.streamed(json!({}), &Behaviour::new().text("abcdefg"), None);
    assert_eq!(
        types(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!(events[2]["item"]["content"], json!([]));
    assert_eq!(
        (&events[0]["response"]["usage"], &events[0]["response"]["output"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!((&events[4]["delta"], &events[4]["logprobs"]), (&json!("abcd"), &json!([])));
    assert_eq!(events[9]["response"]["output"][0], events[8]["item"]);
    assert_eq!(events[9]["response"]["usage"]["output_tokens"], 2);
}

#[test]
fn reasoning_comes_as_a_summary_sealed_hidden_or_in_full() {
    let mut bench = Bench::new();
    let thinking = Behaviour::new().reasoning("because").text("yes");
    let asked = json!({"model": "o3", "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"]});
    let events = bench.streamed(asked, &thinking, None);
    assert_eq!(
        types(&events)[2..9],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done"
        ]
    );
    let item = &events[8]["item"];
    assert_eq!(item["summary"][0]["text"], "because");
    assert_eq!(seal::open(item["encrypted_content"].as_str().unwrap()), item["id"].as_str());
    let hidden = bench.plain(json!({"model": "o3", "reasoning": {"effort": "low"}}), &thinking);
    assert_eq!(
        (&hidden["output"][0]["type"], &hidden["output"][0]["summary"]),
        (&json!("reasoning"), &json!([]))
    );
    let open = Behaviour { open_reasoning: true, ..thinking };
    let events = bench.streamed(json!({"model": "o3"}), &open, None);
    assert_eq!(types(&events)[3..6], ["content_part.added", "reasoning_text.delta", "reasoning_text.delta"]);
}

#[test]
fn calls_of_functions_and_custom_tools_are_items_of_their_own() {
    let mut bench = Bench::new();
    let tools = json!([function(), {"type": "custom", "name": "c"}]);
    let behaviour = Behaviour::new().answer(Answer::CallTools(2));
    let reply = bench.plain(json!({"tools": tools}), &behaviour);
    assert_eq!(
        (&reply["output"][0]["type"], &reply["output"][1]["type"]),
        (&json!("function_call"), &json!("custom_tool_call"))
    );
    assert_eq!(
        (&reply["output"][0]["arguments"], &reply["output"][1]["input"]),
        (&json!(r#"{"q":"hi"}"#), &json!("hi"))
    );
    assert_eq!(reply["tools"][0]["strict"], true);
    let events = bench.streamed(json!({"tools": tools}), &behaviour, None);
    let deltas = |kind: &str| -> String {
        events
            .iter()
            .filter(|event| event["type"] == kind)
            .map(|event| event["delta"].as_str().unwrap())
            .collect()
    };
    assert_eq!(deltas("response.function_call_arguments.delta"), r#"{"q":"hi"}"#);
    assert_eq!(deltas("response.custom_tool_call_input.delta"), "hi");
}

#[test]
fn a_call_names_the_namespace_of_its_tool() {
    let mut bench = Bench::new();
    let call =
        |name: &str| crate::behaviour::ToolCall { name: name.to_owned(), arguments: json!({"input": "x"}) };
    let behaviour = Behaviour::new().answer(Answer::Calls(vec![call("run"), call("f"), call("stray")]));
    let space = |tools: Value| json!({"type": "namespace", "name": "n", "description": "d", "tools": tools});
    let added = json!({"type": "additional_tools", "role": "developer", "tools": [
        space(json!([{"type": "custom", "name": "run"}])),
    ]});
    let say = json!({"role": "user", "content": "hi"});
    let reply =
        bench.plain(json!({"input": [added, say], "tools": [space(json!([function()]))]}), &behaviour);
    let found = |at: usize| (reply["output"][at]["type"].clone(), reply["output"][at]["namespace"].clone());
    assert_eq!(found(0), (json!("custom_tool_call"), json!("n")));
    assert_eq!(found(1), (json!("function_call"), json!("n")));
    assert_eq!(found(2), (json!("function_call"), Value::Null));
}

#[test]
fn a_conversation_goes_on_from_a_kept_response() {
    let mut bench = Bench::new();
    let tools = json!([function()]);
    let first = bench.plain(json!({"tools": tools}), &Behaviour::new().answer(Answer::CallTools(1)));
    let (id, call_id) = (first["id"].clone(), first["output"][0]["call_id"].as_str().unwrap().to_owned());
    let next = |input: Value| json!({"previous_response_id": id, "input": input});
    bench.refused(next(json!("and?")), "input", "No tool output found for function call call_");
    bench.taken(next(json!([output(&call_id)])));
    bench.refused(json!({"previous_response_id": "resp_9"}), "previous_response_id", "not found");
    let second = bench.plain(next(json!([output(&call_id)])), &Behaviour::new());
    assert_eq!(second["output"][0]["content"][0]["text"], "The tool says: rain");
    assert!(second["usage"]["input_tokens"].as_u64() > first["usage"]["input_tokens"].as_u64());
    let unkept = bench.plain(json!({"store": false}), &Behaviour::new());
    bench.refused(json!({"previous_response_id": unkept["id"]}), "previous_response_id", "not found");
}

#[test]
fn an_item_that_reasoning_led_to_comes_with_it() {
    let mut bench = Bench::new();
    let asked = json!({"model": "o3", "reasoning": {"effort": "low"}, "tools": [function()]});
    let reply = bench.plain(asked, &Behaviour::new().answer(Answer::CallTools(1)));
    let (reasoning, called) = (reply["output"][0].clone(), reply["output"][1].clone());
    let answered = output(called["call_id"].as_str().unwrap());
    bench.refused(
        json!({"input": [called, answered]}),
        "input",
        "without its required 'reasoning' item: 'rs_",
    );
    bench.taken(json!({"input": [reasoning, called, answered]}));
    let reference = json!({"type": "item_reference", "id": called["id"]});
    bench.taken(json!({"input": [{"id": reasoning["id"]}, reference, answered]}));
    bench.refused(
        json!({"input": [reasoning, reasoning, called, answered]}),
        "input",
        "Duplicate item found",
    );
}

#[test]
fn a_response_ends_incomplete_refused_cited_or_failed() {
    let mut bench = Bench::new();
    let long = bench.plain(json!({"max_output_tokens": 16}), &Behaviour::new().answer(Answer::Tokens(20)));
    assert_eq!(
        (&long["status"], &long["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let refusing = Behaviour { refusal: true, ..Behaviour::new() };
    let refused = bench.plain(json!({}), &refusing);
    assert_eq!(refused["output"][0]["content"][0]["type"], "refusal");
    assert!(types(&bench.streamed(json!({}), &refusing, None)).contains(&"refusal.done"));
    let citing = Behaviour { citations: 2, ..Behaviour::new() };
    let cited = bench.plain(json!({}), &citing);
    assert_eq!(cited["output"][0]["content"][0]["annotations"].as_array().unwrap().len(), 2);
    let events = bench.streamed(json!({}), &citing, None);
    let added = types(&events).iter().filter(|kind| **kind == "output_text.annotation.added").count();
    assert_eq!(added, 2);
    let events = bench.streamed(json!({}), &Behaviour::new(), Some(Breaks::Failed { after: 2 }));
    let last = events.last().unwrap();
    assert_eq!(
        (types(&events).last(), &last["response"]["error"]["code"]),
        (Some(&"failed"), &json!("server_error"))
    );
    assert_eq!(last["sequence_number"].as_u64().unwrap() as usize, events.len() - 1);
    let events = bench.streamed(json!({}), &Behaviour::new(), Some(Breaks::Error { after: 0, status: 429 }));
    assert_eq!(
        (types(&events).last(), &events.last().unwrap()["code"]),
        (Some(&"error"), &json!("rate_limit_exceeded"))
    );
}

#[test]
fn hosted_tools_are_used_before_the_answer() {
    let mut bench = Bench::new();
    let tools = json!([{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["v"]},
        {"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "image_generation"},
        {"type": "mcp", "server_label": "s", "server_url": "https://example.com"}]);
    let hosting = Behaviour { hosted_tools: true, ..Behaviour::new() };
    let reply = bench.plain(json!({"tools": tools}), &hosting);
    let kinds: Vec<&str> =
        reply["output"].as_array().unwrap().iter().map(|item| text_at(item, "type")).collect();
    assert_eq!(
        kinds,
        [
            "web_search_call",
            "file_search_call",
            "code_interpreter_call",
            "image_generation_call",
            "mcp_list_tools",
            "mcp_call",
            "message"
        ]
    );
    let events = bench.streamed(json!({"tools": tools}), &hosting, None);
    for kind in ["web_search_call.searching", "code_interpreter_call_code.done", "mcp_call_arguments.delta"] {
        assert!(types(&events).contains(&kind), "{kind}");
    }
    bench.taken(json!({"previous_response_id": reply["id"]}));
}

#[test]
fn kept_responses_are_read_listed_cancelled_and_deleted() {
    let mut bench = Bench::new();
    let made = bench.plain(json!({"input": [{"role": "user", "content": "x"}]}), &Behaviour::new());
    let id = made["id"].as_str().unwrap();
    let read = |reply: Result<Reply, ApiError>| {
        let Content::Whole(bytes) = reply.unwrap().content else { unreachable!() };
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let (store, owner) = (&bench.store, &bench.owner);
    assert_eq!(read(get(store, owner, id)), made);
    let items = read(input_items(store, owner, id, ""));
    assert_eq!(items["data"][0]["content"][0], json!({"type": "input_text", "text": "x"}));
    assert_eq!(cancel(store, owner, id).unwrap_err().message, "Cannot cancel a synchronous response.");
    assert_eq!(read(delete(store, owner, id))["deleted"], true);
    assert_eq!(get(store, owner, id).unwrap_err().status, 404);
}

#[test]
fn a_response_in_the_background_is_queued_then_running_then_complete() {
    let mut bench = Bench::new();
    let made = bench.plain(json!({"background": true}), &Behaviour::new());
    assert_eq!((&made["status"], &made["output"]), (&json!("queued"), &json!([])));
    let id = made["id"].as_str().unwrap();
    let status = |bench: &Bench| bench.store.poll(&bench.owner, id).unwrap()["status"].clone();
    assert_eq!([status(&bench), status(&bench)], [json!("in_progress"), json!("completed")]);
    let other = bench.plain(json!({"background": true}), &Behaviour::new());
    let cancelled = bench.store.cancel(&bench.owner, other["id"].as_str().unwrap()).unwrap().unwrap();
    assert_eq!(cancelled["status"], "cancelled");
}
