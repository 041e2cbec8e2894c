//! What the messages of a session say, as far as the gateway has to know, and the names of models in them.
//!
//! Owns the names of Realtime's events and members, as OpenAI's package publishes them (`openai.types.realtime`, and the
//! beta's). Leaves what a count costs to the account. **Invariant:** a message is passed on as it came but for the names
//! of models. **Invariant:** a caller's message that is no JSON object, or that names another model for the session, is
//! answered here and reaches no provider.

use super::context::Means;
use crate::error::{realtime_error, strike_out};
use crate::target::Target;
use std::ops::Range;
use tollgate_catalog::Usage;
use tollgate_config::Secret;
use tollgate_dialect::json::{Kind, Limits, Object, Value, scan, write_string};

/// What a session and its provider call the same model.
#[derive(Debug)]
pub(super) struct Names {
    caller: String,
    provider: String,
    secret: Option<Secret>,
}

/// What becomes of a caller's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Upward {
    /// It goes on as it came.
    Same,
    /// It goes on in these words.
    Changed(String),
    /// It does not go on; the caller is told this event.
    Refused(String),
}

/// What of a provider's message concerns the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// A response begins.
    ResponseBegins {
        /// Which.
        id: String,
    },
    /// So many bytes of what a response says in text, or as sound in base64.
    Said {
        /// Which.
        id: String,
        /// Bytes of text, transcripts and arguments.
        text_bytes: u64,
        /// Bytes of sound in base64.
        sound_bytes: u64,
    },
    /// A response is over; its counts, where it has any.
    ResponseEnds {
        /// Which.
        id: String,
        /// The counts.
        usage: Option<Usage>,
    },
    /// What the caller said has become a piece by itself.
    Committed,
    /// What the caller said was written down; the counts, where they are in tokens.
    Transcribed(Option<Usage>),
    /// It was not written down.
    NotTranscribed,
    /// The session's settings.
    Settings {
        /// What the caller says is written down by this model.
        transcriber: Option<String>,
        /// How long they are.
        bytes: u64,
    },
}

/// A provider's message, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Downward {
    /// Other words to pass it on in.
    pub(super) changed: Option<String>,
    /// What it tells the account.
    pub(super) news: News,
}

/// Where a session's settings name the model that writes down what the caller says: the API's place and the beta's.
const TRANSCRIBER_PATHS: [&[&str]; 2] =
    [&["audio", "input", "transcription", "model"], &["input_audio_transcription", "model"]];

impl Names {
    /// Of a session that was asked for by this name.
    pub(super) fn new(asked: &str, target: &Target) -> Self {
        let secret = target.secret.clone().filter(|_| target.credential().is_some());
        Self { caller: asked.to_owned(), provider: target.model.clone(), secret }
    }

    /// Reads a caller's message: what becomes of it, and what it can lead to.
    pub(super) fn upward(&self, text: &str) -> (Upward, Means) {
        let Ok(event) = scan(text.as_bytes(), &Limits::REQUEST) else {
            let message = "The event is not a JSON object that is accepted.";
            let event = realtime_error(("invalid_request_error", "invalid_json"), message, None);
            return (Upward::Refused(event), Means::Nothing);
        };
        let kind = event.get("type").and_then(|kind| kind.as_str());
        let means = Means::of(kind.as_deref().unwrap_or_default(), text, &event);
        if !matches!(kind.as_deref(), Some("session.update" | "transcription_session.update")) {
            return (Upward::Same, means);
        }
        (self.settings(text, &event), means)
    }

    /// The settings of a session, as they go on.
    fn settings(&self, text: &str, event: &Object<'_>) -> Upward {
        let id = event.get("event_id").and_then(|id| id.as_str());
        let refuse = |code: &str, message: &str| {
            Upward::Refused(realtime_error(("invalid_request_error", code), message, id.as_deref()))
        };
        let Some(settings) = event.get("session") else { return Upward::Same };
        let Some(session) = settings.as_object() else {
            let is_object = settings.kind() == Kind::Object;
            return if is_object {
                refuse("invalid_json", "session names a member twice.")
            } else {
                Upward::Same
            };
        };
        let mut edits = Vec::new();
        if let Some((span, name)) = string_at(&session, &["model"]) {
            if name != self.caller && name != self.provider {
                return refuse("model_not_changeable", "The model of a session cannot be changed.");
            }
            edits.push((span, self.provider.as_str()));
        }
        for path in TRANSCRIBER_PATHS {
            edits.extend(
                string_at(&session, path)
                    .filter(|(_, name)| *name == self.caller)
                    .map(|(span, _)| (span, self.provider.as_str())),
            );
        }
        rewrite(text, edits).map_or(Upward::Same, Upward::Changed)
    }

