//! `tollgate demo`: a real gateway over simulated providers, with commands to try.

use crate::cli::{DemoArguments, say};
use crate::serve::{self, Plan};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const MASTER_KEY: &str = "sk-demo";

/// Runs until it is told to end.
pub(crate) fn run(arguments: &DemoArguments) -> Result<(), String> {
    let (simulator, _running) = serve::start_simulator()?;
    let plan = Plan::of_text(&configuration(simulator), IpAddr::V4(Ipv4Addr::LOCALHOST), arguments.port)?;
    serve::run_plan(plan, |address| say(&commands(address)))
}

/// Four providers, one group over three of them, and models that fail in every way worth seeing.
fn configuration(simulator: SocketAddr) -> String {
    format!(
        r#"
model_list:
  - model_name: "chat"
    litellm_params: {{model: "openai/gpt-4o", api_base: "http://{simulator}/v1", api_key: "sk-one", weight: 2}}
  - model_name: "chat"
    litellm_params: {{model: "anthropic/claude-sonnet-4-5", api_base: "http://{simulator}", api_key: "sk-two", weight: 1}}
  - model_name: "chat"
    litellm_params: {{model: "gemini/gemini-2.5-flash", api_base: "http://{simulator}", api_key: "three", weight: 1}}
  - model_name: "azure"
    litellm_params: {{model: "azure/gpt-4o", api_base: "http://{simulator}", api_key: "four", api_version: "2025-02-01-preview", base_model: "azure/gpt-4o"}}
  - model_name: "slow"
    litellm_params: {{model: "openai/sim-slow-500ms", api_base: "http://{simulator}/v1", api_key: "sk-one", input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}}
  - model_name: "half-broken"
    litellm_params: {{model: "openai/sim-error-500", api_base: "http://{simulator}/v1", api_key: "sk-one"}}
  - model_name: "half-broken"
    litellm_params: {{model: "openai/gpt-4o-mini", api_base: "http://{simulator}/v1", api_key: "sk-one"}}
  - model_name: "limited"
    litellm_params: {{model: "openai/sim-error-429-retry-90", api_base: "http://{simulator}/v1", api_key: "sk-one"}}
  - model_name: "cut"
    litellm_params: {{model: "openai/sim-cut-3", api_base: "http://{simulator}/v1", api_key: "sk-one"}}
  - model_name: "embed"
    litellm_params: {{model: "openai/text-embedding-3-small", api_base: "http://{simulator}/v1", api_key: "sk-one"}}
  - model_name: "simulated/*"
    litellm_params: {{model: "openai/*", api_base: "http://{simulator}/v1", api_key: "sk-one"}}
router_settings: {{num_retries: 2}}
general_settings: {{master_key: "{MASTER_KEY}"}}
"#
    )
}

fn commands(address: SocketAddr) -> String {
    let ask = |what: &str, model: &str, more: &str| {
        format!(
            "# {what}\ncurl -i {more}http://{address}/v1/chat/completions -H 'authorization: Bearer {MASTER_KEY}' \
             -H 'content-type: application/json' \\\n  -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \
             \"content\": \"Hello\"}}]{}}}'\n",
            if more.is_empty() { "" } else { ", \"stream\": true" }
        )
    };
    [
        format!("Tollgate demo on http://{address} with the key {MASTER_KEY}. Everything behind it is simulated.\n"),
        ask("One of three providers answers; x-litellm-model-name says which, x-litellm-response-cost what it cost.", "chat", ""),
        ask("The same as a stream.", "chat", "-N "),
        ask("One of two deployments always fails; the caller does not notice.", "half-broken", ""),
        ask("A provider over its limit for longer than is worth waiting: 429 at once, with the provider's Retry-After.", "limited", ""),
        ask("A stream that the provider cuts ends with an error event.", "cut", "-N "),
        format!("# Every deployment, asked.\ncurl http://{address}/health -H 'authorization: Bearer {MASTER_KEY}'\n"),
        format!("# Metrics.\ncurl http://{address}/metrics -H 'authorization: Bearer {MASTER_KEY}'\n"),
    ]
    .join("\n")
}
