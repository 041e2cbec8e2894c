//! Hearing of other gateways' changes: notices of PostgreSQL, and a look every now and then in case one was lost.
//!
//! Owns the thread that listens and how it comes back. What a revision means is `records.rs`'s.
//!
//! **Invariant**: whoever watches learns of every revision, or of a later one, at most a poll and a reconnect after its
//! commit. **Invariant**: the thread ends when nobody watches.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_postgres::{AsyncMessage, Client, Error};

use super::worker::Ground;
use crate::error::StoreError;

/// The channel on which changes of records are told; what is told is the schema and the revision.
pub(crate) const CHANNEL: &str = "tollgate_records";

/// The waits between two tries to listen: each is twice the one before it.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(3);

/// Starts the thread. What it hears goes to `heard`, until that is dropped or nobody watches.
pub(super) fn start(ground: &Arc<Ground>, heard: &Arc<watch::Sender<i64>>) -> Result<(), StoreError> {
    let unavailable = |error: std::io::Error| StoreError::Unavailable {
        database: ground.name.clone(),
        detail: error.to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    let (ground, heard) = (Arc::clone(ground), Arc::downgrade(heard));
    let body = move || listen(&runtime, &ground, &heard);
    let started = std::thread::Builder::new().name("books-listen".to_owned()).spawn(body);
    started
        .map(|_| ())
        .map_err(|error| StoreError::Unavailable { database: String::new(), detail: error.to_string() })
}

fn is_watched(heard: &Weak<watch::Sender<i64>>) -> bool {
    heard.upgrade().is_some_and(|heard| !heard.is_closed())
}

fn listen(runtime: &Runtime, ground: &Ground, heard: &Weak<watch::Sender<i64>>) {
    let mut wait = AGAIN_AFTER;
    while is_watched(heard) {
        let mut has_heard = false;
        runtime.block_on(async {
            // However it ends, it is begun anew.
            let _ = session(ground, heard, &mut has_heard).await;
        });
        // One that was cut off is there again in a moment, mostly.
        ground.is_silent.store(!has_heard, Ordering::Relaxed);
        wait = if has_heard { AGAIN_AFTER } else { (wait * 2).min(AGAIN_AFTER_MAX) };
        runtime.block_on(async { tokio::time::sleep(wait).await });
    }
}

/// One connection, for as long as it stands.
async fn session(
    ground: &Ground,
    heard: &Weak<watch::Sender<i64>>,
    has_heard: &mut bool,
) -> Result<(), Error> {
    let connecting = ground.address.config.connect(ground.tls.clone());
    let Ok(connected) = tokio::time::timeout(ground.options.connect_timeout, connecting).await else {
        return Ok(());
    };
    let (client, mut connection) = connected?;
    let (notice, mut notices) = mpsc::channel(1);
    let prefix = format!("{} ", ground.options.schema);
    let pump = async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let Ok(AsyncMessage::Notification(told)) = message
                && told.payload().starts_with(&prefix)
            {
                // One that waits already says the same: go and look.
                let _ = notice.try_send(());
            }
        }
    };
    let watch = async {
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        while is_watched(heard) {
            let Ok(revision) =
                tokio::time::timeout(ground.options.statement_timeout, revision(&client, ground)).await
            else {
                return Ok(());
            };
            let revision = revision?;
            *has_heard = true;
            ground.is_silent.store(false, Ordering::Relaxed);
            if let Some(heard) = heard.upgrade() {
                heard.send_if_modified(|last| {
                    let is_news = *last != revision;
                    *last = revision;
                    is_news
                });
            }
            if let Ok(None) = tokio::time::timeout(ground.options.poll_interval, notices.recv()).await {
                return Ok(());
            }
        }
        Ok(())
    };
    tokio::select! {
        () = pump => Ok(()),
        ended = watch => ended,
    }
}

async fn revision(client: &Client, ground: &Ground) -> Result<i64, Error> {
    // Before the schema is there, nothing has changed.
    let schema = &ground.options.schema;
    let there = client.query_typed(&format!("SELECT to_regclass('{schema}.heads') IS NOT NULL"), &[]).await?;
    let is_there = there.first().map(|row| row.try_get::<_, bool>(0)).transpose()?.unwrap_or(false);
    if !is_there {
        return Ok(0);
    }
    let rows = client.query_typed(&format!("SELECT revision FROM {schema}.heads WHERE id = 1"), &[]).await?;
    Ok(rows.first().map(|row| row.try_get::<_, i64>(0)).transpose()?.unwrap_or(0))
}