    /// A caller's own id of its message.
    pub(super) fn event_id(text: &str) -> Option<String> {
        let event = scan(text.as_bytes(), &Limits::REQUEST).ok()?;
        Some(event.get("event_id")?.as_str()?.into_owned())
    }

    /// Reads a provider's message.
    pub(super) fn downward(&self, text: &str) -> Downward {
        let mut read = match scan(text.as_bytes(), &Limits::REPLY) {
            Ok(event) => self.read(text, &event),
            // The caller can tell as well as the gateway that it is broken.
            Err(_) => Downward { changed: None, news: News::None },
        };
        let secret = self.secret.as_ref().map(Secret::expose);
        let told = read.changed.as_deref().unwrap_or(text);
        if secret.is_some_and(|secret| memchr::memmem::find(told.as_bytes(), secret.as_bytes()).is_some()) {
            read.changed = Some(strike_out(told, secret));
        }
        read
    }

    fn read(&self, text: &str, event: &Object<'_>) -> Downward {
        let kind = event.get("type").and_then(|kind| kind.as_str());
        let response = || event.get("response").and_then(|response| response.as_object());
        let news = match kind.as_deref().unwrap_or_default() {
            "session.created"
            | "session.updated"
            | "transcription_session.created"
            | "transcription_session.updated" => return self.read_settings(text, event),
            "response.created" => News::ResponseBegins { id: id_of(response()) },
            "response.done" => {
                let counts = response().and_then(|response| usage(response.get("usage")?));
                News::ResponseEnds { id: id_of(response()), usage: counts }
            }
            "input_audio_buffer.committed" => News::Committed,
            "conversation.item.input_audio_transcription.failed" => News::NotTranscribed,
            "conversation.item.input_audio_transcription.completed" => {
                News::Transcribed(event.get("usage").and_then(usage))
            }
            // The names of the API, and of its beta.
            "response.output_audio.delta" | "response.audio.delta" => {
                News::Said { id: said_by(event), text_bytes: 0, sound_bytes: delta_bytes(event) }
            }
            "response.output_text.delta"
            | "response.text.delta"
            | "response.output_audio_transcript.delta"
            | "response.audio_transcript.delta"
            | "response.function_call_arguments.delta" => {
                News::Said { id: said_by(event), text_bytes: delta_bytes(event), sound_bytes: 0 }
            }
            _ => News::None,
        };
        Downward { changed: None, news }
    }

    fn read_settings(&self, text: &str, event: &Object<'_>) -> Downward {
        let Some(session) = event.get("session").and_then(|session| session.as_object()) else {
            return Downward { changed: None, news: News::None };
        };
        let mut edits: Vec<(Range<usize>, &str)> = Vec::new();
        edits.extend(string_at(&session, &["model"]).map(|(span, _)| (span, self.caller.as_str())));
        let mut transcriber = None;
        for path in TRANSCRIBER_PATHS {
            let Some((span, name)) = string_at(&session, path) else { continue };
            if name == self.provider {
                edits.push((span, &self.caller));
            }
            transcriber = Some(name);
        }
        let news = News::Settings { transcriber, bytes: text.len() as u64 };
        Downward { changed: rewrite(text, edits), news }
    }
}

/// The string at the end of a path of members, and where it stands in the message.
fn string_at(object: &Object<'_>, path: &[&str]) -> Option<(Range<usize>, String)> {
    let (name, rest) = path.split_first()?;
    let value = object.get(name)?;
    if rest.is_empty() {
        return Some((value.span(), value.as_str()?.into_owned()));
    }
    string_at(&value.as_object()?, rest)
}

/// The message with these values in the places of others; `None` where there is nothing to do.
fn rewrite(text: &str, mut edits: Vec<(Range<usize>, &str)>) -> Option<String> {
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|(span, _)| span.start);
    let (mut changed, mut copied) = (Vec::with_capacity(text.len() + 64), 0);
    for (span, name) in edits {
        changed.extend_from_slice(text.get(copied..span.start)?.as_bytes());
        write_string(&mut changed, name);
        copied = span.end;
    }
    changed.extend_from_slice(text.get(copied..)?.as_bytes());
    String::from_utf8(changed).ok()
}

