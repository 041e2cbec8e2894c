//! `tollgate teams`, `users`, `budgets` and `spend --by user`, against a gateway.

use super::Stand;
use super::support::chat;
use serde_json::{Value, json};

/// The cells of the row that begins so.
fn row<'t>(table: &'t str, begins: &str) -> Vec<&'t str> {
    let found = table.lines().find(|line| line.split_whitespace().next() == Some(begins));
    found.unwrap_or_else(|| panic!("no {begins}: {table}")).split_whitespace().collect()
}

#[tokio::test]
async fn a_team_is_listed_changed_peopled_and_deleted() {
    let stand = Stand::start().await;
    assert_eq!(stand.run("teams list").good(), "There is no team.\n");
    stand.run("teams create research --id r --budget 3000/30d --models gpt-4o --rpm 60").good();
    stand.run("users create ann --email ann@example.com").good();
    assert_eq!(stand.run("teams add-member research bob").good(), "Put bob into research.\n");
    let add = "teams add-member research ann@example.com --role admin --budget 100/30d";
    assert_eq!(stand.run(add).good(), "Put ann@example.com into research.\n");
    stand.run("keys create --alias web --team research").good();

    let list = stand.run("teams list").good();
    assert_eq!(row(&list, "TEAM"), ["TEAM", "ID", "MODELS", "SPEND", "BUDGET", "MEMBERS", "KEYS"]);
    // The operator who made it is of it, as with LiteLLM.
    assert_eq!(row(&list, "research"), ["research", "r", "gpt-4o", "$0.00", "$3,000.00/30d", "3", "1"]);
    let info = stand.run("teams info r").good();
    assert_eq!(row(&info, "budget"), ["budget", "$3,000.00/30d"]);
    assert_eq!(row(&info, "ann"), ["ann", "ann@example.com", "admin", "$0.00", "$100.00/30d"]);
    assert_eq!(row(&info, "bob")[2], "user");
    assert!(info.contains("web"), "{info}");

    let update = "teams update research --alias science --budget 50/1d --rpm none";
    assert_eq!(stand.run(update).good(), "Changed team research.\n");
    let team = stand.run("teams info science --json").json()["team_info"].clone();
    assert_eq!((&team["max_budget"], &team["budget_duration"]), (&json!(50.0), &json!("1d")));
    assert_eq!((&team["rpm_limit"], &team["models"]), (&Value::Null, &json!(["gpt-4o"])));
    assert_eq!(stand.run("teams info research").status, 1);

    assert_eq!(stand.run("teams remove-member science bob").good(), "Took bob out of science.\n");
    let left = stand.run("teams info science --json").json()["team_info"]["members_with_roles"].clone();
    let left: Vec<&Value> = left.as_array().unwrap().iter().map(|member| &member["user_id"]).collect();
    assert_eq!(left, [&json!("default_user_id"), &json!("ann")]);
    assert_eq!(stand.run("teams delete science").good(), "Deleted science, with all keys.\n");
    assert_eq!(stand.run("teams list").good(), "There is no team.\n");
    assert_eq!(stand.run("keys list").good(), "There is no key.\n");
    let gone = stand.run("teams delete science");
    assert_eq!(gone.status, 1);
    assert!(gone.error.contains("there is no team 'science'"), "{}", gone.error);
}

#[tokio::test]
async fn a_user_is_made_listed_and_deleted() {
    let stand = Stand::start().await;
    assert_eq!(stand.run("users list").good(), "There is no user.\n");
    stand.run("teams create research --id r").good();
    let made = "users create ann --email ann@example.com --alias Ann --role internal_user --teams research --budget 5/1d";
    let made = stand.run(&format!("{made} --with-key")).good();
    let key = row(&made, "key")[1].to_owned();
    assert!(key.starts_with("sk-") && made.ends_with("The key is not shown again.\n"), "{made}");
    assert_eq!(stand.run("users create bob --quiet").good(), "bob\n");
    let list = stand.run("users list").good();
    let ann = ["ann", "ann@example.com", "Ann", "internal_user", "1", "1", "$0.00", "$5.00/1d"];
    assert_eq!(row(&list, "ann"), ann);
    assert_eq!(row(&list, "bob")[4..6], ["0", "0"]);
    assert!(!list.contains(&key));
    // The key is hers: she sees herself, and makes no users.
    assert!(stand.run_as(&key, "keys list").good().contains("active"));
    let refused = stand.run_as(&key, "users create eve");
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert_eq!(
        stand.run("users delete ann@example.com bob").good(),
        "Deleted ann@example.com, bob, with all keys.\n"
    );
    assert_eq!(stand.run("users list").good(), "There is no user.\n");
    assert_eq!(stand.run_as(&key, "keys list").status, 1);
}

#[tokio::test]
async fn a_budget_is_made_and_listed() {
    let stand = Stand::start().await;
    assert_eq!(stand.run("budgets list").good(), "There is no budget that others refer to.\n");
    let made = stand.run("budgets create small --budget 5/1d --soft 4 --rpm 10 --tpm 2000").good();
    assert_eq!((row(&made, "id"), row(&made, "budget")), (vec!["id", "small"], vec!["budget", "$5.00/1d"]));
    let list = stand.run("budgets list").good();
    assert_eq!(row(&list, "small")[..5], ["small", "$5.00/1d", "$4.00", "10", "2000"]);
    let budget = stand.run("budgets list --json").json()[0].clone();
    let found = ["max_budget", "soft_budget", "rpm_limit", "tpm_limit"].map(|name| budget[name].clone());
    assert_eq!(found, [json!(5.0), json!(4.0), json!(10), json!(2_000)]);
    let twice = stand.run("budgets create small --budget 5");
    assert_eq!((twice.status, twice.out.as_str()), (1, ""));
    assert!(twice.error.starts_with("tollgate: "), "{}", twice.error);
}

#[tokio::test]
async fn what_users_spent_is_shown_user_by_user() {
    let (stand, _simulator) = Stand::priced().await;
    let said = stand.run("spend --by user --since 1d").good();
    assert!(said.starts_with("Nothing was spent from "), "{said}");
    for (user, named, requests) in [("ann", " --alias Ann", 1), ("bob", "", 2)] {
        stand.run(&format!("users create {user} --email {user}@example.com{named}")).good();
        let key = stand.run(&format!("keys create --user {user} --quiet")).good();
        for _ in 0..requests {
            let answer = chat(stand.gateway.address, key.trim(), "x").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    for _ in 0..600 {
        let table = stand.run("spend --by user --since 1d").good();
        if table.contains("$0.0105") {
            let rows: Vec<Vec<&str>> =
                table.lines().skip(3).map(|line| line.split_whitespace().collect()).collect();
            let expect = [
                vec!["bob", "bob", "2", "0", "2,000", "200", "$0.0070"],
                vec!["Ann", "ann", "1", "0", "1,000", "100", "$0.0035"],
                vec!["total", "-", "3", "0", "3,000", "300", "$0.0105"],
            ];
            assert_eq!(rows, expect, "{table}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the requests are not in the books");
}
