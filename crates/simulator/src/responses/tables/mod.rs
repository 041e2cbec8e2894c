//! The parameters of a response, as tables.
//!
//! Owns: names, types, enumerations and ranges, after the types of the official Python package and the API reference.
//! Leaves to others: rules that relate fields (`check`), tools and items (the modules here).
//!
//! **Invariant:** data only.

mod items;
mod tools;

use crate::shape::Shape::{
    Bool, Closed, Either, Int, List, MapOf, Name, Num, Object, ShortText, Tagged, Text, Word,
};
use crate::shape::{Field, Shape, list, may, must, null};

use items::{FORMAT_TEXT_JSONSCHEMA_CONFIG, INPUT_PART, ITEM, ITEM_REFERENCE};
use tools::TOOL;

const INT: Shape = Int(i64::MIN, i64::MAX);
const NUM: Shape = Num(f64::MIN, f64::MAX);
/// Function and schema names: `^[a-zA-Z0-9_-]+$`, at most 64.
const NAME: Shape = Name(64);
/// An object of its tag alone.
const NOTHING: &[Field] = &[];
const METADATA: Shape = MapOf(&ShortText(512));
const ACCESS_PROGRAMS: &[Field] = &[may("cyber", Word(&["standard", "daybreak_blue", "daybreak_red"]))];
const BACKGROUND_OPTIONS: &[Field] =
    &[may("completion_window", Word(&["soonest", "2h", "8h"])), may("continuation_id", Text)];
const CONTEXT_MANAGEMENT: &[Field] = &[must("type", Text), null("compact_threshold", INT)];
const IMAGE: &[Field] = &[may("context_compression", Word(&["auto", "enabled", "disabled"]))];
const MODERATION_POLICY_INPUT: &[Field] = &[must("mode", Word(&["score", "block"]))];
const MODERATION_POLICY: &[Field] =
    &[null("input", Closed(MODERATION_POLICY_INPUT)), null("output", Closed(MODERATION_POLICY_INPUT))];
const MODERATION: &[Field] = &[must("model", Text), null("policy", Closed(MODERATION_POLICY))];
const PROMPT: &[Field] =
    &[must("id", Text), null("variables", MapOf(&Either(&[Text, INPUT_PART]))), null("version", Text)];
const PROMPT_CACHE_OPTIONS: &[Field] = &[
    null("comparison_response_id", Text),
    may("mode", Word(&["implicit", "explicit"])),
    may("prewarm", Bool),
    may("ttl", Word(&["30m", "12h"])),
];
const REASONING_CONFIG: &[Field] = &[
    null("context", Word(&["auto", "current_turn", "all_turns"])),
    null("effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
    null("generate_summary", Word(&["auto", "concise", "detailed"])),
    may("mode", Text),
    null("summary", Word(&["auto", "concise", "detailed"])),
];
const STREAM_OPTIONS: &[Field] = &[may("include_obfuscation", Bool)];
const FORMAT_KIND: Shape = Tagged {
    tag: "type",
    cases: &[("text", NOTHING), ("json_schema", FORMAT_TEXT_JSONSCHEMA_CONFIG), ("json_object", NOTHING)],
};
const TEXT_CONFIG: &[Field] =
    &[may("format", FORMAT_KIND), null("verbosity", Word(&["low", "medium", "high"]))];
const TOOL_CHOICE_ALLOWED: &[Field] =
    &[must("mode", Word(&["auto", "required"])), must("tools", list(&Object))];
const TOOL_CHOICE_FUNCTION: &[Field] = &[must("name", NAME)];
const TOOL_CHOICE_MCP: &[Field] = &[must("server_label", Text), null("name", Text)];
const TOOL_CHOICE: Shape = Tagged {
    tag: "type",
    cases: &[
        ("allowed_tools", TOOL_CHOICE_ALLOWED),
        ("file_search", NOTHING),
        ("web_search_preview", NOTHING),
        ("computer", NOTHING),
        ("computer_use_preview", NOTHING),
        ("computer_use", NOTHING),
        ("web_search_preview_2025_03_11", NOTHING),
        ("image_generation", NOTHING),
        ("code_interpreter", NOTHING),
        ("function", TOOL_CHOICE_FUNCTION),
        ("mcp", TOOL_CHOICE_MCP),
        ("custom", TOOL_CHOICE_FUNCTION),
        ("programmatic_tool_calling", NOTHING),
        ("apply_patch", NOTHING),
        ("shell", NOTHING),
    ],
};
pub(in crate::responses) static CREATE: &[Field] = &[
    may("access_programs", Closed(ACCESS_PROGRAMS)),
    null("background", Bool),
    may("background_options", Closed(BACKGROUND_OPTIONS)),
    null("context_management", list(&Closed(CONTEXT_MANAGEMENT))),
    null("conversation", Either(&[Text, Closed(ITEM_REFERENCE)])),
    may("image", Closed(IMAGE)),
    null(
        "include",
        list(&Word(&[
            "file_search_call.results",
            "web_search_call.results",
            "web_search_call.action.sources",
            "message.input_image.image_url",
            "computer_call_output.output.image_url",
            "code_interpreter_call.outputs",
            "reasoning.encrypted_content",
            "message.output_text.logprobs",
        ])),
    ),
    may("input", Either(&[Text, list(&ITEM)])),
    null("instructions", Text),
    null("max_output_tokens", Int(16, i64::MAX)),
    null("max_tool_calls", Int(1, i64::MAX)),
    null("metadata", METADATA),
    may("model", Text),
    null("moderation", Closed(MODERATION)),
    null("parallel_tool_calls", Bool),
    null("previous_response_id", Text),
    null("prompt", Closed(PROMPT)),
    may("client_metadata", Object),
    null("prompt_cache_key", Text),
    may("prompt_cache_options", Closed(PROMPT_CACHE_OPTIONS)),
    null("prompt_cache_retention", Word(&["in_memory", "24h"])),
    null("reasoning", Closed(REASONING_CONFIG)),
    null("safety_identifier", ShortText(128)),
    null("service_tier", Word(&["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"])),
    null("store", Bool),
    null("stream_options", Closed(STREAM_OPTIONS)),
    null("temperature", Num(0.0, 2.0)),
    may("text", Closed(TEXT_CONFIG)),
    may("tool_choice", Either(&[Word(&["none", "auto", "required"]), TOOL_CHOICE])),
    may("tools", List { of: &TOOL, min: 0, max: 128 }),
    null("top_logprobs", Int(0, 20)),
    null("top_p", Num(0.0, 1.0)),
    null("truncation", Word(&["auto", "disabled"])),
    null("user", Text),
    null("stream", Bool),
];

/// Items that are put into a conversation.
pub(in crate::responses) static ITEMS: &[Field] =
    &[null("items", List { of: &ITEM, min: 0, max: 20 }), null("metadata", METADATA)];
/// A body of metadata alone.
pub(in crate::responses) static METADATA_ALONE: &[Field] =
    &[must("metadata", Either(&[METADATA, crate::shape::Shape::Null]))];
