//! JSON for machines: LiteLLM's webhook event, and Tollgate's members beside it.
//!
//! Owns: the members and their order. Leaves to others: the signature. Members and nulls of a budget's event are those of
//! LiteLLM's `WebhookEvent`.
//!
//! **Invariant:** an amount is written digit by digit from its exact value. **Invariant:** no member is there twice.

use crate::alert::{Alert, Belongs, Scope, ScopeKind};
use crate::text::moment;
use serde_json::Value;
use tollgate_catalog::PicoDollars;

/// An object that is being written.
pub(crate) struct Members {
    text: String,
    names: Vec<String>,
}

impl Members {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { text: "{".to_owned(), names: Vec::new() }
    }

    /// A member whose value is JSON already; the first of a name stays.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        if self.names.iter().any(|known| known == name) {
            return;
        }
        if !self.names.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(&Value::from(name).to_string());
        self.text.push(':');
        self.text.push_str(json);
        self.names.push(name.to_owned());
    }

    /// A member.
    pub(crate) fn value(&mut self, name: &str, value: impl Into<Value>) {
        self.raw(name, &value.into().to_string());
    }

    fn amount(&mut self, name: &str, amount: Option<PicoDollars>) {
        let json = amount.map_or_else(|| "null".to_owned(), PicoDollars::as_litellm_number);
        self.raw(name, &json);
    }

    /// The whole of it.
    pub(crate) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// The whole body.
pub(crate) fn body(alert: &Alert) -> String {
    let mut members = Members::new();
    if let Some(scope) = &alert.scope {
        litellm(&mut members, alert, scope);
    }
    members.value("event", alert.event.word());
    members.value("event_message", alert.sentence.as_str());
    members.value("alert_type", alert.event.alert_type().word());
    members.value("level", alert.severity.word());
    members.value("timestamp", alert.at.div_euclid(1_000_000));
    if let Some(scope) = &alert.scope {
        own(&mut members, alert, scope);
    }
    for (name, value) in &alert.facts {
        members.raw(name, &value.to_string());
    }
    members.end()
}

/// LiteLLM's members of an event about an account.
fn litellm(members: &mut Members, alert: &Alert, scope: &Scope) {
    let Belongs { token, key_alias, user_id, user_email, customer_id, team_id, team_alias, organization_id } =
        scope.belongs.clone();
    // What the account itself is called goes into the member of its kind.
    let own =
        |kind: ScopeKind, other: Option<String>| (scope.kind == kind).then(|| scope.id.clone()).or(other);
    let named = |kind: ScopeKind, other: Option<String>| {
        if scope.kind == kind { scope.alias.clone().or(other) } else { other }
    };
    members.amount("spend", alert.amounts.spend);
    members.amount("max_budget", alert.amounts.budget);
    members.amount("soft_budget", alert.amounts.soft_budget);
    members.value("token", own(ScopeKind::Key, token));
    members.value("customer_id", own(ScopeKind::EndUser, customer_id));
    members.value("user_id", own(ScopeKind::User, user_id));
    members.value("team_id", own(ScopeKind::Team, team_id));
    members.value("team_alias", named(ScopeKind::Team, team_alias));
    members.value("organization_id", own(ScopeKind::Organization, organization_id));
    members.value("user_email", user_email);
    members.value("key_alias", named(ScopeKind::Key, key_alias));
    members.value("projected_exceeded_date", alert.exceeded_on.clone());
    members.amount("projected_spend", alert.amounts.projected_spend);
    members.value("event_group", scope.kind.word());
    members.value("alert_emails", Some(alert.recipients.clone()).filter(|to| !to.is_empty()));
    members.value("max_budget_alert_emails", Value::Null);
}

/// Tollgate's own.
fn own(members: &mut Members, alert: &Alert, scope: &Scope) {
    let mut inner = Members::new();
    inner.value("kind", scope.kind.word());
    inner.value("id", scope.id.as_str());
    inner.value("alias", scope.alias.clone());
    if let Some(model) = &scope.model {
        inner.value("model", model.as_str());
    }
    members.raw("scope", &inner.end());
    match alert.threshold {
        Some(crate::alert::Threshold::Share(_)) => {
            members.raw("threshold", &alert.threshold.map(crate::alert::Threshold::word).unwrap_or_default());
        }
        Some(crate::alert::Threshold::Soft) => members.value("threshold", "soft"),
        None => {}
    }
    members.amount("budget", alert.amounts.budget.or(alert.amounts.soft_budget));
    let period = alert.period.map(|period| (moment(period.start), period.end.map(moment)));
    let (start, end) = period.map_or((None, None), |(start, end)| (Some(start), end));
    members.value("period_start", start);
    members.value("period_end", end);
}

