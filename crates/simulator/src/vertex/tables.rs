//! The members of Vertex AI's requests that differ from those of the Gemini API, as tables.
//!
//! Owns: what only Vertex AI has and has not, after the official Python package's converters for both. Leaves to others:
//! what both have (`gemini::tables`).
//!
//! **Invariant:** data only.

use crate::gemini::tables::{
    BLOB, FILE_DATA, FUNCTION, FUNCTION_CALL, FUNCTION_RESPONSE, SCHEMA_FIELDS, THINKING, TOOL_CONFIG,
};
use crate::shape::Shape::{Any, AnyCaseWord, Bool, Closed, Int, MapOf, Num, Object, Text};
use crate::shape::{Field, Shape, list, may};

const PART: Shape = Closed(&[
    may("text", Text),
    may("inlineData", BLOB),
    may("fileData", FILE_DATA),
    may("functionCall", FUNCTION_CALL),
    may("functionResponse", FUNCTION_RESPONSE),
    may("executableCode", Object),
    may("codeExecutionResult", Object),
    may("thought", Bool),
    may("thoughtSignature", Text),
    may("videoMetadata", Object),
    may("mediaResolution", Object),
]);
const CONTENT: Shape = Closed(&[may("role", Text), may("parts", list(&PART))]);
const TOOL: Shape = Closed(&[
    may("functionDeclarations", list(&FUNCTION)),
    may("retrieval", Object),
    may("googleSearch", Object),
    may("googleSearchRetrieval", Object),
    may("googleMaps", Object),
    may("enterpriseWebSearch", Object),
    may("parallelAiSearch", Object),
    may("exaAiSearch", Object),
    may("codeExecution", Object),
    may("urlContext", Object),
    may("computerUse", Object),
    may("mcpServers", list(&Object)),
]);
const SAFETY: Shape = Closed(&[
    may("category", Text),
    may("threshold", Text),
    may("method", AnyCaseWord(&["HARM_BLOCK_METHOD_UNSPECIFIED", "SEVERITY", "PROBABILITY"])),
]);
static GENERATION: &[Field] = &[
    may("stopSequences", Shape::List { of: &Text, min: 0, max: 5 }),
    may("responseMimeType", Text),
    may("responseSchema", Closed(&SCHEMA_FIELDS)),
    may("responseJsonSchema", Any),
    may(
        "responseModalities",
        list(&AnyCaseWord(&["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"])),
    ),
    may("candidateCount", Int(1, 8)),
    may("maxOutputTokens", Int(1, 65_536)),
    may("temperature", Num(0.0, 2.0)),
    may("topP", Num(0.0, 1.0)),
    may("topK", Num(0.0, f64::MAX)),
    may("seed", Int(-2_147_483_648, 2_147_483_647)),
    may("presencePenalty", Num(-2.0, 2.0)),
    may("frequencyPenalty", Num(-2.0, 2.0)),
    may("responseLogprobs", Bool),
    may("logprobs", Int(0, 20)),
    may("speechConfig", Object),
    may("thinkingConfig", THINKING),
    may("imageConfig", Object),
    may("mediaResolution", Text),
    may("audioTranscriptionConfig", Object),
    may("audioTimestamp", Bool),
    may("routingConfig", Object),
    may("modelConfig", Object),
    may("enableAffectiveDialog", Bool),
];

/// `generateContent` and `streamGenerateContent`.
pub(super) static GENERATE: &[Field] = &[
    may("contents", list(&CONTENT)),
    may("systemInstruction", CONTENT),
    may("tools", list(&TOOL)),
    may("toolConfig", TOOL_CONFIG),
    may("safetySettings", list(&SAFETY)),
    may("generationConfig", Closed(GENERATION)),
    may("cachedContent", Text),
    may("labels", MapOf(&Text)),
    may("modelArmorConfig", Object),
    may("serviceTier", Text),
];

/// `countTokens`.
pub(super) static COUNT: &[Field] = &[
    may("model", Text),
    may("instances", list(&Any)),
    may("contents", list(&CONTENT)),
    may("systemInstruction", CONTENT),
    may("tools", list(&TOOL)),
    may("generationConfig", Object),
];
