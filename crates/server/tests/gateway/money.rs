//! What a call cost, as the caller's head and the operator's metrics say it. The figures are worked out by hand.

use crate::support::{
    Answer, App, Setup, WIRES, Wire, advance, data, hello, many, model_list, one_of, post, seconds, streamed,
};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule, Script, TokenCounts, UsageFault};

/// A prompt of 1,000 tokens, 400 of them from the cache and 100 into it; 100 tokens of answer, 30 of them reasoning.
fn counted() -> Behaviour {
    Behaviour::new().text("one two three four five six").tokens(TokenCounts {
        prompt: Some(1_000),
        cached: Some(400),
        cache_written: Some(100),
        completion: Some(100),
        reasoning: Some(30),
    })
}

fn always(behaviour: Behaviour) -> Script {
    Script::new().rule(Rule::any(behaviour))
}

fn cost_headers(answer: &Answer) -> [Option<&str>; 5] {
    ["", "-input", "-output", "-cache-read", "-reasoning"]
        .map(|part| answer.header(&format!("x-litellm-response-cost{part}")))
}

/// What the metrics hold for all deployments together.
async fn totals(app: &App, names: &[&str]) -> Vec<f64> {
    let mut totals = Vec::new();
    for name in names {
        totals.push(app.metric(&format!("{name}_total"), &[]).await);
    }
    totals
}

const SPEND: &str = "litellm_spend_metric";
const INPUT: &str = "litellm_input_tokens_metric";
const OUTPUT: &str = "litellm_output_tokens_metric";
const ESTIMATED: &str = "tollgate_estimated_usage";
const UNPRICED: &str = "tollgate_unpriced_requests";
const SUCCESSES: &str = "litellm_deployment_success_responses";

fn close_to(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-12
}

#[tokio::test]
async fn the_price_of_a_plain_reply_stands_in_its_head_and_a_stream_costs_as_much() {
    for (wire, [total, input, output, cache_read, reasoning]) in [
        // 600 x $2.50 + 400 x $1.25 + 100 x $10 a million; OpenAI reports no writes to the cache.
        (Wire::OpenAi, ["0.003", "0.0015", "0.001", "0.0005", "0.0003"]),
        (Wire::Azure, ["0.003", "0.0015", "0.001", "0.0005", "0.0003"]),
        // 500 x $3 + 400 x $0.30 + 100 x $3.75 + 100 x $15.
        (Wire::Anthropic, ["0.003495", "0.0015", "0.0015", "0.00012", "0.00045"]),
        // 600 x $0.30 + 400 x $0.03 + 100 x $2.50; Gemini has no writes either.
        (Wire::Gemini, ["0.000442", "0.00018", "0.00025", "1.2e-05", "7.5e-05"]),
    ] {
        let app = App::start(one_of(wire), always(counted())).await;
        let answer = app.hello("m").await;
        let expected = [total, input, output, cache_read, reasoning].map(Some);
        assert_eq!(cost_headers(&answer), expected, "{wire:?} {}", answer.text());
        assert_eq!(answer.header("x-litellm-response-cost-original"), Some(total));
        assert_eq!(answer.header("x-litellm-response-cost-discount-amount"), Some("0.0"));
        let usage = &answer.json()["usage"];
        assert_eq!(
            (&usage["prompt_tokens"], &usage["completion_tokens"]),
            (&json!(1_000), &json!(100)),
            "{wire:?}"
        );
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 400, "{wire:?}");
        let total: f64 = total.parse().unwrap();
        let names = [SPEND, INPUT, OUTPUT, SUCCESSES, ESTIMATED, UNPRICED];
        let found = totals(&app, &names).await;
        assert!(close_to(found[0], total), "{wire:?}: {}", found[0]);
        assert_eq!(found[1..], [1_000.0, 100.0, 1.0, 0.0, 0.0], "{wire:?}");
        let events = app.hello_stream("m").await.rest().await;
        assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
        let found = totals(&app, &names).await;
        assert!(close_to(found[0], total * 2.0), "{wire:?}, streamed: {}", found[0]);
        assert_eq!(found[1..], [2_000.0, 200.0, 2.0, 0.0, 0.0], "{wire:?}, streamed");
        app.stop().await;
    }
}

