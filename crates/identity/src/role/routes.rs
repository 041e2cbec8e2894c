//! `allowed_routes`: what a key is narrowed to, by groups, paths and patterns.
//!
//! **Invariant:** such a list only ever narrows: what a caller may do is decided by who it is, and this takes away from it.
//! An entry that means nothing allows nothing.

use super::groups::{Groups, is_same_route};

/// A route that is called.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Its pattern in the table of routes: `/v1/responses/{model}`.
    pub pattern: &'a str,
    /// The path that was asked for.
    pub path: &'a str,
    /// The groups that it is in ([`Groups::of_route`], once for each row).
    pub groups: Groups,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// All of some groups.
    Groups(Groups),
    /// One route.
    Route(Box<str>),
    /// Whatever begins so: what stands before the star, or a path that is no route of its own, with its slash.
    Below(Box<str>),
}

/// A list of routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    names: Box<[Box<str>]>,
    entries: Box<[Entry]>,
}

impl Routes {
    /// The routes of these names. No names are all routes.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Box<[Box<str>]> = names.into_iter().map(Into::into).collect();
        let entries = names.iter().flat_map(|name| entries(name)).collect();
        Self { names, entries }
    }

    /// The names as they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Whether it says nothing.
    pub fn is_unlimited(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a route may be called.
    pub fn allow(&self, call: &Call<'_>) -> bool {
        self.is_unlimited() || self.entries.iter().any(|entry| entry.allows(call))
    }

    /// Whether a list that takes routes away takes this one. What a path means that does not read the same to everybody is
    /// not guessed at: the list has it where it could.
    pub fn take(&self, call: &Call<'_>) -> bool {
        self.entries.iter().any(|entry| entry.allows(call) || entry.could_mean(call))
    }

    /// Whether everything that this list allows, `other` allows too. A list that says nothing is within any: what holds
    /// for it has to be held against the other one when it is used.
    pub fn are_within(&self, other: &Routes) -> bool {
        other.is_unlimited() || self.entries.iter().all(|entry| entry.is_within(&other.entries))
    }
}

/// A path that is no route of its own stands for itself and for what is below it, as in LiteLLM. There a route does so
/// too; here `/spend/logs` is not `/spend/logs/v2`.
fn entries(name: &str) -> Vec<Entry> {
    if let Some(groups) = Groups::named(name) {
        return vec![Entry::Groups(groups)];
    }
    if let Some((before, after)) = name.split_once('*') {
        // Stars elsewhere than at the end are of no pattern that LiteLLM knows.
        return if after.is_empty() { vec![Entry::Below(before.into())] } else { Vec::new() };
    }
    let route = Entry::Route(name.into());
    if Groups::of_route(name).are_within(Groups::PASS_THROUGH) && name.starts_with('/') && name.len() > 1 {
        return vec![route, Entry::Below(format!("{}/", name.trim_end_matches('/')).into())];
    }
    vec![route]
}

impl Entry {
    fn allows(&self, call: &Call<'_>) -> bool {
        match self {
            Self::Groups(groups) => groups.meet(call.groups),
            Self::Route(route) => {
                is_same_route(route, call.pattern) || (is_plain(call.path) && **route == *call.path)
            }
            Self::Below(start) => is_plain(call.path) && call.path.starts_with(&**start),
        }
    }

    /// Whether an odd path could be what an entry means: as far as the route's pattern is fixed, they agree.
    fn could_mean(&self, call: &Call<'_>) -> bool {
        let fixed = call.pattern.split('{').next().filter(|_| call.pattern != call.path);
        match self {
            Self::Groups(_) => false,
            Self::Route(text) | Self::Below(text) => {
                !is_plain(call.path) && text.starts_with(fixed.unwrap_or_default())
            }
        }
    }

    fn is_within(&self, others: &[Entry]) -> bool {
        let all = || {
            others.iter().fold(Groups::NONE, |all, other| match other {
                Self::Groups(groups) => all.and(*groups),
                Self::Route(_) | Self::Below(_) => all,
            })
        };
        let is_below = |start: &str| {
            others.iter().any(|other| matches!(other, Self::Below(other) if start.starts_with(&**other)))
        };
        match self {
            Self::Groups(groups) => groups.are_within(all()) || is_below("/"),
            Self::Route(route) => {
                let same = |other: &Entry| matches!(other, Self::Route(other) if is_same_route(other, route));
                is_below(route) || others.iter().any(same) || all().meet(Groups::of_route(route))
            }
            Self::Below(start) => {
                is_below(start) || needed_below(start).is_some_and(|groups| groups.are_within(all()))
            }
        }
    }
}

/// The groups that are enough for all that begins so; none where no groups are.
fn needed_below(start: &str) -> Option<Groups> {
    let passes = Groups::of_route(start) == Groups::PASS_THROUGH;
    // OpenAI's own resources lie there too.
    let more = if start.starts_with("/openai") { Groups::OPENAI } else { Groups::NONE };
    passes.then_some(Groups::PASS_THROUGH.and(more))
}

