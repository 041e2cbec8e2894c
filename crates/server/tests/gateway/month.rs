//! The five teams of `docs/budgets.md`, through a month of requests on a clock of the test's own.

use crate::support::{Answer, App, Setup, Wire, hello, model_list, post};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_policy::clock::Wall;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

const PAGE: &str = include_str!("../../../../docs/budgets.md");
const MASTER: &str = "Bearer sk-master-0123456789";
const HOUR: i64 = 3_600 * 1_000_000;

/// The calls of the page: path and body.
fn calls() -> Vec<(String, Value)> {
    let blocks = PAGE.split("```http\n").skip(1).filter_map(|rest| rest.split("```").next());
    let call = |block: &str| {
        let (line, body) = block.split_once("\n\n").unwrap();
        (line.strip_prefix("POST ").unwrap().to_owned(), serde_json::from_str(body).unwrap())
    };
    blocks.map(call).collect()
}

/// A row of the page's table: team, wanted a day, spent at the end, tier.
fn rows() -> Vec<(String, i64, f64, String)> {
    let table = PAGE.split("| Team | Budget |").nth(1).unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let amount = |cell: &str| cell.replace(['$', ','], "").parse::<f64>().unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        (
            cells[0].to_owned(),
            amount(cells[2]) as i64,
            amount(cells[3]),
            cells[4].trim_matches('`').to_owned(),
        )
    };
    lines.map(row).collect()
}

async fn ask(app: &App, bearer: &str, path: &str, body: &Value) -> Answer {
    app.ask(&post(path, &[("authorization", bearer)], body.to_string().as_bytes())).await
}

async fn spent(app: &App, team: &str) -> f64 {
    let request =
        format!("GET /team/info?team_id={team} HTTP/1.1\r\nhost: g\r\nauthorization: {MASTER}\r\n\r\n");
    app.ask(request.as_bytes()).await.json()["team_info"]["spend"].as_f64().unwrap()
}

/// The dear model costs $10 a request, the cheap one $1.
async fn start(wall: &Arc<AtomicI64>) -> App {
    let priced = |name: &str, price: &str| {
        format!("{}, input_cost_per_token: 0, output_cost_per_token: {price}", Wire::OpenAi.parameters(name))
    };
    let entries = [priced("a", "0.001"), priced("b", "0.0001")];
    let list = model_list(&[("dear", &entries[0]), ("cheap", &entries[1])]);
    let tiers = PAGE.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let yaml = format!("{list}general_settings: {{master_key: sk-master-0123456789}}\n{tiers}");
    let tokens = TokenCounts { prompt: Some(10), completion: Some(10_000), ..TokenCounts::default() };
    let script = Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)));
    let wall = Arc::clone(wall);
    let read = move || Wall::from_micros(wall.load(Ordering::Relaxed));
    Setup::new(yaml).script(script).wall(read).start().await
}

#[tokio::test]
async fn no_team_spends_more_than_it_has_and_the_month_goes_as_the_page_says() {
    let wall = Arc::new(AtomicI64::new(Wall::from_rfc3339("2026-11-01T00:30:00Z").unwrap().micros()));
    let app = start(&wall).await;
    for (path, body) in calls() {
        let made = ask(&app, MASTER, &path, &body).await;
        assert_eq!(made.status, 200, "{path}: {}", made.text());
    }
    let rows = rows();
    let mut keys = Vec::new();
    for (team, ..) in &rows {
        let made = ask(&app, MASTER, "/key/generate", &json!({"team_id": team})).await;
        keys.push(format!("Bearer {}", made.json()["key"].as_str().unwrap()));
    }
    let mut body = hello("dear");
    body["max_tokens"] = json!(10_000);
    let mut tiers: Vec<Vec<String>> = vec![Vec::new(); rows.len()];
    for _day in 0..30 {
        for (at, (_, wanted, ..)) in rows.iter().enumerate() {
            for _ in 0..wanted / 10 {
                let answer = ask(&app, &keys[at], "/v1/chat/completions", &body).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                let tier = answer.header("x-tollgate-budget-tier").unwrap().to_owned();
                let model = answer.header("x-litellm-model-group").unwrap();
                assert_eq!(model, if tier == "downgrade" { "cheap" } else { "dear" });
                if tiers[at].last() != Some(&tier) {
                    tiers[at].push(tier);
                }
            }
        }
        wall.fetch_add(24 * HOUR, Ordering::Relaxed);
    }
    // The month is over by half an hour: what was spent in it is looked at an hour before.
    wall.fetch_sub(HOUR, Ordering::Relaxed);
    let mut sum = 0.0;
    for (at, (team, _, expected, tier)) in rows.iter().enumerate() {
        let found = spent(&app, team).await;
        assert!((found - expected).abs() < 0.001, "{team}: {found}, the page says {expected}");
        assert_eq!(tiers[at].last(), Some(tier), "{team}: {:?}", tiers[at]);
        sum += found;
    }
    assert!(sum <= 10_000.0, "{sum}");
    wall.fetch_add(HOUR, Ordering::Relaxed);
    for (at, (team, ..)) in rows.iter().enumerate() {
        let answer = ask(&app, &keys[at], "/v1/chat/completions", &body).await;
        assert_eq!(answer.header("x-tollgate-budget-tier"), Some("ok"), "{team} begins anew");
        assert!((spent(&app, team).await - 10.0).abs() < 0.001, "{team}");
    }
    app.stop().await;
}
