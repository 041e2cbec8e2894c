//! The items of a response's input, as tables.
//!
//! Owns: their members, after the types of the official Python package; where the API itself takes less than those
//! types demand (`detail` of an image, `annotations` of a text, ids), the API's rule. Leaves to others: which item goes
//! with which (`links`).
//!
//! **Invariant:** data only.

use super::tools::{CONTAINER_REFERENCE, LOCAL_ENVIRONMENT, TOOL};
use super::{INT, NAME, NOTHING, NUM};
use crate::shape::Shape::{Any, Bool, Closed, Either, MapOf, Null, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

const AUDIO: &[Field] = &[must("data", Text), must("format", Word(&["mp3", "wav"]))];
const INPUT_AUDIO: &[Field] = &[must("input_audio", Closed(AUDIO))];
/// A part of a message of any role; which role has which parts is a rule of its own.
const PART: Shape = Tagged {
    tag: "type",
    cases: &[
        ("input_text", INPUT_TEXT),
        ("input_image", INPUT_IMAGE),
        ("input_file", INPUT_FILE),
        ("input_audio", INPUT_AUDIO),
        ("output_text", OUTPUT_TEXT),
        ("refusal", OUTPUT_REFUSAL),
    ],
};
const STATUS: Shape = Word(&["in_progress", "completed", "incomplete"]);
/// The package's easy message, input message and output message in one.
const MESSAGE: &[Field] = &[
    must("role", Word(&["user", "assistant", "system", "developer"])),
    must("content", Either(&[Text, list(&PART)])),
    null("id", Text),
    null("status", STATUS),
    null("phase", Word(&["commentary", "final_answer"])),
];
pub(super) const PROMPT_CACHE_BREAKPOINT: &[Field] =
    &[must("mode", Word(&["explicit"])), may("ttl", Word(&["30m", "12h"]))];
pub(super) const INPUT_TEXT: &[Field] =
    &[must("text", Text), may("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT))];
pub(super) const INPUT_IMAGE: &[Field] = &[
    may("detail", Word(&["low", "high", "auto", "original"])),
    null("file_id", Text),
    null("image_url", Text),
    may("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT)),
];
pub(super) const INPUT_FILE: &[Field] = &[
    may("detail", Word(&["auto", "low", "high"])),
    may("file_data", Text),
    null("file_id", Text),
    may("file_url", Text),
    may("filename", Text),
    may("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT)),
];
pub(super) const INPUT_PART: Shape = Tagged {
    tag: "type",
    cases: &[("input_text", INPUT_TEXT), ("input_image", INPUT_IMAGE), ("input_file", INPUT_FILE)],
};
pub(super) const ANNOTATION_FILE_CITATION: &[Field] =
    &[must("file_id", Text), must("filename", Text), must("index", INT)];
pub(super) const ANNOTATION_URLCITATION: &[Field] =
    &[must("end_index", INT), must("start_index", INT), must("title", Text), must("url", Text)];
pub(super) const ANNOTATION_CONTAINER_FILE_CITATION: &[Field] = &[
    must("container_id", Text),
    must("end_index", INT),
    must("file_id", Text),
    must("filename", Text),
    must("start_index", INT),
];
pub(super) const ANNOTATION_FILE_PATH: &[Field] = &[must("file_id", Text), must("index", INT)];
pub(super) const ANNOTATION_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("file_citation", ANNOTATION_FILE_CITATION),
        ("url_citation", ANNOTATION_URLCITATION),
        ("container_file_citation", ANNOTATION_CONTAINER_FILE_CITATION),
        ("file_path", ANNOTATION_FILE_PATH),
    ],
};
pub(super) const LOGPROB_TOP_LOGPROB: &[Field] =
    &[must("token", Text), must("bytes", list(&INT)), must("logprob", NUM)];
pub(super) const LOGPROB: &[Field] = &[
    must("token", Text),
    must("bytes", list(&INT)),
    must("logprob", NUM),
    must("top_logprobs", list(&Closed(LOGPROB_TOP_LOGPROB))),
];
pub(super) const OUTPUT_TEXT: &[Field] = &[
    may("annotations", list(&ANNOTATION_KIND)),
    must("text", Text),
    may("logprobs", list(&Closed(LOGPROB))),
];
pub(super) const OUTPUT_REFUSAL: &[Field] = &[must("refusal", Text)];
pub(super) const RESULT: &[Field] = &[
    null("attributes", MapOf(&Either(&[Text, NUM, Bool]))),
    may("file_id", Text),
    may("filename", Text),
    may("score", NUM),
    may("text", Text),
];
pub(super) const FILE_SEARCH_TOOL_CALL: &[Field] = &[
    must("id", Text),
    must("queries", list(&Text)),
    must("status", Word(&["in_progress", "searching", "completed", "incomplete", "failed"])),
    null("results", list(&Closed(RESULT))),
];
pub(super) const PENDING_SAFETY_CHECK: &[Field] =
    &[must("id", Text), null("code", Text), null("message", Text)];
pub(super) const ACTION_CLICK: &[Field] = &[
    must("button", Word(&["left", "right", "wheel", "back", "forward"])),
    must("x", INT),
    must("y", INT),
    null("keys", list(&Text)),
];
pub(super) const ACTION_DOUBLE_CLICK: &[Field] =
    &[must("keys", Either(&[Null, list(&Text)])), must("x", INT), must("y", INT)];
pub(super) const ACTION_DRAG_PATH: &[Field] = &[must("x", INT), must("y", INT)];
pub(super) const ACTION_DRAG: &[Field] =
    &[must("path", list(&Closed(ACTION_DRAG_PATH))), null("keys", list(&Text))];
pub(super) const ACTION_KEYPRESS: &[Field] = &[must("keys", list(&Text))];
pub(super) const ACTION_MOVE: &[Field] = &[must("x", INT), must("y", INT), null("keys", list(&Text))];
pub(super) const ACTION_SCROLL: &[Field] = &[
    must("scroll_x", INT),
    must("scroll_y", INT),
    must("x", INT),
    must("y", INT),
    null("keys", list(&Text)),
];
pub(super) const ACTION_TYPE: &[Field] = &[must("text", Text)];
pub(super) const ACTION_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("click", ACTION_CLICK),
        ("double_click", ACTION_DOUBLE_CLICK),
        ("drag", ACTION_DRAG),
        ("keypress", ACTION_KEYPRESS),
        ("move", ACTION_MOVE),
        ("screenshot", NOTHING),
        ("scroll", ACTION_SCROLL),
        ("type", ACTION_TYPE),
        ("wait", NOTHING),
    ],
};
pub(super) const COMPUTER_TOOL_CALL: &[Field] = &[
    must("id", Text),
    must("call_id", Text),
    must("pending_safety_checks", list(&Closed(PENDING_SAFETY_CHECK))),
    must("status", Word(&["in_progress", "completed", "incomplete"])),
    may("action", ACTION_KIND),
    may("actions", list(&ACTION_KIND)),
];
pub(super) const COMPUTER_TOOL_CALL_OUTPUT_SCREENSHOT: &[Field] =
    &[must("type", Word(&["computer_screenshot"])), may("file_id", Text), may("image_url", Text)];
pub(super) const COMPUTER_CALL_OUTPUT: &[Field] = &[
    must("call_id", Text),
    must("output", Closed(COMPUTER_TOOL_CALL_OUTPUT_SCREENSHOT)),
    null("id", Text),
    null("acknowledged_safety_checks", list(&Closed(PENDING_SAFETY_CHECK))),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const ACTION_SEARCH_SOURCE: &[Field] = &[must("type", Word(&["url"])), must("url", Text)];
pub(super) const ACTION_SEARCH: &[Field] =
    &[may("queries", list(&Text)), may("query", Text), may("sources", list(&Closed(ACTION_SEARCH_SOURCE)))];
pub(super) const ACTION_OPEN_PAGE: &[Field] = &[null("url", Text)];
pub(super) const ACTION_FIND: &[Field] = &[must("pattern", Text), must("url", Text)];
pub(super) const ACTION_KIND_2: Shape = Tagged {
    tag: "type",
    cases: &[("search", ACTION_SEARCH), ("open_page", ACTION_OPEN_PAGE), ("find_in_page", ACTION_FIND)],
};
pub(super) const FUNCTION_WEB_SEARCH: &[Field] = &[
    must("id", Text),
    must("action", ACTION_KIND_2),
    must("status", Word(&["in_progress", "searching", "completed", "incomplete", "failed"])),
];
pub(super) const CALLER_PROGRAM: &[Field] = &[must("caller_id", Text)];
pub(super) const CALLER_KIND: Shape =
    Tagged { tag: "type", cases: &[("direct", NOTHING), ("program", CALLER_PROGRAM)] };
pub(super) const FUNCTION_TOOL_CALL: &[Field] = &[
    may("async", Bool),
    must("arguments", Text),
    must("call_id", Text),
    must("name", NAME),
    null("id", Text),
    null("caller", CALLER_KIND),
    may("namespace", Text),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const INPUT_TEXT_CONTENT: &[Field] =
    &[must("text", Text), null("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT))];
pub(super) const INPUT_IMAGE_CONTENT: &[Field] = &[
    null("detail", Word(&["low", "high", "auto", "original"])),
    null("file_id", Text),
    null("image_url", Text),
    null("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT)),
];
pub(super) const INPUT_FILE_CONTENT: &[Field] = &[
    may("detail", Word(&["auto", "low", "high"])),
    null("file_data", Text),
    null("file_id", Text),
    null("file_url", Text),
    null("filename", Text),
    null("prompt_cache_breakpoint", Closed(PROMPT_CACHE_BREAKPOINT)),
];
pub(super) const OUTPUT_PART: Shape = Tagged {
    tag: "type",
    cases: &[
        ("input_text", INPUT_TEXT_CONTENT),
        ("input_image", INPUT_IMAGE_CONTENT),
        ("input_file", INPUT_FILE_CONTENT),
    ],
};
pub(super) const FUNCTION_CALL_OUTPUT: &[Field] = &[
    must("output", Either(&[Text, list(&OUTPUT_PART)])),
    null("id", Text),
    null("call_id", Text),
    null("caller", CALLER_KIND),
    null("name", Text),
    null("namespace", Text),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const TOOL_SEARCH_CALL: &[Field] = &[
    must("arguments", Any),
    null("id", Text),
    null("call_id", Text),
    may("execution", Word(&["server", "client"])),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const TOOL_SEARCH_OUTPUT_ITEM: &[Field] = &[
    must("tools", list(&TOOL)),
    null("id", Text),
    null("call_id", Text),
    may("execution", Word(&["server", "client"])),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const ADDITIONAL_TOOLS: &[Field] =
    &[must("role", Word(&["developer"])), must("tools", list(&TOOL)), null("id", Text)];
pub(super) const REASONING: &[Field] =
    &[null("effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]))];
pub(super) const FORMAT_TEXT_JSONSCHEMA_CONFIG: &[Field] =
    &[must("name", NAME), must("schema", Object), may("description", Text), null("strict", Bool)];
pub(super) const FORMAT_TEXT_KIND: Shape =
    Tagged { tag: "type", cases: &[("text", NOTHING), ("json_schema", FORMAT_TEXT_JSONSCHEMA_CONFIG)] };
pub(super) const TEXT: &[Field] = &[must("format", FORMAT_TEXT_KIND)];
pub(super) const CONFIGURATION_UPDATE_ITEM: &[Field] =
    &[null("id", Text), may("reasoning", Closed(REASONING)), may("text", Closed(TEXT))];
pub(super) const SUMMARY: &[Field] = &[must("text", Text), must("type", Word(&["summary_text"]))];
pub(super) const CONTENT: &[Field] = &[must("text", Text), must("type", Word(&["reasoning_text"]))];
pub(super) const REASONING_ITEM: &[Field] = &[
    null("id", Text),
    must("summary", list(&Closed(SUMMARY))),
    null("content", list(&Closed(CONTENT))),
    null("encrypted_content", Text),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const COMPACTION_ITEM: &[Field] = &[must("encrypted_content", Text), null("id", Text)];
pub(super) const IMAGE_GENERATION_CALL_ERROR_MODERATION_DETAILS: &[Field] =
    &[must("categories", list(&Text)), must("moderation_stage", Word(&["input", "output", "unknown"]))];
pub(super) const IMAGE_GENERATION_CALL_ERROR: &[Field] = &[
    must("code", Either(&[Null, Text])),
    must("message", Text),
    must("param", Either(&[Null, Text])),
    must("type", Text),
    may("moderation_details", Closed(IMAGE_GENERATION_CALL_ERROR_MODERATION_DETAILS)),
];
pub(super) const IMAGE_GENERATION_CALL_SVG_USAGE: &[Field] = &[
    must("input_tokens", INT),
    must("model", Text),
    must("output_tokens", INT),
    must("reasoning_tokens", INT),
    must("total_tokens", INT),
];
pub(super) const IMAGE_GENERATION_CALL: &[Field] = &[
    must("id", Text),
    must("result", Either(&[Null, Text])),
    must("status", Word(&["in_progress", "completed", "generating", "failed"])),
    null("action", Word(&["generate", "edit", "auto"])),
    null("background", Word(&["transparent", "opaque", "auto"])),
    may("error", Closed(IMAGE_GENERATION_CALL_ERROR)),
    null("output_format", Word(&["png", "webp", "jpeg", "gif", "svg"])),
    null("quality", Word(&["low", "medium", "high", "xhigh", "max", "auto"])),
    null("revised_prompt", Text),
    null("size", Text),
    may("svg_usage", Closed(IMAGE_GENERATION_CALL_SVG_USAGE)),
];
pub(super) const OUTPUT_LOGS: &[Field] = &[must("logs", Text)];
pub(super) const OUTPUT_IMAGE: &[Field] = &[must("url", Text)];
pub(super) const ANSWER_PART_2: Shape =
    Tagged { tag: "type", cases: &[("logs", OUTPUT_LOGS), ("image", OUTPUT_IMAGE)] };
pub(super) const CODE_INTERPRETER_TOOL_CALL: &[Field] = &[
    must("id", Text),
    must("code", Either(&[Null, Text])),
    must("container_id", Text),
    must("outputs", Either(&[Null, list(&ANSWER_PART_2)])),
    must("status", Word(&["in_progress", "completed", "incomplete", "interpreting", "failed"])),
];
pub(super) const LOCAL_SHELL_CALL_ACTION: &[Field] = &[
    must("command", list(&Text)),
    must("env", MapOf(&Text)),
    must("type", Word(&["exec"])),
    null("timeout_ms", INT),
    null("user", Text),
    null("working_directory", Text),
];
pub(super) const LOCAL_SHELL_CALL: &[Field] = &[
    must("id", Text),
    must("action", Closed(LOCAL_SHELL_CALL_ACTION)),
    must("call_id", Text),
    must("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const LOCAL_SHELL_CALL_OUTPUT: &[Field] = &[
    may("id", Text),
    may("call_id", Text),
    must("output", Text),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const SHELL_CALL_ACTION: &[Field] =
    &[must("commands", list(&Text)), null("max_output_length", INT), null("timeout_ms", INT)];
pub(super) const LOCAL_ENVIRONMENT_KIND: Shape = Tagged {
    tag: "type",
    cases: &[("local", LOCAL_ENVIRONMENT), ("container_reference", CONTAINER_REFERENCE)],
};
pub(super) const SHELL_CALL: &[Field] = &[
    must("action", Closed(SHELL_CALL_ACTION)),
    must("call_id", Text),
    null("id", Text),
    null("caller", CALLER_KIND),
    null("environment", LOCAL_ENVIRONMENT_KIND),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const OUTCOME_EXIT: &[Field] = &[must("exit_code", INT)];
pub(super) const OUTCOME_KIND: Shape =
    Tagged { tag: "type", cases: &[("timeout", NOTHING), ("exit", OUTCOME_EXIT)] };
pub(super) const FUNCTION_SHELL_CALL_OUTPUT_CONTENT: &[Field] =
    &[must("outcome", OUTCOME_KIND), must("stderr", Text), must("stdout", Text)];
pub(super) const SHELL_CALL_OUTPUT: &[Field] = &[
    must("call_id", Text),
    must("output", list(&Closed(FUNCTION_SHELL_CALL_OUTPUT_CONTENT))),
    null("id", Text),
    null("caller", CALLER_KIND),
    null("max_output_length", INT),
    null("status", Word(&["in_progress", "completed", "incomplete"])),
];
pub(super) const APPLY_PATCH_CALL_OPERATION_CREATE_FILE: &[Field] = &[must("diff", Text), must("path", Text)];
pub(super) const APPLY_PATCH_CALL_OPERATION_DELETE_FILE: &[Field] = &[must("path", Text)];
pub(super) const APPLY_PATCH_CALL_OPERATION_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("create_file", APPLY_PATCH_CALL_OPERATION_CREATE_FILE),
        ("delete_file", APPLY_PATCH_CALL_OPERATION_DELETE_FILE),
        ("update_file", APPLY_PATCH_CALL_OPERATION_CREATE_FILE),
    ],
};
pub(super) const APPLY_PATCH_CALL: &[Field] = &[
    must("call_id", Text),
    must("operation", APPLY_PATCH_CALL_OPERATION_KIND),
    must("status", Word(&["in_progress", "completed"])),
    null("id", Text),
    null("caller", CALLER_KIND),
];
pub(super) const APPLY_PATCH_CALL_OUTPUT: &[Field] = &[
    must("call_id", Text),
    must("status", Word(&["completed", "failed"])),
    null("id", Text),
    null("caller", CALLER_KIND),
    null("output", Text),
];
pub(super) const MCP_LIST_TOOLS_TOOL: &[Field] =
    &[must("input_schema", Any), must("name", Text), null("annotations", Any), null("description", Text)];
pub(super) const MCP_LIST_TOOLS: &[Field] = &[
    must("id", Text),
    must("server_label", Text),
    must("tools", list(&Closed(MCP_LIST_TOOLS_TOOL))),
    null("error", Text),
];
pub(super) const MCP_APPROVAL_REQUEST: &[Field] =
    &[must("id", Text), must("arguments", Text), must("name", Text), must("server_label", Text)];
pub(super) const MCP_APPROVAL_RESPONSE: &[Field] =
    &[must("approval_request_id", Text), must("approve", Bool), null("id", Text), null("reason", Text)];
pub(super) const MCP_PROTOCOL_ERROR: &[Field] = &[must("code", INT), must("message", Text)];
pub(super) const MCP_TOOL_EXECUTION_ERROR: &[Field] = &[must("content", Any)];
pub(super) const MCP_PROTOCOL_ERROR_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("mcp_protocol_error", MCP_PROTOCOL_ERROR),
        ("mcp_tool_execution_error", MCP_TOOL_EXECUTION_ERROR),
        ("http_error", MCP_PROTOCOL_ERROR),
    ],
};
pub(super) const MCP_CALL: &[Field] = &[
    must("id", Text),
    must("arguments", Text),
    must("name", Text),
    must("server_label", Text),
    null("approval_request_id", Text),
    null("error", MCP_PROTOCOL_ERROR_KIND),
    null("output", Text),
    may("status", Word(&["in_progress", "completed", "incomplete", "calling", "failed"])),
];
pub(super) const CUSTOM_TOOL_CALL_OUTPUT: &[Field] = &[
    must("call_id", Text),
    must("output", Either(&[Text, list(&INPUT_PART)])),
    may("id", Text),
    null("caller", CALLER_KIND),
];
pub(super) const CUSTOM_TOOL_CALL: &[Field] = &[
    may("async", Bool),
    must("call_id", Text),
    must("input", Text),
    must("name", NAME),
    null("id", Text),
    // The API sends it and takes it back.
    null("status", STATUS),
    null("caller", CALLER_KIND),
    may("namespace", Text),
];
pub(super) const COMPACTION_TRIGGER: &[Field] = &[null("id", Text)];
pub(super) const ITEM_REFERENCE: &[Field] = &[must("id", Text)];
pub(super) const PROGRAM: &[Field] =
    &[must("id", Text), must("call_id", Text), must("code", Text), must("fingerprint", Text)];
pub(super) const PROGRAM_OUTPUT: &[Field] = &[
    must("id", Text),
    must("call_id", Text),
    must("result", Text),
    must("status", Word(&["completed", "incomplete"])),
];
pub(super) const ITEM: Shape = Tagged {
    tag: "type",
    cases: &[
        ("message", MESSAGE),
        ("file_search_call", FILE_SEARCH_TOOL_CALL),
        ("computer_call", COMPUTER_TOOL_CALL),
        ("computer_call_output", COMPUTER_CALL_OUTPUT),
        ("web_search_call", FUNCTION_WEB_SEARCH),
        ("function_call", FUNCTION_TOOL_CALL),
        ("function_call_output", FUNCTION_CALL_OUTPUT),
        ("tool_search_call", TOOL_SEARCH_CALL),
        ("tool_search_output", TOOL_SEARCH_OUTPUT_ITEM),
        ("additional_tools", ADDITIONAL_TOOLS),
        ("configuration_update", CONFIGURATION_UPDATE_ITEM),
        ("reasoning", REASONING_ITEM),
        ("compaction", COMPACTION_ITEM),
        ("image_generation_call", IMAGE_GENERATION_CALL),
        ("code_interpreter_call", CODE_INTERPRETER_TOOL_CALL),
        ("local_shell_call", LOCAL_SHELL_CALL),
        ("local_shell_call_output", LOCAL_SHELL_CALL_OUTPUT),
        ("shell_call", SHELL_CALL),
        ("shell_call_output", SHELL_CALL_OUTPUT),
        ("apply_patch_call", APPLY_PATCH_CALL),
        ("apply_patch_call_output", APPLY_PATCH_CALL_OUTPUT),
        ("mcp_list_tools", MCP_LIST_TOOLS),
        ("mcp_approval_request", MCP_APPROVAL_REQUEST),
        ("mcp_approval_response", MCP_APPROVAL_RESPONSE),
        ("mcp_call", MCP_CALL),
        ("custom_tool_call_output", CUSTOM_TOOL_CALL_OUTPUT),
        ("custom_tool_call", CUSTOM_TOOL_CALL),
        ("compaction_trigger", COMPACTION_TRIGGER),
        ("item_reference", ITEM_REFERENCE),
        ("program", PROGRAM),
        ("program_output", PROGRAM_OUTPUT),
    ],
};
