//! How long a prompt can be: text, pictures, sound, and what cannot be measured.
//!
//! Owns passing over the members that a provider may read, and finding what is no text within them. Leaves what a picture
//! is worth to `pictures`. **Invariant:** a member counts as text unless it is known that no model reads it; what is taken
//! out of the text is counted as what it is.

use super::{ModelFacts, Words, pictures};
use crate::surface::Surface;
use memchr::memmem::Finder;
use std::sync::LazyLock;
use tollgate_dialect::json::{Kind, Object, Value};
use tollgate_dialect::wire::Dialect;

/// Bytes of text per token: OpenAI's rule of thumb for English.
pub(super) const BYTES_PER_TOKEN: u64 = 4;
/// Bytes of base64 per token of sound. Google counts 32 tokens for a second, OpenAI ten; a second of the leanest speech
/// that is sent has some 500 bytes, 670 in base64.
const SOUND_BYTES_PER_TOKEN: u64 = 16;
/// Tokens around a sound.
const SOUND_OVERHEAD: u64 = 64;
/// A picture of a size that nobody knows, for an estimate: four of OpenAI's tiles and their base.
const IMAGE_ESTIMATE: u64 = 765;
/// How deep within a message content is looked for; no dialect has it deeper.
const DEPTH_MAX: u32 = 8;

/// What a prompt has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Most tokens of its text: the bytes of what a model may read, or a count of them.
    pub(super) text_tokens: u64,
    /// The text was counted.
    pub(super) is_counted: bool,
    /// Pictures.
    pub(super) images: u64,
    /// Pictures that are to be looked at from afar (`detail: low`), not among those.
    pub(super) images_low: u64,
    /// Most tokens of sound.
    pub(super) audio_tokens: u64,
    /// Something in it cannot be measured.
    pub(super) is_open: bool,
    /// It has tools, or a form that the answer is to have.
    pub(super) has_tools: bool,
    /// It tells the provider to keep some of it.
    pub(super) asks_cache: bool,
    /// For an hour.
    pub(super) asks_hour: bool,
}

impl Prompt {
    /// Passes over a request's members.
    pub(super) fn survey(surface: Surface, words: &Words<'_>) -> Self {
        let mut prompt = Self { is_open: is_continued(surface, words), ..Self::default() };
        for member in words.object.members() {
            if !matches!(member.value.kind(), Kind::String | Kind::Array | Kind::Object) {
                continue;
            }
            let text = member.value.text();
            match &*member.name {
                name if is_never_read(name) => continue,
                "images" if surface.is_embedding() => {
                    prompt.images += member.value.array_items().count() as u64;
                    continue;
                }
                "tools" | "functions" | "toolConfig" | "response_format" | "output_config"
                | "output_format" | "text" => {
                    prompt.has_tools = true;
                    prompt.text_tokens += text.len() as u64;
                }
                _ => {
                    prompt.text_tokens += text.len() as u64;
                    if may_have_media(surface, text) {
                        prompt.look(surface.dialect(), member.value, DEPTH_MAX);
                    }
                }
            }
        }
        prompt.read_form(surface, words);
        prompt.note_cache(surface, words);
        prompt
    }

    /// About how many tokens it has.
    pub(super) fn estimate(&self) -> u64 {
        let pictures = self.images.saturating_mul(IMAGE_ESTIMATE) + self.images_low * pictures::LOW_ESTIMATE;
        self.text_tokens.div_ceil(BYTES_PER_TOKEN).saturating_add(pictures).saturating_add(self.audio_tokens)
    }

    /// It has something that is no text.
    pub(super) fn has_media(&self) -> bool {
        self.images + self.images_low + self.audio_tokens > 0
    }

    /// Most tokens of its pictures.
    pub(super) fn image_tokens(&self, facts: &ModelFacts<'_>) -> u64 {
        if self.images + self.images_low == 0 {
            return 0;
        }
        let (full, low) = pictures::tokens_max(facts.provider, facts.model);
        self.images.saturating_mul(full).saturating_add(self.images_low.saturating_mul(low))
    }

