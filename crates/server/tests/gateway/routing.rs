//! Which group and deployment a name leads to, and what is said where it leads nowhere.

use crate::support::{App, Wire, hello, model_list, post};
use serde_json::json;
use tollgate_simulator::Script;

fn openai(name: &str, more: &str) -> String {
    format!("{}{more}", Wire::OpenAi.parameters(name))
}

#[tokio::test]
async fn traffic_follows_the_weights() {
    let check = async |shares: [&str; 3], expect: [usize; 3]| {
        let entries = [openai("a", shares[0]), openai("b", shares[1]), openai("c", shares[2])];
        let app =
            App::start(model_list(&entries.each_ref().map(|entry| ("m", entry.as_str()))), Script::new())
                .await;
        let mut connection = app.connect().await;
        let total: usize = expect.iter().sum();
        for _ in 0..total {
            let body = hello("m").to_string();
            connection.write(&post("/v1/chat/completions", &[], body.as_bytes())).await;
            assert_eq!(connection.answer().await.status, 200);
        }
        drop(connection);
        for (sent, expect) in app.sends(["a", "b", "c"]).into_iter().zip(expect) {
            // Six standard deviations of a binomial count: the test fails by chance once in a billion runs.
            let share = expect as f64 / total as f64;
            let bound = 6.0 * (total as f64 * share * (1.0 - share)).sqrt();
            assert!((sent as f64 - expect as f64).abs() <= bound, "{shares:?}: {sent} instead of {expect}");
        }
        app.stop().await;
    };
    check(["", "", ""], [100, 100, 100]).await;
    check([", weight: 4", ", weight: 1", ", weight: 1"], [200, 50, 50]).await;
    check([", weight: 1", "", ", weight: 1"], [100, 0, 100]).await;
    check([", rpm: 1000", ", rpm: 5000, tpm: 999999", ""], [50, 250, 0]).await;
    check([", tpm: 100000", ", tpm: 200000", ", tpm: 300000"], [50, 100, 150]).await;
    check([", weight: 1, rpm: 40", ", rpm: 1000000", ""], [30, 0, 0]).await;
}

/// Every way to name a model, and what the provider and the caller are told it is.
#[tokio::test]
async fn names_lead_to_their_groups() {
    let yaml = model_list(&[
        ("gpt-4o", &openai("own", "")),
        ("house/chat", "model: openai/gpt-4o-mini, api_base: \"http://{sim}/d/slash/v1\", api_key: sk-1"),
        ("openai/*", "model: \"openai/*\", api_base: \"http://{sim}/d/star/v1\", api_key: sk-2"),
        ("openai/gpt-*", "model: \"openai/gpt-*\", api_base: \"http://{sim}/d/narrow/v1\", api_key: sk-3"),
        ("*", "model: \"openai/*\", api_base: \"http://{sim}/d/all/v1\", api_key: sk-4"),
    ]);
    let yaml = yaml.replacen("api_key: sk-1}", "api_key: sk-1}, model_info: {id: dep-7}", 1)
        + "router_settings: {model_group_alias: {gpt-4: gpt-4o, hush: {model: house/chat, hidden: true}}}\n";
    let app = App::start(yaml, Script::new()).await;
    let mut expected = Vec::new();
    for (asked, deployment, sent) in [
        ("gpt-4o", "own", "gpt-4o"),
        ("house/chat", "slash", "gpt-4o-mini"),
        ("gpt-4", "own", "gpt-4o"),
        ("hush", "slash", "gpt-4o-mini"),
        ("dep-7", "slash", "gpt-4o-mini"),
        ("openai/o3", "star", "o3"),
        ("openai/ft:gpt-4o:acme::abc", "star", "ft:gpt-4o:acme::abc"),
        ("openai/gpt-5", "narrow", "gpt-5"),
        ("openai/a/b", "star", "a/b"),
        ("anything", "all", "anything"),
        ("mistral/large", "all", "mistral/large"),
        ("Gpt-4o", "all", "Gpt-4o"),
        (" gpt-4o", "all", " gpt-4o"),
        ("na\u{ef}ve \u{1f600}", "all", "na\u{ef}ve \u{1f600}"),
        ("say \"hi\" \\ {}", "all", "say \"hi\" \\ {}"),
    ] {
        let answer = app.hello(asked).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        assert_eq!(answer.json()["model"], asked);
        expected.push((deployment.to_owned(), sent.to_owned()));
    }
    let received = app.received().into_iter();
    let met: Vec<(String, String)> = received.map(|got| (got.deployment.unwrap(), got.model)).collect();
    assert_eq!(met, expected);
    app.stop().await;
}

