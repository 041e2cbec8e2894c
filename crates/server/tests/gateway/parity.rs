//! The fast road against the slow one: what the gateway splices for a provider of the caller's own dialect is what it
//! would have written after reading the whole request.

use crate::support::{App, Wire, model_list, post};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use tollgate_dialect::openai::{Extensions, decode_chat, encode_chat};
use tollgate_dialect::wire::EncodeOptions;
use tollgate_simulator::{Behaviour, Rule, Script};

fn text() -> impl Strategy<Value = String> {
    "[ -~\u{1}-\u{1f}\"\\\\\u{e4}\u{2028}\u{1f600}]{1,16}"
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,10}"
}

fn object(members: Vec<(&str, Option<Value>)>) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect())
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        word().prop_map(|word| json!({"type": "image_url", "image_url": {"url": format!("https://x.example/{word}")}})),
        word().prop_map(|word| json!({"type": "image_url", "image_url": {"url": format!("https://x.example/{word}"), "detail": "low"}})),
        Just(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
    ]
}

fn call() -> impl Strategy<Value = Value> {
    (word(), word(), "[ -~]{0,12}").prop_map(|(id, name, arguments)| {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    })
}

fn message() -> impl Strategy<Value = Value> {
    prop_oneof![
        (prop_oneof![Just("system"), Just("developer"), Just("user"), Just("assistant")], text())
            .prop_map(|(role, text)| json!({"role": role, "content": text})),
        (vec(part(), 2..4), option::of(word())).prop_map(|(parts, name)| object(vec![
            ("role", Some(json!("user"))),
            ("content", Some(json!(parts))),
            ("name", name.map(Value::from)),
        ])),
        (vec(call(), 1..3), option::of(text())).prop_map(|(calls, text)| json!({
            "role": "assistant", "content": text, "tool_calls": calls,
        })),
        (word(), text()).prop_map(|(id, text)| json!({"role": "tool", "tool_call_id": id, "content": text})),
    ]
}

fn tool() -> impl Strategy<Value = Value> {
    (word(), option::of(text()), option::of(any::<bool>())).prop_map(|(name, description, strict)| {
        let parameters = json!({"type": "object", "properties": {name.clone(): {"type": "string"}}});
        let function = object(vec![
            ("name", Some(json!(name))),
            ("description", description.map(Value::from)),
            ("parameters", Some(parameters)),
            ("strict", strict.map(Value::from)),
        ]);
        json!({"type": "function", "function": function})
    })
}

fn tenths() -> impl Strategy<Value = Value> {
    (0..20_u32).prop_map(|tenths| json!(f64::from(tenths) / 10.0))
}

fn request() -> impl Strategy<Value = Value> {
    let format = prop_oneof![
        Just(json!({"type": "json_object"})),
        word().prop_map(|name| json!({"type": "json_schema", "json_schema": {"name": name, "schema": {"type": "object"}, "strict": true}})),
    ];
    let choice = prop_oneof![
        Just(json!("auto")),
        Just(json!("none")),
        Just(json!("required")),
        word().prop_map(|name| json!({"type": "function", "function": {"name": name}})),
    ];
    let stop = prop_oneof![text().prop_map(Value::from), vec(text(), 2..4).prop_map(Value::from),];
    let stream = prop_oneof![
        Just((None, None)),
        Just((Some(json!(true)), None)),
        Just((Some(json!(true)), Some(json!({"include_usage": true})))),
        Just((Some(json!(true)), Some(json!({"include_usage": false})))),
    ];
    let tools = option::of((vec(tool(), 1..3), option::of(choice), option::of(any::<bool>())));
    let numbers = (
        (option::of(tenths()), option::of(tenths()), option::of(tenths()), option::of(tenths())),
        (option::of(1..4_096_u32), option::of(any::<u32>()), option::of(1..4_u32), option::of(0..20_u32)),
    );
    let extra = option::of(
        (word(), text()).prop_map(|(name, text)| (format!("x_{name}"), json!({"deep": [text, null, 1.5]}))),
    );
    let words = (option::of(stop), option::of(text()), option::of(format), option::of(Just("low")), extra);
    (vec(message(), 1..5), tools, numbers, words, stream).prop_map(
        |(messages, tools, numbers, words, stream)| {
            let ((temperature, top_p, presence, frequency), (tokens, seed, n, top_logprobs)) = numbers;
            let (stop, user, format, effort, extra) = words;
            let (tools, choice, parallel) =
                tools.map_or((None, None, None), |(tools, choice, parallel)| (Some(tools), choice, parallel));
            let mut body = object(vec![
                ("model", Some(json!("m"))),
                ("messages", Some(json!(messages))),
                ("tools", tools.map(Value::from)),
                ("tool_choice", choice),
                ("parallel_tool_calls", parallel.map(Value::from)),
                ("temperature", temperature),
                ("top_p", top_p),
                ("presence_penalty", presence),
                ("frequency_penalty", frequency),
                ("max_completion_tokens", tokens.map(Value::from)),
                ("seed", seed.map(Value::from)),
                ("n", n.map(Value::from)),
                ("logprobs", top_logprobs.map(|_| json!(true))),
                ("top_logprobs", top_logprobs.map(Value::from)),
                ("stop", stop),
                ("user", user.map(Value::from)),
                ("response_format", format),
                ("reasoning_effort", effort.map(Value::from)),
                ("stream", stream.0),
                ("stream_options", stream.1),
            ]);
            body.as_object_mut().unwrap().extend(extra);
            body
        },
    )
}

