//! The commands that speak to a running gateway: keys, teams, users, budgets, spend, audit.
//!
//! Owns what is asked of LiteLLM's admin API for each, and how the answer is shown to people. Leaves what may be done,
//! and by whom, to the gateway. **Invariant:** with `--json` the gateway's replies are printed as they came, and nothing
//! else. **Invariant:** a key is printed only where it was just made.

mod amount;
pub(crate) mod arguments;
mod audit;
mod budgets;
mod client;
mod corrections;
mod days;
mod keys;
mod names;
mod spend;
mod table;
mod teams;
mod users;

use crate::cli::{Command, complain, say};
use amount::Clearable;
use arguments::{Bounds, Reach};
use client::{Answer, Gateway, Question, Trouble};
use serde_json::{Map, Value};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use tollgate_policy::clock::Wall;

/// The most pages of a list that are read.
const PAGES_MAX: u64 = 10_000;
/// Models that a row of a table names.
const MODELS_SHOWN: usize = 3;

/// One run of a command.
struct Session {
    gateway: Gateway,
    json: bool,
    now: Wall,
}

/// Runs a command that speaks to a gateway; none if it is another.
pub(crate) fn run(command: &Command) -> Option<ExitCode> {
    let reach = match command {
        Command::Keys(arguments) => &arguments.reach,
        Command::Teams(arguments) => &arguments.reach,
        Command::Users(arguments) => &arguments.reach,
        Command::Budgets(arguments) => &arguments.reach,
        Command::Spend(arguments) => &arguments.reach,
        Command::Audit(arguments) => &arguments.reach,
        _ => return None,
    };
    Some(match perform(command, reach) {
        Ok(text) => {
            if !text.is_empty() {
                say(&text);
            }
            ExitCode::SUCCESS
        }
        Err(trouble) => exit(&trouble),
    })
}

fn exit(trouble: &Trouble) -> ExitCode {
    let (sentence, code) = match trouble {
        Trouble::Refused(sentence) => (sentence, 1),
        Trouble::Arguments(sentence) => (sentence, 2),
        Trouble::Unreachable(sentence) => (sentence, 3),
    };
    complain(sentence);
    ExitCode::from(code)
}

fn perform(command: &Command, reach: &Reach) -> Result<String, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::Unreachable(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        // Made here: the way out wants a runtime.
        let session = Session { gateway: Gateway::at(reach)?, json: reach.json, now: now() };
        match command {
            Command::Keys(arguments) => Box::pin(keys::run(&session, &arguments.command)).await,
            Command::Teams(arguments) => Box::pin(teams::run(&session, &arguments.command)).await,
            Command::Users(arguments) => Box::pin(users::run(&session, &arguments.command)).await,
            Command::Budgets(arguments) => Box::pin(budgets::run(&session, &arguments.command)).await,
            Command::Spend(arguments) => Box::pin(spend::run(&session, arguments)).await,
            Command::Audit(arguments) => Box::pin(audit::run(&session, arguments)).await,
            _ => Ok(String::new()),
        }
    })
}

fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl Session {
    async fn ask(&self, question: Question<'_>) -> Result<Answer, Trouble> {
        self.gateway.ask(question).await
    }

    /// The replies as they are, or what people want to see of them.
    fn shown(&self, answers: &[Answer], text: impl FnOnce() -> String) -> String {
        if !self.json {
            return text();
        }
        answers.iter().map(|answer| answer.text.trim()).collect::<Vec<_>>().join("\n")
    }

    /// Every page of a list. `size` is the name of the parameter that says how much is on one.
    async fn pages(
        &self,
        size: &str,
        question: impl Fn() -> Question<'static>,
    ) -> Result<Vec<Answer>, Trouble> {
        let mut answers = Vec::new();
        for page in 1..=PAGES_MAX {
            let mut asked = question().with("page", page.to_string());
            if size == "page_size" {
                asked = asked.with("page_size", "100");
            } else {
                asked = asked.with("size", "100");
            }
            let answer = self.ask(asked).await?;
            let total = ["/total_pages", "/metadata/total_pages"];
            let total = total.iter().find_map(|place| answer.value.pointer(place)?.as_u64()).unwrap_or(1);
            answers.push(answer);
            if page >= total {
                break;
            }
        }
        Ok(answers)
    }
}

/// The rows of a list, page after page.
fn rows<'a>(answers: &'a [Answer], member: &'a str) -> impl Iterator<Item = &'a Value> {
    answers.iter().filter_map(move |answer| answer.value.get(member)?.as_array()).flatten()
}

