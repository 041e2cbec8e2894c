//! What waiting for the journal costs a request under a budget: `strict`, `relaxed`, and without one.
//!
//! The words are `accounted.rs`'s.
//!
//! **Invariant**: the gateways take turns at the same rate, and the disk is timed by itself in the same rounds: no
//! request that waits for it can be faster.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::arrivals::{self, Reply, Seen};
use super::contender::Contender;
use super::people::{self, Budgets};
use super::stats::percentile;
use super::threads::Paused;
use crate::shell::Workspace;

/// Requests a second.
pub(crate) const RATE: u32 = 500;
/// Bytes of one write of the disk's own: about an intent and the end of another attempt.
const BYTES: usize = 2_048;
/// Writes of it in a round.
const WRITES: usize = 200;
/// Before what is measured: connections are opened, the first account as well.
const WARM: Duration = Duration::from_millis(500);

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Journal {
    /// There is none: the database is in memory.
    Off,
    /// For the write.
    Relaxed,
    /// For the disk.
    Strict,
}

impl Journal {
    const ALL: [Self; 3] = [Self::Off, Self::Relaxed, Self::Strict];

    /// The words for tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Off => "none, the database in memory",
            Self::Relaxed => "`relaxed`",
            Self::Strict => "`strict`",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Off => "journal-off",
            Self::Relaxed => "journal-relaxed",
            Self::Strict => "journal-strict",
        }
    }

    fn settings(self) -> &'static str {
        match self {
            Self::Off => "",
            Self::Relaxed => "tollgate_settings:\n  journal: {durability: relaxed}\n",
            Self::Strict => "tollgate_settings:\n  journal: {durability: strict}\n",
        }
    }
}

/// What a gateway's callers saw, one value a round.
#[derive(Clone, Debug)]
pub(crate) struct JournalRow {
    /// Which.
    pub(crate) journal: Journal,
    /// Times and errors.
    pub(crate) seen: Seen,
}

/// The three, and the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durable {
    /// The gateways.
    pub(crate) rows: Vec<JournalRow>,
    /// Median of a write and its sync, milliseconds, one value a round.
    pub(crate) disk_p50: Vec<f64>,
    /// 99th percentile.
    pub(crate) disk_p99: Vec<f64>,
}

/// Measures the three in turns.
///
/// # Errors
/// When a gateway does not start, or the disk cannot be written.
pub(crate) async fn measure(
    place: (&Workspace, &Path),
    upstream_port: u16,
    rounds: usize,
    window: Duration,
) -> Result<Durable, String> {
    let mut gateways = Vec::new();
    for journal in Journal::ALL {
        gateways.push(start(place, upstream_port, journal).await?);
    }
    let servers: Vec<_> = gateways.iter().map(|gateway| gateway.server.as_ref()).collect();
    let empty = |journal| JournalRow { journal, seen: Seen::default() };
    let mut seen = Durable { rows: Journal::ALL.map(empty).into(), ..Durable::default() };
    for round in 1..=rounds {
        eprintln!("journal: round {round} of {rounds}");
        for (at, (gateway, row)) in gateways.iter().zip(&mut seen.rows).enumerate() {
            let _paused = Paused::but(at, &servers);
            run(gateway, WARM).await;
            row.seen.note(&run(gateway, window).await);
        }
        let disk = disk(&place.1.join("disk"))?;
        seen.disk_p50.push(percentile(&disk, 50.0));
        seen.disk_p99.push(percentile(&disk, 99.0));
    }
    Ok(seen)
}

async fn start(
    place: (&Workspace, &Path),
    upstream_port: u16,
    journal: Journal,
) -> Result<Contender, String> {
    let in_memory = if journal == Journal::Off { "  tollgate_database: \":memory:\"\n" } else { "" };
    let config = people::config(upstream_port, Budgets::All, (in_memory, journal.settings()));
    if journal == Journal::Off {
        people::in_memory(place, (journal.name(), &config), Budgets::All).await
    } else {
        people::gateway(place, (journal.name(), &config), Budgets::All, 1).await
    }
}

async fn run(gateway: &Contender, window: Duration) -> Vec<Reply> {
    let targets = [gateway.chat_as(Some(&people::key(0)), people::GROUP)];
    arrivals::within(&targets, RATE, window).await.0
}

/// Milliseconds of each of several writes at the end of a file, with their syncs.
fn disk(file: &Path) -> Result<Vec<f64>, String> {
    let say = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut open = OpenOptions::new().create(true).append(true).open(file).map_err(say)?;
    let mut took = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let start = Instant::now();
        open.write_all(&[b'.'; BYTES]).and_then(|()| open.sync_data()).map_err(say)?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_written_as_often_as_it_is_timed() {
        let file = std::env::temp_dir().join(format!("tollgate-disk-{}", std::process::id()));
        let took = disk(&file).unwrap();
        assert_eq!(took.len(), WRITES);
        assert_eq!(std::fs::metadata(&file).unwrap().len(), (WRITES * BYTES) as u64);
        std::fs::remove_file(&file).unwrap();
    }
}
