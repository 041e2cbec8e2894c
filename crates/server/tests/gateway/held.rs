//! What holds whoever tries to get round it: owners of keys, administrators of teams, tags that come with a key, refusals
//! before the body.

use crate::support::admin::{
    MASTER, admin, ask_as, chat, get_as, key, made, refused_as, seen, start, text, tried,
};
use crate::support::admin::{config, counted};
use crate::support::{App, hello, post, settle};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

#[tokio::test]
async fn whose_key_it_is_takes_nothing_back_that_it_is_held_to() {
    let app = start("").await;
    let user =
        made(&app, "/user/new", json!({"user_id": "z", "max_budget": 5, "user_role": "internal_user"}));
    let own = text(&user.await["key"]);
    let limits = json!({
        "user_id": "z", "max_budget": 1, "rpm_limit": 1, "duration": "1h", "model_max_budget": {},
        "budget_limits": [{"budget_duration": "1d", "max_budget": 1}], "tags": ["job"],
    });
    let held = key(&app, limits).await;
    for change in [
        json!({"max_budget": null}),
        json!({"max_budget": 2}),
        json!({"rpm_limit": null}),
        json!({"tpm_limit": 7}),
        json!({"duration": "-1"}),
        json!({"duration": "2h"}),
        json!({"budget_duration": "1s"}),
        json!({"budget_limits": []}),
        json!({"tags": []}),
        json!({"allowed_routes": ["/v1/models"]}),
    ] {
        for path in ["/key/update", "/key/regenerate"] {
            let mut body = change.clone();
            body["key"] = json!(held);
            let (status, _) = refused_as(&app, &own, path, body).await;
            assert_eq!(status, 403, "{path} {change}");
        }
    }
    // What is said already, and what limits nothing, may be said.
    let harmless = json!({"key": held, "max_budget": 1, "key_alias": "mine", "models": ["chat"]});
    made_by(&app, &own, "/key/update", harmless).await;
    made(&app, "/key/block", json!({"key": held})).await;
    let (status, _) = refused_as(&app, &own, "/key/unblock", json!({"key": held})).await;
    assert_eq!(status, 401);
    assert_eq!(tried(&app, &held, "chat").await.0, 401);
    made(&app, "/key/unblock", json!({"key": held})).await;
    assert_eq!(tried(&app, &held, "chat").await.0, 200);
    app.stop().await;
}

