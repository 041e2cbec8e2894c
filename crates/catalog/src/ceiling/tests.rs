//! Ceilings by hand arithmetic, and held against the cost of any usage that the bounds cover.

use proptest::prelude::*;

use super::*;
use crate::cost::cost;
use crate::model::{Overlay, model, model_by_key, sizes};

fn prices(json: &str) -> Prices {
    let overlay = Overlay::from_json(&format!("{{\"m\":{json}}}")).expect("an overlay");
    overlay.model_by_key("m").expect("the model").prices
}

fn dollars(text: &str) -> PicoDollars {
    PicoDollars::parse_dollars(text).expect(text)
}

fn text(input_tokens: u64, output_tokens: u64) -> Bounds {
    Bounds { input_tokens, output_tokens, ..Bounds::default() }
}

const PLAIN: Served = Served::Asked(None);

/// Checks the ceiling of a real model.
fn check(key: &str, bounds: &Bounds, served: Served, expect: &str) {
    let prices = model_by_key(key).expect(key).prices;
    assert_eq!(ceiling(&prices, bounds, served), Some(dollars(expect)), "{key} {bounds:?}");
}

#[test]
fn the_ceiling_of_plain_text_is_its_cost() {
    check("gpt-4o-mini", &text(1000, 500), PLAIN, "0.00045"); // 1000 x 0.15e-6 + 500 x 0.6e-6
    check("gpt-4o-mini", &Bounds { choices: 128, ..text(1000, 500) }, PLAIN, "0.03855"); // 64000 x 0.6e-6
    check("text-embedding-3-small", &text(8191, 0), PLAIN, "0.00016382");
    check("o3-mini", &text(0, 0), PLAIN, "0");
}

#[test]
fn the_ceiling_takes_the_dearest_rate_that_a_prompt_of_that_length_can_have() {
    // Up to 200,000 tokens of prompt the lower rates hold for all of it.
    check("gemini/gemini-2.5-pro", &text(200_000, 1000), PLAIN, "0.26");
    check("gemini/gemini-2.5-pro", &text(200_001, 1000), PLAIN, "0.5150025");
    check("dashscope/qwen3-coder-flash", &text(32_001, 1000), PLAIN, "0.0185005");
    // xAI counts the threshold itself as above it, and a shorter prompt is cheaper.
    check("xai/grok-4.20", &text(200_000, 0), PLAIN, "0.5");
    // A provider whose long prompts are cheap: one that just misses the discount is the dearest.
    let odd = prices(
        r#"{"input_cost_per_token": 1e-3, "output_cost_per_token": 1, "input_cost_per_token_above_1k_tokens": 1e-5,
            "output_cost_per_token_above_1k_tokens": 2e-1}"#,
    );
    assert_eq!(ceiling(&odd, &text(5_000, 1), PLAIN), Some(dollars("2"))); // 1000 x 1e-3 + 1
    assert_eq!(ceiling(&odd, &text(500_000, 1), PLAIN), Some(dollars("5.2"))); // 500000 x 1e-5 + 0.2
}

#[test]
fn what_is_dearer_than_text_counts_only_where_it_may_be_used() {
    let sonnet = "claude-sonnet-4-5"; // 3 in, 15 out, 3.75 and 6 to write
    check(sonnet, &text(1000, 0), PLAIN, "0.003");
    check(sonnet, &Bounds { cache_writes: CacheWrites::Minutes, ..text(1000, 0) }, PLAIN, "0.00375");
    check(sonnet, &Bounds { cache_writes: CacheWrites::Hour, ..text(1000, 0) }, PLAIN, "0.006");
    let flash = "gemini/gemini-2.5-flash"; // 0.3 in, 1 of audio
    check(flash, &text(1000, 0), PLAIN, "0.0003");
    check(flash, &Bounds { input_audio_tokens: 400, ..text(1000, 0) }, PLAIN, "0.00058"); // 600 x 0.3 + 400 x 1
    check(flash, &Bounds { input_audio_tokens: 9999, ..text(1000, 0) }, PLAIN, "0.001");
    let realtime = "gpt-realtime-mini"; // 2.4 out, 20 of audio
    check(realtime, &text(0, 100), PLAIN, "0.00024");
    check(realtime, &Bounds { may_speak: true, ..text(0, 100) }, PLAIN, "0.002");
    check("gpt-image-1", &Bounds { may_draw: true, ..text(0, 1000) }, PLAIN, "0.04");
}

