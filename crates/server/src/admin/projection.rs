//! `/tollgate/projection`: where the spend of scopes is going.

use super::keys::token_of;
use super::{Desk, Outcome, Problem, Served, asks, paging};
use crate::toll::{Budgeted, Outlook, SCOPE_KINDS, of_gateway, of_record, outlooks};
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Kind, Record, ScopeKind, dollars};
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Period;
use tollgate_policy::projection::day_of;

/// Whoever may look at what somebody has spent may look at where it is going.
pub(super) const ROUTES: &[Served] = &[asks(
    "GET",
    "/tollgate/projection",
    |desk| Box::pin(show(desk)),
    "The daily rate of spend, what it comes to, and when the budget is spent",
)];

/// Rows of a page where none is asked for, and at most.
const PAGE: (usize, Option<usize>) = (50, Some(500));

/// Which scopes are asked for.
enum Asked {
    All,
    Gateway,
    Kind(Kind),
}

impl Asked {
    fn read(word: Option<&str>) -> Result<Self, Problem> {
        let Some(word) = word else { return Ok(Self::All) };
        let named = |kind: &Kind| scope_word(*kind) == word || kind.word() == word;
        match SCOPE_KINDS.into_iter().find(named) {
            Some(kind) => Ok(Self::Kind(kind)),
            None if word == ScopeKind::Global.word() => Ok(Self::Gateway),
            None => {
                let known: Vec<&str> = SCOPE_KINDS.into_iter().map(scope_word).collect();
                let reason = format!("there are the scopes global, {}", known.join(", "));
                Err(Problem::Bad("scope", reason))
            }
        }
    }
}

fn scope_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Customer => ScopeKind::EndUser.word(),
        Kind::Member => ScopeKind::Member.word(),
        other => other.word(),
    }
}

async fn show(desk: &Desk<'_>) -> Outcome {
    let asked = Asked::read(desk.query.get("scope"))?;
    let shows_gateway = desk.actor.sees_everything() && desk.query.get("id").is_none();
    let records = match (&asked, desk.query.get("id")) {
        (Asked::Kind(Kind::Key), Some(id)) => vec![desk.find(Kind::Key, &token_of(id))?],
        (Asked::Kind(kind), Some(id)) => vec![desk.find(*kind, id)?],
        (_, Some(_)) => return Err(Problem::Bad("scope", "is missing: an id is one of a scope".to_owned())),
        (Asked::Kind(kind), None) => listed(desk, *kind),
        (Asked::All, None) => SCOPE_KINDS.into_iter().flat_map(|kind| listed(desk, kind)).collect(),
        (Asked::Gateway, None) if shows_gateway => Vec::new(),
        (Asked::Gateway, None) => return Err(Problem::not_allowed(&desk.actor, desk.row.path)),
    };
    let (page, records) = paging::page(&desk.query, ("page", "size"), PAGE, records)?;
    let (ledger, now) = (desk.ledger(), desk.now());
    let mut budgets: Vec<Budgeted> = Vec::new();
    if shows_gateway && page.number == 1 && !matches!(asked, Asked::Kind(_)) {
        budgets.extend(of_gateway(ledger, desk.snapshot.toll_rules(), now));
    }
    budgets.extend(records.iter().flat_map(|record| of_record(ledger, record, now)));
    let outlooks = outlooks(ledger.books(), now, budgets).await?;
    let rows: Vec<Value> = outlooks.iter().map(|outlook| row(desk, outlook)).collect();
    Ok(json!({
        "projections": rows,
        "total_count": page.total,
        "current_page": page.number,
        "total_pages": page.count(),
        "size": page.size,
    }))
}

/// The records of a kind that whoever asks may see, by their ids.
fn listed(desk: &Desk<'_>, kind: Kind) -> Vec<Arc<Record>> {
    let mut records = desk.all(kind);
    records.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    records
}

fn row(desk: &Desk<'_>, outlook: &Outlook) -> Value {
    let Outlook { budgeted: Budgeted { scope, standing, .. }, projection, .. } = outlook;
    let kind = SCOPE_KINDS.into_iter().find(|kind| scope_word(*kind) == scope.kind.word());
    let record = kind.and_then(|kind| desk.known(kind, &scope.id));
    let amount = |amount: Option<PicoDollars>| amount.map(dollars);
    let moment = |at: Wall| (standing.period != Period::FOREVER).then(|| at.rfc3339());
    let zone = desk.snapshot.toll_rules().zone_ref();
    let exhausted = match projection {
        Some(projection) => projection.exhausted_at,
        // Of an account that is too young for a rate it is known whether its budget is spent.
        None => standing.limit.filter(|limit| *limit <= standing.settled).map(|_| desk.now()),
    };
    json!({
        "scope": scope.kind.word(),
        "id": scope.id.as_ref(),
        "alias": record.as_ref().and_then(|record| record.alias()),
        "budget_duration": standing.cadence.map(|cadence| cadence.to_string()),
        "period_start": moment(standing.period.start),
        "period_end": moment(standing.period.end),
        "spend": dollars(standing.settled),
        "max_budget": amount(standing.limit),
        "daily_rate": amount(projection.map(|projection| projection.daily_rate)),
        "projected_spend": amount(projection.and_then(|projection| projection.at_end)),
        "exhausted_on": exhausted.and_then(|at| day_of(at, zone)),
    })
}
