//! Two organizations with everything that may belong to them, those who belong to neither, and a key of everybody.
//!
//! Names end with the letter of their side. What is of a side and no id holds [`canary`], so that a reply which shows any
//! of it is known.

use crate::support::{Answer, App, Connection, Setup, Wire, model_list};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tollgate_policy::clock::Wall;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};
use tollgate_store::books::{Books, Changes, Record, Settled};
use tollgate_store::{LazyStore, Location, StoreOptions};

pub(super) const MASTER: &str = "sk-master-0123456789";
/// A key that nobody was given.
pub(super) const UNKNOWN: &str = "sk-Zm9yZ290dGVuIGJ5IGV2ZXJ5Ym9keSB3aG8gZXZlciB3YXM";

/// What no reply to the other side may hold.
pub(super) fn canary(side: &str) -> String {
    format!("canary-of-{side}")
}

/// A folder of a test's own, gone with it.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-security-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join("tollgate.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Somebody's connection, which is kept open from request to request.
pub(super) struct Line {
    address: std::net::SocketAddr,
    connection: Option<Connection>,
    /// What says who it is, as header lines.
    pub(super) says: String,
}

impl Line {
    pub(super) fn of(app: &App, key: Option<&str>) -> Self {
        let says = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
        Self { address: app.address, connection: None, says }
    }

