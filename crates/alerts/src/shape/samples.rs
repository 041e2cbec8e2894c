//! Alerts that the tests of the shapes share.
//!
//! Owns: the samples. Leaves to others: what is made of them. **Invariant:** they do not change with the clock.

use crate::alert::{Alert, Belongs, Event, Period, Scope, ScopeKind, Severity};
use crate::occasion::Spent;
use tollgate_catalog::PicoDollars;

/// 2026-11-23T04:46:27Z.
pub(crate) const AT: i64 = 1_795_409_187_000_000;

/// A key at 75% of its budget.
pub(crate) fn budget() -> Alert {
    let belongs = Belongs {
        user_id: Some("alice".to_owned()),
        user_email: Some("alice@example.com".to_owned()),
        team_id: Some("t1".to_owned()),
        team_alias: Some("research".to_owned()),
        ..Belongs::default()
    };
    let spent = Spent {
        scope: Scope::new(ScopeKind::Key, "88dc28d0f030c55e").alias("chatbot").belongs(belongs),
        spend: PicoDollars(7_500_000_000_001),
        budget: PicoDollars::parse_dollars("10").ok(),
        period: Some(Period { start: 1_793_491_200_000_000, end: Some(1_796_083_200_000_000) }),
    };
    Alert { at: AT, ..Alert::threshold(spent, 750_000, "warn") }
}

/// A deployment that is out.
pub(crate) fn cooldown() -> Alert {
    let alert = Alert::new(Event::Cooldown, Severity::Warning, "dep-a", "Deployment a is out.");
    Alert { at: AT, ..alert.fact("deployment", "a").fact("failures", 3) }
}

/// What is hostile in everything that a stranger can name.
pub(crate) fn hostile() -> Alert {
    let nasty = "<!channel> @everyone [x](https://evil) *b*\r\nBcc: x\u{202e} ".repeat(400);
    let scope = Scope::new(ScopeKind::Key, "id").alias(nasty.clone());
    let alert = Alert::new(Event::SpendAnomaly, Severity::Critical, &nasty, nasty.clone()).scope(scope);
    let mut alert =
        (0..60).fold(alert, |alert, place| alert.fact(&format!("fact {place} {nasty}"), nasty.as_str()));
    alert.at = AT;
    alert
}
