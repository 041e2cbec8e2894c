//! Keys that are replaced by themselves: when, with what, where their texts are put, and what is told.

use crate::alerts::Hook;
use crate::support::admin::{MASTER, config, counted, key, made, refused_as, seen, tried};
use crate::support::{App, Setup};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_policy::clock::Wall;
use tollgate_server::rotate_keys_once;

const DAY: i64 = 86_400 * 1_000_000;

/// A gateway, its wall, and the folder of new keys.
struct Place {
    app: App,
    wall: Arc<AtomicI64>,
    folder: PathBuf,
}

impl Place {
    /// One with these settings beside the folder.
    async fn start(name: &str, settings: &str, more: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-rotation-of-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let written = format!("{{folder: '{}'{settings}}}", folder.display());
        let more = match more.strip_prefix("tollgate_settings: {") {
            Some(rest) => format!("tollgate_settings: {{key_rotation: {written}, {rest}"),
            None => format!("tollgate_settings: {{key_rotation: {written}}}\n{more}"),
        };
        let wall = Arc::new(AtomicI64::new(1_800_000_000_000_000));
        let clock = Arc::clone(&wall);
        let setup = Setup::new(config(&more)).script(counted());
        let app = setup.wall(move || Wall::from_micros(clock.load(Ordering::SeqCst))).start().await;
        Self { app, wall, folder }
    }

    /// So much later, keys that are due have been replaced.
    async fn later(&self, micros: i64) {
        self.wall.fetch_add(micros, Ordering::SeqCst);
        rotate_keys_once(&self.app.worker).await;
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    async fn status(&self, key: &str) -> u16 {
        tried(&self.app, key, "chat").await.0
    }

    async fn end(self) {
        self.app.stop().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn token(key: &str) -> String {
    tollgate_identity::secret::Token::of(key.as_bytes()).as_str().to_owned()
}

#[tokio::test]
async fn a_key_is_replaced_when_its_interval_is_over_and_its_text_is_in_the_folder() {
    let place = Place::start("interval", "", "").await;
    let rotates =
        json!({"key_alias": "bot", "auto_rotate": true, "rotation_interval": "30d", "max_budget": 1});
    let first = key(&place.app, rotates).await;
    let stays = key(&place.app, json!({"key_alias": "stays"})).await;
    assert_eq!(place.status(&first).await, 200);

    place.later(29 * DAY).await;
    assert_eq!((place.files(), place.status(&first).await), (Vec::new(), 200));
    place.later(DAY).await;
    assert_eq!(place.files(), ["bot"]);
    let second = place.text("bot");
    assert_eq!((place.status(&first).await, place.status(&second).await), (401, 200));
    assert_eq!(place.status(&stays).await, 200);
    let info = seen(&place.app, &format!("/key/info?key={second}")).await["info"].clone();
    assert_eq!((&info["key_alias"], &info["rotation_count"]), (&json!("bot"), &json!(1)));
    assert_eq!((&info["auto_rotate"], &info["rotation_interval"]), (&json!(true), &json!("30d")));
    // What it spent is not forgotten: three requests by then.
    assert_eq!(info["spend"], json!(0.0105));

    // Once is enough until the next interval is over.
    place.later(29 * DAY).await;
    assert_eq!(place.text("bot"), second);
    place.later(DAY).await;
    let third = place.text("bot");
    assert_eq!((place.status(&second).await, place.status(&third).await), (401, 200));
    let audit = seen(&place.app, "/audit?action=regenerated").await;
    let actors: Vec<&Value> =
        audit["audit_logs"].as_array().unwrap().iter().map(|row| &row["changed_by"]).collect();
    assert!(!actors.is_empty() && actors.iter().all(|actor| **actor == json!("key_rotation")), "{audit}");
    place.end().await;
}

#[tokio::test]
async fn in_the_grace_period_the_old_key_goes_on_with_the_same_budget() {
    let place = Place::start("grace", ", grace_period: 2d", "").await;
    let old = key(&place.app, json!({"auto_rotate": true, "rotation_interval": "7d"})).await;
    place.later(7 * DAY).await;
    // Without an alias the file is named by the key that it replaces.
    assert_eq!(place.files(), [token(&old)]);
    let new = place.text(&token(&old));
    assert_eq!((place.status(&old).await, place.status(&new).await), (200, 200));
    place.later(DAY).await;
    assert_eq!(place.status(&old).await, 200);
    place.later(DAY).await;
    assert_eq!((place.status(&old).await, place.status(&new).await), (401, 200));
    assert_eq!(place.files(), [token(&old)]);
    place.end().await;
}

#[tokio::test]
async fn keys_that_nobody_could_use_are_left_alone() {
    let place = Place::start("left", "", "").await;
    let body = |more: Value| {
        let mut body = json!({"auto_rotate": true, "rotation_interval": "7d"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let blocked = key(&place.app, body(json!({"key_alias": "blocked"}))).await;
    made(&place.app, "/key/block", json!({"key": blocked})).await;
    key(&place.app, body(json!({"key_alias": "expired", "duration": "3d"}))).await;
    let ended = key(&place.app, body(json!({"key_alias": "ended"}))).await;
    made(&place.app, "/key/update", json!({"key": ended, "auto_rotate": false})).await;
    place.later(8 * DAY).await;
    assert_eq!(place.files(), Vec::<String>::new());
    made(&place.app, "/key/unblock", json!({"key": blocked})).await;
    place.later(0).await;
    assert_eq!(place.files(), ["blocked"]);
    place.end().await;
}

#[tokio::test]
async fn a_key_whose_text_has_no_place_stays_and_somebody_is_told() {
    let hook = Hook::start(Some(200)).await;
    let place = Place::start("told", "", &hook.json()).await;
    made(&place.app, "/config/update", json!({"general_settings": {"alert_types": ["virtual_key_updated"]}}))
        .await;
    // A file stands where the folder is to be.
    std::fs::write(&place.folder, "in the way").unwrap();
    let old =
        key(&place.app, json!({"key_alias": "bot", "auto_rotate": true, "rotation_interval": "7d"})).await;
    place.later(7 * DAY).await;
    assert_eq!(place.status(&old).await, 200);
    let told = hook.bodies(1).await;
    assert_eq!((&told[0]["event"], &told[0]["key_alias"]), (&json!("key_rotation_failed"), &json!("bot")));
    std::fs::remove_file(&place.folder).unwrap();
    place.later(0).await;
    assert_eq!((place.status(&old).await, place.status(&place.text("bot")).await), (401, 200));
    let told = hook.bodies(2).await;
    assert_eq!((&told[1]["event"], &told[1]["actor"]), (&json!("key_rotated"), &json!("key_rotation")));
    let texts = [old, place.text("bot")];
    assert!(hook.heard(2).await.iter().all(|heard| !texts.iter().any(|text| heard.contains(text.as_str()))));
    place.end().await;
}

#[tokio::test]
async fn nothing_is_replaced_where_the_operator_says_so() {
    let off = "environment_variables: {LITELLM_KEY_ROTATION_ENABLED: 'false'}\n";
    let place = Place::start("off", "", off).await;
    let old = key(&place.app, json!({"auto_rotate": true, "rotation_interval": "7d"})).await;
    place.later(8 * DAY).await;
    assert_eq!((place.status(&old).await, place.files().len()), (200, 0));
    let (status, message) =
        refused_as(&place.app, MASTER, "/key/generate", json!({"auto_rotate": true})).await;
    assert!(status == 400 && message.contains("rotation_interval"), "{status} {message}");
    place.end().await;
}
