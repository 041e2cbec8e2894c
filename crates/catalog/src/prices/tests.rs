//! How prices are read, overridden and named.

use super::reading::Fields;
use super::*;
use crate::model::{keys, model_by_key};

fn read(provider: &str, json: &str) -> Result<Prices, PriceError> {
    let fields: Fields<'_> = serde_json::from_str(json).expect("an object");
    Prices::read(provider, fields.iter().map(|(name, value)| (name.as_str(), value.get())))
}

fn dollars(price: Option<Price>) -> Option<String> {
    price.map(|price| price.to_string())
}

#[test]
fn the_lists_of_names_are_sorted_and_apart() {
    for list in [PRICE_KEYS, UNBILLED_PRICE_KEYS] {
        assert!(list.is_sorted_by(|before, after| before < after));
    }
    for name in UNBILLED_PRICE_KEYS {
        assert!(PRICE_KEYS.binary_search(name).is_err(), "{name} is in both lists");
        assert_eq!(RateKey::parse(name), None, "{name} is billed after all");
    }
    // Compound ones, tools and multipliers.
    let compound = [
        "code_interpreter_cost_per_session",
        "google_maps_grounding_cost_per_query",
        "off_peak_pricing",
        "regional_endpoint_uplift_multiplier",
        "regional_processing_uplift_multiplier_eu",
        "regional_processing_uplift_multiplier_us",
        "search_context_cost_per_query",
        "tiered_pricing",
        "web_search_billing_unit",
    ];
    for name in PRICE_KEYS {
        assert_ne!(RateKey::parse(name).is_some(), compound.contains(name), "{name}");
    }
}

#[test]
fn every_price_of_the_data_has_a_known_name() {
    let mut priced_fields = 0;
    for key in keys() {
        let model = model_by_key(key).expect(key);
        for name in fields(model.raw()).into_keys() {
            let looks_like_a_price = ["cost", "pricing", "multiplier"].iter().any(|part| name.contains(part));
            if looks_like_a_price {
                priced_fields += 1;
                assert!(is_price_key(&name), "{key}: {name}");
            }
        }
    }
    assert_eq!(priced_fields, 15_594);
}

fn fields(raw: &str) -> Fields<'_> {
    serde_json::from_str(raw).expect("an object")
}

