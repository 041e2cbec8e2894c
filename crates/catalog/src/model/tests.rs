//! Every model can be read, and names find the model that they mean.

use super::*;

#[test]
fn every_model_is_found_under_its_key_and_reads_whole() {
    let written: BTreeMap<String, &RawValue> =
        serde_json::from_str(include_str!("../../data/models.json")).expect("the data");
    assert_eq!(keys().count(), 4240);
    assert_eq!(written.len(), 4240);
    assert!(keys().eq(written.keys().map(String::as_str)), "the keys are those of the data, in order");
    for (key, raw) in &written {
        let whole = Model::read(Cow::Borrowed(""), Cow::Owned(raw.get().to_owned()));
        assert_eq!(whole.err(), None, "{key}");
        let found = model_by_key(key).expect(key);
        assert_eq!((found.key.as_ref(), found.raw()), (key.as_str(), raw.get()));
    }
}

#[test]
fn every_model_is_found_for_its_own_provider() {
    for key in keys() {
        let known = model_by_key(key).expect(key);
        let found = model(&known.provider, key).expect(key);
        // `deepseek-chat` is there as `deepseek/deepseek-chat` too, and the name with the provider goes first.
        let names = [known.provider.as_ref(), family(&known.provider)];
        let with_provider = names.map(|name| format!("{name}/{key}"));
        let is_own = found.key == known.key || with_provider.iter().any(|own| found.key == own.as_str());
        assert!(is_own, "{key}: {}", found.key);
    }
}

#[test]
fn every_mode_of_the_data_is_known() {
    for key in keys() {
        let known = model_by_key(key).expect(key);
        let is_silent = !known.raw().contains("\"mode\"");
        assert_eq!(known.mode == Mode::Unknown, is_silent, "{key}");
    }
    for (mode, name) in MODES {
        assert_eq!((Mode::from_name(name), mode.name()), (*mode, Some(*name)));
    }
    assert_eq!((Mode::from_name("dance"), Mode::Unknown.name()), (Mode::Unknown, None));
}

#[test]
fn a_models_facts_are_those_of_the_data() {
    let known = model_by_key("gpt-4o").expect("gpt-4o");
    assert_eq!(known.provider, "openai");
    assert_eq!(known.mode, Mode::Chat);
    assert_eq!(known.max_tokens, Some(16_384));
    assert_eq!(known.max_input_tokens, Some(128_000));
    assert_eq!(known.max_output_tokens, Some(16_384));
    assert_eq!(known.prices.input().map(|price| price.to_string()).as_deref(), Some("0.0000025"));
    assert_eq!(known.deprecation_date, None);
    let dated = model_by_key("o3-mini").expect("o3-mini");
    assert_eq!(dated.deprecation_date.as_deref(), Some("2026-10-23"));
    let embedding = model_by_key("azure_ai/Cohere-Embed-V5-Fast").expect("an embedding model");
    assert_eq!(embedding.output_vector_size, Some(2048), "written as 2048.0");
}

#[test]
fn capabilities_are_what_the_data_says_and_nothing_else() {
    let known = model_by_key("gpt-4o").expect("gpt-4o");
    assert!(known.supports("supports_vision"));
    assert!(known.supports("vision"));
    assert!(!known.supports("supports_reasoning"));
    assert!(!known.supports("mode"));
    assert!(!known.supports(""));
    let refusing = model_by_key("claude-haiku-5-5").expect("claude-haiku-5-5");
    assert!(!refusing.supports("assistant_prefill"), "written as false");
}

#[test]
fn a_name_is_found_in_each_of_litellms_spellings() {
    let check = |provider: &str, name: &str, expect: Option<&str>| {
        let found = model(provider, name);
        assert_eq!(found.as_ref().map(|model| model.key.as_ref()), expect, "{provider} {name}");
    };
    check("openai", "gpt-4o", Some("gpt-4o"));
    check("gemini", "gemini-2.5-flash", Some("gemini/gemini-2.5-flash"));
    check("google", "gemini-2.5-flash", Some("gemini/gemini-2.5-flash"));
    check("vertex_ai", "gemini-2.5-pro", Some("gemini-2.5-pro"));
    check("azure", "gpt-4o-2024-11-20", Some("azure/gpt-4o-2024-11-20"));
    check("xai", "grok-4.20", Some("xai/grok-4.20"));
    check("anthropic", "claude-haiku-4-5", Some("claude-haiku-4-5"));
    // The version is left out where there is no model of that version.
    check("openai", "gpt-4o-2099-01-31", Some("gpt-4o"));
    check("gemini", "gemini-2.5-flash-002", Some("gemini/gemini-2.5-flash"));
    check("openai", "ft:gpt-4o-2024-08-06:acme:names:abc123", Some("ft:gpt-4o-2024-08-06"));
    check("openai", "ft:gpt-4o-2024-08-06:acme::abc123", Some("ft:gpt-4o-2024-08-06"));
    // Somebody else's model of that name is not this one.
    check("openai", "claude-haiku-4-5", None);
    check("groq", "gpt-4o", None);
    check("gemini", "gpt-4o", None);
    check("litellm_proxy", "gpt-4o", Some("gpt-4o"));
    check("azure_ai", "gpt-4o", Some("gpt-4o"));
    check("azure", "my-deployment", None);
    check("openai", "", None);
    check("", "", None);
}

