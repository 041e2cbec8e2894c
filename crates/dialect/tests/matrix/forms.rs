//! Other forms: what a provider is told in its own way where it does not have the caller's.
//!
//! Owns the list of them. **Invariant:** a form is of one feature at one provider and changes one member of the request;
//! nothing that was said (a text, a picture, a document) is missing in it.

use serde_json::{Value, json};
use tollgate_dialect::wire::Dialect;

/// Features that arrive in another form: the feature, the provider, the member of the request, the form.
const FORMS: &[(&str, Dialect, &str, &str)] = &[
    ("A result with a picture", Dialect::OpenAi, "messages", "picture in a user's message after the results"),
    ("A result with a picture", Dialect::Cohere, "messages", "picture in a user's message after the results"),
    ("Text document", Dialect::OpenAi, "messages", "a text under its title"),
    ("Text document", Dialect::Cohere, "messages", "in `documents`"),
    ("Citations wanted", Dialect::Cohere, "messages", "in `documents`"),
    ("Service tier: standard", Dialect::Cohere, "service_tier", "the only one"),
    ("Other tools of the provider", Dialect::Gemini, "tools", "its own tool for code"),
    ("Service tier: priority", Dialect::Anthropic, "service_tier", "`auto`"),
    ("Sound as the answer", Dialect::Gemini, "modalities", "sound alone"),
];

/// What an encoder may add: a wish to see the reasoning, and what it needs to read the answer.
const ADDITIONS: [&str; 2] = ["show_reasoning", "additionalModelResponseFieldPaths"];

/// Takes out of what was heard the additions that nobody said.
pub(crate) fn forget_additions(said: &mut Value, heard: &mut Value, provider: Dialect) {
    if let (Dialect::Cohere, Value::Object(said)) = (provider, &mut *said) {
        // Cohere always shows it.
        said.shift_remove("show_reasoning");
    }

    for name in ADDITIONS {
        if let (None, Value::Object(heard)) = (said.get(name), &mut *heard) {
            heard.shift_remove(name);
        }
    }
}

/// The form in which a request arrived, if it is one.
pub(crate) fn other_form(feature: &str, provider: Dialect, said: &Value, heard: &Value) -> Option<String> {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (said, heard) = (members(said), members(heard));
    let names = said.keys().chain(heard.keys().filter(|name| !said.contains_key(*name)));
    let differing: Vec<&String> = names.filter(|name| said.get(*name) != heard.get(*name)).collect();
    let [member] = differing.as_slice() else { return None };
    let (from, to) = (said.get(*member), heard.get(*member));
    if *member == "reasoning" {
        return nearest_reasoning(from?.as_str()?, to.and_then(Value::as_str));
    }
    let form = FORMS.iter().find(|(of, at, what, _)| *of == feature && *at == provider && what == member)?;
    let told = atoms(to.unwrap_or(&Value::Null));
    // A word that was a member of its own may have become a line of a text.
    let is_told = |atom: &String| told.iter().any(|told| told.contains(atom.trim_matches('"')));
    let is_whole = *member != "messages" || atoms(from?).iter().all(is_told);
    is_whole.then(|| form.3.to_owned())
}

/// Depth of reasoning is a wish, and the nearest depth that a model has will do. To switch it off is none.
fn nearest_reasoning(said: &str, heard: Option<&str>) -> Option<String> {
    match (said, heard) {
        ("Disabled", _) | (_, Some("Disabled")) => None,
        ("Adaptive", None) => Some("the model's default".to_owned()),
        (_, None) => None,
        (_, Some(heard)) => Some(heard.to_owned()),
    }
}

/// Every text and number within a value.
fn atoms(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members.values().flat_map(atoms).collect(),
        Value::Array(items) => items.iter().flat_map(atoms).collect(),
        other => vec![other.to_string()],
    }
}

