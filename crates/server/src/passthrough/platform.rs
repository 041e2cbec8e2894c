//! OpenAI's resources that belong to a provider and not to a model: files, batches, fine-tuning jobs, vector stores; and
//! Anthropic's message batches.
//!
//! Owns LiteLLM's rules for the provider that a request means, and the models' names within batches. Leaves the objects
//! to the provider: their ids come and go unchanged. What belongs to whom is the provider's account's business as long as
//! every key of the gateway is its operator's; [`choose`] is the place where a caller's own objects are told apart.
//! **Invariant:** all models that a request names are at the account that it goes to.

use super::accounts::Account;
use super::request::Sent;
use super::way::{Way, no_account, of_group, ready};
use super::{Asking, address};
use crate::error::Rejection;
use crate::routes::Passage;
use crate::target::Target;
use bytes::Bytes;
use http::HeaderMap;
use std::ops::Range;
use std::sync::Arc;
use tollgate_catalog::Wire;
use tollgate_dialect::json::{Limits, Object, scan, write_string};
use tollgate_upstream::{Endpoint, SegmentBody};

/// Members, fields and parameters by which a request says which provider it means.
const OWN: &[&str] =
    &["custom_llm_provider", "provider", "target_model_names", "model", "litellm_metadata", "api-version"];
/// The same for requests whose `model` is the provider's business too.
const OWN_WITHOUT_MODEL: &[&str] =
    &["custom_llm_provider", "provider", "target_model_names", "litellm_metadata", "api-version"];

/// The resource's path in OpenAI's API.
fn resource(passage: Passage) -> &'static str {
    match passage {
        Passage::Batches => "/batches",
        Passage::FineTuning => "/fine_tuning/jobs",
        Passage::VectorStores => "/vector_stores",
        _ => "/files",
    }
}

/// The way to a resource.
pub(super) fn choose(asking: &Asking<'_>, headers: &HeaderMap, sent: &Sent<'_>) -> Result<Way, Rejection> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let said = |name: &str| {
        let in_query = || address::parameter(asking.query, name);
        in_query().or_else(|| sent.text(name).map(std::borrow::Cow::into_owned))
    };
    let tunes = asking.passage == Passage::FineTuning;
    let names = said("target_model_names").or_else(|| header("x-litellm-model")).or_else(|| said("model"));
    let names: Vec<&str> = names
        .iter()
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let is_fit = |target: &Target| matches!(target.provider.wire, Wire::OpenAi | Wire::Azure);
    let mut of_models: Vec<Arc<Target>> = Vec::new();
    for name in &names {
        match of_group(asking, name, is_fit) {
            Some(target) => of_models.push(target),
            // A job may name a model that is the provider's alone.
            None if tunes => {}
            None => return Err(Rejection::unknown_model(asking.passage.pattern(), Some(name))),
        }
    }
    let remove = if tunes { OWN_WITHOUT_MODEL } else { OWN };
    let (target, root) = match of_models.split_first() {
        Some((first, others)) => {
            if others.iter().any(|other| !is_same_account(first, other)) {
                let reason = "the models are at different accounts; send one request for each";
                return Err(Rejection::invalid(asking.passage.pattern(), "target_model_names", reason));
            }
            let root = asking.snapshot.accounts().azure_root(&first.id).unwrap_or(&first.endpoint);
            (Arc::clone(first), root.clone())
        }
        None => {
            let named = asking.provider.map(str::to_owned).or_else(|| said("provider"));
            let named =
                named.or_else(|| header("custom-llm-provider")).or_else(|| said("custom_llm_provider"));
            let account = account(asking, named.as_deref().unwrap_or("openai"))?;
            (ready(asking.snapshot, asking, account, None)?, account.root.clone())
        }
    };
    let (endpoint, path) = at_provider(asking, &target, root);
    let model = tunes.then(|| of_models.first().map(|target| target.model.clone())).flatten();
    Ok(Way { model, remove, bills: false, ..Way::new(target, endpoint, path) })
}

