//! `tollgate spend`: sums of what was spent, from LiteLLM's daily activity.
//!
//! **Invariant:** sums are those of the replies' digits, added as integers.

use super::arguments::{By, SpendArguments, SpendCommand};
use super::client::{Answer, Question, Trouble};
use super::days::today;
use super::table::{Side, Table};
use super::{Session, amount, corrections, rows, text};
use serde_json::Value;
use std::collections::BTreeMap;
use tollgate_catalog::PicoDollars;

/// What stands where there is no team, no user, no tag.
const NOBODY: &str = "(none)";

pub(super) async fn run(session: &Session, arguments: &SpendArguments) -> Result<String, Trouble> {
    match &arguments.command {
        Some(SpendCommand::Reprice(repricing)) => return corrections::reprice(session, repricing).await,
        Some(SpendCommand::Reconcile(asked)) => return corrections::reconcile(session, asked).await,
        None => {}
    }
    let since = arguments.since.date(session.now);
    let until = arguments.until.as_ref().map_or_else(|| today(session.now), |day| day.date(session.now));
    if since > until {
        return Err(Trouble::Arguments(format!("--since {since} is after --until {until}")));
    }
    let (path, _) = place(arguments.by);
    let question = || Question::get(path).with("start_date", &since).with("end_date", &until);
    let answers = session.pages("page_size", question).await?;
    Ok(session.shown(&answers, || table(arguments.by, &answers, (&since, &until))))
}

/// Where sums are: the route, and the member of a day's breakdown; without one they are of the day itself.
fn place(by: By) -> (&'static str, Option<&'static str>) {
    match by {
        By::Day => ("/user/daily/activity", None),
        By::User => ("/user/daily/activity", Some("entities")),
        By::Key => ("/user/daily/activity", Some("api_keys")),
        By::Model => ("/user/daily/activity", Some("models")),
        By::Group => ("/user/daily/activity", Some("model_groups")),
        By::Provider => ("/user/daily/activity", Some("providers")),
        By::Team => ("/team/daily/activity", Some("entities")),
        By::Tag => ("/tag/daily/activity", Some("entities")),
        By::Organization => ("/organization/daily/activity", Some("entities")),
        By::Customer => ("/customer/daily/activity", Some("entities")),
    }
}

/// Sums of one of those that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sums {
    alias: String,
    requests: u128,
    failed: u128,
    input: u128,
    output: u128,
    spend: PicoDollars,
}

impl Sums {
    fn add(&mut self, metrics: &Value) {
        let count = |name: &str| u128::from(metrics.get(name).and_then(Value::as_u64).unwrap_or(0));
        self.requests += count("api_requests");
        self.failed += count("failed_requests");
        self.input += count("prompt_tokens");
        self.output += count("completion_tokens");
        let spend = amount::read(metrics.get("spend")).unwrap_or_default();
        self.spend = self.spend.saturating_add(spend);
    }

    fn cells(&self) -> [String; 5] {
        let grouped = amount::grouped;
        let (requests, failed) = (grouped(self.requests), grouped(self.failed));
        [requests, failed, grouped(self.input), grouped(self.output), amount::shown(self.spend)]
    }
}

