//! One row for each thing that a provider bills by, with a number that was worked out by hand.

use super::*;
use crate::ceiling::{Bounds, CacheWrites, Served, ceiling};
use crate::model::Overlay;

/// Text, 1 dollar a token of prompt and 10 of answer, and what the row has beside.
fn prices(provider: &str, more: &str) -> Prices {
    let plain = r#""input_cost_per_token":1,"output_cost_per_token":10"#;
    let json = format!(r#"{{"m":{{"litellm_provider":"{provider}",{plain}{more}}}}}"#);
    Overlay::from_json(&json).expect(&json).model_by_key("m").expect("the model").prices
}

fn text(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

/// Checks what a usage costs, and that no ceiling of bounds that cover it is lower.
fn check_at((provider, more): (&str, &str), usage: Usage, tier: Option<ServiceTier>, expect: &str) {
    let prices = prices(provider, more);
    let total = cost(&prices, &usage, tier).map(|cost| cost.total);
    assert_eq!(total, PicoDollars::parse_dollars(expect).ok(), "{provider} {more} {usage:?} {tier:?}");
    let bounds = Bounds {
        input_tokens: usage.input_tokens,
        input_audio_tokens: usage.input_tokens,
        input_image_tokens: usage.input_tokens,
        input_video_tokens: usage.input_tokens,
        citation_tokens: usage.citation_tokens,
        cache_writes: CacheWrites::Hour,
        output_tokens: usage.output_tokens,
        may_speak: true,
        may_draw: true,
        images: usage.images,
        image_pixels: usage.pixels,
        characters: usage.input_characters,
        audio_ms: usage.audio_ms,
        spoken_ms: usage.spoken_ms,
        queries: usage.queries,
        elapsed_ms: usage.elapsed_ms,
        map_queries: usage.map_queries,
        code_sessions: usage.code_sessions,
        file_searches: usage.file_searches,
        web_searches: usage.web_search_requests,
        ..Bounds::default()
    };
    assert!(bounds.covers(&usage), "{usage:?}");
    assert!(ceiling(&prices, &bounds, Served::Asked(tier)) >= total, "{provider} {more} {usage:?}");
}

fn check(more: &str, usage: Usage, expect: &str) {
    check_at(("openai", more), usage, None, expect);
}

#[test]
fn every_kind_of_token_has_a_price() {
    check("", text(3, 2), "23");
    let cached = Usage { cached_tokens: 2, ..text(3, 0) };
    check(r#","cache_read_input_token_cost":0.5"#, cached, "2"); // 1 + 2 x 0.5
    check("", cached, "3"); // without a rate, as input
    let written = Usage { cache_write_tokens: 2, ..text(3, 0) };
    check(r#","cache_creation_input_token_cost":1.25"#, written, "3.5"); // 1 + 2 x 1.25
    let hourly = Usage { cache_write_1h_tokens: 1, ..written };
    let above = r#","cache_creation_input_token_cost":1.25,"cache_creation_input_token_cost_above_1hr":2"#;
    check(above, hourly, "4.25"); // 1 + 1.25 + 2
    check(r#","cache_creation_input_token_cost":1.25"#, hourly, "3.5");
    let spoken = Usage { cache_write_audio_tokens: 1, ..written };
    let of_audio = r#","cache_creation_input_token_cost":1.25,"cache_creation_input_audio_token_cost":4"#;
    check(of_audio, spoken, "6.25"); // 1 + 1.25 + 4
    let reasoned = Usage { reasoning_tokens: 3, ..text(0, 5) };
    check(r#","output_cost_per_reasoning_token":20"#, reasoned, "80"); // 2 x 10 + 3 x 20
    check("", reasoned, "50");
    let heard = Usage { input_audio_tokens: 2, output_audio_tokens: 1, ..text(3, 2) };
    check(r#","input_cost_per_audio_token":4,"output_cost_per_audio_token":30"#, heard, "49"); // 1 + 8 + 10 + 30
    let seen = Usage { input_image_tokens: 2, output_image_tokens: 1, ..text(3, 2) };
    check(r#","input_cost_per_image_token":2,"output_cost_per_image_token":40"#, seen, "55"); // 1 + 4 + 10 + 40
    let filmed = Usage { input_video_tokens: 2, output_video_tokens: 1, ..text(3, 2) };
    check(r#","input_cost_per_video_token":3,"output_cost_per_video_token":50"#, filmed, "67"); // 1 + 6 + 10 + 50
    check("", filmed, "23");
    let cited = Usage { citation_tokens: 5, ..text(3, 0) };
    check(r#","citation_cost_per_token":2"#, cited, "13"); // 3 + 5 x 2
    check("", cited, "3");
}

#[test]
fn details_beyond_their_total_are_not_billed_twice() {
    let all_heard = Usage { input_audio_tokens: 3, input_image_tokens: 0, ..text(3, 0) };
    check(r#","input_cost_per_audio_token":4"#, all_heard, "12");
    // Two of the three came from the cache, so that one is left to be audio.
    let prices = prices("openai", r#","input_cost_per_audio_token":4,"cache_read_input_token_cost":0.5"#);
    let overlapping = Usage { cached_tokens: 2, input_audio_tokens: 3, input_image_tokens: 2, ..text(3, 0) };
    let total = cost(&prices, &overlapping, None).map(|cost| cost.total.to_string());
    assert_eq!(total.as_deref(), Some("5")); // 2 x 0.5 + 1 x 4
}

#[test]
fn a_service_tier_has_its_suffix_and_falls_back_to_the_plain_price() {
    use ServiceTier::{Balanced, Batches, Flex, Priority, Ultrafast};
    let rows = [
        ("priority", Priority, "25"),
        ("flex", Flex, "25"),
        ("balanced", Balanced, "25"),
        ("ultrafast", Ultrafast, "25"),
        ("batches", Batches, "25"),
    ];
    for (suffix, tier, expect) in rows {
        let more = format!(r#","input_cost_per_token_{suffix}":5"#); // 3 x 5 + 1 x 10
        check_at(("openai", &more), text(3, 1), Some(tier), expect);
        check_at(("openai", &more), text(3, 1), None, "13");
        check_at(("openai", ""), text(3, 1), Some(tier), "13");
    }
}

#[test]
fn thresholds_hold_for_the_whole_request_and_xais_include_themselves() {
    for thousands in [128_u64, 200, 272, 512] {
        let more = format!(
            r#","input_cost_per_token_above_{thousands}k_tokens":2,"output_cost_per_token_above_{thousands}k_tokens":20"#
        );
        let edge = thousands * 1_000;
        check_at(("openai", &more), text(edge, 1), None, &(edge + 10).to_string());
        check_at(("openai", &more), text(edge + 1, 1), None, &(2 * (edge + 1) + 20).to_string());
        check_at(("xai", &more), text(edge, 1), None, &(2 * edge + 20).to_string());
        check_at(("xai", &more), text(edge - 1, 1), None, &(edge - 1 + 10).to_string());
    }
    let tiered = r#","input_cost_per_token_above_200k_tokens":2,"input_cost_per_token_above_200k_tokens_priority":4,
        "cache_read_input_token_cost":0.5,"cache_read_input_token_cost_above_200k_tokens":0.75"#;
    let cached = Usage { cached_tokens: 100_000, ..text(300_000, 0) };
    check_at(("openai", tiered), cached, None, "475000"); // 200000 x 2 + 100000 x 0.75
    check_at(("openai", tiered), cached, Some(ServiceTier::Priority), "875000"); // 200000 x 4 + 75000
}

#[test]
fn batches_have_thresholds_of_their_own_or_none() {
    let batches = Some(ServiceTier::Batches);
    let flat = r#","input_cost_per_token_batches":0.5,"input_cost_per_token_above_200k_tokens":2"#;
    check_at(("openai", flat), text(300_000, 0), batches, "150000");
    let own = r#","input_cost_per_token_batches":0.5,"input_cost_per_token_above_200k_tokens":2,
        "input_cost_per_token_above_200k_tokens_batches":1"#;
    check_at(("openai", own), text(300_000, 0), batches, "300000");
    check_at(("openai", own), text(100_000, 0), batches, "50000");
}

#[test]
fn ranges_are_all_or_nothing_by_the_prompts_length() {
    let more = r#","tiered_pricing":[{"range":[0,1000],"input_cost_per_token":2,"output_cost_per_token":3},
        {"range":[1000,9000],"input_cost_per_token":4}]"#;
    check(more, text(1_000, 1), "2003");
    check(more, text(1_001, 1), "4014"); // 1001 x 4, and the model's own 10
}

#[test]
fn what_is_not_tokens_is_billed_by_the_piece() {
    let none = Usage::default();
    check(r#","input_cost_per_request":0.5"#, text(1, 0), "1.5");
    check(r#","output_cost_per_image":0.25"#, Usage { images: 3, ..none }, "0.75");
    check(r#","input_cost_per_pixel":0.001"#, Usage { images: 1, pixels: 100, ..none }, "0.1");
    check(r#","input_cost_per_character":0.5"#, Usage { input_characters: 4, ..none }, "2");
    check(r#","input_cost_per_second":2"#, Usage { audio_ms: 1_500, ..none }, "3");
    check(r#","output_cost_per_second":2"#, Usage { spoken_ms: 500, input_characters: 0, ..none }, "1");
    check(r#","input_cost_per_query":0.125"#, Usage { queries: 2, ..none }, "0.25");
}

#[test]
fn tools_that_the_provider_runs_are_billed_by_the_call() {
    let searched = Usage { web_search_requests: 3, ..text(1, 0) };
    let by_size = r#","search_context_cost_per_query":
        {"search_context_size_low":0.25,"search_context_size_medium":0.5,"search_context_size_high":1}"#;
    check(by_size, searched, "2.5"); // 1 + 3 x 0.5
    check(by_size, Usage { search_context_size: SearchContextSize::Low, ..searched }, "1.75");
    check(by_size, Usage { search_context_size: SearchContextSize::High, ..searched }, "4");
    check_at(("gemini", by_size), searched, None, "1.5"); // once for the prompt
    let mapped = Usage { map_queries: 3, ..text(1, 0) };
    let price = r#","google_maps_grounding_cost_per_query":0.5"#;
    let by_query = r#","google_maps_grounding_cost_per_query":0.5,"web_search_billing_unit":"per_query""#;
    check_at(("gemini", price), mapped, None, "1.5");
    check_at(("gemini", by_query), mapped, None, "2.5");
    check_at(("vertex_ai-language-models", ""), mapped, None, "1.025"); // Google's list
    check_at(("gemini", r#","web_search_billing_unit":"per_query""#), mapped, None, "1.042");
    check_at(("openai", ""), mapped, None, "1");
    let ran = Usage { code_sessions: 2, ..text(1, 0) };
    check_at(("openai", ""), ran, None, "1.06");
    check_at(("azure", ""), ran, None, "1.066");
    check_at(("azure", r#","code_interpreter_cost_per_session":0.5"#), ran, None, "2");
    check_at(("anthropic", ""), ran, None, "1");
    let looked = Usage { file_searches: 2, ..text(1, 0) };
    check_at(("openai", ""), looked, None, "1.005");
    check_at(("azure", ""), looked, None, "1");
}

#[test]
fn listed_prices_of_containers_are_those_of_the_data() {
    for (provider, key) in [("openai", "openai/container"), ("azure", "azure/container")] {
        let listed = crate::model::model_by_key(key).expect(key).prices.tools().code_session;
        assert_eq!(prices(provider, "").tools().code_session, listed, "{provider}");
    }
}

#[test]
fn a_region_raises_tokens_and_nothing_else() {
    let more = r#","regional_processing_uplift_multiplier_eu":1.1,"regional_processing_uplift_multiplier_us":"1.05",
        "regional_endpoint_uplift_multiplier":1.2,"search_context_cost_per_query":0.5,
        "input_cost_per_token_above_200k_tokens":2,"input_cost_per_character":1"#;
    let check = |residency: Option<&str>, location: Option<&str>, usage: Usage, expect: &str| {
        let raised = prices("openai", more).in_region(residency, location);
        let total = cost(&raised, &usage, None).map(|cost| cost.total);
        assert_eq!(total, PicoDollars::parse_dollars(expect).ok(), "{residency:?} {location:?} {usage:?}");
    };
    check(None, None, text(3, 2), "23");
    check(Some("eu"), None, text(3, 2), "25.3");
    check(Some("US"), None, text(3, 2), "24.15");
    check(Some("ap"), None, text(3, 2), "23");
    check(None, Some("global"), text(3, 2), "23");
    check(None, Some("us-east5"), text(3, 2), "27.6");
    check(Some("eu"), None, text(300_000, 0), "660000"); // 2 x 1.1
    check(Some("eu"), None, Usage { web_search_requests: 1, input_characters: 3, ..text(3, 2) }, "28.8");
    let host = |host: &str| crate::prices::openai_residency(host).map(str::to_owned);
    assert_eq!(host("eu.api.openai.com").as_deref(), Some("eu"));
    assert_eq!(host("us.api.openai.com").as_deref(), Some("us"));
    assert_eq!(host("api.openai.com"), None);
    assert_eq!(host("eu.api.openai.com.evil.test"), None);
}

#[test]
fn anthropics_fast_mode_multiplies_every_token() {
    let more = r#","cache_read_input_token_cost":0.5,"provider_specific_entry":{"fast":2.5,"us":1.1}"#;
    let fast = ServiceTier::from_name("fast");
    let cached = Usage { cached_tokens: 2, ..text(4, 1) };
    check_at(("anthropic", more), cached, None, "13"); // 2 + 2 x 0.5 + 10
    check_at(("anthropic", more), cached, fast, "32.5");
    let opus = crate::model::model_by_key("claude-opus-5").expect("a model").prices;
    let total = |tier| cost(&opus, &text(1_000, 10), tier).map_or(0, |cost| cost.total.0);
    assert_eq!(total(fast), 2 * total(None));
}

#[test]
fn off_peak_prices_hold_at_their_hours_whatever_the_length_and_the_tier() {
    let more = r#","input_cost_per_token_above_200k_tokens":2,"input_cost_per_token_priority":5,
        "cache_read_input_token_cost":0.5,"output_cost_per_reasoning_token":20,
        "off_peak_pricing":{"hours_utc":"16:00-18:00","input_cost_per_token":0.25,"output_cost_per_token":4}"#;
    let known = prices("openai", more);
    let check = |prices: &Prices, hour: i64, usage: Usage, tier: Option<ServiceTier>, expect: &str| {
        let total = cost(prices.at(hour * 3_600), &usage, tier).map(|cost| cost.total);
        assert_eq!(total, PicoDollars::parse_dollars(expect).ok(), "{hour}:00 {usage:?} {tier:?}");
    };
    check(&known, 15, text(4, 1), None, "14");
    check(&known, 16, text(4, 1), None, "5");
    check(&known, 18, text(4, 1), None, "14");
    check(&known, 16, text(300_000, 0), None, "75000");
    check(&known, 16, text(4, 1), Some(ServiceTier::Priority), "5");
    // What it does not name keeps its price.
    check(&known, 16, Usage { cached_tokens: 4, reasoning_tokens: 1, ..text(4, 1) }, None, "22");
    // An operator's own price is the price at every hour, unless it comes with hours.
    let own = known.with_overrides([("input_cost_per_token", "3")].into_iter()).expect("prices");
    check(&own, 16, text(4, 1), None, "22");
    let hours = r#"{"hours_utc":"00:00-00:00","output_cost_per_token":1}"#;
    let hourly = known.with_overrides([("off_peak_pricing", hours)].into_iter()).expect("prices");
    check(&hourly, 16, text(4, 1), None, "5"); // 4 x 1 + 1 x 1
    check(&hourly.in_region(Some("eu"), None), 16, text(4, 1), None, "5");
    let highest = ceiling(
        &known,
        &Bounds { input_tokens: 4, output_tokens: 1, ..Bounds::default() },
        Served::Asked(None),
    );
    assert_eq!(highest, PicoDollars::parse_dollars("24").ok()); // by day, reasoning
}
