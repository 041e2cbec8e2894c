//! Response objects: the bytes that the caller gets, and what a provider's object becomes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Issuer, MediaSource, Native, Part, PlaceUnit, Signature, SourcePlace,
    StopReason, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::responses::{
    Echo, StoredTurn, carries_marks, decode_reply, decode_request, encode_error, encode_reply, extend,
    input_items,
};
use tollgate_dialect::wire::{CallerError, Dialect, Losses, Reading, ReplyFacts, ReplyFault};

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "smart".to_owned(),
        created: 1_700_000_000,
        fallback_id: "u".to_owned(),
        custom_tools: vec!["patch".to_owned()],
        ..ReplyFacts::default()
    }
}

fn reply(parts: Vec<Part>, stop: StopReason) -> ChatReply {
    ChatReply {
        id: "msg_1".to_owned(),
        model: "provider-model".to_owned(),
        choices: vec![Choice { parts, stop: Some(stop), ..Choice::default() }],
        usage: Usage { input_tokens: 12, output_tokens: 5, ..Usage::default() },
        ..ChatReply::default()
    }
}

/// The object for these parts, and what of them is lost.
fn written(parts: Vec<Part>, stop: StopReason) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let bytes = encode_reply(&reply(parts, stop), &facts(), &Echo::default(), &mut losses);
    (serde_json::from_slice(&bytes).unwrap(), losses.names().map(str::to_owned).collect())
}

fn output(parts: Vec<Part>) -> Value {
    written(parts, StopReason::Stop).0["output"].clone()
}

fn call(name: &str, arguments: &str, is_custom: bool, signature: Option<Signature>) -> Part {
    let (name, arguments) = (name.to_owned(), arguments.to_owned());
    Part::ToolCall { id: "c".to_owned(), name, arguments, is_custom, signature }
}

fn decoded(response: Value) -> ChatReply {
    decode_reply(response.to_string().as_bytes(), &Reading::default()).unwrap()
}

/// A response of a provider with these items.
fn response(output: Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 7.5, "status": "completed", "model": "gpt-5", "output": output,
        "service_tier": "default", "usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17},
    })
}

#[test]
fn a_plain_answer_is_written_byte_for_byte_so() {
    let body = json!({"model": "smart", "input": "x", "instructions": "be \"brief\"", "temperature": 0.5,
        "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}, "tools": [{"type": "custom", "name": "p"}],
        "metadata": {"a": "b"}, "store": false, "stream": true, "include": [], "conversation": "conv_1", "user": null});
    let echo = Echo::read(body.to_string().as_bytes()).unwrap();
    let reply = reply(vec![Part::text("Hi\n")], StopReason::Stop);
    let bytes = encode_reply(&reply, &facts(), &echo, &mut Losses::default());
    let expect = concat!(
        r#"{"id":"resp_u","object":"response","created_at":1700000000,"status":"completed","background":false,"#,
        r#""error":null,"incomplete_details":null,"instructions":"be \"brief\"","max_output_tokens":null,"#,
        r#""max_tool_calls":null,"model":"smart","output":[{"id":"msg_u_0","type":"message","status":"completed","#,
        r#""content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hi\n"}],"role":"assistant"}],"#,
        r#""parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"#,
        r#""reasoning":{"effort":"low","summary":null},"safety_identifier":null,"service_tier":"auto","store":false,"#,
        r#""temperature":0.5,"text":{"verbosity":"low","format":{"type":"text"}},"tool_choice":"auto","#,
        r#""tools":[{"type":"custom","name":"p"}],"top_logprobs":0,"top_p":null,"truncation":"disabled","#,
        r#""usage":{"input_tokens":12,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"#,
        r#""output_tokens":5,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":17},"#,
        r#""conversation":{"id":"conv_1"},"user":null,"metadata":{"a":"b"}}"#,
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expect);
}

#[test]
fn what_is_repeated_can_be_told_from_the_conversation_too() {
    let body = json!({"model": "m", "input": "x", "instructions": "s", "temperature": 0.5, "store": true,
        "max_output_tokens": 20, "tools": [{"type": "function", "name": "f", "parameters": null, "strict": true}],
        "previous_response_id": "resp_0", "truncation": "auto", "service_tier": "flex"});
    let body = body.to_string();
    let mut read = Echo::read(body.as_bytes()).unwrap();
    let told = Echo::of(&decode_request(body.as_bytes()).unwrap());
    for name in [
        "instructions",
        "temperature",
        "store",
        "max_output_tokens",
        "tools",
        "previous_response_id",
        "truncation",
    ] {
        assert_eq!(told.get(name), read.get(name), "{name}");
    }
    read.set("store", json!(false));
    assert_eq!(read.get("store"), Some(&json!(false)));
}

