//! `/config/*`: the settings of the configuration, shown and changed while the gateway runs.

use super::settings::{Edit, Source, change, shown, shown_one, stored};
use super::{Desk, Outcome, Problem, Served, asks, looks};
use serde_json::{Map, Value, json};
use tollgate_config::{CHANGEABLE, Key, Kind, MASK, State, Unpriced, changeable, keys_of, masked};
use tollgate_identity::form::{BadForm, setting as form};

/// The routes of settings.
pub(super) const ROUTES: &[Served] = &[
    looks("GET", "/config/list", list, "Every setting of a section, with its type and its value"),
    looks("GET", "/config/yaml", yaml, "The settings that hold, secrets masked"),
    asks("POST", "/config/update", |desk| Box::pin(update(desk)), "Change settings"),
    looks("GET", "/config/field/info", field_info, "A setting"),
    asks("POST", "/config/field/update", |desk| Box::pin(field_update(desk)), "Change a setting"),
    asks(
        "POST",
        "/config/field/delete",
        |desk| Box::pin(field_delete(desk)),
        "Let the file's setting hold again",
    ),
    looks(
        "GET",
        "/config/cost_discount_config",
        |desk| values(desk, DISCOUNT),
        "What costs are charged less",
    ),
    asks(
        "PATCH",
        "/config/cost_discount_config",
        |desk| Box::pin(patch(desk, DISCOUNT, "Cost discount")),
        "Change what costs are charged less",
    ),
    looks(
        "GET",
        "/config/cost_margin_config",
        |desk| values(desk, MARGIN),
        "What is charged on top of costs",
    ),
    asks(
        "PATCH",
        "/config/cost_margin_config",
        |desk| Box::pin(patch(desk, MARGIN, "Cost margin")),
        "Change what is charged on top of costs",
    ),
    looks("GET", BLOCK, |desk| Ok(blocks_unpriced(desk)), "Whether models without a price are refused"),
    asks(
        "PATCH",
        BLOCK,
        |desk| Box::pin(block_unpriced(desk)),
        "Say whether models without a price are refused",
    ),
    looks("GET", "/get/config/callbacks", callbacks, "Who is told of what, and how requests are routed"),
];

const BLOCK: &str = "/config/block_requests_for_models_without_pricing";
const GENERAL: &str = "general_settings";
const LITELLM: &str = "litellm_settings";
const DISCOUNT: &str = "cost_discount_config";
const MARGIN: &str = "cost_margin_config";

async fn update(desk: &Desk<'_>) -> Outcome {
    let sections = form::update(&desk.body, &desk.context())?;
    let of_section = |(section, settings): (&'static str, Map<String, Value>)| {
        settings.into_iter().map(move |(name, value)| Edit::set(section, &name, value))
    };
    change(desk, sections.into_iter().flat_map(of_section).collect()).await?;
    Ok(json!({"message": "Config updated successfully"}))
}

/// A section that settings are changed in.
fn section(name: &str) -> Result<&'static str, BadForm> {
    let unknown = || BadForm::wrong("config_type", format!("is none of {}", CHANGEABLE.join(", ")));
    CHANGEABLE.into_iter().find(|section| *section == name).ok_or_else(unknown)
}

/// The section that a query asks for.
fn asked<'a>(desk: &'a Desk<'_>, usual: Option<&'static str>) -> Result<&'static str, BadForm> {
    let name: Option<&'a str> = desk.query.get("config_type").or(usual);
    section(name.ok_or_else(|| BadForm::missing("config_type"))?)
}

async fn field_update(desk: &Desk<'_>) -> Outcome {
    let (field, value) = form::field(&desk.body, &desk.context())?;
    let section = section(&field.section)?;
    change(desk, vec![Edit::set(section, &field.name, value)]).await?;
    Ok(row(desk, section))
}

async fn field_delete(desk: &Desk<'_>) -> Outcome {
    let field = form::field_deletion(&desk.body, &desk.context())?;
    let section = section(&field.section)?;
    if !stored(desk, section).contains_key(&field.name) {
        return Err(not_stored(&field.name));
    }
    change(desk, vec![Edit { section: field.section, name: field.name, value: None }]).await?;
    Ok(row(desk, section))
}

fn not_stored(name: &str) -> Problem {
    Problem::Bad("field_name", format!("Field name={name} not in DB"))
}

/// A section as it is kept, secrets masked: LiteLLM's row of its table of settings.
fn row(desk: &Desk<'_>, section: &str) -> Value {
    let values = stored(desk, section);
    let values: Map<String, Value> =
        values.iter().map(|(name, value)| (name.clone(), masked(section, name, value))).collect();
    json!({"param_name": section, "param_value": values})
}

fn field_info(desk: &Desk<'_>) -> Outcome {
    let section = asked(desk, Some(GENERAL))?;
    let name = desk.query.get("field_name").ok_or_else(|| BadForm::missing("field_name"))?;
    let (value, _) = shown_one(desk, section, name).ok_or_else(|| not_stored(name))?;
    Ok(json!({"field_name": name, "field_value": value}))
}

