//! Deployments, credentials, invitations, access groups and the audit.

use crate::support::{at, at_with, check, clock, kept, object, record, recording};
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate_identity::form::{credential, invitation, model};
use tollgate_identity::reply::access_group::{self, Shown};
use tollgate_identity::reply::{
    Amounts, Page, audit, credential as credentials, invitation as invitations, model as models,
};
use tollgate_identity::{Document, Kind, Record};

const NOW: &str = "2026-11-22T11:02:13.000Z";
const ID: &str = "dyn-1795345330";
const SEALED: &str =
    "LiteLLM shows what it keeps, sealed; here only secrets are, and nothing of them is shown";

fn made() -> Arc<Record> {
    let new = recording("model_new");
    assert_eq!(model::id_of(&new.request), Some(ID));
    let seal = |member: &str, text: &str| Ok(format!("sealed {member} {}", text.len()));
    let draft =
        at("2026-11-22T11:02:10.366Z", |context| model::new(ID, &new.request, &seal, context).unwrap());
    assert_eq!(draft.document.0["litellm_params"]["api_key"], "sealed litellm_params.api_key 1");
    kept(&draft)
}

fn changed(before: &Record, name: &'static str, time: &str) -> Arc<Record> {
    let update = recording(name);
    let seal = |_: &str, _: &str| Ok(String::new());
    kept(&at(time, |context| model::change(ID, &before.document(), &update.request, &seal, context).unwrap()))
}

#[test]
fn a_deployment_is_made_changed_and_deleted() {
    let differences: Vec<_> =
        ["model", "api_key", "api_base"].map(|name| (format!("litellm_params.{name}"), SEALED)).into();
    let differences: Vec<_> = differences.iter().map(|(place, why)| (place.as_str(), *why)).collect();
    let compare = |name: &'static str, model: &Record| {
        let reply = models::row(model, &clock(NOW));
        check(&recording(name), &reply, &differences);
        reply
    };
    let made = made();
    let reply = compare("model_new", &made);
    assert_eq!(reply["litellm_params"]["api_key"], "*****");
    assert_eq!(reply["litellm_params"]["api_base"], "http://127.0.0.1:19311/v1");
    let updated = changed(&made, "model_update", "2026-11-22T11:02:11.699Z");
    assert_eq!(compare("model_update", &updated)["litellm_params"]["model"], "openai/gpt-4o-mini");
    let patched = changed(&updated, "model_patch", "2026-11-22T11:02:11.909Z");
    compare("model_patch", &patched);
    assert_eq!(
        patched.document().0["litellm_params"]["api_key"],
        made.document().0["litellm_params"]["api_key"]
    );
    let delete = recording("model_delete");
    let gone = at(NOW, |context| model::deletion(&delete.request, context).unwrap());
    check(&delete, &models::deleted(&gone), &[]);
}

#[test]
fn an_invitation_is_for_a_week() {
    let new = recording("invitation_new");
    let id = "721241b4-b92e-47e9-9d1f-008187751e53";
    let draft =
        at_with("2026-11-22T11:02:12.821Z", id, |context| invitation::new(&new.request, context).unwrap());
    check(&new, &invitations::row(&kept(&draft), &clock(NOW)), &[]);
    let accepted = at(NOW, |context| invitation::accept(id, &draft.document, true, context));
    let reply = invitations::row(&kept(&accepted), &clock(NOW));
    assert_eq!(
        (&reply["is_accepted"], &reply["accepted_at"]),
        (&json!(true), &json!("2026-11-22T11:02:13Z"))
    );
}

#[test]
fn credentials_are_shown_masked() {
    check(&recording("credentials"), &credentials::list(&[]), &[]);
    let body = object(
        r#"{"credential_name": "c", "credential_values": {"api_key": "x"}, "credential_info": {"p": 1}}"#,
    );
    let seal = |_: &str, _: &str| Ok("sealed".to_owned());
    let draft = at(NOW, |context| credential::new(&body, &seal, context).unwrap());
    let opened = object(
        r#"{"api_key": "sk-1234567", "api_base": "http://x", "short_key": "abcd", "deep": {"token": "12345"}}"#,
    );
    let view = credentials::view(&kept(&draft), &opened);
    let wants = json!({
        "credential_name": "c", "display_name": null, "credential_info": {"p": 1},
        "credential_values": {
            "api_key": "sk****67", "api_base": "http://x", "short_key": "*****", "deep": {"token": "12****45"},
        },
        "source": "db",
    });
    assert_eq!(view.to_string(), wants.to_string());
    let done = credentials::done(credentials::Done::Created);
    assert_eq!(done, json!({"success": true, "message": "Credential created successfully"}));
}

