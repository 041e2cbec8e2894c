//! Requests that are made to cost: what is held for each before it is sent is never less than what it can come to, so that
//! no budget is passed by any of them.
//!
//! Each case is a request and the dearest reply that it can have. What it costs is seen by who has no budget; whoever has
//! less is refused, and the provider is not asked.

use crate::support::admin::{MASTER, key, seen};
use crate::support::{Answer, App, RawProvider, model_list};
use serde_json::{Value, json};
use tollgate_simulator::Script;

/// What is asked, of whom, and what comes of it.
struct Case {
    name: &'static str,
    /// Parameters of the deployment, but for its address and its key.
    model: &'static str,
    path: &'static str,
    request: Request,
    reply: Value,
}

enum Request {
    Json(Value),
    /// Fields of a form, and a file.
    Form(Vec<(&'static str, &'static str)>, Vec<u8>),
}

fn talk(prompt: u64, completion: u64) -> Value {
    json!({
        "id": "a", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    })
}

fn with(mut value: Value, more: Value) -> Value {
    if let Value::Object(more) = more {
        value.as_object_mut().unwrap().extend(more);
    }
    value
}

fn say(more: Value) -> Request {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    Request::Json(with(body, more))
}

/// Many of the same in a row.
fn many(count: usize, one: Value) -> Value {
    Value::Array(vec![one; count])
}

const GPT: &str = "model: openai/gpt-4o";
const CLAUDE: &str = "model: anthropic/claude-sonnet-4-5";
const GEMINI: &str = "model: gemini/gemini-2.5-flash";
const CHAT: &str = "/v1/chat/completions";

/// Answers without end, and prompts of anything but text.
fn chats() -> Vec<Case> {
    let case = |name, model, more, reply| Case { name, model, path: CHAT, request: say(more), reply };
    let picture =
        json!({"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "high"}});
    let pictures = json!({"messages": [{"role": "user", "content": many(1_000, picture)}]});
    let tool = json!({"type": "function", "function": {
        "name": "f", "description": "d".repeat(2_000), "parameters": {"type": "object", "properties": {}}}});
    let searched = with(
        talk(8, 16_384),
        json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "hi", "annotations": [{"type": "url_citation", "url_citation": {
            "url": "https://a.example", "title": "t", "start_index": 0, "end_index": 1}}]}}]}),
    );
    let urgent = with(talk(8, 16_384), json!({"service_tier": "priority"}));
    let thought = with(
        talk(8, 100_000),
        json!({"usage": {"prompt_tokens": 8, "completion_tokens": 100_000,
        "total_tokens": 100_008, "completion_tokens_details": {"reasoning_tokens": 99_000}}}),
    );
    vec![
        case("n of 128", GPT, json!({"n": 128, "max_tokens": 16_384}), talk(8, 128 * 16_384)),
        case("a maximum without end", GPT, json!({"max_tokens": 999_999_999}), talk(8, 16_384)),
        case("both maxima", GPT, json!({"max_tokens": 1, "max_completion_tokens": 16_384}), talk(8, 16_384)),
        case("no maximum", GPT, json!({}), talk(8, 16_384)),
        case("n and no maximum", GPT, json!({"n": 128}), talk(8, 128 * 16_384)),
        case("1,000 pictures", GPT, pictures, talk(1_445_000, 16_384)),
        case("128 tools", GPT, json!({"tools": many(128, tool), "max_tokens": 5}), talk(128 * 500, 5)),
        case(
            "a search",
            "model: openai/gpt-4o-search-preview",
            json!({"web_search_options": {"search_context_size": "high"}}),
            searched,
        ),
        case(
            "a dearer tier",
            "model: openai/gpt-4.1",
            json!({"service_tier": "priority", "max_tokens": 16_384}),
            urgent,
        ),
        case("a long thought", "model: openai/o3", json!({"reasoning_effort": "high"}), thought),
        case(
            "a long prompt",
            GPT,
            json!({"messages": [{"role": "user", "content": "¤".repeat(50_000)}], "max_tokens": 5}),
            talk(100_000, 5),
        ),
    ]
}

