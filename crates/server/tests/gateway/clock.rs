//! A clock on the wall that is set forward and back, over midnights, ends of months and the hours that a summer begins and
//! ends with: every budget begins anew once in each of its periods, and never twice.

use crate::support::{App, Setup, Wire, hello, model_list, post};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_policy::clock::Wall;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

const MASTER: &str = "Bearer sk-master-0123456789";
/// Requests that the budget of a period is for.
const EACH: usize = 3;

struct Clock(Arc<AtomicI64>);

impl Clock {
    fn at(time: &str) -> Self {
        Self(Arc::new(AtomicI64::new(micros(time))))
    }

    fn set(&self, time: &str) {
        self.0.store(micros(time), Ordering::Relaxed);
    }
}

fn micros(time: &str) -> i64 {
    Wall::from_rfc3339(time).unwrap().micros()
}

/// Every request costs a dollar.
async fn start(clock: &Clock, zone: &str) -> App {
    let entry = format!(
        "{}, input_cost_per_token: 0, cache_read_input_token_cost: 0, output_cost_per_token: 0.01",
        Wire::OpenAi.parameters("a")
    );
    let yaml = format!(
        "{}general_settings: {{master_key: sk-master-0123456789}}\nlitellm_settings: {{timezone: {zone}}}\n\
         tollgate_settings: {{budget_maximum: refuse}}\n",
        model_list(&[("m", &entry)])
    );
    let tokens = TokenCounts { prompt: Some(10), completion: Some(100), ..TokenCounts::default() };
    let script = Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)));
    let wall = Arc::clone(&clock.0);
    let read = move || Wall::from_micros(wall.load(Ordering::Relaxed));
    Setup::new(yaml).script(script).wall(read).start().await
}

async fn ask(app: &App, bearer: &str, path: &str, body: &Value) -> (u16, Value) {
    let answer = app.ask(&post(path, &[("authorization", bearer)], body.to_string().as_bytes())).await;
    (answer.status, answer.json())
}

/// How many requests pass at this moment.
async fn passes(app: &App, bearer: &str) -> usize {
    let mut body = hello("m");
    body["max_tokens"] = json!(100);
    for passed in 0..=2 * EACH {
        match ask(app, bearer, "/v1/chat/completions", &body).await {
            (200, _) => {}
            (422, _) => return passed,
            other => panic!("{other:?}"),
        }
    }
    panic!("nothing refuses");
}

/// Sets the clock to each of these times in turn; the budget is there again at those that say so, and spent at all others.
async fn check(zone: &str, duration: &str, times: &[(&str, bool)]) {
    let clock = Clock::at(times[0].0);
    let app = start(&clock, zone).await;
    let budget = json!({"max_budget": EACH, "budget_duration": duration});
    let (status, made) = ask(&app, MASTER, "/key/generate", &budget).await;
    assert_eq!(status, 200, "{made}");
    let bearer = format!("Bearer {}", made["key"].as_str().unwrap());
    for (time, is_new) in times {
        clock.set(time);
        let expect = if *is_new { EACH } else { 0 };
        assert_eq!(passes(&app, &bearer).await, expect, "{duration} in {zone} at {time}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_and_forward_gives_nobody_a_budget_twice() {
    let times = [
        ("2026-11-10T12:00:00Z", true),
        ("2026-11-10T11:59:59Z", false),
        ("2026-11-10T12:00:01Z", false),
        ("2026-11-10T11:00:00Z", false),
        ("2026-11-09T12:00:00Z", false),
        ("1970-01-01T00:00:01Z", false),
        ("2026-11-10T12:00:00Z", false),
        ("2026-11-10T23:59:59Z", false),
        ("2026-11-11T00:00:00Z", true),
        ("2026-11-10T23:59:59Z", false),
        ("2026-11-11T00:00:01Z", false),
        ("2026-11-11T23:59:59.999999Z", false),
        ("2026-11-12T00:00:00Z", true),
        ("2026-11-20T12:00:00Z", true),
        ("2026-11-19T12:00:00Z", false),
        ("2026-11-20T13:00:00Z", false),
    ];
    check("UTC", "1d", &times).await;
}

#[tokio::test]
async fn a_day_of_23_hours_and_one_of_25_have_one_budget_each() {
    let spring = [
        ("2026-03-28T12:00:00Z", true),
        ("2026-03-28T22:59:59Z", false),
        ("2026-03-28T23:00:00Z", true),
        ("2026-03-29T00:59:59Z", false),
        ("2026-03-29T01:00:00Z", false),
        ("2026-03-29T21:59:59Z", false),
        ("2026-03-29T22:00:00Z", true),
    ];
    check("Europe/Berlin", "1d", &spring).await;
    let autumn = [
        ("2026-10-24T21:59:59Z", true),
        ("2026-10-24T22:00:00Z", true),
        ("2026-10-25T00:30:00Z", false),
        // The same hour of the day once more.
        ("2026-10-25T01:30:00Z", false),
        ("2026-10-25T22:59:59Z", false),
        ("2026-10-25T23:00:00Z", true),
    ];
    check("Europe/Berlin", "1d", &autumn).await;
}

#[tokio::test]
async fn a_month_ends_once_however_long_it_was() {
    let months = [
        ("2028-01-31T23:59:59Z", true),
        ("2028-02-01T00:00:00Z", true),
        ("2028-01-31T23:59:59Z", false),
        ("2028-02-28T23:59:59Z", false),
        ("2028-02-29T23:59:59Z", false),
        ("2028-03-01T00:00:00Z", true),
        ("2028-03-31T23:59:59Z", false),
        ("2028-04-01T00:00:00Z", true),
        ("2028-12-31T23:59:59Z", true),
        ("2029-01-01T00:00:00Z", true),
        ("2028-12-31T23:59:59Z", false),
    ];
    check("UTC", "30d", &months).await;
    let weeks = [
        ("2026-11-08T23:59:59Z", true),
        ("2026-11-09T00:00:00Z", true),
        ("2026-11-15T23:59:59Z", false),
        ("2026-11-16T00:00:00Z", true),
    ];
    check("UTC", "7d", &weeks).await;
}
