//! Which of the caller's parameters the Gemini wire expresses, and where those without a field of their own go.
//!
//! Owns the three tables by OpenAI name and the allow-list of Gemini's own members. Leaves the fields of the
//! conversation model to `request`. **Invariant:** a name is in exactly one of the three tables.

use serde_json::{Map, Value, json};

/// OpenAI parameters that are sent, as themselves or translated.
pub const SUPPORTED_PARAMS: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "modalities",
    "service_tier",
    "web_search_options",
];

/// OpenAI parameters that are left out without a word: they change nothing in the answer.
pub const IGNORED_PARAMS: &[&str] =
    &["user", "store", "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"];

/// OpenAI parameters that Gemini cannot express: refused, or left out where parameters may be dropped.
/// `parallel_tool_calls` is supported but for `false` with more than one function, `modalities` but for `audio`.
pub const UNSUPPORTED_PARAMS: &[&str] = &["logit_bias", "audio", "prediction", "verbosity"];

/// Top-level members of Google's request that a caller may give by their own names.
const NATIVE_TOP_LEVEL: &[&str] = &["safetySettings", "cachedContent"];

/// Members of `generationConfig` that a caller may give at the top level of the body, as LiteLLM lets them.
const NATIVE_GENERATION: &[&str] = &[
    "responseModalities",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
    "thinkingConfig",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "enableEnhancedCivicAnswers",
];

/// Members of `generationConfig` that a caller may give only inside `generationConfig`: at the top level their
/// OpenAI names are fields of the conversation model.
const NATIVE_SAMPLING: &[&str] = &[
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
];

/// Tools that run at Google, and functions declared in Google's own form.
const NATIVE_TOOLS: &[&str] = &[
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "googleMaps",
    "computerUse",
    "fileSearch",
    "functionDeclarations",
];

/// The caller's members without a field in the conversation model, sorted by where they go.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Natives {
    /// Beside `contents`.
    pub(super) top_level: Map<String, Value>,
    /// Into `generationConfig`; they win over what was translated.
    pub(super) generation: Map<String, Value>,
    /// Entries of `tools`.
    pub(super) tools: Vec<Value>,
    /// `functionCallingConfig`, for a choice that the conversation model has no field for.
    pub(super) calling: Option<Value>,
    /// Thoughts are wanted and the model is to decide how many.
    pub(super) wants_thoughts: bool,
    /// Names of those that this wire cannot express.
    pub(super) unsupported: Vec<String>,
}

impl Natives {
    /// Sorts `extra`. Gemini's own names count in camel case and in snake case; a null is as good as absent.
    pub(super) fn sort(extra: &Map<String, Value>) -> Self {
        let mut natives = Self::default();
        for (name, value) in extra.iter().filter(|(_, value)| !value.is_null()) {
            natives.place(name, value);
        }
        natives
    }

    fn place(&mut self, name: &str, value: &Value) {
        let accepted = match name {
            _ if IGNORED_PARAMS.contains(&name) || name == "stream_options" => true,
            "modalities" => self.place_modalities(value),
            "service_tier" => self.place_service_tier(value),
            "web_search_options" => {
                self.tools.push(json!({ "googleSearch": {} }));
                true
            }
            "tools" => self.place_tools(value),
            "tool_choice" => {
                self.calling = allowed_tools(value);
                self.calling.is_some()
            }
            // Anthropic's third kind; Gemini decides by itself where nothing is said.
            "thinking" => {
                self.wants_thoughts = value.get("type").is_some_and(|kind| kind == "adaptive");
                self.wants_thoughts
            }
            "generationConfig" | "generation_config" => return self.place_generation(name, value),
            _ => self.place_native(name, value),
        };
        if !accepted {
            self.unsupported.push(name.to_owned());
        }
    }