#[tokio::test]
async fn the_operators_own_prices_come_before_the_catalogues() {
    for wire in [Wire::OpenAi, Wire::Azure, Wire::Anthropic, Wire::Gemini] {
        let own = "input_cost_per_token: 0.001, output_cost_per_token: 0.01, cache_read_input_token_cost: 0.0001, \
                   cache_creation_input_token_cost: 0.001, output_cost_per_reasoning_token: 0.01";
        let parameters = format!("{}, {own}", wire.parameters("a"));
        let app = App::start(model_list(&[("m", &parameters)]), always(counted())).await;
        // 600 x 0.001 + 400 x 0.0001 + 100 x 0.01, the writes at the price of reading anew.
        assert_eq!(app.hello("m").await.header("x-litellm-response-cost"), Some("1.64"), "{wire:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_model_without_a_price_has_no_cost_and_is_counted_as_such() {
    let parameters = "model: openai/my-own-model, api_base: \"http://{sim}/v1\", api_key: sk-1";
    let app = App::start(model_list(&[("m", parameters)]), always(counted())).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, cost_headers(&answer)), (200, [None; 5]));
    app.hello_stream("m").await.rest().await;
    let found = totals(&app, &[SPEND, UNPRICED, INPUT, OUTPUT, SUCCESSES]).await;
    assert_eq!(found, [0.0, 2.0, 2_000.0, 200.0, 2.0]);
    app.stop().await;
}

#[tokio::test]
async fn embeddings_cost_their_prompt() {
    let openai = "model: openai/text-embedding-3-small, api_base: \"http://{sim}/v1\", api_key: sk-1";
    let app = App::start(model_list(&[("m", openai)]), Script::new()).await;
    let answer = app.post("/v1/embeddings", &json!({"model": "m", "input": "x".repeat(4_000)})).await;
    assert_eq!(app.received()[0].tokens.0, 1_000);
    // 1,000 x $0.02 a million.
    assert_eq!(cost_headers(&answer)[..3], [Some("2e-05"), Some("2e-05"), Some("0.0")]);
    assert_eq!(totals(&app, &[SPEND, INPUT, OUTPUT, ESTIMATED]).await, [0.00002, 1_000.0, 0.0, 0.0]);
    app.stop().await;
    let gemini = "model: gemini/gemini-embedding-001, api_base: \"http://{sim}\", api_key: sk-1";
    let app = App::start(model_list(&[("m", gemini)]), Script::new()).await;
    let answer = app.post("/v1/embeddings", &json!({"model": "m", "input": "x".repeat(4_000)})).await;
    // 1,000 x $0.15 a million.
    assert_eq!(answer.header("x-litellm-response-cost"), Some("0.00015"), "{}", answer.text());
    assert_eq!(totals(&app, &[SPEND, INPUT, OUTPUT, ESTIMATED]).await, [0.00015, 1_000.0, 0.0, 0.0]);
    app.stop().await;
}

#[tokio::test]
async fn a_failed_call_costs_nothing_and_a_retried_one_is_paid_once() {
    let script = Script::new()
        .rule(Rule::any(counted().fault(Fault::status(500))).times(1))
        .rule(Rule::any(counted()));
    let app = App::start(many(2, ""), script).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, answer.header("x-litellm-response-cost")), (200, Some("0.003")));
    let names =
        [SPEND, SUCCESSES, "litellm_deployment_total_requests", "litellm_deployment_failure_responses"];
    assert_eq!(totals(&app, &names).await, [0.003, 1.0, 2.0, 1.0]);
    app.simulator.script().set_rules(vec![Rule::any(counted().fault(Fault::status(400)))]);
    let answer = app.hello("m").await;
    assert_eq!((answer.status, answer.header("x-litellm-response-cost")), (400, Some("0")));
    assert_eq!(totals(&app, &names).await, [0.003, 1.0, 3.0, 2.0]);
    assert_eq!(app.metric("litellm_proxy_total_requests_metric_total", &[]).await, 2.0);
    assert_eq!(app.metric("litellm_proxy_failed_requests_metric_total", &["status_code=\"400\""]).await, 1.0);
    app.stop().await;
}

