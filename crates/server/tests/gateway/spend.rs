//! What was spent, as every report tells it: a handful of requests by two keys of two teams, and the same sums everywhere.

use crate::support::admin::rows;
use crate::support::{Answer, App, Wire, advance, hello, model_list, post, seconds, streamed};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, ResetPoint, Rule, Script, TokenCounts};

const MASTER: &str = "sk-master-0123456789";
/// 1,000 tokens of prompt at $2.50 a million and 100 of answer at $10.
const COST: f64 = 0.0035;

fn config(more: &str) -> String {
    let entries = [Wire::OpenAi.parameters("a"), Wire::OpenAi.parameters("b")];
    let list = model_list(&[("chat", &entries[0]), ("other", &entries[1])]);
    format!("{list}general_settings: {{master_key: {MASTER}}}\n{more}")
}

fn counted() -> Script {
    let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)))
}

async fn post_as(app: &App, key: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    app.ask(&post(path, &[("authorization", &bearer)], body.to_string().as_bytes())).await
}

async fn get_as(app: &App, key: &str, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\r\n");
    app.ask(request.as_bytes()).await
}

/// A report that has to be there.
async fn report(app: &App, path: &str) -> Value {
    let answer = get_as(app, MASTER, path).await;
    assert_eq!(answer.status, 200, "{path} {}", answer.text());
    answer.json()
}

/// Records without forms of their own yet are made by what makes them: keys name teams and users.
async fn key(app: &App, body: Value) -> String {
    let made = post_as(app, MASTER, "/key/generate", &body).await;
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}

struct World {
    app: App,
    one: String,
    two: String,
    today: String,
}

/// Three requests of one key and two of another, with tags and customers.
async fn world() -> World {
    let app = App::start(config(""), counted()).await;
    let one = key(&app, json!({"key_alias": "one", "metadata": {"x": 1}})).await;
    let two = key(&app, json!({"key_alias": "two"})).await;
    for (key, group, more) in [
        (&one, "chat", json!({"user": "c1", "metadata": {"tags": ["red", "blue"]}})),
        (&one, "other", json!({"user": "c1", "metadata": {"tags": ["red"]}})),
        (&one, "chat", json!({})),
        (&two, "chat", json!({"user": "c2"})),
        (&two, "chat", json!({"metadata": {"tags": ["blue"]}})),
    ] {
        let mut body = hello(group);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = post_as(&app, key, "/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    rows(&app, 5).await;
    let rows = report(&app, "/spend/logs/v2").await;
    let today = rows["data"][0]["startTime"].as_str().unwrap()[..10].to_owned();
    World { app, one, two, today }
}

impl World {
    fn days(&self) -> String {
        format!("start_date={0}&end_date={0}", self.today)
    }

    async fn token(&self, key: &str) -> String {
        let rows = report(&self.app, &format!("/spend/logs/v2?api_key={key}")).await;
        rows["data"][0]["api_key"].as_str().unwrap().to_owned()
    }
}

#[track_caller]
fn costs(found: &Value, requests: u32) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found}"));
    assert!((found - f64::from(requests) * COST).abs() < 1e-12, "{found} is not {requests} x {COST}");
}