#[test]
fn every_part_is_its_item() {
    assert_eq!(output(vec![]), json!([]));
    let text = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let message = |id: &str, content: Value| json!({"id": id, "type": "message", "status": "completed", "content": content, "role": "assistant"});
    assert_eq!(
        output(vec![Part::text("a"), Part::text("b")]),
        json!([message("msg_u_0", json!([text("ab")]))])
    );
    assert_eq!(
        output(vec![Part::text("a"), Part::Refusal("no".to_owned())]),
        json!([message("msg_u_0", json!([text("a"), {"type": "refusal", "refusal": "no"}]))])
    );
    let function = json!({"id": "fc_u_0", "type": "function_call", "status": "completed", "arguments": "{}",
        "call_id": "c", "name": "f"});
    assert_eq!(output(vec![call("f", "{}", false, None)]), json!([function]));
    let custom = |input: &str| {
        json!({"id": "ctc_u_0", "type": "custom_tool_call", "status": "completed",
        "input": input, "call_id": "c", "name": "patch"})
    };
    assert_eq!(output(vec![call("patch", "*** x", true, None)]), json!([custom("*** x")]));
    let stands_in = call("patch", r#"{"input":"*** \"x\"\n"}"#, false, None);
    assert_eq!(output(vec![stands_in]), json!([custom("*** \"x\"\n")]), "the function that stands in for it");
    let picture = |source| Part::Image { source, detail: None, cache_control: None };
    let source = MediaSource::Base64 { media_type: "image/webp".to_owned(), data: "UklG".to_owned() };
    let item = json!({"id": "ig_u_0", "type": "image_generation_call", "status": "completed", "output_format": "webp",
        "result": "UklG"});
    assert_eq!(output(vec![picture(source)]), json!([item]));
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let native = Part::Native(Native { dialect: Dialect::Responses, value: search.clone() });
    assert_eq!(output(vec![native]), json!([search]));
}

#[test]
fn reasoning_comes_back_as_it_went_out_whoever_signed_it() {
    let thought =
        |text: &str, signature: Option<Signature>| Part::Reasoning { text: text.to_owned(), signature };
    for issuer in [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi, Issuer::Amazon] {
        let signature = Signature::new(issuer, "rs_9.gAAA");
        let parts = vec![
            thought("because", Some(signature.clone())),
            thought("", Some(signature.clone())),
            Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "d") },
            Part::text("x"),
            call("f", "{}", false, Some(signature)),
        ];
        let (object, lost) = written(parts.clone(), StopReason::ToolCalls);
        assert_eq!(lost, Vec::<String>::new());
        assert_eq!(decoded(object.clone()).choices[0].parts, parts, "{issuer:?}");
        let body = json!({"model": "m", "input": object["output"]});
        let request = decode_request(body.to_string().as_bytes()).unwrap();
        assert_eq!(request.messages[0].parts, parts, "as a client sends it back: {issuer:?}");
        assert!(carries_marks(body.to_string().as_bytes()));
    }
    let unsigned = thought("hm", None);
    let item =
        json!({"id": "rs_u_0", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]});
    assert_eq!(output(vec![unsigned]), json!([item]));
    let own = json!({"id": "rs_9", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"});
    let signature = Signature::new(Issuer::OpenAi, "rs_9.gAAA");
    assert_eq!(output(vec![thought("", Some(signature))]), json!([own]), "OpenAI's own has no mark");
}

#[test]
fn sources_are_annotations_of_the_whole_text() {
    let from = |url: &str, span| Citation { url: Some(url.to_owned()), span, ..Citation::default() };
    let cited = |text: &str, citations| Part::Text { text: text.to_owned(), cache_control: None, citations };
    let parts = vec![
        Part::text("Grüße: "),
        cited("first", vec![from("https://a", None)]),
        cited(" then second", vec![from("https://b", Some((6, 12)))]),
    ];
    let (object, lost) = written(parts, StopReason::Stop);
    let text = &object["output"][0]["content"][0];
    assert_eq!(text["text"], "Grüße: first then second");
    let annotation = |url: &str, start: u64, end: u64| json!({"type": "url_citation", "start_index": start, "end_index": end, "url": url, "title": ""});
    assert_eq!(text["annotations"], json!([annotation("https://a", 7, 12), annotation("https://b", 18, 24)]));
    assert_eq!(lost, Vec::<String>::new());
    let page = Citation {
        document: Some(1),
        title: Some("Book".to_owned()),
        quote: Some("words".to_owned()),
        place: Some(SourcePlace { unit: PlaceUnit::Pages, start: 3, end: 4 }),
        ..Citation::default()
    };
    let (object, lost) = written(vec![cited("x", vec![page])], StopReason::Stop);
    let expect = json!({"type": "file_citation", "file_id": "", "filename": "Book", "index": 1});
    assert_eq!(object["output"][0]["content"][0]["annotations"], json!([expect]));
    assert_eq!(lost, ["citations"], "page and quote have no place");
}

#[test]
fn every_stop_has_its_status() {
    let check = |stop, status: &str, reason: Option<&str>, item: &str| {
        let (object, _) = written(vec![Part::text("x")], stop);
        let details = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
        assert_eq!(
            (&object["status"], &object["incomplete_details"]),
            (&json!(status), &details),
            "{stop:?}"
        );
        assert_eq!(object["output"][0]["status"], item);
    };
    for stop in [
        StopReason::Stop,
        StopReason::StopSequence,
        StopReason::ToolCalls,
        StopReason::Pause,
        StopReason::MalformedToolCall,
    ] {
        check(stop, "completed", None, "completed");
    }
    for stop in [StopReason::Length, StopReason::ContextWindow] {
        check(stop, "incomplete", Some("max_output_tokens"), "incomplete");
    }
    for stop in [StopReason::ContentFilter, StopReason::Recitation, StopReason::Refusal] {
        check(stop, "incomplete", Some("content_filter"), "incomplete");
    }
    let (object, _) = written(vec![Part::Refusal("no".to_owned())], StopReason::Refusal);
    assert_eq!(object["status"], "completed", "a refusal in words is an answer");
}

#[test]
fn what_a_response_cannot_hold_is_named() {
    let address = MediaSource::Url("https://x/y.png".to_owned());
    let parts = vec![
        Part::Image { source: address.clone(), detail: None, cache_control: None },
        Part::Audio {
            source: address.clone(),
            format: "wav".to_owned(),
            transcript: Some("said".to_owned()),
        },
        Part::Native(Native { dialect: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) }),
        Part::File { source: address, filename: None, context: None, citations: false, cache_control: None },
    ];
    let mut reply = reply(parts, StopReason::StopSequence);
    reply.choices[0].stop_sequence = Some("END".to_owned());
    reply.choices.push(Choice { index: 1, ..Choice::default() });
    reply.system_fingerprint = Some("fp".to_owned());
    let mut losses = Losses::default();
    let bytes = encode_reply(&reply, &facts(), &Echo::default(), &mut losses);
    let expect = ["stop_sequence", "images", "audio", "server_tool_use", "files", "n", "system_fingerprint"];
    assert_eq!(losses.names().collect::<Vec<_>>(), expect);
    let object: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(object["output"][0]["content"][0]["text"], "said");
}

