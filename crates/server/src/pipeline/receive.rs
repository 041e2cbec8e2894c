//! Bytes in: the caller's body, read within its limits, and what routing needs of it.
//!
//! One scan validates the whole body and finds its top-level members; nothing else is parsed here. **Invariant:** the
//! model that is authorised and routed is the one member named `model` after unescaping, and no second can exist.

use super::overrides::Overrides;
use super::rescue::Onward;
use super::speech::Speech;
use super::thread::Thread;
use super::{Call, caller};
use crate::error::Rejection;
use crate::routing::Wish;
use crate::surface::Surface;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tollgate_dialect::continuation::{Mode, Sent};
use tollgate_dialect::conversation::{ChatRequest, Namespace, Tool, ToolKind};
use tollgate_dialect::json::{Limits, Object, scan};
use tollgate_dialect::multipart::{self, Form};
use tollgate_dialect::responses::Echo;
use tollgate_dialect::wire::RequestError;

/// The limits of a caller's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveLimits {
    /// Most bytes.
    pub(crate) bytes_max: u64,
    /// Longest silence while it comes.
    pub(crate) idle: Duration,
}

/// A call as received.
pub(crate) struct Received<'b> {
    /// The body's bytes.
    pub(crate) body: &'b Bytes,
    /// Its top-level members.
    pub(crate) object: Object<'b>,
    /// Its type as the caller wrote it, with a form's boundary.
    pub(crate) content_type: Option<HeaderValue>,
    /// Its fields, where it is a form and no JSON.
    pub(crate) form: Option<Form<'b>>,
    /// The group that is asked for, from body or path.
    pub(crate) model: String,
    /// Neither body nor path named one.
    pub(crate) model_is_missing: bool,
    /// The reply is to be streamed.
    pub(crate) stream: bool,
    /// The stream is to be a JSON array, not events (Google's form without `alt=sse`).
    pub(crate) as_array: bool,
    /// The caller wants usage at the end of its stream.
    pub(crate) asks_usage: bool,
    /// Anthropic's features in trial that the caller asks for (`anthropic-beta`).
    pub(crate) anthropic_beta: Option<HeaderValue>,
    /// The version of Anthropic's API that the caller speaks.
    pub(crate) anthropic_version: Option<HeaderValue>,
    /// The same request with the turns before it put in, where it continues a stored conversation.
    pub(crate) extended: Option<Box<Received<'b>>>,
    /// The turn that it continues.
    pub(crate) previous_id: Option<String>,
    /// The deployment that has the turns before at its provider.
    pub(crate) holder: Option<String>,
    /// How it wants to be served.
    pub(crate) overrides: Overrides,
    /// Its stream may be rescued, so that what went out of it is kept.
    pub(crate) keeps_past: bool,
    /// Where its answer goes on, once the stream of another deployment broke off.
    pub(crate) onward: Option<Arc<Onward>>,
    /// How it wants to be routed.
    pub(crate) wish: Wish,
    /// The headers that came with it.
    pub(crate) headers: &'b HeaderMap,
    /// The body as a conversation, read when a provider of another dialect is the first to need it.
    conversation: OnceLock<Result<ChatRequest, RequestError>>,
    /// The same with bytes in the place of the addresses that it names, once they were fetched.
    fetched: OnceLock<ChatRequest>,
}

