//! One attempt's request, written for the deployment that was chosen.
//!
//! Where caller and deployment speak the same dialect the body is spliced, else it is decoded once and encoded for the
//! deployment's wire. A parity test holds the two roads together.

use super::embedding;
use super::media;
use super::receive::Received;
use super::speech::{self, Speech};
use crate::error::Rejection;
use crate::surface::Surface;
use crate::target::Target;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use tollgate_catalog::KeyPlacement;
use tollgate_config::{OnUnsupported, Secret};
use tollgate_dialect::anthropic::Host;
use tollgate_dialect::continuation::{mark_prefix, prefill};
use tollgate_dialect::conversation::{EmbeddingRequest, RerankRequest};
use tollgate_dialect::json::{Limits, Object, scan};
use tollgate_dialect::openai::Extensions;
use tollgate_dialect::relay::{RequestEdits, plan_request};
use tollgate_dialect::rerank::{self, RerankWire};
use tollgate_dialect::wire::{Dialect, EncodeError, EncodeOptions, Losses, Outbound, Reading};
use tollgate_dialect::{openai, responses};
use tollgate_upstream::{EndpointError, Outgoing, SegmentBody, Timeouts};

/// How the reply is to be read.
#[derive(Debug)]
pub(crate) enum Road {
    /// The provider's bytes are the caller's, but for a few members.
    Relay,
    /// The same in a dialect other than OpenAI's.
    Native(Reading),
    /// The provider's bytes are the caller's, whatever they are.
    Pass,
    /// A ranking of documents.
    TranslateRerank(Box<RerankRequest>),
    /// Chat through the conversation model.
    Translate(Reading),
    /// Embeddings through the conversation model.
    TranslateEmbeddings(Box<EmbeddingRequest>),
}

/// A request ready to go.
pub(crate) struct Prepared {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: SegmentBody,
    pub(crate) plan: ReadPlan,
    /// Further calls that the request takes, where the provider embeds one input a call.
    pub(crate) more: Vec<Prepared>,
}

/// How the reply to a request is to be read.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) road: Road,
    /// The words in which it was asked.
    pub(crate) speech: Speech,
    /// What of the request this deployment's wire cannot express.
    pub(crate) lost: Losses,
}

impl Prepared {
    /// With its time limits.
    pub(crate) fn outgoing(self, timeouts: Timeouts) -> (Outgoing, ReadPlan) {
        let Self { method, target, headers, body, plan, more: _ } = self;
        (Outgoing { method, target, headers, body, timeouts }, plan)
    }
}

/// Writes the request.
pub(crate) fn prepare(
    received: &Received<'_>,
    surface: Surface,
    target: &Target,
) -> Result<Prepared, Rejection> {
    let speech = target.speech_for(surface);
    if received.prefill().is_some() {
        return translate(received, surface, target);
    }
    match (speech, surface) {
        (Speech::OpenAi, Surface::Chat) => relay(received, target, target.paths.chat.clone()),
        (_, Surface::Embeddings) if speech.has_openais_paths() => {
            relay(received, target, target.paths.embeddings.clone())
        }
        (_, Surface::Completions) if speech.has_openais_paths() && target.has_completions => {
            relay(received, target, target.paths.completions.clone())
        }
        (_, Surface::Rerank) if let Some(wire) = rank_wire(target) => {
            translate_rerank(received, target, wire)
        }
        (_, _)
            if speech.has_openais_paths()
                && let Some(operation) = surface.resource() =>
        {
            relay_resource(received, target, operation)
        }
        (_, _) if surface.resource().is_some() => {
            let reason = "this provider does not have it";
            Err(Rejection::not_expressible(target.provider.exception, surface.path(), reason))
        }
        _ if surface.is_embedding() => translate_embeddings(received, surface, target),
        _ if speech.dialect() == Some(surface.dialect()) && may_relay(received, surface, target) => {
            relay_native(received, speech, target)
        }
        _ => translate(received, surface, target),
    }
}

