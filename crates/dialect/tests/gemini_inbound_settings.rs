//! What callers of `generateContent` ask for beside their contents, and what of a body is refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat, ToolChoice};
use tollgate_dialect::gemini::decode_request;

/// A request with one word of the user and these members.
fn with(members: Value) -> ChatRequest {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}]});
    let members = members.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    decode_request(body.to_string().as_bytes()).unwrap()
}

#[test]
fn every_way_to_think_has_its_reasoning() {
    for (config, reasoning, shown) in [
        (json!({"thinkingBudget": -1}), Some(Reasoning::Adaptive), None),
        (json!({"thinkingBudget": 0}), Some(Reasoning::Disabled), None),
        (json!({"thinking_budget": "512"}), Some(Reasoning::Budget(512)), None),
        (
            json!({"thinkingLevel": "low", "includeThoughts": false}),
            Some(Reasoning::Effort(Effort::Low)),
            Some(false),
        ),
        (json!({"thinkingLevel": "MINIMAL"}), Some(Reasoning::Effort(Effort::Minimal)), None),
        (json!({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}), None, None),
        (json!({"include_thoughts": true}), None, Some(true)),
    ] {
        let request = with(json!({"generationConfig": {"thinkingConfig": config}}));
        assert_eq!((request.reasoning, request.show_reasoning), (reasoning, shown), "{config}");
    }
}

