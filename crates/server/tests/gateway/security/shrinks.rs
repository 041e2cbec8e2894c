//! A parent that shrinks after its children were made holds them from the next request on, and lets them go again with
//! what it gets back.

use super::world::World;
use crate::support::admin::tried;
use serde_json::{Value, json};

/// Whoever stands above a key, and what takes something away from it and gives it back: route, body.
struct Parent {
    name: &'static str,
    route: &'static str,
    id: (&'static str, &'static str),
    /// The key that it stands above.
    child: &'static str,
}

const PARENTS: [Parent; 5] = [
    Parent { name: "team", route: "POST /team/update", id: ("team_id", "team-a"), child: "team-a" },
    Parent {
        name: "team of a project",
        route: "POST /team/update",
        id: ("team_id", "team-a"),
        child: "project-a",
    },
    Parent {
        name: "organization",
        route: "PATCH /organization/update",
        id: ("organization_id", "org-a"),
        child: "org-a",
    },
    Parent {
        name: "project",
        route: "POST /project/update",
        id: ("project_id", "project-a"),
        child: "project-a",
    },
    Parent { name: "user", route: "POST /user/update", id: ("user_id", "alone-a"), child: "alone-a" },
];

/// What is taken away, the status that follows, and what gives it back.
fn shrinks() -> [(&'static str, Value, u16, Value); 5] {
    [
        ("models", json!({"models": ["other"]}), 403, json!({"models": ["chat", "other"]})),
        ("no models", json!({"models": ["no-default-models"]}), 403, json!({"models": ["chat", "other"]})),
        ("budget", json!({"max_budget": 0.0}), 422, json!({"max_budget": 100})),
        ("requests", json!({"rpm_limit": 0}), 429, json!({"rpm_limit": 100_000})),
        ("tokens", json!({"tpm_limit": 0}), 429, json!({"tpm_limit": 100_000_000})),
    ]
}

#[tokio::test]
async fn a_parent_that_shrinks_holds_the_keys_that_were_made_before() {
    let world = World::open("").await;
    let mut master = world.line("master");
    let (mut asked, mut wrong) = (0, Vec::new());
    for parent in PARENTS {
        let (method, path) = parent.route.split_once(' ').unwrap();
        for (what, less, status, more) in shrinks() {
            let changed = |change: &Value| {
                let mut body = change.clone();
                body[parent.id.0] = json!(parent.id.1);
                body
            };
            let key = world.key(parent.child);
            master.good(method, path, changed(&more)).await;
            let before = tried(&world.app, key, "chat").await;
            master.good(method, path, changed(&less)).await;
            let sent = world.app.received().len();
            let held = tried(&world.app, key, "chat").await;
            let is_sent = world.app.received().len() > sent;
            master.good(method, path, changed(&more)).await;
            let after = tried(&world.app, key, "chat").await;
            asked += 1;
            if (before.0, held.0, after.0, is_sent) != (200, status, 200, false) {
                wrong.push(format!("{} of a {}: {before:?} {held:?} {after:?}", what, parent.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(asked, 25);
    world.close().await;
}

#[tokio::test]
async fn a_key_whose_parent_is_blocked_or_gone_is_no_key() {
    let world = World::open("").await;
    let mut master = world.line("master");
    for (shut, opened, body) in [("/team/block", "/team/unblock", json!({"team_id": "team-a"}))] {
        for child in ["team-a", "project-a", "member-team-a"] {
            master.good("POST", shut, body.clone()).await;
            assert_eq!(tried(&world.app, world.key(child), "chat").await.0, 401, "{child}");
            master.good("POST", opened, body.clone()).await;
            assert_eq!(tried(&world.app, world.key(child), "chat").await.0, 200, "{child}");
        }
    }
    let gone = [
        ("POST /project/delete", json!({"project_ids": ["project-a"]}), "project-a"),
        ("POST /team/delete", json!({"team_ids": ["team-a"]}), "team-a"),
        ("POST /user/delete", json!({"user_ids": ["alone-a"]}), "alone-a"),
        ("DELETE /organization/delete", json!({"organization_ids": ["org-a"]}), "org-a"),
    ];
    for (route, body, child) in gone {
        let (method, path) = route.split_once(' ').unwrap();
        assert_eq!(tried(&world.app, world.key(child), "chat").await.0, 200, "{child}");
        let answer = master.ask(method, path, &body).await;
        let status = tried(&world.app, world.key(child), "chat").await.0;
        // What is in use is kept, or its keys go with it.
        let expected = if answer.status < 300 { 401 } else { 200 };
        assert_eq!(status, expected, "{route}: {} {}", answer.status, answer.text());
    }
    world.close().await;
}
