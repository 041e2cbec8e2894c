//! Tools that take free text (OpenAI's `custom`) where a wire knows functions with JSON arguments only.
//!
//! Such a tool is declared as a function of one string, and the string is taken out of the arguments again, whole or
//! as it streams. **Invariant:** the text that comes out of [`InputReader`] is the same for every way of cutting the
//! arguments, and equal to what [`unwrap_input`] gives for the whole.

use super::request::{Tool, ToolKind};
use serde_json::json;

/// The one argument of the function that stands in for a custom tool.
pub const INPUT: &str = "input";

/// The function that stands in for a custom tool; another tool is given back as it is. A grammar is told to the model
/// in words, since no function's schema can hold it.
pub fn as_function(tool: &Tool) -> Tool {
    let ToolKind::Custom { format } = &tool.kind else { return tool.clone() };
    let mut description = tool.description.clone().unwrap_or_default();
    let definition = format.as_ref().and_then(|format| {
        let grammar = format.get("grammar").unwrap_or(format);
        Some((grammar.get("syntax")?.as_str()?, grammar.get("definition")?.as_str()?))
    });
    if let Some((syntax, definition)) = definition {
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        description.push_str(&format!("The input must follow this {syntax} grammar:\n{definition}"));
    }
    Tool {
        name: tool.name.clone(),
        description: (!description.is_empty()).then_some(description),
        parameters: Some(json!({
            "type": "object",
            "properties": { INPUT: { "type": "string", "description": "The tool's whole input, as free text." } },
            "required": [INPUT],
            "additionalProperties": false,
        })),
        strict: None,
        cache_control: tool.cache_control.clone(),
        kind: ToolKind::Function,
        namespace: tool.namespace.clone(),
    }
}

/// A custom tool's input as the arguments of the function that stands in for it.
pub fn wrap_input(input: &str) -> String {
    json!({ INPUT: input }).to_string()
}

/// The input in the arguments of such a function; arguments of another form are the input themselves. Those that are
/// cut give as much of it as is there.
pub fn unwrap_input(arguments: &str) -> String {
    let mut reader = InputReader::default();
    let mut input = reader.push(arguments);
    input.push_str(&reader.finish());
    input
}

/// What stands before the input, white space apart.
const BEGIN: [&str; 4] = ["{", "\"input\"", ":", "\""];

/// White space of JSON.
const SPACE: [char; 4] = [' ', '\n', '\r', '\t'];

/// Takes the input out of arguments that come in pieces. What cannot be told yet is held back until it can.
#[derive(Debug, Default)]
pub struct InputReader {
    held: String,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// [`BEGIN`] has not come whole: so many of its tokens have, in so many bytes of what is held.
    Before { tokens: usize, bytes: usize },
    /// Within the string.
    Inside,
    /// The string has ended.
    After,
    /// The arguments are no such object: they are the input.
    Plain,
}

impl Default for State {
    fn default() -> Self {
        Self::Before { tokens: 0, bytes: 0 }
    }
}

impl InputReader {
    /// Takes the next piece of the arguments and gives the next piece of the input.
    pub fn push(&mut self, delta: &str) -> String {
        self.held.push_str(delta);
        if let State::Before { tokens, bytes } = self.state {
            self.begin(tokens, bytes);
        }
        match self.state {
            State::Before { .. } => String::new(),
            State::Inside => self.read_string(),
            State::After => {
                self.held.clear();
                String::new()
            }
            State::Plain => std::mem::take(&mut self.held),
        }
    }

    /// The arguments have ended: what was held back.
    pub fn finish(&mut self) -> String {
        match self.state {
            State::Before { .. } | State::Plain => std::mem::take(&mut self.held),
            State::Inside | State::After => String::new(),
        }
    }

    /// Reads on in the begin, where it was left.
    fn begin(&mut self, mut tokens: usize, mut bytes: usize) {
        while let Some(token) = BEGIN.get(tokens) {
            let rest = self.held.get(bytes..).unwrap_or_default();
            let trimmed = rest.trim_start_matches(SPACE);
            bytes += rest.len() - trimmed.len();
            if trimmed.len() < token.len() && token.starts_with(trimmed) {
                self.state = State::Before { tokens, bytes };
                return;
            }
            if !trimmed.starts_with(token) {
                self.state = State::Plain;
                return;
            }
            bytes += token.len();
            tokens += 1;
        }
        self.held.drain(..bytes);
        self.state = State::Inside;
    }

    /// Decodes the whole escapes and characters of the string that are there.
    fn read_string(&mut self) -> String {
        let mut input = String::new();
        let mut rest = self.held.as_str();
        while let Some(character) = rest.chars().next() {
            match character {
                '"' => {
                    self.state = State::After;
                    rest = "";
                }
                '\\' => match read_escape(rest) {
                    Some((decoded, after)) => {
                        input.push(decoded);
                        rest = after;
                    }
                    None => break,
                },
                _ => {
                    input.push(character);
                    rest = rest.get(character.len_utf8()..).unwrap_or_default();
                }
            }
        }
        self.held = rest.to_owned();
        input
    }
}

