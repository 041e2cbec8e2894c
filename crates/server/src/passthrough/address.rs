//! Where a request that passes goes at its provider: the path below the provider's base, with the model's name in it.
//!
//! Owns what of a caller's path is let through, and each provider's way to name a model in a path. Leaves the base URL to
//! the endpoint. **Invariant:** no path leads out of the provider's base, however it is encoded, and no query carries the
//! gateway's key.

use crate::percent;
use crate::routes::Passage;
use std::borrow::Cow;
use std::ops::Range;
use tollgate_upstream::Endpoint;

/// How often a path may have been encoded; what is encoded more often is nobody's path.
const DECODINGS_MAX: usize = 3;

/// Whether a path may pass: visible ASCII, no empty segment but at its end, no segment of dots however it is encoded.
pub(super) fn is_safe(path: &str) -> bool {
    if !path.is_empty() && !path.starts_with('/') {
        return false;
    }
    let mut text: Cow<'_, str> = Cow::Borrowed(path);
    for _ in 0..=DECODINGS_MAX {
        let is_plain = text.chars().all(|c| !c.is_control() && c != '\\');
        let climbs = text.split('/').any(|segment| matches!(segment, "." | ".."));
        if !is_plain || climbs || text.starts_with("//") {
            return false;
        }
        match percent::decode(&text) {
            None => return false,
            Some(plain) if plain == text => return !path.contains("//"),
            Some(plain) => text = Cow::Owned(plain),
        }
    }
    false
}

/// The path below the base without what the base ends with already: `/v1/files` below `https://api.openai.com/v1` is
/// `/files`.
pub(super) fn below_base<'p>(endpoint: &Endpoint, path: &'p str) -> &'p str {
    let Ok(base) = endpoint.target("") else { return path };
    let base = base.path().trim_end_matches('/');
    // From the longest: `/a/v1`, then `/v1`.
    let ends = base.match_indices('/').filter_map(|(at, _)| base.get(at..));
    let mut found = ends.filter_map(|end| path.strip_prefix(end).filter(|rest| rest.starts_with('/')));
    found.next().unwrap_or(path)
}

/// Where a path names a model, in bytes.
pub(super) fn model_place(passage: Passage, path: &str) -> Option<Range<usize>> {
    let (before, ends): (&str, &[char]) = match passage {
        Passage::Gemini => ("/models/", &[':', '/']),
        Passage::Vertex => ("/models/", &[':', '/']),
        Passage::Bedrock => ("/model/", &['/']),
        Passage::Azure => ("/deployments/", &['/']),
        _ => return None,
    };
    let start = path.find(before)? + before.len();
    let rest = path.get(start..)?;
    let length = match passage {
        // The name may have slashes; the method behind the colon has none.
        Passage::Gemini if rest.contains(':') => rest.rfind(':')?,
        _ => rest.find(ends).unwrap_or(rest.len()),
    };
    (length > 0).then_some(start..start + length)
}

/// The path with another model's name.
pub(super) fn rename(path: &str, place: &Range<usize>, model: &str) -> String {
    let (before, after) = (path.get(..place.start), path.get(place.end..));
    format!("{}{}{}", before.unwrap_or_default(), percent::encode(model), after.unwrap_or_default())
}

/// The project and location that a path on Vertex AI names, and what follows them.
pub(super) fn vertex_parts(path: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = path.split_once("/projects/")?;
    let (project, rest) = rest.split_once("/locations/")?;
    let (location, _) = rest.split_once('/').unwrap_or((rest, ""));
    let after = rest.get(location.len()..)?;
    (!project.contains('/')).then_some((project, location, after))
}

/// The version at the beginning of a path, and the rest.
pub(super) fn version(path: &str) -> Option<(&str, &str)> {
    let segment = path.strip_prefix('/')?;
    let (version, _) = segment.split_once('/')?;
    let digits = version.strip_prefix('v')?;
    let is_version = digits.starts_with(|c: char| c.is_ascii_digit());
    is_version.then_some((version, path.get(version.len() + 1..)?))
}

/// The query without the parameters of these names.
pub(super) fn query_without(query: &str, names: &[&str]) -> String {
    let kept = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let plain = percent::decode(&name.replace('+', " "));
        !pair.is_empty() && plain.is_some_and(|plain| !names.contains(&plain.as_str()))
    });
    kept.collect::<Vec<_>>().join("&")
}

/// One parameter of a query, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_it = percent::decode(key).is_some_and(|key| key == name);
        (is_it && !value.is_empty()).then(|| percent::decode(&value.replace('+', " "))).flatten()
    })
}

/// Path and query in one.
pub(super) fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// What the paths of requests end with that begin work which providers bill when it ends: batches and tuning jobs, in
/// OpenAI's, Azure's, Anthropic's, Gemini's, Vertex AI's, Bedrock's, Mistral's and Cohere's APIs.
const BILLED_LATER: [&str; 13] = [
    "/batches",
    "/fine_tuning/jobs",
    "/fine-tuning/jobs",
    "/batch/jobs",
    "/finetuned-models",
    "/embed-jobs",
    "/batchPredictionJobs",
    "/tuningJobs",
    "/tunedModels",
    "/model-invocation-job",
    "/model-customization-jobs",
    ":batchGenerateContent",
    ":asyncBatchEmbedContent",
];

