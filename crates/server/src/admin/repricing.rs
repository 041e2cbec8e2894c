//! `/tollgate/spend/*`: attempts priced again, and invoices against what was booked.
//!
//! Owns where prices come from, and the answers. Leaves the arithmetic and the form of an invoice to
//! `tollgate_ledger::{reprice, reconcile}`.
//!
//! **Invariant:** nothing changes without `dry_run: false`, and what changes is audited before.

use super::sight::books;
use super::span::{Edge, moment};
use super::spend_row::model_name;
use super::{Desk, Outcome, Problem, Served, asks};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tollgate_catalog::{Adjustment, PicoDollars, Prices};
use tollgate_identity::{Kind, Limits, Scope, dollars};
use tollgate_ledger::reconcile::{Amounts, Difference, differences, read_invoice};
use tollgate_ledger::reprice::{Change, Repricing, reprice};
use tollgate_store::books::{
    Charging, DailyFilter, EntityKind, Group, LogFilter, Repriced, SpendRow, SumQuery, day_of,
};

/// What is done to spend after it was booked.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/tollgate/spend/reprice", |desk| Box::pin(priced_again(desk)), "Price attempts again"),
    asks("POST", "/tollgate/spend/reconcile", |desk| Box::pin(reconciled(desk)), "Compare with an invoice"),
];

/// Attempts that are read and changed at once.
const BATCH: u32 = 1_000;
/// Differences that are told, at most.
const DIFFERENCES_MAX: usize = 10_000;

fn bad(member: &'static str, words: &str) -> Problem {
    Problem::Bad(member, format!("'{member}' {words}"))
}

/// Refuses members that mean nothing: a misspelt one would change more than was meant.
fn check_members(desk: &Desk<'_>, known: &[&str]) -> Result<(), Problem> {
    match desk.body.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Problem::Bad("request_body", format!("there is no member '{name}'"))),
        None => Ok(()),
    }
}

fn texts(desk: &Desk<'_>, member: &'static str) -> Result<Vec<String>, Problem> {
    let Some(value) = desk.body.get(member).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| bad(member, "has to be a list of texts"))?;
    let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    texts.ok_or_else(|| bad(member, "has to be a list of texts"))
}

fn day(desk: &Desk<'_>, member: &'static str, edge: Edge) -> Result<Option<i64>, Problem> {
    let Some(value) = desk.body.get(member).filter(|value| !value.is_null()) else { return Ok(None) };
    let at = value.as_str().and_then(|text| moment(text, edge));
    at.map(Some).ok_or_else(|| bad(member, "has to be a date (YYYY-MM-DD)"))
}

/// Prices that are given with the request, by model: those of a deployment or of the catalogue with these in their place.
fn given_prices(desk: &Desk<'_>) -> Result<HashMap<String, Vec<(String, String)>>, Problem> {
    let Some(value) = desk.body.get("prices").filter(|value| !value.is_null()) else {
        return Ok(HashMap::new());
    };
    let models = value.as_object().ok_or_else(|| bad("prices", "has to be an object of models"))?;
    let mut given = HashMap::new();
    for (model, prices) in models {
        let prices =
            prices.as_object().ok_or_else(|| bad("prices", "has to have an object for each model"))?;
        let prices: Vec<_> = prices.iter().map(|(name, price)| (name.clone(), price.to_string())).collect();
        let pairs = prices.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let checked = Prices::default().with_overrides(pairs);
        checked.map_err(|error| Problem::Bad("prices", format!("{model}: {error}")))?;
        given.insert(model.clone(), prices);
    }
    Ok(given)
}

/// Where prices come from.
struct PriceBook<'a> {
    desk: &'a Desk<'a>,
    given: HashMap<String, Vec<(String, String)>>,
    found: HashMap<(String, String, String), Option<(Prices, Adjustment)>>,
}

