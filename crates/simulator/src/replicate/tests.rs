//! What Replicate takes, and how it streams.

use super::*;

fn refused(body: Value, model_in_path: bool, message: &str) {
    let error = check(&body, model_in_path).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (422, message), "{body}");
    assert_eq!(Replicate.error_body(&error, "")["title"], "Input validation failed");
}

#[test]
fn a_prediction_needs_an_input_of_the_right_types_and_a_model() {
    let good =
        json!({"input": {"prompt": "x", "odd": [], "max_tokens": 5, "seed": null}, "stream": true, "odd": 1});
    assert_eq!(check(&good, true), Ok(()));
    refused(json!({"prompt": "x"}), true, "- input: is required");
    refused(json!({"input": {}}), false, "- version: is required");
    refused(json!({"input": {"prompt": ["x"]}}), true, "- input.prompt: Invalid type. Expected: string");
    refused(
        json!({"input": {"max_tokens": "5"}}),
        true,
        "- input.max_tokens: Invalid type. Expected: number",
    );
    refused(
        json!({"input": {"stop_sequences": ["a"]}}),
        true,
        "- input.stop_sequences: Invalid type. Expected: string",
    );
}

#[test]
fn an_input_is_read_for_what_it_asks() {
    let body = json!({"input": {"prompt": "abcdefgh", "system_prompt": "x", "max_new_tokens": 3, "stop_sequences": "a, b"}});
    let ask = read(&body, "o/m");
    assert_eq!((ask.prompt_tokens, ask.max_tokens), (3, Some(3)));
    assert_eq!((ask.last_user.as_str(), ask.stop), ("abcdefgh", vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_stream_has_an_event_for_each_token_and_says_how_it_ended() {
    let made = |error: Option<&str>, canceled| Prediction {
        model: String::new(),
        behaviour: Behaviour::new(),
        head: Value::Null,
        output: vec!["a\nb".to_owned()],
        error: error.map(str::to_owned),
        metrics: Value::Null,
        time: String::new(),
        looks_to_end: 2,
        outlasts_waiting: false,
        looked: 0,
        canceled,
    };
    let text = |made: &Prediction| -> String {
        events(made).iter().map(|event| String::from_utf8_lossy(&event.bytes).into_owned()).collect()
    };
    let output = "event: output\nid: 0:0\ndata: a\ndata: b\n\n";
    assert_eq!(text(&made(None, false)), format!("{output}event: done\ndata: {{}}\n\n"));
    let canceled = format!("{output}event: done\ndata: {{\"reason\": \"canceled\"}}\n\n");
    assert_eq!(text(&made(None, true)), canceled);
    let failed = "event: error\ndata: {\"detail\":\"why\"}\n\nevent: done\ndata: {\"reason\": \"error\"}\n\n";
    assert_eq!(text(&made(Some("why"), false)), format!("{output}{failed}"));
}
