//! What pictures, speech, transcripts and rankings cost: held against LiteLLM's own figures, and against arithmetic by
//! hand where LiteLLM has none or a wrong one.

use serde_json::Value;

use super::*;
use crate::model::{model, model_by_key, sizes};

/// A deployment's prices, as the gateway puts them together.
fn sold(provider: &str, name: &str) -> Prices {
    let known = model(provider, name).map(|model| model.prices).unwrap_or_default();
    known.with_sizes(sizes(provider, name))
}

fn dollars(text: &str) -> PicoDollars {
    PicoDollars::parse_dollars(text).expect(text)
}

/// What the counts of a row cost.
fn billed(row: &Value) -> Option<Cost> {
    let text = |name: &str| row[name].as_str();
    let count = |name: &str| row[name].as_u64().unwrap_or(0);
    let tokens = |name: &str| row["tokens"][name].as_u64().unwrap_or(0);
    let size = text("size").and_then(|size| size.split_once('x')).map_or((1024, 1024), |(width, height)| {
        (width.parse().expect("a width"), height.parse().expect("a height"))
    });
    let prices = sold(text("provider").expect("a provider"), text("model").expect("a model"));
    let prices = if count("images") > 0 { prices.at_size(text("quality"), size) } else { prices };
    let usage = Usage {
        input_tokens: tokens("input") + count("total_tokens"),
        input_audio_tokens: tokens("input_audio"),
        input_image_tokens: tokens("input_image"),
        output_tokens: tokens("output"),
        output_image_tokens: if count("images") > 0 { tokens("output") } else { 0 },
        images: count("images"),
        pixels: count("images") * u64::from(size.0) * u64::from(size.1),
        input_characters: count("characters"),
        audio_ms: (row["seconds"].as_f64().unwrap_or(0.0) * 1_000.0).round() as u64,
        queries: count("search_units"),
        ..Usage::default()
    };
    cost(&prices, &usage, None)
}

