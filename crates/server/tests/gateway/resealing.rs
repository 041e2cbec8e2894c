//! A salt key that is changed: what the former one sealed opens still, is counted, and is sealed by the new one.

use crate::support::admin::{MASTER, config, get_as, key, made, refused_as, seen, tried};
use crate::support::{App, Setup};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const KEY: &str = "sk-key-of-provider-secret";

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tollgate-resealing-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn with_salt(file: &Path, salt: &str, former: &str) -> App {
    let yaml = config("").replace(
        &format!("{{master_key: {MASTER}}}"),
        &format!("{{master_key: {MASTER}, salt_key: {salt}}}"),
    );
    let yaml = format!("{yaml}environment_variables: {{LITELLM_SALT_KEY_PREVIOUS: \"{former}\"}}\n");
    Setup::new(yaml).database(file).start().await
}

async fn end(app: App) {
    app.gateway.close().await;
    app.stop().await;
}

fn counts(report: &Value) -> (u64, u64) {
    let of = |name: &str| report["report"][name].as_u64().unwrap();
    (of("residual_legacy"), of("total_undecryptable"))
}

#[tokio::test]
async fn what_a_former_salt_key_sealed_is_sealed_by_the_new_one() {
    let folder = folder("rotation");
    let file = folder.join("tollgate.db");
    let app = with_salt(&file, "first-salt", "").await;
    let base = format!("http://{}/d/b/v1", app.simulator.address());
    let model = json!({"model_name": "made", "model_info": {"id": "id-made"},
        "litellm_params": {"model": "openai/gpt-4o", "api_key": KEY, "api_base": base}});
    made(&app, "/model/new", model.clone()).await;
    let credential = json!({"credential_name": "c", "credential_values": {"api_key": KEY}});
    made(&app, "/credentials", credential).await;
    let hook = json!({"environment_variables": {"SLACK_WEBHOOK_URL": "https://hooks.example.com/x"}});
    made(&app, "/config/update", hook).await;
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let callback = json!({"callback_name": "langfuse", "callback_vars": {"langfuse_secret_key": KEY}});
    made(&app, "/team/t/callback", callback).await;
    assert_eq!(counts(&seen(&app, "/credentials/migrate-encryption/check").await), (0, 0));
    end(app).await;

    // Without the former one nothing opens, and nothing of it is lost.
    let app = with_salt(&file, "second-salt", "").await;
    assert_eq!(counts(&seen(&app, "/credentials/migrate-encryption/check").await), (0, 4));
    assert_eq!(counts(&made(&app, "/credentials/migrate-encryption", json!({})).await), (0, 4));
    end(app).await;

    let app = with_salt(&file, "second-salt", "other-salt, first-salt").await;
    let before = seen(&app, "/credentials/migrate-encryption/check").await;
    assert_eq!(counts(&before), (4, 0));
    assert_eq!(before["report"]["locations"]["litellm_params"]["scanned"], 1);
    let dry = made(&app, "/credentials/migrate-encryption?dry_run=true", json!({})).await;
    assert_eq!((counts(&dry), &dry["dry_run"]), ((4, 0), &json!(true)));
    let done = made(&app, "/credentials/migrate-encryption", json!({})).await;
    assert_eq!((counts(&done), &done["dry_run"]), ((0, 0), &json!(false)));
    for place in ["litellm_params", "credential_values", "settings", "team.callback_vars"] {
        assert_eq!(done["report"]["locations"][place]["migrated"], 1, "{place}");
    }
    // Twice is once.
    assert_eq!(
        made(&app, "/credentials/migrate-encryption", json!({})).await["report"]["locations"]["settings"]["migrated"],
        0
    );
    let user = key(&app, json!({})).await;
    let (status, _) = refused_as(&app, &user, "/credentials/migrate-encryption", json!({})).await;
    assert!(status == 401 || status == 403);
    assert!(!get_as(&app, MASTER, "/audit").await.text().contains(KEY));
    end(app).await;

    let app = with_salt(&file, "second-salt", "").await;
    assert_eq!(counts(&seen(&app, "/credentials/migrate-encryption/check").await), (0, 0));
    // The address is the simulator's of before; that it is asked at all says that its key was opened.
    assert_ne!(tried(&app, MASTER, "made").await.0, 400);
    assert_eq!(seen(&app, "/config/yaml").await["environment_variables"]["SLACK_WEBHOOK_URL"], "****");
    end(app).await;
    let _ = std::fs::remove_dir_all(&folder);
}
