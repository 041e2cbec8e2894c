//! What administrators of parts are given and do not give themselves, and who speaks for the operator.

use crate::support::admin::{
    MASTER, admin, config, counted, key, made, made_as, refused_as, seen, start, text,
};
use crate::support::{App, Wire, hello, model_list};
use serde_json::{Value, json};

async fn of_user(app: &App, id: &str) -> String {
    text(&made(app, "/user/new", json!({"user_id": id, "user_role": "internal_user"})).await["key"])
}

async fn patched(app: &App, key: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let request = format!(
        "PATCH {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = app.ask(request.as_bytes()).await;
    (answer.status, answer.json())
}

/// So many requests of an hour.
fn rate(limit: u64) -> Value {
    json!([{"unit": "requests", "window": "1h", "limit": limit}])
}

/// An organization with an administrator, whose key it is, and a member, `hand`.
async fn organization(app: &App) -> String {
    let boss = of_user(app, "boss").await;
    of_user(app, "hand").await;
    let organization = json!({
        "organization_id": "o", "organization_alias": "Acme", "max_budget": 10, "models": ["chat"],
        "tags": ["t"], "metadata": {"tollgate_rate_limits": rate(1)},
    });
    made(app, "/organization/new", organization).await;
    for (user, role) in [("boss", "org_admin"), ("hand", "internal_user")] {
        let member = json!({"organization_id": "o", "member": {"user_id": user, "role": role}});
        made(app, "/organization/member_add", member).await;
    }
    boss
}

#[tokio::test]
async fn who_administers_an_organization_does_not_set_what_it_has() {
    let app = start("").await;
    let boss = organization(&app).await;
    let before = seen(&app, "/organization/info?organization_id=o").await;
    for change in [
        json!({"max_budget": 1_000_000}),
        json!({"max_budget": null}),
        json!({"soft_budget": 5}),
        json!({"budget_duration": "1s"}),
        json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 9}]}),
        json!({"model_max_budget": {"chat": {"budget_limit": 5, "time_period": "1d"}}}),
        json!({"rpm_limit": 7}),
        json!({"tpm_limit": 7}),
        json!({"max_parallel_requests": 7}),
        json!({"models": []}),
        json!({"models": ["other"]}),
        json!({"tags": []}),
        json!({"model_rpm_limit": {"chat": 9}}),
        json!({"metadata": {"tollgate_rate_limits": []}}),
        json!({"metadata": {"tags": []}}),
    ] {
        let mut body = change.clone();
        body["organization_id"] = json!("o");
        for path in ["/organization/update", "/v2/organization/o"] {
            let (status, said) = patched(&app, &boss, path, &body).await;
            assert_eq!(status, 403, "{path} {change}: {said}");
        }
    }
    assert_eq!(seen(&app, "/organization/info?organization_id=o").await, before);
    // What it is called is theirs to say, and what is so already.
    let body = json!({
        "organization_id": "o", "organization_alias": "Acme Ltd", "max_budget": 10, "models": ["chat"],
        "metadata": {"room": 5},
    });
    let (status, changed) = patched(&app, &boss, "/organization/update", &body).await;
    assert_eq!((status, &changed["organization_alias"]), (200, &json!("Acme Ltd")), "{changed}");
    let metadata = json!({"room": 5, "tollgate_rate_limits": rate(1), "tags": ["t"]});
    assert_eq!(changed["metadata"], metadata, "{changed}");
    // What the organization's teams have of it is theirs to say.
    let team = json!({"team_id": "t", "organization_id": "o", "max_budget": 5, "models": ["chat"]});
    made_as(&app, &boss, "/team/new", team).await;
    made_as(&app, &boss, "/team/update", json!({"team_id": "t", "max_budget": 6})).await;
    app.stop().await;
}

#[tokio::test]
async fn what_a_user_spends_by_itself_is_for_the_operator_to_say() {
    let app = start("litellm_settings: {default_internal_user_params: {max_budget: 2}}\n").await;
    let boss = organization(&app).await;
    for change in [
        json!({"max_budget": 1_000_000}),
        json!({"max_budget": null}),
        json!({"rpm_limit": 5}),
        json!({"models": ["other"]}),
        json!({"temp_budget_increase": 5}),
        json!({"metadata": {"temp_budget_increase": 5}}),
    ] {
        let mut body = change.clone();
        body["user_id"] = json!("hand");
        let (status, said) = refused_as(&app, &boss, "/user/update", body).await;
        assert_eq!(status, 403, "{change}: {said}");
    }
    let named = json!({"user_id": "hand", "user_alias": "Hand", "max_budget": 2});
    made_as(&app, &boss, "/user/update", named).await;
    let mut new = json!({"user_id": "new", "organizations": ["o"], "max_budget": 3});
    assert_eq!(refused_as(&app, &boss, "/user/new", new.clone()).await.0, 403);
    new.as_object_mut().unwrap().remove("max_budget");
    assert_eq!(made_as(&app, &boss, "/user/new", new).await["max_budget"], json!(2.0));
    app.stop().await;
}

