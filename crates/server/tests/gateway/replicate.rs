//! Replicate: predictions that are made, looked at, streamed and cancelled, before callers who know nothing of it.

use crate::support::{
    App, RawProvider, Wire, data, hello, is_whole, model_list, post, settle, streamed, until,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tollgate_simulator::{Answer, Behaviour, CutEnding, Extras, Fault, Rule, Script, TokenCounts};

const PRICES: &str = "input_cost_per_token: 0.001, output_cost_per_token: 0.01";

/// A deployment of this model of `o`'s, with further parameters.
fn replicate(model: &str, more: &str) -> String {
    format!(
        "model: replicate/o/{model}, api_base: \"http://{{sim}}/d/a/replicate/v1\", api_key: sk-key-of-a{more}"
    )
}

/// A group `m` of one deployment, asked once.
fn one(model: &str, more: &str) -> String {
    format!("{}router_settings: {{num_retries: 0}}\n", model_list(&[("m", &replicate(model, more))]))
}

/// A group `m` of a deployment at Replicate, asked first, and one of OpenAI's behind it.
fn two(model: &str) -> String {
    let first = format!("{}, weight: 1", replicate(model, ""));
    let second = format!("{}, weight: 0", Wire::OpenAi.parameters("b"));
    model_list(&[("m", &first), ("m", &second)])
}

fn always(behaviour: Behaviour) -> Script {
    Script::new().rule(Rule::any(behaviour))
}

/// What was asked of the provider, in order.
fn operations(app: &App) -> Vec<&'static str> {
    app.received().iter().map(|request| request.operation).collect()
}

fn count(app: &App, operation: &str) -> usize {
    operations(app).iter().filter(|asked| **asked == operation).count()
}

/// The text of a chat's stream.
fn text_of(events: &[String]) -> String {
    let chunks = events.iter().filter(|event| event.starts_with("data: {")).map(|event| data(event));
    chunks.filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}

/// 1,000 tokens in and 100 out: $1 and $1 at [`PRICES`].
fn counted() -> Behaviour {
    let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    Behaviour::new().text("one two three").tokens(tokens)
}

/// Tokens in, tokens out, money, and how many of them were estimated.
async fn booked(app: &App) -> [f64; 4] {
    let mut totals = [0.0; 4];
    let names = ["litellm_input_tokens_metric", "litellm_output_tokens_metric", "litellm_spend_metric"];
    for (total, name) in totals.iter_mut().zip(names.into_iter().chain(["tollgate_estimated_usage"])) {
        *total = app.metric(&format!("{name}_total"), &[]).await;
    }
    totals
}

#[tokio::test]
async fn a_prediction_that_is_over_at_once_takes_one_request() {
    let app = App::start(one("llama", &format!(", timeout: 30, {PRICES}")), always(counted())).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, answer.content().as_str()), (200, "one two three"), "{}", answer.text());
    assert_eq!(answer.json()["model"], "m");
    assert_eq!(answer.json()["usage"]["completion_tokens"], 100);
    assert_eq!(answer.header("x-litellm-response-cost"), Some("2.0"));
    let received = app.received();
    assert_eq!(operations(&app), ["predict"]);
    assert_eq!(received[0].path, "/d/a/replicate/v1/models/o/llama/predictions");
    let header =
        |name: &str| received[0].headers.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    assert_eq!((header("prefer"), header("cancel-after")), (Some("wait"), Some("30s")));
    app.stop().await;
}

