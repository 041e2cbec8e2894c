//! Settings changed over the admin API: laid over the file, checked as it is, acting at once, kept, followed and audited.

use crate::support::admin::{
    MASTER, admin, ask_as, config, get_as, key, made, refused_as, seen, start, tried,
};
use crate::support::{Answer, App, Setup, post};
use serde_json::{Value, json};
use std::path::PathBuf;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

async fn send(app: &App, method: &str, path: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {MASTER}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = post(path, &[("authorization", &bearer)], body.as_bytes());
    let text = String::from_utf8(request).unwrap();
    app.ask(text.replacen("POST", method, 1).as_bytes()).await
}

async fn update(app: &App, settings: Value) {
    let told = made(app, "/config/update", settings).await;
    assert_eq!(told, json!({"message": "Config updated successfully"}));
}

/// What is refused: the status, the words and the member.
async fn refused(app: &App, path: &str, body: Value) -> (u16, String, Value) {
    let answer = admin(app, path, body.clone()).await;
    assert_ne!(answer.status, 200, "{path} {body}: {}", answer.text());
    let error = answer.json()["error"].clone();
    (answer.status, error["message"].as_str().unwrap().to_owned(), error["param"].clone())
}

/// A gateway whose deployment `a` is always down.
async fn with_a_down() -> App {
    let down = Rule::deployment("a", Behaviour::new().fault(Fault::status(500)));
    let yaml = config("router_settings: {num_retries: 0, disable_cooldowns: true}\n");
    App::start(yaml, Script::new().rule(down)).await
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tollgate-settings-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_changed_setting_acts_on_the_next_request_and_the_files_holds_again_without_it() {
    let app = with_a_down().await;
    assert_eq!(tried(&app, MASTER, "chat").await.0, 500);
    update(&app, json!({"router_settings": {"fallbacks": [{"chat": ["other"]}]}})).await;
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    let told = seen(&app, "/config/field/info?config_type=router_settings&field_name=fallbacks").await;
    assert_eq!(told, json!({"field_name": "fallbacks", "field_value": [{"chat": ["other"]}]}));
    let kept = seen(&app, "/config/field/info?config_type=router_settings&field_name=num_retries").await;
    assert_eq!(kept["field_value"], 0);

    let body = json!({"config_type": "router_settings", "field_name": "fallbacks"});
    let left = made(&app, "/config/field/delete", body.clone()).await;
    assert_eq!(left, json!({"param_name": "router_settings", "param_value": {}}));
    assert_eq!(tried(&app, MASTER, "chat").await.0, 500);
    let (status, words, _) = refused(&app, "/config/field/delete", body).await;
    assert_eq!((status, words.as_str()), (400, "Field name=fallbacks not in DB"));
    app.stop().await;
}

#[tokio::test]
async fn a_changed_setting_goes_before_the_files_and_stays_when_the_file_is_read_again() {
    let app = with_a_down().await;
    update(&app, json!({"router_settings": {"num_retries": 2}})).await;
    assert_eq!(tried(&app, MASTER, "chat").await.0, 500);
    assert_eq!(app.sends(["a"]), [3]);
    app.reload(&config("router_settings: {num_retries: 1, disable_cooldowns: true}\n"));
    assert_eq!(tried(&app, MASTER, "chat").await.0, 500);
    assert_eq!(app.sends(["a"]), [6]);
    app.stop().await;
}

#[tokio::test]
async fn what_the_file_could_not_say_is_refused_with_where_and_what_and_nothing_of_it_is_kept() {
    let app = start("").await;
    let check = async |section: &str, name: &str, value: Value, status: u16, words: &str| {
        let (got, message, _) = refused(&app, "/config/update", json!({section: {name: value}})).await;
        assert_eq!(got, status, "{section}.{name}: {message}");
        assert!(message.contains(&format!("{section}.{name}")), "{message}");
        assert!(message.contains(words), "{section}.{name}: {message}");
    };
    let router = "router_settings";
    check(router, "num_retries", json!("many"), 400, "whole number").await;
    check(router, "routing_strategy", json!("least-bussy"), 400, "nearest: least-busy").await;
    check(router, "fallbacks", json!([{"chat": ["nobody"]}]), 400, "no model group is named nobody").await;
    check(router, "num_retrys", json!(1), 400, "nearest: num_retries").await;
    check(router, "redis_url", json!("redis://x"), 501, "not yet active").await;
    check(router, "plugins", json!(["x"]), 501, "not supported").await;
    check(router, "routing_strategy", json!("lar1"), 400, "not yet active").await;
    check("general_settings", "master_key", json!("sk-another-master-key"), 400, "in the file").await;
    check("general_settings", "database_url", json!("postgresql://x/y"), 400, "in the file").await;
    check("general_settings", "max_budget", json!("os.environ/HOME"), 400, "variable").await;
    check("litellm_settings", "cost_discount_config", json!({"openai": 2}), 400, "from 0 to 1").await;
    check("environment_variables", "LD_PRELOAD", json!("/tmp/x.so"), 400, "in the file").await;
    // No file is read that the configuration was not read from, and none of those as something else.
    for file in ["config.yaml", "/etc/passwd"] {
        let tiers = json!({"tollgate_settings": {"tiers": [{"model": "chat"}, {"canned": {"faq": file}}]}});
        let (status, words, _) = refused(&app, "/config/update", tiers).await;
        assert!(status == 400 && !words.contains(MASTER), "{words}");
    }

    let both = json!({"router_settings": {"num_retries": 1}, "general_settings": {"alerting": 5}});
    assert_eq!(refused(&app, "/config/update", both).await.0, 400);
    let (status, words, _) = refused(&app, "/config/update", json!({"routr_settings": {}})).await;
    assert_eq!((status, words.contains("routr_settings")), (400, true), "{words}");
    let kept = seen(&app, "/config/yaml").await;
    assert_eq!(kept["router_settings"], json!({}));
    app.stop().await;
}

#[tokio::test]
async fn what_another_setting_goes_before_is_refused_as_it_would_not_act() {
    let more = "router_settings: {num_retries: 0}\ntollgate_settings: {unpriced: flag}\n";
    let app = start(more).await;
    let (status, words, _) =
        refused(&app, "/config/update", json!({"litellm_settings": {"num_retries": 1}})).await;
    assert!(status == 400 && words.contains("router_settings.num_retries goes before it"), "{words}");
    let path = "/config/block_requests_for_models_without_pricing";
    let answer = send(&app, "PATCH", path, json!({"enabled": true})).await;
    assert!(
        answer.status == 400 && answer.text().contains("tollgate_settings.unpriced"),
        "{}",
        answer.text()
    );
    app.stop().await;
}

#[tokio::test]
async fn settings_survive_a_restart_with_their_secrets_sealed() {
    let folder = folder("restart");
    let file = folder.join("tollgate.db");
    let setup = || Setup::new(config("")).database(&file);
    let app = setup().start().await;
    let hook = "https://hooks.example.com/services/T0/B0/secret-of-hook";
    update(
        &app,
        json!({
            "router_settings": {"model_group_alias": {"alias": "chat"}},
            "general_settings": {"alerting": ["slack"]},
            "environment_variables": {"SLACK_WEBHOOK_URL": hook},
        }),
    )
    .await;
    for path in ["/config/yaml", "/get/config/callbacks", "/audit"] {
        assert!(!get_as(&app, MASTER, path).await.text().contains("secret-of-hook"), "{path}");
    }
    let shown = seen(&app, "/config/yaml").await;
    assert_eq!(shown["environment_variables"], json!({"SLACK_WEBHOOK_URL": "****"}));
    assert_eq!(shown["general_settings"]["master_key"], "****");
    // Sent back as it was shown, it stays as it is.
    update(&app, json!({"environment_variables": shown["environment_variables"]})).await;
    app.gateway.close().await;
    app.stop().await;
    let bytes = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .flat_map(|entry| std::fs::read(entry.path()).unwrap_or_default());
    let text = String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned();
    assert!(text.contains("tollgate.1.") && !text.contains("secret-of-hook"));

    let app = setup().start().await;
    assert_eq!(tried(&app, MASTER, "alias").await.0, 200);
    let told = seen(&app, "/get/config/callbacks").await;
    assert_eq!(told["alerts"], json!([{"name": "slack", "variables": {"SLACK_WEBHOOK_URL": "****"}}]));
    assert_eq!(told["router_settings"]["model_group_alias"], json!({"alias": "chat"}));
    app.stop().await;
    let _ = std::fs::remove_dir_all(&folder);
}

#[tokio::test]
async fn a_setting_that_no_longer_fits_the_file_is_left_out_alone() {
    let folder = folder("unfit");
    let file = folder.join("tollgate.db");
    let app = Setup::new(config("")).database(&file).start().await;
    let group = json!([{"group_name": "both", "models": ["chat"], "routing_strategy": "priority",
        "model_priorities": {"chat": 1}}]);
    update(
        &app,
        json!({"router_settings": {"routing_groups": group, "model_group_alias": {"alias": "chat"}}}),
    )
    .await;
    app.gateway.close().await;
    app.stop().await;
    // A model group now has the routing group's name, which is an error of the file's where both are in it.
    let yaml = config("").replace("model_name: other", "model_name: both");
    let app = Setup::new(yaml).database(&file).start().await;
    assert_eq!(tried(&app, MASTER, "alias").await.0, 200);
    assert_eq!(tried(&app, MASTER, "both").await.0, 200);
    app.stop().await;
    let _ = std::fs::remove_dir_all(&folder);
}

#[tokio::test]
async fn every_change_of_a_setting_is_in_the_audit_and_only_operators_make_one() {
    let app = start("").await;
    update(&app, json!({"router_settings": {"num_retries": 1}})).await;
    update(&app, json!({"router_settings": {"num_retries": 0}})).await;
    let audit = seen(&app, "/audit?object_type=LiteLLM_Config").await;
    let text = audit.to_string();
    assert!(text.contains("LiteLLM_Config") && text.contains("router_settings"), "{text}");
    let user = key(&app, json!({})).await;
    let body = json!({"router_settings": {"num_retries": 5}});
    let (status, _) = refused_as(&app, &user, "/config/update", body.clone()).await;
    assert!(status == 401 || status == 403, "{status}");
    for path in ["/config/yaml", "/config/list?config_type=general_settings", "/router/settings"] {
        let status = get_as(&app, &user, path).await.status;
        assert!(status == 401 || status == 403, "{path} {status}");
    }
    assert_eq!(seen(&app, "/config/yaml").await["router_settings"], json!({"num_retries": 0}));
    app.stop().await;
}

#[tokio::test]
async fn the_list_says_of_each_setting_what_it_is_and_where_it_is_from() {
    let app = start("").await;
    update(&app, json!({"general_settings": {"max_request_size_mb": 5}})).await;
    let list = seen(&app, "/config/list?config_type=general_settings").await;
    let row = |name: &str| list.as_array().unwrap().iter().find(|row| row["field_name"] == name).unwrap();
    let changed = row("max_request_size_mb");
    assert_eq!(
        (&changed["field_value"], &changed["stored_in_db"], &changed["source"], &changed["editable"]),
        (&json!(5), &json!(true), &json!("db"), &json!(true))
    );
    let of_file = row("master_key");
    assert_eq!(
        (&of_file["field_value"], &of_file["stored_in_db"], &of_file["source"], &of_file["editable"]),
        (&json!("****"), &json!(false), &json!("config"), &json!(false))
    );
    let unset = row("store_prompts_in_spend_logs");
    assert_eq!(
        (&unset["field_value"], &unset["stored_in_db"], &unset["source"], &unset["editable"]),
        (&Value::Null, &Value::Null, &json!("unset"), &json!(false))
    );
    let answer = get_as(&app, MASTER, "/config/list").await;
    assert!(answer.status == 400 && answer.text().contains("config_type"));
    app.stop().await;
}

#[tokio::test]
async fn discounts_margins_and_models_without_a_price_are_changed_by_routes_of_their_own() {
    let app = start("").await;
    let spent = async |app: &App| {
        let answer = admin(app, "/v1/chat/completions", crate::support::hello("chat")).await;
        answer.header("x-litellm-response-cost").unwrap().to_owned()
    };
    let full: f64 = spent(&app).await.parse().unwrap();
    let body = json!({"openai": 0.5});
    let told = send(&app, "PATCH", "/config/cost_discount_config", body.clone()).await;
    assert_eq!(
        told.json(),
        json!({"message": "Cost discount configuration updated successfully", "status": "success", "values": body})
    );
    assert_eq!(seen(&app, "/config/cost_discount_config").await, json!({"values": body}));
    let half: f64 = spent(&app).await.parse().unwrap();
    assert!((half * 2.0 - full).abs() < 1e-12, "{half} {full}");
    let margin = json!({"global": 0.1, "openai": {"percentage": 1, "fixed_amount": 0}});
    let told = send(&app, "PATCH", "/config/cost_margin_config", margin.clone()).await;
    assert_eq!((told.status, &told.json()["values"]), (200, &margin));
    let again: f64 = spent(&app).await.parse().unwrap();
    assert!((again - full).abs() < 1e-12, "{again} {full}");
    let wrong = send(&app, "PATCH", "/config/cost_discount_config", json!({"nobody": 0.5})).await;
    assert!(wrong.status == 400 && wrong.text().contains("cost_discount_config.nobody"), "{}", wrong.text());

    let path = "/config/block_requests_for_models_without_pricing";
    assert_eq!(seen(&app, path).await, json!({"enabled": false}));
    assert_eq!(send(&app, "PATCH", path, json!({"enabled": true})).await.json(), json!({"enabled": true}));
    assert_eq!(seen(&app, path).await, json!({"enabled": true}));
    assert_eq!(send(&app, "PATCH", path, json!({})).await.status, 400);
    app.stop().await;
}

#[tokio::test]
async fn addresses_that_may_call_are_added_and_deleted_and_nobody_shuts_themselves_out() {
    let app = start("").await;
    assert_eq!(seen(&app, "/get/allowed_ips").await, json!({"data": null}));
    let (status, words, _) = refused(&app, "/add/allowed_ip", json!({"ip": "10.0.0.1"})).await;
    assert!(status == 400 && words.contains("would not let in whoever changes it"), "{words}");
    let (status, words, _) = refused(&app, "/add/allowed_ip", json!({"ip": "nowhere"})).await;
    assert!(status == 400 && words.contains("allowed_ips"), "{words}");
    let told = made(&app, "/add/allowed_ip", json!({"ip": "127.0.0.1"})).await;
    assert_eq!(told, json!({"message": "IP 127.0.0.1 address added successfully", "status": "success"}));
    made(&app, "/add/allowed_ip", json!({"ip": "10.0.0.0/8"})).await;
    assert_eq!(seen(&app, "/get/allowed_ips").await, json!({"data": ["127.0.0.1", "10.0.0.0/8"]}));
    assert_eq!(refused(&app, "/add/allowed_ip", json!({"ip": "127.0.0.1"})).await.0, 400);
    assert_eq!(refused(&app, "/delete/allowed_ip", json!({"ip": "127.0.0.1"})).await.0, 400);
    assert_eq!(refused(&app, "/delete/allowed_ip", json!({"ip": "1.1.1.1"})).await.0, 404);
    made(&app, "/delete/allowed_ip", json!({"ip": "10.0.0.0/8"})).await;
    let told = made(&app, "/delete/allowed_ip", json!({"ip": "127.0.0.1"})).await;
    assert_eq!(told, json!({"message": "IP 127.0.0.1 deleted successfully", "status": "success"}));
    assert_eq!(seen(&app, "/get/allowed_ips").await, json!({"data": null}));
    let routes = json!({"general_settings": {"allowed_routes": ["/chat/completions"]}});
    assert_eq!(refused(&app, "/config/update", routes).await.0, 400);
    app.stop().await;
}

#[tokio::test]
async fn fallbacks_of_one_model_are_set_seen_and_deleted() {
    let app = with_a_down().await;
    let body = json!({"model": "chat", "fallback_models": ["other"]});
    let told = made(&app, "/fallback", body.clone()).await;
    assert_eq!(
        told,
        json!({"model": "chat", "fallback_models": ["other"], "fallback_type": "general",
            "message": "Fallback configuration created successfully"})
    );
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    assert_eq!(made(&app, "/fallback", body).await["message"], "Fallback configuration updated successfully");
    let back = json!({"model": "other", "fallback_models": ["chat"], "fallback_type": "context_window"});
    made(&app, "/fallback", back).await;
    assert_eq!(
        seen(&app, "/fallback/other?fallback_type=context_window").await,
        json!({"model": "other", "fallback_models": ["chat"], "fallback_type": "context_window"})
    );
    assert_eq!(get_as(&app, MASTER, "/fallback/other").await.status, 404);
    let check = async |body: Value, status: u16, words: &str| {
        let (got, message, _) = refused(&app, "/fallback", body).await;
        assert!(got == status && message.contains(words), "{got} {message}");
    };
    check(json!({"model": "nobody", "fallback_models": ["chat"]}), 404, "not found in router").await;
    check(json!({"model": "chat", "fallback_models": ["nobody"]}), 400, "Invalid fallback models").await;
    check(json!({"model": "chat", "fallback_models": ["chat"]}), 400, "its own fallback").await;
    check(json!({"model": "chat"}), 400, "fallback_models").await;
    check(json!({"model": "chat", "fallback_models": ["other"], "fallback_type": "x"}), 400, "fallback_type")
        .await;
    let gone = send(&app, "DELETE", "/fallback/chat", Value::Null).await;
    assert_eq!(
        gone.json(),
        json!({"model": "chat", "fallback_type": "general",
            "message": "Fallback configuration deleted successfully"})
    );
    assert_eq!(tried(&app, MASTER, "chat").await.0, 500);
    assert_eq!(send(&app, "DELETE", "/fallback/chat", Value::Null).await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn settings_of_routing_are_told_with_what_they_do_in_litellms_order() {
    let app = start("router_settings: {cooldown_time: 30, routing_strategy: latency-based-routing}\n").await;
    made(&app, "/fallback", json!({"model": "chat", "fallback_models": ["other"]})).await;
    let told = seen(&app, "/router/settings").await;
    let names: Vec<&str> =
        told["fields"].as_array().unwrap().iter().map(|row| row["field_name"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["routing_strategy", "routing_strategy_args", "routing_groups", "num_retries"]);
    let values = &told["current_values"];
    assert_eq!(
        (&values["routing_strategy"], &values["num_retries"], &values["cooldown_time"], &values["fallbacks"]),
        (&json!("latency-based-routing"), &json!(2), &json!(30), &json!([{"chat": ["other"]}]))
    );
    let source = &told["source"];
    assert_eq!(
        (&source["routing_strategy"], &source["num_retries"], &source["fallbacks"], &source["timeout"]),
        (&json!("config"), &json!("default"), &json!("db"), &json!("unset"))
    );
    assert_eq!(told["fields"][3]["ui_field_name"], "Number of Retries");
    assert!(told["routing_strategy_descriptions"]["simple-shuffle"].is_string());
    let fields = seen(&app, "/router/fields").await;
    assert_eq!(fields["fields"].as_array().unwrap().len(), names.len());
    assert_eq!(fields["fields"][0]["field_value"], Value::Null);
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_is_made_over_the_api_may_follow_and_be_followed() {
    let app = with_a_down().await;
    let base = format!("http://{}/d/b/v1", app.simulator.address());
    let model = json!({"model_name": "made", "litellm_params":
        {"model": "openai/gpt-4o", "api_key": "sk-made", "api_base": base}});
    made(&app, "/model/new", model).await;
    made(&app, "/fallback", json!({"model": "chat", "fallback_models": ["made"]})).await;
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    made(&app, "/fallback", json!({"model": "made", "fallback_models": ["other"]})).await;
    let answer =
        ask_as(&app, MASTER, "/config/update", &json!({"router_settings": {"num_retries": 1}})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.stop().await;
}