impl Received<'_> {
    /// Takes over what a thread says of the turns before.
    pub(crate) fn follow(&mut self, thread: &Thread) {
        if let Some(extended) = &mut self.extended {
            extended.previous_id.clone_from(&thread.previous_id);
        }
        self.previous_id.clone_from(&thread.previous_id);
        self.holder.clone_from(&thread.holder);
    }

    /// Has what goes out of its stream kept.
    pub(crate) fn keep_past(&mut self) {
        self.keeps_past = true;
        if let Some(extended) = &mut self.extended {
            extended.keeps_past = true;
        }
    }

    /// Its answer is to go on from there.
    pub(crate) fn go_on_from(&mut self, onward: Arc<Onward>) {
        if let Some(extended) = &mut self.extended {
            extended.onward = Some(Arc::clone(&onward));
        }
        self.onward = Some(onward);
    }

    /// The text that the answer begins with, where the provider is to go on from it.
    pub(crate) fn prefill(&self) -> Option<&Sent> {
        self.onward.as_ref().filter(|onward| onward.mode == Mode::Prefill).map(|onward| &onward.sent)
    }

    /// The names of the request's custom tools, where it was read as a conversation.
    pub(crate) fn custom_tools(&self) -> Vec<String> {
        let Some(Ok(conversation)) = self.conversation.get() else { return Vec::new() };
        let tools = conversation.tools.iter();
        tools
            .filter(|tool| matches!(tool.kind, ToolKind::Custom { .. }))
            .map(|tool| tool.name.clone())
            .collect()
    }

    /// The request's tools that lie in namespaces, likewise, by the names that they go by.
    pub(crate) fn namespaced_tools(&self) -> Vec<(String, Namespace)> {
        let Some(Ok(conversation)) = self.conversation.get() else { return Vec::new() };
        let named = |tool: &Tool| Some((tool.name.clone(), tool.namespace.as_deref()?.clone()));
        conversation.tools.iter().filter_map(named).collect()
    }

    /// What a response object repeats of the request.
    pub(crate) fn echo(&self) -> Echo {
        let mut echo = Echo::read(self.body).unwrap_or_default();
        if let Some(id) = &self.previous_id {
            echo.set("previous_response_id", id.as_str().into());
        }
        echo
    }

    /// The request as a deployment has to see it: with the turns before it, unless its provider has them.
    pub(crate) fn for_deployment(&self, id: &str, speech: Speech) -> &Self {
        let holds = speech == Speech::Responses && self.holder.as_deref() == Some(id);
        match &self.extended {
            Some(extended) if !holds => extended,
            _ => self,
        }
    }

    /// The conversation with bytes in the place of addresses, where a deployment needed it so.
    pub(crate) fn fetched(&self) -> Option<&ChatRequest> {
        self.fetched.get()
    }

    /// Keeps the conversation whose addresses were fetched.
    pub(crate) fn keep_fetched(&self, conversation: ChatRequest) {
        // Attempts follow each other: whoever is second finds the same bytes.
        let _ = self.fetched.set(conversation);
    }

    /// The body as a conversation.
    pub(crate) fn conversation(&self, surface: Surface) -> Result<&ChatRequest, Rejection> {
        let read = self.conversation.get_or_init(|| caller::decode(surface, self.body));
        read.as_ref().map_err(|error| Rejection::invalid(surface.path(), &error.param, &error.message))
    }
}

/// How a body is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// JSON.
    Json,
    /// A multipart form with this boundary.
    Form(String),
}

/// Refuses what the surface does not take before a byte of it is read. A missing type is taken for JSON, as LiteLLM does.
pub(crate) fn check_content_type(headers: &HeaderMap, surface: Surface) -> Result<BodyKind, Rejection> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if surface.takes_form()
        && let Some(boundary) = multipart::boundary(kind)
    {
        return Ok(BodyKind::Form(boundary.to_owned()));
    }
    let is_json = headers.get(CONTENT_TYPE).is_none_or(|value| is_json(value.as_bytes()));
    let is_plain =
        headers.get(CONTENT_ENCODING).is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_json && is_plain { Ok(BodyKind::Json) } else { Err(Rejection::wrong_content_type()) }
}

/// Whether a content type is JSON's.
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json")
        || (essence.len() > 5 && essence.to_ascii_lowercase().ends_with(b"+json"))
}

/// Reads the body. A body that comes in one piece is not copied.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    mut body: Incoming,
    limits: ReceiveLimits,
) -> Result<Bytes, Rejection> {
    let too_large = || Rejection::body_too_large(limits.bytes_max);
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.bytes_max) {
        return Err(too_large());
    }
    let Some(first) = next_piece(&mut body, limits.idle).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return if first.len() as u64 > limits.bytes_max { Err(too_large()) } else { Ok(first) };
    }
    // What was announced is believed only up to a point, so that a lie costs the liar's bytes and not memory.
    let expected = usize::try_from(announced.unwrap_or(0)).unwrap_or(0).clamp(first.len(), 1 << 20);
    let mut whole = BytesMut::with_capacity(expected);
    whole.extend_from_slice(&first);
    while let Some(piece) = next_piece(&mut body, limits.idle).await? {
        if (whole.len() + piece.len()) as u64 > limits.bytes_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Most bytes of a refused request's body that are waited for, so that its connection can go on.
const UNREAD_BYTES_MAX: u64 = 256 << 10;
/// How long they are waited for in all.
const UNREAD_WAIT: Duration = Duration::from_secs(2);

/// Refuses a request whose body nobody reads. What is left of it would be taken for the next request of the connection:
/// a short one is read and dropped, after a longer one the connection ends, and the reply says so.
pub(crate) async fn refuse_unread(mut rejection: Rejection, mut body: Incoming) -> Rejection {
    let rest = async {
        let mut left = UNREAD_BYTES_MAX.checked_sub(body.size_hint().lower())?;
        while let Some(piece) = next_piece(&mut body, UNREAD_WAIT).await.ok()? {
            left = left.checked_sub(piece.len() as u64)?;
        }
        Some(())
    };
    let is_over = matches!(tokio::time::timeout(UNREAD_WAIT, rest).await, Ok(Some(())));
    if !is_over {
        rejection.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    rejection
}

async fn next_piece(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, Rejection> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        match tokio::time::timeout(idle, frame).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Ok(Some(Err(_))) | Err(_) => return Err(Rejection::body_incomplete()),
        }
    }
}

