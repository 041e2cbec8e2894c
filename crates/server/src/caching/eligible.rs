//! Which requests the cache is for.
//!
//! Owns the rules. **Invariant:** what has an effect beside its answer is never answered from the cache, and its answer is
//! never kept: what is stored at the provider or here, runs in the background, continues something, or has tools that
//! the provider runs.

use super::controls::Controls;
use crate::pipeline::receive::Received;
use crate::surface::Surface;
use serde_json::Value as Json;
use tollgate_config::{Caching, ToolRule, Which};
use tollgate_dialect::json::{Object, Value};

/// Why a request has nothing to do with the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is off unless asked for, or the request says no.
    NotWanted,
    /// Answers of this kind are not kept.
    Kind,
    /// The operator's rules leave it out.
    Rules,
    /// Its temperature is too high.
    Temperature,
    /// Its tools.
    Tools,
    /// It does more than to answer.
    Effects,
    /// It is a rehearsal.
    Rehearsal,
}

/// LiteLLM's name of the kind of call, without the `a` of those that do not block; `None` where no answer is kept.
fn call_type(surface: Surface) -> Option<&'static str> {
    match surface {
        Surface::Chat | Surface::GenerateContent | Surface::Converse | Surface::CohereChat => {
            Some("completion")
        }
        Surface::Completions => Some("text_completion"),
        Surface::Responses => Some("responses"),
        Surface::Messages => Some("anthropic_messages"),
        Surface::Embeddings
        | Surface::EmbedContent
        | Surface::BatchEmbedContents
        | Surface::CohereEmbed
        | Surface::CohereEmbedFirst => Some("embedding"),
        Surface::Rerank => Some("rerank"),
        Surface::ImageGeneration
        | Surface::ImageEdit
        | Surface::ImageVariation
        | Surface::Speech
        | Surface::Transcription
        | Surface::Translation
        | Surface::Moderation
        | Surface::Realtime
        | Surface::Passed(_) => None,
    }
}

/// Whether a request is one for the cache.
///
/// # Errors
/// Why it is not.
pub(crate) fn check(
    rules: &Caching,
    (surface, group): (Surface, &str),
    received: &Received<'_>,
    controls: &Controls,
) -> Result<(), Why> {
    if !controls.use_cache.unwrap_or(rules.is_default_on) {
        return Err(Why::NotWanted);
    }
    let kind = call_type(surface).filter(|_| received.form.is_none()).ok_or(Why::Kind)?;
    let is_kept = |types: &Vec<String>| {
        types.iter().any(|name| name.strip_prefix('a').is_some_and(|it| it == kind) || name == kind)
    };
    if rules.call_types.as_ref().is_some_and(|types| !is_kept(types)) {
        return Err(Why::Kind);
    }
    if received.wish.mock.is_some() || received.wish.is_dry_run {
        return Err(Why::Rehearsal);
    }
    if has_effects(surface, &received.object) {
        return Err(Why::Effects);
    }
    if !tools_fit(rules.tools, &received.object) {
        return Err(Why::Tools);
    }
    let temperature = temperature(surface, &received.object);
    if rules.temperature_max.is_some_and(|most| temperature.is_some_and(|temperature| temperature > most)) {
        return Err(Why::Temperature);
    }
    let meets = |which: &Which| meets(which, group, received);
    if (!rules.only.is_empty() && !meets(&rules.only)) || meets(&rules.never) {
        return Err(Why::Rules);
    }
    Ok(())
}

/// It is stored, goes on from what is stored, or runs in the background.
fn has_effects(surface: Surface, object: &Object<'_>) -> bool {
    let is_on = |name: &str| object.get(name).and_then(|value| value.as_bool()) == Some(true);
    let is_there = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    let is_stored = match surface {
        // A response is stored unless its caller says no.
        Surface::Responses => object.get("store").and_then(|value| value.as_bool()) != Some(false),
        _ => is_on("store"),
    };
    is_stored
        || is_on("background")
        || ["previous_response_id", "conversation", "container"].into_iter().any(is_there)
        || object.get("modalities").is_some_and(|value| value.text().contains("\"audio\""))
}

/// Tools that the caller runs are a name, a description and a schema; whatever else is among them the provider runs.
fn tools_fit(rule: ToolRule, object: &Object<'_>) -> bool {
    let has_search = object.get("web_search_options").is_some_and(|value| !value.is_null());
    let mut tools = object
        .get("tools")
        .filter(|value| !value.is_null())
        .into_iter()
        .flat_map(|tools| tools.array_items());
    let servers = object.get("mcp_servers").is_some_and(|value| value.array_items().next().is_some());
    match rule {
        ToolRule::Any => true,
        ToolRule::None => tools.next().is_none() && !has_search && !servers,
        ToolRule::Functions => !has_search && !servers && tools.all(is_function),
    }
}

/// Whether a tool is one that the caller runs, in any dialect.
fn is_function(tool: Value<'_>) -> bool {
    let Some(tool) = tool.as_object() else { return false };
    match tool.get("type").and_then(|kind| kind.as_str()).as_deref() {
        Some("function" | "custom") => true,
        Some(_) => false,
        // Anthropic's have a schema and no type, Google's and Amazon's lie below a name of their own.
        None => {
            let names: Vec<_> = tool.members().map(|member| member.name.into_owned()).collect();
            names.iter().any(|name| name == "input_schema")
                || names
                    .iter()
                    .all(|name| matches!(name.as_str(), "functionDeclarations" | "function_declarations"))
        }
    }
}

