//! Callers that mean no good, and callers that are merely wrong: what they send goes nowhere that it should not.

use crate::support::{
    Answer, App, Connection, RawProvider, Setup, Wire, hello, model_list, one_of, post, streamed,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tollgate_simulator::{Behaviour, Rule, Script};

const CHAT: &str = "/v1/chat/completions";

async fn app() -> App {
    let rule = Rule::any(Behaviour::new().lenient());
    App::start(one_of(Wire::OpenAi), Script::new().rule(rule)).await
}

/// Members that would choose where a request goes or with which credential.
const REFUSED: [&str; 44] = [
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "custom_llm_provider",
    "organization",
    "azure_ad_token",
    "azure_ad_token_provider",
    "azure_scope",
    "azure_username",
    "azure_password",
    "tenant_id",
    "client_id",
    "client_secret",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_session_name",
    "aws_profile_name",
    "aws_role_name",
    "aws_region_name",
    "aws_web_identity_token",
    "aws_sts_endpoint",
    "aws_bedrock_runtime_endpoint",
    "vertex_project",
    "vertex_location",
    "vertex_credentials",
    "vertex_ai_project",
    "vertex_ai_location",
    "vertex_ai_credentials",
    "litellm_credential_name",
    "litellm_params",
    "model_list",
    "user_config",
    "model_info",
    "extra_headers",
    "headers",
    "langfuse_host",
    "langfuse_secret_key",
    "langfuse_public_key",
    "callbacks",
    "success_callback",
    "failure_callback",
    "proxy_server_request",
];

/// A chat with this member at the top; the name is written as it is given, escapes and all.
fn with_member(name: &str, value: &Value) -> Vec<u8> {
    let text = hello("m").to_string();
    post(CHAT, &[], format!("{{\"{name}\":{value},{}", &text[1..]).as_bytes())
}

#[tokio::test]
async fn members_that_would_choose_host_or_credential_are_refused_by_name() {
    let lure = RawProvider::of("application/json", "{}").await;
    let app = app().await;
    let values = [json!(format!("http://{}", lure.address)), json!(null), json!({}), json!([]), json!(0)];
    for name in REFUSED {
        for value in &values {
            let answer = app.ask(&with_member(name, value)).await;
            assert_eq!(answer.status, 400, "{name}: {value}");
            let error = answer.error();
            assert_eq!(error["param"], name);
            assert!(
                error["message"].as_str().unwrap().contains(&format!("{name} is not allowed")),
                "{error}"
            );
        }
        // The name counts, not its spelling.
        let first = name.as_bytes()[0];
        let escaped = format!("\\u{first:04x}{}", &name[1..]);
        let answer = app.ask(&with_member(&escaped, &values[0])).await;
        assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some(name)), "{escaped}");
    }
    for path in ["/v1/completions", "/v1/embeddings", "/engines/m/chat/completions"] {
        let body = json!({"model": "m", "prompt": "x", "input": "x", "messages": [], "api_base": "http://x"});
        let answer = app.post(path, &body).await;
        assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some("api_base")), "{path}");
    }
    assert_eq!((app.received().len(), lure.connects()), (0, 0));
    app.stop().await;
}

