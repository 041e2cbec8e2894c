//! What usages cost, by hand arithmetic on the catalogue's prices, and what holds for any prices.

use proptest::prelude::*;

use super::*;
use crate::model::{Overlay, model, model_by_key};
use crate::money::Price;

/// The prices of an object in the catalogue's form.
fn prices(json: &str) -> Prices {
    let overlay = Overlay::from_json(&format!("{{\"m\":{json}}}")).expect("an overlay");
    overlay.model_by_key("m").expect("the model").prices
}

fn printed(cost: Cost) -> [String; 7] {
    let Cost { total, input, output, cache_read, cache_write, reasoning, tool_usage } = cost;
    [total, input, output, cache_read, cache_write, reasoning, tool_usage].map(PicoDollars::as_litellm_number)
}

#[test]
fn the_parts_are_those_of_litellms_cost_headers() {
    let gpt_4o = model("openai", "gpt-4o").expect("in the catalogue");
    let usage = Usage {
        input_tokens: 12,
        cached_tokens: 4,
        output_tokens: 5,
        reasoning_tokens: 2,
        ..Usage::default()
    };
    let parts = printed(cost(&gpt_4o.prices, &usage, None).expect("priced"));
    assert_eq!(parts, ["7.5e-05", "2e-05", "5e-05", "5e-06", "0.0", "2e-05", "0.0"]);
}

/// Checks the total of a real model's usage, in dollars.
fn check(key: &str, usage: Usage, tier: Option<ServiceTier>, dollars: &str) {
    let model = model_by_key(key).expect(key);
    let total = cost(&model.prices, &usage, tier).map(|cost| cost.total);
    assert_eq!(total, PicoDollars::parse_dollars(dollars).ok(), "{key} {usage:?} {tier:?}");
}

