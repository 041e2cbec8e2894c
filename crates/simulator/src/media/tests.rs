//! Requests about images, audio and moderation that OpenAI takes and refuses, and what they reply.

use super::*;
use crate::behaviour::Behaviour;
use crate::compose::{Ids, compose};
use crate::reply::{Content, Role};
use bytes::Bytes;
use serde_json::json;

fn refused(op: Op, body: Value, param: &str, message: &str) {
    let error = check(op, &body, text_at(&body, "model")).expect_err(&body.to_string());
    let found = (error.param.as_deref().unwrap_or(""), error.message.as_str());
    assert!(found.0 == param && found.1.contains(message), "{body}: {found:?}");
}

fn taken(op: Op, body: Value) {
    assert_eq!(check(op, &body, text_at(&body, "model")), Ok(()), "{body}");
}

fn made(op: Op, body: &Value, form: Option<&Form>) -> Reply {
    let model = text_at(body, "model");
    let ask = read(op, body, model);
    let composed = compose(&ask, &Behaviour::new().text("it rains"));
    let mut ids = Ids::new(1);
    let mut making = Making { composed: &composed, ids: &mut ids, created: 5, usage_fault: None };
    make(op, Sent { body, form, model }, &ask, &mut making)
}

fn whole(reply: Reply) -> Bytes {
    match reply.content {
        Content::Whole(bytes) => bytes,
        Content::Events(events) => {
            events.iter().flat_map(|event| event.bytes.to_vec()).collect::<Vec<u8>>().into()
        }
    }
}

fn plain(op: Op, body: Value) -> Value {
    serde_json::from_slice(&whole(made(op, &body, None))).unwrap()
}

fn events(op: Op, body: Value) -> Vec<Value> {
    let Content::Events(events) = made(op, &body, None).content else { unreachable!() };
    assert_eq!(events.last().unwrap().role, Role::End);
    let data = |event: &crate::reply::Event| {
        let text = String::from_utf8(event.bytes.to_vec()).unwrap();
        serde_json::from_str(text.split_once("data: ").unwrap().1).unwrap()
    };
    events.iter().map(data).collect()
}

fn file(name: &str, kind: &str, bytes: u64) -> Value {
    json!({FILE: {"filename": name, "content_type": kind, "bytes": bytes}})
}

fn wav() -> Value {
    file("a.wav", "audio/wav", 9)
}

#[test]
fn an_image_model_takes_what_its_family_takes() {
    let op = Op::GenerateImage;
    taken(op, json!({"prompt": "x", "model": "gpt-image-2", "size": "1536x864", "quality": "high", "n": 3}));
    taken(
        op,
        json!({"prompt": "x", "model": "dall-e-3", "style": "vivid", "quality": "hd", "response_format": "url"}),
    );
    for (body, param, message) in [
        (json!({"model": "m"}), "prompt", "Missing required parameter"),
        (json!({"prompt": ""}), "prompt", "empty string"),
        (json!({"prompt": "x", "n": 11}), "n", "Expected a value <= 10"),
        (json!({"prompt": "x", "seed": 1}), "seed", "Unknown parameter: 'seed'."),
        (
            json!({"prompt": "x", "model": "gpt-image-2", "response_format": "url"}),
            "response_format",
            "Unknown parameter",
        ),
        (json!({"prompt": "x", "model": "gpt-image-2", "style": "vivid"}), "style", "Unknown parameter"),
        (
            json!({"prompt": "x", "model": "gpt-image-2", "size": "100x100"}),
            "size",
            "Invalid value: '100x100'",
        ),
        (json!({"prompt": "x", "model": "gpt-image-2", "quality": "hd"}), "quality", "Invalid value: 'hd'"),
        (json!({"prompt": "x", "model": "dall-e-3", "n": 2}), "n", "n=1"),
        (
            json!({"prompt": "x", "model": "dall-e-2", "background": "opaque"}),
            "background",
            "Unknown parameter",
        ),
        (json!({"prompt": "x".repeat(1001), "model": "dall-e-2"}), "prompt", "maximum length 1000"),
        (json!({"prompt": "x", "partial_images": 2}), "partial_images", "only supported when 'stream'"),
        (json!({"prompt": "x", "output_compression": 50}), "output_compression", "PNG"),
        (
            json!({"prompt": "x", "background": "transparent", "output_format": "jpeg"}),
            "background",
            "not supported",
        ),
    ] {
        refused(op, body, param, message);
    }
}