#[tokio::test]
async fn addresses_anywhere_else_in_a_request_are_never_connected_to() {
    let lure = RawProvider::of("application/json", "{}").await;
    let url = format!("http://{}/", lure.address);
    let app = app().await;
    let nested = json!({"api_base": url, "base_url": url, "api_key": "sk-evil", "headers": {"x-evil": "1"}});
    for member in [
        "extra_body",
        "metadata",
        "litellm_metadata",
        "router_settings_override",
        "response_format",
        "tools",
        "fallbacks",
        "cache",
        "mcp_servers",
        "vector_store_ids",
        "guardrails",
        "provider",
        "deployment",
        "endpoint",
        "endpoint_url",
        "url",
        "webhook",
        "webhook_url",
        "proxy",
        "http_proxy",
        "API_BASE",
        "api-base",
        "apiBase",
        "x-api-base",
        "s3_endpoint_url",
        "sagemaker_base_url",
        "otel_endpoint",
        "jwks_uri",
    ] {
        for value in [nested.clone(), json!([nested.clone()]), json!(url.clone())] {
            let answer = app.ask(&with_member(member, &value)).await;
            assert!([200, 400].contains(&answer.status), "{member}: {}", answer.text());
        }
    }
    for header in [
        "x-litellm-api-base",
        "x-api-base",
        "api-base",
        "base-url",
        "x-forwarded-host",
        "x-original-url",
        "x-rewrite-url",
        "forwarded",
        "x-base-url",
        "openai-base-url",
        "referer",
        "origin",
        "host",
    ] {
        let value = if header == "host" { lure.address.to_string() } else { url.clone() };
        let answer = app.hello_with("m", &[(header, value.as_str())]).await;
        assert!([200, 400].contains(&answer.status), "{header}");
    }
    let query = format!("{CHAT}?api_base={url}&base_url={url}&api_key=sk-evil&url={url}");
    assert_eq!(app.post(&query, &hello("m")).await.status, 200);
    let image = json!([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": url}]);
    let mut body = hello("m");
    body["messages"][0]["content"] = image;
    assert_eq!(app.chat(&body).await.status, 200);
    assert_eq!(lure.connects(), 0);
    for received in app.received() {
        assert_eq!(received.credential.as_deref(), Some("sk-key-of-a"));
        assert_eq!(received.header("x-evil"), None);
        assert_eq!(received.path, "/d/a/v1/chat/completions");
    }
    app.stop().await;
}

#[tokio::test]
async fn pictures_by_address_are_not_fetched_by_the_gateway_for_any_wire() {
    let lure = RawProvider::of("image/png", "png").await;
    for wire in [Wire::Anthropic, Wire::Gemini] {
        let app = App::start(one_of(wire), Script::new()).await;
        let url = format!("http://{}/cat.png", lure.address);
        let mut body = hello("m");
        body["messages"][0]["content"] = json!([{"type": "image_url", "image_url": {"url": url}}]);
        app.chat(&body).await;
        app.stop().await;
    }
    assert_eq!(lure.connects(), 0);
}

#[tokio::test]
async fn a_name_that_stands_twice_is_refused_whatever_its_spelling() {
    let yaml =
        model_list(&[("cheap", &Wire::OpenAi.parameters("a")), ("dear", &Wire::OpenAi.parameters("b"))]);
    let app = App::start(yaml, Script::new()).await;
    for body in [
        r#"{"model":"cheap","model":"dear","messages":[]}"#,
        r#"{"model":"cheap","mod\u0065l":"dear","messages":[]}"#,
        r#"{"\u006d\u006f\u0064\u0065\u006c":"cheap","model":"dear","messages":[]}"#,
        r#"{"model":"cheap","messages":[],"model":"cheap"}"#,
        r#"{"model":"cheap","messages":[],"messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"cheap","messages":[],"stream":false,"stream":true}"#,
        r#"{"model":"cheap","messages":[],"api_base":"x","api_base":"y"}"#,
        r#"{"model":"cheap","messages":[],"x":1,"x":2}"#,
        r#"{"model":"cheap","messages":[],"":1,"":2}"#,
        r#"{"model":"cheap","messages":[],"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}"#,
    ] {
        let answer = app.ask(&post(CHAT, &[], body.as_bytes())).await;
        assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some("request_body")), "{body}");
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

/// What a provider may see of a call, whoever made it: nothing of the caller's.
#[tokio::test]
async fn no_header_of_a_caller_reaches_a_provider() {
    let callers = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("via", "1.1 evil"),
        ("cookie", "session=1"),
        ("user-agent", "evil/1"),
        ("accept", "text/evil"),
        ("accept-encoding", "gzip, br"),
        ("x-litellm-tags", "evil"),
        ("x-litellm-user-id", "admin"),
        ("x-litellm-team-id", "admin"),
        ("x-litellm-key-alias", "admin"),
        ("x-litellm-model-id", "evil"),
        ("x-tollgate-attempt", "9"),
        ("connection", "authorization, x-one"),
        ("x-one", "1"),
        ("keep-alive", "timeout=1000"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("trailer", "authorization"),
        ("upgrade", "h2c"),
        ("expect", "something"),
        ("openai-organization", "org-evil"),
        ("openai-project", "proj-evil"),
        ("openai-beta", "evil"),
        ("anthropic-version", "1999-01-01"),
        ("anthropic-beta", "evil"),
        ("x-goog-user-project", "evil"),
        ("x-api-key", "sk-evil"),
        ("api-key", "sk-evil"),
        ("x-goog-api-key", "sk-evil"),
        ("x-litellm-api-key", "sk-evil"),
        ("authorization", "Bearer sk-evil"),
        ("x-http-method-override", "DELETE"),
        ("traceparent", "00-evil"),
        ("content-language", "evil"),
    ];
    for (wire, own) in [
        (Wire::OpenAi, &["authorization"][..]),
        (Wire::Azure, &["api-key"]),
        (Wire::Anthropic, &["x-api-key", "anthropic-version", "anthropic-beta"]),
        (Wire::Gemini, &["x-goog-api-key"]),
    ] {
        let app = App::start(one_of(wire), Script::new()).await;
        let answer = app.hello_with("m", &callers).await;
        assert_eq!(answer.status, 200, "{wire:?}: {}", answer.text());
        let received = app.received().remove(0);
        let common = ["host", "content-type", "content-length", "accept", "user-agent"];
        let expected: BTreeSet<&str> = common.iter().chain(own).copied().collect();
        let names: Vec<&str> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), expected, "{wire:?}");
        assert_eq!(names.len(), expected.len(), "{wire:?}: a header twice");
        // Anthropic's features in trial are the caller's to ask for, and only at Anthropic.
        for (name, value) in received.headers.iter().filter(|(name, _)| name != "anthropic-beta") {
            assert!(!value.contains("evil") && !value.contains("1999"), "{wire:?}: {name}: {value}");
        }
        assert_eq!(received.header("host"), Some(app.simulator.address().to_string().as_str()));
        app.stop().await;
    }
}

