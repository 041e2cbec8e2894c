//! Which parameters reach Gemini, which are left out and which are refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use tollgate_dialect::conversation::{ChatRequest, Message, Part, Role, Sampling, Tool};
use tollgate_dialect::gemini::{CAPABILITIES, SUPPORTED_PARAMS, encode_chat};
use tollgate_dialect::openai::CHAT_PARAMS;
use tollgate_dialect::wire::{EncodeError, EncodeOptions, Support};

fn asks(extra: Value) -> ChatRequest {
    let Value::Object(extra) = extra else { panic!("extra is an object") };
    let messages = vec![Message { role: Role::User, parts: vec![Part::text("x")], name: None }];
    ChatRequest { model: "gemini-2.5-flash".to_owned(), messages, extra, ..ChatRequest::default() }
}

fn body(request: &ChatRequest, drop_unsupported: bool) -> Result<Map<String, Value>, EncodeError> {
    let options = EncodeOptions { drop_unsupported, ..EncodeOptions::default() };
    let mut body: Map<String, Value> = serde_json::from_slice(&encode_chat(request, &options)?.body).unwrap();
    body.remove("contents");
    Ok(body)
}

/// What a native or foreign member adds to the body.
fn check(extra: Value, expect: Value) {
    assert_eq!(body(&asks(extra.clone()), false).map(Value::Object), Ok(expect), "{extra}");
}

/// What of `extra` changes no answer and is told to be lost.
fn check_lost(extra: Value, names: &[&str]) {
    let lost = encode_chat(&asks(extra), &EncodeOptions::default()).unwrap().lost;
    assert_eq!(lost.names().collect::<Vec<_>>(), names);
}

/// Refused by name, and left out where parameters may be dropped.
fn check_refused(request: &ChatRequest, names: &[&str]) {
    let params = names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(body(request, false), Err(EncodeError::Unsupported { params }));
    let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let lost = encode_chat(request, &options).unwrap().lost;
    assert_eq!(lost.names().collect::<Vec<_>>(), names);
    let allowed_params = names.iter().map(|name| (*name).to_owned()).collect();
    let options = EncodeOptions { allowed_params, ..EncodeOptions::default() };
    assert!(encode_chat(request, &options).is_ok());
}

#[test]
fn a_parameter_has_one_row_and_every_one_of_openais_has_one() {
    let distinct: HashSet<&str> = CAPABILITIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(distinct.len(), CAPABILITIES.len());
    for name in CHAT_PARAMS {
        assert!(distinct.contains(name), "{name}");
    }
}

/// The parameters that the table says this of.
fn rows(support: Support) -> impl Iterator<Item = &'static str> {
    CAPABILITIES.iter().filter(move |(_, row)| *row == support).map(|(name, _)| *name)
}

#[test]
fn the_supported_parameters_are_those_of_the_table() {
    let listed: HashSet<&str> = SUPPORTED_PARAMS.iter().copied().collect();
    let sent = rows(Support::Takes).chain(rows(Support::Translates));
    let expect: HashSet<&str> = sent.chain(["model", "messages", "stream_options"]).collect();
    assert_eq!(listed, expect);
}

#[test]
fn bookkeeping_of_openai_is_left_out_without_a_word() {
    for name in rows(Support::Ignores) {
        check(json!({ name: "value" }), json!({}));
    }
    check(
        json!({"store": true, "metadata": {"a": "b"}, "stream_options": {"include_obfuscation": false}}),
        json!({}),
    );
    check(json!({"prediction": null, "audio": null}), json!({}));
}

#[test]
fn every_unsupported_parameter_is_refused_by_its_name() {
    for name in rows(Support::Refuses).filter(|name| *name != "logit_bias") {
        check_refused(&asks(json!({ name: {"some": "value"} })), &[name]);
    }
    check_refused(&asks(json!({"anything": 1, "safety_settings": [], "else": 2})), &["anything", "else"]);
}

#[test]
fn a_bias_on_tokens_is_refused_unless_it_is_empty() {
    let bias = |bias: Value| ChatRequest {
        sampling: Sampling { logit_bias: bias.as_object().cloned(), ..Sampling::default() },
        ..asks(json!({}))
    };
    check_refused(&bias(json!({"50256": -100})), &["logit_bias"]);
    assert_eq!(body(&bias(json!({})), false), Ok(Map::new()));
}

#[test]
fn one_call_at_a_time_is_refused_where_several_functions_could_be_called() {
    let tool = |name: &str| Tool { name: name.to_owned(), ..Tool::default() };
    let asks = |names: &[&str], parallel| ChatRequest {
        tools: names.iter().map(|name| tool(name)).collect(),
        parallel_tool_calls: Some(parallel),
        ..asks(json!({}))
    };
    check_refused(&asks(&["a", "b"], false), &["parallel_tool_calls"]);
    let declared = json!({"tools": [{"functionDeclarations": [{"name": "a"}]}]});
    assert_eq!(body(&asks(&["a"], false), false).map(Value::Object), Ok(declared));
    assert!(body(&asks(&["a", "b"], true), false).is_ok());
}

