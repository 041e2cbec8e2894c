//! What a request can use at most, and about what it will: read off its members before anything is sent.
//!
//! Owns the bound of each kind of content and of each kind of call: text, pictures, sound, documents, answers, searches,
//! speech, rankings. Leaves prices to the catalogue, and what is reserved to those who hold accounts.
//!
//! A prompt's text has at most one token for each of its bytes: every vocabulary that is sold falls back to bytes. What
//! is no text has its provider's published maximum. What cannot be measured here (documents, turns that the provider
//! keeps, tools that it runs itself) is as much as the model can read.
//!
//! **Invariant:** whatever a member says twice, or in a way that one provider may read and another not, counts as the
//! more. **Invariant:** nothing here makes a JSON tree; a body without pictures, sound and tools is passed over once.

mod pictures;
mod prompt;
mod tools;
mod units;

use super::receive::Received;
use crate::surface::Surface;
use crate::target::Target;
use prompt::Prompt;
use std::time::Duration;
use tollgate_catalog::{Bounds, CacheWrites, SearchContextSize, Served};
use tollgate_dialect::json::{Object, Value};
use tollgate_dialect::multipart::Form;
use tools::Tools;
use units::Task;

/// Most tokens of an answer where neither the request nor anything that is known of the model limits it.
pub(crate) const OUTPUT_TOKENS_DEFAULT: u64 = 32_768;
/// Most tokens of a prompt that cannot be measured, for a model whose window is not known: the largest that is common.
const WINDOW_DEFAULT: u64 = 1_048_576;
/// Tokens around a prompt beyond its bytes, at those who say how they count (OpenAI's cookbook: three, and four for each
/// message, which has more bytes than that).
const OVERHEAD_KNOWN: u64 = 8;
/// The same elsewhere: a template may have a preamble of its own.
const OVERHEAD_UNKNOWN: u64 = 128;
/// What tools, or a form that the answer is to have, add beyond their bytes.
const OVERHEAD_TOOLS: u64 = 64;
/// The same for Anthropic's models: the table of its guide to tools has up to 735 for one, and 530 around them all.
const OVERHEAD_TOOLS_CLAUDE: u64 = 2_048;

/// A request's words: its members or its form, and what it wants left out of them.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    /// Its top-level members; none where it is a form.
    pub(crate) object: &'a Object<'a>,
    /// Its fields, where it is one.
    pub(crate) form: Option<&'a Form<'a>>,
    /// Parameters that are left out before it is sent (`additional_drop_params`).
    pub(crate) dropped: &'a [String],
}

impl<'a> Words<'a> {
    /// Those of a request as it goes out: with the turns before it, where they are stored here.
    pub(crate) fn of(received: &'a Received<'a>) -> Self {
        let whole = received.extended.as_deref().unwrap_or(received);
        Self {
            object: &whole.object,
            form: received.form.as_ref(),
            dropped: &received.overrides.additional_drop_params,
        }
    }

    /// A member that is there and not null.
    fn get(&self, name: &str) -> Option<Value<'a>> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A member of a member, under any of the spellings of both.
    fn get_in(&self, outer: &[&str], inner: &[&str]) -> Vec<Value<'a>> {
        let objects = outer.iter().filter_map(|name| self.get(name)?.as_object());
        objects
            .flat_map(|object| inner.iter().filter_map(move |name| object.get(name)).collect::<Vec<_>>())
            .collect()
    }
}

/// What is known of whoever is to answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelFacts<'a> {
    /// The provider's name in the catalogue.
    pub(crate) provider: &'a str,
    /// The model as the provider names it.
    pub(crate) model: &'a str,
    /// Most tokens of a prompt.
    pub(crate) context_window: Option<u64>,
    /// Most tokens of an answer.
    pub(crate) output_tokens_max: Option<u64>,
    /// How long an attempt may take.
    pub(crate) time_max: Duration,
    /// Parameters that are sent when the caller gave none: name, JSON text.
    pub(crate) defaults: &'a [(String, String)],
    /// Parameters that are left out before sending.
    pub(crate) dropped: &'a [String],
}

impl<'a> ModelFacts<'a> {
    /// Those of a deployment, of which an attempt may take so long.
    pub(crate) fn of(target: &'a Target, time_max: Duration) -> Self {
        Self {
            provider: target.provider.name,
            model: &target.model,
            context_window: target.profile.context_window,
            output_tokens_max: target.options.default_max_tokens,
            time_max,
            defaults: &target.defaults,
            dropped: &target.always_dropped,
        }
    }

