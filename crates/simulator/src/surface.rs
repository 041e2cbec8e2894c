//! Which provider's API a request is for, and what it asks of it.
//!
//! Owns: the routes. Leaves to others: what a route does.
//!
//! **Invariant:** a path is a route of one surface only, apart from `/v1/models`, which OpenAI, Anthropic and Gemini
//! share and which the credential's header tells apart. A base path `/d/<name>` before a route names a deployment and
//! changes nothing else. The further providers (`wire`) have a base path of their surface's name.

use crate::anthropic;
use crate::clouds;
use crate::platform;
use crate::wire;
use http::{HeaderMap, Method};

/// A provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// OpenAI, and whatever is compatible with it.
    OpenAi,
    /// Azure OpenAI.
    Azure,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Microsoft Entra's token endpoint.
    Entra,
    /// Cohere.
    Cohere,
    /// Jina.
    Jina,
    /// Voyage.
    Voyage,
    /// Together's ranking.
    Together,
    /// Infinity, a server for one's own embedding and ranking models.
    Infinity,
    /// Ollama's own API.
    Ollama,
    /// Mistral.
    Mistral,
    /// Hugging Face: its router, and its servers for chats and embeddings.
    HuggingFace,
    /// Databricks' serving endpoints.
    Databricks,
    /// IBM watsonx.
    Watsonx,
    /// Replicate.
    Replicate,
    /// Amazon Bedrock's runtime.
    Bedrock,
    /// Amazon SageMaker's runtime.
    SageMaker,
    /// What gives out AWS's temporary keys: STS, an instance's metadata, a container's endpoint.
    AwsKeys,
    /// Google's Vertex AI.
    Vertex,
    /// What gives out Google's access tokens.
    GoogleTokens,
}

/// Every surface.
const ALL: [Surface; 21] = [
    Surface::OpenAi,
    Surface::Azure,
    Surface::Anthropic,
    Surface::Gemini,
    Surface::Entra,
    Surface::Cohere,
    Surface::Jina,
    Surface::Voyage,
    Surface::Together,
    Surface::Infinity,
    Surface::Ollama,
    Surface::Mistral,
    Surface::HuggingFace,
    Surface::Databricks,
    Surface::Watsonx,
    Surface::Replicate,
    Surface::Bedrock,
    Surface::SageMaker,
    Surface::AwsKeys,
    Surface::Vertex,
    Surface::GoogleTokens,
];

impl Surface {
    /// The surface's name as records and rules spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Surface::OpenAi => "openai",
            Surface::Azure => "azure",
            Surface::Anthropic => "anthropic",
            Surface::Gemini => "gemini",
            Surface::Entra => "entra",
            Surface::Cohere => "cohere",
            Surface::Jina => "jina",
            Surface::Voyage => "voyage",
            Surface::Together => "together",
            Surface::Infinity => "infinity",
            Surface::Ollama => "ollama",
            Surface::Mistral => "mistral",
            Surface::HuggingFace => "huggingface",
            Surface::Databricks => "databricks",
            Surface::Watsonx => "watsonx",
            Surface::Replicate => "replicate",
            Surface::Bedrock => "bedrock",
            Surface::SageMaker => "sagemaker",
            Surface::AwsKeys => "aws_keys",
            Surface::Vertex => "vertex",
            Surface::GoogleTokens => "google_tokens",
        }
    }

    /// The surface of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Surface> {
        ALL.into_iter().find(|surface| surface.name() == name)
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Chat,
    Completion,
    Embedding,
    ListModels,
    GetModel,
    Messages,
    CountTokens,
    Generate,
    StreamGenerate,
    EmbedContent,
    BatchEmbedContents,
    Token,
    Rerank,
    ShowModel,
    Ocr,
    Features,
    StreamChat,
    Predict,
    GetPrediction,
    CancelPrediction,
    StreamPrediction,
    /// The rest of OpenAI's API.
    Platform(platform::Op),
    /// What only the clouds have.
    Cloud(clouds::Op),
}

impl Operation {
    /// The operation's name as records spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::Completion => "completion",
            Operation::Embedding => "embedding",
            Operation::ListModels => "list_models",
            Operation::GetModel => "get_model",
            Operation::Messages => "messages",
            Operation::CountTokens => "count_tokens",
            Operation::Generate => "generate_content",
            Operation::StreamGenerate => "stream_generate_content",
            Operation::EmbedContent => "embed_content",
            Operation::BatchEmbedContents => "batch_embed_contents",
            Operation::Token => "token",
            Operation::Rerank => "rerank",
            Operation::ShowModel => "show_model",
            Operation::Ocr => "ocr",
            Operation::Features => "feature_extraction",
            Operation::StreamChat => "stream_chat",
            Operation::Predict => "predict",
            Operation::GetPrediction => "get_prediction",
            Operation::CancelPrediction => "cancel_prediction",
            Operation::StreamPrediction => "stream_prediction",
            Operation::Platform(op) => op.name(),
            Operation::Cloud(op) => op.name(),
        }
    }

    /// The method that the operation takes.
    pub(crate) fn method(self) -> Method {
        match self {
            Operation::ListModels | Operation::GetModel => Method::GET,
            Operation::GetPrediction | Operation::StreamPrediction => Method::GET,
            Operation::Platform(op) => op.method(),
            Operation::Cloud(op) => op.method(),
            _ => Method::POST,
        }
    }
}