/// Where each dialect puts its temperature.
fn temperature(surface: Surface, object: &Object<'_>) -> Option<f64> {
    let own = |object: &Object<'_>| object.get("temperature")?.as_f64();
    let within = |names: &[&str]| names.iter().find_map(|name| own(&object.get(name)?.as_object()?));
    match surface {
        Surface::GenerateContent => within(&["generationConfig", "generation_config"]),
        Surface::Converse => within(&["inferenceConfig"]),
        _ => own(object),
    }
}

fn meets(which: &Which, group: &str, received: &Received<'_>) -> bool {
    let has_tag = |tag: &String| received.wish.tags.contains(tag);
    which.models.iter().any(|pattern| matches(pattern, group))
        || which.tags.iter().any(has_tag)
        || (!which.metadata.is_empty() && meets_metadata(&which.metadata, &received.object))
}

fn meets_metadata(wanted: &[(String, String)], object: &Object<'_>) -> bool {
    let said = ["metadata", "litellm_metadata"].into_iter().filter_map(|name| object.get(name)?.as_object());
    said.into_iter().any(|said| {
        wanted.iter().any(|(name, value)| {
            let found = said.get(name).filter(|found| !found.is_null());
            found.is_some_and(|found| value == "*" || is_text(found, value))
        })
    })
}

/// `1` and `"1"` are the same to an operator who writes them without quotes.
fn is_text(found: Value<'_>, wanted: &str) -> bool {
    match serde_json::from_str(found.text()) {
        Ok(Json::String(text)) => text == wanted,
        Ok(other) => other == wanted,
        Err(_) => false,
    }
}

/// Whether a name is one of a pattern's, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_dialect::json::{Limits, scan};

    #[test]
    fn stars_stand_for_any_text() {
        let check = |pattern: &str, name: &str, expect: bool| {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        };
        check("gpt", "gpt", true);
        check("gpt", "gpt-4", false);
        check("gpt-*", "gpt-4", true);
        check("gpt-*", "gpt-", true);
        check("*", "", true);
        check("*-mini", "gpt-4o-mini", true);
        check("*-mini", "gpt-4o-mini-x", false);
        check("g*4*i", "gpt-4o-mini", true);
        check("g*9*i", "gpt-4o-mini", false);
        check("a*a", "a", false);
        check("", "", true);
    }

    #[test]
    fn what_does_more_than_to_answer_is_not_for_the_cache() {
        let check = |surface: Surface, body: &str, expect: bool| {
            let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap();
            assert_eq!(has_effects(surface, &object), expect, "{body}");
        };
        check(Surface::Chat, "{}", false);
        check(Surface::Chat, r#"{"store":true}"#, true);
        check(Surface::Chat, r#"{"store":false}"#, false);
        check(Surface::Responses, "{}", true);
        check(Surface::Responses, r#"{"store":false}"#, false);
        check(Surface::Responses, r#"{"store":false,"background":true}"#, true);
        check(Surface::Responses, r#"{"store":false,"previous_response_id":"r"}"#, true);
        check(Surface::Responses, r#"{"store":false,"conversation":"c"}"#, true);
        check(Surface::Messages, r#"{"container":"c"}"#, true);
        check(Surface::Chat, r#"{"modalities":["text","audio"]}"#, true);
    }

    #[test]
    fn tools_that_the_provider_runs_are_told_from_the_callers() {
        let check = |tools: &str, [functions, none]: [bool; 2]| {
            let body = format!("{{{tools}}}");
            let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap();
            let fit = |rule| tools_fit(rule, &object);
            assert_eq!([fit(ToolRule::Functions), fit(ToolRule::None)], [functions, none], "{tools}");
            assert!(fit(ToolRule::Any));
        };
        check("", [true, true]);
        check(r#""tools":[]"#, [true, true]);
        check(r#""tools":null"#, [true, true]);
        check(r#""tools":[{"type":"function","function":{"name":"f"}}]"#, [true, false]);
        check(r#""tools":[{"type":"custom","name":"f"}]"#, [true, false]);
        check(r#""tools":[{"type":"function","name":"f"},{"type":"web_search"}]"#, [false, false]);
        check(r#""tools":[{"name":"f","input_schema":{}}]"#, [true, false]);
        check(r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, [false, false]);
        check(r#""tools":[{"functionDeclarations":[{"name":"f"}]}]"#, [true, false]);
        check(r#""tools":[{"googleSearch":{}}]"#, [false, false]);
        check(r#""tools":[{"functionDeclarations":[],"googleSearch":{}}]"#, [false, false]);
        check(r#""tools":["f"]"#, [false, false]);
        check(r#""web_search_options":{}"#, [false, false]);
        check(r#""mcp_servers":[{}]"#, [false, false]);
    }

    #[test]
    fn temperatures_are_found_in_every_dialect() {
        let check = |surface: Surface, body: &str| {
            let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap();
            assert_eq!(temperature(surface, &object), Some(0.5), "{body}");
        };
        check(Surface::Chat, r#"{"temperature":0.5}"#);
        check(Surface::GenerateContent, r#"{"generationConfig":{"temperature":0.5}}"#);
        check(Surface::GenerateContent, r#"{"generation_config":{"temperature":0.5}}"#);
        check(Surface::Converse, r#"{"inferenceConfig":{"temperature":0.5}}"#);
    }
}
