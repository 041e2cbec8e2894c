//! The fields of Anthropic's requests, as tables.
//!
//! Owns: names, types, enumerations and ranges, after the types of the official Python package and the API reference.
//! Leaves to others: rules that relate fields (`check`, `turns`).
//!
//! **Invariant:** data only.

use crate::shape::Shape::{
    Any, Bool, Closed, Either, Int, List, Name, Null, Num, Object, ShortText, Tagged, Text, Word,
};
use crate::shape::{Field, Shape, list, may, must, null};

const CACHE_CONTROL: Field = null(
    "cache_control",
    Tagged { tag: "type", cases: &[("ephemeral", &[may("ttl", Word(&["5m", "1h"]))])] },
);

const TEXT: &[Field] = &[must("text", Text), CACHE_CONTROL, null("citations", list(&Object))];
const TEXT_BLOCK: Shape = Tagged { tag: "type", cases: &[("text", TEXT)] };
const CITATIONS: Field = null("citations", Closed(&[may("enabled", Bool)]));

const IMAGE: &[Field] = &[
    must(
        "source",
        Tagged {
            tag: "type",
            cases: &[
                (
                    "base64",
                    &[
                        must("data", Text),
                        must("media_type", Word(&["image/jpeg", "image/png", "image/gif", "image/webp"])),
                    ],
                ),
                ("url", &[must("url", Text)]),
                ("file", &[must("file_id", Text)]),
            ],
        },
    ),
    CACHE_CONTROL,
    null("transformations", Object),
];
const DOCUMENT: &[Field] = &[
    must(
        "source",
        Tagged {
            tag: "type",
            cases: &[
                ("base64", &[must("data", Text), must("media_type", Word(&["application/pdf"]))]),
                ("text", &[must("data", Text), must("media_type", Word(&["text/plain"]))]),
                ("content", &[must("content", Either(&[Text, list(&Object)]))]),
                ("url", &[must("url", Text)]),
                ("file", &[must("file_id", Text)]),
            ],
        },
    ),
    CACHE_CONTROL,
    CITATIONS,
    null("context", Text),
    null("title", Text),
];
const SEARCH_RESULT: &[Field] = &[
    must("content", list(&TEXT_BLOCK)),
    must("source", Text),
    must("title", Text),
    CACHE_CONTROL,
    CITATIONS,
];
const THINKING: &[Field] = &[must("thinking", Text), must("signature", Text)];
const REDACTED: &[Field] = &[must("data", Text)];
const TOOL_USE: &[Field] = &[
    must("id", Name(256)),
    must("name", Name(200)),
    must("input", Object),
    CACHE_CONTROL,
    may("caller", Object),
    null("toolset_name", Text),
];
const RESULT_BLOCK: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", TEXT),
        ("image", IMAGE),
        ("search_result", SEARCH_RESULT),
        ("document", DOCUMENT),
        ("tool_reference", &[must("tool_name", Text), CACHE_CONTROL]),
    ],
};
const TOOL_RESULT: &[Field] = &[
    must("tool_use_id", Name(256)),
    CACHE_CONTROL,
    may("content", Either(&[Text, list(&RESULT_BLOCK)])),
    may("is_error", Bool),
    null("toolset_name", Text),
];
const SERVER_TOOL_USE: &[Field] =
    &[must("id", Name(256)), must("name", Text), must("input", Object), CACHE_CONTROL, may("caller", Object)];