/// The same by other doors.
fn dialects() -> Vec<Case> {
    let claude = |usage: Value| {
        json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "max_tokens",
            "stop_sequence": null, "content": [{"type": "text", "text": "hi"}], "usage": usage})
    };
    let searching = json!({"max_tokens": 5,
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 100}]});
    let searched =
        json!({"input_tokens": 190_000, "output_tokens": 5, "server_tool_use": {"web_search_requests": 100}});
    let kept = json!({"max_tokens": 64_000, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "a".repeat(8_000), "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]});
    let written = json!({"input_tokens": 0, "output_tokens": 64_000, "cache_creation_input_tokens": 8_000,
        "cache_creation": {"ephemeral_1h_input_tokens": 8_000, "ephemeral_5m_input_tokens": 0}});
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"candidateCount": 8, "maxOutputTokens": 65_536}});
    let thought = json!({"candidates": [{"index": 0, "finishReason": "MAX_TOKENS",
        "content": {"role": "model", "parts": [{"text": "hi"}]}}], "modelVersion": "m",
        "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 8 * 40_000, "thoughtsTokenCount": 25_536,
            "totalTokenCount": 8 + 8 * 40_000 + 25_536}});
    let converse = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 999_999_999}});
    let instruct = json!({"id": "c", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "hi", "finish_reason": "length", "logprobs": null}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2 * 20 * 4_096, "total_tokens": 2 + 2 * 20 * 4_096}});
    let best = json!({"model": "m", "prompt": ["a", "b"], "n": 1, "best_of": 20, "max_tokens": 4_096});
    let google_path = "/v1beta/models/m:generateContent";
    let json = Request::Json;
    vec![
        Case {
            name: "100 searches",
            model: CLAUDE,
            path: "/v1/messages",
            request: say(searching),
            reply: claude(searched),
        },
        Case {
            name: "kept for an hour",
            model: CLAUDE,
            path: "/v1/messages",
            request: say(kept),
            reply: claude(written),
        },
        Case {
            name: "eight candidates",
            model: GEMINI,
            path: google_path,
            request: json(google),
            reply: thought,
        },
        Case {
            name: "Converse",
            model: GPT,
            path: "/model/m/converse",
            request: json(converse),
            reply: talk(8, 16_384),
        },
        Case {
            name: "Cohere's chat",
            model: GPT,
            path: "/v2/chat",
            request: say(json!({"max_tokens": 999_999})),
            reply: talk(8, 16_384),
        },
        Case {
            name: "best of 20",
            model: "model: text-completion-openai/gpt-3.5-turbo-instruct",
            path: "/v1/completions",
            request: json(best),
            reply: instruct,
        },
        Case {
            name: "Responses",
            model: GPT,
            path: "/v1/responses",
            request: json(responses_request()),
            reply: responses_reply(),
        },
    ]
}

/// Tools that the provider runs, each call with a price.
fn responses_request() -> Value {
    json!({"model": "m", "input": "hi", "max_output_tokens": 16_384, "tools": [
        {"type": "web_search_preview", "search_context_size": "high"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "file_search", "vector_store_ids": ["vs_1"]}]})
}

fn responses_reply() -> Value {
    let output = json!([
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "1", "container_id": "c", "outputs": []},
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["q"], "results": null},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}]},
    ]);
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o",
        "output": output, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
        "usage": {"input_tokens": 100_000, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 16_384,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 116_384}})
}