/// LiteLLM's word for a type.
pub(super) fn type_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "Boolean",
        Kind::Count | Kind::Positive | Kind::Integer => "Integer",
        Kind::Number | Kind::Price | Kind::Seconds | Kind::Timeout | Kind::Share => "Float",
        Kind::Choice(_) => "Select",
        Kind::List(_) => "List",
        Kind::Map(_) | Kind::Section(_) | Kind::OpenSection(_) | Kind::Any => "Dictionary",
        Kind::Either(first, _) => type_word(*first),
        Kind::Duration | Kind::DurationPositive | Kind::HedgeAfter | Kind::Span => "String",
        Kind::Text | Kind::Secret | Kind::Url => "String",
    }
}

/// What holds where nothing is written, if that is a value.
pub(super) fn default_of(key: &Key) -> Value {
    match key.kind {
        Kind::Choice(words) => {
            words.iter().find(|word| **word == key.default).map_or(Value::Null, |word| json!(word))
        }
        Kind::Bool | Kind::Count | Kind::Positive | Kind::Integer | Kind::Number | Kind::Price => {
            serde_json::from_str(key.default).unwrap_or_default()
        }
        Kind::Seconds | Kind::Timeout | Kind::Share => serde_json::from_str(key.default).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn list(desk: &Desk<'_>) -> Outcome {
    let section = asked(desk, None)?;
    let shown = shown(desk, section);
    let known = keys_of(section).filter(|key| key.state != State::Unsupported);
    let rows = known.map(|key| {
        let found = shown.iter().find(|(name, ..)| name == key.name);
        let (is_stored, source) = match found.map(|(.., source)| source) {
            None => (Value::Null, "unset"),
            Some(Source::File) => (Value::Bool(false), "config"),
            Some(Source::Books) => (Value::Bool(true), "db"),
        };
        let options = if let Kind::Choice(words) = key.kind { json!(words) } else { Value::Null };
        let doc = if key.state == State::Active { key.doc } else { "Not yet active." };
        let default = default_of(&key);
        json!({
            "field_name": key.name,
            "field_type": type_word(key.kind),
            "field_description": doc,
            "field_value": found.map_or(&default, |(_, value, _)| value),
            "stored_in_db": is_stored,
            "field_default_value": default,
            "premium_field": false,
            "nested_fields": null,
            "field_options": options,
            "field_tab": null,
            "source": source,
            "editable": changeable(section, key.name).is_ok(),
        })
    });
    Ok(rows.collect())
}

fn yaml(desk: &Desk<'_>) -> Outcome {
    let of_section = |section: &&'static str| {
        let settings: Map<String, Value> =
            shown(desk, section).into_iter().map(|(name, value, _)| (name, value)).collect();
        ((*section).to_owned(), Value::Object(settings))
    };
    Ok(Value::Object(CHANGEABLE.iter().map(of_section).collect()))
}

fn values(desk: &Desk<'_>, name: &str) -> Outcome {
    let value = shown_one(desk, LITELLM, name).map(|(value, _)| value);
    Ok(json!({"values": value.filter(Value::is_object).unwrap_or_else(|| json!({}))}))
}

async fn patch(desk: &Desk<'_>, name: &'static str, what: &str) -> Outcome {
    let values = Value::Object(desk.body.clone());
    change(desk, vec![Edit::set(LITELLM, name, values.clone())]).await?;
    let message = format!("{what} configuration updated successfully");
    Ok(json!({"message": message, "status": "success", "values": values}))
}

fn blocks_unpriced(desk: &Desk<'_>) -> Value {
    json!({"enabled": desk.snapshot.config().costs.unpriced == Unpriced::Deny})
}

async fn block_unpriced(desk: &Desk<'_>) -> Outcome {
    let enabled = form::blocks_unpriced(&desk.body, &desk.context())?;
    let name = "block_requests_for_models_without_pricing";
    change(desk, vec![Edit::set(LITELLM, name, Value::Bool(enabled))]).await?;
    Ok(json!({"enabled": enabled}))
}

fn callbacks(desk: &Desk<'_>) -> Outcome {
    let settings = |section: &str| -> Map<String, Value> {
        shown(desk, section).into_iter().map(|(name, value, _)| (name, value)).collect()
    };
    let texts = |value: Option<Value>| match value {
        Some(Value::String(name)) => vec![Value::String(name)],
        Some(Value::Array(names)) => names,
        _ => Vec::new(),
    };
    let litellm = settings(LITELLM);
    let of = |list: &str, word: &str| {
        let names = texts(litellm.get(list).cloned());
        names.into_iter().map(|name| json!({"name": name, "variables": {}, "type": word})).collect::<Vec<_>>()
    };
    let mut callbacks = of("success_callback", "success");
    callbacks.extend(of("failure_callback", "failure"));
    callbacks.extend(of("callbacks", "success_and_failure"));
    let general = settings(GENERAL);
    let variables = settings("environment_variables");
    let alerts = texts(general.get("alerting").cloned()).into_iter().map(|channel| {
        let of_channel = channel.as_str().unwrap_or_default().to_uppercase();
        let set = variables.iter().filter(|(name, _)| name.starts_with(&of_channel));
        let set: Map<String, Value> = set.map(|(name, _)| (name.clone(), json!(MASK))).collect();
        json!({"name": channel, "variables": set})
    });
    Ok(json!({
        "status": "success",
        "callbacks": callbacks,
        "alerts": alerts.collect::<Vec<_>>(),
        "router_settings": super::router::current(desk),
        "available_callbacks": {},
    }))
}
