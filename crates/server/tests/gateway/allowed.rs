//! What LiteLLM's settings say of headers that name somebody, of tags, of end users, and of who makes which keys.

use crate::promises::Till;
use crate::support::admin::{MASTER, admin, ask_as, chat, config, counted, get_as, key, made, seen, text};
use crate::support::{Answer, App, hello, post, settle};
use serde_json::{Value, json};

/// A gateway with more of `general_settings`, and of `litellm_settings`.
async fn start_with(general: &str, lite: &str) -> App {
    let before = format!("{{master_key: {MASTER}}}");
    let config = config("").replace(&before, &format!("{{master_key: {MASTER}, {general}}}"));
    App::start(format!("{config}{lite}"), counted()).await
}

fn error(answer: &Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    (answer.status, text(&error["type"]), text(&error["message"]))
}

/// A request with headers and more members.
async fn ask(app: &App, headers: &[(&str, &str)], more: Value) -> Answer {
    let mut body = hello("chat");
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    app.ask(&post("/v1/chat/completions", headers, body.to_string().as_bytes())).await
}

#[tokio::test]
async fn keys_come_in_the_operators_header_and_in_no_other() {
    let app = start_with("litellm_key_header_name: X-Company-Key", "").await;
    let own = {
        let headers = [("x-company-key", format!("Bearer {MASTER}"))];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let made = app.ask(&post("/key/generate", &headers, b"{}")).await;
        assert_eq!(made.status, 200, "{}", made.text());
        text(&made.json()["key"])
    };
    for (headers, status) in [
        (vec![("x-company-key", own.clone())], 200),
        (
            vec![("x-company-key", format!("bearer {own}")), ("authorization", "Bearer sk-other".to_owned())],
            200,
        ),
        (vec![("authorization", format!("Bearer {own}"))], 401),
        (vec![("authorization", format!("Bearer {MASTER}"))], 401),
        (vec![("x-litellm-api-key", own.clone())], 401),
        (vec![("x-company-key", "sk-nobodys-0000000000".to_owned()), ("authorization", own.clone())], 401),
    ] {
        let named: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(ask(&app, &named, json!({})).await.status, status, "{named:?}");
    }
    assert_eq!(app.received().len(), 2);
    assert!(
        app.received().iter().all(|request| request.headers.iter().all(|(name, _)| name != "x-company-key"))
    );
    app.stop().await;
}

#[tokio::test]
async fn a_header_names_the_end_user_and_another_the_user_who_pays() {
    let till = Till::with(|yaml| {
        let general = format!("{{master_key: {MASTER}");
        let rows = "user_header_mappings: [{header_name: X-Person, litellm_user_role: internal_user}, \
                    {header_name: x-client, litellm_user_role: customer}], user_header_name: x-old";
        yaml.replace(&general, &format!("{general}, {rows}"))
    })
    .await;
    let app = &till.app;
    made(app, "/user/new", json!({"user_id": "ann", "max_budget": 2, "auto_create_key": false})).await;
    made(app, "/user/new", json!({"user_id": "bob", "auto_create_key": false})).await;
    let bobs = key(app, json!({"user_id": "bob"})).await;
    let ask = async |headers: &[(&str, &str)]| {
        let bearer = format!("Bearer {bobs}");
        let all: Vec<(&str, &str)> =
            headers.iter().copied().chain([("authorization", bearer.as_str())]).collect();
        let mut body = hello("other");
        body["max_tokens"] = json!(100);
        app.ask(&post("/v1/chat/completions", &all, body.to_string().as_bytes())).await
    };
    for headers in [
        &[("x-person", "ann"), ("x-client", "acme"), ("x-old", "nobody")][..],
        &[("x-person", "ann"), ("x-old", "globex")],
        &[("x-client", "acme"), ("x-litellm-customer-id", "initech")],
        &[("x-person", "somebody-new")],
    ] {
        assert_eq!(ask(headers).await.status, 200, "{headers:?}");
    }
    // The budget is hers, whosever the key is.
    let refused = ask(&[("x-person", "ann")]).await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (422, &json!("budget_exceeded")));
    assert_eq!(ask(&[]).await.status, 200);
    let row = |user: &str, end_user: &str| (user.to_owned(), end_user.to_owned());
    let expect = [
        row("ann", "acme"),
        row("ann", "globex"),
        row("bob", ""),
        row("bob", "initech"),
        row("somebody-new", ""),
    ];
    // What was refused has a row too, and any of them may come last.
    let mut rows = Vec::new();
    for _ in 0..1_000 {
        let logs = seen(app, "/spend/logs").await;
        rows = logs
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| (text(&row["user"]), text(&row["end_user"])))
            .collect();
        if expect.iter().all(|row| rows.contains(row)) {
            break;
        }
        settle().await;
    }
    assert_eq!(rows.iter().filter(|row| expect.contains(row)).count(), 5, "{rows:?}");
    let spent = async |user: &str| {
        seen(app, &format!("/user/info?user_id={user}")).await["user_info"]["spend"].clone()
    };
    assert_eq!((spent("ann").await, spent("bob").await), (json!(2.0), json!(2.0)));
    till.app.stop().await;
}

