//! What a request says of the cache, in LiteLLM's words: `cache: {...}`, `caching`, `Cache-Control`.
//!
//! Owns their names and their order: the request's own words, then those that an operator has written to its key's
//! `metadata`. Leaves what follows from them to the road of a request.
//!
//! **Invariant:** a control that means nothing is refused by name: whoever misspells `no-store` must not believe that
//! nothing is kept.

use crate::auth::Caller;
use crate::error::Rejection;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde_json::{Map, Value};
use std::time::Duration;
use tollgate_dialect::json::Object;
use tollgate_identity::Holder;

/// Longest namespace, in bytes.
const NAMESPACE_BYTES_MAX: usize = 256;
/// Longest time that an answer may be kept, in seconds: ten years.
const SECONDS_MAX: f64 = 315_360_000.0;

/// What is said of the cache for one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Controls {
    /// Nothing that is kept may answer it.
    pub(crate) no_cache: bool,
    /// Its answer is not to be kept.
    pub(crate) no_store: bool,
    /// It is for the cache, where that is off unless asked for; or it is not, where that is on.
    pub(crate) use_cache: Option<bool>,
    /// How long its answer is kept.
    pub(crate) ttl: Option<Duration>,
    /// How old an answer may be that it is given.
    pub(crate) max_age: Option<Duration>,
    /// Only answers of this namespace are seen, and its own goes there.
    pub(crate) namespace: Option<String>,
}

/// LiteLLM's names; `s-max-age` is an old spelling of its own.
const NAMES: [&str; 7] = ["no-cache", "no-store", "use-cache", "ttl", "s-maxage", "s-max-age", "namespace"];

