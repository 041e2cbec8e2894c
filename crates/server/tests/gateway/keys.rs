//! Virtual keys: made, used, limited, changed and taken away, as callers and operators see it.

use crate::support::admin::{
    MASTER, admin, ask_as, chat, get_as, key, made, refused_as, seen, start, text, tried,
};
use crate::support::{hello, streamed};
use serde_json::json;

#[tokio::test]
async fn a_key_is_made_used_seen_blocked_and_deleted() {
    let app = start("").await;
    let key = key(&app, json!({"key_alias": "k", "models": ["chat"], "metadata": {"u": "x"}})).await;
    assert!(key.starts_with("sk-") && key.len() == 46, "{key}");
    let answer = chat(&app, &key, &hello("chat")).await;
    assert_eq!((answer.status, answer.header("x-litellm-key-spend")), (200, Some("0.0035")));
    let info = get_as(&app, MASTER, &format!("/key/info?key={key}")).await;
    assert_eq!(info.json()["info"]["spend"], json!(0.0035));
    assert_eq!(info.json()["info"]["key_alias"], json!("k"));
    let own = get_as(&app, &key, "/key/info").await;
    assert_eq!(own.json()["info"]["spend"], json!(0.0035));
    let models = get_as(&app, &key, "/v1/models").await;
    let names: Vec<_> = models.json()["data"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
    assert_eq!(names, [json!("chat")]);
    let denied = chat(&app, &key, &hello("other")).await;
    assert_eq!((denied.status, &denied.json()["error"]["type"]), (403, &json!("key_model_access_denied")));
    assert_eq!(admin(&app, "/key/block", json!({"key": key})).await.status, 200);
    let blocked = chat(&app, &key, &hello("chat")).await;
    assert_eq!((blocked.status, &blocked.json()["error"]["type"]), (401, &json!("auth_error")));
    assert_eq!(admin(&app, "/key/unblock", json!({"key": key})).await.status, 200);
    assert_eq!(chat(&app, &key, &hello("chat")).await.status, 200);
    let listed = get_as(&app, MASTER, "/key/list").await;
    assert_eq!(listed.json()["total_count"], json!(1));
    assert_eq!(admin(&app, "/key/delete", json!({"key_aliases": ["k"]})).await.status, 200);
    let gone = chat(&app, &key, &hello("chat")).await;
    assert_eq!((gone.status, &gone.json()["error"]["type"]), (401, &json!("token_not_found_in_db")));
    app.stop().await;
}

#[tokio::test]
async fn a_key_may_not_make_keys() {
    let app = start("").await;
    let key = key(&app, json!({})).await;
    let refused = ask_as(&app, &key, "/key/generate", &json!({})).await;
    assert_eq!(refused.status, 401);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("Authentication Error, Only proxy admin can be used to generate"),
        "{message}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_spent_budget_refuses_and_says_whose_it_is() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    // The prompt's bytes and 5 tokens of answer: some 40 tokens of $2.50 and 5 of $10 a million at most.
    let key = key(&app, json!({"max_budget": 0.001})).await;
    let mut small = hello("chat");
    small["max_tokens"] = json!(5);
    let first = chat(&app, &key, &small).await;
    assert_eq!((first.status, first.header("x-litellm-key-max-budget")), (200, Some("0.001")));
    assert_eq!(first.header("x-tollgate-budget-remaining"), Some("0.001"));
    assert_eq!(first.header("x-tollgate-budget-scope"), Some("key"));
    let second = chat(&app, &key, &small).await;
    let error = &second.json()["error"];
    assert_eq!((second.status, &error["type"]), (422, &json!("budget_exceeded")));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("Budget has been exceeded! Key=key (sk-..."), "{message}");
    assert!(message.ends_with("Current cost: 0.0035, Max budget: 0.001"), "{message}");
    assert_eq!(app.received().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_maximum_that_the_budget_does_not_leave_is_lowered_and_told() {
    let app = start("").await;
    let key = key(&app, json!({"max_budget": 0.005})).await;
    let mut long = hello("chat");
    long["max_tokens"] = json!(4_000);
    let answer = chat(&app, &key, &long).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lowered: u64 = answer.header("x-tollgate-max-tokens-lowered").unwrap().parse().unwrap();
    assert!((400..500).contains(&lowered), "{lowered}");
    let sent = app.received()[0].json();
    assert_eq!((&sent["max_tokens"], sent.get("max_completion_tokens")), (&json!(lowered), None));
    app.stop().await;
}

#[tokio::test]
async fn of_many_at_once_as_many_pass_as_the_budget_is_for() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    let key = key(&app, json!({"max_budget": 0.0035})).await;
    let mut body = hello("chat");
    // $0.0035 are held for each: 350 tokens of answer, less those of the prompt.
    body["max_tokens"] = json!(300);
    let asked = (0..20).map(|_| chat(&app, &key, &body));
    let answers = futures_util::future::join_all(asked).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 422).count();
    assert_eq!((passed, refused), (1, 19));
    app.stop().await;
}

