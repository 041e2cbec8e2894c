//! The fields of requests about images, audio and moderation, as tables.
//!
//! Owns: names, types, enumerations and ranges, after the types of the official Python package and the API reference.
//! Leaves to others: rules that depend on the model (`images`, `speech`, `transcription`).
//!
//! **Invariant:** data only. A file of a form stands as an object under `$file`.

use crate::platform::FILE;
use crate::shape::Shape::{Bool, Closed, Either, Int, List, Null, Num, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const FILE_PART: Shape = Closed(&[must(FILE, Object)]);
const EFFORT: Shape = Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]);
const SVG: Shape = Closed(&[must("model", Text), null("reasoning", Closed(&[null("effort", EFFORT)]))]);
const BACKGROUND: Field = null("background", Word(&["transparent", "opaque", "auto"]));
const COMPLEXITY: Field = null("complexity", Word(&["low", "medium", "high"]));
const FRAME_COUNT: Field = null("frame_count", Int(2, 16));
const FRAME_DURATION: Field = null("frame_duration_ms", Int(1, i64::MAX));
const MODEL: Field = null("model", Text);
const COUNT: Field = null("n", Int(1, 10));
const COMPRESSION: Field = null("output_compression", Int(0, 100));
const OUTPUT_FORMAT: Field = null("output_format", Word(&["png", "webp", "jpeg", "gif", "svg"]));
const PARTIAL_IMAGES: Field = null("partial_images", Int(0, 3));
const QUALITY: Field =
    null("quality", Word(&["low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"]));
const RESPONSE_FORMAT: Field = null("response_format", Word(&["url", "b64_json"]));
const SIZE: Field = null("size", Text);
const STREAM: Field = null("stream", Bool);
const USER: Field = may("user", Text);

/// An image from a prompt.
pub(super) static GENERATE: &[Field] = &[
    must("prompt", Text),
    BACKGROUND,
    COMPLEXITY,
    FRAME_COUNT,
    FRAME_DURATION,
    MODEL,
    null("moderation", Word(&["low", "auto"])),
    COUNT,
    COMPRESSION,
    OUTPUT_FORMAT,
    PARTIAL_IMAGES,
    QUALITY,
    RESPONSE_FORMAT,
    null("safety_identifier", Text),
    SIZE,
    null("style", Word(&["vivid", "natural"])),
    null("svg", SVG),
    USER,
    STREAM,
];

/// An edited image.
pub(super) static EDIT: &[Field] = &[
    must("image", Either(&[FILE_PART, List { of: &FILE_PART, min: 1, max: 16 }])),
    must("prompt", Text),
    BACKGROUND,
    COMPLEXITY,
    FRAME_COUNT,
    FRAME_DURATION,
    null("input_fidelity", Word(&["high", "low"])),
    may("markup", FILE_PART),
    may("mask", FILE_PART),
    MODEL,
    COUNT,
    COMPRESSION,
    OUTPUT_FORMAT,
    PARTIAL_IMAGES,
    QUALITY,
    RESPONSE_FORMAT,
    null("safety_identifier", Text),
    SIZE,
    null("svg", SVG),
    USER,
    STREAM,
];

/// A variation of an image.
pub(super) static VARIATION: &[Field] = &[
    must("image", FILE_PART),
    MODEL,
    COUNT,
    RESPONSE_FORMAT,
    null("size", Word(&["256x256", "512x512", "1024x1024"])),
    USER,
];

/// Speech from text.
pub(super) static SPEECH: &[Field] = &[
    must("input", Text),
    must("model", Text),
    must("voice", Either(&[Text, Closed(&[must("id", Text)])])),
    may("instructions", Text),
    may("response_format", Word(&["mp3", "opus", "aac", "flac", "wav", "pcm"])),
    may("speed", Num(0.25, 4.0)),
    may("stream_format", Word(&["sse", "audio"])),
];

const CHUNKING: Shape = Either(&[
    Word(&["auto"]),
    Closed(&[
        must("type", Word(&["server_vad"])),
        may("prefix_padding_ms", Int(0, i64::MAX)),
        may("silence_duration_ms", Int(0, i64::MAX)),
        may("threshold", Num(0.0, 1.0)),
    ]),
    Null,
]);

/// Text from speech.
pub(super) static TRANSCRIPTION: &[Field] = &[
    must("file", FILE_PART),
    must("model", Text),
    null("chunking_strategy", CHUNKING),
    may("include", list(&Word(&["logprobs"]))),
    may("keywords", list(&Text)),
    may("known_speaker_names", list(&Text)),
    may("known_speaker_references", list(&Text)),
    may("language", Text),
    may("languages", list(&Text)),
    may("prompt", Text),
    may("response_format", Word(&["json", "text", "srt", "verbose_json", "vtt", "diarized_json"])),
    may("temperature", Num(0.0, 1.0)),
    may("timestamp_granularities", list(&Word(&["word", "segment"]))),
    null("stream", Bool),
];

/// English text from speech.
pub(super) static TRANSLATION: &[Field] = &[
    must("file", FILE_PART),
    must("model", Text),
    may("prompt", Text),
    may("response_format", Word(&["json", "text", "srt", "verbose_json", "vtt"])),
    may("temperature", Num(0.0, 1.0)),
];

const MODERATED: Shape = Tagged {
    tag: "type",
    cases: &[
        ("image_url", &[must("image_url", Closed(&[must("url", Text)]))]),
        ("text", &[must("text", Text)]),
    ],
};

/// Text and images to be judged.
pub(super) static MODERATION: &[Field] = &[
    must("input", Either(&[Text, List { of: &Either(&[Text, MODERATED]), min: 1, max: 2048 }])),
    may("model", Text),
];