/// One value for what both roads may write in two ways: whole numbers with and without a fraction, absence and null.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(members) => {
            let kept =
                members.iter().filter(|(name, value)| !(name.as_str() == "content" && value.is_null()));
            Value::Object(kept.map(|(name, value)| (name.clone(), canonical(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// What the slow road sends for a body.
fn slow(body: &Value) -> Value {
    let mut conversation =
        decode_chat(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"));
    "gpt-4o".clone_into(&mut conversation.model);
    conversation.include_usage = conversation.stream;
    let options = EncodeOptions { reasoning_by_level: true, ..EncodeOptions::default() };
    let written = encode_chat(&conversation, Extensions::Omit, &options).unwrap();
    serde_json::from_slice(&written.body).unwrap()
}

#[test]
fn what_is_spliced_is_what_would_have_been_written() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(async {
        let script = Script::new().rule(Rule::any(Behaviour::new().lenient()));
        App::start(model_list(&[("m", &Wire::OpenAi.parameters("a"))]), script).await
    });
    let config = ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&request(), |body| {
            let answer = runtime.block_on(app.chat(&body));
            prop_assert_eq!(answer.status, 200, "{}", answer.text());
            let received = app.received().pop().unwrap();
            app.simulator.forget_received();
            prop_assert_eq!(canonical(&received.json()), canonical(&slow(&body)));
            Ok(())
        })
        .unwrap();
    runtime.block_on(app.stop());
}

/// Whatever the caller's text looks like, what is not changed comes to the provider byte by byte.
#[test]
fn what_is_not_changed_is_not_written_anew() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(async {
        let script = Script::new().rule(Rule::any(Behaviour::new().lenient()));
        App::start(model_list(&[("m", &Wire::OpenAi.parameters("a"))]), script).await
    });
    for (body, sent) in [
        (r#"{"model":"m","messages":[]}"#, r#"{"model":"gpt-4o","messages":[]}"#),
        (
            " {\n\t\"messages\" : [ ] , \"model\" : \"m\" ,\r\n \"x\" : 1.50e+00 , \"y\" : \"\\u00e4\\/\" } \n",
            " {\n\t\"messages\" : [ ] , \"model\" : \"gpt-4o\" ,\r\n \"x\" : 1.50e+00 , \"y\" : \"\\u00e4\\/\" } \n",
        ),
        (
            r#"{"mod\u0065l":"\u006d","messages":[],"b":2,"a":1}"#,
            r#"{"mod\u0065l":"gpt-4o","messages":[],"b":2,"a":1}"#,
        ),
        (
            r#"{"model":"m","messages":[],"seed":18446744073709551615,"f":0.1000000000000000055511151231257827}"#,
            r#"{"model":"gpt-4o","messages":[],"seed":18446744073709551615,"f":0.1000000000000000055511151231257827}"#,
        ),
        (r#"{"model":"m","timeout":30,"messages":[]}"#, r#"{"model":"gpt-4o","messages":[]}"#),
        (r#"{"num_retries":1,"model":"m","messages":[]}"#, r#"{"model":"gpt-4o","messages":[]}"#),
        (r#"{"model":"m","messages":[],"metadata":{"a":"b"}}"#, r#"{"model":"gpt-4o","messages":[]}"#),
    ] {
        let answer = runtime.block_on(app.ask(&post("/v1/chat/completions", &[], body.as_bytes())));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = app.received().pop().unwrap();
        assert_eq!(String::from_utf8(received.body.to_vec()).unwrap(), sent);
    }
    runtime.block_on(app.stop());
}

#[tokio::test]
async fn what_litellm_adds_to_messages_does_not_reach_openai_and_what_others_take_does() {
    let yaml = r#"
model_list:
  - model_name: openai
    litellm_params: {model: openai/gpt-4o, api_base: "http://{sim}/v1", api_key: sk-up, max_completion_tokens: 9}
  - model_name: other
    litellm_params: {model: deepseek/deepseek-chat, api_base: "http://{sim}/v1", api_key: sk-up}
"#;
    let script = Script::new().rule(Rule::any(Behaviour::new().lenient()));
    let app = App::start(yaml, script).await;
    let ask = |model: &str| {
        json!({"model": model, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": "ho", "reasoning_content": "hm", "provider_specific_fields": {"refusal": null}},
            {"role": "user", "content": "and?"},
        ], "temperature": 0.5})
    };
    for model in ["openai", "other"] {
        assert_eq!(app.chat(&ask(model)).await.status, 200, "{model}");
    }
    let sent: Vec<Value> = app.received().iter().map(|received| received.json()).collect();
    assert_eq!(
        sent[0],
        json!({"model": "gpt-4o", "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "ho"},
            {"role": "user", "content": "and?"},
        ], "temperature": 0.5, "max_completion_tokens": 9})
    );
    assert_eq!(sent[1]["messages"][0]["content"][0]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(sent[1]["messages"][1]["reasoning_content"], "hm");
    assert_eq!(sent[1]["messages"][1].get("provider_specific_fields"), None);
    app.stop().await;
}
