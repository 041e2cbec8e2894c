//! What is left of secrets: nothing in the database, nothing that a hash opens, no stored response for another key.

use super::tenants::{CALLS, STRANGERS};
use super::world::World;
use serde_json::{Value, json};
use tollgate_identity::secret::Token;

#[tokio::test]
async fn no_secret_is_in_the_database_and_no_hash_is_a_key() {
    let world = World::open("").await;
    let mut master = world.line("master");
    let password = "a password of many letters";
    master.good("POST", "/user/update", json!({"user_id": "alone-a", "password": password})).await;
    world.line("member-team-a").good("POST", "/v1/chat/completions", chat()).await;
    let books = world.books().await;
    let kept: Vec<&str> = books.values().map(|record| record.doc.as_str()).collect();
    let mut secrets: Vec<String> = world.keys.values().cloned().collect();
    secrets.push(password.to_owned());
    secrets.extend(
        ["a", "b"]
            .iter()
            .flat_map(|side| [format!("sk-canary-of-{side}-provider"), format!("sk-canary-of-{side}-kept")]),
    );
    let files: Vec<Vec<u8>> = std::fs::read_dir(world.folder())
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(files.iter().map(Vec::len).sum::<usize>() > 100_000 && kept.len() > 50);
    for secret in &secrets {
        let is_in = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!files.iter().any(|file| is_in(file)), "{secret} is in the database");
    }
    for key in world.keys.values() {
        let token = Token::of(key.as_bytes()).as_str().to_owned();
        for told in [token.clone(), format!("sk-{token}"), token.to_uppercase()] {
            let answer = crate::support::admin::get_as(&world.app, &told, "/v1/models").await;
            assert_eq!(answer.status, 401, "{told}");
        }
    }
    world.close().await;
}

fn chat() -> Value {
    json!({"model": "chat", "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn a_stored_response_is_there_for_the_key_that_asked_alone() {
    let world = World::open("").await;
    let mut owner = world.line("member-team-a");
    let body = json!({"model": "chat", "input": "hello", "store": true});
    let made = owner.good("POST", "/v1/responses", body).await;
    let id = made["id"].as_str().unwrap();
    owner.good("GET", &format!("/v1/responses/{id}"), Value::Null).await;
    let sent = world.app.received().len();
    let others = ["member-b", "member-team-b", "boss-b", "viewer", "admin", "master"];
    let mut asked = 0;
    for who in STRANGERS.into_iter().chain(others).filter(|who| *who != "member-team-a") {
        let mut line = world.line(who);
        for root in ["/v1/responses", "/responses", "/openai/v1/responses"] {
            for (method, rest) in [("GET", ""), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", "")]
            {
                let told = line.ask(method, &format!("{root}/{id}{rest}"), &Value::Null).await;
                let unknown = id.replace(|letter: char| letter.is_ascii_digit(), "0");
                let other = line.ask(method, &format!("{root}/{unknown}{rest}"), &Value::Null).await;
                assert_eq!(
                    told.text().replace(id, "_"),
                    other.text().replace(&unknown, "_"),
                    "{who} {method} {rest}"
                );
                assert_eq!(told.status, 404, "{who} {method} {root}{rest}");
                asked += 1;
            }
        }
        let body = json!({"model": "chat", "input": "and?", "previous_response_id": id});
        let told = line.ask("POST", "/v1/responses", &body).await;
        assert!((400..=404).contains(&told.status), "{who}: {} {}", told.status, told.text());
    }
    assert_eq!((world.app.received().len(), asked > 200), (sent, true));
    owner.good("GET", &format!("/v1/responses/{id}"), Value::Null).await;
    world.close().await;
}

/// Texts that mean something to a database, and nothing to whoever is looked for.
const TEXTS: &str = include_str!("texts.txt");

#[tokio::test]
async fn a_filter_means_its_letters_and_nothing_else() {
    let world = World::open("").await;
    world.line("member-team-a").good("POST", "/v1/chat/completions", chat()).await;
    let mut master = world.line("master");
    let (before, mut asked) = (world.books().await, 0);
    let lines =
        CALLS.lines().filter_map(|line| line.trim_start_matches(['-', '=', '+']).strip_prefix("GET "));
    for line in lines.filter(|line| line.contains('<')) {
        let places: Vec<&str> =
            line.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(name, _)| name).collect();
        let fill = |text: &str| {
            places.iter().fold(line.to_owned(), |line, place| {
                let value = if *place == "days" { "start_date=2026-01-01&end_date=2099-12-31" } else { text };
                line.replace(&format!("<{place}>"), value)
            })
        };
        if places.iter().all(|place| *place == "days") {
            continue;
        }
        let nobody = master.ask("GET", &fill("zz-no-such-one"), &Value::Null).await;
        for text in TEXTS.lines() {
            let coded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let told = master.ask("GET", &fill(&coded), &Value::Null).await;
            asked += 1;
            assert_eq!(told.status, nobody.status, "{line} {text}: {}", told.text());
            let is_list = told.status == 200 && !told.text().contains(text);
            if is_list && !line.starts_with("/health") {
                assert_eq!(told.text(), nobody.text(), "{line} {text}");
            }
        }
    }
    assert!(asked > 500, "{asked}");
    assert!(world.books().await == before);
    world.close().await;
}