#[tokio::test]
async fn the_model_of_the_path_counts_and_may_hold_slashes() {
    let yaml = model_list(&[
        ("a/b", &openai("path", "")),
        ("other", &openai("body", "")),
        ("embed", "model: openai/text-embedding-3-small, api_base: \"http://{sim}/d/e/v1\", api_key: sk-1"),
    ]);
    let app = App::start(yaml, Script::new()).await;
    for path in [
        "/openai/deployments/a/b/chat/completions?api-version=2024-10-21",
        "/openai/deployments/a%2Fb/chat/completions",
        "/engines/a/b/chat/completions",
        "/engines/a%2fb/chat/completions",
    ] {
        for body in [hello("other"), json!({"messages": hello("")["messages"]})] {
            let answer = app.post(path, &body).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.json()["model"], "a/b");
        }
    }
    for path in ["/chat/completions", "/v1/chat/completions", "/openai/v1/chat/completions"] {
        assert_eq!(app.post(path, &hello("other")).await.status, 200, "{path}");
    }
    assert_eq!(app.sends(["path", "body"]), [8, 3]);
    for path in ["/v1/completions", "/completions", "/engines/a/b/completions"] {
        let answer = app.post(path, &json!({"model": "a/b", "prompt": "hello"})).await;
        assert_eq!(
            (answer.status, answer.json()["object"].as_str()),
            (200, Some("text_completion")),
            "{path}"
        );
    }
    for path in
        ["/v1/embeddings", "/embeddings", "/openai/deployments/embed/embeddings", "/engines/embed/embeddings"]
    {
        let answer = app.post(path, &json!({"model": "embed", "input": "hello"})).await;
        assert_eq!((answer.status, answer.json()["object"].as_str()), (200, Some("list")), "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_model_is_a_400_that_says_so_and_sends_nothing() {
    let app = App::start(model_list(&[("gpt-4o", &openai("a", ""))]), Script::new()).await;
    for model in ["nope", "gpt-4o,ordered", "gpt-4o ", "gpt-4", "openai/gpt-4o", "*", "", "<script>"] {
        let answer = app.hello(model).await;
        let message = format!(
            "/chat/completions: Invalid model name passed in model={model}. Call `/v1/models` to view available models for your key."
        );
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.json(),
            json!({"error": {
                "message": message, "type": "invalid_request_error", "param": null, "code": "400",
                "provider_specific_fields": {"error": message},
            }})
        );
        assert!(answer.header("x-litellm-call-id").is_some());
    }
    let nameless = app.chat(&json!({"messages": hello("")["messages"]})).await;
    assert!(nameless.error_message().contains("model=None"), "{nameless:?}");
    for body in [json!({"model": null, "messages": []}), json!({"model": "nope"})] {
        assert!(app.chat(&body).await.error_message().contains("Invalid model name"), "{body}");
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn models_are_listed_and_found_by_name_and_else_404() {
    let yaml = model_list(&[
        ("gpt-4o", &openai("a", "")),
        ("gpt-4o", &openai("b", "")),
        ("house/chat", &openai("c", "")),
        ("openai/*", "model: \"openai/*\", api_base: \"http://{sim}/v1\", api_key: sk-2"),
    ]) + "router_settings: {model_group_alias: {seen: gpt-4o, unseen: {model: gpt-4o, hidden: true}}}\n";
    let app = App::start(yaml, Script::new()).await;
    let list = app.get("/v1/models").await.json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(
        (list["object"].as_str(), ids),
        (Some("list"), vec!["gpt-4o", "house/chat", "openai/*", "seen"])
    );
    for (path, id) in [
        ("/v1/models/gpt-4o", "gpt-4o"),
        ("/models/house/chat", "house/chat"),
        ("/v1/models/house%2Fchat", "house/chat"),
        ("/v1/models/openai/gpt-5", "openai/gpt-5"),
        ("/v1/models/seen", "seen"),
    ] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some(id)), "{path}");
        assert_eq!(answer.json()["object"], "model");
    }
    let missing = app.get("/v1/models/nope").await;
    assert_eq!(missing.status, 404);
    let error = missing.error();
    assert_eq!(
        (error["type"].as_str(), error["param"].as_str(), error["code"].as_str()),
        (Some("invalid_request_error"), Some("model"), Some("404"))
    );
    assert_eq!(error["message"], "The model `nope` does not exist");
    app.stop().await;
}

