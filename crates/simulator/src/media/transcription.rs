//! Text from speech: transcriptions and translations, in every format, plain and streamed.
//!
//! Owns: what each model takes, the replies. Leaves to others: the text itself (`compose`).
//!
//! **Invariant:** Whisper is paid by the second, every other model by the token, and a translation reports neither.

use super::{Sent, fields, sound, tables};
use crate::ask::{Ask, items_at, pieces, text_at, tokens_of};
use crate::error::ApiError;
use crate::openai::check::is_set;
use crate::platform::{FILE, Op};
use crate::reply::{Content, Event, Making, Reply, Role};
use serde_json::{Value, json};

/// Largest file (speech-to-text guide: 25 MB).
const FILE_BYTES_MAX: u64 = 25 << 20;
/// The log probability of every token.
const LOGPROB: f64 = -0.125;
/// Tokens of a second of sound.
const TOKENS_A_SECOND: f64 = 10.0;

const EXTENSIONS: &[&str] = &["flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"];

/// Checks a form that asks for a transcription.
pub(super) fn check(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, tables::TRANSCRIPTION)?;
    file(body)?;
    let format = text_at(body, "response_format");
    let whisper = model.starts_with("whisper");
    let diarizes = model.contains("diarize");
    let gpt = model.starts_with("gpt-");
    let incompatible = |format: &str, takes: &str| {
        let message = format!(
            "response_format '{format}' is not compatible with model '{model}'. Use {takes} instead."
        );
        Err(ApiError::bad_request(message).param("response_format").code("unsupported_value"))
    };
    match format {
        "srt" | "vtt" | "verbose_json" if gpt => return incompatible(format, "'json' or 'text'"),
        "diarized_json" if whisper || (gpt && !diarizes) => return incompatible(format, "'json' or 'text'"),
        _ => {}
    }
    if is_set(body, "timestamp_granularities") && format != "verbose_json" {
        let message = "'timestamp_granularities' is only supported when 'response_format' is 'verbose_json'.";
        return Err(ApiError::bad_request(message)
            .param("timestamp_granularities")
            .code("unsupported_value"));
    }
    if is_set(body, "include") && (whisper || diarizes) {
        let message = "Logprobs are not supported with this model.";
        return Err(ApiError::bad_request(message).param("include").code("unsupported_value"));
    }
    if diarizes && is_set(body, "prompt") {
        let message = "Prompt is not supported for diarization models";
        return Err(ApiError::bad_request(message).param("prompt").code("unsupported_value"));
    }
    Ok(())
}

/// Checks a form that asks for a translation, which Whisper alone makes.
pub(super) fn check_translation(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, tables::TRANSLATION)?;
    if model.starts_with("gpt-") {
        let message = format!("The model `{model}` does not support translations. Use 'whisper-1' instead.");
        return Err(ApiError::bad_request(message).param("model").code("unsupported_model"));
    }
    file(body)
}

fn file(body: &Value) -> Result<(), ApiError> {
    let file = body.get("file").and_then(|file| file.get(FILE)).unwrap_or(&Value::Null);
    let extension = text_at(file, "filename").rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    if !EXTENSIONS.contains(&extension.as_str()) {
        let listed: Vec<String> = EXTENSIONS.iter().map(|extension| format!("'{extension}'")).collect();
        return Err(ApiError::bad_request(format!(
            "Invalid file format. Supported formats: [{}]",
            listed.join(", ")
        )));
    }
    match file.get("bytes").and_then(Value::as_u64).unwrap_or(0) {
        0 => Err(ApiError::bad_request("Audio file is too short. Minimum audio length is 0.1 seconds.")
            .param("file")
            .code("audio_too_short")),
        bytes if bytes > FILE_BYTES_MAX => Err(ApiError::new(
            413,
            format!("Maximum content size limit ({FILE_BYTES_MAX}) exceeded ({bytes} bytes read)"),
        )),
        _ => Ok(()),
    }
}

/// A transcription, before it has a format.
struct Heard<'a> {
    text: &'a str,
    seconds: f64,
    op: Op,
    body: &'a Value,
}

/// The reply.
pub(super) fn make(op: Op, sent: Sent<'_>, ask: &Ask, making: &Making<'_>) -> Reply {
    let body = sent.body;
    let audio = sent
        .form
        .and_then(|form| form.files("file").first().map(|part| part.body.clone()))
        .unwrap_or_default();
    let heard = Heard { text: &making.composed.text, seconds: sound::seconds(&audio), op, body };
    let by_second = sent.model.starts_with("whisper");
    let usage = match (op, by_second) {
        (Op::Translate, _) => None,
        (_, true) => making.usage(json!({"type": "duration", "seconds": heard.seconds.ceil()})),
        (_, false) => making.usage(heard.tokens(making)),
    };
    if ask.stream && !by_second && op == Op::Transcribe {
        return Reply::events(heard.events(usage));
    }
    match text_at(body, "response_format") {
        "text" => of_text(format!("{}\n", heard.text)),
        "srt" => {
            of_text(format!("1\n{} --> {}\n{}\n\n", clock(0.0, ','), clock(heard.seconds, ','), heard.text))
        }
        "vtt" => of_text(format!(
            "WEBVTT\n\n{} --> {}\n{}\n\n",
            clock(0.0, '.'),
            clock(heard.seconds, '.'),
            heard.text
        )),
        "verbose_json" => Reply::json(&with_usage(heard.verbose(), usage)),
        "diarized_json" => Reply::json(&with_usage(heard.diarized(), usage)),
        _ => {
            let mut reply = json!({"text": heard.text});
            if let (Some(fields), true) = (reply.as_object_mut(), heard.tells_logprobs()) {
                fields.insert("logprobs".to_owned(), logprobs(heard.text));
            }
            Reply::json(&with_usage(reply, usage))
        }
    }
}

