//! Corners of the admin API that were wrong once.

use crate::support::admin::{
    MASTER, admin, ask_as, chat, get_as, key, made, made_as, names, refused_as, seen, start, text, tried,
};
use crate::support::{App, hello, post};
use serde_json::{Value, json};

async fn key_spend(app: &App, key: &str) -> Value {
    seen(app, &format!("/key/info?key={key}")).await["info"]["spend"].clone()
}

#[tokio::test]
async fn an_administrator_sets_what_was_spent_and_the_audit_says_it() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    let key = key(&app, json!({"max_budget": 0.0035, "budget_duration": "1d"})).await;
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    assert_eq!(tried(&app, &key, "chat").await.0, 422);
    let changed = made(&app, "/key/update", json!({"key": key, "spend": 0})).await;
    assert_eq!(changed["spend"], json!(0.0));
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    let more = made(&app, "/key/update", json!({"key": key, "spend": 0.002, "max_budget": 1})).await;
    assert_eq!((&more["spend"], &more["max_budget"]), (&json!(0.002), &json!(1.0)));
    // Null says nothing.
    made(&app, "/key/update", json!({"key": key, "spend": null})).await;
    assert_eq!(key_spend(&app, &key).await, json!(0.002));
    let anew = made(&app, &format!("/key/{key}/regenerate"), json!({"spend": 0.25})).await;
    assert_eq!(anew["spend"], json!(0.25));
    let audit = seen(&app, "/audit?action=spend%20reset").await;
    let amounts =
        |row: &Value| (row["before_value"]["spend"].clone(), row["updated_values"]["spend"].clone());
    let rows: Vec<_> = audit["audit_logs"].as_array().unwrap().iter().map(amounts).collect();
    let expect = [(0.002, 0.25), (0.0035, 0.002), (0.0035, 0.0)];
    assert_eq!(rows, expect.map(|(before, after)| (json!(before), json!(after))));
    app.stop().await;
}

#[tokio::test]
async fn what_users_and_teams_have_spent_is_set_by_the_gateways_administrators_alone() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t", "max_budget": 9})).await;
    let user = made(&app, "/user/new", json!({"user_id": "u", "max_budget": 9})).await;
    let own = text(&user["key"]);
    let member = json!({"team_id": "t", "member": {"user_id": "u", "role": "admin"}});
    made(&app, "/team/member_add", member).await;
    made(&app, "/user/update", json!({"user_id": "u", "spend": 4.5})).await;
    assert_eq!(seen(&app, "/user/info?user_id=u").await["user_info"]["spend"], json!(4.5));
    made(&app, "/team/update", json!({"team_id": "t", "spend": 2})).await;
    assert_eq!(seen(&app, "/team/info?team_id=t").await["team_info"]["spend"], json!(2.0));
    let of_team = key(&app, json!({"team_id": "t", "user_id": "u"})).await;
    for (path, body) in [
        ("/key/update", json!({"key": own, "spend": 0})),
        ("/key/update", json!({"key": of_team, "spend": 0})),
        ("/team/update", json!({"team_id": "t", "spend": 0})),
        ("/user/update", json!({"user_id": "u", "spend": 0})),
    ] {
        let (status, message) = refused_as(&app, &own, path, body).await;
        assert!((401..=403).contains(&status), "{path}: {status} {message}");
    }
    for spend in [json!(-1), json!("much")] {
        let refused = admin(&app, "/key/update", json!({"key": own, "spend": spend})).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("spend")));
    }
    assert_eq!(seen(&app, "/team/info?team_id=t").await["team_info"]["spend"], json!(2.0));
    app.stop().await;
}

