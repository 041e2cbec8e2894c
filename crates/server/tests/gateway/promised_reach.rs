//! What is promised of who may call, from where, by which name and how often, over the running gateway.

use crate::support::admin::{MASTER, ask_as, chat, config, counted, each, get_as, key, made, start, text};
use crate::support::{Answer, App, hello, post};
use serde_json::{Value, json};

/// A gateway with more of `general_settings`, and of the file.
async fn start_with(general: &str, more: &str) -> App {
    let plain = format!("{{master_key: {MASTER}}}");
    let yaml = config(more).replace(&plain, &format!("{{master_key: {MASTER}{general}}}"));
    App::start(yaml, counted()).await
}

/// A chat that came by way of these addresses.
async fn by_way_of(app: &App, key: &str, forwarded: &[&str]) -> Answer {
    let bearer = format!("Bearer {key}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(forwarded.iter().map(|addresses| ("x-forwarded-for", *addresses)));
    app.ask(&post("/v1/chat/completions", &headers, hello("chat").to_string().as_bytes())).await
}

const TRUSTED: &str = "tollgate_settings: {trusted_proxies: [127.0.0.0/8]}\n";
/// Which ways are from within `10.0.0.0/8` where the balancer at `127.0.0.1` is believed, and the address that is told.
const WAYS: &[(&[&str], Result<(), &str>)] = &[
    (&["10.1.2.3"], Ok(())),
    (&["192.0.2.1"], Err("192.0.2.1")),
    (&[], Err("127.0.0.1")),
    // The first of them is what the caller itself wrote.
    (&["10.1.2.3, 192.0.2.1"], Err("192.0.2.1")),
    (&["10.1.2.3", "192.0.2.1"], Err("192.0.2.1")),
    (&["192.0.2.1, 10.1.2.3"], Ok(())),
    (&["192.0.2.1", "10.1.2.3"], Ok(())),
    (&["192.0.2.1, 10.1.2.3, 127.0.0.9"], Ok(())),
];

async fn check_ways(app: &App, key: &str, is_believed: bool) {
    for (way, expect) in WAYS {
        let expect = if is_believed { *expect } else { Err("127.0.0.1") };
        let sent = app.received().len();
        let answer = by_way_of(app, key, way).await;
        match expect {
            Ok(()) => assert_eq!(answer.status, 200, "{way:?}: {}", answer.text()),
            Err(address) => {
                assert_eq!((answer.status, app.received().len()), (403, sent), "{way:?}");
                let said = answer.error_message();
                assert!(said.contains(&format!("IP address {address} ")), "{way:?}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn the_address_that_a_trusted_balancer_tells_is_the_callers_and_no_other() {
    for (more, is_believed) in
        [(TRUSTED, true), ("", false), ("tollgate_settings: {trusted_proxies: [198.51.100.0/24]}\n", false)]
    {
        let app = start_with(", allowed_ips: [10.0.0.0/8]", more).await;
        check_ways(&app, MASTER, is_believed).await;
        app.stop().await;
        let app = start_with("", more).await;
        let bound = key(&app, json!({"allowed_ips": ["10.0.0.0/8"]})).await;
        check_ways(&app, &bound, is_believed).await;
        // Others may come from anywhere.
        assert_eq!(by_way_of(&app, MASTER, &["192.0.2.1"]).await.status, 200);
        app.stop().await;
    }
    let app = start("").await;
    let near = key(&app, json!({"allowed_ips": ["127.0.0.1"]})).await;
    assert_eq!(by_way_of(&app, &near, &["192.0.2.1"]).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn keys_and_teams_have_names_of_their_own_for_models() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t", "model_aliases": {"ours": "other", "both": "other"}}))
        .await;
    let own = key(&app, json!({"aliases": {"mine": "chat", "both": "chat"}, "team_id": "t"})).await;
    let of_team = key(&app, json!({"team_id": "t"})).await;
    let plain = key(&app, json!({})).await;
    // The deployment of `chat` is `a`, that of `other` is `b`; a key's own names come first.
    for (key, model, expect) in [
        (&own, "mine", [1, 0]),
        (&own, "both", [1, 0]),
        (&own, "ours", [0, 1]),
        (&own, "chat", [1, 0]),
        (&of_team, "ours", [0, 1]),
        (&of_team, "both", [0, 1]),
        (&of_team, "mine", [0, 0]),
        (&plain, "mine", [0, 0]),
        (&plain, "ours", [0, 0]),
    ] {
        app.simulator.forget_received();
        let answer = chat(&app, key, &hello(model)).await;
        let served = if expect == [0, 0] { 400 } else { 200 };
        assert_eq!((answer.status, app.sends(["a", "b"])), (served, expect), "{model}: {}", answer.text());
    }
    // Another route of the same.
    app.simulator.forget_received();
    let body = json!({"model": "mine", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(ask_as(&app, &own, "/v1/messages", &body).await.status, 200);
    assert_eq!(app.sends(["a", "b"]), [1, 0]);
    // Names of groups are listed, those of one's own are not.
    for key in [&own, &of_team, &plain] {
        let listed = get_as(&app, key, "/v1/models").await.json();
        assert_eq!(each(&listed["data"], "id"), ["chat", "other"]);
    }
    app.stop().await;
}

/// Who is limited: the admin call that makes it, with the limit; the members of a key of theirs, and of its requests;
/// what a refusal calls it; whether it has limits other than those of a minute.
pub(crate) struct Held {
    pub(crate) path: &'static str,
    body: Value,
    of_key: Value,
    pub(crate) of_request: Value,
    pub(crate) scope: &'static str,
    has_days: bool,
}

pub(crate) fn scopes() -> Vec<Held> {
    let held = |path, body, of_key, scope| {
        let has_days = path != "/team/member_update";
        Held { path, body, of_key, of_request: json!({}), scope, has_days }
    };
    let said = |path, name: &str, of_request, scope| {
        let body = json!({name: "x"});
        Held { path, body, of_key: json!({}), of_request, scope, has_days: true }
    };
    let by = |name: &str| json!({name: "x"});
    let member = json!({"user_id": "x", "team_id": "t"});
    let user = json!({"user_id": "x", "auto_create_key": false});
    let organization = json!({"organization_alias": "x", "organization_id": "x"});
    let project = json!({"project_id": "x", "team_id": "t", "project_alias": "x"});
    let tagged = json!({"metadata": {"tags": ["x"]}});
    vec![
        held("/user/new", user, by("user_id"), "user: x"),
        held("/team/new", by("team_id"), by("team_id"), "team: x"),
        held("/team/member_update", member.clone(), member, "team_member: "),
        held("/organization/new", organization, by("organization_id"), "organization: x"),
        held("/project/new", project, by("project_id"), "project: x"),
        said("/customer/new", "user_id", json!({"user": "x"}), "end_user: x"),
        said("/tag/new", "name", tagged, "tag: x"),
    ]
}

impl Held {
    /// What a refusal for a rate, and a header, call such a one.
    pub(crate) fn word(&self) -> &'static str {
        self.scope.split_once(':').unwrap().0
    }

    /// Makes who is limited: a key of theirs.
    pub(crate) async fn key(&self, app: &App, limit: &Value) -> String {
        if self.body["team_id"] == json!("t") {
            let members = json!([{"user_id": "x", "role": "user"}]);
            made(app, "/team/new", json!({"team_id": "t", "members_with_roles": members})).await;
        }
        made(app, self.path, join(self.body.clone(), limit)).await;
        key(app, self.of_key.clone()).await
    }
}

/// An object with the members of another.
pub(crate) fn join(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Makes who is limited and their key, and asks until a refusal comes: how many passed, and the refusal.
async fn asked_until_refused(held: &Held, limit: &Value) -> (usize, Answer) {
    let app = start("").await;
    let key = held.key(&app, limit).await;
    let asked = join(hello("chat"), &held.of_request);
    for passed in 0..10 {
        let answer = chat(&app, &key, &asked).await;
        if answer.status != 200 {
            assert_eq!(app.received().len(), passed);
            app.stop().await;
            return (passed, answer);
        }
    }
    panic!("{} {limit} holds nobody", held.path);
}

fn check_refusal(answer: &Answer, (scope, kind, limit): (&str, &str, u64), most_wait: u64) {
    let error = answer.error();
    assert_eq!((answer.status, &error["type"]), (429, &json!("throttling_error")), "{}", answer.text());
    let said = text(&error["message"]);
    assert!(said.starts_with(&format!("Rate limit exceeded for {scope}")), "{scope}: {said}");
    let of = format!("Limit type: {kind}. Current limit: {limit}, Remaining: ");
    assert!(said.contains(&of), "{said} has no {of}");
    assert_eq!(answer.header("rate_limit_type"), Some(kind), "{said}");
    let wait: u64 =
        answer.header("retry-after").unwrap_or_else(|| panic!("no wait: {said}")).parse().unwrap();
    // A window is exact to a six-hundredth of it.
    assert!(wait <= most_wait + most_wait / 600 + 1 && wait + 10 >= most_wait, "{scope} {kind}: {wait}");
}

#[tokio::test]
async fn a_refusal_for_a_rate_names_whose_limit_it_is_and_which() {
    for held in scopes() {
        let (passed, refused) = asked_until_refused(&held, &json!({"rpm_limit": 2})).await;
        assert_eq!(passed, 2, "{}", held.scope);
        check_refusal(&refused, (held.scope, "requests", 2), 60);
        // 1,100 tokens each; the second holds its prompt and a quarter of the limit.
        let (passed, refused) = asked_until_refused(&held, &json!({"tpm_limit": 1_400})).await;
        assert_eq!(passed, 1, "{}", held.scope);
        check_refusal(&refused, (held.scope, "tokens", 1_400), 60);
        if !held.has_days {
            continue;
        }
        for (limit, kind, most, expect) in
            [(json!({"tpd_limit": 1_400}), "tokens", 1_400, 1), (json!({"rpd_limit": 3}), "requests", 3, 3)]
        {
            let (passed, refused) = asked_until_refused(&held, &limit).await;
            assert_eq!(passed, expect, "{} {limit}", held.scope);
            check_refusal(&refused, (held.scope, kind, most), 86_400);
        }
        // What is told by requests alone has no metadata.
        if held.of_request == json!({}) {
            let own = json!({"metadata": {"tollgate_rate_limits": [{"unit": "requests", "window": "1h", "limit": 1}]}});
            let (passed, refused) = asked_until_refused(&held, &own).await;
            assert_eq!(passed, 1, "{}", held.scope);
            check_refusal(&refused, (held.scope, "requests", 1), 3_600);
        }
    }
}

#[tokio::test]
async fn a_model_is_held_by_its_limits_whoever_asks_and_no_other_model_is() {
    for (limit, kind, most, expect) in [("rpm_limit", "requests", 2, 2), ("tpm_limit", "tokens", 1_400, 1)] {
        let app =
            start(&format!("tollgate_settings: {{model_budgets: {{chat: {{{limit}: {most}}}}}}}\n")).await;
        for _ in 0..expect {
            assert_eq!(chat(&app, &key(&app, json!({})).await, &hello("chat")).await.status, 200);
        }
        for key in [key(&app, json!({})).await, MASTER.to_owned()] {
            check_refusal(&chat(&app, &key, &hello("chat")).await, ("model: chat", kind, most), 60);
            assert_eq!(chat(&app, &key, &hello("other")).await.status, 200);
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn the_tightest_of_several_limits_refuses_and_what_was_refused_uses_up_none_of_the_others() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t", "rpm_limit": 5})).await;
    let tight = key(&app, json!({"team_id": "t", "rpm_limit": 2})).await;
    let wide = key(&app, json!({"team_id": "t"})).await;
    let statuses = async |key: &str, times: usize| {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(chat(&app, key, &hello("chat")).await.status);
        }
        statuses
    };
    assert_eq!(statuses(&tight, 6).await, [200, 200, 429, 429, 429, 429]);
    // Three are left to the team: the four that were refused counted nowhere.
    assert_eq!(statuses(&wide, 4).await, [200, 200, 200, 429]);
    check_refusal(&chat(&app, &wide, &hello("chat")).await, ("team: t", "requests", 5), 60);
    check_refusal(&chat(&app, &tight, &hello("chat")).await, ("api_key: ", "requests", 2), 60);
    app.stop().await;
}

#[tokio::test]
async fn a_key_is_held_by_each_of_its_limits() {
    let own = |unit: &str, window: &str, limit: u64| json!({"metadata": {"tollgate_rate_limits": [{"unit": unit, "window": window, "limit": limit}]}});
    for (limits, scope, kind, most, wait, expect) in [
        (json!({"model_tpm_limit": {"chat": 1_400}}), "model_per_key: ", "tokens", 1_400, 60, 1),
        (json!({"tpd_limit": 1_400}), "api_key: ", "tokens", 1_400, 86_400, 1),
        (json!({"rpd_limit": 2}), "api_key: ", "requests", 2, 86_400, 2),
        (own("requests", "1h", 2), "api_key: ", "requests", 2, 3_600, 2),
        (own("tokens", "12h", 1_400), "api_key: ", "tokens", 1_400, 43_200, 1),
        (own("input_tokens", "5m", 2_000), "api_key: ", "input_tokens", 2_000, 300, 2),
        (own("output_tokens", "5m", 200), "api_key: ", "output_tokens", 200, 300, 2),
    ] {
        let app = start("").await;
        let held = key(&app, limits.clone()).await;
        for passed in 0..expect {
            let answer = chat(&app, &held, &hello("chat")).await;
            assert_eq!(answer.status, 200, "{limits} {passed}: {}", answer.text());
        }
        check_refusal(&chat(&app, &held, &hello("chat")).await, (scope, kind, most), wait);
        let other = chat(&app, &held, &hello("other")).await;
        assert_eq!(other.status, if scope == "model_per_key: " { 200 } else { 429 }, "{limits}");
        app.stop().await;
    }
}
