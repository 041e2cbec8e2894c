//! The session: what was recorded, in its order, and what was asked between it that was not recorded.

use super::compare::Names;
use super::exchange::{Exchange, Reply};
use crate::support::{App, PATIENCE, Setup, post};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tollgate_policy::clock::Wall;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

const MASTER: &str = "sk-1234";

/// The recorded proxy's groups, so far as the session uses them. A chat costs what it cost there, all of it for the
/// answer, and a budget that is smaller leaves one with the lowest maximum nevertheless: LiteLLM lets it through.
const YAML: &str = r#"
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_base: "http://{sim}/v1", api_key: sk-up, weight: 1, input_cost_per_token: 0, cache_read_input_token_cost: 0, output_cost_per_token: 0.000001}
    model_info: {id: gpt4o-a}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o-mini, api_base: "http://{sim}/v1", api_key: sk-up, weight: 0}
  - model_name: emb
    litellm_params: {model: openai/text-embedding-3-small, api_base: "http://{sim}/v1", api_key: sk-up}
  - model_name: m500
    litellm_params: {model: openai/gpt-4o, api_base: "http://{sim}/v1", api_key: sk-up}
general_settings: {master_key: sk-1234, store_model_in_db: true{database}}
litellm_settings: {timezone: UTC}
"#;

/// The price by which a chat costs what it cost there.
const PRICES: &str =
    ", input_cost_per_token: 0, cache_read_input_token_cost: 0, output_cost_per_token: 0.000001";

/// By how much each step is later than the one before: more than a call takes, which is what a row's start is reckoned by.
const STEP_MICROS: i64 = 80_000;