#[test]
fn edits_and_variations_take_image_files() {
    let png = file("a.png", "image/png", 9);
    taken(Op::EditImage, json!({"image": [png, png], "prompt": "x", "model": "gpt-image-2", "mask": png}));
    taken(Op::VaryImage, json!({"image": png, "model": "dall-e-2"}));
    refused(Op::EditImage, json!({"prompt": "x"}), "image", "Missing required parameter");
    refused(Op::EditImage, json!({"prompt": "x", "image": "x"}), "image", "expected a file");
    let text = file("a.txt", "text/plain", 9);
    refused(
        Op::EditImage,
        json!({"prompt": "x", "image": text}),
        "image",
        "unsupported mimetype ('text/plain')",
    );
    refused(Op::VaryImage, json!({"image": png, "model": "gpt-image-2"}), "model", "'dall-e-2'");
}

#[test]
fn images_come_as_base64_with_counts_or_as_addresses() {
    let gpt = plain(Op::GenerateImage, json!({"prompt": "four", "model": "gpt-image-2", "n": 2}));
    assert_eq!(
        (gpt["data"].as_array().unwrap().len(), &gpt["data"][1]["b64_json"]),
        (2, &json!(images::PIXEL))
    );
    assert_eq!((&gpt["usage"]["input_tokens"], &gpt["usage"]["output_tokens"]), (&json!(1), &json!(544)));
    let dalle = plain(Op::GenerateImage, json!({"prompt": "x", "model": "dall-e-3"}));
    assert!(dalle["data"][0]["url"].as_str().unwrap().starts_with("https://"));
    assert_eq!((&dalle["data"][0]["revised_prompt"], dalle.get("usage")), (&json!("x"), None));
    let asked = json!({"prompt": "x", "model": "gpt-image-2", "stream": true, "partial_images": 2});
    let streamed = events(Op::GenerateImage, asked);
    let kinds: Vec<&str> = streamed.iter().map(|event| text_at(event, "type")).collect();
    let partial = "image_generation.partial_image";
    assert_eq!(kinds, [partial, partial, "image_generation.completed"]);
    assert_eq!(
        (&streamed[1]["partial_image_index"], &streamed[2]["usage"]["output_tokens"]),
        (&json!(1), &json!(272))
    );
}

#[test]
fn speech_is_sound_or_events_with_the_same_sound() {
    let op = Op::Speak;
    for (body, param, message) in [
        (json!({"model": "tts-1", "input": "x"}), "voice", "Missing required parameter"),
        (json!({"model": "tts-1", "input": "x", "voice": "hal"}), "voice", "Invalid value: 'hal'"),
        (json!({"model": "tts-1", "input": "x", "voice": "alloy", "speed": 5}), "speed", "<= 4"),
        (
            json!({"model": "tts-1", "input": "x".repeat(4097), "voice": "alloy"}),
            "input",
            "maximum length 4096",
        ),
        (
            json!({"model": "tts-1", "input": "x", "voice": "alloy", "instructions": "y"}),
            "instructions",
            "not supported",
        ),
    ] {
        refused(op, body, param, message);
    }
    let body =
        json!({"model": "gpt-4o-mini-tts", "input": "hello", "voice": {"id": "v"}, "response_format": "wav"});
    taken(op, body.clone());
    let reply = made(op, &body, None);
    assert_eq!(reply.content_type, "audio/wav");
    let sound = whole(reply);
    assert_eq!(sound, sound::silence("wav", 500));
    let mut streaming = body;
    streaming["stream_format"] = json!("sse");
    let streamed = events(op, streaming);
    assert_eq!(streamed[0]["audio"], crate::openai::embedding::base64(&sound[..sound.len().div_ceil(16)]));
    assert_eq!(
        streamed.last().unwrap()["usage"],
        json!({"input_tokens": 2, "output_tokens": 10, "total_tokens": 12})
    );
}