#[test]
fn the_tier_that_was_asked_for_may_fall_back_and_auto_may_be_any() {
    // gpt-5: 1.25 and 10; priority 2.5 and 20; flex 0.625 and 5.
    let check = |name: Option<&str>, expect: &str| {
        check("gpt-5", &text(1000, 100), Served::from_name(name), expect);
    };
    check(None, "0.00225");
    check(Some("default"), "0.00225");
    check(Some("flex"), "0.00225");
    check(Some("priority"), "0.0045");
    check(Some("fast"), "0.0045");
    check(Some("auto"), "0.0045");
    check(Some("AUTO"), "0.0045");
}

#[test]
fn pictures_count_at_their_size_or_at_the_dearest_that_they_can_have() {
    let known = model("azure", "dall-e-3").map(|model| model.prices).unwrap_or_default();
    let sold = known.with_sizes(sizes("azure", "dall-e-3"));
    let pictures = |size, quality: Option<&str>| Bounds {
        images: 2,
        image_size: size,
        image_quality: quality.map(str::to_owned),
        image_pixels: 1024 * 1792,
        ..Bounds::default()
    };
    let check = |bounds: &Bounds, expect: &str| {
        let found = ceiling(&sold, bounds, PLAIN).expect("priced");
        // The prices per picture element are cut off after nine digits in the data.
        assert!((found.0 - dollars(expect).0).abs() < 1_000_000, "{bounds:?}: {found}");
    };
    check(&pictures(Some((1024, 1024)), Some("standard")), "0.088");
    check(&pictures(Some((1024, 1024)), Some("hd")), "0.176");
    check(&pictures(Some((1024, 1024)), None), "0.176");
    check(&pictures(None, Some("standard")), "0.176");
    check(&pictures(None, None), "0.264");
}

