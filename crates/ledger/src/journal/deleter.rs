//! The end of the journal's files, on threads of their own: the blocks and pages of a file of 64 MiB take the system tens of
//! milliseconds to give back, and whoever waits for the journal's thread would wait for that.
//!
//! Leaves to the writer which files may go.

use super::segment;
use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};
use tollgate_store::give_way;

/// Deletes files.
#[derive(Default)]
pub(super) struct Deleter {
    /// Files before this one are gone, or about to go.
    before: u64,
    running: Vec<JoinHandle<()>>,
}

impl Deleter {
    /// Begins to delete the files of a folder before this one.
    pub(super) fn delete(&mut self, folder: &Path, before: u64) {
        if before <= self.before {
            return;
        }
        self.before = before;
        self.running.retain(|thread| !thread.is_finished());
        let path = folder.to_owned();
        let run = move || {
            give_way();
            delete(&path, before);
        };
        match thread::Builder::new().name("journal-delete".to_owned()).spawn(run) {
            Ok(thread) => self.running.push(thread),
            // As many threads as may be are there already.
            Err(_) => delete(folder, before),
        }
    }

    /// Returns when what was begun is over.
    pub(super) fn wait(&mut self) {
        for thread in self.running.drain(..) {
            let _ = thread.join();
        }
    }
}

fn delete(folder: &Path, before: u64) {
    let numbers = segment::list(folder).unwrap_or_default();
    for number in numbers.into_iter().filter(|number| *number < before) {
        match std::fs::remove_file(segment::path(folder, number)) {
            // By a thread that was begun before this one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, number, "a file of the journal could not be deleted"),
            Ok(()) => {}
        }
    }
}