fn relay(received: &Received<'_>, target: &Target, path: Uri) -> Result<Prepared, Rejection> {
    let Some((plain, lost)) = in_openais_own_words(received, target) else {
        return splice(received, target, path, (&received.object, received.body));
    };
    let object = scan(&plain, &Limits::REQUEST).map_err(|error| Rejection::bad_json(&error.to_string()))?;
    let mut prepared = splice(received, target, path, (&object, &plain))?;
    warn_of(&lost, target);
    prepared.plan.lost.extend(lost);
    Ok(prepared)
}

/// The request without what LiteLLM adds within messages and tools, where it has any and the provider may refuse it.
/// Clients send such members back with the replies that they had them from. A request that cannot be read as a
/// conversation goes out as it is; the provider then says what is wrong with it.
fn in_openais_own_words(received: &Received<'_>, target: &Target) -> Option<(Bytes, Losses)> {
    let mentions = received.object.mentions();
    let is_openai = matches!(target.provider.name, "openai" | "azure");
    if !(mentions.provider_specific_fields || (is_openai && mentions.foreign_content)) {
        return None;
    }
    let extensions = if is_openai { Extensions::Omit } else { Extensions::Include };
    let conversation = received.conversation(Surface::Chat).ok()?;
    let outbound = openai::encode_chat(conversation, extensions, &target.options).ok()?;
    Some((Bytes::from(outbound.body), outbound.lost))
}

fn splice(
    received: &Received<'_>,
    target: &Target,
    path: Uri,
    (object, body): (&Object<'_>, &Bytes),
) -> Result<Prepared, Rejection> {
    let mut remove: Vec<&str> = received.overrides.remove.clone();
    let is_allowed = |name: &str| allowed(received, target).any(|allowed| allowed == name);
    let refused = target.refused_params.iter().filter(|name| object.get(name).is_some());
    let refused: Vec<&'static str> = refused.filter(|name| !is_allowed(name)).copied().collect();
    // What the gateway itself would add is never the caller's fault.
    let callers: Vec<String> =
        refused.iter().filter(|name| **name != "stream_options").map(|name| (*name).to_owned()).collect();
    if !callers.is_empty() && !drops_unsupported(received, target, Dialect::OpenAi) {
        return Err(Rejection::unsupported_params(target.provider.name, &target.model, &callers));
    }
    let mut lost = Losses::default();
    callers.into_iter().for_each(|name| lost.note(name));
    remove.extend(refused);
    remove.extend(always_dropped(received, target));
    let may_ask_usage = target.may_ask_usage();
    let edits = RequestEdits {
        remove: &remove,
        rename: target.provider.renames,
        model: Some(&target.model),
        include_usage: received.stream && may_ask_usage,
        defaults: &target.defaults,
    };
    let segments =
        plan_request(object, &edits, body).map_err(|error| Rejection::bad_json(&error.to_string()))?;
    let mut headers = target.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = SegmentBody::new(segments.iter().cloned());
    let plan = ReadPlan { road: Road::Relay, speech: Speech::OpenAi, lost };
    Ok(Prepared { method: Method::POST, target: path, headers, body, plan, more: Vec::new() })
}

/// The parameters that are left out whatever the provider takes: the operator's, then the caller's.
fn always_dropped<'a>(received: &'a Received<'_>, target: &'a Target) -> impl Iterator<Item = &'a str> {
    target.always_dropped.iter().chain(&received.overrides.additional_drop_params).map(String::as_str)
}

/// The parameters that are sent whatever is known of the provider: the operator's, then the caller's.
fn allowed<'a>(received: &'a Received<'_>, target: &'a Target) -> impl Iterator<Item = &'a str> {
    target.options.allowed_params.iter().chain(&received.overrides.allowed_openai_params).map(String::as_str)
}

/// Whether a parameter that the provider cannot express is left out: the caller's word goes before the operator's.
fn drops_unsupported(received: &Received<'_>, target: &Target, dialect: Dialect) -> bool {
    received.overrides.drop_params.unwrap_or_else(|| target.drops_unsupported(dialect))
}

