//! Accounting traps that gateways fell into, each with a provider's own bytes: what is billed and what the caller reads.
//!
//! Every provider's stream is given to a caller of OpenAI's chat and to one of Anthropic's Messages.

use crate::support::{App, RawProvider, Stream, data, model_list, post};
use serde_json::{Value, json};

const INPUT: &str = "litellm_input_tokens_metric_total";
const OUTPUT: &str = "litellm_output_tokens_metric_total";
const ESTIMATED: &str = "tollgate_estimated_usage_total";
const BROTLI: &[u8] = include_bytes!("../../../upstream/tests/fixtures/events.br");

/// What came of one stream.
struct Seen {
    /// Tokens of the prompt and of the answer, as billed, and how many answers were billed by an estimate.
    billed: (f64, f64, f64),
    /// Data of the events, without `[DONE]`.
    chunks: Vec<Value>,
    /// Whether `[DONE]` came.
    done: bool,
}

impl Seen {
    fn text(&self) -> String {
        let deltas = self.chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        deltas.collect()
    }

    fn usages(&self) -> Vec<&Value> {
        self.chunks.iter().map(|chunk| &chunk["usage"]).filter(|usage| usage.is_object()).collect()
    }

    fn finish(&self) -> Option<&str> {
        self.chunks.iter().find_map(|chunk| chunk["choices"][0]["finish_reason"].as_str())
    }

    /// Names and arguments of the calls, by their index.
    fn calls(&self) -> Vec<(String, String)> {
        let mut calls: Vec<(String, String)> = Vec::new();
        let deltas =
            self.chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array());
        for delta in deltas.flatten() {
            let index = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
            calls.resize(calls.len().max(index + 1), Default::default());
            calls[index].0.push_str(delta["function"]["name"].as_str().unwrap_or_default());
            calls[index].1.push_str(delta["function"]["arguments"].as_str().unwrap_or_default());
        }
        calls
    }
}

const OPENAI: &str = "openai/gpt-4o";
const ANTHROPIC: &str = "anthropic/claude-sonnet-4-5";
const GEMINI: &str = "gemini/gemini-2.5-flash";

fn event_stream(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn chat(stream_options: bool) -> Value {
    let mut body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hello"}]});
    if stream_options {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

async fn start(model: &str, reply: Vec<u8>) -> (App, RawProvider) {
    let provider = RawProvider::start(reply).await;
    let base = if model == OPENAI { "/v1" } else { "" };
    let parameters =
        format!("model: {model}, api_base: \"http://{}{base}\", api_key: sk-1", provider.address);
    let list = model_list(&[("m", &parameters)]);
    (App::start(format!("{list}router_settings: {{num_retries: 0}}\n"), Default::default()).await, provider)
}

async fn billed(app: &App) -> (f64, f64, f64) {
    (app.metric(INPUT, &[]).await, app.metric(OUTPUT, &[]).await, app.metric(ESTIMATED, &[]).await)
}

async fn read(app: &App, mut stream: Stream) -> Seen {
    let events = stream.rest().await;
    // What was relayed is as the provider wrote it.
    let lines = events.iter().flat_map(|event| event.lines()).filter_map(|line| line.strip_prefix("data:"));
    let (done, chunks): (Vec<&str>, Vec<&str>) = lines.map(str::trim).partition(|data| *data == "[DONE]");
    let chunks = chunks.iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    Seen { chunks, done: done.len() == 1, billed: billed(app).await }
}

/// A caller of OpenAI's chat, who asks for usage, before a provider that sends these bytes.
async fn ask(model: &str, reply: Vec<u8>) -> Seen {
    let (app, _provider) = start(model, reply).await;
    let stream = app.stream(&chat(true)).await;
    let seen = read(&app, stream).await;
    app.stop().await;
    seen
}

async fn ask_events(model: &str, body: &str) -> Seen {
    ask(model, event_stream("", body.as_bytes())).await
}

/// OpenAI's chunk with these members.
fn chunk(choices: &str, usage: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\
         \"choices\":[{choices}]{usage}}}\n\n"
    )
}

fn words(text: &str) -> String {
    chunk(&format!("{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}"), "")
}

const STOP: &str = "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}";
const DONE: &str = "data: [DONE]\n\n";

fn usage(prompt: u64, completion: u64) -> String {
    let total = prompt + completion;
    format!(
        ",\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{total}}}"
    )
}

/// Anthropic's stream of one word, with these usages at its start and in each `message_delta`.
fn message(start: &str, deltas: &[&str]) -> String {
    let event =
        |name: &str, members: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{members}}}\n\n");
    let mut stream = event(
        "message_start",
        &format!(
            ",\"message\":{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\
             \"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{start}}}"
        ),
    );
    stream +=
        &event("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
    stream +=
        &event("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}");
    stream += &event("content_block_stop", ",\"index\":0");
    for usage in deltas {
        let delta = "\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}";
        stream += &event("message_delta", &format!(",{delta},\"usage\":{usage}"));
    }
    stream + &event("message_stop", "")
}

/// Gemini's chunk of one word.
fn candidate(last: bool, counts: &str) -> String {
    let reason = if last { ",\"finishReason\":\"STOP\"" } else { "" };
    format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"Hi\"}}],\"role\":\"model\"}}{reason},\
         \"index\":0}}],\"usageMetadata\":{{{counts}}},\"modelVersion\":\"gemini\"}}\r\n\r\n"
    )
}