/// Whether a path reads the same to everybody: nothing in it is escaped, and no part goes up or is empty.
fn is_plain(path: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.:".contains(&byte);
    path.bytes().all(is_safe)
        && !path.contains("//")
        && !path.split('/').any(|part| part == ".." || part == ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(pattern: &'a str, path: &'a str) -> Call<'a> {
        Call { pattern, path, groups: Groups::of_route(pattern) }
    }

    fn check(list: &[&str], pattern: &str, path: &str, is_allowed: bool) {
        let routes = Routes::new(list.iter().copied());
        assert_eq!(routes.allow(&call(pattern, path)), is_allowed, "{list:?} {path}");
    }

    #[test]
    fn a_list_allows_groups_routes_and_what_lies_below() {
        check(&[], "/key/generate", "/key/generate", true);
        check(&["llm_api_routes"], "/v1/messages", "/v1/messages", true);
        check(&["llm_api_routes"], "/key/generate", "/key/generate", false);
        check(&["openai_routes"], "/v1/messages", "/v1/messages", false);
        check(&["/chat/completions"], "/chat/completions", "/chat/completions", true);
        check(&["/chat/completions"], "/v1/chat/completions", "/v1/chat/completions", false);
        check(&["/key/{key_id}/regenerate"], "/key/{key}/regenerate", "/key/abc/regenerate", true);
        check(&["/key/*"], "/key/info", "/key/info", true);
        check(&["/key/*"], "/keys", "/keys", false);
        check(&["/*"], "/key/info", "/key/info", true);
        check(&["*"], "/key/info", "/key/info", true);
        check(&["/anthropic/*"], "/anthropic/{*rest}", "/anthropic/v1/messages", true);
        check(&["/anthropic"], "/anthropic/{*rest}", "/anthropic/v1/messages", true);
        check(&["/anthropic"], "/anthropics/{*rest}", "/anthropics/v1", false);
        check(&["/anthropic/v1/messages"], "/anthropic/{*rest}", "/anthropic/v1/messages", true);
        check(&["/anthropic/v1/messages"], "/anthropic/{*rest}", "/anthropic/v1/models", false);
        check(&["/v1/models"], "/v1/models/{*model}", "/v1/models/gpt-4o", false);
    }

    #[test]
    fn an_entry_that_means_nothing_allows_nothing() {
        for list in [&["nonsense"][..], &["/a*b"], &[""], &["mcp_routes"], &["LLM_API_ROUTES"], &["{x}"]] {
            check(list, "/v1/chat/completions", "/v1/chat/completions", false);
            check(list, "/key/info", "/key/info", false);
        }
    }

    #[test]
    fn an_odd_path_is_held_against_its_route_alone() {
        for path in ["/anthropic/../key/info", "/anthropic//v1", "/anthropic/%2e%2e/x", "/anthropic/a;b"] {
            check(&["/anthropic/*"], "/anthropic/{*rest}", path, false);
            check(&["llm_api_routes"], "/anthropic/{*rest}", path, true);
        }
    }

    #[test]
    fn a_list_that_takes_away_takes_odd_paths_too() {
        let check = |list: &[&str], pattern: &str, path: &str, is_taken: bool| {
            let routes = Routes::new(list.iter().copied());
            assert_eq!(routes.take(&call(pattern, path)), is_taken, "{list:?} {path}");
        };
        check(&[], "/key/info", "/key/info", false);
        check(&["/key/*"], "/key/info", "/key/info", true);
        check(&["/key/*"], "/team/info", "/team/info", false);
        check(&["key_management_routes"], "/key/{key}/regenerate", "/key/%61/regenerate", true);
        check(&["/key/*"], "/key/{key}/regenerate", "/key/%61/regenerate", true);
        check(&["/key/a/*"], "/key/{key}/regenerate", "/key/%61/regenerate", true);
        check(&["/key/a/regenerate"], "/key/{key}/regenerate", "/key/%61/regenerate", true);
        check(&["/team/*"], "/key/{key}/regenerate", "/key/%61/regenerate", false);
        check(&["/anthropic/v1/batches"], "/anthropic/v1/%62atches", "/anthropic/v1/%62atches", true);
    }

    #[test]
    fn a_childs_list_lies_within_its_parents() {
        let within = |child: &[&str], parent: &[&str]| {
            Routes::new(child.iter().copied()).are_within(&Routes::new(parent.iter().copied()))
        };
        assert!(within(&["/*"], &[]));
        assert!(within(&["openai_routes"], &["llm_api_routes"]));
        assert!(!within(&["llm_api_routes"], &["openai_routes"]));
        assert!(within(
            &["llm_api_routes"],
            &[
                "openai_routes",
                "anthropic_routes",
                "google_routes",
                "mapped_pass_through_routes",
                "litellm_native_routes"
            ]
        ));
        assert!(within(&["/v1/chat/completions"], &["openai_routes"]));
        assert!(!within(&["/v1/messages"], &["openai_routes"]));
        assert!(!within(&["/key/generate"], &["llm_api_routes"]));
        assert!(!within(&["/*"], &["llm_api_routes"]));
        assert!(!within(&["*"], &["management_routes"]));
        assert!(within(&["/key/info"], &["/key/*"]));
        assert!(within(&["/key/i*"], &["/key/*"]));
        assert!(!within(&["/k*"], &["/key/*"]));
        assert!(!within(&["/v1"], &["openai_routes"]));
        assert!(within(&["/anthropic/v1"], &["/anthropic"]));
        assert!(within(&["/anthropic/*"], &["mapped_pass_through_routes"]));
        assert!(within(&["/anthropic"], &["llm_api_routes"]));
        assert!(!within(&["/openai"], &["mapped_pass_through_routes"]));
        assert!(within(&["/openai"], &["llm_api_routes"]));
        assert!(within(&["info_routes"], &["/*"]));
        assert!(within(&["nonsense", "/a*b"], &["nonsense"]));
        assert!(!within(&["nonsense"], &["info_routes"]));
    }
}
