//! What a chat request to Gemini says beside its messages: path, sampling, thinking, the choice of tools.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatRequest, Effort, Message, Part, Reasoning, ResponseFormat, Role, Sampling, Tool, ToolChoice,
};
use tollgate_dialect::gemini::encode_chat;
use tollgate_dialect::wire::{EncodeError, EncodeOptions};

fn says(text: &str) -> ChatRequest {
    let messages = vec![Message { role: Role::User, parts: vec![Part::text(text)], name: None }];
    ChatRequest { model: "gemini-2.5-flash".to_owned(), messages, ..ChatRequest::default() }
}

fn weather_tool() -> Tool {
    Tool { name: "get_weather".to_owned(), ..Tool::default() }
}

fn dropping() -> EncodeOptions {
    EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() }
}

fn body(request: &ChatRequest, options: &EncodeOptions) -> Value {
    serde_json::from_slice(&encode_chat(request, options).unwrap().body).unwrap()
}

#[test]
fn alternatives_per_token_are_asked_for_only_with_logprobs() {
    let sampling = Sampling { top_logprobs: Some(3), ..Sampling::default() };
    let request = ChatRequest { sampling, ..says("x") };
    assert_eq!(body(&request, &EncodeOptions::default()).get("generationConfig"), None);
}

#[test]
fn a_seed_is_32_bits_wide_and_repeatable() {
    let seed = |seed: i64| {
        let sampling = Sampling { seed: Some(seed), ..Sampling::default() };
        let request = ChatRequest { sampling, ..says("x") };
        body(&request, &EncodeOptions::default())["generationConfig"]["seed"].as_i64().unwrap()
    };
    assert_eq!((seed(0), seed(-7), seed(i64::from(i32::MAX))), (0, -7, i64::from(i32::MAX)));
    for wide in [i64::MAX, i64::MIN, 1 << 40, -(1 << 33)] {
        assert!(i32::try_from(seed(wide)).is_ok(), "{wide}");
        assert_eq!(seed(wide), seed(wide));
    }
    assert_ne!(seed(1 << 40), seed(1 << 41));
}

#[test]
fn plain_json_needs_no_schema_and_text_needs_nothing() {
    let asked = |format| {
        let request = ChatRequest { response_format: Some(format), ..says("x") };
        body(&request, &EncodeOptions::default()).get("generationConfig").cloned()
    };
    assert_eq!(asked(ResponseFormat::JsonObject), Some(json!({"responseMimeType": "application/json"})));
    assert_eq!(asked(ResponseFormat::Text), None);
}

#[test]
fn reasoning_is_a_budget_or_a_level_as_the_model_takes_it() {
    let effort = Reasoning::Effort;
    let table = [
        (
            "gemini-2.5-flash",
            effort(Effort::None),
            false,
            json!({"includeThoughts": false, "thinkingBudget": 0}),
        ),
        (
            "gemini-2.5-flash",
            Reasoning::Disabled,
            false,
            json!({"includeThoughts": false, "thinkingBudget": 0}),
        ),
        (
            "gemini-2.5-flash",
            effort(Effort::Minimal),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 1}),
        ),
        (
            "gemini-2.5-flash-lite",
            effort(Effort::Minimal),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 512}),
        ),
        (
            "gemini-2.5-pro",
            effort(Effort::Minimal),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 128}),
        ),
        ("another", effort(Effort::Minimal), false, json!({"includeThoughts": true, "thinkingBudget": 128})),
        (
            "gemini-2.5-pro",
            effort(Effort::Low),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 1024}),
        ),
        (
            "gemini-2.5-pro",
            effort(Effort::Medium),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 2048}),
        ),
        (
            "gemini-2.5-pro",
            effort(Effort::High),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 4096}),
        ),
        (
            "gemini-2.5-pro",
            effort(Effort::Max),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 4096}),
        ),
        (
            "gemini-2.5-pro",
            Reasoning::Budget(8000),
            false,
            json!({"includeThoughts": true, "thinkingBudget": 8000}),
        ),
        (
            "gemini-3-flash",
            effort(Effort::None),
            true,
            json!({"includeThoughts": false, "thinkingLevel": "MINIMAL"}),
        ),
        (
            "gemini-3-flash",
            effort(Effort::Minimal),
            true,
            json!({"includeThoughts": true, "thinkingLevel": "MINIMAL"}),
        ),
        (
            "gemini-3-flash",
            effort(Effort::Medium),
            true,
            json!({"includeThoughts": true, "thinkingLevel": "MEDIUM"}),
        ),
        (
            "gemini-3-pro-preview",
            effort(Effort::Minimal),
            true,
            json!({"includeThoughts": true, "thinkingLevel": "LOW"}),
        ),
        (
            "gemini-3-pro-preview",
            effort(Effort::Medium),
            true,
            json!({"includeThoughts": true, "thinkingLevel": "HIGH"}),
        ),
        (
            "gemini-3.1-pro-preview",
            effort(Effort::Medium),
            true,
            json!({"includeThoughts": true, "thinkingLevel": "MEDIUM"}),
        ),
        (
            "gemini-3-pro-preview",
            effort(Effort::XHigh),
            true,
            json!({"includeThoughts": true, "thinkingLevel": "HIGH"}),
        ),
        (
            "gemini-3-pro-preview",
            Reasoning::Disabled,
            true,
            json!({"includeThoughts": false, "thinkingLevel": "LOW"}),
        ),
        (
            "gemini-3-pro-preview",
            Reasoning::Budget(900),
            true,
            json!({"includeThoughts": true, "thinkingBudget": 900}),
        ),
    ];
    for (model, reasoning, reasoning_by_level, expect) in table {
        let request =
            ChatRequest { model: model.to_owned(), reasoning: Some(reasoning.clone()), ..says("x") };
        let options = EncodeOptions { reasoning_by_level, ..EncodeOptions::default() };
        let config = &body(&request, &options)["generationConfig"]["thinkingConfig"];
        assert_eq!(*config, expect, "{model} {reasoning:?}");
    }
}