#[test]
fn members_of_gemini_pass_by_either_spelling() {
    let safety = json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]);
    check(json!({"safety_settings": safety}), json!({"safetySettings": safety}));
    check(json!({"safetySettings": safety}), json!({"safetySettings": safety}));
    check(json!({"cached_content": "cachedContents/1"}), json!({"cachedContent": "cachedContents/1"}));
    check(
        json!({"media_resolution": "MEDIA_RESOLUTION_LOW", "thinkingConfig": {"thinkingBudget": -1}}),
        json!({"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW", "thinkingConfig": {"thinkingBudget": -1}}}),
    );
}

#[test]
fn a_native_generation_config_wins_over_what_was_translated() {
    let request = ChatRequest {
        sampling: Sampling { temperature: Some(0.1), max_tokens: Some(9), ..Sampling::default() },
        ..asks(json!({"generationConfig": {"temperature": 0.9, "topK": 5}}))
    };
    let expect = json!({"generationConfig": {"temperature": 0.9, "maxOutputTokens": 9, "topK": 5}});
    assert_eq!(body(&request, false).map(Value::Object), Ok(expect));
    check_refused(
        &asks(json!({"generation_config": {"topK": 1, "made_up": 2}})),
        &["generation_config.made_up"],
    );
    check_refused(&asks(json!({"generationConfig": 3})), &["generationConfig"]);
}

#[test]
fn tools_that_run_at_google_are_asked_for_in_its_own_words() {
    let search = json!({"tools": [{"googleSearch": {}}]});
    check(json!({"tools": [{"googleSearch": {}}]}), search.clone());
    check(json!({"tools": [{"google_search": {}}]}), search.clone());
    check(json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), search.clone());
    check(json!({"web_search_options": {"search_context_size": "low"}}), search);
    check(
        json!({"tools": [{"code_execution": {}}, {"urlContext": {}}]}),
        json!({"tools": [{"codeExecution": {}}, {"urlContext": {}}]}),
    );
    for foreign in [
        json!([{"type": "custom"}]),
        json!([{"made_up": {}}]),
        json!([{}]),
        json!(["x"]),
        json!({}),
        json!([{"retrieval": {}}]),
    ] {
        check_refused(&asks(json!({"tools": foreign})), &["tools"]);
    }
}

#[test]
fn functions_and_googles_tools_go_together() {
    let tool = Tool { name: "f".to_owned(), ..Tool::default() };
    let request = ChatRequest { tools: vec![tool], ..asks(json!({"tools": [{"googleSearch": {}}]})) };
    let expect = json!({"tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]});
    assert_eq!(body(&request, false).map(Value::Object), Ok(expect));
}

#[test]
fn allowed_tools_are_names_beside_the_calling_mode() {
    let tool = Tool { name: "f".to_owned(), ..Tool::default() };
    let asks = |mode: &str| {
        let named = json!([{"type": "function", "function": {"name": "f"}}]);
        let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}});
        ChatRequest { tools: vec![tool.clone()], ..asks(json!({"tool_choice": choice})) }
    };
    for (mode, native) in [("auto", "VALIDATED"), ("required", "ANY")] {
        let config = json!({"functionCallingConfig": {"mode": native, "allowedFunctionNames": ["f"]}});
        assert_eq!(body(&asks(mode), false).unwrap()["toolConfig"], config);
    }
    check_refused(&asks("never"), &["tool_choice"]);
}

#[test]
fn adaptive_thinking_leaves_the_amount_to_the_model() {
    check(
        json!({"thinking": {"type": "adaptive"}}),
        json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
    );
    check_refused(&asks(json!({"thinking": {"type": "other"}})), &["thinking"]);
}

#[test]
fn modalities_other_than_text_are_asked_for() {
    check(json!({"modalities": ["text"]}), json!({}));
    check(
        json!({"modalities": ["text", "image"]}),
        json!({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}),
    );
    check(
        json!({"modalities": ["text", "audio"], "audio": {"voice": "Kore", "format": "pcm16"}}),
        json!({"generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
        }}),
    );
    check_refused(&asks(json!({"modalities": ["smell"]})), &["modalities"]);
    check_refused(&asks(json!({"modalities": "text"})), &["modalities"]);
}

#[test]
fn tiers_of_service_have_googles_names() {
    for (tier, native) in
        [("default", "standard"), ("standard_only", "standard"), ("flex", "flex"), ("priority", "priority")]
    {
        check(json!({"service_tier": tier}), json!({"serviceTier": native}));
    }
    check(json!({"service_tier": "auto"}), json!({}));
    check_lost(json!({"service_tier": "scale"}), &["service_tier"]);
}