#[tokio::test]
async fn a_reply_without_usage_is_estimated_from_what_it_says_and_one_of_zeros_is_believed() {
    for fault in [UsageFault::Missing, UsageFault::Negative, UsageFault::Huge] {
        let app = App::start(one_of(Wire::OpenAi), always(counted().fault(Fault::Usage(fault)))).await;
        let body = hello("m");
        let answer = app.chat(&body).await;
        let said = answer.content().len().div_ceil(4);
        let prompt = totals(&app, &[INPUT]).await[0];
        // The words of the prompt, not what is around them.
        assert!((1.0..=body.to_string().len().div_ceil(4) as f64).contains(&prompt), "{prompt}");
        let cost = prompt * 2.5e-6 + said as f64 * 1e-5;
        let stated: f64 = answer.header("x-litellm-response-cost").unwrap().parse().unwrap();
        assert!(close_to(stated, cost), "{fault:?}: {stated} instead of {cost}");
        assert_eq!(totals(&app, &[INPUT, OUTPUT, ESTIMATED]).await, [prompt, said as f64, 1.0], "{fault:?}");
        app.stop().await;
    }
    let app = App::start(one_of(Wire::OpenAi), always(counted().fault(Fault::Usage(UsageFault::Zero)))).await;
    assert_eq!(app.hello("m").await.header("x-litellm-response-cost"), Some("0.0"));
    app.hello_stream("m").await.rest().await;
    assert_eq!(totals(&app, &[SPEND, INPUT, OUTPUT, ESTIMATED]).await, [0.0, 0.0, 0.0, 0.0]);
    app.stop().await;
}

#[tokio::test]
async fn of_a_stream_that_reports_its_usage_twice_the_last_counts() {
    for wire in WIRES {
        let fault = Fault::Usage(UsageFault::Twice);
        let app = App::start(one_of(wire), always(counted().fault(fault))).await;
        app.hello_stream("m").await.rest().await;
        assert_eq!(totals(&app, &[INPUT, OUTPUT, ESTIMATED]).await, [1_000.0, 100.0, 0.0], "{wire:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn no_wire_makes_a_debt_of_counts_that_cannot_be() {
    for wire in WIRES {
        for fault in [UsageFault::Negative, UsageFault::Huge, UsageFault::Missing, UsageFault::Zero] {
            let app = App::start(one_of(wire), always(counted().fault(Fault::Usage(fault)))).await;
            let answer = app.hello("m").await;
            let cost: f64 = answer.header("x-litellm-response-cost").unwrap().parse().unwrap();
            assert!((0.0..0.1).contains(&cost), "{wire:?} {fault:?}: {cost}");
            app.hello_stream("m").await.rest().await;
            let spend = totals(&app, &[SPEND]).await[0];
            assert!((0.0..0.2).contains(&spend), "{wire:?} {fault:?}: {spend}");
            app.stop().await;
        }
    }
}

/// The bytes of answer text in some events.
fn text_bytes(events: &[String]) -> usize {
    let chunks = events.iter().filter(|event| event.contains("choices")).map(|event| data(event));
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::len)).sum()
}