#[tokio::test]
async fn a_key_that_is_made_says_from_where_it_may_be_used() {
    let app = start("").await;
    let made_one = made(&app, "/key/generate", json!({"allowed_ips": ["127.0.0.1"]})).await;
    assert_eq!(made_one["allowed_ips"], json!(["127.0.0.1"]));
    let anew = made(&app, &format!("/key/{}/regenerate", text(&made_one["key"])), json!({})).await;
    assert_eq!(anew["allowed_ips"], json!(["127.0.0.1"]));
    assert_eq!(made(&app, "/key/generate", json!({})).await.get("allowed_ips"), None);
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_does_not_repeat_the_key_that_stands_in_the_path() {
    let app = start("").await;
    let plain = key(&app, json!({})).await;
    let narrow = key(&app, json!({"allowed_routes": ["llm_api_routes"]})).await;
    for asker in [&plain, &narrow] {
        let path = format!("/key/{plain}/regenerate");
        let (status, message) = refused_as(&app, asker, &path, json!({})).await;
        assert!((401..=403).contains(&status) && message.contains("/key/{key}/regenerate"), "{message}");
        assert!(!message.contains(plain.as_str()), "{message}");
    }
    let (_, message) = refused_as(&app, &plain, "/key/generate", json!({})).await;
    let recorded = "Authentication Error, Only proxy admin can be used to generate, delete, update info for new \
                    keys/users/teams. Route=/key/generate. Your role=unknown. Your user_id=*******";
    assert_eq!(message, recorded);
    app.stop().await;
}

#[tokio::test]
async fn keys_that_are_not_there_are_deleted_with_litellms_error() {
    let app = start("").await;
    let recorded = json!({
        "message": "{'error': 'No keys found'}", "type": "internal_server_error", "param": null, "code": "404",
    });
    for body in [json!({"keys": ["sk-doesnotexist"]}), json!({"key_aliases": ["nobody"]})] {
        let answer = admin(&app, "/key/delete", body).await;
        assert_eq!((answer.status, &answer.json()["error"]), (404, &recorded));
    }
    app.stop().await;
}

#[tokio::test]
async fn more_money_for_a_while_is_part_of_the_budget_that_a_header_tells() {
    let app = start("").await;
    let key = key(&app, json!({"max_budget": 5})).await;
    let more = json!({"key": key, "temp_budget_increase": 2.5, "temp_budget_expiry": "2099-01-01T00:00:00Z"});
    made(&app, "/key/update", more).await;
    let answer = chat(&app, &key, &hello("chat")).await;
    assert_eq!(answer.header("x-litellm-key-max-budget"), Some("7.5"));
    let over = json!({"key": key, "temp_budget_increase": 2.5, "temp_budget_expiry": "2020-01-01T00:00:00Z"});
    made(&app, "/key/update", over).await;
    let answer = chat(&app, &key, &hello("chat")).await;
    assert_eq!(answer.header("x-litellm-key-max-budget"), Some("5.0"));
    app.stop().await;
}

/// Asks as the operator for what is refused: the status and the body.
async fn refused(app: &App, path: &str) -> (u16, Value) {
    let answer = get_as(app, MASTER, path).await;
    assert_ne!(answer.status, 200, "{path}: {}", answer.text());
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_query_that_asks_for_no_page_is_refused_as_litellms_framework_does() {
    let app = start("").await;
    let check = async |path: &str, name: &str, input: &str, kind: &str, words: &str| {
        let (status, body) = refused(&app, &format!("{path}?{name}={input}")).await;
        assert_eq!(status, 422, "{path} {body}");
        let entry = &body["detail"][0];
        assert_eq!(entry["loc"], json!(["query", name]), "{body}");
        assert_eq!(
            (&entry["type"], &entry["msg"], &entry["input"]),
            (&json!(kind), &json!(words), &json!(input))
        );
    };
    let (least, whole) =
        ("greater_than_equal", "Input should be a valid integer, unable to parse string as an integer");
    for (path, size, most) in [
        ("/key/list", "size", 100),
        ("/key/aliases", "size", 100),
        ("/user/list", "page_size", 100),
        ("/v2/team/list", "page_size", 100),
        ("/spend/logs/v2", "page_size", 1000),
    ] {
        for (name, input) in [("page", "0"), ("page", "-3"), (size, "0"), (size, "-1")] {
            check(path, name, input, least, "Input should be greater than or equal to 1").await;
        }
        check(path, "page", "two", "int_parsing", whole).await;
        let words = format!("Input should be less than or equal to {most}");
        check(path, size, &(most + 1).to_string(), "less_than_equal", &words).await;
        assert_eq!(get_as(&app, MASTER, &format!("{path}?page=1&{size}={most}")).await.status, 200, "{path}");
    }
    let words = "Input should be a valid boolean, unable to interpret input";
    check("/key/list", "return_full_object", "maybe", "bool_parsing", words).await;
    assert_eq!(get_as(&app, MASTER, "/v2/model/info?size=5000").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn an_order_and_a_state_that_there_are_not_are_refused_in_litellms_words() {
    let app = start("").await;
    let message = async |path: &str| {
        let (status, body) = refused(&app, path).await;
        assert_eq!(status, 400, "{path} {body}");
        text(&body["error"]["message"])
    };
    let columns = "spend, max_budget, created_at, updated_at, token, key_alias";
    assert_eq!(
        message("/key/list?sort_by=bogus").await,
        format!("{{'error': 'Invalid sort column. Must be one of: {columns}'}}")
    );
    assert_eq!(
        message("/key/list?sort_by=spend&sort_order=up").await,
        "{'error': \"Invalid sort order. Must be 'asc' or 'desc'\"}"
    );
    assert!(message("/key/list?status=bogus").await.contains("Invalid status value. Supported: 'active', "));
    assert!(
        message("/spend/logs/v2?sort_by=bogus")
            .await
            .starts_with("Invalid sort_by: bogus. Must be one of: endTime, ")
    );
    assert!(message("/spend/logs/v2?sort_order=up").await.starts_with("Invalid sort_order: up. "));
    assert!(message("/spend/logs/v2?cache_hit_filter=x").await.starts_with("Invalid cache_hit_filter: x. "));
    // These two are answered by LiteLLM's framework.
    let (status, body) = refused(&app, "/user/list?sort_by=bogus").await;
    assert_eq!(status, 400);
    assert!(text(&body["detail"]["error"]).starts_with("Invalid sort column. Must be one of: user_id, "));
    let (status, body) = refused(&app, "/v2/team/list?status=bogus").await;
    assert_eq!(
        (status, &body["detail"]["error"]),
        (400, &json!("Invalid status value. Currently only 'deleted' is supported."))
    );
    for good in [
        "/key/list?status=active&sort_by=token",
        "/user/list?sort_by=user_email&sort_order=ASC",
        "/v2/team/list?status=deleted",
    ] {
        assert_eq!(get_as(&app, MASTER, good).await.status, 200, "{good}");
    }
    app.stop().await;
}

/// The rows of failures, once there are so many.
async fn failures(app: &App, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        let rows = seen(app, "/spend/logs/v2?status_filter=failure&sort_order=asc").await["data"].clone();
        if rows.as_array().is_some_and(|rows| rows.len() == count) {
            return rows.as_array().cloned().unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("there are not {count} failures");
}

#[tokio::test]
async fn a_row_of_a_failure_has_the_members_that_litellm_gathers_failures_by() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    let poor = key(&app, json!({"max_budget": 0.000001, "key_alias": "poor"})).await;
    let narrow = key(&app, json!({"models": ["other"]})).await;
    let slow = key(&app, json!({"rpm_limit": 1})).await;
    assert_eq!(tried(&app, &poor, "chat").await.0, 422);
    assert_eq!(tried(&app, &narrow, "chat").await.0, 403);
    assert_eq!(tried(&app, &slow, "chat").await.0, 200);
    assert_eq!(tried(&app, &slow, "chat").await.0, 429);
    let rows = failures(&app, 3).await;
    let error = |row: &Value| row["metadata"]["error_information"].clone();
    let members = [
        "traceback",
        "error_code",
        "error_class",
        "llm_provider",
        "error_message",
        "normalized_error",
        "error_budget_limit",
        "error_budget_spend",
        "error_rate_limit_type",
        "error_budget_entity_id",
        "error_budget_entity_type",
        "error_provider_request_id",
        "error_rate_limit_category",
    ];
    for row in &rows {
        assert_eq!(names(&error(row)), members, "{row}");
    }
    let codes: Vec<Value> = rows.iter().map(|row| error(row)["normalized_error"].clone()).collect();
    assert_eq!(codes, ["429_BUDGET_EXCEEDED", "403_MODEL_ACCESS_DENIED", "429_RATE_LIMIT_EXCEEDED"]);
    let budget = error(&rows[0]);
    assert_eq!(
        (&budget["error_budget_limit"], &budget["error_budget_entity_type"]),
        (&json!(0.000001), &json!("key"))
    );
    assert_eq!(error(&rows[1])["error_rate_limit_category"], Value::Null);
    assert_eq!(error(&rows[2])["error_rate_limit_type"], json!("requests"));
    app.stop().await;
}

#[tokio::test]
async fn a_row_says_the_callers_program() {
    let app = start("").await;
    let key = key(&app, json!({})).await;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("user-agent", "own/1.0 (\"quoted\")")];
    let body = hello("chat").to_string();
    assert_eq!(app.ask(&post("/v1/chat/completions", &headers, body.as_bytes())).await.status, 200);
    let mut rows = Value::Null;
    for _ in 0..200 {
        rows = seen(&app, "/spend/logs/v2").await["data"].clone();
        if rows.as_array().is_some_and(|rows| !rows.is_empty()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(rows[0]["metadata"]["user_agent"], json!("own/1.0 (\"quoted\")"), "{rows}");
    app.stop().await;
}

#[tokio::test]
async fn a_key_says_when_it_was_used_last() {
    let app = start("").await;
    let (used, other) =
        (key(&app, json!({"key_alias": "used"})).await, key(&app, json!({"rpm_limit": 0})).await);
    let last = async |key: &str| {
        let info = seen(&app, &format!("/key/info?key={key}")).await["info"].clone();
        (info["last_active"].clone(), info["created_at"].clone())
    };
    assert_eq!(last(&used).await.0, Value::Null);
    assert_eq!(tried(&app, &used, "chat").await.0, 200);
    // What is refused is no use of it.
    assert_eq!(tried(&app, &other, "chat").await.0, 429);
    let (at, made_at) = last(&used).await;
    assert!(text(&at) > text(&made_at), "{at} {made_at}");
    assert_eq!(last(&other).await.0, Value::Null);
    let listed = seen(&app, "/key/list?return_full_object=true&key_alias=used").await;
    assert_eq!(text(&listed["keys"][0]["last_active"])[..19], text(&at)[..19]);
    app.stop().await;
}

#[tokio::test]
async fn when_a_budget_begins_anew_may_be_said_as_it_is_shown_and_not_otherwise() {
    let app = start("").await;
    let made_one =
        made(&app, "/budget/new", json!({"budget_id": "b", "max_budget": 1, "budget_duration": "1d"})).await;
    let shown = made_one["budget_reset_at"].clone();
    let again = json!({"budget_id": "b", "max_budget": 2, "budget_duration": "7d", "budget_reset_at": shown});
    assert_eq!(made(&app, "/budget/update", again).await["max_budget"], json!(2.0));
    let twin = json!({"budget_id": "c", "budget_duration": "1d", "budget_reset_at": shown});
    assert_eq!(made(&app, "/budget/new", twin).await["budget_reset_at"], shown);
    let customer =
        json!({"user_id": "u", "max_budget": 1, "budget_duration": "1d", "budget_reset_at": shown});
    made(&app, "/customer/new", customer).await;
    let told = "'budget_reset_at' follows from budget_duration, and is not set otherwise";
    for (path, body) in [
        (
            "/budget/new",
            json!({"budget_id": "d", "budget_duration": "1d", "budget_reset_at": "2099-01-01T00:00:00Z"}),
        ),
        ("/budget/update", json!({"budget_id": "b", "budget_reset_at": "2099-01-01T00:00:00Z"})),
        ("/customer/new", json!({"user_id": "v", "budget_reset_at": "2099-01-01T00:00:00Z"})),
    ] {
        assert_eq!(refused_as(&app, MASTER, path, body).await, (400, told.to_owned()), "{path}");
    }
    made(&app, "/budget/update", json!({"budget_id": "b", "budget_reset_at": null})).await;
    app.stop().await;
}

#[tokio::test]
async fn keys_of_a_teams_members_are_valid_for_as_long_as_the_team_says() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t", "team_member_key_duration": "1h"})).await;
    let one = made(&app, "/key/generate", json!({"team_id": "t"})).await;
    assert_eq!(one["duration"], json!("1h"));
    assert!(text(&one["expires"]) > text(&one["created_at"]));
    let long = made(&app, "/key/generate", json!({"team_id": "t", "duration": "2h"})).await;
    assert_eq!(long["duration"], json!("2h"));
    assert_eq!(made(&app, "/key/generate", json!({})).await["expires"], Value::Null);
    app.stop().await;
}

#[tokio::test]
async fn of_those_who_regenerate_one_key_at_once_one_gets_another() {
    let app = start("").await;
    let old = key(&app, json!({"max_budget": 1, "key_alias": "k"})).await;
    let path = format!("/key/{old}/regenerate");
    let answers = futures_util::future::join_all((0..8).map(|_| admin(&app, &path, json!({})))).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert_eq!(seen(&app, "/key/list").await["total_count"], json!(1));
    assert_eq!(tried(&app, &text(&made[0].json()["key"]), "chat").await.0, 200);
    app.stop().await;
}

#[tokio::test]
async fn of_those_who_take_one_name_at_once_one_gets_it() {
    let app = start("").await;
    let named = || admin(&app, "/key/generate", json!({"key_alias": "race"}));
    let keys = futures_util::future::join_all((0..10).map(|_| named())).await;
    assert_eq!(keys.iter().filter(|answer| answer.status == 200).count(), 1);
    let user = || admin(&app, "/user/new", json!({"user_email": "z@example.com", "auto_create_key": false}));
    let users = futures_util::future::join_all((0..10).map(|_| user())).await;
    assert_eq!(users.iter().filter(|answer| answer.status == 200).count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn only_an_administrator_says_for_whom_a_change_is_made() {
    let app = start("").await;
    let user = made(&app, "/user/new", json!({"user_id": "u"})).await;
    for (asker, alias) in [(text(&user["key"]), "own"), (MASTER.to_owned(), "for another")] {
        let bearer = format!("Bearer {asker}");
        let headers = [("authorization", bearer.as_str()), ("litellm-changed-by", "the-ceo")];
        let body = json!({"key_alias": alias}).to_string();
        assert_eq!(app.ask(&post("/key/generate", &headers, body.as_bytes())).await.status, 200);
    }
    let rows = seen(&app, "/audit?action=created&table_name=LiteLLM_VerificationToken").await;
    let by: Vec<String> =
        rows["audit_logs"].as_array().unwrap().iter().map(|row| text(&row["changed_by"])).collect();
    assert_eq!(by[..2], ["the-ceo", "u"]);
    app.stop().await;
}

#[tokio::test]
async fn who_administers_a_team_does_not_loosen_its_rates() {
    let app = start("").await;
    let rates = json!([{"unit": "requests", "window": "1h", "limit": 1}]);
    let team =
        admin(&app, "/team/new", json!({"team_id": "t", "metadata": {"tollgate_rate_limits": rates}})).await;
    assert_eq!(team.status, 200, "{}", team.text());
    let user = text(&made(&app, "/user/new", json!({"user_id": "u"})).await["key"]);
    let seat = json!({"team_id": "t", "member": {"user_id": "u", "role": "admin"}});
    made(&app, "/team/member_add", seat).await;
    made_as(&app, &user, "/team/update", json!({"team_id": "t", "metadata": {"note": "x"}})).await;
    let metadata = seen(&app, "/team/info?team_id=t").await["team_info"]["metadata"].clone();
    assert_eq!((&metadata["tollgate_rate_limits"], &metadata["note"]), (&rates, &json!("x")));
    let other = json!({"team_id": "t", "metadata": {"tollgate_rate_limits": []}});
    assert_eq!(ask_as(&app, &user, "/team/update", &other).await.status, 403);
    app.stop().await;
}

#[tokio::test]
async fn the_admin_api_takes_json_and_no_plain_text() {
    let app = start("").await;
    let bearer = format!("Bearer {MASTER}");
    for (kind, status) in
        [("text/plain", 415), ("application/json", 200), ("application/json; charset=utf-8", 200)]
    {
        let request = format!(
            "POST /key/generate HTTP/1.1\r\nhost: gateway\r\nauthorization: {bearer}\r\ncontent-type: {kind}\r\n\
             content-length: 2\r\n\r\n{{}}"
        );
        assert_eq!(app.ask(request.as_bytes()).await.status, status, "{kind}");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_days_of_everybody_are_taken_apart_by_user() {
    let app = start("").await;
    let user = text(&made(&app, "/user/new", json!({"user_id": "al"})).await["key"]);
    let nobodys = key(&app, json!({})).await;
    for key in [&user, &user, &nobodys] {
        assert_eq!(tried(&app, key, "chat").await.0, 200);
    }
    let days = "start_date=2020-01-01&end_date=2099-01-01";
    for _ in 0..200 {
        let told = seen(&app, &format!("/user/daily/activity?{days}")).await;
        if told["results"][0]["metrics"]["api_requests"] == json!(3) {
            for path in ["/user/daily/activity", "/user/daily/activity/aggregated"] {
                let told = seen(&app, &format!("{path}?{days}")).await;
                let entities = &told["results"][0]["breakdown"]["entities"];
                assert_eq!(names(entities), ["al"], "{told}");
                assert_eq!(entities["al"]["metrics"]["api_requests"], json!(2), "{told}");
            }
            app.stop().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("three requests are not in the books");
}
