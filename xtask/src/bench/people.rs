//! Who calls where callers have keys: a gateway's database with as many of them as a row wants.
//!
//! The first of each kind is made over the admin API, so that every document is one that the gateway has written itself;
//! the others are copies of it, under names of their own, committed by the store before the gateway that is measured starts.
//!
//! **Invariant**: key `n` is the same text in every run, of team `n / 10`, as far as there are teams.

use std::path::Path;
use std::time::{Duration, Instant};

use tollgate_identity::secret::Token;
use tollgate_store::books::{Books, Expected, Put, RecordChange};
use tollgate_store::{Location, Store, StoreOptions};

use super::contender::{Contender, MASTER_KEY, deployment};
use super::load::{self, Target};
use super::wire::Client;
use crate::shell::Workspace;

/// Connections of a probe: enough that a disk that is slow to sync is not what limits it.
const CONNECTIONS: usize = 64;
/// Length of a probe.
const PROBE: Duration = Duration::from_secs(2);
/// After a probe, the gateway is looked at so often until it rests: it uses less than this share of its core.
const LOOK: Duration = Duration::from_millis(500);
const IDLE_SHARE: f64 = 0.03;
/// The longest that is waited for that.
const REST_MAX: Duration = Duration::from_secs(30);
/// Keys of one team.
const KEYS_OF_TEAM: usize = 10;
/// Records of one transaction.
const BATCH: usize = 5_000;
/// The group that is asked for.
pub(crate) const GROUP: &str = "bench";

/// Who has a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budgets {
    /// Nobody.
    None,
    /// Every key, its team, its user, and all together.
    All,
    /// Every key and its team; there are no users.
    KeysAndTeams,
}

impl Budgets {
    /// A budget that no run spends, as a member of a body.
    fn member(self, dollars: u32) -> String {
        match self {
            Self::None => String::new(),
            Self::All | Self::KeysAndTeams => {
                format!(",\"max_budget\":{dollars},\"budget_duration\":\"30d\"")
            }
        }
    }

    /// The calls that make the first of each.
    fn calls(self) -> Vec<(&'static str, String)> {
        let budget = |dollars| self.member(dollars);
        let team = format!("{{\"team_id\":\"team-0\",\"team_alias\":\"team-0\"{}}}", budget(100_000));
        let user = format!("{{\"user_id\":\"user-0\",\"auto_create_key\":false{}}}", budget(100_000));
        let has_users = self != Self::KeysAndTeams;
        let owner = if has_users { ",\"user_id\":\"user-0\"" } else { "" };
        let key = format!(
            "{{\"key\":\"{}\",\"key_alias\":\"alias-0\",\"team_id\":\"team-0\"{owner}{}}}",
            key(0),
            budget(10_000)
        );
        let mut calls = vec![("/team/new", team)];
        if has_users {
            calls.push(("/user/new", user));
        }
        calls.push(("/key/generate", key));
        calls
    }
}

/// The text of a key.
pub(crate) fn key(number: usize) -> String {
    format!("sk-one-of-many-{number:012}")
}

/// A configuration with one deployment. What all may spend together is limited for [`Budgets::All`] alone; `settings` are
/// further lines of `general_settings`, `more` further sections.
pub(crate) fn config(upstream_port: u16, budgets: Budgets, (settings, more): (&str, &str)) -> String {
    let all = if budgets == Budgets::All {
        "  apply_user_budget_to_team_keys: true\nlitellm_settings:\n  max_budget: 1000000\n"
    } else {
        ""
    };
    let deployment = deployment(GROUP, "bench", 0, upstream_port, &[]);
    format!(
        "model_list:\n{deployment}{more}general_settings:\n  master_key: \"{MASTER_KEY}\"\n{settings}{all}"
    )
}

/// A gateway whose database has so many keys with these budgets. It is started twice: to make the first key, and as what
/// is measured.
///
/// # Errors
/// When it does not start, refuses the first key, or its database cannot be written.
pub(crate) async fn gateway(
    (workspace, folder): (&Workspace, &Path),
    (name, config): (&str, &str),
    budgets: Budgets,
    keys: usize,
) -> Result<Contender, String> {
    // Left by a row before this one.
    let _ = std::fs::remove_dir_all(folder.join(name));
    let first = Contender::gateway(workspace, folder, (name, config))?;
    for (path, body) in budgets.calls() {
        call(&first, path, &body).await?;
    }
    first.stop();
    multiply(&folder.join(name).join("tollgate.db"), keys).await?;
    Contender::gateway(workspace, folder, (name, config))
}

/// A gateway with one key with these budgets, in a database that is nowhere but in its memory.
///
/// # Errors
/// When it does not start, or refuses the key.
pub(crate) async fn in_memory(
    (workspace, folder): (&Workspace, &Path),
    (name, config): (&str, &str),
    budgets: Budgets,
) -> Result<Contender, String> {
    let gateway = Contender::gateway(workspace, folder, (name, config))?;
    for (path, body) in budgets.calls() {
        call(&gateway, path, &body).await?;
    }
    Ok(gateway)
}

/// How many requests a second the gateway can do for as long as one likes, on its one core: from the processor time of a closed
/// loop and of carrying its rows into the database afterwards. The loop alone says more, since it leaves rows behind.
///
/// # Errors
/// When a request fails, or the gateway does not come to rest.
pub(crate) async fn sustained(gateway: &Contender, targets: &[Target]) -> Result<f64, String> {
    let used = || gateway.server.as_ref().map_or(0.0, |server| server.cpu_seconds());
    let before = used();
    let burst = load::saturate(targets, CONNECTIONS, Duration::ZERO, PROBE, || ()).await?;
    let begun = Instant::now();
    let mut last = used();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = used();
        if now - last < LOOK.as_secs_f64() * IDLE_SHARE {
            return Ok(burst.requests as f64 / (now - before));
        }
        if begun.elapsed() > REST_MAX {
            return Err(format!("the gateway is busy {} s after the last request", REST_MAX.as_secs()));
        }
        last = now;
    }
}

