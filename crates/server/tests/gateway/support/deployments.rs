//! Deployments of every wire at the simulator, named by their base path `/d/<name>`.

use super::model_list;

/// A wire format, by the provider that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    OpenAi,
    Azure,
    Anthropic,
    Gemini,
}

/// The wires that differ in how a reply is read.
pub(crate) const WIRES: [Wire; 3] = [Wire::OpenAi, Wire::Anthropic, Wire::Gemini];

impl Wire {
    /// The parameters of a deployment of this wire, in YAML's flow style; its key is `sk-key-of-<name>`.
    pub(crate) fn parameters(self, name: &str) -> String {
        let (model, base, more) = match self {
            Self::OpenAi => ("openai/gpt-4o", "/v1", ""),
            Self::Azure => ("azure/gpt-4o", "", ", api_version: \"2024-10-21\""),
            Self::Anthropic => ("anthropic/claude-sonnet-4-5", "", ""),
            Self::Gemini => ("gemini/gemini-2.5-flash", "", ""),
        };
        format!(
            "model: {model}, api_base: \"http://{{sim}}/d/{name}{base}\", api_key: sk-key-of-{name}{more}"
        )
    }

    /// The name that LiteLLM's messages give the provider.
    pub(crate) fn exception(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAIException",
            Self::Azure => "AzureException",
            Self::Anthropic => "AnthropicException",
            Self::Gemini => "GeminiException",
        }
    }
}

/// A group `m` of one deployment `a`, asked once.
pub(crate) fn one_of(wire: Wire) -> String {
    let list = model_list(&[("m", &wire.parameters("a"))]);
    format!("{list}router_settings: {{num_retries: 0}}\n")
}

/// A group `m` of the deployments `a` (of this wire), always asked first, and `b` (of OpenAI's), asked when `a` failed.
pub(crate) fn two_of(wire: Wire) -> String {
    let first = format!("{}, weight: 1", wire.parameters("a"));
    let second = format!("{}, weight: 0", Wire::OpenAi.parameters("b"));
    model_list(&[("m", &first), ("m", &second)])
}

/// A group `m` of so many of OpenAI's deployments, `a0`, `a1`, ..., each with these further parameters.
pub(crate) fn many(count: usize, more: &str) -> String {
    let parameters: Vec<String> = (0..count)
        .map(|number| format!("{}{more}", Wire::OpenAi.parameters(&format!("a{number}"))))
        .collect();
    let entries: Vec<(&str, &str)> = parameters.iter().map(|parameters| ("m", parameters.as_str())).collect();
    model_list(&entries)
}
