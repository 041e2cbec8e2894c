//! What holds for every row of the table, and where names lead.

use std::collections::BTreeSet;

use super::*;

#[test]
fn names_are_sorted_and_every_name_or_alias_is_there_once() {
    assert!(table::PROVIDERS.is_sorted_by(|before, after| before.name < after.name));
    assert!(table::KNOWN_ELSEWHERE.is_sorted_by(|before, after| before < after));
    let mut seen = BTreeSet::new();
    let served = providers().iter().flat_map(|row| row.aliases.iter().chain([&row.name]));
    for name in served.chain(table::KNOWN_ELSEWHERE) {
        assert!(!name.is_empty() && seen.insert(*name), "{name} is there twice");
    }
}

#[test]
fn at_least_sixty_providers_speak_openais_protocol() {
    let speakers = providers().iter().filter(|row| row.wire == Wire::OpenAi);
    assert_eq!(speakers.clone().count(), 101);
    let reachable = speakers.filter(|row| row.base_url.is_some_and(|base| base.starts_with("https://")));
    assert!(reachable.count() >= 60);
}

#[test]
fn base_urls_are_https_unless_local_and_end_before_the_endpoint() {
    for row in providers() {
        let Some(base) = row.base_url else {
            let is_regional = matches!(row.wire, Wire::Bedrock | Wire::SageMaker | Wire::Vertex);
            assert!(is_regional || !row.base_env.is_empty(), "{}: nobody can say where it is", row.name);
            continue;
        };
        let host = base.split('/').nth(2).unwrap_or_default();
        let is_local = ["localhost", "127.0.0.1"].contains(&host.split(':').next().unwrap_or_default());
        assert!(if is_local { base.starts_with("http://") } else { base.starts_with("https://") }, "{base}");
        assert!(!base.ends_with('/') && !base.contains("completions"), "{base}");
        assert_eq!(row.complete_base(base), base, "{}: the table's base is complete", row.name);
    }
}

#[test]
fn every_row_says_how_to_sign_in_and_how_its_errors_are_called() {
    for row in providers() {
        assert!(
            row.exception.ends_with("Exception") && row.exception.len() > "Exception".len(),
            "{}",
            row.name
        );
        assert!(
            row.exception.to_lowercase().starts_with(&row.name.replace("vertex_ai", "vertexai")),
            "{}",
            row.name
        );
        let env = row.base_env.iter().chain(row.key_env);
        for name in env {
            let is_shouted = name.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
            assert!(is_shouted, "{}: {name}", row.name);
        }
        let signs =
            matches!(row.wire, Wire::SageMaker | Wire::Vertex) || row.key == KeyPlacement::OptionalBearer;
        assert!(!row.key_env.is_empty() || signs, "{}: no key", row.name);
        for (from, to) in row.renames {
            assert_ne!(from, to, "{}", row.name);
            assert!(!row.unsupported.contains(from), "{}: {from} is renamed and unsupported", row.name);
        }
    }
}

#[test]
fn every_row_is_found_by_name_and_alias_and_resolves_a_model() {
    for row in providers() {
        for name in row.aliases.iter().chain([&row.name]) {
            assert_eq!(provider(name).map(|found| found.name), Some(row.name));
            let model = format!("{name}/some/model");
            let resolved = resolve_model(&model, None).map(|(found, rest)| (found.name, rest));
            assert_eq!(resolved, Ok((row.name, "some/model")));
            assert!(!is_known_elsewhere(name));
        }
    }
    assert!(provider("").is_none());
    assert!(provider("Openai").is_none());
}

#[test]
fn the_well_known_providers_are_as_their_documents_say() {
    let row = |name: &str| *provider(name).expect(name);
    let openai = row("openai");
    assert_eq!(openai.base_url, Some("https://api.openai.com/v1"));
    assert_eq!(openai.base_env, ["OPENAI_BASE_URL", "OPENAI_API_BASE"]);
    assert_eq!((openai.key_env, openai.exception), (["OPENAI_API_KEY"].as_slice(), "OpenAIException"));
    assert_eq!(row("anthropic").key, KeyPlacement::Header("x-api-key"));
    assert_eq!(row("azure").key, KeyPlacement::Header("api-key"));
    assert_eq!(row("google").key_env, ["GEMINI_API_KEY", "GOOGLE_API_KEY"]);
    assert_eq!(row("gemini").key, KeyPlacement::Header("x-goog-api-key"));
    // How its form differs otherwise is the dialect crate's to know.
    assert_eq!(row("mistral").unsupported, ["user"]);
    assert_eq!(row("poe").renames, [("max_completion_tokens", "max_tokens")]);
    assert_eq!(row("groq").exception, "GroqException");
}

#[test]
fn an_operators_base_is_completed() {
    let check = |name: &str, written: &str, expect: &str| {
        assert_eq!(provider(name).expect(name).complete_base(written), expect);
    };
    check("openai", "https://gateway.test/v1/", "https://gateway.test/v1");
    check("openai", "https://gateway.test/v1/chat/completions", "https://gateway.test/v1");
    check("openai", "http://127.0.0.1:9000", "http://127.0.0.1:9000");
    check("ollama", "http://gpu:11434", "http://gpu:11434");
    check("ollama", "http://gpu:11434/v1/", "http://gpu:11434");
    check("heroku", "https://inference.test", "https://inference.test/v1");
    check("snowflake", "https://x.test/api/v2", "https://x.test/api/v2/cortex/v1");
    check("anthropic", "https://proxy.test/v1/messages", "https://proxy.test");
    check("gemini", "https://proxy.test/v1beta/", "https://proxy.test");
}

