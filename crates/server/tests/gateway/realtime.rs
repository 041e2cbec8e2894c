//! Realtime: a caller's WebSocket, the gateway, and simulated providers' sessions; or a provider that a test plays.

use crate::support::{App, Setup, Wire, advance, model_list, one_of, patiently, seconds, settle, until};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};
use tollgate_server::Stage;
use tollgate_simulator::{EntraClient, Received, Script};

pub(crate) type Caller = WebSocketStream<TcpStream>;

/// A caller's session, and the headers of the 101.
pub(crate) async fn connect(
    app: &App,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Caller, http::HeaderMap), Error> {
    let stream = TcpStream::connect(app.address).await.unwrap();
    let mut request = format!("ws://{}{target}", app.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (wire, response) = patiently("the handshake", client_async(request, stream)).await?;
    Ok((wire, response.headers().clone()))
}

async fn open(app: &App, model: &str) -> Caller {
    connect(app, &format!("/v1/realtime?model={model}"), &[]).await.unwrap().0
}

/// The status and body of a refused handshake.
async fn refusal(app: &App, target: &str, headers: &[(&'static str, &str)]) -> (u16, Value) {
    match connect(app, target, headers).await {
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), serde_json::from_slice(&body).unwrap())
        }
        other => panic!("{target}: {other:?}"),
    }
}

/// The next message.
pub(crate) async fn next(wire: &mut Caller) -> Option<Result<Message, Error>> {
    patiently("the next message", wire.next()).await
}

/// Events up to one of this type, or the code and reason of the close.
pub(crate) async fn events(wire: &mut Caller, last: &str) -> (Vec<Value>, Option<(u16, String)>) {
    let mut events: Vec<Value> = Vec::new();
    while let Some(message) = next(wire).await {
        match message {
            Ok(Message::Text(text)) => {
                events.push(serde_json::from_str(&text).unwrap_or_else(|_| json!({"broken": text.as_str()})));
            }
            Ok(Message::Close(frame)) => {
                // The answer to the goodbye goes out with the next read.
                let _ = next(wire).await;
                return (events, frame.map(|frame| (frame.code.into(), frame.reason.to_string())));
            }
            Ok(_) => {}
            Err(_) => break,
        }
        if events.last().is_some_and(|event| event["type"] == last) {
            break;
        }
    }
    (events, None)
}

pub(crate) async fn say(wire: &mut Caller, event: Value) {
    wire.send(Message::text(event.to_string())).await.unwrap();
}

async fn respond(wire: &mut Caller) -> Value {
    say(wire, json!({"type": "response.create"})).await;
    let (events, _) = events(wire, "response.done").await;
    events.last().unwrap()["response"].clone()
}

fn sessions(received: &[Received]) -> Vec<&Received> {
    received.iter().filter(|request| request.operation == "realtime").collect()
}

/// A group `voice` of one OpenAI deployment of this model.
fn voice(model: &str) -> String {
    let parameters =
        format!("model: openai/{model}, api_base: \"http://{{sim}}/d/a/v1\", api_key: sk-key-of-a");
    format!("{}router_settings: {{num_retries: 0}}\n", model_list(&[("voice", &parameters)]))
}

async fn start(model: &str) -> App {
    App::start(voice(model), Script::new()).await
}

