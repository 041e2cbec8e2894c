//! The fields of requests to rank and to embed, as tables.
//!
//! Owns: names, types and ranges, after each provider's API reference. Leaves to others: everything else.
//!
//! **Invariant:** data only.

use crate::shape::Shape::{Any, Bool, Either, Int, List, Object, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const COUNT: Shape = Int(1, i64::MAX);
const TEXTS: Shape = List { of: &Text, min: 1, max: 1_000 };
const TEXTS_OR_OBJECTS: Shape = List { of: &Either(&[Text, Object]), min: 1, max: 2_048 };

/// Jina, `/v1/rerank`
pub(super) static JINA_RERANK: &[Field] = &[
    must("model", Text),
    must("query", Either(&[Text, Object])),
    must("documents", TEXTS_OR_OBJECTS),
    null("top_n", COUNT),
    null("return_documents", Bool),
    null("return_embeddings", Bool),
    null("max_chunk_length", COUNT),
    null("max_query_length", COUNT),
    null("max_doc_length", COUNT),
    null("truncation", Bool),
];

const EMBEDDING_TYPE: Shape = Word(&["float", "base64", "binary", "ubinary"]);

/// Jina, `/v1/embeddings`
pub(super) static JINA_EMBED: &[Field] = &[
    must("model", Text),
    must("input", Either(&[Text, Object, TEXTS_OR_OBJECTS])),
    null(
        "task",
        Word(&[
            "retrieval.query",
            "retrieval.passage",
            "text-matching",
            "classification",
            "separation",
            "code.query",
            "code.passage",
            "nl2code.query",
            "nl2code.passage",
            "code2code.query",
            "code2code.passage",
            "code2nl.query",
            "code2nl.passage",
            "code2completion.query",
            "code2completion.passage",
            "qa.query",
            "qa.passage",
        ]),
    ),
    null("dimensions", COUNT),
    null("embedding_type", Either(&[EMBEDDING_TYPE, list(&EMBEDDING_TYPE)])),
    null("encoding_format", EMBEDDING_TYPE),
    null("normalized", Bool),
    null("late_chunking", Bool),
    null("truncate", Bool),
    null("return_multivector", Bool),
];

/// Voyage, `/v1/rerank`
pub(super) static VOYAGE_RERANK: &[Field] = &[
    must("model", Text),
    must("query", Text),
    must("documents", TEXTS),
    null("top_k", COUNT),
    null("return_documents", Bool),
    null("truncation", Bool),
];

/// Voyage, `/v1/embeddings`
pub(super) static VOYAGE_EMBED: &[Field] = &[
    must("model", Text),
    must("input", Either(&[Text, TEXTS])),
    null("input_type", Word(&["query", "document"])),
    null("truncation", Bool),
    null("output_dimension", COUNT),
    null("output_dtype", Word(&["float", "int8", "uint8", "binary", "ubinary"])),
    null("encoding_format", Word(&["base64"])),
];

/// Together, `/v1/rerank`
pub(super) static TOGETHER_RERANK: &[Field] = &[
    must("model", Text),
    must("query", Text),
    must("documents", TEXTS_OR_OBJECTS),
    null("top_n", COUNT),
    null("return_documents", Bool),
    null("rank_fields", list(&Text)),
];

/// Infinity, `/rerank`
pub(super) static INFINITY_RERANK: &[Field] = &[
    may("model", Text),
    must("query", Text),
    must("documents", List { of: &Text, min: 1, max: 2_048 }),
    may("return_documents", Bool),
    may("raw_scores", Bool),
    null("top_n", COUNT),
];

/// Infinity, `/embeddings`
pub(super) static INFINITY_EMBED: &[Field] = &[
    may("model", Text),
    must("input", Either(&[Text, List { of: &Text, min: 1, max: 2_048 }])),
    may("encoding_format", Word(&["float", "base64"])),
    null("user", Text),
    may("dimensions", Int(0, i64::MAX)),
    may("modality", Word(&["text", "image", "audio"])),
    null("extra_body", Any),
];
