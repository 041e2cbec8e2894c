//! What is told when a budget passes a mark.
//!
//! Leaves to the ledger when that is (once in a period), and to the alerts how it gets to whom.

use crate::routing::Alerts;
use serde_json::Value;
use std::sync::{Arc, Weak};
use tollgate_alerts::{Alert, Belongs, Period, Scope as Whose, ScopeKind as Whom, Spent};
use tollgate_config::is_mailbox;
use tollgate_identity::{Directory, Kind, Record, Scope, ScopeKind};
use tollgate_ledger::{Ledger, Listener};
use tollgate_policy::accounts::{Crossing, Threshold, Tier};

/// Tells of every budget that passes a mark.
pub(crate) fn listener(ledger: &Arc<Ledger>, alerts: Alerts) -> Listener {
    let ledger: Weak<Ledger> = Arc::downgrade(ledger);
    Box::new(move |scope, crossing| {
        if let Some(ledger) = ledger.upgrade() {
            let (whose, recipients) = {
                let directory = ledger.directory();
                let whose = whose(scope, &directory);
                let recipients = recipients(scope, (&whose, crossing), &directory);
                (whose, recipients)
            };
            alerts.tell(alert(whose, crossing).mailed_to(recipients));
        }
    })
}

fn alert(scope: Whose, crossing: &Crossing) -> Alert {
    let period = crossing
        .cadence
        .map(|_| Period { start: crossing.period.start.micros(), end: Some(crossing.period.end.micros()) });
    let spent = Spent { scope, spend: crossing.settled, budget: crossing.limit, period };
    let tier = match crossing.threshold {
        Threshold::Soft => return Alert::soft_budget(spent, crossing.mark),
        Threshold::Warn => Tier::Warn,
        Threshold::Downgrade => Tier::Downgrade,
        Threshold::Spent => Tier::Overflow,
    };
    let share = crossing.limit.filter(|limit| limit.0 > 0).map(|limit| crossing.mark.0 * 1_000_000 / limit.0);
    let share = share.and_then(|share| u32::try_from(share).ok()).unwrap_or(1_000_000);
    Alert::threshold(spent, share, tier.word())
}

/// Who is mailed besides those whom the operator names: the user whose account it is, and whom LiteLLM's members of the
/// record's metadata name for a soft budget (a list) and for shares of a budget (lists by percent, from which on they are).
fn recipients(scope: &Scope, (whose, crossing): (&Whose, &Crossing), directory: &Directory) -> Vec<String> {
    let is_persons = matches!(scope.kind, ScopeKind::Key | ScopeKind::User | ScopeKind::Member);
    let own = whose.belongs.user_email.as_deref().filter(|_| is_persons);
    let record = Kind::of_scope(scope.kind).and_then(|kind| directory.get(kind, &scope.id));
    let document = record.map(|record| record.document());
    let metadata = |member| document.as_ref().and_then(|document| document.metadata(member));
    let named: Vec<&Value> = match crossing.threshold {
        Threshold::Soft => metadata("soft_budget_alerting_emails").into_iter().collect(),
        _ => {
            let lists = metadata("max_budget_alert_emails").and_then(Value::as_object).into_iter().flatten();
            let limit = crossing.limit.unwrap_or(crossing.mark);
            // An amount of 100 times the one is compared to that of percent times the other.
            let is_passed = |percent: &str| {
                let percent = percent.trim_end_matches('%').parse::<u8>().ok();
                percent.is_some_and(|percent| {
                    crossing.mark.0.saturating_mul(100) >= limit.0.saturating_mul(i128::from(percent))
                })
            };
            lists.filter(|(percent, _)| is_passed(percent)).map(|(_, list)| list).collect()
        }
    };
    let named = named.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    let mut all: Vec<String> = Vec::new();
    for address in own.into_iter().chain(named).filter(|address| is_mailbox(address)) {
        if !all.iter().any(|known| known.eq_ignore_ascii_case(address)) {
            all.push(address.to_owned());
        }
    }
    all
}

/// A scope with the names that people know it by.
pub(super) fn whose(scope: &Scope, directory: &Directory) -> Whose {
    let whom = match scope.kind {
        ScopeKind::Global => Whom::Global,
        ScopeKind::Provider => Whom::Provider,
        ScopeKind::Model => Whom::Model,
        ScopeKind::Deployment => Whom::Deployment,
        ScopeKind::AccessGroup => Whom::AccessGroup,
        ScopeKind::Tag => Whom::Tag,
        ScopeKind::EndUser => Whom::EndUser,
        ScopeKind::Organization => Whom::Organization,
        ScopeKind::Project => Whom::Project,
        ScopeKind::Team => Whom::Team,
        ScopeKind::Member => Whom::Member,
        ScopeKind::OrganizationMember => Whom::OrganizationMember,
        ScopeKind::User => Whom::User,
        ScopeKind::Key => Whom::Key,
    };
    let kind = Kind::of_scope(scope.kind);
    let record = kind.and_then(|kind| directory.get(kind, &scope.id));
    let alias = record.and_then(|record| record.alias()).unwrap_or_default();
    let named = Whose::new(whom, scope.id.as_ref()).alias(alias);
    let named = match &scope.model {
        Some(model) => named.model(model.as_ref()),
        None => named,
    };
    named.belongs(record.map(|record| belongs(record, directory)).unwrap_or_default())
}

/// A record with the names that people know it by.
pub(crate) fn named(record: &Arc<Record>, whom: Whom, directory: &Directory) -> Whose {
    let named = Whose::new(whom, record.id.as_ref()).alias(record.alias().unwrap_or_default());
    named.belongs(belongs(record, directory))
}

fn belongs(record: &Arc<Record>, directory: &Directory) -> Belongs {
    let text = |id: Option<&Arc<str>>| id.map(|id| id.as_ref().to_owned());
    let own = |kind| (record.kind == kind).then(|| record.id.as_ref().to_owned());
    let alias = || record.alias().map(str::to_owned);
    let parents = &record.parents;
    let user = own(Kind::User).or_else(|| text(parents.user.as_ref()));
    let team = own(Kind::Team).or_else(|| text(parents.team.as_ref()));
    let find = |kind, id: &Option<String>| id.as_deref().and_then(|id| directory.get(kind, id));
    Belongs {
        token: own(Kind::Key),
        key_alias: (record.kind == Kind::Key).then(alias).flatten(),
        user_email: find(Kind::User, &user).and_then(|user| user.text("user_email")),
        customer_id: own(Kind::Customer),
        team_alias: find(Kind::Team, &team).and_then(|team| team.alias().map(str::to_owned)),
        organization_id: own(Kind::Organization).or_else(|| text(parents.organization.as_ref())),
        user_id: user,
        team_id: team,
    }
}