#[tokio::test]
async fn no_header_of_a_provider_stands_for_one_of_the_gateway() {
    let own = [
        ("x-litellm-model-id", "evil"),
        ("x-litellm-response-cost", "evil"),
        ("x-litellm-call-id", "evil"),
        ("access-control-allow-origin", "https://evil.example"),
        ("content-security-policy", "evil"),
        ("x-frame-options", "ALLOW-evil"),
        ("content-type", "text/evil"),
        ("location", "https://evil.example"),
        ("www-authenticate", "Basic evil"),
        ("set-cookie", "evil=1"),
        ("connection", "x-evil"),
        ("keep-alive", "evil"),
        ("upgrade", "evil"),
        ("trailer", "evil"),
        ("proxy-authenticate", "evil"),
        ("strict-transport-security", "evil"),
        ("clear-site-data", "evil"),
        ("server", "evil"),
        ("retry-after", "evil"),
    ];
    for body in [hello("m"), streamed(hello("m"))] {
        let behaviour = own.iter().fold(Behaviour::new(), |made, (name, value)| made.header(*name, *value));
        let app = App::start(one_of(Wire::OpenAi), Script::new().rule(Rule::any(behaviour))).await;
        let answer = app.chat(&body).await;
        assert_eq!(answer.status, 200);
        for (name, value) in &answer.headers {
            assert!(!value.contains("evil") || name.starts_with("llm_provider-"), "{name}: {value}");
        }
        for gone in ["llm_provider-set-cookie", "llm_provider-connection", "llm_provider-keep-alive"] {
            assert_eq!(answer.header(gone), None);
        }
        assert_eq!(answer.header("llm_provider-server"), Some("evil"));
        app.stop().await;
    }
}

/// No line of a head but those that the gateway wrote.
fn check_no_line(answer: &Answer) {
    for (name, _) in &answer.headers {
        assert!(!name.contains("injected"), "{}", answer.raw_head);
    }
}

