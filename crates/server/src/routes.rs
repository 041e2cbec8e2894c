//! Every route of the gateway, in one table: method, path, what serves it, who may call it.
//!
//! The router is built from this table and from nothing else, so a route without a row does not exist and a row without
//! an access rule does not compile. **Invariant:** access is decided by the row that matched, never by the path's text.

use crate::percent;
use http::Method;
use matchit::Router;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, also without a key.
    Open,
    /// Whoever may use models: any valid key (without a master key: anyone).
    Caller,
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
    /// A route of LiteLLM's that this gateway does not have.
    NotImplemented,
}

impl Route {
    /// The path as LiteLLM names it in its messages.
    pub fn litellm_path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            _ => "/",
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

/// The table.
pub const TABLE: &[Row] = &[
    Row {
        method: Method::POST,
        path: "/v1/chat/completions",
        route: Route::ChatCompletions,
        access: Access::Caller,
        summary: "Chat with a model, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/chat/completions",
        route: Route::ChatCompletions,
        access: Access::Caller,
        summary: "Chat with a model, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/openai/deployments/{model}/chat/completions",
        route: Route::ChatCompletions,
        access: Access::Caller,
        summary: "Chat with a model, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/engines/{model}/chat/completions",
        route: Route::ChatCompletions,
        access: Access::Caller,
        summary: "Chat with a model, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/openai/v1/chat/completions",
        route: Route::ChatCompletions,
        access: Access::Caller,
        summary: "Chat with a model, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/v1/completions",
        route: Route::Completions,
        access: Access::Caller,
        summary: "Complete a text, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/completions",
        route: Route::Completions,
        access: Access::Caller,
        summary: "Complete a text, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/openai/deployments/{model}/completions",
        route: Route::Completions,
        access: Access::Caller,
        summary: "Complete a text, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/engines/{model}/completions",
        route: Route::Completions,
        access: Access::Caller,
        summary: "Complete a text, plain or streamed",
    },
    Row {
        method: Method::POST,
        path: "/v1/embeddings",
        route: Route::Embeddings,
        access: Access::Caller,
        summary: "Embed texts",
    },
    Row {
        method: Method::POST,
        path: "/embeddings",
        route: Route::Embeddings,
        access: Access::Caller,
        summary: "Embed texts",
    },
    Row {
        method: Method::POST,
        path: "/openai/deployments/{model}/embeddings",
        route: Route::Embeddings,
        access: Access::Caller,
        summary: "Embed texts",
    },
    Row {
        method: Method::POST,
        path: "/engines/{model}/embeddings",
        route: Route::Embeddings,
        access: Access::Caller,
        summary: "Embed texts",
    },
    Row {
        method: Method::GET,
        path: "/v1/models",
        route: Route::Models,
        access: Access::Caller,
        summary: "List the models that may be called",
    },
    Row {
        method: Method::GET,
        path: "/models",
        route: Route::Models,
        access: Access::Caller,
        summary: "List the models that may be called",
    },
    Row {
        method: Method::GET,
        path: "/v1/models/{*model}",
        route: Route::Model,
        access: Access::Caller,
        summary: "One model",
    },
    Row {
        method: Method::GET,
        path: "/models/{*model}",
        route: Route::Model,
        access: Access::Caller,
        summary: "One model",
    },
    Row {
        method: Method::GET,
        path: "/v1/model/info",
        route: Route::ModelInfo,
        access: Access::Caller,
        summary: "Every deployment with its prices and capabilities",
    },
    Row {
        method: Method::GET,
        path: "/model/info",
        route: Route::ModelInfo,
        access: Access::Caller,
        summary: "Every deployment with its prices and capabilities",
    },
    Row {
        method: Method::GET,
        path: "/model_group/info",
        route: Route::ModelGroupInfo,
        access: Access::Caller,
        summary: "Every model group with what it offers",
    },
    Row {
        method: Method::GET,
        path: "/health",
        route: Route::Health,
        access: Access::Caller,
        summary: "Ask every deployment for a short answer",
    },
    Row {
        method: Method::GET,
        path: "/health/liveliness",
        route: Route::Liveliness,
        access: Access::Open,
        summary: "The process is alive",
    },
    Row {
        method: Method::GET,
        path: "/health/liveness",
        route: Route::Liveliness,
        access: Access::Open,
        summary: "The process is alive",
    },
    Row {
        method: Method::GET,
        path: "/health/readiness",
        route: Route::Readiness,
        access: Access::Open,
        summary: "The process takes requests",
    },
    Row {
        method: Method::GET,
        path: "/metrics",
        route: Route::Metrics,
        access: Access::Caller,
        summary: "Prometheus metrics",
    },
    Row {
        method: Method::GET,
        path: "/openapi.json",
        route: Route::OpenApi,
        access: Access::Open,
        summary: "This description",
    },
    Row {
        method: Method::GET,
        path: "/",
        route: Route::DocsPage,
        access: Access::Open,
        summary: "A page about this gateway",
    },
];

/// Routes whose model name stands in the middle of the path and may hold slashes (`openai/gpt-4o`), which a pattern of
/// segments cannot say: prefix, suffix, route. Their patterns are in [`TABLE`] too.
const MODEL_INSIDE: &[(&str, &str, Route)] = &[
    ("/openai/deployments/", "/chat/completions", Route::ChatCompletions),
    ("/openai/deployments/", "/completions", Route::Completions),
    ("/openai/deployments/", "/embeddings", Route::Embeddings),
    ("/engines/", "/chat/completions", Route::ChatCompletions),
    ("/engines/", "/completions", Route::Completions),
    ("/engines/", "/embeddings", Route::Embeddings),
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
        /// The model in the path, percent-decoded.
        model: Option<String>,
    },
    /// The path is served, but not with this method; these are.
    WrongMethod(Vec<Method>),
    /// Nothing is there.
    Nothing,
}