#[tokio::test]
async fn who_administers_a_team_takes_nothing_out_of_its_metadata_that_holds_it() {
    let app = start("").await;
    let own = of_user(&app, "a").await;
    let team = json!({
        "team_id": "t", "members_with_roles": [{"user_id": "a", "role": "admin"}], "tags": ["dear"],
        "metadata": {"tollgate_rate_limits": rate(1), "room": 4},
    });
    made(&app, "/team/new", team).await;
    for change in [
        json!({"tags": []}),
        json!({"tags": ["cheap"]}),
        json!({"metadata": {"tags": []}}),
        json!({"metadata": {"tollgate_rate_limits": []}}),
        json!({"metadata": {"tollgate_rate_limits": rate(9)}}),
    ] {
        let mut body = change.clone();
        body["team_id"] = json!("t");
        let (status, said) = refused_as(&app, &own, "/team/update", body).await;
        assert_eq!(status, 403, "{change}: {said}");
    }
    made_as(&app, &own, "/team/update", json!({"team_id": "t", "metadata": {}})).await;
    let info = seen(&app, "/team/info?team_id=t").await;
    let kept = json!({"tollgate_rate_limits": rate(1), "tags": ["dear"]});
    assert_eq!(info["team_info"]["metadata"], kept, "{info}");
    app.stop().await;
}

#[tokio::test]
async fn whose_key_it_is_takes_no_limit_out_of_its_metadata_and_lets_it_use_no_more() {
    let app = start("").await;
    let own = of_user(&app, "z").await;
    let held = json!({
        "user_id": "z", "models": ["chat"], "tags": ["job"], "model_rpm_limit": {"chat": 5},
        "allowed_ips": ["127.0.0.1"], "metadata": {"tollgate_rate_limits": rate(50)},
    });
    let held = key(&app, held).await;
    for change in [
        json!({"models": []}),
        json!({"models": null}),
        json!({"models": ["chat", "other"]}),
        json!({"access_group_ids": ["all"]}),
        json!({"model_rpm_limit": {}}),
        json!({"allowed_ips": null}),
        json!({"allowed_ips": []}),
        json!({"metadata": {"tags": []}}),
        json!({"metadata": {"tollgate_rate_limits": []}}),
        json!({"metadata": {"model_rpm_limit": {"chat": 9}}}),
        json!({"rpd_limit": 9}),
    ] {
        for path in ["/key/update", "/key/regenerate"] {
            let mut body = change.clone();
            body["key"] = json!(held);
            let (status, said) = refused_as(&app, &own, path, body).await;
            assert_eq!(status, 403, "{path} {change}: {said}");
        }
    }
    let said = json!({"key": held, "metadata": {"room": 4}, "models": ["chat"]});
    made_as(&app, &own, "/key/update", said).await;
    let kept = seen(&app, &format!("/key/info?key={held}")).await["info"].clone();
    assert_eq!((&kept["models"], &kept["allowed_ips"]), (&json!(["chat"]), &json!(["127.0.0.1"])), "{kept}");
    let metadata = &kept["metadata"];
    assert_eq!((&metadata["room"], &metadata["tags"]), (&json!(4), &json!(["job"])), "{kept}");
    assert_eq!(metadata["tollgate_rate_limits"], rate(50), "{kept}");
    assert_eq!(metadata["model_rpm_limit"], json!({"chat": 5}), "{kept}");
    // An administrator takes away what there is.
    let free = json!({"key": held, "allowed_ips": null, "models": [], "metadata": {}});
    made(&app, "/key/update", free).await;
    let free = seen(&app, &format!("/key/info?key={held}")).await["info"].clone();
    assert_eq!((&free["models"], &free["metadata"]), (&json!([]), &json!({})), "{free}");
    app.stop().await;
}