    fn default_number(&self, names: &[&str]) -> Option<u64> {
        let named = self.defaults.iter().filter(|(name, _)| names.contains(&name.as_str()));
        named.filter_map(|(_, json)| json.trim().parse().ok()).max()
    }

    fn default(&self, name: &str) -> Option<&'a str> {
        self.defaults.iter().find(|(known, _)| known == name).map(|(_, json)| json.as_str())
    }

    /// Bytes of what the operator puts into a prompt: tools, a form of the answer.
    fn default_bytes(&self) -> u64 {
        let is_long = |json: &&str| json.trim_start().starts_with(['[', '{']);
        let texts = self.defaults.iter().map(|(_, json)| json.as_str());
        texts.filter(is_long).map(|json| json.len() as u64).sum()
    }

    fn window(&self) -> u64 {
        self.context_window.unwrap_or(WINDOW_DEFAULT)
    }

    /// The model's name says that it makes something other than text.
    fn makes_media(&self) -> bool {
        const WORDS: [&str; 9] =
            ["audio", "image", "realtime", "live", "tts", "sonic", "omni", "voice", "banana"];
        let name = self.model.to_ascii_lowercase();
        WORDS.iter().any(|word| name.contains(word))
    }
}

/// What a request uses, as far as that depends on nobody but itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestBounds {
    /// About how many tokens the prompt has, for limits on tokens: four bytes each, and a common picture's.
    pub(crate) estimate_input_tokens: u64,
    /// Most tokens of one answer, as the request says it.
    pub(crate) asked_output_tokens: Option<u64>,
    /// Answers that are made.
    pub(crate) choices: u64,
    /// The tiers at which it asks to be billed.
    served: Option<Served>,
    prompt: Prompt,
    tools: Tools,
    task: Task,
    asks_media: bool,
    search_context_size: Option<SearchContextSize>,
}

/// The names of an answer's maximum at the top of a body; what a request wants dropped of them is not believed.
const MAXIMA: [&str; 5] =
    ["max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens"];

impl RequestBounds {
    /// What a request says of itself.
    pub(crate) fn of(surface: Surface, words: Words<'_>) -> Self {
        let prompt = Prompt::survey(surface, &words);
        let task = Task::of(surface, &words, &prompt);
        let tools = Tools::of(&words);
        let is_believed = !MAXIMA.iter().any(|name| words.dropped.iter().any(|dropped| dropped == name));
        let text = |name: &str| words.get(name).and_then(|value| Some(value.as_str()?.into_owned()));
        // Anthropic's fast mode has a name of its own.
        let fast = || text("speed").filter(|speed| speed == "fast");
        let tier = if surface == Surface::Messages { fast() } else { None }.or_else(|| text("service_tier"));
        Self {
            estimate_input_tokens: prompt.estimate(),
            asked_output_tokens: maximum(surface, &words).filter(|_| is_believed),
            choices: choices(surface, &words),
            served: tier.map(|tier| Served::from_name(Some(&tier))),
            asks_media: asks_media(surface, &words),
            search_context_size: tools.search_context_size,
            prompt,
            tools,
            task,
        }
    }

    /// The tiers at which it may be billed.
    pub(crate) fn served(&self, facts: &ModelFacts<'_>) -> Served {
        let default = || Served::from_name(facts.default("service_tier").map(|json| json.trim_matches('"')));
        self.served.unwrap_or_else(default)
    }

