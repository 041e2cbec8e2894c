//! The events that a caller of the Realtime API may send, as tables.
//!
//! Owns: their members, after the types of the official Python package. Leaves to others: what each does (`session`).
//!
//! **Invariant:** data only.

use crate::shape::Shape::{Any, Bool, Closed, Either, Int, MapOf, Num, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const INT: Shape = Int(i64::MIN, i64::MAX);
const NUM: Shape = Num(f64::MIN, f64::MAX);
/// An object of its tag alone.
const NOTHING: &[Field] = &[];
/// A part of a message of any role; which role has which parts is a rule of its own.
const PART: Shape = Tagged {
    tag: "type",
    cases: &[
        ("input_text", &[must("text", Text)]),
        ("input_audio", &[may("audio", Text), null("transcript", Text)]),
        ("input_image", &[must("image_url", Text), may("detail", Word(&["auto", "low", "high"]))]),
        ("output_text", &[must("text", Text)]),
        ("output_audio", &[may("audio", Text), null("transcript", Text)]),
    ],
};
/// The messages of the package in one.
const MESSAGE: &[Field] = &[
    must("role", Word(&["system", "user", "assistant"])),
    must("content", list(&PART)),
    may("id", Text),
    may("object", Word(&["realtime.item"])),
    may("status", Word(&["completed", "incomplete", "in_progress"])),
];
const FUNCTION_CALL: &[Field] = &[
    must("arguments", Text),
    must("name", Text),
    may("id", Text),
    may("call_id", Text),
    may("object", Word(&["realtime.item"])),
    may("status", Word(&["completed", "incomplete", "in_progress"])),
];
const FUNCTION_CALL_OUTPUT: &[Field] = &[
    must("call_id", Text),
    must("output", Text),
    may("id", Text),
    may("object", Word(&["realtime.item"])),
    may("status", Word(&["completed", "incomplete", "in_progress"])),
];
const MCP_APPROVAL_RESPONSE: &[Field] =
    &[must("id", Text), must("approval_request_id", Text), must("approve", Bool), null("reason", Text)];
const TOOL: &[Field] =
    &[must("input_schema", Any), must("name", Text), null("annotations", Any), null("description", Text)];
const MCP_LIST_TOOLS: &[Field] =
    &[must("server_label", Text), must("tools", list(&Closed(TOOL))), may("id", Text)];
const MCP_PROTOCOL_ERROR: &[Field] = &[must("code", INT), must("message", Text)];
const MCP_TOOL_EXECUTION_ERROR: &[Field] = &[must("message", Text)];
const MCP_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("protocol_error", MCP_PROTOCOL_ERROR),
        ("tool_execution_error", MCP_TOOL_EXECUTION_ERROR),
        ("http_error", MCP_PROTOCOL_ERROR),
    ],
};
const MCP_TOOL_CALL: &[Field] = &[
    must("id", Text),
    must("arguments", Text),
    must("name", Text),
    must("server_label", Text),
    null("approval_request_id", Text),
    null("error", MCP_KIND),
    null("output", Text),
];
const MCP_APPROVAL_REQUEST: &[Field] =
    &[must("id", Text), must("arguments", Text), must("name", Text), must("server_label", Text)];
const ITEM_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("message", MESSAGE),
        ("function_call", FUNCTION_CALL),
        ("function_call_output", FUNCTION_CALL_OUTPUT),
        ("mcp_approval_response", MCP_APPROVAL_RESPONSE),
        ("mcp_list_tools", MCP_LIST_TOOLS),
        ("mcp_call", MCP_TOOL_CALL),
        ("mcp_approval_request", MCP_APPROVAL_REQUEST),
    ],
};
const CONVERSATION_ITEM_CREATE_EVENT: &[Field] =
    &[must("item", ITEM_KIND), may("event_id", Text), may("previous_item_id", Text)];
const CONVERSATION_ITEM_DELETE_EVENT: &[Field] = &[must("item_id", Text), may("event_id", Text)];
const CONVERSATION_ITEM_TRUNCATE_EVENT: &[Field] =
    &[must("audio_end_ms", INT), must("content_index", INT), must("item_id", Text), may("event_id", Text)];
const INPUT_AUDIO_BUFFER_APPEND_EVENT: &[Field] = &[must("audio", Text), may("event_id", Text)];
const INPUT_AUDIO_BUFFER_CLEAR_EVENT: &[Field] = &[may("event_id", Text)];
const CANCEL_EVENT: &[Field] = &[may("event_id", Text), may("response_id", Text)];
const AUDIO_PCM: &[Field] = &[may("rate", Int(24000, 24000))];
const AUDIO_PCM_KIND: Shape = Tagged {
    tag: "type",
    cases: &[("audio/pcm", AUDIO_PCM), ("audio/pcmu", NOTHING), ("audio/pcma", NOTHING)],
};
const OUTPUT_VOICE_ID: &[Field] = &[must("id", Text)];
const OUTPUT: &[Field] =
    &[may("format", AUDIO_PCM_KIND), may("voice", Either(&[Text, Closed(OUTPUT_VOICE_ID)]))];