#[tokio::test]
async fn line_ends_in_names_and_values_make_no_header_on_either_side() {
    let breaks = [
        "m\r\nx-injected: 1",
        "m\nx-injected: 1",
        "m\rx-injected: 1",
        "m%0d%0ax-injected: 1",
        "m\u{560d}\u{560a}x-injected: 1",
        "m\0x-injected: 1",
        "m\r\n\r\nGET /x-injected HTTP/1.1\r\n\r\n",
        "m\u{85}x-injected: 1",
        "m\u{2028}x-injected: 1",
        "../../x-injected",
        "m?x-injected=1#x",
        "m HTTP/1.1\r\nx-injected: 1",
    ];
    for wire in [Wire::OpenAi, Wire::Azure, Wire::Anthropic, Wire::Gemini] {
        let parameters = wire.parameters("a");
        let (before, after) = parameters.split_once(',').unwrap();
        let provider = before.split_once('/').unwrap().0;
        let yaml = model_list(&[("*", &format!("{provider}/*\",{after}").replace("model: ", "model: \""))]);
        let script = Script::new().rule(Rule::any(Behaviour::new().lenient()));
        let app = App::start(yaml, script).await;
        for text in breaks {
            for stream in [false, true] {
                let mut body = hello(text);
                body["user"] = json!(text);
                body["messages"][0]["name"] = json!(text);
                body["stream"] = json!(stream);
                let answer = app.chat(&body).await;
                check_no_line(&answer);
                let path: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
                for path in [format!("/engines/{path}/chat/completions"), format!("/v1/models/{path}")] {
                    check_no_line(&app.post(&path, &body).await);
                    check_no_line(&app.get(&path).await);
                }
            }
        }
        for received in app.received() {
            assert!(
                received.headers.iter().all(|(name, value)| !format!("{name}{value}").contains("injected"))
            );
            assert!(!received.path.contains("x-injected HTTP"), "{}", received.path);
            assert!(received.path.starts_with("/d/a/"), "{}", received.path);
            assert_eq!(received.method, "POST");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_callers_call_id_comes_back_only_where_it_is_a_plain_word() {
    let app = app().await;
    let id_of = async |value: &str| {
        let answer = app.hello_with("m", &[("x-litellm-call-id", value)]).await;
        answer.header("x-litellm-call-id").unwrap().to_owned()
    };
    assert_eq!(id_of("abc-123").await, "abc-123");
    for odd in ["a b", "\t", "a\u{e9}b", &"x".repeat(129)] {
        let made = id_of(odd).await;
        assert!(made.len() == 36 && made != odd, "{made}");
    }
    app.stop().await;
}

#[tokio::test]
async fn keys_are_taken_from_their_headers_alone_and_before_the_body_is_read() {
    let yaml = one_of(Wire::OpenAi) + "general_settings: {master_key: sk-master}\n";
    let app = Setup::new(yaml).start().await;
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let body = hello("m").to_string();
        app.ask(&post(path, headers, body.as_bytes())).await.status
    };
    for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"] {
        assert_eq!(ask(CHAT, &[(name, "Bearer sk-master")]).await, 200, "{name}");
        assert_eq!(ask(CHAT, &[(name, "sk-master ")]).await, 200, "{name}");
        assert_eq!(ask(CHAT, &[(name, "sk-maste")]).await, 401, "{name}");
        assert_eq!(ask(CHAT, &[(name, "sk-masterr")]).await, 401, "{name}");
        assert_eq!(ask(CHAT, &[(name, "")]).await, 401, "{name}");
    }
    for headers in [
        &[][..],
        &[("cookie", "sk-master")],
        &[("authorization", "Basic sk-master")],
        &[("authorization", "Bearer sk-no"), ("x-api-key", "sk-master")],
        &[("authorization", "Bearer sk-no"), ("authorization", "Bearer sk-master")],
        &[("proxy-authorization", "Bearer sk-master")],
        &[("x-litellm-key", "sk-master")],
    ] {
        assert_eq!(ask(CHAT, headers).await, 401, "{headers:?}");
    }
    assert_eq!(ask(&format!("{CHAT}?key=sk-master&api_key=sk-master"), &[]).await, 401);
    // A body that never comes does not keep a stranger's connection.
    let mut connection: Connection = app.connect().await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\ncontent-length: 1000000\r\n\r\n");
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.answer().await.status, 401);
    assert!(connection.is_ended().await);
    for (path, status) in [
        ("/health/liveliness", 200),
        ("/health/readiness", 200),
        ("/openapi.json", 200),
        ("/", 200),
        ("/metrics", 401),
        ("/health", 401),
        ("/v1/models", 401),
        ("/v1/models/m", 401),
        ("/v1/model/info", 401),
        ("/model_group/info", 401),
        ("/key/info", 401),
        ("/nope", 404),
    ] {
        assert_eq!(app.get(path).await.status, status, "{path}");
    }
    app.stop_while_draining().await;
}
