//! The fields of Cohere's requests, as tables.
//!
//! Owns: names, types, enumerations and ranges, after the types and descriptions of the official Python package.
//! Leaves to others: rules that relate fields (`check`).
//!
//! **Invariant:** data only.

use crate::shape::Shape::{Bool, Closed, Either, Int, List, Num, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const COUNT: Shape = Int(0, i64::MAX);

const TEXT: &[Field] = &[must("text", Text)];
const TEXTS: Shape = Either(&[Text, list(&Tagged { tag: "type", cases: &[("text", TEXT)] })]);
const USER_CONTENT: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", TEXT),
        (
            "image_url",
            &[must("image_url", Closed(&[must("url", Text), may("detail", Word(&["auto", "low", "high"]))]))],
        ),
    ],
};
const ASSISTANT_CONTENT: Shape =
    Tagged { tag: "type", cases: &[("text", TEXT), ("thinking", &[must("thinking", Text)])] };
const DOCUMENT: Shape = Closed(&[must("data", Object), may("id", Text)]);
const TOOL_CONTENT: Shape =
    Tagged { tag: "type", cases: &[("text", TEXT), ("document", &[must("document", DOCUMENT)])] };
const TOOL_CALL: Shape = Closed(&[
    must("id", Text),
    must("type", Word(&["function"])),
    must("function", Closed(&[must("name", Text), must("arguments", Text)])),
]);
const SOURCE: Shape = Tagged {
    tag: "type",
    cases: &[
        ("tool", &[may("id", Text), may("tool_output", Object)]),
        ("document", &[may("id", Text), may("document", Object)]),
    ],
};
const CITATION: Shape = Closed(&[
    may("start", COUNT),
    may("end", COUNT),
    may("text", Text),
    may("sources", list(&SOURCE)),
    may("content_index", COUNT),
    may("type", Word(&["TEXT_CONTENT", "THINKING_CONTENT", "PLAN"])),
]);
const MESSAGE: Shape = Tagged {
    tag: "role",
    cases: &[
        ("system", &[must("content", TEXTS)]),
        ("user", &[must("content", Either(&[Text, list(&USER_CONTENT)]))]),
        (
            "assistant",
            &[
                null("content", Either(&[Text, list(&ASSISTANT_CONTENT)])),
                null("tool_calls", list(&TOOL_CALL)),
                null("tool_plan", Text),
                null("citations", list(&CITATION)),
            ],
        ),
        ("tool", &[must("tool_call_id", Text), must("content", Either(&[Text, list(&TOOL_CONTENT)]))]),
    ],
};
const TOOL: Shape = Closed(&[
    must("type", Word(&["function"])),
    must("function", Closed(&[must("name", Text), may("description", Text), must("parameters", Object)])),
]);

/// `/v2/chat`
pub(super) static CHAT: &[Field] = &[
    must("model", Text),
    must("messages", list(&MESSAGE)),
    null("stream", Bool),
    null("tools", list(&TOOL)),
    null("strict_tools", Bool),
    null("documents", list(&Either(&[Text, DOCUMENT]))),
    null(
        "citation_options",
        Closed(&[null("mode", Word(&["ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"]))]),
    ),
    null(
        "response_format",
        Tagged {
            tag: "type",
            cases: &[("text", &[]), ("json_object", &[null("json_schema", Object), null("schema", Object)])],
        },
    ),
    null("safety_mode", Word(&["CONTEXTUAL", "STRICT", "OFF"])),
    null("max_tokens", COUNT),
    null("stop_sequences", List { of: &Text, min: 0, max: 5 }),
    null("temperature", Num(0.0, f64::MAX)),
    null("seed", COUNT),
    null("frequency_penalty", Num(0.0, 1.0)),
    null("presence_penalty", Num(0.0, 1.0)),
    null("k", Int(0, 500)),
    null("p", Num(0.01, 0.99)),
    null("logprobs", Bool),
    null("tool_choice", Word(&["REQUIRED", "NONE"])),
    null(
        "thinking",
        Closed(&[must("type", Word(&["enabled", "disabled"])), null("token_budget", Int(1, i64::MAX))]),
    ),
    null("priority", Int(0, 999)),
];

const TRUNCATE: Shape = Word(&["NONE", "START", "END"]);
const INPUT_TYPE: Shape = Word(&["search_document", "search_query", "classification", "clustering", "image"]);
const EMBEDDING_TYPES: Shape = list(&Word(&["float", "int8", "uint8", "binary", "ubinary", "base64"]));
const EMBED_CONTENT: Shape = Tagged {
    tag: "type",
    cases: &[("text", TEXT), ("image_url", &[must("image_url", Closed(&[must("url", Text)]))])],
};
const EMBED_TEXTS: Shape = List { of: &Text, min: 0, max: 96 };

/// `/v2/embed`
pub(super) static EMBED: &[Field] = &[
    must("model", Text),
    must("input_type", INPUT_TYPE),
    null("texts", EMBED_TEXTS),
    null("images", list(&Text)),
    null("inputs", List { of: &Closed(&[must("content", list(&EMBED_CONTENT))]), min: 0, max: 96 }),
    null("max_tokens", COUNT),
    null("output_dimension", COUNT),
    null("embedding_types", EMBEDDING_TYPES),
    null("truncate", TRUNCATE),
    null("priority", Int(0, 999)),
];

/// `/v1/embed`
pub(super) static EMBED_V1: &[Field] = &[
    null("model", Text),
    null("input_type", INPUT_TYPE),
    null("texts", EMBED_TEXTS),
    null("images", List { of: &Text, min: 0, max: 1 }),
    null("embedding_types", EMBEDDING_TYPES),
    null("truncate", TRUNCATE),
];

const DOCUMENTS_MAX: usize = 10_000;

/// `/v2/rerank`
pub(super) static RERANK: &[Field] = &[
    must("model", Text),
    must("query", Text),
    must("documents", List { of: &Text, min: 1, max: DOCUMENTS_MAX }),
    null("top_n", Int(1, i64::MAX)),
    null("max_tokens_per_doc", COUNT),
    null("priority", Int(0, 999)),
    null(
        "relevant_spans",
        Closed(&[
            must("mode", Word(&["enabled", "disabled"])),
            null("threshold", Num(0.0, 1.0)),
            null("max_spans", COUNT),
        ]),
    ),
];

/// `/v1/rerank`
pub(super) static RERANK_V1: &[Field] = &[
    null("model", Text),
    must("query", Text),
    must("documents", List { of: &Either(&[Text, Object]), min: 1, max: DOCUMENTS_MAX }),
    null("top_n", Int(1, i64::MAX)),
    null("rank_fields", list(&Text)),
    null("return_documents", Bool),
    null("max_chunks_per_doc", COUNT),
];
