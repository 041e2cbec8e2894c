//! Mid-stream rescue: a stream that breaks goes on from another deployment, and the caller sees one unbroken answer.

use crate::support::{
    App, Connection, Stream, Wire, advance, data, hello, model_list, post, seconds, settle, streamed, two_of,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::StreamEvent;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai::ChunkDecoder;
use tollgate_dialect::wire::{EventDecoder, Reading};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, responses};
use tollgate_simulator::clouds::{AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY};
use tollgate_simulator::{Answer, Behaviour, CutEnding, Fault, ResetPoint, Rule, Script, ToolCall};

const DONE: &str = "data: [DONE]\n\n";
const TEXT: &str = "Once upon a time,  a gateway\nkept \u{1f600} every word it had begun to say.";

/// Breaking off again and again uses nothing up.
const PATIENCE: &str = "router_settings: {disable_cooldowns: true}\n\
                        tollgate_settings: {retry_budget: {ratio: 1, floor_per_second: 1000}}\n";

/// `a` fails like this in the middle of the text that both have.
fn script(fault: Fault) -> Script {
    texts(fault, TEXT, TEXT)
}

fn texts(fault: Fault, first: &str, second: &str) -> Script {
    Script::new()
        .rule(Rule::deployment("a", Behaviour::new().text(first).fault(fault)))
        .rule(Rule::deployment("b", Behaviour::new().text(second)))
}

/// Every way to break off after so many pieces of the answer.
fn breaks(after: usize) -> [Fault; 7] {
    [
        Fault::cut(after),
        Fault::Cut { after, ending: CutEnding::Terminated },
        Fault::Cut { after, ending: CutEnding::CloseDelimited },
        Fault::Reset(ResetPoint::AfterEvents(after)),
        Fault::MalformedEvent { after },
        Fault::ErrorEvent { after, code: 500 },
        Fault::ErrorEvent { after, code: 529 },
    ]
}