fn of_text(text: String) -> Reply {
    Reply {
        status: 200,
        content_type: "text/plain; charset=utf-8",
        headers: Vec::new(),
        content: Content::Whole(text.into()),
    }
}

fn with_usage(mut reply: Value, usage: Option<Value>) -> Value {
    if let (Some(fields), Some(usage)) = (reply.as_object_mut(), usage) {
        fields.insert("usage".to_owned(), usage);
    }
    reply
}

/// `00:01:02,500`
fn clock(seconds: f64, point: char) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a sound lasts less than a year"
    )]
    let ms = (seconds.max(0.0) * 1_000.0) as u64;
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    format!("{:02}:{:02}:{:02}{point}{:03}", minutes / 60, minutes % 60, rest / 1_000, rest % 1_000)
}

fn logprobs(text: &str) -> Value {
    let token = |piece: &str| json!({"token": piece, "bytes": piece.as_bytes(), "logprob": LOGPROB});
    pieces(text).into_iter().map(token).collect()
}

impl Heard<'_> {
    fn tells_logprobs(&self) -> bool {
        items_at(self.body, "include").iter().any(|included| included == "logprobs")
    }

    fn tokens(&self, making: &Making<'_>) -> Value {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a sound lasts less than a year"
        )]
        let audio = (self.seconds * TOKENS_A_SECOND).ceil() as u64;
        let text = tokens_of(text_at(self.body, "prompt"));
        let output = making.composed.counts.completion;
        json!({
            "type": "tokens",
            "input_tokens": audio + text,
            "input_token_details": {"text_tokens": text, "audio_tokens": audio},
            "output_tokens": output,
            "total_tokens": audio + text + output,
        })
    }

    fn verbose(&self) -> Value {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        #[expect(clippy::cast_precision_loss, reason = "a text has fewer than 2^52 words")]
        let each = self.seconds / words.len().max(1) as f64;
        let granularities = items_at(self.body, "timestamp_granularities");
        let wants = |what: &str| granularities.iter().any(|wanted| wanted == what);
        let task = if self.op == Op::Translate { "translate" } else { "transcribe" };
        let mut reply =
            json!({"task": task, "language": "english", "duration": self.seconds, "text": self.text});
        let Some(fields) = reply.as_object_mut() else { return reply };
        if wants("word") {
            #[expect(clippy::cast_precision_loss, reason = "a text has fewer than 2^52 words")]
            let word = |(at, word): (usize, &&str)| json!({"word": word, "start": at as f64 * each, "end": (at + 1) as f64 * each});
            fields.insert("words".to_owned(), words.iter().enumerate().map(word).collect());
        }
        if wants("segment") || granularities.is_empty() {
            let tokens: Vec<u64> = (0..pieces(self.text).len() as u64).collect();
            let segment = json!({
                "id": 0, "seek": 0, "start": 0.0, "end": self.seconds, "text": self.text, "tokens": tokens,
                "temperature": 0.0, "avg_logprob": LOGPROB, "compression_ratio": 1.0, "no_speech_prob": 0.01,
            });
            fields.insert("segments".to_owned(), json!([segment]));
        }
        reply
    }

    fn segment(&self) -> Value {
        json!({
            "type": "transcript.text.segment", "id": "seg_001", "speaker": "A", "start": 0.0, "end": self.seconds,
            "text": self.text,
        })
    }

    fn diarized(&self) -> Value {
        json!({"task": "transcribe", "duration": self.seconds, "text": self.text, "segments": [self.segment()]})
    }

    fn events(&self, usage: Option<Value>) -> Vec<Event> {
        let told = self.tells_logprobs();
        let with_logprobs = |mut data: Value, text: &str| {
            if let (Some(fields), true) = (data.as_object_mut(), told) {
                fields.insert("logprobs".to_owned(), logprobs(text));
            }
            data
        };
        let delta = |piece: &str| {
            let data = json!({"type": "transcript.text.delta", "delta": piece});
            Event::data(Role::Content, &with_logprobs(data, piece))
        };
        let mut events: Vec<Event> = pieces(self.text).into_iter().map(delta).collect();
        if text_at(self.body, "response_format") == "diarized_json" {
            events.push(Event::data(Role::Opening, &self.segment()));
        }
        let done = with_logprobs(json!({"type": "transcript.text.done", "text": self.text}), self.text);
        events.push(Event::data(Role::End, &with_usage(done, usage)));
        events
    }
}