impl PriceBook<'_> {
    /// The prices of a row's model: those that are given, else those of its deployment today, else the catalogue's.
    fn of(&mut self, row: &SpendRow) -> Option<(&Prices, &Adjustment)> {
        let key = (row.model_id.clone(), row.provider.clone(), row.model.clone());
        if !self.found.contains_key(&key) {
            let found = self.find(row);
            self.found.insert(key.clone(), found);
        }
        self.found.get(&key)?.as_ref().map(|(prices, adjustment)| (prices, adjustment))
    }

    fn find(&self, row: &SpendRow) -> Option<(Prices, Adjustment)> {
        let group = self.desk.snapshot.group(self.desk.worker.gateway.metrics(), &row.model_id);
        let targets = group.as_ref().map(|group| group.targets()).unwrap_or_default();
        let target = targets.iter().find(|target| target.id == row.model_id && target.model == row.model);
        let base = match target {
            Some(target) => Some((target.prices.clone(), target.adjustment)),
            None => {
                let model = tollgate_catalog::model(&row.provider, &row.model);
                model.map(|model| (model.prices, Adjustment::default()))
            }
        };
        let full = model_name(&row.provider, &row.model);
        let Some(given) = self.given.get(&full).or_else(|| self.given.get(&row.model)) else { return base };
        let (prices, adjustment) = base.unwrap_or_default();
        let pairs = given.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Some((prices.with_overrides(pairs).ok()?, adjustment))
    }
}

async fn priced_again(desk: &Desk<'_>) -> Outcome {
    check_members(desk, &["start_date", "end_date", "models", "providers", "prices", "dry_run", "accounts"])?;
    let from = day(desk, "start_date", Edge::First)?.ok_or_else(|| bad("start_date", "is missing"))?;
    let to = day(desk, "end_date", Edge::Last)?.ok_or_else(|| bad("end_date", "is missing"))?;
    let is_dry = match desk.body.get("dry_run") {
        None | Some(Value::Null) => true,
        Some(value) => value.as_bool().ok_or_else(|| bad("dry_run", "has to be true or false"))?,
    };
    let charging = match desk.body.get("accounts").and_then(Value::as_str) {
        None | Some("keep") => Charging::Keep,
        Some("correct") => Charging::Correct,
        Some(_) => return Err(bad("accounts", "has to be keep or correct")),
    };
    let mut filter = LogFilter {
        from: Some(from),
        to: Some(to.saturating_add(1)),
        models: texts(desk, "models")?,
        providers: texts(desk, "providers")?,
        ..LogFilter::default()
    };
    let mut prices = PriceBook { desk, given: given_prices(desk)?, found: HashMap::new() };
    if !is_dry {
        let said = Value::Object(desk.body.clone()).to_string();
        desk.note("spend repriced", (Kind::Setting, "spend"), said).await?;
    }
    let mut repricing = Repricing::default();
    loop {
        let rows = books(desk)?.scan_attempts(filter.clone(), BATCH).await?;
        let Some(last) = rows.last() else { break };
        filter.after = Some((last.started_at, last.attempt_id));
        let mut changed: Vec<Repriced> = Vec::new();
        for row in &rows {
            let became = reprice(row, prices.of(row));
            repricing.add(row, &became);
            changed.extend(became.ok());
        }
        if !is_dry && !changed.is_empty() {
            let rules = |scope: &Scope| {
                let limits = desk.snapshot.toll_rules().limits_of(scope, &desk.ledger().directory());
                limits.map(|limits| Limits::clone(&limits))
            };
            desk.ledger().reprice(changed, charging, &rules).await?;
        }
    }
    Ok(told(&repricing, is_dry))
}

fn sums(change: &Change) -> [(String, Value); 4] {
    let difference = change.after.saturating_sub(change.before);
    [
        ("requests".to_owned(), Value::from(change.rows)),
        ("before".to_owned(), dollars(change.before)),
        ("after".to_owned(), dollars(change.after)),
        ("difference".to_owned(), dollars(difference)),
    ]
}

