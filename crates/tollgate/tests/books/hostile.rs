//! Filters of hostile texts on a real PostgreSQL and on SQLite, and what is left of secrets in either, in the journal and in
//! a log of everything.

use crate::server::query;
use crate::stand::{self, Stand};
use crate::support::{CONFIG, Gateway, MASTER, Site, ask, chat, open_ai, patiently};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Every call that the server's tests make of the admin API.
const CALLS: &str = include_str!("../../../server/tests/gateway/security/calls.txt");

/// Texts that mean something to a database, and nothing to whoever is looked for.
const TEXTS: &str = include_str!("../../../server/tests/gateway/security/texts.txt");

/// Names of which one is another with something in place of a letter.
const NAMES: [&str; 8] = ["a%b", "a_b", "axb", "axxb", "a'b", "a\"b", "a\\b", "B%a"];

fn coded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

async fn get(gateway: &Gateway, path: &str) -> (u16, String) {
    let answer = gateway.call("GET", path, &Value::Null).await;
    (answer.status, answer.text())
}

/// Records of each kind under each of the names, and requests of their keys.
async fn settle_in(gateway: &Gateway) {
    for (index, name) in NAMES.into_iter().enumerate() {
        let rows = [
            (
                "/organization/new",
                json!({"organization_id": format!("org-{name}"), "organization_alias": name}),
            ),
            ("/team/new", json!({"team_id": format!("team-{name}"), "team_alias": name})),
            (
                "/user/new",
                json!({"user_id": format!("user-{name}"), "user_email": format!("{name}@x.org"), "auto_create_key": false}),
            ),
            ("/customer/new", json!({"user_id": name, "alias": name})),
            ("/tag/new", json!({"name": name, "description": name})),
            ("/budget/new", json!({"budget_id": name, "max_budget": 5})),
        ];
        for (path, body) in rows {
            let answer = gateway.call("POST", path, &body).await;
            assert!(answer.status < 300, "{path} {body}: {}", answer.text());
        }
        // A search reads the last letters of a key, too: those of a random one may be what is searched for.
        let key = format!("sk-searched-in-lists-{index}-wXyZ");
        let key = json!({"key": key, "key_alias": name, "team_id": format!("team-{name}")});
        let key = gateway.new_key(key).await;
        assert_eq!(chat(gateway.address, &key, &format!("call-{name}")).await.status, 200);
    }
}

/// Lists, each with a filter that takes a part of a name, and the member that has the name.
const SEARCHES: [(&str, &str); 6] = [
    ("/key/list?return_full_object=true&size=100&substring_matching=true&key_alias=", "key_alias"),
    ("/key/list?return_full_object=true&size=100&search=", "key_alias"),
    ("/v2/team/list?page_size=100&search=", "team_alias"),
    ("/v2/team/list?page_size=100&team_alias=", "team_alias"),
    ("/user/list?page_size=100&user_email=", "user_email"),
    ("/organization/list?org_alias=", "organization_alias"),
];

/// The names that a list tells.
fn told(value: &Value, member: &str, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get(member).and_then(Value::as_str) {
                names.insert(name.trim_end_matches("@x.org").to_owned());
            }
            members.values().for_each(|value| told(value, member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| told(item, member, names)),
        _ => {}
    }
}

/// What every search finds, for each of the names and each hostile text.
async fn found(gateway: &Gateway) -> Vec<(String, BTreeSet<String>)> {
    let mut all = Vec::new();
    for (path, member) in SEARCHES {
        for text in NAMES.into_iter().chain(TEXTS.lines()) {
            let (status, answer) = get(gateway, &format!("{path}{}", coded(text))).await;
            assert_eq!(status, 200, "{path} {text}: {answer}");
            let mut names = BTreeSet::new();
            told(&serde_json::from_str(&answer).unwrap(), member, &mut names);
            let is_right = |name: &&String| name.to_lowercase().contains(&text.to_lowercase());
            let wrong: Vec<_> = names.iter().filter(|name| !is_right(name)).collect();
            assert!(wrong.is_empty(), "{path} {text} finds {wrong:?}");
            all.push((format!("{path}{text}"), names));
        }
    }
    all
}

/// Every list and report with hostile texts in place of ids: answered as for what is not there.
async fn check_calls(gateway: &Gateway) -> usize {
    let mut asked = 0;
    let lines =
        CALLS.lines().filter_map(|line| line.trim_start_matches(['-', '=', '+']).strip_prefix("GET "));
    for line in lines.filter(|line| line.contains('<')) {
        let places: Vec<&str> =
            line.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(name, _)| name).collect();
        if places.iter().all(|place| *place == "days") {
            continue;
        }
        let fill = |text: &str| {
            places.iter().fold(line.to_owned(), |line, place| {
                let value = if *place == "days" { "start_date=2026-01-01&end_date=2099-12-31" } else { text };
                line.replace(&format!("<{place}>"), value)
            })
        };
        let (status, nothing) = get(gateway, &fill("zz-no-such-one")).await;
        // The names that are there hold some of the letters: those are found by them.
        for text in TEXTS.lines().filter(|text| !NAMES.iter().any(|name| name.contains(text))) {
            let (of_text, answer) = get(gateway, &fill(&coded(text))).await;
            asked += 1;
            assert_eq!(of_text, status, "{line} {text}: {answer}");
            let is_list = of_text == 200 && !answer.contains(text) && !answer.contains("$ne");
            if is_list && !line.starts_with("/health") {
                assert_eq!(answer, nothing, "{line} {text}");
            }
        }
    }
    asked
}

