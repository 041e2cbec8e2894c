//! Whose processor time it is, within one process: of the threads that serve, of the one that writes the journal, of those
//! that carry rows into the database.
//!
//! **Invariant**: every thread of the process is one of them.

use std::ops::Sub;

use super::process::Server;

/// Processor time by what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Threads {
    /// Threads that serve requests, and all that are not named below.
    pub(crate) road: f64,
    /// The one that writes the journal.
    pub(crate) journal: f64,
    /// Those that carry rows to the database, and SQLite's.
    pub(crate) database: f64,
}

impl Threads {
    /// Seconds up to now.
    pub(crate) fn of(server: Option<&Server>) -> Self {
        Self::sum(&server.map(Server::cpu_by_thread).unwrap_or_default())
    }

    fn sum(threads: &[(String, f64)]) -> Self {
        let mut sum = Self::default();
        threads.iter().for_each(|(name, seconds)| sum.add(name, *seconds));
        sum
    }

    /// Adds what the thread of a name has used.
    pub(crate) fn add(&mut self, name: &str, used: f64) {
        match name {
            "journal" | "journal-sync" | "journal-delete" => self.journal += used,
            "ledger" | "books" => self.database += used,
            name if name.starts_with("store-") => self.database += used,
            _ => self.road += used,
        }
    }

    /// All of them.
    pub(crate) fn all(self) -> f64 {
        self.road + self.journal + self.database
    }

    /// Microseconds a request, of seconds.
    pub(crate) fn per_request(self, requests: u64) -> Self {
        self.each(|seconds| seconds * 1e6 / requests.max(1) as f64)
    }

    /// Each of them changed.
    pub(crate) fn each(self, change: impl Fn(f64) -> f64) -> Self {
        Self { road: change(self.road), journal: change(self.journal), database: change(self.database) }
    }
}

impl Sub for Threads {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            road: self.road - before.road,
            journal: self.journal - before.journal,
            database: self.database - before.database,
        }
    }
}

/// Gateways that are stopped while another is measured, so that none works off what was left to it.
pub(crate) struct Paused<'a>(Vec<&'a Server>);

impl<'a> Paused<'a> {
    /// Stops all but the one at this place.
    pub(crate) fn but(place: usize, servers: &[Option<&'a Server>]) -> Self {
        let others = servers.iter().enumerate().filter(|(at, _)| *at != place);
        let others: Vec<&Server> = others.filter_map(|(_, server)| *server).collect();
        others.iter().for_each(|server| server.pause());
        Self(others)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|server| server.resume());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_is_counted_once() {
        let threads = [
            ("tollgate", 1.0),
            ("worker-0", 2.0),
            ("journal", 3.0),
            ("journal-sync", 1.0),
            ("ledger", 8.0),
            ("store-write", 16.0),
            ("store-read", 32.0),
        ];
        let sum = Threads::sum(&threads.map(|(name, seconds)| (name.to_owned(), seconds)));
        assert_eq!(sum, Threads { road: 3.0, journal: 4.0, database: 56.0 });
        assert_eq!(sum.all(), 63.0);
        let per = (sum - Threads { road: 1.0, ..Threads::default() }).per_request(2_000_000);
        assert_eq!(per, Threads { road: 1.0, journal: 2.0, database: 28.0 });
    }
}