    fn note_cache(&mut self, surface: Surface, words: &Words<'_>) {
        static POINT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("achePoint"));
        static HOUR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("1h\""));
        let texts = || words.object.members().map(|member| member.value.raw());
        let has = |finder: &Finder<'_>| texts().any(|text| finder.find(text).is_some());
        self.asks_cache = words.object.mentions().foreign_content
            || words.get("cache_control").is_some()
            || (surface == Surface::Converse && (has(&POINT) || has(&ESCAPE)));
        self.asks_hour = self.asks_cache && (has(&HOUR) || has(&ESCAPE));
    }

    /// The fields of a form, and its files where they are pictures.
    fn read_form(&mut self, surface: Surface, words: &Words<'_>) {
        let Some(form) = words.form else { return };
        let shows_pictures = matches!(surface, Surface::ImageEdit | Surface::ImageVariation);
        for field in form.fields() {
            match field.is_file {
                true => self.images += u64::from(shows_pictures),
                false => self.text_tokens += field.value.len() as u64,
            }
        }
    }

    /// Looks for what is no text, and takes it out of the text.
    fn look(&mut self, dialect: Dialect, value: Value<'_>, depth_left: u32) {
        let Some(depth_left) = depth_left.checked_sub(1) else { return };
        match value.kind() {
            Kind::Array => value.array_items().for_each(|item| self.look(dialect, item, depth_left)),
            Kind::Object => {
                // What names a member twice may be read as anything.
                let Some(object) = value.as_object() else {
                    self.is_open = true;
                    return;
                };
                match content(dialect, &object) {
                    Content::Other => {
                        // What the model said before, by its name at the provider (OpenAI's `audio.id`).
                        let said = object.get("audio").and_then(|audio| audio.as_object()?.get("id"));
                        self.is_open |= said.is_some();
                        let within = object.members().filter(|member| !is_arbitrary(&member.name));
                        within.for_each(|member| self.look(dialect, member.value, depth_left));
                    }
                    Content::Arbitrary => {}
                    found => self.take(found, value.text().len() as u64),
                }
            }
            _ => {}
        }
    }

    /// Counts a piece of content as what it is, and not as text of so many bytes.
    fn take(&mut self, content: Content, bytes: u64) {
        self.text_tokens = self.text_tokens.saturating_sub(bytes);
        match content {
            Content::Image { is_low: false } => self.images += 1,
            Content::Image { is_low: true } => self.images_low += 1,
            Content::Sound => {
                let tokens = bytes.div_ceil(SOUND_BYTES_PER_TOKEN) + SOUND_OVERHEAD;
                self.audio_tokens = self.audio_tokens.saturating_add(tokens);
            }
            Content::Open | Content::Other | Content::Arbitrary => self.is_open = true,
        }
    }
}

static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u"));

/// What one of the names of content that says its type has in it.
const TYPED: [&str; 8] =
    ["image", "audio", "video", "file", "document", "screenshot", "item_reference", "container_upload"];

/// Whether a text can have anything but text in it: every dialect gives such content away by a name, unless that is
/// written with escapes.
pub(super) fn may_have_media(surface: Surface, text: &str) -> bool {
    static TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"type\""));
    static WORDS: LazyLock<[Finder<'static>; 8]> = LazyLock::new(|| TYPED.map(Finder::new));
    static DATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ata\""));
    static SOURCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"source\""));
    let has = |finder: &Finder<'_>| finder.find(text.as_bytes()).is_some();
    let is_given_away = match surface.dialect() {
        Dialect::Gemini => has(&DATA),
        Dialect::Bedrock => has(&SOURCE),
        _ => has(&TYPE) && WORDS.iter().any(has),
    };
    is_given_away || has(&ESCAPE)
}

/// The request goes on from what the provider has.
fn is_continued(surface: Surface, words: &Words<'_>) -> bool {
    let any = |names: &[&str]| names.iter().any(|name| words.get(name).is_some());
    match surface {
        Surface::Responses => any(&["previous_response_id", "conversation", "prompt"]),
        Surface::GenerateContent => any(&["cachedContent", "cached_content"]),
        Surface::Messages => any(&["container", "mcp_servers"]),
        _ => false,
    }
}

