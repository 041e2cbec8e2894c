//! LiteLLM's database taken over, and a gateway that serves what was in it.

use super::{MASTER, Said, Stand, program};
use crate::folder::Folder;
use crate::server::{self, Schema};
use serde_json::Value;
use std::path::Path;

/// A key of LiteLLM's, whose hash is in the table below.
const OLD_KEY: &str = "sk-of-litellm-made-long-ago";
const OLD_TOKEN: &str = "OLD-TOKEN";
/// It was regenerated, and goes on for a day.
const OLDER_KEY: &str = "sk-of-litellm-made-longer-ago";
const OLDER_TOKEN: &str = "OLDER-TOKEN";

/// LiteLLM's tables with the columns that its `schema.prisma` has (release 1.80), and rows.
const TABLES: &str = r#"
    CREATE TABLE "LiteLLM_BudgetTable" (budget_id TEXT PRIMARY KEY, max_budget DOUBLE PRECISION,
        soft_budget DOUBLE PRECISION, max_parallel_requests INT, tpm_limit BIGINT, rpm_limit BIGINT,
        model_max_budget JSONB, budget_duration TEXT, budget_reset_at TIMESTAMP(3),
        created_at TIMESTAMP(3) NOT NULL DEFAULT now(), created_by TEXT NOT NULL,
        updated_at TIMESTAMP(3) NOT NULL DEFAULT now(), updated_by TEXT NOT NULL);
    INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, created_by, updated_by) VALUES ('b1', 5, 'x', 'x');
    CREATE TABLE "LiteLLM_TeamTable" (team_id TEXT PRIMARY KEY, team_alias TEXT, organization_id TEXT,
        object_permission_id TEXT, admins TEXT[], members TEXT[], members_with_roles JSONB NOT NULL DEFAULT '{}',
        metadata JSONB NOT NULL DEFAULT '{}', max_budget DOUBLE PRECISION, spend DOUBLE PRECISION NOT NULL DEFAULT 0,
        models TEXT[], max_parallel_requests INT, tpm_limit BIGINT, rpm_limit BIGINT, budget_duration TEXT,
        budget_reset_at TIMESTAMP(3), blocked BOOLEAN NOT NULL DEFAULT false,
        created_at TIMESTAMP(3) NOT NULL DEFAULT now(), updated_at TIMESTAMP(3) NOT NULL DEFAULT now(),
        model_spend JSONB NOT NULL DEFAULT '{}', model_max_budget JSONB NOT NULL DEFAULT '{}',
        team_member_permissions TEXT[] DEFAULT '{}', model_id INT);
    INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, members_with_roles, max_budget, spend, models,
        budget_duration, budget_reset_at) VALUES ('t1', 'research', '[{"user_id": "ann", "role": "admin"}]', 3000,
        12.5, '{gpt-4o}', '30d', date_trunc('month', timezone('UTC', now())) + interval '1 month');
    CREATE TABLE "LiteLLM_ModelTable" (id SERIAL PRIMARY KEY, aliases JSONB, created_by TEXT, updated_by TEXT);
    INSERT INTO "LiteLLM_ModelTable" (aliases) VALUES ('{"fast": "gpt-4o"}');
    UPDATE "LiteLLM_TeamTable" SET model_id = 1;
    CREATE TABLE "LiteLLM_UserTable" (user_id TEXT PRIMARY KEY, user_alias TEXT, team_id TEXT, sso_user_id TEXT,
        organization_id TEXT, password TEXT, teams TEXT[] DEFAULT '{}', user_role TEXT, max_budget DOUBLE PRECISION,
        spend DOUBLE PRECISION NOT NULL DEFAULT 0, user_email TEXT, models TEXT[],
        metadata JSONB NOT NULL DEFAULT '{}', created_at TIMESTAMP(3) DEFAULT now());
    INSERT INTO "LiteLLM_UserTable" (user_id, user_email, teams, user_role, spend, models)
        VALUES ('ann', 'ann@example.com', '{t1}', 'internal_user', 0.5, '{}');
    CREATE TABLE "LiteLLM_TeamMembership" (user_id TEXT, team_id TEXT, spend DOUBLE PRECISION NOT NULL DEFAULT 0,
        budget_id TEXT, PRIMARY KEY (user_id, team_id));
    INSERT INTO "LiteLLM_TeamMembership" VALUES ('ann', 't1', 0.25, 'b1');
    CREATE TABLE "LiteLLM_VerificationToken" (token TEXT PRIMARY KEY, key_name TEXT, key_alias TEXT,
        soft_budget_cooldown BOOLEAN NOT NULL DEFAULT false, spend DOUBLE PRECISION NOT NULL DEFAULT 0,
        expires TIMESTAMP(3), models TEXT[], aliases JSONB NOT NULL DEFAULT '{}', config JSONB NOT NULL DEFAULT '{}',
        user_id TEXT, team_id TEXT, permissions JSONB NOT NULL DEFAULT '{}', max_parallel_requests INT,
        metadata JSONB NOT NULL DEFAULT '{}', blocked BOOLEAN, tpm_limit BIGINT, rpm_limit BIGINT,
        max_budget DOUBLE PRECISION, budget_duration TEXT, budget_reset_at TIMESTAMP(3),
        allowed_cache_controls TEXT[] DEFAULT '{}', allowed_routes TEXT[] DEFAULT '{}',
        model_spend JSONB NOT NULL DEFAULT '{}', model_max_budget JSONB NOT NULL DEFAULT '{}', budget_id TEXT,
        organization_id TEXT, object_permission_id TEXT, created_at TIMESTAMP(3) DEFAULT now(), created_by TEXT);
    INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, models, team_id, max_budget) VALUES
        ('OLD-TOKEN', 'sk-...-ago', 'web', 7.5e-05, '{gpt-4o}', 't1', 10),
        (repeat('a', 64), 'sk-...gone', 'lost', 0, '{}', 'gone', NULL),
        (repeat('b', 64), 'sk-...sess', NULL, 0, '{}', 'litellm-dashboard', NULL);
    CREATE TABLE "LiteLLM_DeprecatedVerificationToken" (id TEXT PRIMARY KEY, token TEXT NOT NULL,
        active_token_id TEXT NOT NULL, revoke_at TIMESTAMP(3) NOT NULL);
    INSERT INTO "LiteLLM_DeprecatedVerificationToken"
        VALUES ('d1', 'OLDER-TOKEN', 'OLD-TOKEN', timezone('UTC', now()) + interval '1 day');
    CREATE TABLE "LiteLLM_ProxyModelTable" (model_id TEXT PRIMARY KEY, model_name TEXT NOT NULL,
        litellm_params JSONB NOT NULL, model_info JSONB);
    INSERT INTO "LiteLLM_ProxyModelTable" VALUES ('m1', 'gpt', '{"model": "c2VhbGVk", "api_key": "c2VhbGVk"}', '{}')"#;