#[tokio::test]
async fn a_rate_limit_refuses_with_its_scope_and_when_there_is_room() {
    let app = start("").await;
    let key = key(&app, json!({"rpm_limit": 2, "model_rpm_limit": {"other": 1}})).await;
    let first = chat(&app, &key, &hello("chat")).await;
    assert_eq!(first.header("x-litellm-key-rpm-limit"), Some("2"));
    assert_eq!(first.header("x-ratelimit-api_key-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-api_key-limit-requests"), Some("2"));
    assert_eq!(chat(&app, &key, &hello("other")).await.status, 200);
    let refused = chat(&app, &key, &hello("chat")).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["type"]), (429, &json!("throttling_error")));
    assert_eq!(refused.header("rate_limit_type"), Some("requests"));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("Rate limit exceeded for api_key: "), "{message}");
    assert!(
        message.contains("Limit type: requests. Current limit: 2, Remaining: 0. Limit resets at: "),
        "{message}"
    );
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((55..=61).contains(&seconds), "{seconds}");
    app.stop().await;
}

#[tokio::test]
async fn a_model_of_a_key_has_its_own_limit() {
    let app = start("").await;
    let key = key(&app, json!({"model_rpm_limit": {"other": 1}})).await;
    assert_eq!(chat(&app, &key, &hello("other")).await.status, 200);
    let refused = chat(&app, &key, &hello("other")).await;
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Rate limit exceeded for model_per_key: "), "{message}");
    assert!(message.contains(":other. Limit type: requests."), "{message}");
    assert_eq!(chat(&app, &key, &hello("chat")).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_is_paid_for_and_no_answer_is_cut_for_a_limit_of_tokens() {
    let app = start("").await;
    let key = key(&app, json!({"tpm_limit": 10_000})).await;
    let answer = chat(&app, &key, &streamed(hello("chat"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(app.received()[0].json().get("max_tokens"), None);
    let info = get_as(&app, &key, "/key/info").await;
    assert_eq!(info.json()["info"]["spend"], json!(0.0035));
    // 1,100 real tokens in place of what was reserved.
    let next = chat(&app, &key, &hello("chat")).await;
    let left: u64 = next.header("x-ratelimit-api_key-remaining-tokens").unwrap().parse().unwrap();
    assert!((7_800..8_900).contains(&left), "{left}");
    app.stop().await;
}

#[tokio::test]
async fn a_key_that_is_regenerated_keeps_what_it_has_spent() {
    let app = start("").await;
    let old = key(&app, json!({"max_budget": 1, "key_alias": "k"})).await;
    assert_eq!(chat(&app, &old, &hello("chat")).await.status, 200);
    let made = admin(&app, &format!("/key/{old}/regenerate"), json!({})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let new = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(chat(&app, &old, &hello("chat")).await.status, 401);
    let answer = chat(&app, &new, &hello("chat")).await;
    assert_eq!((answer.status, answer.header("x-litellm-key-spend")), (200, Some("0.007")));
    app.stop().await;
}

#[tokio::test]
async fn a_key_and_the_one_in_its_place_spend_one_budget() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    let first = key(&app, json!({"max_budget": 0.0105, "key_alias": "k"})).await;
    assert_eq!(tried(&app, &first, "chat").await.0, 200);
    let anew = |key: &str| format!("/key/{key}/regenerate");
    let second = text(&made(&app, &anew(&first), json!({"grace_period": "1h"})).await["key"]);
    assert_eq!(tried(&app, &first, "chat").await.0, 200);
    let spent = |info: serde_json::Value| info["info"]["spend"].clone();
    for key in [&first, &second] {
        assert_eq!(spent(seen(&app, &format!("/key/info?key={key}")).await), json!(0.007));
    }
    // Also after the second has a successor, and with its limits.
    let third = text(&made(&app, &anew(&second), json!({"grace_period": "1h"})).await["key"]);
    assert_eq!(tried(&app, &third, "chat").await.0, 200);
    for key in [&first, &second, &third] {
        assert_eq!(tried(&app, key, "chat").await, (422, "budget_exceeded".to_owned()));
        assert_eq!(spent(seen(&app, &format!("/key/info?key={key}")).await), json!(0.0105));
    }
    made(&app, "/key/update", json!({"key": third, "max_budget": 0.014})).await;
    assert_eq!(tried(&app, &first, "chat").await.0, 200);
    assert_eq!(tried(&app, &third, "chat").await.0, 422);
    // To lose an old text loses nothing of what was spent; to lose the key loses all of its texts.
    made(&app, "/key/delete", json!({"keys": [second]})).await;
    assert_eq!(tried(&app, &third, "chat").await.0, 422);
    made(&app, "/key/block", json!({"key": third})).await;
    assert_eq!(tried(&app, &first, "chat").await.0, 401);
    made(&app, "/key/unblock", json!({"key": third})).await;
    made(&app, "/key/delete", json!({"keys": [third]})).await;
    assert_eq!(tried(&app, &first, "chat").await, (401, "token_not_found_in_db".to_owned()));
    app.stop().await;
}

#[tokio::test]
async fn new_keys_have_what_the_operator_says_and_no_more() {
    let app = start(
        "litellm_settings:\n  default_key_generate_params: {models: [chat], max_budget: 1}\n  \
         upperbound_key_generate_params: {max_budget: 5, rpm_limit: 100}\n",
    )
    .await;
    let made = made(&app, "/key/generate", json!({})).await;
    let had = [&made["models"], &made["max_budget"], &made["rpm_limit"]];
    assert_eq!(had, [&json!(["chat"]), &json!(1.0), &json!(100)]);
    let (status, said) = refused_as(&app, MASTER, "/key/generate", json!({"max_budget": 6})).await;
    assert_eq!(status, 400);
    assert!(said.contains("'max_budget' is over the most"), "{said}");
    let change = json!({"key": made["key"], "rpm_limit": 101});
    assert_eq!(refused_as(&app, MASTER, "/key/update", change).await.0, 400);
    let anew = format!("/key/{}/regenerate", text(&made["key"]));
    assert_eq!(refused_as(&app, MASTER, &anew, json!({"max_budget": null})).await.0, 400);
    app.stop().await;
}

#[tokio::test]
async fn a_form_with_a_member_that_there_is_not_is_refused_by_name() {
    let app = start("").await;
    let refused = admin(&app, "/key/generate", json!({"max_budgte": 5})).await;
    assert_eq!(refused.status, 400);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("max_budgte") && message.contains("max_budget"), "{message}");
    let weak = admin(&app, "/key/generate", json!({"key": "sk-short"})).await;
    assert_eq!((weak.status, &weak.json()["error"]["param"]), (400, &json!("key")));
    app.stop().await;
}