#[test]
fn an_audit_has_no_secrets() {
    check(&recording("audit"), &audit::pages(&[], Page { number: 1, size: 10, total: 0 }), &[]);
    let document = Document(object(
        r#"{"password": "$argon2id$x", "credential_values": {"region": "r"}, "metadata": {"note": "n", "api_key": "k"},
            "litellm_params": {"model": "m", "api_key": "sealed"}, "max_budget": 3}"#,
    ));
    let shown = audit::values(&document);
    let wants = json!({
        "password": "*****", "credential_values": {"region": "*****"}, "metadata": {"note": "n", "api_key": "*****"},
        "litellm_params": {"model": "m", "api_key": "*****"}, "max_budget": 3,
    });
    assert_eq!(shown, wants);
    let entry = audit::Entry {
        id: "1",
        at: crate::support::wall(NOW),
        actor: "ada",
        key: None,
        action: "updated",
        kind: Kind::Team,
        object: "t",
        before: None,
        after: Some(shown),
    };
    let names: Vec<_> = audit::row(&entry).as_object().unwrap().keys().cloned().collect();
    let wants =
        "id updated_at changed_by changed_by_api_key action table_name object_id before_value updated_values";
    assert_eq!(names.join(" "), wants);
    let tables: std::collections::BTreeSet<_> = Kind::ALL.into_iter().map(audit::table).collect();
    assert_eq!(tables.len(), Kind::ALL.len());
}

#[test]
fn groups_of_models_are_told_with_their_budgets() {
    let none = Amounts::default();
    let group = record(Kind::AccessGroup, "g", r#"{"models": ["a"], "budget_id": "b"}"#);
    let budget = record(Kind::Budget, "b", r#"{"max_budget": 3, "budget_duration": "1d"}"#);
    let made = json!({"access_group": "g", "model_names": ["a"], "model_ids": null, "models_updated": 2});
    assert_eq!(access_group::made(&group, 2), made);
    let shown = Shown { group: &group, amounts: &none, budget: Some(&budget) };
    let wants = json!({
        "access_group": "g", "model_names": ["a"], "deployment_count": 2, "spend": 0.0,
        "budget": {
            "budget_id": "b", "max_budget": 3.0, "soft_budget": null, "budget_duration": "1d",
            "budget_reset_at": "2026-11-23T00:00:00Z",
        },
    });
    assert_eq!(access_group::info(shown, &["a"], 2, &clock(NOW)), wants);
    assert_eq!(access_group::budget(Shown { budget: None, ..shown }, &clock(NOW))["budget"], Value::Null);
    assert_eq!(
        access_group::budget_deleted("g", true)["message"],
        "Budget for access group 'g' deleted successfully"
    );
    let named = record(
        Kind::AccessGroup,
        "id",
        r#"{"access_group_name": "n", "models": ["no-default-models"], "created_at": "2026-11-22T11:00:00Z"}"#,
    );
    let reply = access_group::named(&named, &[("t", Some("alias"))], &[], &clock(NOW));
    let names: Vec<_> = reply.as_object().unwrap().keys().cloned().collect();
    let wants = "access_group_id access_group_name description access_model_names access_mcp_server_ids access_agent_ids \
                 assigned_team_ids assigned_key_ids access_mcp_servers access_agents assigned_teams assigned_keys \
                 created_at created_by updated_at updated_by";
    assert_eq!(names.join(" "), wants);
    assert_eq!(reply["access_model_names"], json!([]));
    assert_eq!(reply["assigned_teams"], json!([{"id": "t", "name": "alias"}]));
}
