//! Bounds by hand, for each kind of call and of content, and what hostile requests come to.

use std::sync::Arc;

use super::*;
use crate::routes::PathModel;
use bytes::Bytes;
use http::HeaderMap;
use tollgate_catalog::{ServiceTier, Usage, ceiling, cost, model};
use tollgate_dialect::json::{Limits, scan};

const NOBODY: ModelFacts<'static> = ModelFacts {
    provider: "openai",
    model: "gpt-4o",
    context_window: Some(128_000),
    output_tokens_max: Some(16_384),
    time_max: Duration::from_secs(600),
    defaults: &[],
    dropped: &[],
};

fn read(surface: Surface, body: &str) -> RequestBounds {
    let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap_or_else(|error| panic!("{body}: {error}"));
    RequestBounds::of(surface, Words { object: &object, form: None, dropped: &[] })
}

fn bounds(surface: Surface, body: &str) -> Bounds {
    read(surface, body).at(&NOBODY)
}

#[test]
fn a_plain_chat_is_its_bytes_and_what_it_asks_for() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#;
    let read = read(Surface::Chat, body);
    assert_eq!((read.estimate_input_tokens, read.asked_output_tokens, read.choices), (8, Some(5), 1));
    let expect = Bounds {
        input_tokens: 32 + OVERHEAD_KNOWN,
        output_tokens: 5,
        choices: 1,
        cache_writes: CacheWrites::Hour,
        elapsed_ms: 600_000,
        ..Bounds::default()
    };
    assert_eq!(read.at(&NOBODY), expect);
    let elsewhere = read.at(&ModelFacts { provider: "groq", model: "llama", ..NOBODY });
    assert_eq!(elsewhere.input_tokens, 32 + OVERHEAD_UNKNOWN);
}