#[tokio::test]
async fn cumulative_usage_is_not_summed() {
    let body = message(
        "{\"input_tokens\":10,\"output_tokens\":1}",
        &["{\"output_tokens\":5}", "{\"output_tokens\":9}", "{\"input_tokens\":10,\"output_tokens\":12}"],
    );
    let seen = ask_events(ANTHROPIC, &body).await;
    assert_eq!(seen.billed, (10.0, 12.0, 0.0));
    let usage = |output: u64, last| {
        let total = 7 + output;
        candidate(
            last,
            &format!("\"promptTokenCount\":7,\"candidatesTokenCount\":{output},\"totalTokenCount\":{total}"),
        )
    };
    let body = [usage(1, false), usage(2, false), usage(3, true)].concat();
    let seen = ask_events(GEMINI, &body).await;
    assert_eq!((seen.billed, seen.usages().len()), ((7.0, 3.0, 0.0), 1));
    assert_eq!(seen.usages()[0]["completion_tokens"], 3);
}

#[tokio::test]
async fn cache_tokens_are_counted_and_counted_once() {
    let start = "{\"input_tokens\":10,\"cache_read_input_tokens\":20,\"cache_creation_input_tokens\":30,\"output_tokens\":1}";
    let seen = ask_events(ANTHROPIC, &message(start, &["{\"output_tokens\":4}"])).await;
    assert_eq!(seen.billed, (60.0, 4.0, 0.0), "the cache's tokens come beside Anthropic's input_tokens");
    let usage = seen.usages()[0];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["prompt_tokens_details"]["cached_tokens"]),
        (&json!(60), &json!(20))
    );
    let counts = "\"promptTokenCount\":60,\"cachedContentTokenCount\":20,\"candidatesTokenCount\":4,\"totalTokenCount\":64";
    let seen = ask_events(GEMINI, &candidate(true, counts)).await;
    assert_eq!(seen.billed, (60.0, 4.0, 0.0), "they are within Google's promptTokenCount");
    let usage = ",\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":4,\"total_tokens\":64,\
                 \"prompt_tokens_details\":{\"cached_tokens\":20}}";
    let body = [words("Hi"), chunk(STOP, ""), chunk("", usage), DONE.to_owned()].concat();
    assert_eq!(ask_events(OPENAI, &body).await.billed, (60.0, 4.0, 0.0), "and within OpenAI's prompt_tokens");
}

#[tokio::test]
async fn thinking_tokens_are_not_dropped() {
    let counts =
        "\"promptTokenCount\":5,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":30,\"totalTokenCount\":37";
    let seen = ask_events(GEMINI, &candidate(true, counts)).await;
    assert_eq!(seen.billed, (5.0, 32.0, 0.0), "Google counts thoughts beside the answer");
    assert_eq!(seen.usages()[0]["completion_tokens_details"]["reasoning_tokens"], 30);
}

#[tokio::test]
async fn tool_use_tokens_of_the_prompt_are_not_dropped() {
    let counts = "\"promptTokenCount\":5,\"toolUsePromptTokenCount\":40,\"candidatesTokenCount\":2,\"totalTokenCount\":47";
    assert_eq!(ask_events(GEMINI, &candidate(true, counts)).await.billed, (45.0, 2.0, 0.0));
}