/// What is no talk.
fn others() -> Vec<Case> {
    let vectors = json!({"object": "list", "model": "m",
        "data": many(2_048, json!({"object": "embedding", "index": 0, "embedding": [0.5]})),
        "usage": {"prompt_tokens": 2_048 * 40, "total_tokens": 2_048 * 40}});
    let embed = json!({"model": "m", "input": many(2_048, json!("¤".repeat(20)))});
    let drawn = json!({"created": 1, "data": many(10, json!({"b64_json": "AA=="})), "quality": "high",
        "size": "1024x1536", "usage": {"input_tokens": 5, "output_tokens": 62_400, "total_tokens": 62_405,
            "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}}});
    let draw = json!({"model": "m", "prompt": "a cat", "n": 10, "quality": "auto", "size": "auto"});
    let pictures = json!({"created": 1, "data": many(10, json!({"url": "https://a.example/1"}))});
    let large = json!({"model": "m", "prompt": "a cat", "n": 10, "quality": "hd", "size": "1792x1024"});
    let ranked = json!({"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 10}}});
    let rank = json!({"model": "m", "query": "q", "documents": many(1_000, json!("a document"))});
    let heard = json!({"text": "hi", "usage": {"type": "duration", "seconds": 60}});
    let speech = json!({"model": "m", "voice": "alloy", "input": "a".repeat(4_096)});
    let json = Request::Json;
    vec![
        Case {
            name: "2,048 texts",
            model: "model: openai/text-embedding-3-large",
            path: "/v1/embeddings",
            request: json(embed),
            reply: vectors,
        },
        Case {
            name: "ten pictures by tokens",
            model: "model: openai/gpt-image-1",
            path: "/v1/images/generations",
            request: json(draw),
            reply: drawn,
        },
        Case {
            name: "ten pictures",
            model: "model: azure/dall-e-3",
            path: "/v1/images/generations",
            request: json(large),
            reply: pictures,
        },
        Case {
            name: "1,000 documents",
            model: "model: cohere/rerank-v3.5",
            path: "/v1/rerank",
            request: json(rank),
            reply: ranked,
        },
        Case {
            name: "a long speech",
            model: "model: openai/tts-1-hd",
            path: "/v1/audio/speech",
            request: json(speech),
            reply: json!("sound"),
        },
        Case {
            name: "a long sound",
            model: "model: openai/whisper-1",
            path: "/v1/audio/transcriptions",
            request: Request::Form(vec![("model", "m"), ("response_format", "json")], wave(60)),
            reply: heard,
        },
    ]
}

/// Seconds of silence: 16 bits, one channel, 16 kHz.
fn wave(seconds: u32) -> Vec<u8> {
    let bytes = seconds * 32_000;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend_from_slice(&16_000_u32.to_le_bytes());
    file.extend_from_slice(&32_000_u32.to_le_bytes());
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&bytes.to_le_bytes());
    file.resize(file.len() + bytes as usize, 0);
    file
}

async fn ask(app: &App, key: &str, case: &Case) -> Answer {
    let (kind, body) = match &case.request {
        Request::Json(body) => ("application/json", body.to_string().into_bytes()),
        Request::Form(fields, file) => ("multipart/form-data; boundary=x", form(fields, file)),
    };
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n",
        case.path,
        body.len()
    );
    app.ask(&[head.as_bytes(), &body].concat()).await
}

fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.extend(
            format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    out.extend(b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n");
    out.extend(file);
    out.extend(b"\r\n--x--\r\n");
    out
}

/// What a key has spent, once something is booked.
async fn spent(app: &App, key: &str) -> f64 {
    for _ in 0..500 {
        let spend = seen(app, &format!("/key/info?key={key}")).await["info"]["spend"].as_f64().unwrap();
        if spend > 0.0 {
            return spend;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    0.0
}

/// Asks without a budget, and with ones that do not reach: what it cost, and what is wrong.
async fn check(case: &Case) -> (f64, Vec<String>) {
    let text = case.reply.as_str().map_or_else(|| case.reply.to_string(), str::to_owned);
    let kind = if case.reply.is_string() { "audio/mpeg" } else { "application/json" };
    let provider = RawProvider::of(kind, &text).await;
    let parameters = format!("{}, api_base: \"http://{}\", api_key: sk-key", case.model, provider.address);
    let list = model_list(&[("m", &parameters)]);
    let yaml = format!(
        "{list}general_settings: {{master_key: {MASTER}}}\ntollgate_settings: {{budget_maximum: refuse}}\n\
         router_settings: {{num_retries: 0}}\n"
    );
    let app = App::start(yaml, Script::new()).await;
    let (free, mut wrong) = (key(&app, json!({})).await, Vec::new());
    let answer = ask(&app, &free, case).await;
    if answer.status != 200 {
        wrong.push(format!("{}: {} {}", case.name, answer.status, answer.text()));
    }
    let cost = spent(&app, &free).await;
    for share in [0.1, 0.5, 0.9, 0.999_999] {
        let before = provider.connects();
        let held = key(&app, json!({"max_budget": cost * share})).await;
        let answer = ask(&app, &held, case).await;
        if answer.status != 422 || provider.connects() != before {
            wrong.push(format!("{} at {share} of {cost}: {}", case.name, answer.status));
        }
    }
    app.stop().await;
    (cost, wrong)
}

#[tokio::test]
async fn what_is_held_for_a_request_that_is_made_to_cost_is_never_less_than_it_costs() {
    let (mut asked, mut wrong) = (0, Vec::new());
    for case in chats().into_iter().chain(dialects()).chain(others()) {
        let (cost, found) = check(&case).await;
        wrong.extend(found);
        if cost <= 0.0 {
            wrong.push(format!("{} costs nothing", case.name));
        }
        asked += 1;
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(asked, 24);
}
