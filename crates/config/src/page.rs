//! The tables of the configuration page, made from the tables of keys.
//!
//! Owns: their shape in Markdown. Leaves to others: the prose around them (docs/configuration.md), which a test holds to
//! this output.
//!
//! **Invariant:** every key of every table is on the page, active or not.

use std::fmt::Write as _;

use crate::keys::{
    Key, Kind, State, Table, access, alerts, budgets, caching, credential, general, jwt, ledger, litellm,
    model, passthrough, prices, records, router, rows, tiers, tollgate, top,
};

/// The generated part of docs/configuration.md.
pub fn reference() -> String {
    let mut out = String::new();
    section(&mut out, "The file", "", top::TABLE);
    section(&mut out, "`model_list[]`", "", model::ENTRY);
    section(&mut out, "`litellm_params`", "", model::PARAMS);
    section(&mut out, "`model_info`", "Other keys are yours; `/model/info` shows them.", model::INFO);
    section(&mut out, "`litellm_params.tollgate_fault`", "", model::FAULT);
    section(&mut out, "`credential_list[]`", "", credential::TABLE);
    routing(&mut out);
    section(
        &mut out,
        "`litellm_settings`",
        "The keys of `router_settings` are accepted here too.",
        litellm::OWN,
    );
    section(&mut out, "`litellm_settings.cache_params`", "", caching::PARAMS);
    new_records(&mut out);
    section(&mut out, "`general_settings`", "", general::TABLE);
    section(&mut out, "`general_settings.service_account_settings`", "", access::SERVICE_ACCOUNT);
    section(&mut out, "`general_settings.litellm_jwtauth`", "", jwt::AUTH);
    section(&mut out, "`general_settings.litellm_jwtauth.issuers[]`", "", jwt::ISSUER);
    section(&mut out, "`general_settings.litellm_jwtauth.role_mappings[]`", "", jwt::ROLE);
    section(&mut out, "`general_settings.litellm_jwtauth.jwt_litellm_role_map[]`", "", jwt::ROLE_PATTERN);
    section(&mut out, "`general_settings.litellm_jwtauth.scope_mappings[]`", "", jwt::SCOPE);
    section(&mut out, "`general_settings.alerting_args`", "", alerts::ARGS);
    section(&mut out, "`general_settings.pass_through_endpoints[]`", "", passthrough::ENDPOINT);
    section(&mut out, "`default_vertex_config`", "", passthrough::VERTEX);
    section(&mut out, "`files_settings[]`, `finetune_settings[]`", "", passthrough::ACCOUNT);
    section(&mut out, "`tollgate_settings`", "", tollgate::TABLE);
    section(&mut out, "`tollgate_settings.log`", "", tollgate::LOG);
    section(&mut out, "`tollgate_settings.cache`", "", caching::OWN);
    section(
        &mut out,
        "`tollgate_settings.cache.only`, `tollgate_settings.cache.never`",
        "A request is one of them if it meets any line.",
        caching::WHICH,
    );
    limits(&mut out);
    failover(&mut out);
    out
}

/// The tables of what new keys, users and teams get.
fn new_records(out: &mut String) {
    for (name, table) in [
        ("default_key_generate_params", records::KEY),
        ("upperbound_key_generate_params", records::KEY_BOUNDS),
        ("default_internal_user_params", records::USER),
        ("default_team_params", records::TEAM),
        ("default_team_settings[]", records::TEAM_SETTINGS),
        ("key_generation_settings", records::KEY_GENERATION),
        ("key_generation_settings.team_key_generation", records::TEAM_KEYS),
        ("key_generation_settings.personal_key_generation", records::PERSONAL_KEYS),
    ] {
        section(out, &format!("`litellm_settings.{name}`"), "", table);
    }
}

/// The tables of budgets and of the journal.
fn limits(out: &mut String) {
    section(out, "`tollgate_settings.budget_tiers`", "", budgets::TIERS);
    section(out, "`tollgate_settings.anomaly`", "", budgets::ANOMALY);
    section(out, "`tollgate_settings.model_budgets.<name>`", "", budgets::GROUP);
    section(out, "`tollgate_settings.journal`", "", ledger::JOURNAL);
    section(out, "`tollgate_settings.key_rotation`", "", ledger::ROTATION);
}

/// The tables of `router_settings`.
fn routing(out: &mut String) {
    section(out, "`router_settings`", "", router::TABLE);
    section(
        out,
        "`router_settings.model_group_alias.<name>`",
        "Or the name of the group alone.",
        router::ALIAS,
    );
    section(
        out,
        "`router_settings.routing_strategy_args`",
        "Arguments of `latency-based-routing`; the other strategies have none.",
        router::STRATEGY_ARGS,
    );
    section(out, "`router_settings.routing_groups[]`", "", router::ROUTING_GROUP);
    section(
        out,
        "`router_settings.retry_policy`, `router_settings.model_group_retry_policy.<name>`",
        "",
        router::RETRY_POLICY,
    );
    section(
        out,
        "`router_settings.allowed_fails_policy`, `model_info.allowed_fails_policy`",
        "A deployment with more errors of a kind than this is left alone for a while.",
        router::ALLOWED_FAILS_POLICY,
    );
    section(out, "`router_settings.alerting_config`", "", router::ALERTING);
    section(out, "`router_settings.provider_budget_config.<provider>`", "", budgets::PROVIDER);
    section(out, "`router_settings.tag_budget_config.<tag>`", "", budgets::TAG);
}