fn resolved<'a>(model: &'a str, given: Option<&str>) -> Result<(&'static str, &'a str), ResolveError> {
    resolve_model(model, given).map(|(row, rest)| (row.name, rest))
}

#[test]
fn a_name_leads_to_its_provider_by_litellms_rule() {
    let check = |model: &str, given: Option<&str>, expect: (&str, &str)| {
        assert_eq!(resolved(model, given), Ok(expect), "{model} {given:?}");
    };
    check("openai/gpt-4o", None, ("openai", "gpt-4o"));
    check("azure/gpt-4o-eastus", None, ("azure", "gpt-4o-eastus"));
    check("google/gemini-2.5-pro", None, ("gemini", "gemini-2.5-pro"));
    check("openrouter/anthropic/claude-sonnet-4", None, ("openrouter", "anthropic/claude-sonnet-4"));
    check("openrouter/openrouter/auto", None, ("openrouter", "openrouter/auto"));
    check("openai/*", None, ("openai", "*"));
    check("cohere_chat/command-r", None, ("cohere", "command-r"));
    check("text-completion-openai/babbage-002", None, ("text-completion-openai", "babbage-002"));
    // Bare names belong to whom the catalogue says.
    check("gpt-4o", None, ("openai", "gpt-4o"));
    check("claude-haiku-4-5", None, ("anthropic", "claude-haiku-4-5"));
    check("babbage-002", None, ("text-completion-openai", "babbage-002"));
    check("deepseek-chat", None, ("deepseek", "deepseek-chat"));
    check("command-a-03-2025", None, ("cohere", "command-a-03-2025"));
    check("1024-x-1024/gpt-image-1.5", None, ("openai", "1024-x-1024/gpt-image-1.5"));
    // Bare names that are newer than the catalogue.
    check("claude-nova-9", None, ("anthropic", "claude-nova-9"));
    check("claude-nova-9-1-20300101", None, ("anthropic", "claude-nova-9-1-20300101"));
    check("claude-nova-9.1", None, ("anthropic", "claude-nova-9.1"));
    check("ft:gpt-4o:acme::1", None, ("openai", "ft:gpt-4o:acme::1"));
    check("*", None, ("openai", "*"));
    // A given provider decides.
    check("llama-3", Some("groq"), ("groq", "llama-3"));
    check("groq/llama-3", Some("groq"), ("groq", "llama-3"));
    check("meta-llama/Llama-3", Some("hosted_vllm"), ("hosted_vllm", "meta-llama/Llama-3"));
    check("gpt-4o", Some("azure"), ("azure", "gpt-4o"));
    check("openrouter/auto", Some("openrouter"), ("openrouter", "openrouter/auto"));
    check("openrouter/a/b", Some("openrouter"), ("openrouter", "a/b"));
    check("gpt-4o", Some(""), ("openai", "gpt-4o"));
}

#[test]
fn a_name_that_leads_nowhere_says_why() {
    let check = |model: &str, given: Option<&str>, expect: &str| {
        assert_eq!(
            resolved(model, given).map_err(|error| error.to_string()),
            Err(expect.to_owned()),
            "{model}"
        );
    };
    check("elevenlabs/scribe_v1", None, "provider `elevenlabs` is not yet active");
    check("x", Some("oci"), "provider `oci` is not yet active");
    check("opnai/gpt-4o", None, "unknown provider `opnai`, did you mean `openai`?");
    check("x", Some("antropic"), "unknown provider `antropic`, did you mean `anthropic`?");
    check("qqqqqqqqq/x", None, "unknown provider `qqqqqqqqq`");
    check(
        "house-model",
        None,
        "no provider in model name `house-model`: write it as `provider/model`, such as `openai/house-model`",
    );
    check("", None, "the model name is empty");
    check("openai/", None, "the model name is empty");
    check("groq/", Some("groq"), "the model name is empty");
    for name in [
        "claude-",
        "claude-9",
        "claude-nova-x",
        "claude-nova-9-1-2030",
        "claude-nova-9-1-2-3",
        "my-claude-nova-9",
    ] {
        assert!(matches!(resolved(name, None), Err(ResolveError::NoProvider { .. })), "{name}");
    }
}

#[test]
fn providers_of_litellm_without_a_row_are_known_of() {
    for name in ["elevenlabs", "oci", "vertex_ai-language-models", "triton"] {
        assert!(is_known_elsewhere(name), "{name}");
    }
    for name in ["", "openai", "google", "nobody", "vertex", "bedrock"] {
        assert!(!is_known_elsewhere(name), "{name}");
    }
}

#[test]
fn every_provider_of_the_catalogue_is_served_or_known_of() {
    for key in crate::model::keys() {
        let owner = crate::model::model_by_key(key).expect(key).provider;
        let is_served = provider(&owner).or_else(|| provider(crate::model::family(&owner))).is_some();
        assert!(is_served || is_known_elsewhere(&owner), "{key}: {owner}");
    }
}

#[test]
fn the_nearest_provider_is_a_likely_one() {
    let check = |name: &str, expect: Option<&str>| assert_eq!(nearest_provider(name), expect, "{name}");
    check("opena", Some("openai"));
    check("OpenAI", Some("openai"));
    check("anthropi", Some("anthropic"));
    check("mistal", Some("mistral"));
    check("bedrok", Some("bedrock"));
    check("zzzzzzzzzz", None);
    check("", None);
}