    /// The most that it can use of a model.
    pub(crate) fn at(&self, facts: &ModelFacts<'_>) -> Bounds {
        let has_default = |names: &[&str]| names.iter().any(|name| facts.default(name).is_some());
        let makes_media = self.asks_media || facts.makes_media() || has_default(&["modalities", "audio"]);
        let image_tokens = self.prompt.image_tokens(facts);
        let measured = self
            .prompt
            .text_tokens
            .saturating_add(self.overhead(facts))
            .saturating_add(facts.default_bytes())
            .saturating_add(image_tokens)
            .saturating_add(self.prompt.audio_tokens);
        let runs_tools = self.tools.run_at_provider || has_default(&["tools", "web_search_options"]);
        let is_open = self.prompt.is_open || runs_tools;
        let input_tokens = if is_open { measured.max(facts.window()) } else { measured };
        let of_kind = |tokens: u64| if self.prompt.is_open { input_tokens } else { tokens };
        let mut bounds = Bounds {
            input_tokens,
            input_audio_tokens: of_kind(self.prompt.audio_tokens),
            input_image_tokens: of_kind(image_tokens),
            // A film is one of the things that cannot be measured.
            input_video_tokens: of_kind(0),
            citation_tokens: if facts.provider == "perplexity" { facts.window() } else { 0 },
            cache_writes: self.cache_writes(facts),
            output_tokens: self.output_tokens(facts),
            choices: self.choices.max(facts.default_number(&["n"]).unwrap_or(1)),
            may_speak: makes_media,
            may_draw: makes_media,
            elapsed_ms: u64::try_from(facts.time_max.as_millis()).unwrap_or(u64::MAX),
            web_searches: self.searches(facts),
            map_queries: self.tools.map_queries,
            file_searches: self.tools.file_searches,
            code_sessions: self.tools.code_sessions,
            search_context_size: self.search_context_size,
            ..Bounds::default()
        };
        self.task.bound(&mut bounds);
        bounds
    }

    /// The most that the next answer of a session can use, whose conversation has so many tokens at most; any of them may
    /// be sound or pictures, and so may the answer.
    pub(crate) fn of_answer(&self, facts: &ModelFacts<'_>, conversation: u64) -> Bounds {
        let around = self.overhead(facts).saturating_add(facts.default_bytes());
        let input_tokens = conversation.saturating_add(around).min(facts.window());
        Bounds {
            input_tokens,
            input_audio_tokens: input_tokens,
            input_image_tokens: input_tokens,
            may_speak: true,
            ..self.at(facts)
        }
    }

    /// The same request with so many bytes of text more, such as what a broken stream has sent.
    pub(crate) fn and_text(mut self, bytes: u64) -> Self {
        self.prompt.text_tokens = self.prompt.text_tokens.saturating_add(bytes);
        self.estimate_input_tokens = self.prompt.estimate();
        self
    }

    /// The same request with so many tokens of text in all.
    fn with_text_tokens(mut self, tokens: u64) -> Self {
        // An estimate by length too, should the provider count by another vocabulary than it has published.
        let tokens = tokens.max(self.prompt.text_tokens.div_ceil(prompt::BYTES_PER_TOKEN));
        self.prompt.text_tokens = tokens.min(self.prompt.text_tokens);
        self.prompt.is_counted = true;
        self
    }

    /// The same request with its prompt counted by the model's vocabulary, or byte by byte where that is not known:
    /// less than a body's bytes, for whoever would be refused for the difference. Unchanged where counting does not
    /// tell all of the prompt.
    pub(crate) async fn counted(self, surface: Surface, received: &Received<'_>, model: &str) -> Self {
        if !self.may_be_counted() {
            return self;
        }
        let Ok(conversation) = received.conversation(surface) else { return self };
        match crate::counting::most_here(conversation, model).await {
            Some(tokens) => self.with_text_tokens(tokens),
            None => self,
        }
    }

    /// Whether counting the text tokens tells all of the prompt, and is worth it: no tools, no pictures, and few bytes.
    fn may_be_counted(&self) -> bool {
        const COUNTED_BYTES_MAX: u64 = 4 << 10;
        let is_plain = !self.prompt.has_tools && !self.prompt.is_open && !self.prompt.has_media();
        is_plain && self.task == Task::Talk && self.prompt.text_tokens <= COUNTED_BYTES_MAX
    }

    fn overhead(&self, facts: &ModelFacts<'_>) -> u64 {
        if self.prompt.is_counted {
            return 0;
        }
        let is_known = matches!(
            facts.provider,
            "openai" | "azure" | "azure_ai" | "anthropic" | "gemini" | "vertex_ai" | "bedrock" | "cohere"
        );
        let around = if is_known { OVERHEAD_KNOWN } else { OVERHEAD_UNKNOWN };
        match (self.prompt.has_tools, is_claude(facts.model)) {
            (false, _) => around,
            (true, true) => around + OVERHEAD_TOOLS_CLAUDE,
            (true, false) => around + OVERHEAD_TOOLS,
        }
    }

