//! Which of OpenAI's parameters the Gemini wire expresses, and where those without a field of their own go.
//!
//! Owns the table by OpenAI's names and the allow-list of Gemini's own members. Leaves the fields of the conversation
//! model to `request`. **Invariant:** what the table refuses is refused, or noted as lost where it may be dropped; what
//! it ignores goes without a word; nothing else is left out.

use super::host::Host;
use super::hosted;
use crate::wire::{Capabilities, EncodeOptions, Losses, Support, support};
use serde_json::{Map, Value, json};

/// What this wire does with each of OpenAI's chat parameters.
///
/// `parallel_tool_calls` is translated but for `false` with more than one function; of `audio` the voice is, and the
/// sound is always raw samples.
pub const CAPABILITIES: Capabilities = &[
    ("stream", Support::Takes),
    ("stream_options", Support::Ignores),
    ("temperature", Support::Takes),
    ("top_p", Support::Takes),
    ("top_k", Support::Takes),
    ("max_tokens", Support::Takes),
    ("max_completion_tokens", Support::Takes),
    ("stop", Support::Takes),
    ("seed", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("frequency_penalty", Support::Takes),
    ("n", Support::Takes),
    ("logprobs", Support::Translates),
    ("top_logprobs", Support::Translates),
    ("tools", Support::Translates),
    ("tool_choice", Support::Translates),
    ("functions", Support::Translates),
    ("function_call", Support::Translates),
    ("parallel_tool_calls", Support::Translates),
    ("response_format", Support::Translates),
    ("reasoning_effort", Support::Translates),
    ("thinking", Support::Translates),
    ("modalities", Support::Translates),
    ("audio", Support::Translates),
    ("service_tier", Support::Translates),
    ("web_search_options", Support::Translates),
    ("user", Support::Ignores),
    ("store", Support::Ignores),
    ("metadata", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("logit_bias", Support::Refuses),
    ("prediction", Support::Refuses),
    ("verbosity", Support::Refuses),
];

/// OpenAI's parameters that are sent, as themselves or translated: the rows of [`CAPABILITIES`] that say so, and the two
/// that every wire has.
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
    "audio",
    "service_tier",
    "web_search_options",
];

/// Top-level members of Google's request that a caller may give by their own names.
const NATIVE_TOP_LEVEL: &[&str] = &["safetySettings", "cachedContent", "labels", "modelArmorConfig"];

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
    "audioTimestamp",
    "routingConfig",
    "modelSelectionConfig",
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

/// The caller's members without a field in the conversation model, sorted by where they go.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Natives {
    /// Beside `contents`.
    pub(super) top_level: Map<String, Value>,
    /// Into `generationConfig`; they win over what was translated.
    pub(super) generation: Map<String, Value>,
    /// Entries of `tools`.
    pub(super) tools: Vec<Value>,
    /// The web is to be searched.
    pub(super) searches: bool,
    /// `functionCallingConfig`, for a choice that the conversation model has no field for.
    pub(super) calling: Option<Value>,
    /// Thoughts are wanted and the model is to decide how many.
    pub(super) wants_thoughts: bool,
    /// Names of those that this wire cannot express.
    pub(super) unsupported: Vec<String>,
    /// Annotations that have no place here.
    pub(super) lost: Losses,
    host: Host,
}

impl Natives {
    /// Sorts `extra`. Gemini's own names count in camel case and in snake case; a null is as good as absent.
    pub(super) fn sort(extra: &Map<String, Value>, host: Host, options: &EncodeOptions) -> Self {
        let mut natives = Self { host, ..Self::default() };
        for (name, value) in extra.iter().filter(|(_, value)| !value.is_null()) {
            natives.place(name, value);
        }
        natives.unsupported.retain(|name| !options.allowed_params.contains(name));
        natives
    }

    fn place(&mut self, name: &str, value: &Value) {
        let accepted = match name {
            "modalities" => self.place_modalities(value),
            "audio" => self.place_audio(value),
            "service_tier" => {
                self.place_service_tier(value);
                true
            }
            "web_search_options" => {
                self.searches = true;
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
            _ if support(CAPABILITIES, name) == Support::Ignores => true,
            _ => self.place_native(name, value),
        };
        if !accepted {
            self.unsupported.push(name.to_owned());
        }
    }

    fn place_native(&mut self, name: &str, value: &Value) -> bool {
        let native = camel_case(name);
        if !self.host.takes(&native) {
            return false;
        }
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
            let is_known =
                NATIVE_GENERATION.contains(&native.as_str()) || NATIVE_SAMPLING.contains(&native.as_str());
            if is_known && self.host.takes(&native) {
                self.generation.insert(native, value.clone());
            } else {
                self.unsupported.push(format!("{name}.{member}"));
            }
        }
    }

    /// Text is what Gemini answers unasked.
    fn place_modalities(&mut self, value: &Value) -> bool {
        let Some(wanted) = value.as_array() else { return false };
        let mut native = Vec::with_capacity(wanted.len());
        for modality in wanted {
            match modality.as_str() {
                Some("text") => native.push(json!("TEXT")),
                Some("image") => native.push(json!("IMAGE")),
                Some("audio") => native.push(json!("AUDIO")),
                _ => return false,
            }
        }
        if native.iter().any(|modality| modality != "TEXT") {
            // Gemini's voices say their words or write them, never both; who wants to hear wants the sound.
            let speaks = native.iter().any(|modality| modality == "AUDIO");
            native.retain(|modality| !speaks || modality != "TEXT");
            self.generation.insert("responseModalities".to_owned(), Value::Array(native));
        }
        true
    }

    /// OpenAI's `audio`: the voice goes on by its name; Gemini's sound has one format, which is OpenAI's `pcm16`.
    fn place_audio(&mut self, value: &Value) -> bool {
        let Some(members) = value.as_object() else { return false };
        if let Some(voice) = members.get("voice").and_then(Value::as_str) {
            let config = json!({ "voiceConfig": { "prebuiltVoiceConfig": { "voiceName": voice } } });
            self.generation.entry("speechConfig").or_insert(config);
        }
        if members.get("format").is_some_and(|format| format != "pcm16") {
            self.lost.note("audio.format");
        }
        true
    }

    /// A tier that Google does not have changes no answer.
    fn place_service_tier(&mut self, value: &Value) {
        let tier = match value.as_str() {
            Some("auto") => return,
            Some("default" | "standard" | "standard_only") => "standard",
            Some("flex") => "flex",
            Some("priority") => "priority",
            _ => return self.lost.note("service_tier"),
        };
        self.top_level.insert("serviceTier".to_owned(), json!(tier));
    }

    fn place_tools(&mut self, value: &Value) -> bool {
        let Some(tools) = value.as_array() else { return false };
        for tool in tools {
            match hosted::read(tool, self.host) {
                Some(hosted::Hosted::Search) => self.searches = true,
                Some(hosted::Hosted::Tool(tool)) => self.tools.push(tool),
                None => return false,
            }
        }
        true
    }
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
    let name = |tool: &Value| {
        let holder = tool.get("function").or_else(|| tool.get("custom"))?;
        holder.get("name")?.as_str().map(str::to_owned)
    };
    let names: Option<Vec<String>> = tools.map(name).collect();
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
