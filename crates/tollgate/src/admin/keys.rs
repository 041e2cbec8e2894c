//! `tollgate keys`.

use super::amount::Clearable;
use super::arguments::{ChangedKey, KeyCommand, NewKey};
use super::client::{Answer, Question, Trouble, encoded};
use super::names::alias_of;
use super::table::{Side, Table, pairs};
use super::{Session, bind, budget, list, money, put, put_texts, rows, short_list, text, time};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tollgate_policy::clock::Wall;

pub(super) async fn run(session: &Session, command: &KeyCommand) -> Result<String, Trouble> {
    match command {
        KeyCommand::Create(new) => create(session, new).await,
        KeyCommand::List { team, user } => all(session, team.as_deref(), user.as_deref()).await,
        KeyCommand::Info { name } => info(session, name).await,
        KeyCommand::Update(changed) => update(session, changed).await,
        KeyCommand::Block { name } => turn(session, name, ("/key/block", "blocked")).await,
        KeyCommand::Unblock { name } => turn(session, name, ("/key/unblock", "unblocked")).await,
        KeyCommand::Delete { names } => delete(session, names).await,
        KeyCommand::Regenerate { name, grace_period, quiet } => {
            let key = session.key(name).await?;
            let mut body = Map::new();
            put(&mut body, "grace_period", grace_period.map(|period| period.to_string()).as_deref());
            let path = format!("/key/{}/regenerate", encoded(&key));
            let answer = session.ask(Question::post(&path, Value::Object(body))).await?;
            made(session, answer, *quiet).await
        }
    }
}

async fn create(session: &Session, new: &NewKey) -> Result<String, Trouble> {
    let mut body = Map::new();
    put(&mut body, "key_alias", new.alias.as_deref());
    if let Some(team) = &new.team {
        put(&mut body, "team_id", Some(&session.team(team).await?));
    }
    if let Some(user) = &new.user {
        put(&mut body, "user_id", Some(&session.user(user).await?));
    }
    bind(&new.bounds, &mut body);
    put(&mut body, "duration", new.expires.map(|expires| expires.to_string()).as_deref());
    put_texts(&mut body, "tags", new.tags.as_deref());
    let answer = session.ask(Question::post("/key/generate", Value::Object(body))).await?;
    made(session, answer, new.quiet).await
}

/// A key that was made: the one time that it is shown.
async fn made(session: &Session, answer: Answer, is_quiet: bool) -> Result<String, Trouble> {
    if is_quiet {
        return Ok(text(&answer.value, "key"));
    }
    if session.json {
        return Ok(session.shown(&[answer], String::new));
    }
    let aliases = aliases(session, [&answer.value].into_iter()).await;
    let shown = described(&answer.value, &aliases);
    Ok(format!("key      {}\n{shown}\nIt is not shown again.", text(&answer.value, "key")))
}

/// The aliases of the teams of keys, asked for only where a key has a team.
async fn aliases<'a>(
    session: &Session,
    mut keys: impl Iterator<Item = &'a Value>,
) -> HashMap<String, String> {
    let has_team = keys.any(|key| !text(key, "team_id").is_empty());
    if has_team && !session.json { session.team_aliases().await } else { HashMap::new() }
}

fn described(key: &Value, aliases: &HashMap<String, String>) -> String {
    pairs(&[
        ("alias", text(key, "key_alias")),
        ("name", text(key, "key_name")),
        ("hash", text(key, "token")),
        ("team", alias_of(aliases, key)),
        ("user", text(key, "user_id")),
        ("models", list(key, "models")),
        ("budget", budget(key)),
        ("rpm", text(key, "rpm_limit")),
        ("tpm", text(key, "tpm_limit")),
        ("parallel", text(key, "max_parallel_requests")),
        ("expires", time(key, "expires")),
        ("created", time(key, "created_at")),
    ])
}

async fn all(session: &Session, team: Option<&str>, user: Option<&str>) -> Result<String, Trouble> {
    let team = match team {
        Some(name) => Some(session.team(name).await?),
        None => None,
    };
    let user = match user {
        Some(name) => Some(session.user(name).await?),
        None => None,
    };
    let question = || {
        let mut question = Question::get("/key/list").with("return_full_object", "true");
        if let Some(team) = &team {
            question = question.with("team_id", team);
        }
        if let Some(user) = &user {
            question = question.with("user_id", user);
        }
        question
    };
    let answers = session.pages("size", question).await?;
    let aliases = aliases(session, rows(&answers, "keys")).await;
    Ok(session.shown(&answers, || table(rows(&answers, "keys"), &aliases, session.now)))
}

