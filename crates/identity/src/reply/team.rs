//! The replies of `/team/*`.

use super::From::{Always, Anywhere, Date, Given, Id, Member, ModelSpend, Money, ResetAt, Spend, Windows};
use super::Or::{False, List, Null, Object};
use super::{Amounts, Clock, Page, Source, Table, amount, budget};
use crate::document::dollars;
use crate::form::team::PERMISSIONS;
use crate::record::Record;
use serde_json::{Map, Value, json};
use tollgate_catalog::PicoDollars;

const MODEL: &Table = &[
    ("team_alias", Member(Null)),
    ("team_id", Id),
    ("organization_id", Member(Null)),
    ("admins", Always(List)),
    ("members", Always(List)),
    ("members_with_roles", Given(List)),
    ("team_member_permissions", Member(List)),
    ("metadata", Member(Object)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("tpd_limit", Member(Null)),
    ("max_budget", Money),
    ("soft_budget", Money),
    ("budget_duration", Member(Null)),
    ("budget_limits", Windows),
    ("models", Member(List)),
    ("blocked", Member(False)),
    ("router_settings", Member(Object)),
    ("access_group_ids", Member(List)),
    ("default_team_member_models", Member(List)),
    ("spend", Spend),
    ("max_parallel_requests", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("model_id", Always(Null)),
    ("model_spend", ModelSpend),
    ("model_max_budget", Member(Object)),
    ("policies", Anywhere(List)),
    ("allow_team_guardrail_config", Always(False)),
    ("litellm_model_table", Given(Null)),
    ("object_permission", Always(Null)),
    ("object_permission_id", Always(Null)),
    ("updated_at", Date),
    ("created_at", Date),
];

const ROW: &Table = &[
    ("team_id", Id),
    ("team_alias", Member(Null)),
    ("organization_id", Member(Null)),
    ("object_permission_id", Always(Null)),
    ("admins", Always(List)),
    ("members", Always(List)),
    ("members_with_roles", Given(List)),
    ("metadata", Member(Object)),
    ("max_budget", Money),
    ("soft_budget", Money),
    ("spend", Spend),
    ("models", Member(List)),
    ("max_parallel_requests", Member(Null)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("tpd_limit", Member(Null)),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("blocked", Member(False)),
    ("created_at", Date),
    ("updated_at", Date),
    ("model_spend", ModelSpend),
    ("model_max_budget", Member(Object)),
    ("router_settings", Member(Object)),
    ("team_member_permissions", Member(List)),
    ("access_group_ids", Member(List)),
    ("policies", Anywhere(List)),
    ("default_team_member_models", Member(List)),
    ("budget_limits", Windows),
    ("model_id", Always(Null)),
    ("allow_team_guardrail_config", Always(False)),
    ("litellm_organization_table", Always(Null)),
    ("litellm_model_table", Given(Null)),
    ("object_permission", Always(Null)),
    ("projects", Always(Null)),
];

const INFO: &Table = &[
    ("team_member_budget_table", Given(Null)),
    ("access_group_models", Always(Null)),
    ("access_group_mcp_server_ids", Always(Null)),
    ("access_group_agent_ids", Always(Null)),
    ("access_group_details", Always(Null)),
    ("organization_models", Given(Null)),
    ("model_max_budget_usage", Always(Object)),
    ("caller_edit_access", Given(Null)),
];

/// A user within a team.
#[derive(Clone, Copy)]
pub struct Membership<'a> {
    /// Their place there.
    pub member: &'a Record,
    /// The user.
    pub user: Option<&'a Record>,
    /// The budget of the place's `budget_id`.
    pub budget: Option<&'a Record>,
    /// What they have spent there.
    pub amounts: &'a Amounts,
}

/// A team, with what it has spent and its members.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The team.
    pub team: &'a Record,
    /// What it has spent.
    pub amounts: &'a Amounts,
    /// Its members, in any order.
    pub members: &'a [Membership<'a>],
}

/// How LiteLLM writes a member in a team's reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seats {
    /// `user_id`, `user_email`, `role`.
    Plain,
    /// The same and `user_alias`.
    Named,
    /// `role`, `user_id`, `user_email`: as the row has it.
    Row,
}

