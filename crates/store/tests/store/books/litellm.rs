//! LiteLLM's own database: read as it is, and left as it is.

use tollgate_store::Trouble;
use tollgate_store::books::{LiteLlmDatabase, LiteLlmTable};

use super::server::{self, Schema};

/// Two of LiteLLM's tables, with columns of every type that it has, and a row or two.
const TABLES: &str = r#"
    CREATE TABLE "LiteLLM_VerificationToken" (token TEXT PRIMARY KEY, spend DOUBLE PRECISION NOT NULL,
        expires TIMESTAMP(3), models TEXT[], metadata JSONB NOT NULL DEFAULT '{}', tpm_limit BIGINT, blocked BOOLEAN);
    INSERT INTO "LiteLLM_VerificationToken" VALUES
        ('hash', 4.5e-06, '2026-11-22 11:01:21.172', '{gpt-4o,all}', '{"a": [1]}', 10, NULL);
    CREATE TABLE "LiteLLM_TeamTable" (team_id TEXT PRIMARY KEY, max_budget DOUBLE PRECISION);
    INSERT INTO "LiteLLM_TeamTable" VALUES ('red', 100), ('blue', NULL)"#;

#[tokio::test]
async fn its_rows_are_read_and_nothing_is_made_there() {
    let schema = Schema::new(server::shared());
    let sql = format!("CREATE SCHEMA {0}; SET search_path TO {0}; {TABLES}", schema.name);
    server::execute(&schema.url, &sql).await.unwrap();
    let joint = if schema.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{joint}schema={}&connection_limit=5", schema.url, schema.name);
    let litellm = LiteLlmDatabase::new(&url).unwrap();
    let tables = litellm.read(LiteLlmTable::ALL.to_vec()).await.unwrap();
    let mut found: Vec<(&str, String)> = Vec::new();
    for table in tables {
        found.extend(table.rows.into_iter().map(|row| (table.table, row)));
    }
    found.sort();
    let key = concat!(
        r#"{"token":"hash","spend":4.5e-06,"expires":"2026-11-22T11:01:21.172","models":["gpt-4o","all"],"#,
        r#""metadata":{"a": [1]},"tpm_limit":10,"blocked":null}"#
    );
    let expect = [
        ("LiteLLM_TeamTable", r#"{"team_id":"blue","max_budget":null}"#.to_owned()),
        ("LiteLLM_TeamTable", r#"{"team_id":"red","max_budget":100}"#.to_owned()),
        ("LiteLLM_VerificationToken", key.to_owned()),
    ];
    assert_eq!(found, expect);
    litellm.close().await;
    let untouched = format!(
        "DO $$ BEGIN IF (SELECT count(*) FROM pg_tables WHERE schemaname = '{}') <> 2 THEN RAISE 'touched'; END IF; \
         END $$",
        schema.name
    );
    assert_eq!(server::execute(&schema.url, &untouched).await, Ok(()));
}

#[tokio::test]
async fn a_database_that_is_away_is_unavailable() {
    let litellm = LiteLlmDatabase::new("postgresql://ann:secret@127.0.0.1:1/litellm").unwrap();
    let error = litellm.read(vec![LiteLlmTable::Keys]).await.unwrap_err();
    assert_eq!(error.trouble(), Trouble::Unavailable);
    let odd = LiteLlmDatabase::new("postgresql://ann:secret@127.0.0.1:1/litellm?schema=a;drop").map(|_| ());
    assert_eq!(odd.unwrap_err().trouble(), Trouble::Bad);
}