/// The router, built from [`TABLE`].
#[derive(Debug)]
pub struct Routes {
    paths: Router<Vec<&'static Row>>,
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
            paths.insert(row.path, rows).map_err(|error| format!("{}: {error}", row.path))?;
        }
        Ok(Self { paths })
    }

    /// Where a request leads. `path` is the request's path as it came, without the query.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        if let Ok(matched) = self.paths.at(path) {
            let Some(row) = matched.value.iter().find(|row| row.method == *asked) else {
                return Found::WrongMethod(matched.value.iter().map(|row| row.method.clone()).collect());
            };
            return match matched.params.get("model").map(percent::decode) {
                None => Found::Served { route: row.route, access: row.access, model: None },
                Some(Some(model)) => {
                    Found::Served { route: row.route, access: row.access, model: Some(model) }
                }
                Some(None) => Found::Nothing,
            };
        }
        model_inside(asked, path).unwrap_or_else(|| litellm_route(asked, path))
    }
}

fn model_inside(method: &Method, path: &str) -> Option<Found> {
    let (inside, route) = MODEL_INSIDE.iter().find_map(|(prefix, suffix, route)| {
        Some((path.strip_prefix(prefix)?.strip_suffix(suffix)?, *route))
    })?;
    if inside.is_empty() {
        return Some(Found::Nothing);
    }
    if *method != Method::POST {
        return Some(Found::WrongMethod(vec![Method::POST]));
    }
    let model = percent::decode(inside)?;
    Some(Found::Served { route, access: Access::Caller, model: Some(model) })
}

/// Whether LiteLLM has the route; read only for requests that lead nowhere here.
fn litellm_route(method: &Method, path: &str) -> Found {
    let known =
        LITELLM_ROUTES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    for (pattern, methods) in known {
        if matches_pattern(pattern, path) {
            let methods: Vec<Method> = methods.split(',').filter_map(|method| method.parse().ok()).collect();
            return if methods.contains(method) {
                Found::Served { route: Route::NotImplemented, access: Access::Caller, model: None }
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

    fn served(route: Route, access: Access, model: Option<&str>) -> Found {
        Found::Served { route, access, model: model.map(str::to_owned) }
    }

    #[test]
    fn every_row_leads_to_its_own_route() {
        for row in TABLE {
            let path = row.path.replace("{model}", "m").replace("{*model}", "m");
            let Found::Served { route, access, .. } = Routes::new().unwrap().find(&row.method, &path) else {
                panic!("{path} is not served")
            };
            assert_eq!((route, access), (row.route, row.access), "{path}");
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
        let chat = |model| served(Route::ChatCompletions, Access::Caller, Some(model));
        assert_eq!(find("POST", "/engines/gpt-4o/chat/completions"), chat("gpt-4o"));
        assert_eq!(find("POST", "/engines/openai/gpt-4o/chat/completions"), chat("openai/gpt-4o"));
        assert_eq!(find("POST", "/openai/deployments/a%2Fb/chat/completions"), chat("a/b"));
        assert_eq!(
            find("GET", "/v1/models/openai/gpt-4o"),
            served(Route::Model, Access::Caller, Some("openai/gpt-4o"))
        );
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
        assert_eq!(find("HEAD", "/v1/models"), served(Route::Models, Access::Caller, None));
    }

    #[test]
    fn what_litellm_has_and_this_gateway_has_not_is_said_so() {
        let missing = served(Route::NotImplemented, Access::Caller, None);
        for (method, path) in [("POST", "/key/generate"), ("POST", "/v1/responses"), ("GET", "/v1/files/abc")]
        {
            assert_eq!(find(method, path), missing, "{path}");
        }
        assert!(matches!(find("DELETE", "/key/generate"), Found::WrongMethod(_)));
    }
}
