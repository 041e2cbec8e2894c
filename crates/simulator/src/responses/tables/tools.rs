//! The tools of a response, as tables.
//!
//! Owns: their members, after the types of the official Python package. Leaves to others: schemas of functions (`check`).
//!
//! **Invariant:** data only.

use super::{INT, NAME, NOTHING, NUM};
use crate::shape::Shape::{Any, Bool, Closed, Either, MapOf, Null, Object, Tagged, Text, Word};
use crate::shape::{Field, Shape, list, may, must, null};

pub(super) const FUNCTION_TOOL: &[Field] = &[
    may("async", Bool),
    must("name", NAME),
    null("parameters", Either(&[Null, Object])),
    null("strict", Either(&[Null, Bool])),
    null("allowed_callers", list(&Word(&["direct", "programmatic"]))),
    may("defer_loading", Bool),
    null("description", Text),
    null("output_schema", Object),
];
pub(super) const COMPARISON_FILTER: &[Field] =
    &[must("key", Text), must("value", Either(&[Text, NUM, Bool, list(&Either(&[Text, NUM]))]))];
pub(super) const COMPOUND_FILTER: &[Field] = &[must("filters", list(&Any))];
pub(super) const COMPARISON_FILTER_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("eq", COMPARISON_FILTER),
        ("ne", COMPARISON_FILTER),
        ("gt", COMPARISON_FILTER),
        ("gte", COMPARISON_FILTER),
        ("lt", COMPARISON_FILTER),
        ("lte", COMPARISON_FILTER),
        ("in", COMPARISON_FILTER),
        ("nin", COMPARISON_FILTER),
        ("and", COMPOUND_FILTER),
        ("or", COMPOUND_FILTER),
    ],
};
pub(super) const RANKING_OPTIONS_HYBRID_SEARCH: &[Field] =
    &[must("embedding_weight", NUM), must("text_weight", NUM)];
pub(super) const RANKING_OPTIONS: &[Field] = &[
    may("hybrid_search", Closed(RANKING_OPTIONS_HYBRID_SEARCH)),
    may("ranker", Word(&["auto", "default-2024-11-15"])),
    may("score_threshold", NUM),
];
pub(super) const FILE_SEARCH_TOOL: &[Field] = &[
    must("vector_store_ids", list(&Text)),
    null("filters", COMPARISON_FILTER_KIND),
    may("max_num_results", INT),
    may("ranking_options", Closed(RANKING_OPTIONS)),
];
pub(super) const COMPUTER_USE_PREVIEW_TOOL: &[Field] = &[
    must("display_height", INT),
    must("display_width", INT),
    must("environment", Word(&["windows", "mac", "linux", "ubuntu", "browser"])),
];
pub(super) const FILTERS: &[Field] = &[null("allowed_domains", list(&Text))];
pub(super) const USER_LOCATION: &[Field] = &[
    null("city", Text),
    null("country", Text),
    null("region", Text),
    null("timezone", Text),
    may("type", Word(&["approximate"])),
];
pub(super) const WEB_SEARCH_TOOL: &[Field] = &[
    may("external_web_access", Bool),
    may("search_content_types", list(&Word(&["text", "image"]))),
    null("filters", Closed(FILTERS)),
    may("search_context_size", Word(&["low", "medium", "high"])),
    null("user_location", Closed(USER_LOCATION)),
];
pub(super) const MCP_ALLOWED_TOOLS_MCP_TOOL_FILTER: &[Field] =
    &[may("read_only", Bool), may("tool_names", list(&Text))];
pub(super) const MCP_REQUIRE_APPROVAL_MCP_TOOL_APPROVAL_FILTER: &[Field] = &[
    may("always", Closed(MCP_ALLOWED_TOOLS_MCP_TOOL_FILTER)),
    may("never", Closed(MCP_ALLOWED_TOOLS_MCP_TOOL_FILTER)),
];
pub(super) const MCP: &[Field] = &[
    must("server_label", Text),
    null("allowed_callers", list(&Word(&["direct", "programmatic"]))),
    null("allowed_tools", Either(&[Closed(MCP_ALLOWED_TOOLS_MCP_TOOL_FILTER), list(&Text)])),
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
        Either(&[Word(&["always", "never"]), Closed(MCP_REQUIRE_APPROVAL_MCP_TOOL_APPROVAL_FILTER)]),
    ),
    may("server_description", Text),
    may("server_url", Text),
    may("tunnel_id", Text),
];
pub(super) const CONTAINER_NETWORK_POLICY_DOMAIN_SECRET: &[Field] =
    &[must("domain", Text), must("name", Text), must("value", Text)];
