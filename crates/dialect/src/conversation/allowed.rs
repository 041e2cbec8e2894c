//! OpenAI's choice among some of the declared tools (`allowed_tools`), for wires that have no word for it: only those are
//! declared. What the model may call is then the same.

use super::{ChatRequest, ToolChoice};
use serde_json::Value;

/// The request with only those of its functions declared that its choice allows; `None` where it makes no such choice, or
/// one among tools that are no functions of its own.
pub(crate) fn narrowed(request: &ChatRequest) -> Option<ChatRequest> {
    let allowed = request.extra.get("tool_choice")?.get("allowed_tools")?;
    let choice = match allowed.get("mode")?.as_str()? {
        "auto" => None,
        "required" => Some(ToolChoice::Required),
        _ => return None,
    };
    let names: Option<Vec<&str>> = allowed.get("tools")?.as_array()?.iter().map(name).collect();
    let names = names?;
    let mut narrowed = request.clone();
    narrowed.extra.shift_remove("tool_choice");
    narrowed.tools.retain(|tool| names.contains(&tool.name.as_str()));
    narrowed.tool_choice = choice;
    Some(narrowed)
}

fn name(tool: &Value) -> Option<&str> {
    let holder = tool.get("function").or_else(|| tool.get("custom"))?;
    holder.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Tool;
    use serde_json::json;

    fn request(choice: Value) -> ChatRequest {
        let tool = |name: &str| Tool { name: name.to_owned(), ..Tool::default() };
        let mut request =
            ChatRequest { tools: vec![tool("f"), tool("g"), tool("h")], ..ChatRequest::default() };
        request.extra.insert("tool_choice".to_owned(), choice);
        request
    }

    #[test]
    fn only_what_is_allowed_is_declared() {
        let check = |mode: &str, expect: Option<ToolChoice>| {
            let tools = json!([
                {"type": "function", "function": {"name": "h"}}, {"type": "custom", "custom": {"name": "f"}},
            ]);
            let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}});
            let narrowed = narrowed(&request(choice)).unwrap();
            let names: Vec<&str> = narrowed.tools.iter().map(|tool| tool.name.as_str()).collect();
            assert_eq!(names, ["f", "h"]);
            assert_eq!(narrowed.tool_choice, expect);
            assert!(narrowed.extra.is_empty());
        };
        check("auto", None);
        check("required", Some(ToolChoice::Required));
    }

    #[test]
    fn another_choice_is_left_alone() {
        let check = |choice: Value| assert_eq!(narrowed(&request(choice)), None);
        check(json!({"type": "web_search"}));
        check(json!({"allowed_tools": {"mode": "sometimes", "tools": []}}));
        check(json!({"allowed_tools": {"mode": "auto", "tools": [{"type": "mcp", "server_label": "x"}]}}));
    }
}