impl Membership<'_> {
    fn user_id(&self) -> &str {
        self.member.parents.user.as_deref().unwrap_or_default()
    }

    fn email(&self) -> Value {
        let email = self.user.and_then(|user| user.text("user_email"));
        email.map_or(Value::Null, Value::from)
    }

    fn seat(&self, seats: Seats) -> Value {
        let id = self.user_id();
        let role = self.member.text("role").unwrap_or_else(|| "user".to_owned());
        match seats {
            Seats::Plain => json!({"user_id": id, "user_email": self.email(), "role": role}),
            Seats::Named => {
                let alias = self.user.and_then(Record::alias);
                json!({"user_id": id, "user_email": self.email(), "role": role, "user_alias": alias})
            }
            Seats::Row => json!({"role": role, "user_id": id, "user_email": self.email()}),
        }
    }

    /// The place and its budget, as LiteLLM's membership.
    pub fn membership(&self, clock: &Clock<'_>) -> Map<String, Value> {
        let id = self.member.member("budget_id").unwrap_or_default();
        let mut reply = Map::new();
        reply.insert("user_id".to_owned(), Value::from(self.user_id()));
        reply.insert("team_id".to_owned(), self.member.member("team_id").unwrap_or_default());
        reply.insert("budget_id".to_owned(), id);
        reply.insert("spend".to_owned(), dollars(self.amounts.spend));
        reply.insert("total_spend".to_owned(), dollars(self.amounts.total_spend));
        let budget = self.budget.map_or(Value::Null, |it| budget::table(it, clock));
        reply.insert("litellm_budget_table".to_owned(), budget);
        reply
    }

    /// Whose the budget is: the team's, their own, or nobody's.
    fn budget_source(&self, team: &Record) -> &'static str {
        let own = self.member.text("budget_id");
        let team = team.document();
        let shared = team.metadata("team_member_budget_id").and_then(Value::as_str);
        match own {
            None => "none",
            Some(_) if own.as_deref() == shared => "team_default",
            Some(_) => "custom",
        }
    }
}

impl<'a> Shown<'a> {
    /// The members as they came: by when, and then by their place among those who came at once.
    fn seated(&self) -> Vec<Membership<'a>> {
        let mut members = self.members.to_vec();
        members.sort_by_cached_key(|seat| {
            let document = seat.member.document();
            let place = document.get("place").and_then(Value::as_u64).unwrap_or_default();
            (document.text("created_at").map(str::to_owned), place, seat.user_id().to_owned())
        });
        members
    }

    fn memberships(&self, clock: &Clock<'_>) -> Vec<Map<String, Value>> {
        self.seated().iter().map(|seat| seat.membership(clock)).collect()
    }

    fn table(&self, tables: &[&Table], seats: Seats, clock: &Clock<'_>) -> Map<String, Value> {
        let members: Value = self.seated().iter().map(|seat| seat.seat(seats)).collect();
        let document = &self.team.document();
        let aliases = document.get("model_aliases").map_or(Value::Null, |aliases| {
            let by = |name| document.text(name).unwrap_or_default();
            json!({
                "model_aliases": aliases, "created_by": by("created_by"), "updated_by": by("updated_by"), "team": null,
            })
        });
        let given = [("members_with_roles", members), ("litellm_model_table", aliases)];
        let source = Source::new(self.team, self.amounts, clock).given(&given);
        let mut reply = Map::new();
        for table in tables {
            source.write(table, &mut reply);
        }
        reply
    }
}

/// `/team/new`, `PATCH /team/{team_id}`, `/team/member_delete`, `/team/permissions_update`; a team within another reply.
pub fn model(shown: Shown<'_>, clock: &Clock<'_>) -> Map<String, Value> {
    shown.table(&[MODEL], Seats::Plain, clock)
}

/// `/team/block`, `/team/unblock`, `/team/model/add`, `/team/model/delete`.
pub fn row(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    Value::Object(shown.table(&[ROW], Seats::Row, clock))
}

/// `/team/update`.
pub fn updated(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    json!({"team_id": &*shown.team.id, "data": row(shown, clock)})
}