#[test]
fn thoughts_are_shown_as_the_caller_wants() {
    let config = |reasoning, show_reasoning| {
        let request = ChatRequest { reasoning, show_reasoning, ..says("x") };
        body(&request, &EncodeOptions::default()).get("generationConfig").cloned()
    };
    let thinking = |config: Value| Some(json!({"thinkingConfig": config}));
    assert_eq!(config(None, None), None);
    assert_eq!(config(None, Some(true)), thinking(json!({"includeThoughts": true})));
    let adaptive = json!({"includeThoughts": true, "thinkingBudget": -1});
    assert_eq!(config(Some(Reasoning::Adaptive), None), thinking(adaptive));
    let hidden = json!({"includeThoughts": false, "thinkingBudget": 64});
    assert_eq!(config(Some(Reasoning::Budget(64)), Some(false)), thinking(hidden));
    let request = ChatRequest { reasoning: Some(Reasoning::Adaptive), ..says("x") };
    let options = EncodeOptions { reasoning_by_level: true, ..EncodeOptions::default() };
    let by_level = &body(&request, &options)["generationConfig"]["thinkingConfig"];
    assert_eq!(*by_level, json!({"includeThoughts": true}));
}

#[test]
fn the_choice_of_tools_is_a_calling_mode() {
    let mode = |choice, tools| {
        let request = ChatRequest { tools, tool_choice: Some(choice), ..says("x") };
        body(&request, &EncodeOptions::default()).get("toolConfig").cloned()
    };
    let config = |config: Value| Some(json!({"functionCallingConfig": config}));
    let tools = || vec![weather_tool()];
    assert_eq!(mode(ToolChoice::Auto, tools()), config(json!({"mode": "AUTO"})));
    assert_eq!(mode(ToolChoice::None, tools()), config(json!({"mode": "NONE"})));
    assert_eq!(mode(ToolChoice::Required, tools()), config(json!({"mode": "ANY"})));
    let one = config(json!({"mode": "ANY", "allowedFunctionNames": ["get_weather"]}));
    assert_eq!(mode(ToolChoice::Function("get_weather".to_owned()), tools()), one);
    assert_eq!(mode(ToolChoice::Required, Vec::new()), None);
}

#[test]
fn a_model_name_cannot_leave_its_place_in_the_path() {
    let path = |model: &str| {
        let request = ChatRequest { model: model.to_owned(), ..says("x") };
        encode_chat(&request, &EncodeOptions::default()).map(|out| out.path)
    };
    let good = [
        ("gemini-2.5-pro", "/models/gemini-2.5-pro:generateContent"),
        ("models/gemma-3-27b-it", "/models/gemma-3-27b-it:generateContent"),
        ("tunedModels/my_model~1", "/tunedModels/my_model~1:generateContent"),
    ];
    for (model, expect) in good {
        assert_eq!(path(model).as_deref(), Ok(expect));
    }
    let long = "m".repeat(129);
    let bad = [
        "",
        ".",
        "..",
        "models/",
        "models/..",
        "../files",
        "a/b",
        "a?key=x",
        "a#b",
        "a:countTokens",
        "a%2e%2e",
        "a b",
        "a\n",
        "a\\b",
        "modèle",
        "models/models/a",
        &long,
    ];
    for model in bad {
        let Err(EncodeError::Invalid { param, .. }) = path(model) else { panic!("{model} passed") };
        assert_eq!(param, "model");
    }
}

#[test]
fn a_sixth_stop_sequence_is_refused_or_dropped() {
    let stop: Vec<String> = (0..6).map(|number| format!("stop{number}")).collect();
    let request = ChatRequest { sampling: Sampling { stop, ..Sampling::default() }, ..says("x") };
    let Err(EncodeError::Invalid { param, .. }) = encode_chat(&request, &EncodeOptions::default()) else {
        panic!("six passed")
    };
    assert_eq!(param, "stop");
    let kept = &body(&request, &dropping())["generationConfig"]["stopSequences"];
    assert_eq!(*kept, json!(["stop0", "stop1", "stop2", "stop3", "stop4"]));
}

#[test]
fn made_up_ids_start_from_the_request_alone() {
    let seed = |text: &str| encode_chat(&says(text), &EncodeOptions::default()).unwrap().reading.id_seed;
    assert_eq!(seed("Hello"), seed("Hello"));
    let mut seeds: Vec<u64> = (0..1_000).map(|number| seed(&format!("Hello {number}"))).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 1_000);
}