/// Members of which no model reads anything, and which may be long.
fn is_never_read(name: &str) -> bool {
    matches!(
        name,
        "model"
            | "metadata"
            | "litellm_metadata"
            | "user"
            | "stream_options"
            | "reasoning_effort"
            | "service_tier"
            | "fallbacks"
            | "context_window_fallbacks"
            | "content_policy_fallbacks"
            | "router_settings_override"
            | "guardrails"
            | "cache"
            | "tags"
            | "logit_bias"
            | "modalities"
            | "encoding_format"
            | "additional_drop_params"
            | "allowed_openai_params"
            | "generationConfig"
            | "inferenceConfig"
            | "safetySettings"
            | "requestMetadata"
            | "previous_response_id"
            | "prompt_cache_key"
            | "safety_identifier"
            | "include"
    )
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Image {
        is_low: bool,
    },
    Sound,
    /// A document, a film, or something that the provider has.
    Open,
    /// A call's arguments or results: text, whatever they look like.
    Arbitrary,
    /// Nothing by itself.
    Other,
}

/// The members that hold a caller's own JSON, which a model reads as text.
fn is_arbitrary(name: &str) -> bool {
    matches!(
        name,
        "json"
            | "input_schema"
            | "parameters"
            | "functionCall"
            | "functionResponse"
            | "toolUse"
            | "arguments"
    )
}

fn content(dialect: Dialect, object: &Object<'_>) -> Content {
    match dialect {
        Dialect::Gemini => googles_content(object),
        Dialect::Bedrock => amazons_content(object),
        _ => typed_content(object),
    }
}

/// A part that says its type.
fn typed_content(object: &Object<'_>) -> Content {
    let Some(kind) = object.get("type").and_then(|kind| kind.as_str()) else { return Content::Other };
    match &*kind {
        "image_url" | "input_image" | "image" | "computer_screenshot" | "image_generation_call" => {
            Content::Image { is_low: is_low(object) }
        }
        "input_audio" | "audio" => Content::Sound,
        "document" if has_text_source(object) => Content::Other,
        "file" | "input_file" | "document" | "video_url" | "video" | "input_video" | "item_reference"
        | "container_upload" => Content::Open,
        "tool_use" | "server_tool_use" | "function_call" | "mcp_call" | "function" => Content::Arbitrary,
        _ => Content::Other,
    }
}

/// A part that is named after what it has.
fn googles_content(object: &Object<'_>) -> Content {
    for name in ["inlineData", "inline_data", "fileData", "file_data"] {
        if let Some(blob) = object.get(name).and_then(|blob| blob.as_object()) {
            return blob_content(&blob, name.starts_with("inline"));
        }
    }
    Content::Other
}

/// The same at Amazon.
fn amazons_content(object: &Object<'_>) -> Content {
    let is_blob = |name: &str| object.get(name).is_some_and(|value| value.kind() == Kind::Object);
    match () {
        () if is_blob("image") => Content::Image { is_low: false },
        () if ["document", "video", "audio"].into_iter().any(is_blob) => Content::Open,
        () => Content::Other,
    }
}

/// `detail: low`, in the part or in its address.
fn is_low(object: &Object<'_>) -> bool {
    let own = object.get("detail");
    let within = || object.get("image_url")?.as_object()?.get("detail");
    own.or_else(within).and_then(|detail| detail.as_str()).as_deref() == Some("low")
}

/// Anthropic's documents of plain text, and of blocks.
fn has_text_source(object: &Object<'_>) -> bool {
    let source = object.get("source").and_then(|source| source.as_object());
    let kind = source.as_ref().and_then(|source| source.get("type")?.as_str());
    matches!(kind.as_deref(), Some("text" | "content"))
}

/// Google's bytes and files, by their type.
fn blob_content(blob: &Object<'_>, is_inline: bool) -> Content {
    let named = blob.get("mimeType").or_else(|| blob.get("mime_type"));
    let named = named.and_then(|named| named.as_str()).unwrap_or_default();
    match named.split('/').next() {
        Some("image") => Content::Image { is_low: false },
        Some("audio") if is_inline => Content::Sound,
        _ => Content::Open,
    }
}