#[test]
fn a_name_says_dimension_threshold_and_tier() {
    let check = |name: &str, dimension, above, tier| {
        assert_eq!(RateKey::parse(name), Some(RateKey { dimension, above, tier }), "{name}");
    };
    check("input_cost_per_token", Dimension::Input, 0, None);
    check(
        "output_cost_per_token_above_272k_tokens_flex",
        Dimension::Output,
        272_000,
        Some(ServiceTier::Flex),
    );
    check("input_cost_per_token_above_128_tokens", Dimension::Input, 128, None);
    check("cache_creation_input_token_cost_above_1hr", Dimension::CacheWriteHour, 0, None);
    check(
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
        Dimension::CacheWriteHour,
        200_000,
        None,
    );
    check("cache_creation_input_token_cost_above_200k_tokens", Dimension::CacheWrite, 200_000, None);
    check("output_cost_per_image", Dimension::ImageMade, 0, None);
    check("output_cost_per_image_token_flex", Dimension::ImageOutput, 0, Some(ServiceTier::Flex));
    for wrong in [
        "",
        "input_cost",
        "input_cost_per_tokens",
        "input_cost_per_token_",
        "input_cost_per_token_cheap",
        "input_cost_per_token_above_k_tokens",
        "input_cost_per_token_above_200k",
        "input_cost_per_token_above_99999999999999999999k_tokens",
        "output_cost_per_image_1K",
        "input_cost_per_image_above_128k_tokens",
        "input_cost_per_second_flex",
        "input_cost_per_pixels",
    ] {
        assert_eq!(RateKey::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn tiers_are_known_by_the_providers_names_for_them() {
    let check = |name: &str, expect| assert_eq!(ServiceTier::from_name(name), expect, "{name}");
    check("priority", Some(ServiceTier::Priority));
    check("fast", Some(ServiceTier::Priority));
    check("FLEX", Some(ServiceTier::Flex));
    check("batch", Some(ServiceTier::Batches));
    check("ultrafast", Some(ServiceTier::Ultrafast));
    check("balanced", Some(ServiceTier::Balanced));
    for plain in ["default", "auto", "standard", "scale", ""] {
        check(plain, None);
    }
}

#[test]
fn numbers_may_be_json_numbers_or_text_and_null_is_absent() {
    let prices = read(
        "openai",
        r#"{"input_cost_per_token":"4e-07","output_cost_per_token":null,"mode":"chat","rpm":5,
            "cache_read_input_token_cost":1}"#,
    );
    let prices = prices.expect("prices");
    assert_eq!(dollars(prices.input()).as_deref(), Some("0.0000004"));
    assert_eq!(prices.output(), None);
    assert_eq!(dollars(prices.rate("cache_read_input_token_cost")).as_deref(), Some("1"));
    assert_eq!(prices.rate("cache_read_input_token_cost_flex"), None);
    assert_eq!(prices.rate("no_price"), None);
}

#[test]
fn a_wrong_price_is_named() {
    let check = |json: &str, expect: &str| {
        let error = read("openai", json).expect_err(json);
        assert_eq!(error.to_string(), expect);
    };
    check(
        r#"{"input_cost_per_token":-1}"#,
        "`input_cost_per_token`: `-1` is not a price in dollars: negative",
    );
    check(
        r#"{"output_cost_per_image":"free"}"#,
        "`output_cost_per_image`: `free` is not a price in dollars: not a decimal number",
    );
    check(
        r#"{"input_cost_per_token":true}"#,
        "`input_cost_per_token`: `true` is not a price in dollars: not a decimal number",
    );
    let ranges = "`tiered_pricing`: must be a list of objects with `range: [from, to]` and prices per token";
    check(r#"{"tiered_pricing":{}}"#, ranges);
    check(r#"{"tiered_pricing":[{"range":[5,1],"input_cost_per_token":1}]}"#, ranges);
    check(r#"{"tiered_pricing":[{"range":[0],"input_cost_per_token":1}]}"#, ranges);
    check(r#"{"tiered_pricing":[{"range":[0,1],"input_cost_per_token_flex":1}]}"#, ranges);
    check(
        r#"{"search_context_cost_per_query":{"search_context_size_low":"x"}}"#,
        "`search_context_cost_per_query`: `x` is not a price in dollars: not a decimal number",
    );
}

fn overridden(json: &str, overrides: &[(&str, &str)]) -> Result<Prices, PriceError> {
    read("openai", json).expect("prices").with_overrides(overrides.iter().copied())
}

#[test]
fn an_override_takes_the_place_of_one_price_and_leaves_the_others() {
    let base = r#"{"input_cost_per_token":1,"output_cost_per_token":2,"cache_read_input_token_cost":0.5}"#;
    let prices = overridden(base, &[("input_cost_per_token", "3e-06")]).expect("prices");
    assert_eq!(dollars(prices.input()).as_deref(), Some("0.000003"));
    assert_eq!(dollars(prices.output()).as_deref(), Some("2"));
    assert_eq!(dollars(prices.rate("cache_read_input_token_cost")).as_deref(), Some("0.5"));
    let same = overridden(base, &[]).expect("prices");
    assert_eq!(same, read("openai", base).expect("prices"));
}

#[test]
fn a_plain_override_holds_for_every_length_and_tier_unless_those_are_written_too() {
    let base = r#"{"input_cost_per_token":1,"input_cost_per_token_above_200k_tokens":2,
        "input_cost_per_token_priority":3,"output_cost_per_token":4,"output_cost_per_token_priority":5}"#;
    let input = |prices: &Prices, tokens, tier| prices.billed(tokens, tier).input.to_string();
    let priority = Some(ServiceTier::Priority);

    let prices = overridden(base, &[("input_cost_per_token", "7")]).expect("prices");
    assert_eq!(input(&prices, 1, None), "7");
    assert_eq!(input(&prices, 300_000, None), "7");
    assert_eq!(input(&prices, 1, priority), "7");
    assert_eq!(prices.billed(1, priority).output.to_string(), "5");

    let both = [("input_cost_per_token", "7"), ("input_cost_per_token_above_200k_tokens", "8")];
    let prices = overridden(base, &both).expect("prices");
    assert_eq!(input(&prices, 300_000, None), "8");

    let prices = overridden(base, &[("input_cost_per_token_priority", "9")]).expect("prices");
    assert_eq!(input(&prices, 1, priority), "9");
    assert_eq!(input(&prices, 1, None), "1");
    assert_eq!(input(&prices, 300_000, None), "2");
}

#[test]
fn an_override_reaches_into_ranges_of_prompt_length() {
    let base = r#"{"tiered_pricing":[
        {"range":[0,10],"input_cost_per_token":1,"output_cost_per_token":2},
        {"range":[10,20],"input_cost_per_token":3,"output_cost_per_token":4}]}"#;
    let prices = overridden(base, &[("input_cost_per_token", "7")]).expect("prices");
    let billed = prices.billed(15, None);
    assert_eq!((billed.input.to_string(), billed.output.to_string()), ("7".to_owned(), "4".to_owned()));

    let ranges = r#"[{"range":[0,5],"input_cost_per_token":"0.5"}]"#;
    let prices =
        overridden(base, &[("tiered_pricing", ranges), ("output_cost_per_token", "6")]).expect("prices");
    let billed = prices.billed(15, None);
    assert_eq!((billed.input.to_string(), billed.output.to_string()), ("0.5".to_owned(), "6".to_owned()));
}

#[test]
fn searches_can_be_overridden_by_a_number_or_by_size() {
    let at = |prices: &Prices, size| prices.search(3, size).map(|(times, price)| (times, price.to_string()));
    let flat = overridden("{}", &[("search_context_cost_per_query", "0.01")]).expect("prices");
    assert_eq!(at(&flat, SearchContextSize::Low), Some((3, "0.01".to_owned())));
    assert_eq!(at(&flat, SearchContextSize::High), Some((3, "0.01".to_owned())));
    let sized = r#"{"search_context_size_medium":0.02}"#;
    let sized = overridden("{}", &[("search_context_cost_per_query", sized)]).expect("prices");
    assert_eq!(at(&sized, SearchContextSize::Medium), Some((3, "0.02".to_owned())));
    assert_eq!(at(&sized, SearchContextSize::High), None);
}

#[test]
fn an_unknown_override_names_the_nearest_price() {
    let error = overridden("{}", &[("input_cost_per_tokn", "1")]).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "`input_cost_per_tokn`: is not the name of a price, did you mean `input_cost_per_token`?"
    );
    let error = overridden("{}", &[("colour", "1")]).expect_err("unknown");
    assert_eq!(error.to_string(), "`colour`: is not the name of a price");
}

#[test]
fn every_name_of_the_lists_can_be_overridden() {
    let compound = |name: &str| match name {
        "tiered_pricing" => r#"[{"range":[0,5],"input_cost_per_token":1}]"#,
        "web_search_billing_unit" => "per_query",
        "off_peak_pricing" => r#"{"hours_utc":"01:00-02:00","input_cost_per_token":1}"#,
        _ => "0.001",
    };
    for name in PRICE_KEYS.iter().chain(UNBILLED_PRICE_KEYS) {
        assert!(is_price_key(name), "{name}");
        assert!(overridden("{}", &[(name, compound(name))]).is_ok(), "{name}");
    }
    let page = overridden("{}", &[("ocr_cost_per_page", "0.04")]).expect("prices");
    assert!(!page.is_priced(), "accepted, but no usage is billed by it yet");
    let image = overridden("{}", &[("output_cost_per_image", "0.04")]).expect("prices");
    assert!(image.is_priced() && !image.prices_tokens());
}

#[test]
fn prices_are_small_and_a_clone_shares_them() {
    assert!(size_of::<Prices>() <= 24);
    let prices = model_by_key("gpt-5.6").expect("a model").prices;
    let shared = prices.clone();
    assert!(Arc::ptr_eq(&prices.rates, &shared.rates));
}
