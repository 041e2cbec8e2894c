//! The engines that the suite is run against, each with empty books.

use std::sync::Arc;

use tollgate_store::books::{Books, PostgresOptions};
use tollgate_store::{LazyStore, Location, Store, StoreOptions};

use super::server::{self, Schema};
use crate::folder::Folder;

/// Empty books of one engine.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) books: Books,
    ground: Ground,
}

/// What the books lie in, gone with this value.
enum Ground {
    Memory,
    File(Folder),
    Postgres(Schema),
}

impl Engine {
    /// Runs statements as somebody who has the database to themselves.
    pub(crate) async fn raw(&self, sql: &str) -> Result<(), String> {
        match &self.ground {
            Ground::Memory => Err("nobody else gets there".to_owned()),
            Ground::File(folder) => {
                let connection = rusqlite::Connection::open(folder.file()).unwrap();
                connection.execute_batch(sql).map_err(|error| error.to_string())
            }
            Ground::Postgres(schema) => {
                let sql = format!("SET search_path TO {}; {sql}", schema.name);
                server::execute(&schema.url, &sql).await
            }
        }
    }

    /// Where another process finds the books: a file, or an address and a schema.
    pub(crate) fn place(&self) -> (String, String) {
        match &self.ground {
            Ground::Memory => (String::new(), String::new()),
            Ground::File(folder) => (folder.file().display().to_string(), String::new()),
            Ground::Postgres(schema) => (schema.url.clone(), schema.name.clone()),
        }
    }

    /// Statements that take away what keeps the audit from being changed.
    pub(crate) fn unlock_audit(&self) -> &'static str {
        match &self.ground {
            Ground::Memory => "",
            Ground::File(_) => "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted; ",
            Ground::Postgres(_) => "DROP TRIGGER audit_is_not_changed ON audit; ",
        }
    }
}

/// Every engine.
pub(crate) async fn all() -> Vec<Engine> {
    vec![memory().await, file(), postgres()]
}

/// Those that somebody else can get at.
pub(crate) fn raw() -> Vec<Engine> {
    vec![file(), postgres()]
}

pub(crate) async fn memory() -> Engine {
    let store = Store::open(Location::Memory, &StoreOptions::default()).await.unwrap();
    Engine { name: "memory", books: Books::of_store(store), ground: Ground::Memory }
}

pub(crate) fn file() -> Engine {
    let folder = Folder::new();
    let lazy = Arc::new(LazyStore::new(folder.location(), StoreOptions::default()));
    Engine { name: "file", books: Books::sqlite(lazy), ground: Ground::File(folder) }
}

pub(crate) fn postgres() -> Engine {
    let schema = Schema::new(server::shared());
    let options = PostgresOptions { schema: schema.name.clone(), ..PostgresOptions::default() };
    let books = Books::postgres(&schema.url, options).unwrap();
    Engine { name: "postgres", books, ground: Ground::Postgres(schema) }
}
