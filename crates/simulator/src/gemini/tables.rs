//! The fields of Gemini's requests, as tables.
//!
//! Owns: names, types, enumerations and ranges of the API `v1beta`, after the types of the official Python package and
//! the API reference. Leaves to others: rules that relate fields (`check`, `turns`).
//!
//! **Invariant:** data only. Function and response schemas have the keywords of the reference's `Schema` and no others;
//! what goes beyond belongs in `parametersJsonSchema` and `responseJsonSchema`.

use crate::shape::Shape::{Any, AnyCaseWord, Bool, Closed, Either, Int, Num, Object, Text};
use crate::shape::{Field, Shape, list, may};

const TYPE: Shape =
    AnyCaseWord(&["TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"]);
/// 64-bit integers are numbers or text in Google's JSON.
const INT64: Shape = Either(&[Int(i64::MIN, i64::MAX), Text]);

static SCHEMA: Shape = Closed(&SCHEMA_FIELDS);
pub(crate) static SCHEMA_FIELDS: [Field; 22] = [
    may("type", TYPE),
    may("format", Text),
    may("title", Text),
    may("description", Text),
    may("nullable", Bool),
    may("enum", list(&Text)),
    may("maxItems", INT64),
    may("minItems", INT64),
    may("properties", Shape::MapOf(&SCHEMA)),
    may("required", list(&Text)),
    may("minProperties", INT64),
    may("maxProperties", INT64),
    may("minLength", INT64),
    may("maxLength", INT64),
    may("pattern", Text),
    may("example", Any),
    may("anyOf", list(&SCHEMA)),
    may("propertyOrdering", list(&Text)),
    may("default", Any),
    may("items", Closed(&SCHEMA_FIELDS)),
    may("minimum", NUMBER),
    may("maximum", NUMBER),
];
const NUMBER: Shape = Num(f64::MIN, f64::MAX);

pub(crate) const BLOB: Shape = Closed(&[may("mimeType", Text), may("data", Text), may("displayName", Text)]);
pub(crate) const FILE_DATA: Shape =
    Closed(&[may("mimeType", Text), may("fileUri", Text), may("displayName", Text)]);
pub(crate) const FUNCTION_CALL: Shape = Closed(&[may("id", Text), may("name", Text), may("args", Object)]);
pub(crate) const FUNCTION_RESPONSE: Shape = Closed(&[
    may("id", Text),
    may("name", Text),
    may("response", Object),
    may("willContinue", Bool),
    may("scheduling", Text),
    may("parts", list(&Object)),
]);
const PART: Shape = Closed(&[
    may("text", Text),
    may("inlineData", BLOB),
    may("fileData", FILE_DATA),
    may("functionCall", FUNCTION_CALL),
    may("functionResponse", FUNCTION_RESPONSE),
    may("executableCode", Object),
    may("codeExecutionResult", Object),
    may("toolCall", Object),
    may("toolResponse", Object),
    may("thought", Bool),
    may("thoughtSignature", Text),
    may("videoMetadata", Object),
    may("mediaResolution", Object),
    may("partMetadata", Object),
]);
const CONTENT: Shape = Closed(&[may("role", Text), may("parts", list(&PART))]);