    /// Anthropic's and Amazon's models keep what they are told to; others keep what they like.
    fn cache_writes(&self, facts: &ModelFacts<'_>) -> CacheWrites {
        let name = facts.model.to_ascii_lowercase();
        let waits_to_be_told = ["claude", "nova"].iter().any(|family| name.contains(family));
        match () {
            () if waits_to_be_told && !self.prompt.asks_cache => CacheWrites::No,
            () if waits_to_be_told && !self.prompt.asks_hour => CacheWrites::Minutes,
            () => CacheWrites::Hour,
        }
    }

    /// What was asked for, or the operator's default, each at most what the model can; else that.
    fn output_tokens(&self, facts: &ModelFacts<'_>) -> u64 {
        let names = |name: &str| facts.dropped.iter().any(|dropped| dropped == name);
        let asked = self.asked_output_tokens.filter(|_| !MAXIMA.into_iter().any(names));
        let asked = asked.or_else(|| facts.default_number(&MAXIMA)).filter(|asked| *asked > 0);
        let possible = facts.output_tokens_max.or(facts.context_window);
        match (asked, possible) {
            (Some(asked), Some(possible)) => asked.min(possible),
            (asked, possible) => asked.or(possible).unwrap_or(OUTPUT_TOKENS_DEFAULT),
        }
    }

    /// Some models search whatever they are asked.
    fn searches(&self, facts: &ModelFacts<'_>) -> u64 {
        let name = facts.model.to_ascii_lowercase();
        let is_default = facts.default("web_search_options").or_else(|| facts.default("tools")).is_some();
        let always = facts.provider == "perplexity" || name.contains("search") || is_default;
        if always { self.tools.searches.max(tools::SEARCHES_DEFAULT) } else { self.tools.searches }
    }
}

fn is_claude(model: &str) -> bool {
    model.to_ascii_lowercase().contains("claude")
}

/// The request's own maximum: the largest of those that some provider of that dialect may read.
fn maximum(surface: Surface, words: &Words<'_>) -> Option<u64> {
    let top: &[&str] = match surface {
        Surface::Chat => &["max_completion_tokens", "max_tokens"],
        Surface::Responses => &["max_output_tokens"],
        Surface::Completions | Surface::Messages | Surface::CohereChat => &["max_tokens"],
        Surface::GenerateContent | Surface::Converse => &[],
        _ => &["max_completion_tokens", "max_tokens", "max_output_tokens"],
    };
    let plain = top.iter().filter_map(|name| words.get(name)?.as_u64()).max();
    let nested = match surface {
        Surface::GenerateContent => words
            .get_in(&["generationConfig", "generation_config"], &["maxOutputTokens", "max_output_tokens"]),
        Surface::Converse => words.get_in(&["inferenceConfig"], &["maxTokens"]),
        _ => Vec::new(),
    };
    let nested = nested.iter().filter_map(Value::as_u64).max();
    plain.max(nested).filter(|maximum| *maximum > 0)
}

/// How many answers are made, and billed.
fn choices(surface: Surface, words: &Words<'_>) -> u64 {
    let number = |name: &str| words.get(name).and_then(|value| value.as_u64()).unwrap_or(1);
    let choices = match surface {
        Surface::Chat => number("n"),
        Surface::Completions => {
            let prompts = words.get("prompt").map_or(1, |prompt| prompts_of(&prompt));
            number("n").max(number("best_of")).saturating_mul(prompts)
        }
        Surface::GenerateContent => {
            let named = words
                .get_in(&["generationConfig", "generation_config"], &["candidateCount", "candidate_count"]);
            named.iter().filter_map(Value::as_u64).max().unwrap_or(1)
        }
        Surface::Passed(_) => number("n").max(number("best_of")),
        _ => 1,
    };
    choices.max(1)
}

/// Prompts of a completion: a list of texts, or of lists of tokens, is as many; one list of tokens is one.
fn prompts_of(prompt: &Value<'_>) -> u64 {
    use tollgate_dialect::json::Kind;
    let several =
        prompt.array_items().filter(|item| matches!(item.kind(), Kind::String | Kind::Array)).count();
    (several as u64).max(1)
}

/// Whether the answer may be something other than text.
fn asks_media(surface: Surface, words: &Words<'_>) -> bool {
    match surface {
        Surface::GenerateContent => {
            let config = &["generationConfig", "generation_config"];
            let named = ["responseModalities", "response_modalities", "speechConfig", "speech_config"];
            !words.get_in(config, &named).is_empty()
        }
        Surface::Realtime => true,
        _ => words.get("modalities").is_some() || words.get("audio").is_some(),
    }
}

#[cfg(test)]
mod tests;