/// The form in which an answer arrived, if it is one: the caller's own order, the nearest word for its end.
pub(crate) fn reply_form(said: &Value, heard: &Value) -> Option<String> {
    let (mut said, mut heard) = (in_order(said), in_order(heard));
    if said == heard {
        return Some("in its own order".to_owned());
    }
    let word = |view: &Value| view["choices"][0]["stop"].as_str().map(str::to_owned);
    let (from, to) = (word(&said)?, word(&heard)?);
    let form = match (from.as_str(), to.as_str()) {
        ("StopSequence", "Stop") => "`stop`",
        ("Refusal", "ContentFilter") => "the filter's word",
        ("ContentFilter", "Refusal") => "the refusal's word",
        ("Refusal", "Stop") => "as text",
        _ => return None,
    };
    for view in [&mut said, &mut heard] {
        view["choices"][0]["stop"] = Value::Null;
    }
    (said == heard).then(|| form.to_owned())
}

/// A view with the parts of each answer by their kind, for dialects whose form keeps no other order.
pub(crate) fn in_order(view: &Value) -> Value {
    const KINDS: [&str; 6] = ["redacted", "reasoning", "text", "audio", "image", "call"];
    let mut view = view.clone();
    for choice in view["choices"].as_array_mut().into_iter().flatten() {
        if let Some(parts) = choice["parts"].as_array_mut() {
            parts.sort_by_key(|part| KINDS.iter().position(|kind| part.get(*kind).is_some()));
            *parts = joined(parts);
        }
    }
    view
}

/// Texts that follow on each other as one, with their sources where they then stand.
fn joined(parts: &[Value]) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    for part in parts {
        let (Some(before), Some(text)) = (joined.last_mut(), part["text"].as_str()) else {
            joined.push(part.clone());
            continue;
        };
        let Some(words) = before["text"].as_str().map(str::to_owned) else {
            joined.push(part.clone());
            continue;
        };
        let start = words.chars().count() as u64;
        before["text"] = json!(format!("{words}{text}"));
        let mut sources = before["citations"].as_array().cloned().unwrap_or_default();
        for source in part["citations"].as_array().into_iter().flatten() {
            let mut source = source.clone();
            for end in source["span"].as_array_mut().into_iter().flatten() {
                *end = json!(end.as_u64().unwrap_or(0) + start);
            }
            sources.push(source);
        }
        if !sources.is_empty() {
            before["citations"] = json!(sources);
        }
    }
    joined
}

/// What a stream cannot say though a plain reply can, since it has to be said before it is known: that a source is of a
/// part of a text that has gone out in one block, and which tier served.
pub(crate) fn stream_limit(plain: &Value, heard: &Value) -> Option<&'static str> {
    let (mut plain, mut heard) = (in_order(plain), in_order(heard));
    if plain.get("tier").is_some() && heard.get("tier").is_none() {
        plain.as_object_mut()?.shift_remove("tier");
        return (plain == heard).then_some("streamed without it");
    }
    let (narrow, wide) = (spans(&mut plain), spans(&mut heard));
    let holds = |(narrow, wide): (&(u64, u64), &(u64, u64))| wide.0 <= narrow.0 && narrow.1 <= wide.1;
    let is_wider = narrow.len() == wide.len() && narrow.iter().zip(&wide).all(holds);
    (plain == heard && is_wider).then_some("streamed as sources of the whole text")
}

/// Takes the spans out of a view.
fn spans(view: &mut Value) -> Vec<(u64, u64)> {
    let mut spans = Vec::new();
    let choices = view["choices"].as_array_mut().into_iter().flatten();
    let parts = choices.flat_map(|choice| choice["parts"].as_array_mut().into_iter().flatten());
    let sources = parts.filter_map(|part| part.get_mut("citations")?.as_array_mut()).flatten();
    for source in sources {
        let span = source.as_object_mut().and_then(|source| source.shift_remove("span")).unwrap_or_default();
        spans.push((span[0].as_u64().unwrap_or(0), span[1].as_u64().unwrap_or(0)));
    }
    spans
}