#[test]
fn transcriptions_take_what_their_model_takes() {
    let op = Op::Transcribe;
    taken(
        op,
        json!({"file": wav(), "model": "whisper-1", "response_format": "verbose_json",
        "timestamp_granularities": ["word"]}),
    );
    taken(op, json!({"file": wav(), "model": "gpt-4o-transcribe", "stream": true, "include": ["logprobs"]}));
    for (body, param, message) in [
        (json!({"model": "whisper-1"}), "file", "Missing required parameter: 'file'."),
        (json!({"model": "whisper-1", "file": "text"}), "file", "expected a file"),
        (json!({"model": "whisper-1", "file": file("a.txt", "text/plain", 5)}), "", "Invalid file format."),
        (json!({"model": "whisper-1", "file": file("a.wav", "audio/wav", 0)}), "file", "too short"),
        (
            json!({"model": "whisper-1", "file": file("a.wav", "audio/wav", 27_000_000)}),
            "",
            "Maximum content size",
        ),
        (
            json!({"model": "gpt-4o-transcribe", "file": wav(), "response_format": "srt"}),
            "response_format",
            "is not compatible with model 'gpt-4o-transcribe'",
        ),
        (
            json!({"model": "whisper-1", "file": wav(), "timestamp_granularities": ["word"]}),
            "timestamp_granularities",
            "'verbose_json'",
        ),
        (json!({"model": "whisper-1", "file": wav(), "include": ["logprobs"]}), "include", "not supported"),
        (
            json!({"model": "whisper-1", "file": wav(), "temperature": "hot"}),
            "temperature",
            "expected a decimal",
        ),
    ] {
        refused(op, body, param, message);
    }
    refused(
        Op::Translate,
        json!({"file": wav(), "model": "gpt-4o-transcribe"}),
        "model",
        "does not support translations",
    );
}

#[test]
fn a_transcription_has_the_format_that_was_asked_for() {
    let part = crate::platform::Part {
        name: "file".to_owned(),
        filename: Some("a.wav".to_owned()),
        content_type: None,
        body: sound::silence("wav", 61_500).into(),
    };
    let form = Form { parts: vec![part] };
    let said = |model: &str, format: &str| {
        let body = json!({"file": wav(), "model": model, "response_format": format});
        String::from_utf8(whole(made(Op::Transcribe, &body, Some(&form))).to_vec()).unwrap()
    };
    assert_eq!(said("whisper-1", "text"), "it rains\n");
    assert_eq!(said("whisper-1", "srt"), "1\n00:00:00,000 --> 00:01:01,500\nit rains\n\n");
    assert_eq!(said("whisper-1", "vtt"), "WEBVTT\n\n00:00:00.000 --> 00:01:01.500\nit rains\n\n");
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let whisper = read(said("whisper-1", "json"));
    assert_eq!(whisper, json!({"text": "it rains", "usage": {"type": "duration", "seconds": 62.0}}));
    let verbose = read(said("whisper-1", "verbose_json"));
    assert_eq!((&verbose["duration"], &verbose["segments"][0]["end"]), (&json!(61.5), &json!(61.5)));
    let tokens = read(said("gpt-4o-transcribe", "json"));
    assert_eq!(
        (&tokens["usage"]["input_tokens"], &tokens["usage"]["output_tokens"]),
        (&json!(615), &json!(2))
    );
    let diarized = read(said("gpt-4o-transcribe-diarize", "diarized_json"));
    assert_eq!(diarized["segments"][0]["speaker"], "A");
}

#[test]
fn a_streamed_transcription_is_the_plain_one_in_pieces() {
    let asked = json!({"file": wav(), "model": "gpt-4o-transcribe", "stream": true, "include": ["logprobs"]});
    let streamed = events(Op::Transcribe, asked);
    let deltas: String = streamed.iter().map(|event| text_at(event, "delta")).collect();
    let done = streamed.last().unwrap();
    assert_eq!((deltas.as_str(), text_at(done, "text")), ("it rains", "it rains"));
    assert_eq!(
        (&done["usage"]["type"], &streamed[0]["logprobs"][0]["token"]),
        (&json!("tokens"), &json!("it r"))
    );
}

#[test]
fn each_text_is_judged_by_itself_and_parts_together() {
    taken(Op::Moderate, json!({"input": "x"}));
    refused(Op::Moderate, json!({}), "input", "Missing required parameter");
    refused(Op::Moderate, json!({"input": [{"type": "audio"}]}), "input[0].type", "Invalid value: 'audio'.");
    let texts = plain(Op::Moderate, json!({"input": ["I will kill it", "hello"]}));
    let flags: Vec<bool> =
        texts["results"].as_array().unwrap().iter().map(|one| one["flagged"] == true).collect();
    assert_eq!((flags, &texts["results"][0]["categories"]["violence"]), (vec![true, false], &json!(true)));
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/x.png"}});
    let parts = plain(Op::Moderate, json!({"input": [{"type": "text", "text": "hello"}, image]}));
    assert_eq!(parts["results"].as_array().unwrap().len(), 1);
    assert_eq!(parts["results"][0]["category_applied_input_types"]["violence"], json!(["text", "image"]));
}
