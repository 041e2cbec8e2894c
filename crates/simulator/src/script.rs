//! Which request gets which behaviour.
//!
//! Owns: [`Script`], its rules and their counters, and [`ScriptHandle`], through which a running simulator is changed.
//! Leaves to others: what a behaviour does, and the spelling of one in a model's name (`names`).
//!
//! **Invariant:** the first rule that matches and has requests left decides; without one the model's name does.

use crate::behaviour::Behaviour;
use crate::bench::Bench;
use crate::clouds::Clouds;
use crate::entra::EntraClient;
use crate::names::{self, SpellingError, Spelt};
use crate::surface::Surface;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names whose `times` are counted at once; a name beyond them is not counted and gets its behaviour each time.
const COUNTED_NAMES_MAX: usize = 10_000;

/// How many requests are kept for inspection unless the script says otherwise.
const KEPT_DEFAULT: usize = 10_000;

/// Rules in order, and what holds for all requests.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) rules: Vec<Rule>,
    pub(crate) seed: u64,
    pub(crate) keys: Option<Vec<String>>,
    pub(crate) models: Vec<String>,
    pub(crate) kept: usize,
    pub(crate) entra: Option<EntraClient>,
    pub(crate) clouds: Clouds,
    pub(crate) bench: Option<Bench>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            rules: Vec::new(),
            seed: 0,
            keys: None,
            models: ["sim-fast", "sim-tools", "sim-reason", "sim-slow-500ms", "sim-error-429"]
                .map(str::to_owned)
                .to_vec(),
            kept: KEPT_DEFAULT,
            entra: None,
            clouds: Clouds::default(),
            bench: None,
        }
    }
}

impl Script {
    /// A script without rules: every model answers, and names spell behaviours.
    #[must_use]
    pub fn new() -> Script {
        Script::default()
    }

    /// Sets how long what the simulated clouds give out is good for.
    #[must_use]
    pub fn clouds(mut self, clouds: Clouds) -> Script {
        self.clouds = clouds;
        self
    }

    /// Canned replies without validation or records, at the least cost.
    #[must_use]
    pub fn bench(bench: Bench) -> Script {
        Script { bench: Some(bench), kept: 0, ..Script::default() }
    }

    /// Adds a rule after those that there are.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Script {
        self.rules.push(rule);
        self
    }

    /// The seed of ids and jitter.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Script {
        self.seed = seed;
        self
    }

    /// Accepts these credentials alone. Without this, any is good that does not contain `invalid`.
    #[must_use]
    pub fn keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Script {
        self.keys = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// The models that `/v1/models` lists. Others answer all the same.
    #[must_use]
    pub fn models<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Script {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// How many requests are kept for inspection, the newest first to stay (default 10,000).
    #[must_use]
    pub fn keep(mut self, requests: usize) -> Script {
        self.kept = requests;
        self
    }

    /// The client that the Entra token endpoint knows. With it, Azure takes bearer tokens of this endpoint alone.
    #[must_use]
    pub fn entra(mut self, client: EntraClient) -> Script {
        self.entra = Some(client);
        self
    }
}

/// One rule: which requests, how many of them, what they get.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// The model, with `*` for any run of characters. `None`: any.
    pub model: Option<String>,
    /// The deployment: the name in the base path `/d/<name>/...`, or the credential. `None`: any.
    pub deployment: Option<String>,
    /// The surface. `None`: any.
    pub surface: Option<Surface>,
    /// Only the first so many matching requests. `None`: all.
    pub times: Option<u64>,
    /// Only this share of the matching requests, 0 to 1, drawn from the script's seed. `None`: all.
    pub share: Option<f64>,
    /// What they get.
    pub behaviour: Behaviour,
}

impl Rule {
    /// A rule for every request.
    #[must_use]
    pub fn any(behaviour: Behaviour) -> Rule {
        Rule { behaviour, ..Rule::default() }
    }

    /// A rule for a model, with `*` for any run of characters.
    #[must_use]
    pub fn model(model: impl Into<String>, behaviour: Behaviour) -> Rule {
        Rule { model: Some(model.into()), behaviour, ..Rule::default() }
    }

    /// A rule for a deployment: the name in the base path `/d/<name>/...`, or the credential.
    #[must_use]
    pub fn deployment(deployment: impl Into<String>, behaviour: Behaviour) -> Rule {
        Rule { deployment: Some(deployment.into()), behaviour, ..Rule::default() }
    }