/// A path, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) surface: Surface,
    /// `None`: the surface has no such route.
    pub(crate) operation: Option<Operation>,
    /// The name in the base path.
    pub(crate) deployment: Option<String>,
    /// The model (Azure: deployment; Entra: tenant) that the path names, percent-decoded.
    pub(crate) subject: Option<String>,
}

/// Reads a path. A path of no surface at all counts as OpenAI's, without an operation.
pub(crate) fn route(method: &Method, path: &str, headers: &HeaderMap) -> Route {
    let (deployment, path) = split_base(path);
    let (surface, operation, subject) = find(method, path, headers);
    Route { surface, operation, deployment, subject }
}

fn split_base(path: &str) -> (Option<String>, &str) {
    let Some((name, _)) = path.strip_prefix("/d/").and_then(|rest| rest.split_once('/')) else {
        return (None, path);
    };
    let rest = path.get("/d/".len() + name.len()..).unwrap_or_default();
    (Some(percent_decode(name)), rest)
}

fn find(method: &Method, path: &str, headers: &HeaderMap) -> (Surface, Option<Operation>, Option<String>) {
    if let Some(found) = wire::route(method, path) {
        return found;
    }
    if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let (deployment, tail) = rest.split_once('/').unwrap_or((rest, ""));
        return (Surface::Azure, openai_operation(method, tail), Some(percent_decode(deployment)));
    }
    if let Some(tail) = path.strip_prefix("/openai/v1/") {
        let (operation, subject) = openai_route(method, tail);
        return (Surface::Azure, operation, subject);
    }
    if let Some(tail) = path.strip_prefix("/openai/") {
        return (Surface::Azure, platform::find(method, tail).map(Operation::Platform), None);
    }
    if let Some(tail) = path.strip_prefix("/v1beta/openai/") {
        let (operation, subject) = openai_route(method, tail);
        return (Surface::OpenAi, operation, subject);
    }
    if let Some(tail) = path.strip_prefix("/v1beta/") {
        let (operation, subject) = gemini_route(tail);
        return (Surface::Gemini, operation, subject);
    }
    if let Some(tenant) = path.strip_prefix('/').and_then(|path| path.strip_suffix("/oauth2/v2.0/token")) {
        return (Surface::Entra, Some(Operation::Token), Some(percent_decode(tenant)));
    }
    let Some(tail) = path.strip_prefix("/v1/") else { return (Surface::OpenAi, None, None) };
    if let Some(operation) = anthropic_operation(method, tail) {
        return (Surface::Anthropic, Some(operation), None);
    }
    // Gemini's stable version shares its prefix with OpenAI; its methods and its header do not.
    if headers.contains_key("x-goog-api-key")
        || (tail.starts_with("models/") && gemini_route(tail).0 != Some(Operation::GetModel))
    {
        let (operation, subject) = gemini_route(tail);
        return (Surface::Gemini, operation, subject);
    }
    let (operation, subject) = openai_route(method, tail);
    let anthropic = headers.contains_key("x-api-key") || headers.contains_key("anthropic-version");
    if anthropic {
        // Of OpenAI's routes Anthropic shares the list of models.
        let shared = operation.filter(|operation| !matches!(operation, Operation::Platform(_)));
        return (Surface::Anthropic, shared, subject);
    }
    (Surface::OpenAi, operation, subject)
}

fn openai_operation(method: &Method, tail: &str) -> Option<Operation> {
    match tail {
        "chat/completions" => Some(Operation::Chat),
        "completions" => Some(Operation::Completion),
        "embeddings" => Some(Operation::Embedding),
        _ => platform::find(method, tail).map(Operation::Platform),
    }
}

fn openai_route(method: &Method, tail: &str) -> (Option<Operation>, Option<String>) {
    if tail == "models" {
        return (Some(Operation::ListModels), None);
    }
    match tail.strip_prefix("models/") {
        Some(model) => (Some(Operation::GetModel), Some(percent_decode(model))),
        None => (openai_operation(method, tail), None),
    }
}

fn anthropic_operation(method: &Method, tail: &str) -> Option<Operation> {
    match tail {
        "messages" => Some(Operation::Messages),
        "messages/count_tokens" => Some(Operation::CountTokens),
        _ => anthropic::batches::find(method, tail).map(Operation::Cloud),
    }
}

