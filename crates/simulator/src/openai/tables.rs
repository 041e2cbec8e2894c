//! The fields of OpenAI's requests, as tables.
//!
//! Owns: names, types, enumerations and ranges, after the types of the official Python package and the API reference.
//! Leaves to others: rules that relate fields (`check`, `messages`).
//!
//! **Invariant:** data only.

use crate::shape::Shape::{
    Any, Bool, Closed, Either, Int, List, MapOf, Name, Null, Num, Object, ShortText, Tagged, Text, Word,
};
use crate::shape::{Field, Shape, list, may, must, null};

const COUNT: Shape = Int(1, i64::MAX);
const SEED: Shape = Int(i64::MIN, i64::MAX);
/// Function and schema names: `^[a-zA-Z0-9_-]+$`, at most 64.
const NAME: Shape = Name(64);
const STOP: Shape = Either(&[Text, Null, List { of: &Text, min: 1, max: 4 }]);
const METADATA: Shape = MapOf(&ShortText(512));
const LOGIT_BIAS: Shape = MapOf(&Num(-100.0, 100.0));
const STREAM_OPTIONS: Shape = Closed(&[may("include_usage", Bool), may("include_obfuscation", Bool)]);
const BREAKPOINT: Field = may("prompt_cache_breakpoint", Object);

const TEXT_PART: &[Field] = &[must("text", Text), BREAKPOINT];
const TEXT_PARTS: Shape =
    List { of: &Tagged { tag: "type", cases: &[("text", TEXT_PART)] }, min: 1, max: usize::MAX };
const USER_PART: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", TEXT_PART),
        (
            "image_url",
            &[
                must(
                    "image_url",
                    Closed(&[must("url", Text), may("detail", Word(&["auto", "low", "high", "original"]))]),
                ),
                BREAKPOINT,
            ],
        ),
        (
            "input_audio",
            &[
                must("input_audio", Closed(&[must("data", Text), must("format", Word(&["wav", "mp3"]))])),
                BREAKPOINT,
            ],
        ),
        (
            "file",
            &[
                must("file", Closed(&[may("file_data", Text), may("file_id", Text), may("filename", Text)])),
                BREAKPOINT,
            ],
        ),
    ],
};
const ASSISTANT_PART: Shape =
    Tagged { tag: "type", cases: &[("text", TEXT_PART), ("refusal", &[must("refusal", Text)])] };
const TOOL_CALL: Shape = Tagged {
    tag: "type",
    cases: &[
        (
            "function",
            &[must("id", Text), must("function", Closed(&[must("name", NAME), must("arguments", Text)]))],
        ),
        ("custom", &[must("id", Text), must("custom", Closed(&[must("name", NAME), must("input", Text)]))]),
    ],
};

const INSTRUCTION: &[Field] = &[must("content", Either(&[Text, TEXT_PARTS])), may("name", Text)];
const MESSAGE: Shape = Tagged {
    tag: "role",
    cases: &[
        ("system", INSTRUCTION),
        ("developer", INSTRUCTION),
        (
            "user",
            &[
                must("content", Either(&[Text, List { of: &USER_PART, min: 1, max: usize::MAX }])),
                may("name", Text),
            ],
        ),
        (
            "assistant",
            &[
                null("content", Either(&[Text, List { of: &ASSISTANT_PART, min: 1, max: usize::MAX }])),
                may("name", Text),
                null("refusal", Text),
                // The package sends a reply's message back with every member it had.
                null("annotations", List { of: &Object, min: 0, max: usize::MAX }),
                null("audio", Closed(&[must("id", Text)])),
                null("function_call", Closed(&[must("name", NAME), must("arguments", Text)])),
                may("tool_calls", List { of: &TOOL_CALL, min: 1, max: 128 }),
            ],
        ),
        ("tool", &[must("content", Either(&[Text, TEXT_PARTS])), must("tool_call_id", Text)]),
        ("function", &[must("name", NAME), must("content", Either(&[Text, Null]))]),
    ],
};

const FUNCTION: &[Field] =
    &[must("name", NAME), may("description", Text), may("parameters", Object), null("strict", Bool)];
