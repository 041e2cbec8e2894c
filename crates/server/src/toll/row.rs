//! What is kept of a request: the row of each attempt in the ledger.
//!
//! **Invariant:** no row has a prompt, an answer, a key or a credential in it.

use crate::pipeline::Call;
use crate::routing::Wish;
use crate::target::Target;
use http::HeaderValue;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;
use tollgate_dialect::conversation::Usage;
use tollgate_identity::{Holder, Record, Scope};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{Account, SpendRow};

/// Letters of a caller's program that are kept.
const AGENT_MAX: usize = 200;

/// What is known of a request before it is sent.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The row of every attempt, as far as it is the same.
    base: Box<SpendRow>,
    /// Whom it is booked to beside the accounts that are held in memory.
    more: Vec<Account>,
    /// The key and its team, whose names rows have, so that they outlive them.
    named: [Option<Arc<Record>>; 2],
    /// What the caller wants to stand in the row, JSON.
    noted: Option<Box<str>>,
    /// The caller's program, as it says itself.
    agent: Option<HeaderValue>,
}

impl Facts {
    pub(super) fn of(call: &Call, wish: &Wish, group: &str) -> Self {
        let call_id = call.id.to_str().unwrap_or_default();
        let mut base = SpendRow {
            request_id: call_id.to_owned(),
            call_id: call_id.to_owned(),
            call_type: call.surface.call_type().to_owned(),
            session_id: wish.session.clone().unwrap_or_default(),
            api_key: call.caller.owner(),
            end_user: wish.user.clone().filter(|_| !wish.is_uncounted).unwrap_or_default(),
            model_group: group.to_owned(),
            tags: wish.tags.clone(),
            requester_ip: call.caller.address().map(|address| address.to_string()).unwrap_or_default(),
            ..SpendRow::default()
        };
        if let Some(holder) = call.caller.holder() {
            name_holder(&mut base, holder);
        }
        if let Some(payer) = &wish.payer {
            base.user_id.clone_from(payer);
        }
        let holder = call.caller.holder();
        let named = [holder.map(|holder| Arc::clone(&holder.key)), holder.and_then(|it| it.team.clone())];
        let (more, noted, agent) = (Vec::new(), wish.spend_logs.clone(), call.agent.clone());
        Self { base: Box::new(base), more, named, noted, agent }
    }

    /// The end user, with the key that it came by and the name of that.
    pub(super) fn end_user(&self) -> Option<(&str, &str, Option<String>)> {
        let alias = self.named.first().and_then(Option::as_ref).and_then(|key| key.alias());
        let base = Some(&self.base).filter(|base| !base.end_user.is_empty())?;
        Some((&base.end_user, &base.api_key, alias.map(str::to_owned)))
    }

    /// The row of a request of which nothing was sent.
    pub(super) fn unsent(&self) -> SpendRow {
        SpendRow { model: self.base.model_group.clone(), ..SpendRow::clone(&self.base) }
    }

    /// LiteLLM's `metadata`, as far as no column says it: whose it was, by name, and `more`, each with its JSON.
    pub(super) fn metadata(&self, more: &[(&str, &str)]) -> String {
        let mut text = String::with_capacity(160);
        let mut put = |name: &str, json: &str| {
            text.push(if text.is_empty() { '{' } else { ',' });
            // Writing to a String cannot fail.
            let _ = write!(text, "\"{name}\":{json}");
        };
        let [key, team] = &self.named;
        if let Some(alias) = key.as_ref().and_then(|key| key.alias()) {
            put("user_api_key_alias", &Value::from(alias).to_string());
        }
        if let Some(alias) = team.as_ref().and_then(|team| team.alias()) {
            put("user_api_key_team_alias", &Value::from(alias).to_string());
        }
        if let Some(noted) = &self.noted {
            put("spend_logs_metadata", noted);
        }
        if let Some(agent) = self.agent.as_ref().and_then(|agent| agent.to_str().ok()) {
            let shown: String = agent.chars().take(AGENT_MAX).collect();
            put("user_agent", &Value::from(shown).to_string());
        }
        more.iter().for_each(|(name, json)| put(name, json));
        if !text.is_empty() {
            text.push('}');
        }
        text
    }

    /// Books it to accounts that are not held in memory.
    pub(super) fn book_elsewhere<'a>(&mut self, scopes: impl Iterator<Item = &'a Scope>) {
        self.more.extend(scopes.map(|scope| Account {
            kind: scope.kind.word().to_owned(),
            id: scope.id.as_ref().to_owned(),
            ..Account::default()
        }));
    }

    /// The row of an attempt at a deployment that begins now.
    pub(super) fn row(&self, target: &Target, now: Wall) -> SpendRow {
        SpendRow {
            model: target.model.clone(),
            model_id: target.id.clone(),
            provider: target.provider.name.to_owned(),
            api_base: target.reply_headers.api_base().to_owned(),
            started_at: now.micros(),
            ended_at: now.micros(),
            accounts: self.more.clone(),
            unpriced: target.is_unpriced,
            ..SpendRow::clone(&self.base)
        }
    }
}

fn name_holder(row: &mut SpendRow, holder: &Holder) {
    let id = |record: Option<&std::sync::Arc<tollgate_identity::Record>>| {
        record.map(|record| record.id.as_ref().to_owned()).unwrap_or_default()
    };
    // Also those that are named and of whom nothing is written.
    let parents = &holder.key.parents;
    let named = |id: Option<&std::sync::Arc<str>>| id.map(|id| id.as_ref().to_owned()).unwrap_or_default();
    row.user_id = named(parents.user.as_ref());
    row.team_id = named(parents.team.as_ref().or(holder.team.as_ref().map(|team| &team.id)));
    row.organization_id = id(holder.organization.as_ref());
    row.project_id = named(parents.project.as_ref());
}

/// Puts the counts of a usage into a row.
pub(super) fn count(row: &mut SpendRow, usage: &Usage) {
    row.prompt_tokens = usage.input_tokens;
    row.completion_tokens = usage.output_tokens;
    row.total_tokens = usage.input_tokens.saturating_add(usage.output_tokens);
    row.cache_read_tokens = usage.cached_tokens;
    row.cache_write_tokens = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
    row.cache_write_1h_tokens = usage.cache_write_1h_tokens;
    row.reasoning_tokens = usage.reasoning_tokens;
    row.audio_input_tokens = usage.input_audio_tokens;
    row.audio_output_tokens = usage.output_audio_tokens;
    row.image_input_tokens = usage.input_image_tokens;
    row.image_output_tokens = usage.output_image_tokens;
}