#[tokio::test]
async fn attempts_are_listed_with_whose_they_are_in_pages_and_by_filters() {
    let world = world().await;
    let app = &world.app;
    let all = report(app, "/spend/logs/v2?page_size=2").await;
    assert_eq!(
        [&all["total"], &all["page"], &all["page_size"], &all["total_pages"]],
        [&json!(5), &json!(1), &json!(2), &json!(3)]
    );
    let mut seen = 0;
    for page in 1..=4 {
        let page = report(app, &format!("/spend/logs/v2?page_size=2&page={page}")).await;
        for row in page["data"].as_array().unwrap() {
            seen += 1;
            costs(&row["spend"], 1);
            assert_eq!((&row["total_tokens"], &row["status"]), (&json!(1_100), &json!("success")));
        }
    }
    assert_eq!(seen, 5);
    let one = world.token(&world.one).await;
    for (filter, count) in [
        (format!("api_key={}", world.one), 3),
        (format!("api_key={one}"), 3),
        ("key_alias=two".to_owned(), 2),
        ("key_alias=nobody".to_owned(), 0),
        ("end_user=c1".to_owned(), 2),
        ("model_group=other".to_owned(), 1),
        ("model=openai/gpt-4o".to_owned(), 5),
        ("model=anthropic/gpt-4o".to_owned(), 0),
        ("tags=blue".to_owned(), 2),
        ("status_filter=failure".to_owned(), 0),
        ("min_spend=0.0035".to_owned(), 5),
        ("min_spend=0.0036".to_owned(), 0),
        (world.days(), 5),
        ("start_date=2000-01-01&end_date=2000-01-02".to_owned(), 0),
    ] {
        let found = report(app, &format!("/spend/logs/v2?{filter}")).await;
        assert_eq!(found["total"], json!(count), "{filter}");
    }
    let whole = report(app, &format!("/spend/logs?summarize=false&{}", world.days())).await;
    assert_eq!(whole.as_array().unwrap().len(), 5);
    let bad = get_as(app, MASTER, "/spend/logs/v2?start_date=yesterday").await;
    assert_eq!((bad.status, &bad.json()["error"]["param"]), (400, &json!("start_date")));
    world.app.stop().await;
}

#[tokio::test]
async fn every_report_has_the_same_sums() {
    let world = world().await;
    let (app, days) = (&world.app, world.days());
    costs(&report(app, "/global/spend").await["spend"], 5);
    costs(&report(app, "/global/spend/logs").await[0]["spend"], 5);
    let keys = report(app, "/global/spend/keys").await;
    assert_eq!((&keys[0]["key_alias"], &keys[1]["key_alias"]), (&json!("one"), &json!("two")));
    costs(&keys[0]["total_spend"], 3);
    let models = report(app, "/global/spend/models?limit=5").await;
    assert_eq!(models[0]["model"], "openai/gpt-4o");
    costs(&models[0]["total_spend"], 5);
    let providers = report(app, &format!("/global/spend/provider?{days}")).await;
    assert_eq!(providers[0]["provider"], "openai");
    costs(&providers[0]["spend"], 5);
    let tags = report(app, &format!("/global/spend/tags?{days}")).await;
    let tags = tags["spend_per_tag"].as_array().unwrap();
    assert_eq!(tags.iter().map(|tag| &tag["name"]).collect::<Vec<_>>(), ["blue", "red"]);
    tags.iter().for_each(|tag| costs(&tag["spend"], 2));
    let tags = report(app, "/spend/tags").await;
    assert_eq!((&tags[0]["individual_request_tag"], &tags[0]["log_count"]), (&json!("blue"), &json!(2)));
    let customers = post_as(app, MASTER, "/global/spend/end_users", &json!({})).await.json();
    let counts: Vec<_> = customers.as_array().unwrap().iter().map(|row| &row["end_user"]).collect();
    assert_eq!(counts, ["", "c1", "c2"]);
    costs(&customers[1]["total_spend"], 2);
    let teams = report(app, "/global/spend/teams").await;
    assert_eq!(teams["teams"], json!(["Unassigned"]));
    costs(&teams["total_spend_per_team"][0]["total_spend"], 5);
    let activity = report(app, &format!("/global/activity?{days}")).await;
    assert_eq!((&activity["sum_api_requests"], &activity["sum_total_tokens"]), (&json!(5), &json!(5_500)));
    let models = report(app, &format!("/global/activity/model?{days}")).await;
    assert_eq!((&models[0]["model"], &models[0]["sum_api_requests"]), (&json!("chat"), &json!(4)));
    let summary = report(app, &format!("/spend/logs?{days}")).await;
    costs(&summary[0]["spend"], 5);
    costs(&summary[0]["users"][""], 5);
    costs(&summary[0]["models"]["openai/gpt-4o"], 5);
    costs(&summary[0][world.token(&world.two).await], 2);
    let report_of_key = report(app, &format!("/global/spend/report?{days}&api_key={}", world.one)).await;
    costs(&report_of_key[0]["total_cost"], 3);
    let by_customer = report(app, &format!("/global/spend/report?{days}&group_by=customer")).await;
    costs(&by_customer[0]["customers"][0]["total_spend"], 2);
    let missing = get_as(app, MASTER, "/global/spend/tags").await;
    assert_eq!(
        missing.json(),
        json!({"error": {"message": "Please provide start_date and end_date", "type": "bad_request", "param": null,
            "code": "400"}})
    );
    world.app.stop().await;
}