/// What somebody may change of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// Everything.
    Unrestricted,
    /// These members of its form.
    Fields(&'static [&'static str]),
    /// Nothing.
    None,
}

/// What `/team/info` tells beside the team.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// Its keys, as [`super::key::row`] writes them.
    pub keys: &'a [Value],
    /// The budget that its members share.
    pub members_budget: Option<&'a Record>,
    /// The models of its organization; none where it belongs to none.
    pub organization_models: Option<&'a [String]>,
    /// What who asks may change of it.
    pub edit: Edit,
}

/// `/team/info`.
pub fn info(shown: Shown<'_>, about: About<'_>, clock: &Clock<'_>) -> Value {
    let mut team = shown.table(&[MODEL], Seats::Named, clock);
    let given = [
        ("team_member_budget_table", about.members_budget.map_or(Value::Null, |it| budget::table(it, clock))),
        ("organization_models", about.organization_models.map_or(Value::Null, Value::from)),
        (
            "caller_edit_access",
            match about.edit {
                Edit::Unrestricted => json!({"kind": "unrestricted"}),
                Edit::Fields(fields) => json!({"kind": "team_admin", "editable_fields": fields}),
                Edit::None => json!({"kind": "none"}),
            },
        ),
    ];
    Source::new(shown.team, shown.amounts, clock).given(&given).write(INFO, &mut team);
    let membership = |seat: &Membership<'_>| {
        let mut reply = seat.membership(clock);
        reply.insert("budget_source".to_owned(), Value::from(seat.budget_source(shown.team)));
        Value::Object(reply)
    };
    let memberships: Value = shown.seated().iter().map(membership).collect();
    json!({"team_id": &*shown.team.id, "team_info": team, "keys": about.keys, "team_memberships": memberships})
}

/// A team of `/team/list`, with its keys as [`super::key::row`] writes them.
pub fn listed(shown: Shown<'_>, keys: &[Value], clock: &Clock<'_>) -> Value {
    let mut reply = model(shown, clock);
    reply.insert("team_memberships".to_owned(), json!(shown.memberships(clock)));
    reply.insert("keys".to_owned(), Value::from(keys));
    Value::Object(reply)
}

/// A team of `/v2/team/list`.
pub fn paged(shown: Shown<'_>, keys_count: usize, clock: &Clock<'_>) -> Value {
    let mut reply = model(shown, clock);
    reply.insert("members_count".to_owned(), Value::from(shown.members.len()));
    reply.insert("keys_count".to_owned(), Value::from(keys_count));
    for name in ["access_group_models", "access_group_mcp_server_ids", "access_group_agent_ids"] {
        reply.insert(name.to_owned(), Value::Null);
    }
    Value::Object(reply)
}

/// `/v2/team/list`, of teams as [`paged`] writes them.
pub fn pages(teams: &[Value], page: Page) -> Value {
    json!({
        "teams": teams,
        "total": page.total,
        "page": page.number,
        "page_size": page.size,
        "total_pages": page.count(),
    })
}

/// `/team/member_add`: the team with all members, and those who were added. `users` are as [`super::user::model`] writes
/// them.
pub fn members_added(
    shown: Shown<'_>,
    users: &[Value],
    added: &[Membership<'_>],
    clock: &Clock<'_>,
) -> Value {
    let mut reply = model(shown, clock);
    reply.insert("updated_users".to_owned(), Value::from(users));
    let memberships: Value = added.iter().map(|seat| Value::Object(seat.membership(clock))).collect();
    reply.insert("updated_team_memberships".to_owned(), memberships);
    Value::Object(reply)
}

/// One member of an addition of several: its user as [`super::user::model`] writes it, or why it is none.
pub struct BulkAdded<'a> {
    /// Whom the form named.
    pub user_id: Option<&'a str>,
    /// Whom the form named.
    pub user_email: Option<&'a str>,
    /// The user and the place, or why not.
    pub outcome: Result<(Value, Membership<'a>), String>,
}

/// `/team/bulk_member_add`.
pub fn members_added_in_bulk(shown: Shown<'_>, added: &[BulkAdded<'_>], clock: &Clock<'_>) -> Value {
    let result = |row: &BulkAdded<'_>| {
        let (user, membership, error) = match &row.outcome {
            Ok((user, seat)) => (user.clone(), Value::Object(seat.membership(clock)), Value::Null),
            Err(error) => (Value::Null, Value::Null, Value::from(error.as_str())),
        };
        json!({
            "user_id": row.user_id,
            "user_email": row.user_email,
            "success": row.outcome.is_ok(),
            "error": error,
            "updated_user": user,
            "updated_team_membership": membership,
        })
    };
    let done = added.iter().filter(|row| row.outcome.is_ok()).count();
    json!({
        "team_id": &*shown.team.id,
        "results": added.iter().map(result).collect::<Vec<_>>(),
        "total_requested": added.len(),
        "successful_additions": done,
        "failed_additions": added.len() - done,
        "updated_team": model(shown, clock),
    })
}