/// Whether a POST there begins work whose cost is not known before it ends, and which no reply of this request tells.
pub(super) fn is_billed_later(passage: Passage, rest: &str) -> bool {
    let rest = rest.trim_end_matches('/');
    match passage {
        Passage::Batches | Passage::FineTuning | Passage::MessageBatches => rest.is_empty(),
        Passage::Files | Passage::VectorStores | Passage::Own => false,
        _ => BILLED_LATER.iter().any(|end| rest.ends_with(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_upstream::Trust;

    #[test]
    fn what_begins_a_batch_or_a_tuning_job_is_known_in_every_api() {
        let check =
            |passage, rest, expect| assert_eq!(is_billed_later(passage, rest), expect, "{passage:?} {rest}");
        check(Passage::Batches, "", true);
        check(Passage::Batches, "/batch_1/cancel", false);
        check(Passage::FineTuning, "/", true);
        check(Passage::MessageBatches, "", true);
        check(Passage::Files, "", false);
        check(Passage::OpenAi, "/v1/batches", true);
        check(Passage::OpenAi, "/v1/fine_tuning/jobs/ftjob-1/cancel", false);
        check(Passage::OpenAi, "/v1/chat/completions", false);
        check(Passage::Anthropic, "/v1/messages/batches", true);
        check(Passage::Gemini, "/v1beta/models/gemini-2.5-flash:batchGenerateContent", true);
        check(Passage::Gemini, "/v1beta/models/gemini-2.5-flash:generateContent", false);
        check(Passage::Vertex, "/v1/projects/p/locations/l/batchPredictionJobs", true);
        check(Passage::Bedrock, "/model-invocation-job", true);
        check(Passage::Mistral, "/v1/batch/jobs", true);
    }

    #[test]
    fn a_path_cannot_climb_however_it_is_encoded() {
        for path in [
            "/../sim/stats",
            "/v1/..",
            "/v1/./x",
            "/%2e%2e/sim",
            "/%252e%252e/sim",
            "/%25252e%25252e/sim",
            "/v1/..%2fsim",
            "/v1/%2e%2e%2fsim",
            "/v1/..%5csim",
            "/v1/..\\sim",
            "//evil.example/v1",
            "/v1//x",
            "/%2fevil.example",
            "/v1/%0d%0ax",
            "/v1/%zz",
            "/v1/%",
            "v1/x",
            "@evil.example/",
            "/%2525252541",
        ] {
            assert!(!is_safe(path), "{path}");
        }
        for path in [
            "",
            "/v1/messages",
            "/v1beta/models/x:generateContent",
            "/model/us.anthropic.claude-v1%3A0/converse",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprofile%2Fx/invoke",
            "/a..b/...",
            "/v1/files/",
        ] {
            assert!(is_safe(path), "{path}");
        }
    }

    #[test]
    fn what_base_and_path_share_is_there_once() {
        let check = |base: &str, path: &str, expect: &str| {
            let endpoint = Endpoint::parse(base, Trust::Operator).unwrap();
            assert_eq!(below_base(&endpoint, path), expect, "{base} {path}");
        };
        check("https://x.test/v1", "/v1/files", "/files");
        check("https://x.test/v1", "/files", "/files");
        check("https://x.test/v1", "/v10/files", "/v10/files");
        check("https://x.test/d/a/v1", "/v1/files", "/files");
        check("https://x.test/d/a/v1", "/a/v1/files", "/files");
        check("https://x.test", "/v1/files", "/v1/files");
        check("https://x.test/v1", "/v1", "/v1");
    }

    #[test]
    fn every_provider_names_models_in_its_own_place() {
        let check = |passage: Passage, path: &str, expect: Option<&str>, renamed: &str| {
            let place = model_place(passage, path);
            assert_eq!(place.clone().map(|place| &path[place]), expect, "{path}");
            if let Some(place) = place {
                assert_eq!(rename(path, &place, "a/b"), renamed);
            }
        };
        check(
            Passage::Gemini,
            "/v1beta/models/x/y:generateContent",
            Some("x/y"),
            "/v1beta/models/a%2Fb:generateContent",
        );
        check(Passage::Gemini, "/v1beta/models", None, "");
        check(Passage::Gemini, "/v1beta/models/x", Some("x"), "/v1beta/models/a%2Fb");
        check(
            Passage::Vertex,
            "/v1/projects/p/locations/l/publishers/google/models/g:predict",
            Some("g"),
            "/v1/projects/p/locations/l/publishers/google/models/a%2Fb:predict",
        );
        check(Passage::Bedrock, "/model/m%3A0/invoke", Some("m%3A0"), "/model/a%2Fb/invoke");
        check(
            Passage::Azure,
            "/openai/deployments/d/images/edits",
            Some("d"),
            "/openai/deployments/a%2Fb/images/edits",
        );
        check(Passage::Anthropic, "/v1/models/m", None, "");
    }

    #[test]
    fn a_query_loses_what_is_the_gateways() {
        let check = |query: &str, expect: &str| {
            assert_eq!(query_without(query, &["key", "provider"]), expect, "{query}");
        };
        check("alt=sse&key=sk-1", "alt=sse");
        check("key=sk-1", "");
        check("k%65y=sk-1&a=b", "a=b");
        check("", "");
        check("provider=azure&limit=2&after=x", "limit=2&after=x");
        assert_eq!(parameter("a=b%20c&d", "a").as_deref(), Some("b c"));
        assert_eq!(parameter("a=b&d", "d"), None);
    }

    #[test]
    fn vertexs_paths_name_project_and_location() {
        let path = "/v1/projects/p/locations/europe-west1/publishers/google/models/g:x";
        assert_eq!(vertex_parts(path), Some(("p", "europe-west1", "/publishers/google/models/g:x")));
        assert_eq!(vertex_parts("/v1/publishers/google/models/g:x"), None);
        assert_eq!(version(path).map(|(version, _)| version), Some("v1"));
        assert_eq!(version("/v1beta1/x"), Some(("v1beta1", "/x")));
        assert_eq!(version("/publishers/x"), None);
    }
}