async fn litellm() -> (Schema, String) {
    let schema = Schema::new(server::shared());
    let token = |key: &str| tollgate_identity::secret::Token::of(key.as_bytes()).as_str().to_owned();
    let tables = TABLES.replace(OLDER_TOKEN, &token(OLDER_KEY)).replace(OLD_TOKEN, &token(OLD_KEY));
    let sql = format!("CREATE SCHEMA {0}; SET search_path TO {0}; {tables}", schema.name);
    server::execute(&schema.url, &sql).await.unwrap();
    let joint = if schema.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{joint}schema={}", schema.url, schema.name);
    (schema, url)
}

fn migrate(url: &str, to: &Path, more: &str) -> Said {
    let line = format!("migrate litellm --to {}{more}", to.display());
    let mut command = program(&line);
    command.env("LITELLM_DATABASE_URL", url).env("LITELLM_SALT_KEY", "sk-salt");
    Said::of(&command.output().unwrap())
}

#[tokio::test]
async fn a_database_of_litellms_is_taken_over_once_and_its_keys_go_on_working() {
    let (schema, url) = litellm().await;
    let folder = Folder::new();
    let file = folder.file();

    let dry = migrate(&url, &file, " --dry-run").good();
    assert!(dry.starts_with("Would take into "), "{dry}");
    assert!(!file.exists());

    let report = migrate(&url, &file, " --json").json();
    let taken = |report: &Value, kind: &str| {
        let row = &report["records"][kind];
        (row["taken"].as_u64().unwrap(), row["there_already"].as_u64().unwrap())
    };
    for (kind, count) in [("budget", 1), ("team", 1), ("user", 1), ("member", 1), ("key", 2)] {
        assert_eq!(taken(&report, kind), (count, 0), "{kind}: {report}");
    }
    let left: Vec<(&str, &str)> = report["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (row["name"].as_str().unwrap(), row["reason"].as_str().unwrap().split([',', ':']).next().unwrap())
        })
        .collect();
    let expect = [
        ("lost", "its team is not there"),
        ("sk-...sess", "it is a session of LiteLLM's console"),
        ("gpt (m1)", "it was sealed by another LITELLM_SALT_KEY (or master key)"),
    ];
    assert_eq!(left, expect);
    let again = migrate(&url, &file, " --json").json();
    assert_eq!((taken(&again, "key"), taken(&again, "member")), ((0, 2), (0, 1)));

    let stand = Stand::with(&format!("tollgate_database: \"{}\"", file.display())).await;
    let key = stand.run(&format!("keys info {OLD_KEY} --json")).json();
    let key = &key["info"];
    assert_eq!(
        (&key["key_alias"], &key["spend"], &key["team_id"]),
        (&"web".into(), &7.5e-05.into(), &"t1".into())
    );
    // The key itself lets its holder in, with no more than it had.
    assert_eq!(stand.run_as(OLD_KEY, "keys info web").status, 0);
    assert_eq!(stand.run_as(OLDER_KEY, &format!("keys info {OLDER_KEY}")).status, 0);
    let team = stand.run("teams info t1 --json").json();
    assert_eq!(team["team_info"]["litellm_model_table"]["model_aliases"]["fast"], "gpt-4o", "{team}");
    assert_eq!(stand.run_as(OLD_KEY, "audit").status, 1);
    assert!(stand.run_as(MASTER, "audit").good().contains("tollgate migrate litellm"));
    drop(schema);
}

#[test]
fn a_database_that_is_not_litellms_or_away_is_said_so_without_its_password() {
    let folder = Folder::new();
    let away = migrate("postgresql://ann:secret@127.0.0.1:1/litellm", &folder.file(), "");
    assert_eq!((away.status, away.out.as_str()), (1, ""));
    assert!(away.error.starts_with("tollgate: LiteLLM's database: "), "{}", away.error);
    assert!(!away.error.contains("secret"), "{}", away.error);
    let nowhere = Said::of(
        &program("migrate litellm --database-url postgresql://a:secret@127.0.0.1:1/x --nothing")
            .output()
            .unwrap(),
    );
    assert_eq!(nowhere.status, 2);
    assert!(!nowhere.error.contains("secret"), "{}", nowhere.error);
}