#[test]
fn a_version_is_cut_only_where_it_is_one() {
    let check = |provider: &str, name: &str, expect: &str| assert_eq!(unversioned(provider, name), expect);
    check("openai", "gpt-4o-2024-11-20", "gpt-4o");
    check("openai", "gpt-4o-24-11-20", "gpt-4o-24-11-20");
    check("openai", "gpt-4o-2024-11", "gpt-4o-2024-11");
    check("openai", "2024-11-20", "2024-11-20");
    check("openai", "gpt-4o-001", "gpt-4o-001");
    check("gemini", "gemini-2.5-pro-001", "gemini-2.5-pro");
    check("gemini", "gemini-2.5-pro", "gemini-2.5-pro");
    check("gemini", "", "");
    check("openai", "ft:gpt-4o", "ft:gpt-4o");
    check("openai", "ft:a:b", "ft:a:b");
    check("openai", "ft:a:b:c:d", "ft:a");
    check("openai", "ft:名前:b:c:d", "ft:名前");
}

#[test]
fn a_providers_models_include_its_finer_names() {
    let count = |provider: &str| models_of_provider(provider).count();
    assert_eq!(count("anthropic"), 22);
    assert_eq!(count("openai"), 217 + 6, "and those of text-completion-openai");
    assert_eq!(count("fireworks_ai"), 339 + 7);
    assert_eq!(count("bedrock"), 311 + 231);
    assert_eq!(count("cohere"), 14 + 6);
    assert_eq!(count("gemini"), 85);
    assert_eq!(count("google"), 85);
    assert_eq!(count("nobody"), 0);
    assert_eq!(count(""), 0);
    assert!(models_of_provider("anthropic").is_sorted());
    let of_all: usize = packed::provider_names().map(|name| packed::members(name).count()).sum();
    assert_eq!(of_all, 4240);
}

#[test]
fn what_is_not_a_key_is_not_found() {
    for name in ["", "gpt-4", "GPT-4O", "zzz", "fallback_generalizations", "sample_spec", "\u{1F600}", "~"] {
        let is_key = keys().any(|key| key == name);
        assert_eq!(model_by_key(name).is_some(), is_key, "{name}");
    }
}

#[test]
fn an_overlay_stands_before_the_catalogue() {
    let overlay = Overlay::from_json(
        r#"{
            "sample_spec": {"max_tokens": "an explanation"},
            "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 9e-6},
            "groq/house-model": {"litellm_provider": "groq", "max_input_tokens": 1000, "supports_vision": true}
        }"#,
    )
    .expect("an overlay");
    assert_eq!((overlay.len(), overlay.is_empty()), (2, false));
    assert_eq!(overlay.keys().collect::<Vec<_>>(), ["gpt-4o", "groq/house-model"]);
    let changed = overlay.model("openai", "gpt-4o").expect("gpt-4o");
    assert_eq!(changed.prices.input().map(|price| price.to_string()).as_deref(), Some("0.000009"));
    assert_eq!(changed.max_input_tokens, None, "the whole entry is replaced");
    assert_eq!(changed.raw().matches("9e-6").count(), 1);
    let added = overlay.model("groq", "house-model").expect("house-model");
    assert!(added.supports("supports_vision"));
    assert!(overlay.model("openai", "gpt-4o-mini").is_some(), "the catalogue is behind it");
    assert!(model("groq", "house-model").is_none());
    assert!(Overlay::default().model("openai", "gpt-4o").is_some());
}

#[test]
fn a_wrong_overlay_names_model_and_field() {
    let check = |json: &str, expect: &str| {
        let error = Overlay::from_json(json).expect_err(json).to_string();
        assert!(error.starts_with(expect), "{error}");
    };
    check("", "the model prices are not a JSON object: ");
    check("[]", "the model prices are not a JSON object: ");
    check(r#"{"m": 5}"#, "model `m`: not a JSON object: ");
    check(r#"{"m": {"max_tokens": "many"}}"#, "model `m`: `max_tokens` must be a whole number");
    check(r#"{"m": {"max_tokens": 1.5}}"#, "model `m`: `max_tokens` must be a whole number");
    check(r#"{"m": {"max_tokens": -1}}"#, "model `m`: `max_tokens` must be a whole number");
    check(r#"{"m": {"mode": 5}}"#, "model `m`: `mode` must be a text");
    check(r#"{"m": {"input_cost_per_token": -5}}"#, "model `m`: `input_cost_per_token`: `-5` is not a price");
}