#[tokio::test]
async fn usage_in_a_last_chunk_without_choices_counts() {
    let body = [words("Hi"), chunk(STOP, ""), chunk("", &usage(9, 3)), DONE.to_owned()].concat();
    let seen = ask_events(OPENAI, &body).await;
    assert_eq!((seen.billed, seen.usages().len()), ((9.0, 3.0, 0.0), 1));
}

#[tokio::test]
async fn a_caller_who_did_not_ask_sees_no_usage_and_is_billed_by_it() {
    let body = [words("Hi"), chunk(STOP, ""), chunk("", &usage(9, 3)), DONE.to_owned()].concat();
    let (app, _provider) = start(OPENAI, event_stream("", body.as_bytes())).await;
    let stream = app.stream(&chat(false)).await;
    let seen = read(&app, stream).await;
    assert_eq!((seen.billed, seen.usages().len()), ((9.0, 3.0, 0.0), 0));
    assert!(seen.chunks.iter().all(|chunk| chunk["choices"] != json!([])), "{:?}", seen.chunks);
    app.stop().await;
}

#[tokio::test]
async fn usage_that_is_sent_twice_counts_once() {
    let twice = [words("Hi"), chunk(STOP, &usage(9, 3)), chunk("", &usage(9, 3)), DONE.to_owned()].concat();
    assert_eq!(ask_events(OPENAI, &twice).await.billed, (9.0, 3.0, 0.0));
}

#[tokio::test]
async fn an_explicit_zero_is_not_replaced_by_an_estimate() {
    let body = [words("Hi"), chunk(STOP, ""), chunk("", &usage(9, 0)), DONE.to_owned()].concat();
    assert_eq!(ask_events(OPENAI, &body).await.billed, (9.0, 0.0, 0.0));
    let none = [words("Hi"), chunk(STOP, ""), DONE.to_owned()].concat();
    let seen = ask_events(OPENAI, &none).await;
    assert_eq!(seen.billed.2, 1.0, "no count at all is estimated, and said to be");
    assert!(seen.billed.0 > 0.0 && seen.billed.1 > 0.0);
}

#[tokio::test]
async fn every_iterations_usage_is_added() {
    let last = "{\"input_tokens\":23,\"output_tokens\":10,\"iterations\":[\
                {\"type\":\"compaction\",\"input_tokens\":100,\"output_tokens\":30},\
                {\"type\":\"compaction\",\"input_tokens\":50,\"output_tokens\":20},\
                {\"type\":\"message\",\"input_tokens\":23,\"output_tokens\":10}]}";
    let seen = ask_events(ANTHROPIC, &message("{\"input_tokens\":23,\"output_tokens\":1}", &[last])).await;
    assert_eq!(seen.billed, (173.0, 60.0, 0.0));
}