fn asking(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn without_a_master_key_no_other_sites_page_speaks_for_the_operator() {
    let list = model_list(&[("chat", &Wire::OpenAi.parameters("a"))]);
    let app = App::start(list, counted()).await;
    let json_type = "content-type: application/json\r\n";
    for (headers, status) in [
        (format!("host: 127.0.0.1:4000\r\n{json_type}"), 200),
        ("host: localhost:4000\r\n".to_owned(), 200),
        // What curl sends with -d alone.
        ("host: gateway\r\ncontent-type: application/x-www-form-urlencoded\r\n".to_owned(), 200),
        (format!("host: localhost:4000\r\norigin: http://localhost:4000\r\n{json_type}"), 200),
        (format!("host: [::1]:4000\r\norigin: http://[::1]:4000\r\n{json_type}"), 200),
        (format!("host: localhost:4000\r\norigin: http://localhost:3000\r\n{json_type}"), 403),
        (format!("host: localhost:4000\r\norigin: https://evil.example\r\n{json_type}"), 403),
        (format!("host: localhost:4000\r\norigin: null\r\n{json_type}"), 403),
        // A name that was made to lead here.
        (format!("host: evil.example\r\norigin: http://evil.example\r\n{json_type}"), 403),
        ("host: localhost:4000\r\ncontent-type: text/plain\r\n".to_owned(), 415),
        ("host: localhost:4000\r\ncontent-type: multipart/form-data; boundary=x\r\n".to_owned(), 415),
    ] {
        let answer = app.ask(&asking("/key/generate", &headers, "{}")).await;
        assert_eq!(answer.status, status, "{headers}: {}", answer.text());
    }
    let strange = "GET /key/list HTTP/1.1\r\nhost: localhost:4000\r\norigin: http://evil.example\r\n\r\n";
    assert_eq!(app.ask(strange.as_bytes()).await.status, 403);
    app.stop().await;
    // Whoever has a key is no page that happens to be open.
    let app = App::start(config(""), counted()).await;
    for kind in ["application/x-www-form-urlencoded", "application/json"] {
        let headers = format!(
            "host: gateway\r\nauthorization: Bearer {MASTER}\r\norigin: https://panel.example\r\n\
             content-type: {kind}\r\n"
        );
        let answer = app.ask(&asking("/key/generate", &headers, "{}")).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
    }
    app.stop().await;
}

#[tokio::test]
async fn an_end_user_is_named_in_every_way_that_litellm_knows() {
    let yaml = config("").replace(
        &format!("master_key: {MASTER}"),
        &format!("master_key: {MASTER}, user_header_name: X-Open-User"),
    );
    let app = App::start(yaml, counted()).await;
    let plain = key(&app, json!({})).await;
    let ways: [(&str, &str, Value); 4] = [
        ("by-header", "x-open-user: by-header\r\n", json!({"user": "nobody"})),
        ("by-metadata", "", json!({"litellm_metadata": {"user": "by-metadata", "user_id": "nobody"}})),
        ("by-user", "", json!({"litellm_metadata": {"user": "nobody"}, "user": "by-user"})),
        ("by-litellm", "x-litellm-customer-id: by-litellm\r\nx-open-user: nobody\r\n", json!({})),
    ];
    for (name, headers, more) in ways {
        made(&app, "/customer/new", json!({"user_id": name, "max_budget": 0.003})).await;
        let mut body = hello("chat");
        body["max_tokens"] = json!(5);
        for (member, value) in more.as_object().unwrap() {
            body[member] = value.clone();
        }
        let headers = format!(
            "host: gateway\r\nauthorization: Bearer {plain}\r\ncontent-type: application/json\r\n{headers}"
        );
        let ask = asking("/v1/chat/completions", &headers, &body.to_string());
        assert_eq!(app.ask(&ask).await.status, 200, "{name}");
        let second = app.ask(&ask).await;
        assert_eq!(second.status, 422, "{name}: {}", second.text());
    }
    app.stop().await;
}

#[tokio::test]
async fn a_key_has_one_in_its_place_however_many_ask() {
    let app = start("").await;
    for body in [json!({}), json!({"grace_period": "1h"})] {
        let old = key(&app, json!({"max_budget": 1})).await;
        let path = format!("/key/{old}/regenerate");
        let all = futures_util::future::join_all((0..10).map(|_| admin(&app, &path, body.clone()))).await;
        let (good, refused): (Vec<_>, Vec<_>) = all.iter().partition(|answer| answer.status == 200);
        assert_eq!((good.len(), refused.len()), (1, 9), "{body}");
        for answer in refused {
            assert!([404, 409].contains(&answer.status), "{}", answer.text());
        }
        // Nor one after the other, while the old one is let through still.
        let (status, said) = refused_as(&app, MASTER, &path, body).await;
        assert!([404, 409].contains(&status), "{said}");
        let keys = seen(&app, "/key/list?return_full_object=true").await;
        let lives = |key: &&Value| key["max_budget"] == json!(1.0) && key["expires"].is_null();
        assert_eq!(keys["keys"].as_array().unwrap().iter().filter(lives).count(), 1, "{keys}");
        made(&app, "/key/delete", json!({"keys": [text(&good[0].json()["key"])]})).await;
    }
    app.stop().await;
}