#[test]
fn an_answer_is_as_long_as_asked_or_as_the_model_can() {
    let check = |surface: Surface, members: &str, asked: Option<u64>, expect: u64| {
        let read = read(surface, &format!("{{{members}}}"));
        let output = read.at(&NOBODY).output_tokens;
        assert_eq!((read.asked_output_tokens, output), (asked, expect), "{members}");
    };
    use Surface::{Chat, CohereChat, Completions, Converse, GenerateContent, Messages, Responses};
    check(Chat, r#""max_tokens":7"#, Some(7), 7);
    check(Chat, r#""max_completion_tokens":7"#, Some(7), 7);
    check(Completions, r#""max_tokens":7"#, Some(7), 7);
    check(Responses, r#""max_output_tokens":7"#, Some(7), 7);
    check(Messages, r#""max_tokens":7"#, Some(7), 7);
    check(CohereChat, r#""max_tokens":7"#, Some(7), 7);
    check(GenerateContent, r#""generationConfig":{"maxOutputTokens":7}"#, Some(7), 7);
    check(GenerateContent, r#""generation_config":{"max_output_tokens":7}"#, Some(7), 7);
    check(Converse, r#""inferenceConfig":{"maxTokens":7}"#, Some(7), 7);
    // What one provider reads and another does not.
    check(Chat, r#""max_tokens":7,"max_completion_tokens":9000"#, Some(9_000), 9_000);
    check(Chat, r#""max_output_tokens":7"#, None, 16_384);
    check(Responses, r#""max_tokens":7"#, None, 16_384);
    check(Converse, r#""max_tokens":7"#, None, 16_384);
    // What is no maximum.
    for none in
        [r#""max_tokens":0"#, r#""max_tokens":null"#, r#""max_tokens":-1"#, r#""max_tokens":"5""#, r#""n":1"#]
    {
        check(Chat, none, None, 16_384);
    }
    check(Chat, r#""max_tokens":1000000000000"#, Some(1_000_000_000_000), 16_384);
}

#[test]
fn a_model_of_which_nothing_is_known_has_stated_bounds() {
    let facts = ModelFacts { context_window: None, output_tokens_max: None, ..NOBODY };
    let plain = read(Surface::Chat, r#"{"messages":[]}"#);
    assert_eq!(plain.at(&facts).output_tokens, OUTPUT_TOKENS_DEFAULT);
    assert_eq!(plain.at(&ModelFacts { context_window: Some(8_192), ..facts }).output_tokens, 8_192);
    let continued = read(Surface::Responses, r#"{"input":"a","previous_response_id":"resp_1"}"#);
    assert_eq!(continued.at(&facts).input_tokens, WINDOW_DEFAULT);
}

#[test]
fn the_operators_default_holds_where_the_caller_says_nothing() {
    let defaults = [("max_tokens".to_owned(), "99".to_owned())];
    let facts = ModelFacts { defaults: &defaults, ..NOBODY };
    let check = |body: &str, expect: u64| {
        assert_eq!(read(Surface::Chat, body).at(&facts).output_tokens, expect, "{body}");
    };
    check(r#"{"messages":[]}"#, 99);
    check(r#"{"messages":[],"max_tokens":7}"#, 7);
}

#[test]
fn what_the_operator_puts_in_counts_as_if_the_caller_had() {
    let checked = |name: &str, json: &str| {
        let defaults = [(name.to_owned(), json.to_owned())];
        let facts = ModelFacts { defaults: &defaults, ..NOBODY };
        let read = read(Surface::Chat, r#"{"messages":[]}"#);
        (read.at(&facts), read.served(&facts))
    };
    assert_eq!(checked("n", "4").0.choices, 4);
    assert_eq!(checked("service_tier", "\"auto\"").1, Served::Any);
    assert!(checked("modalities", r#"["audio"]"#).0.may_speak);
    assert_eq!(checked("web_search_options", "{}").0.web_searches, 10);
    assert!(checked("tools", "[]").0.input_tokens >= 128_000);
    let form = checked("response_format", r#"{"type":"json_object"}"#).0;
    assert_eq!(form.input_tokens, 2 + 22 + OVERHEAD_KNOWN);
    assert_eq!(checked("temperature", "0.5").0.input_tokens, 2 + OVERHEAD_KNOWN);
}

#[test]
fn a_maximum_that_is_left_out_before_sending_is_none() {
    let dropped = ["max_tokens".to_owned()];
    let body = r#"{"messages":[],"max_tokens":1}"#;
    let object = scan(body.as_bytes(), &Limits::REQUEST).expect("an object");
    let by_caller =
        RequestBounds::of(Surface::Chat, Words { object: &object, form: None, dropped: &dropped });
    assert_eq!(by_caller.asked_output_tokens, None);
    assert_eq!(by_caller.at(&NOBODY).output_tokens, 16_384);
    let by_operator = read(Surface::Chat, body).at(&ModelFacts { dropped: &dropped, ..NOBODY });
    assert_eq!(by_operator.output_tokens, 16_384);
}

#[test]
fn answers_are_counted_as_many_as_are_made() {
    let check = |surface: Surface, members: &str, expect: u64| {
        assert_eq!(bounds(surface, &format!("{{{members}}}")).choices, expect, "{members}");
    };
    check(Surface::Chat, r#""n":128"#, 128);
    check(Surface::Chat, r#""n":0"#, 1);
    check(Surface::Chat, r#""n":null"#, 1);
    check(Surface::Completions, r#""n":2,"best_of":20"#, 20);
    check(Surface::Completions, r#""prompt":["a","b","c"],"n":2"#, 6);
    check(Surface::Completions, r#""prompt":[[1,2],[3]],"best_of":4"#, 8);
    check(Surface::Completions, r#""prompt":[1,2,3]"#, 1);
    check(Surface::GenerateContent, r#""generationConfig":{"candidateCount":8}"#, 8);
    check(Surface::Messages, r#""n":5"#, 1);
}

#[test]
fn what_no_model_reads_is_no_part_of_the_prompt() {
    let check = |members: &str, expect: u64| {
        let found = bounds(Surface::Chat, &format!("{{{members}}}")).input_tokens;
        assert_eq!(found - OVERHEAD_KNOWN, expect, "{members}");
    };
    check(r#""messages":"12345678""#, 10);
    check(r#""messages":"1","metadata":{"a":"bbbbbbbbb"},"user":"someone","temperature":0.5"#, 3);
    check(r#""messages":"1","model":"gpt-4o","stream":true,"fallbacks":["a","b"]"#, 3);
    // What is not known is read.
    check(r#""messages":"1","documents":["abcdef"]"#, 13);
}

const IMAGE: &str =
    r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}"#;

#[test]
fn pictures_are_their_providers_maximum_and_not_their_bytes() {
    let chat = |parts: &str| format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
    let text = chat("").len() as u64 - r#"{"messages":}"#.len() as u64;
    let check = |parts: &str, facts: ModelFacts<'_>, beyond: u64, images: u64| {
        let found = read(Surface::Chat, &chat(parts)).at(&facts);
        let input = found.input_tokens - OVERHEAD_KNOWN - text;
        assert_eq!((input, found.input_image_tokens), (beyond + images, images), "{parts}");
    };
    check(IMAGE, NOBODY, 0, 1_445);
    check(&format!("{IMAGE},{IMAGE}"), NOBODY, 1, 2 * 1_445);
    let low = r#"{"type":"image_url","image_url":{"url":"https://a.test/b.png","detail":"low"}}"#;
    check(low, NOBODY, 0, 85);
    check(IMAGE, ModelFacts { model: "gpt-4o-mini", ..NOBODY }, 0, 48_169);
    check(IMAGE, ModelFacts { provider: "anthropic", model: "claude-sonnet-4-5", ..NOBODY }, 0, 4_784);
    check(IMAGE, ModelFacts { provider: "gemini", model: "gemini-2.5-pro", ..NOBODY }, 0, 6_192);
    let thousand = vec![IMAGE; 1_000].join(",");
    check(&thousand, NOBODY, 999, 1_445_000);
}

#[test]
fn every_dialect_gives_its_pictures_sounds_and_documents_away() {
    let check = |surface: Surface, body: &str, images: u64, hears: bool, is_open: bool| {
        let prompt = read(surface, body).prompt;
        let found = (prompt.images, prompt.audio_tokens > 0, prompt.is_open);
        assert_eq!(found, (images, hears, is_open), "{body}");
    };
    use Surface::{Chat, Converse, GenerateContent, Messages, Responses};
    let sound = r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#;
    check(
        Chat,
        &format!(r#"{{"messages":[{{"role":"user","content":[{sound},{IMAGE}]}}]}}"#),
        1,
        true,
        false,
    );
    check(Chat, r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]}"#, 0, false, true);
    check(
        Chat,
        r#"{"messages":[{"content":[{"type":"video_url","video_url":{"url":"u"}}]}]}"#,
        0,
        false,
        true,
    );
    check(Chat, r#"{"messages":[{"type":"","role":"assistant","audio":{"id":"a"}}]}"#, 0, false, true);
    check(Chat, r#"{"messages":[{"content":[{"type":"text","text":"an \"image_url\""}]}]}"#, 0, false, false);
    check(Responses, r#"{"input":[{"content":[{"type":"input_image","image_url":"u"}]}]}"#, 1, false, false);
    check(Responses, r#"{"input":[{"content":[{"type":"input_file","file_id":"f"}]}]}"#, 0, false, true);
    check(Responses, r#"{"input":[{"type":"item_reference","id":"i"}]}"#, 0, false, true);
    check(Responses, r#"{"input":"a","conversation":"c"}"#, 0, false, true);
    check(Responses, r#"{"input":"a","previous_response_id":null}"#, 0, false, false);
    let picture = r#"{"type":"image","source":{"type":"base64","data":"AAAA"}}"#;
    check(Messages, &format!(r#"{{"messages":[{{"content":[{picture}]}}]}}"#), 1, false, false);
    let result = format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{picture},{picture}]}}"#);
    check(Messages, &format!(r#"{{"messages":[{{"content":[{result}]}}]}}"#), 2, false, false);
    let pdf = r#"{"type":"document","source":{"type":"url","url":"u"}}"#;
    check(Messages, &format!(r#"{{"messages":[{{"content":[{pdf}]}}]}}"#), 0, false, true);
    let plain = r#"{"type":"document","source":{"type":"text","data":"words"}}"#;
    check(Messages, &format!(r#"{{"messages":[{{"content":[{plain}]}}]}}"#), 0, false, false);
    let blob = |mime: &str| {
        format!(r#"{{"contents":[{{"parts":[{{"inlineData":{{"mimeType":"{mime}","data":"AAAA"}}}}]}}]}}"#)
    };
    check(GenerateContent, &blob("image/png"), 1, false, false);
    check(GenerateContent, &blob("audio/wav"), 0, true, false);
    check(GenerateContent, &blob("application/pdf"), 0, false, true);
    check(GenerateContent, &blob("video/mp4"), 0, false, true);
    check(GenerateContent, r#"{"contents":[],"cachedContent":"c"}"#, 0, false, true);
    let shown = r#"{"image":{"format":"png","source":{"bytes":"AAAA"}}}"#;
    check(Converse, &format!(r#"{{"messages":[{{"role":"user","content":[{shown}]}}]}}"#), 1, false, false);
    let film = r#"{"video":{"format":"mp4","source":{"s3Location":{"uri":"s3://a"}}}}"#;
    check(Converse, &format!(r#"{{"messages":[{{"role":"user","content":[{film}]}}]}}"#), 0, false, true);
}

#[test]
fn a_name_that_is_written_with_escapes_or_twice_hides_nothing() {
    let body = r#"{"messages":[{"content":[{"ty\u0070e":"image_ur\u006c","image_url":{"url":"u"}}]}]}"#;
    assert_eq!(read(Surface::Chat, body).prompt.images, 1);
    let twice = r#"{"messages":[{"content":[{"type":"text","text":"a","type":"image_url"}]}]}"#;
    assert!(read(Surface::Chat, twice).prompt.is_open);
    let twice = r#"{"tools":[{"type":"function","type":"web_search"}]}"#;
    assert_eq!(read(Surface::Responses, twice).at(&NOBODY).web_searches, 10);
    let body = r#"{"contents":[{"parts":[{"file\u0044at\u0061":{"mimeType":"video/mp4"}}]}]}"#;
    assert!(read(Surface::GenerateContent, body).prompt.is_open);
}

#[test]
fn text_by_itself_is_not_looked_into() {
    let check = |surface: Surface, text: &str, expect: bool| {
        assert_eq!(prompt::may_have_media(surface, text), expect, "{text}");
    };
    check(Surface::Chat, r#"[{"role":"user","content":"an image of a file"}]"#, false);
    check(Surface::Chat, r#"[{"content":[{"type":"text","text":"plain words"}]}]"#, false);
    check(Surface::Chat, r#"[{"content":[{"type":"text","text":"an image"}]}]"#, true);
    check(Surface::Chat, r#"[{"content":"\u00e4"}]"#, true);
    check(Surface::GenerateContent, r#"[{"parts":[{"text":"some data of mine"}]}]"#, false);
    check(Surface::Converse, r#"[{"content":[{"text":"a source"}]}]"#, false);
}

#[test]
fn a_callers_own_json_is_text_whatever_it_looks_like() {
    let hidden = format!(r#"{{"type":"image","source":{{"data":"{}"}}}}"#, "words ".repeat(100));
    let call = format!(r#"{{"type":"tool_use","id":"t","name":"f","input":{hidden}}}"#);
    let body = format!(r#"{{"messages":[{{"content":[{call}]}}]}}"#);
    let prompt = read(Surface::Messages, &body).prompt;
    assert_eq!(prompt.images, 0);
    assert!(prompt.text_tokens > 600);
    let deep = format!("{{\"messages\":{}{IMAGE}{}}}", "[".repeat(40), "]".repeat(40));
    let prompt = read(Surface::Chat, &deep).prompt;
    assert_eq!((prompt.images, prompt.text_tokens), (0, deep.len() as u64 - 13));
}

#[test]
fn a_long_sound_is_less_than_its_bytes_and_more_than_its_seconds() {
    // A minute at 64 kbit/s: 480,000 bytes, 640,000 in base64. Google counts 1,920 tokens, OpenAI 600.
    let sound = format!(r#"{{"type":"input_audio","input_audio":{{"data":"{}"}}}}"#, "A".repeat(640_000));
    let found = bounds(Surface::Chat, &format!(r#"{{"messages":[{{"content":[{sound}]}}]}}"#));
    assert_eq!(found.input_audio_tokens, (sound.len() as u64).div_ceil(16) + 64);
    assert!(found.input_tokens < found.input_audio_tokens + 100);
}

#[test]
fn tools_that_the_provider_runs_may_fill_the_window() {
    let check = |surface: Surface, members: &str, is_open: bool, searches: u64| {
        let found = bounds(surface, &format!("{{{members}}}"));
        assert_eq!((found.input_tokens >= 128_000, found.web_searches), (is_open, searches), "{members}");
    };
    use Surface::{Chat, Converse, GenerateContent, Messages, Responses};
    check(Chat, r#""tools":[{"type":"function","function":{"name":"web_search"}}]"#, false, 0);
    check(Chat, r#""web_search_options":{}"#, true, 10);
    check(Responses, r#""tools":[{"type":"web_search"}]"#, true, 10);
    check(Responses, r#""tools":[{"type":"web_search_preview"}],"max_tool_calls":3"#, true, 3);
    check(Responses, r#""tools":[{"type":"file_search","vector_store_ids":[]}]"#, true, 0);
    check(Responses, r#""tools":[{"type":"mcp","server_url":"u"}]"#, true, 0);
    check(Responses, r#""tools":[{"type":"custom","name":"a"},{"type":"local_shell"}]"#, false, 0);
    check(Messages, r#""tools":[{"name":"a","input_schema":{}}]"#, false, 0);
    check(Messages, r#""tools":[{"type":"bash_20250124","name":"bash"}]"#, false, 0);
    check(Messages, r#""tools":[{"type":"web_search_20250305","max_uses":4}]"#, true, 4);
    check(Messages, r#""tools":[{"type":"web_fetch_20250910"}]"#, true, 0);
    check(Messages, r#""tools":[{"type":"something_new"}]"#, true, 0);
    check(GenerateContent, r#""tools":[{"functionDeclarations":[]}]"#, false, 0);
    check(GenerateContent, r#""tools":[{"googleSearch":{}}]"#, true, 10);
    check(GenerateContent, r#""tools":[{"functionDeclarations":[],"urlContext":{}}]"#, true, 0);
    check(Converse, r#""toolConfig":{"tools":[{"toolSpec":{"name":"a"}}]}"#, false, 0);
    check(Converse, r#""toolConfig":{"tools":[{"systemTool":{"name":"nova_grounding"}}]}"#, true, 0);
    let always =
        read(Surface::Chat, "{}").at(&ModelFacts { provider: "perplexity", model: "sonar", ..NOBODY });
    assert_eq!(always.web_searches, 10);
}

#[test]
fn a_providers_other_tools_are_as_many_calls_as_stated() {
    let check = |surface: Surface, members: &str, expect: (u64, u64, u64)| {
        let found = bounds(surface, &format!("{{{members}}}"));
        assert_eq!((found.map_queries, found.file_searches, found.code_sessions), expect, "{members}");
    };
    use Surface::{GenerateContent, Messages, Responses};
    check(GenerateContent, r#""tools":[{"googleMaps":{}}]"#, (10, 0, 0));
    check(GenerateContent, r#""tools":[{"googleSearch":{},"google_maps":{}}]"#, (10, 0, 0));
    check(Responses, r#""tools":[{"type":"file_search"},{"type":"code_interpreter"}]"#, (0, 10, 1));
    check(Responses, r#""tools":[{"type":"file_search"}],"max_tool_calls":2"#, (0, 2, 0));
    check(Messages, r#""tools":[{"type":"code_execution_20250825"}]"#, (0, 0, 1));
    check(Responses, r#""tools":[{"type":"function","name":"file_search"}]"#, (0, 0, 0));
}

#[test]
fn a_searchs_size_holds_only_if_it_is_the_only_one() {
    let check = |members: &str, expect: Option<SearchContextSize>| {
        let found = bounds(Surface::Responses, &format!("{{{members}}}")).search_context_size;
        assert_eq!(found, expect, "{members}");
    };
    let low = r#"{"type":"web_search","search_context_size":"low"}"#;
    check(&format!(r#""tools":[{low}]"#), Some(SearchContextSize::Low));
    check(&format!(r#""tools":[{low},{low}]"#), Some(SearchContextSize::Low));
    check(&format!(r#""tools":[{low},{{"type":"web_search"}}]"#), None);
    check(r#""tools":[{"type":"web_search"}]"#, None);
    check(&format!(r#""tools":[{{"type":"web_search"}},{low}]"#), None);
}

#[test]
fn anthropics_models_keep_what_they_are_told_to_and_others_what_they_like() {
    let check = |model: &str, members: &str, expect: CacheWrites| {
        let facts = ModelFacts { provider: "anthropic", model, ..NOBODY };
        let found = read(Surface::Messages, &format!("{{{members}}}")).at(&facts).cache_writes;
        assert_eq!(found, expect, "{model} {members}");
    };
    let claude = "claude-sonnet-4-5";
    check(claude, r#""messages":[{"content":"cache_control 1h"}]"#, CacheWrites::No);
    let kept = |rest: &str| {
        format!(r#""system":[{{"type":"text","text":"a","cache_control":{{"type":"ephemeral"{rest}}}}}]"#)
    };
    check(claude, &kept(""), CacheWrites::Minutes);
    check(claude, &kept(r#","ttl":"1h""#), CacheWrites::Hour);
    check(claude, &kept(r#","ttl":"1\u0068""#), CacheWrites::Hour);
    check(claude, r#""cache_control":{"type":"ephemeral"}"#, CacheWrites::Minutes);
    check("gpt-5.6", r#""messages":[]"#, CacheWrites::Hour);
    let converse = r#"{"messages":[{"content":[{"text":"a"},{"cachePoint":{"type":"default"}}]}]}"#;
    let facts =
        ModelFacts { provider: "bedrock", model: "anthropic.claude-sonnet-4-5-20250929-v1:0", ..NOBODY };
    assert_eq!(read(Surface::Converse, converse).at(&facts).cache_writes, CacheWrites::Minutes);
}

#[test]
fn a_tier_is_the_requests() {
    let check = |members: &str, expect: Served| {
        assert_eq!(read(Surface::Chat, &format!("{{{members}}}")).served(&NOBODY), expect, "{members}");
    };
    check("", Served::Asked(None));
    check(r#""service_tier":"auto""#, Served::Any);
    check(r#""service_tier":"priority""#, Served::Asked(Some(ServiceTier::Priority)));
    check(r#""service_tier":"flex""#, Served::Asked(Some(ServiceTier::Flex)));
    check(r#""service_tier":7"#, Served::Asked(None));
    check(r#""speed":"fast""#, Served::Asked(None));
    let fast = read(Surface::Messages, r#"{"speed":"fast","service_tier":"standard_only"}"#).served(&NOBODY);
    assert_eq!(fast, Served::Asked(Some(ServiceTier::Priority)));
}

#[test]
fn an_answer_may_be_spoken_or_drawn_where_it_is_asked_for_or_the_model_is_made_for_it() {
    let check = |surface: Surface, members: &str, model: &str, expect: bool| {
        let found = read(surface, &format!("{{{members}}}")).at(&ModelFacts { model, ..NOBODY });
        assert_eq!((found.may_speak, found.may_draw), (expect, expect), "{members} {model}");
    };
    check(Surface::Chat, "", "gpt-4o", false);
    check(Surface::Chat, r#""modalities":["text","audio"]"#, "gpt-4o", true);
    check(Surface::Chat, "", "gpt-4o-audio-preview", true);
    check(Surface::GenerateContent, "", "gemini-2.5-flash-image", true);
    check(
        Surface::GenerateContent,
        r#""generationConfig":{"responseModalities":["IMAGE"]}"#,
        "gemini-x",
        true,
    );
    check(Surface::GenerateContent, r#""generationConfig":{"maxOutputTokens":5}"#, "gemini-2.5-flash", false);
}

#[test]
fn vectors_and_verdicts_have_no_answer() {
    let check = |surface: Surface, body: &str| {
        let found = bounds(surface, body);
        assert_eq!(found.output_tokens, 0, "{body}");
        assert!(found.input_tokens >= 8, "{body}");
    };
    check(Surface::Embeddings, r#"{"input":["some text","and more"]}"#);
    check(Surface::Moderation, r#"{"input":"some text"}"#);
    check(Surface::EmbedContent, r#"{"content":{"parts":[{"text":"some text"}]}}"#);
    let pictured =
        bounds(Surface::CohereEmbed, r#"{"images":["data:image/png;base64,AAAAAAAAAAAAAAAAAAAAA"]}"#);
    assert_eq!(pictured.input_image_tokens, 1_445);
}

#[test]
fn pictures_that_are_made_are_as_many_as_asked_for_and_as_dear_as_may_be() {
    let check = |members: &str, expect: (u64, Option<(u32, u32)>, Option<&str>, u64)| {
        let found = bounds(Surface::ImageGeneration, &format!("{{{members}}}"));
        let quality = found.image_quality.as_deref();
        assert_eq!((found.images, found.image_size, quality, found.output_tokens), expect, "{members}");
        assert!(found.may_draw);
    };
    check("", (1, None, None, 6_240 + 364));
    check(r#""n":1000"#, (1_000, None, None, 1_000 * (6_240 + 364)));
    check(r#""n":99999999"#, (1_000, None, None, 1_000 * (6_240 + 364)));
    check(r#""size":"1024x1024","quality":"high""#, (1, Some((1024, 1024)), Some("high"), 4_160 + 364));
    check(r#""size":"1024x1024","quality":"low""#, (1, Some((1024, 1024)), Some("low"), 272 + 364));
    check(r#""size":"auto","quality":"auto""#, (1, None, None, 6_240 + 364));
    check(r#""width":512,"height":512"#, (1, Some((512, 512)), None, 1_040 + 364));
}

#[test]
fn speech_is_as_long_as_a_slow_voice_makes_it() {
    let check = |members: &str, expect: (u64, u64)| {
        let found = bounds(Surface::Speech, &format!("{{{members}}}"));
        assert_eq!((found.characters, found.spoken_ms), expect, "{members}");
        assert!(found.output_tokens >= found.spoken_ms * 25 / 1_000);
    };
    check(r#""input":"ten chars.""#, (10, 4_000));
    check(r#""input":"äöü日本""#, (5, 2_000));
    check(r#""input":"ten chars.","speed":4"#, (10, 4_000));
    check(r#""input":"ten chars.","speed":0.9"#, (10, 16_000));
    check("", (0, 0));
}

#[test]
fn rankings_are_queries_and_the_question_may_count_for_each_document() {
    let check = |documents: usize, expect: u64| {
        let listed = vec![r#""four""#; documents].join(",");
        let found = bounds(Surface::Rerank, &format!(r#"{{"query":"what?","documents":[{listed}]}}"#));
        assert_eq!(found.queries, expect, "{documents}");
        assert!(found.input_tokens >= 7 * documents as u64);
        assert_eq!(found.output_tokens, 0);
    };
    check(0, 1);
    check(1, 1);
    check(90, 1);
    check(101, 2);
    check(1_000, 11);
}

#[test]
fn text_that_comes_later_is_added() {
    let read = read(Surface::Chat, r#"{"messages":"1234"}"#).and_text(1_000);
    assert_eq!(read.at(&NOBODY).input_tokens, 6 + 1_000 + OVERHEAD_KNOWN);
    assert_eq!(read.estimate_input_tokens, 252);
}

#[tokio::test]
async fn a_counted_prompt_is_its_models_tokens() {
    let check = async |body: &str, model: &str, expect: u64| {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let headers = HeaderMap::new();
        let call = super::super::Call::new(
            Surface::Chat,
            PathModel::named(None),
            &headers,
            tokio::time::Instant::now(),
        );
        let received = crate::pipeline::receive::read(&body, &call, &headers).expect("a request");
        let read = RequestBounds::of(Surface::Chat, Words::of(&received));
        let counted = read.counted(Surface::Chat, &received, model).await;
        let facts = ModelFacts { model, ..NOBODY };
        assert_eq!(counted.at(&facts).input_tokens, expect, "{model}");
    };
    let hi = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    // OpenAI counts eight for it.
    check(hi, "gpt-4o", 8).await;
    // Two bytes, and twice what is around them.
    check(hi, "mistral-small", 16).await;
    let tools = r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let bytes = r#"[][{"type":"function","function":{"name":"f"}}]"#.len() as u64;
    check(tools, "gpt-4o", bytes + OVERHEAD_KNOWN + OVERHEAD_TOOLS).await;
}

/// S25: what a hostile request may cost is reserved, whatever comes of it.
#[test]
fn what_is_reserved_is_never_less_than_what_abuse_costs() {
    let facts_of = |provider: &'static str, name: &'static str| {
        let known = model(provider, name).expect(name);
        let facts = ModelFacts {
            provider,
            model: name,
            context_window: known.max_input_tokens,
            output_tokens_max: known.max_output_tokens,
            ..NOBODY
        };
        (Arc::new(known.prices), facts)
    };
    let check = |(provider, name), surface: Surface, body: &str, used: Usage| {
        let (prices, facts) = facts_of(provider, name);
        let read = read(surface, body);
        let reserved = ceiling(&prices, &read.at(&facts), read.served(&facts)).expect(name);
        let actual = cost(&prices, &used, None).expect(name).total;
        assert!(reserved >= actual, "{name} {body}: {reserved} < {actual}");
    };
    let talk = |input_tokens, output_tokens| Usage { input_tokens, output_tokens, ..Usage::default() };
    let gpt = ("openai", "gpt-4o");
    let hi = r#""messages":[{"role":"user","content":"hi"}]"#;
    check(gpt, Surface::Chat, &format!(r#"{{{hi},"n":128,"max_tokens":16384}}"#), talk(8, 128 * 16_384));
    check(gpt, Surface::Chat, &format!(r#"{{{hi},"max_tokens":999999999}}"#), talk(8, 16_384));
    check(gpt, Surface::Chat, &format!("{{{hi}}}"), talk(8, 16_384));
    let many = vec![IMAGE; 1_000].join(",");
    check(
        gpt,
        Surface::Chat,
        &format!(r#"{{"messages":[{{"content":[{many}]}}]}}"#),
        talk(1_445_020, 16_384),
    );
    let instruct = ("text-completion-openai", "gpt-3.5-turbo-instruct");
    if model(instruct.0, instruct.1).is_some() {
        let body = r#"{"prompt":["a","b"],"n":1,"best_of":20,"max_tokens":4096}"#;
        check(instruct, Surface::Completions, body, talk(2, 2 * 20 * 4_096));
    }
    let claude = ("anthropic", "claude-sonnet-4-5");
    let searching =
        r#"{"messages":[],"max_tokens":5,"tools":[{"type":"web_search_20250305","max_uses":100}]}"#;
    let searched = Usage { web_search_requests: 100, ..talk(190_000, 5) };
    check(claude, Surface::Messages, searching, searched);
    let kept = r#"{"messages":[{"content":[{"type":"text","text":"aaaaaaaa","cache_control":{"ttl":"1h"}}]}],"max_tokens":5}"#;
    let written = Usage { cache_write_tokens: 10, cache_write_1h_tokens: 10, ..talk(10, 5) };
    check(claude, Surface::Messages, kept, written);
    let embedding = ("openai", "text-embedding-3-small");
    let body = format!(r#"{{"input":"{}"}}"#, "a ".repeat(4_000));
    check(embedding, Surface::Embeddings, &body, talk(8_000, 0));
    let speech = ("openai", "tts-1");
    let body = format!(r#"{{"input":"{}"}}"#, "a".repeat(4_096));
    check(speech, Surface::Speech, &body, Usage { input_characters: 4_096, ..Usage::default() });
    let rank = ("cohere", "rerank-v3.5");
    let listed = vec![r#""a document""#; 1_000].join(",");
    let body = format!(r#"{{"query":"q","documents":[{listed}]}}"#);
    check(rank, Surface::Rerank, &body, Usage { queries: 10, ..Usage::default() });
}
