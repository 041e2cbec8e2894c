//! `tollgate teams`.

use super::arguments::{TeamCommand, TeamRole};
use super::client::{Answer, Question, Trouble};
use super::table::{Side, Table, pairs};
use super::{Session, bind, budget, keys, list, money, put, rows, short_list, text, time};
use crate::admin::amount::Budget;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

pub(super) async fn run(session: &Session, command: &TeamCommand) -> Result<String, Trouble> {
    match command {
        TeamCommand::Create { alias, id, organization, bounds } => {
            let mut body = Map::new();
            put(&mut body, "team_alias", Some(alias));
            put(&mut body, "team_id", id.as_deref());
            put(&mut body, "organization_id", organization.as_deref());
            bind(bounds, &mut body);
            let answer = session.ask(Question::post("/team/new", Value::Object(body))).await?;
            Ok(session.shown(std::slice::from_ref(&answer), || described(&answer.value)))
        }
        TeamCommand::List => {
            let answers = session.pages("page_size", || Question::get("/v2/team/list")).await?;
            Ok(session.shown(&answers, || table(&answers)))
        }
        TeamCommand::Info { name } => info(session, name).await,
        TeamCommand::Update { name, alias, bounds } => {
            let mut body = Map::new();
            put(&mut body, "team_alias", alias.as_deref());
            bind(bounds, &mut body);
            if body.is_empty() {
                return Err(Trouble::Arguments("nothing is to be changed; see --help".to_owned()));
            }
            put(&mut body, "team_id", Some(&session.team(name).await?));
            let answer = session.ask(Question::post("/team/update", Value::Object(body))).await?;
            Ok(session.shown(&[answer], || format!("Changed team {name}.")))
        }
        TeamCommand::Delete { names } => {
            let mut ids = Vec::with_capacity(names.len());
            for name in names {
                ids.push(session.team(name).await?);
            }
            let answer = session.ask(Question::post("/team/delete", json!({"team_ids": ids}))).await?;
            Ok(session.shown(&[answer], || format!("Deleted {}, with all keys.", names.join(", "))))
        }
        TeamCommand::AddMember { team, user, role, budget } => {
            add_member(session, (team, user), *role, *budget).await
        }
        TeamCommand::RemoveMember { team, user } => {
            let mut body = named(user);
            put(&mut body, "team_id", Some(&session.team(team).await?));
            let answer = session.ask(Question::post("/team/member_delete", Value::Object(body))).await?;
            Ok(session.shown(&[answer], || format!("Took {user} out of {team}.")))
        }
    }
}

/// A user by id, or by what can only be an address.
fn named(user: &str) -> Map<String, Value> {
    let mut body = Map::new();
    put(&mut body, if user.contains('@') { "user_email" } else { "user_id" }, Some(user));
    body
}

async fn add_member(
    session: &Session,
    (team, user): (&str, &str),
    role: TeamRole,
    budget: Option<Budget>,
) -> Result<String, Trouble> {
    let mut member = named(user);
    let role = match role {
        TeamRole::User => "user",
        TeamRole::Admin => "admin",
    };
    put(&mut member, "role", Some(role));
    let mut body = Map::new();
    put(&mut body, "team_id", Some(&session.team(team).await?));
    body.insert("member".to_owned(), Value::Object(member));
    if let Some(budget) = budget {
        budget.put(&mut body, "max_budget_in_team", "budget_duration");
    }
    let answer = session.ask(Question::post("/team/member_add", Value::Object(body))).await?;
    Ok(session.shown(&[answer], || format!("Put {user} into {team}.")))
}

fn described(team: &Value) -> String {
    pairs(&[
        ("team", text(team, "team_alias")),
        ("id", text(team, "team_id")),
        ("organization", text(team, "organization_id")),
        ("models", list(team, "models")),
        ("budget", budget(team)),
        ("spend", money(team, "spend")),
        ("resets", time(team, "budget_reset_at")),
        ("rpm", text(team, "rpm_limit")),
        ("tpm", text(team, "tpm_limit")),
        ("parallel", text(team, "max_parallel_requests")),
        (
            "blocked",
            if team.get("blocked") == Some(&Value::Bool(true)) { "yes".into() } else { String::new() },
        ),
    ])
}

fn table(answers: &[Answer]) -> String {
    let mut table = Table::new(&[
        ("team", Side::Left),
        ("id", Side::Left),
        ("models", Side::Left),
        ("spend", Side::Right),
        ("budget", Side::Right),
        ("members", Side::Right),
        ("keys", Side::Right),
    ]);
    for team in rows(answers, "teams") {
        table.row([
            text(team, "team_alias"),
            text(team, "team_id"),
            short_list(team, "models"),
            money(team, "spend"),
            budget(team),
            text(team, "members_count"),
            text(team, "keys_count"),
        ]);
    }
    if table.is_empty() { "There is no team.".to_owned() } else { table.lines() }
}

async fn info(session: &Session, name: &str) -> Result<String, Trouble> {
    let id = session.team(name).await?;
    let answer = session.ask(Question::get("/team/info").with("team_id", &id)).await?;
    let none = Value::Null;
    Ok(session.shown(std::slice::from_ref(&answer), || {
        let team = answer.value.get("team_info").unwrap_or(&none);
        let mut parts = vec![described(team)];
        let members = members(&answer.value, team);
        if !members.is_empty() {
            parts.push(members.lines());
        }
        let own = answer.value.get("keys").and_then(Value::as_array).filter(|keys| !keys.is_empty());
        if let Some(own) = own {
            let aliases = HashMap::from([(id.clone(), text(team, "team_alias"))]);
            parts.push(keys::table(own.iter(), &aliases, session.now));
        }
        parts.join("\n\n")
    }))
}

/// The members of a team, with what each has spent there.
fn members(reply: &Value, team: &Value) -> Table {
    let mut table = Table::new(&[
        ("member", Side::Left),
        ("e-mail", Side::Left),
        ("role", Side::Left),
        ("spend", Side::Right),
        ("budget", Side::Right),
    ]);
    let none = Value::Null;
    for member in team.get("members_with_roles").and_then(Value::as_array).into_iter().flatten() {
        let id = text(member, "user_id");
        let mut places = reply.get("team_memberships").and_then(Value::as_array).into_iter().flatten();
        let place = places.find(|place| text(place, "user_id") == id).unwrap_or(&none);
        let own = place.get("litellm_budget_table").unwrap_or(&none);
        table.row([id, text(member, "user_email"), text(member, "role"), money(place, "spend"), budget(own)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_shown_with_what_they_spent_in_the_team() {
        let reply = json!({"team_memberships": [{"user_id": "ann", "spend": 0.25,
            "litellm_budget_table": {"max_budget": 1.0, "budget_duration": "1d"}}]});
        let team = json!({"members_with_roles": [{"user_id": "ann", "user_email": "ann@b.c", "role": "admin"},
            {"user_id": "bob", "user_email": null, "role": "user"}]});
        assert_eq!(
            members(&reply, &team).lines(),
            "MEMBER  E-MAIL   ROLE   SPEND    BUDGET\n\
             ann     ann@b.c  admin  $0.25  $1.00/1d\n\
             bob     -        user       -         -"
        );
    }

    #[test]
    fn an_address_is_told_from_an_id() {
        assert_eq!(Value::Object(named("a@b.c")), json!({"user_email": "a@b.c"}));
        assert_eq!(Value::Object(named("ann")), json!({"user_id": "ann"}));
    }
}