#[tokio::test]
async fn days_are_taken_apart_and_their_parts_add_up() {
    let world = world().await;
    let (app, days) = (&world.app, world.days());
    let all = report(app, &format!("/user/daily/activity/aggregated?{days}")).await;
    costs(&all["metadata"]["total_spend"], 5);
    assert_eq!(all["metadata"]["total_api_requests"], 5);
    let day = &all["results"][0];
    assert_eq!((&day["date"], &day["metrics"]["total_tokens"]), (&json!(world.today), &json!(5_500)));
    let groups = &day["breakdown"]["model_groups"];
    costs(&groups["chat"]["metrics"]["spend"], 4);
    costs(&groups["other"]["metrics"]["spend"], 1);
    let one = world.token(&world.one).await;
    let key = &day["breakdown"]["api_keys"][&one];
    costs(&key["metrics"]["spend"], 3);
    assert_eq!(key["metadata"]["key_alias"], "one");
    costs(&groups["chat"]["api_key_breakdown"][&one]["metrics"]["spend"], 2);
    // The same rows page by page.
    let (mut sum, mut page) = (0.0, 1);
    loop {
        let part = report(app, &format!("/user/daily/activity?{days}&page_size=1&page={page}")).await;
        sum += part["metadata"]["total_spend"].as_f64().unwrap();
        if part["metadata"]["has_more"] == json!(false) {
            break;
        }
        page += 1;
    }
    assert_eq!(page, 3);
    costs(&json!(sum), 5);
    let few = report(app, &format!("/user/daily/activity/aggregated?{days}&api_key_limit=1")).await;
    assert_eq!(few["metadata"]["total_api_keys"], 2);
    costs(&few["metadata"]["total_spend"], 5);
    assert_eq!(few["results"][0]["breakdown"]["api_keys"].as_object().unwrap().len(), 1);
    let tags = report(app, &format!("/tag/daily/activity?{days}&tags=red")).await;
    costs(&tags["results"][0]["breakdown"]["entities"]["red"]["metrics"]["spend"], 2);
    let customers = report(app, &format!("/customer/daily/activity?{days}&exclude_end_user_ids=c1")).await;
    costs(&customers["metadata"]["total_spend"], 1);
    let keys = report(app, &format!("/user/daily/activity/aggregated/keys?{days}&limit=1&offset=1")).await;
    assert_eq!(
        (&keys["total_api_keys"], &keys["api_keys"][0]["metadata"]["key_alias"]),
        (&json!(2), &json!("two"))
    );
    let top = format!("/user/daily/activity/aggregated/model_top_keys?{days}&model_group=other");
    costs(&report(app, &top).await["api_keys"][0]["metrics"]["spend"], 1);
    let found = report(app, &format!("/user/daily/activity/aggregated/search?{days}&search=TW")).await;
    assert_eq!(found["api_keys"].as_array().unwrap().len(), 1);
    let rows =
        report(app, &format!("/user/daily/activity/export?{days}&export_type=daily_with_models")).await;
    assert_eq!(rows[0]["model"], "openai/gpt-4o");
    let summary = report(app, &format!("/tag/summary?{days}")).await;
    assert_eq!(
        (&summary["results"][0]["tag"], &summary["results"][0]["unique_users"]),
        (&json!("blue"), &json!(2))
    );
    assert_eq!(report(app, "/tag/dau").await["results"][0]["active_users"], 2);
    assert_eq!(report(app, "/tag/mau?tag_filter=red").await["results"][0]["active_users"], 1);
    world.app.stop().await;
}