/// A table of keys.
pub(super) fn table<'a>(
    keys: impl Iterator<Item = &'a Value>,
    aliases: &HashMap<String, String>,
    now: Wall,
) -> String {
    let mut table = Table::new(&[
        ("alias", Side::Left),
        ("key", Side::Left),
        ("team", Side::Left),
        ("user", Side::Left),
        ("models", Side::Left),
        ("spend", Side::Right),
        ("budget", Side::Right),
        ("expires", Side::Left),
        ("state", Side::Left),
    ]);
    for key in keys {
        table.row([
            text(key, "key_alias"),
            text(key, "key_name"),
            alias_of(aliases, key),
            text(key, "user_id"),
            short_list(key, "models"),
            money(key, "spend"),
            budget(key),
            time(key, "expires"),
            state(key, now).to_owned(),
        ]);
    }
    if table.is_empty() { "There is no key.".to_owned() } else { table.lines() }
}

/// Whether a key lets anything through.
fn state(key: &Value, now: Wall) -> &'static str {
    let expires = key.get("expires").and_then(Value::as_str).and_then(Wall::from_rfc3339);
    if key.get("blocked").and_then(Value::as_bool).unwrap_or(false) {
        "blocked"
    } else if expires.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "active"
    }
}

async fn info(session: &Session, name: &str) -> Result<String, Trouble> {
    let key = session.key(name).await?;
    let answer = session.ask(Question::get("/key/info").with("key", &key)).await?;
    let empty = Value::Null;
    let info = answer.value.get("info").unwrap_or(&empty);
    let mut row = info.clone();
    if let Value::Object(members) = &mut row {
        put(members, "token", Some(&key));
    }
    let aliases = aliases(session, [info].into_iter()).await;
    let shown = || {
        let spent = [
            ("state", state(info, session.now).to_owned()),
            ("spend", money(info, "spend")),
            ("resets", time(info, "budget_reset_at")),
        ];
        format!("{}\n{}", described(&row, &aliases), pairs(&spent))
    };
    Ok(session.shown(std::slice::from_ref(&answer), shown))
}

async fn update(session: &Session, changed: &ChangedKey) -> Result<String, Trouble> {
    let mut body = Map::new();
    put(&mut body, "key_alias", changed.alias.as_deref());
    if let Some(team) = &changed.team {
        put(&mut body, "team_id", Some(&session.team(team).await?));
    }
    bind(&changed.bounds, &mut body);
    match changed.expires {
        Some(Clearable::To(expires)) => put(&mut body, "duration", Some(&expires.to_string())),
        // LiteLLM's word for ever.
        Some(Clearable::None) => put(&mut body, "duration", Some("-1")),
        None => {}
    }
    put_texts(&mut body, "tags", changed.tags.as_deref());
    if body.is_empty() {
        return Err(Trouble::Arguments("nothing is to be changed; see --help".to_owned()));
    }
    put(&mut body, "key", Some(&session.key(&changed.name).await?));
    let answer = session.ask(Question::post("/key/update", Value::Object(body))).await?;
    Ok(session.shown(std::slice::from_ref(&answer), || {
        let name = text(&answer.value, "key_alias");
        let name = if name.is_empty() { text(&answer.value, "key_name") } else { name };
        format!("Changed key {name}.")
    }))
}

async fn turn(session: &Session, name: &str, (path, done): (&str, &str)) -> Result<String, Trouble> {
    let key = session.key(name).await?;
    let answer = session.ask(Question::post(path, json!({"key": key}))).await?;
    Ok(session.shown(std::slice::from_ref(&answer), || {
        format!("Key {} is {done}.", text(&answer.value, "key_name"))
    }))
}

async fn delete(session: &Session, names: &[String]) -> Result<String, Trouble> {
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        keys.push(session.key(name).await?);
    }
    let answer = session.ask(Question::post("/key/delete", json!({"keys": keys}))).await?;
    Ok(session.shown(&[answer], || match keys.len() {
        1 => "Deleted 1 key.".to_owned(),
        count => format!("Deleted {count} keys."),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_keys_says_what_lets_something_through() {
        let keys = [
            json!({"key_alias": "web", "key_name": "sk-...DfeA", "team_id": "t-1", "models": ["gpt-4o"], "spend": 1.5,
                "max_budget": 50.0, "budget_duration": "30d", "expires": null, "blocked": null}),
            json!({"key_alias": null, "key_name": "sk-...x5ew", "team_id": "t-2", "user_id": "ann", "models": [],
                "spend": 0.0, "expires": "2026-11-01T00:00:00Z", "blocked": false}),
            json!({"key_name": "sk-...last", "spend": 2e-7, "blocked": true}),
        ];
        let aliases = HashMap::from([("t-1".to_owned(), "research".to_owned())]);
        let now = Wall::from_rfc3339("2026-11-22T11:00:00Z").unwrap();
        let shown = table(keys.iter(), &aliases, now);
        assert_eq!(
            shown,
            "ALIAS  KEY         TEAM      USER  MODELS     SPEND      BUDGET  EXPIRES               STATE\n\
             web    sk-...DfeA  research  -     gpt-4o     $1.50  $50.00/30d  -                     active\n\
             -      sk-...x5ew  t-2       ann   -          $0.00           -  2026-11-01 00:00 UTC  expired\n\
             -      sk-...last  -         -     -       <$0.0001           -  -                     blocked"
        );
        assert_eq!(table([].iter(), &aliases, now), "There is no key.");
    }
}
