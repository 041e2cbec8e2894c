//! What each provider does with each of OpenAI's chat parameters: `/v1/capabilities`, LiteLLM's list of supported ones,
//! and the page of the documentation.
//!
//! Owns bringing together the wires' tables, by which the encoders act, and the providers' quirks, by which the relay
//! does. **Invariant:** nothing is said here that neither says.

use crate::error::Rejection;
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;
use serde_json::{Map, Value, json};
use tollgate_catalog::{Provider, Wire, providers, resolve_model};
use tollgate_dialect::compat::Flavor;
use tollgate_dialect::wire::{Capabilities, Support, support};
use tollgate_dialect::{
    anthropic, bedrock, cohere, gemini, ollama, openai, replicate, responses, sagemaker, watsonx,
};

/// LiteLLM's two parameters beside OpenAI's.
const MORE_PARAMS: [&str; 2] = ["thinking", "top_k"];
/// What LiteLLM's own client adds to every provider's list.
const CLIENT_PARAMS: [&str; 2] = ["max_retries", "extra_headers"];

/// The wires by their names in the documentation.
const WIRES: [(&str, Capabilities); 11] = [
    ("openai", openai::CAPABILITIES),
    ("responses", responses::CAPABILITIES),
    ("anthropic", anthropic::CAPABILITIES),
    ("gemini", gemini::CAPABILITIES),
    ("bedrock", bedrock::CAPABILITIES),
    ("cohere", cohere::CAPABILITIES),
    ("ollama", ollama::CAPABILITIES),
    ("watsonx", watsonx::CAPABILITIES),
    ("replicate", replicate::CAPABILITIES),
    ("sagemaker_chat", sagemaker::CAPABILITIES),
    ("sagemaker", sagemaker::TEXT_CAPABILITIES),
];

/// Providers of OpenAI's wire with liberties that take more than a rename.
const FLAVORS: [(&str, Flavor); 3] =
    [("mistral", Flavor::Mistral), ("databricks", Flavor::Databricks), ("huggingface", Flavor::HuggingFace)];

/// What could not be tried against the real service, and what it is held to instead.
const NOT_TRIED: [(&str, &str); 7] = [
    (
        "realtime audio",
        "the published types of the `openai` package and its client against a simulated session",
    ),
    ("Vertex AI's tokens", "Google's own authentication library against a simulated token service"),
    ("SageMaker", "botocore's service model and a simulated endpoint"),
    (
        "Bedrock's roles, profiles and signatures",
        "botocore's signatures and a simulated runtime that recomputes them",
    ),
    ("Azure's Entra tokens", "a simulated token service"),
    ("Replicate's predictions", "the published reference and a simulated service"),
    (
        "counting Claude's tokens on Vertex AI",
        "the published request; where it fails, tokens are counted here",
    ),
];

/// The name of a provider's wire and its table.
fn table(provider: &Provider) -> Option<(&'static str, Capabilities)> {
    if let Some(flavor) = Flavor::of_provider(provider.name) {
        return FLAVORS
            .into_iter()
            .find(|(_, known)| *known == flavor)
            .map(|(name, _)| (name, flavor.capabilities()));
    }
    let name = match provider.wire {
        Wire::OpenAi | Wire::Azure => "openai",
        Wire::Anthropic => "anthropic",
        // Claude on Vertex AI speaks Anthropic's, other makers' models OpenAI's.
        Wire::Gemini | Wire::Vertex => "gemini",
        Wire::Bedrock => "bedrock",
        Wire::Cohere => "cohere",
        Wire::Ollama => "ollama",
        Wire::Watsonx => "watsonx",
        Wire::Replicate => "replicate",
        // LiteLLM's other name for it, `sagemaker_chat`, is that of containers which speak OpenAI's.
        Wire::SageMaker => "sagemaker",
    };
    WIRES.into_iter().find(|(known, _)| *known == name)
}

/// Every parameter, in OpenAI's order.
fn params() -> impl Iterator<Item = &'static str> {
    openai::CHAT_PARAMS.iter().copied().chain(MORE_PARAMS)
}

/// What a provider does with a parameter: its own refusals go before its wire's table.
fn of_provider(provider: &Provider, capabilities: Capabilities, param: &str) -> Support {
    let is_relayed = Flavor::of_provider(provider.name).is_none();
    if is_relayed && provider.unsupported.contains(&param) {
        Support::Refuses
    } else {
        support(capabilities, param)
    }
}

fn word(support: Support) -> &'static str {
    match support {
        Support::Takes => "takes",
        Support::Translates => "translates",
        Support::Ignores => "ignores",
        Support::Refuses => "refuses",
    }
}

/// `GET /v1/capabilities`, of all providers or of one.
pub(super) fn all(wanted: Option<&str>) -> Result<Value, Rejection> {
    let known = wanted.map(|name| tollgate_catalog::provider(name).ok_or_else(|| unknown_provider(name)));
    let wanted = known.transpose()?.map(|provider| provider.name);
    let rows = providers().iter().filter(|provider| wanted.is_none_or(|name| name == provider.name));
    let data: Vec<Value> = rows.filter_map(one).collect();
    let not_tried: Vec<Value> =
        NOT_TRIED.iter().map(|(what, held_to)| json!({"what": what, "held_to": held_to})).collect();
    Ok(json!({"object": "list", "data": data, "not_tried_against_the_service": not_tried}))
}

fn unknown_provider(name: &str) -> Rejection {
    let name: String = name.chars().take(80).collect();
    Rejection::invalid("/v1/capabilities", "provider", &format!("no provider is named {name}"))
}