#[tokio::test]
async fn a_prediction_that_is_not_over_is_looked_at_until_it_is() {
    for (model, path) in [
        ("sim-looks-2", "/d/a/replicate/v1/models/o/sim-looks-2/predictions"),
        (
            "llama:5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa",
            "/d/a/replicate/v1/predictions",
        ),
    ] {
        let script = Script::new().rule(Rule::model(
            "5c7d*",
            Behaviour::new().extras(Extras { looks: Some(1), ..Extras::default() }),
        ));
        let app = App::start(one(model, ""), script).await;
        let answer = app.hello("m").await;
        assert!(answer.content().contains("hello there"), "{}", answer.text());
        let expect: &[&str] = if model.contains(':') {
            &["predict", "get_prediction"]
        } else {
            &["predict", "get_prediction", "get_prediction"]
        };
        assert_eq!(operations(&app), expect, "{model}");
        let received = app.received();
        assert_eq!(received[0].path, path);
        assert!(received.iter().all(|request| request.credential.as_deref() == Some("sk-key-of-a")));
        let looks = received.iter().skip(1);
        assert!(
            looks.flat_map(|look| &look.headers).all(|(name, _)| name != "prefer" && name != "content-type")
        );
        settle().await;
        assert_eq!(count(&app, "cancel_prediction"), 0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_stream_is_priced_by_the_last_look_whether_or_not_its_caller_asks() {
    for asks in [false, true] {
        let app = App::start(one("llama", &format!(", {PRICES}")), always(counted())).await;
        let mut body = streamed(hello("m"));
        body["stream_options"] = json!({"include_usage": asks});
        let events = app.stream(&body).await.rest().await;
        assert_eq!(
            (text_of(&events).as_str(), events.last().unwrap().as_str()),
            ("one two three", "data: [DONE]\n\n")
        );
        let usages: Vec<Value> = events
            .iter()
            .filter(|event| event.starts_with("data: {"))
            .map(|event| data(event)["usage"].clone())
            .filter(|usage| !usage.is_null())
            .collect();
        assert_eq!(usages.len(), usize::from(asks), "{events:?}");
        assert!(
            usages.iter().all(|usage| usage["prompt_tokens"] == 1_000 && usage["completion_tokens"] == 100)
        );
        assert_eq!(operations(&app), ["predict", "stream_prediction", "get_prediction"]);
        assert!(app.received().iter().all(|request| request.credential.as_deref() == Some("sk-key-of-a")));
        assert_eq!(booked(&app).await, [1_000.0, 100.0, 2.0, 0.0]);
        settle().await;
        assert_eq!(count(&app, "cancel_prediction"), 0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_model_that_does_not_stream_is_looked_at_and_its_answer_streamed_whole() {
    let behaviour = Behaviour { extras: Extras { no_stream: true, ..Extras::default() }, ..counted() };
    let app = App::start(one("llama", &format!(", {PRICES}")), always(behaviour)).await;
    let events = app.hello_stream("m").await.rest().await;
    assert_eq!(
        (text_of(&events).as_str(), events.last().unwrap().as_str()),
        ("one two three", "data: [DONE]\n\n")
    );
    assert_eq!(operations(&app), ["predict", "get_prediction", "get_prediction"]);
    assert_eq!(booked(&app).await, [1_000.0, 100.0, 2.0, 0.0]);
    settle().await;
    assert_eq!(count(&app, "cancel_prediction"), 0);
    app.stop().await;
}

#[tokio::test]
async fn every_caller_gets_its_own_dialect() {
    let app = App::start(one("llama", ""), Script::new()).await;
    let messages = json!([{"role": "user", "content": "hello there"}]);
    for (path, body, end) in [
        (
            "/v1/messages",
            json!({"model": "m", "max_tokens": 50, "messages": messages}),
            "event: message_stop\n",
        ),
        ("/v1/responses", json!({"model": "m", "input": "hello there"}), "event: response.completed\n"),
        ("/v1/completions", json!({"model": "m", "prompt": "hello there"}), "data: [DONE]\n"),
    ] {
        let answer = app.post(path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().contains("hello there"), "{path}: {}", answer.text());
        let answer = app.post(path, &streamed(body)).await;
        assert!(answer.text().contains(end), "{path}: {}", answer.text());
    }
    app.simulator.script().set_rules(vec![Rule::any(Behaviour::new().fault(Fault::Failed { after: 0 }))]);
    let body = json!({"model": "m", "max_tokens": 50, "messages": messages});
    for body in [body.clone(), streamed(body)] {
        let answer = app.post("/v1/messages", &body).await;
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (500, Some("error")),
            "{}",
            answer.text()
        );
        assert!(answer.text().contains("the model raised an error"), "{}", answer.text());
    }
    app.stop().await;
}

#[tokio::test]
async fn a_prediction_that_fails_is_answered_elsewhere() {
    for streams in [false, true] {
        let app = App::start(two("sim-failed-0"), Script::new()).await;
        let body = if streams { streamed(hello("m")) } else { hello("m") };
        let answer = app.chat(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"));
        let first = if streams { vec!["predict", "stream_prediction"] } else { vec!["predict"] };
        assert_eq!(operations(&app), [first, vec!["chat"]].concat());
        settle().await;
        assert_eq!(count(&app, "cancel_prediction"), 0, "a failed prediction is over");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_prediction_that_is_refused_says_why() {
    let app = App::start(one("sim-context", ""), Script::new()).await;
    let answer = app.hello("m").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.error_message().contains("ContextWindowExceededError"), "{}", answer.text());
    assert_eq!(operations(&app), ["predict"]);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event_and_is_priced_all_the_same() {
    for fault in [Fault::cut(3), Fault::Cut { after: 3, ending: CutEnding::Terminated }] {
        let behaviour = counted().answer(Answer::Tokens(9)).fault(fault.clone());
        let app = App::start(one("llama", &format!(", {PRICES}")), always(behaviour)).await;
        let events = app.hello_stream("m").await.rest().await;
        assert!(data(events.last().unwrap())["error"]["message"].is_string(), "{fault:?} {events:?}");
        assert_eq!(operations(&app), ["predict", "stream_prediction", "get_prediction"], "{fault:?}");
        assert_eq!(booked(&app).await, [1_000.0, 100.0, 2.0, 0.0], "{fault:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_prediction_once() {
    let app = App::start(one("sim-looks-1000", ""), Script::new()).await;
    let mut connection = app.connect().await;
    connection.write(&post("/v1/chat/completions", &[], hello("m").to_string().as_bytes())).await;
    app.until("the prediction is looked at", |app| count(app, "get_prediction") > 0).await;
    drop(connection);
    app.until("the prediction is cancelled", |app| count(app, "cancel_prediction") > 0).await;
    let looks = count(&app, "get_prediction");
    settle().await;
    assert_eq!((count(&app, "cancel_prediction"), count(&app, "get_prediction")), (1, looks));
    let received = app.received();
    let path = |operation: &str| received.iter().find(|one| one.operation == operation).unwrap().path.clone();
    assert_eq!(path("cancel_prediction"), format!("{}/cancel", path("get_prediction")));
    app.stop().await;
}

#[tokio::test]
async fn a_caller_who_leaves_a_stream_ends_the_prediction_once() {
    // The provider waits within the stream, so that it cannot come to its end by itself.
    let behaviour = Behaviour::new().answer(Answer::Tokens(50)).fault(Fault::Stall { after: 20 });
    let app = App::start(one("llama", ""), always(behaviour)).await;
    let mut stream = app.hello_stream("m").await;
    stream.events(3).await;
    app.until_waiting(1).await;
    drop(stream);
    app.until("the prediction is cancelled", |app| count(app, "cancel_prediction") > 0).await;
    settle().await;
    assert_eq!(operations(&app), ["predict", "stream_prediction", "cancel_prediction"]);
    app.stop().await;
}

#[tokio::test]
async fn a_deadline_ends_the_prediction() {
    let app = App::start(one("sim-looks-1000", ", timeout: 0.4"), Script::new()).await;
    let answer = app.hello("m").await;
    assert_eq!(answer.status, 408, "{}", answer.text());
    app.until("the prediction is cancelled", |app| count(app, "cancel_prediction") > 0).await;
    settle().await;
    let asked = operations(&app);
    assert_eq!((asked.first(), asked.last()), (Some(&"predict"), Some(&"cancel_prediction")), "{asked:?}");
    assert_eq!((count(&app, "predict"), count(&app, "cancel_prediction")), (1, 1));
    app.stop().await;
}

#[tokio::test]
async fn an_address_elsewhere_is_refused_and_never_asked() {
    let elsewhere = RawProvider::of("application/json", "{}").await;
    let urls = |scheme: &str, host: &str| {
        let url = |path: &str| format!("{scheme}://{host}/{path}");
        json!({"get": url("get"), "stream": url("stream"), "cancel": url("cancel")})
    };
    for (scheme, host) in [
        ("http", elsewhere.address.to_string()),
        ("http", format!("api.replicate.com@{}", elsewhere.address)),
        ("http", "api.replicate.com".to_owned()),
    ] {
        let made = json!({"id": "p1", "status": "starting", "urls": urls(scheme, &host)});
        let provider = RawProvider::of("application/json", &made.to_string()).await;
        let base = format!("http://{}/v1", provider.address);
        let group = one("llama", "").replace("http://{sim}/d/a/replicate/v1", &base);
        let app = App::start(group, Script::new()).await;
        for (number, body) in [hello("m"), streamed(hello("m"))].into_iter().enumerate() {
            let answer = app.chat(&body).await;
            assert_eq!(answer.status, 502, "{}", answer.text());
            let message = answer.error_message();
            assert!(message.contains("a prediction's address is not at its provider"), "{message}");
            settle().await;
            assert_eq!((provider.connects(), elsewhere.connects()), (number + 1, 0), "{host}");
        }
        app.stop().await;
    }
}

/// A provider that answers one connection after the other, the last answer again and again, and notes what was asked.
struct InTurn {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl InTurn {
    /// Statuses and members of a prediction whose addresses are this provider's, but for `stream_at`.
    async fn start(answers: Vec<(u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let url = move |path: &str| format!("http://{address}/v1/{path}");
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            let mut last = (500, Value::Null);
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !is_whole(&request) && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                let text = String::from_utf8_lossy(&request).into_owned();
                let line: Vec<&str> = text.split(' ').take(2).collect();
                noted.lock().unwrap().push(line.join(" "));
                last = answers.next().unwrap_or(last);
                let urls =
                    json!({"get": url("looked"), "cancel": url("cancelled"), "stream": last.1["stream_at"]});
                let mut body = json!({"id": "p1", "urls": urls});
                body.as_object_mut().unwrap().extend(last.1.as_object().unwrap().clone());
                let (status, body) = (last.0, body.to_string());
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close");
                let reply = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        Self { address, asked }
    }

    /// A gateway before it, whose group `m` asks once.
    async fn before(&self) -> App {
        let base = format!("http://{}/v1", self.address);
        App::start(one("llama", "").replace("http://{sim}/d/a/replicate/v1", &base), Script::new()).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const MADE: &str = "POST /v1/models/o/llama/predictions";
const LOOKED: &str = "GET /v1/looked";
const CANCELLED: &str = "POST /v1/cancelled";

#[tokio::test]
async fn looks_that_fail_in_passing_are_made_again() {
    let running = || (201, json!({"status": "processing"}));
    let fault = || (503, json!({"detail": "try again"}));
    let over = (200, json!({"status": "succeeded", "output": "done"}));
    let provider = InTurn::start(vec![running(), fault(), fault(), running(), fault(), over]).await;
    let app = provider.before().await;
    assert_eq!(app.hello("m").await.content(), "done");
    settle().await;
    assert_eq!(provider.asked(), [&[MADE][..], &[LOOKED; 5]].concat());
    app.stop().await;
}

#[tokio::test]
async fn looks_that_are_refused_end_the_attempt_and_the_prediction() {
    let running = (201, json!({"status": "starting"}));
    let refused = (404, json!({"title": "Not found", "detail": "no such prediction", "status": 404}));
    let provider = InTurn::start(vec![running, refused]).await;
    let app = provider.before().await;
    let answer = app.hello("m").await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    until("the prediction is cancelled", || provider.asked().len() == 3).await;
    assert_eq!(provider.asked(), [MADE, LOOKED, CANCELLED]);
    app.stop().await;
}

#[tokio::test]
async fn a_prediction_that_ends_without_an_answer_is_an_error_and_not_cancelled() {
    for (status, detail) in
        [("failed", "it broke"), ("canceled", "was canceled"), ("aborted", "was canceled")]
    {
        let running = (201, json!({"status": "starting"}));
        let over = (200, json!({"status": status, "error": "it broke", "output": ["half"]}));
        let provider = InTurn::start(vec![running, over]).await;
        let app = provider.before().await;
        let answer = app.hello("m").await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(answer.error_message().contains(detail), "{}", answer.text());
        settle().await;
        assert_eq!(provider.asked(), [MADE, LOOKED], "{status}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_stream_at_a_foreign_host_is_refused() {
    let made = (201, json!({"status": "starting", "stream_at": "https://stream.evil.example/v1/s"}));
    let over = (200, json!({"status": "succeeded", "output": ["do", "ne"]}));
    let provider = InTurn::start(vec![made, over]).await;
    let app = provider.before().await;
    let answer = app.chat(&streamed(hello("m"))).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    until("the prediction is cancelled", || provider.asked().len() == 2).await;
    assert_eq!(provider.asked(), [MADE, CANCELLED]);
    app.stop().await;
}
