//! The `usage` object of a response.
//!
//! Owns its names; OpenAI's own, and beside them LiteLLM's for what OpenAI does not count. **Invariant:** a usage that
//! was written reads back the same.

use crate::conversation::Usage;
use crate::json::write::Object;
use serde_json::Value;
use std::collections::BTreeSet;

/// Reads a `usage` object; `None` when it is `null`, no object, or counts nothing.
pub(super) fn read(value: &Value) -> Option<Usage> {
    let count = |path: &[&str]| {
        let found = path.iter().try_fold(value, |value, name| value.get(*name));
        found.and_then(Value::as_u64)
    };
    let (input, output) = (count(&["input_tokens"]), count(&["output_tokens"]));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input_tokens, output_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
    let of_input = |name: &str| count(&["input_tokens_details", name]).unwrap_or(0).min(input_tokens);
    let of_output = |name: &str| count(&["output_tokens_details", name]).unwrap_or(0).min(output_tokens);
    let cached_tokens = of_input("cached_tokens");
    let written = of_input("cache_write_tokens").min(input_tokens - cached_tokens);
    let times = ["input_tokens_details", "cache_creation_token_details", "ephemeral_1h_input_tokens"];
    let cache_write_1h_tokens = count(&times).unwrap_or(0).min(written);
    Some(Usage {
        input_tokens,
        cached_tokens,
        cache_write_tokens: written - cache_write_1h_tokens,
        cache_write_1h_tokens,
        tool_prompt_tokens: of_input("tool_tokens"),
        input_audio_tokens: of_input("audio_tokens"),
        input_image_tokens: of_input("image_tokens"),
        output_tokens,
        reasoning_tokens: of_output("reasoning_tokens"),
        output_audio_tokens: of_output("audio_tokens"),
        output_image_tokens: of_output("image_tokens"),
        web_search_requests: count(&["server_tool_use", "web_search_requests"]).unwrap_or(0),
        web_fetch_requests: count(&["server_tool_use", "web_fetch_requests"]).unwrap_or(0),
        ..Usage::default()
    })
}

/// The usage of a whole response object. Searches are counted where OpenAI counts them (`tool_usage`), or by the
/// items that made them: those of its output, or `told` of them that came before it in a stream, if these are more.
pub(super) fn of_response(response: &Value, told: u64) -> Option<Usage> {
    let mut usage = read(response.get("usage")?)?;
    if usage.web_search_requests == 0 {
        let counted =
            response.get("tool_usage").and_then(|tools| tools.get("web_search")?.get("num_requests"));
        usage.web_search_requests =
            counted.and_then(Value::as_u64).unwrap_or_else(|| searches(response.get("output")).max(told));
    }
    let items = || response.get("output").and_then(Value::as_array).into_iter().flatten();
    usage.file_searches = items().filter(|item| is_of(item, "file_search_call")).count() as u64;
    let runs = items().filter(|item| is_of(item, "code_interpreter_call"));
    // A container is paid for once, however often code is run in it.
    let containers: BTreeSet<Option<&str>> =
        runs.map(|item| item.get("container_id").and_then(Value::as_str)).collect();
    usage.code_sessions = containers.len() as u64;
    Some(usage)
}

fn is_of(item: &Value, kind: &str) -> bool {
    item.get("type").is_some_and(|found| found == kind)
}

fn searches(output: Option<&Value>) -> u64 {
    let items = output.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().filter(|item| is_search(item)).count() as u64
}

/// Whether an item of the output is a search of the web.
pub(super) fn is_search(item: &Value) -> bool {
    is_of(item, "web_search_call")
        // Opening a page and finding in it are not billed as searches.
        && item.get("action").and_then(|action| action.get("type")).is_none_or(|kind| kind == "search")
}