#[tokio::test]
async fn a_path_or_method_that_is_not_served_says_which_is() {
    let app = App::start(model_list(&[("m", &openai("a", ""))]), Script::new()).await;
    let ask = async |method: &str, path: &str| {
        app.ask(format!("{method} {path} HTTP/1.1\r\nhost: g\r\ncontent-length: 0\r\n\r\n").as_bytes()).await
    };
    for (method, path, allowed) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
        ("PUT", "/engines/a/b/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/health/liveliness", "GET"),
        ("PATCH", "/metrics", "GET"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
        assert!(answer.error_message().starts_with("Method Not Allowed"));
    }
    for (method, path) in
        [("POST", "/v1/threads"), ("GET", "/v1/assistants"), ("POST", "/v1/responses/compact")]
    {
        let answer = ask(method, path).await;
        assert_eq!(answer.status, 501, "{method} {path}");
        assert!(answer.error_message().contains(path), "{answer:?}");
    }
    for path in [
        "/nope",
        "/v1/chat/completions/",
        "//v1/models",
        "/v1/../metrics",
        "/%2e%2e/metrics",
        "/v1/models/%zz",
    ] {
        let answer = ask("GET", path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.error_message().starts_with("Not Found"));
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_deployment_of_every_provider_answers_under_the_groups_name() {
    let wires = [Wire::OpenAi, Wire::Azure, Wire::Anthropic, Wire::Gemini];
    let parameters = wires.map(|wire| wire.parameters("x"));
    for (wire, parameters) in wires.into_iter().zip(&parameters) {
        let app = App::start(model_list(&[("friend", parameters)]), Script::new()).await;
        let answer = app.hello("friend").await;
        assert_eq!(answer.json()["model"], "friend", "{wire:?}");
        assert!(answer.content().contains("hello there"), "{wire:?}: {answer:?}");
        assert_eq!(answer.header("x-litellm-model-group"), Some("friend"));
        let received = app.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].credential.as_deref(), Some("sk-key-of-x"), "{wire:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let yaml = model_list(&[("m", &openai("a", ""))]) + "general_settings: {master_key: sk-1234}\n";
    let app = App::start(yaml, Script::new()).await;
    let key = ("authorization", "Bearer sk-1234");
    let body = hello("m").to_string();
    let requests = [
        (200, post("/v1/chat/completions", &[key], body.as_bytes())),
        (200, b"GET /health/liveliness HTTP/1.1\r\nhost: g\r\n\r\n".to_vec()),
        (204, b"OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: g\r\n\r\n".to_vec()),
        (400, post("/v1/chat/completions", &[key], b"{bad")),
        (401, post("/v1/chat/completions", &[], body.as_bytes())),
        (404, b"GET /nope HTTP/1.1\r\nhost: g\r\n\r\n".to_vec()),
        (405, b"GET /v1/chat/completions HTTP/1.1\r\nhost: g\r\n\r\n".to_vec()),
        (415, post("/v1/chat/completions", &[key, ("content-encoding", "gzip")], body.as_bytes())),
        (501, post("/v1/threads", &[key], b"{}")),
    ];
    for (status, request) in requests {
        let answer = app.ask(&request).await;
        assert_eq!(answer.status, status);
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{status}");
        }
    }
    app.stop_while_draining().await;
}

#[tokio::test]
async fn names_that_callers_invent_for_a_wildcard_do_not_grow_the_metrics_for_ever() {
    let wild = "model: \"openai/*\", api_base: \"http://{sim}/v1\", api_key: sk-1";
    let app = App::start(model_list(&[("openai/*", wild)]), Script::new()).await;
    let mut connection = app.connect().await;
    for number in 0..1_200 {
        let request = format!("GET /v1/models/openai/invented-{number} HTTP/1.1\r\nhost: g\r\n\r\n");
        connection.write(request.as_bytes()).await;
        assert_eq!(connection.answer().await.status, 200);
    }
    drop(connection);
    let text = app.get("/metrics").await.text();
    let rows = text.lines().filter(|line| line.starts_with("litellm_spend_metric_total{")).count();
    assert!((1..=1_025).contains(&rows), "{rows} rows");
    let long = app.hello(&format!("openai/{}", "x".repeat(300))).await;
    assert_eq!(long.status, 400);
    // Names beyond those remembered are served all the same.
    assert_eq!(app.hello("openai/invented-1199").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn models_are_listed_in_the_form_of_whoever_asks() {
    let app = App::start(model_list(&[("chat", &openai("a", ""))]), Script::new()).await;
    let get = async |path: &str, header: &str| {
        app.ask(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n{header}\r\n").as_bytes()).await
    };
    let (anthropics, googles) = ("anthropic-version: 2023-06-01\r\n", "x-goog-api-key: sk-1\r\n");
    let listed = get("/v1/models", "").await.json();
    assert_eq!((&listed["object"], &listed["data"][0]["id"]), (&json!("list"), &json!("chat")));
    let listed = get("/v1/models", anthropics).await.json();
    assert_eq!((&listed["data"][0]["type"], &listed["has_more"]), (&json!("model"), &json!(false)));
    assert_eq!((&listed["first_id"], &listed["last_id"]), (&json!("chat"), &json!("chat")));
    for (path, header) in [("/v1beta/models", ""), ("/v1/models", googles)] {
        let listed = get(path, header).await.json();
        assert_eq!(listed["models"][0]["name"], "models/chat", "{path}: {listed}");
        assert_eq!(listed["models"][0]["outputTokenLimit"], 16_384, "{path}: {listed}");
    }
    assert_eq!(get("/v1beta/models/chat", "").await.json()["displayName"], "chat");
    assert_eq!(get("/v1/models/chat", anthropics).await.json()["display_name"], "chat");
    let unknown = get("/v1beta/models/nope", "").await;
    assert_eq!((unknown.status, &unknown.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    let unknown = get("/v1/models/nope", anthropics).await;
    assert_eq!((unknown.status, &unknown.json()["type"]), (404, &json!("error")));
    app.stop().await;
}
