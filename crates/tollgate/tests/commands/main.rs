//! The commands that speak to a running gateway, against one.
//!
//! Owns: what they print and how they end. Leaves to others: what the admin API allows (the server's tests).
//!
//! **Invariant:** every command is the program itself, in a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod audited;
mod doors;
#[path = "../../../store/tests/store/folder.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod folder;
mod migrate;
mod people;
#[path = "../../../store/tests/store/books/server.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod server;
mod spend;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use std::process::{Command, Output};
use support::Gateway;
use tollgate_simulator::{Rule, Script, Simulator};

const MASTER: &str = "sk-of-the-master-and-nobody-else";

/// A gateway with a master key, and the program beside it.
struct Stand {
    gateway: Gateway,
}

/// What a command printed, and how it ended.
struct Said {
    status: i32,
    out: String,
    error: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: output.status.code().unwrap(), out: text(&output.stdout), error: text(&output.stderr) }
    }

    /// What a command printed that did its work.
    fn good(self) -> String {
        assert_eq!((self.status, self.error.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.good()).unwrap()
    }
}

impl Stand {
    async fn start() -> Self {
        Self::with("tollgate_database: gateway.db").await
    }

    /// With one more general setting.
    async fn with(setting: &str) -> Self {
        let yaml = format!(
            "model_list:\n  - model_name: gpt-4o\n    litellm_params: {{model: openai/gpt-4o, api_key: sk-a, \
             api_base: \"http://127.0.0.1:1/v1\"}}\ngeneral_settings: {{master_key: {MASTER}, {setting}}}\n"
        );
        Self { gateway: Gateway::start(&yaml).await }
    }

    /// Before a provider of a known price: $0.0035 an answer.
    async fn priced() -> (Self, Simulator) {
        let simulator = Simulator::bind(Script::new().rule(Rule::any(support::priced()))).await.unwrap();
        let yaml = format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/gpt-4o, api_key: sk-a, \
             api_base: \"http://{}/v1\"}}\ngeneral_settings: {{master_key: {MASTER}, \
             tollgate_database: gateway.db}}\n",
            simulator.address()
        );
        (Self { gateway: Gateway::start(&yaml).await }, simulator)
    }

    /// Runs a command with the master key.
    fn run(&self, line: &str) -> Said {
        self.run_as(MASTER, line)
    }

    fn run_as(&self, key: &str, line: &str) -> Said {
        let url = format!("http://{}", self.gateway.address);
        Said::of(&program(line).env("TOLLGATE_URL", url).env("TOLLGATE_API_KEY", key).output().unwrap())
    }
}

fn program(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(line.split(' ')).env_clear();
    command
}

#[tokio::test]
async fn a_key_is_made_listed_changed_blocked_put_anew_and_deleted() {
    let stand = Stand::start().await;
    let made =
        stand.run("keys create --alias web --budget 50/30d --models gpt-4o --rpm 60 --expires 30d").good();
    let key = made.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    assert!(key.starts_with("sk-") && key.len() > 40, "{made}");
    assert_eq!(made.matches(&key).count(), 1, "{made}");
    let words = made.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in ["alias web", "models gpt-4o", "budget $50.00/30d", "rpm 60"] {
        assert!(words.contains(wanted), "{wanted}: {made}");
    }
    let quiet = stand.run("keys create --alias batch --quiet").good();
    assert!(quiet.starts_with("sk-") && quiet.trim().len() == quiet.len() - 1, "{quiet}");

    let list = stand.run("keys list").good();
    assert_eq!(list.lines().count(), 3, "{list}");
    let row = list.lines().find(|line| line.starts_with("web")).unwrap();
    assert!(row.contains("$50.00/30d") && row.ends_with("active"), "{list}");
    assert!(!list.contains(&key) && !list.contains(quiet.trim()));

    for name in ["web", key.as_str()] {
        let info = stand.run(&format!("keys info {name}")).good();
        assert!(info.contains("$50.00/30d") && !info.contains(&key), "{info}");
    }
    assert_eq!(
        stand.run("keys update web --budget 70/1mo --rpm none --expires none").good(),
        "Changed key web.\n"
    );
    let info = stand.run("keys info web --json").json();
    let info = &info["info"];
    assert_eq!((&info["max_budget"], &info["budget_duration"]), (&70.0.into(), &"1mo".into()));
    assert_eq!((&info["rpm_limit"], &info["expires"]), (&Value::Null, &Value::Null));

    stand.run(&format!("keys block {key}")).good();
    assert!(stand.run("keys list").good().contains("blocked"));
    stand.run("keys unblock web").good();
    let new = stand.run("keys regenerate web --quiet").good();
    assert!(new.starts_with("sk-") && new.trim() != key);
    assert_eq!(stand.run("keys delete web batch").good(), "Deleted 2 keys.\n");
    assert_eq!(stand.run("keys list").good(), "There is no key.\n");
}

#[tokio::test]
async fn an_error_is_the_gateways_sentence_and_a_status() {
    let stand = Stand::start().await;
    let refused = stand.run("keys info nothing-of-this-name");
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert_eq!(refused.error, "tollgate: there is no key 'nothing-of-this-name', or you may not see it\n");
    let missing = stand.run("keys info sk-of-nobody-at-all-anywhere");
    assert_eq!((missing.status, missing.error.as_str()), (1, "tollgate: Key not found in database\n"));
    let stranger = stand.run_as("sk-of-a-stranger-unknown", "keys list");
    assert_eq!((stranger.status, stranger.out.as_str()), (1, ""));
    assert!(!stranger.error.contains("sk-of-a-stranger-unknown"), "{}", stranger.error);
    let nothing = stand.run("keys update web");
    assert_eq!(
        (nothing.status, nothing.error.as_str()),
        (2, "tollgate: nothing is to be changed; see --help\n")
    );
    let away =
        Said::of(&program("keys list --url http://127.0.0.1:1 --key sk-secret-of-mine").output().unwrap());
    assert_eq!((away.status, away.out.as_str()), (3, ""));
    assert!(away.error.contains("http://127.0.0.1:1") && !away.error.contains("secret"), "{}", away.error);
}

#[tokio::test]
async fn no_help_shows_the_key_of_the_environment() {
    for command in ["keys", "teams", "users", "budgets", "spend", "audit"] {
        let line = format!("{command} --help");
        let said = Said::of(&program(&line).env("TOLLGATE_API_KEY", "sk-very-secret").output().unwrap());
        let help = said.good();
        assert!(help.contains("TOLLGATE_API_KEY") && !help.contains("very-secret"), "{help}");
    }
}
