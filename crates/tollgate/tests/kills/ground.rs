//! A gateway with its books in a file, callers that outlive its death, and what the file says.

use crate::support::{ANSWER_TOKENS, Site, hello, ms, open_ai, patiently, post, priced};
use rusqlite::OptionalExtension as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_simulator::{Rule, Script};

/// The file of the books.
pub(crate) const DATABASE: &str = "tollgate.db";
/// The journal's folder.
pub(crate) const JOURNAL: &str = "tollgate.db.journal";

/// What the books have of an attempt: its cost, and whether it was settled after a crash.
pub(crate) type Row = (i128, bool);

/// A gateway of one group `m`, with more settings.
pub(crate) async fn site(more: &str) -> Site {
    let script = Script::new().rule(Rule::any(priced().latency(ms(20))));
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    let general = "general_settings: {master_key: sk-master-0123456789}\n";
    Site::start(&format!("model_list:\n{list}{general}{more}"), script).await
}

/// Sends one request, and says whether the whole answer came before the connection ended.
pub(crate) async fn ask(address: SocketAddr, key: String, call: String) -> Option<String> {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("x-litellm-call-id", &call), ("connection", "close")];
    let mut body = hello("m");
    body["max_tokens"] = json!(ANSWER_TOKENS);
    let request = post("/v1/chat/completions", &headers, body.to_string().as_bytes());
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(&request).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str::<Value>(body).ok()?;
    Some(call)
}

/// What the books have under each value of a column, of attempts that cost something.
pub(crate) fn rows_by(folder: &Path, column: &str) -> HashMap<String, Vec<Row>> {
    let database = rusqlite::Connection::open(folder.join(DATABASE)).unwrap();
    let sql = format!("SELECT {column}, cost, recovered FROM attempts WHERE cost > 0");
    let mut query = database.prepare(&sql).unwrap();
    let read = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
    });
    let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
    for row in read.unwrap() {
        let (name, cost, recovered) = row.unwrap();
        rows.entry(name).or_default().push((i128::from(cost), recovered.unwrap_or_default() != 0));
    }
    rows
}

/// What the books have of each call.
pub(crate) fn rows(folder: &Path) -> HashMap<String, Vec<Row>> {
    rows_by(folder, "call_id")
}

/// What the key's account without an end has; nothing where nothing was ever booked in it.
pub(crate) fn settled(folder: &Path) -> i128 {
    let database = rusqlite::Connection::open(folder.join(DATABASE)).unwrap();
    let query = "SELECT settled FROM accounts WHERE kind = 'key' AND cadence = ''";
    let settled = database.query_row(query, [], |row| row.get::<_, String>(0)).optional().unwrap();
    settled.map_or(0, |settled| settled.parse().unwrap())
}

/// Waits until something is so of the books.
pub(crate) async fn until_books(what: &str, is_so: impl Fn() -> bool) {
    patiently(what, async {
        while !is_so() {
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
}
