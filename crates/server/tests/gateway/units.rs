//! What pictures, speech, transcripts and rankings cost, as the caller's head and the operator's metrics say it. The
//! amounts are LiteLLM's where the catalogue's tests hold them against it, else worked out by hand.

use crate::support::{Answer, App, RawProvider, model_list};
use serde_json::{Value, json};
use tollgate_simulator::Script;

const SPEND: &str = "litellm_spend_metric_total";
const UNPRICED: &str = "tollgate_unpriced_requests_total";

/// A call of a deployment whose provider answers with these bytes.
struct Case {
    parameters: &'static str,
    path: &'static str,
    request: Request,
    reply: (&'static str, String),
}

enum Request {
    Json(Value),
    /// Fields of a form, and the file.
    Form(&'static [(&'static str, &'static str)], Vec<u8>),
}

/// What it costs by the reply's head, and by the metrics; and whether it counts as having no price.
async fn ask(case: Case) -> (Option<String>, f64, f64) {
    let provider = RawProvider::of(case.reply.0, &case.reply.1).await;
    let parameters =
        format!("{}, api_base: \"http://{}\", api_key: sk-key", case.parameters, provider.address);
    let app = App::start(model_list(&[("m", &parameters)]), Script::new()).await;
    let answer = match case.request {
        Request::Json(mut body) => {
            body["model"] = json!("m");
            app.post(case.path, &body).await
        }
        Request::Form(fields, file) => send_form(&app, case.path, fields, &file).await,
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
    let spend = app.metric(SPEND, &[]).await;
    let unpriced = app.metric(UNPRICED, &[]).await;
    app.stop().await;
    (answer.header("x-litellm-response-cost").map(str::to_owned), spend, unpriced)
}

async fn send_form(app: &App, path: &str, fields: &[(&str, &str)], file: &[u8]) -> Answer {
    let mut body = Vec::new();
    for (name, value) in [("model", "m")].iter().chain(fields) {
        let part = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(
        b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n",
    );
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--x--\r\n");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: g\r\ncontent-type: multipart/form-data; boundary=x\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    app.ask(&[head.as_bytes(), &body].concat()).await
}

/// Checks that a call costs so many dollars.
async fn check(case: Case, expect: &str) {
    let what = format!("{} {}", case.parameters, case.reply.1);
    let (head, spend, unpriced) = ask(case).await;
    assert_eq!(head.as_deref(), Some(expect), "{what}");
    assert!((spend - expect.parse::<f64>().unwrap()).abs() < 1e-12, "{what}: {spend}");
    assert_eq!(unpriced, 0.0, "{what}");
}

/// Checks that what a call costs is not known.
async fn check_unknown(case: Case) {
    let what = format!("{} {}", case.parameters, case.reply.1);
    assert_eq!(ask(case).await, (None, 0.0, 1.0), "{what}");
}

fn pictures(parameters: &'static str, mut request: Value, reply: &Value) -> Case {
    request["prompt"] = json!("A cat");
    let reply = ("application/json", reply.to_string());
    Case { parameters, path: "/v1/images/generations", request: Request::Json(request), reply }
}

fn made(count: usize) -> Value {
    json!({"created": 1, "data": vec![json!({"url": "https://pictures.example/1"}); count]})
}

/// Seconds of silence: 16 bits, one channel, 16 kHz.
fn wave(milliseconds: usize) -> Vec<u8> {
    let samples = vec![0; milliseconds * 32];
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend_from_slice(&16_000_u32.to_le_bytes());
    file.extend_from_slice(&32_000_u32.to_le_bytes());
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&u32::try_from(samples.len()).unwrap().to_le_bytes());
    file.extend_from_slice(&samples);
    file
}

fn heard(parameters: &'static str, file: Vec<u8>, reply: (&'static str, &str)) -> Case {
    Case {
        parameters,
        path: "/v1/audio/transcriptions",
        request: Request::Form(&[], file),
        reply: (reply.0, reply.1.to_owned()),
    }
}

#[tokio::test]
async fn pictures_cost_by_their_number_size_and_quality() {
    let dall_e = "model: azure/dall-e-3";
    check(pictures(dall_e, json!({}), &made(1)), "0.044000031539").await;
    check(pictures(dall_e, json!({"n": 2, "size": "1024x1024"}), &made(2)), "0.088000063078").await;
    let large = json!({"size": "1792x1024", "quality": "hd"});
    check(pictures(dall_e, large, &made(1)), "0.132000015974").await;
    check(pictures("model: xai/grok-imagine-image", json!({"n": 2}), &made(2)), "0.04").await;
    check(pictures("model: xai/grok-imagine-image-2.0", json!({}), &made(1)), "0.06").await;
    let low = json!({"quality": "low", "size": "1024x1024"});
    check(pictures("model: xai/grok-imagine-image-2.0", low, &made(1)), "0.04").await;
    let flux = "model: nscale/black-forest-labs/FLUX.1-schnell";
    check(pictures(flux, json!({"n": 4, "size": "512x512"}), &made(4)), "0.0013631488").await;
    // What came is what counts.
    check(pictures("model: xai/grok-imagine-image", json!({"n": 4}), &made(3)), "0.06").await;
    // A deployment's default is as good as the caller's word.
    let with_default = "model: nscale/black-forest-labs/FLUX.1-schnell, extra_body: {size: 512x512}";
    check(pictures(with_default, json!({}), &made(4)), "0.0013631488").await;
}

#[tokio::test]
async fn pictures_cost_their_tokens_where_the_provider_counts_them() {
    let counted = |output: Value| {
        let mut reply = made(1);
        reply["usage"] = output;
        reply
    };
    let usage = json!({"input_tokens": 50, "output_tokens": 4_160, "total_tokens": 4_210,
        "input_tokens_details": {"text_tokens": 50, "image_tokens": 0}});
    let high = json!({"quality": "high", "size": "1024x1024"});
    check(pictures("model: openai/gpt-image-1", high.clone(), &counted(usage)), "0.16665").await;
    let usage = json!({"input_tokens": 373, "output_tokens": 1_056, "total_tokens": 1_429,
        "input_tokens_details": {"text_tokens": 50, "image_tokens": 323}});
    check(pictures("model: openai/gpt-image-1.5", json!({}), &counted(usage)), "0.036626").await;
    // Without a count, the table of sizes holds.
    check(pictures("model: openai/gpt-image-1", high, &made(1)), "0.167").await;
    let mut chosen = made(2);
    chosen["size"] = json!("1024x1536");
    chosen["quality"] = json!("low");
    let auto = json!({"quality": "auto", "size": "auto", "n": 2});
    check(pictures("model: openai/gpt-image-1", auto, &chosen), "0.032").await;
}

#[tokio::test]
async fn speech_costs_by_its_characters_spaces_included() {
    let speech = |parameters, input: &str| Case {
        parameters,
        path: "/v1/audio/speech",
        request: Request::Json(json!({"voice": "alloy", "input": input})),
        reply: ("audio/mpeg", "not really".to_owned()),
    };
    check(speech("model: openai/tts-1", &"a".repeat(1_000)), "0.015").await;
    check(speech("model: azure/tts-1-hd", &"a".repeat(37)), "0.001221").await;
    // LiteLLM leaves the four spaces out.
    check(speech("model: openai/tts-1", "The quick brown fox jumps"), "0.000375").await;
    check(speech("model: openai/tts-1", "Grüße, 世界 \u{1F600}"), "0.000165").await;
    check_unknown(speech("model: openai/my-own-voice", "Hello")).await;
}

#[tokio::test]
async fn speech_that_is_sold_by_tokens_costs_its_length() {
    let speech = |reply: (&'static str, String)| Case {
        parameters: "model: openai/gpt-4o-mini-tts",
        path: "/v1/audio/speech",
        request: Request::Json(
            json!({"voice": "alloy", "input": "a".repeat(4_000), "response_format": "pcm"}),
        ),
        reply,
    };
    // Four seconds, and a thousand tokens: 4 x $0.00025 + 1,000 x $0.60 a million. The head is sent before that is known.
    let (head, spend, unpriced) = ask(speech(("audio/pcm", "\0".repeat(192_000)))).await;
    assert_eq!((head, unpriced), (None, 0.0));
    assert!((spend - 0.0016).abs() < 1e-12, "{spend}");
    check_unknown(speech(("audio/aac", "not really".to_owned()))).await;
}

#[tokio::test]
async fn transcripts_cost_by_the_seconds_that_are_told() {
    let json_type = "application/json";
    let whisper = "model: openai/whisper-1";
    let told = r#"{"text":"hi","usage":{"type":"duration","seconds":9}}"#;
    check(heard(whisper, wave(500), (json_type, told)), "0.0009").await;
    let verbose = r#"{"text":"hi","duration":8.470000267028809,"segments":[]}"#;
    check(heard(whisper, b"unknown".to_vec(), (json_type, verbose)), "0.000847").await;
    check(heard(whisper, wave(12_500), (json_type, r#"{"text":"hi"}"#)), "0.00125").await;
    check(heard(whisper, wave(12_500), ("text/plain", "hi")), "0.00125").await;
    let groq = "model: groq/whisper-large-v3-turbo";
    check(heard(groq, wave(7_250), (json_type, r#"{"text":"hi"}"#)), "8.05475e-05").await;
    let tokens = r#"{"text":"hi","usage":{"type":"tokens","input_tokens":114,"output_tokens":31,
        "total_tokens":145,"input_token_details":{"text_tokens":14,"audio_tokens":100}}}"#;
    check(heard("model: openai/gpt-4o-transcribe", wave(9_000), (json_type, tokens)), "0.000595").await;
    check(heard("model: openai/gpt-4o-transcribe", wave(10_000), ("text/plain", "hi")), "0.001").await;
    for model in [whisper, "model: openai/gpt-4o-transcribe"] {
        check_unknown(heard(model, b"unknown".to_vec(), (json_type, r#"{"text":"hi"}"#))).await;
        check_unknown(heard(model, b"unknown".to_vec(), ("text/plain", "hi"))).await;
    }
}

#[tokio::test]
async fn rankings_cost_by_the_queries_that_are_counted() {
    let ranking = |parameters, documents: usize, reply: &Value| Case {
        parameters,
        path: "/v1/rerank",
        request: Request::Json(json!({"query": "q", "documents": vec!["d"; documents]})),
        reply: ("application/json", reply.to_string()),
    };
    let result = json!([{"index": 0, "relevance_score": 0.5}]);
    let told = json!({"results": result, "meta": {"billed_units": {"search_units": 3}}});
    check(ranking("model: cohere/rerank-v4.0-pro", 1, &told), "0.0075").await;
    let untold = json!({"results": result});
    check(ranking("model: cohere/rerank-v3.5", 101, &untold), "0.004").await;
    let tokens = json!({"results": result, "usage": {"total_tokens": 815}});
    check(ranking("model: jina_ai/jina-reranker-v2-base-multilingual", 2, &tokens), "4.075e-05").await;
    let voyages = json!({"data": result, "usage": {"total_tokens": 26}});
    check(ranking("model: voyage/rerank-2.5", 2, &voyages), "1.3e-06").await;
    check_unknown(ranking("model: jina_ai/jina-reranker-v2-base-multilingual", 2, &untold)).await;
}

#[tokio::test]
async fn an_operators_price_comes_before_the_catalogues() {
    let own = "model: azure/dall-e-3, input_cost_per_image: 0.5";
    check(pictures(own, json!({"n": 2, "quality": "hd"}), &made(2)), "1.0").await;
    let own = "model: openai/whisper-1, input_cost_per_second: 0.25";
    check(heard(own, wave(2_000), ("application/json", r#"{"text":"hi"}"#)), "0.5").await;
    let own = "model: openai/my-own-voice, input_cost_per_character: 0.001";
    let speech = Case {
        parameters: own,
        path: "/v1/audio/speech",
        request: Request::Json(json!({"voice": "alloy", "input": "Hello"})),
        reply: ("audio/mpeg", "not really".to_owned()),
    };
    check(speech, "0.005").await;
}

/// What a chat costs at a deployment, by its head.
async fn chat_cost(deployment: &str) -> Option<String> {
    let reply = json!({
        "id": "a", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
    });
    let provider = RawProvider::of("application/json", &reply.to_string()).await;
    let base = format!("http://{}", provider.address);
    let yaml = format!("model_list:\n  - {{model_name: m, {}}}\n", deployment.replace("{base}", &base));
    let app = App::start(yaml, Script::new()).await;
    let answer = app.hello("m").await;
    let cost = answer.header("x-litellm-response-cost").map(str::to_owned);
    app.stop().await;
    cost
}

#[tokio::test]
async fn a_base_model_says_whose_prices_hold() {
    let at = "api_base: \"{base}\", api_key: sk-key";
    let deployment = |model: &str, base: &str| {
        format!("litellm_params: {{model: {model}, {at}}}, model_info: {{base_model: {base}}}")
    };
    // 1,000 x $2.50 + 100 x $10 a million.
    for base in ["azure/gpt-4o-2024-11-20", "gpt-4o-2024-11-20"] {
        let cost = chat_cost(&deployment("azure/my-deployment", base)).await;
        assert_eq!(cost.as_deref(), Some("0.0035"), "{base}");
    }
    for (model, base, (path, reply), expect) in [
        ("azure/my-pictures", "azure/dall-e-3", ("/v1/images/generations", made(1)), "0.044000031539"),
        ("azure/my-pictures", "dall-e-3", ("/v1/images/generations", made(1)), "0.044000031539"),
        ("openai/my-pictures", "gpt-image-1", ("/v1/images/generations", made(1)), "0.167"),
        ("openai/my-voice", "tts-1-hd", ("/v1/audio/speech", json!({})), "0.00015"),
    ] {
        let provider = RawProvider::of("application/json", &reply.to_string()).await;
        let base_url = format!("http://{}", provider.address);
        let entry = deployment(model, base).replace("{base}", &base_url);
        let app = App::start(format!("model_list:\n  - {{model_name: m, {entry}}}\n"), Script::new()).await;
        let body = json!({"model": "m", "prompt": "A cat", "input": "Hello", "size": "1024x1024"});
        let answer = app.post(path, &body).await;
        assert_eq!(answer.header("x-litellm-response-cost"), Some(expect), "{model} {base}");
        app.stop().await;
    }
}

#[tokio::test]
async fn the_road_before_a_models_name_does_not_hide_its_price() {
    let responses = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}]}],
        "usage": {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100},
    });
    for model in ["openai/responses/gpt-4o", "azure/responses/gpt-4o"] {
        let provider = RawProvider::of("application/json", &responses.to_string()).await;
        let base = format!("http://{}", provider.address);
        let parameters = format!("model: {model}, api_base: \"{base}\", api_key: sk-key");
        let app = App::start(model_list(&[("m", &parameters)]), Script::new()).await;
        let answer = app.hello("m").await;
        assert_eq!(answer.header("x-litellm-response-cost"), Some("0.0035"), "{model} {}", answer.text());
        app.stop().await;
    }
    for model in ["azure/o_series/o3-mini", "azure/gpt5_series/o3-mini"] {
        let deployment =
            format!("litellm_params: {{model: {model}, api_base: \"{{base}}\", api_key: sk-key}}");
        // 1,000 x $1.10 + 100 x $4.40 a million.
        assert_eq!(chat_cost(&deployment).await.as_deref(), Some("0.00154"), "{model}");
    }
}