/// The account of a provider for a resource.
fn account<'a>(asking: &'a Asking<'_>, provider: &str) -> Result<&'a Account, Rejection> {
    let pattern = asking.passage.pattern();
    let row = tollgate_catalog::provider(provider);
    let row =
        row.ok_or_else(|| Rejection::invalid(pattern, "custom_llm_provider", "no provider of this name"))?;
    if !matches!(row.wire, Wire::OpenAi | Wire::Azure) {
        let reason = "this provider has none of OpenAI's form; its own API passes through";
        return Err(Rejection::not_expressible(row.exception, "custom_llm_provider", reason));
    }
    let accounts = asking.snapshot.accounts();
    let found = match asking.passage {
        Passage::FineTuning => accounts.for_tuning(row.name),
        _ => accounts.for_files(row.name),
    };
    found.ok_or_else(|| no_account(row.name))
}

/// Whether two deployments are one account at one provider.
fn is_same_account(one: &Target, other: &Target) -> bool {
    one.provider.name == other.provider.name
        && one.endpoint.authority() == other.endpoint.authority()
        && one.endpoint.target("").ok() == other.endpoint.target("").ok()
        && one.headers == other.headers
}

fn at_provider(asking: &Asking<'_>, target: &Target, root: Endpoint) -> (Endpoint, String) {
    let query = address::query_without(asking.query, asking.own_parameters());
    let (before, version) = &target.paths.around;
    let path = format!("{}{}", resource(asking.passage), asking.rest);
    if target.provider.wire != Wire::Azure {
        return (target.endpoint.clone(), address::with_query(&path, &query));
    }
    let base = target.endpoint.target("").map(|base| base.path().to_owned()).unwrap_or_default();
    let is_versionless = before.starts_with("/openai/v1") || base.contains("/openai/v1");
    let path = if is_versionless { format!("/openai/v1{path}") } else { format!("/openai{path}") };
    let version = version.trim_start_matches('?');
    let query = [query.as_str(), version].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    (root, address::with_query(&path, &query.join("&")))
}

/// Parameters of a query that are the gateway's.
pub(super) fn own_parameters(passage: Passage) -> &'static [&'static str] {
    match passage {
        Passage::FineTuning => OWN_WITHOUT_MODEL,
        _ => OWN,
    }
}

/// A place in a body and the JSON that takes its place.
type Edit = (Range<usize>, String);

/// The way of a request about message batches, and its body with the provider's names of the models.
pub(super) fn message_batches(
    asking: &Asking<'_>,
    sent: &Sent<'_>,
    body: &Bytes,
) -> Result<(Way, Option<SegmentBody>), Rejection> {
    let is_fit = |target: &Target| target.provider.name == "anthropic";
    let mut chosen: Option<Arc<Target>> = None;
    let mut edits: Vec<Edit> = Vec::new();
    let requests = match sent {
        Sent::Json(object) => object.get("requests"),
        _ => None,
    };
    for request in requests.iter().flat_map(|requests| requests.array_items()) {
        let params = request.as_object().and_then(|request| request.get("params")?.as_object());
        let Some(model) = params.and_then(|params| params.get("model")) else { continue };
        let Some(target) = model.as_str().and_then(|name| of_group(asking, &name, is_fit)) else { continue };
        if chosen.as_ref().is_some_and(|chosen| !is_same_account(chosen, &target)) {
            let reason = "the models are at different accounts; send one batch for each";
            return Err(Rejection::invalid(asking.passage.pattern(), "requests", reason));
        }
        edits.push((model.span(), json_text(&target.model)));
        chosen = Some(target);
    }
    let target = match chosen {
        Some(target) => target,
        None => {
            let account = asking.snapshot.accounts().of("anthropic").first();
            ready(asking.snapshot, asking, account.ok_or_else(|| no_account("anthropic"))?, None)?
        }
    };
    let path = format!("/v1/messages/batches{}", asking.rest);
    let endpoint = target.endpoint.clone();
    let way = Way::new(target, endpoint, address::with_query(&path, asking.query));
    let body = (!edits.is_empty()).then(|| SegmentBody::new(apply(body, &edits)));
    Ok((Way { bills: false, ..way }, body))
}

