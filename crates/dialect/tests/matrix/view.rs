//! A conversation as a plain value in which two that mean the same are equal.
//!
//! Left out is what must differ: the model's name, ids and times of replies, whether the answer is streamed. Evened out
//! is what means the same: `developer` and `system`, two messages of one role in a row, the form of arguments' JSON.

use base64::Engine as _;
use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{
    CacheControl, ChatReply, ChatRequest, Choice, Citation, Effort, Issuer, MediaSource, Message, Part,
    Reasoning, ResponseFormat, Role, Sampling, Signature, StopReason, Tool, ToolChoice, Usage, custom,
};

/// What Google's documentation lets stand for a signature that another maker's call does not have.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// What a request means.
pub(crate) fn request(request: &ChatRequest) -> Value {
    let mut choice = request.tool_choice.clone();
    let mut tools: Vec<Tool> = request.tools.iter().map(custom::as_function).collect();
    let mut rest: Map<String, Value> = request.extra.iter().chain(&request.native).map(owned).collect();
    even_out_choice(&mut choice, &mut tools, &mut rest);
    // What OpenAI calls the end user by now.
    let identifier = rest.shift_remove("safety_identifier").and_then(|user| user.as_str().map(str::to_owned));
    let user = request.user.clone().or(identifier);
    let tools: Vec<Value> = tools.iter().map(tool).collect();
    let members = [
        ("messages", messages(&request.messages)),
        ("tools", json!(tools)),
        ("tool_choice", debug(&choice)),
        ("one_call", json!(request.parallel_tool_calls == Some(false))),
        ("response_format", format(request.response_format.as_ref())),
        ("reasoning", debug(&request.reasoning.as_ref().map(even_out_reasoning))),
        ("show_reasoning", json!(request.show_reasoning)),
        ("user", json!(user)),
    ];
    object(
        members
            .into_iter()
            .chain(sampling(&request.sampling))
            .chain(rest.iter().map(|(n, v)| (n.as_str(), v.clone()))),
    )
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// To choose none is to declare none, to choose one is to declare it alone and to demand a call; `auto` is what holds where nothing is said; to choose among some is to declare
/// only those; Google's validated mode is every tool being strict.
fn even_out_choice(choice: &mut Option<ToolChoice>, tools: &mut Vec<Tool>, rest: &mut Map<String, Value>) {
    if let Some(allowed) = rest.get("tool_choice").and_then(|choice| choice.get("allowed_tools")) {
        let named = |tool: &Tool| {
            allowed["tools"].as_array().unwrap().iter().any(|of| of["function"]["name"] == tool.name)
        };
        tools.retain(named);
        if allowed["mode"] == "required" {
            *choice = Some(ToolChoice::Required);
        }
        rest.shift_remove("tool_choice");
    }
    match choice {
        Some(ToolChoice::None) => {
            tools.clear();
            *choice = None;
        }
        Some(ToolChoice::Auto) => *choice = None,
        Some(ToolChoice::Function(name)) => {
            tools.retain(|tool| tool.name == *name);
            *choice = Some(ToolChoice::Required);
        }
        _ => {}
    }
    const CALLING: &str = "toolConfig.functionCallingConfig";
    if rest.get(CALLING).is_some_and(|calling| *calling == json!({"mode": "VALIDATED"})) {
        rest.shift_remove(CALLING);
        tools.iter_mut().for_each(|tool| tool.strict = Some(true));
    }
}

/// The schema's name is a label; that the answer is held to the schema, most wires take for granted.
fn format(format: Option<&ResponseFormat>) -> Value {
    match format {
        None | Some(ResponseFormat::Text) => Value::Null,
        Some(ResponseFormat::JsonObject) => json!("object"),
        Some(ResponseFormat::JsonSchema { description, schema, .. }) => {
            object([("description", json!(description)), ("schema", open(schema))])
        }
    }
}

/// A schema without the remark that an object has no other members, which Google's schemas leave out.
fn open(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let is_closing =
                |name: &str, value: &Value| name == "additionalProperties" && *value == json!(false);
            let members = members.iter().filter(|(name, value)| !is_closing(name, value));
            Value::Object(members.map(|(name, value)| (name.clone(), open(value))).collect())
        }
        Value::Array(items) => items.iter().map(open).collect(),
        other => other.clone(),
    }
}