/// One step of the session.
pub(super) enum Step {
    /// A recording is played.
    Recorded(&'static str),
    /// A key is made that the recordings know by this text.
    Key(&'static str, &'static str),
    /// A chat with a key that is recorded so, with more members, which is answered.
    Chat(&'static str, &'static str),
    /// So many rows of requests are in the database: they are written a moment after the answer.
    Booked(u64),
    /// From here on models have the catalogue's prices.
    Prices,
    /// The runtime's clock goes on by these seconds.
    Wait(u64),
}

use Step::{Booked, Chat, Key, Prices, Recorded, Wait};

const RPM: &str = "sk-A4-Y3dAzb8fQoTierkGyKg";
const TPM: &str = "sk-ePlPVkWyiyuDb3d2lMtJig";
const PARALLEL: &str = "sk-YdmsObadE8CXR_sgHIH1PQ";
const MODEL_RPM: &str = "sk-PgdC98o3XIovj3o20lIRMA";
const BUDGET: &str = "sk-jc5jl3DaICwuDzJriOyCjg";
const TEAM: &str = "sk-rxP-GLao1VsoQ8ObXtP0_A";
const USER: &str = "sk-k9Sh8w_bjUvQYFkzjIJd7A";
const CUSTOMER: &str = "sk-4FPL333P3CS_CauJq_fqKQ";
const ONE_MORE: &str = "sk-one-more-key-that-was-not-recorded";
const SECOND_TEAM: &str = "sk-mDcNbEkOF8hQVH_n4jrrWg";

/// All of them.
pub(super) const STEPS: &[Step] = &[
    Recorded("key_generate"),
    Recorded("key_info"),
    Recorded("key_info_hashed"),
    Recorded("key_info_self"),
    Recorded("key_update"),
    Recorded("key_list"),
    Recorded("key_list_full"),
    Recorded("key_block"),
    Recorded("err_key_blocked"),
    Recorded("key_unblock"),
    Recorded("err_key_model_denied"),
    Recorded("models_virtual_key"),
    Recorded("err_nonadmin_generate"),
    Recorded("key_health"),
    Recorded("key_aliases"),
    Recorded("key_info_missing"),
    Recorded("key_delete_missing"),
    Recorded("key_regenerate"),
    Recorded("key_delete"),
    Recorded("key_gen_expired"),
    Recorded("err_401_expired"),
    Key(RPM, r#"{"rpm_limit": 2}"#),
    Key(TPM, r#"{"tpm_limit": 20}"#),
    Key(PARALLEL, r#"{"max_parallel_requests": 0}"#),
    Key(MODEL_RPM, r#"{"model_rpm_limit": {"gpt-4o": 1}}"#),
    Key(BUDGET, r#"{"max_budget": 0.00001}"#),
    Chat(RPM, "{}"),
    Chat(RPM, "{}"),
    Recorded("err_429_key_rpm"),
    Chat(TPM, "{}"),
    Wait(61),
    Chat(TPM, "{}"),
    Recorded("err_429_key_tpm"),
    Recorded("err_429_key_parallel"),
    Chat(MODEL_RPM, "{}"),
    Recorded("err_429_key_model_rpm"),
    Chat(BUDGET, "{}"),
    Recorded("err_budget_key"),
    Recorded("team_new"),
    Key(TEAM, r#"{"team_id": "cb2766f2-6af1-4bf9-8e0c-e7c8ecb282fc"}"#),
    Chat(TEAM, "{}"),
    Recorded("err_team_model_denied"),
    Recorded("err_budget_team"),
    Recorded("user_new"),
    Chat(USER, "{}"),
    Recorded("err_budget_user"),
    Recorded("customer_new"),
    Key(CUSTOMER, "{}"),
    Chat(CUSTOMER, r#"{"user": "c1"}"#),
    Recorded("err_budget_customer"),
    Recorded("customer_block"),
    Recorded("err_customer_blocked"),
    Recorded("customer_info"),
    Recorded("customer_list"),
    Recorded("customer_update"),
    Recorded("customer_unblock"),
    Recorded("customer_delete"),
    Recorded("tag_new"),
    Recorded("tag_info"),
    Recorded("tag_list"),
    Recorded("team_new2"),
    Recorded("team_info"),
    Recorded("team_list"),
    Recorded("team_list_v2"),
    Recorded("team_update"),
    Recorded("team_member_add"),
    Recorded("team_member_update"),
    Recorded("team_member_delete"),
    Recorded("team_block"),
    Key(SECOND_TEAM, r#"{"team_id": "e3f6f904-e91e-4e99-834f-14ae190b49d5"}"#),
    Recorded("err_team_blocked"),
    Recorded("team_unblock"),
    Recorded("team_model_add"),
    Recorded("team_model_delete"),
    Recorded("team_permissions"),
    Recorded("team_available"),
    Recorded("team_daily"),
    Recorded("team_delete"),
    Recorded("user_new2"),
    Recorded("user_info"),
    Recorded("user_update"),
    Recorded("user_list"),
    Recorded("user_available_roles"),
    Recorded("user_delete"),
    Recorded("budget_new"),
    Recorded("budget_info"),
    Recorded("budget_update"),
    Recorded("budget_settings"),
    Recorded("budget_list"),
    Recorded("budget_delete"),
    Recorded("organization_new"),
    Recorded("organization_list"),
    Booked(20),
    Recorded("spend_logs_summary"),
    Recorded("spend_logs_ui"),
    Recorded("spend_logs_v2"),
    Recorded("spend_keys"),
    Recorded("spend_users"),
    // Five keys have spent more than the others, so that it is known which five a list of the first five has.
    Key(ONE_MORE, "{}"),
    Chat(ONE_MORE, "{}"),
    Chat(ONE_MORE, "{}"),
    Chat(CUSTOMER, "{}"),
    Wait(61),
    Chat(MODEL_RPM, "{}"),
    Booked(24),
    Prices,
    Recorded("spend_calculate"),
    Recorded("g_global_spend"),
    Recorded("g_global_spend_logs"),
    Recorded("g_global_spend_keys"),
    Recorded("g_global_spend_models"),
    Recorded("g_global_spend_teams"),
    Recorded("g_global_spend_provider"),
    Recorded("g_global_spend_tags"),
    Recorded("g_global_spend_report"),
    Recorded("global_spend_end_users"),
    Recorded("g_global_activity"),
    Recorded("g_global_activity_model"),
    Recorded("g_global_activity_exceptions"),
    Recorded("g_global_predict_spend_logs"),
    Recorded("g_provider_budgets"),
    Recorded("global_spend_reset"),
    Recorded("model_new"),
    Recorded("model_update"),
    Recorded("model_patch"),
    Recorded("model_metrics"),
    Recorded("model_streaming_metrics"),
    Recorded("model_delete"),
    Recorded("audit"),
    Recorded("cache_ping"),
    Recorded("credentials"),
    Recorded("guardrails_list"),
    Recorded("prompts_list"),
    Recorded("health_backlog"),
    Recorded("health_history"),
    Recorded("health_latest"),
    Recorded("health_license"),
    Recorded("health_test_connection"),
    Recorded("public_model_hub"),
    Recorded("invitation_new"),
];

/// The recordings that are played.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().filter_map(|step| match step {
        Recorded(name) => Some(*name),
        _ => None,
    })
}

/// The gateway that the session is played to.
pub(super) struct Play {
    app: App,
    yaml: String,
    wall: Arc<AtomicI64>,
}

impl Play {
    /// A gateway on this PostgreSQL, or on SQLite.
    pub(super) async fn open(database: Option<&str>) -> Self {
        let database = database.map(|url| format!(", database_url: \"{url}\"")).unwrap_or_default();
        let yaml = YAML.replace("{database}", &database);
        let wall = Arc::new(AtomicI64::new(Exchange::read("key_generate").at.micros()));
        let read = Arc::clone(&wall);
        let tokens = TokenCounts { prompt: Some(12), completion: Some(75), ..TokenCounts::default() };
        let script = Script::new().rule(Rule::any(Behaviour::new().text("Hello").tokens(tokens)));
        let setup = Setup::new(&yaml).script(script);
        let app = setup.wall(move || Wall::from_micros(read.load(Ordering::Relaxed))).start().await;
        Self { app, yaml, wall }
    }

    pub(super) async fn close(self) {
        self.app.stop().await;
    }

    /// Plays a step; of a recording, that and what is answered here.
    pub(super) async fn step(&mut self, at: usize, names: &mut Names) -> Option<(Exchange, Reply)> {
        let next = STEPS[at..].iter().find_map(|step| match step {
            Recorded(name) => Some(Exchange::read(name)),
            _ => None,
        });
        // Never back, and each step later than the one before: recordings of one moment have the date of one second or
        // the next.
        self.wall.fetch_add(STEP_MICROS, Ordering::Relaxed);
        self.wall.fetch_max(next.as_ref().unwrap().at.micros(), Ordering::Relaxed);
        match &STEPS[at] {
            Recorded(name) => {
                let theirs = next.unwrap();
                let path = names.translate(&theirs.path);
                let key = names.translate(&theirs.key);
                let sim = self.app.simulator.address().to_string();
                let body = names.translate(&theirs.body).replace("127.0.0.1:19311", &sim);
                let reply = self.ask((&theirs.method, &path), &key, &body).await;
                if *name == "key_regenerate" {
                    // LiteLLM refuses it without a licence, and goes on with the old one.
                    let new = reply.body["key"].as_str().unwrap().to_owned();
                    names.rebind(&theirs.path["/key/".len()..theirs.path.len() - "/regenerate".len()], &new);
                }
                return Some((theirs, reply));
            }
            Key(key, body) => {
                let made = self.good("/key/generate", &names.translate(body)).await;
                assert!(names.bind(key, made["key"].as_str().unwrap()));
            }
            Booked(rows) => self.booked(*rows).await,
            Prices => self.app.reload(&self.yaml.replace(PRICES, "")),
            Chat(key, more) => {
                let mut body: Value = serde_json::from_str(more).unwrap();
                body["model"] = "gpt-4o".into();
                body["max_tokens"] = 1.into();
                body["messages"] = serde_json::json!([{"role": "user", "content": "hi"}]);
                let path = "/v1/chat/completions";
                let reply = self.ask(("POST", path), &names.translate(key), &body.to_string()).await;
                assert_eq!(reply.status, 200, "{key}: {}", reply.text);
            }
            Wait(seconds) => crate::support::advance(Duration::from_secs(*seconds)).await,
        }
        None
    }

    async fn booked(&self, rows: u64) {
        let path = "/spend/logs/v2?start_date=2026-11-22%2000:00:00&end_date=2026-11-23%2000:00:00";
        let started = std::time::Instant::now();
        loop {
            let total = self.ask(("GET", path), MASTER, "").await.body["total"].as_u64().unwrap();
            assert!(total <= rows && started.elapsed() < PATIENCE, "{total} rows and not {rows}");
            if total == rows {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn good(&self, path: &str, body: &str) -> Value {
        let reply = self.ask(("POST", path), MASTER, body).await;
        assert_eq!(reply.status, 200, "{path} {body}: {}", reply.text);
        reply.body
    }

    async fn ask(&self, (method, path): (&str, &str), key: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("user-agent", "Python-urllib/3.11")];
        let request = post(path, &headers, body.as_bytes());
        let request = String::from_utf8(request).unwrap().replacen("POST", method, 1);
        self.app.ask(request.as_bytes()).await.into()
    }
}