fn plain(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

#[test]
fn text_is_billed_at_the_plain_rates() {
    check("gpt-4o-mini", plain(1000, 500), None, "0.00045"); // 1000 x 0.15e-6 + 500 x 0.6e-6
    check("o3-mini", plain(2000, 1000), None, "0.0066"); // 2000 x 1.1e-6 + 1000 x 4.4e-6
    check("mistral/mistral-large-latest", plain(10_000, 1000), None, "0.0065"); // 0.005 + 0.0015
    check("azure/gpt-4o-2024-11-20", plain(100, 10), None, "0.00035"); // 0.00025 + 0.0001
    check("text-embedding-3-small", plain(8191, 0), None, "0.00016382"); // 8191 x 2e-8
    check("gpt-4o", plain(0, 0), None, "0");
}

#[test]
fn cached_audio_and_images_have_rates_of_their_own() {
    // gpt-realtime-mini: (100 text x 0.6 + 50 audio x 10 + 10 image x 0.8 + 20 cached text x 0.06 + 30 cached audio x 0.3
    // + 5 cached image x 0.08 + 8 text x 2.4 + 40 audio x 20) x 1e-6
    let usage = Usage {
        input_tokens: 215,
        cached_tokens: 55,
        cached_audio_tokens: 30,
        cached_image_tokens: 5,
        input_audio_tokens: 50,
        input_image_tokens: 10,
        output_tokens: 48,
        output_audio_tokens: 40,
        ..Usage::default()
    };
    check("gpt-realtime-mini", usage, None, "0.0013978");
    // More cached sound than cached tokens is billed as the latter say.
    let odd = Usage { input_tokens: 10, cached_tokens: 10, cached_audio_tokens: 99, ..Usage::default() };
    check("gpt-realtime-mini", odd, None, "0.000003");
}

#[test]
fn the_providers_cache_has_rates_of_its_own() {
    // 1000 plain x 3e-6 + 2000 read x 0.3e-6 + 500 written x 3.75e-6 + 100 written for an hour x 6e-6 + 10 x 15e-6
    let usage = Usage {
        input_tokens: 3600,
        cached_tokens: 2000,
        cache_write_tokens: 600,
        cache_write_1h_tokens: 100,
        output_tokens: 10,
        ..Usage::default()
    };
    check("claude-sonnet-4-5", usage, None, "0.006225");
    // Perplexity names no cache price: cached tokens are input. 100 x 1e-6 + 10 x 1e-6
    let usage = Usage { cached_tokens: 60, ..plain(100, 10) };
    check("perplexity/sonar", usage, None, "0.00011");
    // DeepSeek asks nothing for writing, which is a price. 40 x 0.28e-6 + 60 x 0 + 10 x 0.42e-6
    let usage = Usage { cache_write_tokens: 60, ..plain(100, 10) };
    check("deepseek/deepseek-chat", usage, None, "0.0000154");
}

#[test]
fn a_long_prompt_takes_the_whole_request_above_the_threshold() {
    check("gemini/gemini-2.5-pro", plain(200_000, 1000), None, "0.26"); // 0.25 + 0.01
    check("gemini/gemini-2.5-pro", plain(200_001, 1000), None, "0.5150025"); // 0.5000025 + 0.015
    let cached = Usage { cached_tokens: 100_000, ..plain(300_000, 0) };
    check("gemini/gemini-2.5-pro", cached, None, "0.525"); // 200000 x 2.5e-6 + 100000 x 0.25e-6
    // Hourly cache writes have a threshold too: 100001 x 0.5e-6, less 10 of them x 0.5e-6, and 10 x 1e-6.
    let written = Usage { cache_write_tokens: 10, cache_write_1h_tokens: 10, ..plain(100_001, 0) };
    check("claude-haiku-5-5", written, None, "0.0500055");
}

#[test]
fn xai_counts_a_prompt_of_exactly_the_threshold_as_above_it() {
    check("xai/grok-4.20", plain(199_999, 0), None, "0.24999875"); // x 1.25e-6
    check("xai/grok-4.20", plain(200_000, 0), None, "0.5"); // x 2.5e-6
}

#[test]
fn service_tiers_have_their_own_rates_and_fall_back_to_the_plain_ones() {
    use ServiceTier::{Batches, Flex, Priority};
    check("gpt-5", plain(1000, 100), Some(Priority), "0.0045"); // 0.0025 + 0.002
    check("gpt-5", plain(1000, 100), Some(Flex), "0.001125"); // 0.000625 + 0.0005
    check("gpt-4o", plain(1000, 100), Some(Batches), "0.00175"); // 0.00125 + 0.0005
    check("o3-mini", plain(2000, 1000), Some(Priority), "0.0066"); // no such tier
    // Priority above the threshold: 300000 x 4.5e-6 + 1000 x 27e-6
    check("gemini/gemini-2.5-pro", plain(300_000, 1000), Some(Priority), "1.377");
    // Flex has no rates above it, so the plain ones hold there: 300000 x 2.5e-6 + 1000 x 15e-6
    check("gemini/gemini-2.5-pro", plain(300_000, 1000), Some(Flex), "0.765");
    // Reasoning has no flex price, but output has, and reasoning is output: 10 x 0.15e-6 + 20 x 1.25e-6
    let usage = Usage { reasoning_tokens: 15, ..plain(10, 20) };
    check("gemini/gemini-2.5-flash", usage, Some(Flex), "0.0000265");
}

#[test]
fn audio_and_images_are_billed_as_such() {
    // 10 text x 0.3e-6 + 90 audio x 1e-6
    check("gemini/gemini-2.5-flash", Usage { input_audio_tokens: 90, ..plain(100, 0) }, None, "0.000093");
    // 50 text x 5e-6 + 100 image x 10e-6 + 1000 image out x 40e-6
    let usage = Usage { input_image_tokens: 100, output_image_tokens: 1000, ..plain(150, 1000) };
    check("gpt-image-1", usage, None, "0.04125");
    // Without a breakdown the output of an image model is image: the model names no other output price.
    check("gpt-image-1", plain(0, 1000), None, "0.04");
}

#[test]
fn ranges_of_prompt_length_price_the_whole_request() {
    let key = "dashscope/qwen3-coder-flash";
    check(key, plain(32_000, 1000), None, "0.0111"); // 0.0096 + 0.0015
    check(key, plain(32_001, 1000), None, "0.0185005"); // 0.0160005 + 0.0025
    check(key, Usage { cached_tokens: 1000, ..plain(2000, 0) }, None, "0.00038"); // 0.0003 + 0.00008
    check(key, plain(2_000_000, 0), None, "3.2"); // beyond the last range: 1.6e-6
    check(key, plain(0, 1000), None, "0.0015");
    // Reasoning of its own price in the range: 100 x 0.4e-6 + 10 x 1.2e-6 + 90 x 4e-6
    let reasoned = Usage { reasoning_tokens: 90, ..plain(100, 100) };
    check("dashscope/qwen-plus-2025-07-28", reasoned, None, "0.000412");
}

#[test]
fn requests_and_searches_are_billed_by_the_piece() {
    check("perplexity/pplx-70b-online", plain(100, 10), None, "0.005028"); // 0.005 + 10 x 2.8e-6
    let searched =
        |size, queries| Usage { web_search_requests: queries, search_context_size: size, ..plain(10, 0) };
    check("perplexity/sonar-pro", searched(SearchContextSize::Low, 2), None, "0.01203");
    check("perplexity/sonar-pro", searched(SearchContextSize::Medium, 1), None, "0.01003");
    check("perplexity/sonar-pro", searched(SearchContextSize::High, 1), None, "0.01403");
    // Gemini 2.5 bills the grounded prompt, Gemini 3 every query.
    check("gemini/gemini-2.5-pro", searched(SearchContextSize::Medium, 3), None, "0.0350125");
    check("gemini/gemini-3-flash-preview", searched(SearchContextSize::Medium, 3), None, "0.042005");
    // A model without a search price: searching adds nothing.
    check("o3-mini", searched(SearchContextSize::Medium, 3), None, "0.000011");
}

#[test]
fn no_price_is_no_cost_but_a_price_of_zero_is() {
    assert_eq!(cost(&Prices::default(), &plain(10, 10), None), None);
    let unpriced = prices(r#"{"litellm_provider":"openai","mode":"chat","max_tokens":5}"#);
    assert_eq!(cost(&unpriced, &plain(10, 10), None), None);
    let by_image = prices(r#"{"litellm_provider":"openai","output_cost_per_image":0.04}"#);
    assert_eq!(cost(&by_image, &plain(10, 10), None), None);
    let free = prices(r#"{"input_cost_per_token":0,"output_cost_per_token":0.0}"#);
    assert_eq!(cost(&free, &plain(10, 10), None), Some(Cost::default()));
}

#[test]
fn parts_beyond_their_total_are_billed_and_nothing_turns_negative() {
    let prices = prices(
        r#"{"input_cost_per_token":1,"output_cost_per_token":10,"cache_read_input_token_cost":0.5,
            "output_cost_per_reasoning_token":20,"input_cost_per_audio_token":3}"#,
    );
    let dollars = |usage| cost(&prices, &usage, None).map(|cost| cost.total.to_string());
    assert_eq!(dollars(Usage { cached_tokens: 8, ..plain(2, 0) }).as_deref(), Some("4"));
    assert_eq!(dollars(Usage { reasoning_tokens: 3, ..plain(0, 1) }).as_deref(), Some("60"));
    assert_eq!(dollars(Usage { input_audio_tokens: 9, ..plain(2, 0) }).as_deref(), Some("6"));
    assert_eq!(
        dollars(Usage { input_audio_tokens: 2, cached_tokens: 2, ..plain(2, 0) }).as_deref(),
        Some("1")
    );
    let hour = Usage { cache_write_1h_tokens: 5, ..plain(2, 0) };
    assert_eq!(dollars(hour).as_deref(), Some("2"), "hourly writes are a part of the writes");
}

#[test]
fn the_total_is_rounded_once_from_the_exact_sum() {
    // Each part is 0.4 picodollars, which by itself is nothing; together they are 1.2.
    let prices = prices(
        r#"{"input_cost_per_token":4e-13,"output_cost_per_token":4e-13,"cache_read_input_token_cost":4e-13}"#,
    );
    let cost = cost(&prices, &Usage { cached_tokens: 1, ..plain(2, 1) }, None).expect("priced");
    assert_eq!((cost.input.0, cost.cache_read.0, cost.output.0), (0, 0, 0));
    assert_eq!(cost.total, PicoDollars(1));
}

#[test]
fn a_cost_too_large_to_hold_is_the_largest() {
    let prices = prices(r#"{"input_cost_per_token":10000000000000,"output_cost_per_token":1}"#);
    let cost = cost(&prices, &plain(u64::MAX, u64::MAX), None).expect("priced");
    assert_eq!(cost.total, PicoDollars(i128::MAX / 1_000_000_000_000 + 1));
}

prop_compose! {
    /// Prices without thresholds, any of them absent, with up to 18 decimals.
    fn any_prices()(numbers in prop::collection::vec(prop::option::of(0..10_u64.pow(13)), 13)) -> Prices {
        let names = [
            "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
            "cache_creation_input_token_cost", "cache_creation_input_token_cost_above_1hr",
            "output_cost_per_reasoning_token", "input_cost_per_audio_token", "output_cost_per_audio_token",
            "input_cost_per_image_token", "output_cost_per_image_token", "input_cost_per_request",
            "cache_read_input_audio_token_cost", "cache_read_input_image_token_cost",
        ];
        let fields: Vec<String> = names
            .iter()
            .zip(numbers)
            .filter_map(|(name, number)| number.map(|number| format!("\"{name}\":{number}e-18")))
            .collect();
        prices(&format!("{{{}}}", fields.join(",")))
    }
}

prop_compose! {
    fn any_usage()(n in prop::collection::vec(0..1_000_000_u64, 20)) -> Usage {
        Usage {
            input_tokens: n[0], cached_tokens: n[1] / 2, cache_write_tokens: n[2] / 2, cache_write_1h_tokens: n[3],
            input_audio_tokens: n[4], input_image_tokens: n[5], output_tokens: n[6], reasoning_tokens: n[7] / 2,
            output_audio_tokens: n[8] / 4, output_image_tokens: n[9] / 4, web_search_requests: n[10] % 4,
            search_context_size: SearchContextSize::Medium,
            cached_audio_tokens: n[11] / 4, cached_image_tokens: n[12] / 4,
            images: n[13] % 5, pixels: n[14], input_characters: n[15] % 9, audio_ms: n[16] % 7, spoken_ms: n[17] % 7,
            queries: n[18] % 3, elapsed_ms: n[19] % 2,
            ..Usage::default()
        }
    }
}

proptest! {
    #[test]
    fn the_parts_add_up_to_the_total(prices in any_prices(), usage in any_usage()) {
        let Some(cost) = cost(&prices, &usage, None) else { return Ok(()) };
        let sum: i128 = [cost.input, cost.output, cost.cache_read, cost.cache_write, cost.tool_usage]
            .iter()
            .map(|part| part.0)
            .sum();
        // Five parts, each off by at most half a picodollar, and so is the total.
        prop_assert!((sum - cost.total.0).abs() <= 3, "{cost:?}");
        prop_assert!(cost.reasoning <= cost.output);
        for part in [cost.total, cost.input, cost.output, cost.cache_read, cost.cache_write, cost.reasoning] {
            prop_assert!(part.0 >= 0, "{cost:?}");
        }
    }

    #[test]
    fn more_tokens_never_cost_less(prices in any_prices(), usage in any_usage(), more in 0..1000_u64) {
        let total = |usage: Usage| cost(&prices, &usage, None).map(|cost| cost.total);
        let before = total(usage);
        let longer_prompt = total(Usage { input_tokens: usage.input_tokens + more, ..usage });
        let longer_answer = total(Usage { output_tokens: usage.output_tokens + more, ..usage });
        prop_assert!(longer_prompt >= before);
        prop_assert!(longer_answer >= before);
    }

    #[test]
    fn a_dearer_price_never_makes_a_request_cheaper(prices in any_prices(), usage in any_usage(), key in 0..2_usize) {
        let (key, now) = [("input_cost_per_token", prices.input()), ("output_cost_per_token", prices.output())][key];
        let dearer = format!("{}e-24", now.map_or(0, Price::units) + 1_000_000);
        let raised = prices.with_overrides([(key, dearer.as_str())].into_iter()).expect("a price");
        let total = |prices| cost(prices, &usage, None).map(|cost| cost.total);
        let has_own_rates = prices.output().is_some() || key != "output_cost_per_token";
        // An image model without an output price bills output as image: naming an output price may lower that.
        prop_assume!(has_own_rates);
        prop_assert!(total(&raised) >= total(&prices));
    }
}