/// The tables below the keys of `tollgate_settings` that say where a request goes.
fn failover(out: &mut String) {
    section(
        out,
        "`tollgate_settings.tiers[]`, `tollgate_settings.tiers.<name>[]`",
        "Or the name of the model group alone.",
        tiers::TIER,
    );
    section(out, "`tollgate_settings.tiers[].move_on[]`", "Or one of the words.", tiers::MOVE_ON);
    section(out, "`tollgate_settings.tiers[].canned`", "", tiers::CANNED);
    section(out, "Entries of an FAQ file", "", tiers::FAQ_ENTRY);
    section(
        out,
        "`tollgate_settings.hedge`",
        "Or `true` for the defaults, `false` for no hedging.",
        tiers::HEDGE,
    );
    section(out, "`tollgate_settings.model_groups.<name>`", "", tiers::GROUP);
    section(out, "`tollgate_settings.queue`", "", tiers::QUEUE);
    section(out, "`tollgate_settings.retry_budget`", "", tiers::RETRY_BUDGET);
    section(out, "`tollgate_settings.sensitive[]`", "", tiers::SENSITIVE);
    section(out, "`tollgate_settings.alerts`", "", alerts::OWN);
}

fn section(out: &mut String, title: &str, remark: &str, table: Table) {
    // Writing to a text cannot fail.
    let _ = write!(out, "### {title}\n\n");
    if !remark.is_empty() {
        let _ = write!(out, "{remark}\n\n");
    }
    let active: Vec<Key> = rows(table).filter(|key| key.state == State::Active).collect();
    let (compact, whole): (Vec<Key>, Vec<Key>) = active.into_iter().partition(is_compact);
    if !whole.is_empty() {
        out.push_str("| key | type | default | what it does |\n|---|---|---|---|\n");
    }
    for key in &whole {
        let default = cell(key.default);
        let _ =
            writeln!(out, "| `{}` | {} | {default} | {} |", key.name, cell(&key.kind.words()), cell(key.doc));
    }
    if !whole.is_empty() {
        out.push('\n');
    }
    let defaults = compact.iter().filter(|key| key.kind_is_request_default());
    list(out, "Defaults of request parameters, used where the caller gives none", defaults);
    let prices = compact.iter().filter(|key| !key.kind_is_request_default());
    list(out, "Prices in USD per unit, in place of the catalogue's", prices);
    let later: Vec<Key> = rows(table).filter(|key| key.state == State::NotYetActive).collect();
    list(out, "Accepted and checked, not yet active", later.iter());
    let never: Vec<Key> = rows(table).filter(|key| key.state == State::Unsupported).collect();
    list(out, "Never active here (Python code and the like)", never.iter());
}

/// Long families of keys that one line describes.
fn is_compact(key: &Key) -> bool {
    key.kind_is_request_default() || prices::BILLED.iter().any(|price| price.name == key.name)
}

impl Key {
    fn kind_is_request_default(&self) -> bool {
        model::DEFAULTS.iter().any(|default| default.name == self.name && default.doc == self.doc)
    }
}

fn list<'a>(out: &mut String, title: &str, keys: impl Iterator<Item = &'a Key>) {
    let names: Vec<String> = keys.map(|key| format!("`{}` ({})", key.name, short(&key.kind))).collect();
    if !names.is_empty() {
        let _ = write!(out, "{title}: {}.\n\n", names.join(", "));
    }
}

/// The type in a word or two.
fn short(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "boolean".into(),
        Kind::Count | Kind::Positive | Kind::Integer => "whole number".into(),
        Kind::Number | Kind::Price => "number".into(),
        Kind::Seconds | Kind::Timeout => "seconds".into(),
        Kind::Duration | Kind::DurationPositive | Kind::HedgeAfter => "time".into(),
        Kind::Share => "share".into(),
        Kind::Span => "time span".into(),
        Kind::Text => "text".into(),
        Kind::Secret => "secret".into(),
        Kind::Url => "address".into(),
        Kind::Choice(_) => "word".into(),
        Kind::List(_) => "list".into(),
        Kind::Map(_) | Kind::Section(_) | Kind::OpenSection(_) => "map".into(),
        Kind::Either(a, b) => format!("{} or {}", short(a), short(b)),
        Kind::Any => "any".into(),
    }
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
