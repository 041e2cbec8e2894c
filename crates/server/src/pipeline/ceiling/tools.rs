//! Tools that the provider runs itself: what it may read of their results, and how often it may search.
//!
//! Owns telling them from tools that the caller runs. Leaves their fees to the catalogue. **Invariant:** a tool of a kind
//! that is not known is taken for one that the provider runs.

use super::Words;
use tollgate_catalog::SearchContextSize;
use tollgate_dialect::json::{Kind, Object, Value};

/// Searches of one request that says nothing of their number.
pub(super) const SEARCHES_DEFAULT: u64 = 10;

/// What a request's tools come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tools {
    /// The provider runs some of them, and puts into the prompt what comes of it.
    pub(super) run_at_provider: bool,
    /// Most searches on the web.
    pub(super) searches: u64,
    /// Most queries to maps.
    pub(super) map_queries: u64,
    /// Most searches in the caller's files.
    pub(super) file_searches: u64,
    /// Most sessions in which code is run.
    pub(super) code_sessions: u64,
    /// How much a search may bring in, where all that is said of it is one size.
    pub(super) search_context_size: Option<SearchContextSize>,
}

/// Who runs a tool.
#[derive(Clone, Copy)]
enum Runner {
    Caller,
    Provider,
    /// The provider, which may search the web so often, where that is said.
    Search(Option<u64>),
    /// The provider: maps.
    Maps,
    /// The provider: the caller's files.
    Files,
    /// The provider: a container for code.
    Code,
}

impl Tools {
    pub(super) fn of(words: &Words<'_>) -> Self {
        let mut tools = Self::default();
        if let Some(options) = words.get("web_search_options") {
            let size = options.as_object().and_then(|options| size_of(&options));
            tools.add(Runner::Search(None), size);
        }
        if words.get("search_parameters").is_some() || words.get("enable_search").is_some() {
            tools.add(Runner::Search(None), None);
        }
        let listed = words.get("tools");
        let configured = words.get_in(&["toolConfig"], &["tools"]);
        for item in listed.iter().chain(&configured).flat_map(Value::array_items) {
            // A tool that names a member twice may be read as any.
            let Some(tool) = item.as_object() else {
                tools.add(Runner::Search(None), None);
                continue;
            };
            tools.add(runner(&tool), size_of(&tool));
            // One of Google's tools may be several.
            if has_any(&tool, &["googleMaps", "google_maps"]) {
                tools.add(Runner::Maps, None);
            }
        }
        // OpenAI's limit on all calls of the provider's tools together.
        if let Some(most) = words.get("max_tool_calls").and_then(|most| most.as_u64()) {
            tools.searches = tools.searches.min(most);
            tools.file_searches = tools.file_searches.min(most);
        }
        tools
    }

    fn add(&mut self, runner: Runner, size: Option<SearchContextSize>) {
        self.run_at_provider |= !matches!(runner, Runner::Caller);
        match runner {
            Runner::Caller | Runner::Provider => {}
            Runner::Maps => self.map_queries = SEARCHES_DEFAULT,
            Runner::Files => self.file_searches = SEARCHES_DEFAULT,
            Runner::Code => self.code_sessions = 1,
            Runner::Search(most) => {
                let is_first = self.searches == 0;
                self.search_context_size =
                    size.filter(|size| is_first || self.search_context_size == Some(*size));
                self.searches = self.searches.saturating_add(most.unwrap_or(SEARCHES_DEFAULT));
            }
        }
    }
}

fn runner(tool: &Object<'_>) -> Runner {
    let has = |names: &[&str]| has_any(tool, names);
    let Some(kind) = tool.get("type").and_then(|kind| kind.as_str()) else {
        let searches = ["googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval"];
        return match () {
            () if has(&searches) => Runner::Search(None),
            () if has(&[
                "functionDeclarations",
                "function_declarations",
                "toolSpec",
                "cachePoint",
                "input_schema",
            ]) =>
            {
                let others = [
                    "urlContext",
                    "url_context",
                    "codeExecution",
                    "code_execution",
                    "fileSearch",
                    "file_search",
                ];
                if has(&others) { Runner::Provider } else { Runner::Caller }
            }
            () => Runner::Provider,
        };
    };
    const OF_CALLERS: [&str; 13] = [
        "function",
        "custom",
        "bash_",
        "text_editor_",
        "computer_",
        "memory_",
        "computer",
        "local_shell",
        "shell",
        "apply_patch",
        "tool_search",
        "tool_search_tool_",
        "namespace",
    ];
    let is_of = |name: &&str| if name.ends_with('_') { kind.starts_with(*name) } else { kind == **name };
    match () {
        () if kind.contains("search")
            && !kind.contains("file_search")
            && !kind.starts_with("tool_search") =>
        {
            Runner::Search(tool.get("max_uses").and_then(|most| most.as_u64()))
        }
        () if kind == "file_search" => Runner::Files,
        () if kind == "code_interpreter" || kind.starts_with("code_execution") => Runner::Code,
        () if OF_CALLERS.iter().any(is_of) => Runner::Caller,
        () => Runner::Provider,
    }
}

fn has_any(tool: &Object<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| tool.get(name).is_some_and(|value| !value.is_null()))
}

fn size_of(object: &Object<'_>) -> Option<SearchContextSize> {
    let size = object.get("search_context_size").filter(|size| size.kind() == Kind::String)?;
    match &*size.as_str()? {
        "low" => Some(SearchContextSize::Low),
        "medium" => Some(SearchContextSize::Medium),
        "high" => Some(SearchContextSize::High),
        _ => None,
    }
}
