//! Streams: what passes through, what ends them, who notices when one side goes.

use crate::support::{
    App, Connection, RawProvider, Setup, Stream, WIRES, Wire, advance, data, hello, model_list, one_of, post,
    seconds, settle, streamed, until,
};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_server::Stage;
use tollgate_simulator::{Answer, Behaviour, CutEnding, Fault, ResetPoint, Rule, Script, UsageFault};

const DONE: &str = "data: [DONE]\n\n";

fn tokens(count: u64) -> Behaviour {
    Behaviour::new().answer(Answer::Tokens(count))
}

fn always(behaviour: Behaviour) -> Script {
    Script::new().rule(Rule::any(behaviour))
}

/// The text of a stream's events.
fn text_of(events: &[String]) -> String {
    let chunks = events.iter().filter(|event| *event != DONE).map(|event| data(event));
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

/// Makes what differs between two runs of one stream the same: ids, times and signatures.
fn normal(events: &[String]) -> Vec<String> {
    let mask = |mut chunk: Value| {
        chunk["id"] = json!("id");
        chunk["created"] = json!(0);
        let blocks = chunk.pointer_mut("/choices/0/delta/thinking_blocks").and_then(Value::as_array_mut);
        for block in blocks.into_iter().flatten() {
            block["signature"] = json!("signature");
        }
        format!("data: {chunk}\n\n")
    };
    events.iter().map(|event| if event == DONE { event.clone() } else { mask(data(event)) }).collect()
}

/// What the simulator itself sends to such a request.
async fn direct(app: &App, body: &Value) -> Vec<String> {
    let mut connection = Connection::open(app.simulator.address()).await;
    let headers = [("authorization", "Bearer sk-direct")];
    connection.write(&post("/v1/chat/completions", &headers, body.to_string().as_bytes())).await;
    connection.stream().await.rest().await
}

/// Holds the last event against the contract for a stream that broke.
fn check_broken(event: &str, wire: Wire) {
    let error = data(event);
    assert_eq!(error.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"]);
    let error = &error["error"];
    let keys: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["message", "type", "param", "code"]);
    assert_eq!(
        (&error["type"], &error["param"], &error["code"]),
        (&Value::Null, &Value::Null, &json!("500"))
    );
    let opening = format!("litellm.APIConnectionError: APIConnectionError: {} - ", wire.exception());
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with(&opening), "{message}");
    for told in ["127.0.0.1", "sk-key-of", "/d/a"] {
        assert!(!message.contains(told), "{message}");
    }
}