#[tokio::test]
async fn a_request_has_to_say_its_user_and_may_not_say_its_tags() {
    let app = start_with("enforce_user_param: true, reject_clientside_metadata_tags: true", "").await;
    let own = key(&app, json!({"tags": ["job"]})).await;
    let bearer = format!("Bearer {own}");
    let with = async |more: Value| ask(&app, &[("authorization", bearer.as_str())], more).await;
    let lacks = "Authentication Error, 'user' param not passed in. 'enforce_user_param'=True";
    let said = (401, "auth_error".to_owned(), lacks.to_owned());
    assert_eq!(error(&with(json!({})).await), said);
    assert_eq!(error(&chat(&app, MASTER, &hello("chat")).await), said);
    assert_eq!(with(json!({"user": "acme"})).await.status, 200);
    for tagged in [
        json!({"user": "acme", "metadata": {"tags": ["other"]}}),
        json!({"user": "acme", "tags": ["other"]}),
        json!({"user": "acme", "litellm_metadata": {"tags": ["other"]}}),
    ] {
        let refused = with(tagged).await;
        let said = "Client-side 'metadata.tags' not allowed in request. 'reject_clientside_metadata_tags'=True. \
                    Tags can only be set via API key metadata.";
        assert_eq!(error(&refused), (400, "bad_request_error".to_owned(), said.to_owned()));
        assert_eq!(refused.json()["error"]["param"], json!("metadata.tags"));
    }
    let headers = [("authorization", bearer.as_str()), ("x-litellm-tags", "other")];
    assert_eq!(ask(&app, &headers, json!({"user": "acme"})).await.status, 400);
    assert_eq!(app.received().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn end_users_are_blocked_by_the_list_have_to_be_known_or_are_not_counted() {
    let app = start_with("allowed_routes: ['*']", "litellm_settings: {blocked_user_list: [mallory]}\n").await;
    let refused = ask(&app, &[("authorization", MASTER)], json!({"user": "mallory"})).await;
    assert_eq!(
        (refused.status, refused.error_message()),
        (400, "User blocked from making LLM API Calls. User=mallory".to_owned())
    );
    let named = [("authorization", MASTER), ("x-litellm-customer-id", "mallory")];
    assert_eq!(ask(&app, &named, json!({})).await.status, 400);
    assert_eq!(ask(&app, &[("authorization", MASTER)], json!({"user": "alice"})).await.status, 200);
    assert_eq!(app.received().len(), 1);
    app.stop().await;
    for (lite, expect) in [
        ("{validate_end_user_id_in_db: true}", ["", "", "acme", "ann", "ann@example.com"]),
        ("{disable_end_user_cost_tracking: true}", [""; 5]),
        ("{}", ["nobody", "{\"a\":1}", "acme", "ann", "ann@example.com"]),
    ] {
        let app = start_with("allowed_routes: ['*']", &format!("litellm_settings: {lite}\n")).await;
        made(&app, "/customer/new", json!({"user_id": "acme"})).await;
        made(&app, "/customer/new", json!({"user_id": "barred", "blocked": true})).await;
        let ann = json!({"user_id": "ann", "user_email": "Ann@example.com", "auto_create_key": false});
        made(&app, "/user/new", ann).await;
        for user in ["nobody", "{\"a\":1}", "acme", "ann", "ann@example.com"] {
            assert_eq!(
                ask(&app, &[("authorization", MASTER)], json!({"user": user})).await.status,
                200,
                "{user}"
            );
        }
        // Who is blocked is so whatever is counted.
        assert_eq!(ask(&app, &[("authorization", MASTER)], json!({"user": "barred"})).await.status, 400);
        let mut end_users = Vec::new();
        for _ in 0..1_000 {
            let logs = seen(&app, "/spend/logs").await;
            let rows = logs.as_array().cloned().unwrap_or_default();
            let good = rows.iter().filter(|row| row["status"] != json!("failure"));
            end_users = good.map(|row| text(&row["end_user"])).collect();
            if end_users.len() >= 5 {
                break;
            }
            settle().await;
        }
        end_users.sort();
        let mut expect = expect.map(str::to_owned);
        expect.sort();
        assert_eq!(end_users, expect, "{lite}");
        app.stop().await;
    }
}

#[tokio::test]
async fn texts_and_aliases_of_keys_are_as_the_operator_wants_them() {
    let app =
        start_with("disable_custom_api_keys: true", "litellm_settings: {key_alias_pattern: 'team-[a-z]+'}\n")
            .await;
    let said = "Custom API key values are disabled by your administrator. Keys must be auto-generated.";
    let own = made(&app, "/key/generate", json!({"key_alias": "team-search"})).await;
    let own = text(&own["key"]);
    let chosen = json!({"key": "sk-chosen-by-somebody-000"});
    for (path, body) in [
        ("/key/generate".to_owned(), chosen.clone()),
        (
            "/key/service-account/generate".to_owned(),
            json!({"key": "sk-chosen-by-somebody-000", "team_id": "t"}),
        ),
        (format!("/key/{own}/regenerate"), json!({"new_key": "sk-chosen-by-somebody-000"})),
    ] {
        let refused = admin(&app, &path, body).await;
        assert_eq!((refused.status, refused.error_message()), (403, said.to_owned()), "{path}");
    }
    let wants = "Invalid key_alias format. Must be at most 255 characters and match the configured \
                 key_alias_pattern: team-[a-z]+";
    for alias in ["team-search-2", "Team-search", "x team-search"] {
        let refused = admin(&app, "/key/generate", json!({"key_alias": alias})).await;
        assert_eq!(error(&refused), (400, "bad_request_error".to_owned(), wants.to_owned()), "{alias}");
        assert_eq!(refused.json()["error"]["param"], json!("key_alias"));
        let changed = json!({"key": own, "key_alias": alias});
        assert_eq!(admin(&app, "/key/update", changed).await.status, 400);
    }
    // What was named before stays as it is named.
    assert_eq!(admin(&app, "/key/update", json!({"key": own, "max_budget": 1})).await.status, 200);
    app.stop().await;
    let app =
        start_with("allowed_routes: ['*']", "litellm_settings: {enable_key_alias_format_validation: true}\n")
            .await;
    for (alias, status) in [("a", 400), ("prod key", 400), ("-prod", 400), ("Prod/key.1@x", 200)] {
        assert_eq!(admin(&app, "/key/generate", json!({"key_alias": alias})).await.status, status, "{alias}");
    }
    app.stop().await;
}

#[tokio::test]
async fn who_makes_keys_is_narrowed_for_users_and_for_administrators_of_organizations() {
    let open = async |general: &str| {
        let app = start_with(general, "").await;
        made(&app, "/organization/new", json!({"organization_id": "lab", "organization_alias": "lab"})).await;
        let user = made(&app, "/user/new", json!({"user_id": "ann", "user_role": "internal_user"})).await;
        let chief = made(&app, "/user/new", json!({"user_id": "chief", "user_role": "internal_user"})).await;
        let member = json!({"user_id": "chief", "role": "org_admin"});
        made(&app, "/organization/member_add", json!({"organization_id": "lab", "member": member})).await;
        let members = json!([{"user_id": "ann", "role": "admin"}, {"user_id": "chief", "role": "admin"}]);
        made(&app, "/team/new", json!({"team_id": "t", "members_with_roles": members})).await;
        (app, text(&user["key"]), text(&chief["key"]))
    };
    let personal = |user: &str| json!({"user_id": user});
    let teams = |user: &str| json!({"user_id": user, "team_id": "t"});
    for (general, expect) in [
        ("allowed_routes: ['*']", [200, 200, 200, 200]),
        ("default_team_disabled: true", [401, 200, 401, 200]),
        ("disable_key_generate_for_org_admin: true", [200, 200, 401, 401]),
    ] {
        let (app, ann, chief) = open(general).await;
        let mut found = Vec::new();
        for (key, user) in [(&ann, "ann"), (&chief, "chief")] {
            for body in [personal(user), teams(user)] {
                found.push(ask_as(&app, key, "/key/generate", &body).await.status);
            }
        }
        assert_eq!(found, expect, "{general}");
        // Administrators of the gateway make any.
        assert_eq!(admin(&app, "/key/generate", personal("ann")).await.status, 200);
        app.stop().await;
    }
}

#[tokio::test]
async fn an_address_is_believed_of_proxies_alone() {
    let open = |more: &str| {
        let general = format!("allowed_ips: [203.0.113.0/24], use_x_forwarded_for: true{more}");
        async move { start_with(&general, "").await }
    };
    let bearer = format!("Bearer {MASTER}");
    let from =
        |address: &'static str| [("authorization", bearer.clone()), ("x-forwarded-for", address.to_owned())];
    for (more, statuses) in [
        (", trusted_proxy_ranges: [127.0.0.0/8]", [200, 403, 403]),
        ("", [403, 403, 403]),
        (", trusted_proxy_ranges: [10.0.0.0/8]", [403, 403, 403]),
    ] {
        let app = open(more).await;
        for (address, status) in
            ["203.0.113.7", "198.51.100.7", "203.0.113.7, 198.51.100.7"].into_iter().zip(statuses)
        {
            let headers = from(address);
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(ask(&app, &headers, json!({})).await.status, status, "{more} {address}");
        }
        assert_eq!(get_as(&app, MASTER, "/health/liveliness").await.status, 200);
        app.stop().await;
    }
}