/// No effort is no reasoning.
fn even_out_reasoning(reasoning: &Reasoning) -> Reasoning {
    match reasoning {
        Reasoning::Effort(Effort::None) => Reasoning::Disabled,
        other => other.clone(),
    }
}

fn debug<T: std::fmt::Debug>(value: &Option<T>) -> Value {
    value.as_ref().map_or(Value::Null, |value| json!(format!("{value:?}")))
}

fn sampling(sampling: &Sampling) -> [(&'static str, Value); 12] {
    // To want none of the alternatives is to want none of the probabilities but the token's own.
    let top_logprobs = sampling.top_logprobs.filter(|count| *count > 0);
    [
        ("temperature", json!(sampling.temperature)),
        ("top_p", json!(sampling.top_p)),
        ("top_k", json!(sampling.top_k)),
        ("max_tokens", json!(sampling.max_tokens)),
        ("stop", json!(sampling.stop)),
        ("seed", json!(sampling.seed)),
        ("presence_penalty", json!(sampling.presence_penalty)),
        ("frequency_penalty", json!(sampling.frequency_penalty)),
        ("n", json!(sampling.n)),
        ("logprobs", json!(sampling.logprobs)),
        ("top_logprobs", json!(top_logprobs)),
        ("logit_bias", json!(sampling.logit_bias)),
    ]
}

/// An object without the members that say nothing: `null`, `false` and empty lists.
fn object<'n>(members: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    let says_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let members = members.into_iter().filter(|(_, value)| !says_nothing(value));
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn messages(messages: &[Message]) -> Value {
    let mut view: Vec<(&str, Option<&str>, Vec<Value>)> = Vec::new();
    for message in messages {
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let parts = message.parts.iter().map(|said| match said {
            // What the model declined in words, other dialects say in words.
            Part::Refusal(text) => part(&Part::text(text.clone())),
            said => part(said),
        });
        match view.last_mut() {
            Some((last, name, before)) if *last == role && *name == message.name.as_deref() => {
                before.extend(parts);
            }
            _ => view.push((role, message.name.as_deref(), parts.collect())),
        }
    }
    let view = view.into_iter();
    view.map(|(role, name, parts)| {
        object([("role", json!(role)), ("name", json!(name)), ("parts", json!(parts))])
    })
    .collect()
}

fn tool(tool: &Tool) -> Value {
    // A tool without arguments is one with an object of none.
    let mut parameters =
        tool.parameters.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    if let Some(Value::Object(properties)) = parameters.get("properties")
        && properties.is_empty()
    {
        parameters = json!({"type": "object", "properties": {}});
    }
    object([
        ("name", json!(tool.name)),
        ("description", json!(tool.description)),
        ("parameters", open(&parameters)),
        ("strict", json!(tool.strict)),
        ("cache", cache(tool.cache_control.as_ref())),
    ])
}

fn cache(mark: Option<&CacheControl>) -> Value {
    mark.map_or(Value::Null, |mark| json!(mark.ttl.as_deref().unwrap_or("5m")))
}

/// A part of a message or of an answer.
pub(crate) fn part(part: &Part) -> Value {
    match part {
        Part::Text { text, cache_control, citations } => {
            let citations: Vec<Value> = citations.iter().map(citation).collect();
            object([
                ("text", json!(text)),
                ("cache", cache(cache_control.as_ref())),
                ("citations", json!(citations)),
            ])
        }
        Part::Image { source: from, detail, cache_control } => {
            // `auto` is what OpenAI takes where nothing is said.
            let detail = detail.as_deref().filter(|detail| *detail != "auto");
            object([
                ("image", source(from)),
                ("detail", json!(detail)),
                ("cache", cache(cache_control.as_ref())),
            ])
        }
        Part::Audio { source: from, format, transcript } => object([
            ("audio", source(from)),
            ("format", json!(format)),
            ("transcript", json!(transcript.as_deref().filter(|words| !words.is_empty()))),
        ]),
        Part::File { source: from, filename, context, citations, cache_control } => {
            // Bedrock takes no dot in a name.
            let name = filename.as_deref().map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
            object([
                ("file", source(from)),
                ("name", json!(name)),
                ("context", json!(context)),
                ("citations", json!(citations)),
                ("cache", cache(cache_control.as_ref())),
            ])
        }
        Part::ToolCall { id, name, arguments, is_custom, signature: signed } => object([
            ("call", json!(id)),
            ("name", json!(name)),
            ("arguments", json_text(arguments)),
            ("custom", json!(is_custom)),
            ("signature", signature(signed.as_ref())),
        ]),
        Part::ToolResult { call_id, content, is_error, cache_control } => {
            // Where a result's text is cut is no part of what it says.
            let content: Vec<Value> = joined(content).iter().map(self::part).collect();
            object([
                ("result", json!(call_id)),
                ("content", json!(content)),
                ("error", json!(is_error)),
                ("cache", cache(cache_control.as_ref())),
            ])
        }
        Part::Reasoning { text, signature: signed } => {
            object([("reasoning", json!(text)), ("signature", signature(signed.as_ref()))])
        }
        Part::RedactedReasoning { data } => json!({"redacted": signature(Some(data))}),
        Part::Refusal(text) => json!({"refusal": text}),
        Part::Native(native) => json!({"native": native.dialect.name(), "value": native.value}),
    }
}

fn json_text(text: &str) -> Value {
    let text = if text.is_empty() { "{}" } else { text };
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn signature(signature: Option<&Signature>) -> Value {
    let signature = signature.filter(|signature| signature.text != NO_SIGNATURE);
    signature.map_or(Value::Null, |signature| json!(format!("{:?} {}", signature.issuer, signature.text)))
}

fn source(source: &MediaSource) -> Value {
    match source {
        MediaSource::Url(url) => json!({"url": url}),
        // A plain text in base64 is the text.
        MediaSource::Base64 { media_type, data } if media_type == "text/plain" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
            json!({"text": String::from_utf8(bytes).expect("UTF-8")})
        }
        MediaSource::Base64 { media_type, data } => json!({"type": media_type, "data": data}),
        MediaSource::FileId(id) => json!({"id": id}),
        MediaSource::Text(text) => json!({"text": text}),
    }
}

fn citation(citation: &Citation) -> Value {
    // Where the wire wants a quote, a place or an id and there is none, something stands there that says nothing.
    let quote = citation.quote.as_deref().filter(|quote| !quote.is_empty());
    let place = citation.place.filter(|place| place.start < place.end);
    let source = citation.source_id.as_deref().filter(|source| Some(*source) != citation.url.as_deref());
    object([
        ("span", json!(citation.span)),
        ("quote", json!(quote)),
        ("title", json!(citation.title)),
        ("url", json!(citation.url)),
        ("document", json!(citation.document)),
        ("source", json!(source)),
        ("place", debug(&place)),
    ])
}

/// How two views differ, in the members that do.
pub(crate) fn difference(said: &Value, heard: &Value) -> String {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (said, heard) = (members(said), members(heard));
    let names: Vec<&String> =
        said.keys().chain(heard.keys().filter(|name| !said.contains_key(*name))).collect();
    let differing = names.into_iter().filter(|name| said.get(*name) != heard.get(*name));
    let line = |name: &String| {
        let of = |members: &Map<String, Value>| members.get(name).map_or("-".to_owned(), Value::to_string);
        format!("\n    {name}\n      said  {}\n      heard {}", of(&said), of(&heard))
    };
    differing.map(line).collect()
}

/// What a reply means.
pub(crate) fn reply(reply: &ChatReply) -> Value {
    let choices: Vec<Value> = reply.choices.iter().map(choice).collect();
    // `auto` is what was asked for, not what served.
    let tier = reply.service_tier.as_deref().filter(|tier| *tier != "auto");
    object([("choices", json!(choices)), ("usage", usage(&reply.usage)), ("tier", json!(tier))])
}

/// Texts that follow on each other are one; what they lean on counts from its beginning, and what leans on something as a
/// whole does so from its first character to its last.
fn joined(parts: &[Part]) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        let Part::Text { text, cache_control, citations } = part else {
            joined.push(part.clone());
            continue;
        };
        if !matches!(joined.last(), Some(Part::Text { .. })) {
            joined.push(Part::Text {
                text: String::new(),
                cache_control: cache_control.clone(),
                citations: Vec::new(),
            });
        }
        let Some(Part::Text { text: whole, citations: all, .. }) = joined.last_mut() else { continue };
        let start = whole.chars().count() as u64;
        let end = start + text.chars().count() as u64;
        all.extend(citations.iter().map(|citation| {
            let span = citation.span.map_or((start, end), |(from, to)| (from + start, to + start));
            Citation { span: Some(span), ..citation.clone() }
        }));
        whole.push_str(text);
    }
    joined
}