/// Finds what routing needs.
pub(crate) fn read<'b>(
    body: &'b Bytes,
    call: &Call,
    headers: &'b HeaderMap,
) -> Result<Received<'b>, Rejection> {
    let surface = call.surface;
    if let BodyKind::Form(boundary) = &call.body_kind {
        return read_form(body, boundary, call, headers);
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Rejection::missing(surface.path(), surface.content_member()));
    }
    let object = scan(body, &Limits::REQUEST).map_err(|error| Rejection::bad_json(&error.to_string()))?;
    let named = match object.get("model") {
        Some(value) if value.is_null() => None,
        Some(value) => match value.as_str() {
            Some(name) => Some(name.into_owned()),
            None => return Err(Rejection::invalid(surface.path(), "model", "expected a string")),
        },
        None => None,
    };
    // The path of the Azure and engine spellings names the deployment; what the body says then does not count.
    let model = call.path.name.clone().or(named);
    let stream = match object.get("stream") {
        _ if call.path.stream.is_some() => call.path.stream == Some(true),
        Some(value) if value.is_null() => false,
        Some(value) => value
            .as_bool()
            .ok_or_else(|| Rejection::invalid(surface.path(), "stream", "expected true or false"))?,
        None => false,
    };
    let options = object.get("stream_options").and_then(|value| value.as_object());
    let asks_usage = !surface.asks_for_usage()
        || options.and_then(|options| options.get("include_usage")?.as_bool()).unwrap_or(false);
    let overrides = Overrides::read(surface, headers, &object)?;
    let wish = Wish::read(surface.path(), headers, &object)?;
    Ok(Received {
        body,
        object,
        content_type: None,
        form: None,
        model_is_missing: model.is_none(),
        model: model.unwrap_or_default(),
        stream: stream && !surface.is_embedding(),
        as_array: stream && surface == Surface::GenerateContent && !call.asks_events,
        asks_usage,
        anthropic_beta: headers.get("anthropic-beta").cloned(),
        anthropic_version: headers.get("anthropic-version").filter(|value| is_date(value)).cloned(),
        extended: None,
        previous_id: None,
        holder: None,
        overrides,
        keeps_past: false,
        onward: None,
        wish,
        headers,
        conversation: OnceLock::new(),
        fetched: OnceLock::new(),
    })
}

/// `2023-06-01`: Anthropic names the versions of its API by dates.
fn is_date(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
}

/// Finds what routing needs in a form.
fn read_form<'b>(
    body: &'b Bytes,
    boundary: &str,
    call: &Call,
    headers: &'b HeaderMap,
) -> Result<Received<'b>, Rejection> {
    let form = Form::read(body, boundary).map_err(|error| Rejection::bad_form(&error.to_string()))?;
    let object = scan(b"{}", &Limits::REQUEST).map_err(|error| Rejection::bad_json(&error.to_string()))?;
    for field in form.fields() {
        Overrides::check_name(field.name)?;
    }
    let model = call.path.name.clone().or_else(|| form.text("model").map(str::to_owned));
    let stream = form.text("stream").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    let overrides = Overrides::read(call.surface, headers, &object)?;
    let wish = Wish::read(call.surface.path(), headers, &object)?;
    Ok(Received {
        body,
        object,
        content_type: headers.get(CONTENT_TYPE).cloned(),
        form: Some(form),
        model_is_missing: model.is_none(),
        model: model.unwrap_or_default(),
        stream,
        as_array: false,
        asks_usage: true,
        anthropic_beta: None,
        anthropic_version: None,
        extended: None,
        previous_id: None,
        holder: None,
        overrides,
        keeps_past: false,
        onward: None,
        wish,
        headers,
        conversation: OnceLock::new(),
        fetched: OnceLock::new(),
    })
}