pub(super) const CONTAINER_NETWORK_POLICY_ALLOWLIST: &[Field] = &[
    must("allowed_domains", list(&Text)),
    may("domain_secrets", list(&Closed(CONTAINER_NETWORK_POLICY_DOMAIN_SECRET))),
];
pub(super) const CONTAINER_NETWORK_POLICY_KIND: Shape = Tagged {
    tag: "type",
    cases: &[("disabled", NOTHING), ("allowlist", CONTAINER_NETWORK_POLICY_ALLOWLIST)],
};
pub(super) const CODE_INTERPRETER_CONTAINER_CODE_INTERPRETER_TOOL_AUTO: &[Field] = &[
    must("type", Word(&["auto"])),
    may("file_ids", list(&Text)),
    null("memory_limit", Word(&["1g", "4g", "16g", "64g"])),
    may("network_policy", CONTAINER_NETWORK_POLICY_KIND),
];
pub(super) const CODE_INTERPRETER: &[Field] = &[
    must("container", Either(&[Text, Closed(CODE_INTERPRETER_CONTAINER_CODE_INTERPRETER_TOOL_AUTO)])),
    null("allowed_callers", list(&Word(&["direct", "programmatic"]))),
];
pub(super) const IMAGE_GENERATION_INPUT_IMAGE_MASK: &[Field] =
    &[may("file_id", Text), may("image_url", Text)];
