//! Other forms: what a provider is told in its own way where it does not have the caller's.
//!
//! Owns the list of them. **Invariant:** a form is of one feature at one provider and changes one member of the request;
//! nothing that was said (a text, a picture, a document) is missing in it.

use serde_json::Value;
use tollgate_dialect::wire::Dialect;

/// Features that arrive in another form: the feature, the provider, the member of the request, the form.
const FORMS: &[(&str, Dialect, &str, &str)] = &[
    ("A result with a picture", Dialect::OpenAi, "messages", "picture in a user's message after the results"),
    ("A result with a picture", Dialect::Cohere, "messages", "picture in a user's message after the results"),
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
    let is_whole = *member != "messages"
        || atoms(from?).iter().all(|atom| atoms(to.unwrap_or(&Value::Null)).contains(atom));
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
