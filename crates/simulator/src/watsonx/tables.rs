//! The fields of watsonx' requests, as tables.
//!
//! Owns: names, types and ranges, after the schemas of the official Python package and the API reference. Leaves to
//! others: rules that relate fields.
//!
//! **Invariant:** data only.

use crate::shape::Shape::{Any, Bool, Closed, Either, Int, List, MapOf, Num, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must};

const COUNT: Shape = Int(0, i64::MAX);
const PART: Shape = Tagged {
    tag: "type",
    cases: &[
        ("text", &[must("text", Text)]),
        (
            "image_url",
            &[must("image_url", Closed(&[must("url", Text), may("detail", Word(&["auto", "low", "high"]))]))],
        ),
        ("video_url", &[must("video_url", Object)]),
        ("input_audio", &[must("input_audio", Object)]),
        ("data_asset", &[must("data_asset", Object)]),
    ],
};
const MESSAGE: Shape = Tagged {
    tag: "role",
    cases: &[
        ("system", &[must("content", Text), may("name", Text)]),
        ("control", &[must("content", Text)]),
        (
            "user",
            &[
                must("content", Either(&[Text, List { of: &PART, min: 1, max: usize::MAX }])),
                may("name", Text),
            ],
        ),
        (
            "assistant",
            &[
                may("content", Text),
                may("name", Text),
                may("refusal", Text),
                may("reasoning_content", Text),
                may(
                    "tool_calls",
                    list(&Closed(&[
                        may("index", COUNT),
                        must("id", Text),
                        must("type", Word(&["function"])),
                        must("function", Closed(&[must("name", Text), must("arguments", Text)])),
                    ])),
                ),
            ],
        ),
        ("tool", &[must("content", Either(&[Text, list(&PART)])), must("tool_call_id", Text)]),
    ],
};

/// `/ml/v1/text/chat` and its stream, on a model or on a deployment.
pub(super) static CHAT: &[Field] = &[
    may("model_id", Text),
    may("project_id", Text),
    may("space_id", Text),
    must("messages", List { of: &MESSAGE, min: 1, max: usize::MAX }),
    may(
        "tools",
        list(&Closed(&[
            must("type", Word(&["function"])),
            must(
                "function",
                Closed(&[must("name", Text), may("description", Text), may("parameters", Object)]),
            ),
        ])),
    ),
    may("tool_choice_option", Word(&["none", "auto", "required"])),
    may(
        "tool_choice",
        Closed(&[must("type", Word(&["function"])), must("function", Closed(&[must("name", Text)]))]),
    ),
    may("context", Text),
    may("crypto", Object),
    may("frequency_penalty", Num(-2.0, 2.0)),
    may("presence_penalty", Num(-2.0, 2.0)),
    may("repetition_penalty", Num(0.0, f64::MAX)),
    may("length_penalty", Num(f64::MIN, f64::MAX)),
    may("logit_bias", MapOf(&Num(-100.0, 100.0))),
    may("logprobs", Bool),
    may("top_logprobs", Int(0, 20)),
    may("max_tokens", COUNT),
    may("max_completion_tokens", COUNT),
    may("n", Int(1, 128)),
    may(
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
                            may("description", Text),
                            may("schema", Object),
                            may("strict", Bool),
                        ]),
                    )],
                ),
            ],
        },
    ),
    may("seed", Int(i64::MIN, i64::MAX)),
    may("stop", List { of: &Text, min: 0, max: 4 }),
    may("temperature", Num(0.0, 2.0)),
    may("top_p", Num(0.0, 1.0)),
    may("time_limit", Int(1, i64::MAX)),
    may("guided_choice", list(&Text)),
    may("guided_regex", Text),
    may("guided_grammar", Text),
    may("guided_json", Object),
    may("chat_template_kwargs", Object),
    may("reasoning_effort", Word(&["low", "medium", "high"])),
    may("include_reasoning", Bool),
];

/// `/ml/v1/text/embeddings`
pub(super) static EMBEDDINGS: &[Field] = &[
    must("model_id", Text),
    must("inputs", List { of: &Text, min: 1, max: 1_000 }),
    may("project_id", Text),
    may("space_id", Text),
    may("crypto", Object),
    may("parameters", Closed(&[may("truncate_input_tokens", Int(-1, i64::MAX)), may("return_options", Any)])),
];