/// What people know it by.
fn alias(metadata: Option<&Value>) -> String {
    let names = ["key_alias", "team_alias", "user_email", "organization_alias", "alias"];
    let found = names.iter().map(|name| metadata.map(|of| text(of, name)).unwrap_or_default());
    found.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

fn sums(by: By, answers: &[Answer]) -> BTreeMap<String, Sums> {
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for day in rows(answers, "results") {
        let Some(member) = place(by).1 else {
            sums.entry(text(day, "date")).or_default().add(day.get("metrics").unwrap_or(&Value::Null));
            continue;
        };
        let parts = day.get("breakdown").and_then(|breakdown| breakdown.get(member));
        for (id, part) in parts.and_then(Value::as_object).into_iter().flatten() {
            let sum = sums.entry(id.clone()).or_default();
            sum.add(part.get("metrics").unwrap_or(&Value::Null));
            if sum.alias.is_empty() {
                sum.alias = alias(part.get("metadata"));
            }
        }
    }
    sums
}

fn table(by: By, answers: &[Answer], (since, until): (&str, &str)) -> String {
    let sums = sums(by, answers);
    if sums.is_empty() {
        return format!("Nothing was spent from {since} to {until} (UTC).");
    }
    let total = sums.values().fold(Sums::default(), |mut total, sum| {
        total.requests += sum.requests;
        total.failed += sum.failed;
        total.input += sum.input;
        total.output += sum.output;
        total.spend = total.spend.saturating_add(sum.spend);
        total
    });
    let mut sorted: Vec<(String, Sums)> = sums.into_iter().collect();
    if by != By::Day {
        // Those who spent most first; among equals the order of names stays.
        sorted.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.spend));
    }
    let has_aliases = sorted.iter().any(|(_, sum)| !sum.alias.is_empty());
    let mut columns = vec![(name(by), Side::Left)];
    if has_aliases {
        columns.push(("id", Side::Left));
    }
    let numbers = ["requests", "failed", "input", "output", "spend"];
    columns.extend(numbers.map(|name| (name, Side::Right)));
    let mut table = Table::new(&columns);
    let mut row = |first: String, id: String, sum: &Sums| {
        let mut cells = vec![first];
        if has_aliases {
            cells.push(id);
        }
        cells.extend(sum.cells());
        table.row(cells);
    };
    for (id, sum) in &sorted {
        let id = if id.is_empty() { NOBODY.to_owned() } else { id.clone() };
        let first = if sum.alias.is_empty() { id.clone() } else { sum.alias.clone() };
        row(first, id, sum);
    }
    // A request of two tags is in the sums of both: they have no total.
    if by != By::Tag {
        row("total".to_owned(), String::new(), &total);
    }
    format!("{since} to {until} (UTC)\n\n{}", table.lines())
}

fn name(by: By) -> &'static str {
    match by {
        By::Day => "day",
        By::Team => "team",
        By::User => "user",
        By::Key => "key",
        By::Model => "model",
        By::Group => "group",
        By::Provider => "provider",
        By::Tag => "tag",
        By::Organization => "organization",
        By::Customer => "customer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metrics(spend: f64, requests: u64) -> Value {
        json!({"spend": spend, "api_requests": requests, "failed_requests": 1, "prompt_tokens": 1000,
            "completion_tokens": 20})
    }

    fn page(value: Value) -> Answer {
        Answer { text: value.to_string(), value }
    }

    #[test]
    fn sums_go_over_days_and_pages_and_are_exact() {
        let day = |date: &str, spend: f64| {
            json!({"date": date, "metrics": metrics(spend, 2), "breakdown": {"entities": {
                "t-1": {"metrics": metrics(spend, 1), "metadata": {"team_alias": "research"}},
                "": {"metrics": metrics(0.1, 1), "metadata": {}}}}})
        };
        let pages = [
            page(json!({"results": [day("2026-12-02", 0.2), day("2026-12-01", 0.1)]})),
            page(json!({"results": [day("2026-12-01", 0.2)]})),
        ];
        let days = ("2026-12-01", "2026-12-07");
        assert_eq!(
            table(By::Team, &pages, days),
            "2026-12-01 to 2026-12-07 (UTC)\n\n\
             TEAM      ID      REQUESTS  FAILED  INPUT  OUTPUT  SPEND\n\
             research  t-1            3       3  3,000      60  $0.50\n\
             (none)    (none)         3       3  3,000      60  $0.30\n\
             total     -              6       6  6,000     120  $0.80"
        );
        assert_eq!(
            table(By::Day, &pages, days),
            "2026-12-01 to 2026-12-07 (UTC)\n\n\
             DAY         REQUESTS  FAILED  INPUT  OUTPUT  SPEND\n\
             2026-12-01         4       2  2,000      40  $0.30\n\
             2026-12-02         2       1  1,000      20  $0.20\n\
             total              6       3  3,000      60  $0.50"
        );
    }

    #[test]
    fn tags_have_no_total_and_nothing_is_said_so() {
        let pages = [page(json!({"results": [{"date": "2026-12-01", "breakdown": {"entities": {
            "a": {"metrics": metrics(1.0, 1)}, "b": {"metrics": metrics(1.0, 1)}}}}]}))];
        let text = table(By::Tag, &pages, ("2026-12-01", "2026-12-01"));
        assert!(text.ends_with("b           1       1  1,000      20  $1.00"), "{text}");
        let nothing = table(By::Model, &pages, ("2026-12-01", "2026-12-02"));
        assert_eq!(nothing, "Nothing was spent from 2026-12-01 to 2026-12-02 (UTC).");
    }
}