#[tokio::test]
async fn a_fault_before_the_first_content_costs_the_caller_nothing() {
    for wire in WIRES {
        for fault in [
            Fault::cut(0),
            Fault::Cut { after: 0, ending: CutEnding::Terminated },
            Fault::Cut { after: 0, ending: CutEnding::CloseDelimited },
            Fault::Reset(ResetPoint::AfterEvents(0)),
            Fault::MalformedEvent { after: 0 },
            Fault::ErrorEvent { after: 0, code: 500 },
            Fault::ErrorEvent { after: 0, code: 429 },
            Fault::BadUtf8,
        ] {
            let behaviour = Behaviour::new().text("from the broken one").fault(fault.clone());
            let script = Script::new()
                .rule(Rule::deployment("a", behaviour))
                .rule(Rule::deployment("b", Behaviour::new().text("from the sound one")));
            let app = App::start(crate::support::two_of(wire), script).await;
            let mut stream = app.hello_stream("m").await;
            let events = stream.rest().await;
            assert_eq!(text_of(&events), "from the sound one", "{wire:?} {fault:?}");
            assert!(!events.concat().contains("broken"), "{wire:?} {fault:?}: {events:?}");
            assert_eq!(events.last().unwrap(), DONE);
            let ids: Vec<Value> =
                events.iter().filter(|e| *e != DONE).map(|e| data(e)["id"].clone()).collect();
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "two streams in one: {ids:?}");
            assert_eq!(app.sends(["a", "b"]), [1, 1]);
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn a_fault_after_content_ends_the_stream_with_an_error_event_and_leaves_what_came_unharmed() {
    for wire in WIRES {
        for fault in [
            Fault::cut(3),
            Fault::Cut { after: 3, ending: CutEnding::Terminated },
            Fault::Cut { after: 3, ending: CutEnding::CloseDelimited },
            Fault::Reset(ResetPoint::AfterEvents(3)),
            Fault::MalformedEvent { after: 3 },
            Fault::ErrorEvent { after: 3, code: 500 },
            Fault::ErrorEvent { after: 3, code: 529 },
        ] {
            let behaviour = Behaviour::new().answer(Answer::Tokens(9));
            let app = App::start(one_of(wire), always(behaviour.clone())).await;
            let whole = app.hello_stream("m").await.rest().await;
            app.simulator.script().set_rules(vec![Rule::any(behaviour.fault(fault.clone()))]);
            let events = app.hello_stream("m").await.rest().await;
            let (last, sound) = events.split_last().unwrap();
            check_broken(last, wire);
            assert_eq!(events.iter().filter(|event| *event == DONE).count(), 0, "{wire:?} {fault:?}");
            let expected = normal(&whole);
            assert_eq!(normal(sound), expected[..sound.len()], "{wire:?} {fault:?}");
            assert_eq!(text_of(sound), text_of(&whole[..sound.len()]));
            let contents = sound.iter().filter(|event| event.contains("\"content\":\"")).count();
            assert!(contents >= 3, "{wire:?} {fault:?}: {sound:?}");
            app.until("the provider is let go", |app| app.simulator.active_requests() == 0).await;
            // Nothing is sent again once the caller has seen content.
            assert_eq!(app.received().len(), 2);
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn a_stall_after_content_ends_the_stream_once_it_is_too_long() {
    for wire in WIRES {
        let app = App::start(one_of(wire), always(tokens(9).fault(Fault::Stall { after: 3 }))).await;
        let mut stream = app.hello_stream("m").await;
        let mut events = Vec::new();
        while text_of(&events).is_empty() {
            events.extend(stream.events(1).await);
        }
        app.until_waiting(1).await;
        advance(seconds(29)).await;
        settle().await;
        assert_eq!(app.simulator.active_requests(), 1, "given up early");
        advance(seconds(1)).await;
        let rest = stream.rest().await;
        check_broken(rest.last().unwrap(), wire);
        assert!(!rest.contains(&DONE.to_owned()));
        app.until("the provider is let go", |app| app.received()[0].hung_up).await;
        app.stop().await;
    }
}

#[tokio::test]
async fn an_end_without_its_mark_is_an_end_where_the_reason_to_stop_came() {
    let app = App::start(one_of(Wire::OpenAi), always(tokens(4))).await;
    let whole = app.hello_stream("m").await.rest().await;
    app.simulator.script().set_rules(vec![Rule::any(tokens(4).fault(Fault::NoDone))]);
    let events = app.hello_stream("m").await.rest().await;
    assert_eq!(normal(&events), normal(&whole));
    assert_eq!(events.last().unwrap(), DONE);
    app.stop().await;
}

#[tokio::test]
async fn usage_is_seen_by_those_who_ask_and_asked_of_the_provider_always() {
    let app = App::start(one_of(Wire::OpenAi), always(tokens(5))).await;
    let mut plain = streamed(hello("m"));
    plain["model"] = json!("gpt-4o");
    let mut asking = plain.clone();
    asking["stream_options"] = json!({"include_usage": true});
    let mut refusing = plain.clone();
    refusing["stream_options"] = json!({"include_usage": false});
    for (body, expect) in [(&plain, &plain), (&refusing, &plain), (&asking, &asking)] {
        let mut asked = body.clone();
        asked["model"] = json!("m");
        app.simulator.forget_received();
        let events = app.stream(&asked).await.rest().await;
        assert_eq!(app.received()[0].json()["stream_options"]["include_usage"], true, "{body}");
        // Byte by byte what the provider says to a caller of its own, but for the model's name.
        let renamed: Vec<String> = direct(&app, expect)
            .await
            .iter()
            .map(|event| event.replace("\"model\":\"gpt-4o\"", "\"model\":\"m\""))
            .collect();
        assert_eq!(normal(&events), normal(&renamed), "{body}");
        assert_eq!(events.concat().contains("usage"), body == &asking, "{body}");
    }
    app.stop().await;
}

#[tokio::test]
async fn usage_in_other_dialects_is_the_last_chunk_of_those_who_ask() {
    for wire in WIRES {
        for fault in [None, Some(Fault::Usage(UsageFault::Twice))] {
            let behaviour = Behaviour { fault: fault.clone(), ..tokens(5) };
            let app = App::start(one_of(wire), always(behaviour)).await;
            let events = app.hello_stream("m").await.rest().await;
            assert!(!events.concat().contains("usage"), "{wire:?}: {events:?}");
            let mut body = streamed(hello("m"));
            body["stream_options"] = json!({"include_usage": true});
            let events = app.stream(&body).await.rest().await;
            assert_eq!(events.last().unwrap(), DONE);
            let usage = data(&events[events.len() - 2]);
            assert_eq!(usage["choices"], json!([]), "{wire:?}");
            let (prompt, completion) = app.received()[1].tokens;
            assert_eq!(usage["usage"]["prompt_tokens"], prompt, "{wire:?} {fault:?}");
            assert_eq!(usage["usage"]["completion_tokens"], completion, "{wire:?} {fault:?}");
            assert_eq!(usage["usage"]["total_tokens"], prompt + completion);
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn every_chunk_has_the_name_that_the_caller_asked_for_and_one_id() {
    for wire in WIRES {
        let name = "my \"own\" \u{1f600}/name";
        let app = App::start(model_list(&[(name, &wire.parameters("a"))]), always(tokens(6))).await;
        let events = app.hello_stream(name).await.rest().await;
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(last, DONE);
        let first = data(&chunks[0]);
        for chunk in chunks.iter().map(|event| data(event)) {
            assert_eq!(chunk["model"], name, "{wire:?}");
            assert_eq!(chunk["object"], "chat.completion.chunk");
            assert_eq!(chunk["id"], first["id"], "{wire:?}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_streams_head_is_litellms() {
    let app = App::start(one_of(Wire::OpenAi), Script::new()).await;
    let mut stream = app.hello_stream("m").await;
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("x-litellm-model-group", "m"),
        ("x-litellm-model-name", "openai/gpt-4o"),
        ("x-litellm-response-cost-original", "0.0"),
        ("x-litellm-attempted-retries", "0"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(stream.head.header(name), Some(value), "{name}");
    }
    stream.rest().await;
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_before_the_head_frees_the_provider_at_once() {
    for wire in WIRES {
        for (body, fault) in [
            (hello("m"), Fault::Hang),
            (streamed(hello("m")), Fault::Hang),
            (streamed(hello("m")), Fault::Stall { after: 0 }),
        ] {
            let app = App::start(one_of(wire), always(Behaviour::new().fault(fault.clone()))).await;
            let mut connection = app.connect().await;
            connection.write(&post("/v1/chat/completions", &[], body.to_string().as_bytes())).await;
            app.until_waiting(1).await;
            drop(connection);
            app.until("the provider is let go", |app| app.simulator.active_requests() == 0).await;
            let received = app.received();
            assert!(
                received.len() == 1 && received[0].hung_up && !received[0].finished,
                "{wire:?} {fault:?}"
            );
            until("nothing is in flight", || app.gateway.in_flight() == 0).await;
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_after_some_events_frees_the_provider_at_once() {
    for wire in WIRES {
        for taken in [1, 4] {
            // The provider waits within the stream, so that it cannot come to its end by itself.
            let app = App::start(one_of(wire), always(tokens(50).fault(Fault::Stall { after: 20 }))).await;
            let mut stream = app.hello_stream("m").await;
            stream.events(taken).await;
            app.until_waiting(1).await;
            drop(stream);
            app.until("the provider is let go", |app| app.simulator.active_requests() == 0).await;
            assert!(app.received()[0].hung_up, "{wire:?}");
            assert_eq!(app.metric("tollgate_client_disconnects_total", &[]).await, 1.0);
            app.stop().await;
        }
    }
}

/// A provider of a stream that no socket's buffer holds, and a gateway before it.
async fn before_a_flood() -> (App, RawProvider) {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "x",
        "choices": [{"index": 0, "delta": {"content": "x".repeat(64 << 10)}, "finish_reason": null}],
    });
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let event = format!("data: {chunk}\n\n");
    let provider = RawProvider::flood(head, event, FLOOD_BYTES / (64 << 10)).await;
    let parameters = Wire::OpenAi.parameters("a").replace("{sim}", &provider.address.to_string());
    let app = Setup::new(model_list(&[("m", &parameters)])).reply_bytes_max(1 << 30).start().await;
    (app, provider)
}

/// Several times as much as the sockets' buffers hold.
const FLOOD_BYTES: usize = 512 << 20;

/// Waits until the provider can write no more.
async fn until_full(provider: &RawProvider) {
    let mut before = 0;
    while before != provider.written() || before == 0 {
        before = provider.written();
        settle().await;
    }
}

#[tokio::test]
async fn however_the_providers_bytes_are_cut_the_callers_are_the_same() {
    for wire in WIRES {
        let behaviour = tokens(5).reasoning("thinking \u{1f600} about it");
        let app = App::start(one_of(wire), always(behaviour.clone())).await;
        let whole = normal(&app.hello_stream("m").await.rest().await);
        for fault in [Fault::OneByteChunks, Fault::Gzip] {
            app.simulator.script().set_rules(vec![Rule::any(behaviour.clone().fault(fault.clone()))]);
            let events = normal(&app.hello_stream("m").await.rest().await);
            assert_eq!(events, whole, "{wire:?} {fault:?}");
        }
        app.stop().await;
    }
}

/// A deployment of OpenAI's that streams these bytes.
async fn streaming(body: &str) -> (App, RawProvider) {
    let provider = RawProvider::of("text/event-stream", body).await;
    let parameters = Wire::OpenAi.parameters("a").replace("{sim}", &provider.address.to_string());
    let yaml = model_list(&[("m", &parameters)]) + "router_settings: {num_retries: 0}\n";
    (App::start(yaml, Script::new()).await, provider)
}

fn chunk(content: &str, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": {"content": content}, "finish_reason": finish});
    let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {chunk}\n\n")
}

#[tokio::test]
async fn every_form_of_an_event_stream_is_read() {
    let (first, last) = (chunk("one", None), chunk("two", Some("stop")));
    let plain = format!("{first}{last}{DONE}");
    let mixed = format!("{}\n{}", first.replace('\n', "\r\n"), last.replace('\n', "\r"));
    for body in [
        plain.clone(),
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        format!("{mixed}{DONE}"),
        plain.replace("data: ", "data:"),
        format!("\u{feff}{plain}"),
        format!(": comment\n\n{plain}"),
        format!("retry: 10\nid: 7\n{plain}"),
        format!("event: message\n{plain}"),
        format!("unknown: field\nnocolon\n{plain}"),
        format!("{plain}data: what follows the end is nobody's\n\n"),
        plain.trim_end().to_owned(),
    ] {
        let (app, _provider) = streaming(&body).await;
        let text = app.chat(&streamed(hello("m"))).await.text();
        let said: String = text
            .split(['\n', '\r'])
            .filter_map(|line| line.trim_start_matches('\u{feff}').strip_prefix("data:"))
            .filter(|data| data.contains("choices"))
            .map(|data| serde_json::from_str::<Value>(data).unwrap())
            .map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(said, "onetwo", "{body:?}: {text:?}");
        assert_eq!(text.matches("[DONE]").count(), 1, "{body:?}: {text:?}");
        assert!(!text.contains("nobody's"));
        app.stop().await;
    }
}

#[tokio::test]
async fn an_event_beyond_the_cap_ends_the_stream() {
    for long in ["x".repeat(2 << 20), "x\n: ".repeat(300_000)] {
        let (app, provider) = streaming(&format!("{}: {long}\n{DONE}", chunk("one", None))).await;
        let events = app.hello_stream("m").await.rest().await;
        assert_eq!(events[0], chunk("one", None));
        check_broken(events.last().unwrap(), Wire::OpenAi);
        assert!(!events.contains(&DONE.to_owned()));
        until("the provider is let go", || provider.open() == 0).await;
        app.stop().await;
    }
}

#[tokio::test]
async fn a_stream_is_in_flight_until_its_end() {
    let app = App::start(one_of(Wire::OpenAi), always(tokens(50).fault(Fault::Stall { after: 20 }))).await;
    let mut streams = vec![begun(&app).await, begun(&app).await];
    assert_eq!(app.gateway.in_flight(), 2);
    assert_eq!(app.metric("litellm_in_flight_requests", &[]).await, 2.0);
    drop(streams.pop());
    until("the one that hung up is gone", || app.gateway.in_flight() == 1).await;
    app.simulator.script().set_rules(vec![Rule::any(tokens(5))]);
    app.hello_stream("m").await.rest().await;
    until("the one that came to its end is gone", || app.gateway.in_flight() == 1).await;
    drop(streams);
    until("nothing is in flight", || app.gateway.in_flight() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_provider_instead_of_filling_memory() {
    let (app, provider) = before_a_flood().await;
    let mut stream = app.hello_stream("m").await;
    stream.events(1).await;
    until_full(&provider).await;
    let written = provider.written();
    assert!(written < FLOOD_BYTES / 2, "{written} bytes were taken for a caller that reads none");
    drop(stream);
    until("the provider is let go", || provider.open() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_takes_no_byte_is_let_go_after_its_time() {
    let (app, provider) = before_a_flood().await;
    let mut stream = app.hello_stream("m").await;
    stream.events(1).await;
    until_full(&provider).await;
    advance(seconds(59)).await;
    settle().await;
    assert_eq!(provider.open(), 1);
    advance(seconds(2)).await;
    until("the provider is let go", || provider.open() == 0).await;
    assert!(provider.written() < FLOOD_BYTES / 2);
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn fifty_streams_at_once_are_each_byte_exact() {
    let texts: Vec<String> =
        (0..50).map(|number| format!("stream number {number} says: {}", "word ".repeat(number))).collect();
    for wire in WIRES {
        let app = App::start(one_of(wire), always(Behaviour::new().pace(Duration::from_millis(1)))).await;
        let mut running = tokio::task::JoinSet::new();
        for text in &texts {
            let (address, text) = (app.address, text.clone());
            running.spawn(async move {
                let mut body = streamed(hello("m"));
                body["messages"][0]["content"] = json!(text);
                let mut connection = Connection::open(address).await;
                connection.write(&post("/v1/chat/completions", &[], body.to_string().as_bytes())).await;
                let events = connection.stream().await.rest().await;
                (text, events)
            });
        }
        let mut seen = 0;
        while let Some(done) = running.join_next().await {
            let (text, events) = done.unwrap();
            assert_eq!(events.last().unwrap(), DONE);
            assert!(text_of(&events).contains(text.trim_end()), "{wire:?} {text}: {}", text_of(&events));
            let ids: Vec<Value> =
                events.iter().filter(|e| *e != DONE).map(|e| data(e)["id"].clone()).collect();
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "streams were mixed");
            seen += 1;
        }
        assert_eq!((seen, app.received().len()), (50, 50));
        assert!(app.received().iter().all(|got| got.finished));
        app.stop().await;
    }
}

/// A stream that has begun and waits for its provider.
async fn begun(app: &App) -> Stream {
    let mut stream = app.hello_stream("m").await;
    stream.events(2).await;
    stream
}

#[tokio::test]
async fn draining_lets_streams_finish_and_takes_no_new_connection() {
    let app = App::start(one_of(Wire::OpenAi), always(tokens(30).pace(Duration::from_millis(5)))).await;
    let mut stream = begun(&app).await;
    let mut idle = app.connect().await;
    idle.write(b"GET /health/readiness HTTP/1.1\r\nhost: g\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    app.gateway.advance(Stage::Draining);
    let events = stream.rest().await;
    assert_eq!(events.last().unwrap(), DONE);
    // An idle connection is closed, a new one is not taken.
    assert!(idle.try_answer().await.is_none());
    until("the listener is gone", || std::net::TcpStream::connect(app.address).is_err()).await;
    app.stop_while_draining().await;
}

#[tokio::test]
async fn the_end_of_the_grace_time_ends_streams_with_the_error_event() {
    for wire in WIRES {
        let app = App::start(one_of(wire), always(tokens(30).fault(Fault::Stall { after: 5 }))).await;
        let mut streams = [begun(&app).await, begun(&app).await, begun(&app).await];
        app.until_waiting(3).await;
        app.gateway.advance(Stage::Draining);
        settle().await;
        assert_eq!(app.simulator.active_requests(), 3);
        app.gateway.advance(Stage::Over);
        for stream in &mut streams {
            let events = stream.rest().await;
            check_broken(events.last().unwrap(), wire);
            assert!(events.last().unwrap().contains("the gateway is shutting down"));
            assert!(!events.contains(&DONE.to_owned()));
        }
        app.stop_while_draining().await;
    }
}

#[tokio::test]
async fn completions_stream_in_their_own_shape_on_every_wire() {
    for wire in WIRES {
        let app = App::start(one_of(wire), always(tokens(5))).await;
        let body = json!({"model": "m", "prompt": "Say it", "stream": true, "max_tokens": 50});
        let mut connection = app.connect().await;
        connection.write(&post("/v1/completions", &[], body.to_string().as_bytes())).await;
        let events = connection.stream().await.rest().await;
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(last, DONE);
        let mut text = String::new();
        for chunk in chunks.iter().map(|event| data(event)) {
            assert_eq!(
                (&chunk["object"], &chunk["model"]),
                (&json!("text_completion"), &json!("m")),
                "{wire:?}"
            );
            text.push_str(chunk["choices"][0]["text"].as_str().unwrap_or_default());
        }
        assert!(!text.is_empty(), "{wire:?}: {events:?}");
        app.stop().await;
    }
}