fn gemini_route(tail: &str) -> (Option<Operation>, Option<String>) {
    let Some(rest) = tail.strip_prefix("models") else { return (None, None) };
    let Some(rest) = rest.strip_prefix('/') else {
        return (rest.is_empty().then_some(Operation::ListModels), None);
    };
    let Some((model, method)) = rest.rsplit_once(':') else {
        return (Some(Operation::GetModel), Some(percent_decode(rest)));
    };
    let operation = match method {
        "generateContent" => Some(Operation::Generate),
        "streamGenerateContent" => Some(Operation::StreamGenerate),
        "embedContent" => Some(Operation::EmbedContent),
        "batchEmbedContents" => Some(Operation::BatchEmbedContents),
        "countTokens" => Some(Operation::CountTokens),
        _ => None,
    };
    (operation, Some(percent_decode(model)))
}

/// Undoes percent-encoding; what is no valid escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = (byte == b'%').then(|| (ahead.next().and_then(hex), ahead.next().and_then(hex)));
        if let Some((Some(high), Some(low))) = digits {
            out.push(high << 4 | low);
            bytes = ahead;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The value of a query parameter, decoded (`+` is a space).
pub(crate) fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| percent_decode(&value.replace('+', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(path: &str, surface: Surface, operation: Option<Operation>, deployment: &str, subject: &str) {
        let route = route(&Method::POST, path, &HeaderMap::new());
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let expect = Route { surface, operation, deployment: text(deployment), subject: text(subject) };
        assert_eq!(route, expect, "{path}");
    }

    #[test]
    fn every_path_is_a_route_of_one_surface() {
        use Operation as O;
        use Surface::{Anthropic, Azure, Entra, Gemini, OpenAi};
        check("/v1/chat/completions", OpenAi, Some(O::Chat), "", "");
        check("/d/west/v1/chat/completions", OpenAi, Some(O::Chat), "west", "");
        check("/v1/completions", OpenAi, Some(O::Completion), "", "");
        check("/v1/embeddings", OpenAi, Some(O::Embedding), "", "");
        check("/v1/models", OpenAi, Some(O::ListModels), "", "");
        check("/v1/models/a%2Fb", OpenAi, Some(O::GetModel), "", "a/b");
        check("/v1beta/openai/chat/completions", OpenAi, Some(O::Chat), "", "");
        check("/openai/deployments/gpt%204/chat/completions", Azure, Some(O::Chat), "", "gpt 4");
        check("/d/e/openai/deployments/x/embeddings", Azure, Some(O::Embedding), "e", "x");
        check("/openai/v1/chat/completions", Azure, Some(O::Chat), "", "");
        check("/openai/responses", Azure, Some(O::Platform(platform::Op::CreateResponse)), "", "");
        check("/openai/deployments/x/audio/speech", Azure, Some(O::Platform(platform::Op::Speak)), "", "x");
        check("/v1/responses", OpenAi, Some(O::Platform(platform::Op::CreateResponse)), "", "");
        check("/openai/deployments/x", Azure, None, "", "x");
        check("/v1/messages", Anthropic, Some(O::Messages), "", "");
        check("/v1/messages/count_tokens", Anthropic, Some(O::CountTokens), "", "");
        check("/v1beta/models/g:generateContent", Gemini, Some(O::Generate), "", "g");
        check("/v1beta/models/g:streamGenerateContent", Gemini, Some(O::StreamGenerate), "", "g");
        check("/v1beta/models/sim-a%2Bb:countTokens", Gemini, Some(O::CountTokens), "", "sim-a+b");
        check("/v1beta/models", Gemini, Some(O::ListModels), "", "");
        check("/v1/models/g:generateContent", Gemini, Some(O::Generate), "", "g");
        check("/v1beta/models/g:odd", Gemini, None, "", "g");
        check("/common/oauth2/v2.0/token", Entra, Some(O::Token), "", "common");
        check("/elsewhere", OpenAi, None, "", "");
        check("/d/west", OpenAi, None, "", "");
    }

    #[test]
    fn the_model_list_is_that_of_the_provider_whose_header_comes() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("k"));
        assert_eq!(route(&Method::GET, "/v1/models", &headers).surface, Surface::Anthropic);
        headers.insert("x-goog-api-key", HeaderValue::from_static("k"));
        assert_eq!(route(&Method::GET, "/v1/models", &headers).surface, Surface::Gemini);
    }

    #[test]
    fn query_values_are_decoded_and_bad_escapes_stay() {
        assert_eq!(query_value("a=1&b=x%20y+z", "b").as_deref(), Some("x y z"));
        assert_eq!(query_value("alt", "alt").as_deref(), Some(""));
        assert_eq!(query_value("a=1", "b"), None);
        assert_eq!(percent_decode("a%2"), "a%2");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
    }
}