pub(crate) const FUNCTION: Shape = Closed(&[
    may("name", Text),
    may("description", Text),
    may("behavior", AnyCaseWord(&["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"])),
    may("parameters", Closed(&SCHEMA_FIELDS)),
    may("parametersJsonSchema", Any),
    may("response", Closed(&SCHEMA_FIELDS)),
    may("responseJsonSchema", Any),
]);
const TOOL: Shape = Closed(&[
    may("functionDeclarations", list(&FUNCTION)),
    may("googleSearch", Object),
    may("googleSearchRetrieval", Object),
    may("codeExecution", Object),
    may("urlContext", Object),
    may("computerUse", Object),
    may("fileSearch", Object),
    may("googleMaps", Object),
    may("mcpServers", list(&Object)),
]);
pub(crate) const TOOL_CONFIG: Shape = Closed(&[
    may(
        "functionCallingConfig",
        Closed(&[
            may("mode", AnyCaseWord(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"])),
            may("allowedFunctionNames", list(&Text)),
        ]),
    ),
    may("retrievalConfig", Object),
    may("includeServerSideToolInvocations", Bool),
]);
const CATEGORY: Shape = AnyCaseWord(&[
    "HARM_CATEGORY_UNSPECIFIED",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
]);
const THRESHOLD: Shape = AnyCaseWord(&[
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
]);
const SAFETY: Shape = Closed(&[may("category", CATEGORY), may("threshold", THRESHOLD)]);
pub(crate) const THINKING: Shape = Closed(&[
    may("includeThoughts", Bool),
    may("thinkingBudget", Int(-1, i64::MAX)),
    may(
        "thinkingLevel",
        AnyCaseWord(&["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"]),
    ),
]);
const GENERATION: Shape = Closed(&[
    may("stopSequences", Shape::List { of: &Text, min: 0, max: 5 }),
    may("responseMimeType", Text),
    may("responseSchema", Closed(&SCHEMA_FIELDS)),
    may("responseJsonSchema", Any),
    may(
        "responseModalities",
        list(&AnyCaseWord(&["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"])),
    ),
    may("candidateCount", Int(1, 8)),
    may("maxOutputTokens", Int(1, i64::MAX)),
    may("temperature", Num(0.0, 2.0)),
    may("topP", Num(0.0, 1.0)),
    may("topK", Num(0.0, f64::MAX)),
    // A 32-bit integer in the API.
    may("seed", Int(-2_147_483_648, 2_147_483_647)),
    may("presencePenalty", Num(-2.0, 2.0)),
    may("frequencyPenalty", Num(-2.0, 2.0)),
    may("responseLogprobs", Bool),
    may("logprobs", Int(0, 20)),
    may("enableEnhancedCivicAnswers", Bool),
    may("speechConfig", Object),
    may("thinkingConfig", THINKING),
    may("imageConfig", Object),
    may("mediaResolution", Text),
    may("audioTranscriptionConfig", Object),
    may("responseFormat", Any),
]);

/// `generateContent` and `streamGenerateContent`.
pub(super) static GENERATE: [Field; 10] = [
    may("model", Text),
    may("contents", list(&CONTENT)),
    may("systemInstruction", CONTENT),
    may("tools", list(&TOOL)),
    may("toolConfig", TOOL_CONFIG),
    may("safetySettings", list(&SAFETY)),
    may("generationConfig", GENERATION),
    may("cachedContent", Text),
    may("serviceTier", Text),
    may("store", Bool),
];

/// `countTokens`.
pub(super) static COUNT: &[Field] =
    &[may("contents", list(&CONTENT)), may("generateContentRequest", Closed(&GENERATE))];

const EMBED_FIELDS: &[Field] = &[
    may("model", Text),
    may("content", CONTENT),
    may(
        "taskType",
        AnyCaseWord(&[
            "TASK_TYPE_UNSPECIFIED",
            "RETRIEVAL_QUERY",
            "RETRIEVAL_DOCUMENT",
            "SEMANTIC_SIMILARITY",
            "CLASSIFICATION",
            "CLUSTERING",
            "QUESTION_ANSWERING",
            "FACT_VERIFICATION",
            "CODE_RETRIEVAL_QUERY",
        ]),
    ),
    may("title", Text),
    may("outputDimensionality", Int(1, 8_192)),
];

/// `embedContent`.
pub(super) static EMBED: &[Field] = EMBED_FIELDS;

/// `batchEmbedContents`.
pub(super) static EMBED_MANY: &[Field] =
    &[may("requests", Shape::List { of: &Closed(EMBED_FIELDS), min: 0, max: 100 })];
