//! What a deployment in a cloud needs beside a key: region, project, roles, credentials.
//!
//! Owns: LiteLLM's names of these parameters and the variables of the environment that stand in for them. Leaves to
//! others: asking a cloud for tokens (credentials), addresses (server).
//!
//! **Invariant:** printing it shows no value.

use std::fmt;

use tollgate_catalog::{Provider, Wire};

use crate::environment::Environment;
use crate::scalar::to_json;
use crate::secret::Secret;
use crate::section::Section;

/// LiteLLM's parameters of clouds, each with the variables that stand in for it, first one first, and the wires that
/// read it.
pub(crate) const PARAMS: &[Param] = &[
    aws("aws_access_key_id", &[]),
    aws("aws_secret_access_key", &[]),
    aws("aws_session_token", &[]),
    aws("aws_region_name", &["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"]),
    aws("aws_session_name", &[]),
    aws("aws_profile_name", &[]),
    aws("aws_role_name", &[]),
    aws("aws_external_id", &[]),
    aws("aws_web_identity_token", &[]),
    aws("aws_sts_endpoint", &[]),
    aws("aws_bedrock_runtime_endpoint", &["AWS_BEDROCK_RUNTIME_ENDPOINT"]),
    vertex("vertex_project", &["VERTEXAI_PROJECT", "VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"]),
    vertex("vertex_location", &["VERTEXAI_LOCATION", "VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"]),
    vertex("vertex_credentials", &["VERTEXAI_CREDENTIALS"]),
    watsonx("project_id", &["WATSONX_PROJECT_ID", "WX_PROJECT_ID"]),
    watsonx("space_id", &["WATSONX_SPACE_ID", "WATSONX_DEPLOYMENT_SPACE_ID"]),
];

/// Older names of the same parameters.
const ALIASES: &[(&str, &str)] = &[
    ("vertex_ai_project", "vertex_project"),
    ("vertex_ai_location", "vertex_location"),
    ("vertex_ai_credentials", "vertex_credentials"),
];

/// One parameter of a cloud.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    name: &'static str,
    variables: &'static [&'static str],
    wires: &'static [Wire],
}

const fn aws(name: &'static str, variables: &'static [&'static str]) -> Param {
    Param { name, variables, wires: &[Wire::Bedrock, Wire::SageMaker] }
}

const fn vertex(name: &'static str, variables: &'static [&'static str]) -> Param {
    Param { name, variables, wires: &[Wire::Vertex] }
}

const fn watsonx(name: &'static str, variables: &'static [&'static str]) -> Param {
    Param { name, variables, wires: &[Wire::Watsonx] }
}

/// A deployment's cloud parameters by LiteLLM's names, from the file or the environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CloudParams(Vec<(&'static str, Secret)>);

impl CloudParams {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.expose())
    }

    /// Every value, for scrubbing what providers send back.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        const SECRET: [&str; 4] =
            ["aws_secret_access_key", "aws_session_token", "aws_web_identity_token", "vertex_credentials"];
        self.0.iter().filter(|(name, _)| SECRET.contains(name)).map(|(_, value)| value)
    }

    /// Reads those that the provider's wire has; a map (credentials written as YAML) becomes its JSON text.
    pub(crate) fn read(params: &Section<'_>, provider: &Provider, environment: &Environment<'_>) -> Self {
        let written = |name: &'static str| {
            let node = params.node(name)?;
            let text = node.text().map_or_else(|| to_json(node).to_string(), str::to_owned);
            (!text.is_empty() && !node.is_null()).then_some(text)
        };
        let found = PARAMS.iter().filter_map(|param| {
            let alias = ALIASES.iter().find(|(_, name)| *name == param.name).map(|(alias, _)| *alias);
            let (own, other) = (written(param.name), alias.and_then(written));
            if !param.wires.contains(&provider.wire) {
                return None;
            }
            let value = own.or(other).or_else(|| environment.first_of(param.variables))?;
            Some((param.name, Secret::new(value)))
        });
        Self(found.collect())
    }
}

impl fmt::Debug for CloudParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