/// Puts what a record is held to into a request.
fn bind(bounds: &Bounds, body: &mut Map<String, Value>) {
    match bounds.budget {
        Some(Clearable::To(budget)) => budget.put(body, "max_budget", "budget_duration"),
        Some(Clearable::None) => {
            body.insert("max_budget".to_owned(), Value::Null);
            body.insert("budget_duration".to_owned(), Value::Null);
        }
        None => {}
    }
    let counts =
        [("rpm_limit", bounds.rpm), ("tpm_limit", bounds.tpm), ("max_parallel_requests", bounds.parallel)];
    for (name, count) in counts {
        match count {
            Some(Clearable::To(count)) => body.insert(name.to_owned(), Value::from(count)),
            Some(Clearable::None) => body.insert(name.to_owned(), Value::Null),
            None => None,
        };
    }
    put_texts(body, "models", bounds.models.as_deref());
}

/// Puts a list into a request, without what is empty: `--models ""` asks for an empty list, and so does `--models none`.
fn put_texts(body: &mut Map<String, Value>, name: &str, texts: Option<&[String]>) {
    if let Some(texts) = texts {
        let texts = if matches!(texts, [only] if only.trim() == "none") { &[] } else { texts };
        let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        body.insert(name.to_owned(), texts.collect::<Vec<_>>().into());
    }
}

/// Puts a text into a request, if there is one.
fn put(body: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        body.insert(name.to_owned(), Value::from(text));
    }
}

/// A text of a reply; empty where there is none.
fn text(row: &Value, member: &str) -> String {
    match row.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// An amount of a reply; empty where there is none.
fn money(row: &Value, member: &str) -> String {
    amount::read(row.get(member)).map(amount::shown).unwrap_or_default()
}

/// A budget with its duration: `$50.00/30d`.
fn budget(row: &Value) -> String {
    let (amount, duration) = (money(row, "max_budget"), text(row, "budget_duration"));
    if amount.is_empty() || duration.is_empty() { amount } else { format!("{amount}/{duration}") }
}

/// A list of a reply, with commas.
fn list(row: &Value, member: &str) -> String {
    let texts = row.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}

/// The same, short enough for a row.
fn short_list(row: &Value, member: &str) -> String {
    let all: Vec<&str> =
        row.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let first = all.iter().take(MODELS_SHOWN).copied().collect::<Vec<_>>().join(",");
    match all.len().saturating_sub(MODELS_SHOWN) {
        0 => first,
        more => format!("{first} +{more}"),
    }
}

/// A time for people, to the minute; empty where there is none.
fn time(row: &Value, member: &str) -> String {
    let at = row.get(member).and_then(Value::as_str).and_then(Wall::from_rfc3339);
    let text = at.map(Wall::rfc3339).unwrap_or_default();
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(time)) => format!("{date} {time} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bounds_are_put_under_litellms_names_and_none_is_null() {
        let bounds = Bounds {
            budget: "50/30d".parse().ok(),
            rpm: Some(Clearable::None),
            tpm: Some(Clearable::To(9)),
            parallel: None,
            models: Some(vec!["a".to_owned(), " b ".to_owned(), String::new()]),
        };
        let mut body = Map::new();
        bind(&bounds, &mut body);
        let expect = json!({
            "max_budget": 50.0, "budget_duration": "30d", "rpm_limit": null, "tpm_limit": 9, "models": ["a", "b"],
        });
        assert_eq!(Value::Object(body), expect);
        let mut body = Map::new();
        bind(&Bounds { models: Some(vec!["none".to_owned()]), ..Bounds::default() }, &mut body);
        assert_eq!(Value::Object(body), json!({"models": []}));
        let mut body = Map::new();
        bind(&Bounds { budget: Some(Clearable::None), ..Bounds::default() }, &mut body);
        assert_eq!(Value::Object(body), json!({"max_budget": null, "budget_duration": null}));
    }

    #[test]
    fn members_of_replies_are_shown_to_people() {
        let row = json!({
            "max_budget": 50.0, "budget_duration": "30d", "models": ["a", "b", "c", "d", "e"],
            "expires": "2026-12-22T11:00:33.429000+00:00", "spend": null,
        });
        assert_eq!(budget(&row), "$50.00/30d");
        assert_eq!(short_list(&row, "models"), "a,b,c +2");
        assert_eq!(list(&row, "models"), "a, b, c, d, e");
        assert_eq!(time(&row, "expires"), "2026-12-22 11:00 UTC");
        assert_eq!((money(&row, "spend"), text(&row, "none")), (String::new(), String::new()));
    }
}