/// The id of a response; empty where it has none.
fn id_of(response: Option<Object<'_>>) -> String {
    let id = response.and_then(|response| Some(response.get("id")?.as_str()?.into_owned()));
    id.unwrap_or_default()
}

/// Whose piece it is.
fn said_by(event: &Object<'_>) -> String {
    event.get("response_id").and_then(|id| id.as_str()).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

fn delta_bytes(event: &Object<'_>) -> u64 {
    // Without the quotes; escapes make a text longer than it is by little.
    event.get("delta").map_or(0, |delta| (delta.raw().len() as u64).saturating_sub(2))
}

/// The counts of a response, or of a transcription in tokens. Totals are totals, the rest are parts of them; `None` where
/// there is no total.
fn usage(value: Value<'_>) -> Option<Usage> {
    let usage = value.as_object()?;
    let count = |object: &Object<'_>, name: &str| object.get(name).and_then(|count| count.as_u64());
    let (input, output) = (count(&usage, "input_tokens"), count(&usage, "output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let details = |name: &str| usage.get(name).and_then(|details| details.as_object());
    let (input_details, output_details) = (details("input_token_details"), details("output_token_details"));
    let of = |details: &Option<Object<'_>>, name: &str| {
        details.as_ref().and_then(|details| count(details, name)).unwrap_or(0)
    };
    let cached = input_details.as_ref().and_then(|details| details.get("cached_tokens_details")?.as_object());
    Some(Usage {
        input_tokens: input.unwrap_or(0),
        cached_tokens: of(&input_details, "cached_tokens"),
        cached_audio_tokens: of(&cached, "audio_tokens"),
        cached_image_tokens: of(&cached, "image_tokens"),
        // Cached sound has a price of its own, so what is not cached is told apart.
        input_audio_tokens: of(&input_details, "audio_tokens").saturating_sub(of(&cached, "audio_tokens")),
        input_image_tokens: of(&input_details, "image_tokens").saturating_sub(of(&cached, "image_tokens")),
        output_tokens: output.unwrap_or(0),
        output_audio_tokens: of(&output_details, "audio_tokens"),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            caller: "voice".to_owned(),
            provider: "gpt-realtime".to_owned(),
            secret: Some(Secret::new("sk-provider")),
        }
    }

    #[test]
    fn a_callers_message_goes_on_as_it_is_but_for_the_model() {
        let check = |text: &str, expect: Option<&str>| {
            let expect = expect.map_or(Upward::Same, |text| Upward::Changed(text.to_owned()));
            assert_eq!(names().upward(text).0, expect, "{text}");
        };
        check(r#"{"type":"response.create"}"#, None);
        check(r#"{"type":"no.such.event","session":{"model":"x"}}"#, None);
        check(r#"{"type":"session.update","session":{"type":"realtime"}}"#, None);
        check(r#"{"type":"session.update","session":null}"#, None);
        check(r#"{"type":"session.update","session":{"model":7}}"#, None);
        check(
            r#"{ "type":"session.update", "session":{"model":"voice" ,"tools":[]}}"#,
            Some(r#"{ "type":"session.update", "session":{"model":"gpt-realtime" ,"tools":[]}}"#),
        );
        check(
            r#"{"ty\u0070e":"session\u002eupdate","session":{"mod\u0065l":"v\u006fice"}}"#,
            Some(r#"{"ty\u0070e":"session\u002eupdate","session":{"mod\u0065l":"gpt-realtime"}}"#),
        );
        check(
            r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"voice"}}}}}"#,
            Some(
                r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"gpt-realtime"}}}}}"#,
            ),
        );
        check(
            r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#,
            None,
        );
    }

    #[test]
    fn another_model_and_what_is_no_event_are_refused_here() {
        let check = |text: &str, code: &str, id: Option<&str>| {
            let Upward::Refused(event) = names().upward(text).0 else { panic!("{text} went on") };
            let event: serde_json::Value = serde_json::from_str(&event).unwrap();
            assert_eq!((&event["type"], &event["error"]["code"]), (&"error".into(), &code.into()), "{text}");
            assert_eq!(event["error"]["event_id"].as_str(), id);
            assert!(event["event_id"].as_str().unwrap().starts_with("event_"));
        };
        check("hello", "invalid_json", None);
        check("[]", "invalid_json", None);
        check(r#"{"type":"a","type":"session.update"}"#, "invalid_json", None);
        check(r#"{"type":"session.update","session":{"model":"a","model":"b"}}"#, "invalid_json", None);
        check(
            r#"{"event_id":"e1","type":"session.update","session":{"model":"gpt-dear"}}"#,
            "model_not_changeable",
            Some("e1"),
        );
        check(&format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100)), "invalid_json", None);
    }

    #[test]
    fn the_caller_sees_its_own_name_and_no_credential() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(names().downward(text).changed.as_deref(), expect, "{text}");
        };
        check(
            r#"{"type":"session.created","session":{"model":"gpt-realtime-2025-08-28","id":"s"}}"#,
            Some(r#"{"type":"session.created","session":{"model":"voice","id":"s"}}"#),
        );
        check(r#"{"type":"session.created","session":{"id":"s"}}"#, None);
        check(r#"{"type":"response.created","response":{"model":"gpt-realtime"}}"#, None);
        check(
            r#"{"type":"error","error":{"message":"key sk-provider"}}"#,
            Some(r#"{"type":"error","error":{"message":"key ****"}}"#),
        );
        check("{\"broken\": [", None);
    }

    #[test]
    fn counts_and_their_parts_are_read_from_the_events_that_have_them() {
        let check = |text: &str, expect: News| assert_eq!(names().downward(text).news, expect, "{text}");
        let ends = |id: &str, usage| News::ResponseEnds { id: id.to_owned(), usage };
        let counted = |rest: &str| {
            format!(
                r#"{{"type":"response.done","response":{{"id":"r1","usage":{{"total_tokens":150,"input_tokens":100,"output_tokens":50{rest}}}}}}}"#
            )
        };
        let plain = Usage { input_tokens: 100, output_tokens: 50, ..Usage::default() };
        check(&counted(""), ends("r1", Some(plain)));
        check(
            &counted(
                r#","input_token_details":{"text_tokens":40,"audio_tokens":60,"cached_tokens":30,"cached_tokens_details":{"text_tokens":10,"audio_tokens":20}},"output_token_details":{"text_tokens":10,"audio_tokens":40}"#,
            ),
            ends(
                "r1",
                Some(Usage {
                    cached_tokens: 30,
                    cached_audio_tokens: 20,
                    input_audio_tokens: 40,
                    output_audio_tokens: 40,
                    ..plain
                }),
            ),
        );
        check(r#"{"type":"response.done","response":{"usage":null}}"#, ends("", None));
        check(r#"{"type":"response.done","response":{"usage":{"input_tokens":-3}}}"#, ends("", None));
        check(r#"{"type":"response.done"}"#, ends("", None));
        let begins = News::ResponseBegins { id: "r2".to_owned() };
        check(r#"{"type":"response.created","response":{"id":"r2"}}"#, begins);
        check(r#"{"type":"input_audio_buffer.committed"}"#, News::Committed);
        let name = "conversation.item.input_audio_transcription.completed";
        check(
            &format!(
                r#"{{"type":"{name}","usage":{{"type":"tokens","input_tokens":9,"output_tokens":2,"input_token_details":{{"audio_tokens":8}}}}}}"#
            ),
            News::Transcribed(Some(Usage {
                input_tokens: 9,
                output_tokens: 2,
                input_audio_tokens: 8,
                ..Usage::default()
            })),
        );
        check(
            &format!(r#"{{"type":"{name}","usage":{{"type":"duration","seconds":1.5}}}}"#),
            News::Transcribed(None),
        );
        check(
            r#"{"type":"response.output_text.delta","delta":"hello"}"#,
            News::Said { id: String::new(), text_bytes: 5, sound_bytes: 0 },
        );
        check(
            r#"{"type":"response.audio.delta","response_id":"r3","delta":"AAAA"}"#,
            News::Said { id: "r3".to_owned(), text_bytes: 0, sound_bytes: 4 },
        );
        check(
            r#"{"type":"session.updated","session":{"input_audio_transcription":{"model":"whisper-1"}}}"#,
            News::Settings { transcriber: Some("whisper-1".to_owned()), bytes: 88 },
        );
    }
}
