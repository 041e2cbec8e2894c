//! Replies that LiteLLM has behind a licence, or that were not recorded: they have the members of its response models, in
//! their order.

use crate::support::{clock, record};
use serde_json::Value;
use tollgate_identity::Kind;
use tollgate_identity::reply::{Amounts, organization, project, team, user};

const NOW: &str = "2026-11-22T11:02:10.000Z";

fn check(reply: &Value, members: &str) {
    let names: Vec<_> = reply.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, members.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn organizations_and_places_in_them() {
    let none = Amounts::default();
    let made = record(Kind::Organization, "o", r#"{"organization_alias": "a", "budget_id": "b"}"#);
    let budget = record(Kind::Budget, "b", r#"{"max_budget": 3, "budget_duration": "1d"}"#);
    let shown = organization::Shown { organization: &made, amounts: &none, budget: Some(&budget) };
    let created = organization::created(shown, &clock(NOW));
    check(
        &created,
        "organization_id organization_alias budget_id spend metadata models model_spend created_by updated_by users
         litellm_budget_table object_permission object_permission_id created_at updated_at",
    );
    check(
        &created["litellm_budget_table"],
        "budget_id soft_budget max_budget max_parallel_requests tpm_limit rpm_limit tpd_limit model_max_budget
         budget_duration allowed_models temp_budget_increase temp_budget_expiry",
    );
    let told = organization::row(shown, &[Value::Null], &[], &clock(NOW));
    check(
        &told,
        "organization_id organization_alias budget_id spend metadata models model_spend created_by updated_by users
         litellm_budget_table object_permission object_permission_id members teams created_at updated_at",
    );
    assert_eq!(told["members"], Value::from(vec![Value::Null]));

    let member = record(Kind::OrganizationMember, "o/u", r#"{"organization_id": "o", "user_id": "u"}"#);
    let person = record(Kind::User, "u", r#"{"user_email": "e@x.org"}"#);
    let seat =
        organization::Membership { member: &member, user: Some(&person), amounts: &none, budget: None };
    let membership = organization::membership(seat, None, &clock(NOW));
    check(
        &membership,
        "user_id organization_id user_role spend budget_id created_at updated_at user litellm_budget_table user_email",
    );
    assert_eq!((&membership["user_id"], &membership["user_email"]), (&"u".into(), &"e@x.org".into()));
    check(
        &organization::members_added("o", &[], &[membership]),
        "organization_id updated_users updated_organization_memberships",
    );
}

#[test]
fn projects() {
    let none = Amounts::default();
    let made = record(
        Kind::Project,
        "p",
        r#"{"team_id": "t", "metadata": {"model_rpm_limit": {"m": 3}}, "created_at": "2026-11-22T11:00:00Z"}"#,
    );
    let row = project::row(project::Shown { project: &made, amounts: &none, budget: None }, &clock(NOW));
    check(
        &row,
        "project_id project_alias description team_id budget_id metadata models spend model_spend model_rpm_limit
         model_tpm_limit blocked object_permission_id created_by updated_by created_at updated_at litellm_budget_table
         object_permission",
    );
    assert_eq!(row["model_rpm_limit"]["m"], 3);
    assert_eq!(row["created_at"], "2026-11-22T11:00:00Z");
}

#[test]
fn what_was_not_recorded_of_users_and_members() {
    let none = Amounts::default();
    let person = record(Kind::User, "u", r#"{"max_budget": 3, "budget_duration": "1d"}"#);
    let shown = user::Shown { user: &person, amounts: &none, teams: &["t"] };
    let told = user::info_v2(shown, &clock(NOW));
    check(
        &told,
        "user_id user_email user_alias user_role spend max_budget tpm_limit rpm_limit models budget_duration
         budget_reset_at metadata created_at updated_at sso_user_id teams object_permission model_max_budget
         model_max_budget_usage",
    );
    assert_eq!(told["budget_reset_at"], "2026-11-23T00:00:00Z");
    let failed = user::BulkChanged { user_id: Some("u"), user_email: None, outcome: Err("why".to_owned()) };
    let bulk = user::bulk_updated(&[failed]);
    check(&bulk, "results total_requested successful_updates failed_updates");
    check(&bulk["results"][0], "user_id user_email success error updated_user");

    let made = record(Kind::Team, "t", r#"{"team_alias": "a"}"#);
    let member = record(Kind::Member, "t/u", r#"{"team_id": "t", "user_id": "u", "role": "admin"}"#);
    let seats = [team::Membership { member: &member, user: Some(&person), budget: None, amounts: &none }];
    let shown = team::Shown { team: &made, amounts: &none, members: &seats };
    check(
        &team::own_membership(shown, seats[0], &clock(NOW)),
        "user_id team_id budget_id spend total_spend litellm_budget_table role user_email team_alias",
    );
    let added = team::BulkAdded { user_id: Some("v"), user_email: None, outcome: Err("why".to_owned()) };
    let bulk = team::members_added_in_bulk(shown, &[added], &clock(NOW));
    check(&bulk, "team_id results total_requested successful_additions failed_additions updated_team");
    check(&bulk["results"][0], "user_id user_email success error updated_user updated_team_membership");
}
