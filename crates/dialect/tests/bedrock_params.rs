//! Parameters that Converse has in its own words, and those that it lacks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod bedrock_support;

use bedrock_support::settings::*;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{ChatRequest, Sampling};
use tollgate_dialect::wire::{Dialect, EncodeOptions};

const CLAUDE: &str = OLD_CLAUDE;
const NOVA: &str = "us.amazon.nova-2-lite-v1:0";

#[test]
fn tiers_are_told_in_the_services_words() {
    let check = |tier: &str, expect: Value, lost: &[&str]| {
        let asked = ChatRequest { extra: extra("service_tier", json!(tier)), ..request(CLAUDE) };
        let (body, found, _) = sent(&asked, &EncodeOptions::default());
        assert_eq!(body.get("serviceTier").cloned().unwrap_or_default(), expect, "{tier}");
        assert_eq!(found, lost, "{tier}");
    };
    for tier in ["default", "flex", "priority", "reserved"] {
        check(tier, json!({"type": tier}), &[]);
    }
    check("standard_only", json!({"type": "default"}), &[]);
    check("auto", Value::Null, &[]);
    check("scale", Value::Null, &["service_tier"]);
}

#[test]
fn what_the_wire_lacks_is_refused_by_name_or_noted() {
    let sampling = Sampling {
        seed: Some(1),
        n: Some(2),
        logprobs: Some(true),
        top_logprobs: Some(2),
        presence_penalty: Some(0.5),
        frequency_penalty: Some(0.5),
        logit_bias: Some(extra("1", json!(2))),
        ..Sampling::default()
    };
    let extra = json!({
        "verbosity": "low", "modalities": ["text", "audio"], "audio": {}, "tools": [{"type": "web_search"}],
        "store": true, "prompt_cache_key": "k", "metadata": {}, "unheard_of": 1, "nothing": null,
    });
    let asked = ChatRequest { sampling, extra: extra.as_object().unwrap().clone(), ..request(CLAUDE) };
    let names = [
        "seed",
        "n",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "presence_penalty",
        "frequency_penalty",
        "verbosity",
        "modalities",
        "audio",
        "tools",
        "unheard_of",
    ];
    assert_eq!(refused(&asked, &EncodeOptions::default()), names);
    let mut lost = names.to_vec();
    lost.splice(11..11, ["store", "prompt_cache_key", "metadata"]);
    check(&asked, &dropping(), json!({}), &lost);
    let allowed = EncodeOptions {
        allowed_params: names[1..].iter().map(|name| (*name).to_owned()).collect(),
        ..EncodeOptions::default()
    };
    assert_eq!(refused(&asked, &allowed), ["seed"]);
    let nothing =
        Sampling { n: Some(1), logprobs: Some(false), presence_penalty: Some(0.0), ..Sampling::default() };
    check(&ChatRequest { sampling: nothing, ..request(CLAUDE) }, &EncodeOptions::default(), json!({}), &[]);
}

#[test]
fn converses_own_members_may_come_from_any_caller() {
    let extra = json!({
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "streamProcessingMode": "sync"},
        "requestMetadata": {"a": "b"},
        "additionalModelRequestFields": {"x": 1},
        "anthropic_beta": "a, b",
    });
    let asked = ChatRequest { extra: extra.as_object().unwrap().clone(), ..request(CLAUDE) };
    let mut expect = json!({
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "requestMetadata": {"a": "b"},
        "additionalModelRequestFields": {"anthropic_beta": ["a", "b"], "x": 1},
    });
    check(&asked, &EncodeOptions::default(), expect.clone(), &[]);
    expect["guardrailConfig"]["streamProcessingMode"] = json!("sync");
    check(&ChatRequest { stream: true, ..asked }, &EncodeOptions::default(), expect, &[]);
}

#[test]
fn an_anthropic_callers_own_members_reach_claude_alone() {
    let native = json!({
        "context_management": {"edits": []},
        "thinking": {"type": "enabled", "budget_tokens": 2000, "tomorrow": true},
        "container": "c",
    });
    let asked = |model: &str| ChatRequest {
        dialect: Dialect::Anthropic,
        native: native.as_object().unwrap().clone(),
        ..request(model)
    };
    check(
        &asked(CLAUDE),
        &EncodeOptions::default(),
        json!({"additionalModelRequestFields": {
            "thinking": native["thinking"],
            "context_management": {"edits": []},
            "anthropic_beta": ["context-management-2025-06-27"],
        }}),
        &["container"],
    );
    check(
        &asked(NOVA),
        &EncodeOptions::default(),
        json!({}),
        &["context_management", "thinking", "container"],
    );
}
