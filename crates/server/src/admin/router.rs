//! `/router/*` and `/fallback`: how a deployment is chosen, and which models follow one.

use super::config::{default_of, type_word};
use super::settings::{Edit, Source, change, in_full, shown, shown_one};
use super::{Desk, Outcome, Problem, Served, asks, looks};
use serde_json::{Map, Value, json};
use tollgate_config::{Key, Kind, Router, State, keys_of};
use tollgate_identity::form::{BadForm, setting as form};

/// The routes of routing.
pub(super) const ROUTES: &[Served] = &[
    looks("GET", "/router/settings", settings, "How deployments are chosen, with what each setting does"),
    looks("GET", "/router/fields", fields, "What each setting of routing does"),
    asks("POST", "/fallback", |desk| Box::pin(set_fallback(desk)), "Say which models follow one"),
    looks("GET", "/fallback/{model}", fallback, "The models that follow one"),
    asks("DELETE", "/fallback/{model}", |desk| Box::pin(delete_fallback(desk)), "Let no models follow one"),
];

const ROUTER: &str = "router_settings";
const LITELLM: &str = "litellm_settings";

/// The settings that LiteLLM's page of routing has, in its order, with its titles where they are not the names.
const FIELDS: [(&str, &str); 22] = [
    ("routing_strategy", ""),
    ("routing_strategy_args", ""),
    ("routing_groups", ""),
    ("num_retries", "Number of Retries"),
    ("timeout", ""),
    ("stream_timeout", ""),
    ("max_fallbacks", ""),
    ("fallbacks", ""),
    ("context_window_fallbacks", ""),
    ("content_policy_fallbacks", ""),
    ("allowed_fails", ""),
    ("cooldown_time", ""),
    ("retry_after", ""),
    ("retry_policy", ""),
    ("model_group_alias", ""),
    ("enable_pre_call_checks", "Enable Pre-call Checks"),
    ("default_litellm_params", "Default LiteLLM Params"),
    ("set_verbose", "Verbose Logging"),
    ("default_max_parallel_requests", "Max Parallel Requests"),
    ("enable_tag_filtering", ""),
    ("tag_filtering_match_any", ""),
    ("disable_cooldowns", ""),
];

/// What each strategy does.
const STRATEGIES: [(&str, &str); 10] = [
    ("priority", "By model_priorities of the routing group: lower numbers first, equal ones share."),
    ("simple-shuffle", "By chance, with the deployments' weights."),
    ("least-busy", "The deployment with the fewest requests in flight."),
    ("latency-based-routing", "The deployment that has answered fastest of late."),
    ("cost-based-routing", "The deployment with the lowest price."),
    ("usage-based-routing", "The deployment with the fewest tokens in this minute."),
    ("usage-based-routing-v2", "The same as usage-based-routing."),
    ("round-robin", "One after the other, with the deployments' weights."),
    ("consistent-hash", "The same deployment for the same caller."),
    ("lar1", "Not yet active."),
];

/// The rows of LiteLLM's page first, then the others that act.
fn rows() -> Vec<(Key, String)> {
    let all: Vec<Key> = keys_of(ROUTER).collect();
    let of_page = FIELDS.iter().filter_map(|(name, title)| {
        let key = all.iter().find(|key| key.name == *name)?;
        let title = if title.is_empty() { titled(name) } else { (*title).to_owned() };
        Some((*key, title))
    });
    let is_other =
        |key: &&Key| key.state == State::Active && FIELDS.iter().all(|(name, _)| *name != key.name);
    let others = all.iter().filter(is_other).map(|key| (*key, titled(key.name)));
    of_page.chain(others).collect()
}