    /// Sends a request as it is written.
    pub(super) async fn send(&mut self, request: &[u8]) -> Answer {
        for _ in 0..2 {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => Connection::open(self.address).await,
            };
            connection.write(request).await;
            let Some(answer) = connection.try_answer().await else { continue };
            if answer.header("connection") != Some("close") {
                self.connection = Some(connection);
            }
            return answer;
        }
        panic!("no answer to {}", String::from_utf8_lossy(request));
    }

    /// Asks with a body of JSON; none where it is null.
    pub(super) async fn ask(&mut self, method: &str, target: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_text(method, target, &body).await
    }

    /// Asks with a body as it is written.
    pub(super) async fn ask_text(&mut self, method: &str, target: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: gateway\r\n{}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.says,
            body.len()
        );
        self.send(request.as_bytes()).await
    }

    /// Asks for what must be served.
    pub(super) async fn good(&mut self, method: &str, target: &str, body: Value) -> Value {
        let answer = self.ask(method, target, &body).await;
        assert!((200..300).contains(&answer.status), "{method} {target} {body}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }
}

/// A gateway with everybody in it.
pub(super) struct World {
    pub(super) app: App,
    /// The key of each.
    pub(super) keys: BTreeMap<String, String>,
    /// The ids that were drawn, by the names of what has them.
    pub(super) ids: BTreeMap<String, String>,
    folder: Folder,
    /// The gateway's database, read beside it.
    reader: Books,
    /// Seconds that the gateway's clock is ahead.
    ahead: Arc<AtomicI64>,
}

impl World {
    /// The world, with more of a configuration.
    pub(super) async fn open(more: &str) -> Self {
        let entries = [Wire::OpenAi.parameters("x"), Wire::OpenAi.parameters("y")];
        let list = model_list(&[("chat", &entries[0]), ("other", &entries[1])]);
        let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
        let script = Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)));
        let folder = Folder::new();
        // Whoever asks for everything with a key that is wrong is one address here.
        let unheld = "tollgate_settings: {wrong_keys_per_minute: 0}\n";
        let own = if more.contains("tollgate_settings") { "" } else { unheld };
        let yaml = format!("{list}general_settings: {{master_key: {MASTER}}}\n{own}{more}");
        let ahead: Arc<AtomicI64> = Arc::default();
        let clock = Arc::clone(&ahead);
        let wall = move || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let micros = i64::try_from(since.as_micros()).unwrap();
            Wall::from_micros(micros + clock.load(Ordering::Relaxed) * 1_000_000)
        };
        let setup = Setup::new(yaml).script(script).database(&folder.database()).wall(wall);
        let app = setup.start().await;
        let location = Location::File(folder.database());
        let reader = Books::sqlite(Arc::new(LazyStore::new(location, StoreOptions::default())));
        let mut world = Self { app, keys: BTreeMap::new(), ids: BTreeMap::new(), folder, reader, ahead };
        world.keys.insert("master".to_owned(), MASTER.to_owned());
        world.keys.insert("unknown".to_owned(), UNKNOWN.to_owned());
        let mut master = world.line("master");
        for side in ["a", "b"] {
            world.side(&mut master, side).await;
        }
        world.apart(&mut master).await;
        // What is to have expired has.
        world.ahead.store(60, Ordering::Relaxed);
        world
    }

    /// A line of somebody by name; `anonymous` has no key.
    pub(super) fn line(&self, who: &str) -> Line {
        if who == "anonymous" {
            return Line::of(&self.app, None);
        }
        Line::of(&self.app, Some(self.key(who)))
    }

    pub(super) fn key(&self, who: &str) -> &str {
        self.keys.get(who).unwrap_or_else(|| panic!("nobody is {who}"))
    }

    /// Gives somebody a key of these members.
    pub(super) async fn give(&mut self, master: &mut Line, name: &str, body: Value) {
        let made = master.good("POST", "/key/generate", body).await;
        self.keys.insert(name.to_owned(), made["key"].as_str().unwrap().to_owned());
    }

    async fn user(&self, master: &mut Line, id: &str, role: &str, side: &str) {
        let body = json!({
            "user_id": id, "user_role": role, "auto_create_key": false, "user_alias": canary(side),
            "user_email": format!("{}-{id}@example.org", canary(side)), "metadata": {"said": canary(side)},
        });
        master.good("POST", "/user/new", body).await;
    }

    /// One side, everything named by its letter.
    async fn side(&mut self, master: &mut Line, side: &str) {
        let id = |name: &str| format!("{name}-{side}");
        let said = json!({"said": canary(side)});
        for name in ["boss", "chief", "member", "alone", "doomed", "spare"] {
            self.user(master, &id(name), "internal_user", side).await;
        }
        let body = json!({
            "organization_id": id("org"), "organization_alias": canary(side), "max_budget": 100, "metadata": said,
        });
        master.good("POST", "/organization/new", body).await;
        let seats = [
            ("boss", "org_admin"),
            ("chief", "internal_user"),
            ("member", "internal_user"),
            ("doomed", "internal_user"),
        ];
        let seats: Vec<Value> =
            seats.iter().map(|(name, role)| json!({"user_id": id(name), "role": role})).collect();
        let body = json!({"organization_id": id("org"), "member": seats});
        master.good("POST", "/organization/member_add", body).await;
        // Somebody of a third organization.
        let body = json!({"organization_id": id("aside"), "organization_alias": canary(side)});
        master.good("POST", "/organization/new", body).await;
        let seat = json!({"user_id": id("spare"), "role": "internal_user"});
        let body = json!({"organization_id": id("aside"), "member": [seat]});
        master.good("POST", "/organization/member_add", body).await;
        let seats =
            json!([{"user_id": id("chief"), "role": "admin"}, {"user_id": id("member"), "role": "user"}]);
        let body = json!({
            "team_id": id("team"), "team_alias": canary(side), "organization_id": id("org"), "max_budget": 50,
            "members_with_roles": seats, "metadata": said,
        });
        master.good("POST", "/team/new", body).await;
        for name in ["project", "doomed"] {
            let body = json!({
                "project_id": id(name), "project_alias": canary(side), "team_id": id("team"), "max_budget": 20,
            });
            master.good("POST", "/project/new", body).await;
        }
        let (team, project, org) = (id("team"), id("project"), id("org"));
        let keys = [
            ("bare", json!({})),
            ("team", json!({"team_id": team})),
            ("project", json!({"team_id": team, "project_id": project})),
            ("org", json!({"organization_id": org})),
            ("boss", json!({"user_id": id("boss")})),
            ("chief", json!({"user_id": id("chief")})),
            ("member", json!({"user_id": id("member")})),
            ("member-team", json!({"user_id": id("member"), "team_id": team})),
            ("chief-team", json!({"user_id": id("chief"), "team_id": team})),
            ("alone", json!({"user_id": id("alone")})),
        ];
        for (name, mut body) in keys {
            body["key_alias"] = json!(format!("{}-{name}", canary(side)));
            body["metadata"] = said.clone();
            self.give(master, &id(name), body).await;
        }
        self.common(master, side).await;
    }

    /// What belongs to a side as far as it can: the operator keeps it.
    async fn common(&mut self, master: &mut Line, side: &str) {
        let id = |name: &str| format!("{name}-{side}");
        let said = canary(side);
        let base = format!("http://{}/d/{}/v1", self.app.simulator.address(), id("model"));
        let params =
            json!({"model": "openai/gpt-4o", "api_key": format!("sk-{said}-provider"), "api_base": base});
        let rows = [
            ("/customer/new", json!({"user_id": id("customer"), "alias": said, "max_budget": 5})),
            ("/customer/new", json!({"user_id": id("doomed"), "alias": said})),
            ("/access_group/new", json!({"access_group": id("doomed"), "model_names": ["chat"]})),
            ("/tag/new", json!({"name": id("tag"), "description": said, "max_budget": 5})),
            ("/budget/new", json!({"budget_id": id("budget"), "max_budget": 5})),
            (
                "/v1/access_group",
                json!({"access_group_name": id("group"), "description": said, "access_model_names": ["chat"]}),
            ),
            (
                "/credentials",
                json!({
                    "credential_name": id("credential"), "credential_values": {"api_key": format!("sk-{said}-kept")},
                    "credential_info": {"custom_llm_provider": "openai", "said": said},
                }),
            ),
            (
                "/model/new",
                json!({
                    "model_name": id("model"), "litellm_params": params,
                    "model_info": {"id": id("model"), "team_id": id("team"), "said": said},
                }),
            ),
            (
                "/v1/access_group",
                json!({"access_group_name": id("spare"), "description": said, "access_model_names": ["chat"]}),
            ),
            ("/invitation/new", json!({"user_id": id("member")})),
        ];
        for (path, body) in rows {
            let made = master.good("POST", path, body).await;
            let named = made["access_group_name"].as_str().map(str::to_owned);
            let named = named.or_else(|| path.contains("invitation").then(|| id("invitation")));
            let drawn = made["access_group_id"].as_str().or(made["id"].as_str());
            if let (Some(name), Some(drawn)) = (named, drawn) {
                self.ids.insert(name, drawn.to_owned());
            }
        }
    }

    /// Those who belong to no side, and those who are not let in.
    async fn apart(&mut self, master: &mut Line) {
        let users = [
            ("admin", "proxy_admin"),
            ("viewer", "proxy_admin_viewer"),
            ("reader", "internal_user_viewer"),
            ("permitted", "internal_user"),
            ("outcast", "internal_user"),
        ];
        for (id, role) in users {
            self.user(master, id, role, "nobody").await;
        }
        let body = json!({
            "team_id": "open-team", "members_with_roles": [{"user_id": "permitted", "role": "user"}],
            "team_member_permissions": ["/key/generate", "/key/list", "/key/{key_id}/reset_spend"],
        });
        master.good("POST", "/team/new", body).await;
        master.good("POST", "/team/new", json!({"team_id": "shut-team"})).await;
        let keys = [
            ("open", json!({"team_id": "open-team"})),
            ("permitted", json!({"user_id": "permitted"})),
            ("admin", json!({"user_id": "admin"})),
            ("viewer", json!({"user_id": "viewer"})),
            ("reader", json!({"user_id": "reader"})),
            ("ghost", json!({"user_id": "never-made"})),
            ("llm key", json!({"user_id": "admin", "key_type": "llm_api"})),
            ("info key", json!({"user_id": "admin", "allowed_routes": ["info_routes"]})),
            ("expired", json!({"user_id": "admin", "duration": "1s"})),
            ("blocked", json!({"user_id": "admin"})),
            ("revoked", json!({"user_id": "admin"})),
            ("replaced", json!({"user_id": "admin"})),
            ("of a shut team", json!({"team_id": "shut-team"})),
        ];
        for (name, body) in keys {
            self.give(master, name, body).await;
        }
        let key = |name: &str| self.keys[name].clone();
        master.good("POST", "/key/block", json!({"key": key("blocked")})).await;
        master.good("POST", "/key/delete", json!({"keys": [key("revoked")]})).await;
        master.good("POST", &format!("/key/{}/regenerate", key("replaced")), json!({})).await;
        master.good("POST", "/team/block", json!({"team_id": "shut-team"})).await;
    }

    /// Everything that is kept, by kind and id.
    pub(super) async fn books(&self) -> BTreeMap<(String, String), Record> {
        let records = self.reader.records().await.unwrap().records;
        records.into_iter().map(|record| ((record.kind.clone(), record.id.clone()), record)).collect()
    }

    /// What has changed since a revision.
    pub(super) async fn changes_since(&self, revision: i64) -> Changes {
        self.reader.changes_since(revision).await.unwrap()
    }

    /// What everybody has spent, as it is kept.
    pub(super) async fn accounts(&self) -> Vec<Settled> {
        self.reader.load_accounts(0).await.unwrap()
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &std::path::Path {
        &self.folder.0
    }

    pub(super) async fn close(self) {
        self.reader.close().await;
        self.app.stop().await;
    }
}