/// A request of which the gateway knows the model's name alone: JSON or a form.
fn relay_resource(received: &Received<'_>, target: &Target, operation: &str) -> Result<Prepared, Rejection> {
    let path = target.operation(operation).ok_or_else(|| {
        Rejection::not_expressible(target.provider.exception, "model", "not a model's name")
    })?;
    let mut headers = target.headers.clone();
    let body = match (&received.form, &received.content_type) {
        (Some(form), Some(kind)) => {
            headers.insert(CONTENT_TYPE, kind.clone());
            let dropped: Vec<&str> = always_dropped(received, target).collect();
            SegmentBody::new(form.rewrite(received.body, &target.model, &dropped))
        }
        _ => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let mut remove: Vec<&str> = received.overrides.remove.clone();
            remove.extend(always_dropped(received, target));
            let edits = RequestEdits {
                remove: &remove,
                model: Some(&target.model),
                defaults: &target.defaults,
                ..RequestEdits::default()
            };
            let segments = plan_request(&received.object, &edits, received.body)
                .map_err(|error| Rejection::bad_json(&error.to_string()))?;
            SegmentBody::new(segments.iter().cloned())
        }
    };
    let plan = ReadPlan { road: Road::Pass, speech: Speech::OpenAi, lost: Losses::default() };
    Ok(Prepared { method: Method::POST, target: path, headers, body, plan, more: Vec::new() })
}

/// Whether a body of the wire's own dialect may go out as it is. The operator's default parameters are in OpenAI's
/// words, and a stream as a JSON array (Google's without `alt=sse`) is not what the provider is asked for.
fn may_relay(received: &Received<'_>, surface: Surface, target: &Target) -> bool {
    // What another maker's model signed its own provider alone may see again.
    let is_own = surface != Surface::Responses || !responses::carries_marks(received.body);
    // Nor can one go out whose addresses had to be fetched.
    let is_whole = !media::were_fetched(received, (target.speech_for(surface), surface));
    let is_others = surface.dialect() != Dialect::OpenAi;
    is_others && is_own && is_whole && target.defaults.is_empty() && !received.as_array
}

/// The request in a dialect other than OpenAI's that caller and provider share.
fn relay_native(received: &Received<'_>, speech: Speech, target: &Target) -> Result<Prepared, Rejection> {
    let address =
        speech.address(&target.model, received.stream).map_err(|error| encode_rejection(&error, target))?;
    let mut remove: Vec<&str> = received.overrides.remove.clone();
    remove.extend(always_dropped(received, target));
    let names_model = speech.body_names_model();
    if !names_model {
        remove.push("model");
    }
    if speech == Speech::Anthropic(Host::BedrockInvoke) {
        remove.push("stream");
    }
    let members: Vec<(String, String)> =
        speech.host_members().iter().map(|(name, json)| ((*name).to_owned(), (*json).to_owned())).collect();
    let edits = RequestEdits {
        remove: &remove,
        model: names_model.then_some(target.model.as_str()),
        defaults: &members,
        ..RequestEdits::default()
    };
    let segments = plan_request(&received.object, &edits, received.body)
        .map_err(|error| Rejection::bad_json(&error.to_string()))?;
    let reading = Reading { model: target.model.clone(), ..Reading::default() };
    let outbound = Outbound { path: address.path, headers: address.headers, reading, ..Outbound::default() };
    let mut prepared = finish(outbound, received, (speech, target), Road::Native)?;
    prepared.body = SegmentBody::new(segments.iter().cloned());
    // Whoever speaks Anthropic's dialect says in which version; the provider reads the body by it.
    if let (Speech::Anthropic(Host::Anthropic), Some(version)) = (speech, &received.anthropic_version) {
        prepared.headers.insert(HeaderName::from_static("anthropic-version"), version.clone());
    }
    Ok(prepared)
}