/// `num_retries` as `Num Retries`.
fn titled(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{rest}", first.to_uppercase())
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

fn field(key: &Key, title: &str, value: &Value) -> Value {
    // LiteLLM's page says String of a choice and has the words beside it.
    let options = if let Kind::Choice(words) = key.kind { json!(words) } else { Value::Null };
    let type_word = if options.is_null() { type_word(key.kind) } else { "String" };
    let doc = if key.state == State::Active { key.doc } else { "Not yet active." };
    json!({
        "field_name": key.name,
        "field_type": type_word,
        "field_value": value,
        "field_description": doc,
        "field_default": default_of(key),
        "options": options,
        "ui_field_name": title,
        "link": null,
    })
}

fn descriptions() -> Value {
    Value::Object(STRATEGIES.iter().map(|(name, does)| ((*name).to_owned(), json!(does))).collect())
}

/// A setting of the router that holds, in either section.
fn written(desk: &Desk<'_>, name: &str) -> Option<(Value, Source)> {
    shown_one(desk, ROUTER, name).or_else(|| shown_one(desk, LITELLM, name))
}

/// What holds: what is written, else what the router goes by.
fn holds(router: &Router, key: &Key, written: Option<&Value>) -> Value {
    if let Some(value) = written {
        return value.clone();
    }
    match key.name {
        "num_retries" => json!(router.num_retries),
        "max_fallbacks" => json!(router.max_fallbacks),
        "cooldown_time" => json!(router.cooldown_time.as_secs_f64()),
        _ => match key.kind {
            Kind::List(_) => json!([]),
            Kind::Map(_) => json!({}),
            _ if key.name == "routing_strategy_args" => json!({}),
            _ => default_of(key),
        },
    }
}

/// The settings of the router that hold, by name.
pub(super) fn current(desk: &Desk<'_>) -> Map<String, Value> {
    let router = &desk.snapshot.config().router;
    let written = both(desk);
    let value = |(key, _): (Key, String)| {
        let value = holds(router, &key, written.get(key.name).map(|(value, _)| value));
        (key.name.to_owned(), value)
    };
    rows().into_iter().map(value).collect()
}

/// Everything that is written of the router, `router_settings` before `litellm_settings`.
fn both(desk: &Desk<'_>) -> std::collections::HashMap<String, (Value, Source)> {
    let all = shown(desk, LITELLM).into_iter().chain(shown(desk, ROUTER));
    all.map(|(name, value, source)| (name, (value, source))).collect()
}

fn settings(desk: &Desk<'_>) -> Outcome {
    let router = &desk.snapshot.config().router;
    let written = both(desk);
    let (mut fields, mut values, mut sources) = (Vec::new(), Map::new(), Map::new());
    for (key, title) in rows() {
        let known = written.get(key.name);
        let value = holds(router, &key, known.map(|(value, _)| value));
        let source = match known {
            Some((_, Source::Books)) => "db",
            Some((_, Source::File)) => "config",
            None if value.is_null() => "unset",
            None => "default",
        };
        fields.push(field(&key, &title, &value));
        values.insert(key.name.to_owned(), value);
        sources.insert(key.name.to_owned(), json!(source));
    }
    Ok(json!({
        "fields": fields,
        "current_values": values,
        "routing_strategy_descriptions": descriptions(),
        "routing_group_strategies": STRATEGIES.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "source": sources,
    }))
}

fn fields(_desk: &Desk<'_>) -> Outcome {
    let fields: Vec<Value> = rows().iter().map(|(key, title)| field(key, title, &Value::Null)).collect();
    Ok(json!({"fields": fields, "routing_strategy_descriptions": descriptions()}))
}

/// The setting that has fallbacks of a type.
fn list_of(after: &str) -> Result<&'static str, BadForm> {
    match after {
        "general" => Ok("fallbacks"),
        "context_window" => Ok("context_window_fallbacks"),
        "content_policy" => Ok("content_policy_fallbacks"),
        _ => Err(BadForm::wrong("fallback_type", "is none of general, context_window, content_policy")),
    }
}