/// Has an operator's call made.
///
/// # Errors
/// When it is refused.
pub(crate) async fn call(gateway: &Contender, path: &str, body: &str) -> Result<(), String> {
    let target = gateway.admin(path, body);
    let mut client = Client::connect(target.port).await.map_err(|error| format!("{path}: {error}"))?;
    let mut reply = Vec::new();
    let status = client.exchange(&target.request, |part| reply.extend_from_slice(part)).await;
    match status.map_err(|error| format!("{path}: {error}"))? {
        200 => Ok(()),
        status => Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&reply))),
    }
}

/// Copies the first key up to so many, and the first team and user up to one for every ten of them.
async fn multiply(database: &Path, keys: usize) -> Result<(), String> {
    let say = |error: tollgate_store::StoreError| format!("{}: {error}", database.display());
    let location = Location::File(database.to_path_buf());
    let books = Books::of_store(Store::open(location, &StoreOptions::default()).await.map_err(say)?);
    let first = books.records().await.map_err(say)?.records;
    for kind in ["team", "user", "key"] {
        let Some(record) = first.iter().find(|record| record.kind == kind && is_first(&record.id)) else {
            continue;
        };
        let count = if kind == "key" { keys } else { keys.div_ceil(KEYS_OF_TEAM) };
        let puts: Vec<Put> = (1..count).map(|number| copy(kind, &record.doc, number)).collect();
        for batch in puts.chunks(BATCH) {
            let change = RecordChange { puts: batch.to_vec(), ..RecordChange::default() };
            books.commit(change).await.map_err(say)?;
        }
    }
    books.close().await;
    Ok(())
}

fn token(number: usize) -> String {
    Token::of(key(number).as_bytes()).as_str().to_owned()
}

fn is_first(id: &str) -> bool {
    id == "team-0" || id == "user-0" || id == token(0)
}

/// A copy of the first of a kind, under names of its own.
fn copy(kind: &str, doc: &str, number: usize) -> Put {
    let of_team = if kind == "key" { number / KEYS_OF_TEAM } else { number };
    let doc = doc
        .replace(&token(0), &token(number))
        .replace("\"alias-0\"", &format!("\"alias-{number}\""))
        .replace("\"team-0\"", &format!("\"team-{of_team}\""))
        .replace("\"user-0\"", &format!("\"user-{of_team}\""));
    let id = if kind == "key" { token(number) } else { format!("{kind}-{number}") };
    Put { kind: kind.to_owned(), id, doc, expected: Expected::Absent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_names_of_its_own() {
        let doc = format!("{{\"token\":\"{}\",\"key_alias\":\"alias-0\",\"team_id\":\"team-0\"}}", token(0));
        let put = copy("key", &doc, 25);
        assert_eq!(put.id, token(25));
        let expect =
            format!("{{\"token\":\"{}\",\"key_alias\":\"alias-25\",\"team_id\":\"team-2\"}}", token(25));
        assert_eq!(put.doc, expect);
        let put = copy("user", "{\"user_id\":\"user-0\"}", 25);
        assert_eq!((put.id.as_str(), put.doc.as_str()), ("user-25", "{\"user_id\":\"user-25\"}"));
    }

    #[test]
    fn those_who_have_budgets_are_made_with_them() {
        let check = |budgets: Budgets, paths: &[&str], with_budget: usize| {
            let calls = budgets.calls();
            assert_eq!(calls.iter().map(|(path, _)| *path).collect::<Vec<_>>(), paths);
            assert_eq!(calls.iter().filter(|(_, body)| body.contains("max_budget")).count(), with_budget);
            for (_, body) in calls {
                let _: serde_json::Value = serde_json::from_str(&body).unwrap();
            }
        };
        check(Budgets::None, &["/team/new", "/user/new", "/key/generate"], 0);
        check(Budgets::All, &["/team/new", "/user/new", "/key/generate"], 3);
        check(Budgets::KeysAndTeams, &["/team/new", "/key/generate"], 2);
    }

    #[test]
    fn everything_together_has_a_budget_where_all_have() {
        assert!(config(7, Budgets::All, ("", "")).contains("litellm_settings:\n  max_budget"));
        let text = config(7, Budgets::None, ("  tollgate_database: \":memory:\"\n", ""));
        assert!(
            !text.contains("max_budget") && text.ends_with("  tollgate_database: \":memory:\"\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_database_is_filled_with_as_many_keys_as_are_asked_for() {
        let folder = std::env::temp_dir().join(format!("tollgate-people-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let database = folder.join("tollgate.db");
        let open = || async {
            let location = Location::File(database.clone());
            Books::of_store(Store::open(location, &StoreOptions::default()).await.unwrap())
        };
        let books = open().await;
        let put = |kind: &str, id: String| Put {
            kind: kind.to_owned(),
            id,
            doc: "{}".to_owned(),
            expected: Expected::Absent,
        };
        let puts = vec![put("team", "team-0".to_owned()), put("key", token(0))];
        books.commit(RecordChange { puts, ..RecordChange::default() }).await.unwrap();
        books.close().await;
        multiply(&database, 25).await.unwrap();
        let records = open().await.records().await.unwrap().records;
        let count = |kind: &str| records.iter().filter(|record| record.kind == kind).count();
        assert_eq!((count("key"), count("team"), count("user")), (25, 3, 0));
        assert!(records.iter().any(|record| record.id == token(24)));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