fn told(repricing: &Repricing, is_dry: bool) -> Value {
    let changes = repricing.changes.iter().map(|((day, provider, model), change)| {
        let mut row = Map::new();
        row.insert("date".to_owned(), Value::from(day.as_str()));
        row.insert("model".to_owned(), Value::from(model_name(provider, model)));
        row.extend(sums(change));
        Value::Object(row)
    });
    let changes: Vec<Value> = changes.collect();
    let kept = repricing.kept.iter().map(|(kept, count)| (kept.word().to_owned(), Value::from(*count)));
    let mut written = Map::new();
    written.insert("dry_run".to_owned(), Value::Bool(is_dry));
    written.extend(sums(&repricing.total()));
    written.insert("kept".to_owned(), Value::Object(kept.collect()));
    written.insert("changes".to_owned(), Value::Array(changes));
    Value::Object(written)
}

/// What was booked of a provider by day and model.
async fn booked(desk: &Desk<'_>, provider: &str, days: (String, String)) -> Result<Amounts, Problem> {
    let filter = DailyFilter {
        entity: EntityKind::Global,
        providers: vec![provider.to_owned()],
        from_day: Some(days.0),
        to_day: Some(days.1),
        ..DailyFilter::default()
    };
    let group_by = vec![Group::Day, Group::Model];
    let rows = books(desk)?.sums(SumQuery { filter, group_by, ..SumQuery::default() }).await?;
    let rows = rows.into_iter().filter_map(|sum| {
        let [day, model] = <[String; 2]>::try_from(sum.keys).ok()?;
        Some(((day, model), PicoDollars(sum.totals.spend)))
    });
    Ok(rows.collect())
}

async fn reconciled(desk: &Desk<'_>) -> Outcome {
    check_members(desk, &["csv", "provider", "start_date", "end_date", "tolerance"])?;
    let text = |member: &'static str| desk.body.get(member).and_then(Value::as_str);
    let csv = text("csv").ok_or_else(|| bad("csv", "is missing"))?;
    let provider = text("provider").ok_or_else(|| bad("provider", "is missing"))?;
    let tolerance = match desk.body.get("tolerance") {
        None | Some(Value::Null) => PicoDollars::ZERO,
        Some(value) => PicoDollars::parse_dollars(value.to_string().trim_matches('"'))
            .map_err(|_| bad("tolerance", "has to be an amount of US dollars"))?,
    };
    let mut invoiced = read_invoice(csv).map_err(|error| Problem::Bad("csv", error.to_string()))?;
    let first = invoiced.keys().map(|(day, _)| day.clone()).min().unwrap_or_default();
    let last = invoiced.keys().map(|(day, _)| day.clone()).max().unwrap_or_default();
    let from = day(desk, "start_date", Edge::First)?.map_or(first, day_of);
    let to = day(desk, "end_date", Edge::Last)?.map_or(last, day_of);
    invoiced.retain(|(day, _), _| (from.as_str()..=to.as_str()).contains(&day.as_str()));
    let booked = booked(desk, provider, (from.clone(), to.clone())).await?;
    let found = differences(&booked, &invoiced, tolerance);
    let total = |amounts: &Amounts| {
        dollars(amounts.values().fold(PicoDollars::ZERO, |sum, amount| sum.saturating_add(*amount)))
    };
    let row = |row: &Difference| {
        json!({
            "date": row.day,
            "model": row.model,
            "booked": dollars(row.booked),
            "invoiced": dollars(row.invoiced),
            "difference": dollars(row.difference()),
        })
    };
    Ok(json!({
        "provider": provider,
        "start_date": from,
        "end_date": to,
        "booked": total(&booked),
        "invoiced": total(&invoiced),
        "count": found.len(),
        "differences": found.iter().take(DIFFERENCES_MAX).map(row).collect::<Vec<_>>(),
    }))
}