/// Refuses a call without content. Asked after the model was found, in LiteLLM's order.
pub(crate) fn require_content(received: &Received<'_>, surface: Surface) -> Result<(), Rejection> {
    if received.form.is_some() {
        return Ok(());
    }
    let name = surface.content_member();
    let content = received.object.get(name).filter(|value| !value.is_null());
    let Some(content) = content else { return Err(Rejection::missing(surface.path(), name)) };
    if surface.content_is_list() && content.kind() != tollgate_dialect::json::Kind::Array {
        return Err(Rejection::invalid(surface.path(), name, "expected a list of messages"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::PathModel;

    fn read_chat(body: &str, path_model: Option<&str>) -> Result<(String, bool, bool), (u16, String)> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let headers = HeaderMap::new();
        let call =
            Call::new(Surface::Chat, PathModel::named(path_model), &headers, tokio::time::Instant::now());
        let read = read(&body, &call, &headers);
        let received = read.map_err(|r| (r.status().as_u16(), r.message().to_owned()))?;
        require_content(&received, Surface::Chat)
            .map_err(|r| (r.status().as_u16(), r.message().to_owned()))?;
        Ok((received.model, received.stream, received.asks_usage))
    }

    #[test]
    fn routing_reads_model_stream_and_usage() {
        let check = |body: &str, expect: (&str, bool, bool)| {
            let (model, stream, usage) = read_chat(body, None).unwrap();
            assert_eq!((model.as_str(), stream, usage), expect, "{body}");
        };
        check(r#"{"model":"m","messages":[]}"#, ("m", false, false));
        check(r#"{"messages":[],"mod\u0065l":"m","stream":true}"#, ("m", true, false));
        check(
            r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ("m", true, true),
        );
        check(r#"{"model":"m","messages":[],"stream":null}"#, ("m", false, false));
    }

    #[test]
    fn the_paths_model_comes_before_the_bodys() {
        assert_eq!(read_chat(r#"{"model":"b","messages":[]}"#, Some("a")).unwrap().0, "a");
        assert_eq!(read_chat(r#"{"messages":[]}"#, Some("a")).unwrap().0, "a");
    }

    #[test]
    fn bad_bodies_name_their_place() {
        let check = |body: &str, part: &str| {
            let (status, message) = read_chat(body, None).unwrap_err();
            assert_eq!(status, 400, "{body}");
            assert!(message.contains(part), "{body}: {message}");
        };
        check("{bad", "Invalid JSON payload: ");
        check("[]", "Invalid JSON payload: expected an object");
        check("", "Missing required parameter: 'messages'");
        check("  \n", "Missing required parameter: 'messages'");
        check(r#"{"model":"m"}"#, "Missing required parameter: 'messages'");
        check(r#"{"model":"m","messages":null}"#, "Missing required parameter: 'messages'");
        check(r#"{"model":"m","messages":"hi"}"#, "'messages': expected a list");
        check(r#"{"model":7,"messages":[]}"#, "'model': expected a string");
        check(r#"{"model":"m","messages":[],"stream":"yes"}"#, "'stream': expected true or false");
        check(r#"{"model":"cheap","model":"dear","messages":[]}"#, "Invalid JSON payload");
        check(r#"{"model":"cheap","mod\u0065l":"dear","messages":[]}"#, "Invalid JSON payload");
        check(&format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)), "Invalid JSON payload");
    }

    #[test]
    fn only_json_is_read() {
        let check = |name: &'static str, value: &'static str, ok: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(check_content_type(&headers, Surface::Chat).is_ok(), ok, "{name}: {value}");
        };
        check("content-type", "application/json", true);
        check("content-type", "Application/JSON; charset=utf-8", true);
        check("content-type", "application/vnd.api+json", true);
        check("content-type", "text/plain", false);
        check("content-type", "application/x-www-form-urlencoded", false);
        check("content-type", "multipart/form-data; boundary=x", false);
        check("content-encoding", "gzip", false);
        check("content-encoding", "identity", true);
        assert!(check_content_type(&HeaderMap::new(), Surface::Chat).is_ok());
        let mut form = HeaderMap::new();
        form.insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=x"));
        let kind = check_content_type(&form, Surface::Transcription).ok();
        assert_eq!(kind, Some(BodyKind::Form("x".to_owned())));
    }
}