#[tokio::test]
async fn a_stream_that_is_cut_costs_its_prompt_and_what_was_delivered() {
    for wire in WIRES {
        let app = App::start(one_of(wire), always(counted().fault(Fault::cut(4)))).await;
        let body = streamed(hello("m"));
        let mut stream = app.stream(&body).await;
        let events = stream.rest().await;
        assert!(events.last().unwrap().contains("\"error\""));
        let delivered = text_bytes(&events).div_ceil(4) as f64;
        assert!(delivered > 0.0);
        // Anthropic counts the prompt at the beginning of a stream, Gemini with every part, OpenAI at the end: there it is
        // estimated from its texts and what is around each.
        let prompt = if wire == Wire::OpenAi { 11.0 } else { 1_000.0 };
        let found = totals(&app, &[INPUT, OUTPUT, ESTIMATED, SUCCESSES]).await;
        assert_eq!(found[0], prompt, "{wire:?}");
        assert!(found[1] >= delivered, "{wire:?}: {} of {delivered}", found[1]);
        assert_eq!(found[3], 0.0, "it is the provider's failure");
        if wire == Wire::OpenAi {
            assert_eq!(found[1..3], [delivered, 1.0]);
            let spend = totals(&app, &[SPEND]).await[0];
            assert!(close_to(spend, prompt * 2.5e-6 + delivered * 1e-5), "{spend}");
        }
        assert_eq!(app.metric("tollgate_client_disconnects_total", &[]).await, 0.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_pays_for_what_was_made_for_it_once() {
    for wire in WIRES {
        let app = App::start(one_of(wire), always(counted().fault(Fault::Stall { after: 4 }))).await;
        let mut stream = app.hello_stream("m").await;
        stream.events(2).await;
        app.until_waiting(1).await;
        drop(stream);
        app.until("the provider is let go", |app| app.simulator.active_requests() == 0).await;
        let found = totals(&app, &[SPEND, SUCCESSES, "tollgate_client_disconnects"]).await;
        assert!(found[0] > 0.0, "{wire:?}");
        assert_eq!(found[1..], [1.0, 1.0], "{wire:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_stalls_is_paid_once_although_it_ends_in_two_steps() {
    let app = App::start(one_of(Wire::OpenAi), always(counted().fault(Fault::Stall { after: 4 }))).await;
    let mut stream = app.hello_stream("m").await;
    app.until_waiting(1).await;
    advance(seconds(30)).await;
    stream.rest().await;
    drop(stream);
    let found = totals(&app, &[SUCCESSES, ESTIMATED, "tollgate_client_disconnects"]).await;
    assert_eq!(found, [0.0, 1.0, 0.0]);
    app.stop().await;
}

#[tokio::test]
async fn a_price_for_another_tier_holds_where_the_provider_says_it_served_it() {
    let reply = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "service_tier": "priority",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
    });
    let provider = crate::support::RawProvider::of("application/json", &reply.to_string()).await;
    let parameters = Wire::OpenAi.parameters("a").replace("{sim}", &provider.address.to_string());
    let app = Setup::new(model_list(&[("m", &parameters)])).start().await;
    // 1,000 x $4.25 + 100 x $17 a million.
    assert_eq!(app.hello("m").await.header("x-litellm-response-cost"), Some("0.00595"));
    app.stop().await;
}

#[tokio::test]
async fn the_name_of_the_group_and_of_the_deployment_are_the_metrics_labels_and_no_callers_text_is() {
    let app = App::start(one_of(Wire::OpenAi), always(counted())).await;
    for model in ["m", "invented-1", "invented-2", "\"} 1\nevil_metric 1"] {
        app.hello(model).await;
    }
    let mut body: Value = hello("m");
    body["user"] = json!("invented-3");
    app.ask(&post("/v1/chat/completions", &[("x-litellm-tags", "invented-4")], body.to_string().as_bytes()))
        .await;
    let text = app.get("/metrics").await.text();
    assert!(!text.contains("invented") && !text.contains("evil_metric"), "{text}");
    assert!(text.contains("litellm_proxy_total_requests_metric_total{requested_model=\"m\",status_code=\"200\",route=\"/chat/completions\"} 2"));
    assert!(text.contains("litellm_proxy_total_requests_metric_total{requested_model=\"\",status_code=\"400\",route=\"/chat/completions\"} 3"));
    app.stop().await;
}
