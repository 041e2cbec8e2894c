//! What a request says of how it wants to be routed: tags, data policy, session, urgency, fallbacks of its own.
//!
//! Owns the names, LiteLLM's and ours, and refuses what does not mean anything: a data policy that is misspelt must not
//! be taken for none. Leaves what follows from it to `policy`. **Invariant:** a request without any of it allocates
//! nothing here.

use crate::auth::Caller;
use crate::error::Rejection;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value as Json};
use tollgate_config::FallbackTarget;
use tollgate_dialect::json::{Object, Value};
use tollgate_policy::ask::{Leaning, Requirements};

/// Longest text that is believed to name something here, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Longest JSON that a caller may have stand in the spend logs, in bytes.
const NOTED_BYTES_MAX: usize = 4_096;
/// Most tags of one request.
const TAGS_MAX: usize = 64;
/// LiteLLM's headers that name an end user; the last goes first.
const USER_HEADERS: [&str; 2] = ["x-litellm-end-user-id", "x-litellm-customer-id"];
/// Most groups in a caller's own list of fallbacks.
const FALLBACKS_MAX: usize = 20;

/// LiteLLM's ways to rehearse a fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mock {
    /// `mock_testing_fallbacks`: the first group fails with a 500.
    Fallbacks,
    /// `mock_testing_context_fallbacks`: as if the prompt were too long for it.
    Context,
    /// `mock_testing_content_policy_fallbacks`: as if its content filter refused.
    ContentPolicy,
    /// `mock_testing_rate_limit_error`: a 429.
    RateLimit,
}

/// A caller's own fallbacks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OwnFallbacks {
    pub(crate) general: Option<Vec<FallbackTarget>>,
    pub(crate) context_window: Option<Vec<FallbackTarget>>,
    pub(crate) content_policy: Option<Vec<FallbackTarget>>,
}

impl OwnFallbacks {
    /// Every group that it names.
    pub(crate) fn all(&self) -> impl Iterator<Item = &FallbackTarget> {
        [&self.general, &self.context_window, &self.content_policy].into_iter().flatten().flatten()
    }
}

/// What a request says of its routing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wish {
    pub(crate) tags: Vec<String>,
    pub(crate) requirements: Requirements,
    /// What holds several requests together.
    pub(crate) session: Option<String>,
    /// The end user, for consistent hashing where there is no session.
    pub(crate) user: Option<String>,
    /// Nothing is counted for the end user.
    pub(crate) is_uncounted: bool,
    /// The user to whom it is charged in place of the key's.
    pub(crate) payer: Option<String>,
    /// 0 is the most urgent.
    pub(crate) priority: Option<u8>,
    pub(crate) leaning: Leaning,
    pub(crate) fallbacks: OwnFallbacks,
    pub(crate) disable_fallbacks: bool,
    pub(crate) mock: Option<Mock>,
    /// The reply names what was tried in vain.
    pub(crate) tells_fallback_errors: bool,
    /// It is critical: believed where the key or its team lets it say so.
    pub(crate) is_critical: bool,
    /// Nothing is sent: the plan is the answer.
    pub(crate) is_dry_run: bool,
    /// What the caller wants to stand with the request in the spend logs, JSON.
    pub(crate) spend_logs: Option<Box<str>>,
    /// Shares of the choice by deployment id, in place of the configured ones.
    pub(crate) weights: Vec<(String, f64)>,
}

/// What a caller wants to stand in the spend logs: an object that is not too long; anything else is left out.
fn noted(json: &str) -> Option<Box<str>> {
    let is_object = json.len() <= NOTED_BYTES_MAX && serde_json::from_str::<Map<String, Json>>(json).is_ok();
    is_object.then(|| json.into())
}

/// The end user that a body names, in LiteLLM's order.
fn end_user(path: &str, object: &Object<'_>) -> Option<String> {
    let text = |value: Option<Value<'_>>| Found { path, name: "user", value: value? }.text().ok();
    let within = |outer: &str, name: &str| {
        let members = object.get(outer)?.as_object()?;
        text(members.get(name))
    };
    text(object.get("user"))
        .or_else(|| within("litellm_metadata", "user"))
        .or_else(|| within("metadata", "user_id"))
        .or_else(|| within("litellm_metadata", "user_id"))
}