/// The fallbacks of a type.
fn chains(desk: &Desk<'_>, list: &str) -> Result<Vec<Value>, Problem> {
    let own = in_full(desk, ROUTER, list)?;
    match own.map_or_else(|| in_full(desk, LITELLM, list), |own| Ok(Some(own)))? {
        Some(Value::Array(chains)) => Ok(chains),
        _ => Ok(Vec::new()),
    }
}

fn is_of(chain: &Value, model: &str) -> bool {
    chain.as_object().is_some_and(|chain| chain.contains_key(model))
}

/// `chains` without those of a model.
fn without(chains: Vec<Value>, model: &str) -> Vec<Value> {
    let left = |chain: Value| match chain {
        Value::Object(mut groups) => {
            groups.shift_remove(model);
            (!groups.is_empty()).then_some(Value::Object(groups))
        }
        other => Some(other),
    };
    chains.into_iter().filter_map(left).collect()
}

async fn set_fallback(desk: &Desk<'_>) -> Outcome {
    let chain = form::fallback(&desk.body, &desk.context())?;
    let list = list_of(&chain.after)?;
    let names = desk.snapshot.names();
    let is_known = |name: &str| desk.snapshot.group(desk.worker.gateway.metrics(), name).is_some();
    if !names.contains(&chain.model.as_str()) && !is_known(&chain.model) {
        return Err(Problem::Missing("model", format!("Model '{}' not found in router", chain.model)));
    }
    if let Some(unknown) = chain.models.iter().find(|name| !names.contains(&name.as_str()) && !is_known(name))
    {
        return Err(Problem::Bad("fallback_models", format!("Invalid fallback models: ['{unknown}']")));
    }
    if chain.models.contains(&chain.model) {
        return Err(Problem::Bad(
            "fallback_models",
            format!("Model '{}' cannot be its own fallback", chain.model),
        ));
    }
    let mut all = chains(desk, list)?;
    let is_there = all.iter().any(|other| is_of(other, &chain.model));
    let models = json!(chain.models);
    let new = json!({chain.model.as_str(): models});
    match all.iter_mut().find(|other| is_of(other, &chain.model)).and_then(Value::as_object_mut) {
        Some(groups) => drop(groups.insert(chain.model.clone(), models)),
        None => all.push(new),
    }
    change(desk, vec![Edit::set(ROUTER, list, Value::Array(all))]).await?;
    let done = if is_there { "updated" } else { "created" };
    Ok(json!({
        "model": chain.model,
        "fallback_models": chain.models,
        "fallback_type": chain.after,
        "message": format!("Fallback configuration {done} successfully"),
    }))
}

fn after(desk: &Desk<'_>) -> String {
    desk.query.get("fallback_type").unwrap_or("general").to_owned()
}

fn no_fallbacks(after: &str, model: &str) -> Problem {
    Problem::Missing("model", format!("No {after} fallbacks configured for model '{model}'"))
}

fn fallback(desk: &Desk<'_>) -> Outcome {
    let (model, after) = (desk.param("model"), after(desk));
    let list = list_of(&after)?;
    let shown = written(desk, list).map(|(value, _)| value);
    let chains = shown.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let models = chains
        .iter()
        .find_map(|chain| chain.get(model))
        .filter(|models| models.as_array().is_some_and(|all| !all.is_empty()));
    let models = models.ok_or_else(|| no_fallbacks(&after, model))?;
    Ok(json!({"model": model, "fallback_models": models, "fallback_type": after}))
}

async fn delete_fallback(desk: &Desk<'_>) -> Outcome {
    let (model, after) = (desk.param("model"), after(desk));
    let list = list_of(&after)?;
    let all = chains(desk, list)?;
    if !all.iter().any(|chain| is_of(chain, model)) {
        return Err(no_fallbacks(&after, model));
    }
    change(desk, vec![Edit::set(ROUTER, list, Value::Array(without(all, model)))]).await?;
    Ok(json!({
        "model": model,
        "fallback_type": after,
        "message": "Fallback configuration deleted successfully",
    }))
}
