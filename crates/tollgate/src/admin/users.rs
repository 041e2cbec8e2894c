//! `tollgate users`.

use super::arguments::{NewUser, UserCommand, UserRole};
use super::client::{Answer, Question, Trouble};
use super::table::{Side, Table, pairs};
use super::{Session, bind, budget, money, put, rows, text};
use serde_json::{Map, Value, json};

pub(super) async fn run(session: &Session, command: &UserCommand) -> Result<String, Trouble> {
    match command {
        UserCommand::Create(new) => create(session, new).await,
        UserCommand::List => {
            let answers = session.pages("page_size", || Question::get("/user/list")).await?;
            Ok(session.shown(&answers, || table(&answers)))
        }
        UserCommand::Delete { names } => {
            let mut ids = Vec::with_capacity(names.len());
            for name in names {
                ids.push(session.user(name).await?);
            }
            let answer = session.ask(Question::post("/user/delete", json!({"user_ids": ids}))).await?;
            Ok(session.shown(&[answer], || format!("Deleted {}, with all keys.", names.join(", "))))
        }
    }
}

async fn create(session: &Session, new: &NewUser) -> Result<String, Trouble> {
    let mut body = Map::new();
    put(&mut body, "user_id", new.id.as_deref());
    put(&mut body, "user_email", new.email.as_deref());
    put(&mut body, "user_alias", new.alias.as_deref());
    put(&mut body, "user_role", new.role.map(word));
    let mut teams = Vec::with_capacity(new.teams.len());
    for team in new.teams.iter().filter(|team| !team.is_empty()) {
        teams.push(session.team(team).await?);
    }
    if !teams.is_empty() {
        body.insert("teams".to_owned(), teams.into());
    }
    bind(&new.bounds, &mut body);
    body.insert("auto_create_key".to_owned(), new.with_key.into());
    let answer = session.ask(Question::post("/user/new", Value::Object(body))).await?;
    let key = if new.with_key { text(&answer.value, "key") } else { String::new() };
    if new.quiet {
        return Ok(if new.with_key { key } else { text(&answer.value, "user_id") });
    }
    Ok(session.shown(std::slice::from_ref(&answer), || {
        let user = &answer.value;
        let shown = pairs(&[
            ("user", text(user, "user_id")),
            ("e-mail", text(user, "user_email")),
            ("alias", text(user, "user_alias")),
            ("role", text(user, "user_role")),
            ("budget", budget(user)),
            ("key", key.clone()),
        ]);
        if key.is_empty() { shown } else { format!("{shown}\nThe key is not shown again.") }
    }))
}

fn word(role: UserRole) -> &'static str {
    match role {
        UserRole::ProxyAdmin => "proxy_admin",
        UserRole::ProxyAdminViewer => "proxy_admin_viewer",
        UserRole::InternalUser => "internal_user",
        UserRole::InternalUserViewer => "internal_user_viewer",
    }
}

fn table(answers: &[Answer]) -> String {
    let mut table = Table::new(&[
        ("user", Side::Left),
        ("e-mail", Side::Left),
        ("alias", Side::Left),
        ("role", Side::Left),
        ("teams", Side::Right),
        ("keys", Side::Right),
        ("spend", Side::Right),
        ("budget", Side::Right),
    ]);
    for user in rows(answers, "users") {
        let teams = user.get("teams").and_then(Value::as_array).map_or(0, Vec::len);
        table.row([
            text(user, "user_id"),
            text(user, "user_email"),
            text(user, "user_alias"),
            text(user, "user_role"),
            teams.to_string(),
            text(user, "key_count"),
            money(user, "spend"),
            budget(user),
        ]);
    }
    if table.is_empty() { "There is no user.".to_owned() } else { table.lines() }
}