pub(super) const IMAGE_GENERATION_SVG_REASONING: &[Field] =
    &[may("effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]))];
pub(super) const IMAGE_GENERATION_SVG: &[Field] =
    &[may("model", Text), null("reasoning", Closed(IMAGE_GENERATION_SVG_REASONING))];
pub(super) const IMAGE_GENERATION: &[Field] = &[
    may("action", Word(&["generate", "edit", "auto"])),
    may("background", Word(&["transparent", "opaque", "auto"])),
    may("complexity", Word(&["low", "medium", "high"])),
    may("frame_count", INT),
    may("frame_duration_ms", INT),
    null("input_fidelity", Word(&["high", "low"])),
    may("input_image_mask", Closed(IMAGE_GENERATION_INPUT_IMAGE_MASK)),
    may("model", Text),
    may("moderation", Word(&["auto", "low"])),
    may("output_compression", INT),
    may("output_format", Word(&["png", "webp", "jpeg", "gif", "svg"])),
    may("partial_images", INT),
    may("quality", Word(&["low", "medium", "high", "xhigh", "max", "auto"])),
    may("size", Text),
    may("svg", Closed(IMAGE_GENERATION_SVG)),
];
pub(super) const SKILL_REFERENCE: &[Field] = &[must("skill_id", Text), may("version", Text)];
pub(super) const INLINE_SKILL_SOURCE: &[Field] =
    &[must("data", Text), must("media_type", Word(&["application/zip"])), must("type", Word(&["base64"]))];
pub(super) const INLINE_SKILL: &[Field] =
    &[must("description", Text), must("name", Text), must("source", Closed(INLINE_SKILL_SOURCE))];
pub(super) const SKILL_REFERENCE_KIND: Shape =
    Tagged { tag: "type", cases: &[("skill_reference", SKILL_REFERENCE), ("inline", INLINE_SKILL)] };
pub(super) const CONTAINER_AUTO: &[Field] = &[
    may("file_ids", list(&Text)),
    null("memory_limit", Word(&["1g", "4g", "16g", "64g"])),
    may("network_policy", CONTAINER_NETWORK_POLICY_KIND),
    may("skills", list(&SKILL_REFERENCE_KIND)),
];
pub(super) const LOCAL_SKILL: &[Field] = &[must("description", Text), must("name", Text), must("path", Text)];
pub(super) const LOCAL_ENVIRONMENT: &[Field] = &[may("skills", list(&Closed(LOCAL_SKILL)))];
pub(super) const CONTAINER_REFERENCE: &[Field] = &[must("container_id", Text)];
pub(super) const CONTAINER_AUTO_KIND: Shape = Tagged {
    tag: "type",
    cases: &[
        ("container_auto", CONTAINER_AUTO),
        ("local", LOCAL_ENVIRONMENT),
        ("container_reference", CONTAINER_REFERENCE),
    ],
};
pub(super) const FUNCTION_SHELL_TOOL: &[Field] = &[
    null("allowed_callers", list(&Word(&["direct", "programmatic"]))),
    null("environment", CONTAINER_AUTO_KIND),
];
pub(super) const GRAMMAR: &[Field] = &[must("definition", Text), must("syntax", Word(&["lark", "regex"]))];
pub(super) const TEXT_KIND: Shape = Tagged { tag: "type", cases: &[("text", NOTHING), ("grammar", GRAMMAR)] };
pub(super) const CUSTOM_TOOL: &[Field] = &[
    may("async", Bool),
    must("name", NAME),
    null("allowed_callers", list(&Word(&["direct", "programmatic"]))),
    may("defer_loading", Bool),
    may("description", Text),
    may("format", TEXT_KIND),
];
pub(super) const TOOL_FUNCTION: &[Field] = &[
    may("async", Bool),
    must("name", Text),
    null("allowed_callers", list(&Word(&["direct", "programmatic"]))),
    may("defer_loading", Bool),
    null("description", Text),
    null("output_schema", Object),
    null("parameters", Any),
    null("strict", Bool),
];
pub(super) const TOOL_FUNCTION_KIND: Shape =
    Tagged { tag: "type", cases: &[("function", TOOL_FUNCTION), ("custom", CUSTOM_TOOL)] };
pub(super) const NAMESPACE_TOOL: &[Field] =
    &[must("description", Text), must("name", Text), must("tools", list(&TOOL_FUNCTION_KIND))];
pub(super) const TOOL_SEARCH_TOOL: &[Field] =
    &[null("description", Text), may("execution", Word(&["server", "client"])), null("parameters", Any)];
pub(super) const USER_LOCATION_2: &[Field] = &[
    must("type", Word(&["approximate"])),
    null("city", Text),
    null("country", Text),
    null("region", Text),
    null("timezone", Text),
];
pub(super) const WEB_SEARCH_PREVIEW_TOOL: &[Field] = &[
    may("search_content_types", list(&Word(&["text", "image"]))),
    may("search_context_size", Word(&["low", "medium", "high"])),
    null("user_location", Closed(USER_LOCATION_2)),
];
pub(super) const APPLY_PATCH_TOOL: &[Field] =
    &[null("allowed_callers", list(&Word(&["direct", "programmatic"])))];
pub(super) const TOOL: Shape = Tagged {
    tag: "type",
    cases: &[
        ("function", FUNCTION_TOOL),
        ("file_search", FILE_SEARCH_TOOL),
        ("computer", NOTHING),
        ("computer_use_preview", COMPUTER_USE_PREVIEW_TOOL),
        ("web_search", WEB_SEARCH_TOOL),
        ("web_search_2025_08_26", WEB_SEARCH_TOOL),
        ("mcp", MCP),
        ("code_interpreter", CODE_INTERPRETER),
        ("programmatic_tool_calling", NOTHING),
        ("image_generation", IMAGE_GENERATION),
        ("local_shell", NOTHING),
        ("shell", FUNCTION_SHELL_TOOL),
        ("custom", CUSTOM_TOOL),
        ("namespace", NAMESPACE_TOOL),
        ("tool_search", TOOL_SEARCH_TOOL),
        ("web_search_preview", WEB_SEARCH_PREVIEW_TOOL),
        ("web_search_preview_2025_03_11", WEB_SEARCH_PREVIEW_TOOL),
        ("apply_patch", APPLY_PATCH_TOOL),
    ],
};