#[test]
fn what_is_not_tokens_counts_by_its_own_price() {
    let check = |json: &str, bounds: Bounds, expect: Option<&str>| {
        assert_eq!(ceiling(&prices(json), &bounds, PLAIN), expect.map(dollars), "{json}");
    };
    let none = Bounds::default;
    check(r#"{"input_cost_per_character": 1.5e-5}"#, Bounds { characters: 100, ..none() }, Some("0.0015"));
    check(r#"{"input_cost_per_query": 0.002}"#, Bounds { queries: 3, ..none() }, Some("0.006"));
    check(r#"{"input_cost_per_second": 0.0001}"#, Bounds { audio_ms: 1_500, ..none() }, Some("0.00015"));
    check(r#"{"cost_per_second": 0.01}"#, Bounds { elapsed_ms: 2_000, ..text(5, 5) }, Some("0.02"));
    check(r#"{"input_cost_per_request": 0.005, "input_cost_per_token": 0}"#, text(5, 5), Some("0.005"));
    let speech =
        r#"{"input_cost_per_token": 6e-7, "output_cost_per_second": 2.5e-4, "output_cost_per_token": 1e-5}"#;
    check(speech, Bounds { spoken_ms: 4_000, ..text(100, 10) }, Some("0.00106"));
    // Nothing that the request can use has a price.
    check(r#"{"output_cost_per_image": 0.04}"#, text(5, 5), None);
    check(r#"{"input_cost_per_character": 1}"#, Bounds { images: 1, ..none() }, None);
    check("{}", text(5, 5), None);
}

#[test]
fn searches_count_as_many_and_as_large_as_they_may_be() {
    let searching =
        |searches, size| Bounds { web_searches: searches, search_context_size: size, ..text(10, 0) };
    check("perplexity/sonar-pro", &searching(2, Some(SearchContextSize::Low)), PLAIN, "0.01203");
    check("perplexity/sonar-pro", &searching(1, None), PLAIN, "0.01403");
    check("gemini/gemini-2.5-pro", &searching(3, None), PLAIN, "0.0350125");
}

#[test]
fn a_maximum_is_lowered_to_the_last_token_that_the_budget_covers() {
    // 1000 x 0.15e-6 = 0.00015 for the prompt, 0.6e-6 for each token of an answer.
    let mini = model_by_key("gpt-4o-mini").expect("the model").prices;
    let check = |bounds: &Bounds, budget: &str, expect: Option<u64>| {
        assert_eq!(lower(&mini, bounds, PLAIN, dollars(budget)), expect, "{budget}");
    };
    check(&text(1000, 500), "1", Some(500));
    check(&text(1000, 500), "0.00045", Some(500));
    check(&text(1000, 500), "0.000449", Some(498));
    check(&text(1000, 500), "0.0001506", Some(1));
    check(&text(1000, 500), "0.0001505", None);
    check(&text(1000, 500), "0.0001", None);
    check(&Bounds { choices: 10, ..text(1000, 500) }, "0.00045", Some(50));
    check(&text(1000, 0), "0.00015", Some(0));
    check(&text(1000, 0), "0.000149", None);
    assert_eq!(lower(&Prices::default(), &text(1, 1), PLAIN, dollars("9")), None);
}

#[test]
fn the_ceiling_holds_what_is_charged_and_so_does_a_lowered_maximum() {
    let mini = model_by_key("gpt-4o-mini").expect("the model").prices;
    let share = |text| crate::Share::parse(text).expect("a share");
    let adjustment = Adjustment { discount: share("0.1"), margin: share("0.2"), fixed: dollars("0.001") };
    let terms = Terms { prices: &mini, served: PLAIN, adjustment };
    // 0.00045 x 0.9 x 1.2 + 0.001
    assert_eq!(terms.ceiling(&text(1000, 500)), Some(dollars("0.001486")));
    // 0.00015 x 1.08 + 0.001 is the prompt's part; each token of an answer adds 0.000000648.
    assert_eq!(terms.lower(&text(1000, 500), dollars("0.0012268")), Some(100));
    assert_eq!(terms.lower(&text(1000, 500), dollars("0.0012267")), Some(99));
    assert_eq!(terms.lower(&text(1000, 500), dollars("0.001")), None);
}

const DIMENSIONS: [&str; 10] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "output_cost_per_reasoning_token",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
    "input_cost_per_image_token",
    "output_cost_per_image_token",
];

const UNITS: [&str; 21] = [
    "cache_read_input_audio_token_cost",
    "cache_read_input_image_token_cost",
    "input_cost_per_request",
    "output_cost_per_image",
    "input_cost_per_image",
    "input_cost_per_pixel",
    "input_cost_per_character",
    "input_cost_per_second",
    "output_cost_per_second",
    "cost_per_second",
    "input_cost_per_query",
    "search_context_cost_per_query",
    "tiered_pricing",
    "web_search_billing_unit",
    "input_cost_per_video_token",
    "output_cost_per_video_token",
    "cache_creation_input_audio_token_cost",
    "citation_cost_per_token",
    "google_maps_grounding_cost_per_query",
    "code_interpreter_cost_per_session",
    "off_peak_pricing",
];

fn any_key() -> impl Strategy<Value = String> {
    let above =
        prop::sample::select(vec!["", "", "_above_128k_tokens", "_above_200k_tokens", "_above_272k_tokens"]);
    let tier =
        prop::sample::select(vec!["", "", "", "_priority", "_flex", "_batches", "_balanced", "_ultrafast"]);
    (prop::sample::select(&DIMENSIONS[..]), above, tier)
        .prop_map(|(name, above, tier)| name.to_owned() + above + tier)
}

fn any_range() -> impl Strategy<Value = String> {
    prop::collection::vec((1..500_u64, prop::collection::vec(prop::option::of(0..1000_u64), 6)), 0..4)
        .prop_map(|entries| {
            let mut from = 0;
            let rows = entries.iter().map(|(length, rates)| {
                let to = from + length * 1_000;
                let named = DIMENSIONS
                    .iter()
                    .zip(rates)
                    .filter_map(|(name, rate)| Some(format!(",\"{name}\":{}e-9", (*rate)?)));
                let row = format!("{{\"range\":[{from},{to}]{}}}", named.collect::<String>());
                from = to;
                row
            });
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        })
}

prop_compose! {
    /// Prices of every kind, any of them absent.
    fn any_prices()(
        plain in prop::collection::vec(prop::option::of(0..1_000_000_u64), DIMENSIONS.len()),
        finer in prop::collection::vec((any_key(), 0..1_000_000_u64), 0..8),
        units in prop::collection::vec(prop::option::weighted(0.3, 0..1_000_000_u64), UNITS.len()),
        ranges in any_range(),
        searches in prop::collection::vec(0..9_u64, 3),
        (is_free, provider) in (prop::bool::weighted(0.1), prop::sample::select(vec!["openai", "xai", "gemini"])),
    ) -> Prices {
        let mut fields = vec![format!("\"litellm_provider\":\"{provider}\"")];
        let mut written: Vec<(String, u64)> = Vec::new();
        written.extend(DIMENSIONS.iter().zip(plain).filter_map(|(name, rate)| Some(((*name).to_owned(), rate?))));
        written.extend(finer);
        for (name, rate) in written {
            let rate = if is_free { 0 } else { rate };
            if !fields.iter().any(|field| field.starts_with(&format!("\"{name}\":"))) {
                fields.push(format!("\"{name}\":{rate}e-12"));
            }
        }
        for (name, rate) in UNITS.iter().zip(units) {
            let Some(rate) = rate else { continue };
            fields.push(match *name {
                "tiered_pricing" => format!("\"{name}\":{ranges}"),
                "search_context_cost_per_query" => format!(
                    "\"{name}\":{{\"search_context_size_low\":{},\"search_context_size_medium\":{},\"search_context_size_high\":{}}}",
                    searches[0], searches[1], searches[2]
                ),
                "web_search_billing_unit" => format!("\"{name}\":\"{}\"", if rate % 2 == 0 { "per_query" } else { "per_prompt" }),
                "off_peak_pricing" => format!(
                    "\"{name}\":{{\"hours_utc\":\"16:00-18:00\",\"input_cost_per_token\":{rate}e-12,\"output_cost_per_token\":{}e-12}}",
                    rate / 2
                ),
                _ => format!("\"{name}\":{rate}e-9"),
            });
        }
        prices(&format!("{{{}}}", fields.join(",")))
    }
}

prop_compose! {
    fn any_bounds()(
        n in prop::collection::vec(prop_oneof![Just(0_u64), 0..300_000_u64], 12),
        (writes, may_speak, may_draw) in (0..3_u8, any::<bool>(), any::<bool>()),
        (size, search) in (prop::option::of((1..2000_u32, 1..2000_u32)), 0..4_u8),
    ) -> Bounds {
        Bounds {
            input_tokens: n[0], input_audio_tokens: n[1] % (n[0] + 1), input_image_tokens: n[2] % (n[0] + 1),
            cache_writes: [CacheWrites::No, CacheWrites::Minutes, CacheWrites::Hour][usize::from(writes)],
            output_tokens: n[3], choices: n[4] % 5, may_speak, may_draw,
            images: n[5] % 4, image_size: size, image_quality: None, image_pixels: n[6],
            characters: n[7] % 500, audio_ms: n[8], spoken_ms: n[9], queries: n[10] % 4, elapsed_ms: n[11],
            web_searches: n[1] % 4,
            input_video_tokens: n[7] % (n[0] + 1), citation_tokens: n[8] % 900, map_queries: n[9] % 3, code_sessions: n[10] % 2, file_searches: n[11] % 3,
            search_context_size: [None, Some(SearchContextSize::Low), Some(SearchContextSize::Medium), Some(SearchContextSize::High)][usize::from(search)],
        }
    }
}

/// A usage within the bounds: each count is a share of what is left for it.
fn within(bounds: &Bounds, shares: &[u64]) -> Usage {
    let mut shares = shares.iter().copied();
    // Often nothing, often all, else something between.
    let mut of = |most: u64| match shares.next().unwrap_or(0) {
        0..=24 => 0,
        share @ 25..=74 => ((u128::from(most) * u128::from(share - 24)) / 50) as u64,
        _ => most,
    };
    let input_tokens = of(bounds.input_tokens);
    let cached_tokens = of(input_tokens);
    let writes = if bounds.cache_writes == CacheWrites::No { 0 } else { input_tokens - cached_tokens };
    let cache_write_tokens = of(writes);
    let hourly = if bounds.cache_writes == CacheWrites::Hour { cache_write_tokens } else { 0 };
    let input_audio_tokens = of(bounds.input_audio_tokens);
    let input_image_tokens = of(bounds.input_image_tokens);
    let output_tokens = of(bounds.output_tokens_in_all());
    let reasoning_tokens = of(output_tokens);
    let spoken = if bounds.may_speak { output_tokens - reasoning_tokens } else { 0 };
    let output_audio_tokens = of(spoken);
    let drawn = if bounds.may_draw { output_tokens - reasoning_tokens - output_audio_tokens } else { 0 };
    let filmed = if bounds.may_draw { output_tokens - reasoning_tokens - output_audio_tokens } else { 0 };
    let output_video_tokens = of(filmed);
    let drawn = drawn.saturating_sub(output_video_tokens);
    let heard = bounds.input_audio_tokens - input_audio_tokens;
    let cached_audio_tokens = of(heard);
    let written_audio = if bounds.cache_writes == CacheWrites::No { 0 } else { heard - cached_audio_tokens };
    let images = of(bounds.images);
    let any_size = [SearchContextSize::Low, SearchContextSize::Medium, SearchContextSize::High];
    Usage {
        input_tokens,
        cached_tokens,
        cached_audio_tokens,
        cache_write_audio_tokens: of(written_audio),
        input_video_tokens: of(bounds.input_video_tokens),
        output_video_tokens,
        citation_tokens: of(bounds.citation_tokens),
        map_queries: of(bounds.map_queries),
        code_sessions: of(bounds.code_sessions),
        file_searches: of(bounds.file_searches),
        cached_image_tokens: of(bounds.input_image_tokens - input_image_tokens),
        cache_write_tokens,
        cache_write_1h_tokens: of(hourly),
        input_audio_tokens,
        input_image_tokens,
        output_tokens,
        reasoning_tokens,
        output_audio_tokens,
        output_image_tokens: of(drawn),
        web_search_requests: of(bounds.web_searches),
        search_context_size: bounds.search_context_size.unwrap_or(any_size[(input_tokens % 3) as usize]),
        images,
        pixels: images * bounds.pixels_of_one(),
        input_characters: of(bounds.characters),
        audio_ms: of(bounds.audio_ms),
        spoken_ms: of(bounds.spoken_ms),
        queries: of(bounds.queries),
        elapsed_ms: of(bounds.elapsed_ms),
    }
}

fn any_shares() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..100_u64, 32)
}

fn any_served() -> impl Strategy<Value = Served> {
    prop_oneof![
        Just(Served::Any),
        Just(PLAIN),
        prop::sample::select(ServiceTier::ALL).prop_map(|tier| Served::Asked(Some(tier))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_ceiling(
        prices in any_prices(), bounds in any_bounds(), shares in any_shares(), served in any_served()
    ) {
        let usage = within(&bounds, &shares);
        prop_assert!(bounds.covers(&usage), "{usage:?} {bounds:?}");
        let highest = ceiling(&prices, &bounds, served);
        for tier in served.tiers() {
            for hour in [12, 17] {
                let cost = cost(prices.at(hour * 3_600), &usage, tier).map(|cost| cost.total);
                prop_assert!(highest >= cost, "{highest:?} < {cost:?} of {usage:?} at {tier:?}, {hour}:00");
            }
        }
    }

    #[test]
    fn no_usage_of_a_real_model_costs_more_than_the_ceiling(
        at in any::<prop::sample::Index>(), bounds in any_bounds(), shares in any_shares(), served in any_served()
    ) {
        let keys: Vec<&str> = crate::model::keys().collect();
        let prices = model_by_key(keys[at.index(keys.len())]).expect("of the catalogue").prices;
        let usage = within(&bounds, &shares);
        let highest = ceiling(&prices, &bounds, served);
        for tier in served.tiers() {
            prop_assert!(highest >= cost(&prices, &usage, tier).map(|cost| cost.total));
        }
    }

    #[test]
    fn the_ceiling_of_text_is_reached_unless_something_else_in_it_is_dearer(
        prices in any_prices(), input in 0..1_000_000_u64, output in 0..100_000_u64
    ) {
        let bounds = text(input, output);
        let whole = |input_tokens, cached, reasoned| {
            let usage = Usage {
                input_tokens, output_tokens: output,
                cached_tokens: if cached { input_tokens } else { 0 },
                reasoning_tokens: if reasoned { output } else { 0 },
                ..Usage::default()
            };
            let at = |prices| cost(prices, &usage, None).map(|cost| cost.total);
            at(&prices).max(at(prices.at(17 * 3_600)))
        };
        let lengths = prices.lengths_before_a_change(input).chain([input]);
        let dearest = lengths
            .flat_map(|length| [(length, false, false), (length, true, false), (length, false, true), (length, true, true)])
            .map(|(length, cached, reasoned)| whole(length, cached, reasoned))
            .max();
        if prices.prices_tokens() {
            prop_assert_eq!(Some(ceiling(&prices, &bounds, PLAIN)), dearest);
        }
    }

    #[test]
    fn a_lowered_maximum_is_covered_and_one_more_is_not(
        prices in any_prices(), bounds in any_bounds(), served in any_served(), budget in 0..1_000_000_000_000_i128
    ) {
        let budget = PicoDollars(budget);
        let at = |output_tokens| ceiling(&prices, &Bounds { output_tokens, ..bounds.clone() }, served);
        match lower(&prices, &bounds, served, budget) {
            Some(tokens) => {
                prop_assert!(at(tokens).is_some_and(|highest| highest <= budget));
                prop_assert!(tokens == bounds.output_tokens || at(tokens + 1).is_some_and(|more| more > budget));
            }
            None => prop_assert!(at(bounds.output_tokens.min(1)).is_none_or(|highest| highest > budget)),
        }
    }

    #[test]
    fn a_picture_costs_no_more_than_the_ceiling_of_any_picture(
        (name, size) in (prop::sample::select(vec!["dall-e-3", "gpt-image-1", "gpt-image-1.5"]), prop::option::of(0..3_usize)),
        (asked, told) in (prop::option::of(0..4_usize), 0..4_usize), images in 1..5_u64
    ) {
        let sizes_sold = [(1024, 1024), (1024, 1536), (1792, 1024)];
        let qualities = ["low", "standard", "hd", "high"];
        let sold = model("azure", name).map(|model| model.prices).unwrap_or_default().with_sizes(sizes("azure", name));
        let bounds = Bounds {
            images,
            image_size: size.map(|at| sizes_sold[at]),
            image_quality: asked.map(|at| qualities[at].to_owned()),
            image_pixels: 1792 * 1024,
            ..Bounds::default()
        };
        let highest = ceiling(&sold, &bounds, PLAIN);
        for made in sizes_sold.iter().enumerate().filter(|(at, _)| size.is_none_or(|size| size == *at)).map(|(_, made)| *made) {
            let quality = qualities[asked.unwrap_or(told)];
            let usage = Usage { images, pixels: images * pixels_of(made), ..Usage::default() };
            let cost = cost(&sold.at_size(Some(quality), made), &usage, None).map(|cost| cost.total);
            prop_assert!(highest >= cost, "{highest:?} {cost:?} {made:?} {quality}");
        }
    }
}
