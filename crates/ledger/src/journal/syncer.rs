//! The thread that syncs the journal's files where nobody waits for that, so that nobody waits for it.
//!
//! Leaves to the writer which files those are, and what follows from a sync that failed.
//!
//! **Invariant:** one sync at a time, and each is answered once.

use super::segment;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// How a file's bytes are brought to the disk.
pub(super) type Disk = Arc<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// What is synced together.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The files.
    pub(super) files: Vec<File>,
    /// Their folder, where one of them has a new name in it.
    pub(super) folder: Option<PathBuf>,
}

impl Files {
    /// Returns when all of them are on the disk.
    pub(super) fn sync(&self, disk: &Disk) -> io::Result<()> {
        self.files.iter().try_for_each(|file| disk(file))?;
        self.folder.as_deref().map_or(Ok(()), segment::sync_folder)
    }
}

/// The thread.
pub(super) struct Syncer {
    /// None while it is being dropped.
    jobs: Option<Sender<Files>>,
    results: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts it; `wake` is called after each sync.
    pub(super) fn start(disk: Disk, wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (jobs, queue) = channel::<Files>();
        let (results, ended) = channel();
        let run = move || {
            while let Ok(files) = queue.recv() {
                if results.send(files.sync(&disk)).is_err() {
                    break;
                }
                wake();
            }
        };
        let thread = thread::Builder::new().name("journal-sync".to_owned()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), results: ended, thread: Some(thread) })
    }

    /// Begins a sync; the one before has ended.
    pub(super) fn begin(&self, files: Files) {
        // Where the thread is no more, `wait` says so.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(files));
    }

    /// How the sync went, if it is over.
    pub(super) fn result(&self) -> Option<io::Result<()>> {
        self.results.try_recv().ok()
    }

    /// How it went, once it is over.
    pub(super) fn wait(&self) -> io::Result<()> {
        self.results.recv().unwrap_or_else(|_| Err(io::Error::other("nothing syncs the journal any more")))
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
