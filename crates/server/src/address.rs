//! Where a deployment is: its base URL, and the paths below it that do not depend on the request.
//!
//! Owns the spellings of Azure's addresses and the addresses that follow from a cloud's region. Leaves paths that name a
//! model in a wire's own way to the wire.

use crate::authorization::AWS_REGION_DEFAULT;
use crate::percent;
use crate::target::Paths;
use tollgate_catalog::Wire;
use tollgate_config::Deployment;
use tollgate_credentials::dns_suffix;
use tollgate_upstream::{Endpoint, Trust};

/// LiteLLM's Azure API version where none is configured.
const AZURE_API_VERSION_DEFAULT: &str = "2025-02-01-preview";
/// Azure API versions that mean its version-free surface.
const AZURE_V1_VERSIONS: [&str; 3] = ["v1", "preview", "latest"];

/// The deployment's base URL: its own, the operator's environment's, or the provider's public one.
pub(crate) fn base_url(deployment: &Deployment) -> Option<String> {
    let written = deployment.api_base.as_deref().or(deployment.cloud.get("aws_bedrock_runtime_endpoint"));
    let written = written.map(|base| deployment.provider.complete_base(base).into_owned());
    written.or_else(|| deployment.provider.base_url.map(str::to_owned)).or_else(|| regional(deployment))
}

/// The address that follows from a cloud's region.
fn regional(deployment: &Deployment) -> Option<String> {
    let named = region_in_model(&deployment.model).filter(|_| deployment.provider.wire == Wire::Bedrock);
    let region = named.or(deployment.cloud.get("aws_region_name")).unwrap_or(AWS_REGION_DEFAULT);
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match deployment.provider.wire {
        Wire::Bedrock if is_word(region) => {
            Some(format!("https://bedrock-runtime.{region}.{}", dns_suffix(region)))
        }
        Wire::SageMaker if is_word(region) => {
            Some(format!("https://runtime.sagemaker.{region}.{}", dns_suffix(region)))
        }
        Wire::Vertex => match location(deployment) {
            "global" => Some("https://aiplatform.googleapis.com".to_owned()),
            place if is_word(place) => Some(format!("https://{place}-aiplatform.googleapis.com")),
            _ => None,
        },
        _ => None,
    }
}

/// A model's name without LiteLLM's marks before it: the road that it takes (`responses/`, `converse/`, `invoke/`) and
/// Bedrock's region.
pub(crate) fn plain_model<'m>(deployment: &Deployment, model: &'m str) -> &'m str {
    match deployment.provider.wire {
        Wire::Bedrock => without(model, |mark| is_bedrock_road(mark) || is_region(mark)),
        _ => without_road(deployment, model),
    }
}

/// A model's name without the road that it takes, but with its region: some have prices of their own.
pub(crate) fn without_road<'m>(deployment: &Deployment, model: &'m str) -> &'m str {
    match deployment.provider.wire {
        Wire::OpenAi => model.strip_prefix("responses/").unwrap_or(model),
        // LiteLLM's marks for deployments whose names do not tell their models.
        Wire::Azure => without(model, |mark| matches!(mark, "responses" | "o_series" | "gpt5_series")),
        Wire::Bedrock => without(model, is_bedrock_road),
        _ => model,
    }
}

fn is_bedrock_road(mark: &str) -> bool {
    matches!(mark, "converse" | "invoke" | "converse_like")
}

/// What follows the marks at a name's beginning.
fn without(model: &str, is_mark: impl Fn(&str) -> bool) -> &str {
    let mut rest = model;
    while let Some((_, after)) = rest.split_once('/').filter(|(mark, _)| is_mark(mark)) {
        rest = after;
    }
    rest
}

/// `us-east-1`: a place, a direction, a number.
fn is_region(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    parts.len() >= 3
        && parts.last().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
        && parts.first().is_some_and(|first| first.len() == 2)
}

/// The region that a Bedrock model's name begins with, which goes before the deployment's own.
pub(crate) fn region_in_model(model: &str) -> Option<&str> {
    model.split('/').find(|part| is_region(part))
}

/// LiteLLM's location where nothing says one.
pub(crate) fn location(deployment: &Deployment) -> &str {
    deployment.cloud.get("vertex_location").unwrap_or("us-central1")
}