impl Wish {
    /// Reads headers and body; of the same meaning, a header goes first.
    pub(crate) fn read(path: &str, headers: &HeaderMap, object: &Object<'_>) -> Result<Self, Rejection> {
        let mut wish = Self::default();
        for member in object.members() {
            let found = Found { path, name: member.name.as_ref(), value: member.value };
            if member.value.is_null() {
                continue;
            }
            match member.name.as_ref() {
                "metadata" | "litellm_metadata" => wish.read_metadata(&found)?,
                "tags" => wish.add_tags(path, found.name, found.texts()?)?,
                "allowed_model_region" => wish.requirements.region = Some(found.text()?),
                "litellm_session_id" => wish.session = Some(found.text()?),
                "litellm_trace_id" | "prompt_cache_key" if wish.session.is_none() => {
                    wish.session = found.text().ok();
                }
                "priority" => wish.priority = Some(found.priority()?),
                "fallbacks" => wish.fallbacks.general = Some(found.targets()?),
                "context_window_fallbacks" => wish.fallbacks.context_window = Some(found.targets()?),
                "content_policy_fallbacks" => wish.fallbacks.content_policy = Some(found.targets()?),
                "disable_fallbacks" => wish.disable_fallbacks = found.flag()?,
                "router_settings_override" => wish.read_router_settings(&found)?,
                "include_fallback_errors" => wish.tells_fallback_errors = found.flag()?,
                "mock_testing_fallbacks" if found.flag()? => wish.mock = Some(Mock::Fallbacks),
                "mock_testing_context_fallbacks" if found.flag()? => wish.mock = Some(Mock::Context),
                "mock_testing_content_policy_fallbacks" if found.flag()? => {
                    wish.mock = Some(Mock::ContentPolicy);
                }
                "mock_testing_rate_limit_error" if found.flag()? => wish.mock = Some(Mock::RateLimit),
                _ => {}
            }
        }
        wish.user = end_user(path, object);
        wish.read_headers(path, headers)?;
        Ok(wish)
    }

    /// Takes the end user from a header of the operator's choice, unless one of LiteLLM's own names one. Says whether there
    /// is such a header.
    pub(crate) fn read_user(
        &mut self,
        path: &str,
        headers: &HeaderMap,
        name: &str,
    ) -> Result<bool, Rejection> {
        let Some(user) = named_in(path, headers, name)? else { return Ok(false) };
        if !USER_HEADERS.iter().any(|own| headers.contains_key(*own)) {
            self.user = Some(user);
        }
        Ok(true)
    }

    /// Takes the user to whom the request is charged from a header of the operator's choice. Says whether there is one.
    pub(crate) fn read_payer(
        &mut self,
        path: &str,
        headers: &HeaderMap,
        name: &str,
    ) -> Result<bool, Rejection> {
        let Some(user) = named_in(path, headers, name)? else { return Ok(false) };
        self.payer = Some(user);
        Ok(true)
    }