#[test]
fn amounts_are_litellms_but_where_it_is_plainly_wrong() {
    let table: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/litellm_units.json")).expect("the fixture");
    let rows = table["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 42);
    for row in rows {
        let litellms = row["litellm"].as_str().expect("LiteLLM's figure");
        let expect = row["ours"].as_str().unwrap_or(litellms);
        assert_eq!(billed(row).map(|cost| cost.total), Some(dollars(expect)), "{row}");
    }
    assert_eq!(rows.iter().filter(|row| row["ours"].is_string()).count(), 2);
}

/// Checks the total of a usage at prices in the catalogue's form.
fn check(json: &str, usage: Usage, expect: Option<&str>) {
    let overlay = crate::Overlay::from_json(&format!("{{\"m\":{json}}}")).expect("an overlay");
    let prices = overlay.model_by_key("m").expect("the model").prices;
    assert_eq!(cost(&prices, &usage, None).map(|cost| cost.total), expect.map(dollars), "{json} {usage:?}");
}

#[test]
fn pictures_have_one_price_whatever_it_is_called() {
    let two = Usage { images: 2, pixels: 2 * 1_048_576, ..Usage::default() };
    check(r#"{"input_cost_per_image": 0.02}"#, two, Some("0.04"));
    check(r#"{"output_cost_per_image": 0.02}"#, two, Some("0.04"));
    check(r#"{"input_cost_per_image": 0.02, "output_cost_per_image": 0.02}"#, two, Some("0.04"));
    // Of Gemini's rows the first is the price of a picture in the prompt.
    check(r#"{"input_cost_per_image": 0.0011, "output_cost_per_image": 0.134}"#, two, Some("0.268"));
    check(r#"{"input_cost_per_image": 0, "output_cost_per_image": 0.008}"#, two, Some("0.016"));
    check(r#"{"input_cost_per_image": 0.167, "input_cost_per_pixel": 1.59e-7}"#, two, Some("0.334"));
    check(r#"{"input_cost_per_pixel": 3e-9, "output_cost_per_pixel": 0.0}"#, two, Some("0.006291456"));
    check(r#"{"output_cost_per_pixel": 3e-9}"#, two, Some("0.006291456"));
    check(r#"{"input_cost_per_pixel": 0.0}"#, two, Some("0"));
    check(r#"{"input_cost_per_character": 0.02}"#, two, None);
    check("{}", two, None);
}

#[test]
fn tiny_prices_are_rounded_once_at_the_end() {
    // A picodollar and a half an image, of pixels that cost far less than one each.
    let prices = r#"{"input_cost_per_pixel": 1.5e-18}"#;
    check(prices, Usage { images: 1, pixels: 1_000_000, ..Usage::default() }, Some("0.000000000002"));
    check(prices, Usage { images: 10, pixels: 10_000_000, ..Usage::default() }, Some("0.000000000015"));
    // A third of a second at a price without an end.
    let second = r#"{"input_cost_per_second": 0.0002833333333333333}"#;
    check(second, Usage { audio_ms: 333, ..Usage::default() }, Some("0.00009435"));
    check(second, Usage { audio_ms: 3_600_000, ..Usage::default() }, Some("1.02"));
}

#[test]
fn tokens_take_the_place_of_pictures_and_sound_where_they_cost_something() {
    let both = r#"{"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "output_cost_per_image": 0.5,
        "input_cost_per_second": 0.25}"#;
    let usage = Usage { images: 1, pixels: 1, audio_ms: 1_000, ..Usage::default() };
    check(both, Usage { input_tokens: 10, output_tokens: 1, ..usage }, Some("0.000014"));
    check(both, usage, Some("0.75"));
    let free = r#"{"input_cost_per_token": 0, "output_cost_per_image": 0.5}"#;
    check(free, Usage { input_tokens: 10, output_tokens: 1, ..usage }, Some("0.5"));
}

#[test]
fn seconds_are_billed_once_although_rows_name_them_twice() {
    let heard = Usage { audio_ms: 10_000, ..Usage::default() };
    check(r#"{"input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001}"#, heard, Some("0.001"));
    check(r#"{"input_cost_per_second": 0.0001, "output_cost_per_second": 0}"#, heard, Some("0.001"));
    check(r#"{"input_cost_per_second": 0, "output_cost_per_second": 0.0001}"#, heard, Some("0.001"));
    // The prompt by tokens, the speech by its length; where the reply counts tokens, by those.
    let speech =
        r#"{"input_cost_per_token": 6e-7, "output_cost_per_second": 0.00025, "output_cost_per_token": 1e-5}"#;
    let spoken = Usage { input_tokens: 100, spoken_ms: 4_000, ..Usage::default() };
    check(speech, spoken, Some("0.00106"));
    check(speech, Usage { output_tokens: 80, ..spoken }, Some("0.00086"));
}

#[test]
fn a_providers_time_is_billed_where_it_sells_nothing_else() {
    let took = Usage { input_tokens: 50, output_tokens: 5, elapsed_ms: 2_500, ..Usage::default() };
    check(r#"{"input_cost_per_second": 0.0004}"#, took, Some("0.001"));
    check(r#"{"cost_per_second": 0.0004, "input_cost_per_second": 7}"#, took, Some("0.001"));
    check(r#"{"input_cost_per_token": 1e-6, "input_cost_per_second": 0.0004}"#, took, Some("0.00005"));
    let key = "bedrock/*/1-month-commitment/cohere.command-text-v14";
    let commitment = model_by_key(key).expect(key);
    assert_eq!(cost(&commitment.prices, &took, None).map(|cost| cost.total), Some(dollars("0.0275")));
}

#[test]
fn what_was_used_and_has_no_price_costs_nothing_that_is_known() {
    let tokens = r#"{"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6}"#;
    for usage in [
        Usage { images: 1, ..Usage::default() },
        Usage { audio_ms: 1, ..Usage::default() },
        Usage { input_characters: 1, ..Usage::default() },
        Usage { queries: 1, ..Usage::default() },
    ] {
        check(tokens, usage, None);
        check(r#"{"input_cost_per_request": 0.5}"#, usage, Some("0.5"));
        check(tokens, Usage { input_tokens: 3, ..usage }, Some("0.000003"));
    }
    check(tokens, Usage::default(), Some("0"));
    check(r#"{"input_cost_per_second": 0.0001}"#, Usage::default(), None);
    check(r#"{"input_cost_per_second": 0.0001}"#, Usage { input_tokens: 5, ..Usage::default() }, None);
    check(r#"{"input_cost_per_query": 0.0}"#, Usage { queries: 1, ..Usage::default() }, Some("0"));
}

#[test]
fn a_size_is_looked_up_with_its_quality_then_without_then_as_high() {
    let check =
        |provider: &str, name: &str, (quality, size): (Option<&str>, (u32, u32)), expect: Option<&str>| {
            let pixels = u64::from(size.0) * u64::from(size.1);
            let usage = Usage { images: 1, pixels, ..Usage::default() };
            let found =
                cost(&sold(provider, name).at_size(quality, size), &usage, None).map(|cost| cost.total);
            assert_eq!(found, expect.map(dollars), "{provider}/{name} {quality:?} {size:?}");
        };
    check("openai", "gpt-image-1", (Some("low"), (1024, 1024)), Some("0.011"));
    check("openai", "gpt-image-1", (Some("medium"), (1024, 1536)), Some("0.063"));
    check("openai", "gpt-image-1", (None, (1536, 1024)), Some("0.25"));
    check("openai", "gpt-image-1", (Some("auto"), (1024, 1024)), Some("0.167"));
    check("openai", "gpt-image-1.5", (Some("auto"), (1024, 1024)), Some("0.009"));
    check("openai", "gpt-image-1", (Some("low"), (256, 256)), None);
    check("azure", "dall-e-3", (Some("hd"), (1024, 1024)), Some("0.087999958221"));
    check("azure", "dall-e-3", (Some("vivid"), (1024, 1024)), None);
    check("xai", "grok-imagine-image-2.0", (Some("low"), (1024, 1024)), Some("0.04"));
    check("xai", "grok-imagine-image-2.0", (Some("low"), (2048, 2048)), Some("0.06"));
}

#[test]
fn an_operators_price_takes_the_place_of_every_other_price_of_its_kind() {
    let check = |provider: &str, name: &str, (own, usage): ((&str, &str), Usage), expect: &str| {
        let prices = sold(provider, name).with_overrides([own].into_iter()).expect("prices");
        let prices = prices.at_size(Some("low"), (1024, 1024));
        assert_eq!(
            cost(&prices, &usage, None).map(|cost| cost.total),
            Some(dollars(expect)),
            "{name} {own:?}"
        );
    };
    let one = Usage { images: 1, pixels: 1_048_576, ..Usage::default() };
    for own in [
        ("input_cost_per_image", "0.5"),
        ("output_cost_per_image", "0.5"),
        ("output_cost_per_pixel", "4.76837158203125e-7"),
    ] {
        check("recraft", "recraftv3", (own, one), "0.5");
        check("openai", "gpt-image-1", (own, one), "0.5");
        check("nscale", "black-forest-labs/FLUX.1-schnell", (own, one), "0.5");
    }
    let heard = Usage { audio_ms: 2_000, input_tokens: 7, ..Usage::default() };
    check("openai", "whisper-1", (("input_cost_per_second", "0.5"), heard), "1");
    check("openai", "gpt-4o-transcribe", (("input_cost_per_second", "0.5"), heard), "1");
    let took = Usage { elapsed_ms: 2_000, input_tokens: 7, ..Usage::default() };
    check("openai", "gpt-4o", (("input_cost_per_second", "0.5"), took), "1");
    check("openai", "gpt-4o", (("input_cost_per_query", "0.5"), took), "0.0000175");
}
