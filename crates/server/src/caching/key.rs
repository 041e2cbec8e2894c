//! The key of a request: everything that its answer depends on, and whose it is.
//!
//! Owns which parts of a request do not change its answer; all others are in the key, those that nobody has heard of
//! included. Leaves the hashing to `cache`, the canonical form of a body to `dialect`.
//!
//! **Invariant:** a member that is not in [`NEUTRAL`] is in the key. **Invariant:** what a request demands of deployments
//! is in the key too, and so is every deployment of the group, with what the operator has it send: an answer is only given
//! where those who could have given it are the same.

use super::controls::Controls;
use super::replay;
use crate::auth::Caller;
use crate::pipeline::receive::Received;
use crate::routing::Group;
use crate::surface::Surface;
use crate::target::Target;
use std::fmt::Write as _;
use std::sync::Arc;
use tollgate_cache::{Key, KeyMaker, Scope};
use tollgate_config::{Caching, Sharing};
use tollgate_dialect::json::canonical::write_canonical;

/// Members of a request that do not change its answer: how it is delivered, routed again, waited for, described and told
/// apart. The model's name is in the key by itself, beside its group's.
const NEUTRAL: [&str; 33] = [
    "cache",
    "caching",
    "content_policy_fallbacks",
    "context_window_fallbacks",
    "disable_fallbacks",
    "fallbacks",
    "include_fallback_errors",
    "litellm_call_id",
    "litellm_metadata",
    "litellm_session_id",
    "litellm_trace_id",
    "metadata",
    "mock_testing_content_policy_fallbacks",
    "mock_testing_context_fallbacks",
    "mock_testing_fallbacks",
    "mock_testing_rate_limit_error",
    "model",
    "no-log",
    "num_retries",
    "priority",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "request_timeout",
    "router_settings_override",
    "safety_identifier",
    "store",
    "stream",
    "stream_options",
    "stream_timeout",
    "tags",
    "timeout",
    "user",
];

/// What a request's key is made of.
pub(super) struct Asked<'a> {
    pub(super) surface: Surface,
    pub(super) caller: &'a Caller,
    pub(super) received: &'a Received<'a>,
    pub(super) group: &'a Group,
    pub(super) controls: &'a Controls,
}

/// The key of a request.
pub(super) fn of(maker: &KeyMaker, rules: &Caching, asked: &Asked<'_>) -> Key {
    let Asked { surface, caller, received, group, controls } = asked;
    let namespace = controls.namespace.as_ref().or(rules.namespace.as_ref()).map_or("", String::as_str);
    let mut body = Vec::with_capacity(received.body.len());
    write_canonical(&received.object, is_said, &mut body);
    let demands = demands(received);
    let versions = [&received.anthropic_beta, &received.anthropic_version];
    let [beta, version] = versions.map(|value| value.as_ref().map(|it| it.as_bytes()).unwrap_or_default());
    let deployments = group.fingerprint(fingerprint);
    // One answer for both forms, but where its dialect cannot say it in the other.
    let form: &[u8] = match (replay::crosses(*surface), received.stream) {
        (true, _) => b"any",
        (false, true) => b"stream",
        (false, false) => b"whole",
    };
    let parts: [&[u8]; 10] = [
        namespace.as_bytes(),
        surface.path().as_bytes(),
        group.name().as_bytes(),
        // By which of its names the group was asked for: a reply says it.
        received.model.as_bytes(),
        deployments.as_bytes(),
        demands.as_bytes(),
        beta,
        version,
        form,
        &body,
    ];
    let holder = Holder::of(rules.sharing, caller, received.wish.user.as_deref());
    holder.with_scope(|scope| maker.key(scope, &parts))
}

fn is_said(name: &str) -> bool {
    NEUTRAL.binary_search(&name).is_err()
}

/// What it demands of deployments, beside what its body says: headers may demand it too.
fn demands(received: &Received<'_>) -> String {
    let wish = &received.wish;
    let mut text = format!("{:?}|{:?}", wish.requirements, wish.leaning);
    let mut tags: Vec<&String> = wish.tags.iter().collect();
    tags.sort();
    tags.dedup();
    for tag in tags {
        // Writing to a String cannot fail; the length keeps tags apart.
        let _ = write!(text, "|{}:{tag}", tag.len());
    }
    text
}

/// Everything about a deployment that what it answers may depend on.
fn fingerprint(targets: &[Arc<Target>]) -> String {
    let mut all: Vec<String> = targets
        .iter()
        .map(|target| {
            let Target { id, model, provider, defaults, always_dropped, .. } = target.as_ref();
            let base = target.reply_headers.api_base();
            format!("{id:?}{model:?}{:?}{base:?}{defaults:?}{always_dropped:?}", provider.name)
        })
        .collect();
    all.sort();
    all.concat()
}

/// Whose answers a request may see.
#[derive(Debug, PartialEq)]
struct Holder {
    kind: &'static str,
    id: String,
    /// Within that, an end user's.
    end_user: Option<String>,
}

impl Holder {
    fn of(sharing: Sharing, caller: &Caller, end_user: Option<&str>) -> Self {
        let own = |kind: &'static str, id: &str| Self { kind, id: id.to_owned(), end_user: None };
        let key = || own("key", &caller.owner());
        let Some(holder) = caller.holder() else {
            // The operator's, or, where no key is asked for, everybody's.
            let whose = if sharing == Sharing::Shared { own("shared", "") } else { key() };
            return whose.within(sharing, end_user);
        };
        let parents = &holder.key.parents;
        let organization = holder.organization.as_ref().map(|it| own("organization", &it.id));
        let team = parents
            .team
            .as_deref()
            .or(holder.team.as_ref().map(|team| team.id.as_ref()))
            .map(|id| own("team", id));
        let user = parents.user.as_deref().map(|id| own("user", id));
        let whose = match sharing {
            Sharing::Shared => own("shared", ""),
            Sharing::Organization => organization.or(team).or(user).unwrap_or_else(key),
            Sharing::Team | Sharing::EndUser => team.or(user).unwrap_or_else(key),
            Sharing::User => user.unwrap_or_else(key),
            Sharing::Key => key(),
        };
        whose.within(sharing, end_user)
    }

    fn within(self, sharing: Sharing, end_user: Option<&str>) -> Self {
        let end_user = end_user.filter(|_| sharing == Sharing::EndUser).map(str::to_owned);
        Self { end_user, ..self }
    }

    fn with_scope<T>(&self, make: impl FnOnce(Scope<'_>) -> T) -> T {
        match (self.kind, &self.end_user) {
            ("shared", None) => make(Scope::Shared),
            (kind, None) => make(Scope::Own { kind, id: &self.id }),
            (kind, Some(end_user)) => {
                let id = format!("{}:{kind}{}:{}{end_user}", kind.len(), self.id.len(), self.id);
                make(Scope::Own { kind: "end_user", id: &id })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_members_are_sorted_and_told_from_all_others() {
        assert!(NEUTRAL.is_sorted());
        for name in ["model", "stream", "metadata", "user"] {
            assert!(!is_said(name), "{name}");
        }
        for name in ["messages", "temperature", "seed", "n", "tools", "never_heard_of", "", "Model"] {
            assert!(is_said(name), "{name}");
        }
    }
}