#[tokio::test]
async fn a_session_speaks_under_the_callers_name_and_is_counted_once() {
    let app = start("gpt-realtime").await;
    let (mut wire, headers) = connect(&app, "/v1/realtime?model=voice", &[]).await.unwrap();
    for name in ["x-litellm-call-id", "x-litellm-model-id", "x-litellm-version"] {
        assert!(headers.contains_key(name), "{name}: {headers:?}");
    }
    assert_eq!(
        (&headers["x-litellm-model-group"], headers.contains_key("content-type")),
        (&"voice".parse().unwrap(), false)
    );
    let (created, _) = events(&mut wire, "session.created").await;
    assert_eq!(created[0]["session"]["model"], "voice");
    let settings = json!({"type": "realtime", "model": "voice", "output_modalities": ["text"]});
    say(&mut wire, json!({"type": "session.update", "session": settings})).await;
    let (updated, _) = events(&mut wire, "session.updated").await;
    assert_eq!(updated[0]["session"]["model"], "voice", "{updated:?}");
    let (one, two) = (respond(&mut wire).await, respond(&mut wire).await);
    assert_eq!(app.metric("litellm_in_flight_requests", &[]).await, 1.0);
    wire.close(None).await.unwrap();
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    let tokens =
        |name: &str| [&one, &two].map(|done| done["usage"][name].as_u64().unwrap()).iter().sum::<u64>();
    let (input, output) = (tokens("input_tokens"), tokens("output_tokens"));
    assert!(input > 0 && output > 0);
    assert_eq!(app.metric("litellm_input_tokens_metric_total", &["voice"]).await, input as f64);
    assert_eq!(app.metric("litellm_output_tokens_metric_total", &["voice"]).await, output as f64);
    // gpt-realtime: 4 and 16 dollars a million in text; the simulator says how much of the prompt was cached (0.4).
    let cached: u64 = [&one, &two]
        .map(|done| done["usage"]["input_token_details"]["cached_tokens"].as_u64().unwrap())
        .iter()
        .sum();
    let spend = ((input - cached) * 40 + cached * 4 + output * 160) as f64 / 1e7;
    let told = app.metric("litellm_spend_metric_total", &["voice"]).await;
    assert!((told - spend).abs() < 1e-12, "{told} {spend}");
    let answered = ["route=\"/realtime\"", "status_code=\"200\""];
    assert_eq!(app.metric("litellm_proxy_total_requests_metric_total", &answered).await, 1.0);
    assert_eq!(app.metric("litellm_deployment_success_responses_total", &[]).await, 1.0);
    let received = app.received();
    let session = sessions(&received)[0];
    assert_eq!(session.path, "/d/a/v1/realtime?model=gpt-realtime");
    assert!(session.messages[0].contains("\"gpt-realtime\""), "{:?}", session.messages);
    assert!(!session.hung_up);
    app.stop().await;
}

#[tokio::test]
async fn sound_has_a_price_of_its_own() {
    let app = start("gpt-realtime").await;
    let mut wire = open(&app, "voice").await;
    let usage = respond(&mut wire).await["usage"].clone();
    wire.close(None).await.unwrap();
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    let count = |path: &str| usage.pointer(path).unwrap().as_u64().unwrap();
    let (text_out, sound_out) =
        (count("/output_token_details/text_tokens"), count("/output_token_details/audio_tokens"));
    assert!(sound_out > 0, "{usage}");
    let cached = count("/input_token_details/cached_tokens");
    let spend =
        ((count("/input_tokens") - cached) * 40 + cached * 4 + text_out * 160 + sound_out * 640) as f64 / 1e7;
    let told = app.metric("litellm_spend_metric_total", &["voice"]).await;
    assert!((told - spend).abs() < 1e-12, "{told} {spend}");
    app.stop().await;
}

#[tokio::test]
async fn the_callers_key_opens_the_gateway_and_never_goes_on() {
    let yaml = format!("{}general_settings: {{master_key: sk-caller}}\n", voice("gpt-realtime"));
    let app = App::start(yaml, Script::new()).await;
    let target = "/v1/realtime?model=voice";
    let browser = ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-caller");
    for header in [("authorization", "Bearer sk-caller"), ("api-key", "sk-caller"), browser] {
        let (mut wire, headers) = connect(&app, target, &[header]).await.unwrap();
        let chosen = headers.get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!(chosen, (header == browser).then_some("realtime"));
        wire.close(None).await.unwrap();
    }
    let wrong = ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-wrong");
    for header in [("authorization", "Bearer sk-wrong"), ("x-nothing", "x"), wrong] {
        assert_eq!(refusal(&app, target, &[header]).await.0, 401, "{header:?}");
    }
    app.until("the sessions end", |app| app.gateway.in_flight() == 0).await;
    let received = app.received();
    assert_eq!(sessions(&received).len(), 3);
    for session in sessions(&received) {
        assert_eq!(session.header("authorization"), Some("Bearer sk-key-of-a"));
        for name in ["sec-websocket-protocol", "sec-websocket-extensions", "api-key", "origin", "openai-beta"]
        {
            assert_eq!(session.header(name), None, "{name}");
        }
        assert!(!format!("{session:?}").contains("sk-caller"));
    }
    app.stop_while_draining().await;
}

