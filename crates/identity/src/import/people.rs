//! Teams and who is in them, organizations and who is in them, access groups.

use super::{ALIASES, GROUPS, PLACES, Reading, SEATS, TEAMS, USERS, row::Row, wall};
use crate::directory::member_id;
use crate::document::Document;
use crate::form::{Context, Draft, access_group, put};
use crate::kind::Kind;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Somebody's place in a team.
struct Seat<'a> {
    team: &'a str,
    team_row: &'a Row,
    user: &'a str,
    /// The row of the place; empty where it has none.
    row: &'a Row,
    role: &'a str,
    /// Which of the team's list it is.
    place: Option<usize>,
}

impl Reading<'_> {
    pub(super) fn teams(&mut self) {
        for row in self.source.rows(TEAMS) {
            let Some(id) = row.text("team_id").map(str::to_owned) else {
                self.leave(TEAMS, "", "it has no id");
                continue;
            };
            let (mut document, mut remarks) = row.document(&[]);
            if let Some(table) = row.get("model_id") {
                match self.aliases(table) {
                    Some(aliases) => put(&mut document, "model_aliases", aliases),
                    None => {
                        remarks.push("its model aliases are not there: set 'model_aliases' anew".to_owned());
                    }
                }
            }
            self.take(TEAMS, row, Draft { kind: Kind::Team, id, document }, remarks);
        }
    }

    /// The model aliases of a team, in the row of this id.
    fn aliases(&self, id: &Value) -> Option<Value> {
        let row = self.source.rows(ALIASES).iter().find(|row| row.get("id") == Some(id))?;
        // The column's name, and that of releases with other databases.
        let aliases = row.get("aliases").or_else(|| row.get("model_aliases"));
        match aliases {
            None => Some(Value::Object(Map::new())),
            Some(Value::String(text)) => serde_json::from_str(text).ok().filter(Value::is_object),
            Some(aliases) => Some(aliases.clone()).filter(Value::is_object),
        }
    }

    /// Members: those that the team lists, and those that have a row of their own.
    pub(super) fn places(&mut self) {
        let (source, none) = (self.source, Row::default());
        let pair = |row: &'_ Row| Some((row.text("team_id")?.to_owned(), row.text("user_id")?.to_owned()));
        let rows = source.rows(PLACES).iter();
        let mut own: BTreeMap<(String, String), &Row> =
            rows.filter_map(|row| Some((pair(row)?, row))).collect();
        let by_email = |email: &str| {
            let mut users = source.rows(USERS).iter();
            users.find(|user| user.text("user_email") == Some(email))?.text("user_id")
        };
        for team_row in source.rows(TEAMS) {
            let Some(team) = team_row.text("team_id") else { continue };
            let listed = team_row.get("members_with_roles").and_then(Value::as_array);
            for (place, member) in listed.into_iter().flatten().enumerate() {
                let text = |name: &str| member.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
                let Some(user) = text("user_id").or_else(|| by_email(text("user_email")?)) else {
                    self.leave(PLACES, team, "a member is no user that is there");
                    continue;
                };
                let row = own.remove(&(team.to_owned(), user.to_owned())).unwrap_or(&none);
                let role = text("role").unwrap_or("user");
                self.seat(&Seat { team, team_row, user, row, role, place: Some(place) });
            }
        }
        for ((team, user), row) in own {
            let team_row = source.rows(TEAMS).iter().find(|row| row.text("team_id") == Some(&team));
            match team_row {
                Some(team_row) => {
                    self.seat(&Seat { team: &team, team_row, user: &user, row, role: "user", place: None });
                }
                None => self.leave(PLACES, &member_id(&team, &user), "its team is not there"),
            }
        }
    }

    fn seat(&mut self, seat: &Seat<'_>) {
        let id = member_id(seat.team, seat.user);
        let mut document = Document::default();
        put(&mut document, "id", Value::from(id.as_str()));
        put(&mut document, "team_id", Value::from(seat.team));
        put(&mut document, "user_id", Value::from(seat.user));
        put(&mut document, "role", Value::from(seat.role));
        put(&mut document, "place", seat.place.map_or(Value::Null, Value::from));
        let metadata = seat.team_row.get("metadata");
        let of_all = metadata.and_then(|metadata| metadata.get("team_member_budget_id")?.as_str());
        let budget = seat.row.text("budget_id").or(of_all);
        put(&mut document, "budget_id", budget.map_or(Value::Null, Value::from));
        let allowed = budget.and_then(|id| self.budgets.get(id));
        let allowed = allowed.and_then(|(budget, _)| budget.member("allowed_models"));
        let usual = || seat.team_row.get("default_team_member_models").cloned().unwrap_or_default();
        put(&mut document, "models", allowed.unwrap_or_else(usual));
        let made = seat.team_row.text("created_at").and_then(wall);
        put(&mut document, "created_at", made.map_or(Value::Null, |at| Value::from(at.rfc3339())));
        self.take(PLACES, seat.row, Draft { kind: Kind::Member, id, document }, Vec::new());
    }

    /// Who is in which organization.
    pub(super) fn seats(&mut self) {
        for row in self.source.rows(SEATS) {
            let (Some(organization), Some(user)) = (row.text("organization_id"), row.text("user_id")) else {
                self.leave(SEATS, "", "it names no organization or no user");
                continue;
            };
            let id = member_id(organization, user);
            let (mut document, remarks) = row.document(&[]);
            put(&mut document, "id", Value::from(id.as_str()));
            self.take(SEATS, row, Draft { kind: Kind::OrganizationMember, id, document }, remarks);
        }
    }

    pub(super) fn groups(&mut self) {
        const MEMBERS: &[&str] = &[
            "access_group_name",
            "description",
            "access_model_names",
            "assigned_team_ids",
            "assigned_key_ids",
        ];
        for row in self.source.rows(GROUPS) {
            let Some(id) = row.text("access_group_id").map(str::to_owned) else {
                self.leave(GROUPS, "", "it has no id");
                continue;
            };
            let told = MEMBERS.iter().filter_map(|name| Some(((*name).to_owned(), row.get(name)?.clone())));
            let body: Map<String, Value> = told.collect();
            let fresh = || id.clone();
            let context = Context { fresh: &fresh, is_admin: true, is_operator: true, ..self.terms.context };
            match access_group::new_named(&body, &context) {
                Ok(draft) => {
                    let (_, remarks) = row.document(&["access_mcp_server_ids", "access_agent_ids"]);
                    self.take(GROUPS, row, draft, remarks);
                }
                Err(bad) => self.leave(GROUPS, &id, bad.to_string()),
            }
        }
    }
}