#[cfg(test)]
mod tests {
    use super::super::samples::{budget, cooldown, hostile};
    use super::*;
    use crate::occasion::Spent;

    #[test]
    fn a_budgets_event_has_every_member_of_litellms_and_its_amounts_are_exact() {
        let body = body(&budget());
        let expect = concat!(
            r#"{"spend":7.500000000001,"max_budget":10.0,"soft_budget":null,"token":"88dc28d0f030c55e","#,
            r#""customer_id":null,"user_id":"alice","team_id":"t1","team_alias":"research","organization_id":null,"#,
            r#""user_email":"alice@example.com","key_alias":"chatbot","projected_exceeded_date":null,"#,
            r#""projected_spend":null,"event_group":"key","alert_emails":null,"max_budget_alert_emails":null,"#,
            r#""event":"threshold_crossed","event_message":"Key chatbot has spent $7.500000000001 of $10.00 "#,
            r#"from 2026-11-01 to 2026-12-01: 75% of the budget.","alert_type":"budget_alerts","level":"warning","#,
            r#""timestamp":1795409187,"scope":{"kind":"key","id":"88dc28d0f030c55e","alias":"chatbot"},"#,
            r#""threshold":0.75,"budget":10.0,"period_start":"2026-11-01T00:00:00Z","#,
            r#""period_end":"2026-12-01T00:00:00Z","tier":"warn"}"#
        );
        assert_eq!(body, expect);
    }

    const PAGE: &str = include_str!("../../../../docs/alerts.md");

    #[test]
    fn the_page_shows_what_is_sent() {
        let (_, example) = PAGE.split_once("<!-- alert: a threshold -->\n```json\n").unwrap();
        let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
        assert_eq!(example, serde_json::from_str::<Value>(&body(&budget())).unwrap());
    }

    #[test]
    fn the_page_names_every_event_with_its_type() {
        use crate::alert::Event;
        // What comes of alerts themselves, and what nothing tells yet, as the page says below the table.
        let not_in_table = [Event::HeldBack, Event::SpendTracked, Event::SpendReport];
        for event in Event::all().filter(|event| !not_in_table.contains(event)) {
            let is_row = |line: &&str| {
                let mut columns = line.split(" | ");
                columns.next().is_some_and(|events| events.contains(&format!("`{}`", event.word())))
                    && columns.next() == Some(&format!("`{}`", event.alert_type().word()))
            };
            assert_eq!(PAGE.lines().filter(is_row).count(), 1, "{}", event.word());
        }
    }

    #[test]
    fn a_soft_budgets_event_says_soft() {
        let spent = Spent {
            scope: Scope::new(ScopeKind::Team, "t1").alias("research").model("gpt-4o"),
            spend: PicoDollars(6_000_000_000_000),
            budget: None,
            period: None,
        };
        let body = body(&Alert::soft_budget(spent, PicoDollars(5_000_000_000_000)));
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&read["event"], &read["threshold"]), (&"soft_budget_crossed".into(), &"soft".into()));
        assert!(
            body.contains(r#""max_budget":null,"soft_budget":5.0,"#) && body.contains(r#""budget":5.0,"#),
            "{body}"
        );
        assert_eq!((&read["team_id"], &read["team_alias"]), (&"t1".into(), &"research".into()));
        assert_eq!(read["scope"]["model"], "gpt-4o");
    }

    #[test]
    fn what_is_about_a_deployment_has_its_facts_alone() {
        assert_eq!(
            body(&cooldown()),
            r#"{"event":"cooldown_deployment","event_message":"Deployment a is out.","alert_type":"cooldown_deployment","level":"warning","timestamp":1795409187,"deployment":"a","failures":3}"#
        );
    }

    #[test]
    fn a_fact_neither_doubles_nor_replaces_a_member() {
        let body = body(&cooldown().fact("event", "other").fact("level", 9));
        assert_eq!(body.matches("\"event\":").count(), 1);
        assert!(body.contains("\"level\":\"warning\"") && !body.contains("other"), "{body}");
    }

    #[test]
    fn whatever_is_in_it_it_is_json() {
        let read: Value = serde_json::from_str(&body(&hostile())).unwrap();
        assert_eq!(
            read["scope"]["alias"].as_str().map(str::len),
            hostile().scope.unwrap().alias.map(|it| it.len())
        );
    }
}
