//! A caller's `generationConfig`.
//!
//! Owns what each of its members means in the conversation model. What means nothing there stays in
//! `native`, each member under its path.

use super::members;
use super::schema;
use crate::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat};
use crate::gemini::own::{GENERATION, keep_all};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value, json};

/// The name that a schema gets where OpenAI's wire wants one and Google's has none.
const FORMAT_NAME: &str = "response";

/// Google's levels of thinking.
const LEVELS: [(&str, Effort); 5] = [
    ("MINIMAL", Effort::Minimal),
    ("LOW", Effort::Low),
    ("MEDIUM", Effort::Medium),
    ("HIGH", Effort::High),
    ("XHIGH", Effort::XHigh),
];

/// Reads the object.
pub(super) fn read(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let mut config = members::read(value, at)?;
    config.retain(|_, value| !value.is_null());
    let mut rest = Map::new();
    read_format(&mut config, at, request, &mut rest)?;
    for (name, value) in config {
        read_member(name, value, at, request, &mut rest)?;
    }
    keep_all(GENERATION, rest, request);
    Ok(())
}

fn read_member(
    name: String,
    value: Value,
    config: &Place<'_>,
    request: &mut ChatRequest,
    rest: &mut Map<String, Value>,
) -> Result<(), RequestError> {
    let at = &config.member(&name);
    let sampling = &mut request.sampling;
    match name.as_str() {
        "temperature" => sampling.temperature = Some(members::number(&value, at)?),
        "topP" => sampling.top_p = Some(members::number(&value, at)?),
        "topK" => sampling.top_k = Some(members::natural(&value, at)?),
        "maxOutputTokens" => sampling.max_tokens = Some(members::natural(&value, at)?),
        "candidateCount" => sampling.n = Some(members::natural(&value, at)?),
        "seed" => sampling.seed = Some(members::integer(&value, at)?),
        "presencePenalty" => sampling.presence_penalty = Some(members::number(&value, at)?),
        "frequencyPenalty" => sampling.frequency_penalty = Some(members::number(&value, at)?),
        "responseLogprobs" => sampling.logprobs = Some(read::boolean(&value, at)?),
        "logprobs" => sampling.top_logprobs = Some(members::natural(&value, at)?),
        "stopSequences" => {
            let texts = members::one_or_many(value).into_iter().enumerate();
            let texts = texts.map(|(index, text)| read::string(text, &at.item(index)));
            sampling.stop = texts.collect::<Result<_, _>>()?;
        }
        "responseModalities" => read_modalities(value, at, request)?,
        "speechConfig" => read_speech(value, request, rest),
        "thinkingConfig" => read_thinking(value, at, request)?,
        _ => {
            rest.insert(name, value);
        }
    }
    Ok(())
}

/// The form of the answer: a media type, and perhaps a schema in Google's words or in JSON Schema. A choice among words
/// (`text/x.enum`) has no equal elsewhere.
fn read_format(
    config: &mut Map<String, Value>,
    at: &Place<'_>,
    request: &mut ChatRequest,
    rest: &mut Map<String, Value>,
) -> Result<(), RequestError> {
    let media_type = read::take_string(config, "responseMimeType", at)?;
    // The longer name is what the API called it before it had its present one.
    let json_schema =
        read::take(config, "responseJsonSchema").or_else(|| read::take(config, "_responseJsonSchema"));
    let own = read::take(config, "responseSchema");
    if media_type.as_deref().is_some_and(|kind| !matches!(kind, "application/json" | "text/plain")) {
        let members = [("responseMimeType", media_type.map(Value::from)), ("responseSchema", own)];
        let members = members.into_iter().chain([("responseJsonSchema", json_schema)]);
        rest.extend(members.filter_map(|(name, value)| Some((name.to_owned(), value?))));
        return Ok(());
    }
    let schema = match (json_schema, own) {
        (Some(schema), _) => {
            let schema = read::object(schema, &at.member("responseJsonSchema"))?;
            Some(schema::read_json_schema(Value::Object(schema)))
        }
        (None, Some(own)) => {
            let own = Value::Object(read::object(own, &at.member("responseSchema"))?);
            Some(schema::to_json_schema(own))
        }
        (None, None) => None,
    };
    request.response_format = match (media_type.as_deref(), schema) {
        (_, Some(schema)) => {
            // Google holds to any schema that it takes, so that "strict" has no word there; OpenAI wants an object.
            let is_object = schema.get("type").is_some_and(|kind| kind == "object");
            let strict = (is_object && schema::is_closed(&schema)).then_some(true);
            Some(ResponseFormat::JsonSchema {
                name: FORMAT_NAME.to_owned(),
                description: None,
                schema,
                strict,
            })
        }
        (Some("application/json"), None) => Some(ResponseFormat::JsonObject),
        (Some(_), None) => Some(ResponseFormat::Text),
        (None, None) => None,
    };
    Ok(())
}

fn read_modalities(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let mut modalities = Vec::new();
    for (index, item) in members::one_or_many(value).into_iter().enumerate() {
        let word = members::word(item, &at.item(index))?;
        if word != "MODALITY_UNSPECIFIED" {
            modalities.push(word.to_ascii_lowercase());
        }
    }
    if !modalities.is_empty() {
        request.extra.insert("modalities".to_owned(), json!(modalities));
    }
    Ok(())
}

/// A voice by its name is OpenAI's `audio`; Google's sound is raw samples. All else about speech is Google's alone.
fn read_speech(value: Value, request: &mut ChatRequest, rest: &mut Map<String, Value>) {
    let voice = value
        .as_object()
        .filter(|speech| speech.len() == 1)
        .and_then(|speech| speech.get("voiceConfig").or_else(|| speech.get("voice_config")))
        .and_then(|voice| voice.get("prebuiltVoiceConfig").or_else(|| voice.get("prebuilt_voice_config")))
        .and_then(|voice| voice.get("voiceName").or_else(|| voice.get("voice_name")))
        .and_then(Value::as_str);
    match voice {
        Some(voice) => {
            let audio = json!({ "voice": voice, "format": "pcm16" });
            request.extra.insert("audio".to_owned(), audio);
        }
        None => {
            rest.insert("speechConfig".to_owned(), value);
        }
    }
}

/// A budget of -1 is as much as the model likes, 0 is none; a level says the same in words.
fn read_thinking(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let mut thinking = members::read(value, at)?;
    if let Some(is_shown) = read::take_boolean(&mut thinking, "includeThoughts", at)? {
        request.show_reasoning = Some(is_shown);
    }
    if let Some(level) = members::take_word(&mut thinking, "thinkingLevel", at)?
        && level != "THINKING_LEVEL_UNSPECIFIED"
    {
        let known = LEVELS.iter().find(|(word, _)| *word == level);
        let words = LEVELS.map(|(word, _)| word);
        let (_, effort) = known.ok_or_else(|| at.member("thinkingLevel").unknown_word(&level, &words))?;
        request.reasoning = Some(Reasoning::Effort(*effort));
    }
    if let Some(budget) = read::take(&mut thinking, "thinkingBudget") {
        let place = at.member("thinkingBudget");
        request.reasoning = Some(match members::integer(&budget, &place)? {
            -1 => Reasoning::Adaptive,
            0 => Reasoning::Disabled,
            tokens => {
                Reasoning::Budget(u64::try_from(tokens).map_err(|_| place.error("must be -1 or at least 0"))?)
            }
        });
    }
    Ok(())
}
