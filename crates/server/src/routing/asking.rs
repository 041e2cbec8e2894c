//! What a request asks of the deployments, gathered once for the group whose turn it is.
//!
//! Owns the estimates (tokens), what identifies a session, and the data policy that the operator ties to tags. Leaves
//! the choice to `policy`. **Invariant:** a data policy holds in every group of the chain: what it says only grows.

use super::group::Group;
use super::memory::Memory;
use crate::pipeline::walk::Errand;
use std::hash::{DefaultHasher, Hash, Hasher};
use tollgate_dialect::json::Value;
use tollgate_policy::ask::{Ask, Leaning, OUTPUT_TOKENS_EXPECTED, Requirements};

/// Bytes of a body per token: OpenAI's rule of thumb for English.
const BYTES_PER_TOKEN: u64 = 4;
/// The members by which the dialects limit an answer's length, at the top of the body.
const MAXIMA: [&str; 4] = ["max_completion_tokens", "max_tokens", "max_output_tokens", "max_gen_len"];

/// What a request asks.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    prompt_tokens: u64,
    is_counted: bool,
    output_tokens: Option<u64>,
    is_stream: bool,
    tags: Vec<String>,
    patterns: Option<Vec<String>>,
    requirements: Requirements,
    sticky_key: Option<u64>,
    affinity: Option<String>,
    memory: Memory,
    leaning: Leaning,
    weights: Vec<(String, f64)>,
}

impl Asking {
    /// Gathers it for the first group.
    pub(crate) async fn of(errand: Errand<'_>, group: &Group) -> Self {
        let received = errand.received;
        let wish = &received.wish;
        let maximum =
            MAXIMA.iter().find_map(|name| received.object.get(name).as_ref().and_then(Value::as_u64));
        let mut asking = Self {
            prompt_tokens: (received.body.len() as u64).div_ceil(BYTES_PER_TOKEN),
            is_counted: false,
            output_tokens: maximum,
            is_stream: received.stream,
            tags: errand.snapshot.routing_tags(&wish.tags),
            patterns: None,
            requirements: errand.snapshot.requirements(wish),
            sticky_key: None,
            affinity: None,
            memory: Memory::default(),
            leaning: wish.leaning,
            weights: wish.weights.clone(),
        };
        asking.turn_to(errand, group);
        asking.count(errand, group).await;
        asking
    }

    /// Gathers what depends on the group.
    pub(crate) fn turn_to(&mut self, errand: Errand<'_>, group: &Group) {
        let received = errand.received;
        let held = received.holder.clone();
        self.patterns = group.matched_patterns(received.headers);
        let known = received.wish.session.as_deref().or(received.wish.user.as_deref());
        self.sticky_key = known.map(stable_hash).or_else(|| errand.call.caller.key_hash());
        self.memory = Memory::of(errand, group);
        self.affinity = held.or_else(|| self.memory.holder(group));
    }

    /// Counts the prompt, where a group's deployments are held against it and one of them could be too small for it.
    async fn count(&mut self, errand: Errand<'_>, group: &Group) {
        if !errand.snapshot.counts_prompts() {
            return;
        }
        let smallest = errand.snapshot.smallest_window();
        // A token has a byte at least.
        if smallest.is_none_or(|smallest| errand.received.body.len() as u64 <= smallest) {
            self.is_counted = true;
            return;
        }
        let surface = errand.call.surface;
        if !surface.is_conversation() {
            return;
        }
        if let Ok(conversation) = errand.received.conversation(surface) {
            let model = group.targets().first().map(|target| target.model.as_str()).unwrap_or_default();
            self.prompt_tokens = Box::pin(crate::counting::count_here(conversation, model)).await;
            self.is_counted = true;
        }
    }

    /// A deployment has answered: it holds what the request will be known by.
    pub(crate) fn hold(&self, group: &Group, deployment: &str) {
        self.memory.hold(group, deployment);
    }

    /// As the policy takes it.
    pub(crate) fn ask(&self, is_retry: bool) -> Ask<'_> {
        Ask {
            prompt_tokens: self.prompt_tokens,
            is_counted: self.is_counted,
            output_tokens: self.output_tokens,
            is_stream: self.is_stream,
            is_retry,
            tags: &self.tags,
            patterns: self.patterns.as_deref(),
            requirements: &self.requirements,
            sticky_key: self.sticky_key,
            affinity: self.affinity.as_deref(),
            leaning: self.leaning,
            weights: &self.weights,
        }
    }

    /// The deployment that holds what the request continues, where one does.
    pub(crate) fn affinity(&self) -> Option<&str> {
        self.affinity.as_deref()
    }

    /// What is reserved of a deployment's tokens per minute.
    pub(crate) fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.output_tokens.unwrap_or(OUTPUT_TOKENS_EXPECTED))
    }

    /// Tokens of the prompt, counted or estimated.
    pub(crate) fn prompt_tokens(&self) -> u64 {
        self.prompt_tokens
    }
}

/// The same for the same text in every process and on every machine.
pub(crate) fn stable_hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