fn translate(received: &Received<'_>, surface: Surface, target: &Target) -> Result<Prepared, Rejection> {
    let speech = target.speech_for(surface);
    let mut conversation = media::as_taken(received, (speech, surface))?.clone();
    conversation.model.clone_from(&target.model);
    conversation.stream = received.stream;
    for name in received.overrides.remove.iter().copied().chain(always_dropped(received, target)) {
        conversation.leave_out(name);
    }
    apply_defaults(&mut conversation, received, target)?;
    conversation.include_usage = received.stream && target.may_ask_usage();
    if let Some(sent) = received.prefill() {
        prefill(&mut conversation, sent);
    }
    let mut options = target.options.clone();
    options.drop_unsupported = drops_unsupported(received, target, surface.dialect());
    options.allowed_params = allowed(received, target).map(str::to_owned).collect();
    let outbound = speech
        .encode(&conversation, &options, &target.place)
        .map_err(|error| encode_rejection(&error, target))?;
    let mut body = with_allowed(outbound.body, received, surface, &options);
    if received.prefill().is_some() && speech == Speech::OpenAi {
        body = mark_prefix(body);
    }
    let outbound = Outbound { body, ..outbound };
    warn_of(&outbound.lost, target);
    finish(outbound, received, (speech, target), Road::Translate)
}

/// Says in the log what a deployment's wire could not express, unless the operator knows.
fn warn_of(lost: &Losses, target: &Target) {
    let is_wanted = target.on_unsupported == Some(OnUnsupported::Warn) || target.on_unsupported.is_none();
    if is_wanted && !lost.is_empty() {
        let names: Vec<&str> = lost.names().collect();
        tracing::warn!(deployment = %target.id, dropped = names.join(", "), "not expressed at this provider");
    }
}

/// Adds the parameters that the operator lets through whatever is known of the wire (`allowed_openai_params`), as the
/// caller wrote them.
fn with_allowed(
    mut body: Vec<u8>,
    received: &Received<'_>,
    surface: Surface,
    options: &EncodeOptions,
) -> Vec<u8> {
    if options.allowed_params.is_empty() || surface.dialect() != Dialect::OpenAi {
        return body;
    }
    for name in &options.allowed_params {
        let Some(value) = received.object.get(name) else { continue };
        let is_there = scan(&body, &Limits::REQUEST).is_ok_and(|object| object.get(name).is_some());
        if !is_there && body.last() == Some(&b'}') {
            body.pop();
            let member = format!(",{}:{}}}", serde_json::Value::from(name.as_str()), value.text());
            body.extend_from_slice(member.as_bytes());
        }
    }
    body
}

