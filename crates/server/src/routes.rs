//! Every route of the gateway, in one table: method, path, what serves it, who may call it.
//!
//! The router is built from this table and from nothing else, so a route without a row does not exist and a row without
//! an access rule does not compile. **Invariant:** access is decided by the row that matched, never by the path's text.

pub(crate) mod passing;
mod table;

use crate::admin::{self, AdminRoutes, Leads};
use crate::percent;
use crate::surface::Surface;
use http::Method;
use matchit::Router;

pub use passing::{PREFIXES, Passage, Prefix};
pub use table::TABLE;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, also without a key.
    Open,
    /// Whoever may use models: any valid key (without a master key: anyone).
    Caller,
    /// The operator: the master key, or a key of a proxy administrator (without a master key: anyone).
    Operator,
    /// The operator, and whoever sees everything (`proxy_admin_viewer`).
    Observer,
}

/// What a path says of a model call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathModel {
    /// The model's name, percent-decoded.
    pub name: Option<String>,
    /// Whether the reply is to be streamed, where the path decides it.
    pub stream: Option<bool>,
}

impl PathModel {
    /// A path that names a model, or none.
    pub fn named(name: Option<&str>) -> Self {
        Self { name: name.map(str::to_owned), stream: None }
    }
}

/// What serves a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST /v1/chat/completions` and its spellings.
    ChatCompletions,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/responses`.
    Responses,
    /// `GET /v1/responses/{id}`.
    Response,
    /// `DELETE /v1/responses/{id}`.
    ResponseDelete,
    /// `POST /v1/responses/{id}/cancel`.
    ResponseCancel,
    /// `GET /v1/responses/{id}/input_items`.
    ResponseInput,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and their spellings.
    GeminiCall,
    /// `POST /v1beta/models/{model}:embedContent`.
    GeminiEmbed,
    /// `POST /v1beta/models/{model}:batchEmbedContents`.
    GeminiBatchEmbed,
    /// `POST /model/{model}/converse` and `/converse-stream`.
    BedrockCall,
    /// `POST /v2/chat`.
    CohereChat,
    /// `POST /v2/embed`.
    CohereEmbed,
    /// `POST /v1/embed`.
    CohereEmbedFirst,
    /// `POST /v1/images/generations`.
    Images,
    /// `POST /v1/images/edits`.
    ImageEdits,
    /// `POST /v1/images/variations`.
    ImageVariations,
    /// `POST /v1/audio/speech`.
    Speech,
    /// `POST /v1/audio/transcriptions`.
    Transcriptions,
    /// `POST /v1/audio/translations`.
    Translations,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/rerank`.
    Rerank,
    /// `GET /v1/realtime`, a WebSocket.
    Realtime,
    /// `POST /v1/realtime/client_secrets`, `/sessions` and `/calls`: sessions that would go past the gateway.
    RealtimeAside,
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{id}`.
    Model,
    /// `GET /v1/model/info`.
    ModelInfo,
    /// `GET /model_group/info`.
    ModelGroupInfo,
    /// `GET /health`: asks every deployment.
    Health,
    /// `GET /health/deployments`: what is known of every deployment.
    HealthDeployments,
    /// `GET /health/override`: what operators say of deployments.
    HealthOverrides,
    /// `POST /health/override`: says something of one.
    HealthOverride,
    /// `GET /health/liveliness`.
    Liveliness,
    /// `GET /health/readiness`.
    Readiness,
    /// `GET /metrics`.
    Metrics,
    /// `GET /openapi.json`.
    OpenApi,
    /// `GET /`.
    DocsPage,
    /// `POST /v1/messages/count_tokens`.
    MessagesCount,
    /// `POST /v1beta/models/{model}:countTokens`.
    GeminiCount,
    /// `POST /utils/token_counter`.
    TokenCounter,
    /// `GET /utils/supported_openai_params`.
    SupportedParams,
    /// `POST /utils/transform_request`.
    TransformRequest,
    /// `POST /route/explain`.
    RouteExplain,
    /// `GET /v1/capabilities`.
    Capabilities,
    /// Requests that pass through.
    Pass(Passage),
    /// A route of LiteLLM's that this gateway does not have.
    NotImplemented,
}

impl Route {
    /// The kind of model call that it serves.
    pub(crate) fn surface(self) -> Option<Surface> {
        match self {
            Self::ChatCompletions => Some(Surface::Chat),
            Self::Completions => Some(Surface::Completions),
            Self::Embeddings => Some(Surface::Embeddings),
            Self::Responses => Some(Surface::Responses),
            Self::Messages => Some(Surface::Messages),
            Self::GeminiCall => Some(Surface::GenerateContent),
            Self::GeminiEmbed => Some(Surface::EmbedContent),
            Self::GeminiBatchEmbed => Some(Surface::BatchEmbedContents),
            Self::BedrockCall => Some(Surface::Converse),
            Self::CohereChat => Some(Surface::CohereChat),
            Self::CohereEmbed => Some(Surface::CohereEmbed),
            Self::CohereEmbedFirst => Some(Surface::CohereEmbedFirst),
            Self::Images => Some(Surface::ImageGeneration),
            Self::ImageEdits => Some(Surface::ImageEdit),
            Self::ImageVariations => Some(Surface::ImageVariation),
            Self::Speech => Some(Surface::Speech),
            Self::Transcriptions => Some(Surface::Transcription),
            Self::Translations => Some(Surface::Translation),
            Self::Moderations => Some(Surface::Moderation),
            Self::Rerank => Some(Surface::Rerank),
            Self::Pass(passage) => Some(Surface::Passed(passage)),
            Self::Realtime => Some(Surface::Realtime),
            _ => None,
        }
    }
}

/// One row of the table. `{model}` is one path segment, percent-decoded; `{*model}` is the rest of the path.
#[derive(Debug, Clone)]
pub struct Row {
    /// The method; HEAD is answered where GET is.
    pub method: Method,
    /// The pattern.
    pub path: &'static str,
    /// What serves it.
    pub route: Route,
    /// Who may call it.
    pub access: Access,
    /// One line for the OpenAPI description.
    pub summary: &'static str,
}

/// A route whose model's name stands in the middle of the path.
struct Inside {
    before: &'static str,
    after: &'static str,
    pattern: &'static str,
    route: Route,
    stream: Option<bool>,
}

macro_rules! inside {
    ($before:literal, $after:literal, $route:expr, $stream:expr) => {
        Inside {
            before: $before,
            after: $after,
            pattern: concat!($before, "{model}", $after),
            route: $route,
            stream: $stream,
        }
    };
}

/// Routes whose model name stands in the middle of the path and may hold slashes (`openai/gpt-4o`), which a pattern of
/// segments cannot say: prefix, suffix, route, whether the reply is streamed. Their patterns are in [`TABLE`] too.
const MODEL_INSIDE: &[Inside] = &[
    inside!("/openai/deployments/", "/chat/completions", Route::ChatCompletions, None),
    inside!("/openai/deployments/", "/completions", Route::Completions, None),
    inside!("/openai/deployments/", "/embeddings", Route::Embeddings, None),
    inside!("/openai/deployments/", "/images/generations", Route::Images, None),
    inside!("/openai/deployments/", "/images/edits", Route::ImageEdits, None),
    inside!("/openai/deployments/", "/images/variations", Route::ImageVariations, None),
    inside!("/openai/deployments/", "/audio/speech", Route::Speech, None),
    inside!("/openai/deployments/", "/audio/transcriptions", Route::Transcriptions, None),
    inside!("/openai/deployments/", "/audio/translations", Route::Translations, None),
    inside!("/openai/deployments/", "/moderations", Route::Moderations, None),
    inside!("/engines/", "/chat/completions", Route::ChatCompletions, None),
    inside!("/engines/", "/completions", Route::Completions, None),
    inside!("/engines/", "/embeddings", Route::Embeddings, None),
    inside!("/v1beta/models/", ":countTokens", Route::GeminiCount, None),
    inside!("/v1/models/", ":countTokens", Route::GeminiCount, None),
    inside!("/models/", ":countTokens", Route::GeminiCount, None),
    inside!("/v1beta/", ":countTokens", Route::GeminiCount, None),
    inside!("/v1beta/models/", ":generateContent", Route::GeminiCall, Some(false)),
    inside!("/v1beta/models/", ":streamGenerateContent", Route::GeminiCall, Some(true)),
    inside!("/v1/models/", ":generateContent", Route::GeminiCall, Some(false)),
    inside!("/v1/models/", ":streamGenerateContent", Route::GeminiCall, Some(true)),
    inside!("/models/", ":generateContent", Route::GeminiCall, Some(false)),
    inside!("/models/", ":streamGenerateContent", Route::GeminiCall, Some(true)),
    // Some clients leave the collection out of the path where the model's name has a slash.
    inside!("/v1beta/", ":generateContent", Route::GeminiCall, Some(false)),
    inside!("/v1beta/", ":streamGenerateContent", Route::GeminiCall, Some(true)),
    inside!("/v1beta/models/", ":embedContent", Route::GeminiEmbed, None),
    inside!("/v1beta/models/", ":batchEmbedContents", Route::GeminiBatchEmbed, None),
    inside!("/v1/models/", ":embedContent", Route::GeminiEmbed, None),
    inside!("/v1/models/", ":batchEmbedContents", Route::GeminiBatchEmbed, None),
    inside!("/models/", ":embedContent", Route::GeminiEmbed, None),
    inside!("/models/", ":batchEmbedContents", Route::GeminiBatchEmbed, None),
    inside!("/v1beta/", ":embedContent", Route::GeminiEmbed, None),
    inside!("/v1beta/", ":batchEmbedContents", Route::GeminiBatchEmbed, None),
    inside!("/model/", "/converse", Route::BedrockCall, Some(false)),
    inside!("/model/", "/converse-stream", Route::BedrockCall, Some(true)),
];

const LITELLM_ROUTES: &str = include_str!("../data/litellm_routes.txt");

/// What a request's method and path lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A route that is served, with the model that the path names.
    Served {
        /// What serves it.
        route: Route,
        /// Who may call it.
        access: Access,
        /// Its pattern, where a row of the table says it: `/v1/responses/{model}`.
        pattern: Option<&'static str>,
        /// What the path says of the model.
        model: PathModel,
    },
    /// A route of the admin API.
    Admin(admin::Found),
    /// The path is served, but not with this method; these are.
    WrongMethod(Vec<Method>),
    /// Nothing is there.
    Nothing,
}

impl Found {
    /// Whether it is the operator's, and served at the operator's door where there is one.
    pub(crate) fn is_operators(&self) -> bool {
        matches!(self, Self::Admin(_) | Self::Served { access: Access::Operator, .. })
    }
}

/// The router, built from [`TABLE`].
pub struct Routes {
    paths: Router<Vec<&'static Row>>,
    admin: AdminRoutes,
}

impl Routes {
    /// Builds the router.
    ///
    /// # Errors
    /// The router's text when two rows of the table contradict each other; a test holds that they do not.
    pub fn new() -> Result<Self, String> {
        let mut paths = Router::new();
        let mut seen: Vec<&'static str> = Vec::new();
        for row in TABLE {
            if seen.contains(&row.path) {
                continue;
            }
            seen.push(row.path);
            let rows: Vec<&'static Row> = TABLE.iter().filter(|other| other.path == row.path).collect();
            if row.path.contains("{model}:") {
                // A name with something behind it within its segment: `MODEL_INSIDE` finds it.
                continue;
            }
            paths.insert(row.path, rows).map_err(|error| format!("{}: {error}", row.path))?;
        }
        Ok(Self { paths, admin: AdminRoutes::new()? })
    }

    /// Where a request leads. `path` is the request's path as it came, without the query.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        if let Ok(matched) = self.paths.at(path) {
            let Some(row) = matched.value.iter().find(|row| row.method == *asked) else {
                if let Some(found @ Found::Served { .. }) =
                    model_inside(asked, path).or_else(|| passing_through(method, path))
                {
                    return found;
                }
                // A pattern of ours may cover a path that LiteLLM has for something else.
                return match litellm_route(asked, path) {
                    missing @ Found::Served { .. } => missing,
                    _ => Found::WrongMethod(matched.value.iter().map(|row| row.method.clone()).collect()),
                };
            };
            let (access, pattern) = (row.access, Some(row.path));
            return match matched.params.get("model").map(percent::decode) {
                None => {
                    let model = PathModel::default();
                    Found::Served { route: row.route, access, pattern, model }
                }
                Some(Some(model)) => {
                    let stream = match row.route {
                        Route::GeminiCall | Route::BedrockCall => Some(path.contains("stream")),
                        _ => None,
                    };
                    let model = PathModel { name: Some(model), stream };
                    Found::Served { route: row.route, access, pattern, model }
                }
                Some(None) => Found::Nothing,
            };
        }
        match self.admin.find(asked, path) {
            Leads::To(found) => return Found::Admin(found),
            Leads::OtherMethods(methods) => {
                return match litellm_route(asked, path) {
                    missing @ Found::Served { .. } => missing,
                    _ => Found::WrongMethod(methods),
                };
            }
            Leads::Nowhere => {}
        }
        match model_inside(asked, path) {
            Some(found @ Found::Served { .. }) => found,
            inside => passing_through(method, path).or(inside).unwrap_or_else(|| litellm_route(asked, path)),
        }
    }
}

fn model_inside(method: &Method, path: &str) -> Option<Found> {
    // Google's own address of a model begins with its place in their catalogue, as do those of their clients.
    let path = path.strip_prefix("/gemini").unwrap_or(path);
    let (name, row) = MODEL_INSIDE
        .iter()
        .find_map(|row| Some((path.strip_prefix(row.before)?.strip_suffix(row.after)?, row)))?;
    if name.is_empty() {
        return Some(Found::Nothing);
    }
    if *method != Method::POST {
        return Some(Found::WrongMethod(vec![Method::POST]));
    }
    let model = PathModel { name: Some(percent::decode(name)?), stream: row.stream };
    let (access, pattern) = (Access::Caller, Some(row.pattern));
    Some(Found::Served { route: row.route, access, pattern, model })
}

/// Where a path below one of the prefixes leads.
fn passing_through(method: &Method, path: &str) -> Option<Found> {
    let at_provider = passing::find_at_provider(path).map(|(_, passage, _)| passage);
    let passage = at_provider.or_else(|| passing::find(path).map(|(prefix, _)| prefix.passage))?;
    if !passing::METHODS.contains(method) {
        return Some(Found::WrongMethod(passing::METHODS.to_vec()));
    }
    let (route, access) = (Route::Pass(passage), Access::Caller);
    Some(Found::Served { route, access, pattern: None, model: PathModel::default() })
}

/// Whether LiteLLM has the route; read only for requests that lead nowhere here.
fn litellm_route(method: &Method, path: &str) -> Found {
    let known =
        LITELLM_ROUTES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    for (pattern, methods) in known {
        if matches_pattern(pattern, path) {
            let methods: Vec<Method> = methods.split(',').filter_map(|method| method.parse().ok()).collect();
            return if methods.contains(method) {
                Found::Served {
                    route: Route::NotImplemented,
                    access: Access::Caller,
                    pattern: None,
                    model: PathModel::default(),
                }
            } else {
                Found::WrongMethod(methods)
            };
        }
    }
    Found::Nothing
}

/// `{name}` is one segment; `{name:path}` is any number of them.
fn matches_pattern(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/');
    let mut given = path.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(segment), Some(_)) if segment.starts_with('{') && segment.ends_with(":path}") => {
                return true;
            }
            (Some(segment), Some(value)) if segment.starts_with('{') && !value.is_empty() => {}
            (Some(segment), Some(value)) if segment == value => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &str, path: &str) -> Found {
        Routes::new().unwrap().find(&method.parse().unwrap(), path)
    }

    fn served(pattern: &'static str, route: Route, model: Option<&str>) -> Found {
        let (access, pattern) = (Access::Caller, Some(pattern).filter(|pattern| !pattern.is_empty()));
        Found::Served { route, access, pattern, model: PathModel::named(model) }
    }

    #[test]
    fn every_row_leads_to_its_own_route() {
        for row in TABLE {
            let path = row.path.replace("{model}", "m").replace("{*model}", "m");
            let found = Routes::new().unwrap().find(&row.method, &path);
            let Found::Served { route, access, pattern, .. } = found else { panic!("{path} is not served") };
            assert_eq!((route, access, pattern), (row.route, row.access, Some(row.path)), "{path}");
        }
    }

    #[test]
    fn only_liveness_readiness_and_the_description_are_open() {
        let open: Vec<&str> =
            TABLE.iter().filter(|row| row.access == Access::Open).map(|row| row.path).collect();
        let expected = ["/health/liveliness", "/health/liveness", "/health/readiness", "/openapi.json", "/"];
        assert_eq!(open, expected);
    }

    #[test]
    fn models_in_paths_may_hold_slashes_and_escapes() {
        let chat = |pattern, model| served(pattern, Route::ChatCompletions, Some(model));
        let engine = |model| chat("/engines/{model}/chat/completions", model);
        assert_eq!(find("POST", "/engines/gpt-4o/chat/completions"), engine("gpt-4o"));
        assert_eq!(find("POST", "/engines/openai/gpt-4o/chat/completions"), engine("openai/gpt-4o"));
        let deployment = "/openai/deployments/{model}/chat/completions";
        assert_eq!(find("POST", "/openai/deployments/a%2Fb/chat/completions"), chat(deployment, "a/b"));
        let model = served("/v1/models/{*model}", Route::Model, Some("openai/gpt-4o"));
        assert_eq!(find("GET", "/v1/models/openai/gpt-4o"), model);
        assert_eq!(find("POST", "/engines/a%0ab/chat/completions"), Found::Nothing);
        assert_eq!(find("POST", "/engines/a%zz/chat/completions"), Found::Nothing);
    }

    #[test]
    fn odd_spellings_of_a_path_lead_nowhere() {
        for path in [
            "//v1/chat/completions",
            "/v1//chat/completions",
            "/v1/chat/completions/",
            "/V1/chat/completions",
        ] {
            assert_eq!(find("POST", path), Found::Nothing, "{path}");
        }
        for path in ["/health/../metrics", "/health/liveliness/x", "/v1/chat%2Fcompletions", "/nope"] {
            assert_eq!(find("GET", path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        assert_eq!(find("GET", "/v1/chat/completions"), Found::WrongMethod(vec![Method::POST]));
        assert_eq!(find("POST", "/v1/models"), Found::WrongMethod(vec![Method::GET]));
        assert_eq!(find("HEAD", "/v1/models"), served("/v1/models", Route::Models, None));
    }

    #[test]
    fn what_litellm_has_and_this_gateway_has_not_is_said_so() {
        let missing = served("", Route::NotImplemented, None);
        for (method, path) in [
            ("POST", "/v1/threads"),
            ("GET", "/v1/assistants"),
            ("POST", "/v1/responses/compact"),
            ("POST", "/v1/responses/input_tokens"),
        ] {
            assert_eq!(find(method, path), missing, "{path}");
        }
        assert!(matches!(find("DELETE", "/key/generate"), Found::WrongMethod(_)));
    }
}