fn small(text: &str) -> String {
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    format!("model_list:\n{list}general_settings: {{master_key: {MASTER}}}\n{text}")
}

#[tokio::test]
async fn a_filter_means_its_letters_on_postgresql_as_on_sqlite() {
    let stand = Stand::start().await;
    let site = Site::start(&small(""), stand::script()).await;
    let mut all = Vec::new();
    for gateway in [&stand.site.gateway, &site.gateway] {
        settle_in(gateway).await;
        let found = found(gateway).await;
        let hits: usize = found.iter().map(|(_, names)| names.len()).sum();
        assert!(hits > 60, "{hits}");
        all.push(found);
        let asked = check_calls(gateway).await;
        assert!(asked > 400, "{asked}");
        // All of it is still there.
        assert_eq!(get(gateway, "/key/list?size=100").await.0, 200);
    }
    assert_eq!(all[0], all[1]);
    site.stop().await;
    stand.site.stop().await;
}

/// Every text of every table of the gateway's.
async fn dump(url: &str) -> String {
    let tables = "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables \
                  WHERE table_schema NOT IN ('pg_catalog', 'information_schema')";
    let mut all = String::new();
    for table in query(url, tables).await.concat() {
        all += &query(url, &format!("SELECT t::text FROM {table} t")).await.concat().join("\n");
    }
    all
}

/// The bytes of every file below a folder, but for the configuration.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if entry.file_name() != CONFIG {
            all.push((path.display().to_string(), std::fs::read(path).unwrap()));
        }
    }
    all
}

/// Makes, uses, replaces and deletes secrets of every kind, and sends wrong ones: all of them.
async fn live(gateway: &Gateway) -> Vec<String> {
    let address = gateway.address;
    let chosen = "sk-chosen-by-somebody-7Hs8Kq2Lw9Z".to_owned();
    let mut secrets = vec![MASTER.to_owned(), chosen.clone()];
    for body in [json!({}), json!({"key": chosen}), json!({"max_budget": 5}), json!({"key_alias": "gone"})] {
        let key = gateway.new_key(body).await;
        assert_eq!(chat(address, &key, "one").await.status, 200);
        secrets.push(key);
    }
    let old = gateway.new_key(json!({})).await;
    let made = gateway.good("POST", &format!("/key/{old}/regenerate"), &json!({"grace_period": "1h"})).await;
    secrets.extend([old, made["key"].as_str().unwrap().to_owned()]);
    let gone = secrets[5].clone();
    gateway.good("POST", "/key/delete", &json!({"keys": [gone]})).await;
    let password = "a password of many letters";
    gateway.good("POST", "/user/new", &json!({"user_id": "u", "auto_create_key": false})).await;
    gateway.good("POST", "/user/update", &json!({"user_id": "u", "password": password})).await;
    let (kept, own) = ("sk-kept-at-a-provider-0123456789", "sk-of-a-model-that-was-made-0123");
    let credential = json!({"credential_name": "c", "credential_values": {"api_key": kept},
        "credential_info": {"custom_llm_provider": "openai"}});
    gateway.good("POST", "/credentials", &credential).await;
    let model = json!({"model_name": "made", "litellm_params": {"model": "openai/gpt-4o", "api_key": own}});
    gateway.good("POST", "/model/new", &model).await;
    secrets.extend([password, kept, own].map(str::to_owned));
    for number in 0..5 {
        let wrong = format!("sk-wrong-and-known-to-nobody-{number}-Zm9y");
        for path in ["/v1/models", "/key/info", "/v1/chat/completions", "/health"] {
            let method = if path.contains("chat") { "POST" } else { "GET" };
            let body = if method == "POST" { json!({"model": "m", "messages": []}) } else { Value::Null };
            assert_eq!(ask(address, &wrong, (method, path), &[], &body).await.status, 401);
        }
        secrets.push(wrong);
    }
    secrets
}

fn check_absent(secrets: &[String], place: &str, bytes: &[u8]) {
    for secret in secrets {
        let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!is_there, "{secret} is in {place}");
    }
}

#[tokio::test]
async fn no_secret_is_in_a_database_a_journal_or_a_log_of_everything() {
    let stand = Stand::start().await;
    let more = "tollgate_settings: {log: {level: trace}}\n";
    let site = Site::start(&small(more), stand::script()).await;
    for gateway in [&stand.site.gateway, &site.gateway] {
        let secrets = live(gateway).await;
        assert!(secrets.len() > 12, "{}", secrets.len());
        // What is spent is in the books, and was in the journal before.
        patiently("the rows are there", async {
            while gateway.good("GET", "/spend/logs/v2", &Value::Null).await["total"].as_u64() < Some(4) {
                tokio::time::sleep(crate::support::ms(50)).await;
            }
        })
        .await;
        let files = files(gateway.folder());
        assert!(files.iter().any(|(name, bytes)| name.contains("journal") && !bytes.is_empty()), "{files:?}");
        for (name, bytes) in &files {
            check_absent(&secrets, name, bytes);
        }
        let log = gateway.log_text();
        assert!(log.contains("DEBUG request answered"), "{log}");
        check_absent(&secrets, "the log", log.as_bytes());
        if gateway.address == stand.site.gateway.address {
            let dump = dump(&stand.direct).await;
            assert!(dump.len() > 5_000, "{}", dump.len());
            check_absent(&secrets, "PostgreSQL", dump.as_bytes());
        }
    }
    site.stop().await;
    stand.site.stop().await;
}
