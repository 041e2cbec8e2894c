//! Replies: read in every provider's form, written in the callers'.

use super::RerankWire;
use crate::conversation::{RerankDocument, RerankReply, RerankRequest, RerankResult, Usage};
use crate::failure::ProviderError;
use crate::json::value::{count, filled_text, owned_text};
use crate::json::write::Object;
use crate::wire::{ReplyFacts, ReplyFault};
use crate::{cohere, openai};
use serde_json::Value;

/// Reads a provider's ranking, whatever its form: `results` (Cohere, Jina, Together, Infinity), `data` (Voyage), or the
/// bare list (Hugging Face), with `relevance_score` or `score`. The best come first, no more than were asked for.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for what is no ranking of the
/// request's documents.
pub fn decode_reply(body: &[u8], request: &RerankRequest) -> Result<RerankReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    let list = reply.get("results").or_else(|| reply.get("data")).unwrap_or(&reply);
    let Some(items) = list.as_array() else {
        return Err(match openai::in_place_of_answer(&reply) {
            Some(error) => ReplyFault::Error(error),
            None => ReplyFault::Malformed("a ranking has no list of results"),
        });
    };
    let mut results = items
        .iter()
        .map(|item| read_result(item, request.documents.len()))
        .collect::<Option<Vec<RerankResult>>>()
        .ok_or(ReplyFault::Malformed("a result names no document of the request, or has no score"))?;
    results.sort_by(|left, right| right.score.total_cmp(&left.score));
    if let Some(top) = request.top_n.and_then(|top| usize::try_from(top).ok()) {
        results.truncate(top);
    }
    let named = filled_text(&reply, "model").unwrap_or(&request.model);
    Ok(RerankReply {
        id: owned_text(&reply, "id"),
        model: named.to_owned(),
        results,
        usage: read_usage(&reply),
    })
}

fn read_result(item: &Value, documents: usize) -> Option<RerankResult> {
    let index =
        count(item, "index").filter(|index| usize::try_from(*index).is_ok_and(|index| index < documents))?;
    let score = item.get("relevance_score").or_else(|| item.get("score"))?.as_f64()?;
    Some(RerankResult { index, score })
}

/// Cohere bills search units, and tells the tokens beside them; the others bill tokens.
fn read_usage(reply: &Value) -> Usage {
    let of_meta = |group: &str, name: &str| {
        reply.get("meta").and_then(|meta| meta.get(group)).and_then(|group| count(group, name))
    };
    let tokens = reply
        .get("usage")
        .and_then(|usage| count(usage, "prompt_tokens").or_else(|| count(usage, "total_tokens")));
    let billed = of_meta("billed_units", "input_tokens").or_else(|| of_meta("billed_units", "total_tokens"));
    let input_tokens = tokens.or(billed).unwrap_or(0);
    let counted = of_meta("tokens", "input_tokens").unwrap_or(input_tokens);
    Usage {
        input_tokens,
        search_units: of_meta("billed_units", "search_units").unwrap_or(0),
        unbilled_input_tokens: counted.saturating_sub(input_tokens),
        unbilled_output_tokens: of_meta("tokens", "output_tokens").unwrap_or(0),
        ..Usage::default()
    }
}

/// Writes a ranking in Cohere's form as LiteLLM gives it. Documents are repeated where the request asks for them: a
/// text as `{"text": ...}`, an object as it came.
pub fn encode_reply(reply: &RerankReply, request: &RerankRequest, facts: &ReplyFacts) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + 64 * reply.results.len());
    let mut out = Object::open(&mut bytes);
    out.string("id", if reply.id.is_empty() { &facts.fallback_id } else { &reply.id });
    let is_shown = request.return_documents == Some(true);
    out.list("results", &reply.results, |result, out| {
        let mut item = Object::open(out);
        item.integer("index", result.index);
        item.value("relevance_score", &Value::from(result.score));
        let document = usize::try_from(result.index).ok().and_then(|index| request.documents.get(index));
        match document.filter(|_| is_shown) {
            None => {}
            Some(RerankDocument::Text(text)) => {
                item.object("document", |document| document.string("text", text));
            }
            Some(RerankDocument::Object(members)) => {
                item.value("document", &Value::Object(members.clone()));
            }
        }
        item.close();
    });
    let usage = &reply.usage;
    out.object("meta", |meta| {
        meta.object("billed_units", |billed| {
            if usage.search_units > 0 {
                billed.integer("search_units", usage.search_units);
            }
            if usage.input_tokens > 0 {
                billed.integer("total_tokens", usage.input_tokens);
            }
        });
        let counted = usage.input_tokens.saturating_add(usage.unbilled_input_tokens);
        if counted > 0 {
            meta.object("tokens", |tokens| {
                tokens.integer("input_tokens", counted);
                tokens.integer("output_tokens", usage.unbilled_output_tokens);
            });
        }
    });
    out.close();
    bytes
}

/// Reads the error of a provider that ranks.
pub fn decode_error(wire: RerankWire, status: u16, body: &[u8]) -> ProviderError {
    match wire {
        RerankWire::Cohere | RerankWire::CohereV1 => cohere::decode_error(status, body),
        RerankWire::Jina
        | RerankWire::Voyage
        | RerankWire::Together
        | RerankWire::Infinity
        | RerankWire::HuggingFace => openai::decode_error(status, body),
    }
}
