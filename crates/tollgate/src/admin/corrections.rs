//! `tollgate spend reprice` and `tollgate spend reconcile`: attempts priced again, and an invoice against what was booked.
//!
//! **Invariant:** nothing is changed without `--apply`, and what is shown says which of both it was.

use super::amount::{self, shown};
use super::arguments::{Reconciliation, Repricing};
use super::client::{Answer, Question, Trouble};
use super::days::{Day, today};
use super::table::{Side, Table};
use super::{Session, money, rows, text};
use serde_json::{Map, Value};
use std::path::Path;
use tollgate_catalog::PicoDollars;

/// How a reason that a row stays as it is reads in a sentence.
const KEPT: [(&str, &str); 4] = [
    ("same", "cost what they did"),
    ("unpriced", "have no price"),
    ("no_tokens", "have no tokens"),
    ("not_only_tokens", "were billed by something beside tokens"),
];

pub(super) async fn reprice(session: &Session, arguments: &Repricing) -> Result<String, Trouble> {
    let (since, until) = days(session, Some(&arguments.since), arguments.until.as_ref())?;
    let mut body = Map::new();
    body.insert("start_date".to_owned(), Value::from(since));
    body.insert("end_date".to_owned(), until.unwrap_or_else(|| today(session.now)).into());
    super::put_texts(&mut body, "models", arguments.models.as_deref());
    super::put_texts(&mut body, "providers", arguments.providers.as_deref());
    if let Some(path) = &arguments.prices {
        let prices: Value = serde_json::from_str(&read(path)?)
            .map_err(|error| Trouble::Arguments(format!("{}: {error}", path.display())))?;
        body.insert("prices".to_owned(), prices);
    }
    body.insert("dry_run".to_owned(), Value::Bool(!arguments.apply));
    let accounts = if arguments.correct_budgets { "correct" } else { "keep" };
    body.insert("accounts".to_owned(), Value::from(accounts));
    let question = Question::post("/tollgate/spend/reprice", Value::Object(body)).patient();
    let answers = [session.ask(question).await?];
    Ok(session.shown(&answers, || repriced(&answers)))
}

pub(super) async fn reconcile(session: &Session, arguments: &Reconciliation) -> Result<String, Trouble> {
    let (since, until) = days(session, arguments.since.as_ref(), arguments.until.as_ref())?;
    let mut body = Map::new();
    body.insert("provider".to_owned(), Value::from(arguments.provider.as_str()));
    body.insert("csv".to_owned(), Value::from(read(&arguments.file)?));
    for (name, day) in [("start_date", since), ("end_date", until)] {
        super::put(&mut body, name, day.as_deref());
    }
    if let Some(tolerance) = arguments.tolerance {
        body.insert("tolerance".to_owned(), amount::number(tolerance));
    }
    let question = Question::post("/tollgate/spend/reconcile", Value::Object(body)).patient();
    let answers = [session.ask(question).await?];
    Ok(session.shown(&answers, || reconciled(&answers)))
}

/// The days that are asked for, in their order.
fn days(
    session: &Session,
    since: Option<&Day>,
    until: Option<&Day>,
) -> Result<(Option<String>, Option<String>), Trouble> {
    let date = |day: Option<&Day>| day.map(|day| day.date(session.now));
    let (since, until) = (date(since), date(until));
    match (&since, &until) {
        (Some(first), Some(last)) if first > last => {
            Err(Trouble::Arguments(format!("--since {first} is after --until {last}")))
        }
        _ => Ok((since, until)),
    }
}

fn read(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|error| Trouble::Arguments(format!("{}: {error}", path.display())))
}

fn count(row: &Value, member: &str) -> u128 {
    u128::from(row.get(member).and_then(Value::as_u64).unwrap_or(0))
}

fn repriced(answers: &[Answer]) -> String {
    let Some(Answer { value: told, .. }) = answers.first() else { return String::new() };
    let kept: Vec<String> = KEPT
        .iter()
        .filter_map(|(name, words)| {
            let number = told.get("kept").map_or(0, |kept| count(kept, name));
            (number > 0).then(|| format!("{} {words}", amount::grouped(number)))
        })
        .collect();
    let kept = if kept.is_empty() {
        String::new()
    } else {
        format!("\n\nAttempts that stay as they are: {}.", kept.join(", "))
    };
    if count(told, "requests") == 0 {
        return format!("No attempt has another price.{kept}");
    }
    let numbers = ["requests", "before", "after", "difference"];
    let mut columns = vec![("day", Side::Left), ("model", Side::Left)];
    columns.extend(numbers.map(|name| (name, Side::Right)));
    let mut table = Table::new(&columns);
    let cells = |row: &Value| {
        let [_, amounts @ ..] = numbers;
        let amounts = amounts.map(|name| money(row, name));
        [amount::grouped(count(row, "requests"))].into_iter().chain(amounts).collect::<Vec<_>>()
    };
    for row in rows(answers, "changes") {
        table.row([text(row, "date"), text(row, "model")].into_iter().chain(cells(row)));
    }
    table.row(["total".to_owned(), String::new()].into_iter().chain(cells(told)));
    let is_dry = told.get("dry_run").and_then(Value::as_bool).unwrap_or(true);
    let done = if is_dry { "Nothing is changed yet: --apply does it." } else { "This was changed." };
    format!("{}{kept}\n\n{done}", table.lines())
}