/// The parts of a form whose file has a batch's requests, with the provider's names of the models in the file.
pub(super) fn batch_file(asking: &Asking<'_>, way: &Way, sent: &Sent<'_>, body: &Bytes) -> Option<Bytes> {
    let Sent::Form(form) = sent else { return None };
    if form.text("purpose") != Some("batch") {
        return None;
    }
    let file = form.fields().iter().find(|field| field.is_file && field.name == "file")?;
    let is_fit = |target: &Target| is_same_account(&way.target, target);
    let mut edits: Vec<Edit> = Vec::new();
    let mut start = file.value.start;
    for line in body.get(file.value.clone())?.split_inclusive(|byte| *byte == b'\n') {
        if let Some((place, model)) = model_of_line(line)
            && let Some(target) = of_group(asking, &model, is_fit).filter(|target| target.model != model)
        {
            edits.push((start + place.start..start + place.end, json_text(&target.model)));
        }
        start += line.len();
    }
    (!edits.is_empty()).then(|| Bytes::from(apply(body, &edits).concat()))
}

/// Where a line of a batch names its model, and the name.
fn model_of_line(line: &[u8]) -> Option<(Range<usize>, String)> {
    let object: Object<'_> = scan(line, &Limits::REQUEST).ok()?;
    let model = object.get("body")?.as_object()?.get("model")?;
    Some((model.span(), model.as_str()?.into_owned()))
}

/// A reply about message batches with the address of their results at this gateway: Anthropic's clients send their key,
/// which is the gateway's, to whatever address stands there.
pub(super) fn with_own_results(body: &Bytes) -> Bytes {
    const PLACE: &str = "/v1/messages/batches/";
    if memchr::memmem::find(body, b"results_url").is_none() {
        return body.clone();
    }
    let Ok(object) = scan(body, &Limits::REPLY) else { return body.clone() };
    let listed = object.get("data");
    let listed = listed.iter().flat_map(|data| data.array_items()).filter_map(|item| item.as_object());
    let batches = std::iter::once(object.get("results_url"))
        .chain(listed.map(|batch| batch.get("results_url")))
        .flatten();
    let edits: Vec<Edit> = batches
        .filter_map(|value| {
            let text = value.as_str()?;
            let path = text.get(text.find(PLACE)?..)?;
            Some((value.span(), json_text(path)))
        })
        .collect();
    Bytes::from(apply(body, &edits).concat())
}

fn json_text(text: &str) -> String {
    let mut out = Vec::new();
    write_string(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// The pieces of a body with some places changed; the places are in order.
fn apply(body: &Bytes, edits: &[Edit]) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(edits.len() * 2 + 1);
    let mut kept = 0;
    for (place, json) in edits {
        pieces.push(body.slice(kept..place.start));
        pieces.push(Bytes::copy_from_slice(json.as_bytes()));
        kept = place.end;
    }
    pieces.push(body.slice(kept..));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lines_model_is_found_where_it_stands() {
        let line = br#"{"custom_id":"a","body":{"x":1, "model" : "m" }}"#;
        let (place, model) = model_of_line(line).unwrap();
        assert_eq!((&line[place], model.as_str()), (br#""m""#.as_slice(), "m"));
        for none in ["", "{", "{}", r#"{"body":1}"#, r#"{"body":{"model":1}}"#] {
            assert_eq!(model_of_line(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn results_are_fetched_where_the_batch_was_made() {
        let check = |body: &'static str, expect: &str| {
            let out = with_own_results(&Bytes::from_static(body.as_bytes()));
            assert_eq!(String::from_utf8(out.to_vec()).unwrap(), expect);
        };
        let url = r#""results_url": "https://api.anthropic.com/v1/messages/batches/b/results""#;
        let own = r#""results_url": "/v1/messages/batches/b/results""#;
        let one: &str = &format!("{{\"id\":\"b\", {url} }}");
        let two: &str = &format!("{{\"data\":[{{{url}}},{{\"results_url\":null}}]}}");
        for text in [one, two] {
            let out = with_own_results(&Bytes::copy_from_slice(text.as_bytes()));
            assert_eq!(String::from_utf8(out.to_vec()).unwrap(), text.replace(url, own));
        }
        check(r#"{"results_url":"elsewhere"}"#, r#"{"results_url":"elsewhere"}"#);
        check(r#"{"id":"x"}"#, r#"{"id":"x"}"#);
        check("results_url", "results_url");
    }

    #[test]
    fn edits_leave_every_other_byte() {
        let body = Bytes::from_static(b"0123456789");
        let edits = [(1..2, "a".to_owned()), (5..8, String::new())];
        assert_eq!(apply(&body, &edits).concat(), b"0a23489");
        assert_eq!(apply(&body, &[]).concat(), b"0123456789");
        assert_eq!(json_text("a\"b"), r#""a\"b""#);
    }
}