#[tokio::test]
async fn every_spelling_of_the_route_and_of_azures_address_works() {
    let app = start("gpt-realtime").await;
    for target in [
        "/realtime?model=voice",
        "/openai/v1/realtime?model=voice",
        "/openai/realtime?api-version=2024-10-01-preview&deployment=voice",
    ] {
        let (mut wire, _) = connect(&app, target, &[("openai-beta", "realtime=v1")]).await.unwrap();
        assert_eq!(events(&mut wire, "session.created").await.0[0]["session"]["model"], "voice", "{target}");
        wire.close(None).await.unwrap();
    }
    app.until("the sessions end", |app| app.gateway.in_flight() == 0).await;
    assert!(
        sessions(&app.received()).iter().all(|session| session.header("openai-beta") == Some("realtime=v1"))
    );
    app.stop().await;
    for (parameters, path) in [
        (
            r#"api_base: "http://{sim}", api_version: "2024-10-01-preview""#,
            "/openai/realtime?api-version=2024%2D10",
        ),
        (r#"api_base: "http://{sim}/openai/v1""#, "/openai/v1/realtime?model=gpt-realtime"),
        (r#"api_base: "http://{sim}", api_version: v1"#, "/openai/v1/realtime?model=gpt-realtime"),
    ] {
        let parameters = format!("model: azure/gpt-realtime, api_key: k, {parameters}");
        let app = App::start(model_list(&[("voice", &parameters)]), Script::new()).await;
        let mut wire = open(&app, "voice").await;
        assert_eq!(events(&mut wire, "session.created").await.0[0]["session"]["model"], "voice");
        wire.close(None).await.unwrap();
        app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
        let received = app.received();
        let sent = sessions(&received)[0];
        let plain = |text: &str| text.replace("%2D", "-");
        assert!(plain(&sent.path).starts_with(&plain(path)), "{}", sent.path);
        assert_eq!(sent.header("api-key"), Some("k"));
        app.stop().await;
    }
}

#[tokio::test]
async fn entras_token_opens_azures_session() {
    let script = Script::new().entra(EntraClient {
        tenant: "tenant-1".to_owned(),
        client_id: "client-1".to_owned(),
        client_secret: "secret-1".to_owned(),
        lifetime: seconds(3_600),
    });
    let parameters = r#"model: azure/gpt-realtime, api_base: "http://{sim}", api_version: "2024-10-01-preview", tenant_id: tenant-1, client_id: client-1, client_secret: secret-1"#;
    let yaml = format!(
        "{}environment_variables: {{AZURE_AUTHORITY_HOST: \"http://{{sim}}\"}}\n",
        model_list(&[("voice", parameters)])
    );
    let app = App::start(yaml, script).await;
    let mut wire = open(&app, "voice").await;
    assert_eq!(respond(&mut wire).await["status"], "completed");
    wire.close(None).await.unwrap();
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    let received = app.received();
    assert!(sessions(&received)[0].header("authorization").unwrap().starts_with("Bearer "));
    app.stop().await;
}

#[tokio::test]
async fn a_deployment_that_refuses_is_followed_by_the_next() {
    let first = "model: openai/sim-error-500, api_base: \"http://{sim}/d/a/v1\", api_key: k, weight: 1";
    let foreign = "model: anthropic/claude-sonnet-4-5, api_base: \"http://{sim}/d/x\", api_key: k, weight: 1";
    let second = "model: openai/gpt-realtime, api_base: \"http://{sim}/d/b/v1\", api_key: k, weight: 0";
    for before in [first, foreign] {
        let app = App::start(model_list(&[("voice", before), ("voice", second)]), Script::new()).await;
        let (mut wire, headers) = connect(&app, "/v1/realtime?model=voice", &[]).await.unwrap();
        assert_eq!(headers["x-litellm-attempted-retries"], "1");
        assert_eq!(events(&mut wire, "session.created").await.0[0]["session"]["model"], "voice");
        wire.close(None).await.unwrap();
        app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
        assert_eq!(app.sends(["a", "x", "b"]), [usize::from(before == first), 0, 1]);
        assert_eq!(app.metric("litellm_deployment_failure_responses_total", &[]).await, 1.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn what_is_refused_before_the_first_frame_is_an_http_error() {
    let app = start("sim-error-429").await;
    let (status, body) = refusal(&app, "/v1/realtime?model=voice", &[]).await;
    assert_eq!((status, &body["error"]["type"]), (429, &json!("throttling_error")), "{body}");
    assert_eq!(refusal(&app, "/v1/realtime?model=nobody", &[]).await.0, 400);
    assert_eq!(refusal(&app, "/v1/realtime", &[]).await.0, 400);
    assert_eq!(refusal(&app, "/v1/realtime?model=voice&call_id=rtc_1", &[]).await.0, 501);
    let plain = app.get("/v1/realtime?model=voice").await;
    assert_eq!((plain.status, &plain.error()["code"]), (426, &json!("websocket_required")));
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    let version = app
        .ask(b"GET /v1/realtime?model=voice HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 8\r\n\r\n")
        .await;
    assert_eq!((version.status, version.header("sec-websocket-version")), (426, Some("13")));
    for operation in ["client_secrets", "sessions", "transcription_sessions", "calls"] {
        let answer = app.post(&format!("/v1/realtime/{operation}"), &json!({})).await;
        assert_eq!((answer.status, &answer.error()["type"]), (501, &json!("not_implemented_error")));
        assert!(answer.error_message().contains("past this gateway"));
    }
    let failed = ["route=\"/realtime\"", "status_code=\"429\""];
    assert_eq!(app.metric("litellm_proxy_failed_requests_metric_total", &failed).await, 1.0);
    assert_eq!(app.metric("litellm_deployment_success_responses_total", &[]).await, 0.0);
    app.stop().await;
}

#[tokio::test]
async fn a_provider_that_answers_something_else_is_a_failure_of_the_attempt() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n";
    for reply in [ok, wrong, "garbage\r\n\r\n"] {
        let provider = crate::support::RawProvider::start(reply).await;
        let parameters = format!("model: openai/m, api_base: \"http://{}/v1\", api_key: k", provider.address);
        let yaml = format!("{}router_settings: {{num_retries: 0}}\n", model_list(&[("voice", &parameters)]));
        let app = App::start(yaml, Script::new()).await;
        assert_eq!(refusal(&app, "/v1/realtime?model=voice", &[]).await.0, 502, "{reply}");
        until("the provider's connection is closed", || provider.open() == 0).await;
        app.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_its_provider_ends_is_ended_and_what_was_heard_is_counted() {
    for (model, code, event) in [
        ("sim-close-2-4008", 4_008, None),
        ("sim-close-1", 1_011, None),
        ("sim-cut-3-clean", 1_000, None),
        ("sim-cut-3", 1_011, Some("provider_connection_lost")),
        ("sim-reset-1", 1_011, Some("provider_connection_lost")),
    ] {
        let app = start(model).await;
        let mut wire = open(&app, "voice").await;
        say(&mut wire, json!({"type": "response.create"})).await;
        let (said, close) = events(&mut wire, "response.done").await;
        let (found, reason) = close.unwrap();
        assert_eq!(found, code, "{model}: {reason}");
        if event.is_none() {
            assert_eq!(reason, "simulated", "{model}");
        }
        let last = said.last().unwrap();
        assert_eq!(last["error"]["code"].as_str(), event, "{model}");
        app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
        assert_eq!(app.metric("tollgate_estimated_usage_total", &[]).await, 1.0, "{model}");
        assert!(app.metric("litellm_output_tokens_metric_total", &[]).await > 0.0, "{model}");
        assert_eq!(app.metric("litellm_deployment_success_responses_total", &[]).await, 1.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_caller_that_leaves_within_a_response_ends_the_providers_session() {
    let app = start("sim-pace-50ms").await;
    let mut wire = open(&app, "voice").await;
    say(&mut wire, json!({"type": "response.create"})).await;
    events(&mut wire, "response.output_audio_transcript.delta").await;
    drop(wire);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    assert_eq!(app.metric("tollgate_client_disconnects_total", &[]).await, 1.0);
    assert_eq!(app.metric("tollgate_estimated_usage_total", &[]).await, 1.0);
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_event_is_answered_and_the_session_goes_on() {
    let app = start("gpt-realtime").await;
    let mut wire = open(&app, "voice").await;
    events(&mut wire, "session.created").await;
    for (text, code) in [
        ("{not json", "invalid_json"),
        (r#"{"type":"a","type":"b"}"#, "invalid_json"),
        (r#"{"type":"session.update","session":{"model":"gpt-dear"}}"#, "model_not_changeable"),
    ] {
        wire.send(Message::text(text)).await.unwrap();
        let (said, _) = events(&mut wire, "error").await;
        assert_eq!(said[0]["error"]["code"], code, "{text}");
    }
    say(&mut wire, json!({"type": "no.such.event"})).await;
    assert_eq!(events(&mut wire, "error").await.0.len(), 1);
    assert_eq!(respond(&mut wire).await["status"], "completed");
    wire.close(None).await.unwrap();
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    let received = app.received();
    assert_eq!(sessions(&received)[0].messages.len(), 2, "what was refused went nowhere");
    app.stop().await;
}

#[tokio::test]
async fn a_drain_ends_open_sessions_and_opens_no_more() {
    let app = start("gpt-realtime").await;
    let mut wire = open(&app, "voice").await;
    events(&mut wire, "session.created").await;
    let mut kept = app.connect().await;
    kept.write(b"GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n").await;
    assert_eq!(kept.answer().await.status, 200);
    app.gateway.advance(Stage::Draining);
    // What is open goes on.
    assert_eq!(respond(&mut wire).await["status"], "completed");
    app.gateway.advance(Stage::Over);
    let (said, close) = events(&mut wire, "nothing").await;
    assert_eq!(close.unwrap().0, 1_001);
    assert_eq!(said.last().unwrap()["error"]["code"], "gateway_shutting_down");
    app.stop_while_draining().await;
}

/// A provider that a test plays.
pub(crate) struct Played {
    listener: TcpListener,
    address: SocketAddr,
}

impl Played {
    async fn start() -> (Self, App) {
        Self::start_with("").await
    }

    pub(crate) async fn start_with(more: &str) -> (Self, App) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let parameters =
            format!("model: openai/gpt-realtime, api_base: \"http://{address}/v1\", api_key: sk-provider");
        let list = model_list(&[("voice", &parameters)]);
        let yaml = format!("{list}router_settings: {{num_retries: 0}}\n{more}");
        let app = App::start(yaml, Script::new()).await;
        (Self { listener, address }, app)
    }

    pub(crate) async fn accept(&self) -> WebSocketStream<TcpStream> {
        let (stream, _) = self.listener.accept().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the library's own signature")]
        let check = |request: &Request, response: Response| {
            assert!(!request.headers().contains_key("sec-websocket-extensions"));
            assert_eq!(request.headers()["host"], self.address.to_string());
            Ok(response)
        };
        accept_hdr_async(stream, check).await.unwrap()
    }

    /// Both ends of a session.
    async fn session(&self, app: &App) -> (Caller, WebSocketStream<TcpStream>) {
        let (caller, provider) = tokio::join!(open(app, "voice"), self.accept());
        (caller, provider)
    }
}

#[tokio::test]
async fn every_kind_of_frame_goes_both_ways_in_order_and_unchanged() {
    let (played, app) = Played::start().await;
    let (mut caller, mut provider) = played.session(&app).await;
    let frames = [
        Message::text(r#"{ "type" : "input_audio_buffer.append", "audio":"A\u0041\n" }"#),
        Message::binary(vec![0, 255, 1]),
        Message::Ping("far".into()),
        Message::Pong("unasked".into()),
        Message::text(r#"{"type":"x","text":"\u00e4ä"}"#),
    ];
    for frame in &frames {
        caller.send(frame.clone()).await.unwrap();
        provider.send(frame.clone()).await.unwrap();
    }
    for wire in [&mut provider, &mut caller] {
        let mut heard = Vec::new();
        while heard.len() < frames.len() {
            let message = next(wire).await.unwrap().unwrap();
            // The answer to its own ping, which nobody passed on.
            if message != Message::Pong("far".into()) {
                heard.push(message);
            }
        }
        assert_eq!(heard, frames);
    }
    let goodbye = CloseFrame { code: 4_321.into(), reason: "done".into() };
    caller.close(Some(goodbye.clone())).await.unwrap();
    loop {
        match next(&mut provider).await.unwrap().unwrap() {
            Message::Close(frame) => break assert_eq!(frame, Some(goodbye)),
            other => assert!(matches!(other, Message::Pong(_)), "{other:?}"),
        }
    }
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn counts_that_come_after_the_callers_goodbye_are_counted() {
    let (played, app) = Played::start().await;
    let (mut caller, mut provider) = played.session(&app).await;
    caller.close(None).await.unwrap();
    let usage = json!({"total_tokens": 12, "input_tokens": 7, "output_tokens": 5});
    let done = json!({"type": "response.done", "response": {"usage": usage}});
    provider.send(Message::text(done.to_string())).await.unwrap();
    while let Some(Ok(_)) = next(&mut provider).await {}
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    assert_eq!(app.metric("litellm_total_tokens_metric_total", &[]).await, 12.0);
    app.stop().await;
}

#[tokio::test]
async fn a_providers_credential_is_struck_out_of_its_words() {
    let (played, app) = Played::start().await;
    let (mut caller, mut provider) = played.session(&app).await;
    let error = json!({"type": "error", "error": {"message": "Incorrect API key provided: sk-provider"}});
    provider.send(Message::text(error.to_string())).await.unwrap();
    let (said, _) = events(&mut caller, "error").await;
    assert_eq!(said[0]["error"]["message"], "Incorrect API key provided: ****");
    drop(provider);
    events(&mut caller, "nothing").await;
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

/// A caller that writes its frames by hand, masked with zeros.
async fn by_hand(app: &App, extra: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "GET /v1/realtime?model=voice HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: websocket\r\n{extra}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(patiently("the head", stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    stream
}

/// The code of the close that ends a connection, and whether an error event came before it.
async fn close_code(stream: &mut TcpStream) -> (u16, bool) {
    let mut bytes = Vec::new();
    let _ = patiently("the end", stream.read_to_end(&mut bytes)).await;
    let at = bytes.windows(2).rposition(|pair| pair[0] == 0x88 && pair[1] >= 2).expect("no close");
    let text = String::from_utf8_lossy(&bytes);
    (u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]), text.contains("\"type\":\"error\""))
}

#[tokio::test]
async fn hostile_frames_end_their_own_session_with_the_code_that_says_why() {
    let app = start("gpt-realtime").await;
    let masked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    };
    let huge = [&[0x82, 0xff][..], &(64_u64 << 20).to_be_bytes(), &[0; 4], &[7; 1_000]].concat();
    let endless = [&[0x82, 0xff][..], &[0xff; 8], &[0; 4]].concat();
    let mut pieces = masked(0x01, b"{\"a\":");
    pieces.extend(masked(0x81, b"1}"));
    for (bytes, code) in [
        (huge, 1_009),
        (endless, 1_009),
        (masked(0x81, &[0xff, 0xfe]), 1_007),
        // Compressed, as no one agreed to.
        (masked(0xc1, b"x"), 1_002),
        (masked(0x83, b"x"), 1_002),
        // A ping of two pieces, a message within a message, a frame without a mask.
        (masked(0x09, b"x"), 1_002),
        (pieces, 1_002),
        (vec![0x81, 0x02, b'{', b'}'], 1_002),
    ] {
        let mut stream = by_hand(&app, "sec-websocket-extensions: permessage-deflate\r\n").await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut stream).await, (code, true), "{:?}", &bytes[..bytes.len().min(16)]);
    }
    app.until("the sessions end", |app| app.gateway.in_flight() == 0).await;
    app.until("the providers' too", |app| app.simulator.active_requests() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn a_slow_reader_slows_its_provider_and_not_the_gateways_memory() {
    let (played, app) = Played::start().await;
    let (caller, mut provider) = played.session(&app).await;
    let message = Message::binary(vec![0; 1 << 20]);
    let mut sent = 0;
    // The sockets' buffers hold some; then the provider waits, since nobody takes more.
    while sent < 256 {
        match tokio::time::timeout(seconds(1), provider.send(message.clone())).await {
            Ok(done) => done.unwrap(),
            Err(_) => break,
        }
        sent += 1;
    }
    assert!(sent < 64, "{sent} MiB were taken for a caller that reads nothing");
    drop(caller);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_is_not_there_any_more_is_found_out() {
    let (played, app) = Played::start().await;
    // It neither reads nor answers: the pings stay in its socket's buffer.
    let (caller, mut provider) = played.session(&app).await;
    let mut codes = Vec::new();
    for _ in 0..40 {
        advance(seconds(10)).await;
        match tokio::time::timeout(seconds(1), provider.next()).await {
            Ok(Some(Ok(Message::Close(frame)))) => {
                codes.push(frame.map(|frame| u16::from(frame.code)));
                break;
            }
            Ok(None | Some(Err(_))) => break,
            _ => {}
        }
    }
    assert_eq!(codes, [Some(1_001)]);
    drop(caller);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    assert_eq!(app.metric("tollgate_client_disconnects_total", &[]).await, 1.0);
    app.stop().await;
}

/// Both sides answer every ping; what the caller was told last, once the clock was moved on in small steps.
async fn ends_after(minutes: u64, speaks: bool) -> (u64, Value, u16) {
    let (played, app) = Played::start().await;
    let (mut caller, mut provider) = played.session(&app).await;
    let (hush, mut hushed) = tokio::sync::mpsc::channel::<()>(1);
    let listening = tokio::spawn(async move { while let Some(Ok(_)) = provider.next().await {} });
    let ended = tokio::spawn(async move {
        let mut last = Value::Null;
        loop {
            tokio::select! {
                Some(()) = hushed.recv() => say(&mut caller, json!({"type": "x"})).await,
                message = caller.next() => match message {
                    Some(Ok(Message::Text(text))) => last = serde_json::from_str(&text).unwrap(),
                    Some(Ok(Message::Close(frame))) => {
                        let _ = caller.next().await;
                        return (last, frame.map_or(0, |frame| frame.code.into()));
                    }
                    Some(Ok(_)) => {}
                    other => panic!("{other:?}"),
                },
            }
        }
    });
    let mut moved = 0;
    while !ended.is_finished() && moved < minutes * 3 {
        if speaks {
            hush.send(()).await.unwrap();
        }
        advance(seconds(20)).await;
        settle().await;
        moved += 1;
    }
    let (last, code) = patiently("the end", ended).await.unwrap();
    patiently("the provider's end", listening).await.unwrap();
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
    (moved / 3, last["error"]["code"].clone(), code)
}

#[tokio::test]
async fn a_session_ends_when_nobody_speaks_and_when_it_is_too_old() {
    let (minutes, event, code) = ends_after(40, false).await;
    assert_eq!((event, code), (json!("session_idle"), 1_001));
    assert!((30..=31).contains(&minutes), "{minutes}");
    let (minutes, event, code) = ends_after(130, true).await;
    assert_eq!((event, code), (json!("session_expired"), 1_001));
    assert!((120..=121).contains(&minutes), "{minutes}");
}

#[tokio::test]
async fn an_http_request_smuggled_behind_a_handshake_is_no_request() {
    let app = start("gpt-realtime").await;
    let mut stream = by_hand(&app, "").await;
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n").await.unwrap();
    assert_eq!(close_code(&mut stream).await, (1_002, true));
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn other_routes_do_not_become_sessions() {
    let app = Setup::new(one_of(Wire::OpenAi)).start().await;
    let answer = app
        .ask(b"GET /v1/models HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n")
        .await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    app.stop().await;
}