/// Evens out what means the same: a call of a tool that takes free text and the call of the function that stands in for
/// it; Google's signature of a call, before the call or within it; the words of a refusal and the same words as text.
fn even_out_parts(parts: &[Part]) -> Vec<Part> {
    let mut even: Vec<Part> = Vec::new();
    for part in parts {
        let mut part = part.clone();
        if let Part::ToolCall { arguments, is_custom, signature, .. } = &mut part {
            if std::mem::take(is_custom) {
                *arguments = custom::wrap_input(arguments);
            }
            let of_google = |part: &mut Part| matches!(part, Part::RedactedReasoning { data } if data.issuer == Issuer::Google);
            if let Some(Part::RedactedReasoning { data }) = even.pop_if(of_google) {
                *signature = Some(data);
            }
        }
        // What is said aloud, in words beside the sound or within it.
        if let Part::Audio { transcript, .. } = &mut part
            && let Some(words) = transcript.take().filter(|words| !words.is_empty())
        {
            even.extend([part, Part::text(words)]);
            continue;
        }
        if let Part::Refusal(words) = &part {
            even.pop_if(|before| matches!(before, Part::Text { text, .. } if text == words));
            part = Part::text(words.clone());
        }
        even.push(part);
    }
    even
}

fn choice(choice: &Choice) -> Value {
    let parts = joined(&even_out_parts(&choice.parts));
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    // Some say that they simply ended, beside a call or beside the words of a refusal.
    let refuses = choice.parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let stop = choice.stop.map(|stop| match stop {
        StopReason::Stop if calls_tools => StopReason::ToolCalls,
        StopReason::Stop | StopReason::ContentFilter if refuses => StopReason::Refusal,
        stop => stop,
    });
    let parts: Vec<Value> = parts.iter().map(part).collect();
    object([
        ("index", json!(choice.index)),
        ("parts", json!(parts)),
        ("stop", debug(&stop)),
        ("sequence", json!(choice.stop_sequence)),
        ("logprobs", json!(choice.logprobs)),
    ])
}

/// The counts that are not zero.
fn usage(usage: &Usage) -> Value {
    let counts = [
        ("input", usage.input_tokens),
        ("cached", usage.cached_tokens),
        ("written 5m", usage.cache_write_tokens),
        ("written 1h", usage.cache_write_1h_tokens),
        ("tool prompt", usage.tool_prompt_tokens),
        ("input audio", usage.input_audio_tokens),
        ("input image", usage.input_image_tokens),
        ("output", usage.output_tokens),
        ("reasoning", usage.reasoning_tokens),
        ("output audio", usage.output_audio_tokens),
        ("output image", usage.output_image_tokens),
        ("searches", usage.web_search_requests),
        ("fetches", usage.web_fetch_requests),
        ("search units", usage.search_units),
        ("unbilled input", usage.unbilled_input_tokens),
        ("unbilled output", usage.unbilled_output_tokens),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    Value::Object(counts.map(|(name, count)| (name.to_owned(), json!(count))).collect())
}