    fn place_native(&mut self, name: &str, value: &Value) -> bool {
        let native = camel_case(name);
        if NATIVE_TOP_LEVEL.contains(&native.as_str()) {
            self.top_level.insert(native, value.clone());
            return true;
        }
        if NATIVE_GENERATION.contains(&native.as_str()) {
            self.generation.insert(native, value.clone());
            return true;
        }
        false
    }

    fn place_generation(&mut self, name: &str, value: &Value) {
        let Value::Object(members) = value else {
            self.unsupported.push(name.to_owned());
            return;
        };
        for (member, value) in members {
            let native = camel_case(member);
            if NATIVE_GENERATION.contains(&native.as_str()) || NATIVE_SAMPLING.contains(&native.as_str()) {
                self.generation.insert(native, value.clone());
            } else {
                self.unsupported.push(format!("{name}.{member}"));
            }
        }
    }

    /// Text is what Gemini answers unasked. Audio output would need a voice and an answer part that OpenAI's reply
    /// has no equal for.
    fn place_modalities(&mut self, value: &Value) -> bool {
        let Some(wanted) = value.as_array() else { return false };
        let mut native = Vec::with_capacity(wanted.len());
        for modality in wanted {
            match modality.as_str() {
                Some("text") => native.push(json!("TEXT")),
                Some("image") => native.push(json!("IMAGE")),
                _ => return false,
            }
        }
        if native.iter().any(|modality| modality != "TEXT") {
            self.generation.insert("responseModalities".to_owned(), Value::Array(native));
        }
        true
    }

    fn place_service_tier(&mut self, value: &Value) -> bool {
        let tier = match value.as_str() {
            Some("auto") => return true,
            Some("default" | "standard" | "standard_only") => "standard",
            Some("flex") => "flex",
            Some("priority") => "priority",
            _ => return false,
        };
        self.top_level.insert("serviceTier".to_owned(), json!(tier));
        true
    }

    fn place_tools(&mut self, value: &Value) -> bool {
        let Some(tools) = value.as_array() else { return false };
        let mut native = Vec::with_capacity(tools.len());
        for tool in tools {
            match native_tool(tool) {
                Some(tool) => native.push(tool),
                None => return false,
            }
        }
        self.tools.append(&mut native);
        true
    }
}

/// A tool in Google's own form, or OpenAI's and Anthropic's web search, which is Google's search here.
fn native_tool(tool: &Value) -> Option<Value> {
    let members = tool.as_object()?;
    if let Some(kind) = members.get("type").and_then(Value::as_str) {
        return kind.starts_with("web_search").then(|| json!({ "googleSearch": {} }));
    }
    if members.is_empty() {
        return None;
    }
    let mut native = Map::with_capacity(members.len());
    for (name, value) in members {
        let name = camel_case(name);
        if !NATIVE_TOOLS.contains(&name.as_str()) {
            return None;
        }
        native.insert(name, value.clone());
    }
    Some(Value::Object(native))
}

/// OpenAI's `allowed_tools`: some of the declared functions, freely (`auto`) or at least one of them (`required`).
fn allowed_tools(choice: &Value) -> Option<Value> {
    let allowed = choice.get("allowed_tools")?;
    // Google takes names with `ANY` and with `VALIDATED`, which leaves the model the choice to call nothing.
    let mode = match allowed.get("mode")?.as_str()? {
        "auto" => "VALIDATED",
        "required" => "ANY",
        _ => return None,
    };
    let tools = allowed.get("tools")?.as_array()?.iter();
    let names: Option<Vec<&str>> = tools.map(|tool| tool.get("function")?.get("name")?.as_str()).collect();
    Some(json!({ "mode": mode, "allowedFunctionNames": names? }))
}

/// `safety_settings` becomes `safetySettings`; a name without an underscore stays as it is.
pub(super) fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' && !camel.is_empty() {
            upper = true;
        } else if upper {
            camel.extend(letter.to_uppercase());
            upper = false;
        } else {
            camel.push(letter);
        }
    }
    camel
}