/// What stands between the base URL and the path that a wire writes.
pub(crate) fn prefix(deployment: &Deployment, project: Option<&str>) -> Result<String, String> {
    match deployment.provider.wire {
        Wire::Gemini => Ok("/v1beta".to_owned()),
        Wire::Vertex => {
            let project = deployment
                .cloud
                .get("vertex_project")
                .or(project)
                .ok_or("vertex_project is missing and the credentials name none")?;
            let (project, location) = (percent::encode(project), percent::encode(location(deployment)));
            Ok(format!("/v1/projects/{project}/locations/{location}"))
        }
        _ => Ok(String::new()),
    }
}

pub(crate) fn endpoint(deployment: &Deployment) -> Result<Endpoint, String> {
    let base = base_url(deployment).ok_or("api_base is missing and the provider has no public address")?;
    // A table row with a local address (a server that people run themselves) means the operator's own machine.
    // A cloud's own name may be a private address within its network (AWS PrivateLink).
    let is_cloud = matches!(deployment.provider.wire, Wire::Bedrock | Wire::SageMaker);
    let is_public = deployment.api_base.is_none() && base.starts_with("https://") && !is_cloud;
    let trust = match () {
        () if deployment.is_guarded => Trust::Caller,
        () if is_public => Trust::Catalogue,
        () => Trust::Operator,
    };
    Endpoint::parse(&base, trust).map_err(|error| format!("api_base: {error}"))
}

pub(crate) fn paths(
    deployment: &Deployment,
    endpoint: &Endpoint,
    model: &str,
    prefix: &str,
) -> Option<Paths> {
    let base = base_url(deployment).unwrap_or_default();
    let (before, query) = match deployment.provider.wire {
        Wire::Azure => azure_prefix(deployment, &base, plain_model(deployment, model)),
        // What is neither Google's nor Anthropic's is served in OpenAI's form.
        Wire::Vertex => (format!("{prefix}/endpoints/openapi"), String::new()),
        _ => (String::new(), String::new()),
    };
    let path = |operation: &str| endpoint.target(&format!("{before}/{operation}{query}")).ok();
    Some(Paths {
        chat: path("chat/completions")?,
        completions: path("completions")?,
        embeddings: path("embeddings")?,
        around: (before, query),
    })
}

/// Azure's path before the operation, and the query after it. Three spellings: the version-free surface, a base that
/// names the deployment itself, and the resource's endpoint alone.
fn azure_prefix(deployment: &Deployment, base: &str, model: &str) -> (String, String) {
    let version = deployment.api_version.as_deref();
    let query = |version: &str| format!("?api-version={}", percent::encode(version));
    if base.contains("/openai/v1") {
        let named = version.filter(|version| !AZURE_V1_VERSIONS.contains(version) || *version != "v1");
        return (String::new(), named.map(query).unwrap_or_default());
    }
    if let Some(version) = version.filter(|version| AZURE_V1_VERSIONS.contains(version)) {
        let query = if version == "v1" { String::new() } else { query("preview") };
        return ("/openai/v1".to_owned(), query);
    }
    let query = query(version.unwrap_or(AZURE_API_VERSION_DEFAULT));
    if base.contains("/openai/deployments/") {
        return (String::new(), query);
    }
    (format!("/openai/deployments/{}", percent::encode(model)), query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_before_a_name_are_taken_off_as_far_as_they_are_marks() {
        let check = |model: &str, (priced, named): (&str, &str)| {
            assert_eq!(without(model, is_bedrock_road), priced, "{model}");
            assert_eq!(without(model, |mark| is_bedrock_road(mark) || is_region(mark)), named, "{model}");
        };
        check("converse/us.amazon.nova-lite-v1:0", ("us.amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0"));
        check("invoke/us-east-1/a.b", ("us-east-1/a.b", "a.b"));
        check("us-east-1/a.b", ("us-east-1/a.b", "a.b"));
        check("arn:aws:bedrock/x", ("arn:aws:bedrock/x", "arn:aws:bedrock/x"));
        check("a.b", ("a.b", "a.b"));
        check("converse/", ("", ""));
    }
}