const SERVER_RESULT: &[Field] = &[
    must("tool_use_id", Name(256)),
    must("content", Either(&[Object, list(&Object)])),
    CACHE_CONTROL,
    may("caller", Object),
];
const BLOCK: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", TEXT),
        ("image", IMAGE),
        ("document", DOCUMENT),
        ("search_result", SEARCH_RESULT),
        ("thinking", THINKING),
        ("redacted_thinking", REDACTED),
        ("tool_use", TOOL_USE),
        ("tool_result", TOOL_RESULT),
        ("server_tool_use", SERVER_TOOL_USE),
        ("web_search_tool_result", SERVER_RESULT),
        ("web_fetch_tool_result", SERVER_RESULT),
        ("code_execution_tool_result", SERVER_RESULT),
        ("bash_code_execution_tool_result", SERVER_RESULT),
        ("text_editor_code_execution_tool_result", SERVER_RESULT),
        ("tool_search_tool_result", SERVER_RESULT),
        ("container_upload", &[must("file_id", Text), CACHE_CONTROL]),
    ],
};
const MESSAGE: Shape = Closed(&[
    must("role", Word(&["user", "assistant", "system"])),
    must("content", Either(&[Text, list(&BLOCK)])),
]);

const EFFORT: Shape = Either(&[Null, Word(&["low", "medium", "high", "xhigh", "max"])]);
const OUTPUT_CONFIG: Shape = Closed(&[
    may("effort", EFFORT),
    null("format", Tagged { tag: "type", cases: &[("json_schema", &[must("schema", Object)])] }),
]);
const DISPLAY: Field = null("display", Word(&["summarized", "omitted"]));
const THINKING_CONFIG: Shape = Tagged {
    tag: "type",
    cases: &[
        ("enabled", &[must("budget_tokens", Int(1_024, i64::MAX)), DISPLAY]),
        ("adaptive", &[DISPLAY]),
        ("between_tools", &[]),
        ("disabled", &[]),
    ],
};
const PARALLEL: Field = may("disable_parallel_tool_use", Bool);
const TOOL_CHOICE: Shape = Tagged {
    tag: "type",
    cases: &[
        ("auto", &[PARALLEL]),
        ("any", &[PARALLEL]),
        ("tool", &[must("name", Text), PARALLEL]),
        ("none", &[]),
    ],
};

/// A tool of the caller's own.
pub(super) static CUSTOM_TOOL: &[Field] = &[
    must("name", Name(128)),
    must("input_schema", Object),
    null("type", Word(&["custom"])),
    may("allowed_callers", list(&Text)),
    CACHE_CONTROL,
    may("defer_loading", Bool),
    may("description", Text),
    null("eager_input_streaming", Bool),
    may("input_examples", list(&Object)),
    may("strict", Bool),
];

const SYSTEM: Shape = Either(&[Text, list(&TEXT_BLOCK)]);
/// Most messages of a request (API reference).
const MESSAGES: Shape = List { of: &MESSAGE, min: 0, max: 100_000 };

/// Messages.
pub(super) static MESSAGES_FIELDS: &[Field] = &[
    must("model", Text),
    must("messages", MESSAGES),
    must("max_tokens", Int(1, i64::MAX)),
    CACHE_CONTROL,
    null("container", Any),
    null("context_management", Object),
    null("diagnostics", Object),
    null("inference_geo", Text),
    may("metadata", Closed(&[null("user_id", ShortText(256))])),
    may("output_config", OUTPUT_CONFIG),
    may("service_tier", Word(&["auto", "standard_only"])),
    null("speed", Word(&["standard", "fast"])),
    may("stop_sequences", list(&Text)),
    may("stream", Bool),
    may("system", SYSTEM),
    may("temperature", Num(0.0, 1.0)),
    may("thinking", THINKING_CONFIG),
    may("tool_choice", TOOL_CHOICE),
    may("tools", list(&Object)),
    may("top_k", Int(0, i64::MAX)),
    may("top_p", Num(0.0, 1.0)),
    may("user_profile_id", Text),
];

/// Counting tokens.
pub(super) static COUNT_FIELDS: &[Field] = &[
    must("model", Text),
    must("messages", MESSAGES),
    CACHE_CONTROL,
    null("context_management", Object),
    may("output_config", OUTPUT_CONFIG),
    null("speed", Word(&["standard", "fast"])),
    may("system", SYSTEM),
    may("thinking", THINKING_CONFIG),
    may("tool_choice", TOOL_CHOICE),
    may("tools", list(&Object)),
    may("user_profile_id", Text),
];