const TOOL: Shape = Tagged {
    tag: "type",
    cases: &[
        ("function", &[must("function", Closed(FUNCTION))]),
        (
            "custom",
            &[must("custom", Closed(&[must("name", NAME), may("description", Text), may("format", Object)]))],
        ),
    ],
};
const TOOL_CHOICE: Shape = Either(&[
    Word(&["none", "auto", "required"]),
    Tagged {
        tag: "type",
        cases: &[
            ("function", &[must("function", Closed(&[must("name", NAME)]))]),
            ("custom", &[must("custom", Closed(&[must("name", NAME)]))]),
            (
                "allowed_tools",
                &[must(
                    "allowed_tools",
                    Closed(&[must("mode", Word(&["auto", "required"])), must("tools", list(&Object))]),
                )],
            ),
        ],
    },
]);
const RESPONSE_FORMAT: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", &[]),
        ("json_object", &[]),
        (
            "json_schema",
            &[must(
                "json_schema",
                Closed(&[
                    must("name", NAME),
                    may("description", Text),
                    may("schema", Object),
                    null("strict", Bool),
                ]),
            )],
        ),
    ],
};
const EFFORTS: Shape = Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]);
const WEB_SEARCH: Shape =
    Closed(&[may("search_context_size", Word(&["low", "medium", "high"])), null("user_location", Object)]);

/// Chat completions.
pub(super) static CHAT: &[Field] = &[
    must("model", Text),
    must("messages", List { of: &MESSAGE, min: 1, max: 2048 }),
    null(
        "audio",
        Closed(&[must("format", Word(&["wav", "aac", "mp3", "flac", "opus", "pcm16"])), must("voice", Any)]),
    ),
    null("frequency_penalty", Num(-2.0, 2.0)),
    may("function_call", Either(&[Word(&["none", "auto"]), Closed(&[must("name", NAME)])])),
    may("functions", List { of: &Closed(FUNCTION), min: 1, max: 128 }),
    null("logit_bias", LOGIT_BIAS),
    null("logprobs", Bool),
    null("max_completion_tokens", COUNT),
    null("max_tokens", COUNT),
    null("metadata", METADATA),
    null("modalities", list(&Word(&["text", "audio"]))),
    null("moderation", Object),
    null("n", Int(1, 128)),
    may("parallel_tool_calls", Bool),
    null(
        "prediction",
        Closed(&[must("type", Word(&["content"])), must("content", Either(&[Text, TEXT_PARTS]))]),
    ),
    null("presence_penalty", Num(-2.0, 2.0)),
    null("prompt_cache_key", Text),
    may(
        "prompt_cache_options",
        Closed(&[may("mode", Word(&["implicit", "explicit"])), may("ttl", Word(&["30m"]))]),
    ),
    null("prompt_cache_retention", Word(&["in_memory", "24h"])),
    null("reasoning_effort", EFFORTS),
    may("response_format", RESPONSE_FORMAT),
    null("safety_identifier", ShortText(128)),
    null("seed", SEED),
    null("service_tier", Word(&["auto", "default", "flex", "scale", "priority", "fast"])),
    null("stop", STOP),
    null("store", Bool),
    null("stream", Bool),
    null("stream_options", STREAM_OPTIONS),
    null("temperature", Num(0.0, 2.0)),
    may("tool_choice", TOOL_CHOICE),
    may("tools", List { of: &TOOL, min: 1, max: 128 }),
    null("top_logprobs", Int(0, 20)),
    null("top_p", Num(0.0, 1.0)),
    may("user", Text),
    null("verbosity", Word(&["low", "medium", "high"])),
    may("web_search_options", WEB_SEARCH),
];

const TOKENS: Shape = List { of: &Int(0, i64::MAX), min: 1, max: usize::MAX };

/// Legacy completions.
pub(super) static COMPLETION: &[Field] = &[
    must("model", Text),
    must(
        "prompt",
        Either(&[Text, Null, List { of: &Either(&[Text, Int(0, i64::MAX), TOKENS]), min: 1, max: 2048 }]),
    ),
    null("best_of", Int(1, 20)),
    null("echo", Bool),
    null("frequency_penalty", Num(-2.0, 2.0)),
    null("logit_bias", LOGIT_BIAS),
    null("logprobs", Int(0, 5)),
    null("max_tokens", Int(0, i64::MAX)),
    null("n", Int(1, 128)),
    null("presence_penalty", Num(-2.0, 2.0)),
    null("seed", SEED),
    null("stop", STOP),
    null("stream", Bool),
    null("stream_options", STREAM_OPTIONS),
    null("suffix", Text),
    null("temperature", Num(0.0, 2.0)),
    null("top_p", Num(0.0, 1.0)),
    may("user", Text),
];

/// Embeddings.
pub(super) static EMBEDDING: &[Field] = &[
    must("model", Text),
    must(
        "input",
        Either(&[Text, List { of: &Either(&[Text, Int(0, i64::MAX), TOKENS]), min: 1, max: 2048 }]),
    ),
    may("dimensions", COUNT),
    may("encoding_format", Word(&["float", "base64"])),
    may("user", Text),
];
