//! The fields of Mistral's requests, as tables.
//!
//! Owns: names, types, enumerations and ranges, after the types of the official Python package and the API reference
//! (`safe_prompt`, which the package no longer writes, is from the reference). Leaves to others: rules that relate
//! fields (`check`).
//!
//! **Invariant:** data only.

use crate::shape::Shape::{Any, Bool, Closed, Either, Int, List, Num, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const COUNT: Shape = Int(0, i64::MAX);
const STOP: Shape = Either(&[Text, list(&Text)]);

const TEXT: (&str, &[Field]) = ("text", &[must("text", Text)]);
const REFERENCE: (&str, &[Field]) =
    ("reference", &[must("reference_ids", list(&Either(&[Text, Int(i64::MIN, i64::MAX)])))]);
const THOUGHT: Shape = Tagged { tag: "type", cases: &[TEXT, REFERENCE] };
const THINKING: (&str, &[Field]) =
    ("thinking", &[must("thinking", list(&THOUGHT)), null("signature", Text), may("closed", Bool)]);
const IMAGE: &[Field] = &[must(
    "image_url",
    Either(&[Text, Closed(&[must("url", Text), null("detail", Word(&["low", "auto", "high"]))])]),
)];
const CHUNK: Shape = Tagged {
    tag: "type",
    cases: &[
        TEXT,
        REFERENCE,
        THINKING,
        ("image_url", IMAGE),
        ("document_url", &[must("document_url", Text), null("document_name", Text)]),
        ("file", &[must("file_id", Text)]),
        ("input_audio", &[must("input_audio", Either(&[Text, Object]))]),
    ],
};
const CONTENT: Shape = Either(&[Text, list(&CHUNK)]);
const SYSTEM_CHUNK: Shape = Tagged { tag: "type", cases: &[TEXT, THINKING] };
const TOOL_CALL: Shape = Closed(&[
    may("id", Text),
    may("type", Text),
    may("index", COUNT),
    must("function", Closed(&[must("name", Text), must("arguments", Either(&[Text, Object]))])),
]);
const MESSAGE: Shape = Tagged {
    tag: "role",
    cases: &[
        ("system", &[must("content", Either(&[Text, list(&SYSTEM_CHUNK)]))]),
        ("user", &[null("content", CONTENT)]),
        ("assistant", &[null("content", CONTENT), null("tool_calls", list(&TOOL_CALL)), may("prefix", Bool)]),
        ("tool", &[null("content", CONTENT), null("tool_call_id", Text), null("name", Text)]),
    ],
};
const TOOL: Shape = Tagged {
    tag: "type",
    cases: &[
        (
            "function",
            &[must(
                "function",
                Closed(&[
                    must("name", Text),
                    may("description", Text),
                    may("strict", Bool),
                    must("parameters", Object),
                ]),
            )],
        ),
        ("image_generation", &[null("tool_configuration", Object)]),
        ("document_library", &[must("library_ids", list(&Text)), null("tool_configuration", Object)]),
        (
            "connector",
            &[must("connector_id", Text), null("authorization", Any), null("tool_configuration", Object)],
        ),
    ],
};
const RESPONSE_FORMAT: Shape = Closed(&[
    may("type", Word(&["text", "json_object", "json_schema"])),
    null(
        "json_schema",
        Closed(&[must("name", Text), null("description", Text), must("schema", Object), may("strict", Bool)]),
    ),
]);

/// `/v1/chat/completions`
pub(super) static CHAT: &[Field] = &[
    must("model", Text),
    must("messages", list(&MESSAGE)),
    null("temperature", Num(0.0, 1.5)),
    null("top_p", Num(0.0, 1.0)),
    null("max_tokens", COUNT),
    may("stream", Bool),
    null("stop", STOP),
    null("random_seed", COUNT),
    null("metadata", Object),
    may("response_format", RESPONSE_FORMAT),
    null("tools", list(&TOOL)),
    may(
        "tool_choice",
        Either(&[
            Word(&["auto", "none", "any", "required"]),
            Closed(&[may("type", Word(&["function"])), must("function", Closed(&[must("name", Text)]))]),
        ]),
    ),
    null("presence_penalty", Num(-2.0, 2.0)),
    null("frequency_penalty", Num(-2.0, 2.0)),
    null("min_tokens", COUNT),
    null("repetition_penalty", Num(0.0, f64::MAX)),
    null("top_k", COUNT),
    null("logprobs", Bool),
    null("top_logprobs", COUNT),
    null("prompt_logprobs", Bool),
    null("top_prompt_logprobs", COUNT),
    null("n", Int(1, 128)),
    may("prediction", Closed(&[may("type", Word(&["content"])), may("content", Text)])),
    may("parallel_tool_calls", Bool),
    null("reasoning_effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
    null("prompt_mode", Word(&["reasoning"])),
    null("guardrails", list(&Object)),
    may("safe_prompt", Bool),
];

/// `/v1/fim/completions`
pub(super) static FIM: &[Field] = &[
    must("model", Text),
    must("prompt", Text),
    null("suffix", Text),
    null("temperature", Num(0.0, 1.5)),
    null("top_p", Num(0.0, 1.0)),
    null("max_tokens", COUNT),
    null("min_tokens", COUNT),
    may("stream", Bool),
    null("stop", STOP),
    null("random_seed", COUNT),
    null("metadata", Object),
    null("prompt_cache_key", Text),
];

/// `/v1/embeddings`
pub(super) static EMBEDDING: &[Field] = &[
    must("model", Text),
    must("input", Either(&[Text, List { of: &Text, min: 1, max: 2_048 }])),
    null("metadata", Object),
    null("output_dimension", Int(1, i64::MAX)),
    may("output_dtype", Word(&["float", "int8", "uint8", "binary", "ubinary"])),
    may("encoding_format", Word(&["float", "base64"])),
];

/// `/v1/ocr`
pub(super) static OCR: &[Field] = &[
    null("model", Text),
    must(
        "document",
        Tagged {
            tag: "type",
            cases: &[
                ("document_url", &[must("document_url", Text), null("document_name", Text)]),
                ("image_url", IMAGE),
                ("file", &[must("file_id", Text)]),
            ],
        },
    ),
    null("pages", Either(&[Text, list(&COUNT)])),
    null("include_image_base64", Bool),
    null("image_limit", COUNT),
    null("image_min_size", COUNT),
    null("bbox_annotation_format", RESPONSE_FORMAT),
    null("document_annotation_format", RESPONSE_FORMAT),
    null("document_annotation_prompt", Text),
    null("table_format", Word(&["markdown", "html"])),
    may("extract_header", Bool),
    may("extract_footer", Bool),
    may("include_blocks", Bool),
    null("confidence_scores_granularity", Word(&["word", "page", "block"])),
    null("id", Text),
];