/// The deployment's defaults are members that the caller did not send; they are read as if it had.
fn apply_defaults(
    conversation: &mut tollgate_dialect::conversation::ChatRequest,
    received: &Received<'_>,
    target: &Target,
) -> Result<(), Rejection> {
    let missing: Vec<_> =
        target.defaults.iter().filter(|(name, _)| received.object.get(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let members: Vec<String> = missing
        .iter()
        .map(|(name, json)| format!("{}:{json}", serde_json::Value::from(name.as_str())))
        .collect();
    let text = format!("{{\"model\":\"\",\"messages\":[],{}}}", members.join(","));
    let defaults = openai::decode_chat(text.as_bytes())
        .map_err(|error| Rejection::invalid("litellm_params", &error.param, &error.message))?;
    conversation.fill_from(defaults);
    Ok(())
}

/// The form in which a provider ranks documents; `None` where it is not known to.
fn rank_wire(target: &Target) -> Option<RerankWire> {
    match target.provider.name {
        "cohere" => Some(RerankWire::Cohere),
        "jina_ai" => Some(RerankWire::Jina),
        "voyage" => Some(RerankWire::Voyage),
        "together_ai" => Some(RerankWire::Together),
        "huggingface" => Some(RerankWire::HuggingFace),
        _ if target.speech.has_openais_paths() => Some(RerankWire::Infinity),
        _ => None,
    }
}

fn translate_rerank(
    received: &Received<'_>,
    target: &Target,
    wire: RerankWire,
) -> Result<Prepared, Rejection> {
    let mut request = rerank::decode_request(received.body)
        .map_err(|error| Rejection::invalid(Surface::Rerank.path(), &error.param, &error.message))?;
    request.model.clone_from(&target.model);
    let mut options = target.options.clone();
    options.drop_unsupported = drops_unsupported(received, target, Dialect::OpenAi);
    let outbound = rerank::encode_request(wire, &request, &options);
    let outbound = outbound.map_err(|error| encode_rejection(&error, target))?;
    let path = target.operation(outbound.path.trim_start_matches('/'));
    let mut prepared =
        finish(outbound, received, (target.speech, target), |_| Road::TranslateRerank(Box::new(request)))?;
    // Such a path does not depend on what chat's does.
    prepared.target = path.ok_or_else(|| {
        Rejection::not_expressible(target.provider.exception, "model", "not a model's name")
    })?;
    Ok(prepared)
}

fn translate_embeddings(
    received: &Received<'_>,
    surface: Surface,
    target: &Target,
) -> Result<Prepared, Rejection> {
    let mut request = embedding::decode(surface, received)
        .map_err(|error| Rejection::invalid(surface.path(), &error.param, &error.message))?;
    request.model.clone_from(&target.model);
    // The gateway reads the vectors itself and writes them as the caller wants them.
    let asked = EmbeddingRequest { base64: false, ..request.clone() };
    let mut options = target.options.clone();
    options.drop_unsupported = drops_unsupported(received, target, surface.dialect());
    options.allowed_params = allowed(received, target).map(str::to_owned).collect();
    let calls = embedding::encode((target.speech, &target.place), &asked, &options).ok_or_else(|| {
        Rejection::not_expressible(target.provider.exception, "model", "this provider has no embeddings")
    })?;
    let mut calls = calls.map_err(|error| encode_rejection(&error, target))?.into_iter();
    let first = calls.next().unwrap_or_default();
    let speech = (target.speech, target);
    let mut prepared = finish(first, received, speech, |_| Road::TranslateEmbeddings(Box::new(request)))?;
    for call in calls {
        prepared.more.push(finish(call, received, speech, Road::Translate)?);
    }
    Ok(prepared)
}

fn finish(
    outbound: Outbound,
    received: &Received<'_>,
    (speech, target): (Speech, &Target),
    road: impl FnOnce(Reading) -> Road,
) -> Result<Prepared, Rejection> {
    let path = match speech {
        Speech::Responses => target.responses_path().ok_or(EndpointError::Malformed),
        // Azure's address of the deployment is part of its path.
        _ if speech.has_openais_paths() && outbound.path == "/embeddings" => {
            Ok(target.paths.embeddings.clone())
        }
        _ if speech.has_openais_paths() => Ok(target.paths.chat.clone()),
        _ => target.endpoint.target(&format!("{}{}", target.prefix, outbound.path)),
    };
    let path = path
        .map_err(|_| Rejection::not_expressible(target.provider.exception, "model", "not a model's name"))?;
    let mut headers = target.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in outbound.headers {
        let value = HeaderValue::from_str(&value).ok().filter(|_| !headers.contains_key(name));
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if let (Speech::Anthropic(Host::Anthropic | Host::Vertex), Some(asked)) =
        (speech, &received.anthropic_beta)
    {
        speech::add_betas(&mut headers, asked);
    }
    let body = SegmentBody::from(Bytes::from(outbound.body));
    let plan = ReadPlan { road: road(outbound.reading), speech, lost: outbound.lost };
    Ok(Prepared { method: Method::POST, target: path, headers, body, plan, more: Vec::new() })
}

fn encode_rejection(error: &EncodeError, target: &Target) -> Rejection {
    match error {
        EncodeError::Unsupported { params } => {
            Rejection::unsupported_params(target.provider.name, &target.model, params)
        }
        EncodeError::Invalid { param, message } => {
            Rejection::not_expressible(target.provider.exception, param, message)
        }
    }
}

/// Puts a credential where the provider wants it.
pub(crate) fn place_key(headers: &mut HeaderMap, placement: KeyPlacement, key: &Secret) -> Result<(), ()> {
    let (name, text) = match placement {
        KeyPlacement::Bearer | KeyPlacement::OptionalBearer => {
            (AUTHORIZATION, format!("Bearer {}", key.expose()))
        }
        KeyPlacement::Header(name) => (HeaderName::from_static(name), key.expose().to_owned()),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| ())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