#[test]
fn openais_object_is_read_whole() {
    let entry = json!({"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []});
    let search =
        json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}});
    let reply = decoded(response(json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "gAAA"},
        search,
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "hi", "logprobs": [entry], "annotations": [
                {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://a", "title": "A"}]}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBO"},
    ])));
    let citation = Citation {
        span: Some((0, 2)),
        url: Some("https://a".to_owned()),
        title: Some("A".to_owned()),
        ..Citation::default()
    };
    let picture = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "iVBO".to_owned() };
    let expect = vec![
        Part::Reasoning {
            text: "a\n\nb".to_owned(),
            signature: Some(Signature::new(Issuer::OpenAi, "rs_1.gAAA")),
        },
        Part::Native(Native { dialect: Dialect::Responses, value: search }),
        Part::Text { text: "hi".to_owned(), cache_control: None, citations: vec![citation] },
        call("f", "{}", false, None),
        Part::Image { source: picture, detail: None, cache_control: None },
    ];
    assert_eq!(reply.choices[0].parts, expect);
    assert_eq!(reply.choices[0].logprobs, Some(json!({"content": [entry], "refusal": null})));
    assert_eq!((reply.choices[0].stop, reply.created), (Some(StopReason::ToolCalls), Some(7)));
    assert_eq!((reply.id.as_str(), reply.service_tier.as_deref()), ("resp_1", Some("default")));
    assert_eq!(reply.usage.web_search_requests, 1);
    let full = decoded(response(json!([{"type": "reasoning", "id": "rs_1", "summary": [],
        "content": [{"type": "reasoning_text", "text": "open"}]}])));
    assert_eq!(full.choices[0].parts, [Part::Reasoning { text: "open".to_owned(), signature: None }]);
}