/// `/team/member_update`: whom, and what the body said of it.
pub fn member_updated(seat: Membership<'_>, body: &Map<String, Value>) -> Value {
    let said = |name: &str| body.get(name).cloned().unwrap_or_default();
    let money = |name: &str| {
        let amount = body.get(name).and_then(|value| crate::document::money(name, value).ok());
        amount.map_or(Value::Null, dollars)
    };
    json!({
        "user_id": seat.user_id(),
        "user_email": seat.email(),
        "team_id": seat.member.text("team_id"),
        "max_budget_in_team": money("max_budget_in_team"),
        "tpm_limit": said("tpm_limit"),
        "rpm_limit": said("rpm_limit"),
        "budget_duration": said("budget_duration"),
        "allowed_models": said("allowed_models"),
        "temp_budget_increase": money("temp_budget_increase"),
        "temp_budget_expiry": said("temp_budget_expiry"),
    })
}

/// `/team/{team_id}/members/me`.
pub fn own_membership(shown: Shown<'_>, seat: Membership<'_>, clock: &Clock<'_>) -> Value {
    let mut reply = seat.membership(clock);
    reply.insert("role".to_owned(), seat.member.member("role").unwrap_or_default());
    reply.insert("user_email".to_owned(), seat.email());
    reply.insert("team_alias".to_owned(), shown.team.alias().map_or(Value::Null, Value::from));
    Value::Object(reply)
}

/// `/team/{team_id}/member/{user_id}/reset_budget`: the place as it is now, and the budget that it had.
pub fn budget_reset(team: &Record, seat: Membership<'_>, before: Option<&str>) -> Value {
    json!({
        "team_id": &*team.id,
        "user_id": seat.user_id(),
        "budget_id": seat.member.member("budget_id"),
        "previous_budget_id": before,
        "budget_source": seat.budget_source(team),
    })
}

/// `/team/{team_id}/member/{user_id}/reset_spend`: as a key's has it.
pub fn member_spend_reset(seat: Membership<'_>, before: PicoDollars, clock: &Clock<'_>) -> Value {
    let limited = seat.budget.unwrap_or(seat.member);
    let source = Source::new(limited, seat.amounts, clock);
    json!({
        "team_id": seat.member.member("team_id"),
        "user_id": seat.user_id(),
        "spend": dollars(seat.amounts.spend),
        "previous_spend": dollars(before),
        "max_budget": amount(&limited.document(), "max_budget"),
        "budget_reset_at": source.value("budget_reset_at", ResetAt),
    })
}

/// `/team/delete`.
pub fn deleted(teams: &[String]) -> Value {
    json!({"deleted_teams": teams})
}

/// `/team/permissions_list`.
pub fn permissions(team: &Record) -> Value {
    json!({
        "team_id": &*team.id,
        "team_member_permissions": team.document().texts("team_member_permissions").collect::<Vec<_>>(),
        "all_available_permissions": PERMISSIONS,
    })
}

/// `/team/permissions_bulk_update`.
pub fn permissions_added(permissions: &[String], teams_count: usize) -> Value {
    json!({
        "message": "Team permissions updated successfully",
        "teams_updated": teams_count,
        "permissions_appended": permissions,
    })
}
