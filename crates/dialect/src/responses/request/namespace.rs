//! Tools that lie in namespaces, by names that every other wire takes too.
//!
//! Owns how such a name is made: the tool's own where no other tool has it, else with the namespace before it.
//! **Invariant:** no two tools of a request that differ in namespace or name go by the same name because of it.

use crate::conversation::{Message, Namespace, Part, Tool};
use std::collections::BTreeSet;

/// Longest name that every provider takes (OpenAI, Bedrock and Gemini say 64).
const NAME_CHARS_MAX: usize = 64;

/// What stands between a namespace and a name.
const BETWEEN: &str = "__";

/// A call in the input that names a namespace.
pub(super) struct NamespacedCall {
    /// The number of its message.
    pub(super) message: usize,
    /// Its number within the message.
    pub(super) part: usize,
    /// The namespace that it names.
    pub(super) namespace: String,
}

/// Gives each tool of a namespace the name that it goes by, and tells with the first of each what the namespace is for.
pub(super) fn name_tools(tools: &mut [Tool]) {
    let mut taken: BTreeSet<String> =
        tools.iter().filter(|tool| tool.namespace.is_none()).map(|tool| tool.name.clone()).collect();
    let own: Vec<String> =
        tools.iter().filter_map(|tool| tool.namespace.as_ref()).map(|space| legal(&space.tool)).collect();
    let is_single = |name: &String| own.iter().filter(|other| *other == name).count() == 1;
    let free: BTreeSet<String> =
        own.iter().filter(|name| is_single(name) && !taken.contains(*name)).cloned().collect();
    taken.extend(free.iter().cloned());
    let mut spaces: BTreeSet<String> = BTreeSet::new();
    for tool in tools {
        let Some(space) = tool.namespace.as_deref() else { continue };
        let bare = legal(&space.tool);
        tool.name = if free.contains(&bare) {
            bare
        } else {
            let name = untaken(&legal(&format!("{}{BETWEEN}{}", space.name, space.tool)), &taken);
            taken.insert(name.clone());
            name
        };
        if spaces.insert(space.name.clone()) {
            let said = space.description.iter().chain(&space.tool_description).map(String::as_str);
            let said: Vec<&str> = said.filter(|text| !text.is_empty()).collect();
            tool.description = (!said.is_empty()).then(|| said.join("\n\n"));
        }
    }
}

/// Gives each call the name of the tool that it calls. One of a tool that is no longer offered keeps its own.
pub(super) fn name_calls(calls: &[NamespacedCall], messages: &mut [Message], tools: &[Tool]) {
    for call in calls {
        let part = messages.get_mut(call.message).and_then(|message| message.parts.get_mut(call.part));
        let Some(Part::ToolCall { name, .. }) = part else { continue };
        let is_called = |space: &Namespace| space.tool == *name && space.name == call.namespace;
        *name = match tools.iter().find(|tool| tool.namespace.as_deref().is_some_and(is_called)) {
            Some(tool) => tool.name.clone(),
            None => legal(name),
        };
    }
}

/// A choice names a tool without its namespace: the first of that name is meant, if none lies outside of namespaces.
pub(super) fn name_choice(name: &mut String, tools: &[Tool]) {
    let lies_outside = |tool: &Tool| tool.namespace.is_none() && tool.name == *name;
    let is_chosen = |tool: &&Tool| tool.namespace.as_deref().is_some_and(|space| space.tool == *name);
    if let Some(tool) = tools.iter().find(is_chosen).filter(|_| !tools.iter().any(lies_outside)) {
        *name = tool.name.clone();
    }
}

/// A name as every provider takes it: letters, digits, `_` and `-`, no digit or dash first.
fn legal(name: &str) -> String {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let mut legal: String = name.chars().map(|letter| if is_letter(letter) { letter } else { '_' }).collect();
    if legal.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        legal.insert(0, '_');
    }
    legal.truncate(NAME_CHARS_MAX);
    legal
}

/// The name, or the name with the first number behind it that makes it another.
fn untaken(name: &str, taken: &BTreeSet<String>) -> String {
    if !taken.contains(name) {
        return name.to_owned();
    }
    let numbered = (2_usize..).map(|number| {
        let suffix = format!("_{number}");
        let kept = name.get(..NAME_CHARS_MAX.saturating_sub(suffix.len())).unwrap_or(name);
        format!("{kept}{suffix}")
    });
    numbered.into_iter().find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(namespace: &str, name: &str) -> Tool {
        let space = Namespace { name: namespace.to_owned(), tool: name.to_owned(), ..Namespace::default() };
        let namespace = (!namespace.is_empty()).then(|| Box::new(space));
        Tool { name: name.to_owned(), namespace, ..Tool::default() }
    }

    #[test]
    fn a_tool_goes_by_its_own_name_unless_another_has_it() {
        let check = |tools: &[(&str, &str)], expect: &[&str]| {
            let mut tools: Vec<Tool> = tools.iter().map(|(space, name)| tool(space, name)).collect();
            name_tools(&mut tools);
            assert_eq!(tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), expect);
        };
        check(&[("", "a.b"), ("n", "wait")], &["a.b", "wait"]);
        check(&[("n", "wait"), ("", "wait")], &["n__wait", "wait"]);
        check(&[("n", "wait"), ("m", "wait"), ("m", "go")], &["n__wait", "m__wait", "go"]);
        check(&[("", "n__wait"), ("", "wait"), ("n", "wait")], &["n__wait", "wait", "n__wait_2"]);
        check(&[("n", "x"), ("m", "x"), ("o", "n__x")], &["n__x_2", "m__x", "n__x"]);
        check(&[("n", "get file"), ("n", "1"), ("n", "-")], &["get_file", "_1", "_-"]);
    }

    #[test]
    fn names_stay_short_and_apart() {
        let long = "x".repeat(80);
        let other = format!("{long}y");
        let mut tools = [tool("n", &long), tool("n", &other), tool("n", "x")];
        name_tools(&mut tools);
        let names: BTreeSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names.len(), 3);
        assert!(names.iter().all(|name| name.len() <= NAME_CHARS_MAX), "{names:?}");
    }

    #[test]
    fn the_first_tool_says_what_the_namespace_is_for() {
        let mut tools = [tool("n", "a"), tool("n", "b"), tool("m", "c")];
        for tool in &mut tools {
            let space = tool.namespace.as_deref_mut().unwrap();
            space.description = (space.name == "n").then(|| "Agents.".to_owned());
            space.tool_description = (space.tool != "c").then(|| "Does.".to_owned());
            tool.description = space.tool_description.clone();
        }
        name_tools(&mut tools);
        let said: Vec<Option<&str>> = tools.iter().map(|tool| tool.description.as_deref()).collect();
        assert_eq!(said, [Some("Agents.\n\nDoes."), Some("Does."), None]);
    }
}
