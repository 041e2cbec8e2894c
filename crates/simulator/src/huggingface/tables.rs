//! The fields of Hugging Face's requests, as tables.
//!
//! Owns: names, types and ranges, after the types of the official Python package, which are made from the servers' own
//! descriptions. Leaves to others: what becomes of a wrong one (`check`).
//!
//! **Invariant:** data only.

use crate::shape::Shape::{Any, Bool, Closed, Either, Int, List, Num, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const COUNT: Shape = Int(0, i64::MAX);
const CHUNK: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", &[must("text", Text)]),
        ("image_url", &[must("image_url", Closed(&[must("url", Text), may("detail", Text)]))]),
    ],
};
const MESSAGE: Shape = Closed(&[
    must("role", Text),
    null("content", Either(&[Text, list(&CHUNK)])),
    null("name", Text),
    null(
        "tool_calls",
        list(&Closed(&[
            must("id", Text),
            must("type", Text),
            must("function", Closed(&[must("name", Text), may("arguments", Any), may("description", Text)])),
        ])),
    ),
    null("tool_call_id", Text),
]);

/// Chats.
pub(super) static CHAT: &[Field] = &[
    null("model", Text),
    must("messages", List { of: &MESSAGE, min: 1, max: usize::MAX }),
    null("frequency_penalty", Num(-2.0, 2.0)),
    null("logit_bias", Either(&[list(&Num(f64::MIN, f64::MAX)), Object])),
    null("logprobs", Bool),
    null("max_tokens", COUNT),
    null("n", Int(1, i64::MAX)),
    null("presence_penalty", Num(-2.0, 2.0)),
    null(
        "response_format",
        Tagged {
            tag: "type",
            cases: &[
                ("text", &[]),
                ("json_object", &[null("value", Object)]),
                ("json", &[must("value", Object)]),
                ("regex", &[must("value", Text)]),
                (
                    "json_schema",
                    &[must(
                        "json_schema",
                        Closed(&[
                            must("name", Text),
                            null("description", Text),
                            null("schema", Object),
                            null("strict", Bool),
                        ]),
                    )],
                ),
            ],
        },
    ),
    null("seed", COUNT),
    null("stop", list(&Text)),
    null("stream", Bool),
    null("stream_options", Closed(&[null("include_usage", Bool)])),
    null("temperature", Num(f64::MIN, f64::MAX)),
    null("top_p", Num(f64::MIN, f64::MAX)),
    null(
        "tool_choice",
        Either(&[
            Word(&["auto", "none", "required"]),
            Closed(&[may("type", Text), must("function", Closed(&[must("name", Text)]))]),
        ]),
    ),
    null("tool_prompt", Text),
    null(
        "tools",
        list(&Closed(&[
            must("type", Text),
            must(
                "function",
                Closed(&[must("name", Text), must("parameters", Any), null("description", Text)]),
            ),
        ])),
    ),
    null("top_logprobs", COUNT),
];

const INPUTS: Shape = Either(&[Text, list(&Text)]);
const DIRECTION: Shape = Word(&["left", "right", "Left", "Right"]);

/// Feature extraction.
pub(super) static FEATURES: &[Field] = &[
    must("inputs", INPUTS),
    null("normalize", Bool),
    null("prompt_name", Text),
    null("truncate", Bool),
    null("truncation_direction", DIRECTION),
    null("dimensions", COUNT),
];

/// Embeddings in OpenAI's shape.
pub(super) static EMBEDDING: &[Field] = &[
    must("input", INPUTS),
    null("model", Text),
    null("encoding_format", Word(&["float", "base64"])),
    null("dimensions", COUNT),
    null("user", Text),
];

/// Ranking.
pub(super) static RERANK: &[Field] = &[
    must("query", Text),
    must("texts", List { of: &Text, min: 1, max: usize::MAX }),
    null("raw_scores", Bool),
    null("return_text", Bool),
    null("truncate", Bool),
    null("truncation_direction", DIRECTION),
];
