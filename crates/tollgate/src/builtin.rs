//! The configuration of a start without one: the providers whose keys are in the environment, and simulated models.
//!
//! Written as the YAML that an operator would write, and read by the same code.

use std::fmt::Write as _;
use std::net::SocketAddr;
use tollgate_catalog::providers;

/// Names that simulated models answer to when no provider is there: what people type first.
const FAMILIAR: [(&str, &str); 6] = [
    ("gpt-4o", "gpt-4o"),
    ("gpt-4o-mini", "gpt-4o-mini"),
    ("text-embedding-3-small", "text-embedding-3-small"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5"),
    ("gemini-2.5-flash", "gemini-2.5-flash"),
    ("simulated/gpt-4o-mini", "gpt-4o-mini"),
];

/// A configuration made by the gateway itself.
pub(crate) struct Builtin {
    /// Its text.
    pub(crate) yaml: String,
    /// The providers that it opens.
    pub(crate) providers: Vec<&'static str>,
}

/// Makes it. `simulator` is where the simulated providers listen; `variable` is the environment.
pub(crate) fn compose(simulator: SocketAddr, variable: &dyn Fn(&str) -> Option<String>) -> Builtin {
    let mut yaml = String::from("model_list:\n");
    let is_set = |names: &[&str]| {
        names.iter().any(|name| variable(name).is_some_and(|value| !value.trim().is_empty()))
    };
    let mut opened = Vec::new();
    for provider in providers() {
        // Azure's address is the operator's own; without it a key opens nothing.
        let has_address = provider.base_url.is_some() || is_set(provider.base_env);
        if has_address && is_set(provider.key_env) {
            opened.push(provider.name);
            let name = provider.name;
            entry(&mut yaml, &format!("{name}/*"), &format!("{name}/*"), None);
        }
    }
    if opened.is_empty() {
        for (name, model) in FAMILIAR {
            simulated(&mut yaml, name, model, simulator);
        }
    }
    simulated(&mut yaml, "simulated/*", "*", simulator);
    Builtin { yaml, providers: opened }
}

/// A simulated model, at the surface of the provider whose name it has.
fn simulated(yaml: &mut String, name: &str, model: &str, simulator: SocketAddr) {
    let (provider, base) = match model {
        _ if model.starts_with("claude") => ("anthropic", format!("http://{simulator}")),
        _ if model.starts_with("gemini") => ("gemini", format!("http://{simulator}")),
        _ => ("openai", format!("http://{simulator}/v1")),
    };
    entry(yaml, name, &format!("{provider}/{model}"), Some(&base));
}

fn entry(yaml: &mut String, name: &str, model: &str, simulator: Option<&str>) {
    // Writing to a String cannot fail.
    let _ = writeln!(yaml, "  - model_name: \"{name}\"\n    litellm_params:\n      model: \"{model}\"");
    if let Some(base) = simulator {
        let _ = writeln!(yaml, "      api_base: \"{base}\"\n      api_key: \"sk-simulated\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_config::load;

    fn composed(variables: &[(&str, &str)]) -> (Vec<&'static str>, Vec<String>) {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let builtin = compose("127.0.0.1:9".parse().unwrap(), &environment);
        let loaded = load(std::path::Path::new("x"), &mut |_| Ok(builtin.yaml.clone()), &environment);
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.report));
        (builtin.providers, config.deployments.into_iter().map(|deployment| deployment.model_name).collect())
    }

    #[test]
    fn without_keys_the_familiar_names_are_simulated() {
        let (providers, names) = composed(&[]);
        assert!(providers.is_empty());
        for name in
            ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash", "simulated/gpt-4o-mini", "simulated/*"]
        {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn a_key_opens_its_provider_and_leaves_the_simulated_names_apart() {
        let (providers, names) =
            composed(&[("OPENAI_API_KEY", "sk-a"), ("GEMINI_API_KEY", "b"), ("XAI_API_KEY", " ")]);
        assert_eq!(providers, ["gemini", "openai", "text-completion-openai"]);
        assert_eq!(names, ["gemini/*", "openai/*", "text-completion-openai/*", "simulated/*"]);
    }
}
