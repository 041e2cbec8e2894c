//! LiteLLM's groups of routes, which keys are narrowed to by name.
//!
//! Owns the names and which route of the model API is in which; those of the admin API stand in the authorization table.
//! **Invariant:** a route is in a group by what it is, never by the text of a request.

use crate::access::ROUTES;
use std::ops::BitOr;

/// Groups of routes: those that a route is in, or those that are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Groups(u16);

impl BitOr for Groups {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl Groups {
    /// No group.
    pub const NONE: Self = Self(0);
    /// Every group.
    pub const ALL: Self = Self(u16::MAX);
    /// OpenAI's API, and what of the model API is nobody else's.
    pub const OPENAI: Self = Self(1);
    /// Anthropic's Messages.
    pub const ANTHROPIC: Self = Self(1 << 1);
    /// Google's models.
    pub const GOOGLE: Self = Self(1 << 2);
    /// Paths that pass through to a provider.
    pub const PASS_THROUGH: Self = Self(1 << 3);
    /// The model API of other makers, and of the gateway itself.
    pub const NATIVE: Self = Self(1 << 4);
    /// Looking at what is one's own.
    pub const INFO: Self = Self(1 << 5);
    /// Keys.
    pub const KEYS: Self = Self(1 << 6);
    /// Everything else of the admin API.
    pub const ADMIN: Self = Self(1 << 7);
    /// What was spent, by whoever asks.
    pub const SPEND: Self = Self(1 << 8);
    /// What was spent by all.
    pub const GLOBAL_SPEND: Self = Self(1 << 9);
    /// What needs no key.
    pub const PUBLIC: Self = Self(1 << 10);
    /// What only the master key may do.
    pub const MASTER: Self = Self(1 << 11);
    /// Usage that users may look at.
    pub const USAGE: Self = Self(1 << 12);
    /// What administrators of teams and organizations do on their own.
    pub const SELF_MANAGED: Self = Self(1 << 13);

    /// The whole model API.
    pub const LLM_API: Self =
        Self::OPENAI.and(Self::ANTHROPIC).and(Self::GOOGLE).and(Self::PASS_THROUGH).and(Self::NATIVE);
    /// The admin API. In LiteLLM it has users, teams, keys and models alone; here also budgets, customers, tags and so on.
    pub const MANAGEMENT: Self = Self::KEYS.and(Self::ADMIN).and(Self::SELF_MANAGED);

    /// These, and others.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is one in both.
    pub const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of these are among the others.
    pub const fn are_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// What LiteLLM's name of a group stands for; also as `LiteLLMRoutes.{name}`, as configurations write it.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("LiteLLMRoutes.").unwrap_or(name);
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, groups)| *groups)
    }

    /// The groups that a route is in, by its pattern, such as `/v1/responses/{model}`; none where there is no such route.
    pub fn of_route(pattern: &str) -> Self {
        let named = ROUTES.iter().filter(|row| is_same_route(row.path, pattern));
        named.fold(of_model_route(pattern), |groups, row| groups.and(row.groups))
    }
}

const NAMES: &[(&str, Groups)] = &[
    ("openai_routes", Groups::OPENAI),
    ("anthropic_routes", Groups::ANTHROPIC),
    ("google_routes", Groups::GOOGLE),
    ("mapped_pass_through_routes", Groups::PASS_THROUGH),
    ("passthrough_routes_wildcard", Groups::PASS_THROUGH),
    ("litellm_native_routes", Groups::NATIVE),
    ("llm_api_routes", Groups::LLM_API),
    ("info_routes", Groups::INFO),
    ("key_management_routes", Groups::KEYS),
    ("management_routes", Groups::MANAGEMENT),
    ("spend_tracking_routes", Groups::SPEND),
    ("global_spend_tracking_routes", Groups::GLOBAL_SPEND),
    ("public_routes", Groups::PUBLIC),
    ("master_key_only_routes", Groups::MASTER),
    ("internal_user_routes", Groups::SPEND.and(Groups::KEYS).and(Groups::USAGE)),
    ("internal_user_view_only_routes", Groups::SPEND.and(Groups::USAGE)),
    ("self_managed_routes", Groups::SELF_MANAGED),
    ("ui_routes", Groups::INFO.and(Groups::SPEND).and(Groups::GLOBAL_SPEND)),
    // Groups of LiteLLM's that no route here is in.
    ("mcp_routes", Groups::NONE),
    ("agent_routes", Groups::NONE),
    ("apply_guardrail_routes", Groups::NONE),
];

/// Whether two patterns are those of one route: the names of what changes do not count.
pub(crate) fn is_same_route(one: &str, other: &str) -> bool {
    if one == other || !one.contains('{') {
        return one == other;
    }
    let (mut ones, mut others) = (one.split('/'), other.split('/'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || (end(one).is_some() && end(one) == end(other)) => {}
            _ => return false,
        }
    }
}

/// What stands behind what changes in a part of a pattern: `:generateContent` of `{model}:generateContent`.
fn end(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.rsplit_once('}').map(|(_, end)| end)
}

/// What comes before the names of OpenAI's resources.
const ROOTS: &[&str] = &["/v1/", "/openai/v1/", "/openai/deployments/{model}/", "/v2/", "/openai/", "/"];