#[tokio::test]
async fn a_key_sees_what_is_its_own_and_nothing_of_all() {
    let world = world().await;
    let (app, days) = (&world.app, world.days());
    for path in ["/spend/logs/v2", "/spend/logs/v2?key_alias=one"] {
        let own = get_as(app, &world.two, path).await;
        let count = if path.contains('?') { 0 } else { 2 };
        assert_eq!((own.status, &own.json()["total"]), (200, &json!(count)), "{path} {}", own.text());
    }
    let others = get_as(app, &world.two, &format!("/spend/logs/v2?api_key={}", world.one)).await;
    assert_eq!(others.json()["total"], 0);
    let own = get_as(app, &world.two, &format!("/spend/logs?{days}")).await;
    costs(&own.json()[0]["spend"], 2);
    for path in ["/global/spend", "/audit", "/global/spend/keys"] {
        let refused = get_as(app, &world.two, path).await;
        assert!([401, 403].contains(&refused.status), "{path} {}", refused.text());
    }
    world.app.stop().await;
}

#[tokio::test]
async fn what_keys_have_spent_is_set_back_and_stays_in_the_reports() {
    let world = world().await;
    let app = &world.app;
    let keys = report(app, "/spend/keys").await;
    costs(&keys[0]["spend"], 3);
    costs(&keys[1]["spend"], 2);
    let reset = post_as(app, MASTER, "/global/spend/reset", &json!({})).await;
    assert_eq!(reset.json()["status"], "success", "{}", reset.text());
    let keys = report(app, "/spend/keys?limit=1").await;
    assert_eq!(keys.as_array().unwrap().len(), 1);
    costs(&keys[0]["spend"], 0);
    costs(&report(app, "/global/spend").await["spend"], 5);
    let audit = report(app, "/audit?action=spend%20reset").await;
    assert_eq!((&audit["total"], &audit["total_pages"]), (&json!(2), &json!(1)));
    let row = &audit["audit_logs"][0];
    assert_eq!(row["table_name"], "LiteLLM_VerificationToken");
    let one = report(app, &format!("/audit/{}", row["id"].as_str().unwrap())).await;
    assert_eq!(&one, row);
    let created = report(app, "/audit?action=created&table_name=LiteLLM_VerificationToken&page_size=1").await;
    assert_eq!((&created["total"], &created["total_pages"]), (&json!(2), &json!(2)));
    assert_eq!(get_as(app, MASTER, "/audit/999999").await.status, 404);
    world.app.stop().await;
}

#[tokio::test]
async fn the_cost_of_a_request_and_of_a_reply_is_calculated() {
    let app = App::start(config(""), counted()).await;
    let on = &app;
    let ask = |body: Value| async move { post_as(on, MASTER, "/spend/calculate", &body).await };
    // "hi there" are 2 tokens, 3 around the message, its role, and 3 that begin the answer: 9 x $2.50 a million.
    let before = ask(json!({"model": "chat", "messages": [{"role": "user", "content": "hi there"}]})).await;
    assert_eq!(before.json(), json!({"cost": 2.25e-05}), "{}", before.text());
    let usage = json!({"prompt_tokens": 1_000, "completion_tokens": 100});
    let after = ask(json!({"completion_response": {"model": "gpt-4o", "usage": usage}})).await;
    costs(&after.json()["cost"], 1);
    let unknown = ask(json!({"model": "nobody/knows", "messages": []})).await;
    assert_eq!(unknown.status, 400);
    app.stop().await;
}

