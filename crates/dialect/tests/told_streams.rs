//! What a streamed answer says and the caller's dialect cannot is told in the same words as for a whole answer.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use serde_json::json;
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, MediaSource, Native, Part, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai::{ChunkEncoder, StreamPlan, StreamShape};
use tollgate_dialect::responses::Echo;
use tollgate_dialect::sse::Frame;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{
    CallerError, Dialect, EventDecoder, EventEncoder, Losses, ReplyFacts, ReplyFault, Transducer,
};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, openai, responses};

/// A provider whose stream is one frame, which says all of it.
struct Said(Vec<StreamEvent>);

impl EventDecoder for Said {
    fn read(&mut self, _: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        out.append(&mut self.0);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.0.is_empty()
    }
}

fn encoder(dialect: Dialect) -> Box<dyn EventEncoder> {
    let facts = ReplyFacts::default();
    match dialect {
        Dialect::OpenAi => Box::new(ChunkEncoder::new(StreamPlan { facts, shape: StreamShape::Chat })),
        Dialect::Responses => Box::new(responses::StreamEncoder::new(facts, Echo::default())),
        Dialect::Anthropic => Box::new(anthropic::StreamEncoder::new(facts)),
        Dialect::Gemini => Box::new(gemini::StreamEncoder::new(facts, false)),
        Dialect::Bedrock => Box::new(bedrock::StreamEncoder::new(facts)),
        Dialect::Cohere => Box::new(cohere::StreamEncoder::new(facts)),
    }
}

fn told_of_whole(dialect: Dialect, reply: &ChatReply) -> Vec<String> {
    let (facts, mut lost) = (ReplyFacts::default(), Losses::default());
    let bytes = match dialect {
        Dialect::OpenAi => openai::encode_reply(reply, &facts, &mut lost),
        Dialect::Responses => responses::encode_reply(reply, &facts, &Echo::default(), &mut lost),
        Dialect::Anthropic => anthropic::encode_reply(reply, &facts, &mut lost),
        Dialect::Gemini => gemini::encode_reply(reply, &facts, &mut lost),
        Dialect::Bedrock => bedrock::encode_reply(reply, &facts, &mut lost),
        Dialect::Cohere => cohere::encode_reply(reply, &facts, &mut lost),
    };
    assert!(!bytes.is_empty());
    sorted(&lost)
}

fn sorted(lost: &Losses) -> Vec<String> {
    let mut names: Vec<String> = lost.names().map(str::to_owned).collect();
    names.sort();
    names
}

/// Streams the events; gives what is told, at the end or when it breaks off.
fn told_of_stream(dialect: Dialect, events: &[StreamEvent], breaks: bool) -> Vec<String> {
    let mut translator = Translator::new(Framing::events(), Said(events.to_vec()), encoder(dialect));
    let mut out = Vec::new();
    translator.push(Bytes::from_static(b"data: x\n\n"), &mut out).unwrap();
    if breaks {
        let error =
            CallerError { status: 500, kind: None, message: "m", param: None, code: None, request_id: None };
        translator.fail(&error, &mut out);
    } else {
        translator.finish(&mut out).unwrap();
    }
    sorted(&translator.progress().lost)
}

/// The same answer, streamed and whole.
fn answer(
    event: Option<StreamEvent>,
    part: Option<Part>,
    end: Choice,
    said: ChatReply,
) -> (Vec<StreamEvent>, ChatReply) {
    let mut events = vec![
        StreamEvent::Start { id: "id".to_owned(), model: "m".to_owned() },
        StreamEvent::Text { choice: 0, delta: "It is so.".to_owned() },
    ];
    let mut parts = vec![Part::text("It is so.")];
    if let (Some(Part::Text { citations, .. }), Some(Part::Text { citations: own, .. })) =
        (&part, parts.first_mut())
    {
        own.clone_from(citations);
    } else {
        parts.extend(part);
    }
    events.extend(event);
    let stop = end.stop.unwrap_or(StopReason::Stop);
    events.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: end.stop_sequence.clone() });
    events.extend(said.service_tier.clone().map(StreamEvent::ServiceTier));
    events.push(StreamEvent::Usage(said.usage));
    let choice = Choice { parts, stop: Some(stop), ..end };
    (events, ChatReply { choices: vec![choice], ..said })
}