/// OpenAI's resources, and those that LiteLLM counts among them. What lies below them is among them too.
const OPENAI: &[&str] = &[
    "chat/completions",
    "completions",
    "embeddings",
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "moderations",
    "batches",
    "files",
    "fine_tuning/jobs",
    "models",
    "rerank",
    "realtime",
    "responses",
    "vector_stores",
    "videos",
    "assistants",
    "threads",
];

/// The model API of others and of the gateway.
const NATIVE: &[&str] = &[
    "/v2/chat",
    "/v2/embed",
    "/v1/embed",
    "/route/explain",
    "/v1/capabilities",
    "/utils/supported_openai_params",
];

/// The first parts of paths that pass through.
const PASSING: &[&str] = &[
    "openai",
    "openai_passthrough",
    "anthropic",
    "gemini",
    "vertex_ai",
    "vertex-ai",
    "bedrock",
    "azure",
    "cohere",
    "mistral",
    "vllm",
];

fn of_model_route(pattern: &str) -> Groups {
    let is_below =
        |root: &str| pattern == root || pattern.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    let is_converse = pattern.starts_with("/model/")
        && ["/converse", "/converse-stream"].iter().any(|end| pattern.ends_with(end));
    if is_converse || NATIVE.contains(&pattern) {
        return Groups::NATIVE;
    }
    if matches!(pattern, "/utils/token_counter" | "/utils/transform_request") {
        return Groups::OPENAI;
    }
    if is_below("/v1/messages") {
        return Groups::ANTHROPIC;
    }
    if is_below("/v1beta/models") {
        return Groups::GOOGLE;
    }
    let models = if matches!(pattern, "/models" | "/v1/models") { Groups::INFO } else { Groups::NONE };
    let of_engine = pattern.strip_prefix("/engines/").and_then(|rest| rest.split_once('/'));
    let below = ROOTS.iter().filter_map(|root| pattern.strip_prefix(root));
    let openai = below.chain(of_engine.map(|(_, rest)| rest)).any(|rest| {
        OPENAI
            .iter()
            .any(|name| rest == *name || rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
    });
    if openai {
        return Groups::OPENAI.and(models);
    }
    let first = pattern.trim_start_matches('/').split('/').next().unwrap_or_default();
    if PASSING.contains(&first) { Groups::PASS_THROUGH } else { Groups::NONE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, wants: Groups) {
        assert_eq!(Groups::of_route(pattern), wants, "{pattern}");
    }

    #[test]
    fn routes_of_the_model_api_are_in_litellms_groups() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/openai/deployments/{model}/chat/completions",
            "/engines/{model}/completions",
            "/engines/gpt-4o/chat/completions",
            "/openai/v1/responses/{model}",
            "/v1/responses/{model}/input_items",
            "/rerank",
            "/v2/rerank",
            "/v1/files/{id}/content",
            "/realtime",
            "/utils/token_counter",
        ] {
            check(path, Groups::OPENAI);
        }
        check("/v1/models", Groups::OPENAI | Groups::INFO);
        check("/v1/messages", Groups::ANTHROPIC);
        check("/v1/messages/count_tokens", Groups::ANTHROPIC);
        check("/v1beta/models/{model}:generateContent", Groups::GOOGLE);
        check("/anthropic/{*rest}", Groups::PASS_THROUGH);
        check("/bedrock/{*rest}", Groups::PASS_THROUGH);
        check("/openai_passthrough/{*rest}", Groups::PASS_THROUGH);
        check("/vertex-ai/{*rest}", Groups::PASS_THROUGH);
        check("/v2/chat", Groups::NATIVE);
        check("/model/{model}/converse", Groups::NATIVE);
        check("/model/amazon.nova-pro-v1:0/converse-stream", Groups::NATIVE);
        check("/v1/unknown", Groups::NONE);
        check("/anthropics/{*rest}", Groups::NONE);
        check("/v1/chat/completionsx", Groups::NONE);
    }

    #[test]
    fn routes_of_the_admin_api_are_in_litellms_groups() {
        check("/key/info", Groups::KEYS | Groups::INFO);
        check("/key/{id}/regenerate", Groups::KEYS);
        check("/spend/logs", Groups::SPEND | Groups::KEYS);
        assert!(Groups::of_route("/budget/new").are_within(Groups::MANAGEMENT));
        assert!(Groups::of_route("/user/new").are_within(Groups::MANAGEMENT));
    }

    #[test]
    fn names_are_found_with_and_without_their_class() {
        assert_eq!(Groups::named("llm_api_routes"), Some(Groups::LLM_API));
        assert_eq!(Groups::named("LiteLLMRoutes.public_routes"), Some(Groups::PUBLIC));
        assert_eq!(Groups::named("/llm_api_routes"), None);
        assert!(!Groups::LLM_API.meet(Groups::MANAGEMENT));
    }

    #[test]
    fn names_of_placeholders_do_not_tell_routes_apart() {
        assert!(is_same_route("/key/{key}/regenerate", "/key/{key_id}/regenerate"));
        assert!(!is_same_route("/key/{key}/regenerate", "/key/regenerate"));
        assert!(!is_same_route("/key/{key}", "/key/info"));
        assert!(!is_same_route("/m/{a}:x", "/m/{a}:y"));
    }
}