#[test]
fn why_a_response_ended_is_read() {
    let check = |status: &str, details: Value, expect: StopReason| {
        let mut response = response(json!([]));
        response["status"] = json!(status);
        response["incomplete_details"] = details;
        assert_eq!(decoded(response).choices[0].stop, Some(expect));
    };
    check("completed", Value::Null, StopReason::Stop);
    check("incomplete", json!({"reason": "max_output_tokens"}), StopReason::Length);
    check("incomplete", json!({"reason": "content_filter"}), StopReason::ContentFilter);
}

#[test]
fn a_response_that_is_no_answer_is_a_fault() {
    let fault = |body: Value| decode_reply(body.to_string().as_bytes(), &Reading::default()).unwrap_err();
    let mut failed = response(json!([]));
    failed["status"] = json!("failed");
    failed["error"] = json!({"code": "rate_limit_exceeded", "message": "slow down"});
    match fault(failed.clone()) {
        ReplyFault::Error(error) => {
            assert_eq!((error.class, error.message.as_str()), (FailureClass::RateLimit, "slow down"));
        }
        other => panic!("{other:?}"),
    }
    failed["error"] = Value::Null;
    assert!(matches!(fault(failed), ReplyFault::Error(_)));
    assert!(matches!(fault(json!({"error": {"message": "no"}})), ReplyFault::Error(_)));
    let mut waiting = response(json!([]));
    waiting["status"] = json!("queued");
    for body in
        [waiting, json!({}), json!([1]), response(json!([{}])), response(json!([{"type": "function_call"}]))]
    {
        assert!(matches!(fault(body), ReplyFault::Malformed(_)));
    }
}

#[test]
fn an_error_is_openais() {
    let error = CallerError {
        status: 400,
        kind: Some("invalid_request_error"),
        message: "no \"x\"",
        param: Some("x"),
        code: None,
        request_id: None,
    };
    let expect =
        r#"{"error":{"message":"no \"x\"","type":"invalid_request_error","param":"x","code":"400"}}"#;
    assert_eq!(String::from_utf8(encode_error(&error)).unwrap(), expect);
}

#[test]
fn input_items_are_listed_as_the_api_shows_them() {
    let listed = |body: Value| input_items(body.to_string().as_bytes(), "s").unwrap();
    let text = json!([{"id": "msg_s_0", "type": "message", "status": "completed", "role": "user",
        "content": [{"type": "input_text", "text": "hi"}]}]);
    assert_eq!(json!(listed(json!({"model": "m", "input": "hi"}))), text);
    let items = listed(json!({"input": [
        {"role": "assistant", "content": "a", "id": "msg_own", "phase": null},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"id": "msg_7"},
    ]}));
    let expect = json!([
        {"id": "msg_own", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        {"id": "fc_s_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"id": "fco_s_2", "type": "function_call_output", "call_id": "c", "output": "1"},
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {"id": "msg_7", "type": "item_reference"},
    ]);
    assert_eq!(json!(items), expect);
    assert_eq!(listed(json!({"previous_response_id": "resp_1"})), Vec::<Value>::new());
    assert!(input_items(b"[]", "s").is_err());
    assert_eq!(input_items(br#"{"input":[1]}"#, "s").unwrap_err().param, "input[0]");
}

#[test]
fn a_stored_conversation_stands_before_what_comes_next() {
    let first = json!({"model": "m", "input": "what is it?", "instructions": "old"});
    let (answer, _) =
        written(vec![Part::text("a tool"), call("f", "{}", false, None)], StopReason::ToolCalls);
    let turn = StoredTurn {
        input: input_items(first.to_string().as_bytes(), "s").unwrap(),
        output: answer["output"].as_array().unwrap().clone(),
    };
    let next = json!({"model": "m", "previous_response_id": "resp_u", "instructions": "new", "temperature": 0.1,
        "input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]});
    let body = extend(std::slice::from_ref(&turn), next.to_string().as_bytes()).unwrap();
    let request = decode_request(&body).unwrap();
    let said: Vec<String> = request.messages.iter().map(|message| format!("{:?}", message.role)).collect();
    assert_eq!(said, ["System", "User", "Assistant", "Tool"]);
    assert_eq!(request.messages[0].parts, [Part::text("new")]);
    assert_eq!(request.messages[2].parts, [Part::text("a tool"), call("f", "{}", false, None)]);
    assert_eq!((request.native.len(), request.sampling.temperature), (0, Some(0.1)));
    let again = json!({"model": "m", "input": [turn.output[0]]});
    let body = extend(&[turn], again.to_string().as_bytes()).unwrap();
    let items = serde_json::from_slice::<Value>(&body).unwrap()["input"].as_array().unwrap().len();
    assert_eq!(items, 3, "an item that is given again stands there once");
}
