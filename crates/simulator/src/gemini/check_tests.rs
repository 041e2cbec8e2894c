//! Bodies that Gemini takes and refuses, with the words of the refusal.

use super::*;

fn body(extra: &Value) -> Value {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn taken(extra: Value) {
    assert_eq!(check_generate(&body(&extra), "gemini-2.5-flash"), Ok(()), "{extra}");
}

fn refused(extra: Value, message: &str) {
    let error = check_generate(&body(&extra), "gemini-2.5-flash").unwrap_err();
    assert!(error.message.contains(message), "{extra}: {}", error.message);
    assert_eq!(error.status, 400);
}

fn function(extra: Value) -> Value {
    let mut function = json!({"name": "f"});
    for (key, value) in extra.as_object().unwrap() {
        function[key] = value.clone();
    }
    json!({"tools": [{"functionDeclarations": [function]}]})
}

fn config(config: Value) -> Value {
    json!({"generationConfig": config})
}

#[test]
fn what_the_reference_allows_is_taken() {
    taken(
        json!({"system_instruction": {"parts": [{"text": "s"}]}, "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]}),
    );
    taken(config(
        json!({"temperature": 2, "top_p": 0.5, "topK": 40, "maxOutputTokens": 5, "stop_sequences": ["a"], "seed": 7}),
    ));
    taken(config(
        json!({"responseMimeType": "application/json", "responseSchema": {"type": "object", "properties": {"a": {"type": "STRING", "enum": ["x"]}}, "required": ["a"]}}),
    ));
    taken(config(json!({"thinkingConfig": {"thinkingBudget": -1, "includeThoughts": true}})));
    taken(function(
        json!({"parameters": {"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}}}}}),
    ));
    taken(function(json!({"parametersJsonSchema": {"type": "object", "additionalProperties": false}})));
    taken(json!({"contents": [
        {"parts": [{"text": "look"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"}, {"functionCall": {"name": "g"}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "g", "response": {"r": 1}}}, {"functionResponse": {"name": "f", "response": {}}}]},
    ]}));
}

#[test]
fn unknown_fields_are_all_reported_with_their_place() {
    let error = check_generate(&body(&json!({"temperature": 1, "generationConfig": {"max_tokens": 5}})), "g")
        .unwrap_err();
    assert_eq!(
        error.message,
        "Invalid JSON payload received. Unknown name \"temperature\": Cannot find field.\nInvalid JSON payload received. \
         Unknown name \"max_tokens\" at 'generation_config': Cannot find field."
    );
    assert_eq!(error.details.unwrap()[0]["fieldViolations"].as_array().unwrap().len(), 2);
    refused(
        function(
            json!({"parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "additionalProperties": false}}),
        ),
        "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'",
    );
}

#[test]
fn types_ranges_and_words_are_checked() {
    refused(
        config(json!({"temperature": "hot"})),
        "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\"",
    );
    refused(
        config(json!({"temperature": 2.5})),
        "generation_config.temperature: 2.5 is above the maximum of 2",
    );
    refused(config(json!({"candidateCount": 0})), "generation_config.candidate_count: 0 is below");
    refused(config(json!({"stopSequences": ["1", "2", "3", "4", "5", "6"]})), "must not exceed 5");
    refused(json!({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}), "(TYPE_ENUM), \"SOME\"");
}

#[test]
fn contents_have_roles_and_parts_with_one_kind_of_data() {
    refused(json!({"contents": []}), "contents is not specified");
    refused(json!({"contents": [{"role": "user", "parts": []}]}), "contents.parts must not be empty");
    refused(
        json!({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}),
        "Please use a valid role: user, model.",
    );
    refused(json!({"contents": [{"parts": [{}]}]}), "must have one initialized field");
    refused(
        json!({"contents": [{"parts": [{"text": "x", "inlineData": {"mimeType": "a/b", "data": ""}}]}]}),
        "Cannot set 'inlineData'",
    );
    refused(
        json!({"contents": [{"parts": [{"functionResponse": {"response": {}}}]}]}),
        "Name cannot be empty",
    );
}

#[test]
fn function_calls_are_answered_one_for_one_in_the_next_turn() {
    let user = json!({"role": "user", "parts": [{"text": "x"}]});
    let call =
        json!({"role": "model", "parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "g"}}]});
    let response = |name: &str| json!({"functionResponse": {"name": name, "response": {}}});
    let answer = |names: &[&str]| json!({"role": "user", "parts": names.iter().map(|name| response(name)).collect::<Vec<_>>()});
    taken(json!({"contents": [user, call, answer(&["f"]), answer(&["g"])]}));
    refused(json!({"contents": [user, call]}), "number of function response parts");
    refused(json!({"contents": [user, call, answer(&["f"])]}), "number of function response parts");
    refused(json!({"contents": [user, call, answer(&["f", "h"])]}), "'h' has not");
    refused(json!({"contents": [answer(&["f"])]}), "immediately after a function call turn");
    refused(json!({"contents": [call, answer(&["f", "g"])]}), "comes immediately after a user turn");
}

#[test]
fn functions_and_schemas_are_checked() {
    refused(function(json!({"name": "1f"})), "Invalid function name");
    refused(function(json!({"parameters": {"type": "OBJECT"}})), "should be non-empty for OBJECT type");
    refused(
        function(json!({"parameters": {"type": "OBJECT", "properties": {"a": {"type": "ARRAY"}}}})),
        "parameters.properties[a].items: missing field",
    );
    refused(
        function(
            json!({"parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "enum": ["1"]}}}}),
        ),
        "only allowed for STRING type",
    );
    refused(
        function(
            json!({"parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["b"]}}),
        ),
        "property is not defined: b",
    );
    let twice = json!({"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]});
    refused(twice, "Duplicate function declaration");
    let mut odd = function(json!({}));
    odd["toolConfig"] = json!({"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}});
    refused(odd.clone(), "only when the mode is ANY");
    odd["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}});
    refused(odd, "'g' is not a declared function");
}

#[test]
fn settings_that_exclude_or_need_another_are_checked() {
    refused(config(json!({"responseSchema": {"type": "STRING"}})), "only allowed for response mimetypes");
    refused(
        config(json!({"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}})),
        "only one of thinking budget and thinking level",
    );
    refused(config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}})), "Thinking level is not supported");
    let mut both = function(json!({}));
    both["generationConfig"] = json!({"responseMimeType": "application/json"});
    refused(both.clone(), "Function calling with a response mime type");
    assert_eq!(check_generate(&body(&both), "gemini-3-pro"), Ok(()));
    refused(config(json!({"logprobs": 3})), "only allowed when response_logprobs is true");
}

#[test]
fn embedding_and_counting_have_rules_of_their_own() {
    let content = json!({"parts": [{"text": "x"}]});
    assert_eq!(check_embed(&json!({"content": content, "taskType": "CLUSTERING"})), Ok(()));
    assert!(check_embed(&json!({})).unwrap_err().message.contains("content is not specified"));
    let many = |model: &str| json!({"requests": [{"model": model, "content": content}]});
    assert_eq!(check_embed_many(&many("models/e"), "e"), Ok(()));
    assert!(check_embed_many(&many("models/x"), "e").unwrap_err().message.contains("must match"));
    assert!(check_embed_many(&json!({"requests": []}), "e").is_err());
    assert_eq!(check_count(&body(&json!({}))), Ok(()));
    assert!(
        check_count(&body(&json!({"systemInstruction": {}}))).unwrap_err().message.contains("Unknown name")
    );
}

#[test]
fn thought_signatures_come_back_as_they_were_given_out() {
    let back = |signature: Option<&str>| {
        let mut call = json!({"functionCall": {"name": "f", "args": {}}});
        if let Some(signature) = signature {
            call["thoughtSignature"] = json!(signature);
        }
        json!({"contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            {"role": "model", "parts": [call]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
        ]})
    };
    let good = crate::signature::sign(super::super::THOUGHT, &mut crate::compose::Ids::new(1));
    let found = |model: &str, signature: Option<&str>| {
        check_generate(&back(signature), model).err().map(|error| error.message).unwrap_or_default()
    };
    for (model, signature, words) in [
        ("gemini-2.5-flash", None, ""),
        ("gemini-2.5-flash", Some("made up"), "Corrupted thought signature."),
        ("gemini-3-pro-preview", Some(good.as_str()), ""),
        ("gemini-3-pro-preview", Some("skip_thought_signature_validator"), ""),
        ("gemini-3-pro-preview", None, "Function call is missing a thought_signature"),
    ] {
        let message = found(model, signature);
        assert!(message.contains(words) && message.is_empty() == words.is_empty(), "{model}: {message}");
    }
}