async fn made_by(app: &App, key: &str, path: &str, body: Value) -> Value {
    let answer = ask_as(app, key, path, &body).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_teams_administrator_makes_no_critical_keys() {
    let app = start("").await;
    let user = made(&app, "/user/new", json!({"user_id": "a", "user_role": "internal_user"})).await;
    let own = text(&user["key"]);
    let members = json!([{"user_id": "a", "role": "admin"}]);
    made(&app, "/team/new", json!({"team_id": "t", "max_budget": 10, "members_with_roles": members})).await;
    for metadata in [
        json!({"critical": true}),
        json!({"critical": "per_request"}),
        json!({"budget_tiers": {"overflow": 9}}),
    ] {
        let (status, said) =
            refused_as(&app, &own, "/key/generate", json!({"team_id": "t", "metadata": metadata})).await;
        assert_eq!(status, 403, "{metadata}: {said}");
    }
    let plain = made_by(&app, &own, "/key/generate", json!({"team_id": "t"})).await;
    let change = json!({"key": plain["key"], "metadata": {"critical": true}});
    assert_eq!(refused_as(&app, &own, "/key/update", change.clone()).await.0, 403);
    assert_eq!(admin(&app, "/key/update", change).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn the_tags_of_a_key_and_its_team_are_those_of_its_requests() {
    let app = start("").await;
    made(&app, "/tag/new", json!({"name": "T", "max_budget": 0.006})).await;
    made(&app, "/team/new", json!({"team_id": "t", "tags": ["of-team"]})).await;
    let tagged = key(&app, json!({"tags": ["T"], "team_id": "t"})).await;
    assert_eq!(chat(&app, &tagged, &hello("chat")).await.status, 200);
    assert_eq!(chat(&app, &tagged, &hello("chat")).await.status, 200);
    let refused = chat(&app, &tagged, &hello("chat")).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let told = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(told.starts_with("Budget has been exceeded! Tag=T"), "{told}");
    loop {
        let tags = seen(&app, "/spend/tags").await;
        let named = |name: &str| {
            tags.as_array().unwrap().iter().find(|tag| tag["individual_request_tag"] == json!(name)).cloned()
        };
        if let (Some(own), Some(of_team)) = (named("T"), named("of-team"))
            && own["log_count"] == json!(3)
        {
            assert_eq!((&own["total_spend"], &of_team["total_spend"]), (&json!(0.007), &json!(0.007)));
            break;
        }
        settle().await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_before_the_body_leaves_the_connection_as_it_was() {
    let app = start("").await;
    let plain = key(&app, json!({})).await;
    for (bearer, path, status) in [
        ("sk-wrong-000000000000000000", "/v1/chat/completions", 401),
        (plain.as_str(), "/team/update", 401),
        (MASTER, "/no/such/route", 404),
        (MASTER, "/v1/models", 405),
    ] {
        let mut connection = app.connect().await;
        for _ in 0..3 {
            let body = b"{\"team_id\":\"x\"}";
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {bearer}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            connection.write(head.as_bytes()).await;
            settle().await;
            connection.write(body).await;
            let answer = connection.answer().await;
            assert_eq!((answer.status, answer.header("connection")), (status, None), "{path}");
        }
        // A body too long to be waited for ends the connection, and the reply says so.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {bearer}\r\n\
             content-type: application/json\r\ncontent-length: 10000000\r\n\r\n"
        );
        connection.write(head.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn limits_of_prompts_and_of_answers_have_headers_of_their_own() {
    let rates = |unit: &str, limit: u64| json!({"unit": unit, "window": "1m", "limit": limit});
    let own = json!([rates("input_tokens", 5_000), rates("output_tokens", 3_000)]);
    let all = [
        ("x-ratelimit-api_key-limit-tokens", "9000"),
        ("x-tollgate-ratelimit-api_key-limit-input-tokens", "5000"),
        ("x-tollgate-ratelimit-api_key-limit-output-tokens", "3000"),
        ("x-tollgate-ratelimit-api_key-remaining-output-tokens", "2150"),
        ("x-litellm-key-tpm-limit", "9000"),
    ];
    let app = start("").await;
    let held = key(&app, json!({"tpm_limit": 9_000, "metadata": {"tollgate_rate_limits": own}})).await;
    assert_eq!(chat(&app, &held, &hello("chat")).await.status, 200);
    let answer = chat(&app, &held, &hello("chat")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (name, value) in all {
        assert_eq!(answer.header(name), Some(value), "{name}: {}", answer.raw_head);
    }
    app.stop().await;
    // What a `tpm_limit` counts has LiteLLM's name, whatever it is.
    let app =
        App::start(config("").replace("master_key", "token_rate_limit_type: input, master_key"), counted())
            .await;
    let held = key(&app, json!({"tpm_limit": 9_000})).await;
    let answer = chat(&app, &held, &hello("chat")).await;
    assert_eq!(answer.header("x-ratelimit-api_key-limit-tokens"), Some("9000"), "{}", answer.raw_head);
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_says_what_remains_and_what_was_spent() {
    let app = start("").await;
    let slow = key(&app, json!({"rpm_limit": 1, "tpm_limit": 100_000, "max_budget": 1})).await;
    assert_eq!(chat(&app, &slow, &hello("chat")).await.status, 200);
    let refused = chat(&app, &slow, &hello("chat")).await;
    assert_eq!(refused.status, 429);
    let header = |name: &str| refused.header(name).map(str::to_owned);
    for (name, value) in [
        ("x-ratelimit-api_key-limit-requests", "1"),
        ("x-ratelimit-api_key-remaining-requests", "0"),
        ("x-ratelimit-api_key-remaining-tokens", "98900"),
        ("x-litellm-key-rpm-limit", "1"),
        ("x-litellm-key-tpm-limit", "100000"),
        ("x-litellm-key-spend", "0.0035"),
        ("x-litellm-key-max-budget", "1.0"),
        ("x-tollgate-budget-remaining", "0.9965"),
        ("x-tollgate-budget-scope", "key"),
        ("rate_limit_type", "requests"),
    ] {
        assert_eq!(header(name).as_deref(), Some(value), "{name}");
    }
    let narrow = key(&app, json!({"models": ["chat"]})).await;
    assert_eq!(chat(&app, &narrow, &hello("chat")).await.status, 200);
    let denied = chat(&app, &narrow, &hello("other")).await;
    assert_eq!((denied.status, denied.header("x-litellm-key-spend")), (403, Some("0.0035")));
    app.stop().await;
}

#[tokio::test]
async fn asking_every_deployment_is_for_who_oversees_the_gateway() {
    let app = start("").await;
    let plain = key(&app, json!({"max_budget": 0})).await;
    let role = |role: &str| json!({"user_role": role});
    let viewer = text(&made(&app, "/user/new", role("proxy_admin_viewer")).await["key"]);
    let user = text(&made(&app, "/user/new", role("internal_user")).await["key"]);
    for path in ["/health", "/health/deployments", "/health/override"] {
        for (key, status) in [(&plain, 401), (&user, 401), (&viewer, 200)] {
            assert_eq!(get_as(&app, key, path).await.status, status, "{path}");
        }
    }
    // Two deployments, asked once each: by the viewer.
    assert_eq!(app.received().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn what_a_provider_does_not_report_is_never_guessed_above_what_was_held() {
    let models: String = ["none", "huge", "negative"]
        .map(|fault| {
            format!(
                "- model_name: {fault}\n  litellm_params: {{model: openai/sim-usage-{fault}, api_key: k, \
                 api_base: \"http://{{sim}}/v1\", input_cost_per_token: 0.001, output_cost_per_token: 0.001}}\n"
            )
        })
        .concat();
    let yaml = format!("model_list:\n{models}general_settings: {{master_key: {MASTER}}}\n");
    let app = App::start(yaml, Script::new()).await;
    for model in ["none", "huge", "negative"] {
        let key = key(&app, json!({"max_budget": 0.08})).await;
        let mut body = hello(model);
        body["max_tokens"] = json!(20);
        let answer = chat(&app, &key, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let spent: f64 = answer.header("x-litellm-response-cost").unwrap().parse().unwrap();
        // The prompt is some ten tokens, and the answer at most the twenty that were asked for.
        assert!(spent > 0.0 && spent <= 0.06, "{model}: {spent}");
        let info = get_as(&app, MASTER, &format!("/key/info?key={key}")).await.json();
        assert_eq!(info["info"]["spend"].as_f64(), Some(spent), "{model}");
        for (path, body) in [
            ("/v1/completions", json!({"model": model, "prompt": "hi", "max_tokens": 20})),
            ("/v1/responses", json!({"model": model, "input": "hi", "max_output_tokens": 20})),
            (
                "/v1/messages",
                json!({"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}),
            ),
        ] {
            let answer = ask_as(&app, MASTER, path, &body).await;
            let cost: f64 = answer.header("x-litellm-response-cost").unwrap().parse().unwrap();
            assert!(answer.status == 200 && cost > 0.0 && cost <= 0.06, "{path} {model}: {cost}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn budgets_of_the_configuration_hold_as_it_says_now() {
    let with = |all: f64, model: f64, end_user: f64| {
        config(&format!(
            "litellm_settings: {{max_budget: {all}, max_end_user_budget: {end_user}}}\n\
             tollgate_settings: {{budget_maximum: refuse, model_budgets: {{other: {{max_budget: {model}}}}}}}\n"
        ))
    };
    let app = App::start(with(1.0, 0.005, 0.005), counted()).await;
    let small = |model: &str, user: Option<&str>| {
        let mut body = hello(model);
        body["max_tokens"] = json!(5);
        if let Some(user) = user {
            body["user"] = json!(user);
        }
        body
    };
    let ask = async |model: &str, user: Option<&str>| chat(&app, MASTER, &small(model, user)).await.status;
    assert_eq!((ask("other", None).await, ask("other", None).await), (200, 200));
    assert_eq!(ask("other", None).await, 422);
    assert_eq!((ask("chat", Some("u")).await, ask("chat", Some("u")).await), (200, 200));
    assert_eq!(ask("chat", Some("u")).await, 422);
    // Raised, a request more of each passes; lowered, none of anything does.
    app.reload(&with(1.0, 0.01, 0.01));
    assert_eq!((ask("other", None).await, ask("chat", Some("u")).await), (200, 200));
    assert_eq!((ask("other", None).await, ask("chat", Some("u")).await), (422, 422));
    assert_eq!(ask("chat", None).await, 200);
    app.reload(&with(0.01, 0.01, 0.01));
    assert_eq!(ask("chat", None).await, 422);
    app.stop().await;
}

#[tokio::test]
async fn a_fallback_that_a_budget_does_not_reach_gives_way_to_the_next() {
    let entry = |name: &str, price: &str| {
        format!(
            "- model_name: {name}\n  litellm_params: {{model: openai/{name}, api_key: k, \
             api_base: \"http://{{sim}}/v1\", input_cost_per_token: {price}, output_cost_per_token: {price}}}\n"
        )
    };
    let models = [entry("dead", "0.000001"), entry("dear", "0.1"), entry("cheap", "0.000001")].concat();
    let yaml = format!(
        "model_list:\n{models}general_settings: {{master_key: {MASTER}}}\n\
         router_settings: {{num_retries: 0, fallbacks: [{{dead: [dear, cheap]}}]}}\n\
         tollgate_settings: {{budget_maximum: refuse}}\n"
    );
    let script = Script::new()
        .rule(Rule::model("dead", Behaviour::new().fault(Fault::status(500))))
        .rule(Rule::any(Behaviour::new().text("one two")));
    let app = App::start(yaml, script).await;
    let key = key(&app, json!({"max_budget": 2})).await;
    for _ in 0..3 {
        let mut body = hello("dead");
        body["max_tokens"] = json!(20);
        let answer = chat(&app, &key, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(app.received().iter().all(|sent| sent.model != "dear"));
    app.stop().await;
}

#[tokio::test]
async fn tools_that_the_provider_runs_are_paid_for() {
    let entry = "model: openai/gpt-4.1, api_key: k, api_base: \"http://{sim}/v1\"";
    let list = crate::support::model_list(&[("m", entry)]);
    let yaml = format!("{list}general_settings: {{master_key: {MASTER}}}\n");
    let hosting = Behaviour { hosted_tools: true, ..Behaviour::new().text("done") };
    let app = App::start(yaml, Script::new().rule(Rule::any(hosting))).await;
    for (tool, price) in [
        (json!({"type": "file_search", "vector_store_ids": ["vs_1"]}), 0.0025),
        (json!({"type": "code_interpreter", "container": {"type": "auto"}}), 0.03),
    ] {
        for stream in [false, true] {
            let body = json!({
                "model": "m", "input": "hi", "max_output_tokens": 20, "stream": stream, "tools": [tool],
            });
            let before = seen(&app, "/global/spend").await["spend"].as_f64().unwrap();
            let answer = ask_as(&app, MASTER, "/v1/responses", &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let cost = loop {
                let cost = seen(&app, "/global/spend").await["spend"].as_f64().unwrap() - before;
                if cost > 0.0 {
                    break cost;
                }
                settle().await;
            };
            assert!(cost > price && cost < price + 0.001, "{tool} {stream}: {cost}");
        }
    }
    app.stop().await;
}

/// Two deployments of Azure's, and the tag of those whose words stay in the EU.
const AZURE: &str = "model_list:
  - {model_name: yes, litellm_params: {model: azure/dep-yes, api_base: 'http://{sim}/d/yes', api_key: k, api_version: '2024-10-21'}}
  - {model_name: 'no', litellm_params: {model: azure/dep-no, api_base: 'http://{sim}/d/no', api_key: k, api_version: '2024-10-21'}}
";

#[tokio::test]
async fn the_model_in_a_path_is_asked_for_whatever_the_body_says() {
    let app = App::start(format!("{AZURE}general_settings: {{master_key: {MASTER}}}\n"), Script::new()).await;
    let key = key(&app, json!({"models": ["yes"]})).await;
    let ask = async |path: &str, model: &str| {
        ask_as(&app, &key, &format!("/azure/openai/deployments/{path}/chat/completions"), &hello(model)).await
    };
    assert_eq!(ask("yes", "yes").await.status, 200);
    for (path, model) in [("no", "yes"), ("yes", "no"), ("dep-no", "yes"), ("no", "no")] {
        let answer = ask(path, model).await;
        assert_eq!(answer.status, 403, "{path} {model}: {}", answer.text());
    }
    assert_eq!(app.sends(["yes", "no"]), [1, 0]);
    app.stop().await;
}

#[tokio::test]
async fn the_tags_of_a_key_keep_what_passes_through_where_it_may_be() {
    let sensitive = "tollgate_settings: {sensitive: [{tags: [pii], data_residency: eu}]}\n";
    let yaml = format!("{AZURE}general_settings: {{master_key: {MASTER}}}\n{sensitive}");
    let app = App::start(yaml, Script::new()).await;
    let (plain, tagged) = (key(&app, json!({})).await, key(&app, json!({"tags": ["pii"]})).await);
    let path = "/azure/openai/deployments/yes/chat/completions";
    assert_eq!(ask_as(&app, &plain, path, &hello("yes")).await.status, 200);
    let refused = ask_as(&app, &tagged, path, &hello("yes")).await;
    assert!(refused.status >= 400, "{}", refused.text());
    assert_eq!(app.sends(["yes", "no"]), [1, 0]);
    app.stop().await;
}

#[tokio::test]
async fn nobody_sees_a_teams_deployments_on_a_route_that_is_open() {
    let open = "public_routes: [/v1/chat/completions, /v1/models]";
    let yaml = config("")
        .replace(&format!("{{master_key: {MASTER}}}"), &format!("{{master_key: {MASTER}, {open}}}"));
    let app = App::start(yaml, counted()).await;
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let base = format!("http://{}/d/own/v1", app.simulator.address());
    let own = json!({
        "model_name": "own",
        "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-own-key-of-team", "api_base": base},
        "model_info": {"id": "id-own", "team_id": "t"},
    });
    made(&app, "/model/new", own).await;
    let ask = async |model: &str| {
        app.ask(&post("/v1/chat/completions", &[], hello(model).to_string().as_bytes())).await.status
    };
    assert_eq!(ask("chat").await, 200);
    for name in ["own", "id-own", "model_name_t/own"] {
        assert_ne!(ask(name).await, 200, "{name}");
    }
    let listed = app.ask(b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\n\r\n").await;
    assert_eq!((listed.status, listed.text().contains("\"own\"")), (200, false), "{}", listed.text());
    assert_eq!(app.sends(["own"]), [0]);
    app.stop().await;
}
