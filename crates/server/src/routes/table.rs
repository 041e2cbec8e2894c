//! The rows of the table of routes.
//!
//! Owns method, path, what serves it, who may call it. Leaves how a path is found to the router.

use super::{Access, Route, Row};
use http::Method;

const fn post(path: &'static str, route: Route, summary: &'static str) -> Row {
    Row { method: Method::POST, path, route, access: Access::Caller, summary }
}

const fn get(path: &'static str, route: Route, summary: &'static str) -> Row {
    Row { method: Method::GET, path, route, access: Access::Caller, summary }
}

/// A GET for whoever sees everything.
const fn watched(path: &'static str, route: Route, summary: &'static str) -> Row {
    Row { method: Method::GET, path, route, access: Access::Observer, summary }
}

/// A GET for anyone.
const fn open(path: &'static str, route: Route, summary: &'static str) -> Row {
    Row { method: Method::GET, path, route, access: Access::Open, summary }
}

/// The table.
pub const TABLE: &[Row] = &[
    post("/v1/chat/completions", Route::ChatCompletions, "Chat with a model, plain or streamed"),
    post("/chat/completions", Route::ChatCompletions, "Chat with a model, plain or streamed"),
    post(
        "/openai/deployments/{model}/chat/completions",
        Route::ChatCompletions,
        "Chat with a model, plain or streamed",
    ),
    post("/engines/{model}/chat/completions", Route::ChatCompletions, "Chat with a model, plain or streamed"),
    post("/openai/v1/chat/completions", Route::ChatCompletions, "Chat with a model, plain or streamed"),
    post("/v1/completions", Route::Completions, "Complete a text, plain or streamed"),
    post("/completions", Route::Completions, "Complete a text, plain or streamed"),
    post("/openai/deployments/{model}/completions", Route::Completions, "Complete a text, plain or streamed"),
    post("/engines/{model}/completions", Route::Completions, "Complete a text, plain or streamed"),
    post("/v1/embeddings", Route::Embeddings, "Embed texts"),
    post("/embeddings", Route::Embeddings, "Embed texts"),
    post("/openai/deployments/{model}/embeddings", Route::Embeddings, "Embed texts"),
    post("/engines/{model}/embeddings", Route::Embeddings, "Embed texts"),
    post("/v1/responses", Route::Responses, "OpenAI's Responses, plain or streamed"),
    post("/responses", Route::Responses, "OpenAI's Responses, plain or streamed"),
    post("/openai/v1/responses", Route::Responses, "OpenAI's Responses, plain or streamed"),
    get("/v1/responses/{model}", Route::Response, "A stored response"),
    Row {
        method: Method::DELETE,
        path: "/v1/responses/{model}",
        route: Route::ResponseDelete,
        access: Access::Caller,
        summary: "Delete a stored response",
    },
    post(
        "/v1/responses/{model}/cancel",
        Route::ResponseCancel,
        "Cancel a response that runs in the background",
    ),
    get("/v1/responses/{model}/input_items", Route::ResponseInput, "The input items of a stored response"),
    get("/responses/{model}", Route::Response, "A stored response"),
    Row {
        method: Method::DELETE,
        path: "/responses/{model}",
        route: Route::ResponseDelete,
        access: Access::Caller,
        summary: "Delete a stored response",
    },
    post("/responses/{model}/cancel", Route::ResponseCancel, "Cancel a response that runs in the background"),
    get("/responses/{model}/input_items", Route::ResponseInput, "The input items of a stored response"),
    get("/openai/v1/responses/{model}", Route::Response, "A stored response"),
    Row {
        method: Method::DELETE,
        path: "/openai/v1/responses/{model}",
        route: Route::ResponseDelete,
        access: Access::Caller,
        summary: "Delete a stored response",
    },
    post(
        "/openai/v1/responses/{model}/cancel",
        Route::ResponseCancel,
        "Cancel a response that runs in the background",
    ),
    get(
        "/openai/v1/responses/{model}/input_items",
        Route::ResponseInput,
        "The input items of a stored response",
    ),
    post("/v1/messages", Route::Messages, "Anthropic's Messages, plain or streamed"),
    post("/v1beta/models/{model}:generateContent", Route::GeminiCall, "Google's generateContent"),
    post(
        "/v1beta/models/{model}:streamGenerateContent",
        Route::GeminiCall,
        "Google's generateContent, streamed as events (`alt=sse`) or as a JSON array",
    ),
    post("/v1beta/models/{model}:embedContent", Route::GeminiEmbed, "Google's embedContent"),
    post("/v1beta/models/{model}:batchEmbedContents", Route::GeminiBatchEmbed, "Google's batchEmbedContents"),
    post("/model/{model}/converse", Route::BedrockCall, "Amazon Bedrock's Converse"),
    post("/model/{model}/converse-stream", Route::BedrockCall, "Amazon Bedrock's Converse, streamed"),
    post("/v2/chat", Route::CohereChat, "Cohere's chat, plain or streamed"),
    post("/v2/embed", Route::CohereEmbed, "Cohere's embeddings"),
    post("/v1/embed", Route::CohereEmbedFirst, "Cohere's embeddings, version 1"),
    post("/v1/images/generations", Route::Images, "Make pictures from words"),
    post("/images/generations", Route::Images, "Make pictures from words"),
    post("/openai/deployments/{model}/images/generations", Route::Images, "Make pictures from words"),
    post("/v1/images/edits", Route::ImageEdits, "Make pictures from pictures and words"),
    post("/images/edits", Route::ImageEdits, "Make pictures from pictures and words"),
    post(
        "/openai/deployments/{model}/images/edits",
        Route::ImageEdits,
        "Make pictures from pictures and words",
    ),
    post("/v1/images/variations", Route::ImageVariations, "Make pictures like another"),
    post("/images/variations", Route::ImageVariations, "Make pictures like another"),
    post(
        "/openai/deployments/{model}/images/variations",
        Route::ImageVariations,
        "Make pictures like another",
    ),
    post("/v1/audio/speech", Route::Speech, "Speak a text"),
    post("/audio/speech", Route::Speech, "Speak a text"),
    post("/openai/deployments/{model}/audio/speech", Route::Speech, "Speak a text"),
    post("/v1/audio/transcriptions", Route::Transcriptions, "Write down what is said"),
    post("/audio/transcriptions", Route::Transcriptions, "Write down what is said"),
    post(
        "/openai/deployments/{model}/audio/transcriptions",
        Route::Transcriptions,
        "Write down what is said",
    ),
    post("/v1/audio/translations", Route::Translations, "Write down what is said, in English"),
    post("/audio/translations", Route::Translations, "Write down what is said, in English"),
    post(
        "/openai/deployments/{model}/audio/translations",
        Route::Translations,
        "Write down what is said, in English",
    ),
    post("/v1/moderations", Route::Moderations, "Judge content"),
    post("/moderations", Route::Moderations, "Judge content"),
    post("/openai/deployments/{model}/moderations", Route::Moderations, "Judge content"),
    post("/v1/rerank", Route::Rerank, "Order documents by their relevance"),
    post("/rerank", Route::Rerank, "Order documents by their relevance"),
    post("/v2/rerank", Route::Rerank, "Order documents by their relevance"),
    get("/v1/realtime", Route::Realtime, "Speak with a model over a WebSocket"),
    get("/realtime", Route::Realtime, "Speak with a model over a WebSocket"),
    get("/openai/v1/realtime", Route::Realtime, "Speak with a model over a WebSocket"),
    get("/openai/realtime", Route::Realtime, "Speak with a model over a WebSocket"),
    post("/v1/realtime/client_secrets", Route::RealtimeAside, "Keys for sessions past the gateway (501)"),
    post("/v1/realtime/sessions", Route::RealtimeAside, "Keys for sessions past the gateway (501)"),
    post(
        "/v1/realtime/transcription_sessions",
        Route::RealtimeAside,
        "Keys for sessions past the gateway (501)",
    ),
    post("/v1/realtime/calls", Route::RealtimeAside, "Sessions past the gateway over WebRTC (501)"),
    post("/realtime/client_secrets", Route::RealtimeAside, "Keys for sessions past the gateway (501)"),
    post("/realtime/sessions", Route::RealtimeAside, "Keys for sessions past the gateway (501)"),
    post(
        "/realtime/transcription_sessions",
        Route::RealtimeAside,
        "Keys for sessions past the gateway (501)",
    ),
    post("/realtime/calls", Route::RealtimeAside, "Sessions past the gateway over WebRTC (501)"),
    post(
        "/openai/v1/realtime/client_secrets",
        Route::RealtimeAside,
        "Keys for sessions past the gateway (501)",
    ),
    post("/openai/v1/realtime/sessions", Route::RealtimeAside, "Keys for sessions past the gateway (501)"),
    post(
        "/openai/v1/realtime/transcription_sessions",
        Route::RealtimeAside,
        "Keys for sessions past the gateway (501)",
    ),
    post("/openai/v1/realtime/calls", Route::RealtimeAside, "Sessions past the gateway over WebRTC (501)"),
    post("/openai/realtime/client_secrets", Route::RealtimeAside, "Keys for sessions past the gateway (501)"),
    post("/openai/realtime/sessions", Route::RealtimeAside, "Keys for sessions past the gateway (501)"),
    post(
        "/openai/realtime/transcription_sessions",
        Route::RealtimeAside,
        "Keys for sessions past the gateway (501)",
    ),
    post("/openai/realtime/calls", Route::RealtimeAside, "Sessions past the gateway over WebRTC (501)"),
    post("/v1/messages/count_tokens", Route::MessagesCount, "Anthropic's count of a request's tokens"),
    post("/v1beta/models/{model}:countTokens", Route::GeminiCount, "Google's count of a request's tokens"),
    post("/utils/token_counter", Route::TokenCounter, "Count the tokens of messages or a prompt"),
    get("/utils/supported_openai_params", Route::SupportedParams, "OpenAI's parameters that a model takes"),
    post("/utils/transform_request", Route::TransformRequest, "A request as it would be sent"),
    post("/route/explain", Route::RouteExplain, "Where a request would go, and why; nothing is sent"),
    get("/v1/capabilities", Route::Capabilities, "What each provider does with each parameter"),
    get("/v1/models", Route::Models, "List the models that may be called"),
    get("/models", Route::Models, "List the models that may be called"),
    get("/v1beta/models", Route::Models, "List the models that may be called, in Google's form"),
    get("/v1/models/{*model}", Route::Model, "One model"),
    get("/v1beta/models/{*model}", Route::Model, "One model, in Google's form"),
    get("/models/{*model}", Route::Model, "One model"),
    get("/v1/model/info", Route::ModelInfo, "Every deployment with its prices and capabilities"),
    get("/model/info", Route::ModelInfo, "Every deployment with its prices and capabilities"),
    get("/model_group/info", Route::ModelGroupInfo, "Every model group with what it offers"),
    // Each answer is paid for, by nobody's budget.
    watched("/health", Route::Health, "Ask every deployment for a short answer"),
    watched(
        "/health/deployments",
        Route::HealthDeployments,
        "What is known of every deployment, without asking any",
    ),
    watched(
        "/health/override",
        Route::HealthOverrides,
        "The deployments that are forced up, down or draining",
    ),
    Row {
        method: Method::POST,
        path: "/health/override",
        route: Route::HealthOverride,
        access: Access::Operator,
        summary: "Force a deployment up, down or draining, for a time, or reset it",
    },
    open("/health/liveliness", Route::Liveliness, "The process is alive"),
    open("/health/liveness", Route::Liveliness, "The process is alive"),
    open("/health/readiness", Route::Readiness, "The process takes requests"),
    watched("/metrics", Route::Metrics, "Prometheus metrics"),
    open("/openapi.json", Route::OpenApi, "This description"),
    open("/", Route::DocsPage, "A page about this gateway"),
];
