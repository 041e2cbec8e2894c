//! The fields of requests to Databricks' serving endpoints, as tables.
//!
//! Owns: names, types and ranges, after the reference of the foundation model APIs. Leaves to others: rules that relate
//! fields.
//!
//! **Invariant:** data only.

use crate::shape::Shape::{Bool, Closed, Either, Int, List, Num, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const COUNT: Shape = Int(1, i64::MAX);
const CACHED: Field = null("cache_control", Object);
const SUMMARY: Shape = Tagged {
    tag: "type",
    cases: &[
        ("summary_text", &[must("text", Text), null("signature", Text)]),
        ("summary_encrypted_text", &[must("data", Text)]),
    ],
};
const PART: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", &[must("text", Text), null("signature", Text), CACHED]),
        (
            "image_url",
            &[
                must(
                    "image_url",
                    Closed(&[must("url", Text), null("detail", Word(&["auto", "low", "high"]))]),
                ),
                CACHED,
            ],
        ),
        ("reasoning", &[must("summary", list(&SUMMARY))]),
    ],
};
const CONTENT: Shape = Either(&[Text, List { of: &PART, min: 1, max: usize::MAX }]);
const MESSAGE: Shape = Tagged {
    tag: "role",
    cases: &[
        ("system", &[must("content", CONTENT), null("name", Text)]),
        ("user", &[must("content", CONTENT), null("name", Text)]),
        (
            "assistant",
            &[
                null("content", CONTENT),
                null("name", Text),
                null(
                    "tool_calls",
                    list(&Closed(&[
                        must("id", Text),
                        must("type", Word(&["function"])),
                        must("function", Closed(&[must("name", Text), must("arguments", Text)])),
                        CACHED,
                    ])),
                ),
            ],
        ),
        ("tool", &[must("content", CONTENT), must("tool_call_id", Text), null("name", Text)]),
    ],
};

/// Chats.
pub(super) static CHAT: &[Field] = &[
    null("model", Text),
    must("messages", List { of: &MESSAGE, min: 1, max: usize::MAX }),
    null("max_tokens", COUNT),
    null("stream", Bool),
    null("temperature", Num(0.0, 2.0)),
    null("top_p", Num(0.0, 1.0)),
    null("top_k", COUNT),
    null("stop", Either(&[Text, list(&Text)])),
    null("n", Int(1, 5)),
    null("logprobs", Bool),
    null("top_logprobs", Int(0, 20)),
    null("reasoning_effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh"])),
    null(
        "thinking",
        Tagged {
            tag: "type",
            cases: &[
                ("enabled", &[must("budget_tokens", Int(1_024, i64::MAX))]),
                ("adaptive", &[]),
                ("disabled", &[]),
            ],
        },
    ),
    null(
        "tools",
        List {
            of: &Closed(&[
                must("type", Word(&["function"])),
                must(
                    "function",
                    Closed(&[
                        must("name", Text),
                        null("description", Text),
                        null("parameters", Object),
                        null("strict", Bool),
                    ]),
                ),
                CACHED,
            ]),
            min: 1,
            max: 32,
        },
    ),
    null(
        "tool_choice",
        Either(&[
            Word(&["auto", "none", "required"]),
            Closed(&[must("type", Word(&["function"])), must("function", Closed(&[must("name", Text)]))]),
        ]),
    ),
    null(
        "response_format",
        Tagged {
            tag: "type",
            cases: &[
                ("text", &[]),
                ("json_object", &[]),
                (
                    "json_schema",
                    &[must(
                        "json_schema",
                        Closed(&[
                            must("name", Text),
                            null("description", Text),
                            must("schema", Object),
                            null("strict", Bool),
                        ]),
                    )],
                ),
            ],
        },
    ),
    null("extra_params", Object),
    null("client_request_id", Text),
    null("usage_context", Object),
];

/// Embeddings.
pub(super) static EMBEDDING: &[Field] = &[
    null("model", Text),
    must("input", Either(&[Text, List { of: &Text, min: 1, max: 150 }])),
    null("instruction", Text),
    // The reference does not list it; the OpenAI package, which the guides use, always sends it.
    null("encoding_format", Word(&["float", "base64"])),
    may("extra_params", Object),
    null("client_request_id", Text),
    null("usage_context", Object),
];