    /// Narrows the rule to a surface.
    #[must_use]
    pub fn on(mut self, surface: Surface) -> Rule {
        self.surface = Some(surface);
        self
    }

    /// Narrows the rule to the first so many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Rule {
        self.times = Some(times);
        self
    }

    /// Narrows the rule to this share of the requests, 0 to 1, drawn from the script's seed.
    #[must_use]
    pub fn share(mut self, share: f64) -> Rule {
        self.share = Some(share);
        self
    }

    /// Whether this request is among the rule's share.
    fn draws(&self, seed: u64) -> bool {
        self.share.is_none_or(|share| fastrand::Rng::with_seed(seed).f64() < share)
    }

    fn matches(&self, facts: &Facts<'_>) -> bool {
        let model = self.model.as_deref().is_none_or(|pattern| glob(pattern, facts.model));
        let deployment = self.deployment.as_deref();
        let by_deployment =
            deployment.is_none_or(|name| facts.deployment == Some(name) || facts.credential == Some(name));
        model && by_deployment && self.surface.is_none_or(|surface| surface == facts.surface)
    }
}

/// What a rule may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) surface: Surface,
    pub(crate) model: &'a str,
    pub(crate) deployment: Option<&'a str>,
    pub(crate) credential: Option<&'a str>,
}

/// Whether `text` is of the form of `pattern`, in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let mut rest = rest;
    let mut tail = None;
    for piece in pieces {
        if let Some(between) = tail.replace(piece) {
            let Some(at) = rest.find(between) else { return false };
            rest = rest.get(at + between.len()..).unwrap_or_default();
        }
    }
    tail.map_or(rest.is_empty(), |tail| rest.ends_with(tail))
}

#[derive(Debug, Default)]
struct State {
    script: Script,
    /// How often each rule was used, by position.
    used: Vec<u64>,
    /// How often each spelt name with a number of times was used.
    names: HashMap<String, u64>,
    /// Requests so far, which numbers ids and draws.
    requests: u64,
}

/// A running simulator's script: may be read and changed from any thread, from the next request on.
#[derive(Debug, Clone, Default)]
pub struct ScriptHandle {
    state: Arc<Mutex<State>>,
}

impl ScriptHandle {
    pub(crate) fn new(script: Script) -> ScriptHandle {
        let handle = ScriptHandle::default();
        handle.replace(script);
        handle
    }

    /// Replaces the whole script; all counters start anew.
    pub fn replace(&self, script: Script) {
        let used = vec![0; script.rules.len()];
        *self.lock() = State { script, used, ..State::default() };
    }

    /// Adds a rule after the others.
    pub fn push(&self, rule: Rule) {
        let mut state = self.lock();
        state.script.rules.push(rule);
        state.used.push(0);
    }

    /// Adds a rule before the others.
    pub fn push_first(&self, rule: Rule) {
        let mut state = self.lock();
        state.script.rules.insert(0, rule);
        state.used.insert(0, 0);
    }