/// The character that an escape at the beginning of `text` stands for, and what follows; `None` when it is not whole.
/// A half of a surrogate pair without its other half, and `\u` without its digits, are the replacement character.
fn read_escape(text: &str) -> Option<(char, &str)> {
    let kind = text.chars().nth(1)?;
    let simple = match kind {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'u' => None,
        other => Some(other),
    };
    if let Some(character) = simple {
        return Some((character, text.get(1 + kind.len_utf8()..)?));
    }
    let Unit::Whole(first) = read_unit(text) else {
        let is_cut = read_unit(text) == Unit::Cut;
        return if is_cut { None } else { Some((char::REPLACEMENT_CHARACTER, text.get(2..)?)) };
    };
    let rest = text.get(6..)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER), rest));
    }
    match read_unit(rest) {
        // The other half may be in the next piece.
        Unit::Cut => None,
        Unit::Whole(second) if (0xdc00..0xe000).contains(&second) => {
            let pair = char::decode_utf16([first, second]).next().and_then(Result::ok);
            Some((pair.unwrap_or(char::REPLACEMENT_CHARACTER), rest.get(6..)?))
        }
        Unit::Whole(_) | Unit::Wrong => Some((char::REPLACEMENT_CHARACTER, rest)),
    }
}

/// `\u` and four digits, at the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
enum Unit {
    Whole(u16),
    /// The text ends within it.
    Cut,
    /// Something else.
    Wrong,
}

fn read_unit(text: &str) -> Unit {
    let Some(digits) = text.strip_prefix("\\u") else {
        return if "\\u".starts_with(text) { Unit::Cut } else { Unit::Wrong };
    };
    let digits = digits.get(..4).unwrap_or(digits);
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u16::from_str_radix(digits, 16) {
        Ok(unit) if is_hexadecimal && digits.len() == 4 => Unit::Whole(unit),
        _ if is_hexadecimal && digits.len() < 4 => Unit::Cut,
        _ => Unit::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(arguments: &str, size: usize) -> String {
        let mut reader = InputReader::default();
        let mut input = String::new();
        let characters: Vec<char> = arguments.chars().collect();
        for piece in characters.chunks(size) {
            input.push_str(&reader.push(&piece.iter().collect::<String>()));
        }
        input.push_str(&reader.finish());
        input
    }

    #[test]
    fn the_input_comes_out_as_it_went_in_however_it_is_cut() {
        for input in
            ["", "*** Begin Patch\n+\"é\u{1F600}\\\n", "a", "\u{1}\t\r\u{8}\u{c}/", "{\"input\":\"x\"}"]
        {
            let arguments = wrap_input(input);
            assert_eq!(unwrap_input(&arguments), input);
            for size in 1..=arguments.chars().count() {
                assert_eq!(streamed(&arguments, size), input, "{size}");
            }
        }
    }

    #[test]
    fn surrogate_pairs_and_spaces_are_read() {
        let arguments = r#" { "input" : "\ud83d\ude00 \ud83d x A" } "#;
        for size in 1..arguments.len() {
            assert_eq!(streamed(arguments, size), "\u{1F600} \u{fffd} x A", "{size}");
        }
    }

    #[test]
    fn arguments_of_another_form_are_the_input() {
        for arguments in ["plain text", "{\"other\":1}", "", "{", "[1]"] {
            for size in 1..=arguments.len().max(1) {
                assert_eq!(streamed(arguments, size), arguments, "{size}");
            }
        }
    }

    #[test]
    fn broken_arguments_give_the_same_input_however_they_are_cut() {
        for (arguments, input) in [
            ("{\"input\":\"", ""),
            ("{\"input\":\"a\\u00", "a"),
            ("{\"input\":\"a\\u00zz\\n", "a\u{fffd}00zz\n"),
            ("{\"input\":\"\\u+123\"}", "\u{fffd}+123"),
            ("{\"input\":\"\\ud83d\\ud83d\\ude00\"}", "\u{fffd}\u{1F600}"),
            ("{\"input\":\"\\ud83d\\u00e9\"}", "\u{fffd}\u{e9}"),
            ("{\"input\":\"\\ude00\"}", "\u{fffd}"),
            ("{\"input\":\"x\",\"input\":\"y\"}", "x"),
            ("{\"other\":1,\"input\":\"x\"}", "{\"other\":1,\"input\":\"x\"}"),
            ("{\u{a0}\"input\":\"x\"}", "{\u{a0}\"input\":\"x\"}"),
        ] {
            assert_eq!(unwrap_input(arguments), input, "{arguments}");
            for size in 1..=arguments.chars().count() {
                assert_eq!(streamed(arguments, size), input, "{arguments} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_grammar_is_told_in_words() {
        let format = json!({"type": "grammar", "syntax": "lark", "definition": "start: \"x\""});
        let tool = Tool {
            name: "apply_patch".to_owned(),
            description: Some("Edits files.".to_owned()),
            kind: ToolKind::Custom { format: Some(format) },
            ..Tool::default()
        };
        let function = as_function(&tool);
        let description = function.description.unwrap();
        assert_eq!(description, "Edits files.\n\nThe input must follow this lark grammar:\nstart: \"x\"");
        assert_eq!(function.kind, ToolKind::Function);
        assert_eq!(function.parameters.unwrap()["required"], json!(["input"]));
    }
}
