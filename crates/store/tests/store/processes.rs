//! Other processes: killed ones, and several on one file.
//!
//! The other process is this test program again, with one test chosen and a file named in the environment; what it
//! acknowledges it writes to its standard error, a line each.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use tollgate_store::{Durability, Location, Store, StoreOptions};

use crate::folder::Folder;
use crate::{NOW, open, owner, turn};

/// The store's file; without it the test of the other process does nothing.
const FILE: &str = "TOLLGATE_STORE_FILE";
/// What the other process's ids begin with, and how many rows it writes.
const PREFIX: &str = "TOLLGATE_STORE_PREFIX";
const ROWS: &str = "TOLLGATE_STORE_ROWS";

/// Tasks of the other process that write at the same time, so that batches form.
const TASKS: u32 = 8;

fn another(folder: &Folder, prefix: &str, rows: u32) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::in_another_process_rows_are_written", "--nocapture"]);
    command.env(FILE, folder.file()).env(PREFIX, prefix).env(ROWS, rows.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Not a test by itself: what the other process does.
#[tokio::test]
async fn in_another_process_rows_are_written() {
    let Ok(file) = std::env::var(FILE) else { return };
    let (prefix, rows) = (std::env::var(PREFIX).unwrap(), std::env::var(ROWS).unwrap());
    let rows: u32 = rows.parse().unwrap();
    let store = Store::open(Location::File(file.into()), &StoreOptions::default()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (store, prefix) = (store.clone(), prefix.clone());
        tasks.spawn(async move {
            let durability = if task % 2 == 0 { Durability::Process } else { Durability::Full };
            for n in (task..rows).step_by(TASKS as usize) {
                let id = format!("{prefix}-{n}");
                store.responses().put(turn("a", &id, None), durability).await.unwrap();
                std::io::stderr().write_all(format!("{id}\n").as_bytes()).unwrap();
            }
        });
    }
    tasks.join_all().await;
    store.close().await;
}

/// The ids that were acknowledged in whole lines.
fn acknowledged(text: &str) -> Vec<String> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

/// Every id has its row, whole and once; no id of the file is there twice, and the file is sound.
async fn check_rows(folder: &Folder, ids: &[String]) {
    let store = open(folder).await.unwrap();
    for id in ids {
        let found = store.responses().get(&owner("a"), id, NOW).await;
        assert_eq!(found, Ok(Some(turn("a", id, None))));
    }
    assert_eq!(store.verify().await, Ok(()));
    let connection = Connection::open(folder.file()).unwrap();
    let counts = "SELECT count(*), count(DISTINCT id) FROM responses NOT INDEXED";
    let (rows, distinct): (u32, u32) =
        connection.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(rows, distinct);
    assert!(rows as usize >= ids.len(), "{rows} rows, {} were acknowledged", ids.len());
    store.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let rounds = if std::env::var_os("TOLLGATE_TEST_LONG").is_some() { 100 } else { 5 };
    let folder = Folder::new();
    let mut ids = Vec::new();
    for round in 0..rounds {
        let mut child = another(&folder, &round.to_string(), u32::MAX);
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        // Each round dies after another number of rows.
        for _ in 0..=(round * 37) % 200 {
            lines.read_line(&mut text).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest).unwrap();
        text.push_str(&String::from_utf8_lossy(&rest));
        let new = acknowledged(&text);
        assert!(new.len() > (round * 37) % 200, "{text}");
        ids.extend(new);
        // The log of the killed process is still there, and is what the rows are read back from.
        assert!(folder.names().contains(&"gate.db-wal".to_owned()));
        check_rows(&folder, &ids).await;
    }
}

#[tokio::test]
async fn processes_share_a_file_from_its_creation_on() {
    let folder = Folder::new();
    let children: Vec<Child> = (0..3).map(|n| another(&folder, &n.to_string(), 200)).collect();
    let store = open(&folder).await.unwrap();
    for n in 0..200 {
        let row = turn("a", &format!("own-{n}"), None);
        store.responses().put(row, Durability::Process).await.unwrap();
    }
    let mut ids: Vec<String> = (0..200).map(|n| format!("own-{n}")).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        ids.extend(acknowledged(&text));
    }
    assert_eq!(ids.len(), 800);
    // What another process has written is seen by a connection that was open before.
    let found = store.responses().get(&owner("a"), "2-199", NOW).await;
    assert_eq!(found, Ok(Some(turn("a", "2-199", None))));
    store.close().await;
    check_rows(&folder, &ids).await;
}