    /// Takes all rules away; model names spell behaviours still.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.script.rules.clear();
        state.used.clear();
        state.names.clear();
    }

    /// Replaces the rules and nothing else; their counters start anew.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        let mut state = self.lock();
        state.used = vec![0; rules.len()];
        state.script.rules = rules;
    }

    /// Sets how long what the simulated clouds give out is good for.
    pub fn set_clouds(&self, clouds: Clouds) {
        self.lock().script.clouds = clouds;
    }

    /// How often each rule was used, in their order.
    #[must_use]
    pub fn used(&self) -> Vec<u64> {
        self.lock().used.clone()
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Script) -> T) -> T {
        read(&self.lock().script)
    }

    /// Decides on a request and counts it: the behaviour, and a seed for what is drawn for this request.
    pub(crate) fn decide(&self, facts: &Facts<'_>) -> Result<(Behaviour, u64), SpellingError> {
        let mut state = self.lock();
        state.requests += 1;
        let seed = state.script.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(state.requests);
        let State { script, used, names, .. } = &mut *state;
        for (rule, used) in script.rules.iter().zip(used) {
            let is_left = rule.times.is_none_or(|times| *used < times);
            if rule.matches(facts) && is_left && rule.draws(seed) {
                *used += 1;
                return Ok((rule.behaviour.clone(), seed));
            }
        }
        Ok((by_name(names, facts.model)?, seed))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves counters that are still good to read.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_name(names: &mut HashMap<String, u64>, model: &str) -> Result<Behaviour, SpellingError> {
    let Spelt { behaviour, times } = names::read_model_name(model)?;
    let Some(times) = times else { return Ok(behaviour) };
    if names.len() >= COUNTED_NAMES_MAX && !names.contains_key(model) {
        return Ok(behaviour);
    }
    let used = names.entry(model.to_owned()).or_default();
    *used += 1;
    Ok(if *used <= times { behaviour } else { Behaviour::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn facts(model: &str) -> Facts<'_> {
        Facts { surface: Surface::OpenAi, model, deployment: None, credential: Some("sk-1") }
    }

    fn failing(code: u16) -> Behaviour {
        Behaviour::new().fault(Fault::status(code))
    }

    fn decided(handle: &ScriptHandle, facts: &Facts<'_>) -> Behaviour {
        handle.decide(facts).unwrap().0
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, expect) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-*", "gpt-4o", true),
            ("gpt-*", "gpt-", true),
            ("*", "", true),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "mini", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), expect, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_rule_with_requests_left_decides() {
        let script = Script::new()
            .rule(Rule::model("gpt-*", failing(500)).times(2))
            .rule(Rule::any(failing(429)).times(1));
        let handle = ScriptHandle::new(script);
        let seen: Vec<_> = (0..4).map(|_| decided(&handle, &facts("gpt-4o"))).collect();
        assert_eq!(seen, [failing(500), failing(500), failing(429), Behaviour::new()]);
        assert_eq!(handle.used(), [2, 1]);
    }

    #[test]
    fn a_rule_may_hold_for_a_share_of_the_requests_which_the_seed_draws() {
        let seen = |seed| -> Vec<bool> {
            let script = Script::new().seed(seed).rule(Rule::any(failing(500)).share(0.3));
            let handle = ScriptHandle::new(script);
            (0..1_000).map(|_| decided(&handle, &facts("m")) == failing(500)).collect()
        };
        let failed = seen(7).iter().filter(|failed| **failed).count();
        assert!((250..350).contains(&failed), "{failed}");
        assert_eq!(seen(7), seen(7));
        assert_ne!(seen(7), seen(8));
    }

    #[test]
    fn a_rule_may_name_a_deployment_by_key_or_base_path_and_a_surface() {
        let handle = ScriptHandle::new(
            Script::new()
                .rule(Rule::deployment("sk-1", failing(401)))
                .rule(Rule::deployment("west", failing(503)))
                .rule(Rule::any(failing(529)).on(Surface::Anthropic)),
        );
        let here = facts("m");
        let west = Facts { deployment: Some("west"), credential: Some("sk-2"), ..here };
        let claude = Facts { surface: Surface::Anthropic, credential: None, ..here };
        let other = Facts { credential: None, ..here };
        let seen = [here, west, claude, other].map(|facts| decided(&handle, &facts));
        assert_eq!(seen, [failing(401), failing(503), failing(529), Behaviour::new()]);
    }

    #[test]
    fn a_running_script_can_be_changed() {
        let handle = ScriptHandle::new(Script::new());
        handle.push(Rule::any(failing(500)));
        handle.push_first(Rule::any(failing(429)).times(1));
        let model = facts("m");
        assert_eq!([0, 1].map(|_| decided(&handle, &model)), [failing(429), failing(500)]);
        handle.clear();
        assert_eq!(decided(&handle, &model), Behaviour::new());
        handle.set_rules(vec![Rule::any(failing(502))]);
        assert_eq!(decided(&handle, &model), failing(502));
    }

    #[test]
    fn a_spelt_name_with_a_number_of_times_recovers() {
        let handle = ScriptHandle::new(Script::new());
        let model = facts("sim-error-503+times-2");
        let seen = [0, 1, 2].map(|_| decided(&handle, &model));
        assert_eq!(seen, [failing(503), failing(503), Behaviour::new()]);
    }

    #[test]
    fn draws_depend_on_the_seed_and_the_request_number_alone() {
        let seeds = |seed| {
            let handle = ScriptHandle::new(Script::new().seed(seed));
            [0, 1].map(|_| handle.decide(&facts("m")).unwrap().1)
        };
        assert_eq!(seeds(7), seeds(7));
        assert_ne!(seeds(7), seeds(8));
    }
}