/// Writes the object.
pub(super) fn write(usage: &Usage, out: &mut Vec<u8>) {
    let mut out = Object::open(out);
    out.integer("input_tokens", usage.input_tokens);
    out.object("input_tokens_details", |details| {
        let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
        details.integer("cached_tokens", usage.cached_tokens);
        details.integer("cache_write_tokens", written);
        if usage.cache_write_1h_tokens > 0 {
            details.object("cache_creation_token_details", |times| {
                times.integer("ephemeral_5m_input_tokens", usage.cache_write_tokens);
                times.integer("ephemeral_1h_input_tokens", usage.cache_write_1h_tokens);
            });
        }
        unless_zero(details, "tool_tokens", usage.tool_prompt_tokens);
        unless_zero(details, "audio_tokens", usage.input_audio_tokens);
        unless_zero(details, "image_tokens", usage.input_image_tokens);
    });
    out.integer("output_tokens", usage.output_tokens);
    out.object("output_tokens_details", |details| {
        details.integer("reasoning_tokens", usage.reasoning_tokens);
        unless_zero(details, "audio_tokens", usage.output_audio_tokens);
        unless_zero(details, "image_tokens", usage.output_image_tokens);
    });
    out.integer("total_tokens", usage.total_tokens());
    if usage.web_search_requests > 0 || usage.web_fetch_requests > 0 {
        out.object("server_tool_use", |tools| {
            unless_zero(tools, "web_search_requests", usage.web_search_requests);
            unless_zero(tools, "web_fetch_requests", usage.web_fetch_requests);
        });
    }
    out.close();
}

fn unless_zero(object: &mut Object<'_>, name: &str, number: u64) {
    if number > 0 {
        object.integer(name, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_usage_comes_back_as_it_was_written() {
        let usage = Usage {
            input_tokens: 100,
            cached_tokens: 10,
            cache_write_tokens: 20,
            cache_write_1h_tokens: 30,
            tool_prompt_tokens: 4,
            input_audio_tokens: 5,
            input_image_tokens: 6,
            output_tokens: 50,
            reasoning_tokens: 7,
            output_audio_tokens: 8,
            output_image_tokens: 9,
            web_search_requests: 2,
            web_fetch_requests: 3,
            ..Usage::default()
        };
        for usage in [usage, Usage::default(), Usage { input_tokens: 1, ..Usage::default() }] {
            let mut out = Vec::new();
            write(&usage, &mut out);
            assert_eq!(read(&serde_json::from_slice(&out).unwrap()), Some(usage));
        }
    }

    #[test]
    fn a_plain_usage_has_openais_members_and_no_others() {
        let mut out = Vec::new();
        write(&Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() }, &mut out);
        let expect = r#"{"input_tokens":3,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn searches_are_counted_once() {
        let call = |action: &str| json!({"type": "web_search_call", "action": {"type": action}});
        let output =
            json!([call("search"), call("open_page"), {"type": "message"}, {"type": "web_search_call"}]);
        let usage = json!({"input_tokens": 1, "output_tokens": 1});
        let counted = |response: Value, told: u64| of_response(&response, told).unwrap().web_search_requests;
        assert_eq!(counted(json!({"usage": usage, "output": output}), 0), 2);
        assert_eq!(counted(json!({"usage": usage, "output": output}), 1), 2);
        assert_eq!(counted(json!({"usage": usage}), 3), 3);
        let stated = json!({"web_search": {"num_requests": 7}});
        assert_eq!(counted(json!({"usage": usage, "output": output, "tool_usage": stated}), 9), 7);
        assert_eq!(of_response(&json!({"usage": null}), 0), None);
    }

    #[test]
    fn searches_of_files_and_containers_of_code_are_counted() {
        let code = |container: &str| json!({"type": "code_interpreter_call", "container_id": container});
        let file = json!({"type": "file_search_call", "queries": ["a"]});
        let output = json!([file, code("c1"), {"type": "message"}, code("c1"), file, code("c2")]);
        let usage = of_response(&json!({"usage": {"input_tokens": 1}, "output": output}), 0).unwrap();
        assert_eq!((usage.file_searches, usage.code_sessions, usage.web_search_requests), (2, 2, 0));
        let none = of_response(&json!({"usage": {"input_tokens": 1}, "output": []}), 0).unwrap();
        assert_eq!((none.file_searches, none.code_sessions), (0, 0));
    }
}