#[tokio::test]
async fn brotli_and_gzip_streams_are_read() {
    let plain = include_str!("../../../upstream/tests/fixtures/events.txt");
    let seen = ask(OPENAI, event_stream("content-encoding: br\r\n", BROTLI)).await;
    assert_eq!((seen.billed, seen.done), ((9.0, 40.0, 0.0), true));
    assert!(seen.text().starts_with(" wörd 0 wörd 1") && seen.text().ends_with(" wörd 39"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, plain.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let unpacked = ask(OPENAI, event_stream("content-encoding: gzip\r\n", &packed)).await;
    assert_eq!((unpacked.billed, unpacked.text()), (seen.billed, seen.text()));
}

#[tokio::test]
async fn event_lines_other_line_ends_and_comments_change_nothing() {
    let plain =
        [words("Hi"), words(" you"), chunk(STOP, ""), chunk("", &usage(9, 3)), DONE.to_owned()].concat();
    let expect = ask_events(OPENAI, &plain).await;
    for (what, body) in [
        ("event lines", plain.replace("data: {", "event: message\ndata: {")),
        ("CRLF", plain.replace('\n', "\r\n")),
        ("comments", plain.replace("data: {", ": keep-alive\n\n: PROCESSING\ndata: {")),
        ("no space", plain.replace("data: ", "data:")),
    ] {
        let seen = ask_events(OPENAI, &body).await;
        assert_eq!(
            (seen.billed, seen.text(), seen.done),
            (expect.billed, "Hi you".to_owned(), true),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_stream_without_its_done_is_complete_after_its_reason() {
    let body = [words("Hi"), chunk(STOP, ""), chunk("", &usage(9, 3))].concat();
    let seen = ask_events(OPENAI, &body).await;
    assert_eq!((seen.billed, seen.finish(), seen.done), ((9.0, 3.0, 0.0), Some("stop"), true));
}

#[tokio::test]
async fn characters_of_several_bytes_survive_every_cut() {
    let body = [words("Grüße 🦀 漢字"), chunk(STOP, ""), chunk("", &usage(9, 3)), DONE.to_owned()].concat();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    for size in [1, 2, 3, 5] {
        let mut reply = head.as_bytes().to_vec();
        for piece in body.as_bytes().chunks(size) {
            reply.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            reply.extend_from_slice(piece);
            reply.extend_from_slice(b"\r\n");
        }
        reply.extend_from_slice(b"0\r\n\r\n");
        let seen = ask(OPENAI, reply).await;
        assert_eq!((seen.text().as_str(), seen.billed), ("Grüße 🦀 漢字", (9.0, 3.0, 0.0)), "{size}");
    }
}

/// OpenAI's stream of two calls, whose later deltas repeat an empty name, as several providers send them.
fn two_calls() -> String {
    let delta = |calls: &str| {
        chunk(&format!("{{\"index\":0,\"delta\":{{\"tool_calls\":[{calls}]}},\"finish_reason\":null}}"), "")
    };
    let open = |index: u64, name: &str| {
        delta(&format!(
            "{{\"index\":{index},\"id\":\"call_{index}\",\"type\":\"function\",\
             \"function\":{{\"name\":\"{name}\",\"arguments\":\"\"}}}}"
        ))
    };
    let more = |index: u64, arguments: &str| {
        delta(&format!(
            "{{\"index\":{index},\"id\":\"\",\"function\":{{\"name\":\"\",\"arguments\":\"{arguments}\"}}}}"
        ))
    };
    let end = chunk("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}", "");
    [
        open(0, "look"),
        more(0, "{\\\"a\\\":"),
        more(0, "1}"),
        open(1, "find"),
        more(1, "{\\\"b\\\":2}"),
        end,
        chunk("", &usage(9, 3)),
        DONE.to_owned(),
    ]
    .concat()
}

#[tokio::test]
async fn tool_deltas_with_empty_names_make_one_call_each() {
    let seen = ask_events(OPENAI, &two_calls()).await;
    let expect =
        [("look", "{\"a\":1}"), ("find", "{\"b\":2}")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(seen.calls(), expect, "every call comes, not the first alone");
}

#[tokio::test]
async fn a_stop_behind_calls_is_a_tool_use_to_callers_of_other_dialects() {
    let (app, _provider) = start(OPENAI, event_stream("", two_calls().as_bytes())).await;
    let body = json!({"model": "m", "stream": true, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let mut connection = app.connect().await;
    connection.write(&post("/v1/messages", &[], body.to_string().as_bytes())).await;
    let events: Vec<Value> = connection.stream().await.rest().await.iter().map(|event| data(event)).collect();
    let named = |name: &'static str| events.iter().filter(move |event| event["type"] == name);
    let calls: Vec<&Value> =
        named("content_block_start").map(|event| &event["content_block"]["name"]).collect();
    assert_eq!(calls, ["look", "find"]);
    let reasons: Vec<&Value> = named("message_delta").map(|event| &event["delta"]["stop_reason"]).collect();
    assert_eq!(reasons, ["tool_use"]);
    assert_eq!(billed(&app).await, (9.0, 3.0, 0.0));
    app.stop().await;
}

#[tokio::test]
async fn events_that_come_together_go_out_together() {
    let body = [words("Hi").repeat(100), chunk(STOP, ""), chunk("", &usage(9, 3)), DONE.to_owned()].concat();
    let mut reply =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for event in body.split_inclusive("\n\n") {
        reply.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
    }
    reply.extend_from_slice(b"0\r\n\r\n");
    let (app, _provider) = start(OPENAI, reply).await;
    let mut connection = app.connect().await;
    connection.write(&post("/v1/chat/completions", &[], chat(true).to_string().as_bytes())).await;
    assert_eq!(connection.head().await.status, 200);
    let (mut pieces, mut text) = (0, String::new());
    while let Some(piece) = connection.piece().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
        pieces += 1;
    }
    assert_eq!(text.matches("data: ").count(), 103);
    // The first goes out with what decided that the stream has begun; all others are there by then.
    assert!(pieces <= 10, "{pieces} pieces");
    app.stop().await;
}