#[tokio::test]
async fn budgets_of_providers_are_told_where_there_are_any() {
    let app = App::start(config(""), counted()).await;
    let none = get_as(&app, MASTER, "/provider/budgets").await;
    assert_eq!((none.status, &none.json()["error"]["type"]), (404, &json!("not_found_error")));
    app.stop().await;
    let budgets =
        "router_settings: {provider_budget_config: {openai: {budget_limit: 10, time_period: 1d}}}\n";
    let app = App::start(config(budgets), counted()).await;
    assert_eq!(post_as(&app, MASTER, "/v1/chat/completions", &hello("chat")).await.status, 200);
    rows(&app, 1).await;
    let told = report(&app, "/provider/budgets").await;
    let openai = &told["providers"]["openai"];
    assert_eq!((&openai["budget_limit"], &openai["time_period"]), (&json!(10.0), &json!("1d")));
    costs(&openai["spend"], 1);
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_by_a_budget_or_a_limit_and_a_failure_stand_in_the_logs_and_cost_nothing() {
    let failing = Script::new().rule(Rule::any(Behaviour::new().fault(Fault::status(500))));
    let app = App::start(config("litellm_settings: {num_retries: 0}\n"), failing).await;
    let poor = key(&app, json!({"key_alias": "poor", "max_budget": 0})).await;
    let slow = key(&app, json!({"rpm_limit": 1})).await;
    let mut body = hello("chat");
    body["user"] = json!("c1");
    assert_eq!(post_as(&app, &poor, "/v1/chat/completions", &body).await.status, 422);
    assert_eq!(post_as(&app, &slow, "/v1/chat/completions", &body).await.status, 500);
    assert_eq!(post_as(&app, &slow, "/v1/chat/completions", &body).await.status, 429);
    assert_eq!(post_as(&app, "sk-nobody-has-this-key", "/v1/chat/completions", &body).await.status, 401);
    rows(&app, 3).await;
    for (code, class) in [(422, "BudgetExceededError"), (500, "APIError"), (429, "RateLimitError")] {
        let found = report(&app, &format!("/spend/logs/v2?error_code={code}")).await;
        assert_eq!(found["total"], 1, "{code} {found}");
        let row = &found["data"][0];
        costs(&row["spend"], 0);
        assert_eq!((&row["status"], &row["end_user"]), (&json!("failure"), &json!("c1")));
        let error = &row["metadata"]["error_information"];
        assert_eq!((&error["error_code"], &error["error_class"]), (&json!(code.to_string()), &json!(class)));
    }
    let refused = report(&app, "/spend/logs/v2?error_code=422").await;
    let metadata = &refused["data"][0]["metadata"];
    assert_eq!(metadata["user_api_key_alias"], "poor");
    assert_eq!(metadata["error_information"]["error_budget_entity_type"], "key");
    let today = refused["data"][0]["startTime"].as_str().unwrap()[..10].to_owned();
    let limited = format!("/global/activity/exceptions?start_date={today}&end_date={today}&model_group=chat");
    assert_eq!(report(&app, &limited).await["sum_num_rate_limit_exceptions"], 1);
    costs(&report(&app, "/global/spend").await["spend"], 0);
    app.stop().await;
}

#[tokio::test]
async fn what_was_left_at_work_is_the_gateways_own_and_what_broke_before_it_answered_costs_nothing() {
    for (fault, is_left) in
        [(Fault::Hang, true), (Fault::Reset(ResetPoint::BeforeHead), false), (Fault::status(500), false)]
    {
        let broken = Script::new().rule(Rule::any(Behaviour::new().fault(fault.clone())));
        let app = App::start(config("litellm_settings: {num_retries: 0}\n"), broken).await;
        let own = key(&app, json!({"max_budget": 1})).await;
        let headers = [("authorization", format!("Bearer {own}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let headers = [headers[0], ("x-litellm-timeout", "15")];
        let mut connection = app.connect().await;
        let body = hello("chat").to_string();
        connection.write(&post("/v1/chat/completions", &headers, body.as_bytes())).await;
        if is_left {
            app.until_waiting(1).await;
            advance(seconds(15)).await;
        }
        let answer = connection.answer().await;
        assert!(answer.status >= 400, "{fault:?}");
        rows(&app, if is_left { 2 } else { 1 }).await;
        let page = report(&app, "/spend/logs/v2").await;
        let rows = page["data"].as_array().unwrap();
        let flags = |name: &str| rows.iter().filter(|row| row["metadata"][name] == true).count();
        let count = usize::from(is_left);
        assert_eq!((flags("tollgate_overhead"), flags("tollgate_estimated")), (count, count), "{page}");
        let info = report(&app, &format!("/key/info?key={own}")).await;
        costs(&info["info"]["spend"], 0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_row_says_whose_it_was_what_it_cost_and_what_the_caller_noted() {
    let app = App::start(config(""), counted()).await;
    let team = post_as(&app, MASTER, "/team/new", &json!({"team_alias": "research"})).await;
    let team = team.json()["team_id"].as_str().unwrap().to_owned();
    let key = key(&app, json!({"key_alias": "k", "team_id": team})).await;
    let mut body = hello("chat");
    body["metadata"] = json!({"spend_logs_metadata": {"project": "x"}});
    assert_eq!(post_as(&app, &key, "/v1/chat/completions", &body).await.status, 200);
    rows(&app, 1).await;
    let row = report(&app, "/spend/logs/v2").await["data"][0].clone();
    let metadata = &row["metadata"];
    assert_eq!(
        [
            &metadata["user_api_key_alias"],
            &metadata["user_api_key_team_alias"],
            &metadata["user_api_key_team_id"]
        ],
        [&json!("k"), &json!("research"), &json!(team)]
    );
    assert_eq!(metadata["spend_logs_metadata"], json!({"project": "x"}));
    assert_eq!(metadata["attempted_retries"], Value::Null);
    let parts = &metadata["cost_breakdown"];
    assert_eq!(
        [&parts["input_cost"], &parts["output_cost"], &parts["total_cost"]],
        [&json!(0.0025), &json!(0.001), &json!(0.0035)]
    );
    let day = row["startTime"].as_str().unwrap()[..10].to_owned();
    let days = format!("start_date={day}&end_date={day}");
    let teams = report(&app, &format!("/team/daily/activity?{days}&team_ids={team}")).await;
    costs(&teams["metadata"]["total_spend"], 1);
    let entity = &teams["results"][0]["breakdown"]["entities"][&team];
    assert_eq!(entity["metadata"]["team_alias"], "research");
    let teams = report(&app, "/global/spend/teams").await;
    assert_eq!(teams["teams"], json!(["research"]));
    let by_day = report(&app, &format!("/team/spend/report?{days}&team_id={team}")).await;
    assert_eq!(by_day[0]["teams"][0]["team_name"], "research");
    costs(&by_day[0]["teams"][0]["metadata"][0]["spend"], 1);
    app.stop().await;
}

#[tokio::test]
async fn attempts_are_priced_again_by_prices_of_another_day() {
    let world = world().await;
    let (app, today) = (&world.app, &world.today);
    let prices = json!({"openai/gpt-4o": {"input_cost_per_token": 5e-6, "output_cost_per_token": 1e-5}});
    let mut body = json!({"start_date": today, "end_date": today, "prices": prices});
    // 1,000 x $5 a million and 100 x $10: $0.006 in place of $0.0035.
    let dry = post_as(app, MASTER, "/tollgate/spend/reprice", &body).await;
    let told = dry.json();
    assert_eq!(
        [&told["dry_run"], &told["requests"], &told["before"], &told["after"], &told["difference"]],
        [&json!(true), &json!(5), &json!(0.0175), &json!(0.03), &json!(0.0125)],
        "{}",
        dry.text()
    );
    costs(&report(app, "/global/spend").await["spend"], 5);
    body["dry_run"] = json!(false);
    body["accounts"] = json!("correct");
    assert_eq!(post_as(app, MASTER, "/tollgate/spend/reprice", &body).await.json()["requests"], 5);
    assert_eq!(report(app, "/global/spend").await["spend"], 0.03);
    assert_eq!(report(app, "/spend/keys").await[0]["spend"], 0.018);
    // Twice is once.
    let again = post_as(app, MASTER, "/tollgate/spend/reprice", &body).await.json();
    assert_eq!((&again["requests"], &again["kept"]), (&json!(0), &json!({"same": 5})));
    assert_eq!(report(app, "/audit?action=spend%20repriced").await["total"], 2);
    let own = post_as(app, &world.one, "/tollgate/spend/reprice", &body).await;
    assert!([401, 403].contains(&own.status));
    body["pricse"] = json!({});
    assert_eq!(post_as(app, MASTER, "/tollgate/spend/reprice", &body).await.status, 400);
    world.app.stop().await;
}

#[tokio::test]
async fn an_invoice_is_compared_with_what_was_booked() {
    let world = world().await;
    let (app, today) = (&world.app, &world.today);
    let csv = format!("date,model,amount\n{today},gpt-4o,0.02\n{today},o3,1.5\n");
    let body = json!({"provider": "openai", "csv": csv, "tolerance": 0.001});
    let told = post_as(app, MASTER, "/tollgate/spend/reconcile", &body).await.json();
    assert_eq!(
        (&told["booked"], &told["invoiced"], &told["count"]),
        (&json!(0.0175), &json!(1.52), &json!(2))
    );
    let row = &told["differences"][0];
    assert_eq!((&row["model"], &row["difference"]), (&json!("gpt-4o"), &json!(0.0025)));
    let bad = json!({"provider": "openai", "csv": "date,amount\n"});
    let refused = post_as(app, MASTER, "/tollgate/spend/reconcile", &bad).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("csv")));
    world.app.stop().await;
}

#[tokio::test]
async fn an_answer_that_does_not_do_is_in_the_books_with_what_it_used_and_charged_to_nobody() {
    let tiers = "router_settings: {num_retries: 0}\ntollgate_settings: {tiers: [\
                 {model: chat, move_on: [quality]}, {model: other}]}\n";
    let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    let says = |text: &str| Behaviour::new().text(text).tokens(tokens);
    let script =
        Script::new().rule(Rule::deployment("a", says(""))).rule(Rule::deployment("b", says("one two")));
    for (body, is_told) in [(hello("chat"), true), (streamed(hello("chat")), false)] {
        let app = App::start(config(tiers), script.clone()).await;
        let own = key(&app, json!({"max_budget": 1})).await;
        let answer = post_as(&app, &own, "/v1/chat/completions", &body).await;
        assert_eq!((answer.status, app.sends(["a", "b"])), (200, [1, 1]), "{}", answer.text());
        rows(&app, 2).await;
        let page = report(&app, "/spend/logs/v2").await;
        let rows = page["data"].as_array().unwrap();
        let (wasted, served): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| row["metadata"]["tollgate_overhead"] == true);
        assert_eq!((wasted.len(), served.len()), (1, 1), "{page}");
        assert_eq!(wasted[0]["metadata"]["tollgate_estimated"] == true, !is_told, "{page}");
        if is_told {
            assert_eq!(
                (&wasted[0]["prompt_tokens"], &wasted[0]["completion_tokens"]),
                (&json!(1_000), &json!(100))
            );
        }
        let info = report(&app, &format!("/key/info?key={own}")).await;
        costs(&info["info"]["spend"], 1);
        app.stop().await;
    }
}