/// The text of a stream of chunks.
fn text_of(events: &[String]) -> String {
    let chunks = events.iter().filter(|event| event.starts_with("data: {")).map(|event| data(event));
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

/// Holds a stream of chunks to be one whole answer.
fn check_whole(events: &[String], place: &str) {
    assert_eq!(text_of(events), TEXT, "{place}: {events:#?}");
    assert_eq!(events.iter().filter(|event| *event == DONE).count(), 1, "{place}");
    assert_eq!(events.last().unwrap(), DONE, "{place}");
    let chunks: Vec<Value> =
        events.iter().filter(|event| event.starts_with("data: {")).map(|event| data(event)).collect();
    let finishes = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"] == "stop");
    assert_eq!(finishes.count(), 1, "{place}");
    for chunk in &chunks {
        for name in ["id", "created", "model"] {
            assert_eq!(chunk[name], chunks[0][name], "{place}: {chunk}");
        }
    }
    let roles = chunks.iter().filter(|chunk| chunk["choices"][0]["delta"]["role"].is_string()).count();
    assert_eq!(roles, 1, "{place}: {chunks:#?}");
}

/// As [`two_of`], where breaking off again and again does not keep the first from being asked.
fn patient(wire: Wire) -> String {
    format!("{}{PATIENCE}", two_of(wire))
}

/// Two deployments, of which the first is always asked first.
fn pair(first: &str, second: &str) -> String {
    let list = model_list(&[("m", &format!("{first}, weight: 1")), ("m", &format!("{second}, weight: 0"))]);
    format!("{list}{PATIENCE}")
}

#[tokio::test]
async fn a_stream_that_breaks_anywhere_goes_on_from_another_deployment() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
        let app = App::start(patient(wire), script(Fault::cut(1))).await;
        for after in 1..TEXT.chars().count().div_ceil(4) {
            // Every place, and at each a few of the ways in turn.
            for fault in breaks(after).into_iter().cycle().skip(after).step_by(3).take(3) {
                let place = format!("{wire:?} {fault:?}");
                let rules = [("a", Some(fault)), ("b", None)].map(|(name, fault)| {
                    Rule::deployment(name, Behaviour { fault, ..Behaviour::new().text(TEXT) })
                });
                app.simulator.script().set_rules(rules.to_vec());
                app.simulator.forget_received();
                let events = app.hello_stream("m").await.rest().await;
                check_whole(&events, &place);
                assert_eq!(app.sends(["a", "b"]), [1, 1], "{place}");
                let labels =
                    events.iter().filter(|event| event.starts_with(": x-tollgate-rescued deployment="));
                assert_eq!(labels.count(), 1, "{place}: {events:#?}");
            }
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn each_attempt_is_settled_once_and_the_rescue_is_counted() {
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let app = App::start(two_of(wire), script(Fault::cut(5))).await;
        let events = app.hello_stream("m").await.rest().await;
        check_whole(&events, "settled");
        let label = events.iter().find(|event| event.starts_with(':')).unwrap();
        assert!(label.ends_with(" mode=replay\n\n"), "{label}");
        assert!(app.metric("litellm_deployment_success_responses_total", &[]).await == 1.0);
        assert!(app.metric("litellm_deployment_failure_responses_total", &[]).await == 1.0);
        assert!(app.metric("litellm_proxy_total_requests_metric_total", &[]).await == 1.0);
        assert!(app.metric("litellm_deployment_total_requests_total", &[]).await == 2.0);
        assert!(app.metric("tollgate_rescues_total", &["outcome=\"replay\""]).await == 1.0);
        assert!(app.metric("tollgate_rescues_total", &[]).await == 1.0);
        assert_eq!(app.gateway.in_flight(), 0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_stream_without_its_reason_to_stop_goes_on_and_one_that_has_it_is_whole() {
    for (wire, sends) in [(Wire::OpenAi, [1, 0]), (Wire::Anthropic, [1, 0]), (Wire::Gemini, [1, 1])] {
        let app = App::start(two_of(wire), script(Fault::NoDone)).await;
        let events = app.hello_stream("m").await.rest().await;
        check_whole(&events, &format!("{wire:?}"));
        assert_eq!(app.sends(["a", "b"]), sends, "{wire:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_stalls_is_kept_alive_and_goes_on_after_its_time() {
    let app = App::start(two_of(Wire::OpenAi), script(Fault::Stall { after: 3 })).await;
    let mut stream = app.hello_stream("m").await;
    let mut events = Vec::new();
    while text_of(&events).len() < 12 {
        events.extend(stream.events(1).await);
    }
    app.until_waiting(1).await;
    advance(seconds(16)).await;
    assert_eq!(stream.event().await.unwrap(), ": keep-alive\n\n");
    settle().await;
    assert_eq!(app.sends(["a", "b"]), [1, 0], "given up early");
    advance(seconds(15)).await;
    events.extend(stream.rest().await);
    events.retain(|event| event != ": keep-alive\n\n");
    check_whole(&events, "stall");
    assert_eq!(app.sends(["a", "b"]), [1, 1]);
    app.until("the silent one is let go", |app| app.received()[0].hung_up).await;
    app.stop().await;
}

#[tokio::test]
async fn several_breaks_in_one_stream_are_rescued_one_after_the_other() {
    let parameters: Vec<String> = ["a", "b", "c", "d"]
        .iter()
        .zip([Wire::OpenAi, Wire::Anthropic, Wire::Gemini, Wire::OpenAi])
        .zip(1..)
        .map(|((name, wire), order)| format!("{}, order: {order}", wire.parameters(name)))
        .collect();
    let list: Vec<(&str, &str)> = parameters.iter().map(|parameters| ("m", parameters.as_str())).collect();
    let breaking = |name: &str, after: usize| {
        Rule::deployment(name, Behaviour::new().text(TEXT).fault(Fault::cut(after)))
    };
    let script = Script::new()
        .rule(breaking("a", 3))
        .rule(breaking("b", 7))
        .rule(breaking("c", 5))
        .rule(Rule::deployment("d", Behaviour::new().text(TEXT)));
    let app = App::start(model_list(&list), script).await;
    let events = app.hello_stream("m").await.rest().await;
    check_whole(&events, "several");
    // The third broke off before it had said anything new.
    assert_eq!(app.sends(["a", "b", "c", "d"]), [1, 1, 1, 1]);
    assert_eq!(events.iter().filter(|event| event.starts_with(':')).count(), 2);
    app.stop().await;
}

/// Holds a stream to end with the error event of the first break.
fn check_broken(events: &[String], part: &str) {
    let (last, sound) = events.split_last().unwrap();
    let message = data(last)["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("litellm.APIConnectionError: APIConnectionError: OpenAIException - "),
        "{message}"
    );
    assert!(TEXT.starts_with(&text_of(sound)) || part.is_empty());
    assert!(text_of(sound).ends_with(part), "{events:?}");
    assert!(!events.contains(&DONE.to_owned()));
    assert!(!events.iter().any(|event| event.starts_with(": x-tollgate")), "{events:?}");
}

#[tokio::test]
async fn another_answer_is_not_put_behind_what_was_begun() {
    let other = TEXT.replace("gateway", "highway");
    for second in [other.as_str(), "", "Once upon"] {
        let app = App::start(two_of(Wire::OpenAi), texts(Fault::cut(8), TEXT, second)).await;
        let events = app.hello_stream("m").await.rest().await;
        check_broken(&events, "way\nkep");
        assert_eq!(app.sends(["a", "b"]), [1, 1]);
        assert!(app.metric("tollgate_rescues_total", &["outcome=\"failed\""]).await == 1.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_call_of_a_tool_that_had_begun_is_not_gone_on_with() {
    let calls = || {
        let call = ToolCall { name: "look".to_owned(), arguments: json!({"place": "behind the third tree"}) };
        Behaviour::new().answer(Answer::Calls(vec![call]))
    };
    let app = App::start(patient(Wire::OpenAi), Script::new()).await;
    for after in 1..4 {
        let rules =
            vec![Rule::deployment("a", calls().fault(Fault::cut(after))), Rule::deployment("b", calls())];
        app.simulator.script().set_rules(rules);
        app.simulator.forget_received();
        let mut body = streamed(hello("m"));
        let parameters = json!({"type": "object", "properties": {"place": {"type": "string"}}});
        body["tools"] = json!([{"type": "function", "function": {"name": "look", "parameters": parameters}}]);
        let events = app.stream(&body).await.rest().await;
        let has_begun = events.iter().any(|event| event.contains("tool_calls"));
        assert!(has_begun, "{events:?}");
        check_broken(&events, "");
        assert_eq!(app.sends(["a", "b"]), [1, 0], "{after}");
    }
    assert!(app.metric("tollgate_rescues_total", &["outcome=\"impossible\""]).await == 3.0);
    app.stop().await;
}

#[tokio::test]
async fn several_answers_at_once_are_not_gone_on_with() {
    let app = App::start(two_of(Wire::OpenAi), script(Fault::cut(9))).await;
    let mut body = streamed(hello("m"));
    body["n"] = json!(2);
    let events = app.stream(&body).await.rest().await;
    assert!(data(events.last().unwrap())["error"].is_object(), "{events:?}");
    assert_eq!(app.sends(["a", "b"]), [1, 0]);
    app.stop().await;
}

#[tokio::test]
async fn switched_off_or_alone_a_break_is_told_as_an_error() {
    let off = format!("{}tollgate_settings: {{rescue: false}}\n", two_of(Wire::OpenAi));
    for yaml in [off, crate::support::one_of(Wire::OpenAi)] {
        let app = App::start(yaml, script(Fault::cut(8))).await;
        let events = app.hello_stream("m").await.rest().await;
        check_broken(&events, "way\nkep");
        assert_eq!(app.sends(["a", "b"]), [1, 0]);
        assert!(app.metric("tollgate_rescues_total", &[]).await == 0.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn six_sends_are_the_most_of_one_request() {
    let parameters: Vec<String> = (0..9)
        .map(|number| {
            let name = if number == 0 { "first".to_owned() } else { format!("a{number}") };
            format!("{}, weight: {}", Wire::OpenAi.parameters(&name), u8::from(number == 0))
        })
        .collect();
    let list: Vec<(&str, &str)> = parameters.iter().map(|parameters| ("m", parameters.as_str())).collect();
    let app = App::start(model_list(&list), Script::new()).await;
    app.simulator.script().set_rules(vec![
        Rule::deployment("first", Behaviour::new().text(TEXT).fault(Fault::cut(3))),
        Rule::any(Behaviour::new().fault(Fault::status(503))),
    ]);
    let events = app.hello_stream("m").await.rest().await;
    check_broken(&events, "");
    assert_eq!(app.received().len(), 6);
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_goes_during_a_rescue_takes_it_along() {
    let script = Script::new()
        .rule(Rule::deployment("a", Behaviour::new().text(TEXT).fault(Fault::cut(3))))
        .rule(Rule::deployment("b", Behaviour::new().fault(Fault::Hang)));
    let app = App::start(two_of(Wire::OpenAi), script).await;
    let mut stream = app.hello_stream("m").await;
    stream.events(2).await;
    app.until("the rescue waits", |app| app.sends(["b"]) == [1] && app.simulator.active_requests() == 1)
        .await;
    assert_eq!(app.gateway.in_flight(), 1);
    drop(stream);
    app.until("the rescue is let go", |app| app.simulator.active_requests() == 0).await;
    app.until("the request is over", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

/// The parameters of a deployment that goes on from the assistant's turn.
fn prefilled(model: &str, base: &str) -> String {
    format!("model: {model}, api_base: \"http://{{sim}}/d/b{base}\", api_key: sk-key-of-b")
}

#[tokio::test]
async fn a_model_that_goes_on_from_the_assistants_turn_is_asked_to() {
    for (model, base) in [
        ("anthropic/claude-sonnet-4-5", ""),
        ("bedrock/anthropic.claude-3-5-haiku-20241022-v1:0", ""),
        ("mistral/mistral-large-latest", "/v1"),
        ("deepseek/deepseek-chat", "/v1"),
    ] {
        let second = match model.split_once('/').unwrap().0 {
            "bedrock" => {
                let keys = format!(
                    "aws_access_key_id: {AWS_ACCESS_KEY_ID}, aws_secret_access_key: \"{AWS_SECRET_ACCESS_KEY}\""
                );
                let at = "aws_bedrock_runtime_endpoint: \"http://{sim}\", aws_region_name: us-east-1";
                format!("model: {model}, {at}, {keys}")
            }
            "mistral" => {
                format!("model: {model}, api_base: \"http://{{sim}}/mistral/v1\", api_key: sk-key-of-b")
            }
            _ => prefilled(model, base),
        };
        let app = App::start(pair(&Wire::OpenAi.parameters("a"), &second), Script::new()).await;
        for after in 9..17 {
            let mut sound = Behaviour::new().text(TEXT);
            sound.lenient = model.starts_with("deepseek");
            let breaking = Behaviour::new().text(TEXT).fault(Fault::cut(after));
            app.simulator.script().set_rules(vec![Rule::deployment("a", breaking), Rule::any(sound)]);
            app.simulator.forget_received();
            let events = app.hello_stream("m").await.rest().await;
            let place = format!("{model} after {after}");
            check_whole(&events, &place);
            let label = events.iter().find(|event| event.starts_with(':')).unwrap();
            assert!(label.ends_with(" mode=prefill\n\n"), "{place}: {label}");
            let received = app.received();
            assert_eq!(received.len(), 2, "{place}");
            let asked = received[1].json();
            let last = asked["messages"].as_array().unwrap().last().unwrap();
            assert_eq!(last["role"], "assistant", "{place}");
            let content = &last["content"];
            let said = content.as_str().or_else(|| content[0]["text"].as_str()).unwrap();
            let sent: String = TEXT.chars().take(after * 4).collect();
            assert_eq!(said, sent.trim_end(), "{place}");
            let is_marked = last["prefix"] == true;
            assert_eq!(is_marked, matches!(model.as_bytes()[0], b'm' | b'd'), "{place}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_model_that_refuses_the_assistants_turn_is_asked_anew() {
    // It goes by the name of one that takes it.
    let second = format!("{}, weight: 0", prefilled("anthropic/claude-opus-4-8", ""));
    for is_tried in [true, false] {
        let base = if is_tried { ", model_info: {base_model: claude-sonnet-4-5}" } else { "" };
        let first = Wire::OpenAi.parameters("a");
        let yaml = format!(
            "model_list:\n  - {{model_name: m, litellm_params: {{{first}, weight: 1}}}}\n  \
             - {{model_name: m, litellm_params: {{{second}}}{base}}}\n"
        );
        let app = App::start(yaml, script(Fault::cut(9))).await;
        let events = app.hello_stream("m").await.rest().await;
        check_whole(&events, &second);
        let label = events.iter().find(|event| event.starts_with(':')).unwrap();
        assert!(label.ends_with(" mode=replay\n\n"), "{label}");
        assert_eq!(app.sends(["a", "b"]), [1, if is_tried { 2 } else { 1 }]);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_thinking_model_is_not_asked_to_go_on_from_its_turn() {
    let second = prefilled("anthropic/claude-sonnet-4-5", "");
    let app = App::start(pair(&Wire::OpenAi.parameters("a"), &second), script(Fault::cut(9))).await;
    let mut body = streamed(hello("m"));
    body["reasoning_effort"] = json!("low");
    let mut stream = app.stream(&body).await;
    let events = stream.rest().await;
    assert_eq!(text_of(&events), TEXT);
    assert!(app.received()[1].json()["messages"].as_array().unwrap().len() == 1);
    app.stop().await;
}

/// A caller's dialect: its path, its body, how its stream is read.
struct Voice {
    name: &'static str,
    path: &'static str,
    body: Value,
    framing: Framing,
    decoder: Box<dyn EventDecoder>,
    takes_comments: bool,
}

fn voices() -> Vec<Voice> {
    let turn = json!([{"role": "user", "content": "hello there"}]);
    let reading = || Reading { model: "m".to_owned(), ..Reading::default() };
    let blocks = json!([{"role": "user", "content": [{"text": "hello there"}]}]);
    let parts = json!([{"role": "user", "parts": [{"text": "hello there"}]}]);
    vec![
        Voice {
            name: "chat",
            path: "/v1/chat/completions",
            body: json!({"model": "m", "stream": true, "messages": turn}),
            framing: Framing::events(),
            decoder: Box::new(ChunkDecoder::new()),
            takes_comments: true,
        },
        Voice {
            name: "responses",
            path: "/v1/responses",
            body: json!({"model": "m", "stream": true, "input": "hello there"}),
            framing: Framing::events(),
            decoder: Box::new(responses::StreamDecoder::new()),
            takes_comments: true,
        },
        Voice {
            name: "messages",
            path: "/v1/messages",
            body: json!({"model": "m", "stream": true, "max_tokens": 900, "messages": turn}),
            framing: Framing::events(),
            decoder: Box::new(anthropic::StreamDecoder::new(reading())),
            takes_comments: true,
        },
        Voice {
            name: "gemini",
            path: "/v1beta/models/m:streamGenerateContent?alt=sse",
            body: json!({"contents": parts}),
            framing: Framing::events(),
            decoder: Box::new(gemini::StreamDecoder::new(&reading())),
            // Google's own package reads comments as JSON.
            takes_comments: false,
        },
        Voice {
            name: "bedrock",
            path: "/model/m/converse-stream",
            body: json!({"messages": blocks}),
            framing: Framing::event_stream(),
            decoder: Box::new(bedrock::StreamDecoder::new(reading())),
            takes_comments: false,
        },
        Voice {
            name: "cohere",
            path: "/v2/chat",
            body: json!({"model": "m", "stream": true, "messages": turn}),
            framing: Framing::events(),
            decoder: Box::new(cohere::StreamDecoder::new(reading())),
            takes_comments: true,
        },
    ]
}

/// The bytes of a whole stream.
async fn bytes_of(app: &App, voice: &Voice) -> Vec<u8> {
    let mut connection = Connection::open(app.address).await;
    connection.write(&post(voice.path, &[], voice.body.to_string().as_bytes())).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200, "{}: {}", voice.name, answer.everything());
    answer.body
}

#[tokio::test]
async fn every_dialects_caller_sees_one_unbroken_answer() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
        for after in [1, 4, 9, 16] {
            for fault in [Fault::cut(after), Fault::MalformedEvent { after }] {
                let app = App::start(patient(wire), script(fault.clone())).await;
                for mut voice in voices() {
                    app.simulator.forget_received();
                    let bytes = bytes_of(&app, &voice).await;
                    let place = format!("{} {wire:?} {fault:?}", voice.name);
                    let shown = String::from_utf8_lossy(&bytes).into_owned();
                    voice.framing.push(Bytes::from(bytes));
                    let mut events = Vec::new();
                    while let Some(frame) = voice.framing.next_frame().unwrap() {
                        voice
                            .decoder
                            .read(&frame, &mut events)
                            .unwrap_or_else(|fault| panic!("{place}: {fault:?}\n{shown}"));
                    }
                    let said = events.iter().filter_map(|event| match event {
                        StreamEvent::Text { delta, .. } => Some(delta.as_str()),
                        _ => None,
                    });
                    assert_eq!(said.collect::<String>(), TEXT, "{place}\n{shown}");
                    let ends =
                        events.iter().filter(|event| matches!(event, StreamEvent::Finish { .. })).count();
                    assert_eq!((ends, voice.decoder.is_complete()), (1, true), "{place}\n{shown}");
                    assert_eq!(app.sends(["a", "b"]), [1, 1], "{place}");
                    assert_eq!(
                        shown.contains("x-tollgate-rescued"),
                        voice.takes_comments,
                        "{place}\n{shown}"
                    );
                }
                app.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn googles_array_stays_an_array() {
    let app = App::start(two_of(Wire::Gemini), script(Fault::cut(5))).await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]});
    let answer = app.post("/v1beta/models/m:streamGenerateContent", &body).await;
    let pieces = answer.json();
    let said = pieces.as_array().unwrap().iter().filter_map(|piece| {
        piece["candidates"][0]["content"]["parts"][0]["text"].as_str().map(str::to_owned)
    });
    assert_eq!(said.collect::<String>(), TEXT);
    app.stop().await;
}

/// All of a stream, once it began.
async fn rest_of(mut stream: Stream) -> Vec<String> {
    stream.rest().await
}

#[tokio::test]
async fn a_response_that_went_on_from_elsewhere_is_kept_and_continued() {
    for wire in [Wire::Anthropic, Wire::OpenAi] {
        check_kept(wire).await;
    }
}

async fn check_kept(wire: Wire) {
    let app = App::start(patient(wire), script(Fault::cut(5))).await;
    let body = json!({"model": "m", "stream": true, "input": "hello there"});
    let mut connection = app.connect().await;
    connection.write(&post("/v1/responses", &[], body.to_string().as_bytes())).await;
    let events = rest_of(connection.stream().await).await;
    let last = events.iter().rev().find(|event| event.contains("response.completed")).unwrap();
    let response = data(last)["response"].clone();
    assert_eq!(response["output"][0]["content"][0]["text"], TEXT);
    let numbers: Vec<u64> = events
        .iter()
        .filter(|event| event.starts_with("event:"))
        .map(|event| data(event)["sequence_number"].as_u64().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let id = response["id"].as_str().unwrap();
    let kept = app.get(&format!("/v1/responses/{id}")).await;
    assert_eq!(kept.json()["output"][0]["content"][0]["text"], TEXT);
    // No provider has all of it, so the next turn takes it along.
    let next = json!({"model": "m", "input": "and then?", "previous_response_id": id});
    app.simulator.script().set_rules(vec![Rule::any(Behaviour::new().text("the end"))]);
    assert_eq!(app.post("/v1/responses", &next).await.json()["output"][0]["content"][0]["text"], "the end");
    let asked = app.received().last().unwrap().json();
    assert!(
        asked.get("previous_response_id").is_none() && asked.to_string().contains("every word"),
        "{asked}"
    );
    app.stop().await;
}
