//! A request as it would be sent, for LiteLLM's `/utils/transform_request`: the same road as a caller's, up to the send.
//!
//! **Invariant:** nothing is sent, and no credential is shown.

use super::receive;
use super::{Call, outbound};
use crate::address::base_url;
use crate::error::Rejection;
use crate::routes::PathModel;
use crate::snapshot::Snapshot;
use crate::surface::Surface;
use crate::worker::Worker;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use tollgate_config::MASK;
use tollgate_policy::choice::Nobody;

/// LiteLLM's names of calls and what is asked for in each.
const CALLS: [(&str, Surface); 11] = [
    ("completion", Surface::Chat),
    ("text_completion", Surface::Completions),
    ("embedding", Surface::Embeddings),
    ("responses", Surface::Responses),
    ("anthropic_messages", Surface::Messages),
    ("generate_content", Surface::GenerateContent),
    ("image_generation", Surface::ImageGeneration),
    ("speech", Surface::Speech),
    ("moderation", Surface::Moderation),
    ("rerank", Surface::Rerank),
    ("chat_completion", Surface::Chat),
];

/// The kind of call that a name stands for; LiteLLM's asynchronous ones begin with an `a`.
fn surface(call_type: &str) -> Option<Surface> {
    let find = |name: &str| CALLS.iter().find(|(known, _)| *known == name).map(|(_, surface)| *surface);
    find(call_type).or_else(|| find(call_type.strip_prefix('a')?))
}

/// Answers `POST /utils/transform_request`. What is wrong with the request within is told in the answer, as LiteLLM does.
pub(crate) fn preview(worker: &Worker, snapshot: &Snapshot, body: &[u8]) -> Result<Value, Rejection> {
    let path = "/utils/transform_request";
    let Ok(Value::Object(asked)) = serde_json::from_slice::<Value>(body) else {
        return Err(Rejection::bad_json("expected an object"));
    };
    let call_type = asked.get("call_type").and_then(Value::as_str);
    let call_type = call_type.ok_or_else(|| Rejection::missing(path, "call_type"))?;
    let surface = surface(call_type)
        .ok_or_else(|| Rejection::invalid(path, "call_type", "no call of a model that can be shown"))?;
    let within = asked.get("request_body").filter(|body| body.is_object());
    let within = within.ok_or_else(|| Rejection::missing(path, "request_body"))?.to_string();
    Ok(shown(worker, snapshot, surface, &Bytes::from(within)).unwrap_or_else(|rejection| {
        json!({
            "raw_request_api_base": null,
            "raw_request_body": null,
            "raw_request_headers": null,
            "error": rejection.message(),
        })
    }))
}

fn shown(worker: &Worker, snapshot: &Snapshot, surface: Surface, body: &Bytes) -> Result<Value, Rejection> {
    let headers = HeaderMap::new();
    let call = Call::new(surface, PathModel::default(), &headers, tokio::time::Instant::now());
    let received = receive::read(body, &call, &headers)?;
    let group = snapshot.group(worker.gateway.metrics(), &received.model);
    let group = group.ok_or_else(|| Rejection::unknown_model(surface.path(), Some(&received.model)))?;
    receive::require_content(&received, surface)?;
    let target = group
        .targets()
        .first()
        .ok_or_else(|| Rejection::nobody(&group, Nobody::Empty, (group.clock().now(), false)))?;
    let prepared = outbound::prepare(&received, surface, target)?;
    let sent: Vec<u8> = prepared.body.segments().flat_map(|piece| piece.iter().copied()).collect();
    let told: Map<String, Value> = prepared
        .headers
        .iter()
        .map(|(name, value)| {
            let shown = if value.is_sensitive() { MASK } else { value.to_str().unwrap_or(MASK) };
            (name.as_str().to_owned(), json!(shown))
        })
        .collect();
    let deployment = snapshot.config().deployments.iter().find(|deployment| deployment.id == target.id);
    let base = deployment.and_then(base_url).unwrap_or_default();
    let authority =
        base.find("://").and_then(|scheme| base.get(scheme + 3..)?.find('/').map(|end| scheme + 3 + end));
    let origin = authority.and_then(|end| base.get(..end)).unwrap_or(&base);
    Ok(json!({
        "raw_request_api_base": format!("{origin}{}", prepared.target.path()),
        "raw_request_body": serde_json::from_slice::<Value>(&sent).unwrap_or_default(),
        "raw_request_headers": told,
        "error": null,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litellms_names_of_calls_are_known_with_and_without_their_a() {
        for (name, expect) in [
            ("completion", Some(Surface::Chat)),
            ("acompletion", Some(Surface::Chat)),
            ("aresponses", Some(Surface::Responses)),
            ("anthropic_messages", Some(Surface::Messages)),
            ("arerank", Some(Surface::Rerank)),
            ("nothing", None),
            ("a", None),
        ] {
            assert_eq!(surface(name), expect, "{name}");
        }
    }
}