fn reconciled(answers: &[Answer]) -> String {
    let Some(Answer { value: told, .. }) = answers.first() else { return String::new() };
    let sum = |member: &str| amount::read(told.get(member)).unwrap_or_default();
    let (booked, invoiced) = (sum("booked"), sum("invoiced"));
    let of = ["provider", "start_date", "end_date"].map(|member| text(told, member));
    let head = format!("{}, {} to {} (UTC)", of[0], of[1], of[2]);
    let mut table = Table::new(&[
        ("day", Side::Left),
        ("model", Side::Left),
        ("booked", Side::Right),
        ("invoiced", Side::Right),
        ("difference", Side::Right),
    ]);
    for row in rows(answers, "differences") {
        let amounts = ["booked", "invoiced", "difference"].map(|member| money(row, member));
        table.row([text(row, "date"), text(row, "model")].into_iter().chain(amounts));
    }
    if table.is_empty() {
        let (booked, invoiced) = (shown(booked), shown(invoiced));
        return format!("{head}: booked {booked}, invoiced {invoiced}. No model differs on any day.");
    }
    let listed = told.get("differences").and_then(Value::as_array).map_or(0, Vec::len);
    let more = match count(told, "count").saturating_sub(listed as u128) {
        0 => String::new(),
        more => format!("\n{} more are not shown.", amount::grouped(more)),
    };
    let difference = PicoDollars(invoiced.0.saturating_sub(booked.0));
    table.row(["total".to_owned(), String::new(), shown(booked), shown(invoiced), shown(difference)]);
    format!("{head}\n\n{}{more}", table.lines())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(value: Value) -> [Answer; 1] {
        [Answer { text: value.to_string(), value }]
    }

    #[test]
    fn what_prices_change_is_a_table_that_says_whether_it_was_done() {
        let told = |is_dry: bool| {
            page(json!({
                "dry_run": is_dry, "requests": 1200, "before": 2.0, "after": 3.5, "difference": 1.5,
                "kept": {"same": 1000, "unpriced": 2},
                "changes": [
                    {"date": "2026-11-01", "model": "openai/gpt-4o", "requests": 1200, "before": 2.0, "after": 3.5,
                     "difference": 1.5},
                ],
            }))
        };
        let table = "DAY         MODEL          REQUESTS  BEFORE  AFTER  DIFFERENCE\n\
                     2026-11-01  openai/gpt-4o     1,200   $2.00  $3.50       $1.50\n\
                     total       -                 1,200   $2.00  $3.50       $1.50\n\n\
                     Attempts that stay as they are: 1,000 cost what they did, 2 have no price.";
        assert_eq!(repriced(&told(true)), format!("{table}\n\nNothing is changed yet: --apply does it."));
        assert_eq!(repriced(&told(false)), format!("{table}\n\nThis was changed."));
        let nothing = page(json!({"dry_run": true, "requests": 0, "kept": {"no_tokens": 1}, "changes": []}));
        assert_eq!(
            repriced(&nothing),
            "No attempt has another price.\n\nAttempts that stay as they are: 1 have no tokens."
        );
    }

    #[test]
    fn an_invoice_is_shown_where_it_differs() {
        let told = |differences: Value, count: u64| {
            page(json!({
                "provider": "openai", "start_date": "2026-11-01", "end_date": "2026-11-30", "booked": 3.0,
                "invoiced": 2.5, "count": count, "differences": differences,
            }))
        };
        let row = json!([
            {"date": "2026-11-02", "model": "gpt-4o", "booked": 3.0, "invoiced": 2.5, "difference": -0.5},
        ]);
        assert_eq!(
            reconciled(&told(row, 3)),
            "openai, 2026-11-01 to 2026-11-30 (UTC)\n\n\
             DAY         MODEL   BOOKED  INVOICED  DIFFERENCE\n\
             2026-11-02  gpt-4o   $3.00     $2.50      -$0.50\n\
             total       -        $3.00     $2.50      -$0.50\n\
             2 more are not shown."
        );
        assert_eq!(
            reconciled(&told(json!([]), 0)),
            "openai, 2026-11-01 to 2026-11-30 (UTC): booked $3.00, invoiced $2.50. No model differs on any day."
        );
    }
}