fn one(provider: &Provider) -> Option<Value> {
    let (wire, capabilities) = table(provider)?;
    let members: Map<String, Value> = params()
        .map(|param| (param.to_owned(), json!(word(of_provider(provider, capabilities, param)))))
        .collect();
    let renames: Map<String, Value> =
        provider.renames.iter().map(|(own, theirs)| ((*own).to_owned(), json!(theirs))).collect();
    Some(json!({"provider": provider.name, "wire": wire, "params": members, "renamed": renames}))
}

/// `GET /utils/supported_openai_params`: of a group's first deployment, or of a name in LiteLLM's spelling.
pub(super) fn supported(
    snapshot: &Snapshot,
    metrics: &Metrics,
    model: Option<&str>,
) -> Result<Value, Rejection> {
    let path = "/utils/supported_openai_params";
    let model = model.ok_or_else(|| Rejection::missing(path, "model"))?;
    let group = snapshot.group(metrics, model);
    let provider = match group.as_ref().and_then(|group| group.targets().first()) {
        Some(target) => Some(target.provider),
        None => resolve_model(model, None).ok().map(|(provider, _)| provider),
    };
    let known = provider.and_then(|provider| Some((provider, table(provider)?.1)));
    let (provider, capabilities) =
        known.ok_or_else(|| Rejection::invalid(path, "model", "no provider is known for it"))?;
    let is_sent = |param: &&str| {
        matches!(of_provider(provider, capabilities, param), Support::Takes | Support::Translates)
    };
    let names: Vec<&str> = params().filter(is_sent).chain(CLIENT_PARAMS).collect();
    Ok(json!({"supported_openai_params": names}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// Every column of the page.
    fn tables() -> impl Iterator<Item = (&'static str, Capabilities)> {
        WIRES.into_iter().chain(FLAVORS.map(|(name, flavor)| (name, flavor.capabilities())))
    }

    /// docs/capabilities.md.
    fn page() -> String {
        let mut page = String::from(
            "# Capabilities\n\n\
             What becomes of each of OpenAI's chat parameters (and of LiteLLM's `thinking` and `top_k`) on each wire. The\n\
             gateway acts by the same tables, and `GET /v1/capabilities` (`?provider=` for one) tells them for every provider.\n\n\
             - **takes**: sent as it is, under this name or the provider's\n\
             - **translates**: said in the provider's own way\n\
             - **ignores**: left out, and named in `x-tollgate-dropped`; the answer is the same without it\n\
             - **refuses**: cannot be said. `drop_params` and `tollgate_on_unsupported_param` decide whether the request is\n  \
               refused or the parameter left out and named; `allowed_openai_params` sends it all the same.\n\n\
             `openai` is the wire of OpenAI, Azure and every compatible provider, `gemini` that of AI Studio and of Google's\n\
             models on Vertex AI; Claude on Vertex AI has Anthropic's, and other makers' models there OpenAI's.\n\
             `mistral` is Codestral's too. `sagemaker` is that of containers which take a prompt.\n\n",
        );
        let names: Vec<&str> = tables().map(|(name, _)| name).collect();
        let _ = writeln!(page, "| parameter | {} |\n|---{}|", names.join(" | "), "|---".repeat(names.len()));
        for param in params() {
            let cells: Vec<&str> = tables().map(|(_, table)| word(support(table, param))).collect();
            let _ = writeln!(page, "| `{param}` | {} |", cells.join(" | "));
        }
        page.push_str(
            "\n## Providers that differ from their wire\n\n| provider | refuses | calls otherwise |\n|---|---|---|\n",
        );
        for provider in providers() {
            if provider.unsupported.is_empty() && provider.renames.is_empty() {
                continue;
            }
            let refused: Vec<String> = provider.unsupported.iter().map(|name| format!("`{name}`")).collect();
            let renamed: Vec<String> =
                provider.renames.iter().map(|(own, theirs)| format!("`{own}`: `{theirs}`")).collect();
            let _ =
                writeln!(page, "| `{}` | {} | {} |", provider.name, refused.join(", "), renamed.join(", "));
        }
        page.push_str(
            "\n## What could not be tried against the real service\n\n| what | what it is held to instead |\n|---|---|\n",
        );
        for (what, held_to) in NOT_TRIED {
            let _ = writeln!(page, "| {what} | {held_to} |");
        }
        page
    }

    #[test]
    fn the_page_says_what_the_tables_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/capabilities.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        let mut lines = written.lines().zip(page().lines().map(str::to_owned).collect::<Vec<_>>());
        let first = lines.find(|(written, made)| written != made);
        assert!(written == page(), "run this test with UPDATE_DOCS=1; first difference: {first:?}");
    }

    #[test]
    fn every_parameter_of_a_table_is_listed() {
        for (wire, table) in tables() {
            for (name, _) in table {
                assert!(params().any(|param| param == *name), "{wire}: {name}");
            }
        }
    }

    #[test]
    fn a_providers_quirks_go_before_its_wires_table() {
        let mistral = all(Some("mistral")).unwrap();
        let row = &mistral["data"][0];
        assert_eq!((row["provider"].as_str(), row["wire"].as_str()), (Some("mistral"), Some("mistral")));
        assert_eq!(
            (&row["params"]["logit_bias"], &row["params"]["seed"]),
            (&json!("refuses"), &json!("translates"))
        );
        let groq = all(Some("groq")).unwrap();
        assert_eq!(groq["data"][0]["params"]["logit_bias"], "refuses");
        assert_eq!(all(Some("anthropic")).unwrap()["data"][0]["params"]["response_format"], "translates");
        assert_eq!(all(Some("nobody")).err().map(|rejection| rejection.status().as_u16()), Some(400));
    }
}