const RESPONSE_CREATE_AUDIO_OUTPUT: &[Field] = &[may("output", Closed(OUTPUT))];
const PROMPT_CACHE_BREAKPOINT: &[Field] =
    &[must("mode", Word(&["explicit"])), may("ttl", Word(&["30m", "12h"]))];
const INPUT_TEXT: &[Field] =
    &[must("text", Text), may("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT))];
const INPUT_IMAGE: &[Field] = &[
    must("detail", Word(&["low", "high", "auto", "original"])),
    null("file_id", Text),
    null("image_url", Text),
    may("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT)),
];
const INPUT_FILE: &[Field] = &[
    may("detail", Word(&["auto", "low", "high"])),
    may("file_data", Text),
    null("file_id", Text),
    may("file_url", Text),
    may("filename", Text),
    may("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT)),
];
const INPUT_KIND: Shape = Tagged {
    tag: "type",
    cases: &[("input_text", INPUT_TEXT), ("input_image", INPUT_IMAGE), ("input_file", INPUT_FILE)],
};
const PROMPT: &[Field] =
    &[must("id", Text), null("variables", MapOf(&Either(&[Text, INPUT_KIND]))), null("version", Text)];
const REASONING: &[Field] = &[may("effort", Word(&["minimal", "low", "medium", "high", "xhigh"]))];
const TOOL_CHOICE_FUNCTION: &[Field] = &[must("name", Text)];
const TOOL_CHOICE_MCP: &[Field] = &[must("server_label", Text), null("name", Text)];
const TOOL_CHOICE_KIND: Shape =
    Tagged { tag: "type", cases: &[("function", TOOL_CHOICE_FUNCTION), ("mcp", TOOL_CHOICE_MCP)] };
const FUNCTION_TOOL: &[Field] = &[may("description", Text), may("name", Text), may("parameters", Any)];
const ALLOWED_TOOLS_MCP_TOOL_FILTER: &[Field] = &[may("read_only", Bool), may("tool_names", list(&Text))];
const REQUIRE_APPROVAL_MCP_TOOL_APPROVAL_FILTER: &[Field] = &[
    may("always", Closed(ALLOWED_TOOLS_MCP_TOOL_FILTER)),
    may("never", Closed(ALLOWED_TOOLS_MCP_TOOL_FILTER)),
];
const RESPONSE_CREATE_MCP_TOOL: &[Field] = &[
    must("server_label", Text),
    null("allowed_callers", list(&Word(&["direct", "programmatic"]))),
    null("allowed_tools", Either(&[Closed(ALLOWED_TOOLS_MCP_TOOL_FILTER), list(&Text)])),
    may("authorization", Text),
    may(
        "connector_id",
        Word(&[
            "connector_dropbox",
            "connector_gmail",
            "connector_googlecalendar",
            "connector_googledrive",
            "connector_microsoftteams",
            "connector_outlookcalendar",
            "connector_outlookemail",
            "connector_sharepoint",
        ]),
    ),
    may("defer_loading", Bool),
    null("headers", MapOf(&Text)),
    null(
        "require_approval",
        Either(&[Word(&["always", "never"]), Closed(REQUIRE_APPROVAL_MCP_TOOL_APPROVAL_FILTER)]),
    ),
    may("server_description", Text),
    may("server_url", Text),
    may("tunnel_id", Text),
];
const TOOL_KIND: Shape =
    Tagged { tag: "type", cases: &[("function", FUNCTION_TOOL), ("mcp", RESPONSE_CREATE_MCP_TOOL)] };
const RESPONSE_CREATE_PARAMS: &[Field] = &[
    may("audio", Closed(RESPONSE_CREATE_AUDIO_OUTPUT)),
    may("conversation", Text),
    may("input", list(&ITEM_KIND)),
    may("instructions", Text),
    may("max_output_tokens", Either(&[Word(&["inf"]), INT])),
    null("metadata", MapOf(&Text)),
    may("output_modalities", list(&Word(&["text", "audio"]))),
    may("parallel_tool_calls", Bool),
    null("prompt", Closed(PROMPT)),
    may("reasoning", Closed(REASONING)),
    may("tool_choice", Either(&[Word(&["none", "auto", "required"]), TOOL_CHOICE_KIND])),
    may("tools", list(&TOOL_KIND)),
];
const CREATE_EVENT: &[Field] = &[may("event_id", Text), may("response", Closed(RESPONSE_CREATE_PARAMS))];
const NOISE_REDUCTION: &[Field] = &[may("strength", NUM), may("type", Word(&["near_field", "far_field"]))];
const AUDIO_TRANSCRIPTION: &[Field] = &[
    may("delay", Word(&["minimal", "low", "medium", "high", "xhigh"])),
    may("keywords", list(&Text)),
    may("language", Text),
    may("languages", list(&Text)),
    may("model", Text),
    may("prompt", Text),
];
const SERVER_VAD: &[Field] = &[
    may("create_response", Bool),
    null("idle_timeout_ms", INT),
    may("interrupt_response", Bool),
    may("prefix_padding_ms", INT),
    may("silence_duration_ms", INT),
    may("threshold", NUM),
];
const SEMANTIC_VAD: &[Field] = &[
    may("create_response", Bool),
    may("eagerness", Word(&["low", "medium", "high", "auto"])),
    may("interrupt_response", Bool),
];
const SERVER_VAD_KIND: Shape =
    Tagged { tag: "type", cases: &[("server_vad", SERVER_VAD), ("semantic_vad", SEMANTIC_VAD)] };
const AUDIO_CONFIG_INPUT: &[Field] = &[
    may("format", AUDIO_PCM_KIND),
    may("noise_reduction", Closed(NOISE_REDUCTION)),
    may("transcription", Closed(AUDIO_TRANSCRIPTION)),
    null("turn_detection", SERVER_VAD_KIND),
];
const AUDIO_CONFIG_OUTPUT: &[Field] = &[
    may("format", AUDIO_PCM_KIND),
    may("speed", NUM),
    may("voice", Either(&[Text, Closed(OUTPUT_VOICE_ID)])),
];
const AUDIO_CONFIG: &[Field] =
    &[may("input", Closed(AUDIO_CONFIG_INPUT)), may("output", Closed(AUDIO_CONFIG_OUTPUT))];
const TRACING_CONFIGURATION: &[Field] =
    &[may("group_id", Text), may("metadata", Any), may("workflow_name", Text)];
const TOKEN_LIMITS: &[Field] = &[may("post_instructions", INT)];
const TRUNCATION_RETENTION_RATIO: &[Field] = &[
    must("retention_ratio", NUM),
    must("type", Word(&["retention_ratio"])),
    may("token_limits", Closed(TOKEN_LIMITS)),
];
const SESSION_CREATE_REQUEST: &[Field] = &[
    may("audio", Closed(AUDIO_CONFIG)),
    may("include", list(&Word(&["item.input_audio_transcription.logprobs"]))),
    may("instructions", Text),
    may("max_output_tokens", Either(&[Word(&["inf"]), INT])),
    may("model", Text),
    may("output_modalities", list(&Word(&["text", "audio"]))),
    may("parallel_tool_calls", Bool),
    null("prompt", Closed(PROMPT)),
    may("reasoning", Closed(REASONING)),
    may("tool_choice", Either(&[Word(&["none", "auto", "required"]), TOOL_CHOICE_KIND])),
    may("tools", list(&TOOL_KIND)),
    null("tracing", Either(&[Word(&["auto"]), Closed(TRACING_CONFIGURATION)])),
    may("truncation", Either(&[Word(&["auto", "disabled"]), Closed(TRUNCATION_RETENTION_RATIO)])),
];
const TRANSCRIPTION_SESSION_AUDIO: &[Field] = &[may("input", Closed(AUDIO_CONFIG_INPUT))];
const TRANSCRIPTION_SESSION_CREATE_REQUEST: &[Field] = &[
    may("audio", Closed(TRANSCRIPTION_SESSION_AUDIO)),
    may("include", list(&Word(&["item.input_audio_transcription.logprobs"]))),
];
const SESSION_KIND: Shape = Tagged {
    tag: "type",
    cases: &[("realtime", SESSION_CREATE_REQUEST), ("transcription", TRANSCRIPTION_SESSION_CREATE_REQUEST)],
};
const SESSION_UPDATE_EVENT: &[Field] = &[must("session", SESSION_KIND), may("event_id", Text)];
/// What a caller may send.
pub(super) static EVENT: &[Field] = &[must("event", CLIENT_EVENT)];
/// What a session may be made with.
pub(super) static SECRET: &[Field] = &[
    may("expires_after", Closed(&[must("anchor", Word(&["created_at"])), may("seconds", Int(10, 7_200))])),
    may("session", SESSION_KIND),
];
const CLIENT_EVENT: Shape = Tagged {
    tag: "type",
    cases: &[
        ("conversation.item.create", CONVERSATION_ITEM_CREATE_EVENT),
        ("conversation.item.delete", CONVERSATION_ITEM_DELETE_EVENT),
        ("conversation.item.retrieve", CONVERSATION_ITEM_DELETE_EVENT),
        ("conversation.item.truncate", CONVERSATION_ITEM_TRUNCATE_EVENT),
        ("input_audio_buffer.append", INPUT_AUDIO_BUFFER_APPEND_EVENT),
        ("input_audio_buffer.clear", INPUT_AUDIO_BUFFER_CLEAR_EVENT),
        ("output_audio_buffer.clear", INPUT_AUDIO_BUFFER_CLEAR_EVENT),
        ("input_audio_buffer.commit", INPUT_AUDIO_BUFFER_CLEAR_EVENT),
        ("response.cancel", CANCEL_EVENT),
        ("response.create", CREATE_EVENT),
        ("session.update", SESSION_UPDATE_EVENT),
    ],
};
