//! Replies of providers that are none: what the caller hears, what it never sees, and who answers instead.

use crate::support::{
    Answer, App, REPLY_BYTES_MAX, RawProvider, WIRES, Wire, hello, model_list, one_of, streamed, two_of,
};
use serde_json::Value;
use tollgate_simulator::{Behaviour, CutEnding, Fault, ResetPoint, Rule, Script, StatusFault, UsageFault};

/// A group of the deployment under test alone, and one in which another stands behind it.
async fn alone_and_behind(wire: Wire, fault: &Fault) -> [App; 2] {
    let script = || Script::new().rule(Rule::deployment("a", Behaviour::new().fault(fault.clone())));
    [App::start(one_of(wire), script()).await, App::start(two_of(wire), script()).await]
}

/// An error in OpenAI's shape that tells nothing of what came from where.
fn check_error(answer: &Answer, statuses: &[u16], context: &str) {
    assert!(statuses.contains(&answer.status), "{context}: {} {}", answer.status, answer.text());
    let error = answer.error();
    let expected = if answer.status >= 500 { "internal_server_error" } else { "invalid_request_error" };
    assert_eq!((error["type"].as_str(), error["param"].is_null()), (Some(expected), true), "{context}");
    let everything = answer.everything();
    for told in ["127.0.0.1", "sk-key-of", "<html", "DOCTYPE", "/d/a", "chatcmpl", "\\ufffd", "redirected"] {
        assert!(!everything.contains(told), "{context}: {told} in {everything}");
    }
    assert!(answer.body.len() < 1_000, "{context}: {}", answer.body.len());
}

async fn check(wire: Wire, fault: Fault, stream: bool, statuses: &[u16]) {
    let context = format!("{wire:?} {fault:?} stream: {stream}");
    let body = if stream { streamed(hello("m")) } else { hello("m") };
    let [alone, behind] = alone_and_behind(wire, &fault).await;
    let answer = alone.chat(&body).await;
    check_error(&answer, statuses, &context);
    assert_eq!(alone.received().len(), 1, "{context}");
    let answer = behind.chat(&body).await;
    assert_eq!(answer.status, 200, "{context}: {}", answer.text());
    assert_eq!(behind.sends(["a", "b"]), [1, 1], "{context}");
    if stream {
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{context}: {}", answer.text());
    } else {
        assert!(answer.content().contains("hello there"));
    }
    for app in [alone, behind] {
        app.stop().await;
    }
}