#[test]
fn every_form_of_an_answer_is_read() {
    let format = |config: Value| with(json!({"generationConfig": config})).response_format;
    let schema = |schema: Value, strict| {
        Some(ResponseFormat::JsonSchema { name: "response".to_owned(), description: None, schema, strict })
    };
    assert_eq!(format(json!({})), None);
    assert_eq!(format(json!({"responseMimeType": "text/plain"})), Some(ResponseFormat::Text));
    assert_eq!(format(json!({"responseMimeType": "application/json"})), Some(ResponseFormat::JsonObject));
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let config = json!({"responseMimeType": "application/json", "responseJsonSchema": closed});
    assert_eq!(format(config), schema(closed, Some(true)));
    let own = json!({"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "minItems": "1"});
    let expect = json!({"type": "array", "items": {"type": "integer", "format": "int32"}, "minItems": 1});
    assert_eq!(
        format(json!({"response_mime_type": "application/json", "response_schema": own})),
        schema(expect, None)
    );
    let words =
        json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a", "b"]}});
    let request = with(json!({"generationConfig": words}));
    assert_eq!(request.response_format, None);
    assert_eq!(request.native["generationConfig.responseMimeType"], words["responseMimeType"]);
    assert_eq!(request.native["generationConfig.responseSchema"], words["responseSchema"]);
}

#[test]
fn googles_schemas_become_json_schema() {
    let table = [
        (
            json!({"type": "STRING", "format": "enum", "enum": ["a"]}),
            json!({"type": "string", "enum": ["a"]}),
        ),
        (
            json!({"type": "STRING", "nullable": true, "enum": ["a"], "example": "a"}),
            json!({"type": ["string", "null"], "enum": ["a", null], "examples": ["a"]}),
        ),
        (
            json!({"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": true}),
            json!({"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}]}),
        ),
        (
            json!({"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}, "type": {"type": "NULL"}}, "propertyOrdering": ["type"]}),
            json!({"type": "object", "properties": {"type": {"type": "null"}, "a_b": {"type": "string"}}}),
        ),
        (
            json!({"defs": {"x": {"type": "STRING"}}, "items": {"ref": "#/defs/x"}, "type": "ARRAY", "max_items": 3}),
            json!({"$defs": {"x": {"type": "string"}}, "items": {"$ref": "#/$defs/x"}, "type": "array", "maxItems": 3}),
        ),
        (json!({"type": "TYPE_UNSPECIFIED", "description": "d"}), json!({"description": "d"})),
    ];
    for (given, expect) in table {
        let declaration = json!({"name": "f", "parameters": given});
        let request = with(json!({"tools": [{"function_declarations": [declaration]}]}));
        let written = request.tools[0].parameters.as_ref().unwrap();
        // Also the order of members counts: models follow it.
        assert_eq!(written.to_string(), expect.to_string());
    }
}

#[test]
fn every_calling_mode_is_a_choice() {
    let choice = |calling: Value| {
        let tools = json!([{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]);
        let request = with(json!({"toolConfig": {"functionCallingConfig": calling}, "tools": tools}));
        (request.tool_choice, request.extra.get("tool_choice").cloned(), request.tools[0].strict)
    };
    let allowed = |mode: &str| {
        let tools = ["f", "g"].map(|name| json!({"type": "function", "function": {"name": name}}));
        Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}))
    };
    assert_eq!(choice(json!({"mode": "AUTO"})), (Some(ToolChoice::Auto), None, None));
    assert_eq!(choice(json!({"mode": "none"})), (Some(ToolChoice::None), None, None));
    assert_eq!(choice(json!({"mode": "ANY"})), (Some(ToolChoice::Required), None, None));
    assert_eq!(choice(json!({"mode": "MODE_UNSPECIFIED"})), (None, None, None));
    let one = json!({"mode": "ANY", "allowed_function_names": ["g"]});
    assert_eq!(choice(one), (Some(ToolChoice::Function("g".to_owned())), None, None));
    let two = |mode: &str| json!({"mode": mode, "allowedFunctionNames": ["f", "g"]});
    assert_eq!(choice(two("ANY")), (None, allowed("required"), None));
    assert_eq!(choice(two("VALIDATED")), (None, allowed("auto"), None));
    assert_eq!(choice(json!({"mode": "VALIDATED"})), (Some(ToolChoice::Auto), None, Some(true)));
}

#[test]
fn a_mode_that_others_cannot_keep_stays_googles_word() {
    let open =
        json!({"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}});
    let request = with(json!({
        "tools": [{"functionDeclarations": [open]}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"languageCode": "de"}},
    }));
    assert_eq!((request.tool_choice, request.tools[0].strict), (Some(ToolChoice::Auto), None));
    let native = json!({
        "toolConfig.retrievalConfig": {"languageCode": "de"},
        "toolConfig.functionCallingConfig": {"mode": "VALIDATED"},
    });
    assert_eq!(Value::Object(request.native), native);
}

#[test]
fn googles_tools_are_those_of_the_table() {
    let request = with(json!({"tools": [
        {"google_search": {"excludeDomains": ["example.com"]}},
        {"codeExecution": {}, "url_context": {}},
    ]}));
    assert_eq!(request.extra["web_search_options"], json!({}));
    assert_eq!(request.extra["tools"], json!([{"codeExecution": {}}, {"urlContext": {}}]));
    assert_eq!(request.native["tools.googleSearch"], json!({"excludeDomains": ["example.com"]}));
    let older = with(
        json!({"tools": [{"googleSearchRetrieval": {"dynamicRetrievalConfig": {"mode": "MODE_DYNAMIC"}}}]}),
    );
    assert!(older.extra.contains_key("web_search_options"));
    assert!(older.native.contains_key("tools.googleSearchRetrieval"));
}

#[test]
fn tiers_have_openais_names_and_the_rest_is_native() {
    for (given, expect) in [
        ("standard", Some("default")),
        ("FLEX", Some("flex")),
        ("SERVICE_TIER_PRIORITY", Some("priority")),
        ("unspecified", None),
    ] {
        let tier = with(json!({"serviceTier": given})).extra.get("service_tier").cloned();
        assert_eq!(tier, expect.map(Value::from), "{given}");
    }
    let request = with(json!({"store": true, "modelArmorConfig": {"a": 1}, "labels": null}));
    assert_eq!(request.extra, Map::from_iter([("store".to_owned(), json!(true))]));
    assert_eq!(request.native, Map::from_iter([("modelArmorConfig".to_owned(), json!({"a": 1}))]));
}

/// The place that a body is refused at.
fn check_refused(body: &str, place: &str) {
    let error = decode_request(body.as_bytes()).unwrap_err();
    assert_eq!(error.param, place, "{body}: {}", error.message);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    check_refused("", "request_body");
    check_refused("[]", "request_body");
    check_refused("{}", "contents");
    check_refused(r#"{"contents":[]}"#, "contents");
    check_refused(r#"{"contents":[{"parts":[]}]}"#, "contents");
    let contents = [
        (json!([7]), "contents[0]"),
        (json!([{"role": "narrator", "parts": [{"text": "x"}]}]), "contents[0].role"),
        (json!([{"parts": [{}]}]), "contents[0].parts[0]"),
        (json!([{"parts": [{"text": 5}]}]), "contents[0].parts[0].text"),
        (json!([{"parts": [{"text": "x", "thought": "yes"}]}]), "contents[0].parts[0].thought"),
        (json!([{"parts": [{"inlineData": {"data": "QQ=="}}]}]), "contents[0].parts[0].inlineData.mimeType"),
        (
            json!([{"parts": [{"inlineData": {"mimeType": "a/b", "data": ""}}]}]),
            "contents[0].parts[0].inlineData.data",
        ),
        (json!([{"parts": [{"fileData": {}}]}]), "contents[0].parts[0].fileData.fileUri"),
        (json!([{"parts": [{"functionCall": {"name": "f"}}]}]), "contents[0].parts[0].functionCall"),
        (
            json!([{"role": "model", "parts": [{"functionCall": {}}]}]),
            "contents[0].parts[0].functionCall.name",
        ),
        (
            json!([{"role": "model", "parts": [{"functionCall": {"name": "f", "args": []}}]}]),
            "contents[0].parts[0].functionCall.args",
        ),
        (
            json!([{"role": "model", "parts": [{"functionResponse": {"name": "f"}}]}]),
            "contents[0].parts[0].functionResponse",
        ),
        (
            json!([{"parts": [{"functionResponse": {"name": "f", "response": "x"}}]}]),
            "contents[0].parts[0].functionResponse.response",
        ),
    ];
    for (contents, place) in contents {
        check_refused(&json!({"contents": contents}).to_string(), place);
    }
    let members = [
        (
            json!({"systemInstruction": {"parts": [{"inlineData": {"mimeType": "a/b", "data": "QQ=="}}]}}),
            "systemInstruction.parts[0]",
        ),
        (json!({"generationConfig": []}), "generationConfig"),
        (json!({"generationConfig": {"temperature": "hot"}}), "generationConfig.temperature"),
        (json!({"generationConfig": {"topK": 1.5}}), "generationConfig.topK"),
        (json!({"generationConfig": {"maxOutputTokens": -1}}), "generationConfig.maxOutputTokens"),
        (json!({"generationConfig": {"stopSequences": [1]}}), "generationConfig.stopSequences[0]"),
        (json!({"generationConfig": {"responseSchema": 1}}), "generationConfig.responseSchema"),
        (
            json!({"generationConfig": {"thinkingConfig": {"thinkingLevel": "DEEP"}}}),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (
            json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}}),
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        (json!({"tools": [{"functionDeclarations": [{}]}]}), "tools[0].functionDeclarations[0].name"),
        (
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": 1}]}]}),
            "tools[0].functionDeclarations[0].parameters",
        ),
        (
            json!({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}),
            "toolConfig.functionCallingConfig.mode",
        ),
        (json!({"safetySettings": ["x"]}), "safetySettings[0]"),
        (json!({"cachedContent": 1}), "cachedContent"),
        (json!({"labels": []}), "labels"),
    ];
    for (mut body, place) in members {
        body["contents"] = json!("x");
        check_refused(&body.to_string(), place);
    }
}
