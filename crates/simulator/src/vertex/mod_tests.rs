//! What Vertex AI takes and refuses beside what the Gemini API does.

use super::*;

#[test]
fn a_content_says_whose_it_is() {
    let with = |role: &str| {
        let mut content = json!({"parts": [{"text": "hi"}]});
        if !role.is_empty() {
            content["role"] = json!(role);
        }
        json!({"contents": [content], "labels": {"team": "a"}})
    };
    assert_eq!(generate(&with("user"), "gemini-2.5-flash"), Ok(()));
    let error = generate(&with(""), "gemini-2.5-flash").unwrap_err();
    assert_eq!(error.message, "Please use a valid role: user, model.");
}

#[test]
fn members_of_the_gemini_api_alone_are_refused() {
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    for (name, value) in
        [("store", json!(true)), ("tools", json!([{"fileSearch": {}}])), ("model", json!("m"))]
    {
        let mut body = json!({"contents": contents});
        body[name] = value;
        let error = generate(&body, "gemini-2.5-flash").unwrap_err();
        assert!(error.message.contains("Cannot find field"), "{}", error.message);
    }
}

#[test]
fn a_broken_rule_is_told_in_a_sentence() {
    let error = generate(&json!({}), "g").map_err(reworded).unwrap_err();
    assert!(error.message.starts_with("Unable to submit request because contents"), "{}", error.message);
    assert!(error.message.ends_with(LEARN_MORE));
}

#[test]
fn claudes_body_has_a_version_and_no_model() {
    let body = |extra: &Value| {
        let mut body = json!({
            "anthropic_version": "vertex-2023-10-16",
            "max_tokens": 5,
            "messages": [{"role": "user", "content": "hi"}],
        });
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    let model = "claude-haiku-4-5@20251001";
    let (inner, version) = claude(&body(&json!({})), model, false).unwrap();
    assert_eq!((inner["model"].as_str(), version), (Some("claude-haiku-4-5"), Version::V2023));
    assert!(claude(&body(&json!({"stream": true})), model, true).is_ok());
    for (extra, streams, words) in [
        (json!({"anthropic_version": null}), false, "anthropic_version"),
        (json!({"anthropic_version": "bedrock-2023-05-31"}), false, "not a valid version"),
        (json!({"model": "claude"}), false, "model: Extra inputs"),
        (json!({"stream": true}), false, "stream"),
        (json!({}), true, "stream"),
    ] {
        let error = claude(&body(&extra), model, streams).unwrap_err();
        assert!(error.message.contains(words), "{}", error.message);
    }
}

#[test]
fn a_path_names_project_location_and_model() {
    for (path, expect) in [
        (
            "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash:generateContent",
            Some((Operation::Generate, Some("gemini-2.5-flash"))),
        ),
        (
            "/v1beta1/projects/p/locations/global/publishers/anthropic/models/claude-x%4020250101:streamRawPredict",
            Some((Operation::Cloud(Op::StreamRawPredict), Some("claude-x@20250101"))),
        ),
        ("/v1/projects/p/locations/l/endpoints/openapi/chat/completions", Some((Operation::Chat, None))),
        ("/v1/projects/p/locations/l/publishers/google/models/e:embedContent", None),
        ("/v1/projects/p/locations/l/publishers/other/models/e:rawPredict", None),
    ] {
        let found = Vertex.route(&Method::POST, path);
        let expect = expect.map(|(operation, model)| (operation, model.map(str::to_owned)));
        assert_eq!(found, expect, "{path}");
    }
    let tail = "publishers/google/models/m:generateContent";
    let path = format!("/v1beta1/projects/p/locations/l/{tail}");
    let found = resource(&path).unwrap();
    assert_eq!((found.project, found.location, found.rest), ("p", "l", tail));
}

#[test]
fn a_web_token_of_the_service_account_is_good_for_this_api_alone() {
    let token = |audience: &str| {
        let now = now();
        jwt::signed(&json!({"iss": tokens::account_email(), "aud": audience, "iat": now, "exp": now + 60}))
    };
    assert!(is_self_signed(&token("https://aiplatform.googleapis.com/")));
    assert!(is_self_signed(&token("https://us-central1-aiplatform.googleapis.com/")));
    assert!(!is_self_signed(&token("https://storage.googleapis.com/")));
    assert!(!is_self_signed("ya29.x"));
}