#[tokio::test]
async fn a_bad_plain_reply_is_a_clear_error_or_anothers_answer() {
    for wire in WIRES {
        for (fault, statuses) in [
            (Fault::Html { status: 200 }, &[502][..]),
            (Fault::Html { status: 502 }, &[502]),
            (Fault::Html { status: 503 }, &[503]),
            (Fault::Empty { status: 200 }, &[502]),
            (Fault::Empty { status: 204 }, &[502]),
            (Fault::Empty { status: 500 }, &[500]),
            (Fault::TruncatedJson, &[502]),
            (Fault::BadUtf8, &[502]),
            (Fault::ErrorInOk, &[500]),
            (Fault::GzipBomb { bytes: 16 << 20 }, &[502]),
            (Fault::EndlessHeaders, &[502]),
            (Fault::EndlessBody, &[502]),
            (Fault::HugeHeaders { bytes: 1 << 20 }, &[502]),
            (Fault::ContentLengthLies { by: 16 }, &[500]),
            (Fault::ContentLengthLies { by: -16 }, &[502]),
            (Fault::ContentLengthLies { by: 1 << 50 }, &[502]),
            (Fault::cut(0), &[500]),
            (Fault::Cut { after: 0, ending: CutEnding::Terminated }, &[502]),
            (Fault::Cut { after: 0, ending: CutEnding::CloseDelimited }, &[502]),
        ] {
            check(wire, fault, false, statuses).await;
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_none_before_its_first_content_is_a_clear_error_or_anothers_answer() {
    for wire in WIRES {
        for (fault, statuses) in [
            (Fault::Html { status: 200 }, &[502][..]),
            (Fault::WrongContentType, &[502]),
            (Fault::Empty { status: 200 }, &[502]),
            (Fault::ErrorInOk, &[502]),
            (Fault::BadUtf8, &[502]),
            (Fault::MalformedEvent { after: 0 }, &[502]),
            (Fault::ErrorEvent { after: 0, code: 500 }, &[500]),
            (Fault::GzipBomb { bytes: 16 << 20 }, &[502]),
            (Fault::EndlessHeaders, &[502]),
            (Fault::HugeHeaders { bytes: 1 << 20 }, &[502]),
            (Fault::Reset(ResetPoint::AfterHead), &[500]),
            (Fault::Reset(ResetPoint::AfterEvents(0)), &[500]),
            (Fault::cut(0), &[500]),
            (Fault::Cut { after: 0, ending: CutEnding::Terminated }, &[502]),
            (Fault::Cut { after: 0, ending: CutEnding::CloseDelimited }, &[502]),
        ] {
            check(wire, fault, true, statuses).await;
        }
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let lure = RawProvider::of("application/json", r#"{"choices":[]}"#).await;
    for wire in WIRES {
        for status in [300, 301, 302, 303, 307, 308] {
            for location in [format!("http://{}/redirected", lure.address), "/sim/redirected".to_owned()] {
                for stream in [false, true] {
                    let fault = Fault::Redirect { status, location: location.clone() };
                    let context = format!("{wire:?} {fault:?}");
                    let [alone, behind] = alone_and_behind(wire, &fault).await;
                    let body = if stream { streamed(hello("m")) } else { hello("m") };
                    let answer = alone.chat(&body).await;
                    check_error(&answer, &[502], &context);
                    assert_eq!(answer.header("location"), None);
                    assert_eq!(behind.chat(&body).await.status, 200);
                    for app in [alone, behind] {
                        assert_eq!(app.simulator.redirects_followed(), 0, "{context}");
                        app.stop().await;
                    }
                }
            }
        }
    }
    assert_eq!(lure.connects(), 0);
}

/// Replies that are well made, of the wrong kind.
#[tokio::test]
async fn a_reply_of_another_kind_is_a_clear_error() {
    const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\
         \"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    const WHOLE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let bodies = [
        ("text/event-stream", CHUNK, false),
        ("application/json", CHUNK, false),
        ("application/json", WHOLE, true),
        ("text/event-stream", WHOLE, true),
        ("application/json", "[]", false),
        ("application/json", "null", false),
        ("application/json", "\"chatcmpl\"", false),
        ("application/json", "{}", false),
        ("application/json", r#"{"choices":{}}"#, false),
        ("application/json", r#"{"choices":[]} trailing"#, false),
        ("text/event-stream", "data: {}\n\n", true),
        ("text/event-stream", "data: null\n\n", true),
        ("text/event-stream", "data: [DONE", true),
        ("text/event-stream", ": only a comment\n\n", true),
        ("text/event-stream", "\n\n\n\n", true),
    ];
    for wire in WIRES {
        for (content_type, body, stream) in bodies {
            let context = format!("{wire:?} {content_type} {body} stream: {stream}");
            let provider = RawProvider::of(content_type, body).await;
            let parameters = wire.parameters("a").replace("{sim}", &provider.address.to_string());
            let yaml = model_list(&[("m", &parameters)]) + "router_settings: {num_retries: 0}\n";
            let app = App::start(yaml, Script::new()).await;
            let body = if stream { streamed(hello("m")) } else { hello("m") };
            check_error(&app.chat(&body).await, &[502], &context);
            assert_eq!(provider.connects(), 1);
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn heads_that_are_no_http_are_a_clear_error() {
    let good = "content-type: application/json\r\n";
    let heads = [
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n{}".to_owned(),
        "HTTP/1.1 99999 OK\r\n\r\n{}".to_owned(),
        "HTTP/9.9 200 OK\r\n\r\n{}".to_owned(),
        "ICY 200 OK\r\n\r\n{}".to_owned(),
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_owned(),
        "+OK POP3 server ready\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{good}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{good}content-length: -1\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{good}content-length: 99999999999999999999999\r\n\r\n{{}}"),
        format!(
            "HTTP/1.1 200 OK\r\n{good}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        ),
        format!("HTTP/1.1 200 OK\r\n{good}transfer-encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{good}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{good}content-encoding: br\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{good}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", "x-filler: 1\r\n".repeat(150)),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n".to_owned(),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{good}content-length: 2\r\n\r\n{{}}"),
    ];
    for head in heads {
        for stream in [false, true] {
            let provider = RawProvider::start(head.clone()).await;
            let parameters = Wire::OpenAi.parameters("a").replace("{sim}", &provider.address.to_string());
            let second = format!("{}, weight: 0", Wire::OpenAi.parameters("b"));
            let list = [("m", format!("{parameters}, weight: 1")), ("m", second), ("alone", parameters)];
            let list = list.each_ref().map(|(group, parameters)| (*group, parameters.as_str()));
            let app = App::start(model_list(&list), Script::new()).await;
            let body = |model| if stream { streamed(hello(model)) } else { hello(model) };
            assert_eq!(app.chat(&body("m")).await.status, 200, "{head}");
            let mut alone = body("alone");
            alone["num_retries"] = 0.into();
            check_error(&app.chat(&alone).await, &[500, 502], &head);
            assert_eq!((app.sends(["b"]), provider.connects()), ([1], 2), "{head}");
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn odd_but_sound_replies_are_answers() {
    for wire in WIRES {
        let app = App::start(one_of(wire), Script::new()).await;
        for fault in [
            Fault::Gzip,
            Fault::OneByteChunks,
            Fault::HugeHeaders { bytes: 8 << 10 },
            Fault::Usage(UsageFault::Missing),
            Fault::Usage(UsageFault::Twice),
            Fault::Usage(UsageFault::Zero),
            Fault::Usage(UsageFault::Negative),
            Fault::Usage(UsageFault::Huge),
            Fault::NoDone,
        ] {
            let rule = Rule::any(Behaviour::new().fault(fault.clone()));
            app.simulator.script().set_rules(vec![rule]);
            let plain = app.hello("m").await;
            assert!(plain.content().contains("hello there"), "{wire:?} {fault:?}");
            assert_eq!(plain.header("content-encoding"), None);
            let usage = plain.json()["usage"].clone();
            check_usage(&usage, &fault, wire);
            // Gemini has no other end mark than the reason to stop, so a stream without it is one that was cut.
            if !(wire != Wire::OpenAi && fault == Fault::NoDone) {
                let events = app.hello_stream("m").await.rest().await;
                assert_eq!(events.last().unwrap(), "data: [DONE]\n\n", "{wire:?} {fault:?}");
            }
        }
        app.stop().await;
    }
}

/// Counts that a client can read: whole numbers that are not below zero, whatever the provider says.
fn check_usage(usage: &Value, fault: &Fault, wire: Wire) {
    // What a caller of the provider's own dialect gets is the provider's word.
    let is_relayed = wire == Wire::OpenAi;
    if is_relayed {
        return;
    }
    let Some(members) = usage.as_object() else { panic!("{wire:?} {fault:?}: {usage}") };
    for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert!(members[name].is_u64(), "{wire:?} {fault:?}: {usage}");
    }
}

#[tokio::test]
async fn a_good_body_under_a_wrong_content_type_is_used() {
    for wire in WIRES {
        let rule = Rule::any(Behaviour::new().fault(Fault::WrongContentType));
        let app = App::start(one_of(wire), Script::new().rule(rule)).await;
        let answer = app.hello("m").await;
        assert!(answer.content().contains("hello there"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        app.stop().await;
    }
}

#[tokio::test]
async fn a_reply_up_to_the_cap_is_an_answer_and_one_beyond_it_is_not() {
    let text = |bytes: u64| "x".repeat(usize::try_from(bytes).unwrap());
    // Anthropic's wire always has a limit of tokens, at which the simulator stops.
    for wire in [Wire::OpenAi, Wire::Gemini] {
        let app = App::start(one_of(wire), Script::new()).await;
        let answer_of = async |bytes: u64| {
            let rule = Rule::any(Behaviour::new().text(text(bytes)));
            app.simulator.script().set_rules(vec![rule]);
            app.hello("m").await
        };
        let answer = answer_of(REPLY_BYTES_MAX - 4_096).await;
        assert_eq!(answer.content().len() as u64, REPLY_BYTES_MAX - 4_096, "{wire:?}");
        check_error(&answer_of(REPLY_BYTES_MAX).await, &[502], "too large");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_providers_error_may_be_of_any_size_and_only_its_sentence_is_passed_on() {
    for wire in WIRES {
        let app = App::start(one_of(wire), Script::new()).await;
        let message = format!("Begin {} End", "very ".repeat(100_000));
        let fault = StatusFault { code: 500, message: Some(message), ..StatusFault::default() };
        let rule = Rule::any(Behaviour::new().fault(Fault::Status(fault)));
        app.simulator.script().set_rules(vec![rule]);
        let answer = app.hello("m").await;
        assert_eq!(answer.status, 500);
        assert!(answer.body.len() < 4_096, "{wire:?}: {}", answer.body.len());
        app.stop().await;
    }
}