impl Controls {
    /// Reads the request's own words; what the body says goes before a header.
    ///
    /// # Errors
    /// Names what cannot be understood.
    pub(crate) fn read(
        path: &str,
        headers: &HeaderMap,
        object: &Object<'_>,
    ) -> Result<Option<Box<Self>>, Rejection> {
        let mut controls = None;
        if let Some(header) = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()) {
            controls = Self::of_header(header);
        }
        if let Some(value) = object.get("caching").filter(|value| !value.is_null()) {
            let is_on = value
                .as_bool()
                .ok_or_else(|| Rejection::invalid(path, "caching", "expected true or false"))?;
            controls.get_or_insert_with(Box::default).use_cache = Some(is_on);
        }
        if let Some(value) = object.get("cache").filter(|value| !value.is_null()) {
            let wrong = || Rejection::invalid(path, "cache", "expected an object of cache controls");
            let members: Map<String, Value> = serde_json::from_str(value.text()).map_err(|_| wrong())?;
            controls.get_or_insert_with(Box::default).add(path, &members)?;
        }
        Ok(controls)
    }

    /// `no-cache`, `no-store` and ages of a header (RFC 9111, 5.2.1); other directives are none of the gateway's.
    fn of_header(text: &str) -> Option<Box<Self>> {
        let mut controls = Self::default();
        for directive in text.split(',').map(|directive| directive.trim().to_ascii_lowercase()) {
            let seconds = |name: &str| {
                directive.strip_prefix(name)?.trim_matches('"').parse().ok().map(Duration::from_secs)
            };
            match directive.as_str() {
                "no-cache" => controls.no_cache = true,
                "no-store" => controls.no_store = true,
                _ => {
                    controls.max_age =
                        seconds("s-maxage=").or(controls.max_age).or_else(|| seconds("max-age="));
                }
            }
        }
        // Browsers and clients send `max-age=0` for "ask again".
        (controls != Self::default()).then(|| Box::new(controls))
    }

    fn add(&mut self, path: &str, members: &Map<String, Value>) -> Result<(), Rejection> {
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let place = format!("cache.{name}");
            let flag =
                || value.as_bool().ok_or_else(|| Rejection::invalid(path, &place, "expected true or false"));
            let seconds = || {
                let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
                let seconds = seconds
                    .ok_or_else(|| Rejection::invalid(path, &place, "expected a number of seconds"))?;
                Ok::<_, Rejection>(Duration::from_secs_f64(seconds))
            };
            match name.as_str() {
                "no-cache" => self.no_cache = flag()?,
                "no-store" => self.no_store = flag()?,
                "use-cache" => self.use_cache = Some(flag()?),
                "ttl" => self.ttl = Some(seconds()?),
                "s-maxage" | "s-max-age" => self.max_age = Some(seconds()?),
                "namespace" => {
                    let text = value.as_str().filter(|text| text.len() <= NAMESPACE_BYTES_MAX);
                    let wrong = || Rejection::invalid(path, &place, "expected a text of at most 256 bytes");
                    self.namespace = Some(text.ok_or_else(wrong)?.to_owned());
                }
                _ => {
                    let reason = format!("no cache control; there are {}", NAMES.join(", "));
                    return Err(Rejection::invalid(path, &place, &reason));
                }
            }
        }
        Ok(())
    }

    /// The names of what the request's body says.
    fn names(object: &Object<'_>) -> Vec<String> {
        let Some(controls) = object.get("cache").and_then(|value| value.as_object()) else {
            return Vec::new();
        };
        controls
            .members()
            .filter(|member| !member.value.is_null())
            .map(|member| member.name.into_owned())
            .collect()
    }

    /// Refuses controls that the caller's key does not have, where it names those that it has (LiteLLM's
    /// `allowed_cache_controls`; an empty list is none).
    ///
    /// # Errors
    /// As LiteLLM words it.
    pub(crate) fn demand(caller: &Caller, object: &Object<'_>) -> Result<(), Rejection> {
        let Some(holder) = caller.holder() else { return Ok(()) };
        let Some(Value::Array(allowed)) = holder.key.member("allowed_cache_controls") else { return Ok(()) };
        let is_allowed = |name: &String| allowed.iter().any(|allowed| allowed.as_str() == Some(name));
        match Self::names(object).iter().find(|name| !is_allowed(name)) {
            Some(name) if !allowed.is_empty() => Err(Rejection::cache_control_denied(name)),
            _ => Ok(()),
        }
    }

    /// With what an operator has written to the key, or else to its team (`metadata.cache`), where the request says nothing.
    pub(crate) fn or_of(self, holder: Option<&Holder>) -> Self {
        let Some(holder) = holder else { return self };
        let records = [Some(&holder.key), holder.team.as_ref()];
        let written = records.into_iter().flatten().find_map(|record| {
            match record.member("metadata")?.get("cache")? {
                Value::Object(members) => Some(members.clone()),
                _ => None,
            }
        });
        let Some(written) = written else { return self };
        let mut theirs = Self::default();
        // One wrong word takes none of the others along.
        for (name, value) in written {
            let one = Map::from_iter([(name, value)]);
            let _ = theirs.add("", &one);
        }
        Self {
            no_cache: self.no_cache || theirs.no_cache,
            no_store: self.no_store || theirs.no_store,
            use_cache: self.use_cache.or(theirs.use_cache),
            ttl: self.ttl.or(theirs.ttl),
            max_age: self.max_age.or(theirs.max_age),
            namespace: self.namespace.or(theirs.namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_dialect::json::{Limits, scan};

    fn read(header: Option<&str>, body: &str) -> Result<Controls, String> {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(CACHE_CONTROL, header.parse().unwrap());
        }
        let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap();
        let read = Controls::read("/chat/completions", &headers, &object);
        read.map(Option::unwrap_or_default)
            .map(|controls| *controls)
            .map_err(|rejection| rejection.message().to_owned())
    }

    #[test]
    fn all_of_litellms_controls_are_read() {
        let body = r#"{"cache":{"no-cache":true,"no-store":true,"use-cache":true,"ttl":1.5,"s-maxage":60,"namespace":"n"}}"#;
        let expect = Controls {
            no_cache: true,
            no_store: true,
            use_cache: Some(true),
            ttl: Some(Duration::from_millis(1_500)),
            max_age: Some(Duration::from_secs(60)),
            namespace: Some("n".to_owned()),
        };
        assert_eq!(read(None, body).unwrap(), expect);
        assert_eq!(read(None, "{}").unwrap(), Controls::default());
        assert_eq!(read(None, r#"{"cache":null,"caching":null}"#).unwrap(), Controls::default());
        assert_eq!(read(None, r#"{"cache":{"ttl":null}}"#).unwrap(), Controls::default());
        let off = Controls { use_cache: Some(false), ..Controls::default() };
        assert_eq!(read(None, r#"{"caching":false}"#).unwrap(), off);
        let aged = Controls { max_age: Some(Duration::from_secs(5)), ..Controls::default() };
        assert_eq!(read(None, r#"{"cache":{"s-max-age":5}}"#).unwrap(), aged);
    }

    #[test]
    fn a_header_says_it_too_and_the_body_goes_before_it() {
        let check = |header: &str, body: &str, (no_cache, no_store, age): (bool, bool, Option<u64>)| {
            let expect =
                Controls { no_cache, no_store, max_age: age.map(Duration::from_secs), ..Controls::default() };
            assert_eq!(read(Some(header), body).unwrap(), expect, "{header}");
        };
        check("no-cache", "{}", (true, false, None));
        check("No-Store, max-age=3", "{}", (false, true, Some(3)));
        check("max-age=3, s-maxage=9", "{}", (false, false, Some(9)));
        check("s-maxage=\"9\", max-age=3", "{}", (false, false, Some(9)));
        check("public, max-age=x", "{}", (false, false, None));
        check("no-cache", r#"{"cache":{"no-cache":false}}"#, (false, false, None));
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (body, place) in [
            (r#"{"cache":true}"#, "'cache'"),
            (r#"{"cache":{"no-cash":true}}"#, "'cache.no-cash'"),
            (r#"{"cache":{"no-cache":"yes"}}"#, "'cache.no-cache'"),
            (r#"{"cache":{"ttl":-1}}"#, "'cache.ttl'"),
            (r#"{"cache":{"ttl":1e300}}"#, "'cache.ttl'"),
            (r#"{"cache":{"s-maxage":"1"}}"#, "'cache.s-maxage'"),
            (r#"{"cache":{"namespace":1}}"#, "'cache.namespace'"),
            (r#"{"caching":1}"#, "'caching'"),
        ] {
            let refused = read(None, body).unwrap_err();
            assert!(refused.contains(place), "{body}: {refused}");
        }
        let long = format!(r#"{{"cache":{{"namespace":"{}"}}}}"#, "x".repeat(257));
        assert!(read(None, &long).unwrap_err().contains("'cache.namespace'"));
    }
}