fn answers() -> Vec<(Vec<StreamEvent>, ChatReply)> {
    let usage = Usage { input_tokens: 9, output_tokens: 9, ..Usage::default() };
    let said = || ChatReply { usage, ..ChatReply::default() };
    let mut answers = vec![answer(None, None, Choice::default(), said())];
    for stop in [StopReason::Refusal, StopReason::Pause, StopReason::ContextWindow, StopReason::Length] {
        let end = Choice { stop: Some(stop), stop_sequence: Some("###".to_owned()), ..Choice::default() };
        answers.push(answer(None, None, end, said()));
    }
    let counts = Usage {
        cached_tokens: 1,
        cache_write_1h_tokens: 1,
        reasoning_tokens: 2,
        input_audio_tokens: 3,
        web_search_requests: 4,
        search_units: 5,
        ..usage
    };
    let tier = Some("batch".to_owned());
    let counted = ChatReply { usage: counts, service_tier: tier, ..ChatReply::default() };
    answers.push(answer(None, None, Choice::default(), counted));
    for dialect in Dialect::ALL {
        let native =
            Native { dialect, value: json!({"type": "hosted_call", "id": "x", "status": "completed"}) };
        let event = StreamEvent::Native { choice: 0, native: native.clone() };
        answers.push(answer(Some(event), Some(Part::Native(native)), Choice::default(), said()));
    }
    let pictures = [
        MediaSource::Url("https://example.com/a.png".to_owned()),
        MediaSource::Base64 { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() },
    ];
    for source in pictures {
        let event = StreamEvent::Image { choice: 0, source: source.clone() };
        let part = Part::Image { source, detail: None, cache_control: None };
        answers.push(answer(Some(event), Some(part), Choice::default(), said()));
    }
    let data = "AAAA".to_owned();
    let event =
        StreamEvent::Audio { choice: 0, id: String::new(), data: data.clone(), transcript: String::new() };
    let source = MediaSource::Base64 { media_type: String::new(), data };
    let part = Part::Audio { source, format: "pcm16".to_owned(), transcript: None };
    answers.push(answer(Some(event), Some(part), Choice::default(), said()));
    let url = || Some("https://example.com".to_owned());
    let citations = [
        Citation { url: url(), span: Some((0, 5)), ..Citation::default() },
        Citation { url: url(), quote: Some("so".to_owned()), span: Some((0, 5)), ..Citation::default() },
        Citation { document: Some(1), span: Some((0, 5)), ..Citation::default() },
        Citation { source_id: Some("doc-1".to_owned()), title: Some("A".to_owned()), ..Citation::default() },
    ];
    for citation in citations {
        let event = StreamEvent::Citation { choice: 0, citation: Box::new(citation.clone()) };
        let text =
            Part::Text { text: "It is so.".to_owned(), cache_control: None, citations: vec![citation] };
        answers.push(answer(Some(event), Some(text), Choice::default(), said()));
    }
    for top in [json!([]), json!([{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -3.0}])] {
        let entry = json!({"token": "It is so.", "logprob": -0.1, "bytes": null, "top_logprobs": top});
        let logprobs = json!({"content": [entry], "refusal": null});
        let event = StreamEvent::Logprobs { choice: 0, logprobs: logprobs.clone() };
        let end = Choice { logprobs: Some(logprobs), ..Choice::default() };
        answers.push(answer(Some(event), None, end, said()));
    }
    answers
}

#[test]
fn a_stream_tells_what_its_whole_answer_tells() {
    let mut told = 0;
    for dialect in Dialect::ALL {
        for (events, reply) in answers() {
            let whole = told_of_whole(dialect, &reply);
            assert_eq!(told_of_stream(dialect, &events, false), whole, "{dialect:?}: {events:?}");
            told += whole.len();
        }
    }
    assert!(told > 40, "{told}");
}

#[test]
fn a_stream_that_breaks_off_tells_what_it_lost_until_then() {
    for dialect in Dialect::ALL {
        for (events, reply) in answers() {
            let whole = told_of_whole(dialect, &reply);
            assert_eq!(told_of_stream(dialect, &events, true), whole, "{dialect:?}: {events:?}");
        }
    }
}

#[test]
fn a_second_answer_is_told_where_there_is_room_for_one() {
    let said = |choice, delta: &str| StreamEvent::Text { choice, delta: delta.to_owned() };
    let native = Native { dialect: Dialect::Cohere, value: json!({"type": "odd"}) };
    let finish = |choice| StreamEvent::Finish { choice, stop: StopReason::Stop, stop_sequence: None };
    let events = [
        said(0, "a"),
        said(1, "b"),
        StreamEvent::Native { choice: 1, native },
        said(1, "c"),
        finish(0),
        finish(1),
    ];
    for dialect in Dialect::ALL {
        let expect: &[&str] = match dialect {
            Dialect::OpenAi | Dialect::Gemini => &["odd"],
            _ => &["n"],
        };
        assert_eq!(told_of_stream(dialect, &events, false), expect, "{dialect:?}");
    }
}

#[test]
fn legacy_completions_tell_nothing_as_ever() {
    let plan = StreamPlan { facts: ReplyFacts::default(), shape: StreamShape::Completion };
    let native = Native { dialect: Dialect::Cohere, value: json!({"type": "odd"}) };
    let said = Said(vec![StreamEvent::Native { choice: 0, native }]);
    let mut translator = Translator::new(Framing::events(), said, ChunkEncoder::new(plan));
    translator.push(Bytes::from_static(b"data: x\n\n"), &mut Vec::new()).unwrap();
    assert!(translator.progress().lost.is_empty());
}