    fn read_headers(&mut self, path: &str, headers: &HeaderMap) -> Result<(), Rejection> {
        // Most requests have none of them, and every request is looked at.
        let is_wish = |name: &str| name.starts_with("x-litellm-") || name.starts_with("x-tollgate-");
        if !headers.keys().any(|name| is_wish(name.as_str())) {
            return Ok(());
        }
        let text = |name: &'static str| -> Result<Option<String>, Rejection> {
            let Some(value) = headers.get(name) else { return Ok(None) };
            let text = value.to_str().map(str::trim).ok().filter(|text| is_name(text));
            let wrong = || Rejection::invalid(path, name, "expected a short text");
            text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
        };
        if let Some(Ok(noted_json)) = headers.get("x-litellm-spend-logs-metadata").map(HeaderValue::to_str) {
            self.spend_logs = noted(noted_json);
        }
        for value in headers.get_all("x-litellm-tags") {
            let wrong = || Rejection::invalid(path, "x-litellm-tags", "expected short texts");
            let tags = value.to_str().map_err(|_| wrong())?.split(',').map(str::trim);
            let tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
            if tags.iter().any(|tag| !is_name(tag)) {
                return Err(wrong());
            }
            self.add_tags(path, "x-litellm-tags", tags)?;
        }
        if let Some(region) = text("x-tollgate-region")? {
            self.requirements.region = Some(region);
        }
        for name in ["x-litellm-trace-id", "x-litellm-session-id"] {
            if let Ok(Some(session)) = text(name) {
                self.session = Some(session);
            }
        }
        for name in USER_HEADERS {
            if let Some(user) = text(name)? {
                self.user = Some(user);
            }
        }
        if let Some(priority) = text("x-litellm-priority")? {
            let number = priority.parse().map_err(|_| {
                Rejection::invalid(path, "x-litellm-priority", "expected a whole number of 0 to 255")
            })?;
            self.priority = Some(number);
        }
        if let Some(dry) = text("x-tollgate-dry-run")? {
            self.is_dry_run = match dry.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => true,
                "false" | "0" | "no" => false,
                _ => return Err(Rejection::invalid(path, "x-tollgate-dry-run", "expected true or false")),
            };
        }
        Ok(())
    }

    /// Adds the tags of the caller's key and team: what is theirs goes where theirs goes, and counts for their tags.
    pub(crate) fn mark(&mut self, caller: &Caller) {
        let records = caller.holder().into_iter().flat_map(|holder| holder.records());
        for tag in records.flat_map(|record| &record.reach.tags) {
            if !self.tags.iter().any(|known| **known == **tag) {
                self.tags.push(tag.to_string());
            }
        }
    }

    /// The same, with them.
    pub(crate) fn marked(mut self, caller: &Caller) -> Self {
        self.mark(caller);
        self
    }

    /// None is lost: one of them may be what keeps the request where it belongs.
    fn add_tags(&mut self, path: &str, name: &str, tags: Vec<String>) -> Result<(), Rejection> {
        for tag in tags {
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
        if self.tags.len() > TAGS_MAX {
            return Err(Rejection::invalid(path, name, "expected at most 64 tags in all"));
        }
        Ok(())
    }

    /// The members of `metadata` that speak of routing; all others are the caller's own.
    fn read_metadata(&mut self, metadata: &Found<'_, '_>) -> Result<(), Rejection> {
        let Some(object) = metadata.value.as_object() else { return Ok(()) };
        for member in object.members() {
            let name = format!("{}.{}", metadata.name, member.name);
            let found = Found { path: metadata.path, name: &name, value: member.value };
            if member.value.is_null() {
                continue;
            }
            match member.name.as_ref() {
                "tags" => self.add_tags(found.path, found.name, found.texts()?)?,
                // A plain `region` is the caller's own note, of which there are many.
                "allowed_model_region" => self.requirements.region = Some(found.text()?),
                "data_residency" => self.requirements.data_residency = Some(found.text()?),
                "zero_data_retention" => self.requirements.zero_data_retention |= found.flag()?,
                "capabilities" => self.requirements.capabilities = found.texts()?,
                "min_quality" => self.requirements.min_quality = Some(found.share()?),
                "session_id" if self.session.is_none() => self.session = found.text().ok(),
                "spend_logs_metadata" => self.spend_logs = noted(member.value.text()),
                "critical" => self.is_critical = found.flag().unwrap_or(false),
                "latency_sensitive" if found.flag()? => self.leaning = Leaning::Latency,
                "cost_sensitive" if found.flag()? => self.leaning = Leaning::Cost,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_router_settings(&mut self, settings: &Found<'_, '_>) -> Result<(), Rejection> {
        let Some(object) = settings.value.as_object() else {
            return Err(settings.wrong("expected an object"));
        };
        for member in object.members() {
            let name = format!("{}.{}", settings.name, member.name);
            let found = Found { path: settings.path, name: &name, value: member.value };
            match member.name.as_ref() {
                _ if member.value.is_null() => {}
                "fallbacks" => self.fallbacks.general = Some(found.targets()?),
                "context_window_fallbacks" => self.fallbacks.context_window = Some(found.targets()?),
                "content_policy_fallbacks" => self.fallbacks.content_policy = Some(found.targets()?),
                "weights" => {
                    let weights: std::collections::BTreeMap<String, f64> =
                        serde_json::from_str(found.value.text())
                            .map_err(|_| found.wrong("expected a map of deployment ids to numbers"))?;
                    self.weights = weights.into_iter().collect();
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name that a header has, where the header is there.
fn named_in(path: &str, headers: &HeaderMap, name: &str) -> Result<Option<String>, Rejection> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map(str::trim).ok().filter(|text| is_name(text));
    let text = text.ok_or_else(|| Rejection::invalid(path, name, "expected a short text"))?;
    Ok(Some(text.to_owned()))
}

/// A name that may be compared with what the operator wrote.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX
}

/// A member that was found, and how it is called in an error.
struct Found<'f, 'v> {
    path: &'f str,
    name: &'f str,
    value: Value<'v>,
}

impl Found<'_, '_> {
    fn wrong(&self, reason: &str) -> Rejection {
        Rejection::invalid(self.path, self.name, reason)
    }

    fn text(&self) -> Result<String, Rejection> {
        let text = self.value.as_str().filter(|text| is_name(text));
        text.map(std::borrow::Cow::into_owned).ok_or_else(|| self.wrong("expected a short text"))
    }

    /// OpenAI's `metadata` has texts alone, so a text with commas will do for a list.
    fn texts(&self) -> Result<Vec<String>, Rejection> {
        let texts: Vec<String> = match self.value.as_str() {
            Some(text) => {
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
            }
            None => {
                serde_json::from_str(self.value.text()).map_err(|_| self.wrong("expected a list of texts"))?
            }
        };
        let is_good = texts.len() <= TAGS_MAX && texts.iter().all(|text| is_name(text));
        if is_good { Ok(texts) } else { Err(self.wrong("expected a list of at most 64 short texts")) }
    }

    /// OpenAI's `metadata` has texts alone, so a text that says it will do.
    fn flag(&self) -> Result<bool, Rejection> {
        let text = self.value.as_str();
        match (self.value.as_bool(), text.as_deref()) {
            (Some(flag), _) => Ok(flag),
            (None, Some("true")) => Ok(true),
            (None, Some("false")) => Ok(false),
            _ => Err(self.wrong("expected true or false")),
        }
    }

    fn share(&self) -> Result<f64, Rejection> {
        let number = self.value.as_f64().or_else(|| self.value.as_str()?.parse().ok());
        number
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| self.wrong("expected a number of 0 to 1"))
    }

    fn priority(&self) -> Result<u8, Rejection> {
        let number = self.value.as_u64().and_then(|number| u8::try_from(number).ok());
        number.ok_or_else(|| self.wrong("expected a whole number of 0 to 255"))
    }

    /// Names of groups, or objects with a `model` and what takes the place of the request's own members. LiteLLM's
    /// `[{"group": [..]}]` is a configuration's form; its entries are taken in their order.
    fn targets(&self) -> Result<Vec<FallbackTarget>, Rejection> {
        let wrong = || self.wrong("expected a list of model names, or of objects with a \"model\"");
        let entries: Vec<Json> = serde_json::from_str(self.value.text()).map_err(|_| wrong())?;
        if entries.len() > FALLBACKS_MAX {
            return Err(self.wrong("expected at most 20 entries"));
        }
        let mut targets = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Json::String(model) => targets.push(FallbackTarget { model, overrides: Map::new() }),
                Json::Object(mut members) => match members.remove("model") {
                    Some(Json::String(model)) => targets.push(FallbackTarget { model, overrides: members }),
                    Some(_) => return Err(wrong()),
                    None => {
                        for (_, chain) in members {
                            let Json::Array(chain) = chain else { return Err(wrong()) };
                            for model in chain {
                                let Json::String(model) = model else { return Err(wrong()) };
                                targets.push(FallbackTarget { model, overrides: Map::new() });
                            }
                        }
                    }
                },
                _ => return Err(wrong()),
            }
        }
        Ok(targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_dialect::json::{Limits, scan};

    fn read(body: &str, headers: &[(&'static str, &'static str)]) -> Result<Wish, String> {
        let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap();
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Wish::read("/p", &headers, &object).map_err(|rejection| rejection.message().to_owned())
    }

    #[test]
    fn a_request_without_wishes_has_none() {
        let wish = read(r#"{"model":"m","metadata":{"mine":[1]}}"#, &[]).unwrap();
        assert_eq!(wish, Wish::default());
    }

    #[test]
    fn tags_come_from_everywhere_once() {
        let wish = read(
            r#"{"tags":["a"],"metadata":{"tags":["b","a"]},"litellm_metadata":{"tags":["!c"]}}"#,
            &[("x-litellm-tags", "d, b")],
        );
        assert_eq!(wish.unwrap().tags, ["a", "b", "!c", "d"]);
    }

    #[test]
    fn a_text_of_metadata_is_a_list_with_commas() {
        let wish =
            read(r#"{"metadata":{"tags":"beta, \u0061,,b ","capabilities":"vision"},"tags":"z"}"#, &[]);
        let wish = wish.unwrap();
        assert_eq!(wish.tags, ["beta", "a", "b", "z"]);
        assert_eq!(wish.requirements.capabilities, ["vision"]);
        assert_eq!(read(r#"{"metadata":{"tags":""}}"#, &[]).unwrap(), Wish::default());
        for tags in ["7", r#"[7]"#, "true"] {
            let error = read(&format!(r#"{{"metadata":{{"tags":{tags}}}}}"#), &[]).unwrap_err();
            assert!(error.contains("'metadata.tags'"), "{error}");
        }
    }

    #[test]
    fn a_region_is_asked_for_by_its_own_names_and_a_note_of_the_callers_is_none() {
        let region = |body, headers: &[_]| read(body, headers).unwrap().requirements.region;
        assert_eq!(region(r#"{"allowed_model_region":"eu"}"#, &[]).as_deref(), Some("eu"));
        assert_eq!(region(r#"{"metadata":{"allowed_model_region":"eu"}}"#, &[]).as_deref(), Some("eu"));
        assert_eq!(region("{}", &[("x-tollgate-region", "eu")]).as_deref(), Some("eu"));
        assert_eq!(region(r#"{"metadata":{"region":"emea"},"litellm_metadata":{"region":7}}"#, &[]), None);
    }

    #[test]
    fn a_data_policy_is_read_or_refused_and_never_passed_over() {
        let body = r#"{"metadata":{"data_residency":"eu","zero_data_retention":"true","capabilities":["vision"],"min_quality":0.8}}"#;
        let wish = read(body, &[("x-tollgate-region", "eu")]).unwrap();
        let expect = Requirements {
            region: Some("eu".into()),
            data_residency: Some("eu".into()),
            zero_data_retention: true,
            capabilities: vec!["vision".into()],
            min_quality: Some(0.8),
            is_contradictory: false,
        };
        assert_eq!(wish.requirements, expect);
        for (body, name) in [
            (r#"{"metadata":{"data_residency":1}}"#, "metadata.data_residency"),
            (r#"{"metadata":{"zero_data_retention":"yes"}}"#, "metadata.zero_data_retention"),
            (r#"{"allowed_model_region":{}}"#, "allowed_model_region"),
            (r#"{"litellm_metadata":{"capabilities":{"vision":true}}}"#, "litellm_metadata.capabilities"),
            (r#"{"priority":256}"#, "priority"),
            (r#"{"fallbacks":"b"}"#, "fallbacks"),
            (r#"{"disable_fallbacks":1}"#, "disable_fallbacks"),
        ] {
            let error = read(body, &[]).unwrap_err();
            assert!(error.contains(&format!("'{name}'")), "{error}");
        }
        assert!(read("{}", &[("x-tollgate-region", "")]).is_err());
        assert!(read("{}", &[("x-tollgate-dry-run", "perhaps")]).is_err());
    }

    #[test]
    fn fallbacks_are_names_objects_or_a_configurations_map() {
        let wish = read(
            r#"{"fallbacks":["b",{"model":"c","temperature":0},{"gpt":["d"]}],"disable_fallbacks":true}"#,
            &[],
        );
        let wish = wish.unwrap();
        let names: Vec<String> =
            wish.fallbacks.general.unwrap().into_iter().map(|target| target.model).collect();
        assert_eq!((names, wish.disable_fallbacks), (vec!["b".into(), "c".into(), "d".into()], true));
        let wish =
            read(r#"{"router_settings_override":{"fallbacks":["z"],"weights":{"id":2}}}"#, &[]).unwrap();
        assert_eq!(wish.fallbacks.general.unwrap()[0].model, "z");
        assert_eq!(wish.weights, [("id".to_owned(), 2.0)]);
    }

    #[test]
    fn a_session_is_named_by_header_member_or_metadata() {
        let session = |body, headers: &[_]| read(body, headers).unwrap().session;
        assert_eq!(session(r#"{"metadata":{"session_id":"m"}}"#, &[]).as_deref(), Some("m"));
        assert_eq!(session(r#"{"litellm_session_id":"b"}"#, &[]).as_deref(), Some("b"));
        assert_eq!(session("{}", &[("x-litellm-session-id", "h")]).as_deref(), Some("h"));
        assert_eq!(session(r#"{"prompt_cache_key":"p"}"#, &[]).as_deref(), Some("p"));
    }
}
